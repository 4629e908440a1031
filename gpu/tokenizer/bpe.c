/* bpe.c: byte-pair encoding: the model that turns a piece of text into ids. */
#include "gpu/tokenizer/tokenizer_int.h"
#include "runtime/base/utf8.h"
#include <stdio.h>
#include <string.h>

#define SPACE_MARK "\xe2\x96\x81" /* SentencePiece's space */
enum {
    MARK_BYTES = 3,
    SCAN_MAX = 48 /* up to here looking through all pairs beats a heap */
};

/* ---- merges ---- */
static size_t merge_slot(const struct bpe *b, int32_t left, int32_t right)
{
    uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;

    key = (key ^ key >> 29) * 0xbf58476d1ce4e5b9u;
    key ^= key >> 32;
    return (size_t)key & b->mask;
}

static struct merge *merge_at(const struct bpe *b, int32_t left, int32_t right)
{
    size_t at = merge_slot(b, left, right);

    while (b->merges[at].left >= 0 && (b->merges[at].left != left || b->merges[at].right != right))
        at = (at + 1) & b->mask;
    return &b->merges[at];
}

static const struct merge *merge_find(const struct bpe *b, int32_t left, int32_t right)
{
    const struct merge *m = merge_at(b, left, right);

    return m->left >= 0 ? m : NULL;
}

/* ---- one word ---- */
struct symbol {
    int32_t id;
    uint32_t len;       /* bytes; 0: merged away */
    int32_t prev, next; /* -1: none */
    int32_t rank, merged;
};

struct word {
    struct symbol *s;
    size_t n;
};

static void word_add(struct word *word, int32_t id, size_t len)
{
    word->s[word->n] = (struct symbol){id, (uint32_t)len, (int32_t)word->n - 1, (int32_t)word->n + 1, 0, 0};
    word->n++;
}

/* The text of a first symbol: a character, with the prefix and suffix that this model's vocabulary carries. */
static int32_t char_id(const struct tokenizer *tok, const char *text, size_t len, bool first, bool last)
{
    const struct bpe *b = &tok->bpe;
    char with[160];
    int n;

    if ((first || !*b->prefix) && (!last || !*b->suffix))
        return vocab_find(&tok->vocab, text, len);
    n = snprintf(with, sizeof with, "%s%.*s%s", first ? "" : b->prefix, (int)len, text,
                 last ? b->suffix : "");
    return n > 0 && (size_t)n < sizeof with ? vocab_find(&tok->vocab, with, (size_t)n) : -1;
}

static bool add_bytes(const struct bpe *b, struct word *word, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (b->byte_ids[(unsigned char)text[i]] < 0)
            return false;
    for (size_t i = 0; i < len; i++)
        word_add(word, b->byte_ids[(unsigned char)text[i]], 1);
    return true;
}

static void split_chars(const struct tokenizer *tok, const struct piece *p, struct word *word)
{
    const struct bpe *b = &tok->bpe;
    size_t unk = 0; /* bytes of the unknown run that is not added yet */

    for (size_t at = 0, len; at < p->n; at += len) {
        uint32_t code;
        int32_t id;
        len = utf8_decode(p->text + at, p->n - at, &code);
        len = len ? len : 1;
        id = char_id(tok, p->text + at, len, at == 0, at + len == p->n);
        if (id >= 0) {
            if (unk)
                word_add(word, b->unk, unk);
            unk = 0;
            word_add(word, id, len);
        } else if (!(b->byte_fallback && add_bytes(b, word, p->text + at, len)) && b->unk >= 0) {
            if (unk && !b->fuse_unk) {
                word_add(word, b->unk, unk);
                unk = 0;
            }
            unk += len;
        }
    }
    if (unk)
        word_add(word, b->unk, unk);
    if (word->n)
        word->s[word->n - 1].next = -1;
}

static void join(struct word *word, int32_t at, int32_t id)
{
    struct symbol *left = &word->s[at], *right = &word->s[left->next];

    left->id = id;
    left->len += right->len;
    left->next = right->next;
    right->len = 0;
    if (left->next >= 0)
        word->s[left->next].prev = at;
}

/* What the symbol at `at` and the next one merge to; rank INT32_MAX: nothing. */
static void look_up(const struct bpe *b, struct word *word, int32_t at)
{
    struct symbol *s = &word->s[at];
    const struct merge *m = s->next >= 0 ? merge_find(b, s->id, word->s[s->next].id) : NULL;

    s->rank = m ? m->rank : INT32_MAX;
    s->merged = m ? m->id : -1;
}

