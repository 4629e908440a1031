/* kept.h: what Python's json reads and jansson does not, kept as it was written: integers of more than 64 bits, reals beyond
 * a double, NaN and Infinity, lone surrogates and \u0000 in texts.
 *
 * What      kept_mark puts a mark, a text that has the original in it, in the place of each; kept_restore puts the
 *           originals back. In between nobody may look into them.
 * Ownership appended text; the rest is the caller's.
 * Units     bytes.
 * Errors    false: there is nothing of the kind, or the text has marks of its own. What is no JSON stays none.
 * Threads   any.
 *
 * Example:
 *     struct buf out = BUF_INIT(1 << 20);
 *     if (kept_mark("[99999999999999999999]", 22, &out))
 *         out.len = kept_restore(out.data, out.len);
 *     buf_release(&out);
 */
#ifndef LACUS_NOTEBOOK_KEPT_H
#define LACUS_NOTEBOOK_KEPT_H
#include "runtime/base/buf.h"

bool kept_mark(const char *text, size_t len, struct buf *out);
/* In place; the new length. */
size_t kept_restore(char *text, size_t len);
bool kept_has(const char *text, size_t len); /* is there a mark in it? */
#endif
