/* encode_expression.c: Expression. */
#include "runtime/base/mem.h"
#include "runtime/dataframe/connect/encode_int.h"
#include "runtime/dataframe/interval.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { /* fields of Expression */
       X_LITERAL = 1,
       X_ATTRIBUTE = 2,
       X_FUNCTION = 3,
       X_TEXT = 4,
       X_STAR = 5,
       X_ALIAS = 6,
       X_CAST = 7,
       X_SORT = 9,
       X_LAMBDA = 10,
       X_WINDOW = 11,
       X_EXTRACT = 12,
       X_UPDATE = 13,
       X_VARIABLE = 14,
       X_SUBQUERY = 21
};

char *encode_name(char *const *parts, size_t n)
{
    struct buf out = BUF_INIT(1 << 20);

    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_putc(&out, '.');
        name_quote(&out, parts[i]);
    }
    buf_puts(&out, "");
    return buf_take(&out);
}

static void put_name(struct encoder *e, unsigned field, char *const *parts, size_t n)
{
    char *name = encode_name(parts, n);

    if (!name)
        encode_fail(e, LC_NOMEM, "a column's name");
    pb_text(e->out, field, name);
    mem_free(name);
}

/* ---- literals ---- */
static void put_decimal(struct buf *out, const struct expr *x)
{
    size_t mark = pb_begin(out, 12);

    pb_bytes(out, 1, x->u.literal.s, x->u.literal.len);
    pb_int(out, 2, x->u.literal.type->precision);
    pb_int(out, 3, x->u.literal.type->scale);
    pb_end(out, mark);
}

static void read_interval(const struct expr *x, int64_t *months, int64_t *days, int64_t *micros)
{
    char *rest;

    *months = strtoll(x->u.literal.s, &rest, 10);
    *days = strtoll(rest, &rest, 10);
    *micros = strtoll(rest, NULL, 10);
}

static void put_interval(struct buf *out, const struct expr *x)
{
    enum { DAY_SECONDS = 86400 };
    enum interval_kind kind = dtype_interval_kind(x->u.literal.type);
    int64_t months, days, micros;
    size_t mark;

    read_interval(x, &months, &days, &micros);
    if (kind == INTERVAL_YEAR_MONTH) {
        pb_int(out, 20, months);
    } else if (kind == INTERVAL_DAY_TIME) {
        pb_int(out, 21, days * DAY_SECONDS * 1000000 + micros);
    } else {
        mark = pb_begin(out, 19);
        pb_int(out, 1, months);
        pb_int(out, 2, days);
        pb_int(out, 3, micros);
        pb_end(out, mark);
    }
}

/* The field of Literal that a number goes to. */
static const unsigned char number_fields[DTYPE_COUNT] = {
    [DTYPE_BOOLEAN] = 3, [DTYPE_BYTE] = 4,  [DTYPE_SHORT] = 5,      [DTYPE_INT] = 6,
    [DTYPE_LONG] = 7,    [DTYPE_DATE] = 16, [DTYPE_TIMESTAMP] = 17, [DTYPE_TIMESTAMP_NTZ] = 18};

static void put_literal(struct encoder *e, const struct expr *x)
{
    const struct dtype *type = x->u.literal.type;
    struct buf *out = e->out;

    if (x->u.literal.is_null)
        connect_type(out, 1, type);
    else if (number_fields[type->id])
        pb_int(out, number_fields[type->id], x->u.literal.i);
    else if (type->id == DTYPE_FLOAT)
        pb_float(out, 10, (float)x->u.literal.f);
    else if (type->id == DTYPE_DOUBLE)
        pb_double(out, 11, x->u.literal.f);
    else if (type->id == DTYPE_DECIMAL)
        put_decimal(out, x);
    else if (type->id == DTYPE_STRING)
        pb_bytes(out, 13, x->u.literal.s, x->u.literal.len);
    else if (type->id == DTYPE_BINARY)
        pb_bytes(out, 2, x->u.literal.s, x->u.literal.len);
    else if (type->id == DTYPE_INTERVAL)
        put_interval(out, x);
    else
        encode_fail(e, LC_UNSUPPORTED, "a literal of this type");
}

static void put_wide(struct encoder *e, const struct expr *x)
{
    if (!x->u.literal.is_null && dtype_is_integral(x->u.literal.type))
        pb_int(e->out, number_fields[DTYPE_LONG], x->u.literal.i);
    else
        put_literal(e, x);
}

