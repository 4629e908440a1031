/* dbutils_lua.c: the global `dbutils`: what its Lua part (runtime/lib/lacus/dbutils.lua) asks the session. */
#include "runtime/dbutils/dbutils_lua.h"
#include "widgets/widget_lua.h"
#include <string.h>
#include <unistd.h>

static int l_params(lua_State *L)
{
    json_t *params = session_params(session_of(L));

    if (params)
        session_push_json(L, params);
    else
        lua_newtable(L);
    return 1;
}

/* Another text in each cell. */
static int l_cell(lua_State *L)
{
    const struct ctx *ctx = session_ctx(session_of(L));

    lua_pushstring(L, ctx->operation ? ctx->operation : "");
    return 1;
}

static int l_rich(lua_State *L)
{
    lua_pushboolean(L, front_rich(L));
    return 1;
}

static int l_asks(lua_State *L)
{
    const struct frontend *f = session_frontend(session_of(L));

    lua_pushboolean(L, f->ops && f->ops->input && strcmp(f->ops->name, "repl") == 0 && isatty(STDIN_FILENO));
    return 1;
}

static int l_raise(lua_State *L) /* (code, message, hint) */
{
    struct err err;

    err_set(&err, lc_from_name(luaL_checkstring(L, 1)), "%s", luaL_checkstring(L, 2));
    if (*luaL_optstring(L, 3, ""))
        err_hint(&err, "%s", lua_tostring(L, 3));
    return session_raise(L, &err);
}

int dbutils_open(lua_State *L)
{
    static const luaL_Reg native[] = {{"params", l_params}, {"cell", l_cell}, {"rich", l_rich},
                                      {"raise", l_raise},   {"asks", l_asks}, {NULL, NULL}};

    lua_getglobal(L, "require");
    lua_pushliteral(L, "lacus.dbutils");
    lua_call(L, 1, 1);
    luaL_newlib(L, native);
    lua_call(L, 1, 1);
    dbutils_add(L);
    return 1;
}
