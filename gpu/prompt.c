/* prompt.c: trained prompts and prefixes: configuration, attachment, files, and their part of a pass. */
#include "gpu/prompt.h"
#include "gpu/model_io.h"
#include "gpu/rng.h"
#include "gpu/safetensors.h"
#include "runtime/base/mem.h"
#include "runtime/base/nearest.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOKENS_MAX = 1 << 14 };
#define FILE_TENSOR "prompt_embeddings"

/* ---- configuration ---- */
static const char *const TYPES[] = {[PROMPT_EMBEDDINGS] = "PROMPT_TUNING", [PROMPT_PREFIX] = "PREFIX_TUNING"};
static const char *const STARTS[] = {
    [PROMPT_RANDOM] = "RANDOM", [PROMPT_TEXT] = "TEXT", [PROMPT_VOCABULARY] = "SAMPLE_VOCAB"};

/* READ here; IGNORED: follows from the model, or says nothing about the numbers; NEUTRAL: null, false or empty only. */
enum use { READ, IGNORED, NEUTRAL };
static const struct prompt_field {
    const char *name;
    enum use use;
} FIELDS[] = {
    {"num_virtual_tokens", READ},
    {"prompt_tuning_init", READ},
    {"prompt_tuning_init_text", READ},
    {"tokenizer_name_or_path", READ},
    {"base_model_name_or_path", READ},
    {"peft_type", READ},
    {"task_type", READ},
    {"token_dim", IGNORED},
    {"num_transformer_submodules", IGNORED},
    {"num_attention_heads", IGNORED},
    {"num_layers", IGNORED},
    {"encoder_hidden_size", IGNORED},
    {"auto_mapping", IGNORED},
    {"inference_mode", IGNORED},
    {"peft_version", IGNORED},
    {"revision", IGNORED},
    {"modules_to_save", NEUTRAL},
    {"prefix_projection", NEUTRAL},
    {"init_weights", NEUTRAL},
    {"tokenizer_kwargs", NEUTRAL},
};
enum { N_FIELDS = sizeof FIELDS / sizeof *FIELDS };

void prompt_config_init(struct prompt_config *c, enum prompt_kind kind)
{
    *c = (struct prompt_config){.kind = kind, .num_virtual_tokens = 8};
}

void prompt_config_release(struct prompt_config *c)
{
    mem_free(c->text);
    mem_free(c->tokenizer);
    mem_free(c->base);
    *c = (struct prompt_config){0};
}

static bool is_neutral(const json_t *v)
{
    return json_is_null(v) || json_is_false(v) || (json_is_array(v) && json_array_size(v) == 0) ||
           (json_is_object(v) && json_object_size(v) == 0);
}

static enum lc check_field(const char *key, const json_t *v, struct err *err)
{
    const char *names[N_FIELDS];
    struct buf near = BUF_INIT(400);
    int i;

    for (i = 0; i < N_FIELDS; i++) {
        if (strcmp(FIELDS[i].name, key) == 0)
            return FIELDS[i].use == NEUTRAL && !is_neutral(v)
                       ? err_set(err, LC_UNSUPPORTED, "prompt tuning: '%s' is not supported", key)
                       : LC_OK;
        names[i] = FIELDS[i].name;
    }
    err_set(err, LC_ARG, "a prompt's config has no field '%s'", key);
    if (nearest_list(&near, key, names, N_FIELDS, 3) && near.len)
        err_hint(err, "did you mean %s?", buf_str(&near));
    buf_release(&near);
    return LC_ARG;
}

static enum lc read_text(const json_t *object, const char *key, char **out, struct err *err)
{
    const char *text = json_string_value(json_object_get(object, key));

    if (text && !(*out = mem_strdup(text)))
        return err_nomem(err);
    return LC_OK;
}

static enum lc read_start(const json_t *v, struct prompt_config *c, struct err *err)
{
    if (!v || json_is_null(v))
        return LC_OK;
    for (int i = 0; i < 3 && json_is_string(v); i++)
        if (strcmp(json_string_value(v), STARTS[i]) == 0) {
            c->start = (enum prompt_start)i;
            return LC_OK;
        }
    err_set(err, LC_ARG, "'prompt_tuning_init' is unknown");
    return err_hint(err, "it is \"RANDOM\", \"TEXT\" (with prompt_tuning_init_text) or \"SAMPLE_VOCAB\"");
}

static enum lc read_config(const json_t *object, struct prompt_config *c, struct err *err)
{
    const json_t *n = json_object_get(object, "num_virtual_tokens"),
                 *task = json_object_get(object, "task_type");
    const char *key;
    json_t *v;

