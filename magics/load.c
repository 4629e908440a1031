/* %load: a file's text for the next cell. */
#include "magics/line.h"
#include "magics/magics.h"
#include "runtime/base/fs.h"

int magic_load(lua_State *L, const char *line, const char *body)
{
    struct session *s = session_of(L);
    const struct frontend *f = session_frontend(s);
    struct line_words *w = line_words(L, line);
    struct buf text = BUF_INIT(8 << 20);
    struct err err;

    (void)body;
    if (w->n != 1)
        return line_error(L, "load", "one file is to be named", NULL);
    buf_printf(&text, "-- %%load %s\n", w->words[0]);
    if (fs_read(w->words[0], &text, &err) != LC_OK) {
        buf_release(&text);
        return session_raise(L, &err);
    }
    if (f->ops && f->ops->set_next_input)
        f->ops->set_next_input(f->self, session_ctx(s), buf_str(&text), true);
    else
        session_print(s, STREAM_STDOUT, buf_str(&text), text.len);
    buf_release(&text);
    return 0;
}
