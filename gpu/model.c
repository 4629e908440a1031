/* model.c: the table of weights and layers that a config asks for, and their parameters. */
#include "gpu/adapter.h"
#include "gpu/model_int.h"
#include "gpu/model_io.h"
#include "gpu/quant.h"
#include "gpu/rng.h"
#include "runtime/base/mem.h"
#include <stdio.h>
#include <string.h>

struct linear_shape model_linear_shape(const struct model_config *c, enum linear_id id)
{
    int64_t q = c->num_attention_heads * c->head_dim, kv = c->num_key_value_heads * c->head_dim;
    int64_t h = c->hidden_size, i = c->intermediate_size;
    const struct linear_shape shapes[LIN_COUNT] = {
        [LIN_Q] = {"self_attn.q_proj", q, h},  [LIN_K] = {"self_attn.k_proj", kv, h},
        [LIN_V] = {"self_attn.v_proj", kv, h}, [LIN_O] = {"self_attn.o_proj", h, q},
        [LIN_GATE] = {"mlp.gate_proj", i, h},  [LIN_UP] = {"mlp.up_proj", i, h},
        [LIN_DOWN] = {"mlp.down_proj", h, i},
    };

    return shapes[id];
}

/* ---- arenas ---- */
static bool name_decays(const char *name)
{
    /* Hugging Face: no decay for biases and for names that look like a norm; every norm here has "norm" in it */
    return !strstr(name, "bias") && !strstr(name, "norm.") && !strstr(name, "layernorm");
}

enum lc arena_add(struct arena_of *a, const char *name, int64_t rows, int64_t columns, int *index,
                  struct err *err)
{
    struct weight *w;

    if (a->n == a->capacity) {
        size_t capacity = a->capacity ? 2 * a->capacity : 64;
        struct weight *more = mem_reallocn(a->weights, capacity, sizeof *more);

        if (!more)
            return err_nomem(err);
        a->weights = more;
        a->capacity = capacity;
    }
    w = &a->weights[a->n];
    *w = (struct weight){.name = mem_strdup(name),
                         .ndim = columns ? 2 : 1,
                         .shape = {rows, columns},
                         .dtype = DTYPE_F32,
                         .copy_of = -1};
    if (!w->name)
        return err_nomem(err);
    w->elements = columns ? rows * columns : rows;
    w->decay = name_decays(name);
    w->zeros = strstr(name, "bias") != NULL;
    w->ones = !w->zeros && !w->decay;
    *index = (int)a->n++;
    return LC_OK;
}

size_t weight_bytes(const struct weight *w)
{
    return dtype_quantized(w->dtype) ? quant_bytes(w->dtype, w->shape[0], w->shape[1])
                                     : (size_t)w->elements * dtype_size(w->dtype);
}

enum lc arena_place(struct model *m, struct arena_of *a, struct err *err)
{
    for (int decay = 1; decay >= 0; decay--) {
        for (size_t i = 0; i < a->n; i++) {
            struct weight *w = &a->weights[i];
            size_t bytes = weight_bytes(w);

            if (w->decay != (decay == 1))
                continue;
            w->offset = a->bytes;
            a->bytes += (bytes + ROUND * sizeof(float) - 1) & ~(ROUND * sizeof(float) - 1);
        }
        if (decay)
            a->decay_bytes = a->bytes;
    }
    return m->sketch ? LC_OK : m->backend->ops->alloc(m->backend->state, a->bytes, &a->block, err);
}

enum lc arena_reserve_grads(struct model *m, struct arena_of *a, struct err *err)
{
    void *block = NULL;

    if (a->grads || !a->trainable)
        return LC_OK;
    TRY(m->backend->ops->alloc(m->backend->state, a->bytes, &block, err));
    a->grads = block;
    return LC_OK;
}

void arena_release(struct model *m, struct arena_of *a)
{
    const struct backend_ops *ops = m->backend->ops;

    if (a->block)
        ops->release(m->backend->state, a->block, a->bytes);
    if (a->grads)
        ops->release(m->backend->state, a->grads, a->bytes);
    for (size_t i = 0; i < a->n; i++)
        mem_free(a->weights[i].name);
    mem_free(a->weights);
    *a = (struct arena_of){0};
}

void *weight_data(const struct arena_of *a, int i)
{
    return i < 0 ? NULL : (char *)a->block + a->weights[i].offset;
}

float *weight_grad(const struct arena_of *a, int i)
{
    return i < 0 || !a->grads || !a->trainable ? NULL : a->grads + a->weights[i].offset / sizeof(float);
}

static struct used used_from(const struct arena_of *a, int i)
{
    return i < 0 ? (struct used){0}
                 : (struct used){weight_data(a, i), weight_grad(a, i), a->weights[i].dtype};
}

