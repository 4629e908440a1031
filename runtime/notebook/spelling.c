#include "runtime/notebook/spelling.h"
#include "runtime/base/real.h"
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ESCAPE = 6, SPARE = 64 }; /* \uXXXX; reals that become longer take one part in SPARE at first */

/* From its opening quote; the rest of the text. */
static const char *take_string(const char *p, const char *end, struct buf *out)
{
    const char *from = p++;

    while (p < end && *p != '"') {
        if (*p != '\\') {
            p++;
            continue;
        }
        if (end - p >= ESCAPE && p[1] == 'u') {
            buf_add(out, from, (size_t)(p - from));
            for (int i = 0; i < ESCAPE; i++)
                buf_putc(out, (char)tolower((unsigned char)*p++));
            from = p;
        } else {
            p += end - p >= 2 ? 2 : 1;
        }
    }
    p += p < end;
    buf_add(out, from, (size_t)(p - from));
    return p;
}

static const char *take_number(const char *p, struct buf *out)
{
    size_t len = strspn(p, "0123456789+-.eE");
    char text[REAL_TEXT], *end;
    double value = strcspn(p, ".eE") < len ? strtod(p, &end) : (double)NAN;

    if (isfinite(value) && end == p + len)
        buf_add(out, text, (size_t)real_text(value, text));
    else
        buf_add(out, p, len);
    return p + len;
}

bool spelling_python(const char *text, size_t len, struct buf *out)
{
    const char *p = text, *end = text + len;

    if (!buf_reserve(out, len + len / SPARE))
        return false;
    while (p < end) {
        size_t plain = strcspn(p, "\"-0123456789");
        buf_add(out, p, plain);
        p += plain;
        if (p < end)
            p = *p == '"' ? take_string(p, end, out) : take_number(p, out);
    }
    return buf_ok(out);
}
