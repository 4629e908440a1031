#include "runtime/catalog/local.h"
#include "runtime/base/clock.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/base/plural.h"
#include "runtime/storage/storage.h"
#include "runtime/storage/workspace.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const steps[] = {
    "CREATE TABLE catalog_catalogs("
    "  name TEXT PRIMARY KEY, comment TEXT, owner TEXT NOT NULL, created_ms INTEGER NOT NULL);"
    "CREATE TABLE catalog_schemas("
    "  catalog TEXT NOT NULL REFERENCES catalog_catalogs(name), name TEXT NOT NULL, comment TEXT,"
    "  location TEXT, owner TEXT NOT NULL, created_ms INTEGER NOT NULL, PRIMARY KEY(catalog, name));"
    "CREATE TABLE catalog_tables("
    "  catalog TEXT NOT NULL, schema TEXT NOT NULL, name TEXT NOT NULL, kind INTEGER NOT NULL,"
    "  format TEXT NOT NULL, location TEXT NOT NULL, comment TEXT, owner TEXT NOT NULL,"
    "  properties TEXT NOT NULL, options TEXT, schema_json TEXT, created_ms INTEGER NOT NULL,"
    "  PRIMARY KEY(catalog, schema, name),"
    "  FOREIGN KEY(catalog, schema) REFERENCES catalog_schemas(catalog, name));"
    "CREATE TABLE catalog_lineage("
    "  id INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, operation TEXT NOT NULL, name TEXT NOT NULL,"
    "  version INTEGER NOT NULL, principal TEXT NOT NULL, notebook TEXT NOT NULL, cell TEXT NOT NULL,"
    "  run TEXT NOT NULL, job TEXT NOT NULL, session TEXT NOT NULL, call TEXT NOT NULL);"
    "CREATE INDEX catalog_lineage_name ON catalog_lineage(name, id);"
    "CREATE INDEX catalog_lineage_run ON catalog_lineage(run, id);"
    "INSERT INTO catalog_catalogs VALUES('spark_catalog', NULL, '', 0);"
    "INSERT INTO catalog_schemas VALUES('spark_catalog', 'default', 'Default schema', NULL, '', 0);",
    "ALTER TABLE catalog_schemas ADD COLUMN properties TEXT;"
    "CREATE TABLE catalog_volumes("
    "  catalog TEXT NOT NULL, schema TEXT NOT NULL, name TEXT NOT NULL, kind INTEGER NOT NULL,"
    "  location TEXT NOT NULL, comment TEXT, owner TEXT NOT NULL, created_ms INTEGER NOT NULL,"
    "  PRIMARY KEY(catalog, schema, name),"
    "  FOREIGN KEY(catalog, schema) REFERENCES catalog_schemas(catalog, name));",
};

enum lc catalog_local_open(void **self, struct err *err)
{
    struct workspace *ws;
    enum lc rc;

    TRY(workspace_open(NULL, &ws, err));
    rc = workspace_migrate(ws, "catalog", steps, sizeof steps / sizeof *steps, err);
    if (rc != LC_OK)
        workspace_close(ws);
    else
        *self = ws;
    return rc;
}

static void local_close(void *self)
{
    workspace_close(self);
}

static const char *principal(const struct ctx *ctx)
{
    return ctx && ctx->principal ? ctx->principal : "";
}

/* ---- listings ---- */
static enum lc collect(struct workspace_rows *rows, enum lc rc, struct catalog_list *out, struct err *err)
{
    *out = (struct catalog_list){0};
    while (rc == LC_OK && workspace_next(rows, &rc, err)) {
        struct catalog_item *more = mem_reallocn(out->items, out->n + 1, sizeof *more);
        if (!more) {
            rc = err_nomem(err);
            break;
        }
        out->items = more;
        out->items[out->n] = (struct catalog_item){
            .name = mem_strdup(workspace_text(rows, 0)),
            .comment = workspace_is_null(rows, 1) ? NULL : mem_strdup(workspace_text(rows, 1)),
            .view = workspace_int(rows, 2) == CATALOG_VIEW};
        if (!out->items[out->n++].name)
            rc = err_nomem(err);
    }
    workspace_rows_close(rows);
    if (rc != LC_OK)
        catalog_list_release(out);
    return rc;
}

