/* bench.c: what a device does with the engine: matrix products, fine-tuning steps on Llama shapes with random weights,
 * generation. One JSON object per line on standard output; all figures of one call are to be read together.
 * FP8 cases are of 8-bit factors where the device has them.
 * usage: bench DEVICE CASE…   (CASE "list" names them; "small" ones run anywhere) */
#include "gpu/generate.h"
#include "gpu/lora.h"
#include "gpu/optim.h"
#include "gpu/quant.h"
#include "gpu/quantization.h"
#include "gpu/rng.h"
#include "runtime/base/mem.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct shape {
    const char *name;
    int64_t hidden, intermediate, layers, heads, kv_heads, head_dim, vocabulary;
} SHAPES[] = {
    {"llama-3.1-8b", 4096, 14336, 32, 32, 8, 128, 128256},
    {"llama-3.2-1b", 2048, 8192, 16, 32, 8, 64, 128256},
    {"small", 128, 256, 2, 2, 1, 64, 384},
};

static const struct job {
    const char *name, *what; /* "product", "train" or "generate" */
    int shape;
    int64_t sequences, length;
    enum dtype dtype, linear;
    bool lora;
    int recompute, steps;
} JOBS[] = {
    {"product", "product", 0, 0, 8192, DTYPE_BF16, DTYPE_NONE, false, 0, 20},
    {"product-fp8", "product", 0, 0, 8192, DTYPE_FP8, DTYPE_NONE, false, 0, 20},
    {"lora-8x2048", "train", 0, 8, 2048, DTYPE_BF16, DTYPE_NONE, true, 0, 5},
    {"lora-8x2048-recompute", "train", 0, 8, 2048, DTYPE_BF16, DTYPE_NONE, true, 32, 5},
    {"qlora-8x2048", "train", 0, 8, 2048, DTYPE_BF16, DTYPE_NF4_DOUBLE, true, 0, 5},
    {"qlora-1x2048-recompute", "train", 0, 1, 2048, DTYPE_BF16, DTYPE_NF4_DOUBLE, true, 32, 5},
    {"fp8-lora-8x2048", "train", 0, 8, 2048, DTYPE_BF16, DTYPE_FP8, true, 0, 5},
    {"full-1b-8x2048", "train", 1, 8, 2048, DTYPE_F32, DTYPE_NONE, false, 0, 5},
    {"generate-1", "generate", 0, 1, 512, DTYPE_BF16, DTYPE_NONE, false, 0, 128},
    {"generate-8", "generate", 0, 8, 512, DTYPE_BF16, DTYPE_NONE, false, 0, 128},
    {"generate-1-nf4", "generate", 0, 1, 512, DTYPE_BF16, DTYPE_NF4_DOUBLE, false, 0, 128},
    {"small-product", "product", 2, 0, 64, DTYPE_BF16, DTYPE_NONE, false, 0, 2},
    {"small-product-fp8", "product", 2, 0, 64, DTYPE_FP8, DTYPE_NONE, false, 0, 2},
    {"small-fp8-lora", "train", 2, 2, 16, DTYPE_BF16, DTYPE_FP8, true, 1, 2},
    {"small-lora", "train", 2, 2, 16, DTYPE_BF16, DTYPE_NF4_DOUBLE, true, 1, 2},
    {"small-full", "train", 2, 2, 16, DTYPE_F32, DTYPE_NONE, false, 0, 2},
    {"small-generate", "generate", 2, 2, 16, DTYPE_BF16, DTYPE_NONE, false, 0, 4},
};
enum { N_JOBS = sizeof JOBS / sizeof *JOBS };

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void must(enum lc code, const struct err *err)
{
    if (code == LC_OK)
        return;
    fprintf(stderr, "bench: %s (%s) %s\n", err->message, err->cause, err->hint);
    exit(1);
}

/* ---- weights: one random matrix for each shape, so that a model of 16 GB is there in seconds ---- */
struct filler {
    int64_t rows, columns;
    enum dtype dtype;
    void *bytes; /* owned */
    size_t size;
};

static void fill(struct filler *f, const struct tensor *t)
{
    int64_t rows = t->shape[0], columns = t->ndim > 1 ? t->shape[1] : 1;
    float *x;
    struct rng rng;

    if (f->bytes && f->rows == rows && f->columns == columns && f->dtype == t->dtype)
        return;
    mem_free(f->bytes);
    x = mem_reallocn(NULL, (size_t)(rows * columns), sizeof *x);
    rng_seed(&rng, (uint64_t)(rows + columns));
    for (int64_t i = 0; i < rows * columns; i++) /* uniform is quicker than normal, and as random to a GPU */
        x[i] = (float)(0.07 * (rng_uniform(&rng) - 0.5));
    f->rows = rows;
    f->columns = columns;
    f->dtype = t->dtype;
    f->size = dtype_quantized(t->dtype) ? quant_bytes(t->dtype, rows, columns)
                                        : (size_t)(rows * columns) * dtype_size(t->dtype);
    f->bytes = mem_alloc(f->size);
    if (dtype_quantized(t->dtype))
        quant_encode(x, rows, columns, t->dtype, f->bytes);
    else
        dtype_from_f32(f->bytes, t->dtype, x, (size_t)(rows * columns));
    mem_free(x);
}

