/* engine_ops_test.c: every operation: the reference's gradients against finite differences, and each set of kernels of
 * the CPU plugin against the reference. */
#include "gpu/quant.h"
#include "gpu/rng.h"
#include "tests/support/device_memory.h"
#include "tests/support/golden.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { INPUTS = 8 };

/* One operation as a function of its inputs: y(x...), and the gradients of sum(y r). */
struct io {
    float *x[INPUTS], *g[INPUTS]; /* owned; g NULL: no gradient */
    int64_t n[INPUTS];
    float *y, *r; /* owned */
    int64_t n_y;
    int64_t shape[6]; /* what the case likes to vary */
};

typedef void op_fn(struct backend *b, const struct io *io);

static float *numbers(int64_t n, uint64_t seed)
{
    float *x = device_alloc((size_t)n * sizeof *x);
    struct rng rng;

    rng_seed(&rng, seed);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)rng_normal(&rng);
    return x;
}

static struct io *io_new(int64_t n_y, const int64_t *n, int inputs, const int64_t *shape)
{
    struct io *io = device_calloc(1, sizeof *io);

    for (int i = 0; i < inputs; i++) {
        io->n[i] = n[i];
        io->x[i] = numbers(n[i], (uint64_t)i + 1);
        io->g[i] = device_calloc((size_t)n[i], sizeof(float));
    }
    io->n_y = n_y;
    io->y = device_calloc((size_t)n_y, sizeof(float));
    io->r = numbers(n_y, 99);
    memcpy(io->shape, shape, sizeof io->shape);
    return io;
}

static void io_free(struct io *io)
{
    for (int i = 0; i < INPUTS; i++) {
        device_free(io->x[i]);
        device_free(io->g[i]);
    }
    device_free(io->y);
    device_free(io->r);
    device_free(io);
}

/* Results are read by the test. */
static void settle(struct backend *b)
{
    struct err err;

    ok(b->ops->sync(b->state, NULL, &err), &err);
}

static int32_t *integers(const int32_t *from, int64_t n)
{
    int32_t *out = device_alloc((size_t)n * sizeof *out);

    memcpy(out, from, (size_t)n * sizeof *out);
    return out;
}

static void clear_gradients(struct io *io)
{
    for (int i = 0; i < INPUTS; i++)
        if (io->g[i])
            memset(io->g[i], 0, (size_t)io->n[i] * sizeof(float));
}

/* ---- the cases ---- */
static void linear(struct backend *b,
                   const struct io *io) /* shape: rows, in, out, rank, dropout in percent, compute */
{
    int64_t rows = io->shape[0], in = io->shape[1], out = io->shape[2], rank = io->shape[3];
    float *xa = device_calloc((size_t)(rows * (rank + 1)), sizeof *xa),
          *dxa = device_calloc((size_t)(rows * (rank + 1)), sizeof *dxa);
    float *dropped = device_calloc((size_t)(rows * in), sizeof *dropped);
    struct linear_arg a = {.rows = rows,
                           .in = in,
                           .out = out,
                           .x = io->x[0],
                           .w = io->x[1],
                           .w_type = DTYPE_F32,
                           .compute = (enum dtype)io->shape[5],
                           .bias = io->x[2],
                           .y = io->y,
                           .dy = io->r,
                           .dx = io->g[0],
                           .add_dx = true,
                           .dw = io->g[1],
                           .dbias = io->g[2]};

    if (rank)
        a.lora = (struct lora_arg){.a = io->x[3],
                                   .b = io->x[4],
                                   .xa = xa,
                                   .dxa = dxa,
                                   .da = io->g[3],
                                   .db = io->g[4],
                                   .dropped = dropped,
                                   .rank = rank,
                                   .scale = 0.5f,
                                   .dropout = (float)io->shape[4] / 100,
                                   .seed = 77};
    b->ops->linear_forward(b->state, NULL, &a);
    b->ops->linear_backward(b->state, NULL, &a);
    settle(b);
    device_free(xa);
    device_free(dxa);
    device_free(dropped);
}

