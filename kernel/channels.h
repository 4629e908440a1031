/* channels.h: the five ZeroMQ sockets of a kernel, and messages through them.
 *
 * What      binds the sockets, receives whole multipart messages as `struct request`, sends signed ones.
 * Ownership a request belongs to who received it: request_free. Contents are borrowed.
 * Units     bytes. A peer that sends a frame over WIRE_BYTES_MAX is disconnected by ZeroMQ.
 * Errors    opening reports; later a message that cannot be sent is lost (the peer is gone), and one that is
 *           malformed, unsigned or oversized is dropped with a line in the log.
 * Threads   shell, stdin and iopub are used by two threads, always with channels_lock held; control and
 *           heartbeat by one thread each, without it. The functions below do not lock. A socket's descriptor
 *           (channels_fd) may be polled without the lock: it wakes for every arrival since a receive said
 *           "nothing more".
 *
 * Example:
 *     channels_lock(ch);
 *     struct request *r = channels_receive(ch, CHANNEL_SHELL);
 *     channels_unlock(ch);
 *     request_free(r);
 */
#ifndef LACUS_KERNEL_CHANNELS_H
#define LACUS_KERNEL_CHANNELS_H
#include "kernel/connection.h"
#include "kernel/wire.h"
#include "runtime/base/zmq_api.h"

struct channels;

struct request {
    struct request *next;
    enum channel channel;
    struct kwire_message message;
    struct err problem; /* code LC_OK, or why the content cannot be used: to be answered with an error */
    bool aborted;       /* an earlier cell failed: answer "aborted" */
    int64_t received_ns;
    size_t size, n_parts;
    zmq_msg_t *frames;        /* owned */
    struct kwire_part *parts; /* owned; views of frames */
};

/* Notes about messages that are dropped go to log_fd (death.h): the first NOTES_MAX of them. */
enum { NOTES_MAX = 100 };
enum lc channels_open(const struct connection *c, struct kwire *wire, int log_fd, struct channels **out,
                      struct err *err) MUST_CHECK;
/* Makes every call on the sockets return; what was sent still goes out. The threads must end now. */
void channels_shut(struct channels *ch);
/* Closes the two sockets that have threads of their own; called by these threads. */
void channels_close_one(struct channels *ch, enum channel channel);
void channels_close(struct channels *ch); /* waits for what was sent, at most a second */

void channels_lock(struct channels *ch);
void channels_unlock(struct channels *ch);
int channels_fd(const struct channels *ch, enum channel channel);
void *channels_socket(struct channels *ch, enum channel channel);

/* Ends the connections of clients that take nothing while others do (stalled.h); how many. */
int channels_end_stalled(struct channels *ch, enum channel channel, int watch_ms);

/* The next good message, or NULL when nothing more is there. */
struct request *channels_receive(struct channels *ch, enum channel channel);
void request_free(struct request *r); /* NULL is fine */

/* One message to send. The content frame may be handed over with a function that ZeroMQ calls, on a thread of
 * its own, when the bytes have left. */
struct outgoing {
    const struct kwire_part *ids; /* or the topic */
    size_t n_ids;
    const char *type;
    struct kwire_part parent, metadata, content; /* empty parent or metadata: "{}" */
    zmq_free_fn *content_free;                   /* NULL: content is copied */
    void *content_hint;
    const struct kwire_part *buffers;
    size_t n_buffers;
};
bool channels_send(struct channels *ch, enum channel channel, const struct outgoing *o);
enum { CHANNELS_ID = 96 };
/* The msg_id of what was sent last on one of the sockets that share the lock, which is held since. */
void channels_sent_id(const struct channels *ch, char id[CHANNELS_ID]);
/* A reply. Content is emptied when it is large; one that does not fit in CHANNELS_REPLIES_MAX, with those that clients
 * have not read, is lost: false. */
#define CHANNELS_REPLIES_MAX ((size_t)128 << 20)
bool channels_reply(struct channels *ch, enum channel channel, const struct outgoing *o, struct buf *content);
#endif
