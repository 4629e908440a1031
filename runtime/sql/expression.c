/* Expressions by operator precedence (Spark's SqlBaseParser.g4: booleanExpression, valueExpression,
 * primaryExpression). */
#include "runtime/base/mem.h"
#include "runtime/sql/parser.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Binding powers, loosest first. */
enum { OR = 1, AND, NOT, PREDICATE, BIT_OR, BIT_XOR, BIT_AND, SHIFT, SUM, PRODUCT, UNARY };

static struct expr *parse_power(struct parser *p, int least);
static struct expr *parse_primary(struct parser *p);

/* ---- small ones ---- */
static struct expr *negate_if(bool negated, struct expr *e)
{
    return negated ? expr_unary("not", e) : e;
}

static struct expr *call_list(const char *name, bool distinct, struct expr_list *args)
{
    struct expr *e = expr_call(name, distinct, args->items, args->n);

    args->n = 0;
    return e;
}

static const char *lower(struct parser *p, const char *name)
{
    char *out = arena_strdup(p->arena, name);

    for (char *c = out; c && *c; c++)
        *c = (char)tolower((unsigned char)*c);
    if (!out)
        fail_memory(p);
    return out;
}

bool parse_expr_list(struct parser *p, struct expr_list *l)
{
    do {
        if (!push_expr(p, l, parse_expr(p)))
            return false;
    } while (accept_sign(p, ","));
    return p->failed == LC_OK;
}

/* ---- predicates ---- */
static struct expr *parse_in(struct parser *p, struct expr *left, bool negated)
{
    struct expr_list args = {0};

    if (!expect_sign(p, "(")) {
        expr_unref(left);
        return NULL;
    }
    if (starts_query(p)) {
        const struct plan *plan = parse_query(p);
        bool closed = expect_sign(p, ")");
        if (!closed) {
            plan_unref(plan);
            plan = NULL;
        }
        return expr_subquery(plan, SUBQUERY_IN, &left, 1, negated);
    }
    push_expr(p, &args, left);
    if (parse_expr_list(p, &args) && !expect_sign(p, ")"))
        push_expr(p, &args, NULL);
    return negate_if(negated, call_list("in", false, &args));
}

static struct expr *parse_between(struct parser *p, struct expr *left, bool negated)
{
    struct expr *args[3] = {left, parse_power(p, BIT_OR), NULL};

    if (expect_word(p, "AND"))
        args[2] = parse_power(p, BIT_OR);
    return negate_if(negated, expr_call("between", false, args, 3));
}

/* x LIKE ANY ('a', 'b'): any of them; ALL: all of them */
static struct expr *parse_like_many(struct parser *p, const char *name, struct expr *left, bool all,
                                    bool negated)
{
    struct expr *out = NULL;
    int n = 0;

    if (!expect_sign(p, "(")) {
        expr_unref(left);
        return NULL;
    }
    do {
        struct expr *one = negate_if(negated, expr_binary(name, expr_ref(left), parse_expr(p)));
        out = out ? expr_binary(all ? "and" : "or", out, one) : one;
    } while (check_chain(p, ++n) && accept_sign(p, ","));
    expr_unref(left);
    if (!expect_sign(p, ")")) {
        expr_unref(out);
        return NULL;
    }
    return out;
}

static struct expr *parse_like(struct parser *p, const char *name, struct expr *left, bool negated)
{
    struct expr *args[3] = {left, NULL, NULL};
    bool escaped;

    if (at_word(p, 0, "ANY") || at_word(p, 0, "SOME") || at_word(p, 0, "ALL")) {
        bool all = at_word(p, 0, "ALL");
        p->at++;
        return parse_like_many(p, name, left, all, negated);
    }
    args[1] = parse_power(p, BIT_OR);
    escaped = accept_word(p, "ESCAPE");
    if (escaped)
        args[2] = parse_power(p, BIT_OR);
    return negate_if(negated, expr_call(name, false, args, escaped ? 3 : 2));
}

static struct expr *parse_is(struct parser *p, struct expr *left)
{
    bool negated = accept_word(p, "NOT");

    if (accept_word(p, "NULL") || accept_word(p, "UNKNOWN"))
        return expr_unary(negated ? "isnotnull" : "isnull", left);
    if (accept_words(p, "DISTINCT FROM"))
        return negate_if(!negated, expr_binary("<=>", left, parse_power(p, BIT_OR)));
    if (at_word(p, 0, "TRUE") || at_word(p, 0, "FALSE"))
        return negate_if(negated, expr_binary("<=>", left, parse_literal(p)));
    fail_here(p, "NULL, TRUE, FALSE or DISTINCT FROM");
    expr_unref(left);
    return NULL;
}