static void random_weights(struct backend *b, struct model *m)
{
    struct filler fillers[16] = {{0}};
    struct err err;

    for (size_t i = 0; i < model_parameters(m); i++) {
        struct parameter p;
        size_t slot;

        model_parameter(m, i, &p);
        if (p.value.ndim < 2)
            continue; /* norms are ones */
        slot = (size_t)(p.value.shape[0] * 31 + p.value.shape[1] * 7 + p.value.dtype) % 16;
        fill(&fillers[slot], &p.value);
        must(b->ops->upload(b->state, NULL, p.value.data, fillers[slot].bytes, fillers[slot].size, &err),
             &err);
    }
    must(b->ops->sync(b->state, NULL, &err), &err);
    for (int i = 0; i < 16; i++)
        mem_free(fillers[i].bytes);
}

static struct model *model_for(struct backend *b, const struct job *j)
{
    const struct shape *s = &SHAPES[j->shape];
    struct quantization q = {.linear = j->linear};
    struct model_options o = {
        .dtype = j->dtype, .compute = quantization_compute(&q, true, b), .linear = j->linear};
    struct ctx ctx = ctx_background();
    struct model_config c;
    struct model *m;
    struct err err;

    model_config_defaults(&c);
    c.hidden_size = s->hidden;
    c.intermediate_size = s->intermediate;
    c.num_hidden_layers = s->layers;
    c.num_attention_heads = s->heads;
    c.num_key_value_heads = s->kv_heads;
    c.head_dim = s->head_dim;
    c.vocab_size = s->vocabulary;
    c.max_position_embeddings = 4096;
    c.initializer_range = 0;
    must(model_create(&ctx, &c, 1, b, &o, &m, &err), &err);
    random_weights(b, m);
    return m;
}

static void attach(struct model *m)
{
    static const char *const TARGETS[] = {"q_proj", "v_proj"};
    struct lora_config c;
    struct err err;

    lora_config_init(&c);
    c.r = 16;
    c.lora_alpha = 32;
    for (size_t i = 0; i < 2; i++)
        must(lora_config_target(&c, TARGETS[i], &err), &err);
    must(lora_attach(m, &c, 1, &err), &err);
    lora_config_release(&c);
}

/* Floating-point operations of a step per token: products forward, and backward to the input (and the weights). */
static double work(const struct job *j)
{
    const struct shape *s = &SHAPES[j->shape];
    double q = (double)(s->heads * s->head_dim), kv = (double)(s->kv_heads * s->head_dim),
           h = (double)s->hidden;
    double layer = 2 * h * (2 * q + 2 * kv + 3 * (double)s->intermediate),
           attention = 2 * 2 * q * (double)j->length / 2; /* causal */
    double forward = (double)s->layers * (layer + attention) + 2 * h * (double)s->vocabulary;

    return forward * (j->lora ? 2 : 3) + (double)s->layers * attention * (j->lora ? 0.5 : 0);
}

static void report(struct backend *b, const struct job *j, double each, double rate, const char *unit,
                   double tflops)
{
    struct backend_memory memory;
    char device[512];

    b->ops->memory(b->state, &memory);
    b->ops->describe(b->state, device, sizeof device);
    printf("{\"case\": \"%s\", \"model\": \"%s\", \"device\": \"%s\", \"seconds\": %.6g, \"%s\": %.6g, "
           "\"tflops\": "
           "%.4g, \"peak_mib\": %zu}\n",
           j->name, SHAPES[j->shape].name, device, each, unit, rate, tflops, memory.peak >> 20);
    fflush(stdout);
}

static void run_product(struct backend *b, const struct job *j)
{
    int64_t n = j->length;
    struct linear_arg a = {.rows = n,
                           .in = n,
                           .out = n,
                           .w_type = j->dtype,
                           .compute = j->dtype == DTYPE_FP8 ? DTYPE_FP8 : DTYPE_BF16};
    struct filler f = {0};
    struct tensor t = {.dtype = j->dtype, .ndim = 2, .shape = {n, n}},
                  u = {.dtype = DTYPE_F32, .ndim = 2, .shape = {n, n}};
    void *x, *w, *y;
    double from;
    struct err err;

    must(b->ops->alloc(b->state, (size_t)(n * n) * 4, &x, &err), &err);
    must(b->ops->alloc(b->state, (size_t)(n * n) * 2, &w, &err), &err);
    must(b->ops->alloc(b->state, (size_t)(n * n) * 4, &y, &err), &err);
    fill(&f, &t);
    must(b->ops->upload(b->state, NULL, w, f.bytes, f.size, &err), &err);
    fill(&f, &u);
    must(b->ops->upload(b->state, NULL, x, f.bytes, f.size, &err), &err);
    a.x = x;
    a.w = w;
    a.y = y;
    for (int i = 0; i < 3; i++)
        b->ops->linear_forward(b->state, NULL, &a);
    must(b->ops->sync(b->state, NULL, &err), &err);
    from = seconds();
    for (int i = 0; i < j->steps; i++)
        b->ops->linear_forward(b->state, NULL, &a);
    must(b->ops->sync(b->state, NULL, &err), &err);
    from = (seconds() - from) / j->steps;
    report(b, j, from, 1 / from, "per_second", 2e-12 * (double)n * (double)n * (double)n / from);
    mem_free(f.bytes);
    b->ops->release(b->state, x, (size_t)(n * n) * 4);
    b->ops->release(b->state, w, (size_t)(n * n) * 2);
    b->ops->release(b->state, y, (size_t)(n * n) * 4);
}

