/* generate_test.c: batches whose sequences name their adapters; probabilities of prompts; what is refused. */
#include "gpu/adapter.h"
#include "gpu/generate.h"
#include "runtime/base/mem.h"
#include "tests/support/golden.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { NEW = 9, LENGTHS = 3, MODELS = 3 };

static const int32_t ids[] = {3, 17, 44, 5, 90, 12, 33, 71, 8, 120, 64, 2, 19, 55, 101, 7};
static const size_t lengths[LENGTHS] = {1, 7, 16};
static const char *const adapters[MODELS] = {NULL, "lora_all", "rslora"};

static const char *tested(int i)
{
    return i ? test_device() : "ref";
}

static void load(struct model *m, const char *name)
{
    struct ctx ctx = ctx_background();
    struct err err;
    char path[200];

    snprintf(path, sizeof path, GOLDEN "llama3/%s", name);
    ok(lora_load(&ctx, m, path, &err), &err);
}

/* The model with this adapter attached, as a test of its own compares it with peft. */
static void alone(struct backend *backend, const char *adapter, size_t n, struct generation *out)
{
    struct model *m = golden_model(backend, "llama3");
    struct ctx ctx = ctx_background();
    struct generate_prompt p = {ids, n};
    struct generate_options o;
    struct err err;

    if (adapter)
        load(m, adapter);
    generate_defaults(&o);
    o.max_new_tokens = NEW;
    o.no_stop = true;
    ok(generate(&ctx, m, &p, 1, &o, out, &err), &err);
    model_free(m);
}

static void check_made(struct backend *backend, struct generate_ended *e)
{
    struct generation want;

    assert_int_equal(e->err.code, LC_OK);
    alone(backend, adapters[e->sequence % MODELS], lengths[e->sequence / MODELS], &want);
    assert_int_equal(e->made.n, NEW);
    for (size_t k = 0; k < NEW; k++) {
        assert_int_equal(e->made.ids[k], want.sequences[0].ids[k]);
        assert_true(fabs(e->made.logprobs[k] - want.sequences[0].logprobs[k]) < 1e-4);
    }
    generation_release(&want);
    generated_release(&e->made);
}

static void a_batch_mixes_adapters(void **state)
{
    struct ctx ctx = ctx_background();

    (void)state;
    for (int b = 0; b < 2; b++) {
        struct backend *backend = open_backend(tested(b), 2);
        struct model *m = golden_model(backend, "llama3");
        struct generate_batch *batch;
        struct generate_ended e;
        struct err err;
        size_t number, seen = 0;

        for (size_t i = 1; i < MODELS; i++) {
            load(m, adapters[i]);
            ok(adapter_keep(m, &number, &err), &err);
            assert_int_equal(number, i);
            assert_false(adapter_attached(m));
        }
        ok(generate_batch_new(m, MODELS * LENGTHS, &batch, &err), &err);
        for (size_t i = 0; i < MODELS * LENGTHS; i++) {
            struct generate_prompt p = {ids, lengths[i / MODELS]};
            struct generate_options o;

            generate_defaults(&o);
            o.max_new_tokens = NEW;
            o.no_stop = true;
            o.adapter = i % MODELS;
            ok(generate_batch_add(batch, &p, &o, i, &err), &err);
        }
        while (generate_batch_running(batch))
            ok(generate_batch_step(&ctx, batch, &err), &err);
        for (; generate_batch_take(batch, &e); seen++)
            check_made(backend, &e);
        assert_int_equal(seen, MODELS * LENGTHS);
        generate_batch_free(batch);
        model_free(m);
        backend_close(backend);
    }
}

struct scored {
    double logprobs[16];
    size_t n, made;
    bool ordered;
};

static bool note(void *arg, size_t sequence, const struct generate_token *t)
{
    struct scored *s = arg;

    (void)sequence;
    s->ordered = s->ordered && t->n_top == 3 && t->top[0].logprob >= t->top[1].logprob &&
                 t->top[1].logprob >= t->top[2].logprob && t->top[0].logprob >= t->logprob;
    if (t->prompt)
        s->logprobs[s->n++] = t->logprob;
    else
        s->made++;
    return true;
}

