/* kernels.h: the inner loops of the CPU backend, built once per instruction set.
 *
 * What      kernels_body.inc is compiled by kernels_avx512bf16.c, kernels_avx512.c, kernels_avx2.c and
 *           kernels_base.c, with the compiler's flags of each set (plugins.mk); kernels_choose asks the
 *           processor. Each kernel does a range of an operation's rows, columns, elements or tiles and may be
 *           called from any thread; ranges do not touch each other's results.
 * Order     sums run in an order that depends on shapes alone.
 * Ownership none.
 * Units     elements.
 * Errors    none.
 * Threads   any.
 *
 * Example:
 *     const struct kernels *k = kernels_choose(NULL);
 *     pool_run(pool, arg.rows, 8, k->norm_forward, &arg);
 */
#ifndef LACUS_GPU_CPU_KERNELS_H
#define LACUS_GPU_CPU_KERNELS_H
#include "gpu/backend.h"
#include "gpu/cpu/pool.h"
#include "gpu/quant.h"

enum {
    GEMM_K = 256,          /* words per block of a product: terms, or pairs of terms in bf16 */
    GROUP = 8,             /* panels of rows that are packed together */
    EXPANDED = 2 * GEMM_K, /* terms of a panel of quantised weights that are expanded at once */
    QUERIES = 64           /* per block of attention */
};

/* c[i, j] = (add ? c[i, j] : bias ? bias[j] : 0) + scale * sum over t of a[i, t] b[t, j], for tiles of c */
struct gemm {
    int64_t m, n, k;
    const float *a;
    int64_t a_row, a_col; /* strides */
    const void *b;
    enum dtype b_type;  /* DTYPE_F32, DTYPE_BF16, or quantised */
    struct quant quant; /* b when it is quantised */
    int64_t b_row, b_col;
    float *c;
    int64_t c_row;
    const float *bias;
    float scale;
    bool add, rounded; /* rounded: a and b to bf16 first */
    bool a_bf16;       /* a is bf16 already (kernels with pairs; strides count its elements) */
    int64_t tile_m, tile_n;
};

/* Few rows: y[i, j] = dot(x[i], w[j]) + bias[j]; ranges are of j */
struct dots {
    int64_t rows, in, out;
    const float *x;
    const void *w;
    enum dtype w_type;
    const float *bias;
    float *y;
    struct quant quant; /* w when it is quantised */
    bool rounded;       /* x to bf16 first, and w (bf16, or quantised) */
};

/* One sequence's queries over its keys. Tasks of forward: (sequence, head, block of queries); of backward: (sequence,
 * kv head). */
struct attention_task {
    const struct attention_arg *a;             /* for both directions */
    const struct cached_attention_arg *cached; /* NULL: not from a cache */
    int64_t blocks;                            /* of queries, of the longest sequence */
};

struct loss_rows {
    const struct loss_arg *a;
    int64_t from; /* first row of the chunk */
    bool bf16;    /* the gradient is stored as bf16: vocabulary of them, then as much unused */
};

struct squares {
    const float *x;
    int64_t n, part; /* elements in all, and per part */
    double *out;     /* [parts] */
};

struct addition {
    float *y;
    const float *x;
    float scale;
};

struct gathering {
    float *y;
    const float *x;
    const int32_t *index;
    int64_t width;
    bool scatter; /* y[index[i]] = x[i] instead of y[i] = x[index[i]] */
};

struct columns { /* sums over rows: ranges are of columns */
    const float *x;
    int64_t rows, width;
    float *out; /* added to */
};

struct kernels {
    const char *isa;
    int64_t mr, nr; /* a tile is at best a multiple of these */
    bool pairs;     /* products of bf16 have an instruction */
    pool_fn *gemm;  /* ranges of tiles */
    pool_fn *dots;
    pool_fn *attention_forward, *attention_backward;
    size_t (*attention_scratch)(int64_t keys, int64_t dim); /* floats for a sequence of so many keys */
    pool_fn *norm_forward, *norm_backward, *norm_apply;     /* rows */
    pool_fn *norm_weight;                                   /* columns: dw */
    pool_fn *rope;                                          /* rows */
    pool_fn *swiglu_forward, *swiglu_backward, *adamw, *dropout, *add; /* elements */
    pool_fn *loss;                                                     /* rows */
    pool_fn *embed;                                                    /* rows */
    pool_fn *embed_backward;                                           /* columns */
    pool_fn *squares;                                                  /* parts */
    pool_fn *gather;                                                   /* rows */
    pool_fn *column_sums;                                              /* columns */
};

/* name NULL: the best for this processor; NULL when the named set is unknown or not for this processor. */
const struct kernels *kernels_choose(const char *name);
size_t gemm_scratch(const struct kernels *k, int64_t tile_n); /* floats */

extern const struct kernels kernels_avx512bf16, kernels_avx512, kernels_avx2, kernels_base;
#endif
