/* config.c: config.json of a Hugging Face checkpoint, read and written by tables. */
#include "gpu/model.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include <jansson.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum { CONFIG_MAX = 1 << 20 };

/* ---- architectures: what config.json does not say ---- */
static const struct architecture {
    const char *model_type, *class;
    bool qkv_bias, qk_norm;
    bool window;     /* a sliding window by default; else only with use_sliding_window */
    bool reads_bias; /* attention_bias and mlp_bias are fields of this architecture */
    int64_t kv_heads, head_dim, window_default; /* defaults of the config class; 0: follows from the others */
    double eps;
    const char *rope; /* its rope_parameters, as JSON, where config.json has none; NULL: the default kind */
} ARCHITECTURES[] = {
    {"llama", "LlamaForCausalLM", false, false, false, true, 0, 0, 0, 1e-6, NULL},
    {"mistral", "MistralForCausalLM", false, false, true, false, 8, 0, 4096, 1e-6, NULL},
    {"ministral", "MinistralForCausalLM", false, false, true, false, 8, 0, 4096, 1e-6, NULL},
    {"ministral3", "Ministral3ForCausalLM", false, false, true, false, 8, 128, 0, 1e-5,
     "{\"rope_type\": \"yarn\", \"rope_theta\": 1e6, \"factor\": 16.0, "
     "\"original_max_position_embeddings\": 16384, \"beta_fast\": 32.0, \"beta_slow\": 1.0, "
     "\"mscale_all_dim\": 1.0, \"mscale\": 1.0, \"llama_4_scaling_beta\": 0.1}"},
    {"qwen2", "Qwen2ForCausalLM", true, false, false, false, 32, 0, 4096, 1e-6, NULL},
    {"qwen3", "Qwen3ForCausalLM", false, true, false, true, 32, 128, 4096, 1e-6, NULL},
};
enum { N_ARCHITECTURES = sizeof ARCHITECTURES / sizeof *ARCHITECTURES };

static const struct architecture *find_architecture(const char *model_type)
{
    for (int i = 0; i < N_ARCHITECTURES; i++)
        if (strcmp(ARCHITECTURES[i].model_type, model_type) == 0)
            return &ARCHITECTURES[i];
    return NULL;
}

/* ---- fields ---- */
enum kind { SIZE, REAL, FLAG };
static const struct field {
    const char *name;
    enum kind kind;
    size_t offset;
} FIELDS[] = {
#define FIELD(name, kind)                                                                                    \
    {                                                                                                        \
#name, kind, offsetof(struct model_config, name)                                                     \
    }
    FIELD(vocab_size, SIZE),
    FIELD(hidden_size, SIZE),
    FIELD(intermediate_size, SIZE),
    FIELD(num_hidden_layers, SIZE),
    FIELD(num_attention_heads, SIZE),
    FIELD(num_key_value_heads, SIZE),
    FIELD(head_dim, SIZE),
    FIELD(max_position_embeddings, SIZE),
    FIELD(rms_norm_eps, REAL),
    FIELD(initializer_range, REAL),
    FIELD(tie_word_embeddings, FLAG),
#undef FIELD
};
enum { N_FIELDS = sizeof FIELDS / sizeof *FIELDS };

struct parse { /* one config.json being read */
    const json_t *root;
    const char *name;
    struct model_config *out;
    struct err *err;
};

static const json_t *present(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);

    return json_is_null(v) ? NULL : v;
}

static enum lc wrong(const struct parse *p, const char *key, const char *expected)
{
    return err_set(p->err, LC_DATA, "cannot read '%s': field '%s' is not %s", p->name, key, expected);
}

static enum lc unsupported(const struct parse *p, const char *key, const json_t *value)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);
    enum lc code =
        err_set(p->err, LC_UNSUPPORTED, "cannot use the model of '%s': '%s': %.200s is not supported",
                p->name, key, text ? text : "?");

    free(text); /* from jansson's allocator, which is malloc's */
    return code;
}

static enum lc read_size(const struct parse *p, const json_t *from, const char *key, int64_t *out)
{
    const json_t *v = present(from, key);

