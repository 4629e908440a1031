/* special_numbers.c: operators and functions over numbers, and conditions. */
#include "runtime/dataframe/sqlgen/sqlgen_int.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *words(struct call *c, size_t i)
{
    return gen_type_words(c->g, c->args[i].type);
}

static enum lc bad_operands(struct call *c)
{
    return gen_fail(c->g, c->e, LC_ENGINE,
                    "[DATATYPE_MISMATCH.BINARY_OP_DIFF_TYPES] Cannot resolve \"(%s %s %s)\" due to data type "
                    "mismatch: the "
                    "left and right operands of the binary operator have incompatible types (\"%s\" and "
                    "\"%s\"). SQLSTATE: "
                    "42K09",
                    c->args[0].name, c->f->name, c->args[1].name, words(c, 0), words(c, 1));
}

/* ---- comparison ---- */
static enum lc compare(struct call *c, struct sx *out)
{
    static const struct {
        const char *name, *sql;
    } operators[] = {{"==", "="},  {"!=", "<>"}, {"<=>", "IS NOT DISTINCT FROM"},
                     {"=", "="},   {"<>", "<>"}, {"<", "<"},
                     {"<=", "<="}, {">", ">"},   {">=", ">="}};
    struct sx *a = &c->args[0], *b = &c->args[1];
    const char *op = "=";
    bool null_safe = strcmp(c->f->name, "<=>") == 0;

    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        if (strcmp(operators[i].name, c->f->name) == 0)
            op = operators[i].sql;
    if (dtype_has_map(a->type) && dtype_has_map(b->type))
        return sx_not_orderable(c->g, c->e, strcmp(op, "<>") == 0 || strcmp(op, "=") == 0 ? "=" : c->f->name,
                                gen_printf(c->g, "(%s = %s)", a->name, b->name), a->type);
    TRY(sx_fields_as(c->g, b, a->type));
    if (!dtype_same(a->type, b->type) && !(dtype_is_numeric(a->type) && dtype_is_numeric(b->type))) {
        const struct dtype *common = gen_type(c->g, dtype_common(a->type, b->type));

        if (!common)
            return bad_operands(c);
        TRY(sx_coerce(c->g, a, common, c->e));
        TRY(sx_coerce(c->g, b, common, c->e));
    }
    if ((op[0] == '<' && op[1] != '>') || op[0] == '>') {
        a->sql = sx_order_key(c->g, a->sql, a->type);
        b->sql = sx_order_key(c->g, b->sql, b->type);
    }
    TRY(special_done(c, out, dtype_of(DTYPE_BOOLEAN), gen_printf(c->g, "(%s %s %s)", a->sql, op, b->sql)));
    out->nullable = out->nullable && !null_safe;
    return LC_OK;
}

/* NULL where both are equal, as = compares them; else the first as it is. */
static enum lc nullif(struct call *c, struct sx *out)
{
    struct sx both[2] = {c->args[0], c->args[1]}, same = {0};
    struct call equal = *c;

    equal.f = function_find("=", 2);
    equal.args = both;
    TRY(compare(&equal, &same));
    TRY(special_done(c, out, c->args[0].type,
                     gen_printf(c->g, "(CASE WHEN %s THEN NULL ELSE %s END)", same.sql, c->args[0].sql)));
    out->nullable = true;
    return LC_OK;
}

static enum lc in_list(struct call *c, struct sx *out)
{
    struct buf sql = BUF_INIT((size_t)64 << 20), name = BUF_INIT((size_t)64 << 20);

    if (dtype_has_map(c->args[0].type))
        return sx_not_orderable(c->g, c->e, "in", c->args[0].name, c->args[0].type);
    buf_printf(&sql, "(%s IN (", c->args[0].sql);
    buf_printf(&name, "(%s IN (", c->args[0].name);
    for (size_t i = 1; i < c->n; i++) {
        buf_printf(&sql, "%s%s", i > 1 ? ", " : "", c->args[i].sql);
        buf_printf(&name, "%s%s", i > 1 ? ", " : "", c->args[i].name);
    }
    buf_puts(&sql, "))");
    buf_puts(&name, "))");
    out->name = gen_take(c->g, &name);
    if (c->n == 1) {
        buf_release(&sql);
        return special_done(c, out, dtype_of(DTYPE_BOOLEAN), "FALSE");
    }
    return special_done(c, out, dtype_of(DTYPE_BOOLEAN), gen_take(c->g, &sql));
}

/* ---- CASE ---- */
static enum lc when(struct call *c, struct sx *out)
{
    const struct dtype *common = NULL;
    struct buf sql = BUF_INIT((size_t)64 << 20), name = BUF_INIT((size_t)64 << 20);
    size_t pairs = c->n / 2;
    bool nullable = c->n % 2 == 0;

    for (size_t i = 1; i <= c->n; i += 2) { /* the values: 1, 3, …, and the last of an odd number */
        size_t v = i == c->n ? c->n - 1 : i;
        const struct dtype *both =
            common ? gen_type(c->g, dtype_common(common, c->args[v].type)) : c->args[v].type;

        if (!both)
            return gen_fail(c->g, c->e, LC_ENGINE,
                            "[DATATYPE_MISMATCH.DATA_DIFF_TYPES] Cannot resolve \"CASE WHEN\" due to data "
                            "type mismatch: the "
                            "values must have one type, but there are \"%s\" and \"%s\". SQLSTATE: 42K09",
                            gen_type_words(c->g, common), gen_type_words(c->g, c->args[v].type));
        common = both;
        nullable = nullable || c->args[v].nullable;
    }
    buf_puts(&sql, "(CASE");
    buf_puts(&name, "CASE");
    for (size_t i = 0; i < pairs; i++) {
        struct sx *condition = &c->args[2 * i], *value = &c->args[2 * i + 1];

        if (condition->type->id != DTYPE_BOOLEAN && condition->type->id != DTYPE_NULL)
            return buf_release(&sql), buf_release(&name),
                   gen_fail(c->g, c->e, LC_ENGINE,
                            "[DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE] Cannot resolve \"CASE WHEN\" due to "
                            "data type "
                            "mismatch: a condition requires the \"BOOLEAN\" type, however \"%s\" has the "
                            "type \"%s\". "
                            "SQLSTATE: 42K09",
                            condition->name, gen_type_words(c->g, condition->type));
        if (condition->type->id != DTYPE_BOOLEAN)
            TRY(sx_coerce(c->g, condition, dtype_of(DTYPE_BOOLEAN), c->e));
        TRY(sx_coerce(c->g, value, common, c->e));
        buf_printf(&sql, " WHEN %s THEN %s", condition->sql, value->sql);
        buf_printf(&name, " WHEN %s THEN %s", condition->name, value->name);
    }
    if (c->n % 2) {
        TRY(sx_coerce(c->g, &c->args[c->n - 1], common, c->e));
        buf_printf(&sql, " ELSE %s", c->args[c->n - 1].sql);
        buf_printf(&name, " ELSE %s", c->args[c->n - 1].name);
    }
    buf_puts(&sql, " END)");
    buf_puts(&name, " END");
    out->name = gen_take(c->g, &name);
    TRY(special_done(c, out, common, gen_take(c->g, &sql)));
    out->nullable = nullable;
    return LC_OK;
}

