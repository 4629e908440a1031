/* engine_train_test.c: optimizer curves, weights after 20 steps and greedy tokens against PyTorch, transformers and peft;
 * resume, cancel and failure of the trainer. */
#include "gpu/generate.h"
#include "gpu/trainer.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "tests/support/golden.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *tested(int i)
{
    return i ? test_device() : "ref";
}

/* ---- the curves of make_golden.py ---- */
static const struct curve {
    const char *name;
    enum schedule_kind schedule;
    int accumulation;
    double clip, smoothing;
} CURVES[] = {
    {"full_linear", SCHEDULE_LINEAR, 1, 1, 0},
    {"full_cosine", SCHEDULE_COSINE, 1, 1, 0},
    {"full_constant_with_warmup", SCHEDULE_CONSTANT_WITH_WARMUP, 1, 1, 0},
    {"full_linear_ga4", SCHEDULE_LINEAR, 4, 1, 0},
    {"full_noclip", SCHEDULE_LINEAR, 1, 0, 0},
    {"full_ls0.1", SCHEDULE_LINEAR, 1, 1, 0.1},
};

static double one_step(struct model *m, struct golden *g, const struct curve *c, int step)
{
    struct ctx ctx = ctx_background();
    struct model_forward how = {.train = true, .label_smoothing = c->smoothing};
    struct model_loss loss;
    struct err err;
    double sum = 0;

    for (int j = 0; j < c->accumulation; j++) {
        golden_batch(g, (uint32_t)(1000 + (step * c->accumulation + j) % 8));
        for (int i = 0; i < 3; i++) /* of every row: all labels but the first's */
            how.num_items += j == 0 ? (40 - 7 * i - 5) * c->accumulation : 0;
        ok(model_forward(&ctx, m, &g->packed.batch, &how, &loss, &err), &err);
        ok(model_backward(&ctx, m, &err), &err);
        sum += loss.scaled;
    }
    return sum;
}

static void follow_curve(struct model *m, const json_t *expected, const struct curve *c, double lr)
{
    struct optimizer_config a = {0.9, 0.999, 1e-8, 0.01, c->clip, OPTIMIZER_ADAMW, 0, false};
    struct schedule s = {.kind = c->schedule, .warmup = 3, .total = 20};
    struct optimizer *o;
    struct golden g = {.n = 3, .length = 40};
    struct err err;
    double norm;

    ok(optimizer_new(m, &a, &o, &err), &err);
    for (int k = 0; k < 20; k++) {
        const json_t *row = json_array_get(expected, (size_t)k);
        double rate = lr * schedule_factor(&s, k);

        near_to(rate, json_number_value(json_object_get(row, "lr")), 1e-12);
        near_to(one_step(m, &g, c, k), json_number_value(json_object_get(row, "loss")), 1e-4);
        ok(optimizer_step(o, rate, &norm, &err), &err);
        near_to(norm / json_number_value(json_object_get(row, "grad_norm")), 1, 1e-3);
    }
    optimizer_free(o);
    golden_close(&g);
}

static void weights_are_those_after_20_steps(struct model *m, const char *path)
{
    struct safetensors *st;
    struct err err;

    ok(safetensors_open(path, &st, &err), &err);
    for (size_t i = 0; i < model_parameters(m); i++) {
        struct parameter p;

        model_parameter(m, i, &p);
        if (p.trainable)
            tensor_close_to(&p.value, st, p.value.name, 2e-5);
    }
    safetensors_close(st);
}

static void full_curves_are_those_of_torch(void **state)
{
    json_t *all = golden_json("llama3", "curves_full.json");
    struct err err;

    (void)state;
    for (int b = 0; b < 2; b++)
        for (size_t i = 0; i < (b == 0 ? 1 : sizeof CURVES / sizeof *CURVES);
             i++) { /* the reference is slow */
            struct backend *backend = open_backend(tested(b), 2);
            struct model *m = golden_model(backend, "llama3");

            ok(model_set_trainable(m, true, &err), &err);
            follow_curve(m, json_object_get(all, CURVES[i].name), &CURVES[i], 1e-3);
            if (i == 0)
                weights_are_those_after_20_steps(m, GOLDEN "llama3/after20_full_linear.safetensors");
            model_free(m);
            backend_close(backend);
        }
    json_decref(all);
}

