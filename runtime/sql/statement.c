/* Statements: what is not a query, and the entrances of the parser. */
#include "runtime/base/mem.h"
#include "runtime/base/nearest.h"
#include "runtime/sql/parser.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static struct sql_names names_of(const struct name_list *l)
{
    return (struct sql_names){l->items, l->n};
}

/* ---- parts of statements ---- */
static bool parse_table_name(struct parser *p, struct sql_statement *s, const char *what)
{
    struct name_list parts = {0};

    if (!parse_dotted(p, &parts, what))
        return false;
    s->name = names_of(&parts);
    return true;
}

/* ('key' = 'value', key.part = 1, 'key' 'value') */
static bool parse_properties(struct parser *p, struct sql_property **out, size_t *n)
{
    size_t cap = 0;

    if (!expect_sign(p, "("))
        return false;
    do {
        struct name_list key = {0};
        struct buf name = BUF_INIT(4096);
        const struct token *value;
        if (*n == cap) {
            struct sql_property *more = arena_alloc(p->arena, (cap = cap ? cap * 2 : 8) * sizeof *more);
            if (!more)
                return fail_memory(p);
            if (*n)
                memcpy(more, *out, *n * sizeof *more);
            *out = more;
        }
        if (peek_token(p, 0)->kind == TOKEN_STRING)
            push_name(p, &key, parse_string(p, "a property"));
        else
            parse_dotted(p, &key, "a property");
        for (size_t i = 0; i < key.n; i++)
            buf_printf(&name, "%s%s", i ? "." : "", key.items[i]);
        if (!accept_sign(p, "="))
            accept_sign(p, "==");
        value = peek_token(p, 0);
        if (p->failed == LC_OK && (value->kind == TOKEN_SIGN || value->kind == TOKEN_END))
            fail_here(p, "a value");
        p->at += p->failed == LC_OK;
        (*out)[*n] = (struct sql_property){arena_strdup(p->arena, buf_str(&name)), value->text};
        buf_release(&name);
        ++*n;
    } while (accept_sign(p, ","));
    return expect_sign(p, ")");
}

static bool parse_comment(struct parser *p, const char **out)
{
    *out = parse_string(p, "a text in quotes");
    return *out != NULL;
}

static char *comment_metadata(struct parser *p, const char *comment)
{
    struct buf json = BUF_INIT(1 << 16);
    char *out;

    buf_puts(&json, "{\"comment\":");
    buf_json(&json, comment, strlen(comment));
    buf_putc(&json, '}');
    out = buf_ok(&json) ? arena_strdup(p->arena, buf_str(&json)) : NULL;
    buf_release(&json);
    if (!out)
        fail_memory(p);
    return out;
}

static bool parse_column_definition(struct parser *p, const struct dtype **schema)
{
    const struct token *at = peek_token(p, 0);
    const char *name = parse_identifier(p, "a column"), *comment = NULL;
    const struct dtype *type = parse_type(p);
    bool nullable = true;

    while (p->failed == LC_OK) {
        if (accept_words(p, "NOT NULL"))
            nullable = false;
        else if (accept_word(p, "COMMENT"))
            parse_comment(p, &comment);
        else if (at_word(p, 0, "DEFAULT") || at_word(p, 0, "GENERATED"))
            fail_unsupported(p, peek_token(p, 0),
                             at_word(p, 0, "DEFAULT") ? "a column's DEFAULT" : "a GENERATED column");
        else
            break;
    }
    if (p->failed == LC_OK && *schema && dtype_field_index(*schema, name) != -1)
        fail_at(p, at, "[COLUMN_ALREADY_EXISTS] the column '%s' is there twice", name);
    if (p->failed != LC_OK || !name) {
        dtype_unref(type);
        return false;
    }
    *schema = dtype_struct_add(*schema, name, type, nullable, comment ? comment_metadata(p, comment) : NULL);
    return *schema || fail_memory(p);
}

