/* %restart: the session as it was at its start; widgets, parameters and the count of cells stay. */
#include "magics/line.h"
#include "magics/magics.h"
#include "runtime/dbutils/dbutils_lua.h"

int magic_restart(lua_State *L, const char *line, const char *body)
{
    (void)line, (void)body;
    lua_pushcfunction(L, restart_session);
    lua_call(L, 0, 0);
    line_print(L, "The session starts anew: names, modules and Python are gone; widgets stay.\n");
    return 0;
}
