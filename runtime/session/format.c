#include "runtime/session/format.h"
#include "runtime/base/utf8.h"
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH_MAX = 1 << 20, PRECISION_MAX = 1000, NUMBER_MAX = 2048 };

struct spec {
    char fill[4];
    size_t fill_len;
    char align; /* < > = ^ or 0: the type's own */
    char sign;  /* + - space, or 0: not given, as - */
    bool no_negative_zero, alternate;
    size_t width;
    char group;    /* , _ or 0 */
    int precision; /* -1: none */
    char type;     /* 0: none */
};

/* ---- reading a spec ---- */
static bool is_align(char c)
{
    return c == '<' || c == '>' || c == '=' || c == '^';
}

static const char *read_number(const char *p, const char *end, size_t max, size_t *out)
{
    *out = 0;
    while (p < end && *p >= '0' && *p <= '9') {
        *out = *out * 10 + (size_t)(*p++ - '0');
        if (*out > max)
            return NULL;
    }
    return p;
}

static const char *read_fill(struct spec *s, const char *p, const char *end)
{
    uint32_t code;
    size_t n = p < end ? utf8_decode(p, (size_t)(end - p), &code) : 0;

    if (n && p + n < end && is_align(p[n])) {
        memcpy(s->fill, p, n);
        s->fill_len = n;
        s->align = p[n];
        return p + n + 1;
    }
    if (p < end && is_align(*p))
        s->align = *p++;
    return p;
}

static bool take(const char **p, const char *end, char c)
{
    if (*p == end || **p != c)
        return false;
    ++*p;
    return true;
}

static enum lc read_spec(struct spec *s, const char *text, size_t len, bool is_text, struct err *err)
{
    const char *p = text, *end = text + len;
    size_t number;

    *s = (struct spec){.fill = " ", .fill_len = 1, .precision = -1};
    p = read_fill(s, p, end);
    bool filled = p > text + 1;
    if (p < end && (*p == '+' || *p == '-' || *p == ' ')) {
        if (is_text)
            return err_set(err, LC_ARG, "%s not allowed in string format specifier",
                           *p == ' ' ? "Space" : "Sign");
        s->sign = *p++;
    }
    s->no_negative_zero = take(&p, end, 'z');
    s->alternate = take(&p, end, '#');
    if (take(&p, end, '0')) {
        if (!filled)
            s->fill[0] = '0', s->fill_len = 1;
        if (!s->align && !is_text)
            s->align = '=';
    }
    p = read_number(p, end, WIDTH_MAX, &s->width);
    if (!p)
        return err_set(err, LC_ARG, "Too many decimal digits in format string");
    if (p < end && (*p == ',' || *p == '_'))
        s->group = *p++;
    if (p < end && (*p == ',' || *p == '_'))
        return *p == s->group ? err_set(err, LC_ARG, "Cannot specify '%c' with '%c'.", *p, *p)
                              : err_set(err, LC_ARG, "Cannot specify both ',' and '_'.");
    if (take(&p, end, '.')) {
        const char *digits = p;
        p = read_number(p, end, PRECISION_MAX, &number);
        if (!p)
            return err_set(err, LC_ARG, "precision too big");
        if (p == digits)
            return err_set(err, LC_ARG, "Format specifier missing precision");
        s->precision = (int)number;
    }
    if (end - p > 1)
        return err_set(err, LC_ARG, "Invalid format specifier '%.*s'", (int)len, text);
    s->type = p < end ? *p : 0;
    return LC_OK;
}

/* ---- putting it together ---- */
static void add_fill(struct buf *out, const struct spec *s, size_t n)
{
    while (n-- > 0)
        buf_add(out, s->fill, s->fill_len);
}

/* Text of `columns` code points within the width; align is what the type prefers. */
static void add_padded(struct buf *out, const struct spec *s, char align, const char *text, size_t len,
                       size_t columns)
{
    size_t pad = s->width > columns ? s->width - columns : 0, left;

    if (s->align)
        align = s->align;
    left = align == '>' || align == '=' ? pad : align == '^' ? pad / 2 : 0;
    add_fill(out, s, left);
    buf_add(out, text, len);
    add_fill(out, s, pad - left);
}

