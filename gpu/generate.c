#include "gpu/generate.h"
#include "gpu/model_int.h"
#include "gpu/rng.h"
#include "runtime/base/mem.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHUNK = 512,   /* rows of prompts that one step reads, so that the others need not wait for a long one */
    CAPACITY = 256 /* rows of the cache that a sequence has at first */
};

struct candidate {
    double logit;
    int32_t token;
};

struct member { /* a sequence in a batch */
    struct generate_options o;
    struct generate_prompt prompt;
    size_t sequence;
    struct rng rng; /* of its own: batching changes nothing */
    int64_t fed;    /* rows in the cache */
    int64_t rows;   /* of this step */
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
    float *logits;                        /* owned, [most, vocabulary] */
    struct candidate *candidates;         /* owned, [vocabulary] */
    bool *seen;                           /* owned, [vocabulary]: scratch of the repetition penalty */
    bool *used;                           /* owned, [most]: slots of the cache */
};

void generate_defaults(struct generate_options *o)
{
    *o = (struct generate_options){.max_new_tokens = 20, .top_p = 1, .repetition_penalty = 1};
}

static enum lc check_options(const struct generate_options *o, struct err *err)
{
    if (o->max_new_tokens < 1 || o->max_new_tokens > 1 << 24)
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

/* ---- choosing a token ---- */
static void penalise(struct generate_batch *r, const struct member *s)
{
    const struct generate_prompt *p = &s->prompt;
    const struct generated *g = &s->made;
    double penalty = s->o.repetition_penalty;

    for (size_t i = 0; i < p->n + g->n; i++) {
        int32_t token = i < p->n ? p->ids[i] : g->ids[i - p->n];
        double *z = &r->candidates[token].logit;

        if (!r->seen[token])
            *z = *z > 0 ? *z / penalty : *z * penalty;
        r->seen[token] = true;
    }
    memset(r->seen, 0, (size_t)r->vocabulary * sizeof *r->seen);
}

static bool better(const struct candidate *x, const struct candidate *y)
{
    return x->logit > y->logit || (!(x->logit < y->logit) && x->token < y->token);
}

static void sift(struct candidate *heap, int64_t n, int64_t at)
{
    struct candidate one = heap[at];

    for (int64_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && better(&heap[child + 1], &heap[child]))
            child++;
        if (!better(&heap[child], &one))
            break;
        heap[at] = heap[child];
    }
    heap[at] = one;
}

static int32_t best_of(const struct candidate *c, int64_t n)
{
    int64_t best = 0;

    for (int64_t i = 1; i < n; i++)
        if (c[i].logit > c[best].logit)
            best = i;
    return c[best].token;
}

/* Draws from the first n candidates, of which the best has logit `most`. */
static int32_t draw(const struct candidate *c, int64_t n, double most, double temperature, struct rng *rng)
{
    double total = 0, at;

    for (int64_t i = 0; i < n; i++)
        total += exp((c[i].logit - most) / temperature);
    at = rng_uniform(rng) * total;
    for (int64_t i = 0; i < n; i++) {
        at -= exp((c[i].logit - most) / temperature);
        if (at < 0)
            return c[i].token;
    }
    return c[n - 1].token;
}

/* The best candidates, the best first, until they are top_k or carry top_p of the probability of those: taken one by
 * one from a heap, for they are few beside the vocabulary. Returns where they are; *n is how many. */
static struct candidate *best_few(struct candidate *c, int64_t *n, const struct generate_options *o)
{
    int64_t all = *n, most = o->top_k > 0 && o->top_k < all ? o->top_k : all, taken = 0;
    double total = 0, sum = 0, top = 0;

