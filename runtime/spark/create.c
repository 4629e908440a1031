/* CREATE and DROP. */
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/catalog/resolve.h"
#include "runtime/dataframe/engines/engine.h"
#include "runtime/spark/command_int.h"
#include "runtime/spark/describe.h"
#include "runtime/spark/table.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---- CREATE TABLE ---- */
static const char *format_of(const struct sql_statement *s)
{
    return s->format ? s->format : "delta";
}

static struct delta_write write_of(const struct sql_statement *s, struct delta_property *properties)
{
    for (size_t i = 0; i < s->n_properties; i++)
        properties[i] = (struct delta_property){s->properties[i].name, s->properties[i].value};
    return (struct delta_write){.mode = s->replace         ? DELTA_OVERWRITE
                                        : s->if_not_exists ? DELTA_IGNORE
                                                           : DELTA_ERROR,
                                .partition_by = s->partition_by.items,
                                .n_partition_by = s->partition_by.n,
                                .replace = s->replace,
                                .create = true,
                                .description = s->comment,
                                .properties = properties,
                                .n_properties = s->n_properties};
}

static enum lc create_as(struct command *c, const struct plan *plan, const struct delta_write *write)
{
    const struct sql_statement *s = c->s;
    struct catalog_save save = {.path = s->location, .write = *write};
    struct delta_written done;

    if (strcasecmp(format_of(s), "delta") != 0)
        return err_set(c->err, LC_UNSUPPORTED,
                       "cannot make the table: AS SELECT writes Delta tables only, not '%s'", s->format);
    return command_save(c, plan, &save, &done);
}

/* A relation without rows that has these columns. */
static const struct plan *empty_plan(const struct dtype *schema)
{
    struct arena *a = arena_new(0);
    struct expr **cells = a ? arena_zalloc(a, (schema->n_fields + 1) * sizeof *cells) : NULL;
    const char **names = a ? arena_zalloc(a, (schema->n_fields + 1) * sizeof *names) : NULL;
    const struct plan *out = NULL;

    for (size_t i = 0; cells && names && i < schema->n_fields; i++) {
        names[i] = schema->fields[i].name;
        cells[i] = expr_cast(expr_null(), dtype_ref(schema->fields[i].type), false);
    }
    if (cells && names)
        out = plan_limit(plan_values(cells, 1, schema->n_fields, names), 0);
    arena_free(a);
    return out;
}

static enum lc same_schema(struct command *c, const char *location)
{
    struct delta_snapshot *t;
    const struct dtype *there = NULL;
    enum lc rc;

    TRY(delta_open(c->ctx, &c->env->engine, location, DELTA_LATEST, &t, c->err));
    rc = dtype_from_json_text(t->schema_json, strlen(t->schema_json), &there, c->err);
    delta_close(t);
    if (rc == LC_OK && c->s->schema && !dtype_same(there, c->s->schema)) {
        rc = err_set(
            c->err, LC_ENGINE,
            "[DELTA_CREATE_TABLE_SCHEME_MISMATCH] cannot make the table: there is one at '%s', and its "
            "columns are others",
            location);
        err_hint(c->err, "leave the columns out: they are those of the table that is there");
    }
    dtype_unref(there);
    return rc;
}

/* The Delta log of a new, empty table, unless the place has one. */
static enum lc make_log(struct command *c, const char *location, const struct delta_write *write)
{
    char *schema;
    bool exists;
    enum lc rc;

    TRY(delta_exists(c->ctx, location, &exists, c->err));
    if (exists)
        return same_schema(c, location);
    if (!c->s->schema) {
        err_set(c->err, LC_NOTFOUND, "cannot make the table: there is no Delta table at '%s'", location);
        return err_hint(c->err, "give the columns, or AS SELECT");
    }
    schema = dtype_json_text(c->s->schema);
    if (!schema)
        return err_nomem(c->err);
    rc = delta_create(c->ctx, location, schema, write, c->err);
    mem_free(schema);
    return rc;
}

static bool is_known_format(const char *format)
{
    static const char *const formats[] = {"parquet", "csv", "json", "text"};

    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (strcasecmp(formats[i], format) == 0)
            return true;
    return false;
}

json_t *command_pairs(const struct sql_property *p, size_t n)
{
    json_t *o = json_object();

    for (size_t i = 0; o && i < n; i++)
        if (json_object_set_new(o, p[i].name, json_string(p[i].value)) != 0) {
            json_decref(o);
            return NULL;
        }
    return o;
}

static char *lower(const char *text)
{
    char *out = mem_strdup(text);

    for (char *p = out; p && *p; p++)
        *p = (char)tolower((unsigned char)*p);
    return out;
}

/* A path of the statement as the catalog keeps it: absolute, or a URI. */
static enum lc place_of(struct command *c, const char *path, char **out)
{
    char *place;

