#include "runtime/notebook/kept.h"
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* PREFIX, s or n (within a text, or a text instead of a number), the original without its backslash, a semicolon: always longer
 * than what it stands for. */
static const char prefix[] = "lacus-kept-6f2b1d0c9a5e47838c3f7a10:";
enum { PREFIX = sizeof prefix - 1, NUMBER_MAX = 4096, ESCAPE = 6 };

bool kept_has(const char *text, size_t len)
{
    return memmem(text, len, prefix, PREFIX) != NULL;
}

/* ---- what is kept ---- */
static size_t digits(const char *p, const char *end)
{
    const char *from = p;

    while (p < end && isdigit((unsigned char)*p))
        p++;
    return (size_t)(p - from);
}

/* How long the number is that JSON, or Python's idea of it, has at p; 0: none. *whole: it has digits only. */
static size_t number_length(const char *p, const char *end, bool *whole)
{
    static const char *const words[] = {"NaN", "Infinity", "-Infinity"};
    const char *from = p;
    size_t n;

    *whole = false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if ((size_t)(end - p) >= strlen(words[i]) && memcmp(p, words[i], strlen(words[i])) == 0)
            return strlen(words[i]);
    p += p < end && *p == '-';
    n = digits(p, end);
    if (n == 0 || (n > 1 && *p == '0'))
        return 0;
    p += n;
    *whole = true;
    if (p < end && *p == '.') {
        n = digits(p + 1, end);
        if (n == 0)
            return 0;
        p += 1 + n;
        *whole = false;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        const char *exponent = p + 1 + (p + 1 < end && (p[1] == '+' || p[1] == '-'));
        n = digits(exponent, end);
        if (n == 0)
            return 0;
        p = exponent + n;
        *whole = false;
    }
    return (size_t)(p - from);
}

static bool json_holds(const char *p, size_t len, bool whole)
{
    char text[NUMBER_MAX];

    if (len >= sizeof text || !isdigit((unsigned char)p[len - 1])) /* NaN, Infinity */
        return false;
    memcpy(text, p, len);
    text[len] = '\0';
    errno = 0;
    if (whole)
        return (void)strtoll(text, NULL, 10), errno != ERANGE;
    return isfinite(strtod(text, NULL));
}

/* The code of \uXXXX at p; -1: there is none. */
static long escape_code(const char *p, const char *end)
{
    char hex[5] = "";

    if (end - p < ESCAPE || p[0] != '\\' || p[1] != 'u')
        return -1;
    memcpy(hex, p + 2, 4);
    for (int i = 0; i < 4; i++)
        if (!isxdigit((unsigned char)hex[i]))
            return -1;
    return strtol(hex, NULL, 16);
}

static bool is_high(long code)
{
    return code >= 0xD800 && code < 0xDC00;
}

static bool is_low(long code)
{
    return code >= 0xDC00 && code < 0xE000;
}

/* ---- marks ---- */
struct marking {
    const char *p, *end;
    struct buf *out;
    bool quoted, any;
};

static void put_mark(struct marking *m, char kind, const char *original, size_t len)
{
    buf_puts(m->out, prefix);
    buf_putc(m->out, kind);
    buf_add(m->out, original, len);
    buf_putc(m->out, ';');
    m->any = true;
}

/* A backslash in a text: both halves of a pair go together. */
static size_t take_escape(struct marking *m)
{
    long code = escape_code(m->p, m->end), next = is_high(code) ? escape_code(m->p + ESCAPE, m->end) : -1;
    size_t n = is_low(next) ? 2 * ESCAPE : code >= 0 ? ESCAPE : 2;

    if (n == ESCAPE && (code == 0 || is_high(code) || is_low(code))) {
        put_mark(m, 's', m->p + 1, ESCAPE - 1);
        return n;
    }
    n = n < (size_t)(m->end - m->p) ? n : (size_t)(m->end - m->p);
    buf_add(m->out, m->p, n);
    return n;
}

/* A word or number outside of texts. */
static size_t take_word(struct marking *m)
{
    bool whole;
    size_t len = number_length(m->p, m->end, &whole), n = 0;

    if (len && len < NUMBER_MAX && !json_holds(m->p, len, whole)) {
        buf_putc(m->out, '"');
        put_mark(m, 'n', m->p, len);
        buf_putc(m->out, '"');
        return len;
    }
    while (m->p + n < m->end && (isalnum((unsigned char)m->p[n]) || strchr("+-.", m->p[n])) && m->p[n])
        n++;
    n += n == 0;
    buf_add(m->out, m->p, n);
    return n;
}

bool kept_mark(const char *text, size_t len, struct buf *out)
{
    struct marking m = {.p = text, .end = text + len, .out = out};

    if (kept_has(text, len))
        return false;
    while (m.p < m.end) {
        if (m.quoted && *m.p == '\\') {
            m.p += take_escape(&m);
        } else if (*m.p == '"' || m.quoted) {
            m.quoted ^= *m.p == '"';
            buf_putc(out, *m.p++);
        } else {
            m.p += take_word(&m);
        }
    }
    return m.any && buf_ok(out);
}

/* ---- and back ---- */

/* A mark at p: how long it is, and what it stands for. 0: it was not made here. */
static size_t mark_length(const char *p, const char *end, const char **original, size_t *len)
{
    const char *kind = p + PREFIX, *stop;
    bool whole;

    if (kind >= end || (*kind != 's' && *kind != 'n'))
        return 0;
    stop = memchr(kind, ';', (size_t)(end - kind));
    if (!stop)
        return 0;
    *original = kind + 1;
    *len = (size_t)(stop - *original);
    if (*kind == 'n' ? number_length(*original, stop, &whole) != *len
                     : *len != ESCAPE - 1 || **original != 'u')
        return 0;
    for (size_t i = 1; *kind == 's' && i < *len; i++)
        if (!isxdigit((unsigned char)(*original)[i]))
            return 0;
    return (size_t)(stop + 1 - p);
}

size_t kept_restore(char *text, size_t len)
{
    const char *p = text, *end = text + len, *original;
    char *to = text;
    size_t n, kept;

    for (const char *at; (at = memmem(p, (size_t)(end - p), prefix, PREFIX)) != NULL; p = at + n) {
        memmove(to, p, (size_t)(at - p));
        to += at - p;
        n = mark_length(at, end, &original, &kept);
        bool number = n && at[PREFIX] == 'n';
        if (n == 0 || (number && (at == text || at[-1] != '"' || at + n == end || at[n] != '"'))) {
            n = PREFIX;
            memmove(to, at, n);
            to += n;
            continue;
        }
        if (number) { /* its quotes go, too */
            to--;
            n++;
        } else {
            *to++ = '\\';
        }
        memmove(to, original, kept);
        to += kept;
    }
    memmove(to, p, (size_t)(end - p));
    return (size_t)(to - text) + (size_t)(end - p);
}
