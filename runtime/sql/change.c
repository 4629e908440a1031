/* What changes rows: INSERT, DELETE, UPDATE, MERGE, TRUNCATE. */
#include "runtime/base/mem.h"
#include "runtime/sql/statement.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* ---- INSERT ---- */
bool parse_partition(struct parser *p, struct sql_statement *s)
{
    enum { MOST = 64 };
    struct sql_property *all = arena_zalloc(p->arena, MOST * sizeof *all);

    if (!all)
        return fail_memory(p);
    s->partition = all;
    if (!expect_sign(p, "("))
        return false;
    do {
        struct sql_property *part = &all[s->n_partition];
        const struct token *t;

        if (s->n_partition == MOST)
            return fail_at(p, peek_token(p, 0), "PARTITION takes at most %d columns", MOST);
        if ((part->name = parse_identifier(p, "a partition column")) == NULL)
            return false;
        s->n_partition++;
        if (!accept_sign(p, "="))
            continue;
        if (at_word(p, 0, "DATE") || at_word(p, 0, "TIMESTAMP"))
            p->at++;
        t = peek_token(p, 0);
        if (t->kind == TOKEN_END || t->kind == TOKEN_SIGN)
            return fail_here(p, "a value");
        part->value = at_word(p, 0, "NULL") ? "" : t->text;
        p->at++;
    } while (accept_sign(p, ","));
    return expect_sign(p, ")");
}

bool parse_insert(struct parser *p, struct sql_statement *s)
{
    struct name_list columns = {0};

    s->kind = SQL_INSERT;
    if (accept_word(p, "OVERWRITE"))
        s->overwrite = true;
    else if (!expect_word(p, "INTO"))
        return false;
    if (at_word(p, 0, "DIRECTORY") || at_word(p, 0, "LOCAL"))
        return fail_instead(p, peek_token(p, 0), "INSERT OVERWRITE DIRECTORY",
                            "df.write:format(…):save(path)");
    accept_word(p, "TABLE");
    if (!parse_table_name(p, s, "a table"))
        return false;
    if (accept_word(p, "PARTITION") && !parse_partition(p, s))
        return false;
    if (accept_words(p, "IF NOT EXISTS"))
        return fail_unsupported(p, peek_token(p, 0), "INSERT … PARTITION (…) IF NOT EXISTS");
    if (accept_words(p, "REPLACE WHERE")) {
        s->overwrite = true;
        s->condition = parse_expr(p);
    }
    if (at_sign(p, 0, "(") && !starts_query(p) && !parse_identifier_list(p, &columns, "a column"))
        return false;
    s->columns = names_of(&columns);
    s->by_name = accept_words(p, "BY NAME");
    if (p->failed == LC_OK && !starts_query(p) && !at_word(p, 0, "VALUES"))
        return fail_here(p, "SELECT or VALUES");
    s->plan = p->failed == LC_OK ? parse_query(p) : NULL;
    return s->plan != NULL;
}

bool parse_truncate(struct parser *p, struct sql_statement *s)
{
    s->kind = SQL_TRUNCATE;
    if (!expect_word(p, "TABLE") || !parse_table_name(p, s, "a table"))
        return false;
    return !accept_word(p, "PARTITION") || parse_partition(p, s);
}

/* ---- DELETE, UPDATE ---- */
static bool parse_target(struct parser *p, struct sql_statement *s)
{
    if (!parse_table_name(p, s, "a table"))
        return false;
    if (accept_word(p, "AS") || (at_name(p, 0) && !is_clause_word(peek_token(p, 0))))
        return (s->alias = parse_identifier(p, "a name")) != NULL;
    return p->failed == LC_OK;
}

static bool parse_condition(struct parser *p, struct expr **out)
{
    return (*out = parse_expr(p)) != NULL;
}

/* The statement's condition, and its text for the history. */
static bool parse_predicate(struct parser *p, struct sql_statement *s)
{
    size_t start = peek_token(p, 0)->start;

    if (!parse_condition(p, &s->condition))
        return false;
    s->text = arena_strndup(p->arena, p->text + start, p->tokens[p->at - 1].end - start);
    return s->text || fail_memory(p);
}

bool parse_delete(struct parser *p, struct sql_statement *s)
{
    s->kind = SQL_DELETE;
    if (!expect_word(p, "FROM") || !parse_target(p, s))
        return false;
    return !accept_word(p, "WHERE") ? p->failed == LC_OK : parse_predicate(p, s);
}

static bool grow_assignments(struct parser *p, struct sql_assignment **out, size_t n)
{
    struct sql_assignment *more;

    if ((n & (n - 1)) != 0) /* full at 0, 1, 2, 4 … */
        return true;
    more = arena_zalloc(p->arena, (n ? n * 2 : 1) * sizeof *more);
    if (!more)
        return fail_memory(p);
    if (n)
        memcpy(more, *out, n * sizeof *more);
    *out = more;
    return true;
}

static bool parse_value(struct parser *p, struct sql_assignment *a)
{
    if (at_word(p, 0, "DEFAULT") && !at_sign(p, 1, "(") && !at_sign(p, 1, "."))
        return fail_unsupported(p, peek_token(p, 0), "DEFAULT as a value");
    return (a->value = parse_expr(p)) != NULL;
}

