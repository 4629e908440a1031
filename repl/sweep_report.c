/* What a sweep leaves: its table, and a notebook with table and plot. */
#include "repl/listing.h"
#include "repl/sweep_int.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/base/plural.h"
#include "runtime/notebook/notebook.h"
#include "runtime/session/plot_text.h"
#include "runtime/tracking/tracker.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 15, METRICS_MOST = 6, BARS_MOST = 40 };

/* ---- what a run gave ---- */
static void collect_tracked(struct sweep_point *p)
{
    struct ctx ctx = ctx_background();
    struct tracker *tracker = NULL;
    char filter[SWEEP_JOB + 40];
    struct tracker_search search = {.filter = filter, .max_results = 100};
    json_t *page = NULL, *run, *metric;
    size_t i, k;

    snprintf(filter, sizeof filter, "tags.`lacus.job` = '%s'", p->job);
    if (tracker_open(NULL, &tracker, NULL) == LC_OK &&
        tracker_search_runs(&ctx, tracker, &search, &page, NULL) == LC_OK)
        json_array_foreach (json_object_get(page, "runs"), i, run)
            json_array_foreach (json_object_get(json_object_get(run, "data"), "metrics"), k, metric)
                json_object_set(p->metrics, json_string_value(json_object_get(metric, "key")),
                                json_object_get(metric, "value"));
    json_decref(page);
    tracker_close(tracker);
}

/* A number, or a JSON object with numbers, handed to dbutils.notebook.exit counts as metrics too. */
static void collect_result(struct sweep_point *p)
{
    const char *text = json_string_value(json_object_get(p->end, "result")), *name;
    json_t *value = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL, *one;

    if (json_is_number(value))
        json_object_set(p->metrics, "result", value);
    json_object_foreach (value, name, one)
        if (json_is_number(one))
            json_object_set(p->metrics, name, one);
    json_decref(value);
}

void sweep_collect(struct sweep_point *p)
{
    p->metrics = json_object();
    if (fs_exists(p->output))
        collect_tracked(p);
    collect_result(p);
}

/* The names of all metrics, as many as there is room for. */
static size_t metric_names(const struct sweep *s, const char *names[METRICS_MOST])
{
    size_t n = 0;
    const char *name;
    json_t *value;

    for (size_t i = 0; i < s->n; i++)
        json_object_foreach (s->points[i].metrics, name, value) {
            bool known = n == METRICS_MOST;
            for (size_t k = 0; k < n; k++)
                known = known || strcmp(names[k], name) == 0;
            if (!known)
                names[n++] = name;
        }
    return n;
}

/* ---- the table ---- */
static json_t *row_of(const struct sweep *s, const struct sweep_point *p)
{
    json_t *row = json_copy(p->texts);
    const char *error = json_string_value(json_object_get(p->end, "error"));
    char seconds[40];

    snprintf(seconds, sizeof seconds, "%.2f", sweep_seconds(p));
    json_object_update_missing(row, p->metrics);
    json_object_set_new(row, "status", json_string(sweep_status(p)));
    json_object_set_new(row, "seconds", s->o->json ? json_real(sweep_seconds(p)) : json_string(seconds));
    json_object_set_new(row, "output", json_string(p->output));
    if (json_object_get(p->end, "result") && !json_object_get(row, "result"))
        json_object_set(row, "result", json_object_get(p->end, "result"));
    if (error)
        json_object_set_new(row, "error", json_string(error));
    return row;
}

static bool has_text_results(const struct sweep *s)
{
    bool any = false;

    for (size_t i = 0; i < s->n; i++)
        any = any || (json_is_string(json_object_get(s->points[i].end, "result")) &&
                      !json_object_get(s->points[i].metrics, "result"));
    return any;
}

static size_t columns_of(const struct sweep *s, struct listing_column columns[COLUMNS + 1])
{
    const char *metrics[METRICS_MOST];
    size_t n = 0, n_metrics = metric_names(s, metrics);

    for (size_t i = 0; i < s->n_axes && n < COLUMNS - METRICS_MOST - 4; i++)
        columns[n++] = (struct listing_column){s->axes[i].name, s->axes[i].name, LISTING_TEXT};
    columns[n++] = (struct listing_column){"status", "STATUS", LISTING_TEXT};
    columns[n++] = (struct listing_column){"seconds", "SECONDS", LISTING_TEXT};
    for (size_t i = 0; i < n_metrics; i++)
        columns[n++] = (struct listing_column){metrics[i], metrics[i], LISTING_TEXT};
    if (has_text_results(s))
        columns[n++] = (struct listing_column){"result", "RESULT", LISTING_TEXT};
    columns[n++] = (struct listing_column){"output", "OUTPUT", LISTING_TEXT};
    columns[n] = (struct listing_column){0};
    return n;
}

static json_t *rows_of(const struct sweep *s)
{
    json_t *rows = json_array();

    for (size_t i = 0; i < s->n; i++)
        json_array_append_new(rows, row_of(s, &s->points[i]));
    return rows;
}

static void bars(const struct sweep *s, const char *metric, struct buf *out)
{
    struct plot_bar list[BARS_MOST];
    size_t n = 0;

    for (size_t i = 0; i < s->n && n < BARS_MOST; i++) {
        const json_t *v = json_object_get(s->points[i].metrics, metric);
        if (v)
            list[n++] = (struct plot_bar){.label = s->points[i].label, .value = json_number_value(v)};
    }
    if (n && out->len)
        buf_puts(out, "\n\n");
    if (n)
        plot_text_bars(metric, list, n, 0, out);
}

