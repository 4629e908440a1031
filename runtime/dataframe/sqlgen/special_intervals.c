/* special_intervals.c: intervals as numbers: their magnitude, sign, sums and means. One of years and months is a number of months, one
 * of days and times a number of microseconds; of the calendar's, which are both, there is none. */
#include "runtime/dataframe/sqlgen/sqlgen_int.h"
#include <string.h>

enum { YEAR = 0, MONTH = 1, DAY = 0, SECOND = 3 }; /* Spark's numbers of fields */

static bool is_months(const struct dtype *t)
{
    return dtype_interval_kind(t) == INTERVAL_YEAR_MONTH;
}

/* An argument's number; NULL: it is an interval of the calendar. */
static const char *number_of(struct call *c, size_t i)
{
    const struct sx *x = &c->args[i];

    if (dtype_interval_kind(x->type) == INTERVAL_CALENDAR) {
        gen_fail(
            c->g, c->e, LC_ENGINE,
            "[DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE] Cannot resolve \"%s(%s)\" due to data type mismatch: "
            "The "
            "first parameter requires the \"NUMERIC\" or \"ANSI INTERVAL\" type, however \"%s\" has the type "
            "\"INTERVAL\". SQLSTATE: 42K09",
            c->f->name, x->name, x->name);
        return NULL;
    }
    return is_months(x->type)
               ? gen_printf(c->g, "(12 * extract(year FROM %s) + extract(month FROM %s))", x->sql, x->sql)
               : gen_printf(c->g, "epoch_us(%s)", x->sql);
}

static const char *interval_of(struct call *c, const char *number, bool months)
{
    const char *cast = strcmp(c->f->name, "try_sum") == 0 ? "TRY_CAST" : "CAST";

    return months ? gen_printf(c->g, "to_months(%s(%s AS INTEGER))", cast, number)
                  : gen_printf(c->g, "to_microseconds(%s(%s AS BIGINT))", cast, number);
}

/* Of all fields: what means and percentiles are. */
static const struct dtype *whole_type(struct call *c, const struct dtype *t)
{
    return gen_type(c->g, is_months(t) ? dtype_interval(INTERVAL_YEAR_MONTH, YEAR, MONTH)
                                       : dtype_interval(INTERVAL_DAY_TIME, DAY, SECOND));
}

enum lc interval_sum(struct call *c, struct sx *out, bool distinct)
{
    const struct dtype *t = c->args[0].type;
    const char *number = number_of(c, 0);

    if (!number)
        return LC_ENGINE;
    if (distinct)
        out->name = gen_printf(c->g, "sum(DISTINCT %s)", c->args[0].name);
    number = gen_printf(c->g, "sum(%s%s)%s", distinct ? "DISTINCT " : "", number, c->tail);
    number = interval_of(c, number, is_months(t));
    TRY(special_done(c, out, t, number));
    out->nullable = true;
    return LC_OK;
}

/* Rounded to whole months or microseconds, halves away from zero. */
enum lc interval_avg(struct call *c, struct sx *out)
{
    const struct dtype *t = c->args[0].type;
    const char *number = number_of(c, 0), *distinct = c->distinct ? "DISTINCT " : "", *sum, *count;

    if (!number)
        return LC_ENGINE;
    sum = gen_printf(c->g, "CAST(sum(%s%s)%s AS HUGEINT)", distinct, number, c->tail);
    count = gen_printf(c->g, "CAST(nullif(count(%s%s)%s, 0) AS HUGEINT)", distinct, number, c->tail);
    TRY(special_done(
        c, out, whole_type(c, t),
        interval_of(c,
                    gen_printf(c->g, "(sign(%s) * ((2 * abs(%s) + %s) // (2 * %s)))", sum, sum, count, count),
                    is_months(t))));
    out->nullable = true;
    return LC_OK;
}

/* quantile_cont of the numbers, cut to whole ones; p: text of a number, or of a list of them. */
enum lc interval_percentile(struct call *c, struct sx *out, const char *p, bool many)
{
    const struct dtype *t = c->args[0].type, *one = whole_type(c, t);
    const char *number = number_of(c, 0), *sql;

    if (!number)
        return LC_ENGINE;
    sql = gen_printf(c->g, "quantile_cont(CAST(%s AS DOUBLE), %s)%s", number, p, c->tail);
    sql = many ? gen_printf(c->g, "list_transform(%s, lambda lp: %s)", sql,
                            interval_of(c, "trunc(lp)", is_months(t)))
               : interval_of(c, gen_printf(c->g, "trunc(%s)", sql), is_months(t));
    TRY(special_done(c, out, many ? gen_type(c->g, dtype_array(dtype_ref(one), false)) : one, sql));
    out->nullable = true;
    return LC_OK;
}

static enum lc abs_value(struct call *c, struct sx *out)
{
    const struct dtype *t = c->args[0].type;
    const char *number;

    if (t->id != DTYPE_INTERVAL)
        return special_done(c, out, t, gen_printf(c->g, "abs(%s)", c->args[0].sql));
    number = number_of(c, 0);
    return number ? special_done(c, out, t, interval_of(c, gen_printf(c->g, "abs(%s)", number), is_months(t)))
                  : LC_ENGINE;
}

static enum lc sign(struct call *c, struct sx *out)
{
    const char *number = c->args[0].type->id == DTYPE_INTERVAL
                             ? number_of(c, 0)
                             : gen_printf(c->g, "CAST(%s AS DOUBLE)", c->args[0].sql);

    return number ? special_done(c, out, dtype_of(DTYPE_DOUBLE),
                                 gen_printf(c->g, "CAST(sign(%s) AS DOUBLE)", number))
                  : LC_ENGINE;
}

const struct special special_intervals[] = {{"abs", abs_value}, {"sign", sign}, {0}};
