#include "runtime/registry/registry.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/registry/local.h"
#include "runtime/registry/package.h"
#include "runtime/tracking/names.h"
#include <ctype.h>
#include <string.h>

enum { NAME_MAX_BYTES = 255 };

struct registry {
    const struct registry_ops *ops;
    void *self;              /* owned, ended by ops->close */
    struct tracker *tracker; /* owned; opened for the first runs:/ source */
};

static const struct registry_ops *const registries[] = {&registry_local};

enum lc registry_open(const char *uri, struct registry **out, struct err *err)
{
    const struct registry_ops *ops = registries[0];
    struct registry *r;
    enum lc rc;

    *out = NULL;
    if (uri && *uri && strcmp(uri, ops->scheme) != 0)
        return err_set(err, LC_UNSUPPORTED,
                       "cannot use the registry '%s': this lacus has its own workspace only", uri);
    r = mem_zalloc(sizeof *r);
    if (!r)
        return err_nomem(err);
    r->ops = ops;
    rc = ops->open(uri, &r->self, err);
    if (rc != LC_OK)
        mem_free(r);
    else
        *out = r;
    return rc;
}

void registry_close(struct registry *r)
{
    if (!r)
        return;
    r->ops->close(r->self);
    tracker_close(r->tracker);
    mem_free(r);
}

/* ---- names ------------------------------------------------------------------------------------------- */

static enum lc check_name(const char *name, struct err *err)
{
    size_t n = name ? strlen(name) : 0, dots = 0;
    bool ok = n > 0 && n <= NAME_MAX_BYTES && name[0] != '.' && name[n - 1] != '.' && !strstr(name, "..");

    for (size_t i = 0; i < n; i++) {
        dots += name[i] == '.';
        ok = ok && (unsigned char)name[i] >= 32 && !strchr("/:@\\", name[i]);
    }
    if (ok && (dots == 0 || dots == 2))
        return LC_OK;
    err_set(err, LC_ARG, "'%.200s' cannot be the name of a model", name ? name : "");
    return err_hint(err, "names are plain, or catalog.schema.model, without / : @");
}

static enum lc check_alias(const char *alias, struct err *err)
{
    size_t n = alias ? strlen(alias) : 0;
    bool ok = n > 0 && n <= NAME_MAX_BYTES && strcasecmp(alias, "latest") != 0;

    for (size_t i = 0; i < n; i++)
        ok = ok && (isalnum((unsigned char)alias[i]) || alias[i] == '_' || alias[i] == '-');
    if (ok && (alias[0] == 'v' || alias[0] == 'V') && n > 1 && strspn(alias + 1, "0123456789") == n - 1)
        ok = false;
    if (ok && strspn(alias, "0123456789") == n)
        ok = false;
    if (ok)
        return LC_OK;
    err_set(err, LC_ARG, "'%.200s' cannot be an alias", alias ? alias : "");
    return err_hint(err, "aliases have letters, digits, _ and -, and are not 'latest', a number or 'v1'");
}

static enum lc check_version(const char *version, struct err *err)
{
    size_t n = version ? strlen(version) : 0;

    if (n > 0 && ((version[0] == '@' && n > 1) || strcmp(version, "latest") == 0 ||
                  (n < 10 && strspn(version, "0123456789") == n)))
        return LC_OK;
    return err_set(err, LC_ARG, "'%.60s' is no version of a model: versions are numbers",
                   version ? version : "");
}

/* ---- dispatch ---------------------------------------------------------------------------------------- */

enum lc registry_create_model(const struct ctx *ctx, struct registry *r, const char *name,
                              const char *description, json_t **model, struct err *err)
{
    TRY(check_name(name, err));
    return r->ops->create_model(ctx, r->self, name, description, model, err);
}

enum lc registry_get_model(const struct ctx *ctx, struct registry *r, const char *name, json_t **model,
                           struct err *err)
{
    TRY(check_name(name, err));
    return r->ops->get_model(ctx, r->self, name, model, err);
}

enum lc registry_update_model(const struct ctx *ctx, struct registry *r, const char *name,
                              const char *new_name, const char *description, struct err *err)
{
    TRY(check_name(name, err));
    if (new_name)
        TRY(check_name(new_name, err));
    return r->ops->update_model(ctx, r->self, name, new_name, description, err);
}

enum lc registry_delete_model(const struct ctx *ctx, struct registry *r, const char *name, struct err *err)
{
    TRY(check_name(name, err));
    return r->ops->delete_model(ctx, r->self, name, err);
}

enum lc registry_search_models(const struct ctx *ctx, struct registry *r, const struct tracker_search *search,
                               json_t **page, struct err *err)
{
    return r->ops->search_models(ctx, r->self, search, page, err);
}