void sweep_print(const struct sweep *s)
{
    struct listing_column columns[COLUMNS + 1];
    const char *metrics[METRICS_MOST];
    json_t *rows = rows_of(s);
    struct buf plot = BUF_INIT(1 << 20);

    columns_of(s, columns);
    listing_print(rows, columns, s->o->json);
    for (size_t i = 0, n = s->o->json || s->o->quiet ? 0 : metric_names(s, metrics); i < n; i++)
        bars(s, metrics[i], &plot);
    if (plot.len)
        printf("\n%s\n", buf_str(&plot));
    buf_release(&plot);
    json_decref(rows);
}

/* ---- the notebook ---- */
static void markdown_cell(struct buf *out, const json_t *value)
{
    char *text = json_is_string(value) || json_is_null(value) || !value
                     ? NULL
                     : json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));

    for (const char *p = text ? text : json_is_string(value) ? json_string_value(value) : ""; *p; p++)
        buf_puts(out, *p == '|' ? "\\|" : *p == '\n' ? " " : (char[]){*p, '\0'});
    buf_puts(out, " | ");
    free(text);
}

static void markdown(const struct sweep *s, struct buf *out)
{
    struct listing_column columns[COLUMNS + 1];
    size_t n = columns_of(s, columns), i;
    json_t *rows = rows_of(s), *row;

    buf_printf(out, "# Sweep of %s\n\n%zu run%s.\n\n| ", fs_basename(s->o->input), s->n, PLURAL(s->n));
    for (i = 0; i < n; i++)
        buf_printf(out, "%s | ", columns[i].title);
    buf_puts(out, "\n|");
    for (i = 0; i < n; i++)
        buf_puts(out, " --- |");
    json_array_foreach (rows, i, row) {
        buf_puts(out, "\n| ");
        for (size_t k = 0; k < n; k++)
            markdown_cell(out, json_object_get(row, columns[k].member));
    }
    json_decref(rows);
}

/* One chart per metric, one bar per run. */
static json_t *chart(const struct sweep *s)
{
    const char *metrics[METRICS_MOST];
    size_t n = metric_names(s, metrics);
    json_t *values = json_array();

    for (size_t m = 0; m < n; m++)
        for (size_t i = 0; i < s->n; i++) {
            json_t *v = json_object_get(s->points[i].metrics, metrics[m]);
            if (v)
                json_array_append_new(values, json_pack("{s:s, s:s, s:O}", "run", s->points[i].label,
                                                        "metric", metrics[m], "value", v));
        }
    return json_pack(
        "{s:s, s:{s:o}, s:s, s:{s:{s:s, s:s, s:n}, s:{s:s, s:s}, s:{s:s, s:s, s:n}}, s:{s:{s:s}}}", "$schema",
        "https://vega.github.io/schema/vega-lite/v5.json", "data", "values", values, "mark", "bar",
        "encoding", "y", "field", "run", "type", "nominal", "title", "x", "field", "value", "type",
        "quantitative", "row", "field", "metric", "type", "nominal", "title", "resolve", "scale", "x",
        "independent");
}

static void add_plot(const struct sweep *s, struct notebook *nb)
{
    const char *metrics[METRICS_MOST];
    size_t n = metric_names(s, metrics);
    struct buf text = BUF_INIT(1 << 20);
    json_t *cell = notebook_cell(nb, 1);

    for (size_t i = 0; i < n; i++)
        bars(s, metrics[i], &text);
    json_array_append_new(cell_outputs(cell),
                          json_pack("{s:s, s:{s:o, s:o}, s:{}}", "output_type", "display_data", "data",
                                    "application/vnd.vegalite.v5+json", chart(s), "text/plain",
                                    notebook_lines(buf_str(&text), text.len), "metadata"));
    buf_release(&text);
}

static char *report_path(const struct sweep *s)
{
    const char *output = s->points[0].output, *slash = strrchr(output, '/'), *name = fs_basename(s->o->input);
    size_t stem = strlen(name);

    if (stem > 6 && strcmp(name + stem - 6, ".ipynb") == 0)
        stem -= 6;
    return mem_printf("%.*s%.*s-sweep.ipynb", slash ? (int)(slash - output + 1) : 0, output, (int)stem, name);
}

enum lc sweep_write(const struct sweep *s, char **path, struct err *err)
{
    static const char empty[] =
        "{\"nbformat\": 4, \"nbformat_minor\": 5, \"metadata\": {\"kernelspec\": {\"name\": "
        "\"lacus\", \"display_name\": \"lacus (Lua 5.4)\", \"language\": \"lua\"}}, "
        "\"cells\": []}";
    struct buf table = BUF_INIT(1 << 24);
    const char *metrics[METRICS_MOST];
    struct notebook *nb = NULL;
    enum lc rc;

    *path = report_path(s);
    markdown(s, &table);
    rc = notebook_parse(empty, sizeof empty - 1, "sweep", &nb, err);
    if (rc == LC_OK)
        rc = notebook_insert_markdown(nb, 0, buf_str(&table), "sweep", err);
    if (rc == LC_OK && metric_names(s, metrics) > 0) {
        rc = notebook_insert_code(nb, 1, "-- what the runs gave back and tracked", "sweep", err);
        if (rc == LC_OK)
            add_plot(s, nb);
    }
    if (rc == LC_OK)
        rc = *path ? notebook_save(nb, *path, true, err) : err_nomem(err);
    buf_release(&table);
    notebook_free(nb);
    return rc;
}
