#include "runtime/dataframe/csv/value.h"
#include "runtime/dataframe/moment.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

static void trim(const char **s, size_t *len)
{
    while (*len && (unsigned char)(*s)[0] <= ' ')
        (*s)++, (*len)--;
    while (*len && (unsigned char)(*s)[*len - 1] <= ' ')
        (*len)--;
}

static bool is_text(const char *s, size_t len, const char *text)
{
    return len == strlen(text) && memcmp(s, text, len) == 0;
}

/* ---- numbers ---- */
bool csv_to_long(const char *s, size_t len, int64_t most, int64_t *out)
{
    bool minus = len && s[0] == '-';
    size_t i = len && (s[0] == '-' || s[0] == '+');
    uint64_t v = 0, limit = minus ? (uint64_t)most + 1 : (uint64_t)most; /* of two's complement */

    if (i == len)
        return false;
    for (; i < len; i++) {
        if (!digit(s[i]) || v > limit / 10)
            return false;
        v = v * 10 + (uint64_t)(s[i] - '0');
        if (v > limit)
            return false;
    }
    *out = minus ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

struct number { /* the parts of a decimal number */
    const char *end;
    uint64_t mantissa; /* of the first 19 digits that count */
    int digits, whole, fraction, exponent;
    bool minus;
};

/* [+-]digits[.digits][e[+-]digits]; whole and fraction: how many digits stand there. */
static bool scan_number(const char *s, size_t len, struct number *n)
{
    const char *end = s + len;
    int any = 0;

    *n = (struct number){.minus = len && *s == '-'};
    s += len && (*s == '-' || *s == '+');
    for (; s < end && digit(*s); s++, any++) {
        n->whole += n->whole || *s != '0';
        if (n->digits < 19 && (n->digits || *s != '0'))
            n->mantissa = n->mantissa * 10 + (uint64_t)(*s - '0'), n->digits++;
    }
    if (s < end && *s == '.')
        for (s++; s < end && digit(*s); s++, any++) {
            n->fraction++;
            if (n->digits < 19 && (n->digits || *s != '0'))
                n->mantissa = n->mantissa * 10 + (uint64_t)(*s - '0'), n->digits++;
        }
    if (any == 0)
        return false;
    if (s < end && (*s == 'e' || *s == 'E')) {
        const char *from = ++s;
        bool minus = s < end && *s == '-';

        s += s < end && (*s == '-' || *s == '+');
        from = s;
        for (; s < end && digit(*s); s++)
            n->exponent = n->exponent < 100000 ? n->exponent * 10 + (*s - '0') : n->exponent;
        if (s == from)
            return false;
        n->exponent = minus ? -n->exponent : n->exponent;
    }
    n->end = s;
    return true;
}

/* Numbers that one correctly rounded product or quotient gives exactly: nearly all. */
static bool exact_double(const struct number *n, double *out)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    int power = n->exponent - n->fraction;

    if (n->whole + n->fraction > 18 || n->mantissa > (UINT64_C(1) << 53) || power < -22 || power > 22)
        return false;
    *out = power < 0 ? (double)n->mantissa / powers[-power] : (double)n->mantissa * powers[power];
    *out = n->minus ? -*out : *out;
    return true;
}

bool csv_to_double(const struct csv_options *o, const char *s, size_t len, double *out)
{
    struct number n;
    char text[400];
    bool minus;

    if (is_text(s, len, o->nan_value) || is_text(s, len, o->positive_inf) ||
        is_text(s, len, o->negative_inf)) {
        *out =
            is_text(s, len, o->nan_value) ? NAN : (is_text(s, len, o->positive_inf) ? INFINITY : -INFINITY);
        return true;
    }
    trim(&s, &len);
    if (scan_number(s, len, &n)) {
        size_t used = (size_t)(n.end - s);

        if (used + 1 == len && strchr("dDfF", s[used]))
            len--;
        if (used != len)
            return false;
        if (exact_double(&n, out))
            return true;
        if (len >= sizeof text)
            return false;
        memcpy(text, s, len);
        text[len] = '\0';
        *out = strtod(text, NULL);
        return true;
    }
    minus = len && s[0] == '-';
    if (len && (s[0] == '-' || s[0] == '+'))
        s++, len--;
    if (!is_text(s, len, "NaN") && !is_text(s, len, "Infinity"))
        return false;
    *out = s[0] == 'N' ? NAN : (minus ? -INFINITY : INFINITY);
    return true;
}

