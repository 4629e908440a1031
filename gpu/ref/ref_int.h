/* ref_int.h: the operations of the reference backend, one file per family; ref.c lists them. Sums are kept in
 * double and run in the order of the index. */
#ifndef LACUS_GPU_REF_INT_H
#define LACUS_GPU_REF_INT_H
#include "gpu/backend.h"

void ref_linear_forward(void *, struct backend_stream *, const struct linear_arg *);
void ref_linear_backward(void *, struct backend_stream *, const struct linear_arg *);
void ref_loss(void *, struct backend_stream *, const struct loss_arg *);
void ref_merge(void *, struct backend_stream *, void *w, enum dtype, const float *a, const float *b,
               int64_t out, int64_t in, int64_t rank, float scale);
void ref_attention_forward(void *, struct backend_stream *, const struct attention_arg *);
void ref_attention_backward(void *, struct backend_stream *, const struct attention_arg *);
void ref_attention_cached(void *, struct backend_stream *, const struct cached_attention_arg *);
void ref_embed_forward(void *, struct backend_stream *, const struct embed_arg *);
void ref_embed_backward(void *, struct backend_stream *, const struct embed_arg *);
void ref_norm_forward(void *, struct backend_stream *, const struct norm_arg *);
void ref_norm_backward(void *, struct backend_stream *, const struct norm_arg *);
void ref_norm_apply(void *, struct backend_stream *, const struct norm_arg *);
void ref_rope(void *, struct backend_stream *, const struct rope_arg *);
void ref_swiglu_forward(void *, struct backend_stream *, const struct swiglu_arg *);
void ref_swiglu_backward(void *, struct backend_stream *, const struct swiglu_arg *);
void ref_adamw(void *, struct backend_stream *, const struct adamw_arg *);
void ref_dropout(void *, struct backend_stream *, const struct dropout_arg *);
void ref_add(void *, struct backend_stream *, float *y, const float *x, float scale, int64_t n);
void ref_sum_squares(void *, struct backend_stream *, const float *x, int64_t n, double *out);
void ref_distill(void *, struct backend_stream *, const struct distill_arg *);
void ref_dora_factors(void *, struct backend_stream *, const struct dora_arg *);
void ref_dora_forward(void *, struct backend_stream *, const struct dora_arg *);
void ref_dora_backward(void *, struct backend_stream *, const struct dora_arg *);
void ref_gather(void *, struct backend_stream *, float *y, const float *x, const int32_t *index, int64_t rows,
                int64_t width);
#endif
