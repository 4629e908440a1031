/* config.c: what lies beside tokenizer.json: tokenizer_config.json, special_tokens_map.json, chat_template.jinja. */
#include "gpu/tokenizer/tokenizer_int.h"
#include "runtime/base/fs.h"
#include <string.h>

enum { CONFIG_MAX = 32 << 20 };

/* NULL and LC_OK when the file is not there. */
static enum lc read_json(const char *folder, const char *name, json_t **out, struct err *err)
{
    char *path = fs_join(folder, name);
    struct buf text = BUF_INIT(CONFIG_MAX);
    json_error_t json_error;
    enum lc rc = LC_OK;

    *out = NULL;
    if (!path)
        return err_nomem(err);
    if (fs_exists(path)) {
        rc = fs_read(path, &text, err);
        /* as reals: transformers writes a model_max_length of 10^30 */
        if (rc == LC_OK &&
            (*out = json_loadb(buf_str(&text), text.len, JSON_DECODE_INT_AS_REAL, &json_error)) == NULL)
            rc = err_set(err, LC_DATA, "cannot read '%s': not valid JSON: %s (line %d)", path,
                         json_error.text, json_error.line);
        if (rc == LC_OK && !json_is_object(*out)) {
            json_decref(*out);
            *out = NULL;
            rc = err_set(err, LC_DATA, "cannot read '%s': not a JSON object", path);
        }
    }
    buf_release(&text);
    mem_free(path);
    return rc;
}

/* A special token is a text, or an object with its content. */
static const char *token_text(const json_t *config, const char *key)
{
    const json_t *value = json_object_get(config, key);

    return json_is_object(value) ? json_text(value, "content", NULL) : json_string_value(value);
}

static enum lc take_special(struct tokenizer *tok, const json_t *config, const char *key, int32_t *id,
                            struct err *err)
{
    const char *text = token_text(config, key);

    if (json_object_get(config, key) && !text) /* said to be null: there is none */
        *id = -1;
    if (!text)
        return LC_OK;
    if (json_object_set_new(tok->special_texts, key, json_string(text)) != 0)
        return err_nomem(err);
    *id = tokenizer_id(tok, text);
    if (*id < 0 && strcmp(key, "pad_token") != 0)
        return err_set(err, LC_DATA, "the %s '%.100s' of tokenizer_config.json is not in the vocabulary", key,
                       text);
    return LC_OK;
}

static enum lc take_tokens(struct tokenizer *tok, const json_t *config, struct err *err)
{
    static const char *const others[] = {"unk_token", "sep_token", "cls_token", "mask_token"};

    TRY(take_special(tok, config, "bos_token", &tok->bos, err));
    TRY(take_special(tok, config, "eos_token", &tok->eos, err));
    TRY(take_special(tok, config, "pad_token", &tok->pad, err));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        const char *text = token_text(config, others[i]);
        if (text && json_object_set_new(tok->special_texts, others[i], json_string(text)) != 0)
            return err_nomem(err);
    }
    return LC_OK;
}

/* One text, which is the default, or a list of named ones. */
static const char *named_template(const json_t *value, const char *which)
{
    const json_t *entry;
    size_t i;

    if (!json_is_array(value))
        return strcmp(which, "default") == 0 ? json_string_value(value) : NULL;
    json_array_foreach (value, i, entry) {
        const char *name = json_text(entry, "name", NULL);
        if (name && strcmp(name, which) == 0)
            return json_text(entry, "template", NULL);
    }
    return NULL;
}

static enum lc take_template(struct tokenizer *tok, const json_t *config, const char *folder, struct err *err)
{
    const json_t *given = json_object_get(config, "chat_template");
    const char *text = named_template(given, "default"), *tools = named_template(given, "tool_use");
    char *path = fs_join(folder, "chat_template.jinja");
    struct buf file = BUF_INIT(CONFIG_MAX);
    enum lc rc = path ? LC_OK : err_nomem(err);

    if (rc == LC_OK && fs_exists(path) && (rc = fs_read(path, &file, err)) == LC_OK)
        text = buf_str(&file), tools = NULL;
    if (rc == LC_OK && tools && (tok->tool_template = arena_strdup(tok->arena, tools)) == NULL)
        rc = err_nomem(err);
    if (rc == LC_OK && text && (tok->chat_template = arena_strdup(tok->arena, text)) == NULL)
        rc = err_nomem(err);
    buf_release(&file);
    mem_free(path);
    return rc;
}

enum lc load_config(struct tokenizer *tok, const char *folder, struct err *err)
{
    json_t *map = NULL, *config = NULL;
    enum lc rc = read_json(folder, "special_tokens_map.json", &map, err);

    if (rc == LC_OK && map)
        rc = take_tokens(tok, map, err);
    if (rc == LC_OK)
        rc = read_json(folder, "tokenizer_config.json", &config, err);
    if (rc == LC_OK && config)
        rc = take_tokens(tok, config, err);
    if (rc == LC_OK)
        rc = take_template(tok, config, folder, err);
    json_decref(map);
    json_decref(config);
    return rc;
}
