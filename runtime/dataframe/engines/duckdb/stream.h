/* stream.h: SQL to an Arrow C stream with the user's column names.
 *
 * Ownership the stream owns its connection; schema is borrowed during the call.
 * Errors    as in engine.h.
 * Threads   one at a time.
 *
 * Example:
 *     struct ArrowArrayStream rows;
 *     if (duck_stream(e, ctx, q.sql, q.schema, &rows, &err) == LC_OK)
 *         rows.release(&rows);
 */
#ifndef LACUS_DATAFRAME_ENGINES_DUCKDB_STREAM_H
#define LACUS_DATAFRAME_ENGINES_DUCKDB_STREAM_H
#include "runtime/dataframe/engines/duckdb/duck.h"

enum lc duck_stream(struct engine *e, const struct ctx *ctx, const char *sql, const struct dtype *schema,
                    struct ArrowArrayStream *out, struct err *err) MUST_CHECK;
#endif
