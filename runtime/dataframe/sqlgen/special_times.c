/* special_times.c: dates and timestamps, texts of them by patterns of Java. */
#include "runtime/dataframe/sqlgen/functions.h"
#include "runtime/dataframe/sqlgen/sqlgen_int.h"
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#define THE_ZONE      "current_setting('TimeZone')"
#define USUAL_PATTERN "yyyy-MM-dd HH:mm:ss"

/* What strftime writes just as Java does. */
static const struct {
    const char *java, *c;
} letters[] = {
    {"yyyy", "%Y"}, {"yy", "%y"},  {"MMMM", "%B"}, {"MMM", "%b"},    {"MM", "%m"},
    {"M", "%-m"},   {"dd", "%d"},  {"d", "%-d"},   {"HH", "%H"},     {"H", "%-H"},
    {"hh", "%I"},   {"h", "%-I"},  {"mm", "%M"},   {"m", "%-M"},     {"ss", "%S"},
    {"s", "%-S"},   {"SSS", "%g"}, {"E", "%a"},    {"SSSSSS", "%f"}, {"EEEE", "%A"},
    {"EEE", "%a"},  {"EE", "%a"},  {"a", "%p"},    {"DDD", "%j"},    {"D", "%-j"},
};

static const char *translate(const struct time_item *x)
{
    for (size_t i = 0; i < sizeof letters / sizeof *letters; i++)
        if (strlen(letters[i].java) == x->len && strncmp(letters[i].java, x->s, x->len) == 0)
            return letters[i].c;
    return NULL;
}

/* The pattern for strftime; NULL where it does not write all that is in it. */
static const char *plain_pattern(struct call *c, const struct time_pattern *p)
{
    struct buf b = BUF_INIT(4096);
    const char *made;

    for (size_t i = 0; i < p->n; i++) {
        const struct time_item *x = &p->items[i];
        const char *to = x->letter == '\'' ? NULL : translate(x);

        for (size_t k = 0; x->letter == '\'' && k < x->len; k++)
            buf_puts(&b, (char[]){x->s[k], x->s[k] == '%' ? '%' : '\0', '\0'});
        if (x->letter != '\'' && !to)
            return buf_release(&b), NULL;
        buf_puts(&b, to ? to : "");
    }
    buf_puts(&b, "");
    made = gen_take(c->g, &b);
    return made ? gen_text(c->g, made, strlen(made)) : NULL;
}

enum lc sql_time_pattern(const char *text, bool reading, struct time_pattern *p, struct err *err)
{
    struct buf why = BUF_INIT(4096);
    enum lc code = LC_OK;

    if (!time_pattern_make(p, text, strlen(text), reading)) {
        time_pattern_refused(&why, text, strlen(text));
        code = err_set(err, LC_ENGINE, "%s", buf_str(&why));
    }
    buf_release(&why);
    return code;
}

/* What the pattern that is argument `arg` is made of; one that is no literal may be of anything. */
static enum lc pattern(struct call *c, size_t arg, bool reading, struct time_pattern *p)
{
    const char *text = arg < c->n ? special_text(&c->args[arg]) : USUAL_PATTERN;
    struct err err;

    *p = (struct time_pattern){.zoned = true};
    if (!text || sql_time_pattern(text, reading, p, &err) == LC_OK)
        return LC_OK;
    return gen_fail(c->g, c->e, err.code, "%s", err.message);
}

static bool has_year(const struct time_pattern *p)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->items[i].letter == 'y')
            return true;
    return false;
}

/* A time as text; by: the pattern, which p was made of where it is a literal. */
static const char *written(struct call *c, const struct time_pattern *p, const char *time, const char *by)
{
    const char *clock = gen_printf(c->g, "CAST(%s AS TIMESTAMP)", time),
               *plain = p->n ? plain_pattern(c, p) : NULL;

    if (plain && has_year(p))
        return sql_written_time(c->g, clock, gen_printf(c->g, "strftime(%s, %s)", clock, plain), by);
    if (plain)
        return gen_printf(c->g, "strftime(%s, %s)", clock, plain);
    if (p->zoned)
        return gen_printf(
            c->g,
            "lacus_date_format(epoch_us(%s), epoch_us(CAST(%s AS TIMESTAMPTZ)), lacus_zone_name(" THE_ZONE
            "), %s)",
            clock, time, by);
    return gen_printf(c->g, "lacus_date_format(epoch_us(%s), 0, '', %s)", clock, by);
}

