/* results.h: In, Out, _, __ and arg: what a cell finds of the cells before it, and of the command line.
 *
 * What      In[n] is the text of a cell, Out[n] its value (the newest RESULTS_KEPT of them), _ and __ the last two
 *           values. A name that the user has assigned is left alone from then on. _3 is Out[3], _i3 is In[3], and _i, _ii,
 *           _iii are the texts of the last three cells as long as there is no global of that name: they are looked up
 *           when they are asked for, and cost nothing before.
 * Ownership the values live in the session's Lua state.
 * Units     none.
 * Errors    memory errors are raised.
 * Threads   session thread, in protected mode.
 *
 * Example:
 *     results_keep(L, 3, lua_gettop(L));
 */
#ifndef LACUS_SESSION_RESULTS_H
#define LACUS_SESSION_RESULTS_H
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

enum { RESULTS_KEPT = 1000 };

void results_input(lua_State *L, int number, const char *text, size_t len);
void results_keep(lua_State *L, int number, int index); /* the value at index is cell number's */
/* Pushes what the name of a result stands for (nil: it is none, or not kept); false: it is another kind of name. */
bool results_push(lua_State *L, const char *name);
/* The global arg: [0] is args[0], [1] its first argument. NULL: none. */
void results_arguments(lua_State *L, const char *const *args);
#endif
