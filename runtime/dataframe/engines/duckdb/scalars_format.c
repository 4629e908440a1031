/* scalars_format.c: texts of intervals, Java's format_string, patterns of to_char and to_number. */
#include "runtime/dataframe/engines/duckdb/scalars.h"
#include "runtime/dataframe/interval.h"
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* interval_text(value, kind, fields) */
static void interval(const struct value *a, struct result *out)
{
    interval_text(out->more, (enum interval_kind)a[1].i, (int)a[2].i, a->months, a->days, a->i);
    result_text(out);
}

/* ---- format_string(pattern, texts, kinds): values come as texts; kinds has a letter for each: i f s b o ---- */
struct spec {
    char flags[8], conversion;
    int width, precision; /* -1: not given */
    size_t argument;      /* n$: from 1, 0: the next */
};

static const char *read_spec(const char *p, const char *end, struct spec *s)
{
    const char *digits = p;
    size_t n = 0, number = 0;

    *s = (struct spec){.width = -1, .precision = -1};
    while (digits < end && isdigit((unsigned char)*digits) && number < 100000)
        number = number * 10 + (size_t)(*digits++ - '0');
    if (digits > p && digits < end && *digits == '$') {
        s->argument = number;
        p = digits + 1;
    }
    for (; p < end && *p && strchr("-#+ 0,(", *p); p++)
        if (n < sizeof s->flags - 1)
            s->flags[n++] = *p;
    if (p < end && isdigit((unsigned char)*p))
        for (s->width = 0; p < end && isdigit((unsigned char)*p) && s->width < 10000; p++)
            s->width = s->width * 10 + (*p - '0');
    if (p < end && *p == '.')
        for (s->precision = 0, p++; p < end && isdigit((unsigned char)*p) && s->precision < 1000; p++)
            s->precision = s->precision * 10 + (*p - '0');
    s->conversion = p < end ? *p++ : '\0';
    return p;
}

/* 1234567 with commas between thousands; digits may have a sign and a fraction. */
static void put_grouped(struct buf *out, const char *digits)
{
    size_t whole;

    if (*digits == '-' || *digits == '+')
        buf_putc(out, *digits++);
    whole = strspn(digits, "0123456789");
    for (size_t i = 0; i < whole; i++) {
        if (i && (whole - i) % 3 == 0)
            buf_putc(out, ',');
        buf_putc(out, digits[i]);
    }
    buf_puts(out, digits + whole);
}

static void put_padded(struct buf *out, const struct spec *s, const char *text, size_t len)
{
    size_t width = s->width < 0 ? 0 : (size_t)s->width, shown = 0;
    bool left = strchr(s->flags, '-') != NULL,
         zero = strchr(s->flags, '0') != NULL && strchr("dfxXoeE", s->conversion);

    for (size_t i = 0; i < len; i++)
        shown += ((unsigned char)text[i] & 0xC0) != 0x80;
    if (zero && len && (*text == '-' || *text == '+')) {
        buf_putc(out, *text++);
        len--;
    }
    for (size_t i = shown; i < width && !left; i++)
        buf_putc(out, zero ? '0' : ' ');
    buf_add(out, text, len);
    for (size_t i = shown; i < width && left; i++)
        buf_putc(out, ' ');
}

/* Java rounds the shortest digits that mean the number, halves up: 100.125 is 100.13. */
static double half_up(double v, int places)
{
    char t[64];
    int n = 1, kept, exponent;
    unsigned long long digits = 0;
    const char *p = t;

    if (!isfinite(v) || places > 300)
        return v;
    for (; n <= 17; n++) {
        snprintf(t, sizeof t, "%.*e", n - 1, v);
        if (strtod(t, NULL) == v)
            break;
    }
    exponent = atoi(strchr(t, 'e') + 1);
    kept = exponent + 1 + places;
    if (kept >= n || n > 17)
        return v;
    if (kept < 0)
        return copysign(0, v);
    for (int i = 0; *p != 'e' && i <= kept; p++)
        if (isdigit((unsigned char)*p)) {
            if (i < kept)
                digits = digits * 10 + (unsigned)(*p - '0');
            else
                digits += *p >= '5';
            i++;
        }
    snprintf(t, sizeof t, "%s%llue%d", v < 0 ? "-" : "", digits, -places);
    return strtod(t, NULL);
}

