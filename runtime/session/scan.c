#include "runtime/session/scan.h"
#include <string.h>

/* ---- tokens ---- */
struct word {
    char text[9];
    unsigned char len;
    unsigned char traits;
};

#define W(text, traits)                                                                                      \
    {                                                                                                        \
        text, sizeof text - 1, traits                                                                        \
    }
static const struct word keywords[] = {
    W("and", SCAN_BINARY),
    W("break", 0),
    W("do", SCAN_OPENS_BLOCK),
    W("else", 0),
    W("elseif", 0),
    W("end", SCAN_CLOSES_BLOCK),
    W("false", SCAN_VALUE),
    W("for", 0),
    W("function", SCAN_OPENS_BLOCK),
    W("goto", 0),
    W("if", SCAN_OPENS_BLOCK),
    W("in", 0),
    W("local", 0),
    W("nil", SCAN_VALUE),
    W("not", SCAN_UNARY),
    W("or", SCAN_BINARY),
    W("repeat", SCAN_OPENS_BLOCK),
    W("return", 0),
    W("then", 0),
    W("true", SCAN_VALUE),
    W("until", SCAN_CLOSES_BLOCK),
    W("while", 0),
};

/* longest first */
static const struct word operators[] = {
    W("...", SCAN_VALUE), W("..", SCAN_BINARY), W("==", SCAN_BINARY),
    W("~=", SCAN_BINARY), W("<=", SCAN_BINARY), W(">=", SCAN_BINARY),
    W("//", SCAN_BINARY), W("::", 0),           W("<<", SCAN_BINARY),
    W(">>", SCAN_BINARY), W("+", SCAN_BINARY),  W("-", SCAN_BINARY | SCAN_UNARY),
    W("*", SCAN_BINARY),  W("/", SCAN_BINARY),  W("^", SCAN_BINARY),
    W("%", SCAN_BINARY),  W("<", SCAN_BINARY),  W(">", SCAN_BINARY),
    W("&", SCAN_BINARY),  W("|", SCAN_BINARY),  W("~", SCAN_BINARY | SCAN_UNARY),
    W("#", SCAN_UNARY),   W("(", SCAN_OPENS),   W("[", SCAN_OPENS),
    W("{", SCAN_OPENS),   W(")", SCAN_CLOSES),  W("]", SCAN_CLOSES),
    W("}", SCAN_CLOSES),  W(".", SCAN_SELECTS), W(":", SCAN_SELECTS),
};
#undef W

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* At '[': the end of [=[ … ]=], or NULL if it is none. */
static const char *long_bracket(const char *p, const char *end, bool *open)
{
    const char *q = p + 1;
    size_t level;

    while (q < end && *q == '=')
        q++;
    level = (size_t)(q - p - 1);
    if (q == end || *q != '[')
        return NULL;
    for (q++; (size_t)(end - q) >= level + 2; q++)
        if (*q == ']' && q[level + 1] == ']' && memcmp(q + 1, p + 1, level) == 0)
            return q + level + 2;
    *open = true;
    return end;
}

static const char *skip_blanks(struct scan *x)
{
    const char *p = x->next, *end = x->end, *q;

    for (;;) {
        while (p < end && is_space(*p))
            p++;
        if (end - p < 2 || p[0] != '-' || p[1] != '-')
            return p;
        q = end - p > 2 && p[2] == '[' ? long_bracket(p + 2, end, &x->open) : NULL;
        if (!q)
            q = memchr(p, '\n', (size_t)(end - p));
        p = q ? q : end;
    }
}

const char *scan_line_break(const char *p, const char *end)
{
    bool open;

    for (;;) {
        const char *q;

        while (p < end && *p != '\n' && is_space(*p))
            p++;
        if (p == end)
            return NULL;
        if (*p == '\n')
            return p;
        if (end - p < 2 || p[0] != '-' || p[1] != '-')
            return NULL;
        q = end - p > 2 && p[2] == '[' ? long_bracket(p + 2, end, &open) : NULL;
        if (!q)
            return memchr(p, '\n', (size_t)(end - p));
        p = q;
    }
}

