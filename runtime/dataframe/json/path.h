/* path.h: paths into JSON as Spark writes them, $.a['b c'][0][*], as DuckDB takes them.
 *
 * What      json_path gives $."a"."b c"[0][*]; json_first finds the end of the first value in a text that goes on behind it.
 * Ownership none.
 * Units     bytes.
 * Errors    false: it is no path of Spark's, for which it finds nothing. json_first: 0 where the value has no end.
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
size_t json_first(const char *s, size_t len);
#endif
