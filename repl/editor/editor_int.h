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
};
extern struct editor editor;

void editor_bind_keys(void);
void editor_accept(void);
void editor_keep_menu(void);
void editor_clear_screen(void);
void editor_forget_search(void);
void editor_catch_signals(void); /* again, after the backend had its own */
#endif
