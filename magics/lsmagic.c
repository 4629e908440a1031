/* %lsmagic and %quickref: made from the table of magics. */
#include "magics/line.h"
#include "magics/magics.h"
#include "runtime/session/magic_lua.h"
#include <string.h>

static void list(lua_State *L, unsigned kind, const char *mark)
{
    for (const struct session_magic *m = lacus_magics; m->name; m++)
        if (m->kinds & kind)
            line_print(L, "%s%s  ", mark, m->name);
    magic_lua_names(L, kind);
    for (lua_Integer i = 1; lua_rawgeti(L, -1, i) == LUA_TSTRING; i++, lua_pop(L, 1))
        line_print(L, "%s%s  ", mark, lua_tostring(L, -1));
    lua_pop(L, 2);
    line_print(L, "\n");
}

int magic_lsmagic(lua_State *L, const char *line, const char *body)
{
    (void)line, (void)body;
    line_print(L, "Available line magics:\n");
    list(L, MAGIC_LINE, "%");
    line_print(L, "\nAvailable cell magics:\n");
    list(L, MAGIC_CELL, "%%");
    line_print(L, "\nname? explains one: %%time?\n");
    return 0;
}

int magic_quickref(lua_State *L, const char *line, const char *body)
{
    (void)line, (void)body;
    line_print(L,
               "A cell is Lua 5.4; the value of its last expression is shown, a ; at the end silences it.\n"
               "Top-level locals live on in later cells.\n\n"
               "name?  name??  na*e?      explains a name; with its source; finds names\n"
               "!command                  runs a shell command; lines = !command keeps its output; $name and "
               "{expression} in it\n"
               "display(x, …)             shows values richly; display.html(…), display.markdown(…)\n\n");
    for (const struct session_magic *m = lacus_magics; m->name; m++)
        line_print(L, strlen(m->usage) < 30 ? "%-30s %s\n" : "%s\n                               %s\n",
                   m->usage, m->doc);
    return 0;
}
