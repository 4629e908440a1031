#include "runtime/train/job.h"
#include "runtime/base/clock.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/base/nearest.h"
#include "runtime/train/process_id.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { IDS_MOST = 1000, LINE_MOST = 1 << 20, READ_MOST = 8 << 20, LINES_MOST = 1000, TAIL_MOST = 4000 };

static const char *const status_names[] = {"queued", "running", "finished", "failed", "cancelled"};

static const char *const schema[] = {
    "CREATE TABLE train_jobs(id TEXT PRIMARY KEY, spec TEXT NOT NULL, status TEXT NOT NULL, cancel INTEGER "
    "NOT NULL "
    "DEFAULT 0, resume TEXT NOT NULL DEFAULT '', attempts INTEGER NOT NULL DEFAULT 0, owner_pid INTEGER NOT "
    "NULL, "
    "owner_start INTEGER NOT NULL, worker TEXT NOT NULL DEFAULT '', result TEXT, error TEXT, created INTEGER "
    "NOT "
    "NULL, started INTEGER NOT NULL DEFAULT 0, ended INTEGER NOT NULL DEFAULT 0);"
    "CREATE INDEX train_jobs_status ON train_jobs(status);"
    "CREATE TRIGGER train_jobs_spec BEFORE UPDATE OF spec ON train_jobs BEGIN SELECT RAISE(ABORT, 'the spec "
    "of a "
    "job never changes'); END;"
    "CREATE TABLE train_workers(name TEXT PRIMARY KEY, public_key TEXT NOT NULL, created INTEGER NOT NULL, "
    "revoked "
    "INTEGER NOT NULL DEFAULT 0, seen INTEGER NOT NULL DEFAULT 0, about TEXT);",
    "ALTER TABLE train_jobs ADD COLUMN waits TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE train_jobs ADD COLUMN saves INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE train_jobs ADD COLUMN ranks INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE train_jobs ADD COLUMN restarts INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE train_jobs ADD COLUMN restarted TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE train_jobs ADD COLUMN queued INTEGER NOT NULL DEFAULT 0;",
};

const char *job_status_name(enum job_status s)
{
    return status_names[s];
}

bool job_ended(enum job_status s)
{
    return s >= JOB_FINISHED;
}

static enum job_status status_from(const char *name)
{
    for (size_t i = 0; i < sizeof status_names / sizeof *status_names; i++)
        if (strcmp(status_names[i], name) == 0)
            return (enum job_status)i;
    return JOB_FAILED;
}

enum lc jobs_open(const char *path, struct workspace **out, struct err *err)
{
    enum lc rc;

    TRY(workspace_open(path, out, err));
    rc = workspace_migrate(*out, "train", schema, sizeof schema / sizeof *schema, err);
    if (rc != LC_OK) {
        workspace_close(*out);
        *out = NULL;
    }
    return rc;
}

void job_new_id(char id[JOB_ID])
{
    memcpy(id, "job-", 4);
    hex_make(id + 4, 12);
}

char *job_folder(const char *id, struct err *err)
{
    char below[JOB_ID + 8], *folder;

    (void)snprintf(below, sizeof below, "jobs/%s", id);
    folder = fs_home(below, err);
    if (folder && fs_mkdirs(folder, err) != LC_OK) {
        mem_free(folder);
        return NULL;
    }
    return folder;
}

enum lc job_create(struct workspace *ws, const char *id, const json_t *spec, int64_t owner, struct err *err)
{
    char *text = json_dumps(spec, JSON_COMPACT);
    enum lc rc = text ? LC_OK : err_nomem(err);

    if (rc == LC_OK)
        rc = workspace_exec(
            ws, err,
            "INSERT INTO train_jobs(id, spec, status, owner_pid, owner_start, created, queued) VALUES(?, ?, "
            "'queued', ?, ?, ?, ?)",
            "ttiiii", id, text, owner, process_start_time(owner), clock_wall_ms(), clock_wall_ms());
    free(text);
    return rc;
}

static enum lc no_such_job(struct workspace *ws, const char *id, struct err *err)
{
    json_t *list = NULL;
    const char *names[IDS_MOST];
    size_t n = 0, i;
    json_t *row;
    struct buf near = BUF_INIT(300);

