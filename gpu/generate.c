#include "gpu/adapter.h"
#include "gpu/choose.h"
#include "gpu/model_int.h"
#include "runtime/base/mem.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHUNK = 512,    /* rows of prompts that one step reads, so that the others need not wait for a long one */
    SCORED = 64,    /* of them, rows of prompts whose logits are asked for: as many rows of logits are kept */
    CAPACITY = 256, /* rows of the cache that a sequence has at first */
    LARGE = 64 << 20 /* bytes of keys that are not kept while nothing runs */
};

struct member { /* a sequence in a batch */
    struct generate_options o;
    struct generate_prompt prompt;
    size_t sequence;
    struct rng rng; /* of its own: batching changes nothing */
    int64_t fed;    /* rows in the cache */
    int64_t rows;   /* of this step */
    bool over;      /* has ended in this step */
    int32_t slot;
    size_t capacity; /* of made */
    struct generated made;
    struct err err;
};

struct generate_batch {
    struct model *m; /* borrowed */
    struct kv_cache cache;
    int64_t vocabulary;
    size_t most, n, n_ended;
    struct member *members;               /* owned, [most]: those that run */
    struct member *ended;                 /* owned, [most] */
    int32_t *ids, *starts, *past, *slots; /* owned in one block: ids; for a step of up to CHUNK + most rows */
    int32_t *wanted, *adapters, *seen;    /* in that block: rows whose logits are wanted; of each sequence */
    float *logits;                        /* owned, [n_logits, vocabulary] */
    size_t n_logits;
    struct chooser chooser;
    struct likely *top; /* owned, [GENERATE_TOP_MAX] */
    bool *used;         /* owned, [most]: slots of the cache */
};

void generate_defaults(struct generate_options *o)
{
    *o = (struct generate_options){.max_new_tokens = 20, .top_p = 1, .repetition_penalty = 1};
}

static enum lc check_options(const struct generate_options *o, struct err *err)
{
    if (o->max_new_tokens < (o->prompt_logprobs ? 0 : 1) || o->max_new_tokens > 1 << 24)
        return err_set(err, LC_ARG, "'max_new_tokens' is %lld: not between 1 and %d",
                       (long long)o->max_new_tokens, 1 << 24);
    if (!(o->temperature >= 0) || !isfinite(o->temperature))
        return err_set(err, LC_ARG, "'temperature' is %g: it must be 0 (greedy) or above", o->temperature);
    if (!(o->top_p > 0 && o->top_p <= 1))
        return err_set(err, LC_ARG, "'top_p' is %g: not above 0 and at most 1", o->top_p);
    if (!(o->min_p >= 0 && o->min_p <= 1))
        return err_set(err, LC_ARG, "'min_p' is %g: not between 0 and 1", o->min_p);
    if (o->top_k < 0)
        return err_set(err, LC_ARG, "'top_k' is %lld: it must be 0 (off) or above", (long long)o->top_k);
    if (!(o->repetition_penalty > 0) || !isfinite(o->repetition_penalty))
        return err_set(err, LC_ARG, "'repetition_penalty' is %g: it must be above 0", o->repetition_penalty);
    if (!isfinite(o->frequency_penalty) || !isfinite(o->presence_penalty))
        return err_set(err, LC_ARG, "'frequency_penalty' and 'presence_penalty' must be finite");
    if (o->top_logprobs > GENERATE_TOP_MAX)
        return err_set(err, LC_ARG, "'top_logprobs' is %zu: at most %d", o->top_logprobs, GENERATE_TOP_MAX);
    return LC_OK;
}

static enum lc check_bias(const struct generate_options *o, int64_t vocabulary, struct err *err)
{
    for (size_t i = 0; i < o->n_bias; i++) {
        if (o->bias[i].token < 0 || o->bias[i].token >= vocabulary)
            return err_set(err, LC_ARG, "'logit_bias' names token %d, outside the vocabulary of %lld",
                           o->bias[i].token, (long long)vocabulary);
        if (!isfinite(o->bias[i].value))
            return err_set(err, LC_ARG, "'logit_bias' of token %d is not finite", o->bias[i].token);
    }
    return LC_OK;
}

