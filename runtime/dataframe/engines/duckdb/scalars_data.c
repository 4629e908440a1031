/* scalars_data.c: lines of CSV, bitmaps, histograms. */
#include "runtime/dataframe/csv/csv.h"
#include "runtime/dataframe/engines/duckdb/scalars.h"
#include "runtime/dataframe/json/path.h"
#include "runtime/dataframe/json/wildcard.h"
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- CSV: one record ---- */
/* csv_fields(line, separator): as the reader of files cuts them */
static void csv_fields(const struct value *a, struct result *out)
{
    struct csv_options o;
    struct csv_row row = {0};

    csv_defaults(&o);
    if (a[1].len && a[1].len <= CSV_DELIMITER) {
        memcpy(o.delimiter, a[1].s, a[1].len);
        o.n_delimiter = a[1].len;
    }
    if (!csv_line(&o, a->s, a->len, &row))
        row.n = 0;
    for (size_t i = 0; i < row.n; i++) {
        size_t from = out->more->len;

        buf_add(out->more, row.fields[i].s, row.fields[i].len);
        result_made(out, from);
    }
    csv_row_release(&row);
}

/* csv_quote(text, separator): in quotes where it must be */
static void csv_quote(const struct value *a, struct result *out)
{
    char sep = a[1].len ? a[1].s[0] : ',';
    bool must = a->len == 0;

    for (size_t i = 0; i < a->len; i++)
        must = must || a->s[i] == sep || a->s[i] == '"' || a->s[i] == '\n' || a->s[i] == '\r';
    must = must || (a->len && (a->s[0] == ' ' || a->s[a->len - 1] == ' '));
    if (must)
        buf_putc(out->more, '"');
    for (size_t i = 0; i < a->len; i++) {
        if (a->s[i] == '"')
            buf_putc(out->more, '\\');
        buf_putc(out->more, a->s[i]);
    }
    if (must)
        buf_putc(out->more, '"');
    result_text(out);
}

/* csv_field(text, "flags|", quote, escape, separator; empty): a field as Spark writes it. Flags: a all in quotes, l and r white space is
 * cut, q quotes are a reason for quotes, n there are none. */
static void csv_field(const struct value *a, struct result *out)
{
    const char *flags = a[1].s, *bar = a[1].len ? memchr(flags, '|', a[1].len) : NULL, *s = a->s;
    size_t n_flags = bar ? (size_t)(bar - flags) : 0, n_sep, len = a->len;
    bool must;

    if (!bar || (size_t)(bar - flags) + 3 > a[1].len)
        return;
    n_sep = a[1].len - n_flags - 3;
    for (; len && memchr(flags, 'l', n_flags) && (unsigned char)*s <= ' '; s++)
        len--;
    while (len && memchr(flags, 'r', n_flags) && (unsigned char)s[len - 1] <= ' ')
        len--;
    must = memchr(flags, 'a', n_flags) != NULL;
    if (len == 0 && !must) {
        buf_add(out->more, a[2].s, a[2].len);
        result_text(out);
        return;
    }
    if (!memchr(flags, 'n', n_flags))
        must = must || (n_sep && memmem(s, len, bar + 3, n_sep)) || memchr(s, '\n', len) ||
               memchr(s, '\r', len) || (memchr(flags, 'q', n_flags) && memchr(s, bar[1], len));
    if (must)
        buf_putc(out->more, bar[1]);
    for (size_t i = 0; i < len; i++) {
        if (must && (s[i] == bar[1] || s[i] == bar[2]))
            buf_putc(out->more, bar[2]);
        buf_putc(out->more, s[i]);
    }
    if (must)
        buf_putc(out->more, bar[1]);
    result_text(out);
}

/* ---- JSON ---- */
static void path_of(const struct value *a, struct result *out)
{
    if (!json_path(a->s, a->len, out->more))
        result_null(out);
    result_text(out);
}

/* json_wildcard(text, path): what a path with [*] finds; NULL: nothing */
static void wildcard_of(const struct value *a, struct result *out)
{
    if (!json_wildcard(a[0].s, a[0].len, a[1].s, a[1].len, out->more))
        result_null(out);
    result_text(out);
}

