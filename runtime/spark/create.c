/* CREATE and DROP. */
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/catalog/files.h"
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
    struct plan_options options = {0};
    struct catalog_save save = {
        .path = s->location, .write = *write, .format = format_of(s), .options = &options};
    struct delta_written done;
    enum lc rc = LC_OK;

    for (size_t i = 0; rc == LC_OK && i < s->n_options; i++)
        if (!plan_options_set(&options, s->options[i].name, s->options[i].value))
            rc = err_nomem(c->err);
    if (rc == LC_OK)
        rc = command_save(c, plan, &save, &done);
    plan_options_release(&options);
    return rc;
}

const struct plan *command_no_rows(const struct dtype *schema)
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

static enum lc unknown_format(struct command *c, const char *format)
{
    return err_set(c->err, LC_UNSUPPORTED,
                   "[DATA_SOURCE_NOT_FOUND] cannot make the table: Failed to find the data source: %s; there "
                   "are delta, parquet, csv, json and text. SQLSTATE: 42K02",
                   format);
}

/* The columns that the files at a place have. */
static enum lc guess_columns(struct command *c, const struct catalog_table *t, const struct dtype **out)
{
    struct plan_options options = {0};
    const char *place = t->location;
    const struct plan *read = NULL;
    enum lc rc = LC_OK;

    if (!place) {
        err_set(c->err, LC_ENGINE,
                "[UNABLE_TO_INFER_SCHEMA] Unable to infer schema for %s. It must be specified manually. "
                "SQLSTATE: 42KD9",
                t->format);
        return err_hint(c->err, "give the columns, or AS SELECT, or the LOCATION of files that are there");
    }
    for (size_t i = 0; rc == LC_OK && i < c->s->n_options; i++)
        if (!plan_options_set(&options, c->s->options[i].name, c->s->options[i].value))
            rc = err_nomem(c->err);
    if (rc == LC_OK && (read = plan_read_source(t->format, &place, 1, &options, NULL)) == NULL)
        rc = err_nomem(c->err);
    if (rc == LC_OK)
        rc = c->env->engine.ops->analyze(c->env->engine.engine, c->ctx, read, out, c->err);
    plan_unref(read);
    plan_options_release(&options);
    return rc;
}

/* Columns and partition columns of a table of files: given, or those of the files that are there. */
static enum lc fill_files(struct command *c, struct catalog_table *t)
{
    const struct sql_statement *s = c->s;
    const struct dtype *columns = s->schema ? dtype_ref(s->schema) : NULL, *schema = NULL;
    const char *const *partition_by = s->partition_by.items;
    size_t n = s->partition_by.n, n_guessed = 0;
    char full[3 * CATALOG_NAME_MAX], **guessed = NULL;
    enum lc rc = columns ? LC_OK : guess_columns(c, t, &columns);

    if (rc == LC_OK && !s->schema && n == 0) {
        rc = files_guess_partitions(t->location, &guessed, &n_guessed, c->err);
        partition_by = (const char *const *)guessed;
        n = n_guessed;
    }
    catalog_name_text(&t->name, full, sizeof full);
    if (rc == LC_OK)
        rc = files_schema(full, t->format, columns, partition_by, n, &schema, c->err);
    if (rc == LC_OK)
        rc = files_describe(t, schema, partition_by, n, c->err);
    if (rc == LC_OK && s->schema && t->location && !strpbrk(t->location, "*?[{") && !fs_exists(t->location))
        rc = fs_mkdirs(t->location, c->err);
    for (size_t i = 0; i < n_guessed; i++)
        mem_free(guessed[i]);
    mem_free(guessed);
    dtype_unref(columns);
    dtype_unref(schema);
    return rc;
}

static enum lc fill_table(struct command *c, struct catalog_table *t)
{
    const struct sql_statement *s = c->s;

    t->kind = s->location ? CATALOG_EXTERNAL : CATALOG_MANAGED;
    t->format = lower(format_of(s));
    t->comment = s->comment ? mem_strdup(s->comment) : NULL;
    t->properties = command_pairs(s->properties, s->n_properties);
    t->options = command_pairs(s->options, s->n_options);
    if (!t->format || !t->properties || !t->options)
        return err_nomem(c->err);
    if (s->location)
        TRY(place_of(c, s->location, &t->location));
    if (strcmp(t->format, "delta") == 0)
        return LC_OK;
    return files_is_format(t->format) ? fill_files(c, t) : unknown_format(c, t->format);
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
    const struct plan *plan = c->s->schema ? command_no_rows(c->s->schema) : NULL;
    enum lc rc;

