#include "runtime/spark/show.h"
#include "runtime/base/mem.h"
#include "runtime/base/plural.h"
#include "runtime/base/utf8.h"
#include <string.h>

struct cell {
    const char *text; /* NULL: SQL's NULL; in the arena */
    size_t len;
};

struct grid {                   /* the first rows, as texts */
    struct arena *arena;        /* owned */
    const struct dtype *schema; /* owned */
    struct cell *cells;         /* owned: row by row */
    size_t capacity;            /* rows that cells has room for */
    int64_t rows;
    size_t columns;
    bool more; /* there are more rows than wanted */
};

static void grid_release(struct grid *g)
{
    mem_free(g->cells);
    dtype_unref(g->schema);
    arena_free(g->arena);
}

/* As Spark shows a value, by position (names need not be unique). */
static const struct plan *as_texts(const struct plan *p, const struct dtype *schema)
{
    size_t n = schema->n_fields;
    char **names = mem_calloc(n + 1, sizeof *names);
    struct expr **exprs = mem_calloc(n + 1, sizeof *exprs);
    bool ok = names && exprs;
    const struct plan *out = NULL;

    for (size_t i = 0; i < n && ok; i++) {
        const struct dtype *type = schema->fields[i].type;
        ok = (names[i] = mem_printf("_%zu", i)) != NULL;
        if (!ok)
            break;
        exprs[i] = expr_attribute((const char *const *)&names[i], 1, 0);
        if (type->id != DTYPE_STRING)
            exprs[i] = expr_unary("toprettystring", exprs[i]);
        exprs[i] = expr_alias(exprs[i], names[i]);
    }
    if (ok)
        out = plan_project(plan_to_df(plan_ref(p), (const char *const *)names, n), exprs, n);
    for (size_t i = 0; names && i < n; i++)
        mem_free(names[i]);
    mem_free(names);
    mem_free(exprs);
    return out;
}

static struct cell cell_of(struct arena *arena, const struct ArrowArray *a, int64_t row, bool *ok)
{
    struct cell c = {0};

    if (arrow_is_null(a, row))
        return c;
    c.text = arrow_text("u", a, row, &c.len); /* every column was cast to a text */
    c.text = arena_strndup(arena, c.text, c.len);
    if (c.text)
        c.len = strlen(c.text); /* a NUL ends what can be shown */
    else
        *ok = false;
    return c;
}

static bool grid_grow(struct grid *g) /* room for one more row */
{
    size_t columns = g->columns ? g->columns : 1, capacity = g->capacity ? g->capacity * 2 : 32;
    struct cell *more;

    if ((size_t)g->rows < g->capacity)
        return true;
    if (capacity > SIZE_MAX / sizeof *more / columns)
        return false;
    more = mem_reallocn(g->cells, capacity * columns, sizeof *more);
    if (!more)
        return false;
    g->cells = more;
    g->capacity = capacity;
    return true;
}

static enum lc read_batches(struct ArrowArrayStream *stream, struct grid *g, int64_t wanted, struct err *err)
{
    struct ArrowArray batch;
    bool ok = true;

    while (ok && !g->more) {
        memset(&batch, 0, sizeof batch);
        if (stream->get_next(stream, &batch) != 0)
            return err_set(err, LC_RUNTIME, "%s", stream->get_last_error(stream));
        if (!batch.release)
            return LC_OK;
        for (int64_t r = 0; r < batch.length && ok; r++) {
            if (g->rows == wanted) {
                g->more = true;
                break;
            }
            ok = grid_grow(g);
            for (size_t c = 0; ok && c < g->columns; c++)
                g->cells[(size_t)g->rows * g->columns + c] =
                    cell_of(g->arena, batch.children[c], r + batch.offset, &ok);
            g->rows++;
        }
        batch.release(&batch);
    }
    return ok ? LC_OK : err_nomem(err);
}

static enum lc grid_read(const struct ctx *ctx, struct spark *s, const struct plan *p, int64_t rows,
                         struct grid *g, struct err *err)
{
    struct ArrowArrayStream stream;
    const struct plan *texts;
    enum lc rc;

    memset(g, 0, sizeof *g);
    TRY(spark_schema(ctx, s, p, &g->schema, err));
    g->columns = g->schema->n_fields;
    g->arena = arena_new((size_t)1 << 30);
    texts = plan_limit(as_texts(p, g->schema), rows < INT64_MAX ? rows + 1 : rows);
    rc = g->arena && texts ? spark_execute(ctx, s, texts, &stream, err) : err_nomem(err);
    plan_unref(texts);
    if (rc == LC_OK) {
        rc = read_batches(&stream, g, rows, err);
        stream.release(&stream);
    }
    if (rc != LC_OK)
        grid_release(g);
    return rc;
}