/* Frozen weights kept in another type. shape: rows, in, out, compute, type */
static void frozen(struct backend *b, const struct io *io)
{
    int64_t in = io->shape[1], out = io->shape[2];
    enum dtype type = (enum dtype)io->shape[4];
    size_t bytes = dtype_quantized(type) ? quant_bytes(type, out, in) : (size_t)(in * out) * dtype_size(type);
    void *w = device_alloc(bytes);
    struct linear_arg a = {.rows = io->shape[0],
                           .in = in,
                           .out = out,
                           .x = io->x[0],
                           .w = w,
                           .w_type = type,
                           .compute = (enum dtype)io->shape[3],
                           .y = io->y,
                           .dy = io->r,
                           .dx = io->g[0]};

    if (dtype_quantized(type))
        quant_encode(io->x[1], out, in, type, w);
    else
        dtype_from_f32(w, type, io->x[1], (size_t)(in * out));
    b->ops->linear_forward(b->state, NULL, &a);
    b->ops->linear_backward(b->state, NULL, &a);
    settle(b);
    device_free(w);
}

static void norm(struct backend *b, const struct io *io) /* rows, width; inputs x, residual, w */
{
    int64_t rows = io->shape[0], width = io->shape[1];
    float *sum = device_alloc((size_t)(rows * width) * sizeof *sum),
          *rstd = device_alloc((size_t)rows * sizeof *rstd);
    float *again = device_alloc((size_t)(rows * width) * sizeof *again);
    struct norm_arg a = {.rows = rows,
                         .width = width,
                         .eps = 1e-5f,
                         .x = io->x[0],
                         .residual = io->x[1],
                         .sum = sum,
                         .w = io->x[2],
                         .y = io->y,
                         .rstd = rstd,
                         .dy = io->r,
                         .dx = io->g[0],
                         .dw = io->g[2]};

    b->ops->norm_forward(b->state, NULL, &a);
    a.x = sum;
    a.y = again;
    b->ops->norm_apply(b->state, NULL, &a);
    settle(b);
    close_to("norm_apply", again, io->y, rows * width, 1e-6);
    b->ops->norm_backward(b->state, NULL, &a);
    settle(b);
    memcpy(io->g[1], io->g[0], (size_t)(rows * width) * sizeof(float));
    device_free(sum);
    device_free(rstd);
    device_free(again);
}

static void rope(struct backend *b, const struct io *io) /* rows, heads, head_dim */
{
    int64_t rows = io->shape[0], heads = io->shape[1], dim = io->shape[2], half = dim / 2;
    float *tables = device_alloc((size_t)(2 * rows * half) * sizeof *tables);
    int32_t *positions = device_alloc((size_t)rows * sizeof *positions);
    struct rope_arg a = {.rows = rows,
                         .heads = heads,
                         .head_dim = dim,
                         .x = io->y,
                         .positions = positions,
                         .cosines = tables,
                         .sines = tables + rows * half};

    for (int64_t i = 0; i < rows * half; i++) {
        tables[i] = cosf((float)i);
        tables[rows * half + i] = sinf((float)i);
    }
    for (int64_t i = 0; i < rows; i++)
        positions[i] = (int32_t)(rows - 1 - i);
    memcpy(io->y, io->x[0], (size_t)io->n_y * sizeof(float));
    b->ops->rope(b->state, NULL, &a);
    settle(b);
    memcpy(io->g[0], io->r, (size_t)io->n_y * sizeof(float));
    a.x = io->g[0];
    a.inverse = true;
    b->ops->rope(b->state, NULL, &a);
    settle(b);
    device_free(tables);
    device_free(positions);
}

static void attention(struct backend *b,
                      const struct io *io) /* rows, heads, kv_heads, head_dim, window, compute */
{
    int64_t rows = io->shape[0], heads = io->shape[1];
    int32_t *starts = integers((int32_t[]){0, 1, (int32_t)(rows / 3), (int32_t)rows}, 4);
    float *lse = device_alloc((size_t)(rows * heads) * sizeof *lse);
    struct attention_arg a = {.sequences = 3,
                              .rows = rows,
                              .longest = rows - rows / 3,
                              .starts = starts,
                              .heads = heads,
                              .kv_heads = io->shape[2],
                              .head_dim = io->shape[3],
                              .window = io->shape[4],
                              .scale = 0.3f,
                              .compute = (enum dtype)io->shape[5],
                              .q = io->x[0],
                              .k = io->x[1],
                              .v = io->x[2],
                              .y = io->y,
                              .lse = lse,
                              .dy = io->r,
                              .dq = io->g[0],
                              .dk = io->g[1],
                              .dv = io->g[2]};

    b->ops->attention_forward(b->state, NULL, &a);
    b->ops->attention_backward(b->state, NULL, &a);
    settle(b);
    device_free(starts);
    device_free(lse);
}

