/* special_aggregates.c: aggregates and window functions whose form depends on their arguments. */
#include "runtime/dataframe/sqlgen/sqlgen_int.h"
#include <string.h>

static const char *not_null(struct call *c)
{
    struct buf b = BUF_INIT((size_t)16 << 20);

    for (size_t i = 0; i < c->n; i++)
        buf_printf(&b, "%s%s IS NOT NULL", i ? " AND " : "", c->args[i].sql);
    if (c->filter)
        buf_printf(&b, " AND %s", c->filter);
    return gen_take(c->g, &b);
}

static const char *all_args(struct call *c, bool names)
{
    struct buf b = BUF_INIT((size_t)16 << 20);

    for (size_t i = 0; i < c->n; i++)
        buf_printf(&b, "%s%s", i ? ", " : "", names ? c->args[i].name : c->args[i].sql);
    return gen_take(c->g, &b);
}

static enum lc counted(struct call *c, struct sx *out, const char *sql)
{
    TRY(special_done(c, out, dtype_of(DTYPE_LONG), sql));
    out->nullable = false;
    return LC_OK;
}

static enum lc count_distinct(struct call *c, struct sx *out)
{
    out->name = gen_printf(c->g, "count(DISTINCT %s)", all_args(c, true));
    if (c->n == 1)
        return counted(c, out, gen_printf(c->g, "count(DISTINCT %s)%s", c->args[0].sql, c->tail));
    return counted(c, out,
                   gen_printf(c->g, "count(DISTINCT row(%s)) FILTER (WHERE %s)%s", all_args(c, false),
                              not_null(c), c->over));
}

static enum lc count(struct call *c, struct sx *out)
{
    if (c->distinct)
        return count_distinct(c, out);
    if (c->n == 1 && c->args[0].literal && !c->args[0].nullable)
        return counted(c, out, gen_printf(c->g, "count(*)%s", c->tail));
    if (c->n == 1)
        return counted(c, out, gen_printf(c->g, "count(%s)%s", c->args[0].sql, c->tail));
    return counted(c, out, gen_printf(c->g, "count(*) FILTER (WHERE %s)%s", not_null(c), c->over));
}

static const struct dtype *sum_type(struct call *c)
{
    const struct dtype *t = c->args[0].type;

    if (dtype_is_integral(t))
        return dtype_of(DTYPE_LONG);
    if (t->id == DTYPE_DECIMAL)
        return gen_type(c->g, dtype_decimal(t->precision + 10 > 38 ? 38 : t->precision + 10, t->scale));
    return dtype_of(DTYPE_DOUBLE);
}

/* What is summed: a product in 64 bits where the query may be given up for a wider one. */
static const char *summand(struct call *c, bool distinct)
{
    const struct sx *x = &c->args[0];

    if (!c->g->narrow || distinct || *c->over || !x->narrow.sql || x->narrow.of != x->sql)
        return x->sql;
    c->g->narrowed = true;
    return x->narrow.sql;
}

/* DuckDB adds decimals of 38 digits in 128 bits, which hold a little more. Of the others no table has as many rows as it takes. */
static bool may_pass_38(const struct dtype *t)
{
    return t->id == DTYPE_DECIMAL && t->precision > 38 - 10;
}

/* Spark says it in two ways: of all rows the value, of groups that it is a sum. */
static const char *within_38_digits(struct call *c, const char *sum, int scale, const char *function)
{
    const char *nines = "99999999999999999999999999999999999999", *most, *text;

    most = gen_printf(c->g, "CAST('%.*s.%.*s' AS DECIMAL(38,%d))", 38 - scale, nines, scale, nines, scale);
    if (*c->over || (c->scope->n_groups == 0 && !c->distinct))
        text = gen_printf(
            c->g,
            "'[NUMERIC_VALUE_OUT_OF_RANGE.WITH_SUGGESTION] ' || CAST(%s AS VARCHAR) || ' cannot be "
            "represented as Decimal(38, %d). Use ''%s'' to get NULL instead. SQLSTATE: 22003'",
            sum, scale, function);
    else
        text = gen_printf(
            c->g,
            "'[ARITHMETIC_OVERFLOW] Overflow in sum of decimals. Use ''%s'' to tolerate overflow and "
            "return NULL instead. SQLSTATE: 22003'",
            function);
    return gen_printf(c->g,
                      "(CASE WHEN %s BETWEEN -%s AND %s THEN %s WHEN %s IS NOT NULL THEN error(%s) END)", sum,
                      most, most, sum, sum, text);
}

