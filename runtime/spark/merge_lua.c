/* merge_lua.c: df:mergeInto(…):merge(), and MERGE, UPDATE and DELETE of a DeltaTable: statements of Columns. Their parts lie in
 * userdata and on the stack while they run. */
#include "runtime/base/mem.h"
#include "runtime/spark/args_lua.h"
#include "runtime/spark/column_lua.h"
#include "runtime/spark/commands.h"
#include "runtime/spark/dataframe_int.h"
#include <string.h>

static int word_of(lua_State *L, int table, const char *field, const char *const *words)
{
    int i;

    lua_getfield(L, table, field);
    i = luaL_checkoption(L, -1, NULL, words);
    lua_pop(L, 1);
    return i;
}

/* A condition in a field of the table; it stays on the stack. NULL: none. */
static struct expr *condition_of(lua_State *L, int table)
{
    if (lua_getfield(L, table, "condition") == LUA_TNIL)
        return NULL;
    return column_condition(L, lua_gettop(L));
}

/* {column = value, …} at the top: everything stays on the stack. */
static struct sql_assignment *assignments_at_top(lua_State *L, size_t *count)
{
    int n, list = lua_gettop(L);
    const char **names = spark_keys(L, list, &n);
    struct sql_assignment *out;

    luaL_checkstack(L, 2 * n + 16, "too many columns");
    out = lua_newuserdatauv(L, sizeof *out * (size_t)(n + 1), 0);
    for (int i = 0; i < n; i++) {
        lua_getfield(L, list, names[i]);
        out[i].path = (struct sql_names){&names[i], 1};
        out[i].value = column_arg(L, lua_gettop(L), COLUMN_SQL);
    }
    *count = (size_t)n;
    return out;
}

static void read_clause(lua_State *L, int table, struct sql_merge_clause *c)
{
    static const char *const whens[] = {"matched", "not_matched", "not_matched_by_source", NULL};
    static const char *const thens[] = {"update", "delete", "insert", NULL};

    c->when = (enum sql_merge_when)word_of(L, table, "when", whens);
    c->then = (enum sql_merge_then)word_of(L, table, "action", thens);
    lua_getfield(L, table, "star");
    c->star = lua_toboolean(L, -1);
    lua_pop(L, 1);
    c->condition = condition_of(L, table);
    if (lua_getfield(L, table, "assignments") != LUA_TNIL)
        c->assignments = assignments_at_top(L, &c->n);
}

static struct session_texts *split_name(lua_State *L, const char *text)
{
    struct session_texts *parts = session_texts(L);
    struct err err;

    err_clear(&err);
    if (name_split(text, &parts->list, &parts->n, &err) != LC_OK)
        session_raise(L, &err);
    return parts;
}

static int run(lua_State *L, const struct sql_statement *s) /* its result, if it has one */
{
    struct spark_env env = {.spark = spark_of(L)};
    const struct plan *result = NULL;
    struct err err;
    enum lc rc;

    err_clear(&err);
    rc = spark_catalog(env.spark, &env.catalog, &err);
    if (rc == LC_OK)
        rc = spark_engine(env.spark, &env.engine, &err);
    if (rc == LC_OK)
        rc = spark_command(session_ctx(session_of(L)), &env, s, &result, &err);
    if (rc != LC_OK) {
        plan_unref(result);
        return session_raise(L, &err);
    }
    return result ? dataframe_push(L, result) : 0;
}

static struct sql_names name_at(lua_State *L, int index)
{
    const struct session_texts *name = split_name(L, spark_text(L, index));

    return (struct sql_names){(const char *const *)name->list, name->n};
}

/* merge(df, table, condition, {clause, …}, with schema evolution, alias or nil, condition's text or nil) -> DataFrame of what changed */
int dataframe_merge_into(lua_State *L)
{
    struct sql_statement s = {.kind = SQL_MERGE, .by_name = lua_toboolean(L, 5)};
    struct err err;

    lua_settop(L, 7);
    if (spark_is_remote(spark_of(L))) {
        err_clear(&err);
        err_set(&err, LC_UNSUPPORTED, "mergeInto is not there on a Spark server");
        err_hint(&err,
                 "spark:sql(\"MERGE INTO t USING {df} s ON t.id = s.id WHEN MATCHED THEN …\", {df = df})");
        return session_raise(L, &err);
    }
    s.plan = dataframe_check(L, 1);
    s.condition = column_condition(L, 3);
    s.text = luaL_optstring(L, 7, NULL);
    luaL_checktype(L, 4, LUA_TTABLE);
    s.alias = luaL_optstring(L, 6, NULL);
    s.name = name_at(L, 2);
    s.n_clauses = (size_t)lua_rawlen(L, 4);
    s.clauses = lua_newuserdatauv(L, sizeof *s.clauses * (s.n_clauses + 1), 0);
    memset(s.clauses, 0, sizeof *s.clauses * (s.n_clauses + 1));
    for (size_t i = 0; i < s.n_clauses; i++) {
        luaL_checkstack(L, 16, "too many clauses");
        lua_rawgeti(L, 4, (lua_Integer)i + 1);
        read_clause(L, lua_gettop(L), &s.clauses[i]);
    }
    return run(L, &s);
}

/* change(table, alias or nil, condition or nil, {column = value, …} or nil: its rows go, condition's text or nil) -> DataFrame of what changed */
int dataframe_change_rows(lua_State *L)
{
    struct sql_statement s = {.kind = lua_isnoneornil(L, 4) ? SQL_DELETE : SQL_UPDATE};

    lua_settop(L, 5);
    s.alias = luaL_optstring(L, 2, NULL);
    s.text = luaL_optstring(L, 5, NULL);
    if (!lua_isnil(L, 3))
        s.condition = column_condition(L, 3);
    s.name = name_at(L, 1);
    if (s.kind == SQL_UPDATE) {
        luaL_checktype(L, 4, LUA_TTABLE);
        lua_pushvalue(L, 4);
        s.assignments = assignments_at_top(L, &s.n_assignments);
    }
    return run(L, &s);
}

int dataframe_alias_of(lua_State *L) /* alias_of(df): its alias, or nil */
{
    const struct plan *p = dataframe_check(L, 1);

    if (p->kind != PLAN_ALIAS || p->n_names != 1)
        return 0;
    lua_pushstring(L, p->names[0]);
    return 1;
}
