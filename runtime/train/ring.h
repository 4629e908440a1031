/* ring.h: the ranks of a job in a ring over ZeroMQ: a collective between processes of any machines.
 *
 * What      each rank listens for the one before it and connects to the one after it; sums go round in parts (reduce,
 *           then copy), on a thread of the ring's own, so the caller computes meanwhile. CURVE with a key pair
 *           made for this ring: only the rank before may connect, and only the rank after is connected to.
 * Ownership ring_open gives; collective_close of what ring_join filled ends it, or ring_free before that.
 * Units     milliseconds.
 * Errors    those of collective.h; the rank at fault is named: gone (its connection ended), silent (timeout),
 *           one that sent what it may not (frame.h).
 * Threads   as collective.h.
 *
 * Example:
 *     struct ring_options o = {.rank = 0, .size = 2, .token = "of this run", .loopback = true};
 *     struct ring *r;
 *     if (ring_open(&o, &r, &err) == LC_OK)
 *         printf("port %d\n", ring_port(r));
 *     ring_free(r);
 */
#ifndef LACUS_TRAIN_RING_H
#define LACUS_TRAIN_RING_H
#include "gpu/collective.h"
#include "runtime/train/keys.h"

struct ring_options {
    int rank, size;
    const char *token; /* known to the ranks of this attempt only */
    bool loopback;     /* listens on this machine alone */
    int timeout_ms;    /* of a rank that sends nothing while others wait; 0: half an hour */
};

struct ring;
enum lc ring_open(const struct ring_options *o, struct ring **out, struct err *err) MUST_CHECK;
void ring_free(struct ring *r); /* NULL is fine */
int ring_port(const struct ring *r);
const unsigned char *ring_key(const struct ring *r); /* KEY_BYTES: what the rank before connects to */
/* Waits until both neighbours are there. On success out owns the ring. */
enum lc ring_join(const struct ctx *ctx, struct ring *r, const char *next,
                  const unsigned char next_key[KEY_BYTES], const unsigned char previous_key[KEY_BYTES],
                  int timeout_ms, struct collective *out, struct err *err) MUST_CHECK;
int ring_culprit(struct ring *r);  /* the rank where a failure began; -1: none has */
bool ring_waiting(struct ring *r); /* this rank waits for others */
#endif
