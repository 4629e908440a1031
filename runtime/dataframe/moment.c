#include "runtime/dataframe/moment.h"
#include "runtime/base/civil.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct reader {
    const char *s, *end;
};

static bool number(struct reader *r, int least, int most, int64_t *out)
{
    int n = 0;

    for (*out = 0; r->s < r->end && isdigit((unsigned char)*r->s) && n <= most; n++)
        *out = 10 * *out + (*r->s++ - '0');
    return n >= least && n <= most;
}

static bool sign(struct reader *r, char c)
{
    bool there = r->s < r->end && *r->s == c;

    r->s += there;
    return there;
}

/* h[:m[:s[.f]]]; digits behind the microseconds are left out */
static bool time_of_day(struct reader *r, struct moment *m)
{
    int64_t hour, minute = 0, second = 0, fraction = 0;
    int digits = 0;

    if (!number(r, 1, 2, &hour) || (sign(r, ':') && !number(r, 1, 2, &minute)))
        return false;
    if (sign(r, ':')) {
        if (!number(r, 1, 2, &second))
            return false;
        if (sign(r, '.'))
            for (; r->s < r->end && isdigit((unsigned char)*r->s); r->s++, digits++)
                fraction = digits < 6 ? 10 * fraction + (*r->s - '0') : fraction;
    } else if (r->s < r->end) /* a zone stands behind seconds only */
        return false;
    for (; digits < 6; digits++)
        fraction *= 10;
    m->micros += ((hour * 60 + minute) * 60 + second) * 1000000 + fraction;
    m->zone = r->s;
    m->zone_len = (size_t)(r->end - r->s);
    while (m->zone_len && *m->zone == ' ') {
        m->zone++;
        m->zone_len--;
    }
    return hour < 24 && minute < 60 && second < 60;
}

static bool date(struct reader *r, int64_t *days, int *parts)
{
    bool negative = sign(r, '-');
    int64_t year, month = 1, day = 1;

    if (!negative)
        sign(r, '+');
    if (!number(r, 4, 6, &year))
        return false;
    *parts = 1;
    if (sign(r, '-')) {
        if (!number(r, 1, 2, &month) || (sign(r, '-') && ++*parts && !number(r, 1, 2, &day)))
            return false;
        ++*parts;
    }
    year = negative ? -year : year;
    if (!civil_valid(year, (int)month, (int)day))
        return false;
    *days = civil_days(year, (int)month, (int)day);
    return true;
}

static struct reader trimmed(const char *s, size_t len)
{
    struct reader r = {s, s + len};

    while (r.s < r.end && (unsigned char)*r.s <= ' ')
        r.s++;
    while (r.end > r.s && (unsigned char)r.end[-1] <= ' ')
        r.end--;
    return r;
}

bool moment_date(const char *s, size_t len, int64_t *days)
{
    struct reader r = trimmed(s, len);
    int parts;

    return date(&r, days, &parts) && (r.s == r.end || (parts == 3 && (*r.s == ' ' || *r.s == 'T')));
}

/* "+5", "-05:30", "+0530", "+05:30:15", maybe behind UTC, GMT or UT: seconds. false: the name of a region. */
bool moment_offset(const char *s, size_t len, int64_t *seconds)
{
    static const char *const prefixes[] = {"UTC", "GMT", "UT"};
    struct reader r = {s, s + len};
    int64_t h = 0, m = 0, sec = 0;
    bool minus, prefix = false;

    for (size_t i = 0; i < 3 && !prefix; i++)
        if (len >= strlen(prefixes[i]) && strncmp(s, prefixes[i], strlen(prefixes[i])) == 0) {
            prefix = true;
            r.s += strlen(prefixes[i]);
        }
    *seconds = 0;
    if ((prefix && r.s == r.end) || (len == 1 && *s == 'Z'))
        return true;
    minus = sign(&r, '-');
    if (!minus && !sign(&r, '+'))
        return false;
    if (r.end - r.s == 4 && memchr(r.s, ':', 4) == NULL) {
        if (!number(&r, 4, 4, &h))
            return false;
        m = h % 100;
        h /= 100;
    } else if (!number(&r, 1, 2, &h) ||
               (sign(&r, ':') && (!number(&r, 1, 2, &m) || (sign(&r, ':') && !number(&r, 2, 2, &sec))))) {
        return false;
    }
    *seconds = (minus ? -1 : 1) * (h * 3600 + m * 60 + sec);
    return r.s == r.end && h <= 18 && m < 60 && sec < 60;
}

/* Without the system's list of zones the engine decides. */
bool moment_region(const char *name, size_t len)
{
    static const char folder
        [] = "/usr/share/zoneinfo",
  shorts[] =
        "ACT AET AGT ART AST BET BST CAT CNT CST CTT EAT ECT EST HST IET IST JST MIT MST NET NST PLT PNT PRT "
        "PST SST VST ";
    char path[100], word[5];

    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)name[i]) && !strchr("/_+-", name[i]))
            return false;
    if (len == 3) {
        snprintf(word, sizeof word, "%.3s ", name);
        if (strstr(shorts, word))
            return true;
    }
    if (len > 60 || name[0] == '/' || access(folder, R_OK) != 0)
        return len <= 60 && name[0] != '/';
    snprintf(path, sizeof path, "%s/%.*s", folder, (int)len, name);
    return access(path, R_OK) == 0;
}

static bool parse(const char *s, size_t len, struct moment *m)
{
    struct reader r = trimmed(s, len), whole = r;
    int64_t days;
    int parts;

    if (sign(&r, 'T') || memchr(r.s, ':', (size_t)(r.end - r.s) < 3 ? (size_t)(r.end - r.s) : 3))
        return memchr(r.s, ':', (size_t)(r.end - r.s)) && time_of_day(&r, m);
    r = whole;
    if (!date(&r, &days, &parts))
        return false;
    m->dated = true;
    m->micros = days * INT64_C(86400000000);
    if (r.s == r.end)
        return true;
    return parts == 3 && (sign(&r, ' ') || sign(&r, 'T')) && time_of_day(&r, m);
}

bool moment_parse(const char *s, size_t len, struct moment *m)
{
    int64_t seconds;

    *m = (struct moment){0};
    return parse(s, len, m) && (m->zone_len == 0 || moment_offset(m->zone, m->zone_len, &seconds) ||
                                moment_region(m->zone, m->zone_len));
}
