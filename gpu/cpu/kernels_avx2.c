/* kernels_avx2.c: the kernels for processors with AVX2 and FMA. */
#ifdef __AVX2__
#define KERNELS kernels_avx2
#define ISA     "AVX2"
#define MR      6
#define NV      2
#include "gpu/cpu/kernels_body.inc"
#else
#include "gpu/cpu/kernels.h"
const struct kernels kernels_avx2; /* another processor family: never chosen */
#endif
