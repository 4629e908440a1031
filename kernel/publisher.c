#include "kernel/publisher.h"
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/zmq_api.h"
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HELD = 4, HELD_MS = 2 };
enum {
    WATCH_MS = 1000,
    ENDING_MS = 2000
};                                /* of a client that may have stalled, and for ZeroMQ to let go of it */
enum { MESSAGE_OVERHEAD = 1024 }; /* what the frames beside the content cost, about */

struct publisher {
    struct channels *ch;
    struct buf parent;    /* header of the request that runs */
    struct buf text;      /* stream content in the making: {"name":"stdout","text":"… */
    enum stream stream;   /* of text */
    int64_t text_since;   /* when the oldest of it was written; monotonic ns */
    bool shown;           /* text of this parent has gone out */
    atomic_size_t flying; /* bytes that ZeroMQ still holds for clients */
    bool stalled;         /* a client reads nothing: what does not fit is given up at once */
    int64_t ends_again;   /* not before that are clients disconnected that stalled */
    size_t dropped;       /* bytes given up since that was told last */
    size_t lost;          /* bytes that waited for a client when it was disconnected */
    struct held {
        const char *type;
        struct buf content;
    } held[HELD]; /* what announces a request, until something follows it */
    int n_held;
    int64_t held_since;
};

/* Handed to ZeroMQ with each content frame. */
struct charge {
    struct publisher *p;
    size_t bytes;
};

struct publisher *publisher_new(struct channels *ch)
{
    struct publisher *p = mem_zalloc(sizeof *p);

    if (!p)
        return NULL;
    p->ch = ch;
    buf_init(&p->parent, WIRE_BYTES_MAX);
    buf_init(&p->text, WIRE_BYTES_MAX);
    return p;
}

void publisher_free(struct publisher *p)
{
    if (!p)
        return;
    for (int i = 0; i < p->n_held; i++)
        buf_release(&p->held[i].content);
    buf_release(&p->parent);
    buf_release(&p->text);
    mem_free(p);
}

/* On ZeroMQ's thread, when the last client has the bytes. */
static void content_left(void *data, void *hint)
{
    struct charge *charge = hint;

    atomic_fetch_sub(&charge->p->flying, charge->bytes);
    mem_free(charge);
    mem_free(data);
}

static void send_parts(struct publisher *p, struct outgoing *o, struct buf *content)
{
    struct charge *charge = atomic_load(&p->flying) <= PUBLISHER_LIMIT ? mem_alloc(sizeof *charge) : NULL;

    o->content.len = content->len;
    o->content.data = buf_take(content);
    if (!charge || !o->content.data) { /* no memory, or a client that has stalled for good */
        mem_free(charge);
        mem_free((void *)(uintptr_t)o->content.data);
        return;
    }
    *charge = (struct charge){p, o->content.len + o->parent.len + MESSAGE_OVERHEAD};
    for (size_t i = 0; i < o->n_buffers; i++)
        charge->bytes += o->buffers[i].len;
    o->content_free = content_left;
    o->content_hint = charge;
    atomic_fetch_add(&p->flying, charge->bytes);
    channels_send(p->ch, CHANNEL_IOPUB, o);
}

/* Apart: few messages have buffers, and their list takes four pages of the stack. */
static __attribute__((noinline)) void send_with_buffers(struct publisher *p, struct outgoing *o,
                                                        struct buf *content,
                                                        const struct comm_buffers *buffers)
{
    struct kwire_part parts[WIRE_PARTS_MAX];

    for (; o->n_buffers < buffers->n && o->n_buffers < WIRE_PARTS_MAX; o->n_buffers++)
        parts[o->n_buffers] = (struct kwire_part){buffers->data[o->n_buffers], buffers->len[o->n_buffers]};
    o->buffers = parts;
    send_parts(p, o, content);
}

static void send_now(struct publisher *p, const char *type, const struct kwire_part *parent,
                     struct buf *content, const struct kwire_part *metadata,
                     const struct comm_buffers *buffers)
{
    const struct kwire_part topic = {type, strlen(type)};
    struct outgoing o = {.ids = &topic, .n_ids = 1, .type = type, .parent = *parent};

    if (metadata)
        o.metadata = *metadata;
    if (buffers && buffers->n > 0)
        send_with_buffers(p, &o, content, buffers);
    else
        send_parts(p, &o, content);
}

static struct kwire_part parent_of(const struct publisher *p)
{
    return (struct kwire_part){p->parent.data, p->parent.len};
}

static void send_held(struct publisher *p)
{
    struct kwire_part parent = parent_of(p);
    int n = p->n_held;

    p->n_held = 0;
    for (int i = 0; i < n; i++)
        send_now(p, p->held[i].type, &parent, &p->held[i].content, NULL, NULL);
}

static void send_locked(struct publisher *p, const char *type, const struct kwire_part *parent,
                        struct buf *content, const struct kwire_part *metadata,
                        const struct comm_buffers *buffers)
{
    send_held(p);
    send_now(p, type, parent, content, metadata, buffers);
}

