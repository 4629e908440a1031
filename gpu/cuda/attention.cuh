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

/* Queries of one head, blockIdx.y: where their rows are, and which keys they go over, low .. end in whole tiles. */
struct query_block {
    place p;
    int64_t q_stride, kv_stride, q_at, kv_at, of_row, low, end;
};

static __device__ __forceinline__ query_block query_block_of(const struct attention_arg &a, int dim, int rows,
                                                             int tile)
{
    const int64_t head = blockIdx.y;
    query_block b;

    b.p = place_of(a, rows);
    b.q_stride = a.heads * dim;
    b.kv_stride = a.kv_heads * dim;
    b.q_at = b.p.start * b.q_stride + head * dim;
    b.kv_at = b.p.start * b.kv_stride + head / (a.heads / a.kv_heads) * dim;
    b.of_row = head * a.rows + b.p.start;
    b.low = a.window > 0 && b.p.first >= a.window ? (b.p.first - a.window + 1) / tile * tile : 0;
    b.end = min(b.p.first + rows, b.p.length);
    return b;
}

/* Keys of one head of theirs, blockIdx.y: where their rows are, and the end of the queries that see them. */
struct key_block {
    place p;
    int64_t q_stride, kv_stride, kv_at, group, end;
};

static __device__ __forceinline__ key_block key_block_of(const struct attention_arg &a, int dim, int rows)
{
    key_block b;

    b.p = place_of(a, rows);
    b.q_stride = a.heads * dim;
    b.kv_stride = a.kv_heads * dim;
    b.kv_at = b.p.start * b.kv_stride + (int64_t)blockIdx.y * dim;
    b.group = a.heads / a.kv_heads;
    b.end = a.window > 0 ? min(b.p.length, b.p.first + rows + a.window - 1) : b.p.length;
    return b;
}

static __device__ __forceinline__ bool sees(int64_t query, int64_t key, int64_t window)
{
    return key <= query && (window <= 0 || key > query - window);
}
#endif
