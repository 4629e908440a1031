#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/base/process.h"
#include "runtime/train/coordinator_int.h"
#include "runtime/train/process_id.h"
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
    TICK_MS = 100,
    LOOK_MS = 200,         /* between two looks at the queue */
    PULSE_MS = 1000,       /* between two signs of life */
    ABOUT_MS = 5000,       /* how old what it says of its workers may be */
    REPLACED_S = 10,       /* how long the program's file may be missing: it is being built */
    LEAVE_S = 10,          /* how long an idle coordinator of another version may take to end */
    ORPHANED_MOST = 5,     /* how often a job's coordinator may die without a new checkpoint */
    STAY_MS = 3600 * 1000, /* idle time when workers from elsewhere are invited */
    GRACE_MS = 300,        /* from a connection's end to the worker's: what it said last is still read */
    RESERVE = 1 << 20      /* bytes */
};

void coordinator_say(const char *fmt, ...)
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

int64_t ms_since(int64_t ns)
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

enum lc coordinator_program(const char *program, char out[4096], struct err *err)
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
    TRY(coordinator_program(program, path, err));
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

static json_t *about_peer(const struct peer *p)
{
    return json_pack("{s:s, s:s, s:s, s:i, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "name", p->user, "about",
                     p->about, "job", p->run ? p->run->id : "", "rank", p->rank, "host", p->host, "version",
                     p->version, "device", p->device, "pid", (json_int_t)p->pid, "memory",
                     (json_int_t)p->memory, "cores", (json_int_t)p->cores, "resident",
                     (json_int_t)p->resident, "heard", (json_int_t)(clock_wall_ms() - ms_since(p->heard_ns)));
}

void coordinator_write_about(struct coordinator *c)
{
    char *path = workers_file("coordinator.json", NULL), hex[KEY_HEX], *text;
    json_t *about, *workers = json_array();
    struct err err;

    c->about_ns = clock_mono_ns();
    key_hex(c->key.pub, hex);
    for (size_t i = 0; i < c->n_peers; i++)
        json_array_append_new(workers, about_peer(&c->peers[i]));
    about = json_pack("{s:s, s:i, s:I, s:s, s:s, s:o}", "version", LACUS_VERSION, "pid", (int)getpid(),
                      "start", (json_int_t)process_start_time(getpid()), "endpoint",
                      link_server_endpoint(c->server), "public_key", hex, "workers", workers);
    text = about ? json_dumps(about, 0) : NULL;
    if (path && text && fs_write_private(path, text, strlen(text), &err) != LC_OK)
        coordinator_say("%s", err.message);
    free(text);
    json_decref(about);
    mem_free(path);
}

/* ---- the end of a job ------------------------------------------------------------------------------------ */

void run_event(const struct run *r, json_t *event)
{
    struct err err;

    if (!event || job_log(r->folder, event, &err) != LC_OK)
        coordinator_say("job %s: cannot log an event", r->id);
}

bool coordinator_send(struct coordinator *c, const char *peer, json_t *head)
{
    struct err err;

    if (link_server_send(c->server, peer, head, NULL, 0, &err) == LC_OK)
        return true;
    coordinator_say("%s", err.message);
    return false;
}

/* A little room that is given up when the disk is full: how a job ended can then still be written. */
static void keep_reserve(void)
{
    char *path = workers_file("reserve", NULL);
    int fd = path ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) : -1;

    if (fd >= 0 && posix_fallocate(fd, 0, RESERVE) != 0)
        coordinator_say("there is no room for the reserve: the disk is full");
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

enum lc coordinator_record(struct coordinator *c, const char *id, enum job_status status,
                           const json_t *result, const json_t *error, struct err *err)
{
    enum lc rc = job_end(c->ws, id, status, result, error, err);

    if (rc == LC_NOSPACE) {
        give_up_reserve();
        rc = job_end(c->ws, id, status, result, error, err);
    }
    return rc;
}

json_t *error_json(const struct err *e)
{
    return json_pack("{s:s, s:s, s:s, s:s}", "code", lc_name(e->code), "message", e->message, "hint", e->hint,
                     "cause", e->cause);
}