enum lc registry_search_versions(const struct ctx *ctx, struct registry *r,
                                 const struct tracker_search *search, json_t **page, struct err *err)
{
    return r->ops->search_versions(ctx, r->self, search, page, err);
}

enum lc registry_create_version(const struct ctx *ctx, struct registry *r,
                                const struct registry_new_version *version, json_t **out, struct err *err)
{
    struct registry_new_version v = *version;
    char *folder, run[TRACKER_ID_TEXT] = "";
    enum lc rc;

    TRY(check_name(v.name, err));
    for (size_t i = 0; i < v.n_tags; i++) {
        TRY(name_check("tag", v.tags[i].key, err));
        TRY(value_check("tag", v.tags[i].key, v.tags[i].value, NAME_TAG_MAX, err));
    }
    TRY(registry_resolve(ctx, r, v.source, &folder, err));
    if (!v.run_id && strncmp(v.source, "runs:/", 6) == 0) {
        size_t n = strcspn(v.source + 6, "/");
        if (n < sizeof run)
            memcpy(run, v.source + 6, n);
        v.run_id = run;
    }
    rc = r->ops->create_version(ctx, r->self, &v, folder, out, err);
    mem_free(folder);
    return rc;
}

enum lc registry_get_version(const struct ctx *ctx, struct registry *r, const char *name, const char *version,
                             json_t **out, struct err *err)
{
    TRY(check_name(name, err));
    TRY(check_version(version, err));
    return r->ops->get_version(ctx, r->self, name, version, out, err);
}

enum lc registry_update_version(const struct ctx *ctx, struct registry *r, const char *name,
                                const char *version, const char *description, struct err *err)
{
    TRY(check_name(name, err));
    TRY(check_version(version, err));
    return r->ops->update_version(ctx, r->self, name, version, description, err);
}

enum lc registry_delete_version(const struct ctx *ctx, struct registry *r, const char *name,
                                const char *version, struct err *err)
{
    TRY(check_name(name, err));
    TRY(check_version(version, err));
    return r->ops->delete_version(ctx, r->self, name, version, err);
}

enum lc registry_set_alias(const struct ctx *ctx, struct registry *r, const char *name, const char *alias,
                           const char *version, struct err *err)
{
    TRY(check_name(name, err));
    TRY(check_alias(alias, err));
    TRY(check_version(version, err));
    return r->ops->alias(ctx, r->self, name, alias, version, err);
}

enum lc registry_delete_alias(const struct ctx *ctx, struct registry *r, const char *name, const char *alias,
                              struct err *err)
{
    TRY(check_name(name, err));
    return r->ops->alias(ctx, r->self, name, alias, NULL, err);
}

enum lc registry_tag(const struct ctx *ctx, struct registry *r, const char *name, const char *version,
                     const char *key, const char *value, struct err *err)
{
    TRY(check_name(name, err));
    TRY(name_check("tag", key, err));
    if (version)
        TRY(check_version(version, err));
    if (value)
        TRY(value_check("tag", key, value, NAME_TAG_MAX, err));
    return r->ops->tag(ctx, r->self, name, version, key, value, err);
}

/* ---- URIs -------------------------------------------------------------------------------------------- */

static enum lc bad_uri(const char *uri, struct err *err)
{
    err_set(err, LC_ARG, "cannot find the model '%.300s': that is no model URI", uri);
    return err_hint(err, "write models:/NAME@alias, models:/NAME/3, models:/NAME/latest or runs:/RUN/path");
}

static enum lc resolve_model(const struct ctx *ctx, struct registry *r, const char *uri, char **folder,
                             struct err *err)
{
    const char *rest = uri + strlen("models:/"), *mark = strpbrk(rest, "@/");
    char *name;
    enum lc rc;

    if (!mark || mark == rest || !mark[1])
        return bad_uri(uri, err);
    name = mem_strndup(rest, (size_t)(mark - rest));
    if (!name)
        return err_nomem(err);
    rc = check_name(name, err);
    if (rc == LC_OK)
        rc = check_version(*mark == '@' ? mark : mark + 1, err);
    if (rc == LC_OK)
        rc = r->ops->version_folder(ctx, r->self, name, *mark == '@' ? mark : mark + 1, folder, err);
    mem_free(name);
    return rc;
}

static enum lc resolve_run(const struct ctx *ctx, struct registry *r, const char *uri, char **folder,
                           struct err *err)
{
    const char *rest = uri + strlen("runs:/"), *slash = strchr(rest, '/');
    char run[TRACKER_ID_TEXT];

