/* serving_fuzz.c: any request to a served model gets an answer: "METHOD PATH\nBODY" against a model of a few hundred
 * weights that is made at the start. */
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/serving/api.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void tiny(struct model_config *c)
{
    model_config_defaults(c);
    c->vocab_size = 384;
    c->hidden_size = c->intermediate_size = c->head_dim = 8;
    c->num_hidden_layers = c->num_attention_heads = c->num_key_value_heads = 1;
    c->max_position_embeddings = 48;
    c->initializer_range = 0.5;
    c->bos_token_id = 378;
    c->eos_token_ids[0] = 379;
    c->n_eos_token_ids = 1;
}

static enum lc make_model(const char *folder, struct err *err)
{
    static const char config[] =
        "{\"bos_token\":\"<|begin_of_text|>\",\"eos_token\":\"<|eot_id|>\",\"chat_template\":"
        "\"{% for m in messages %}{{ m.role }}: {{ m.content }}\\n{% endfor %}\"}";
    struct ctx ctx = ctx_background();
    struct model_config shape;
    struct buf tokenizer = BUF_INIT(1 << 20);
    char *path = fs_join(folder, "tokenizer.json"), *other = fs_join(folder, "tokenizer_config.json");
    struct backend *backend = NULL;
    struct model *m = NULL;
    enum lc rc = backend_open("ref", &(struct backend_options){0}, &backend, err);

    tiny(&shape);
    if (rc == LC_OK)
        rc = model_create(&ctx, &shape, 1, backend, NULL, &m, err);
    if (rc == LC_OK)
        rc = model_save(&ctx, m, folder, err);
    if (rc == LC_OK)
        rc = fs_read("tests/golden/tokenizer/bytebpe.json", &tokenizer, err);
    if (rc == LC_OK)
        rc = fs_write(path, buf_str(&tokenizer), tokenizer.len, err);
    if (rc == LC_OK)
        rc = fs_write(other, config, sizeof config - 1, err);
    model_free(m);
    backend_close(backend);
    buf_release(&tokenizer);
    mem_free(path);
    mem_free(other);
    return rc;
}

/* One service for all inputs; it lives until the process ends. */
static struct service *the_service(void);

static void close_service(void)
{
    service_close(the_service());
}

static struct service *the_service(void)
{
    static struct service *service;
    char home[] = "/tmp/lacus-fuzz-XXXXXX", *folder;
    struct ctx ctx = ctx_background();
    struct err err;
    enum lc rc;

    if (service)
        return service;
    if (!mkdtemp(home) || setenv("LACUS_HOME", home, 1) != 0 || (folder = fs_join(home, "model")) == NULL)
        abort();
    rc = fs_mkdirs(folder, &err);
    if (rc == LC_OK)
        rc = make_model(folder, &err);
    if (rc == LC_OK)
        rc = service_open(&ctx, &(struct service_options){.model = folder, .name = "tiny"}, &service, &err);
    if (rc != LC_OK) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    mem_free(folder);
    if (fs_remove_tree(home, &err) != LC_OK)
        fprintf(stderr, "%s\n", err.message);
    atexit(close_service);
    return service;
}

static void ask(struct api *api, const struct http_request *q)
{
    struct http_response a = {.body = BUF_INIT(BUF_TEXT_MAX)};
    char piece[512];

    api_handle(api, q, &a);
    if (a.status < 200 || a.status > 599 || (!a.read && a.body.len == 0))
        abort();
    if (a.read) {
        while (a.read(a.stream, piece, sizeof piece) > 0)
            ;
        a.close(a.stream);
    }
    buf_release(&a.body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct api api = {.service = the_service()};
    char *text = mem_strndup((const char *)data, size), *space = text ? strchr(text, ' ') : NULL;
    char *line = space ? strchr(space, '\n') : NULL;

    if (line) {
        *space = *line = '\0';
        ask(&api, &(struct http_request){
                      .method = text, .path = space + 1, .body = line + 1, .body_len = strlen(line + 1)});
    }
    mem_free(text);
    return 0;
}

#ifndef LIBFUZZER
#include "tests/fuzz/replay.h"
#endif
