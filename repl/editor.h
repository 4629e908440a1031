/* editor.h: editing a whole cell in a terminal: readline's keys, on several highlighted lines.
 *
 * What      readline edits one text that may have newlines in it; what is drawn is ours: prompts, colours,
 *           matching brackets, completion menu. A cell from the history comes back whole. Keys are readline's
 *           (emacs or vi, ~/.inputrc), with those that mean a line bound to the line in the cell.
 * Ownership editor_read gives the text (free with mem_free). readline has one state per process: so has this.
 * Units     bytes.
 * Errors    EDITOR_END at the end of input, EDITOR_CANCELLED after Ctrl-C.
 * Threads   main thread.
 *
 * Example:
 *     char *text;
 *     editor_open(&backend);
 *     if (editor_read("In [1]: ", "", &text) == EDITOR_TEXT)
 *         mem_free(text);
 *     editor_close();
 */
#ifndef LACUS_REPL_EDITOR_H
#define LACUS_REPL_EDITOR_H
#include "repl/backend.h"

enum editor_end { EDITOR_TEXT, EDITOR_CANCELLED, EDITOR_END };

void editor_open(const struct backend *b); /* the backend is copied */
void editor_close(void);
/* prompt: plain text; initial: put into the cell to begin with. */
enum editor_end editor_read(const char *prompt, const char *initial, char **text);
void editor_remember(const char *text); /* the newest of the history */
#endif
