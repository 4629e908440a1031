/* pipe.c: the pipe syntax of queries: FROM t |> WHERE a > 1 |> AGGREGATE sum(b) AS s GROUP BY a |> ORDER BY s. */
#include "runtime/base/mem.h"
#include "runtime/sql/parser.h"
#include <string.h>

typedef const struct plan *operator_fn(struct parser *p, const struct plan *input);

static const struct plan *dropped(const struct plan *input, struct expr_list *a, struct expr_list *b)
{
    drop_exprs(a);
    if (b)
        drop_exprs(b);
    plan_unref(input);
    return NULL;
}

/* Names of an operator are those of its input alone: without this a WHERE behind AGGREGATE would be a HAVING. */
static const struct plan *closed(const struct plan *input)
{
    struct expr *star = expr_star(NULL, 0, 0);

    return input && (input->kind == PLAN_AGGREGATE || input->kind == PLAN_PROJECT)
               ? plan_project(input, &star, 1)
               : (expr_unref(star), input);
}

static const struct plan *pipe_where(struct parser *p, const struct plan *input)
{
    struct expr *condition = parse_expr(p);

    return condition ? plan_filter(closed(input), condition) : (plan_unref(input), NULL);
}

static const struct plan *pipe_select(struct parser *p, const struct plan *input)
{
    return parse_select_from(p, input);
}

/* expr [AS] name, … */
static bool parse_named_list(struct parser *p, struct expr_list *l)
{
    do {
        if (!push_expr(p, l, parse_named_expr(p)))
            return false;
    } while (accept_sign(p, ","));
    return p->failed == LC_OK;
}

static const struct plan *pipe_extend(struct parser *p, const struct plan *input)
{
    struct expr_list items = {0};

    if (!push_expr(p, &items, expr_star(NULL, 0, 0)) || !parse_named_list(p, &items))
        return dropped(input, &items, NULL);
    return plan_project(input, items.items, items.n);
}

/* The value, and an error where the column is not there: named_struct('v', value, 'c', column).v */
static struct expr *value_of(struct expr *value, const char *column)
{
    struct expr *parts[] = {expr_string("v", 1), value, expr_string("c", 1), expr_attribute(&column, 1, 0)};

    return expr_extract(expr_call("named_struct", false, parts, 4), expr_string("v", 1));
}

static const struct plan *pipe_set(struct parser *p, const struct plan *input)
{
    struct expr_list items = {0};

    do {
        const char *name = parse_identifier(p, "a column");
        struct expr *value;

        if (!name || !expect_sign(p, "=") || (value = parse_expr(p)) == NULL)
            return dropped(input, &items, NULL);
        if (!push_expr(p, &items, expr_alias(value_of(value, name), name)))
            return dropped(input, &items, NULL);
    } while (accept_sign(p, ","));
    return plan_with_columns(input, items.items, items.n);
}

static const struct plan *pipe_drop(struct parser *p, const struct plan *input)
{
    struct expr_list columns = {0};
    struct expr *star;

    do {
        const char *name = parse_identifier(p, "a column");

        if (!name || !push_expr(p, &columns, expr_attribute(&name, 1, 0)))
            return dropped(input, &columns, NULL);
    } while (accept_sign(p, ","));
    star = expr_star_except(expr_star(NULL, 0, 0), columns.items, columns.n);
    return plan_project(input, &star, 1);
}

static const struct plan *pipe_as(struct parser *p, const struct plan *input)
{
    const char *name = parse_identifier(p, "a name");

    return name ? plan_alias(input, &name, 1) : (plan_unref(input), NULL);
}

static const struct plan *pipe_join(struct parser *p, const struct plan *input)
{
    bool joined;

    return parse_next_join(p, input, &joined);
}

static const struct plan *pipe_set_op(struct parser *p, const struct plan *input)
{
    enum set_op op = SET_UNION;
    bool found = accept_set_op(p, false, &op) || accept_set_op(p, true, &op), all, by_name;

    all = found && accept_word(p, "ALL");
    if (!all)
        accept_word(p, "DISTINCT");
    by_name = op == SET_UNION && accept_words(p, "BY NAME");
    return plan_set_op(input, parse_query_primary(p), op, all, by_name, false);
}

