/* fold.c: from the append log of a run into the database. One transaction per chunk moves the metrics and the offset
 * up to which the log is folded, so that a process killed at any point neither loses nor doubles a metric. */
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/tracking/local_int.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

struct series {
    char *key; /* owned */
    int64_t id, count;
    struct tracker_metric latest;
    bool changed;
};

struct fold {
    struct local *l;
    const char *run, *path;
    struct series *series; /* owned */
    size_t n, cap, last;
    size_t damaged; /* lines in this chunk */
};

static void forget_series(struct fold *f)
{
    for (size_t i = 0; i < f->n; i++)
        mem_free(f->series[i].key);
    mem_free(f->series);
    f->series = NULL;
    f->n = f->cap = f->last = 0;
}

static struct series *add_series(struct fold *f, const char *key)
{
    struct series *s;

    if (f->n == f->cap) {
        size_t cap = f->cap ? f->cap * 2 : 16;
        struct series *more = mem_reallocn(f->series, cap, sizeof *more);
        if (!more)
            return NULL;
        f->series = more;
        f->cap = cap;
    }
    s = &f->series[f->n];
    *s = (struct series){.key = mem_strdup(key)};
    if (!s->key)
        return NULL;
    f->n++;
    return s;
}

/* Metrics come round in the same order step after step: look at the one after the last first. */
static struct series *find_series(struct fold *f, const char *key)
{
    for (size_t i = 1; i <= f->n; i++) {
        size_t at = (f->last + i) % f->n;
        if (strcmp(f->series[at].key, key) == 0) {
            f->last = at;
            return &f->series[at];
        }
    }
    return NULL;
}

static enum lc load_series(struct fold *f, struct err *err)
{
    struct workspace_rows rows;
    enum lc rc = workspace_query(
        f->l->ws, &rows, err,
        "SELECT key, id, count, value, step, timestamp FROM tracking_series WHERE run = ?", "t", f->run);

    forget_series(f);
    while (rc == LC_OK && workspace_next(&rows, &rc, err)) {
        struct series *s = add_series(f, workspace_text(&rows, 0));
        if (!s) {
            rc = err_nomem(err);
            break;
        }
        s->id = workspace_int(&rows, 1);
        s->count = workspace_int(&rows, 2);
        s->latest.value = workspace_is_null(&rows, 3) ? (double)NAN : workspace_real(&rows, 3);
        s->latest.step = workspace_int(&rows, 4);
        s->latest.timestamp = workspace_int(&rows, 5);
    }
    workspace_rows_close(&rows);
    return rc;
}

/* Latest as MLflow has it: the greatest step, then time, then value. */
static bool is_later(const struct tracker_metric *a, const struct tracker_metric *b)
{
    if (a->step != b->step)
        return a->step > b->step;
    if (a->timestamp != b->timestamp)
        return a->timestamp > b->timestamp;
    return isnan(b->value) || a->value >= b->value;
}

static enum lc on_line(void *arg, const struct tracker_metric *m, struct err *err)
{
    struct fold *f = arg;
    struct series *s = find_series(f, m->key);

    if (!s) {
        s = add_series(f, m->key);
        if (!s)
            return err_nomem(err);
        TRY(workspace_exec(f->l->ws, err, "INSERT INTO tracking_series(run, key, count) VALUES(?, ?, 0)",
                           "tt", f->run, m->key));
        s->id = workspace_last_id(f->l->ws);
        f->last = f->n - 1;
    }
    if (s->count == 0 || is_later(m, &s->latest))
        s->latest = *m;
    s->changed = true;
    return workspace_exec(f->l->ws, err, "INSERT INTO tracking_metrics VALUES(?, ?, ?, ?, ?)", "iiiid", s->id,
                          s->count++, m->timestamp, m->step, m->value);
}

/* Kept beside the log: whoever has the other half of such a line may still make sense of it. */
static enum lc on_damage(void *arg, const char *line, size_t len, struct err *err)
{
    struct fold *f = arg;
    char *path = mem_printf("%s.damaged", f->path);
    int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    enum lc rc = LC_OK;

    if (!path)
        return err_nomem(err);
    if (fd < 0 || write(fd, line, len) != (ssize_t)len || write(fd, "\n", 1) != 1)
        rc = err_errno(err, errno, "cannot write '%s'", path);
    if (fd >= 0)
        close(fd);
    mem_free(path);
    f->damaged++;
    return rc;
}

