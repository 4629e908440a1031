/* train.c: byte-pair encoding learned from word counts, in the order of the `tokenizers` library. */
#include "gpu/tokenizer/train.h"
#include "gpu/tokenizer/tokenizer_int.h"
#include "runtime/base/fs.h"
#include "runtime/base/utf8.h"
#include <stdlib.h>
#include <string.h>

enum { BYTES = 256, SPECIAL_MAX = 1024, CHECK_EVERY = 256, FILE_MAX = 256 << 20 };

#define PATTERN                                                                                              \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}{1,3}| "                   \
    "?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|"                                                               \
    "\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+"
#define PRE_TOKENIZER                                                                                        \
    "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":\"" PATTERN        \
    "\"},\"behavior\":\"Isolated\",\"invert\":false},{\"type\":\"ByteLevel\",\"add_prefix_space\":false,"    \
    "\"trim_offsets\":true,\"use_regex\":false}]}"

/* ---- words ---- */
struct train_word {
    int32_t *ids; /* in the arena */
    uint32_t n;
    int64_t count;
};

struct pair_slot {
    int32_t left, right; /* left < 0: empty */
    int64_t count;
    uint32_t *where; /* owned: words that gained this pair since it was last queued */
    uint32_t n_where, cap_where;
};

struct queued {
    int64_t count;
    int32_t left, right;
    uint32_t *where; /* owned */
    uint32_t n_where;
};

struct trainer {
    const struct tokenizer_training *options;
    struct arena *arena;
    struct vocab vocab; /* tokens as they are written: visible characters */
    struct train_word *words;
    size_t n_words, cap_words;
    struct vocab word_index; /* word → index */
    struct pair_slot *pairs;
    size_t mask, n_pairs;
    struct queued *queue; /* binary heap */
    size_t n_queue, cap_queue;
    struct pair {
        int32_t left, right;
    } * touched; /* owned: pairs that gained words in this step */
    size_t n_touched, cap_touched;
    struct merge *merges; /* in order; rank unused */
    size_t n_merges, cap_merges;
    struct err *err;
};

static enum lc reserve(void **items, size_t *cap, size_t n, size_t size, struct err *err)
{
    size_t more = *cap ? *cap * 2 : 64;
    void *grown;

    if (n < *cap)
        return LC_OK;
    if ((grown = mem_reallocn(*items, more, size)) == NULL)
        return err_nomem(err);
    *items = grown;
    *cap = more;
    return LC_OK;
}

/* Each text is cut into words; a word's letters are single bytes until something is merged. */
static enum lc count_word(struct trainer *t, const struct piece *p)
{
    int32_t at = vocab_find(&t->word_index, p->text, p->n);
    struct train_word *word;
    char *copy;

    if (at >= 0) {
        t->words[at].count++;
        return LC_OK;
    }
    TRY(reserve((void **)&t->words, &t->cap_words, t->n_words, sizeof *t->words, t->err));
    word = &t->words[t->n_words];
    *word = (struct train_word){.ids = arena_alloc(t->arena, p->n * sizeof *word->ids), .count = 1};
    if (!word->ids || (copy = arena_alloc(t->arena, p->n)) == NULL)
        return err_nomem(t->err);
    memcpy(copy, p->text, p->n);
    for (size_t i = 0, len; i < p->n; i += len) {
        uint32_t code;
        len = utf8_decode(p->text + i, p->n - i, &code);
        word->ids[word->n++] = vocab_find(&t->vocab, p->text + i, len);
    }
    return vocab_add(&t->word_index, copy, p->n, (int64_t)t->n_words++, t->err);
}

static enum lc count_text(struct trainer *t, const struct tokenizer *splitter, struct regex_scratch *scratch,
                          const char *text, size_t len)
{
    struct arena *arena = arena_new(0);
    struct work w = {.tok = splitter, .arena = arena, .scratch = scratch, .err = t->err};
    struct piece p = {.n = len, .id = -1, .first = true};
    enum lc rc = LC_OK;

    if (!utf8_valid(text, len))
        rc = err_set(t->err, LC_DATA, "cannot train a tokenizer: text is not UTF-8: '%.60s…'", text);
    else if (!arena || (p.text = arena_alloc(arena, len)) == NULL)
        rc = err_nomem(t->err);
    if (rc == LC_OK) {
        memcpy(p.text, text, len);
        rc = work_put(&w, p);
    }
    if (rc == LC_OK)
        rc = pre_tokenize(&w);
    for (size_t i = 0; rc == LC_OK && i < w.n; i++)
        rc = count_word(t, &w.pieces[i]);
    arena_free(arena);
    return rc;
}

