/* encode_query.c: select, where, group by, having, order by, limit. */
#include "runtime/dataframe/sqlgen/sqlgen_int.h"
#include <inttypes.h>
#include <string.h>
#include <strings.h>

/* ---- select lists ---- */
struct outputs {
    struct gen *g;
    struct col *cols;
    size_t n, cap;
};

static enum lc add(struct outputs *o, struct col c)
{
    if (o->n == o->cap) {
        struct col *grown = cols_copy(o->g, o->cols, o->n, o->cap ? o->cap : 16);

        if (!grown)
            return err_nomem(o->g->err);
        o->cap += o->cap ? o->cap : 16;
        o->cols = grown;
    }
    for (size_t i = 0; i < o->n; i++)
        if (o->cols[i].uid == c.uid) { /* the same column twice: the second one gets an identity of its own */
            c.uid = o->g->next_uid++;
            break;
        }
    o->cols[o->n++] = c;
    return LC_OK;
}

static enum lc add_star(struct outputs *o, const struct scope *s, const struct expr *star)
{
    struct sx *columns;
    size_t n;

    TRY(star_columns(o->g, s, star, &columns, &n));
    for (size_t i = 0; i < n; i++) {
        struct scope with = *s;

        if (s->aggregating) { /* only groups may be there: the usual check, with its error */
            const struct expr *e = star_bind(o->g, &with, &columns[i]);

            if (!e)
                return err_nomem(o->g->err);
            TRY(sx_expr(o->g, &with, e, &columns[i]));
        }
        TRY(add(o, col_from(o->g, &columns[i])));
    }
    return LC_OK;
}

static enum lc add_generated(struct outputs *o, const struct sx *x, const struct expr *e)
{
    bool aliased = e->kind == EXPR_ALIAS;

    if (aliased && e->u.alias.n_names != x->n_many)
        return gen_fail(o->g, e, LC_ENGINE,
                        "[UDTF_ALIAS_NUMBER_MISMATCH] The number of aliases supplied in the AS clause does "
                        "not match the number of "
                        "columns output by the UDTF. Expected %zu aliases, but got %zu. SQLSTATE: 42802",
                        x->n_many, e->u.alias.n_names);
    for (size_t i = 0; i < x->n_many; i++) {
        struct col c = col_from(o->g, &x->many[i]);

        if (aliased)
            c.name = e->u.alias.names[i];
        TRY(add(o, c));
    }
    return LC_OK;
}

/* A cast of a column has the column's name in a select list, and nowhere else. */
static const char *top_name(const struct expr *e, const char *name)
{
    const struct expr *child = e;

    while (child->kind == EXPR_CAST && !child->u.cast.typed)
        child = child->args[0];
    if (child == e)
        return name;
    if (child->kind == EXPR_ALIAS)
        return child->u.alias.names[0];
    return child->kind == EXPR_ATTRIBUTE ? child->u.name.parts[child->u.name.n_parts - 1] : name;
}

/* a select list */
static enum lc rel_outputs(struct gen *g, const struct scope *s, struct expr *const *exprs, size_t n,
                           struct col **cols, size_t *n_cols)
{
    struct outputs o = {.g = g};
    struct scope before;
    const struct scope *at = s;
    int generators = 0;

    for (size_t i = 0; i < n; i++) {
        const struct expr *e = exprs[i];
        struct sx x;

        if (e->kind == EXPR_STAR) {
            TRY(add_star(&o, s, e));
            continue;
        }
        if (!s->fallback && i > 0) { /* aliases to the left are known, after the columns */
            before = *s;
            before.aliases = true;
            before.fallback = o.cols;
            before.n_fallback = o.n;
            at = &before;
        }
        TRY(sx_expr(g, at, e, &x));
        if (at == &before && x.col >= o.cols && x.col < o.cols + o.n)
            x.col = NULL;
        if (g->explaining && !x.made)
            x.made = x.name;
        if (e->kind == EXPR_ATTRIBUTE && strncmp(x.name, "lateralAliasReference(", 22) == 0)
            x.name = e->u.name.parts[e->u.name.n_parts - 1];
        x.name = top_name(e, x.name);
        generators += x.generator;
        if (generators > 1)
            return gen_fail(g, e, LC_ENGINE,
                            "[UNSUPPORTED_GENERATOR.MULTI_GENERATOR] The generator is not supported: only "
                            "one generator allowed "
                            "per SELECT clause. SQLSTATE: 42K0E");
        TRY(x.n_many ? add_generated(&o, &x, e) : add(&o, col_from(g, &x)));
    }
    *cols = o.cols ? o.cols : cols_copy(g, NULL, 0, 1);
    *n_cols = o.n;
    return *cols ? LC_OK : err_nomem(g->err);
}