void encode_literal(struct encoder *e, unsigned field, const struct expr *x)
{
    const struct expr *inner = x;
    size_t mark;

    while (inner->kind == EXPR_ALIAS)
        inner = inner->args[0];
    if (inner->kind != EXPR_LITERAL) {
        encode_fail(e, LC_UNSUPPORTED, "a value that is not a literal, here");
        return;
    }
    mark = pb_begin(e->out, field);
    put_wide(e, inner);
    pb_end(e->out, mark);
}

/* ---- names ---- */
static void put_attribute(struct encoder *e, const struct expr *x)
{
    put_name(e, 1, x->u.name.parts, x->u.name.n_parts);
    if (x->u.name.plan_id)
        pb_int(e->out, 2, x->u.name.plan_id);
}

static void put_star(struct encoder *e, const struct expr *x)
{
    char *name = encode_name(x->u.name.parts, x->u.name.n_parts);

    if (name && x->u.name.n_parts) {
        struct buf target = BUF_INIT(1 << 20);
        buf_printf(&target, "%s.*", name);
        pb_text(e->out, 1, buf_str(&target));
        buf_release(&target);
    }
    mem_free(name);
    if (x->u.name.plan_id)
        pb_int(e->out, 2, x->u.name.plan_id);
}

static void put_variable(struct encoder *e, const struct expr *x)
{
    for (size_t i = 0; i < x->u.name.n_parts; i++)
        pb_text(e->out, 1, x->u.name.parts[i]);
}

/* ---- calls ---- */
static void put_function(struct encoder *e, const char *name, struct expr *const *args, size_t n,
                         bool distinct)
{
    pb_text(e->out, 1, name);
    encode_exprs(e, 2, args, n);
    if (distinct)
        pb_int(e->out, 3, 1);
}

static bool takes_null(const struct expr *x)
{
    static const char *const names[] = {"first", "first_value", "last", "last_value", "any_value"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], x->u.call.name) == 0)
            return x->n == 1 || x->args[1]->kind != EXPR_LITERAL || !x->args[1]->u.literal.i;
    return false;
}

/* first(x) FILTER (WHERE c) may be a NULL of x: get(first(CASE WHEN c THEN array(x) END, true), 0) */
static void put_filtered_end(struct encoder *e, const struct expr *x)
{
    struct expr *inner = expr_ref(x->args[0]);
    struct expr *when[2] = {expr_ref(x->u.call.filter), expr_call("array", false, &inner, 1)};
    struct expr *end[2] = {expr_call("when", false, when, 2), expr_bool(true)};
    struct expr *get[2] = {expr_call(x->u.call.name, false, end, 2), expr_int(0)};

    if (get[0] && get[1])
        put_function(e, "get", get, 2, false);
    else
        encode_fail(e, LC_NOMEM, "an aggregate");
    expr_unref(get[0]);
    expr_unref(get[1]);
}

/* f(x) FILTER (WHERE c) has no message of its own: f(CASE WHEN c THEN x END), for functions that leave NULLs out, is the same. */
static void put_filtered(struct encoder *e, const struct expr *x)
{
    struct expr *when[2], *call;
    bool star = x->n == 1 && x->args[0]->kind == EXPR_STAR;

    if (x->n > 0 && takes_null(x)) {
        put_filtered_end(e, x);
        return;
    }
    if (x->n == 0) {
        encode_fail(e, LC_UNSUPPORTED, "FILTER (WHERE …) of this function");
        return;
    }
    when[0] = expr_ref(x->u.call.filter);
    when[1] = star ? expr_int(1) : expr_ref(x->args[0]);
    call = expr_call("when", false, when, 2);
    if (!call) {
        encode_fail(e, LC_NOMEM, "an aggregate");
        return;
    }
    pb_text(e->out, 1, x->u.call.name);
    encode_expr(e, 2, call);
    encode_exprs(e, 2, x->args + 1, x->n - 1);
    if (x->u.call.distinct)
        pb_int(e->out, 3, 1);
    expr_unref(call);
}

static void put_not_equal(struct encoder *e, const struct expr *x)
{
    size_t argument, call;

    pb_text(e->out, 1, "not");
    argument = pb_begin(e->out, 2);
    call = pb_begin(e->out, X_FUNCTION);
    put_function(e, "==", x->args, x->n, false);
    pb_end(e->out, call);
    pb_end(e->out, argument);
}

