/* engine_record_test.c: a training step that was written down once and is replayed (CUDA graphs) gives the very bits of one
 * whose operations are done one by one, and asks for no memory; what may not be written down is refused. On a device that
 * can do so: LACUS_TEST_DEVICE=cuda, a GPU or the emulated one, whose counts are looked at. */
#include "gpu/lora.h"
#include "gpu/optim.h"
#include "tests/support/golden.h"
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 48, STEPS = 8 };

struct counts { /* tests/cuda_host/stream.h */
    _Atomic long launched, replayed, allocated;
};

static bool can_record(void)
{
    struct backend *b = open_backend(test_device(), 1);
    bool can = b->ops->record_begin != NULL;

    backend_close(b);
    if (!can)
        puts("SKIP: this device does not write down operations (LACUS_TEST_DEVICE=cuda)");
    return can;
}

/* Of the emulated device; zeros on a real one. */
static struct counts *counted(void)
{
    static struct counts none;
    const char *folder = getenv("LACUS_LIB");
    char path[400];
    void *library;

    (void)snprintf(path, sizeof path, "%s/plugins/gpu_cuda.so", folder ? folder : "");
    library = folder ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    return library ? (struct counts *)dlsym(library, "cuda_host_counts") : &none;
}

/* The documents of step k: always ROWS tokens, in two to four documents of other lengths each time. */
static void make_batch(int k, int32_t *ids, int32_t *starts, struct model_batch *b)
{
    int n = k == 0 ? 4 : 3 + k % 2;

    for (int i = 0; i < ROWS; i++)
        ids[i] = (i * 7 + k * 13) % 60;
    for (int i = 0; i < n; i++)
        starts[i] = (int32_t)(i == 0 ? 0 : i * ROWS / n + (k * i) % 5 - 2);
    starts[n] = ROWS;
    *b = (struct model_batch){.rows = ROWS, .sequences = n, .ids = ids, .labels = ids, .starts = starts};
}

struct run {
    double losses[STEPS];
    long replayed, launched[STEPS], allocated[STEPS];
};

static void train(struct run *r, bool full, bool graphs)
{
    struct ctx ctx = ctx_background();
    struct backend *backend = open_backend(test_device(), 1);
    struct model *m = golden_model(backend, "llama3");
    struct optimizer_config config = {0.9, 0.999, 1e-8, 0.01, 1, OPTIMIZER_ADAMW, 0, false};
    struct counts *c = counted();
    int32_t ids[ROWS], starts[5];
    struct optimizer *o;
    struct err err;
    long before = c->replayed;

    assert_int_equal(graphs ? unsetenv("LACUS_CUDA_GRAPHS") : setenv("LACUS_CUDA_GRAPHS", "0", 1), 0);
    if (full)
        ok(model_set_trainable(m, true, &err), &err);
    else
        ok(lora_load(&ctx, m, GOLDEN "llama3/lora_all", &err), &err);
    ok(optimizer_new(m, &config, &o, &err), &err);
    for (int k = 0; k < STEPS; k++) {
        struct model_forward how = {.train = true, .num_items = ROWS};
        long launched = c->launched, allocated = c->allocated;
        struct model_batch b;
        struct model_loss loss;
        double norm;

        make_batch(k == STEPS - 1 ? 0 : k, ids, starts, &b); /* at last the first again */
        ok(model_forward(&ctx, m, &b, &how, &loss, &err), &err);
        ok(model_backward(&ctx, m, &err), &err);
        ok(optimizer_step(o, 1e-3, &norm, &err), &err);
        r->losses[k] = loss.scaled;
        r->launched[k] = c->launched - launched;
        r->allocated[k] = c->allocated - allocated;
    }
    r->replayed = c->replayed - before;
    optimizer_free(o);
    model_free(m);
    backend_close(backend);
}

static void a_replayed_step_has_the_bits_of_one_that_is_done(void **state)
{
    bool emulated = can_record() && getenv("LACUS_LIB");

    (void)state;
    for (int full = 0; full < 2 && can_record(); full++) {
        struct run plain, replayed;

        train(&plain, full, false);
        train(&replayed, full, true);
        assert_memory_equal(plain.losses, replayed.losses, sizeof plain.losses);
        assert_true(plain.losses[STEPS - 1] < plain.losses[0]);
        assert_int_equal(plain.replayed, 0);
        if (!emulated)
            continue;
        assert_int_equal(replayed.replayed,
                         2 * (STEPS - 1)); /* forward and backward, from the second step on */
        for (int k = 1; k < STEPS; k++) {
            assert_int_equal(replayed.allocated[k], 0);
            assert_true(replayed.launched[k] < plain.launched[k] / 2);
        }
    }
}

/* Each of these spoils what is being written down, and is told; then the backend goes on. */
static void what_waits_uploads_or_allocates_is_refused(void **state)
{
    struct backend *b = open_backend(test_device(), 1);
    const struct backend_ops *ops = b->ops;
    float from[64] = {1}, to[64];
    struct backend_record *record = NULL;
    void *x = NULL, *more = NULL;
    struct err err;

    (void)state;
    if (!can_record())
        return backend_close(b);
    ok(ops->alloc(b->state, sizeof from, &x, &err), &err);
    for (int what = 0; what < 4; what++) {
        double sum;
        enum lc code = LC_RUNTIME;

        ok(ops->upload(b->state, NULL, x, from, sizeof from, &err), &err);
        ok(ops->sync(b->state, NULL, &err), &err);
        ok(ops->record_begin(b->state, &err), &err);
        ops->add(b->state, NULL, x, x, 1, 64);
        if (what == 0)
            code = ops->sync(b->state, NULL, &err);
        else if (what == 1)
            code = ops->upload(b->state, NULL, x, from, sizeof from, &err);
        else if (what == 2)
            code = ops->alloc(b->state, sizeof from, &more, &err);
        else
            ops->sum_squares(b->state, NULL, x, 64, &sum);
        assert_int_not_equal(code, LC_OK);
        assert_int_not_equal(ops->record_end(b->state, &record, &err), LC_OK);
        assert_null(record);
        ok(ops->download(b->state, NULL, to, x, sizeof to, &err), &err);
        assert_memory_equal(from, to, sizeof to); /* nothing was done */
    }
    ok(ops->record_begin(b->state, &err), &err);
    ops->add(b->state, NULL, x, x, 1, 64);
    ok(ops->record_end(b->state, &record, &err), &err);
    for (int i = 0; i < 3; i++)
        assert_true(ops->replay(b->state, record));
    ok(ops->download(b->state, NULL, to, x, sizeof to, &err), &err);
    assert_float_equal(to[0], 8, 0);
    ok(ops->alloc(b->state, sizeof from, &more, &err), &err);
    ops->release(b->state, more, sizeof from);
    assert_false(ops->replay(b->state, record)); /* it might use what was released */
    ops->record_free(b->state, record);
    ops->release(b->state, x, sizeof from);
    backend_close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_replayed_step_has_the_bits_of_one_that_is_done),
        cmocka_unit_test(what_waits_uploads_or_allocates_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
