/* options_lua.h: the table of a request, {params =, headers =, json =, …}, as a struct web_request.
 *
 * Ownership texts made of options are kept in the table `anchor`, those of the caller in its own table: both must live as long as
 *           the request.
 * Units     timeouts: seconds in the table, milliseconds in the request.
 * Errors    raise: an unknown option names the nearest.
 * Threads   session thread.
 *
 * Example:
 *     struct web_request q;
 *     web_options(L, 2, 3, &q);
 */
#ifndef LACUS_WEB_OPTIONS_LUA_H
#define LACUS_WEB_OPTIONS_LUA_H
#include "runtime/session/session_lua.h"
#include "runtime/web/web.h"

/* q->method and q->url are set already; options: index of the table, or of nil. Returns what else they say. */
struct web_extra {
    const char *output; /* path of the file that takes the body; NULL: none */
};
struct web_extra web_options(lua_State *L, int options, int anchor, struct web_request *q);
#endif