/* if, nvl2: a condition that is NULL is as good as false and makes nothing NULL. */
static enum lc if_else(struct call *c, struct sx *out)
{
    bool nullable = c->args[1].nullable || c->args[2].nullable;

    TRY(special_done(c, out, c->args[1].type,
                     gen_printf(c->g, "(CASE WHEN %s%s THEN %s ELSE %s END)", c->args[0].sql,
                                strcmp(c->f->name, "nvl2") == 0 ? " IS NOT NULL" : "", c->args[1].sql,
                                c->args[2].sql)));
    out->nullable = nullable;
    return LC_OK;
}

/* ---- arithmetic ---- */
static const struct dtype *as_decimal(struct call *c, const struct dtype *t);

/* The decimal that a number is taken for; a literal has just its digits. */
static const struct dtype *operand_decimal(struct call *c, const struct sx *x)
{
    int64_t v;
    int digits = 1;

    if (x->type->id == DTYPE_DECIMAL || !special_int(x, &v))
        return as_decimal(c, x->type);
    for (uint64_t rest = v < 0 ? 0 - (uint64_t)v : (uint64_t)v; rest >= 10; rest /= 10)
        digits++;
    return gen_type(c->g, dtype_decimal(digits, 0));
}

static const struct dtype *as_decimal(struct call *c, const struct dtype *t)
{
    static const int digits[DTYPE_COUNT] = {
        [DTYPE_BYTE] = 3, [DTYPE_SHORT] = 5, [DTYPE_INT] = 10, [DTYPE_LONG] = 20};

    return t->id == DTYPE_DECIMAL ? t : gen_type(c->g, dtype_decimal(digits[t->id], 0));
}

/* Spark keeps at least 6 digits of the scale when a result would need more than 38 digits. */
static const struct dtype *adjusted(struct call *c, int precision, int scale)
{
    if (precision > 38) {
        int integral = precision - scale, least = scale < 6 ? scale : 6;

        scale = 38 - integral > least ? 38 - integral : least;
        precision = 38;
    }
    return gen_type(c->g, dtype_decimal(precision, scale));
}

static int larger(int a, int b)
{
    return a > b ? a : b;
}

static const struct dtype *decimal_result(struct call *c, char op, const struct dtype *a,
                                          const struct dtype *b)
{
    int scale = larger(a->scale, b->scale);

    if (op == '*')
        return adjusted(c, a->precision + b->precision + 1, a->scale + b->scale);
    if (op == '/') {
        scale = larger(6, a->scale + b->precision + 1);
        return adjusted(c, a->precision - a->scale + b->scale + scale, scale);
    }
    if (op == '%') {
        int integral = a->precision - a->scale < b->precision - b->scale ? a->precision - a->scale
                                                                         : b->precision - b->scale;

        return adjusted(c, integral + scale, scale);
    }
    return adjusted(c, larger(a->precision - a->scale, b->precision - b->scale) + scale + 1, scale);
}

static bool is_decimal_pair(const struct dtype *a, const struct dtype *b)
{
    return (a->id == DTYPE_DECIMAL || b->id == DTYPE_DECIMAL) &&
           (a->id == DTYPE_DECIMAL || dtype_is_integral(a)) &&
           (b->id == DTYPE_DECIMAL || dtype_is_integral(b));
}

/* A bare integer literal takes the other side's type by itself; anything else is converted. */
static enum lc operand(struct call *c, struct sx *x, const struct sx *other, const struct dtype *type)
{
    if (x->literal && x->type->id == DTYPE_INT && dtype_same(other->type, type) &&
        other->type->id >= DTYPE_INT)
        return LC_OK;
    return sx_coerce(c->g, x, type, c->e);
}

/* Gives both operands their common numeric type; decimals are left as they are. *type is the result's. */
static enum lc numeric_operands(struct call *c, char op, const struct dtype **type)
{
    struct sx *a = &c->args[0], *b = &c->args[1];

    if (a->type->id == DTYPE_NULL && dtype_is_numeric(b->type))
        TRY(sx_coerce(c->g, a, b->type, c->e));
    if (b->type->id == DTYPE_NULL && dtype_is_numeric(a->type))
        TRY(sx_coerce(c->g, b, a->type, c->e));
    if (a->type->id == DTYPE_STRING || a->type->id == DTYPE_NULL)
        TRY(sx_coerce(c->g, a, dtype_is_integral(b->type) ? dtype_of(DTYPE_LONG) : dtype_of(DTYPE_DOUBLE),
                      c->e));
    if (b->type->id == DTYPE_STRING || b->type->id == DTYPE_NULL)
        TRY(sx_coerce(c->g, b, dtype_is_integral(a->type) ? dtype_of(DTYPE_LONG) : dtype_of(DTYPE_DOUBLE),
                      c->e));
    if (!dtype_is_numeric(a->type) || !dtype_is_numeric(b->type))
        return bad_operands(c);
    if (is_decimal_pair(a->type, b->type)) {
        *type = decimal_result(c, op, operand_decimal(c, a), operand_decimal(c, b));
        return LC_OK;
    }
    *type = gen_type(c->g, dtype_common(a->type, b->type));
    TRY(operand(c, a, b, *type));
    return operand(c, b, a, *type);
}

