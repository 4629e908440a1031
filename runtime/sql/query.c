/* Queries: WITH, set operations, SELECT, FROM, ORDER BY, LIMIT. */
#include "runtime/base/mem.h"
#include "runtime/dataframe/sqlgen/functions.h"
#include "runtime/sql/parser.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_generator(const char *name)
{
    static const char *const names[] = {"explode", "explode_outer", "posexplode", "posexplode_outer",
                                        "inline",  "inline_outer",  "stack",      "json_tuple"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcasecmp(names[i], name) == 0)
            return true;
    return false;
}

static const struct plan *parse_relation(struct parser *p);

/* A plan of a query that has failed is of no use. */
static const struct plan *checked(struct parser *p, const struct plan *plan)
{
    if (p->failed != LC_OK) {
        plan_unref(plan);
        return NULL;
    }
    if (!plan)
        fail_memory(p);
    return plan;
}

bool starts_query(const struct parser *p)
{
    size_t i = 0;

    while (at_sign(p, i, "("))
        i++;
    return at_word(p, i, "SELECT") || (at_word(p, i, "FROM") && at_name(p, i + 1)) ||
           (at_word(p, i, "WITH") && at_name(p, i + 1)) ||
           (at_word(p, i, "VALUES") && at_sign(p, i + 1, "(")) ||
           (at_word(p, i, "TABLE") && at_name(p, i + 1) && !at_sign(p, i + 1, "."));
}

/* ---- tables ---- */
static bool add_option(struct parser *p, struct plan_options *o, const char *key, const char *value)
{
    return plan_options_set(o, key, value) || fail_memory(p);
}

/* t VERSION AS OF 3, t FOR TIMESTAMP AS OF '2026-01-31' */
static bool parse_time_travel(struct parser *p, struct plan_options *o)
{
    size_t ahead = at_word(p, 0, "FOR");
    bool version = at_word(p, ahead, "VERSION") || at_word(p, ahead, "SYSTEM_VERSION");
    bool time = at_word(p, ahead, "TIMESTAMP") || at_word(p, ahead, "SYSTEM_TIME");
    const struct token *t;

    if (p->failed != LC_OK || (!version && !time) || !at_word(p, ahead + 1, "AS") ||
        !at_word(p, ahead + 2, "OF"))
        return p->failed == LC_OK;
    p->at += ahead + 3;
    if (time && (at_word(p, 0, "TIMESTAMP") || at_word(p, 0, "DATE")) &&
        peek_token(p, 1)->kind == TOKEN_STRING)
        p->at++;
    t = peek_token(p, 0);
    if (t->kind != TOKEN_STRING && !(version && t->kind == TOKEN_INTEGER))
        return fail_here(p, version ? "a version (a whole number)" : "a time in quotes");
    p->at++;
    return add_option(p, o, version ? "versionAsOf" : "timestampAsOf", t->text);
}

/* "20260131120000000" → "2026-01-31 12:00:00.000" */
static const char *written_time(struct parser *p, const char *digits)
{
    return strlen(digits) == 17
               ? arena_printf(p->arena, "%.4s-%.2s-%.2s %.2s:%.2s:%.2s.%.3s", digits, digits + 4, digits + 6,
                              digits + 8, digits + 10, digits + 12, digits + 14)
               : NULL;
}

/* v3, or a time of 17 digits */
static bool add_version(struct parser *p, const struct token *t, const char *text, struct plan_options *o)
{
    const char *time;

    if ((text[0] == 'v' || text[0] == 'V') && text[1] && strspn(text + 1, "0123456789") == strlen(text + 1))
        return add_option(p, o, "versionAsOf", text + 1);
    time = strspn(text, "0123456789") == strlen(text) ? written_time(p, text) : NULL;
    return time ? add_option(p, o, "timestampAsOf", time)
                : fail_at(p, t,
                          "Syntax error at or near '@': expected a version as @v3, or a time as "
                          "@yyyyMMddHHmmssSSS");
}

/* t@v3, delta.`/a/path@v3` */
static bool parse_at_version(struct parser *p, struct name_list *parts, struct plan_options *o)
{
    const struct token *t = peek_token(p, 0);
    const char *path = parts->n == 2 && strcasecmp(parts->items[0], "delta") == 0 ? parts->items[1] : NULL;
    const char *at = path ? strrchr(path, '@') : NULL;

    if (accept_sign(p, "@")) {
        t = peek_token(p, 0);
        p->at++;
        return add_version(p, t, t->text, o);
    }
    if (!at || (at[1] != 'v' && strlen(at) != 18) || strspn(at + 2, "0123456789") != strlen(at + 2) || !at[2])
        return p->failed == LC_OK;
    parts->items[1] = arena_strndup(p->arena, path, (size_t)(at - path));
    return parts->items[1] ? add_version(p, t, at + 1, o) : fail_memory(p);
}

