/* missing_lua.c: lists of names, and what a DataFrame does about NULLs: dropna, fillna, df.na. */
#include "runtime/spark/args_lua.h"
#include "runtime/spark/column_lua.h"
#include "runtime/spark/dataframe_int.h"

/* The texts from index first on, n of them, as an array in a userdata; Columns that are plain names count too. */
const char **dataframe_names(lua_State *L, int first, int n)
{
    const char **names = lua_newuserdatauv(L, sizeof *names * (size_t)(n + 1), 0);

    for (int i = 0; i < n; i++) {
        const struct expr *e = column_at(L, first + i);
        if (e && e->kind == EXPR_ATTRIBUTE)
            names[i] = e->u.name.parts[e->u.name.n_parts - 1];
        else
            names[i] = spark_text(L, first + i);
    }
    return names;
}

/* names in a string or list at index; nil: none. Pushes the array. */
const char **dataframe_names_arg(lua_State *L, int index, int *n)
{
    const char **names;
    int first = lua_gettop(L) + 1;

    *n = 0;
    if (!lua_isnoneornil(L, index)) {
        lua_pushvalue(L, index);
        *n = spark_list(L, first);
    }
    names = dataframe_names(L, first, *n);
    return names;
}

int dataframe_dropna(lua_State *L)
{
    static const char *const names[] = {"how", "thresh", "subset", NULL};
    static const char *const hows[] = {"any", "all", NULL};
    const struct plan *p = dataframe_check(L, 1);
    int n;

    spark_args(L, 2, names);
    bool all = spark_choice(L, 2, "any", "'any' or 'all' expected, got", hows) == 1;
    int64_t thresh = luaL_optinteger(L, 3, all ? 1 : 0);
    const char **columns = dataframe_names_arg(L, 4, &n);
    if (!lua_isnil(L, 3) && thresh <= 0) { /* every row has at least no values */
        lua_settop(L, 1);
        return 1;
    }
    return dataframe_push(L, plan_na_drop(plan_ref(p), columns, (size_t)n, thresh));
}

static int fill_by_name(lua_State *L, const struct plan *p) /* the table is at 2, and the top */
{
    const char **columns;
    int n, first;

    columns = spark_keys(L, 2, &n);
    if (n == 0) {
        lua_settop(L, 1);
        return 1;
    }
    first = lua_gettop(L) + 1;
    luaL_checkstack(L, n + 8, NULL);
    for (int i = 0; i < n; i++) {
        int type = lua_getfield(L, 2, columns[i]);

        if (type != LUA_TSTRING && type != LUA_TNUMBER && type != LUA_TBOOLEAN && type != LUA_TUSERDATA)
            return luaL_error(L, "fillna: the value of '%s' must be a number, a text or a boolean, got %s",
                              columns[i], lua_islightuserdata(L, -1) ? "null" : luaL_typename(L, -1));
    }
    struct expr **values = column_list(L, first, n, COLUMN_VALUE);
    return dataframe_push(L, plan_na_fill(plan_ref(p), columns, (size_t)n, values, (size_t)n));
}

/* fillna(0), fillna("", {"a", "b"}), fillna{value = 0, subset = …}, fillna{column = value, …} */
static bool is_fill_by_name(lua_State *L)
{
    bool by_name = spark_is_plain_table(L, 2) && lua_rawlen(L, 2) == 0;

    if (by_name) {
        lua_getfield(L, 2, "value");
        by_name = lua_isnil(L, -1) || lua_istable(L, -1);
        lua_pop(L, 1);
    }
    return by_name;
}

int dataframe_fillna(lua_State *L)
{
    static const char *const names[] = {"value", "subset", NULL};
    const struct plan *p = dataframe_check(L, 1);
    struct expr *value;
    int n;

    if (is_fill_by_name(L)) {
        lua_settop(L, 2);
        if (lua_getfield(L, 2, "value") != LUA_TNIL)
            lua_replace(L, 2);
        lua_settop(L, 2);
        return fill_by_name(L, p);
    }
    if (spark_is_plain_table(L, 2))
        lua_settop(L, 2);
    spark_args(L, 2, names);
    column_arg(L, 2, COLUMN_VALUE);
    const char **columns = dataframe_names_arg(L, 3, &n);
    value = expr_ref(column_at(L, 2));
    return dataframe_push(L, plan_na_fill(plan_ref(p), columns, (size_t)n, &value, 1));
}

/* df.na.fill(…) and df.na:fill(…): the DataFrame becomes the first argument. Upvalues: df.na, the DataFrame. */
static void of_dataframe(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(2));
    if (lua_rawequal(L, 1, lua_upvalueindex(1)))
        lua_replace(L, 1);
    else
        lua_insert(L, 1);
}

static int na_fill(lua_State *L)
{
    of_dataframe(L);
    return dataframe_fillna(L);
}

static int na_drop(lua_State *L)
{
    of_dataframe(L);
    return dataframe_dropna(L);
}

static int na_replace(lua_State *L)
{
    of_dataframe(L);
    return dataframe_replace(L);
}

int dataframe_na(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"fill", na_fill}, {"drop", na_drop}, {"replace", na_replace}, {NULL, NULL}};

    luaL_newlibtable(L, functions);
    lua_pushvalue(L, -1);
    lua_pushvalue(L, 1);
    luaL_setfuncs(L, functions, 2);
    return 1;
}
