/* prompt.h: the interactive loop: a cell is edited, run, and the next one begins.
 *
 * What      on a terminal that can move its cursor, with the editor (editor.h); on others (TERM=dumb) line by
 *           line. A banner may be printed first.
 * Ownership borrowed.
 * Errors    shown to the person.
 * Units     none.
 * Threads   main thread; the editor has one state per process.
 *
 * Example:
 *     struct local_backend local = {session, &frontend};
 *     struct backend b = backend_session(&local);
 *     prompt_loop(&b, "lacus");
 */
#ifndef LACUS_REPL_PROMPT_H
#define LACUS_REPL_PROMPT_H
#include "repl/backend.h"

void prompt_loop(const struct backend *b, const char *banner);
#endif