static enum lc check_prompt(const struct generate_prompt *p, size_t sequence, int64_t vocabulary,
                            struct err *err)
{
    if (p->n == 0)
        return err_set(err, LC_ARG, "cannot generate: prompt %zu has no tokens", sequence);
    if (p->n > 1 << 24)
        return err_set(err, LC_LIMIT, "cannot generate: prompt %zu has %zu tokens", sequence, p->n);
    for (size_t j = 0; j < p->n; j++)
        if (p->ids[j] < 0 || p->ids[j] >= vocabulary)
            return err_set(err, LC_ARG,
                           "cannot generate: token %d of prompt %zu is outside the vocabulary of %lld",
                           p->ids[j], sequence, (long long)vocabulary);
    return LC_OK;
}

static bool is_stop(const struct generate_batch *b, const struct generate_options *o, int32_t token)
{
    const struct model_config *c = &b->m->config;

    if (o->no_stop)
        return false;
    for (size_t i = 0; i < o->n_stop; i++)
        if (o->stop[i] == token)
            return true;
    for (int i = 0; i < c->n_eos_token_ids && o->n_stop == 0; i++)
        if (c->eos_token_ids[i] == token)
            return true;
    return false;
}

static enum lc make_room(struct member *s, struct err *err)
{
    size_t capacity = s->capacity ? 2 * s->capacity : 64;
    int32_t *ids;
    double *logprobs;

    if (s->made.n < s->capacity)
        return LC_OK;
    ids = mem_reallocn(s->made.ids, capacity, sizeof *ids);
    s->made.ids = ids ? ids : s->made.ids;
    logprobs = mem_reallocn(s->made.logprobs, capacity, sizeof *logprobs);
    s->made.logprobs = logprobs ? logprobs : s->made.logprobs;
    if (!ids || !logprobs)
        return err_nomem(err);
    s->capacity = capacity;
    return LC_OK;
}

static enum lc check_finite(const float *logits, int64_t n, struct err *err)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(logits[i]))
            return err_set(err, LC_RUNTIME,
                           "cannot generate: the model's logits are not finite (token %lld: %g)",
                           (long long)i, (double)logits[i]);
    return LC_OK;
}

/* Tells who asked; false: it wants no more. */
static bool tell(struct generate_batch *b, const struct member *s, const float *logits, double total,
                 struct generate_token *t)
{
    if (!s->o.on_token)
        return true;
    t->top = b->top;
    if (s->o.top_logprobs)
        t->n_top = likeliest(logits, b->vocabulary, total, s->o.top_logprobs, b->top);
    return s->o.on_token(s->o.arg, s->sequence, t);
}

/* Takes one token for a sequence; false: the sequence has ended. */
static bool take_token(struct generate_batch *b, struct member *s, const float *logits)
{
    struct history h = {s->prompt.ids, s->made.ids, s->prompt.n, s->made.n};
    struct generated *g = &s->made;
    struct generate_token t = {0};
    double total;

    if ((int64_t)g->n == s->o.max_new_tokens)
        return false; /* none was asked for */
    if (check_finite(logits, b->vocabulary, &s->err) != LC_OK || make_room(s, &s->err) != LC_OK)
        return false;
    total = log_total(logits, b->vocabulary);
    t.token = chooser_next(&b->chooser, logits, &s->o, &h, &s->rng);
    t.logprob = (double)logits[t.token] - total;
    g->ids[g->n] = t.token;
    g->logprobs[g->n++] = t.logprob;
    if (!tell(b, s, logits, total, &t))
        g->end = GENERATE_CALLBACK;
    else if (is_stop(b, &s->o, t.token))
        g->end = GENERATE_STOP;
    else if ((int64_t)g->n < s->o.max_new_tokens)
        return true;
    else
        g->end = GENERATE_LENGTH;
    return false;
}

