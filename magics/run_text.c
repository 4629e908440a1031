#include "magics/run_text.h"

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

void run_text(lua_State *L, int nargs, const char *text, size_t len, const char *name)
{
    int top = lua_gettop(L) - nargs;

    session_run_script(L, nargs, text, len, name);
    show_result(L, top);
}
