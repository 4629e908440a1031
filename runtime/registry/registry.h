/* registry.h: the seam to registered models: names, versions, aliases, and the folders behind them.
 *
 * What      struct registry is a model registry behind registry_ops: the local workspace now. A name is plain ("sft") or
 *           has three parts ("ml_catalog.llm_models.sft"); names are compared without regard to case. A version is an
 *           immutable folder with an MLmodel file and a digest of its contents; registering copies the model, and for an
 *           adapter the base model too, so that the version can be served on its own. Documents are JSON in MLflow's REST
 *           shapes (RegisteredModel, ModelVersion), and a version also has digest and storage_location.
 * Ownership registry_open gives a handle, registry_close ends it. Documents are new references; strings are borrowed.
 * Units     times are milliseconds since 1970, sizes bytes. Versions count from 1 and are never used again.
 * Errors    NOTFOUND (with the nearest names), EXISTS, ARG (name, alias or URI that cannot be one), DATA (not a model),
 *           NOSPACE, IO. A version is there completely or not at all, also after kill -9.
 * Threads   a handle: one thread at a time. Several processes may use one workspace.
 *
 * Example:
 *     struct registry *r;
 *     struct registry_new_version v = {.name = "ml.models.sft", .source = "out/sft-v1"};
 *     struct registry_model m;
 *     json_t *version;
 *     if (registry_open(NULL, &r, &err) == LC_OK && registry_create_version(&ctx, r, &v, &version, &err) == LC_OK) {
 *         json_decref(version);
 *         if (registry_set_alias(&ctx, r, v.name, "champion", "1", &err) == LC_OK &&
 *             registry_find(&ctx, r, "models:/ml.models.sft@champion", &m, &err) == LC_OK) {
 *             puts(m.model);
 *             registry_model_release(&m);
 *         }
 *     }
 */
#ifndef LACUS_REGISTRY_REGISTRY_H
#define LACUS_REGISTRY_REGISTRY_H
#include "runtime/tracking/tracker.h"

struct registry;

struct registry_new_version {
    const char *name;        /* the model is made when it is not there */
    const char *source;      /* folder, "runs:/RUN/path" or "models:/NAME/3" */
    const char *run_id;      /* where it comes from; NULL: taken from a runs:/ source */
    const char *description; /* may be NULL */
    const struct tracker_pair *tags;
    size_t n_tags;
};

struct registry_ops {
    const char *scheme; /* "lacus" */
    enum lc (*open)(const char *uri, void **self, struct err *err);
    void (*close)(void *self);
    enum lc (*create_model)(const struct ctx *ctx, void *self, const char *name, const char *description,
                            json_t **model, struct err *err);
    enum lc (*get_model)(const struct ctx *ctx, void *self, const char *name, json_t **model,
                         struct err *err);
    enum lc (*update_model)(const struct ctx *ctx, void *self, const char *name, const char *new_name,
                            const char *description, struct err *err);
    enum lc (*delete_model)(const struct ctx *ctx, void *self, const char *name, struct err *err);
    enum lc (*search_models)(const struct ctx *ctx, void *self, const struct tracker_search *search,
                             json_t **page, struct err *err);
    /* folder: what source stands for, on this machine */
    enum lc (*create_version)(const struct ctx *ctx, void *self, const struct registry_new_version *version,
                              const char *folder, json_t **out, struct err *err);
    enum lc (*get_version)(const struct ctx *ctx, void *self, const char *name, const char *version,
                           json_t **out, struct err *err);
    enum lc (*update_version)(const struct ctx *ctx, void *self, const char *name, const char *version,
                              const char *description, struct err *err);
    enum lc (*delete_version)(const struct ctx *ctx, void *self, const char *name, const char *version,
                              struct err *err);
    enum lc (*search_versions)(const struct ctx *ctx, void *self, const struct tracker_search *search,
                               json_t **page, struct err *err);
    enum lc (*alias)(const struct ctx *ctx, void *self, const char *name, const char *alias,
                     const char *version, struct err *err);
    enum lc (*tag)(const struct ctx *ctx, void *self, const char *name, const char *version, const char *key,
                   const char *value, struct err *err);
    /* version: a number, "latest", or "@alias" */
    enum lc (*version_folder)(const struct ctx *ctx, void *self, const char *name, const char *version,
                              char **folder, struct err *err);
};