    TRY(catalog_path(c->ctx, c->env->catalog, path, &place, c->err));
    *out = strchr(place, ':') ? mem_strdup(place) : fs_absolute(place);
    mem_free(place);
    return *out ? LC_OK : err_nomem(c->err);
}

static enum lc fill_table(struct command *c, struct catalog_table *t)
{
    const struct sql_statement *s = c->s;
    bool delta = strcasecmp(format_of(s), "delta") == 0;

    t->kind = s->location ? CATALOG_EXTERNAL : CATALOG_MANAGED;
    t->format = lower(format_of(s));
    t->comment = s->comment ? mem_strdup(s->comment) : NULL;
    t->properties = command_pairs(s->properties, s->n_properties);
    t->options = command_pairs(s->options, s->n_options);
    if (s->location)
        TRY(place_of(c, s->location, &t->location));
    if (s->schema && !delta)
        t->schema_json = dtype_json_text(s->schema);
    if (!t->format || !t->properties || !t->options)
        return err_nomem(c->err);
    if (delta || is_known_format(t->format)) {
        if (delta || s->location)
            return LC_OK;
        err_set(c->err, LC_UNSUPPORTED, "cannot make the table: a table of '%s' files needs a LOCATION",
                t->format);
        return err_hint(c->err, "leave USING out: a Delta table needs no LOCATION");
    }
    return err_set(c->err, LC_UNSUPPORTED,
                   "[DATA_SOURCE_NOT_FOUND] cannot make the table: the format '%s' is not "
                   "known (delta, parquet, csv, json, text)",
                   t->format);
}

static enum lc create_empty(struct command *c, const struct delta_write *write)
{
    struct catalog_table t = {0};
    bool exists;
    enum lc rc;

    TRY(catalog_complete_parts(c->env->catalog, c->s->name.items, c->s->name.n, &t.name, c->err));
    TRY(catalog_table_exists(c->ctx, c->env->catalog, &t.name, &exists, c->err));
    if (exists && c->s->if_not_exists)
        return LC_OK;
    if (exists) {
        char full[3 * CATALOG_NAME_MAX];
        catalog_name_text(&t.name, full, sizeof full);
        err_set(c->err, LC_EXISTS,
                "[TABLE_OR_VIEW_ALREADY_EXISTS] cannot make the table '%s': it is there already", full);
        return err_hint(c->err, "CREATE TABLE IF NOT EXISTS, or CREATE OR REPLACE TABLE");
    }
    rc = fill_table(c, &t);
    if (rc == LC_OK && !t.location)
        rc = catalog_new_location(c->ctx, c->env->catalog, &t.name, &t.location, c->err);
    if (rc == LC_OK && strcmp(t.format, "delta") == 0)
        rc = make_log(c, t.location, write);
    if (rc == LC_OK)
        rc = catalog_create_table(c->ctx, c->env->catalog, &t, c->err);
    if (rc != LC_OK && t.kind == CATALOG_MANAGED && t.location) {
        struct err ignored;
        if (fs_remove_tree(t.location, &ignored) != LC_OK)
            err_hint(c->err, "an empty folder is left at '%s'", t.location);
    }
    catalog_table_release(&t);
    return rc;
}

static enum lc create_path(struct command *c, const struct delta_write *write)
{
    char *location = fs_absolute(c->s->name.items[1]);
    bool exists = false;
    enum lc rc = location ? delta_exists(c->ctx, location, &exists, c->err) : err_nomem(c->err);

    if (rc == LC_OK && exists && !c->s->if_not_exists)
        rc = err_set(c->err, LC_EXISTS, "cannot make a table at '%s': there is one already", location);
    else if (rc == LC_OK && !exists)
        rc = make_log(c, location, write);
    mem_free(location);
    return rc;
}

static enum lc replace_empty(struct command *c, struct delta_write write)
{
    const struct plan *plan = c->s->schema ? empty_plan(c->s->schema) : NULL;
    enum lc rc;

    if (!c->s->schema)
        return err_set(c->err, LC_ARG, "CREATE OR REPLACE TABLE needs columns or AS SELECT");
    write.schema = c->s->schema;
    rc = plan ? create_as(c, plan, &write) : err_nomem(c->err);
    plan_unref(plan);
    return rc;
}

enum lc run_create_table(struct command *c)
{
    const struct sql_statement *s = c->s;
    struct delta_property *properties = mem_calloc(s->n_properties + 1, sizeof *properties);
    struct delta_write write;
    enum lc rc;

    if (!properties)
        return err_nomem(c->err);
    write = write_of(s, properties);
    if (s->plan)
        rc = create_as(c, s->plan, &write);
    else if (s->replace)
        rc = replace_empty(c, write);
    else
        rc = command_is_path(&s->name) ? create_path(c, &write) : create_empty(c, &write);
    mem_free(properties);
    return rc;
}