/* [aggregates] [GROUP BY group [AS name], …]: the groups are columns, too, before the aggregates. */
static const struct plan *pipe_aggregate(struct parser *p, const struct plan *input)
{
    struct expr_list aggregates = {0}, items = {0}, groups = {0};
    const struct token *t = peek_token(p, 0);
    bool grouped;

    if (!at_word(p, 0, "GROUP") && !parse_named_list(p, &aggregates))
        return dropped(input, &aggregates, NULL);
    grouped = p->failed == LC_OK && accept_words(p, "GROUP BY");
    if (grouped && at_word(p, 0, "ALL"))
        fail_unsupported(p, t, "GROUP BY ALL of |> AGGREGATE");
    else if (grouped)
        parse_named_list(p, &items);
    for (size_t i = 0; p->failed == LC_OK && i < items.n; i++) {
        const struct expr *e = items.items[i];

        push_expr(p, &groups, expr_ref(e->kind == EXPR_ALIAS ? e->args[0] : e));
    }
    for (size_t i = 0; p->failed == LC_OK && i < aggregates.n; i++)
        push_expr(p, &items, expr_ref(aggregates.items[i]));
    drop_exprs(&aggregates);
    if (p->failed != LC_OK)
        return dropped(input, &items, &groups);
    return plan_aggregate(closed(input), GROUP_BY, groups.items, groups.n, items.items, items.n);
}

static const struct plan *pipe_tail(struct parser *p, const struct plan *input)
{
    return parse_tail(p, closed(input));
}

/* What stands behind |>; keep: the operator's own function reads the word. */
static const struct {
    const char *word;
    bool keep;
    operator_fn *fn;
} operators[] = {
    {"WHERE", false, pipe_where},
    {"SELECT", false, pipe_select},
    {"EXTEND", false, pipe_extend},
    {"SET", false, pipe_set},
    {"DROP", false, pipe_drop},
    {"AS", false, pipe_as},
    {"AGGREGATE", false, pipe_aggregate},
    {"PIVOT", true, parse_pivot},
    {"UNPIVOT", true, parse_unpivot},
    {"TABLESAMPLE", true, parse_sample},
    {"UNION", true, pipe_set_op},
    {"EXCEPT", true, pipe_set_op},
    {"MINUS", true, pipe_set_op},
    {"INTERSECT", true, pipe_set_op},
    {"ORDER", true, pipe_tail},
    {"SORT", true, pipe_tail},
    {"CLUSTER", true, pipe_tail},
    {"DISTRIBUTE", true, pipe_tail},
    {"LIMIT", true, pipe_tail},
    {"OFFSET", true, pipe_tail},
    {"JOIN", true, pipe_join},
    {"INNER", true, pipe_join},
    {"CROSS", true, pipe_join},
    {"LEFT", true, pipe_join},
    {"RIGHT", true, pipe_join},
    {"FULL", true, pipe_join},
    {"SEMI", true, pipe_join},
    {"ANTI", true, pipe_join},
    {"NATURAL", true, pipe_join},
};

static const struct plan *parse_operator(struct parser *p, const struct plan *input)
{
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        if (at_word(p, 0, operators[i].word)) {
            if (!operators[i].keep)
                p->at++;
            return operators[i].fn(p, input);
        }
    fail_here(p, "an operator of a pipe such as WHERE, SELECT, EXTEND, AGGREGATE, JOIN or ORDER BY");
    plan_unref(input);
    return NULL;
}

const struct plan *parse_pipes(struct parser *p, const struct plan *input)
{
    for (int n = 0; input && p->failed == LC_OK && at_sign(p, 0, "|>") && check_chain(p, n); n++) {
        p->at++;
        input = parse_operator(p, input);
        if (!input && p->failed == LC_OK)
            fail_memory(p);
    }
    if (p->failed == LC_OK)
        return input;
    plan_unref(input);
    return NULL;
}
