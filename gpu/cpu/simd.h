/* simd.h: one vector type, as wide as the instruction set that a file is compiled for; GCC's vector
 * extensions, so that the same text serves AVX-512, AVX2, and whatever else the compiler knows.
 *
 * Ownership none.
 * Units     LANES floats.
 * Errors    none.
 * Threads   any.
 *
 * Example:
 *     vf x = v_load(p);
 *     v_store(p, x * x);
 */
#ifndef LACUS_GPU_CPU_SIMD_H
#define LACUS_GPU_CPU_SIMD_H
#include <stdint.h>
#include <string.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX2__)
#define LANES 8
#else
#define LANES 4
#endif

typedef float vf __attribute__((vector_size(LANES * 4)));
typedef int32_t vi __attribute__((vector_size(LANES * 4)));
typedef uint32_t vu __attribute__((vector_size(LANES * 4)));
typedef float vf_unaligned __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef float vf_halves __attribute__((vector_size(LANES * 4), aligned(2), may_alias));

static inline vf v_load(const float *p)
{
    return *(const vf_unaligned *)p;
}

/* 2 LANES of bf16 as they lie: a pair in each lane. */
static inline vf v_load_pairs(const uint16_t *p)
{
    return *(const vf_halves *)p;
}

static inline void v_store(float *p, vf x)
{
    *(vf_unaligned *)p = x;
}

/* The first n lanes, n < LANES; the others 0. */
static inline vf v_load_n(const float *p, int64_t n)
{
#if defined(__AVX512F__)
    return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#else
    vf x = {0};

    memcpy(&x, p, (size_t)n * sizeof *p);
    return x;
#endif
}

static inline void v_store_n(float *p, vf x, int64_t n)
{
#if defined(__AVX512F__)
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), x);
#else
    memcpy(p, &x, (size_t)n * sizeof *p);
#endif
}

static inline vf v_set(float x)
{
    return (vf){0} + x;
}

/* x stays in a register instead of being read again where it is used. */
#if defined(__AVX512F__)
#define V_KEEP(x) __asm__("" : "+v"(x))
#else
#define V_KEEP(x) (void)(x)
#endif

/* *p in every lane, bit by bit. */
static inline vf v_splat(const float *p)
{
#if defined(__AVX512F__)
    return _mm512_set1_ps(*p);
#else
    return *p - (vf){0};
#endif
}

static inline vf v_pick(vi mask, vf yes, vf no)
{
    return (vf)((mask & (vi)yes) | (~mask & (vi)no));
}

static inline vf v_max(vf a, vf b)
{
#if defined(__AVX512F__)
    return _mm512_max_ps(a, b);
#elif defined(__AVX2__)
    return _mm256_max_ps(a, b);
#else
    return v_pick(a > b, a, b);
#endif
}

static inline vf v_sqrt(vf x)
{
#if defined(__AVX512F__)
    return _mm512_sqrt_ps(x);
#elif defined(__AVX2__)
    return _mm256_sqrt_ps(x);
#else
    for (int i = 0; i < LANES; i++)
        x[i] = __builtin_sqrtf(x[i]);
    return x;
#endif
}

/* The first n lanes of x (n of 1 .. LANES), the others `rest`. */
static inline vf v_first(vf x, int64_t n, float rest)
{
    vi lane;

    for (int i = 0; i < LANES; i++)
        lane[i] = i;
    return v_pick(lane < (vi){0} + (int32_t)n, x, v_set(rest));
}

static inline float v_sum(vf x)
{
#if defined(__AVX512F__)
    return _mm512_reduce_add_ps(x); /* by halves, too */
#else
    float lane[LANES];

    memcpy(lane, &x, sizeof x);
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            lane[i] += lane[i + half];
    return lane[0];
#endif
}

static inline float v_most(vf x)
{
    float lane[LANES], most;

    memcpy(lane, &x, sizeof x);
    most = lane[0];
    for (int i = 1; i < LANES; i++)
        most = lane[i] > most ? lane[i] : most;
    return most;
}

static inline vf v_min(vf a, vf b)
{
#if defined(__AVX512F__)
    return _mm512_min_ps(a, b);
#elif defined(__AVX2__)
    return _mm256_min_ps(a, b);
#else
    return v_pick(a < b, a, b);
#endif
}

/* x 2^n for whole n */
static inline vf v_scale2(vf x, vf n)
{
#if defined(__AVX512F__)
    return _mm512_scalef_ps(x, n);
#else
    return (vf)((vi)x + (__builtin_convertvector(n, vi) << 23));
#endif
}

/* e^x to about 2 units in the last place; x is clamped to [-87.3, 88.4]. Coefficients: Cephes' expf (Moshier 1992). */
static inline vf v_exp(vf x)
{
    const vf magic = v_set(12582912.0f);
    vf n, r, y;

    x = v_min(v_set(88.4f), v_max(v_set(-87.3f), x)); /* in this order a NaN stays one */
    n = (x * 1.44269504088896341f + magic) - magic;
    r = x - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    y = v_set(1.9875691500e-4f);
    y = y * r + 1.3981999507e-3f;
    y = y * r + 8.3334519073e-3f;
    y = y * r + 4.1665795894e-2f;
    y = y * r + 1.6666665459e-1f;
    y = y * r + 5.0000001201e-1f;
    y = y * r * r + r + 1.0f;
    return v_scale2(y, n);
}

/* LANES bf16 numbers as f32. */
static inline vf v_load_bf16(const uint16_t *p)
{
#if defined(__AVX512F__)
    return (vf)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)p)), 16);
#elif defined(__AVX2__)
    return (vf)_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)p)), 16);
#else
    vu wide;

    for (int i = 0; i < LANES; i++)
        wide[i] = (uint32_t)p[i] << 16;
    return (vf)wide;
#endif
}

/* To the nearest bf16, ties to even, kept as f32. */
static inline vf v_round_bf16(vf x)
{
    vu u = (vu)x;
    vu r = (u + 0x7fffu + (u >> 16 & 1u)) & 0xffff0000u;

    return v_pick(x == x, (vf)r, x);
}
#endif
