#include "runtime/train/examples.h"
#include "gpu/packing.h"
#include "runtime/base/mem.h"
#include <string.h>

enum { IGNORED = -100, CHECK_EVERY = 256 };

struct examples {
    struct arena *arena;          /* owned: the ids and labels */
    struct train_example *rows;   /* owned */
    struct train_dataset dataset; /* points into the above */
    bool pairs;
    int64_t *first; /* owned: of each packed row; NULL: not packed */
    int64_t n_packed;
    size_t n, cap;
    int64_t tokens, cut, longest;
    struct encoding prompt, completion; /* scratch */
};

struct examples *examples_new(void)
{
    struct examples *e = mem_zalloc(sizeof *e);

    if (e && !(e->arena = arena_new(0))) {
        mem_free(e);
        return NULL;
    }
    return e;
}

void examples_free(struct examples *e)
{
    if (!e)
        return;
    encoding_release(&e->prompt);
    encoding_release(&e->completion);
    arena_free(e->arena);
    mem_free(e->rows);
    mem_free(e->first);
    mem_free(e);
}

static enum lc grow(struct examples *e, struct err *err)
{
    size_t cap = e->cap ? e->cap * 2 : 256;
    struct train_example *rows;

    if (e->n < e->cap)
        return LC_OK;
    rows = mem_reallocn(e->rows, cap, sizeof *rows);
    if (!rows)
        return err_nomem(err);
    e->rows = rows;
    e->cap = cap;
    return LC_OK;
}

unsigned examples_flags(const struct tokenizer *tok, const char *text, size_t len)
{
    const char *bos = tokenizer_bos(tok) >= 0 ? tokenizer_token(tok, tokenizer_bos(tok)) : NULL;
    size_t n = bos ? strlen(bos) : 0;

    return n && len >= n && memcmp(text, bos, n) == 0 ? 0 : TOKENIZER_SPECIAL;
}

/* An end-of-text token that the tokenizer puts behind a prompt on its own has no place before its completion. */
static void drop_eos(struct encoding *enc, const struct tokenizer *tok)
{
    if (enc->n && tokenizer_adds_eos(tok) && enc->ids[enc->n - 1] == tokenizer_eos(tok))
        enc->n--;
}

/* Llama 2's kind of tokenizer puts a blank in front of each text: one that goes on has none. */
static enum lc starts_with_blank(const struct tokenizer *tok, bool *out, struct err *err)
{
    struct encoding one = ENCODING_INIT;
    enum lc rc = tokenizer_encode(tok, "x", 1, 0, &one, err);

    *out = rc == LC_OK && one.n > 0 && tokenizer_token(tok, one.ids[0])[0] != 'x';
    encoding_release(&one);
    return rc;
}

static size_t common_prefix(const struct encoding *a, const struct encoding *b)
{
    size_t n = 0;

    while (n < a->n && n < b->n && a->ids[n] == b->ids[n])
        n++;
    return n;
}

/* Behind the prompt the completion is what the text of both has there, as in trl, where the prompt is in it as it is
 * alone; where tokens of both grow together it is encoded for itself, since the model will be asked after a prompt alone.
 * A tokenizer that puts a blank in front could not do that: then the completion begins where the two part. */
static enum lc encode_behind(struct examples *e, const struct tokenizer *tok, const struct row *row,
                             unsigned flags, struct err *err)
{
    char *both = mem_alloc(row->prompt_len + row->completion_len + 1);
    bool blank = false;
    size_t same;
    enum lc rc;

    if (!both)
        return err_nomem(err);
    memcpy(both, row->prompt, row->prompt_len);
    memcpy(both + row->prompt_len, row->completion, row->completion_len);
    rc = tokenizer_encode(tok, both, row->prompt_len + row->completion_len, flags, &e->completion, err);
    mem_free(both);
    if (rc == LC_OK)
        rc = starts_with_blank(tok, &blank, err);
    if (rc != LC_OK)
        return rc;
    drop_eos(&e->completion, tok);
    same = common_prefix(&e->prompt, &e->completion);
    if (same < e->prompt.n && !blank)
        return tokenizer_encode(tok, row->completion, row->completion_len, 0, &e->completion, err);
    e->prompt.n = same;
    e->completion.n -= same;
    memmove(e->completion.ids, e->completion.ids + same, e->completion.n * sizeof *e->completion.ids);
    return LC_OK;
}

