/* magic_lua.h: % and %% commands that are written in Lua, by extensions.
 *
 * What      a table in Lua's registry: name → {function, kinds, usage, doc}. They are found after those of the
 *           program, whose names they cannot take.
 * Ownership part of the session's Lua state.
 * Units     none.
 * Errors    magic_lua_register raises.
 * Threads   session thread, in protected mode.
 *
 * Example:
 *     if (magic_lua_push(L, "shout", 5, MAGIC_LINE))
 *         lua_pop(L, 1);
 */
#ifndef LACUS_SESSION_MAGIC_LUA_H
#define LACUS_SESSION_MAGIC_LUA_H
#include "runtime/session/session_lua.h"

/* (name, function, kinds, usage, doc); a second one with the name replaces the first; without a function it is forgotten. */
int magic_lua_register(lua_State *L);
/* Pushes the function; false, and nothing pushed, when there is none. */
bool magic_lua_push(lua_State *L, const char *name, size_t len, unsigned kind);
/* Pushes usage and doc; false, and nothing pushed, when there is none. */
bool magic_lua_describe(lua_State *L, const char *name, size_t len);
/* Pushes an array of their names, sorted. */
void magic_lua_names(lua_State *L, unsigned kind);
#endif
