#include "runtime/spark/commands.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/catalog/resolve.h"
#include "runtime/dataframe/engines/engine.h"
#include "runtime/dataframe/sqlgen/functions.h"
#include "runtime/spark/describe.h"
#include "runtime/spark/table.h"
#include <ctype.h>
#include <string.h>
#include <strings.h>

/* ---- names ---- */
/* "a.`b c`": as catalog_save wants it. Caller frees. */
static char *dotted(const struct sql_names *name)
{
    struct buf out = BUF_INIT(4 * CATALOG_NAME_MAX);

    for (size_t i = 0; i < name->n; i++) {
        if (i)
            buf_putc(&out, '.');
        name_quote(&out, name->items[i]);
    }
    return buf_take(&out);
}

static bool is_path(const struct sql_names *name)
{
    return name->n == 2 && strcasecmp(name->items[0], "delta") == 0;
}

/* Spark's patterns: * is anything, | is or, case does not matter. */
static bool matches_one(const char *pattern, size_t n, const char *name)
{
    if (n == 0)
        return *name == '\0';
    if (*pattern == '*') {
        for (;; name++) {
            if (matches_one(pattern + 1, n - 1, name))
                return true;
            if (*name == '\0')
                return false;
        }
    }
    return *name && tolower((unsigned char)*pattern) == tolower((unsigned char)*name) &&
           matches_one(pattern + 1, n - 1, name + 1);
}

static bool matches(const char *pattern, const char *name)
{
    while (pattern) {
        const char *bar = strchr(pattern, '|');
        size_t n = bar ? (size_t)(bar - pattern) : strlen(pattern);
        if (n < CATALOG_NAME_MAX && matches_one(pattern, n, name))
            return true;
        if (!bar)
            return false;
        pattern = bar + 1;
    }
    return true;
}

/* A schema's name of one or two parts. */
static enum lc schema_parts(const struct sql_names *name, const char **catalog, const char **schema,
                            struct err *err)
{
    *catalog = *schema = NULL;
    if (name->n > 2)
        return err_set(err, LC_ARG, "a schema has a name of one or two parts (catalog.schema), not %zu",
                       name->n);
    if (name->n == 2)
        *catalog = name->items[0];
    if (name->n > 0)
        *schema = name->items[name->n - 1];
    return LC_OK;
}

static enum lc one_part(const struct sql_names *name, const char *what, struct err *err)
{
    return name->n == 1 ? LC_OK : err_set(err, LC_ARG, "a %s has a name of one part, not %zu", what, name->n);
}

struct command { /* what every command gets */
    const struct ctx *ctx;
    const struct spark_env *env;
    const struct sql_statement *s;
    const struct plan **result;
    struct err *err;
};

/* ---- queries ---- */
static enum lc run_query(struct command *c)
{
    *c->result = plan_ref(c->s->plan);
    return LC_OK;
}

static enum explain_mode explain_mode_of(const char *word)
{
    static const struct {
        const char *word;
        enum explain_mode mode;
    } modes[] = {{"EXTENDED", EXPLAIN_EXTENDED},
                 {"FORMATTED", EXPLAIN_FORMATTED},
                 {"COST", EXPLAIN_COST},
                 {"CODEGEN", EXPLAIN_CODEGEN}};

    for (size_t i = 0; word && i < sizeof modes / sizeof *modes; i++)
        if (strcmp(modes[i].word, word) == 0)
            return modes[i].mode;
    return EXPLAIN_SIMPLE;
}

static enum lc run_explain(struct command *c)
{
    const struct engine_ops *ops = c->env->engine.ops;
    const struct plan *resolved;
    struct buf text = BUF_INIT(BUF_TEXT_MAX);
    struct table t = TABLE_INIT;
    enum lc rc;

