/* grouping.c: GROUP BY: expressions, ROLLUP, CUBE and GROUPING SETS, alone and together. */
#include "runtime/base/buf.h"
#include "runtime/dataframe/sqlgen/functions.h"
#include "runtime/sql/parser.h"
#include <string.h>
#include <strings.h>

static bool same_expr(const struct expr *a, const struct expr *b)
{
    struct buf x = BUF_INIT(1 << 20), y = BUF_INIT(1 << 20);
    bool same;

    sql_print_expr(&x, a);
    sql_print_expr(&y, b);
    same = strcasecmp(buf_str(&x), buf_str(&y)) == 0;
    buf_release(&x);
    buf_release(&y);
    return same;
}

/* One expression of a set: its place among the groups, which takes it over. */
static bool set_member(struct parser *p, struct grouping *s, uint32_t *set)
{
    struct expr *e = parse_expr(p);
    size_t i = 0;

    while (e && i < s->groups.n && !same_expr(e, s->groups.items[i]))
        i++;
    if (!e || i >= GROUP_SETS_COLUMNS) {
        expr_unref(e);
        return e ? fail_at(p, peek_token(p, 0), "GROUPING SETS takes at most %d columns", GROUP_SETS_COLUMNS)
                 : false;
    }
    *set |= 1u << i;
    if (i == s->groups.n)
        return push_expr(p, &s->groups, e);
    expr_unref(e);
    return true;
}

static bool has_aggregate(const struct expr *e)
{
    if (e->kind == EXPR_CALL && function_is_aggregate(e->u.call.name))
        return true;
    for (size_t i = 0; i < e->n; i++)
        if (has_aggregate(e->args[i]))
            return true;
    return false;
}

/* GROUP BY ALL: by each item of the select list without an aggregate, named by its place. */
static bool parse_group_all(struct parser *p, const struct expr_list *items, struct grouping *s)
{
    p->at++;
    for (size_t i = 0; i < items->n; i++)
        if (!has_aggregate(items->items[i]) && !push_expr(p, &s->groups, expr_int((int64_t)i + 1)))
            return false;
    return true;
}

static bool add_set(struct parser *p, struct sets *to, uint32_t set)
{
    if (to->n == sizeof to->items / sizeof *to->items)
        return fail_at(p, peek_token(p, 0), "GROUP BY has more than 256 sets of columns");
    to->items[to->n++] = set;
    return true;
}

/* (a, b) or a */
static bool parse_group_set(struct parser *p, struct grouping *s, uint32_t *set)
{
    size_t at = p->at, groups = s->groups.n;

    if (!accept_sign(p, "("))
        return set_member(p, s, set);
    if (!at_sign(p, 0, ")"))
        do {
            if (!set_member(p, s, set))
                return false;
        } while (accept_sign(p, ","));
    if (!expect_sign(p, ")"))
        return false;
    if (at_sign(p, 0, ",") || at_sign(p, 0, ")"))
        return true;
    while (s->groups.n > groups) /* (a + b) * 2 */
        expr_unref(s->groups.items[--s->groups.n]);
    p->at = at;
    *set = 0;
    return set_member(p, s, set);
}

/* The sets of ROLLUP (a, (b, c)) or CUBE, whose parenthesis is open. */
static bool parse_totals(struct parser *p, struct grouping *s, enum group_kind kind, struct sets *to)
{
    uint32_t members[GROUP_SETS_COLUMNS];
    size_t n = 0;

    do {
        if (n == GROUP_SETS_COLUMNS || (kind == GROUP_CUBE && n == 8))
            return fail_at(p, peek_token(p, 0), "%s takes at most %d columns beside other groups",
                           kind == GROUP_CUBE ? "CUBE" : "ROLLUP",
                           kind == GROUP_CUBE ? 8 : GROUP_SETS_COLUMNS);
        members[n] = 0;
        if (!parse_group_set(p, s, &members[n++]))
            return false;
    } while (accept_sign(p, ","));
    for (size_t i = 0; kind == GROUP_CUBE && i < (size_t)1 << n; i++) {
        uint32_t set = 0;

        for (size_t k = 0; k < n; k++)
            set |= i & (size_t)1 << k ? 0 : members[k];
        if (!add_set(p, to, set))
            return false;
    }
    for (size_t left = n + 1; kind == GROUP_ROLLUP && left-- > 0;) {
        uint32_t set = 0;

        for (size_t k = 0; k < left; k++)
            set |= members[k];
        if (!add_set(p, to, set))
            return false;
    }
    return expect_sign(p, ")");
}

