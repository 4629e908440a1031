/* records.h: a list of records ({{name = "a", n = 1}, …}) as an HTML table.
 *
 * What      a plain list whose items are plain tables with names as keys: a row for each, a column for each name that the
 *           rows shown have, names sorted, as the text form has them; rows, columns and texts are bounded, and what is
 *           left out is said below.
 * Ownership appends to the caller's buffer.
 * Units     bytes.
 * Errors    raises what a __tostring raises.
 * Threads   session thread.
 *
 * Example:
 *     if (records_html(L, 1, session_buf(L, BUF_TEXT_MAX)))
 *         puts("a list of records");
 */
#ifndef LACUS_SESSION_RECORDS_H
#define LACUS_SESSION_RECORDS_H
#include "runtime/base/buf.h"
#include <lua.h>
#include <stdbool.h>

/* False: the value is no list of records, and nothing was added. */
bool records_html(lua_State *L, int index, struct buf *out);
#endif
