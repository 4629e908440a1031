#include "runtime/train/model_folder.h"
#include "gpu/model.h"
#include "gpu/safetensors.h"
#include "gpu/tokenizer/tokenizer.h"
#include "runtime/base/buf.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include <string.h>

static bool has_file(const char *folder, const char *name)
{
    char *path = fs_join(folder, name);
    bool there = path && fs_exists(path);

    mem_free(path);
    return there;
}

static enum lc not_a_model(const char *folder, const char *lacks, struct err *err)
{
    (void)err_set(err, LC_NOTFOUND, "'%s' is not a model: no %s", folder, lacks);
    return err_hint(
        err, "a model is a Hugging Face folder with config.json, model.safetensors and tokenizer.json");
}

enum lc model_folder_check(const char *folder, struct err *err)
{
    struct model_config config;
    struct safetensors *weights;
    struct tokenizer *tok;

    if (!has_file(folder, "config.json"))
        return not_a_model(folder, "config.json", err);
    TRY(model_config_load(folder, &config, err));
    TRY(safetensors_open(folder, &weights, err));
    safetensors_close(weights);
    TRY(tokenizer_open(folder, &tok, err));
    tokenizer_free(tok);
    return LC_OK;
}

static void rename_in(char *text, size_t size, const char *from, const char *to)
{
    struct buf out = BUF_INIT(4096);
    const char *at = text, *next;

    while ((next = strstr(at, from)) != NULL) {
        buf_add(&out, at, (size_t)(next - at));
        buf_puts(&out, to);
        at = next + strlen(from);
    }
    buf_puts(&out, at);
    if (at != text && buf_ok(&out)) {
        size_t n = out.len < size - 1 ? out.len : size - 1;
        memcpy(text, buf_str(&out), n);
        text[n] = '\0';
    }
    buf_release(&out);
}

void model_folder_name(struct err *err, const char *copy, const char *folder)
{
    if (!err || !folder || !*folder || !*copy)
        return;
    rename_in(err->message, sizeof err->message, copy, folder);
    rename_in(err->cause, sizeof err->cause, copy, folder);
    rename_in(err->hint, sizeof err->hint, copy, folder);
}