struct used weight_used(const struct model *m, int i)
{
    if (i >= 0 && m->copies && m->copies[i] >= 0 && !m->plain)
        return used_from(&m->adapter, m->copies[i]);
    return used_from(&m->base, i);
}

struct used head_used(const struct model *m)
{
    if (m->head_copy >= 0 && !m->plain)
        return used_from(&m->adapter, m->head_copy);
    return used_from(&m->base,
                     m->head); /* a trained copy of tied embeddings is none of the head, as in PEFT */
}

struct arena_of *model_arena(struct model *m)
{
    return m->adapter.n ? &m->adapter : &m->base;
}

/* ---- the table of layers ---- */
static enum lc add_layer(struct model *m, int64_t l, struct err *err)
{
    const struct model_config *c = &m->config;
    struct layer *layer = &m->layers[l];
    char name[TENSOR_NAME];

    layer->q_norm = layer->k_norm = -1;
    for (enum linear_id id = 0; id < LIN_COUNT; id++) {
        struct linear_shape s = model_linear_shape(c, id);
        bool biased = id <= LIN_V ? c->qkv_bias : id == LIN_O ? c->o_bias : c->mlp_bias;
        struct linear *lin = &layer->linear[id];

        *lin = (struct linear){.weight = -1, .bias = -1, .lora_a = -1, .lora_b = -1, .magnitude = -1};
        snprintf(name, sizeof name, "model.layers.%lld.%s.weight", (long long)l, s.path);
        TRY(arena_add(&m->base, name, s.out, s.in, &lin->weight, err));
        snprintf(name, sizeof name, "model.layers.%lld.%s.bias", (long long)l, s.path);
        if (biased)
            TRY(arena_add(&m->base, name, s.out, 0, &lin->bias, err));
        if (id == LIN_O && c->qk_norm) { /* after the projections, as Hugging Face lists them */
            snprintf(name, sizeof name, "model.layers.%lld.self_attn.q_norm.weight", (long long)l);
            TRY(arena_add(&m->base, name, c->head_dim, 0, &layer->q_norm, err));
            snprintf(name, sizeof name, "model.layers.%lld.self_attn.k_norm.weight", (long long)l);
            TRY(arena_add(&m->base, name, c->head_dim, 0, &layer->k_norm, err));
        }
    }
    snprintf(name, sizeof name, "model.layers.%lld.input_layernorm.weight", (long long)l);
    TRY(arena_add(&m->base, name, c->hidden_size, 0, &layer->norm1, err));
    snprintf(name, sizeof name, "model.layers.%lld.post_attention_layernorm.weight", (long long)l);
    return arena_add(&m->base, name, c->hidden_size, 0, &layer->norm2, err);
}

static enum lc add_weights(struct model *m, const struct model_options *options, struct err *err)
{
    const struct model_config *c = &m->config;

    TRY(arena_add(&m->base, "model.embed_tokens.weight", c->vocab_size, c->hidden_size, &m->embed, err));
    for (int64_t l = 0; l < c->num_hidden_layers; l++)
        TRY(add_layer(m, l, err));
    TRY(arena_add(&m->base, "model.norm.weight", c->hidden_size, 0, &m->norm, err));
    m->head = m->embed;
    if (!c->tie_word_embeddings)
        TRY(arena_add(&m->base, "lm_head.weight", c->vocab_size, c->hidden_size, &m->head, err));
    for (size_t i = 0; i < m->base.n && options && options->dtype != DTYPE_NONE; i++)
        if (m->base.weights[i].ndim == 2)
            m->base.weights[i].dtype = options->dtype;
    if (options && dtype_quantized(options->linear))
        for (int64_t l = 0; l < c->num_hidden_layers; l++)
            for (int id = 0; id < LIN_COUNT; id++)
                m->base.weights[m->layers[l].linear[id].weight].dtype = options->linear;
    return arena_place(m, &m->base, err);
}

/* The base's weights from where they were, and the head from the embedding. */
static enum lc move_weights(struct model *m, const struct arena_of *old, const size_t *offsets,
                            struct err *err)
{
    const struct backend_ops *ops = m->backend->ops;

    for (size_t i = 0; i < m->base.n; i++)
        ops->copy(m->backend->state, NULL, weight_data(&m->base, (int)i),
                  (char *)old->block + offsets[i + 1 < m->base.n ? i : (size_t)m->embed],
                  weight_bytes(&m->base.weights[i]));
    return ops->sync(m->backend->state, NULL, err);
}

static void forget_head(struct model *m, const struct arena_of *old, const size_t *offsets)
{
    struct arena_of *a = &m->base;

    m->backend->ops->release(m->backend->state, a->block, a->bytes);
    mem_free(a->weights[--a->n].name);
    for (size_t i = 0; i < a->n; i++)
        a->weights[i].offset = offsets[i];
    a->block = old->block;
    a->bytes = old->bytes;
    a->decay_bytes = old->decay_bytes;
}

