/* screen.h: the rows of a terminal that a cell under edit takes, drawn again with as little writing as possible.
 *
 * What      rows are laid out one by one (screen_begin, screen_put…, screen_show); only those that differ from
 *           what is there are written. When there are more rows than the terminal has, those around the cursor
 *           are shown.
 * Ownership screen_init fills a struct of the caller's, screen_release frees what it holds; the descriptor is
 *           borrowed.
 * Units     terminal columns and rows from 0.
 * Errors    none: without memory rows are missing.
 * Threads   one at a time.
 *
 * Example:
 *     struct screen s;
 *     screen_init(&s, 1);
 *     screen_begin(&s);
 *     screen_put(&s, "> ", 2, "32");
 *     screen_cursor(&s);
 *     screen_show(&s);
 *     screen_release(&s);
 */
#ifndef LACUS_REPL_EDITOR_SCREEN_H
#define LACUS_REPL_EDITOR_SCREEN_H
#include "runtime/base/buf.h"

struct frame {
    struct buf text;
    struct frame_row {
        size_t from; /* in text; a row ends where the next begins */
        int width;
    } * rows; /* owned */
    size_t n, cap;
    size_t cursor_row;
    int cursor_column;
};

struct screen {
    int fd; /* borrowed */
    int columns, height;
    bool colours;
    struct frame now, next; /* on the screen; being laid out */
    size_t first;           /* the first row of `now` that is visible */
    size_t shown;           /* how many rows are on the screen */
    int indent;             /* of rows that go on */
    const char *sgr;        /* borrowed: what is in force in `next` */
};

void screen_init(struct screen *s, int fd);
void screen_release(struct screen *s);
bool screen_measure(struct screen *s); /* the terminal's size; true when it has changed */
/* To the first column: of the next row when what was printed last has no newline at its end, which stays to be seen. */
void screen_fresh_row(const struct screen *s);
void screen_begin(struct screen *s);
/* Text as it is, without newlines; wraps at the edge. sgr: a constant, "" or NULL for none. Controls and bytes
 * that are no UTF-8 are made visible. */
void screen_put(struct screen *s, const char *text, size_t len, const char *sgr);
void screen_newline(struct screen *s);
void screen_indent(struct screen *s); /* what wraps from here on begins under this column */
void screen_cursor(struct screen *s); /* the cursor is to stand here */
int screen_column(const struct screen *s);
void screen_show(struct screen *s);
/* The cursor goes below what was drawn, which stays. */
void screen_leave(struct screen *s);
/* What was drawn is taken off; with reflow, after the terminal has changed its width. */
void screen_wipe(struct screen *s, int new_columns);
void screen_forget(struct screen *s); /* the screen was cleared by somebody else */
#endif
