/* runtime.h: what the CUDA backend asks of a device: memory, streams, copies.
 *
 * What      a thin seam below the backend: runtime.c implements it with the CUDA runtime, tests/cuda_host with plain
 *           memory, so that the host code above is the same in both. Private to gpu/cuda.
 * Ownership cuda_malloc → cuda_free, cuda_malloc_host → cuda_free_host, cuda_stream_new → cuda_stream_free.
 * Units     bytes.
 * Errors    LC_MISSING: no device, no driver, or one too old (with what was found); LC_LIMIT: no memory left;
 *           LC_RUNTIME: what the device reported, also of work launched before.
 * Threads   any, after cuda_open_device on that thread.
 *
 * Example:
 *     struct cuda_device device;
 *     struct err err;
 *     if (cuda_open_device(0, &device, &err) == LC_OK)
 *         puts(device.name);
 */
#ifndef LACUS_GPU_CUDA_RUNTIME_H
#define LACUS_GPU_CUDA_RUNTIME_H
#include "runtime/base/err.h"
#include <stdbool.h>
#include <stddef.h>

struct CUstream_st;
struct CUevent_st;
struct CUgraphExec_st;

struct cuda_device {
    char name[256];
    int major, minor; /* compute capability */
    int multiprocessors;
    int driver, runtime; /* versions: 13000 is 13.0 */
    size_t memory;       /* in all */
    size_t shared;       /* a block can have */
    char identity[64];   /* of this very card */
};

enum lc cuda_open_device(int index, struct cuda_device *out, struct err *err) MUST_CHECK;
int cuda_device_count(void); /* 0: none, or no driver */
enum lc cuda_malloc(size_t bytes, void **out, struct err *err) MUST_CHECK;
void cuda_free(void *p);
enum lc cuda_malloc_host(size_t bytes, void **out, struct err *err) MUST_CHECK; /* pinned */
void cuda_free_host(void *p);
size_t cuda_memory_free(void);

enum lc cuda_stream_new(struct CUstream_st **out, struct err *err) MUST_CHECK;
void cuda_stream_free(struct CUstream_st *s);
enum lc cuda_stream_sync(struct CUstream_st *s, struct err *err) MUST_CHECK;
enum lc cuda_event_new(struct CUevent_st **out, struct err *err) MUST_CHECK;
void cuda_event_free(struct CUevent_st *e);
/* What is put into s from now on comes after the event. */
void cuda_stream_after(struct CUstream_st *s, struct CUevent_st *e);
bool cuda_stream_idle(struct CUstream_st *s); /* also when it failed */
void cuda_event_record(struct CUevent_st *e, struct CUstream_st *s);
enum lc cuda_event_wait(struct CUevent_st *e,
                        struct err *err) MUST_CHECK; /* on the host; never recorded: at once */

/* Work put into the stream is written down instead of done; the graph does it, in any order that its uses allow. */
enum lc cuda_capture_begin(struct CUstream_st *s, struct err *err) MUST_CHECK;
enum lc cuda_capture_end(struct CUstream_st *s, struct CUgraphExec_st **out, struct err *err) MUST_CHECK;
enum lc cuda_graph_launch(struct CUgraphExec_st *g, struct CUstream_st *s, struct err *err) MUST_CHECK;
void cuda_graph_free(struct CUgraphExec_st *g);

/* All asynchronous: host memory must be pinned and stay. */
void cuda_upload(struct CUstream_st *s, void *device, const void *host, size_t bytes);
void cuda_download(struct CUstream_st *s, void *host, const void *device, size_t bytes);
void cuda_copy(struct CUstream_st *s, void *to, const void *from, size_t bytes);
void cuda_zero(struct CUstream_st *s, void *p, size_t bytes);
#endif