static const struct plan *parse_table(struct parser *p)
{
    struct name_list parts = {0};
    struct plan_options options = {0};
    const struct plan *plan = NULL;
    int64_t at = (int64_t)peek_token(p, 0)->start;

    if (parse_dotted(p, &parts, "a table") && parse_at_version(p, &parts, &options) &&
        parse_time_travel(p, &options))
        plan = plan_at(plan_read_table(parts.items, parts.n, &options), at);
    plan_options_release(&options);
    return checked(p, plan);
}

/* VALUES (1, 'a'), (2, 'b') */
static const struct plan *parse_values(struct parser *p)
{
    struct expr_list cells = {0};
    size_t rows = 0, columns = 0;
    const struct plan *plan = NULL;

    do {
        const struct token *t = peek_token(p, 0);
        size_t before = cells.n;
        if (accept_sign(p, "(")) {
            if (parse_expr_list(p, &cells))
                expect_sign(p, ")");
        } else {
            push_expr(p, &cells, parse_expr(p));
        }
        if (rows++ == 0)
            columns = cells.n;
        else if (p->failed == LC_OK && cells.n - before != columns)
            fail_at(p, t,
                    "[INVALID_INLINE_TABLE.NUM_COLUMNS_MISMATCH] a row of VALUES has %zu columns, the first "
                    "one has %zu",
                    cells.n - before, columns);
    } while (p->failed == LC_OK && accept_sign(p, ","));
    if (p->failed == LC_OK) {
        plan = plan_values(cells.items, rows, columns, NULL);
        cells.n = 0;
    }
    drop_exprs(&cells);
    return checked(p, plan);
}

/* A whole number, or sums, differences and products of such. */
static bool whole_number(const struct expr *e, int64_t *out)
{
    int64_t a = 0, b = 0;
    const char *op;

    if (!e || (e->kind != EXPR_LITERAL && (e->kind != EXPR_CALL || e->n == 0 || e->n > 2)))
        return false;
    if (e->kind == EXPR_LITERAL) {
        *out = e->u.literal.i;
        return dtype_is_integral(e->u.literal.type) && !e->u.literal.is_null;
    }
    op = e->u.call.name;
    if (!whole_number(e->args[e->n - 1], &b) || (e->n == 2 && !whole_number(e->args[0], &a)))
        return false;
    if (e->n == 1)
        return (strcmp(op, "-") == 0 || strcmp(op, "negative") == 0) && !__builtin_sub_overflow(a, b, out);
    return strcmp(op, "+") == 0   ? !__builtin_add_overflow(a, b, out)
           : strcmp(op, "-") == 0 ? !__builtin_sub_overflow(a, b, out)
           : strcmp(op, "*") == 0 ? !__builtin_mul_overflow(a, b, out)
                                  : false;
}

static bool constant(struct parser *p, const struct token *at, const struct expr *e, int64_t *out)
{
    if (whole_number(e, out))
        return true;
    return p->failed == LC_OK &&
           fail_at(p, at,
                   "[INVALID_LIMIT_LIKE_EXPRESSION.DATA_TYPE] '%.60s' is not a whole number. SQLSTATE: 42K0E",
                   at->text);
}

/* explode(array(1, 2)): a SELECT of it. */
static const struct plan *parse_generator_table(struct parser *p)
{
    const char *function = parse_identifier(p, "a function");
    struct expr_list args = {0};
    struct expr *call = NULL;

    if (expect_sign(p, "(") && !at_sign(p, 0, ")"))
        parse_expr_list(p, &args);
    expect_sign(p, ")");
    if (p->failed == LC_OK) {
        call = expr_call(function, false, args.items, args.n);
        args.n = 0;
    }
    drop_exprs(&args);
    return call ? checked(p, plan_project(NULL, &call, 1)) : checked(p, NULL);
}

/* range(end), range(start, end[, step[, partitions]]) */
static const struct plan *parse_table_function(struct parser *p)
{
    const struct token *t = peek_token(p, 0);
    struct expr_list args = {0};
    int64_t numbers[4] = {0, 0, 1, 0};
    const struct plan *plan = NULL;

    if (is_generator(t->text))
        return parse_generator_table(p);
    if (strcasecmp(t->text, "range") != 0) {
        char what[100];
        snprintf(what, sizeof what, "the table function '%.60s'", t->text);
        fail_unsupported(p, t, what);
        return NULL;
    }
    p->at += 2;
    parse_expr_list(p, &args);
    for (size_t i = 0; p->failed == LC_OK && i < args.n && i < 4; i++)
        constant(p, t, args.items[i], &numbers[i]);
    if (p->failed == LC_OK && (args.n > 4 || numbers[2] == 0))
        fail_at(p, t, "range takes (end), or (start, end, step, partitions)");
    if (args.n == 1) {
        numbers[1] = numbers[0];
        numbers[0] = 0;
    }
    drop_exprs(&args);
    if (expect_sign(p, ")"))
        plan = plan_range(numbers[0], numbers[1], numbers[2]);
    return checked(p, plan);
}