static enum lc list_catalogs(const struct ctx *ctx, void *self, struct catalog_list *out, struct err *err)
{
    struct workspace_rows rows;
    enum lc rc =
        workspace_query(self, &rows, err, "SELECT name, comment, 0 FROM catalog_catalogs ORDER BY name", "");

    (void)ctx;
    return collect(&rows, rc, out, err);
}

static enum lc list_schemas(const struct ctx *ctx, void *self, const char *catalog, struct catalog_list *out,
                            struct err *err)
{
    struct workspace_rows rows;
    enum lc rc = workspace_query(
        self, &rows, err, "SELECT name, comment, 0 FROM catalog_schemas WHERE catalog = ? ORDER BY name", "t",
        catalog);

    (void)ctx;
    return collect(&rows, rc, out, err);
}

static enum lc list_tables(const struct ctx *ctx, void *self, const char *catalog, const char *schema,
                           struct catalog_list *out, struct err *err)
{
    struct workspace_rows rows;
    enum lc rc = workspace_query(
        self, &rows, err,
        "SELECT name, comment, kind FROM catalog_tables WHERE catalog = ? AND schema = ? ORDER BY name", "tt",
        catalog, schema);

    (void)ctx;
    return collect(&rows, rc, out, err);
}

/* ---- catalogs ---- */
static enum lc create_catalog(const struct ctx *ctx, void *self, const char *name, const char *comment,
                              struct err *err)
{
    enum lc rc;

    TRY(workspace_begin(self, err));
    rc = workspace_exec(self, err, "INSERT INTO catalog_catalogs VALUES(?, ?, ?, ?)", "ttti", name, comment,
                        principal(ctx), clock_wall_ms());
    if (rc == LC_OK)
        rc = workspace_exec(
            self, err, "INSERT INTO catalog_schemas VALUES(?, 'default', 'Default schema', NULL, ?, ?, NULL)",
            "tti", name, principal(ctx), clock_wall_ms());
    return workspace_end(self, rc, err);
}

static enum lc count(struct workspace_rows *rows, enum lc rc, int64_t *n, struct err *err)
{
    *n = 0;
    if (rc == LC_OK && workspace_next(rows, &rc, err))
        *n = workspace_int(rows, 0);
    workspace_rows_close(rows);
    return rc;
}

/* The folders of managed tables that a drop leaves behind; removed after the rows are gone for good. */
static enum lc managed_locations(void *self, const char *catalog, const char *schema,
                                 struct catalog_list *out, struct err *err)
{
    struct workspace_rows rows;
    enum lc rc =
        workspace_query(self, &rows, err,
                        "SELECT location, NULL, 0 FROM catalog_tables WHERE catalog = ?1 AND (?2 IS NULL OR "
                        "schema = ?2) AND kind = 0 UNION ALL SELECT location, NULL, 0 FROM catalog_volumes "
                        "WHERE catalog = ?1 AND (?2 IS NULL OR schema = ?2) AND kind = 0",
                        "tt", catalog, schema);

    return collect(&rows, rc, out, err);
}

static enum lc remove_location(const struct ctx *ctx, const char *location, struct err *err)
{
    struct storage storage;

    TRY(storage_open(location, &storage, err));
    return storage_remove_tree(ctx, &storage, location, err);
}

static enum lc remove_locations(const struct ctx *ctx, struct catalog_list *places, enum lc rc,
                                struct err *err)
{
    for (size_t i = 0; rc == LC_OK && i < places->n; i++)
        rc = remove_location(ctx, places->items[i].name, err);
    catalog_list_release(places);
    return rc;
}

static enum lc delete_catalog(void *self, const char *name, bool cascade, struct err *err)
{
    struct workspace_rows rows;
    int64_t n;
    enum lc rc =
        workspace_query(self, &rows, err,
                        "SELECT (SELECT count(*) FROM catalog_tables WHERE catalog = ?1) + (SELECT count(*) "
                        "FROM catalog_volumes WHERE catalog = ?1) + (SELECT count(*) "
                        "FROM catalog_schemas WHERE catalog = ?1 AND name <> 'default')",
                        "t", name);

