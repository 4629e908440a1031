/* plot_draw.c: a plot as Unicode text, for people without a browser. */
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"
#include "runtime/session/plot_spec.h"
#include "runtime/session/plot_text.h"
#include <math.h>
#include <string.h>

enum { SERIES_MAX = 64, WIDTH = 60, WIDEST = 120, ROWS = 40, LABEL = PLOT_TEXT_LABEL };

static bool is(const json_t *spec, const char *kind)
{
    return strcmp(plot_spec_text(spec, "kind"), kind) == 0;
}

static double number_of(const json_t *value, size_t index) /* a text stands at its place in the list */
{
    return json_is_number(value)   ? json_number_value(value)
           : json_is_string(value) ? (double)index + 1
                                   : (double)NAN;
}

static double scaled(double v, bool log)
{
    return log ? log10(v) : v; /* not above 0: no number, and not drawn */
}

/* ---- points and lines ---- */
/* The words at both ends of an axis of texts. */
static void name_ends(const json_t *spec, struct plot_text *p)
{
    const json_t *values = json_object_get(spec, "values");
    const char *low = NULL, *high = NULL;
    json_t *point;
    bool days, moments = plot_spec_moments(spec, "x", &days);
    size_t i;

    json_array_foreach (values, i, point) {
        const char *x = json_string_value(json_object_get(point, "x"));
        if (!x)
            return;
        if (!low || (moments && strcmp(x, low) < 0))
            low = x;
        if (!high || !moments || strcmp(x, high) > 0)
            high = x;
    }
    p->left = low;
    p->right = high;
}

static void draw_points(const json_t *spec, int columns, struct buf *out)
{
    json_t *values = json_object_get(spec, "values"), *point;
    size_t n = json_array_size(values), i;
    double *x = mem_alloc(n * 2 * sizeof *x + 1), *y = x + n;
    struct plot_series series[SERIES_MAX];
    struct plot_text p = {.title = plot_spec_text(spec, "title"),
                          .xlabel = plot_spec_text(spec, "xlabel"),
                          .ylabel = plot_spec_text(spec, "ylabel"),
                          .series = series,
                          .columns = columns,
                          .lines = is(spec, "line"),
                          .xlog = json_is_true(json_object_get(spec, "xlog")),
                          .ylog = json_is_true(json_object_get(spec, "ylog"))};

    bool days, moments = plot_spec_moments(spec, "x", &days);

    if (!x)
        return;
    name_ends(spec, &p);
    json_array_foreach (values, i, point) {
        const char *name = plot_spec_text(point, "series");
        if (p.n == 0 || strcmp(series[p.n - 1].name, name) != 0) {
            if (p.n == SERIES_MAX)
                break;
            series[p.n++] = (struct plot_series){.name = name, .x = x + i, .y = y + i};
        }
        x[i] = moments ? plot_spec_moment(json_object_get(point, "x"))
                       : scaled(number_of(json_object_get(point, "x"), series[p.n - 1].n), p.xlog);
        y[i] = scaled(number_of(json_object_get(point, "y"), 0), p.ylog);
        series[p.n - 1].n++;
    }
    plot_text_draw(&p, out);
    mem_free(x);
}

/* ---- bars ---- */
/* At most so many characters of a text. */
static int cut(const char *text, size_t characters)
{
    return (int)utf8_offset(text, strlen(text), characters);
}

static void bar_label(char label[LABEL], const json_t *point)
{
    const json_t *x = json_object_get(point, "x"), *x2 = json_object_get(point, "x2");
    const char *series = plot_spec_text(point, "series");
    int n;

    const char *text = json_string_value(x);

    if (x2)
        n = snprintf(label, LABEL, "%.4g to %.4g", json_number_value(x), json_number_value(x2));
    else if (text)
        n = snprintf(label, LABEL, "%.*s%s", cut(text, 100), text,
                     (size_t)cut(text, 100) < strlen(text) ? "…" : "");
    else
        n = snprintf(label, LABEL, "%.6g", json_number_value(x));
    if (*series && n > 0 && n < LABEL)
        snprintf(label + n, LABEL - (size_t)n, " %.*s", cut(series, 50), series);
}

static void draw_bars(const json_t *spec, int columns, struct buf *out)
{
    json_t *values = json_object_get(spec, "values"), *point;
    size_t n = json_array_size(values), i;
    struct plot_bar *bars = mem_alloc(n * sizeof *bars + 1);
    char(*labels)[LABEL] = mem_alloc(n * sizeof *labels + 1);

    if (bars && labels) {
        json_array_foreach (values, i, point) {
            bar_label(labels[i], point);
            bars[i] = (struct plot_bar){labels[i], number_of(json_object_get(point, "y"), 0)};
        }
        plot_text_bars(plot_spec_text(spec, "title"), bars, n, columns, out);
    }
    mem_free(bars);
    mem_free(labels);
}

/* ---- boxes: ├──▒▒┃▒▒──┤ on a common scale ---- */
struct scale {
    double low, high;
    bool log;
    int columns; /* of the drawing */
};

