/* encode_window.c: orders, windows and their frames. */
#include "runtime/dataframe/sqlgen/sqlgen_int.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- orders ---- */
/* Whether NULLs may stand inside of a value. */
static bool has_parts(const struct dtype *t)
{
    return t->id == DTYPE_ARRAY || t->id == DTYPE_STRUCT;
}

const char *sx_order_key(struct gen *g, const char *sql, const struct dtype *type)
{
    struct buf b = BUF_INIT((size_t)16 << 20);

    if (!has_parts(type) || !sql)
        return sql;
    if (type->id == DTYPE_ARRAY) {
        const char *element = gen_printf(g, "lo%d", g->next_uid++);

        return gen_printf(g, "list_transform(%s, lambda %s: row(%s IS NOT NULL, %s))", sql, element, element,
                          sx_order_key(g, element, type->element));
    }
    for (size_t i = 0; i < type->n_fields; i++) {
        const char *name = gen_text(g, type->fields[i].name, strlen(type->fields[i].name));
        const char *field = gen_printf(g, "struct_extract(%s, %s)", sql, name ? name : "''");

        buf_printf(&b, "%s%s IS NOT NULL, %s", i ? ", " : "", field,
                   sx_order_key(g, field, type->fields[i].type));
    }
    return gen_printf(g, "(CASE WHEN %s IS NOT NULL THEN row(%s) END)", sql, gen_take(g, &b));
}

enum lc sx_not_orderable(struct gen *g, const struct expr *at, const char *what, const char *name,
                         const struct dtype *type)
{
    return gen_fail(
        g, at, LC_ENGINE,
        "[DATATYPE_MISMATCH.INVALID_ORDERING_TYPE] Cannot resolve \"%s\" due to data type mismatch: The `%s` "
        "does not support ordering on type \"%s\". SQLSTATE: 42K09",
        name, what, gen_type_words(g, type));
}

/* "a ASC NULLS FIRST" and Spark's words for it */
static enum lc encode_order(struct gen *g, const struct scope *s, const struct expr *o, const char **sql,
                            const char **name)
{
    bool sort = o->kind == EXPR_SORT, desc = sort && o->u.sort.descending,
         last = sort && o->u.sort.nulls_last;
    struct sx x;

    TRY(sx_expr(g, s, sort ? o->args[0] : o, &x));
    if (dtype_has_map(x.type))
        return sx_not_orderable(g, o, "sortorder", x.name, x.type);
    *sql = gen_printf(g, "%s %s NULLS %s", sx_order_key(g, x.sql, x.type), desc ? "DESC" : "ASC",
                      last ? "LAST" : "FIRST");
    *name = gen_printf(g, "%s %s NULLS %s", x.name, desc ? "DESC" : "ASC", last ? "LAST" : "FIRST");
    return *sql && *name ? LC_OK : err_nomem(g->err);
}

static enum lc window_lists(struct gen *g, const struct scope *s, const struct expr *e, struct buf *sql,
                            struct buf *name)
{
    size_t np = e->u.window.partition_count;

    for (size_t i = 1; i < e->n; i++) {
        bool partition = i <= np, first = i == 1 || i == np + 1;
        const char *x = NULL, *words = NULL;

        if (partition) {
            struct sx p;

            TRY(sx_expr(g, s, e->args[i], &p));
            x = p.sql;
            words = p.name;
        } else {
            TRY(encode_order(g, s, e->args[i], &x, &words));
        }
        buf_printf(sql, "%s%s", first ? (partition ? "PARTITION BY " : " ORDER BY ") : ", ", x);
        buf_printf(name, "%s%s",
                   first ? (partition ? "PARTITION BY " : (np ? " ORDER BY " : "ORDER BY ")) : ", ", words);
    }
    return LC_OK;
}

/* Of the window functions these look at a range. */
static bool by_range(const struct expr *f)
{
    return strcmp(f->u.call.name, "cume_dist") == 0 || strcmp(f->u.call.name, "nth_value") == 0;
}