static const char *lex_number(const char *p, const char *end)
{
    char exponent = *p == '0' && end - p > 1 && (p[1] | 32) == 'x' ? 'p' : 'e';

    for (; p < end && (is_alnum(*p) || *p == '.'); p++)
        if ((*p | 32) == exponent && end - p > 1 && (p[1] == '+' || p[1] == '-'))
            p++;
    return p;
}

static const char *lex_string(struct scan *x, const char *p)
{
    char quote = *p;

    for (p++; p < x->end && *p != quote && *p != '\n'; p++) {
        if (*p != '\\' || x->end - p < 2)
            continue;
        p++;
        if (*p == 'z') /* skips blanks, new lines too */
            while (x->end - p > 1 && is_space(p[1]))
                p++;
    }
    if (p < x->end && *p == quote)
        return p + 1;
    x->open = p == x->end;
    return p;
}

static const struct word *find_word(const struct word *list, size_t n, const char *p, size_t len)
{
    for (size_t i = 0; i < n; i++)
        if (list[i].len == len && memcmp(list[i].text, p, len) == 0)
            return &list[i];
    return NULL;
}

static const char *lex_name(struct scan *x, const char *p)
{
    const struct word *word;

    while (p < x->end && is_alnum(*p))
        p++;
    word = find_word(keywords, sizeof keywords / sizeof *keywords, x->at, (size_t)(p - x->at));
    x->kind = word ? SCAN_KEYWORD : SCAN_NAME;
    x->traits = word ? word->traits : 0;
    return p;
}

static const char *lex_operator(struct scan *x, const char *p)
{
    x->kind = SCAN_OPERATOR;
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        const struct word *op = &operators[i];
        if ((size_t)(x->end - p) >= op->len && memcmp(p, op->text, op->len) == 0) {
            x->traits = op->traits;
            return p + op->len;
        }
    }
    return p + 1;
}

void scan_next(struct scan *x)
{
    const char *p, *q;
    bool open = false;

    x->prev_end = x->next;
    x->field = x->kind == SCAN_OPERATOR && (x->traits & SCAN_SELECTS);
    x->open = false;
    p = skip_blanks(x);
    x->at = p;
    x->traits = 0;
    if (p == x->end) {
        x->kind = SCAN_END;
    } else if (is_digit(*p) || (*p == '.' && x->end - p > 1 && is_digit(p[1]))) {
        x->kind = SCAN_NUMBER;
        p = lex_number(p, x->end);
    } else if (is_alnum(*p)) {
        p = lex_name(x, p);
    } else if (*p == '"' || *p == '\'') {
        x->kind = SCAN_STRING;
        p = lex_string(x, p);
    } else if (*p == '[' && (q = long_bracket(p, x->end, &open)) != NULL) {
        x->kind = SCAN_STRING;
        x->open = open;
        p = q;
    } else {
        p = lex_operator(x, p);
    }
    x->len = (size_t)(p - x->at);
    x->next = p;
}

struct scan scan_begin(const char *text, size_t len)
{
    struct scan x = {.next = text, .end = text + len, .at = text, .prev_end = text};

    scan_next(&x);
    return x;
}

bool scan_is(const struct scan *x, const char *word)
{
    return (x->kind == SCAN_KEYWORD || x->kind == SCAN_OPERATOR) && strlen(word) == x->len &&
           memcmp(x->at, word, x->len) == 0;
}

/* ---- statements ---- */

/* At the word that opens a block; leaves past the matching end or until. */
static bool block(struct scan *x)
{
    int depth = 0;

    do {
        depth += ((x->traits & SCAN_OPENS_BLOCK) != 0) - ((x->traits & SCAN_CLOSES_BLOCK) != 0);
        scan_next(x);
    } while (x->kind && depth > 0);
    return depth == 0;
}

static bool brackets(struct scan *x)
{
    int depth = 0;

    do {
        depth += ((x->traits & SCAN_OPENS) != 0) - ((x->traits & SCAN_CLOSES) != 0);
        scan_next(x);
    } while (x->kind && depth > 0);
    return depth == 0;
}

