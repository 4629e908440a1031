/* closure.h: a Lua function with what it uses, as bytes, for another Lua state: user-defined functions of
 * dataframes, functions that run on other processes.
 *
 * What      closure_pack takes the function's code, its upvalues and the globals that it reads, and does the
 *           same for functions among them. Copied are nil, null, booleans, numbers, texts, tables (shared
 *           ones and cycles stay so) and Lua functions; the functions and tables of the standard library
 *           are found again by name. Refused, with the name of the variable: tables with a metatable,
 *           userdata (columns, files), coroutines, functions of C. Later changes of a variable are not
 *           seen.
 * Ownership pushes a value on the stack.
 * Units     bytes, at most 64 MiB.
 * Errors    raise. Bytes must come from closure_pack: code is not checked.
 * Threads   the state's own.
 *
 * Example:
 *     size_t len;
 *     closure_pack(L, 1, NULL);
 *     const char *bytes = lua_tolstring(L, -1, &len);
 *     closure_unpack(L, bytes, len);
 */
#ifndef LACUS_SESSION_CLOSURE_H
#define LACUS_SESSION_CLOSURE_H
#include "runtime/base/buf.h"
#include <lua.h>

struct closure_shape {
    bool straight; /* arithmetic without branches: a call with symbols gives its expression */
    bool loops;    /* it may run long */
};

void closure_pack(lua_State *L, int index,
                  struct closure_shape *shape);                  /* pushes a text; shape may be NULL */
void closure_unpack(lua_State *L, const char *data, size_t len); /* pushes the function */
/* The same in a new state that is the function's alone: first base, table, string, math, utf8 and null are opened. */
void closure_open(lua_State *L, const char *data, size_t len);
#endif