static bool any_aggregate(const struct plan *p)
{
    for (size_t i = 0; i < p->n_exprs; i++)
        if (expr_has_aggregate(p->exprs[i]))
            return true;
    return false;
}

enum lc rel_project(struct gen *g, const struct plan *p, struct rel *out)
{
    struct scope s;
    struct col *cols;
    size_t n;

    if (any_aggregate(p))
        return rel_aggregate(g, p, out);
    if (p->left)
        TRY(rel_encode(g, p->left, out));
    if (p->left && !rel_open(out))
        TRY(rel_seal(g, out));
    TRY(time_window_begin(g, p, out));
    s = (struct scope){
        .cols = out->cols, .n = out->n, .generators = true, .clause = "SELECT", .outer = g->outer};
    TRY(rel_outputs(g, &s, p->exprs, p->n_exprs, &cols, &n));
    rel_set_cols(out, cols, n);
    return LC_OK;
}

enum lc rel_with_columns(struct gen *g, const struct plan *p, struct rel *out)
{
    struct scope s;
    struct col *cols, *made;
    size_t n, n_made;

    TRY(rel_encode(g, p->left, out));
    if (!rel_open(out))
        TRY(rel_seal(g, out));
    TRY(time_window_begin(g, p, out));
    s = (struct scope){
        .cols = out->cols, .n = out->n, .generators = true, .clause = "withColumn", .outer = g->outer};
    TRY(rel_outputs(g, &s, p->exprs, p->n_exprs, &made, &n_made));
    if (n_made != p->n_exprs)
        return gen_fail(g, NULL, LC_ENGINE, "withColumn takes expressions of one column each");
    cols = cols_copy(g, out->cols, out->n, n_made);
    if (!cols)
        return err_nomem(g->err);
    n = out->n;
    for (size_t i = 0; i < n_made; i++) {
        bool replaced = false;

        for (size_t k = 0; k < out->n; k++)
            if (!cols[k].hidden && strcasecmp(out->cols[k].name, made[i].name) == 0) {
                if (replaced)
                    made[i].uid = g->next_uid++; /* two columns of that name: both are replaced */
                cols[k] = made[i];
                replaced = true;
            }
        if (!replaced)
            cols[n++] = made[i];
    }
    for (size_t i = 0; i < n; i++) /* a copy of a column beside the column */
        for (size_t k = 0; k < i; k++)
            if (cols[k].uid == cols[i].uid) {
                cols[i].uid = g->next_uid++;
                break;
            }
    rel_set_cols(out, cols, n);
    return LC_OK;
}

/* ---- where, having ---- */
/* DuckDB takes no name of a result that may fail in an expression of ORDER BY: the result is then written once more. */
static bool may_fail(const struct rel *r, const struct col *c)
{
    return !r->grouped && strstr(c->sql, "error(") && !strstr(c->sql, " OVER (") &&
           !strstr(c->sql, "random()") && !strstr(c->sql, "uuid()") && !strstr(c->sql, "unnest(");
}

/* The SELECT's results by their internal names: usable in HAVING and ORDER BY. */
static struct col *by_alias(struct gen *g, const struct rel *r)
{
    struct col *cols = cols_copy(g, r->cols, r->n, 0);

    for (size_t i = 0; cols && i < r->n; i++)
        if (!cols[i].simple && !may_fail(r, &cols[i]))
            cols[i].sql = col_alias(g, &cols[i]);
    return cols;
}

static struct scope result_scope(struct gen *g, const struct rel *r, const char *clause)
{
    return (struct scope){.cols = by_alias(g, r),
                          .n = r->n,
                          .fallback = r->inner ? r->inner : r->cols,
                          .n_fallback = r->inner ? r->n_inner : r->n,
                          .groups = r->groups,
                          .n_groups = r->n_groups,
                          .aggregating = r->grouped,
                          .aggregates = r->grouped,
                          .clause = clause,
                          .outer = g->outer};
}

static bool mentions(const struct rel *r, const char *word)
{
    for (size_t i = 0; i < r->n; i++)
        if (strstr(r->cols[i].sql, word))
            return true;
    return false;
}