static enum lc add_head(struct model *m, size_t *offsets, struct err *err)
{
    struct arena_of *a = &m->base;
    struct arena_of old = *a;
    int head;
    enum lc code;

    TRY(arena_add(a, "lm_head.weight", m->config.vocab_size, m->config.hidden_size, &head, err));
    a->weights[head].dtype = a->weights[m->embed].dtype;
    for (int i = 0; i < head; i++)
        offsets[i] = a->weights[i].offset;
    a->block = NULL;
    a->bytes = 0;
    code = arena_place(m, a, err);
    if (code == LC_OK && !m->sketch)
        code = move_weights(m, &old, offsets, err);
    if (code != LC_OK)
        return forget_head(m, &old, offsets), code;
    m->backend->ops->release(m->backend->state, old.block, old.bytes);
    m->head = head;
    m->config.tie_word_embeddings = false;
    return LC_OK;
}

enum lc model_untie(struct model *m, struct err *err)
{
    size_t *offsets;
    enum lc code;

    if (m->head != m->embed)
        return LC_OK;
    TRY(model_set_trainable(m, false, err)); /* gradients have the old places */
    offsets = mem_reallocn(NULL, m->base.n, sizeof *offsets);
    code = offsets ? add_head(m, offsets, err) : err_nomem(err);
    mem_free(offsets);
    return code;
}

static enum lc model_new(const struct model_config *config, struct backend *backend,
                         const struct model_options *options, const char *folder, bool sketch,
                         struct model **out, struct err *err)
{
    struct model *m;
    enum lc code;

    TRY(model_config_check(config, err));
    if (options && (options->dtype == DTYPE_F16 || options->compute == DTYPE_F16))
        return err_set(err, LC_UNSUPPORTED,
                       "dtype 'float16' is not supported for computing: use 'float32' or 'bfloat16'");
    m = mem_zalloc(sizeof *m);
    if (!m)
        return err_nomem(err);
    m->config = *config;
    m->backend = backend;
    m->head_copy = -1;
    m->embed_lora = m->head_lora = (struct low_rank){.a = -1, .b = -1};
    m->sketch = sketch;
    m->optimizer_states = 2;
    m->eighths = options && options->compute == DTYPE_FP8;
    model_set_compute(m, options ? options->compute : DTYPE_F32);
    m->folder = mem_strdup(folder);
    m->layers = mem_calloc((size_t)config->num_hidden_layers, sizeof *m->layers);
    code = m->folder && m->layers ? add_weights(m, options, err) : err_nomem(err);
    if (code == LC_OK)
        *out = m;
    else
        model_free(m);
    return code;
}

void model_free(struct model *m)
{
    if (!m)
        return;
    adapter_detach(m);
    kept_release(m);
    work_release(m);
    arena_release(m, &m->base);
    m->backend->ops->release(m->backend->state, m->logits, m->logits_bytes);
    mem_free(m->layers);
    mem_free(m->folder);
    mem_free(m);
}

static enum lc draw_weights(const struct ctx *ctx, struct model *m, uint64_t seed, struct err *err)
{
    struct rng rng;
    float *values = NULL;
    enum lc code = LC_OK;

    rng_seed(&rng, seed);
    for (size_t i = 0; i < m->base.n && code == LC_OK; i++) {
        const struct weight *w = &m->base.weights[i];
        struct parameter p;
        float *more;

        if (m->config.initializer_range == 0 && !w->ones)
            continue; /* memory starts as zeros */
        more = mem_reallocn(values, (size_t)w->elements, sizeof *values);
        code = more ? ctx_check(ctx, err) : err_nomem(err);
        if (!more)
            break;
        values = more;
        for (int64_t j = 0; j < w->elements; j++)
            values[j] = w->ones ? 1 : w->zeros ? 0 : (float)(m->config.initializer_range * rng_normal(&rng));
        model_parameter(m, i, &p);
        if (code == LC_OK)
            code = tensor_write(&p.value, 0, w->elements, values, err);
    }
    mem_free(values);
    return code;
}

enum lc model_create(const struct ctx *ctx, const struct model_config *config, uint64_t seed,
                     struct backend *backend, const struct model_options *options, struct model **out,
                     struct err *err)
{
    struct model *m;
    enum lc code;

    TRY(model_new(config, backend, options, "", false, &m, err));
    code = draw_weights(ctx, m, seed, err);
    if (code == LC_OK)
        *out = m;
    else
        model_free(m);
    return code;
}

enum lc model_sketch(const struct model_config *config, struct backend *backend,
                     const struct model_options *options, struct model **out, struct err *err)
{
    return model_new(config, backend, options, "", true, out, err);
}

