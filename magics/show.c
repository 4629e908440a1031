/* %%html, %%markdown, %%latex, %%svg, %%javascript: the text of the cell, shown as what it is. */
#include "magics/magics.h"
#include <string.h>

static int show(lua_State *L, const char *line, const char *body, const char *mime)
{
    const char *text = body && *body ? body : line;
    struct display d = {.data = json_pack("{s:s, s:s}", mime, text, "text/plain", text)};

    if (d.data)
        session_display(session_of(L), &d);
    json_decref(d.data);
    return 0;
}

int magic_html(lua_State *L, const char *line, const char *body)
{
    return show(L, line, body, "text/html");
}

int magic_markdown(lua_State *L, const char *line, const char *body)
{
    return show(L, line, body, "text/markdown");
}

int magic_latex(lua_State *L, const char *line, const char *body)
{
    return show(L, line, body, "text/latex");
}

int magic_svg(lua_State *L, const char *line, const char *body)
{
    return show(L, line, body, "image/svg+xml");
}

int magic_javascript(lua_State *L, const char *line, const char *body)
{
    return show(L, line, body, "application/javascript");
}
