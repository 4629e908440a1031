/* product.cu: matrix products of our own: of weights kept in any type, and of everything where cuBLASLt is missing. */
#include "gpu/cuda/device.cuh"

enum { TILE = 64, DEEP = 16, SIDE = 16, OWN = TILE / SIDE, PAD = 4 };

/* A tile of 64 x 64 by 256 threads, 4 x 4 each. The sum over k runs in parts of 16, which keeps its error small. */
template <class B> __global__ void __launch_bounds__(SIDE *SIDE) product_tiles(struct cuda_product p, B b)
{
    SHARED(__align__(16) float, ta, [DEEP][TILE + PAD]);
    SHARED(__align__(16) float, tb, [DEEP][TILE + PAD]);
    const int64_t row0 = (int64_t)blockIdx.y * TILE, column0 = (int64_t)blockIdx.x * TILE;
    const int tid = (int)threadIdx.x, x = tid % SIDE, y = tid / SIDE;
    float sum[OWN][OWN] = {};

    for (int64_t k0 = 0; k0 < p.k; k0 += DEEP) {
        for (int i = tid; i < TILE * DEEP; i += SIDE * SIDE) { /* neighbours read what lies together */
            const int ma = p.a_column == 1 ? i / DEEP : i % TILE, ka = p.a_column == 1 ? i % DEEP : i / TILE;
            const int nb = p.b_column == 1 ? i % TILE : i / DEEP, kb = p.b_column == 1 ? i / TILE : i % DEEP;
            const bool in_a = row0 + ma < p.m && k0 + ka < p.k, in_b = column0 + nb < p.n && k0 + kb < p.k;
            const float va = in_a ? p.a[(row0 + ma) * p.a_row + (k0 + ka) * p.a_column] : 0.0f;
            const float vb = in_b ? b.get((k0 + kb) * p.b_row + (column0 + nb) * p.b_column) : 0.0f;

            ta[ka][ma] = p.rounded ? round_bf16(va) : va;
            tb[kb][nb] = p.rounded ? round_bf16(vb) : vb;
        }
        __syncthreads();
        float part[OWN][OWN] = {};
#pragma unroll
        for (int k = 0; k < DEEP; k++) {
            const floats<4> u = load<4>(&ta[k][y * OWN]), v = load<4>(&tb[k][x * OWN]);

#pragma unroll
            for (int i = 0; i < OWN; i++)
#pragma unroll
                for (int j = 0; j < OWN; j++)
                    part[i][j] += u.v[i] * v.v[j];
        }
#pragma unroll
        for (int i = 0; i < OWN; i++)
#pragma unroll
            for (int j = 0; j < OWN; j++)
                sum[i][j] += part[i][j];
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < OWN; i++)
#pragma unroll
        for (int j = 0; j < OWN; j++) {
            const int64_t row = row0 + y * OWN + i, column = column0 + x * OWN + j;

            if (row >= p.m || column >= p.n)
                continue;
            float *c = p.c + row * p.c_row + column;
            *c = (p.add ? *c : 0.0f) + p.scale * sum[i][j] + (p.bias ? p.bias[column] : 0.0f);
        }
}

/* Few rows times weights [n, k]: a warp for each weight row, which is read once. */
template <class B, bool WIDE> __global__ void __launch_bounds__(EACH) product_rows(struct cuda_product p, B b)
{
    const int64_t j = (int64_t)blockIdx.x * (EACH / 32) + threadIdx.x / 32;
    const int lane = (int)threadIdx.x % 32;
    float sum[CUDA_ROWS_FEW] = {};

    if (j >= p.n)
        return;
    for (int64_t k = lane * (WIDE ? 8 : 1); k < p.k; k += 32 * (WIDE ? 8 : 1)) {
        float w[8];

        if (WIDE)
            b.get8(j * p.b_column + k, w);
        else
            w[0] = b.get(j * p.b_column + k);
#pragma unroll
        for (int e = 0; e < (WIDE ? 8 : 1); e++)
            w[e] = p.rounded ? round_bf16(w[e]) : w[e];
#pragma unroll
        for (int r = 0; r < CUDA_ROWS_FEW; r++)
            if (r < p.m) {
#pragma unroll
                for (int e = 0; e < (WIDE ? 8 : 1); e++) {
                    const float x = p.a[r * p.a_row + k + e];

                    sum[r] += (p.rounded ? round_bf16(x) : x) * w[e];
                }
            }
    }
#pragma unroll
    for (int r = 0; r < CUDA_ROWS_FEW; r++) {
        if (r >= p.m)
            break;
        const float total = warp_sum(sum[r]);
        float *c = p.c + r * p.c_row + j;

        if (lane == 0)
            *c = (p.add ? *c : 0.0f) + p.scale * total + (p.bias ? p.bias[j] : 0.0f);
    }
}

