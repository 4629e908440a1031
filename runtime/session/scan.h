/* scan.h: the tokens of a Lua 5.4 text, and where its outermost statements end.
 *
 * What      a lexer that never fails, and a walker over the statements of a chunk. It need be right only on
 *           text that compiles; on any other text it may answer anything, but it stops, reads no byte outside
 *           the text and allocates nothing. Outermost statements are walked by their grammar; inner blocks
 *           and brackets are skipped by counting, which is enough because they balance in text that compiles.
 * Ownership points into the text, which must outlive it. A struct scan may be copied to remember a place.
 * Units     bytes.
 * Errors    none.
 * Threads   any.
 *
 * Example:
 *     struct scan x = scan_begin("local a = 1 print(a)", 20);
 *     bool bare;
 *     scan_statement(&x, &bare);
 */
#ifndef LACUS_SESSION_SCAN_H
#define LACUS_SESSION_SCAN_H
#include <stdbool.h>
#include <stddef.h>

enum scan_kind { SCAN_END, SCAN_NAME, SCAN_KEYWORD, SCAN_STRING, SCAN_NUMBER, SCAN_OPERATOR };

enum {
    SCAN_UNARY = 1,
    SCAN_BINARY = 2,
    SCAN_OPENS_BLOCK = 4,  /* function do if repeat */
    SCAN_CLOSES_BLOCK = 8, /* end until */
    SCAN_OPENS = 16,       /* ( [ { */
    SCAN_CLOSES = 32,
    SCAN_VALUE = 64,    /* nil true false ... */
    SCAN_SELECTS = 128, /* . : */
};

struct scan {
    const char *next, *end; /* the text not read yet */
    const char *at;         /* the current token */
    size_t len;
    const char *prev_end; /* end of the token before it: where a statement ends */
    enum scan_kind kind;
    unsigned traits; /* SCAN_… of a keyword or operator */
    bool field;      /* it follows '.' or ':', so it is no variable */
    bool open;       /* a string or long comment that the text's end cut off */
};

struct scan scan_begin(const char *text, size_t len); /* at the first token */
void scan_next(struct scan *x);
bool scan_is(const struct scan *x, const char *word); /* a keyword or operator, by its text */
/* Over one statement; false when the text is not understood. *bare: it is an expression and nothing else. */
bool scan_statement(struct scan *x, bool *bare);

/* The names of a `local` statement. `attribute` is 0, '=' for <const>, '<' for <close>. */
typedef void scan_name_fn(void *arg, const char *name, size_t len, char attribute);
/* At `local`: calls fn for each name; ends after the names, before '=' or the function's body. */
bool scan_local(struct scan *x, scan_name_fn *fn, void *arg);

/* The '\n' after p, when only blanks and comments are before it; NULL when a token or the end comes first. */
const char *scan_line_break(const char *p, const char *end);

/* How many blocks and brackets are open at the end of the text (for indentation). */
int scan_depth(const char *text, size_t len);
#endif
