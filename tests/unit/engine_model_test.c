/* engine_model_test.c: broken checkpoints and adapters are named; no memory, a full disk and an interrupt leave things
 * whole. */
#include "gpu/adapter.h"
#include "gpu/generate.h"
#include "gpu/trainer.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "tests/support/golden.h"
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

struct place { /* a backend and a folder */
    struct backend *b;
    char dir[32];
};

static struct place place_new(void)
{
    struct place p = {.dir = "/tmp/lacus-test-XXXXXX"};

    p.b = open_backend("ref", 1);
    assert_non_null(mkdtemp(p.dir));
    return p;
}

static void place_free(struct place *p)
{
    struct err err;

    ok(fs_remove_tree(p->dir, &err), &err);
    backend_close(p->b);
}

static struct model *tiny(struct place *p)
{
    struct ctx ctx = ctx_background();
    struct model_config c;
    struct model *m;
    struct err err;

    model_config_defaults(&c);
    c.vocab_size = 19;
    c.hidden_size = c.intermediate_size = 8;
    c.num_hidden_layers = c.num_attention_heads = c.num_key_value_heads = 2;
    c.head_dim = 4;
    ok(model_create(&ctx, &c, 3, p->b, NULL, &m, &err), &err);
    return m;
}

static void expect_error(struct place *p, enum lc code, const char *word)
{
    struct ctx ctx = ctx_background();
    struct model *m = NULL;
    struct err err;

    err_clear(&err);
    assert_int_equal(model_load(&ctx, p->dir, p->b, NULL, &m, &err), code);
    if (!strstr(err.message, word) && !strstr(err.hint, word) && !strstr(err.cause, word))
        fail_msg("'%s' is not in: %s (%s; %s)", word, err.message, err.cause, err.hint);
}

static void put(const struct place *p, const char *name, const char *text)
{
    char path[100];
    struct err err;

    snprintf(path, sizeof path, "%s/%s", p->dir, name);
    ok(fs_write(path, text, strlen(text), &err), &err);
}

static void broken_checkpoints_are_named(void **state)
{
    struct ctx ctx = ctx_background();
    struct place p = place_new();
    struct model *m = tiny(&p);
    struct buf config = BUF_INIT(10000);
    struct err err;
    char path[100];
    const int64_t shape[] = {3};
    const float values[3] = {0};
    const struct safetensor wrong[] = {
        {"model.embed_tokens.weight", ST_F32, 1, shape, values, sizeof values}};

    (void)state;
    expect_error(&p, LC_NOTFOUND, "config.json");
    ok(model_save(&ctx, m, p.dir, &err), &err);
    snprintf(path, sizeof path, "%s/config.json", p.dir);
    ok(fs_read(path, &config, &err), &err);
    put(&p, "config.json", "{\"model_type\": \"llama\",");
    expect_error(&p, LC_DATA, "config.json");
    put(&p, "config.json", "[]");
    expect_error(&p, LC_DATA, "not a JSON object");
    put(&p, "config.json", "{\"model_type\": \"llama\", \"vocab_size\": \"many\"}");
    expect_error(&p, LC_DATA, "vocab_size");
    put(&p, "config.json", "{\"model_type\": \"mixtral\", \"architectures\": [\"MixtralForCausalLM\"]}");
    expect_error(&p, LC_UNSUPPORTED, "MixtralForCausalLM");
    put(&p, "config.json", buf_str(&config));
    put(&p, "model.safetensors", "not a safetensors file");
    expect_error(&p, LC_DATA, "model.safetensors");
    snprintf(path, sizeof path, "%s/model.safetensors", p.dir);
    ok(safetensors_write(path, wrong, 1, NULL, &err), &err);
    expect_error(&p, LC_DATA, "[3]");
    ok(safetensors_write(path, wrong, 0, NULL, &err), &err);
    expect_error(&p, LC_NOTFOUND, "model.embed_tokens.weight");
    buf_release(&config);
    model_free(m);
    place_free(&p);
}