/* a = 1, t.b = c + 1 */
static bool parse_assignments(struct parser *p, struct sql_assignment **out, size_t *n)
{
    do {
        struct name_list path = {0};
        struct sql_assignment *a;

        if (!grow_assignments(p, out, *n) || !parse_dotted(p, &path, "a column"))
            return false;
        a = &(*out)[*n];
        a->path = names_of(&path);
        if (!accept_sign(p, "=") && !accept_sign(p, "==") && !expect_sign(p, "="))
            return false;
        ++*n;
        if (!parse_value(p, a))
            return false;
    } while (accept_sign(p, ","));
    return true;
}

bool parse_update(struct parser *p, struct sql_statement *s)
{
    s->kind = SQL_UPDATE;
    if (!parse_target(p, s) || !expect_word(p, "SET") ||
        !parse_assignments(p, &s->assignments, &s->n_assignments))
        return false;
    return !accept_word(p, "WHERE") ? p->failed == LC_OK : parse_predicate(p, s);
}

/* ---- MERGE ---- */
/* INSERT *, INSERT (a, b) VALUES (1, 2) */
static bool parse_merge_insert(struct parser *p, struct sql_merge_clause *c)
{
    struct name_list columns = {0};
    size_t i = 0;

    c->then = THEN_INSERT;
    if ((c->star = accept_sign(p, "*")))
        return true;
    if (!expect_sign(p, "("))
        return false;
    do {
        struct name_list path = {0};

        if (!parse_dotted(p, &path, "a column") || !push_name(p, &columns, path.items[path.n - 1]))
            return false;
    } while (accept_sign(p, ","));
    if (!expect_sign(p, ")") || !expect_word(p, "VALUES") || !expect_sign(p, "("))
        return false;
    if ((c->assignments = arena_zalloc(p->arena, columns.n * sizeof *c->assignments)) == NULL)
        return fail_memory(p);
    do {
        if (i == columns.n)
            return fail_at(p, peek_token(p, 0), "INSERT has %zu columns and more values", columns.n);
        c->assignments[i].path = (struct sql_names){&columns.items[i], 1};
        c->n = i + 1;
        if (!parse_value(p, &c->assignments[i++]))
            return false;
    } while (accept_sign(p, ","));
    if (i < columns.n)
        return fail_at(p, peek_token(p, 0), "INSERT has %zu columns and %zu values", columns.n, i);
    return expect_sign(p, ")");
}

static bool parse_merge_then(struct parser *p, struct sql_merge_clause *c)
{
    const struct token *t = peek_token(p, 0);

    if (accept_word(p, "DELETE")) {
        c->then = THEN_DELETE;
        return c->when != WHEN_NOT_MATCHED || fail_at(p, t, "WHEN NOT MATCHED can only INSERT");
    }
    if (accept_word(p, "INSERT"))
        return c->when == WHEN_NOT_MATCHED ? parse_merge_insert(p, c)
                                           : fail_at(p, t, "only WHEN NOT MATCHED can INSERT");
    if (!accept_word(p, "UPDATE"))
        return fail_here(p, "UPDATE, DELETE or INSERT");
    c->then = THEN_UPDATE;
    if (c->when == WHEN_NOT_MATCHED)
        return fail_at(p, t, "WHEN NOT MATCHED can only INSERT");
    if (!expect_word(p, "SET"))
        return false;
    if ((c->star = accept_sign(p, "*")))
        return c->when == WHEN_MATCHED || fail_at(p, t, "UPDATE SET * needs a row of the source");
    return parse_assignments(p, &c->assignments, &c->n);
}

static bool parse_merge_clause(struct parser *p, struct sql_statement *s)
{
    struct sql_merge_clause *c = &s->clauses[s->n_clauses];
    bool other = accept_word(p, "NOT");

    c->when = other ? WHEN_NOT_MATCHED : WHEN_MATCHED;
    if (!expect_word(p, "MATCHED"))
        return false;
    s->n_clauses++;
    if (other && accept_words(p, "BY SOURCE"))
        c->when = WHEN_NOT_MATCHED_BY_SOURCE;
    else if (other)
        accept_words(p, "BY TARGET");
    if (accept_word(p, "AND") && !parse_condition(p, &c->condition))
        return false;
    return expect_word(p, "THEN") && parse_merge_then(p, c);
}

static const struct plan *parse_merge_source(struct parser *p)
{
    const struct plan *plan = parse_relation_primary(p);

    if (p->failed == LC_OK)
        return plan;
    plan_unref(plan);
    return NULL;
}

bool parse_merge(struct parser *p, struct sql_statement *s)
{
    enum { MOST = 64 };

    s->kind = SQL_MERGE;
    s->by_name = accept_words(p, "WITH SCHEMA EVOLUTION");
    if (!expect_word(p, "INTO") || !parse_target(p, s) || !expect_word(p, "USING"))
        return false;
    s->plan = parse_merge_source(p);
    if (!s->plan || !expect_word(p, "ON") || !parse_predicate(p, s))
        return false;
    if ((s->clauses = arena_zalloc(p->arena, MOST * sizeof *s->clauses)) == NULL)
        return fail_memory(p);
    while (accept_word(p, "WHEN")) {
        if (s->n_clauses == MOST)
            return fail_at(p, peek_token(p, 0), "MERGE has more than %d clauses", MOST);
        if (!parse_merge_clause(p, s))
            return false;
    }
    return s->n_clauses > 0 || fail_here(p, "WHEN");
}
