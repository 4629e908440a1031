/* resolve.c: replaces names of tables, views and common table expressions by what they stand for. */
#include "runtime/base/mem.h"
#include "runtime/dataframe/plan.h"
#include <string.h>
#include <strings.h>

enum { MAX_DEPTH = 2000 };

struct cte { /* what a name stands for below one WITH; a list on the stack, innermost first */
    const struct cte *outer;
    const char *name;
    const struct plan *plan; /* resolved; borrowed */
};

struct resolving {
    const struct ctx *ctx;
    const struct plan_resolver *resolver;
    const struct cte *scope;
    int depth;
    struct err *err;
};

static enum lc resolve(struct resolving *r, const struct plan *p, const struct plan **out);

static enum lc resolve_expr(struct resolving *r, const struct expr *e, struct expr **out);

/* Resolves n children into a new array; *changed says whether any is another object. */
static enum lc resolve_exprs(struct resolving *r, struct expr *const *from, size_t n, struct expr ***out,
                             bool *changed)
{
    struct expr **to = mem_calloc(n, sizeof *to);

    if (!to)
        return err_nomem(r->err);
    for (size_t i = 0; i < n; i++) {
        enum lc code = resolve_expr(r, from[i], &to[i]);

        if (code != LC_OK) {
            while (i-- > 0)
                expr_unref(to[i]);
            mem_free(to);
            return code;
        }
        *changed = *changed || to[i] != from[i];
    }
    *out = to;
    return LC_OK;
}

static void drop_exprs(struct expr **exprs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        expr_unref(exprs[i]);
    mem_free(exprs);
}

static enum lc resolve_subquery(struct resolving *r, const struct expr *e, struct expr **out)
{
    const struct plan *plan;
    struct expr **values;
    bool changed = false;
    enum lc code;

    TRY(resolve(r, e->u.subquery.plan, &plan));
    code = resolve_exprs(r, e->args, e->n, &values, &changed);
    if (code != LC_OK)
        return plan_unref(plan), code;
    *out = expr_subquery(plan, e->u.subquery.kind, values, e->n, e->u.subquery.negated);
    mem_free(values);
    return *out ? LC_OK : err_nomem(r->err);
}

/* The children of what a session's function stands for. */
static enum lc resolve_args(struct resolving *r, const struct expr *e, struct expr **out)
{
    struct expr **args;
    bool changed = false;
    enum lc code;

    if (e->n == 0) {
        *out = expr_ref(e);
        return LC_OK;
    }
    TRY(resolve_exprs(r, e->args, e->n, &args, &changed));
    *out = expr_with_args(e, args);
    mem_free(args);
    code = *out ? LC_OK : err_nomem(r->err);
    return code;
}

static enum lc resolve_expr(struct resolving *r, const struct expr *e, struct expr **out)
{
    struct expr **args;
    bool changed = false;
    enum lc code = LC_OK;

    if (++r->depth > MAX_DEPTH)
        return r->depth--, err_set(r->err, LC_LIMIT, "an expression is nested more than %d deep", MAX_DEPTH);
    if (e->kind == EXPR_CALL && r->resolver && r->resolver->function) {
        struct expr *own = r->resolver->function(r->resolver->self, e);

        if (own) { /* its arguments may hold more of them */
            code = resolve_args(r, own, out);
            expr_unref(own);
            r->depth--;
            return code;
        }
    }
    if (e->kind == EXPR_SUBQUERY) {
        code = resolve_subquery(r, e, out);
    } else if (e->n == 0) {
        *out = expr_ref(e);
    } else if ((code = resolve_exprs(r, e->args, e->n, &args, &changed)) == LC_OK) {
        if (!changed) {
            drop_exprs(args, e->n);
            *out = expr_ref(e);
        } else {
            *out = expr_with_args(e, args);
            mem_free(args);
            code = *out ? LC_OK : err_nomem(r->err);
        }
    }
    r->depth--;
    return code;
}

/* A name that a query above may qualify columns with; the id stays that of the read, so df.col finds it. */
static enum lc named(struct resolving *r, const struct plan *read, const struct plan *found,
                     const struct plan **out)
{
    struct plan *alias;
    const struct plan *made = plan_alias(found, (const char *const *)read->names, read->n_names);

    if (!made)
        return err_nomem(r->err);
    alias = (struct plan *)(uintptr_t)made; /* just made: nobody else has it */
    alias->id = read->id;
    *out = made;
    return LC_OK;
}