bool parse_columns(struct parser *p, const struct dtype **schema)
{
    *schema = dtype_struct_new(8);
    if (!expect_sign(p, "("))
        return false;
    do {
        if ((at_word(p, 0, "CONSTRAINT") || at_word(p, 0, "PRIMARY") || at_word(p, 0, "FOREIGN")) &&
            at_name(p, 1)) {
            fail_unsupported(p, peek_token(p, 0), "a constraint of a table");
            return false;
        }
        if (!parse_column_definition(p, schema))
            return false;
    } while (accept_sign(p, ","));
    return expect_sign(p, ")");
}

/* ---- CREATE ---- */
static bool parse_partitioned(struct parser *p, struct sql_statement *s)
{
    struct name_list columns = {0};

    if (at_sign(p, 0, "(") && at_name(p, 1) && at_sign(p, 2, "("))
        return fail_unsupported(p, peek_token(p, 1), "partitioning by a function of a column");
    if (at_sign(p, 0, "(") && at_name(p, 1) && !at_sign(p, 2, ",") && !at_sign(p, 2, ")"))
        return fail_unsupported(p, peek_token(p, 1), "a column definition in PARTITIONED BY");
    if (!parse_identifier_list(p, &columns, "a column"))
        return false;
    s->partition_by = names_of(&columns);
    return true;
}

static bool parse_table_clause(struct parser *p, struct sql_statement *s, bool *found)
{
    const struct token *t = peek_token(p, 0);

    *found = true;
    if (accept_word(p, "USING"))
        return (s->format = parse_identifier(p, "a format")) != NULL;
    if (accept_words(p, "PARTITIONED BY"))
        return parse_partitioned(p, s);
    if (accept_word(p, "LOCATION"))
        return (s->location = parse_string(p, "a path in quotes")) != NULL;
    if (accept_word(p, "COMMENT"))
        return parse_comment(p, &s->comment);
    if (accept_word(p, "TBLPROPERTIES"))
        return parse_properties(p, &s->properties, &s->n_properties);
    if (accept_word(p, "OPTIONS"))
        return parse_properties(p, &s->options, &s->n_options);
    if (at_word(p, 0, "CLUSTERED") || at_word(p, 0, "CLUSTER"))
        return fail_unsupported(p, t, "CLUSTER BY");
    if (at_word(p, 0, "STORED") || at_word(p, 0, "ROW"))
        return fail_unsupported(p, t, "a Hive table (STORED AS, ROW FORMAT)");
    *found = false;
    return p->failed == LC_OK;
}

static bool parse_create_table(struct parser *p, struct sql_statement *s)
{
    bool found = true;

    s->kind = SQL_CREATE_TABLE;
    s->if_not_exists = accept_words(p, "IF NOT EXISTS");
    if (!parse_table_name(p, s, "a table"))
        return false;
    if (at_word(p, 0, "LIKE"))
        return fail_unsupported(p, peek_token(p, 0), "CREATE TABLE … LIKE");
    if (at_word(p, 0, "SHALLOW") || at_word(p, 0, "DEEP") || at_word(p, 0, "CLONE"))
        return fail_unsupported(p, peek_token(p, 0), "CREATE TABLE … CLONE");
    if (at_sign(p, 0, "(") && !starts_query(p) && !parse_columns(p, &s->schema))
        return false;
    while (found)
        if (!parse_table_clause(p, s, &found))
            return false;
    if (accept_word(p, "AS") || starts_query(p))
        s->plan = parse_query(p);
    if (p->failed == LC_OK && !s->plan && !s->schema && !s->location)
        return fail_here(p, "columns in parentheses, LOCATION, or AS SELECT");
    if (p->failed == LC_OK && s->plan && s->schema)
        return fail_here(p, "either columns or AS SELECT, not both");
    return p->failed == LC_OK;
}

