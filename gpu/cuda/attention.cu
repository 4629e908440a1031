/* attention.cu: attention in f32: any head up to 256 wide, packed sequences, windows, grouped heads, caches. Flash
 * attention (Dao et al. 2022, arXiv:2205.14135): scores live in registers only. The backward makes two passes, one by
 * queries and one by keys, instead of atomics: its sums have one order. */
#include "gpu/cuda/attention.cuh"

enum { TILE = 32, WARPS = 4, OWN = 4, BLOCK = WARPS * OWN, CACHED_WARPS = 8, HEAD_MAX = 256 };

bool kernel_attention_fits(int64_t head_dim)
{
    return head_dim <= HEAD_MAX;
}

/* Rows first .. first + n of one head into shared memory, zeros beyond the sequence. */
static __device__ __forceinline__ void fetch(float *to, int pitch, const float *from, int64_t stride,
                                             int64_t first, int n, int64_t length, int dim)
{
    for (int i = (int)threadIdx.x; i < n * dim; i += (int)blockDim.x) {
        const int64_t row = first + i / dim;

        to[i / dim * pitch + i % dim] = row < length ? from[row * stride + i % dim] : 0.0f;
    }
}

static __device__ __forceinline__ float dot(const float *x, const float *y, int n)
{
    float sum = 0;

    for (int i = 0; i < n; i++)
        sum += x[i] * y[i];
    return sum;
}

/* A lane is a key while scores are made, and a column (of COLS * 32) while outputs are. */
template <int COLS> __global__ void __launch_bounds__(WARPS * 32) attention_forward(struct attention_arg a)
{
    SHARED_DYNAMIC(float, memory);
    const int dim = (int)a.head_dim, pitch = dim + 1, lane = (int)threadIdx.x % 32,
              warp = (int)threadIdx.x / 32;
    float *keys = memory, *values = keys + TILE * pitch, *queries = values + TILE * pitch;
    const query_block b = query_block_of(a, dim, BLOCK, TILE);
    const place &p = b.p;
    float top[OWN], sum[OWN], out[OWN][COLS];

    if (p.first >= p.length)
        return;
    fetch(queries, dim, a.q + b.q_at, b.q_stride, p.first, BLOCK, p.length, dim);
#pragma unroll
    for (int r = 0; r < OWN; r++) {
        top[r] = -INFINITY;
        sum[r] = 0;
#pragma unroll
        for (int c = 0; c < COLS; c++)
            out[r][c] = 0;
    }
    for (int64_t tile = b.low; tile < b.end; tile += TILE) {
        fetch(keys, pitch, a.k + b.kv_at, b.kv_stride, tile, TILE, p.length, dim);
        fetch(values, pitch, a.v + b.kv_at, b.kv_stride, tile, TILE, p.length, dim);
        __syncthreads();
#pragma unroll
        for (int r = 0; r < OWN; r++) {
            const int64_t query = p.first + warp * OWN + r;
            float score = dot(queries + (warp * OWN + r) * dim, keys + lane * pitch, dim) * a.scale;

            if (!sees(query, tile + lane, a.window))
                score = -INFINITY;
            const float best = fmaxf(top[r], warp_max(score)),
                        prob = best == -INFINITY ? 0.0f : expf(score - best),
                        keep = best == -INFINITY ? 1.0f : expf(top[r] - best);

            sum[r] = sum[r] * keep + warp_sum(prob);
            top[r] = best;
#pragma unroll
            for (int c = 0; c < COLS; c++)
                out[r][c] *= keep;
#pragma unroll 4
            for (int j = 0; j < TILE; j++) {
                const float pj = __shfl_sync(FULL, prob, j);

#pragma unroll
                for (int c = 0; c < COLS; c++)
                    out[r][c] += c * 32 + lane < dim ? pj * values[j * pitch + c * 32 + lane] : 0.0f;
            }
        }
        __syncthreads(); /* before the next tile comes in */
    }
#pragma unroll
    for (int r = 0; r < OWN; r++) {
        const int64_t query = p.first + warp * OWN + r;

        if (query >= p.length)
            continue;
#pragma unroll
        for (int c = 0; c < COLS; c++)
            if (c * 32 + lane < dim)
                a.y[b.q_at + query * b.q_stride + c * 32 + lane] = out[r][c] / sum[r];
        if (a.lse && lane == 0)
            a.lse[b.of_row + query] = top[r] + logf(sum[r]);
    }
}

