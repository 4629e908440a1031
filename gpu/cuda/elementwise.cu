/* elementwise.cu: one thread for one element, or for four that lie together. */
#include "gpu/cuda/device.cuh"

template <class To, class From> __global__ void convert(To *to, const From *from, int64_t n)
{
    const int64_t i = each_index(1);

    if (i < n)
        narrow(&to[i], wide(from[i]));
}

template <class To>
static void convert_to(cudaStream_t stream, To *to, const void *from, enum dtype from_type, int64_t n)
{
    const unsigned blocks = blocks_for(n, EACH);

    if (from_type == DTYPE_F32)
        LAUNCH((convert<To, float>), blocks, EACH, 0, stream, to, static_cast<const float *>(from), n);
    else if (from_type == DTYPE_BF16)
        LAUNCH((convert<To, bf16>), blocks, EACH, 0, stream, to, static_cast<const bf16 *>(from), n);
    else
        LAUNCH((convert<To, __half>), blocks, EACH, 0, stream, to, static_cast<const __half *>(from), n);
}

/* What products of bf16 factors start with: eight floats a thread. */
__global__ void __launch_bounds__(EACH) round_8(bf16 *to, const float *from, int64_t n)
{
    const int64_t i = each_index(8);

    if (i >= n)
        return;
    const floats<4> a = load<4>(from + i), b = load<4>(from + i + 4);
    *reinterpret_cast<uint4 *>(to + i) = make_uint4(pair_bf16(a.v[0], a.v[1]), pair_bf16(a.v[2], a.v[3]),
                                                    pair_bf16(b.v[0], b.v[1]), pair_bf16(b.v[2], b.v[3]));
}

void kernel_convert(cudaStream_t stream, void *to, enum dtype to_type, const void *from, enum dtype from_type,
                    int64_t n)
{
    if (n == 0)
        return;
    if (to_type == DTYPE_BF16 && from_type == DTYPE_F32 && n % 8 == 0 && on_16(to) && on_16(from))
        LAUNCH(round_8, blocks_for(n, 8 * EACH), EACH, 0, stream, static_cast<bf16 *>(to),
               static_cast<const float *>(from), n);
    else if (to_type == DTYPE_F32)
        convert_to(stream, static_cast<float *>(to), from, from_type, n);
    else if (to_type == DTYPE_BF16)
        convert_to(stream, static_cast<bf16 *>(to), from, from_type, n);
    else
        convert_to(stream, static_cast<__half *>(to), from, from_type, n);
}

template <int V> __global__ void __launch_bounds__(EACH) add(float *y, const float *x, float scale, int64_t n)
{
    const int64_t i = each_index(V);

    if (i >= n)
        return;
    const floats<V> a = load<V>(x + i);
    floats<V> b = load<V>(y + i);
#pragma unroll
    for (int k = 0; k < V; k++)
        b.v[k] += scale * a.v[k];
    store(y + i, b);
}

void kernel_add(cudaStream_t stream, float *y, const float *x, float scale, int64_t n)
{
    if (n)
        LAUNCH_EACH(add, n, n % 4 == 0 && on_16(y) && on_16(x), stream, y, x, scale, n);
}

template <int V>
__global__ void __launch_bounds__(EACH) dropout(struct dropout_arg a, uint32_t threshold, float keep)
{
    const int64_t i = each_index(V);

    if (i >= a.n)
        return;
    floats<V> x = load<V>(a.x + i);
#pragma unroll
    for (int k = 0; k < V; k++)
        x.v[k] = mask_bits(a.seed, (uint64_t)(i + k)) >= threshold ? x.v[k] * keep : 0.0f;
    if (a.add) {
        const floats<V> y = load<V>(a.y + i);

#pragma unroll
        for (int k = 0; k < V; k++)
            x.v[k] += y.v[k];
    }
    store(a.y + i, x);
}

void kernel_dropout(cudaStream_t stream, const struct dropout_arg *a, uint32_t threshold)
{
    if (a->n)
        LAUNCH_EACH(dropout, a->n, a->n % 4 == 0 && on_16(a->x) && on_16(a->y), stream, *a, threshold,
                    1 / (1 - a->p));
}

static __device__ __forceinline__ float sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

template <int V> __global__ void __launch_bounds__(EACH) swiglu_forward(struct swiglu_arg a)
{
    const int64_t i = each_index(V);

    if (i >= a.n)
        return;
    const floats<V> g = load<V>(a.gate + i), u = load<V>(a.up + i);
    floats<V> y;
#pragma unroll
    for (int k = 0; k < V; k++)
        y.v[k] = g.v[k] * sigmoid(g.v[k]) * u.v[k];
    store(a.y + i, y);
}

