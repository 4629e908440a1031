/* kernels_base.c: the kernels for whatever the compiler targets by default. */
#define KERNELS kernels_base
#define ISA     "portable vectors"
#define MR      6
#define NV      2
#include "gpu/cpu/kernels_body.inc"

const struct kernels *kernels_choose(void)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return &kernels_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return &kernels_avx2;
#endif
    return &kernels_base;
}

size_t gemm_scratch(const struct kernels *k, int64_t tile_m, int64_t tile_n)
{
    return (size_t)(GEMM_K * (tile_m + k->mr + tile_n + k->nr) + 2 * LANES);
}