/* json_first(text): the first object or array, whatever is behind it; NULL: there is none */
static void first_of(const struct value *a, struct result *out)
{
    if (!json_first(a->s, a->len, out->more))
        result_null(out);
    result_text(out);
}

/* json_last(text): of members with one name the last; a text that is no JSON as it is */
static void last_of(const struct value *a, struct result *out)
{
    size_t before = out->more->len;

    if (!json_repeats(a->s, a->len) || !json_last(a->s, a->len, out->more)) {
        out->more->len = before;
        buf_add(out->more, a->s, a->len);
    }
    result_text(out);
}

/* ---- bitmaps of 4,096 bytes ---- */
enum { BITMAP = 4096 };

static char *bitmap_room(struct result *out)
{
    static const char zeros[64];

    for (int i = 0; i < BITMAP / 64; i++)
        buf_add(out->more, zeros, sizeof zeros);
    return buf_ok(out->more) ? out->more->data : NULL;
}

static void bitmap_of(const struct value *a, struct result *out)
{
    char *bits = bitmap_room(out);

    for (size_t k = 0; bits && k < a->n; k++) {
        int64_t at = a->items[k].i;

        if (a->items[k].null)
            continue;
        if (at < 0 || at >= 8 * BITMAP) {
            result_error(out,
                         "[INVALID_BITMAP_POSITION] The 0-indexed bitmap position %lld is out of bounds. The "
                         "bitmap has "
                         "32768 bits (4096 bytes). SQLSTATE: 22003",
                         (long long)at);
            return;
        }
        bits[at / 8] = (char)(bits[at / 8] | 1 << at % 8);
    }
    result_text(out);
}

static void bitmap_count(const struct value *a, struct result *out)
{
    out->i = 0;
    for (size_t i = 0; i < a->len; i++)
        out->i += __builtin_popcount((unsigned char)a->s[i]);
}

/* bitmap_or(a, b), bitmap_and(a, b): as long as a whole bitmap */
static void bitmap_both(const struct value *a, struct result *out, bool both)
{
    char *bits = bitmap_room(out);

    for (size_t i = 0; bits && i < BITMAP; i++) {
        unsigned x = i < a[0].len ? (unsigned char)a[0].s[i] : 0,
                 y = i < a[1].len ? (unsigned char)a[1].s[i] : 0;

        bits[i] = (char)(both ? x & y : x | y);
    }
    result_text(out);
}

static void bitmap_or(const struct value *a, struct result *out)
{
    bitmap_both(a, out, false);
}

static void bitmap_and(const struct value *a, struct result *out)
{
    bitmap_both(a, out, true);
}

/* ---- histogram_numeric: at most n bins; the two nearest are joined while there are more ---- */
/* histogram(values, n): x1, y1, x2, y2, … */
static void join_nearest(struct value *bins, size_t *n)
{
    size_t best = 0;

    for (size_t i = 1; i + 1 < *n; i++)
        if (bins[i + 1].f - bins[i].f < bins[best + 1].f - bins[best].f)
            best = i;
    double y = (double)(bins[best].i + bins[best + 1].i);
    bins[best].f = (bins[best].f * (double)bins[best].i + bins[best + 1].f * (double)bins[best + 1].i) / y;
    bins[best].i += bins[best + 1].i;
    memmove(bins + best + 1, bins + best + 2, (*n - best - 2) * sizeof *bins);
    --*n;
}

static void histogram(const struct value *a, struct result *out)
{
    size_t most = a[1].i < 2 ? 2 : (size_t)a[1].i, n;

    for (size_t k = 0; k < a->n; k++) {
        double v = a->items[k].f;
        size_t at = 0;

        if (a->items[k].null)
            continue;
        while (at < out->n_items && out->items[at].f < v)
            at++;
        if (at < out->n_items && out->items[at].f == v) {
            out->items[at].i++;
            continue;
        }
        result_item(out, (struct value){.f = v, .i = 1});
        if (*out->error)
            return;
        memmove(out->items + at + 1, out->items + at, (out->n_items - 1 - at) * sizeof *out->items);
        out->items[at] = (struct value){.f = v, .i = 1};
        if (out->n_items > most)
            join_nearest(out->items, &out->n_items);
    }
    n = out->n_items;
    for (size_t k = 0; k < n; k++)
        result_item(out, (struct value){0});
    for (size_t k = n; k-- > 0 && !*out->error;) {
        struct value bin = out->items[k];

        out->items[2 * k] = (struct value){.f = bin.f};
        out->items[2 * k + 1] = (struct value){.f = (double)bin.i};
    }
}

