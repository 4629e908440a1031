/* local_lua.h: Lua tables as the rows of a DataFrame.
 *
 * What      rows are tables with names or positions; each column's type is found from its values (integer →
 *           bigint, float → double, mixed numbers → double, boolean, string, lists of these) or given as a
 *           schema in DDL, to which the values are then cast.
 * Ownership pushes a plan's reference to the caller.
 * Units     none.
 * Errors    raise: a column with values of several types names both rows.
 * Threads   session thread.
 *
 * Example:
 *     const struct plan *p = local_plan(L, 2, NULL, NULL, 0);
 */
#ifndef LACUS_SPARK_LOCAL_LUA_H
#define LACUS_SPARK_LOCAL_LUA_H
#include "runtime/dataframe/plan.h"
#include "runtime/session/session_lua.h"

/* rows: the index of a list of rows. schema (taken over) or names (n of them), or neither. New reference. */
const struct plan *local_plan(lua_State *L, int rows, const struct dtype *schema, const char *const *names,
                              size_t n);
#endif
