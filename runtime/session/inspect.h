/* inspect.h: what is known about a name: signature, documentation, source.
 *
 * Ownership replies are new references.
 * Units     cursor in code points.
 * Errors    an unknown name is "found": false.
 * Threads   session thread.
 *
 * Example:
 *     json_t *reply = session_inspect(s, "print", 5, 5, 0);
 *     json_decref(reply);
 */
#ifndef LACUS_SESSION_INSPECT_H
#define LACUS_SESSION_INSPECT_H
#include "runtime/session/session.h"
#include <lua.h>

/* name?, name??, name*?: sends the answer to the pager. Runs in the cell's coroutine, may raise. */
int inspect_question(lua_State *L, const char *text, size_t len);
#endif
