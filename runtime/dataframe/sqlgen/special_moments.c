/* special_moments.c: fields of dates and intervals, units, times of the day, windows of time. */
#include "runtime/dataframe/sqlgen/sqlgen_int.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The form with the value in place of each '$'. */
static const char *put(struct call *c, const char *form, const char *value)
{
    struct buf b = BUF_INIT((size_t)64 << 20);

    for (; *form; form++)
        if (*form == '$')
            buf_puts(&b, value);
        else
            buf_putc(&b, *form);
    return gen_take(c->g, &b);
}

/* ---- date_part ---- */
static const struct field {
    const char *names; /* between spaces */
    const char *sql, *type;
    const char *interval, *interval_type; /* NULL: intervals have none */
    bool clock;                           /* times of the day have it too */
} fields[] = {
    {" year y years yr yrs ", "year($)", "int", "date_part('year', $)", "int", false},
    {" yearofweek ", "isoyear($)", "int", NULL, NULL, false},
    {" quarter qtr ", "quarter($)", "int", NULL, NULL, false},
    {" month mon mons months ", "month($)", "int", "date_part('month', $)", "tinyint", false},
    {" week w weeks ", "weekofyear($)", "int", NULL, NULL, false},
    {" day d days ", "day($)", "int", "date_part('day', $)", "int", false},
    {" dayofweek dow ", "(dayofweek($) + 1)", "int", NULL, NULL, false},
    {" dayofweek_iso dow_iso ", "isodow($)", "int", NULL, NULL, false},
    {" doy ", "dayofyear($)", "int", NULL, NULL, false},
    {" hour h hours hr hrs ", "date_part('hour', $)", "int", "date_part('hour', $)", "tinyint", true},
    {" minute m min mins minutes ", "date_part('minute', $)", "int", "date_part('minute', $)", "tinyint",
     true},
    {" second s sec seconds secs ", "(CAST(date_part('microseconds', $) AS DECIMAL(18,6)) / 1000000)",
     "decimal(8,6)", "(CAST(date_part('microseconds', $) AS DECIMAL(18,6)) / 1000000)", "decimal(8,6)", true},
};

static const struct field *field_named(const char *name)
{
    char word[40];

    if (!name || strlen(name) > 30)
        return NULL;
    snprintf(word, sizeof word, " %s ", name);
    for (char *p = word; *p; p++)
        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (strstr(fields[i].names, word))
            return &fields[i];
    return NULL;
}

static enum lc date_part(struct call *c, struct sx *out)
{
    const char *name = special_text(&c->args[0]), *form, *value;
    const struct field *f = field_named(name);
    struct sx *x = &c->args[1];
    const struct dtype *type;
    bool interval;

    if (!name)
        return special_unsupported(c, "a field that is not a literal");
    if (x->type->id == DTYPE_STRING || x->type->id == DTYPE_NULL)
        TRY(sx_coerce(c->g, x, dtype_of(DTYPE_TIMESTAMP), c->e));
    interval = x->type->id == DTYPE_INTERVAL;
    form = !f || (x->type->id == DTYPE_TIME && !f->clock) ? NULL : interval ? f->interval : f->sql;
    if (!form)
        return gen_fail(c->g, c->e, LC_ENGINE,
                        "[INVALID_EXTRACT_FIELD] Cannot extract `%s` from \"%s\". SQLSTATE: 42601", name,
                        x->name);
    TRY(dtype_parse(interval ? f->interval_type : f->type, &type, c->g->err));
    type = gen_type(c->g, type);
    value =
        interval || x->type->id == DTYPE_TIME ? x->sql : gen_printf(c->g, "CAST(%s AS TIMESTAMP)", x->sql);
    return special_done(c, out, type,
                        gen_printf(c->g, "CAST(%s AS %s)", put(c, form, value), gen_sql_type(c->g, type)));
}

/* ---- units ---- */
static const struct unit {
    const char *name, *duck;
    int months; /* 0: it is one of microseconds */
    int64_t micros;
} units[] = {
    {"year", "year", 12, 0},
    {"quarter", "quarter", 3, 0},
    {"month", "month", 1, 0},
    {"week", "week", 0, 604800000000},
    {"day", "day", 0, 86400000000},
    {"dayofyear", "day", 0, 86400000000},
    {"hour", "hour", 0, 3600000000},
    {"minute", "minute", 0, 60000000},
    {"second", "second", 0, 1000000},
    {"millisecond", "millisecond", 0, 1000},
    {"microsecond", "microsecond", 0, 1},
};

static enum lc unit_of(struct call *c, const struct unit **out)
{
    const char *name = special_text(&c->args[0]);

    if (!name)
        return special_unsupported(c, "a unit that is not a literal");
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strcasecmp(units[i].name, name) == 0)
            return *out = &units[i], LC_OK;
    return gen_fail(c->g, c->e, LC_ENGINE,
                    "[INVALID_PARAMETER_VALUE.DATETIME_UNIT] The value of parameter(s) `unit` in `%s` is "
                    "invalid: expects "
                    "one of the units YEAR, QUARTER, MONTH, WEEK, DAY, HOUR, MINUTE, SECOND, MILLISECOND, "
                    "MICROSECOND, but "
                    "got '%s'. SQLSTATE: 22023",
                    c->f->name, name);
}

