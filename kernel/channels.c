#include "kernel/channels.h"
#include "kernel/death.h"
#include "kernel/stalled.h"
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/zmq_api.h"
#include <errno.h>
#ifdef __GLIBC__
#include <nss.h>
#endif
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

struct channels {
    void *context;
    void *socket[CHANNEL_COUNT];
    int fd[CHANNEL_COUNT];
    struct kwire *wire; /* borrowed */
    int log_fd;
    atomic_int notes;
    atomic_size_t replies; /* bytes of large ones that ZeroMQ holds for clients */
    pthread_mutex_t lock;  /* of shell, stdin and iopub */
    struct buf header;     /* scratch for sending; one per lock */
    struct buf control_header;
};

struct reply { /* handed to ZeroMQ with a large one */
    struct channels *channels;
    size_t bytes;
};
enum { REPLY_COPIED = 8 << 10 };

static const int types[CHANNEL_COUNT] = {
    [CHANNEL_SHELL] = ZMQ_ROUTER,   [CHANNEL_STDIN] = ZMQ_ROUTER, [CHANNEL_IOPUB] = ZMQ_XPUB,
    [CHANNEL_CONTROL] = ZMQ_ROUTER, [CHANNEL_HB] = ZMQ_REP,
};

/* Small replies that a client has not read; those after them are lost. Large ones: channels_room. */
enum { REPLIES_MAX = 10000 };

static void set_int(void *socket, int option, int value)
{
    zmq()->setsockopt(socket, option, &value, sizeof value);
}

/* The file's keys are the server's: clients make their own and need to know our public one. Who a client is, the
 * signatures say. */
static enum lc encrypt(void *socket, const struct connection *c, struct err *err)
{
    int yes = 1;

    if (!c->curve_secret[0])
        return LC_OK;
    if (zmq()->setsockopt(socket, ZMQ_CURVE_SERVER, &yes, sizeof yes) == 0 &&
        zmq()->setsockopt(socket, ZMQ_CURVE_SECRETKEY, c->curve_secret, sizeof c->curve_secret) == 0 &&
        zmq()->setsockopt(socket, ZMQ_CURVE_PUBLICKEY, c->curve_public, sizeof c->curve_public) == 0)
        return LC_OK;
    err_set(err, LC_UNSUPPORTED, "cannot encrypt the channels as the connection file asks: %s",
            zmq()->strerror(errno));
    return err_hint(err, "its keys are not Z85, or ZeroMQ was built without CURVE");
}

static enum lc bind_one(struct channels *ch, enum channel i, const struct connection *c, struct err *err)
{
    char address[CONNECTION_ADDRESS_MAX];
    const int64_t largest = WIRE_BYTES_MAX;
    size_t size = sizeof ch->fd[i];
    void *s = ch->socket[i] = zmq()->socket(ch->context, types[i]);

    if (!s)
        return err_set(err, LC_IO, "cannot open the %s socket: %s", channel_name(i), zmq()->strerror(errno));
    /* On iopub nothing is dropped for being too many: the publisher counts bytes itself. */
    set_int(s, ZMQ_SNDHWM, types[i] == ZMQ_ROUTER ? REPLIES_MAX : 0);
    set_int(s, ZMQ_LINGER, 1000);
    zmq()->setsockopt(s, ZMQ_MAXMSGSIZE, &largest, sizeof largest);
    if (i == CHANNEL_IOPUB)
        set_int(s, ZMQ_XPUB_VERBOSE, 1);
    if (types[i] == ZMQ_ROUTER)
        set_int(s, ZMQ_ROUTER_HANDOVER, 1);
    TRY(encrypt(s, c, err));
    connection_address(c, i, address);
    if (zmq()->bind(s, address) != 0) {
        bool taken = errno == EADDRINUSE || errno == EACCES;

        err_set(err, LC_NET, "cannot bind the %s channel to '%s': %s", channel_name(i), address,
                zmq()->strerror(errno));
        return err_hint(err, taken ? "another program may have the port: start the kernel again"
                                   : "'ip' in the connection file must be an address of this machine");
    }
    zmq()->getsockopt(s, ZMQ_FD, &ch->fd[i], &size);
    return LC_OK;
}

/* ZeroMQ (libpgm) asks for the number of a protocol as it starts. Where a database of protocols may be installed, glibc first looks for
 * a library that reads it in 50 places: an eighth of the system calls of a start. */
static void open_protocols(void)
{
#ifdef __GLIBC__
    (void)__nss_configure_lookup("protocols", "files");
#endif
}

enum lc channels_open(const struct connection *c, struct kwire *wire, int log_fd, struct channels **out,
                      struct err *err)
{
    struct channels *ch = mem_zalloc(sizeof *ch);
    enum lc rc;

