#include "kernel/inbox.h"
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/thread.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { IO_THREAD_POLL_MS = 10, ABORT_WINDOW_MS = 250, ABORT_AGE_MS = 10000, LOOKED_AT = 256 };
enum { QUIET_MS = 1, QUIET_MOST_MS = 5 };

struct inbox {
    struct channels *ch;
    struct publisher *publisher;
    struct inbox_calls calls;
    pthread_t thread;
    int wake_fd, timer_fd; /* wake_fd is for the session thread alone */
    atomic_bool stopping;

    /* under channels_lock */
    bool away;  /* the session thread is at a cell */
    bool armed; /* the timer will fire */
    int64_t away_since;
    struct request *first, **last;
    size_t bytes;
    /* the last failure, for requests that were already on their way */
    int64_t failed_ns;
    char failed_iso[ISO_TEXT], failed_floor[ISO_TEXT];
    char failed_session[128], failed_subshell[64];
};

/* ---- the queue --------------------------------------------------------------------------------------------
 */

/* Dates of one form compare as texts: 2026-01-31T12:00:00.123… */
static bool sent_before_failure(const struct inbox *in, const struct request *r)
{
    const char *date = r->message.date;
    enum { SECONDS = 19 };

    if (in->failed_ns == 0 || r->received_ns - in->failed_ns > (int64_t)ABORT_WINDOW_MS * 1000000)
        return false;
    if (strlen(date) < SECONDS + 2 || date[10] != 'T' || date[SECONDS] != '.')
        return false;
    if (!strchr(date + SECONDS, 'Z') && !strstr(date + SECONDS, "+00:00"))
        return false;
    return strcmp(r->message.session, in->failed_session) == 0 &&
           strcmp(r->message.subshell, in->failed_subshell) == 0 && strncmp(date, in->failed_floor, 23) > 0 &&
           strncmp(date, in->failed_iso, 23) < 0;
}

static bool is_execute(const struct request *r)
{
    return strcmp(r->message.type, "execute_request") == 0;
}

static void mark(struct inbox *in, struct request *r)
{
    if (is_execute(r) && sent_before_failure(in, r))
        r->aborted = true;
}

static void enqueue(struct inbox *in, struct request *r)
{
    *in->last = r;
    in->last = &r->next;
    in->bytes += r->size;
}

static struct request *dequeue(struct inbox *in, inbox_filter *filter, void *arg)
{
    struct request **at = &in->first, *r;

    while (*at && !filter(arg, *at))
        at = &(*at)->next;
    r = *at;
    if (!r)
        return NULL;
    *at = r->next;
    if (in->last == &r->next)
        in->last = at;
    r->next = NULL;
    in->bytes -= r->size;
    return r;
}

/* ---- leading ----------------------------------------------------------------------------------------------
 */

/* Takes in all that the sockets have. */
static void receive_locked(struct inbox *in)
{
    static const enum channel channels[] = {CHANNEL_SHELL, CHANNEL_STDIN};

    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) {
        struct request *r;
        while (in->bytes < INBOX_BYTES_MAX && (r = channels_receive(in->ch, channels[i])) != NULL) {
            mark(in, r);
            enqueue(in, r);
        }
    }
    while (publisher_welcome_locked(in->publisher))
        ;
}

/* Waits until something arrives, the time is over, or somebody wakes the session thread that leads. */
static void wait_as_leader(struct inbox *in, int wake_fd, bool full, int timeout_ms)
{
    struct pollfd fds[] = {{.fd = wake_fd, .events = POLLIN},
                           {.fd = channels_fd(in->ch, CHANNEL_STDIN), .events = POLLIN},
                           {.fd = channels_fd(in->ch, CHANNEL_IOPUB), .events = POLLIN},
                           {.fd = channels_fd(in->ch, CHANNEL_SHELL), .events = POLLIN}};
    uint64_t count;

    /* a full queue is not read into: then its sockets must not keep us awake */
    if (full)
        fds[1].fd = fds[3].fd = -1;
    if (poll(fds, 4, timeout_ms) > 0 && fds[0].revents && read(wake_fd, &count, sizeof count) < 0)
        return;
}

void inbox_wake(struct inbox *in)
{
    uint64_t one = 1;

    if (write(in->wake_fd, &one, sizeof one) < 0)
        return; /* the counter is full: the leader is awake anyway */
}