    TRY(count(&rows, rc, &n, err));
    if (n > 0 && !cascade) {
        err_set(err, LC_CONFLICT, "cannot drop the catalog '%s': it is not empty", name);
        return err_hint(err, "DROP CATALOG %s CASCADE drops what is in it, too", name);
    }
    TRY(workspace_exec(self, err, "DELETE FROM catalog_tables WHERE catalog = ?", "t", name));
    TRY(workspace_exec(self, err, "DELETE FROM catalog_volumes WHERE catalog = ?", "t", name));
    TRY(workspace_exec(self, err, "DELETE FROM catalog_schemas WHERE catalog = ?", "t", name));
    return workspace_exec(self, err, "DELETE FROM catalog_catalogs WHERE name = ?", "t", name);
}

static enum lc drop_catalog(const struct ctx *ctx, void *self, const char *name, bool cascade,
                            struct err *err)
{
    struct catalog_list places = {0};
    enum lc rc;

    TRY(workspace_begin(self, err));
    rc = managed_locations(self, name, NULL, &places, err);
    if (rc == LC_OK)
        rc = delete_catalog(self, name, cascade, err);
    if (rc == LC_OK && workspace_changes(self) == 0)
        rc = err_set(err, LC_NOTFOUND, "cannot find the catalog '%s'", name);
    return remove_locations(ctx, &places, workspace_end(self, rc, err), err);
}

/* ---- schemas ---- */
static enum lc create_schema(const struct ctx *ctx, void *self, const char *catalog, const char *schema,
                             const char *comment, const char *location, struct err *err)
{
    return workspace_exec(self, err, "INSERT INTO catalog_schemas VALUES(?, ?, ?, ?, ?, ?, NULL)", "ttttti",
                          catalog, schema, comment, location, principal(ctx), clock_wall_ms());
}

static enum lc delete_schema(void *self, const char *catalog, const char *schema, bool cascade,
                             struct err *err)
{
    struct workspace_rows rows;
    int64_t n;
    enum lc rc =
        workspace_query(self, &rows, err,
                        "SELECT (SELECT count(*) FROM catalog_tables WHERE catalog = ?1 AND schema = ?2) + "
                        "(SELECT count(*) FROM catalog_volumes WHERE catalog = ?1 AND schema = ?2)",
                        "tt", catalog, schema);

    TRY(count(&rows, rc, &n, err));
    if (n > 0 && !cascade) {
        err_set(err, LC_CONFLICT,
                "[SCHEMA_NOT_EMPTY] cannot drop the schema '%s.%s': it has %lld table%s, "
                "views or volumes",
                catalog, schema, (long long)n, PLURAL(n));
        return err_hint(err, "DROP SCHEMA %s.%s CASCADE drops them, too", catalog, schema);
    }
    TRY(workspace_exec(self, err, "DELETE FROM catalog_tables WHERE catalog = ? AND schema = ?", "tt",
                       catalog, schema));
    TRY(workspace_exec(self, err, "DELETE FROM catalog_volumes WHERE catalog = ? AND schema = ?", "tt",
                       catalog, schema));
    return workspace_exec(self, err, "DELETE FROM catalog_schemas WHERE catalog = ? AND name = ?", "tt",
                          catalog, schema);
}

static enum lc drop_schema(const struct ctx *ctx, void *self, const char *catalog, const char *schema,
                           bool cascade, struct err *err)
{
    struct catalog_list places = {0};
    enum lc rc;

    TRY(workspace_begin(self, err));
    rc = managed_locations(self, catalog, schema, &places, err);
    if (rc == LC_OK)
        rc = delete_schema(self, catalog, schema, cascade, err);
    if (rc == LC_OK && workspace_changes(self) == 0)
        rc = err_set(err, LC_NOTFOUND, "cannot find the schema '%s.%s'", catalog, schema);
    return remove_locations(ctx, &places, workspace_end(self, rc, err), err);
}