void publisher_flush_locked(struct publisher *p)
{
    struct kwire_part parent = parent_of(p);

    send_held(p);
    if (p->text.len == 0)
        return;
    buf_puts(&p->text, "\"}");
    p->shown = true;
    send_locked(p, "stream", &parent, &p->text, NULL, NULL);
}

int publisher_due_locked(const struct publisher *p)
{
    int64_t now = clock_mono_ns(), due = INT64_MAX;

    if (p->n_held > 0)
        due = p->held_since + (int64_t)HELD_MS * 1000000;
    else if (p->text.len > 0) /* the first is wanted soon, what follows in larger pieces */
        due = p->text_since + (p->shown ? (int64_t)PUBLISHER_DELAY_MS : PUBLISHER_FIRST_MS) * 1000000;
    if (due == INT64_MAX)
        return -1;
    return due <= now ? 0 : (int)((due - now + 999999) / 1000000);
}

/* ---- back-pressure --------------------------------------------------------------------------------------
 */

static void report_loss(struct publisher *p)
{
    struct kwire_part parent = parent_of(p);
    struct buf content = BUF_INIT(1024);

    if (p->dropped == 0)
        return;
    buf_printf(&content,
               "{\"name\":\"stderr\",\"text\":\"lacus: %zu bytes of output were dropped: the front end read "
               "nothing for %d s\\n\"}",
               p->dropped, PUBLISHER_STALL_MS / 1000);
    p->dropped = 0;
    send_locked(p, "stream", &parent, &content, NULL, NULL);
}

static int64_t ns(int ms)
{
    return (int64_t)ms * 1000000;
}

/* Some clients may have stalled while others read: those who read are not to lose anything for it. */
static bool end_stalled(struct publisher *p)
{
    size_t before = atomic_load(&p->flying), after;
    int64_t ended;

    if (clock_mono_ns() < p->ends_again)
        return false;
    p->ends_again = clock_mono_ns() + ns(PUBLISHER_STALL_MS);
    if (channels_end_stalled(p->ch, CHANNEL_IOPUB, WATCH_MS) == 0)
        return false;
    p->ends_again = 0;
    ended = clock_mono_ns();
    while ((after = atomic_load(&p->flying)) > PUBLISHER_BUDGET / 2 &&
           clock_mono_ns() - ended < ns(ENDING_MS))
        poll(NULL, 0, 1);
    channels_lock(p->ch);
    p->lost += before > after ? before - after : 0;
    channels_unlock(p->ch);
    return after < before;
}

/* Waits until `more` bytes fit in the budget. False: the client has stalled (or the cell was interrupted),
 * the bytes are to be dropped. Without the lock. */
static bool make_room(struct publisher *p, const struct ctx *ctx, size_t more)
{
    size_t least = atomic_load(&p->flying);
    int64_t moved = clock_mono_ns();
    /* once stalled, nothing waits again before something has moved */
    const int64_t patience = p->stalled ? 0 : ns(PUBLISHER_STALL_MS);

    for (size_t now = least; now > 0 && now + more > PUBLISHER_BUDGET; now = atomic_load(&p->flying)) {
        const bool cancelled = ctx_cancelled(ctx);

        if (now < least) {
            least = now;
            moved = clock_mono_ns();
        }
        if (cancelled && !p->stalled) /* who pauses is not disconnected for the interrupt */
            p->ends_again = clock_mono_ns() + ns(PUBLISHER_STALL_MS);
        if (cancelled || (clock_mono_ns() - moved >= patience && !end_stalled(p)))
            return p->stalled = true, p->dropped += more, false;
        poll(NULL, 0, 1);
    }
    p->stalled = false;
    if (p->dropped > 0) {
        channels_lock(p->ch);
        report_loss(p);
        channels_unlock(p->ch);
    }
    return true;
}

/* ---- the session thread ------------------------------------------------------------------------------- */

void publisher_parent(struct publisher *p, const void *header, size_t len)
{
    channels_lock(p->ch);
    publisher_flush_locked(p);
    buf_clear(&p->parent);
    buf_add(&p->parent, header, len);
    p->shown = false;
    channels_unlock(p->ch);
}

/* How much of a text is taken at once: never in the middle of a character. */
static size_t piece(const char *text, size_t len)
{
    size_t n = PUBLISHER_CHUNK;

    if (len <= PUBLISHER_CHUNK)
        return len;
    while (n > PUBLISHER_CHUNK - 4 && ((unsigned char)text[n] & 0xC0) == 0x80)
        n--;
    return n;
}

static void add_text_locked(struct publisher *p, enum stream stream, const char *text, size_t len)
{
    if (p->text.len > 0 && p->stream != stream)
        publisher_flush_locked(p);
    if (p->text.len == 0) {
        p->stream = stream;
        p->text_since = clock_mono_ns();
        buf_printf(&p->text, "{\"name\":\"%s\",\"text\":\"", stream == STREAM_STDERR ? "stderr" : "stdout");
    }
    buf_json_text(&p->text, text, len);
}

