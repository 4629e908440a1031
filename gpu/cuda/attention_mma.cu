/* attention_mma.cu: attention.cu's three kernels on tensor cores: factors in bf16, scores, softmax and sums in f32. Heads
 * of 64 or 128. A warp owns 16 rows of a block's 64; rows of the other side come in tiles through shared memory, as they
 * lie and, where they are summed over, transposed, so that each fragment is a 32-bit load without bank conflicts.
 * Fragments of mma.m16n8k16: lane l has rows l / 4 and l / 4 + 8, columns 2 (l % 4) and the next. */
#include "gpu/cuda/attention.cuh"

constexpr int WARPS = 4, BLOCK = 16 * WARPS, THREADS = 32 * WARPS, PAD = 8;
constexpr int KEYS = 64, TILE = 32; /* rows of a tile: forward, backward */

static __device__ __forceinline__ uint32_t pair_at(const bf16 *p)
{
    return *reinterpret_cast<const uint32_t *>(p);
}

/* 16 rows of s from row0, columns k .. k + 16 */
template <int PITCH>
static __device__ __forceinline__ void load_a(uint32_t (&a)[4], const bf16 *s, int row0, int k)
{
    const int lane = (int)threadIdx.x % 32;
    const bf16 *at = s + (row0 + lane / 4) * PITCH + k + lane % 4 * 2;

    a[0] = pair_at(at);
    a[1] = pair_at(at + 8 * PITCH);
    a[2] = pair_at(at + 8);
    a[3] = pair_at(at + 8 * PITCH + 8);
}

/* 8 rows of s from row0, which are columns of the second factor */
template <int PITCH>
static __device__ __forceinline__ void load_b(uint32_t (&b)[2], const bf16 *s, int row0, int k)
{
    const int lane = (int)threadIdx.x % 32;
    const bf16 *at = s + (row0 + lane / 4) * PITCH + k + lane % 4 * 2;

    b[0] = pair_at(at);
    b[1] = pair_at(at + 8);
}

/* N rows from `first`, zeros beyond the sequence, as they lie: to[N][D + PAD] */
template <int D, int N>
static __device__ __forceinline__ void stage(bf16 *to, const float *from, int64_t stride, int64_t first,
                                             int64_t length)
{
#pragma unroll 4
    for (int i = (int)threadIdx.x; i < N * (D / 4); i += THREADS) {
        const int row = i / (D / 4), c = i % (D / 4) * 4;
        floats<4> x = {};

        if (first + row < length)
            x = load<4>(from + (first + row) * stride + c);
        *reinterpret_cast<uint2 *>(to + row * (D + PAD) + c) = {pair_bf16(x.v[0], x.v[1]),
                                                                pair_bf16(x.v[2], x.v[3])};
    }
}

/* The same on its side: to[D][N + PAD]. A thread takes two rows, so that it writes pairs. */
template <int D, int N>
static __device__ __forceinline__ void stage_side(bf16 *to, const float *from, int64_t stride, int64_t first,
                                                  int64_t length)
{
#pragma unroll 2
    for (int i = (int)threadIdx.x; i < N / 2 * (D / 4); i += THREADS) {
        const int row = i % (N / 2) * 2, c = i / (N / 2) * 4;
        floats<4> x = {}, y = {};

        if (first + row < length)
            x = load<4>(from + (first + row) * stride + c);
        if (first + row + 1 < length)
            y = load<4>(from + (first + row + 1) * stride + c);
#pragma unroll
        for (int k = 0; k < 4; k++)
            *reinterpret_cast<uint32_t *>(to + (c + k) * (N + PAD) + row) = pair_bf16(x.v[k], y.v[k]);
    }
}

/* out[16][N] = own rows times tile rows, over D columns */
template <int D, int N>
static __device__ __forceinline__ void scores(float (&out)[N / 8][4], const bf16 *own, int row0,
                                              const bf16 *tile)
{
#pragma unroll
    for (int n = 0; n < N / 8; n++)
#pragma unroll
        for (int e = 0; e < 4; e++)
            out[n][e] = 0;
#pragma unroll
    for (int k = 0; k < D; k += 16) {
        uint32_t a[4];

        load_a<D + PAD>(a, own, row0, k);
#pragma unroll
        for (int n = 0; n < N / 8; n++) {
            uint32_t b[2];

            load_b<D + PAD>(b, tile, n * 8, k);
            mma_bf16(out[n], a, b);
        }
    }
}