size_t csv_plain_number(const char *s, size_t len, char *out, size_t size)
{
    size_t n = 0;

    for (size_t i = 0; i < len && n < size; i++)
        if (s[i] != ',')
            out[n++] = s[i];
    return n;
}

bool csv_to_decimal(const char *s, size_t len, int *whole, int *fraction)
{
    struct number n;

    if (!scan_number(s, len, &n) || n.end != s + len || n.exponent > 1000 || n.exponent < -1000)
        return false;
    *whole = n.whole + n.exponent;
    *fraction = n.fraction - n.exponent;
    return true;
}

bool csv_to_boolean(const char *s, size_t len, bool *out)
{
    *out = len == 4 && strncasecmp(s, "true", 4) == 0;
    return *out || (len == 5 && strncasecmp(s, "false", 5) == 0);
}

/* ---- what a column's type is ---- */
static bool plain_date(const char *s, size_t len)
{
    int64_t days;

    return len == 10 && s[4] == '-' && s[7] == '-' && moment_date(s, len, &days);
}

/* The narrowest type of the text, from the one that the column has on: Spark tries no narrower one. */
static struct csv_guess guess_of(enum csv_type from, const struct csv_options *o, const char *s, size_t len)
{
    int whole, fraction;
    struct moment t;
    int64_t i;
    double d;
    bool b;

    switch (from) {
    case CSV_NOTHING:
    case CSV_INT:
        if (csv_to_long(s, len, INT32_MAX, &i))
            return (struct csv_guess){CSV_INT, 0};
        /* fall through */
    case CSV_LONG:
        if (csv_to_long(s, len, INT64_MAX, &i))
            return (struct csv_guess){CSV_LONG, 0};
        /* fall through */
    case CSV_DECIMAL:
        if (csv_to_decimal(s, len, &whole, &fraction) && fraction == 0 && whole <= 38)
            return (struct csv_guess){CSV_DECIMAL, whole > 0 ? whole : 1};
        /* fall through */
    case CSV_DOUBLE:
        if (csv_to_double(o, s, len, &d))
            return (struct csv_guess){CSV_DOUBLE, 0};
        /* fall through */
    case CSV_DATE:
        if (o->prefer_date && plain_date(s, len))
            return (struct csv_guess){CSV_DATE, 0};
        /* fall through */
    case CSV_TIMESTAMP:
        if (moment_parse(s, len, &t))
            return (struct csv_guess){CSV_TIMESTAMP, 0};
        /* fall through */
    case CSV_BOOLEAN:
        if (csv_to_boolean(s, len, &b))
            return (struct csv_guess){CSV_BOOLEAN, 0};
        /* fall through */
    default:
        return (struct csv_guess){CSV_STRING, 0};
    }
}

static int decimal_digits(struct csv_guess g)
{
    return g.type == CSV_DECIMAL ? g.precision : (g.type == CSV_LONG ? 20 : 10);
}

struct csv_guess csv_guess_merge(struct csv_guess a, struct csv_guess b)
{
    struct csv_guess low = a.type < b.type ? a : b, high = a.type < b.type ? b : a;

    if (low.type == CSV_NOTHING || (low.type == high.type && low.type != CSV_DECIMAL))
        return high;
    if (high.type == CSV_DECIMAL) {
        int p = decimal_digits(low);

        high.precision = p > high.precision ? p : high.precision;
        return high;
    }
    if (high.type <= CSV_DOUBLE || (low.type == CSV_DATE && high.type == CSV_TIMESTAMP))
        return high;
    return (struct csv_guess){CSV_STRING, 0};
}

void csv_guess_add(struct csv_guess *g, const struct csv_options *o, const char *s, size_t len)
{
    if (g->type != CSV_STRING && len > 0)
        *g = csv_guess_merge(*g, guess_of(g->type, o, s, len));
}

const struct dtype *csv_guess_dtype(struct csv_guess g)
{
    static const enum dtype_id ids[] = {
        [CSV_NOTHING] = DTYPE_STRING,  [CSV_INT] = DTYPE_INT,      [CSV_LONG] = DTYPE_LONG,
        [CSV_DOUBLE] = DTYPE_DOUBLE,   [CSV_DATE] = DTYPE_DATE,    [CSV_TIMESTAMP] = DTYPE_TIMESTAMP,
        [CSV_BOOLEAN] = DTYPE_BOOLEAN, [CSV_STRING] = DTYPE_STRING};

    return g.type == CSV_DECIMAL ? dtype_decimal(g.precision, 0) : dtype_of(ids[g.type]);
}