/* Names that the server knows as another function; n: with so many arguments only, 0: any number. */
static const struct {
    const char *name, *there;
    bool distinct;
    size_t n;
} renamed[] = {{"bitwise_not", "~", false, 0},
               {"count_distinct", "count", true, 0},
               {"listagg_distinct", "listagg", true, 0},
               {"string_agg_distinct", "string_agg", true, 0},
               {"create_map", "map", false, 0},
               {"negate", "negative", false, 0},
               {"-", "negative", false, 1},
               {"+", "positive", false, 1},
               {"sum_distinct", "sum", true, 0}};

static bool put_renamed(struct encoder *e, const struct expr *x)
{
    for (size_t i = 0; i < sizeof renamed / sizeof *renamed; i++)
        if (strcmp(renamed[i].name, x->u.call.name) == 0 && (!renamed[i].n || renamed[i].n == x->n)) {
            put_function(e, renamed[i].there, x->args, x->n, renamed[i].distinct);
            return true;
        }
    return false;
}

/* A text goes before what is cut off it here, behind it there. */
static bool put_trim(struct encoder *e, const struct expr *x)
{
    static const char *const names[] = {"trim", "ltrim", "rtrim"};

    for (size_t i = 0; x->n == 2 && i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], x->u.call.name) == 0) {
            struct expr *swapped[2] = {x->args[1], x->args[0]};

            put_function(e, names[i], swapped, 2, false);
            return true;
        }
    return false;
}

static void put_call(struct encoder *e, const struct expr *x)
{
    if (x->u.call.filter)
        put_filtered(e, x);
    else if (put_renamed(e, x) || put_trim(e, x))
        return;
    else if (strcmp(x->u.call.name, "!=") == 0)
        put_not_equal(e, x);
    else
        put_function(e, x->u.call.name, x->args, x->n, x->u.call.distinct);
}

static void put_alias(struct encoder *e, const struct expr *x)
{
    encode_expr(e, 1, x->args[0]);
    for (size_t i = 0; i < x->u.alias.n_names; i++)
        pb_text(e->out, 2, x->u.alias.names[i]);
    pb_text(e->out, 3, x->u.alias.metadata);
}

void encode_alias(struct encoder *e, unsigned field, const struct expr *x)
{
    size_t mark = pb_begin(e->out, field);

    if (x->kind == EXPR_ALIAS)
        put_alias(e, x);
    else
        encode_fail(e, LC_INTERNAL, "a column without a name");
    pb_end(e->out, mark);
}

static void put_cast(struct encoder *e, const struct expr *x)
{
    enum { EVAL_TRY = 3 };

    encode_expr(e, 1, x->args[0]);
    connect_type(e->out, 2, x->u.cast.type);
    if (x->u.cast.try)
        pb_int(e->out, 4, EVAL_TRY);
}

static void put_extract(struct encoder *e, const struct expr *x)
{
    encode_expr(e, 1, x->args[0]);
    encode_expr(e, 2, x->args[1]);
}

/* ---- orders and windows ---- */
/* What show makes of a value is a function of its own here, but not there. */
static bool is_show_text(const struct expr *x)
{
    return x->kind == EXPR_CALL && x->n == 1 && strcmp(x->u.call.name, "toprettystring") == 0;
}

static void put_show_text(struct encoder *e, const struct expr *x)
{
    encode_expr(e, 1, x->args[0]);
    connect_type(e->out, 2, dtype_of(DTYPE_STRING));
}

static void put_sort(struct encoder *e, const struct expr *x)
{
    bool said = x->kind == EXPR_SORT;

    encode_expr(e, 1, said ? x->args[0] : x);
    pb_int(e->out, 2, said && x->u.sort.descending ? 2 : 1);
    pb_int(e->out, 3, said && x->u.sort.nulls_last ? 2 : 1);
}

void encode_sort(struct encoder *e, unsigned field, const struct expr *x)
{
    size_t mark = pb_begin(e->out, field);

    put_sort(e, x);
    pb_end(e->out, mark);
}