/* The two halves of the digits are added up, each of which fits; NULL where what they make does not. The digits as text. */
static const char *summed_in_halves(struct call *c, int scale)
{
    const char *half = "10000000000000000000::HUGEINT", *digits, *high, *low;

    digits = gen_printf(c->g, "CAST(replace(CAST(%s AS VARCHAR), '.', '') AS HUGEINT)", c->args[0].sql);
    high = gen_printf(c->g, "sum(%s // %s)%s", digits, half, c->tail);
    low = gen_printf(c->g, "sum(%s %% %s)%s", digits, half, c->tail);
    return gen_printf(
        c->g,
        "lacus_decimal_divide((CASE WHEN abs(%s) < 15000000000000000000 THEN CAST(%s * %s + %s AS "
        "VARCHAR) END), '1%.*s', %d)",
        high, high, half, low, scale, "00000000000000000000000000000000000000", scale);
}

static enum lc sum_as(struct call *c, struct sx *out, bool try_it)
{
    const struct dtype *t = sum_type(c);
    bool distinct = c->distinct || strcmp(c->f->name, "sum_distinct") == 0;
    const char *sql;

    if (c->args[0].type->id == DTYPE_INTERVAL)
        return interval_sum(c, out, distinct);
    sql = gen_printf(c->g, "sum(%s%s)%s", distinct ? "DISTINCT " : "", summand(c, distinct), c->tail);

    if (!t)
        return err_nomem(c->g->err);
    if (try_it && !distinct && may_pass_38(c->args[0].type))
        sql = gen_printf(c->g, "TRY_CAST(%s AS %s)", summed_in_halves(c, t->scale), gen_sql_type(c->g, t));
    else if (may_pass_38(c->args[0].type))
        sql = within_38_digits(c, sql, t->scale, "try_sum");
    else if (t->id != DTYPE_DOUBLE || c->args[0].type->id == DTYPE_FLOAT)
        sql = gen_printf(c->g, "%s(%s AS %s)", try_it ? "TRY_CAST" : "CAST", sql, gen_sql_type(c->g, t));
    if (distinct)
        out->name = gen_printf(c->g, "sum(DISTINCT %s)", c->args[0].name);
    TRY(special_done(c, out, t, sql));
    out->nullable = true;
    return LC_OK;
}

static enum lc sum(struct call *c, struct sx *out)
{
    return sum_as(c, out, false);
}

static enum lc try_sum(struct call *c, struct sx *out)
{
    return sum_as(c, out, true);
}

static enum lc avg(struct call *c, struct sx *out)
{
    const struct dtype *t = c->args[0].type, *result = dtype_of(DTYPE_DOUBLE);
    bool try_it = strcmp(c->f->name, "try_avg") == 0;
    const char *distinct = c->distinct ? "DISTINCT " : "", *sql, *sum;

    if (t->id == DTYPE_INTERVAL)
        return interval_avg(c, out);
    sql = gen_printf(c->g, "avg(%s%s)%s", distinct, c->args[0].sql, c->tail);

