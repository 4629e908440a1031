/* shell.h: running programs from a cell, with their output in it.
 *
 * Ownership arguments are borrowed.
 * Units     none.
 * Errors    raised: the program is not there, the cell was interrupted (the program is killed), or, when it
 *           must succeed, it ended with another status than 0.
 * Threads   session thread.
 *
 * Example:
 *     const char *argv[] = {"ls", "-l", NULL};
 *     shell_run(L, argv, NULL, false);
 */
#ifndef LACUS_MAGICS_SHELL_H
#define LACUS_MAGICS_SHELL_H
#include "runtime/session/session_lua.h"

int shell_run(lua_State *L, const char *const *argv, const char *input, bool must_succeed); /* exit status */
#endif