/* TABLESAMPLE (10 PERCENT), (5 ROWS) */
const struct plan *parse_sample(struct parser *p, const struct plan *plan)
{
    const struct token *t;
    double amount;
    int64_t seed = 42;

    if (!plan || !accept_word(p, "TABLESAMPLE"))
        return plan;
    expect_sign(p, "(");
    t = peek_token(p, 0);
    amount = strtod(t->text, NULL);
    if (p->failed == LC_OK && t->kind != TOKEN_INTEGER && t->kind != TOKEN_DECIMAL && t->kind != TOKEN_DOUBLE)
        fail_here(p, "a number");
    p->at++;
    if (accept_word(p, "PERCENT")) {
        if (amount < 0 || amount > 100)
            fail_at(p, t,
                    "[INVALID_TABLESAMPLE_FRACTION] TABLESAMPLE takes 0 to 100 PERCENT. SQLSTATE: 22023");
        expect_sign(p, ")");
        if (accept_word(p, "REPEATABLE") && expect_sign(p, "(")) {
            seed = strtoll(peek_token(p, 0)->text, NULL, 10);
            p->at++;
            expect_sign(p, ")");
        }
        plan = plan_sample(plan, 0, amount / 100, false, seed);
    } else if (accept_word(p, "ROWS")) {
        expect_sign(p, ")");
        plan = plan_limit(plan, amount < 9e18 ? (int64_t)amount : INT64_MAX);
    } else {
        fail_here(p, "PERCENT or ROWS");
    }
    return checked(p, plan);
}

static bool at_alias(const struct parser *p)
{
    const struct token *t = peek_token(p, 0);

    if (t->kind == TOKEN_NAME)
        return true;
    if (t->kind != TOKEN_WORD || is_clause_word(t))
        return false;
    return !((at_word(p, 0, "VERSION") || at_word(p, 0, "TIMESTAMP")) && at_word(p, 1, "AS"));
}

/* [AS] name [(columns)] */
static const struct plan *parse_alias(struct parser *p, const struct plan *plan)
{
    struct name_list columns = {0};
    const char *name;

    if (!plan || (!accept_word(p, "AS") && !at_alias(p)))
        return plan;
    name = at_sign(p, 0, "(") ? NULL : parse_identifier(p, "a name");
    if (at_sign(p, 0, "(")) {
        parse_identifier_list(p, &columns, "a name");
        plan = plan_to_df(plan, columns.items, columns.n);
    }
    if (plan && name)
        plan = plan_alias(plan, &name, 1);
    return checked(p, plan);
}

/* A query without a name: Spark gives it one, so that what it reads from cannot be asked for above it. */
static const struct plan *unnamed(struct parser *p, const struct plan *plan)
{
    static const char *const name = "__auto_generated_subquery_name";

    return checked(p, plan_alias(plan, &name, 1));
}

const struct plan *parse_relation_primary(struct parser *p)
{
    const struct plan *plan;
    bool query = false;

    if (p->failed != LC_OK)
        return NULL;
    if (at_sign(p, 0, "(")) {
        query = starts_query(p);
        p->at++;
        plan = query ? parse_query(p) : parse_relation(p);
        expect_sign(p, ")");
        plan = checked(p, plan);
    } else if (accept_word(p, "VALUES")) {
        plan = parse_values(p);
    } else if (at_name(p, 0) && at_sign(p, 1, "(") && !at_identifier_clause(p)) {
        plan = parse_table_function(p);
    } else {
        plan = parse_table(p);
    }
    plan = parse_sample(p, plan);
    plan = query && plan && !at_word(p, 0, "AS") && !at_alias(p) ? unnamed(p, plan) : parse_alias(p, plan);
    if (plan && at_word(p, 0, "PIVOT") && at_sign(p, 1, "("))
        plan = parse_alias(p, parse_pivot(p, plan));
    else if (plan && at_word(p, 0, "UNPIVOT") &&
             (at_sign(p, 1, "(") || at_word(p, 1, "INCLUDE") || at_word(p, 1, "EXCLUDE")))
        plan = parse_alias(p, parse_unpivot(p, plan));
    return plan;
}

/* ---- joins ---- */
static bool parse_join_kind(struct parser *p, enum join_kind *kind)
{
    static const struct {
        const char *words;
        enum join_kind kind;
    } kinds[] = {
        {"JOIN", JOIN_INNER},       {"INNER JOIN", JOIN_INNER},
        {"CROSS JOIN", JOIN_CROSS}, {"LEFT SEMI JOIN", JOIN_SEMI},
        {"SEMI JOIN", JOIN_SEMI},   {"LEFT ANTI JOIN", JOIN_ANTI},
        {"ANTI JOIN", JOIN_ANTI},   {"LEFT OUTER JOIN", JOIN_LEFT},
        {"LEFT JOIN", JOIN_LEFT},   {"RIGHT OUTER JOIN", JOIN_RIGHT},
        {"RIGHT JOIN", JOIN_RIGHT}, {"FULL OUTER JOIN", JOIN_FULL},
        {"FULL JOIN", JOIN_FULL},
    };

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (accept_words(p, kinds[i].words)) {
            *kind = kinds[i].kind;
            return true;
        }
    return false;
}