    (void)err_set(err, LC_NOTFOUND, "no training job '%.60s' in this workspace", id);
    if (job_list(ws, IDS_MOST, &list, NULL) == LC_OK)
        json_array_foreach (list, i, row)
            names[n++] = json_string_value(json_object_get(row, "id"));
    if (nearest_list(&near, id, names, n, 3) && near.len)
        (void)err_hint(err, "did you mean %s? llm.jobs() lists them", buf_str(&near));
    else
        (void)err_hint(err, "llm.jobs() lists them");
    buf_release(&near);
    json_decref(list);
    return LC_NOTFOUND;
}

static json_t *column_json(const struct workspace_rows *rows, int column)
{
    return workspace_is_null(rows, column) ? NULL : json_loads(workspace_text(rows, column), 0, NULL);
}

#define COLUMNS                                                                                              \
    "id, status, spec, result, error, resume, worker, cancel, attempts, owner_pid, owner_start, created, "   \
    "started, ended, waits, saves, ranks, restarts, restarted, queued"

static void read_row(const struct workspace_rows *r, struct job_info *j)
{
    *j = (struct job_info){.status = status_from(workspace_text(r, 1)),
                           .spec = column_json(r, 2),
                           .result = column_json(r, 3),
                           .error = column_json(r, 4),
                           .cancel = workspace_int(r, 7) != 0,
                           .attempts = workspace_int(r, 8),
                           .owner_pid = workspace_int(r, 9),
                           .owner_start = workspace_int(r, 10),
                           .created = workspace_int(r, 11),
                           .started = workspace_int(r, 12),
                           .ended = workspace_int(r, 13),
                           .saves = workspace_int(r, 15),
                           .ranks = workspace_int(r, 16),
                           .restarts = workspace_int(r, 17),
                           .queued = workspace_int(r, 19)};
    (void)snprintf(j->id, sizeof j->id, "%s", workspace_text(r, 0));
    (void)snprintf(j->resume, sizeof j->resume, "%s", workspace_text(r, 5));
    (void)snprintf(j->worker, sizeof j->worker, "%s", workspace_text(r, 6));
    (void)snprintf(j->waits, sizeof j->waits, "%s", workspace_text(r, 14));
    (void)snprintf(j->restarted, sizeof j->restarted, "%s", workspace_text(r, 18));
}

enum lc job_get(struct workspace *ws, const char *id, struct job_info *out, struct err *err)
{
    struct workspace_rows rows;
    bool found = false;
    enum lc rc = workspace_query(ws, &rows, err, "SELECT " COLUMNS " FROM train_jobs WHERE id = ?", "t", id);

    *out = (struct job_info){0};
    if (rc == LC_OK && workspace_next(&rows, &rc, err)) {
        read_row(&rows, out);
        found = true;
    }
    workspace_rows_close(&rows);
    if (rc == LC_OK && !found)
        rc = no_such_job(ws, id, err);
    return rc;
}

void job_info_release(struct job_info *j)
{
    json_decref(j->spec);
    json_decref(j->result);
    json_decref(j->error);
    *j = (struct job_info){0};
}

json_t *job_info_json(const struct job_info *j)
{
    return json_pack("{s:s, s:s, s:O*, s:O*, s:O*, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:b}", "id", j->id,
                     "status", job_status_name(j->status), "spec", j->spec, "result", j->result, "error",
                     j->error, "worker", j->worker, "waits", j->waits, "restarts", (json_int_t)j->restarts,
                     "attempts", (json_int_t)j->attempts, "created", (json_int_t)j->created, "started",
                     (json_int_t)j->started, "ended", (json_int_t)j->ended, "done", job_ended(j->status));
}

static json_t *list_row(const struct workspace_rows *r)
{
    struct job_info j;
    json_t *row;

    read_row(r, &j);
    row = json_pack("{s:s, s:s, s:s*, s:s*, s:s, s:s, s:I, s:I, s:I, s:I}", "id", j.id, "status",
                    job_status_name(j.status), "kind", json_string_value(json_object_get(j.spec, "kind")),
                    "model", json_string_value(json_object_get(json_object_get(j.spec, "model"), "uri")),
                    "worker", j.worker, "waits", j.waits, "attempts", (json_int_t)j.attempts, "created",
                    (json_int_t)j.created, "started", (json_int_t)j.started, "ended", (json_int_t)j.ended);
    job_info_release(&j);
    return row;
}