    if (!v)
        return LC_OK;
    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > INT32_MAX)
        return wrong(p, key, "a whole number below 2^31");
    *out = json_integer_value(v);
    return LC_OK;
}

static enum lc read_real(const struct parse *p, const json_t *from, const char *key, double *out)
{
    const json_t *v = present(from, key);

    if (!v)
        return LC_OK;
    if (!json_is_number(v) || !isfinite(json_number_value(v)))
        return wrong(p, key, "a number");
    *out = json_number_value(v);
    return LC_OK;
}

static enum lc read_flag(const struct parse *p, const char *key, bool *out)
{
    const json_t *v = present(p->root, key);

    if (!v)
        return LC_OK;
    if (!json_is_boolean(v))
        return wrong(p, key, "true or false");
    *out = json_is_true(v);
    return LC_OK;
}

static enum lc read_fields(const struct parse *p)
{
    for (int i = 0; i < N_FIELDS; i++) {
        void *at = (char *)p->out + FIELDS[i].offset;
        enum lc code = LC_OK;

        if (FIELDS[i].kind == SIZE)
            code = read_size(p, p->root, FIELDS[i].name, at);
        else if (FIELDS[i].kind == REAL)
            code = read_real(p, p->root, FIELDS[i].name, at);
        else
            code = read_flag(p, FIELDS[i].name, at);
        TRY(code);
    }
    return LC_OK;
}

static enum lc read_architecture(const struct parse *p, const struct architecture **out)
{
    const json_t *type = present(p->root, "model_type");
    const char *class = json_string_value(json_array_get(json_object_get(p->root, "architectures"), 0));

    if (!json_is_string(type))
        return err_set(p->err, LC_DATA, "cannot read '%s': it has no 'model_type'", p->name);
    *out = find_architecture(json_string_value(type));
    if (*out && (!class || strcmp(class, (*out)->class) == 0))
        return LC_OK;
    err_set(p->err, LC_UNSUPPORTED,
            "cannot use the model of '%s': architecture '%.80s' (model_type '%.40s') is not supported",
            p->name, class ? class : "unnamed", json_string_value(type));
    return err_hint(
        p->err,
        "supported are LlamaForCausalLM, MistralForCausalLM, MinistralForCausalLM, Ministral3ForCausalLM, "
        "Qwen2ForCausalLM and Qwen3ForCausalLM");
}

static const char *const ROPES[ROPE_TYPES] = {
    [ROPE_DEFAULT] = "default", [ROPE_LINEAR] = "linear",   [ROPE_LLAMA3] = "llama3",
    [ROPE_YARN] = "yarn",       [ROPE_DYNAMIC] = "dynamic", [ROPE_LONG] = "longrope"};

/* One factor for each pair of a head: their number is compared with head_dim when that is known. */
static enum lc read_factors(const struct parse *p, const json_t *rope, const char *key, float *out)
{
    const json_t *list = json_object_get(rope, key), *v;
    size_t i;

    if (!json_is_array(list) || json_array_size(list) > MODEL_HEAD_MAX / 2)
        return wrong(p, key, "a list of half of head_dim numbers");
    json_array_foreach (list, i, v) {
        out[i] = (float)json_number_value(v);
        if (!(out[i] > 0) || !isfinite(out[i]))
            return wrong(p, key, "numbers above 0");
    }
    return LC_OK;
}

static enum lc read_longrope(const struct parse *p, const json_t *rope)
{
    struct model_config *c = p->out;

    TRY(read_factors(p, rope, "short_factor", c->rope_short));
    TRY(read_factors(p, rope, "long_factor", c->rope_long));
    if (!present(rope, "factor") && c->rope_original_max_position_embeddings > 0)
        c->rope_factor =
            (double)c->max_position_embeddings / (double)c->rope_original_max_position_embeddings;
    return LC_OK;
}

/* The kinds that are scaled have no default of their scale. A factor of null (YaRN's) is that of the contexts. */
static enum lc read_scale(const struct parse *p, const json_t *rope, const char *object)
{
    static const char *const needed[ROPE_TYPES][3] = {
        [ROPE_LINEAR] = {"factor"},
        [ROPE_DYNAMIC] = {"factor"},
        [ROPE_YARN] = {"factor"},
        [ROPE_LLAMA3] = {"factor", "low_freq_factor", "high_freq_factor"}};
    struct model_config *c = p->out;

