/* fp8.cu: matrices as 8-bit factors of products: rounded by rows with a scale each, and turned on their side. */
#include "gpu/cuda/device.cuh"
#ifndef CUDA_EMULATED
#include <cuda_fp8.h>
#endif

enum { SIDE = 64, QUADS = SIDE / 4 };

/* As fp8.c has them. */
template <bool E5M2> struct format {
    static constexpr int DIGITS = E5M2 ? 2 : 3, BIAS = E5M2 ? 15 : 7;
    static constexpr uint32_t MOST = E5M2 ? 0x7b : 0x7e;
    static constexpr float LARGEST = E5M2 ? 57344.0f : 448.0f;
};

union word {
    float f;
    uint32_t u;
};

static __device__ __forceinline__ float power_of_two(int e)
{
    word w;

    w.u = (uint32_t)(e + 127) << 23;
    return w.f;
}

/* To nearest, ties to even; too large becomes the largest, a NaN stays one. */
template <bool E5M2> static __device__ __forceinline__ uint32_t code_of(float x)
{
#if !defined(CUDA_EMULATED) && defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 890
    return __nv_cvt_float_to_fp8(x, __NV_SATFINITE, E5M2 ? __NV_E5M2 : __NV_E4M3);
#else
    using F = format<E5M2>;
    word w;

    w.f = x;
    const uint32_t sign = w.u >> 24 & 0x80, u = w.u & 0x7fffffffu;
    const float magnitude = fabsf(x);

    if (u > 0x7f800000u)
        return sign | 0x7f;
    if (magnitude >= F::LARGEST)
        return sign | F::MOST;
    if (magnitude < power_of_two(1 - F::BIAS)) /* below the normal numbers they lie evenly */
        return sign | (uint32_t)rintf(magnitude * power_of_two(F::BIAS - 1 + F::DIGITS));
    const uint32_t up = u + ((1u << (22 - F::DIGITS)) - 1) + (u >> (23 - F::DIGITS) & 1);

    return sign | ((up >> (23 - F::DIGITS)) - ((uint32_t)(127 - F::BIAS) << F::DIGITS));
#endif
}

template <bool E5M2> static __device__ __forceinline__ float value_of(uint32_t code)
{
    using F = format<E5M2>;
    const int exponent = (int)(code >> F::DIGITS & (0x7fu >> F::DIGITS)),
              digits = (int)(code & ((1u << F::DIGITS) - 1));
    const float magnitude =
        exponent ? (float)((1 << F::DIGITS) + digits) * power_of_two(exponent - F::BIAS - F::DIGITS)
                 : (float)digits * power_of_two(1 - F::BIAS - F::DIGITS);

    if ((code & 0x7f) > F::MOST)
        return NAN;
    return code & 0x80 ? -magnitude : magnitude;
}

/* A block for each row: its scale, then its codes, or (`values`) what is left of its numbers. */
template <bool E5M2, int V>
__global__ void __launch_bounds__(EACH) fp8_rows(const float *from, int64_t width, const float *factors,
                                                 uint8_t *codes, float *scales, float *values)
{
    const int64_t at = (int64_t)blockIdx.x * width;
    float most = 0, scale;

    for (int64_t i = (int64_t)threadIdx.x * V; i < width; i += EACH * V) {
        const floats<V> x = load<V>(from + at + i);

#pragma unroll
        for (int k = 0; k < V; k++)
            most = fmaxf(most, fabsf(factors ? x.v[k] * factors[i + k] : x.v[k]));
    }
    scale = block_max(most) / format<E5M2>::LARGEST;
    for (int64_t i = (int64_t)threadIdx.x * V; i < width; i += EACH * V) {
        const floats<V> x = load<V>(from + at + i);
        uint32_t packed = 0;

#pragma unroll
        for (int k = 0; k < V; k++) {
            const float factor = factors ? factors[i + k] : 1.0f;
            const uint32_t code = code_of<E5M2>(scale > 0       ? x.v[k] * factor / scale
                                                : isnan(x.v[k]) ? x.v[k]
                                                                : 0.0f);

            packed |= code << 8 * k;
            if (values)
                values[at + i + k] = factor != 0 ? value_of<E5M2>(code) * scale / factor : 0.0f;
        }
        if (values)
            continue;
        if (V == 4)
            *reinterpret_cast<uint32_t *>(codes + at + i) = packed;
        else
            codes[at + i] = (uint8_t)packed;
    }
    if (!values && threadIdx.x == 0)
        scales[blockIdx.x] = scale;
}