/* The lowest rank first, the leftmost of equals. */
static void merge_by_scan(const struct bpe *b, struct word *word)
{
    for (int32_t at = 0; at >= 0; at = word->s[at].next)
        look_up(b, word, at);
    for (;;) {
        int32_t best = INT32_MAX, where = -1;

        for (int32_t at = 0; at >= 0; at = word->s[at].next)
            if (word->s[at].rank < best) {
                best = word->s[at].rank;
                where = at;
            }
        if (where < 0)
            return;
        join(word, where, word->s[where].merged);
        look_up(b, word, where);
        if (word->s[where].prev >= 0)
            look_up(b, word, word->s[where].prev);
    }
}

struct candidate {
    int32_t rank, at, id;
};

struct heap {
    struct candidate *items; /* room for 2 per symbol: each join adds two and uses one */
    size_t n;
};

static bool before(const struct candidate *a, const struct candidate *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static void heap_push(struct heap *h, struct candidate c)
{
    size_t i = h->n++;

    while (i > 0 && before(&c, &h->items[(i - 1) / 2])) {
        h->items[i] = h->items[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    h->items[i] = c;
}

static struct candidate heap_pop(struct heap *h)
{
    struct candidate top = h->items[0], last = h->items[--h->n];
    size_t i = 0, child;

    while ((child = 2 * i + 1) < h->n) {
        if (child + 1 < h->n && before(&h->items[child + 1], &h->items[child]))
            child++;
        if (!before(&h->items[child], &last))
            break;
        h->items[i] = h->items[child];
        i = child;
    }
    if (h->n)
        h->items[i] = last;
    return top;
}

static void consider(const struct bpe *b, const struct word *word, struct heap *h, int32_t at)
{
    int32_t next = at >= 0 ? word->s[at].next : -1;
    const struct merge *m = next >= 0 ? merge_find(b, word->s[at].id, word->s[next].id) : NULL;

    if (m)
        heap_push(h, (struct candidate){m->rank, at, m->id});
}

static void merge_by_heap(const struct bpe *b, struct word *word, struct heap *h)
{
    for (size_t i = 0; i + 1 < word->n; i++)
        consider(b, word, h, (int32_t)i);
    while (h->n) {
        struct candidate c = heap_pop(h);
        struct symbol *s = &word->s[c.at];
        const struct merge *m = s->len && s->next >= 0 ? merge_find(b, s->id, word->s[s->next].id) : NULL;
        if (!m || m->id != c.id) /* one of the two has changed since */
            continue;
        join(word, c.at, c.id);
        consider(b, word, h, s->prev);
        consider(b, word, h, c.at);
    }
}

static enum lc merge_all(struct work *w, struct word *word)
{
    const struct bpe *b = &w->tok->bpe;
    struct heap h = {0};

    if (word->n < 2 || !b->n)
        return LC_OK;
    if (word->n <= SCAN_MAX) {
        merge_by_scan(b, word);
        return LC_OK;
    }
    if ((h.items = arena_alloc(w->arena, word->n * 3 * sizeof *h.items)) == NULL)
        return err_nomem(w->err);
    merge_by_heap(b, word, &h);
    return LC_OK;
}

static struct align span(const struct piece *p, size_t start, size_t end)
{
    struct align first = piece_align(p, start), last = piece_align(p, end > start ? end - 1 : start);

    return (struct align){first.start, last.end};
}

static void remember(struct work *w, const struct piece *p, const struct word *word)
{
    int32_t ids[SCAN_MAX];
    size_t n = 0;

    for (int32_t i = word->n ? 0 : -1; i >= 0 && n < SCAN_MAX; i = word->s[i].next)
        ids[n++] = word->s[i].id;
    if (word->n <= SCAN_MAX)
        word_cache_put(w->tok->bpe.cache, p->text, p->n, ids, n);
}

static enum lc encode_word(struct work *w, const struct piece *p)
{
    struct symbol small[SCAN_MAX];
    struct word word = {small, 0};
    const struct cached_word *known = w->offsets ? NULL : word_cache_find(w->tok->bpe.cache, p->text, p->n);
    size_t at = 0;

    if (known)
        return encoding_put_all(w, known->ids, known->n);
    if (p->n > SCAN_MAX && (word.s = arena_alloc(w->arena, p->n * sizeof *word.s)) == NULL)
        return err_nomem(w->err);
    split_chars(w->tok, p, &word);
    TRY(merge_all(w, &word));
    if (!w->offsets)
        remember(w, p, &word);
    for (int32_t i = word.n ? 0 : -1; i >= 0; i = word.s[i].next) {
        TRY(encoding_put(w, word.s[i].id, span(p, at, at + word.s[i].len)));
        at += word.s[i].len;
    }
    return LC_OK;
}

static bool is_mark(const char *text, size_t n)
{
    return n >= MARK_BYTES && memcmp(text, SPACE_MARK, MARK_BYTES) == 0;
}

/* Where the word that begins at `from` ends: before a mark that follows something else. */
static size_t word_end(const char *text, size_t n, size_t from)
{
    const char *hit = text + from, *end = text + n;

    while (is_mark(hit, (size_t)(end - hit)))
        hit += MARK_BYTES;
    hit = memmem(hit, (size_t)(end - hit), SPACE_MARK, MARK_BYTES);
    return hit ? (size_t)(hit - text) : n;
}

enum lc bpe_encode(struct work *w, const struct piece *p)
{
    const struct tokenizer *tok = w->tok;
    const struct cached_word *known = NULL;
    int32_t whole;

    if (tok->bpe.ignore_merges) { /* then words that are tokens are what there is most of */
        if (!w->offsets && (known = word_cache_find(tok->bpe.cache, p->text, p->n)) != NULL)
            return encoding_put_all(w, known->ids, known->n);
        whole = vocab_find(&tok->vocab, p->text, p->n);
        if (whole >= 0) {
            word_cache_put(tok->bpe.cache, p->text, p->n, &whole, 1);
            return encoding_put(w, whole, span(p, 0, p->n));
        }
    }
    if (!tok->bpe.by_words)
        return encode_word(w, p);
    for (size_t at = 0, end; at < p->n; at = end) {
        struct piece word = *p;

        end = word_end(p->text, p->n, at);
        word.text += at;
        word.n = end - at;
        word.align = p->align ? p->align + at : NULL;
        TRY(encode_word(w, &word));
    }
    return LC_OK;
}

/* ---- loading ---- */
static const char *text_or_empty(struct tokenizer *tok, const json_t *model, const char *key)
{
    const char *text = json_text(model, key, NULL);

    return text && *text ? arena_strdup(tok->arena, text) : "";
}

static enum lc load_vocab(struct tokenizer *tok, json_t *vocab, struct err *err)
{
    const char *token;
    json_t *id;

    if (!json_is_object(vocab))
        return err_set(err, LC_DATA, "the model has no vocab");
    TRY(vocab_init(&tok->vocab, json_object_size(vocab), err));
    json_object_foreach (vocab, token, id) {
        size_t len = strlen(token);
        char *copy = arena_strndup(tok->arena, token, len);
        if (!copy)
            return err_nomem(err);
        if (!json_is_integer(id))
            return err_set(err, LC_DATA, "token '%.100s' has an id that is not a number", token);
        TRY(vocab_add(&tok->vocab, copy, len, json_integer_value(id), err));
    }
    return LC_OK;
}

/* "a b" in old files, ["a", "b"] in new ones. */
static bool merge_parts(const json_t *merge, const char *text[2], size_t len[2])
{
    const char *space;

    if (json_is_array(merge) && json_array_size(merge) == 2) {
        for (size_t i = 0; i < 2; i++) {
            text[i] = json_string_value(json_array_get(merge, i));
            len[i] = text[i] ? json_string_length(json_array_get(merge, i)) : 0;
        }
        return text[0] && text[1];
    }
    text[0] = json_string_value(merge);
    space = text[0] ? strchr(text[0], ' ') : NULL;
    if (!space || strchr(space + 1, ' '))
        return false;
    len[0] = (size_t)(space - text[0]);
    text[1] = space + 1;
    len[1] = strlen(text[1]);
    return true;
}

static enum lc add_merge(struct tokenizer *tok, const json_t *json, size_t rank, struct buf *joined,
                         struct err *err)
{
    const char *text[2];
    size_t len[2], cut = strlen(tok->bpe.prefix);
    int32_t left, right, id;
    struct merge *m;

    if (!merge_parts(json, text, len))
        return err_set(err, LC_DATA, "merge %zu is not a pair of tokens", rank);
    left = vocab_find(&tok->vocab, text[0], len[0]);
    right = vocab_find(&tok->vocab, text[1], len[1]);
    if (left < 0 || right < 0)
        return err_set(err, LC_DATA, "merge %zu names '%.100s', which is not in the vocabulary", rank,
                       text[left < 0 ? 0 : 1]);
    buf_clear(joined);
    buf_add(joined, text[0], len[0]);
    if (len[1] >= cut)
        buf_add(joined, text[1] + cut, len[1] - cut);
    TRY(buf_check(joined, err));
    id = vocab_find(&tok->vocab, buf_str(joined), joined->len);
    if (id < 0)
        return err_set(err, LC_DATA, "merge %zu makes '%.100s', which is not in the vocabulary", rank,
                       buf_str(joined));
    m = merge_at(&tok->bpe, left, right);
    tok->bpe.n += m->left < 0;
    *m = (struct merge){left, right, (int32_t)rank, id};
    return LC_OK;
}

static enum lc load_merges(struct tokenizer *tok, const json_t *merges, struct err *err)
{
    size_t n = json_array_size(merges), slots = 64, i;
    struct buf joined = BUF_INIT((size_t)1 << 20);
    json_t *merge;
    enum lc rc = LC_OK;

    if (!json_is_array(merges))
        return err_set(err, LC_DATA, "the model has no merges");
    while (slots < n * 2)
        slots *= 2;
    tok->bpe.merges = mem_calloc(slots, sizeof *tok->bpe.merges);
    if (!tok->bpe.merges)
        return err_nomem(err);
    for (i = 0; i < slots; i++)
        tok->bpe.merges[i].left = -1;
    tok->bpe.mask = slots - 1;
    json_array_foreach (merges, i, merge)
        if (rc == LC_OK)
            rc = add_merge(tok, merge, i, &joined, err);
    buf_release(&joined);
    return rc;
}

/* Whether a word may be merged by itself: no token has a mark behind anything but marks, and a mark is a token, so that
 * no unknown run goes over it. */
static bool words_are_apart(const struct tokenizer *tok)
{
    const struct bpe *b = &tok->bpe;

    if (*b->prefix || *b->suffix || vocab_find(&tok->vocab, SPACE_MARK, MARK_BYTES) < 0)
        return false;
    for (size_t i = 0; i <= b->mask; i++) {
        const struct merge *m = &b->merges[i];
        const struct vocab_text *made = m->left >= 0 ? &tok->vocab.by_id[m->id] : NULL;

        if (made && word_end(made->text, made->len, 0) != made->len)
            return false;
    }
    return true;
}

static enum lc load_options(struct tokenizer *tok, const json_t *model, struct err *err)
{
    struct bpe *b = &tok->bpe;
    const char *unk = json_text(model, "unk_token", NULL);
    double dropout = json_number_value(json_object_get(model, "dropout"));

    if (dropout > 0)
        return err_set(err, LC_UNSUPPORTED, "BPE dropout (%.2g in this file) is not supported", dropout);
    b->byte_fallback = json_is_true(json_object_get(model, "byte_fallback"));
    b->fuse_unk = json_is_true(json_object_get(model, "fuse_unk"));
    b->ignore_merges = json_is_true(json_object_get(model, "ignore_merges"));
    b->prefix = text_or_empty(tok, model, "continuing_subword_prefix");
    b->suffix = text_or_empty(tok, model, "end_of_word_suffix");
    if (!b->prefix || !b->suffix)
        return err_nomem(err);
    TRY(load_vocab(tok, json_object_get(model, "vocab"), err));
    b->unk = unk ? vocab_find(&tok->vocab, unk, strlen(unk)) : -1;
    if (unk && b->unk < 0)
        return err_set(err, LC_DATA, "the unk_token '%.100s' is not in the vocabulary", unk);
    for (int i = 0; i < 256; i++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", (unsigned)i);
        b->byte_ids[i] = vocab_find(&tok->vocab, name, strlen(name));
    }
    return LC_OK;
}

enum lc load_bpe(struct tokenizer *tok, const json_t *model, struct err *err)
{
    const char *type = json_text(model, "type", NULL);

    if (!json_is_object(model))
        return err_set(err, LC_DATA, "there is no model");
    if (!type) /* old files leave it out: merges say what it is */
        type = json_object_get(model, "merges") ? "BPE" : "(none)";
    if (strcmp(type, "BPE") != 0)
        return unsupported("model", type, err);
    TRY(load_options(tok, model, err));
    TRY(load_merges(tok, json_object_get(model, "merges"), err));
    tok->bpe.by_words = !tok->bpe.ignore_merges && words_are_apart(tok);
    tok->bpe.cache = word_cache_new();
    return LC_OK;
}