    for (int i = 0; i < 3 && needed[c->rope_type][i]; i++)
        if (!json_object_get(rope, needed[c->rope_type][i]))
            return err_set(p->err, LC_DATA, "cannot read '%s': '%s' of kind '%s' has no '%s'", p->name,
                           object, ROPES[c->rope_type], needed[c->rope_type][i]);
    TRY(read_real(p, rope, "factor", &c->rope_factor));
    TRY(read_real(p, rope, "low_freq_factor", &c->rope_low_freq_factor));
    TRY(read_real(p, rope, "high_freq_factor", &c->rope_high_freq_factor));
    TRY(read_size(p, rope, "original_max_position_embeddings", &c->rope_original_max_position_embeddings));
    if (c->rope_type == ROPE_LLAMA3 || c->rope_type == ROPE_YARN || c->rope_type == ROPE_LONG)
        TRY(read_size(p, p->root, "original_max_position_embeddings", /* Phi-3's place, which goes first */
                      &c->rope_original_max_position_embeddings));
    if (c->rope_type == ROPE_YARN && !present(rope, "factor") && c->rope_original_max_position_embeddings > 0)
        c->rope_factor =
            (double)c->max_position_embeddings / (double)c->rope_original_max_position_embeddings;
    return LC_OK;
}

static enum lc read_rope_object(const struct parse *p, const json_t *rope, const char *key)
{
    const json_t *type;
    struct model_config *c = p->out;
    double partial = 1;
    const struct {
        const char *name;
        double *at;
    } reals[] = {{"beta_fast", &c->rope_beta_fast},
                 {"beta_slow", &c->rope_beta_slow},
                 {"attention_factor", &c->rope_attention_factor},
                 {"mscale", &c->rope_mscale},
                 {"mscale_all_dim", &c->rope_mscale_all_dim},
                 {"llama_4_scaling_beta", &c->rope_query_beta}};
    int found = -1;

    if (!json_is_object(rope))
        return wrong(p, key, "an object");
    TRY(read_real(p, rope, "partial_rotary_factor", &partial));
    if (partial < 1)
        return unsupported(p, "partial_rotary_factor", json_object_get(rope, "partial_rotary_factor"));
    type = present(rope, "rope_type") ? present(rope, "rope_type") : present(rope, "type");
    for (int i = 0; i < ROPE_TYPES; i++)
        if (!type || (json_is_string(type) && strcmp(json_string_value(type), ROPES[i]) == 0)) {
            found = i;
            break;
        }
    if (found < 0)
        return unsupported(p, "rope_type", type);
    c->rope_type = (enum rope_type)found;
    TRY(read_real(p, rope, "rope_theta", &c->rope_theta));
    TRY(read_scale(p, rope, key));
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++)
        TRY(read_real(p, rope, reals[i].name, reals[i].at));
    if (strcmp(c->model_type, "ministral3") != 0) /* the others do not look at it */
        c->rope_query_beta = 0;
    c->rope_truncate = !json_is_false(json_object_get(rope, "truncate"));
    return c->rope_type == ROPE_LONG ? read_longrope(p, rope) : LC_OK;
}

/* rope_scaling, where it says something, goes before rope_parameters, as in transformers. */
static enum lc read_rope(const struct parse *p, const struct architecture *a)
{
    const json_t *old = present(p->root, "rope_scaling"), *rope = present(p->root, "rope_parameters");
    json_t *preset;
    enum lc code;

    TRY(read_real(p, p->root, "rope_theta", &p->out->rope_theta));
    if (old && !(json_is_object(old) && json_object_size(old) == 0))
        return read_rope_object(p, old, "rope_scaling");
    if (rope || !a->rope)
        return rope ? read_rope_object(p, rope, "rope_parameters") : LC_OK;
    preset = json_loads(a->rope, 0, NULL);
    code = preset ? read_rope_object(p, preset, "rope_parameters") : err_nomem(p->err);
    json_decref(preset);
    return code;
}