void publisher_text(struct publisher *p, const struct ctx *ctx, enum stream stream, const char *text,
                    size_t len)
{
    for (size_t n; len > 0; text += n, len -= n) {
        size_t full;

        n = piece(text, len);
        channels_lock(p->ch);
        add_text_locked(p, stream, text, n);
        full = p->text.len >= PUBLISHER_CHUNK ? p->text.len : 0;
        channels_unlock(p->ch);
        if (full == 0)
            continue;
        if (make_room(p, ctx, full)) {
            channels_lock(p->ch);
            publisher_flush_locked(p);
        } else {
            channels_lock(p->ch);
            buf_clear(&p->text);
        }
        channels_unlock(p->ch);
    }
}

void publisher_send(struct publisher *p, const struct ctx *ctx, const char *type, struct buf *content,
                    json_t *metadata, const struct comm_buffers *buffers)
{
    struct kwire_part parent, extra = {NULL, 0};
    char *text = metadata ? json_dumps(metadata, JSON_COMPACT) : NULL;

    if (text)
        extra = (struct kwire_part){text, strlen(text)};
    if (buf_ok(content) && make_room(p, ctx, content->len)) {
        channels_lock(p->ch);
        publisher_flush_locked(p);
        parent = parent_of(p);
        send_locked(p, type, &parent, content, text ? &extra : NULL, buffers);
        channels_unlock(p->ch);
    }
    buf_release(content);
    free(text);
}

void publisher_status_locked(struct publisher *p, const char *state)
{
    struct buf content = BUF_INIT(256);
    struct kwire_part parent;

    buf_printf(&content, "{\"execution_state\":\"%s\"}", state);
    publisher_flush_locked(p);
    if (strcmp(state, "idle") == 0)
        report_loss(p); /* those who read on learn what is missing */
    parent = parent_of(p);
    send_locked(p, "status", &parent, &content, NULL, NULL);
}

void publisher_status(struct publisher *p, const char *state)
{
    channels_lock(p->ch);
    publisher_status_locked(p, state);
    channels_unlock(p->ch);
}

void publisher_announce(struct publisher *p, const char *type, struct buf *content)
{
    channels_lock(p->ch);
    if (p->n_held == HELD || p->text.len > 0)
        publisher_flush_locked(p);
    if (p->n_held == 0)
        p->held_since = clock_mono_ns();
    if (buf_ok(content))
        p->held[p->n_held++] = (struct held){type, *content};
    else
        buf_release(content);
    channels_unlock(p->ch);
}

/* For threads that do not wait at the socket: to send may take subscriptions in, which its descriptor does not tell again. */
static void greet(struct publisher *p)
{
    while (publisher_welcome_locked(p))
        ;
}

void publisher_aside_locked(struct publisher *p, const struct kwire_part *parent, const char *type,
                            const char *content, size_t len)
{
    struct buf text = BUF_INIT(WIRE_BYTES_MAX);

    buf_add(&text, content, len);
    send_locked(p, type, parent, &text, NULL, NULL);
    greet(p);
}

static void note_locked(struct publisher *p, const char *text)
{
    struct kwire_part parent = parent_of(p);
    struct buf content = BUF_INIT(4096);

    publisher_flush_locked(p);
    buf_puts(&content, "{\"name\":\"stderr\",\"text\":");
    buf_json(&content, text, strlen(text));
    buf_putc(&content, '}');
    send_locked(p, "stream", &parent, &content, NULL, NULL);
}

void publisher_note_locked(struct publisher *p, const char *text)
{
    note_locked(p, text);
    greet(p);
}

/* ---- subscriptions --------------------------------------------------------------------------------------
 */

/* To the one that comes back when it reads again; the others have all. */
static void report_lost(struct publisher *p)
{
    char text[200];

    if (p->lost == 0)
        return;
    snprintf(text, sizeof text,
             "lacus: output is missing here: this front end had stopped reading and was disconnected; %zu "
             "bytes waited for it\n",
             p->lost);
    p->lost = 0;
    note_locked(p, text);
}

bool publisher_welcome_locked(struct publisher *p)
{
    const struct kwire_part nobody = {NULL, 0};
    struct buf content = BUF_INIT(4096);
    char topic[513];
    int n = zmq()->recv(channels_socket(p->ch, CHANNEL_IOPUB), topic, sizeof topic, ZMQ_DONTWAIT);

    if (n < 0)
        return false;
    if (n > 0 && topic[0] == 1) {
        size_t len = n > (int)sizeof topic ? sizeof topic : (size_t)n;
        buf_puts(&content, "{\"subscription\":");
        buf_json(&content, topic + 1, len - 1);
        buf_putc(&content, '}');
        send_locked(p, "iopub_welcome", &nobody, &content, NULL, NULL);
        report_lost(p);
    }
    buf_release(&content);
    return true;
}
