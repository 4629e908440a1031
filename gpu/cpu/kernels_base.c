/* kernels_base.c: the kernels for whatever the compiler targets by default. */
#define KERNELS kernels_base
#define ISA     "portable vectors"
#define MR      6
#define NV      2
#include "gpu/cpu/kernels_body.inc"

static bool has_avx512(void)
{
#ifdef __x86_64__
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#else
    return false;
#endif
}

static bool has_avx512bf16(void)
{
#ifdef __x86_64__
    return has_avx512() && __builtin_cpu_supports("avx512bf16");
#else
    return false;
#endif
}

static bool has_avx2(void)
{
#ifdef __x86_64__
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return false;
#endif
}

static bool always(void)
{
    return true;
}

const struct kernels *kernels_choose(const char *name)
{
    static const struct {
        const char *name;
        bool (*usable)(void);
        const struct kernels *kernels;
    } rows[] = {{"avx512bf16", has_avx512bf16, &kernels_avx512bf16},
                {"avx512", has_avx512, &kernels_avx512},
                {"avx2", has_avx2, &kernels_avx2},
                {"base", always, &kernels_base}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) /* best first */
        if ((!name || strcmp(name, rows[i].name) == 0) && rows[i].usable())
            return rows[i].kernels;
    return NULL;
}

size_t gemm_scratch(const struct kernels *k, int64_t tile_n)
{
    return (size_t)(GEMM_K * (tile_n + k->nr) + (GEMM_K + 64) * GROUP * k->mr + k->nr * EXPANDED + 64);
}
