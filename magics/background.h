/* background.h: scripts that run beside the cells: %%script --bg.
 *
 * What      the program gets a process group of its own; its outputs are file handles of Lua, the process a value with
 *           pid, returncode, poll, wait, terminate, kill and send_signal, as Python's has them.
 * Ownership the session: those that run at its end are ended with it.
 * Units     exit status as a shell gives it.
 * Errors    raised.
 * Threads   session thread.
 *
 * Example:
 *     const char *argv[] = {"sort", NULL};
 *     background_run(L, argv, "b\na\n", &(struct background){.out = "sorted", .proc = "p"});
 */
#ifndef LACUS_MAGICS_BACKGROUND_H
#define LACUS_MAGICS_BACKGROUND_H
#include "runtime/session/session_lua.h"

struct background { /* names of globals that are set; NULL: what would be in them is thrown away */
    const char *out, *err, *proc;
};
void background_run(lua_State *L, const char *const *argv, const char *input, const struct background *names);
#endif
