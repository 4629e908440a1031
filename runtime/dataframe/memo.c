/* memo.c: what is remembered with a plan. */
#include "runtime/dataframe/plan.h"

struct plan_memo *plan_memo(const struct plan *p)
{
    return __atomic_load_n(&p->memo, __ATOMIC_ACQUIRE);
}

struct plan_memo *plan_memo_ref(struct plan_memo *m)
{
    if (m)
        __atomic_add_fetch(&m->refs, 1, __ATOMIC_RELAXED);
    return m;
}

void plan_memo_unref(struct plan_memo *m)
{
    if (!m || __atomic_sub_fetch(&m->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    dtype_unref(m->schema);
    m->free(m);
}

void plan_keep(const struct plan *p, struct plan_memo *m)
{
    struct plan *owner = (struct plan *)(uintptr_t)p; /* the one thing of a plan that is filled in later */
    struct plan_memo *none = NULL;

    if (!__atomic_compare_exchange_n(&owner->memo, &none, m, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        plan_memo_unref(m);
}
