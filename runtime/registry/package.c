#include "runtime/registry/package.h"
#include "runtime/base/clock.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/registry/registry.h"
#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { CONFIG_MAX = 8 << 20 };

static const char *const tokenizer_files[] = {
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
    "merges.txt",     "tokenizer.model",       "chat_template.jinja"};

/* Written beside the model, not part of its digest. */
static const char *const descriptions[] = {"MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt",
                                           NULL};

static bool has(const char *folder, const char *file)
{
    char *path = fs_join(folder, file);
    bool yes = path && fs_exists(path);

    mem_free(path);
    return yes;
}

static json_t *load_json(const char *folder, const char *file)
{
    char *path = fs_join(folder, file);
    struct buf text = BUF_INIT(CONFIG_MAX);
    json_t *v = NULL;

    if (path && fs_read(path, &text, NULL) == LC_OK)
        v = json_loadb(buf_str(&text), text.len, 0, NULL);
    buf_release(&text);
    mem_free(path);
    return v;
}

char *package_json_text(const char *folder, const char *file, const char *key)
{
    json_t *v = load_json(folder, file);
    const char *text = json_string_value(json_object_get(v, key));
    char *copy = text ? mem_strdup(text) : NULL;

    json_decref(v);
    return copy;
}

/* ---- copying ----------------------------------------------------------------------------------------- */

static unsigned how_to_copy(const struct package *p, const char *from)
{
    size_t n = p->home ? strlen(p->home) : 0;

    return n && strncmp(from, p->home, n) == 0 && from[n] == '/' ? TREE_LINK | TREE_REPLACE : TREE_REPLACE;
}

static enum lc copy_into(const struct ctx *ctx, const struct package *p, const char *from, const char *below,
                         struct err *err)
{
    char *to = fs_join(p->target, below);
    enum lc rc = to ? tree_copy(ctx, from, to, how_to_copy(p, from), err) : err_nomem(err);

    mem_free(to);
    return rc;
}

/* The tokenizer's files of one folder of the version, linked into another. */
static enum lc link_tokenizer(const struct ctx *ctx, const struct package *p, const char *from,
                              const char *below, struct err *err)
{
    char *to = fs_join(p->target, below);
    enum lc rc = to ? fs_mkdirs(to, err) : err_nomem(err);

    for (size_t i = 0; rc == LC_OK && i < sizeof tokenizer_files / sizeof *tokenizer_files; i++) {
        char *source = fs_join(from, tokenizer_files[i]), *target = fs_join(to, tokenizer_files[i]);
        if (!source || !target)
            rc = err_nomem(err);
        else if (fs_exists(source) && !fs_exists(target))
            rc = tree_copy(ctx, source, target, TREE_LINK, err);
        mem_free(source);
        mem_free(target);
    }
    mem_free(to);
    return rc;
}

/* A base model is kept once, under its digest; versions link to it. */
static enum lc keep_base(const struct ctx *ctx, const struct package *p, const char *base, char **kept,
                         struct err *err)
{
    char digest[TREE_DIGEST], suffix[17], *beside;
    enum lc rc;

    TRY(tree_digest(ctx, base, digest, NULL, err));
    *kept = fs_join(p->bases, digest);
    if (!*kept)
        return err_nomem(err);
    if (fs_is_dir(*kept))
        return LC_OK;
    hex_make(suffix, 16);
    beside = mem_printf("%s.%s.tmp", *kept, suffix);
    rc = beside ? fs_mkdirs(p->bases, err) : err_nomem(err);
    if (rc == LC_OK)
        rc = tree_copy(ctx, base, beside, how_to_copy(p, base), err);
    if (rc == LC_OK && rename(beside, *kept) != 0 && !fs_is_dir(*kept))
        rc = err_set(err, LC_IO, "cannot keep the base model in '%s'", *kept);
    if (beside && fs_is_dir(beside) && fs_remove_tree(beside, rc == LC_OK ? err : NULL) != LC_OK &&
        rc == LC_OK)
        rc = LC_IO;
    mem_free(beside);
    return rc;
}

/* The base is linked from where it is kept, even when that is not below home. */
static enum lc copy_base(const struct ctx *ctx, const struct package *p, const char *base, struct err *err)
{
    char *kept = NULL, *to = fs_join(p->target, "model");
    enum lc rc = to ? keep_base(ctx, p, base, &kept, err) : err_nomem(err);

