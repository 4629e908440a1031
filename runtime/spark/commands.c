#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/catalog/resolve.h"
#include "runtime/dataframe/engines/engine.h"
#include "runtime/dataframe/sqlgen/functions.h"
#include "runtime/spark/command_int.h"
#include "runtime/spark/describe.h"
#include "runtime/spark/spark.h"
#include "runtime/spark/table.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- queries ---- */
static enum lc run_query(struct command *c)
{
    /* here, where a failure can still be shown in its text */
    if (!plan_has_outer(c->s->plan))
        TRY(spark_analyze(c->ctx, c->env->spark, c->s->plan, c->err));
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

static enum lc run_use_catalog(struct command *c)
{
    TRY(command_one_part(&c->s->name, "catalog", c->err));
    return catalog_use(c->ctx, c->env->catalog, c->s->name.items[0], NULL, c->err);
}

/* USE a is a schema of the current catalog; when there is none, a catalog, as in Spark. */
static enum lc run_use(struct command *c)
{
    const char *catalog, *schema;
    struct err other;
    enum lc rc;

    TRY(command_schema(&c->s->name, &catalog, &schema, c->err));
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
        if (command_matches(c->s->pattern, all.items[i].name))
            table_text(&t, all.items[i].name);
    catalog_list_release(&all);
    return table_plan(&t, c->result, c->err);
}

static enum lc run_show_schemas(struct command *c)
{
    struct catalog_list all;
    struct table t = TABLE_INIT;

    if (c->s->name.n)
        TRY(command_one_part(&c->s->name, "catalog", c->err));
    TRY(catalog_list_schemas(c->ctx, c->env->catalog, c->s->name.n ? c->s->name.items[0] : NULL, &all,
                             c->err));
    table_column(&t, "namespace", DTYPE_STRING);
    for (size_t i = 0; i < all.n; i++)
        if (command_matches(c->s->pattern, all.items[i].name))
            table_text(&t, all.items[i].name);
    catalog_list_release(&all);
    return table_plan(&t, c->result, c->err);
}

struct shown { /* of SHOW TABLES, SHOW VIEWS, SHOW TABLE EXTENDED */
    const char *column;
    bool tables, extended;
};

static enum lc show_one(struct command *c, struct table *t, const struct shown *how, const char *catalog,
                        const char *space, const struct catalog_item *item)
{
    table_text(t, item->global ? "global_temp" : item->temporary ? "" : space);
    table_text(t, item->name);
    table_bool(t, item->temporary);
    if (!how->extended)
        return LC_OK;
    return describe_information(c->ctx, c->env, item, catalog, space, t, c->err);
}

static int by_name(const void *a, const void *b)
{
    const struct catalog_item *x = a, *y = b;

    return x->temporary != y->temporary ? (int)x->temporary - (int)y->temporary : strcmp(x->name, y->name);
}

static enum lc show_tables(struct command *c, const struct shown *how)
{
    struct catalog_list all;
    struct table t = TABLE_INIT;
    const char *catalog, *schema, *space;
    enum lc rc = LC_OK;

    TRY(command_schema(&c->s->name, &catalog, &schema, c->err));
    TRY(catalog_list_tables(c->ctx, c->env->catalog, catalog, schema, &all, c->err));
    if (all.n)
        qsort(all.items, all.n, sizeof *all.items, by_name);
    space = schema ? schema : catalog_current_schema(c->env->catalog);
    table_column(&t, "namespace", DTYPE_STRING);
    table_column(&t, how->column, DTYPE_STRING);
    table_column(&t, "isTemporary", DTYPE_BOOLEAN);
    if (how->extended)
        table_column(&t, "information", DTYPE_STRING);
    for (size_t i = 0; rc == LC_OK && i < all.n; i++)
        if (command_matches(c->s->pattern, all.items[i].name) && (how->tables || all.items[i].view))
            rc = show_one(c, &t, how, catalog, space, &all.items[i]);
    catalog_list_release(&all);
    if (rc == LC_OK)
        return table_plan(&t, c->result, c->err);
    table_release(&t);
    return rc;
}

static enum lc run_show_tables(struct command *c)
{
    return show_tables(c, &(struct shown){"tableName", true, false});
}

static enum lc run_show_extended(struct command *c)
{
    return show_tables(c, &(struct shown){"tableName", true, true});
}

static enum lc run_show_views(struct command *c)
{
    return show_tables(c, &(struct shown){"viewName", false, false});
}

static enum lc run_show_namespace(struct command *c)
{
    struct table t = TABLE_INIT;

