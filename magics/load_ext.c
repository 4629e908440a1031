/* %load_ext, %unload_ext and %reload_ext: Lua modules with load_ext(session). */
#include "magics/line.h"
#include "magics/magics.h"
#include "magics/options.h"
#include "runtime/session/magic_lua.h"
#include <string.h>

static int l_run(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);

    return session_run_text(L, text, len, "extension");
}

static int l_say(lua_State *L)
{
    line_print(L, "%s", luaL_checkstring(L, 1));
    return 0;
}

static void push_core(lua_State *L)
{
    static const luaL_Reg native[] = {{"register", magic_lua_register},
                                      {"run", l_run},
                                      {"raise", session_raise_text},
                                      {"say", l_say},
                                      {NULL, NULL}};

    luaL_newlib(L, native);
    lua_pushstring(L, session_id(session_of(L)));
    lua_setfield(L, -2, "id");
}

static int perform(lua_State *L, const char *magic, const char *function, const char *line)
{
    const char *name = options_one(L, options_read(L, magic, line, OPTIONS_ALL), "no extension named");

    session_push_module(L, "lacus.extension", push_core);
    lua_getfield(L, -1, function);
    lua_pushstring(L, name);
    lua_call(L, 1, 0);
    return 0;
}

int magic_load_ext(lua_State *L, const char *line, const char *body)
{
    (void)body;
    return perform(L, "load_ext", "load", line);
}

int magic_unload_ext(lua_State *L, const char *line, const char *body)
{
    (void)body;
    return perform(L, "unload_ext", "unload", line);
}

int magic_reload_ext(lua_State *L, const char *line, const char *body)
{
    (void)body;
    return perform(L, "reload_ext", "reload", line);
}