    if (!c->s->schema)
        return err_set(c->err, LC_ARG, "CREATE OR REPLACE TABLE needs columns or AS SELECT");
    write.schema = c->s->schema;
    rc = plan ? create_as(c, plan, &write) : err_nomem(c->err);
    plan_unref(plan);
    return rc;
}

static enum lc cannot_replace(struct command *c)
{
    const char *name = c->s->name.items[c->s->name.n - 1];

    if (!files_is_format(c->s->format))
        return unknown_format(c, c->s->format);
    err_set(c->err, LC_UNSUPPORTED,
            "[UNSUPPORTED_FEATURE.TABLE_OPERATION] The feature is not supported: Table '%s' does not support "
            "REPLACE TABLE%s: its format is '%s'. SQLSTATE: 0A000",
            name, c->s->plan ? " AS SELECT" : "", c->s->format);
    return err_hint(c->err,
                    "DROP TABLE IF EXISTS %s, and CREATE TABLE; or leave USING out: Delta tables can be "
                    "replaced",
                    name);
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
    if (s->replace && strcasecmp(format_of(s), "delta") != 0)
        rc = cannot_replace(c);
    else if (s->plan)
        rc = create_as(c, s->plan, &write);
    else if (s->replace)
        rc = replace_empty(c, write);
    else
        rc = command_is_path(&s->name) ? create_path(c, &write) : create_empty(c, &write);
    mem_free(properties);
    return rc;
}

/* What CREATE TABLE … LIKE takes of the other table; all in the arena but the schema. */
static enum lc like_delta(struct command *c, const struct catalog_table *t, struct sql_statement *made)
{
    struct delta_snapshot *snapshot = NULL;
    const char **names;
    enum lc rc = delta_open(c->ctx, &c->env->engine, t->location, DELTA_LATEST, &snapshot, c->err);

    if (rc == LC_OK)
        rc =
            dtype_from_json_text(snapshot->schema_json, strlen(snapshot->schema_json), &made->schema, c->err);
    names =
        rc == LC_OK ? arena_zalloc(made->arena, (snapshot->n_partition_columns + 1) * sizeof *names) : NULL;
    for (size_t i = 0; names && i < snapshot->n_partition_columns; i++)
        names[i] = arena_strdup(made->arena, snapshot->partition_columns[i]);
    if (names)
        made->partition_by = (struct sql_names){names, snapshot->n_partition_columns};
    delta_close(snapshot);
    return rc == LC_OK && !names ? err_nomem(c->err) : rc;
}

static enum lc like_files(struct command *c, const struct catalog_table *t, struct sql_statement *made)
{
    const json_t *list = files_partitions(t);
    size_t n = json_array_size(list);
    const char **names = arena_zalloc(made->arena, (n + 1) * sizeof *names), *key;
    struct sql_property *options =
        arena_zalloc(made->arena, (json_object_size(t->options) + 1) * sizeof *options);
    json_t *value;

    if (!t->schema_json)
        return err_set(c->err, LC_DATA, "the catalog does not know the columns of '%s'", t->name.table);
    if (!names || !options)
        return err_nomem(c->err);
    for (size_t i = 0; i < n; i++)
        names[i] = arena_strdup(made->arena, json_string_value(json_array_get(list, i)));
    made->partition_by = (struct sql_names){names, n};
    if (!made->format) {
        made->format = arena_strdup(made->arena, t->format);
        made->options = options;
        made->n_options = 0;
        json_object_foreach (t->options, key, value)
            if (json_is_string(value))
                options[made->n_options++] = (struct sql_property){
                    arena_strdup(made->arena, key), arena_strdup(made->arena, json_string_value(value))};
    }
    return dtype_from_json_text(t->schema_json, strlen(t->schema_json), &made->schema, c->err);
}

/* CREATE TABLE a LIKE b: the columns, comments, partitions and format of b, without its rows. */
enum lc run_create_like(struct command *c)
{
    const struct sql_names from = c->s->source;
    struct sql_statement made = *c->s;
    struct command as = *c;
    struct catalog_name name;
    struct catalog_table t = {0};
    enum lc rc;

    TRY(catalog_complete_parts(c->env->catalog, from.items, from.n, &name, c->err));
    TRY(catalog_get_table(c->ctx, c->env->catalog, &name, &t, c->err));
    made.kind = SQL_CREATE_TABLE;
    made.schema = NULL;
    as.s = &made;
    if (t.kind == CATALOG_VIEW)
        rc = err_set(c->err, LC_UNSUPPORTED, "CREATE TABLE … LIKE takes a table, and '%s' is a view",
                     name.table);
    else
        rc = strcmp(t.format, "delta") == 0 ? like_delta(c, &t, &made) : like_files(c, &t, &made);
    if (rc == LC_OK)
        rc = run_create_table(&as);
    dtype_unref(made.schema);
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