    table_column(&t, "catalog", DTYPE_STRING);
    table_column(&t, "namespace", DTYPE_STRING);
    table_text(&t, catalog_current(c->env->catalog));
    table_text(&t, catalog_current_schema(c->env->catalog));
    return table_plan(&t, c->result, c->err);
}

/* ---- DESCRIBE ---- */
static enum lc run_show_columns(struct command *c)
{
    return describe_columns(c->ctx, c->env, &c->s->name, c->result, c->err);
}

static enum lc run_show_properties(struct command *c)
{
    return describe_properties(c->ctx, c->env, &c->s->name, c->s->key, c->result, c->err);
}

static enum lc run_show_partitions(struct command *c)
{
    return describe_partitions(c->ctx, c->env, c->s, c->result, c->err);
}

static enum lc run_describe_table(struct command *c)
{
    if (c->s->columns.n)
        return describe_column(c->ctx, c->env, c->s, c->result, c->err);
    return describe_table(c->ctx, c->env, &c->s->name, c->s->extended, c->result, c->err);
}

static enum lc run_describe_catalog(struct command *c)
{
    TRY(command_one_part(&c->s->name, "catalog", c->err));
    return describe_catalog(c->ctx, c->env, c->s->name.items[0], c->result, c->err);
}

static enum lc run_describe_schema(struct command *c)
{
    const char *catalog, *schema;

    TRY(command_schema(&c->s->name, &catalog, &schema, c->err));
    return describe_schema(c->ctx, c->env, catalog, schema, c->s->extended, c->result, c->err);
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
            (!c->s->pattern || command_matches(c->s->pattern, f->name)) && strncmp(f->name, "lua_", 4) != 0)
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
/* Nothing is stale and nothing is cached by name: only whether the table is there counts. */
static enum lc run_refresh(struct command *c)
{
    const struct plan *table, *resolved = NULL;
    enum lc rc;

    if (c->s->name.n == 0)
        return LC_OK;
    table = command_table(c);
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
static const char *local_zone(void)
{
    const char *zone = getenv("TZ");

    return zone && *zone ? zone : "UTC";
}

static enum lc run_set(struct command *c)
{
    struct table t = TABLE_INIT;
    const char *value = c->s->value;
    enum lc rc = LC_OK;

    if (value && strcmp(value, "LOCAL") == 0 && strcasecmp(c->s->key, "spark.sql.session.timeZone") == 0)
        value = local_zone();
    table_column(&t, "key", DTYPE_STRING);
    table_column(&t, "value", DTYPE_STRING);
    if (c->s->key && value)
        rc = spark_conf_set(c->env->spark, c->s->key, value, c->err);
    if (rc == LC_OK && c->s->key) {
        const char *now = value ? value : spark_conf_get(c->env->spark, c->s->key);
        table_text(&t, c->s->key);
        table_text(&t, now ? now : "<undefined>");
    } else if (rc == LC_OK) {
        const char *key, *now;
        for (size_t i = 0; spark_conf_at(c->env->spark, i, &key, &now); i++) {
            table_text(&t, key);
            table_text(&t, now);
        }
    }
    if (rc == LC_OK)
        return table_plan(&t, c->result, c->err);
    table_release(&t);
    return rc;
}

static enum lc run_reset(struct command *c)
{
    return spark_conf_unset(c->env->spark, c->s->key, c->err);
}

/* ---- CACHE ---- */
/* A table is read from its files each time: only what stands for a query is a view of its own. */
static enum lc run_cache(struct command *c)
{
    const struct sql_statement *s = c->s;

