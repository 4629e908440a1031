/* lora.c: PEFT's LoRA: attachment, files, merging. */
#include "gpu/lora_int.h"
#include "gpu/model_io.h"
#include "gpu/quant.h"
#include "gpu/rng.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/base/nearest.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONFIG_MAX = 1 << 20 };

/* ---- attachment ---- */
static enum lc add_pair(struct model *m, const char *path, int64_t out, int64_t in, int64_t rank, int *a,
                        int *b, struct err *err)
{
    char name[TENSOR_NAME];

    snprintf(name, sizeof name, "base_model.model.%s.lora_A.weight", path);
    TRY(arena_add(&m->adapter, name, rank, in, a, err));
    snprintf(name, sizeof name, "base_model.model.%s.lora_B.weight", path);
    return arena_add(&m->adapter, name, out, rank, b, err);
}

static enum lc add_low_rank(struct model *m, const char *path, const struct linear_shape *s,
                            struct linear *lin, struct err *err)
{
    char name[TENSOR_NAME];

    TRY(add_pair(m, path, s->out, s->in, lin->rank, &lin->lora_a, &lin->lora_b, err));
    if (!m->lora->use_dora)
        return LC_OK;
    snprintf(name, sizeof name, "base_model.model.%s.lora_magnitude_vector", path);
    TRY(arena_add(&m->adapter, name, s->out, 0, &lin->magnitude, err));
    m->squares_bytes += (size_t)s->out * sizeof(float);
    return LC_OK;
}

static enum lc no_dora(const struct model *m, const char *module, struct err *err)
{
    if (!m->lora->use_dora)
        return LC_OK;
    err_set(err, LC_UNSUPPORTED, "LoraConfig: 'use_dora' on '%s' is not supported", module);
    return err_hint(err, "take it out of target_modules, or train it whole: modules_to_save = {\"%s\"}",
                    module);
}

/* PEFT has A of an embedding as [rank, vocabulary]: kept by tokens, it is looked up as the embedding is. */
static enum lc attach_embedding(struct model *m, struct lora_match *match, struct err *err)
{
    static const char path[] = "base_model.model.model.embed_tokens.lora_embedding_";
    struct low_rank *part = &m->embed_lora;
    bool found = false;
    char name[TENSOR_NAME];

    TRY(lora_match_linear(match, "model.embed_tokens", LIN_COUNT, -1, &found, &part->rank, &part->scale,
                          err));
    if (!found)
        return LC_OK;
    TRY(no_dora(m, "embed_tokens", err));
    snprintf(name, sizeof name, "%sA", path);
    TRY(arena_add(&m->adapter, name, m->config.vocab_size, part->rank, &part->a, err));
    m->adapter.weights[part->a].turned = true;
    snprintf(name, sizeof name, "%sB", path);
    return arena_add(&m->adapter, name, m->config.hidden_size, part->rank, &part->b, err);
}

/* Of a tied head, too, as in PEFT: then it stands beside the head's use of the weights alone. */
static enum lc attach_head(struct model *m, struct lora_match *match, struct err *err)
{
    struct low_rank *part = &m->head_lora;
    bool found = false;

    TRY(lora_match_linear(match, "lm_head", LIN_COUNT, -1, &found, &part->rank, &part->scale, err));
    if (!found)
        return LC_OK;
    TRY(no_dora(m, "lm_head", err));
    return add_pair(m, "lm_head", m->config.vocab_size, m->config.hidden_size, part->rank, &part->a, &part->b,
                    err);
}

static enum lc attach_layers(struct model *m, struct lora_match *match, struct err *err)
{
    char path[80];

    for (int64_t l = 0; l < m->config.num_hidden_layers; l++)
        for (enum linear_id id = 0; id < LIN_COUNT; id++) {
            struct linear_shape s = model_linear_shape(&m->config, id);
            struct linear *lin = &m->layers[l].linear[id];
            bool found = false;

            snprintf(path, sizeof path, "model.layers.%lld.%s", (long long)l, s.path);
            TRY(lora_match_linear(match, path, id, l, &found, &lin->rank, &lin->scale, err));
            if (found)
                TRY(add_low_rank(m, path, &s, lin, err));
        }
    return LC_OK;
}

