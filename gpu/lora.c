/* lora.c: PEFT's LoRA: configuration, attachment, files, merging. */
#include "gpu/lora.h"
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

enum { CONFIG_MAX = 1 << 20, TARGETS_MAX = 4096, RANK_MAX = 4096 };

/* ---- configuration ---- */
void lora_config_init(struct lora_config *c)
{
    *c = (struct lora_config){.r = 8, .lora_alpha = 8, .init_lora_weights = true};
}

void lora_config_release(struct lora_config *c)
{
    for (size_t i = 0; i < c->n_targets; i++)
        mem_free(c->targets[i]);
    mem_free(c->targets);
    mem_free(c->base_model_name_or_path);
    *c = (struct lora_config){0};
}

enum lc lora_config_target(struct lora_config *c, const char *name, struct err *err)
{
    char **more;

    if (c->n_targets == TARGETS_MAX)
        return err_set(err, LC_LIMIT, "more than %d target modules", TARGETS_MAX);
    more = mem_reallocn(c->targets, c->n_targets + 1, sizeof *more);
    if (!more)
        return err_nomem(err);
    c->targets = more;
    c->targets[c->n_targets] = mem_strdup(name);
    if (!c->targets[c->n_targets])
        return err_nomem(err);
    c->n_targets++;
    return LC_OK;
}

/* Fields of PEFT 0.21's LoraConfig. IGNORED: says nothing about the numbers. NEUTRAL: null, false, 0 or empty only. */
enum use { READ, IGNORED, NEUTRAL };
static const struct lora_field {
    const char *name;
    enum use use;
} FIELDS[] = {
    {"r", READ},
    {"lora_alpha", READ},
    {"lora_dropout", READ},
    {"use_rslora", READ},
    {"target_modules", READ},
    {"bias", READ},
    {"peft_type", READ},
    {"base_model_name_or_path", READ},
    {"init_lora_weights", READ},
    {"task_type", READ},
    {"auto_mapping", IGNORED},
    {"inference_mode", IGNORED},
    {"peft_version", IGNORED},
    {"revision", IGNORED},
    {"megatron_core", IGNORED},
    {"qalora_group_size", IGNORED},
    {"alora_invocation_tokens", NEUTRAL},
    {"alpha_pattern", NEUTRAL},
    {"arrow_config", NEUTRAL},
    {"corda_config", NEUTRAL},
    {"ensure_weight_tying", NEUTRAL},
    {"eva_config", NEUTRAL},
    {"exclude_modules", NEUTRAL},
    {"fan_in_fan_out", NEUTRAL},
    {"kasa_config", NEUTRAL},
    {"layer_replication", NEUTRAL},
    {"layers_pattern", NEUTRAL},
    {"layers_to_transform", NEUTRAL},
    {"loftq_config", NEUTRAL},
    {"lora_bias", NEUTRAL},
    {"lora_ga_config", NEUTRAL},
    {"megatron_config", NEUTRAL},
    {"modules_to_save", NEUTRAL},
    {"monteclora_config", NEUTRAL},
    {"rank_pattern", NEUTRAL},
    {"runtime_config", IGNORED},
    {"target_parameters", NEUTRAL},
    {"trainable_token_indices", NEUTRAL},
    {"use_bdlora", NEUTRAL},
    {"use_dora", NEUTRAL},
    {"use_qalora", NEUTRAL},
    {"velora_config", NEUTRAL},
};
enum { N_FIELDS = sizeof FIELDS / sizeof *FIELDS };

static bool is_neutral(const json_t *v)
{
    return json_is_null(v) || json_is_false(v) || (json_is_number(v) && json_number_value(v) == 0) ||
           (json_is_array(v) && json_array_size(v) == 0) || (json_is_object(v) && json_object_size(v) == 0);
}

static enum lc refuse_value(const char *key, const json_t *v, const char *hint, struct err *err)
{
    char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);

    err_set(err, LC_UNSUPPORTED, "LoraConfig: '%s': %.160s is not supported", key, text ? text : "?");
    free(text);
    return hint ? err_hint(err, "%s", hint) : LC_UNSUPPORTED;
}

static enum lc unknown_key(const char *key, struct err *err)
{
    const char *names[N_FIELDS];
    struct buf near = BUF_INIT(400);

    for (int i = 0; i < N_FIELDS; i++)
        names[i] = FIELDS[i].name;
    err_set(err, LC_ARG, "LoraConfig has no field '%s'", key);
    if (nearest_list(&near, key, names, N_FIELDS, 3) && near.len)
        err_hint(err, "did you mean %s?", buf_str(&near));
    buf_release(&near);
    return LC_ARG;
}

