#include "runtime/dataframe/sqlgen/filtered.h"
#include "runtime/base/mem.h"
#include "runtime/dataframe/sqlgen/functions.h"

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

struct expr *expr_pivoted(const struct expr *aggregate, const struct expr *condition)
{
    struct expr *rows = expr_unary("count", expr_int(1)), *some, *args[2];

    some = rows ? expr_filter_aggregates(rows, condition) : NULL;
    expr_unref(rows);
    args[0] = expr_binary(">", some, expr_int(0));
    args[1] = expr_filter_aggregates(aggregate, condition);
    return expr_call("when", false, args, 2);
}
