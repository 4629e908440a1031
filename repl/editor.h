/* editor.h: editing a whole cell in a terminal: readline's keys, on several highlighted lines.
 *
 * What      readline edits one text that may have newlines in it; what is drawn is ours: prompts, colours,
 *           matching brackets, completion menu. A cell from the history comes back whole. Keys are readline's
 *           (emacs or vi, ~/.inputrc), with those that mean a line bound to the line in the cell. It is the
 *           plugin `editor`, so that only a prompt loads readline.
 * Ownership read gives the text (free with mem_free). readline has one state per process: so has this.
 * Units     bytes.
 * Errors    editor_load: LC_MISSING. EDITOR_END at the end of input, EDITOR_CANCELLED after Ctrl-C.
 * Threads   main thread.
 *
 * Example:
 *     const struct editor_vtable *editor = editor_load(&err);
 *     char *text;
 *     if (editor) {
 *         editor->open(&backend);
 *         if (editor->read("In [1]: ", "", &text) == EDITOR_TEXT)
 *             mem_free(text);
 *         editor->close();
 *     }
 */
#ifndef LACUS_REPL_EDITOR_H
#define LACUS_REPL_EDITOR_H
#include "repl/backend.h"
#include "runtime/base/err.h"

enum editor_end { EDITOR_TEXT, EDITOR_CANCELLED, EDITOR_END };
enum { EDITOR_VERSION = 1 };

struct editor_vtable {
    int version;                           /* EDITOR_VERSION */
    const char *(*library)(void);          /* readline's version: "8.2" */
    void (*open)(const struct backend *b); /* the backend is copied */
    void (*close)(void);
    /* prompt: plain text; initial: put into the cell to begin with. */
    enum editor_end (*read)(const char *prompt, const char *initial, char **text);
    void (*remember)(const char *text); /* the newest of the history */
};

const struct editor_vtable *editor_load(struct err *err); /* NULL on failure */
#endif
