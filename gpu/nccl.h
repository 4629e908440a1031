/* nccl.h: NVIDIA's library of sums between GPUs, found at run time.
 *
 * What      the functions of nccl.h that are used here, looked up by their names, so that neither the library nor its header
 *           is needed to build. What is done with them: collective_nccl.h.
 * Ownership the library stays loaded.
 * Units     a version as NCCL counts: 22703 is 2.27.3.
 * Errors    LC_MISSING: no library, one that lacks a function (named), or one that is too old.
 * Threads   any.
 *
 * Example:
 *     int version;
 *     char text[24];
 *     if (nccl_version(NULL, &version, &err) == LC_OK)
 *         nccl_version_text(version, text);
 */
#ifndef LACUS_GPU_NCCL_H
#define LACUS_GPU_NCCL_H
#include "runtime/base/err.h"
#include <stddef.h>

enum { NCCL_CHAR = 0, NCCL_FLOAT32 = 7, NCCL_FLOAT64 = 8, NCCL_SUM = 0 };

struct nccl_id { /* made by one rank, known to all */
    char bytes[128];
};

struct nccl { /* results: 0 is success */
    int (*get_version)(int *);
    int (*get_unique_id)(struct nccl_id *);
    int (*comm_init_rank)(void **comm, int size, struct nccl_id id, int rank);
    int (*all_reduce)(const void *from, void *to, size_t n, int type, int op, void *comm, void *stream);
    int (*broadcast)(const void *from, void *to, size_t n, int type, int root, void *comm, void *stream);
    int (*comm_abort)(void *comm);
    int (*comm_destroy)(void *comm);
    const char *(*error_text)(int);
};

/* library: NULL is what LACUS_NCCL names, else "libnccl.so.2"; "" this program itself. */
enum lc nccl_load(const char *library, struct nccl *out, struct err *err) MUST_CHECK;
enum lc nccl_version(const char *library, int *version, struct err *err) MUST_CHECK;
void nccl_version_text(int version, char out[24]);
#endif
