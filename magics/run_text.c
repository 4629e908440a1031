#include "magics/run_text.h"
#include <string.h>

void run_text_hide_marks(struct buf *text)
{
    size_t at = text->len >= 3 && memcmp(text->data, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;

    if (at)
        memset(text->data, ' ', at);
    if (text->len > at + 1 && text->data[at] == '#' && strchr("! ", text->data[at + 1]))
        memcpy(text->data + at, "--", 2);
}

static void show_result(lua_State *L, int top)
{
    for (int i = top + 1; i <= lua_gettop(L); i++) {
        struct display d = {.data = NULL};
        if (session_says_nothing(L, i))
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