enum lc sql_time_text(struct call *c, const char *time, const char *pattern, const char **out)
{
    struct time_pattern p;
    struct err err;

    if (sql_time_pattern(pattern, false, &p, &err) != LC_OK)
        return gen_fail(c->g, c->e, err.code, "%s", err.message);
    *out = written(c, &p, time, gen_text(c->g, pattern, strlen(pattern)));
    return *out ? LC_OK : err_nomem(c->g->err);
}

/* A TIMESTAMP as text by the pattern that is argument 1. */
static enum lc formatted(struct call *c, struct sx *out, const char *time)
{
    struct time_pattern p;

    TRY(pattern(c, 1, false, &p));
    return special_done(c, out, dtype_of(DTYPE_STRING),
                        written(c, &p, time, c->n > 1 ? c->args[1].sql : "'" USUAL_PATTERN "'"));
}

/* ---- times of a zone's clock ---- */
/* In the zone, or the session's where that is NULL. */
static const char *instant(struct call *c, const char *zone, const char *clock)
{
    struct buf b = BUF_INIT((size_t)64 << 20);

    if (zone)
        sql_instant_in(&b, zone, clock);
    else
        sql_instant(&b, NULL, clock);
    return gen_take(c->g, &b);
}

static enum lc make_timestamp(struct call *c, struct sx *out)
{
    bool try = strncmp(c->f->name, "try_", 4) == 0;
    const char *sql,
        *clock = gen_printf(c->g, "make_timestamp(lacus_make_moment(%s, %s, %s, %s, %s, %s))", c->args[0].sql,
                            c->args[1].sql, c->args[2].sql, c->args[3].sql, c->args[4].sql, c->args[5].sql);

    sql = instant(c, c->n > 6 ? c->args[6].sql : NULL, clock);
    if (try && c->n > 6) /* a zone that is none is an error all the same */
        sql = gen_printf(c->g, "(CASE WHEN lacus_zone_offset(%s) IS NOT NULL THEN TRY(%s) ELSE TRY(%s) END)",
                         c->args[6].sql, sql, sql);
    return special_done(c, out, dtype_of(DTYPE_TIMESTAMP),
                        try && c->n == 6 ? gen_printf(c->g, "TRY(%s)", sql) : sql);
}

static enum lc to_utc_timestamp(struct call *c, struct sx *out)
{
    return special_done(
        c, out, dtype_of(DTYPE_TIMESTAMP),
        instant(c, c->args[1].sql,
                gen_printf(c->g, "timezone('UTC', CAST(%s AS TIMESTAMPTZ))", c->args[0].sql)));
}

/* convert_timezone([from,] to, time on a clock) */
static enum lc convert_timezone(struct call *c, struct sx *out)
{
    const char *to = c->args[c->n - 2].sql,
               *at = instant(c, c->n > 2 ? c->args[0].sql : NULL, c->args[c->n - 1].sql);

    return special_done(
        c, out, dtype_of(DTYPE_TIMESTAMP_NTZ),
        gen_printf(c->g,
                   "(CASE WHEN lacus_zone_offset(%s) IS NOT NULL THEN make_timestamp(epoch_us(%s) + "
                   "lacus_zone_offset(%s)) ELSE timezone(%s, %s) END)",
                   to, at, to, to, at));
}

static enum lc date_format(struct call *c, struct sx *out)
{
    return formatted(c, out, c->args[0].sql);
}

void sql_time_read(struct buf *out, const char *text, const char *by, bool zoned, const struct dtype *t,
                   bool try_it)
{
    bool instant = t->id == DTYPE_DATE || t->id == DTYPE_TIMESTAMP, times = zoned && instant;
    struct buf clock = BUF_INIT((size_t)64 << 20), zone = BUF_INIT((size_t)64 << 20);

    buf_printf(&clock, "make_timestamp(lacus_time_read(%s, %s, %d))", text, by,
               times + 2 * !try_it + 4 * (t->id == DTYPE_TIME));
    buf_printf(&zone, "lacus_time_read_zone(%s, %s)", text, by);
    buf_puts(out, "CAST(");
    if (times || t->id == DTYPE_TIMESTAMP)
        sql_instant(out, times ? buf_str(&zone) : NULL, buf_str(&clock));
    else
        buf_puts(out, buf_str(&clock));
    buf_puts(out, " AS ");
    sql_type(t, out);
    buf_putc(out, ')');
    buf_release(&clock);
    buf_release(&zone);
}