/* Is a predicate's word here? Then moves behind it. */
static bool parse_predicate(struct parser *p, struct expr **left)
{
    static const struct {
        const char *word, *name;
    } likes[] = {{"LIKE", "like"}, {"ILIKE", "ilike"}, {"RLIKE", "rlike"}, {"REGEXP", "rlike"}};
    size_t at = p->at;
    bool negated = accept_word(p, "NOT") || accept_sign(p, "!");

    if (accept_word(p, "IN")) {
        *left = parse_in(p, *left, negated);
        return true;
    }
    if (accept_word(p, "BETWEEN")) {
        *left = parse_between(p, *left, negated);
        return true;
    }
    for (size_t i = 0; i < sizeof likes / sizeof *likes; i++)
        if (accept_word(p, likes[i].word)) {
            *left = parse_like(p, likes[i].name, *left, negated);
            return true;
        }
    if (!negated && accept_word(p, "IS")) {
        *left = parse_is(p, *left);
        return true;
    }
    p->at = at;
    return false;
}

/* ---- binary operators ---- */
struct operator_row {
    const char *sign; /* or word */
    const char *name; /* of the call */
    int power;
};

static const struct operator_row *operator_here(const struct parser *p)
{
    static const struct operator_row words[] = {
        {"OR", "or", OR}, {"AND", "and", AND}, {"DIV", "div", PRODUCT}};
    static const struct operator_row signs[] = {
        {"=", "==", PREDICATE},  {"==", "==", PREDICATE}, {"<=>", "<=>", PREDICATE}, {"<>", "!=", PREDICATE},
        {"!=", "!=", PREDICATE}, {"<", "<", PREDICATE},   {"<=", "<=", PREDICATE},   {">", ">", PREDICATE},
        {">=", ">=", PREDICATE}, {"|", "|", BIT_OR},      {"^", "^", BIT_XOR},       {"&", "&", BIT_AND},
        {"+", "+", SUM},         {"-", "-", SUM},         {"||", "concat", SUM},     {"*", "*", PRODUCT},
        {"/", "/", PRODUCT},     {"%", "%", PRODUCT},
    };
    static const struct operator_row left = {"<<", "<<", SHIFT}, right = {">>", ">>", SHIFT},
                                     unsigned_right = {">>>", ">>>", SHIFT};

    /* < and > are single tokens, so that types can nest: shifts are those that touch */
    if (at_sign(p, 0, "<") && at_sign(p, 1, "<") && !peek_token(p, 1)->spaced)
        return &left;
    if (at_sign(p, 0, ">") && at_sign(p, 1, ">") && !peek_token(p, 1)->spaced)
        return at_sign(p, 2, ">") && !peek_token(p, 2)->spaced ? &unsigned_right : &right;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (at_word(p, 0, words[i].sign))
            return &words[i];
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (at_sign(p, 0, signs[i].sign))
            return &signs[i];
    return NULL;
}

static size_t operator_tokens(const struct operator_row *o)
{
    return o->power == SHIFT ? strlen(o->sign) : 1;
}

static struct expr *parse_infix(struct parser *p, struct expr *left, int least)
{
    for (int n = 0; left && p->failed == LC_OK; n++) {
        const struct operator_row *o = operator_here(p);
        const struct token *t = peek_token(p, 0);
        if (least <= PREDICATE && parse_predicate(p, &left)) {
            /* nothing: left holds it */
        } else if (o && o->power >= least) {
            p->at += operator_tokens(o);
            left = expr_binary(o->name, left, parse_power(p, o->power + 1));
            if (left)
                left = expr_at(left, (int64_t)t->start);
        } else {
            break;
        }
        if (!check_chain(p, n))
            break;
    }
    if (p->failed != LC_OK) {
        expr_unref(left);
        return NULL;
    }
    return left ? left : (fail_memory(p), NULL);
}

static bool at_number(const struct parser *p, size_t ahead)
{
    enum token_kind kind = peek_token(p, ahead)->kind;

    return kind == TOKEN_INTEGER || kind == TOKEN_DECIMAL || kind == TOKEN_DOUBLE;
}

/* NOT (a IN (SELECT …)) is a NOT IN (SELECT …): of rows that is more than the opposite. */
static struct expr *negation(struct expr *e)
{
    struct expr *out;

    if (!e || e->kind != EXPR_SUBQUERY || e->u.subquery.kind != SUBQUERY_IN || e->u.subquery.negated ||
        e->n != 1)
        return expr_unary("not", e);
    out = expr_ref(e->args[0]);
    out = expr_at(expr_subquery(plan_ref(e->u.subquery.plan), SUBQUERY_IN, &out, 1, true), e->position);
    expr_unref(e);
    return out;
}

static struct expr *parse_prefix(struct parser *p, int least)
{
    if (least <= NOT && (at_word(p, 0, "NOT") || at_sign(p, 0, "!"))) {
        p->at++;
        return negation(parse_power(p, NOT));
    }
    if (at_sign(p, 0, "!")) {
        p->at++;
        return negation(parse_power(p, UNARY));
    }
    if (at_sign(p, 0, "-") && at_number(p, 1)) {
        p->at++;
        return parse_number(p, true);
    }
    if (accept_sign(p, "-"))
        return expr_unary("-", parse_power(p, UNARY));
    if (accept_sign(p, "+"))
        return expr_unary("+", parse_power(p, UNARY));
    if (accept_sign(p, "~"))
        return expr_unary("~", parse_power(p, UNARY));
    return parse_primary(p);
}

