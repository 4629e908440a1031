/* kernels.h: the kernels of the CUDA backend as C functions: each launches on a stream and returns.
 *
 * What      one function for each kernel, or pair of kernels; operations take the structs of backend_args.h. Private
 *           to gpu/cuda. `stream` is a cudaStream_t.
 * Ownership everything is borrowed for the call; scratch is the caller's.
 * Units     elements unless said.
 * Errors    those of a launch are found by cuda_stream_sync.
 * Threads   as the backend.
 *
 * Example:
 *     struct swiglu_arg a = {0};
 *     kernel_swiglu_forward(NULL, &a);
 */
#ifndef LACUS_GPU_CUDA_KERNELS_H
#define LACUS_GPU_CUDA_KERNELS_H
#include "gpu/backend_args.h"
#ifdef __cplusplus
extern "C" {
#endif

struct CUstream_st;

/* A quantised matrix (quant.h), all of it on the device. */
struct cuda_quant {
    const float *table, *scales, *mean, *dynamic;
    const uint8_t *codes, *scales8;
    int64_t block;
    bool half;
};

/* c[m, n] = (add ? c : 0) + scale * a[m, k] b[k, n] + bias[n] */
struct cuda_product {
    int64_t m, n, k;
    const float *a;
    int64_t a_row, a_column; /* strides; one of them is 1 */
    const void *b;
    enum dtype b_type; /* quantised: `quant` is used */
    struct cuda_quant quant;
    int64_t b_row, b_column;
    float *c;
    int64_t c_row;
    const float *bias; /* or NULL */
    float scale;
    bool add, rounded; /* rounded: factors to bf16 */
};

enum {
    CUDA_ROWS_FEW = 8,  /* up to here kernel_product multiplies weights row by row */
    CUDA_PARTS = 512,   /* at most: of a sum over rows */
    CUDA_SQUARES = 1024 /* partial sums of kernel_sum_squares */
};
int64_t kernel_parts(int64_t rows); /* how many parts a sum over rows has: scratch of parts * width floats */
bool kernel_attention_fits(int64_t head_dim);

void kernel_product(struct CUstream_st *, const struct cuda_product *);
void kernel_merge(struct CUstream_st *, void *w, enum dtype type, const float *a, const float *b, int64_t out,
                  int64_t in, int64_t rank, float scale);
/* A whole quantised matrix of n elements as bf16 or f32. */
void kernel_dequantize(struct CUstream_st *, void *to, enum dtype to_type, const struct cuda_quant *,
                       int64_t n);

/* A matrix as 8-bit factors of products (fp8.h). */
struct cuda_eighths {
    const float *from; /* [rows, width] */
    int64_t rows, width;
    const float *factors; /* [width]; NULL: none */
    bool e5m2;
    uint8_t *codes; /* [rows, width], with */
    float *scales;  /* [rows] */
    float *values;  /* or, when not NULL, what is left of the numbers instead */
};
void kernel_fp8_rows(struct CUstream_st *, const struct cuda_eighths *);
/* to[j, i] = from[i, j]; both sides multiples of 4. ones[columns]: the scales of rows that have none. */
void kernel_fp8_turn(struct CUstream_st *, uint8_t *to, float *ones, const uint8_t *from, int64_t rows,
                     int64_t columns);
void kernel_add_columns(struct CUstream_st *, float *y, const float *x, int64_t rows,
                        int64_t width); /* y[i, j] += x[j] */

void kernel_convert(struct CUstream_st *, void *to, enum dtype to_type, const void *from,
                    enum dtype from_type, int64_t n);
void kernel_add(struct CUstream_st *, float *y, const float *x, float scale, int64_t n);
void kernel_dropout(struct CUstream_st *, const struct dropout_arg *, uint32_t threshold);
void kernel_swiglu_forward(struct CUstream_st *, const struct swiglu_arg *);
void kernel_swiglu_backward(struct CUstream_st *, const struct swiglu_arg *);
void kernel_adamw(struct CUstream_st *, const struct adamw_arg *);
void kernel_sum_squares(struct CUstream_st *, const float *x, int64_t n, double *parts);

void kernel_embed_forward(struct CUstream_st *, const struct embed_arg *);
void kernel_embed_backward(struct CUstream_st *, const struct embed_arg *);
void kernel_gather(struct CUstream_st *, float *y, const float *x, const int32_t *index, int64_t rows,
                   int64_t width);
void kernel_scatter(struct CUstream_st *, float *y, const float *x, const int32_t *index, int64_t rows,
                    int64_t width); /* y[index[i]] = x[i] */
void kernel_rope(struct CUstream_st *, const struct rope_arg *);
void kernel_column_sums(struct CUstream_st *, const float *x, int64_t rows, int64_t width, float *sums,
                        float *scratch); /* added to */

void kernel_norm_forward(struct CUstream_st *, const struct norm_arg *);
void kernel_norm_apply(struct CUstream_st *, const struct norm_arg *);
void kernel_norm_backward(struct CUstream_st *, const struct norm_arg *, float *scratch);

void kernel_dora_factors(struct CUstream_st *, const struct dora_arg *);
void kernel_dora_forward(struct CUstream_st *, const struct dora_arg *);
void kernel_dora_backward(struct CUstream_st *, const struct dora_arg *, float *scratch);

void kernel_attention_forward(struct CUstream_st *, const struct attention_arg *);
void kernel_attention_backward(struct CUstream_st *, const struct attention_arg *,
                               float *delta); /* [heads, rows] */
/* On tensor cores: factors in bf16, heads of 64 or 128. The two above choose them. */
bool kernel_attention_mma_fits(const struct attention_arg *, bool backward);
void kernel_attention_mma_forward(struct CUstream_st *, const struct attention_arg *);
void kernel_attention_mma_backward(struct CUstream_st *, const struct attention_arg *, const float *delta);
void kernel_attention_cached(struct CUstream_st *, const struct cached_attention_arg *);

/* Losses of the rows from..from + n, whose logits are in a->logits, which become their gradients when a->dx. */
void kernel_loss_rows(struct CUstream_st *, const struct loss_arg *, int64_t from, int64_t n);
void kernel_distill_rows(struct CUstream_st *, const struct distill_arg *, int64_t from, int64_t n);
#ifdef __cplusplus
}
#endif
#endif