/* explode(xs) [AS] x(e), behind LATERAL */
static bool at_generator(const struct parser *p)
{
    return at_name(p, 0) && at_sign(p, 1, "(") && is_generator(peek_token(p, 0)->text);
}

/* What joins to the left: a table, or what a LATERAL gives for each of its rows. */
static const struct plan *parse_lateral(struct parser *p, const struct plan *left, enum join_kind kind)
{
    const struct plan *right;
    struct expr *condition = NULL;
    bool generator = at_generator(p);

    right = parse_relation_primary(p);
    if (accept_word(p, "ON"))
        condition = parse_expr(p);
    else if (generator && kind == JOIN_LEFT) /* Spark gives no row for an empty list then */
        kind = JOIN_CROSS;
    if (p->failed == LC_OK && kind != JOIN_INNER && kind != JOIN_CROSS && kind != JOIN_LEFT)
        fail_at(
            p, peek_token(p, 0),
            "[INVALID_LATERAL_JOIN_TYPE] LATERAL stands behind JOIN, LEFT JOIN or CROSS JOIN, or a comma. "
            "SQLSTATE: 42613");
    if (p->failed != LC_OK) {
        plan_unref(left);
        plan_unref(right);
        expr_unref(condition);
        return NULL;
    }
    return plan_join_lateral(left, right,
                             kind == JOIN_LEFT ? JOIN_LEFT
                             : condition       ? JOIN_INNER
                                               : JOIN_CROSS,
                             condition);
}

static const struct plan *parse_join(struct parser *p, const struct plan *left, enum join_kind kind,
                                     bool natural)
{
    const struct plan *right;
    struct expr *condition = NULL;
    struct name_list columns = {0};

    if (!natural && at_word(p, 0, "LATERAL") && !at_word(p, 1, "VIEW") && accept_word(p, "LATERAL"))
        return parse_lateral(p, left, kind);
    right = parse_relation_primary(p);
    if (natural && p->failed == LC_OK)
        return plan_join_natural(left, right, kind);
    if (accept_word(p, "ON"))
        condition = parse_expr(p);
    else if (accept_word(p, "USING"))
        parse_identifier_list(p, &columns, "a column");
    if (p->failed != LC_OK) {
        plan_unref(left);
        plan_unref(right);
        expr_unref(condition);
        return NULL;
    }
    return plan_join(left, right, kind, condition, columns.items, columns.n);
}

const struct plan *parse_next_join(struct parser *p, const struct plan *left, bool *joined)
{
    enum join_kind kind = JOIN_INNER;
    bool natural = accept_word(p, "NATURAL");

    *joined = parse_join_kind(p, &kind);
    if (!*joined && natural)
        fail_here(p, "JOIN");
    return *joined ? parse_join(p, left, kind, natural) : left;
}

static const struct plan *parse_relation(struct parser *p)
{
    const struct plan *plan = enter(p) ? parse_relation_primary(p) : NULL;
    bool joined = true;

    for (int n = 0; joined && plan && check_chain(p, n); n++)
        plan = parse_next_join(p, plan, &joined);
    p->depth--;
    return checked(p, plan);
}

/* ---- LATERAL VIEW ---- */
struct select { /* a SELECT while it is read */
    bool distinct;
    struct expr_list items;
    const struct plan *input;             /* NULL: no FROM */
    struct name_list laterals;            /* names of LATERAL VIEWs: their columns are plain columns here */
    struct name_list lateral_columns[64]; /* of the first of them */
    struct grouping by;
    struct expr *having, *qualify;
};

/* LATERAL VIEW [OUTER] explode(x) t [AS] a, b: the generator's columns beside those that are there. */
static bool parse_lateral_view(struct parser *p, struct select *s)
{
    bool outer = accept_word(p, "OUTER");
    struct name_list columns = {0};
    struct expr_list args = {0};
    struct expr *exprs[2];
    const char *function = parse_identifier(p, "a generator such as explode");
    const char *name = function && outer ? arena_printf(p->arena, "%s_outer", function) : function;
    struct expr *call;
    bool named;

    if (expect_sign(p, "(") && !at_sign(p, 0, ")"))
        parse_expr_list(p, &args);
    expect_sign(p, ")");
    named = p->failed == LC_OK && at_name(p, 0) && !at_word(p, 0, "AS") && !is_clause_word(peek_token(p, 0));
    if (named)
        push_name(p, &s->laterals, parse_identifier(p, "a name"));
    accept_word(p, "AS");
    if (p->failed == LC_OK && at_name(p, 0) && !is_clause_word(peek_token(p, 0)))
        do {
            push_name(p, &columns, parse_identifier(p, "a name"));
        } while (accept_sign(p, ","));
    if (p->failed != LC_OK || !name) {
        drop_exprs(&args);
        return false;
    }
    if (named && s->laterals.n <= sizeof s->lateral_columns / sizeof *s->lateral_columns)
        s->lateral_columns[s->laterals.n - 1] = columns;
    call = expr_call(name, false, args.items, args.n);
    exprs[0] = expr_star(NULL, 0, 0);
    exprs[1] = columns.n == 0   ? call
               : columns.n == 1 ? expr_alias(call, columns.items[0])
                                : expr_alias_many(call, columns.items, columns.n, NULL);
    s->input = plan_project(s->input, exprs, 2);
    return s->input || fail_memory(p);
}

