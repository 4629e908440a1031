/* kernels_avx512bf16.c: the kernels for processors with AVX-512 F, BW, DQ, VL and BF16. */
#ifdef __AVX512BF16__
#define KERNELS kernels_avx512bf16
#define ISA     "AVX-512 with BF16"
#define MR      14
#define NV      2
#include "gpu/cpu/kernels_body.inc"
#else
#include "gpu/cpu/kernels.h"
const struct kernels kernels_avx512bf16; /* another processor family: never chosen */
#endif