    if (!slash || slash == rest || (size_t)(slash - rest) >= sizeof run)
        return bad_uri(uri, err);
    memcpy(run, rest, (size_t)(slash - rest));
    run[slash - rest] = '\0';
    if (!r->tracker)
        TRY(tracker_open(NULL, &r->tracker, err));
    return tracker_artifact_path(ctx, r->tracker, run, slash + 1, folder, err);
}

enum lc registry_resolve(const struct ctx *ctx, struct registry *r, const char *uri, char **folder,
                         struct err *err)
{
    *folder = NULL;
    if (!uri || !*uri)
        return bad_uri("", err);
    if (strncmp(uri, "models:/", 8) == 0)
        return resolve_model(ctx, r, uri, folder, err);
    if (strncmp(uri, "runs:/", 6) == 0)
        return resolve_run(ctx, r, uri, folder, err);
    if (strncmp(uri, "file://", 7) == 0)
        uri += 7;
    *folder = fs_absolute(uri);
    if (!*folder)
        return err_nomem(err);
    if (fs_exists(*folder))
        return LC_OK;
    mem_free(*folder);
    *folder = NULL;
    err_set(err, LC_NOTFOUND, "cannot find the model '%.300s': no such folder", uri);
    return err_hint(err, "models of the registry are written models:/NAME@alias; 'lacus models' lists them");
}

/* ---- what is in a folder ----------------------------------------------------------------------------- */

static char *part(const char *folder, const char *below, const char *file)
{
    char *path = *below ? fs_join(folder, below) : mem_strdup(folder);
    char *inner = path ? fs_join(path, file) : NULL;
    bool there = inner && fs_exists(inner);

    mem_free(inner);
    if (there)
        return path;
    mem_free(path);
    return NULL;
}

/* Where an adapter says that its base is, if that is a folder here: absolute, or below the adapter's own folder. */
static char *base_of(const char *adapter, const char *name)
{
    char *base = name[0] == '/' ? mem_strdup(name) : fs_absolute(name);
    char *found = base ? part(base, "", "config.json") : NULL;

    mem_free(base);
    if (!found && name[0] != '/') {
        base = fs_join(adapter, name);
        found = base ? part(base, "", "config.json") : NULL;
        mem_free(base);
    }
    return found;
}

static char *first_of(char *a, char *b)
{
    if (a)
        mem_free(b);
    return a ? a : b;
}

enum lc registry_look(const char *folder, struct registry_model *out, struct err *err)
{
    *out = (struct registry_model){.folder = mem_strdup(folder)};
    if (!out->folder)
        return err_nomem(err);
    if (!fs_is_dir(folder)) {
        registry_model_release(out);
        return err_set(err, LC_NOTFOUND, "cannot find the model '%s': no such folder", folder);
    }
    out->adapter =
        first_of(part(folder, "peft", "adapter_config.json"), part(folder, "", "adapter_config.json"));
    out->model = first_of(part(folder, "model", "config.json"), part(folder, "", "config.json"));
    out->tokenizer =
        first_of(part(folder, "components/tokenizer", "tokenizer.json"), part(folder, "", "tokenizer.json"));
    if (out->adapter)
        out->base_name = package_json_text(out->adapter, "adapter_config.json", "base_model_name_or_path");
    if (out->base_name && !out->model)
        out->model = base_of(out->adapter, out->base_name);
    if (!out->tokenizer && out->model)
        out->tokenizer = part(out->model, "", "tokenizer.json");
    package_recorded(folder, out->digest);
    return LC_OK;
}

enum lc registry_find(const struct ctx *ctx, struct registry *r, const char *uri, struct registry_model *out,
                      struct err *err)
{
    char *folder;
    enum lc rc;

    *out = (struct registry_model){.folder = NULL};
    TRY(registry_resolve(ctx, r, uri, &folder, err));
    rc = registry_look(folder, out, err);
    mem_free(folder);
    return rc;
}

void registry_model_release(struct registry_model *m)
{
    mem_free(m->folder);
    mem_free(m->model);
    mem_free(m->tokenizer);
    mem_free(m->adapter);
    mem_free(m->base_name);
    *m = (struct registry_model){.folder = NULL};
}

enum lc registry_verify(const struct ctx *ctx, const char *folder, struct err *err)
{
    char recorded[TREE_DIGEST], now[TREE_DIGEST];

    if (!package_recorded(folder, recorded))
        return err_set(err, LC_DATA, "cannot verify '%s': its MLmodel has no digest", folder);
    TRY(package_digest(ctx, folder, now, NULL, err));
    if (strcmp(recorded, now) == 0)
        return LC_OK;
    err_set(err, LC_DATA,
            "the files of '%s' are not the ones that were registered: their digest is %.16s…, not %.16s…",
            folder, now, recorded);
    return err_hint(err, "register the model again; versions are not to be edited");
}