    TRY(catalog_resolve_quietly(c->ctx, c->env->catalog, &c->env->engine, c->s->plan, &resolved, c->err));
    rc = ops->explain(c->env->engine.engine, c->ctx, resolved, explain_mode_of(c->s->key), &text, c->err);
    plan_unref(resolved);
    if (rc == LC_OK) {
        table_column(&t, "plan", DTYPE_STRING);
        table_text(&t, buf_str(&text));
        rc = table_plan(&t, c->result, c->err);
    }
    buf_release(&text);
    return rc;
}

static enum lc affected(struct command *c, int64_t rows)
{
    struct table t = TABLE_INIT;

    table_column(&t, "num_affected_rows", DTYPE_LONG);
    table_column(&t, "num_inserted_rows", DTYPE_LONG);
    table_long(&t, rows);
    table_long(&t, rows);
    return table_plan(&t, c->result, c->err);
}

static enum lc run_insert(struct command *c)
{
    const struct sql_statement *s = c->s;
    struct catalog_save save = {.insert = true, .by_name = s->by_name || s->columns.n > 0};
    const struct plan *plan = plan_ref(s->plan);
    struct delta_written done;
    char *name = NULL;
    enum lc rc = LC_OK;

    save.write.mode = s->overwrite ? DELTA_OVERWRITE : DELTA_APPEND;
    if (s->columns.n)
        plan = plan_to_df(plan, s->columns.items, s->columns.n);
    if (is_path(&s->name))
        save.path = s->name.items[1];
    else
        save.table = name = dotted(&s->name);
    if (!plan || (!save.table && !save.path))
        rc = err_nomem(c->err);
    if (rc == LC_OK)
        rc = catalog_save(c->ctx, c->env->catalog, &c->env->engine, plan, &save, &done, c->err);
    plan_unref(plan);
    mem_free(name);
    return rc == LC_OK ? affected(c, done.rows) : rc;
}

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
    char *name = NULL;
    enum lc rc;

    if (strcasecmp(format_of(s), "delta") != 0)
        return err_set(c->err, LC_UNSUPPORTED,
                       "cannot make the table: AS SELECT writes Delta tables only, not '%s'", s->format);
    if (is_path(&s->name))
        save.path = s->name.items[1];
    else if ((save.table = name = dotted(&s->name)) == NULL)
        return err_nomem(c->err);
    rc = catalog_save(c->ctx, c->env->catalog, &c->env->engine, plan, &save, &done, c->err);
    mem_free(name);
    return rc;
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

static json_t *pairs(const struct sql_property *p, size_t n)
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

static enum lc fill_table(struct command *c, struct catalog_table *t)
{
    const struct sql_statement *s = c->s;
    bool delta = strcasecmp(format_of(s), "delta") == 0;

    t->kind = s->location ? CATALOG_EXTERNAL : CATALOG_MANAGED;
    t->format = lower(format_of(s));
    t->comment = s->comment ? mem_strdup(s->comment) : NULL;
    t->properties = pairs(s->properties, s->n_properties);
    t->options = pairs(s->options, s->n_options);
    if (s->location)
        t->location = strchr(s->location, ':') ? mem_strdup(s->location) : fs_absolute(s->location);
    if (s->schema && !delta)
        t->schema_json = dtype_json_text(s->schema);
    if (!t->format || !t->properties || !t->options || (s->location && !t->location))
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

static enum lc replace_empty(struct command *c, const struct delta_write *write)
{
    const struct plan *plan = c->s->schema ? empty_plan(c->s->schema) : NULL;
    enum lc rc;

    if (!c->s->schema)
        return err_set(c->err, LC_ARG, "CREATE OR REPLACE TABLE needs columns or AS SELECT");
    rc = plan ? create_as(c, plan, write) : err_nomem(c->err);
    plan_unref(plan);
    return rc;
}

static enum lc run_create_table(struct command *c)
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
        rc = replace_empty(c, &write);
    else
        rc = is_path(&s->name) ? create_path(c, &write) : create_empty(c, &write);
    mem_free(properties);
    return rc;
}