enum lc sql_time_column(struct buf *out, const char *column, const char *pattern, const struct dtype *t,
                        struct err *err)
{
    struct buf by = BUF_INIT(1 << 16);
    struct time_pattern p;
    enum lc code = sql_time_pattern(pattern, true, &p, err);

    if (code == LC_OK) {
        sql_quote_text(&by, pattern, strlen(pattern));
        sql_time_read(out, column, buf_str(&by), p.zoned, t, true);
        code = buf_check(&by, err);
    }
    buf_release(&by);
    return code;
}

/* A text, by a pattern or by the usual form, to a type; try: NULL instead of an error. */
static enum lc parse_time(struct call *c, struct sx *out, enum dtype_id id, bool try_it)
{
    struct sx x = c->args[0];
    struct time_pattern p;
    bool usual =
        c->n == 1 && !strstr(c->f->name, "unix_timestamp"); /* which has a pattern without being given one */

    if (usual || x.type->id != DTYPE_STRING) {
        TRY(sx_cast(c->g, &x, dtype_of(id), try_it, false, c->e, &c->args[0]));
        TRY(special_done(c, out, dtype_of(id), c->args[0].sql));
    } else {
        struct buf b = BUF_INIT((size_t)64 << 20);

        TRY(pattern(c, 1, true, &p));
        sql_time_read(&b, x.sql, c->n > 1 ? c->args[1].sql : "'" USUAL_PATTERN "'", p.zoned, dtype_of(id),
                      try_it);
        TRY(special_done(c, out, dtype_of(id), gen_take(c->g, &b)));
    }
    out->nullable = out->nullable || try_it;
    return LC_OK;
}

static enum lc to_date(struct call *c, struct sx *out)
{
    return parse_time(c, out, DTYPE_DATE, false);
}

static enum lc try_to_date(struct call *c, struct sx *out)
{
    return parse_time(c, out, DTYPE_DATE, true);
}

static enum lc to_timestamp(struct call *c, struct sx *out)
{
    return parse_time(c, out, DTYPE_TIMESTAMP, false);
}

static enum lc try_to_timestamp(struct call *c, struct sx *out)
{
    return parse_time(c, out, DTYPE_TIMESTAMP, true);
}

static enum lc to_timestamp_ntz(struct call *c, struct sx *out)
{
    return parse_time(c, out, DTYPE_TIMESTAMP_NTZ, false);
}

static enum lc to_time(struct call *c, struct sx *out)
{
    const char *text = c->args[0].sql;

    TRY(parse_time(c, out, DTYPE_TIME, c->n == 1));
    if (c->n == 1 && c->args[0].type->id == DTYPE_TIME)
        out->sql = gen_printf(c->g,
                              "coalesce(%s, CASE WHEN %s IS NOT NULL THEN error('[CANNOT_PARSE_TIME] The "
                              "input string cannot be "
                              "parsed to a TIME value. SQLSTATE: 22010') END)",
                              out->sql, text);
    return out->sql ? LC_OK : err_nomem(c->g->err);
}

static enum lc try_to_time(struct call *c, struct sx *out)
{
    return parse_time(c, out, DTYPE_TIME, true);
}

static enum lc unix_timestamp(struct call *c, struct sx *out)
{
    struct sx time = {0};
    bool nullable = c->n > 0 && (c->args[0].nullable || (c->n > 1 && c->args[1].nullable));

    if (c->n == 0)
        return special_done(c, out, dtype_of(DTYPE_LONG), "CAST(floor(epoch(now())) AS BIGINT)");
    TRY(parse_time(c, &time, DTYPE_TIMESTAMP, false));
    TRY(special_done(c, out, dtype_of(DTYPE_LONG),
                     gen_printf(c->g, "CAST(floor(epoch(%s)) AS BIGINT)", time.sql)));
    out->nullable = nullable;
    return LC_OK;
}