static enum lc resolve_read(struct resolving *r, const struct plan *p, const struct plan **out)
{
    const struct plan *found = NULL;
    enum lc code;

    for (const struct cte *c = r->scope; c && p->n_names == 1; c = c->outer)
        if (strcasecmp(c->name, p->names[0]) == 0)
            return named(r, p, plan_ref(c->plan), out);
    if (!r->resolver || !r->resolver->table)
        return err_set(r->err, LC_NOTFOUND, "cannot find table '%s': there is no catalog here",
                       p->n_names ? p->names[p->n_names - 1] : "");
    code = r->resolver->table(r->resolver->self, r->ctx, p, &found, r->err);
    if (code != LC_OK) /* one that has its place already is of a view's text */
        return r->err && r->err->position < 0 ? err_at(r->err, p->u.table.position) : code;
    return named(r, p, found, out);
}

/* The body in place of its WITH: columns that were taken from the one are the other's. Takes over the body. */
static enum lc same_place(struct resolving *r, const struct plan *with, const struct plan *body,
                          const struct plan **out)
{
    const struct plan *copy = plan_with_inputs(body, plan_ref(body->left), plan_ref(body->right));

    plan_unref(body);
    if (!copy)
        return err_nomem(r->err);
    ((struct plan *)(uintptr_t)copy)->id = with->id; /* just made: nobody else has it */
    *out = copy;
    return LC_OK;
}

static enum lc resolve_with(struct resolving *r, const struct plan *p, const struct plan **out)
{
    const struct cte *outer = r->scope;
    struct cte *ctes = mem_calloc(p->n_names, sizeof *ctes);
    const struct plan *body = NULL;
    size_t n = 0;
    enum lc code = ctes ? LC_OK : err_nomem(r->err);

    for (; code == LC_OK && n < p->n_names; n++) {
        const struct plan *resolved = NULL;

        code = resolve(r, p->u.with.plans[n], &resolved);
        if (code != LC_OK)
            break;
        ctes[n] = (struct cte){.outer = r->scope, .name = p->names[n], .plan = resolved};
        r->scope = &ctes[n];
    }
    if (code == LC_OK)
        code = resolve(r, p->left, &body);
    if (code == LC_OK)
        code = same_place(r, p, body, out);
    r->scope = outer;
    for (size_t i = 0; i < n; i++)
        plan_unref(ctes[i].plan);
    mem_free(ctes);
    return code;
}

static enum lc resolve_recursion(struct resolving *r, const struct plan *p, const struct plan **out)
{
    const struct plan *first = NULL, *step = NULL;
    struct cte self = {.outer = r->scope, .name = p->names[0], .plan = plan_loop(p)};
    enum lc code;

    if (!self.plan)
        return err_nomem(r->err);
    code = resolve(r, p->left, &first);
    if (code == LC_OK) {
        r->scope = &self;
        code = resolve(r, p->right, &step);
        r->scope = self.outer;
    }
    plan_unref(self.plan);
    if (code != LC_OK)
        return plan_unref(first), code;
    *out = plan_with_inputs(p, first, step);
    return *out ? LC_OK : err_nomem(r->err);
}

/* Puts resolved expressions in place of a fresh copy's. */
static enum lc replace_exprs(struct resolving *r, struct expr ***slot, size_t n)
{
    struct expr **fresh;
    bool changed = false;

    if (!n)
        return LC_OK;
    TRY(resolve_exprs(r, *slot, n, &fresh, &changed));
    drop_exprs(*slot, n);
    *slot = fresh;
    return LC_OK;
}

/* A subquery, or a function of the session. */
static bool expr_has_names(const struct resolving *r, const struct expr *e)
{
    if (e->kind == EXPR_SUBQUERY)
        return true;
    if (e->kind == EXPR_CALL && r->resolver && r->resolver->function) {
        struct expr *own = r->resolver->function(r->resolver->self, e);

        expr_unref(own);
        if (own)
            return true;
    }
    for (size_t i = 0; i < e->n; i++)
        if (expr_has_names(r, e->args[i]))
            return true;
    return false;
}

