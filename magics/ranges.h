/* ranges.h: earlier cells, as %history, %rerun, %save, %load and %edit name them.
 *
 * What      4, 4-6, 4- of this session; ~1/7 of the session before, ~2/1-~1/5 over two sessions, 12/3 of session 12, ~1/
 *           a whole one.
 * Ownership the array is in a slot on the Lua stack.
 * Units     none.
 * Errors    raised: what is no range.
 * Threads   session thread.
 *
 * Example:
 *     json_t *cells = ranges_read(L, "save", o->words + 1); // [[session, line, text, output or null], …]
 */
#ifndef LACUS_MAGICS_RANGES_H
#define LACUS_MAGICS_RANGES_H
#include "runtime/session/session_lua.h"

/* Could this be a range? */
bool ranges_is(const char *word);
/* words ends with NULL; none is all of this session. Leaves a slot on the stack that owns the array. */
json_t *ranges_read(lua_State *L, const char *magic, const char *const *words);
/* The last n cells of all sessions; those that match a pattern (glob, or a part). */
json_t *ranges_tail(lua_State *L, long n);
json_t *ranges_search(lua_State *L, const char *pattern, long n, bool unique);
/* Pushes the texts, one after the other. A %%magic takes a whole cell: where it stands among others, or there is more (before
 * it), it becomes a call, so that all of it runs. */
const char *ranges_push_text(lua_State *L, json_t *cells, bool more);
#endif
