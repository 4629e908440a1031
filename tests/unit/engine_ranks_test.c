/* engine_ranks_test.c: a run on several ranks is the run on one: losses, gradient norms, evaluation, weights. */
#include "gpu/trainer.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "tests/support/golden.h"
#include "tests/support/threads_collective.h"
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { EXAMPLES = 22, LONGEST = 18, STEPS = 40, RANKS = 4 };

struct lesson {
    int32_t ids[EXAMPLES][LONGEST];
    struct train_example examples[EXAMPLES];
    bool lora, pairs;
    int64_t batch, accumulation, processes, max_steps;
    char dir[40]; /* "": no checkpoints */
    const char *resume;
};

struct outcome {
    int steps;
    double losses[STEPS], norms[STEPS], eval;
    struct buf values; /* of the parameters */
    enum lc code;
    struct err err;
};

struct rank {
    const struct lesson *lesson;
    struct collective collective;
    struct outcome *out;
    pthread_t thread;
    int64_t cancel_at; /* -1: never */
    atomic_bool cancel;
    int32_t other; /* added to a token: other data than the others have */
};

static bool remember(void *arg, const struct train_state *s)
{
    struct rank *r = arg;

    r->out->losses[s->step - 1] = s->loss;
    r->out->norms[s->step - 1] = s->grad_norm;
    r->out->steps = (int)s->step;
    if (s->step == r->cancel_at)
        atomic_store(&r->cancel, true);
    return true;
}

static struct model *make_model(struct backend *backend, bool lora)
{
    struct model *m = golden_model(backend, "llama3");
    struct lora_config c;
    struct err err;

    if (!lora)
        return m;
    lora_config_init(&c);
    c.all_linear = true;
    c.lora_dropout = 0.1;
    ok(lora_attach(m, &c, 7, &err), &err);
    lora_config_release(&c);
    return m;
}

static enum lc drive(struct rank *r, struct trainer *t, struct err *err)
{
    struct ctx ctx = ctx_background();

    ctx.cancel = &r->cancel;
    if (r->lesson->resume)
        TRY(trainer_resume(&ctx, t, r->lesson->resume, err));
    TRY(trainer_join(&ctx, t, &r->collective, err));
    TRY(trainer_run(&ctx, t, err));
    return trainer_evaluate(&ctx, t, NULL, &r->out->eval, err);
}

static void *rank_main(void *arg)
{
    struct rank *r = arg;
    const struct lesson *l = r->lesson;
    struct lesson own = *l;
    struct trainer_callbacks callbacks = {.arg = r, .progress = remember};
    struct ctx ctx = ctx_background();
    struct backend *backend = open_backend("cpu", 1);
    struct model *m = make_model(backend, l->lora);
    struct train_dataset data = {.examples = own.examples, .n = EXAMPLES},
                         eval = {.examples = own.examples, .n = 11};
    struct training_args args;
    struct trainer *t;

    for (int i = 0; i < EXAMPLES; i++)
        own.examples[i].input_ids = own.ids[i];
    if (l->pairs) {
        data.n = EXAMPLES / 2;
        eval.n = 5;
        data.pairs = eval.pairs = true;
    }
    own.ids[3][1] += r->other;
    training_args_init(&args);
    args.per_device_train_batch_size = l->batch;
    args.per_device_eval_batch_size = 3;
    args.gradient_accumulation_steps = l->accumulation;
    args.num_processes = l->processes;
    args.learning_rate = 1e-2;
    args.warmup_steps = 2;
    args.max_steps = l->max_steps;
    args.save_steps = 4;
    args.output_dir = l->dir[0] ? mem_strdup(l->dir) : NULL;
    ok(trainer_new(&ctx, m, &args, &data, &eval, &callbacks, &t, &r->out->err), &r->out->err);
    r->out->code = drive(r, t, &r->out->err);
    read_parameters(m, &r->out->values);
    trainer_free(t);
    training_args_release(&args);
    model_free(m);
    backend_close(backend);
    return NULL;
}

static void fill(struct lesson *l)
{
    uint32_t x = 1;

    for (int i = 0; i < EXAMPLES; i++) {
        int64_t n = 4 + i % (LONGEST - 4);

        for (int j = 0; j < n; j++) {
            x = x * 1664525u + 1013904223u;
            l->ids[i][j] = (int32_t)(3 + (x >> 16) % 381);
        }
        l->examples[i] = (struct train_example){l->ids[i], NULL, n};
    }
}

/* Trains on `size` ranks; the outcome of each. other: the rank whose data differ, or -1. */
static int train(const struct lesson *l, int size, int cancelling, int other, struct outcome *out)
{
    struct gathering *g = gathering_new(size);
    struct rank ranks[RANKS];
    int sums;

    for (int i = 0; i < size; i++) {
        ranks[i] = (struct rank){
            .lesson = l, .out = &out[i], .cancel_at = i == cancelling ? 5 : -1, .other = i == other ? 1 : 0};
        out[i] = (struct outcome){.values = BUF_INIT(8 << 20)};
        gathering_join(g, i, &ranks[i].collective);
        assert_int_equal(pthread_create(&ranks[i].thread, NULL, rank_main, &ranks[i]), 0);
    }
    for (int i = 0; i < size; i++) {
        pthread_join(ranks[i].thread, NULL);
        collective_close(&ranks[i].collective);
    }
    sums = gathering_sums(g);
    gathering_free(g);
    return sums;
}

static void release(struct outcome *out, int size)
{
    for (int i = 0; i < size; i++)
        buf_release(&out[i].values);
}