/* What the rows that were read say of the prompt's next tokens; false: the sequence has ended. */
static bool score_prompt(struct generate_batch *b, struct member *s, const float *logits, int64_t rows)
{
    for (int64_t r = 0; r < rows; r++, logits += b->vocabulary) {
        struct generate_token t = {.token = s->prompt.ids[s->fed + r + 1], .prompt = true};
        double total;

        if (check_finite(logits, b->vocabulary, &s->err) != LC_OK)
            return false;
        total = log_total(logits, b->vocabulary);
        t.logprob = (double)logits[t.token] - total;
        if (!tell(b, s, logits, total, &t)) {
            s->made.end = GENERATE_CALLBACK;
            return false;
        }
    }
    return true;
}

/* ---- batches ---- */
enum lc generate_batch_new(struct model *m, size_t most, struct generate_batch **out, struct err *err)
{
    struct generate_batch *b = mem_zalloc(sizeof *b);
    size_t rows = CHUNK + most;

    if (!b)
        return err_nomem(err);
    b->m = m;
    b->most = most;
    b->vocabulary = m->config.vocab_size;
    b->members = mem_calloc(most, sizeof *b->members);
    b->ended = mem_calloc(most, sizeof *b->ended);
    b->ids = mem_reallocn(NULL, 2 * rows + 5 * most + 1, sizeof *b->ids);
    b->top = mem_reallocn(NULL, GENERATE_TOP_MAX, sizeof *b->top);
    b->used = mem_calloc(most, sizeof *b->used);
    if (!b->used || !b->members || !b->ended || !b->ids || !b->top ||
        chooser_init(&b->chooser, b->vocabulary, NULL) != LC_OK) {
        generate_batch_free(b);
        return err_nomem(err);
    }
    b->wanted = b->ids + rows;
    b->starts = b->wanted + rows;
    b->past = b->starts + most + 1;
    b->slots = b->past + most;
    b->adapters = b->slots + most;
    b->seen = b->adapters + most;
    *out = b;
    return LC_OK;
}

void generated_release(struct generated *g)
{
    mem_free(g->ids);
    mem_free(g->logprobs);
    *g = (struct generated){0};
}

void generate_batch_free(struct generate_batch *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->n; i++)
        generated_release(&b->members[i].made);
    for (size_t i = 0; i < b->n_ended; i++)
        generated_release(&b->ended[i].made);
    cache_release(b->m, &b->cache);
    mem_free(b->members);
    mem_free(b->ended);
    mem_free(b->ids);
    mem_free(b->logits);
    mem_free(b->top);
    chooser_release(&b->chooser);
    mem_free(b->used);
    mem_free(b);
}

size_t generate_batch_running(const struct generate_batch *b)
{
    return b->n;
}

size_t generate_batch_most(const struct generate_batch *b)
{
    return b->most;
}

static int32_t free_slot(const struct generate_batch *b)
{
    int32_t slot = 0;

    while (b->used[slot])
        slot++;
    return slot;
}

enum lc generate_batch_add(struct generate_batch *b, const struct generate_prompt *prompt,
                           const struct generate_options *o, size_t sequence, struct err *err)
{
    struct member *s = &b->members[b->n];

    TRY(check_options(o, err));
    TRY(check_bias(o, b->vocabulary, err));
    TRY(check_prompt(prompt, sequence, b->vocabulary, err));
    if (o->adapter > adapter_kept(b->m))
        return err_set(err, LC_ARG, "cannot generate: the model keeps %zu adapters, there is no number %zu",
                       adapter_kept(b->m), o->adapter);
    if (o->adapter > 0 && adapter_attached(b->m))
        return err_set(err, LC_CONFLICT, "cannot generate: another adapter is attached to the model");
    if (b->n + b->n_ended >= b->most)
        return err_set(err, LC_CONFLICT, "cannot generate: %zu sequences are running already", b->n);
    *s = (struct member){.o = *o, .prompt = *prompt, .sequence = sequence, .slot = free_slot(b)};
    rng_seed(&s->rng, rng_mix(o->seed, sequence));
    b->used[s->slot] = true;
    b->n++;
    return LC_OK;
}

/* Tokens of the prompt that rows [from, to) of it predict, when they are asked for. */
static int64_t scored_rows(const struct member *s, int64_t from, int64_t to)
{
    int64_t last = (int64_t)s->prompt.n - 1;

    if (!s->o.prompt_logprobs || from >= last)
        return 0;
    return (to < last ? to : last) - from;
}