static bool has_window(const struct rel *r)
{
    return mentions(r, " OVER (");
}

static bool has_rows_of(const struct rel *r) /* a generator */
{
    return mentions(r, "unnest(");
}

static enum lc and_to(struct gen *g, const char **slot, const char *condition)
{
    *slot = *slot ? gen_printf(g, "%s AND %s", *slot, condition) : condition;
    return *slot ? LC_OK : err_nomem(g->err);
}

/* A condition on a SELECT of computed columns may name what was not selected, as in Spark: then it is one on the rows below. */
static enum lc filter_below(struct gen *g, const struct plan *p, const struct rel *below, enum lc code,
                            struct rel *out)
{
    struct scope s = {.cols = below->inner, .n = below->n_inner, .clause = "WHERE", .outer = g->outer};
    struct err first = *g->err;
    struct rel r = *below;
    struct sx x;

    if (code != LC_ENGINE || !below->inner || below->grouped || below->limit || below->offset ||
        below->distinct || has_window(below) || has_rows_of(below))
        return code;
    if (sx_condition(g, &s, p->exprs[0], &x) != LC_OK || x.window) {
        *g->err = first;
        return code;
    }
    err_clear(g->err);
    explain_note(g, x.name, NULL);
    *out = r;
    return and_to(g, &out->where, x.sql);
}

static bool has_subquery(const struct expr *e)
{
    if (e->kind == EXPR_SUBQUERY)
        return true;
    for (size_t i = 0; i < e->n; i++)
        if (has_subquery(e->args[i]))
            return true;
    return false;
}

/* DuckDB's HAVING has no names of results within a subquery: where the condition is one on the results alone, it is a WHERE
 * around them. */
static bool filter_around(struct gen *g, const struct plan *p, struct rel *out)
{
    struct rel around = *out;
    struct scope s;
    struct sx x;

    if (!has_subquery(p->exprs[0]) || rel_seal(g, &around) != LC_OK)
        return false;
    s = (struct scope){.cols = around.cols, .n = around.n, .clause = "WHERE", .outer = g->outer};
    if (sx_condition(g, &s, p->exprs[0], &x) != LC_OK || x.window ||
        and_to(g, &around.where, x.sql) != LC_OK) {
        err_clear(g->err);
        return false;
    }
    explain_note(g, x.name, NULL);
    *out = around;
    return true;
}

enum lc rel_filter(struct gen *g, const struct plan *p, struct rel *out)
{
    struct scope s;
    struct rel below;
    struct sx x;
    enum lc code;

    TRY(rel_encode(g, p->left, out));
    below = *out;
    if (out->grouped && out->inner != out->cols && !out->distinct && !out->limit && !out->offset &&
        !out->order && !has_window(out)) {
        if (!p->u.filter.having && filter_around(g, p, out))
            return LC_OK;
        s = result_scope(g, out, "HAVING");
        s.having = p->u.filter.having;
        if (!s.cols)
            return err_nomem(g->err);
        TRY(sx_condition(g, &s, p->exprs[0], &x));
        explain_note(g, x.name, NULL);
        return and_to(g, &out->having, x.sql);
    }
    if (!rel_open(out))
        TRY(rel_seal(g, out));
    s = (struct scope){.cols = out->cols,
                       .n = out->n,
                       .fallback = out->inner,
                       .n_fallback = out->n_inner,
                       .clause = "WHERE",
                       .outer = g->outer};
    code = sx_condition(g, &s, p->exprs[0], &x);
    if (code == LC_OK)
        explain_note(g, x.name, NULL);
    if (code != LC_OK)
        return filter_below(g, p, &below, code, out);
    if (!x.window)
        return and_to(g, &out->where, x.sql);
    return gen_fail(
        g, p->exprs[0], LC_ENGINE,
        "[WINDOW_FUNCTION_NOT_ALLOWED_IN_CLAUSE] It is not allowed to use window functions inside WHERE "
        "clause: put it in a column with withColumn first, or use QUALIFY. SQLSTATE: 42601");
}

/* ---- order by, limit ---- */
static enum lc by_position(struct gen *g, const struct rel *r, const struct expr *e, const char **sql)
{
    int64_t k = e->u.literal.i;