static enum lc read_token(const struct parse *p, const json_t *v, const char *key, int64_t *out)
{
    if (!json_is_integer(v) || json_integer_value(v) < -1 || json_integer_value(v) > INT32_MAX)
        return wrong(p, key, "a token id");
    *out = json_integer_value(v);
    return LC_OK;
}

static enum lc read_tokens(const struct parse *p)
{
    const json_t *bos = present(p->root, "bos_token_id"), *pad = present(p->root, "pad_token_id");
    const json_t *eos = present(p->root, "eos_token_id"), *v;
    struct model_config *c = p->out;
    size_t i, n = json_array_size(eos);

    if (bos)
        TRY(read_token(p, bos, "bos_token_id", &c->bos_token_id));
    if (pad)
        TRY(read_token(p, pad, "pad_token_id", &c->pad_token_id));
    c->n_eos_token_ids = 0;
    if (!eos)
        return LC_OK;
    if (json_is_array(eos) && n > sizeof c->eos_token_ids / sizeof *c->eos_token_ids)
        return wrong(p, "eos_token_id", "at most 8 tokens");
    if (!json_is_array(eos)) {
        c->n_eos_token_ids = 1;
        return read_token(p, eos, "eos_token_id", &c->eos_token_ids[0]);
    }
    json_array_foreach (eos, i, v)
        TRY(read_token(p, v, "eos_token_id", &c->eos_token_ids[i]));
    c->n_eos_token_ids = (int)n;
    return LC_OK;
}

/* FP8 weights with their scales are read (model_io.c); other checkpoints of few bits are not. */
static enum lc check_quantization(const struct parse *p)
{
    const json_t *v = present(p->root, "quantization_config");
    const char *method = json_string_value(json_object_get(v, "quant_method")),
               *format = json_string_value(json_object_get(v, "format")),
               *fmt = json_string_value(json_object_get(v, "fmt"));

    if (!v || (method && strcmp(method, "fp8") == 0 && (!fmt || strncmp(fmt, "e4m3", 4) == 0)) ||
        (method && strcmp(method, "compressed-tensors") == 0 && format &&
         strcmp(format, "float-quantized") == 0))
        return LC_OK;
    return unsupported(p, "quantization_config", v);
}

/* Fields that would change the numbers and that nothing here computes: refused unless neutral. */
static enum lc refuse_others(const struct parse *p)
{
    static const struct {
        const char *key, *neutral; /* as JSON; NULL: any value is refused */
    } rows[] = {{"hidden_act", "\"silu\""},       {"attention_dropout", "0"},  {"pretraining_tp", "1"},
                {"partial_rotary_factor", "1"},   {"num_local_experts", NULL}, {"vision_config", NULL},
                {"final_logit_softcapping", NULL}};

    TRY(check_quantization(p));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const json_t *v = present(p->root, rows[i].key);
        json_t *neutral = rows[i].neutral ? json_loads(rows[i].neutral, JSON_DECODE_ANY, NULL) : NULL;
        bool same = v && neutral &&
                    (json_equal(v, neutral) ||
                     (json_is_number(v) && json_number_value(v) == json_number_value(neutral)));

        json_decref(neutral);
        if (v && !same)
            return unsupported(p, rows[i].key, v);
    }
    return LC_OK;
}

static void see_all(struct model_config *c, int64_t l)
{
    c->full_layers[l / 64] |= UINT64_C(1) << (l % 64);
}

int64_t model_config_window(const struct model_config *c, int64_t l)
{
    return c->full_layers[l / 64] >> (l % 64) & 1 ? 0 : c->sliding_window;
}

/* layer_types: one of two words for each layer. */
static enum lc read_layer_types(const struct parse *p, const json_t *types)
{
    const json_t *v;
    size_t i;

    if (!json_is_array(types) || json_array_size(types) != (size_t)p->out->num_hidden_layers)
        return wrong(p, "layer_types", "a list with one entry for each layer");
    json_array_foreach (types, i, v) {
        const char *type = json_string_value(v);

        if (type && strcmp(type, "full_attention") == 0)
            see_all(p->out, (int64_t)i);
        else if (!type || strcmp(type, "sliding_attention") != 0)
            return unsupported(p, "layer_types", v);
    }
    return LC_OK;
}