/* ---- trained copies of the base's weights: modules_to_save and bias ---- */
static bool beside_adapter(const struct model *m, int bias) /* of a layer that has one */
{
    for (int64_t l = 0; l < m->config.num_hidden_layers; l++)
        for (int i = 0; i < LIN_COUNT; i++)
            if (m->layers[l].linear[i].bias == bias)
                return m->layers[l].linear[i].lora_a >= 0;
    return false;
}

static enum lc add_copy(struct model *m, const char *module, const char *last, const struct weight *w, int of,
                        bool in_place, int *index, struct err *err)
{
    char name[TENSOR_NAME];

    snprintf(name, sizeof name, "base_model.model.%s.%s", module, last);
    TRY(arena_add(&m->adapter, name, w->shape[0], w->ndim == 2 ? w->shape[1] : 0, index, err));
    m->adapter.weights[*index].copy_of = of;
    m->adapter.weights[*index].in_place = in_place;
    return LC_OK;
}

static enum lc copy_weight(struct model *m, struct lora_match *match, int i, struct err *err)
{
    const struct weight w = m->base.weights[i];
    const char *last = strrchr(w.name, '.') + 1;
    bool bias = strcmp(last, "bias") == 0, saved = lora_match_saved(match, w.name), beside = false,
         trained = false;
    char module[TENSOR_NAME + 12];

    if (bias && m->lora->bias != LORA_BIAS_NONE) {
        beside = beside_adapter(m, i);
        trained = m->lora->bias == LORA_BIAS_ALL || beside;
    }
    if (!saved && !trained)
        return LC_OK;
    snprintf(module, sizeof module, "%.*s%s", (int)(last - 1 - w.name), w.name,
             beside && !saved ? ".base_layer" : ""); /* where PEFT keeps what an adapter stands beside */
    if (i == m->head && i != m->embed)
        return add_copy(m, module, last, &w, i, false, &m->head_copy, err);
    return add_copy(m, module, last, &w, i, trained && !saved, &m->copies[i], err);
}

static enum lc attach_copies(struct model *m, struct lora_match *match, struct err *err)
{
    m->copies = mem_reallocn(NULL, m->base.n, sizeof *m->copies);
    if (!m->copies)
        return err_nomem(err);
    for (size_t i = 0; i < m->base.n; i++)
        m->copies[i] = -1;
    for (size_t i = 0; i < m->base.n; i++)
        TRY(copy_weight(m, match, (int)i, err));
    if (m->head == m->embed && lora_match_saved(match, "lm_head.weight")) /* tied: the head gets its own */
        TRY(add_copy(m, "lm_head", "weight", &m->base.weights[m->head], m->head, false, &m->head_copy, err));
    return LC_OK;
}

/* ---- first values ---- */
static bool is_named(const struct weight *w, const char *part)
{
    return strstr(w->name, part) != NULL;
}

static struct tensor base_tensor(const struct model *m, int i)
{
    struct parameter p;

    model_parameter(m, (size_t)i, &p);
    return p.value;
}

static enum lc fill_copy(struct model *m, size_t i, float *values, struct err *err)
{
    const struct weight *w = &m->adapter.weights[i];
    struct tensor base = base_tensor(m, w->copy_of);

    TRY(tensor_read(&base, 0, w->elements, values, err));
    return weights_put(m, weight_data(&m->adapter, (int)i), w, values, DTYPE_F32, err);
}

/* A of a linear layer is uniform, and B nothing; of the embedding A is nothing, and B normal. */
static double draw_value(const struct model *m, const struct weight *w, struct rng *rng)
{
    if (is_named(w, ".lora_A."))
        return (2 * rng_uniform(rng) - 1) / sqrt((double)w->shape[1]);
    if (is_named(w, ".lora_embedding_B"))
        return rng_normal(rng);
    if (m->lora->init_lora_weights)
        return 0;
    return is_named(w, ".lora_embedding_A") ? rng_normal(rng) : 0.02 * rng_normal(rng);
}

static enum lc draw_values(struct model *m, const struct weight *w, struct rng *rng, float *values, int i,
                           struct err *err)
{
    for (int64_t j = 0; j < w->elements; j++)
        values[j] = (float)draw_value(m, w, rng);
    return weights_put(m, weight_data(&m->adapter, i), w, values, DTYPE_F32, err);
}

