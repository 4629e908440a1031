/* rows.cu: what works on rows: embeddings, gathering, rotary positions, RMSNorm, sums over rows. */
#include "gpu/cuda/device.cuh"

constexpr int COLUMNS = 128, PART_ROWS = 128;

int64_t kernel_parts(int64_t rows)
{
    const int64_t parts = (rows + PART_ROWS - 1) / PART_ROWS;

    return parts < CUDA_PARTS ? parts : (int64_t)CUDA_PARTS;
}

static int threads_for(int64_t width)
{
    return width <= 128 ? 32 : width <= 1024 ? 128 : 256;
}

/* ---- embeddings ---- */
template <class T> __global__ void embed_forward(struct embed_arg a, const T *table)
{
    const T *row = table + (int64_t)a.ids[blockIdx.x] * a.width;

    for (int64_t c = threadIdx.x; c < a.width; c += blockDim.x)
        a.y[blockIdx.x * a.width + c] = wide(row[c]);
}

void kernel_embed_forward(cudaStream_t stream, const struct embed_arg *a)
{
    const unsigned rows = (unsigned)a->rows;

    if (a->type == DTYPE_F32)
        LAUNCH(embed_forward<float>, rows, 128, 0, stream, *a, static_cast<const float *>(a->table));
    else if (a->type == DTYPE_BF16)
        LAUNCH(embed_forward<bf16>, rows, 128, 0, stream, *a, static_cast<const bf16 *>(a->table));
    else
        LAUNCH(embed_forward<__half>, rows, 128, 0, stream, *a, static_cast<const __half *>(a->table));
}

/* The block of the first row that has an id adds all rows that have it, in their order; the others go. */
__global__ void __launch_bounds__(128) embed_backward(struct embed_arg a)
{
    SHARED(unsigned, matches, [4]);
    const int64_t row = blockIdx.x;
    const int32_t id = a.ids[row];
    float earlier = 0;

    for (int64_t j = threadIdx.x; j < row; j += blockDim.x)
        earlier += a.ids[j] == id ? 1.0f : 0.0f;
    if (block_sum(earlier) > 0 || id == a.padding)
        return;
    for (int64_t from = row; from < a.rows; from += blockDim.x) {
        const int64_t j = from + threadIdx.x;
        const unsigned found = __ballot_sync(FULL, j < a.rows && a.ids[j] == id);

        if (threadIdx.x % 32 == 0)
            matches[threadIdx.x / 32] = found;
        __syncthreads();
        for (int w = 0; w < 4; w++)
            for (unsigned left = matches[w]; left; left &= left - 1) {
                const int64_t at = from + w * 32 + __ffs((int)left) - 1;

                for (int64_t c = threadIdx.x; c < a.width; c += blockDim.x)
                    a.dtable[(int64_t)id * a.width + c] += a.dy[at * a.width + c];
            }
        __syncthreads();
    }
}

void kernel_embed_backward(cudaStream_t stream, const struct embed_arg *a)
{
    LAUNCH(embed_backward, (unsigned)a->rows, 128, 0, stream, *a);
}

template <bool SCATTER> __global__ void gather(float *y, const float *x, const int32_t *index, int64_t width)
{
    const int64_t far = (int64_t)index[blockIdx.x] * width, near = blockIdx.x * width;

    for (int64_t c = threadIdx.x; c < width; c += blockDim.x)
        y[(SCATTER ? far : near) + c] = x[(SCATTER ? near : far) + c];
}

void kernel_gather(cudaStream_t stream, float *y, const float *x, const int32_t *index, int64_t rows,
                   int64_t width)
{
    if (rows)
        LAUNCH(gather<false>, (unsigned)rows, threads_for(width), 0, stream, y, x, index, width);
}

void kernel_scatter(cudaStream_t stream, float *y, const float *x, const int32_t *index, int64_t rows,
                    int64_t width)
{
    if (rows)
        LAUNCH(gather<true>, (unsigned)rows, threads_for(width), 0, stream, y, x, index, width);
}

/* ---- rotary positions ---- */
__global__ void __launch_bounds__(EACH) rope(struct rope_arg a)
{
    const int64_t half = a.head_dim / 2, i = each_index(1), pair = i / half, c = i % half;

    if (pair >= a.rows * a.heads)
        return;
    const int64_t angle = (int64_t)a.positions[pair / a.heads] * half + c;
    const float cosine = a.cosines[angle], sine = a.inverse ? -a.sines[angle] : a.sines[angle];
    float *x = a.x + pair * a.head_dim + c;
    const float u = x[0], v = x[half];

    x[0] = u * cosine - v * sine;
    x[half] = v * cosine + u * sine;
}

void kernel_rope(cudaStream_t stream, const struct rope_arg *a)
{
    LAUNCH(rope, blocks_for(a->rows * a->heads * (a->head_dim / 2), EACH), EACH, 0, stream, *a);
}

