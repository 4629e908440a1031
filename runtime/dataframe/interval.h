/* interval.h: intervals as Spark writes them: INTERVAL '1 02:03:04.5' DAY TO SECOND, 1 years 2 months.
 *
 * What      the text of a value with months, days and µs (as DuckDB keeps them) for a kind and its fields.
 * Ownership the caller's buffer.
 * Units     months, days, µs.
 * Errors    false: the buffer is full.
 * Threads   any.
 *
 * Example:
 *     struct buf out = BUF_INIT(100);
 *     interval_text(&out, INTERVAL_DAY_TIME, 3, 0, 1, 7384500000);
 */
#ifndef LACUS_DATAFRAME_INTERVAL_H
#define LACUS_DATAFRAME_INTERVAL_H
#include "runtime/dataframe/types.h"

bool interval_text(struct buf *out, enum interval_kind kind, int fields, int64_t months, int64_t days,
                   int64_t micros); /* fields: the type's scale */
#endif
