/* coordinator_place.c: which job gets which workers. An attached worker is a device, and so are the processors of this
 * machine; jobs are served in their order, and each one that waits says for whom. */
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/base/plural.h"
#include "runtime/base/process.h"
#include "runtime/train/coordinator_int.h"
#include "runtime/train/track.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    INVITED_MS = 4000, /* how long invited workers may take to attach before local ones are started */
    REATTACH_MS =
        10000, /* how long those that a job had may take to come again before it goes on with fewer */
    WAITS_MOST = 200
};

static bool is_local_worker(const char *name)
{
    return strncmp(name, "local-", 6) == 0;
}

/* "a, b" */
static const char *run_workers(const struct run *r, char out[200])
{
    size_t n = 0;

    out[0] = '\0';
    for (int i = 0; i < r->n_ranks && n < 200; i++) {
        int m = snprintf(out + n, 200 - n, "%s%s", i ? ", " : "", r->ranks[i].worker);
        n += m > 0 ? (size_t)m : 0;
    }
    return out;
}

/* ---- giving work ----------------------------------------------------------------------------------------- */

static void start_tracking(struct run *r)
{
    const char *run = json_string_value(json_object_get(r->spec, "run_id")),
               *board = json_string_value(json_object_get(r->spec, "tensorboard"));
    struct err err;
    char text[1100];

    if ((!run && !board) || r->track || track_open(run, board, &r->track, &err) == LC_OK)
        return;
    (void)snprintf(text, sizeof text, "warning: the tracking run gets no more of this job: %s", err.message);
    run_event(r, json_pack("{s:s, s:s}", "event", "log", "text", text));
}

static json_t *worker_rows_of(const struct run *r)
{
    json_t *list = json_array();

    for (int i = 0; i < r->n_ranks; i++)
        json_array_append_new(list, json_pack("{s:i, s:s, s:s}", "rank", i, "worker", r->ranks[i].worker,
                                              "about", r->ranks[i].about));
    return list;
}

/* Every rank has its worker: all are told what to do. */
static void begin_run(struct coordinator *c, struct run *r)
{
    char workers[200];
    struct err err;

    r->given = true;
    hex_make(r->token, 32);
    run_workers(r, workers);
    run_event(r, json_pack("{s:s, s:s, s:s, s:s, s:o}", "event", "status", "status", "running", "worker",
                           workers, "about", r->ranks[0].about, "ranks", worker_rows_of(r)));
    coordinator_say("job %s: given to %s", r->id, workers);
    if (job_given(c->ws, r->id, workers, &err) !=
        LC_OK) /* a note for those who list jobs; the work goes on */
        coordinator_say("job %s: %s", r->id, err.message);
    start_tracking(r);
    for (int i = 0; i < r->n_ranks && !r->ending_ns; i++)
        if (!coordinator_send(c, r->ranks[i].peer, run_message(r, i))) {
            (void)err_set(&err, LC_WORKER, "worker '%s' (%s) cannot be reached", r->ranks[i].worker,
                          r->ranks[i].about);
            rank_failed(c, r, i, &err, false);
        }
    coordinator_write_about(c);
}

void attach_rank(struct coordinator *c, struct run *r, int rank, struct peer *p)
{
    struct rank *k = &r->ranks[rank];
    bool all = true;

    p->run = r;
    p->rank = rank;
    memcpy(k->peer, p->id, sizeof k->peer);
    memcpy(k->address, p->address, sizeof k->address);
    memcpy(k->host, p->host, sizeof k->host);
    (void)snprintf(k->worker, sizeof k->worker, "%s", p->user);
    (void)snprintf(k->about, sizeof k->about, "%s", p->about);
    k->cores = p->cores;
    k->since_ns = k->heard_ns = clock_mono_ns();
    for (int i = 0; i < r->n_ranks; i++)
        all = all && r->ranks[i].peer[0];
    if (all && !r->given && !r->ending_ns)
        begin_run(c, r);
}

static enum lc spawn_worker(struct coordinator *c, struct run *r, int rank, struct err *err)
{
    struct rank *rk = &r->ranks[rank];
    struct worker_key k;
    char program[4096], name[40];
    char *key_file, *log;
    enum lc rc;

    (void)snprintf(name, sizeof name, rank ? "worker-%d.key" : "worker.key", rank);
    key_file = fs_join(r->folder, name);
    (void)snprintf(name, sizeof name, rank ? "worker-%d.log" : "worker.log", rank);
    log = fs_join(r->folder, name);
    const char *argv[] = {program, "worker", "--connect", c->local_endpoint,
                          "--key", key_file, "--once",    NULL};
    rc = key_file && log ? coordinator_program(c->program, program, err) : err_nomem(err);
    key_make(&k.mine);
    memcpy(k.server, c->key.pub, KEY_BYTES);
    (void)snprintf(k.name, sizeof k.name, "local-%s-", r->id + 4);
    hex_make(k.name + strlen(k.name), 4);
    if (rc == LC_OK)
        rc = worker_key_save(key_file, &k, err);
    if (rc == LC_OK && !allow_add(c->allow, k.name, k.mine.pub))
        rc = err_nomem(err);
    if (rc == LC_OK)
        rc = process_start(argv, log, &rk->pid, err);
    if (rc == LC_OK) {
        (void)snprintf(rk->worker, sizeof rk->worker, "%s", k.name);
        (void)snprintf(rk->about, sizeof rk->about, "pid %d on this machine", (int)rk->pid);
        rk->spawned_ns = clock_mono_ns();
    }
    key_wipe(&k.mine);
    mem_free(key_file);
    mem_free(log);
    return rc;
}

/* ---- placing --------------------------------------------------------------------------------------------- */