/* dgate and dup may be gate and up: a thread reads its elements before it writes them. */
template <int V> __global__ void __launch_bounds__(EACH) swiglu_backward(struct swiglu_arg a)
{
    const int64_t i = each_index(V);

    if (i >= a.n)
        return;
    const floats<V> g = load<V>(a.gate + i), u = load<V>(a.up + i), d = load<V>(a.dy + i);
    floats<V> y, dg, du;
#pragma unroll
    for (int k = 0; k < V; k++) {
        const float s = sigmoid(g.v[k]);

        y.v[k] = g.v[k] * s * u.v[k];
        dg.v[k] = d.v[k] * u.v[k] * s * (1.0f + g.v[k] * (1.0f - s));
        du.v[k] = d.v[k] * g.v[k] * s;
    }
    if (a.y)
        store(a.y + i, y);
    store(a.dgate + i, dg);
    store(a.dup + i, du);
}

void kernel_swiglu_forward(cudaStream_t stream, const struct swiglu_arg *a)
{
    if (a->n)
        LAUNCH_EACH(swiglu_forward, a->n, a->n % 4 == 0 && on_16(a->gate) && on_16(a->up) && on_16(a->y),
                    stream, *a);
}

void kernel_swiglu_backward(cudaStream_t stream, const struct swiglu_arg *a)
{
    const bool wide = a->n % 4 == 0 && on_16(a->gate) && on_16(a->up) && on_16(a->dy) && on_16(a->dgate) &&
                      on_16(a->dup) && (!a->y || on_16(a->y));

    if (a->n)
        LAUNCH_EACH(swiglu_backward, a->n, wide, stream, *a);
}

struct adamw_numbers { /* constants of a step, rounded as the reference rounds them */
    float keep, step, root, b1, b2, c2, eps, grad_scale;
};

template <int V>
__global__ void __launch_bounds__(EACH)
    adamw(float *param, float *m, float *v, const float *grad, int64_t n, struct adamw_numbers c)
{
    const int64_t i = each_index(V);

    if (i >= n)
        return;
    const floats<V> g4 = load<V>(grad + i);
    floats<V> p4 = load<V>(param + i), m4 = load<V>(m + i), v4 = load<V>(v + i);
#pragma unroll
    for (int k = 0; k < V; k++) {
        const float g = g4.v[k] * c.grad_scale;

        m4.v[k] += c.b1 * (g - m4.v[k]);
        v4.v[k] = c.b2 * v4.v[k] + c.c2 * g * g;
        p4.v[k] = p4.v[k] * c.keep - c.step * (m4.v[k] / (sqrtf(v4.v[k]) / c.root + c.eps));
    }
    store(param + i, p4);
    store(m + i, m4);
    store(v + i, v4);
}

void kernel_adamw(cudaStream_t stream, const struct adamw_arg *a)
{
    struct adamw_numbers c;

    c.keep = (float)(1 - a->lr * a->weight_decay);
    c.step = (float)(a->lr / a->bias1);
    c.root = (float)sqrt(a->bias2);
    c.b1 = (float)(1 - a->beta1);
    c.b2 = (float)a->beta2;
    c.c2 = (float)(1 - a->beta2);
    c.eps = (float)a->eps;
    c.grad_scale = a->grad_scale;
    if (a->n)
        LAUNCH_EACH(adamw, a->n,
                    a->n % 4 == 0 && on_16(a->param) && on_16(a->m) && on_16(a->v) && on_16(a->grad), stream,
                    a->param, a->m, a->v, a->grad, a->n, c);
}

/* Part b of CUDA_SQUARES: a fixed range, so that the sum has one order. */
__global__ void __launch_bounds__(EACH) sum_squares(const float *x, int64_t n, double *parts)
{
    const int64_t each = (n + CUDA_SQUARES - 1) / CUDA_SQUARES, from = blockIdx.x * each,
                  to = min(from + each, n);
    double sum = 0;

    for (int64_t i = from + threadIdx.x; i < to; i += blockDim.x)
        sum += (double)x[i] * (double)x[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0)
        parts[blockIdx.x] = sum;
}

void kernel_sum_squares(cudaStream_t stream, const float *x, int64_t n, double *parts)
{
    LAUNCH(sum_squares, CUDA_SQUARES, n < CUDA_SQUARES * EACH ? 32 : EACH, 0, stream, x, n, parts);
}