/* ---- RMSNorm: a block for each row ---- */
/* A row of the block's, each thread its own columns. */
template <int V>
static __device__ __forceinline__ void norm_row(const struct norm_arg &a, const float *x, float rstd,
                                                float *y)
{
    for (int64_t c = threadIdx.x * V; c < a.width; c += blockDim.x * V) {
        const floats<V> t = load<V>(x + c), w = load<V>(a.w + c);
        floats<V> out;

#pragma unroll
        for (int k = 0; k < V; k++)
            out.v[k] = t.v[k] * rstd * w.v[k];
        store(y + c, out);
    }
}

template <int V> __global__ void __launch_bounds__(256) norm_forward(struct norm_arg a)
{
    const int64_t at = blockIdx.x * a.width;
    const float *x = a.x + at;
    float squares = 0, rstd;

    for (int64_t c = threadIdx.x * V; c < a.width; c += blockDim.x * V) {
        floats<V> t = load<V>(x + c);

        if (a.residual) {
            const floats<V> r = load<V>(a.residual + at + c);

#pragma unroll
            for (int k = 0; k < V; k++)
                t.v[k] += r.v[k];
            store(a.sum + at + c, t);
        }
#pragma unroll
        for (int k = 0; k < V; k++)
            squares += t.v[k] * t.v[k];
    }
    rstd = 1.0f / sqrtf(block_sum(squares) / (float)a.width + a.eps);
    if (a.rstd && threadIdx.x == 0)
        a.rstd[blockIdx.x] = rstd;
    if (a.residual)
        x = a.sum + at;
    norm_row<V>(a, x, rstd, a.y + at); /* what this thread has read or written */
}

template <int V> __global__ void __launch_bounds__(256) norm_apply(struct norm_arg a)
{
    const int64_t at = blockIdx.x * a.width;
    const float rstd = a.rstd[blockIdx.x];

    norm_row<V>(a, a.x + at, rstd, a.y + at);
}

template <int V> __global__ void __launch_bounds__(256) norm_backward(struct norm_arg a)
{
    const int64_t at = blockIdx.x * a.width;
    const float r = a.rstd[blockIdx.x];
    float dot = 0;

    for (int64_t c = threadIdx.x * V; c < a.width; c += blockDim.x * V) {
        const floats<V> x = load<V>(a.x + at + c), d = load<V>(a.dy + at + c), w = load<V>(a.w + c);

#pragma unroll
        for (int k = 0; k < V; k++)
            dot += d.v[k] * w.v[k] * x.v[k];
    }
    dot = block_sum(dot) * (r * r / (float)a.width);
    for (int64_t c = threadIdx.x * V; c < a.width; c += blockDim.x * V) {
        const floats<V> x = load<V>(a.x + at + c), d = load<V>(a.dy + at + c), w = load<V>(a.w + c);
        floats<V> dx;

#pragma unroll
        for (int k = 0; k < V; k++)
            dx.v[k] = r * (d.v[k] * w.v[k] - x.v[k] * dot);
        if (a.dresidual) {
            const floats<V> more = load<V>(a.dresidual + at + c);

#pragma unroll
            for (int k = 0; k < V; k++)
                dx.v[k] += more.v[k];
        }
        store(a.dx + at + c, dx);
    }
}

#define LAUNCH_ROWS(kernel, wide, stream, a)                                                                 \
    do {                                                                                                     \
        if (wide)                                                                                            \
            LAUNCH(kernel<4>, (unsigned)(a).rows, threads_for((a).width), 0, stream, a);                     \
        else                                                                                                 \
            LAUNCH(kernel<1>, (unsigned)(a).rows, threads_for((a).width), 0, stream, a);                     \
    } while (0)

void kernel_norm_forward(cudaStream_t stream, const struct norm_arg *a)
{
    const bool wide = a->width % 4 == 0 && on_16(a->x) && on_16(a->w) && on_16(a->y) &&
                      (!a->residual || (on_16(a->residual) && on_16(a->sum)));

    LAUNCH_ROWS(norm_forward, wide, stream, *a);
}

void kernel_norm_apply(cudaStream_t stream, const struct norm_arg *a)
{
    LAUNCH_ROWS(norm_apply, a->width % 4 == 0 && on_16(a->x) && on_16(a->w) && on_16(a->y), stream, *a);
}

/* ---- sums over rows: parts, then the parts in their order ---- */
/* Of dy; with x of dy x, with rstd times that of the row. */
__global__ void __launch_bounds__(COLUMNS) column_parts(const float *dy, const float *x, const float *rstd,
                                                        int64_t rows, int64_t width, float *parts)
{
    const int64_t c = (int64_t)blockIdx.x * blockDim.x + threadIdx.x,
                  each = (rows + gridDim.y - 1) / gridDim.y, from = blockIdx.y * each,
                  to = min(from + each, rows);
    float sum = 0;

    if (c >= width)
        return;
    for (int64_t i = from; i < to; i++)
        sum += dy[i * width + c] * (x ? x[i * width + c] : 1.0f) * (rstd ? rstd[i] : 1.0f);
    parts[blockIdx.y * width + c] = sum;
}