static void prompts_are_scored_as_a_forward_does(void **state)
{
    struct ctx ctx = ctx_background();

    (void)state;
    for (int b = 0; b < 2; b++) {
        struct backend *backend = open_backend(tested(b), 2);
        struct model *m = golden_model(backend, "llama3");
        int32_t starts[2] = {0, 16};
        struct model_batch batch = {.rows = 16, .sequences = 1, .ids = ids, .labels = ids, .starts = starts};
        float losses[16];
        struct model_forward how = {.losses = losses};
        struct scored s = {.ordered = true};
        struct generate_prompt p = {ids, 16};
        struct generate_options o;
        struct generation out;
        struct err err;

        ok(model_forward(&ctx, m, &batch, &how, NULL, &err), &err);
        generate_defaults(&o);
        o.max_new_tokens = b; /* also none */
        o.prompt_logprobs = true;
        o.top_logprobs = 3;
        o.on_token = note;
        o.arg = &s;
        ok(generate(&ctx, m, &p, 1, &o, &out, &err), &err);
        assert_int_equal(s.n, 15);
        assert_int_equal(s.made, b);
        assert_int_equal(out.sequences[0].n, b);
        assert_true(s.ordered);
        for (size_t k = 0; k < 15; k++)
            assert_true(fabs(s.logprobs[k] + (double)losses[k]) < 1e-4);
        generation_release(&out);
        model_free(m);
        backend_close(backend);
    }
}

static void wrong_options_are_named(void **state)
{
    struct ctx ctx = ctx_background();
    struct backend *backend = open_backend("ref", 1);
    struct model *m = golden_model(backend, "llama3");
    struct generate_bias far = {1 << 20, 1}, infinite = {3, (float)HUGE_VAL};
    struct generate_prompt p = {ids, 4};
    struct generate_options o[4];
    const char *const words[] = {"outside the vocabulary", "not finite", "there is no number 1", "at most"};
    struct generation out;
    struct err err;
    size_t number;

    (void)state;
    for (int i = 0; i < 4; i++)
        generate_defaults(&o[i]);
    o[0].bias = &far;
    o[1].bias = &infinite;
    o[0].n_bias = o[1].n_bias = 1;
    o[2].adapter = 1;
    o[3].top_logprobs = GENERATE_TOP_MAX + 1;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(generate(&ctx, m, &p, 1, &o[i], &out, &err), LC_ARG);
        assert_non_null(strstr(err.message, words[i]));
    }
    assert_int_equal(adapter_keep(m, &number, &err), LC_ARG);
    load(m, adapters[1]);
    ok(adapter_keep(m, &number, &err), &err);
    load(m, adapters[1]);
    assert_int_equal(generate(&ctx, m, &p, 1, &o[2], &out, &err), LC_CONFLICT);
    model_free(m);
    backend_close(backend);
}

/* Three sequences of 600 tokens: how many were made whole; the others say what they lacked. */
static size_t run_three(struct backend *backend, size_t n)
{
    struct ctx ctx = ctx_background();
    struct model *m = golden_model(backend, "llama3");
    struct generate_batch *batch;
    struct generate_ended e;
    struct generate_options o;
    struct err err = {.code = LC_OK};
    size_t whole = 0;

    generate_defaults(&o);
    o.max_new_tokens = 600;
    o.no_stop = true;
    ok(generate_batch_new(m, 3, &batch, &err), &err);
    for (size_t i = 0; i < n; i++)
        ok(generate_batch_add(batch, &(struct generate_prompt){ids, 4 + i}, &o, i, &err), &err);
    while (generate_batch_running(batch) > 0)
        ok(generate_batch_step(&ctx, batch, &err), &err);
    while (generate_batch_take(batch, &e)) {
        whole += e.err.code == LC_OK && e.made.n == 600;
        if (e.err.code != LC_OK) {
            assert_int_equal(e.err.code, LC_LIMIT);
            assert_non_null(strstr(e.err.message, "keys and values of"));
        }
        generated_release(&e.made);
    }
    generate_batch_free(batch);
    model_free(m);
    return whole;
}

static void the_longest_gives_way_when_memory_ends(void **state)
{
    struct backend_memory one, three;
    struct backend *backend;
    struct err err;

    (void)state;
    for (size_t n = 1; n <= 3; n += 2) {
        backend = open_backend("ref", 1);
        assert_int_equal(run_three(backend, n), n);
        backend->ops->memory(backend->state, n == 1 ? &one : &three);
        backend_close(backend);
    }
    assert_true(one.peak < three.peak);
    ok(backend_open("ref", &(struct backend_options){.memory_limit = (one.peak + three.peak) / 2}, &backend,
                    &err),
       &err);
    assert_in_range(run_three(backend, 3), 1, 2);
    backend_close(backend);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_mixes_adapters),
        cmocka_unit_test(prompts_are_scored_as_a_forward_does),
        cmocka_unit_test(the_longest_gives_way_when_memory_ends),
        cmocka_unit_test(wrong_options_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
