/* pretokenize.c: the pre-tokenizers of tokenizer.json. Each takes the pieces one by one and emits smaller ones. */
#include "gpu/tokenizer/tokenizer_int.h"
#include "runtime/base/utf8.h"
#include <string.h>

static enum lc emit(struct work *w, const struct piece *p, size_t start, size_t end)
{
    return work_put(w, (struct piece){p->text + start, end - start, p->align ? p->align + start : NULL, -1,
                                      p->first && start == 0});
}

/* ---- what becomes of the matches ---- */
static size_t join_previous(struct match *m, size_t n)
{
    size_t out = 0;
    bool previous = false;

    for (size_t i = 0; i < n; i++) {
        bool is_match = m[i].is_match;
        if (is_match && !previous && out > 0)
            m[out - 1].end = m[i].end;
        else
            m[out++] = m[i];
        previous = is_match;
    }
    return out;
}

static size_t join_next(struct match *m, size_t n)
{
    size_t out = n; /* filled from the end */
    bool previous = false;

    for (size_t i = n; i-- > 0;) {
        bool is_match = m[i].is_match;
        if (is_match && !previous && out < n)
            m[out].start = m[i].start;
        else
            m[--out] = m[i];
        previous = is_match;
    }
    memmove(m, m + out, (n - out) * sizeof *m);
    return n - out;
}

static size_t join_same(struct match *m, size_t n)
{
    size_t out = 0;
    bool previous = false;

    for (size_t i = 0; i < n; i++) {
        bool is_match = m[i].is_match;
        if (is_match == previous && out > 0)
            m[out - 1].end = m[i].end;
        else
            m[out++] = m[i];
        previous = is_match;
    }
    return out;
}

static enum lc split(const struct step *s, struct work *w, struct piece *p)
{
    struct match *m;
    size_t n;

    TRY(pattern_cover(&s->pattern, w, p->text, p->n, &m, &n));
    if (s->behavior == BEHAVE_PREVIOUS)
        n = join_previous(m, n);
    else if (s->behavior == BEHAVE_NEXT)
        n = join_next(m, n);
    else if (s->behavior == BEHAVE_CONTIGUOUS)
        n = join_same(m, n);
    for (size_t i = 0; i < n; i++)
        if (s->behavior != BEHAVE_REMOVED || !m[i].is_match)
            TRY(emit(w, p, m[i].start, m[i].end));
    return LC_OK;
}

/* ---- ByteLevel ---- */
enum { BYTES_PREFIX_SPACE = 1, BYTES_REGEX = 2 };

static enum lc prefixed(struct work *w, struct piece *p, const char *prefix, size_t len)
{
    struct piece_writer pw;

    writer_init(&pw, w, p->n + len);
    writer_put(&pw, prefix, len, piece_align(p, 0));
    writer_copy(&pw, p, 0, p->n);
    if (pw.failed)
        return err_nomem(w->err);
    pw.p.first = p->first;
    *p = pw.p;
    return LC_OK;
}

/* Bytes become visible characters once, over the whole piece; the cuts are moved along. */
static enum lc emit_bytes(struct work *w, const struct piece *p, size_t start, size_t end)
{
    struct piece_writer pw;
    char out[4];

    writer_init(&pw, w, (end - start) * 2);
    if (!pw.failed && !pw.p.align) { /* each byte becomes one or two */
        for (size_t at = start; at < end; at++)
            pw.p.n += bytelevel_put((unsigned char)p->text[at], pw.p.text + pw.p.n);
        return work_put(w, pw.p);
    }
    for (size_t at = start; at < end; at++)
        writer_put(&pw, out, bytelevel_put((unsigned char)p->text[at], out), piece_align(p, at));
    return pw.failed ? err_nomem(w->err) : work_put(w, pw.p);
}

static enum lc byte_level(const struct step *s, struct work *w, struct piece *p)
{
    struct match *m;
    size_t n;

    if ((s->flags & BYTES_PREFIX_SPACE) && p->text[0] != ' ')
        TRY(prefixed(w, p, " ", 1));
    if (!(s->flags & BYTES_REGEX))
        return emit_bytes(w, p, 0, p->n);
    TRY(pattern_cover(&s->pattern, w, p->text, p->n, &m, &n));
    for (size_t i = 0; i < n; i++)
        TRY(emit_bytes(w, p, m[i].start, m[i].end));
    return LC_OK;
}