static bool suffixes(struct scan *x)
{
    if (scan_is(x, "("))
        brackets(x);
    else
        scan_next(x);
    for (;;) {
        if (x->traits & SCAN_SELECTS) {
            scan_next(x);
            scan_next(x);
        } else if (x->traits & SCAN_OPENS) {
            brackets(x);
        } else if (x->kind == SCAN_STRING) {
            scan_next(x);
        } else {
            return true;
        }
    }
}

static bool operand(struct scan *x)
{
    if (scan_is(x, "function"))
        return block(x);
    if (scan_is(x, "{"))
        return brackets(x);
    if (x->kind == SCAN_NAME || scan_is(x, "(")) /* only these: `x = {}` newline `(f)()` is two statements */
        return suffixes(x);
    if (x->kind != SCAN_STRING && x->kind != SCAN_NUMBER && !(x->traits & SCAN_VALUE))
        return false;
    scan_next(x);
    return true;
}

static bool expressions(struct scan *x) /* e, e, … */
{
    for (;; scan_next(x)) { /* over a binary operator or a comma */
        while (x->traits & SCAN_UNARY)
            scan_next(x);
        if (!operand(x))
            return false;
        if (!(x->traits & SCAN_BINARY) && !scan_is(x, ","))
            return true;
    }
}

bool scan_local(struct scan *x, scan_name_fn *fn, void *arg)
{
    bool function;

    scan_next(x);
    function = scan_is(x, "function");
    if (function)
        scan_next(x);
    for (;; scan_next(x)) { /* over the comma */
        struct scan name = *x;
        char attribute = 0;

        if (x->kind != SCAN_NAME)
            return false;
        scan_next(x);
        if (!function && scan_is(x, "<")) {
            scan_next(x);
            attribute = x->len == 5 && memcmp(x->at, "close", 5) == 0 ? '<' : '=';
            scan_next(x);
            scan_next(x);
        }
        if (fn)
            fn(arg, name.at, name.len, attribute);
        if (!scan_is(x, ","))
            return true;
    }
}

static bool local_statement(struct scan *x)
{
    struct scan start = *x;

    if (!scan_local(x, NULL, NULL))
        return false;
    if (scan_is(x, "(")) { /* local function f( */
        *x = start;
        scan_next(x);
        return block(x);
    }
    if (!scan_is(x, "="))
        return true;
    scan_next(x);
    return expressions(x);
}

static bool loop_statement(struct scan *x) /* while, for */
{
    if (scan_is(x, "for"))
        while (x->kind && !scan_is(x, "=") && !scan_is(x, "in"))
            scan_next(x);
    scan_next(x);
    return expressions(x) && scan_is(x, "do") && block(x);
}

static bool return_statement(struct scan *x)
{
    scan_next(x);
    return !x->kind || scan_is(x, ";") || expressions(x);
}

static bool label_statement(struct scan *x)
{
    scan_next(x);
    scan_next(x);
    if (!scan_is(x, "::"))
        return false;
    scan_next(x);
    return true;
}

bool scan_statement(struct scan *x, bool *bare)
{
    *bare = false;
    if (scan_is(x, "local"))
        return local_statement(x);
    if (scan_is(x, "do") || scan_is(x, "if") || scan_is(x, "function"))
        return block(x);
    if (scan_is(x, "repeat"))
        return block(x) && expressions(x);
    if (scan_is(x, "while") || scan_is(x, "for"))
        return loop_statement(x);
    if (scan_is(x, "return"))
        return return_statement(x);
    if (scan_is(x, "::"))
        return label_statement(x);
    if (scan_is(x, ";") || scan_is(x, "break"))
        return scan_next(x), true;
    if (scan_is(x, "goto"))
        return scan_next(x), scan_next(x), true;
    if (!expressions(x))
        return false;
    if (!scan_is(x, "="))
        return *bare = true, true;
    scan_next(x);
    return expressions(x);
}

int scan_depth(const char *text, size_t len)
{
    int depth = 0;

    for (struct scan x = scan_begin(text, len); x.kind; scan_next(&x)) {
        if (x.traits & (SCAN_OPENS_BLOCK | SCAN_OPENS))
            depth++;
        else if (x.traits & (SCAN_CLOSES_BLOCK | SCAN_CLOSES))
            depth -= depth > 0;
    }
    return depth;
}
