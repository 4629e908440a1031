/* decode.c: ids back to text: the decoders of tokenizer.json, and a stream that gives whole characters only. */
#include "gpu/tokenizer/tokenizer_int.h"
#include "runtime/base/utf8.h"
#include <string.h>

static enum lc set_text(struct work *w, struct piece *p, const struct piece_writer *pw)
{
    if (pw->failed)
        return err_nomem(w->err);
    p->text = pw->p.text;
    p->n = pw->p.n;
    return LC_OK;
}

/* Length of the bad sequence at text as Rust and Python replace it: its longest valid beginning, as one U+FFFD. */
static size_t bad_prefix(const unsigned char *s, size_t n)
{
    unsigned char lo = 0x80, hi = 0xbf;
    size_t want = s[0] >= 0xc2 && s[0] <= 0xdf   ? 1
                  : s[0] >= 0xe0 && s[0] <= 0xef ? 2
                  : s[0] >= 0xf0 && s[0] <= 0xf4 ? 3
                                                 : 0;
    size_t len = 1;

    if (s[0] == 0xe0)
        lo = 0xa0;
    else if (s[0] == 0xed)
        hi = 0x9f;
    else if (s[0] == 0xf0)
        lo = 0x90;
    else if (s[0] == 0xf4)
        hi = 0x8f;
    for (; len <= want && len < n && s[len] >= lo && s[len] <= hi; len++) {
        lo = 0x80;
        hi = 0xbf;
    }
    return len;
}

static void put_lossy(struct piece_writer *pw, const char *text, size_t n)
{
    for (size_t at = 0, len; at < n; at += len) {
        uint32_t code;
        len = utf8_decode(text + at, n - at, &code);
        if (len) {
            writer_put(pw, text + at, len, (struct align){0, 0});
        } else {
            len = bad_prefix((const unsigned char *)text + at, n - at);
            writer_put(pw, "\xEF\xBF\xBD", 3, (struct align){0, 0});
        }
    }
}

/* ---- ByteLevel ---- */
static bool bytes_of(const struct piece *p, char *out, size_t *n)
{
    *n = 0;
    for (size_t at = 0, len; at < p->n; at += len) {
        uint32_t code;
        int byte;
        if ((len = utf8_decode(p->text + at, p->n - at, &code)) == 0 || (byte = bytelevel_byte(code)) < 0)
            return false;
        out[(*n)++] = (char)byte;
    }
    return true;
}

static enum lc byte_level(const struct decoder_step *s, struct work *w, struct piece *tokens, size_t *n)
{
    struct piece_writer raw, text;

    (void)s;
    writer_init(&raw, w, 0);
    for (size_t i = 0; i < *n; i++) {
        char *bytes = arena_alloc(w->arena, tokens[i].n);
        size_t len;
        if (!bytes)
            return err_nomem(w->err);
        if (bytes_of(&tokens[i], bytes, &len))
            writer_put(&raw, bytes, len, (struct align){0, 0});
        else
            writer_put(&raw, tokens[i].text, tokens[i].n, (struct align){0, 0});
    }
    writer_init(&text, w, raw.p.n);
    if (!raw.failed)
        put_lossy(&text, raw.p.text, raw.p.n);
    *n = *n ? 1 : 0;
    return *n ? set_text(w, &tokens[0], raw.failed ? &raw : &text) : LC_OK;
}

/* ---- ByteFallback ---- */
static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

static int fallback_byte(const struct piece *p)
{
    if (p->n != 6 || memcmp(p->text, "<0x", 3) != 0 || p->text[5] != '>' || hex(p->text[3]) < 0 ||
        hex(p->text[4]) < 0)
        return -1;
    return hex(p->text[3]) * 16 + hex(p->text[4]);
}

static enum lc put_run(struct work *w, struct piece *tokens, size_t *out, const char *bytes, size_t n)
{
    struct piece_writer pw;

    if (n == 0)
        return LC_OK;
    writer_init(&pw, w, n * 3);
    if (utf8_valid(bytes, n))
        writer_put(&pw, bytes, n, (struct align){0, 0});
    else
        for (size_t i = 0; i < n; i++)
            writer_put(&pw, "\xEF\xBF\xBD", 3, (struct align){0, 0});
    return set_text(w, &tokens[(*out)++], &pw);
}

static enum lc byte_fallback(const struct decoder_step *s, struct work *w, struct piece *tokens, size_t *n)
{
    char *run = arena_alloc(w->arena, *n);
    size_t len = 0, out = 0;