/* ---- tables ---- */
/* The location of a schema, where it has one; else below LACUS_HOME. Caller frees. */
static enum lc schema_folder(void *self, const char *kind, const struct catalog_name *name, char **out,
                             struct err *err)
{
    struct workspace_rows rows;
    char *below;
    enum lc rc = workspace_query(self, &rows, err,
                                 "SELECT location FROM catalog_schemas WHERE catalog = ? AND name = ?", "tt",
                                 name->catalog, name->schema);

    *out = NULL;
    if (rc == LC_OK && workspace_next(&rows, &rc, err) && !workspace_is_null(&rows, 0) &&
        (*out = mem_strdup(workspace_text(&rows, 0))) == NULL)
        rc = err_nomem(err);
    workspace_rows_close(&rows);
    if (rc != LC_OK || *out)
        return rc;
    below = mem_printf("%s/%s/%s", kind, name->catalog, name->schema);
    if (!below)
        return err_nomem(err);
    *out = fs_home(below, err);
    mem_free(below);
    return *out ? LC_OK : err ? err->code : LC_IO;
}

/* mkdir(2) gives a folder to exactly one: what is left of a killed writer, or is used by another one, is never
 * taken over. */
static enum lc new_folder(const struct ctx *ctx, void *self, const char *kind,
                          const struct catalog_name *name, char **location, struct err *err)
{
    char *folder;
    char id[9] = "";
    enum lc rc;

    (void)ctx;
    *location = NULL;
    TRY(schema_folder(self, kind, name, &folder, err));
    rc = fs_mkdirs(folder, err);
    while (rc == LC_OK) {
        char *path = mem_printf("%s/%s%s%s", folder, name->table, *id ? "-" : "", id);
        if (!path) {
            rc = err_nomem(err);
        } else if (mkdir(path, 0777) == 0) {
            *location = path;
            break;
        } else if (errno != EEXIST) {
            rc = err_errno(err, errno, "cannot make the folder '%s'", path);
        }
        mem_free(path);
        hex_make(id, 8);
    }
    mem_free(folder);
    return rc;
}

static enum lc new_location(const struct ctx *ctx, void *self, const struct catalog_name *name,
                            char **location, struct err *err)
{
    return new_folder(ctx, self, "tables", name, location, err);
}

static enum lc create_table(const struct ctx *ctx, void *self, const struct catalog_table *t, struct err *err)
{
    char *properties = t->properties ? json_dumps(t->properties, JSON_COMPACT) : NULL;
    char *options = t->options ? json_dumps(t->options, JSON_COMPACT) : NULL;
    enum lc rc = workspace_exec(
        self, err, "INSERT INTO catalog_tables VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", "tttittttttti",
        t->name.catalog, t->name.schema, t->name.table, (int64_t)t->kind, t->format, t->location, t->comment,
        principal(ctx), properties ? properties : "{}", options, t->schema_json, clock_wall_ms());

    free(properties);
    free(options);
    return rc;
}

static enum lc find_table(void *self, const struct catalog_name *name, struct workspace_rows *rows,
                          struct err *err)
{
    return workspace_query(
        self, rows, err,
        "SELECT kind, format, location, comment, owner, properties, options, schema_json, created_ms "
        "FROM catalog_tables WHERE catalog = ? AND schema = ? AND name = ?",
        "ttt", name->catalog, name->schema, name->table);
}

static char *text_or_null(const struct workspace_rows *rows, int column)
{
    return workspace_is_null(rows, column) ? NULL : mem_strdup(workspace_text(rows, column));
}

static enum lc get_table(const struct ctx *ctx, void *self, const struct catalog_name *name,
                         struct catalog_table *out, struct err *err)
{
    struct workspace_rows rows;
    enum lc rc = find_table(self, name, &rows, err);