/* ---- views ---- */
static enum lc run_create_view(struct command *c)
{
    const struct sql_statement *s = c->s;
    const struct plan *plan = plan_ref(s->plan), *resolved = NULL;
    const struct dtype *schema = NULL;
    enum lc rc = LC_OK;

    if (s->if_not_exists && catalog_view(c->env->catalog, s->name.items[0])) {
        plan_unref(plan);
        return LC_OK;
    }
    if (s->columns.n)
        plan = plan_to_df(plan, s->columns.items, s->columns.n);
    if (!plan)
        return err_nomem(c->err);
    /* what is wrong with the query is said now, not when the view is read */
    rc = catalog_resolve_quietly(c->ctx, c->env->catalog, &c->env->engine, plan, &resolved, c->err);
    if (rc == LC_OK && c->env->engine.ops)
        rc = c->env->engine.ops->analyze(c->env->engine.engine, c->ctx, resolved, &schema, c->err);
    if (rc == LC_OK)
        rc = catalog_put_view(c->env->catalog, s->name.items[0], plan, s->replace, c->err);
    dtype_unref(schema);
    plan_unref(resolved);
    plan_unref(plan);
    return rc;
}

static enum lc run_drop_view(struct command *c)
{
    if (c->s->name.n == 1 && catalog_drop_view(c->env->catalog, c->s->name.items[0]))
        return LC_OK;
    if (c->s->if_exists)
        return LC_OK;
    return err_set(c->err, LC_NOTFOUND, "[VIEW_NOT_FOUND] cannot find the temporary view '%s'",
                   c->s->name.items[c->s->name.n - 1]);
}

/* ---- catalogs, schemas, dropping ---- */
static enum lc run_create_catalog(struct command *c)
{
    TRY(one_part(&c->s->name, "catalog", c->err));
    return catalog_create_catalog(c->ctx, c->env->catalog, c->s->name.items[0], c->s->comment,
                                  c->s->if_not_exists, c->err);
}

static enum lc run_drop_catalog(struct command *c)
{
    TRY(one_part(&c->s->name, "catalog", c->err));
    return catalog_drop_catalog(c->ctx, c->env->catalog, c->s->name.items[0], c->s->cascade, c->s->if_exists,
                                c->err);
}

static enum lc run_create_schema(struct command *c)
{
    const char *catalog, *schema;
    char *location = NULL;
    enum lc rc;

    TRY(schema_parts(&c->s->name, &catalog, &schema, c->err));
    if (c->s->location && (location = fs_absolute(c->s->location)) == NULL)
        return err_nomem(c->err);
    rc = catalog_create_schema(c->ctx, c->env->catalog, catalog, schema, c->s->comment, location,
                               c->s->if_not_exists, c->err);
    mem_free(location);
    return rc;
}

static enum lc run_drop_schema(struct command *c)
{
    const char *catalog, *schema;

    TRY(schema_parts(&c->s->name, &catalog, &schema, c->err));
    return catalog_drop_schema(c->ctx, c->env->catalog, catalog, schema, c->s->cascade, c->s->if_exists,
                               c->err);
}

static enum lc run_drop_table(struct command *c)
{
    struct catalog_name name;

    if (c->s->name.n == 1 && catalog_drop_view(c->env->catalog, c->s->name.items[0]))
        return LC_OK;
    TRY(catalog_complete_parts(c->env->catalog, c->s->name.items, c->s->name.n, &name, c->err));
    return catalog_drop_table(c->ctx, c->env->catalog, &name, c->s->if_exists, c->err);
}

static enum lc run_use_catalog(struct command *c)
{
    TRY(one_part(&c->s->name, "catalog", c->err));
    return catalog_use(c->ctx, c->env->catalog, c->s->name.items[0], NULL, c->err);
}

/* USE a is a schema of the current catalog; when there is none, a catalog, as in Spark. */
static enum lc run_use(struct command *c)
{
    const char *catalog, *schema;
    struct err other;
    enum lc rc;

