#include "runtime/sql/lexer.h"
#include "runtime/base/buf.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

struct lexer {
    struct arena *arena;
    const char *text;
    size_t len, at;
    struct token *tokens; /* in the arena; grown by doubling */
    size_t n, cap;
    struct err *err;
};

static enum lc fail(struct lexer *l, size_t at, const char *what)
{
    err_set(l->err, LC_SYNTAX, "%s", what);
    err_at(l->err, (int64_t)at);
    return LC_SYNTAX;
}

static int peek(const struct lexer *l, size_t ahead)
{
    return l->at + ahead < l->len ? (unsigned char)l->text[l->at + ahead] : 0;
}

static bool is_word_start(int c)
{
    return isalpha(c) || c == '_' || c >= 0x80;
}

static bool is_word(int c)
{
    return is_word_start(c) || isdigit(c);
}

static enum lc push(struct lexer *l, enum token_kind kind, size_t start, const char *text, size_t len,
                    char suffix)
{
    struct token *t;
    char *copy;

    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 64;
        struct token *more = arena_alloc(l->arena, cap * sizeof *more);
        if (!more)
            return err_nomem(l->err);
        if (l->n)
            memcpy(more, l->tokens, l->n * sizeof *more);
        l->tokens = more;
        l->cap = cap;
    }
    t = &l->tokens[l->n];
    *t = (struct token){.kind = kind, .suffix = suffix, .len = len, .start = start, .end = l->at};
    copy = arena_alloc(l->arena, len + 1); /* a string may have NULs in it */
    if (!copy)
        return err_nomem(l->err);
    memcpy(copy, text, len);
    copy[len] = '\0';
    t->text = copy;
    t->spaced = l->n == 0 || l->tokens[l->n - 1].end != start;
    l->n++;
    return LC_OK;
}

/* ---- comments ---- */
static enum lc skip_block(struct lexer *l)
{
    size_t start = l->at;
    int depth = 0;

    do { /* they nest in Spark */
        if (l->at >= l->len)
            return fail(l, start, "the comment that starts here is not closed with */");
        if (peek(l, 0) == '/' && peek(l, 1) == '*') {
            depth++;
            l->at += 2;
        } else if (peek(l, 0) == '*' && peek(l, 1) == '/') {
            depth--;
            l->at += 2;
        } else {
            l->at++;
        }
    } while (depth > 0);
    return LC_OK;
}

static enum lc skip_space(struct lexer *l)
{
    while (l->at < l->len) {
        int c = peek(l, 0);
        if (isspace(c)) {
            l->at++;
        } else if (c == '-' && peek(l, 1) == '-') {
            while (l->at < l->len && l->text[l->at] != '\n')
                l->at++;
        } else if (c == '/' && peek(l, 1) == '*') {
            TRY(skip_block(l));
        } else {
            return LC_OK;
        }
    }
    return LC_OK;
}

