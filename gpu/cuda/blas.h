/* blas.h: matrix products by cuBLASLt, which is opened when it is there and not needed to build.
 *
 * What      products of f32, of bf16 or of 8-bit factors summed in f32, with a bias. A plan is kept for each shape: asking
 *           cuBLASLt for one costs more than a launch. Private to gpu/cuda.
 * Ownership blas_open → blas_close. The workspace is the caller's, and belongs to one stream.
 * Units     elements; bytes for the workspace.
 * Errors    blas_product answers false when cuBLASLt has nothing for the shape: the caller has kernels of its own.
 * Threads   one at a time.
 *
 * Example:
 *     char why[256];
 *     struct blas *b = blas_open(why, sizeof why);
 *     if (!b)
 *         puts(why);
 *     blas_close(b);
 */
#ifndef LACUS_GPU_CUDA_BLAS_H
#define LACUS_GPU_CUDA_BLAS_H
#include "gpu/dtype.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct blas;
struct CUstream_st;

enum { BLAS_WORKSPACE = 64 << 20 };

/* c[m, n] = beta * c + alpha * a[m, k] b[k, n] + bias[n], all row-major; a matrix "on its side" is stored transposed.
 * Both factors are of `type`, f32 or bf16; c and bias are f32. DTYPE_FP8: a is as it lies and b on its side, there is no
 * bias, and row i of a is times a_scales[i], column j of b times b_scales[j]. */
struct blas_call {
    int64_t m, n, k;
    const void *a, *b;
    enum dtype type;
    bool a_e5m2;                      /* of DTYPE_FP8: a is e5m2; else e4m3, as b */
    const float *a_scales, *b_scales; /* of DTYPE_FP8 */
    bool a_side, b_side;
    int64_t a_row, b_row, c_row; /* distance of stored rows */
    float *c;
    const float *bias; /* or NULL */
    float alpha, beta;
    void *workspace; /* BLAS_WORKSPACE bytes on the device */
};

struct blas *blas_open(char *why, size_t size); /* NULL: not there, `why` says so */
void blas_close(struct blas *b);                /* NULL is fine */
int blas_version(const struct blas *b);         /* 130400 is 13.4.0 */
bool blas_product(struct blas *b, struct CUstream_st *stream, const struct blas_call *call);
#endif
