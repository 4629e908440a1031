/* pivot.c: PIVOT and UNPIVOT, as groups with aggregates over a part of the rows, and as a generator. */
#include "runtime/base/civil.h"
#include "runtime/base/mem.h"
#include "runtime/dataframe/sqlgen/filtered.h"
#include "runtime/sql/parser.h"
#include <string.h>
#include <strings.h>

struct pivot {
    struct expr_list aggregates; /* without their names */
    struct name_list names;      /* of the aggregates; as written when they have none */
    bool named[64];
    struct expr_list columns;    /* FOR */
    struct expr_list conditions; /* one per value */
    struct name_list labels;
    struct expr_list used; /* columns that are no groups */
};

static bool collect_columns(struct parser *p, const struct expr *e, struct expr_list *out)
{
    if (e->kind == EXPR_ATTRIBUTE)
        return push_expr(p, out, expr_ref(e));
    for (size_t i = 0; i < e->n; i++)
        if (!collect_columns(p, e->args[i], out))
            return false;
    return true;
}

static bool parse_aggregates(struct parser *p, struct pivot *v)
{
    do {
        size_t start = peek_token(p, 0)->start, end;
        struct expr *e = parse_expr(p);
        bool named;

        if (!push_expr(p, &v->aggregates, e) || !collect_columns(p, e, &v->used))
            return false;
        end = p->tokens[p->at - 1].end;
        named = accept_word(p, "AS") || (at_name(p, 0) && !at_word(p, 0, "FOR"));
        v->named[v->aggregates.n - 1 < 64 ? v->aggregates.n - 1 : 63] = named;
        if (!push_name(p, &v->names,
                       named ? parse_identifier(p, "a name")
                       : end - start == 8 && strncasecmp(p->text + start, "count(*)", 8) == 0
                           ? "count(1)"
                           : arena_strndup(p->arena, p->text + start, end - start)))
            return false;
    } while (accept_sign(p, ",") && v->aggregates.n < 64);
    return expect_word(p, "FOR");
}

static bool parse_for(struct parser *p, struct pivot *v)
{
    bool several = accept_sign(p, "(");

    do {
        struct name_list parts = {0};
        struct expr *column =
            parse_dotted(p, &parts, "a column") ? expr_attribute(parts.items, parts.n, 0) : NULL;

        if (!push_expr(p, &v->columns, column) || !collect_columns(p, column, &v->used))
            return false;
    } while (several && accept_sign(p, ","));
    return (!several || expect_sign(p, ")")) && expect_word(p, "IN") && expect_sign(p, "(");
}

/* 2.5D is 2.5, 1D is 1.0 */
static const char *double_label(struct parser *p, const char *text)
{
    size_t n = strcspn(text, "dDfF");

    return arena_printf(p->arena, "%.*s%s", (int)n, text, memchr(text, '.', n) ? "" : ".0");
}

/* How Spark names a value's column: as the value is shown; others as they are written. */
static const char *label_of(struct parser *p, const struct token *from, const struct token *to,
                            const struct expr *e)
{
    const struct expr *typed = e->kind == EXPR_CAST && e->u.cast.typed ? e->args[0] : NULL;
    const char *text = arena_strndup(p->arena, p->text + from->start, to->end - from->start);
    enum dtype_id id = e->kind == EXPR_LITERAL ? e->u.literal.type->id : DTYPE_STRUCT;
    int64_t year;
    int month, day;

    if (typed && typed->kind == EXPR_LITERAL) /* DATE'2024-01-01' */
        return arena_strndup(p->arena, typed->u.literal.s, typed->u.literal.len);
    if (e->kind == EXPR_LITERAL && e->u.literal.is_null)
        return "null";
    if (id == DTYPE_DATE) {
        civil_date(e->u.literal.i, &year, &month, &day);
        return arena_printf(p->arena, "%04lld-%02d-%02d", (long long)year, month, day);
    }
    if (id == DTYPE_STRING || id == DTYPE_BINARY)
        return arena_strndup(p->arena, e->u.literal.s, e->u.literal.len);
    return text && (id == DTYPE_DOUBLE || id == DTYPE_FLOAT) && !strpbrk(text, "eE") ? double_label(p, text)
                                                                                     : text;
}