/* ---- strings ---- */
static int hex_digit(int c)
{
    if (isdigit(c))
        return c - '0';
    c = tolower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* \u00e9 and \U0001f319: source bytes taken, 0 when the digits are not there. */
static size_t unicode_escape(const struct lexer *l, size_t digits, struct buf *out)
{
    uint32_t code = 0;
    char bytes[4];
    size_t n;

    for (size_t i = 0; i < digits; i++) {
        int d = hex_digit(peek(l, 2 + i));
        if (d < 0)
            return 0;
        code = code * 16 + (uint32_t)d;
    }
    n = utf8_encode(code, bytes);
    buf_add(out, bytes, n);
    return n ? 2 + digits : 0;
}

static bool is_octal(int c)
{
    return c >= '0' && c <= '7';
}

/* Spark's escapes; \% and \_ keep their backslash, because LIKE wants it. Returns the source bytes taken. */
static size_t escape(const struct lexer *l, struct buf *out)
{
    static const char from[] = "0bnrtZ'\"\\";
    static const char to[] = "\0\b\n\r\t\x1a'\"\\";
    int c = peek(l, 1);
    const char *at;
    size_t n;

    if ((c == '0' || c == '1') && is_octal(peek(l, 2)) && is_octal(peek(l, 3))) {
        buf_putc(out, (char)((c - '0') * 64 + (peek(l, 2) - '0') * 8 + (peek(l, 3) - '0')));
        return 4;
    }
    if ((c == 'u' && (n = unicode_escape(l, 4, out)) > 0) ||
        (c == 'U' && (n = unicode_escape(l, 8, out)) > 0))
        return n;
    if (c == 0)
        return 1;
    if ((at = strchr(from, c)) != NULL) {
        buf_putc(out, to[at - from]);
        return 2;
    }
    if (c == '%' || c == '_')
        buf_putc(out, '\\');
    buf_putc(out, (char)c);
    return 2;
}

/* The contents of a string up to its closing quote; a doubled quote is one of them. */
static enum lc read_quoted(struct lexer *l, char quote, bool raw, struct buf *out)
{
    size_t start = l->at++;

    while (l->at < l->len) {
        if (l->text[l->at] == quote) {
            l->at++;
            if (raw || peek(l, 0) != quote)
                return buf_check(out, l->err);
            buf_putc(out, quote);
            l->at++;
        } else if (l->text[l->at] == '\\' && !raw) {
            l->at += escape(l, out);
        } else {
            buf_putc(out, l->text[l->at++]);
        }
    }
    return fail(l, start, "the string that starts here is not closed");
}

static enum lc lex_string(struct lexer *l, bool raw)
{
    struct buf out = BUF_INIT(SQL_TEXT_MAX);
    size_t start = l->at;
    enum lc rc;

    l->at += raw; /* the r */
    rc = read_quoted(l, l->text[l->at], raw, &out);
    if (rc == LC_OK)
        rc = push(l, TOKEN_STRING, start, buf_str(&out), out.len, 0);
    buf_release(&out);
    return rc;
}

static enum lc lex_binary(struct lexer *l)
{
    struct buf digits = BUF_INIT(SQL_TEXT_MAX), bytes = BUF_INIT(SQL_TEXT_MAX);
    size_t start = l->at++;
    enum lc rc = read_quoted(l, l->text[l->at], true, &digits);

    if (rc == LC_OK && digits.len % 2 == 1)
        rc = fail(l, start, "X'…' takes an even number of hexadecimal digits");
    for (size_t i = 0; rc == LC_OK && i < digits.len; i += 2) {
        int high = hex_digit((unsigned char)digits.data[i]),
            low = hex_digit((unsigned char)digits.data[i + 1]);
        if (high < 0 || low < 0)
            rc = fail(l, start, "X'…' takes hexadecimal digits");
        else
            buf_putc(&bytes, (char)(high * 16 + low));
    }
    if (rc == LC_OK)
        rc = push(l, TOKEN_BINARY, start, buf_str(&bytes), bytes.len, 0);
    buf_release(&digits);
    buf_release(&bytes);
    return rc;
}

static enum lc read_name(struct lexer *l, struct buf *out)
{
    size_t start = l->at++;

    for (;;) {
        if (l->at >= l->len)
            return fail(l, start, "the name that starts here is not closed with `");
        if (l->text[l->at] == '`' && peek(l, 1) != '`')
            break;
        l->at += l->text[l->at] == '`';
        buf_putc(out, l->text[l->at++]);
    }
    l->at++;
    TRY(buf_check(out, l->err));
    if (out->len == 0 || memchr(out->data, 0, out->len))
        return fail(l, start, "a name cannot be empty");
    return push(l, TOKEN_NAME, start, out->data, out->len, 0);
}

static enum lc lex_name(struct lexer *l)
{
    struct buf out = BUF_INIT(SQL_TEXT_MAX);
    enum lc rc = read_name(l, &out);

    buf_release(&out);
    return rc;
}

/* ---- numbers ---- */
/* A suffix counts only when the word ends with it: 1L, 2BD, but not 1st. */
static char number_suffix(struct lexer *l, bool *decimal)
{
    int c = toupper(peek(l, 0));

    if (c == 'B' && toupper(peek(l, 1)) == 'D' && !is_word(peek(l, 2))) {
        l->at += 2;
        *decimal = true;
        return 0;
    }
    if (c == 0 || !strchr("LSYDF", c) || is_word(peek(l, 1)))
        return 0;
    l->at++;
    return (char)c;
}

static bool skip_exponent(struct lexer *l)
{
    size_t sign = peek(l, 1) == '+' || peek(l, 1) == '-';

    if (toupper(peek(l, 0)) != 'E' || !isdigit(peek(l, 1 + sign)))
        return false;
    for (l->at += 1 + sign; isdigit(peek(l, 0));)
        l->at++;
    return true;
}

static enum lc lex_number(struct lexer *l)
{
    size_t start = l->at, end;
    bool point = false, exponent, decimal = false;
    enum token_kind kind = TOKEN_INTEGER;
    char suffix;

    while (isdigit(peek(l, 0)))
        l->at++;
    if (peek(l, 0) == '.' && !is_word_start(peek(l, 1))) {
        point = true;
        for (l->at++; isdigit(peek(l, 0));)
            l->at++;
    }
    exponent = skip_exponent(l);
    end = l->at;
    suffix = number_suffix(l, &decimal);
    if (is_word(peek(l, 0)) && end == l->at && !point && !exponent) { /* 1st: a word, as in Spark */
        while (is_word(peek(l, 0)))
            l->at++;
        return push(l, TOKEN_WORD, start, l->text + start, l->at - start, 0);
    }
    if (suffix == 'D' || suffix == 'F' || (exponent && !decimal))
        kind = TOKEN_DOUBLE;
    else if (point || decimal)
        kind = TOKEN_DECIMAL;
    return push(l, kind, start, l->text + start, end - start, suffix);
}

/* ---- the rest ---- */
static enum lc lex_word(struct lexer *l)
{
    size_t start = l->at;

    while (is_word(peek(l, 0)))
        l->at++;
    if (!utf8_valid(l->text + start, l->at - start))
        return fail(l, start, "this is not UTF-8 text");
    return push(l, TOKEN_WORD, start, l->text + start, l->at - start, 0);
}

static enum lc lex_sign(struct lexer *l)
{
    static const char *const signs[] = {
        "<=>", "<=", ">=", "<>", "!=", "==", "||", "|>", "->", "=>", "::", "(", ")", "[", "]", ",", ";",
        "+",   "-",  "*",  "/",  "%",  "<",  ">",  "=",  "!",  "~",  "&",  "|", "^", ".", "?", ":"};
    size_t start = l->at;
    char what[64];

    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        size_t n = strlen(signs[i]);
        if (l->len - l->at >= n && memcmp(l->text + l->at, signs[i], n) == 0) {
            l->at += n;
            return push(l, TOKEN_SIGN, start, signs[i], n, 0);
        }
    }
    if (peek(l, 0) == '@' && l->at > 0 && (is_word(l->text[l->at - 1]) || l->text[l->at - 1] == '`') &&
        (isdigit(peek(l, 1)) || (tolower(peek(l, 1)) == 'v' && isdigit(peek(l, 2))))) { /* t@v3 */
        l->at++;
        return push(l, TOKEN_SIGN, start, "@", 1, 0);
    }
    if (isprint(peek(l, 0)))
        snprintf(what, sizeof what, "SQL has no '%c'", peek(l, 0));
    else
        snprintf(what, sizeof what, "SQL has no byte 0x%02x", (unsigned)peek(l, 0));
    return fail(l, start, what);
}