enum lc job_list(struct workspace *ws, size_t most, json_t **out, struct err *err)
{
    struct workspace_rows rows;
    json_t *list = json_array();
    enum lc rc = workspace_query(ws, &rows, err,
                                 "SELECT " COLUMNS " FROM train_jobs ORDER BY created DESC, id LIMIT ?", "i",
                                 (int64_t)most);

    while (rc == LC_OK && workspace_next(&rows, &rc, err))
        if (json_array_append_new(list, list_row(&rows)) != 0)
            rc = err_nomem(err);
    workspace_rows_close(&rows);
    if (rc != LC_OK)
        return json_decref(list), rc;
    *out = list;
    return LC_OK;
}

enum lc job_ids(struct workspace *ws, enum job_status status, json_t **out, struct err *err)
{
    struct workspace_rows rows;
    json_t *list = json_array();
    enum lc rc =
        workspace_query(ws, &rows, err, "SELECT id FROM train_jobs WHERE status = ? ORDER BY created, id",
                        "t", status_names[status]);

    while (rc == LC_OK && workspace_next(&rows, &rc, err))
        if (json_array_append_new(list, json_string(workspace_text(&rows, 0))) != 0)
            rc = err_nomem(err);
    workspace_rows_close(&rows);
    if (rc != LC_OK)
        return json_decref(list), rc;
    *out = list;
    return LC_OK;
}

enum lc job_cancel(struct workspace *ws, const char *id, struct err *err)
{
    struct job_info j;

    TRY(job_get(ws, id, &j, err));
    job_info_release(&j);
    /* nobody has it yet: it ends here; else its coordinator sees the flag */
    TRY(workspace_exec(
        ws, err,
        "UPDATE train_jobs SET status = 'cancelled', cancel = 1, ended = ? WHERE id = ? AND status = "
        "'queued'",
        "it", clock_wall_ms(), id));
    return workspace_exec(ws, err, "UPDATE train_jobs SET cancel = 1 WHERE id = ? AND status = 'running'",
                          "t", id);
}

enum lc job_save(struct workspace *ws, const char *id, struct err *err)
{
    struct job_info j;
    enum job_status status;

    TRY(job_get(ws, id, &j, err));
    status = j.status;
    job_info_release(&j);
    TRY(workspace_exec(ws, err, "UPDATE train_jobs SET saves = saves + 1 WHERE id = ? AND status = 'running'",
                       "t", id));
    if (workspace_changes(ws) == 0) {
        (void)err_set(err, LC_CONFLICT, "cannot keep a checkpoint of job '%s': it is %s", id,
                      status_names[status]);
        return err_hint(err, "a checkpoint can be asked for while a job runs");
    }
    return LC_OK;
}

enum lc job_asked(struct workspace *ws, const char *id, bool *cancel, int64_t *saves, struct err *err)
{
    struct workspace_rows rows;
    enum lc rc =
        workspace_query(ws, &rows, err, "SELECT cancel, saves FROM train_jobs WHERE id = ?", "t", id);
    bool there = rc == LC_OK && workspace_next(&rows, &rc, err);

    *cancel = there && workspace_int(&rows, 0) != 0;
    *saves = there ? workspace_int(&rows, 1) : 0;
    workspace_rows_close(&rows);
    return rc;
}

static enum lc queue_again(struct workspace *ws, const char *id, const char *resume, int64_t ranks,
                           const char *restarted, int64_t restarts, struct err *err)
{
    TRY(workspace_exec(
        ws, err,
        "UPDATE train_jobs SET status = 'queued', cancel = 0, resume = ?, result = NULL, error = NULL, "
        "worker = '', waits = '', ended = 0, queued = ?, ranks = CASE WHEN ? > 0 THEN ? ELSE ranks END, "
        "restarted = ?, restarts = ? WHERE id = ? AND status IN ('failed', 'cancelled', 'running')",
        "tiiitit", resume, clock_wall_ms(), ranks, ranks, restarted, restarts, id));
    if (workspace_changes(ws) == 0)
        return err_set(err, LC_CONFLICT, "cannot resume job '%s': it is finished or waiting already", id);
    return LC_OK;
}

enum lc job_requeue(struct workspace *ws, const char *id, const char *resume, int64_t ranks, struct err *err)
{
    return queue_again(ws, id, resume, ranks, "", 0, err);
}

