/* collective.h: numbers that several ranks of one training run share.
 *
 * What      a seam: sums over ranks that run beside the computation, a copy from one rank to all, and an abort
 *           that every rank learns of. Implementations: NCCL between CUDA devices
 *           (collective_nccl.h), a ring over ZeroMQ between processes (runtime/train/ring.h), one of threads
 *           for tests. Every rank makes the same calls in the same order.
 * Ownership the struct is plain data; ops->close ends its state. Data of a sum that was started belongs to the
 *           collective until the next wait.
 * Units     elements. COLLECTIVE_F32 and a broadcast: memory of the model's backend; COLLECTIVE_F64: the host's, a few
 *           thousand at most. The ring wants a host-visible backend.
 * Errors    LC_WORKER, LC_NET, LC_TIMEOUT name the rank at fault; an abort gives its code and text on every
 *           rank. After the first error each call returns it again: the collective can only be closed.
 * Threads   one at a time, but abort: any.
 * Sums      have a fixed order for a given number of ranks, and the same bits on every rank.
 *
 * Example:
 *     struct collective c; // of ring_join or nccl_join
 *     double seconds[1] = {1.5};
 *     if (collective_sum(&c, &ctx, seconds, 1, COLLECTIVE_F64, &err) == LC_OK)
 *         collective_close(&c);
 */
#ifndef LACUS_GPU_COLLECTIVE_H
#define LACUS_GPU_COLLECTIVE_H
#include "runtime/base/ctx.h"
#include <stddef.h>

enum collective_type { COLLECTIVE_F32, COLLECTIVE_F64 };

struct collective_ops {
    const char *name;
    /* Begins to replace data by its sum over ranks; returns at once. */
    enum lc (*start)(void *state, void *data, int64_t n, enum collective_type type, struct err *err);
    /* Until all that was started is done. Polls ctx. */
    enum lc (*wait)(void *state, const struct ctx *ctx, struct err *err);
    /* Bytes of the root on every rank. Nothing is being summed meanwhile. */
    enum lc (*broadcast)(void *state, const struct ctx *ctx, void *data, size_t bytes, int root,
                         struct err *err);
    /* Tells every rank that this one does not go on. Does not wait; the first abort counts. */
    void (*abort)(void *state, enum lc code, const char *why);
    void (*close)(void *state);
    enum lc (*check)(void *state, struct err *err); /* what has failed so far; never waits. NULL: unknown */
};

struct collective {
    const struct collective_ops *ops;
    void *state; /* owned by ops */
    int rank, size;
};

size_t collective_bytes(enum collective_type type);

enum lc collective_start(const struct collective *c, void *data, int64_t n, enum collective_type type,
                         struct err *err) MUST_CHECK;
enum lc collective_wait(const struct collective *c, const struct ctx *ctx, struct err *err) MUST_CHECK;
/* Starts and waits. */
enum lc collective_sum(const struct collective *c, const struct ctx *ctx, void *data, int64_t n,
                       enum collective_type type, struct err *err) MUST_CHECK;
enum lc collective_broadcast(const struct collective *c, const struct ctx *ctx, void *data, size_t bytes,
                             int root, struct err *err) MUST_CHECK;
/* Returns when every rank has come here. */
enum lc collective_barrier(const struct collective *c, const struct ctx *ctx, struct err *err) MUST_CHECK;
/* What has failed so far, also elsewhere; never waits. */
enum lc collective_check(const struct collective *c, struct err *err) MUST_CHECK;
void collective_abort(const struct collective *c, enum lc code, const char *why);
void collective_close(struct collective *c); /* and is empty then; an empty one is fine */
#endif