static void put_bound(struct encoder *e, unsigned field, enum frame_bound kind, int64_t value,
                      const struct expr *of)
{
    size_t mark = pb_begin(e->out, field);

    if (kind == BOUND_CURRENT)
        pb_int(e->out, 1, 1);
    else if (kind == BOUND_UNBOUNDED)
        pb_int(e->out, 2, 1);
    else {
        struct expr *x = !of ? expr_int(value) : value < 0 ? expr_unary("-", expr_ref(of)) : expr_ref(of);
        encode_expr(e, 3, x);
        expr_unref(x);
    }
    pb_end(e->out, mark);
}

static void put_window(struct encoder *e, const struct expr *x)
{
    size_t partitions = x->u.window.partition_count, mark;

    encode_expr(e, 1, x->args[0]);
    encode_exprs(e, 2, x->args + 1, partitions);
    for (size_t i = 1 + partitions; i < x->n; i++)
        encode_sort(e, 3, x->args[i]);
    if (x->u.window.frame == FRAME_NONE)
        return;
    mark = pb_begin(e->out, 4);
    pb_int(e->out, 1, x->u.window.frame == FRAME_ROWS ? 1 : 2);
    put_bound(e, 2, x->u.window.lower, x->u.window.lower_value, x->u.window.lower_of);
    put_bound(e, 3, x->u.window.upper, x->u.window.upper_value, x->u.window.upper_of);
    pb_end(e->out, mark);
}

static void put_lambda(struct encoder *e, const struct expr *x)
{
    encode_expr(e, 1, x->args[0]);
    for (size_t i = 0; i < x->u.lambda.n_params; i++) {
        size_t mark = pb_begin(e->out, 2);
        pb_text(e->out, 1, x->u.lambda.params[i]);
        pb_end(e->out, mark);
    }
}

/* ---- subqueries: by the id of a plan that goes along beside the main one ---- */
static void remember(struct encoder *e, const struct expr *x)
{
    const struct expr **more = mem_reallocn(e->subqueries, e->n_subqueries + 1, sizeof(*more));

    if (!more) {
        encode_fail(e, LC_NOMEM, "a subquery");
        return;
    }
    e->subqueries = more;
    e->subqueries[e->n_subqueries++] = x;
}

static void put_subquery(struct encoder *e, const struct expr *x)
{
    static const unsigned char types[] = {[SUBQUERY_SCALAR] = 1, [SUBQUERY_EXISTS] = 2, [SUBQUERY_IN] = 4};

    remember(e, x);
    pb_int(e->out, 1, x->u.subquery.plan->id);
    pb_int(e->out, 2, types[x->u.subquery.kind]);
    encode_exprs(e, 4, x->args, x->n);
}

/* ---- all of them ---- */
static const struct {
    unsigned field;
    void (*put)(struct encoder *e, const struct expr *x);
} kinds[EXPR_KIND_COUNT] = {
    [EXPR_LITERAL] = {X_LITERAL, put_literal}, [EXPR_ATTRIBUTE] = {X_ATTRIBUTE, put_attribute},
    [EXPR_STAR] = {X_STAR, put_star},          [EXPR_CALL] = {X_FUNCTION, put_call},
    [EXPR_ALIAS] = {X_ALIAS, put_alias},       [EXPR_CAST] = {X_CAST, put_cast},
    [EXPR_SORT] = {X_SORT, put_sort},          [EXPR_WINDOW] = {X_WINDOW, put_window},
    [EXPR_LAMBDA] = {X_LAMBDA, put_lambda},    [EXPR_VARIABLE] = {X_VARIABLE, put_variable},
    [EXPR_EXTRACT] = {X_EXTRACT, put_extract}, [EXPR_SUBQUERY] = {X_SUBQUERY, put_subquery}};

/* Fields of a struct: with_field(struct, name, value), drop_fields(struct, name, …). */
static bool is_update(const struct expr *x)
{
    bool with = x->kind == EXPR_CALL && x->n == 3 && strcmp(x->u.call.name, "with_field") == 0;
    bool drop = x->kind == EXPR_CALL && x->n >= 2 && strcmp(x->u.call.name, "drop_fields") == 0;

    for (size_t i = 1; i < (with ? 2 : x->n); i++)
        if ((with || drop) &&
            (x->args[i]->kind != EXPR_LITERAL || x->args[i]->u.literal.type->id != DTYPE_STRING))
            return false;
    return with || drop;
}