static struct expr *parse_power(struct parser *p, int least)
{
    struct expr *e = enter(p) ? parse_infix(p, parse_prefix(p, least), least) : NULL;

    p->depth--;
    if (!e && p->failed == LC_OK)
        fail_memory(p);
    return e;
}

struct expr *parse_expr(struct parser *p)
{
    return parse_power(p, OR);
}

/* first(a IGNORE NULLS): no alias */
static bool at_null_treatment(const struct parser *p)
{
    return (at_word(p, 0, "IGNORE") || at_word(p, 0, "RESPECT")) && at_word(p, 1, "NULLS");
}

struct expr *parse_named_expr(struct parser *p)
{
    struct expr *e = parse_expr(p);
    struct name_list names = {0};

    if (accept_word(p, "AS")) {
        if (at_sign(p, 0, "("))
            parse_identifier_list(p, &names, "a name");
        else
            push_name(p, &names, parse_identifier(p, "a name"));
    } else if (e && e->kind != EXPR_STAR && at_name(p, 0) && !is_clause_word(peek_token(p, 0)) &&
               !at_null_treatment(p)) {
        push_name(p, &names, parse_identifier(p, "a name"));
    }
    if (p->failed != LC_OK) {
        expr_unref(e);
        return NULL;
    }
    if (names.n == 0)
        return e;
    return names.n == 1 ? expr_alias(e, names.items[0]) : expr_alias_many(e, names.items, names.n, NULL);
}

bool parse_sort_list(struct parser *p, struct expr_list *l)
{
    do {
        struct expr *e = parse_expr(p);
        bool descending = accept_word(p, "DESC"), nulls_last = descending;
        if (!descending)
            accept_word(p, "ASC");
        if (accept_words(p, "NULLS FIRST"))
            nulls_last = false;
        else if (accept_words(p, "NULLS LAST"))
            nulls_last = true;
        if (!push_expr(p, l, e ? expr_sort(e, descending, nulls_last) : NULL))
            return false;
    } while (accept_sign(p, ","));
    return p->failed == LC_OK;
}

/* ---- windows ---- */
struct bound {
    enum frame_bound kind;
    int64_t value;   /* the direction */
    struct expr *of; /* owned */
};

static bool names_column(const struct expr *e)
{
    if (e->kind == EXPR_ATTRIBUTE)
        return true;
    for (size_t i = 0; i < e->n; i++)
        if (names_column(e->args[i]))
            return true;
    return false;
}

static bool parse_bound(struct parser *p, bool lower, struct bound *to)
{
    const struct token *t = peek_token(p, 0);

    *to = (struct bound){.kind = BOUND_UNBOUNDED};
    if (lower ? accept_words(p, "UNBOUNDED PRECEDING") : accept_words(p, "UNBOUNDED FOLLOWING")) {
        return true;
    }
    if (accept_words(p, "UNBOUNDED PRECEDING") || accept_words(p, "UNBOUNDED FOLLOWING"))
        return fail_at(p, t,
                       "[DATATYPE_MISMATCH.SPECIFIED_WINDOW_FRAME_INVALID_BOUND] Cannot resolve the frame "
                       "due to data type "
                       "mismatch: a frame begins at UNBOUNDED PRECEDING and ends at UNBOUNDED FOLLOWING, not "
                       "the other way "
                       "round. SQLSTATE: 42K09");
    if (accept_words(p, "CURRENT ROW")) {
        to->kind = BOUND_CURRENT;
        return true;
    }
    to->kind = BOUND_VALUE;
    to->of = parse_power(p, BIT_OR);
    to->value = accept_word(p, "PRECEDING") ? -1 : 1;
    if (to->of && to->value > 0)
        expect_word(p, "FOLLOWING");
    if (to->of && p->failed == LC_OK && names_column(to->of))
        fail_at(
            p, t,
            "[INVALID_SQL_SYNTAX.INVALID_WINDOW_FRAME_BOUND] Invalid SQL syntax: Frame bound value must be a "
            "literal. SQLSTATE: 42000");
    return p->failed == LC_OK;
}

static struct expr *parse_frame(struct parser *p, struct expr *window)
{
    enum frame_kind kind = FRAME_NONE;
    struct bound lower = {.kind = BOUND_UNBOUNDED}, upper = {.kind = BOUND_CURRENT};
    bool ok;

    if (accept_word(p, "ROWS"))
        kind = FRAME_ROWS;
    else if (accept_word(p, "RANGE"))
        kind = FRAME_RANGE;
    if (kind == FRAME_NONE)
        return window;
    if (accept_word(p, "BETWEEN"))
        ok = parse_bound(p, true, &lower) && expect_word(p, "AND") && parse_bound(p, false, &upper);
    else
        ok = parse_bound(p, true, &lower);
    if (!ok || !window) {
        expr_unref(lower.of);
        expr_unref(upper.of);
        expr_unref(window);
        return NULL;
    }
    window = expr_frame(window, kind, lower.kind, lower.value, upper.kind, upper.value);
    return expr_frame_of(window, lower.of, upper.of);
}