static bool put_number(struct buf *out, const struct spec *s, const char *text, char kind)
{
    char c[1500];
    double v = strtod(text, NULL);
    long long i = strtoll(text, NULL, 10);

    switch (s->conversion) {
    case 'd':
        if (kind != 'i')
            return false;
        snprintf(c, sizeof c, strchr(s->flags, '+') ? "%+lld" : strchr(s->flags, ' ') ? "% lld" : "%lld", i);
        break;
    case 'x':
    case 'X':
    case 'o':
        if (kind != 'i')
            return false;
        snprintf(c, sizeof c, s->conversion == 'x' ? "%llx" : s->conversion == 'X' ? "%llX" : "%llo", i);
        break;
    case 'c':
        snprintf(c, sizeof c, "%c", (int)i);
        break;
    case 'e':
    case 'E':
        snprintf(c, sizeof c, s->conversion == 'e' ? "%.*e" : "%.*E", s->precision < 0 ? 6 : s->precision, v);
        break;
    case 'g':
        snprintf(c, sizeof c, "%.*g", s->precision < 0 ? 6 : s->precision, v);
        break;
    default:
        if (kind != 'f')
            return false;
        v = half_up(v, s->precision < 0 ? 6 : s->precision);
        snprintf(c, sizeof c, strchr(s->flags, '+') ? "%+.*f" : "%.*f", s->precision < 0 ? 6 : s->precision,
                 v);
    }
    if (strchr(s->flags, ',')) {
        struct buf grouped = BUF_INIT(4000);

        put_grouped(&grouped, c);
        put_padded(out, s, buf_str(&grouped), grouped.len);
        buf_release(&grouped);
    } else {
        put_padded(out, s, c, strlen(c));
    }
    return true;
}

static bool put_value(struct buf *out, const struct spec *s, const struct value *v, char kind)
{
    char text[200];
    size_t len = v->len;

    if (s->conversion == 'b' || s->conversion == 'B') {
        const char *word = v->null ? "false" : kind == 'o' && v->len == 5 ? "false" : "true";

        put_padded(out, s, word, strlen(word));
        return true;
    }
    if (v->null) {
        put_padded(out, s, "null", s->precision >= 0 && s->precision < 4 ? (size_t)s->precision : 4);
        return true;
    }
    if (s->conversion == 's' || s->conversion == 'S') {
        if (s->precision >= 0 && (size_t)s->precision < len)
            len = (size_t)s->precision;
        put_padded(out, s, v->s, len);
        return true;
    }
    if (!s->conversion || !strchr("dxXocfeEg", s->conversion) || v->len >= sizeof text)
        return false;
    memcpy(text, v->s, v->len);
    text[v->len] = '\0';
    return put_number(out, s, text, kind);
}

static void format_string(const struct value *a, struct result *out)
{
    const char *p = a->s, *end = p + a->len;
    size_t next = 0;

    while (p < end) {
        const char *start = p;
        struct spec s;
        size_t which;

        if (*p != '%') {
            buf_putc(out->more, *p++);
            continue;
        }
        p = read_spec(p + 1, end, &s);
        if (s.conversion == '%' || s.conversion == 'n') {
            buf_putc(out->more, s.conversion == 'n' ? '\n' : '%');
            continue;
        }
        which = s.argument ? s.argument - 1 : next++;
        if (which >= a[1].n || !put_value(out->more, &s, &a[1].items[which], a[2].s[which])) {
            result_error(out, "format_string: '%.*s' does not fit its argument%s", (int)(p - start), start,
                         which >= a[1].n ? ": there is none" : "");
            return;
        }
    }
    result_text(out);
}

