#include "runtime/base/mem.h"
#include "runtime/delta/delta_int.h"

static enum lc take_info(void *arg, const json_t *action, struct err *err)
{
    struct delta_history_entry *e = arg;
    json_t *info = json_object_get(action, "commitInfo");

    (void)err;
    if (json_is_object(info)) {
        json_decref(e->info);
        e->info = json_incref(info);
    }
    return LC_OK;
}

static enum lc read_entry(const struct ctx *ctx, const struct delta_log *log,
                          const struct delta_commit_file *file, struct delta_history_entry *e,
                          struct err *err)
{
    const json_t *time;

    *e = (struct delta_history_entry){file->version, file->modified_ms, json_object()};
    if (!e->info)
        return err_nomem(err);
    TRY(delta_commit_read(ctx, &log->storage, log->folder, file->version, take_info, e, err));
    time = json_object_get(e->info, "timestamp");
    if (json_is_integer(time))
        e->timestamp_ms = json_integer_value(time);
    return LC_OK;
}

enum lc delta_history(const struct ctx *ctx, const char *location, size_t limit, struct delta_history *out,
                      struct err *err)
{
    struct delta_log log;
    size_t n;
    enum lc rc = LC_OK;

    *out = (struct delta_history){0};
    TRY(delta_log_list(ctx, location, &log, err));
    if (delta_log_latest(&log) < 0)
        rc = err_set(err, LC_NOTFOUND, "cannot open '%s': it is not a Delta table", location);
    n = limit && limit < log.n_commits ? limit : log.n_commits;
    if (rc == LC_OK && (out->entries = mem_calloc(n ? n : 1, sizeof *out->entries)) == NULL)
        rc = err_nomem(err);
    for (size_t i = 0; rc == LC_OK && i < n; i++) {
        rc = read_entry(ctx, &log, &log.commits[log.n_commits - 1 - i], &out->entries[i], err);
        out->n++;
    }
    delta_log_release(&log);
    if (rc != LC_OK)
        delta_history_release(out);
    return rc;
}

void delta_history_release(struct delta_history *h)
{
    for (size_t i = 0; i < h->n; i++)
        json_decref(h->entries[i].info);
    mem_free(h->entries);
    *h = (struct delta_history){0};
}
