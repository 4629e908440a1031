/* editor_int.h: the inside of the editor: its state, shared by drawing (editor.c) and keys (keys.c).
 *
 * Ownership, Units, Errors, Threads: as editor.h.
 *
 * Example:
 *     editor_bind_keys();
 */
#ifndef LACUS_REPL_EDITOR_INT_H
#define LACUS_REPL_EDITOR_INT_H
#include "repl/editor/menu.h"
#include "repl/editor/screen.h"
#include <signal.h>
#include <stdio.h>
/* readline's headers want stdio first */
#include <readline/history.h>
#include <readline/readline.h>

enum { EDITOR_SIGNALS = 5 };

struct editor {
    struct backend backend;
    struct screen screen;
    struct menu menu;
    char *menu_text; /* owned: the menu stands while the text and the cursor are these */
    int menu_point;
    char *prefix,
        *found; /* owned: Up looks for cells that begin so, while the text is what it has found last */
    int prompt_width;
    const char *initial; /* borrowed: goes into the cell that begins */
    char *line;          /* owned (malloc): the cell that was accepted */
    bool have_line, history_loaded, leaving, dirty;
    volatile sig_atomic_t interrupted, resized, stopped, terminated;
    struct sigaction before[EDITOR_SIGNALS];
    int mark;                  /* bytes of ESC[200~ or ESC[201~ that have come */
    bool mark_begins, pasting; /* it is the first of them; we are between the two */
};
extern struct editor editor;

void editor_bind_keys(void);
void editor_accept(void);
void editor_keep_menu(void);
void editor_clear_screen(void);
void editor_forget_search(void);
/* Around what is asked of the session: it is interrupted by Ctrl-C, and leaves signal handlers of its own. */
void editor_before_session(void);
void editor_after_session(void);
void editor_prepare_terminal(int meta);
#endif