static enum lc count_texts(const struct ctx *ctx, struct trainer *t, tokenizer_text_fn *next, void *arg)
{
    static const char skeleton[] =
        "{\"pre_tokenizer\":" PRE_TOKENIZER ",\"model\":{\"type\":\"BPE\",\"vocab\":{},\"merges\":[]}}";
    struct tokenizer *splitter = NULL;
    struct regex_scratch *scratch = NULL;
    const char *text;
    size_t len, n = 0;
    enum lc rc = tokenizer_parse(skeleton, sizeof skeleton - 1, &splitter, t->err);

    if (rc == LC_OK && (scratch = splitter->re->scratch_new()) == NULL)
        rc = err_nomem(t->err);
    while (rc == LC_OK && (rc = next(arg, &text, &len, t->err)) == LC_OK && text) {
        if (n++ % CHECK_EVERY == 0)
            rc = ctx_check(ctx, t->err);
        if (rc == LC_OK)
            rc = count_text(t, splitter, scratch, text, len);
    }
    if (scratch)
        splitter->re->scratch_free(scratch);
    tokenizer_free(splitter);
    return rc;
}

/* ---- pairs ---- */
static struct pair_slot *pair_at(const struct trainer *t, int32_t left, int32_t right)
{
    uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    size_t at;

    key = (key ^ key >> 29) * 0xbf58476d1ce4e5b9u;
    at = (size_t)(key ^ key >> 32) & t->mask;
    while (t->pairs[at].left >= 0 && (t->pairs[at].left != left || t->pairs[at].right != right))
        at = (at + 1) & t->mask;
    return &t->pairs[at];
}

static enum lc resize_pairs(struct trainer *t, size_t slots)
{
    struct pair_slot *old = t->pairs;
    size_t n = old ? t->mask + 1 : 0;

    if ((t->pairs = mem_calloc(slots, sizeof *t->pairs)) == NULL) {
        t->pairs = old;
        return err_nomem(t->err);
    }
    t->mask = slots - 1;
    for (size_t i = 0; i < slots; i++)
        t->pairs[i].left = -1;
    for (size_t i = 0; i < n; i++)
        if (old[i].left >= 0)
            *pair_at(t, old[i].left, old[i].right) = old[i];
    mem_free(old);
    return LC_OK;
}

static enum lc count_pair(struct trainer *t, int32_t left, int32_t right, int64_t by, uint32_t word)
{
    struct pair_slot *slot = pair_at(t, left, right);
    size_t cap;

    if (slot->left < 0 && (t->n_pairs + 1) * 2 > t->mask) {
        TRY(resize_pairs(t, (t->mask + 1) * 2));
        slot = pair_at(t, left, right);
    }
    if (slot->left < 0) {
        *slot = (struct pair_slot){.left = left, .right = right};
        t->n_pairs++;
    }
    slot->count += by;
    if (by < 0 || (slot->n_where && slot->where[slot->n_where - 1] == word))
        return LC_OK;
    if (slot->n_where == 0) {
        TRY(reserve((void **)&t->touched, &t->cap_touched, t->n_touched, sizeof *t->touched, t->err));
        t->touched[t->n_touched++] = (struct pair){left, right};
    }
    cap = slot->cap_where;
    TRY(reserve((void **)&slot->where, &cap, slot->n_where, sizeof *slot->where, t->err));
    slot->cap_where = (uint32_t)cap;
    slot->where[slot->n_where++] = word;
    return LC_OK;
}

/* ---- the queue: most frequent first, then the smaller pair ---- */
static bool goes_before(const struct queued *a, const struct queued *b)
{
    if (a->count != b->count)
        return a->count > b->count;
    return a->left != b->left ? a->left < b->left : a->right < b->right;
}

static enum lc queue_push(struct trainer *t, struct queued q)
{
    size_t i = t->n_queue;
    enum lc rc = reserve((void **)&t->queue, &t->cap_queue, t->n_queue, sizeof *t->queue, t->err);