enum lc registry_open(const char *uri, struct registry **out,
                      struct err *err) MUST_CHECK; /* NULL: the workspace */
void registry_close(struct registry *r);           /* NULL is fine */

enum lc registry_create_model(const struct ctx *ctx, struct registry *r, const char *name,
                              const char *description, json_t **model, struct err *err) MUST_CHECK;
enum lc registry_get_model(const struct ctx *ctx, struct registry *r, const char *name, json_t **model,
                           struct err *err) MUST_CHECK;
/* NULL: unchanged */
enum lc registry_update_model(const struct ctx *ctx, struct registry *r, const char *name,
                              const char *new_name, const char *description, struct err *err) MUST_CHECK;
enum lc registry_delete_model(const struct ctx *ctx, struct registry *r, const char *name,
                              struct err *err) MUST_CHECK;
/* {registered_models: […], next_page_token} and {model_versions: […], next_page_token}; filters on name, tags and, for
 * versions, run_id, version_number, source_path. */
enum lc registry_search_models(const struct ctx *ctx, struct registry *r, const struct tracker_search *search,
                               json_t **page, struct err *err) MUST_CHECK;
enum lc registry_search_versions(const struct ctx *ctx, struct registry *r,
                                 const struct tracker_search *search, json_t **page,
                                 struct err *err) MUST_CHECK;
enum lc registry_create_version(const struct ctx *ctx, struct registry *r,
                                const struct registry_new_version *version, json_t **out,
                                struct err *err) MUST_CHECK;
/* version: a number, "latest", or "@alias" */
enum lc registry_get_version(const struct ctx *ctx, struct registry *r, const char *name, const char *version,
                             json_t **out, struct err *err) MUST_CHECK;
enum lc registry_update_version(const struct ctx *ctx, struct registry *r, const char *name,
                                const char *version, const char *description, struct err *err) MUST_CHECK;
enum lc registry_delete_version(const struct ctx *ctx, struct registry *r, const char *name,
                                const char *version, struct err *err) MUST_CHECK;
enum lc registry_set_alias(const struct ctx *ctx, struct registry *r, const char *name, const char *alias,
                           const char *version, struct err *err) MUST_CHECK;
enum lc registry_delete_alias(const struct ctx *ctx, struct registry *r, const char *name, const char *alias,
                              struct err *err) MUST_CHECK;
/* version NULL: of the model; value NULL: the tag is removed. */
enum lc registry_tag(const struct ctx *ctx, struct registry *r, const char *name, const char *version,
                     const char *key, const char *value, struct err *err) MUST_CHECK;

/* "models:/NAME@champion", "models:/NAME/3", "models:/NAME/latest", "runs:/RUN/path", "file:///…" or a path → the
 * folder (caller frees). */
enum lc registry_resolve(const struct ctx *ctx, struct registry *r, const char *uri, char **folder,
                         struct err *err) MUST_CHECK;

struct registry_model { /* what is in a model's folder; all owned, each NULL when there is none */
    char *folder;
    char *model;     /* Hugging Face checkpoint: config.json and weights */
    char *tokenizer; /* folder with tokenizer.json */
    char *adapter;   /* PEFT adapter: adapter_config.json */
    char *base_name; /* of an adapter: what adapter_config.json says */
    char digest[65]; /* of a registered version, else "" */
};
/* Looks into a folder: registered version, Hugging Face checkpoint, or adapter (whose base is found where its config
 * says, if that is a folder here). */
enum lc registry_look(const char *folder, struct registry_model *out, struct err *err) MUST_CHECK;
/* registry_resolve and registry_look. */
enum lc registry_find(const struct ctx *ctx, struct registry *r, const char *uri, struct registry_model *out,
                      struct err *err) MUST_CHECK;
void registry_model_release(struct registry_model *m);
/* Computes the digest again; LC_DATA when the files are not what was registered. */
enum lc registry_verify(const struct ctx *ctx, const char *folder, struct err *err) MUST_CHECK;
#endif
