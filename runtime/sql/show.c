/* What shows something, or is for the session: USE, SHOW, DESCRIBE, EXPLAIN, SET. */
#include "runtime/base/mem.h"
#include "runtime/sql/statement.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* ---- USE, SHOW, DESCRIBE, EXPLAIN, SET ---- */
bool parse_use(struct parser *p, struct sql_statement *s)
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

/* SHOW TBLPROPERTIES t ('key') */
static bool parse_show_properties(struct parser *p, struct sql_statement *s)
{
    struct name_list key = {0};
    struct buf text = BUF_INIT(4096);

    s->kind = SQL_SHOW_PROPERTIES;
    if (!parse_table_name(p, s, "a table") || !accept_sign(p, "("))
        return p->failed == LC_OK;
    if (peek_token(p, 0)->kind == TOKEN_STRING)
        push_name(p, &key, parse_string(p, "a property"));
    else
        parse_dotted(p, &key, "a property");
    for (size_t i = 0; i < key.n; i++)
        buf_printf(&text, "%s%s", i ? "." : "", key.items[i]);
    s->key = arena_strdup(p->arena, buf_str(&text));
    buf_release(&text);
    return expect_sign(p, ")");
}

/* SHOW PARTITIONS t PARTITION (a = 1) */
static bool parse_show_partitions(struct parser *p, struct sql_statement *s)
{
    s->kind = SQL_SHOW_PARTITIONS;
    if (!parse_table_name(p, s, "a table"))
        return false;
    return !accept_word(p, "PARTITION") || parse_partition(p, s);
}

