/* execution.h: one ExecutePlan, with its answers.
 *
 * What      the server keeps an operation and its answers until they are released: a connection that breaks, or that
 *           the server ends after its time, is taken up again after the last answer that came in (ReattachExecute), and a
 *           request that never arrived is sent again. Ending before the last answer interrupts the operation there.
 * Ownership execution_open gives, execution_close ends. ctx and stop must outlive it.
 * Errors    those of client.h.
 * Threads   one at a time.
 *
 * Example:
 *     struct execution *x;
 *     if (execution_open(c, &ctx, &stop, &plan, "", &x, &err) == LC_OK)
 *         execution_close(x);
 */
#ifndef LACUS_DATAFRAME_ENGINES_SPARK_EXECUTION_H
#define LACUS_DATAFRAME_ENGINES_SPARK_EXECUTION_H
#include "runtime/dataframe/engines/spark/client.h"

struct execution;

/* plan: the bytes of a Plan. tags: one per line. */
enum lc execution_open(struct client *c, const struct ctx *ctx, const atomic_bool *stop,
                       const struct buf *plan, const char *tags, struct execution **out,
                       struct err *err) MUST_CHECK;
/* The next answer's bytes, valid until the next call; *more false: the operation has ended. */
enum lc execution_next(struct execution *x, struct pb_reader *answer, bool *more, struct err *err) MUST_CHECK;
void execution_close(struct execution *x);
#endif
