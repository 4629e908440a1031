/* lora_config.c: LoraConfig and adapter_config.json. */
#include "gpu/lora_int.h"
#include "runtime/base/mem.h"
#include "runtime/base/nearest.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TARGETS_MAX = 4096, RANK_MAX = 4096 };

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
    mem_free(c->target_regex);
    json_decref(c->exclude);
    json_decref(c->modules_to_save);
    json_decref(c->rank_pattern);
    json_decref(c->alpha_pattern);
    json_decref(c->layers);
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
    {"alpha_pattern", READ},
    {"arrow_config", NEUTRAL},
    {"corda_config", NEUTRAL},
    {"ensure_weight_tying", NEUTRAL},
    {"eva_config", NEUTRAL},
    {"exclude_modules", READ},
    {"fan_in_fan_out", NEUTRAL},
    {"kasa_config", NEUTRAL},
    {"layer_replication", NEUTRAL},
    {"layers_pattern", NEUTRAL},
    {"layers_to_transform", READ},
    {"loftq_config", NEUTRAL},
    {"lora_bias", NEUTRAL},
    {"lora_ga_config", NEUTRAL},
    {"megatron_config", NEUTRAL},
    {"modules_to_save", READ},
    {"monteclora_config", NEUTRAL},
    {"rank_pattern", READ},
    {"runtime_config", IGNORED},
    {"target_parameters", NEUTRAL},
    {"trainable_token_indices", NEUTRAL},
    {"use_bdlora", NEUTRAL},
    {"use_dora", READ},
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

/* The name of the list of layers, which these models have one of. */
static bool is_layers(const char *key, const json_t *v)
{
    const json_t *name = json_is_array(v) && json_array_size(v) == 1 ? json_array_get(v, 0) : v;

    return strcmp(key, "layers_pattern") == 0 && json_is_string(name) &&
           strcmp(json_string_value(name), "layers") == 0;
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
        if (FIELDS[i].use == NEUTRAL && !is_neutral(v) && !is_layers(key, v))
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
    if (json_is_string(v)) /* PEFT: a text is an expression for whole names */
        return (c->target_regex = mem_strdup(json_string_value(v))) ? LC_OK : err_nomem(err);
    if (!json_is_array(v))
        return refuse_value("target_modules", v,
                            "give a list of names such as q_proj and v_proj, an expression, or 'all-linear'",
                            err);
    json_array_foreach (v, i, one) {
        if (!json_is_string(one))
            return refuse_value("target_modules", v,
                                "give a list of names such as q_proj and v_proj, or 'all-linear'", err);
        TRY(lora_config_target(c, json_string_value(one), err));
    }
    return LC_OK;
}

/* A list of texts or of numbers, an object of numbers, or (alone) one text or number. */
enum form { TEXTS, NUMBERS, PATTERN };

static bool fits(const json_t *v, enum form form)
{
    return form == TEXTS ? json_is_string(v) : form == NUMBERS ? json_is_integer(v) : json_is_number(v);
}

static bool all_fit(const json_t *v, enum form form)
{
    const char *key;
    json_t *one;
    size_t i;

    if (form == PATTERN ? !json_is_object(v) : !json_is_array(v))
        return fits(v, form) && form != PATTERN;
    json_array_foreach (v, i, one)
        if (!fits(one, form))
            return false;
    json_object_foreach ((json_t *)(uintptr_t)v, key, one)
        if (!fits(one, form))
            return false;
    return true;
}

static enum lc read_lists(const json_t *object, struct lora_config *c, struct err *err)
{
    const struct {
        const char *key, *hint;
        enum form form;
        json_t **to;
    } rows[] = {
        {"modules_to_save", "give a list of names such as embed_tokens and lm_head", TEXTS,
         &c->modules_to_save},
        {"exclude_modules", "give a list of names, or an expression", TEXTS, &c->exclude},
        {"layers_to_transform", "give a list of numbers of layers, from 0", NUMBERS, &c->layers},
        {"rank_pattern", "give names with their r: {q_proj = 4}", PATTERN, &c->rank_pattern},
        {"alpha_pattern", "give names with their lora_alpha: {q_proj = 8}", PATTERN, &c->alpha_pattern},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *v = json_object_get(object, rows[i].key);

        if (!v || (is_neutral(v) && !json_is_integer(v))) /* layers_to_transform = 0 is the first layer */
            continue;
        if (!all_fit(v, rows[i].form))
            return refuse_value(rows[i].key, v, rows[i].hint, err);
        *rows[i].to = json_incref(v);
    }
    return LC_OK;
}

static const char *const BIASES[] = {
    [LORA_BIAS_NONE] = "none", [LORA_BIAS_ALL] = "all", [LORA_BIAS_LORA_ONLY] = "lora_only"};

