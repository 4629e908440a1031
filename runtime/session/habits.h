/* habits.h: what other languages' habits look like in Lua, and what to write instead: one hint line each.
 *
 * Ownership hints go to the session's `problem`.
 * Units     none.
 * Errors    none.
 * Threads   session thread.
 *
 * Example:
 *     habits_syntax(L, "if a != b then", 14);
 */
#ifndef LACUS_SESSION_HABITS_H
#define LACUS_SESSION_HABITS_H
#include <lua.h>
#include <stddef.h>

/* The text does not compile; the message is on the top of the stack and stays there. */
void habits_syntax(lua_State *L, const char *text, size_t len);
/* The text compiles, but has names of other languages (None, True) that are nil here: says so. */
void habits_notice(lua_State *L, const char *text, size_t len);
/* In a message handler: the error value is at index. Fills the problem's name, column and hint. */
void habits_runtime(lua_State *L, int index);
#endif
