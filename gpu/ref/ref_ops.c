/* ref_ops.c: everything that is not a matrix product. */
#include "gpu/ref/ref_int.h"
#include "gpu/rng.h"
#include <math.h>
#include <string.h>

void ref_embed_forward(void *state, struct backend_stream *s, const struct embed_arg *a)
{
    (void)state;
    (void)s;
    for (int64_t i = 0; i < a->rows; i++)
        dtype_to_f32(a->y + i * a->width,
                     (const char *)a->table + (size_t)(a->ids[i] * a->width) * dtype_size(a->type), a->type,
                     (size_t)a->width);
}

void ref_embed_backward(void *state, struct backend_stream *s, const struct embed_arg *a)
{
    (void)state;
    (void)s;
    for (int64_t i = 0; i < a->rows; i++)
        for (int64_t c = 0; c < a->width && a->ids[i] != a->padding; c++)
            a->dtable[a->ids[i] * a->width + c] += a->dy[i * a->width + c];
}

void ref_norm_forward(void *state, struct backend_stream *s, const struct norm_arg *a)
{
    (void)state;
    (void)s;
    for (int64_t i = 0; i < a->rows; i++) {
        int64_t at = i * a->width;
        const float *x = a->x + at;
        double squares = 0;
        float rstd;

        if (a->residual) {
            for (int64_t c = 0; c < a->width; c++)
                a->sum[at + c] = x[c] + a->residual[at + c];
            x = a->sum + at;
        }
        for (int64_t c = 0; c < a->width; c++)
            squares += (double)x[c] * (double)x[c];
        rstd = (float)(1 / sqrt(squares / (double)a->width + (double)a->eps));
        if (a->rstd)
            a->rstd[i] = rstd;
        for (int64_t c = 0; c < a->width; c++)
            a->y[at + c] = x[c] * rstd * a->w[c];
    }
}

void ref_norm_apply(void *state, struct backend_stream *s, const struct norm_arg *a)
{
    (void)state;
    (void)s;
    for (int64_t i = 0; i < a->rows * a->width; i++)
        a->y[i] = a->x[i] * a->rstd[i / a->width] * a->w[i % a->width];
}

static void norm_row_backward(const struct norm_arg *a, int64_t row)
{
    int64_t at = row * a->width;
    double r = (double)a->rstd[row], sum = 0;

    for (int64_t c = 0; c < a->width; c++)
        sum += (double)a->dy[at + c] * (double)a->w[c] * (double)a->x[at + c];
    sum *= r * r / (double)a->width;
    for (int64_t c = 0; c < a->width; c++) {
        double dx = r * ((double)a->dy[at + c] * (double)a->w[c] - (double)a->x[at + c] * sum);

        a->dx[at + c] = (a->dresidual ? a->dresidual[at + c] : 0) + (float)dx;
    }
}

void ref_norm_backward(void *state, struct backend_stream *s, const struct norm_arg *a)
{
    (void)state;
    (void)s;
    for (int64_t c = 0; a->dw && c < a->width; c++) { /* before dx, which may overwrite dy */
        double sum = 0;

        for (int64_t i = 0; i < a->rows; i++)
            sum += (double)a->dy[i * a->width + c] * (double)a->x[i * a->width + c] * (double)a->rstd[i];
        a->dw[c] += (float)sum;
    }
    for (int64_t i = 0; i < a->rows; i++)
        norm_row_backward(a, i);
}

void ref_rope(void *state, struct backend_stream *s, const struct rope_arg *a)
{
    int64_t half = a->head_dim / 2;

    (void)state;
    (void)s;
    for (int64_t i = 0; i < a->rows * a->heads; i++) {
        float *x = a->x + i * a->head_dim;
        int64_t angle = a->positions[i / a->heads] * half;

        for (int64_t c = 0; c < half; c++) {
            float cosine = a->cosines[angle + c],
                  sine = a->inverse ? -a->sines[angle + c] : a->sines[angle + c];
            float u = x[c], v = x[c + half];

            x[c] = u * cosine - v * sine;
            x[c + half] = v * cosine + u * sine;
        }
    }
}

static float sigmoid(float x)
{
    return (float)(1 / (1 + exp(-(double)x)));
}

void ref_swiglu_forward(void *state, struct backend_stream *s, const struct swiglu_arg *a)
{
    (void)state;
    (void)s;
    for (int64_t i = 0; i < a->n; i++)
        a->y[i] = a->gate[i] * sigmoid(a->gate[i]) * a->up[i];
}

void ref_swiglu_backward(void *state, struct backend_stream *s, const struct swiglu_arg *a)
{
    (void)state;
    (void)s;
    for (int64_t i = 0; i < a->n; i++) {
        float g = a->gate[i], u = a->up[i], dy = a->dy[i], sg = sigmoid(g);

        if (a->y)
            a->y[i] = g * sg * u;
        a->dgate[i] = dy * u * sg * (1 + g * (1 - sg));
        a->dup[i] = dy * g * sg;
    }
}

void ref_adamw(void *state, struct backend_stream *s, const struct adamw_arg *a)
{
    float keep = (float)(1 - a->lr * a->weight_decay), step = (float)(a->lr / a->bias1),
          root = (float)sqrt(a->bias2);
    float b1 = (float)(1 - a->beta1), b2 = (float)a->beta2, c2 = (float)(1 - a->beta2), eps = (float)a->eps;

    (void)state;
    (void)s;
    for (int64_t i = 0; i < a->n; i++) {
        float g = a->grad[i] * a->grad_scale;

        a->m[i] += b1 * (g - a->m[i]);
        a->v[i] = b2 * a->v[i] + c2 * g * g;
        a->param[i] = a->param[i] * keep - step * (a->m[i] / (sqrtf(a->v[i]) / root + eps));
    }
}

void ref_dropout(void *state, struct backend_stream *s, const struct dropout_arg *a)
{
    uint32_t threshold = rng_threshold(a->p);
    float keep = 1 / (1 - a->p);

    (void)state;
    (void)s;
    for (int64_t i = 0; i < a->n; i++) {
        float x = rng_hash(a->seed, (uint64_t)i) >= threshold ? a->x[i] * keep : 0;

        a->y[i] = a->add ? a->y[i] + x : x;
    }
}

void ref_add(void *state, struct backend_stream *s, float *y, const float *x, float scale, int64_t n)
{
    (void)state;
    (void)s;
    for (int64_t i = 0; i < n; i++)
        y[i] += scale * x[i];
}

void ref_sum_squares(void *state, struct backend_stream *s, const float *x, int64_t n, double *out)
{
    double sum = 0;

    (void)state;
    (void)s;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    *out = sum; /* host memory: synchronous */
}

void ref_gather(void *state, struct backend_stream *s, float *y, const float *x, const int32_t *index,
                int64_t rows, int64_t width)
{
    (void)state;
    (void)s;
    for (int64_t i = 0; i < rows; i++)
        memcpy(y + i * width, x + index[i] * width, (size_t)width * sizeof *y);
}