/* CREATE TABLE a LIKE b: the columns, comments and partitions of b, without its rows. */
enum lc run_create_like(struct command *c)
{
    const struct sql_names from = c->s->source;
    struct sql_statement made = *c->s;
    struct command as = *c;
    struct catalog_name name;
    struct catalog_table t = {0};
    struct delta_snapshot *snapshot = NULL;
    const struct dtype *schema = NULL;
    enum lc rc;

    TRY(catalog_complete_parts(c->env->catalog, from.items, from.n, &name, c->err));
    TRY(catalog_get_table(c->ctx, c->env->catalog, &name, &t, c->err));
    if (strcmp(t.format, "delta") != 0)
        rc = err_set(c->err, LC_UNSUPPORTED, "CREATE TABLE … LIKE takes a Delta table, and '%s' is '%s'",
                     name.table, t.format);
    else
        rc = delta_open(c->ctx, &c->env->engine, t.location, DELTA_LATEST, &snapshot, c->err);
    if (rc == LC_OK)
        rc = dtype_from_json_text(snapshot->schema_json, strlen(snapshot->schema_json), &schema, c->err);
    if (rc == LC_OK) {
        made.kind = SQL_CREATE_TABLE;
        made.schema = schema;
        made.partition_by = (struct sql_names){snapshot->partition_columns, snapshot->n_partition_columns};
        as.s = &made;
        rc = run_create_table(&as);
    }
    dtype_unref(schema);
    delta_close(snapshot);
    catalog_table_release(&t);
    return rc;
}

/* ---- catalogs, schemas, dropping ---- */
enum lc run_create_catalog(struct command *c)
{
    TRY(command_one_part(&c->s->name, "catalog", c->err));
    return catalog_create_catalog(c->ctx, c->env->catalog, c->s->name.items[0], c->s->comment,
                                  c->s->if_not_exists, c->err);
}

enum lc run_drop_catalog(struct command *c)
{
    TRY(command_one_part(&c->s->name, "catalog", c->err));
    return catalog_drop_catalog(c->ctx, c->env->catalog, c->s->name.items[0], c->s->cascade, c->s->if_exists,
                                c->err);
}

enum lc run_create_schema(struct command *c)
{
    const char *catalog, *schema;
    char *location = NULL;
    enum lc rc;

    TRY(command_schema(&c->s->name, &catalog, &schema, c->err));
    if (c->s->location && (location = fs_absolute(c->s->location)) == NULL)
        return err_nomem(c->err);
    rc = catalog_create_schema(c->ctx, c->env->catalog, catalog, schema, c->s->comment, location,
                               c->s->if_not_exists, c->err);
    mem_free(location);
    if (rc != LC_OK || c->s->n_properties == 0)
        return rc;
    return command_schema_properties(c, catalog, schema);
}

enum lc run_drop_schema(struct command *c)
{
    const char *catalog, *schema;

    TRY(command_schema(&c->s->name, &catalog, &schema, c->err));
    return catalog_drop_schema(c->ctx, c->env->catalog, catalog, schema, c->s->cascade, c->s->if_exists,
                               c->err);
}

/* What a name of the catalog is, without the errors of one that is not there. */
static enum lc kind_of(struct command *c, const struct catalog_name *name, bool *found,
                       enum catalog_kind *kind)
{
    struct catalog_table t = {0};
    enum lc rc;

    TRY(catalog_table_exists(c->ctx, c->env->catalog, name, found, c->err));
    if (!*found)
        return LC_OK;
    rc = catalog_get_table(c->ctx, c->env->catalog, name, &t, c->err);
    *kind = t.kind;
    catalog_table_release(&t);
    return rc;
}

static enum lc drop_named(struct command *c, bool view)
{
    struct catalog_name name;
    enum catalog_kind kind = CATALOG_MANAGED;
    bool found;

    if (catalog_drop_view_parts(c->env->catalog, c->s->name.items, c->s->name.n))
        return LC_OK;
    TRY(catalog_complete_parts(c->env->catalog, c->s->name.items, c->s->name.n, &name, c->err));
    TRY(kind_of(c, &name, &found, &kind));
    if (found && view && kind != CATALOG_VIEW) {
        char full[3 * CATALOG_NAME_MAX];
        catalog_name_text(&name, full, sizeof full);
        err_set(c->err, LC_ENGINE,
                "[WRONG_COMMAND_FOR_OBJECT_TYPE] The operation DROP VIEW requires a VIEW. But %s is a table. "
                "SQLSTATE: 42809",
                full);
        return err_hint(c->err, "DROP TABLE %s", full);
    }
    return catalog_drop_table(c->ctx, c->env->catalog, &name, c->s->if_exists, c->err);
}

enum lc run_drop_table(struct command *c)
{
    return drop_named(c, false);
}

enum lc run_drop_view(struct command *c)
{
    return drop_named(c, true);
}