/* out[16][D] += weights[16][N] times tile rows, given on their side */
template <int D, int N>
static __device__ __forceinline__ void gather(float (&out)[D / 8][4], const float (&weights)[N / 8][4],
                                              const bf16 *side)
{
#pragma unroll
    for (int k = 0; k < N / 16; k++) {
        const uint32_t a[4] = {pair_bf16(weights[2 * k][0], weights[2 * k][1]),
                               pair_bf16(weights[2 * k][2], weights[2 * k][3]),
                               pair_bf16(weights[2 * k + 1][0], weights[2 * k + 1][1]),
                               pair_bf16(weights[2 * k + 1][2], weights[2 * k + 1][3])};

#pragma unroll
        for (int n = 0; n < D / 8; n++) {
            uint32_t b[2];

            load_b<N + PAD>(b, side, n * 8, k * 16);
            mma_bf16(out[n], a, b);
        }
    }
}

/* Of the four lanes that hold one row. */
static __device__ __forceinline__ float row_max(float x)
{
    x = fmaxf(x, __shfl_xor_sync(FULL, x, 1));
    return fmaxf(x, __shfl_xor_sync(FULL, x, 2));
}

static __device__ __forceinline__ float row_sum(float x)
{
    x += __shfl_xor_sync(FULL, x, 1);
    return x + __shfl_xor_sync(FULL, x, 2);
}

template <int D>
static __device__ __forceinline__ void put_rows(float *to, int64_t stride, int64_t row0, int64_t length,
                                                const float (&x)[D / 8][4], float low, float high)
{
    const int lane = (int)threadIdx.x % 32;

#pragma unroll
    for (int half = 0; half < 2; half++) {
        const int64_t row = row0 + lane / 4 + 8 * half;
        const float scale = half ? high : low;

        if (row >= length)
            continue;
#pragma unroll
        for (int n = 0; n < D / 8; n++) {
            float *at = to + row * stride + n * 8 + lane % 4 * 2;

            at[0] = x[n][2 * half] * scale;
            at[1] = x[n][2 * half + 1] * scale;
        }
    }
}

template <int D> __global__ void __launch_bounds__(THREADS) mma_forward(struct attention_arg a)
{
    SHARED_DYNAMIC(bf16, memory);
    bf16 *queries = memory, *keys = queries + BLOCK * (D + PAD), *values = keys + KEYS * (D + PAD);
    const int lane = (int)threadIdx.x % 32, own = (int)threadIdx.x / 32 * 16;
    const query_block b = query_block_of(a, D, BLOCK, KEYS);
    const place &p = b.p;
    float top[2] = {-INFINITY, -INFINITY}, sum[2] = {}, out[D / 8][4] = {};

    if (p.first >= p.length)
        return;
    stage<D, BLOCK>(queries, a.q + b.q_at, b.q_stride, p.first, p.length);
    for (int64_t tile = b.low; tile < b.end; tile += KEYS) {
        float s[KEYS / 8][4];

        stage<D, KEYS>(keys, a.k + b.kv_at, b.kv_stride, tile, p.length);
        stage_side<D, KEYS>(values, a.v + b.kv_at, b.kv_stride, tile, p.length);
        __syncthreads();
        scores<D, KEYS>(s, queries, own, keys);
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int64_t query = p.first + own + lane / 4 + 8 * half;
            float best = top[half], keep, total = 0;

#pragma unroll
            for (int n = 0; n < KEYS / 8; n++)
#pragma unroll
                for (int e = 0; e < 2; e++) {
                    float &x = s[n][2 * half + e];

                    x = sees(query, tile + n * 8 + lane % 4 * 2 + e, a.window) ? x * a.scale : -INFINITY;
                    best = fmaxf(best, x);
                }
            best = row_max(best);
            keep = best == -INFINITY ? 1.0f : __expf(top[half] - best);
#pragma unroll
            for (int n = 0; n < KEYS / 8; n++)
#pragma unroll
                for (int e = 0; e < 2; e++) {
                    float &x = s[n][2 * half + e];

                    x = best == -INFINITY ? 0.0f : __expf(x - best);
                    total += x;
                }
            top[half] = best;
            sum[half] = sum[half] * keep + row_sum(total);
#pragma unroll
            for (int n = 0; n < D / 8; n++) {
                out[n][2 * half] *= keep;
                out[n][2 * half + 1] *= keep;
            }
        }
        gather<D, KEYS>(out, s, values);
        __syncthreads(); /* before the next tile comes in */
    }
    put_rows<D>(a.y + b.q_at, b.q_stride, p.first + own, p.length, out, 1 / sum[0], 1 / sum[1]);