/* A whole number written as a literal or as a sum or product of such. */
static bool folded(const struct expr *e, int64_t *v)
{
    const char *name = e->kind == EXPR_CALL ? e->u.call.name : "";
    struct sx x = {.from = e};
    int64_t a, b;

    if (special_int(&x, v))
        return true;
    if (strlen(name) != 1 || !strchr("+-*", *name) || e->n != 2 || !folded(e->args[0], &a) ||
        !folded(e->args[1], &b))
        return false;
    return !(*name == '+'   ? __builtin_add_overflow(a, b, v)
             : *name == '-' ? __builtin_sub_overflow(a, b, v)
                            : __builtin_mul_overflow(a, b, v));
}

/* lag and lead look at one row, as Spark's names say: lead by its offset as written, lag by the negative of its value. */
static void own_frame(struct gen *g, const struct scope *s, const struct expr *f, const char **lower,
                      const char **upper)
{
    bool lag = strcmp(f->u.call.name, "lag") == 0;
    int64_t n = 1;
    struct sx offset = {.name = "1"};

    if (!lag && strcmp(f->u.call.name, "lead") != 0)
        return;
    if (f->n > 1 && ((lag && !folded(f->args[1], &n)) || sx_expr(g, s, f->args[1], &offset) != LC_OK))
        return;
    *lower = *upper =
        lag ? gen_printf(g, "%" PRId64 " FOLLOWING", -n) : gen_printf(g, "%s FOLLOWING", offset.name);
}

/* ---- the edges of a frame ---- */
struct edge {
    enum frame_bound kind;
    double at;         /* below 0: before the row; of an interval in µs */
    const char *sql;   /* how far, in the order's type; NULL unless it is a value */
    const char *words; /* as Spark has it in names */
    const struct dtype *type;
};

struct amount { /* a literal before PRECEDING or FOLLOWING */
    double number;
    bool is_whole;
    int64_t whole; /* the number, where it is one with every digit */
    long long months, days, micros;
    const struct dtype *type;
};

/* Whole numbers may be sums and products; what is beyond literals has no value here. */
static bool amount_of(const struct expr *e, struct amount *a)
{
    double sign = 1;
    int64_t v;

    if (folded(e, &v)) {
        *a = (struct amount){.number = (double)v, .is_whole = true, .whole = v, .type = dtype_of(DTYPE_INT)};
        if (e->kind == EXPR_LITERAL)
            a->type = e->u.literal.type;
        return true;
    }
    if (e->kind == EXPR_CALL && e->n == 1 && strcmp(e->u.call.name, "-") == 0) {
        sign = -1;
        e = e->args[0];
    }
    if (e->kind != EXPR_LITERAL || e->u.literal.is_null)
        return false;
    *a = (struct amount){.type = e->u.literal.type};
    switch (a->type->id) {
    case DTYPE_INTERVAL:
        if (sscanf(e->u.literal.s, "%lld %lld %lld", &a->months, &a->days, &a->micros) != 3)
            return false;
        a->months *= (long long)sign;
        a->days *= (long long)sign;
        a->micros *= (long long)sign;
        return true;
    case DTYPE_STRING:
    case DTYPE_DECIMAL:
        a->number = sign * strtod(e->u.literal.s, NULL);
        return true;
    case DTYPE_DOUBLE:
    case DTYPE_FLOAT:
        a->number = sign * e->u.literal.f;
        return true;
    default:
        return false;
    }
}

static double micros_of(const struct amount *a)
{
    return (double)a->months * 30 * 86400e6 + (double)a->days * 86400e6 + (double)a->micros;
}

