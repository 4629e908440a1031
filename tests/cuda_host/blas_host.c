/* blas_host.c: as much of cuBLASLt as blas.c calls, as plain loops: shows that what it is asked is what is meant.
 * LACUS_CUDA_BLAS=0: not there, so that the kernels of our own do the products. */
#include "gpu/cuda/blas_api.h"
#include "gpu/dtype.h"
#include "runtime/base/mem.h"
#include "tests/cuda_host/stream.h"
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct desc {
    int32_t op[2], epilogue, modes[2];
    const float *bias, *scales[2];
};
_Static_assert(sizeof(struct desc) <= 64, "make gives 64 bytes");

struct layout { /* column-major */
    int type;
    uint64_t rows, columns;
    int64_t distance;
};

static int make(void **out)
{
    *out = mem_zalloc(64);
    return *out ? 0 : 3;
}

static int drop(void *p)
{
    mem_free(p);
    return 0;
}

static size_t version(void)
{
    return 0;
}

static int desc_create(void **out, int compute, int scale_type)
{
    return compute == LT_COMPUTE_32F && scale_type == LT_R_32F ? make(out) : 7;
}

static const struct attribute {
    size_t at, size; /* in struct desc */
} ATTRIBUTES[] = {
    [LT_DESC_TRANSA] = {offsetof(struct desc, op[0]), sizeof(int32_t)},
    [LT_DESC_TRANSB] = {offsetof(struct desc, op[1]), sizeof(int32_t)},
    [LT_DESC_EPILOGUE] = {offsetof(struct desc, epilogue), sizeof(int32_t)},
    [LT_DESC_A_SCALE_MODE] = {offsetof(struct desc, modes[0]), sizeof(int32_t)},
    [LT_DESC_B_SCALE_MODE] = {offsetof(struct desc, modes[1]), sizeof(int32_t)},
    [LT_DESC_BIAS_POINTER] = {offsetof(struct desc, bias), sizeof(float *)},
    [LT_DESC_A_SCALE] = {offsetof(struct desc, scales[0]), sizeof(float *)},
    [LT_DESC_B_SCALE] = {offsetof(struct desc, scales[1]), sizeof(float *)},
};

static int desc_set(void *p, int attribute, const void *value, size_t size)
{
    if (attribute < 0 || attribute >= (int)(sizeof ATTRIBUTES / sizeof *ATTRIBUTES) || !size ||
        ATTRIBUTES[attribute].size != size)
        return 7;
    memcpy((char *)p + ATTRIBUTES[attribute].at, value, size);
    return 0;
}

static int layout_create(void **out, int type, uint64_t rows, uint64_t columns, int64_t distance)
{
    struct layout l = {type, rows, columns, distance};

    if (distance < (int64_t)rows || make(out) != 0)
        return 7;
    memcpy(*out, &l, sizeof l);
    return 0;
}

static int prefer_set(void *p, int attribute, const void *value, size_t size)
{
    (void)p;
    (void)value;
    return attribute == LT_PREFER_WORKSPACE && size == sizeof(size_t) ? 0 : 7;
}

static uint64_t rows_of(const struct layout *l, int32_t op)
{
    return op == LT_OP_T ? l->columns : l->rows;
}

static uint64_t columns_of(const struct layout *l, int32_t op)
{
    return op == LT_OP_T ? l->rows : l->columns;
}

static bool eight(const struct layout *l)
{
    return l->type == LT_R_E4M3 || l->type == LT_R_E5M2;
}

/* What the library says of 8-bit factors: the first on its side, sizes of 16, scales in vectors for both, no bias of f32. */
static bool eight_fits(const struct desc *how, const struct layout *first, const struct layout *second)
{
    return eight(first) && eight(second) && !(first->type == LT_R_E5M2 && second->type == LT_R_E5M2) &&
           how->op[0] == LT_OP_T && how->op[1] == LT_OP_N && first->rows % 16 == 0 &&
           first->columns % 16 == 0 && first->distance % 16 == 0 && second->distance % 16 == 0 &&
           how->modes[0] == LT_SCALE_OUTER && how->modes[1] == LT_SCALE_OUTER && how->scales[0] &&
           how->scales[1] && how->epilogue != LT_EPILOGUE_BIAS;
}