static int column(const struct scale *s, double v)
{
    int last = s->columns - 1;
    double at = s->high > s->low ? (scaled(v, s->log) - s->low) / (s->high - s->low) * last : 0;

    return at >= 0 && at <= last ? (int)lround(at) : at > 0 ? last : 0;
}

static double part(const json_t *box, const char *name)
{
    return json_number_value(json_object_get(box, name));
}

static void measure(const json_t *spec, struct scale *s)
{
    json_t *box, *one;
    size_t i, k;

    *s = (struct scale){INFINITY, -INFINITY, json_is_true(json_object_get(spec, "ylog")), 0};
    json_array_foreach (json_object_get(spec, "values"), i, box) {
        double ends[2] = {scaled(part(box, "low"), s->log), scaled(part(box, "high"), s->log)};
        s->low = ends[0] < s->low ? ends[0] : s->low;
        s->high = ends[1] > s->high ? ends[1] : s->high;
        json_array_foreach (json_object_get(box, "outliers"), k, one) {
            double v = scaled(json_number_value(one), s->log);
            s->low = v < s->low ? v : s->low;
            s->high = v > s->high ? v : s->high;
        }
    }
}

static void draw_box(const json_t *box, const struct scale *s, struct buf *out)
{
    const char *cells[WIDEST];
    int low = column(s, part(box, "low")), high = column(s, part(box, "high"));
    int q1 = column(s, part(box, "q1")), q3 = column(s, part(box, "q3"));
    json_t *one;
    size_t i;

    for (int c = 0; c < s->columns; c++)
        cells[c] = c >= q1 && c <= q3 ? "\u2592" : c > low && c < high ? "\u2500" : " ";
    json_array_foreach (json_object_get(box, "outliers"), i, one)
        cells[column(s, json_number_value(one))] = "\u00b7";
    if (low < q1)
        cells[low] = "\u251c";
    if (high > q3)
        cells[high] = "\u2524";
    cells[column(s, part(box, "median"))] = "\u2503";
    for (int c = 0; c < s->columns; c++)
        buf_puts(out, cells[c]);
    buf_printf(out, " %.4g", part(box, "median"));
}

/* The label at the right of `width` columns. */
static void padded(struct buf *out, const char *text, int terminal, size_t width)
{
    char label[LABEL];
    size_t columns = plot_text_label(text, terminal, WIDTH, label);

    buf_printf(out, "%*s%s", columns < width ? (int)(width - columns) : 0, "", label);
}

static void draw_boxes(const json_t *spec, int terminal, struct buf *out)
{
    enum { MEDIAN = 11 }; /* " -1.235e+10" */
    json_t *values = json_object_get(spec, "values"), *box;
    size_t width = 0, i;
    struct scale s;
    char left[32], right[32], label[LABEL];

    measure(spec, &s);
    json_array_foreach (values, i, box) {
        size_t columns = plot_text_label(plot_spec_text(box, "x"), terminal, WIDTH, label);
        width = columns > width ? columns : width;
    }
    s.columns = plot_text_room(terminal, (int)width + 1 + MEDIAN, WIDTH);
    plot_text_title(plot_spec_text(spec, "title"), terminal, out);
    json_array_foreach (values, i, box) {
        padded(out, plot_spec_text(box, "x"), terminal, width);
        buf_puts(out, " ");
        draw_box(box, &s, out);
        buf_putc(out, '\n');
    }
    snprintf(left, sizeof left, "%.4g", s.log ? pow(10, s.low) : s.low);
    snprintf(right, sizeof right, "%.4g", s.log ? pow(10, s.high) : s.high);
    buf_printf(out, "%*s%s%*s", (int)width + 1, "", left, s.columns - (int)strlen(left), right);
}

/* ---- heat maps: five shades. Of more cells than there is room for, each drawn cell is the mean of some ---- */
struct heat {
    json_t *xs, *ys;   /* owned: the labels, in the order in which they come */
    size_t across, up; /* so many cells are one in the drawing */
    size_t columns, rows;
    double *sums; /* owned: columns × rows; later the means, NAN for none */
    size_t *counts;
    double low, high;
};

static size_t place(json_t *labels, const json_t *label)
{
    size_t i;
    json_t *one;

    json_array_foreach (labels, i, one)
        if (json_equal(one, label))
            return i;
    json_array_append(labels, (json_t *)(uintptr_t)label);
    return i;
}

static void label_text(const json_t *label, char out[LABEL])
{
    if (json_is_string(label))
        snprintf(out, LABEL, "%.*s", cut(json_string_value(label), 40), json_string_value(label));
    else
        snprintf(out, LABEL, "%.6g", json_number_value(label));
}

static size_t labels_width(const json_t *labels, int terminal)
{
    char text[LABEL], label[LABEL];
    size_t width = 0, i;
    json_t *one;

    json_array_foreach (labels, i, one) {
        label_text(one, text);
        size_t n = plot_text_label(text, terminal, WIDTH, label);
        width = n > width ? n : width;
    }
    return width;
}

/* How many of n are drawn as one, so that at most `room` are drawn. */
static size_t group(size_t n, size_t room)
{
    return n > room ? (n + room - 1) / room : 1;
}