/* A copy without the qualifier of a lateral view; takes over e. */
static struct expr *unqualified(struct parser *p, struct expr *e, const struct name_list *laterals)
{
    struct expr **args, *out = e;
    bool changed = false;

    if (!e || laterals->n == 0)
        return e;
    if (e->kind == EXPR_ATTRIBUTE && e->u.name.n_parts > 1) {
        for (size_t i = 0; i < laterals->n; i++)
            if (strcasecmp(laterals->items[i], e->u.name.parts[0]) == 0) {
                out = expr_attribute((const char *const *)e->u.name.parts + 1, e->u.name.n_parts - 1, 0);
                out = out ? expr_at(out, e->position) : NULL;
                expr_unref(e);
                return out;
            }
        return e;
    }
    args = e->n ? arena_alloc(p->arena, e->n * sizeof *args) : NULL;
    for (size_t i = 0; args && i < e->n; i++) {
        args[i] = unqualified(p, expr_ref(e->args[i]), laterals);
        changed |= args[i] != e->args[i];
    }
    if (changed) {
        out = expr_with_args(e, args);
        expr_unref(e);
    } else {
        for (size_t i = 0; args && i < e->n; i++)
            expr_unref(args[i]);
    }
    return out;
}

static void unqualify_list(struct parser *p, struct expr_list *l, const struct name_list *laterals)
{
    for (size_t i = 0; i < l->n; i++)
        l->items[i] = unqualified(p, l->items[i], laterals);
}

/* t.* of a lateral view: its columns. */
static void expand_lateral_stars(struct parser *p, struct select *s)
{
    struct expr_list all = {0};
    bool found = false;

    for (size_t i = 0; i < s->items.n && s->laterals.n; i++) {
        const struct expr *e = s->items.items[i];
        const struct name_list *columns = NULL;

        for (size_t v = 0; e->kind == EXPR_STAR && e->u.name.n_parts == 1 && v < s->laterals.n &&
                           v < sizeof s->lateral_columns / sizeof *s->lateral_columns;
             v++)
            if (strcasecmp(s->laterals.items[v], e->u.name.parts[0]) == 0 && s->lateral_columns[v].n)
                columns = &s->lateral_columns[v];
        for (size_t k = 0; columns && k < columns->n; k++)
            push_expr(p, &all, expr_attribute(&columns->items[k], 1, 0));
        if (!columns)
            push_expr(p, &all, expr_ref(s->items.items[i]));
        found |= columns != NULL;
    }
    if (found) {
        drop_exprs(&s->items);
        s->items = all;
    } else {
        drop_exprs(&all);
    }
}

/* ---- SELECT ---- */
#define QUALIFY "__lacus_qualify" /* the column that QUALIFY's condition is before it is dropped */

static bool parse_from(struct parser *p, struct select *s)
{
    s->input = parse_relation(p);
    for (int n = 0; s->input && check_chain(p, n) && accept_sign(p, ","); n++) {
        const struct plan *right;
        if (at_word(p, 0, "LATERAL") && !at_word(p, 1, "VIEW") && accept_word(p, "LATERAL")) {
            s->input = parse_lateral(p, s->input, JOIN_CROSS);
            continue;
        }
        right = parse_relation(p);
        s->input = plan_join(s->input, right, JOIN_CROSS, NULL, NULL, 0);
    }
    while (p->failed == LC_OK && at_word(p, 0, "LATERAL") && at_word(p, 1, "VIEW")) {
        p->at += 2;
        if (!parse_lateral_view(p, s))
            return false;
    }
    return s->input || fail_memory(p);
}

/* WINDOW w AS (…), …: read where it is used; here it is only passed over. */
static bool skip_windows(struct parser *p)
{
    do {
        int depth = 0;
        parse_identifier(p, "a name");
        expect_word(p, "AS");
        if (!at_sign(p, 0, "("))
            return fail_here(p, "'('");
        do {
            depth += at_sign(p, 0, "(");
            depth -= at_sign(p, 0, ")");
            if (peek_token(p, 0)->kind == TOKEN_END)
                return fail_here(p, "')'");
            p->at++;
        } while (depth > 0);
    } while (accept_sign(p, ","));
    return p->failed == LC_OK;
}

static bool parse_where(struct parser *p, struct select *s)
{
    struct expr *condition = unqualified(p, parse_expr(p), &s->laterals);

    if (!s->input && condition) /* SELECT 1 WHERE false: a row of nothing to filter */
        s->input = plan_range(0, 1, 1);
    s->input = plan_filter(s->input, condition);
    return s->input || fail_memory(p);
}

