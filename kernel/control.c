/* control.c: the threads that answer while a cell runs: control channel and signals, and the heartbeat. */
#include "kernel/death.h"
#include "kernel/debug_adapter.h"
#include "kernel/kernel_int.h"
#include "runtime/base/thread.h"
#include "runtime/base/zmq_api.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { STOP_GRACE_MS = 3000, STILL_MS = 2000, STILL_AGAIN_MS = 300 };

static void control_interrupt(struct kernel *k)
{
    pthread_mutex_lock(&k->run_lock);
    if (k->interruptible) {
        session_interrupt(k->interruptible);
        k->interrupted = k->ended;
        k->interrupted_ns = clock_mono_ns();
    }
    pthread_mutex_unlock(&k->run_lock);
    inbox_wake(k->inbox);
}

/* ---- what an interrupt cannot reach ---- */

/* Milliseconds until there may be something to say, -1: nothing. */
static int still_due(struct kernel *k)
{
    int left = -1;

    pthread_mutex_lock(&k->run_lock);
    if (k->interrupted_ns && (k->ended != k->interrupted || !k->interruptible))
        k->interrupted_ns = 0;
    if (k->interrupted_ns)
        left = clock_ms_until(k->interrupted_ns + (int64_t)STILL_MS * 1000000);
    pthread_mutex_unlock(&k->run_lock);
    return left;
}

static void say_still(struct kernel *k)
{
    struct session_still still;
    char text[400];
    bool runs;

    pthread_mutex_lock(&k->run_lock);
    runs = k->interrupted_ns && k->interruptible && session_still(k->interruptible, &still);
    if (runs)
        k->interrupted_ns = 0;
    else if (k->interrupted_ns) /* the thread has not come to answer: asked again until the cell ends */
        k->interrupted_ns += (int64_t)STILL_AGAIN_MS * 1000000;
    pthread_mutex_unlock(&k->run_lock);
    if (!runs)
        return;
    snprintf(text, sizeof text,
             "lacus: interrupted, but '%s' (%s, line %d) still runs: it is a call into C that cannot be "
             "stopped. The "
             "cell ends when it returns; to end it now, restart the kernel.\n",
             still.name[0] ? still.name : "a C function", still.source, still.line);
    channels_lock(k->channels);
    publisher_note_locked(k->publisher, text);
    channels_unlock(k->channels);
}

void control_stop(struct kernel *k)
{
    atomic_store(&k->stopping, true);
    control_interrupt(k);
}

/* ---- requests
 * ------------------------------------------------------------------------------------------------- */

typedef void control_fn(struct kernel *k, const struct request *r, struct buf *out);

static void on_info(struct kernel *k, const struct request *r, struct buf *out)
{
    (void)r;
    buf_add(out, buf_str(&k->info), k->info.len);
}

static void on_connect(struct kernel *k, const struct request *r, struct buf *out)
{
    (void)r;
    requests_put_ports(k, out);
}

static void on_interrupt(struct kernel *k, const struct request *r, struct buf *out)
{
    (void)r;
    control_interrupt(k);
    buf_puts(out, "{\"status\":\"ok\"}");
}

static void on_shutdown(struct kernel *k, const struct request *r, struct buf *out)
{
    bool restart = json_is_true(json_object_get(r->message.content, "restart"));

    buf_printf(out, "{\"status\":\"ok\",\"restart\":%s}", restart ? "true" : "false");
    (void)k; /* stopped after the reply has gone out */
}

static void on_create(struct kernel *k, const struct request *r, struct buf *out)
{
    char id[UUID_TEXT];
    struct err err;

    (void)r;
    if (shells_add(k->shells, id, &err) == LC_OK)
        buf_printf(out, "{\"status\":\"ok\",\"subshell_id\":\"%s\"}", id);
    else
        requests_put_error(out, &err);
}

static void on_delete(struct kernel *k, const struct request *r, struct buf *out)
{
    const char *id = json_string_value(json_object_get(r->message.content, "subshell_id"));
    struct err err;

    if (shells_remove(k->shells, id ? id : "", &err) == LC_OK)
        buf_puts(out, "{\"status\":\"ok\"}");
    else
        requests_put_error(out, &err);
}

