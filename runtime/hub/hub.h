/* hub.h: a model of the Hugging Face Hub as a folder on this machine.
 *
 * What      hub_model_get finds a model in the cache that it shares with Hugging Face's tools, and downloads what is missing of
 *           it: only the files that lacus reads. HF_HOME, HF_HUB_CACHE, HF_TOKEN (or HF_HOME/token), HF_ENDPOINT,
 *           HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE are honoured. Without a connection the cached version is used, and said so.
 * Ownership *folder is the caller's: mem_free. All else is borrowed.
 * Units     bytes.
 * Errors    LC_ARG (the id), LC_NOTFOUND (no such model or revision; with the nearest), LC_AUTH, LC_PERM (gated: what to do),
 *           LC_NET (offline and not cached), LC_DATA (wrong contents), LC_UNSUPPORTED (no safetensors), LC_NOSPACE,
 *           LC_CANCELLED. What has come stays, and the next call goes on with it, also in another process.
 * Threads   any, each call by itself; processes wait for each other's files.
 *
 * Example:
 *     char *folder;
 *     if (hub_model_get(&ctx, "org/name@main", &(struct hub_options){.want = HUB_MODEL}, NULL, &folder, &err) == LC_OK) {
 *         puts(folder);
 *         mem_free(folder);
 *     }
 */
#ifndef LACUS_HUB_HUB_H
#define LACUS_HUB_HUB_H
#include "runtime/base/ctx.h"
#include "runtime/base/mem.h"

enum hub_want { HUB_MODEL, HUB_TOKENIZER };

struct hub_options {
    enum hub_want want;
    const char *revision;  /* branch, tag or commit; NULL: what stands behind the @, else main */
    const char *token;     /* NULL: of the environment */
    const char *cache_dir; /* NULL: of the environment */
    bool local_only;       /* no connection */
    bool may_be_folder;    /* the user may have meant a folder: an error says that it is not there */
};

struct hub_step {
    const char *file;
    int number, of;    /* 1 of 7 */
    int64_t had, size; /* of the file; size -1: not known yet */
};

struct hub_watch {
    bool (*progress)(void *arg, const struct hub_step *step); /* about every 10 ms; false: stop */
    void (*notice)(void *arg, const char *text);              /* something to tell people */
    void *arg;
};

/* name: "org/name" or "org/name@revision". watch may be NULL. */
enum lc hub_model_get(const struct ctx *ctx, const char *name, const struct hub_options *options,
                      const struct hub_watch *watch, char **folder, struct err *err) MUST_CHECK;
/* A setting of the environment is 1, on, yes or true. */
bool hub_is_set(const char *name);
#endif
