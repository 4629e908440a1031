#include "runtime/train/ring.h"
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/thread.h"
#include "runtime/base/zmq_api.h"
#include "runtime/train/frame.h"
#include "runtime/train/socket.h"
#include "runtime/train/zap.h"
#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    TIMEOUT_MS = 1800 * 1000, /* Hugging Face's ddp_timeout */
    TICK_MS = 100,
    GRACE_MS = 500,        /* from a connection's end to its rank's: what it sent last is still read */
    FLUSH_MS = 5000,       /* what this rank sent last still goes out; */
    FLUSH_FAILED_MS = 300, /* or why it failed */
    CALLS_MOST = 4096,     /* started and not done */
    RECONNECT_MS = 100     /* the next rank may not know this one's key yet */
};

struct call {
    enum frame_kind kind; /* FRAME_SUM or FRAME_GIVE */
    char *data;           /* borrowed */
    size_t bytes;
    enum collective_type type;
    int root;
};

struct side {        /* the connection to a neighbour */
    bool up;         /* it has been there */
    int64_t lost_ns; /* since when it is gone; 0: it is not */
    int refused;     /* handshakes whose disconnects are still to come */
    int fd;          /* of its frames; -1: unknown */
};

struct ring {
    int rank, size, timeout_ms, port;
    struct frame_key token;
    struct key_pair key;
    struct allow *allow;                                       /* owned: the rank before */
    void *context, *pull, *push, *pull_monitor, *push_monitor; /* owned */
    struct zap *zap;                                           /* owned */
    pthread_t thread;
    bool running;
    /* of the ring's thread */
    uint64_t calls_done;
    struct side previous, next;
    unsigned char *out; /* owned: a frame to send */
    zmq_msg_t held;     /* a frame that came before its call */
    bool holding;
    bool abort_sent;
    /* shared */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int wake;           /* eventfd */
    struct call *calls; /* owned, CALLS_MOST: a queue */
    size_t first, n;
    bool stop, abort, waiting;
    bool idle_for_good; /* the thread touches nobody's data any more */
    enum lc failed;
    uint32_t culprit; /* where an abort began */
    struct err err;   /* why */
};

static int previous_of(const struct ring *r)
{
    return (r->rank + r->size - 1) % r->size;
}

static int next_of(const struct ring *r)
{
    return (r->rank + 1) % r->size;
}

/* ---- opening --------------------------------------------------------------------------------------------- */

static enum lc open_sockets(struct ring *r, bool loopback, struct err *err)
{
    char endpoint[256];
    size_t n = sizeof endpoint;
    const char *port;

    TRY(socket_context(&r->context, err));
    TRY(zap_start(r->context, r->allow, &r->zap, err));
    r->pull = zmq()->socket(r->context, ZMQ_PULL);
    r->push = zmq()->socket(r->context, ZMQ_PUSH);
    if (!r->pull || !r->push || !socket_common(r->pull, FRAME_HEAD + FRAME_PART) ||
        !socket_common(r->push, FRAME_HEAD + FRAME_PART) || !socket_int(r->pull, ZMQ_CURVE_SERVER, 1) ||
        !socket_int(r->push, ZMQ_SNDHWM, 0) || !socket_int(r->push, ZMQ_RECONNECT_IVL, RECONNECT_MS) ||
        zmq()->setsockopt(r->pull, ZMQ_ZAP_DOMAIN, "ring", 4) != 0 ||
        zmq()->setsockopt(r->pull, ZMQ_CURVE_SECRETKEY, r->key.sec, KEY_BYTES) != 0 ||
        !(r->pull_monitor = socket_watch(r->context, r->pull, "pull")) ||
        !(r->push_monitor = socket_watch(r->context, r->push, "push")) ||
        zmq()->bind(r->pull, loopback ? "tcp://127.0.0.1:*" : "tcp://*:*") != 0 ||
        zmq()->getsockopt(r->pull, ZMQ_LAST_ENDPOINT, endpoint, &n) != 0)
        return err_set(err, LC_NET, "cannot open the ring's sockets: %s", zmq()->strerror(errno));
    port = strrchr(endpoint, ':');
    r->port = port ? atoi(port + 1) : 0;
    return LC_OK;
}

enum lc ring_open(const struct ring_options *o, struct ring **out, struct err *err)
{
    struct ring *r = mem_zalloc(sizeof *r);
    enum lc rc;