    (void)ctx;
    if (rc == LC_OK && !workspace_next(&rows, &rc, err) && rc == LC_OK)
        rc = err_set(err, LC_NOTFOUND, "cannot find table '%s.%s.%s'", name->catalog, name->schema,
                     name->table);
    if (rc == LC_OK) {
        *out = (struct catalog_table){.name = *name,
                                      .kind = (enum catalog_kind)workspace_int(&rows, 0),
                                      .format = text_or_null(&rows, 1),
                                      .location = text_or_null(&rows, 2),
                                      .comment = text_or_null(&rows, 3),
                                      .owner = text_or_null(&rows, 4),
                                      .properties = json_loads(workspace_text(&rows, 5), 0, NULL),
                                      .options = json_loads(workspace_text(&rows, 6), 0, NULL),
                                      .schema_json = text_or_null(&rows, 7),
                                      .created_ms = workspace_int(&rows, 8)};
        if (!out->format || !out->location) {
            catalog_table_release(out);
            rc = err_nomem(err);
        }
    }
    workspace_rows_close(&rows);
    return rc;
}

static enum lc drop_table(const struct ctx *ctx, void *self, const struct catalog_name *name, struct err *err)
{
    struct catalog_table t = {0};
    enum lc rc;

    TRY(workspace_begin(self, err));
    rc = get_table(ctx, self, name, &t, err);
    if (rc == LC_OK)
        rc = workspace_exec(self, err,
                            "DELETE FROM catalog_tables WHERE catalog = ? AND schema = ? AND name = ?", "ttt",
                            name->catalog, name->schema, name->table);
    rc = workspace_end(self, rc, err);
    if (rc == LC_OK && t.kind == CATALOG_MANAGED)
        rc = remove_location(ctx, t.location, err);
    catalog_table_release(&t);
    return rc;
}

/* ---- altering ---- */
static enum lc rename_table(const struct ctx *ctx, void *self, const struct catalog_name *from,
                            const struct catalog_name *to, struct err *err)
{
    (void)ctx;
    TRY(workspace_exec(
        self, err,
        "UPDATE catalog_tables SET catalog = ?, schema = ?, name = ? WHERE catalog = ? AND schema = ? "
        "AND name = ?",
        "tttttt", to->catalog, to->schema, to->table, from->catalog, from->schema, from->table));
    return workspace_changes(self) ? LC_OK : err_set(err, LC_NOTFOUND, "cannot find table '%s'", from->table);
}

static enum lc alter_table(const struct ctx *ctx, void *self, const struct catalog_table *t, struct err *err)
{
    char *properties = t->properties ? json_dumps(t->properties, JSON_COMPACT) : NULL;
    char *options = t->options ? json_dumps(t->options, JSON_COMPACT) : NULL;
    enum lc rc =
        workspace_exec(self, err,
                       "UPDATE catalog_tables SET comment = ?, properties = ?, options = ?, schema_json = ? "
                       "WHERE catalog = ? AND schema = ? AND name = ?",
                       "ttttttt", t->comment, properties ? properties : "{}", options, t->schema_json,
                       t->name.catalog, t->name.schema, t->name.table);

    (void)ctx;
    free(properties);
    free(options);
    return rc;
}

static enum lc alter_catalog(const struct ctx *ctx, void *self, const char *name, const char *comment,
                             struct err *err)
{
    (void)ctx;
    return workspace_exec(self, err, "UPDATE catalog_catalogs SET comment = ? WHERE name = ?", "tt", comment,
                          name);
}

static enum lc get_schema(const struct ctx *ctx, void *self, const char *catalog, const char *schema,
                          struct catalog_schema *out, struct err *err)
{
    struct workspace_rows rows;
    enum lc rc =
        workspace_query(self, &rows, err,
                        "SELECT comment, location, owner, created_ms, properties FROM catalog_schemas WHERE "
                        "catalog = ? AND name = ?",
                        "tt", catalog, schema);

    (void)ctx;
    if (rc == LC_OK && !workspace_next(&rows, &rc, err) && rc == LC_OK)
        rc = err_set(err, LC_NOTFOUND, "cannot find the schema '%s.%s'", catalog, schema);
    if (rc == LC_OK) {
        snprintf(out->catalog, sizeof out->catalog, "%s", catalog);
        snprintf(out->name, sizeof out->name, "%s", schema);
        out->comment = text_or_null(&rows, 0);
        out->location = text_or_null(&rows, 1);
        out->owner = text_or_null(&rows, 2);
        out->created_ms = workspace_int(&rows, 3);
        out->properties = json_loads(workspace_text(&rows, 4), 0, NULL);
    }
    workspace_rows_close(&rows);
    return rc;
}

