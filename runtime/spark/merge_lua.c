/* merge_lua.c: df:mergeInto(…):merge(): a MERGE statement of Columns. Its parts lie in userdata and on the stack while it runs. */
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

/* {column = value, …} in a field of the table: everything stays on the stack. */
static void read_assignments(lua_State *L, int table, struct sql_merge_clause *c)
{
    const char **names;
    int n, list;

    if (lua_getfield(L, table, "assignments") == LUA_TNIL)
        return;
    list = lua_gettop(L);
    names = spark_keys(L, list, &n);
    luaL_checkstack(L, 2 * n + 16, "too many columns");
    c->assignments = lua_newuserdatauv(L, sizeof *c->assignments * (size_t)(n + 1), 0);
    for (int i = 0; i < n; i++) {
        lua_getfield(L, list, names[i]);
        c->assignments[i].path = (struct sql_names){&names[i], 1};
        c->assignments[i].value = column_arg(L, lua_gettop(L), COLUMN_SQL);
    }
    c->n = (size_t)n;
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
    read_assignments(L, table, c);
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

static void run(lua_State *L, const struct sql_statement *s)
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
    plan_unref(result);
    if (rc != LC_OK)
        session_raise(L, &err);
}

int dataframe_merge_into(lua_State *L) /* merge(df, table, condition, {clause, …}, with schema evolution) */
{
    struct sql_statement s = {.kind = SQL_MERGE, .by_name = lua_toboolean(L, 5)};
    const struct session_texts *name;
    struct err err;

    if (spark_is_remote(spark_of(L))) {
        err_clear(&err);
        err_set(&err, LC_UNSUPPORTED, "mergeInto is not there on a Spark server");
        err_hint(&err,
                 "spark:sql(\"MERGE INTO t USING {df} s ON t.id = s.id WHEN MATCHED THEN …\", {df = df})");
        return session_raise(L, &err);
    }
    s.plan = dataframe_check(L, 1);
    name = split_name(L, luaL_checkstring(L, 2));
    s.name = (struct sql_names){(const char *const *)name->list, name->n};
    s.condition = column_condition(L, 3);
    luaL_checktype(L, 4, LUA_TTABLE);
    s.n_clauses = (size_t)lua_rawlen(L, 4);
    s.clauses = lua_newuserdatauv(L, sizeof *s.clauses * (s.n_clauses + 1), 0);
    memset(s.clauses, 0, sizeof *s.clauses * (s.n_clauses + 1));
    for (size_t i = 0; i < s.n_clauses; i++) {
        luaL_checkstack(L, 16, "too many clauses");
        lua_rawgeti(L, 4, (lua_Integer)i + 1);
        read_clause(L, lua_gettop(L), &s.clauses[i]);
    }
    run(L, &s);
    return 0;
}
