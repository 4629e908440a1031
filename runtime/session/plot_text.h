/* plot_text.h: a plot for people without a browser: dots in braille, bars in blocks.
 *
 * Ownership appends to the caller's buffer.
 * Units     terminal columns and rows.
 * Errors    the buffer's.
 * Threads   any.
 *
 * Example:
 *     double x[] = {1, 2, 3}, y[] = {1, 4, 9};
 *     struct plot_series s = {.name = "y", .x = x, .y = y, .n = 3};
 *     struct plot_text p = {.series = &s, .n = 1, .lines = true};
 *     plot_text_draw(&p, out);
 */
#ifndef LACUS_SESSION_PLOT_TEXT_H
#define LACUS_SESSION_PLOT_TEXT_H
#include "runtime/base/buf.h"

enum { PLOT_TEXT_LABEL = 512 };

/* Columns for a drawing beside `taken` columns of labels: what the terminal leaves, within bounds; `usual` without one. */
int plot_text_room(int terminal, int taken, int usual);
/* A label on one line of at most `most` columns ("…": it was cut) and of a third of the terminal.
 * Returns its columns. */
size_t plot_text_label(const char *text, int terminal, int most, char out[PLOT_TEXT_LABEL]);
void plot_text_title(const char *title, int terminal, struct buf *out); /* a line of its own; "" for none */

struct plot_series { /* borrowed */
    const char *name;
    const double *x, *y;
    size_t n;
};

struct plot_text {
    const char *title, *xlabel, *ylabel; /* "" for none */
    const struct plot_series *series;
    size_t n;
    bool lines;               /* join the points */
    const char *left, *right; /* words for the ends of the x axis; NULL: its numbers */
    int columns;              /* of the terminal; 0: unknown */
    bool xlog, ylog;          /* the numbers are logarithms to base 10: the labels say what they are of */
};
void plot_text_draw(const struct plot_text *p, struct buf *out);

struct plot_bar {
    const char *label;
    double value;
};
enum { PLOT_TEXT_BARS = 100 }; /* of more bars, the first are drawn, and how many are left is said */
void plot_text_bars(const char *title, const struct plot_bar *bars, size_t n, int columns, struct buf *out);
#endif
