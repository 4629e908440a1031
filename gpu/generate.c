#include "gpu/generate.h"
#include "gpu/model_int.h"
#include "gpu/rng.h"
#include "runtime/base/mem.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct candidate {
    double logit;
    int32_t token;
};

struct run { /* one call of generate */
    struct model *m;
    const struct generate_options *o;
    const struct generate_prompt *prompts;
    struct generation *out;
    struct kv_cache cache;
    int64_t vocabulary;
    int32_t *ids, *starts, *past, *slots; /* owned in one block: ids */
    float *logits;                        /* owned, [prompts, vocabulary] */
    struct candidate *candidates;         /* owned, [vocabulary] */
    bool *seen;                           /* owned, [vocabulary]: scratch of the repetition penalty */
    struct rng *rngs;                     /* owned, one per prompt: batching changes nothing */
    int64_t active;                       /* sequences still running; slots[0 .. active) name them */
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

static enum lc check_prompts(const struct run *r, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (r->prompts[i].n == 0)
            return err_set(err, LC_ARG, "cannot generate: prompt %zu has no tokens", i);
        if (r->prompts[i].n > 1 << 24)
            return err_set(err, LC_LIMIT, "cannot generate: prompt %zu has %zu tokens", i, r->prompts[i].n);
        for (size_t j = 0; j < r->prompts[i].n; j++)
            if (r->prompts[i].ids[j] < 0 || r->prompts[i].ids[j] >= r->vocabulary)
                return err_set(err, LC_ARG,
                               "cannot generate: token %d of prompt %zu is outside the vocabulary of %lld",
                               r->prompts[i].ids[j], i, (long long)r->vocabulary);
    }
    return LC_OK;
}

/* ---- choosing a token ---- */
static void penalise(struct run *r, size_t s, double penalty)
{
    const struct generate_prompt *p = &r->prompts[s];
    const struct generated *g = &r->out->sequences[s];

    for (size_t i = 0; i < p->n + g->n; i++) {
        int32_t token = i < p->n ? p->ids[i] : g->ids[i - p->n];
        double *z = &r->candidates[token].logit;

        if (!r->seen[token])
            *z = *z > 0 ? *z / penalty : *z * penalty;
        r->seen[token] = true;
    }
    memset(r->seen, 0, (size_t)r->vocabulary * sizeof *r->seen);
}

