/* backend_args.h: the arguments of a backend's operations: plain data, one struct each.
 *
 * What      what backend.h's functions take. Apart from it so that kernels in CUDA C++ can include it.
 * Ownership everything is borrowed for the call. float *, void * and int32_t * are device memory.
 * Units     elements; rows are tokens; natural logarithms.
 * Errors    none.
 * Threads   plain structs.
 *
 * Example:
 *     float x[8] = {1}, y[8];
 *     struct dropout_arg a = {.n = 8, .x = x, .y = y, .p = 0.1f, .seed = 7};
 *     a.add = true;
 */
#ifndef LACUS_GPU_BACKEND_ARGS_H
#define LACUS_GPU_BACKEND_ARGS_H
#include "gpu/dtype.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A low-rank update beside a weight: y += scale * (drop(x) A^T) B^T. a == NULL: none. */
struct lora_arg {
    const float *a; /* [rank, in] */
    const float *b; /* [out, rank] */
    float *xa;      /* [rows, rank]: scale * drop(x) A^T; forward writes it, backward reads it */
    float *dxa;     /* [rows, rank]: scratch of backward */
    float *da, *db; /* gradients, added to */
    float *dropped; /* [rows, in]: scratch, needed when dropout > 0 */
    int64_t rank;
    float scale;
    float dropout; /* probability that an element of x is dropped */
    uint64_t seed; /* of the mask: the same in forward and backward */
};

struct linear_arg { /* y = x W^T + bias (+ LoRA); w NULL: y += LoRA alone, dx += LoRA's alone */
    int64_t rows, in, out;
    const float *x; /* [rows, in] */
    const void *w;  /* [out, in] of w_type, which may be quantised (quant.h) */
    enum dtype w_type;
    /* DTYPE_F32, or DTYPE_BF16: products of rounded factors, summed in f32. DTYPE_FP8, with frozen weights of that type:
     * x W^T and dy W are of 8-bit factors (fp8.h): each row of x in e4m3 with a scale, each row of dy times the scales
     * of the weights' rows in e5m2; LoRA's products as with DTYPE_BF16 */
    enum dtype compute;
    const float *bias; /* [out] or NULL */
    float *y;          /* [rows, out]: forward stores */
    const float *dy;   /* [rows, out] */
    float *dx;         /* [rows, in]; backward stores, or adds when add_dx */
    bool add_dx;
    float *dw;    /* [out, in], added to; NULL: frozen */
    float *dbias; /* [out], added to; NULL: frozen or none */
    struct lora_arg lora;
};

struct embed_arg {
    int64_t rows, width, vocabulary;
    const int32_t *ids;
    const void *table; /* [vocabulary, width] of type */
    enum dtype type;
    float *y;        /* forward stores */
    const float *dy; /* backward: added into dtable rows, in order of rows */
    float *dtable;
    int32_t padding; /* backward: the token whose row gets no gradient, as torch's padding_idx; -1: none */
};

struct norm_arg { /* RMSNorm: y = x * rsqrt(mean(x^2) + eps) * w, x the sum of x and residual */
    int64_t rows, width;
    float eps;
    const float *x;        /* [rows, width] */
    const float *residual; /* added to x first; NULL: none */
    float *sum;            /* x + residual is stored here (may be x or residual); unused without residual */
    const float *w;        /* [width] */
    float *y;              /* may be x when there is no residual */
    float *rstd;           /* [rows]: forward writes, backward reads */
    const float *dy;
    const float *dresidual; /* added to dx; NULL: none */
    float *dx;              /* stores; may be dresidual or dy. x is here what was normalised */
    float *dw;              /* added to; NULL: frozen */
};

struct rope_arg { /* rotates halves: (a, b) -> (a cos - b sin, b cos + a sin), in place */
    int64_t rows, heads, head_dim;
    float *x;                 /* [rows, heads, head_dim] */
    const int32_t *positions; /* [rows] */
    const float *cosines;     /* [positions, head_dim / 2] */
    const float *sines;
    bool inverse; /* the backward */
};

struct attention_arg {                /* causal softmax(scale * q k^T) v, each sequence by itself */
    int64_t sequences, rows, longest; /* longest: rows of the longest sequence */
    const int32_t *starts;            /* [sequences + 1] */
    int64_t heads, kv_heads, head_dim;
    int64_t window; /* key j is seen by query i when i - window < j <= i; 0: no window */
    float scale;
    enum dtype compute; /* DTYPE_BF16: factors of products may be rounded; softmax and sums stay in f32 */
    const float *q;     /* [rows, heads, head_dim] */
    const float *k, *v; /* [rows, kv_heads, head_dim] */
    float *y;           /* [rows, heads, head_dim] */
    float *lse;         /* [heads, rows]: log of the sum of exponentials; NULL in inference */
    const float *dy;
    float *dq, *dk, *dv; /* backward stores */
};