/* What each sequence reads in this step; returns the rows of all. */
static int64_t share_rows(struct generate_batch *b)
{
    int64_t left = CHUNK, scored = SCORED, all = 0;

    for (size_t i = 0; i < b->n; i++) {
        struct member *s = &b->members[i];
        int64_t rows = (int64_t)(s->prompt.n + s->made.n) - s->fed;

        s->rows = rows == 1 ? 1 : rows < left ? rows : left;
        if (s->o.prompt_logprobs && s->fed < (int64_t)s->prompt.n && s->rows > scored)
            s->rows = scored;
        scored -= scored_rows(s, s->fed, s->fed + s->rows);
        left -= rows == 1 ? 0 : s->rows;
        all += s->rows;
    }
    return all;
}

/* Their slots follow each other in the new cache. */
static void move_cache(struct generate_batch *b, const struct kv_cache *to)
{
    const struct model_config *c = &b->m->config;
    int64_t row = c->num_key_value_heads * c->head_dim;
    const struct backend *d = b->m->backend;

    for (int64_t l = 0; l < c->num_hidden_layers; l++)
        for (size_t i = 0; i < b->n; i++) {
            const struct member *s = &b->members[i];
            size_t bytes = (size_t)(s->fed * row) * sizeof(float);
            int64_t from = (l * b->cache.sequences + s->slot) * b->cache.capacity * row,
                    at = (l * to->sequences + (int64_t)i) * to->capacity * row;

            if (!bytes)
                continue;
            d->ops->copy(d->state, NULL, to->k + at, b->cache.k + from, bytes);
            d->ops->copy(d->state, NULL, to->v + at, b->cache.v + from, bytes);
        }
    for (size_t i = 0; i < b->most; i++)
        b->used[i] = i < b->n;
    for (size_t i = 0; i < b->n; i++)
        b->members[i].slot = (int32_t)i;
}

/* Memory that is promised and not there ends the process: what is free is asked for before each growth. */
static enum lc check_memory(const struct generate_batch *b, int64_t sequences, int64_t capacity,
                            struct err *err)
{
    const struct model_config *c = &b->m->config;
    double need = 2.0 * (double)(sequences * c->num_hidden_layers * c->num_key_value_heads * c->head_dim) *
                  (double)capacity * sizeof(float);
    struct backend_memory memory = {0};

    b->m->backend->ops->memory(b->m->backend->state, &memory);
    if (need <= (double)memory.free)
        return LC_OK;
    err_set(err, LC_LIMIT,
            "keys and values of %lld sequences of up to %lld tokens need %.0f MiB, and %.0f MiB are free",
            (long long)sequences, (long long)capacity, need / (1 << 20), (double)memory.free / (1 << 20));
    return err_hint(err, "ask for fewer tokens, or for fewer sequences at once");
}

/* A cache that holds what this step adds: twice as long, or with as many slots as there are sequences. */
static enum lc reserve_cache(struct generate_batch *b, struct err *err)
{
    int64_t sequences = b->cache.sequences, capacity = b->cache.capacity ? b->cache.capacity : CAPACITY;
    struct kv_cache larger;
    enum lc code;

    for (size_t i = 0; i < b->n; i++) {
        const struct member *s = &b->members[i];
        int64_t end = s->fed + s->rows, last = (int64_t)s->prompt.n + s->o.max_new_tokens;

        while (capacity < end)
            capacity = 2 * capacity;
        if (b->n == 1 && capacity > last && last >= end) /* alone it needs no more */
            capacity = last;
        sequences = s->slot >= sequences ? s->slot + 1 : sequences;
    }
    if (sequences <= b->cache.sequences && capacity <= b->cache.capacity)
        return LC_OK;
    capacity = capacity < b->cache.capacity ? b->cache.capacity : capacity;
    code = check_memory(b, sequences, capacity, err);
    if (code == LC_LIMIT && (int64_t)b->n < sequences) { /* without the slots that nobody has */
        sequences = (int64_t)b->n;
        code = check_memory(b, sequences, capacity, err);
    }
    if (code != LC_OK)
        return code;
    TRY(cache_new(b->m, sequences, capacity, &larger, err));
    move_cache(b, &larger);
    cache_release(b->m, &b->cache);
    b->cache = larger;
    return LC_OK;
}

