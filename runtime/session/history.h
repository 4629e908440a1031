/* history.h: the cells that were run, in a SQLite file, kept across restarts.
 *
 * What      session_history answers tail, range and search; writing happens on a thread of its own, off the
 *           path of the cell.
 * Ownership part of the session.
 * Units     none.
 * Errors    a history that cannot be opened or written is switched off with a line on the error stream; cells
 *           go on.
 * Threads   session thread.
 *
 * Example:
 *     history_add(s, 1, "1 + 1", 5, "2");
 */
#ifndef LACUS_SESSION_HISTORY_H
#define LACUS_SESSION_HISTORY_H
#include "runtime/session/session.h"

void history_open(struct session *s, const char *path);
/* output: the text of its result; NULL: it has none. */
void history_add(struct session *s, int line, const char *text, size_t len, const char *output);
void history_close(struct session *s);
#endif