static void swiglu(struct backend *b, const struct io *io)
{
    struct swiglu_arg a = {.n = io->n_y,
                           .gate = io->x[0],
                           .up = io->x[1],
                           .y = io->y,
                           .dy = io->r,
                           .dgate = io->g[0],
                           .dup = io->g[1]};

    b->ops->swiglu_forward(b->state, NULL, &a);
    a.y = NULL;
    b->ops->swiglu_backward(b->state, NULL, &a);
    settle(b);
}

static void embed(struct backend *b, const struct io *io) /* rows, width, vocabulary */
{
    int32_t *ids = device_alloc(64 * sizeof *ids);
    struct embed_arg a = {.padding = -1,
                          .rows = io->shape[0],
                          .width = io->shape[1],
                          .vocabulary = io->shape[2],
                          .ids = ids,
                          .table = io->x[0],
                          .type = DTYPE_F32,
                          .y = io->y,
                          .dy = io->r,
                          .dtable = io->g[0]};

    for (int i = 0; i < 64; i++)
        ids[i] = (int32_t)(i * 7 % io->shape[2]);
    b->ops->embed_forward(b->state, NULL, &a);
    b->ops->embed_backward(b->state, NULL, &a);
    settle(b);
    device_free(ids);
}

/* Beside a head: inputs 2 and 3. */
static struct lora_arg low_rank(const struct io *io, int64_t rows, int64_t rank, int64_t percent)
{
    return (struct lora_arg){.a = io->x[2],
                             .b = io->x[3],
                             .xa = device_alloc((size_t)(rows * rank) * sizeof(float)),
                             .dxa = device_alloc((size_t)(rows * rank) * sizeof(float)),
                             .da = io->g[2],
                             .db = io->g[3],
                             .dropped = device_alloc((size_t)(rows * io->shape[1]) * sizeof(float)),
                             .rank = rank,
                             .scale = 0.5f,
                             .dropout = (float)percent / 100,
                             .seed = 77};
}

/* rows, width, vocabulary, smoothing in percent, rank, dropout in percent; y are the losses, all with the same weight (r is not used) */
static void loss(struct backend *b, const struct io *io)
{
    int64_t rows = io->shape[0], width = io->shape[1], vocabulary = io->shape[2], chunk = 5;
    float *logits = device_alloc((size_t)(chunk * vocabulary) * sizeof *logits);
    float *gathered = device_alloc((size_t)(chunk * width) * sizeof *gathered);
    int32_t *index = device_alloc(64 * sizeof *index), *targets = device_alloc(64 * sizeof *targets);
    struct loss_arg a = {.rows = rows,
                         .width = width,
                         .vocabulary = vocabulary,
                         .x = io->x[0],
                         .index = index,
                         .targets = targets,
                         .w = io->x[1],
                         .w_type = DTYPE_F32,
                         .compute = DTYPE_F32,
                         .smoothing = (float)io->shape[3] / 100,
                         .scale = 1,
                         .losses = io->y,
                         .dx = io->g[0],
                         .dw = io->g[1],
                         .logits = logits,
                         .gathered = gathered,
                         .chunk = chunk};

    if (io->shape[4])
        a.lora = low_rank(io, chunk, io->shape[4], io->shape[5]);
    for (int i = 0; i < 64; i++) {
        index[i] = 2 * i; /* every second row of x carries a label */
        targets[i] = (int32_t)(i * 5 % vocabulary);
    }
    b->ops->loss(b->state, NULL, &a);
    settle(b);
    for (int64_t i = 0; i < io->n_y; i++)
        io->r[i] = 1;
    device_free(a.lora.xa);
    device_free(a.lora.dxa);
    device_free(a.lora.dropped);
    device_free(index);
    device_free(targets);
    device_free(logits);
    device_free(gathered);
}