static void on_list(struct kernel *k, const struct request *r, struct buf *out)
{
    json_t *ids = shells_list(k->shells);

    (void)r;
    buf_puts(out, "{\"status\":\"ok\",\"subshell_id\":");
    kernel_dump(out, ids, "[]");
    buf_putc(out, '}');
    json_decref(ids);
}

static void on_usage(struct kernel *k, const struct request *r, struct buf *out)
{
    (void)r;
    usage_reply(&k->usage, out);
}

static const struct row {
    const char *type;
    control_fn *answer;
} rows[] = {
    {"interrupt_request", on_interrupt},    {"shutdown_request", on_shutdown},
    {"kernel_info_request", on_info},       {"connect_request", on_connect},
    {"create_subshell_request", on_create}, {"delete_subshell_request", on_delete},
    {"list_subshell_request", on_list},     {"usage_request", on_usage},
};

static void answer(struct kernel *k, const struct request *r, struct buf *out)
{
    if (r->problem.code != LC_OK) {
        requests_error(out, lc_ename(r->problem.code), r->problem.message);
        return;
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].type, r->message.type) == 0) {
            rows[i].answer(k, r, out);
            return;
        }
    requests_put_unknown(out, r->message.type, "control");
}

static void publish(struct kernel *k, const struct request *r, const char *type, const char *content)
{
    channels_lock(k->channels);
    publisher_aside_locked(k->publisher, &r->message.header_text, type, content, strlen(content));
    channels_unlock(k->channels);
}

static bool is_shutdown(const struct request *r)
{
    return strcmp(r->message.type, "shutdown_request") == 0;
}

static void reply_to(struct kernel *k, const struct request *r)
{
    struct outgoing o = {.ids = r->message.ids, .n_ids = r->message.n_ids, .parent = r->message.header_text};
    struct buf content = BUF_INIT(1 << 20);
    char type[WIRE_TYPE_MAX + 1];

    publish(k, r, "status", "{\"execution_state\":\"busy\"}");
    answer(k, r, &content);
    o.type = type;
    o.content = (struct kwire_part){buf_str(&content), content.len};
    if (requests_reply_type(r->message.type, type))
        channels_send(k->channels, CHANNEL_CONTROL, &o);
    if (is_shutdown(r))
        publish(k, r, "shutdown_reply", buf_str(&content));
    publish(k, r, "status", "{\"execution_state\":\"idle\"}");
    buf_release(&content);
    inbox_wake(k->inbox); /* sending on iopub may have used up the sign of a subscription */
}

static void serve_request(struct kernel *k, const struct request *r)
{
    reply_to(k, r);
    if (is_shutdown(r))
        control_stop(k);
}

static void serve_requests(struct kernel *k)
{
    struct request *r;

    while (!atomic_load(&k->stopping) && (r = channels_receive(k->channels, CHANNEL_CONTROL)) != NULL) {
        if (strcmp(r->message.type, "debug_request") == 0) {
            debug_adapter_take(k->debug, r); /* may be answered later */
            continue;
        }
        serve_request(k, r);
        request_free(r);
    }
}

/* ---- the control thread
 * ------------------------------------------------------------------------------------------ */

/* A descriptor that becomes readable when the process that started the kernel ends, or is readable when that has ended before
 * we looked; -1: nobody to watch. */
static int watch_parent(void)
{
    const char *text = getenv("JPY_PARENT_PID");
    long pid = text ? strtol(text, NULL, 10) : 0;
    int fd = pid > 1 ? (int)syscall(SYS_pidfd_open, (pid_t)pid, 0) : -1;

    return pid > 1 && fd < 0 && errno == ESRCH ? eventfd(1, EFD_CLOEXEC) : fd;
}

void control_signals(sigset_t *set)
{
    struct sigaction hangup;

    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN) /* nohup */
        sigaddset(set, SIGHUP);
}