    if (rc == LC_OK)
        rc = tree_copy(ctx, kept, to, TREE_LINK | TREE_REPLACE, err);
    mem_free(kept);
    mem_free(to);
    return rc;
}

/* ---- MLmodel ----------------------------------------------------------------------------------------- */

static void line(struct buf *out, int indent, const char *key, const char *value)
{
    if (!value)
        return;
    buf_printf(out, "%*s%s: ", indent, "", key);
    buf_json(out, value, strlen(value)); /* a JSON string is a YAML string */
    buf_putc(out, '\n');
}

static char *architecture(const char *folder)
{
    json_t *config = load_json(folder, "config.json");
    const char *name = json_string_value(json_array_get(json_object_get(config, "architectures"), 0));
    char *copy = name ? mem_strdup(name) : NULL;

    json_decref(config);
    return copy;
}

static void transformers_flavor(struct buf *out, const struct package *p, const struct registry_model *m)
{
    char *model = fs_join(p->target, "model");
    bool with_base = fs_is_dir(model);
    char *arch = with_base ? architecture(model) : NULL;
    char *dtype = with_base ? package_json_text(model, "config.json", "torch_dtype") : NULL;
    char *version = with_base ? package_json_text(model, "config.json", "transformers_version") : NULL;
    char *class =
        m->tokenizer ? package_json_text(m->tokenizer, "tokenizer_config.json", "tokenizer_class") : NULL;

    if (!dtype && with_base)
        dtype = package_json_text(model, "config.json", "dtype");
    buf_puts(out, "  transformers:\n");
    if (m->tokenizer)
        buf_puts(out, "    components:\n    - tokenizer\n");
    buf_puts(out, "    instance_type: TextGenerationPipeline\n    task: text-generation\n");
    if (with_base)
        buf_puts(out, "    model_binary: model\n");
    if (m->adapter)
        buf_puts(out, "    peft_adaptor: peft\n");
    line(out, 4, "pipeline_model_type", arch ? arch : "AutoModelForCausalLM");
    line(out, 4, "source_model_name", m->base_name ? m->base_name : p->name);
    if (m->tokenizer)
        line(out, 4, "tokenizer_type", class ? class : "PreTrainedTokenizerFast");
    buf_printf(out, "    torch_dtype: torch.%s\n", dtype ? dtype : "float32");
    line(out, 4, "transformers_version", version ? version : "4.44.0");
    mem_free(model);
    mem_free(arch);
    mem_free(dtype);
    mem_free(version);
    mem_free(class);
}

static const char *kind_of(const struct registry_model *m)
{
    return m->adapter ? "adapter" : m->model ? "model" : "files";
}

static enum lc write_file(const struct package *p, const char *name, const char *text, size_t len,
                          struct err *err)
{
    char *path = fs_join(p->target, name);
    enum lc rc = path ? fs_write(path, text, len, err) : err_nomem(err);

    mem_free(path);
    return rc;
}

static enum lc write_mlmodel(const struct package *p, const struct registry_model *m, const char *digest,
                             const char *base_digest, struct err *err)
{
    struct buf out = BUF_INIT(1 << 20);
    char id[33], time[ISO_TEXT];
    enum lc rc;

    hex_make(id, 32);
    clock_iso(clock_wall_ms(), time);
    time[10] = ' ';
    time[23] = '\0';
    buf_puts(&out, "flavors:\n  lacus:\n");
    line(&out, 4, "kind", kind_of(m));
    line(&out, 4, "digest", digest);
    line(&out, 4, "base_model_path", m->adapter ? m->model ? m->model : m->base_name : NULL);
    line(&out, 4, "base_model_digest", base_digest && *base_digest ? base_digest : NULL);
    line(&out, 4, "lacus_version", LACUS_VERSION);
    if (m->model || m->adapter) {
        buf_puts(&out,
                 "  python_function:\n    env:\n      conda: conda.yaml\n      virtualenv: python_env.yaml\n"
                 "    loader_module: mlflow.transformers\n    python_version: 3.11.7\n");
        transformers_flavor(&out, p, m);
    }
    buf_puts(&out, "mlflow_version: 3.17.2\n");
    line(&out, 0, "model_uuid", id);
    line(&out, 0, "run_id", p->run_id);
    buf_puts(&out, "signature:\n  inputs: '[{\"type\": \"string\", \"required\": true}]'\n"
                   "  outputs: '[{\"type\": \"string\", \"required\": true}]'\n  params: null\n");
    line(&out, 0, "utc_time_created", time);
    rc = buf_check(&out, err);
    if (rc == LC_OK)
        rc = write_file(p, "MLmodel", out.data, out.len, err);
    buf_release(&out);
    return rc;
}