    if (!s->plan)
        return run_refresh(c);
    TRY(command_one_part(&s->name, "cached query", c->err));
    return catalog_put_view(c->env->catalog, s->name.items[0], s->plan, false, false, c->err);
}

static enum lc run_uncache(struct command *c)
{
    return run_refresh(c);
}

enum lc spark_command(const struct ctx *ctx, const struct spark_env *env, const struct sql_statement *s,
                      const struct plan **result, struct err *err)
{
    static enum lc (*const commands[SQL_KIND_COUNT])(struct command * c) = {
        [SQL_QUERY] = run_query,
        [SQL_EXPLAIN] = run_explain,
        [SQL_INSERT] = run_insert,
        [SQL_CREATE_TABLE] = run_create_table,
        [SQL_CREATE_LIKE] = run_create_like,
        [SQL_CREATE_VIEW] = run_create_view,
        [SQL_CREATE_CATALOG] = run_create_catalog,
        [SQL_CREATE_SCHEMA] = run_create_schema,
        [SQL_CREATE_VOLUME] = run_create_volume,
        [SQL_DROP_TABLE] = run_drop_table,
        [SQL_DROP_VIEW] = run_drop_view,
        [SQL_DROP_CATALOG] = run_drop_catalog,
        [SQL_DROP_SCHEMA] = run_drop_schema,
        [SQL_DROP_VOLUME] = run_drop_volume,
        [SQL_ALTER] = run_alter,
        [SQL_USE_CATALOG] = run_use_catalog,
        [SQL_USE] = run_use,
        [SQL_SHOW_CATALOGS] = run_show_catalogs,
        [SQL_SHOW_SCHEMAS] = run_show_schemas,
        [SQL_SHOW_TABLES] = run_show_tables,
        [SQL_SHOW_EXTENDED] = run_show_extended,
        [SQL_SHOW_VIEWS] = run_show_views,
        [SQL_SHOW_VOLUMES] = run_show_volumes,
        [SQL_SHOW_COLUMNS] = run_show_columns,
        [SQL_SHOW_PROPERTIES] = run_show_properties,
        [SQL_SHOW_PARTITIONS] = run_show_partitions,
        [SQL_SHOW_NAMESPACE] = run_show_namespace,
        [SQL_DESCRIBE_TABLE] = run_describe_table,
        [SQL_DESCRIBE_CATALOG] = run_describe_catalog,
        [SQL_DESCRIBE_SCHEMA] = run_describe_schema,
        [SQL_DESCRIBE_VOLUME] = run_describe_volume,
        [SQL_DESCRIBE_HISTORY] = run_describe_history,
        [SQL_DESCRIBE_DETAIL] = run_describe_detail,
        [SQL_DESCRIBE_QUERY] = run_describe_query,
        [SQL_SHOW_FUNCTIONS] = run_show_functions,
        [SQL_SHOW_CREATE] = run_show_create,
        [SQL_DESCRIBE_FUNCTION] = run_describe_function,
        [SQL_TRUNCATE] = run_truncate,
        [SQL_DELETE] = run_delete,
        [SQL_UPDATE] = run_update,
        [SQL_MERGE] = run_merge,
        [SQL_CACHE] = run_cache,
        [SQL_UNCACHE] = run_uncache,
        [SQL_REFRESH] = run_refresh,
        [SQL_SET] = run_set,
        [SQL_RESET] = run_reset,
        [SQL_LIST] = run_list,
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

/* Where there is no query to put them around, they are views for as long as the statement runs: their names are unique. */
static enum lc run_with_views(const struct ctx *ctx, const struct spark_env *env,
                              const struct sql_statement *s, const struct spark_sql_args *args,
                              const struct plan **result, struct err *err)
{
    size_t n = 0;
    enum lc rc = LC_OK;

    for (; rc == LC_OK && n < args->n_relations; n++)
        rc = catalog_put_view(env->catalog, args->relations[n].name, args->relations[n].plan, false, false,
                              err);
    if (rc == LC_OK)
        rc = spark_command(ctx, env, s, result, err);
    else
        n--;
    for (size_t i = 0; i < n; i++)
        catalog_drop_view(env->catalog, args->relations[i].name);
    return rc;
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
    else if (!s->plan && args->n_relations > 0)
        rc = run_with_views(ctx, env, s, args, result, err);
    else
        rc = spark_command(ctx, env, s, result, err);
    if (rc == LC_NOTFOUND && err && err->position < 0 &&
        s->name.n) /* the table that the statement is about */
        err_at(err, s->name_at);
    sql_release(s);
    return rc == LC_OK || !err ? rc : sql_place(text, len, err);
}
