/* placeholders_lua.h: "{name}" in a text for spark:sql.
 *
 * What      "{name}" becomes a quoted name where the argument is a DataFrame, and ":name" where it is a value; in quotes and
 *           comments it stays. On a server, a DataFrame goes by the name of a view that the server makes for this text alone
 *           and drops afterwards: each text has names of its own, and the view is called `name` in it where no alias follows.
 * Ownership Lua's.
 * Units     none.
 * Errors    raise: a name that no argument has.
 * Threads   session thread.
 *
 * Example:
 *     placeholders_fill(L, 0);
 */
#ifndef LACUS_SPARK_PLACEHOLDERS_LUA_H
#define LACUS_SPARK_PLACEHOLDERS_LUA_H
#include "runtime/session/session_lua.h"

/* The next text's number, from 1. */
lua_Integer placeholder_number(lua_State *L);
/* Pushes the name of the view that a DataFrame of that name is in the text of that number. */
const char *placeholder_view(lua_State *L, const char *name, lua_Integer number);
/* Replaces the text at index 2 where the arguments, at index 3, are a table; number 0: names stay as they are. */
void placeholders_fill(lua_State *L, lua_Integer number);
#endif