/* Qwen's windows are off unless asked for, and then begin at a layer. */
static enum lc read_window(const struct parse *p, const struct architecture *a)
{
    const json_t *types = present(p->root, "layer_types");
    struct model_config *c = p->out;
    int64_t first = 28;
    bool use = a->window;

    TRY(read_flag(p, "use_sliding_window", &use));
    c->sliding_window =
        use && !json_is_null(json_object_get(p->root, "sliding_window")) ? a->window_default : 0;
    if (use)
        TRY(read_size(p, p->root, "sliding_window", &c->sliding_window));
    if (c->num_hidden_layers < 1 || c->num_hidden_layers > MODEL_LAYERS_MAX)
        return LC_OK; /* refused by model_config_check */
    if (types)
        return read_layer_types(p, types);
    TRY(read_size(p, p->root, "max_window_layers", &first));
    for (int64_t l = 0; !a->window && l < c->num_hidden_layers && l < first; l++)
        see_all(c, l);
    return LC_OK;
}

static enum lc read_bias(const struct parse *p, const struct architecture *a)
{
    struct model_config *c = p->out;
    bool attention = false;

    c->qkv_bias = a->qkv_bias;
    c->qk_norm = a->qk_norm;
    if (!a->reads_bias)
        return LC_OK;
    TRY(read_flag(p, "attention_bias", &attention));
    c->qkv_bias = c->qkv_bias || attention;
    c->o_bias = attention;
    return strcmp(a->model_type, "llama") == 0 ? read_flag(p, "mlp_bias", &c->mlp_bias) : LC_OK;
}

static enum lc read_dtype(const struct parse *p)
{
    const json_t *v = present(p->root, "dtype") ? present(p->root, "dtype") : present(p->root, "torch_dtype");

    p->out->dtype = DTYPE_F32;
    if (!v)
        return LC_OK;
    p->out->dtype = json_is_string(v) ? dtype_from_torch(json_string_value(v)) : DTYPE_NONE;
    return dtype_size(p->out->dtype) == 0 ? unsupported(p, "dtype", v) : LC_OK;
}

void model_config_defaults(struct model_config *c)
{
    *c = (struct model_config){.model_type = "llama",
                               .vocab_size = 32000,
                               .hidden_size = 4096,
                               .intermediate_size = 11008,
                               .num_hidden_layers = 32,
                               .num_attention_heads = 32,
                               .max_position_embeddings = 2048,
                               .rms_norm_eps = 1e-6,
                               .initializer_range = 0.02,
                               .rope_theta = 10000,
                               .rope_factor = 1,
                               .rope_low_freq_factor = 1,
                               .rope_high_freq_factor = 4,
                               .rope_beta_fast = 32,
                               .rope_beta_slow = 1,
                               .rope_truncate = true,
                               .bos_token_id = -1,
                               .pad_token_id = -1,
                               .dtype = DTYPE_F32};
}

static enum lc read_all(const struct parse *p)
{
    const struct architecture *a = NULL;
    struct model_config *c = p->out;

    TRY(read_architecture(p, &a));
    snprintf(c->model_type, sizeof c->model_type, "%s", a->model_type);
    c->num_key_value_heads = json_is_null(json_object_get(p->root, "num_key_value_heads")) ? 0 : a->kv_heads;
    c->head_dim = a->head_dim;
    c->rms_norm_eps = a->eps;
    TRY(refuse_others(p));
    TRY(read_fields(p));
    TRY(read_bias(p, a));
    TRY(read_window(p, a));
    TRY(read_rope(p, a));
    TRY(read_tokens(p));
    TRY(read_dtype(p));
    if (c->num_key_value_heads == 0)
        c->num_key_value_heads = c->num_attention_heads;
    if (c->head_dim == 0 && c->num_attention_heads > 0)
        c->head_dim = c->hidden_size / c->num_attention_heads;
    if (c->rope_original_max_position_embeddings == 0)
        c->rope_original_max_position_embeddings = c->max_position_embeddings;
    return model_config_check(c, p->err);
}

/* Ministral 3 is published as the text part of a model that reads images: that part is what is read. */
static bool is_vision(const json_t *root)
{
    const char *type = json_string_value(json_object_get(root, "model_type"));

    return type && strcmp(type, "mistral3") == 0 && json_is_object(json_object_get(root, "text_config"));
}

