#include "runtime/catalog/resolve.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/catalog/catalog_int.h"
#include "runtime/catalog/files.h"
#include "runtime/catalog/timestamp.h"
#include "runtime/dataframe/plan.h"
#include "runtime/sql/sql.h"
#include "runtime/storage/storage.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { VIEW_DEPTH = 64 };

struct read { /* one table that a plan reads; a list, newest first */
    struct read *next;
    char *table;    /* owned: name or path, for lineage */
    char *location; /* owned */
    int64_t version;
    bool chosen; /* VERSION AS OF: a write to the same table does not depend on what came after it */
};

struct stored { /* a view of the catalog that is being read; a list on the stack, innermost first */
    const struct stored *outer;
    const struct catalog_name *name;
    const char *catalog, *schema; /* where its names are looked up */
};

struct resolving {
    struct catalog *catalog;
    const struct delta_engine *engine;
    struct read *reads; /* owned */
    const struct stored *stored;
    int depth;
    bool step; /* inputs that are known already stay as they are */
};

static void reads_free(struct read *r)
{
    while (r) {
        struct read *next = r->next;
        mem_free(r->table);
        mem_free(r->location);
        mem_free(r);
        r = next;
    }
}

static enum lc note_read(struct resolving *r, const char *table, const char *location, int64_t version,
                         bool chosen, struct err *err)
{
    struct read *read;

    for (read = r->reads; read; read = read->next)
        if (strcmp(read->table, table) == 0 && read->version == version) {
            read->chosen = read->chosen && chosen;
            return LC_OK;
        }
    read = mem_zalloc(sizeof *read);
    if (!read)
        return err_nomem(err);
    *read = (struct read){r->reads, mem_strdup(table), mem_strdup(location), version, chosen};
    r->reads = read;
    return read->table && read->location ? LC_OK : err_nomem(err);
}

/* VERSION AS OF, TIMESTAMP AS OF */
static enum lc wanted_version(const struct ctx *ctx, const struct plan *read, const char *location,
                              int64_t *version, struct err *err)
{
    const char *as_of = plan_option(&read->u.table.options, "versionAsOf");
    const char *at = plan_option(&read->u.table.options, "timestampAsOf");
    int64_t ms;
    char *end;

    *version = DELTA_LATEST;
    if (as_of) {
        *version = strtoll(as_of, &end, 10);
        if (end == as_of || *end || *version < 0)
            return err_set(err, LC_ARG, "versionAsOf is '%s', which is not a version (0, 1, 2 …)", as_of);
    } else if (at) {
        TRY(timestamp_parse(at, &ms, err));
        TRY(delta_version_at(ctx, location, ms, version, err));
    }
    return LC_OK;
}

static enum lc resolve_delta(struct resolving *r, const struct ctx *ctx, const struct plan *read,
                             const char *table, const char *location, const struct plan **out,
                             struct err *err)
{
    struct delta_snapshot *t = NULL;
    struct scan *scan = NULL;
    int64_t version;
    enum lc rc;

    TRY(wanted_version(ctx, read, location, &version, err));
    rc = delta_open(ctx, r->engine, location, version, &t, err);
    if (rc == LC_OK)
        rc = delta_scan(t, table, &scan, err);
    if (rc == LC_OK)
        rc = note_read(r, table, location, t->version, version != DELTA_LATEST, err);
    if (rc == LC_OK) {
        *out = plan_scan(scan);
        rc = *out ? LC_OK : err_nomem(err);
    } else {
        scan_unref(scan);
    }
    delta_close(t);
    return rc;
}

static enum lc resolve_files(struct resolving *r, const char *format, const char *location, const char *table,
                             const struct plan **out, struct err *err)
{
    struct plan_options none = {0};

    TRY(note_read(r, table, location, -1, false, err));
    *out = plan_read_source(format, &location, 1, &none, NULL);
    return *out ? LC_OK : err_nomem(err);
}

static enum lc resolve_file_table(struct resolving *r, const struct plan *read, const struct catalog_table *t,
                                  const char *full, const struct plan **out, struct err *err)
{
    if (read->u.table.options.n > 0 && (plan_option(&read->u.table.options, "versionAsOf") ||
                                        plan_option(&read->u.table.options, "timestampAsOf")))
        return err_set(err, LC_UNSUPPORTED,
                       "[UNSUPPORTED_FEATURE.TIME_TRAVEL] The feature is not supported: Time travel on the "
                       "relation: %s. SQLSTATE: 0A000",
                       full);
    TRY(note_read(r, full, t->location, -1, false, err));
    return files_read(t, full, out, err);
}