/* How far in the order's type. Days are 24 hours, as Spark counts them; months are those of the calendar. */
static const char *distance(struct gen *g, const struct amount *a, const struct dtype *order)
{
    double size = fabs(a->number);

    if (a->type->id == DTYPE_INTERVAL && order->id == DTYPE_DATE && a->months == 0)
        return gen_printf(g, "%lld", llabs(a->days));
    if (a->type->id == DTYPE_INTERVAL)
        return a->months ? gen_printf(g, "to_months(%lld)", llabs(a->months))
                         : gen_printf(g, "to_microseconds(%lld)", llabs(a->days * 86400000000LL + a->micros));
    if (a->is_whole)
        return gen_printf(g, "%" PRIu64, a->whole < 0 ? 0 - (uint64_t)a->whole : (uint64_t)a->whole);
    if (!dtype_is_numeric(order) || dtype_is_integral(order))
        return gen_printf(g, "%.0f", trunc(size));
    return gen_printf(g, "CAST('%.17g' AS %s)", size, gen_sql_type(g, order));
}

static bool same_interval(const struct dtype *a, const struct dtype *b)
{
    return a->id == DTYPE_INTERVAL && b->id == DTYPE_INTERVAL &&
           dtype_interval_kind(a) == dtype_interval_kind(b);
}

/* What may stand beside an order of that type. Spark makes numbers of intervals there, too; here they are refused. */
static bool fits(struct gen *g, const struct amount *a, const struct dtype *order)
{
    bool interval = a->type->id == DTYPE_INTERVAL;

    if (a->months && (a->days || a->micros)) /* of both kinds: Spark does not read such a literal */
        return false;
    if (order->id == DTYPE_DATE)
        return interval ? dtype_interval_kind(a->type) == INTERVAL_YEAR_MONTH ||
                              strcmp(gen_type_words(g, a->type), "INTERVAL DAY") == 0
                        : a->type->id == DTYPE_INT;
    if (order->id == DTYPE_TIMESTAMP || order->id == DTYPE_TIMESTAMP_NTZ)
        return interval;
    return order->id == DTYPE_INTERVAL ? same_interval(a->type, order) : !interval;
}

/* Spark converts the value into the order's type, but for dates and timestamps; the name shows it. */
static bool is_converted(const struct amount *a, const struct dtype *order)
{
    return order->id != DTYPE_DATE && order->id != DTYPE_TIMESTAMP && order->id != DTYPE_TIMESTAMP_NTZ &&
           order->id != DTYPE_INTERVAL && !(a->type->id == order->id && a->type->id != DTYPE_DECIMAL) &&
           !(a->type->id == DTYPE_DECIMAL && order->id == DTYPE_DECIMAL && a->type->scale == order->scale &&
             a->type->precision == order->precision);
}

/* A value: of > NULL: as written, value is its direction; else the value itself. order: of RANGE, else NULL. */
static enum lc edge_value(struct gen *g, const struct scope *s, const struct expr *of, int64_t value,
                          const struct dtype *order, struct edge *x)
{
    struct amount a = {
        .number = (double)value, .is_whole = true, .whole = value, .type = dtype_of(DTYPE_INT)};
    bool preceding = of && value < 0;
    struct sx written;

    x->words = gen_printf(g, "%" PRId64 " FOLLOWING", value);
    if (of) {
        if (!amount_of(of, &a))
            return gen_fail(
                g, of, LC_UNSUPPORTED,
                "[INVALID_SQL_SYNTAX.INVALID_WINDOW_FRAME_BOUND] Invalid SQL syntax: Frame bound value "
                "must be a literal. SQLSTATE: 42000");
        TRY(sx_expr(g, s, of, &written));
        x->words = gen_printf(g, "%s %s", written.name, preceding ? "PRECEDING" : "FOLLOWING");
        if (preceding && order && is_converted(&a, order))
            x->words = gen_printf(g, "(- %s) FOLLOWING", written.name);
    }
    x->type = a.type;
    x->at = (preceding ? -1 : 1) * (a.type->id == DTYPE_INTERVAL ? micros_of(&a) : a.number);
    x->sql = distance(g, &a, order ? order : dtype_of(DTYPE_INT));
    if (order && dtype_is_integral(order))
        x->at = trunc(x->at);
    if (!order && a.type->id != DTYPE_INT)
        return gen_fail(
            g, of, LC_ENGINE,
            "[DATATYPE_MISMATCH.SPECIFIED_WINDOW_FRAME_UNACCEPTED_TYPE] Cannot resolve \"%s\" due to "
            "data type mismatch: The data type of the bound \"%s\" does not match the expected data "
            "type \"INT\". SQLSTATE: 42K09",
            x->words, gen_type_words(g, a.type));
    if (order && !fits(g, &a, order))
        x->kind = BOUND_UNBOUNDED, x->sql = NULL; /* said with the whole frame */
    return x->words ? LC_OK : err_nomem(g->err);
}