static void adapter_curves_are_those_of_peft(void **state)
{
    static const char *const names[] = {"lora_qv", "lora_all", "rslora"};
    struct ctx ctx = ctx_background();
    json_t *all = golden_json("llama3", "lora.json");
    struct err err;
    char path[200];

    (void)state;
    for (int b = 0; b < 2; b++)
        for (int i = 0; i < 3; i++) {
            struct backend *backend = open_backend(tested(b), 2);
            struct model *m = golden_model(backend, "llama3");

            snprintf(path, sizeof path, GOLDEN "llama3/%s", names[i]);
            ok(lora_load(&ctx, m, path, &err), &err);
            follow_curve(m, json_object_get(json_object_get(all, names[i]), "curve"), &CURVES[0], 5e-3);
            snprintf(path, sizeof path, GOLDEN "llama3/%s/after20/adapter_model.safetensors", names[i]);
            weights_are_those_after_20_steps(m, path);
            model_free(m);
            backend_close(backend);
        }
    json_decref(all);
}

/* ---- generation ---- */
static bool count_tokens(void *arg, size_t sequence, const struct generate_token *t)
{
    int *n = arg;

    assert_true(t->logprob <= 0);
    return ++n[sequence] < 10;
}

static void greedy_tokens_are_those_of_transformers(void **state)
{
    static const char *const models[] = {"llama3", "llama3_tied", "mistral_swa", "qwen2", "qwen3"};
    struct ctx ctx = ctx_background();
    struct err err;

    (void)state;
    for (int b = 0; b < 2; b++)
        for (int i = 0; i < 5; i++) {
            struct backend *backend = open_backend(tested(b), 2);
            struct model *m = golden_model(backend, models[i]);
            struct generate_options o;
            struct generation out;
            struct golden g;
            int64_t n;
            int64_t *expected;
            int32_t prompt[12];
            const struct generate_prompt two[] = {{prompt, 5}, {prompt, 12}};
            int seen[2] = {0};

            golden_open(&g, models[i]);
            expected = golden_ints(g.st, "gen_greedy", &n);
            for (int j = 0; j < 12; j++)
                prompt[j] = (int32_t)expected[j];
            generate_defaults(&o);
            o.max_new_tokens = 24;
            o.no_stop = true;
            ok(generate(&ctx, m, two, 2, &o, &out, &err), &err); /* beside another prompt */
            assert_int_equal(out.sequences[1].n, n - 12);
            for (int64_t j = 12; j < n; j++)
                assert_int_equal(out.sequences[1].ids[j - 12], expected[j]);
            generation_release(&out);
            o.on_token = count_tokens;
            o.arg = seen;
            o.temperature = 1;
            o.top_k = 5;
            o.top_p = 0.9;
            ok(generate(&ctx, m, two, 2, &o, &out, &err), &err);
            assert_int_equal(out.sequences[0].n, 10);
            assert_int_equal(out.sequences[0].end, GENERATE_CALLBACK);
            generation_release(&out);
            mem_free(expected);
            golden_close(&g);
            model_free(m);
            backend_close(backend);
        }
}

/* ---- the trainer ---- */
enum { EXAMPLES = 22, LONGEST = 30 };

struct lesson { /* a small dataset and model */
    int32_t ids[EXAMPLES][LONGEST];
    struct train_example examples[EXAMPLES];
    struct train_dataset data, eval;
    struct training_args args;
    struct backend *backend;
    struct model *model;
    char dir[32];
    double losses[100];
    int n_losses;
    atomic_bool cancel;
    int cancel_at;
};

static bool remember(void *arg, const struct train_state *s)
{
    struct lesson *l = arg;

    if (l->n_losses < (int)(sizeof l->losses / sizeof *l->losses))
        l->losses[l->n_losses++] = s->loss;
    if (s->step == l->cancel_at)
        atomic_store(&l->cancel, true);
    return true;
}

static void lesson_model(struct lesson *l, bool lora)
{
    struct lora_config c;
    struct err err;

    model_free(l->model);
    l->model = golden_model(l->backend, "llama3");
    if (!lora)
        return;
    lora_config_init(&c);
    c.all_linear = true;
    c.lora_dropout = 0.1;
    ok(lora_attach(l->model, &c, 7, &err), &err);
    lora_config_release(&c);
}

