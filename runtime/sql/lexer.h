/* lexer.h: the words of Spark SQL (private to runtime/sql).
 *
 * What      turns a text into tokens: words, `quoted names`, 'strings' and "strings" with their escapes,
 *           numbers with their suffixes, signs, :parameters. Comments and hints are skipped. Signs that Spark
 *           writes together (<=>, ->, ::, …) are one token, but < and > are never joined with each other:
 *           type arguments nest.
 * Ownership tokens and their texts live in the arena.
 * Units     byte offsets.
 * Errors    LC_SYNTAX with the position (an unclosed string, a sign that SQL does not have); LC_LIMIT.
 * Threads   any.
 *
 * Example:
 *     struct token *tokens;
 *     size_t n;
 *     if (sql_lex(arena, "SELECT 1", 8, &tokens, &n, &err) == LC_OK)
 *         printf("%zu tokens\n", n);
 */
#ifndef LACUS_SQL_LEXER_H
#define LACUS_SQL_LEXER_H
#include "runtime/base/err.h"
#include <stddef.h>

struct arena;

enum token_kind {
    TOKEN_END,
    TOKEN_WORD,   /* text: as written */
    TOKEN_NAME,   /* `name`; text: without the backticks */
    TOKEN_STRING, /* text: with escapes resolved */
    TOKEN_BINARY, /* X'1F': text: the bytes */
    TOKEN_INTEGER,
    TOKEN_DECIMAL,   /* 1.5, .5, 1BD */
    TOKEN_DOUBLE,    /* 1e3, 1D, 1F: suffix says which */
    TOKEN_PARAMETER, /* :name */
    TOKEN_SIGN
};

struct token {
    enum token_kind kind;
    char suffix;       /* of a number: L S Y D F or 0 */
    bool spaced;       /* something stood between it and the token before */
    const char *text;  /* NUL-terminated */
    size_t len;        /* of text */
    size_t start, end; /* in the source */
};

enum { SQL_TEXT_MAX = 16 << 20 };

/* n counts the tokens before the last one, which is a TOKEN_END. */
enum lc sql_lex(struct arena *a, const char *text, size_t len, struct token **out, size_t *n,
                struct err *err) MUST_CHECK;
#endif