static int watch_signals(void)
{
    sigset_t set;

    control_signals(&set);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void take_signals(struct kernel *k, int fd)
{
    struct signalfd_siginfo info;

    while (read(fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGINT) {
            control_interrupt(k);
        } else {
            death_note(k->log_fd, info.ssi_signo == SIGHUP ? "ended by SIGHUP" : "ended by SIGTERM");
            control_stop(k);
        }
    }
}

/* Another client, or an impatient one, asks for what is going on already. */
static void answer_late_shutdowns(struct kernel *k)
{
    struct request *r;

    while ((r = channels_receive(k->channels, CHANNEL_CONTROL)) != NULL) {
        if (is_shutdown(r))
            reply_to(k, r);
        request_free(r);
    }
}

/* The session thread has been told to stop. Code in a cell that cannot be interrupted must not keep the
 * process alive: this is the kernel's own process, and the client that asked has had its reply. */
static void wait_for_end(struct kernel *k)
{
    zmq_pollitem_t items[] = {
        {.fd = k->done_fd, .events = ZMQ_POLLIN},
        {.socket = channels_socket(k->channels, CHANNEL_CONTROL), .events = ZMQ_POLLIN}};
    const int64_t until = clock_mono_ns() + (int64_t)STOP_GRACE_MS * 1000000;

    do {
        answer_late_shutdowns(k);
        if (zmq()->poll(items, 2, clock_ms_until(until)) < 0)
            items[0].revents = items[1].revents = 0;
    } while (!items[0].revents && clock_ms_until(until) > 0);
    answer_late_shutdowns(k);
    if (!items[0].revents) {
        death_note(k->log_fd, "ended while something was still running that could not be interrupted");
        kill(getpid(), SIGKILL);
    }
}

static void *control_thread(void *arg)
{
    struct kernel *k = arg;
    int signals = watch_signals(), parent = watch_parent();
    zmq_pollitem_t items[] = {
        {.socket = channels_socket(k->channels, CHANNEL_CONTROL), .events = ZMQ_POLLIN},
        {.fd = k->done_fd, .events = ZMQ_POLLIN},
        {.fd = signals, .events = ZMQ_POLLIN},
        {.fd = debug_adapter_fd(k->debug), .events = ZMQ_POLLIN},
        {.fd = parent, .events = ZMQ_POLLIN},
    };
    const int n = parent >= 0 ? 5 : 4;

    while (!atomic_load(&k->stopping)) {
        int due = still_due(k), debug = debug_adapter_due(k->debug);

        if (zmq()->poll(items, n, debug >= 0 && (due < 0 || debug < due) ? debug : due) < 0 && errno != EINTR)
            break;
        if (due >= 0 && still_due(k) == 0)
            say_still(k);
        if (items[1].revents)
            break;
        if (items[2].revents)
            take_signals(k, signals);
        if (n > 4 && items[4].revents) {
            death_note(k->log_fd, "ended because the process that started it is gone");
            control_stop(k);
        }
        debug_adapter_reply(k->debug);
        serve_requests(k);
    }
    wait_for_end(k);
    close(signals);
    if (parent >= 0)
        close(parent);
    channels_close_one(k->channels, CHANNEL_CONTROL);
    return NULL;
}

/* ---- the heartbeat
 * ------------------------------------------------------------------------------------------------ */

static void *heartbeat_thread(void *arg)
{
    struct kernel *k = arg;
    void *socket = channels_socket(k->channels, CHANNEL_HB);
    bool more, ok = true;

    while (ok) {
        zmq_msg_t frame;

        zmq()->msg_init(&frame);
        ok = zmq()->msg_recv(&frame, socket, 0) >= 0 || errno == EINTR;
        more = ok && zmq()->msg_more(&frame);
        if (!ok || zmq()->msg_send(&frame, socket, more ? ZMQ_SNDMORE : 0) < 0)
            zmq()->msg_close(&frame);
    }
    channels_close_one(k->channels, CHANNEL_HB);
    return NULL;
}

enum lc control_start(struct kernel *k, struct err *err)
{
    int rc = thread_start(&k->control, control_thread, k);

    k->has_control = rc == 0;
    if (rc == 0)
        rc = thread_start(&k->heartbeat, heartbeat_thread, k);
    k->has_heartbeat = rc == 0;
    return rc == 0 ? LC_OK : err_errno(err, rc, "cannot start the kernel's threads");
}

void control_join(struct kernel *k)
{
    if (k->has_control)
        pthread_join(k->control, NULL);
    channels_shut(k->channels);
    if (k->has_heartbeat)
        pthread_join(k->heartbeat, NULL);
}
