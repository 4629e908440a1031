/* restart_lua.c: a session as it was at its start, in the same process: what the front end knows of it stays. */
#include "runtime/dbutils/dbutils_lua.h"
#include "runtime/python/python_lua.h"
#include "runtime/session/session_lua.h"
#include <string.h>

/* Modules that were found as files are loaded anew when they are required again; those that came with lacus stay. */
static void forget_modules(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    int loaded = lua_gettop(L);
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "searchpath");
    int search = lua_gettop(L);
    lua_getfield(L, search - 1, "path");
    for (lua_pushnil(L); lua_next(L, loaded);) {
        lua_settop(L, search + 2); /* the key */
        if (lua_type(L, -1) != LUA_TSTRING || strncmp(lua_tostring(L, -1), "lacus.", 6) == 0)
            continue;
        lua_pushvalue(L, search);
        lua_pushvalue(L, search + 2);
        lua_pushvalue(L, search + 1);
        lua_call(L, 2, 1);
        if (!lua_isnil(L, -1)) {
            lua_pushvalue(L, search + 2);
            lua_pushnil(L);
            lua_rawset(L, loaded);
        }
        lua_settop(L, search + 2);
    }
    lua_settop(L, loaded - 1);
}

int restart_session(lua_State *L)
{
    int names;

    lua_settop(L, 0);
    session_user_names(L);
    names = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, names); lua_settop(L, names + 1))
        session_forget(L, lua_tostring(L, names + 1));
    lua_settop(L, 0);
    forget_modules(L);
    python_stop_kept(L);
    lua_gc(L, LUA_GCCOLLECT);
    return 0;
}