/* ---- Metaspace ---- */
enum { META_FIRST = 1, META_ALWAYS = 2, META_SPLIT = 4 };

static enum lc metaspace(const struct step *s, struct work *w, struct piece *p)
{
    struct piece_writer pw;
    size_t start = 0;

    writer_init(&pw, w, p->n + p->n / 2);
    for (size_t at = 0; at < p->n; at++) {
        bool space = p->text[at] == ' ';
        writer_put(&pw, space ? s->text : p->text + at, space ? s->len : 1, piece_align(p, at));
    }
    if (pw.failed)
        return err_nomem(w->err);
    pw.p.first = p->first;
    *p = pw.p;
    if (((s->flags & META_ALWAYS) || ((s->flags & META_FIRST) && p->first)) &&
        (p->n < s->len || memcmp(p->text, s->text, s->len) != 0))
        TRY(prefixed(w, p, s->text, s->len));
    if (!(s->flags & META_SPLIT))
        return emit(w, p, 0, p->n);
    for (size_t at = 1; at < p->n; at++)
        if (at + s->len <= p->n && memcmp(p->text + at, s->text, s->len) == 0) {
            TRY(emit(w, p, start, at));
            start = at;
        }
    return emit(w, p, start, p->n);
}

/* ---- running ---- */
enum lc pre_tokenize(struct work *w)
{
    const struct steps *steps = &w->tok->pre_tokenizers;

    for (size_t i = 0; i < steps->n; i++) {
        struct work in = *w;
        w->pieces = NULL;
        w->n = w->cap = 0;
        for (size_t k = 0; k < in.n; k++) {
            struct piece p = in.pieces[k];
            if (p.id >= 0)
                TRY(work_put(w, p));
            else
                TRY(steps->items[i].run(&steps->items[i], w, &p));
        }
    }
    return LC_OK;
}

/* ---- loading ---- */
static const char gpt2_pattern[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
static const char words_pattern[] = "\\w+|[^\\w\\s]+";

static bool test_numeric(const struct regex_vtable *re, uint32_t code, uint32_t arg)
{
    (void)arg;
    return re->category(code)[0] == 'N';
}

static bool test_punctuation(const struct regex_vtable *re, uint32_t code, uint32_t arg)
{
    (void)arg;
    if (code < 128)
        return code > 32 && code < 127 && !((code | 32) >= 'a' && (code | 32) <= 'z') &&
               !(code >= '0' && code <= '9');
    return re->category(code)[0] == 'P';
}

static bool test_space(const struct regex_vtable *re, uint32_t code, uint32_t arg)
{
    (void)re, (void)arg;
    return is_white_space(code);
}

static bool test_char(const struct regex_vtable *re, uint32_t code, uint32_t arg)
{
    (void)re;
    return code == arg;
}

static bool flag(const json_t *json, const char *key, bool otherwise)
{
    const json_t *value = json_object_get(json, key);

    return json_is_boolean(value) ? json_is_true(value) : otherwise;
}

static enum lc set_regex(struct tokenizer *tok, struct step *s, const char *source, struct err *err)
{
    TRY(need_regex(tok, err));
    s->pattern.kind = PATTERN_REGEX;
    return tok->re->compile(source, strlen(source), &s->pattern.code, err);
}

static enum lc set_test(struct tokenizer *tok, struct step *s,
                        bool (*test)(const struct regex_vtable *, uint32_t, uint32_t), struct err *err)
{
    TRY(need_regex(tok, err));
    s->run = split;
    s->pattern.kind = PATTERN_CHAR;
    s->pattern.test = test;
    return LC_OK;
}

static enum lc read_behavior(const json_t *json, enum behavior otherwise, enum behavior *out, struct err *err)
{
    static const char *const names[] = {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext",
                                        "Contiguous"};
    const char *name = json_text(json, "behavior", NULL);

    *out = otherwise;
    if (!name)
        return LC_OK;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0) {
            *out = (enum behavior)i;
            return LC_OK;
        }
    return unsupported("split behavior", name, err);
}

static enum lc make_byte_level(struct tokenizer *tok, const json_t *json, struct step *s, struct err *err)
{
    s->run = byte_level;
    if (flag(json, "add_prefix_space", true))
        s->flags |= BYTES_PREFIX_SPACE;
    if (!flag(json, "use_regex", true))
        return LC_OK;
    s->flags |= BYTES_REGEX;
    return set_regex(tok, s, gpt2_pattern, err);
}

