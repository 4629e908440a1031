/* engine_save_test.c: checkpoints written beside the steps hold what they would hold, and stop nobody. */
#include "gpu/trainer.h"
#include "runtime/base/clock.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "tests/support/golden.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { EXAMPLES = 12, LENGTH = 10 };

struct lesson {
    int32_t ids[EXAMPLES][LENGTH];
    struct train_example examples[EXAMPLES];
    struct backend *backend;
    struct model *model;
    struct trainer *trainer;
    char dir[40];
    atomic_long step;   /* done */
    atomic_int saved;   /* checkpoints */
    atomic_int went_on; /* of them, those during whose writing steps were done */
    atomic_int late;    /* calls on another thread than the steps' */
    pthread_t main;
    bool slow; /* the writer waits for two steps */
};

static bool on_progress(void *arg, const struct train_state *s)
{
    atomic_store(&((struct lesson *)arg)->step, (long)s->step);
    return true;
}

static void on_saved(void *arg, const char *folder, int64_t step)
{
    struct lesson *l = arg;
    int64_t end = clock_mono_ns() + INT64_C(5000) * 1000000;

    assert_true(fs_is_dir(folder));
    atomic_fetch_add(&l->saved, 1);
    atomic_fetch_add(&l->late, !pthread_equal(l->main, pthread_self()));
    while (l->slow && atomic_load(&l->step) < step + 2 && clock_mono_ns() < end)
        usleep(1000);
    atomic_fetch_add(&l->went_on, atomic_load(&l->step) >= step + 2);
}

static struct lesson *begin(bool lora, bool beside, bool slow)
{
    struct lesson *l = mem_zalloc(sizeof *l);
    struct trainer_callbacks callbacks = {.arg = l, .progress = on_progress, .saved = on_saved};
    struct train_dataset data = {.examples = l->examples, .n = EXAMPLES};
    struct ctx ctx = ctx_background();
    struct training_args args;
    struct lora_config c;
    struct err err;

    for (int i = 0; i < EXAMPLES; i++) {
        for (int j = 0; j < LENGTH; j++)
            l->ids[i][j] = 3 + (i * 31 + j * 17) % 300;
        l->examples[i] = (struct train_example){l->ids[i], NULL, LENGTH - i % 4};
    }
    l->main = pthread_self();
    l->slow = slow;
    snprintf(l->dir, sizeof l->dir, "/tmp/lacus-test-XXXXXX");
    assert_non_null(mkdtemp(l->dir));
    l->backend = open_backend("cpu", 1);
    l->model = golden_model(l->backend, "llama3");
    lora_config_init(&c);
    if (lora)
        ok(lora_attach(l->model, &c, 7, &err), &err);
    lora_config_release(&c);
    training_args_init(&args);
    args.output_dir = mem_strdup(l->dir);
    args.per_device_train_batch_size = 3;
    args.max_steps = 9;
    args.save_steps = 3;
    args.save_total_limit = 2;
    args.logging_steps = 1;
    args.learning_rate = 1e-2;
    ok(trainer_new(&ctx, l->model, &args, &data, NULL, &callbacks, &l->trainer, &err), &err);
    trainer_save_beside(l->trainer, beside);
    training_args_release(&args);
    return l;
}

static void end(struct lesson *l)
{
    struct err err;

    trainer_free(l->trainer);
    model_free(l->model);
    backend_close(l->backend);
    ok(fs_remove_tree(l->dir, &err), &err);
    mem_free(l);
}

static void same_file(const struct lesson *a, const struct lesson *b, const char *name, bool whole)
{
    char *one = mem_printf("%s/%s", a->dir, name), *other = mem_printf("%s/%s", b->dir, name);
    struct buf x = BUF_INIT(64 << 20), y = BUF_INIT(64 << 20);
    struct err err;

    ok(fs_read(one, &x, &err), &err);
    ok(fs_read(other, &y, &err), &err);
    if (whole) {
        assert_int_equal(x.len, y.len);
        assert_memory_equal(x.data, y.data, x.len);
    } else { /* times and folders differ */
        json_t *p = json_loads(buf_str(&x), 0, NULL), *q = json_loads(buf_str(&y), 0, NULL);
        assert_true(json_equal(json_object_get(p, "log_history"), json_object_get(q, "log_history")));
        assert_true(json_equal(json_object_get(p, "global_step"), json_object_get(q, "global_step")));
        json_decref(p);
        json_decref(q);
    }
    buf_release(&x);
    buf_release(&y);
    mem_free(one);
    mem_free(other);
}

static void they_hold_what_they_would_hold(void **state)
{
    struct ctx ctx = ctx_background();
    struct err err;
    char path[80];

    (void)state;
    for (int lora = 0; lora < 2; lora++) {
        struct lesson *plain = begin(lora == 1, false, false), *beside = begin(lora == 1, true, true);

        ok(trainer_run(&ctx, plain->trainer, &err), &err);
        ok(trainer_run(&ctx, beside->trainer, &err), &err);
        assert_int_equal(atomic_load(&plain->saved), 3);
        assert_int_equal(atomic_load(&plain->late), 0);
        assert_int_equal(atomic_load(&beside->saved), 3);
        assert_int_equal(atomic_load(&beside->late), 3);
        for (int step = 6; step <= 9; step += 3) { /* the limit is two */
            const char *weights = lora ? "adapter_model.safetensors" : "model.safetensors";
            snprintf(path, sizeof path, "checkpoint-%d/%s", step, weights);
            same_file(plain, beside, path, true);
            snprintf(path, sizeof path, "checkpoint-%d/optimizer.safetensors", step);
            same_file(plain, beside, path, true);
            snprintf(path, sizeof path, "checkpoint-%d/trainer_state.json", step);
            same_file(plain, beside, path, false);
        }
        snprintf(path, sizeof path, "%s/checkpoint-3", beside->dir);
        assert_false(fs_exists(path));
        end(plain);
        end(beside);
    }
}

static void steps_go_on_meanwhile(void **state)
{
    struct lesson *l = begin(false, true, true);
    struct ctx ctx = ctx_background();
    struct err err;

    (void)state;
    ok(trainer_run(&ctx, l->trainer, &err), &err);
    assert_int_equal(atomic_load(&l->went_on), 2); /* of the last there is nothing to go on with */
    assert_int_equal(trainer_saved_step(l->trainer), 9);
    end(l);
}

static void what_fails_is_an_error_of_the_run(void **state)
{
    struct lesson *l = begin(true, true, false);
    struct ctx ctx = ctx_background();
    struct err err;

    (void)state;
    ok(fs_remove_tree(l->dir, &err), &err);
    ok(fs_write(l->dir, "in the way", 10, &err), &err);
    assert_int_not_equal(trainer_run(&ctx, l->trainer, &err), LC_OK);
    assert_non_null(strstr(err.message, "cannot save the checkpoint of step 3"));
    assert_true(trainer_state(l->trainer)->step < 9);
    end(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_hold_what_they_would_hold),
        cmocka_unit_test(steps_go_on_meanwhile),
        cmocka_unit_test(what_fails_is_an_error_of_the_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