static struct lesson *lesson_new(const char *backend, int threads)
{
    struct lesson *l = mem_zalloc(sizeof *l);
    uint32_t x = 1;

    for (int i = 0; i < EXAMPLES; i++) {
        int64_t n = 4 + i % (LONGEST - 4);

        for (int j = 0; j < n; j++) {
            x = x * 1664525u + 1013904223u;
            l->ids[i][j] = (int32_t)(3 + (x >> 16) % 381);
        }
        l->examples[i] = (struct train_example){l->ids[i], NULL, n};
    }
    l->data = (struct train_dataset){.examples = l->examples, .n = EXAMPLES};
    l->eval = (struct train_dataset){.examples = l->examples, .n = 5};
    training_args_init(&l->args);
    l->args.per_device_train_batch_size = 3;
    l->args.gradient_accumulation_steps = 2;
    l->args.learning_rate = 1e-2;
    l->args.logging_steps = 3;
    l->args.warmup_steps = 2;
    snprintf(l->dir, sizeof l->dir, "/tmp/lacus-test-XXXXXX");
    assert_non_null(mkdtemp(l->dir));
    l->args.output_dir = mem_strdup(l->dir);
    l->backend = open_backend(backend, threads);
    l->cancel_at = -1;
    return l;
}

static void lesson_free(struct lesson *l)
{
    struct err err;

    ok(fs_remove_tree(l->dir, &err), &err);
    model_free(l->model);
    backend_close(l->backend);
    training_args_release(&l->args);
    mem_free(l);
}

static struct trainer *lesson_trainer(struct lesson *l)
{
    struct ctx ctx = ctx_background();
    struct trainer_callbacks callbacks = {.arg = l, .progress = remember};
    struct trainer *t;
    struct err err;

    ok(trainer_new(&ctx, l->model, &l->args, &l->data, &l->eval, &callbacks, &t, &err), &err);
    return t;
}

static void resumed(const char *backend, bool lora)
{
    struct ctx ctx = ctx_background();
    struct lesson *l = lesson_new(backend, 2);
    struct buf straight = BUF_INIT(8 << 20), again = BUF_INIT(8 << 20);
    struct trainer *t;
    struct err err;
    double losses[100];
    int steps;

    lesson_model(l, lora);
    t = lesson_trainer(l);
    ok(trainer_run(&ctx, t, &err), &err);
    steps = l->n_losses;
    assert_int_equal(steps, 12); /* 22 / 3 → 8 batches → 4 steps, 3 epochs */
    assert_true(trainer_state(t)->finished);
    assert_true(l->losses[steps - 1] < l->losses[0]);
    memcpy(losses, l->losses, sizeof losses);
    read_parameters(l->model, &straight);
    trainer_free(t);
    ok(fs_remove_tree(l->dir, &err), &err);

    lesson_model(l, lora);
    l->n_losses = 0;
    l->cancel_at = 5; /* in the second epoch */
    ctx.cancel = &l->cancel;
    t = lesson_trainer(l);
    assert_int_equal(trainer_run(&ctx, t, &err), LC_CANCELLED);
    ok(trainer_save(&ctx, t, NULL, &err), &err);
    trainer_free(t);
    atomic_store(&l->cancel, false);
    l->cancel_at = -1;
    lesson_model(l, lora);
    t = lesson_trainer(l);
    ok(trainer_resume(&ctx, t, NULL, &err), &err);
    assert_int_equal(trainer_state(t)->step, 5);
    ok(trainer_run(&ctx, t, &err), &err);
    assert_int_equal(l->n_losses, steps);
    assert_memory_equal(losses, l->losses, (size_t)steps * sizeof *losses);
    read_parameters(l->model, &again);
    assert_int_equal(straight.len, again.len);
    assert_memory_equal(straight.data, again.data, straight.len);
    trainer_free(t);
    buf_release(&straight);
    buf_release(&again);
    lesson_free(l);
}

static void a_resumed_run_is_the_same_bit_for_bit(void **state)
{
    (void)state;
    for (int b = 0; b < 2; b++) {
        resumed(tested(b), false);
        resumed(tested(b), true);
    }
}