/* An integer literal beside a decimal becomes one of just its digits, which to Spark is a cast that may fail. */
static bool squeezed(const struct sx *x)
{
    int64_t v;

    return dtype_is_integral(x->type) && special_int(x, &v);
}

/* DuckDB multiplies decimals of up to 18 digits in 64 bits, and fails where the product has more. */
static bool clipped(const struct call *c)
{
    const struct dtype *a = as_decimal((struct call *)(uintptr_t)c, c->args[0].type),
                       *b = as_decimal((struct call *)(uintptr_t)c, c->args[1].type);

    return a && b && a->precision <= 18 && b->precision <= 18 && a->precision + b->precision > 18 &&
           a->scale + b->scale < 18;
}

/* Whether an expression may be written twice, and inside of TRY. */
static bool repeatable(const struct sx *x)
{
    static const char *const words[] = {"SELECT ", "random(", "uuid(", "lacus_udf_", "nextval("};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strstr(x->sql, words[i]))
            return false;
    return !x->aggregate && !x->window;
}

static const char *narrow_of(const struct sx *x)
{
    return x->narrow.sql && x->narrow.of == x->sql ? x->narrow.sql : NULL;
}

/* The operand in 64 bits, or NULL. */
static const char *narrow_operand(struct call *c, const struct sx *x)
{
    const struct dtype *t = as_decimal(c, x->type);

    return narrow_of(x) ? narrow_of(x) : t && t->precision <= 18 ? x->sql : NULL;
}

static enum lc multiply(struct call *c, struct sx *out, const struct dtype *type)
{
    const struct sx *a = &c->args[0], *b = &c->args[1];
    const struct dtype *ta = as_decimal(c, a->type), *tb = as_decimal(c, b->type);
    const char *na = narrow_operand(c, a), *nb = narrow_operand(c, b), *sql;

    if (!ta || !tb)
        return err_nomem(c->g->err);
    if (!clipped(c))
        sql = gen_printf(c->g, "(%s * %s)", a->sql, b->sql);
    else if (repeatable(a) && repeatable(b))
        sql = gen_printf(c->g, "COALESCE(TRY((%s * %s)), (CAST(%s AS DECIMAL(19,%d)) * %s))", a->sql, b->sql,
                         a->sql, ta->scale, b->sql);
    else
        sql = gen_printf(c->g, "(CAST(%s AS DECIMAL(19,%d)) * %s)", a->sql, ta->scale, b->sql);
    sql = gen_printf(c->g, "CAST(%s AS %s)", sql, gen_sql_type(c->g, type));
    TRY(special_done(c, out, type, sql));
    if (na && nb && ta->scale + tb->scale < 18 && type->scale == ta->scale + tb->scale)
        out->narrow = (struct narrow){.sql = gen_printf(c->g, "(%s * %s)", na, nb), .of = sql};
    return LC_OK;
}

static enum lc arithmetic(struct call *c, struct sx *out, char op)
{
    const struct dtype *type;
    const char *sql;

    TRY(numeric_operands(c, op, &type));
    if (op == '*' && type->id == DTYPE_DECIMAL) {
        out->nullable = squeezed(&c->args[0]) || squeezed(&c->args[1]);
        return multiply(c, out, type);
    }
    sql = gen_printf(c->g, "(%s %c %s)", c->args[0].sql, op, c->args[1].sql);
    if (type->id == DTYPE_DECIMAL)
        sql = gen_printf(c->g, "CAST(%s AS %s)", sql, gen_sql_type(c->g, type));
    out->nullable = type->id == DTYPE_DECIMAL && (squeezed(&c->args[0]) || squeezed(&c->args[1]));
    return special_done(c, out, type, sql);
}

static bool is_time(const struct dtype *t)
{
    return t->id == DTYPE_TIMESTAMP || t->id == DTYPE_TIMESTAMP_NTZ;
}

/* Whole days are days of the calendar, whatever unit they were given in, and the rest is added as it is: +24 HOURS is the same time on the
 * next day. A day later with the same offset is taken where there is one, as java.time does; DuckDB takes the later of two. */
const char *sx_moved(struct gen *g, const struct sx *time, const char *micros, char op)
{
    const char *t = time->sql, *day = "86400000000", *days, *same;

    if (time->type->id != DTYPE_TIMESTAMP)
        return gen_printf(g, "(%s %c to_microseconds(%s))", t, op, micros);
    days = gen_printf(g, "to_days(CAST(%s // %s AS INTEGER))", micros, day);
    same = gen_printf(g, "make_timestamptz(epoch_us(%s) %c %s // %s * %s)", t, op, micros, day, day);
    return gen_printf(
        g,
        "make_timestamptz(CASE WHEN " SESSION_IS_UTC " OR abs(%s) < %s OR CAST(%s AS TIMESTAMP) = "
        "CAST(%s AS TIMESTAMP) %c %s THEN epoch_us(%s) %c %s ELSE epoch_us(%s %c %s) %c %s %% %s END)",
        micros, day, same, t, op, days, t, op, micros, t, op, days, op, micros, day);
}

/* A time and an interval. */
static const char *later(struct call *c, const struct sx *time, const struct sx *interval, char op)
{
    if (time->type->id == DTYPE_TIMESTAMP && dtype_interval_kind(interval->type) == INTERVAL_DAY_TIME)
        return sx_moved(c->g, time, gen_printf(c->g, "epoch_us(%s)", interval->sql), op);
    if (is_time(time->type) &&
        dtype_interval_kind(interval->type) == INTERVAL_CALENDAR) /* months, then days, then the rest */
        return gen_printf(
            c->g,
            "(((%s %c to_months(CAST(date_part('year', %s) * 12 + date_part('month', %s) AS INTEGER))) %c "
            "to_days(CAST(date_part('day', %s) AS INTEGER))) %c to_microseconds(epoch_us(%s - "
            "date_trunc('day', %s))))",
            time->sql, op, interval->sql, interval->sql, op, interval->sql, op, interval->sql, interval->sql);
    return gen_printf(c->g, "(%s %c %s)", time->sql, op, interval->sql);
}