static enum lc check_keys(const json_t *object, struct err *err)
{
    const char *key;
    json_t *v;
    int i;

    json_object_foreach ((json_t *)(uintptr_t)object, key,
                         v) { /* not changed: jansson's iterator is not const */
        for (i = 0; i < N_FIELDS && strcmp(FIELDS[i].name, key) != 0;)
            i++;
        if (i == N_FIELDS)
            return unknown_key(key, err);
        if (FIELDS[i].use == NEUTRAL && !is_neutral(v))
            return refuse_value(key, v, NULL, err);
    }
    return LC_OK;
}

static enum lc read_targets(const json_t *v, struct lora_config *c, struct err *err)
{
    const json_t *one;
    size_t i;

    if (!v || json_is_null(v))
        return LC_OK;
    if (json_is_string(v) && strcmp(json_string_value(v), "all-linear") == 0) {
        c->all_linear = true;
        return LC_OK;
    }
    if (!json_is_array(v))
        return refuse_value("target_modules", v,
                            "give a list of names such as q_proj and v_proj, or 'all-linear'", err);
    json_array_foreach (v, i, one) {
        if (!json_is_string(one))
            return refuse_value("target_modules", v,
                                "give a list of names such as q_proj and v_proj, or 'all-linear'", err);
        TRY(lora_config_target(c, json_string_value(one), err));
    }
    return LC_OK;
}

static enum lc read_words(const json_t *object, struct lora_config *c, struct err *err)
{
    static const struct {
        const char *key, *only;
    } rows[] = {{"bias", "none"}, {"peft_type", "LORA"}, {"task_type", "CAUSAL_LM"}};
    const json_t *v = json_object_get(object, "base_model_name_or_path");

    if (json_is_string(v) && !(c->base_model_name_or_path = mem_strdup(json_string_value(v))))
        return err_nomem(err);
    for (size_t i = 0; i < 3; i++) {
        v = json_object_get(object, rows[i].key);
        if (v && !json_is_null(v) && (!json_is_string(v) || strcmp(json_string_value(v), rows[i].only) != 0))
            return refuse_value(rows[i].key, v, NULL, err);
    }
    v = json_object_get(object, "init_lora_weights");
    if (v && !json_is_boolean(v))
        return refuse_value("init_lora_weights", v, "true (kaiming A, zero B) and false are", err);
    c->init_lora_weights = !json_is_false(v);
    return LC_OK;
}

static enum lc read_numbers(const json_t *object, struct lora_config *c, struct err *err)
{
    const json_t *r = json_object_get(object, "r"), *alpha = json_object_get(object, "lora_alpha");
    const json_t *dropout = json_object_get(object, "lora_dropout"),
                 *rs = json_object_get(object, "use_rslora");

    if (r && !json_is_integer(r))
        return err_set(err, LC_ARG, "LoraConfig: 'r' is not a whole number");
    if ((alpha && !json_is_number(alpha)) || (dropout && !json_is_number(dropout)))
        return err_set(err, LC_ARG, "LoraConfig: '%s' is not a number",
                       alpha && !json_is_number(alpha) ? "lora_alpha" : "lora_dropout");
    c->r = r ? json_integer_value(r) : c->r;
    c->lora_alpha = alpha ? json_number_value(alpha) : c->lora_alpha;
    c->lora_dropout = dropout ? json_number_value(dropout) : c->lora_dropout;
    c->use_rslora = json_is_true(rs);
    return LC_OK;
}

static enum lc config_check(const struct lora_config *c, struct err *err)
{
    if (c->r < 1 || c->r > RANK_MAX)
        return err_set(err, LC_ARG, "LoraConfig: 'r' is %lld: not between 1 and %d", (long long)c->r,
                       RANK_MAX);
    if (!(c->lora_dropout >= 0 && c->lora_dropout < 1))
        return err_set(err, LC_ARG, "LoraConfig: 'lora_dropout' is %g: not in [0, 1)", c->lora_dropout);
    if (!isfinite(c->lora_alpha))
        return err_set(err, LC_ARG, "LoraConfig: 'lora_alpha' is not a finite number");
    return LC_OK;
}

enum lc lora_config_from_json(const json_t *object, struct lora_config *c, struct err *err)
{
    enum lc code;

    lora_config_init(c);
    if (!json_is_object(object))
        return err_set(err, LC_DATA, "LoraConfig is not an object");
    code = check_keys(object, err);
    if (code == LC_OK)
        code = read_numbers(object, c, err);
    if (code == LC_OK)
        code = read_words(object, c, err);
    if (code == LC_OK)
        code = read_targets(json_object_get(object, "target_modules"), c, err);
    if (code == LC_OK)
        code = config_check(c, err);
    if (code != LC_OK)
        lora_config_release(c);
    return code;
}