enum lc job_restart(struct workspace *ws, const char *id, const char *resume, int64_t most, bool *again,
                    struct err *err)
{
    struct job_info j;
    int64_t restarts;
    const char *from = resume[0] ? resume : "start";

    *again = false;
    TRY(job_get(ws, id, &j, err));
    restarts = strcmp(j.restarted, from) == 0 ? j.restarts + 1 : 1;
    job_info_release(&j);
    if (restarts > most)
        return LC_OK;
    *again = true;
    return queue_again(ws, id, resume, 0, from, restarts, err);
}

enum lc job_waits(struct workspace *ws, const char *id, const char *waits, struct err *err)
{
    return workspace_exec(ws, err, "UPDATE train_jobs SET waits = ? WHERE id = ? AND status = 'queued'", "tt",
                          waits, id);
}

enum lc job_start(struct workspace *ws, const char *id, const char *worker, struct err *err)
{
    TRY(workspace_exec(ws, err,
                       "UPDATE train_jobs SET status = 'running', waits = '', worker = ?, started = ?, "
                       "attempts = attempts + 1 "
                       "WHERE id = ? AND status = 'queued'",
                       "tit", worker, clock_wall_ms(), id));
    if (workspace_changes(ws) == 0)
        return err_set(err, LC_CONFLICT, "cannot start job '%s': it is not waiting", id);
    return LC_OK;
}

enum lc job_given(struct workspace *ws, const char *id, const char *worker, struct err *err)
{
    return workspace_exec(ws, err, "UPDATE train_jobs SET worker = ? WHERE id = ? AND status = 'running'",
                          "tt", worker, id);
}

enum lc job_end(struct workspace *ws, const char *id, enum job_status status, const json_t *result,
                const json_t *error, struct err *err)
{
    char *r = result ? json_dumps(result, JSON_COMPACT) : NULL,
         *e = error ? json_dumps(error, JSON_COMPACT) : NULL;
    enum lc rc = workspace_exec(
        ws, err, "UPDATE train_jobs SET status = ?, result = ?, error = ?, ended = ? WHERE id = ?", "tttit",
        status_names[status], r, e, clock_wall_ms(), id);

    free(r);
    free(e);
    return rc;
}

/* -1: no checkpoint's name */
static long checkpoint_step(const char *name)
{
    long step;
    int end = 0;

    return sscanf(name, "checkpoint-%9ld%n", &step, &end) == 1 && name[end] == '\0' && step >= 0 ? step : -1;
}

void job_last_checkpoint(const char *folder, char out[64])
{
    char **names = NULL;
    size_t n = 0;
    long best = -1;

    out[0] = '\0';
    if (fs_list(folder, &names, &n, NULL) != LC_OK)
        return;
    for (size_t i = 0; i < n; i++)
        if (checkpoint_step(names[i]) > best) {
            best = checkpoint_step(names[i]);
            (void)snprintf(out, 64, "checkpoint-%ld", best);
        }
    fs_free_list(names, n);
}

/* The place in names of the checkpoint that goes first; n: none may go. */
static size_t oldest_checkpoint(char *const *names, size_t n, const char *best, const char *last)
{
    size_t oldest = n;

    for (size_t i = 0; i < n; i++)
        if (checkpoint_step(names[i]) >= 0 && strcmp(names[i], best) != 0 && strcmp(names[i], last) != 0 &&
            (oldest == n || checkpoint_step(names[i]) < checkpoint_step(names[oldest])))
            oldest = i;
    return oldest;
}

void job_rotate_checkpoints(const char *folder, int64_t keep, const char *best)
{
    char **names = NULL, last[64];
    size_t n = 0, oldest;
    int64_t have = 0;

    job_last_checkpoint(folder, last);
    if (keep < 1 || fs_list(folder, &names, &n, NULL) != LC_OK)
        return;
    for (size_t i = 0; i < n; i++)
        have += checkpoint_step(names[i]) >= 0;
    for (; have > keep && (oldest = oldest_checkpoint(names, n, best, last)) < n; have--) {
        char *path = fs_join(folder, names[oldest]);
        names[oldest][0] = '\0';
        if (!path || fs_remove_tree(path, NULL) != LC_OK)
            have = 0; /* one too many is no failure of the job */
        mem_free(path);
    }
    fs_free_list(names, n);
}