    json_object_foreach ((json_t *)(uintptr_t)object, key,
                         v) /* not changed: jansson's iterator is not const */
        TRY(check_field(key, v, err));
    if (json_is_string(task) && strcmp(json_string_value(task), "CAUSAL_LM") != 0)
        return err_set(err, LC_UNSUPPORTED, "prompt tuning: 'task_type' '%.40s' is not supported",
                       json_string_value(task));
    if (n && !json_is_integer(n))
        return err_set(err, LC_ARG, "'num_virtual_tokens' is not a whole number");
    c->num_virtual_tokens = n ? json_integer_value(n) : c->num_virtual_tokens;
    if (c->num_virtual_tokens < 1 || c->num_virtual_tokens > TOKENS_MAX)
        return err_set(err, LC_ARG, "'num_virtual_tokens' is %lld: not between 1 and %d",
                       (long long)c->num_virtual_tokens, TOKENS_MAX);
    TRY(read_start(json_object_get(object, "prompt_tuning_init"), c, err));
    TRY(read_text(object, "prompt_tuning_init_text", &c->text, err));
    TRY(read_text(object, "tokenizer_name_or_path", &c->tokenizer, err));
    TRY(read_text(object, "base_model_name_or_path", &c->base, err));
    if (c->kind == PROMPT_PREFIX && c->start != PROMPT_RANDOM)
        return err_set(err, LC_ARG, "a prefix has no 'prompt_tuning_init'");
    if (c->start == PROMPT_TEXT && (!c->text || !*c->text))
        return err_set(err, LC_ARG, "'prompt_tuning_init' \"TEXT\" needs a 'prompt_tuning_init_text'");
    return LC_OK;
}

enum lc prompt_config_from_json(const json_t *object, struct prompt_config *c, struct err *err)
{
    const char *type = json_string_value(json_object_get(object, "peft_type"));
    enum lc code;

    prompt_config_init(c,
                       type && strcmp(type, TYPES[PROMPT_PREFIX]) == 0 ? PROMPT_PREFIX : PROMPT_EMBEDDINGS);
    code = read_config(object, c, err);
    if (code != LC_OK)
        prompt_config_release(c);
    return code;
}

json_t *prompt_config_to_json(const struct prompt_config *c, const struct model_config *m)
{
    bool prefix = c->kind == PROMPT_PREFIX;
    json_int_t heads = prefix ? m->num_key_value_heads : m->num_attention_heads,
               width = prefix ? m->num_key_value_heads * m->head_dim : m->hidden_size;
    json_t *root =
        json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:i, s:s?, s:b, s:n, s:n}", "peft_type", TYPES[c->kind],
                  "task_type", "CAUSAL_LM", "num_virtual_tokens", (json_int_t)c->num_virtual_tokens,
                  "token_dim", width, "num_attention_heads", heads, "num_layers",
                  (json_int_t)m->num_hidden_layers, "num_transformer_submodules", 1,
                  "base_model_name_or_path", c->base, "inference_mode", 1, "modules_to_save", "revision");

    if (root && prefix)
        json_object_update_new(root,
                               json_pack("{s:b, s:I}", "prefix_projection", 0, "encoder_hidden_size", width));
    if (root && !prefix) /* as a file says it: what it started from is of no use any more */
        json_object_update_new(root,
                               json_pack("{s:s, s:s?, s:s?}", "prompt_tuning_init", STARTS[c->start],
                                         "prompt_tuning_init_text", c->start == PROMPT_TEXT ? c->text : NULL,
                                         "tokenizer_name_or_path", c->tokenizer));
    return root;
}

/* ---- attachment ---- */
int64_t model_virtual_rows(const struct model *m)
{
    return m->prompt && !m->plain ? m->prompt->num_virtual_tokens : 0;
}

bool prompt_trains_embeddings(const struct model *m)
{
    return m->prompt && m->prompt->kind == PROMPT_EMBEDDINGS;
}

static int64_t prefix_width(const struct model *m)
{
    return m->config.num_key_value_heads * m->config.head_dim;
}

/* A prompt is one weight; a prefix is the keys and then the values of each layer. */
static enum lc add_weights(struct model *m, struct err *err)
{
    static const char *const parts[] = {"key", "value"};
    int64_t n = m->prompt->num_virtual_tokens;
    char name[80];
    int index;

    if (m->prompt->kind == PROMPT_EMBEDDINGS)
        return arena_add(&m->adapter, FILE_TENSOR, n, m->config.hidden_size, &index, err);
    for (int64_t i = 0; i < 2 * m->config.num_hidden_layers; i++) {
        snprintf(name, sizeof name, FILE_TENSOR ".%lld.%s", (long long)(i / 2), parts[i % 2]);
        TRY(arena_add(&m->adapter, name, n, prefix_width(m), &index, err));
    }
    return LC_OK;
}

