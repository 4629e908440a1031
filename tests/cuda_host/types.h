/* types.h: the few names of vector_types.h and cuda_bf16.h that kernels use, for a machine without the CUDA toolkit. */
#ifndef LACUS_TESTS_CUDA_HOST_TYPES_H
#define LACUS_TESTS_CUDA_HOST_TYPES_H
#include <math.h>
#include <stdint.h>
#include <string.h>

struct uint3 {
    unsigned x, y, z;
};
struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(8) float2 {
    float x, y;
};
struct alignas(8) uint2 {
    unsigned x, y;
};
struct alignas(16) uint4 {
    unsigned x, y, z, w;
};

static inline float4 make_float4(float x, float y, float z, float w)
{
    return {x, y, z, w};
}

static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w)
{
    return {x, y, z, w};
}

struct alignas(2) __nv_bfloat16 {
    uint16_t bits;
};
struct alignas(2) __half {
    uint16_t bits;
};

/* To nearest, ties to even; a NaN stays a NaN. */
static inline __nv_bfloat16 __float2bfloat16(float f)
{
    uint32_t u;

    memcpy(&u, &f, 4);
    if (f != f)
        return {(uint16_t)(u >> 16 | 0x40)};
    return {(uint16_t)((u + 0x7fffu + (u >> 16 & 1u)) >> 16)};
}

static inline float __bfloat162float(__nv_bfloat16 h)
{
    uint32_t u = (uint32_t)h.bits << 16;
    float f;

    memcpy(&f, &u, 4);
    return f;
}

static inline float __half2float(__half h)
{
    int exponent = h.bits >> 10 & 31, mantissa = h.bits & 1023;
    float a = exponent == 31 ? (mantissa ? NAN : INFINITY)
              : exponent     ? ldexpf((float)(1024 + mantissa), exponent - 25)
                             : ldexpf((float)mantissa, -24);

    return h.bits & 0x8000 ? -a : a;
}

static inline __half __float2half(float f)
{
    uint16_t sign = signbit(f) ? 0x8000 : 0;
    float a = fabsf(f);
    int e;

    if (f != f)
        return {(uint16_t)(sign | 0x7e00)};
    if (a >= 65520.0f)
        return {(uint16_t)(sign | 0x7c00)};
    e = a < 0x1p-14f ? -14 : ilogbf(a); /* below 2^-14 the spacing stays 2^-24 */
    return {(uint16_t)(sign | ((unsigned)nearbyintf(ldexpf(a, 10 - e)) +
                               (a < 0x1p-14f ? 0u : (unsigned)(e + 14) << 10)))};
}
#endif