static enum lc read_bias(const json_t *v, struct lora_config *c, struct err *err)
{
    if (!v || json_is_null(v))
        return LC_OK;
    for (int i = 0; i < 3 && json_is_string(v); i++)
        if (strcmp(json_string_value(v), BIASES[i]) == 0) {
            c->bias = (enum lora_bias)i;
            return LC_OK;
        }
    return refuse_value("bias", v, "'none', 'all' and 'lora_only' are", err);
}

static enum lc read_words(const json_t *object, struct lora_config *c, struct err *err)
{
    static const struct {
        const char *key, *only;
    } rows[] = {{"peft_type", "LORA"}, {"task_type", "CAUSAL_LM"}};
    const json_t *v = json_object_get(object, "base_model_name_or_path");

    if (json_is_string(v) && !(c->base_model_name_or_path = mem_strdup(json_string_value(v))))
        return err_nomem(err);
    TRY(read_bias(json_object_get(object, "bias"), c, err));
    for (size_t i = 0; i < 2; i++) {
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

static enum lc read_flags(const json_t *object, struct lora_config *c, struct err *err)
{
    const struct {
        const char *key;
        bool *to;
    } rows[] = {{"use_rslora", &c->use_rslora}, {"use_dora", &c->use_dora}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const json_t *v = json_object_get(object, rows[i].key);

        if (v && !json_is_boolean(v) && !json_is_null(v))
            return err_set(err, LC_ARG, "LoraConfig: '%s' is not true or false", rows[i].key);
        *rows[i].to = json_is_true(v);
    }
    return LC_OK;
}

static enum lc read_numbers(const json_t *object, struct lora_config *c, struct err *err)
{
    const json_t *r = json_object_get(object, "r"), *alpha = json_object_get(object, "lora_alpha");
    const json_t *dropout = json_object_get(object, "lora_dropout");

    if (r && !json_is_integer(r))
        return err_set(err, LC_ARG, "LoraConfig: 'r' is not a whole number");
    if ((alpha && !json_is_number(alpha)) || (dropout && !json_is_number(dropout)))
        return err_set(err, LC_ARG, "LoraConfig: '%s' is not a number",
                       alpha && !json_is_number(alpha) ? "lora_alpha" : "lora_dropout");
    c->r = r ? json_integer_value(r) : c->r;
    c->lora_alpha = alpha ? json_number_value(alpha) : c->lora_alpha;
    c->lora_dropout = dropout ? json_number_value(dropout) : c->lora_dropout;
    return read_flags(object, c, err);
}

enum lc lora_config_check(const struct lora_config *c, struct err *err)
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
        code = read_lists(object, c, err);
    if (code == LC_OK)
        code = lora_config_check(c, err);
    if (code != LC_OK)
        lora_config_release(c);
    return code;
}

static json_t *targets_json(const struct lora_config *c)
{
    json_t *list = c->target_regex ? NULL : json_array();

    if (!list)
        return json_string(c->target_regex);
    for (size_t i = 0; i < c->n_targets; i++)
        json_array_append_new(list, json_string(c->targets[i]));
    for (int i = 0; i < LIN_COUNT; i++)
        if (c->all_linear || (lora_default_targets(c) && (i == LIN_Q || i == LIN_V)))
            json_array_append_new(list, json_string(lora_suffix((enum linear_id)i)));
    return list;
}

static json_t *number_json(double x)
{
    return x == floor(x) && fabs(x) < 1e15 ? json_integer((json_int_t)x) : json_real(x);
}

static json_t *or_null(json_t *v)
{
    return v ? json_incref(v) : json_null();
}

static json_t *or_empty(json_t *v)
{
    return v ? json_incref(v) : json_object();
}

json_t *lora_config_to_json(const struct lora_config *c)
{
    return json_pack(
        "{s:s, s:s, s:I, s:o, s:f, s:b, s:s, s:o, s:b, s:b, s:b, s:b, s:s?, s:o, s:o, s:o, s:o, s:o, s:n}",
        "peft_type", "LORA", "task_type", "CAUSAL_LM", "r", (json_int_t)c->r, "lora_alpha",
        number_json(c->lora_alpha), "lora_dropout", c->lora_dropout, "use_rslora", c->use_rslora, "bias",
        BIASES[c->bias], "target_modules", targets_json(c), "init_lora_weights", c->init_lora_weights,
        "inference_mode", 1, "fan_in_fan_out", 0, "use_dora", c->use_dora, "base_model_name_or_path",
        c->base_model_name_or_path, "modules_to_save", or_null(c->modules_to_save), "exclude_modules",
        or_null(c->exclude), "rank_pattern", or_empty(c->rank_pattern), "alpha_pattern",
        or_empty(c->alpha_pattern), "layers_to_transform", or_null(c->layers), "layers_pattern");
}
