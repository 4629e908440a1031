#include "gpu/dtype.h"
#include <math.h>
#include <string.h>

static const struct {
    const char *torch, *brief;
    size_t size;
} TYPES[DTYPE_COUNT] = {
    [DTYPE_NONE] = {"none", "none", 0},
    [DTYPE_F32] = {"float32", "f32", 4},
    [DTYPE_BF16] = {"bfloat16", "bf16", 2},
    [DTYPE_F16] = {"float16", "f16", 2},
    [DTYPE_NF4] = {"nf4", "nf4", 0},
    [DTYPE_NF4_DOUBLE] = {"nf4 with double quantization", "nf4_double", 0},
    [DTYPE_FP4] = {"fp4", "fp4", 0},
    [DTYPE_FP4_DOUBLE] = {"fp4 with double quantization", "fp4_double", 0},
    [DTYPE_INT8] = {"int8", "int8", 0},
    [DTYPE_FP8] = {"float8_e4m3fn", "fp8", 0},
};

size_t dtype_size(enum dtype t)
{
    return TYPES[t].size;
}

const char *dtype_torch(enum dtype t)
{
    return TYPES[t].torch;
}

enum dtype dtype_from_torch(const char *name)
{
    if (strncmp(name, "torch.", 6) == 0)
        name += 6;
    for (int t = 1; t < DTYPE_COUNT; t++)
        if (strcmp(name, TYPES[t].torch) == 0 || strcmp(name, TYPES[t].brief) == 0)
            return (enum dtype)t;
    return DTYPE_NONE;
}

static uint32_t bits_of(float x)
{
    uint32_t u;

    memcpy(&u, &x, sizeof u);
    return u;
}

static float float_of(uint32_t u)
{
    float x;

    memcpy(&x, &u, sizeof x);
    return x;
}

uint16_t dtype_bf16(float x)
{
    uint32_t u = bits_of(x);

    if ((u & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(u >> 16 | 0x40); /* NaN stays one */
    return (uint16_t)((u + 0x7fffu + (u >> 16 & 1)) >> 16);
}

float dtype_from_bf16(uint16_t x)
{
    return float_of((uint32_t)x << 16);
}

float dtype_from_f16(uint16_t x)
{
    uint32_t sign = (uint32_t)(x & 0x8000u) << 16, exponent = x >> 10 & 31u, mantissa = x & 1023u;

    if (exponent == 0)
        return (sign ? -1.0f : 1.0f) * ldexpf((float)mantissa, -24);
    if (exponent == 31)
        return float_of(sign | 0x7f800000u | mantissa << 13);
    return float_of(sign | (exponent + 112) << 23 | mantissa << 13);
}

uint16_t dtype_f16(float x)
{
    uint32_t u = bits_of(x), sign = u >> 16 & 0x8000u, magnitude = u & 0x7fffffffu;

    if (magnitude > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u);
    if (magnitude >= 0x477ff000u) /* rounds to 65536 or more */
        return (uint16_t)(sign | 0x7c00u);
    if (magnitude < 0x38800000u) /* subnormal: units of 2^-24; nearbyint rounds ties to even */
        return (uint16_t)(sign | (uint32_t)nearbyintf(ldexpf(float_of(magnitude), 24)));
    magnitude += 0xfffu + (magnitude >> 13 & 1);
    return (uint16_t)(sign | (magnitude - (112u << 23)) >> 13);
}

void dtype_to_f32(float *to, const void *from, enum dtype from_type, size_t n)
{
    const unsigned char *bytes = from;
    uint16_t half;

    if (from_type == DTYPE_F32) {
        memcpy(to, from, n * sizeof *to);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        memcpy(&half, bytes + 2 * i, 2); /* files may be unaligned */
        to[i] = from_type == DTYPE_BF16 ? dtype_from_bf16(half) : dtype_from_f16(half);
    }
}

void dtype_from_f32(void *to, enum dtype to_type, const float *from, size_t n)
{
    unsigned char *bytes = to;
    uint16_t half;

    if (to_type == DTYPE_F32) {
        memcpy(to, from, n * sizeof *from);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        half = to_type == DTYPE_BF16 ? dtype_bf16(from[i]) : dtype_f16(from[i]);
        memcpy(bytes + 2 * i, &half, 2);
    }
}
