/* derived_lua.c: methods of DataFrame that are made of plainer relations: describe, summary, replace, toJSON. */
#include "runtime/base/mem.h"
#include "runtime/spark/args_lua.h"
#include "runtime/spark/column_lua.h"
#include "runtime/spark/dataframe_lua.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- describe, summary ---- */
struct statistic {
    const char *label, *function;
    bool numbers; /* of texts it is taken after a cast to DOUBLE */
};

static const struct statistic statistics[] = {{"count", "count", false},
                                              {"mean", "avg", true},
                                              {"stddev", "stddev", true},
                                              {"min", "min", false},
                                              {"max", "max", false},
                                              {"count_distinct", "count", false},
                                              {"approx_count_distinct", "approx_count_distinct", false}};

/* "25%" gives 0.25; -1 for other texts. */
static double percentile_of(const char *label)
{
    char *end;
    double p = strtod(label, &end);

    return end != label && strcmp(end, "%") == 0 && p >= 0 && p <= 100 ? p / 100 : -1;
}

static const struct statistic *statistic_named(const char *label)
{
    for (size_t i = 0; i < sizeof statistics / sizeof *statistics; i++)
        if (strcmp(statistics[i].label, label) == 0)
            return &statistics[i];
    return NULL;
}

static struct expr *replaced(struct expr *e, const char *pattern, const char *by)
{
    struct expr *args[] = {e, expr_string(pattern, strlen(pattern)), expr_string(by, strlen(by))};

    return expr_call("regexp_replace", false, args, 3);
}

/* The text of a decimal that Spark made of a DOUBLE, without its scale: 3.5 of 3.50, 10.0 of 10.00, 10000000 of 10000000.00, and
 * two digits at least of what is less than a thousandth. Takes over e. */
static struct expr *unscaled_text(struct expr *e)
{
    struct expr *size = expr_unary("abs", expr_ref(e)), *plain, *args[5], *between[3];
    const char *one_digit = "^-?0\\.0*[1-9]$";

    plain = replaced(expr_cast(expr_ref(e), dtype_of(DTYPE_STRING), false), "(\\.[0-9]*?)0+$", "$1");
    plain = replaced(plain, "\\.$", "");
    between[0] = expr_ref(size);
    between[1] = expr_decimal("0.001");
    between[2] = expr_decimal("9999999.9999999999");
    args[0] =
        expr_binary("or", expr_call("between", false, between, 3), expr_binary("==", size, expr_int(0)));
    args[1] = expr_cast(expr_cast(e, dtype_of(DTYPE_DOUBLE), false), dtype_of(DTYPE_STRING), false);
    args[2] = expr_binary("rlike", expr_ref(plain), expr_string(one_digit, strlen(one_digit)));
    args[3] = expr_binary("concat", expr_ref(plain), expr_string("0", 1));
    args[4] = plain;
    return expr_call("when", false, args, 5);
}

static struct expr *statistic_expr(const char *label, const struct dfield *f)
{
    const struct statistic *s = statistic_named(label);
    struct expr *e = expr_attribute((const char *const *)&f->name, 1, 0);
    bool distinct = strcmp(label, "count_distinct") == 0;

    if (!dtype_is_numeric(f->type) && (!s || s->numbers))
        e = expr_cast(e, dtype_of(DTYPE_DOUBLE), true);
    if (!s)
        e = expr_binary("percentile_approx", e, expr_double(percentile_of(label)));
    else if (distinct)
        e = expr_call("count", true, &e, 1);
    else
        e = expr_unary(s->function, e);
    if (!s && f->type->id == DTYPE_DECIMAL)
        return expr_alias(unscaled_text(e), f->name);
    return expr_alias(expr_cast(e, dtype_of(DTYPE_STRING), false), f->name);
}

/* One row: the label, and the statistic of each column of numbers or texts. exprs has room for all. */
static const struct plan *statistic_row(const struct plan *p, const struct dtype *schema, const char *label,
                                        struct expr **exprs)
{
    size_t n = 0;

    exprs[n++] = expr_alias(expr_string(label, strlen(label)), "summary");
    for (size_t i = 0; i < schema->n_fields; i++)
        if (dtype_is_numeric(schema->fields[i].type) || schema->fields[i].type->id == DTYPE_STRING)
            exprs[n++] = statistic_expr(label, &schema->fields[i]);
    return plan_aggregate(plan_ref(p), GROUP_BY, NULL, 0, exprs, n);
}