static enum lc draw_adapter(struct model *m, uint64_t seed, struct err *err)
{
    struct rng rng;
    float *values = NULL;
    enum lc code = LC_OK;

    rng_seed(&rng, seed);
    for (size_t i = 0; i < m->adapter.n && code == LC_OK; i++) {
        const struct weight *w = &m->adapter.weights[i];
        float *more = mem_reallocn(values, (size_t)w->elements, sizeof *values);

        if (!more) {
            code = err_nomem(err);
            break;
        }
        values = more;
        if (w->copy_of >= 0)
            code = fill_copy(m, i, values, err);
        else if (w->ndim == 2) /* magnitudes follow from the weights */
            code = draw_values(m, w, &rng, values, (int)i, err);
    }
    mem_free(values);
    return code;
}

/* ---- DoRA ---- */
/* |W + s B A| of each row, on the host; low (or NULL): s B A, [out, in]. */
static enum lc row_squares(const struct model *m, const struct linear *lin, const float *low, float *squares,
                           struct err *err)
{
    struct tensor w = base_tensor(m, lin->weight);
    int64_t in = w.shape[1];
    float *row = mem_reallocn(NULL, (size_t)in, sizeof *row);
    enum lc code = row ? LC_OK : err_nomem(err);

    for (int64_t j = 0; j < w.shape[0] && code == LC_OK; j++) {
        double sum = 0;

        code = tensor_read(&w, j * in, in, row, err);
        for (int64_t k = 0; k < in && code == LC_OK; k++) {
            double x = (double)row[k] + (low ? (double)low[j * in + k] : 0);

            sum += x * x;
        }
        squares[j] = (float)sum;
    }
    mem_free(row);
    return code;
}

/* Squares of the weight's rows, and magnitudes that leave the layer as it is. */
static enum lc begin_dora(struct model *m, struct linear *lin, float *values, struct err *err)
{
    const struct weight *w = &m->adapter.weights[lin->magnitude];

    TRY(row_squares(m, lin, NULL, values, err));
    TRY(m->backend->ops->upload(m->backend->state, NULL, lin->squares, values,
                                (size_t)w->elements * sizeof *values, err));
    TRY(m->backend->ops->sync(m->backend->state, NULL, err));
    for (int64_t j = 0; j < w->elements; j++)
        values[j] = sqrtf(values[j]);
    return weights_put(m, weight_data(&m->adapter, lin->magnitude), w, values, DTYPE_F32, err);
}

static enum lc attach_dora(struct model *m, struct err *err)
{
    float *values = mem_reallocn(NULL, m->squares_bytes / sizeof *values, sizeof *values);
    void *block = NULL;
    enum lc code = values ? LC_OK : err_nomem(err);
    size_t at = 0;

    if (code == LC_OK)
        code = m->backend->ops->alloc(m->backend->state, m->squares_bytes, &block, err);
    m->squares = block;
    for (int64_t l = 0; l < m->config.num_hidden_layers && code == LC_OK; l++)
        for (enum linear_id id = 0; id < LIN_COUNT && code == LC_OK; id++) {
            struct linear *lin = &m->layers[l].linear[id];

            if (lin->magnitude < 0)
                continue;
            lin->squares = m->squares + at;
            at += (size_t)m->adapter.weights[lin->magnitude].elements;
            code = begin_dora(m, lin, values, err);
        }
    mem_free(values);
    return code;
}

static enum lc copy_config(const struct lora_config *from, struct lora_config *to, struct err *err)
{
    *to = *from;
    to->targets = NULL;
    to->n_targets = 0;
    json_incref(to->exclude);
    json_incref(to->modules_to_save);
    json_incref(to->rank_pattern);
    json_incref(to->alpha_pattern);
    json_incref(to->layers);
    to->base_model_name_or_path = to->target_regex = NULL;
    if (from->base_model_name_or_path &&
        !(to->base_model_name_or_path = mem_strdup(from->base_model_name_or_path)))
        return err_nomem(err);
    if (from->target_regex && !(to->target_regex = mem_strdup(from->target_regex)))
        return err_nomem(err);
    for (size_t i = 0; i < from->n_targets; i++)
        TRY(lora_config_target(to, from->targets[i], err));
    return LC_OK;
}