static enum lc encode(struct examples *e, const struct tokenizer *tok, const struct row *row, struct err *err)
{
    unsigned flags = examples_flags(tok, row->prompt, row->prompt_len);

    e->prompt.n = 0;
    if (row->prompt_len > 0) {
        TRY(tokenizer_encode(tok, row->prompt, row->prompt_len, flags, &e->prompt, err));
        drop_eos(&e->prompt, tok);
        return encode_behind(e, tok, row, flags, err);
    }
    TRY(tokenizer_encode(tok, row->completion, row->completion_len, TOKENIZER_SPECIAL, &e->completion, err));
    drop_eos(&e->completion, tok);
    return LC_OK;
}

enum lc examples_encode_behind(const struct tokenizer *tok, const char *text, size_t len,
                               struct encoding *enc, struct err *err)
{
    static const char line = '\n';
    struct encoding end = ENCODING_INIT;
    bool blank = false;
    char *both;
    enum lc rc;

    TRY(starts_with_blank(tok, &blank, err));
    if (!blank)
        return tokenizer_encode(tok, text, len, 0, enc, err);
    both = mem_alloc(len + 1);
    if (!both)
        return err_nomem(err);
    both[0] = line;
    memcpy(both + 1, text, len);
    rc = tokenizer_encode(tok, both, len + 1, 0, enc, err);
    if (rc == LC_OK)
        rc = tokenizer_encode(tok, &line, 1, 0, &end, err);
    if (rc == LC_OK && common_prefix(enc, &end) == end.n) {
        enc->n -= end.n;
        memmove(enc->ids, enc->ids + end.n, enc->n * sizeof *enc->ids);
    } else if (rc == LC_OK) {
        rc = tokenizer_encode(tok, text, len, 0, enc, err);
    }
    encoding_release(&end);
    mem_free(both);
    return rc;
}