    TRY(schema_parts(&c->s->name, &catalog, &schema, c->err));
    rc = catalog_use(c->ctx, c->env->catalog, catalog, schema, c->err);
    if (rc == LC_NOTFOUND && !catalog && catalog_use(c->ctx, c->env->catalog, schema, NULL, &other) == LC_OK)
        return LC_OK;
    return rc;
}

/* ---- SHOW ---- */
static enum lc run_show_catalogs(struct command *c)
{
    struct catalog_list all;
    struct table t = TABLE_INIT;

    TRY(catalog_list_catalogs(c->ctx, c->env->catalog, &all, c->err));
    table_column(&t, "catalog", DTYPE_STRING);
    for (size_t i = 0; i < all.n; i++)
        if (matches(c->s->pattern, all.items[i].name))
            table_text(&t, all.items[i].name);
    catalog_list_release(&all);
    return table_plan(&t, c->result, c->err);
}

static enum lc run_show_schemas(struct command *c)
{
    struct catalog_list all;
    struct table t = TABLE_INIT;

    if (c->s->name.n)
        TRY(one_part(&c->s->name, "catalog", c->err));
    TRY(catalog_list_schemas(c->ctx, c->env->catalog, c->s->name.n ? c->s->name.items[0] : NULL, &all,
                             c->err));
    table_column(&t, "namespace", DTYPE_STRING);
    for (size_t i = 0; i < all.n; i++)
        if (matches(c->s->pattern, all.items[i].name))
            table_text(&t, all.items[i].name);
    catalog_list_release(&all);
    return table_plan(&t, c->result, c->err);
}

static enum lc show_tables(struct command *c, const char *column, bool tables)
{
    struct catalog_list all;
    struct table t = TABLE_INIT;
    const char *catalog, *schema;

    TRY(schema_parts(&c->s->name, &catalog, &schema, c->err));
    TRY(catalog_list_tables(c->ctx, c->env->catalog, catalog, schema, &all, c->err));
    table_column(&t, "namespace", DTYPE_STRING);
    table_column(&t, column, DTYPE_STRING);
    table_column(&t, "isTemporary", DTYPE_BOOLEAN);
    for (size_t i = 0; i < all.n; i++)
        if (matches(c->s->pattern, all.items[i].name) && (tables || all.items[i].temporary)) {
            table_text(&t, all.items[i].temporary ? ""
                           : schema               ? schema
                                                  : catalog_current_schema(c->env->catalog));
            table_text(&t, all.items[i].name);
            table_bool(&t, all.items[i].temporary);
        }
    catalog_list_release(&all);
    return table_plan(&t, c->result, c->err);
}

static enum lc run_show_tables(struct command *c)
{
    return show_tables(c, "tableName", true);
}

static enum lc run_show_views(struct command *c)
{
    return show_tables(c, "viewName", false);
}

/* ---- DESCRIBE ---- */
static enum lc run_show_columns(struct command *c)
{
    return describe_columns(c->ctx, c->env, &c->s->name, c->result, c->err);
}

static enum lc run_show_properties(struct command *c)
{
    return describe_properties(c->ctx, c->env, &c->s->name, c->result, c->err);
}

static enum lc run_describe_table(struct command *c)
{
    return describe_table(c->ctx, c->env, &c->s->name, c->s->extended, c->result, c->err);
}

static enum lc run_describe_schema(struct command *c)
{
    const char *catalog, *schema;

    TRY(schema_parts(&c->s->name, &catalog, &schema, c->err));
    return describe_schema(c->ctx, c->env, catalog, schema, c->result, c->err);
}

static enum lc run_describe_history(struct command *c)
{
    return describe_history(c->ctx, c->env, &c->s->name, c->result, c->err);
}

static enum lc run_describe_detail(struct command *c)
{
    return describe_detail(c->ctx, c->env, &c->s->name, c->result, c->err);
}

