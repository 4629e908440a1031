/* loss.cu: cross-entropy, and a teacher's divergence, over rows of logits, which become their own gradients. */
#include "gpu/cuda/device.cuh"

__global__ void __launch_bounds__(256) loss_rows(struct loss_arg a, int64_t from)
{
    const int64_t row = from + blockIdx.x, target = a.targets[row];
    float *z = a.logits + blockIdx.x * a.vocabulary;
    const float s = a.smoothing, scale = a.weights ? a.weights[row] : a.scale, even = s / (float)a.vocabulary;
    const float at_target = z[target];
    float most = -INFINITY, sum = 0, total = 0, lse;

    for (int64_t j = threadIdx.x; j < a.vocabulary; j += blockDim.x)
        most = fmaxf(most, z[j]);
    most = block_max(most);
    for (int64_t j = threadIdx.x; j < a.vocabulary; j += blockDim.x) {
        sum += expf(z[j] - most);
        total += z[j];
    }
    lse = most + logf(block_sum(sum));
    total =
        block_sum(total); /* its barrier also stands between at_target and the gradient that replaces it */
    if (threadIdx.x == 0)
        a.losses[row] = (1 - s) * (lse - at_target) + s * (lse - total / (float)a.vocabulary);
    if (!a.dx)
        return;
    for (int64_t j = threadIdx.x; j < a.vocabulary; j += blockDim.x)
        z[j] = scale * (expf(z[j] - lse) - even - (j == target ? 1 - s : 0.0f));
}

void kernel_loss_rows(cudaStream_t stream, const struct loss_arg *a, int64_t from, int64_t n)
{
    LAUNCH(loss_rows, (unsigned)n, a->vocabulary < 2048 ? 64 : 256, 0, stream, *a, from);
}

/* Log of the sum of exp(cold z), for all threads. */
static __device__ __forceinline__ float row_lse(const float *z, int64_t n, float cold)
{
    float most = -INFINITY, sum = 0;

    for (int64_t j = threadIdx.x; j < n; j += blockDim.x)
        most = fmaxf(most, z[j]);
    most = block_max(most);
    for (int64_t j = threadIdx.x; j < n; j += blockDim.x)
        sum += expf((z[j] - most) * cold);
    return most * cold + logf(block_sum(sum));
}

/* alpha T^2 KL(teacher || student) at temperature T, and (1 - alpha) cross-entropy. */
__global__ void __launch_bounds__(256) distill_rows(struct distill_arg d, int64_t from)
{
    const struct loss_arg &a = d.loss;
    const int64_t row = from + blockIdx.x, target = a.targets[row];
    float *z = a.logits + blockIdx.x * a.vocabulary;
    const float *t = d.logits + blockIdx.x * a.vocabulary;
    const float temperature = (float)d.temperature, cold = 1 / temperature, alpha = (float)d.alpha,
                at_target = z[target];
    const float soft = row_lse(z, a.vocabulary, cold), teacher = row_lse(t, a.vocabulary, cold),
                hard = row_lse(z, a.vocabulary, 1);
    float divergence = 0;

    for (int64_t j = threadIdx.x; j < a.vocabulary; j += blockDim.x) {
        const float q = z[j] * cold - soft, p = t[j] * cold - teacher, weight = expf(p);
        const float g = alpha * temperature * (expf(q) - weight) + (1 - alpha) * expf(z[j] - hard);

        divergence += weight * (p - q);
        if (a.dx)
            z[j] = a.scale * (g - (j == target ? 1 - alpha : 0.0f));
    }
    divergence = block_sum(divergence);
    if (threadIdx.x == 0)
        a.losses[row] = alpha * temperature * temperature * divergence + (1 - alpha) * (hard - at_target);
}

void kernel_distill_rows(cudaStream_t stream, const struct distill_arg *d, int64_t from, int64_t n)
{
    LAUNCH(distill_rows, (unsigned)n, d->loss.vocabulary < 2048 ? 64 : 256, 0, stream, *d, from);
}
