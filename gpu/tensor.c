#include "gpu/tensor.h"
#include "gpu/quant.h"
#include "runtime/base/mem.h"
#include <math.h>

enum { BLOCK = 1 << 16 };

int64_t tensor_elements(const struct tensor *t)
{
    int64_t n = 1;

    for (int i = 0; i < t->ndim; i++)
        n *= t->shape[i];
    return n;
}

static enum lc check_range(const struct tensor *t, int64_t from, int64_t n, struct err *err)
{
    if (!t->data)
        return err_set(err, LC_NOTFOUND, "tensor '%s' has no values", t->name);
    if (from < 0 || n < 0 || from > tensor_elements(t) - n)
        return err_set(err, LC_ARG, "tensor '%s' has %lld elements: cannot reach %lld to %lld", t->name,
                       (long long)tensor_elements(t), (long long)from, (long long)(from + n));
    return LC_OK;
}

/* A quantised matrix has one region: it comes over whole. */
static enum lc read_quantized(const struct tensor *t, int64_t from, int64_t n, float *out, struct err *err)
{
    const struct backend_ops *ops = t->backend->ops;
    int64_t columns = t->ndim > 1 ? t->shape[1] : tensor_elements(t);
    size_t bytes = quant_bytes(t->dtype, t->shape[0], columns);
    void *raw = ops->host_visible ? NULL : mem_alloc(bytes);
    enum lc code = ops->host_visible ? LC_OK
                   : raw             ? ops->download(t->backend->state, NULL, raw, t->data, bytes, err)
                                     : err_nomem(err);

    if (code == LC_OK) {
        struct quant q = quant_view(raw ? raw : t->data, t->dtype, t->shape[0], columns);

        quant_decode(&q, from, n, out);
    }
    mem_free(raw);
    return code;
}

enum lc tensor_read(const struct tensor *t, int64_t from, int64_t n, float *out, struct err *err)
{
    const struct backend_ops *ops = t->backend->ops;
    size_t size = dtype_size(t->dtype), bytes = (size_t)n * size;
    const char *at = (const char *)t->data + (size_t)from * size;
    void *raw;
    enum lc code;

    TRY(check_range(t, from, n, err));
    if (dtype_quantized(t->dtype))
        return read_quantized(t, from, n, out, err);
    if (t->dtype == DTYPE_F32)
        return ops->download(t->backend->state, NULL, out, at, bytes, err);
    raw = mem_alloc(bytes);
    code = raw ? ops->download(t->backend->state, NULL, raw, at, bytes, err) : err_nomem(err);
    if (code == LC_OK)
        dtype_to_f32(out, raw, t->dtype, (size_t)n);
    mem_free(raw);
    return code;
}

enum lc tensor_write(const struct tensor *t, int64_t from, int64_t n, const float *in, struct err *err)
{
    const struct backend_ops *ops = t->backend->ops;
    size_t size = dtype_size(t->dtype), bytes = (size_t)n * size;
    char *at = (char *)t->data + (size_t)from * size;
    void *raw;
    enum lc code;

    TRY(check_range(t, from, n, err));
    if (dtype_quantized(t->dtype) && n != tensor_elements(t))
        return err_set(err, LC_UNSUPPORTED, "tensor '%s' is kept in %s: it can be written only as a whole",
                       t->name, dtype_torch(t->dtype));
    if (dtype_quantized(t->dtype))
        bytes = quant_bytes(t->dtype, t->shape[0], t->shape[1]);
    raw = mem_alloc(bytes);
    if (!raw)
        return err_nomem(err);
    if (dtype_quantized(t->dtype))
        quant_encode(in, t->shape[0], t->shape[1], t->dtype, raw);
    else
        dtype_from_f32(raw, t->dtype, in, (size_t)n);
    code = ops->upload(t->backend->state, NULL, at, raw, bytes, err);
    if (code == LC_OK)
        code = ops->sync(t->backend->state, NULL, err);
    mem_free(raw);
    return code;
}

enum lc tensor_norm(const struct tensor *t, double *out, struct err *err)
{
    int64_t n = tensor_elements(t);
    float *block;
    double sum = 0;
    enum lc code = LC_OK;

    TRY(check_range(t, 0, n, err));
    block = mem_reallocn(NULL, BLOCK, sizeof *block);
    if (!block)
        return err_nomem(err);
    for (int64_t from = 0; from < n && code == LC_OK; from += BLOCK) {
        int64_t some = n - from < BLOCK ? n - from : BLOCK;

        code = tensor_read(t, from, some, block, err);
        for (int64_t i = 0; i < some && code == LC_OK; i++)
            sum += (double)block[i] * (double)block[i];
    }
    mem_free(block);
    if (code == LC_OK)
        *out = sqrt(sum);
    return code;
}