static void same_run(const struct outcome *a, const struct outcome *b)
{
    ok(a->code, &a->err);
    ok(b->code, &b->err);
    assert_int_equal(a->steps, b->steps);
    for (int i = 0; i < a->steps; i++) {
        near_to(a->losses[i] / b->losses[i], 1, 1e-5);
        near_to(a->norms[i] / b->norms[i], 1, 1e-4);
    }
    near_to(a->eval / b->eval, 1, 1e-5);
    assert_int_equal(a->values.len, b->values.len);
    close_to("weights", (const float *)(const void *)a->values.data,
             (const float *)(const void *)b->values.data, (int64_t)(a->values.len / sizeof(float)), 2e-5);
}

static void same_bits(const struct outcome *a, const struct outcome *b)
{
    assert_int_equal(a->steps, b->steps);
    assert_memory_equal(a->losses, b->losses, (size_t)a->steps * sizeof *a->losses);
    assert_memory_equal(a->values.data, b->values.data, a->values.len);
}

/* 22 examples in batches of 2: 11 micro-batches; 2 and 3 ranks leave a ragged last step, and one without a batch. */
static void ranks_give_what_one_gives(void **state)
{
    (void)state;
    for (int lora = 0; lora < 2; lora++)
        for (int size = 2; size <= 3; size++) {
            struct lesson l = {
                .lora = lora == 1, .batch = 2, .accumulation = size, .processes = 1, .max_steps = -1};
            struct outcome one, several[RANKS];

            fill(&l);
            train(&l, 1, -1, -1, &one);
            l.accumulation = 1;
            l.processes = size;
            assert_true(train(&l, size, -1, -1, several) > several[0].steps * 2);
            assert_int_equal(one.steps, 3 * (11 + size - 1) / size - (size == 2 ? 0 : 1));
            same_run(&several[0], &one);
            for (int i = 1; i < size; i++)
                same_bits(&several[i], &several[0]);
            release(&one, 1);
            release(several, size);
        }
}

/* The batch is that of num_processes, whoever does the work. */
static void fewer_ranks_do_the_same_batch(void **state)
{
    struct lesson l = {.batch = 2, .accumulation = 2, .processes = 3, .max_steps = 6};
    struct outcome one, two[RANKS];

    (void)state;
    fill(&l);
    train(&l, 1, -1, -1, &one);
    train(&l, 2, -1, -1, two);
    same_run(&two[0], &one);
    release(&one, 1);
    release(two, 2);
}

static void preferences_are_shared_out_too(void **state)
{
    struct lesson l = {
        .lora = true, .pairs = true, .batch = 2, .accumulation = 3, .processes = 1, .max_steps = 6};
    struct outcome one, three[RANKS];

    (void)state;
    fill(&l);
    train(&l, 1, -1, -1, &one);
    l.accumulation = 1;
    l.processes = 3;
    train(&l, 3, -1, -1, three);
    same_run(&three[0], &one);
    same_bits(&three[2], &three[0]);
    release(&one, 1);
    release(three, 3);
}

static void a_checkpoint_goes_on_with_another_number_of_ranks(void **state)
{
    struct lesson l = {.lora = true, .batch = 2, .accumulation = 1, .processes = 2, .max_steps = 12};
    struct outcome straight, two[RANKS], three[RANKS], again[RANKS];
    struct err err;
    char path[80];

    (void)state;
    fill(&l);
    train(&l, 1, -1, -1, &straight);
    snprintf(l.dir, sizeof l.dir, "/tmp/lacus-test-XXXXXX");
    assert_non_null(mkdtemp(l.dir));
    train(&l, 2, -1, -1, two);
    same_run(&two[0], &straight);
    snprintf(path, sizeof path, "%s/checkpoint-4", l.dir);
    l.resume = path;
    train(&l, 2, -1, -1, again);
    assert_memory_equal(two[0].losses + 4, again[0].losses + 4, 8 * sizeof(double)); /* bit for bit */
    assert_memory_equal(two[0].values.data, again[0].values.data, two[0].values.len);
    train(&l, 3, -1, -1, three);
    for (int i = 4; i < 12; i++)
        near_to(three[0].losses[i] / straight.losses[i], 1, 1e-5);
    ok(fs_remove_tree(l.dir, &err), &err);
    release(&straight, 1);
    release(two, 2);
    release(again, 2);
    release(three, 3);
}

static void one_that_stops_stops_all(void **state)
{
    struct lesson l = {.batch = 2, .accumulation = 1, .processes = 3, .max_steps = 12};
    struct outcome out[RANKS];

    (void)state;
    fill(&l);
    train(&l, 3, 1, -1, out);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(out[i].code, LC_CANCELLED);
        assert_int_equal(out[i].steps, 5);
        assert_memory_equal(out[i].values.data, out[0].values.data, out[0].values.len);
    }
    release(out, 3);
}

static void other_data_are_noticed_before_the_first_step(void **state)
{
    struct lesson l = {.batch = 2, .accumulation = 1, .processes = 3, .max_steps = 12};
    struct outcome out[RANKS];

    (void)state;
    fill(&l);
    train(&l, 3, -1, 2, out);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(out[i].code, LC_WORKER);
        assert_non_null(strstr(out[i].err.message, "rank 2 has other"));
        assert_int_equal(out[i].steps, 0);
    }
    release(out, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_give_what_one_gives),
        cmocka_unit_test(fewer_ranks_do_the_same_batch),
        cmocka_unit_test(preferences_are_shared_out_too),
        cmocka_unit_test(a_checkpoint_goes_on_with_another_number_of_ranks),
        cmocka_unit_test(one_that_stops_stops_all),
        cmocka_unit_test(other_data_are_noticed_before_the_first_step),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