/* delta = dy y, for each query and head. */
__global__ void __launch_bounds__(EACH) attention_delta(struct attention_arg a, float *delta)
{
    const int64_t pair = (int64_t)blockIdx.x * (EACH / 32) + threadIdx.x / 32, head = pair % a.heads,
                  row = pair / a.heads;
    float sum = 0;

    if (pair >= a.rows * a.heads)
        return;
    for (int64_t c = threadIdx.x % 32; c < a.head_dim; c += 32)
        sum += a.dy[pair * a.head_dim + c] * a.y[pair * a.head_dim + c];
    sum = warp_sum(sum);
    if (threadIdx.x % 32 == 0)
        delta[head * a.rows + row] = sum;
}

/* The rows of a warp, which start at `row`, but those beyond the sequence. */
template <int COLS>
static __device__ __forceinline__ void put_rows(float *to, int64_t stride, int64_t row, int64_t length,
                                                int dim, const float (&x)[OWN][COLS])
{
    const int lane = (int)threadIdx.x % 32;

#pragma unroll
    for (int r = 0; r < OWN; r++)
#pragma unroll
        for (int c = 0; c < COLS; c++)
            if (row + r < length && c * 32 + lane < dim)
                to[(row + r) * stride + c * 32 + lane] = x[r][c];
}

/* Left alone the compiler aims at eight blocks at once, and spills. */
template <int COLS>
__global__ void __launch_bounds__(WARPS * 32, COLS == 8 ? 4 : 6)
    attention_dq(struct attention_arg a, const float *delta)
{
    SHARED_DYNAMIC(float, memory);
    const int dim = (int)a.head_dim, pitch = dim + 1, lane = (int)threadIdx.x % 32,
              warp = (int)threadIdx.x / 32;
    float *keys = memory, *values = keys + TILE * pitch, *queries = values + TILE * pitch,
          *dys = queries + BLOCK * dim;
    const query_block b = query_block_of(a, dim, BLOCK, TILE);
    const place &p = b.p;
    const float *lse = a.lse + b.of_row, *less = delta + b.of_row;
    float dq[OWN][COLS] = {};

    if (p.first >= p.length)
        return;
    fetch(queries, dim, a.q + b.q_at, b.q_stride, p.first, BLOCK, p.length, dim);
    fetch(dys, dim, a.dy + b.q_at, b.q_stride, p.first, BLOCK, p.length, dim);
    for (int64_t tile = b.low; tile < b.end; tile += TILE) {
        fetch(keys, pitch, a.k + b.kv_at, b.kv_stride, tile, TILE, p.length, dim);
        fetch(values, pitch, a.v + b.kv_at, b.kv_stride, tile, TILE, p.length, dim);
        __syncthreads();
#pragma unroll
        for (int r = 0; r < OWN; r++) {
            const int own = warp * OWN + r;
            const int64_t query = p.first + own, key = tile + lane;
            float ds = 0;

            if (query < p.length && sees(query, key, a.window)) {
                const float prob =
                    expf(dot(queries + own * dim, keys + lane * pitch, dim) * a.scale - lse[query]);

                ds = prob * (dot(dys + own * dim, values + lane * pitch, dim) - less[query]) * a.scale;
            }
#pragma unroll 4
            for (int j = 0; j < TILE; j++) {
                const float dsj = __shfl_sync(FULL, ds, j);

#pragma unroll
                for (int c = 0; c < COLS; c++)
                    dq[r][c] += c * 32 + lane < dim ? dsj * keys[j * pitch + c * 32 + lane] : 0.0f;
            }
        }
        __syncthreads();
    }
    put_rows<COLS>(a.dq + b.q_at, b.q_stride, p.first + warp * OWN, p.length, dim, dq);
}