static bool parse_clauses(struct parser *p, struct select *s)
{
    if (!s->input && accept_word(p, "FROM") && !parse_from(p, s))
        return false;
    if (accept_word(p, "WHERE") && !parse_where(p, s))
        return false;
    if (accept_words(p, "GROUP BY") && !parse_grouping(p, &s->items, &s->by))
        return false;
    if (accept_word(p, "HAVING"))
        s->having = unqualified(p, parse_expr(p), &s->laterals);
    if (p->failed == LC_OK && accept_word(p, "QUALIFY"))
        s->qualify = unqualified(p, parse_expr(p), &s->laterals);
    if (at_word(p, 0, "WINDOW") && at_name(p, 1) && at_word(p, 2, "AS") && accept_word(p, "WINDOW"))
        return skip_windows(p);
    return p->failed == LC_OK;
}

static const struct plan *qualified(struct select *s, const struct plan *plan);
static const struct plan *only_qualified(struct select *s, const struct plan *plan);

static bool has_window(const struct expr *e);

static const struct plan *make_select(struct parser *p, struct select *s)
{
    const struct plan *plan;
    bool windowed = s->qualify && has_window(s->qualify), grouped = s->by.grouped || s->having;

    for (size_t i = 0; i < s->items.n; i++)
        windowed |= has_window(s->items.items[i]);
    if (s->qualify && !windowed) {
        fail_at(
            p, peek_token(p, 0),
            "[QUALIFY_REQUIRES_WINDOW_FUNCTION] QUALIFY needs a window function in the SELECT list or in its "
            "condition. SQLSTATE: 42903");
        return NULL;
    }

    expand_lateral_stars(p, s);
    unqualify_list(p, &s->items, &s->laterals);
    unqualify_list(p, &s->by.groups, &s->laterals);
    if (s->qualify && !grouped && !push_expr(p, &s->items, expr_alias(s->qualify, QUALIFY)))
        s->qualify = NULL;
    if (grouped)
        plan = s->by.kind == GROUP_SETS
                   ? plan_grouping_sets(s->input, s->by.sets.items, s->by.sets.n, s->by.groups.items,
                                        s->by.groups.n, s->items.items, s->items.n)
                   : plan_aggregate(s->input, s->by.kind, s->by.groups.items, s->by.groups.n, s->items.items,
                                    s->items.n);
    else
        plan = plan_project(s->input, s->items.items, s->items.n);
    s->input = NULL;
    s->by.groups.n = s->items.n = 0;
    if (s->having) {
        plan = plan_having(plan, s->having);
        s->having = NULL;
    }
    if (s->qualify)
        plan = grouped ? qualified(s, plan) : only_qualified(s, plan);
    return s->distinct ? plan_deduplicate(plan, NULL, 0) : plan;
}

static bool has_window(const struct expr *e)
{
    if (e->kind == EXPR_WINDOW)
        return true;
    for (size_t i = 0; i < e->n; i++)
        if (has_window(e->args[i]))
            return true;
    return false;
}

/* QUALIFY of a SELECT that has its condition as one more column. */
static const struct plan *only_qualified(struct select *s, const struct plan *plan)
{
    struct expr *column = expr_column(QUALIFY);

    s->qualify = NULL;
    return plan_drop(plan_filter(plan, expr_column(QUALIFY)), &column, 1);
}

/* QUALIFY above groups: of their results; a condition with windows of its own is a column that is then dropped. */
static const struct plan *qualified(struct select *s, const struct plan *plan)
{
    struct expr *condition = s->qualify, *column;

    if (!plan || !has_window(condition)) {
        s->qualify = NULL;
        return plan_filter(plan, condition);
    }
    column = expr_alias(condition, QUALIFY);
    return only_qualified(s, plan_with_columns(plan, &column, 1));
}

/* SELECT items FROM …; from_first: FROM … SELECT items WHERE …, or FROM … |> …; input: of a pipe, and there is no FROM. */
static const struct plan *parse_select_with(struct parser *p, bool from_first, const struct plan *input)
{
    struct select s = {.by = {.kind = GROUP_BY}, .input = input};
    size_t outer = p->select_start;
    const struct plan *plan = NULL;

    if (from_first && parse_from(p, &s) && !at_word(p, 0, "SELECT"))
        return checked(p, s.input);
    if (from_first)
        accept_word(p, "SELECT");
    p->select_start = p->at;
    s.distinct = accept_word(p, "DISTINCT");
    if (!s.distinct)
        accept_word(p, "ALL");
    do {
        if (p->failed != LC_OK || !push_expr(p, &s.items, parse_named_expr(p)))
            break;
    } while (accept_sign(p, ","));
    if (p->failed == LC_OK && (input || parse_clauses(p, &s)))
        plan = make_select(p, &s);
    drop_exprs(&s.items);
    drop_exprs(&s.by.groups);
    expr_unref(s.having);
    expr_unref(s.qualify);
    plan_unref(s.input);
    p->select_start = outer;
    return checked(p, plan);
}