static enum lc save_series(struct fold *f, struct err *err)
{
    for (size_t i = 0; i < f->n; i++) {
        struct series *s = &f->series[i];
        if (!s->changed)
            continue;
        TRY(workspace_exec(
            f->l->ws, err,
            "UPDATE tracking_series SET count = ?, value = ?, step = ?, timestamp = ? WHERE id = ?", "idiii",
            s->count, s->latest.value, s->latest.step, s->latest.timestamp, s->id));
    }
    return LC_OK;
}

static enum lc note_damage(struct fold *f, struct err *err)
{
    if (f->damaged == 0)
        return LC_OK;
    return workspace_exec(
        f->l->ws, err,
        "INSERT INTO tracking_tags VALUES(?1, 'lacus.damaged_metric_lines', ?2) ON CONFLICT "
        "DO UPDATE SET value = CAST(value + excluded.value AS TEXT)",
        "ti", f->run, (int64_t)f->damaged);
}

static enum lc folded_offset(struct fold *f, const struct metric_reader *r, int64_t *offset, struct err *err)
{
    struct workspace_rows rows;
    enum lc rc =
        workspace_query(f->l->ws, &rows, err, "SELECT folded FROM tracking_logs WHERE run = ? AND log = ?",
                        "tt", f->run, r->id);

    *offset = r->start;
    if (rc == LC_OK && workspace_next(&rows, &rc, err))
        *offset = workspace_int(&rows, 0);
    workspace_rows_close(&rows);
    return rc;
}

static enum lc fold_chunk(struct fold *f, struct metric_reader *r, bool *more, struct err *err)
{
    int64_t offset;

    TRY(folded_offset(f, r, &offset, err));
    TRY(load_series(f, err));
    f->damaged = 0;
    TRY(metric_reader_next(r, &offset, more, on_line, on_damage, f, err));
    TRY(save_series(f, err));
    TRY(note_damage(f, err));
    return workspace_exec(f->l->ws, err, "INSERT OR REPLACE INTO tracking_logs VALUES(?, ?, ?)", "tti",
                          f->run, r->id, offset);
}

static enum lc is_known(struct local *l, const char *run, bool *known, struct err *err)
{
    struct workspace_rows rows;
    enum lc rc = workspace_query(l->ws, &rows, err, "SELECT 1 FROM tracking_runs WHERE id = ?", "t", run);

    *known = rc == LC_OK && workspace_next(&rows, &rc, err);
    workspace_rows_close(&rows);
    return rc;
}

static enum lc fold_open(struct fold *f, struct metric_reader *r, struct err *err)
{
    bool more = true, known;

    TRY(is_known(f->l, f->run, &known, err));
    if (!known)
        return LC_OK; /* the log of another workspace's run: left alone */
    while (more) {
        enum lc rc;
        TRY(workspace_begin(f->l->ws, err));
        rc = fold_chunk(f, r, &more, err);
        TRY(workspace_end(f->l->ws, rc, err));
    }
    if (!r->alone)
        return LC_OK;
    /* the file goes first: a row without a file is harmless, a file without its row would be folded again */
    if (unlink(f->path) != 0 && errno != ENOENT)
        return err_errno(err, errno, "cannot remove '%s'", f->path);
    return workspace_exec(f->l->ws, err, "DELETE FROM tracking_logs WHERE run = ? AND log = ?", "tt", f->run,
                          r->id);
}

enum lc fold_run(struct local *l, const char *run, struct err *err)
{
    struct fold f = {.l = l, .run = run};
    struct metric_reader r;
    char *path = local_log_path(l, run);
    enum lc rc;

    if (!path)
        return err_nomem(err);
    f.path = path;
    if (!fs_exists(path)) {
        mem_free(path);
        return LC_OK;
    }
    rc = metric_reader_open(path, &r, err);
    if (rc == LC_OK) {
        rc = fold_open(&f, &r, err);
        metric_reader_close(&r);
    } else if (rc == LC_NOTFOUND) {
        rc = LC_OK; /* another process was first */
    }
    forget_series(&f);
    mem_free(path);
    return rc;
}

enum lc fold_all(const struct ctx *ctx, struct local *l, struct err *err)
{
    char **names;
    size_t n;
    enum lc rc = LC_OK;

    if (!fs_is_dir(l->logs))
        return LC_OK;
    TRY(fs_list(l->logs, &names, &n, err));
    for (size_t i = 0; rc == LC_OK && i < n; i++) {
        char *dot = strrchr(names[i], '.');
        if (!dot || strcmp(dot, ".log") != 0)
            continue;
        *dot = '\0';
        rc = ctx_check(ctx, err);
        if (rc == LC_OK)
            rc = fold_run(l, names[i], err);
    }
    fs_free_list(names, n);
    return rc;
}