static enum lc run_describe_query(struct command *c)
{
    return describe_query(c->ctx, c->env, c->s->plan, c->result, c->err);
}

/* ---- functions ---- */
static enum lc run_show_functions(struct command *c)
{
    struct table t = TABLE_INIT;

    table_column(&t, "function", DTYPE_STRING);
    for (const struct function *f = function_rows(); f->name; f++)
        if ((f == function_rows() || strcmp(f[-1].name, f->name) != 0) &&
            (!c->s->pattern || matches(c->s->pattern, f->name)) && strncmp(f->name, "lua_", 4) != 0)
            table_text(&t, f->name);
    return table_plan(&t, c->result, c->err);
}

static void function_line(struct table *t, const char *what, const char *text)
{
    struct buf line = BUF_INIT(1 << 16);

    buf_printf(&line, "%s%s", what, text);
    table_text(t, buf_str(&line));
    buf_release(&line);
}

static enum lc run_describe_function(struct command *c)
{
    const char *name = c->s->name.items[c->s->name.n - 1];
    char lower[80];
    size_t n = 0;
    const struct function *f;
    struct table t = TABLE_INIT;

    for (; name[n] && n < sizeof lower - 1; n++)
        lower[n] = (char)tolower((unsigned char)name[n]);
    lower[n] = '\0';
    f = function_named(lower);
    if (!f) {
        const struct missing_function *missing = function_missing(lower);

        return missing ? err_set(c->err, LC_NOTFOUND, "the function '%s' of Spark is not there: %s", name,
                                 missing->why)
                       : err_set(c->err, LC_NOTFOUND,
                                 "[ROUTINE_NOT_FOUND] The routine %s cannot be found. SQLSTATE: 42883", name);
    }
    table_column(&t, "function_desc", DTYPE_STRING);
    function_line(&t, "Function: ", f->name);
    function_line(&t, "Usage: ", f->usage);
    function_line(&t, "", f->doc);
    for (; c->s->extended && f->name && strcmp(f->name, lower) == 0; f++) {
        if (f->example)
            function_line(&t, "Example: SELECT ", f->example);
        if (f->note)
            function_line(&t, "Note: ", f->note);
    }
    return table_plan(&t, c->result, c->err);
}

/* ---- tables that are there ---- */
static const struct plan *named_table(struct command *c)
{
    static const struct plan_options none;

    return plan_read_table(c->s->name.items, c->s->name.n, &none);
}

static enum lc run_truncate(struct command *c)
{
    struct catalog_save save = {.insert = true, .write.mode = DELTA_OVERWRITE};
    const struct plan *none = plan_limit(named_table(c), 0);
    struct delta_written done;
    char *name = dotted(&c->s->name);
    enum lc rc = none && name ? LC_OK : err_nomem(c->err);

    if (is_path(&c->s->name))
        save.path = c->s->name.items[1];
    else
        save.table = name;
    if (rc == LC_OK)
        rc = catalog_save(c->ctx, c->env->catalog, &c->env->engine, none, &save, &done, c->err);
    plan_unref(none);
    mem_free(name);
    return rc;
}

/* Nothing is stale and nothing is cached by name: only whether the table is there counts. */
static enum lc run_refresh(struct command *c)
{
    const struct plan *table, *resolved = NULL;
    enum lc rc;

    if (c->s->name.n == 0)
        return LC_OK;
    table = named_table(c);
    rc = table ? catalog_resolve_quietly(c->ctx, c->env->catalog, &c->env->engine, table, &resolved, c->err)
               : err_nomem(c->err);
    plan_unref(table);
    plan_unref(resolved);
    return rc == LC_NOTFOUND && c->s->if_exists ? LC_OK : rc;
}

static enum lc run_show_create(struct command *c)
{
    return describe_create(c->ctx, c->env, &c->s->name, c->result, c->err);
}

/* ---- SET ---- */
static enum lc run_set(struct command *c)
{
    struct table t = TABLE_INIT;