    if (k < 1 || (size_t)k > r->n)
        return gen_fail(g, e, LC_ENGINE,
                        "[ORDER_BY_POS_OUT_OF_RANGE] ORDER BY position %" PRId64
                        " is not in select list (valid range is [1, %zu]). "
                        "SQLSTATE: 42805",
                        k, r->n);
    *sql = r->cols[k - 1].simple ? r->cols[k - 1].sql : col_alias(g, &r->cols[k - 1]);
    return *sql ? LC_OK : err_nomem(g->err);
}

/* DuckDB 1.5 narrows the scan of ORDER BY k DESC LIMIT n by what it has seen so far; when k is an integer cast from a
 * wider one, it compares wrongly and rows are lost. A key in front that says whether k is NULL, which orders nothing
 * new, keeps it from that. */
static const char *first_key(struct gen *g, const char *sql, const struct dtype *type, bool down, bool last)
{
    bool narrow = type->id == DTYPE_BYTE || type->id == DTYPE_SHORT || type->id == DTYPE_INT;

    return narrow && down ? gen_printf(g, "(%s IS %sNULL), %s", sql, last ? "" : "NOT ", sql) : sql;
}

static enum lc rel_order(struct gen *g, struct rel *r, struct expr *const *orders, size_t n)
{
    struct scope s = result_scope(g, r, "ORDER BY");
    struct buf b = BUF_INIT((size_t)16 << 20);

    if (!s.cols)
        return err_nomem(g->err);
    for (size_t i = 0; i < n; i++) {
        const struct expr *e = orders[i];
        bool sort = e->kind == EXPR_SORT, down = sort && e->u.sort.descending,
             last = sort && e->u.sort.nulls_last;
        const struct expr *child = sort ? e->args[0] : e;
        const char *sql;
        struct sx x;
        enum lc code;

        if (child->kind == EXPR_LITERAL && child->u.literal.type->id == DTYPE_INT) {
            code = by_position(g, r, child, &sql);
            x.type = code == LC_OK ? r->cols[child->u.literal.i - 1].type : NULL;
            x.name = code == LC_OK ? explain_name(g, r->cols[child->u.literal.i - 1].name,
                                                  &r->cols[child->u.literal.i - 1])
                                   : NULL;
        } else {
            code = sx_expr(g, &s, child, &x);
            if (code == LC_OK && x.type->id == DTYPE_MAP)
                code = gen_fail(g, child, LC_ENGINE,
                                "[DATATYPE_MISMATCH.INVALID_ORDERING_TYPE] Cannot resolve \"%s\" due to data "
                                "type mismatch: a "
                                "MAP cannot be ordered. SQLSTATE: 42K09",
                                x.name);
            sql = code == LC_OK ? x.sql : NULL;
            if (code == LC_OK && x.literal)
                continue; /* a constant orders nothing, and DuckDB would take a number for a position */
        }
        if (code != LC_OK)
            return buf_release(&b), code;
        if (g->explaining)
            explain_note(g,
                         gen_printf(g, "%s%s%s %s NULLS %s", g->note ? g->note : "", g->note ? ", " : "",
                                    x.name, down ? "DESC" : "ASC", last ? "LAST" : "FIRST"),
                         NULL);
        sql = sx_order_key(g, sql, x.type);
        if (b.len == 0 && !(sql = first_key(g, sql, x.type, down, last)))
            return buf_release(&b), err_nomem(g->err);
        buf_printf(&b, "%s%s %s NULLS %s", b.len ? ", " : "", sql, down ? "DESC" : "ASC",
                   last ? "LAST" : "FIRST");
    }
    r->order = b.len ? gen_take(g, &b) : (buf_release(&b), NULL);
    return LC_OK;
}

enum lc rel_sort(struct gen *g, const struct plan *p, struct rel *out)
{
    TRY(rel_encode(g, p->left, out));
    if (out->limit || out->offset || out->distinct || !out->from)
        TRY(rel_seal(g, out));
    return rel_order(g, out, p->exprs, p->n_exprs);
}

static enum lc bounded(struct gen *g, const struct plan *p, const char **slot, const char *what)
{
    if (p->u.count < 0)
        return gen_fail(g, NULL, LC_ENGINE, "%s must not be negative, but is %" PRId64, what, p->u.count);
    *slot = gen_printf(g, "%" PRId64, p->u.count);
    return *slot ? LC_OK : err_nomem(g->err);
}

enum lc rel_limit(struct gen *g, const struct plan *p, struct rel *out)
{
    TRY(rel_encode(g, p->left, out));
    if (out->limit)
        TRY(rel_seal(g, out));
    return bounded(g, p, &out->limit, "a limit");
}