/* ---- as Spark prints it ---- */
static const char *escaped(struct arena *arena, const char *text)
{
    static const char plain[] = "\n\r\t\f\b\v\a", letters[] = "nrtfbva";
    struct buf b = BUF_INIT(BUF_TEXT_MAX);
    const char *copy;

    if (!text[strcspn(text, plain)])
        return text;
    for (const char *p = text; *p; p++) {
        const char *at = strchr(plain, *p);
        if (at)
            buf_printf(&b, "\\%c", letters[at - plain]);
        else
            buf_putc(&b, *p);
    }
    copy = arena_strdup(arena, buf_str(&b));
    buf_release(&b);
    return copy ? copy : "";
}

static const char *masked(struct grid *g, const char *text, const struct redact *secrets)
{
    struct buf b = BUF_INIT(BUF_TEXT_MAX);

    if (!redact_empty(secrets) && redact_text(secrets, text, strlen(text), &b) > 0)
        text = arena_strdup(g->arena, buf_str(&b));
    buf_release(&b);
    return text ? text : "";
}

static const char *shown(struct grid *g, const char *text, const struct show_options *o)
{
    int64_t truncate = o->truncate;
    size_t len;

    text = text ? escaped(g->arena, masked(g, text, o->secrets)) : "NULL";
    len = strlen(text);
    if (truncate <= 0 || utf8_count(text, len) <= (size_t)truncate)
        return text;
    size_t keep = utf8_offset(text, len, (size_t)(truncate < 4 ? truncate : truncate - 3));
    const char *cut = arena_printf(g->arena, "%.*s%s", (int)keep, text, truncate < 4 ? "" : "...");
    return cut ? cut : "";
}

static const char **texts_of(struct grid *g, const struct show_options *o)
{
    const char **texts = mem_calloc(((size_t)g->rows + 1) * (g->columns ? g->columns : 1), sizeof *texts);

    for (size_t c = 0; texts && c < g->columns; c++)
        texts[c] =
            escaped(g->arena, masked(g, g->schema->fields[c].name, o->secrets)); /* names are never cut */
    for (size_t i = 0; texts && i < (size_t)g->rows * g->columns; i++)
        texts[g->columns + i] = shown(g, g->cells[i].text, o);
    return texts;
}

static void pad(struct buf *out, size_t n, char with)
{
    while (n-- > 0)
        buf_putc(out, with);
}

static void print_border(struct buf *out, const size_t *widths, size_t n)
{
    buf_puts(out, n ? "+" : "++"); /* without columns: ++, as Spark */
    for (size_t c = 0; c < n; c++) {
        pad(out, widths[c], '-');
        buf_putc(out, '+');
    }
    buf_putc(out, '\n');
}

static void print_line(struct buf *out, const char *const *texts, const size_t *widths, size_t n,
                       bool to_the_right)
{
    buf_puts(out, n ? "|" : "||");
    for (size_t c = 0; c < n; c++) {
        size_t gap = widths[c] - utf8_columns(texts[c], strlen(texts[c]));
        pad(out, to_the_right ? gap : 0, ' ');
        buf_puts(out, texts[c]);
        pad(out, to_the_right ? 0 : gap, ' ');
        buf_putc(out, '|');
    }
    buf_putc(out, '\n');
}

static size_t width_of(const char *text, size_t least)
{
    size_t width = utf8_columns(text, strlen(text));

    return width > least ? width : least;
}

/* How many of n columns fit, at least one. */
static size_t fitting(const size_t *widths, size_t n, int width)
{
    size_t used = 1, k = 0;

    while (k < n && (width <= 0 || k == 0 || used + widths[k] + 1 <= (size_t)width))
        used += widths[k++] + 1;
    return k;
}

static void print_left_out(const struct grid *g, size_t first, struct buf *out)
{
    if (first == g->columns)
        return;
    buf_printf(out, "and %zu more column%s:", g->columns - first, PLURAL(g->columns - first));
    for (size_t c = first; c < g->columns && c < first + 20; c++)
        buf_printf(out, "%s %s", c > first ? "," : "", g->schema->fields[c].name);
    buf_puts(out, g->columns > first + 20 ? ", \u2026\n" : "\n");
}

static bool print_table(const struct grid *g, const char *const *texts, const struct show_options *o,
                        struct buf *out)
{
    size_t n = g->columns, *widths = mem_calloc(n + 1, sizeof *widths), k;
    bool to_the_right = o->truncate > 0;

    if (!widths)
        return false;
    for (size_t i = 0; i < ((size_t)g->rows + 1) * n; i++)
        widths[i % n] = width_of(texts[i], widths[i % n] > 3 ? widths[i % n] : 3);
    k = fitting(widths, n, o->width);
    print_border(out, widths, k);
    print_line(out, texts, widths, k, to_the_right);
    print_border(out, widths, k);
    for (int64_t r = 0; r < g->rows; r++)
        print_line(out, texts + (size_t)(r + 1) * n, widths, k, to_the_right);
    print_border(out, widths, k);
    print_left_out(g, k, out);
    mem_free(widths);
    return true;
}

