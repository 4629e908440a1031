/* device.cuh: what every kernel source starts with: the macros that nvcc and the tests' host emulation
 * (tests/cuda_host) both understand, and small helpers of warps and blocks.
 *
 * Rules for kernels: shared memory through SHARED and SHARED_DYNAMIC; warp operations name all lanes that come; no
 * thread returns before a barrier of its block; no block waits for another; no floating-point atomics: every sum has
 * one order, so that results repeat bit for bit. Launchers leave errors for the next sync.
 */
#ifndef LACUS_GPU_CUDA_DEVICE_CUH
#define LACUS_GPU_CUDA_DEVICE_CUH
#include "gpu/cuda/kernels.h"

#ifndef CUDA_EMULATED
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

/* SHARED(float, tile, [8][33]): a variable of the block. */
#define SHARED(T, name, dims) __shared__ T name dims
/* SHARED_DYNAMIC(float, buf): a pointer to the bytes asked for at launch. */
#define SHARED_DYNAMIC(T, name)                                                                              \
    extern __shared__ __align__(128) unsigned char cuda_shared_dynamic[];                                    \
    T *name = reinterpret_cast<T *>(cuda_shared_dynamic)
#define LAUNCH(kernel, grid, block, shmem, stream, ...)                                                      \
    do {                                                                                                     \
        if ((shmem) > 48 * 1024)                                                                             \
            (void)cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)(shmem));   \
        kernel<<<(grid), (block), (shmem), (stream)>>>(__VA_ARGS__);                                         \
    } while (0)

/* 16 bytes from global to shared memory, asynchronously; valid false: zeros. Both sides on 16 bytes. */
static __device__ __forceinline__ void cp_async16(void *to, const void *from, bool valid = true)
{
    asm volatile(
        "cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"((unsigned)__cvta_generic_to_shared(to)),
        "l"(from), "r"(valid ? 16 : 0)
        : "memory");
}

static __device__ __forceinline__ void cp_async_commit()
{
    asm volatile("cp.async.commit_group;" ::: "memory");
}

/* Returns when at most the N groups committed last are still under way. */
template <int N> static __device__ __forceinline__ void cp_async_wait()
{
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

/* d += a b: a tile of 16 x 8, 16 deep, of bf16 factors (mma.sync.m16n8k16; lanes hold what PTX says). */
static __device__ __forceinline__ void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2])
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
                 "{%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
#endif

typedef __nv_bfloat16 bf16;

constexpr unsigned FULL = 0xffffffffu; /* all lanes */
constexpr int EACH = 256;              /* threads of an elementwise block */

static __device__ __forceinline__ float warp_sum(float x)
{
#pragma unroll
    for (int d = 16; d; d >>= 1)
        x += __shfl_xor_sync(FULL, x, d);
    return x;
}

static __device__ __forceinline__ double warp_sum(double x)
{
#pragma unroll
    for (int d = 16; d; d >>= 1)
        x += __shfl_xor_sync(FULL, x, d);
    return x;
}

static __device__ __forceinline__ float warp_max(float x)
{
#pragma unroll
    for (int d = 16; d; d >>= 1)
        x = fmaxf(x, __shfl_xor_sync(FULL, x, d));
    return x;
}

/* The same for all threads of a block of whole warps; all of them come. */
template <class T> static __device__ __forceinline__ T block_sum(T x)
{
    SHARED(T, parts, [32]);
    const int warps = (int)blockDim.x / 32;
    T sum = 0;

    x = warp_sum(x);
    if (warps == 1)
        return x;
    __syncthreads(); /* what an earlier call left is no longer read */
    if (threadIdx.x % 32 == 0)
        parts[threadIdx.x / 32] = x;
    __syncthreads();
    for (int i = 0; i < warps; i++)
        sum += parts[i];
    return sum;
}

static __device__ __forceinline__ float block_max(float x)
{
    SHARED(float, parts, [32]);
    const int warps = (int)blockDim.x / 32;

    x = warp_max(x);
    if (warps == 1)
        return x;
    __syncthreads();
    if (threadIdx.x % 32 == 0)
        parts[threadIdx.x / 32] = x;
    __syncthreads();
    x = parts[0];
    for (int i = 1; i < warps; i++)
        x = fmaxf(x, parts[i]);
    return x;
}

/* ---- V floats at once: 4 when everything lies on 16 bytes, else 1 ---- */
template <int V> struct floats {
    float v[V];
};

template <int V> static __device__ __forceinline__ floats<V> load(const float *p)
{
    floats<V> out;

    if (V == 4) {
        const float4 x = *reinterpret_cast<const float4 *>(p);

        out.v[0] = x.x;
        out.v[1 % V] = x.y;
        out.v[2 % V] = x.z;
        out.v[3 % V] = x.w;
    } else {
        out.v[0] = *p;
    }
    return out;
}