/* ---- decimals: a / b with every digit, half up ---- */
static bool read_decimal(const struct value *v, unsigned __int128 *digits, int *scale, bool *minus)
{
    bool point = false;

    *digits = 0;
    *scale = 0;
    *minus = v->len && v->s[0] == '-';
    for (size_t i = *minus; i < v->len; i++) {
        if (v->s[i] == '.') {
            point = true;
            continue;
        }
        if (v->s[i] < '0' || v->s[i] > '9')
            return false;
        *digits = *digits * 10 + (unsigned)(v->s[i] - '0');
        *scale += point;
    }
    return true;
}

/* The next digit of rest / by: ten times the rest is added up, as it may not fit in 128 bits. */
static unsigned next_digit(unsigned __int128 *rest, unsigned __int128 by)
{
    unsigned __int128 sum = 0;
    unsigned digit = 0;

    for (int i = 0; i < 10; i++) {
        sum += *rest;
        if (sum >= by) {
            sum -= by;
            digit++;
        }
    }
    *rest = sum;
    return digit;
}

/* decimal_divide(a, b, scale) -> the quotient's digits */
static void decimal_divide(const struct value *a, struct result *out)
{
    unsigned __int128 x, by, rest;
    char digits[160];
    int sx, sy, n = 0, keep;
    bool minus, other;
    size_t last;

    if (!read_decimal(&a[0], &x, &sx, &minus) || !read_decimal(&a[1], &by, &sy, &other) || by == 0) {
        result_null(out);
        return;
    }
    keep = (int)a[2].i + sy - sx; /* digits behind the integral quotient of the unscaled numbers */
    if (keep < 0 || keep > 110) {
        result_null(out);
        return;
    }
    rest = x % by;
    x /= by;
    do {
        digits[n++] = (char)('0' + (int)(x % 10));
        x /= 10;
    } while (x);
    for (int i = 0; i < n / 2; i++) {
        char c = digits[i];

        digits[i] = digits[n - 1 - i];
        digits[n - 1 - i] = c;
    }
    for (int i = 0; i < keep; i++)
        digits[n++] = (char)('0' + next_digit(&rest, by));
    if (next_digit(&rest, by) >= 5) {
        int i = n - 1;

        for (; i >= 0 && digits[i] == '9'; i--)
            digits[i] = '0';
        if (i >= 0)
            digits[i]++;
        else
            buf_putc(out->more, '1');
    }
    buf_add(out->more, digits, (size_t)n);
    while (out->more->len <= (size_t)a[2].i) { /* at least one digit before the point */
        buf_putc(out->more, '0');
        memmove(out->more->data + 1, out->more->data, out->more->len - 1);
        out->more->data[0] = '0';
    }
    last = out->more->len;
    buf_putc(out->more, '.');
    memmove(out->more->data + last - (size_t)a[2].i + 1, out->more->data + last - (size_t)a[2].i,
            (size_t)a[2].i);
    out->more->data[last - (size_t)a[2].i] = '.';
    if (minus != other) {
        buf_putc(out->more, '-');
        memmove(out->more->data + 1, out->more->data, out->more->len - 1);
        out->more->data[0] = '-';
    }
    result_text(out);
}

