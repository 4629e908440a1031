/* dbutils_lua.h: dbutils.fs, secrets, notebook, library and help.
 *
 * What      dbutils_add gives the parts to the table of dbutils (its widgets are made elsewhere); the functions
 *           below are what the parts and the magics share. Paths are the machine's own, and may begin with
 *           file: or dbfs:, which mean the same here.
 * Ownership none.
 * Errors    raised.
 * Threads   session thread, inside a cell.
 *
 * Example:
 *     lua_newtable(L);
 *     dbutils_add(L);
 */
#ifndef LACUS_DBUTILS_DBUTILS_LUA_H
#define LACUS_DBUTILS_DBUTILS_LUA_H
#include <lua.h>
#include <stdbool.h>

/* The table is on the top of the stack. */
void dbutils_add(lua_State *L);

/* fs_lua.c: (path), (from, to, recurse), (path, recurse), (path, contents, overwrite), (path, bytes) */
int files_ls(lua_State *L); /* list of {path, name, size, modificationTime, isDir} */
int files_cp(lua_State *L);
int files_mv(lua_State *L);
int files_rm(lua_State *L);
int files_mkdirs(lua_State *L);
int files_put(lua_State *L);
int files_head(lua_State *L);

/* notebook_lua.c: (path, timeout in seconds, arguments) gives what the notebook ended with; (value) does not return */
int notebook_lua_run(lua_State *L);
int notebook_lua_exit(lua_State *L);

/* restart_lua.c: forgets what cells have defined, the modules that they loaded and the kept Python; parameters, widgets and the
 * count of cells stay. */
int restart_session(lua_State *L);
#endif
