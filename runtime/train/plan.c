#include "runtime/train/plan.h"
#include "gpu/adapter.h"
#include "gpu/quant.h"
#include "gpu/quantization.h"
#include "runtime/base/clock.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/train/device.h"
#include "runtime/train/examples.h"
#include <math.h>
#include <string.h>

enum { RATE_ROWS = 256, RATE_WIDTH = 2048, CONFIG_MAX = 1 << 20 };
static const double RATE_SECONDS = 0.03;
static const double OTHERS = 1.25; /* norms, rope, attention's softmax, optimizer: over the products */

struct plan {
    const json_t *request;
    struct training_args args;
    enum dtype linear, compute;                      /* of the layers' weights, and of their products */
    struct backend *backend;                         /* owned */
    struct model *model, *teacher;                   /* owned; teacher NULL: none */
    int64_t rows, sequences, tokens, items, longest; /* of the largest batch; of a mean one; in all */
};

static const char *text_of(const struct plan *p, const char *name)
{
    return json_string_value(json_object_get(p->request, name));
}

/* ---- the models, without their memory ---- */
static enum lc sketch(const struct plan *p, const char *folder, const struct model_options *o,
                      struct model **out, struct err *err)
{
    struct model_config config;

    TRY(model_config_load(folder, &config, err));
    return model_sketch(&config, p->backend, o, out, err);
}

static enum lc adapter_of(const struct plan *p, json_t **out, struct err *err)
{
    const char *folder = text_of(p, "adapter");
    char *path = folder ? fs_join(folder, "adapter_config.json") : NULL;
    struct buf text = BUF_INIT(CONFIG_MAX);
    enum lc rc = LC_OK;

    *out = json_incref(json_object_get(p->request, "peft"));
    if (path) {
        rc = fs_read(path, &text, err);
        json_decref(*out);
        *out = rc == LC_OK ? json_loadb(buf_str(&text), text.len, 0, NULL) : NULL;
        if (rc == LC_OK && !*out)
            rc = err_set(err, LC_DATA, "cannot read '%s'", path);
    }
    buf_release(&text);
    mem_free(path);
    return rc;
}

static enum lc attach(struct plan *p, struct err *err)
{
    struct adapter_config c;
    json_t *fields = NULL;
    enum lc rc = adapter_of(p, &fields, err);

    if (rc == LC_OK && json_is_object(fields)) {
        rc = adapter_config_from_json(fields, &c, err);
        if (rc == LC_OK)
            rc = adapter_attach(p->model, &c, NULL, 0, 0, err);
        adapter_config_release(&c);
    } else if (rc == LC_OK) {
        rc = model_set_trainable(p->model, true, err);
    }
    json_decref(fields);
    return rc;
}

static enum lc models(struct plan *p, struct err *err)
{
    struct quantization q;
    struct model_options o, plain;

    TRY(quantization_from_json(json_object_get(p->request, "quantization"), &q, err));
    p->args.bf16 = p->args.bf16 || q.compute != DTYPE_NONE;
    p->linear = q.linear;
    p->compute = quantization_compute(&q, p->args.bf16, p->backend);
    o = (struct model_options){.linear = q.linear, .compute = p->compute};
    plain = (struct model_options){.compute = p->args.bf16 ? DTYPE_BF16 : DTYPE_NONE};
    TRY(sketch(p, text_of(p, "folder") ? text_of(p, "folder") : "", &o, &p->model, err));
    TRY(attach(p, err));
    return text_of(p, "teacher") ? sketch(p, text_of(p, "teacher"), &plain, &p->teacher, err) : LC_OK;
}

/* ---- the rows ---- */
static int64_t whole(const struct plan *p, const char *name, int64_t otherwise)
{
    const json_t *v = json_object_get(p->request, name);

    return json_is_number(v) ? (int64_t)json_number_value(v) : otherwise;
}

static enum lc read_rows(const struct ctx *ctx, struct plan *p, struct err *err)
{
    struct example_options o = {.max_length = whole(p, "max_length", 0),
                                .completion_only =
                                    json_is_true(json_object_get(p->request, "completion_only")),
                                .packing = json_is_true(json_object_get(p->request, "packing")),
                                .pairs = json_is_true(json_object_get(p->request, "pairs"))};
    const char *folder = text_of(p, "tokenizer") ? text_of(p, "tokenizer") : text_of(p, "folder");
    struct tokenizer *tok = NULL;
    struct examples *e = NULL;
    enum lc rc = tokenizer_open(folder, &tok, err);

    if (rc == LC_OK)
        rc = examples_load(ctx, tok, text_of(p, "rows"), &o, &e, err);
    if (rc == LC_OK) {
        const struct train_dataset *d = examples_dataset(e);
        int64_t batch = p->args.per_device_train_batch_size;

        rc = train_largest_batch(d, batch, &p->rows, &p->sequences, err);
        p->items = whole(p, "items", d->n);
        p->tokens = examples_tokens(e) * (batch < d->n ? batch : d->n) / (d->n ? d->n : 1);
        p->longest = examples_longest(e);
    }
    examples_free(e);
    tokenizer_free(tok);
    return rc;
}