/* rows, width, vocabulary, the teacher's width; losses as above */
static void distill(struct backend *b, const struct io *io)
{
    int64_t rows = io->shape[0], width = io->shape[1], vocabulary = io->shape[2], wide = io->shape[3],
            chunk = 5;
    float *scratch = device_alloc((size_t)(chunk * (2 * vocabulary + width + wide)) * sizeof *scratch);
    float *x = numbers(rows * wide, 7), *w = numbers(vocabulary * wide, 8);
    int32_t *index = device_alloc(64 * sizeof *index), *targets = device_alloc(64 * sizeof *targets),
            *rows_of = device_alloc(64 * sizeof *rows_of);
    struct distill_arg a = {.loss = {.rows = rows,
                                     .width = width,
                                     .vocabulary = vocabulary,
                                     .x = io->x[0],
                                     .index = index,
                                     .targets = targets,
                                     .w = io->x[1],
                                     .w_type = DTYPE_F32,
                                     .compute = DTYPE_F32,
                                     .scale = 1,
                                     .losses = io->y,
                                     .dx = io->g[0],
                                     .dw = io->g[1],
                                     .logits = scratch,
                                     .gathered = scratch + chunk * vocabulary,
                                     .chunk = chunk},
                            .temperature = 2.5,
                            .alpha = 0.7,
                            .x = x,
                            .index = rows_of,
                            .width = wide,
                            .w = w,
                            .w_type = DTYPE_F32,
                            .logits = scratch + chunk * (vocabulary + width),
                            .gathered = scratch + chunk * (2 * vocabulary + width)};

    for (int i = 0; i < 64; i++) {
        index[i] = 2 * i;
        rows_of[i] = i;
        targets[i] = (int32_t)(i * 5 % vocabulary);
    }
    b->ops->distill(b->state, NULL, &a);
    settle(b);
    for (int64_t i = 0; i < io->n_y; i++)
        io->r[i] = 1;
    device_free(scratch);
    device_free(x);
    device_free(w);
    device_free(index);
    device_free(targets);
    device_free(rows_of);
}

/* rows, out, rank; inputs: raw, magnitude, b, A W^T, A A^T. The length is a constant to the gradient. */
static void dora(struct backend *b, const struct io *io)
{
    int64_t rows = io->shape[0], out = io->shape[1];
    float *factors = device_alloc((size_t)(3 * out) * sizeof *factors);
    struct dora_arg a = {.rows = rows,
                         .out = out,
                         .rank = io->shape[2],
                         .scale = 0.5f,
                         .squares = factors,
                         .aw = io->x[3],
                         .aa = io->x[4],
                         .b = io->x[2],
                         .magnitude = io->x[1],
                         .factor = factors + out,
                         .inverse = factors + 2 * out,
                         .bias = io->x[1],
                         .y = io->y,
                         .raw = io->x[0],
                         .dy = io->r,
                         .draw = io->g[0],
                         .dmagnitude = io->g[1],
                         .dbias = io->g[1]};

    for (int64_t j = 0; j < out; j++)
        factors[j] = 100 + (float)j;
    memcpy(io->y, io->x[0], (size_t)io->n_y * sizeof(float));
    b->ops->dora_factors(b->state, NULL, &a);
    b->ops->dora_forward(b->state, NULL, &a);
    b->ops->dora_backward(b->state, NULL, &a);
    settle(b);
    device_free(factors);
}

static void dropout(struct backend *b, const struct io *io)
{
    struct dropout_arg a = {.n = io->n_y, .x = io->x[0], .y = io->y, .p = 0.3f, .seed = 1234567890123456789u};

    b->ops->dropout(b->state, NULL, &a);
    a.x = io->r;
    a.y = io->g[0];
    b->ops->dropout(b->state, NULL, &a);
    settle(b);
}