/* The contents of the parentheses, which are open. */
static struct expr *parse_window(struct parser *p, struct expr *function)
{
    struct expr_list partition = {0}, order = {0};
    struct expr *e;

    if (accept_words(p, "PARTITION BY") || accept_words(p, "DISTRIBUTE BY"))
        parse_expr_list(p, &partition);
    if (accept_words(p, "ORDER BY") || accept_words(p, "SORT BY"))
        parse_sort_list(p, &order);
    e = expr_window(function, partition.items, partition.n, order.items, order.n);
    if (e)
        e = parse_frame(p, e);
    if (!expect_sign(p, ")")) {
        expr_unref(e);
        return NULL;
    }
    return e;
}

/* WINDOW w AS (…) stands behind the select list that uses w: it is looked for and read in place. */
static struct expr *parse_named_window(struct parser *p, struct expr *function)
{
    const struct token *name = peek_token(p, 0);
    size_t back = ++p->at;
    int depth = 0;
    struct expr *e;

    for (size_t i = p->select_start; i < p->n && depth >= 0; i++) {
        const struct token *t = &p->tokens[i];
        p->at = i;
        depth += at_sign(p, 0, "(");
        depth -= at_sign(p, 0, ")");
        if (depth == 0 && i > back && at_name(p, 0) && strcasecmp(t->text, name->text) == 0 &&
            at_word(p, 1, "AS") && at_sign(p, 2, "(")) {
            p->at += 3;
            e = parse_window(p, function);
            p->at = back;
            return e;
        }
    }
    p->at = back;
    fail_at(p, name, "[MISSING_WINDOW_SPECIFICATION] there is no WINDOW clause for '%s'", name->text);
    expr_unref(function);
    return NULL;
}

/* WITHIN GROUP (ORDER BY …) */
static struct expr *parse_within(struct parser *p, struct expr *e)
{
    struct expr_list orders = {0};

    p->at += 2;
    if (expect_sign(p, "(") && expect_word(p, "ORDER") && expect_word(p, "BY"))
        parse_sort_list(p, &orders);
    expect_sign(p, ")");
    if (p->failed != LC_OK) {
        drop_exprs(&orders);
        return e;
    }
    return expr_within(e, orders.items, orders.n);
}

/* WITHIN GROUP (…), FILTER (WHERE …), OVER … */
static struct expr *parse_after_call(struct parser *p, struct expr *e)
{
    if (at_word(p, 0, "WITHIN") && at_word(p, 1, "GROUP") && at_sign(p, 2, "("))
        e = parse_within(p, e);
    if (at_word(p, 0, "FILTER") && at_sign(p, 1, "(")) {
        struct expr *condition;
        p->at += 2;
        expect_word(p, "WHERE");
        condition = parse_expr(p);
        if (!expect_sign(p, ")")) {
            expr_unref(condition);
            condition = NULL;
        }
        e = expr_filtered(e, condition);
    }
    if (accept_word(p, "OVER"))
        e = accept_sign(p, "(") ? parse_window(p, e) : parse_named_window(p, e);
    if (p->failed != LC_OK) {
        expr_unref(e);
        return NULL;
    }
    return e;
}

/* ---- lambdas ---- */
static bool at_lambda(const struct parser *p)
{
    size_t i = 1;

    if (at_name(p, 0))
        return at_sign(p, 1, "->");
    if (!at_sign(p, 0, "("))
        return false;
    for (; at_name(p, i); i += 2)
        if (!at_sign(p, i + 1, ","))
            return at_sign(p, i + 1, ")") && at_sign(p, i + 2, "->");
    return false;
}

static struct expr *parse_lambda(struct parser *p)
{
    struct name_list params = {0};
    const char **outer = p->lambda, **all;
    size_t n_outer = p->n_lambda;
    struct expr *body;

    if (at_sign(p, 0, "("))
        parse_identifier_list(p, &params, "a name");
    else
        push_name(p, &params, parse_identifier(p, "a name"));
    expect_sign(p, "->");
    all = arena_alloc(p->arena, (n_outer + params.n + 1) * sizeof *all);
    if (!all || p->failed != LC_OK)
        return fail_memory(p), NULL;
    if (n_outer)
        memcpy(all, outer, n_outer * sizeof *all);
    memcpy(all + n_outer, params.items, params.n * sizeof *all);
    p->lambda = all;
    p->n_lambda = n_outer + params.n;
    body = parse_expr(p);
    p->lambda = outer;
    p->n_lambda = n_outer;
    return expr_lambda(params.items, params.n, body);
}

static bool is_variable(const struct parser *p, const char *name)
{
    for (size_t i = 0; i < p->n_lambda; i++)
        if (strcasecmp(p->lambda[i], name) == 0)
            return true;
    return false;
}

