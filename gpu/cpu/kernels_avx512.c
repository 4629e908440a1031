/* kernels_avx512.c: the kernels for processors with AVX-512 F, BW, DQ and VL. */
#ifdef __AVX512F__
#define KERNELS kernels_avx512
#define ISA     "AVX-512"
#define MR      14
#define NV      2
#include "gpu/cpu/kernels_body.inc"
#else
#include "gpu/cpu/kernels.h"
const struct kernels kernels_avx512; /* another processor family: never chosen */
#endif
