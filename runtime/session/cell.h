/* cell.h: compiling a cell so that its top-level locals live on in later cells.
 *
 * What      a cell is compiled as
 *               local _k,_m,a,x <const> return function(...) TEXT \n end
 *           where a and x are the carried names that occur in TEXT; the upvalues a and x of the inner function
 *           are then joined to the variables of the earlier cells. After each top-level `local` of TEXT, on
 *           the same line, goes a capture
 *               ;_k(function()return a,x end," a","=x");
 *           whose closure has these variables as upvalues; _k joins one holder per name to them and files it.
 *           So values survive an error half-way, and `return` may end a cell. TEXT alone is compiled first: it
 *           is a whole block, cannot close the wrapper, and its errors are Lua's own. A folded <const> has no
 *           upvalue: the capture closure is called for its value, which is kept in a fresh variable. A last
 *           bare expression becomes `return true,EXPR`; `return EXPR` would be a tail call, which removes the
 *           cell's line from error levels and tracebacks. A <close> name is closed at the end of its cell and
 *           forgotten; _ENV is never carried.
 * Ownership the closure is on the Lua stack.
 * Units     bytes.
 * Errors    syntax errors are on the stack, as Lua makes them; memory errors are raised.
 * Threads   session thread, in protected mode.
 *
 * Example:
 *     struct cell_shape shape;
 *     if (cell_load(L, "local n = 1; n + 1", 18, "=Cell In[1]", &shape) == LUA_OK)
 *         lua_call(L, 0, LUA_MULTRET);
 */
#ifndef LACUS_SESSION_CELL_H
#define LACUS_SESSION_CELL_H
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

struct cell_shape {
    bool implicit; /* the first result (true) is to be dropped: the last expression was made a return */
    bool call;     /* that expression is a call: a single nil from it is not worth showing */
    bool silent;   /* a ';' ends it: do not show */
};

/* Pushes the closure and returns LUA_OK, or pushes a message and returns LUA_ERRSYNTAX. */
int cell_load(lua_State *L, const char *text, size_t len, const char *chunk, struct cell_shape *shape);
/* Byte offset of a syntax error in text that does not compile: where the token it is near starts; -1 unknown.
 */
long cell_error_offset(lua_State *L, const char *text, size_t len);
/* Pushes the value of a carried local; false (and nothing pushed) when there is none of that name. */
bool cell_local(lua_State *L, const char *name, size_t len);
/* Pushes the value of a variable, a carried local or a global; raises "cannot VERB 'name'" when there is none. */
void cell_push_variable(lua_State *L, const char *name, const char *verb);
/* Pops a value and assigns it as a cell would: to the carried local of that name, else to the global. */
void cell_set_variable(lua_State *L, const char *name);
/* Is this one of the functions that the wrapper of a cell calls? */
bool cell_is_ours(lua_CFunction f);
/* Forgets a carried local; false when there was none. */
bool cell_forget(lua_State *L, const char *name);
#endif