    if (!r)
        return err_nomem(err);
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->changed, NULL);
    r->rank = o->rank;
    r->size = o->size;
    r->previous.fd = r->next.fd = -1;
    r->timeout_ms = o->timeout_ms > 0 ? o->timeout_ms : TIMEOUT_MS;
    r->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r->allow = allow_new();
    r->out = mem_alloc(FRAME_HEAD + FRAME_PART);
    r->calls = mem_calloc(CALLS_MOST, sizeof *r->calls);
    key_make(&r->key);
    frame_key_from(o->token, &r->token);
    rc = r->wake >= 0 && r->allow && r->out && r->calls ? open_sockets(r, o->loopback, err) : err_nomem(err);
    if (rc != LC_OK)
        return ring_free(r), rc;
    *out = r;
    return LC_OK;
}

int ring_port(const struct ring *r)
{
    return r->port;
}

const unsigned char *ring_key(const struct ring *r)
{
    return r->key.pub;
}

/* ---- the ring's thread: failing ---------------------------------------------------------------------------- */

/* The first failure is the one that counts. culprit: the rank where it began. */
static void fail(struct ring *r, const struct err *e, uint32_t culprit)
{
    pthread_mutex_lock(&r->lock);
    if (r->failed == LC_OK) {
        r->failed = e->code;
        r->err = *e;
        r->culprit = culprit;
    }
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

static bool has_failed(struct ring *r)
{
    bool failed;

    pthread_mutex_lock(&r->lock);
    failed = r->failed != LC_OK;
    pthread_mutex_unlock(&r->lock);
    return failed;
}

/* Passes the failure on, once: "CODE\0text". The rank where it began need not hear it again. */
static void tell_abort(struct ring *r)
{
    char text[1100];
    struct frame f = {.kind = FRAME_ABORT, .part = text};

    pthread_mutex_lock(&r->lock);
    f.from = r->culprit;
    f.len = (uint32_t)snprintf(text, sizeof text, "%s", lc_name(r->failed)) + 1;
    if ((int)r->culprit == r->rank)
        f.len += (uint32_t)snprintf(text + f.len, sizeof text - f.len, "rank %d: ", r->rank);
    f.len += (uint32_t)snprintf(text + f.len, sizeof text - f.len, "%.900s", r->err.message);
    pthread_mutex_unlock(&r->lock);
    if (r->abort_sent || (int)f.from == next_of(r))
        return;
    r->abort_sent = true;
    frame_write(&r->token, &f, r->out);
    (void)zmq()->send(r->push, r->out, FRAME_HEAD + f.len,
                      ZMQ_DONTWAIT); /* the coordinator tells them, too */
}

static void hear_abort(struct ring *r, const struct frame *f)
{
    const char *text = f->part;
    char copy[1100];
    size_t n = f->len < sizeof copy - 1 ? f->len : sizeof copy - 1, code;
    struct err e;

    memcpy(copy, text, n);
    copy[n] = '\0';
    code = strlen(copy);
    (void)err_set(&e, lc_from_name(copy), "%s", code < n ? copy + code + 1 : "a rank ended");
    if (e.code == LC_INTERNAL || e.code == LC_OK)
        e.code = LC_WORKER;
    fail(r, &e, f->from);
}

/* ---- the ring's thread: waiting ---------------------------------------------------------------------------- */

/* What a monitor says. Each refused handshake has a disconnect of its own; one of a stranger, who has another
 * descriptor than the neighbour's frames, means nothing. True: a refused connection has just ended. */
static bool look_at(void *monitor, struct side *side)
{
    char where[SOCKET_WHERE];
    uint32_t value;
    bool refused = false;
    int what;

    while ((what = socket_event(monitor, &value, where)))
        if (what == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
            side->up = true;
        } else if (what != ZMQ_EVENT_DISCONNECTED) {
            side->refused++;
        } else if (side->fd < 0 ? side->up && side->refused == 0 : side->fd == (int)value) {
            side->lost_ns =
                side->lost_ns ? side->lost_ns : clock_mono_ns(); /* for good: what was on its way is lost */
        } else if (side->refused > 0) {
            side->refused--;
            refused = true;
        }
    return refused;
}

static bool gone(int64_t lost_ns)
{
    return lost_ns && (clock_mono_ns() - lost_ns) / 1000000 > GRACE_MS;
}

/* Waits for a frame, a call, or a tick. Frames are taken only while none is held. */
static void poll_all(struct ring *r)
{
    zmq_pollitem_t items[] = {{NULL, r->wake, ZMQ_POLLIN, 0},
                              {r->pull_monitor, 0, ZMQ_POLLIN, 0},
                              {r->push_monitor, 0, ZMQ_POLLIN, 0},
                              {r->pull, 0, ZMQ_POLLIN, 0}};
    eventfd_t count;

    if (zmq()->poll(items, r->holding ? 3 : 4, TICK_MS) > 0 && items[0].revents)
        (void)eventfd_read(r->wake, &count);
    (void)look_at(r->pull_monitor, &r->previous);
    (void)look_at(r->push_monitor, &r->next);
}

static bool ended(struct ring *r)
{
    bool end;

    pthread_mutex_lock(&r->lock);
    end = r->stop || r->abort || r->failed != LC_OK;
    pthread_mutex_unlock(&r->lock);
    return end;
}

/* Takes a frame if there is one; an abort is dealt with. True: one is held. */
static bool take_frame(struct ring *r, struct frame *f)
{
    struct err e;

    if (!r->holding) {
        (void)zmq()->msg_init(&r->held);
        if (zmq()->msg_recv(&r->held, r->pull, ZMQ_DONTWAIT) < 0) {
            (void)zmq()->msg_close(&r->held);
            return false;
        }
        r->holding = true;
        r->previous.fd = zmq()->msg_get(&r->held, ZMQ_SRCFD);
    }
    e.code = LC_OK;
    if (zmq()->msg_more(&r->held) || !zmq()->msg_gets(&r->held, "User-Id"))
        (void)err_set(&e, LC_AUTH, "rank %d sent a message that is none of the ring's", previous_of(r));
    else if (frame_read(&r->token, zmq()->msg_data(&r->held), zmq()->msg_size(&r->held), f, &e) != LC_OK)
        err_wrap(&e, "rank %d sent %s", previous_of(r), e.message);
    else if (f->kind == FRAME_ABORT)
        return hear_abort(r, f), false;
    else
        return true;
    if (e.code != LC_TIMEOUT)
        e.code = LC_WORKER; /* whatever it was, that rank is at fault */
    fail(r, &e, (uint32_t)previous_of(r));
    return false;
}

static void drop_frame(struct ring *r)
{
    if (r->holding)
        (void)zmq()->msg_close(&r->held);
    r->holding = false;
}

/* ---- the ring's thread: parts of a call --------------------------------------------------------------------- */

struct exchange { /* one round: what goes to the next rank, what comes from the one before */
    enum frame_kind kind;
    uint32_t round;
    char *out, *in;
    size_t out_bytes, in_bytes;
    bool add;
    enum collective_type type;
};

static void add_part(char *to, const void *part, size_t bytes, enum collective_type type)
{
    if (type == COLLECTIVE_F64) {
        double *x = (double *)(void *)to;
        for (size_t i = 0; i < bytes / sizeof *x; i++) {
            double y;
            memcpy(&y, (const char *)part + i * sizeof y, sizeof y);
            x[i] += y;
        }
    } else {
        float *x = (float *)(void *)to;
        for (size_t i = 0; i < bytes / sizeof *x; i++) {
            float y;
            memcpy(&y, (const char *)part + i * sizeof y, sizeof y);
            x[i] += y;
        }
    }
}

static bool send_part(struct ring *r, const struct exchange *x, size_t *sent)
{
    size_t n = x->out_bytes - *sent < FRAME_PART ? x->out_bytes - *sent : FRAME_PART;
    struct frame f = {x->kind, (uint32_t)r->rank, r->calls_done, x->round,
                      *sent,   (uint32_t)n,       x->out + *sent};

    frame_write(&r->token, &f, r->out);
    if (zmq()->send(r->push, r->out, FRAME_HEAD + n, ZMQ_DONTWAIT) < 0)
        return false;
    *sent += n;
    return true;
}

/* The one frame that may come now; any other means that the rank before is at fault, or does another call. */
static void take_part(struct ring *r, const struct exchange *x, const struct frame *f, size_t *got)
{
    size_t left = x->in_bytes - *got;
    struct err e;

    if (f->kind != x->kind || f->call != r->calls_done || f->round != x->round || f->offset != *got ||
        (int)f->from != previous_of(r) || f->len != (left < FRAME_PART ? left : FRAME_PART)) {
        (void)err_set(
            &e, LC_WORKER,
            "rank %d sent part %llu of round %u of call %llu where part %zu of round %u of call %llu "
            "belongs: it is out of step, or repeats itself",
            previous_of(r), (unsigned long long)f->offset, f->round, (unsigned long long)f->call, *got,
            x->round, (unsigned long long)r->calls_done);
        return fail(r, &e, (uint32_t)previous_of(r));
    }
    if (x->add)
        add_part(x->in + *got, f->part, f->len, x->type);
    else
        memcpy(x->in + *got, f->part, f->len);
    *got += f->len;
}

static void check_silence(struct ring *r, int64_t since_ns, bool sending, bool receiving)
{
    bool next = sending && (gone(r->next.lost_ns) || !receiving);
    int culprit = next ? next_of(r) : previous_of(r);
    struct err e;

    e.code = LC_OK;
    if (gone(next ? r->next.lost_ns : r->previous.lost_ns))
        (void)err_set(&e, LC_WORKER, "the connection to rank %d is gone", culprit);
    else if ((clock_mono_ns() - since_ns) / 1000000 > r->timeout_ms)
        (void)err_set(&e, LC_TIMEOUT,
                      "rank %d has sent nothing for %d s while rank %d waited for its gradients", culprit,
                      r->timeout_ms / 1000, r->rank);
    if (e.code != LC_OK)
        fail(r, &e, (uint32_t)culprit);
}

static bool exchange(struct ring *r, const struct exchange *x)
{
    size_t sent = 0, got = 0;
    int64_t since_ns = clock_mono_ns();
    struct frame f;

    while ((sent < x->out_bytes || got < x->in_bytes) && !ended(r)) {
        bool moved = sent < x->out_bytes && send_part(r, x, &sent);

        if (got < x->in_bytes && take_frame(r, &f)) {
            take_part(r, x, &f, &got);
            drop_frame(r);
            moved = true;
        }
        if (moved) {
            since_ns = clock_mono_ns();
            continue;
        }
        poll_all(r);
        check_silence(r, since_ns, sent < x->out_bytes, got < x->in_bytes);
    }
    return sent >= x->out_bytes && got >= x->in_bytes;
}

/* Part k of n elements, in bytes. */
static size_t segment(const struct ring *r, const struct call *c, int k, char **at)
{
    size_t each = collective_bytes(c->type), n = c->bytes / each, size = (size_t)r->size,
           from = n * (size_t)k / size, to = n * ((size_t)k + 1) / size;

    *at = c->data + from * each;
    return (to - from) * each;
}

static bool run_sum(struct ring *r, const struct call *c)
{
    bool ok = true;

    for (int copy = 0; copy < 2; copy++)
        for (int s = 0; s < r->size - 1 && ok; s++) {
            struct exchange x = {
                .kind = copy ? FRAME_COPY : FRAME_SUM, .round = (uint32_t)s, .add = !copy, .type = c->type};
            int out = (r->rank + copy - s + 2 * r->size) % r->size, in = (out + r->size - 1) % r->size;

            x.out_bytes = segment(r, c, out, &x.out);
            x.in_bytes = segment(r, c, in, &x.in);
            ok = exchange(r, &x);
        }
    return ok;
}

/* From the root onwards, part by part, so that all are busy. */
static bool run_give(struct ring *r, const struct call *c)
{
    bool ok = true;

    for (size_t at = 0; at < c->bytes && ok; at += FRAME_PART) {
        size_t n = c->bytes - at < FRAME_PART ? c->bytes - at : FRAME_PART;
        struct exchange x = {.kind = FRAME_GIVE, .round = (uint32_t)(at / FRAME_PART)};

        x.in = x.out = c->data + at;
        x.in_bytes = r->rank == c->root ? 0 : n;
        ok = exchange(r, &x);
        x.in_bytes = 0;
        x.out_bytes = next_of(r) == c->root ? 0 : n;
        ok = ok && exchange(r, &x);
    }
    return ok;
}

/* ---- the ring's thread: its loop ---------------------------------------------------------------------------- */

static bool next_call(struct ring *r, struct call *out)
{
    bool there;

    pthread_mutex_lock(&r->lock);
    there = r->n > 0;
    if (there)
        *out = r->calls[r->first];
    pthread_mutex_unlock(&r->lock);
    return there;
}

static void call_done(struct ring *r)
{
    r->calls_done++;
    pthread_mutex_lock(&r->lock);
    r->first = (r->first + 1) % CALLS_MOST;
    r->n--;
    if (r->n == 0)
        pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

static void *ring_main(void *arg)
{
    struct ring *r = arg;
    struct call c;
    struct frame f;

    while (!ended(r)) {
        if (next_call(r, &c)) {
            if (c.kind == FRAME_GIVE ? run_give(r, &c) : run_sum(r, &c))
                call_done(r);
        } else {
            poll_all(r);
            (void)take_frame(r, &f); /* kept for its call */
        }
    }
    if (has_failed(r))
        tell_abort(r);
    pthread_mutex_lock(&r->lock);
    r->idle_for_good = true;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

/* ---- joining --------------------------------------------------------------------------------------------- */

static enum lc await_neighbours(const struct ctx *ctx, struct ring *r, const char *endpoint, int timeout_ms,
                                struct err *err)
{
    int64_t deadline = clock_mono_ns() + (int64_t)timeout_ms * 1000000;

    while (!r->previous.up || !r->next.up) {
        zmq_pollitem_t items[] = {{r->pull_monitor, 0, ZMQ_POLLIN, 0}, {r->push_monitor, 0, ZMQ_POLLIN, 0}};
        bool there = r->previous.up;

        TRY(ctx_check(ctx, err));
        if (clock_mono_ns() > deadline)
            return err_set(err, LC_TIMEOUT, "rank %d did not reach rank %d's ring within %d s",
                           there ? r->rank : previous_of(r), there ? next_of(r) : r->rank, timeout_ms / 1000);
        (void)zmq()->poll(items, 2, TICK_MS);
        (void)look_at(r->pull_monitor, &r->previous);
        if (look_at(r->push_monitor,
                    &r->next)) { /* it does not know this rank's key yet; ZeroMQ does not try again */
            usleep(RECONNECT_MS * 1000);
            (void)zmq()->disconnect(r->push, endpoint);
            (void)zmq()->connect(r->push, endpoint);
        }
    }
    return LC_OK;
}

static enum lc ring_start(void *state, void *data, int64_t n, enum collective_type type, struct err *err);
static enum lc ring_wait(void *state, const struct ctx *ctx, struct err *err);
static enum lc ring_give(void *state, const struct ctx *ctx, void *data, size_t bytes, int root,
                         struct err *err);
static void ring_abort(void *state, enum lc code, const char *why);
static void ring_close(void *state);
static enum lc ring_check(void *state, struct err *err);

enum lc ring_join(const struct ctx *ctx, struct ring *r, const char *next,
                  const unsigned char next_key[KEY_BYTES], const unsigned char previous_key[KEY_BYTES],
                  int timeout_ms, struct collective *out, struct err *err)
{
    static const struct collective_ops ops = {"ring",     ring_start, ring_wait, ring_give,
                                              ring_abort, ring_close, ring_check};
    char name[KEY_NAME];

    (void)snprintf(name, sizeof name, "rank-%d", previous_of(r));
    if (!allow_add(r->allow, name, previous_key))
        return err_nomem(err);
    if (zmq()->setsockopt(r->push, ZMQ_CURVE_PUBLICKEY, r->key.pub, KEY_BYTES) != 0 ||
        zmq()->setsockopt(r->push, ZMQ_CURVE_SECRETKEY, r->key.sec, KEY_BYTES) != 0 ||
        zmq()->setsockopt(r->push, ZMQ_CURVE_SERVERKEY, next_key, KEY_BYTES) != 0 ||
        zmq()->connect(r->push, next) != 0)
        return err_set(err, LC_NET, "cannot connect to rank %d at '%s': %s", next_of(r), next,
                       zmq()->strerror(errno));
    TRY(await_neighbours(ctx, r, next, timeout_ms, err));
    (void)socket_int(r->push, ZMQ_LINGER, FLUSH_MS);
    if (thread_start(&r->thread, ring_main, r) != 0)
        return err_set(err, LC_NOMEM, "cannot start the ring's thread");
    r->running = true;
    *out = (struct collective){&ops, r, r->rank, r->size};
    return LC_OK;
}

void ring_free(struct ring *r)
{
    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    r->stop = true;
    pthread_mutex_unlock(&r->lock);
    if (r->wake >= 0)
        (void)eventfd_write(r->wake, 1);
    if (r->running)
        pthread_join(r->thread, NULL);
    if (r->push && r->failed != LC_OK)
        (void)socket_int(r->push, ZMQ_LINGER, FLUSH_FAILED_MS);
    drop_frame(r);
    if (r->pull_monitor)
        (void)zmq()->socket_monitor(r->pull, NULL, 0);
    if (r->push_monitor)
        (void)zmq()->socket_monitor(r->push, NULL, 0);
    socket_close(&r->pull_monitor);
    socket_close(&r->push_monitor);
    socket_close(&r->pull);
    socket_close(&r->push);
    if (r->context)
        (void)zmq()->ctx_shutdown(r->context);
    zap_join(r->zap);
    if (r->context)
        (void)zmq()->ctx_term(r->context);
    allow_free(r->allow);
    if (r->wake >= 0)
        close(r->wake);
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->changed);
    key_wipe(&r->key);
    sodium_memzero(&r->token, sizeof r->token);
    mem_free(r->out);
    mem_free(r->calls);
    mem_free(r);
}

int ring_culprit(struct ring *r)
{
    int culprit;

    pthread_mutex_lock(&r->lock);
    culprit = r->failed == LC_OK ? -1 : (int)r->culprit;
    pthread_mutex_unlock(&r->lock);
    return culprit;
}

bool ring_waiting(struct ring *r)
{
    bool waiting;

    pthread_mutex_lock(&r->lock);
    waiting = r->waiting;
    pthread_mutex_unlock(&r->lock);
    return waiting;
}

/* ---- the collective --------------------------------------------------------------------------------------- */

static enum lc queue_call(struct ring *r, const struct call *c, struct err *err)
{
    enum lc rc = LC_OK;

    pthread_mutex_lock(&r->lock);
    if (r->failed != LC_OK) {
        rc = r->failed;
        if (err)
            *err = r->err;
    } else if (r->n == CALLS_MOST) {
        rc = err_set(err, LC_LIMIT, "more than %d sums were started at once", CALLS_MOST);
    } else {
        r->calls[(r->first + r->n++) % CALLS_MOST] = *c;
    }
    pthread_mutex_unlock(&r->lock);
    if (rc == LC_OK)
        (void)eventfd_write(r->wake, 1);
    return rc;
}

static enum lc ring_start(void *state, void *data, int64_t n, enum collective_type type, struct err *err)
{
    struct call c = {FRAME_SUM, data, (size_t)n * collective_bytes(type), type, 0};

    return queue_call(state, &c, err);
}

static void wait_a_tick(struct ring *r)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += TICK_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    (void)pthread_cond_timedwait(&r->changed, &r->lock, &until);
}

/* A cancelled wait fails the ring: the data go back to the caller, who may free them. */
static enum lc ring_wait(void *state, const struct ctx *ctx, struct err *err)
{
    struct ring *r = state;
    struct err cancelled;
    enum lc rc = LC_OK;

    pthread_mutex_lock(&r->lock);
    r->waiting = true;
    while (r->n > 0 && r->failed == LC_OK && rc == LC_OK) {
        wait_a_tick(r);
        rc = ctx_check(ctx, &cancelled);
    }
    if (r->n > 0 && rc != LC_OK && r->failed == LC_OK) {
        r->failed = rc;
        r->err = cancelled;
        r->culprit = (uint32_t)r->rank;
    }
    rc = r->n > 0 ? r->failed : LC_OK;
    while (rc != LC_OK && !r->idle_for_good)
        wait_a_tick(r);
    r->waiting = false;
    if (rc != LC_OK && err)
        *err = r->err;
    pthread_mutex_unlock(&r->lock);
    return rc;
}

static enum lc ring_give(void *state, const struct ctx *ctx, void *data, size_t bytes, int root,
                         struct err *err)
{
    struct call c = {FRAME_GIVE, data, bytes, COLLECTIVE_F32, root};

    TRY(queue_call(state, &c, err));
    return ring_wait(state, ctx, err);
}

static void ring_abort(void *state, enum lc code, const char *why)
{
    struct ring *r = state;
    struct err e;

    (void)err_set(&e, code, "%s", why);
    fail(r, &e, (uint32_t)r->rank);
    pthread_mutex_lock(&r->lock);
    r->abort = true;
    pthread_mutex_unlock(&r->lock);
    (void)eventfd_write(r->wake, 1);
}

static enum lc ring_check(void *state, struct err *err)
{
    struct ring *r = state;
    enum lc rc;

    pthread_mutex_lock(&r->lock);
    rc = r->failed;
    if (rc != LC_OK && err)
        *err = r->err;
    pthread_mutex_unlock(&r->lock);
    return rc;
}

static void ring_close(void *state)
{
    ring_free(state);
}
