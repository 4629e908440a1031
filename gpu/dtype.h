/* dtype.h: the number formats of weights and files.
 *
 * What      f32 and the 16-bit formats, their names in config.json, and conversion
 *           (bf16: round to nearest, ties to even; NaN stays NaN).
 * Ownership none.
 * Units     bytes, elements.
 * Errors    DTYPE_NONE for an unknown name.
 * Threads   any.
 *
 * Example:
 *     enum dtype t = dtype_from_torch("bfloat16");
 *     size_t bytes = 10 * dtype_size(t);
 */
#ifndef LACUS_GPU_DTYPE_H
#define LACUS_GPU_DTYPE_H
#include <stddef.h>
#include <stdint.h>

enum dtype {
    DTYPE_NONE,
    DTYPE_F32,
    DTYPE_BF16,
    DTYPE_F16,
    DTYPE_NF4, /* from here on: quantised matrices, quant.h */
    DTYPE_NF4_DOUBLE,
    DTYPE_FP4,
    DTYPE_FP4_DOUBLE,
    DTYPE_INT8,
    DTYPE_FP8,
    DTYPE_COUNT
};

size_t dtype_size(enum dtype t);               /* 0 for the quantised ones */
const char *dtype_torch(enum dtype t);         /* "float32" */
enum dtype dtype_from_torch(const char *name); /* also "f32", "bf16", "torch.float32" */
uint16_t dtype_bf16(float x);
float dtype_from_bf16(uint16_t x);
uint16_t dtype_f16(float x);
float dtype_from_f16(uint16_t x);
void dtype_to_f32(float *to, const void *from, enum dtype from_type, size_t n);
void dtype_from_f32(void *to, enum dtype to_type, const float *from, size_t n);
#endif