bool parse_show(struct parser *p, struct sql_statement *s)
{
    if (accept_word(p, "CATALOGS"))
        return parse_show_in(p, s, SQL_SHOW_CATALOGS, "a catalog");
    if (accept_word(p, "SCHEMAS") || accept_word(p, "DATABASES") || accept_word(p, "NAMESPACES"))
        return parse_show_in(p, s, SQL_SHOW_SCHEMAS, "a catalog");
    if (accept_word(p, "TABLES"))
        return parse_show_in(p, s, SQL_SHOW_TABLES, "a schema");
    if (accept_word(p, "VIEWS"))
        return parse_show_in(p, s, SQL_SHOW_VIEWS, "a schema");
    if (accept_words(p, "TABLE EXTENDED"))
        return parse_show_in(p, s, SQL_SHOW_EXTENDED, "a schema");
    if (accept_word(p, "VOLUMES"))
        return parse_show_in(p, s, SQL_SHOW_VOLUMES, "a schema");
    if (accept_word(p, "COLUMNS"))
        return parse_show_columns(p, s);
    if (accept_word(p, "TBLPROPERTIES"))
        return parse_show_properties(p, s);
    if (accept_word(p, "PARTITIONS"))
        return parse_show_partitions(p, s);
    if (accept_words(p, "CURRENT NAMESPACE") || accept_words(p, "CURRENT SCHEMA") ||
        accept_words(p, "CURRENT DATABASE")) {
        s->kind = SQL_SHOW_NAMESPACE;
        return true;
    }
    if (at_word(p, 1, "FUNCTIONS")) /* SHOW SYSTEM FUNCTIONS, USER, ALL */
        p->at++;
    if (accept_word(p, "FUNCTIONS")) {
        s->kind = SQL_SHOW_FUNCTIONS;
        return peek_token(p, 0)->kind == TOKEN_END || parse_like_pattern(p, s);
    }
    if (accept_words(p, "CREATE TABLE") || accept_words(p, "CREATE VIEW")) {
        s->kind = SQL_SHOW_CREATE;
        return parse_table_name(p, s, "a table");
    }
    if (at_word(p, 0, "GRANTS"))
        return fail_unsupported(p, peek_token(p, 0), "SHOW GRANTS");
    return fail_here(p, "CATALOGS, SCHEMAS, TABLES, VIEWS, VOLUMES, COLUMNS, PARTITIONS, FUNCTIONS, CREATE "
                        "TABLE or TBLPROPERTIES");
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

/* COMPUTE STATISTICS …, OPTIONS (…): nothing here depends on it */
static bool skip_rest(struct parser *p)
{
    while (peek_token(p, 0)->kind != TOKEN_END && !at_sign(p, 0, ";"))
        p->at++;
    return p->failed == LC_OK;
}

/* REFRESH [TABLE] t; ANALYZE TABLE t …; MSCK REPAIR TABLE t */
bool parse_refresh(struct parser *p, struct sql_statement *s)
{
    s->kind = SQL_REFRESH;
    accept_word(p, "REPAIR");
    accept_word(p, "TABLE");
    if (at_word(p, 0, "TABLES") || peek_token(p, 0)->kind == TOKEN_STRING)
        return skip_rest(p);
    return parse_table_name(p, s, "a table") && skip_rest(p);
}

/* CACHE [LAZY] TABLE t [OPTIONS (…)] [AS SELECT …] */
bool parse_cache(struct parser *p, struct sql_statement *s)
{
    s->kind = SQL_CACHE;
    accept_word(p, "LAZY");
    if (!expect_word(p, "TABLE") || !parse_table_name(p, s, "a table"))
        return false;
    if (accept_word(p, "OPTIONS") && !parse_properties(p, &s->options, &s->n_options))
        return false;
    if (!accept_word(p, "AS") && !starts_query(p))
        return p->failed == LC_OK;
    s->plan = parse_query(p);
    return s->plan != NULL;
}

/* UNCACHE TABLE [IF EXISTS] t; CLEAR CACHE */
bool parse_uncache(struct parser *p, struct sql_statement *s)
{
    s->kind = SQL_UNCACHE;
    if (accept_word(p, "CACHE"))
        return true;
    if (!expect_word(p, "TABLE"))
        return false;
    s->if_exists = accept_words(p, "IF EXISTS");
    return parse_table_name(p, s, "a table");
}

/* LIST '/a/path'; LIST "…" LIMIT 10 */
bool parse_list(struct parser *p, struct sql_statement *s)
{
    s->kind = SQL_LIST;
    if ((s->location = parse_string(p, "a path in quotes")) == NULL)
        return false;
    if (!accept_word(p, "LIMIT"))
        return p->failed == LC_OK;
    if (peek_token(p, 0)->kind != TOKEN_INTEGER)
        return fail_here(p, "a number");
    s->value = peek_token(p, 0)->text;
    p->at++;
    return true;
}

/* RESET; RESET key */
bool parse_reset(struct parser *p, struct sql_statement *s)
{
    if (!parse_set(p, s))
        return false;
    s->kind = SQL_RESET;
    return !s->value || fail_here(p, "the end of the text");
}

static bool parse_described_function(struct parser *p, struct sql_statement *s)
{
    p->at++;
    s->kind = SQL_DESCRIBE_FUNCTION;
    s->extended =
        at_word(p, 0, "EXTENDED") && peek_token(p, 1)->kind != TOKEN_END && accept_word(p, "EXTENDED");
    return parse_function_name(p, s);
}

/* DESCRIBE [EXTENDED] t [column] [AS JSON] */
static bool parse_described_table(struct parser *p, struct sql_statement *s)
{
    struct name_list column = {0};

    if (at_name(p, 1))
        accept_word(p, "TABLE");
    if (at_name(p, 1)) /* else it is the table's name */
        s->extended = accept_word(p, "EXTENDED") || accept_word(p, "FORMATTED");
    if (!parse_table_name(p, s, "a table"))
        return false;
    if (at_word(p, 0, "AS") && at_word(p, 1, "JSON"))
        return fail_unsupported(p, peek_token(p, 0), "DESCRIBE … AS JSON");
    if (at_word(p, 0, "PARTITION"))
        return fail_unsupported(p, peek_token(p, 0), "DESCRIBE … PARTITION");
    if (!at_name(p, 0))
        return p->failed == LC_OK;
    if (!parse_dotted(p, &column, "a column"))
        return false;
    s->columns = names_of(&column);
    return true;
}

bool parse_describe(struct parser *p, struct sql_statement *s)
{
    static const struct {
        const char *word, *what;
        enum sql_kind kind;
    } kinds[] = {
        {"HISTORY", "a table", SQL_DESCRIBE_HISTORY},   {"DETAIL", "a table", SQL_DESCRIBE_DETAIL},
        {"SCHEMA", "a schema", SQL_DESCRIBE_SCHEMA},    {"DATABASE", "a schema", SQL_DESCRIBE_SCHEMA},
        {"NAMESPACE", "a schema", SQL_DESCRIBE_SCHEMA}, {"CATALOG", "a catalog", SQL_DESCRIBE_CATALOG},
        {"VOLUME", "a volume", SQL_DESCRIBE_VOLUME}};

    s->kind = SQL_DESCRIBE_TABLE;
    if ((starts_query(p) && !at_word(p, 0, "TABLE")) || (at_name(p, 1) && accept_word(p, "QUERY"))) {
        s->kind = SQL_DESCRIBE_QUERY;
        s->plan = parse_query(p);
        return s->plan != NULL;
    }
    if (at_word(p, 0, "FUNCTION") && peek_token(p, 1)->kind != TOKEN_END)
        return parse_described_function(p, s);
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (at_word(p, 0, kinds[i].word) && at_name(p, 1)) {
            p->at++;
            s->kind = kinds[i].kind;
            s->extended = at_name(p, 1) && accept_word(p, "EXTENDED");
            return parse_table_name(p, s, kinds[i].what);
        }
    return parse_described_table(p, s);
}

bool parse_explain(struct parser *p, struct sql_statement *s)
{
    static const char *const modes[] = {"EXTENDED", "FORMATTED", "COST", "CODEGEN"};

    s->kind = SQL_EXPLAIN;
    for (size_t i = 0; i < COUNT(modes) && !s->key; i++)
        if (accept_word(p, modes[i]))
            s->key = modes[i];
    s->plan = parse_query(p);
    return s->plan != NULL;
}

/* SET; SET key; SET key = value: the value goes to the end of the statement, as it stands. */
bool parse_set(struct parser *p, struct sql_statement *s)
{
    struct buf key = BUF_INIT(4096);
    size_t start;

    s->kind = SQL_SET;
    if (peek_token(p, 0)->kind == TOKEN_END || at_sign(p, 0, ";"))
        return true;
    if (at_word(p, 0, "TIME") && at_word(p, 1, "ZONE")) {
        p->at += 2;
        s->key = "spark.sql.session.timeZone";
        if (accept_word(p, "LOCAL"))
            return (s->value = "LOCAL") != NULL;
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