static bool parse_create_view(struct parser *p, struct sql_statement *s)
{
    struct name_list columns = {0};
    const struct token *t = peek_token(p, 0);

    s->kind = SQL_CREATE_VIEW;
    if (!s->temporary)
        return fail_unsupported(p, t, "a view that is not temporary (write CREATE TEMP VIEW)");
    s->if_not_exists = accept_words(p, "IF NOT EXISTS");
    t = peek_token(p, 0);
    if (!parse_table_name(p, s, "a view"))
        return false;
    if (s->name.n > 1)
        return fail_at(p, t, "[TEMP_VIEW_NAME_TOO_MANY_NAME_PARTS] a temporary view has a name of one part");
    if (at_sign(p, 0, "(") && !starts_query(p) && !parse_identifier_list(p, &columns, "a column"))
        return false;
    s->columns = names_of(&columns);
    if (accept_word(p, "COMMENT") && !parse_comment(p, &s->comment))
        return false;
    if (!expect_word(p, "AS"))
        return false;
    s->plan = parse_query(p);
    return s->plan != NULL;
}

static bool parse_create_space(struct parser *p, struct sql_statement *s)
{
    s->if_not_exists = accept_words(p, "IF NOT EXISTS");
    if (!parse_table_name(p, s, s->kind == SQL_CREATE_CATALOG ? "a catalog" : "a schema"))
        return false;
    for (;;) {
        if (accept_word(p, "COMMENT")) {
            if (!parse_comment(p, &s->comment))
                return false;
        } else if (accept_words(p, "MANAGED LOCATION") || accept_word(p, "LOCATION")) {
            if ((s->location = parse_string(p, "a path in quotes")) == NULL)
                return false;
        } else if (accept_words(p, "WITH DBPROPERTIES") || accept_words(p, "WITH PROPERTIES")) {
            if (!parse_properties(p, &s->properties, &s->n_properties))
                return false;
        } else {
            return p->failed == LC_OK;
        }
    }
}

static bool accept_schema_word(struct parser *p)
{
    return accept_word(p, "SCHEMA") || accept_word(p, "DATABASE") || accept_word(p, "NAMESPACE");
}

static bool parse_create(struct parser *p, struct sql_statement *s)
{
    const struct token *t;

    s->replace = accept_words(p, "OR REPLACE");
    if (at_word(p, 0, "GLOBAL"))
        return fail_unsupported(p, peek_token(p, 0), "a global temporary view");
    s->temporary = accept_word(p, "TEMP") || accept_word(p, "TEMPORARY");
    accept_word(p, "EXTERNAL");
    t = peek_token(p, 0);
    if (accept_word(p, "VIEW"))
        return parse_create_view(p, s);
    if (!s->temporary && accept_word(p, "TABLE"))
        return parse_create_table(p, s);
    s->kind = SQL_CREATE_CATALOG;
    if (!s->temporary && !s->replace && accept_word(p, "CATALOG"))
        return parse_create_space(p, s);
    s->kind = SQL_CREATE_SCHEMA;
    if (!s->temporary && !s->replace && accept_schema_word(p))
        return parse_create_space(p, s);
    if (at_word(p, 0, "FUNCTION") || at_word(p, 0, "VOLUME") || at_word(p, 0, "MATERIALIZED") ||
        at_word(p, 0, "STREAMING"))
        return fail_unsupported(p, t,
                                at_word(p, 0, "FUNCTION") ? "CREATE FUNCTION"
                                : at_word(p, 0, "VOLUME") ? "CREATE VOLUME"
                                                          : "a materialized view or streaming table");
    return fail_here(p, "CATALOG, SCHEMA, TABLE or TEMP VIEW");
}

/* ---- DROP ---- */
static bool parse_drop(struct parser *p, struct sql_statement *s)
{
    static const struct {
        const char *word, *what;
        enum sql_kind kind;
    } kinds[] = {
        {"TABLE", "a table", SQL_DROP_TABLE},       {"VIEW", "a view", SQL_DROP_VIEW},
        {"CATALOG", "a catalog", SQL_DROP_CATALOG}, {"SCHEMA", "a schema", SQL_DROP_SCHEMA},
        {"DATABASE", "a schema", SQL_DROP_SCHEMA},  {"NAMESPACE", "a schema", SQL_DROP_SCHEMA},
    };

    for (size_t i = 0; i < COUNT(kinds); i++)
        if (accept_word(p, kinds[i].word)) {
            s->kind = kinds[i].kind;
            s->if_exists = accept_words(p, "IF EXISTS");
            if (!parse_table_name(p, s, kinds[i].what))
                return false;
            s->cascade = accept_word(p, "CASCADE");
            if (!s->cascade && !accept_word(p, "RESTRICT"))
                accept_word(p, "PURGE");
            return p->failed == LC_OK;
        }
    if (at_word(p, 0, "FUNCTION") || at_word(p, 0, "VOLUME"))
        return fail_unsupported(p, peek_token(p, 0),
                                at_word(p, 0, "VOLUME") ? "DROP VOLUME" : "DROP FUNCTION");
    return fail_here(p, "CATALOG, SCHEMA, TABLE or VIEW");
}

