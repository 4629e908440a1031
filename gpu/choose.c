/* choose.c: a token out of logits. */
#include "gpu/choose.h"
#include "runtime/base/mem.h"
#include <math.h>
#include <string.h>

struct candidate {
    double logit;
    int32_t token;
};

/* ---- four logits at a time ---- */
enum { WIDTH = 4, BLOCK = 256 /* terms that are summed in f32 */ };
typedef float v4 __attribute__((vector_size(16)));
typedef int32_t i4 __attribute__((vector_size(16)));

static inline v4 load4(const float *p)
{
    v4 x;

    memcpy(&x, p, sizeof x);
    return x;
}

static inline v4 larger4(v4 x, v4 y)
{
    i4 first = x > y;

    return (v4)((first & (i4)x) | (~first & (i4)y));
}

static float most_of(const float *logits, int64_t n)
{
    v4 most = {-INFINITY, -INFINITY, -INFINITY, -INFINITY};
    float one = -INFINITY;
    int64_t i = 0;

    for (; i + WIDTH <= n; i += WIDTH)
        most = larger4(load4(logits + i), most);
    for (; i < n; i++)
        one = logits[i] > one ? logits[i] : one;
    for (int k = 0; k < WIDTH; k++)
        one = most[k] > one ? most[k] : one;
    return one;
}

/* e^x of x <= 0, to a unit or two in the last place: 2^n e^r, and e^r is Cephes' polynomial. */
static inline v4 exp4(v4 x)
{
    const v4 least = {-87.0f, -87.0f, -87.0f, -87.0f};
    v4 n, r, y;

    x = larger4(x, least);
    n = (x * 1.44269504088896341f + 12582912.0f) - 12582912.0f;
    r = x - n * 0.693359375f + n * 2.12194440e-4f;
    y = (((((1.9875691500e-4f * r + 1.3981999507e-3f) * r + 8.3334519073e-3f) * r + 4.1665795894e-2f) * r +
          1.6666665459e-1f) *
             r +
         5.0000001201e-1f) *
            r * r +
        r + 1.0f;
    return y * (v4)((__builtin_convertvector(n, i4) + 127) << 23);
}

enum lc chooser_init(struct chooser *c, int64_t vocabulary, struct err *err)
{
    *c = (struct chooser){.vocabulary = vocabulary};
    c->candidates = mem_reallocn(NULL, (size_t)vocabulary, sizeof *c->candidates);
    c->counts = mem_calloc((size_t)vocabulary, sizeof *c->counts);
    return c->candidates && c->counts ? LC_OK : err_nomem(err);
}

void chooser_release(struct chooser *c)
{
    mem_free(c->candidates);
    mem_free(c->counts);
    *c = (struct chooser){0};
}

/* ---- logits that are changed ---- */
/* Every token of the prompt and the answer once, as Hugging Face does. */
static void penalise_repetition(struct chooser *c, const struct history *h, double penalty)
{
    for (size_t i = 0; i < h->n_prompt + h->n_made; i++) {
        int32_t token = i < h->n_prompt ? h->prompt[i] : h->made[i - h->n_prompt];
        double *z = &c->candidates[token].logit;

        if (!c->counts[token]++)
            *z = *z > 0 ? *z / penalty : *z * penalty;
    }
    for (size_t i = 0; i < h->n_prompt + h->n_made; i++)
        c->counts[i < h->n_prompt ? h->prompt[i] : h->made[i - h->n_prompt]] = 0;
}

/* The answer's tokens alone, as OpenAI does. */
static void penalise_counts(struct chooser *c, const struct history *h, double frequency, double presence)
{
    for (size_t i = 0; i < h->n_made; i++)
        c->counts[h->made[i]]++;
    for (size_t i = 0; i < h->n_made; i++) {
        int32_t token = h->made[i];

        if (c->counts[token])
            c->candidates[token].logit -= frequency * c->counts[token] + presence;
        c->counts[token] = 0;
    }
}

static void change_logits(struct chooser *c, const struct generate_options *o, const struct history *h)
{
    for (size_t i = 0; i < o->n_bias; i++)
        c->candidates[o->bias[i].token].logit += (double)o->bias[i].value;
    if (o->repetition_penalty != 1)
        penalise_repetition(c, h, o->repetition_penalty);
    if (o->frequency_penalty != 0 || o->presence_penalty != 0)
        penalise_counts(c, h, o->frequency_penalty, o->presence_penalty);
}

/* ---- choosing ---- */
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

static bool plain(const struct generate_options *o)
{
    return o->temperature == 0 && o->n_bias == 0 && o->repetition_penalty == 1 && o->frequency_penalty == 0 &&
           o->presence_penalty == 0;
}

static int32_t first_best(const float *logits, int64_t n)
{
    float most = most_of(logits, n);
    int64_t i = 0;

    while (i + 1 < n && logits[i] < most)
        i++;
    return (int32_t)i;
}

int32_t chooser_next(struct chooser *chooser, const float *logits, const struct generate_options *o,
                     const struct history *h, struct rng *rng)
{
    struct candidate *c = chooser->candidates;
    int64_t n = chooser->vocabulary;
    double most = -INFINITY;

    if (plain(o))
        return first_best(logits, n);
    for (int64_t i = 0; i < n; i++)
        c[i] = (struct candidate){(double)logits[i], (int32_t)i};
    change_logits(chooser, o, h);
    if (o->temperature == 0)
        return best_of(c, n);
    if (o->top_k > 0 || o->top_p < 1)
        c = best_few(c, &n, o);
    for (int64_t i = 0; i < n; i++)
        most = fmax(most, c[i].logit);
    if (o->min_p > 0)
        n = likely_enough(c, n, most, o->temperature, o->min_p);
    return draw(c, n, most, o->temperature, rng);
}

/* ---- probabilities ---- */
double log_total(const float *logits, int64_t n)
{
    float most = most_of(logits, n);
    double sum = 0;
    int64_t i = 0;

    while (i + WIDTH <= n) {
        v4 some = {0};

        for (int64_t end = i + BLOCK; i < end && i + WIDTH <= n; i += WIDTH)
            some += exp4(load4(logits + i) - most);
        sum += (double)some[0] + (double)some[1] + (double)some[2] + (double)some[3];
    }
    for (; i < n; i++)
        sum += exp((double)logits[i] - (double)most);
    return (double)most + log(sum);
}

size_t likeliest(const float *logits, int64_t n, double total, size_t k, struct likely *out)
{
    size_t kept = 0;

    for (int64_t i = 0; i < n; i++) {
        double logprob = (double)logits[i] - total;
        size_t at = kept;

        if (kept == k && !(logprob > out[k - 1].logprob))
            continue;
        while (at > 0 && logprob > out[at - 1].logprob)
            at--;
        kept += kept < k;
        for (size_t j = kept - 1; j > at; j--)
            out[j] = out[j - 1];
        out[at] = (struct likely){(int32_t)i, logprob};
    }
    return kept;
}
