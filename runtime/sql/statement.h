/* statement.h: what the files of the statements share (private to runtime/sql).
 *
 * What      one function per statement, called behind its first word, and the parts that several of them have.
 * Ownership texts lie in the parser's arena; plans, types and expressions become the statement's.
 * Errors    in p->err; each function returns false after a failure.
 * Threads   one.
 *
 * Example:
 *     struct sql_statement s = {0};
 *     if (!parse_drop(p, &s))
 *         puts(p->err->message);
 */
#ifndef LACUS_SQL_STATEMENT_H
#define LACUS_SQL_STATEMENT_H
#include "runtime/sql/parser.h"

/* ---- parts ---- */
struct sql_names names_of(const struct name_list *l);
bool parse_table_name(struct parser *p, struct sql_statement *s, const char *what);
/* ('key' = 'value', key.part = 1, 'key' 'value') */
bool parse_properties(struct parser *p, struct sql_property **out, size_t *n);
bool parse_comment(struct parser *p, const char **out);
bool accept_schema_word(struct parser *p); /* SCHEMA, DATABASE, NAMESPACE */
/* PARTITION (a = 1, b): what the tokens say; NULL for a column without a value, "" for NULL. */
bool parse_partition(struct parser *p, struct sql_statement *s);
/* LC_UNSUPPORTED, with what to do instead. */
bool fail_instead(struct parser *p, const struct token *t, const char *what, const char *instead);
/* The text from a token up to the end of the statement. */
const char *parse_source(struct parser *p, const struct token *from);

/* ---- statements ---- */
bool parse_create(struct parser *p, struct sql_statement *s);
bool parse_drop(struct parser *p, struct sql_statement *s);
bool parse_alter(struct parser *p, struct sql_statement *s);
bool parse_comment_on(struct parser *p, struct sql_statement *s);
bool parse_insert(struct parser *p, struct sql_statement *s);
bool parse_delete(struct parser *p, struct sql_statement *s);
bool parse_update(struct parser *p, struct sql_statement *s);
bool parse_merge(struct parser *p, struct sql_statement *s);
bool parse_truncate(struct parser *p, struct sql_statement *s);
bool parse_use(struct parser *p, struct sql_statement *s);
bool parse_show(struct parser *p, struct sql_statement *s);
bool parse_describe(struct parser *p, struct sql_statement *s);
bool parse_explain(struct parser *p, struct sql_statement *s);
bool parse_set(struct parser *p, struct sql_statement *s);
bool parse_reset(struct parser *p, struct sql_statement *s);
bool parse_list(struct parser *p, struct sql_statement *s);
bool parse_cache(struct parser *p, struct sql_statement *s);
bool parse_uncache(struct parser *p, struct sql_statement *s);
bool parse_refresh(struct parser *p, struct sql_statement *s);
#endif