struct number {
    const char *prefix; /* 0x */
    const char *digits; /* the integer part */
    size_t n;
    const char *rest; /* point, fraction, exponent, % */
    bool negative;
    int group; /* digits between separators */
};

static char sign_of(const struct spec *s, bool negative)
{
    return negative ? '-' : s->sign == '-' ? 0 : s->sign;
}

/* The digits with separators, led by zeros to fill at least `least` characters. */
static void add_grouped(struct buf *out, const struct spec *s, const struct number *x, size_t least)
{
    size_t n = x->n, group = (size_t)x->group;

    while (n + (s->group ? (n - 1) / group : 0) < least)
        n++;
    for (size_t i = 0; i < n; i++) {
        if (i && s->group && (n - i) % group == 0)
            buf_putc(out, s->group);
        buf_putc(out, i < n - x->n ? '0' : x->digits[i - (n - x->n)]);
    }
}

static void add_number(struct buf *out, const struct spec *s, const struct number *x)
{
    struct buf body = BUF_INIT((size_t)WIDTH_MAX * 4);
    char sign = sign_of(s, x->negative);
    size_t outside = (sign != 0) + strlen(x->prefix) + strlen(x->rest), head, total;
    bool zeros = s->align == '=' && s->fill_len == 1 && s->fill[0] == '0';

    if (sign)
        buf_putc(&body, sign);
    buf_puts(&body, x->prefix);
    head = body.len;
    add_grouped(&body, s, x, zeros && s->width > outside ? s->width - outside : 0);
    buf_puts(&body, x->rest);
    total = body.len;
    if (s->align == '=' && total < s->width) { /* the fill goes between sign and digits */
        buf_add(out, buf_str(&body), head);
        add_fill(out, s, s->width - total);
        buf_add(out, buf_str(&body) + head, total - head);
    } else {
        add_padded(out, s, '>', buf_str(&body), total, total);
    }
    if (!buf_ok(&body))
        out->failed = true;
    buf_release(&body);
}

static enum lc unknown_code(const struct spec *s, const char *type, struct err *err)
{
    return err_set(err, LC_ARG, "Unknown format code '%c' for object of type '%s'", s->type, type);
}

/* ---- texts ---- */
static enum lc add_text(struct buf *out, struct spec *s, const char *text, size_t len, struct err *err)
{
    size_t columns;

    if (s->type && s->type != 's')
        return unknown_code(s, "str", err);
    if (s->group)
        return err_set(err, LC_ARG, "Cannot specify '%c' with 's'.", s->group);
    if (s->align == '=')
        return err_set(err, LC_ARG, "'=' alignment not allowed in string format specifier");
    if (s->alternate)
        return err_set(err, LC_ARG, "Alternate form (#) not allowed in string format specifier");
    if (s->no_negative_zero)
        return err_set(err, LC_ARG, "Negative zero coercion (z) not allowed in string format specifier");
    if (s->precision >= 0)
        len = utf8_offset(text, len, (size_t)s->precision);
    columns = utf8_count(text, len);
    add_padded(out, s, '<', text, len, columns);
    return LC_OK;
}

/* ---- integers ---- */
static const char *digits_of(uint64_t n, unsigned base, bool upper, char buffer[65])
{
    const char *set = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    char *p = buffer + 64;

    *p = '\0';
    do {
        *--p = set[n % base];
        n /= base;
    } while (n);
    return p;
}

static enum lc add_character(struct buf *out, struct spec *s, int64_t n, struct err *err)
{
    char text[4];
    size_t len;

    if (s->sign)
        return err_set(err, LC_ARG, "Sign not allowed with integer format specifier 'c'");
    if (s->alternate)
        return err_set(err, LC_ARG, "Alternate form (#) not allowed with integer format specifier 'c'");
    if (s->group)
        return err_set(err, LC_ARG, "Cannot specify '%c' with 'c'.", s->group);
    len = n < 0 || n > 0x10FFFF ? 0 : utf8_encode((uint32_t)n, text);
    if (len == 0)
        return err_set(err, LC_ARG, "%%c arg not in range(0x110000)");
    add_padded(out, s, '>', text, len, 1);
    return LC_OK;
}

