#include "runtime/dataframe/json/path.h"
#include <ctype.h>
#include <string.h>

static bool put_name(struct buf *out, const char *s, const char *end)
{
    if (s == end || memchr(s, '"', (size_t)(end - s)) || (end - s == 1 && *s == '*'))
        return false;
    return buf_puts(out, ".\"") && buf_add(out, s, (size_t)(end - s)) && buf_puts(out, "\"");
}

/* .name */
static const char *child(const char *s, const char *end, struct buf *out)
{
    const char *from = s;

    while (from < end && isspace((unsigned char)*from))
        from++;
    for (s = from; s < end && *s != '.' && *s != '['; s++) {
    }
    return put_name(out, from, s) ? s : NULL;
}

/* ['name'], [3] or [*], behind the bracket */
static const char *subscript(const char *s, const char *end, struct buf *out)
{
    const char *from = s;

    if (s < end && *s == '\'') {
        for (from = ++s; s < end && *s != '\''; s++) {
        }
        if (s + 1 >= end || s[1] != ']' || !put_name(out, from, s))
            return NULL;
        return s + 2;
    }
    if (s < end && *s == '*')
        s++;
    else
        while (s < end && isdigit((unsigned char)*s))
            s++;
    if (s == from || s == end || *s != ']')
        return NULL;
    buf_putc(out, '[');
    buf_add(out, from, (size_t)(s + 1 - from));
    return s + 1;
}

bool json_path(const char *s, size_t len, struct buf *out)
{
    const char *end = s + len;

    if (s == end || *s++ != '$')
        return false;
    buf_putc(out, '$');
    while (s && s < end)
        s = *s == '.' ? child(s + 1, end, out) : *s == '[' ? subscript(s + 1, end, out) : NULL;
    return s != NULL;
}

/* A text in quotes of either kind; gives what is behind it. */
static const char *quoted(const char *s, const char *end, struct buf *out)
{
    char mark = *s;

    buf_putc(out, '"');
    for (s++; s < end && *s != mark; s++) {
        if (*s == '\\' && s + 1 < end) {
            s++;
            buf_puts(out, *s == '\'' ? "" : "\\");
        } else if (*s == '"')
            buf_putc(out, '\\');
        buf_putc(out, *s);
    }
    buf_putc(out, '"');
    return s < end ? s + 1 : s;
}

bool json_first(const char *s, size_t len, struct buf *out)
{
    const char *end = s + len;
    size_t depth = 0;

    while (s < end) {
        if (depth && (*s == '"' || *s == '\'')) {
            s = quoted(s, end, out);
            continue;
        }
        buf_putc(out, *s);
        if (*s == '{' || *s == '[')
            depth++;
        else if (depth == 0 && !isspace((unsigned char)*s))
            return false; /* a number or a text is not looked at */
        else if ((*s == '}' || *s == ']') && --depth == 0)
            return true;
        s++;
    }
    return false;
}