static enum lc edge_of(struct gen *g, const struct scope *s, const struct expr *e, bool lower,
                       const struct dtype *order, struct edge *x)
{
    enum frame_bound kind = lower ? e->u.window.lower : e->u.window.upper;

    *x = (struct edge){.kind = kind, .words = "CURRENT ROW"};
    if (kind == BOUND_VALUE)
        return edge_value(g, s, lower ? e->u.window.lower_of : e->u.window.upper_of,
                          lower ? e->u.window.lower_value : e->u.window.upper_value, order, x);
    if (kind == BOUND_UNBOUNDED) {
        x->at = lower ? -INFINITY : INFINITY;
        x->words = lower ? "UNBOUNDED PRECEDING" : "UNBOUNDED FOLLOWING";
    }
    return LC_OK;
}

static const char *edge_sql(struct gen *g, const struct edge *x)
{
    if (!x->sql)
        return x->words;
    return x->at == 0 ? "CURRENT ROW" : gen_printf(g, "%s %s", x->sql, x->at < 0 ? "PRECEDING" : "FOLLOWING");
}

/* ---- frames ---- */
struct frame {
    struct edge lower, upper;
    const char *words; /* "ROWS BETWEEN … AND …" */
};

/* What Spark's analyser says about a frame; DuckDB would say it of its own words, or give rows. */
static enum lc check_frame(struct gen *g, const struct expr *e, const struct frame *f, const char *lists,
                           const struct dtype *order)
{
    const struct edge *l = &f->lower, *u = &f->upper;
    bool both = e->u.window.lower == BOUND_VALUE && e->u.window.upper == BOUND_VALUE;
    const struct edge *wrong = e->u.window.lower == BOUND_VALUE && !l->sql   ? l
                               : e->u.window.upper == BOUND_VALUE && !u->sql ? u
                                                                             : NULL;

    if (order && (order->id == DTYPE_STRING || order->id == DTYPE_BOOLEAN || order->id == DTYPE_BINARY))
        return gen_fail(
            g, e, LC_ENGINE,
            "[DATATYPE_MISMATCH.SPECIFIED_WINDOW_FRAME_UNACCEPTED_TYPE] Cannot resolve \"%s\" due to data "
            "type mismatch: The data type of the lower bound \"%s\" does not match the expected data type "
            "(\"NUMERIC\" or \"INTERVAL\"). SQLSTATE: 42K09",
            f->words, gen_type_words(g, order));
    if (wrong)
        return gen_fail(g, e, LC_ENGINE,
                        "[DATATYPE_MISMATCH.RANGE_FRAME_INVALID_TYPE] Cannot resolve \"(%s%s%s)\" due to "
                        "data type mismatch: The "
                        "data type \"%s\" used in the order specification does not support the data type "
                        "\"%s\" which is used "
                        "in the range frame. SQLSTATE: 42K09",
                        lists, *lists ? " " : "", f->words, gen_type_words(g, order),
                        gen_type_words(g, wrong->type));
    if (both && l->at > u->at)
        return gen_fail(
            g, e, LC_ENGINE,
            "[DATATYPE_MISMATCH.SPECIFIED_WINDOW_FRAME_WRONG_COMPARISON] Cannot resolve \"%s\" due to data "
            "type mismatch: The lower bound of a window frame must be less than or equal to the upper bound. "
            "SQLSTATE: 42K09",
            f->words);
    return LC_OK;
}

