/* parser.h: what the files of the parser share (private to runtime/sql).
 *
 * What      a cursor over tokens with one sticky failure: after the first one every function returns NULL or
 *           false, and the constructors of plans and expressions release what they were given, so calls nest
 *           without checks. A list that failed ends with a NULL for the same reason.
 * Ownership expressions and plans that a function returns are the caller's references.
 * Errors    in p->err.
 * Threads   one.
 *
 * Example:
 *     struct expr *e = parse_expr(p);
 *     if (!accept_sign(p, ","))
 *         expect_word(p, "FROM");
 */
#ifndef LACUS_SQL_PARSER_H
#define LACUS_SQL_PARSER_H
#include "runtime/sql/lexer.h"
#include "runtime/sql/sql.h"

enum { PARSER_DEPTH = 200, PARSER_CHAIN = 1000 };

struct parser {
    struct arena *arena;
    const char *text;
    size_t len;
    const struct token *tokens;
    size_t n, at;
    enum lc failed; /* LC_OK until something fails */
    struct err *err;
    int depth;
    size_t select_start; /* token after the SELECT that is being read: where WINDOW is looked for */
    const struct sql_parameter *parameters;
    size_t n_parameters, next_parameter;
    const char **lambda; /* parameters of the lambdas around here; in the arena */
    size_t n_lambda;
};

struct expr_list {
    struct expr **items; /* in the arena */
    size_t n, cap;
};
struct name_list {
    const char **items; /* in the arena */
    size_t n, cap;
};

/* ---- tokens ---- */
const struct token *peek_token(const struct parser *p, size_t ahead);
bool at_word(const struct parser *p, size_t ahead, const char *word);
bool at_sign(const struct parser *p, size_t ahead, const char *sign);
bool at_name(const struct parser *p, size_t ahead); /* a word or `name` */
bool accept_word(struct parser *p, const char *word);
bool accept_words(struct parser *p, const char *words); /* "IF NOT EXISTS": all of them or none */
bool accept_sign(struct parser *p, const char *sign);
bool expect_word(struct parser *p, const char *word);
bool expect_sign(struct parser *p, const char *sign);
bool is_hard_word(const struct token *t); /* never a name without backticks */
bool is_clause_word(
    const struct token *t); /* no alias without AS: hard words, and those that begin a clause */

/* ---- failures; they return false ---- */
bool fail_here(struct parser *p, const char *expected);
bool fail_at(struct parser *p, const struct token *t, const char *fmt, ...) PRINTF_LIKE(3, 4);
bool fail_text(struct parser *p, size_t at, const char *text);
bool fail_unsupported(struct parser *p, const struct token *t, const char *what);
bool fail_memory(struct parser *p);
bool enter(struct parser *p); /* a level deeper; leave it with p->depth-- also when this fails */
bool check_chain(struct parser *p, int n);

/* ---- names and lists ---- */
const char *parse_identifier(struct parser *p, const char *what);
bool parse_dotted(struct parser *p, struct name_list *out, const char *what);
/* IDENTIFIER('a.b'), IDENTIFIER(:name): the parts of the name that a constant says. */
bool at_identifier_clause(const struct parser *p);
bool parse_identifier_clause(struct parser *p, struct name_list *out);
bool parse_identifier_list(struct parser *p, struct name_list *out, const char *what); /* (a, b) */
const char *parse_string(struct parser *p, const char *what);
bool push_name(struct parser *p, struct name_list *l, const char *name);
bool push_expr(struct parser *p, struct expr_list *l, struct expr *e); /* e NULL: pushed, and false */
void drop_exprs(struct expr_list *l);

/* ---- the parts ---- */
struct expr *parse_expr(struct parser *p);
struct expr *parse_named_expr(struct parser *p); /* expr [AS] name */
bool parse_expr_list(struct parser *p, struct expr_list *l);
bool parse_sort_list(struct parser *p, struct expr_list *l);
const struct dtype *parse_type(struct parser *p);
struct expr *parse_literal(struct parser *p); /* the token here is a literal's */
struct expr *parse_number(struct parser *p, bool negative);
bool at_interval(const struct parser *p);
struct expr *parse_interval(struct parser *p);
const struct plan *parse_query(struct parser *p);
const struct plan *parse_relation_primary(struct parser *p); /* a table or a subquery, with its alias */
const struct plan *parse_pivot(struct parser *p,
                               const struct plan *input); /* PIVOT (…), UNPIVOT (…): takes input over */
const struct plan *parse_unpivot(struct parser *p, const struct plan *input);
/* ---- what the operators of a pipe share with a query; input is taken over ---- */
const struct plan *parse_pipes(struct parser *p, const struct plan *input); /* |> …, as often as there are */
const struct plan *parse_query_primary(struct parser *p);
const struct plan *parse_select_from(struct parser *p, const struct plan *input); /* behind SELECT */
const struct plan *parse_sample(struct parser *p, const struct plan *input); /* TABLESAMPLE, where it is */
const struct plan *parse_tail(struct parser *p, const struct plan *input);   /* ORDER BY, LIMIT, OFFSET */
const struct plan *parse_next_join(struct parser *p, const struct plan *left, bool *joined);
bool accept_set_op(struct parser *p, bool intersect, enum set_op *op);
bool starts_query(const struct parser *p); /* SELECT, WITH, VALUES, TABLE, or ( before one of them */

/* grouping.c */
struct sets { /* of groups: a bit for each that is in the set */
    uint32_t items[256];
    size_t n;
};

struct grouping {
    struct expr_list groups;
    enum group_kind kind;
    bool grouped;
    struct sets sets; /* of GROUP_SETS */
};
/* What stands behind GROUP BY; items: the select list, for ALL. */
bool parse_grouping(struct parser *p, const struct expr_list *items, struct grouping *out);
#endif