    for (int64_t i = all / 2; i-- > 0;)
        sift(c, all, i);
    top = c[0].logit;
    for (int64_t i = 0; i < all && o->top_p < 1 && most == all; i++)
        total += exp((c[i].logit - top) / o->temperature);
    while (taken < most && (most < all || sum < o->top_p * total || o->top_p >= 1)) {
        struct candidate one = c[0];

        c[0] = c[all - taken - 1];
        sift(c, all - ++taken, 0);
        c[all - taken] = one;
        sum += exp((one.logit - top) / o->temperature);
    }
    for (int64_t i = all - taken, j = all - 1; i < j; i++, j--) {
        struct candidate one = c[i];

        c[i] = c[j];
        c[j] = one;
    }
    c += all - taken;
    if (o->top_p < 1 && most < all) { /* of what top_k left */
        total = sum;
        sum = 0;
        for (int64_t i = 0; i < taken && sum < o->top_p * total; i++, *n = i)
            sum += exp((c[i].logit - top) / o->temperature);
        return c;
    }
    *n = taken;
    return c;
}

/* Keeps the candidates that are likely enough beside the best one, in their order. */
static int64_t likely_enough(struct candidate *c, int64_t n, double most, double temperature, double min_p)
{
    double least = most + temperature * log(min_p);
    int64_t kept = 0;

    for (int64_t i = 0; i < n; i++)
        if (c[i].logit >= least)
            c[kept++] = c[i];
    return kept;
}

static int32_t choose(struct generate_batch *r, struct member *s, const float *logits)
{
    const struct generate_options *o = &s->o;
    struct candidate *c = r->candidates;
    int64_t n = r->vocabulary;
    double most = -INFINITY;

    for (int64_t i = 0; i < n; i++)
        c[i] = (struct candidate){(double)logits[i], (int32_t)i};
    if (o->repetition_penalty != 1)
        penalise(r, s);
    if (o->temperature == 0)
        return best_of(c, n);
    if (o->top_k > 0 || o->top_p < 1)
        c = best_few(c, &n, o);
    for (int64_t i = 0; i < n; i++)
        most = fmax(most, c[i].logit);
    if (o->min_p > 0)
        n = likely_enough(c, n, most, o->temperature, o->min_p);
    return draw(c, n, most, o->temperature, &s->rng);
}

static double log_probability(const float *logits, int64_t n, int32_t token)
{
    double most = (double)logits[0], sum = 0;

    for (int64_t i = 1; i < n; i++)
        most = fmax(most, (double)logits[i]);
    for (int64_t i = 0; i < n; i++)
        sum += exp((double)logits[i] - most);
    return (double)logits[token] - most - log(sum);
}