/* ---- functions ---- */
static struct expr *parse_argument(struct parser *p)
{
    const struct token *t = peek_token(p, 0);

    if (at_lambda(p))
        return parse_lambda(p);
    if (at_name(p, 0) && at_sign(p, 1, "=>")) {
        fail_unsupported(p, t, "a function argument by name (=>)");
        return NULL;
    }
    return parse_named_expr(p);
}

/* IGNORE NULLS, which is an argument behind all others, or RESPECT NULLS. */
static void parse_null_treatment(struct parser *p, const char **name, struct expr_list *args,
                                 const struct token *at)
{
    static const struct {
        const char *name, *becomes;
        bool shifts; /* has an offset and a default before it */
    } rows[] = {{"first", "first", false},
                {"first_value", "first", false},
                {"last", "last", false},
                {"last_value", "last", false},
                {"any_value", "any_value", false},
                {"nth_value", "nth_value", false},
                {"lag", "lag", true},
                {"lead", "lead", true}};
    bool respect = accept_words(p, "RESPECT NULLS");
    size_t i = 0;

    if (!respect && !accept_words(p, "IGNORE NULLS"))
        return;
    while (i < sizeof rows / sizeof *rows && strcmp(rows[i].name, *name) != 0)
        i++;
    if (respect) {
        *name = i < sizeof rows / sizeof *rows ? rows[i].becomes : *name;
        return;
    }
    if (i == sizeof rows / sizeof *rows) {
        fail_at(p, at,
                "[INVALID_SQL_SYNTAX.FUNCTION_WITH_UNSUPPORTED_SYNTAX] Invalid SQL syntax: The function `%s` "
                "does not support IGNORE NULLS. SQLSTATE: 42000",
                *name);
        return;
    }
    if (rows[i].shifts && args->n == 1)
        push_expr(p, args, expr_int(1));
    if (rows[i].shifts && args->n == 2)
        push_expr(p, args, expr_null());
    push_expr(p, args, expr_bool(true));
    *name = rows[i].becomes;
}

/* The arguments of a function whose parenthesis is open. */
static struct expr *parse_arguments(struct parser *p, const char *name, const struct token *at)
{
    struct expr_list args = {0};
    bool distinct = accept_word(p, "DISTINCT");
    struct expr *e;

    if (!distinct)
        accept_word(p, "ALL");
    if (!at_sign(p, 0, ")"))
        do {
            if (!push_expr(p, &args, parse_argument(p)))
                break;
        } while (accept_sign(p, ","));
    parse_null_treatment(p, &name, &args, at);
    if (!expect_sign(p, ")"))
        push_expr(p, &args, NULL);
    parse_null_treatment(p, &name, &args, at);
    e = call_list(name, distinct, &args);
    return e ? parse_after_call(p, expr_at(e, (int64_t)at->start)) : NULL;
}

static struct expr *parse_cast(struct parser *p, bool try_cast)
{
    struct expr *e = parse_expr(p);
    const struct dtype *type = expect_word(p, "AS") ? parse_type(p) : NULL;

    if (!expect_sign(p, ")")) {
        expr_unref(e);
        dtype_unref(type);
        return NULL;
    }
    return expr_cast(e, type, try_cast);
}

static struct expr *parse_cast_(struct parser *p)
{
    return parse_cast(p, false);
}

static struct expr *parse_try_cast(struct parser *p)
{
    return parse_cast(p, true);
}

/* EXTRACT(YEAR FROM x): a call whose first argument is the field's name. */
static struct expr *parse_extract(struct parser *p)
{
    const struct token *field = peek_token(p, 0);
    bool text = field->kind == TOKEN_STRING;
    struct expr *e = NULL, *args[2];

    if (!text && !at_name(p, 0))
        return fail_here(p, "a field (YEAR, MONTH, DAY …)"), NULL;
    p->at++;
    if (text ? expect_sign(p, ",") : expect_word(p, "FROM"))
        e = parse_expr(p);
    if (!expect_sign(p, ")")) {
        expr_unref(e);
        return NULL;
    }
    args[0] = expr_string(field->text, strlen(field->text));
    args[1] = e;
    return expr_call("extract", false, args, 2);
}

/* TRIM([BOTH|LEADING|TRAILING] [characters] FROM x), trim(x), trim(characters, x): the call takes the text first. */
static struct expr *parse_trim_of(struct parser *p, size_t which, bool words_allowed)
{
    static const char *const words[] = {"BOTH", "LEADING", "TRAILING"};
    static const char *const names[] = {"trim", "ltrim", "rtrim"};
    const struct token *t = peek_token(p, 0);
    struct expr *args[2] = {NULL, NULL};
    size_t n = 1;
    bool said = false;

