/* hub_lua.h: the Hub for lacus/llm.lua.
 *
 * Ownership nothing is kept.
 * Errors    raise.
 * Threads   session thread.
 *
 * Example:
 *     hub_functions(L); // core.hub("org/name", {want = "model"}) → folder
 */
#ifndef LACUS_HUB_HUB_LUA_H
#define LACUS_HUB_HUB_LUA_H

struct lua_State;
/* Adds hub and is_hub_id to the table on the stack. */
void hub_functions(struct lua_State *L);
#endif
