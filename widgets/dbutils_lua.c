/* dbutils_lua.c: the global `dbutils`: what its Lua part (runtime/lib/lacus/dbutils.lua) asks the session. */
#include "runtime/dbutils/dbutils_lua.h"
#include "widgets/widget_lua.h"
#include <string.h>
#include <unistd.h>

static int l_params(lua_State *L)
{
    json_t *params = session_params(session_of(L));

    if (params)
        session_push_parameter(L, params);
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

int dbutils_open(lua_State *L)
{
    static const luaL_Reg native[] = {{"params", l_params},          {"cell", l_cell}, {"rich", l_rich},
                                      {"raise", session_raise_text}, {"asks", l_asks}, {NULL, NULL}};

    session_require(L, "lacus.dbutils");
    luaL_newlib(L, native);
    lua_call(L, 1, 1);
    dbutils_add(L);
    return 1;
}