enum lc rel_offset(struct gen *g, const struct plan *p, struct rel *out)
{
    TRY(rel_encode(g, p->left, out));
    if (out->limit || out->offset)
        TRY(rel_seal(g, out));
    return bounded(g, p, &out->offset, "an offset");
}

enum lc rel_tail(struct gen *g, const struct plan *p, struct rel *out)
{
    int rn = g->next_uid++, total = g->next_uid++;

    TRY(rel_encode(g, p->left, out));
    TRY(rel_seal(g, out));
    out->from =
        gen_printf(g, "(SELECT *, row_number() OVER () AS lx_%d, count(*) OVER () AS lx_%d FROM %s) AS t%d",
                   rn, total, out->from, g->next_uid++);
    out->where = gen_printf(g, "lx_%d > lx_%d - %" PRId64, rn, total, p->u.count);
    out->order = gen_printf(g, "lx_%d", rn);
    return out->from && out->where && out->order ? LC_OK : err_nomem(g->err);
}

/* ---- group by ---- */
/* A group may be a position in the select list or the alias of one of its expressions. */
static const struct expr *group_target(const struct plan *p, const struct expr *e, const struct scope *s)
{
    if (e->kind == EXPR_LITERAL && e->u.literal.type->id == DTYPE_INT && e->u.literal.i >= 1 &&
        (size_t)e->u.literal.i <= p->n_exprs)
        return p->exprs[e->u.literal.i - 1];
    if (e->kind != EXPR_ATTRIBUTE || e->u.name.n_parts != 1 || e->u.name.plan_id)
        return e;
    for (size_t i = 0; i < s->n; i++)
        if (strcasecmp(s->cols[i].name, e->u.name.parts[0]) == 0)
            return e;
    for (size_t i = 0; i < p->n_exprs; i++) {
        const struct expr *o = p->exprs[i];

        if (o->kind == EXPR_ALIAS && strcasecmp(o->u.alias.names[0], e->u.name.parts[0]) == 0)
            return o->args[0];
    }
    return e;
}
static const char *grouping_sets(struct gen *g, const struct plan *p, const struct rel *r)
{
    struct buf b = BUF_INIT((size_t)16 << 20);

    buf_puts(&b, "GROUPING SETS (");
    for (size_t i = 0; i < p->u.aggregate.n_sets; i++) {
        int n = 0;

        buf_puts(&b, i ? ", (" : "(");
        for (size_t k = 0; k < r->n_groups; k++)
            if (p->u.aggregate.sets[i] & 1u << k)
                buf_printf(&b, "%s%s", n++ ? ", " : "", r->groups[k].sql);
        buf_putc(&b, ')');
    }
    buf_putc(&b, ')');
    return gen_take(g, &b);
}

/* * EXCEPT (a, b) */
static bool left_out(const struct col *c, const struct expr *star)
{
    for (size_t i = 0; i < star->n; i++) {
        const struct expr *a = star->args[i];

        if (a->kind == EXPR_ATTRIBUTE && strcasecmp(a->u.name.parts[a->u.name.n_parts - 1], c->name) == 0)
            return true;
    }
    return false;
}

/* PIVOT groups by all columns that it does not use: a star. */
static void group_star(struct rel *r, const struct scope *s, const struct expr *star, struct buf *b,
                       size_t *written)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct col *c = &s->cols[i];

        if (c->hidden || left_out(c, star))
            continue;
        r->groups[r->n_groups++] = (struct sx){.sql = c->sql,
                                               .name = c->name,
                                               .type = c->type,
                                               .nullable = c->nullable,
                                               .simple = c->simple,
                                               .col = c};
        buf_printf(b, "%s%s", (*written)++ ? ", " : "", c->sql);
    }
}

static enum lc encode_groups(struct gen *g, const struct plan *p, struct rel *r)
{
    struct scope s = {.cols = r->cols, .n = r->n, .clause = "GROUP BY", .outer = g->outer};
    struct buf b = BUF_INIT((size_t)16 << 20);
    bool rollup = p->kind == PLAN_AGGREGATE && p->u.aggregate.kind != GROUP_BY;
    size_t n = p->kind == PLAN_AGGREGATE ? p->u.aggregate.n_groups : 0, written = 0;
    enum lc code = LC_OK;

