/* write_lines.c: rows as lines of CSV or JSON, as Spark writes them: the values' texts by the plan, quotes and delimiters by SQL. */
#include "runtime/base/mem.h"
#include "runtime/dataframe/engines/duckdb/duck.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

static struct expr *text(const char *s)
{
    return expr_string(s, strlen(s));
}

static struct expr *call(const char *name, struct expr *a, struct expr *b)
{
    struct expr *args[2] = {a, b};

    return expr_call(name, false, args, b ? 2 : 1);
}

static bool is_part(const struct write_spec *spec, const char *name)
{
    for (size_t i = 0; i < spec->n_partition; i++)
        if (strcasecmp(spec->partition_by[i], name) == 0)
            return true;
    return false;
}

/* {"t":"2024-02-03T04:05:06.500+01:00"}, of which the time is taken: JSON and CSV write times alike. */
static struct expr *time_text(struct expr *time)
{
    struct expr *json = call("to_json", call("struct", expr_alias(time, "t"), NULL), NULL);

    return call("regexp_extract", json, text("\"([^\"]*)\"}$"));
}

static struct expr *value_of(const struct write_spec *spec, const struct dfield *f, bool csv)
{
    static const struct {
        enum dtype_id id;
        const char *option;
    } formats[] = {{DTYPE_DATE, "dateFormat"},
                   {DTYPE_TIMESTAMP, "timestampFormat"},
                   {DTYPE_TIMESTAMP_NTZ, "timestampNTZFormat"}};
    const char *name = f->name;
    struct expr *column = expr_attribute(&name, 1, 0);

    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        const char *pattern =
            formats[i].id == f->type->id ? plan_option(spec->options, formats[i].option) : NULL;

        if (pattern)
            return call("date_format", column, text(pattern));
    }
    if (!csv)
        return column;
    if (f->type->id == DTYPE_TIMESTAMP || f->type->id == DTYPE_TIMESTAMP_NTZ)
        return time_text(column);
    return expr_cast(column, dtype_ref(dtype_of(DTYPE_STRING)), false);
}

/* "name":value, also for NULL */
static struct expr *member(struct expr *value, const char *name)
{
    struct expr *json = call("to_json", call("struct", expr_alias(value, name), NULL), NULL);
    struct buf missing = BUF_INIT(1 << 20);
    struct expr *inner = call("regexp_extract", json, text("(?s)^.(.*).$")), *none;

    buf_puts(&missing, "\"");
    for (const char *s = name; *s; s++) {
        if (*s == '"' || *s == '\\')
            buf_putc(&missing, '\\');
        buf_putc(&missing, *s);
    }
    buf_puts(&missing, "\":null");
    none = text(buf_str(&missing));
    buf_release(&missing);
    return call("coalesce", call("nullif", inner, text("")), none);
}

static struct expr *json_line(struct expr **values, const struct dfield **fields, size_t n, bool nulls)
{
    struct expr **args = mem_calloc(n + 2, sizeof(*args)), *line = NULL;

    if (args && nulls) {
        args[0] = text(",");
        for (size_t i = 0; i < n; i++)
            args[i + 1] = member(values[i], fields[i]->name);
        struct expr *parts[3] = {text("{"), expr_call("concat_ws", false, args, n + 1), text("}")};
        line = expr_call("concat", false, parts, 3);
    } else if (args) {
        for (size_t i = 0; i < n; i++)
            args[i] = expr_alias(values[i], fields[i]->name);
        line = call("to_json", expr_call("struct", false, args, n), NULL);
    }
    mem_free(args);
    return line;
}

const struct plan *duck_lines_plan(const struct plan *p, const struct dtype *schema,
                                   const struct write_spec *spec)
{
    bool csv = strcmp(spec->format, "csv") == 0;
    const char *ignore = plan_option(spec->options, "ignoreNullFields");
    struct expr **columns = mem_calloc(schema->n_fields + 1, sizeof(*columns));
    struct expr **values = mem_calloc(schema->n_fields + 1, sizeof(*values));
    const struct dfield **fields = mem_calloc(schema->n_fields + 1, sizeof(*fields));
    const struct plan *out = NULL;
    size_t n = 0, n_values = 0;

    for (size_t i = 0; columns && values && fields && i < schema->n_fields; i++) {
        const struct dfield *f = &schema->fields[i];
        const char *name = f->name;

        if (is_part(spec, name)) {
            columns[n++] = expr_attribute(&name, 1, 0);
        } else if (csv) {
            columns[n++] = expr_alias(value_of(spec, f, true), name);
        } else {
            fields[n_values] = f;
            values[n_values++] = value_of(spec, f, false);
        }
    }
    if (columns && values && fields) {
        if (!csv)
            columns[n++] = expr_alias(
                json_line(values, fields, n_values, ignore && strcasecmp(ignore, "false") == 0), "value");
        out = plan_project(plan_ref(p), columns, n);
    }
    mem_free(columns);
    mem_free(values);
    mem_free(fields);
    return out;
}

