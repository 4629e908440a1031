/* manual_int.h: between the files of the manual.
 *
 * Ownership static.
 * Units     none.
 * Errors    none.
 * Threads   any.
 *
 * Example:
 *     for (const struct manual_topic *t = manual_lua; t->name; t++)
 *         puts(t->name);
 */
#ifndef LACUS_SESSION_MANUAL_INT_H
#define LACUS_SESSION_MANUAL_INT_H
#include "runtime/session/manual.h"

extern const struct manual_topic manual_lua[]; /* Lua's own; ends with a NULL name */
int manual_parameters(lua_State *L); /* of struct manual_values: the names of a function's parameters */
#endif
