/* loss.cu: cross-entropy over rows of logits, which become their own gradients. */
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
