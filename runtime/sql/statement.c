/* Statements: what is not a query, and the entrances of the parser. */
#include "runtime/sql/statement.h"
#include "runtime/base/mem.h"
#include "runtime/base/nearest.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* ---- the first word ---- */
static const struct {
    const char *words; /* the first ones */
    bool (*fn)(struct parser *p, struct sql_statement *s);
} statements[] = {
    {"CREATE", parse_create},   {"ALTER", parse_alter},       {"DROP", parse_drop},
    {"INSERT", parse_insert},   {"DELETE", parse_delete},     {"UPDATE", parse_update},
    {"MERGE", parse_merge},     {"TRUNCATE", parse_truncate}, {"COMMENT", parse_comment_on},
    {"USE", parse_use},         {"SHOW", parse_show},         {"DESCRIBE", parse_describe},
    {"DESC", parse_describe},   {"EXPLAIN", parse_explain},   {"SET", parse_set},
    {"RESET", parse_reset},     {"LIST", parse_list},         {"CACHE", parse_cache},
    {"UNCACHE", parse_uncache}, {"CLEAR", parse_uncache},     {"REFRESH", parse_refresh},
    {"ANALYZE", parse_refresh}, {"MSCK", parse_refresh},
};

/* Spark's and Databricks' statements that are not there, and what to do instead. */
static const struct {
    const char *words, *instead;
} missing[] = {
    {"CALL", "there are no procedures; write the steps in a cell"},
    {"CONVERT TO DELTA", "CREATE TABLE t AS SELECT * FROM parquet.`/the/folder`"},
    {"COPY INTO", "INSERT INTO t SELECT * FROM csv.`/the/folder`, or df.write:mode('append')"},
    {"DECLARE", "a variable of the cell, given as :name in args"},
    {"DENY", "there are no grants: who can read the files can read the table"},
    {"EXECUTE IMMEDIATE", "spark:sql(text, {args = {…}})"},
    {"FSCK", ""},
    {"GRANT", "there are no grants: who can read the files can read the table"},
    {"LOAD DATA", "INSERT INTO t SELECT * FROM csv.`/the/folder`"},
    {"OPTIMIZE", "INSERT OVERWRITE t SELECT * FROM t writes its rows into few files"},
    {"REORG", "INSERT OVERWRITE t SELECT * FROM t writes all files anew"},
    {"REPAIR", ""},
    {"RESTORE", "INSERT OVERWRITE t SELECT * FROM t VERSION AS OF n"},
    {"REVOKE", "there are no grants: who can read the files can read the table"},
    {"UNDROP", ""},
    {"VACUUM", "files that no version needs are left where they are"},
    {"ADD", "%luarocks install, or require"},
    {"BEGIN", "each statement is a transaction of its own"},
    {"REPLACE", "CREATE OR REPLACE TABLE"},
};

static void hint_statement(struct parser *p, const struct token *t)
{
    const char *words[COUNT(statements) + COUNT(missing) + 3] = {"SELECT", "WITH", "VALUES"};
    const char *near;
    size_t n = 3;

    for (size_t i = 0; i < COUNT(statements); i++)
        words[n++] = statements[i].words;
    for (size_t i = 0; i < COUNT(missing); i++)
        words[n++] = missing[i].words;
    near = t->kind == TOKEN_WORD && !is_hard_word(t) ? nearest_one(t->text, words, n) : NULL;
    if (near)
        err_hint(p->err, "did you mean %s instead of '%s'?", near, t->text);
}

static bool parse_statement(struct parser *p, struct sql_statement *s)
{
    const struct token *t = peek_token(p, 0);

    if (starts_query(p) || at_word(p, 0, "VALUES")) {
        s->kind = SQL_QUERY;
        s->plan = parse_query(p);
        return s->plan != NULL;
    }
    for (size_t i = 0; i < COUNT(statements); i++)
        if (accept_word(p, statements[i].words))
            return statements[i].fn(p, s);
    for (size_t i = 0; i < COUNT(missing); i++)
        if (accept_words(p, missing[i].words))
            return fail_instead(p, t, missing[i].words, missing[i].instead);
    fail_here(p, "a statement");
    hint_statement(p, t);
    return false;
}

static bool expect_end(struct parser *p, bool statement)
{
    while (statement && accept_sign(p, ";"))
        ;
    if (p->failed == LC_OK && peek_token(p, 0)->kind != TOKEN_END)
        return fail_here(p, "the end of the text");
    return p->failed == LC_OK;
}

/* ---- entrances ---- */
static enum lc start(struct parser *p, const char *text, size_t len, struct err *err)
{
    struct token *tokens = NULL;
    enum lc rc;

    p->arena = arena_new(0);
    p->text = text;
    p->len = len;
    p->err = err;
    rc = p->arena ? sql_lex(p->arena, text, len, &tokens, &p->n, err) : err_nomem(err);
    p->tokens = tokens;
    if (rc == LC_SYNTAX) { /* with line and caret, as the parser has them */
        char what[200];
        snprintf(what, sizeof what, "%.190s", err->message);
        fail_text(p, (size_t)err->position, what);
    }
    return rc;
}

enum lc sql_parse(const char *text, size_t len, const struct sql_parameter *parameters, size_t n,
                  struct sql_statement **out, struct err *err)
{
    struct parser p = {.parameters = parameters, .n_parameters = n};
    struct err local;
    struct sql_statement *s = NULL;
    enum lc rc;