static int64_t tree_bytes(const char *path)
{
    char **names = NULL;
    size_t n = 0;
    struct stat st;
    int64_t sum = 0;

    if (lstat(path, &st) != 0)
        return 0;
    if (!S_ISDIR(st.st_mode) || fs_list(path, &names, &n, NULL) != LC_OK)
        return st.st_size;
    for (size_t i = 0; i < n; i++) {
        char *below = fs_join(path, names[i]);
        sum += below ? tree_bytes(below) : 0;
        mem_free(below);
    }
    fs_free_list(names, n);
    return sum;
}

static enum lc remove_counted(const char *folder, const char *name, int64_t *freed, struct err *err)
{
    char *path = fs_join(folder, name);
    int64_t bytes = path ? tree_bytes(path) : 0;
    enum lc rc = path ? fs_remove_tree(path, err) : err_nomem(err);

    if (rc == LC_OK)
        *freed += bytes;
    mem_free(path);
    return rc;
}

enum lc job_clean(struct workspace *ws, const char *id, int64_t *freed, struct err *err)
{
    struct job_info j;
    char **names = NULL, *folder;
    size_t n = 0;
    bool ended;
    enum lc rc;

    *freed = 0;
    TRY(job_get(ws, id, &j, err));
    ended = job_ended(j.status);
    job_info_release(&j);
    if (!ended) {
        (void)err_set(err, LC_CONFLICT, "cannot clean the job '%s': it has not ended", id);
        return err_hint(err, "lacus job cancel %s ends it", id);
    }
    folder = job_folder(id, err);
    rc = folder ? fs_list(folder, &names, &n, err) : LC_IO;
    for (size_t i = 0; rc == LC_OK && i < n; i++)
        if (strcmp(names[i], "data") == 0 || strcmp(names[i], "output") == 0 ||
            checkpoint_step(names[i]) >= 0)
            rc = remove_counted(folder, names[i], freed, err);
    fs_free_list(names, n);
    mem_free(folder);
    return rc;
}

/* ---- the log of events ------------------------------------------------------------------------------------
 */

static char *events_path(const char *folder)
{
    return fs_join(folder, "events.jsonl");
}

static enum lc append(const char *path, const char *line, size_t len, struct err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    enum lc rc = LC_OK;
    off_t end;
    ssize_t n;

    if (fd < 0)
        return err_errno(err, errno, "cannot open '%s'", path);
    end = lseek(fd, 0, SEEK_END);
    n = write(fd, line, len);
    if (n != (ssize_t)len)
        rc = err_errno(err, n < 0 ? errno : ENOSPC, "cannot write '%s'", path);
    if (n > 0 && n != (ssize_t)len && ftruncate(fd, end) != 0) /* half a line would spoil the next */
        rc = err_errno(err, errno, "cannot write '%s'", path);
    close(fd);
    return rc;
}

enum lc job_log(const char *folder, json_t *event, struct err *err)
{
    char *path = events_path(folder), *text;
    struct buf line = BUF_INIT(LINE_MOST);
    enum lc rc;

    json_object_set_new(event, "time", json_integer(clock_wall_ms()));
    text = json_dumps(event, JSON_COMPACT);
    json_decref(event);
    if (text) {
        buf_puts(&line, text);
        buf_putc(&line, '\n');
    }
    free(text);
    rc = path && text ? buf_check(&line, err) : err_nomem(err);
    if (rc == LC_OK)
        rc = append(path, line.data, line.len, err);
    buf_release(&line);
    mem_free(path);
    return rc;
}

/* Takes whole lines from text into list; returns the bytes they took. */
static size_t take_lines(const char *text, size_t len, json_t *list)
{
    size_t done = 0;
    const char *end;

    while (json_array_size(list) < LINES_MOST && (end = memchr(text + done, '\n', len - done))) {
        size_t n = (size_t)(end - (text + done));
        json_t *event = json_loadb(text + done, n, 0, NULL);
        if (json_is_object(event))
            json_array_append(list, event);
        json_decref(event);
        done += n + 1;
    }
    return done;
}

static enum lc read_from(int fd, int64_t *offset, json_t *list, struct err *err)
{
    char *text = mem_alloc(READ_MOST);
    ssize_t n = text ? pread(fd, text, READ_MOST, *offset) : 0;
    enum lc rc = !text ? err_nomem(err) : n < 0 ? err_errno(err, errno, "cannot read a job's events") : LC_OK;

