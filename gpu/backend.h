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
#include "gpu/backend_args.h"
#include "runtime/base/ctx.h"
#include <stddef.h>
#include <stdint.h>

#define BACKEND_ABI 10u /* changes when a struct of this header does */

struct backend;        /* an open device */
struct backend_record; /* operations that were written down */
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
    /* n products that need none of each other's results. NULL: one after the other is as good */
    void (*linears_forward)(void *state, struct backend_stream *, const struct linear_arg *, size_t n);
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

    /* NULL in a backend without them: what needs them is refused with LC_UNSUPPORTED */
    void (*dora_factors)(void *state, struct backend_stream *, const struct dora_arg *);
    void (*dora_forward)(void *state, struct backend_stream *, const struct dora_arg *);
    void (*dora_backward)(void *state, struct backend_stream *, const struct dora_arg *);
    void (*distill)(void *state, struct backend_stream *, const struct distill_arg *);

    /* Are products of 8-bit factors (linear_arg.compute DTYPE_FP8) quicker than those of bf16? NULL: no. */
    bool (*has_fp8)(void *state);

    /* of a device that works by itself: for other libraries that use it, too. NULL in backends of the processor */
    void (*identity)(void *state, char text[64]);         /* the same text: the same device */
    void *(*queue)(void *state, struct backend_stream *); /* the device's own handle: a cudaStream_t */
    /* What is asked of a stream from now on comes after all that was asked of `first`. */
    void (*after)(void *state, struct backend_stream *, struct backend_stream *first);
    bool (*idle)(void *state, struct backend_stream *); /* done, or failed: the next sync tells which */

    /* Operations that come again with equal arguments: after record_begin those of the backend's own stream are written
     * down and not done, until record_end; replay does all of them at once. Meanwhile nothing may wait, upload or
     * allocate: record_end then fails, with nothing written down. NULL where it would gain nothing. */
    enum lc (*record_begin)(void *state, struct err *err);
    enum lc (*record_end)(void *state, struct backend_record **out, struct err *err);
    bool (*replay)(void *state,
                   struct backend_record *r); /* false: memory was released since: do them again */
    void (*record_free)(void *state, struct backend_record *r);
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
