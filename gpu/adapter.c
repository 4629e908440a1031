#include "gpu/adapter.h"
#include "gpu/prompt.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONFIG_MAX = 1 << 20 };

struct adapter_kind {
    const char *type; /* peft_type */
    enum lc (*read)(const json_t *object, void *fields, struct err *err);
    void (*release)(void *fields);
    char **(*base)(void *fields);
    size_t size;
};

static enum lc read_lora(const json_t *object, void *fields, struct err *err)
{
    return lora_config_from_json(object, fields, err);
}

static void release_lora(void *fields)
{
    lora_config_release(fields);
}

static char **lora_base(void *fields)
{
    return &((struct lora_config *)fields)->base_model_name_or_path;
}

static enum lc read_prompt(const json_t *object, void *fields, struct err *err)
{
    return prompt_config_from_json(object, fields, err);
}

static void release_prompt(void *fields)
{
    prompt_config_release(fields);
}

static char **prompt_base(void *fields)
{
    return &((struct prompt_config *)fields)->base;
}

static const struct adapter_kind KINDS[] = {
    {"LORA", read_lora, release_lora, lora_base, sizeof(struct lora_config)},
    {"PROMPT_TUNING", read_prompt, release_prompt, prompt_base, sizeof(struct prompt_config)},
    {"PREFIX_TUNING", read_prompt, release_prompt, prompt_base, sizeof(struct prompt_config)},
};
enum { N_KINDS = sizeof KINDS / sizeof *KINDS };

static enum lc find_kind(const json_t *object, const struct adapter_kind **out, struct err *err)
{
    const char *type = json_string_value(json_object_get(object, "peft_type"));

    for (int i = 0; i < N_KINDS; i++)
        if (strcmp(type ? type : "LORA", KINDS[i].type) == 0) {
            *out = &KINDS[i];
            return LC_OK;
        }
    err_set(err, LC_UNSUPPORTED, "adapters of the type '%.60s' are not supported", type);
    return err_hint(err, "LORA, PROMPT_TUNING and PREFIX_TUNING are");
}

enum lc adapter_config_from_json(const json_t *object, struct adapter_config *c, struct err *err)
{
    enum lc code;

    *c = (struct adapter_config){0};
    if (!json_is_object(object))
        return err_set(err, LC_DATA, "an adapter's config is not an object");
    TRY(find_kind(object, &c->kind, err));
    c->fields = mem_zalloc(c->kind->size);
    code = c->fields ? c->kind->read(object, c->fields, err) : err_nomem(err);
    if (code != LC_OK) {
        mem_free(c->fields); /* the kind has released what it read */
        *c = (struct adapter_config){0};
    }
    return code;
}

void adapter_config_release(struct adapter_config *c)
{
    if (c->kind)
        c->kind->release(c->fields);
    mem_free(c->fields);
    *c = (struct adapter_config){0};
}

enum lc adapter_config_set_base(struct adapter_config *c, const char *base, struct err *err)
{
    char **slot = c->kind->base(c->fields), *copy = mem_strdup(base);

    if (!copy)
        return err_nomem(err);
    mem_free(*slot);
    *slot = copy;
    return LC_OK;
}

static bool is_lora(const struct adapter_config *c)
{
    return c->kind == &KINDS[0];
}

const char *adapter_config_text(const struct adapter_config *c)
{
    const struct prompt_config *p = c->fields;

    return is_lora(c) || p->start != PROMPT_TEXT ? NULL : p->text;
}

enum lc adapter_attach(struct model *m, const struct adapter_config *c, const int32_t *ids, size_t n,
                       uint64_t seed, struct err *err)
{
    return is_lora(c) ? lora_attach(m, c->fields, seed, err) : prompt_attach(m, c->fields, ids, n, seed, err);
}

bool adapter_attached(const struct model *m)
{
    return m->adapter.n > 0;
}

void adapter_detach(struct model *m)
{
    lora_detach(m);
    prompt_release(m);
}

/* ---- folders ---- */
static enum lc read_file(const char *folder, json_t **out, struct err *err)
{
    struct buf text = BUF_INIT(CONFIG_MAX);
    char *path = fs_join(folder, "adapter_config.json");
    json_error_t fault;
    enum lc code = path ? fs_read(path, &text, err) : err_nomem(err);

    if (code == LC_OK && !(*out = json_loadb(buf_str(&text), text.len, JSON_REJECT_DUPLICATES, &fault))) {
        err_set(err, LC_DATA, "cannot read '%s': %s", path, fault.text);
        code = err_at(err, fault.position);
    }
    buf_release(&text);
    mem_free(path);
    return code;
}

static enum lc check_attached(const struct model *m, const struct prompt_config *c, const char *folder,
                              struct err *err)
{
    if (m->prompt && m->prompt->kind == c->kind && m->prompt->num_virtual_tokens == c->num_virtual_tokens)
        return LC_OK;
    return err_set(err, LC_CONFLICT, "cannot load the adapter '%s': another one is attached", folder);
}

static enum lc load_prompt(struct model *m, const char *folder, const struct adapter_config *c,
                           struct err *err)
{
    char *path = fs_join(folder, "adapter_model.safetensors");
    bool had = adapter_attached(m);
    enum lc code = path ? LC_OK : err_nomem(err);

    if (code == LC_OK)
        code = had ? check_attached(m, c->fields, folder, err) : prompt_attach(m, c->fields, NULL, 0, 0, err);
    if (code == LC_OK)
        code = prompt_read(m, path, err);
    if (code != LC_OK && !had)
        prompt_release(m);
    mem_free(path);
    return code;
}

enum lc adapter_load(const struct ctx *ctx, struct model *m, const char *folder, struct err *err)
{
    struct adapter_config c = {0};
    json_t *root = NULL;
    enum lc code = ctx_check(ctx, err);

    if (code == LC_OK)
        code = read_file(folder, &root, err);
    if (code == LC_OK)
        code = adapter_config_from_json(root, &c, err);
    if (code == LC_OK)
        code = is_lora(&c) ? lora_load(ctx, m, folder, err) : load_prompt(m, folder, &c, err);
    adapter_config_release(&c);
    json_decref(root);
    return code;
}

static enum lc save_prompt(struct model *m, const char *folder, struct err *err)
{
    struct prompt_config c = *m->prompt;
    char *path = fs_join(folder, "adapter_model.safetensors"),
         *about = fs_join(folder, "adapter_config.json"), *text;
    json_t *root;
    enum lc code = path && about ? fs_mkdirs(folder, err) : err_nomem(err);

    if (!c.base && m->folder[0])
        c.base = m->folder; /* borrowed for the moment */
    if (!c.tokenizer)
        c.tokenizer = c.base;
    root = prompt_config_to_json(&c, &m->config);
    text = root ? json_dumps(root, JSON_INDENT(2) | JSON_SORT_KEYS) : NULL;
    if (code == LC_OK)
        code = prompt_write(m, path, err);
    if (code == LC_OK)
        code = text ? fs_write(about, text, strlen(text), err) : err_nomem(err);
    json_decref(root);
    free(text);
    mem_free(path);
    mem_free(about);
    return code;
}

enum lc adapter_save(const struct ctx *ctx, struct model *m, const char *folder, struct err *err)
{
    TRY(ctx_check(ctx, err));
    return m->prompt ? save_prompt(m, folder, err) : lora_save(ctx, m, folder, err);
}