template <int V> static __device__ __forceinline__ void store(float *p, const floats<V> &x)
{
    if (V == 4)
        *reinterpret_cast<float4 *>(p) = make_float4(x.v[0], x.v[1 % V], x.v[2 % V], x.v[3 % V]);
    else
        *p = x.v[0];
}

static inline bool on_16(const void *p)
{
    return (uintptr_t)p % 16 == 0;
}

static inline unsigned blocks_for(int64_t n, int64_t each)
{
    return (unsigned)((n + each - 1) / each);
}

/* kernel<V>(…) over n elements, V at a time. */
#define LAUNCH_EACH(kernel, n, wide, stream, ...)                                                            \
    do {                                                                                                     \
        if (wide)                                                                                            \
            LAUNCH(kernel<4>, blocks_for(n, 4 * EACH), EACH, 0, stream, __VA_ARGS__);                        \
        else                                                                                                 \
            LAUNCH(kernel<1>, blocks_for(n, EACH), EACH, 0, stream, __VA_ARGS__);                            \
    } while (0)

static __device__ __forceinline__ int64_t each_index(int v)
{
    return ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) * v;
}

static __device__ __forceinline__ float round_bf16(float x)
{
    return __bfloat162float(__float2bfloat16(x));
}

/* Two floats as bf16 in one register, the first in the low half. */
static __device__ __forceinline__ uint32_t pair_bf16(float low, float high)
{
    union {
        bf16 half[2];
        uint32_t both;
    } u;

    u.half[0] = __float2bfloat16(low);
    u.half[1] = __float2bfloat16(high);
    return u.both;
}

/* rng.h's rng_hash. */
static __device__ __forceinline__ uint32_t mask_bits(uint64_t seed, uint64_t i)
{
    uint32_t x = (uint32_t)i * 0x9e3779b9u + (uint32_t)seed;

    x ^= (uint32_t)(seed >> 32) ^ (uint32_t)(i >> 32) * 0x85ebca6bu;
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    return x ^ x >> 16;
}

/* ---- elements of a matrix kept in any type ---- */
struct from_f32 {
    const float *p;
    __device__ __forceinline__ float get(int64_t i) const { return p[i]; }
    __device__ __forceinline__ void get8(int64_t i, float (&out)[8]) const
    {
        const floats<4> a = load<4>(p + i), b = load<4>(p + i + 4);

#pragma unroll
        for (int k = 0; k < 4; k++) {
            out[k] = a.v[k];
            out[k + 4] = b.v[k];
        }
    }
};

/* 16-bit types by T's conversion. */
static __device__ __forceinline__ float wide(bf16 x)
{
    return __bfloat162float(x);
}

static __device__ __forceinline__ float wide(__half x)
{
    return __half2float(x);
}

static __device__ __forceinline__ float wide(float x)
{
    return x;
}

static __device__ __forceinline__ void narrow(float *p, float x)
{
    *p = x;
}

static __device__ __forceinline__ void narrow(bf16 *p, float x)
{
    *p = __float2bfloat16(x);
}

static __device__ __forceinline__ void narrow(__half *p, float x)
{
    *p = __float2half(x);
}

template <class T> struct from_16 {
    const T *p;
    __device__ __forceinline__ float get(int64_t i) const { return wide(p[i]); }
    __device__ __forceinline__ void get8(int64_t i, float (&out)[8]) const
    {
        union {
            uint4 raw;
            T part[8];
        } u;

        u.raw = *reinterpret_cast<const uint4 *>(p + i);
#pragma unroll
        for (int k = 0; k < 8; k++)
            out[k] = wide(u.part[k]);
    }
};

struct from_quant {
    struct cuda_quant q;
    __device__ __forceinline__ float scale(int64_t block) const
    {
        if (!q.scales8)
            return q.scales[block];
        return q.dynamic[q.scales8[block]] * q.scales[block / 256] + *q.mean;
    }
    __device__ __forceinline__ float code(int64_t i) const
    {
        return q.table[q.half ? q.codes[i / 2] >> (i & 1 ? 0 : 4) & 15 : q.codes[i]];
    }
    __device__ __forceinline__ float get(int64_t i) const { return code(i) * scale(i / q.block); }
    /* i a multiple of 8, and blocks too */
    __device__ __forceinline__ void get8(int64_t i, float (&out)[8]) const
    {
        const float s = scale(i / q.block);

        if (q.half) {
            const uint32_t raw = *reinterpret_cast<const uint32_t *>(q.codes + i / 2);

#pragma unroll
            for (int k = 0; k < 8; k++)
                out[k] = q.table[raw >> (k / 2 * 8 + (k & 1 ? 0 : 4)) & 15] * s;
        } else {
            const uint2 raw = *reinterpret_cast<const uint2 *>(q.codes + i);

#pragma unroll
            for (int k = 0; k < 8; k++)
                out[k] = q.table[(k < 4 ? raw.x : raw.y) >> k % 4 * 8 & 255] * s;
        }
    }
};
#endif
