/* attention.cuh: what the kernels of attention share: which rows a block has, and which keys a query sees. */
#ifndef LACUS_GPU_CUDA_ATTENTION_CUH
#define LACUS_GPU_CUDA_ATTENTION_CUH
#include "gpu/cuda/device.cuh"

struct
    place { /* of a block: rows start .. start + length are one sequence; `first` is the block's own, in it */
    int64_t start, length, first;
};

static __device__ __forceinline__ place place_of(const struct attention_arg &a, int rows)
{
    place p;

    p.start = a.starts[blockIdx.z];
    p.length = a.starts[blockIdx.z + 1] - p.start;
    p.first = (int64_t)blockIdx.x * rows;
    return p;
}

static __device__ __forceinline__ bool sees(int64_t query, int64_t key, int64_t window)
{
    return key <= query && (window <= 0 || key > query - window);
}
#endif