static enum lc add_integer(struct buf *out, struct spec *s, int64_t n, struct err *err)
{
    static const struct {
        char type;
        unsigned base;
        const char *prefix;
    } bases[] = {{0, 10, ""},    {'d', 10, ""},   {'n', 10, ""},  {'b', 2, "0b"},
                 {'o', 8, "0o"}, {'x', 16, "0x"}, {'X', 16, "0X"}};
    char buffer[65];
    struct number x = {.prefix = "", .rest = "", .negative = n < 0, .group = 3};

    if (s->precision >= 0)
        return err_set(err, LC_ARG, "Precision not allowed in integer format specifier");
    if (s->no_negative_zero)
        return err_set(err, LC_ARG,
                       "Negative zero coercion (z) not allowed in format specifier with integer");
    if (s->type == 'c')
        return add_character(out, s, n, err);
    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) {
        if (bases[i].type != s->type)
            continue;
        if (s->group && ((s->group == ',' && bases[i].base != 10) || s->type == 'n'))
            return err_set(err, LC_ARG, "Cannot specify '%c' with '%c'.", s->group, s->type);
        if (s->alternate)
            x.prefix = bases[i].prefix;
        x.digits = digits_of(n < 0 ? 0 - (uint64_t)n : (uint64_t)n, bases[i].base, s->type == 'X', buffer);
        x.n = strlen(x.digits);
        x.group = bases[i].base == 10 ? 3 : 4;
        add_number(out, s, &x);
        return LC_OK;
    }
    return unknown_code(s, "int", err);
}

/* ---- floats ---- */

/* digits × 10^(point - n), without sign; for a number that is finite. */
struct decimal {
    char digits[PRECISION_MAX + 32];
    int n, point;
};

static void parse_decimal(const char *text, struct decimal *out) /* of printf's %e */
{
    const char *e = strchr(text, 'e');

    out->n = 0;
    for (const char *p = text; p < e && out->n < PRECISION_MAX + 31; p++)
        if (isdigit((unsigned char)*p))
            out->digits[out->n++] = *p;
    out->digits[out->n] = '\0';
    out->point = atoi(e + 1) + 1;
}

static void strip_zeros(struct decimal *x)
{
    while (x->n > 1 && x->digits[x->n - 1] == '0')
        x->digits[--x->n] = '\0';
}

static void shortest(double d, struct decimal *out)
{
    char text[64];

    for (int precision = 0; precision < 17; precision++) {
        snprintf(text, sizeof text, "%.*e", precision, d);
        if (strtod(text, NULL) == d)
            break;
    }
    parse_decimal(text, out);
    strip_zeros(out);
}

static char *put(char *p, const char *s, int n)
{
    memcpy(p, s, (size_t)n);
    return p + n;
}

static char *zeros(char *p, int n)
{
    memset(p, '0', (size_t)n);
    return p + n;
}

/* As Python's repr and its 'g' write it: an exponent when the point is far away. `whole` follows a number without
 * fraction: ".0", "." or "". */
static void write_decimal(char text[NUMBER_MAX], const struct decimal *x, int most, bool alternate,
                          const char *whole)
{
    char *p = text;
    int n = x->n;

    if (x->point <= -4 || x->point > most) {
        p = put(p, x->digits, 1);
        if (n > 1 || alternate)
            p = put(put(p, ".", 1), x->digits + 1, n - 1);
        snprintf(p, 16, "e%+03d", x->point - 1);
        return;
    }
    if (x->point <= 0)
        p = put(zeros(put(p, "0.", 2), -x->point), x->digits, n);
    else if (n <= x->point)
        p = put(zeros(put(p, x->digits, n), x->point - n), whole, (int)strlen(whole));
    else
        p = put(put(put(p, x->digits, x->point), ".", 1), x->digits + x->point, n - x->point);
    *p = '\0';
}

