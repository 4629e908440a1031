/* Plans and expressions as text: (kind children…). */
#include "runtime/sql/sql.h"
#include <string.h>

static void put_expr(struct buf *out, const struct expr *e);
static void put_plan(struct buf *out, const struct plan *p);

static void put_parts(struct buf *out, char *const *parts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_putc(out, '.');
        name_quote(out, parts[i]);
    }
}

static void put_children(struct buf *out, const struct expr *e)
{
    for (size_t i = 0; i < e->n; i++) {
        buf_putc(out, ' ');
        put_expr(out, e->args[i]);
    }
}

static void put_literal(struct buf *out, const struct expr *e)
{
    const struct dtype *t = e->u.literal.type;

    if (e->u.literal.is_null) {
        buf_puts(out, "null");
        return;
    }
    switch (t->id) {
    case DTYPE_BOOLEAN:
        buf_puts(out, e->u.literal.i ? "true" : "false");
        return;
    case DTYPE_STRING:
        buf_json(out, e->u.literal.s, e->u.literal.len);
        return;
    case DTYPE_FLOAT:
    case DTYPE_DOUBLE:
        buf_printf(out, "%.17gD", e->u.literal.f);
        return;
    case DTYPE_DECIMAL:
        buf_printf(out, "%.*sBD", (int)e->u.literal.len, e->u.literal.s);
        return;
    case DTYPE_INTERVAL:
        buf_printf(out, "interval(%.*s)", (int)e->u.literal.len, e->u.literal.s);
        return;
    case DTYPE_BINARY:
        buf_puts(out, "X'");
        for (size_t i = 0; i < e->u.literal.len; i++)
            buf_printf(out, "%02X", (unsigned char)e->u.literal.s[i]);
        buf_putc(out, '\'');
        return;
    case DTYPE_INT:
        buf_printf(out, "%lld", (long long)e->u.literal.i);
        return;
    default:
        dtype_simple(t, out);
        buf_printf(out, "(%lld)", (long long)e->u.literal.i);
        return;
    }
}

static void put_bound(struct buf *out, enum frame_bound kind, int64_t value, const struct expr *of)
{
    if (kind == BOUND_VALUE && of) {
        buf_puts(out, value < 0 ? " (preceding " : " (following ");
        put_expr(out, of);
        buf_putc(out, ')');
    } else if (kind == BOUND_VALUE)
        buf_printf(out, " %lld", (long long)value);
    else
        buf_puts(out, kind == BOUND_CURRENT ? " current" : " unbounded");
}

static void put_window(struct buf *out, const struct expr *e)
{
    buf_puts(out, "(over ");
    put_expr(out, e->args[0]);
    buf_puts(out, " (partition");
    for (size_t i = 1; i <= e->u.window.partition_count; i++) {
        buf_putc(out, ' ');
        put_expr(out, e->args[i]);
    }
    buf_puts(out, ") (order");
    for (size_t i = 1 + e->u.window.partition_count; i < e->n; i++) {
        buf_putc(out, ' ');
        put_expr(out, e->args[i]);
    }
    buf_putc(out, ')');
    if (e->u.window.frame != FRAME_NONE) {
        buf_puts(out, e->u.window.frame == FRAME_ROWS ? " (rows" : " (range");
        put_bound(out, e->u.window.lower, e->u.window.lower_value, e->u.window.lower_of);
        put_bound(out, e->u.window.upper, e->u.window.upper_value, e->u.window.upper_of);
        buf_putc(out, ')');
    }
    buf_putc(out, ')');
}

static void put_subquery(struct buf *out, const struct expr *e)
{
    static const char *const names[] = {"scalar", "exists", "in-query"};

    buf_printf(out, "(%s%s", e->u.subquery.negated ? "not-" : "", names[e->u.subquery.kind]);
    put_children(out, e);
    buf_putc(out, ' ');
    put_plan(out, e->u.subquery.plan);
    buf_putc(out, ')');
}

static void put_call(struct buf *out, const struct expr *e)
{
    buf_printf(out, "(%s%s", e->u.call.name, e->u.call.distinct ? " distinct" : "");
    put_children(out, e);
    if (e->u.call.filter) {
        buf_puts(out, " (where ");
        put_expr(out, e->u.call.filter);
        buf_putc(out, ')');
    }
    buf_putc(out, ')');
}

static void put_wrapped(struct buf *out, const struct expr *e)
{
    switch (e->kind) {
    case EXPR_ALIAS:
        buf_puts(out, "(as");
        put_children(out, e);
        for (size_t i = 0; i < e->u.alias.n_names; i++) {
            buf_putc(out, ' ');
            name_quote(out, e->u.alias.names[i]);
        }
        break;
    case EXPR_CAST:
        buf_puts(out, e->u.cast.try ? "(try_cast" : "(cast");
        put_children(out, e);
        buf_putc(out, ' ');
        dtype_simple(e->u.cast.type, out);
        break;
    case EXPR_SORT:
        buf_printf(out, "(%s%s", e->u.sort.descending ? "desc" : "asc",
                   e->u.sort.nulls_last == e->u.sort.descending ? ""
                   : e->u.sort.nulls_last                       ? " nulls-last"
                                                                : " nulls-first");
        put_children(out, e);
        break;
    case EXPR_LAMBDA:
        buf_puts(out, "(lambda (");
        for (size_t i = 0; i < e->u.lambda.n_params; i++)
            buf_printf(out, "%s%s", i ? " " : "", e->u.lambda.params[i]);
        buf_putc(out, ')');
        put_children(out, e);
        break;
    default:
        buf_puts(out, "(extract");
        put_children(out, e);
        break;
    }
    buf_putc(out, ')');
}