static void print_vertical(const struct grid *g, const char *const *texts, struct buf *out)
{
    size_t n = g->columns, names = 3, values = 3;

    for (size_t c = 0; c < n; c++)
        names = width_of(texts[c], names);
    for (size_t i = n; i < ((size_t)g->rows + 1) * n; i++)
        values = width_of(texts[i], values);
    for (int64_t r = 0; r < g->rows; r++) {
        size_t before = out->len;
        buf_printf(out, "-RECORD %lld", (long long)r);
        size_t used = out->len - before;
        pad(out, names + values + 5 > used ? names + values + 5 - used : 0, '-');
        buf_putc(out, '\n');
        for (size_t c = 0; c < n; c++) {
            const char *value = texts[(size_t)(r + 1) * n + c];
            buf_printf(out, " %s", texts[c]);
            pad(out, names - width_of(texts[c], 0), ' ');
            buf_printf(out, " | %s", value);
            pad(out, values - width_of(value, 0), ' ');
            buf_puts(out, " \n");
        }
    }
}

static enum lc print_grid(struct grid *g, const struct show_options *o, struct buf *out, struct err *err)
{
    const char **texts = texts_of(g, o);
    bool ok = texts != NULL;

    if (ok && o->vertical)
        print_vertical(g, texts, out);
    else if (ok)
        ok = print_table(g, texts, o, out);
    mem_free(texts);
    if (o->vertical && g->rows == 0)
        buf_puts(out, "(0 rows)\n");
    else if (g->more)
        buf_printf(out, "only showing top %lld row%s", (long long)o->rows, PLURAL(o->rows));
    return ok ? buf_check(out, err) : err_nomem(err);
}

enum lc spark_show(const struct ctx *ctx, struct spark *s, const struct plan *p, const struct show_options *o,
                   struct buf *out, struct err *err)
{
    const struct engine_remote *remote;
    struct engine *e;
    struct grid g;
    enum lc rc;

    if (spark_is_remote(s) && redact_empty(o->secrets)) { /* a server's table is drawn around them */
        TRY(spark_remote(s, "show", &remote, &e, err));
        return remote->show(e, ctx, p, &(struct engine_show){o->rows, o->truncate, o->vertical}, out, err);
    }
    TRY(grid_read(ctx, s, p, o->rows, &g, err));
    rc = print_grid(&g, o, out, err);
    grid_release(&g);
    return rc;
}

/* ---- HTML ---- */
/* Numbers to the right, others to the left; what is short is not broken at its hyphens and blanks. */
static void html_cell(struct buf *out, bool number, const char *text)
{
    enum { SHORT = 40 };
    size_t len = strlen(text);

    buf_printf(out, "<td style=\"text-align:%s%s\">", number ? "right" : "left",
               len <= SHORT ? ";white-space:nowrap" : "");
    buf_html(out, text, len);
    buf_puts(out, "</td>");
}

static void html_head(const struct grid *g, struct buf *out)
{
    buf_puts(out, "<table border=\"1\" class=\"dataframe\"><thead><tr>");
    for (size_t c = 0; c < g->columns; c++) {
        struct buf type = BUF_INIT(4096);
        dtype_simple(g->schema->fields[c].type, &type);
        buf_puts(out, dtype_is_numeric(g->schema->fields[c].type) ? "<th style=\"text-align:right\">"
                                                                  : "<th style=\"text-align:left\">");
        buf_html(out, g->schema->fields[c].name, strlen(g->schema->fields[c].name));
        buf_puts(out, "<br><small>");
        buf_html(out, buf_str(&type), type.len);
        buf_puts(out, "</small></th>");
        buf_release(&type);
    }
    buf_puts(out, "</tr></thead><tbody>");
}

static void print_html(const struct grid *g, struct buf *out)
{
    html_head(g, out);
    for (int64_t r = 0; r < g->rows; r++) {
        buf_puts(out, "<tr>");
        for (size_t c = 0; c < g->columns; c++) {
            const char *text = g->cells[(size_t)r * g->columns + c].text;
            bool number = dtype_is_numeric(g->schema->fields[c].type);
            if (text)
                html_cell(out, number, text);
            else
                buf_puts(out, "<td style=\"text-align:left\"><em>NULL</em></td>");
        }
        buf_puts(out, "</tr>");
    }
    buf_printf(out, "</tbody></table><small>%s%lld row%s × %zu column%s</small>", g->more ? "first " : "",
               (long long)g->rows, PLURAL(g->rows), g->columns, PLURAL(g->columns));
}

enum lc spark_show_rich(const struct ctx *ctx, struct spark *s, const struct plan *p,
                        const struct show_options *o, struct buf *text, struct buf *html, struct err *err)
{
    struct grid g;
    enum lc rc;

    TRY(grid_read(ctx, s, p, o->rows, &g, err));
    if (g.columns == 0 && g.rows == 0) { /* a command's: a box around nothing says less */
        buf_puts(text, "OK");
        rc = buf_check(text, err);
    } else {
        rc = print_grid(&g, o, text, err);
    }
    if (rc == LC_OK && g.columns + (size_t)g.rows > 0) {
        print_html(&g, html);
        rc = buf_check(html, err);
    }
    grid_release(&g);
    return rc;
}