static enum lc batch_of(const struct ctx *ctx, struct plan *p, struct err *err)
{
    int64_t length = whole(p, "max_length", 1024), batch = p->args.per_device_train_batch_size;

    if (text_of(p, "rows"))
        return read_rows(ctx, p, err);
    p->rows = p->tokens = batch * (length > 0 ? length : 1024);
    p->sequences = batch;
    p->longest = p->rows / batch;
    p->items = whole(p, "items", 0);
    return LC_OK;
}

/* ---- the time ---- */
static double linear_elements(const struct model_config *c)
{
    double q = (double)(c->num_attention_heads * c->head_dim),
           kv = (double)(c->num_key_value_heads * c->head_dim);
    double h = (double)c->hidden_size;

    return (double)c->num_hidden_layers * (2 * h * q + 2 * h * kv + 3 * h * (double)c->intermediate_size);
}

double plan_flops(const struct model *m, int64_t length, int recomputed_layers)
{
    const struct model_config *c = model_get_config(m);
    double layers = (double)c->num_hidden_layers, products = linear_elements(c);
    double head = (double)(c->vocab_size * c->hidden_size);
    double attention = layers * 2 * (double)length * (double)(c->num_attention_heads * c->head_dim);
    double again = layers > 0 ? (double)recomputed_layers / layers : 0;
    bool full = !adapter_attached(m);
    int64_t trainable, all;

    model_count_parameters(m, &trainable, &all);
    /* forward 2, gradient of the inputs 2, of the weights 2; attention 1 and 2.5 times that backward */
    return products * (2 + 2 + (full ? 2 : 0) + 2 * again) + head * (full ? 6 : 4) +
           attention * (3.5 + again) + (full ? 0 : 6 * (double)trainable);
}

/* y = x W^T for a few hundredths of a second: the best of the calls, as others may use the machine; 0: it failed. */
static double timed(struct backend *b, struct linear_arg *a)
{
    int64_t begun = clock_mono_ns();
    double best = 1e30;

    b->ops->linear_forward(b->state, NULL, a); /* once beside the clock: threads start, pages are touched */
    for (int64_t now = begun; (double)(now - begun) * 1e-9 < RATE_SECONDS; now = clock_mono_ns()) {
        b->ops->linear_forward(b->state, NULL, a);
        if (b->ops->sync(b->state, NULL, NULL) != LC_OK)
            return 0;
        best = fmin(best, (double)(clock_mono_ns() - now) * 1e-9);
    }
    return 2 * (double)a->rows * (double)a->in * (double)a->out / fmax(best, 1e-9);
}

double plan_rate(const struct model *m, struct backend *b, enum dtype compute)
{
    const struct model_config *c = model_get_config(m);
    int64_t in = c->hidden_size < RATE_WIDTH ? c->hidden_size : RATE_WIDTH,
            out = c->intermediate_size < RATE_WIDTH ? c->intermediate_size : RATE_WIDTH;
    bool eight = compute == DTYPE_FP8;
    size_t weights = eight ? quant_bytes(DTYPE_FP8, out, in) : (size_t)(in * out) * sizeof(float);
    size_t bytes = (size_t)(RATE_ROWS * (in + out)) * sizeof(float) + weights;
    void *block = NULL;
    struct linear_arg a;
    double rate;

    if (b->ops->alloc(b->state, bytes, &block, NULL) != LC_OK)
        return 0;
    a = (struct linear_arg){.rows = RATE_ROWS,
                            .in = in,
                            .out = out,
                            .x = block,
                            .w = (float *)block + RATE_ROWS * (in + out),
                            .w_type = eight ? DTYPE_FP8 : DTYPE_F32,
                            .compute = compute,
                            .y = (float *)block + RATE_ROWS * in};
    rate = timed(b, &a);
    b->ops->release(b->state, block, bytes);
    return rate;
}

double plan_mixed_rate(const struct model *m, struct backend *b, enum dtype compute, double flops,
                       int recomputed_layers)
{
    const struct model_config *c = model_get_config(m);
    double again = c->num_hidden_layers > 0 ? (double)recomputed_layers / (double)c->num_hidden_layers : 0;
    double eighths = linear_elements(c) * (4 + 2 * again), rest = fmax(flops - eighths, 0), rate, quick;

    if (compute != DTYPE_FP8)
        return plan_rate(m, b, compute == DTYPE_BF16 ? DTYPE_BF16 : DTYPE_F32);
    rate = plan_rate(m, b, DTYPE_BF16);
    quick = plan_rate(m, b, DTYPE_FP8);
    return rate > 0 && quick > 0 ? (eighths + rest) / (eighths / quick + rest / rate) : rate;
}