static const char *const SUFFIXES[LIN_COUNT] = {"q_proj",    "k_proj",  "v_proj",   "o_proj",
                                                "gate_proj", "up_proj", "down_proj"};

/* PEFT's default for Llama-like models: q_proj and v_proj. */
static bool default_targets(const struct lora_config *c)
{
    return !c->all_linear && c->n_targets == 0;
}

static json_t *targets_json(const struct lora_config *c)
{
    json_t *list = json_array();

    for (size_t i = 0; i < c->n_targets; i++)
        json_array_append_new(list, json_string(c->targets[i]));
    for (int i = 0; i < LIN_COUNT; i++)
        if (c->all_linear || (default_targets(c) && (i == LIN_Q || i == LIN_V)))
            json_array_append_new(list, json_string(SUFFIXES[i]));
    return list;
}

static json_t *number_json(double x)
{
    return x == floor(x) && fabs(x) < 1e15 ? json_integer((json_int_t)x) : json_real(x);
}

json_t *lora_config_to_json(const struct lora_config *c)
{
    return json_pack(
        "{s:s, s:s, s:I, s:o, s:f, s:b, s:s, s:o, s:b, s:b, s:b, s:b, s:s?, s:n, s:{}, s:{}, s:n, s:n}",
        "peft_type", "LORA", "task_type", "CAUSAL_LM", "r", (json_int_t)c->r, "lora_alpha",
        number_json(c->lora_alpha), "lora_dropout", c->lora_dropout, "use_rslora", c->use_rslora, "bias",
        "none", "target_modules", targets_json(c), "init_lora_weights", c->init_lora_weights,
        "inference_mode", 1, "fan_in_fan_out", 0, "use_dora", 0, "base_model_name_or_path",
        c->base_model_name_or_path, "modules_to_save", "rank_pattern", "alpha_pattern", "layers_to_transform",
        "layers_pattern");
}

/* ---- attachment ---- */
static bool ends_with_module(const char *path, const char *target)
{
    size_t n = strlen(path), t = strlen(target);

    return t <= n && strcmp(path + n - t, target) == 0 && (t == n || path[n - t - 1] == '.');
}

/* used[i] is set for each target that matched. */
static bool is_target(const struct lora_config *c, const char *path, enum linear_id id, bool *used)
{
    bool found = c->all_linear || (default_targets(c) && (id == LIN_Q || id == LIN_V));

    for (size_t i = 0; i < c->n_targets; i++)
        if (ends_with_module(path, c->targets[i]))
            found = used[i] = true;
    return found;
}

static enum lc attach_layers(struct model *m, bool *used, struct err *err)
{
    char path[80], name[TENSOR_NAME];

    for (int64_t l = 0; l < m->config.num_hidden_layers; l++)
        for (enum linear_id id = 0; id < LIN_COUNT; id++) {
            struct linear_shape s = model_linear_shape(&m->config, id);
            struct linear *lin = &m->layers[l].linear[id];

            snprintf(path, sizeof path, "model.layers.%lld.%s", (long long)l, s.path);
            if (!is_target(m->lora, path, id, used))
                continue;
            snprintf(name, sizeof name, "base_model.model.%s.lora_A.weight", path);
            TRY(arena_add(&m->adapter, name, m->lora->r, s.in, &lin->lora_a, err));
            snprintf(name, sizeof name, "base_model.model.%s.lora_B.weight", path);
            TRY(arena_add(&m->adapter, name, s.out, m->lora->r, &lin->lora_b, err));
        }
    return LC_OK;
}

static enum lc check_used(const struct lora_config *c, const bool *used, struct err *err)
{
    struct buf near = BUF_INIT(400);

    for (size_t i = 0; i < c->n_targets; i++) {
        if (used[i])
            continue;
        if (strcmp(c->targets[i], "lm_head") == 0 || strcmp(c->targets[i], "embed_tokens") == 0)
            return err_set(err, LC_UNSUPPORTED, "LoraConfig: an adapter on '%s' is not supported",
                           c->targets[i]);
        err_set(err, LC_NOTFOUND, "LoraConfig: target module '%s' is in no layer of the model",
                c->targets[i]);
        if (nearest_list(&near, c->targets[i], SUFFIXES, LIN_COUNT, 3) && near.len)
            err_hint(err, "did you mean %s? all of them: 'all-linear'", buf_str(&near));
        else
            err_hint(err, "there are q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj and down_proj; all "
                          "of them: 'all-linear'");
        buf_release(&near);
        return LC_NOTFOUND;
    }
    return LC_OK;
}