static bool parse_value(struct parser *p, struct pivot *v)
{
    bool several = v->columns.n > 1;
    struct expr *condition = NULL, *value = NULL;
    const char *label = "";

    if (several && !expect_sign(p, "("))
        return false;
    for (size_t i = 0; i < v->columns.n; i++) {
        const struct token *start = peek_token(p, 0);
        struct expr *is;

        value = parse_expr(p);
        if (!value)
            return expr_unref(condition), false;
        label = arena_printf(p->arena, "%s%s%s", label, i ? ", " : "",
                             label_of(p, start, &p->tokens[p->at - 1], value));
        is = expr_binary("<=>", expr_ref(v->columns.items[i]), value);
        condition = condition ? expr_binary("and", condition, is) : is;
        if (i + 1 < v->columns.n && !expect_sign(p, ","))
            return expr_unref(condition), false;
    }
    if (several && !expect_sign(p, ")"))
        return expr_unref(condition), false;
    if (several)
        label = arena_printf(p->arena, "{%s}", label);
    if (accept_word(p, "AS") || at_name(p, 0))
        label = parse_identifier(p, "a name");
    return push_expr(p, &v->conditions, condition) && label && push_name(p, &v->labels, label);
}

static const struct plan *make_pivot(struct parser *p, struct pivot *v, const struct plan *input)
{
    struct expr_list out = {0};
    struct expr *group;

    group = expr_star_except(expr_star(NULL, 0, 0), v->used.items, v->used.n);
    v->used.n = 0;
    if (!push_expr(p, &out, expr_ref(group)))
        goto failed;
    for (size_t i = 0; i < v->conditions.n; i++)
        for (size_t k = 0; k < v->aggregates.n; k++) {
            const char *name = v->aggregates.n == 1
                                   ? v->labels.items[i]
                                   : arena_printf(p->arena, "%s_%s", v->labels.items[i], v->names.items[k]);
            struct expr *e = expr_pivoted(v->aggregates.items[k], v->conditions.items[i], v->aggregates.items,
                                          v->aggregates.n);

            if (!name || !push_expr(p, &out, expr_alias(e, name)))
                goto failed;
        }
    return plan_aggregate(input, GROUP_BY, &group, 1, out.items, out.n);
failed:
    expr_unref(group);
    drop_exprs(&out);
    plan_unref(input);
    fail_memory(p);
    return NULL;
}

const struct plan *parse_pivot(struct parser *p, const struct plan *input)
{
    struct pivot v = {0};
    bool good;

    p->at += 2;
    good = parse_aggregates(p, &v) && parse_for(p, &v);
    while (good && (good = parse_value(p, &v)) && accept_sign(p, ","))
        ;
    good = good && expect_sign(p, ")") && expect_sign(p, ")");
    if (good)
        input = make_pivot(p, &v, input);
    else
        plan_unref(input);
    drop_exprs(&v.aggregates);
    drop_exprs(&v.columns);
    drop_exprs(&v.conditions);
    drop_exprs(&v.used);
    return good ? input : NULL;
}

struct unpivot {
    struct name_list names; /* of the labels' column, then of the values' */
    struct expr_list cells; /* of the generator */
    struct expr_list used;  /* columns that are no part of the rest */
    bool several;           /* values in parentheses */
};