static bool has_names(const struct resolving *r, const struct plan *p)
{
    for (size_t i = 0; i < p->n_exprs; i++)
        if (expr_has_names(r, p->exprs[i]))
            return true;
    for (size_t i = 0; p->kind == PLAN_AGGREGATE && i < p->u.aggregate.n_groups; i++)
        if (expr_has_names(r, p->u.aggregate.groups[i]))
            return true;
    return false;
}

static enum lc resolve_inputs(struct resolving *r, const struct plan *p, const struct plan **out)
{
    const struct plan *left = NULL, *right = NULL;
    struct plan *copy;
    bool subqueries = has_names(r, p);
    enum lc code = LC_OK;

    if (p->left)
        TRY(resolve(r, p->left, &left));
    if (p->right)
        code = resolve(r, p->right, &right);
    if (code != LC_OK)
        return plan_unref(left), code;
    if (left == p->left && right == p->right && !subqueries) {
        plan_unref(left);
        plan_unref(right);
        *out = plan_ref(p);
        return LC_OK;
    }
    copy = (struct plan *)(uintptr_t)plan_with_inputs(p, left, right);
    if (!copy)
        return err_nomem(r->err);
    if (subqueries)
        code = replace_exprs(r, &copy->exprs, copy->n_exprs);
    if (code == LC_OK && subqueries && p->kind == PLAN_AGGREGATE)
        code = replace_exprs(r, &copy->u.aggregate.groups, copy->u.aggregate.n_groups);
    if (code != LC_OK)
        return plan_unref(copy), code;
    *out = copy;
    return LC_OK;
}

static enum lc resolve(struct resolving *r, const struct plan *p, const struct plan **out)
{
    struct plan_memo *memo = r->resolver && r->resolver->step ? plan_memo(p) : NULL;
    enum lc code;

    if (memo && memo->whole) {
        *out = plan_ref(p);
        return LC_OK;
    }
    if (++r->depth > MAX_DEPTH)
        return r->depth--, err_set(r->err, LC_LIMIT, "the query is nested more than %d deep", MAX_DEPTH);
    if (p->kind == PLAN_READ_TABLE)
        code = resolve_read(r, p, out);
    else if (p->kind == PLAN_WITH)
        code = resolve_with(r, p, out);
    else if (p->kind == PLAN_RECURSION)
        code = resolve_recursion(r, p, out);
    else
        code = resolve_inputs(r, p, out);
    r->depth--;
    return code;
}

enum lc plan_resolve(const struct ctx *ctx, const struct plan *p, const struct plan_resolver *resolver,
                     const struct plan **out, struct err *err)
{
    struct resolving r = {.ctx = ctx, .resolver = resolver, .err = err};

    return resolve(&r, p, out);
}

/* ---- walking ---- */
typedef enum lc walk_fn(void *arg, const struct plan *p, struct err *err);

static enum lc walk_expr(const struct expr *e, walk_fn *fn, void *arg, struct err *err)
{
    if (e->kind == EXPR_SUBQUERY)
        TRY(plan_walk(e->u.subquery.plan, fn, arg, err));
    for (size_t i = 0; i < e->n; i++)
        TRY(walk_expr(e->args[i], fn, arg, err));
    return LC_OK;
}

enum lc plan_walk(const struct plan *p, walk_fn *fn, void *arg, struct err *err)
{
    if (p->left)
        TRY(plan_walk(p->left, fn, arg, err));
    if (p->right)
        TRY(plan_walk(p->right, fn, arg, err));
    for (size_t i = 0; p->kind == PLAN_WITH && i < p->n_names; i++)
        TRY(plan_walk(p->u.with.plans[i], fn, arg, err));
    for (size_t i = 0; p->kind == PLAN_AGGREGATE && i < p->u.aggregate.n_groups; i++)
        TRY(walk_expr(p->u.aggregate.groups[i], fn, arg, err));
    for (size_t i = 0; i < p->n_exprs; i++)
        TRY(walk_expr(p->exprs[i], fn, arg, err));
    return fn(arg, p, err);
}
