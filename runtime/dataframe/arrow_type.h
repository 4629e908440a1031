/* arrow_type.h: what Arrow's columns are in Spark's types.
 *
 * What      a stream's schema as the schema of its rows in memory (plan_local).
 * Ownership *out is a new reference; the schema is borrowed.
 * Units     none.
 * Errors    LC_UNSUPPORTED, naming the column and its format; LC_NOMEM.
 * Threads   any.
 *
 * Example:
 *     const struct dtype *type;
 *     if (dtype_from_arrow(schema, &type, &err) == LC_OK)
 *         dtype_unref(type);
 */
#ifndef LACUS_DATAFRAME_ARROW_TYPE_H
#define LACUS_DATAFRAME_ARROW_TYPE_H
#include "runtime/base/arrow.h"
#include "runtime/dataframe/types.h"

enum lc dtype_from_arrow(const struct ArrowSchema *schema, const struct dtype **out,
                         struct err *err) MUST_CHECK;
#endif