static enum lc reserve_step(struct generate_batch *b, int64_t rows, struct err *err)
{
    const struct work *w = &b->m->work;
    int64_t n = (int64_t)b->n;

    TRY(reserve_cache(b, err));
    TRY(rope_reserve(b->m, b->cache.capacity, 0, err));
    if (rows <= w->rows && n <= w->sequences)
        return LC_OK;
    return model_reserve(b->m, rows > w->rows ? rows : w->rows, n > w->sequences ? n : w->sequences, w->train,
                         0, w->recomputed, NULL, err);
}

static int32_t token_at(const struct member *s, size_t i)
{
    return i < s->prompt.n ? s->prompt.ids[i] : s->made.ids[i - s->prompt.n];
}

static void leave(struct generate_batch *b, const struct member *s)
{
    b->used[s->slot] = false;
    b->ended[b->n_ended++] = *s;
}

/* The longest sequence makes room for the others. */
static void drop_longest(struct generate_batch *b, const struct err *why)
{
    size_t longest = 0;

    for (size_t i = 1; i < b->n; i++)
        if (b->members[i].fed + b->members[i].rows > b->members[longest].fed + b->members[longest].rows)
            longest = i;
    b->members[longest].made.end = GENERATE_CANCELLED;
    b->members[longest].err = *why;
    leave(b, &b->members[longest]);
    b->members[longest] = b->members[--b->n];
}

/* The last row of a sequence says nothing before the whole prompt has been read. */
static bool speaks(const struct member *s)
{
    return s->rows > 0 && s->fed + s->rows == (int64_t)(s->prompt.n + s->made.n);
}

static enum lc reserve_logits(struct generate_batch *b, size_t n, struct err *err)
{
    float *more;

    if (n <= b->n_logits)
        return LC_OK;
    more = mem_reallocn(b->logits, n * (size_t)b->vocabulary, sizeof *more);
    if (!more)
        return err_nomem(err);
    b->logits = more;
    b->n_logits = n;
    return LC_OK;
}

struct step { /* what has been put together for one decode */
    int32_t rows, sequences, wanted;
};

static void put_member(struct generate_batch *b, const struct member *s, struct step *t)
{
    int32_t at = t->rows;
    int64_t end = s->fed + s->rows, prompt = (int64_t)s->prompt.n;

    b->starts[t->sequences] = at;
    b->past[t->sequences] = (int32_t)s->fed;
    b->seen[t->sequences] = (int32_t)(end > prompt ? end : prompt); /* parts of a prompt are as the whole */
    b->adapters[t->sequences] = (int32_t)s->o.adapter;
    b->slots[t->sequences++] = s->slot;
    for (int64_t r = 0; r < s->rows; r++)
        b->ids[t->rows++] = token_at(s, (size_t)(s->fed + r));
    for (int64_t r = scored_rows(s, s->fed, s->fed + s->rows); r > 0; r--)
        b->wanted[t->wanted++] = at++;
    if (speaks(s))
        b->wanted[t->wanted++] = t->rows - 1;
}

/* Those with one adapter adjoin, whatever the order of members. */
static struct step put_members(struct generate_batch *b)
{
    size_t adapters = adapter_kept(b->m);
    struct step t = {0};

    for (size_t a = 0; a <= adapters; a++)
        for (size_t i = 0; i < b->n; i++)
            if (b->members[i].o.adapter == a && b->members[i].rows > 0)
                put_member(b, &b->members[i], &t);
    b->starts[t.sequences] = t.rows;
    return t;
}

/* Its share of what the decode gave, from *logits on; false: the sequence has ended. */
static bool digest(struct generate_batch *b, struct member *s, const float **logits)
{
    int64_t scored = scored_rows(s, s->fed, s->fed + s->rows);
    const float *own = *logits;
    bool speaking = speaks(s);

    *logits += (scored + speaking) * b->vocabulary;
    if (!score_prompt(b, s, own, scored))
        return false;
    s->fed += s->rows;
    return !speaking || take_token(b, s, own + scored * b->vocabulary);
}

