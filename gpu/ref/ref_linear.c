/* ref_linear.c: matrix products, low-rank updates, and the loss. */
#include "gpu/distill_row.h"
#include "gpu/fp8.h"
#include "gpu/loss_head.h"
#include "gpu/quant.h"
#include "gpu/ref/ref_int.h"
#include "gpu/rng.h"
#include <math.h>
#include <string.h>

/* A matrix by its strides, so that one product serves forward and both gradients. */
struct view {
    const void *data;
    enum dtype type;
    int64_t row, column; /* strides in elements */
    bool rounded;        /* to bf16 before it is multiplied */
    struct quant quant;  /* when type is quantised */
    bool eight;          /* rows of f32, each to 8 bits before it is multiplied */
    enum fp8 kind;
    float scale;          /* of the row that is multiplied */
    const float *factors; /* of columns; NULL: none */
};

static float view_at(const struct view *v, int64_t i, int64_t j)
{
    int64_t at = i * v->row + j * v->column;
    float x;

    if (v->quant.table)
        quant_decode(&v->quant, at, 1, &x);
    else if (v->type == DTYPE_F32)
        x = ((const float *)v->data)[at];
    else
        dtype_to_f32(&x, (const char *)v->data + 2 * at, v->type, 1);
    if (v->eight)
        return fp8_left(v->kind, x, v->factors ? v->factors[j] : 1, v->scale);
    return v->rounded ? dtype_from_bf16(dtype_bf16(x)) : x;
}

static double dot(const struct view *a, int64_t i, const struct view *b, int64_t j, int64_t k)
{
    double sum = 0;

    if (a->type == DTYPE_F32 && b->type == DTYPE_F32 && !a->rounded && !b->rounded && !a->eight) {
        const float *x = (const float *)a->data + i * a->row, *y = (const float *)b->data + j * b->column;

        for (int64_t t = 0; t < k; t++)
            sum += (double)x[t * a->column] * (double)y[t * b->row];
        return sum;
    }
    for (int64_t t = 0; t < k; t++)
        sum += (double)view_at(a, i, t) * (double)view_at(b, t, j);
    return sum;
}

/* c[m, n] = (add ? c : 0) + scale * a[m, k] b[k, n] */
static void product(int64_t m, int64_t n, int64_t k, struct view a, struct view b, float scale, float *c,
                    bool add)
{
    for (int64_t i = 0; i < m; i++) {
        if (a.eight)
            a.scale = fp8_scale(a.kind, (const float *)a.data + i * a.row, a.factors, k);
        for (int64_t j = 0; j < n; j++) {
            float value = (float)((double)scale * dot(&a, i, &b, j, k));

            c[i * n + j] = add ? c[i * n + j] + value : value;
        }
    }
}

static struct view rows_of(const float *x, int64_t width, bool rounded)
{
    return (struct view){.data = x, .type = DTYPE_F32, .row = width, .column = 1, .rounded = rounded};
}

static struct view columns_of(const float *x, int64_t width, bool rounded) /* transposed */
{
    return (struct view){.data = x, .type = DTYPE_F32, .row = 1, .column = width, .rounded = rounded};
}

/* x, or dy in a backward, as it is multiplied with the weights. */
static struct view beside_weights(const struct linear_arg *a, const float *x, int64_t width, bool backward)
{
    struct view v = rows_of(x, width, a->compute == DTYPE_BF16);

    v.eight = a->compute == DTYPE_FP8;
    v.kind = backward ? FP8_E5M2 : FP8_E4M3;
    v.factors = v.eight && backward ? quant_view(a->w, a->w_type, a->out, a->in).scales : NULL;
    return v;
}

/* The weights of a linear layer, [out, in], by the strides of the product they are used in. */
static struct view weights_of(const struct linear_arg *a, int64_t row, int64_t column)
{
    struct view v = {
        .data = a->w, .type = a->w_type, .row = row, .column = column, .rounded = a->compute == DTYPE_BF16};

    if (dtype_quantized(a->w_type))
        v.quant = quant_view(a->w, a->w_type, a->out, a->in);
    return v;
}