    if (c->s->key && c->s->value)
        TRY(c->env->engine.ops->set_conf(c->env->engine.engine, c->s->key, c->s->value, c->err));
    table_column(&t, "key", DTYPE_STRING);
    table_column(&t, "value", DTYPE_STRING);
    if (c->s->key) {
        table_text(&t, c->s->key);
        table_text(&t, c->s->value ? c->s->value : "<undefined>");
    }
    return table_plan(&t, c->result, c->err);
}

enum lc spark_command(const struct ctx *ctx, const struct spark_env *env, const struct sql_statement *s,
                      const struct plan **result, struct err *err)
{
    static enum lc (*const commands[SQL_KIND_COUNT])(struct command * c) = {
        [SQL_QUERY] = run_query,
        [SQL_EXPLAIN] = run_explain,
        [SQL_INSERT] = run_insert,
        [SQL_CREATE_TABLE] = run_create_table,
        [SQL_CREATE_VIEW] = run_create_view,
        [SQL_CREATE_CATALOG] = run_create_catalog,
        [SQL_CREATE_SCHEMA] = run_create_schema,
        [SQL_DROP_TABLE] = run_drop_table,
        [SQL_DROP_VIEW] = run_drop_view,
        [SQL_DROP_CATALOG] = run_drop_catalog,
        [SQL_DROP_SCHEMA] = run_drop_schema,
        [SQL_USE_CATALOG] = run_use_catalog,
        [SQL_USE] = run_use,
        [SQL_SHOW_CATALOGS] = run_show_catalogs,
        [SQL_SHOW_SCHEMAS] = run_show_schemas,
        [SQL_SHOW_TABLES] = run_show_tables,
        [SQL_SHOW_VIEWS] = run_show_views,
        [SQL_SHOW_COLUMNS] = run_show_columns,
        [SQL_SHOW_PROPERTIES] = run_show_properties,
        [SQL_DESCRIBE_TABLE] = run_describe_table,
        [SQL_DESCRIBE_SCHEMA] = run_describe_schema,
        [SQL_DESCRIBE_HISTORY] = run_describe_history,
        [SQL_DESCRIBE_DETAIL] = run_describe_detail,
        [SQL_DESCRIBE_QUERY] = run_describe_query,
        [SQL_SHOW_FUNCTIONS] = run_show_functions,
        [SQL_SHOW_CREATE] = run_show_create,
        [SQL_DESCRIBE_FUNCTION] = run_describe_function,
        [SQL_TRUNCATE] = run_truncate,
        [SQL_REFRESH] = run_refresh,
        [SQL_SET] = run_set,
    };
    struct command c = {ctx, env, s, result, err};

    *result = NULL;
    TRY(ctx_check(ctx, err));
    return commands[s->kind](&c);
}

/* The statement's names for relations are common table expressions around its query. */
static bool add_relations(struct sql_statement *s, const struct spark_relation *relations, size_t n)
{
    const char **names = mem_calloc(n, sizeof *names);
    const struct plan **plans = mem_calloc(n, sizeof *plans);
    bool ok = names && plans;

    for (size_t i = 0; ok && i < n; i++) {
        names[i] = relations[i].name;
        plans[i] = plan_ref(relations[i].plan);
    }
    if (ok)
        s->plan = plan_with(names, plans, n, s->plan);
    mem_free(names);
    mem_free(plans);
    return ok && s->plan;
}

enum lc spark_sql(const struct ctx *ctx, const struct spark_env *env, const char *text, size_t len,
                  const struct spark_sql_args *args, const struct plan **result, struct err *err)
{
    struct sql_statement *s;
    enum lc rc;

    *result = NULL;
    TRY(sql_parse(text, len, args->parameters, args->n_parameters, &s, err));
    if (s->plan && args->n_relations > 0 && !add_relations(s, args->relations, args->n_relations))
        rc = err_nomem(err);
    else
        rc = spark_command(ctx, env, s, result, err);
    sql_release(s);
    return rc;
}
