/* cuda_host.h: CUDA's names under a host compiler, so that the kernels of gpu/cuda run in tests without a GPU; included
 * before anything else (-include) where they are compiled as C++. gpu/cuda/device.cuh gives the same names to nvcc. */
#ifndef LACUS_TESTS_CUDA_HOST_H
#define LACUS_TESTS_CUDA_HOST_H
#include "engine.h"

#define CUDA_EMULATED 1
#define __global__    static
#define __device__
#define __host__
#define __constant__ static const
#define __shared__   use_SHARED_or_SHARED_DYNAMIC_instead
#define __launch_bounds__(...)
#define __forceinline__ inline __attribute__((always_inline))
#define __align__(n)    __attribute__((aligned(n)))

typedef struct CUstream_st *cudaStream_t;

#define SHARED(T, name, dims)                                                                                \
    static char name##_key;                                                                                  \
    typedef T name##_type dims;                                                                              \
    name##_type &name =                                                                                      \
        *static_cast<name##_type *>(cuda_host::shared_static(&name##_key, sizeof(name##_type)))
#define SHARED_DYNAMIC(T, name) T *name = static_cast<T *>(cuda_host::shared_dynamic())
#define LAUNCH(kernel, grid, block, shmem, stream, ...)                                                      \
    cuda_host::start(stream, #kernel, grid, block, shmem, kernel, __VA_ARGS__)

static inline void __syncthreads(CUDA_HOST_SITE)
{
    cuda_host::barrier(file, line);
}

static inline void __syncwarp(unsigned mask = 0xffffffffu, CUDA_HOST_SITE)
{
    cuda_host::warp_op(cuda_host::SYNCWARP, mask, 0, 0, 32, file, line);
}

static inline unsigned __ballot_sync(unsigned mask, int vote, CUDA_HOST_SITE)
{
    return (unsigned)cuda_host::warp_op(cuda_host::BALLOT, mask, vote != 0, 0, 32, file, line);
}

template <class T> static inline T __shfl_sync(unsigned mask, T v, int from, int width = 32, CUDA_HOST_SITE)
{
    return cuda_host::shuffle(cuda_host::SHFL_IDX, mask, v, from, width, file, line);
}

template <class T>
static inline T __shfl_xor_sync(unsigned mask, T v, int lanes, int width = 32, CUDA_HOST_SITE)
{
    return cuda_host::shuffle(cuda_host::SHFL_XOR, mask, v, lanes, width, file, line);
}

template <class T>
static inline T __shfl_down_sync(unsigned mask, T v, unsigned by, int width = 32, CUDA_HOST_SITE)
{
    return cuda_host::shuffle(cuda_host::SHFL_DOWN, mask, v, (int)by, width, file, line);
}

static inline void __threadfence()
{
    cuda_host::fence();
}

static inline void cp_async16(void *to, const void *from, bool valid = true)
{
    cuda_host::copy_async(to, from, valid);
}

static inline void cp_async_commit()
{
    cuda_host::copy_commit();
}

template <int N> static inline void cp_async_wait()
{
    cuda_host::copy_wait(N);
}

template <class T> static inline T __ldg(const T *p)
{
    return *p;
}

static inline float rsqrtf(float x)
{
    return 1.0f / sqrtf(x);
}

#define __expf expf

static inline int __popc(unsigned x)
{
    return __builtin_popcount(x);
}

static inline int __ffs(int x)
{
    return __builtin_ffs(x);
}

template <class T> static inline T min(T a, T b)
{
    return b < a ? b : a;
}

template <class T> static inline T max(T a, T b)
{
    return a < b ? b : a;
}

/* d += a b for one 16 x 8 tile, 16 deep: mma.sync.m16n8k16 of bf16 factors, PTX ISA "Matrix Fragments". Lane l holds
 * of A rows l / 4 and + 8, columns 2 (l % 4) and + 1, and + 8; of B rows as A's columns, column l / 4; of D rows
 * l / 4 and + 8, columns 2 (l % 4) and + 1. */
struct cuda_host_mma {
    float d[4];
    uint32_t a[4], b[2];
};

static inline float cuda_host_half(uint32_t pair, int high)
{
    return __bfloat162float({(uint16_t)(high ? pair >> 16 : pair)});
}

__attribute__((no_sanitize_thread)) static inline void cuda_host_multiply(void *const lanes[32])
{
    float a[16][16], b[16][8];

    for (int l = 0; l < 32; l++) {
        const cuda_host_mma *m = static_cast<const cuda_host_mma *>(lanes[l]);

        for (int i = 0; i < 8; i++) /* register i / 2: rows + 8 in odd ones, columns + 8 in the last two */
            a[l / 4 + 8 * (i / 2 % 2)][l % 4 * 2 + i % 2 + 8 * (i / 4)] = cuda_host_half(m->a[i / 2], i % 2);
        for (int i = 0; i < 4; i++)
            b[l % 4 * 2 + i % 2 + 8 * (i / 2)][l / 4] = cuda_host_half(m->b[i / 2], i % 2);
    }
    for (int l = 0; l < 32; l++)
        for (int i = 0; i < 4; i++) {
            float *d = &static_cast<cuda_host_mma *>(lanes[l])->d[i], sum = 0;

            for (int k = 0; k < 16; k++)
                sum += a[l / 4 + 8 * (i / 2)][k] * b[k][l % 4 * 2 + i % 2];
            *d += sum;
        }
}

static inline void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], CUDA_HOST_SITE)
{
    cuda_host_mma m;

    memcpy(m.d, d, sizeof d);
    memcpy(m.a, a, sizeof a);
    memcpy(m.b, b, sizeof b);
    cuda_host::warp_collective(&m, cuda_host_multiply, file, line);
    memcpy(d, m.d, sizeof d);
}
#endif
