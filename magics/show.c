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

int magic_vegalite(lua_State *L, const char *line, const char *body)
{
    json_t **spec = session_json_slot(L);
    struct display d = {0};
    json_error_t why;
    struct err err;

    *spec = json_loads(*body ? body : line, JSON_REJECT_DUPLICATES, &why);
    if (!json_is_object(*spec)) {
        err_set(&err, LC_PARSE, "cannot show the chart: line %d: %s", *spec ? 1 : why.line,
                *spec ? "a JSON object is expected" : why.text);
        err_hint(&err, "a Vega-Lite specification is a JSON object with data, mark and encoding");
        return session_raise(L, &err);
    }
    d.data =
        json_pack("{s:O, s:s}", "application/vnd.vegalite.v5+json", *spec, "text/plain", "<Vega-Lite chart>");
    json_decref(*spec);
    *spec = d.data; /* the slot owns the bundle now */
    session_display(session_of(L), &d);
    return 0;
}