/* ---- to_char, to_number: patterns of 0 9 . D , G $ S MI PR ---- */
struct pattern {
    char digits[80]; /* '0', '9' and ',' before the point */
    int whole, scale, n;
    bool dollar, minus_first, minus_last, sign_first, sign_last, brackets;
    char fraction[40];
};

static bool read_pattern(const struct value *v, struct pattern *p)
{
    bool point = false;

    memset(p, 0, sizeof *p);
    for (size_t i = 0; i < v->len; i++) {
        char c = (char)toupper((unsigned char)v->s[i]);
        bool last = i + 1 == v->len;

        if ((c == '0' || c == '9') && !point && p->n < 70) {
            p->digits[p->n++] = c;
            p->whole++;
        } else if ((c == '0' || c == '9') && point && p->scale < 38) {
            p->fraction[p->scale++] = c;
        } else if ((c == ',' || c == 'G') && !point && p->n && p->n < 70) {
            p->digits[p->n++] = ',';
        } else if ((c == '.' || c == 'D') && !point) {
            point = true;
        } else if (c == '$' && !p->dollar && !p->n) {
            p->dollar = true;
        } else if (c == 'S' && (i == 0 || last)) {
            *(i == 0 ? &p->sign_first : &p->sign_last) = true;
        } else if (c == 'M' && i + 1 < v->len && toupper((unsigned char)v->s[i + 1]) == 'I') {
            *(i == 0 ? &p->minus_first : &p->minus_last) = true;
            i++;
        } else if (c == 'P' && i + 2 == v->len && toupper((unsigned char)v->s[i + 1]) == 'R') {
            p->brackets = true;
            i++;
        } else {
            return false;
        }
    }
    return p->whole + p->scale > 0 && p->whole + p->scale <= 38;
}

static void bad_pattern(const struct value *v, struct result *out)
{
    result_error(
        out,
        "[INVALID_FORMAT.MISMATCH_INPUT] The format is invalid: '%.*s'. It is made of 0 9 . , $ S MI PR. "
        "SQLSTATE: 42601",
        (int)(v->len > 60 ? 60 : v->len), v->s);
}

/* The whole digits laid into the pattern: leading 9s without a digit are spaces (before) or nothing. */
static void put_whole(struct buf *out, const struct pattern *p, const char *digits, size_t n)
{
    int skip = p->whole - (int)n, seen = 0;
    bool begun = false;
    int first_zero = -1;

    for (int i = 0, k = 0; i < p->n; i++)
        if (p->digits[i] != ',') {
            if (p->digits[i] == '0' && first_zero < 0)
                first_zero = k;
            k++;
        }
    for (int i = 0; i < p->n; i++) {
        if (p->digits[i] == ',') {
            buf_putc(out, begun ? ',' : ' ');
            continue;
        }
        if (seen >= skip) {
            begun = true;
            buf_putc(out, digits[seen - skip]);
        } else if (first_zero >= 0 && seen >= first_zero) {
            begun = true;
            buf_putc(out, '0');
        } else {
            buf_putc(out, ' ');
        }
        seen++;
    }
}

