/* flame.h: a profile as people look at it: a table of functions, a flame graph.
 *
 * Ownership appends to the caller's buffer.
 * Units     as profile.h.
 * Errors    the buffer's.
 * Threads   session thread.
 *
 * Example:
 *     struct buf out = BUF_INIT(BUF_TEXT_MAX);
 *     flame_table(p, 20, false, &out);
 *     buf_release(&out);
 */
#ifndef LACUS_MAGICS_FLAME_H
#define LACUS_MAGICS_FLAME_H
#include "runtime/session/profile.h"

/* The functions with the most time: their own, or (by_total) with what they called. */
void flame_table(const struct profile *p, long lines, bool by_total, struct buf *out);
/* An SVG document; each box says its function and time when pointed at. */
void flame_svg(const struct profile *p, struct buf *out);
#endif
