/* collective_nccl.h: the ranks of a run on CUDA devices: NCCL, loaded when it is asked for.
 *
 * What      sums are NCCL's, on a stream of their own, after what a backward pass has queued when they begin and beside
 *           what it queues then; after a wait the backend's stream sees them. Numbers of the host (COLLECTIVE_F64) go
 *           over the wire, a collective between the same ranks, or pass through a little device memory. Not measured:
 *           this was run against a stand-in for the library, on no GPU.
 * Ownership the backend and the wire are borrowed and outlive the collective. The library stays loaded.
 * Units     bytes.
 * Errors    LC_MISSING (no library, or one that lacks a function: named), LC_WORKER (what NCCL says), LC_CANCELLED
 *           or any code of an abort. What the wire knows of a lost
 *           rank ends a wait; without a wire it lasts until somebody aborts or cancels.
 * Threads   as collective.h.
 *
 * Example:
 *     struct nccl_id id;
 *     if (nccl_make_id(NULL, &id, &err) != LC_OK)
 *         puts(err.message);
 */
#ifndef LACUS_GPU_COLLECTIVE_NCCL_H
#define LACUS_GPU_COLLECTIVE_NCCL_H
#include "gpu/backend.h"
#include "gpu/collective.h"
#include "gpu/nccl.h"

struct nccl_options {
    const char *library; /* as nccl.h */
    struct nccl_id id;
    struct backend *backend;
    const struct collective *wire; /* NULL: none */
    int rank, size;
};

enum lc nccl_make_id(const char *library, struct nccl_id *out, struct err *err) MUST_CHECK;
/* Returns when all ranks are there. */
enum lc nccl_join(const struct nccl_options *o, struct collective *out, struct err *err) MUST_CHECK;
#endif
