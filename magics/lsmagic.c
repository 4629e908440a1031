/* %lsmagic and %quickref: made from the table of magics. */
#include "magics/line.h"
#include "magics/magics.h"
#include "runtime/base/utf8.h"
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

/* A magic: on the line of its usage when that is short. */
static void add_row(struct buf *out, const struct session_magic *m)
{
    enum { WIDE = 30 };
    size_t columns = utf8_columns(m->usage, strlen(m->usage));

    buf_puts(out, m->usage);
    buf_printf(out, "%s%*s%s\n", columns < WIDE ? "" : "\n",
               columns < WIDE ? (int)(WIDE + 1 - columns) : WIDE + 1, "", m->doc);
}

int magic_quickref(lua_State *L, const char *line, const char *body)
{
    struct buf *out = session_buf(L, BUF_TEXT_MAX);

    (void)line, (void)body;
    buf_puts(out,
             "A cell is Lua 5.4; the value of its last expression is shown, a ; at the end silences it.\n"
             "Top-level locals live on in later cells.\n\n"
             "name?  name??  na*e?      explains a name; with its source; finds names\n"
             "!command                  runs a shell command; lines = !command keeps its output; $name and "
             "{expression} in it\n"
             "display(x, …)             shows values richly; display.html(…), display.markdown(…)\n\n");
    for (const struct session_magic *m = lacus_magics; m->name; m++)
        add_row(out, m);
    session_page(session_of(L), buf_str(out), out->len);
    return 0;
}
