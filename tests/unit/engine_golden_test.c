/* engine_golden_test.c: logits, loss and every gradient against transformers and peft, on the reference and on the device that is tested. */
#include "runtime/base/mem.h"
#include "tests/support/golden.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define TOLERANCE 2e-5

static const char *const MODELS[] = {"llama3",     "llama3_tied", "mistral_swa", "ministral",
                                     "ministral3", "qwen2",       "qwen3"};
static const char *const ADAPTERS[] = {"lora_qv", "lora_all", "rslora"};

typedef void model_check(struct model *m, const char *name);

static void on_each(const char *const *names, size_t n, const char *folder, model_check *check)
{
    const char *const backends[] = {"ref", test_device()};

    for (size_t b = 0; b < 2; b++)
        for (size_t i = 0; i < n; i++) {
            struct backend *backend = open_backend(backends[b], 2);
            struct model *m = golden_model(backend, folder ? folder : names[i]);

            check(m, names[i]);
            model_free(m);
            backend_close(backend);
        }
}

/* The places of a padded batch that are not padding. */
static void logits_close_to(struct model *m, const struct golden *g, const char *name)
{
    struct tensor t;
    struct err err;
    int64_t n, v = model_get_config(m)->vocab_size;
    float *expected = golden_floats(g->st, name, &n), *a;

    ok(model_logits(m, &t, &err), &err);
    a = read_tensor(&t);
    for (int64_t i = 0; i < g->n * g->length; i++) /* moves them together, as the model's rows are */
        if (g->packed.row_of[i] >= 0)
            memmove(expected + g->packed.row_of[i] * v, expected + i * v, (size_t)v * sizeof *expected);
    close_to(name, a, expected, tensor_elements(&t), TOLERANCE);
    mem_free(a);
    mem_free(expected);
}

static void check_forward_backward(struct model *m, const char *name)
{
    struct ctx ctx = ctx_background();
    struct golden g;
    struct model_loss loss;
    struct err err;
    json_t *facts = golden_json(name, "golden.json");

    golden_open(&g, name);
    ok(model_set_trainable(m, true, &err), &err);
    ok(model_forward(&ctx, m, &g.packed.batch, &(struct model_forward){.train = true, .logits = true}, &loss,
                     &err),
       &err);
    near_to(loss.mean, json_number_value(json_object_get(facts, "loss")), 1e-5);
    assert_int_equal(loss.labels, json_integer_value(json_object_get(facts, "n_tokens")));
    logits_close_to(m, &g, "logits");
    ok(model_backward(&ctx, m, &err), &err);
    for (size_t i = 0; i < model_parameters(m); i++) {
        struct parameter p;
        char key[200];

        model_parameter(m, i, &p);
        snprintf(key, sizeof key, "grad.%s", p.value.name);
        tensor_close_to(&p.grad, g.st, key, TOLERANCE);
    }
    ok(model_forward(&ctx, m, &g.packed.batch, &(struct model_forward){.label_smoothing = 0.1}, &loss, &err),
       &err);
    near_to(loss.mean, json_number_value(json_object_get(facts, "loss_label_smoothing_0_1")), 1e-5);
    json_decref(facts);
    golden_close(&g);
}

static void logits_loss_and_gradients_are_those_of_transformers(void **state)
{
    (void)state;
    on_each(MODELS, sizeof MODELS / sizeof *MODELS, NULL, check_forward_backward);
}

static void check_packed(struct model *m, const char *name)
{
    struct ctx ctx = ctx_background();
    struct golden g;
    struct err err;
    struct tensor t;
    int64_t n;
    int64_t *ids;
    int32_t packed[40];
    const int32_t starts[] = {0, 23, 40};

    golden_open(&g, name);
    ids = golden_ints(g.st, "packed_ids", &n);
    assert_int_equal(n, 40);
    for (int i = 0; i < 40; i++)
        packed[i] = (int32_t)ids[i];
    ok(model_forward(&ctx, m,
                     &(struct model_batch){.rows = 40, .sequences = 2, .ids = packed, .starts = starts},
                     &(struct model_forward){.logits = true}, NULL, &err),
       &err);
    ok(model_logits(m, &t, &err), &err);
    tensor_close_to(&t, g.st, "packed_logits", TOLERANCE);
    mem_free(ids);
    golden_close(&g);
}

static void packed_documents_do_not_see_each_other(void **state)
{
    (void)state;
    on_each(MODELS, sizeof MODELS / sizeof *MODELS, NULL, check_packed);
}

static void check_adapter(struct model *m, const char *name)
{
    struct ctx ctx = ctx_background();
    json_t *facts = golden_json("llama3", "lora.json"), *row = json_object_get(facts, name);
    struct model_loss loss;
    struct golden g;
    struct err err;
    char folder[100];
    size_t seen = 0;

    snprintf(folder, sizeof folder, "llama3/%s", name);
    golden_open(&g, folder);
    snprintf(folder, sizeof folder, GOLDEN "llama3/%s", name);
    ok(lora_load(&ctx, m, folder, &err), &err);
    ok(model_forward(&ctx, m, &g.packed.batch, &(struct model_forward){.train = true, .logits = true}, &loss,
                     &err),
       &err);
    near_to(loss.mean, json_number_value(json_object_get(row, "loss")), 1e-5);
    logits_close_to(m, &g, "logits");
    ok(model_backward(&ctx, m, &err), &err);
    for (size_t i = 0; i < model_parameters(m); i++) {
        struct parameter p;
        char key[240];
        const char *tail;

        model_parameter(m, i, &p);
        if (!p.trainable)
            continue;
        tail = strrchr(p.value.name, '.'); /* peft names live parameters lora_A.default.weight */
        snprintf(key, sizeof key, "grad.%.*s.default%s", (int)(tail - p.value.name), p.value.name, tail);
        tensor_close_to(&p.grad, g.st, key, TOLERANCE);
        seen++;
    }
    assert_int_equal(seen, json_object_size(json_object_get(row, "grad_norms")));
    ok(lora_merge(m, &err), &err);
    ok(model_forward(&ctx, m, &g.packed.batch, &(struct model_forward){.logits = true}, &loss, &err), &err);
    logits_close_to(m, &g, "merged_logits");
    golden_close(&g);
    json_decref(facts);
}

static void adapters_are_those_of_peft(void **state)
{
    (void)state;
    on_each(ADAPTERS, sizeof ADAPTERS / sizeof *ADAPTERS, "llama3", check_adapter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_loss_and_gradients_are_those_of_transformers),
        cmocka_unit_test(packed_documents_do_not_see_each_other),
        cmocka_unit_test(adapters_are_those_of_peft),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