static const struct plan *parse_select(struct parser *p, bool from_first)
{
    return parse_select_with(p, from_first, NULL);
}

const struct plan *parse_select_from(struct parser *p, const struct plan *input)
{
    return parse_select_with(p, false, input);
}

/* ---- set operations ---- */
const struct plan *parse_query_primary(struct parser *p)
{
    const struct plan *plan;

    if (p->failed != LC_OK)
        return NULL;
    if (accept_word(p, "SELECT"))
        return parse_select(p, false);
    if (accept_word(p, "FROM"))
        return parse_select(p, true);
    if (accept_word(p, "VALUES"))
        return parse_alias(p, parse_values(p));
    if (accept_word(p, "TABLE"))
        return parse_table(p);
    if (accept_sign(p, "(")) {
        plan = parse_query(p);
        expect_sign(p, ")");
        return checked(p, plan);
    }
    fail_here(p, "SELECT, VALUES or WITH");
    return NULL;
}

bool accept_set_op(struct parser *p, bool intersect, enum set_op *op)
{
    if (intersect) {
        *op = SET_INTERSECT;
        return accept_word(p, "INTERSECT");
    }
    *op = SET_UNION;
    if (accept_word(p, "UNION"))
        return true;
    *op = SET_EXCEPT;
    return accept_word(p, "EXCEPT") || accept_word(p, "MINUS");
}

/* INTERSECT binds tighter than UNION and EXCEPT. */
static const struct plan *parse_set(struct parser *p, bool intersect)
{
    const struct plan *plan = intersect ? parse_query_primary(p) : parse_set(p, true);
    enum set_op op;

    for (int n = 0; plan && check_chain(p, n) && accept_set_op(p, intersect, &op); n++) {
        bool all = accept_word(p, "ALL"), by_name;
        if (!all)
            accept_word(p, "DISTINCT");
        by_name = op == SET_UNION && accept_words(p, "BY NAME");
        plan = plan_set_op(plan, intersect ? parse_query_primary(p) : parse_set(p, true), op, all, by_name,
                           false);
    }
    return checked(p, plan);
}

/* ---- the tail of a query ---- */
/* ORDER BY ALL [DESC] [NULLS LAST]: by each column of the select list, from the left. */
static bool parse_order_all(struct parser *p, const struct plan *plan, struct expr_list *orders)
{
    const struct token *t = peek_token(p, 0);
    bool descending, last;

    p->at++;
    descending = accept_word(p, "DESC");
    if (!descending)
        accept_word(p, "ASC");
    last = accept_words(p, "NULLS LAST") || (descending && !accept_words(p, "NULLS FIRST"));
    accept_words(p, "NULLS FIRST");
    while (plan->kind == PLAN_FILTER || plan->kind == PLAN_DEDUPLICATE)
        plan = plan->left;
    if (plan->kind != PLAN_PROJECT && plan->kind != PLAN_AGGREGATE)
        return fail_unsupported(p, t, "ORDER BY ALL of a set operation");
    for (size_t i = 0; i < plan->n_exprs; i++) {
        if (plan->exprs[i]->kind == EXPR_STAR)
            return fail_unsupported(p, t, "ORDER BY ALL of a SELECT *");
        if (!push_expr(p, orders, expr_sort(expr_int((int64_t)i + 1), descending, last)))
            return false;
    }
    return true;
}

static const struct plan *parse_order(struct parser *p, const struct plan *plan)
{
    struct expr_list orders = {0};
    bool global;

    if (accept_words(p, "DISTRIBUTE BY")) { /* where rows lie is nothing that can be seen here */
        struct expr_list keys = {0};
        parse_expr_list(p, &keys);
        drop_exprs(&keys);
    }
    if (accept_words(p, "CLUSTER BY")) {
        parse_sort_list(p, &orders);
        plan = plan_sort(plan, orders.items, orders.n, false);
        return checked(p, plan);
    }
    global = accept_words(p, "ORDER BY");
    if (!global && !accept_words(p, "SORT BY"))
        return plan;
    if (global && at_word(p, 0, "ALL") && !at_sign(p, 1, ".") && !at_sign(p, 1, ",") && !at_sign(p, 1, "("))
        parse_order_all(p, plan, &orders);
    else
        parse_sort_list(p, &orders);
    plan = plan_sort(plan, orders.items, orders.n, global);
    return checked(p, plan);
}

static bool parse_count(struct parser *p, int64_t *out)
{
    const struct token *t = peek_token(p, 0);
    struct expr *e = parse_expr(p);
    bool ok = constant(p, t, e, out);

    expr_unref(e);
    if (ok && *out < 0)
        return fail_at(p, t, "LIMIT and OFFSET take numbers that are not negative");
    return ok;
}

