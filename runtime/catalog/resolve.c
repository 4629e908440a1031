#include "runtime/catalog/resolve.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/catalog/timestamp.h"
#include "runtime/dataframe/plan.h"
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
};

struct resolving {
    struct catalog *catalog;
    const struct delta_engine *engine;
    struct read *reads; /* owned */
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
                         struct err *err)
{
    struct read *read;

    for (read = r->reads; read; read = read->next)
        if (strcmp(read->table, table) == 0 && read->version == version)
            return LC_OK;
    read = mem_zalloc(sizeof *read);
    if (!read)
        return err_nomem(err);
    *read = (struct read){r->reads, mem_strdup(table), mem_strdup(location), version};
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
        rc = note_read(r, table, location, t->version, err);
    if (rc == LC_OK) {
        *out = plan_scan(scan);
        rc = *out ? LC_OK : err_nomem(err);
    } else {
        scan_unref(scan);
    }
    delta_close(t);
    return rc;
}

static enum lc set_options(struct plan_options *o, const json_t *options, struct err *err)
{
    const char *key;
    json_t *value;

    json_object_foreach ((json_t *)options, key, value)
        if (json_is_string(value) && !plan_options_set(o, key, json_string_value(value)))
            return err_nomem(err);
    return LC_OK;
}

static enum lc resolve_files(struct resolving *r, const char *format, const char *location,
                             const struct catalog_table *t, const char *table, const struct plan **out,
                             struct err *err)
{
    struct plan_options options = {0};
    const struct dtype *schema = NULL;
    enum lc rc = t ? set_options(&options, t->options, err) : LC_OK;

    if (rc == LC_OK && t && t->schema_json)
        rc = dtype_from_json_text(t->schema_json, strlen(t->schema_json), &schema, err);
    if (rc == LC_OK)
        rc = note_read(r, table, location, -1, err);
    if (rc == LC_OK) {
        *out = plan_read_source(format, &location, 1, &options, schema);
        rc = *out ? LC_OK : err_nomem(err);
    } else {
        dtype_unref(schema);
    }
    plan_options_release(&options);
    return rc;
}

static enum lc resolve_view(struct resolving *r, const struct ctx *ctx, const struct plan *view,
                            const struct plan **out, struct err *err);

static bool is_format(const char *name)
{
    static const char *const formats[] = {"delta", "parquet", "csv", "json", "text"};

    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (strcasecmp(formats[i], name) == 0)
            return true;
    return false;
}

static enum lc resolve_path(struct resolving *r, const struct ctx *ctx, const struct plan *read,
                            const struct plan **out, struct err *err)
{
    char format[16];
    char *path = strchr(read->names[1], ':') ? mem_strdup(read->names[1]) : fs_absolute(read->names[1]);
    enum lc rc;

    if (!path)
        return err_nomem(err);
    snprintf(format, sizeof format, "%s", read->names[0]);
    for (char *p = format; *p; p++)
        *p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
    rc = strcmp(format, "delta") == 0 ? resolve_delta(r, ctx, read, path, path, out, err)
                                      : resolve_files(r, format, path, NULL, path, out, err);
    mem_free(path);
    return rc;
}

static enum lc resolve_table(void *self, const struct ctx *ctx, const struct plan *read,
                             const struct plan **out, struct err *err)
{
    struct resolving *r = self;
    const struct plan *view = read->n_names == 1 ? catalog_view(r->catalog, read->names[0]) : NULL;
    char full[3 * CATALOG_NAME_MAX];
    struct catalog_table t = {0};
    struct catalog_name name;
    enum lc rc;

    if (view)
        return resolve_view(r, ctx, view, out, err);
    if (read->n_names == 2 && is_format(read->names[0]))
        return resolve_path(r, ctx, read, out, err);
    TRY(catalog_complete_parts(r->catalog, (const char *const *)read->names, read->n_names, &name, err));
    TRY(catalog_get_table(ctx, r->catalog, &name, &t, err));
    catalog_name_text(&name, full, sizeof full);
    rc = strcmp(t.format, "delta") == 0 ? resolve_delta(r, ctx, read, full, t.location, out, err)
                                        : resolve_files(r, t.format, t.location, &t, full, out, err);
    if (rc == LC_NOTFOUND && read->u.table.options.n == 0) /* else it is the version that is not there */
        err_wrap(err, "cannot read table '%s': its files at '%s' are gone", full, t.location);
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
        return err_set(err, LC_LIMIT, "temporary views refer to each other more than %d deep", VIEW_DEPTH);
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
        if (r->version >= 0 && strcmp(r->location, location) == 0) {
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

static enum lc save_existing(struct saving *s, const struct catalog_table *t, struct delta_written *out,
                             struct err *err)
{
    if (s->write.mode == DELTA_IGNORE)
        return LC_OK;
    if (s->write.mode == DELTA_ERROR) {
        err_set(err, LC_EXISTS,
                "[TABLE_OR_VIEW_ALREADY_EXISTS] cannot make the table '%s': it is there already", s->full);
        return err_hint(err, "write with mode('append') or mode('overwrite'), or CREATE OR REPLACE TABLE");
    }
    if (strcmp(t->format, "delta") != 0)
        return err_set(err, LC_UNSUPPORTED,
                       "cannot write to table '%s': its format is '%s', and only Delta tables "
                       "can be written to by name",
                       s->full, t->format);
    s->write.create = false;
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
    else if (rc == LC_OK && (t.location = strchr(s->save->path, ':') ? mem_strdup(s->save->path)
                                                                     : fs_absolute(s->save->path)) == NULL)
        rc = err_nomem(err);
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
            rc = save_new(s, out, err);
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
    char *location = strchr(s->save->path, ':') ? mem_strdup(s->save->path) : fs_absolute(s->save->path);
    enum lc rc;

    if (!location)
        return err_nomem(err);
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
