/* repr.h: how a value looks as text: bounded, cycle-safe, keys sorted.
 *
 * What      what the last expression of a cell shows. A string by itself is its text; inside a table it is
 *           quoted.
 * Ownership appends to the caller's buffer.
 * Units     bytes.
 * Errors    raises what a __tostring raises.
 * Threads   session thread.
 *
 * Example:
 *     struct buf *out = session_buf(L, BUF_TEXT_MAX);
 *     repr_value(L, 1, out);
 */
#ifndef LACUS_SESSION_REPR_H
#define LACUS_SESSION_REPR_H
#include "runtime/base/buf.h"
#include <lua.h>

void repr_value(lua_State *L, int index, struct buf *out);
/* The keys of the table at index that are not 1..n, at most `most` of them, in the order in which they are shown: numbers, texts, the
 * rest as they come. Pushes two values; returns how many. */
lua_Integer repr_keys(lua_State *L, int index, lua_Integer n, lua_Integer most);
void repr_push_key(lua_State *L, int at,
                   lua_Integer i); /* the i-th from 0; at: index of the first of the two */
void repr_quoted(struct buf *out, const char *s, size_t len); /* a Lua string literal */
#endif