    r->groups = arena_zalloc(g->arena, (n + r->n + 1) * sizeof *r->groups);
    if (!r->groups)
        return err_nomem(g->err);
    for (size_t i = 0; i < n && code == LC_OK; i++) {
        struct sx *x = &r->groups[r->n_groups];

        if (p->u.aggregate.groups[i]->kind == EXPR_STAR) {
            group_star(r, &s, p->u.aggregate.groups[i], &b, &written);
            continue;
        }

        code = sx_expr(g, &s, group_target(p, p->u.aggregate.groups[i], &s), x);
        if (code != LC_OK)
            break;
        if (x->type->id == DTYPE_MAP)
            code = gen_fail(g, p->u.aggregate.groups[i], LC_ENGINE,
                            "[GROUP_EXPRESSION_TYPE_IS_NOT_ORDERABLE] The expression \"%s\" cannot be used "
                            "as a grouping expression "
                            "because its data type \"%s\" is not an orderable data type. SQLSTATE: 42822",
                            x->name, gen_type_words(g, x->type));
        r->n_groups++;
        if (!x->literal) /* DuckDB would take a number for a position */
            buf_printf(&b, "%s%s", written++ ? ", " : "", x->sql);
    }
    if (code != LC_OK)
        return buf_release(&b), code;
    if (n && !written) /* by constants only: one group, and none of no rows */
        buf_puts(&b, "TRUE");
    r->group = n ? gen_take(g, &b) : (buf_release(&b), NULL);
    if (r->group && p->u.aggregate.kind == GROUP_SETS)
        r->group = grouping_sets(g, p, r);
    else if (r->group && rollup)
        r->group = gen_printf(g, "%s (%s)", p->u.aggregate.kind == GROUP_CUBE ? "CUBE" : "ROLLUP", r->group);
    return n && !r->group ? err_nomem(g->err) : LC_OK;
}

static bool in_all_sets(const struct plan *p, size_t group)
{
    bool all = p->u.aggregate.kind == GROUP_SETS;

    for (size_t i = 0; i < p->u.aggregate.n_sets; i++)
        all = all && p->u.aggregate.sets[i] & 1u << group;
    return all;
}

/* What rows are grouped by is NULL in the rows of totals. */
static void note_totals(const struct plan *p, struct rel *r)
{
    for (size_t i = 0; i < r->n_groups; i++) {
        if (in_all_sets(p, i))
            continue;
        r->groups[i].nullable = true;
        for (size_t k = 0; k < r->n; k++)
            r->cols[k].nullable |= r->groups[i].col == &r->cols[k];
    }
}

/* Two columns that are one thing underneath: CUBE and the like would take them for one group. */
static bool has_twins(const struct rel *r)
{
    for (size_t i = 0; i < r->n; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(r->cols[i].sql, r->cols[k].sql) == 0)
                return true;
    return false;
}

enum lc rel_aggregate(struct gen *g, const struct plan *p, struct rel *out)
{
    bool totals = p->kind == PLAN_AGGREGATE && p->u.aggregate.kind != GROUP_BY;
    struct scope s;
    struct col *cols;
    size_t n;

    if (p->left)
        TRY(rel_encode(g, p->left, out));
    out->order =
        out->limit || out->offset ? out->order : NULL; /* the order of rows means nothing to a group */
    if (p->left && (!rel_open(out) || (totals && has_twins(out))))
        TRY(rel_seal(g, out));
    TRY(time_window_begin(g, p, out));
    if (totals && !(out->cols = cols_copy(g, out->cols, out->n, 0)))
        return err_nomem(g->err);
    TRY(encode_groups(g, p, out));
    if (totals)
        note_totals(p, out);
    s = (struct scope){.cols = out->cols,
                       .n = out->n,
                       .groups = out->groups,
                       .n_groups = out->n_groups,
                       .aggregating = true,
                       .aggregates = true,
                       .generators = true,
                       .clause = "SELECT",
                       .outer = g->outer};
    TRY(rel_outputs(g, &s, p->exprs, p->n_exprs, &cols, &n));
    explain_aggregate(g, p, &s);
    time_window_done(g);
    rel_set_cols(out, cols, n);
    out->grouped = true;
    if (p->u.aggregate.kind != GROUP_BY &&
        p->u.aggregate.n_groups > 0) /* no rows: no grand total, as in Spark */
        out->having = "count(*) > 0";
    else if (p->kind == PLAN_AGGREGATE && !out->group &&
             !any_aggregate(p)) /* constants: one row of all rows */
        out->having = "count(*) >= 0";
    return LC_OK;
}