    if (t->id == DTYPE_DECIMAL) {
        result = gen_type(c->g, dtype_decimal(t->precision + 4 > 38 ? 38 : t->precision + 4,
                                              t->scale + 4 > 38 ? 38 : t->scale + 4));
        sum = gen_printf(c->g, "sum(%s%s)%s", distinct, summand(c, c->distinct), c->tail);
        if (may_pass_38(t))
            sum = try_it && !c->distinct ? summed_in_halves(c, t->scale)
                                         : within_38_digits(c, sum, t->scale, "try_avg");
        /* DuckDB's average of decimals is a double: the sum is divided with every digit instead */
        sql =
            result && result->precision > 15
                ? gen_printf(c->g,
                             "%s(lacus_decimal_divide(CAST(%s AS VARCHAR), CAST(nullif(count(%s%s)%s, 0) AS "
                             "VARCHAR), %d) AS %s)",
                             try_it ? "TRY_CAST" : "CAST", sum, distinct, c->args[0].sql, c->tail,
                             result->scale, gen_sql_type(c->g, result))
            : result ? gen_printf(c->g, "CAST(%s AS %s)", sql, gen_sql_type(c->g, result))
                     : NULL;
    }
    TRY(special_done(c, out, result, sql));
    out->nullable = true;
    return LC_OK;
}

/* first and last: with NULLs left out when asked; in a window they are the window functions. */
static enum lc end_value(struct call *c, struct sx *out, const char *aggregate)
{
    bool ignore = c->n > 1 && special_bool(&c->args[1], false);
    const char *sql;

    if (*c->over)
        sql = gen_printf(c->g, "%s_value(%s%s)%s", aggregate, c->args[0].sql, ignore ? " IGNORE NULLS" : "",
                         c->tail);
    else if (ignore)
        sql = gen_printf(c->g, "%s(%s) FILTER (WHERE %s IS NOT NULL%s%s)", aggregate, c->args[0].sql,
                         c->args[0].sql, c->filter ? " AND " : "", c->filter ? c->filter : "");
    else
        sql = gen_printf(c->g, "%s(%s)%s", aggregate, c->args[0].sql, c->tail);
    TRY(special_done(c, out, c->args[0].type, sql));
    out->nullable = true;
    return LC_OK;
}

static enum lc first(struct call *c, struct sx *out)
{
    return end_value(c, out, "first");
}

static enum lc last(struct call *c, struct sx *out)
{
    return end_value(c, out, "last");
}

/* lag and lead; the fourth argument says whether rows of NULL are passed over. */
static enum lc shifted(struct call *c, struct sx *out)
{
    bool ignore = c->n > 3 && special_bool(&c->args[3], false);
    const char *offset = c->n > 1 ? c->args[1].sql : "1", *otherwise = "NULL", *sql;
    int64_t places = 1;

    if (c->n > 2) {
        TRY(sx_coerce(c->g, &c->args[2], c->args[0].type, c->e));
        otherwise = c->args[2].sql;
    }
    out->name = gen_printf(c->g, "%s(%s, %s, %s)", c->f->name, c->args[0].name,
                           c->n > 1 ? c->args[1].name : "1", c->n > 2 ? c->args[2].name : "NULL");
    sql = ignore && c->n > 1 && special_int(&c->args[1], &places) && places == 0
              ? c->args[0].sql /* the row itself, though its value be NULL */
              : gen_printf(c->g, "%s(%s, %s, %s%s)%s", c->f->name, c->args[0].sql, offset, otherwise,
                           ignore ? " IGNORE NULLS" : "", c->tail);
    TRY(special_done(c, out, c->args[0].type, sql));
    out->nullable = c->n < 3 || c->args[2].nullable || c->args[0].nullable;
    return LC_OK;
}

static enum lc ntile(struct call *c, struct sx *out)
{
    out->name = gen_printf(c->g, "ntile(%s)", c->n ? c->args[0].name : "1");
    TRY(special_done(c, out, dtype_of(DTYPE_INT),
                     gen_printf(c->g, "CAST(ntile(%s)%s AS INTEGER)", c->n ? c->args[0].sql : "1", c->tail)));
    out->nullable = false;
    return LC_OK;
}