    for (size_t i = 0; words_allowed && i < 3; i++)
        if (at_word(p, 0, words[i]) && !at_sign(p, 1, ")") && !at_sign(p, 1, ",")) {
            which = i;
            said = true;
            p->at++;
            break;
        }
    if (said && accept_word(p, "FROM")) {
        args[0] = parse_expr(p);
    } else {
        args[0] = parse_expr(p);
        if ((words_allowed && accept_word(p, "FROM")) || accept_sign(p, ",")) {
            args[1] = args[0];
            args[0] = parse_expr(p);
            n = 2;
        }
    }
    if (!expect_sign(p, ")")) {
        expr_unref(args[0]);
        args[0] = NULL;
    }
    return expr_at(expr_call(names[which], false, args, n), (int64_t)t->start);
}

static struct expr *parse_trim(struct parser *p)
{
    return parse_trim_of(p, 0, true);
}

static struct expr *parse_ltrim(struct parser *p)
{
    return parse_trim_of(p, 1, false);
}

static struct expr *parse_rtrim(struct parser *p)
{
    return parse_trim_of(p, 2, false);
}

/* SUBSTRING(x FROM a [FOR b]), POSITION(a IN b), OVERLAY(x PLACING y FROM a [FOR b]): words for commas */
static struct expr *parse_wordy(struct parser *p, const char *name, const char *const *words, bool in_first)
{
    struct expr_list args = {0};

    push_expr(p, &args, parse_power(p, in_first ? BIT_OR : OR));
    for (;;) {
        bool comma = accept_sign(p, ","), more = comma;
        for (size_t i = 0; !more && words[i]; i++)
            more = accept_word(p, words[i]);
        if (more && in_first && args.n == 1 && !comma)
            name = "locate"; /* so Spark calls POSITION(a IN b) */
        if (!more || !push_expr(p, &args, parse_expr(p)))
            break;
    }
    if (!expect_sign(p, ")"))
        push_expr(p, &args, NULL);
    return call_list(name, false, &args);
}

static struct expr *parse_substring(struct parser *p)
{
    static const char *const words[] = {"FROM", "FOR", NULL};

    return parse_wordy(p, "substring", words, false);
}

static struct expr *parse_substr(struct parser *p)
{
    static const char *const words[] = {"FROM", "FOR", NULL};

    return parse_wordy(p, "substr", words, false);
}

static struct expr *parse_position(struct parser *p)
{
    static const char *const words[] = {"IN", NULL};

    return parse_wordy(p, "position", words, true);
}

static struct expr *parse_overlay(struct parser *p)
{
    static const char *const words[] = {"PLACING", "FROM", "FOR", NULL};

    return parse_wordy(p, "overlay", words, false);
}

static struct expr *parse_exists(struct parser *p)
{
    const struct plan *plan = parse_query(p);

    if (!expect_sign(p, ")")) {
        plan_unref(plan);
        plan = NULL;
    }
    return plan ? expr_subquery(plan, SUBQUERY_EXISTS, NULL, 0, false) : NULL;
}

/* Units stand as bare words in some functions: date_add(DAY, 1, x), timestampdiff(MONTH, a, b). */
static struct expr *parse_unit_call(struct parser *p, const char *name, const struct token *at)
{
    struct expr_list args = {0};
    const struct token *unit = peek_token(p, 0);
    struct expr *e;

    p->at += 2;
    push_expr(p, &args, expr_string(unit->text, unit->len));
    parse_expr_list(p, &args);
    if (!expect_sign(p, ")"))
        push_expr(p, &args, NULL);
    e = call_list(strstr(name, "diff") ? "timestampdiff" : "timestampadd", false, &args);
    return e ? expr_at(e, (int64_t)at->start) : NULL;
}

static bool at_unit_call(const struct parser *p, const char *name)
{
    static const char *const names[] = {"date_add", "dateadd",      "date_diff",
                                        "datediff", "timestampadd", "timestampdiff"};
    static const char *const units[] = {"YEAR", "QUARTER", "MONTH",  "WEEK",        "DAY",        "DAYOFYEAR",
                                        "HOUR", "MINUTE",  "SECOND", "MILLISECOND", "MICROSECOND"};
    bool named = false;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        named |= strcmp(names[i], name) == 0;
    for (size_t i = 0; named && i < sizeof units / sizeof *units; i++)
        if (at_word(p, 0, units[i]) && at_sign(p, 1, ","))
            return true;
    return false;
}

/* Types are functions of one argument, too: double('NaN'), date(x). */
static enum dtype_id type_function(const char *name)
{
    static const struct {
        const char *name;
        enum dtype_id id;
    } types[] = {{"boolean", DTYPE_BOOLEAN}, {"tinyint", DTYPE_BYTE},    {"smallint", DTYPE_SHORT},
                 {"int", DTYPE_INT},         {"bigint", DTYPE_LONG},     {"float", DTYPE_FLOAT},
                 {"double", DTYPE_DOUBLE},   {"decimal", DTYPE_DECIMAL}, {"string", DTYPE_STRING},
                 {"binary", DTYPE_BINARY},   {"date", DTYPE_DATE},       {"timestamp", DTYPE_TIMESTAMP}};

    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].name, name) == 0)
            return types[i].id;
    return DTYPE_COUNT;
}

static struct expr *parse_type_call(struct parser *p, enum dtype_id id)
{
    struct expr *e = parse_expr(p);