    (void)s;
    if (!run)
        return err_nomem(w->err);
    for (size_t i = 0; i < *n; i++) {
        int byte = fallback_byte(&tokens[i]);
        struct piece whole = tokens[i];
        if (byte >= 0) {
            run[len++] = (char)byte;
            continue;
        }
        TRY(put_run(w, tokens, &out, run, len));
        len = 0;
        tokens[out++] = whole;
    }
    TRY(put_run(w, tokens, &out, run, len));
    *n = out;
    return LC_OK;
}

/* ---- the small ones ---- */
static enum lc fuse(const struct decoder_step *s, struct work *w, struct piece *tokens, size_t *n)
{
    struct piece_writer pw;

    (void)s;
    writer_init(&pw, w, 0);
    for (size_t i = 0; i < *n; i++)
        writer_put(&pw, tokens[i].text, tokens[i].n, (struct align){0, 0});
    *n = *n ? 1 : 0;
    return *n ? set_text(w, &tokens[0], &pw) : LC_OK;
}

static enum lc strip(const struct decoder_step *s, struct work *w, struct piece *tokens, size_t *n)
{
    (void)w;
    for (size_t i = 0; i < *n; i++) {
        struct piece *p = &tokens[i];
        for (size_t k = 0; k < s->start && p->n >= s->len && memcmp(p->text, s->text, s->len) == 0; k++) {
            p->text += s->len;
            p->n -= s->len;
        }
        for (size_t k = 0;
             k < s->stop && p->n >= s->len && memcmp(p->text + p->n - s->len, s->text, s->len) == 0; k++)
            p->n -= s->len;
    }
    return LC_OK;
}

static enum lc replace(const struct decoder_step *s, struct work *w, struct piece *tokens, size_t *n)
{
    for (size_t i = 0; i < *n; i++) {
        struct piece_writer pw;
        struct match *found;
        size_t n_found;
        TRY(pattern_cover(&s->pattern, w, tokens[i].text, tokens[i].n, &found, &n_found));
        writer_init(&pw, w, tokens[i].n);
        for (size_t k = 0; k < n_found; k++)
            if (found[k].is_match)
                writer_put(&pw, s->text, s->len, (struct align){0, 0});
            else
                writer_put(&pw, tokens[i].text + found[k].start, found[k].end - found[k].start,
                           (struct align){0, 0});
        TRY(set_text(w, &tokens[i], &pw));
    }
    return LC_OK;
}

enum { META_PREFIX = 1 };

static enum lc metaspace(const struct decoder_step *s, struct work *w, struct piece *tokens, size_t *n)
{
    for (size_t i = 0; i < *n; i++) {
        struct piece_writer pw;
        const struct piece *p = &tokens[i];
        writer_init(&pw, w, p->n);
        for (size_t at = 0; at < p->n;) {
            bool is = p->n - at >= s->len && memcmp(p->text + at, s->text, s->len) == 0;
            if (!is)
                writer_put(&pw, p->text + at, 1, (struct align){0, 0});
            else if (i > 0 || !(s->flags & META_PREFIX))
                writer_put(&pw, " ", 1, (struct align){0, 0});
            at += is ? s->len : 1;
        }
        TRY(set_text(w, &tokens[i], &pw));
    }
    return LC_OK;
}

static enum lc bpe_suffix(const struct decoder_step *s, struct work *w, struct piece *tokens, size_t *n)
{
    struct decoder_step inner = {.pattern = {.kind = PATTERN_LITERAL, .text = s->text, .len = s->len}};
    size_t one = 1;

    for (size_t i = 0; i < *n; i++) {
        inner.text = " ";
        inner.len = i + 1 < *n;
        TRY(replace(&inner, w, &tokens[i], &one));
    }
    return LC_OK;
}

/* ---- decode ---- */
static enum lc collect(struct work *w, const int32_t *ids, size_t n, bool skip_special, struct piece *tokens,
                       size_t *n_tokens)
{
    const struct tokenizer *tok = w->tok;

    *n_tokens = 0;
    for (size_t i = 0; i < n; i++) {
        const struct vocab_text *t =
            ids[i] >= 0 && (size_t)ids[i] < tok->vocab.n_ids ? &tok->vocab.by_id[ids[i]] : NULL;
        struct piece *p = &tokens[*n_tokens];
        if (!t || !t->text || (skip_special && (tok->kinds[ids[i]] & TOKEN_SPECIAL)))
            continue;
        *p = (struct piece){.n = t->len, .id = -1};
        if ((p->text = arena_alloc(w->arena, t->len)) == NULL)
            return err_nomem(w->err);
        memcpy(p->text, t->text, t->len);
        ++*n_tokens;
    }
    return LC_OK;
}

