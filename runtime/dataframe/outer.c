/* outer.c: columns of the query around, column:outer(): the call "outer" around a name, bound by a subquery or a lateral join. */
#include "runtime/dataframe/plan.h"
#include <string.h>

static bool any_outer(struct expr *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (expr_is_outer(list[i]) || any_outer(list[i]->args, list[i]->n) ||
            (list[i]->kind == EXPR_CALL && list[i]->u.call.filter &&
             any_outer((struct expr *const *)&list[i]->u.call.filter, 1)))
            return true;
    return false;
}

bool expr_is_outer(const struct expr *e)
{
    return e->kind == EXPR_CALL && e->n == 1 && strcmp(e->u.call.name, "outer") == 0;
}

bool plan_has_outer(const struct plan *p)
{
    if (!p || plan_memo(p)) /* its columns are known: nothing of it waits for another query */
        return false;
    if (any_outer(p->exprs, p->n_exprs) ||
        (p->kind == PLAN_AGGREGATE && any_outer(p->u.aggregate.groups, p->u.aggregate.n_groups)))
        return true;
    return plan_has_outer(p->left) ||
           (!(p->kind == PLAN_JOIN && p->u.join.lateral) && plan_has_outer(p->right));
}