template <class B> static void launch(cudaStream_t stream, const struct cuda_product *p, B b)
{
    const bool rows = p->m <= CUDA_ROWS_FEW && p->a_column == 1 && p->b_row == 1;
    const bool wide = p->k % 8 == 0 && p->b_column == p->k && on_16(p->b);
    const unsigned warps = blocks_for(p->n, EACH / 32);

    if (rows && wide)
        LAUNCH((product_rows<B, true>), warps, EACH, 0, stream, *p, b);
    else if (rows)
        LAUNCH((product_rows<B, false>), warps, EACH, 0, stream, *p, b);
    else
        LAUNCH(product_tiles<B>, dim3(blocks_for(p->n, TILE), blocks_for(p->m, TILE)), SIDE * SIDE, 0, stream,
               *p, b);
}

void kernel_product(cudaStream_t stream, const struct cuda_product *p)
{
    if (p->m == 0 || p->n == 0)
        return;
    if (p->b_type == DTYPE_F32)
        launch(stream, p, from_f32{static_cast<const float *>(p->b)});
    else if (p->b_type == DTYPE_BF16)
        launch(stream, p, from_16<bf16>{static_cast<const bf16 *>(p->b)});
    else if (p->b_type == DTYPE_F16)
        launch(stream, p, from_16<__half>{static_cast<const __half *>(p->b)});
    else
        launch(stream, p, from_quant{p->quant});
}

/* ---- quantised matrices as a whole ---- */
template <class T> __global__ void __launch_bounds__(EACH) dequantize(T *to, from_quant from, int64_t n)
{
    const int64_t i = each_index(8);

    if (i + 8 <= n && from.q.block % 8 == 0) {
        float x[8];

        from.get8(i, x);
#pragma unroll
        for (int k = 0; k < 8; k++)
            narrow(&to[i + k], x[k]);
        return;
    }
    for (int64_t k = i; k < n && k < i + 8; k++)
        narrow(&to[k], from.get(k));
}

void kernel_dequantize(cudaStream_t stream, void *to, enum dtype to_type, const struct cuda_quant *q,
                       int64_t n)
{
    const unsigned blocks = blocks_for(n, 8 * EACH);

    if (to_type == DTYPE_BF16)
        LAUNCH(dequantize<bf16>, blocks, EACH, 0, stream, static_cast<bf16 *>(to), from_quant{*q}, n);
    else
        LAUNCH(dequantize<float>, blocks, EACH, 0, stream, static_cast<float *>(to), from_quant{*q}, n);
}

/* ---- w += scale b a ---- */
template <class T>
__global__ void __launch_bounds__(EACH)
    merge(T *w, const float *a, const float *b, int64_t n, int64_t in, int64_t rank, float scale)
{
    const int64_t i = each_index(1);
    float sum = 0;

    if (i >= n)
        return;
    for (int64_t r = 0; r < rank; r++)
        sum += b[i / in * rank + r] * a[r * in + i % in];
    narrow(&w[i], wide(w[i]) + scale * sum);
}

void kernel_merge(cudaStream_t stream, void *w, enum dtype type, const float *a, const float *b, int64_t out,
                  int64_t in, int64_t rank, float scale)
{
    const int64_t n = out * in;
    const unsigned blocks = blocks_for(n, EACH);

    if (type == DTYPE_F32)
        LAUNCH(merge<float>, blocks, EACH, 0, stream, static_cast<float *>(w), a, b, n, in, rank, scale);
    else if (type == DTYPE_BF16)
        LAUNCH(merge<bf16>, blocks, EACH, 0, stream, static_cast<bf16 *>(w), a, b, n, in, rank, scale);
    else
        LAUNCH(merge<__half>, blocks, EACH, 0, stream, static_cast<__half *>(w), a, b, n, in, rank, scale);
}