    if (!expect_sign(p, ")")) {
        expr_unref(e);
        return NULL;
    }
    return expr_quiet_cast(e, dtype_of(id));
}

static struct expr *parse_call(struct parser *p, const char *written, const struct token *at)
{
    static const struct {
        const char *name;
        struct expr *(*fn)(struct parser *p);
    } special[] = {
        {"cast", parse_cast_},      {"try_cast", parse_try_cast},   {"extract", parse_extract},
        {"trim", parse_trim},       {"substring", parse_substring}, {"substr", parse_substr},
        {"ltrim", parse_ltrim},     {"rtrim", parse_rtrim},         {"position", parse_position},
        {"overlay", parse_overlay},
    };
    const char *name = lower(p, written);

    p->at++; /* the parenthesis */
    if (!name)
        return NULL;
    if (strcmp(name, "exists") == 0 && starts_query(p))
        return parse_exists(p);
    for (size_t i = 0; i < sizeof special / sizeof *special; i++)
        if (strcmp(special[i].name, name) == 0) {
            struct expr *e = special[i].fn(p);
            return e && p->failed == LC_OK ? expr_at(e, (int64_t)at->start) : (expr_unref(e), NULL);
        }
    if (at_unit_call(p, name))
        return parse_unit_call(p, name, at);
    if (type_function(name) != DTYPE_COUNT)
        return parse_type_call(p, type_function(name));
    return parse_arguments(p, name, at);
}

/* ---- CASE ---- */
static struct expr *parse_case(struct parser *p)
{
    struct expr_list args = {0};
    struct expr *subject = at_word(p, 0, "WHEN") ? NULL : parse_expr(p);

    if (p->failed == LC_OK && !at_word(p, 0, "WHEN"))
        fail_here(p, "WHEN");
    while (accept_word(p, "WHEN")) {
        struct expr *condition = parse_expr(p);
        if (subject && condition)
            condition = expr_binary("==", expr_ref(subject), condition);
        push_expr(p, &args, condition);
        if (!expect_word(p, "THEN") || !push_expr(p, &args, parse_expr(p)))
            break;
    }
    if (accept_word(p, "ELSE"))
        push_expr(p, &args, parse_expr(p));
    expr_unref(subject);
    if (!expect_word(p, "END"))
        push_expr(p, &args, NULL);
    return call_list("when", false, &args);
}

/* * or t.*, its qualifier read; with what is left out: * EXCEPT (a, t.b) */
static struct expr *parse_star(struct parser *p, const struct name_list *qualifier, const struct token *at)
{
    struct expr *star = expr_at(expr_star(qualifier->items, qualifier->n, 0), (int64_t)at->start);
    struct expr_list columns = {0};

    if (!at_word(p, 0, "EXCEPT") || !at_sign(p, 1, "(") || !at_name(p, 2) || at_word(p, 2, "SELECT") ||
        at_word(p, 2, "WITH"))
        return star;
    p->at += 2;
    do {
        struct name_list parts = {0};
        int64_t start = (int64_t)peek_token(p, 0)->start;

        if (!parse_dotted(p, &parts, "a column") ||
            !push_expr(p, &columns, expr_at(expr_attribute(parts.items, parts.n, 0), start)))
            break;
    } while (accept_sign(p, ","));
    if (!expect_sign(p, ")")) {
        drop_exprs(&columns);
        expr_unref(star);
        return NULL;
    }
    return expr_at(expr_star_except(star, columns.items, columns.n), (int64_t)at->start);
}

/* ---- names ---- */
static struct expr *parse_column(struct parser *p)
{
    const struct token *first = peek_token(p, 0);
    struct name_list parts = {0};

    if (at_identifier_clause(p)) {
        if (!parse_identifier_clause(p, &parts) || parts.n == 0)
            return NULL;
        if (at_sign(p, 0, "("))
            return parse_call(p, parts.items[parts.n - 1], first);
        return expr_at(expr_attribute(parts.items, parts.n, 0), (int64_t)first->start);
    }
    if (first->kind == TOKEN_WORD && is_variable(p, first->text)) {
        p->at++;
        return expr_at(expr_variable(first->text), (int64_t)first->start);
    }
    for (;;) {
        if (!push_name(p, &parts, parse_identifier(p, "a column")))
            return NULL;
        if (!at_sign(p, 0, "."))
            break;
        if (at_sign(p, 1, "*")) {
            p->at += 2;
            return parse_star(p, &parts, first);
        }
        p->at++;
    }
    if (at_sign(p, 0, "("))
        return parse_call(p, parts.items[parts.n - 1], first);
    return expr_at(expr_attribute(parts.items, parts.n, 0), (int64_t)first->start);
}

/* Functions that stand without parentheses. */
static struct expr *parse_bare_function(struct parser *p)
{
    static const char *const names[] = {"current_date",    "current_timestamp", "current_user",
                                        "current_catalog", "current_schema",    "current_database",
                                        "localtimestamp",  "session_user"};
    const struct token *t = peek_token(p, 0);