/* ---- INSERT ---- */
static bool parse_insert(struct parser *p, struct sql_statement *s)
{
    struct name_list columns = {0};

    s->kind = SQL_INSERT;
    if (accept_word(p, "OVERWRITE"))
        s->overwrite = true;
    else if (!expect_word(p, "INTO"))
        return false;
    if (at_word(p, 0, "DIRECTORY") || at_word(p, 0, "LOCAL"))
        return fail_unsupported(p, peek_token(p, 0), "INSERT OVERWRITE DIRECTORY");
    accept_word(p, "TABLE");
    if (!parse_table_name(p, s, "a table"))
        return false;
    if (at_word(p, 0, "PARTITION"))
        return fail_unsupported(p, peek_token(p, 0), "INSERT … PARTITION (…)");
    if (at_word(p, 0, "REPLACE"))
        return fail_unsupported(p, peek_token(p, 0), "INSERT INTO … REPLACE WHERE");
    if (at_sign(p, 0, "(") && !starts_query(p) && !parse_identifier_list(p, &columns, "a column"))
        return false;
    s->columns = names_of(&columns);
    s->by_name = accept_words(p, "BY NAME");
    if (p->failed == LC_OK && !starts_query(p) && !at_word(p, 0, "VALUES"))
        return fail_here(p, "SELECT or VALUES");
    s->plan = parse_query(p);
    return s->plan != NULL;
}

/* ---- USE, SHOW, DESCRIBE, EXPLAIN, SET ---- */
static bool parse_use(struct parser *p, struct sql_statement *s)
{
    s->kind = SQL_USE;
    if (at_name(p, 1)) { /* else the word is the schema's name */
        if (accept_word(p, "CATALOG"))
            s->kind = SQL_USE_CATALOG;
        else
            accept_schema_word(p);
    }
    return parse_table_name(p, s, s->kind == SQL_USE_CATALOG ? "a catalog" : "a schema");
}

static bool parse_like_pattern(struct parser *p, struct sql_statement *s)
{
    if (accept_word(p, "LIKE"))
        return (s->pattern = parse_string(p, "a pattern in quotes")) != NULL;
    if (p->failed == LC_OK && peek_token(p, 0)->kind == TOKEN_STRING)
        s->pattern = parse_string(p, "a pattern in quotes");
    return p->failed == LC_OK;
}

static bool parse_show_in(struct parser *p, struct sql_statement *s, enum sql_kind kind, const char *what)
{
    s->kind = kind;
    if ((accept_word(p, "IN") || accept_word(p, "FROM")) && !parse_table_name(p, s, what))
        return false;
    return parse_like_pattern(p, s);
}

static bool parse_show_columns(struct parser *p, struct sql_statement *s)
{
    struct name_list schema = {0}, full = {0};

    s->kind = SQL_SHOW_COLUMNS;
    if (!accept_word(p, "IN") && !expect_word(p, "FROM"))
        return false;
    if (!parse_table_name(p, s, "a table"))
        return false;
    if (!accept_word(p, "IN") && !accept_word(p, "FROM"))
        return p->failed == LC_OK;
    if (!parse_dotted(p, &schema, "a schema"))
        return false;
    for (size_t i = 0; i < schema.n; i++)
        push_name(p, &full, schema.items[i]);
    push_name(p, &full, s->name.items[s->name.n - 1]);
    s->name = names_of(&full);
    return p->failed == LC_OK;
}