static bool gather(const json_t *values, struct heat *h)
{
    json_t *point;
    size_t i, n = h->columns * h->rows;

    h->sums = mem_zalloc(n * sizeof *h->sums + 1);
    h->counts = mem_zalloc(n * sizeof *h->counts + 1);
    if (!h->sums || !h->counts)
        return false;
    json_array_foreach (values, i, point) {
        size_t x = place(h->xs, json_object_get(point, "x")) / h->across,
               y = place(h->ys, json_object_get(point, "y")) / h->up;
        const json_t *v = json_object_get(point, "value");
        if (!json_is_number(v))
            continue;
        h->sums[y * h->columns + x] += json_number_value(v);
        h->counts[y * h->columns + x]++;
    }
    h->low = INFINITY, h->high = -INFINITY;
    for (i = 0; i < n; i++) {
        h->sums[i] = h->counts[i] ? h->sums[i] / (double)h->counts[i] : (double)NAN;
        h->low = h->sums[i] < h->low ? h->sums[i] : h->low;
        h->high = h->sums[i] > h->high ? h->sums[i] : h->high;
    }
    return true;
}

static void draw_cells(const struct heat *h, int terminal, size_t width, bool narrow, struct buf *out)
{
    static const char *const shades[] = {"\u00b7", "\u2591", "\u2592", "\u2593", "\u2588"};
    char label[LABEL];

    for (size_t y = 0; y < h->rows; y++) {
        label_text(json_array_get(h->ys, y * h->up), label);
        padded(out, label, terminal, width);
        buf_puts(out, " \u2502");
        for (size_t x = 0; x < h->columns; x++) {
            double v = h->sums[y * h->columns + x];
            int shade = h->high > h->low ? (int)((v - h->low) / (h->high - h->low) * 4.999) : 2;
            const char *cell = isnan(v) ? " " : shades[shade < 0 ? 0 : shade > 4 ? 4 : shade];
            buf_puts(out, cell);
            if (!narrow)
                buf_puts(out, !isnan(v) && shade > 0 ? cell : " ");
        }
        buf_putc(out, '\n');
    }
}

/* x: mon to tue   · 1  █ 4, on one line where it fits */
static void draw_legend(const struct heat *h, int terminal, struct buf *out)
{
    char first[LABEL], last[LABEL], a[LABEL], b[LABEL];
    size_t used;

    label_text(json_array_get(h->xs, 0), first);
    label_text(json_array_get(h->xs, json_array_size(h->xs) - 1), last);
    used = plot_text_label(first, terminal, WIDTH, a) + plot_text_label(last, terminal, WIDTH, b);
    buf_printf(out, "x: %s to %s%s", a, b, terminal > 0 && used + 34 > (size_t)terminal ? "\n" : "   ");
    if (h->low > h->high)
        buf_puts(out, "no values");
    else
        buf_printf(out, "\u00b7 %.4g  \u2588 %.4g", h->low, h->high);
    if (h->across > 1 || h->up > 1)
        buf_printf(out, "\n(%zu \u00d7 %zu cells, means of %zu \u00d7 %zu)", json_array_size(h->xs),
                   json_array_size(h->ys), h->across, h->up);
}

static void draw_heat(const json_t *spec, int terminal, struct buf *out)
{
    json_t *values = json_object_get(spec, "values"), *point;
    struct heat h = {.xs = json_array(), .ys = json_array()};
    size_t i, width, nx, ny, room;

    json_array_foreach (values, i, point) {
        (void)place(h.xs, json_object_get(point, "x"));
        (void)place(h.ys, json_object_get(point, "y"));
    }
    nx = json_array_size(h.xs), ny = json_array_size(h.ys);
    width = labels_width(h.ys, terminal);
    room = (size_t)plot_text_room(terminal, (int)width + 3, 2 * WIDTH);
    h.across = group(nx, room), h.up = group(ny, ROWS);
    h.columns = (nx + h.across - 1) / h.across, h.rows = (ny + h.up - 1) / h.up;
    if (gather(values, &h)) {
        plot_text_title(plot_spec_text(spec, "title"), terminal, out);
        draw_cells(&h, terminal, width, 2 * h.columns > room, out);
        draw_legend(&h, terminal, out);
    }
    mem_free(h.sums);
    mem_free(h.counts);
    json_decref(h.xs);
    json_decref(h.ys);
}

void plot_spec_draw(const json_t *spec, int columns, struct buf *out)
{
    static const struct {
        const char *kind;
        void (*draw)(const json_t *spec, int columns, struct buf *out);
    } kinds[] = {{"bar", draw_bars}, {"hist", draw_bars}, {"box", draw_boxes}, {"heatmap", draw_heat}};
    void (*draw)(const json_t *, int, struct buf *) = draw_points;

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (is(spec, kinds[i].kind))
            draw = kinds[i].draw;
    draw(spec, columns, out);
    if (*plot_spec_text(spec, "note"))
        buf_printf(out, "\n(%s)", plot_spec_text(spec, "note"));
}
