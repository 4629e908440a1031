/* coordinator_watch.c: what goes wrong with a run, and how it ends. A rank that is lost, silent, stalled or at fault is
 * named; the others keep what they have; the job goes on from its last checkpoint, unless that was tried too often. */
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/train/coordinator_int.h"
#include "runtime/train/process_id.h"
#include "runtime/train/track.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

enum {
    ATTACH_MS = 60000, /* a local worker's time to say hello */
    SILENT_MS = 60000, /* without a beat */
    STALL_S = 1800,    /* in one step, unless the spec says otherwise */
    PREPARE_S = 600,   /* in one part of what comes before the first */
    END_MS = 30000,    /* from "cancel" to a worker's end */
    GRACE_MS = 300,    /* from a connection's end to the worker's: what it said last is still read */
    RESTARTS = 3,      /* without a new checkpoint, unless the spec says otherwise */
    LAST_LINES = 12
};

/* ---- endings --------------------------------------------------------------------------------------------- */

/* Notes the end of a rank's own process. True: it has ended. */
static bool reap(struct rank *k)
{
    if (k->pid > 0 && !k->exited_ns && waitpid(k->pid, &k->exit_status, WNOHANG) == k->pid)
        k->exited_ns = clock_mono_ns();
    return k->exited_ns != 0;
}

void end_local_workers(struct coordinator *c, struct run *r)
{
    for (int i = 0; i < r->n_ranks; i++) {
        struct rank *k = &r->ranks[i];

        if (k->pid > 0) {
            allow_remove(c->allow, k->worker);
            if (!reap(k)) {
                kill(k->pid, SIGKILL);
                while (waitpid(k->pid, NULL, 0) < 0 && errno == EINTR)
                    ;
            }
        }
        k->pid = 0;
    }
}

void drop_run(struct coordinator *c, struct run *r)
{
    for (size_t i = 0; i < c->n_peers; i++)
        if (c->peers[i].run == r)
            c->peers[i].run = NULL;
    for (size_t i = 0; i < c->n_runs; i++)
        if (c->runs[i] == r)
            c->runs[i] = c->runs[--c->n_runs];
    run_free(r);
    coordinator_write_about(c);
}