#pragma unroll
    for (int half = 0; half < 2; half++) {
        const int64_t query = p.first + own + lane / 4 + 8 * half;

        if (a.lse && lane % 4 == 0 && query < p.length)
            a.lse[b.of_row + query] = top[half] + logf(sum[half]);
    }
}

template <int D> __global__ void __launch_bounds__(THREADS) mma_dq(struct attention_arg a, const float *delta)
{
    SHARED_DYNAMIC(bf16, memory);
    bf16 *queries = memory, *dys = queries + BLOCK * (D + PAD), *keys = dys + BLOCK * (D + PAD),
         *values = keys + TILE * (D + PAD), *side = values + TILE * (D + PAD);
    const int lane = (int)threadIdx.x % 32, own = (int)threadIdx.x / 32 * 16;
    const query_block b = query_block_of(a, D, BLOCK, TILE);
    const place &p = b.p;
    float lse[2] = {}, less[2] = {}, dq[D / 8][4] = {};

    if (p.first >= p.length)
        return;
    stage<D, BLOCK>(queries, a.q + b.q_at, b.q_stride, p.first, p.length);
    stage<D, BLOCK>(dys, a.dy + b.q_at, b.q_stride, p.first, p.length);
#pragma unroll
    for (int half = 0; half < 2; half++) {
        const int64_t query = p.first + own + lane / 4 + 8 * half;

        if (query < p.length) {
            lse[half] = a.lse[b.of_row + query];
            less[half] = delta[b.of_row + query];
        }
    }
    for (int64_t tile = b.low; tile < b.end; tile += TILE) {
        float s[TILE / 8][4], dp[TILE / 8][4];

        stage<D, TILE>(keys, a.k + b.kv_at, b.kv_stride, tile, p.length);
        stage<D, TILE>(values, a.v + b.kv_at, b.kv_stride, tile, p.length);
        stage_side<D, TILE>(side, a.k + b.kv_at, b.kv_stride, tile, p.length);
        __syncthreads();
        scores<D, TILE>(s, queries, own, keys);
        scores<D, TILE>(dp, dys, own, values);
#pragma unroll
        for (int n = 0; n < TILE / 8; n++)
#pragma unroll
            for (int e = 0; e < 4; e++) {
                const int half = e / 2;
                const int64_t query = p.first + own + lane / 4 + 8 * half,
                              key = tile + n * 8 + lane % 4 * 2 + e % 2;
                const bool seen = query < p.length && sees(query, key, a.window);

                s[n][e] =
                    seen ? __expf(s[n][e] * a.scale - lse[half]) * (dp[n][e] - less[half]) * a.scale : 0.0f;
            }
        gather<D, TILE>(dq, s, side);
        __syncthreads();
    }
    put_rows<D>(a.dq + b.q_at, b.q_stride, p.first + own, p.length, dq, 1, 1);
}