    if (n > 0)
        *offset += (int64_t)take_lines(text, (size_t)n, list);
    mem_free(text);
    return rc;
}

enum lc job_events(const char *folder, int64_t *offset, json_t **out, struct err *err)
{
    char *path = events_path(folder);
    json_t *list = json_array();
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    enum lc rc = path && list ? LC_OK : err_nomem(err);

    if (rc == LC_OK && fd >= 0)
        rc = read_from(fd, offset, list, err);
    if (fd >= 0)
        close(fd);
    mem_free(path);
    if (rc != LC_OK)
        return json_decref(list), rc;
    *out = list;
    return LC_OK;
}

void job_tail(const char *path, size_t most, struct buf *out)
{
    char text[TAIL_MOST + 1];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    off_t size = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
    ssize_t n = fd >= 0 ? pread(fd, text, TAIL_MOST, size > TAIL_MOST ? size - TAIL_MOST : 0) : 0;
    size_t from = n > 0 ? (size_t)n : 0, lines = 0;

    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return;
    if (text[n - 1] == '\n')
        n--;
    for (from = (size_t)n; from > 0; from--)
        if (text[from - 1] == '\n' && ++lines == most)
            break;
    buf_add(out, text + from, (size_t)n - from);
}

/* ---- workers ----------------------------------------------------------------------------------------------
 */

enum lc worker_add(struct workspace *ws, const char *name, const unsigned char pub[KEY_BYTES],
                   struct err *err)
{
    char hex[KEY_HEX];
    enum lc rc;

    if (!worker_name_valid(name) || strncmp(name, "local-", 6) == 0)
        return err_set(
            err, LC_ARG,
            "cannot invite a worker '%.80s': a name is letters, digits, '.', '_' and '-', and does not "
            "begin with 'local-'",
            name);
    key_hex(pub, hex);
    rc = workspace_exec(ws, err, "INSERT INTO train_workers(name, public_key, created) VALUES(?, ?, ?)",
                        "tti", name, hex, clock_wall_ms());
    if (rc == LC_EXISTS) {
        (void)err_set(err, LC_EXISTS, "cannot invite a worker '%s': there is one of that name", name);
        (void)err_hint(err, "choose another name, or 'lacus worker revoke %s' and then another name", name);
    }
    return rc;
}

enum lc worker_revoke(struct workspace *ws, const char *name, struct err *err)
{
    TRY(workspace_exec(ws, err, "UPDATE train_workers SET revoked = ? WHERE name = ? AND revoked = 0", "it",
                       clock_wall_ms(), name));
    if (workspace_changes(ws) == 0) {
        (void)err_set(err, LC_NOTFOUND, "cannot revoke worker '%.80s': no such worker, or revoked already",
                      name);
        return err_hint(err, "'lacus worker list' shows them");
    }
    return LC_OK;
}

enum lc worker_seen(struct workspace *ws, const char *name, const json_t *about, struct err *err)
{
    char *text = about ? json_dumps(about, JSON_COMPACT) : NULL;
    enum lc rc = workspace_exec(
        ws, err, "UPDATE train_workers SET seen = ?, about = coalesce(?, about) WHERE name = ?", "itt",
        clock_wall_ms(), text, name);

    free(text);
    return rc;
}

enum lc worker_rows(struct workspace *ws, json_t **out, struct err *err)
{
    struct workspace_rows r;
    json_t *list = json_array();
    enum lc rc = workspace_query(
        ws, &r, err,
        "SELECT name, public_key, created, revoked, seen, about FROM train_workers ORDER BY name", "");

    while (rc == LC_OK && workspace_next(&r, &rc, err)) {
        json_t *row = json_pack("{s:s, s:s, s:I, s:I, s:I, s:o*}", "name", workspace_text(&r, 0),
                                "public_key", workspace_text(&r, 1), "created",
                                (json_int_t)workspace_int(&r, 2), "revoked", (json_int_t)workspace_int(&r, 3),
                                "seen", (json_int_t)workspace_int(&r, 4), "about", column_json(&r, 5));
        if (json_array_append_new(list, row) != 0)
            rc = err_nomem(err);
    }
    workspace_rows_close(&r);
    if (rc != LC_OK)
        return json_decref(list), rc;
    *out = list;
    return LC_OK;
}