static bool parse_show(struct parser *p, struct sql_statement *s)
{
    if (accept_word(p, "CATALOGS"))
        return parse_show_in(p, s, SQL_SHOW_CATALOGS, "a catalog");
    if (accept_word(p, "SCHEMAS") || accept_word(p, "DATABASES") || accept_word(p, "NAMESPACES"))
        return parse_show_in(p, s, SQL_SHOW_SCHEMAS, "a catalog");
    if (accept_word(p, "TABLES"))
        return parse_show_in(p, s, SQL_SHOW_TABLES, "a schema");
    if (accept_word(p, "VIEWS"))
        return parse_show_in(p, s, SQL_SHOW_VIEWS, "a schema");
    if (accept_word(p, "COLUMNS"))
        return parse_show_columns(p, s);
    if (accept_word(p, "TBLPROPERTIES")) {
        s->kind = SQL_SHOW_PROPERTIES;
        return parse_table_name(p, s, "a table");
    }
    if (at_word(p, 1, "FUNCTIONS")) /* SHOW SYSTEM FUNCTIONS, USER, ALL */
        p->at++;
    if (accept_word(p, "FUNCTIONS")) {
        s->kind = SQL_SHOW_FUNCTIONS;
        return peek_token(p, 0)->kind == TOKEN_END || parse_like_pattern(p, s);
    }
    if (accept_words(p, "CREATE TABLE")) {
        s->kind = SQL_SHOW_CREATE;
        return parse_table_name(p, s, "a table");
    }
    if (at_word(p, 0, "PARTITIONS") || at_word(p, 0, "GRANTS") || at_word(p, 0, "VOLUMES")) {
        char what[64];
        snprintf(what, sizeof what, "SHOW %s", peek_token(p, 0)->text);
        return fail_unsupported(p, peek_token(p, 0), what);
    }
    return fail_here(p, "CATALOGS, SCHEMAS, TABLES, VIEWS, COLUMNS or TBLPROPERTIES");
}

/* A name, or an operator as it is written. */
static bool parse_function_name(struct parser *p, struct sql_statement *s)
{
    struct name_list name = {0};
    struct buf sign = BUF_INIT(64);
    bool good;

    if (at_name(p, 0))
        return parse_table_name(p, s, "a function");
    while (peek_token(p, 0)->kind != TOKEN_END && !at_sign(p, 0, ";") && sign.len < 60) {
        const struct token *t = peek_token(p, 0);

        buf_add(&sign, p->text + t->start, t->end - t->start);
        p->at++;
    }
    good = push_name(p, &name, arena_strndup(p->arena, buf_str(&sign), sign.len));
    buf_release(&sign);
    s->name = names_of(&name);
    return good;
}

static bool parse_truncate(struct parser *p, struct sql_statement *s)
{
    s->kind = SQL_TRUNCATE;
    return expect_word(p, "TABLE") && parse_table_name(p, s, "a table");
}

/* REFRESH [TABLE] t; CACHE [LAZY] TABLE t; UNCACHE TABLE [IF EXISTS] t; ANALYZE TABLE t …; CLEAR CACHE */
static bool parse_refresh(struct parser *p, struct sql_statement *s)
{
    s->kind = SQL_REFRESH;
    if (accept_word(p, "CACHE") && peek_token(p, 0)->kind == TOKEN_END)
        return true;
    accept_word(p, "LAZY");
    accept_word(p, "TABLE");
    s->if_exists = accept_words(p, "IF EXISTS");
    if (!parse_table_name(p, s, "a table"))
        return false;
    while (peek_token(p, 0)->kind != TOKEN_END && !at_sign(p, 0, ";")) /* COMPUTE STATISTICS …, OPTIONS (…) */
        p->at++;
    return true;
}

