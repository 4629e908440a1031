/* web_lua.h: the global `http`.
 *
 * Ownership the session's connections are kept until it closes.
 * Units     seconds in what a cell says.
 * Errors    raise.
 * Threads   session thread.
 *
 * Example:
 *     static const struct session_global row = {"http", web_open, "http.get(url), http.post(url, {json = …})", web_topics};
 */
#ifndef LACUS_WEB_WEB_LUA_H
#define LACUS_WEB_WEB_LUA_H
#include "runtime/session/manual.h"
#include "runtime/session/session_lua.h"

int web_open(lua_State *L);
extern const struct manual_topic *const web_topics[];
#endif