    if (!ch)
        return err_nomem(err);
    ch->wire = wire;
    ch->log_fd = log_fd;
    buf_init(&ch->header, 4096);
    buf_init(&ch->control_header, 4096);
    pthread_mutex_init(&ch->lock, NULL);
    open_protocols();
    rc = zmq_context(&ch->context, err);
    for (int i = 0; i < CHANNEL_COUNT && rc == LC_OK; i++)
        rc = bind_one(ch, (enum channel)i, c, err);
    if (rc == LC_OK)
        *out = ch;
    else
        channels_close(ch);
    return rc;
}

void channels_shut(struct channels *ch)
{
    zmq()->ctx_shutdown(ch->context);
}

void channels_close_one(struct channels *ch, enum channel channel)
{
    if (ch->socket[channel])
        zmq()->close(ch->socket[channel]);
    ch->socket[channel] = NULL;
}

void channels_close(struct channels *ch)
{
    if (!ch)
        return;
    for (int i = 0; i < CHANNEL_COUNT; i++)
        channels_close_one(ch, (enum channel)i);
    if (ch->context)
        zmq()->ctx_term(ch->context);
    pthread_mutex_destroy(&ch->lock);
    buf_release(&ch->header);
    buf_release(&ch->control_header);
    mem_free(ch);
}

void channels_lock(struct channels *ch)
{
    pthread_mutex_lock(&ch->lock);
}

void channels_unlock(struct channels *ch)
{
    pthread_mutex_unlock(&ch->lock);
}

int channels_fd(const struct channels *ch, enum channel channel)
{
    return ch->fd[channel];
}

void *channels_socket(struct channels *ch, enum channel channel)
{
    return ch->socket[channel];
}

int channels_end_stalled(struct channels *ch, enum channel channel, int watch_ms)
{
    char endpoint[CONNECTION_ADDRESS_MAX];
    size_t len = sizeof endpoint;
    bool known;

    channels_lock(ch);
    known = zmq()->getsockopt(ch->socket[channel], ZMQ_LAST_ENDPOINT, endpoint, &len) == 0;
    channels_unlock(ch);
    return known ? stalled_end(endpoint, watch_ms) : 0;
}

/* ---- receiving --------------------------------------------------------------------------------------- */

void request_free(struct request *r)
{
    if (!r)
        return;
    kwire_message_release(&r->message);
    for (size_t i = 0; i < r->n_parts; i++)
        zmq()->msg_close(&r->frames[i]);
    mem_free(r->frames);
    mem_free(r->parts);
    mem_free(r);
}

/* Makes room for one more frame. frames may move: ZeroMQ allows that with a bytewise copy only through
 * zmq_msg_move, so growing copies them one by one. */
static bool reserve_frame(struct request *r, size_t *cap)
{
    size_t bigger = *cap ? *cap * 4 : 8;
    zmq_msg_t *frames;

    if (r->n_parts < *cap)
        return true;
    frames = mem_calloc(bigger, sizeof *frames);
    if (!frames)
        return false;
    for (size_t i = 0; i < r->n_parts; i++) {
        zmq()->msg_init(&frames[i]);
        zmq()->msg_move(&frames[i], &r->frames[i]);
        zmq()->msg_close(&r->frames[i]);
    }
    mem_free(r->frames);
    r->frames = frames;
    *cap = bigger;
    return true;
}

/* Reads the frames of one message; those over the limits are read and thrown away. Returns false when there
 * is no message. */
static bool receive_frames(void *socket, struct request *r, bool *usable)
{
    size_t cap = 0;

    *usable = true;
    for (bool more = true; more;) {
        zmq_msg_t frame;

        zmq()->msg_init(&frame);
        if (zmq()->msg_recv(&frame, socket, ZMQ_DONTWAIT) < 0)
            return zmq()->msg_close(&frame), r->n_parts > 0;
        more = zmq()->msg_more(&frame);
        r->size += zmq()->msg_size(&frame);
        *usable =
            *usable && r->n_parts < WIRE_PARTS_MAX && r->size <= WIRE_BYTES_MAX && reserve_frame(r, &cap);
        if (*usable) {
            zmq()->msg_init(&r->frames[r->n_parts]);
            zmq()->msg_move(&r->frames[r->n_parts++], &frame);
        }
        zmq()->msg_close(&frame);
    }
    return true;
}

static bool view_frames(struct request *r)
{
    r->parts = mem_calloc(r->n_parts, sizeof *r->parts);
    for (size_t i = 0; r->parts && i < r->n_parts; i++)
        r->parts[i] = (struct kwire_part){zmq()->msg_data(&r->frames[i]), zmq()->msg_size(&r->frames[i])};
    return r->parts != NULL;
}

/* False: not to be answered. */
static bool decode(struct channels *ch, struct request *r, bool usable)
{
    struct err err = {.code = LC_OK};
    enum lc rc;

    if (!usable)
        rc = err_set(&err, LC_LIMIT, "message of more than %d frames or %zu bytes", WIRE_PARTS_MAX,
                     WIRE_BYTES_MAX);
    else if (!view_frames(r))
        rc = err_nomem(&err);
    else
        rc = kwire_parse(ch->wire, r->parts, r->n_parts, &r->message, &err);
    if (rc == LC_OK)
        return true;
    if (r->message.type) {
        r->problem = err;
        return true;
    }
    if (atomic_fetch_add(&ch->notes, 1) < NOTES_MAX)
        death_note(ch->log_fd, "ignored on %s: %s", channel_name(r->channel), err.message);
    return false;
}

