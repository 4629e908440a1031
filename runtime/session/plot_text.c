#include "runtime/session/plot_text.h"
#include "runtime/base/utf8.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { COLUMNS = 60, ROWS = 14, DOTS_Y = ROWS * 4, LABEL = 9, BAR = 50, LEAST = 10, NUMBER = 13 };

struct canvas {
    unsigned char cells[ROWS][COLUMNS]; /* braille dots, as Unicode numbers them */
    double x0, x1, y0, y1;
    bool xlog, ylog;
    int columns;
};

/* What is left of the terminal beside `taken` columns, at most `most`. */
static int room(int terminal, int taken, int most)
{
    int left = terminal - taken;

    return terminal <= 0 || left > most ? most : left < LEAST ? LEAST : left;
}

static void grow(double *low, double *high, double v)
{
    if (!isfinite(v))
        return;
    if (v < *low)
        *low = v;
    if (v > *high)
        *high = v;
}

static void widen(double *low, double *high) /* no points, or all at one place */
{
    if (*low > *high)
        *low = 0, *high = 1;
    if (*low == *high) {
        double by = *low == 0 ? 1 : fabs(*low) * 0.1;
        *low -= by;
        *high += by;
    }
}

static void measure(const struct plot_text *p, struct canvas *c)
{
    c->x0 = c->y0 = INFINITY;
    c->x1 = c->y1 = -INFINITY;
    for (size_t s = 0; s < p->n; s++)
        for (size_t i = 0; i < p->series[s].n; i++) {
            grow(&c->x0, &c->x1, p->series[s].x[i]);
            grow(&c->y0, &c->y1, p->series[s].y[i]);
        }
    widen(&c->x0, &c->x1);
    widen(&c->y0, &c->y1);
}

static int place(double v, double low, double high, int dots)
{
    double at = (v - low) / (high - low) * (dots - 1);

    return at < 0 ? 0 : at > dots - 1 ? dots - 1 : (int)lround(at);
}

static void dot(struct canvas *c, int x, int y) /* y from the top */
{
    static const unsigned char bits[4][2] = {{1, 8}, {2, 16}, {4, 32}, {64, 128}};

    c->cells[y / 4][x / 2] |= bits[y % 4][x % 2];
}

static void line(struct canvas *c, int x0, int y0, int x1, int y1)
{
    int dx = x1 > x0 ? x1 - x0 : x0 - x1, dy = y1 > y0 ? y1 - y0 : y0 - y1;
    int steps = dx > dy ? dx : dy;

    for (int i = 0; i <= steps; i++)
        dot(c, x0 + (steps ? (int)lround((double)(x1 - x0) * i / steps) : 0),
            y0 + (steps ? (int)lround((double)(y1 - y0) * i / steps) : 0));
}

/* Returns the row of the last point, or -1. */
static int draw_series(struct canvas *c, const struct plot_series *s, bool lines)
{
    int before_x = -1, before_y = -1;

    for (size_t i = 0; i < s->n; i++) {
        if (!isfinite(s->x[i]) || !isfinite(s->y[i])) {
            before_x = -1;
            continue;
        }
        int x = place(s->x[i], c->x0, c->x1, c->columns * 2),
            y = DOTS_Y - 1 - place(s->y[i], c->y0, c->y1, DOTS_Y);
        if (lines && before_x >= 0)
            line(c, before_x, before_y, x, y);
        else
            dot(c, x, y);
        before_x = x;
        before_y = y;
    }
    return before_y < 0 ? -1 : before_y / 4;
}

static void add_cell(struct buf *out, unsigned char bits)
{
    char text[4];

    if (!bits)
        buf_putc(out, ' ');
    else
        buf_add(out, text, utf8_encode(0x2800u + bits, text));
}

static void add_row(struct buf *out, const struct canvas *c, int row)
{
    char label[32] = "";
    double y = c->y1 - (c->y1 - c->y0) * row / (ROWS - 1);

    if (fabs(y) < (c->y1 - c->y0) * 1e-9) /* a rounding error is nothing to read */
        y = 0;
    if (row == 0 || row == ROWS - 1 || row == ROWS / 2)
        snprintf(label, sizeof label, "%.4g", c->ylog ? pow(10, y) : y);
    buf_printf(out, "%*s %s", LABEL, label, "\u2502");
    for (int x = 0; x < c->columns; x++)
        add_cell(out, c->cells[row][x]);
}

