/* special_times.c: dates and timestamps: Java's patterns become strftime's. */
#include "runtime/dataframe/sqlgen/functions.h"
#include "runtime/dataframe/sqlgen/sqlgen_int.h"
#include <ctype.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

static const struct {
    const char *java, *c;
} letters[] = {
    {"yyyy", "%Y"},   {"yyy", "%Y"}, {"yy", "%y"},   {"y", "%Y"},   {"MMMM", "%B"}, {"MMM", "%b"},
    {"MM", "%m"},     {"M", "%-m"},  {"dd", "%d"},   {"d", "%-d"},  {"HH", "%H"},   {"H", "%-H"},
    {"hh", "%I"},     {"h", "%-I"},  {"mm", "%M"},   {"m", "%-M"},  {"ss", "%S"},   {"s", "%-S"},
    {"SSSSSS", "%f"}, {"SSS", "%g"}, {"EEEE", "%A"}, {"EEE", "%a"}, {"EE", "%a"},   {"E", "%a"},
    {"a", "%p"},      {"DDD", "%j"}, {"D", "%-j"},   {"XXX", "%z"}, {"Z", "%z"},    {"z", "%Z"},
    {"uuuu", "%Y"},
};

static size_t run_length(const char *p)
{
    size_t n = 1;

    while (p[n] == p[0])
        n++;
    return n;
}

static const char *translate(const char *p, size_t n)
{
    for (size_t i = 0; i < sizeof letters / sizeof *letters; i++)
        if (strlen(letters[i].java) == n && strncmp(letters[i].java, p, n) == 0)
            return letters[i].c;
    return NULL;
}

enum lc java_time_pattern(const char *p, struct buf *out, struct err *err)
{
    while (*p) {
        size_t n = isalpha((unsigned char)*p) ? run_length(p) : 1;
        const char *to = isalpha((unsigned char)*p) ? translate(p, n) : NULL;

        if (*p == '\'' && p[1] == '\'') {
            buf_putc(out, '\'');
            n = 2;
        } else if (*p == '\'') {
            for (n = 1; p[n] && p[n] != '\''; n++)
                buf_puts(out, (char[]){p[n], p[n] == '%' ? '%' : '\0', '\0'});
            n += p[n] == '\'';
        } else if (isalpha((unsigned char)*p) && !to) {
            err_set(err, LC_UNSUPPORTED, "the date pattern letters '%.*s' are not supported", (int)n, p);
            return err_hint(err, "known are y M d H h m s S E a D X Z, as in yyyy-MM-dd HH:mm:ss");
        } else if (to) {
            buf_puts(out, to);
        } else {
            buf_puts(out, (char[]){*p, *p == '%' ? '%' : '\0', '\0'});
        }
        p += n;
    }
    return buf_check(out, err);
}

/* The quoted strftime pattern for a literal Java pattern. */
static enum lc pattern(struct call *c, size_t arg, const char **out)
{
    const char *p = arg < c->n ? special_text(&c->args[arg]) : "yyyy-MM-dd HH:mm:ss", *made;
    struct buf b = BUF_INIT(4096);
    struct err err;

    if (!p)
        return special_unsupported(c, "a date pattern that is not a literal");
    if (java_time_pattern(p, &b, &err) != LC_OK) {
        buf_release(&b);
        gen_fail(c->g, c->e, err.code, "%s", err.message);
        return err_hint(c->g->err, "%s", err.hint);
    }
    made = gen_take(c->g, &b);
    *out = made ? gen_text(c->g, made, strlen(made)) : NULL;
    return *out ? LC_OK : err_nomem(c->g->err);
}

/* Whether DuckDB's strftime has all the letters of the pattern. */
static bool is_plain_pattern(const struct call *c, size_t arg)
{
    const char *p = arg < c->n ? special_text(&c->args[arg]) : "y";
    struct buf b = BUF_INIT(4096);
    bool plain = p && java_time_pattern(p, &b, NULL) == LC_OK;

    buf_release(&b);
    return plain;
}