static enum lc decode(struct work *w, const int32_t *ids, size_t n, bool skip_special, struct buf *out)
{
    const struct tokenizer *tok = w->tok;
    struct piece *tokens = arena_alloc(w->arena, n * sizeof *tokens);
    size_t n_tokens;

    if (!tokens)
        return err_nomem(w->err);
    TRY(collect(w, ids, n, skip_special, tokens, &n_tokens));
    for (size_t i = 0; i < tok->n_decoders; i++)
        TRY(tok->decoders[i].run(&tok->decoders[i], w, tokens, &n_tokens));
    for (size_t i = 0; i < n_tokens; i++) {
        if (i > 0 && !tok->has_decoder)
            buf_putc(out, ' ');
        buf_add(out, tokens[i].text, tokens[i].n);
    }
    return buf_check(out, w->err);
}

enum lc tokenizer_decode(const struct tokenizer *tok, const int32_t *ids, size_t n, bool skip_special,
                         struct buf *out, struct err *err)
{
    struct work w = {.tok = tok, .arena = arena_new(0), .err = err};
    enum lc rc = w.arena ? LC_OK : err_nomem(err);

    if (rc == LC_OK && tok->re && (w.scratch = tok->re->scratch_new()) == NULL)
        rc = err_nomem(err);
    if (rc == LC_OK)
        rc = decode(&w, ids, n, skip_special, out);
    if (tok->re && w.scratch)
        tok->re->scratch_free(w.scratch);
    arena_free(w.arena);
    return rc;
}

/* ---- one token ---- */
/* Of what the decoders do, that which makes sense for a token alone: nothing is stripped, nothing is made whole. */
static enum lc token_bytes(struct work *w, struct piece *p)
{
    const struct tokenizer *tok = w->tok;
    size_t one = 1, len;

    for (size_t i = 0; i < tok->n_decoders; i++) {
        struct decoder_step s = tok->decoders[i];
        int byte;

        if (s.run == byte_level) {
            char *bytes = arena_alloc(w->arena, p->n);

            if (!bytes)
                return err_nomem(w->err);
            if (bytes_of(p, bytes, &len)) {
                p->text = bytes;
                p->n = len;
            }
        } else if (s.run == byte_fallback && (byte = fallback_byte(p)) >= 0) {
            p->text[0] = (char)byte;
            p->n = 1;
            return LC_OK;
        } else if (s.run == replace || s.run == metaspace) {
            s.flags = 0;
            TRY(s.run(&s, w, p, &one));
        }
    }
    return LC_OK;
}

enum lc tokenizer_token_bytes(const struct tokenizer *tok, int32_t id, struct buf *out, struct err *err)
{
    struct work w = {.tok = tok, .arena = arena_new(0), .err = err};
    struct piece token;
    size_t n = 0;
    enum lc rc = w.arena ? LC_OK : err_nomem(err);

    if (rc == LC_OK && tok->re && (w.scratch = tok->re->scratch_new()) == NULL)
        rc = err_nomem(err);
    if (rc == LC_OK)
        rc = collect(&w, &id, 1, false, &token, &n);
    if (rc == LC_OK && n == 1 && !tokenizer_is_special(tok, id))
        rc = token_bytes(&w, &token);
    if (rc == LC_OK && n == 1)
        buf_add(out, token.text, token.n);
    if (tok->re && w.scratch)
        tok->re->scratch_free(w.scratch);
    arena_free(w.arena);
    return rc == LC_OK ? buf_check(out, err) : rc;
}

/* ---- streams ---- */
enum { STREAM_HELD_MAX = 64, STREAM_CONTEXT = 8 };

struct tokenizer_stream {
    const struct tokenizer *tok; /* borrowed */
    bool skip_special;
    int32_t
        ids[2 * STREAM_HELD_MAX]; /* the group given out last, as context, and from `fresh` on what is new */
    size_t n, fresh;
};

struct tokenizer_stream *tokenizer_stream_new(const struct tokenizer *tok, bool skip_special)
{
    struct tokenizer_stream *s = mem_zalloc(sizeof *s);

    if (s) {
        s->tok = tok;
        s->skip_special = skip_special;
    }
    return s;
}

void tokenizer_stream_free(struct tokenizer_stream *s)
{
    mem_free(s);
}

void tokenizer_stream_after(struct tokenizer_stream *s, const int32_t *ids, size_t n)
{
    for (size_t i = n > STREAM_CONTEXT ? n - STREAM_CONTEXT : 0; i < n; i++)
        if (tokenizer_token(s->tok, ids[i]) && !(s->skip_special && tokenizer_is_special(s->tok, ids[i])))
            s->ids[s->n++] = ids[i];
    s->fresh = s->n;
}

