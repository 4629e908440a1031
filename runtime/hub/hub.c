#include "runtime/hub/hub.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/base/nearest.h"
#include "runtime/hub/transfer.h"
#include <fnmatch.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    LISTING_MOST = 32 << 20,
    INDEX_MOST = 64 << 20,
    TOKEN_MOST = 4096,
    NAMES_MOST = 200,
    NEAR_MOST = 3,
    CACHED_CONNECT_MS = 4000
};

static const char index_name[] = "model.safetensors.index.json", weights_name[] = "model.safetensors";

struct hub { /* one call of hub_model_get */
    char id[256], revision[256];
    const struct hub_options *options;
    const struct hub_watch *watch;
    struct hub_cache cache;
    struct hub_link link;
    char *endpoint, *token; /* owned */
    bool offline;
    char sha[HUB_SHA]; /* "": not known */
    int number, of;
};

/* ---- settings -------------------------------------------------------------------------------------------- */

bool hub_is_set(const char *name)
{
    static const char *const yes[] = {"1", "on", "yes", "true"};
    const char *v = getenv(name);

    for (size_t i = 0; v && i < sizeof yes / sizeof *yes; i++)
        if (strcasecmp(v, yes[i]) == 0)
            return true;
    return false;
}

static char *trimmed(const char *s)
{
    while (*s && strchr(" \t\r\n", *s))
        s++;
    size_t n = strlen(s);
    while (n && strchr(" \t\r\n", s[n - 1]))
        n--;
    return n ? mem_strndup(s, n) : NULL;
}

/* HF_TOKEN, else the file that `hf auth login` writes. */
static char *find_token(const char *given)
{
    const char *env = getenv("HF_TOKEN"), *path = getenv("HF_TOKEN_PATH");
    struct buf text = BUF_INIT(TOKEN_MOST);
    char *home, *file, *token = NULL;
    struct err err;

    if (given && *given)
        return trimmed(given);
    env = env && *env ? env : getenv("HUGGING_FACE_HUB_TOKEN");
    if (env && *env)
        return trimmed(env);
    home = hub_home();
    file = path && *path ? mem_strdup(path) : home ? fs_join(home, "token") : NULL;
    if (file && fs_read(file, &text, &err) == LC_OK)
        token = trimmed(buf_str(&text));
    mem_free(home);
    mem_free(file);
    buf_release(&text);
    return token;
}

static char *find_endpoint(void)
{
    const char *v = getenv("HF_ENDPOINT");
    char *out = trimmed(v && *v ? v : "https://huggingface.co");

    for (size_t n = out ? strlen(out) : 0; n && out[n - 1] == '/'; n--)
        out[n - 1] = '\0';
    return out;
}

static enum lc check_endpoint(const char *url, struct err *err)
{
    if (strncmp(url, "https://", 8) == 0 || strncmp(url, "http://", 7) == 0)
        return LC_OK;
    (void)err_set(err, LC_ARG, "HF_ENDPOINT is '%s', which is not a URL", url);
    return err_hint(err, "it is like https://huggingface.co");
}

static enum lc split(struct hub *h, const char *name, struct err *err)
{
    const char *at = strchr(name, '@'), *revision = h->options->revision;
    size_t n = at ? (size_t)(at - name) : strlen(name);

    revision = revision ? revision : at ? at + 1 : "main";
    (void)snprintf(h->id, sizeof h->id, "%.*s", (int)n, name);
    (void)snprintf(h->revision, sizeof h->revision, "%s", revision);
    if (n >= sizeof h->id || !hub_id_ok(h->id)) {
        (void)err_set(err, LC_ARG, "'%.200s' is not the id of a model", h->id);
        return err_hint(err, "an id is like org/name: letters, digits, - _ and .");
    }
    if (!hub_revision_ok(revision)) {
        (void)err_set(err, LC_ARG, "'%.200s' is not a revision", revision);
        return err_hint(err, "a revision is a branch, a tag or a commit: org/name@main");
    }
    return LC_OK;
}

/* ---- what is here ---------------------------------------------------------------------------------------- */

static bool here(const char *folder, const char *name)
{
    char *path = fs_join(folder, name);
    bool there = path && fs_exists(path);

    mem_free(path);
    return there;
}

/* The shards that the index in a folder names. */
static enum lc read_shards(const char *folder, struct hub_listing *out, struct err *err)
{
    char *path = fs_join(folder, index_name);
    struct buf text = BUF_INIT(INDEX_MOST);
    enum lc rc = path ? fs_read(path, &text, err) : err_nomem(err);

