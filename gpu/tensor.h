/* tensor.h: a view of numbers on a backend, with a shape and a name.
 *
 * What      how the engine hands out weights, gradients and logits: no arithmetic here, that is backend.h.
 * Ownership a view owns nothing; it is valid as long as what it was asked from (a model, an output) and, for
 *           logits, until the next forward.
 * Units     elements; row-major.
 * Errors    copies report what the backend reports.
 * Threads   those of the backend.
 *
 * Example:
 *     float row[8];
 *     enum lc code = tensor_read(&view, 0, 8, row, &err);
 */
#ifndef LACUS_GPU_TENSOR_H
#define LACUS_GPU_TENSOR_H
#include "gpu/backend.h"

enum { TENSOR_NAME = 160, TENSOR_DIMS = 4 };

struct tensor {
    const char *name;        /* borrowed; Hugging Face's or PEFT's name of a parameter; "" else */
    struct backend *backend; /* borrowed */
    enum dtype dtype;
    int ndim;
    int64_t shape[TENSOR_DIMS];
    void *data; /* device memory; NULL: absent (a frozen parameter has no gradient) */
};

int64_t tensor_elements(const struct tensor *t);
/* Elements [from, from + n) as f32 on the host. */
enum lc tensor_read(const struct tensor *t, int64_t from, int64_t n, float *out, struct err *err) MUST_CHECK;
/* The reverse, rounded to the tensor's dtype. */
enum lc tensor_write(const struct tensor *t, int64_t from, int64_t n, const float *in,
                     struct err *err) MUST_CHECK;
/* L2 norm (sum in double). */
enum lc tensor_norm(const struct tensor *t, double *out, struct err *err) MUST_CHECK;
#endif