/* sizes in terms of shape: what each input and y measure */
static const struct op_case {
    const char *name;
    op_fn *fn;
    int64_t shape[6];
    int inputs;
    int64_t n[5], n_y;
    bool big; /* compared only: too many elements for finite differences */
} CASES[] = {
    {"linear", linear, {7, 19, 13, 0, 0, DTYPE_F32}, 3, {7 * 19, 13 * 19, 13}, 7 * 13, false},
    {"linear, one row", linear, {1, 40, 9, 0, 0, DTYPE_F32}, 3, {40, 9 * 40, 9}, 9, false},
    {"lora", linear, {9, 19, 13, 3, 0, DTYPE_F32}, 5, {9 * 19, 13 * 19, 13, 3 * 19, 13 * 3}, 9 * 13, false},
    {"lora with dropout",
     linear,
     {9, 19, 13, 3, 40, DTYPE_F32},
     5,
     {9 * 19, 13 * 19, 13, 3 * 19, 13 * 3},
     9 * 13,
     false},
    {"linear, many tiles",
     linear,
     {300, 301, 270, 8, 0, DTYPE_F32},
     5,
     {300 * 301, 270 * 301, 270, 8 * 301, 270 * 8},
     300 * 270,
     true},
    {"linear in bf16",
     linear,
     {33, 65, 47, 4, 0, DTYPE_BF16},
     5,
     {33 * 65, 47 * 65, 47, 4 * 65, 47 * 4},
     33 * 47,
     true},
    {"linear in bf16, many tiles and blocks",
     linear,
     {300, 1101, 270, 8, 0, DTYPE_BF16},
     5,
     {300 * 1101, 270 * 1101, 270, 8 * 1101, 270 * 8},
     300 * 270,
     true},
    {"bf16 weights",
     frozen,
     {70, 1101, 270, DTYPE_F32, DTYPE_BF16},
     2,
     {70 * 1101, 270 * 1101},
     70 * 270,
     true},
    {"bf16 weights, few rows",
     frozen,
     {3, 301, 270, DTYPE_F32, DTYPE_BF16},
     2,
     {3 * 301, 270 * 301},
     3 * 270,
     true},
    {"bf16 weights and products",
     frozen,
     {70, 1101, 270, DTYPE_BF16, DTYPE_BF16},
     2,
     {70 * 1101, 270 * 1101},
     70 * 270,
     true},
    {"bf16 weights and products, few rows",
     frozen,
     {7, 2437, 130, DTYPE_BF16, DTYPE_BF16},
     2,
     {7 * 2437, 130 * 2437},
     7 * 130,
     true},
    {"bf16 weights and products, one row",
     frozen,
     {1, 512, 270, DTYPE_BF16, DTYPE_BF16},
     2,
     {1 * 512, 270 * 512},
     1 * 270,
     true},
    {"nf4 weights, bf16 products, few rows",
     frozen,
     {3, 2436, 70, DTYPE_BF16, DTYPE_NF4_DOUBLE},
     2,
     {3 * 2436, 70 * 2436},
     3 * 70,
     true},
    {"nf4 weights",
     frozen,
     {70, 1101, 270, DTYPE_F32, DTYPE_NF4},
     2,
     {70 * 1101, 270 * 1101},
     70 * 270,
     true},
    {"nf4_double weights",
     frozen,
     {70, 1101, 270, DTYPE_F32, DTYPE_NF4_DOUBLE},
     2,
     {70 * 1101, 270 * 1101},
     70 * 270,
     true},
    {"fp4 weights",
     frozen,
     {70, 1101, 270, DTYPE_F32, DTYPE_FP4},
     2,
     {70 * 1101, 270 * 1101},
     70 * 270,
     true},
    {"int8 weights",
     frozen,
     {70, 1101, 270, DTYPE_F32, DTYPE_INT8},
     2,
     {70 * 1101, 270 * 1101},
     70 * 270,
     true},
    {"fp8 weights",
     frozen,
     {70, 1101, 270, DTYPE_F32, DTYPE_FP8},
     2,
     {70 * 1101, 270 * 1101},
     70 * 270,
     true},
    {"nf4 weights, few rows",
     frozen,
     {3, 1301, 270, DTYPE_F32, DTYPE_NF4_DOUBLE},
     2,
     {3 * 1301, 270 * 1301},
     3 * 270,
     true},
    {"int8 weights, few rows",
     frozen,
     {8, 1301, 70, DTYPE_F32, DTYPE_INT8},
     2,
     {8 * 1301, 70 * 1301},
     8 * 70,
     true},
    {"nf4 weights, bf16 products",
     frozen,
     {70, 1101, 270, DTYPE_BF16, DTYPE_NF4_DOUBLE},
     2,
     {70 * 1101, 270 * 1101},
     70 * 270,
     true},
    {"fp8 weights, bf16 products",
     frozen,
     {70, 1101, 271, DTYPE_BF16, DTYPE_FP8},
     2,
     {70 * 1101, 271 * 1101},
     70 * 271,
     true},
    {"fp8 products", frozen, {40, 208, 144, DTYPE_FP8, DTYPE_FP8}, 2, {40 * 208, 144 * 208}, 40 * 144, true},
    {"fp8 products of odd shapes",
     frozen,
     {33, 101, 71, DTYPE_FP8, DTYPE_FP8},
     2,
     {33 * 101, 71 * 101},
     33 * 71,
     true},
    {"fp8 products, few rows",
     frozen,
     {3, 304, 96, DTYPE_FP8, DTYPE_FP8},
     2,
     {3 * 304, 96 * 304},
     3 * 96,
     true},
    {"norm", norm, {6, 21}, 3, {6 * 21, 6 * 21, 21}, 6 * 21, false},
    {"norm, wide", norm, {70, 192}, 3, {70 * 192, 70 * 192, 192}, 70 * 192, true},
    {"rope", rope, {5, 3, 12}, 1, {5 * 3 * 12}, 5 * 3 * 12, false},
    {"attention", attention, {14, 4, 2, 6, 0}, 3, {14 * 24, 14 * 12, 14 * 12}, 14 * 24, false},
    {"attention with a window", attention, {14, 4, 4, 6, 3}, 3, {14 * 24, 14 * 24, 14 * 24}, 14 * 24, false},
    {"attention, long", attention, {400, 6, 2, 40, 0}, 3, {400 * 240, 400 * 80, 400 * 80}, 400 * 240, true},
    {"attention, long with a window",
     attention,
     {400, 6, 2, 40, 100},
     3,
     {400 * 240, 400 * 80, 400 * 80},
     400 * 240,
     true},
    {"attention in bf16",
     attention,
     {200, 4, 2, 64, 0, DTYPE_BF16},
     3,
     {200 * 256, 200 * 128, 200 * 128},
     200 * 256,
     true},
    {"attention in bf16 with a window",
     attention,
     {140, 2, 1, 128, 33, DTYPE_BF16},
     3,
     {140 * 256, 140 * 128, 140 * 128},
     140 * 256,
     true},
    {"swiglu", swiglu, {0}, 2, {203, 203}, 203, false},
    {"embed", embed, {11, 70, 9}, 1, {9 * 70}, 11 * 70, false},
    {"loss", loss, {12, 9, 23, 0}, 2, {24 * 9, 23 * 9}, 12, false},
    {"loss, smoothed", loss, {12, 9, 23, 10}, 2, {24 * 9, 23 * 9}, 12, false},
    {"loss, large", loss, {30, 33, 700, 10}, 2, {60 * 33, 700 * 33}, 30, true},
    {"loss, lora", loss, {12, 9, 23, 0, 3, 0}, 4, {24 * 9, 23 * 9, 3 * 9, 23 * 3}, 12, false},
    {"loss, lora with dropout", loss, {12, 9, 23, 10, 3, 40}, 4, {24 * 9, 23 * 9, 3 * 9, 23 * 3}, 12, false},
    {"loss, lora, large", loss, {30, 33, 700, 0, 8, 10}, 4, {60 * 33, 700 * 33, 8 * 33, 700 * 8}, 30, true},
    {"distill", distill, {12, 9, 23, 7}, 2, {24 * 9, 23 * 9}, 12, false},
    {"distill, large", distill, {30, 33, 700, 20}, 2, {60 * 33, 700 * 33}, 30, true},
    {"dora", dora, {9, 13, 3}, 5, {9 * 13, 13, 13 * 3, 3 * 13, 3 * 3}, 9 * 13, true},
    {"dora, large", dora, {300, 270, 8}, 5, {300 * 270, 270, 270 * 8, 8 * 270, 64}, 300 * 270, true},
    {"dropout", dropout, {0}, 1, {333}, 333, false},
};
enum { N_CASES = sizeof CASES / sizeof *CASES };