    *out = NULL;
    rc = start(&p, text, len, err ? err : &local);
    if (rc == LC_OK && (s = arena_zalloc(p.arena, sizeof *s)) == NULL)
        rc = err_nomem(err);
    if (rc != LC_OK) {
        arena_free(p.arena);
        return rc;
    }
    s->arena = p.arena;
    if (peek_token(&p, 0)->kind == TOKEN_END)
        fail_here(&p, "a statement");
    if (parse_statement(&p, s) && expect_end(&p, true)) {
        *out = s;
        return LC_OK;
    }
    sql_release(s);
    return p.failed != LC_OK ? p.failed : err_nomem(err);
}

static void drop_assignments(struct sql_assignment *a, size_t n)
{
    for (size_t i = 0; i < n; i++)
        expr_unref(a[i].value);
}

void sql_release(struct sql_statement *s)
{
    if (!s)
        return;
    plan_unref(s->plan);
    dtype_unref(s->schema);
    expr_unref(s->condition);
    for (size_t i = 0; i < s->n_changes; i++)
        dtype_unref(s->changes[i].type);
    drop_assignments(s->assignments, s->n_assignments);
    for (size_t i = 0; i < s->n_clauses; i++) {
        expr_unref(s->clauses[i].condition);
        drop_assignments(s->clauses[i].assignments, s->clauses[i].n);
    }
    arena_free(s->arena);
}

enum lc sql_parse_expression(const char *text, size_t len, struct expr **out, struct err *err)
{
    struct parser p = {0};
    struct err local;
    struct expr *e = NULL;
    enum lc rc = start(&p, text, len, err ? err : &local);

    *out = NULL;
    if (rc == LC_OK) {
        e = parse_named_expr(&p);
        if (e)
            expect_end(&p, false);
        rc = p.failed != LC_OK ? p.failed : e ? LC_OK : err_nomem(err);
    }
    if (rc == LC_OK)
        *out = e;
    else
        expr_unref(e);
    arena_free(p.arena);
    return rc;
}

const char *sql_kind_name(enum sql_kind kind)
{
    static const char *const names[SQL_KIND_COUNT] = {
        [SQL_QUERY] = "SELECT",
        [SQL_EXPLAIN] = "EXPLAIN",
        [SQL_INSERT] = "INSERT",
        [SQL_CREATE_TABLE] = "CREATE TABLE",
        [SQL_CREATE_LIKE] = "CREATE TABLE LIKE",
        [SQL_CREATE_VIEW] = "CREATE VIEW",
        [SQL_CREATE_CATALOG] = "CREATE CATALOG",
        [SQL_CREATE_SCHEMA] = "CREATE SCHEMA",
        [SQL_CREATE_VOLUME] = "CREATE VOLUME",
        [SQL_DROP_TABLE] = "DROP TABLE",
        [SQL_DROP_VIEW] = "DROP VIEW",
        [SQL_DROP_CATALOG] = "DROP CATALOG",
        [SQL_DROP_SCHEMA] = "DROP SCHEMA",
        [SQL_DROP_VOLUME] = "DROP VOLUME",
        [SQL_ALTER] = "ALTER",
        [SQL_USE_CATALOG] = "USE CATALOG",
        [SQL_USE] = "USE",
        [SQL_SHOW_CATALOGS] = "SHOW CATALOGS",
        [SQL_SHOW_SCHEMAS] = "SHOW SCHEMAS",
        [SQL_SHOW_TABLES] = "SHOW TABLES",
        [SQL_SHOW_EXTENDED] = "SHOW TABLE EXTENDED",
        [SQL_SHOW_VIEWS] = "SHOW VIEWS",
        [SQL_SHOW_VOLUMES] = "SHOW VOLUMES",
        [SQL_SHOW_COLUMNS] = "SHOW COLUMNS",
        [SQL_SHOW_PROPERTIES] = "SHOW TBLPROPERTIES",
        [SQL_SHOW_PARTITIONS] = "SHOW PARTITIONS",
        [SQL_SHOW_NAMESPACE] = "SHOW CURRENT NAMESPACE",
        [SQL_DESCRIBE_TABLE] = "DESCRIBE TABLE",
        [SQL_DESCRIBE_CATALOG] = "DESCRIBE CATALOG",
        [SQL_DESCRIBE_SCHEMA] = "DESCRIBE SCHEMA",
        [SQL_DESCRIBE_VOLUME] = "DESCRIBE VOLUME",
        [SQL_DESCRIBE_HISTORY] = "DESCRIBE HISTORY",
        [SQL_DESCRIBE_DETAIL] = "DESCRIBE DETAIL",
        [SQL_DESCRIBE_QUERY] = "DESCRIBE QUERY",
        [SQL_SHOW_FUNCTIONS] = "SHOW FUNCTIONS",
        [SQL_SHOW_CREATE] = "SHOW CREATE TABLE",
        [SQL_DESCRIBE_FUNCTION] = "DESCRIBE FUNCTION",
        [SQL_TRUNCATE] = "TRUNCATE",
        [SQL_DELETE] = "DELETE",
        [SQL_UPDATE] = "UPDATE",
        [SQL_MERGE] = "MERGE",
        [SQL_CACHE] = "CACHE",
        [SQL_UNCACHE] = "UNCACHE",
        [SQL_REFRESH] = "REFRESH",
        [SQL_SET] = "SET",
        [SQL_RESET] = "RESET",
        [SQL_LIST] = "LIST",
    };

    return (unsigned)kind < SQL_KIND_COUNT ? names[kind] : "";
}