static enum lc make_split(struct tokenizer *tok, const json_t *json, struct step *s, struct err *err)
{
    s->run = split;
    TRY(read_behavior(json, BEHAVE_ISOLATED, &s->behavior, err));
    TRY(load_pattern(tok, json, "pre_tokenizer", &s->pattern, err));
    s->pattern.invert = flag(json, "invert", false);
    return LC_OK;
}

static enum lc make_digits(struct tokenizer *tok, const json_t *json, struct step *s, struct err *err)
{
    s->behavior = flag(json, "individual_digits", false) ? BEHAVE_ISOLATED : BEHAVE_CONTIGUOUS;
    return set_test(tok, s, test_numeric, err);
}

static enum lc make_punctuation(struct tokenizer *tok, const json_t *json, struct step *s, struct err *err)
{
    TRY(read_behavior(json, BEHAVE_ISOLATED, &s->behavior, err));
    return set_test(tok, s, test_punctuation, err);
}

static enum lc make_whitespace(struct tokenizer *tok, const json_t *json, struct step *s, struct err *err)
{
    (void)json;
    s->run = split;
    s->behavior = BEHAVE_REMOVED;
    s->pattern.invert = true;
    return set_regex(tok, s, words_pattern, err);
}

static enum lc make_whitespace_split(struct tokenizer *tok, const json_t *json, struct step *s,
                                     struct err *err)
{
    (void)json;
    s->behavior = BEHAVE_REMOVED;
    return set_test(tok, s, test_space, err);
}

static enum lc make_delimiter(struct tokenizer *tok, const json_t *json, struct step *s, struct err *err)
{
    size_t len;
    const char *text = json_text(json, "delimiter", &len);

    s->behavior = BEHAVE_REMOVED;
    if (!text || utf8_decode(text, len, &s->pattern.arg) != len || len == 0)
        return err_set(err, LC_DATA, "pre_tokenizer 'CharDelimiterSplit' needs a delimiter of one character");
    return set_test(tok, s, test_char, err);
}

static enum lc make_metaspace(struct tokenizer *tok, const json_t *json, struct step *s, struct err *err)
{
    const char *replacement = json_text(json, "replacement", &s->len),
               *scheme = json_text(json, "prepend_scheme", NULL);

    s->run = metaspace;
    if (!replacement || s->len == 0 || s->len > 4)
        return err_set(err, LC_DATA, "pre_tokenizer 'Metaspace' has no replacement character");
    if ((s->text = arena_strndup(tok->arena, replacement, s->len)) == NULL)
        return err_nomem(err);
    if (!scheme) /* files from before 0.19 say add_prefix_space */
        scheme = flag(json, "add_prefix_space", true) ? "always" : "never";
    s->flags = strcmp(scheme, "always") == 0 ? META_ALWAYS : strcmp(scheme, "first") == 0 ? META_FIRST : 0;
    if (flag(json, "split", true))
        s->flags |= META_SPLIT;
    return LC_OK;
}

static const struct {
    const char *name;
    enum lc (*make)(struct tokenizer *tok, const json_t *json, struct step *s, struct err *err);
} kinds[] = {
    {"ByteLevel", make_byte_level},
    {"Split", make_split},
    {"Digits", make_digits},
    {"Punctuation", make_punctuation},
    {"Whitespace", make_whitespace},
    {"WhitespaceSplit", make_whitespace_split},
    {"CharDelimiterSplit", make_delimiter},
    {"Metaspace", make_metaspace},
};

static enum lc add_step(struct tokenizer *tok, const json_t *json, const char *type, struct err *err)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct step *step = strcmp(kinds[i].name, type) == 0 ? steps_add(&tok->pre_tokenizers) : NULL;

        if (step)
            return kinds[i].make(tok, json, step, err);
        if (strcmp(kinds[i].name, type) == 0)
            return err_nomem(err);
    }
    return unsupported("pre_tokenizer", type, err);
}

enum lc load_pre_tokenizer(struct tokenizer *tok, const json_t *json, struct err *err)
{
    static const struct part part = {"pre_tokenizer", "pretokenizers", add_step};

    return load_part(tok, &part, json, err);
}
