/* plot_draw.c: a plot as Unicode text, for people without a browser. */
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"
#include "runtime/session/plot_spec.h"
#include "runtime/session/plot_text.h"
#include <math.h>
#include <string.h>

enum { SERIES_MAX = 64, WIDTH = 60, CELLS = 64, ROWS = 40, LABEL = 200 };

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

    if (x2)
        n = snprintf(label, LABEL, "%.4g to %.4g", json_number_value(x), json_number_value(x2));
    else if (json_is_string(x))
        n = snprintf(label, LABEL, "%.*s", cut(json_string_value(x), 30), json_string_value(x));
    else
        n = snprintf(label, LABEL, "%.6g", json_number_value(x));
    if (*series && n > 0 && n < LABEL)
        snprintf(label + n, LABEL - (size_t)n, " %.*s", cut(series, 15), series);
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
};

static int column(const struct scale *s, double v)
{
    double at = s->high > s->low ? (scaled(v, s->log) - s->low) / (s->high - s->low) * (WIDTH - 1) : 0;

    return at >= 0 && at <= WIDTH - 1 ? (int)lround(at) : at > 0 ? WIDTH - 1 : 0;
}

static double part(const json_t *box, const char *name)
{
    return json_number_value(json_object_get(box, name));
}

static void measure(const json_t *spec, struct scale *s)
{
    json_t *box, *one;
    size_t i, k;

    *s = (struct scale){INFINITY, -INFINITY, json_is_true(json_object_get(spec, "ylog"))};
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
    const char *cells[WIDTH];
    int low = column(s, part(box, "low")), high = column(s, part(box, "high"));
    int q1 = column(s, part(box, "q1")), q3 = column(s, part(box, "q3"));
    json_t *one;
    size_t i;

    for (int c = 0; c < WIDTH; c++)
        cells[c] = c >= q1 && c <= q3 ? "\u2592" : c > low && c < high ? "\u2500" : " ";
    json_array_foreach (json_object_get(box, "outliers"), i, one)
        cells[column(s, json_number_value(one))] = "\u00b7";
    if (low < q1)
        cells[low] = "\u251c";
    if (high > q3)
        cells[high] = "\u2524";
    cells[column(s, part(box, "median"))] = "\u2503";
    for (int c = 0; c < WIDTH; c++)
        buf_puts(out, cells[c]);
    buf_printf(out, " %.4g", part(box, "median"));
}

static void padded(struct buf *out, const char *text, size_t width)
{
    size_t columns = utf8_columns(text, strlen(text));

    buf_printf(out, "%*s%s", columns < width ? (int)(width - columns) : 0, "", text);
}

static void draw_boxes(const json_t *spec, int terminal, struct buf *out)
{
    (void)terminal;
    json_t *values = json_object_get(spec, "values"), *box;
    size_t width = 0, i;
    struct scale s;
    char left[32], right[32];

    measure(spec, &s);
    json_array_foreach (values, i, box) {
        size_t columns = utf8_columns(plot_spec_text(box, "x"), strlen(plot_spec_text(box, "x")));
        width = columns > width ? columns : width;
    }
    if (*plot_spec_text(spec, "title"))
        buf_printf(out, "%s\n", plot_spec_text(spec, "title"));
    json_array_foreach (values, i, box) {
        padded(out, plot_spec_text(box, "x"), width);
        buf_puts(out, " ");
        draw_box(box, &s, out);
        buf_putc(out, '\n');
    }
    snprintf(left, sizeof left, "%.4g", s.log ? pow(10, s.low) : s.low);
    snprintf(right, sizeof right, "%.4g", s.log ? pow(10, s.high) : s.high);
    buf_printf(out, "%*s%s%*s", (int)width + 1, "", left, WIDTH - (int)strlen(left), right);
}

/* ---- heat maps: five shades ---- */
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
        snprintf(out, LABEL, "%.*s", cut(json_string_value(label), 20), json_string_value(label));
    else
        snprintf(out, LABEL, "%.6g", json_number_value(label));
}

static void draw_cells(const double *cells, json_t *ys, size_t columns, double low, double high,
                       struct buf *out)
{
    static const char *const shades[] = {"\u00b7 ", "\u2591\u2591", "\u2592\u2592", "\u2593\u2593",
                                         "\u2588\u2588"};
    size_t width = 0, i;
    json_t *y;
    char label[LABEL];

    json_array_foreach (ys, i, y) {
        label_text(y, label);
        size_t n = utf8_columns(label, strlen(label));
        width = n > width ? n : width;
    }
    json_array_foreach (ys, i, y) {
        if (i == ROWS)
            break;
        label_text(y, label);
        padded(out, label, width);
        buf_puts(out, " \u2502");
        for (size_t c = 0; c < columns; c++) {
            double v = cells[i * CELLS + c];
            int shade = high > low ? (int)((v - low) / (high - low) * 4.999) : 2;
            buf_puts(out, isnan(v) ? "  " : shades[shade < 0 ? 0 : shade > 4 ? 4 : shade]);
        }
        buf_putc(out, '\n');
    }
}

static void draw_heat(const json_t *spec, int terminal, struct buf *out)
{
    (void)terminal;
    json_t *values = json_object_get(spec, "values"), *point, *xs = json_array(), *ys = json_array();
    double *cells = mem_alloc(ROWS * CELLS * sizeof *cells), low = INFINITY, high = -INFINITY;
    size_t i;
    char first[LABEL] = "", last[LABEL] = "";

    for (i = 0; cells && i < ROWS * CELLS; i++)
        cells[i] = NAN;
    json_array_foreach (values, i, point) {
        size_t x = place(xs, json_object_get(point, "x")), y = place(ys, json_object_get(point, "y"));
        double v = json_is_number(json_object_get(point, "value")) ? part(point, "value") : (double)NAN;
        if (cells && x < CELLS && y < ROWS)
            cells[y * CELLS + x] = v;
        low = v < low ? v : low;
        high = v > high ? v : high;
    }
    size_t columns = json_array_size(xs) < CELLS ? json_array_size(xs) : CELLS;
    if (*plot_spec_text(spec, "title"))
        buf_printf(out, "%s\n", plot_spec_text(spec, "title"));
    if (cells)
        draw_cells(cells, ys, columns, low, high, out);
    label_text(json_array_get(xs, 0), first);
    label_text(json_array_get(xs, columns ? columns - 1 : 0), last);
    buf_printf(out, "x: %s to %s   \u00b7 %.4g  \u2588 %.4g", first, last, low, high);
    if (json_array_size(xs) > CELLS || json_array_size(ys) > ROWS)
        buf_printf(out, "   (%zu \u00d7 %zu cells, of which %zu \u00d7 %zu are seen here)",
                   json_array_size(xs), json_array_size(ys), columns,
                   json_array_size(ys) < ROWS ? json_array_size(ys) : (size_t)ROWS);
    mem_free(cells);
    json_decref(xs);
    json_decref(ys);
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