/* A range by values has one order; its type, NULL: it is none. */
static enum lc range_order(struct gen *g, const struct scope *s, const struct expr *e,
                           const struct dtype **order)
{
    size_t first = 1 + e->u.window.partition_count;
    bool values = e->u.window.lower == BOUND_VALUE || e->u.window.upper == BOUND_VALUE;
    struct sx x;

    *order = NULL;
    if (e->u.window.frame != FRAME_RANGE || !values)
        return LC_OK;
    if (e->n > first + 1)
        return gen_fail(
            g, e, LC_ENGINE,
            "[DATATYPE_MISMATCH.RANGE_FRAME_MULTI_ORDER] Cannot resolve \"RANGE\" due to data type mismatch: "
            "A "
            "range window frame with value boundaries cannot be used in a window specification with multiple "
            "order by expressions. SQLSTATE: 42K09");
    *order = dtype_of(DTYPE_INT);
    if (e->n == first)
        return LC_OK;
    TRY(sx_expr(g, s, e->args[first]->kind == EXPR_SORT ? e->args[first]->args[0] : e->args[first], &x));
    *order = x.type;
    return LC_OK;
}

static enum lc frame_of(struct gen *g, const struct scope *s, const struct expr *e, const char *lists,
                        struct frame *f)
{
    const struct dtype *order;

    TRY(range_order(g, s, e, &order));
    TRY(edge_of(g, s, e, true, order, &f->lower));
    TRY(edge_of(g, s, e, false, order, &f->upper));
    f->words = gen_printf(g, "%s BETWEEN %s AND %s", e->u.window.frame == FRAME_ROWS ? "ROWS" : "RANGE",
                          f->lower.words, f->upper.words);
    return f->words ? check_frame(g, e, f, lists, order) : err_nomem(g->err);
}

/* A frame that ends before it begins has no rows, and is an error in DuckDB: one that lies behind all rows. */
static const char *frame_sql(struct gen *g, const struct expr *e, const struct frame *f)
{
    if (f->lower.at > f->upper.at)
        return gen_printf(g, " ROWS BETWEEN %" PRId64 " FOLLOWING AND %" PRId64 " FOLLOWING",
                          (int64_t)1 << 62, (int64_t)1 << 62);
    return gen_printf(g, " %s BETWEEN %s AND %s", e->u.window.frame == FRAME_ROWS ? "ROWS" : "RANGE",
                      edge_sql(g, &f->lower), edge_sql(g, &f->upper));
}

/* Without a frame: all rows, or those up to this one. */
static const char *usual_frame(struct gen *g, const struct scope *s, const struct expr *f,
                               const struct function *known, bool ordered)
{
    const char *lower = "UNBOUNDED PRECEDING", *upper = ordered ? "CURRENT ROW" : "UNBOUNDED FOLLOWING";
    bool rows = (known && known->kind == FUNCTION_WINDOW && !by_range(f)) || !ordered;

    own_frame(g, s, f, &lower, &upper);
    return gen_printf(g, "%s BETWEEN %s AND %s", rows ? "ROWS" : "RANGE", lower, upper);
}

static enum lc check_distinct(struct gen *g, const struct expr *e, const struct expr *f, const char *name)
{
    static const char *const distinct[] = {"count_distinct", "sum_distinct", "listagg_distinct",
                                           "string_agg_distinct"};
    bool is_distinct = f->u.call.distinct;

    for (size_t i = 0; i < sizeof distinct / sizeof *distinct; i++)
        is_distinct = is_distinct || strcmp(distinct[i], f->u.call.name) == 0;
    return !is_distinct ? LC_OK
                        : gen_fail(g, e, LC_ENGINE,
                                   "[DISTINCT_WINDOW_FUNCTION_UNSUPPORTED] Distinct window functions are not "
                                   "supported: \"%s\". SQLSTATE: 0A000",
                                   name);
}