static enum lc from_unixtime(struct call *c, struct sx *out)
{
    return formatted(c, out, gen_printf(c->g, "to_timestamp(%s)", c->args[0].sql));
}

/* What date_trunc and trunc round down to. */
static const struct {
    const char *spark, *duckdb;
} units[] = {{"year", "year"},
             {"yyyy", "year"},
             {"yy", "year"},
             {"quarter", "quarter"},
             {"month", "month"},
             {"mm", "month"},
             {"mon", "month"},
             {"week", "week"},
             {"day", "day"},
             {"dd", "day"},
             {"hour", "hour"},
             {"minute", "minute"},
             {"second", "second"},
             {"millisecond", "millisecond"},
             {"microsecond", "microsecond"}};
enum { UNITS = sizeof units / sizeof *units };

const char *function_unit(size_t i)
{
    return i < UNITS ? units[i].spark : NULL;
}

static const char *unit(const char *name)
{
    for (size_t i = 0; name && i < UNITS; i++)
        if (strcasecmp(units[i].spark, name) == 0)
            return units[i].duckdb;
    return NULL;
}

/* Units that are of one length, in microseconds; 0: others. */
static int64_t span_of(const char *unit)
{
    static const struct {
        const char *unit;
        int64_t micros;
    } spans[] = {{"hour", 3600000000},
                 {"minute", 60000000},
                 {"second", 1000000},
                 {"millisecond", 1000},
                 {"microsecond", 1}};

    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++)
        if (strcmp(spans[i].unit, unit) == 0)
            return spans[i].micros;
    return 0;
}

/* Of an hour that comes twice each stays what it is. */
static enum lc trunc_clock(struct call *c, struct sx *out, const char *time, int64_t span)
{
    const char *clock = gen_printf(
        c->g, "(CASE WHEN " SESSION_IS_UTC " THEN epoch_us(%s) ELSE epoch_us(CAST(%s AS TIMESTAMP)) END)",
        time, time);

    TRY(special_done(
        c, out, dtype_of(DTYPE_TIMESTAMP),
        gen_printf(c->g, "make_timestamptz(epoch_us(%s) - (%s %% %" PRId64 " + %" PRId64 ") %% %" PRId64 ")",
                   time, clock, span, span, span)));
    out->nullable = true;
    return LC_OK;
}

static enum lc trunc_time(struct call *c, struct sx *out, size_t unit_arg, const struct dtype *type)
{
    const char *name = special_text(&c->args[unit_arg]), *u = unit(name), *value = c->args[1 - unit_arg].sql;

    if (!name)
        return special_unsupported(c, "a unit that is not a literal");
    if (u && type->id == DTYPE_TIMESTAMP && span_of(u))
        return trunc_clock(c, out, value, span_of(u));
    TRY(special_done(
        c, out, type,
        u ? gen_printf(c->g, "CAST(date_trunc('%s', %s) AS %s)", u, value, gen_sql_type(c->g, type))
          : gen_printf(c->g, "CAST(NULL AS %s)", gen_sql_type(c->g, type))));
    out->nullable = true;
    return LC_OK;
}

static enum lc date_trunc(struct call *c, struct sx *out)
{
    return trunc_time(c, out, 0, c->args[1].type);
}

static enum lc trunc_date(struct call *c, struct sx *out)
{
    return trunc_time(c, out, 1, dtype_of(DTYPE_DATE));
}

static enum lc next_day(struct call *c, struct sx *out)
{
    static const char *const days[] = {"mo", "tu", "we", "th", "fr", "sa", "su"};
    const char *name = special_text(&c->args[1]);

    for (int i = 0; name && i < 7; i++)
        if (strncasecmp(name, days[i], 2) == 0)
            return special_done(c, out, dtype_of(DTYPE_DATE),
                                gen_printf(c->g, "(%s + CAST((%d - isodow(%s) + 6) %% 7 + 1 AS INTEGER))",
                                           c->args[0].sql, i + 1, c->args[0].sql));
    return special_unsupported(c, "a weekday that is not a literal like \"Mon\"");
}