struct cached_attention_arg { /* new queries over a cache of keys and values */
    int64_t sequences, rows;
    const int32_t *starts; /* [sequences + 1]: the new rows of each sequence */
    const int32_t *past;   /* [sequences]: rows in the cache before the new ones */
    const int32_t *slots;  /* [sequences]: which part of the cache is theirs */
    int64_t heads, kv_heads, head_dim, window, capacity; /* capacity: cache rows per sequence */
    float scale;
    const float *q, *k, *v;   /* new rows; k and v are stored into the cache first */
    float *k_cache, *v_cache; /* [slots, capacity, kv_heads, head_dim] */
    float *y;
};

struct swiglu_arg { /* y = silu(gate) * up */
    int64_t n;
    const float *gate, *up;
    float *y; /* forward stores; backward stores it again when not NULL */
    const float *dy;
    float *dgate, *dup; /* backward stores; may be gate and up */
};

/* Linear and cross-entropy in one, by chunks of rows, so that only a chunk's logits exist. */
struct loss_arg {
    int64_t rows; /* rows that carry a label */
    int64_t width, vocabulary;
    const float *x;         /* [all rows, width] */
    const int32_t *index;   /* [rows]: which row of x, ascending */
    const int32_t *targets; /* [rows] */
    const void *w;          /* [vocabulary, width] of w_type */
    enum dtype w_type, compute;
    float smoothing;      /* (1 - s) nll + s mean(-log p) */
    float scale;          /* of the gradient: 1 / items */
    const float *weights; /* [rows]: of each row's gradient, in place of scale; NULL: all alike */
    float *losses;        /* [rows]: stored, not scaled */
    float *dx;     /* [all rows, width]: rows of index are stored, the others untouched; NULL: no gradient */
    float *dw;     /* added to; NULL: frozen */
    float *logits; /* scratch [chunk, vocabulary] */
    float *gathered; /* scratch [chunk, width] */
    int64_t chunk;
    struct lora_arg lora; /* beside w; its scratch is for the rows of a chunk */
};

/* DoRA (Liu et al. 2024, arXiv:2402.09353): y = f (W x + s B A x) + bias, f = magnitude / |W + s B A| for each row
 * of W; the norm is no part of the gradient. */
struct dora_arg {
    int64_t rows, out, rank;
    float scale;
    const float *squares;    /* [out]: of the rows of W */
    const float *aw;         /* [rank, out]: A W^T */
    const float *aa;         /* [rank, rank]: A A^T */
    const float *b;          /* [out, rank] */
    const float *magnitude;  /* [out] */
    float *factor, *inverse; /* [out]: f, 1 / norm; dora_factors stores, the others read */
    const float *bias;       /* [out] or NULL */
    float *y;                /* [rows, out]: W x + s B A x; forward multiplies it, then adds the bias */
    const float *raw;        /* [rows, out]: y before that */
    const float *dy;         /* [rows, out] */
    float *draw;             /* [rows, out]: backward stores */
    float *dmagnitude;       /* [out], added to */
    float *dbias;            /* [out], added to; NULL: frozen or none */
};

/* The loss of a student beside a teacher's logits: alpha T^2 KL(teacher || student) at temperature T, and (1 - alpha)
 * cross-entropy; by chunks, so that only a chunk's logits of both exist. */
struct distill_arg {
    struct loss_arg loss; /* of the student, without smoothing; losses get the sum of both */
    double temperature, alpha;
    const float *x;       /* [all rows of the teacher, width] */
    const int32_t *index; /* [rows]: which row of x */
    int64_t width;
    const void *w; /* [vocabulary, width] of w_type: the teacher's head */
    enum dtype w_type;
    float *logits;        /* scratch [chunk, vocabulary] */
    float *gathered;      /* scratch [chunk, width] */
    struct lora_arg lora; /* beside the teacher's head */
};

struct adamw_arg { /* torch.optim.AdamW, one step over n elements */
    int64_t n;
    float *param, *m, *v;
    const float *grad;
    float grad_scale; /* of clipping; applied first */
    double lr, beta1, beta2, eps, weight_decay;
    double bias1, bias2; /* 1 - beta^step */
};

struct dropout_arg { /* y = x kept with probability 1 - p, times 1 / (1 - p) */
    int64_t n;
    const float *x;
    float *y; /* may be x */
    float p;
    uint64_t seed;
    bool add; /* y += instead of y = */
};
#endif