/* The struct with what the arguments up to the n-th say. */
static void put_update(struct encoder *e, const struct expr *x, size_t n)
{
    bool with = strcmp(x->u.call.name, "with_field") == 0;
    size_t update = pb_begin(e->out, X_UPDATE), inner;

    if (with || n == 2) {
        encode_expr(e, 1, x->args[0]);
    } else {
        inner = pb_begin(e->out, 1);
        put_update(e, x, n - 1);
        pb_end(e->out, inner);
    }
    pb_bytes(e->out, 2, x->args[with ? 1 : n - 1]->u.literal.s, x->args[with ? 1 : n - 1]->u.literal.len);
    if (with)
        encode_expr(e, 3, x->args[2]);
    pb_end(e->out, update);
}

/* A Lua function that was seen to be an expression, lua_expression(name, type, lambda, argument, …): its body, with the arguments in
 * place of the parameters. */
static bool is_lua_expression(const struct expr *x)
{
    return x->kind == EXPR_CALL && x->n >= 3 && strcmp(x->u.call.name, "lua_expression") == 0 &&
           x->args[1]->kind == EXPR_LITERAL && x->args[1]->u.literal.type->id == DTYPE_STRING &&
           x->args[2]->kind == EXPR_LAMBDA;
}

static void put_lua_expression(struct encoder *e, const struct expr *x)
{
    const struct expr *outer = e->bound;
    size_t cast = pb_begin(e->out, X_CAST);

    e->bound = x;
    encode_expr(e, 1, x->args[2]->args[0]);
    e->bound = outer;
    pb_bytes(e->out, 3, x->args[1]->u.literal.s, x->args[1]->u.literal.len);
    pb_end(e->out, cast);
}

/* The argument that a variable stands for, or NULL. */
static const struct expr *argument_of(const struct encoder *e, const struct expr *x)
{
    const struct expr *lambda = e->bound ? e->bound->args[2] : NULL;

    for (size_t i = 0;
         lambda && x->kind == EXPR_VARIABLE && i < lambda->u.lambda.n_params && i + 3 < e->bound->n; i++)
        if (strcmp(lambda->u.lambda.params[i], x->u.name.parts[0]) == 0)
            return e->bound->args[i + 3];
    return NULL;
}

static void refuse_lua(struct encoder *e)
{
    encode_fail(e, LC_UNSUPPORTED, "a Lua function that is not a simple expression");
    err_hint(e->err, "Spark runs no Lua: write it with functions of F, or collect the rows and go on here");
}

/* TIMESTAMP '2024-01-01' has a name of its own, so it goes as a text. */
static bool is_typed_text(const struct expr *x)
{
    return x->kind == EXPR_CAST && x->u.cast.typed && x->args[0]->kind == EXPR_LITERAL &&
           !x->args[0]->u.literal.is_null && x->args[0]->u.literal.type->id == DTYPE_STRING;
}

static void put_typed_text(struct encoder *e, const struct expr *x)
{
    const struct expr *text = x->args[0];
    struct buf sql = BUF_INIT(1 << 20);

    if (x->u.cast.type->id == DTYPE_TIME) /* a literal says no precision */
        buf_puts(&sql, "TIME");
    else
        dtype_sql(x->u.cast.type, &sql);
    buf_puts(&sql, " '");
    for (size_t i = 0; i < text->u.literal.len; i++) {
        if (text->u.literal.s[i] == '\'' || text->u.literal.s[i] == '\\')
            buf_putc(&sql, '\\');
        buf_putc(&sql, text->u.literal.s[i]);
    }
    buf_putc(&sql, '\'');
    pb_text(e->out, 1, buf_str(&sql));
    buf_release(&sql);
}

/* INTERVAL '3' HOUR: a literal of the protocol has all the fields of its kind, so one that has fewer goes as a text. */
static bool is_short_interval(const struct expr *x)
{
    const struct dtype *t = x->kind == EXPR_LITERAL && !x->u.literal.is_null ? x->u.literal.type : NULL;

    if (!t || t->id != DTYPE_INTERVAL || dtype_interval_kind(t) == INTERVAL_CALENDAR)
        return false;
    return t->scale != (dtype_interval_kind(t) == INTERVAL_YEAR_MONTH ? 1 : 3);
}

