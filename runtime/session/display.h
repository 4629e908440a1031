/* display.h: MIME bundles of Lua values, and the globals that show them.
 *
 * Ownership bundles are new references, held by a slot on the Lua stack while something may raise.
 * Units     none.
 * Errors    raises what __mimebundle raises.
 * Threads   session thread.
 *
 * Example:
 *     struct display d;
 *     display_bundle(L, 1, &d);
 *     session_display(s, &d);
 */
#ifndef LACUS_SESSION_DISPLAY_H
#define LACUS_SESSION_DISPLAY_H
#include "runtime/session/session.h"
#include <lua.h>

/* Fills data and metadata of *d with the bundle of the value at index; pushes one value that owns them. */
void display_bundle(lua_State *L, int index, struct display *d);
bool display_is_handle(lua_State *L, int index); /* what display(x, {display_id = …}) returns */
/* Several values as one text: their representations with tabs between. */
void display_joined(lua_State *L, int first, int last, struct display *d);
extern const struct manual_topic *const display_topics[]; /* also of clear_output and update_display */
int display_open(lua_State *L);                           /* the globals */
int display_open_clear(lua_State *L);
int display_open_update(lua_State *L);
#endif