/* A block's rows are keys here, a lane is a query; the heads that share the keys follow each other. */
template <int COLS>
__global__ void __launch_bounds__(WARPS * 32) attention_dkv(struct attention_arg a, const float *delta)
{
    SHARED_DYNAMIC(float, memory);
    const int dim = (int)a.head_dim, pitch = dim + 1, lane = (int)threadIdx.x % 32,
              warp = (int)threadIdx.x / 32;
    float *queries = memory, *dys = queries + TILE * pitch, *keys = dys + TILE * pitch,
          *values = keys + BLOCK * dim;
    const key_block b = key_block_of(a, dim, BLOCK);
    const place &p = b.p;
    float dk[OWN][COLS] = {}, dv[OWN][COLS] = {};

    if (p.first >= p.length)
        return;
    fetch(keys, dim, a.k + b.kv_at, b.kv_stride, p.first, BLOCK, p.length, dim);
    fetch(values, dim, a.v + b.kv_at, b.kv_stride, p.first, BLOCK, p.length, dim);
    for (int64_t head = blockIdx.y * b.group; head < (blockIdx.y + 1) * b.group; head++) {
        const int64_t q_at = p.start * b.q_stride + head * dim, of_row = head * a.rows + p.start;

        for (int64_t tile = p.first / TILE * TILE; tile < b.end; tile += TILE) {
            fetch(queries, pitch, a.q + q_at, b.q_stride, tile, TILE, p.length, dim);
            fetch(dys, pitch, a.dy + q_at, b.q_stride, tile, TILE, p.length, dim);
            __syncthreads();
#pragma unroll
            for (int r = 0; r < OWN; r++) {
                const int own = warp * OWN + r;
                const int64_t query = tile + lane, key = p.first + own;
                float prob = 0, ds = 0;

                if (query < p.length && key < p.length && sees(query, key, a.window)) {
                    prob = expf(dot(keys + own * dim, queries + lane * pitch, dim) * a.scale -
                                a.lse[of_row + query]);
                    ds = prob * (dot(values + own * dim, dys + lane * pitch, dim) - delta[of_row + query]) *
                         a.scale;
                }
#pragma unroll 4
                for (int j = 0; j < TILE; j++) {
                    const float pj = __shfl_sync(FULL, prob, j), dsj = __shfl_sync(FULL, ds, j);

#pragma unroll
                    for (int c = 0; c < COLS; c++)
                        if (c * 32 + lane < dim) {
                            dv[r][c] += pj * dys[j * pitch + c * 32 + lane];
                            dk[r][c] += dsj * queries[j * pitch + c * 32 + lane];
                        }
                }
            }
            __syncthreads();
        }
    }
    put_rows<COLS>(a.dk + b.kv_at, b.kv_stride, p.first + warp * OWN, p.length, dim, dk);
    put_rows<COLS>(a.dv + b.kv_at, b.kv_stride, p.first + warp * OWN, p.length, dim, dv);
}

static size_t shared_bytes(int64_t dim, int own)
{
    return (size_t)(2 * TILE * (dim + 1) + own * BLOCK * dim) * sizeof(float);
}

#define FOR_COLUMNS(dim, kernel, ...)                                                                        \
    do {                                                                                                     \
        if ((dim) <= 32)                                                                                     \
            LAUNCH(kernel<1>, __VA_ARGS__);                                                                  \
        else if ((dim) <= 64)                                                                                \
            LAUNCH(kernel<2>, __VA_ARGS__);                                                                  \
        else if ((dim) <= 128)                                                                               \
            LAUNCH(kernel<4>, __VA_ARGS__);                                                                  \
        else                                                                                                 \
            LAUNCH(kernel<8>, __VA_ARGS__);                                                                  \
    } while (0)

void kernel_attention_forward(cudaStream_t stream, const struct attention_arg *a)
{
    const dim3 grid(blocks_for(a->longest, BLOCK), (unsigned)a->heads, (unsigned)a->sequences);

    if (kernel_attention_mma_fits(a, false)) {
        kernel_attention_mma_forward(stream, a);
        return;
    }
    FOR_COLUMNS(a->head_dim, attention_forward, grid, WARPS * 32, shared_bytes(a->head_dim, 1), stream, *a);
}

void kernel_attention_backward(cudaStream_t stream, const struct attention_arg *a, float *delta)
{
    const unsigned blocks = blocks_for(a->longest, BLOCK);
    const dim3 by_query(blocks, (unsigned)a->heads, (unsigned)a->sequences),
        by_key(blocks, (unsigned)a->kv_heads, (unsigned)a->sequences);

    LAUNCH(attention_delta, blocks_for(a->rows * a->heads, EACH / 32), EACH, 0, stream, *a, delta);
    if (kernel_attention_mma_fits(a, true)) {
        kernel_attention_mma_backward(stream, a, delta);
        return;
    }
    FOR_COLUMNS(a->head_dim, attention_dq, by_query, WARPS * 32, shared_bytes(a->head_dim, 2), stream, *a,
                delta);
    FOR_COLUMNS(a->head_dim, attention_dkv, by_key, WARPS * 32, shared_bytes(a->head_dim, 2), stream, *a,
                delta);
}