static enum lc nth_value(struct call *c, struct sx *out)
{
    bool ignore = c->n > 2 && special_bool(&c->args[2], false);

    out->name = gen_printf(c->g, "nth_value(%s, %s)%s", c->args[0].name, c->args[1].name,
                           ignore ? " ignore nulls" : "");
    TRY(special_done(c, out, c->args[0].type,
                     gen_printf(c->g, "nth_value(%s, %s%s)%s", c->args[0].sql, c->args[1].sql,
                                ignore ? " IGNORE NULLS" : "", c->tail)));
    out->nullable = true;
    return LC_OK;
}

/* A cell of PIVOT: the aggregate by FILTER, the same by guarded arguments, and all aggregates of the pivot. Spark groups by the
 * values and puts the results into an array that only some types fit into; for others it guards the arguments. */
static enum lc pivoted(struct call *c, struct sx *out)
{
    static const uint32_t fit = UINT32_C(1) << DTYPE_BOOLEAN | UINT32_C(1) << DTYPE_BYTE |
                                UINT32_C(1) << DTYPE_SHORT | UINT32_C(1) << DTYPE_INT |
                                UINT32_C(1) << DTYPE_LONG | UINT32_C(1) << DTYPE_FLOAT |
                                UINT32_C(1) << DTYPE_DOUBLE | UINT32_C(1) << DTYPE_DECIMAL;
    const struct sx *cell = &c->args[0];

    for (size_t i = 2; i < c->n; i++)
        if (!(fit & UINT32_C(1) << c->args[i].type->id))
            cell = &c->args[1];
    TRY(special_done(c, out, cell->type, cell->sql));
    out->nullable = cell->nullable;
    return LC_OK;
}

static enum lc percentile_approx(struct call *c, struct sx *out)
{
    bool many = c->args[1].type->id == DTYPE_ARRAY;
    const struct dtype *t;

    if (c->args[0].type->id == DTYPE_STRING || c->args[0].type->id == DTYPE_NULL)
        TRY(sx_coerce(c->g, &c->args[0], dtype_of(DTYPE_DOUBLE), c->e));
    t = many ? gen_type(c->g, dtype_array(dtype_ref(c->args[0].type), false)) : c->args[0].type;
    if (many)
        TRY(sx_coerce(c->g, &c->args[1], gen_type(c->g, dtype_array(dtype_of(DTYPE_DOUBLE), false)), c->e));
    TRY(special_done(c, out, t,
                     gen_printf(c->g, "quantile_disc(%s, %s)%s", c->args[0].sql, c->args[1].sql, c->tail)));
    out->nullable = true;
    return LC_OK;
}

/* grouping_id() is of all groups. */
static enum lc grouping_id(struct call *c, struct sx *out)
{
    struct buf b = BUF_INIT((size_t)16 << 20);
    const struct scope *s = c->scope;

    if (c->n == 0) {
        for (size_t i = 0; i < s->n_groups; i++)
            buf_printf(&b, "%s%s", i ? ", " : "", s->groups[i].sql);
        out->name = "grouping_id()";
        return counted(c, out, gen_printf(c->g, "CAST(grouping_id(%s) AS BIGINT)", gen_take(c->g, &b)));
    }
    return counted(c, out, gen_printf(c->g, "CAST(grouping_id(%s) AS BIGINT)", all_args(c, false)));
}

static enum lc histogram_numeric(struct call *c, struct sx *out)
{
    const struct dtype *s = dtype_struct_new(2);
    const char *flat = gen_printf(c->g, "lacus_histogram(list(CAST(%s AS DOUBLE)) FILTER (WHERE %s)%s, %s)",
                                  c->args[0].sql, not_null(c), c->over, c->args[1].sql);