static enum lc resolve_view(struct resolving *r, const struct ctx *ctx, const struct plan *view,
                            const struct plan **out, struct err *err);

static bool is_format(const char *name)
{
    return strcasecmp(name, "delta") == 0 || files_is_format(name);
}

/* A path as the storage takes it: absolute, or a URI. */
static enum lc location_of(const struct ctx *ctx, struct catalog *c, const char *path, char **out,
                           struct err *err)
{
    char *place;

    TRY(catalog_path(ctx, c, path, &place, err));
    *out = strchr(place, ':') ? mem_strdup(place) : fs_absolute(place);
    mem_free(place);
    return *out ? LC_OK : err_nomem(err);
}

static enum lc resolve_path(struct resolving *r, const struct ctx *ctx, const struct plan *read,
                            const struct plan **out, struct err *err)
{
    char format[16];
    char *path;
    enum lc rc;

    TRY(location_of(ctx, r->catalog, read->names[1], &path, err));
    snprintf(format, sizeof format, "%s", read->names[0]);
    for (char *p = format; *p; p++)
        *p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
    rc = strcmp(format, "delta") == 0 ? resolve_delta(r, ctx, read, path, path, out, err)
                                      : resolve_files(r, format, path, path, out, err);
    mem_free(path);
    return rc;
}

/* A name is looked up where it was written: in the session's schema, or in that of the view. */
static enum lc complete(const struct resolving *r, const struct plan *read, struct catalog_name *out,
                        struct err *err)
{
    const char *parts[3];
    size_t n = read->n_names;

    if (!r->stored || n > 2)
        return catalog_complete_parts(r->catalog, (const char *const *)read->names, n, out, err);
    parts[0] = r->stored->catalog;
    parts[1] = n == 2 ? read->names[0] : r->stored->schema;
    parts[2] = read->names[n - 1];
    return catalog_complete_parts(r->catalog, parts, 3, out, err);
}

static bool same_name(const struct catalog_name *a, const struct catalog_name *b)
{
    return strcmp(a->catalog, b->catalog) == 0 && strcmp(a->schema, b->schema) == 0 &&
           strcmp(a->table, b->table) == 0;
}

/* The query's columns under the names that the view gave them when it was made. */
static const struct plan *view_columns(const struct plan *query, const struct catalog_table *view)
{
    const json_t *from = json_object_get(view->options, "columns");
    const struct dtype *schema = NULL;
    size_t n = json_array_size(from);
    struct expr **columns = mem_calloc(n + 1, sizeof *columns);
    const struct plan *out = NULL;

    if (columns && view->schema_json &&
        dtype_from_json_text(view->schema_json, strlen(view->schema_json), &schema, NULL) == LC_OK &&
        schema->n_fields == n) {
        for (size_t i = 0; i < n; i++) {
            const char *name = json_string_value(json_array_get(from, i));
            columns[i] = expr_alias(expr_attribute(&name, name ? 1 : 0, 0), schema->fields[i].name);
        }
        out = plan_project(query, columns, n);
    } else {
        out = query;
    }
    mem_free(columns);
    dtype_unref(schema);
    return out;
}

static enum lc parse_view(const struct catalog_table *view, const char *full, const struct plan **out,
                          struct err *err)
{
    const char *text = json_string_value(json_object_get(view->options, "text"));
    struct sql_statement *s = NULL;
    enum lc rc;

    if (!text)
        return err_set(err, LC_DATA, "the view '%s' has no text in the catalog", full);
    rc = sql_parse(text, strlen(text), NULL, 0, &s, err);
    if (rc == LC_OK && s->kind != SQL_QUERY)
        rc = err_set(err, LC_DATA, "the text of the view '%s' is no query", full);
    if (rc == LC_OK)
        *out = view_columns(plan_ref(s->plan), view);
    sql_release(s);
    return rc == LC_OK && !*out ? err_nomem(err) : rc;
}

static enum lc in_view(const char *full, enum lc rc, struct err *err)
{
    char message[sizeof err->message];

    if (rc == LC_OK || !err || strstr(err->message, "(in the view '"))
        return rc;
    snprintf(message, sizeof message, "%s", err->message);
    snprintf(err->message, sizeof err->message, "%.900s (in the view '%.100s')", message, full);
    return rc;
}

