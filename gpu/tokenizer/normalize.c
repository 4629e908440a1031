/* normalize.c: the normalizers of tokenizer.json. Each new character is aligned with the one it came from, an
 * inserted one with its neighbour in front, as the `tokenizers` library does. */
#include "gpu/tokenizer/tokenizer_int.h"
#include "runtime/base/utf8.h"
#include <string.h>

static enum lc finish(struct piece_writer *pw, struct piece *p)
{
    if (pw->failed)
        return err_nomem(pw->w->err);
    pw->p.first = p->first;
    *p = pw->p;
    return LC_OK;
}

static bool is_ascii(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] >= 0x80)
            return false;
    return true;
}

static size_t next_char(const char *text, size_t n, uint32_t *code)
{
    size_t len = utf8_decode(text, n, code);

    if (len)
        return len;
    *code = (unsigned char)*text;
    return 1;
}

/* ---- Unicode forms ---- */
/* Characters up to the next one that begins a segment of its own. */
static size_t segment(const struct regex_vtable *re, const char *text, size_t n)
{
    uint32_t code;
    size_t len = next_char(text, n, &code);

    while (len < n) {
        size_t more = next_char(text + len, n - len, &code);
        if (re->starts_segment(code))
            break;
        len += more;
    }
    return len;
}

static void put_segment(struct piece_writer *pw, const struct piece *p, size_t at, size_t len,
                        const char *made, size_t made_len)
{
    size_t from = 0;
    uint32_t code;

    for (size_t i = 0;
         i < made_len;) { /* the i-th new character stands for the i-th old one, the rest for the last */
        size_t n = next_char(made + i, made_len - i, &code), step;
        writer_put(pw, made + i, n, piece_align(p, at + from));
        step = next_char(p->text + at + from, len - from, &code);
        if (from + step < len)
            from += step;
        i += n;
    }
}

static enum lc unicode_form(const struct step *s, struct work *w, struct piece *p)
{
    enum regex_form form = (enum regex_form)s->arg;
    struct buf made = BUF_INIT((size_t)1 << 30);
    struct piece_writer pw;
    enum lc rc;

    if (is_ascii(p->text, p->n))
        return LC_OK;
    rc = w->tok->re->normalize(form, p->text, p->n, &made, w->err);
    if (rc != LC_OK || (made.len == p->n && memcmp(made.data, p->text, p->n) == 0)) {
        buf_release(&made);
        return rc;
    }
    writer_init(&pw, w, made.len);
    for (size_t at = 0, len; rc == LC_OK && at < p->n; at += len) {
        len = segment(w->tok->re, p->text + at, p->n - at);
        buf_clear(&made);
        rc = w->tok->re->normalize(form, p->text + at, len, &made, w->err);
        if (rc == LC_OK)
            put_segment(&pw, p, at, len, buf_str(&made), made.len);
    }
    buf_release(&made);
    return rc == LC_OK ? finish(&pw, p) : rc;
}

/* ---- character by character ---- */
static enum lc lowercase(const struct step *s, struct work *w, struct piece *p)
{
    struct piece_writer pw;
    char out[4];

    (void)s;
    writer_init(&pw, w, p->n + p->n / 2);
    for (size_t at = 0; at < p->n;) {
        uint32_t code;
        size_t len = next_char(p->text + at, p->n - at, &code);
        struct align a = piece_align(p, at);
        if (code == 0x130) /* the one character whose lower case is two */
            writer_put(&pw, "i\xcc\x87", 3, a);
        else
            writer_put(&pw, out, utf8_encode(w->tok->re->lower(code), out), a);
        at += len;
    }
    return finish(&pw, p);
}

static enum lc strip_accents(const struct step *s, struct work *w, struct piece *p)
{
    struct piece_writer pw;

    (void)s;
    writer_init(&pw, w, p->n);
    for (size_t at = 0; at < p->n;) {
        uint32_t code;
        size_t len = next_char(p->text + at, p->n - at, &code);
        if (w->tok->re->category(code)[0] != 'M')
            writer_put(&pw, p->text + at, len, piece_align(p, at));
        at += len;
    }
    return finish(&pw, p);
}

enum { STRIP_LEFT = 1, STRIP_RIGHT = 2 };

static enum lc strip(const struct step *s, struct work *w, struct piece *p)
{
    size_t start = 0, end = 0;
    uint32_t code;

    (void)w;
    for (size_t at = 0; (s->flags & STRIP_LEFT) && at < p->n; start = at) {
        size_t len = next_char(p->text + at, p->n - at, &code);
        if (!is_white_space(code))
            break;
        at += len;
    }
    for (size_t at = start; at < p->n;) {
        at += next_char(p->text + at, p->n - at, &code);
        if (!(s->flags & STRIP_RIGHT) || !is_white_space(code))
            end = at;
    }
    p->text += start;
    p->align = p->align ? p->align + start : NULL;
    p->n = end > start ? end - start : 0;
    return LC_OK;
}

