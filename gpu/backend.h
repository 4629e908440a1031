/* backend.h: what a device must be able to do: memory, copies, streams and the fused operations of a
 * transformer.
 *
 * What      `struct backend_ops` is a versioned table of functions. gpu/ref is the portable reference, linked
 *           into the program; gpu/cpu and gpu/cuda are plugins with the same table. An operation takes one
 *           struct of arguments. Matrices are row-major; a "row" is a token. Batches have no padding: the
 *           rows of all sequences follow each other, starts[i]..starts[i + 1] are those of sequence i.
 * Ownership a buffer from alloc belongs to the caller until release. Pointers named float * or void * in
 *           argument structs are device memory; arrays of int32_t too. The structs themselves are read during
 *           the call only.
 * Units     bytes for memory, elements for leading dimensions, natural logarithms.
 * Errors    alloc, copies and sync return codes. Operations return nothing: an asynchronous failure is
 *           reported by the next sync. Shapes are the caller's duty (asserted in gpu/ref).
 * Threads   one thread at a time per backend; a backend may use threads of its own. A result does not depend
 *           on their number: every sum has one fixed order. Two backends agree to rounding only. Gradients
 *           fields named d…: an operation says whether it stores or adds. Weight gradients are always added.
 *
 * Example:
 *     struct backend *b;
 *     struct err err;
 *     if (backend_open("ref", &(struct backend_options){0}, &b, &err) == LC_OK)
 *         backend_close(b);
 */
#ifndef LACUS_GPU_BACKEND_H
#define LACUS_GPU_BACKEND_H
#include "gpu/dtype.h"
#include "runtime/base/ctx.h"
#include <stddef.h>
#include <stdint.h>

#define BACKEND_ABI 2u /* changes when a struct of this header does */

struct backend;        /* an open device */
struct backend_stream; /* an ordered queue of work; NULL is the backend's own */

struct backend_options {
    int threads; /* CPU backends: 0 chooses the number of usable cores */
    int device;  /* index of the device; CPU backends have 0 only */
    const char
        *kernels; /* CPU plugin: NULL chooses; "avx512bf16", "avx512", "avx2" or "base" to compare them */
    size_t memory_limit; /* bytes this backend may allocate; 0: what the machine has */
};

struct backend_memory {
    size_t used;  /* allocated through this backend */
    size_t peak;  /* the most of it at once */
    size_t free;  /* what can still be allocated, as far as is known */
    size_t total; /* of the device, or the limit */
};

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

struct linear_arg { /* y = x W^T + bias (+ LoRA) */
    int64_t rows, in, out;
    const float *x; /* [rows, in] */
    const void *w;  /* [out, in] of w_type, which may be quantised (quant.h) */
    enum dtype w_type;
    enum dtype compute; /* DTYPE_F32, or DTYPE_BF16: products of rounded factors, summed in f32 */
    const float *bias;  /* [out] or NULL */
    float *y;           /* [rows, out]: forward stores */
    const float *dy;    /* [rows, out] */
    float *dx;          /* [rows, in]; backward stores, or adds when add_dx */
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

struct backend_ops {
    uint32_t abi; /* BACKEND_ABI */
    const char *name;
    enum lc (*open)(const struct backend_options *, void **state, struct err *err);
    void (*close)(void *state);
    void (*describe)(void *state, char *text, size_t size); /* one line for people: device, instruction set */

    /* memory; host_visible: pointers can be read by the CPU */
    bool host_visible;
    enum lc (*alloc)(void *state, size_t bytes, void **out, struct err *err); /* 64-byte aligned, zeroed */
    void (*release)(void *state, void *p, size_t bytes);
    void (*memory)(void *state, struct backend_memory *out);
    enum lc (*stream_new)(void *state, struct backend_stream **out, struct err *err);
    void (*stream_free)(void *state, struct backend_stream *s);
    enum lc (*sync)(void *state, struct backend_stream *s, struct err *err);
    enum lc (*upload)(void *state, struct backend_stream *, void *device, const void *host, size_t bytes,
                      struct err *err);
    enum lc (*download)(void *state, struct backend_stream *, void *host, const void *device, size_t bytes,
                        struct err *err); /* synchronous */
    void (*copy)(void *state, struct backend_stream *, void *to, const void *from, size_t bytes);
    void (*zero)(void *state, struct backend_stream *, void *p, size_t bytes);

    /* operations; each is ordered on its stream */
    void (*convert)(void *state, struct backend_stream *, void *to, enum dtype to_type, const void *from,
                    enum dtype from_type, int64_t n);
    void (*linear_forward)(void *state, struct backend_stream *, const struct linear_arg *);
    void (*linear_backward)(void *state, struct backend_stream *, const struct linear_arg *);
    void (*embed_forward)(void *state, struct backend_stream *, const struct embed_arg *);
    void (*embed_backward)(void *state, struct backend_stream *, const struct embed_arg *);
    void (*norm_forward)(void *state, struct backend_stream *, const struct norm_arg *);
    void (*norm_backward)(void *state, struct backend_stream *, const struct norm_arg *);
    void (*norm_apply)(void *state, struct backend_stream *, const struct norm_arg *); /* y from x, rstd, w */
    void (*rope)(void *state, struct backend_stream *, const struct rope_arg *);
    void (*attention_forward)(void *state, struct backend_stream *, const struct attention_arg *);
    void (*attention_backward)(void *state, struct backend_stream *, const struct attention_arg *);
    void (*attention_cached)(void *state, struct backend_stream *, const struct cached_attention_arg *);
    void (*swiglu_forward)(void *state, struct backend_stream *, const struct swiglu_arg *);
    void (*swiglu_backward)(void *state, struct backend_stream *, const struct swiglu_arg *);
    void (*loss)(void *state, struct backend_stream *, const struct loss_arg *);
    void (*adamw)(void *state, struct backend_stream *, const struct adamw_arg *);
    void (*dropout)(void *state, struct backend_stream *, const struct dropout_arg *);
    void (*add)(void *state, struct backend_stream *, float *y, const float *x, float scale, int64_t n);
    void (*sum_squares)(void *state, struct backend_stream *, const float *x, int64_t n, double *out);
    void (*gather)(void *state, struct backend_stream *, float *y, const float *x, const int32_t *index,
                   int64_t rows, int64_t width); /* y[i] = x[index[i]] */
    void (*merge)(void *state, struct backend_stream *, void *w, enum dtype w_type, const float *a,
                  const float *b, int64_t out, int64_t in, int64_t rank, float scale); /* w += scale B A */
};

struct backend {
    const struct backend_ops *ops;
    void *state; /* owned by ops */
    char name[16];
};

/* name: "ref", "cpu" (the plugin gpu_cpu; "ref" where it cannot be loaded) or "cuda". LC_MISSING, LC_ARG. */
enum lc backend_open(const char *name, const struct backend_options *options, struct backend **out,
                     struct err *err) MUST_CHECK;
void backend_close(struct backend *b); /* NULL is fine */

extern const struct backend_ops backend_ref; /* the reference, always there */
#endif
