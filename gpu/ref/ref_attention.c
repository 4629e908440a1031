/* ref_attention.c: attention, query by query. A score is computed twice rather than stored. */
#include "gpu/ref/ref_int.h"
#include <math.h>
#include <string.h>

enum { HEAD_MAX = 1024 }; /* model_config_check refuses wider heads */

struct span { /* keys [first, last] of one query, as rows that are stride floats apart */
    const float *k, *v;
    int64_t stride, first, last;
};

static double dot(const float *a, const float *b, int64_t n)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

static double span_lse(const struct span *s, const float *q, int64_t dim, double scale)
{
    double most = -INFINITY, sum = 0;

    for (int64_t j = s->first; j <= s->last; j++)
        most = fmax(most, scale * dot(q, s->k + j * s->stride, dim));
    for (int64_t j = s->first; j <= s->last; j++)
        sum += exp(scale * dot(q, s->k + j * s->stride, dim) - most);
    return most + log(sum);
}

static double span_output(const struct span *s, const float *q, int64_t dim, double scale, float *y)
{
    double lse = span_lse(s, q, dim, scale), sums[HEAD_MAX] = {0};

    for (int64_t j = s->first; j <= s->last; j++) {
        double p = exp(scale * dot(q, s->k + j * s->stride, dim) - lse);

        for (int64_t c = 0; c < dim; c++)
            sums[c] += p * (double)s->v[j * s->stride + c];
    }
    for (int64_t c = 0; c < dim; c++)
        y[c] = (float)sums[c];
    return lse;
}

static int64_t first_key(int64_t i, int64_t window)
{
    return window > 0 && i >= window ? i - window + 1 : 0;
}

void ref_attention_forward(void *state, struct backend_stream *stream, const struct attention_arg *a)
{
    int64_t group = a->heads / a->kv_heads, dim = a->head_dim;

    (void)state;
    (void)stream;
    for (int64_t s = 0; s < a->sequences; s++)
        for (int64_t h = 0; h < a->heads; h++)
            for (int64_t i = 0; i < a->starts[s + 1] - a->starts[s]; i++) {
                int64_t row = a->starts[s] + i, kv = (a->starts[s] * a->kv_heads + h / group) * dim;
                struct span keys = {a->k + kv, a->v + kv, a->kv_heads * dim, first_key(i, a->window), i};
                int64_t at = (row * a->heads + h) * dim;
                double lse = span_output(&keys, a->q + at, dim, (double)a->scale, a->y + at);

                if (a->lse)
                    a->lse[h * a->rows + row] = (float)lse;
            }
}

/* The part of one query of one head: stores dq, adds to dk and dv. */
static void query_backward(const struct attention_arg *a, int64_t start, int64_t i, int64_t h)
{
    int64_t dim = a->head_dim, group = a->heads / a->kv_heads, row = start + i;
    int64_t at = (row * a->heads + h) * dim;
    const float *q = a->q + at, *dy = a->dy + at;
    double delta = dot(dy, a->y + at, dim), dq[HEAD_MAX] = {0}, scale = (double)a->scale;

    for (int64_t j = first_key(i, a->window); j <= i; j++) {
        int64_t kv = ((start + j) * a->kv_heads + h / group) * dim;
        double p = exp(scale * dot(q, a->k + kv, dim) - (double)a->lse[h * a->rows + row]);
        double ds = p * (dot(dy, a->v + kv, dim) - delta) * scale;

        for (int64_t c = 0; c < dim; c++) {
            dq[c] += ds * (double)a->k[kv + c];
            a->dk[kv + c] += (float)(ds * (double)q[c]);
            a->dv[kv + c] += (float)(p * (double)dy[c]);
        }
    }
    for (int64_t c = 0; c < dim; c++)
        a->dq[at + c] = (float)dq[c];
}

void ref_attention_backward(void *state, struct backend_stream *stream, const struct attention_arg *a)
{
    size_t kv_bytes = (size_t)(a->rows * a->kv_heads * a->head_dim) * sizeof(float);

    (void)state;
    (void)stream;
    memset(a->dk, 0, kv_bytes);
    memset(a->dv, 0, kv_bytes);
    for (int64_t s = 0; s < a->sequences; s++)
        for (int64_t h = 0; h < a->heads; h++)
            for (int64_t i = 0; i < a->starts[s + 1] - a->starts[s]; i++)
                query_backward(a, a->starts[s], i, h);
}

void ref_attention_cached(void *state, struct backend_stream *stream, const struct cached_attention_arg *a)
{
    int64_t group = a->heads / a->kv_heads, dim = a->head_dim, width = a->kv_heads * dim;

    (void)state;
    (void)stream;
    for (int64_t s = 0; s < a->sequences; s++) {
        int64_t n = a->starts[s + 1] - a->starts[s], cache = a->slots[s] * a->capacity * width;
        size_t bytes = (size_t)(n * width) * sizeof(float);

        memcpy(a->k_cache + cache + a->past[s] * width, a->k + a->starts[s] * width, bytes);
        memcpy(a->v_cache + cache + a->past[s] * width, a->v + a->starts[s] * width, bytes);
        for (int64_t i = 0; i < n; i++)
            for (int64_t h = 0; h < a->heads; h++) {
                int64_t last = a->past[s] + i, kv = cache + h / group * dim;
                struct span keys = {a->k_cache + kv, a->v_cache + kv, width, first_key(last, a->window),
                                    last};
                int64_t at = ((a->starts[s] + i) * a->heads + h) * dim;

                span_output(&keys, a->q + at, dim, (double)a->scale, a->y + at);
            }
    }
}