/* Both runs of a lesson, which `prepare` makes different (i is 0 or 1), end with the same parameters bit for bit. */
static void same_parameters(struct lesson *(*prepare)(int i), void (*look)(int i, const struct trainer *))
{
    struct ctx ctx = ctx_background();
    struct buf values[2] = {BUF_INIT(8 << 20), BUF_INIT(8 << 20)};
    struct err err;

    for (int i = 0; i < 2; i++) {
        struct lesson *l = prepare(i);
        struct trainer *t = lesson_trainer(l);

        if (look)
            look(i, t);
        ok(trainer_run(&ctx, t, &err), &err);
        read_parameters(l->model, &values[i]);
        trainer_free(t);
        lesson_free(l);
    }
    assert_int_equal(values[0].len, values[1].len);
    assert_memory_equal(values[0].data, values[1].data, values[0].len);
    buf_release(&values[0]);
    buf_release(&values[1]);
}

static struct lesson *on_one_or_three_threads(int i)
{
    struct lesson *l = lesson_new(test_device(), i ? 3 : 1);

    lesson_model(l, false);
    l->args.max_steps = 6;
    l->args.save_strategy = STRATEGY_NO;
    return l;
}

static void results_do_not_depend_on_threads(void **state)
{
    (void)state;
    same_parameters(on_one_or_three_threads, NULL);
}

static struct lesson *with_or_without_checkpointing(int i)
{
    struct lesson *l = lesson_new(test_device(), 2);

    lesson_model(l, true);
    l->args.max_steps = 3;
    l->args.gradient_checkpointing = i == 1;
    return l;
}

static void layers_are_recomputed(int i, const struct trainer *t)
{
    assert_int_equal(trainer_plan(t)->recomputed_layers, i == 1 ? 2 : 0);
}

static void recomputed_layers_change_nothing(void **state)
{
    (void)state;
    same_parameters(with_or_without_checkpointing, layers_are_recomputed);
}

static void a_budget_is_kept_or_refused(void **state)
{
    struct lesson *l = lesson_new("ref", 1);
    struct model_plan plain, tight;
    struct err err;

    (void)state;
    lesson_model(l, true);
    ok(model_make_plan(l->model, 512, 8, true, 0, 0, &plain, &err), &err);
    ok(model_make_plan(l->model, 512, 8, true, plain.total - 1, 0, &tight, &err), &err);
    assert_true(tight.total < plain.total && tight.recomputed_layers > 0);
    assert_int_equal(model_make_plan(l->model, 512, 8, true, plain.weights, 0, &tight, &err), LC_LIMIT);
    assert_non_null(strstr(err.message, "MiB"));
    lesson_free(l);
}

static void the_best_model_is_loaded_at_the_end(void **state)
{
    struct ctx ctx = ctx_background();
    struct lesson *l = lesson_new("ref", 1);
    struct trainer *t;
    struct err err;
    double loss, least = INFINITY;
    const json_t *line;
    size_t i;

    (void)state;
    lesson_model(l, true);
    l->args.eval_strategy = l->args.save_strategy = STRATEGY_STEPS;
    l->args.eval_steps = l->args.save_steps = 2;
    l->args.learning_rate = 0.3; /* so that the last is not the best */
    l->args.max_grad_norm = 0;
    l->args.load_best_model_at_end = true;
    l->args.save_total_limit = 1;
    t = lesson_trainer(l);
    ok(trainer_run(&ctx, t, &err), &err);
    json_array_foreach (trainer_history(t), i, line) {
        loss = json_number_value(json_object_get(line, "eval_loss"));
        least = json_object_get(line, "eval_loss") && loss < least ? loss : least;
    }
    ok(trainer_evaluate(&ctx, t, NULL, &loss, &err), &err);
    near_to(loss, least, 1e-6);
    near_to(trainer_state(t)->best_metric, least, 1e-12);
    trainer_free(t);
    lesson_free(l);
}

