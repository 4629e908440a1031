/* A commit is one put_if_absent. Who loses looks at what the winners did and either goes behind them or
 * gives up (PROTOCOL.md and Spark's isolation level WriteSerializable). */
#include "runtime/base/clock.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/delta/delta_int.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

bool delta_commit_line(struct delta_commit *c, const char *kind, json_t *action)
{
    json_t *line = json_pack("{s:o}", kind, action);
    char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
    const char *path = json_string_value(json_object_get(action, "path"));
    bool ok = text != NULL;

    if (ok && strcmp(kind, "remove") == 0 && path) {
        if (!c->removed)
            c->removed = json_object();
        ok = c->removed && json_object_set_new(c->removed, path, json_true()) == 0;
    }
    ok = ok && buf_puts(&c->text, text) && buf_putc(&c->text, '\n');
    free(text);
    json_decref(line);
    return ok;
}

/* ---- what a winner did ---- */
struct winner {
    const struct delta_commit *mine;
    int64_t version;
    bool adds, removes, metadata, protocol, both_removed, blind;
};

static enum lc note(void *arg, const json_t *action, struct err *err)
{
    struct winner *w = arg;
    const json_t *remove = json_object_get(action, "remove");
    const json_t *info = json_object_get(action, "commitInfo");
    const char *path = json_string_value(json_object_get(remove, "path"));

    (void)err;
    w->adds |= json_is_object(json_object_get(action, "add"));
    w->removes |= json_is_object(remove);
    w->metadata |= json_is_object(json_object_get(action, "metaData"));
    w->protocol |= json_is_object(json_object_get(action, "protocol"));
    w->both_removed |= path && json_object_get(w->mine->removed, path);
    w->blind |= json_is_true(json_object_get(info, "isBlindAppend"));
    if (!json_object_get(info, "isBlindAppend")) {
        const char *operation = json_string_value(json_object_get(info, "operation"));
        const char *mode =
            json_string_value(json_object_get(json_object_get(info, "operationParameters"), "mode"));
        w->blind |= operation && strcmp(operation, "WRITE") == 0 && mode && strcmp(mode, "Append") == 0;
    }
    return LC_OK;
}

static enum lc conflict(const struct winner *w, const char *what, struct err *err)
{
    err_set(err, LC_CONFLICT, "cannot commit to the table '%s': version %" PRId64 ", made meanwhile, %s",
            w->mine->location, w->version, what);
    return err_hint(err, "run it again: nothing of this write is in the table");
}

static enum lc judge(const struct winner *w, struct err *err)
{
    if (w->protocol)
        return conflict(w, "changed the protocol [DELTA_PROTOCOL_CHANGED]", err);
    if (w->metadata)
        return conflict(w, "changed the table's schema or properties [DELTA_METADATA_CHANGED]", err);
    if (w->both_removed)
        return conflict(w, "removed the same files [DELTA_CONCURRENT_DELETE_DELETE]", err);
    if (!w->mine->blind_append && w->removes)
        return conflict(w, "removed files that this write read [DELTA_CONCURRENT_DELETE_READ]", err);
    if (!w->mine->blind_append && w->adds && !w->blind)
        return conflict(w, "added files to what this write read [DELTA_CONCURRENT_APPEND]", err);
    return LC_OK;
}

/* Looks at versions from…latest; *from becomes the version after them. */
static enum lc look_at_winners(const struct ctx *ctx, const struct delta_commit *c, int64_t *from,
                               struct err *err)
{
    struct delta_log log;
    enum lc rc;
    int64_t latest;

    TRY(delta_log_list(ctx, c->location, &log, err));
    latest = delta_log_latest(&log);
    for (rc = LC_OK; rc == LC_OK && *from <= latest; ++*from) {
        struct winner w = {.mine = c, .version = *from};
        rc = delta_commit_read(ctx, &log.storage, log.folder, *from, note, &w, err);
        if (rc == LC_OK)
            rc = judge(&w, err);
    }
    delta_log_release(&log);
    return rc;
}

static void step_aside(int attempt)
{
    unsigned char r;
    struct timespec pause = {0};

    random_bytes(&r, 1);
    pause.tv_nsec = (long)r * (attempt < 16 ? attempt : 16) * 4000; /* at most 16 ms */
    nanosleep(&pause, NULL);
}

static enum lc put_version(const struct ctx *ctx, const struct delta_commit *c, int64_t version,
                           struct err *err)
{
    struct storage storage;
    char name[DELTA_PATH_TEXT];
    char *folder, *path;
    enum lc rc;

    TRY(storage_open(c->location, &storage, err));
    delta_commit_name(version, name);
    folder = fs_join(c->location, "_delta_log");
    path = folder ? fs_join(folder, name) : NULL;
    rc = path ? storage_put_if_absent(ctx, &storage, path, buf_str(&c->text), c->text.len, err)
              : err_nomem(err);
    mem_free(folder);
    mem_free(path);
    return rc;
}

enum lc delta_commit_put(const struct ctx *ctx, struct delta_commit *c, int64_t *version, struct err *err)
{
    int64_t next = c->read_version + 1;

    TRY(buf_check(&c->text, err));
    for (int attempt = 1;; attempt++) {
        struct err local;
        enum lc rc = put_version(ctx, c, next, &local);
        if (rc == LC_OK) {
            *version = next;
            return LC_OK;
        }
        if (rc != LC_EXISTS || c->read_version < 0) {
            if (err)
                *err = local;
            return rc;
        }
        TRY(ctx_check(ctx, err));
        step_aside(attempt);
        TRY(look_at_winners(ctx, c, &next, err));
    }
}