/* Both orders of LIMIT and OFFSET; the offset comes off first. */
static const struct plan *parse_limits(struct parser *p, const struct plan *plan)
{
    int64_t limit = -1, offset = -1;

    while (p->failed == LC_OK) {
        if (limit < 0 && accept_word(p, "LIMIT")) {
            if (accept_word(p, "ALL"))
                continue;
            if (!parse_count(p, &limit))
                break;
        } else if (offset < 0 && accept_word(p, "OFFSET")) {
            if (!parse_count(p, &offset))
                break;
        } else {
            break;
        }
    }
    if (plan && offset >= 0)
        plan = plan_offset(plan, offset);
    if (plan && limit >= 0)
        plan = plan_limit(plan, limit);
    return checked(p, plan);
}

const struct plan *parse_tail(struct parser *p, const struct plan *plan)
{
    if (plan)
        plan = parse_order(p, plan);
    return plan ? parse_limits(p, plan) : NULL;
}

static const struct plan *parse_body(struct parser *p)
{
    return parse_pipes(p, parse_tail(p, parse_set(p, false)));
}

/* ---- WITH ---- */
/* Does the plan read a table of that name? */
static enum lc find_read(void *arg, const struct plan *p, struct err *err)
{
    const char **name = arg;

    (void)err;
    if (*name && p->kind == PLAN_READ_TABLE && p->n_names == 1 && strcasecmp(p->names[0], *name) == 0)
        *name = NULL;
    return LC_OK;
}

static bool reads_itself(const struct plan *p, const char *name)
{
    struct err ignored;

    return plan_walk(p, find_read, &name, &ignored) == LC_OK && name == NULL;
}

/* first UNION [ALL] step, where step reads the name: the recursion, with its columns named. */
static const struct plan *recursive_cte(struct parser *p, const struct token *at, const char *name,
                                        const struct plan *plan, const struct name_list *columns)
{
    const struct plan *out, *first, *step;

    if (plan->kind != PLAN_SET_OP || plan->u.set_op.op != SET_UNION || reads_itself(plan->left, name)) {
        fail_at(p, at,
                "[INVALID_RECURSIVE_CTE] the recursive '%.60s' must be SELECT … UNION ALL SELECT …, and only "
                "the second one "
                "may read it. SQLSTATE: 42836",
                name);
        return plan_unref(plan), NULL;
    }
    first = plan_ref(plan->left);
    step = plan_ref(plan->right);
    if (columns->n)
        first = plan_to_df(first, columns->items, columns->n);
    out = plan_recursion(name, first, step, plan->u.set_op.all);
    plan_unref(plan);
    return out;
}

static bool has_cte(const struct name_list *names, const char *name)
{
    for (size_t i = 0; i + 1 < names->n; i++)
        if (strcasecmp(names->items[i], name) == 0)
            return true;
    return false;
}

static bool parse_cte(struct parser *p, struct name_list *names, const struct plan ***plans, size_t *cap,
                      bool recursive)
{
    const struct token *at = peek_token(p, 0);
    struct name_list columns = {0};
    const struct plan *plan = NULL;

    if (!push_name(p, names, parse_identifier(p, "a name")))
        return false;
    if (at_sign(p, 0, "("))
        parse_identifier_list(p, &columns, "a name");
    accept_word(p, "AS");
    if (expect_sign(p, "("))
        plan = parse_query(p);
    expect_sign(p, ")");
    if (plan && recursive && reads_itself(plan, names->items[names->n - 1]))
        plan = recursive_cte(p, at, names->items[names->n - 1], plan, &columns);
    else if (plan && columns.n)
        plan = plan_to_df(plan, columns.items, columns.n);
    if (p->failed == LC_OK && has_cte(names, names->items[names->n - 1]))
        fail_at(p, at, "[DUPLICATED_CTE_NAMES] WITH names '%.60s' twice. SQLSTATE: 42602",
                names->items[names->n - 1]);
    if (names->n > *cap) {
        size_t more = *cap ? *cap * 2 : 8;
        const struct plan **grown = arena_zalloc(p->arena, more * sizeof *grown);
        if (grown && *cap)
            memcpy(grown, *plans, *cap * sizeof *grown);
        if (!grown) {
            plan_unref(plan);
            names->n--;
            return fail_memory(p);
        }
        *plans = grown;
        *cap = more;
    }
    (*plans)[names->n - 1] = checked(p, plan);
    return p->failed == LC_OK;
}

static const struct plan *parse_with(struct parser *p)
{
    struct name_list names = {0};
    const struct plan **plans = NULL;
    size_t cap = 0;
    const struct plan *body;

    bool recursive = at_word(p, 0, "RECURSIVE") && at_name(p, 1) && accept_word(p, "RECURSIVE");

    while (parse_cte(p, &names, &plans, &cap, recursive) && accept_sign(p, ","))
        ;
    body = p->failed == LC_OK ? parse_body(p) : NULL;
    if (!body) {
        for (size_t i = 0; i < names.n; i++)
            plan_unref(plans[i]);
        return NULL;
    }
    return plan_with(names.items, plans, names.n, body);
}

const struct plan *parse_query(struct parser *p)
{
    const struct plan *plan = NULL;

    if (enter(p))
        plan = accept_word(p, "WITH") ? parse_with(p) : parse_body(p);
    p->depth--;
    return checked(p, plan);
}