static int32_t get_id(const char *bytes)
{
    const unsigned char *b = (const unsigned char *)bytes;

    return (int32_t)((uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24);
}

/* A row that is tokens already: as it is, nothing added; what is longer than max_length is cut. */
static enum lc add_tokens(struct examples *e, const struct row *row, const struct example_options *o,
                          struct err *err)
{
    size_t total = row->prompt_len / 4;
    size_t n = o->max_length > 0 && total > (size_t)o->max_length ? (size_t)o->max_length : total;
    int32_t *ids, *labels;

    TRY(grow(e, err));
    ids = arena_alloc(e->arena, (n + 1) * sizeof *ids);
    labels = arena_alloc(e->arena, (n + 1) * sizeof *labels);
    if (!ids || !labels)
        return err_nomem(err);
    for (size_t i = 0; i < n; i++) {
        ids[i] = get_id(row->prompt + 4 * i);
        labels[i] = get_id(row->completion + 4 * i);
    }
    e->cut += n < total;
    e->tokens += (int64_t)n;
    e->longest = (int64_t)n > e->longest ? (int64_t)n : e->longest;
    e->rows[e->n++] = (struct train_example){ids, labels, (int64_t)n};
    return LC_OK;
}

/* Whether a completion ends with the end-of-text token; space behind it (ChatML writes a line's end) is no text to learn on. */
static bool ends(const struct examples *e, const struct tokenizer *tok, const struct row *row, int32_t eos)
{
    const char *name = tokenizer_token(tok, eos);
    size_t len = row->completion_len, n = name ? strlen(name) : 0;

    if (e->completion.n && e->completion.ids[e->completion.n - 1] == eos)
        return true;
    while (len && strchr(" \t\r\n", row->completion[len - 1]))
        len--;
    return n && len >= n && memcmp(row->completion + len - n, name, n) == 0;
}

enum lc examples_add(struct examples *e, const struct tokenizer *tok, const struct row *row,
                     const struct example_options *o, struct err *err)
{
    int32_t eos, *ids, *labels;
    size_t n, p, total;

    if (row->tokens)
        return add_tokens(e, row, o, err);
    eos = o->no_eos ? -1 : tokenizer_eos(tok);
    TRY(grow(e, err));
    TRY(encode(e, tok, row, err));
    if (eos >= 0 && ends(e, tok, row, eos))
        eos = -1; /* it is there already */
    p = e->prompt.n;
    total = p + e->completion.n + (eos >= 0);
    n = o->max_length > 0 && total > (size_t)o->max_length ? (size_t)o->max_length : total;
    ids = arena_alloc(e->arena, (total + 1) * sizeof *ids);
    labels = arena_alloc(e->arena, (total + 1) * sizeof *labels);
    if (!ids || !labels)
        return err_nomem(err);
    if (p)
        memcpy(ids, e->prompt.ids, p * sizeof *ids);
    if (e->completion.n)
        memcpy(ids + p, e->completion.ids, e->completion.n * sizeof *ids);
    if (eos >= 0)
        ids[total - 1] = eos;
    memcpy(labels, ids, total * sizeof *ids);
    for (size_t i = 0; o->completion_only && i < p; i++)
        labels[i] = IGNORED;
    e->cut += n < total;
    e->tokens += (int64_t)n;
    e->longest = (int64_t)n > e->longest ? (int64_t)n : e->longest;
    e->rows[e->n++] = (struct train_example){ids, labels, (int64_t)n};
    return LC_OK;
}

static enum lc load(const struct ctx *ctx, const struct tokenizer *tok, struct rows *r,
                    const struct example_options *o, struct examples *e, struct err *err)
{
    struct row row;
    enum lc rc = LC_OK;

    while (rc == LC_OK && rows_next(r, &row, &rc, err)) {
        rc = examples_add(e, tok, &row, o, err);
        if (rc == LC_DATA)
            (void)err_wrap(err, "cannot tokenize row %zu of the dataset", rows_count(r));
        if (rc == LC_OK && rows_count(r) % CHECK_EVERY == 0)
            rc = ctx_check(ctx, err);
    }
    return rc;
}

/* Puts the examples that share a row after each other. */
static enum lc pack(struct examples *e, int64_t capacity, struct err *err)
{
    int64_t *lengths = mem_reallocn(NULL, e->n, sizeof *lengths),
            *order = mem_reallocn(NULL, e->n, sizeof *order);
    struct train_example *rows = mem_reallocn(NULL, e->n, sizeof *rows);
    enum lc rc = LC_OK;

    e->first = mem_reallocn(NULL, e->n + 1, sizeof *e->first);
    if (!lengths || !order || !rows || !e->first)
        rc = err_nomem(err);
    for (size_t i = 0; i < e->n && rc == LC_OK; i++)
        lengths[i] = e->rows[i].n;
    if (rc == LC_OK)
        rc = packing_best_fit(lengths, (int64_t)e->n, capacity > 0 ? capacity : e->longest, order, e->first,
                              &e->n_packed, err);
    for (size_t i = 0; i < e->n && rc == LC_OK; i++)
        rows[i] = e->rows[order[i]];
    if (rc == LC_OK)
        memcpy(e->rows, rows, e->n * sizeof *rows);
    mem_free(lengths);
    mem_free(order);
    mem_free(rows);
    return rc;
}

enum lc examples_load(const struct ctx *ctx, const struct tokenizer *tok, const char *path,
                      const struct example_options *o, struct examples **out, struct err *err)
{
    struct rows *r = NULL;
    struct examples *e;
    enum lc rc;

    TRY(rows_open(path, &r, err));
    e = examples_new();
    rc = e ? load(ctx, tok, r, o, e, err) : err_nomem(err);
    rows_close(r);
    if (rc == LC_OK && o->pairs && e->n % 2 != 0)
        rc = err_set(err, LC_DATA, "'%s' has pairs of answers, but an odd number of rows", path);
    if (rc == LC_OK && o->packing && !o->pairs && e->n)
        rc = pack(e, o->max_length, err);
    if (rc != LC_OK)
        return examples_free(e), rc;
    e->pairs = o->pairs;
    *out = e;
    return LC_OK;
}

const struct train_dataset *examples_dataset(struct examples *e)
{
    e->dataset = (struct train_dataset){.examples = e->rows,
                                        .n = e->first   ? e->n_packed
                                             : e->pairs ? (int64_t)e->n / 2
                                                        : (int64_t)e->n,
                                        .pairs = e->pairs,
                                        .first = e->first};
    return &e->dataset;
}

int64_t examples_packed(const struct examples *e)
{
    return e->first ? (int64_t)e->n : 0;
}

int64_t examples_tokens(const struct examples *e)
{
    return e->tokens;
}

int64_t examples_cut(const struct examples *e)
{
    return e->cut;
}

int64_t examples_longest(const struct examples *e)
{
    return e->longest;
}