static enum lc timestamp_add(struct call *c, struct sx *out)
{
    const struct unit *u;
    const struct sx *time = &c->args[2];
    const char *n = c->args[1].sql;

    TRY(unit_of(c, &u));
    if (u->months)
        return special_done(
            c, out, time->type,
            gen_printf(c->g, "(%s + to_months(CAST(%s * %d AS INTEGER)))", time->sql, n, u->months));
    n = gen_printf(c->g, "(%s * %" PRId64 ")", n, u->micros);
    if (time->type->id == DTYPE_TIMESTAMP && u->micros < INT64_C(86400000000))
        return special_done(c, out, time->type,
                            gen_printf(c->g, "make_timestamptz(epoch_us(%s) + %s)", time->sql, n));
    return special_done(c, out, time->type, sx_moved(c->g, time, n, '+'));
}

static enum lc timestamp_diff(struct call *c, struct sx *out)
{
    const struct unit *u;

    TRY(unit_of(c, &u));
    if (u->months) /* DuckDB's last days of months count as whole */
        return special_done(c, out, dtype_of(DTYPE_LONG),
                            gen_printf(c->g,
                                       "(lacus_whole_months(epoch_us(CAST(%s AS TIMESTAMP)), "
                                       "epoch_us(CAST(%s AS TIMESTAMP))) // %d)",
                                       c->args[1].sql, c->args[2].sql, u->months));
    return special_done(c, out, dtype_of(DTYPE_LONG),
                        gen_printf(c->g, "date_sub('%s', CAST(%s AS TIMESTAMP), CAST(%s AS TIMESTAMP))",
                                   u->duck, c->args[1].sql, c->args[2].sql));
}

static enum lc time_diff(struct call *c, struct sx *out)
{
    const struct unit *u;

    TRY(unit_of(c, &u));
    return special_done(c, out, dtype_of(DTYPE_LONG),
                        gen_printf(c->g, "date_sub('%s', DATE '2000-01-01' + %s, DATE '2000-01-01' + %s)",
                                   u->duck, c->args[1].sql, c->args[2].sql));
}

static enum lc time_trunc(struct call *c, struct sx *out)
{
    const struct unit *u;

    TRY(unit_of(c, &u));
    return special_done(
        c, out, dtype_of(DTYPE_TIME),
        gen_printf(c->g, "CAST(date_trunc('%s', DATE '2000-01-01' + %s) AS TIME)", u->duck, c->args[1].sql));
}

/* ---- making intervals ---- */
static enum lc make_interval(struct call *c, struct sx *out)
{
    static const char *const calendar[] = {"to_years($)",
                                           "to_months($)",
                                           "to_days(7 * $)",
                                           "to_days($)",
                                           "to_hours($)",
                                           "to_minutes($)",
                                           "to_microseconds(CAST(round($ * 1000000) AS BIGINT))"};
    bool days = strcmp(c->f->name, "make_dt_interval") == 0,
         months = strcmp(c->f->name, "make_ym_interval") == 0;
    size_t first = days ? 3 : 0, all = days ? 4 : months ? 2 : 7;
    const struct dtype *t = days     ? gen_type(c->g, dtype_interval(INTERVAL_DAY_TIME, 0, 3))
                            : months ? gen_type(c->g, dtype_interval(INTERVAL_YEAR_MONTH, 0, 1))
                                     : dtype_of(DTYPE_INTERVAL);
    struct buf b = BUF_INIT((size_t)64 << 20), name = BUF_INIT((size_t)16 << 20);
    const char *sql;

    buf_puts(&b, days || !months ? "(to_microseconds(0)" : "(to_months(0)");
    buf_printf(&name, "%s(", c->f->name);
    for (size_t i = 0; i < all; i++) {
        bool given = i < c->n, seconds = i + 1 == all && !months;

        if (given)
            buf_printf(&b, " + %s", put(c, calendar[first + i], c->args[i].sql));
        buf_printf(&name, "%s%s", i ? ", " : "", given ? c->args[i].name : seconds ? "0.000000" : "0");
    }
    buf_putc(&b, ')');
    buf_putc(&name, ')');
    sql = gen_take(c->g, &b);
    out->name = gen_take(c->g, &name);
    return special_done(c, out, t,
                        strncmp(c->f->name, "try_", 4) == 0 && sql ? gen_printf(c->g, "TRY(%s)", sql) : sql);
}

/* ---- windows of time ---- */
static const char *window_at(struct call *c, const char *start, int64_t size)
{
    const char *zone = c->args[0].type->id == DTYPE_TIMESTAMP ? "make_timestamptz" : "make_timestamp";

    return gen_printf(c->g, "struct_pack(\"start\" := %s(%s), \"end\" := %s(%s + %" PRId64 "))", zone, start,
                      zone, start, size);
}