static enum lc attach_matched(struct model *m, struct lora_match *match, struct err *err)
{
    TRY(attach_embedding(m, match, err));
    TRY(attach_layers(m, match, err));
    TRY(attach_head(m, match, err));
    TRY(attach_copies(m, match, err));
    TRY(lora_match_unused(match, err));
    if (m->adapter.n == 0)
        return err_set(err, LC_NOTFOUND, "LoraConfig: no layer is left for the adapter");
    return arena_place(m, &m->adapter, err);
}

static enum lc attach(struct model *m, const struct lora_config *c, uint64_t seed, struct err *err)
{
    struct lora_match *match = NULL;
    enum lc code;

    m->lora = mem_zalloc(sizeof *m->lora);
    code = m->lora ? copy_config(c, m->lora, err) : err_nomem(err);
    if (code == LC_OK && c->use_dora && !m->backend->ops->dora_factors)
        code = err_set(err, LC_UNSUPPORTED, "LoraConfig: 'use_dora' is not supported on backend '%s'",
                       m->backend->name);
    if (code == LC_OK)
        code = lora_match_new(m->lora, &match, err);
    if (code == LC_OK)
        code = attach_matched(m, match, err);
    lora_match_free(match);
    if (code != LC_OK)
        return code;
    m->adapter.trainable = true;
    if (m->sketch)
        return LC_OK;
    TRY(draw_adapter(m, seed, err));
    return m->squares_bytes ? attach_dora(m, err) : LC_OK;
}

enum lc lora_attach(struct model *m, const struct lora_config *c, uint64_t seed, struct err *err)
{
    enum lc code;

    if (m->adapter.n)
        return err_set(err, LC_EXISTS, "the model has an adapter already: merge or detach it first");
    TRY(lora_config_check(c, err));
    TRY(model_set_trainable(m, false, err));
    work_release(m); /* its layout depends on the adapter */
    code = attach(m, c, seed, err);
    if (code != LC_OK)
        lora_detach(m);
    return code;
}

void lora_detach(struct model *m)
{
    if (!m->lora)
        return;
    work_release(m);
    arena_release(m, &m->adapter);
    if (m->squares)
        m->backend->ops->release(m->backend->state, m->squares, m->squares_bytes);
    m->squares = NULL;
    m->squares_bytes = 0;
    mem_free(m->copies);
    m->copies = NULL;
    m->head_copy = -1;
    m->embed_lora = m->head_lora = (struct low_rank){.a = -1, .b = -1};
    for (int64_t l = 0; l < m->config.num_hidden_layers; l++)
        for (int i = 0; i < LIN_COUNT; i++)
            m->layers[l].linear[i].lora_a = m->layers[l].linear[i].lora_b = m->layers[l].linear[i].magnitude =
                -1;
    lora_config_release(m->lora);
    mem_free(m->lora);
    m->lora = NULL;
}

static enum lc cannot_merge(const struct weight *w, struct err *err)
{
    err_set(err, LC_UNSUPPORTED, "cannot merge the adapter into '%s', which is kept in %s", w->name,
            dtype_torch(w->dtype));
    return err_hint(err, "load the base without quantization, then merge");
}

/* W = magnitude / |W| W by rows, W being the weight with the low-rank part in it. */
static enum lc scale_rows(struct model *m, const struct linear *lin, struct err *err)
{
    struct tensor w = base_tensor(m, lin->weight), magnitude;
    struct parameter p;
    int64_t in = w.shape[1], out = w.shape[0];
    float *values = mem_reallocn(NULL, (size_t)(2 * out + in), sizeof *values), *row = values + 2 * out;
    enum lc code = values ? row_squares(m, lin, NULL, values, err) : err_nomem(err);

    model_parameter(m, m->base.n + (size_t)lin->magnitude, &p);
    magnitude = p.value;
    if (code == LC_OK)
        code = tensor_read(&magnitude, 0, out, values + out, err);
    for (int64_t j = 0; j < out && code == LC_OK; j++) {
        code = tensor_read(&w, j * in, in, row, err);
        for (int64_t k = 0; k < in; k++)
            row[k] *= values[out + j] / sqrtf(values[j]);
        if (code == LC_OK)
            code = tensor_write(&w, j * in, in, row, err);
    }
    mem_free(values);
    return code;
}