/* round_integer(value, digits behind the point (below 0), bits of the type, half to even) */
static void round_integer(const struct value *a, struct result *out)
{
    __int128 unit = 1, most = ((__int128)1 << (a[2].i - 1)) - 1, v = a[0].i, rest;
    bool minus = v < 0, up;

    for (int64_t i = a[1].i; i < 0; i++)
        unit *= 10;
    v = minus ? -v : v;
    rest = v % unit;
    v -= rest;
    up = 2 * rest > unit || (2 * rest == unit && (!a[3].i || v / unit % 2));
    v += up ? unit : 0;
    if (v > most + minus)
        result_error(out, "[ARITHMETIC_OVERFLOW] Overflow. If necessary set \"spark.sql.ansi.enabled\" to "
                          "\"false\" to bypass this error. SQLSTATE: 22003");
    out->i = (int64_t)(minus ? -v : v);
}

/* The double next to the digits of v, which are as few as mean it, rounded: as java.math.BigDecimal has them. */
static double round_digits(double v, int places, bool even)
{
    char t[64], digits[24];
    int n = 15, kept, exponent; /* whoever wrote it wrote at most 15, as a rule */
    bool up;

    for (; n <= 17; n++) {
        snprintf(t, sizeof t, "%.*e", n - 1, v);
        if (strtod(t, NULL) == v)
            break;
    }
    n = n > 17 ? 17 : n;
    while (n > 1 && t[n] == '0') /* the last digit; there is a point behind the first */
        n--;
    exponent = atoi(strchr(t, 'e') + 1);
    kept = exponent + 1 + places;
    if (kept >= n)
        return v;
    if (kept < 0)
        return 0;
    digits[0] = t[0];
    memcpy(digits + 1, t + 2, (size_t)n - 1);
    up = digits[kept] > '5' ||
         (digits[kept] == '5' && (kept + 1 < n || !even || (kept && (digits[kept - 1] - '0') % 2)));
    snprintf(t, sizeof t, "%.*se%d", kept, digits, -places);
    v = kept ? strtod(t, NULL) : 0;
    if (up) {
        snprintf(t, sizeof t, "%lld", kept ? strtoll((digits[kept] = '\0', digits), NULL, 10) + 1 : 1LL);
        snprintf(t + strlen(t), 16, "e%d", -places);
        v = strtod(t, NULL);
    }
    return v;
}

