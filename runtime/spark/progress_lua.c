#include "runtime/spark/progress_lua.h"
#include "runtime/base/clock.h"
#include <string.h>

struct line { /* state of the session */
    struct ctx_progress told;
    struct session *session;
    int64_t began;  /* ns; 0: no query is drawn */
    int number;     /* of the display */
    int width;      /* of what stands in the terminal */
    char shown[80]; /* in the notebook: the same again is not sent */
};

enum { BAR = 30, SILENT_SECONDS = 2 };

static void put_bar(struct buf *b, double done, int64_t seconds)
{
    int full = (int)(done * BAR);

    if (done <= 0) { /* not every source knows how much it has */
        buf_printf(b, "the query runs: %lld s", (long long)seconds);
        return;
    }
    buf_putc(b, '[');
    for (int i = 0; i < BAR; i++)
        buf_putc(b, i < full ? '=' : i == full ? '>' : ' ');
    buf_printf(b, "] %3d %%  %lld s", (int)(done * 100), (long long)seconds);
}

static void to_terminal(struct line *l, const struct frontend *f, const struct buf *text)
{
    struct buf b = BUF_INIT(4096);
    int width = text ? (int)text->len : 0;

    if (width > f->ops->columns(f->self) - 1)
        return;
    buf_putc(&b, '\r');
    if (text)
        buf_add(&b, buf_str(text), text->len);
    for (int i = width; i < l->width; i++)
        buf_putc(&b, ' ');
    if (!text)
        buf_putc(&b, '\r');
    l->width = width;
    f->ops->stream(f->self, session_ctx(l->session), STREAM_STDERR, buf_str(&b), b.len);
    buf_release(&b);
}

static void to_notebook(struct line *l, const struct frontend *f, const struct buf *text, double done,
                        bool first)
{
    struct buf html = BUF_INIT(4096);
    char id[40];
    struct display d;

    if (!first && text && strcmp(l->shown, buf_str(text)) == 0)
        return;
    snprintf(l->shown, sizeof l->shown, "%s", text ? buf_str(text) : "");
    snprintf(id, sizeof id, "lacus-query-%d", l->number);
    if (text && done <= 0)
        buf_puts(&html, buf_str(text));
    else if (text)
        buf_printf(&html, "<progress max=\"1\" value=\"%.3f\"></progress> %d %%", done, (int)(done * 100));
    d = (struct display){
        .data = json_pack("{s:s, s:s}", "text/plain", text ? buf_str(text) : "", "text/html", buf_str(&html)),
        .transient = json_pack("{s:s}", "display_id", id),
        .update = !first};
    if (d.data && d.transient)
        f->ops->display(f->self, session_ctx(l->session), &d);
    json_decref(d.data);
    json_decref(d.transient);
    buf_release(&html);
}

static bool at_terminal(const struct frontend *f)
{
    return f->ops && f->ops->stream && f->ops->columns && f->ops->columns(f->self) > 0;
}

static bool in_notebook(const struct frontend *f)
{
    return f->ops && f->ops->display && strcmp(f->ops->name, "kernel") == 0;
}

static bool draws(const struct frontend *f)
{
    return at_terminal(f) || in_notebook(f);
}

static void told(void *self, double done)
{
    struct line *l = self;
    const struct frontend *f = session_frontend(l->session);
    bool over = done >= CTX_PROGRESS_OVER, first = !l->began;
    struct buf text = BUF_INIT(4096);

    if (!draws(f) || (over && first))
        return;
    if (first) {
        l->began = clock_mono_ns();
        l->number++;
    }
    done = done < 0 ? 0 : done > 1 ? 1 : done;
    put_bar(&text, done, (clock_mono_ns() - l->began) / 1000000000 + SILENT_SECONDS);
    if (at_terminal(f))
        to_terminal(l, f, over ? NULL : &text);
    else
        to_notebook(l, f, over ? NULL : &text, done, first);
    if (over)
        l->began = 0;
    buf_release(&text);
}

void query_progress_open(lua_State *L)
{
    static const char key;
    struct line *l = session_state(L, &key, sizeof *l, NULL);

    if (l->session)
        return;
    l->session = session_of(L);
    l->told = (struct ctx_progress){told, l};
    if (draws(session_frontend(l->session)))
        session_set_progress(l->session, &l->told);
}