/* The text part with what is said for the whole; takes root. NULL without memory. */
static json_t *text_part(json_t *root)
{
    static const char *const shared[] = {"quantization_config", "dtype", "torch_dtype",
                                         "tie_word_embeddings"};
    json_t *part = json_copy(json_object_get(root, "text_config"));

    for (size_t i = 0; part && i < sizeof shared / sizeof *shared; i++) {
        json_t *v = json_object_get(root, shared[i]);

        if (v && !json_object_get(part, shared[i]))
            json_object_set(part, shared[i], v);
    }
    json_decref(root);
    return part;
}

enum lc model_config_parse(const char *text, size_t len, const char *name, struct model_config *out,
                           struct err *err)
{
    struct model_config c;
    json_error_t fault;
    json_t *root;
    struct parse p = {.name = name, .out = &c, .err = err};
    enum lc code;

    if (len > CONFIG_MAX)
        return err_set(err, LC_LIMIT, "cannot read '%s': it is larger than 1 MB", name);
    root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &fault);
    if (!json_is_object(root)) {
        json_decref(root);
        err_set(err, LC_DATA, "cannot read '%s': %s", name, root ? "it is not a JSON object" : fault.text);
        return root ? LC_DATA : err_at(err, fault.position);
    }
    model_config_defaults(&c);
    c.beside_vision = is_vision(root);
    if (c.beside_vision)
        root = text_part(root);
    p.root = root;
    code = root ? read_all(&p) : err_nomem(err);
    json_decref(root);
    if (code == LC_OK)
        *out = c;
    return code;
}

enum lc model_config_load(const char *folder, struct model_config *out, struct err *err)
{
    struct buf text = BUF_INIT(CONFIG_MAX);
    char *path = fs_join(folder, "config.json");
    enum lc code = path ? fs_read(path, &text, err) : err_nomem(err);

    if (code == LC_OK)
        code = model_config_parse(buf_str(&text), text.len, path, out, err);
    else if (code == LC_NOTFOUND)
        err_hint(err, "a model is a folder with config.json and model.safetensors, as Hugging Face's "
                      "save_pretrained writes");
    buf_release(&text);
    mem_free(path);
    return code;
}

enum lc model_config_check(const struct model_config *c, struct err *err)
{
    const struct {
        const char *name;
        int64_t value, most;
    } sizes[] = {{"vocab_size", c->vocab_size, 1 << 24},
                 {"hidden_size", c->hidden_size, 1 << 20},
                 {"intermediate_size", c->intermediate_size, 1 << 22},
                 {"num_hidden_layers", c->num_hidden_layers, MODEL_LAYERS_MAX},
                 {"num_attention_heads", c->num_attention_heads, 1 << 12},
                 {"num_key_value_heads", c->num_key_value_heads, 1 << 12},
                 {"head_dim", c->head_dim, MODEL_HEAD_MAX},
                 {"max_position_embeddings", c->max_position_embeddings, 1 << 28}};

