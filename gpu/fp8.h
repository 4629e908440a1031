/* fp8.h: numbers of 8 bits as factors of a product: e4m3 for what goes forward, e5m2 for gradients.
 *
 * What      rows are rounded with a scale each, largest magnitude / largest number, so that every row uses the whole
 *           range (per-row scaling of Micikevicius et al. 2022, arXiv:2209.05433). A column may have a factor that
 *           belongs to the other side of the product: it is multiplied in before rounding and taken out after, so that
 *           what is left of x is what a product of the 8-bit numbers sees.
 * Ownership none.
 * Units     elements.
 * Errors    none. Numbers too large become the largest; a NaN stays one.
 * Threads   any.
 *
 * Example:
 *     float x[2] = {1, 0.3f}, scale = fp8_scale(FP8_E4M3, x, NULL, 2);
 *     x[1] = fp8_left(FP8_E4M3, x[1], 1, scale);
 */
#ifndef LACUS_GPU_FP8_H
#define LACUS_GPU_FP8_H
#include <stdint.h>

enum fp8 { FP8_E4M3, FP8_E5M2 };

float fp8_nearest(enum fp8 kind, float x); /* ties to even */
uint8_t fp8_code(enum fp8 kind, float x);  /* the byte that says so */
float fp8_largest(enum fp8 kind);
/* Of a row of n; factors NULL: all are 1. */
float fp8_scale(enum fp8 kind, const float *x, const float *factors, int64_t n);
/* What is left of x after rounding x * factor / scale; 0 where the factor is. */
float fp8_left(enum fp8 kind, float x, float factor, float scale);
#endif