static void put_short_interval(struct encoder *e, const struct expr *x)
{
    const struct dtype *t = x->u.literal.type;
    struct buf sql = BUF_INIT(200);
    int64_t months, days, micros;

    read_interval(x, &months, &days, &micros);
    interval_text(&sql, dtype_interval_kind(t), t->scale, months, days, micros);
    pb_text(e->out, 1, buf_str(&sql));
    buf_release(&sql);
}

/* 1.5F: a literal there. */
static bool is_float_literal(const struct expr *x)
{
    return x->kind == EXPR_CAST && x->u.cast.quiet && x->u.cast.type->id == DTYPE_FLOAT &&
           x->args[0]->kind == EXPR_LITERAL && x->args[0]->u.literal.type->id == DTYPE_DOUBLE &&
           !x->args[0]->u.literal.is_null;
}

/* double('NaN') is a function of the type's name there. */
static void put_type_call(struct encoder *e, const struct expr *x)
{
    struct buf name = BUF_INIT(100);

    if (x->u.cast.type->id == DTYPE_DECIMAL) /* without its digits */
        buf_puts(&name, "decimal");
    else
        dtype_simple(x->u.cast.type, &name);
    put_function(e, buf_str(&name), x->args, 1, false);
    buf_release(&name);
}

static void put_expression(struct encoder *e, const struct expr *x)
{
    size_t mark;

    if (x->kind >= EXPR_KIND_COUNT || !kinds[x->kind].put) {
        encode_fail(e, LC_UNSUPPORTED, "an expression of this kind");
        return;
    }
    if (x->kind == EXPR_CALL && x->u.call.n_orders > 0) {
        encode_fail(e, LC_UNSUPPORTED, "WITHIN GROUP in an expression");
        err_hint(e->err, "write the query as text: spark:sql(\"SELECT … WITHIN GROUP (ORDER BY …) FROM "
                         "{df}\", {df = df})");
        return;
    }
    if (x->kind == EXPR_CALL && strcmp(x->u.call.name, "lua_udf") == 0) {
        refuse_lua(e);
        return;
    }
    if (expr_is_outer(x)) { /* the server sees from where it stands whose it is */
        put_expression(e, x->args[0]);
        return;
    }
    if (is_update(x)) {
        put_update(e, x, x->n);
        return;
    }
    if (is_lua_expression(x)) {
        put_lua_expression(e, x);
        return;
    }
    if (x->kind == EXPR_CAST && x->u.cast.quiet && !is_float_literal(x)) {
        mark = pb_begin(e->out, X_FUNCTION);
        put_type_call(e, x);
        pb_end(e->out, mark);
        return;
    }
    if (is_float_literal(x)) {
        mark = pb_begin(e->out, X_LITERAL);
        pb_float(e->out, 10, (float)x->args[0]->u.literal.f);
        pb_end(e->out, mark);
        return;
    }
    mark = pb_begin(e->out, is_typed_text(x) || is_short_interval(x) ? X_TEXT
                            : is_show_text(x)                        ? X_CAST
                                                                     : kinds[x->kind].field);
    if (is_typed_text(x))
        put_typed_text(e, x);
    else if (is_short_interval(x))
        put_short_interval(e, x);
    else if (is_show_text(x))
        put_show_text(e, x);
    else
        kinds[x->kind].put(e, x);
    pb_end(e->out, mark);
}

/* NOT EXISTS and NOT IN are a call around the subquery. */
static void put_negated(struct encoder *e, const struct expr *x)
{
    size_t call = pb_begin(e->out, X_FUNCTION), argument;

    pb_text(e->out, 1, "not");
    argument = pb_begin(e->out, 2);
    put_expression(e, x);
    pb_end(e->out, argument);
    pb_end(e->out, call);
}

void encode_expr(struct encoder *e, unsigned field, const struct expr *x)
{
    size_t mark;

    const struct expr *argument = x ? argument_of(e, x) : NULL, *outer = e->bound;

    if (!x || !encode_enter(e))
        return;
    if (argument) { /* it means what it means outside */
        e->bound = NULL;
        encode_expr(e, field, argument);
        e->bound = outer;
        e->depth--;
        return;
    }
    mark = pb_begin(e->out, field);
    if (x->kind == EXPR_SUBQUERY && x->u.subquery.negated)
        put_negated(e, x);
    else
        put_expression(e, x);
    pb_end(e->out, mark);
    e->depth--;
}

void encode_exprs(struct encoder *e, unsigned field, struct expr *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        encode_expr(e, field, list[i]);
}