/* round_double(value, digits behind the point, half to even): only near a half are the digits looked at */
static void round_double(const struct value *a, struct result *out)
{
    static const double powers[] = {1,   1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    double v = fabs(a[0].f), scaled, rest;
    int places = a[1].i > 400 ? 400 : a[1].i < -400 ? -400 : (int)a[1].i;

    out->f = v == 0 ? 0 : a[0].f; /* there is no -0 */
    if (!isfinite(v) || v == 0)
        return;
    scaled = places >= 0 && places <= 15 ? v * powers[places] : 1e300;
    rest = scaled - floor(scaled);
    if (scaled < 1e14 && fabs(rest - 0.5) > 1e-9 + scaled * 1e-15)
        out->f = (floor(scaled) + (rest > 0.5)) / powers[places];
    else
        out->f = round_digits(v, places, a[2].i);
    out->f = a[0].f < 0 && out->f > 0 ? -out->f : out->f;
}

/* ---- numbers to the last digit, as Java's StrictMath has them ---- */
static void cbrt_fn(const struct value *a, struct result *out)
{
    double whole = rint(cbrt(a->f));

    out->f = whole * whole * whole == a->f ? whole : cbrt(a->f);
}

static void log1p_fn(const struct value *a, struct result *out)
{
    out->f = log1p(a->f);
}

static void expm1_fn(const struct value *a, struct result *out)
{
    out->f = expm1(a->f);
}

static void hypot_fn(const struct value *a, struct result *out)
{
    out->f = hypot(a[0].f, a[1].f);
}

/* ---- numbers in texts ---- */
/* Infinity and its kin, in any case */
static bool number_word(const char *s, size_t len, double *out)
{
    static const struct {
        const char *word;
        double value;
    } words[] = {{"inf", INFINITY}, {"infinity", INFINITY}, {"nan", NAN}};
    bool sign = len && (*s == '+' || *s == '-'), minus = len && *s == '-';

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (len - sign == strlen(words[i].word) && strncasecmp(s + sign, words[i].word, len - sign) == 0 &&
            (!sign || isinf(words[i].value))) {
            *out = minus ? -words[i].value : words[i].value;
            return true;
        }
    return false;
}

/* Digits with at most one point among them; how many digits. */
static size_t skip_digits(const char **s, const char *end, bool hex)
{
    size_t digits = 0;
    bool point = false;

    for (; *s < end; (*s)++) {
        if (**s == '.' && !point)
            point = true;
        else if (hex ? isxdigit((unsigned char)**s) : isdigit((unsigned char)**s))
            digits++;
        else
            break;
    }
    return digits;
}

/* 1.5, .5e-3, 0x1.8p1, with d or f behind it: strtod reads it but for that letter, and reads more. */
static bool is_java_number(const char *s, const char *end)
{
    bool hex;

    s += s < end && (*s == '+' || *s == '-');
    hex = end - s > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X');
    s += hex ? 2 : 0;
    if (skip_digits(&s, end, hex) == 0)
        return false;
    if (s < end && (hex ? *s == 'p' || *s == 'P' : *s == 'e' || *s == 'E')) {
        s += 1 + (s + 1 < end && (s[1] == '+' || s[1] == '-'));
        if (s == end || !isdigit((unsigned char)*s))
            return false;
        while (s < end && isdigit((unsigned char)*s))
            s++;
    } else if (hex) {
        return false;
    }
    s += s < end && strchr("dDfF", *s) != NULL;
    return s == end;
}

static void not_a_number(const struct value *a, struct result *out)
{
    int len = a[0].len > 60 ? 60 : (int)a[0].len;

    out->null = true;
    if (a[1].len)
        result_error(
            out,
            "[CAST_INVALID_INPUT] The value '%.*s' of the type \"STRING\" cannot be cast to \"%.*s\" because "
            "it "
            "is malformed. Correct the value as per the syntax, or change its target type. Use `try_cast` to "
            "tolerate malformed input and return NULL instead. SQLSTATE: 22018",
            len, a[0].s, (int)a[1].len, a[1].s);
}

/* java_double(text, type): what Double.parseDouble reads, and 'nan' and 'inf' in any case; of others an error that names the type, NULL where that
 * is '' */
static void java_double(const struct value *a, struct result *out)
{
    const char *s = a->s, *end = s + a->len;

    while (s < end && (unsigned char)*s <= ' ')
        s++;
    while (s < end && (unsigned char)end[-1] <= ' ')
        end--;
    if (number_word(s, (size_t)(end - s), &out->f))
        return;
    if (!is_java_number(s, end)) {
        not_a_number(a, out);
        return;
    }
    buf_add(out->more, s, (size_t)(end - s));
    buf_putc(out->more, '\0');
    out->f = strtod(out->more->data, NULL);
    buf_clear(out->more);
}

const struct scalar scalars_data[] = {
    {"lacus_decimal_divide", "ssi", 's', false, decimal_divide},
    {"lacus_round_double", "dii", 'd', false, round_double},
    {"lacus_round_integer", "liii", 'l', false, round_integer},
    {"lacus_cbrt", "d", 'd', false, cbrt_fn},
    {"lacus_log1p", "d", 'd', false, log1p_fn},
    {"lacus_expm1", "d", 'd', false, expm1_fn},
    {"lacus_hypot", "dd", 'd', false, hypot_fn},
    {"lacus_java_double", "ss", 'd', false, java_double},
    {"lacus_json_path", "s", 's', false, path_of},
    {"lacus_json_wildcard", "ss", 's', false, wildcard_of},
    {"lacus_json_first", "s", 's', false, first_of},
    {"lacus_json_last", "s", 's', false, last_of},
    {"lacus_csv_fields", "ss", 'S', false, csv_fields},
    {"lacus_csv_quote", "ss", 's', false, csv_quote},
    {"lacus_csv_field", "sss", 's', false, csv_field},
    {"lacus_bitmap", "L", 'b', false, bitmap_of},
    {"lacus_bitmap_count", "b", 'l', false, bitmap_count},
    {"lacus_bitmap_or", "bb", 'b', false, bitmap_or},
    {"lacus_bitmap_and", "bb", 'b', false, bitmap_and},
    {"lacus_histogram", "Di", 'D', false, histogram},
    {NULL, NULL, 0, false, NULL},
};
