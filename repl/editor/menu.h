/* menu.h: what a completion offers, below the cell that is edited.
 *
 * What      one row per match: its text, its type, its signature; the chosen one is marked.
 * Ownership menu_open takes what it needs from the reply; menu_close frees it.
 * Units     bytes in the edited text.
 * Errors    none.
 * Threads   main thread.
 *
 * Example:
 *     struct menu m = {.chosen = -1};
 *     menu_open(&m, reply, text, strlen(text));
 *     menu_close(&m);
 */
#ifndef LACUS_REPL_EDITOR_MENU_H
#define LACUS_REPL_EDITOR_MENU_H
#include "repl/backend.h"
#include "repl/editor/screen.h"

enum { MENU_ROWS = 8 };

struct menu {
    json_t *matches, *types; /* owned; NULL while closed */
    size_t from, to;         /* what a match replaces in the text */
    int chosen;              /* -1: none yet */
    size_t top;              /* the first row that is seen */
    char *hint;              /* owned: shown below, or alone; may be NULL */
};

/* The matches of a complete_reply; false when there are none. */
bool menu_open(struct menu *m, const json_t *reply, const char *text, size_t len);
void menu_close(struct menu *m);
void menu_hint(struct menu *m, const char *text); /* copied; NULL: none */
size_t menu_count(const struct menu *m);
const char *menu_text(const struct menu *m, size_t index);
size_t menu_common(const struct menu *m);   /* how many bytes all matches begin with */
void menu_choose(struct menu *m, int step); /* the next (1) or the one before (-1), around the ends */
/* Lays the rows out; signatures are asked of the backend, for functions that are seen. */
void menu_draw(struct menu *m, struct screen *s, const struct backend *b, const char *text);
/* The signature and the first line of the documentation, out of an inspect_reply; appended. */
void menu_signature(const json_t *reply, bool whole, struct buf *out);
#endif
