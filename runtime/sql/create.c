/* CREATE and DROP, and the parts that statements share. */
#include "runtime/base/mem.h"
#include "runtime/sql/statement.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

struct sql_names names_of(const struct name_list *l)
{
    return (struct sql_names){l->items, l->n};
}

/* ---- parts of statements ---- */
bool parse_table_name(struct parser *p, struct sql_statement *s, const char *what)
{
    struct name_list parts = {0};

    s->name_at = (int64_t)peek_token(p, 0)->start;
    if (!parse_dotted(p, &parts, what))
        return false;
    s->name = names_of(&parts);
    return true;
}

/* ('key' = 'value', key.part = 1, 'key' 'value') */
bool parse_properties(struct parser *p, struct sql_property **out, size_t *n)
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

bool parse_comment(struct parser *p, const char **out)
{
    *out = parse_string(p, "a text in quotes");
    return *out != NULL;
}

/* {"comment":"…"} */
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

/* What Spark and Databricks let stand behind a column, and this program has not. */
static bool fail_column_option(struct parser *p)
{
    static const struct {
        const char *word, *what, *instead;
    } options[] = {
        {"DEFAULT", "a column's DEFAULT", "put the value into the rows: F.coalesce(col, F.lit(value))"},
        {"GENERATED", "a GENERATED column", "compute it where rows are written, with withColumn"},
        {"CHECK", "a CHECK constraint", "check the rows before they are written: filter, or F.assert_true"},
        {"CONSTRAINT", "a constraint of a column",
         "check the rows before they are written: filter, or F.assert_true"},
        {"PRIMARY", "a PRIMARY KEY", "make the rows unique with dropDuplicates, or MERGE by the key"},
        {"UNIQUE", "a UNIQUE constraint", "make the rows unique with dropDuplicates"},
        {"REFERENCES", "a FOREIGN KEY", "join with the other table before writing"},
        {"COLLATE", "a column's COLLATE", "F.collate where texts are compared"},
        {"MASK", "a column's MASK", "a view that shows what may be seen"},
    };
    const struct token *t = peek_token(p, 0);

    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (at_word(p, 0, options[i].word))
            return !fail_instead(p, t, options[i].what, options[i].instead);
    return false;
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
        else if (!fail_column_option(p))
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

/* (a INT NOT NULL COMMENT 'x', …) */
static bool parse_columns(struct parser *p, const struct dtype **schema)
{
    *schema = dtype_struct_new(8);
    if (!expect_sign(p, "("))
        return false;
    do {
        if ((at_word(p, 0, "CONSTRAINT") || at_word(p, 0, "PRIMARY") || at_word(p, 0, "FOREIGN") ||
             at_word(p, 0, "UNIQUE")) &&
            at_name(p, 1) && !at_word(p, 1, "STRING"))
            return fail_instead(
                p, peek_token(p, 0), "a constraint of a table",
                "check the rows before they are written: filter, dropDuplicates, F.assert_true");
        if (at_word(p, 0, "CHECK") && at_sign(p, 1, "("))
            return fail_instead(p, peek_token(p, 0), "a CHECK constraint",
                                "check the rows before they are written: filter, or F.assert_true");
        if (!parse_column_definition(p, schema))
            return false;
    } while (accept_sign(p, ","));
    return expect_sign(p, ")");
}

bool fail_instead(struct parser *p, const struct token *t, const char *what, const char *instead)
{
    if (p->failed != LC_OK)
        return false;
    fail_unsupported(p, t, what);
    err_hint(p->err, "%s", instead);
    return false;
}

/* ---- CREATE ---- */
/* (a, b), or with their types: then they are columns of their own, behind the others. */
static bool parse_partitioned(struct parser *p, struct sql_statement *s)
{
    struct name_list columns = {0};

    if (at_sign(p, 0, "(") && at_name(p, 1) && at_sign(p, 2, "("))
        return fail_unsupported(p, peek_token(p, 1), "partitioning by a function of a column");
    if (!expect_sign(p, "("))
        return false;
    do {
        if (at_sign(p, 1, ",") || at_sign(p, 1, ")")) {
            push_name(p, &columns, parse_identifier(p, "a column"));
            continue;
        }
        push_name(p, &columns, peek_token(p, 0)->text);
        if (!s->schema)
            s->schema = dtype_struct_new(4);
        if (!parse_column_definition(p, &s->schema))
            return false;
    } while (accept_sign(p, ","));
    s->partition_by = names_of(&columns);
    return expect_sign(p, ")");
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
        return fail_instead(p, t, "CLUSTER BY", "PARTITIONED BY (…), or sort the rows that are written");
    if (at_word(p, 0, "STORED") || at_word(p, 0, "ROW"))
        return fail_unsupported(p, t, "a Hive table (STORED AS, ROW FORMAT)");
    *found = false;
    return p->failed == LC_OK;
}

static bool parse_create_like(struct parser *p, struct sql_statement *s)
{
    struct name_list from = {0};
    bool found = true;

    s->kind = SQL_CREATE_LIKE;
    if (!parse_dotted(p, &from, "a table"))
        return false;
    s->source = names_of(&from);
    while (found)
        if (!parse_table_clause(p, s, &found))
            return false;
    return p->failed == LC_OK;
}

/* USING parquet without columns: that they cannot be found is said by who looks for files. */
static bool is_files(const struct sql_statement *s)
{
    return s->format && strcasecmp(s->format, "delta") != 0;
}

static bool parse_create_table(struct parser *p, struct sql_statement *s)
{
    bool found = true;

    s->kind = SQL_CREATE_TABLE;
    s->if_not_exists = accept_words(p, "IF NOT EXISTS");
    if (!parse_table_name(p, s, "a table"))
        return false;
    if (accept_word(p, "LIKE"))
        return parse_create_like(p, s);
    if (at_word(p, 0, "SHALLOW") || at_word(p, 0, "DEEP") || at_word(p, 0, "CLONE"))
        return fail_instead(p, peek_token(p, 0), "CREATE TABLE … CLONE",
                            "CREATE TABLE … AS SELECT * FROM the other one");
    if (at_sign(p, 0, "(") && !starts_query(p) && !parse_columns(p, &s->schema))
        return false;
    while (found)
        if (!parse_table_clause(p, s, &found))
            return false;
    if (accept_word(p, "AS") || starts_query(p))
        s->plan = parse_query(p);
    if (p->failed == LC_OK && !s->plan && !s->schema && !s->location && !is_files(s))
        return fail_here(p, "columns in parentheses, LOCATION, or AS SELECT");
    if (p->failed == LC_OK && s->plan && s->schema)
        return fail_here(p, "either columns or AS SELECT, not both");
    return p->failed == LC_OK;
}

/* (x COMMENT 'c', y) */
static bool parse_view_columns(struct parser *p, struct sql_statement *s)
{
    struct name_list columns = {0};
    const char *comments[1024] = {0};
    const char **kept;

    if (!expect_sign(p, "("))
        return false;
    do {
        if (columns.n == COUNT(comments))
            return fail_at(p, peek_token(p, 0), "a view has at most %zu named columns", COUNT(comments));
        if (!push_name(p, &columns, parse_identifier(p, "a column")))
            return false;
        if (accept_word(p, "COMMENT") && !parse_comment(p, &comments[columns.n - 1]))
            return false;
    } while (accept_sign(p, ","));
    if ((kept = arena_zalloc(p->arena, columns.n * sizeof *kept)) == NULL)
        return fail_memory(p);
    memcpy(kept, comments, columns.n * sizeof *kept);
    s->columns = names_of(&columns);
    s->comments = kept;
    return expect_sign(p, ")");
}

const char *parse_source(struct parser *p, const struct token *from)
{
    size_t end = p->at;

    while (end < p->n && !(p->tokens[end].kind == TOKEN_SIGN && strcmp(p->tokens[end].text, ";") == 0))
        end++;
    return end ? arena_strndup(p->arena, p->text + from->start, p->tokens[end - 1].end - from->start) : NULL;
}

static bool parse_view_clauses(struct parser *p, struct sql_statement *s)
{
    for (;;) {
        if (accept_word(p, "COMMENT")) {
            if (!parse_comment(p, &s->comment))
                return false;
        } else if (accept_word(p, "TBLPROPERTIES")) {
            if (!parse_properties(p, &s->properties, &s->n_properties))
                return false;
        } else if (at_word(p, 0, "DEFAULT") && at_word(p, 1, "COLLATION")) {
            return fail_unsupported(p, peek_token(p, 0), "DEFAULT COLLATION");
        } else if (accept_words(p, "WITH SCHEMA COMPENSATION") || accept_words(p, "WITH SCHEMA BINDING")) {
            continue; /* what views are */
        } else if (at_word(p, 0, "WITH") && (at_word(p, 1, "SCHEMA") || at_word(p, 1, "METRICS"))) {
            return fail_unsupported(p, peek_token(p, 0), "a view WITH SCHEMA EVOLUTION or WITH METRICS");
        } else {
            return p->failed == LC_OK;
        }
    }
}

static bool parse_create_view(struct parser *p, struct sql_statement *s)
{
    const struct token *t;

    s->kind = SQL_CREATE_VIEW;
    s->if_not_exists = accept_words(p, "IF NOT EXISTS");
    t = peek_token(p, 0);
    if (!parse_table_name(p, s, "a view"))
        return false;
    if (s->temporary && s->name.n > 1)
        return fail_at(p, t, "[INVALID_TEMP_OBJ_QUALIFIER] a temporary view has a name of one part");
    if (s->temporary && at_word(p, 0, "USING"))
        return fail_instead(p, peek_token(p, 0), "CREATE TEMP VIEW … USING",
                            "CREATE TEMP VIEW v AS SELECT * FROM csv.`/a/path`, or spark.read");
    if (at_sign(p, 0, "(") && !starts_query(p) && !parse_view_columns(p, s))
        return false;
    if (!parse_view_clauses(p, s) || !expect_word(p, "AS"))
        return false;
    s->text = parse_source(p, peek_token(p, 0));
    s->plan = parse_query(p);
    return s->plan != NULL;
}

static bool parse_create_volume(struct parser *p, struct sql_statement *s, bool external)
{
    s->kind = SQL_CREATE_VOLUME;
    s->if_not_exists = accept_words(p, "IF NOT EXISTS");
    if (!parse_table_name(p, s, "a volume"))
        return false;
    for (;;) {
        if (accept_word(p, "LOCATION")) {
            if ((s->location = parse_string(p, "a path in quotes")) == NULL)
                return false;
        } else if (accept_word(p, "COMMENT")) {
            if (!parse_comment(p, &s->comment))
                return false;
        } else {
            break;
        }
    }
    if (p->failed == LC_OK && external && !s->location)
        return fail_here(p, "LOCATION");
    if (p->failed == LC_OK && !external && s->location)
        return fail_at(p, peek_token(p, 0),
                       "a volume with a LOCATION is an external one: CREATE EXTERNAL VOLUME");
    return p->failed == LC_OK;
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

bool accept_schema_word(struct parser *p)
{
    return accept_word(p, "SCHEMA") || accept_word(p, "DATABASE") || accept_word(p, "NAMESPACE");
}

bool parse_create(struct parser *p, struct sql_statement *s)
{
    const struct token *t;
    bool external;

    s->replace = accept_words(p, "OR REPLACE");
    s->global = accept_word(p, "GLOBAL");
    s->temporary = accept_word(p, "TEMP") || accept_word(p, "TEMPORARY");
    if (s->global && !s->temporary)
        return fail_here(p, "TEMPORARY");
    external = accept_word(p, "EXTERNAL");
    t = peek_token(p, 0);
    if (!external && accept_word(p, "VIEW"))
        return parse_create_view(p, s);
    if (!s->temporary && accept_word(p, "TABLE"))
        return parse_create_table(p, s);
    if (!s->temporary && !s->replace && accept_word(p, "VOLUME"))
        return parse_create_volume(p, s, external);
    s->kind = SQL_CREATE_CATALOG;
    if (!s->temporary && !s->replace && accept_word(p, "CATALOG"))
        return parse_create_space(p, s);
    s->kind = SQL_CREATE_SCHEMA;
    if (!s->temporary && !s->replace && accept_schema_word(p))
        return parse_create_space(p, s);
    if (at_word(p, 0, "FUNCTION"))
        return fail_instead(p, t, "CREATE FUNCTION", "spark.udf:register(name, function)");
    if (at_word(p, 0, "MATERIALIZED") || at_word(p, 0, "STREAMING"))
        return fail_instead(p, t, "a materialized view or streaming table",
                            "CREATE OR REPLACE TABLE … AS SELECT");
    return fail_here(p, s->temporary ? "VIEW" : "CATALOG, SCHEMA, TABLE, VIEW or VOLUME");
}

/* ---- DROP ---- */
bool parse_drop(struct parser *p, struct sql_statement *s)
{
    static const struct {
        const char *word, *what;
        enum sql_kind kind;
    } kinds[] = {
        {"TABLE", "a table", SQL_DROP_TABLE},       {"VIEW", "a view", SQL_DROP_VIEW},
        {"CATALOG", "a catalog", SQL_DROP_CATALOG}, {"SCHEMA", "a schema", SQL_DROP_SCHEMA},
        {"DATABASE", "a schema", SQL_DROP_SCHEMA},  {"NAMESPACE", "a schema", SQL_DROP_SCHEMA},
        {"VOLUME", "a volume", SQL_DROP_VOLUME},
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
    if (at_word(p, 0, "FUNCTION"))
        return fail_unsupported(p, peek_token(p, 0), "DROP FUNCTION");
    return fail_here(p, "CATALOG, SCHEMA, TABLE, VIEW or VOLUME");
}