    s = s ? dtype_struct_add(s, "x", dtype_ref(c->args[0].type), true, NULL) : NULL;
    s = s ? dtype_struct_add(s, "y", dtype_of(DTYPE_DOUBLE), true, NULL) : NULL;
    TRY(special_done(c, out, gen_type(c->g, dtype_array(s, true)),
                     gen_printf(c->g,
                                "list_transform(range(len(%s) // 2), lambda li: struct_pack(x := CAST((%s)[2 "
                                "* li + 1] AS %s), y := "
                                "(%s)[2 * li + 2]))",
                                flat, flat, gen_sql_type(c->g, c->args[0].type), flat)));
    out->nullable = true;
    return LC_OK;
}

/* ---- WITHIN GROUP (ORDER BY …) ---- */
static bool descends(const struct call *c, size_t i)
{
    return c->orders[i].from->kind == EXPR_SORT && c->orders[i].from->u.sort.descending;
}

/* " ORDER BY a DESC NULLS LAST", in DuckDB's words or (names) in Spark's; "" without it. */
static const char *order_words(struct call *c, bool names)
{
    struct buf b = BUF_INIT((size_t)16 << 20);

    for (size_t i = 0; i < c->n_orders; i++) {
        const struct sx *x = &c->orders[i];
        bool last = x->from->kind == EXPR_SORT && x->from->u.sort.nulls_last;

        buf_printf(&b, "%s%s %s NULLS %s",
                   i       ? ", "
                   : names ? ""
                           : " ORDER BY ",
                   names ? x->name : sx_order_key(c->g, x->sql, x->type), descends(c, i) ? "DESC" : "ASC",
                   last ? "LAST" : "FIRST");
    }
    buf_puts(&b, "");
    return gen_take(c->g, &b);
}

static enum lc string_agg(struct call *c, struct sx *out)
{
    const char *word;

    c->distinct = c->distinct || strstr(c->f->name, "_distinct");
    for (size_t i = 0; c->distinct && i < c->n_orders; i++)
        if (strcmp(c->orders[i].sql, c->args[0].sql) != 0)
            return gen_fail(
                c->g, c->e, LC_ENGINE,
                "[INVALID_WITHIN_GROUP_EXPRESSION.MISMATCH_WITH_DISTINCT_INPUT] Invalid function "
                "`%s` with WITHIN GROUP. The function is invoked with DISTINCT and WITHIN GROUP but "
                "expressions \"%s\" and \"%s\" do not match. The WITHIN GROUP ordering expression must be "
                "picked from the function inputs. SQLSTATE: 42K0K",
                c->f->name, c->args[0].name, c->orders[i].name);
    /* Spark forgets the alias where WITHIN GROUP stands */
    word = strncmp(c->f->name, "string", 6) == 0 && c->n_orders == 0 ? "string_agg" : "listagg";
    out->name = gen_printf(c->g, "%s(%s%s, %s)", word, c->distinct ? "DISTINCT " : "", c->args[0].name,
                           c->n > 1 ? c->args[1].name : "NULL");
    if (c->n_orders)
        out->name = gen_printf(c->g, "%s WITHIN GROUP (ORDER BY %s)", out->name, order_words(c, true));
    TRY(special_done(c, out, dtype_of(DTYPE_STRING),
                     gen_printf(c->g, "string_agg(%s%s, %s%s)%s", c->distinct ? "DISTINCT " : "",
                                c->args[0].sql, c->n > 1 ? c->args[1].sql : "''", order_words(c, false),
                                c->tail)));
    out->nullable = true;
    return LC_OK;
}

/* mode() WITHIN GROUP (ORDER BY x): of values that are equally frequent, the first. Spark's name has the order backwards. */
static enum lc mode_within(struct call *c, struct sx *out)
{
    bool down = descends(c, 0);
    const struct sx *x = &c->orders[0];