/* What the clock shows of a TIMESTAMP, without a look at the zone where that is UTC. */
static const char *clock_of(struct call *c, const struct sx *x)
{
    if (x->type->id != DTYPE_TIMESTAMP)
        return x->sql;
    return gen_printf(c->g,
                      "(CASE WHEN " SESSION_IS_UTC
                      " THEN make_timestamp(epoch_us(%s)) ELSE CAST(%s AS TIMESTAMP) END)",
                      x->sql, x->sql);
}

/* A DATE and an interval: of days it stays a DATE, of hours and less it is a TIMESTAMP; months and days together must be without hours. */
static enum lc date_and_interval(struct call *c, struct sx *out, char op)
{
    struct sx *a = &c->args[0], *b = &c->args[1];
    enum interval_kind kind = dtype_interval_kind(b->type);
    const char *by = b->sql;

    out->name = gen_printf(c->g, "%s %c %s", a->name, op, b->name);
    if (kind == INTERVAL_DAY_TIME && b->type->scale != 0) {
        TRY(sx_coerce(c->g, a, dtype_of(DTYPE_TIMESTAMP), c->e));
        return special_done(c, out, a->type, later(c, a, b, op));
    }
    if (kind == INTERVAL_DAY_TIME)
        out->name = gen_printf(c->g,
                               op == '+' ? "date_add(%s, extractansiintervaldays(%s))"
                                         : "date_add(%s, (- extractansiintervaldays(%s)))",
                               a->name, b->name);
    if (kind == INTERVAL_CALENDAR)
        by = gen_printf(
            c->g,
            "(CASE WHEN datepart('hour', %s) <> 0 OR datepart('minute', %s) <> 0 OR "
            "datepart('microsecond', %s) <> 0 THEN "
            "error('[INVALID_INTERVAL_WITH_MICROSECONDS_ADDITION] Cannot add an interval to a date "
            "because its microseconds part is not 0. To resolve this, cast the input date to a "
            "timestamp, which supports the addition of intervals with non-zero microseconds. "
            "SQLSTATE: 22006') ELSE %s END)",
            by, by, by, by);
    return special_done(c, out, a->type, gen_printf(c->g, "CAST((%s %c %s) AS DATE)", a->sql, op, by));
}

/* Dates, timestamps and intervals; false in *done: these are numbers. */
static enum lc temporal(struct call *c, struct sx *out, char op, bool *done)
{
    struct sx *a = &c->args[0], *b = &c->args[1];

    *done = true;
    if (op == '+' && (dtype_is_integral(a->type) || a->type->id == DTYPE_INTERVAL) &&
        (b->type->id == DTYPE_DATE || is_time(b->type))) {
        struct sx swap = *a;

        *a = *b;
        *b = swap;
    }
    if (a->type->id == DTYPE_DATE && b->type->id == DTYPE_INTERVAL)
        return date_and_interval(c, out, op);
    if (a->type->id == DTYPE_DATE && dtype_is_integral(b->type)) {
        out->name = gen_printf(c->g, "date_%s(%s, %s)", op == '+' ? "add" : "sub", a->name, b->name);
        return special_done(c, out, a->type,
                            gen_printf(c->g, "(%s %c CAST(%s AS INTEGER))", a->sql, op, b->sql));
    }
    if ((is_time(a->type) || a->type->id == DTYPE_TIME) && b->type->id == DTYPE_INTERVAL) {
        out->name = gen_printf(c->g, "%s %c %s", a->name, op, b->name);
        return special_done(c, out, a->type, later(c, a, b, op));
    }
    if (a->type->id == DTYPE_TIME && b->type->id == DTYPE_TIME && op == '-')
        return special_done(c, out, gen_type(c->g, dtype_interval(INTERVAL_DAY_TIME, 1, 3)),
                            gen_printf(c->g, "to_microseconds(epoch_us(%s) - epoch_us(%s))", a->sql, b->sql));
    if (a->type->id == DTYPE_INTERVAL && b->type->id == DTYPE_INTERVAL)
        return special_done(c, out, gen_type(c->g, dtype_common(a->type, b->type)),
                            gen_printf(c->g, "(%s %c %s)", a->sql, op, b->sql));
    if (op == '-' && a->type->id == DTYPE_DATE && b->type->id == DTYPE_DATE)
        return special_done(c, out, gen_type(c->g, dtype_interval(INTERVAL_DAY_TIME, 0, 0)),
                            gen_printf(c->g, "to_days(CAST(%s - %s AS INTEGER))", a->sql, b->sql));
    if (op == '-' && (is_time(a->type) || a->type->id == DTYPE_DATE) &&
        (is_time(b->type) || b->type->id == DTYPE_DATE)) {
        const struct dtype *common = gen_type(c->g, dtype_common(a->type, b->type));

        TRY(sx_coerce(c->g, a, common, c->e));
        TRY(sx_coerce(c->g, b, common, c->e));
        return special_done(c, out, gen_type(c->g, dtype_interval(INTERVAL_DAY_TIME, 0, 3)),
                            gen_printf(c->g, "(%s - %s)", clock_of(c, a), clock_of(c, b)));
    }
    *done = false;
    return LC_OK;
}

static enum lc plus_minus(struct call *c, struct sx *out, char op)
{
    bool done;

    TRY(temporal(c, out, op, &done));
    return done ? LC_OK : arithmetic(c, out, op);
}

static enum lc plus(struct call *c, struct sx *out)
{
    return plus_minus(c, out, '+');
}

static enum lc minus(struct call *c, struct sx *out)
{
    return plus_minus(c, out, '-');
}

/* A text beside a number: NULL where it is none, as all that fails beside texts is. */
static enum lc try_number(struct call *c, struct sx *x, const struct dtype *other)
{
    const struct dtype *to = dtype_is_integral(other) && strcmp(c->f->name, "try_divide") != 0
                                 ? dtype_of(DTYPE_LONG)
                                 : dtype_of(DTYPE_DOUBLE);
    struct sx number;

