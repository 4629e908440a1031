/* python_lua.h: the Python that a session keeps, for %%python, %pip and dbutils.library.
 *
 * What      one python3 process, started at the first cell that needs it: $LACUS_PYTHON, else the python3 of the
 *           PATH. Dataframes go to it and come back in Arrow's stream format, as files in a folder of the session
 *           that are gone once they were read; other values as JSON.
 * Ownership part of the session: it ends with it.
 * Errors    raised; an error of Python's with its name and its traceback.
 * Threads   session thread, inside a cell.
 *
 * Example:
 *     static const char *const out[] = {"result", NULL};
 *     python_run(L, "result = 6 * 7", NULL, out);
 */
#ifndef LACUS_PYTHON_PYTHON_LUA_H
#define LACUS_PYTHON_PYTHON_LUA_H
#include <lua.h>
#include <stdbool.h>

/* in: names of variables that Python gets; out: names that come back. Each ends with NULL, or is NULL. */
void python_run(lua_State *L, const char *code, const char *const *in, const char *const *out);
void python_stop_kept(lua_State *L);
bool python_is_kept(lua_State *L); /* one is running */
/* The program, or NULL when there is none. Borrowed until the environment changes. */
const char *python_program(void);
#endif