struct devices {
    int attached, idle; /* workers from elsewhere */
    const struct run *busy, *local;
};

static bool counts(const struct peer *p)
{
    return !p->lost_ns && p->about[0] && !is_local_worker(p->user);
}

static struct devices look_at_devices(const struct coordinator *c)
{
    struct devices d = {0};

    for (size_t i = 0; i < c->n_peers; i++) {
        d.attached += counts(&c->peers[i]);
        d.idle += counts(&c->peers[i]) && !c->peers[i].run;
        if (counts(&c->peers[i]) && c->peers[i].run)
            d.busy = c->peers[i].run;
    }
    for (size_t i = 0; i < c->n_runs; i++)
        if (c->runs[i]->local)
            d.local = c->runs[i];
    return d;
}

static void note_wait(struct coordinator *c, const struct job_info *j, const char *text)
{
    char *folder;
    struct err err;

    if (strcmp(j->waits, text) == 0)
        return;
    if (job_waits(c->ws, j->id, text, &err) != LC_OK)
        return coordinator_say("job %s: %s", j->id, err.message);
    folder = job_folder(j->id, &err);
    if (!folder ||
        job_log(folder, json_pack("{s:s, s:s, s:s}", "event", "status", "status", "queued", "waits", text),
                &err) != LC_OK)
        coordinator_say("job %s: %s", j->id, err.message);
    mem_free(folder);
}

static void failed_to_start(struct coordinator *c, const char *id, const struct err *e)
{
    json_t *error = error_json(e);
    struct err err;

    coordinator_say("job %s: %s", id, e->message);
    if (coordinator_record(c, id, JOB_FAILED, NULL, error, &err) != LC_OK)
        coordinator_say("job %s: %s", id, err.message);
    json_decref(error);
}

static struct run *open_run(struct coordinator *c, const struct job_info *j, int ranks, bool local)
{
    struct run *r = NULL;
    struct err err;

    if (run_open(j, &r, &err) != LC_OK || job_start(c->ws, j->id, "", &err) != LC_OK) {
        failed_to_start(c, j->id, &err);
        run_free(r);
        return NULL;
    }
    r->n_ranks = ranks;
    r->local = local;
    r->saves = j->saves;
    for (int i = 0; i < ranks; i++)
        r->ranks[i].since_ns = clock_mono_ns();
    c->runs[c->n_runs++] = r;
    coordinator_say("job %s: started on %d rank%s%s%s", j->id, ranks, PLURAL(ranks),
                    j->resume[0] ? " from " : "", j->resume);
    return r;
}

static void start_attached(struct coordinator *c, const struct job_info *j, int ranks)
{
    struct run *r = open_run(c, j, ranks, false);
    int rank = 0;

    for (size_t i = 0; r && i < c->n_peers && rank < ranks; i++)
        if (counts(&c->peers[i]) && !c->peers[i].run)
            attach_rank(c, r, rank++, &c->peers[i]);
}

static void start_local(struct coordinator *c, const struct job_info *j, int ranks)
{
    struct run *r = open_run(c, j, ranks, true);
    struct err err;

    for (int i = 0; r && i < ranks && !r->ending_ns; i++)
        if (spawn_worker(c, r, i, &err) != LC_OK)
            rank_failed(c, r, i, &err, false);
}

static int ranks_wanted(const struct job_info *j)
{
    int64_t n = j->ranks > 0 ? j->ranks : json_integer_value(json_object_get(j->spec, "ranks"));

    return n < 1 ? 1 : n > RUN_RANKS ? RUN_RANKS : (int)n;
}

/* True: it has started, or will not. False: it waits, and text says for what. */
static bool place(struct coordinator *c, const struct job_info *j, const char *ahead, char text[WAITS_MOST])
{
    struct devices d = look_at_devices(c);
    int64_t waited = clock_wall_ms() - j->queued;
    int n = ranks_wanted(j);
    bool had_them = j->restarts > 0 && d.attached > 0 && waited > REATTACH_MS;

    text[0] = '\0';
    if (ahead && (d.attached > 0 || d.local))
        (void)snprintf(text, WAITS_MOST, "after job %s, which waits, too", ahead);
    else if (c->invited && d.attached < n &&
             (waited < INVITED_MS || (j->restarts > 0 && waited < REATTACH_MS)))
        (void)snprintf(text, WAITS_MOST, "for invited workers to attach (%d of %d)", d.attached, n);
    else if (d.idle >= n || (had_them && d.idle > 0))
        return start_attached(c, j, d.idle < n ? d.idle : n), true;
    else if ((d.attached >= n || had_them) && d.busy)
        (void)snprintf(text, WAITS_MOST, "for job %s on worker %.60s", d.busy->id, d.busy->ranks[0].worker);
    else if (d.local)
        (void)snprintf(text, WAITS_MOST, "for job %s on this machine", d.local->id);
    else
        return start_local(c, j, n), true;
    return false;
}

void look_for_jobs(struct coordinator *c)
{
    json_t *ids, *id;
    size_t i;
    struct err err;
    char ahead[JOB_ID] = "", text[WAITS_MOST];

    if (job_ids(c->ws, JOB_QUEUED, &ids, &err) != LC_OK)
        return coordinator_say("%s", err.message);
    json_array_foreach (ids, i, id) {
        struct job_info j;
        if (c->n_runs == RUNS_MOST || job_get(c->ws, json_string_value(id), &j, &err) != LC_OK)
            break;
        if (!place(c, &j, ahead[0] ? ahead : NULL, text)) {
            note_wait(c, &j, text);
            memcpy(ahead, j.id, sizeof ahead);
        }
        job_info_release(&j);
    }
    json_decref(ids);
}