/* What the time takes for granted of FP8, for people; NULL: nothing. */
static const char *assumes(const struct plan *p)
{
    if (p->linear != DTYPE_FP8)
        return NULL;
    return p->compute == DTYPE_FP8
               ? "products of the layers in FP8, the rest in bf16, each at its rate measured here"
           : p->compute == DTYPE_BF16 ? "no FP8 products on this device: all at its bf16 rate"
                                      : "no FP8 products on this device: all at its f32 rate";
}

static double steps_of(const struct plan *p)
{
    const struct training_args *a = &p->args;
    double batches = (double)train_batches(a, p->items);

    if (a->max_steps >= 0)
        return (double)a->max_steps;
    return ceil(a->num_train_epochs * fmax(1, ceil(batches / (double)a->gradient_accumulation_steps)));
}

/* ---- the answer ---- */
static size_t available(const struct plan *p)
{
    struct backend_memory memory;

    if (p->args.memory_budget)
        return p->args.memory_budget;
    p->backend->ops->memory(p->backend->state, &memory);
    return memory.free;
}

static json_t *answer(const struct plan *p, const struct model_plan *m, size_t teacher)
{
    double flops = plan_flops(p->model, p->longest, m->recomputed_layers),
           rate = plan_mixed_rate(p->model, p->backend, p->compute, flops, m->recomputed_layers);
    double tokens = (double)p->tokens * (double)p->args.gradient_accumulation_steps, steps = steps_of(p);
    double taught = p->teacher ? 2 * linear_elements(model_get_config(p->teacher)) : 0;
    double each = rate > 0 ? (flops + taught) * tokens / rate * OTHERS : 0;
    size_t total = m->total + teacher, most = available(p);
    int64_t trainable, all;
    json_t *o;

    model_count_parameters(p->model, &trainable, &all);
    o = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:i, s:I, s:I}", "weights",
                  (json_int_t)(m->weights - m->adapter), "adapter", (json_int_t)m->adapter, "gradients",
                  (json_int_t)m->gradients, "optimizer", (json_int_t)m->optimizer, "activations",
                  (json_int_t)m->activations, "logits", (json_int_t)m->logits, "scratch",
                  (json_int_t)(m->scratch - m->logits), "teacher", (json_int_t)teacher, "total",
                  (json_int_t)total, "available", (json_int_t)most, "fits", total <= most,
                  "recomputed_layers", m->recomputed_layers, "trainable", (json_int_t)trainable, "all",
                  (json_int_t)all);
    json_object_update_new(o, json_pack("{s:f, s:f, s:f, s:f, s:f, s:f}", "tokens_per_step", tokens, "steps",
                                        steps, "seconds_per_step", each, "seconds", each * steps,
                                        "flops_per_token", flops, "flops_per_second", rate));
    if (o && assumes(p))
        json_object_set_new(o, "assumes", json_string(assumes(p)));
    return o;
}

static enum lc measure(const struct ctx *ctx, struct plan *p, json_t **out, struct err *err)
{
    struct model_plan m, teacher = {0};
    size_t room;
    int layers;

    TRY(train_device_open(0, 0, &p->backend, err));
    TRY(models(p, err));
    TRY(batch_of(ctx, p, err));
    layers = p->args.gradient_checkpointing ? (int)model_get_config(p->model)->num_hidden_layers : 0;
    model_set_optimizer(p->model, p->args.optim == OPTIMIZER_SGD ? (p->args.momentum > 0 ? 1 : 0) : 2);
    if (p->teacher)
        TRY(model_make_plan(p->teacher, p->rows, p->sequences, false, 0, 0, &teacher, err));
    room = available(p);
    room = room > teacher.total ? room - teacher.total : 1;
    if (model_make_plan(p->model, p->rows, p->sequences, true, room, layers, &m, NULL) !=
        LC_OK) /* as it would be */
        TRY(model_make_plan(p->model, p->rows, p->sequences, true, 0, layers, &m, err));
    *out = answer(p, &m, teacher.total);
    return *out ? LC_OK : err_nomem(err);
}

enum lc plan_training(const struct ctx *ctx, const json_t *request, json_t **out, struct err *err)
{
    struct plan p = {.request = request};
    const json_t *args = json_object_get(request, "args");
    enum lc rc;

    training_args_init(&p.args);
    rc = args ? training_args_from_json(&p.args, args, err) : LC_OK;
    if (rc == LC_OK && p.args.per_device_train_batch_size < 1)
        rc = err_set(err, LC_ARG, "training argument 'per_device_train_batch_size' is below 1");
    if (rc == LC_OK)
        rc = measure(ctx, &p, out, err);
    training_args_release(&p.args);
    model_free(p.model);
    model_free(p.teacher);
    backend_close(p.backend);
    return rc;
}