static void bad_input_is_named(void **state)
{
    struct ctx ctx = ctx_background();
    struct lesson *l = lesson_new("ref", 1);
    struct trainer_callbacks none = {0};
    struct trainer *t = NULL;
    struct parameter p;
    struct err err;
    const float nan_value = NAN;

    (void)state;
    lesson_model(l, false);
    l->ids[3][2] = 384;
    assert_int_equal(trainer_new(&ctx, l->model, &l->args, &l->data, NULL, &none, &t, &err), LC_DATA);
    assert_non_null(strstr(err.message, "example 3, place 2"));
    l->ids[3][2] = 5;
    l->args.adam_beta1 = 1;
    assert_int_equal(trainer_new(&ctx, l->model, &l->args, &l->data, NULL, &none, &t, &err), LC_ARG);
    assert_non_null(strstr(err.message, "adam_beta1"));
    l->args.adam_beta1 = 0.9;
    l->args.eval_strategy = STRATEGY_STEPS;
    assert_int_equal(trainer_new(&ctx, l->model, &l->args, &l->data, NULL, &none, &t, &err), LC_ARG);
    l->args.eval_strategy = STRATEGY_NO;
    t = lesson_trainer(l);
    assert_int_equal(trainer_resume(&ctx, t, NULL, &err), LC_NOTFOUND);
    assert_true(model_find_parameter(l->model, "model.norm.weight", &p));
    ok(tensor_write(&p.value, 3, 1, &nan_value, &err), &err);
    assert_int_equal(trainer_run(&ctx, t, &err), LC_RUNTIME);
    assert_non_null(strstr(err.message, "step 1"));
    assert_int_equal(trainer_state(t)->step, 0);
    trainer_free(t);
    lesson_free(l);
}

static void a_checkpoint_that_cannot_be_written_leaves_the_others(void **state)
{
    struct ctx ctx = ctx_background();
    struct lesson *l = lesson_new("ref", 1);
    struct trainer *t;
    struct err err;
    char path[100], *last;
    bool finished = false;

    (void)state;
    lesson_model(l, true);
    l->args.save_steps = 1;
    t = lesson_trainer(l);
    ok(trainer_step(&ctx, t, &finished, &err), &err);
    mem_fail_after(0); /* training allocates nothing: the checkpoint is the first to ask */
    assert_int_not_equal(trainer_step(&ctx, t, &finished, &err), LC_OK);
    mem_fail_never();
    last = trainer_last_checkpoint(l->dir);
    snprintf(path, sizeof path, "%s/checkpoint-1", l->dir);
    assert_string_equal(last, path);
    mem_free(last);
    ok(trainer_run(&ctx, t, &err), &err);
    trainer_free(t);
    lesson_free(l);
}

static void a_run_stops_when_its_time_is_over(void **state)
{
    struct ctx ctx = ctx_background();
    struct lesson *l = lesson_new("ref", 1);
    struct trainer *t;
    struct err err;

    (void)state;
    lesson_model(l, true);
    l->args.max_seconds = 1e-6;
    t = lesson_trainer(l);
    ok(trainer_run(&ctx, t, &err), &err);
    assert_int_equal(trainer_state(t)->step, 1);
    assert_true(trainer_state(t)->out_of_time);
    trainer_free(t);
    lesson_free(l);
}

/* transformers' get_cosine_schedule_with_warmup */
static double cosine_rate(double rate, int64_t step, int64_t total, double warmup_ratio)
{
    double warmup = ceil(warmup_ratio * (double)total);

    if ((double)step < warmup)
        return rate * (double)step / warmup;
    return rate * fmax(0, 0.5 * (1 + cos(M_PI * ((double)step - warmup) / ((double)total - warmup))));
}