static bool is_stop(const struct generate_batch *r, const struct generate_options *o, int32_t token)
{
    const struct model_config *c = &r->m->config;

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

/* Takes one token for a sequence; false: the sequence has ended. */
static bool take_token(struct generate_batch *r, struct member *s, const float *logits)
{
    struct generated *g = &s->made;
    double logprob;
    int32_t token;

    if (check_finite(logits, r->vocabulary, &s->err) != LC_OK || make_room(s, &s->err) != LC_OK)
        return false;
    token = choose(r, s, logits);
    logprob = log_probability(logits, r->vocabulary, token);
    g->ids[g->n] = token;
    g->logprobs[g->n++] = logprob;
    if (s->o.on_token && !s->o.on_token(s->o.arg, s->sequence, token, logprob))
        g->end = GENERATE_CALLBACK;
    else if (is_stop(r, &s->o, token))
        g->end = GENERATE_STOP;
    else if ((int64_t)g->n < s->o.max_new_tokens)
        return true;
    else
        g->end = GENERATE_LENGTH;
    return false;
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
    b->ids = mem_reallocn(NULL, rows + 3 * most + 1, sizeof *b->ids);
    b->logits = mem_reallocn(NULL, most * (size_t)b->vocabulary, sizeof *b->logits);
    b->candidates = mem_reallocn(NULL, (size_t)b->vocabulary, sizeof *b->candidates);
    b->seen = mem_calloc((size_t)b->vocabulary, sizeof *b->seen);
    b->used = mem_calloc(most, sizeof *b->used);
    if (!b->used || !b->members || !b->ended || !b->ids || !b->logits || !b->candidates || !b->seen) {
        generate_batch_free(b);
        return err_nomem(err);
    }
    b->starts = b->ids + rows;
    b->past = b->starts + most + 1;
    b->slots = b->past + most;
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
    mem_free(b->candidates);
    mem_free(b->seen);
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
    TRY(check_prompt(prompt, sequence, b->vocabulary, err));
    if (b->n + b->n_ended >= b->most)
        return err_set(err, LC_CONFLICT, "cannot generate: %zu sequences are running already", b->n);
    *s = (struct member){.o = *o, .prompt = *prompt, .sequence = sequence, .slot = free_slot(b)};
    rng_seed(&s->rng, rng_mix(o->seed, sequence));
    b->used[s->slot] = true;
    b->n++;
    return LC_OK;
}

/* What each sequence reads in this step; returns the rows of all. */
static int64_t share_rows(struct generate_batch *b)
{
    int64_t left = CHUNK, all = 0;

    for (size_t i = 0; i < b->n; i++) {
        struct member *s = &b->members[i];
        int64_t rows = (int64_t)(s->prompt.n + s->made.n) - s->fed;

        s->rows = rows == 1 ? 1 : rows < left ? rows : left;
        left -= rows == 1 ? 0 : s->rows;
        all += s->rows;
    }
    return all;
}

static void copy_cache(const struct generate_batch *b, const struct kv_cache *to)
{
    const struct model_config *c = &b->m->config;
    int64_t row = c->num_key_value_heads * c->head_dim;
    const struct backend *d = b->m->backend;

    for (int64_t l = 0; l < c->num_hidden_layers; l++)
        for (size_t i = 0; i < b->n; i++) {
            const struct member *s = &b->members[i];
            size_t bytes = (size_t)(s->fed * row) * sizeof(float);
            int64_t from = (l * b->cache.sequences + s->slot) * b->cache.capacity * row,
                    at = (l * to->sequences + s->slot) * to->capacity * row;

            if (!bytes)
                continue;
            d->ops->copy(d->state, NULL, to->k + at, b->cache.k + from, bytes);
            d->ops->copy(d->state, NULL, to->v + at, b->cache.v + from, bytes);
        }
}

/* A cache that holds what this step adds: twice as long, or with as many slots as there are sequences. */
static enum lc reserve_cache(struct generate_batch *b, struct err *err)
{
    int64_t sequences = b->cache.sequences, capacity = b->cache.capacity ? b->cache.capacity : CAPACITY;
    struct kv_cache larger;

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
    TRY(cache_new(b->m, sequences, capacity, &larger, err));
    copy_cache(b, &larger);
    cache_release(b->m, &b->cache);
    b->cache = larger;
    return LC_OK;
}

static enum lc reserve_step(struct generate_batch *b, int64_t rows, struct err *err)
{
    const struct work *w = &b->m->work;
    int64_t n = (int64_t)b->n;

    TRY(reserve_cache(b, err));
    TRY(rope_reserve(b->m, b->cache.capacity, err));
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

enum lc generate_batch_step(const struct ctx *ctx, struct generate_batch *b, struct err *err)
{
    int64_t rows = share_rows(b);
    int32_t at = 0, n = 0;
    size_t kept = 0;

    TRY(ctx_check(ctx, err));
    TRY(reserve_step(b, rows, err));
    for (size_t i = 0; i < b->n; i++) {
        const struct member *s = &b->members[i];

        if (s->rows == 0)
            continue;
        b->starts[n] = at;
        b->past[n] = (int32_t)s->fed;
        b->slots[n++] = s->slot;
        for (int64_t r = 0; r < s->rows; r++)
            b->ids[at++] = token_at(s, (size_t)(s->fed + r));
    }
    b->starts[n] = at;
    TRY(model_decode(ctx, b->m, &b->cache, b->ids, b->starts, b->past, b->slots, n, b->logits, err));
    n = 0;
    for (size_t i = 0; i < b->n; i++) {
        struct member *s = &b->members[i];
        const float *logits = b->logits + (s->rows ? n++ : 0) * b->vocabulary;

        s->fed += s->rows;
        if (s->fed < (int64_t)(s->prompt.n + s->made.n) || take_token(b, s, logits))
            b->members[kept++] = *s;
        else
            leave(b, s);
    }
    b->n = kept;
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
