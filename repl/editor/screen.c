#include "repl/editor/screen.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { TAB = 4, BYTES_MAX = 64 << 20 };

static void frame_release(struct frame *f)
{
    buf_release(&f->text);
    mem_free(f->rows);
    *f = (struct frame){.text = BUF_INIT(BYTES_MAX)};
}

void screen_init(struct screen *s, int fd)
{
    const char *no_color = getenv("NO_COLOR");

    *s = (struct screen){.fd = fd, .colours = !(no_color && *no_color)};
    frame_release(&s->now);
    frame_release(&s->next);
    screen_measure(s);
}

void screen_release(struct screen *s)
{
    frame_release(&s->now);
    frame_release(&s->next);
}

bool screen_measure(struct screen *s)
{
    struct winsize size;
    int columns = s->columns, height = s->height;
    bool known = ioctl(s->fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0;

    s->columns = known ? size.ws_col : 80;
    s->height = known ? size.ws_row : 24;
    return s->columns != columns || s->height != height;
}

/* ---- laying out ---- */
static struct frame_row *last_row(struct frame *f)
{
    return f->n ? &f->rows[f->n - 1] : NULL;
}

static void add_row(struct frame *f)
{
    if (f->n == f->cap) {
        size_t cap = f->cap ? f->cap * 2 : 32;
        struct frame_row *rows = mem_reallocn(f->rows, cap, sizeof *rows);
        if (!rows)
            return;
        f->rows = rows;
        f->cap = cap;
    }
    f->rows[f->n++] = (struct frame_row){f->text.len, 0};
}

static void set_sgr(struct screen *s, const char *sgr)
{
    const char *wanted = s->colours && sgr ? sgr : "";

    if (strcmp(wanted, s->sgr) == 0)
        return;
    if (*s->sgr)
        buf_puts(&s->next.text, "\x1b[0m");
    if (*wanted)
        buf_printf(&s->next.text, "\x1b[%sm", wanted);
    s->sgr = wanted;
}

void screen_begin(struct screen *s)
{
    buf_clear(&s->next.text);
    s->next.n = s->next.cursor_row = 0;
    s->next.cursor_column = 0;
    s->sgr = "";
    s->indent = 0;
    add_row(&s->next);
}

static void next_row(struct screen *s)
{
    const char *sgr = s->sgr;

    set_sgr(s, "");
    add_row(&s->next);
    set_sgr(s, sgr);
}

void screen_newline(struct screen *s)
{
    next_row(s);
    s->indent = 0;
}

static void wrap(struct screen *s)
{
    struct frame_row *row;

    next_row(s);
    row = last_row(&s->next);
    if (!row || s->indent * 2 > s->columns)
        return;
    buf_printf(&s->next.text, "%*s", s->indent, "");
    row->width = s->indent;
}

static void put(struct screen *s, const char *text, size_t len, int width)
{
    struct frame_row *row = last_row(&s->next);

    if (row && row->width + width > s->columns) {
        wrap(s);
        row = last_row(&s->next);
    }
    if (!row)
        return;
    buf_add(&s->next.text, text, len);
    row->width += width;
}

/* One character from the front of text, as it is to be seen; returns how many bytes it has. */
static size_t put_one(struct screen *s, const char *text, size_t len)
{
    unsigned char c = (unsigned char)*text;
    uint32_t code;
    size_t n;

    if (c == '\t') {
        put(s, "    ", TAB, TAB);
        return 1;
    }
    if (c < 32 || c == 127) {
        char shown[2] = {'^', (char)(c ^ 64)};
        put(s, shown, 2, 2);
        return 1;
    }
    n = utf8_decode(text, len, &code);
    if (n == 0 || (code >= 0x80 && code < 0xa0)) {
        put(s, "\xef\xbf\xbd", 3, 1);
        return n ? n : 1;
    }
    put(s, text, n, utf8_width(code));
    return n;
}

void screen_put(struct screen *s, const char *text, size_t len, const char *sgr)
{
    set_sgr(s, sgr);
    for (size_t i = 0; i < len;)
        i += put_one(s, text + i, len - i);
    set_sgr(s, "");
}

void screen_indent(struct screen *s)
{
    s->indent = screen_column(s);
}

int screen_column(const struct screen *s)
{
    return s->next.n ? s->next.rows[s->next.n - 1].width : 0;
}

void screen_cursor(struct screen *s)
{
    if (screen_column(s) >= s->columns)
        wrap(s);
    s->next.cursor_row = s->next.n ? s->next.n - 1 : 0;
    s->next.cursor_column = screen_column(s);
}

/* ---- drawing ---- */
static void write_all(const struct screen *s, const struct buf *out)
{
    const char *p = buf_str(out);

    for (size_t left = out->len; left > 0;) {
        ssize_t n = write(s->fd, p, left);
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return;
        if (n > 0) {
            p += n;
            left -= (size_t)n;
        }
    }
}

void screen_fresh_row(const struct screen *s)
{
    struct buf out = BUF_INIT(BYTES_MAX);

    /* A row of blanks fits only when it begins in the first column; else it goes over into the next one. */
    buf_printf(&out, "%*s\r\x1b[K", s->columns, "");
    write_all(s, &out);
    buf_release(&out);
}

static const char *row_text(const struct frame *f, size_t row, size_t *len)
{
    size_t end = row + 1 < f->n ? f->rows[row + 1].from : f->text.len;

    *len = end - f->rows[row].from;
    return buf_str(&f->text) + f->rows[row].from;
}

static bool same_row(const struct screen *s, size_t old, size_t new)
{
    size_t a, b;
    const char *x = row_text(&s->now, old, &a), *y = row_text(&s->next, new, &b);

    return a == b && memcmp(x, y, a) == 0;
}

/* From row `from` of the screen to row `to`; rows below the last one are made by newlines. */
static void move(struct buf *out, size_t from, size_t to)
{
    if (to < from)
        buf_printf(out, "\x1b[%zuA", from - to);
    else if (to > from)
        buf_printf(out, "\x1b[%zuB", to - from);
}

static size_t first_visible(const struct screen *s)
{
    size_t height = s->height > 0 ? (size_t)s->height : 1, first = s->first;

    if (s->next.n <= height)
        return 0;
    if (s->next.cursor_row < first)
        first = s->next.cursor_row;
    if (s->next.cursor_row >= first + height)
        first = s->next.cursor_row - height + 1;
    return first + height > s->next.n ? s->next.n - height : first;
}

static void draw_rows(const struct screen *s, struct buf *out, size_t first, size_t count, size_t *at)
{
    for (size_t i = 0; i < count; i++) {
        size_t len;
        if (i < s->shown && s->first + i < s->now.n && same_row(s, s->first + i, first + i))
            continue;
        if (i < s->shown || i == 0) {
            move(out, *at, i);
            buf_puts(out, "\r");
        } else { /* a row that is not there yet */
            move(out, *at, i - 1);
            buf_puts(out, "\r\n");
        }
        const char *text = row_text(&s->next, first + i, &len);
        buf_puts(out, "\x1b[K");
        buf_add(out, text, len);
        *at = i;
    }
}

void screen_show(struct screen *s)
{
    size_t height = s->height > 0 ? (size_t)s->height : 1, at = s->shown ? s->now.cursor_row - s->first : 0;
    size_t first = first_visible(s), count = s->next.n - first < height ? s->next.n - first : height;
    struct buf out = BUF_INIT(BYTES_MAX);
    struct frame old = s->now;

    draw_rows(s, &out, first, count, &at);
    if (count < s->shown) {
        move(&out, at, count);
        buf_puts(&out, "\r\x1b[J");
        at = count;
    }
    move(&out, at, s->next.cursor_row - first);
    buf_puts(&out, "\r");
    if (s->next.cursor_column > 0)
        buf_printf(&out, "\x1b[%dC", s->next.cursor_column);
    write_all(s, &out);
    buf_release(&out);
    s->now = s->next;
    s->next = old;
    s->first = first;
    s->shown = count;
}

void screen_leave(struct screen *s)
{
    struct buf out = BUF_INIT(256);

    if (s->shown) {
        move(&out, s->now.cursor_row - s->first, s->shown - 1);
        buf_puts(&out, "\r\n");
        write_all(s, &out);
    }
    buf_release(&out);
    screen_forget(s);
}

void screen_wipe(struct screen *s, int new_columns)
{
    struct buf out = BUF_INIT(256);
    size_t up = 0;

    for (size_t row = s->first; s->shown && row <= s->now.cursor_row; row++) {
        int width = row == s->now.cursor_row ? s->now.cursor_column + 1 : s->now.rows[row].width;
        if (row > s->first)
            up++;
        if (new_columns > 0 && width > new_columns)
            up += (size_t)((width - 1) / new_columns);
    }
    move(&out, up, 0);
    buf_puts(&out, "\r\x1b[J");
    write_all(s, &out);
    buf_release(&out);
    screen_forget(s);
}

void screen_forget(struct screen *s)
{
    s->now.n = s->now.cursor_row = 0;
    s->now.cursor_column = 0;
    s->first = s->shown = 0;
}
