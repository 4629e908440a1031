/* cd.h: whether %cd has been used.
 *
 * Ownership none.
 * Units     none.
 * Errors    memory errors are raised.
 * Threads   session thread.
 *
 * Example:
 *     if (cd_has_moved(L))
 *         puts("not where it began");
 */
#ifndef LACUS_MAGICS_CD_H
#define LACUS_MAGICS_CD_H
#include <lua.h>
#include <stdbool.h>

bool cd_has_moved(lua_State *L);
#endif