/* For a job that no run stands for. */
static void end_row(struct coordinator *c, const char *id, enum job_status status, const json_t *error)
{
    struct err err;

    if (coordinator_record(c, id, status, NULL, error, &err) != LC_OK)
        coordinator_say("job %s: %s", id, err.message);
}

/* Jobs that an earlier coordinator left behind: nobody runs them any more. */
static void adopt(struct coordinator *c, const struct job_info *j)
{
    char *folder = job_folder(j->id, NULL), checkpoint[64] = "";
    bool again = false;
    json_t *error;
    struct err err;

    if (folder)
        job_last_checkpoint(folder, checkpoint);
    mem_free(folder);
    if (j->cancel)
        return end_row(c, j->id, JOB_CANCELLED, NULL);
    if (job_restart(c->ws, j->id, checkpoint, ORPHANED_MOST, &again, &err) != LC_OK)
        return coordinator_say("job %s: %s", j->id, err.message);
    coordinator_say("job %s: found without a coordinator; %s%s", j->id,
                    !again          ? "given up"
                    : checkpoint[0] ? "resumes from "
                                    : "starts again",
                    again ? checkpoint : "");
    if (again)
        return;
    (void)err_set(&err, LC_WORKER, "the coordinator of this job died %d times without a new checkpoint",
                  ORPHANED_MOST);
    error = error_json(&err);
    end_row(c, j->id, JOB_FAILED, error);
    json_decref(error);
}

static void adopt_orphans(struct coordinator *c)
{
    json_t *ids, *id;
    size_t i;
    struct err err;

    if (job_ids(c->ws, JOB_RUNNING, &ids, &err) != LC_OK)
        return coordinator_say("%s", err.message);
    json_array_foreach (ids, i, id) {
        struct job_info info;
        if (job_get(c->ws, json_string_value(id), &info, &err) == LC_OK) {
            adopt(c, &info);
            job_info_release(&info);
        }
    }
    json_decref(ids);
}

/* ---- the loop -------------------------------------------------------------------------------------------- */

static void refresh_keys(struct coordinator *c)
{
    json_t *rows, *row;
    size_t i;
    unsigned char pub[KEY_BYTES];
    struct err err;

    if (worker_rows(c->ws, &rows, &err) != LC_OK)
        return coordinator_say("%s", err.message);
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
    if (c->n_peers && ms_since(c->about_ns) > ABOUT_MS)
        coordinator_write_about(c);
    if (c->replaced || !c->own[0])
        return;
    c->replaced = stat(c->own, &now) != 0 || now.st_dev != c->file.st_dev || now.st_ino != c->file.st_ino ||
                  now.st_mtim.tv_sec != c->file.st_mtim.tv_sec;
    if (c->replaced)
        coordinator_say("this program's file '%s' was replaced: it ends with the jobs it has", c->own);
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

/* What it sent before the end may still be on its way through the queue. */
static void note_lost(struct coordinator *c, const struct link_event *e)
{
    struct peer *p = find_peer(c, e->peer);

    if (!p || p->lost_ns)
        return;
    p->lost_ns = clock_mono_ns();
    (void)snprintf(p->how, sizeof p->how, "%s", e->text);
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
            coordinator_say("%s", e.text);
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
        end_local_workers(c, r);
        if (job_requeue(c->ws, r->id, checkpoint, 0, &e) != LC_OK)
            coordinator_say("job %s: %s", r->id, e.message);
        drop_run(c, r);
    }
    for (size_t i = 0; i < c->n_peers; i++)
        (void)coordinator_send(c, c->peers[i].id,
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
        coordinator_write_about(c);
        coordinator_say("listening at %s", link_server_endpoint(c->server));
        serve(c, options->idle_ms);
        close_all(c);
    } else {
        coordinator_say("%s", err.message);
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
    if (rc == LC_OK && !stop_requested() && work_is_waiting())
        rc = coordinator_ensure(NULL, NULL); /* this program was replaced: the new one takes what waits */
    return lc_exit(rc);
}