    if (x->type->id != DTYPE_STRING || (!dtype_is_numeric(other) && other->id != DTYPE_STRING))
        return LC_OK;
    TRY(sx_cast(c->g, x, to, true, false, c->e, &number));
    *x = number;
    return LC_OK;
}

/* NULL where an operation has no result. */
static enum lc tried(struct call *c, struct sx *out, special_fn *operation)
{
    const char *name = gen_printf(c->g, "%s(%s, %s)", c->f->name, c->args[0].name, c->args[1].name);
    const struct dtype *left = c->args[0].type;
    bool sure = call_never_fails(c);

    TRY(try_number(c, &c->args[0], c->args[1].type));
    TRY(try_number(c, &c->args[1], left));
    TRY(operation(c, out));
    out->name = name;
    if (!sure)
        out->sql = gen_printf(c->g, "TRY(%s)", out->sql);
    out->nullable = true;
    return out->sql && name ? LC_OK : err_nomem(c->g->err);
}

static enum lc try_add(struct call *c, struct sx *out)
{
    return tried(c, out, plus);
}

static enum lc try_subtract(struct call *c, struct sx *out)
{
    return tried(c, out, minus);
}

/* An interval times or by a number has all the fields of its kind. */
static enum lc scaled(struct call *c, struct sx *out, const struct sx *interval, const struct sx *by, char op)
{
    enum interval_kind kind = dtype_interval_kind(interval->type);
    const struct dtype *t = gen_type(c->g, dtype_interval(kind, 0, kind == INTERVAL_YEAR_MONTH ? 1 : 3));

    if (!dtype_is_numeric(by->type))
        return bad_operands(c);
    if (kind == INTERVAL_YEAR_MONTH)
        return special_done(c, out, t,
                            gen_printf(c->g,
                                       "to_months(CAST(round((date_part('year', %s) * 12 + "
                                       "date_part('month', %s)) %c %s) AS INTEGER))",
                                       interval->sql, interval->sql, op, by->sql));
    return special_done(
        c, out, t,
        gen_printf(c->g, "to_microseconds(CAST(round(CAST(epoch(%s) * 1000000 AS DOUBLE) %c %s) AS BIGINT))",
                   interval->sql, op, by->sql));
}

static enum lc times(struct call *c, struct sx *out)
{
    const struct sx *a = &c->args[0], *b = &c->args[1];
    bool first = a->type->id == DTYPE_INTERVAL;

    if (!first && b->type->id != DTYPE_INTERVAL)
        return arithmetic(c, out, '*');
    out->name = gen_printf(c->g, "(%s * %s)", first ? a->name : b->name, first ? b->name : a->name);
    return scaled(c, out, first ? a : b, first ? b : a, '*');
}

/* The divisor, with Spark's error where it is zero, NULL for try_divide and try_mod. */
static const char *nonzero(struct call *c, const struct sx *x)
{
    const struct expr *e = x->from;
    const char *kind = strcmp(c->f->name, "%") == 0 || strcmp(c->f->name, "mod") == 0
                           ? "[REMAINDER_BY_ZERO] Remainder by zero. Use `try_mod` to tolerate divisor being "
                             "0 and return NULL "
                             "instead. SQLSTATE: 22012"
                           : "[DIVIDE_BY_ZERO] Division by zero. Use `try_divide` to tolerate divisor being "
                             "0 and return NULL "
                             "instead. SQLSTATE: 22012";

    if (e && e->kind == EXPR_LITERAL && !e->u.literal.is_null &&
        (dtype_is_integral(e->u.literal.type)     ? e->u.literal.i != 0
         : e->u.literal.type->id == DTYPE_DECIMAL ? strtod(e->u.literal.s, NULL) != 0
                                                  : e->u.literal.f != 0))
        return x->sql;
    if (strncmp(c->f->name, "try_", 4) == 0)
        return gen_printf(c->g, "nullif(%s, 0)", x->sql);
    return gen_printf(c->g, "(CASE WHEN %s = 0 THEN error('%s') ELSE %s END)", x->sql, kind, x->sql);
}

static enum lc divide(struct call *c, struct sx *out)
{
    struct sx *a = &c->args[0], *b = &c->args[1];
    const struct dtype *type = dtype_of(DTYPE_DOUBLE);

    if (a->type->id == DTYPE_INTERVAL) {
        out->name = gen_printf(c->g, "(%s / %s)", a->name, b->name);
        return scaled(c, out, a, b, '/');
    }
    if (is_decimal_pair(a->type, b->type)) {
        type = decimal_result(c, '/', operand_decimal(c, a), operand_decimal(c, b));
        return special_done(
            c, out, type,
            type->precision > 15 /* DuckDB divides decimals as doubles */
                ? gen_printf(c->g,
                             "CAST(lacus_decimal_divide(CAST(%s AS VARCHAR), CAST(%s AS VARCHAR), %d) AS %s)",
                             a->sql, nonzero(c, b), type->scale, gen_sql_type(c->g, type))
                : gen_printf(c->g, "CAST((%s / %s) AS %s)", a->sql, nonzero(c, b), gen_sql_type(c->g, type)));
    }
    for (size_t i = 0; i < 2; i++) {
        if (!sx_may_coerce(c->args[i].type, type) || c->args[i].type->id == DTYPE_BOOLEAN)
            return bad_operands(c);
        if (!dtype_is_integral(c->args[i].type)) /* integers become double by themselves */
            TRY(sx_coerce(c->g, &c->args[i], type, c->e));
    }
    return special_done(c, out, type, gen_printf(c->g, "(%s / %s)", a->sql, nonzero(c, b)));
}

static enum lc try_multiply(struct call *c, struct sx *out)
{
    return tried(c, out, times);
}

static enum lc try_divide(struct call *c, struct sx *out)
{
    return tried(c, out, divide);
}

static enum lc mod(struct call *c, struct sx *out)
{
    const struct dtype *type;

    TRY(numeric_operands(c, '%', &type));
    return special_done(c, out, type,
                        gen_printf(c->g, "CAST((%s %% %s) AS %s)", c->args[0].sql, nonzero(c, &c->args[1]),
                                   gen_sql_type(c->g, type)));
}