static enum lc write_descriptions(const struct package *p, const struct registry_model *m, const char *digest,
                                  const char *base_digest, struct err *err)
{
    static const char requirements[] = "mlflow\ntorch\ntransformers\npeft\n";
    static const char python_env[] = "python: 3.11.7\nbuild_dependencies:\n- pip\n- setuptools\n- wheel\n"
                                     "dependencies:\n- -r requirements.txt\n";
    static const char conda[] = "channels:\n- conda-forge\ndependencies:\n- python=3.11.7\n- pip\n- pip:\n"
                                "  - -r requirements.txt\nname: mlflow-env\n";

    if (m->model || m->adapter) {
        TRY(write_file(p, "requirements.txt", requirements, sizeof requirements - 1, err));
        TRY(write_file(p, "python_env.yaml", python_env, sizeof python_env - 1, err));
        TRY(write_file(p, "conda.yaml", conda, sizeof conda - 1, err));
    }
    return write_mlmodel(p, m, digest, base_digest, err);
}

bool package_recorded(const char *folder, char digest[TREE_DIGEST])
{
    char *path = fs_join(folder, "MLmodel");
    struct buf text = BUF_INIT(CONFIG_MAX);
    const char *at = NULL;
    bool ok = path && fs_read(path, &text, NULL) == LC_OK &&
              (at = strstr(buf_str(&text), "    digest: \"")) != NULL &&
              strspn(at + 13, "0123456789abcdef") == TREE_DIGEST - 1;

    digest[0] = '\0';
    if (ok && at)
        snprintf(digest, TREE_DIGEST, "%.64s", at + 13);
    buf_release(&text);
    mem_free(path);
    return ok;
}

/* ---- the whole --------------------------------------------------------------------------------------- */

static enum lc copy_parts(const struct ctx *ctx, const struct package *p, const struct registry_model *m,
                          struct err *err)
{
    char *model = fs_join(p->target, "model");
    enum lc rc = model ? LC_OK : err_nomem(err);

    if (rc == LC_OK && m->adapter)
        rc = copy_into(ctx, p, m->adapter, "peft", err);
    if (rc == LC_OK && m->model)
        rc = m->adapter ? copy_base(ctx, p, m->model, err) : copy_into(ctx, p, m->model, "model", err);
    if (rc == LC_OK && m->tokenizer)
        rc = link_tokenizer(ctx, p, m->tokenizer, "components/tokenizer", err);
    if (rc == LC_OK && m->tokenizer && fs_is_dir(model))
        rc = link_tokenizer(ctx, p, m->tokenizer, "model", err);
    mem_free(model);
    return rc;
}

/* A folder that is its own model is copied as it is; if it is a version already, so is its description. */
static enum lc copy_whole(const struct ctx *ctx, const struct package *p, struct err *err)
{
    return tree_copy(ctx, p->source, p->target, how_to_copy(p, p->source), err);
}

enum lc package_digest(const struct ctx *ctx, const char *folder, char digest[TREE_DIGEST], int64_t *bytes,
                       struct err *err)
{
    return tree_digest_without(ctx, folder, descriptions, digest, bytes, err);
}

enum lc package_make(const struct ctx *ctx, const struct package *p, char digest[TREE_DIGEST],
                     struct err *err)
{
    struct registry_model m;
    char base[TREE_DIGEST] = "";
    bool whole, described = has(p->source, "MLmodel");
    enum lc rc;

    TRY(registry_look(p->source, &m, err));
    whole = described || (!m.model && !m.adapter);
    rc = fs_mkdirs(p->target, err);
    if (rc == LC_OK)
        rc = whole ? copy_whole(ctx, p, err) : copy_parts(ctx, p, &m, err);
    if (rc == LC_OK)
        rc = package_digest(ctx, p->target, digest, NULL, err);
    if (rc == LC_OK && m.adapter && m.model)
        rc = tree_digest(ctx, m.model, base, NULL, err);
    if (rc == LC_OK && (!described || has(p->source, "peft") || has(p->source, "model")))
        rc = write_descriptions(p, &m, digest, base, err);
    registry_model_release(&m);
    return rc;
}