/* A TIMESTAMP (on the clock) as text by the pattern that is argument 1. */
static enum lc formatted(struct call *c, struct sx *out, const char *time)
{
    const char *p;

    if (!is_plain_pattern(c, 1))
        return special_done(c, out, dtype_of(DTYPE_STRING),
                            gen_printf(c->g, "lacus_date_format(epoch_us(%s), %s)", time, c->args[1].sql));
    TRY(pattern(c, 1, &p));
    return special_done(c, out, dtype_of(DTYPE_STRING), gen_printf(c->g, "strftime(%s, %s)", time, p));
}

static enum lc date_format(struct call *c, struct sx *out)
{
    return formatted(c, out, gen_printf(c->g, "CAST(%s AS TIMESTAMP)", c->args[0].sql));
}

/* A text, by a pattern or by the usual form, to a type; try: NULL instead of an error. */
static enum lc parse_time(struct call *c, struct sx *out, enum dtype_id id, bool try_it)
{
    const char *p;
    struct sx x = c->args[0];

    if (c->n == 1 || x.type->id != DTYPE_STRING) {
        TRY(sx_cast(c->g, &x, dtype_of(id), try_it, false, c->e, &c->args[0]));
        TRY(special_done(c, out, dtype_of(id), c->args[0].sql));
    } else {
        TRY(pattern(c, 1, &p));
        TRY(special_done(c, out, dtype_of(id),
                         gen_printf(c->g, "CAST(%s(%s, %s) AS %s)", try_it ? "try_strptime" : "strptime",
                                    x.sql, p, gen_sql_type(c->g, dtype_of(id)))));
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

    if (c->n == 0)
        return special_done(c, out, dtype_of(DTYPE_LONG), "CAST(floor(epoch(now())) AS BIGINT)");
    TRY(parse_time(c, &time, DTYPE_TIMESTAMP, false));
    return special_done(c, out, dtype_of(DTYPE_LONG),
                        gen_printf(c->g, "CAST(floor(epoch(%s)) AS BIGINT)", time.sql));
}

static enum lc from_unixtime(struct call *c, struct sx *out)
{
    return formatted(c, out, gen_printf(c->g, "CAST(to_timestamp(%s) AS TIMESTAMP)", c->args[0].sql));
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

static enum lc trunc_time(struct call *c, struct sx *out, size_t unit_arg, const struct dtype *type)
{
    const char *name = special_text(&c->args[unit_arg]), *u = unit(name), *value = c->args[1 - unit_arg].sql;

    if (!name)
        return special_unsupported(c, "a unit that is not a literal");
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

/* Whole months when both are the same day of the month or both the last one; else days count as 1/31. */
static enum lc months_between(struct call *c, struct sx *out)
{
    const char *a = gen_printf(c->g, "CAST(%s AS TIMESTAMP)", c->args[0].sql);
    const char *b = gen_printf(c->g, "CAST(%s AS TIMESTAMP)", c->args[1].sql);
    const char *months = gen_printf(c->g, "((year(%s) - year(%s)) * 12 + month(%s) - month(%s))", a, b, a, b);
    const char *part =
        gen_printf(c->g, "((day(%s) - day(%s)) * 86400 + epoch(CAST(%s AS TIME)) - epoch(CAST(%s AS TIME)))",
                   a, b, a, b);
    bool rounded = c->n < 3 || special_bool(&c->args[2], true);
    const char *sql =
        gen_printf(c->g, rounded ? "round(%s + %s / 2678400.0::DOUBLE, 8)" : "(%s + %s / 2678400.0::DOUBLE)",
                   months, part);

    out->name = gen_printf(c->g, "months_between(%s, %s, %s)", c->args[0].name, c->args[1].name,
                           rounded ? "true" : "false");
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