    *out = (struct hub_listing){.n = 0};
    if (rc == LC_OK)
        rc = hub_index_parse(buf_str(&text), text.len, out, err);
    mem_free(path);
    buf_release(&text);
    return rc;
}

static bool shards_here(const char *folder)
{
    struct hub_listing shards;
    struct err err;

    if (read_shards(folder, &shards, &err) != LC_OK)
        return false;
    bool all = shards.n > 0;
    for (size_t i = 0; i < shards.n; i++)
        all = all && here(folder, shards.names[i]);
    hub_listing_release(&shards);
    return all;
}

static bool other_weights_here(const char *folder)
{
    char **names = NULL;
    size_t n = 0;
    struct err err;
    bool any = false;

    if (here(folder, index_name) || fs_list(folder, &names, &n, &err) != LC_OK)
        return false;
    for (size_t i = 0; i < n; i++)
        any |= fnmatch("*.safetensors", names[i], 0) == 0 && here(folder, names[i]);
    fs_free_list(names, n);
    return any;
}

static bool is_whole(const char *folder, enum hub_want want)
{
    if (want == HUB_TOKENIZER)
        return here(folder, "tokenizer.json");
    if (here(folder, "adapter_config.json") && here(folder, "adapter_model.safetensors"))
        return true;
    return here(folder, "config.json") &&
           (here(folder, weights_name) || shards_here(folder) || other_weights_here(folder));
}

/* The snapshot of the revision as far as it is known here; NULL: none, or part of it is missing. */
static char *cached(const struct hub *h)
{
    char sha[HUB_SHA];
    char *folder = hub_cache_commit(&h->cache, h->revision, sha) ? hub_cache_snapshot(&h->cache, sha) : NULL;

    if (folder && is_whole(folder, h->options->want))
        return folder;
    mem_free(folder);
    return NULL;
}

/* ---- refusals -------------------------------------------------------------------------------------------- */

/* Appends the names of the same owner's models that are spelled like this one. */
static void near_on_hub(struct hub *h, struct buf *near)
{
    const char *slash = strchr(h->id, '/'), *names[NAMES_MOST];
    struct buf body = BUF_INIT(LISTING_MOST);
    char *path = slash
                     ? mem_printf("/api/models?author=%.*s&limit=%d", (int)(slash - h->id), h->id, NAMES_MOST)
                     : NULL;
    struct hub_link before = h->link;
    json_t *top = NULL, *row;
    size_t i, n = 0;
    struct err err;

    if (path && hub_get(&h->link, path, &body, &err) == LC_OK)
        top = json_loadb(buf_str(&body), body.len, 0, NULL);
    json_array_foreach (top, i, row) {
        const char *id = json_string_value(json_object_get(row, "id"));
        if (id && n < NAMES_MOST && hub_id_ok(id))
            names[n++] = id;
    }
    nearest_list(near, h->id, names, n, NEAR_MOST);
    h->link = before;
    json_decref(top);
    mem_free(path);
    buf_release(&body);
}

static void hint_near(struct hub *h, bool ask, const char *otherwise, struct err *err)
{
    struct buf cache = BUF_INIT(400), there = BUF_INIT(400);

    if (ask)
        near_on_hub(h, &there);
    hub_cache_near(&h->cache, h->id, &cache);
    if (there.len)
        (void)err_hint(err, "did you mean %s? Otherwise %s", buf_str(&there), otherwise);
    else if (cache.len)
        (void)err_hint(err, "in the cache there is %s; %s", buf_str(&cache), otherwise);
    else
        (void)err_hint(err, "%s", otherwise);
    buf_release(&cache);
    buf_release(&there);
}

static const char *nor_folder(const struct hub *h)
{
    return h->options->may_be_folder ? ", and there is no such folder here" : "";
}

static enum lc gated(const struct hub *h, struct err *err)
{
    (void)err_set(err, LC_PERM, "the model '%s' is gated: %s", h->id,
                  h->token ? "the account of this token has not been let in"
                           : "it needs a token of an account that was let in");
    return h->token
               ? err_hint(err, "ask for access at %s/%s, and look whether the token may read gated models",
                          h->endpoint, h->id)
               : err_hint(err,
                          "ask for access at %s/%s, then set HF_TOKEN to a token of that account "
                          "(%s/settings/tokens)",
                          h->endpoint, h->id, h->endpoint);
}