    if (rc != LC_OK) {
        mem_free(q.where);
        return rc;
    }
    t->n_queue++;
    while (i > 0 && goes_before(&q, &t->queue[(i - 1) / 2])) {
        t->queue[i] = t->queue[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    t->queue[i] = q;
    return LC_OK;
}

static struct queued queue_pop(struct trainer *t)
{
    struct queued top = t->queue[0], last = t->queue[--t->n_queue];
    size_t i = 0, child;

    while ((child = 2 * i + 1) < t->n_queue) {
        if (child + 1 < t->n_queue && goes_before(&t->queue[child + 1], &t->queue[child]))
            child++;
        if (!goes_before(&t->queue[child], &last))
            break;
        t->queue[i] = t->queue[child];
        i = child;
    }
    if (t->n_queue)
        t->queue[i] = last;
    return top;
}

static enum lc queue_touched(struct trainer *t)
{
    for (size_t i = 0; i < t->n_touched; i++) {
        struct pair_slot *s = pair_at(t, t->touched[i].left, t->touched[i].right);
        struct queued q = {s->count, s->left, s->right, s->where, s->n_where};
        s->where = NULL;
        s->n_where = s->cap_where = 0;
        if (q.count <= 0)
            mem_free(q.where);
        else
            TRY(queue_push(t, q));
    }
    t->n_touched = 0;
    return LC_OK;
}

/* ---- merging ---- */
static enum lc merge_word(struct trainer *t, uint32_t index, int32_t left, int32_t right, int32_t id)
{
    struct train_word *w = &t->words[index];

    for (uint32_t i = 0; i + 1 < w->n; i++) {
        if (w->ids[i] != left || w->ids[i + 1] != right)
            continue;
        if (i > 0) {
            TRY(count_pair(t, w->ids[i - 1], left, -w->count, index));
            TRY(count_pair(t, w->ids[i - 1], id, w->count, index));
        }
        w->ids[i] = id;
        memmove(w->ids + i + 1, w->ids + i + 2, (w->n - i - 2) * sizeof *w->ids);
        w->n--;
        if (i + 1 < w->n) {
            TRY(count_pair(t, right, w->ids[i + 1], -w->count, index));
            TRY(count_pair(t, id, w->ids[i + 1], w->count, index));
        }
    }
    return LC_OK;
}

static enum lc new_token(struct trainer *t, int32_t left, int32_t right, int32_t *id)
{
    const struct vocab_text a = t->vocab.by_id[left], b = t->vocab.by_id[right];
    size_t len = (size_t)a.len + b.len;
    char *text = arena_alloc(t->arena, len + 1);

    if (!text)
        return err_nomem(t->err);
    memcpy(text, a.text, a.len);
    memcpy(text + a.len, b.text, b.len);
    text[len] = '\0';
    *id = vocab_find(&t->vocab, text, len); /* another pair may have made the same text before */
    if (*id >= 0)
        return LC_OK;
    *id = (int32_t)t->vocab.n_ids;
    return vocab_add(&t->vocab, text, len, *id, t->err);
}

static enum lc apply(struct trainer *t, const struct queued *q)
{
    int32_t id = -1;

    TRY(new_token(t, q->left, q->right, &id));
    TRY(reserve((void **)&t->merges, &t->cap_merges, t->n_merges, sizeof *t->merges, t->err));
    t->merges[t->n_merges++] = (struct merge){.left = q->left, .right = q->right, .id = id};
    for (uint32_t i = 0; i < q->n_where; i++)
        TRY(merge_word(t, q->where[i], q->left, q->right, id));
    return queue_touched(t);
}

static enum lc learn(const struct ctx *ctx, struct trainer *t)
{
    for (size_t step = 0; t->vocab.n_ids < t->options->vocab_size && t->n_queue; step++) {
        struct queued q = queue_pop(t);
        int64_t count = pair_at(t, q.left, q.right)->count;
        enum lc rc = step % CHECK_EVERY == 0 ? ctx_check(ctx, t->err) : LC_OK;
        if (rc == LC_OK && q.count != count) { /* it has changed since: back with its present count */
            q.count = count;
            TRY(queue_push(t, q));
            continue;
        }
        if (rc == LC_OK && (count < 1 || count < (int64_t)t->options->min_frequency)) {
            mem_free(q.where);
            break;
        }
        if (rc == LC_OK)
            rc = apply(t, &q);
        mem_free(q.where);
        TRY(rc);
    }
    return LC_OK;
}

static enum lc start_pairs(struct trainer *t)
{
    TRY(resize_pairs(t, 4096));
    for (size_t i = 0; i < t->n_words; i++)
        for (uint32_t k = 0; k + 1 < t->words[i].n; k++)
            TRY(count_pair(t, t->words[i].ids[k], t->words[i].ids[k + 1], t->words[i].count, (uint32_t)i));
    return queue_touched(t);
}

/* ---- the fixed part of the vocabulary ---- */
static enum lc add_special(struct trainer *t, const char *text)
{
    if (!text || vocab_find(&t->vocab, text, strlen(text)) >= 0)
        return LC_OK;
    return vocab_add(&t->vocab, text, strlen(text), (int64_t)t->vocab.n_ids, t->err);
}

static enum lc fixed_part(struct trainer *t, size_t *n_special)
{
    const struct tokenizer_training *o = t->options;
    uint32_t code = 0;
    char text[4];

    TRY(add_special(t, o->bos));
    TRY(add_special(t, o->eos));
    TRY(add_special(t, o->pad));
    for (size_t i = 0; i < o->n_special_tokens; i++)
        TRY(add_special(t, o->special_tokens[i]));
    *n_special = t->vocab.n_ids;
    if (*n_special > SPECIAL_MAX || *n_special + BYTES > o->vocab_size || o->vocab_size > VOCAB_ID_MAX)
        return err_set(t->err, LC_ARG,
                       "cannot train a tokenizer of %zu tokens: %zu special tokens and 256 bytes need %zu",
                       o->vocab_size, *n_special, *n_special + BYTES);
    for (; code < 0x144; code++) { /* the alphabet in the order of its characters */
        size_t len = bytelevel_byte(code) >= 0 ? utf8_encode(code, text) : 0;
        char *copy = arena_strndup(t->arena, text, len);
        if (!copy)
            return err_nomem(t->err);
        if (len)
            TRY(vocab_add(&t->vocab, copy, len, (int64_t)t->vocab.n_ids, t->err));
    }
    return LC_OK;
}

/* ---- writing ---- */
static void put_text(struct buf *out, const char *text)
{
    if (text)
        buf_json(out, text, strlen(text));
    else
        buf_puts(out, "null");
}

static void put_added(struct buf *out, const struct trainer *t, size_t n_special)
{
    buf_puts(out, "\"added_tokens\":[");
    for (size_t i = 0; i < n_special; i++) {
        buf_printf(out, "%s\n{\"id\":%zu,\"content\":", i ? "," : "", i);
        put_text(out, t->vocab.by_id[i].text);
        buf_puts(out, ",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,"
                      "\"special\":true}");
    }
    buf_puts(out, "],\n");
}

static void put_post_processor(struct buf *out, const struct trainer *t)
{
    const struct tokenizer_training *o = t->options;

    buf_puts(out, "\"post_processor\":");
    if (!o->add_bos || !o->bos) {
        buf_puts(out, "null,\n");
        return;
    }
    for (int pair = 0; pair < 2; pair++) {
        buf_puts(out, pair ? ",\"pair\":[" : "{\"type\":\"TemplateProcessing\",\"single\":[");
        for (int part = 0; part <= pair; part++) {
            buf_puts(out, part ? ",{\"SpecialToken\":{\"id\":" : "{\"SpecialToken\":{\"id\":");
            put_text(out, o->bos);
            buf_printf(out, ",\"type_id\":%d}},{\"Sequence\":{\"id\":\"%s\",\"type_id\":%d}}", part,
                       part ? "B" : "A", part);
        }
        buf_putc(out, ']');
    }
    buf_puts(out, ",\"special_tokens\":{");
    put_text(out, o->bos);
    buf_puts(out, ":{\"id\":");
    put_text(out, o->bos);
    buf_puts(out, ",\"ids\":[0],\"tokens\":[");
    put_text(out, o->bos);
    buf_puts(out, "]}}},\n");
}

static void put_vocab(struct buf *out, const struct trainer *t)
{
    buf_puts(out, "\"vocab\":{");
    for (size_t i = 0; i < t->vocab.n_ids; i++) {
        const struct vocab_text *v = &t->vocab.by_id[i];
        buf_puts(out, i ? ",\n" : "\n");
        buf_json(out, v->text, v->len);
        buf_printf(out, ":%zu", i);
    }
    buf_puts(out, "},\n");
}

/* A pair that was merged twice (its text was made by another pair in between) keeps its last rank. */
static void put_merges(struct buf *out, struct trainer *t)
{
    const char *between = "\n";

    for (size_t i = 0; i < t->n_merges; i++)
        pair_at(t, t->merges[i].left, t->merges[i].right)->count = (int64_t)i;
    buf_puts(out, "\"merges\":[");
    for (size_t i = 0; i < t->n_merges; i++) {
        const struct merge *m = &t->merges[i];
        const struct vocab_text *a = &t->vocab.by_id[m->left], *b = &t->vocab.by_id[m->right];
        if (pair_at(t, m->left, m->right)->count != (int64_t)i)
            continue;
        buf_puts(out, between);
        buf_putc(out, '[');
        buf_json(out, a->text, a->len);
        buf_putc(out, ',');
        buf_json(out, b->text, b->len);
        buf_putc(out, ']');
        between = ",\n";
    }
    buf_puts(out, "]");
}

static enum lc write_file(const char *folder, const char *name, const struct buf *text, struct err *err)
{
    char *path = fs_join(folder, name);
    enum lc rc = path ? buf_check(text, err) : err_nomem(err);

    if (rc == LC_OK)
        rc = fs_write(path, text->data, text->len, err);
    mem_free(path);
    return rc;
}

static enum lc write_tokenizer(struct trainer *t, size_t n_special, const char *folder)
{
    struct buf out = BUF_INIT(FILE_MAX);
    enum lc rc;

    buf_puts(&out, "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\n");
    put_added(&out, t, n_special);
    buf_puts(&out, "\"normalizer\":null,\n\"pre_tokenizer\":" PRE_TOKENIZER ",\n");
    put_post_processor(&out, t);
    buf_puts(
        &out,
        "\"decoder\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true,\"use_regex\":"
        "true},\n"
        "\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,\"continuing_subword_prefix\":null,"
        "\"end_of_word_suffix\":null,\"fuse_unk\":false,\"byte_fallback\":false,\"ignore_merges\":false,\n");
    put_vocab(&out, t);
    put_merges(&out, t);
    buf_puts(&out, "}}\n");
    rc = write_file(folder, "tokenizer.json", &out, t->err);
    buf_release(&out);
    return rc;
}

static enum lc write_config(const struct tokenizer_training *o, const char *folder, struct err *err)
{
    struct buf out = BUF_INIT(FILE_MAX);
    enum lc rc;

    buf_puts(&out, "{\n  \"tokenizer_class\": \"PreTrainedTokenizerFast\",\n  \"bos_token\": ");
    put_text(&out, o->bos);
    buf_puts(&out, ",\n  \"eos_token\": ");
    put_text(&out, o->eos);
    buf_puts(&out, ",\n  \"pad_token\": ");
    put_text(&out, o->pad);
    if (o->model_max_length > 0)
        buf_printf(&out, ",\n  \"model_max_length\": %lld", (long long)o->model_max_length);
    if (o->chat_template) {
        buf_puts(&out, ",\n  \"chat_template\": ");
        put_text(&out, o->chat_template);
    }
    buf_puts(&out, ",\n  \"clean_up_tokenization_spaces\": false\n}\n");
    rc = write_file(folder, "tokenizer_config.json", &out, err);
    buf_release(&out);
    return rc;
}

static void trainer_release(struct trainer *t)
{
    for (size_t i = 0; t->pairs && i <= t->mask; i++)
        mem_free(t->pairs[i].where);
    for (size_t i = 0; i < t->n_queue; i++)
        mem_free(t->queue[i].where);
    mem_free(t->pairs);
    mem_free(t->queue);
    mem_free(t->touched);
    mem_free(t->merges);
    mem_free(t->words);
    vocab_release(&t->vocab);
    vocab_release(&t->word_index);
    arena_free(t->arena);
}

enum lc tokenizer_train(const struct ctx *ctx, tokenizer_text_fn *next, void *arg,
                        const struct tokenizer_training *o, const char *folder, struct err *err)
{
    struct trainer t = {.options = o, .err = err, .arena = arena_new(0)};
    size_t n_special = 0;
    enum lc rc = t.arena ? LC_OK : err_nomem(err);

    if (rc == LC_OK)
        rc = vocab_init(&t.vocab, o->vocab_size < VOCAB_ID_MAX ? o->vocab_size : 0, err);
    if (rc == LC_OK)
        rc = vocab_init(&t.word_index, 1 << 16, err);
    if (rc == LC_OK)
        rc = fixed_part(&t, &n_special);
    if (rc == LC_OK)
        rc = count_texts(ctx, &t, next, arg);
    if (rc == LC_OK)
        rc = start_pairs(&t);
    if (rc == LC_OK)
        rc = learn(ctx, &t);
    if (rc == LC_OK)
        rc = fs_mkdirs(folder, err);
    if (rc == LC_OK)
        rc = write_config(o, folder, err);
    if (rc == LC_OK) /* last: a folder with tokenizer.json is a whole one */
        rc = write_tokenizer(&t, n_special, folder);
    trainer_release(&t);
    return rc;
}