static bool ends_open(const struct buf *b) /* a replacement character at the end may become a whole one */
{
    return b->len >= 3 && memcmp(b->data + b->len - 3, "\xEF\xBF\xBD", 3) == 0;
}

/* Decodes context alone and context with what is fresh: the difference is what the fresh tokens add. */
static enum lc stream_flush(struct tokenizer_stream *s, bool last, struct buf *out, struct err *err)
{
    struct buf before = BUF_INIT(BUF_TEXT_MAX), all = BUF_INIT(BUF_TEXT_MAX);
    enum lc rc = tokenizer_decode(s->tok, s->ids, s->fresh, s->skip_special, &before, err);

    if (rc == LC_OK)
        rc = tokenizer_decode(s->tok, s->ids, s->n, s->skip_special, &all, err);
    if (rc == LC_OK && (last || !ends_open(&all) || s->n - s->fresh >= STREAM_HELD_MAX)) {
        if (all.len > before.len)
            buf_add(out, all.data + before.len, all.len - before.len);
        memmove(s->ids, s->ids + s->fresh, (s->n - s->fresh) * sizeof *s->ids);
        s->n -= s->fresh;
        s->fresh = s->n;
        rc = buf_check(out, err);
    }
    buf_release(&before);
    buf_release(&all);
    return rc;
}

enum lc tokenizer_stream_put(struct tokenizer_stream *s, int32_t id, struct buf *out, struct err *err)
{
    if (!tokenizer_token(s->tok, id) || (s->skip_special && tokenizer_is_special(s->tok, id)))
        return LC_OK;
    s->ids[s->n++] = id;
    return stream_flush(s, false, out, err);
}

enum lc tokenizer_stream_end(struct tokenizer_stream *s, struct buf *out, struct err *err)
{
    return s->n > s->fresh ? stream_flush(s, true, out, err) : LC_OK;
}

/* ---- loading ---- */
enum { NEEDS_CONTENT = 1, NEEDS_PATTERN = 2, NEEDS_META = 4, NEEDS_SUFFIX = 8 };

static const struct kind {
    const char *name;
    enum lc (*run)(const struct decoder_step *s, struct work *w, struct piece *tokens, size_t *n);
    unsigned needs;
} kinds[] = {
    {"ByteLevel", byte_level, 0},
    {"ByteFallback", byte_fallback, 0},
    {"Fuse", fuse, 0},
    {"Strip", strip, NEEDS_CONTENT},
    {"Replace", replace, NEEDS_CONTENT | NEEDS_PATTERN},
    {"Metaspace", metaspace, NEEDS_META},
    {"BPEDecoder", bpe_suffix, NEEDS_SUFFIX},
};

static enum lc fill(struct tokenizer *tok, const struct kind *kind, const json_t *json,
                    struct decoder_step *s, struct err *err)
{
    const char *key = kind->needs & NEEDS_META     ? "replacement"
                      : kind->needs & NEEDS_SUFFIX ? "suffix"
                                                   : "content";
    const char *text = json_text(json, key, &s->len), *scheme = json_text(json, "prepend_scheme", NULL);

    s->run = kind->run;
    if (kind->needs) {
        if (!text || (s->len == 0 && !(kind->needs & NEEDS_PATTERN)))
            return err_set(err, LC_DATA, "decoder '%s' has no '%s'", kind->name, key);
        if ((s->text = arena_strndup(tok->arena, text, s->len)) == NULL)
            return err_nomem(err);
    }
    s->start = (size_t)json_integer_value(json_object_get(json, "start"));
    s->stop = (size_t)json_integer_value(json_object_get(json, "stop"));
    if ((scheme && strcmp(scheme, "never") != 0) ||
        (!scheme && !json_is_false(json_object_get(json, "add_prefix_space"))))
        s->flags |= META_PREFIX;
    return kind->needs & NEEDS_PATTERN ? load_pattern(tok, json, "decoder", &s->pattern, err) : LC_OK;
}

static enum lc add_step(struct tokenizer *tok, const json_t *json, const char *type, struct err *err)
{
    struct decoder_step *more;

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kinds[i].name, type) != 0)
            continue;
        more = mem_reallocn(tok->decoders, tok->n_decoders + 1, sizeof *more);
        if (!more)
            return err_nomem(err);
        tok->decoders = more;
        memset(&more[tok->n_decoders], 0, sizeof *more);
        return fill(tok, &kinds[i], json, &more[tok->n_decoders++], err);
    }
    return unsupported("decoder", type, err);
}

enum lc load_decoder(struct tokenizer *tok, const json_t *json, struct err *err)
{
    static const struct part part = {"decoder", "decoders", add_step};

    tok->has_decoder = json && !json_is_null(json);
    return load_part(tok, &part, json, err);
}
