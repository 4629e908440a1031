/* secrets_lua.h: what dbutils.secrets asks of the secrets.
 *
 * Ownership the session keeps one handle, opened on first use.
 * Errors    raised.
 * Threads   session thread.
 *
 * Example:
 *     secrets_push(L);
 *     lua_setfield(L, -2, "secrets");
 */
#ifndef LACUS_SECRETS_SECRETS_LUA_H
#define LACUS_SECRETS_SECRETS_LUA_H
#include <lua.h>

/* Pushes a table of functions. Every value that passes through them is masked in the session's outputs. */
void secrets_push(lua_State *L);
#endif