/* A backend may round the factors of attention. */
static double tolerance(const struct op_case *c)
{
    return c->fn == attention && c->shape[5] == DTYPE_BF16 ? 2e-2 : 2e-5;
}

/* ---- finite differences ---- */
static double weighted(struct backend *b, const struct op_case *c, struct io *io)
{
    double sum = 0;

    clear_gradients(io);
    c->fn(b, io);
    for (int64_t i = 0; i < io->n_y; i++)
        sum += (double)io->y[i] * (double)io->r[i];
    return sum;
}

static void check_differences(struct backend *b, const struct op_case *c, struct io *io, int input)
{
    float *gradient = device_alloc((size_t)io->n[input] * sizeof *gradient);
    double scale = 0, h = 1.0 / 128; /* a step that f32 holds exactly; its error is of second order */

    weighted(b, c, io);
    memcpy(gradient, io->g[input], (size_t)io->n[input] * sizeof *gradient);
    for (int64_t i = 0; i < io->n[input]; i++)
        scale = fmax(scale, fabs((double)gradient[i]));
    for (int64_t i = 0; i < io->n[input]; i += 1 + io->n[input] / 40) {
        float keep = io->x[input][i];
        double up, down, slope;

        io->x[input][i] = keep + (float)h;
        up = weighted(b, c, io);
        io->x[input][i] = keep - (float)h;
        down = weighted(b, c, io);
        io->x[input][i] = keep;
        slope = (up - down) / (2 * h);
        if (!(fabs(slope - (double)gradient[i]) <= 2e-3 * scale))
            fail_msg("%s: input %d, element %lld: gradient %g, difference %g", c->name, input, (long long)i,
                     (double)gradient[i], slope);
    }
    device_free(gradient);
}