__global__ void __launch_bounds__(COLUMNS)
    add_parts(const float *parts, int64_t n, int64_t width, const float *scale, float *sums)
{
    const int64_t c = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    float sum = 0;

    if (c >= width)
        return;
    for (int64_t p = 0; p < n; p++)
        sum += parts[p * width + c];
    sums[c] += scale ? sum * scale[c] : sum;
}

struct column_sum {
    const float *dy, *x, *rstd; /* x and rstd may be NULL */
    int64_t rows, width;
    const float *scale; /* [width] or NULL */
    float *sums;        /* added to */
};

static void sum_columns(cudaStream_t stream, const struct column_sum &c, float *scratch)
{
    const unsigned blocks = blocks_for(c.width, COLUMNS), parts = (unsigned)kernel_parts(c.rows);

    LAUNCH(column_parts, dim3(blocks, parts), COLUMNS, 0, stream, c.dy, c.x, c.rstd, c.rows, c.width,
           scratch);
    LAUNCH(add_parts, blocks, COLUMNS, 0, stream, scratch, parts, c.width, c.scale, c.sums);
}

void kernel_column_sums(cudaStream_t stream, const float *x, int64_t rows, int64_t width, float *sums,
                        float *scratch)
{
    sum_columns(stream, {x, nullptr, nullptr, rows, width, nullptr, sums}, scratch);
}

void kernel_norm_backward(cudaStream_t stream, const struct norm_arg *a, float *scratch)
{
    const bool wide = a->width % 4 == 0 && on_16(a->x) && on_16(a->w) && on_16(a->dy) && on_16(a->dx) &&
                      (!a->dresidual || on_16(a->dresidual));

    if (a->dw) /* first: dx may be where dy is */
        sum_columns(stream, {a->dy, a->x, a->rstd, a->rows, a->width, nullptr, a->dw}, scratch);
    LAUNCH_ROWS(norm_backward, wide, stream, *a);
}

/* ---- weights scaled to a learned length (DoRA) ---- */
/* |W + s B A|^2 of row j is |W_j|^2 + 2 s b_j . (A W_j) + s^2 b_j (A A^T) b_j: differences, so in double. */
__global__ void __launch_bounds__(COLUMNS) dora_factors(struct dora_arg a)
{
    const int64_t j = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    const float *b = a.b + j * a.rank;
    double cross = 0, low = 0, s = (double)a.scale, norm;

    if (j >= a.out)
        return;
    for (int64_t k = 0; k < a.rank; k++) {
        double along = 0;

        for (int64_t l = 0; l < a.rank; l++)
            along += (double)a.aa[k * a.rank + l] * (double)b[l];
        low += along * (double)b[k];
        cross += (double)a.aw[k * a.out + j] * (double)b[k];
    }
    norm = sqrt(fmax((double)a.squares[j] + 2 * s * cross + s * s * low, 0.0));
    a.inverse[j] = (float)(1 / norm);
    a.factor[j] = (float)((double)a.magnitude[j] / norm);
}

/* to = from factor + bias */
__global__ void __launch_bounds__(EACH)
    dora_scale(float *to, const float *from, const float *factor, const float *bias, int64_t n, int64_t width)
{
    const int64_t i = each_index(1);

    if (i < n)
        to[i] = from[i] * factor[i % width] + (bias ? bias[i % width] : 0.0f);
}

void kernel_dora_factors(cudaStream_t stream, const struct dora_arg *a)
{
    LAUNCH(dora_factors, blocks_for(a->out, COLUMNS), COLUMNS, 0, stream, *a);
}

void kernel_dora_forward(cudaStream_t stream, const struct dora_arg *a)
{
    const int64_t n = a->rows * a->out;

    LAUNCH(dora_scale, blocks_for(n, EACH), EACH, 0, stream, a->y, a->y, a->factor, a->bias, n, a->out);
}

void kernel_dora_backward(cudaStream_t stream, const struct dora_arg *a, float *scratch)
{
    const int64_t n = a->rows * a->out;

    if (a->dmagnitude)
        sum_columns(stream, {a->dy, a->raw, nullptr, a->rows, a->out, a->inverse, a->dmagnitude}, scratch);
    if (a->dbias)
        sum_columns(stream, {a->dy, nullptr, nullptr, a->rows, a->out, nullptr, a->dbias}, scratch);
    LAUNCH(dora_scale, blocks_for(n, EACH), EACH, 0, stream, a->draw, a->dy, a->factor, nullptr, n, a->out);
}
