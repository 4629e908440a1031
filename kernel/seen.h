/* seen.h: the signatures of messages that were accepted, so that a message played again is recognised.
 *
 * What      a set that keeps at least the last SEEN_KEPT digests and at most twice as many: two generations
 *           of an open-addressing table that starts small.
 * Ownership init/release.
 * Units     a digest is 32 bytes, of which 16 are kept.
 * Errors    without memory the older generation is given up early; nothing fails.
 * Threads   one at a time.
 *
 * Example:
 *     struct seen s = {0};
 *     bool again = seen_add(&s, digest);
 *     seen_release(&s);
 */
#ifndef LACUS_KERNEL_SEEN_H
#define LACUS_KERNEL_SEEN_H
#include <stdbool.h>
#include <stddef.h>

enum { SEEN_KEPT = 8192, SEEN_BYTES = 16 };

struct seen_table {
    unsigned char (*slot)[SEEN_BYTES]; /* owned; all zero: free */
    size_t cap, n;
};
struct seen {
    struct seen_table now, before;
};

bool seen_add(struct seen *s, const unsigned char digest[32]); /* true: it was there already */
void seen_release(struct seen *s);
#endif