    if (at_sign(p, 1, "(") || at_sign(p, 1, "."))
        return NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (at_word(p, 0, names[i])) {
            p->at++;
            return expr_at(expr_call(names[i], false, NULL, 0), (int64_t)t->start);
        }
    return NULL;
}

/* What a field of (a, b + 1) is called: as the column, else by its place. */
static const char *row_field(struct parser *p, const struct expr *e, size_t place)
{
    if (e->kind == EXPR_ALIAS)
        return e->u.alias.names[0];
    return e->kind == EXPR_ATTRIBUTE || e->kind == EXPR_VARIABLE ? e->u.name.parts[e->u.name.n_parts - 1]
                                                                 : arena_printf(p->arena, "col%zu", place);
}

/* (a, b): a struct, which Spark calls named_struct(a, a, b, b) */
static struct expr *row_value(struct parser *p, struct expr_list *items)
{
    struct expr_list args = {0};

    for (size_t i = 0; p->failed == LC_OK && i < items->n; i++) {
        struct expr *e = items->items[i];
        const char *name = row_field(p, e, i + 1);

        if (!name || e->kind == EXPR_STAR) { /* (*, 1): its fields have the names of columns */
            drop_exprs(&args);
            return call_list("struct", false, items);
        }
        push_expr(p, &args, expr_string(name, strlen(name)));
        push_expr(p, &args, expr_ref(e->kind == EXPR_ALIAS ? e->args[0] : e));
    }
    drop_exprs(items);
    return call_list("named_struct", false, &args);
}

static struct expr *parse_parenthesis(struct parser *p)
{
    struct expr_list items = {0};
    struct expr *e;

    p->at++;
    if (starts_query(p)) {
        const struct plan *plan = parse_query(p);
        if (!expect_sign(p, ")")) {
            plan_unref(plan);
            return NULL;
        }
        return expr_subquery(plan, SUBQUERY_SCALAR, NULL, 0, false);
    }
    do {
        if (!push_expr(p, &items, parse_named_expr(p)))
            break;
    } while (accept_sign(p, ","));
    if (!expect_sign(p, ")"))
        push_expr(p, &items, NULL);
    if (items.n != 1)
        return row_value(p, &items);
    e = items.items[0];
    return e;
}

/* COLLATE name, of one to three parts */
static struct expr *parse_collation(struct parser *p, struct expr *e)
{
    struct buf name = BUF_INIT(400);
    struct expr *text;

    do
        buf_printf(&name, "%s%s", name.len ? "." : "", parse_identifier(p, "a collation"));
    while (p->failed == LC_OK && accept_sign(p, "."));
    text = expr_string(buf_str(&name), name.len);
    buf_release(&name);
    return expr_binary("collate", e, text);
}

/* [index], .field, ::type and COLLATE behind something */
static struct expr *parse_postfix(struct parser *p, struct expr *e)
{
    for (int n = 0; e && p->failed == LC_OK && check_chain(p, n); n++) {
        if (accept_sign(p, "[")) {
            struct expr *key = parse_expr(p);
            if (!expect_sign(p, "]")) {
                expr_unref(key);
                key = NULL;
            }
            e = expr_extract(e, key);
        } else if (at_sign(p, 0, ".") && at_name(p, 1)) {
            p->at += 2;
            e = expr_extract(e, expr_string(p->tokens[p->at - 1].text, p->tokens[p->at - 1].len));
        } else if (accept_sign(p, "::")) {
            e = expr_cast(e, parse_type(p), false);
        } else if (at_word(p, 0, "COLLATE") && at_name(p, 1)) {
            p->at++;
            e = parse_collation(p, e);
        } else {
            return e;
        }
    }
    if (p->failed != LC_OK) {
        expr_unref(e);
        return NULL;
    }
    return e;
}

static struct expr *parse_atom(struct parser *p)
{
    const struct token *t = peek_token(p, 0);
    size_t at = p->at;
    struct expr *e;

    if (at_interval(p))
        return parse_interval(p);
    e = parse_literal(p);
    if (e || p->failed != LC_OK || p->at != at)
        return e;
    if (at_sign(p, 0, "("))
        return parse_parenthesis(p);
    if (at_sign(p, 0, "*")) {
        p->at++;
        return parse_star(p, &(struct name_list){0}, t);
    }
    if (at_word(p, 0, "CASE") && !at_sign(p, 1, ".")) {
        p->at++;
        return parse_case(p);
    }
    e = t->kind == TOKEN_WORD ? parse_bare_function(p) : NULL;
    if (e)
        return e;
    /* LEFT(x, 1) and LIKE(a, b) are functions; a hard word alone is no column */
    if (at_name(p, 0) && (!is_hard_word(t) || (at_sign(p, 1, "(") && !at_word(p, 0, "SELECT"))))
        return parse_column(p);
    fail_here(p, "an expression");
    return NULL;
}

static struct expr *parse_primary(struct parser *p)
{
    return p->failed == LC_OK ? parse_postfix(p, parse_atom(p)) : NULL;
}
