/* run_text.h: a text as a cell inside the cell: %% commands too, and what it gives is shown.
 *
 * Ownership arguments are borrowed.
 * Errors    raised.
 * Threads   session thread.
 *
 * Example:
 *     run_text(L, 0, "1 + 1", 5, "again");
 */
#ifndef LACUS_MAGICS_RUN_TEXT_H
#define LACUS_MAGICS_RUN_TEXT_H
#include "runtime/session/session_lua.h"

/* What stands before a script's text and is for others becomes blanks or a comment, so that lines and columns stay right: an
 * editor's byte order mark, and a first line #!… (or "# …", which Lua's own loader skips). */
void run_text_hide_marks(struct buf *text);
/* Its "..." are the nargs values on the top, which are popped. */
void run_text(lua_State *L, int nargs, const char *text, size_t len, const char *name);
#endif
