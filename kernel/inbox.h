/* inbox.h: requests on their way from the sockets to the session thread.
 *
 * What      one of two threads leads: it waits at the shell, stdin and iopub sockets, receives, greets
 *           subscribers and sends stream text that is due. While the session thread waits for work it leads
 *           itself, so that a request reaches it without a hop between threads. When it has been away at a
 *           cell for INBOX_PATIENCE_MS, the I/O thread takes over, until it comes back; what is received
 *           meanwhile is queued, in order.
 * Ownership requests returned are the caller's (request_free).
 * Units     ms; the queue holds at most INBOX_BYTES_MAX bytes (then ZeroMQ and TCP hold back the client).
 * Errors    inbox_open: LC_IO, LC_NOMEM.
 * Threads   inbox_next, inbox_take, inbox_abort: session thread. inbox_wake: any thread and signal handlers.
 *           `is_early` and `early` are called on the I/O thread.
 *
 * Example:
 *     struct request *r = inbox_next(inbox, any_request, NULL, -1);
 *     if (r)
 *         answer(r);
 */
#ifndef LACUS_KERNEL_INBOX_H
#define LACUS_KERNEL_INBOX_H
#include "kernel/channels.h"
#include "kernel/publisher.h"

enum { INBOX_PATIENCE_MS = 3 };
#define INBOX_BYTES_MAX ((size_t)256 << 20)

struct inbox;

/* Which requests a waiting caller wants. Called with channels_lock held. */
typedef bool inbox_filter(void *arg, const struct request *r);

/* The I/O thread leads from the start, until the first inbox_next. While it leads, what `is_early` accepts (with
 * channels_lock held) is answered by `early` at once and does not wait for the session thread. */
typedef void inbox_early(void *arg, const struct request *r);
/* Called on the I/O thread with channels_lock held while the session thread is away, for what is in the queue (until it
 * says true: the session thread was asked to come), and with NULL. */
typedef bool inbox_waits(void *arg, const struct request *r);
struct inbox_calls {
    inbox_filter *is_early;
    inbox_early *early;
    inbox_waits *waits;
    void *arg;
};
enum lc inbox_open(struct channels *ch, struct publisher *p, const struct inbox_calls *calls,
                   struct inbox **out, struct err *err) MUST_CHECK;
void inbox_close(struct inbox *in); /* before channels_close */

/* Waits at most timeout_ms (-1: for ever) for a request that the filter accepts; others stay queued. NULL: none came
 * in time, or woken. inbox_next: between cells; answers to questions that nobody asks any more are dropped. */
struct request *inbox_next(struct inbox *in, inbox_filter *filter, void *arg, int timeout_ms);
struct request *inbox_take(struct inbox *in, inbox_filter *filter, void *arg, int timeout_ms);
/* Before a question on stdin: answers to earlier ones are not answers to it. */
void inbox_forget_answers(struct inbox *in);
/* A cell failed, and its reply has not gone out: the execute requests that were sent before that could be known are
 * marked as aborted. Unless at_once, those on their way are waited for (a client that runs all cells sends them one
 * after the other): until QUIET_MS pass without any. Only those for the subshell of `failed`. */
void inbox_abort(struct inbox *in, const struct request *failed, bool at_once);
void inbox_wake(struct inbox *in);
#endif