static void gradients_are_finite_differences(void **state)
{
    struct backend *b = open_backend("ref", 1);

    (void)state;
    for (int i = 0; i < N_CASES; i++) {
        struct io *io = io_new(CASES[i].n_y, CASES[i].n, CASES[i].inputs, CASES[i].shape);

        for (int input = 0; input < CASES[i].inputs && !CASES[i].big; input++)
            check_differences(b, &CASES[i], io, input);
        io_free(io);
    }
    backend_close(b);
}

/* ---- backends against each other ---- */
static struct backend *open_kernels(const char *kernels)
{
    struct backend_options o = {.threads = 3, .kernels = kernels};
    struct backend *b = NULL;
    struct err err;
    enum lc code = backend_open(test_device(), &o, &b, &err);

    if (code == LC_UNSUPPORTED)
        print_message("SKIP kernels %s: %s\n", kernels, err.message);
    else
        ok(code, &err);
    return b;
}

static void the_plugin_computes_what_the_reference_does(void **state)
{
    static const char *const sets[] = {"avx512bf16", "avx512", "avx2", "base"};
    struct backend *ref = open_backend("ref", 1);
    size_t n = strcmp(test_device(), "cpu") == 0 ? sizeof sets / sizeof *sets : 1; /* others have one set */

    (void)state;
    for (size_t s = 0; s < n; s++) {
        struct backend *b = open_kernels(sets[s]);

        for (int i = 0; i < N_CASES && b; i++) {
            const struct op_case *c = &CASES[i];
            struct io *x = io_new(c->n_y, c->n, c->inputs, c->shape),
                      *y = io_new(c->n_y, c->n, c->inputs, c->shape);
            char what[100];

            c->fn(ref, x);
            c->fn(b, y);
            snprintf(what, sizeof what, "%s, %s", c->name, sets[s]);
            close_to(what, y->y, x->y, c->n_y, tolerance(c));
            for (int g = 0; g < c->inputs; g++) {
                snprintf(what, sizeof what, "%s, %s, gradient %d", c->name, sets[s], g);
                close_to(what, y->g[g], x->g[g], c->n[g], tolerance(c));
            }
            io_free(x);
            io_free(y);
        }
        backend_close(b);
    }
    backend_close(ref);
}

/* Operations without a gradient: results on ref and on the plugin. */
static void update_both(struct backend *b, float *const x[4], int64_t n, float *extra, double *squares)
{
    struct adamw_arg a = {.n = n,
                          .param = x[0],
                          .m = x[1],
                          .v = x[2],
                          .grad = x[3],
                          .grad_scale = 0.7f,
                          .lr = 1e-2,
                          .beta1 = 0.9,
                          .beta2 = 0.99,
                          .eps = 1e-8,
                          .weight_decay = 0.1,
                          .bias1 = 0.19,
                          .bias2 = 0.02};
    int32_t *index = integers((int32_t[]){3, 0, 9}, 3);

    for (int64_t i = 0; i < n; i++)
        x[2][i] = fabsf(x[2][i]);
    b->ops->adamw(b->state, NULL, &a);
    b->ops->add(b->state, NULL, x[0], x[3], 0.25f, n);
    b->ops->sum_squares(b->state, NULL, x[0], n, squares);
    b->ops->gather(b->state, NULL, extra, x[0], index, 3, n / 10);
    b->ops->merge(b->state, NULL, x[1], DTYPE_F32, x[0], x[3], 20, 30, 4, 0.5f);
    settle(b);
    device_free(index);
}

