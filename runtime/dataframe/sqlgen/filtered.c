#include "runtime/dataframe/sqlgen/filtered.h"
#include "runtime/base/mem.h"
#include "runtime/dataframe/sqlgen/functions.h"
#include <string.h>

struct expr *expr_filter_aggregates(const struct expr *e, const struct expr *condition)
{
    struct expr **args, *copy;
    const struct expr *before;

    if (e->n == 0 && e->kind != EXPR_CALL)
        return expr_ref(e);
    args = mem_calloc(e->n + 1, sizeof *args);
    if (!args)
        return NULL;
    for (size_t i = 0; i < e->n; i++)
        args[i] = expr_filter_aggregates(e->args[i], condition);
    copy = e->n ? expr_with_args(e, args) : expr_call(e->u.call.name, e->u.call.distinct, NULL, 0);
    mem_free(args);
    if (!copy || e->kind != EXPR_CALL || !function_is_aggregate(e->u.call.name))
        return copy;
    before = copy->u.call.filter;
    copy->u.call.filter =
        before ? expr_binary("and", expr_ref(before), expr_ref(condition)) : expr_ref(condition);
    expr_unref(before);
    return copy;
}

/* Which NULLs the guards make, first and last must not take for values. */
static bool is_end(const char *name)
{
    static const char *const names[] = {"first", "first_value", "last", "last_value"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static struct expr *guarded(const struct expr *call, const struct expr *condition)
{
    bool end = is_end(call->u.call.name);
    size_t n = end ? 2 : call->n;
    struct expr **args = mem_calloc(n, sizeof *args), *copy;

    if (!args)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        struct expr *when[] = {expr_ref(condition), i < call->n ? expr_ref(call->args[i]) : NULL};

        if (i > 0 && (end || call->args[i]->kind == EXPR_LITERAL)) {
            expr_unref(when[0]);
            expr_unref(when[1]);
            args[i] = end ? expr_bool(true) : expr_ref(call->args[i]);
        } else {
            args[i] = expr_call("when", false, when, 2);
        }
    }
    copy = expr_call(call->u.call.name, call->u.call.distinct, args, n);
    mem_free(args);
    if (copy && call->u.call.filter)
        copy = expr_filtered(copy, expr_ref(call->u.call.filter));
    return copy;
}

struct expr *expr_guard_aggregates(const struct expr *e, const struct expr *condition)
{
    bool aggregate = e->kind == EXPR_CALL && function_is_aggregate(e->u.call.name);
    struct expr **args, *copy;

    if (aggregate && (e->n == 0 || e->u.call.n_orders || e->args[0]->kind == EXPR_STAR))
        return expr_filter_aggregates(e, condition);
    if (aggregate)
        return guarded(e, condition);
    if (e->n == 0)
        return expr_ref(e);
    args = mem_calloc(e->n, sizeof *args);
    if (!args)
        return NULL;
    for (size_t i = 0; i < e->n; i++)
        args[i] = expr_guard_aggregates(e->args[i], condition);
    copy = expr_with_args(e, args);
    mem_free(args);
    return copy;
}

/* NULL where there are no such rows. */
static struct expr *where_some(const struct expr *aggregate, const struct expr *condition)
{
    struct expr *rows = expr_unary("count", expr_int(1)), *some, *args[2];

    some = rows ? expr_filter_aggregates(rows, condition) : NULL;
    expr_unref(rows);
    args[0] = expr_binary(">", some, expr_int(0));
    args[1] = expr_filter_aggregates(aggregate, condition);
    return expr_call("when", false, args, 2);
}

struct expr *expr_pivoted(const struct expr *aggregate, const struct expr *condition,
                          struct expr *const *aggregates, size_t n)
{
    struct expr **args = mem_calloc(n + 2, sizeof *args), *call;

    if (!args)
        return NULL;
    args[0] = where_some(aggregate, condition);
    args[1] = expr_guard_aggregates(aggregate, condition);
    for (size_t i = 0; i < n; i++)
        args[2 + i] = expr_ref(aggregates[i]);
    call = expr_call("__pivoted", false, args, n + 2);
    mem_free(args);
    return call;
}