static enum lc lex_parameter(struct lexer *l)
{
    size_t start = l->at++;

    while (is_word(peek(l, 0)))
        l->at++;
    return push(l, TOKEN_PARAMETER, start, l->text + start + 1, l->at - start - 1, 0);
}

static enum lc lex_one(struct lexer *l)
{
    int c = peek(l, 0), next = peek(l, 1);
    bool quoted = next == '\'' || next == '"';
    bool touches = l->n > 0 && l->tokens[l->n - 1].end == l->at; /* a.1 is no a followed by .1 */

    if (c == '\'' || c == '"')
        return lex_string(l, false);
    if ((c == 'r' || c == 'R') && quoted)
        return lex_string(l, true);
    if ((c == 'x' || c == 'X') && quoted)
        return lex_binary(l);
    if (c == '`')
        return lex_name(l);
    if (isdigit(c) || (c == '.' && isdigit(next) && !touches))
        return lex_number(l);
    if (is_word_start(c))
        return lex_word(l);
    if (c == ':' && is_word_start(next))
        return lex_parameter(l);
    return lex_sign(l);
}

enum lc sql_lex(struct arena *a, const char *text, size_t len, struct token **out, size_t *n, struct err *err)
{
    struct lexer l = {.arena = a, .text = text, .len = len, .err = err};

    if (len > SQL_TEXT_MAX)
        return err_set(err, LC_LIMIT, "the SQL text is longer than %d bytes", SQL_TEXT_MAX);
    for (;;) {
        TRY(skip_space(&l));
        if (l.at >= l.len)
            break;
        TRY(lex_one(&l));
    }
    TRY(push(&l, TOKEN_END, len, "", 0, 0));
    *out = l.tokens;
    *n = l.n - 1;
    return LC_OK;
}