static void the_schedule_ends_with_the_time(void **state)
{
    struct ctx ctx = ctx_background();
    struct lesson *l = lesson_new("cpu", 2);
    struct trainer *t;
    int64_t planned, total = 0, saved = 0, checked = 0;
    bool finished = false;
    struct err err;

    (void)state;
    lesson_model(l, true);
    l->args.max_seconds = 1;
    l->args.num_train_epochs = 1e6;
    l->args.lr_scheduler_type = SCHEDULE_COSINE;
    l->args.warmup_steps = 0;
    l->args.warmup_ratio = 0.05;
    l->args.save_strategy = STRATEGY_NO;
    t = lesson_trainer(l);
    planned = trainer_state(t)->total_steps;
    assert_int_equal(planned, 4000000);
    while (!finished) {
        int64_t step = trainer_state(t)->step;
        bool known = trainer_state(t)->total_steps != planned;
        ok(trainer_step(&ctx, t, &finished, &err), &err);
        assert_true(!known || trainer_state(t)->total_steps == total); /* fixed, once it is known */
        total = trainer_state(t)->total_steps;
        if (known) {
            assert_float_equal(trainer_state(t)->learning_rate, cosine_rate(1e-2, step, total, 0.05), 1e-12);
            checked++;
        }
        if (known && !saved) {
            ok(trainer_save(&ctx, t, NULL, &err), &err);
            saved = trainer_state(t)->step;
        }
    }
    assert_true(total < planned && checked > 0 && saved > 0);
    assert_true(trainer_state(t)->out_of_time && trainer_state(t)->seconds < 5);
    trainer_free(t);

    lesson_model(l, true);
    t = lesson_trainer(l);
    ok(trainer_resume(&ctx, t, NULL, &err), &err);
    assert_int_equal(trainer_state(t)->step, saved);
    assert_int_equal(trainer_state(t)->total_steps, total); /* not measured again */
    assert_true(trainer_state(t)->seconds > 0);
    ok(trainer_step(&ctx, t, &finished, &err), &err);
    assert_int_equal(trainer_state(t)->total_steps, total);
    assert_float_equal(trainer_state(t)->learning_rate, cosine_rate(1e-2, saved, total, 0.05), 1e-12);
    trainer_free(t);
    lesson_free(l);
}

static void the_order_is_that_of_torch(void **state)
{
    /* torch.randperm(n, generator=torch.Generator().manual_seed(seed)), torch 2.13 */
    static const int64_t ten[] = {2, 6, 1, 8, 4, 5, 0, 9, 3, 7};
    static const int64_t more[] = {14, 19, 17, 15, 2, 13, 6,  5, 9, 10, 4,
                                   0,  16, 20, 21, 3, 11, 12, 7, 1, 8,  18};
    int64_t out[22];

    (void)state;
    train_permutation(42, 10, out);
    assert_memory_equal(out, ten, sizeof ten);
    train_permutation(43, 22, out);
    assert_memory_equal(out, more, sizeof more);
}

static void arguments_have_hugging_face_names(void **state)
{
    struct training_args a;
    struct err err;
    json_t *
        o = json_loads(
           "{\"evaluation_strategy\": \"epoch\", \"lr_scheduler_type\": \"cosine\", \"learning_rate\": 2e-4, "
           "\"report_to\": \"none\", \"max_grad_norm\": null, \"optim\": \"adamw_torch\"}",
           0, NULL),
       *bad = json_loads("{\"learning_rat\": 1}", 0, NULL), *back;

    (void)state;
    training_args_init(&a);
    ok(training_args_from_json(&a, o, &err), &err);
    assert_int_equal(a.eval_strategy, STRATEGY_EPOCH);
    assert_int_equal(a.lr_scheduler_type, SCHEDULE_COSINE);
    near_to(a.learning_rate, 2e-4, 0);
    near_to(a.max_grad_norm, 0, 0);
    assert_int_equal(training_args_from_json(&a, bad, &err), LC_ARG);
    assert_non_null(strstr(err.hint, "'learning_rate'"));
    back = training_args_to_json(&a);
    assert_string_equal(json_string_value(json_object_get(back, "eval_strategy")), "epoch");
    json_decref(back);
    json_decref(bad);
    json_decref(o);
    training_args_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_curves_are_those_of_torch),
        cmocka_unit_test(adapter_curves_are_those_of_peft),
        cmocka_unit_test(greedy_tokens_are_those_of_transformers),
        cmocka_unit_test(a_resumed_run_is_the_same_bit_for_bit),
        cmocka_unit_test(results_do_not_depend_on_threads),
        cmocka_unit_test(recomputed_layers_change_nothing),
        cmocka_unit_test(a_budget_is_kept_or_refused),
        cmocka_unit_test(the_best_model_is_loaded_at_the_end),
        cmocka_unit_test(bad_input_is_named),
        cmocka_unit_test(a_checkpoint_that_cannot_be_written_leaves_the_others),
        cmocka_unit_test(a_run_stops_when_its_time_is_over),
        cmocka_unit_test(the_schedule_ends_with_the_time),
        cmocka_unit_test(the_order_is_that_of_torch),
        cmocka_unit_test(arguments_have_hugging_face_names),
    };

    cmocka_set_test_filter(getenv("LACUS_TEST_FILTER")); /* NULL: all */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
