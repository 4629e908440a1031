#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/delta/delta_int.h"
#include <inttypes.h>
#include <string.h>

enum lc delta_exists(const struct ctx *ctx, const char *location, bool *yes, struct err *err)
{
    struct delta_log log;

    TRY(delta_log_list(ctx, location, &log, err));
    *yes = delta_log_latest(&log) >= 0;
    delta_log_release(&log);
    return LC_OK;
}

/* The oldest version that can still be rebuilt: a checkpoint, or the start of the log. */
static int64_t oldest(const struct delta_log *log)
{
    if (log->n_commits && log->commits[0].version == 0)
        return 0;
    return log->n_checkpoints ? log->checkpoints[0].version : 0;
}

static enum lc pick_version(const struct delta_log *log, const char *location, int64_t *version,
                            struct err *err)
{
    int64_t latest = delta_log_latest(log);

    if (latest < 0) {
        err_set(err, LC_NOTFOUND, "cannot open '%s': it is not a Delta table", location);
        return err_hint(err, "there is no _delta_log folder with commits in it");
    }
    if (*version == DELTA_LATEST)
        *version = latest;
    if (*version < oldest(log) || *version > latest) {
        err_set(err, LC_NOTFOUND, "cannot open '%s' at version %" PRId64 ": the log does not have it",
                location, *version);
        return err_hint(err, "versions %" PRId64 " to %" PRId64 " can be read", oldest(log), latest);
    }
    return LC_OK;
}

static const struct delta_checkpoint_file *pick_checkpoint(const struct delta_log *log, int64_t version)
{
    const struct delta_checkpoint_file *best = NULL;

    for (size_t i = 0; i < log->n_checkpoints && log->checkpoints[i].version <= version; i++)
        if (!best || log->checkpoints[i].version > best->version || log->checkpoints[i].parts == 1)
            best = &log->checkpoints[i];
    return best;
}

/* Every commit after the checkpoint must be there: a gap would show a state that never was. */
static enum lc replay_commits(const struct ctx *ctx, const struct delta_log *log, int64_t from, int64_t to,
                              struct delta_replay *r, struct err *err)
{
    size_t i = 0;

    for (int64_t v = from; v <= to; v++) {
        char name[DELTA_PATH_TEXT];
        while (i < log->n_commits && log->commits[i].version < v)
            i++;
        if (i == log->n_commits || log->commits[i].version != v) {
            delta_commit_name(v, name);
            err_set(err, LC_DATA, "cannot read the Delta log: '%s/%s' is missing", log->folder, name);
            return err_hint(err,
                            "restore the file, or read a version before %" PRId64
                            ": spark.read:option(\"versionAsOf\", n)",
                            v);
        }
        TRY(delta_commit_read(ctx, &log->storage, log->folder, v, delta_replay_action, r, err));
    }
    return LC_OK;
}

static int64_t commit_time(const struct delta_log *log, int64_t version)
{
    int64_t latest = 0; /* file times are made monotonic: a copied log may have any */

    for (size_t i = 0; i < log->n_commits && log->commits[i].version <= version; i++)
        latest = log->commits[i].modified_ms > latest ? log->commits[i].modified_ms : latest + (latest > 0);
    return latest;
}

static enum lc replay_log(const struct ctx *ctx, const struct delta_engine *engine,
                          const struct delta_log *log, int64_t version, struct delta_replay *r,
                          struct err *err)
{
    const struct delta_checkpoint_file *checkpoint = pick_checkpoint(log, version);

    if (checkpoint)
        TRY(delta_checkpoint_read(ctx, engine, log, checkpoint, delta_replay_action, r, err));
    return replay_commits(ctx, log, checkpoint ? checkpoint->version + 1 : 0, version, r, err);
}

enum lc delta_replay_open(const struct ctx *ctx, const struct delta_engine *engine, const char *location,
                          int64_t *version, int64_t *timestamp_ms, struct delta_replay **out, struct err *err)
{
    struct delta_log log;
    struct delta_replay *r = NULL;
    enum lc rc;

    *out = NULL;
    TRY(delta_log_list(ctx, location, &log, err));
    rc = pick_version(&log, location, version, err);
    if (rc == LC_OK && (r = delta_replay_new()) == NULL)
        rc = err_nomem(err);
    if (rc == LC_OK)
        rc = replay_log(ctx, engine, &log, *version, r, err);
    if (rc == LC_OK) {
        *timestamp_ms = commit_time(&log, *version);
        *out = r;
    } else {
        delta_replay_free(r);
    }
    delta_log_release(&log);
    return rc;
}

enum lc delta_open(const struct ctx *ctx, const struct delta_engine *engine, const char *location,
                   int64_t version, struct delta_snapshot **out, struct err *err)
{
    struct delta_replay *r;
    int64_t timestamp_ms = 0;
    enum lc rc;

    *out = NULL;
    TRY(delta_replay_open(ctx, engine, location, &version, &timestamp_ms, &r, err));
    rc = delta_replay_snapshot(r, location, version, timestamp_ms, out, err);
    delta_replay_free(r);
    if (rc == LC_OK && (rc = delta_check_reader(*out, err)) != LC_OK) {
        delta_close(*out);
        *out = NULL;
    }
    return rc;
}

enum lc delta_version_at(const struct ctx *ctx, const char *location, int64_t time_ms, int64_t *version,
                         struct err *err)
{
    struct delta_log log;
    enum lc rc = LC_OK;
    int64_t latest = 0;

    TRY(delta_log_list(ctx, location, &log, err));
    *version = -1;
    for (size_t i = 0; i < log.n_commits; i++) {
        latest = log.commits[i].modified_ms > latest ? log.commits[i].modified_ms : latest + 1;
        if (latest <= time_ms)
            *version = log.commits[i].version;
    }
    if (*version < 0) {
        rc = err_set(err, LC_NOTFOUND, "cannot open '%s' as of that time: it is before the oldest version",
                     location);
        err_hint(err, "DESCRIBE HISTORY shows the times of the versions");
    }
    delta_log_release(&log);
    return rc;
}

char *delta_file_location(const struct delta_snapshot *t, const struct delta_file *f)
{
    if (f->path[0] == '/' || strstr(f->path, ":/"))
        return mem_strdup(f->path);
    return fs_join(t->location, f->path);
}