/* A view of the catalog: its text, read with the names of its own schema. */
static enum lc resolve_stored(struct resolving *r, const struct ctx *ctx, const struct catalog_table *view,
                              const char *full, const struct plan **out, struct err *err)
{
    struct stored frame = {r->stored, &view->name,
                           json_string_value(json_object_get(view->options, "catalog")),
                           json_string_value(json_object_get(view->options, "schema"))};
    const struct plan *plan = NULL;
    enum lc rc;

    for (const struct stored *f = r->stored; f; f = f->outer)
        if (same_name(f->name, &view->name))
            return err_set(err, LC_ENGINE, "[RECURSIVE_VIEW] the view '%s' reads itself. SQLSTATE: 42K0H",
                           full);
    if (!frame.catalog || !frame.schema)
        return err_set(err, LC_DATA, "the view '%s' has no schema in the catalog", full);
    TRY(parse_view(view, full, &plan, err));
    r->stored = &frame;
    rc = resolve_view(r, ctx, plan, out, err);
    r->stored = frame.outer;
    plan_unref(plan);
    return in_view(full, rc, err);
}

static enum lc resolve_table(void *self, const struct ctx *ctx, const struct plan *read,
                             const struct plan **out, struct err *err)
{
    struct resolving *r = self;
    const struct plan *view =
        r->stored ? NULL : catalog_view_parts(r->catalog, (const char *const *)read->names, read->n_names);
    char full[3 * CATALOG_NAME_MAX];
    struct catalog_table t = {0};
    struct catalog_name name;
    enum lc rc;

    if (view)
        return resolve_view(r, ctx, view, out, err);
    if (read->n_names == 2 && is_format(read->names[0]))
        return resolve_path(r, ctx, read, out, err);
    TRY(complete(r, read, &name, err));
    TRY(catalog_get_table(ctx, r->catalog, &name, &t, err));
    catalog_name_text(&name, full, sizeof full);
    if (t.kind == CATALOG_VIEW)
        rc = resolve_stored(r, ctx, &t, full, out, err);
    else
        rc = strcmp(t.format, "delta") == 0 ? resolve_delta(r, ctx, read, full, t.location, out, err)
                                            : resolve_file_table(r, read, &t, full, out, err);
    if (rc == LC_NOTFOUND && t.kind != CATALOG_VIEW &&
        read->u.table.options.n == 0) { /* else it is the version that is not there */
        err_wrap(err, "cannot read table '%s': its files at '%s' are gone", full, t.location);
        err_hint(err, "bring the folder back, or DROP TABLE %s, or make it anew: CREATE OR REPLACE TABLE",
                 full);
    }
    catalog_table_release(&t);
    return rc;
}

static struct expr *session_function(void *self, const struct expr *call)
{
    struct resolving *r = self;

    return catalog_function(r->catalog, call);
}

static enum lc resolve_with(struct resolving *r, const struct ctx *ctx, const struct plan *plan,
                            const struct plan **out, struct err *err)
{
    const struct plan_resolver resolver = {resolve_table, r, session_function, r->step};

    return plan_resolve(ctx, plan, &resolver, out, err);
}

static enum lc resolve_view(struct resolving *r, const struct ctx *ctx, const struct plan *view,
                            const struct plan **out, struct err *err)
{
    enum lc rc;

    if (r->depth >= VIEW_DEPTH)
        return err_set(err, LC_LIMIT, "views refer to each other more than %d deep", VIEW_DEPTH);
    r->depth++;
    rc = resolve_with(r, ctx, view, out, err);
    r->depth--;
    return rc;
}

static enum lc record(const struct ctx *ctx, const struct resolving *r, struct err *err)
{
    for (const struct read *read = r->reads; read; read = read->next)
        TRY(catalog_add_lineage(ctx, r->catalog, "READ", read->table, read->version, err));
    return LC_OK;
}

static enum lc resolve(const struct ctx *ctx, struct resolving *r, const struct plan *plan, bool lineage,
                       const struct plan **out, struct err *err)
{
    enum lc rc = resolve_with(r, ctx, plan, out, err);

    if (rc == LC_OK && lineage && (rc = record(ctx, r, err)) != LC_OK) {
        plan_unref(*out);
        *out = NULL;
    }
    return rc;
}