static void add_hint(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void add_hint(struct err *e, const char *fmt, ...)
{
    size_t n = strlen(e->hint);
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(e->hint + n, sizeof e->hint - n, fmt, ap);
    va_end(ap);
}

/* What the workers of this machine said last. */
static void add_last_words(const struct run *r, struct err *e)
{
    char *path = fs_join(r->folder, "worker.log");
    struct buf tail = BUF_INIT(sizeof e->cause - 1);

    if (path && !e->cause[0] && (e->code == LC_WORKER || e->code == LC_TIMEOUT)) {
        for (size_t lines = LAST_LINES; lines > 0 && tail.len == 0; lines--) { /* as many as fit */
            buf_clear(&tail);
            job_tail(path, lines, &tail);
            if (tail.failed)
                buf_clear(&tail);
        }
        (void)snprintf(e->cause, sizeof e->cause, "%s", buf_str(&tail));
    }
    buf_release(&tail);
    mem_free(path);
}

static void end_run(struct coordinator *c, struct run *r, enum job_status status, const json_t *error)
{
    struct err err;

    if (coordinator_record(c, r->id, status, r->result, error, &err) != LC_OK)
        coordinator_say("job %s: %s", r->id, err.message);
    run_event(r, json_pack("{s:s, s:s, s:O*, s:O*}", "event", "status", "status", job_status_name(status),
                           "error", error, "result", r->result));
    coordinator_say("job %s: %s", r->id, job_status_name(status));
    end_local_workers(c, r);
    drop_run(c, r);
}

/* True: the job is in the queue again. */
static bool restart(struct coordinator *c, struct run *r, const char *checkpoint)
{
    const json_t *limit = json_object_get(r->spec, "max_restarts");
    int64_t most = json_is_integer(limit) ? json_integer_value(limit) : RESTARTS;
    json_t *error;
    bool again = false;
    struct err err;

    if (r->cancel_ns ||
        (r->cause.code != LC_WORKER && r->cause.code != LC_TIMEOUT && r->cause.code != LC_NET))
        return false;
    end_local_workers(c, r); /* before somebody else is given their work */
    if (job_restart(c->ws, r->id, checkpoint, most, &again, &err) != LC_OK)
        coordinator_say("job %s: %s", r->id, err.message);
    if (!again) {
        if (most > 0)
            add_hint(&r->cause, "%sit was started again %lld times without a new checkpoint",
                     r->cause.hint[0] ? "; " : "", (long long)most);
        return false;
    }
    error = error_json(&r->cause);
    run_event(r, json_pack("{s:s, s:s, s:s, s:O*}", "event", "status", "status", "restarting", "resume",
                           checkpoint, "error", error));
    coordinator_say("job %s: %s; it goes on from %s", r->id, r->cause.message,
                    checkpoint[0] ? checkpoint : "the beginning");
    json_decref(error);
    drop_run(c, r);
    return true;
}

static void end_badly(struct coordinator *c, struct run *r)
{
    bool cancelled = r->cause.code == LC_CANCELLED && r->cancel_ns;
    char checkpoint[64];
    json_t *error;

    job_last_checkpoint(r->folder, checkpoint);
    if (r->cause.code == LC_CANCELLED && !cancelled)
        r->cause.code = LC_WORKER; /* a rank was told to end, not the job */
    add_last_words(r, &r->cause);
    if (restart(c, r, checkpoint))
        return;
    if (checkpoint[0])
        add_hint(&r->cause, "%sjob:resume() goes on from %s", r->cause.hint[0] ? "; " : "", checkpoint);
    error = error_json(&r->cause);
    json_decref(r->result);
    r->result = NULL;
    end_run(c, r, cancelled ? JOB_CANCELLED : JOB_FAILED, error);
    json_decref(error);
}

/* Everyone has ended, or was waited for long enough. */
static void conclude(struct coordinator *c, struct run *r)
{
    for (size_t i = 0; i < c->n_peers; i++) {
        struct peer *p = &c->peers[i];

        if (p->run != r)
            continue;
        p->run = NULL;
        if (!r->ranks[p->rank].ended) /* it may be busy still: it starts afresh */
            (void)coordinator_send(c, p->id,
                                   json_pack("{s:s, s:s}", "type", "release", "reason",
                                             r->finished ? "the job has ended" : r->cause.message));
    }
    if (r->finished && run_publish(r, &r->cause) == LC_OK)
        end_run(c, r, JOB_FINISHED, NULL);
    else
        end_badly(c, r);
}

static bool all_ended(const struct run *r)
{
    for (int i = 0; i < r->n_ranks; i++)
        if (!r->ranks[i].ended)
            return false;
    return true;
}

static void cancel_others(struct coordinator *c, struct run *r)
{
    for (int i = 0; i < r->n_ranks; i++) {
        struct rank *k = &r->ranks[i];

        if (k->ended)
            continue;
        if (!k->peer[0])
            k->ended = true; /* it has not begun */
        else
            (void)coordinator_send(c, k->peer, json_pack("{s:s, s:s}", "type", "cancel", "job", r->id));
    }
}

void rank_failed(struct coordinator *c, struct run *r, int rank, const struct err *e, bool hearsay)
{
    r->ranks[rank].ended = true;
    if (r->finished)
        return;
    if (!r->ending_ns ||
        (e->code != LC_CANCELLED && !hearsay && (r->hearsay || r->cause.code == LC_CANCELLED))) {
        r->cause = *e;
        r->hearsay = hearsay;
    }
    if (!r->ending_ns) {
        r->ending_ns = clock_mono_ns();
        cancel_others(c, r);
    }
}

void rank_done(struct coordinator *c, struct run *r, int rank, const json_t *result)
{
    struct err err;
    char *output;

    r->ranks[rank].ended = true;
    if (rank != 0 || r->ending_ns)
        return;
    r->finished = true;
    r->ending_ns = clock_mono_ns();
    json_decref(r->result);
    r->result = json_incref((json_t *)(uintptr_t)result);
    output = fs_join(r->folder, "output");
    if (r->track && output && track_result(r->track, r->result, output, &err) != LC_OK)
        coordinator_say("job %s: %s", r->id, err.message);
    mem_free(output);
    (void)c;
}

/* ---- what is noticed ------------------------------------------------------------------------------------- */

static void where_it_was(const struct rank *k, char out[260])
{
    if (k->step > 0)
        (void)snprintf(out, 260, "in step %lld", (long long)k->step);
    else
        (void)snprintf(out, 260, "while %s", k->phase[0] ? k->phase : "starting");
}

static void worker_died(struct coordinator *c, struct run *r, int rank)
{
    struct rank *k = &r->ranks[rank];
    int status = k->exit_status;
    char where[260];
    struct err e;

    where_it_was(k, where);
    if (r->cancel_ns) {
        (void)err_set(&e, LC_CANCELLED, "cancelled");
    } else if (WIFSIGNALED(status)) {
        (void)err_set(&e, LC_WORKER, "worker '%s' (%s) was killed by signal %d (%s) %s", k->worker, k->about,
                      WTERMSIG(status), strsignal(WTERMSIG(status)), where);
        if (WTERMSIG(status) == SIGKILL)
            add_hint(
                &e,
                "signal 9 is also what the kernel sends when memory runs out: a smaller batch or max_length "
                "needs less");
    } else if (WEXITSTATUS(status) == 128 + SIGTERM) {
        (void)err_set(&e, LC_WORKER, "worker '%s' (%s) was told to end (SIGTERM) %s", k->worker, k->about,
                      where);
    } else {
        (void)err_set(&e, LC_WORKER, "worker '%s' (%s) ended with status %d %s", k->worker, k->about,
                      WEXITSTATUS(status), where);
    }
    rank_failed(c, r, rank, &e, false);
}

void lose_peer(struct coordinator *c, const char *id, const char *how)
{
    struct peer *p = find_peer(c, id);
    struct run *r = p ? p->run : NULL;
    int rank = p ? p->rank : 0;
    char where[260], why[LINK_TEXT];
    struct rank *k;
    struct err e;

    if (!p)
        return;
    (void)snprintf(why, sizeof why, "%s", how);
    coordinator_say("worker '%s' (%s) is lost: %s", p->user, p->about, why);
    *p = c->peers[--c->n_peers];
    coordinator_write_about(c);
    if (!r || r->ranks[rank].ended)
        return;
    k = &r->ranks[rank];
    if (reap(k)) /* our own child: its exit status says more */
        return worker_died(c, r, rank);
    where_it_was(k, where);
    (void)err_set(&e, r->cancel_ns ? LC_CANCELLED : LC_WORKER, "worker '%s' (%s) was lost %s: %s", k->worker,
                  k->about, where, why);
    rank_failed(c, r, rank, &e, false);
}

static void request_cancel(struct coordinator *c, struct run *r, const char *why)
{
    if (r->cancel_ns)
        return;
    r->cancel_ns = clock_mono_ns();
    if (r->finished)
        return;
    if (!r->ending_ns) {
        r->ending_ns = r->cancel_ns;
        (void)err_set(&r->cause, LC_CANCELLED, "%s", why);
        cancel_others(c, r);
    }
}

static int64_t stall_limit_ms(const struct run *r, const struct rank *k)
{
    int64_t s = json_integer_value(json_object_get(r->spec, "stall_seconds"));

    return (s > 0 ? s : k->step > 0 ? STALL_S : PREPARE_S) * 1000;
}

/* What is wrong with a rank, in time. */
static enum lc check_rank(const struct run *r, const struct rank *k, struct err *e)
{
    if (reap((struct rank *)(uintptr_t)k) || k->ended)
        return LC_OK;
    if (!k->peer[0] && k->pid && ms_since(k->spawned_ns) > ATTACH_MS)
        return err_set(e, LC_TIMEOUT, "worker '%s' (%s) did not attach within %d s", k->worker, k->about,
                       ATTACH_MS / 1000);
    if (!r->given)
        return LC_OK;
    if (ms_since(k->heard_ns) > SILENT_MS)
        return err_set(e, LC_TIMEOUT, "worker '%s' (%s) has been silent for %d s", k->worker, k->about,
                       SILENT_MS / 1000);
    if (!k->waiting && ms_since(k->since_ns) > stall_limit_ms(r, k))
        return err_set(e, LC_TIMEOUT, "worker '%s' (%s) is stalled: %lld s in step %lld (%s)", k->worker,
                       k->about, (long long)(ms_since(k->since_ns) / 1000), (long long)k->step,
                       k->phase[0] ? k->phase : "starting");
    return LC_OK;
}

static void check_ranks(struct coordinator *c, struct run *r)
{
    struct err e;

    for (int i = 0; i < r->n_ranks; i++) {
        struct rank *k = &r->ranks[i];

        if (!k->ended && reap(k) &&
            ms_since(k->exited_ns) >
                (k->peer[0] ? 10 * GRACE_MS : GRACE_MS)) /* a lost connection comes first */
            worker_died(c, r, i);
        else if (!r->ending_ns && check_rank(r, k, &e) != LC_OK) {
            if (k->peer[0])
                (void)coordinator_send(c, k->peer,
                                       json_pack("{s:s, s:s}", "type", "release", "reason", e.message));
            rank_failed(c, r, i, &e, false);
        }
    }
}

/* The cause of an end that took too long names who did not answer. */
static void note_late(struct run *r)
{
    for (int i = 0; i < r->n_ranks; i++)
        if (!r->ranks[i].ended && r->cause.code == LC_CANCELLED)
            (void)err_set(&r->cause, LC_CANCELLED,
                          "cancelled; worker '%s' did not answer within %d s and was ended",
                          r->ranks[i].worker, END_MS / 1000);
}

static void look_at_wishes(struct coordinator *c, struct run *r)
{
    bool cancel = false;
    int64_t saves = r->saves;

    if (job_asked(c->ws, r->id, &cancel, &saves, NULL) != LC_OK)
        return;
    if (!cancel && r->owner_pid)
        cancel = !process_is_alive(r->owner_pid, r->owner_start);
    if (cancel)
        request_cancel(c, r, "cancelled");
    if (saves > r->saves && r->given && !r->ending_ns) {
        r->saves = saves;
        (void)coordinator_send(c, r->ranks[0].peer, json_pack("{s:s, s:s}", "type", "save", "job", r->id));
    }
}

bool watch_run(struct coordinator *c, struct run *r, bool look)
{
    if (look)
        look_at_wishes(c, r);
    check_ranks(c, r);
    if (!r->ending_ns)
        return true;
    if (!all_ended(r) && ms_since(r->ending_ns) <= END_MS)
        return true;
    note_late(r);
    conclude(c, r);
    return false;
}
