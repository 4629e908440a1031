#include "runtime/train/worker.h"
#include "runtime/base/clock.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/base/thread.h"
#include "runtime/train/fetch.h"
#include "runtime/train/mailbox.h"
#include "runtime/train/manifest.h"
#include "runtime/train/process_id.h"
#include "runtime/train/ring.h"
#include "runtime/train/work.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    CONNECT_S = 10,
    RECONNECT_S = 600,
    BEAT_MS = 1000,
    LOOP_MS = 200,
    STOP_MS = 28000,
    RETRY_MS = 2000,
    INVITED_MS = 700,
    MEET_MS = 30000 /* for the ranks beside this one to come to the ring */
};

/* What the work's thread and the main thread share. */
struct shared {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char phase[200];
    int64_t step;
    bool publishing;        /* the thread waits for the answer */
    char folder[64];        /* which it has asked to publish */
    enum lc publish_result; /* and the answer */
    char publish_error[400];
};

struct worker {
    const struct worker_options *options;
    struct worker_key key;
    struct link *link;       /* owned */
    struct mailbox *mailbox; /* owned: from the work's thread: events, uploads, its end */
    struct shared shared;
    atomic_bool cancel;
    struct ctx ctx;        /* of the work: with the cancel token */
    char *scratch, *cache; /* owned */
    /* the job */
    char job[64];
    json_t *spec; /* owned */
    char *resume; /* owned: path of the checkpoint in scratch, or NULL */
    int rank, size, threads, beside;
    struct ring *ring;       /* of several ranks; owned by `ranks` once that is filled */
    struct collective ranks; /* empty: alone */
    atomic_bool save;        /* a checkpoint was asked for */
    pthread_t thread;
    bool working;
    int64_t beat_ns, stop_ns;
    bool stopping; /* SIGTERM */
    bool released; /* nothing more to do: exit */
    bool lost;     /* the connection */
    bool given_up; /* the work's thread does not end */
    char why[LINK_TEXT];
};