static bool at_totals(const struct parser *p, enum group_kind *kind)
{
    static const struct {
        const char *word;
        enum group_kind kind;
    } kinds[] = {{"ROLLUP", GROUP_ROLLUP}, {"CUBE", GROUP_CUBE}};

    for (size_t i = 0; i < 2; i++)
        if (at_word(p, 0, kinds[i].word) && at_sign(p, 1, "(")) {
            *kind = kinds[i].kind;
            return true;
        }
    *kind = GROUP_SETS;
    return at_word(p, 0, "GROUPING") && at_word(p, 1, "SETS");
}

/* ROLLUP (…), CUBE (…), GROUPING SETS (…) of all of these; in the last one also (a, b) and a. */
static bool parse_analytic(struct parser *p, struct grouping *s, struct sets *to)
{
    enum group_kind kind;
    uint32_t set = 0;
    bool good;

    if (!at_totals(p, &kind))
        return parse_group_set(p, s, &set) && add_set(p, to, set);
    p->at += 2;
    if (kind != GROUP_SETS)
        return parse_totals(p, s, kind, to);
    good = enter(p) && expect_sign(p, "(");
    do
        good = good && parse_analytic(p, s, to);
    while (good && accept_sign(p, ","));
    p->depth--;
    return good && expect_sign(p, ")");
}

/* What is grouped by is every set of the one with every set of the other. */
static bool cross(struct parser *p, struct sets *to, const struct sets *with)
{
    struct sets all = {.n = 0};

    for (size_t i = 0; i < to->n; i++)
        for (size_t k = 0; k < with->n; k++)
            if (!add_set(p, &all, to->items[i] | with->items[k]))
                return false;
    *to = all;
    return true;
}

/* a, ROLLUP (b), …: the groups before were read. */
static bool parse_sets(struct parser *p, struct grouping *s)
{
    struct sets *all = &s->sets;

    s->kind = GROUP_SETS;
    if (s->groups.n > GROUP_SETS_COLUMNS)
        return fail_at(p, peek_token(p, 0), "GROUPING SETS takes at most %d columns", GROUP_SETS_COLUMNS);
    all->n = 1;
    all->items[0] = (uint32_t)((UINT64_C(1) << s->groups.n) - 1);
    do {
        struct sets one = {.n = 0};
        enum group_kind kind;
        uint32_t set = 0;

        if (at_totals(p, &kind) ? !parse_analytic(p, s, &one)
                                : !set_member(p, s, &set) || !add_set(p, &one, set))
            return false;
        if (!cross(p, all, &one))
            return false;
    } while (accept_sign(p, ","));
    return true;
}

/* ROLLUP (a, b) alone is a kind of its own; false: it is not that, and nothing was read. */
static bool parse_lone_totals(struct parser *p, struct grouping *s)
{
    size_t at = p->at;
    enum group_kind kind;

    if (!at_totals(p, &kind) || kind == GROUP_SETS)
        return false;
    p->at += 2;
    while (!at_sign(p, 0, "(") && push_expr(p, &s->groups, parse_expr(p)) && accept_sign(p, ","))
        ;
    if (p->failed == LC_OK && accept_sign(p, ")") && !at_sign(p, 0, ",")) {
        s->kind = kind;
        return true;
    }
    if (p->failed == LC_OK) {
        drop_exprs(&s->groups);
        s->groups.n = 0;
        p->at = at;
    }
    return p->failed != LC_OK;
}

bool parse_grouping(struct parser *p, const struct expr_list *items, struct grouping *s)
{
    enum group_kind kind;

    s->grouped = true;
    if (at_word(p, 0, "ALL") && !at_sign(p, 1, ".") && !at_sign(p, 1, ",") && !at_sign(p, 1, "("))
        return parse_group_all(p, items, s);
    if (parse_lone_totals(p, s))
        return p->failed == LC_OK;
    do {
        if (at_totals(p, &kind))
            return parse_sets(p, s);
        if (!push_expr(p, &s->groups, parse_expr(p)))
            return false;
    } while (accept_sign(p, ","));
    if (accept_words(p, "WITH ROLLUP"))
        s->kind = GROUP_ROLLUP;
    else if (accept_words(p, "WITH CUBE"))
        s->kind = GROUP_CUBE;
    if (at_word(p, 0, "GROUPING") && at_word(p, 1, "SETS")) { /* a, b GROUPING SETS (…): of those before */
        s->kind = GROUP_SETS;
        return parse_analytic(p, s, &s->sets);
    }
    return true;
}
