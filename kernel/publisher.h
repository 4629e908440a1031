/* publisher.h: what goes out on iopub, in order, coalesced and bounded.
 *
 * What      publishes messages under a parent (the request that runs). Stream text is gathered and sent
 *           when PUBLISHER_CHUNK bytes or PUBLISHER_DELAY_MS (the first of a parent: PUBLISHER_FIRST_MS)
 *           have come together, and before any other message of the same parent, so `idle` is always last.
 *           Bytes that a client has not taken are counted; above PUBLISHER_BUDGET the session thread waits
 *           (back-pressure). When nothing moves for PUBLISHER_STALL_MS, clients that take nothing while others do
 *           are disconnected, and told when they come back; when none does, what is published is dropped and the
 *           loss is reported once one reads again. Status messages and small results pass up to
 *           PUBLISHER_LIMIT.
 * Ownership content buffers are taken.
 * Units     bytes, ms.
 * Errors    none are returned.
 * Threads   functions ending in _locked: with channels_lock held; the others take it. publisher_text and
 *           publisher_send may block as said above: session thread only.
 *
 * Example:
 *     publisher_parent(p, "{…}", 3);
 *     publisher_text(p, &ctx, STREAM_STDOUT, "hello\n", 6);
 *     publisher_status(p, "idle");
 */
#ifndef LACUS_KERNEL_PUBLISHER_H
#define LACUS_KERNEL_PUBLISHER_H
#include "kernel/channels.h"
#include "runtime/session/frontend.h"

enum {
    PUBLISHER_CHUNK = 64 << 10,
    PUBLISHER_FIRST_MS = 1,
    PUBLISHER_DELAY_MS = 10,
    PUBLISHER_STALL_MS = 10000
};
#define PUBLISHER_BUDGET ((size_t)64 << 20)
#define PUBLISHER_LIMIT  ((size_t)96 << 20)

struct publisher;

struct publisher *publisher_new(struct channels *ch); /* NULL without memory */
void publisher_free(struct publisher *p);             /* after channels_close */

/* The header of the request that causes what follows; copied. Sends pending text of the one before. */
void publisher_parent(struct publisher *p, const void *header, size_t len);
void publisher_text(struct publisher *p, const struct ctx *ctx, enum stream stream, const char *text,
                    size_t len);
/* content is emptied; metadata may be NULL. */
void publisher_send(struct publisher *p, const struct ctx *ctx, const char *type, struct buf *content,
                    json_t *metadata, const struct comm_buffers *buffers);
void publisher_status(struct publisher *p, const char *state);
void publisher_status_locked(struct publisher *p, const char *state);
/* A small message (busy, execute_input, a result) that goes out with the next one, so that the answer to a short
 * request leaves in one go, but not later than after 2 ms and what the I/O thread needs. content is taken. */
void publisher_announce(struct publisher *p, const char *type, struct buf *content);
/* Any thread: a small message with a parent of its own, ahead of pending text. */
void publisher_aside_locked(struct publisher *p, const struct kwire_part *parent, const char *type,
                            const char *content, size_t len);
/* Any thread: a line on stderr for the request that runs. */
void publisher_note_locked(struct publisher *p, const char *text);
/* Milliseconds until pending text is due, -1: there is none. */
int publisher_due_locked(const struct publisher *p);
void publisher_flush_locked(struct publisher *p);
/* A subscription arrived on iopub: greets it (iopub_welcome). Returns false when nothing more is there. */
bool publisher_welcome_locked(struct publisher *p);
#endif