static void say(const char *fmt, ...) PRINTF_LIKE(1, 2);
static void say(const char *fmt, ...)
{
    char when[ISO_TEXT];
    va_list ap;

    clock_iso(clock_wall_ms(), when);
    fprintf(stderr, "%s worker: ", when);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

static void send_head(struct worker *w, json_t *head)
{
    struct err err;

    if (link_send(w->link, head, NULL, 0, &err) != LC_OK)
        say("%s", err.message);
}

/* ---- the work's thread ----------------------------------------------------------------------------------- */

static void sink_event(void *arg, json_t *event)
{
    struct worker *w = arg;
    const char *kind = json_string_value(json_object_get(event, "event"));
    const char *text = json_string_value(json_object_get(event, "text"));

    if (kind && strcmp(kind, "log") == 0 && text)
        say("%s", text);
    if (w->rank > 0) { /* the first rank speaks for all */
        json_decref(event);
        return;
    }
    (void)mailbox_put(w->mailbox,
                      json_pack("{s:s, s:s, s:o}", "type", "event", "job", w->job, "event", event));
}

static void sink_phase(void *arg, const char *phase, int64_t step)
{
    struct worker *w = arg;

    pthread_mutex_lock(&w->shared.lock);
    (void)snprintf(w->shared.phase, sizeof w->shared.phase, "%s", phase);
    w->shared.step = step;
    pthread_mutex_unlock(&w->shared.lock);
}

static bool sink_save_wanted(void *arg)
{
    return atomic_exchange(&((struct worker *)arg)->save, false);
}

/* Asks the main thread to send a folder, and waits until the coordinator has kept it. */
static enum lc sink_publish(void *arg, const char *folder, struct err *err)
{
    struct worker *w = arg;
    struct shared *s = &w->shared;
    enum lc rc;

    pthread_mutex_lock(&s->lock);
    s->publishing = true;
    (void)snprintf(s->folder, sizeof s->folder, "%s", fs_basename(folder));
    pthread_mutex_unlock(&s->lock);
    (void)mailbox_put(w->mailbox, json_pack("{s:s, s:s}", "type", "*upload", "folder", folder));
    pthread_mutex_lock(&s->lock);
    while (s->publishing)
        pthread_cond_wait(&s->changed, &s->lock);
    rc = s->publish_result;
    if (rc != LC_OK)
        (void)err_set(err, rc, "cannot keep '%s': %s", s->folder, s->publish_error);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

static void publish_answer(struct worker *w, enum lc rc, const char *text)
{
    struct shared *s = &w->shared;

    pthread_mutex_lock(&s->lock);
    if (s->publishing) {
        s->publishing = false;
        s->publish_result = rc;
        (void)snprintf(s->publish_error, sizeof s->publish_error, "%.399s", text);
        pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
}

static void *work_main(void *arg)
{
    struct worker *w = arg;
    struct work_sink sink = {w, sink_event, sink_phase, sink_publish, sink_save_wanted};
    struct work_place place = {w->ranks.ops ? &w->ranks : NULL, w->threads, w->beside};
    char *model = fs_join(w->scratch, "model"), *data = fs_join(w->scratch, "data"),
         *out = fs_join(w->scratch, "out");
    struct work_paths paths = {model, data, out, w->resume};
    json_t *result = NULL, *end;
    struct err err;
    enum lc rc = model && data && out ? LC_OK : err_nomem(&err);

    if (rc == LC_OK)
        rc = work_run(&w->ctx, w->spec, &paths, &place, &sink, &result, &err);
    if (rc == LC_OK)
        end = json_pack("{s:s, s:s, s:o}", "type", "done", "job", w->job, "result", result);
    else
        end = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "type", "failed", "job", w->job, "code",
                        lc_name(rc), "message", err.message, "hint", err.hint, "cause", err.cause);
    if (rc != LC_OK)
        say("job %s: %s", w->job, err.message);
    if (rc != LC_OK && w->ring && ring_culprit(w->ring) >= 0 && ring_culprit(w->ring) != w->rank)
        json_object_set_new(end, "culprit", json_integer(ring_culprit(w->ring)));
    (void)mailbox_put(w->mailbox, end);
    mem_free(model);
    mem_free(data);
    mem_free(out);
    return NULL;
}

/* ---- sending folders ------------------------------------------------------------------------------------- */

static enum lc send_file(struct worker *w, const char *folder, const char *name, const char *path,
                         struct err *err)
{
    char *chunk = mem_alloc(WIRE_PAYLOAD_MAX);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    enum lc rc = !chunk ? err_nomem(err) : fd < 0 ? err_errno(err, errno, "cannot open '%s'", path) : LC_OK;
    int64_t offset = 0;
    ssize_t n = 1;

    while (rc == LC_OK && n > 0) {
        n = read(fd, chunk, WIRE_PAYLOAD_MAX);
        if (n < 0)
            rc = err_errno(err, errno, "cannot read '%s'", path);
        else if (n > 0 || offset == 0) /* an empty file has one empty part */
            rc = link_send(w->link,
                           json_pack("{s:s, s:s, s:s, s:s, s:I}", "type", "file", "job", w->job, "folder",
                                     folder, "path", name, "offset", (json_int_t)offset),
                           chunk, (size_t)n, err);
        offset += n > 0 ? n : 0;
    }
    if (fd >= 0)
        close(fd);
    mem_free(chunk);
    return rc;
}

static enum lc upload(struct worker *w, const char *folder, struct err *err)
{
    const char *name = fs_basename(folder);
    json_t *files, *row;
    size_t i;
    enum lc rc;

    TRY(manifest_make(NULL, folder, NULL, &files, err));
    rc = LC_OK;
    json_array_foreach (files, i, row) {
        const char *path = json_string_value(json_object_get(row, "path"));
        char *full = fs_join(folder, path);
        rc = full ? send_file(w, name, path, full, err) : err_nomem(err);
        mem_free(full);
        if (rc != LC_OK)
            break;
    }
    if (rc == LC_OK)
        rc = link_send(w->link,
                       json_pack("{s:s, s:s, s:s, s:O}", "type", "commit", "job", w->job, "folder", name,
                                 "files", files),
                       NULL, 0, err);
    json_decref(files);
    return rc;
}

static void remove_scratch(const struct worker *w)
{
    struct err err;

    if (w->scratch && fs_remove_tree(w->scratch, &err) != LC_OK)
        say("%s", err.message);
}

static void leave_ring(struct worker *w)
{
    if (w->ranks.ops)
        collective_close(&w->ranks);
    else
        ring_free(w->ring);
    w->ring = NULL;
}

static void join_work(struct worker *w)
{
    pthread_join(w->thread, NULL);
    w->working = false;
    leave_ring(w);
    json_decref(w->spec);
    w->spec = NULL;
    mem_free(w->resume);
    w->resume = NULL;
    remove_scratch(w);
    if (w->stopping) {
        send_head(w, json_pack("{s:s, s:s, s:s}", "type", "bye", "job", w->job, "reason",
                               "it was told to end (SIGTERM)"));
        w->released = true;
    }
    w->job[0] = '\0';
    if (w->options->once)
        w->released = true;
}

static void drain_mailbox(struct worker *w)
{
    json_t *m;

    while ((m = mailbox_get(w->mailbox))) {
        const char *type = json_string_value(json_object_get(m, "type"));
        bool end = strcmp(type, "done") == 0 || strcmp(type, "failed") == 0;
        struct err err;
        if (strcmp(type, "*upload") == 0) {
            if (w->lost)
                publish_answer(w, LC_NET, "the connection to the coordinator is gone");
            else if (upload(w, json_string_value(json_object_get(m, "folder")), &err) != LC_OK)
                publish_answer(w, err.code, err.message);
        } else if (!w->lost && !(end && w->stopping)) { /* told to end: "bye" says so, after the checkpoint */
            send_head(w, json_incref(m));
        }
        json_decref(m);
        if (end)
            join_work(w);
    }
}

/* ---- messages -------------------------------------------------------------------------------------------- */

static void begin_stop(struct worker *w)
{
    atomic_store(&w->cancel, true);
    if (!w->stop_ns)
        w->stop_ns = clock_mono_ns();
    if (!w->working)
        w->released = true;
}

static void beat(struct worker *w)
{
    char phase[200];
    int64_t step;

    if ((clock_mono_ns() - w->beat_ns) / 1000000 < BEAT_MS || w->lost)
        return;
    w->beat_ns = clock_mono_ns();
    pthread_mutex_lock(&w->shared.lock);
    memcpy(phase, w->shared.phase, sizeof phase);
    step = w->shared.step;
    pthread_mutex_unlock(&w->shared.lock);
    send_head(w, json_pack("{s:s, s:s*, s:s, s:I, s:f, s:I, s:b}", "type", "beat", "job",
                           w->job[0] ? w->job : NULL, "phase", w->job[0] ? phase : "waiting", "step",
                           (json_int_t)step, "seconds", 0.0, "memory", (json_int_t)process_resident(getpid()),
                           "waiting", w->working && w->ring && ring_waiting(w->ring)));
}

static bool told_to_end(void)
{
    sigset_t pending;

    return sigpending(&pending) == 0 && (sigismember(&pending, SIGTERM) || sigismember(&pending, SIGINT));
}

static void take_message(struct worker *w, const struct link_event *e)
{
    if (e->msg.kind == WIRE_CANCEL && strcmp(wire_text(&e->msg, "job"), w->job) == 0) {
        say("job %s: cancelled", w->job);
        atomic_store(&w->cancel, true);
        w->stop_ns = clock_mono_ns();
    } else if (e->msg.kind == WIRE_SAVE && strcmp(wire_text(&e->msg, "job"), w->job) == 0) {
        atomic_store(&w->save, true);
    } else if (e->msg.kind == WIRE_RELEASE) {
        (void)snprintf(w->why, sizeof w->why, "%s", wire_text(&e->msg, "reason"));
        say("released: %s", w->why);
        w->released = true;
        begin_stop(w);
    } else if (e->msg.kind == WIRE_SAVED) {
        const char *error = wire_text(&e->msg, "error");
        enum lc code = lc_from_name(wire_text(&e->msg, "code"));
        publish_answer(w, !*error ? LC_OK : code != LC_OK ? code : LC_IO, error);
    }
}

/* One turn of the loop. Chunks are handed to the caller, everything else is dealt with. */
static bool turn(struct worker *w, struct link_event *e)
{
    enum link_what what = link_next(w->link, LOOP_MS, mailbox_fd(w->mailbox), e);

    if (what == LINK_LOST) {
        w->lost = true;
        say("%s", e->text);
        begin_stop(w);
        publish_answer(w, LC_NET, e->text);
    } else if (what == LINK_MESSAGE) {
        take_message(w, e);
    }
    drain_mailbox(w);
    beat(w);
    if (!w->stopping && told_to_end()) {
        say("told to end: saving a checkpoint");
        w->stopping = true;
        begin_stop(w);
    }
    if (w->working && !w->given_up && w->stop_ns && (clock_mono_ns() - w->stop_ns) / 1000000 > STOP_MS) {
        say("the work did not end in time");
        w->given_up = true; /* its thread ends with the process; the coordinator reports it */
    }
    return what == LINK_MESSAGE;
}

static enum lc wait_for_part(void *arg, struct link_event *e, struct err *err)
{
    struct worker *w = arg;

    for (;;) {
        bool got = turn(w, e);
        if (got && (e->msg.kind == WIRE_CHUNK || e->msg.kind == WIRE_NOBLOB))
            return LC_OK;
        link_event_release(e);
        if (w->lost)
            return err_set(err, LC_NET, "the connection to the coordinator is gone");
        TRY(ctx_check(&w->ctx, err));
    }
}

/* ---- a job ----------------------------------------------------------------------------------------------- */

static enum lc prepare(struct worker *w, const struct wire_msg *run, struct err *err)
{
    struct fetch f = {w->link,       &w->ctx, w->job, w->cache, json_object_get(run->head, "near"),
                      wait_for_part, w};
    char *model = fs_join(w->scratch, "model"), *data = fs_join(w->scratch, "data"),
         *out = fs_join(w->scratch, "out");
    const json_t *resume = json_object_get(run->head, "resume"), *best = json_object_get(run->head, "best");
    enum lc rc = model && data && out ? fs_remove_tree(w->scratch, err) : err_nomem(err);

    if (rc == LC_OK)
        rc = fs_mkdirs(out, err);
    if (rc == LC_OK)
        rc = fetch_folder(&f, json_object_get(run->head, "model"), model, err);
    if (rc == LC_OK)
        rc = fetch_folder(&f, json_object_get(run->head, "data"), data, err);
    if (rc == LC_OK && resume) {
        w->resume = fs_join(out, wire_text(run, "resume_name"));
        rc = w->resume ? fetch_folder(&f, resume, w->resume, err) : err_nomem(err);
    }
    if (rc == LC_OK && best) {
        char *folder = fs_join(out, wire_text(run, "best_name"));
        rc = folder ? fetch_folder(&f, best, folder, err) : err_nomem(err);
        mem_free(folder);
    }
    mem_free(model);
    mem_free(data);
    mem_free(out);
    return rc;
}

/* The host of the next rank; "": the coordinator's, as this worker knows it. */
static void ring_endpoint(const struct worker *w, const struct wire_msg *peers, char out[400])
{
    const char *host = wire_text(peers, "host"), *own = strstr(w->options->endpoint, "://"),
               *port = strrchr(w->options->endpoint, ':');
    int n = (int)strlen(host);

    if (!*host) {
        host = own ? own + 3 : w->options->endpoint;
        n = port > host ? (int)(port - host) : (int)strlen(host);
    }
    (void)snprintf(out, 400,
                   memchr(host, ':', (size_t)n) && host[0] != '[' ? "tcp://[%.*s]:%d" : "tcp://%.*s:%d", n,
                   host, (int)wire_int(peers, "port"));
}

static enum lc join_ring(struct worker *w, const struct wire_msg *peers, struct err *err)
{
    unsigned char next[KEY_BYTES], previous[KEY_BYTES];
    char endpoint[400];

    ring_endpoint(w, peers, endpoint);
    if (!key_from_hex(wire_text(peers, "next"), next) ||
        !key_from_hex(wire_text(peers, "previous"), previous))
        return err_set(err, LC_DATA, "the coordinator sent no keys of the ring");
    return ring_join(&w->ctx, w->ring, endpoint, next, previous, MEET_MS, &w->ranks, err);
}

/* With other ranks: says where this one listens, and waits to be told who is beside it. */
static enum lc meet(struct worker *w, const struct wire_msg *run, struct err *err)
{
    int64_t timeout = json_integer_value(json_object_get(w->spec, "ddp_timeout"));
    struct ring_options o = {.rank = w->rank,
                             .size = w->size,
                             .token = wire_text(run, "token"),
                             .loopback = json_is_true(json_object_get(run->head, "loopback")),
                             .timeout_ms =
                                 timeout > 0 && timeout < INT32_MAX / 1000 ? (int)timeout * 1000 : 0};
    char key[KEY_HEX];

    if (w->size <= 1)
        return LC_OK;
    sink_phase(w, "waiting for the other ranks", 0);
    TRY(ring_open(&o, &w->ring, err));
    key_hex(ring_key(w->ring), key);
    TRY(link_send(w->link,
                  json_pack("{s:s, s:s, s:i, s:s}", "type", "ring", "job", w->job, "port", ring_port(w->ring),
                            "key", key),
                  NULL, 0, err));
    for (;;) {
        struct link_event e = {0};
        bool told = turn(w, &e) && e.msg.kind == WIRE_PEERS && strcmp(wire_text(&e.msg, "job"), w->job) == 0;
        enum lc rc = told ? join_ring(w, &e.msg, err) : ctx_check(&w->ctx, err);

        link_event_release(&e);
        if (rc == LC_OK && w->lost)
            rc = err_set(err, LC_NET, "the connection to the coordinator is gone");
        if (rc != LC_OK || told)
            return rc;
    }
}

static void start_job(struct worker *w, const struct wire_msg *run)
{
    struct err err;
    enum lc rc;

    (void)snprintf(w->job, sizeof w->job, "%.60s", wire_text(run, "job"));
    atomic_store(&w->cancel, false);
    w->stop_ns = 0;
    w->spec = json_incref(json_object_get(run->head, "spec"));
    sink_phase(w, "fetching the model and the data", 0);
    say("job %s: fetching the model and the data", w->job);
    w->rank = (int)wire_int(run, "rank");
    w->size = (int)wire_int(run, "size");
    w->threads = (int)wire_int(run, "threads");
    w->beside = (int)wire_int(run, "beside");
    atomic_store(&w->save, false);
    rc = prepare(w, run, &err);
    if (rc == LC_OK)
        rc = meet(w, run, &err);
    if (rc == LC_OK && thread_start(&w->thread, work_main, w) != 0)
        rc = err_set(&err, LC_NOMEM, "cannot start a thread for the work");
    if (rc == LC_OK) {
        w->working = true;
        return;
    }
    say("job %s: %s", w->job, err.message);
    if (!w->lost)
        send_head(w, json_pack("{s:s, s:s, s:s, s:s, s:s}", "type", "failed", "job", w->job, "code",
                               lc_name(rc), "message", err.message, "hint", err.hint));
    leave_ring(w);
    json_decref(w->spec);
    w->spec = NULL;
    mem_free(w->resume);
    w->resume = NULL;
    w->job[0] = '\0';
    w->released |= w->options->once;
}

static int64_t physical_memory(void)
{
    return (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
}

static enum lc attach(struct worker *w, int seconds, struct err *err)
{
    char host[256] = "", device[200];

    w->lost = false;
    TRY(link_connect(NULL, w->options->endpoint, &w->key, seconds * 1000, &w->link, err));
    (void)gethostname(host, sizeof host - 1);
    work_device(device);
    return link_send(w->link,
                     json_pack("{s:s, s:i, s:s, s:s, s:i, s:I, s:I, s:s}", "type", "hello", "protocol",
                               WIRE_PROTOCOL, "version", LACUS_VERSION, "host", host, "pid", (int)getpid(),
                               "memory", (json_int_t)physical_memory(), "cores",
                               (json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "device", device),
                     NULL, 0, err);
}

/* Until the connection is lost or the worker is released. */
static void serve(struct worker *w)
{
    while (!w->given_up && (w->working || (!w->released && !w->lost))) {
        struct link_event e;
        if (turn(w, &e) && e.msg.kind == WIRE_RUN && !w->working && !w->released)
            start_job(w, &e.msg);
        link_event_release(&e);
    }
}

/* True: connected again. */
static bool reattach(struct worker *w)
{
    int limit = w->options->reconnect_s ? w->options->reconnect_s : RECONNECT_S;
    int64_t deadline = clock_mono_ns() + (int64_t)limit * 1000000000;
    struct err err;

    link_free(w->link);
    w->link = NULL;
    w->released = false;
    while (clock_mono_ns() < deadline && !told_to_end()) {
        if (attach(w, CONNECT_S, &err) == LC_OK)
            return true;
        if (err.code == LC_AUTH) /* trying again will not change that */
            break;
        usleep(RETRY_MS * 1000);
    }
    say("%s%s%s", err.message, err.hint[0] ? "; " : "", err.hint);
    return false;
}

static enum lc open_worker(struct worker *w, struct err *err)
{
    char below[64];

    TRY(worker_key_load(w->options->key_file, &w->key, err));
    pthread_mutex_init(&w->shared.lock, NULL);
    pthread_cond_init(&w->shared.changed, NULL);
    w->ctx = ctx_background();
    w->ctx.cancel = &w->cancel;
    (void)snprintf(below, sizeof below, "cache/work-%d", (int)getpid());
    w->scratch = fs_home(below, err);
    w->cache = fs_home("cache/blobs", err);
    w->mailbox = mailbox_new();
    return w->scratch && w->cache && w->mailbox ? LC_OK : err_nomem(err);
}

/* Attaches, works, attaches again; until it is released, given up, or alone for too long. */
static enum lc work_on(struct worker *w, struct err *err)
{
    int seconds = w->options->connect_s ? w->options->connect_s : CONNECT_S;
    enum lc rc;

    TRY(open_worker(w, err));
    rc = attach(w, seconds, err);
    if (rc == LC_AUTH) { /* an invitation of this moment is known in the next */
        link_free(w->link);
        w->link = NULL;
        usleep(INVITED_MS * 1000);
        rc = attach(w, seconds, err);
    }
    if (rc != LC_OK)
        return rc;
    say("attached to %s as '%s'", w->options->endpoint, w->key.name);
    do
        serve(w);
    while (w->lost && !w->options->once && !w->stopping && !w->given_up && reattach(w));
    if (w->given_up)
        return err_set(err, LC_TIMEOUT, "the work did not end in time");
    if (w->lost && !w->stopping)
        return err_set(err, LC_NET, "the connection to the coordinator is gone");
    return LC_OK;
}

int worker_main(const struct worker_options *options)
{
    struct worker *w = mem_zalloc(sizeof *w);
    sigset_t stops;
    struct err err;
    enum lc rc = w ? LC_OK : err_nomem(&err);
    bool stopped;

    sigemptyset(&stops);
    sigaddset(&stops, SIGTERM);
    sigaddset(&stops, SIGINT);
    pthread_sigmask(SIG_BLOCK, &stops, NULL); /* looked for in the loop: told_to_end */
    if (w) {
        w->options = options;
        rc = work_on(w, &err);
    }
    if (rc != LC_OK)
        fprintf(stderr, "lacus worker: %s%s%s\n", err.message, err.hint[0] ? "\n  " : "", err.hint);
    if (!w || w->given_up)
        return lc_exit(rc); /* the thread still uses what is in w */
    link_free(w->link);
    mailbox_free(w->mailbox);
    remove_scratch(w);
    mem_free(w->scratch);
    mem_free(w->cache);
    key_wipe(&w->key.mine);
    stopped = w->stopping;
    mem_free(w);
    return rc == LC_OK && stopped ? 128 + SIGTERM : lc_exit(rc); /* as a shell reports it */
}
