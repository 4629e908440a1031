/* %tb, %xmode: the last error once more, and how errors are shown. */
#include "magics/line.h"
#include "magics/magics.h"
#include <string.h>

/* Without the colours: it may go to a file. */
static void plain(const char *text, struct buf *out)
{
    for (; *text; text++)
        if (*text == '\x1b' && text[1] == '[')
            text += strcspn(text, "m");
        else
            buf_putc(out, *text);
}

int magic_tb(lua_State *L, const char *line, const char *body)
{
    struct line_words *w = line_words(L, line);
    json_t **slot = session_json_slot(L), *one;
    struct buf *out = session_buf(L, BUF_TEXT_MAX);
    size_t i;

    (void)body;
    *slot = session_traceback(L, w->n ? w->words[0] : NULL);
    if (!*slot)
        buf_puts(out, "no cell has failed yet\n");
    json_array_foreach (*slot, i, one) {
        plain(json_string_value(one), out);
        buf_putc(out, '\n');
    }
    session_print(session_of(L), STREAM_STDOUT, buf_str(out), out->len);
    return 0;
}

int magic_xmode(lua_State *L, const char *line, const char *body)
{
    struct line_words *w = line_words(L, line);

    (void)body;
    line_print(L, "errors are shown in the mode %s (Minimal, Plain, Context or Verbose)\n",
               session_traceback_mode(L, w->n ? w->words[0] : NULL));
    return 0;
}