static enum lc merge_linear(struct model *m, const struct linear *lin, enum linear_id id, struct err *err)
{
    struct linear_shape s = model_linear_shape(&m->config, id);

    m->backend->ops->merge(m->backend->state, NULL, weight_data(&m->base, lin->weight),
                           m->base.weights[lin->weight].dtype, weight_data(&m->adapter, lin->lora_a),
                           weight_data(&m->adapter, lin->lora_b), s.out, s.in, lin->rank, lin->scale);
    TRY(m->backend->ops->sync(m->backend->state, NULL, err));
    return lin->magnitude >= 0 ? scale_rows(m, lin, err) : LC_OK;
}

/* The table's rows are tokens, as A's are; B comes the other way round. */
static enum lc merge_embedding(struct model *m, struct err *err)
{
    const struct backend_ops *ops = m->backend->ops;
    const struct low_rank *part = &m->embed_lora;
    int64_t width = m->config.hidden_size, rank = part->rank;
    size_t bytes = (size_t)(width * rank) * sizeof(float);
    float *b = mem_reallocn(NULL, (size_t)(2 * width * rank), sizeof *b), *turned = b + width * rank;
    void *there = NULL;
    enum lc code = b ? ops->alloc(m->backend->state, bytes, &there, err) : err_nomem(err);

    if (code == LC_OK)
        code = ops->download(m->backend->state, NULL, b, weight_data(&m->adapter, part->b), bytes, err);
    for (int64_t i = 0; i < width && code == LC_OK; i++)
        for (int64_t j = 0; j < rank; j++)
            turned[j * width + i] = b[i * rank + j];
    if (code == LC_OK)
        code = ops->upload(m->backend->state, NULL, there, turned, bytes, err);
    if (code == LC_OK) {
        ops->merge(m->backend->state, NULL, weight_data(&m->base, m->embed), m->base.weights[m->embed].dtype,
                   there, weight_data(&m->adapter, part->a), m->config.vocab_size, width, rank, part->scale);
        code = ops->sync(m->backend->state, NULL, err);
    }
    ops->release(m->backend->state, there, bytes);
    mem_free(b);
    return code;
}

/* The trained copies take the place of what they are copies of. */
static enum lc merge_copies(struct model *m, struct err *err)
{
    for (size_t i = 0; i < m->adapter.n; i++) {
        const struct weight *w = &m->adapter.weights[i];

        if (w->copy_of >= 0)
            m->backend->ops->convert(m->backend->state, NULL, weight_data(&m->base, w->copy_of),
                                     m->base.weights[w->copy_of].dtype, weight_data(&m->adapter, (int)i),
                                     DTYPE_F32, w->elements);
    }
    return m->backend->ops->sync(m->backend->state, NULL, err);
}

/* What the model uses twice was trained for one of its uses. */
static bool splits_tied(const struct model *m)
{
    return m->head == m->embed &&
           (m->head_copy >= 0 || m->head_lora.a >= 0 || m->copies[m->embed] >= 0 || m->embed_lora.a >= 0);
}

/* The merged model has a head of its own, so that it says what the adapter said. PEFT does so for modules_to_save; a low-rank part it
 * adds to both uses, with a warning. */
static enum lc untie(struct model *m, struct err *err)
{
    TRY(model_untie(m, err));
    if (m->head_copy >= 0)
        m->adapter.weights[m->head_copy].copy_of = m->head;
    return LC_OK;
}

static enum lc check_merge(const struct model *m, struct err *err)
{
    if (m->prompt)
        return err_set(err, LC_UNSUPPORTED,
                       "cannot merge a trained prompt into the weights: use it beside its base");
    if (!m->lora)
        return err_set(err, LC_ARG, "cannot merge: the model has no adapter");
    for (size_t i = 0; i < m->base.n; i++)
        if (dtype_quantized(m->base.weights[i].dtype))
            return cannot_merge(&m->base.weights[i], err);
    return LC_OK;
}

static enum lc merge_head(struct model *m, struct err *err)
{
    const struct low_rank *part = &m->head_lora;

    m->backend->ops->merge(m->backend->state, NULL, weight_data(&m->base, m->head),
                           m->base.weights[m->head].dtype, weight_data(&m->adapter, part->a),
                           weight_data(&m->adapter, part->b), m->config.vocab_size, m->config.hidden_size,
                           part->rank, part->scale);
    return m->backend->ops->sync(m->backend->state, NULL, err);
}