static enum lc draw_adapter(struct model *m, uint64_t seed, struct err *err)
{
    struct rng rng;
    float *values = NULL;
    enum lc code = LC_OK;

    rng_seed(&rng, seed);
    for (size_t i = 0; i < m->adapter.n && code == LC_OK; i++) {
        const struct weight *w = &m->adapter.weights[i];
        bool is_a = i % 2 == 0; /* A and B alternate */
        double bound = 1 / sqrt((double)w->shape[1]);
        float *more = mem_reallocn(values, (size_t)w->elements, sizeof *values);

        if (!more) {
            code = err_nomem(err);
            break;
        }
        values = more;
        for (int64_t j = 0; j < w->elements; j++)
            values[j] = is_a                         ? (float)(bound * (2 * rng_uniform(&rng) - 1))
                        : m->lora->init_lora_weights ? 0
                                                     : (float)(0.02 * rng_normal(&rng));
        code = weights_put(m, weight_data(&m->adapter, (int)i), w, values, DTYPE_F32, err);
    }
    mem_free(values);
    return code;
}

static enum lc copy_config(const struct lora_config *from, struct lora_config *to, struct err *err)
{
    *to = *from;
    to->targets = NULL;
    to->n_targets = 0;
    to->base_model_name_or_path = NULL;
    if (from->base_model_name_or_path &&
        !(to->base_model_name_or_path = mem_strdup(from->base_model_name_or_path)))
        return err_nomem(err);
    for (size_t i = 0; i < from->n_targets; i++)
        TRY(lora_config_target(to, from->targets[i], err));
    return LC_OK;
}

static enum lc attach(struct model *m, const struct lora_config *c, uint64_t seed, struct err *err)
{
    bool *used = mem_calloc(c->n_targets + 1, sizeof *used);
    enum lc code;

    m->lora = mem_zalloc(sizeof *m->lora);
    code = m->lora && used ? copy_config(c, m->lora, err) : err_nomem(err);
    if (code == LC_OK)
        code = attach_layers(m, used, err);
    if (code == LC_OK)
        code = check_used(c, used, err);
    if (code == LC_OK)
        code = arena_place(m, &m->adapter, err);
    mem_free(used);
    if (code != LC_OK)
        return code;
    m->adapter.trainable = true;
    m->lora_scale = (float)(c->lora_alpha / (c->use_rslora ? sqrt((double)c->r) : (double)c->r));
    return draw_adapter(m, seed, err);
}

enum lc lora_attach(struct model *m, const struct lora_config *c, uint64_t seed, struct err *err)
{
    enum lc code;

    if (m->lora)
        return err_set(err, LC_EXISTS, "the model has an adapter already: merge or detach it first");
    TRY(config_check(c, err));
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
    for (int64_t l = 0; l < m->config.num_hidden_layers; l++)
        for (int i = 0; i < LIN_COUNT; i++)
            m->layers[l].linear[i].lora_a = m->layers[l].linear[i].lora_b = -1;
    lora_config_release(m->lora);
    mem_free(m->lora);
    m->lora = NULL;
}

const struct lora_config *lora_of(const struct model *m)
{
    return m->lora;
}

static enum lc cannot_merge(const struct weight *w, struct err *err)
{
    err_set(err, LC_UNSUPPORTED, "cannot merge the adapter into '%s', which is kept in %s", w->name,
            dtype_torch(w->dtype));
    return err_hint(err, "load the base without quantization, then merge");
}

enum lc lora_merge(struct model *m, struct err *err)
{
    if (!m->lora)
        return err_set(err, LC_ARG, "cannot merge: the model has no adapter");
    for (size_t i = 0; i < m->base.n; i++)
        if (dtype_quantized(m->base.weights[i].dtype))
            return cannot_merge(&m->base.weights[i], err);
    for (int64_t l = 0; l < m->config.num_hidden_layers; l++)
        for (enum linear_id id = 0; id < LIN_COUNT; id++) {
            const struct linear *lin = &m->layers[l].linear[id];
            struct linear_shape s = model_linear_shape(&m->config, id);

            if (lin->lora_a >= 0)
                m->backend->ops->merge(
                    m->backend->state, NULL, weight_data(&m->base, lin->weight),
                    m->base.weights[lin->weight].dtype, weight_data(&m->adapter, lin->lora_a),
                    weight_data(&m->adapter, lin->lora_b), s.out, s.in, m->lora->r, m->lora_scale);
        }
    TRY(m->backend->ops->sync(m->backend->state, NULL, err));
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
    return a->r == b->r && a->lora_alpha == b->lora_alpha && a->use_rslora == b->use_rslora;
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