template <bool E5M2>
static void rows(cudaStream_t stream, const float *from, int64_t n, int64_t width, const float *factors,
                 uint8_t *codes, float *scales, float *values)
{
    if (width % 4 == 0 && on_16(from))
        LAUNCH((fp8_rows<E5M2, 4>), (unsigned)n, EACH, 0, stream, from, width, factors, codes, scales,
               values);
    else
        LAUNCH((fp8_rows<E5M2, 1>), (unsigned)n, EACH, 0, stream, from, width, factors, codes, scales,
               values);
}

void kernel_fp8_rows(cudaStream_t stream, const struct cuda_eighths *e)
{
    if (e->e5m2)
        rows<true>(stream, e->from, e->rows, e->width, e->factors, e->codes, e->scales, e->values);
    else
        rows<false>(stream, e->from, e->rows, e->width, e->factors, e->codes, e->scales, e->values);
}

/* to[j][i] = from[i][j]: tiles of 64 x 64, four bytes at a time on both ways. */
__global__ void __launch_bounds__(EACH)
    fp8_turn(uint8_t *to, float *ones, const uint8_t *from, int64_t rows, int64_t columns)
{
    SHARED(__align__(4) uint8_t, tile, [SIDE][SIDE + 4]);
    const int64_t row0 = (int64_t)blockIdx.y * SIDE, column0 = (int64_t)blockIdx.x * SIDE;

    if (blockIdx.y == 0 && threadIdx.x < SIDE && column0 + threadIdx.x < columns)
        ones[column0 + threadIdx.x] = 1;

    for (int i = (int)threadIdx.x; i < SIDE * QUADS; i += EACH) {
        const int r = i / QUADS, c = i % QUADS * 4;

        if (row0 + r < rows && column0 + c < columns)
            *reinterpret_cast<uint32_t *>(&tile[r][c]) =
                *reinterpret_cast<const uint32_t *>(from + (row0 + r) * columns + column0 + c);
    }
    __syncthreads();
    for (int i = (int)threadIdx.x; i < SIDE * QUADS; i += EACH) {
        const int c = i / QUADS, r = i % QUADS * 4;
        uint32_t four = 0;

        if (row0 + r >= rows || column0 + c >= columns)
            continue;
#pragma unroll
        for (int k = 0; k < 4; k++)
            four |= (uint32_t)tile[r + k][c] << 8 * k;
        *reinterpret_cast<uint32_t *>(to + (column0 + c) * rows + row0 + r) = four;
    }
}

void kernel_fp8_turn(cudaStream_t stream, uint8_t *to, float *ones, const uint8_t *from, int64_t rows,
                     int64_t columns)
{
    LAUNCH(fp8_turn, dim3(blocks_for(columns, SIDE), blocks_for(rows, SIDE)), EACH, 0, stream, to, ones, from,
           rows, columns);
}

__global__ void __launch_bounds__(EACH) add_columns(float *y, const float *x, int64_t n, int64_t width)
{
    const int64_t i = each_index(1);

    if (i < n)
        y[i] += x[i % width];
}

void kernel_add_columns(cudaStream_t stream, float *y, const float *x, int64_t n, int64_t width)
{
    LAUNCH(add_columns, blocks_for(n * width, EACH), EACH, 0, stream, y, x, n * width, width);
}
