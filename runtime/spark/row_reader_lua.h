/* row_reader_lua.h: rows of an Arrow stream as Lua values.
 *
 * What      a Row is a table: fields by position (row[1]) and by name (row.name, row["a b"]), #row fields,
 *           tostring as PySpark prints it. NULL is `null`; numbers, booleans and texts are Lua's; decimals of
 *           at most 15 digits are numbers, longer ones texts; dates and timestamps are texts ("2026-01-31",
 *           "2026-01-31 12:00:00"); arrays are lists, maps tables, structs Rows.
 * Ownership a reader is a userdata; it takes the stream over and releases it when collected or at its end.
 * Errors    raise what the engine says.
 * Units     none.
 * Threads   session thread.
 *
 * Example:
 *     row_reader_push(L, &stream); // takes it over
 *     while (row_reader_next(L, -1))
 *         lua_pop(L, 1);
 */
#ifndef LACUS_SPARK_ROW_READER_LUA_H
#define LACUS_SPARK_ROW_READER_LUA_H
#include "runtime/base/arrow.h"
#include "runtime/session/session_lua.h"

int row_reader_push(lua_State *L, struct ArrowArrayStream *stream);
/* Pushes the next row of the reader at index, or nothing at the end (false). */
bool row_reader_next(lua_State *L, int index);
/* The next batch, or NULL at the end; borrowed until the next call. For callers that want columns. */
const struct ArrowArray *row_reader_batch(lua_State *L, int index);
const struct ArrowSchema *row_reader_schema(lua_State *L, int index);
/* Is the value at index a Row? Then pushes the list of its names. */
bool row_names(lua_State *L, int index);
/* Pushes one value of a column; with an offset already added to row. */
void row_push_cell(lua_State *L, const struct ArrowSchema *schema, const struct ArrowArray *column,
                   int64_t row);
#endif
