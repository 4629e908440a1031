/* shell.h: programs that a cell runs, and the variables in their lines.
 *
 * What      what a program prints appears in the cell as it comes; an interrupt ends it. In a line, $name and
 *           $name.field are replaced by the value of a variable and {expression} by that of an expression, as
 *           IPython does ({x:.2f} formats it); what is not defined, and what has no text, stays as it is. $$ and {{ }} mean $ and
 *           { }.
 * Ownership texts are borrowed from the Lua stack; job's buffers are the caller's.
 * Units     exit status as a shell gives it.
 * Errors    raised: the program is not there, the cell was interrupted, or, when it must succeed, it ended
 *           with another status than 0.
 * Threads   session thread, inside a cell.
 *
 * Example:
 *     const char *argv[] = {"ls", "-l", NULL};
 *     shell_run(L, &(struct shell_job){.argv = argv});
 */
#ifndef LACUS_SESSION_SHELL_H
#define LACUS_SESSION_SHELL_H
#include "runtime/session/session_lua.h"

struct shell_job {
    const char *const *argv; /* ends with NULL */
    const char *input;       /* standard input; NULL: empty */
    struct buf *out, *err;   /* what it prints goes there instead of the cell; NULL: to the cell */
    bool may_fail;           /* another status than 0 is no error */
};
int shell_run(lua_State *L, const struct shell_job *job); /* exit status */
/* !command; value: pushes the lines it prints; else, at a prompt, it has the terminal for itself. Sets the global _exit_code. Returns the number of results. */
int shell_line(lua_State *L, const char *command, bool value);
/* Pushes text with its variables replaced. */
const char *shell_expand(lua_State *L, const char *text);
/* Is there a program of this name on the PATH? */
bool shell_has(const char *program);
#endif
