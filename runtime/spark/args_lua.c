#include "runtime/spark/args_lua.h"
#include "runtime/base/nearest.h"
#include <string.h>

bool spark_is_plain_table(lua_State *L, int index)
{
    if (!lua_istable(L, index))
        return false;
    if (!lua_getmetatable(L, index))
        return true;
    lua_pop(L, 1);
    return false;
}

static int unknown_name(lua_State *L, const char *name, const char *const *names)
{
    struct buf near = BUF_INIT(512);
    size_t n = 0;

    while (names[n])
        n++;
    nearest_list(&near, name, names, n, 3);
    lua_pushfstring(L, "no argument is named '%s'%s%s", name, near.len ? ": did you mean " : "",
                    buf_str(&near));
    buf_release(&near);
    return lua_error(L);
}

static void check_names(lua_State *L, int table, const char *const *names)
{
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            continue;
        const char *name = lua_tostring(L, -2);
        size_t i = 0;
        while (names[i] && strcmp(names[i], name) != 0)
            i++;
        if (!names[i])
            unknown_name(L, name, names);
    }
}

void spark_args(lua_State *L, int first, const char *const *names)
{
    int n = 0, table = 0;

    while (names[n])
        n++;
    if (lua_gettop(L) == first && spark_is_plain_table(L, first)) {
        check_names(L, first, names);
        table = first;
    }
    if (!table) {
        if (lua_gettop(L) > first + n - 1)
            luaL_error(L, "at most %d argument%s expected", n, n == 1 ? "" : "s");
        lua_settop(L, first + n - 1);
        return;
    }
    luaL_checkstack(L, n + 4, NULL);
    for (int i = 0; i < n; i++)
        if (lua_rawgeti(L, table, i + 1) == LUA_TNIL) {
            lua_pop(L, 1);
            lua_getfield(L, table, names[i]);
        }
    lua_remove(L, table);
}

int spark_list(lua_State *L, int first)
{
    int n = lua_gettop(L) - first + 1;

    if (n != 1 || !spark_is_plain_table(L, first))
        return n < 0 ? 0 : n;
    n = (int)luaL_len(L, first);
    luaL_checkstack(L, n + 8, "too many columns");
    for (int i = 1; i <= n; i++)
        lua_rawgeti(L, first, i);
    lua_remove(L, first);
    return n;
}
