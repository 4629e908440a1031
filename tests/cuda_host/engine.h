/* engine.h: runs the blocks and threads of a CUDA kernel on the host: what cuda_host.h is made of.
 *
 * What      A CUDA thread is a fiber with a stack of its own, a block is a set of fibers, blocks run one after
 *           another. It is strict rather than fast: a fiber runs until it reaches a barrier or a warp operation, the
 *           order of fibers and blocks comes from the schedule, shared memory is a fresh heap allocation per block
 *           filled with 0xff (NaN), so that AddressSanitizer sees every overrun. Under ThreadSanitizer each CUDA
 *           thread is a fiber of its, and only barriers, __syncwarp, fences and atomics order memory.
 * Errors    what a GPU answers with a hang or with garbage (a missing lane, a barrier in a branch) is reported with
 *           file, line and thread; then abort().
 * Threads   one launch at a time in the process; others wait.
 */
#ifndef LACUS_TESTS_CUDA_HOST_ENGINE_H
#define LACUS_TESTS_CUDA_HOST_ENGINE_H
#include "types.h"
#include <functional>
#include <stddef.h>
#include <tuple>
#include <type_traits>

#define CUDA_HOST_SITE const char *file = __builtin_FILE(), int line = __builtin_LINE()

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

struct CUstream_st;

namespace cuda_host
{
enum op { SHFL_IDX, SHFL_XOR, SHFL_UP, SHFL_DOWN, BALLOT, SYNCWARP, COLLECTIVE };

/* 0 forward, 1 reverse, otherwise the seed of a random order: LACUS_CUDA_SCHEDULE. */
extern unsigned schedule;

void launch(const char *kernel, dim3 blocks, dim3 threads, size_t shmem, void (*call)(void *), void *arg);
void barrier(const char *file, int line);
uint64_t warp_op(enum op op, unsigned mask, uint64_t value, int operand, int width, const char *file,
                 int line);
/* All 32 lanes give `data`; the last to come computes for all of them. */
void warp_collective(void *data, void (*combine)(void *const lanes[32]), const char *file, int line);
void *shared_static(const void *key, size_t bytes);
void *shared_dynamic();
void fence();
void copy_async(void *to, const void *from, bool valid); /* 16 bytes */
void copy_commit();
void copy_wait(unsigned groups);
__attribute__((noreturn, format(printf, 1, 2))) void fail(const char *format, ...);

/* The work of a stream is done when somebody waits for it (stream.cpp). */
void enqueue(struct CUstream_st *stream, const char *what, std::function<bool()> work);

template <class... P, class... A>
void start(struct CUstream_st *stream, const char *name, dim3 blocks, dim3 threads, size_t shmem,
           void (*kernel)(P...), const A &...given)
{
    std::tuple<std::decay_t<P>...> args(given...); /* as they are now: by value, as a launch takes them */

    enqueue(stream, name, [=] {
        auto body = [&] { std::apply(kernel, args); };

        launch(
            name, blocks, threads, shmem, [](void *p) { (*static_cast<decltype(body) *>(p))(); }, &body);
        return true;
    });
}

template <class T>
T shuffle(enum op op, unsigned mask, T v, int operand, int width, const char *file, int line)
{
    static_assert(std::is_trivially_copyable<T>::value && sizeof(T) <= 8, "a shuffle moves 4 or 8 bytes");
    uint64_t bits = 0;

    memcpy(&bits, &v, sizeof v);
    bits = warp_op(op, mask, bits, operand, width, file, line);
    memcpy((void *)&v, &bits, sizeof v);
    return v;
}
} // namespace cuda_host
#endif