/* ---- with a cache ---- */
/* The sequence that a new row belongs to. */
static __device__ __forceinline__ int64_t sequence_of(const struct cached_attention_arg &a, int64_t row)
{
    int64_t low = 0, high = a.sequences - 1;

    while (low < high) { /* the last that starts at or before the row */
        const int64_t middle = (low + high + 1) / 2;

        if (a.starts[middle] <= row)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

__global__ void __launch_bounds__(128) cache_store(struct cached_attention_arg a)
{
    const int64_t row = blockIdx.x, s = sequence_of(a, row), width = a.kv_heads * a.head_dim;
    const int64_t at = ((int64_t)a.slots[s] * a.capacity + a.past[s] + row - a.starts[s]) * width;

    for (int64_t c = threadIdx.x; c < width; c += blockDim.x) {
        a.k_cache[at + c] = a.k[row * width + c];
        a.v_cache[at + c] = a.v[row * width + c];
    }
}

/* A block is one query of one head; its warps share the keys and merge what they found. */
template <int COLS>
__global__ void __launch_bounds__(CACHED_WARPS * 32) attention_cached(struct cached_attention_arg a)
{
    SHARED(float, tops, [CACHED_WARPS]);
    SHARED(float, sums, [CACHED_WARPS]);
    SHARED(float, outs, [CACHED_WARPS][COLS * 32]);
    const int dim = (int)a.head_dim, lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    const int64_t row = blockIdx.x, head = blockIdx.y, s = sequence_of(a, row);
    const int64_t last = a.past[s] + row - a.starts[s], width = a.kv_heads * dim,
                  at = (int64_t)a.slots[s] * a.capacity * width + head / (a.heads / a.kv_heads) * dim;
    const int64_t first = a.window > 0 && last >= a.window ? last - a.window + 1 : 0;
    float top = -INFINITY, sum = 0, q[COLS], out[COLS];

#pragma unroll
    for (int c = 0; c < COLS; c++) {
        q[c] = c * 32 + lane < dim ? a.q[(row * a.heads + head) * dim + c * 32 + lane] * a.scale : 0.0f;
        out[c] = 0;
    }
    for (int64_t j = first + warp; j <= last; j += CACHED_WARPS) {
        float score = 0;

#pragma unroll
        for (int c = 0; c < COLS; c++)
            score += c * 32 + lane < dim ? q[c] * a.k_cache[at + j * width + c * 32 + lane] : 0.0f;
        score = warp_sum(score);
        const float best = fmaxf(top, score), keep = expf(top - best), prob = expf(score - best);

        sum = sum * keep + prob;
        top = best;
#pragma unroll
        for (int c = 0; c < COLS; c++)
            out[c] = out[c] * keep +
                     (c * 32 + lane < dim ? prob * a.v_cache[at + j * width + c * 32 + lane] : 0.0f);
    }
    if (lane == 0) {
        tops[warp] = top;
        sums[warp] = sum;
    }
#pragma unroll
    for (int c = 0; c < COLS; c++)
        outs[warp][c * 32 + lane] = out[c];
    __syncthreads();
    for (int c = (int)threadIdx.x; c < dim; c += (int)blockDim.x) {
        float best = -INFINITY, all = 0, total = 0;

        for (int w = 0; w < CACHED_WARPS; w++)
            best = fmaxf(best, tops[w]);
        for (int w = 0; w < CACHED_WARPS; w++) {
            const float part = tops[w] == -INFINITY ? 0.0f : expf(tops[w] - best);

            all += part * sums[w];
            total += part * outs[w][c];
        }
        a.y[(row * a.heads + head) * dim + c] = total / all;
    }
}

void kernel_attention_cached(cudaStream_t stream, const struct cached_attention_arg *a)
{
    const dim3 grid((unsigned)a->rows, (unsigned)a->heads);

    LAUNCH(cache_store, (unsigned)a->rows, 128, 0, stream, *a);
    FOR_COLUMNS(a->head_dim, attention_cached, grid, CACHED_WARPS * 32, 0, stream, *a);
}
