#include "repl/editor/highlight.h"
#include "runtime/session/scan.h"
#include <string.h>

const char *highlight_sgr(enum ink ink)
{
    static const char *const sgr[INK_COUNT] = {
        [INK_PLAIN] = "",     [INK_KEYWORD] = "35", [INK_STRING] = "32",   [INK_NUMBER] = "36",
        [INK_COMMENT] = "90", [INK_MAGIC] = "34",   [INK_BRACKET] = "1;33"};
    return sgr[ink];
}

static void paint(unsigned char *ink, const char *text, const char *from, const char *to, enum ink with)
{
    if (to > from)
        memset(ink + (from - text), with, (size_t)(to - from));
}

static enum ink ink_of(const struct scan *x)
{
    switch (x->kind) {
    case SCAN_KEYWORD:
        return INK_KEYWORD;
    case SCAN_STRING:
        return INK_STRING;
    case SCAN_NUMBER:
        return INK_NUMBER;
    default:
        return INK_PLAIN;
    }
}

/* Lines that are no Lua. */
static void paint_magics(const char *text, size_t len, unsigned char *ink)
{
    size_t start = strspn(text, " \t\n");

    if (len > start + 1 && text[start] == '%' && text[start + 1] == '%') {
        const char *line_end = memchr(text + start, '\n', len - start);
        paint(ink, text, text + start, line_end ? line_end : text + len, INK_MAGIC);
        if (line_end) /* the body is another language */
            paint(ink, text, line_end, text + len, INK_PLAIN);
        return;
    }
    for (size_t at = 0; at < len;) {
        const char *line = text + at, *end = memchr(line, '\n', len - at);
        size_t n = end ? (size_t)(end - line) : len - at, blank = strspn(line, " \t");
        if (blank < n && (line[blank] == '%' || line[blank] == '!') && ink[at + blank] != INK_STRING &&
            ink[at + blank] != INK_COMMENT)
            paint(ink, text, line, line + n, INK_MAGIC);
        at += n + 1;
    }
}

void highlight(const char *text, size_t len, unsigned char *ink)
{
    struct scan x = scan_begin(text, len);

    memset(ink, INK_PLAIN, len);
    for (const char *before = text;; scan_next(&x)) {
        const char *at = x.kind ? x.at : text + len;
        for (; before < at && strchr(" \t\r\n", *before); before++)
            ;
        paint(ink, text, before, at, INK_COMMENT); /* nothing else lies between two tokens */
        if (!x.kind)
            break;
        paint(ink, text, x.at, x.at + x.len, ink_of(&x));
        before = x.at + x.len;
    }
    paint_magics(text, len, ink);
}

static const char brackets[] = "()[]{}";

static bool is_bracket(const char *text, size_t len, size_t at, const unsigned char *ink)
{
    return at < len && ink[at] == INK_PLAIN && text[at] && strchr(brackets, text[at]);
}

void highlight_brackets(const char *text, size_t len, size_t cursor, unsigned char *ink)
{
    size_t at = cursor;
    int depth = 0;

    if (!is_bracket(text, len, at, ink) && (at == 0 || !is_bracket(text, len, --at, ink)))
        return;
    size_t kind = (size_t)(strchr(brackets, text[at]) - brackets);
    bool forward = kind % 2 == 0;
    char same = text[at], other = brackets[forward ? kind + 1 : kind - 1];
    for (size_t i = at; i < len; i += forward ? 1 : (size_t)-1) { /* below 0 it wraps, which ends the loop */
        if (ink[i] != INK_PLAIN)
            continue;
        depth += text[i] == same ? 1 : text[i] == other ? -1 : 0;
        if (depth == 0) {
            ink[at] = ink[i] = INK_BRACKET;
            return;
        }
    }
}