static void a_tensor_without_a_place_is_named(void **state)
{
    struct ctx ctx = ctx_background();
    struct place p = place_new();
    struct model_config c;
    struct model *m, *other = NULL;
    struct buf text = BUF_INIT(10000);
    struct err err;

    (void)state;
    m = tiny(&p);
    c = *model_get_config(m);
    model_free(m);
    c.mlp_bias = true; /* its weights have biases, the config that follows says there are none */
    ok(model_create(&ctx, &c, 1, p.b, NULL, &m, &err), &err);
    ok(model_save(&ctx, m, p.dir, &err), &err);
    c.mlp_bias = false;
    assert_true(model_config_write(&c, &text));
    put(&p, "config.json", buf_str(&text));
    assert_int_equal(model_load(&ctx, p.dir, p.b, NULL, &other, &err), LC_DATA);
    assert_non_null(strstr(err.message, "mlp.down_proj.bias"));
    buf_release(&text);
    model_free(m);
    place_free(&p);
}

static void expect_adapter_error(struct model *m, const char *json, enum lc code, const char *word)
{
    struct lora_config c;
    struct err err;
    json_t *object = json_loads(json, 0, NULL);
    enum lc got;

    err_clear(&err);
    assert_non_null(object);
    got = lora_config_from_json(object, &c, &err);
    if (got == LC_OK) {
        got = lora_attach(m, &c, 1, &err);
        lora_config_release(&c);
    }
    assert_int_equal(got, code);
    if (!strstr(err.message, word) && !strstr(err.hint, word))
        fail_msg("'%s' is not in: %s (%s)", word, err.message, err.hint);
    json_decref(object);
    assert_false(adapter_attached(m));
}

static void what_an_adapter_cannot_be_is_named(void **state)
{
    struct place p = place_new();
    struct model *m = tiny(&p);
    struct err err;

    (void)state;
    expect_adapter_error(m, "{\"modules_to_save\": [\"lm_hed\"]}", LC_NOTFOUND, "embed_tokens");
    expect_adapter_error(m, "{\"use_qalora\": true}", LC_UNSUPPORTED, "use_qalora");
    expect_adapter_error(m, "{\"bias\": \"some\"}", LC_UNSUPPORTED, "lora_only");
    expect_adapter_error(m, "{\"target_modules\": \".*q_porj\"}", LC_NOTFOUND, ".*q_porj");
    expect_adapter_error(m, "{\"rank_pattern\": [1]}", LC_UNSUPPORTED, "rank_pattern");
    expect_adapter_error(m, "{\"lora_alfa\": 3}", LC_ARG, "lora_alpha");
    expect_adapter_error(m, "{\"r\": 0}", LC_ARG, "'r'");
    expect_adapter_error(m, "{\"lora_dropout\": 1.0}", LC_ARG, "lora_dropout");
    expect_adapter_error(m, "{\"target_modules\": [\"q_porj\"]}", LC_NOTFOUND, "q_proj");
    expect_adapter_error(m, "{\"target_modules\": [\"lm_head\"], \"use_dora\": true}", LC_UNSUPPORTED,
                         "lm_head");
    assert_int_equal(lora_merge(m, &err), LC_ARG);
    model_free(m);
    place_free(&p);
}

/* ---- memory ---- */
static enum lc whole_use(struct place *p)
{
    static const int32_t ids[] = {3, 4, 5, 6, 7, 8};
    const struct train_example examples[] = {{ids, NULL, 6}, {ids, NULL, 4}};
    const struct train_dataset data = {.examples = examples, .n = 2};
    const struct generate_prompt prompt = {ids, 3};
    struct trainer_callbacks none = {0};
    struct ctx ctx = ctx_background();
    struct generate_options o;
    struct generation g;
    struct training_args args;
    struct trainer *t = NULL;
    struct model *m = NULL;
    struct lora_config c;
    struct err err;
    enum lc code = model_load(&ctx, p->dir, p->b, NULL, &m, &err);

    lora_config_init(&c);
    training_args_init(&args);
    args.max_steps = 1;
    generate_defaults(&o);
    if (code == LC_OK)
        code = lora_config_target(&c, "v_proj", &err);
    if (code == LC_OK)
        code = lora_attach(m, &c, 1, &err);
    if (code == LC_OK)
        code = trainer_new(&ctx, m, &args, &data, NULL, &none, &t, &err);
    if (code == LC_OK)
        code = trainer_run(&ctx, t, &err);
    if (code == LC_OK && (code = generate(&ctx, m, &prompt, 1, &o, &g, &err)) == LC_OK)
        generation_release(&g);
    if (code == LC_OK)
        code = lora_save(&ctx, m, p->dir, &err);
    trainer_free(t);
    model_free(m);
    lora_config_release(&c);
    training_args_release(&args);
    return code;
}