static enum lc try_mod(struct call *c, struct sx *out)
{
    return tried(c, out, mod);
}

static enum lc pmod(struct call *c, struct sx *out)
{
    const struct dtype *type;
    const char *a, *b;

    TRY(numeric_operands(c, '%', &type));
    a = c->args[0].sql;
    b = nonzero(c, &c->args[1]);
    return special_done(
        c, out, type,
        gen_printf(c->g,
                   "CAST((CASE WHEN (%s %% %s) < 0 THEN ((%s %% %s) + %s) %% %s ELSE %s %% %s END) AS %s)", a,
                   b, a, b, b, b, a, b, gen_sql_type(c->g, type)));
}

static enum lc integral_division(struct call *c, struct sx *out)
{
    const struct dtype *type;

    TRY(numeric_operands(c, '%', &type));
    if (dtype_is_integral(type))
        return special_done(
            c, out, dtype_of(DTYPE_LONG),
            gen_printf(c->g, "CAST((%s // %s) AS BIGINT)", c->args[0].sql, nonzero(c, &c->args[1])));
    return special_done(
        c, out, dtype_of(DTYPE_LONG),
        gen_printf(c->g, "CAST(trunc(%s / %s) AS BIGINT)", c->args[0].sql, nonzero(c, &c->args[1])));
}

/* ---- rounding ---- */
/* DuckDB's own wraps around where the next ten, hundred … is beyond the type. */
static enum lc round_integer(struct call *c, struct sx *out, int scale, bool even)
{
    static const int bits[DTYPE_COUNT] = {
        [DTYPE_BYTE] = 8, [DTYPE_SHORT] = 16, [DTYPE_INT] = 32, [DTYPE_LONG] = 64};
    const struct dtype *t = c->args[0].type;

    return special_done(c, out, t,
                        gen_printf(c->g, "CAST(lacus_round_integer(%s, %d, %d, %d) AS %s)", c->args[0].sql,
                                   scale, bits[t->id], even, gen_sql_type(c->g, t)));
}

static enum lc round_with(struct call *c, struct sx *out, const char *function)
{
    const struct dtype *t = c->args[0].type;
    int64_t scale = 0;
    const char *sql;

    if (c->n > 1 && !special_int(&c->args[1], &scale))
        return special_unsupported(c, "a number of digits that is not a literal");
    out->name = gen_printf(c->g, "%s(%s, %s)", c->f->name, c->args[0].name, c->n > 1 ? c->args[1].name : "0");
    if (dtype_is_integral(t) && scale >= 0)
        return special_done(c, out, t, c->args[0].sql);
    if (dtype_is_integral(t))
        return round_integer(c, out, (int)(scale < -30 ? -30 : scale), strcmp(function, "round") != 0);
    if (t->id == DTYPE_DECIMAL) {
        int kept = scale < t->scale ? (int)(scale < 0 ? 0 : scale) : t->scale;
        int precision = t->precision - t->scale + kept + 1;

        t = gen_type(c->g, dtype_decimal(precision > 38 ? 38 : precision, kept));
    }
    if (t && (t->id == DTYPE_DOUBLE ||
              t->id == DTYPE_FLOAT)) /* DuckDB rounds what the binary value is: 1.005 is below */
        sql = gen_printf(c->g, "lacus_round_double(%s, %d, %d)", c->args[0].sql,
                         (int)(scale < -400  ? -400
                               : scale > 400 ? 400
                                             : scale),
                         strcmp(function, "round") != 0);
    else
        sql = gen_printf(c->g, "%s(%s, %" PRId64 ")", function, c->args[0].sql, scale);
    if (t && t->id != DTYPE_DOUBLE)
        sql = gen_printf(c->g, "CAST(%s AS %s)", sql, gen_sql_type(c->g, t));
    return special_done(c, out, t, sql);
}

static enum lc round_half_up(struct call *c, struct sx *out)
{
    return round_with(c, out, "round");
}

static enum lc round_half_even(struct call *c, struct sx *out)
{
    return round_with(c, out, "round_even");
}

/* floor(x, scale): a decimal, as Spark gives it */
static enum lc floor_to(struct call *c, struct sx *out, const char *function, int scale)
{
    const struct dtype *from = c->args[0].type, *d, *t;
    const char *rounded, *x;
    int whole, kept;

    d = from->id == DTYPE_DOUBLE  ? gen_type(c->g, dtype_decimal(30, 15)) /* as Spark takes them */
        : from->id == DTYPE_FLOAT ? gen_type(c->g, dtype_decimal(14, 7))
                                  : as_decimal(c, from);
    if (!d || d->precision == 0)
        return special_unsupported(c, "a value that is no number");
    kept = scale < 0 ? 0 : (scale < d->scale ? scale : d->scale);
    whole = d->precision - d->scale + 1;
    if (scale < 0 && whole < 1 - scale)
        whole = 1 - scale;
    t = gen_type(c->g, dtype_decimal(whole + kept > 38 ? 38 : whole + kept, kept));
    if (!t)
        return err_nomem(c->g->err);
    x = gen_printf(c->g, "CAST(%s AS %s)", c->args[0].sql, gen_sql_type(c->g, d));
    if (scale >= d->scale)
        return special_done(c, out, t, gen_printf(c->g, "CAST(%s AS %s)", x, gen_sql_type(c->g, t)));
    rounded = gen_printf(c->g, "round(%s, %d)", x, scale); /* of decimals: exact, and one step off at most */
    return special_done(
        c, out, t,
        gen_printf(c->g,
                   "CAST(CASE WHEN %s %s %s THEN %s %s CAST('1e%d' AS DECIMAL(38, %d)) ELSE %s END AS %s)",
                   rounded, *function == 'f' ? ">" : "<", x, rounded, *function == 'f' ? "-" : "+", -scale,
                   kept, rounded, gen_sql_type(c->g, t)));
}

static enum lc floor_or_ceil(struct call *c, struct sx *out, const char *function)
{
    const struct dtype *t = c->args[0].type;
    int64_t scale = 0;