static int push_summary(lua_State *L, int dataframe, const char *const *labels, int n)
{
    const struct plan *p = dataframe_check(L, dataframe), *all = NULL;
    const struct dtype *schema = dataframe_schema(L, dataframe);
    struct expr **exprs = lua_newuserdatauv(L, sizeof *exprs * (schema->n_fields + 1), 0);

    for (int i = 0; i < n; i++) {
        const struct plan *one = statistic_row(p, schema, labels[i], exprs);
        all = all ? plan_set_op(all, one, SET_UNION, true, false, false) : one;
    }
    return dataframe_push(L, all);
}

int dataframe_describe(lua_State *L)
{
    static const char *const labels[] = {"count", "mean", "stddev", "min", "max"};
    const struct plan *p = dataframe_check(L, 1);
    int n = spark_list(L, 2);

    if (n > 0) {
        struct expr **exprs = column_list(L, 2, n, COLUMN_NAME);
        dataframe_push(L, plan_project(plan_ref(p), exprs, (size_t)n));
    }
    return push_summary(L, n > 0 ? lua_gettop(L) : 1, labels, sizeof labels / sizeof *labels);
}

int dataframe_summary(lua_State *L)
{
    static const char *const usual[] = {"count", "mean", "stddev", "min", "25%", "50%", "75%", "max"};
    const char **labels;
    int n;

    dataframe_check(L, 1);
    n = spark_list(L, 2);
    if (n == 0)
        return push_summary(L, 1, usual, sizeof usual / sizeof *usual);
    labels = lua_newuserdatauv(L, sizeof *labels * (size_t)n, 0);
    for (int i = 0; i < n; i++) {
        labels[i] = spark_text(L, 2 + i);
        if (!statistic_named(labels[i]) && percentile_of(labels[i]) < 0)
            return luaL_error(L,
                              "[UNRECOGNIZED_STATISTIC] '%s' is no statistic of summary: count, mean, "
                              "stddev, min, max, count_distinct, "
                              "approx_count_distinct, or a percentile like 25%%",
                              labels[i]);
    }
    return push_summary(L, 1, labels, n);
}

/* ---- replace ---- */
static bool fits(int lua_type_of, const struct dtype *type)
{
    return (lua_type_of == LUA_TNUMBER && dtype_is_numeric(type)) ||
           (lua_type_of == LUA_TSTRING && type->id == DTYPE_STRING) ||
           (lua_type_of == LUA_TBOOLEAN && type->id == DTYPE_BOOLEAN);
}

static void push_pair(lua_State *L, int pairs, int from, int to)
{
    lua_Integer n = (lua_Integer)lua_rawlen(L, pairs);

    if (!lua_isnumber(L, from) && !lua_isstring(L, from) && !lua_isboolean(L, from))
        luaL_error(L, "replace: a number, a text or a boolean expected, got %s", luaL_typename(L, from));
    if (!lua_isnil(L, to) && !lua_islightuserdata(L, to) && lua_type(L, to) != lua_type(L, from))
        luaL_error(L, "[MIXED_TYPE_REPLACEMENT] replace: a %s cannot become a %s: cast the column first",
                   luaL_typename(L, from), luaL_typename(L, to));
    lua_pushvalue(L, from);
    lua_rawseti(L, pairs, n + 1);
    lua_pushvalue(L, to);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_pushlightuserdata(L, NULL);
    }
    lua_rawseti(L, pairs, n + 2);
}

/* Pushes {from, to, from, to, …} for (from, to): two values, a list and a value, two lists, or a table from → to. given: there is
 * a second one, be it NULL */
static int push_pairs(lua_State *L, int from, int to, bool given)
{
    int pairs, n;

    lua_newtable(L);
    pairs = lua_gettop(L);
    if (!lua_istable(L, from)) {
        if (!given)
            luaL_error(L,
                       "[ARGUMENT_REQUIRED] replace: a value to put in place of it expected (null for NULL)");
        push_pair(L, pairs, from, to);
    } else if (lua_isnil(L, to)) {
        for (lua_pushnil(L); lua_next(L, from); lua_pop(L, 1))
            push_pair(L, pairs, lua_gettop(L) - 1, lua_gettop(L));
    } else {
        n = (int)lua_rawlen(L, from);
        if (lua_istable(L, to) && (int)lua_rawlen(L, to) != n)
            luaL_error(L, "replace: %d values to replace, %d to replace them with", n,
                       (int)lua_rawlen(L, to));
        for (int i = 1; i <= n; i++, lua_pop(L, 2)) {
            lua_rawgeti(L, from, i);
            if (lua_istable(L, to))
                lua_rawgeti(L, to, i);
            else
                lua_pushvalue(L, to);
            push_pair(L, pairs, lua_gettop(L) - 1, lua_gettop(L));
        }
    }
    return pairs;
}

