/* stream.h: the streams, events and graphs of the emulated device, and what is put into a stream from C.
 *
 * What      a stream's work is kept until somebody waits for it (a sync, a poll, a stream that comes after it, an event),
 *           so that memory which is used too early or given back too late shows. While a stream is captured its work goes
 *           into the graph, and what CUDA forbids meanwhile (waiting, allocating) is refused and spoils the capture.
 *           CUDA's default stream, NULL, is not ordered with ours: work put there is a mistake, and aborts.
 * Ownership stream_put copies the argument.
 * Threads   any; a stream belongs to the thread that made it.
 */
#ifndef LACUS_TESTS_CUDA_HOST_STREAM_H
#define LACUS_TESTS_CUDA_HOST_STREAM_H
#include <stdbool.h>
#include <stddef.h>
#ifdef __cplusplus
#include <atomic>
extern "C" {
#endif
struct CUstream_st;

/* What has been asked of the device so far: looked up by tests in the plugin, by this name. */
extern struct cuda_host_counts {
#ifdef __cplusplus
    std::atomic<long> launched, replayed, allocated;
#else
    _Atomic long launched, replayed, allocated;
#endif
} cuda_host_counts;

/* run answers false as long as it must wait for something elsewhere. */
void cuda_host_put(struct CUstream_st *s, const char *what, bool (*run)(void *arg), const void *arg,
                   size_t bytes);
/* All the work of this thread's streams: what allocating and freeing wait for. False: one is being captured. */
bool cuda_host_settle(void);
void cuda_host_begin(void); /* around whatever the device does to its memory */
void cuda_host_end(void);
#ifdef __cplusplus
}
#endif
#endif