static void digest_all(struct generate_batch *b)
{
    size_t adapters = adapter_kept(b->m), kept = 0;
    const float *logits = b->logits;

    for (size_t a = 0; a <= adapters; a++)
        for (size_t i = 0; i < b->n; i++) {
            struct member *s = &b->members[i];

            if (s->o.adapter == a)
                s->over = !digest(b, s, &logits);
        }
    for (size_t i = 0; i < b->n; i++)
        if (b->members[i].over)
            leave(b, &b->members[i]);
        else
            b->members[kept++] = b->members[i];
    b->n = kept;
    if (kept == 0 && b->cache.bytes > LARGE)
        cache_release(b->m, &b->cache);
}

enum lc generate_batch_step(const struct ctx *ctx, struct generate_batch *b, struct err *err)
{
    enum lc code;
    struct step t;

    TRY(ctx_check(ctx, err));
    while ((code = reserve_step(b, share_rows(b), err)) == LC_LIMIT && b->n > 1)
        drop_longest(b, err);
    if (code != LC_OK)
        return code;
    t = put_members(b);
    TRY(reserve_logits(b, (size_t)t.wanted, err));
    TRY(model_decode(ctx, b->m, &b->cache,
                     &(struct decode){.ids = b->ids,
                                      .starts = b->starts,
                                      .past = b->past,
                                      .slots = b->slots,
                                      .adapters = b->adapters,
                                      .seen = b->seen,
                                      .sequences = t.sequences,
                                      .wanted = b->wanted,
                                      .n_wanted = t.wanted},
                     b->logits, err));
    digest_all(b);
    return LC_OK;
}

bool generate_batch_take(struct generate_batch *b, struct generate_ended *out)
{
    struct member one = b->ended[0];

    if (b->n_ended == 0)
        return false;
    memmove(b->ended, b->ended + 1, --b->n_ended * sizeof *b->ended);
    *out = (struct generate_ended){one.sequence, one.o.arg, one.made, one.err};
    return true;
}

void generate_batch_drop(struct generate_batch *b, enum generate_end end, const struct err *why)
{
    for (size_t i = 0; i < b->n; i++) {
        b->members[i].made.end = end;
        b->members[i].err = *why;
        leave(b, &b->members[i]);
    }
    b->n = 0;
}

/* ---- all at once ---- */
static enum lc run_batch(const struct ctx *ctx, struct generate_batch *b, struct generation *out,
                         struct err *err)
{
    const struct err fine = {.code = LC_OK};
    struct generate_ended one;
    enum lc code = LC_OK;

    while (code == LC_OK && b->n > 0)
        code = generate_batch_step(ctx, b, err);
    if (code == LC_CANCELLED)
        generate_batch_drop(b, GENERATE_CANCELLED, &fine);
    while (generate_batch_take(b, &one)) {
        out->sequences[one.sequence] = one.made;
        if (one.err.code != LC_OK && code == LC_OK) {
            *err = one.err;
            code = one.err.code;
        }
    }
    return code;
}

enum lc generate(const struct ctx *ctx, struct model *m, const struct generate_prompt *prompts, size_t n,
                 const struct generate_options *o, struct generation *out, struct err *err)
{
    struct generate_batch *b = NULL;
    enum lc code;

    *out = (struct generation){0};
    if (n == 0 || n > 1 << 16)
        return err_set(err, LC_ARG, "cannot generate for %zu prompts", n);
    TRY(generate_batch_new(m, n, &b, err));
    out->sequences = mem_calloc(n, sizeof *out->sequences);
    code = out->sequences ? LC_OK : err_nomem(err);
    out->n = out->sequences ? n : 0;
    for (size_t i = 0; i < n && code == LC_OK; i++)
        code = generate_batch_add(b, &prompts[i], o, i, err);
    if (code == LC_OK)
        code = run_batch(ctx, b, out, err);
    generate_batch_free(b);
    if (code != LC_OK && code != LC_CANCELLED)
        generation_release(out);
    return code;
}

void generation_release(struct generation *g)
{
    for (size_t i = 0; i < g->n; i++)
        generated_release(&g->sequences[i]);
    mem_free(g->sequences);
    *g = (struct generation){0};
}
