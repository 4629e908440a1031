#include "magics/run_text.h"
#include "runtime/session/magic.h"

static void show_result(lua_State *L, int top)
{
    for (int i = top + 1; i <= lua_gettop(L); i++) {
        struct display d = {.data = NULL};
        if (lua_isnil(L, i))
            continue;
        d.data = session_mimebundle(L, i);
        session_display(session_of(L), &d);
        json_decref(d.data);
    }
    lua_settop(L, top);
}

void run_text(lua_State *L, const char *text, size_t len, const char *name)
{
    struct magic_cell cell;
    int top = lua_gettop(L);

    if (magic_split(text, len, &cell)) {
        lua_pushcfunction(L, magic_run_cell);
        lua_pushlstring(L, cell.name, cell.name_len);
        lua_pushlstring(L, cell.line, cell.line_len);
        lua_pushlstring(L, cell.body, cell.body_len);
        lua_call(L, 3, LUA_MULTRET);
    } else {
        session_run_text(L, text, len, name);
    }
    show_result(L, top);
}
