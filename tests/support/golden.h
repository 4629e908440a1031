/* golden.h: for the engine's tests: reads what PyTorch and transformers computed (tests/golden, made by
 * make_golden.py there) and compares by max|a - b| / max|b|. Assertions are cmocka's. */
#ifndef LACUS_TESTS_GOLDEN_H
#define LACUS_TESTS_GOLDEN_H
#include "gpu/lora.h"
#include "gpu/model.h"
#include "gpu/safetensors.h"
#include "runtime/base/buf.h"
#include <jansson.h>

#define GOLDEN "tests/golden/"

struct golden {
    struct safetensors *st;
    int64_t *ids, *mask, *labels; /* owned, [n, length] */
    int64_t n, length;
    struct model_packed packed;
};

void ok(enum lc code, const struct err *err); /* fails with the error's text */
struct backend *open_backend(const char *name, int threads);
/* What the tests compare with the reference: "cpu", or LACUS_TEST_DEVICE. */
const char *test_device(void);
struct model *golden_model(struct backend *b, const char *folder);
void golden_open(struct golden *g, const char *folder);
void golden_close(struct golden *g);
/* make_golden.py's batch(seed), drawn again as torch draws it; replaces ids, mask, labels and packed. */
void golden_batch(struct golden *g, uint32_t seed);
json_t *golden_json(const char *folder, const char *name);
float *golden_floats(const struct safetensors *st, const char *name, int64_t *n); /* mem_free */
int64_t *golden_ints(const struct safetensors *st, const char *name, int64_t *n); /* mem_free */
void near_to(double a, double b, double tolerance);                               /* absolute */
double relative(const float *a, const float *b, int64_t n);
float *read_tensor(const struct tensor *t);                   /* mem_free */
void read_parameters(const struct model *m, struct buf *out); /* appends the values of all */
/* Fails when a differs from b by more than the tolerance. */
void close_to(const char *what, const float *a, const float *b, int64_t n, double tolerance);
void tensor_close_to(const struct tensor *t, const struct safetensors *st, const char *name,
                     double tolerance);
#endif