    if (!find_architecture(c->model_type))
        return err_set(err, LC_UNSUPPORTED, "model_type '%.32s' is not supported", c->model_type);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (sizes[i].value < 1 || sizes[i].value > sizes[i].most)
            return err_set(err, LC_DATA, "model config: '%s' is %lld: not between 1 and %lld", sizes[i].name,
                           (long long)sizes[i].value, (long long)sizes[i].most);
    if (c->num_attention_heads % c->num_key_value_heads)
        return err_set(
            err, LC_DATA,
            "model config: 'num_attention_heads' (%lld) is not a multiple of 'num_key_value_heads' (%lld)",
            (long long)c->num_attention_heads, (long long)c->num_key_value_heads);
    if (c->head_dim % 2)
        return err_set(err, LC_DATA, "model config: 'head_dim' (%lld) is odd", (long long)c->head_dim);
    if (!(c->rms_norm_eps >= 0) || !(c->rope_theta > 0) || !(c->rope_factor > 0) ||
        !(c->initializer_range >= 0))
        return err_set(err, LC_DATA,
                       "model config: 'rms_norm_eps', 'initializer_range', 'rope_theta' or the rope factor "
                       "is out of range");
    if (c->rope_type == ROPE_YARN && !(c->rope_beta_fast > 0 && c->rope_beta_slow > 0 && c->rope_theta > 1))
        return err_set(err, LC_DATA,
                       "model config: 'beta_fast', 'beta_slow' or 'rope_theta' is out of range");
    if (!(c->rope_query_beta >= 0) ||
        (c->rope_query_beta > 0 && c->rope_original_max_position_embeddings < 1))
        return err_set(err, LC_DATA, "model config: 'llama_4_scaling_beta' is out of range");
    if (c->rope_type == ROPE_DYNAMIC && (c->head_dim < 4 || c->rope_factor < 1))
        return err_set(err, LC_DATA,
                       "model config: the rope factor of 'dynamic' is below 1, or 'head_dim' below 4");
    for (int64_t i = 0; c->rope_type == ROPE_LONG && i < MODEL_HEAD_MAX / 2; i++)
        if ((c->rope_short[i] > 0) != (i < c->head_dim / 2) || (c->rope_long[i] > 0) != (i < c->head_dim / 2))
            return err_set(
                err, LC_DATA,
                "model config: 'short_factor' and 'long_factor' must have half of 'head_dim' (%lld) numbers",
                (long long)(c->head_dim / 2));
    if (c->rope_type == ROPE_LLAMA3 &&
        !(c->rope_high_freq_factor > c->rope_low_freq_factor && c->rope_low_freq_factor > 0))
        return err_set(err, LC_DATA, "model config: 'high_freq_factor' is not above 'low_freq_factor'");
    return LC_OK;
}

int64_t model_config_parameters(const struct model_config *c)
{
    int64_t q = c->num_attention_heads * c->head_dim, kv = c->num_key_value_heads * c->head_dim;
    int64_t layer = c->hidden_size * (2 * q + 2 * kv + 3 * c->intermediate_size + 2);

    layer += (c->qkv_bias ? q + 2 * kv : 0) + (c->o_bias ? c->hidden_size : 0) +
             (c->qk_norm ? 2 * c->head_dim : 0);
    layer += c->mlp_bias ? 2 * c->intermediate_size + c->hidden_size : 0;
    return layer * c->num_hidden_layers + c->hidden_size +
           c->vocab_size * c->hidden_size * (c->tie_word_embeddings ? 1 : 2);
}

static json_t *yarn_json(const struct model_config *c)
{
    json_t *rope =
        json_pack("{s:s, s:f, s:f, s:f, s:f, s:I, s:b}", "rope_type", "yarn", "rope_theta", c->rope_theta,
                  "factor", c->rope_factor, "beta_fast", c->rope_beta_fast, "beta_slow", c->rope_beta_slow,
                  "original_max_position_embeddings", (json_int_t)c->rope_original_max_position_embeddings,
                  "truncate", c->rope_truncate);
    const struct {
        const char *name;
        double value;
    } rows[] = {{"attention_factor", c->rope_attention_factor},
                {"mscale", c->rope_mscale},
                {"mscale_all_dim", c->rope_mscale_all_dim},
                {"llama_4_scaling_beta", c->rope_query_beta}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].value > 0)
            json_object_set_new(rope, rows[i].name, json_real(rows[i].value));
    return rope;
}

static json_t *factors_json(const struct model_config *c, const float *factors)
{
    json_t *list = json_array();

    for (int64_t i = 0; i < c->head_dim / 2; i++)
        json_array_append_new(list, json_real((double)factors[i]));
    return list;
}

static json_t *longrope_json(const struct model_config *c)
{
    json_t *rope =
        json_pack("{s:s, s:f, s:f, s:o, s:o, s:I}", "rope_type", "longrope", "rope_theta", c->rope_theta,
                  "factor", c->rope_factor, "short_factor", factors_json(c, c->rope_short), "long_factor",
                  factors_json(c, c->rope_long), "original_max_position_embeddings",
                  (json_int_t)c->rope_original_max_position_embeddings);

    if (c->rope_attention_factor > 0)
        json_object_set_new(rope, "attention_factor", json_real(c->rope_attention_factor));
    return rope;
}

