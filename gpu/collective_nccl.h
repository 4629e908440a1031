/* collective_nccl.h: the ranks of a run on CUDA devices: NCCL, loaded when it is asked for.
 *
 * What      sums are NCCL's, on the backend's default stream: what a backward pass has queued comes before them.
 *           Numbers of the host (COLLECTIVE_F64) pass through a little device memory. Not measured: this was run
 *           against a stand-in for the library, on no GPU.
 * Ownership the backend is borrowed and outlives the collective. The library stays loaded.
 * Units     bytes.
 * Errors    LC_MISSING (no library, or one that lacks a function: named), LC_WORKER (what NCCL says), LC_CANCELLED
 *           or any code of an abort. A rank that is lost leaves the others waiting until somebody aborts: the
 *           coordinator's cancel does.
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

struct nccl_id { /* made by one rank, known to all */
    char bytes[128];
};

/* library: NULL is "libnccl.so.2"; "" this program itself. */
enum lc nccl_make_id(const char *library, struct nccl_id *out, struct err *err) MUST_CHECK;
/* Returns when all ranks are there. */
enum lc nccl_join(const char *library, const struct nccl_id *id, struct backend *backend, int rank, int size,
                  struct collective *out, struct err *err) MUST_CHECK;
#endif