/* What may stand before OVER. */
static enum lc check_function(struct gen *g, const struct expr *e, const struct expr *f,
                              const struct function *known)
{
    bool ordered = e->n > 1 + e->u.window.partition_count;

    if (f->kind != EXPR_CALL ||
        (known && known->kind != FUNCTION_AGGREGATE && known->kind != FUNCTION_WINDOW))
        return gen_fail(g, e, LC_ENGINE,
                        "[UNSUPPORTED_EXPR_FOR_WINDOW] Expression \"%s\" not supported within a window "
                        "function. SQLSTATE: "
                        "42P20",
                        f->kind == EXPR_CALL ? f->u.call.name : "…");
    if (known && known->kind == FUNCTION_WINDOW && !ordered)
        return gen_fail(
            g, e, LC_ENGINE,
            "[WINDOW_FUNCTION_FRAME_NOT_ORDERED] Window function %s requires the window to be "
            "ordered. You need to add an ORDER BY clause. For example: %s(…) OVER (PARTITION BY a "
            "ORDER BY b). SQLSTATE: 42601",
            f->u.call.name, f->u.call.name);
    return LC_OK;
}

/* Ranks have a frame of their own: one that is written must be that; lag and lead have none. */
static enum lc check_own_frame(struct gen *g, const struct expr *e, const struct expr *f)
{
    static const struct {
        const char *name;
        enum frame_kind kind; /* FRAME_NONE: none may be written */
    } rows[] = {{"row_number", FRAME_ROWS},   {"rank", FRAME_ROWS},  {"dense_rank", FRAME_ROWS},
                {"percent_rank", FRAME_ROWS}, {"ntile", FRAME_ROWS}, {"cume_dist", FRAME_RANGE},
                {"lag", FRAME_NONE},          {"lead", FRAME_NONE}};
    bool first_to_here = e->u.window.lower == BOUND_UNBOUNDED && e->u.window.upper == BOUND_CURRENT;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(rows[i].name, f->u.call.name) != 0)
            continue;
        if (rows[i].kind == FRAME_NONE)
            return gen_fail(g, e, LC_ENGINE,
                            "[_LEGACY_ERROR_TEMP_1035] Cannot specify window frame for %s function.",
                            f->u.call.name);
        if (e->u.window.frame == rows[i].kind && first_to_here)
            return LC_OK;
        return gen_fail(
            g, e, LC_ENGINE,
            "[_LEGACY_ERROR_TEMP_1036] The window frame of %s must be %s BETWEEN UNBOUNDED PRECEDING AND "
            "CURRENT ROW: leave it out.",
            f->u.call.name, rows[i].kind == FRAME_ROWS ? "ROWS" : "RANGE");
    }
    return LC_OK;
}

enum lc sx_window(struct gen *g, const struct scope *s, const struct expr *e, struct sx *out)
{
    const struct expr *f = e->args[0];
    const struct function *known =
        f->kind == EXPR_CALL ? function_find(f->u.call.name, f->n - f->u.call.n_orders) : NULL;
    struct buf sql = BUF_INIT(1 << 22), name = BUF_INIT(1 << 22);
    const char *over, *words, *lists;
    bool framed = e->u.window.frame != FRAME_NONE;
    struct frame frame = {.words = NULL};
    enum lc code;

    TRY(check_function(g, e, f, known));
    if (framed)
        TRY(check_own_frame(g, e, f));
    code = window_lists(g, s, e, &sql, &name);
    buf_puts(&name, "");
    lists = gen_take(g, &name);
    if (code == LC_OK && !lists)
        code = err_nomem(g->err);
    if (code == LC_OK && framed)
        code = frame_of(g, s, e, lists, &frame);
    if (code != LC_OK)
        return buf_release(&sql), code;
    if (framed)
        buf_puts(&sql, frame_sql(g, e, &frame));
    else
        frame.words = usual_frame(g, s, f, known, e->n > 1 + e->u.window.partition_count);
    buf_puts(&sql, "");
    over = gen_take(g, &sql);
    words = gen_printf(g, "%s%s%s", lists, *lists ? " " : "", frame.words);
    if (!over || !words)
        return err_nomem(g->err);
    TRY(sx_call(g, s, f, gen_printf(g, " OVER (%s)", over), out));
    out->name = gen_printf(g, "%s OVER (%s)", out->name, words);
    out->window = true;
    out->aggregate = false;
    return out->name ? check_distinct(g, e, f, out->name) : err_nomem(g->err);
}
