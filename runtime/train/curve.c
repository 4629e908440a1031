#include "runtime/train/curve.h"
#include "runtime/base/mem.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { POINTS_MOST = 500, COLUMNS_MOST = 200, LINES_MOST = 50, LABEL = 9 };

struct point {
    int64_t step;
    double loss;
};

struct series {
    struct point *points; /* owned */
    size_t n, cap;
};

struct curve {
    struct series train, eval;
};

struct curve *curve_new(void)
{
    return mem_zalloc(sizeof(struct curve));
}

void curve_free(struct curve *c)
{
    if (!c)
        return;
    mem_free(c->train.points);
    mem_free(c->eval.points);
    mem_free(c);
}

static bool add_point(struct series *s, int64_t step, double loss)
{
    while (s->n && s->points[s->n - 1].step >= step)
        s->n--;
    if (s->n == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 64;
        struct point *p = mem_reallocn(s->points, cap, sizeof *p);
        if (!p)
            return false;
        s->points = p;
        s->cap = cap;
    }
    s->points[s->n++] = (struct point){step, loss};
    return true;
}

bool curve_add(struct curve *c, const json_t *event)
{
    const char *kind = json_string_value(json_object_get(event, "event"));
    int64_t step = json_integer_value(json_object_get(event, "step"));
    const json_t *loss = json_object_get(event, kind && strcmp(kind, "eval") == 0 ? "eval_loss" : "loss");

    if (!kind || !json_is_number(loss) || !isfinite(json_number_value(loss)))
        return true;
    if (strcmp(kind, "metric") == 0)
        return add_point(&c->train, step, json_number_value(loss));
    return strcmp(kind, "eval") != 0 || add_point(&c->eval, step, json_number_value(loss));
}

/* Means of neighbours when there are too many points for one line. */
static bool add_rows(json_t *rows, const struct series *s, const char *name)
{
    size_t each = (s->n + POINTS_MOST - 1) / POINTS_MOST;

    for (size_t i = 0; i < s->n; i += each) {
        double sum = 0;
        size_t k = 0;
        for (; k < each && i + k < s->n; k++)
            sum += s->points[i + k].loss;
        if (json_array_append_new(rows,
                                  json_pack("{s:I, s:f, s:s}", "step", (json_int_t)s->points[i + k - 1].step,
                                            "loss", sum / (double)k, "series", name)) != 0)
            return false;
    }
    return true;
}

json_t *curve_vega(const struct curve *c, const char *title)
{
    json_t *rows = json_array();

    if (!rows || !add_rows(rows, &c->train, "train") || !add_rows(rows, &c->eval, "eval"))
        return json_decref(rows), NULL;
    return json_pack(
        "{s:s, s:s, s:i, s:i, s:{s:o}, s:{s:s, s:b}, s:{s:{s:s, s:s, s:s}, s:{s:s, s:s, s:s, s:{s:b}}, "
        "s:{s:s, s:s, s:n}}}",
        "$schema", "https://vega.github.io/schema/vega-lite/v5.json", "title", title, "width", 480, "height",
        240, "data", "values", rows, "mark", "type", "line", "point", c->train.n < 60, "encoding", "x",
        "field", "step", "type", "quantitative", "title", "step", "y", "field", "loss", "type",
        "quantitative", "title", "loss", "scale", "zero", false, "color", "field", "series", "type",
        "nominal", "title");
}

struct frame {
    int64_t first, last;
    double low, high;
};

static void widen(struct frame *f, const struct series *s)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct point *p = &s->points[i];
        f->first = p->step < f->first ? p->step : f->first;
        f->last = p->step > f->last ? p->step : f->last;
        f->low = p->loss < f->low ? p->loss : f->low;
        f->high = p->loss > f->high ? p->loss : f->high;
    }
}

static void draw(char *cells, int columns, int lines, const struct frame *f, const struct series *s,
                 char mark)
{
    double steps = f->last > f->first ? (double)(f->last - f->first) : 1, height = f->high - f->low;

    for (size_t i = 0; i < s->n; i++) {
        int x = (int)lround((double)(s->points[i].step - f->first) / steps * (columns - 1));
        int y = height > 0 ? (int)lround((f->high - s->points[i].loss) / height * (lines - 1)) : 0;
        cells[y * columns + x] = mark;
    }
}

bool curve_text(const struct curve *c, int columns, int lines, struct buf *out)
{
    struct frame f = {INT64_MAX, INT64_MIN, INFINITY, -INFINITY};
    char cells[LINES_MOST * COLUMNS_MOST];

    columns = columns > COLUMNS_MOST ? COLUMNS_MOST : columns < 10 ? 10 : columns;
    lines = lines > LINES_MOST ? LINES_MOST : lines < 2 ? 2 : lines;
    widen(&f, &c->train);
    widen(&f, &c->eval);
    if (c->train.n + c->eval.n == 0)
        return false;
    memset(cells, ' ', sizeof cells);
    draw(cells, columns, lines, &f, &c->train, '.');
    draw(cells, columns, lines, &f, &c->eval, 'o');
    for (int y = 0; y < lines; y++) {
        int end = columns;
        while (end > 0 && cells[y * columns + end - 1] == ' ')
            end--;
        if (y == 0 || y == lines - 1)
            buf_printf(out, "%*.4f |", LABEL, y == 0 ? f.high : f.low);
        else
            buf_printf(out, "%*s |", LABEL, "");
        buf_printf(out, "%.*s\n", end, cells + y * columns);
    }
    buf_printf(out, "%*s +", LABEL, "");
    for (int x = 0; x < columns; x++)
        buf_putc(out, '-');
    buf_printf(out, "\n%*s  step %lld … %lld    . train   o eval\n", LABEL, "loss", (long long)f.first,
               (long long)f.last);
    return buf_ok(out);
}