static enum lc prepend(const struct step *s, struct work *w, struct piece *p)
{
    struct piece_writer pw;

    if (p->n == 0)
        return LC_OK;
    writer_init(&pw, w, p->n + s->len);
    writer_put(&pw, s->text, s->len, piece_align(p, 0));
    writer_copy(&pw, p, 0, p->n);
    return finish(&pw, p);
}

static enum lc replace(const struct step *s, struct work *w, struct piece *p)
{
    struct piece_writer pw;
    struct match *found;
    size_t n;

    TRY(pattern_cover(&s->pattern, w, p->text, p->n, &found, &n));
    writer_init(&pw, w, p->n);
    for (size_t i = 0; i < n; i++) {
        if (found[i].is_match)
            writer_put(&pw, s->text, s->len, piece_align(p, found[i].end - 1));
        else
            writer_copy(&pw, p, found[i].start, found[i].end);
    }
    return finish(&pw, p);
}

static enum lc byte_level(const struct step *s, struct work *w, struct piece *p)
{
    struct piece_writer pw;
    char out[4];

    (void)s;
    writer_init(&pw, w, p->n * 2);
    for (size_t at = 0; at < p->n; at++)
        writer_put(&pw, out, bytelevel_put((unsigned char)p->text[at], out), piece_align(p, at));
    return finish(&pw, p);
}

enum lc normalize_piece(struct work *w, struct piece *p)
{
    const struct steps *steps = &w->tok->normalizers;

    for (size_t i = 0; i < steps->n; i++)
        TRY(steps->items[i].run(&steps->items[i], w, p));
    return LC_OK;
}

/* ---- loading ---- */
enum { NEEDS_UNICODE = 1, NEEDS_PATTERN = 2, NEEDS_PREPEND = 4, NEEDS_SIDES = 8 };

static const struct kind {
    const char *name;
    enum lc (*run)(const struct step *s, struct work *w, struct piece *p);
    unsigned needs;
    uint32_t arg;
} kinds[] = {
    {"NFC", unicode_form, NEEDS_UNICODE, REGEX_NFC},
    {"NFD", unicode_form, NEEDS_UNICODE, REGEX_NFD},
    {"NFKC", unicode_form, NEEDS_UNICODE, REGEX_NFKC},
    {"NFKD", unicode_form, NEEDS_UNICODE, REGEX_NFKD},
    {"Lowercase", lowercase, NEEDS_UNICODE, 0},
    {"StripAccents", strip_accents, NEEDS_UNICODE, 0},
    {"Strip", strip, NEEDS_SIDES, 0},
    {"Prepend", prepend, NEEDS_PREPEND, 0},
    {"Replace", replace, NEEDS_PATTERN, 0},
    {"ByteLevel", byte_level, 0, 0},
};

static enum lc fill(struct tokenizer *tok, const struct kind *kind, const json_t *json, struct step *s,
                    struct err *err)
{
    const char *key = kind->needs & NEEDS_PATTERN ? "content" : "prepend", *text;

    s->run = kind->run;
    s->arg = kind->arg;
    if (kind->needs & NEEDS_UNICODE)
        TRY(need_regex(tok, err));
    if (kind->needs & NEEDS_SIDES)
        s->flags = (json_is_false(json_object_get(json, "strip_left")) ? 0u : (unsigned)STRIP_LEFT) |
                   (json_is_false(json_object_get(json, "strip_right")) ? 0u : (unsigned)STRIP_RIGHT);
    if (kind->needs & (NEEDS_PATTERN | NEEDS_PREPEND)) {
        if ((text = json_text(json, key, &s->len)) == NULL)
            return err_set(err, LC_DATA, "normalizer '%s' has no '%s'", kind->name, key);
        if ((s->text = arena_strndup(tok->arena, text, s->len)) == NULL)
            return err_nomem(err);
    }
    return kind->needs & NEEDS_PATTERN ? load_pattern(tok, json, "normalizer", &s->pattern, err) : LC_OK;
}

static enum lc add_step(struct tokenizer *tok, const json_t *json, const char *type, struct err *err)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct step *step = strcmp(kinds[i].name, type) == 0 ? steps_add(&tok->normalizers) : NULL;

        if (step)
            return fill(tok, &kinds[i], json, step, err);
        if (strcmp(kinds[i].name, type) == 0)
            return err_nomem(err);
    }
    return unsupported("normalizer", type, err);
}

enum lc load_normalizer(struct tokenizer *tok, const json_t *json, struct err *err)
{
    static const struct part part = {"normalizer", "normalizers", add_step};

    return load_part(tok, &part, json, err);
}
