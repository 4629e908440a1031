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
void plot_text_bars(const char *title, const struct plot_bar *bars, size_t n, int columns, struct buf *out);
#endif
