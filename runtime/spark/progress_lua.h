/* progress_lua.h: a line that says how far a long query is, at a terminal and in a notebook that is looked at.
 *
 * What      the session's calls tell it (ctx_progress); nothing of it stays when the query is over, and none is drawn where
 *           output is kept (lacus run, %%capture, pipes).
 * Ownership the session's.
 * Errors    none.
 * Threads   session thread.
 *
 * Example:
 *     query_progress_open(L);
 */
#ifndef LACUS_SPARK_PROGRESS_LUA_H
#define LACUS_SPARK_PROGRESS_LUA_H
#include "runtime/session/session_lua.h"

void query_progress_open(lua_State *L); /* once in a session */
#endif
