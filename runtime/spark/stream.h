/* stream.h: the rows of a DataFrame for C: an Arrow C stream, whatever engine computes them.
 *
 * What      spark_execute runs a plan and gives its rows batch by batch, as they are computed or come from a server: memory
 *           holds a few batches, however many rows there are. What reads Arrow's C stream interface reads it (Arrow C++ and
 *           pyarrow, nanoarrow, polars, DuckDB …): columns have the user's names and Spark's types, intervals are Arrow's of
 *           months, days and nanoseconds. A cell hands such a stream to a module in C with df:toArrow() (arrow_lua.h).
 * Ownership the stream is the caller's, who ends it with release: before the first batch, in the middle, after an error or at
 *           the end. So are schemas and batches, which may outlive it. plan is borrowed during the call; ctx's cancel token,
 *           progress and texts until the stream is released or the session ends. A stream that outlives its session (spark_free,
 *           another engine) says so at the next batch, and is released as ever.
 * Units     rows; a batch has some thousand.
 * Errors    the call: those of catalog.h and engine.h; what is wrong with names and types is said by it. get_next: ECANCELED
 *           when ctx was cancelled or its time was over, ENOMEM, else EIO; get_last_error has the text ("[DIVIDE_BY_ZERO] …").
 *           An error stays: the stream gives it again, never rows that would be some of them.
 * Threads   the call: the session's. The stream: one at a time, any; cancel: any. Progress is told on the thread of the call.
 *
 * Example:
 *     struct ArrowArrayStream rows;
 *     struct ArrowArray batch;
 *     int code;
 *     if (spark_execute(&ctx, s, plan, &rows, &err) != LC_OK)
 *         return -1;
 *     while ((code = rows.get_next(&rows, &batch)) == 0 && batch.release) {
 *         printf("%lld rows\n", (long long)batch.length);
 *         batch.release(&batch);
 *     }
 *     if (code)
 *         puts(rows.get_last_error(&rows));
 *     rows.release(&rows);
 */
#ifndef LACUS_SPARK_STREAM_H
#define LACUS_SPARK_STREAM_H
#include "runtime/base/arrow.h"
#include "runtime/dataframe/plan.h"

struct spark;

enum lc spark_execute(const struct ctx *ctx, struct spark *s, const struct plan *plan,
                      struct ArrowArrayStream *out, struct err *err) MUST_CHECK;
#endif
