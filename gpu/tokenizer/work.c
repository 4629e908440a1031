/* work.c: pieces of text on their way to ids, and how a pattern cuts them. */
#include "gpu/tokenizer/tokenizer_int.h"
#include "runtime/base/utf8.h"
#include <string.h>

/* A larger copy of an array in the arena; the old one stays until the arena goes. */
static void *grow(struct arena *a, const void *old, size_t n, size_t *cap, size_t size)
{
    size_t more = *cap ? *cap * 2 : 16;
    void *made = more > SIZE_MAX / size ? NULL : arena_alloc(a, more * size);

    if (!made)
        return NULL;
    if (n)
        memcpy(made, old, n * size);
    *cap = more;
    return made;
}

enum lc work_put(struct work *w, struct piece p)
{
    struct piece *more;

    if (p.n == 0 && p.id < 0)
        return LC_OK;
    if (w->n == w->cap) {
        if ((more = grow(w->arena, w->pieces, w->n, &w->cap, sizeof *more)) == NULL)
            return err_nomem(w->err);
        w->pieces = more;
    }
    w->pieces[w->n++] = p;
    return LC_OK;
}

struct align piece_align(const struct piece *p, size_t at)
{
    return p->align && at < p->n ? p->align[at] : (struct align){0, 0};
}

void writer_init(struct piece_writer *pw, struct work *w, size_t expected)
{
    *pw = (struct piece_writer){.w = w, .cap = expected + 16, .p = {.id = -1}};
    pw->p.text = arena_alloc(w->arena, pw->cap);
    pw->p.align = w->offsets ? arena_alloc(w->arena, pw->cap * sizeof *pw->p.align) : NULL;
    pw->failed = !pw->p.text || (w->offsets && !pw->p.align);
}

static bool writer_grow(struct piece_writer *pw, size_t n)
{
    while (!pw->failed && pw->cap - pw->p.n < n) {
        size_t cap = pw->cap;
        if (pw->p.align) {
            struct align *align = grow(pw->w->arena, pw->p.align, pw->p.n, &cap, sizeof *align);
            pw->failed = !align;
            pw->p.align = align;
        }
        cap = pw->cap;
        pw->p.text = grow(pw->w->arena, pw->p.text, pw->p.n, &cap, 1);
        pw->failed = pw->failed || !pw->p.text;
        pw->cap = cap;
    }
    return !pw->failed;
}

void writer_put(struct piece_writer *pw, const char *text, size_t n, struct align a)
{
    if (!writer_grow(pw, n))
        return;
    memcpy(pw->p.text + pw->p.n, text, n);
    if (pw->p.align)
        for (size_t i = 0; i < n; i++)
            pw->p.align[pw->p.n + i] = a;
    pw->p.n += n;
}

void writer_copy(struct piece_writer *pw, const struct piece *p, size_t start, size_t end)
{
    if (end <= start || !writer_grow(pw, end - start))
        return;
    memcpy(pw->p.text + pw->p.n, p->text + start, end - start);
    for (size_t at = start; pw->p.align && at < end; at++)
        pw->p.align[pw->p.n + at - start] = piece_align(p, at);
    pw->p.n += end - start;
}

/* ---- patterns ---- */
struct cover { /* a growing list of matches */
    struct work *w;
    struct match *items;
    size_t n, cap, done; /* done: bytes covered */
};

static enum lc cover_put(struct cover *c, size_t start, size_t end, bool is_match)
{
    struct match *more;

    if (c->n == c->cap) {
        if ((more = grow(c->w->arena, c->items, c->n, &c->cap, sizeof *more)) == NULL)
            return err_nomem(c->w->err);
        c->items = more;
    }
    c->items[c->n++] = (struct match){start, end, is_match};
    c->done = end;
    return LC_OK;
}

static enum lc cover_match(struct cover *c, size_t start, size_t end)
{
    if (c->done < start)
        TRY(cover_put(c, c->done, start, false));
    return cover_put(c, start, end, true);
}

static size_t char_len(const char *text, size_t n)
{
    uint32_t code;
    size_t len = utf8_decode(text, n, &code);

    return len ? len : 1;
}

static enum lc cover_regex(const struct pattern *p, struct cover *c, const char *text, size_t n)
{
    size_t from = 0, range[2];
    bool found;

    while (from <= n) {
        TRY(c->w->tok->re->find(p->code, c->w->scratch, text, n, from, &found, range, c->w->err));
        if (!found)
            break;
        if (range[1] > range[0])
            TRY(cover_match(c, range[0], range[1]));
        from = range[1] > from ? range[1] : from + (from < n ? char_len(text + from, n - from) : 1);
    }
    return LC_OK;
}

static enum lc cover_literal(const struct pattern *p, struct cover *c, const char *text, size_t n)
{
    for (size_t at = 0; p->len > 0 && at + p->len <= n;) {
        const char *hit = memmem(text + at, n - at, p->text, p->len);
        if (!hit)
            break;
        at = (size_t)(hit - text);
        TRY(cover_match(c, at, at + p->len));
        at += p->len;
    }
    return LC_OK;
}

static enum lc cover_chars(const struct pattern *p, struct cover *c, const char *text, size_t n)
{
    for (size_t at = 0; at < n;) {
        uint32_t code = 0;
        size_t len = utf8_decode(text + at, n - at, &code);
        len = len ? len : 1;
        if (p->test(c->w->tok->re, code, p->arg))
            TRY(cover_match(c, at, at + len));
        at += len;
    }
    return LC_OK;
}

enum lc pattern_cover(const struct pattern *p, struct work *w, const char *text, size_t n, struct match **out,
                      size_t *n_out)
{
    static enum lc (*const kinds[])(const struct pattern *, struct cover *, const char *, size_t) = {
        [PATTERN_LITERAL] = cover_literal,
        [PATTERN_REGEX] = cover_regex,
        [PATTERN_CHAR] = cover_chars,
    };
    struct cover c = {.w = w};

    TRY(kinds[p->kind](p, &c, text, n));
    if (c.done < n)
        TRY(cover_put(&c, c.done, n, false));
    for (size_t i = 0; p->invert && i < c.n; i++)
        c.items[i].is_match = !c.items[i].is_match;
    *out = c.items;
    *n_out = c.n;
    return LC_OK;
}