enum lc catalog_resolve(const struct ctx *ctx, struct catalog *c, const struct delta_engine *engine,
                        const struct plan *plan, const struct plan **out, struct err *err)
{
    struct resolving r = {.catalog = c, .engine = engine};
    enum lc rc = resolve(ctx, &r, plan, true, out, err);

    reads_free(r.reads);
    return rc;
}

enum lc catalog_resolve_quietly(const struct ctx *ctx, struct catalog *c, const struct delta_engine *engine,
                                const struct plan *plan, const struct plan **out, struct err *err)
{
    struct resolving r = {.catalog = c, .engine = engine};
    enum lc rc = resolve(ctx, &r, plan, false, out, err);

    reads_free(r.reads);
    return rc;
}

enum lc catalog_resolve_step(const struct ctx *ctx, struct catalog *c, const struct delta_engine *engine,
                             const struct plan *plan, const struct plan **out, struct err *err)
{
    struct resolving r = {.catalog = c, .engine = engine, .step = true};
    enum lc rc = resolve(ctx, &r, plan, false, out, err);

    reads_free(r.reads);
    return rc;
}

/* ---- saving ---- */
struct saving {
    const struct ctx *ctx;
    struct catalog *catalog;
    const struct delta_engine *engine;
    const struct catalog_save *save;
    const struct plan *plan; /* resolved */
    const struct read *reads;
    struct delta_write write; /* save->write, completed */
    struct catalog_name name;
    char full[3 * CATALOG_NAME_MAX]; /* the name, or the path */
};

static enum lc write_to(struct saving *s, const char *location, struct delta_written *out, struct err *err)
{
    s->write.reads = false;
    for (const struct read *r = s->reads; r; r = r->next)
        if (r->version >= 0 && !r->chosen && strcmp(r->location, location) == 0) {
            s->write.reads = true;
            s->write.read_version = r->version;
        }
    TRY(delta_write(s->ctx, s->engine, s->plan, location, &s->write, out, err));
    if (out->version < 0)
        return LC_OK;
    return catalog_add_lineage(s->ctx, s->catalog,
                               s->write.replace  ? "CREATE OR REPLACE TABLE AS SELECT"
                               : s->write.create ? "CREATE TABLE AS SELECT"
                                                 : "WRITE",
                               s->full, out->version, err);
}

static bool is_files(const struct catalog_save *save)
{
    return save->format && *save->format && strcasecmp(save->format, "delta") != 0;
}

static enum lc save_files(struct saving *s, const struct catalog_table *there, struct delta_written *out,
                          struct err *err)
{
    struct files_saving f = {.ctx = s->ctx,
                             .catalog = s->catalog,
                             .engine = s->engine,
                             .save = s->save,
                             .plan = s->plan,
                             .name = &s->name,
                             .full = s->full};

    for (const struct read *r = s->reads; there && r; r = r->next)
        f.reads_itself |= strcmp(r->location, there->location) == 0;
    if (!there && !files_is_format(s->save->format))
        return err_set(err, LC_UNSUPPORTED,
                       "[DATA_SOURCE_NOT_FOUND] Failed to find the data source: %s; there are delta, "
                       "parquet, csv, json and text. SQLSTATE: 42K02",
                       s->save->format);
    return files_save(&f, there, out, err);
}

static enum lc save_existing(struct saving *s, const struct catalog_table *t, struct delta_written *out,
                             struct err *err)
{
    bool exists;

    if (s->write.mode == DELTA_IGNORE)
        return LC_OK;
    if (s->write.mode == DELTA_ERROR) {
        err_set(err, LC_EXISTS,
                "[TABLE_OR_VIEW_ALREADY_EXISTS] cannot make the table '%s': it is there already", s->full);
        return err_hint(err, "write with mode('append') or mode('overwrite'), or CREATE OR REPLACE TABLE");
    }
    if (t->kind == CATALOG_VIEW)
        return err_set(err, LC_UNSUPPORTED,
                       "[EXPECT_TABLE_NOT_VIEW.NO_ALTERNATIVE] cannot write to '%s': it is a view", s->full);
    if (strcmp(t->format, "delta") != 0 || is_files(s->save))
        return save_files(s, t, out, err);
    s->write.create = false;
    if (s->save->insert || s->write.mode == DELTA_APPEND) {
        TRY(delta_exists(s->ctx, t->location, &exists, err));
        if (!exists) {
            err_set(err, LC_NOTFOUND, "cannot write to table '%s': its files at '%s' are gone", s->full,
                    t->location);
            return err_hint(err, "DROP TABLE %s, or CREATE OR REPLACE TABLE", s->full);
        }
    }
    return write_to(s, t->location, out, err);
}