static int better_first(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;

    if (x->logit != y->logit)
        return x->logit < y->logit ? 1 : -1;
    return (x->token > y->token) - (x->token < y->token);
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

/* How many of the sorted candidates carry top_p of the probability. */
static int64_t nucleus(const struct candidate *c, int64_t n, double temperature, double top_p)
{
    double total = 0, sum = 0;

    for (int64_t i = 0; i < n; i++)
        total += exp((c[i].logit - c[0].logit) / temperature);
    for (int64_t i = 0; i < n; i++) {
        sum += exp((c[i].logit - c[0].logit) / temperature);
        if (sum >= top_p * total)
            return i + 1;
    }
    return n;
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

static int32_t choose(struct run *r, size_t s, const float *logits)
{
    const struct generate_options *o = r->o;
    struct candidate *c = r->candidates;
    int64_t n = r->vocabulary;
    double most = -INFINITY;

    for (int64_t i = 0; i < n; i++)
        c[i] = (struct candidate){(double)logits[i], (int32_t)i};
    if (o->repetition_penalty != 1)
        penalise(r, s, o->repetition_penalty);
    if (o->temperature == 0)
        return best_of(c, n);
    if (o->top_k > 0 || o->top_p < 1) {
        qsort(c, (size_t)n, sizeof *c, better_first);
        n = o->top_k > 0 && o->top_k < n ? o->top_k : n;
        n = o->top_p < 1 ? nucleus(c, n, o->temperature, o->top_p) : n;
    }
    for (int64_t i = 0; i < n; i++)
        most = fmax(most, c[i].logit);
    if (o->min_p > 0)
        n = likely_enough(c, n, most, o->temperature, o->min_p);
    return draw(c, n, most, o->temperature, &r->rngs[s]);
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

static bool is_stop(const struct run *r, int32_t token)
{
    const struct model_config *c = &r->m->config;

    if (r->o->no_stop)
        return false;
    for (size_t i = 0; i < r->o->n_stop; i++)
        if (r->o->stop[i] == token)
            return true;
    for (int i = 0; i < c->n_eos_token_ids && r->o->n_stop == 0; i++)
        if (c->eos_token_ids[i] == token)
            return true;
    return false;
}

/* Takes one token for a sequence; false: the sequence has ended. */
static bool take_token(struct run *r, size_t s, const float *logits)
{
    struct generated *g = &r->out->sequences[s];
    int32_t token = choose(r, s, logits);
    double logprob = log_probability(logits, r->vocabulary, token);

    g->ids[g->n] = token;
    g->logprobs[g->n++] = logprob;
    if (r->o->on_token && !r->o->on_token(r->o->arg, s, token, logprob))
        g->end = GENERATE_CALLBACK;
    else if (is_stop(r, token))
        g->end = GENERATE_STOP;
    else if ((int64_t)g->n < r->o->max_new_tokens)
        return true;
    else
        g->end = GENERATE_LENGTH;
    return false;
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

/* Chooses for every active sequence and keeps those that go on. */
static enum lc take_tokens(struct run *r, struct err *err)
{
    int64_t kept = 0;

    TRY(check_finite(r->logits, r->active * r->vocabulary, err));
    for (int64_t i = 0; i < r->active; i++) {
        int32_t s = r->slots[i], before = r->past[i] + r->starts[i + 1] - r->starts[i];

        if (!take_token(r, (size_t)s, r->logits + i * r->vocabulary))
            continue;
        r->slots[kept] = s;
        r->past[kept++] = before;
    }
    r->active = kept;
    return LC_OK;
}

/* ---- the loop ---- */
static enum lc prefill(const struct ctx *ctx, struct run *r, struct err *err)
{
    int32_t rows = 0;

    for (int64_t s = 0; s < r->active; s++) {
        const struct generate_prompt *p = &r->prompts[s];

        memcpy(r->ids + rows, p->ids, p->n * sizeof *r->ids);
        r->starts[s] = rows;
        r->past[s] = 0;
        rows += (int32_t)p->n;
    }
    r->starts[r->active] = rows;
    return model_decode(ctx, r->m, &r->cache, r->ids, r->starts, r->past, r->slots, r->active, r->logits,
                        err);
}

static enum lc next_tokens(const struct ctx *ctx, struct run *r, struct err *err)
{
    for (int64_t i = 0; i < r->active; i++) {
        const struct generated *g = &r->out->sequences[r->slots[i]];

        r->ids[i] = g->ids[g->n - 1];
        r->starts[i] = (int32_t)i;
    }
    r->starts[r->active] = (int32_t)r->active;
    return model_decode(ctx, r->m, &r->cache, r->ids, r->starts, r->past, r->slots, r->active, r->logits,
                        err);
}

static enum lc loop(const struct ctx *ctx, struct run *r, struct err *err)
{
    TRY(ctx_check(ctx, err));
    TRY(prefill(ctx, r, err));
    TRY(take_tokens(r, err));
    while (r->active > 0) {
        TRY(ctx_check(ctx, err));
        TRY(next_tokens(ctx, r, err));
        TRY(take_tokens(r, err));
    }
    return LC_OK;
}

static enum lc allocate(struct run *r, size_t n, int64_t rows, int64_t capacity, struct err *err)
{
    r->ids = mem_reallocn(NULL, (size_t)rows + 3 * n + 1, sizeof *r->ids);
    r->logits = mem_reallocn(NULL, n * (size_t)r->vocabulary, sizeof *r->logits);
    r->candidates = mem_reallocn(NULL, (size_t)r->vocabulary, sizeof *r->candidates);
    r->seen = mem_calloc((size_t)r->vocabulary, sizeof *r->seen);
    r->rngs = mem_reallocn(NULL, n, sizeof *r->rngs);
    if (!r->ids || !r->logits || !r->candidates || !r->seen || !r->rngs)
        return err_nomem(err);
    r->starts = r->ids + rows;
    r->past = r->starts + n + 1;
    r->slots = r->past + n;
    for (size_t i = 0; i < n; i++) {
        struct generated *g = &r->out->sequences[i];

        g->ids = mem_reallocn(NULL, (size_t)r->o->max_new_tokens, sizeof *g->ids);
        g->logprobs = mem_reallocn(NULL, (size_t)r->o->max_new_tokens, sizeof *g->logprobs);
        if (!g->ids || !g->logprobs)
            return err_nomem(err);
        rng_seed(&r->rngs[i], rng_mix(r->o->seed, i));
        r->slots[i] = (int32_t)i;
    }
    if (rows > r->m->work.rows || (int64_t)n > r->m->work.sequences)
        TRY(model_reserve(r->m, rows > r->m->work.rows ? rows : r->m->work.rows,
                          (int64_t)n > r->m->work.sequences ? (int64_t)n : r->m->work.sequences,
                          r->m->work.train, 0, r->m->work.recomputed, NULL, err));
    TRY(rope_reserve(r->m, capacity, err));
    return cache_new(r->m, (int64_t)n, capacity, &r->cache, err);
}

static void release(struct run *r)
{
    cache_release(r->m, &r->cache);
    mem_free(r->ids);
    mem_free(r->logits);
    mem_free(r->candidates);
    mem_free(r->seen);
    mem_free(r->rngs);
}

enum lc generate(const struct ctx *ctx, struct model *m, const struct generate_prompt *prompts, size_t n,
                 const struct generate_options *o, struct generation *out, struct err *err)
{
    struct run r = {.m = m,
                    .o = o,
                    .prompts = prompts,
                    .out = out,
                    .vocabulary = m->config.vocab_size,
                    .active = (int64_t)n};
    size_t rows = 0, longest = 0;
    enum lc code;

    *out = (struct generation){0};
    if (n == 0 || n > 1 << 16)
        return err_set(err, LC_ARG, "cannot generate for %zu prompts", n);
    TRY(check_options(o, err));
    TRY(check_prompts(&r, n, err));
    for (size_t i = 0; i < n; i++) {
        rows += prompts[i].n;
        longest = prompts[i].n > longest ? prompts[i].n : longest;
    }
    out->sequences = mem_calloc(n, sizeof *out->sequences);
    if (!out->sequences)
        return err_nomem(err);
    out->n = n;
    code = allocate(&r, n, (int64_t)rows, (int64_t)longest + o->max_new_tokens, err);
    if (code == LC_OK)
        code = loop(ctx, &r, err);
    for (int64_t i = 0; i < r.active && code == LC_CANCELLED && r.slots; i++)
        out->sequences[r.slots[i]].end = GENERATE_CANCELLED;
    release(&r);
    if (code != LC_OK && code != LC_CANCELLED)
        generation_release(out);
    return code;
}

void generation_release(struct generation *g)
{
    for (size_t i = 0; i < g->n; i++) {
        mem_free(g->sequences[i].ids);
        mem_free(g->sequences[i].logprobs);
    }
    mem_free(g->sequences);
    *g = (struct generation){0};
}