/* to_char(decimal as text, pattern) */
static void to_char(const struct value *a, struct result *out)
{
    struct pattern p;
    const char *s = a->s, *end = a->s + a->len, *point;
    bool minus = s < end && *s == '-';
    struct buf body = BUF_INIT(400);
    size_t whole, spaces = 0, fraction;

    if (!read_pattern(&a[1], &p)) {
        bad_pattern(&a[1], out);
        return;
    }
    s += minus;
    point = memchr(s, '.', (size_t)(end - s));
    whole = (size_t)((point ? point : end) - s);
    while (whole > 0 && *s == '0') {
        s++;
        whole--;
    }
    fraction = point ? (size_t)(end - point - 1) : 0;
    while (fraction && point[fraction] == '0' && fraction > (size_t)p.scale)
        fraction--;
    if ((int)whole > p.whole || (int)fraction > p.scale) {
        for (size_t i = 0; i < a[1].len; i++)
            buf_putc(&body, toupper((unsigned char)a[1].s[i]) == '9' || a[1].s[i] == '0' ? '#' : a[1].s[i]);
        buf_add(out->more, buf_str(&body), body.len);
        buf_release(&body);
        result_text(out);
        return;
    }
    put_whole(&body, &p, s, whole);
    while (spaces < body.len && body.data[spaces] == ' ')
        spaces++;
    if (p.scale || memchr(a[1].s, '.', a[1].len)) {
        buf_putc(&body, '.');
        for (int i = 0; i < p.scale; i++)
            buf_putc(&body, (size_t)i < fraction ? point[1 + i] : '0');
    }
    for (size_t i = 0; i < spaces; i++)
        buf_putc(out->more, ' ');
    if (p.brackets && minus)
        buf_putc(out->more, '<');
    if (p.sign_first || p.minus_first)
        buf_putc(out->more, minus ? '-' : p.sign_first ? '+' : ' ');
    if (p.dollar)
        buf_putc(out->more, '$');
    buf_add(out->more, body.data + spaces, body.len - spaces);
    if (p.sign_last || p.minus_last)
        buf_putc(out->more, minus ? '-' : p.sign_last ? '+' : ' ');
    if (p.brackets)
        buf_puts(out->more, minus ? ">" : " ");
    buf_release(&body);
    result_text(out);
}

/* to_number(text, pattern, fail): the digits as text, without grouping */
static void to_number(const struct value *a, struct result *out)
{
    struct pattern p;
    int whole = 0, scale = 0;
    bool minus = false, point = false, good = true;
    size_t n = a->len;

    if (!read_pattern(&a[1], &p)) {
        bad_pattern(&a[1], out);
        return;
    }
    for (size_t i = 0; i < n && good; i++) {
        char c = a->s[i];

        if (isdigit((unsigned char)c)) {
            buf_putc(out->more, c);
            *(point ? &scale : &whole) += 1;
        } else if (c == '.' && !point && p.scale) {
            point = true;
            buf_putc(out->more, c);
        } else if (c == '-' || c == '<') {
            good = p.sign_first || p.sign_last || p.minus_first || p.minus_last || p.brackets;
            minus = true;
        } else {
            good = c == ' ' || (c == '+' && (p.sign_first || p.sign_last)) || (c == '$' && p.dollar) ||
                   (c == ',' && strchr(p.digits, ',')) || (c == '>' && p.brackets);
        }
    }
    good = good && whole <= p.whole && scale <= p.scale && whole + scale > 0;
    if (good && minus) {
        struct buf *b = out->more;

        buf_putc(b, ' ');
        memmove(b->data + 1, b->data, b->len - 1);
        b->data[0] = '-';
    }
    if (!good && a[2].i)
        result_error(
            out,
            "[INVALID_FORMAT.MISMATCH_INPUT] The format is invalid: '%.*s'. The input \"STRING\" '%.*s' does "
            "not match the format. SQLSTATE: 42601",
            (int)(a[1].len > 60 ? 60 : a[1].len), a[1].s, (int)(n > 60 ? 60 : n), a->s);
    out->null = !good;
    result_text(out);
}

const struct scalar scalars_format[] = {
    {"lacus_interval_text", "vii", 's', false, interval},
    {"lacus_format", "sSs", 's', false, format_string},
    {"lacus_to_char", "ss", 's', false, to_char},
    {"lacus_to_number", "ssi", 's', false, to_number},
    {NULL, NULL, 0, false, NULL},
};