static void without_memory_there_is_an_error_and_no_leak(void **state)
{
    struct ctx ctx = ctx_background();
    struct place p = place_new();
    struct model *m = tiny(&p);
    struct backend_memory before, after;
    struct err err;
    enum lc code = LC_NOMEM;
    long n = 0;

    (void)state;
    ok(model_save(&ctx, m, p.dir, &err), &err);
    model_free(m);
    p.b->ops->memory(p.b->state, &before);
    for (; code != LC_OK && n < 5000; n++) {
        mem_fail_after(n);
        code = whole_use(&p);
        mem_fail_never();
        p.b->ops->memory(p.b->state, &after);
        assert_int_equal(after.used, before.used);
    }
    assert_in_range(n, 50, 4999); /* it got through at last, after many failures */
    place_free(&p);
}

/* ---- disk and interrupt ---- */
static void a_save_that_fails_leaves_the_old_one(void **state)
{
    struct ctx ctx = ctx_background();
    struct place p = place_new();
    struct model *m = tiny(&p), *again = NULL;
    struct rlimit old, small = {1000, 1000};
    struct err err;
    enum lc code;

    (void)state;
    ok(model_save(&ctx, m, p.dir, &err), &err);
    getrlimit(RLIMIT_FSIZE, &old);
    small.rlim_max = old.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small); /* as a full disk: a write comes back short */
    code = model_save(&ctx, m, p.dir, &err);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_not_equal(code, LC_OK);
    assert_non_null(strstr(err.message, "model.safetensors"));
    ok(model_load(&ctx, p.dir, p.b, NULL, &again, &err), &err);
    model_free(again);
    model_free(m);
    place_free(&p);
}

static void an_interrupt_ends_a_forward_and_a_generation(void **state)
{
    static const int32_t ids[] = {3, 4, 5}, starts[] = {0, 3};
    const struct model_batch batch = {.rows = 3, .sequences = 1, .ids = ids, .labels = ids, .starts = starts};
    const struct generate_prompt prompt = {ids, 3};
    struct ctx ctx = ctx_background();
    struct place p = place_new();
    struct model *m = tiny(&p);
    struct generate_options o;
    struct generation g;
    struct model_loss loss;
    struct err err;
    atomic_bool cancel = true;

    (void)state;
    ctx.cancel = &cancel;
    assert_int_equal(model_forward(&ctx, m, &batch, &(struct model_forward){0}, &loss, &err), LC_CANCELLED);
    generate_defaults(&o);
    assert_int_equal(generate(&ctx, m, &prompt, 1, &o, &g, &err), LC_CANCELLED);
    assert_int_equal(g.sequences[0].end, GENERATE_CANCELLED);
    generation_release(&g);
    assert_int_equal(model_backward(&ctx, m, &err), LC_ARG); /* there was no forward to go back from */
    atomic_store(&cancel, false);
    ok(model_forward(&ctx, m, &batch, &(struct model_forward){0}, &loss, &err), &err);
    near_to(loss.mean, log(19), 0.2); /* fresh weights: as good as guessing */
    model_free(m);
    place_free(&p);
}

static void weights_in_bf16_take_half_and_do_not_train(void **state)
{
    const struct model_options options = {.dtype = DTYPE_BF16};
    struct ctx ctx = ctx_background();
    struct place p = place_new();
    struct model *m;
    struct golden g;
    struct model_loss loss;
    struct err err;
    json_t *facts = golden_json("llama3", "golden.json");

    (void)state;
    ok(model_load(&ctx, GOLDEN "llama3", p.b, &options, &m, &err), &err);
    assert_int_equal(model_set_trainable(m, true, &err), LC_UNSUPPORTED);
    golden_open(&g, "llama3");
    ok(model_forward(&ctx, m, &g.packed.batch, &(struct model_forward){0}, &loss, &err), &err);
    near_to(loss.mean, json_number_value(json_object_get(facts, "loss")), 0.02);
    golden_close(&g);
    json_decref(facts);
    model_free(m);
    place_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_checkpoints_are_named),
        cmocka_unit_test(a_tensor_without_a_place_is_named),
        cmocka_unit_test(what_an_adapter_cannot_be_is_named),
        cmocka_unit_test(without_memory_there_is_an_error_and_no_leak),
        cmocka_unit_test(a_save_that_fails_leaves_the_old_one),
        cmocka_unit_test(an_interrupt_ends_a_forward_and_a_generation),
        cmocka_unit_test(weights_in_bf16_take_half_and_do_not_train),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