/* The branches and tags in the answer of /api/models/ID/refs. */
static size_t ref_names(const json_t *top, const char *names[NAMES_MOST])
{
    static const char *const kinds[] = {"branches", "tags"};
    size_t n = 0;

    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        const json_t *refs = json_object_get(top, kinds[k]), *ref;
        size_t i;
        json_array_foreach (refs, i, ref) {
            const char *name = json_string_value(json_object_get(ref, "name"));
            if (name && n < NAMES_MOST)
                names[n++] = name;
        }
    }
    return n;
}

static enum lc no_revision(struct hub *h, struct err *err)
{
    struct buf body = BUF_INIT(LISTING_MOST), near = BUF_INIT(400);
    char *path = mem_printf("/api/models/%s/refs", h->id);
    const char *names[NAMES_MOST];
    json_t *top = NULL;
    struct err inner;

    (void)err_set(err, LC_NOTFOUND, "the model '%s' has no revision '%s'", h->id, h->revision);
    if (path && hub_get(&h->link, path, &body, &inner) == LC_OK)
        top = json_loadb(buf_str(&body), body.len, 0, NULL);
    size_t n = ref_names(top, names);
    nearest_list(&near, h->revision, names, n, NEAR_MOST);
    for (size_t i = 0; i < n && i < NEAR_MOST && !near.len; i++)
        buf_printf(&near, "'%s'", names[i]);
    (void)(near.len ? err_hint(err, "it has %s", buf_str(&near))
                    : err_hint(err, "a revision is a branch, a tag or a commit: %s/%s/tree/main", h->endpoint,
                               h->id));
    json_decref(top);
    mem_free(path);
    buf_release(&body);
    buf_release(&near);
    return LC_NOTFOUND;
}

static bool is_network(const struct hub *h, enum lc rc)
{
    return (rc == LC_NET || rc == LC_TIMEOUT) &&
           (h->link.status == 0 || h->link.status >= 500 || h->link.status == 429);
}

/* What an answer that was no success means to the one who asked for the model. */
static enum lc explain(struct hub *h, enum lc rc, struct err *err)
{
    int status = h->link.status;
    const char *code = h->link.code;

    if (is_network(h, rc) && *h->sha) {
        (void)err_wrap(err, "the download of the model '%s' stopped", h->id);
        return err_hint(err, "what has come is kept: the same call goes on with it");
    }
    if (is_network(h, rc)) {
        (void)err_wrap(err, "cannot download the model '%s': %s does not answer%s", h->id, h->endpoint,
                       nor_folder(h));
        hint_near(h, false,
                  "it is not in the cache; is this machine on a network? HF_ENDPOINT names another server",
                  err);
        return rc;
    }
    if (rc == LC_NOSPACE && err && !*err->hint)
        (void)err_hint(err,
                       "what has come is kept; HF_HOME names another folder, 'hf cache rm' frees this one");
    if (status < 400)
        return rc;
    if (strcmp(code, "GatedRepo") == 0 || (status == 403 && !*code))
        return gated(h, err);
    if (strcmp(code, "RevisionNotFound") == 0)
        return no_revision(h, err);
    if (status == 401 && strstr(h->link.says, "Invalid credentials")) {
        (void)err_set(err, LC_AUTH, "%s does not accept the token", h->endpoint);
        return err_hint(
            err, "HF_TOKEN, or the file that 'hf auth login' wrote, may be out of date: %s/settings/tokens",
            h->endpoint);
    }
    if (status == 401 || status == 404) {
        (void)err_set(err, LC_NOTFOUND, "no model '%s' on %s%s", h->id, h->endpoint, nor_folder(h));
        hint_near(h, true,
                  h->token ? "look at the spelling, and whether the token may see it"
                           : "look at the spelling; a private model needs HF_TOKEN",
                  err);
        return LC_NOTFOUND;
    }
    return rc;
}

/* ---- which files ----------------------------------------------------------------------------------------- */

static const char *const tokenizer_files[] = {"tokenizer*.json", "chat_template.jinja",
                                              "special_tokens_map.json", "config.json"};
static const char *const small_files[] = {"generation_config.json", "adapter_config.json"};

static bool matches(const char *name, const char *const *patterns, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (fnmatch(patterns[i], name, FNM_PERIOD | FNM_PATHNAME) == 0)
            return true;
    return false;
}