    if (c->n > 1)
        return special_int(&c->args[1], &scale) ? floor_to(c, out, function, (int)scale)
                                                : special_unsupported(c, "a scale that is not a literal");
    if (dtype_is_integral(t))
        return sx_coerce(c->g, &c->args[0], dtype_of(DTYPE_LONG), c->e) == LC_OK
                   ? special_done(c, out, dtype_of(DTYPE_LONG), c->args[0].sql)
                   : c->g->err->code;
    t = t->id == DTYPE_DECIMAL ? gen_type(c->g, dtype_decimal(t->precision - t->scale + (t->scale > 0), 0))
                               : dtype_of(DTYPE_LONG);
    if (!t)
        return err_nomem(c->g->err);
    return special_done(
        c, out, t, gen_printf(c->g, "CAST(%s(%s) AS %s)", function, c->args[0].sql, gen_sql_type(c->g, t)));
}

static enum lc floor_fn(struct call *c, struct sx *out)
{
    return floor_or_ceil(c, out, "floor");
}

static enum lc ceil_fn(struct call *c, struct sx *out)
{
    return floor_or_ceil(c, out, "ceil");
}

/* ---- others ---- */
/* With a seed: the same numbers for the same order of rows. */
static enum lc rand_fn(struct call *c, struct sx *out)
{
    int64_t seed;

    out->name = c->n ? gen_printf(c->g, "rand(%s)", c->args[0].name) : "rand()";
    if (c->n && special_int(&c->args[0], &seed))
        return special_done(
            c, out, dtype_of(DTYPE_DOUBLE),
            gen_printf(c->g, "((hash(row_number() OVER (), %" PRId64 ") >> 11) / 9007199254740992.0::DOUBLE)",
                       seed));
    return special_done(c, out, dtype_of(DTYPE_DOUBLE), "random()");
}

static enum lc hex_fn(struct call *c, struct sx *out)
{
    const struct dtype *string = dtype_of(DTYPE_STRING);

    if (dtype_is_numeric(c->args[0].type)) {
        TRY(sx_coerce(c->g, &c->args[0], dtype_of(DTYPE_LONG), c->e));
        return special_done(c, out, string, gen_printf(c->g, "hex(%s)", c->args[0].sql));
    }
    return special_done(c, out, string, gen_printf(c->g, "hex(%s)", c->args[0].sql));
}

static enum lc typeof_fn(struct call *c, struct sx *out)
{
    struct buf b = BUF_INIT(1 << 16);
    const char *text;

    dtype_simple(c->args[0].type, &b);
    text = gen_take(c->g, &b);
    text = text ? gen_text(c->g, text, strlen(text)) : NULL;
    if (text && c->args[0].aggregate) /* a constant, but of one row for all of them */
        text = gen_printf(c->g, "(CASE WHEN count(*) >= 0 THEN %s END)", text);
    TRY(special_done(c, out, dtype_of(DTYPE_STRING), text));
    out->nullable = false;
    return LC_OK;
}

/* A hash that is being folded: function_kind(value, seed) gives the next seed; of NULL, the same. */
struct folding {
    struct call *c;
    const char *function, *seed;
};

/* What of a value is hashed, and how; NULL: it is not. */
static const char *hash_kind(struct gen *g, const struct dtype *type, const char **value)
{
    enum interval_kind interval = type->id == DTYPE_INTERVAL ? dtype_interval_kind(type) : INTERVAL_CALENDAR;

    switch (type->id) {
    case DTYPE_STRING:
        return "text";
    case DTYPE_BINARY:
        return "bytes";
    case DTYPE_DOUBLE:
        return "double";
    case DTYPE_FLOAT:
        return "float";
    case DTYPE_LONG:
        return "long";
    case DTYPE_TIMESTAMP:
    case DTYPE_TIMESTAMP_NTZ:
        *value = gen_printf(g, "epoch_us(%s)", *value);
        return "long";
    case DTYPE_DATE:
        *value = gen_printf(g, "CAST(%s - DATE '1970-01-01' AS INTEGER)", *value);
        return "int";
    case DTYPE_BOOLEAN:
    case DTYPE_BYTE:
    case DTYPE_SHORT:
        *value = gen_printf(g, "CAST(%s AS INTEGER)", *value);
        return "int";
    case DTYPE_INT:
        return "int";
    case DTYPE_DECIMAL: /* its digits; those of more than 18 as the bytes of a BigInteger */
        *value = gen_printf(g, "CAST(replace(CAST(%s AS VARCHAR), '.', '') AS %s)", *value,
                            type->precision > 18 ? "VARCHAR" : "BIGINT");
        return type->precision > 18 ? "digits" : "long";
    case DTYPE_TIME:
        *value = gen_printf(g, "(epoch_us(%s) * 1000)", *value);
        return "long";
    case DTYPE_INTERVAL:
        if (interval == INTERVAL_CALENDAR)
            return NULL;
        *value = interval == INTERVAL_DAY_TIME
                     ? gen_printf(g, "epoch_us(%s)", *value)
                     : gen_printf(g, "CAST(date_part('year', %s) * 12 + date_part('month', %s) AS INTEGER)",
                                  *value, *value);
        return interval == INTERVAL_DAY_TIME ? "long" : "int";
    default:
        return NULL;
    }
}

static enum lc fold_simple(struct folding *f, const struct dtype *type, const char *value)
{
    struct gen *g = f->c->g;
    const char *kind = hash_kind(g, type, &value);

    if (!kind)
        return special_unsupported(f->c, gen_printf(g, "a column of type %s", gen_type_words(g, type)));
    f->seed = gen_printf(g, "%s_%s(%s, %s)", f->function, kind, value, f->seed);
    return f->seed ? LC_OK : err_nomem(g->err);
}

/* What is in an array, one value after the other, as texts: a letter for the kind, and the value. */
static enum lc hash_texts(struct call *c, const struct dtype *type, const char *value, const char **out)
{
    struct gen *g = c->g;
    const char *kind, *all = "CAST([] AS VARCHAR[])", *element;

