#include "runtime/catalog/timestamp.h"
#include "runtime/base/civil.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const char *fraction(const char *p, int *ms)
{
    int scale = 100;

    if (*p != '.')
        return p;
    for (p++; isdigit((unsigned char)*p); p++, scale /= 10)
        *ms += (*p - '0') * scale;
    return p;
}

static const char *zone(const char *p, int *minutes)
{
    int hour = 0, minute = 0, n = 0;
    char sign;

    while (*p == ' ')
        p++;
    if (*p == 'Z' || *p == 'z')
        return p + 1;
    if (sscanf(p, "%c%2d:%2d%n", &sign, &hour, &minute, &n) < 3 || (sign != '+' && sign != '-'))
        return p;
    *minutes = (sign == '-' ? -1 : 1) * (hour * 60 + minute);
    return p + n;
}

enum lc timestamp_parse(const char *text, int64_t *ms, struct err *err)
{
    int y, m, d, hour = 0, minute = 0, second = 0, millis = 0, offset = 0, n = 0, more = 0;
    const char *p = text;

    if (sscanf(p, "%4d-%2d-%2d%n", &y, &m, &d, &n) == 3 && civil_valid(y, m, d)) {
        p += n;
        if ((*p == ' ' || *p == 'T') && sscanf(p + 1, "%2d:%2d%n", &hour, &minute, &more) == 2) {
            p += 1 + more;
            if (sscanf(p, ":%2d%n", &second, &more) == 1)
                p = fraction(p + more, &millis);
        }
        p = zone(p, &offset);
        if (*p == '\0' && hour < 24 && minute < 60 && second < 61) {
            *ms = ((civil_days(y, m, d) * 24 + hour) * 60 + minute - offset) * 60000 + second * 1000 + millis;
            return LC_OK;
        }
    }
    err_set(err, LC_ARG, "'%s' is not a time", text);
    return err_hint(err, "write 2026-01-31 or 2026-01-31 12:00:00");
}