static struct tensor weight_tensor(const struct model *m, size_t i)
{
    struct parameter p;

    model_parameter(m, m->base.n + i, &p);
    return p.value;
}

/* A row of the prompt: drawn, or the embedding of a token. */
static enum lc first_row(const struct model *m, struct rng *rng, int64_t row, const int32_t *ids, size_t n,
                         int64_t width, float *values, struct err *err)
{
    struct parameter embed;
    int64_t id;

    model_parameter(m, (size_t)m->embed, &embed);
    if (m->prompt->start == PROMPT_RANDOM || (m->prompt->start == PROMPT_TEXT && n == 0)) {
        for (int64_t i = 0; i < width; i++)
            values[i] = (float)rng_normal(rng);
        return LC_OK;
    }
    id = m->prompt->start == PROMPT_TEXT ? ids[(size_t)row % n]
                                         : (int64_t)(rng_uniform(rng) * (double)m->config.vocab_size);
    if (id < 0 || id >= m->config.vocab_size)
        return err_set(err, LC_DATA, "the prompt starts from token %lld, outside the vocabulary of %lld",
                       (long long)id, (long long)m->config.vocab_size);
    return tensor_read(&embed.value, id * width, width, values, err);
}

static enum lc first_values(struct model *m, const int32_t *ids, size_t n, uint64_t seed, struct err *err)
{
    struct rng rng;
    int64_t widest = m->config.hidden_size > prefix_width(m) ? m->config.hidden_size : prefix_width(m);
    float *values = mem_reallocn(NULL, (size_t)widest, sizeof *values);
    enum lc code = values ? LC_OK : err_nomem(err);

    rng_seed(&rng, seed);
    for (size_t i = 0; i < m->adapter.n; i++) {
        struct tensor t = weight_tensor(m, i);

        for (int64_t row = 0; row < t.shape[0] && code == LC_OK; row++) {
            code = first_row(m, &rng, row, ids, n, t.shape[1], values, err);
            if (code == LC_OK)
                code = tensor_write(&t, row * t.shape[1], t.shape[1], values, err);
        }
    }
    mem_free(values);
    return code;
}

static enum lc copy_config(const struct prompt_config *from, struct prompt_config *to, struct err *err)
{
    *to = *from;
    to->text = from->text ? mem_strdup(from->text) : NULL;
    to->tokenizer = from->tokenizer ? mem_strdup(from->tokenizer) : NULL;
    to->base = from->base ? mem_strdup(from->base) : NULL;
    return (from->text && !to->text) || (from->tokenizer && !to->tokenizer) || (from->base && !to->base)
               ? err_nomem(err)
               : LC_OK;
}

enum lc prompt_attach(struct model *m, const struct prompt_config *c, const int32_t *ids, size_t n,
                      uint64_t seed, struct err *err)
{
    enum lc code;

    if (m->adapter.n)
        return err_set(err, LC_EXISTS, "the model has an adapter already: merge or detach it first");
    TRY(model_set_trainable(m, false, err));
    work_release(m); /* its layout depends on the adapter */
    m->prompt = mem_zalloc(sizeof *m->prompt);
    code = m->prompt ? copy_config(c, m->prompt, err) : err_nomem(err);
    if (code == LC_OK)
        code = add_weights(m, err);
    if (code == LC_OK)
        code = arena_place(m, &m->adapter, err);
    m->adapter.trainable = true;
    if (code == LC_OK && !m->sketch)
        code = first_values(m, ids, n, seed, err);
    if (code != LC_OK)
        prompt_release(m);
    return code;
}

void prompt_release(struct model *m)
{
    if (!m->prompt)
        return;
    work_release(m);
    arena_release(m, &m->adapter);
    prompt_config_release(m->prompt);
    mem_free(m->prompt);
    m->prompt = NULL;
}

/* ---- files: one tensor [virtual tokens, width of all parts] ---- */
static int64_t file_width(const struct model *m)
{
    int64_t width = 0;

    for (size_t i = 0; i < m->adapter.n; i++)
        width += m->adapter.weights[i].shape[1];
    return width;
}

static enum lc move_rows(struct model *m, float *whole, bool read, struct err *err)
{
    int64_t width = file_width(m), at = 0;

