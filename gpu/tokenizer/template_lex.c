/* template_lex.c: a template as tokens, with Jinja's whitespace rules (trim_blocks and lstrip_blocks on). */
#include "gpu/tokenizer/template_int.h"
#include "runtime/base/utf8.h"
#include <ctype.h>
#include <string.h>

enum { TOKENS_MAX = 1000000 };

static bool put(struct render *r, enum token_kind_t kind, const char *s, size_t n, size_t at)
{
    if (r->n_tokens == r->cap_tokens) {
        size_t cap = r->cap_tokens ? r->cap_tokens * 2 : 256;
        struct token *more;
        if (cap > TOKENS_MAX)
            return render_fail(r, LC_LIMIT, at, "the template is too long");
        if ((more = render_alloc(r, cap * sizeof *more)) == NULL)
            return false;
        if (r->n_tokens)
            memcpy(more, r->tokens, r->n_tokens * sizeof *more);
        r->tokens = more;
        r->cap_tokens = cap;
    }
    r->tokens[r->n_tokens++] = (struct token){kind, s, n, at};
    return true;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* ---- inside a tag ---- */
/* Python's escapes, as far as templates use them; an unknown one keeps its backslash. */
static size_t escape(const char *s, size_t n, char *out, size_t *used)
{
    static const char from[] = "ntr\\'\"abfv0", to[] = "\n\t\r\\'\"\a\b\f\v";
    const char *simple = memchr(from, s[1], sizeof from - 1);
    size_t digits = s[1] == 'x' ? 2 : s[1] == 'u' ? 4 : s[1] == 'U' ? 8 : 0, len;
    uint32_t code = 0;

    *used = 2;
    if (simple && s[1]) {
        *out = to[simple - from];
        return 1;
    }
    if (s[1] == '\n')
        return 0;
    if (digits && n >= 2 + digits) {
        for (size_t i = 0; i < digits; i++) {
            int c = tolower((unsigned char)s[2 + i]);
            if (!isxdigit(c))
                break;
            code = code * 16 + (uint32_t)(c <= '9' ? c - '0' : c - 'a' + 10);
            if (i + 1 == digits && (len = utf8_encode(code, out)) > 0) {
                *used = 2 + digits;
                return len;
            }
        }
    }
    out[0] = s[0];
    out[1] = s[1];
    return 2;
}

static bool lex_string(struct render *r, size_t *pos)
{
    size_t start = *pos, at = start + 1, n = 0;
    char quote = r->text[start], *out = NULL;

    while (at < r->len && r->text[at] != quote)
        at += r->text[at] == '\\' ? 2 : 1;
    if (at >= r->len)
        return render_fail(r, LC_SYNTAX, start, "a string is not closed");
    if ((out = render_alloc(r, at - start + 1)) == NULL)
        return false;
    for (size_t i = start + 1, used; i < at; i += used) {
        used = 1;
        if (r->text[i] == '\\')
            n += escape(r->text + i, at - i, out + n, &used);
        else
            out[n++] = r->text[i];
    }
    *pos = at + 1;
    return put(r, T_STRING, out, n, start);
}

static size_t operator_len(const char *s, size_t n)
{
    static const char *const two[] = {"==", "!=", "<=", ">=", "//", "**"};

    for (size_t i = 0; n >= 2 && i < sizeof two / sizeof *two; i++)
        if (memcmp(s, two[i], 2) == 0)
            return 2;
    return strchr("+-/*%~[](){}<>=.:|,;", *s) && *s ? 1 : 0;
}

static bool lex_number(struct render *r, size_t *pos)
{
    size_t start = *pos, at = start;
    bool real = false;

    while (at < r->len && (isdigit((unsigned char)r->text[at]) || r->text[at] == '_'))
        at++;
    if (at + 1 < r->len && r->text[at] == '.' && isdigit((unsigned char)r->text[at + 1])) {
        real = true;
        for (at++; at < r->len && isdigit((unsigned char)r->text[at]);)
            at++;
    }
    if (at + 1 < r->len && (r->text[at] | 32) == 'e') {
        size_t exponent = at + 1 + (r->text[at + 1] == '-' || r->text[at + 1] == '+');
        if (exponent < r->len && isdigit((unsigned char)r->text[exponent])) {
            real = true;
            for (at = exponent; at < r->len && isdigit((unsigned char)r->text[at]);)
                at++;
        }
    }
    *pos = at;
    return put(r, real ? T_FLOAT : T_INT, r->text + start, at - start, start);
}

static bool name_char(char c)
{
    return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

static bool lex_token(struct render *r, size_t *pos)
{
    const char *s = r->text + *pos;
    size_t n = 0;

    if (*s == '"' || *s == '\'')
        return lex_string(r, pos);
    if (isdigit((unsigned char)*s))
        return lex_number(r, pos);
    if (name_char(*s)) {
        while (*pos + n < r->len && name_char(s[n]))
            n++;
        *pos += n;
        return put(r, T_NAME, s, n, *pos - n);
    }
    if ((n = operator_len(s, r->len - *pos)) == 0)
        return render_fail(r, LC_SYNTAX, *pos, "unexpected character '%c'", *s);
    *pos += n;
    return put(r, T_OP, s, n, *pos - n);
}

/* The tag's inside, up to its end; brackets count, so that "}}" of a dict does not end an expression. */
static bool lex_tag(struct render *r, size_t *pos, bool block)
{
    const char *end = block ? "%}" : "}}";
    int open = 0;
    size_t start = *pos;

    for (;;) {
        while (*pos < r->len && is_space(r->text[*pos]))
            ++*pos;
        if (*pos >= r->len)
            return render_fail(r, LC_SYNTAX, start, "a tag is not closed");
        if (*pos + 2 < r->len && (r->text[*pos] == '-' || r->text[*pos] == '+') &&
            memcmp(r->text + *pos + 1, end, 2) == 0)
            return true;
        if (open == 0 && *pos + 1 < r->len && memcmp(r->text + *pos, end, 2) == 0)
            return true;
        open += strchr("([{", r->text[*pos]) != NULL;
        open -= strchr(")]}", r->text[*pos]) != NULL && open > 0;
        if (!lex_token(r, pos))
            return false;
    }
}

/* ---- between tags ---- */
struct cursor {
    size_t pos;
    bool line_start; /* what was before ended a line */
    bool strip;      /* "-" at the end of the tag before */
};

static size_t find_tag(const struct render *r, size_t from)
{
    for (size_t i = from; i + 1 < r->len; i++)
        if (r->text[i] == '{' && strchr("{%#", r->text[i + 1]) && r->text[i + 1])
            return i;
    return r->len;
}

static bool put_data(struct render *r, struct cursor *c, size_t end, char tag, char sign)
{
    size_t start = c->pos, stop = end, line;

    if (sign == '-')
        while (stop > start && is_space(r->text[stop - 1]))
            stop--;
    else if (sign != '+' && (tag == '%' || tag == '#')) {
        for (line = stop; line > start && r->text[line - 1] != '\n';)
            line--;
        if (line > start || c->line_start) {
            size_t i = line;
            while (i < stop && is_space(r->text[i]))
                i++;
            if (i == stop)
                stop = line;
        }
    }
    return stop == start || put(r, T_DATA, r->text + start, stop - start, start);
}

/* Behind a tag: "-" takes all white space, a block or comment its one newline. */
static void after_tag(const struct render *r, struct cursor *c, bool strip, bool trim)
{
    c->line_start = false;
    if (strip) {
        while (c->pos < r->len && is_space(r->text[c->pos]))
            c->line_start = r->text[c->pos++] == '\n';
    } else if (trim && c->pos < r->len && r->text[c->pos] == '\n') {
        c->pos++;
        c->line_start = true;
    }
}

static bool lex_comment(struct render *r, struct cursor *c)
{
    const char *end = memmem(r->text + c->pos, r->len - c->pos, "#}", 2);
    bool strip, keep;

    if (!end)
        return render_fail(r, LC_SYNTAX, c->pos, "a comment is not closed");
    strip = end[-1] == '-';
    keep = end[-1] == '+';
    c->pos = (size_t)(end - r->text) + 2;
    after_tag(r, c, strip, !keep);
    return true;
}

static bool close_tag(struct render *r, struct cursor *c, bool block)
{
    char sign = r->text[c->pos];
    size_t at = c->pos;

    c->pos += sign == '-' || sign == '+' ? 3 : 2;
    if (!put(r, block ? T_BLOCK_END : T_VAR_END, r->text + at, c->pos - at, at))
        return false;
    after_tag(r, c, sign == '-', block && sign != '+');
    return true;
}

static bool lex_one(struct render *r, struct cursor *c)
{
    size_t tag = find_tag(r, c->pos);
    char kind = tag < r->len ? r->text[tag + 1] : '\0', sign;

    if (!kind)
        return put_data(r, c, r->len, '\0', '+') && (c->pos = r->len, true);
    sign = tag + 2 < r->len && (r->text[tag + 2] == '-' || r->text[tag + 2] == '+') ? r->text[tag + 2] : '\0';
    if (!put_data(r, c, tag, kind, sign))
        return false;
    c->pos = tag + 2 + (sign != '\0');
    if (kind == '#')
        return lex_comment(r, c);
    if (!put(r, kind == '%' ? T_BLOCK_BEGIN : T_VAR_BEGIN, r->text + tag, 2, tag))
        return false;
    return lex_tag(r, &c->pos, kind == '%') && close_tag(r, c, kind == '%');
}

bool template_lex(struct render *r)
{
    struct cursor c = {.line_start = true};

    if (r->len &&
        r->text[r->len - 1] == '\n') /* as Jinja: one newline at the end is not part of a template */
        r->len--;
    while (c.pos < r->len)
        if (!lex_one(r, &c))
            return false;
    return put(r, T_EOF, "", 0, r->len);
}