    out->name = gen_printf(c->g, "mode() WITHIN GROUP (ORDER BY %s%s)", x->name, down ? "" : " DESC");
    TRY(special_done(
        c, out, x->type,
        gen_printf(c->g, "mode(%s ORDER BY %s %s)%s", x->sql, x->sql, down ? "DESC" : "ASC", c->tail)));
    out->nullable = true;
    return LC_OK;
}

/* Of values that are equally frequent, the smallest. */
static enum lc mode(struct call *c, struct sx *out)
{
    bool sure = special_bool(&c->args[1], false);

    if (c->n_orders)
        return mode_within(c, out);
    out->name =
        gen_printf(c->g, sure ? "mode() WITHIN GROUP (ORDER BY %s DESC)" : "mode(%s)", c->args[0].name);
    if (sure)
        TRY(special_done(
            c, out, c->args[0].type,
            gen_printf(c->g, "mode(%s ORDER BY %s)%s", c->args[0].sql, c->args[0].sql, c->tail)));
    else
        TRY(special_done(c, out, c->args[0].type, gen_printf(c->g, "mode(%s)%s", c->args[0].sql, c->tail)));
    out->nullable = true;
    return LC_OK;
}

static enum lc refuse_first(struct call *c, const struct sx *first, const char *wanted)
{
    return gen_fail(
        c->g, c->e, LC_ENGINE,
        "[DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE] Cannot resolve \"%s(%s)\" due to data type mismatch: "
        "The first parameter requires the %s type, however \"%s\" has the type \"%s\". SQLSTATE: 42K09",
        c->f->name, first->name, wanted, first->name, gen_type_words(c->g, first->type));
}

/* percentile_cont(p) WITHIN GROUP (ORDER BY x [DESC]), percentile_disc. */
static enum lc percentile_within(struct call *c, struct sx *out)
{
    bool many = c->args[0].type->id == DTYPE_ARRAY, down = descends(c, 0),
         disc = strcmp(c->f->name, "percentile_disc") == 0;
    const struct dtype *t = dtype_of(DTYPE_DOUBLE);
    const char *sql;

    if (many)
        t = gen_type(c->g, dtype_array(t, false));
    if (!t)
        return err_nomem(c->g->err);
    if (!sx_may_coerce(c->orders[0].type, dtype_of(DTYPE_DOUBLE)))
        return refuse_first(c, &c->orders[0], "\"NUMERIC\"");
    TRY(sx_coerce(c->g, &c->orders[0], dtype_of(DTYPE_DOUBLE), c->e));
    TRY(sx_coerce(c->g, &c->args[0], t, c->e));
    out->name = gen_printf(c->g, "%s(%s) WITHIN GROUP (ORDER BY %s%s)", c->f->name, c->args[0].name,
                           c->orders[0].name, down ? " DESC" : "");
    sql = gen_printf(c->g, "quantile_%s((%s%s), %s)%s", disc ? "disc" : "cont", down ? "-" : "",
                     c->orders[0].sql, c->args[0].sql, c->tail);
    if (down) /* from above: among the negatives */
        sql = gen_printf(c->g, many ? "list_transform(%s, lambda lp: -lp)" : "(-%s)", sql);
    TRY(special_done(c, out, t, sql));
    out->nullable = true;
    return LC_OK;
}

static enum lc percentile(struct call *c, struct sx *out)
{
    bool many = c->args[1].type->id == DTYPE_ARRAY;
    const struct dtype *t = dtype_of(DTYPE_DOUBLE);

    if (many)
        t = gen_type(c->g, dtype_array(t, false));
    TRY(sx_coerce(c->g, &c->args[1], t, c->e));
    if (c->args[0].type->id == DTYPE_INTERVAL)
        return interval_percentile(c, out, c->args[1].sql, many);
    TRY(sx_coerce(c->g, &c->args[0], dtype_of(DTYPE_DOUBLE), c->e));
    TRY(special_done(c, out, t,
                     gen_printf(c->g, "quantile_cont(%s, %s)%s", c->args[0].sql, c->args[1].sql, c->tail)));
    out->nullable = true;
    return LC_OK;
}