    for (size_t i = 0; i < m->adapter.n; i++) {
        struct tensor t = weight_tensor(m, i);
        int64_t part = t.shape[1];

        for (int64_t row = 0; row < t.shape[0]; row++) {
            float *place = whole + row * width + at;

            TRY(read ? tensor_write(&t, row * part, part, place, err)
                     : tensor_read(&t, row * part, part, place, err));
        }
        at += part;
    }
    return LC_OK;
}

enum lc prompt_read(struct model *m, const char *path, struct err *err)
{
    const struct safetensor *t = NULL;
    struct safetensors *st;
    int64_t rows = m->prompt->num_virtual_tokens, width = file_width(m);
    float *whole = mem_reallocn(NULL, (size_t)(rows * width), sizeof *whole);
    enum lc code = whole ? safetensors_open(path, &st, err) : err_nomem(err);

    if (code != LC_OK) {
        mem_free(whole);
        return code;
    }
    code = safetensors_get(st, FILE_TENSOR, &t, err);
    if (code == LC_OK && (t->ndim != 2 || t->shape[0] != rows || t->shape[1] != width || t->dtype != ST_F32))
        code =
            err_set(err, LC_DATA, "cannot load '%s': '%s' is not [%lld, %lld] in F32, as the config asks for",
                    path, FILE_TENSOR, (long long)rows, (long long)width);
    if (code == LC_OK) {
        memcpy(whole, t->data, (size_t)(rows * width) * sizeof *whole);
        code = move_rows(m, whole, true, err);
    }
    safetensors_close(st);
    mem_free(whole);
    return code;
}

enum lc prompt_write(struct model *m, const char *path, struct err *err)
{
    static const char *const metadata[] = {"format", "pt", NULL};
    int64_t shape[] = {m->prompt->num_virtual_tokens, file_width(m)};
    size_t bytes = (size_t)(shape[0] * shape[1]) * sizeof(float);
    float *whole = mem_alloc(bytes);
    struct safetensor t = {
        .name = FILE_TENSOR, .dtype = ST_F32, .ndim = 2, .shape = shape, .data = whole, .bytes = bytes};
    enum lc code = whole ? move_rows(m, whole, false, err) : err_nomem(err);

    if (code == LC_OK)
        code = safetensors_write(path, &t, 1, metadata, err);
    mem_free(whole);
    return code;
}

/* ---- in a pass ---- */
/* Weight i to the rows of every sequence that begins with the prompt. */
static void put(struct model *m, int i, float *x)
{
    const struct backend_ops *ops = m->backend->ops;
    int64_t width = m->adapter.weights[i].shape[1], n = m->adapter.weights[i].elements;

    for (int64_t s = 0; s < m->sequences; s++)
        if (m->work.prompt_at[s] >= 0)
            ops->copy(m->backend->state, NULL, x + m->work.prompt_at[s] * width, weight_data(&m->adapter, i),
                      (size_t)n * sizeof *x);
}

static void take(struct model *m, int i, const float *dx)
{
    const struct backend_ops *ops = m->backend->ops;
    int64_t width = m->adapter.weights[i].shape[1], n = m->adapter.weights[i].elements;
    float *grad = weight_grad(&m->adapter, i);

    for (int64_t s = 0; s < m->sequences && grad; s++)
        if (m->work.prompt_at[s] >= 0)
            ops->add(m->backend->state, NULL, grad, dx + m->work.prompt_at[s] * width, 1, n);
}

void prompt_embed(struct model *m, float *x)
{
    if (prompt_trains_embeddings(m) && !m->plain)
        put(m, 0, x);
}

void prompt_embed_backward(struct model *m, const float *dx)
{
    if (prompt_trains_embeddings(m))
        take(m, 0, dx);
}

static bool has_prefix(const struct model *m)
{
    return m->prompt && m->prompt->kind == PROMPT_PREFIX && !m->plain;
}

void prefix_put(struct model *m, int64_t layer, float *k, float *v)
{
    if (!has_prefix(m))
        return;
    put(m, (int)(2 * layer), k);
    put(m, (int)(2 * layer + 1), v);
}

void prefix_take(struct model *m, int64_t layer, float *dk, float *dv)
{
    const struct backend_ops *ops = m->backend->ops;
    int64_t width = prefix_width(m);

    if (!has_prefix(m))
        return;
    take(m, (int)(2 * layer), dk);
    take(m, (int)(2 * layer + 1), dv);
    for (int64_t s = 0; s < m->sequences; s++) {
        int64_t at = m->work.prompt_at[s] * width;
        size_t bytes = (size_t)(m->prompt->num_virtual_tokens * width) * sizeof *dk;

        if (at < 0)
            continue;
        ops->zero(m->backend->state, NULL, dk + at, bytes);
        ops->zero(m->backend->state, NULL, dv + at, bytes);
    }
}