static const float *dropped(const struct lora_arg *l, const float *x, int64_t n)
{
    struct dropout_arg d = {.n = n, .x = x, .y = l->dropped, .p = l->dropout, .seed = l->seed};

    if (l->dropout <= 0)
        return x;
    ref_dropout(NULL, NULL, &d);
    return l->dropped;
}

void ref_linear_forward(void *state, struct backend_stream *s, const struct linear_arg *a)
{
    const struct lora_arg *l = &a->lora;
    bool bf = a->compute != DTYPE_F32;
    struct view w = weights_of(a, 1, a->in);

    (void)state;
    (void)s;
    if (a->w)
        product(a->rows, a->out, a->in, beside_weights(a, a->x, a->in, false), w, 1, a->y, false);
    for (int64_t i = 0; a->bias && i < a->rows * a->out; i++)
        a->y[i] += a->bias[i % a->out];
    if (!l->a)
        return;
    product(a->rows, l->rank, a->in, rows_of(dropped(l, a->x, a->rows * a->in), a->in, bf),
            columns_of(l->a, a->in, bf), l->scale, l->xa, false);
    product(a->rows, a->out, l->rank, rows_of(l->xa, l->rank, bf), columns_of(l->b, l->rank, bf), 1, a->y,
            true);
}

static void lora_backward(const struct linear_arg *a, bool bf)
{
    const struct lora_arg *l = &a->lora;
    const float *x = l->da ? dropped(l, a->x, a->rows * a->in) : NULL;
    float keep = l->dropout > 0 ? 1 / (1 - l->dropout) : 1;
    uint32_t threshold = rng_threshold(l->dropout);
    struct view dxa = rows_of(l->dxa, l->rank, bf), la = rows_of(l->a, a->in, bf);

    product(a->rows, l->rank, a->out, rows_of(a->dy, a->out, bf), rows_of(l->b, l->rank, bf), l->scale,
            l->dxa, false);
    if (l->db)
        product(a->out, l->rank, a->rows, columns_of(a->dy, a->out, bf), rows_of(l->xa, l->rank, bf), 1,
                l->db, true);
    if (l->da)
        product(l->rank, a->in, a->rows, columns_of(l->dxa, l->rank, bf), rows_of(x, a->in, bf), 1, l->da,
                true);
    for (int64_t i = 0; a->dx && i < a->rows * a->in; i++)
        if (l->dropout <= 0 || rng_hash(l->seed, (uint64_t)i) >= threshold)
            a->dx[i] += keep * (float)dot(&dxa, i / a->in, &la, i % a->in, l->rank);
}

void ref_linear_backward(void *state, struct backend_stream *s, const struct linear_arg *a)
{
    bool bf = a->compute != DTYPE_F32;
    struct view w = weights_of(a, a->in, 1);

    (void)state;
    (void)s;
    if (a->dx && a->w)
        product(a->rows, a->in, a->out, beside_weights(a, a->dy, a->out, true), w, 1, a->dx, a->add_dx);
    if (a->dw)
        product(a->out, a->in, a->rows, columns_of(a->dy, a->out, bf), rows_of(a->x, a->in, bf), 1, a->dw,
                true);
    for (int64_t j = 0; a->dbias && j < a->out; j++) {
        double sum = 0;

        for (int64_t i = 0; i < a->rows; i++)
            sum += (double)a->dy[i * a->out + j];
        a->dbias[j] += (float)sum;
    }
    if (a->lora.a)
        lora_backward(a, bf);
}

/* One row: the loss, and the gradient in place of the logits. */
static float row_loss(float *z, int64_t vocabulary, int32_t target, float smoothing, float scale,
                      bool gradient)
{
    double most = (double)z[0], sum = 0, total = 0, lse, s = (double)smoothing, nll;

    for (int64_t j = 1; j < vocabulary; j++)
        most = (double)z[j] > most ? (double)z[j] : most;
    for (int64_t j = 0; j < vocabulary; j++) {
        sum += exp((double)z[j] - most);
        total += (double)z[j];
    }
    lse = most + log(sum);
    nll = lse - (double)z[target];
    for (int64_t j = 0; gradient && j < vocabulary; j++) {
        double p = exp((double)z[j] - lse) - s / (double)vocabulary - (j == target ? 1 - s : 0);

        z[j] = (float)((double)scale * p);
    }
    return (float)((1 - s) * nll + s * (lse - total / (double)vocabulary));
}

