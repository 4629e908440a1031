#include "tests/support/golden.h"
#include "gpu/rng.h"
#include "runtime/base/mem.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BATCH = 3, LENGTH = 40, VOCABULARY = 384 }; /* of make_golden.py */

void ok(enum lc code, const struct err *err)
{
    if (code != LC_OK)
        fail_msg("%s: %s (%s; %s)", lc_name(code), err->message, err->cause, err->hint);
}

struct backend *open_backend(const char *name, int threads)
{
    struct backend_options o = {.threads = threads};
    struct backend *b = NULL;
    struct err err;

    ok(backend_open(name, &o, &b, &err), &err);
    assert_string_equal(b->name, name); /* not a fallback */
    return b;
}

const char *test_device(void)
{
    const char *named = getenv("LACUS_TEST_DEVICE");

    return named && *named ? named : "cpu";
}

struct model *golden_model(struct backend *b, const char *folder)
{
    struct ctx ctx = ctx_background();
    struct model *m = NULL;
    struct err err;
    char path[200];

    snprintf(path, sizeof path, GOLDEN "%s", folder);
    ok(model_load(&ctx, path, b, NULL, &m, &err), &err);
    return m;
}

static void golden_pack(struct golden *g)
{
    struct err err;

    model_packed_release(&g->packed);
    ok(model_pack(g->ids, g->mask, g->labels, g->n, g->length, &g->packed, &err), &err);
}

void golden_open(struct golden *g, const char *folder)
{
    struct err err;
    char path[200];
    int64_t n;

    memset(g, 0, sizeof *g);
    g->n = BATCH;
    g->length = LENGTH;
    snprintf(path, sizeof path, GOLDEN "%s/golden.safetensors", folder);
    ok(safetensors_open(path, &g->st, &err), &err);
    if (safetensors_find(g->st, "input_ids")) {
        g->ids = golden_ints(g->st, "input_ids", &n);
        g->mask = golden_ints(g->st, "attention_mask", &n);
        g->labels = golden_ints(g->st, "labels", &n);
        golden_pack(g);
    } else {
        golden_batch(g, 100);
    }
}

void golden_close(struct golden *g)
{
    safetensors_close(g->st);
    mem_free(g->ids);
    mem_free(g->mask);
    mem_free(g->labels);
    model_packed_release(&g->packed);
}

void golden_batch(struct golden *g, uint32_t seed)
{
    struct mt19937 mt;
    size_t places = BATCH * LENGTH;

    g->ids = mem_reallocn(g->ids, places, sizeof *g->ids);
    g->mask = mem_reallocn(g->mask, places, sizeof *g->mask);
    g->labels = mem_reallocn(g->labels, places, sizeof *g->labels);
    mt19937_seed(&mt, seed);
    for (size_t i = 0; i < places; i++)
        g->ids[i] = 3 + mt19937_next(&mt) % (VOCABULARY - 3);
    for (int s = 0; s < BATCH; s++)
        for (int i = 0; i < LENGTH; i++) {
            int at = s * LENGTH + i;

            g->mask[at] = i < LENGTH - 7 * s;
            g->labels[at] = i < 5 || !g->mask[at] ? -100 : g->ids[at];
            g->ids[at] = g->mask[at] ? g->ids[at] : 0;
        }
    golden_pack(g);
}

json_t *golden_json(const char *folder, const char *name)
{
    json_error_t fault;
    char path[200];
    json_t *root;

    snprintf(path, sizeof path, GOLDEN "%s/%s", folder, name);
    root = json_load_file(path, 0, &fault);
    assert_non_null(root);
    return root;
}

static const struct safetensor *find(const struct safetensors *st, const char *name, enum st_dtype dtype)
{
    const struct safetensor *t = safetensors_find(st, name);

    if (!t || t->dtype != dtype)
        fail_msg("golden tensor %s is missing", name);
    return t;
}

float *golden_floats(const struct safetensors *st, const char *name, int64_t *n)
{
    const struct safetensor *t = find(st, name, ST_F32);
    float *out = mem_alloc(t->bytes);

    memcpy(out, t->data, t->bytes);
    *n = (int64_t)(t->bytes / sizeof *out);
    return out;
}

int64_t *golden_ints(const struct safetensors *st, const char *name, int64_t *n)
{
    const struct safetensor *t = find(st, name, ST_I64);
    int64_t *out = mem_alloc(t->bytes);

    memcpy(out, t->data, t->bytes);
    *n = (int64_t)(t->bytes / sizeof *out);
    return out;
}

double relative(const float *a, const float *b, int64_t n)
{
    double most = 0, scale = 0;

    for (int64_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - (double)b[i]);

        most = d > most || isnan(d) ? d : most;
        scale = fmax(scale, fabs((double)b[i]));
    }
    return scale > 0 ? most / scale : most;
}

void close_to(const char *what, const float *a, const float *b, int64_t n, double tolerance)
{
    double r = relative(a, b, n);

    if (!(r <= tolerance))
        fail_msg("%s: max|a-b|/max|b| is %.3g, more than %.1g", what, r, tolerance);
}

float *read_tensor(const struct tensor *t)
{
    int64_t n = tensor_elements(t);
    float *out = mem_alloc((size_t)n * sizeof *out);
    struct err err;

    ok(tensor_read(t, 0, n, out, &err), &err);
    return out;
}

void read_parameters(const struct model *m, struct buf *out)
{
    for (size_t i = 0; i < model_parameters(m); i++) {
        struct parameter p;
        float *values;

        model_parameter(m, i, &p);
        values = read_tensor(&p.value);
        assert_true(buf_add(out, values, (size_t)tensor_elements(&p.value) * sizeof *values));
        mem_free(values);
    }
}

void tensor_close_to(const struct tensor *t, const struct safetensors *st, const char *name, double tolerance)
{
    int64_t n;
    float *b = golden_floats(st, name, &n), *a;

    assert_int_equal(n, tensor_elements(t));
    a = read_tensor(t);
    close_to(name, a, b, n, tolerance);
    mem_free(a);
    mem_free(b);
}

void near_to(double a, double b, double tolerance)
{
    if (!(fabs(a - b) <= tolerance))
        fail_msg("%.9g is not %.9g (tolerance %g)", a, b, tolerance);
}
