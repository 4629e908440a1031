/* frame.h: one message of the ring between the ranks of a job: a head of fixed size and a part of an array.
 *
 * What      heads say which run, which sum, which part; a keyed checksum covers head and part. A frame of another
 *           version, of another run, from another rank or with another content than its checksum says is refused
 *           with a sentence that names the rank. This part knows no ZeroMQ: ring.h carries it.
 * Ownership frame_write fills the caller's bytes; what frame_read gives points into them.
 * Units     bytes; numbers are little-endian. A part is at most FRAME_PART bytes.
 * Errors    LC_PARSE (no frame), LC_UNSUPPORTED (another version), LC_AUTH (another run), LC_DATA (checksum),
 *           LC_LIMIT (size).
 * Threads   any; no state.
 *
 * Example:
 *     struct frame_key key = {.run = 7};
 *     struct frame f = {.kind = FRAME_SUM, .from = 1, .len = 4, .part = "abcd"}, back;
 *     unsigned char bytes[FRAME_HEAD + 4];
 *     frame_write(&key, &f, bytes);
 *     code = frame_read(&key, bytes, sizeof bytes, &back, &err);
 */
#ifndef LACUS_TRAIN_FRAME_H
#define LACUS_TRAIN_FRAME_H
#include "runtime/base/err.h"
#include <stddef.h>

enum { FRAME_VERSION = 1, FRAME_HEAD = 56, FRAME_PART = 1 << 18, FRAME_KEY = 16 };
enum frame_kind { FRAME_SUM = 1, FRAME_COPY, FRAME_GIVE, FRAME_ABORT };

struct frame_key {
    uint64_t run; /* differs between attempts of a job, so that no frame is good twice */
    unsigned char secret[FRAME_KEY];
};

struct frame {
    enum frame_kind kind;
    uint32_t from;   /* rank; of an abort: where it began */
    uint64_t call;   /* counts sums and copies, from 0 */
    uint32_t round;  /* of the call */
    uint64_t offset; /* bytes, in what this round sends */
    uint32_t len;
    const void *part; /* borrowed */
};

void frame_key_from(const char *token, struct frame_key *out); /* any text that the ranks of a run share */
/* out: FRAME_HEAD + f->len bytes. */
void frame_write(const struct frame_key *key, const struct frame *f, unsigned char *out);
enum lc frame_read(const struct frame_key *key, const void *bytes, size_t len, struct frame *out,
                   struct err *err) MUST_CHECK;
#endif