/* The logits of n rows from the one that is `from`, made in `logits`. */
static void chunk_logits(void *state, struct backend_stream *s, const struct loss_arg *a, int64_t from,
                         int64_t n)
{
    struct linear_arg head = loss_head(a, from, n);

    ref_gather(state, s, a->gathered, a->x, a->index + from, n, a->width);
    ref_linear_forward(state, s, &head);
}

/* From the gradients of a chunk's logits. */
static void chunk_gradients(const struct loss_arg *a, int64_t from, int64_t n)
{
    bool bf = a->compute == DTYPE_BF16;
    struct linear_arg head = loss_head(a, from, n), low = loss_head_low_rank(&head, a);

    if (a->lora.a)
        lora_backward(&low, bf);
    if (a->dw)
        product(a->vocabulary, a->width, n, columns_of(a->logits, a->vocabulary, bf),
                rows_of(a->gathered, a->width, bf), 1, a->dw, true);
    for (int64_t i = 0; i < n; i++)
        product(1, a->width, a->vocabulary, rows_of(a->logits + i * a->vocabulary, a->vocabulary, bf),
                weights_of(&head, a->width, 1), 1, a->gathered + i * a->width, false);
    low = loss_head_low_rank_input(&head, a);
    if (a->lora.a)
        lora_backward(&low, bf);
    for (int64_t i = 0; i < n; i++)
        memcpy(a->dx + a->index[from + i] * a->width, a->gathered + i * a->width,
               (size_t)a->width * sizeof *a->dx);
}

void ref_loss(void *state, struct backend_stream *s, const struct loss_arg *a)
{
    for (int64_t from = 0; from < a->rows; from += a->chunk) {
        int64_t n = a->rows - from < a->chunk ? a->rows - from : a->chunk;

        chunk_logits(state, s, a, from, n);
        for (int64_t i = 0; i < n; i++)
            a->losses[from + i] =
                row_loss(a->logits + i * a->vocabulary, a->vocabulary, a->targets[from + i], a->smoothing,
                         a->weights ? a->weights[from + i] : a->scale, a->dx != NULL);
        if (a->dx)
            chunk_gradients(a, from, n);
    }
}

void ref_distill(void *state, struct backend_stream *s, const struct distill_arg *d)
{
    const struct loss_arg *a = &d->loss;
    const struct loss_arg teacher = distill_teacher(d);

    for (int64_t from = 0; from < a->rows; from += a->chunk) {
        int64_t n = a->rows - from < a->chunk ? a->rows - from : a->chunk, v = a->vocabulary;

        chunk_logits(state, s, a, from, n);
        chunk_logits(state, s, &teacher, from, n);
        for (int64_t i = 0; i < n; i++)
            a->losses[from + i] = distill_row(a->logits + i * v, d->logits + i * v, v, a->targets[from + i],
                                              d->temperature, d->alpha, (double)a->scale, a->dx != NULL);
        if (a->dx)
            chunk_gradients(a, from, n);
    }
}

void ref_merge(void *state, struct backend_stream *s, void *w, enum dtype w_type, const float *a,
               const float *b, int64_t out, int64_t in, int64_t rank, float scale)
{
    struct view va = rows_of(a, in, false), vb = rows_of(b, rank, false);

    (void)state;
    (void)s;
    for (int64_t i = 0; i < out * in; i++) {
        char *at = (char *)w + (size_t)i * dtype_size(w_type);
        float x;

        dtype_to_f32(&x, at, w_type, 1);
        x += (float)((double)scale * dot(&vb, i / in, &va, i % in, rank));
        dtype_from_f32(at, w_type, &x, 1);
    }
}