/* Pushes the Column CASE WHEN column = from THEN to … ELSE column END; false when no pair fits its type. */
static bool push_replaced(lua_State *L, const struct dfield *f, int pairs)
{
    int n = (int)lua_rawlen(L, pairs), top = lua_gettop(L);
    struct expr **args = lua_newuserdatauv(L, sizeof *args * (size_t)(n + 1), 0);
    size_t used = 0;

    for (int i = 1; i <= n; i += 2, lua_settop(L, top + 1)) {
        lua_rawgeti(L, pairs, i);
        lua_rawgeti(L, pairs, i + 1);
        if (!fits(lua_type(L, -2), f->type))
            continue;
        struct expr *from = column_arg(L, -2, COLUMN_VALUE), *to = column_arg(L, -1, COLUMN_VALUE);
        args[used++] = expr_binary("==", expr_attribute((const char *const *)&f->name, 1, 0), expr_ref(from));
        args[used++] = expr_cast(expr_ref(to), dtype_ref(f->type), false);
    }
    if (used > 0) {
        args[used++] = expr_attribute((const char *const *)&f->name, 1, 0);
        column_push(L, expr_alias(expr_call("when", false, args, used), f->name));
        lua_replace(L, top + 1);
    }
    lua_settop(L, used > 0 ? top + 1 : top);
    return used > 0;
}

/* The columns of the subset (nil: all of them), as a DataFrame has checked their names; borrowed from it, on the stack. */
static const struct dtype *subset_columns(lua_State *L, int subset)
{
    const struct plan *p = dataframe_check(L, 1);
    int first = lua_gettop(L) + 1, n;

    if (lua_isnil(L, subset))
        return dataframe_schema(L, 1);
    lua_pushvalue(L, subset);
    n = spark_list(L, first);
    for (int i = 0; i < n; i++)
        column_one(L, first + i, "a column of the subset expected");
    struct expr **columns = column_list(L, first, n, COLUMN_NAME);
    dataframe_push(L, plan_project(plan_ref(p), columns, (size_t)n));
    return dataframe_schema(L, -1);
}

static bool is_in(const struct dtype *columns, const char *name)
{
    for (size_t i = 0; i < columns->n_fields; i++)
        if (strcasecmp(columns->fields[i].name, name) == 0)
            return true;
    return false;
}

/* replace(from, to, subset), replace{to_replace = from, value = to, subset = …}; whether there is a `to`. */
static bool replace_args(lua_State *L)
{
    static const char *const names[] = {"to_replace", "value", "subset", NULL};
    bool named = false, given;

    if (lua_gettop(L) == 2 && spark_is_plain_table(L, 2)) {
        named = lua_getfield(L, 2, names[0]) != LUA_TNIL;
        lua_settop(L, 2);
    }
    given = lua_gettop(L) > 2 || (named && lua_getfield(L, 2, names[1]) != LUA_TNIL);
    if (named) {
        lua_settop(L, 2);
        spark_args(L, 2, names);
    }
    lua_settop(L, 4);
    return given;
}

int dataframe_replace(lua_State *L)
{
    const struct plan *p = dataframe_check(L, 1);
    const struct dtype *schema = dataframe_schema(L, 1);
    const struct dtype *subset;
    int pairs, first, n = 0;
    struct expr **columns;

    luaL_checkany(L, 2);
    pairs = push_pairs(L, 2, 3, replace_args(L));
    subset = subset_columns(L, 4);
    first = lua_gettop(L) + 1;
    luaL_checkstack(L, (int)schema->n_fields + 16, "too many columns");
    for (size_t i = 0; i < schema->n_fields; i++)
        if (is_in(subset, schema->fields[i].name) && push_replaced(L, &schema->fields[i], pairs))
            n++;
    if (n == 0) {
        lua_settop(L, 1);
        return 1;
    }
    columns = column_list(L, first, n, COLUMN_VALUE);
    return dataframe_push(L, plan_with_columns(plan_ref(p), columns, (size_t)n));
}

/* ---- toJSON ---- */
int dataframe_to_json(lua_State *L)
{
    const struct plan *p = dataframe_check(L, 1);
    const struct dtype *schema = dataframe_schema(L, 1);
    struct expr **args = lua_newuserdatauv(L, sizeof *args * (2 * schema->n_fields + 1), 0), *row;

    if (schema->n_fields == 0)
        return luaL_error(L, "a DataFrame without columns has no JSON");
    for (size_t i = 0; i < schema->n_fields; i++) {
        const char *name = schema->fields[i].name;
        args[2 * i] = expr_string(name, strlen(name));
        args[2 * i + 1] = expr_attribute(&name, 1, 0);
    }
    row = expr_alias(expr_unary("to_json", expr_call("named_struct", false, args, 2 * schema->n_fields)),
                     "value");
    return dataframe_push(L, plan_project(plan_ref(p), &row, 1));
}
