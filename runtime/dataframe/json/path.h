/* path.h: paths into JSON as Spark writes them, as DuckDB takes them, and what Spark sees in a text.
 *
 * What      json_path gives $."a"."b c"[0][*], and /a"b/0 where a name holds quotes; json_first
 *           copies the first object or array of a text that goes on behind it, 'texts' as "texts";
 *           json_last copies a value, of members with one name the last; json_repeats: there may be such.
 * Ownership none.
 * Units     bytes.
 * Errors    false: it is no path of Spark's, for which it finds nothing. json_first, json_last: false where it has no end.
 * Threads   any.
 * Source    Spark's JsonPathParser.
 *
 * Example:
 *     struct buf b = BUF_INIT(100);
 *     if (json_path("$['a b']", 8, &b))
 *         puts(buf_str(&b));
 *     buf_release(&b);
 */
#ifndef LACUS_DATAFRAME_JSON_PATH_H
#define LACUS_DATAFRAME_JSON_PATH_H
#include "runtime/base/buf.h"

bool json_path(const char *s, size_t len, struct buf *out);
bool json_first(const char *s, size_t len, struct buf *out);
bool json_last(const char *s, size_t len, struct buf *out);
bool json_repeats(const char *s, size_t len);
#endif