static enum lc median(struct call *c, struct sx *out)
{
    if (c->args[0].type->id == DTYPE_INTERVAL)
        return interval_percentile(c, out, "0.5", false);
    TRY(sx_coerce(c->g, &c->args[0], dtype_of(DTYPE_DOUBLE), c->e));
    return special_done(c, out, dtype_of(DTYPE_DOUBLE),
                        gen_printf(c->g, "quantile_cont(%s, 0.5)%s", c->args[0].sql, c->tail));
}

/* A sketch of the different values: their hashes, and a number of each row beside. */
static enum lc sketch(struct call *c, struct sx *out)
{
    bool tuple = strncmp(c->f->name, "tuple", 5) == 0;
    size_t lg = tuple ? 2 : 1;
    struct call one = *c;
    struct sx hash = {0};
    const char *where;

    one.n = 1;
    TRY(special_find("xxhash64")(&one, &hash));
    if (tuple)
        TRY(sx_coerce(c->g, &c->args[1], dtype_of(DTYPE_DOUBLE), c->e));
    where = gen_printf(c->g, " FILTER (WHERE %s IS NOT NULL%s%s)%s", c->args[0].sql, c->filter ? " AND " : "",
                       c->filter ? c->filter : "", c->over);
    TRY(special_done(c, out, dtype_of(DTYPE_BINARY),
                     gen_printf(c->g, "lacus_sketch(coalesce(list(%s)%s, []), %s%s%s, %s, %s)", hash.sql,
                                where, tuple ? "coalesce(list(" : "CAST([] AS DOUBLE[])",
                                tuple ? c->args[1].sql : "", tuple ? gen_printf(c->g, ")%s, [])", where) : "",
                                c->n > lg ? c->args[lg].sql : "12", c->n > 3 ? c->args[3].sql : "'sum'")));
    out->nullable = false;
    return LC_OK;
}

/* count_min_sketch(value, error, confidence, seed): of integers and of bytes. */
static enum lc count_min_sketch(struct call *c, struct sx *out)
{
    enum dtype_id id = c->args[0].type->id;
    bool bytes = id == DTYPE_STRING || id == DTYPE_BINARY;

    if (!bytes && !dtype_is_integral(c->args[0].type))
        return refuse_first(c, &c->args[0], "(\"INTEGRAL\" or \"STRING\" or \"BINARY\")");
    TRY(special_done(c, out, dtype_of(DTYPE_BINARY),
                     gen_printf(c->g, "lacus_count_min_%s(coalesce(list(%s)%s, []), %s, %s, %s)",
                                bytes ? "bytes" : "longs",
                                id == DTYPE_STRING
                                    ? gen_printf(c->g, "encode(%s)", c->args[0].sql)
                                    : gen_printf(c->g, bytes ? "%s" : "CAST(%s AS BIGINT)", c->args[0].sql),
                                c->tail, c->args[1].sql, c->args[2].sql, c->args[3].sql)));
    out->nullable = false;
    return LC_OK;
}

const struct special special_aggregates[] = {
    {"count_min_sketch", count_min_sketch},
    {"sketch", sketch},
    {"mode", mode},
    {"percentile", percentile},
    {"median", median},
    {"percentile_within", percentile_within},
    {"count", count},
    {"count_distinct", count_distinct},
    {"sum", sum},
    {"try_sum", try_sum},
    {"avg", avg},
    {"first", first},
    {"last", last},
    {"lag", shifted},
    {"lead", shifted},
    {"ntile", ntile},
    {"nth_value", nth_value},
    {"pivoted", pivoted},
    {"percentile_approx", percentile_approx},
    {"string_agg", string_agg},
    {"grouping_id", grouping_id},
    {"histogram_numeric", histogram_numeric},
    {0},
};