static bool parse_describe(struct parser *p, struct sql_statement *s)
{
    static const struct {
        const char *word;
        enum sql_kind kind;
    } kinds[] = {{"HISTORY", SQL_DESCRIBE_HISTORY},
                 {"DETAIL", SQL_DESCRIBE_DETAIL},
                 {"SCHEMA", SQL_DESCRIBE_SCHEMA},
                 {"DATABASE", SQL_DESCRIBE_SCHEMA}};

    s->kind = SQL_DESCRIBE_TABLE;
    if ((starts_query(p) && !at_word(p, 0, "TABLE")) || (at_name(p, 1) && accept_word(p, "QUERY"))) {
        s->kind = SQL_DESCRIBE_QUERY;
        s->plan = parse_query(p);
        return s->plan != NULL;
    }
    if (at_word(p, 0, "FUNCTION") && peek_token(p, 1)->kind != TOKEN_END) {
        p->at++;
        s->kind = SQL_DESCRIBE_FUNCTION;
        s->extended =
            at_word(p, 0, "EXTENDED") && peek_token(p, 1)->kind != TOKEN_END && accept_word(p, "EXTENDED");
        return parse_function_name(p, s);
    }
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (at_word(p, 0, kinds[i].word) && at_name(p, 1)) {
            p->at++;
            s->kind = kinds[i].kind;
        }
    if (s->kind == SQL_DESCRIBE_TABLE && at_name(p, 1))
        accept_word(p, "TABLE");
    if (at_name(p, 1)) /* else it is the table's name */
        s->extended = accept_word(p, "EXTENDED") || accept_word(p, "FORMATTED");
    return parse_table_name(p, s, s->kind == SQL_DESCRIBE_SCHEMA ? "a schema" : "a table");
}

static bool parse_explain(struct parser *p, struct sql_statement *s)
{
    static const char *const modes[] = {"EXTENDED", "FORMATTED", "COST", "CODEGEN"};

    s->kind = SQL_EXPLAIN;
    for (size_t i = 0; i < sizeof modes / sizeof *modes && !s->key; i++)
        if (accept_word(p, modes[i]))
            s->key = modes[i];
    s->plan = parse_query(p);
    return s->plan != NULL;
}

/* SET; SET key; SET key = value: the value goes to the end of the statement, as it stands. */
static bool parse_set(struct parser *p, struct sql_statement *s)
{
    struct buf key = BUF_INIT(4096);
    size_t start;

    s->kind = SQL_SET;
    if (peek_token(p, 0)->kind == TOKEN_END || at_sign(p, 0, ";"))
        return true;
    if (at_word(p, 0, "TIME") && at_word(p, 1, "ZONE")) {
        p->at += 2;
        s->key = "spark.sql.session.timeZone";
        return (s->value = parse_string(p, "a time zone in quotes")) != NULL;
    }
    while (p->failed == LC_OK && (at_name(p, 0) || at_sign(p, 0, ".") || at_sign(p, 0, "-"))) {
        buf_puts(&key, peek_token(p, 0)->text);
        p->at++;
    }
    if (key.len == 0)
        fail_here(p, "a name");
    s->key = arena_strdup(p->arena, buf_str(&key));
    buf_release(&key);
    if (!accept_sign(p, "="))
        return p->failed == LC_OK;
    if (peek_token(p, 0)->kind == TOKEN_STRING) {
        s->value = parse_string(p, "a value");
        return true;
    }
    start = peek_token(p, 0)->start;
    while (peek_token(p, 0)->kind != TOKEN_END && !at_sign(p, 0, ";"))
        p->at++;
    if (p->tokens[p->at].start == start)
        return fail_here(p, "a value");
    s->value = arena_strndup(p->arena, p->text + start, p->tokens[p->at - 1].end - start);
    return s->value || fail_memory(p);
}

