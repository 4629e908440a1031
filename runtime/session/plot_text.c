#include "runtime/session/plot_text.h"
#include "runtime/base/utf8.h"
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    COLUMNS = 60,
    WIDEST = 120,
    ROWS = 13,
    HIGHEST = 16,
    LABEL = 9,
    DIGITS = 16,
    BAR = 50,
    LEAST = 10,
    NUMBER = 13
};
enum { NAMES = 16, NAME = 24, AXIS = 24 }; /* names of series: how many, how long; words below an axis */

struct canvas {
    unsigned char cells[HIGHEST][WIDEST]; /* braille dots, as Unicode numbers them */
    double x0, x1, y0, y1;
    bool xlog, ylog;
    int columns, rows;
    int label;         /* columns of the numbers at the y axis */
    int every, digits; /* a number at each so many rows, of so many digits */
};

int plot_text_room(int terminal, int taken, int usual)
{
    int left = terminal - taken;

    return terminal <= 0 ? usual : left > WIDEST ? WIDEST : left < LEAST ? LEAST : left;
}

/* At most `most` columns of a text, without what would break the line. */
static size_t cut_label(const char *text, size_t most, char out[PLOT_TEXT_LABEL])
{
    size_t len = strlen(text), columns = utf8_columns(text, len), used = 0, at = 0;
    bool cut = columns > most;
    uint32_t code;

    for (size_t i = 0, n; i < len && at + 8 < PLOT_TEXT_LABEL; i += n) {
        n = utf8_decode(text + i, len - i, &code);
        size_t width = n ? (size_t)utf8_width(code) : 1;
        if (cut && used + width + 1 > most)
            break;
        bool shown = n && code >= 32 && !(code >= 127 && code < 160);
        n = n ? n : 1;
        if (!shown) {
            out[at++] = ' ';
            width = 1;
        } else {
            memcpy(out + at, text + i, n);
            at += n;
        }
        used += width;
    }
    out[at] = '\0';
    if (cut) {
        memcpy(out + at, "\u2026", sizeof "\u2026");
        used++;
    }
    return used;
}

size_t plot_text_label(const char *text, int terminal, int most, char out[PLOT_TEXT_LABEL])
{
    int third = terminal / 3 < 6 ? 6 : terminal / 3;

    return cut_label(text, (size_t)(terminal > 0 && third < most ? third : most), out);
}

void plot_text_title(const char *title, int terminal, struct buf *out)
{
    char text[PLOT_TEXT_LABEL];

    if (!*title)
        return;
    cut_label(title, terminal > 0 ? (size_t)terminal : COLUMNS * 2, text);
    buf_printf(out, "%s\n", text);
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
    *low = *low < -DBL_MAX / 4 ? -DBL_MAX / 4 : *low; /* or the way between them would be infinite */
    *high = *high > DBL_MAX / 4 ? DBL_MAX / 4 : *high;
    if (*low > *high)
        *low = 0, *high = 1;
    if (*low == *high) {
        double by = *low == 0 ? 1 : fabs(*low) * 0.1;
        *low -= by;
        *high += by;
    }
}

/* 1, 2 or 5 times a power of ten, which is how people count: a fifth of the span, or more. */
static double round_step(double span)
{
    double power = pow(10, floor(log10(span / 5))), part = span / 5 / power;

    return power * (part <= 1 ? 1 : part <= 2 ? 2 : part <= 5 ? 5 : 10);
}

/* The y axis ends at round numbers, with as many rows as it takes for the numbers between them to be round, too. */
static void round_axis(struct canvas *c)
{
    double step = c->ylog ? ceil((c->y1 - c->y0) / 5) : round_step(c->y1 - c->y0);
    double low = floor(c->y0 / step + 1e-9), high = ceil(c->y1 / step - 1e-9), parts = high - low;

    c->rows = ROWS;
    c->every = (ROWS - 1) / 2;
    c->digits = DIGITS;
    if (!(parts >= 1 && parts < HIGHEST)) /* there are no numbers between, or none so small */
        return;
    c->every = parts > 4 ? (HIGHEST - 1) / (int)parts : (ROWS - 1) / (int)parts;
    c->rows = (int)parts * c->every + 1;
    c->y0 = low * step;
    c->y1 = high * step;
    c->digits = (int)(floor(log10(fmax(fabs(c->y0), fabs(c->y1)))) - floor(log10(step) + 1e-9)) + 1;
    c->digits = c->ylog || c->digits < 6 ? 6 : c->digits < DIGITS ? c->digits : DIGITS;
}

static int add_number(const struct canvas *c, int row, char out[32])
{
    double y = c->y1 - (c->y1 - c->y0) * ((double)row / (c->rows - 1));

    if (fabs(y) < (c->y1 - c->y0) * 1e-9) /* a rounding error is nothing to read */
        y = 0;
    return snprintf(out, 32, "%.*g", c->digits, c->ylog ? pow(10, y) : y);
}