    if (type->id == DTYPE_STRUCT) {
        for (size_t i = 0; i < type->n_fields; i++) {
            TRY(hash_texts(c, type->fields[i].type, gen_printf(g, "struct_extract_at(%s, %zu)", value, i + 1),
                           &element));
            all = gen_printf(g, "list_concat(%s, %s)", all, element);
        }
        return *out = all, LC_OK;
    }
    if (type->id == DTYPE_ARRAY) {
        const char *variable = gen_printf(g, "lh%d", g->next_uid++);

        TRY(hash_texts(c, type->element, variable, &element));
        *out = gen_printf(g, "coalesce(flatten(list_transform(%s, lambda %s: %s)), %s)", value, variable,
                          element, all);
        return LC_OK;
    }
    if (type->id == DTYPE_NULL)
        return *out = all, LC_OK;
    kind = hash_kind(g, type, &value);
    if (!kind)
        return special_unsupported(c, gen_printf(g, "a column of type %s", gen_type_words(g, type)));
    *out = gen_printf(g, strcmp(kind, "bytes") == 0 ? "['%c' || hex(%s)]" : "['%c' || CAST(%s AS VARCHAR)]",
                      strcmp(kind, "digits") == 0 ? 'n' : kind[0], value);
    return LC_OK;
}

static enum lc not_hashable(struct call *c, const struct dtype *type)
{
    return gen_fail(
        c->g, c->e, LC_ENGINE,
        "[DATATYPE_MISMATCH.HASH_MAP_TYPE] Cannot resolve \"%s\" due to data type mismatch: Input to the "
        "function `%s` cannot contain elements of the \"MAP\" type, but there is \"%s\". In Spark, same "
        "maps may have different hashcode, thus hash expressions are prohibited on \"MAP\" elements. "
        "SQLSTATE: 42K09",
        c->f->name, c->f->name, gen_type_words(c->g, type));
}

/* A struct's fields one after the other, as columns. */
static enum lc fold_value(struct folding *f, const struct dtype *type, const char *value)
{
    const char *texts;

    if (type->id == DTYPE_MAP || dtype_has_map(type))
        return not_hashable(f->c, type);
    if (type->id == DTYPE_NULL)
        return LC_OK;
    if (type->id == DTYPE_INTERVAL && dtype_interval_kind(type) == INTERVAL_CALENDAR) {
        f->seed = gen_printf(
            f->c->g,
            "%s_int(CAST(date_part('year', %s) * 12 + date_part('month', %s) AS INTEGER), "
            "%s_int(CAST(date_part('day', %s) AS INTEGER), %s_long(epoch_us(%s - date_trunc('day', %s)), "
            "%s)))",
            f->function, value, value, f->function, value, f->function, value, value, f->seed);
        return f->seed ? LC_OK : err_nomem(f->c->g->err);
    }
    if (type->id == DTYPE_ARRAY) {
        TRY(hash_texts(f->c, type, value, &texts));
        f->seed = gen_printf(f->c->g, "%s_list(%s, %s)", f->function, texts, f->seed);
        return f->seed ? LC_OK : err_nomem(f->c->g->err);
    }
    if (type->id != DTYPE_STRUCT)
        return fold_simple(f, type, value);
    for (size_t i = 0; i < type->n_fields; i++) /* by place: names may come twice */
        TRY(fold_value(f, type->fields[i].type,
                       gen_printf(f->c->g, "struct_extract_at(%s, %zu)", value, i + 1)));
    return LC_OK;
}

/* Spark folds the hash of each column into the next one's seed, 42 at first. */
static enum lc fold_hash(struct call *c, struct sx *out, const char *function, const char *type,
                         enum dtype_id result)
{
    struct folding f = {c, function, gen_printf(c->g, "CAST(42 AS %s)", type)};

    for (size_t i = 0; i < c->n; i++)
        TRY(fold_value(&f, c->args[i].type, c->args[i].sql));
    out->sql = f.seed;
    out->type = dtype_of(result);
    return f.seed ? LC_OK : err_nomem(c->g->err);
}

static enum lc hash_fn(struct call *c, struct sx *out)
{
    return fold_hash(c, out, "lacus_hash", "INTEGER", DTYPE_INT);
}

static enum lc xxhash64_fn(struct call *c, struct sx *out)
{
    return fold_hash(c, out, "lacus_xxhash64", "BIGINT", DTYPE_LONG);
}

static enum lc zeroifnull(struct call *c, struct sx *out)
{
    const struct dtype *t = gen_type(c->g, dtype_common(c->args[0].type, dtype_of(DTYPE_INT)));

    if (!t)
        return gen_fail(
            c->g, c->e, LC_ENGINE,
            "[DATATYPE_MISMATCH.DATA_DIFF_TYPES] Cannot resolve \"%s\" due to data type mismatch: Input to "
            "`coalesce` should all be the same type, but it's (\"%s\" or \"INT\"). SQLSTATE: 42K09",
            c->f->name, gen_type_words(c->g, c->args[0].type));
    TRY(sx_coerce(c->g, &c->args[0], t, c->e));
    TRY(special_done(c, out, t,
                     gen_printf(c->g, "coalesce(%s, CAST(0 AS %s))", c->args[0].sql, gen_sql_type(c->g, t))));
    out->nullable = false;
    return LC_OK;
}

const struct special special_numbers[] = {
    {"zeroifnull", zeroifnull},
    {"compare", compare},
    {"in", in_list},
    {"nullif", nullif},
    {"when", when},
    {"if", if_else},
    {"plus", plus},
    {"try_add", try_add},
    {"try_subtract", try_subtract},
    {"try_multiply", try_multiply},
    {"try_divide", try_divide},
    {"try_mod", try_mod},
    {"minus", minus},
    {"times", times},
    {"divide", divide},
    {"mod", mod},
    {"pmod", pmod},
    {"div", integral_division},
    {"round", round_half_up},
    {"bround", round_half_even},
    {"floor", floor_fn},
    {"ceil", ceil_fn},
    {"rand", rand_fn},
    {"hex", hex_fn},
    {"typeof", typeof_fn},
    {"hash", hash_fn},
    {"xxhash64", xxhash64_fn},
    {0},
};