static enum lc alter_schema(const struct ctx *ctx, void *self, const struct catalog_schema *s,
                            struct err *err)
{
    char *properties = s->properties ? json_dumps(s->properties, JSON_COMPACT) : NULL;
    enum lc rc = workspace_exec(
        self, err,
        "UPDATE catalog_schemas SET comment = ?, location = ?, properties = ? WHERE catalog = ? "
        "AND name = ?",
        "ttttt", s->comment, s->location, properties, s->catalog, s->name);

    (void)ctx;
    free(properties);
    return rc;
}

/* ---- volumes ---- */
static enum lc create_volume(const struct ctx *ctx, void *self, const struct catalog_volume *v,
                             struct err *err)
{
    char *made = NULL;
    enum lc rc = LC_OK;

    TRY(workspace_begin(self, err));
    if (v->kind == CATALOG_MANAGED)
        rc = new_folder(ctx, self, "volumes", &v->name, &made, err);
    if (rc == LC_OK)
        rc = workspace_exec(self, err, "INSERT INTO catalog_volumes VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
                            "tttittti", v->name.catalog, v->name.schema, v->name.table, (int64_t)v->kind,
                            made ? made : v->location, v->comment, principal(ctx), clock_wall_ms());
    if (rc != LC_OK && made)
        (void)!rmdir(made);
    mem_free(made);
    return workspace_end(self, rc, err);
}

static enum lc get_volume(const struct ctx *ctx, void *self, const struct catalog_name *name,
                          struct catalog_volume *out, struct err *err)
{
    struct workspace_rows rows;
    enum lc rc =
        workspace_query(self, &rows, err,
                        "SELECT kind, location, comment, owner, created_ms FROM catalog_volumes WHERE "
                        "catalog = ? AND schema = ? AND name = ?",
                        "ttt", name->catalog, name->schema, name->table);

    (void)ctx;
    if (rc == LC_OK && !workspace_next(&rows, &rc, err) && rc == LC_OK)
        rc = err_set(err, LC_NOTFOUND, "cannot find the volume '%s'", name->table);
    if (rc == LC_OK) {
        *out = (struct catalog_volume){.name = *name,
                                       .kind = (enum catalog_kind)workspace_int(&rows, 0),
                                       .location = text_or_null(&rows, 1),
                                       .comment = text_or_null(&rows, 2),
                                       .owner = text_or_null(&rows, 3),
                                       .created_ms = workspace_int(&rows, 4)};
        if (!out->location) {
            catalog_volume_release(out);
            rc = err_nomem(err);
        }
    }
    workspace_rows_close(&rows);
    return rc;
}

static enum lc drop_volume(const struct ctx *ctx, void *self, const struct catalog_name *name,
                           struct err *err)
{
    struct catalog_volume v = {0};
    enum lc rc;

    TRY(workspace_begin(self, err));
    rc = get_volume(ctx, self, name, &v, err);
    if (rc == LC_OK)
        rc = workspace_exec(self, err,
                            "DELETE FROM catalog_volumes WHERE catalog = ? AND schema = ? AND name = ?",
                            "ttt", name->catalog, name->schema, name->table);
    rc = workspace_end(self, rc, err);
    if (rc == LC_OK && v.kind == CATALOG_MANAGED)
        rc = remove_location(ctx, v.location, err);
    catalog_volume_release(&v);
    return rc;
}

static enum lc alter_volume(const struct ctx *ctx, void *self, const struct catalog_name *name,
                            const struct catalog_name *to, const char *comment, struct err *err)
{
    (void)ctx;
    if (to)
        TRY(workspace_exec(
            self, err,
            "UPDATE catalog_volumes SET catalog = ?, schema = ?, name = ? WHERE catalog = ? AND schema = "
            "? AND name = ?",
            "tttttt", to->catalog, to->schema, to->table, name->catalog, name->schema, name->table));
    else
        TRY(workspace_exec(
            self, err, "UPDATE catalog_volumes SET comment = ? WHERE catalog = ? AND schema = ? AND name = ?",
            "tttt", comment, name->catalog, name->schema, name->table));
    return workspace_changes(self) ? LC_OK
                                   : err_set(err, LC_NOTFOUND, "cannot find the volume '%s'", name->table);
}