static void arm_locked(struct inbox *in)
{
    struct itimerspec when = {.it_value.tv_nsec = (long)INBOX_PATIENCE_MS * 1000000};

    if (!in->armed && timerfd_settime(in->timer_fd, 0, &when, NULL) == 0)
        in->armed = true;
}

static void leave_locked(struct inbox *in)
{
    in->away = true;
    in->away_since = clock_mono_ns();
    arm_locked(in);
}

/* ---- the I/O thread ---------------------------------------------------------------------------------------
 */

/* Takes those out of the queue that are answered without the session thread. */
static struct request *take_early_locked(struct inbox *in)
{
    struct request *list = NULL, **last = &list, *r;

    for (struct request **at = &in->first; (r = *at) != NULL;) {
        if (!in->calls.is_early(in->calls.arg, r)) {
            at = &r->next;
            continue;
        }
        *at = r->next;
        if (in->last == &r->next)
            in->last = at;
        in->bytes -= r->size;
        r->next = NULL;
        *last = r;
        last = &r->next;
    }
    return list;
}

static void answer_early(struct inbox *in, struct request *list)
{
    struct request *r;

    if (!list)
        return;
    while ((r = list) != NULL) {
        list = r->next;
        in->calls.early(in->calls.arg, r);
        request_free(r);
    }
    inbox_wake(in); /* to send may take arrivals in, which the socket's descriptor does not tell again */
}

/* The session thread is at a cell: somebody may be worth leaving it for. */
static void tell_locked(struct inbox *in)
{
    const struct request *r = in->first;
    bool asked = false;

    for (int n = 0; r && n < LOOKED_AT && !asked; n++, r = r->next)
        asked = in->calls.waits(in->calls.arg, r);
    if (!asked)
        in->calls.waits(in->calls.arg, NULL);
}

/* One round of the I/O thread while it leads. */
static void lead(struct inbox *in)
{
    struct request *early;
    int due;
    bool full;

    channels_lock(in->ch);
    if (!in->away) { /* it came back meanwhile: what is received now would wake nobody */
        channels_unlock(in->ch);
        return;
    }
    receive_locked(in);
    early = take_early_locked(in);
    tell_locked(in);
    if (publisher_due_locked(in->publisher) == 0)
        publisher_flush_locked(in->publisher);
    due = publisher_due_locked(in->publisher);
    full = in->bytes >= INBOX_BYTES_MAX;
    channels_unlock(in->ch);
    answer_early(in, early);
    wait_as_leader(in, -1, full, due >= 0 && due < IO_THREAD_POLL_MS ? due : IO_THREAD_POLL_MS);
}

/* Whether the session thread has been away long enough; else the timer is set again if it is away at all. */
static bool take_over(struct inbox *in)
{
    uint64_t fired;
    bool mine;

    channels_lock(in->ch);
    if (read(in->timer_fd, &fired, sizeof fired) > 0)
        in->armed = false;
    mine = in->away && clock_mono_ns() - in->away_since >= (int64_t)INBOX_PATIENCE_MS * 500000;
    if (in->away && !mine)
        arm_locked(in);
    channels_unlock(in->ch);
    return mine;
}

static bool still_leads(struct inbox *in)
{
    bool away;

    channels_lock(in->ch);
    away = in->away;
    channels_unlock(in->ch);
    return away;
}

static void *io_thread(void *arg)
{
    struct inbox *in = arg;

    while (!atomic_load(&in->stopping)) {
        struct pollfd timer = {.fd = in->timer_fd, .events = POLLIN};

        while (!atomic_load(&in->stopping) && still_leads(in))
            lead(in);
        while (!atomic_load(&in->stopping)) {
            poll(&timer, 1, -1);
            if (take_over(in))
                break;
        }
    }
    return NULL;
}

/* ---- the session thread -----------------------------------------------------------------------------------
 */

/* The next request that the filter accepts: from the queue, else straight from the shell socket, else after all that
 * the sockets have was taken in. A request that finds us idle goes the short way: one receive. */
static struct request *next_locked(struct inbox *in, inbox_filter *filter, void *arg)
{
    struct request *r = dequeue(in, filter, arg);

    if (r)
        return r;
    if (in->bytes < INBOX_BYTES_MAX && (r = channels_receive(in->ch, CHANNEL_SHELL)) != NULL) {
        mark(in, r);
        if (filter(arg, r))
            return r;
        enqueue(in, r);
    }
    receive_locked(in);
    return dequeue(in, filter, arg);
}

