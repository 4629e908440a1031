/* Paths in a log are URI references: percent-encoded where a URI needs it (RFC 2396). */
#include "runtime/base/mem.h"
#include "runtime/delta/delta_int.h"
#include <ctype.h>
#include <string.h>

bool delta_path_encode(struct buf *out, const char *path)
{
    /* the characters that java.net.URI leaves alone in a path */
    static const char plain[] = "-_.!~*'()/:@&=+$,;";

    for (const unsigned char *p = (const unsigned char *)path; *p; p++) {
        if (isalnum(*p) || strchr(plain, *p))
            buf_putc(out, (char)*p);
        else
            buf_printf(out, "%%%02X", *p);
    }
    return buf_ok(out);
}

static int nibble(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

char *delta_path_decode(struct arena *a, const char *encoded)
{
    char *out = arena_strdup(a, encoded), *to = out;

    for (const char *p = encoded; out && *p; p++) {
        int high = p[0] == '%' ? nibble(p[1]) : -1, low = high >= 0 ? nibble(p[2]) : -1;
        if (low >= 0 && high + low > 0) {
            *to++ = (char)(high * 16 + low);
            p += 2;
        } else {
            *to++ = *p;
        }
    }
    if (out)
        *to = '\0';
    return out;
}