static bool is_small(const char *name, enum hub_want want)
{
    return matches(name, tokenizer_files, sizeof tokenizer_files / sizeof *tokenizer_files) ||
           (want == HUB_MODEL && matches(name, small_files, sizeof small_files / sizeof *small_files));
}

/* Weights in one file, of an adapter, or under other names (never beside the usual ones). */
static bool is_weights(const struct hub_listing *l, const char *name)
{
    static const char adapter[] = "adapter_model.safetensors";
    static const char *const any[] = {"*.safetensors"};

    if (hub_listing_has(l, weights_name))
        return strcmp(name, weights_name) == 0 || strcmp(name, adapter) == 0;
    if (hub_listing_has(l, index_name))
        return strcmp(name, index_name) == 0 || strcmp(name, adapter) == 0;
    if (hub_listing_has(l, adapter))
        return strcmp(name, adapter) == 0;
    return matches(name, any, 1);
}

struct plan {
    const char *names[NAMES_MOST * 10]; /* borrowed */
    size_t n;
};

static enum lc add(struct plan *p, const char *name, struct err *err)
{
    if (p->n >= sizeof p->names / sizeof *p->names)
        return err_set(err, LC_LIMIT, "the model has more than %zu files", p->n);
    p->names[p->n++] = name;
    return LC_OK;
}

static enum lc make_plan(const struct hub *h, const struct hub_listing *l, struct plan *p, struct err *err)
{
    size_t small;

    p->n = 0;
    for (size_t i = 0; i < l->n; i++)
        if (is_small(l->names[i], h->options->want))
            TRY(add(p, l->names[i], err));
    small = p->n;
    for (size_t i = 0; i < l->n && h->options->want == HUB_MODEL; i++)
        if (is_weights(l, l->names[i]))
            TRY(add(p, l->names[i], err));
    if (h->options->want == HUB_MODEL && p->n == small) {
        (void)err_set(err, LC_UNSUPPORTED, "the model '%s' has no weights in safetensors", h->id);
        return err_hint(err, "%s",
                        hub_listing_has(l, "pytorch_model.bin")
                            ? "its weights are a pickle, which is not read: another revision, or "
                              "transformers' save_pretrained, has safetensors"
                            : "GGUF and others are not read; look for the original model");
    }
    return LC_OK;
}

/* ---- getting them ---------------------------------------------------------------------------------------- */

static bool on_progress(void *arg, const char *file, int64_t had, int64_t size)
{
    struct hub *h = arg;
    struct hub_step step = {.file = file, .number = h->number, .of = h->of, .had = had, .size = size};

    return !h->watch || !h->watch->progress || h->watch->progress(h->watch->arg, &step);
}

static enum lc get_files(struct hub *h, const struct plan *p, const char *folder, struct err *err)
{
    for (size_t i = 0; i < p->n; i++) {
        h->number++;
        if (!here(folder, p->names[i]))
            TRY(hub_file_get(&h->link, &h->cache, h->sha, p->names[i], err));
    }
    return LC_OK;
}

static enum lc get_shards(struct hub *h, const struct hub_listing *l, struct plan *p, const char *folder,
                          struct err *err)
{
    struct hub_listing shards;
    enum lc rc = read_shards(folder, &shards, err);

    p->n = 0;
    for (size_t i = 0; rc == LC_OK && i < shards.n; i++) {
        if (!hub_listing_has(l, shards.names[i]))
            rc = err_set(err, LC_DATA, "the model '%s' is not whole: its index names '%s', which it has not",
                         h->id, shards.names[i]);
        else
            rc = add(p, shards.names[i], err);
    }
    h->of += (int)p->n;
    if (rc == LC_OK)
        rc = get_files(h, p, folder, err);
    hub_listing_release(&shards);
    return rc;
}

static enum lc get_all(struct hub *h, const struct hub_listing *l, struct plan *p, const char *folder,
                       struct err *err)
{
    TRY(make_plan(h, l, p, err));
    TRY(hub_cache_make(&h->cache, h->sha, err));
    bool shards = p->n && strcmp(p->names[p->n - 1], index_name) == 0;
    h->of = (int)p->n;
    TRY(get_files(h, p, folder, err));
    if (shards)
        TRY(get_shards(h, l, p, folder, err));
    return hub_cache_set_ref(&h->cache, h->revision, h->sha, err);
}

static enum lc ask_listing(struct hub *h, struct hub_listing *out, struct err *err)
{
    struct buf path = BUF_INIT(4096), body = BUF_INIT(LISTING_MOST);
    enum lc rc;