/* ---- CSV: fields, and what stands between them ---- */
static bool is_on(const struct write_spec *spec, const char *key, bool otherwise)
{
    const char *v = plan_option(spec->options, key);

    return v ? strcasecmp(v, "true") == 0 : otherwise;
}

static const char *given(const struct write_spec *spec, const char *key, const char *otherwise)
{
    const char *v = plan_option(spec->options, key);

    return v ? v : otherwise;
}

static const char *separator(const struct write_spec *spec)
{
    const char *sep = given(spec, "sep", given(spec, "delimiter", ","));

    return strcmp(sep, "\\t") == 0 ? "\t" : sep;
}

static void put_field(struct buf *b, const struct write_spec *spec, const char *name)
{
    const char *quote = given(spec, "quote", "\""), *escape = given(spec, "escape", "\\");
    bool all = is_on(spec, "quoteAll", false) && *quote;
    const char *null = given(spec, "nullValue", ""), *empty = given(spec, "emptyValue", "\"\"");
    struct buf how = BUF_INIT(256), none = BUF_INIT(4096);

    buf_printf(&how, "%s%s%s%s%s|%c%c%s", all ? "a" : "",
               is_on(spec, "ignoreLeadingWhiteSpace", true) ? "l" : "",
               is_on(spec, "ignoreTrailingWhiteSpace", true) ? "r" : "",
               is_on(spec, "escapeQuotes", true) ? "q" : "", *quote ? "" : "n", *quote ? *quote : '"',
               *escape ? *escape : '\\', separator(spec));
    if (all)
        buf_printf(&none, "%c%s%c", *quote, null, *quote);
    else
        buf_puts(&none, null);
    buf_puts(b, "(CASE WHEN ");
    sql_quote_name(b, name);
    buf_puts(b, " IS NULL THEN ");
    sql_quote_text(b, buf_str(&none), none.len);
    buf_puts(b, " ELSE lacus_csv_field(");
    sql_quote_name(b, name);
    buf_puts(b, ", ");
    sql_quote_text(b, buf_str(&how), how.len);
    buf_puts(b, ", ");
    sql_quote_text(b, empty, strlen(empty));
    buf_puts(b, ") END)");
    buf_release(&how);
    buf_release(&none);
}

void duck_put_lines(struct buf *b, const struct sql_query *q, const struct write_spec *spec)
{
    const char *sep = separator(spec);
    struct buf header = BUF_INIT(16 << 20);
    bool any = false;

    buf_puts(b, "SELECT ");
    for (size_t i = 0; i < q->schema->n_fields; i++)
        if (is_part(spec, q->schema->fields[i].name)) {
            sql_quote_name(b, q->schema->fields[i].name);
            buf_puts(b, ", ");
        }
    for (size_t i = 0; i < q->schema->n_fields; i++) {
        const char *name = q->schema->fields[i].name;

        if (is_part(spec, name))
            continue;
        if (any) {
            buf_puts(b, " || ");
            sql_quote_text(b, sep, strlen(sep));
            buf_puts(b, " || ");
            buf_puts(&header, sep);
        }
        any = true;
        put_field(b, spec, name);
        bool quoted = strpbrk(name, "\"\n\r") || strstr(name, sep) || is_on(spec, "quoteAll", false);
        buf_puts(&header, quoted ? "\"" : "");
        for (const char *s = name; *s; s++) {
            if (*s == '"')
                buf_putc(&header, *given(spec, "escape", "\\"));
            buf_putc(&header, *s);
        }
        buf_puts(&header, quoted ? "\"" : "");
    }
    buf_puts(b, " AS ");
    sql_quote_name(b, buf_str(&header));
    buf_printf(b, " FROM (%s)", q->sql);
    buf_release(&header);
}
