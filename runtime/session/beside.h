/* beside.h: the file that a notebook means by a relative path, in %run and dbutils.notebook.run.
 *
 * What      as on Databricks, paths are those of the notebook's own folder, and then, as for IPython, of the working folder. The
 *           notebook is the session's (a script, too), or the file that %run runs just now.
 * Ownership what is pushed is on the Lua stack; beside_enter's result goes to beside_leave.
 * Units     none.
 * Errors    memory errors are raised.
 * Threads   session thread.
 *
 * Example:
 *     static const char *const endings[] = {"", ".ipynb", NULL};
 *     const char *path = beside_find(L, "child", endings, false); // "/home/me/jobs/child.ipynb", NULL: no such file
 */
#ifndef LACUS_SESSION_BESIDE_H
#define LACUS_SESSION_BESIDE_H
#include "runtime/session/session_lua.h"

/* Pushes the path; NULL: there is no such file, and nothing is pushed. working_first: the working folder goes before that of
 * the session's notebook (not before that of a file in it). endings ends with NULL. */
const char *beside_find(lua_State *L, const char *name, const char *const *endings, bool working_first);
/* From now on the notebook is this file. What it was before, to be given back; beside_leave takes it. */
char *beside_enter(struct session *s, const char *path);
void beside_leave(struct session *s, char *before);
#endif