    buf_printf(&path, "/api/models/%s/revision/", h->id);
    hub_escape(h->revision, &path);
    rc = hub_get(&h->link, buf_str(&path), &body, err);
    if (rc == LC_OK) {
        rc = hub_listing_parse(buf_str(&body), body.len, out, err);
        if (rc != LC_OK)
            (void)err_wrap(err, "cannot download the model '%s': %s gives an answer that cannot be used",
                           h->id, h->endpoint);
    }
    buf_release(&path);
    buf_release(&body);
    return rc;
}

static enum lc download(struct hub *h, char **folder, struct err *err)
{
    struct plan *p = mem_alloc(sizeof *p);
    struct hub_listing l = {.n = 0};
    enum lc rc = p ? ask_listing(h, &l, err) : err_nomem(err);

    if (rc == LC_OK) {
        memcpy(h->sha, l.sha, sizeof h->sha);
        *folder = hub_cache_snapshot(&h->cache, h->sha);
        rc = *folder ? get_all(h, &l, p, *folder, err) : err_nomem(err);
    }
    hub_listing_release(&l);
    mem_free(p);
    if (rc == LC_OK)
        return LC_OK;
    mem_free(*folder);
    *folder = NULL;
    return rc;
}

static void notice(const struct hub *h, const char *why)
{
    char *text = mem_printf("using the cached version of '%s': %s", h->id, why);

    if (text && h->watch && h->watch->notice)
        h->watch->notice(h->watch->arg, text);
    mem_free(text);
}

static enum lc is_offline(struct hub *h, struct err *err)
{
    const char *why = h->options->local_only         ? "local_files_only"
                      : hub_is_set("HF_HUB_OFFLINE") ? "HF_HUB_OFFLINE"
                                                     : "TRANSFORMERS_OFFLINE";
    char sha[HUB_SHA];
    bool part = hub_cache_commit(&h->cache, h->revision, sha);

    (void)err_set(err, LC_NET, "the model '%s' is not in the cache '%s'%s, and %s forbids to download it%s",
                  h->id, h->cache.root, part ? " with all its files" : "", why, nor_folder(h));
    hint_near(h, false, "without that setting it is downloaded; HF_HOME names another cache", err);
    return LC_NET;
}

static enum lc connect_and_download(struct hub *h, char **folder, struct err *err)
{
    char *known = cached(h);
    enum lc rc = LC_OK;

    if (known && (h->offline || hub_is_sha(h->revision)))
        return *folder = known, LC_OK;
    if (h->offline)
        return is_offline(h, err);
    h->link.web = web_load(err);
    if (!h->link.web)
        rc = LC_MISSING;
    if (rc == LC_OK)
        rc = h->link.web->client_open(&h->link.client, err);
    h->link.connect_ms = known ? CACHED_CONNECT_MS : 0;
    if (rc == LC_OK)
        rc = download(h, folder, err);
    if (rc != LC_OK && known && (is_network(h, rc) || h->link.status == 401 || h->link.status == 403)) {
        notice(h,
               is_network(h, rc) ? "the Hub cannot be reached" : "the Hub does not let in the one who asks");
        return *folder = known, LC_OK;
    }
    mem_free(known);
    return rc == LC_OK ? rc : explain(h, rc, err);
}

enum lc hub_model_get(const struct ctx *ctx, const char *name, const struct hub_options *options,
                      const struct hub_watch *watch, char **folder, struct err *err)
{
    struct hub h = {.options = options, .watch = watch};
    enum lc rc;

    *folder = NULL;
    TRY(split(&h, name, err));
    TRY(hub_cache_open(options->cache_dir, h.id, &h.cache, err));
    h.endpoint = find_endpoint();
    h.token = find_token(options->token);
    h.offline = options->local_only || hub_is_set("HF_HUB_OFFLINE") || hub_is_set("TRANSFORMERS_OFFLINE");
    h.link = (struct hub_link){
        .ctx = ctx, .endpoint = h.endpoint, .id = h.id, .token = h.token, .progress = on_progress, .arg = &h};
    rc = h.endpoint ? check_endpoint(h.endpoint, err) : err_nomem(err);
    if (rc == LC_OK)
        rc = connect_and_download(&h, folder, err);
    if (h.link.client)
        h.link.web->client_close(h.link.client);
    hub_cache_release(&h.cache);
    mem_free(h.endpoint);
    mem_free(h.token);
    return rc;
}