/* A block's rows are keys here; the heads that share them follow each other. */
template <int D>
__global__ void __launch_bounds__(THREADS) mma_dkv(struct attention_arg a, const float *delta)
{
    SHARED_DYNAMIC(bf16, memory);
    bf16 *keys = memory, *values = keys + BLOCK * (D + PAD), *queries = values + BLOCK * (D + PAD),
         *dys = queries + TILE * (D + PAD), *q_side = dys + TILE * (D + PAD),
         *dy_side = q_side + D * (TILE + PAD);
    const int lane = (int)threadIdx.x % 32, own = (int)threadIdx.x / 32 * 16;
    const key_block b = key_block_of(a, D, BLOCK);
    const place &p = b.p;
    float dk[D / 8][4] = {}, dv[D / 8][4] = {};

    if (p.first >= p.length)
        return;
    stage<D, BLOCK>(keys, a.k + b.kv_at, b.kv_stride, p.first, p.length);
    stage<D, BLOCK>(values, a.v + b.kv_at, b.kv_stride, p.first, p.length);
    for (int64_t head = blockIdx.y * b.group; head < (blockIdx.y + 1) * b.group; head++) {
        const int64_t q_at = p.start * b.q_stride + head * D, of_row = head * a.rows + p.start;

        for (int64_t tile = p.first / TILE * TILE; tile < b.end; tile += TILE) {
            float s[TILE / 8][4], dp[TILE / 8][4];

            stage<D, TILE>(queries, a.q + q_at, b.q_stride, tile, p.length);
            stage<D, TILE>(dys, a.dy + q_at, b.q_stride, tile, p.length);
            stage_side<D, TILE>(q_side, a.q + q_at, b.q_stride, tile, p.length);
            stage_side<D, TILE>(dy_side, a.dy + q_at, b.q_stride, tile, p.length);
            __syncthreads();
            scores<D, TILE>(s, keys, own, queries);
            scores<D, TILE>(dp, values, own, dys);
#pragma unroll
            for (int n = 0; n < TILE / 8; n++)
#pragma unroll
                for (int e = 0; e < 4; e++) {
                    const int64_t key = p.first + own + lane / 4 + 8 * (e / 2),
                                  query = tile + n * 8 + lane % 4 * 2 + e % 2;
                    const bool seen = query < p.length && sees(query, key, a.window);

                    s[n][e] = seen ? __expf(s[n][e] * a.scale - a.lse[of_row + query]) : 0.0f;
                    dp[n][e] = seen ? s[n][e] * (dp[n][e] - delta[of_row + query]) * a.scale : 0.0f;
                }
            gather<D, TILE>(dv, s, dy_side);
            gather<D, TILE>(dk, dp, q_side);
            __syncthreads();
        }
    }
    put_rows<D>(a.dk + b.kv_at, b.kv_stride, p.first + own, p.length, dk, 1, 1);
    put_rows<D>(a.dv + b.kv_at, b.kv_stride, p.first + own, p.length, dv, 1, 1);
}

bool kernel_attention_mma_fits(const struct attention_arg *a, bool backward)
{
    return a->compute == DTYPE_BF16 && (a->head_dim == 64 || a->head_dim == 128) && on_16(a->q) &&
           on_16(a->k) && on_16(a->v) && (!backward || on_16(a->dy));
}

static dim3 blocks_of(const struct attention_arg *a, int64_t heads)
{
    return dim3(blocks_for(a->longest, BLOCK), (unsigned)heads, (unsigned)a->sequences);
}

/* Rows as they lie, then rows on their side. */
static size_t bytes_for(int64_t dim, int rows, int sides, int side)
{
    return (size_t)(rows * (dim + PAD) + sides * dim * (side + PAD)) * sizeof(bf16);
}

#define FOR_HEAD(dim, kernel, ...)                                                                           \
    do {                                                                                                     \
        if ((dim) == 64)                                                                                     \
            LAUNCH(kernel<64>, __VA_ARGS__);                                                                 \
        else                                                                                                 \
            LAUNCH(kernel<128>, __VA_ARGS__);                                                                \
    } while (0)

void kernel_attention_mma_forward(cudaStream_t stream, const struct attention_arg *a)
{
    const int64_t dim = a->head_dim;

    FOR_HEAD(dim, mma_forward, blocks_of(a, a->heads), THREADS, bytes_for(dim, BLOCK + KEYS, 1, KEYS), stream,
             *a);
}

void kernel_attention_mma_backward(cudaStream_t stream, const struct attention_arg *a, const float *delta)
{
    const int64_t dim = a->head_dim;

    FOR_HEAD(dim, mma_dq, blocks_of(a, a->heads), THREADS, bytes_for(dim, 2 * (BLOCK + TILE), 1, TILE),
             stream, *a, delta);
    FOR_HEAD(dim, mma_dkv, blocks_of(a, a->kv_heads), THREADS, bytes_for(dim, 2 * (BLOCK + TILE), 2, TILE),
             stream, *a, delta);
}