static void updates_agree(void **state)
{
    enum { N = 70010 };
    struct backend *b[2] = {open_backend("ref", 1), open_backend(test_device(), 2)};
    float *x[2][4], *extra[2];
    double squares[2];

    (void)state;
    for (int i = 0; i < 2; i++) {
        extra[i] = device_alloc(N * sizeof(float));
        for (int j = 0; j < 4; j++)
            x[i][j] = numbers(N, (uint64_t)j);
        update_both(b[i], x[i], N, extra[i], &squares[i]);
    }
    for (int j = 0; j < 4; j++)
        close_to("update", x[1][j], x[0][j], N, 1e-6);
    close_to("gather", extra[1], extra[0], 3 * (N / 10), 1e-6);
    near_to(squares[1] / squares[0], 1, 1e-6);
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < 4; j++)
            device_free(x[i][j]);
        device_free(extra[i]);
        backend_close(b[i]);
    }
}

static void exp_is_exp(void **state)
{
    /* through swiglu: silu(g) * 1, over the range where e^-g neither vanishes nor overflows */
    enum { N = 4096 };
    struct backend *b = open_backend(test_device(), 1);
    float *g = device_alloc(3 * N * sizeof *g);
    struct swiglu_arg a = {.n = N, .gate = g, .up = g + N, .y = g + 2 * N};

    (void)state;
    for (int i = 0; i < N; i++) {
        g[i] = (float)(i - N / 2) * (160.0f / N);
        g[N + i] = 1;
    }
    b->ops->swiglu_forward(b->state, NULL, &a);
    settle(b);
    for (int i = 0; i < N; i++) {
        double exact = (double)g[i] / (1 + exp(-(double)g[i]));

        near_to((double)g[2 * N + i], exact, 1e-6 * fabs(exact) + 1e-30);
    }
    device_free(g);
    backend_close(b);
}

/* The emulated cuBLASLt takes 8-bit factors as the real one says it does on Hopper: were it asked for anything else, the
 * products would be of values and slow. */
static void eight_bit_products_are_found_by_trying(void **state)
{
    const char *blas = getenv("LACUS_CUDA_BLAS");
    struct backend *b = open_backend(test_device(), 1);
    char what[512];

    (void)state;
    b->ops->describe(b->state, what, sizeof what);
    if (strstr(what, "host emulation"))
        assert_int_equal(b->ops->has_fp8(b->state), !blas || strcmp(blas, "0") != 0);
    else if (strcmp(test_device(), "cuda") == 0)
        print_message("%s: FP8 products: %s\n", what, b->ops->has_fp8(b->state) ? "yes" : "no");
    else
        assert_null(b->ops->has_fp8);
    backend_close(b);
}

static void a_memory_limit_is_kept(void **state)
{
    struct backend_options o = {.memory_limit = 1 << 20};
    struct backend *b;
    struct backend_memory memory;
    struct err err;
    void *p;

    (void)state;
    ok(backend_open("ref", &o, &b, &err), &err);
    assert_int_equal(b->ops->alloc(b->state, 2 << 20, &p, &err), LC_LIMIT);
    ok(b->ops->alloc(b->state, 1 << 19, &p, &err), &err);
    assert_int_equal((uintptr_t)p % 64, 0);
    b->ops->memory(b->state, &memory);
    assert_int_equal(memory.free, 1 << 19);
    b->ops->release(b->state, p, 1 << 19);
    backend_close(b);
    assert_int_equal(backend_open("tpu", &o, &b, &err), LC_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_finite_differences),
        cmocka_unit_test(the_plugin_computes_what_the_reference_does),
        cmocka_unit_test(updates_agree),
        cmocka_unit_test(exp_is_exp),
        cmocka_unit_test(eight_bit_products_are_found_by_trying),
        cmocka_unit_test(a_memory_limit_is_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