static enum lc remove_place(const struct saving *s, const char *location)
{
    struct ctx ctx = ctx_background(); /* also after an interrupt */
    struct storage storage;
    struct err ignored;

    (void)s;
    TRY(storage_open(location, &storage, &ignored));
    return storage_remove_tree(&ctx, &storage, location, &ignored);
}

/* The rows first, then the name: who sees the name sees the rows. */
static enum lc save_new(struct saving *s, struct delta_written *out, struct err *err)
{
    bool managed = !s->save->path;
    struct catalog_table t = {.name = s->name,
                              .kind = managed ? CATALOG_MANAGED : CATALOG_EXTERNAL,
                              .format = mem_strdup("delta"),
                              .comment = s->write.description ? mem_strdup(s->write.description) : NULL,
                              .properties = json_object()};
    bool exists = false;
    enum lc rc = t.format && t.properties ? LC_OK : err_nomem(err);

    for (size_t i = 0; rc == LC_OK && i < s->write.n_properties; i++)
        if (json_object_set_new(t.properties, s->write.properties[i].name,
                                json_string(s->write.properties[i].value)) != 0)
            rc = err_nomem(err);
    if (rc == LC_OK && managed)
        rc = catalog_new_location(s->ctx, s->catalog, &s->name, &t.location, err);
    else if (rc == LC_OK)
        rc = location_of(s->ctx, s->catalog, s->save->path, &t.location, err);
    if (rc == LC_OK && !managed)
        rc = delta_exists(s->ctx, t.location, &exists, err);
    s->write.create = !exists && !s->write.replace;
    if (rc == LC_OK)
        rc = write_to(s, t.location, out, err);
    if (rc == LC_OK)
        rc = catalog_create_table(s->ctx, s->catalog, &t, err);
    if (rc != LC_OK && managed && t.location && remove_place(s, t.location) != LC_OK)
        err_hint(err, "files are left in '%s'", t.location);
    catalog_table_release(&t);
    return rc;
}

static enum lc save_table(struct saving *s, struct delta_written *out, struct err *err)
{
    for (int attempt = 0;; attempt++) {
        struct catalog_table t = {0};
        bool exists;
        enum lc rc;
        TRY(catalog_table_exists(s->ctx, s->catalog, &s->name, &exists, err));
        if (!exists && !s->save->insert) {
            rc = is_files(s->save) ? save_files(s, NULL, out, err) : save_new(s, out, err);
            if (rc == LC_EXISTS && s->write.mode != DELTA_ERROR && attempt < 3)
                continue; /* somebody made it meanwhile */
            return rc;
        }
        TRY(catalog_get_table(s->ctx, s->catalog, &s->name, &t, err));
        rc = save_existing(s, &t, out, err);
        catalog_table_release(&t);
        return rc;
    }
}

static enum lc save_path(struct saving *s, struct delta_written *out, struct err *err)
{
    char *location;
    enum lc rc;

    TRY(location_of(s->ctx, s->catalog, s->save->path, &location, err));
    snprintf(s->full, sizeof s->full, "%s", location);
    rc = write_to(s, location, out, err);
    mem_free(location);
    return rc;
}

enum lc catalog_save(const struct ctx *ctx, struct catalog *c, const struct delta_engine *engine,
                     const struct plan *plan, const struct catalog_save *save, struct delta_written *out,
                     struct err *err)
{
    struct resolving r = {.catalog = c, .engine = engine};
    struct saving s = {.ctx = ctx, .catalog = c, .engine = engine, .save = save, .write = save->write};
    const struct plan *resolved = NULL;
    enum lc rc;

    *out = (struct delta_written){.version = -1};
    if (save->table)
        TRY(catalog_complete(c, save->table, &s.name, err));
    if (save->table)
        catalog_name_text(&s.name, s.full, sizeof s.full);
    if (save->insert)
        s.write.by_position = !save->by_name;
    rc = resolve(ctx, &r, plan, true, &resolved, err);
    s.plan = resolved;
    s.reads = r.reads;
    if (rc == LC_OK)
        rc = save->table ? save_table(&s, out, err) : save_path(&s, out, err);
    plan_unref(resolved);
    reads_free(r.reads);
    return rc;
}
