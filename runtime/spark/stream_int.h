/* stream_int.h: the streams that a session has given out (private to runtime/spark).
 *
 * What      each holds one of an engine, which must not outlive it: they are ended before an engine is closed, on whatever thread
 *           they are read.
 * Ownership streams_new gives; streams_unref ends the session's share, each stream has one of its own.
 * Errors    as stream.h says.
 * Threads   streams_end waits for a batch that is on its way: the engine is to be interrupted first.
 *
 * Example:
 *     struct streams *list = streams_new();
 *     streams_end(list);
 *     streams_unref(list);
 */
#ifndef LACUS_SPARK_STREAM_INT_H
#define LACUS_SPARK_STREAM_INT_H
#include "runtime/base/arrow.h"
#include "runtime/delta/delta.h"

struct streams;

struct streams *streams_new(void); /* NULL without memory */
void streams_unref(struct streams *list);
void streams_end(struct streams *list);
enum lc streams_execute(struct streams *list, const struct ctx *ctx, const struct delta_engine *engine,
                        const struct plan *resolved, struct ArrowArrayStream *out,
                        struct err *err) MUST_CHECK;
#endif
