/* writer_v2_lua.c: df:writeTo(table) below Lua: rows in place of those of a condition, and Spark's WriteOperationV2 on a server. */
#include "runtime/catalog/files.h"
#include "runtime/spark/args_lua.h"
#include "runtime/spark/column_lua.h"
#include "runtime/spark/commands.h"
#include "runtime/spark/dataframe_int.h"
#include "runtime/spark/remote_lua.h"
#include <string.h>

static bool is_all(const struct expr *e) /* F.lit(true) */
{
    return e->kind == EXPR_LITERAL && !e->u.literal.is_null && e->u.literal.type->id == DTYPE_BOOLEAN &&
           e->u.literal.i;
}

/* overwrite(df, table, condition) -> done, on the embedded engine; false: the condition is true of every row, or there is no such
 * Delta table. */
int dataframe_overwrite(lua_State *L)
{
    struct spark_replace r = {.table = spark_text(L, 2), .filter = column_condition(L, 3)};
    struct spark_env env = {.spark = spark_of(L)};
    bool there = false;
    struct err err;

    if (is_all(r.filter))
        return lua_pushboolean(L, false), 1;
    err_clear(&err);
    if (spark_catalog(env.spark, &env.catalog, &err) != LC_OK ||
        spark_engine(env.spark, &env.engine, &err) != LC_OK ||
        spark_replace_rows(session_ctx(session_of(L)), &env, &r, dataframe_check(L, 1), &there, &err) !=
            LC_OK)
        return session_raise(L, &err);
    lua_pushboolean(L, there);
    return 1;
}

/* v1_table(name) -> its name in backticks, when it is a table of files; nil when it is none, or there is none. */
int dataframe_v1_table(lua_State *L)
{
    struct spark_env env = {.spark = spark_of(L)};
    const struct ctx *ctx = session_ctx(session_of(L));
    struct catalog_name name;
    struct catalog_table table;
    bool there = false, files;
    struct err err;

    err_clear(&err);
    if (spark_catalog(env.spark, &env.catalog, &err) != LC_OK ||
        catalog_complete(env.catalog, luaL_checkstring(L, 1), &name, &err) != LC_OK ||
        catalog_table_exists(ctx, env.catalog, &name, &there, &err) != LC_OK)
        return session_raise(L, &err);
    if (!there)
        return lua_pushnil(L), 1;
    if (catalog_get_table(ctx, env.catalog, &name, &table, &err) != LC_OK)
        return session_raise(L, &err);
    files = table.kind != CATALOG_VIEW && files_is_format(table.format);
    catalog_table_release(&table);
    if (files)
        lua_pushfstring(L, "`%s`.`%s`.`%s`", name.catalog, name.schema, name.table);
    else
        lua_pushnil(L);
    return 1;
}

static int l_options_gc(lua_State *L)
{
    plan_options_release(lua_touserdata(L, 1));
    return 0;
}

/* {key = value, …} in a field of the table, as texts; they stay on the stack. */
static const struct plan_options *options_of(lua_State *L, int table, const char *field)
{
    struct plan_options *o = lua_newuserdatauv(L, sizeof *o, 0);
    const char **keys;
    int n, values;

    memset(o, 0, sizeof *o);
    if (luaL_newmetatable(L, "lacus.WriterOptions")) {
        lua_pushcfunction(L, l_options_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    lua_getfield(L, table, field);
    luaL_checktype(L, -1, LUA_TTABLE);
    values = lua_gettop(L);
    keys = spark_keys(L, values, &n);
    for (int i = 0; i < n; i++) {
        lua_getfield(L, values, keys[i]);
        if (!plan_options_set(o, keys[i], luaL_tolstring(L, -1, NULL)))
            luaL_error(L, "out of memory");
        lua_pop(L, 2);
    }
    return o;
}

static struct expr **partitions_of(lua_State *L, int table, size_t *n)
{
    struct expr **list;
    int names;

    lua_getfield(L, table, "partitions");
    luaL_checktype(L, -1, LUA_TTABLE);
    names = lua_gettop(L);
    *n = (size_t)luaL_len(L, names);
    luaL_checkstack(L, (int)*n + 16, "too many columns");
    list = lua_newuserdatauv(L, sizeof(struct expr *) * (*n + 1), 0);
    for (size_t i = 0; i < *n; i++) {
        lua_geti(L, names, (lua_Integer)i + 1);
        list[i] = column_arg(L, lua_gettop(L), COLUMN_NAME);
    }
    return list;
}

static const char *text_of(lua_State *L, int table, const char *field) /* stays on the stack; NULL: none */
{
    return lua_getfield(L, table, field) == LUA_TNIL ? NULL : spark_text(L, -1);
}

/* save_v2(df, {table, mode, provider?, options, properties, partitions, condition?}): on a server. */
int dataframe_save_v2(lua_State *L)
{
    static const char *const modes[] = {
        "create", "overwrite", "overwritePartitions", "append", "replace", "createOrReplace", NULL};
    const struct plan *p = dataframe_check(L, 1);
    struct engine_save_v2 s = {.table = NULL};

    luaL_checktype(L, 2, LUA_TTABLE);
    s.table = text_of(L, 2, "table");
    luaL_argcheck(L, s.table, 2, "the name of a table expected");
    s.format = text_of(L, 2, "provider");
    lua_getfield(L, 2, "mode");
    s.mode = (enum engine_save_v2_mode)(SAVE_CREATE + luaL_checkoption(L, -1, NULL, modes));
    s.options = options_of(L, 2, "options");
    s.properties = options_of(L, 2, "properties");
    s.partition_by = partitions_of(L, 2, &s.n_partition);
    if (lua_getfield(L, 2, "condition") != LUA_TNIL)
        s.condition = column_condition(L, lua_gettop(L));
    return remote_save_v2(L, p, &s);
}