static bool made_below(struct call *c, struct sx *out)
{
    if (!c->g->time_window)
        return false;
    *out = *c->g->time_window;
    return true;
}

static const struct dtype *window_type(struct call *c)
{
    const struct dtype *s = dtype_struct_new(2), *t = c->args[0].type;

    s = s ? dtype_struct_add(s, "start", dtype_ref(t), true, NULL) : NULL;
    s = s ? dtype_struct_add(s, "end", dtype_ref(t), true, NULL) : NULL;
    return gen_type(c->g, s);
}

/* Alone a row's session is the gap behind it; time_window.c makes those of groups. */
static enum lc session_window(struct call *c, struct sx *out)
{
    const char *zone = c->args[0].type->id == DTYPE_TIMESTAMP ? "make_timestamptz" : "make_timestamp";
    int64_t gap = time_span(special_text(&c->args[1]));

    if (made_below(c, out))
        return LC_OK;
    if (gap <= 0)
        return gen_fail(
            c->g, c->e, LC_ENGINE,
            "[DATATYPE_MISMATCH.PARAMETER_CONSTRAINT_VIOLATION] session_window needs a gap like '5 "
            "minutes' (a text). SQLSTATE: 42K09");
    out->name = "session_window";
    return special_done(c, out, window_type(c),
                        gen_printf(c->g,
                                   "struct_pack(\"start\" := %s, \"end\" := %s(epoch_us(%s) + %" PRId64 "))",
                                   c->args[0].sql, zone, c->args[0].sql, gap));
}

static enum lc window(struct call *c, struct sx *out)
{
    int64_t size = time_span(special_text(&c->args[1])), slide = size, offset = 0;
    const struct dtype *s = window_type(c);
    const char *micros = gen_printf(c->g, "epoch_us(%s)", c->args[0].sql), *start;

    if (c->n > 2 && c->args[2].type->id != DTYPE_NULL)
        slide = time_span(special_text(&c->args[2]));
    if (c->n > 3 && c->args[3].type->id != DTYPE_NULL)
        offset = time_span(special_text(&c->args[3]));
    if (made_below(c, out))
        return LC_OK;
    if (size <= 0 || slide <= 0 || slide > size)
        return gen_fail(
            c->g, c->e, LC_ENGINE,
            "[DATATYPE_MISMATCH.PARAMETER_CONSTRAINT_VIOLATION] window needs a duration like '10 minutes', "
            "and a slide that is not longer. SQLSTATE: 42K09");
    out->name = "window";
    start = gen_printf(c->g, "(%s - ((%s - %" PRId64 ") %% %" PRId64 " + %" PRId64 ") %% %" PRId64 ")",
                       micros, micros, offset, slide, slide, slide);
    if (slide == size)
        return special_done(c, out, s, window_at(c, start, size));
    {
        const char *names[] = {"window"}, *sqls[1];
        const char *one = window_at(c, "lw", size);

        sqls[0] =
            gen_printf(c->g,
                       "unnest(list_transform(list_filter(range(%s - %" PRId64 ", %s + 1, %" PRId64
                       "), lambda lw: lw + %" PRId64 " > %s), lambda lw: %s))",
                       start, ((size + slide - 1) / slide - 1) * slide, start, slide, size, micros, one);
        return special_generated(c, out, names, &s, sqls, 1, false);
    }
}

/* An increasing counter: differences; NULL where it fell, or began anew. */
static enum lc counter_diff(struct call *c, struct sx *out)
{
    const char *v = c->args[0].sql, *before = gen_printf(c->g, "lag(%s)%s", v, c->tail), *reset = "FALSE";

    if (c->n > 1)
        reset = gen_printf(c->g, "coalesce(%s > lag(%s)%s, FALSE)", c->args[1].sql, c->args[1].sql, c->tail);
    TRY(special_done(
        c, out, c->args[0].type,
        gen_printf(c->g, "(CASE WHEN %s >= %s AND NOT %s THEN %s - %s END)", v, before, reset, v, before)));
    out->nullable = true;
    return LC_OK;
}

/* hour, minute, second of timestamps and of times of the day */
static enum lc clock_field(struct call *c, struct sx *out)
{
    struct sx *x = &c->args[0];

    if (x->type->id != DTYPE_TIME)
        TRY(sx_coerce(c->g, x,
                      dtype_of(x->type->id == DTYPE_TIMESTAMP_NTZ ? DTYPE_TIMESTAMP_NTZ : DTYPE_TIMESTAMP),
                      c->e));
    return special_done(c, out, dtype_of(DTYPE_INT),
                        gen_printf(c->g, "CAST(date_part('%s', %s) AS INTEGER)", c->f->name, x->sql));
}

const struct special special_moments[] = {
    {"clock_field", clock_field},
    {"date_part", date_part},
    {"timestampadd", timestamp_add},
    {"timestampdiff", timestamp_diff},
    {"time_diff", time_diff},
    {"time_trunc", time_trunc},
    {"make_interval", make_interval},
    {"window", window},
    {"session_window", session_window},
    {"counter_diff", counter_diff},
    {0},
};