/* ---- the first word ---- */
static bool parse_statement(struct parser *p, struct sql_statement *s)
{
    static const struct {
        const char *word;
        bool (*fn)(struct parser *p, struct sql_statement *s);
    } statements[] = {
        {"CREATE", parse_create},     {"DROP", parse_drop},       {"INSERT", parse_insert},
        {"USE", parse_use},           {"SHOW", parse_show},       {"DESCRIBE", parse_describe},
        {"DESC", parse_describe},     {"EXPLAIN", parse_explain}, {"SET", parse_set},
        {"TRUNCATE", parse_truncate}, {"REFRESH", parse_refresh}, {"CACHE", parse_refresh},
        {"UNCACHE", parse_refresh},   {"ANALYZE", parse_refresh}, {"CLEAR", parse_refresh},
    };
    /* Spark's and Databricks' statements that are not there; longer ones first */
    static const char *const missing[] = {
        "ALTER",
        "CALL",
        "COMMENT ON",
        "CONVERT TO DELTA",
        "COPY INTO",
        "DECLARE",
        "DELETE",
        "DENY",
        "EXECUTE IMMEDIATE",
        "FSCK",
        "GRANT",
        "LIST",
        "LOAD DATA",
        "MERGE",
        "MSCK",
        "OPTIMIZE",
        "REORG",
        "REPAIR",
        "RESET",
        "RESTORE",
        "REVOKE",
        "UNDROP",
        "UPDATE",
        "VACUUM",
        "ADD",
        "BEGIN",
        "REPLACE",
    };
    const struct token *t = peek_token(p, 0);
    const char *words[COUNT(statements) + COUNT(missing) + 3] = {"SELECT", "WITH", "VALUES"};
    const char *near;
    size_t n = 3;

    if (starts_query(p) || at_word(p, 0, "VALUES")) {
        s->kind = SQL_QUERY;
        s->plan = parse_query(p);
        return s->plan != NULL;
    }
    for (size_t i = 0; i < COUNT(statements); i++) {
        words[n++] = statements[i].word;
        if (accept_word(p, statements[i].word))
            return statements[i].fn(p, s);
    }
    for (size_t i = 0; i < COUNT(missing); i++) {
        words[n++] = missing[i];
        if (accept_words(p, missing[i]))
            return fail_unsupported(p, t, missing[i]);
    }
    fail_here(p, "a statement");
    near = t->kind == TOKEN_WORD && !is_hard_word(t) ? nearest_one(t->text, words, n) : NULL;
    if (near)
        err_hint(p->err, "did you mean %s instead of '%s'?", near, t->text);
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

void sql_release(struct sql_statement *s)
{
    if (!s)
        return;
    plan_unref(s->plan);
    dtype_unref(s->schema);
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

enum lc sql_split(const char *text, size_t len, struct sql_span **out, size_t *n, struct err *err)
{
    struct parser p = {0};
    struct err local;
    size_t first = 0;
    enum lc rc = start(&p, text, len, err ? err : &local);

    *out = NULL;
    *n = 0;
    if (rc == LC_OK && (*out = mem_calloc(p.n + 1, sizeof **out)) == NULL)
        rc = err_nomem(err);
    for (size_t i = 0; rc == LC_OK && i <= p.n; i++) {
        const struct token *t = &p.tokens[i];
        if (t->kind != TOKEN_END && !(t->kind == TOKEN_SIGN && strcmp(t->text, ";") == 0))
            continue;
        if (i > first)
            (*out)[(*n)++] = (struct sql_span){p.tokens[first].start, p.tokens[i - 1].end};
        first = i + 1;
    }
    arena_free(p.arena);
    return rc;
}

const char *sql_kind_name(enum sql_kind kind)
{
    static const char *const names[SQL_KIND_COUNT] = {
        "SELECT",
        "EXPLAIN",
        "INSERT",
        "CREATE TABLE",
        "CREATE VIEW",
        "CREATE CATALOG",
        "CREATE SCHEMA",
        "DROP TABLE",
        "DROP VIEW",
        "DROP CATALOG",
        "DROP SCHEMA",
        "USE CATALOG",
        "USE",
        "SHOW CATALOGS",
        "SHOW SCHEMAS",
        "SHOW TABLES",
        "SHOW VIEWS",
        "SHOW COLUMNS",
        "SHOW TBLPROPERTIES",
        "DESCRIBE TABLE",
        "DESCRIBE SCHEMA",
        "DESCRIBE HISTORY",
        "DESCRIBE DETAIL",
        "DESCRIBE QUERY",
        "SHOW FUNCTIONS",
        "SHOW CREATE TABLE",
        "DESCRIBE FUNCTION",
        "TRUNCATE",
        "REFRESH",
        "SET",
    };

    return (unsigned)kind < SQL_KIND_COUNT ? names[kind] : "";
}
