#include "runtime/train/coordinator.h"
#include "runtime/base/clock.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/base/process.h"
#include "runtime/train/process_id.h"
#include "runtime/train/run.h"
#include "runtime/train/track.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    RUNS_MOST = 64,
    PEERS_MOST = 256,
    TICK_MS = 100,
    LOOK_MS = 200,         /* between two looks at the queue */
    ATTACH_MS = 60000,     /* a local worker's time to say hello */
    INVITED_MS = 4000,     /* how long invited workers may take to attach before a local one is started */
    SILENT_MS = 60000,     /* without a beat */
    STALL_S = 1800,        /* in one step, unless the spec says otherwise */
    PREPARE_S = 600,       /* in one part of what comes before the first */
    PULSE_MS = 1000,       /* between two signs of life */
    REPLACED_S = 10,       /* how long the program's file may be missing: it is being built */
    LEAVE_S = 10,          /* how long an idle coordinator of another version may take to end */
    CANCEL_MS = 30000,     /* from "cancel" to the worker's end */
    ATTEMPTS_MOST = 5,     /* of a job whose coordinator dies again and again */
    STAY_MS = 3600 * 1000, /* idle time when workers from elsewhere are invited */
    GRACE_MS = 300,        /* from a connection's end to the worker's: what it said last is still read */
    RESERVE = 1 << 20,     /* bytes */
    LAST_LINES = 12
};

struct peer {
    char id[LINK_PEER], user[KEY_NAME];
    char about[160];
    int64_t memory, cores;
    struct run *run;           /* borrowed from the coordinator; NULL: idle */
    int64_t heard_ns, lost_ns; /* lost_ns: its connection is gone since then; 0: it is not */
    char how[LINK_TEXT];
};

struct coordinator {
    struct workspace *ws;       /* owned */
    struct allow *allow;        /* owned */
    struct link_server *server; /* owned */
    struct key_pair key;
    const char *program;
    char local_endpoint[256]; /* how this machine's own workers reach it */
    struct run *runs[RUNS_MOST];
    size_t n_runs;
    struct peer peers[PEERS_MOST];
    size_t n_peers;
    int64_t looked_ns, busy_ns, pulse_ns;
    int lock;         /* borrowed descriptor of the lock file: its time is the sign of life */
    char own[4096];   /* this program's file, */
    struct stat file; /* and what it was at the start */
    bool replaced;    /* another build is there now: no longer than the jobs it has */
    bool invited;     /* workers from elsewhere may come */
};

