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

size_t json_first(const char *s, size_t len)
{
    size_t depth = 0;
    bool text = false;

    for (size_t i = 0; i < len; i++) {
        if (text) {
            if (s[i] == '\\')
                i++;
            else
                text = s[i] != '"';
            continue;
        }
        if (s[i] == '"' && depth)
            text = true;
        else if (s[i] == '{' || s[i] == '[')
            depth++;
        else if (depth && (s[i] == '}' || s[i] == ']')) {
            if (--depth == 0)
                return i + 1;
        } else if (depth == 0 && !isspace((unsigned char)s[i]))
            return 0; /* a number or a text is not looked at */
    }
    return 0;
}