struct request *channels_receive(struct channels *ch, enum channel channel)
{
    for (;;) {
        struct request *r = mem_zalloc(sizeof *r);
        bool usable;

        if (!r)
            return NULL;
        r->channel = channel;
        if (!receive_frames(ch->socket[channel], r, &usable)) {
            request_free(r);
            return NULL;
        }
        if (decode(ch, r, usable)) {
            r->received_ns = clock_mono_ns();
            return r;
        }
        request_free(r);
    }
}

/* ---- sending ------------------------------------------------------------------------------------------ */

static const struct kwire_part empty = {"{}", 2};

static bool send_part(void *socket, const void *data, size_t len, bool more)
{
    return zmq()->send(socket, data, len, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0)) >= 0;
}

static bool send_content(void *socket, const struct outgoing *o, bool more)
{
    zmq_msg_t frame;

    if (!o->content_free)
        return send_part(socket, o->content.data, o->content.len, more);
    /* the bytes were handed over by our caller: ZeroMQ only wants them without const */
    if (zmq()->msg_init_data(&frame, (void *)(uintptr_t)o->content.data, o->content.len, o->content_free,
                             o->content_hint) != 0) {
        o->content_free((void *)(uintptr_t)o->content.data, o->content_hint);
        return false;
    }
    if (zmq()->msg_send(&frame, socket, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0)) >= 0)
        return true;
    zmq()->msg_close(&frame);
    return false;
}

/* On ZeroMQ's thread. */
static void reply_left(void *data, void *hint)
{
    struct reply *reply = hint;

    atomic_fetch_sub(&reply->channels->replies, reply->bytes);
    mem_free(reply);
    mem_free(data);
}

bool channels_reply(struct channels *ch, enum channel channel, const struct outgoing *o, struct buf *content)
{
    struct outgoing more = *o;
    struct reply *reply;

    more.content = (struct kwire_part){buf_str(content), content->len};
    if (content->len <= REPLY_COPIED)
        return channels_send(ch, channel, &more);
    if (atomic_load(&ch->replies) + content->len > CHANNELS_REPLIES_MAX && atomic_load(&ch->replies) > 0)
        return false;
    reply = mem_alloc(sizeof *reply);
    if (!reply)
        return false;
    *reply = (struct reply){ch, content->len};
    atomic_fetch_add(&ch->replies, reply->bytes);
    more.content.data = buf_take(content);
    more.content_free = reply_left;
    more.content_hint = reply;
    return channels_send(ch, channel, &more);
}

static bool send_signed(struct channels *ch, void *socket, struct buf *header, const struct outgoing *o)
{
    struct kwire_part parts[WIRE_SIGNED_PARTS];
    char signature[WIRE_SIGNATURE];
    bool ok = true;

    buf_clear(header);
    kwire_header(ch->wire, o->type, header);
    parts[0] = (struct kwire_part){buf_str(header), header->len};
    parts[1] = o->parent.len ? o->parent : empty;
    parts[2] = o->metadata.len ? o->metadata : empty;
    parts[3] = o->content;
    kwire_sign(ch->wire, parts, signature);
    ok = send_part(socket, WIRE_DELIMITER, sizeof WIRE_DELIMITER - 1, true) &&
         send_part(socket, signature, strlen(signature), true);
    for (int i = 0; i < WIRE_SIGNED_PARTS - 1; i++)
        ok = ok && send_part(socket, parts[i].data, parts[i].len, true);
    if (!ok) {
        if (o->content_free)
            o->content_free((void *)(uintptr_t)o->content.data, o->content_hint);
        return false;
    }
    return send_content(socket, o, o->n_buffers > 0);
}

void channels_sent_id(const struct channels *ch, char id[CHANNELS_ID])
{
    static const char before[] = "{\"msg_id\":\"";
    const char *at = ch->header.len >= sizeof before ? buf_str(&ch->header) + sizeof before - 1 : "";

    snprintf(id, CHANNELS_ID, "%.*s", (int)strcspn(at, "\""), at);
}

bool channels_send(struct channels *ch, enum channel channel, const struct outgoing *o)
{
    void *socket = ch->socket[channel];
    bool ok = true;

    for (size_t i = 0; i < o->n_ids; i++)
        ok = ok && send_part(socket, o->ids[i].data, o->ids[i].len, true);
    if (!ok) {
        if (o->content_free)
            o->content_free((void *)(uintptr_t)o->content.data, o->content_hint);
        return false;
    }
    ok = send_signed(ch, socket, channel == CHANNEL_CONTROL ? &ch->control_header : &ch->header, o);
    for (size_t i = 0; ok && i < o->n_buffers; i++)
        ok = send_part(socket, o->buffers[i].data, o->buffers[i].len, i + 1 < o->n_buffers);
    return ok;
}
