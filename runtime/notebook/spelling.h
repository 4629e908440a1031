/* spelling.h: JSON as Python's json module spells it, so that what nobody changed stays as nbformat wrote it.
 *
 * What      jansson writes 0.1 as 0.10000000000000001, 1e-07 as 1e-7 and an escape as \u001B: here they are 0.1, 1e-07 and
 *           \u001b. The values are the same.
 * Ownership appended text; the text is borrowed.
 * Units     bytes; text is what json_dumps wrote.
 * Errors    false: out is full, or there is no memory.
 * Threads   any.
 *
 * Example:
 *     struct buf out = BUF_INIT(1 << 20);
 *     if (spelling_python("[0.10000000000000001]", 21, &out))
 *         puts(buf_str(&out));
 *     buf_release(&out);
 */
#ifndef LACUS_NOTEBOOK_SPELLING_H
#define LACUS_NOTEBOOK_SPELLING_H
#include "runtime/base/buf.h"

bool spelling_python(const char *text, size_t len, struct buf *out);
#endif