enum lc lora_merge(struct model *m, struct err *err)
{
    TRY(check_merge(m, err));
    if (splits_tied(m))
        TRY(untie(m, err));
    if (m->embed_lora.a >= 0)
        TRY(merge_embedding(m, err));
    for (int64_t l = 0; l < m->config.num_hidden_layers; l++)
        for (enum linear_id id = 0; id < LIN_COUNT; id++)
            if (m->layers[l].linear[id].lora_a >= 0)
                TRY(merge_linear(m, &m->layers[l].linear[id], id, err));
    if (m->head_lora.a >= 0)
        TRY(merge_head(m, err));
    TRY(merge_copies(m, err));
    lora_detach(m);
    return LC_OK;
}

/* ---- files ---- */
static enum lc read_config_file(const char *folder, struct lora_config *c, struct err *err)
{
    struct buf text = BUF_INIT(CONFIG_MAX);
    char *path = fs_join(folder, "adapter_config.json");
    json_error_t fault;
    json_t *root = NULL;
    enum lc code = path ? fs_read(path, &text, err) : err_nomem(err);

    if (code == LC_OK && !(root = json_loadb(buf_str(&text), text.len, JSON_REJECT_DUPLICATES, &fault))) {
        err_set(err, LC_DATA, "cannot read '%s': %s", path, fault.text);
        code = err_at(err, fault.position);
    }
    if (code == LC_OK)
        code = lora_config_from_json(root, c, err);
    json_decref(root);
    buf_release(&text);
    mem_free(path);
    return code;
}

static bool same_shape(const struct lora_config *a, const struct lora_config *b)
{
    return a->r == b->r && a->lora_alpha == b->lora_alpha && a->use_rslora == b->use_rslora &&
           a->use_dora == b->use_dora;
}

enum lc lora_load(const struct ctx *ctx, struct model *m, const char *folder, struct err *err)
{
    struct lora_config c;
    char *path = fs_join(folder, "adapter_model.safetensors");
    bool had = m->lora != NULL;
    enum lc code = path ? ctx_check(ctx, err) : err_nomem(err);

    if (code == LC_OK)
        code = read_config_file(folder, &c, err);
    if (code != LC_OK) {
        mem_free(path);
        return code;
    }
    if (had && !same_shape(m->lora, &c))
        code = err_set(err, LC_CONFLICT,
                       "cannot load the adapter '%s': another one is attached (r %lld, here %lld)", folder,
                       (long long)m->lora->r, (long long)c.r);
    else if (!had)
        code = lora_attach(m, &c, 0, err);
    if (code == LC_OK)
        code = weights_read(m, &m->adapter, path, err);
    if (code != LC_OK && !had)
        lora_detach(m);
    lora_config_release(&c);
    mem_free(path);
    return code;
}

static enum lc write_config_file(const struct model *m, const char *folder, struct err *err)
{
    struct lora_config c = *m->lora;
    char *path = fs_join(folder, "adapter_config.json"), *text = NULL;
    json_t *root;
    enum lc code;

    if (!c.base_model_name_or_path && m->folder[0])
        c.base_model_name_or_path = m->folder; /* borrowed for the moment */
    root = lora_config_to_json(&c);
    text = root ? json_dumps(root, JSON_INDENT(2) | JSON_SORT_KEYS) : NULL;
    code = path && text ? fs_write(path, text, strlen(text), err) : err_nomem(err);
    json_decref(root);
    free(text);
    mem_free(path);
    return code;
}

enum lc lora_save(const struct ctx *ctx, struct model *m, const char *folder, struct err *err)
{
    struct weights_part part = {"", m->adapter.block};
    char *path = fs_join(folder, "adapter_model.safetensors");
    enum lc code = path ? ctx_check(ctx, err) : err_nomem(err);

    if (code == LC_OK && !m->lora)
        code = err_set(err, LC_ARG, "cannot save an adapter: the model has none");
    if (code == LC_OK)
        code = fs_mkdirs(folder, err);
    if (code == LC_OK)
        code = weights_write(m, &m->adapter, &part, 1, path, DTYPE_F32, NULL, err);
    if (code == LC_OK)
        code = write_config_file(m, folder, err);
    mem_free(path);
    return code;
}