/* Whole seconds since the day began: of a TIMESTAMP those that went by, also on a day when the clocks change. */
static const char *day_seconds(struct call *c, const struct sx *x, const char *clock)
{
    bool instant = x->type->id == DTYPE_TIMESTAMP;

    return gen_printf(c->g, "((epoch_us(%s) - epoch_us(CAST(CAST(%s AS DATE) AS %s))) // 1000000)",
                      instant ? x->sql : clock, clock, instant ? "TIMESTAMPTZ" : "TIMESTAMP");
}

/* Whole months when both are the same day of the month or both the last one; else days count as 1/31. */
static enum lc months_between(struct call *c, struct sx *out)
{
    const char *a = gen_printf(c->g, "CAST(%s AS TIMESTAMP)", c->args[0].sql);
    const char *b = gen_printf(c->g, "CAST(%s AS TIMESTAMP)", c->args[1].sql);
    const char *months = gen_printf(c->g, "((year(%s) - year(%s)) * 12 + month(%s) - month(%s))", a, b, a, b);
    const char *part = gen_printf(c->g, "((day(%s) - day(%s)) * 86400 + %s - %s)", a, b,
                                  day_seconds(c, &c->args[0], a), day_seconds(c, &c->args[1], b));
    bool rounded = c->n < 3 || special_bool(&c->args[2], true);
    const char *exact = gen_printf(c->g, "(%s + %s / 2678400.0::DOUBLE)", months, part);
    const char *sql = rounded ? gen_printf(c->g, "round(%s, 8)", exact) : exact;

    if (c->n > 2 &&
        special_bool(&c->args[2], true) != special_bool(&c->args[2], false)) /* it is no literal */
        sql = gen_printf(c->g, "(CASE WHEN %s THEN %s WHEN NOT %s THEN %s END)", c->args[2].sql, sql,
                         c->args[2].sql, exact);
    out->name = gen_printf(c->g, "months_between(%s, %s, %s)", c->args[0].name, c->args[1].name,
                           c->n > 2 ? c->args[2].name : "true");
    return special_done(
        c, out, dtype_of(DTYPE_DOUBLE),
        gen_printf(c->g,
                   "(CASE WHEN day(%s) = day(%s) OR (CAST(%s AS DATE) = last_day(%s) AND CAST(%s AS DATE) = "
                   "last_day(%s)) THEN CAST(%s AS DOUBLE) ELSE %s END)",
                   a, b, a, a, b, b, months, sql));
}

/* The time of the day, with as many digits of a second as asked for. */
static enum lc current_time(struct call *c, struct sx *out)
{
    int64_t digits = 6;
    int unit = 1;

    if (c->n && !special_int(&c->args[0], &digits))
        return special_unsupported(c, "a precision that is not a literal");
    if (digits < 0 || digits > 6)
        return gen_fail(
            c->g, c->e, LC_ENGINE,
            "[DATATYPE_MISMATCH.VALUE_OUT_OF_RANGE] Cannot resolve \"current_time(%" PRId64
            ")\" due to data type mismatch: The precision must be between [0, 6] (current value = %" PRId64
            "). SQLSTATE: 42K09",
            digits, digits);
    out->name = gen_printf(c->g, "current_time(%" PRId64 ")", digits);
    while (digits++ < 6)
        unit *= 10;
    TRY(special_done(c, out, dtype_of(DTYPE_TIME),
                     gen_printf(c->g,
                                "CAST(make_timestamp(epoch_us(CAST(now() AS TIMESTAMP)) // %d * %d) AS TIME)",
                                unit, unit)));
    out->nullable = false;
    return LC_OK;
}

const struct special special_times[] = {
    {"current_time", current_time},
    {"make_timestamp", make_timestamp},
    {"to_utc_timestamp", to_utc_timestamp},
    {"convert_timezone", convert_timezone},
    {"date_format", date_format},
    {"to_date", to_date},
    {"try_to_date", try_to_date},
    {"to_timestamp", to_timestamp},
    {"try_to_timestamp", try_to_timestamp},
    {"to_timestamp_ntz", to_timestamp_ntz},
    {"to_time", to_time},
    {"try_to_time", try_to_time},
    {"unix_timestamp", unix_timestamp},
    {"from_unixtime", from_unixtime},
    {"date_trunc", date_trunc},
    {"trunc", trunc_date},
    {"next_day", next_day},
    {"months_between", months_between},
    {0},
};
