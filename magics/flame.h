/* flame.h: a profile as people look at it: a table of functions, a flame graph.
 *
 * Ownership appends to the caller's buffer.
 * Units     as profile.h.
 * Errors    the buffer's.
 * Threads   session thread.
 *
 * Example:
 *     struct buf out = BUF_INIT(BUF_TEXT_MAX);
 *     flame_table(p, 20, FLAME_SELF, &out);
 *     buf_release(&out);
 */
#ifndef LACUS_MAGICS_FLAME_H
#define LACUS_MAGICS_FLAME_H
#include "runtime/session/profile.h"

enum flame_order { FLAME_SELF, FLAME_TOTAL, FLAME_NAME };

/* The functions, those first that took the most time (their own, or with what they called), or by name. */
void flame_table(const struct profile *p, long lines, enum flame_order order, struct buf *out);
/* An SVG document; each box says its function and time when pointed at. */
void flame_svg(const struct profile *p, struct buf *out);
#endif