/* One column of a row of values; what it is called is added to the label. */
static bool parse_unpivoted(struct parser *p, struct unpivot *u, struct expr_list *values, const char **label)
{
    struct name_list parts = {0};
    struct expr *column;

    if (!parse_dotted(p, &parts, "a column"))
        return false;
    column = expr_attribute(parts.items, parts.n, 0);
    *label =
        *label ? arena_printf(p->arena, "%s_%s", *label, parts.items[parts.n - 1]) : parts.items[parts.n - 1];
    return push_expr(p, &u->used, expr_ref(column)) && push_expr(p, values, column);
}

/* a [AS x], or (a, b) [AS x] */
static bool parse_unpivot_row(struct parser *p, struct unpivot *u)
{
    const struct token *at = peek_token(p, 0);
    struct expr_list values = {0};
    const char *label = NULL;
    bool good;

    if (u->several && !expect_sign(p, "("))
        return false;
    do
        good = parse_unpivoted(p, u, &values, &label);
    while (good && u->several && accept_sign(p, ","));
    good = good && (!u->several || expect_sign(p, ")"));
    if (good && values.n + 1 != u->names.n)
        good = fail_at(
            p, at,
            "[UNPIVOT_VALUE_SIZE_MISMATCH] All unpivot value columns must have the same size as there are "
            "value column names (%zu). SQLSTATE: 428C4",
            u->names.n - 1);
    if (good && (accept_word(p, "AS") || at_name(p, 0)))
        good = (label = parse_identifier(p, "a name")) != NULL;
    good = good && push_expr(p, &u->cells, expr_string(label, strlen(label)));
    for (size_t i = 0; good && i < values.n; i++)
        good = push_expr(p, &u->cells, expr_ref(values.items[i]));
    drop_exprs(&values);
    return good;
}

/* value FOR name IN (a [AS x], b), or (v, w) FOR name IN ((a, b) [AS x], (c, d)) */
static bool parse_unpivot_words(struct parser *p, struct unpivot *u)
{
    bool good = push_name(p, &u->names, "");

    u->several = accept_sign(p, "(");
    do
        good = good && push_name(p, &u->names, parse_identifier(p, "a name for the values"));
    while (good && u->several && accept_sign(p, ","));
    good = good && (!u->several || expect_sign(p, ")")) && expect_word(p, "FOR") &&
           (u->names.items[0] = parse_identifier(p, "a name for the columns' names")) &&
           expect_word(p, "IN") && expect_sign(p, "(") &&
           push_expr(p, &u->cells, expr_int((int64_t)u->names.n - 1));
    while (good && (good = parse_unpivot_row(p, u)) && accept_sign(p, ","))
        ;
    return good && expect_sign(p, ")") && expect_sign(p, ")");
}

/* Rows in which one of the values is not NULL. */
static struct expr *some_value(const struct unpivot *u)
{
    struct expr *some = NULL;

    for (size_t i = 1; i < u->names.n; i++) {
        struct expr *one = expr_unary("isnotnull", expr_attribute(&u->names.items[i], 1, 0));
        some = some ? expr_binary("or", some, one) : one;
    }
    return some;
}

/* UNPIVOT [INCLUDE|EXCLUDE NULLS] (…) */
const struct plan *parse_unpivot(struct parser *p, const struct plan *input)
{
    struct unpivot u = {.several = false};
    struct expr *out[2];
    bool nulls;

    p->at++;
    nulls = accept_words(p, "INCLUDE NULLS");
    if (!nulls)
        accept_words(p, "EXCLUDE NULLS");
    if (!expect_sign(p, "(") || !parse_unpivot_words(p, &u)) {
        drop_exprs(&u.cells);
        drop_exprs(&u.used);
        plan_unref(input);
        return NULL;
    }
    out[0] = expr_star_except(expr_star(NULL, 0, 0), u.used.items, u.used.n);
    out[1] = expr_alias_many(expr_call("__unpivot", false, u.cells.items, u.cells.n), u.names.items,
                             u.names.n, NULL);
    input = plan_project(input, out, 2);
    return nulls ? input : plan_filter(input, some_value(&u));
}
