/* %tb, %xmode: the last error once more, and how errors are shown. */
#include "magics/line.h"
#include "magics/magics.h"
#include "runtime/session/traceback.h"

/* Where HTML is seen, in parts that open with a click; the text is what programs read. */
int magic_tb(lua_State *L, const char *line, const char *body)
{
    struct line_words *w = line_words(L, line);
    const char *mode = w->n ? w->words[0] : NULL;
    json_t **slot = session_json_slot(L), **data = session_json_slot(L), *one;
    struct buf *out = session_buf(L, BUF_TEXT_MAX), *page = session_buf(L, BUF_TEXT_MAX);
    struct display d = {0};
    size_t i;

    (void)body;
    *slot = session_traceback(L, mode);
    if (!*slot)
        buf_puts(out, "no cell has failed yet\n");
    json_array_foreach (*slot, i, one)
        traceback_plain(json_string_value(one), out);
    if (session_traceback_html(L, mode, page))
        *data = json_pack("{s:s, s:s}", "text/plain", buf_str(out), "text/html", buf_str(page));
    d.data = *data;
    if (d.data)
        session_display(session_of(L), &d);
    else
        session_print(session_of(L), STREAM_STDOUT, buf_str(out), out->len);
    return 0;
}

int magic_xmode(lua_State *L, const char *line, const char *body)
{
    struct line_words *w = line_words(L, line);

    (void)body;
    line_print(L, "errors are shown in the mode %s (Minimal, Plain, Context, Verbose or Folded)\n",
               session_traceback_mode(L, w->n ? w->words[0] : NULL));
    return 0;
}