static void say(const char *fmt, ...) PRINTF_LIKE(1, 2);
static void say(const char *fmt, ...)
{
    char when[ISO_TEXT];
    va_list ap;

    clock_iso(clock_wall_ms(), when);
    fprintf(stderr, "%s coordinator: ", when);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

static int64_t ms_since(int64_t ns)
{
    return (clock_mono_ns() - ns) / 1000000;
}

/* ---- files of the coordinator ------------------------------------------------------------------------------ */

static char *workers_file(const char *name, struct err *err)
{
    char below[64], *dir = fs_home("workers", err), *path = NULL;

    if (dir && fs_mkdirs(dir, err) == LC_OK) {
        (void)snprintf(below, sizeof below, "workers/%s", name);
        path = fs_home(below, err);
    }
    mem_free(dir);
    return path;
}

/* The descriptor that holds the lock, or -1: another process has it (or err is set). */
static int take_lock(struct err *err)
{
    char *path = workers_file("coordinator.lock", err);
    int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;

    if (path && fd < 0)
        (void)err_errno(err, errno, "cannot open '%s'", path);
    mem_free(path);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

bool coordinator_running(void)
{
    struct err err;
    int fd = take_lock(&err);

    if (fd >= 0)
        close(fd);
    return fd < 0;
}

int64_t coordinator_silence(void)
{
    char *path = workers_file("coordinator.lock", NULL);
    struct stat st;
    int64_t ms = path && stat(path, &st) == 0
                     ? clock_wall_ms() - ((int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000)
                     : 0;

    mem_free(path);
    return ms > 0 ? ms : 0;
}

char *coordinator_log(void)
{
    return workers_file("coordinator.log", NULL);
}

static enum lc program_path(const char *program, char out[4096], struct err *err)
{
    ssize_t n;
    char *gone;

    if (program)
        return (void)snprintf(out, 4096, "%s", program), LC_OK;
    n = readlink("/proc/self/exe", out, 4095);
    if (n < 0)
        return err_errno(err, errno, "cannot find this program's own file");
    out[n] = '\0';
    gone = strstr(out, " (deleted)");
    if (gone && gone[strlen(" (deleted)")] == '\0')
        *gone = '\0'; /* replaced since: what is there now fits the plugins beside it */
    for (int i = 0; i < REPLACED_S * 10 && access(out, X_OK) != 0; i++)
        usleep(100000);
    if (access(out, X_OK) == 0)
        return LC_OK;
    (void)err_errno(err, errno, "cannot run '%s'", out);
    return err_hint(err, "the program was removed or is being built: try again when it is there");
}

/* A coordinator of another version must not take this one's jobs. An idle one is asked to leave. */
static enum lc replace_other_version(struct err *err)
{
    json_t *about = NULL, *worker;
    const char *version;
    bool busy = false;
    pid_t pid;
    size_t i;

    if (coordinator_about(&about, NULL) != LC_OK) /* it is just starting or ending */
        return LC_OK;
    version = json_string_value(json_object_get(about, "version"));
    pid = (pid_t)json_integer_value(json_object_get(about, "pid"));
    json_array_foreach (json_object_get(about, "workers"), i, worker)
        busy = busy || *json_string_value(json_object_get(worker, "job"));
    if (version && strcmp(version, LACUS_VERSION) == 0)
        return json_decref(about), LC_OK;
    if (busy) {
        (void)err_set(err, LC_CONFLICT,
                      "a coordinator of another version of lacus (%.40s, pid %d) runs jobs in this workspace",
                      version ? version : "older", (int)pid);
        json_decref(about);
        return err_hint(err, "wait for its jobs or cancel them; this is version " LACUS_VERSION);
    }
    json_decref(about);
    (void)kill(pid, SIGTERM);
    for (int k = 0; k < LEAVE_S * 10 && coordinator_running(); k++)
        usleep(100000);
    return LC_OK;
}

enum lc coordinator_ensure(const char *program, struct err *err)
{
    char path[4096], *log;
    const char *argv[] = {path, "coordinator", NULL};
    pid_t pid;
    enum lc rc;

    if (coordinator_running())
        TRY(replace_other_version(err));
    if (coordinator_running())
        return LC_OK;
    TRY(program_path(program, path, err));
    log = coordinator_log();
    rc = log ? process_start(argv, log, &pid, err) : err_nomem(err);
    mem_free(log);
    return rc;
}

enum lc coordinator_about(json_t **out, struct err *err)
{
    char *path = workers_file("coordinator.json", err);
    struct buf text = BUF_INIT(1 << 16);
    enum lc rc = path ? fs_read(path, &text, err) : LC_IO;

    if (rc == LC_OK) {
        *out = json_loads(buf_str(&text), 0, NULL);
        if (!*out || !process_is_alive(json_integer_value(json_object_get(*out, "pid")),
                                       json_integer_value(json_object_get(*out, "start")))) {
            json_decref(*out);
            rc = err_set(err, LC_NOTFOUND, "no coordinator runs in this workspace");
        }
    }
    buf_release(&text);
    mem_free(path);
    return rc;
}

enum lc coordinator_bind(const char *endpoint, char out[256], struct err *err)
{
    char *path = workers_file("bind", err);
    struct buf text = BUF_INIT(255);
    enum lc rc = !path ? LC_IO : endpoint ? fs_write(path, endpoint, strlen(endpoint), err) : LC_OK;

    out[0] = '\0';
    if (rc == LC_OK && fs_exists(path))
        rc = fs_read(path, &text, err);
    (void)snprintf(out, 256, "%s", buf_str(&text));
    buf_release(&text);
    mem_free(path);
    return rc;
}

static void write_about(struct coordinator *c)
{
    char *path = workers_file("coordinator.json", NULL), hex[KEY_HEX], *text;
    json_t *about, *workers = json_array();
    struct err err;

    key_hex(c->key.pub, hex);
    for (size_t i = 0; i < c->n_peers; i++)
        json_array_append_new(workers, json_pack("{s:s, s:s, s:s}", "name", c->peers[i].user, "about",
                                                 c->peers[i].about, "job",
                                                 c->peers[i].run ? c->peers[i].run->id : ""));
    about = json_pack("{s:s, s:i, s:I, s:s, s:s, s:o}", "version", LACUS_VERSION, "pid", (int)getpid(),
                      "start", (json_int_t)process_start_time(getpid()), "endpoint",
                      link_server_endpoint(c->server), "public_key", hex, "workers", workers);
    text = about ? json_dumps(about, 0) : NULL;
    if (path && text && fs_write_private(path, text, strlen(text), &err) != LC_OK)
        say("%s", err.message);
    free(text);
    json_decref(about);
    mem_free(path);
}

/* ---- the end of a job ------------------------------------------------------------------------------------ */

static struct peer *peer_of(struct coordinator *c, const struct run *r)
{
    for (size_t i = 0; i < c->n_peers; i++)
        if (c->peers[i].run == r)
            return &c->peers[i];
    return NULL;
}

static void log_event(const struct run *r, json_t *event)
{
    struct err err;

    if (!event || job_log(r->folder, event, &err) != LC_OK)
        say("job %s: cannot log an event", r->id);
}

static void send_or_say(struct coordinator *c, const char *peer, json_t *head)
{
    struct err err;

    if (link_server_send(c->server, peer, head, NULL, 0, &err) != LC_OK)
        say("%s", err.message);
}

/* Notes the end of a run's own worker. True: it has ended. */
static bool reap(struct run *r)
{
    if (r->pid > 0 && !r->exited_ns && waitpid(r->pid, &r->exit_status, WNOHANG) == r->pid)
        r->exited_ns = clock_mono_ns();
    return r->exited_ns != 0;
}

static void end_local_worker(struct coordinator *c, struct run *r)
{
    if (r->pid > 0) {
        allow_remove(c->allow, r->worker);
        if (!reap(r)) {
            kill(r->pid, SIGKILL);
            while (waitpid(r->pid, NULL, 0) < 0 && errno == EINTR)
                ;
        }
    }
    r->pid = 0;
}

static void drop_run(struct coordinator *c, struct run *r)
{
    for (size_t i = 0; i < c->n_runs; i++)
        if (c->runs[i] == r)
            c->runs[i] = c->runs[--c->n_runs];
    run_free(r);
    write_about(c);
}

/* A little room that is given up when the disk is full: how a job ended can then still be written. */
static void keep_reserve(void)
{
    char *path = workers_file("reserve", NULL);
    int fd = path ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) : -1;

    if (fd >= 0 && posix_fallocate(fd, 0, RESERVE) != 0)
        say("there is no room for the reserve: the disk is full");
    if (fd >= 0)
        close(fd);
    mem_free(path);
}

static void give_up_reserve(void)
{
    char *path = workers_file("reserve", NULL);

    if (path)
        (void)unlink(path);
    mem_free(path);
}

static enum lc record_end(struct coordinator *c, const char *id, enum job_status status, const json_t *result,
                          const json_t *error, struct err *err)
{
    enum lc rc = job_end(c->ws, id, status, result, error, err);

    if (rc == LC_NOSPACE) {
        give_up_reserve();
        rc = job_end(c->ws, id, status, result, error, err);
    }
    return rc;
}

static void end_run(struct coordinator *c, struct run *r, enum job_status status, const json_t *result,
                    const json_t *error)
{
    struct peer *p = peer_of(c, r);
    struct err err;

    if (p)
        p->run = NULL;
    if (record_end(c, r->id, status, result, error, &err) != LC_OK)
        say("job %s: %s", r->id, err.message);
    log_event(r, json_pack("{s:s, s:s, s:O*, s:O*}", "event", "status", "status", job_status_name(status),
                           "error", error, "result", result));
    say("job %s: %s", r->id, job_status_name(status));
    end_local_worker(c, r);
    drop_run(c, r);
}

static json_t *error_json(const struct err *e)
{
    return json_pack("{s:s, s:s, s:s, s:s}", "code", lc_name(e->code), "message", e->message, "hint", e->hint,
                     "cause", e->cause);
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

/* Adds what the worker said last and how to go on. */
static void fail_run(struct coordinator *c, struct run *r, struct err *e)
{
    char *path = fs_join(r->folder, "worker.log"), checkpoint[64];
    struct buf tail = BUF_INIT(sizeof e->cause - 1);
    json_t *error;

    job_last_checkpoint(r->folder, checkpoint);
    if (checkpoint[0])
        add_hint(e, "%sjob:resume() goes on from %s", e->hint[0] ? "; " : "", checkpoint);
    if (path && !e->cause[0] && (e->code == LC_WORKER || e->code == LC_TIMEOUT)) {
        for (size_t lines = LAST_LINES; lines > 0 && tail.len == 0; lines--) { /* as many as fit */
            buf_clear(&tail);
            job_tail(path, lines, &tail);
            if (tail.failed)
                buf_clear(&tail);
        }
        (void)snprintf(e->cause, sizeof e->cause, "%s", buf_str(&tail));
    }
    error = error_json(e);
    end_run(c, r, e->code == LC_CANCELLED ? JOB_CANCELLED : JOB_FAILED, NULL, error);
    json_decref(error);
    buf_release(&tail);
    mem_free(path);
}

static void where_it_was(const struct run *r, char out[260])
{
    if (r->step > 0)
        (void)snprintf(out, 260, "in step %lld", (long long)r->step);
    else
        (void)snprintf(out, 260, "while %s", r->phase[0] ? r->phase : "starting");
}

static void worker_died(struct coordinator *c, struct run *r)
{
    int status = r->exit_status;
    char where[260];
    struct err e;

    where_it_was(r, where);
    if (r->cancel_ns) {
        (void)err_set(&e, LC_CANCELLED, "cancelled");
    } else if (WIFSIGNALED(status)) {
        (void)err_set(&e, LC_WORKER, "worker '%s' (%s) was killed by signal %d (%s) %s", r->worker, r->about,
                      WTERMSIG(status), strsignal(WTERMSIG(status)), where);
        if (WTERMSIG(status) == SIGKILL)
            add_hint(
                &e,
                "signal 9 is also what the kernel sends when memory runs out: a smaller batch or max_length "
                "needs less");
    } else if (WEXITSTATUS(status) == 128 + SIGTERM) {
        (void)err_set(&e, LC_WORKER, "worker '%s' (%s) was told to end (SIGTERM) %s", r->worker, r->about,
                      where);
    } else {
        (void)err_set(&e, LC_WORKER, "worker '%s' (%s) ended with status %d %s", r->worker, r->about,
                      WEXITSTATUS(status), where);
    }
    fail_run(c, r, &e);
}

/* ---- giving work ----------------------------------------------------------------------------------------- */

static void start_tracking(struct run *r);

static void give(struct coordinator *c, struct run *r, struct peer *p)
{
    struct err err;

    p->run = r;
    memcpy(r->peer, p->id, sizeof r->peer);
    (void)snprintf(r->worker, sizeof r->worker, "%s", p->user);
    (void)snprintf(r->about, sizeof r->about, "%s", p->about);
    r->since_ns = r->heard_ns = clock_mono_ns();
    log_event(r, json_pack("{s:s, s:s, s:s, s:s}", "event", "status", "status", "running", "worker", p->user,
                           "about", p->about));
    say("job %s: given to worker '%s' (%s)", r->id, p->user, p->about);
    if (job_given(c->ws, r->id, p->user, &err) !=
        LC_OK) /* a note for those who list jobs; the work goes on */
        say("job %s: %s", r->id, err.message);
    start_tracking(r);
    send_or_say(c, p->id, run_message(r, r->pid > 0));
    write_about(c);
}

static struct peer *idle_peer(struct coordinator *c)
{
    for (size_t i = 0; i < c->n_peers; i++)
        if (!c->peers[i].run && !c->peers[i].lost_ns && strncmp(c->peers[i].user, "local-", 6) != 0 &&
            c->peers[i].about[0])
            return &c->peers[i];
    return NULL;
}

static enum lc spawn_worker(struct coordinator *c, struct run *r, struct err *err)
{
    struct worker_key k;
    char program[4096], *key_file = fs_join(r->folder, "worker.key"), *log = fs_join(r->folder, "worker.log");
    const char *argv[] = {program, "worker", "--connect", c->local_endpoint,
                          "--key", key_file, "--once",    NULL};
    enum lc rc = key_file && log ? program_path(c->program, program, err) : err_nomem(err);

    key_make(&k.mine);
    memcpy(k.server, c->key.pub, KEY_BYTES);
    (void)snprintf(k.name, sizeof k.name, "local-%s-", r->id + 4);
    hex_make(k.name + strlen(k.name), 4);
    if (rc == LC_OK)
        rc = worker_key_save(key_file, &k, err);
    if (rc == LC_OK && !allow_add(c->allow, k.name, k.mine.pub))
        rc = err_nomem(err);
    if (rc == LC_OK)
        rc = process_start(argv, log, &r->pid, err);
    if (rc == LC_OK) {
        (void)snprintf(r->worker, sizeof r->worker, "%s", k.name);
        (void)snprintf(r->about, sizeof r->about, "pid %d on this machine", (int)r->pid);
        r->spawned_ns = clock_mono_ns();
    }
    key_wipe(&k.mine);
    mem_free(key_file);
    mem_free(log);
    return rc;
}

static void find_worker(struct coordinator *c, struct run *r)
{
    struct peer *p = r->pid ? NULL : idle_peer(c);
    struct err err;

    if (p)
        give(c, r, p);
    else if (!r->pid && (!c->invited || ms_since(r->since_ns) > INVITED_MS) &&
             spawn_worker(c, r, &err) != LC_OK)
        fail_run(c, r, &err);
    else if (r->pid && ms_since(r->spawned_ns) > ATTACH_MS) {
        (void)err_set(&err, LC_TIMEOUT, "worker '%s' (%s) did not attach within %d s", r->worker, r->about,
                      ATTACH_MS / 1000);
        fail_run(c, r, &err);
    }
}

/* For a job that no run stands for. */
static void end_row(struct coordinator *c, const char *id, enum job_status status, const json_t *error)
{
    struct err err;

    if (record_end(c, id, status, NULL, error, &err) != LC_OK)
        say("job %s: %s", id, err.message);
}

static void start_job(struct coordinator *c, const char *id)
{
    struct job_info info;
    struct run *r = NULL;
    struct err err;
    json_t *error;

    if (job_get(c->ws, id, &info, &err) != LC_OK)
        return say("job %s: %s", id, err.message);
    if (run_open(&info, &r, &err) == LC_OK && job_start(c->ws, id, "", &err) == LC_OK) {
        r->since_ns = clock_mono_ns();
        c->runs[c->n_runs++] = r;
        say("job %s: started%s%s", id, info.resume[0] ? " from " : "", info.resume);
    } else {
        say("job %s: %s", id, err.message);
        error = error_json(&err);
        end_row(c, id, JOB_FAILED, error);
        json_decref(error);
        run_free(r);
    }
    job_info_release(&info);
}

static void look_for_jobs(struct coordinator *c)
{
    json_t *ids, *id;
    size_t i;
    struct err err;

    if (job_ids(c->ws, JOB_QUEUED, &ids, &err) != LC_OK)
        return say("%s", err.message);
    json_array_foreach (ids, i, id)
        if (c->n_runs < RUNS_MOST)
            start_job(c, json_string_value(id));
    json_decref(ids);
}

/* Jobs that an earlier coordinator left behind: nobody runs them any more. */
static void adopt_orphans(struct coordinator *c)
{
    json_t *ids, *id;
    size_t i;
    struct err err;

    if (job_ids(c->ws, JOB_RUNNING, &ids, &err) != LC_OK)
        return say("%s", err.message);
    json_array_foreach (ids, i, id) {
        struct job_info info;
        char *folder = job_folder(json_string_value(id), NULL), checkpoint[64] = "";
        if (folder && job_get(c->ws, json_string_value(id), &info, &err) == LC_OK) {
            job_last_checkpoint(folder, checkpoint);
            (void)err_set(&err, LC_WORKER, "the coordinator of this job died %d times", ATTEMPTS_MOST);
            json_t *error = error_json(&err);
            if (info.cancel || info.attempts >= ATTEMPTS_MOST)
                end_row(c, info.id, info.cancel ? JOB_CANCELLED : JOB_FAILED, error);
            else if (job_requeue(c->ws, info.id, checkpoint, &err) != LC_OK)
                say("job %s: %s", info.id, err.message);
            json_decref(error);
            say("job %s: found without a coordinator; %s%s", info.id,
                checkpoint[0] ? "resumes from " : "starts again", checkpoint);
            job_info_release(&info);
        }
        mem_free(folder);
    }
    json_decref(ids);
}

/* ---- watching over runs ---------------------------------------------------------------------------------- */

static void request_cancel(struct coordinator *c, struct run *r)
{
    struct err e;

    if (r->cancel_ns)
        return;
    r->cancel_ns = clock_mono_ns();
    if (r->peer[0])
        return send_or_say(c, r->peer, json_pack("{s:s, s:s}", "type", "cancel", "job", r->id));
    (void)err_set(&e, LC_CANCELLED, "cancelled");
    fail_run(c, r, &e);
}

static int64_t stall_limit_ms(const struct run *r)
{
    int64_t s = json_integer_value(json_object_get(r->spec, "stall_seconds"));

    return (s > 0 ? s : r->step > 0 ? STALL_S : PREPARE_S) * 1000;
}

static bool check_times(struct coordinator *c, struct run *r)
{
    struct err e;

    err_clear(&e);
    if (r->cancel_ns && ms_since(r->cancel_ns) > CANCEL_MS)
        (void)err_set(&e, LC_CANCELLED, "cancelled; worker '%s' did not answer within %d s and was ended",
                      r->worker, CANCEL_MS / 1000);
    else if (r->peer[0] && ms_since(r->heard_ns) > SILENT_MS)
        (void)err_set(&e, LC_TIMEOUT, "worker '%s' (%s) has been silent for %d s", r->worker, r->about,
                      SILENT_MS / 1000);
    else if (r->peer[0] && ms_since(r->since_ns) > stall_limit_ms(r))
        (void)err_set(&e, LC_TIMEOUT, "worker '%s' (%s) is stalled: %lld s in step %lld (%s)", r->worker,
                      r->about, (long long)(ms_since(r->since_ns) / 1000), (long long)r->step,
                      r->phase[0] ? r->phase : "starting");
    if (e.code == LC_OK)
        return true;
    if (r->peer[0])
        send_or_say(c, r->peer, json_pack("{s:s, s:s}", "type", "release", "reason", e.message));
    fail_run(c, r, &e);
    return false;
}

/* False: the run is gone. */
static bool watch_run(struct coordinator *c, struct run *r, bool look)
{
    bool cancel = false;

    if (reap(r) &&
        ms_since(r->exited_ns) > (r->peer[0] ? 10 * GRACE_MS : GRACE_MS)) /* a lost connection comes first */
        return worker_died(c, r), false;
    if (look && job_cancelled(c->ws, r->id, &cancel, NULL) == LC_OK && !cancel && r->owner_pid)
        cancel = !process_is_alive(r->owner_pid, r->owner_start);
    if (cancel && !r->peer[0])
        return request_cancel(c, r), false;
    if (cancel)
        request_cancel(c, r);
    if (!check_times(c, r))
        return false;
    if (!r->peer[0]) {
        size_t n = c->n_runs;
        find_worker(c, r);
        return n == c->n_runs;
    }
    return true;
}

static void refresh_keys(struct coordinator *c)
{
    json_t *rows, *row;
    size_t i;
    unsigned char pub[KEY_BYTES];
    struct err err;

    if (worker_rows(c->ws, &rows, &err) != LC_OK)
        return say("%s", err.message);
    c->invited = false;
    json_array_foreach (rows, i, row) {
        const char *name = json_string_value(json_object_get(row, "name"));
        if (json_integer_value(json_object_get(row, "revoked")) != 0) {
            allow_revoke(c->allow, name);
        } else if (key_from_hex(json_string_value(json_object_get(row, "public_key")), pub)) {
            c->invited = true;
            if (!allow_user(c->allow, name))
                (void)allow_add(c->allow, name, pub);
        }
    }
    json_decref(rows);
}

static void lose_peer(struct coordinator *c, const char *id, const char *how);

/* A revoked worker's messages are dropped already; here it loses its work, too. */
static void drop_revoked(struct coordinator *c)
{
    for (size_t i = 0; i < c->n_peers; i++)
        if (!allow_user(c->allow, c->peers[i].user))
            return lose_peer(c, c->peers[i].id, "its key was revoked");
}

static void drop_lost(struct coordinator *c)
{
    for (size_t i = 0; i < c->n_peers; i++)
        if (c->peers[i].lost_ns && ms_since(c->peers[i].lost_ns) > GRACE_MS)
            return lose_peer(c, c->peers[i].id, c->peers[i].how);
}

static void pulse(struct coordinator *c)
{
    struct stat now;

    if (ms_since(c->pulse_ns) < PULSE_MS)
        return;
    c->pulse_ns = clock_mono_ns();
    (void)futimens(c->lock, NULL);
    if (c->replaced || !c->own[0])
        return;
    c->replaced = stat(c->own, &now) != 0 || now.st_dev != c->file.st_dev || now.st_ino != c->file.st_ino ||
                  now.st_mtim.tv_sec != c->file.st_mtim.tv_sec;
    if (c->replaced)
        say("this program's file '%s' was replaced: it ends with the jobs it has", c->own);
}

static void tick(struct coordinator *c)
{
    bool look = ms_since(c->looked_ns) >= LOOK_MS;

    if (look) {
        c->looked_ns = clock_mono_ns();
        refresh_keys(c);
        drop_revoked(c);
        if (!c->replaced || c->n_runs) /* else the next coordinator takes what waits */
            look_for_jobs(c);
    }
    pulse(c);
    drop_lost(c);
    for (size_t i = 0; i < c->n_runs;)
        if (watch_run(c, c->runs[i], look))
            i++;
    if (c->n_runs)
        c->busy_ns = clock_mono_ns();
}

/* ---- messages -------------------------------------------------------------------------------------------- */

static struct peer *find_peer(struct coordinator *c, const char *id)
{
    for (size_t i = 0; i < c->n_peers; i++)
        if (strcmp(c->peers[i].id, id) == 0)
            return &c->peers[i];
    return NULL;
}

/* What it sent before the end may still be on its way through the queue. */
static void note_lost(struct coordinator *c, const struct link_event *e)
{
    struct peer *p = find_peer(c, e->peer);

    if (!p || p->lost_ns)
        return;
    p->lost_ns = clock_mono_ns();
    (void)snprintf(p->how, sizeof p->how, "%s", e->text);
}

static void lose_peer(struct coordinator *c, const char *id, const char *how)
{
    struct peer *p = find_peer(c, id);
    struct run *r = p ? p->run : NULL;
    char where[260], why[LINK_TEXT];
    struct err e;

    if (!p)
        return;
    (void)snprintf(why, sizeof why, "%s", how);
    say("worker '%s' (%s) is lost: %s", p->user, p->about, why);
    *p = c->peers[--c->n_peers];
    write_about(c);
    if (!r)
        return;
    if (reap(r)) /* our own child: its exit status says more */
        return worker_died(c, r);
    where_it_was(r, where);
    (void)err_set(&e, r->cancel_ns ? LC_CANCELLED : LC_WORKER, "worker '%s' (%s) was lost %s: %s", r->worker,
                  r->about, where, why);
    fail_run(c, r, &e);
}

static void on_hello(struct coordinator *c, struct run *none, struct link_event *e)
{
    struct peer *p = find_peer(c, e->peer);
    struct err err;

    (void)none;
    if (wire_int(&e->msg, "protocol") != WIRE_PROTOCOL) {
        send_or_say(c, e->peer,
                    json_pack("{s:s, s:s}", "type", "release", "reason",
                              "this worker speaks another version of the protocol: install the lacus of the "
                              "workspace's machine"));
        return;
    }
    if (!p && c->n_peers == PEERS_MOST)
        return send_or_say(c, e->peer,
                           json_pack("{s:s, s:s}", "type", "release", "reason", "too many workers"));
    if (!p)
        p = &c->peers[c->n_peers++];
    *p = (struct peer){.memory = wire_int(&e->msg, "memory"),
                       .cores = wire_int(&e->msg, "cores"),
                       .heard_ns = clock_mono_ns()};
    (void)snprintf(p->id, sizeof p->id, "%s", e->peer);
    (void)snprintf(p->user, sizeof p->user, "%s", e->user);
    (void)snprintf(p->about, sizeof p->about, "pid %lld on %.60s, %.60s", (long long)wire_int(&e->msg, "pid"),
                   wire_text(&e->msg, "host"), wire_text(&e->msg, "device"));
    say("worker '%s' (%s) attached", p->user, p->about);
    send_or_say(c, e->peer,
                json_pack("{s:s, s:i, s:s}", "type", "welcome", "protocol", WIRE_PROTOCOL, "name", p->user));
    if (worker_seen(c->ws, p->user, e->msg.head, &err) != LC_OK)
        say("%s", err.message);
    for (size_t i = 0; i < c->n_runs; i++)
        if (c->runs[i]->pid > 0 && !c->runs[i]->peer[0] && strcmp(c->runs[i]->worker, p->user) == 0)
            return give(c, c->runs[i], p);
    write_about(c);
}

static void on_beat(struct coordinator *c, struct run *r, struct link_event *e)
{
    (void)c;
    if (!r)
        return;
    if (r->step != wire_int(&e->msg, "step") || strcmp(r->phase, wire_text(&e->msg, "phase")) != 0)
        r->since_ns = clock_mono_ns();
    r->step = wire_int(&e->msg, "step");
    (void)snprintf(r->phase, sizeof r->phase, "%s", wire_text(&e->msg, "phase"));
}

static void on_want(struct coordinator *c, struct run *r, struct link_event *e)
{
    const char *sha = wire_text(&e->msg, "sha256");
    struct buf part = BUF_INIT(WIRE_PAYLOAD_MAX + 1);
    struct err err;

    r->since_ns = clock_mono_ns();
    if (run_blob(r, sha, wire_int(&e->msg, "offset"), wire_int(&e->msg, "length"), &part, &err) != LC_OK)
        send_or_say(c, e->peer,
                    json_pack("{s:s, s:s, s:s}", "type", "noblob", "sha256", sha, "message", err.message));
    else if (link_server_send(c->server, e->peer,
                              json_pack("{s:s, s:s, s:I}", "type", "chunk", "sha256", sha, "offset",
                                        (json_int_t)wire_int(&e->msg, "offset")),
                              buf_str(&part), part.len, &err) != LC_OK)
        say("%s", err.message);
    buf_release(&part);
}

/* The tracker never stops a job: what goes wrong is said in the job's log, and tracking ends. */
static void stop_tracking(struct run *r, const struct err *err)
{
    char text[1100];

    (void)snprintf(text, sizeof text, "warning: the tracking run gets no more of this job: %s", err->message);
    log_event(r, json_pack("{s:s, s:s}", "event", "log", "text", text));
    track_close(r->track);
    r->track = NULL;
}

static void start_tracking(struct run *r)
{
    const char *run = json_string_value(json_object_get(r->spec, "run_id"));
    struct err err;

    if (run && track_open(run, &r->track, &err) != LC_OK)
        stop_tracking(r, &err);
}

static void on_event(struct coordinator *c, struct run *r, struct link_event *e)
{
    json_t *event = json_object_get(e->msg.head, "event");
    const char *kind = json_string_value(json_object_get(event, "event"));
    struct err err;

    (void)c;
    r->since_ns = clock_mono_ns();
    if (!kind || strcmp(kind, "status") == 0) /* how a job stands is said here only */
        return;
    if (strcmp(kind, "metric") == 0) { /* fresher than the last beat */
        r->step = json_integer_value(json_object_get(event, "step")) + 1;
        (void)snprintf(r->phase, sizeof r->phase, "training");
    }
    log_event(r, json_incref(event));
    if (r->track && track_event(r->track, event, &err) != LC_OK)
        stop_tracking(r, &err);
}

static void on_file(struct coordinator *c, struct run *r, struct link_event *e)
{
    struct err err;

    r->since_ns = clock_mono_ns();
    if (run_receive(r, &e->msg, &err) == LC_OK)
        return;
    run_abort(r, wire_text(&e->msg, "folder"));
    send_or_say(c, e->peer,
                json_pack("{s:s, s:s, s:s, s:s, s:s}", "type", "saved", "job", r->id, "folder",
                          wire_text(&e->msg, "folder"), "error", err.message, "code", lc_name(err.code)));
}

static void on_commit(struct coordinator *c, struct run *r, struct link_event *e)
{
    const char *folder = wire_text(&e->msg, "folder");
    json_t *answer = json_pack("{s:s, s:s, s:s}", "type", "saved", "job", r->id, "folder", folder);
    struct err err;

    r->since_ns = clock_mono_ns();
    if (run_commit(r, &e->msg, &err) != LC_OK) {
        run_abort(r, folder);
        json_object_set_new(answer, "error", json_string(err.message));
        json_object_set_new(answer, "code", json_string(lc_name(err.code)));
    } else if (strcmp(folder, "output") != 0)
        log_event(r, json_pack("{s:s, s:s}", "event", "checkpoint", "folder", folder));
    send_or_say(c, e->peer, answer);
}

static void on_done(struct coordinator *c, struct run *r, struct link_event *e)
{
    char *output = fs_join(r->folder, "output");
    struct err err;

    if (r->track && output &&
        track_result(r->track, json_object_get(e->msg.head, "result"), output, &err) != LC_OK)
        stop_tracking(r, &err);
    mem_free(output);
    if (run_publish(r, &err) == LC_OK)
        end_run(c, r, JOB_FINISHED, json_object_get(e->msg.head, "result"), NULL);
    else
        fail_run(c, r, &err);
}

static void on_failed(struct coordinator *c, struct run *r, struct link_event *e)
{
    struct err err;
    enum lc code = lc_from_name(wire_text(&e->msg, "code"));

    (void)err_set(&err, code == LC_OK ? LC_WORKER : code, "%s", wire_text(&e->msg, "message"));
    (void)snprintf(err.hint, sizeof err.hint, "%s", wire_text(&e->msg, "hint"));
    (void)snprintf(err.cause, sizeof err.cause, "%s", wire_text(&e->msg, "cause"));
    fail_run(c, r, &err);
}

static void on_bye(struct coordinator *c, struct run *r, struct link_event *e)
{
    (void)r;
    lose_peer(c, e->peer, wire_text(&e->msg, "reason"));
}

/* run: the message is about a job, which must be the sender's */
static const struct {
    void (*handle)(struct coordinator *c, struct run *r, struct link_event *e);
    bool run;
} handlers[WIRE_KINDS] = {
    [WIRE_HELLO] = {on_hello, false}, [WIRE_BEAT] = {on_beat, false},    [WIRE_WANT] = {on_want, true},
    [WIRE_EVENT] = {on_event, true},  [WIRE_FILE] = {on_file, true},     [WIRE_COMMIT] = {on_commit, true},
    [WIRE_DONE] = {on_done, true},    [WIRE_FAILED] = {on_failed, true}, [WIRE_BYE] = {on_bye, false},
};

static void on_message(struct coordinator *c, struct link_event *e)
{
    struct peer *p = find_peer(c, e->peer);
    struct run *r = p ? p->run : NULL;

    if (!p && e->msg.kind != WIRE_HELLO)
        return send_or_say(c, e->peer,
                           json_pack("{s:s, s:s}", "type", "release", "reason", "say hello first"));
    if (p)
        p->heard_ns = clock_mono_ns();
    if (r)
        r->heard_ns = clock_mono_ns();
    if (!handlers[e->msg.kind].handle ||
        (handlers[e->msg.kind].run && (!r || strcmp(r->id, wire_text(&e->msg, "job")) != 0)))
        return; /* about a job that has ended meanwhile */
    handlers[e->msg.kind].handle(c, r, e);
}

/* ---- the process ----------------------------------------------------------------------------------------- */

static void stop_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
}

/* They are blocked and looked for here: no handler, and nothing for it to write to. */
static bool stop_requested(void)
{
    sigset_t pending;

    return sigpending(&pending) == 0 && (sigismember(&pending, SIGTERM) || sigismember(&pending, SIGINT));
}

static bool nothing_to_do(const struct coordinator *c, int idle_ms)
{
    char *lock = workers_file("coordinator.lock", NULL);
    bool there = lock && fs_exists(lock);

    mem_free(lock);
    if (!there) /* the workspace was removed */
        return true;
    if (c->replaced && c->n_runs == 0)
        return true;
    return c->n_runs == 0 && ms_since(c->busy_ns) > (c->invited && STAY_MS > idle_ms ? STAY_MS : idle_ms);
}

static void serve(struct coordinator *c, int idle_ms)
{
    struct link_event e;

    c->busy_ns = clock_mono_ns();
    while (!stop_requested() && !nothing_to_do(c, idle_ms)) {
        enum link_what what = link_server_next(c->server, TICK_MS, &e);
        if (what == LINK_MESSAGE)
            on_message(c, &e);
        else if (what == LINK_LOST)
            note_lost(c, &e);
        else if (what == LINK_REFUSED)
            say("%s", e.text);
        link_event_release(&e);
        tick(c);
    }
}

static void close_all(struct coordinator *c)
{
    struct err e;

    while (c->n_runs) { /* told to stop: the jobs go back to the queue, from their last checkpoints */
        struct run *r = c->runs[c->n_runs - 1];
        char checkpoint[64];
        job_last_checkpoint(r->folder, checkpoint);
        end_local_worker(c, r);
        if (job_requeue(c->ws, r->id, checkpoint, &e) != LC_OK)
            say("job %s: %s", r->id, e.message);
        drop_run(c, r);
    }
    for (size_t i = 0; i < c->n_peers; i++)
        send_or_say(c, c->peers[i].id,
                    json_pack("{s:s, s:s}", "type", "release", "reason", "the coordinator ends"));
}

static enum lc open_all(struct coordinator *c, struct err *err)
{
    char bind[256], *path = workers_file("server.key", err);
    const char *port;
    enum lc rc = path ? key_load_or_make(path, &c->key, err) : LC_IO;

    mem_free(path);
    if (rc == LC_OK)
        rc = jobs_open(NULL, &c->ws, err);
    if (rc == LC_OK && !(c->allow = allow_new()))
        rc = err_nomem(err);
    if (rc == LC_OK)
        rc = coordinator_bind(NULL, bind, err);
    if (rc == LC_OK)
        rc = link_serve(bind[0] ? bind : "tcp://127.0.0.1:*", &c->key, c->allow, &c->server, err);
    if (rc != LC_OK)
        return rc;
    port = strrchr(link_server_endpoint(c->server), ':');
    (void)snprintf(c->local_endpoint, sizeof c->local_endpoint, "tcp://127.0.0.1%s", port ? port : "");
    return LC_OK;
}

static bool work_is_waiting(void)
{
    struct workspace *ws = NULL;
    json_t *ids = NULL;
    bool waiting = jobs_open(NULL, &ws, NULL) == LC_OK && job_ids(ws, JOB_QUEUED, &ids, NULL) == LC_OK &&
                   json_array_size(ids) > 0;

    json_decref(ids);
    workspace_close(ws);
    return waiting;
}

static void remember_program(struct coordinator *c)
{
    ssize_t n = readlink("/proc/self/exe", c->own, sizeof c->own - 1);

    c->own[n > 0 ? n : 0] = '\0';
    if (n <= 0 || stat("/proc/self/exe", &c->file) != 0)
        c->own[0] = '\0';
}

static enum lc run_once(const struct coordinator_options *options, bool *again)
{
    struct coordinator *c;
    struct err err;
    int lock = take_lock(&err);
    bool replaced;
    enum lc rc;

    *again = false;
    if (lock < 0)
        return LC_OK; /* another one is there: nothing to do */
    c = mem_zalloc(sizeof *c);
    rc = c ? LC_OK : err_nomem(&err);
    if (c) {
        c->program = options->program;
        c->lock = lock;
        remember_program(c);
    }
    if (rc == LC_OK)
        rc = open_all(c, &err);
    if (rc == LC_OK) {
        refresh_keys(c);
        keep_reserve();
        adopt_orphans(c);
        write_about(c);
        say("listening at %s", link_server_endpoint(c->server));
        serve(c, options->idle_ms);
        close_all(c);
    } else {
        say("%s", err.message);
    }
    if (c) {
        link_server_free(c->server);
        allow_free(c->allow);
        workspace_close(c->ws);
        key_wipe(&c->key);
    }
    replaced = c && c->replaced;
    mem_free(c);
    close(lock);
    /* a job queued after the last look, whose session saw the lock still held */
    *again = rc == LC_OK && !stop_requested() && !replaced && work_is_waiting();
    return rc;
}

int coordinator_main(const struct coordinator_options *options)
{
    sigset_t stops;
    bool again = true;
    enum lc rc = LC_OK;

    stop_signals(&stops);
    pthread_sigmask(SIG_BLOCK, &stops, NULL); /* before ZeroMQ's threads, which inherit it */
    while (again && rc == LC_OK)
        rc = run_once(options, &again);
    return lc_exit(rc);
}