static void measure_numbers(struct canvas *c)
{
    char text[32];

    c->label = LABEL;
    for (int row = 0; row < c->rows; row += c->every) {
        int columns = add_number(c, row, text);
        c->label = columns > c->label ? columns : c->label;
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
    round_axis(c);
    measure_numbers(c);
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
            y = c->rows * 4 - 1 - place(s->y[i], c->y0, c->y1, c->rows * 4);
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

    if (row % c->every == 0)
        add_number(c, row, label);
    buf_printf(out, "%*s %s", c->label, label, "\u2502");
    for (int x = 0; x < c->columns; x++)
        add_cell(out, c->cells[row][x]);
}

/* The numbers, or words, at the ends of the x axis, and its name between them where there is room. */
static void add_axis(struct buf *out, const struct canvas *c, const struct plot_text *p)
{
    char left[PLOT_TEXT_LABEL], right[PLOT_TEXT_LABEL], name[PLOT_TEXT_LABEL];
    int half = c->columns / 2 < AXIS ? c->columns / 2 : AXIS;
    size_t used;

    buf_printf(out, "%*s \u2514", c->label, "");
    for (int x = 0; x < c->columns; x++)
        buf_puts(out, "\u2500");
    snprintf(left, sizeof left, "%.4g", c->xlog ? pow(10, c->x0) : c->x0);
    snprintf(right, sizeof right, "%.4g", c->xlog ? pow(10, c->x1) : c->x1);
    if (p->left && p->right) {
        cut_label(p->left, (size_t)half, left);
        cut_label(p->right, (size_t)half, right);
    }
    used = utf8_columns(left, strlen(left)) + utf8_columns(right, strlen(right));
    int gap = c->columns > (int)used ? c->columns - (int)used : 0;
    int columns = (int)cut_label(p->xlabel, gap > 4 ? (size_t)gap - 2 : 0, name);
    if (gap < 5)
        *name = '\0', columns = 0;
    int before = (gap - columns) / 2, after = gap - columns - before;
    buf_printf(out, "\n%*s%s%*s%s%*s%s", c->label + 2, "", left, before, "", name, after, "", right);
}

/* The names stand behind the last point of each of several series. */
static int names_width(const struct plot_text *p)
{
    char name[PLOT_TEXT_LABEL];
    int most = 0;

    for (size_t s = 0; p->n > 1 && s < p->n && s < NAMES; s++) {
        int width = 1 + (int)plot_text_label(p->series[s].name, p->columns, NAME, name);
        most = width > most ? width : most;
    }
    return most;
}

/* Behind a row: the series that end there, as far as the line goes. */
static void add_names(struct buf *out, const struct plot_text *p, const int *end, int row, int room)
{
    char name[PLOT_TEXT_LABEL];

    for (size_t s = 0; p->n > 1 && s < p->n && s < NAMES; s++) {
        if (end[s] != row)
            continue;
        room -= 1 + (int)plot_text_label(p->series[s].name, p->columns, NAME, name);
        if (p->columns > 0 && room < 0)
            break;
        buf_printf(out, " %s", name);
    }
}

/* Above the canvas, cut as the terminal wants it. */
static void indented(struct buf *out, const char *text, int terminal, int indent)
{
    if (*text)
        buf_printf(out, "%*s", indent, "");
    plot_text_title(text, terminal > indent + LEAST ? terminal - indent : terminal > 0 ? LEAST : 0, out);
}

void plot_text_draw(const struct plot_text *p, struct buf *out)
{
    int names = names_width(p), end[NAMES];
    struct canvas c = {.xlog = p->xlog, .ylog = p->ylog};

    measure(p, &c);
    c.columns = plot_text_room(p->columns, c.label + 3 + names, COLUMNS);
    for (size_t s = 0; s < p->n; s++) {
        int row = draw_series(&c, &p->series[s], p->lines);
        if (s < NAMES)
            end[s] = row;
    }
    indented(out, p->title, p->columns, c.label + 2);
    indented(out, p->ylabel, p->columns, c.label + 2);
    for (int row = 0; row < c.rows; row++) {
        add_row(out, &c, row);
        add_names(out, p, end, row, p->columns - c.label - 2 - c.columns);
        buf_putc(out, '\n');
    }
    add_axis(out, &c, p);
}

struct bars {
    double low, high; /* of the values, and 0 */
    int room;         /* columns */
};

static int eighths_of(const struct bars *b, double value)
{
    return isfinite(value) && b->high > b->low ? (int)lround(value / (b->high - b->low) * b->room * 8) : 0;
}

/* Bars below 0 go to the left of where the others begin, in whole columns: there are no blocks that are full on the right. */
static void add_bar(struct buf *out, const struct bars *b, double value)
{
    static const char *const parts[] = {"",       "\u258f", "\u258e", "\u258d",
                                        "\u258c", "\u258b", "\u258a", "\u2589"};
    int zero = (eighths_of(b, -b->low) + 7) / 8, eighths = eighths_of(b, value);
    int below = eighths < 0 ? (4 - eighths) / 8 : 0;

    buf_printf(out, "%*s", zero - below, "");
    for (int k = 0; k < below + (eighths > 0 ? eighths / 8 : 0); k++)
        buf_puts(out, "\u2588");
    buf_printf(out, "%s %.6g", eighths > 0 ? parts[eighths % 8] : "", value);
}

void plot_text_bars(const char *title, const struct plot_bar *bars, size_t n, int columns, struct buf *out)
{
    struct bars b = {0};
    size_t width = 0, drawn = n > PLOT_TEXT_BARS ? PLOT_TEXT_BARS : n;
    char label[PLOT_TEXT_LABEL];

    for (size_t i = 0; i < drawn; i++) {
        size_t used = plot_text_label(bars[i].label, columns, WIDEST, label);
        width = used > width ? used : width;
        grow(&b.low, &b.high, bars[i].value);
    }
    b.room = plot_text_room(columns, (int)width + 2 + NUMBER, BAR);
    plot_text_title(title, columns, out);
    for (size_t i = 0; i < drawn; i++) {
        size_t used = plot_text_label(bars[i].label, columns, WIDEST, label);
        buf_printf(out, "%*s%s \u2502", (int)(width - used), "", label);
        add_bar(out, &b, bars[i].value);
        buf_puts(out, i + 1 < drawn ? "\n" : "");
    }
    if (drawn < n)
        buf_printf(out, "\n(the first %zu of %zu bars)", drawn, n);
}