/* No type, and the types g, G and n (printf's own %#g loses the zeros of 999999.9999999). */
static void plain_float(char text[NUMBER_MAX], const struct spec *s, double d)
{
    struct decimal x;
    char e[PRECISION_MAX + 64];
    int precision = s->precision < 0 ? 6 : s->precision ? s->precision : 1;

    if (s->precision < 0 && !s->type) {
        shortest(d, &x);
        write_decimal(text, &x, 16, s->alternate, ".0");
        return;
    }
    snprintf(e, sizeof e, "%.*e", precision - 1, d);
    parse_decimal(e, &x);
    if (!s->alternate)
        strip_zeros(&x);
    if (s->type)
        write_decimal(text, &x, precision, s->alternate, s->alternate ? "." : "");
    else
        write_decimal(text, &x, precision - 1, s->alternate, ".0");
}

static void typed_float(char text[NUMBER_MAX], const struct spec *s, double d)
{
    char how[16], type = s->type == '%' ? 'f' : s->type;
    int precision = s->precision < 0 ? 6 : s->precision;
    size_t n;

    snprintf(how, sizeof how, "%%%s.*%c", s->alternate ? "#" : "", type);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(text, NUMBER_MAX, how, precision, d);
#pragma GCC diagnostic pop
    n = strlen(text);
    if (s->type == '%' && n + 1 < NUMBER_MAX)
        memcpy(text + n, "%", 2);
}

static bool is_zero_text(const char *text) /* does it show no digit but 0? */
{
    for (; *text && *text != 'e' && *text != 'E'; text++)
        if (*text >= '1' && *text <= '9')
            return false;
    return true;
}

static enum lc add_float(struct buf *out, struct spec *s, double d, struct err *err)
{
    char text[NUMBER_MAX];
    bool upper = s->type && strchr("EFG", s->type);
    struct number x = {.prefix = "", .negative = signbit(d) && !isnan(d), .group = 3};

    if (s->type && !strchr("eEfFgGn%", s->type))
        return unknown_code(s, "float", err);
    if (s->group && s->type == 'n')
        return err_set(err, LC_ARG, "Cannot specify '%c' with 'n'.", s->group);
    if (s->type == '%')
        d *= 100;
    d = fabs(d);
    if (!isfinite(d))
        snprintf(text, sizeof text, "%s%s", isnan(d) ? (upper ? "NAN" : "nan") : (upper ? "INF" : "inf"),
                 s->type == '%' ? "%" : "");
    else if (s->type && !strchr("gGn", s->type))
        typed_float(text, s, d);
    else
        plain_float(text, s, d);
    if (s->type == 'G')
        for (char *p = text; *p; p++)
            *p = (char)toupper((unsigned char)*p);
    if (s->no_negative_zero && is_zero_text(text))
        x.negative = false;
    x.digits = text;
    x.n = strspn(text, "0123456789");
    if (x.n == 0)
        x.n = 3; /* inf, nan */
    x.rest = text + x.n;
    if (!isfinite(d))
        s->group = 0;
    add_number(out, s, &x);
    return LC_OK;
}

/* ---- any value ---- */
static bool wants_integer(char type)
{
    return type && strchr("bcdoxX", type);
}

static bool wants_float(char type)
{
    return type && strchr("eEfFgG%", type);
}

enum lc format_value(struct buf *out, const struct format_value *v, const char *spec, size_t len,
                     struct err *err)
{
    struct spec s;
    double d = v->number;

    TRY(read_spec(&s, spec, len, v->kind == FORMAT_TEXT, err));
    if (v->kind == FORMAT_TEXT)
        TRY(add_text(out, &s, v->text, v->len, err));
    else if (v->kind == FORMAT_INTEGER && !wants_float(s.type))
        TRY(add_integer(out, &s, v->integer, err));
    else if (v->kind == FORMAT_INTEGER)
        TRY(add_float(out, &s, (double)v->integer, err));
    else if (wants_integer(s.type) && isfinite(d) && d == floor(d) && fabs(d) < 9.2e18)
        TRY(add_integer(out, &s, (int64_t)d, err));
    else
        TRY(add_float(out, &s, d, err));
    return buf_check(out, err);
}