static int heuristic(void *handle, void *desc, void *a, void *b, void *c, void *d, void *preference,
                     int wanted, struct lt_heuristic *results, int *found)
{
    const struct desc *how = desc;
    const struct layout *first = a, *second = b, *to = c;

    (void)handle;
    (void)preference;
    (void)d;
    if (wanted < 1 || (eight(first) ? !eight_fits(how, first, second) : first->type != second->type) ||
        to->type != LT_R_32F || rows_of(first, how->op[0]) != to->rows ||
        columns_of(second, how->op[1]) != to->columns ||
        columns_of(first, how->op[0]) != rows_of(second, how->op[1]))
        return 7;
    memset(results, 0, sizeof *results);
    *found = 1;
    return 0;
}

static double small_float(uint8_t code, int digits, int bias)
{
    int exponent = code >> digits & (0x7f >> digits), rest = code & ((1 << digits) - 1);
    double x =
        exponent ? ldexp((1 << digits) + rest, exponent - bias - digits) : ldexp(rest, 1 - bias - digits);

    if ((code & 0x7f) > (digits == 3 ? 0x7e : 0x7b))
        return NAN; /* e5m2 has infinities, too: nobody makes them */
    return code & 0x80 ? -x : x;
}

static double at(const void *data, const struct layout *l, int32_t op, uint64_t i, uint64_t j)
{
    size_t place = (size_t)(op == LT_OP_T ? j + i * (uint64_t)l->distance : i + j * (uint64_t)l->distance);

    switch (l->type) {
    case LT_R_E4M3:
        return small_float(((const uint8_t *)data)[place], 3, 7);
    case LT_R_E5M2:
        return small_float(((const uint8_t *)data)[place], 2, 15);
    case LT_R_16BF:
        return (double)dtype_from_bf16(((const uint16_t *)data)[place]);
    default:
        return (double)((const float *)data)[place];
    }
}

struct product { /* all that a call says, as it is when it is made */
    struct desc how;
    struct layout first, second, to;
    float scale, keep;
    const void *a, *b;
    float *out;
};

static bool run_product(void *arg)
{
    struct product p;

    memcpy(&p, arg, sizeof p);
    cuda_host_begin();
    for (uint64_t j = 0; j < p.to.columns; j++)
        for (uint64_t i = 0; i < p.to.rows; i++) {
            float *place = &p.out[i + j * (uint64_t)p.to.distance];
            double sum = 0;

            for (uint64_t k = 0; k < columns_of(&p.first, p.how.op[0]); k++)
                sum += at(p.a, &p.first, p.how.op[0], i, k) * at(p.b, &p.second, p.how.op[1], k, j);
            if (eight(&p.first))
                sum *= (double)p.how.scales[0][i] * (double)p.how.scales[1][j];
            *place = (float)((double)p.scale * sum + (p.keep != 0 ? (double)(p.keep * *place) : 0)) +
                     (p.how.epilogue == LT_EPILOGUE_BIAS ? p.how.bias[i] : 0);
        }
    cuda_host_end();
    return true;
}

static int matmul(void *handle, void *desc, const void *alpha, const void *a, void *a_layout, const void *b,
                  void *b_layout, const void *beta, const void *c, void *c_layout, void *d, void *d_layout,
                  const struct lt_algorithm *algorithm, void *workspace, size_t workspace_bytes,
                  struct CUstream_st *stream)
{
    struct product p;

    (void)handle;
    (void)algorithm;
    if (c != d || c_layout != d_layout || !workspace || !workspace_bytes)
        return 7;
    memset(&p, 0, sizeof p);
    p.how = *(const struct desc *)desc;
    p.first = *(const struct layout *)a_layout;
    p.second = *(const struct layout *)b_layout;
    p.to = *(const struct layout *)c_layout;
    p.scale = *(const float *)alpha;
    p.keep = *(const float *)beta;
    p.a = a;
    p.b = b;
    p.out = d;
    cuda_host_put(stream, "a product", run_product, &p, sizeof p);
    return 0;
}

int blas_load(struct blas_api *out, char *why, size_t size)
{
    const char *wanted = getenv("LACUS_CUDA_BLAS");

    if (wanted && strcmp(wanted, "0") == 0) {
        snprintf(why, size, "no cuBLASLt: LACUS_CUDA_BLAS is 0");
        return -1;
    }
    *out = (struct blas_api){.create = make,
                             .destroy = drop,
                             .version = version,
                             .desc_create = desc_create,
                             .desc_destroy = drop,
                             .desc_set = desc_set,
                             .layout_create = layout_create,
                             .layout_destroy = drop,
                             .prefer_create = make,
                             .prefer_destroy = drop,
                             .prefer_set = prefer_set,
                             .heuristic = heuristic,
                             .matmul = matmul};
    return 0;
}