struct request *inbox_take(struct inbox *in, inbox_filter *filter, void *arg, int timeout_ms)
{
    struct request *r;

    channels_lock(in->ch);
    in->away = false;
    r = next_locked(in, filter, arg);
    if (!r) {
        bool full = in->bytes >= INBOX_BYTES_MAX;

        publisher_flush_locked(in->publisher);
        channels_unlock(in->ch);
        wait_as_leader(in, in->wake_fd, full, timeout_ms);
        channels_lock(in->ch);
        r = next_locked(in, filter, arg);
    }
    leave_locked(in);
    channels_unlock(in->ch);
    return r;
}

/* Answers that nobody waits for any more. */
static bool for_stdin(void *arg, const struct request *r)
{
    (void)arg;
    return r->channel == CHANNEL_STDIN;
}

void inbox_forget_answers(struct inbox *in)
{
    struct request *r;

    channels_lock(in->ch);
    receive_locked(in);
    while ((r = dequeue(in, for_stdin, NULL)) != NULL)
        request_free(r);
    channels_unlock(in->ch);
}

struct request *inbox_next(struct inbox *in, inbox_filter *filter, void *arg, int timeout_ms)
{
    struct request *r;

    channels_lock(in->ch);
    while (in->first && (r = dequeue(in, for_stdin, NULL)) != NULL)
        request_free(r);
    channels_unlock(in->ch);
    return inbox_take(in, filter, arg, timeout_ms);
}

static void take_in(struct inbox *in)
{
    channels_lock(in->ch);
    receive_locked(in);
    channels_unlock(in->ch);
}

static void wait_for_quiet(struct inbox *in)
{
    for (int waited = 0; waited < QUIET_MOST_MS; waited += QUIET_MS) {
        struct pollfd shell = {.fd = channels_fd(in->ch, CHANNEL_SHELL), .events = POLLIN};

        if (poll(&shell, 1, QUIET_MS) == 0)
            break;
        take_in(in);
    }
}

void inbox_abort(struct inbox *in, const struct request *failed, bool at_once)
{
    int64_t now;

    take_in(in);
    if (!at_once)
        wait_for_quiet(in);
    now = clock_wall_ms();
    channels_lock(in->ch);
    for (struct request *r = in->first; r; r = r->next)
        if (is_execute(r) && strcmp(r->message.subshell, failed->message.subshell) == 0)
            r->aborted = true;
    in->failed_ns = clock_mono_ns();
    clock_iso(now, in->failed_iso);
    clock_iso(now - ABORT_AGE_MS, in->failed_floor);
    snprintf(in->failed_session, sizeof in->failed_session, "%s", failed->message.session);
    snprintf(in->failed_subshell, sizeof in->failed_subshell, "%s", failed->message.subshell);
    channels_unlock(in->ch);
}

/* ---- opening and closing ----------------------------------------------------------------------------------
 */

static void release(struct inbox *in)
{
    while (in->first) {
        struct request *r = in->first;
        in->first = r->next;
        request_free(r);
    }
    if (in->wake_fd >= 0)
        close(in->wake_fd);
    if (in->timer_fd >= 0)
        close(in->timer_fd);
    mem_free(in);
}

enum lc inbox_open(struct channels *ch, struct publisher *p, const struct inbox_calls *calls,
                   struct inbox **out, struct err *err)
{
    struct inbox *in = mem_zalloc(sizeof *in);
    int rc;

    if (!in)
        return err_nomem(err);
    in->ch = ch;
    in->publisher = p;
    in->calls = *calls;
    in->last = &in->first;
    in->away = true;
    in->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    in->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    rc = in->wake_fd < 0 || in->timer_fd < 0 ? errno : thread_start(&in->thread, io_thread, in);
    if (rc != 0) {
        release(in);
        return err_errno(err, rc, "cannot start the kernel's I/O thread");
    }
    *out = in;
    return LC_OK;
}

void inbox_close(struct inbox *in)
{
    struct itimerspec at_once = {.it_value.tv_nsec = 1};

    if (!in)
        return;
    atomic_store(&in->stopping, true);
    timerfd_settime(in->timer_fd, 0, &at_once, NULL);
    pthread_join(in->thread, NULL);
    release(in);
}
