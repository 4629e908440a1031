/* wildcard.h: what a path with [*] finds in JSON, as Spark's get_json_object has it.
 *
 * What      json_wildcard appends what is found: one match as it is, several as an array, by the rules of Hive:
 *           of [*][*] the inner arrays are one, members that are NULL are not there.
 * Ownership none.
 * Units     bytes.
 * Errors    false: nothing is found, the path is none or has too many steps; nothing is appended.
 * Threads   any.
 * Source    Spark's JsonPathParser and GetJsonObjectEvaluator.
 *
 * Example:
 *     struct buf b = BUF_INIT(100);
 *     if (json_wildcard("[{\"a\":1},{\"a\":2}]", 17, "$[*].a", 6, &b))
 *         puts(buf_str(&b));
 *     buf_release(&b);
 */
#ifndef LACUS_DATAFRAME_JSON_WILDCARD_H
#define LACUS_DATAFRAME_JSON_WILDCARD_H
#include "runtime/base/buf.h"

/* text: valid JSON without blanks between its tokens */
bool json_wildcard(const char *text, size_t len, const char *path, size_t path_len, struct buf *out);
#endif
