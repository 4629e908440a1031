/* manual.h: Lua's own functions, one line each, for inspection.
 *
 * Ownership static.
 * Units     none.
 * Errors    NULL: not one of Lua's.
 * Threads   session thread.
 *
 * Example:
 *     const struct manual_entry *e = manual_find(L, -1);
 */
#ifndef LACUS_SESSION_MANUAL_H
#define LACUS_SESSION_MANUAL_H
#include <lua.h>

struct manual_entry {
    const char *library, *name; /* "" and "print"; "string" and "format" */
    const char *signature, *text;
};

/* By the function itself, whatever name it has now. */
const struct manual_entry *manual_find(lua_State *L, int index);
#endif