static json_t *layer_types_json(const struct model_config *c)
{
    json_t *types = json_array();

    for (int64_t l = 0; l < c->num_hidden_layers; l++)
        json_array_append_new(
            types, json_string(model_config_window(c, l) ? "sliding_attention" : "full_attention"));
    return types;
}

static json_t *rope_json(const struct model_config *c)
{
    if (c->rope_type == ROPE_DEFAULT)
        return json_pack("{s:s, s:f}", "rope_type", "default", "rope_theta", c->rope_theta);
    if (c->rope_type == ROPE_LONG)
        return longrope_json(c);
    if (c->rope_type == ROPE_LINEAR || c->rope_type == ROPE_DYNAMIC)
        return json_pack("{s:s, s:f, s:f}", "rope_type", ROPES[c->rope_type], "rope_theta", c->rope_theta,
                         "factor", c->rope_factor);
    if (c->rope_type == ROPE_YARN)
        return yarn_json(c);
    return json_pack("{s:s, s:f, s:f, s:f, s:f, s:I}", "rope_type", "llama3", "rope_theta", c->rope_theta,
                     "factor", c->rope_factor, "low_freq_factor", c->rope_low_freq_factor, "high_freq_factor",
                     c->rope_high_freq_factor, "original_max_position_embeddings",
                     (json_int_t)c->rope_original_max_position_embeddings);
}

static json_t *token_json(int64_t id)
{
    return id < 0 ? json_null() : json_integer(id);
}

static json_t *eos_json(const struct model_config *c)
{
    json_t *list;

    if (c->n_eos_token_ids <= 1)
        return token_json(c->n_eos_token_ids ? c->eos_token_ids[0] : -1);
    list = json_array();
    for (int i = 0; i < c->n_eos_token_ids; i++)
        json_array_append_new(list, json_integer(c->eos_token_ids[i]));
    return list;
}

/* Mistral's and Llama's configs have no such field. */
static bool writes_layer_types(const struct model_config *c)
{
    return c->sliding_window > 0 && strcmp(c->model_type, "mistral") != 0 &&
           strcmp(c->model_type, "llama") != 0 && strcmp(c->model_type, "ministral3") != 0;
}

bool model_config_write(const struct model_config *c, struct buf *out)
{
    const struct architecture *a = find_architecture(c->model_type);
    json_t *root =
        a ? json_pack("{s:[s], s:s, s:s, s:s, s:b}", "architectures", a->class, "model_type", c->model_type,
                      "hidden_act", "silu", "dtype", dtype_torch(c->dtype), "use_cache", 1)
          : NULL;
    char *text;

    for (int i = 0; root && i < N_FIELDS; i++) {
        const void *at = (const char *)c + FIELDS[i].offset;
        json_t *v = FIELDS[i].kind == SIZE   ? json_integer(*(const int64_t *)at)
                    : FIELDS[i].kind == REAL ? json_real(*(const double *)at)
                                             : json_boolean(*(const bool *)at);

        json_object_set_new(root, FIELDS[i].name, v);
    }
    json_object_set_new(root, "rope_parameters", rope_json(c));
    json_object_set_new(root, "bos_token_id", token_json(c->bos_token_id));
    json_object_set_new(root, "pad_token_id", token_json(c->pad_token_id));
    json_object_set_new(root, "eos_token_id", eos_json(c));
    json_object_set_new(root, "sliding_window",
                        c->sliding_window ? json_integer(c->sliding_window) : json_null());
    if (a && !a->window)
        json_object_set_new(root, "use_sliding_window", json_boolean(c->sliding_window > 0));
    if (a && writes_layer_types(c))
        json_object_set_new(root, "layer_types", layer_types_json(c));
    if (a && a->reads_bias)
        json_object_set_new(root, "attention_bias", json_boolean(c->o_bias));
    if (a && strcmp(a->model_type, "llama") == 0)
        json_object_set_new(root, "mlp_bias", json_boolean(c->mlp_bias));
    text = json_dumps(root, JSON_INDENT(2) | JSON_SORT_KEYS);
    json_decref(root);
    if (text)
        buf_puts(out, text);
    free(text);
    return text && buf_putc(out, '\n');
}