enum lc model_load(const struct ctx *ctx, const char *folder, struct backend *backend,
                   const struct model_options *options, struct model **out, struct err *err)
{
    struct model_config config;
    struct model *m;
    enum lc code;

    TRY(model_config_load(folder, &config, err));
    weights_untie(folder, &config);
    TRY(model_new(&config, backend, options, folder, false, &m, err));
    code = ctx_check(ctx, err);
    if (code == LC_OK)
        code = model_copy_weights(m, &m->base, folder, err);
    if (code == LC_OK)
        *out = m;
    else
        model_free(m);
    return code;
}

const struct model_config *model_get_config(const struct model *m)
{
    return &m->config;
}

const char *model_folder(const struct model *m)
{
    return m->folder;
}

enum lc model_set_teacher(struct model *m, struct model *teacher, double temperature, double alpha,
                          struct err *err)
{
    if (teacher && !m->backend->ops->distill)
        return err_set(err, LC_UNSUPPORTED, "cannot learn from a teacher on backend '%s'", m->backend->name);
    if (teacher && teacher->config.vocab_size != m->config.vocab_size)
        return err_set(err, LC_DATA, "the teacher has a vocabulary of %lld tokens, the student one of %lld",
                       (long long)teacher->config.vocab_size, (long long)m->config.vocab_size);
    if (teacher && !(temperature > 0 && alpha >= 0 && alpha <= 1))
        return err_set(err, LC_ARG,
                       "a distillation's temperature is %g and its alpha %g: above 0, and in [0, 1]",
                       temperature, alpha);
    m->teacher = teacher;
    m->temperature = temperature;
    m->alpha = alpha;
    return LC_OK;
}

void model_set_compute(struct model *m, enum dtype compute)
{
    m->compute = compute == DTYPE_BF16 || compute == DTYPE_FP8 ? DTYPE_BF16 : DTYPE_F32;
}

/* ---- parameters ---- */
size_t model_parameters(const struct model *m)
{
    return m->base.n + m->adapter.n;
}

void model_parameter(const struct model *m, size_t i, struct parameter *out)
{
    const struct arena_of *a = i < m->base.n ? &m->base : &m->adapter;
    int at = (int)(i < m->base.n ? i : i - m->base.n);
    const struct weight *w = &a->weights[at];

    *out = (struct parameter){.trainable = a->trainable, .decay = w->decay};
    out->value = (struct tensor){.name = w->name,
                                 .backend = m->backend,
                                 .dtype = w->dtype,
                                 .ndim = w->ndim,
                                 .shape = {w->shape[0], w->shape[1]},
                                 .data = weight_data(a, at)};
    out->grad = out->value;
    out->grad.dtype = DTYPE_F32;
    out->grad.data = weight_grad(a, at);
}

bool model_find_parameter(const struct model *m, const char *name, struct parameter *out)
{
    size_t n = model_parameters(m);

    for (size_t i = 0; i < n; i++) {
        model_parameter(m, i, out);
        if (strcmp(out->value.name, name) == 0)
            return true;
    }
    return false;
}

static int64_t count(const struct arena_of *a, bool twice)
{
    int64_t n = 0;

    for (size_t i = 0; i < a->n; i++)
        n += twice || !a->weights[i].in_place ? a->weights[i].elements : 0;
    return n;
}

void model_count_parameters(const struct model *m, int64_t *trainable, int64_t *all)
{
    int64_t base = count(&m->base, true), adapter = count(&m->adapter, true);

    *all = base + count(&m->adapter, false);
    *trainable = (m->base.trainable ? base : 0) + (m->adapter.trainable ? adapter : 0);
}

enum lc model_set_trainable(struct model *m, bool trainable, struct err *err)
{
    if (trainable && m->adapter.n)
        return err_set(err, LC_CONFLICT, "cannot train the base weights while an adapter is attached");
    for (size_t i = 0; i < m->base.n && trainable; i++)
        if (m->base.weights[i].dtype != DTYPE_F32)
            return err_set(err, LC_UNSUPPORTED,
                           "cannot train weights that are kept in '%s': load the model with dtype 'float32'",
                           dtype_torch(m->base.weights[i].dtype));
    m->base.trainable = trainable;
    if (!trainable) {
        m->backend->ops->release(m->backend->state, m->base.grads, m->base.bytes);
        m->base.grads = NULL;
    }
    return LC_OK;
}

enum lc model_zero_grad(struct model *m, struct err *err)
{
    struct arena_of *a = model_arena(m);

    if (a->grads)
        m->backend->ops->zero(m->backend->state, NULL, a->grads, a->bytes);
    m->can_backward = false;
    return m->backend->ops->sync(m->backend->state, NULL, err);
}