static void add_axis(struct buf *out, const struct canvas *c, const struct plot_text *p)
{
    const char *xlabel = p->xlabel;
    char left[104], right[104];
    int gap;

    buf_printf(out, "%*s \u2514", LABEL, "");
    for (int x = 0; x < c->columns; x++)
        buf_puts(out, "\u2500");
    snprintf(left, sizeof left, "%.4g", c->xlog ? pow(10, c->x0) : c->x0);
    snprintf(right, sizeof right, "%.4g", c->xlog ? pow(10, c->x1) : c->x1);
    if (p->left && p->right) {
        snprintf(left, sizeof left, "%.*s", (int)utf8_offset(p->left, strlen(p->left), 24), p->left);
        snprintf(right, sizeof right, "%.*s", (int)utf8_offset(p->right, strlen(p->right), 24), p->right);
    }
    gap = c->columns - (int)utf8_columns(left, strlen(left)) - (int)utf8_columns(right, strlen(right));
    int columns = (int)utf8_columns(xlabel, strlen(xlabel));
    int before = gap > columns ? (gap - columns) / 2 : 0, after = gap > columns ? gap - columns - before : 0;
    buf_printf(out, "\n%*s%s%*s%s%*s%s", LABEL + 2, "", left, before, "", xlabel, after, "", right);
}

/* The names stand behind the last point of each of several series. */
static int names_width(const struct plot_text *p)
{
    int most = 0;

    for (size_t s = 0; p->n > 1 && s < p->n && s < 16; s++) {
        int name = 1 + (int)utf8_columns(p->series[s].name, strlen(p->series[s].name));
        most = name > most ? name : most;
    }
    return most;
}

void plot_text_draw(const struct plot_text *p, struct buf *out)
{
    struct canvas c = {
        .xlog = p->xlog, .ylog = p->ylog, .columns = room(p->columns, LABEL + 3 + names_width(p), COLUMNS)};
    int end[16];

    measure(p, &c);
    for (size_t s = 0; s < p->n; s++) {
        int row = draw_series(&c, &p->series[s], p->lines);
        if (s < 16)
            end[s] = row;
    }
    if (*p->title)
        buf_printf(out, "%*s%s\n", LABEL + 2, "", p->title);
    if (*p->ylabel)
        buf_printf(out, "%*s%s\n", LABEL + 2, "", p->ylabel);
    for (int row = 0; row < ROWS; row++) {
        add_row(out, &c, row);
        for (size_t s = 0; p->n > 1 && s < p->n && s < 16; s++)
            if (end[s] == row)
                buf_printf(out, " %s", p->series[s].name);
        buf_putc(out, '\n');
    }
    add_axis(out, &c, p);
}

void plot_text_bars(const char *title, const struct plot_bar *bars, size_t n, int columns, struct buf *out)
{
    static const char *const parts[] = {"",       "\u258f", "\u258e", "\u258d",
                                        "\u258c", "\u258b", "\u258a", "\u2589"};
    double most = 0;
    size_t width = 0;
    int bar;

    for (size_t i = 0; i < n; i++) {
        size_t label = utf8_columns(bars[i].label, strlen(bars[i].label));
        width = label > width ? label : width;
        most = isfinite(bars[i].value) && fabs(bars[i].value) > most ? fabs(bars[i].value) : most;
    }
    bar = room(columns, (int)width + 2 + NUMBER, BAR);
    if (*title)
        buf_printf(out, "%s\n", title);
    for (size_t i = 0; i < n; i++) {
        size_t label = utf8_columns(bars[i].label, strlen(bars[i].label));
        int eighths =
            most > 0 && isfinite(bars[i].value) ? (int)lround(fabs(bars[i].value) / most * bar * 8) : 0;
        buf_printf(out, "%*s%s \u2502", (int)(width - label), "", bars[i].label);
        for (int k = 0; k < eighths / 8; k++)
            buf_puts(out, "\u2588");
        buf_printf(out, "%s %.6g%s", parts[eighths % 8], bars[i].value, i + 1 < n ? "\n" : "");
    }
}