static enum lc list_volumes(const struct ctx *ctx, void *self, const char *catalog, const char *schema,
                            struct catalog_list *out, struct err *err)
{
    struct workspace_rows rows;
    enum lc rc = workspace_query(
        self, &rows, err,
        "SELECT name, comment, 0 FROM catalog_volumes WHERE catalog = ? AND schema = ? ORDER BY name", "tt",
        catalog, schema);

    (void)ctx;
    return collect(&rows, rc, out, err);
}

/* ---- lineage ---- */
static const char *known(const char *text)
{
    return text ? text : "";
}

static enum lc add_lineage(const struct ctx *ctx, void *self, const char *operation, const char *table,
                           int64_t version, struct err *err)
{
    struct ctx nobody = ctx_background();
    const struct ctx *c = ctx ? ctx : &nobody;

    return workspace_exec(self, err,
                          "INSERT INTO catalog_lineage VALUES(NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                          "ittittttttt", clock_wall_ms(), operation, table, version, principal(c),
                          known(c->lineage.notebook), known(c->lineage.cell), known(c->lineage.run),
                          known(c->lineage.job), known(c->session), known(c->operation));
}

static bool take_lineage(const struct workspace_rows *rows, struct catalog_lineage *l)
{
    char **const texts[] = {&l->operation, &l->table, &l->principal, &l->notebook, &l->cell,
                            &l->run,       &l->job,   &l->session,   &l->call};
    bool ok = true;

    l->id = workspace_int(rows, 0);
    l->time_ms = workspace_int(rows, 1);
    l->version = workspace_int(rows, 2);
    for (int i = 0; i < (int)(sizeof texts / sizeof *texts); i++)
        ok = (*texts[i] = mem_strdup(workspace_text(rows, i + 3))) != NULL && ok;
    return ok;
}

static enum lc list_lineage(const struct ctx *ctx, void *self, const char *table, const char *run,
                            size_t limit, struct catalog_lineage_list *out, struct err *err)
{
    struct workspace_rows rows;
    enum lc rc = workspace_query(
        self, &rows, err,
        "SELECT id, time_ms, version, operation, name, principal, notebook, cell, run, job, "
        "session, call FROM catalog_lineage WHERE (?1 IS NULL OR name = ?1) AND (?2 IS NULL OR "
        "run = ?2) ORDER BY id DESC LIMIT ?3",
        "tti", table, run, limit ? (int64_t)limit : INT64_C(-1));

    (void)ctx;
    *out = (struct catalog_lineage_list){0};
    while (rc == LC_OK && workspace_next(&rows, &rc, err)) {
        struct catalog_lineage *more = mem_reallocn(out->rows, out->n + 1, sizeof *more);
        if (!more) {
            rc = err_nomem(err);
            break;
        }
        out->rows = more;
        out->rows[out->n] = (struct catalog_lineage){0};
        if (!take_lineage(&rows, &out->rows[out->n++]))
            rc = err_nomem(err);
    }
    workspace_rows_close(&rows);
    if (rc != LC_OK)
        catalog_lineage_list_release(out);
    return rc;
}

const struct catalog_ops catalog_local = {
    .name = "local",
    .close = local_close,
    .create_catalog = create_catalog,
    .drop_catalog = drop_catalog,
    .list_catalogs = list_catalogs,
    .create_schema = create_schema,
    .drop_schema = drop_schema,
    .list_schemas = list_schemas,
    .new_location = new_location,
    .create_table = create_table,
    .drop_table = drop_table,
    .get_table = get_table,
    .list_tables = list_tables,
    .rename_table = rename_table,
    .alter_table = alter_table,
    .alter_catalog = alter_catalog,
    .get_schema = get_schema,
    .alter_schema = alter_schema,
    .create_volume = create_volume,
    .drop_volume = drop_volume,
    .get_volume = get_volume,
    .alter_volume = alter_volume,
    .list_volumes = list_volumes,
    .add_lineage = add_lineage,
    .list_lineage = list_lineage,
};