static void put_expr(struct buf *out, const struct expr *e)
{
    switch (e->kind) {
    case EXPR_LITERAL:
        put_literal(out, e);
        return;
    case EXPR_ATTRIBUTE:
        put_parts(out, e->u.name.parts, e->u.name.n_parts);
        return;
    case EXPR_STAR:
        put_parts(out, e->u.name.parts, e->u.name.n_parts);
        buf_puts(out, e->u.name.n_parts ? ".*" : "*");
        return;
    case EXPR_VARIABLE:
        buf_printf(out, "$%s", e->u.name.parts[0]);
        return;
    case EXPR_CALL:
        put_call(out, e);
        return;
    case EXPR_WINDOW:
        put_window(out, e);
        return;
    case EXPR_SUBQUERY:
        put_subquery(out, e);
        return;
    default:
        put_wrapped(out, e);
        return;
    }
}

/* ---- plans ---- */
static void put_list(struct buf *out, struct expr *const *exprs, size_t n)
{
    buf_puts(out, " [");
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_putc(out, ' ');
        put_expr(out, exprs[i]);
    }
    buf_putc(out, ']');
}

static void put_names(struct buf *out, char *const *names, size_t n)
{
    buf_puts(out, " [");
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_putc(out, ' ');
        name_quote(out, names[i]);
    }
    buf_putc(out, ']');
}

static void put_kind(struct buf *out, const struct plan *p)
{
    static const char *const joins[] = {"inner", "full", "left", "right", "semi", "anti", "cross"};
    static const char *const sets[] = {"union", "intersect", "except"};
    static const char *const groups[] = {"aggregate", "rollup", "cube", "grouping-sets"};
    static const char *const names[PLAN_KIND_COUNT] = {
        "table",   "source", "scan",        "local", "values",       "range",  "project",   "filter",
        "join",    "set",    "sort",        "limit", "offset",       "tail",   "aggregate", "distinct",
        "sample",  "alias",  "repartition", "to-df", "with-columns", "rename", "drop",      "na-fill",
        "na-drop", "with",   "recursion",   "loop",  "encoded",
    };

    buf_putc(out, '(');
    switch (p->kind) {
    case PLAN_JOIN:
        buf_printf(out, "%s%s%s-join", p->u.join.natural ? "natural-" : "",
                   p->u.join.lateral ? "lateral-" : "", joins[p->u.join.kind]);
        return;
    case PLAN_SET_OP:
        buf_printf(out, "%s%s%s", sets[p->u.set_op.op], p->u.set_op.all ? "-all" : "",
                   p->u.set_op.by_name ? "-by-name" : "");
        return;
    case PLAN_AGGREGATE:
        buf_puts(out, groups[p->u.aggregate.kind]);
        return;
    case PLAN_SORT:
        buf_puts(out, p->u.sort.global ? "sort" : "sort-within");
        return;
    default:
        buf_puts(out, names[p->kind]);
        return;
    }
}

static void put_inputs(struct buf *out, const struct plan *p)
{
    if (p->left) {
        buf_putc(out, ' ');
        put_plan(out, p->left);
    }
    if (p->right) {
        buf_putc(out, ' ');
        put_plan(out, p->right);
    }
}

static void put_options(struct buf *out, const struct plan_options *o)
{
    for (size_t i = 0; i < o->n; i++)
        buf_printf(out, " %s=%s", o->items[i].key, o->items[i].value);
}

static void put_details(struct buf *out, const struct plan *p)
{
    switch (p->kind) {
    case PLAN_READ_TABLE:
        buf_putc(out, ' ');
        put_parts(out, p->names, p->n_names);
        put_options(out, &p->u.table.options);
        return;
    case PLAN_READ_SOURCE:
        buf_printf(out, " %s", p->u.source.format);
        put_names(out, p->names, p->n_names);
        put_options(out, &p->u.source.options);
        return;
    case PLAN_SCAN:
        buf_printf(out, " %s v%lld %zu files", p->u.scan->table, (long long)p->u.scan->version,
                   p->u.scan->n_files);
        return;
    case PLAN_RANGE:
        buf_printf(out, " %lld %lld %lld", (long long)p->u.range.start, (long long)p->u.range.end,
                   (long long)p->u.range.step);
        return;
    case PLAN_LIMIT:
    case PLAN_OFFSET:
    case PLAN_TAIL:
    case PLAN_REPARTITION:
        buf_printf(out, " %lld", (long long)p->u.count);
        return;
    case PLAN_AGGREGATE:
        put_list(out, p->u.aggregate.groups, p->u.aggregate.n_groups);
        return;
    case PLAN_SAMPLE:
        buf_printf(out, " %g %g", p->u.sample.lower, p->u.sample.upper);
        return;
    case PLAN_WITH:
        for (size_t i = 0; i < p->n_names; i++) {
            buf_printf(out, " %s=", p->names[i]);
            put_plan(out, p->u.with.plans[i]);
        }
        return;
    default:
        return;
    }
}

static void put_plan(struct buf *out, const struct plan *p)
{
    bool named = p->kind != PLAN_READ_TABLE && p->kind != PLAN_READ_SOURCE && p->kind != PLAN_WITH;

    put_kind(out, p);
    put_inputs(out, p);
    put_details(out, p);
    if (named && p->n_names)
        put_names(out, p->names, p->n_names);
    if (p->n_exprs)
        put_list(out, p->exprs, p->n_exprs);
    buf_putc(out, ')');
}

bool sql_print_plan(struct buf *out, const struct plan *plan)
{
    put_plan(out, plan);
    return buf_ok(out);
}

bool sql_print_expr(struct buf *out, const struct expr *e)
{
    put_expr(out, e);
    return buf_ok(out);
}