static double step(struct model *m, struct optimizer *o, const struct model_batch *batch)
{
    struct model_forward how = {.train = true};
    struct ctx ctx = ctx_background();
    struct model_loss loss;
    double from = seconds(), norm;
    struct err err;

    must(model_forward(&ctx, m, batch, &how, &loss, &err), &err);
    must(model_backward(&ctx, m, &err), &err);
    must(optimizer_step(o, 1e-4, &norm, &err), &err);
    fprintf(stderr, "loss %.4f, gradient norm %.4f\n", loss.mean, norm);
    return seconds() - from;
}

static void run_train(struct backend *b, const struct job *j)
{
    struct model *m = model_for(b, j);
    struct optimizer_config adamw = {
        .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .max_grad_norm = 1, .kind = OPTIMIZER_ADAMW};
    int64_t rows = j->sequences * j->length;
    int32_t *ids = mem_reallocn(NULL, (size_t)rows, sizeof *ids), starts[65];
    struct model_batch batch = {
        .rows = rows, .sequences = j->sequences, .ids = ids, .labels = ids, .starts = starts};
    struct optimizer *o;
    struct rng rng;
    double total = 0;
    struct err err;

    if (j->lora)
        attach(m);
    else
        must(model_set_trainable(m, true, &err), &err);
    rng_seed(&rng, 1);
    for (int64_t i = 0; i < rows; i++)
        ids[i] = (int32_t)(rng_next(&rng) % (uint64_t)SHAPES[j->shape].vocabulary);
    for (int64_t i = 0; i <= j->sequences; i++)
        starts[i] = (int32_t)(i * j->length);
    must(model_reserve(m, rows, j->sequences, true, 0, j->recompute, NULL, &err), &err);
    must(optimizer_new(m, &adamw, &o, &err), &err);
    for (int i = 0; i < 2; i++)
        step(m, o, &batch);
    for (int i = 0; i < j->steps; i++)
        total += step(m, o, &batch);
    total /= j->steps;
    report(b, j, total, (double)rows / total, "tokens_per_second", 1e-12 * work(j) * (double)rows / total);
    optimizer_free(o);
    model_free(m);
    mem_free(ids);
}

static double timed(struct model *m, const struct generate_prompt *prompts, size_t n, int64_t tokens)
{
    struct ctx ctx = ctx_background();
    struct generate_options o;
    struct generation g;
    double from = seconds();
    struct err err;

    generate_defaults(&o);
    o.no_stop = true;
    o.max_new_tokens = tokens;
    must(generate(&ctx, m, prompts, n, &o, &g, &err), &err);
    generation_release(&g);
    return seconds() - from;
}

static void run_generate(struct backend *b, const struct job *j)
{
    struct model *m = model_for(b, j);
    struct generate_prompt prompts[64];
    size_t n = (size_t)j->sequences;
    int32_t *ids = mem_reallocn(NULL, (size_t)j->length, sizeof *ids);
    double first, each;

    for (int64_t i = 0; i < j->length; i++)
        ids[i] = (int32_t)(i * 7919 % SHAPES[j->shape].vocabulary);
    for (size_t i = 0; i < n; i++)
        prompts[i] = (struct generate_prompt){ids, (size_t)j->length};
    timed(m, prompts, n, 1);
    first = timed(m, prompts, n, 1);
    each = (timed(m, prompts, n, j->steps + 1) - first) / j->steps;
    fprintf(stderr, "prompts of %zu x %lld: %.4f s\n", n, (long long)j->length, first);
    report(b, j, each, (double)n / each, "tokens_per_second", 0);
    mem_free(ids);
    model_free(m);
}

static void run(struct backend *b, const struct job *j)
{
    if (strcmp(j->what, "product") == 0)
        run_product(b, j);
    else if (strcmp(j->what, "train") == 0)
        run_train(b, j);
    else
        run_generate(b, j);
}

int main(int argc, char **argv)
{
    struct backend_options options = {0};
    struct err err;

    for (int i = 2; i < argc; i++)
        for (int k = 0; k < N_JOBS; k++) {
            struct backend *b;

            if (strcmp(argv[i], "list") == 0)
                puts(JOBS[k].name);
            if (strcmp(argv[i], JOBS[k].name) != 0)
                continue;
            must(backend_open(argv[1], &options, &b, &err), &err); /* anew, so that the peak is this case's */
            run(b, &JOBS[k]);
            backend_close(b);
        }
    return argc > 2 ? 0 : 2;
}
