/* blas_api.h: the part of cuBLASLt's interface that blas.c calls.
 *
 * What      functions found at run time, so that its headers are not needed. Names and numbers are those of
 *           NVIDIA's cublasLt.h, whose values are part of its stable ABI. Private to gpu/cuda.
 * Ownership the library stays open.
 * Units     as cuBLASLt's: column-major, elements.
 * Errors    statuses as ints, 0 is success; blas_load says why in a text.
 * Threads   any.
 *
 * Example:
 *     struct blas_api lt;
 *     char why[256];
 *     if (blas_load(&lt, why, sizeof why) != 0)
 *         puts(why);
 */
#ifndef LACUS_GPU_CUDA_BLAS_API_H
#define LACUS_GPU_CUDA_BLAS_API_H
#include <stddef.h>
#include <stdint.h>

struct CUstream_st;

enum {
    LT_R_32F = 0,
    LT_R_16BF = 14,
    LT_R_E4M3 = 28,
    LT_R_E5M2 = 29,
    LT_COMPUTE_32F = 68,
    LT_OP_N = 0,
    LT_OP_T = 1,
    LT_EPILOGUE_BIAS = 4
};
enum { LT_DESC_TRANSA = 3, LT_DESC_TRANSB = 4, LT_DESC_EPILOGUE = 7, LT_DESC_BIAS_POINTER = 8 };
/* Scales of 8-bit factors: with LT_SCALE_OUTER a vector of f32, one for each row of the first and column of the second
 * factor of the product (since 12.9, on Hopper). */
enum { LT_DESC_A_SCALE = 17, LT_DESC_B_SCALE = 18, LT_DESC_A_SCALE_MODE = 31, LT_DESC_B_SCALE_MODE = 32 };
enum { LT_SCALE_OUTER = 3 };
enum { LT_PREFER_WORKSPACE = 1 };

struct lt_algorithm { /* cublasLtMatmulAlgo_t */
    uint64_t data[8];
};

struct lt_heuristic { /* cublasLtMatmulHeuristicResult_t */
    struct lt_algorithm algorithm;
    size_t workspace;
    int state;
    float waves;
    int reserved[4];
};

struct blas_api { /* statuses: 0 is success */
    int (*create)(void **handle);
    int (*destroy)(void *handle);
    size_t (*version)(void);
    int (*desc_create)(void **desc, int compute, int scale_type);
    int (*desc_destroy)(void *desc);
    int (*desc_set)(void *desc, int attribute, const void *value, size_t size);
    int (*layout_create)(void **layout, int type, uint64_t rows, uint64_t columns, int64_t distance);
    int (*layout_destroy)(void *layout);
    int (*prefer_create)(void **preference);
    int (*prefer_destroy)(void *preference);
    int (*prefer_set)(void *preference, int attribute, const void *value, size_t size);
    int (*heuristic)(void *handle, void *desc, void *a, void *b, void *c, void *d, void *preference,
                     int wanted, struct lt_heuristic *results, int *found);
    int (*matmul)(void *handle, void *desc, const void *alpha, const void *a, void *a_layout, const void *b,
                  void *b_layout, const void *beta, const void *c, void *c_layout, void *d, void *d_layout,
                  const struct lt_algorithm *, void *workspace, size_t workspace_bytes, struct CUstream_st *);
};

/* Fills the table: blas_load.c from libcublasLt; the host emulation with its own. 0, or why not is in the text. */
int blas_load(struct blas_api *out, char *why, size_t size);
#endif
