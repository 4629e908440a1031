/* scalars_text.c: distances, quotes, sentences, URLs, checks of UTF-8. */
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"
#include "runtime/dataframe/engines/duckdb/scalars.h"
#include "runtime/dataframe/java_regex.h"
#include <ctype.h>
#include <string.h>
#include <strings.h>

static size_t next_code(const struct value *text, size_t at, uint32_t *code)
{
    size_t n = utf8_decode(text->s + at, text->len - at, code);

    if (!n) /* a byte that is no character counts as one */
        *code = (unsigned char)text->s[at];
    return n ? n : 1;
}

/* Edit distance in characters: one row of the table at a time, behind the codes of the second text. */
static void levenshtein(const struct value *a, struct result *out)
{
    size_t n = utf8_count(a[1].s, a[1].len), at = 0, i = 0;
    uint32_t *codes = mem_calloc(2 * n + 2, sizeof *codes), *row = codes ? codes + n : NULL;

    if (!codes) {
        result_error(out, "out of memory");
        return;
    }
    for (size_t k = 0; k < n; k++, row[k] = (uint32_t)k)
        at += next_code(&a[1], at, &codes[k]);
    row[0] = 0;
    for (at = 0; at < a[0].len; i++) {
        uint32_t code, before = (uint32_t)i, cost;

        at += next_code(&a[0], at, &code);
        row[0] = (uint32_t)i + 1;
        for (size_t k = 1; k <= n; k++) {
            cost = before + (codes[k - 1] != code);
            before = row[k];
            cost = cost < before + 1 ? cost : before + 1;
            row[k] = cost < row[k - 1] + 1 ? cost : row[k - 1] + 1;
        }
    }
    out->i = row[n];
    mem_free(codes);
}

static void quote(const struct value *a, struct result *out)
{
    buf_putc(out->more, '\'');
    for (size_t i = 0; i < a->len; i++) {
        if (a->s[i] == '\'')
            buf_putc(out->more, '\\');
        buf_putc(out->more, a->s[i]);
    }
    buf_putc(out->more, '\'');
    result_text(out);
}

static void luhn_check(const struct value *a, struct result *out)
{
    int sum = 0;
    bool twice = false;

    out->i = a->len > 0;
    for (size_t i = a->len; i-- > 0 && out->i;) {
        int digit = a->s[i] - '0';

        if (digit < 0 || digit > 9)
            out->i = 0;
        digit = twice ? 2 * digit : digit;
        sum += digit > 9 ? digit - 9 : digit;
        twice = !twice;
    }
    out->i = out->i && sum % 10 == 0;
}

/* Words of sentences, as one text: words end with 0x1F, sentences with 0x1E. */
static void sentences(const struct value *a, struct result *out)
{
    bool word = false, any = false;

    for (size_t i = 0; i <= a->len; i++) {
        unsigned char c = i < a->len ? (unsigned char)a->s[i] : '.';
        bool inner = (c == '\'' || c == '-') && word && i + 1 < a->len && isalnum((unsigned char)a->s[i + 1]);

        if (isalnum(c) || c >= 0x80 || c == '_' || inner) {
            buf_putc(out->more, (char)c);
            word = any = true;
            continue;
        }
        if (word)
            buf_putc(out->more, '\x1F');
        word = false;
        if (any && (c == '.' || c == '!' || c == '?')) {
            buf_putc(out->more, '\x1E');
            any = false;
        }
    }
    result_text(out);
}

/* ---- UTF-8 ---- */
static void utf8_is_valid(const struct value *a, struct result *out)
{
    out->i = utf8_valid(a->s, a->len);
}

/* Every byte that is part of no character becomes U+FFFD; the bytes of one broken character become one. */
static void utf8_make_valid(const struct value *a, struct result *out)
{
    for (size_t i = 0; i < a->len;) {
        unsigned char c = (unsigned char)a->s[i];
        size_t n = c < 0x80 ? 1 : c < 0xC2 ? 0 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : c < 0xF5 ? 4 : 0, k = 1;

        while (k < n && i + k < a->len && ((unsigned char)a->s[i + k] & 0xC0) == 0x80)
            k++;
        if (n && k == n && utf8_valid(a->s + i, n))
            buf_add(out->more, a->s + i, n);
        else
            buf_puts(out->more, "\xEF\xBF\xBD");
        i += n && k == n && utf8_valid(a->s + i, n) ? n : (n > 1 && k > 1 && k < n ? k : 1);
    }
    result_text(out);
}

/* java_replacement(replacement, groups of the pattern): for RE2 */
static void replacement(const struct value *a, struct result *out)
{
    struct buf empty = BUF_INIT((size_t)1 << 30);
    const char *wrong = java_replacement(a->s, a->len, (int)a[1].i, out->more, &empty);

    buf_release(&empty);
    if (wrong)
        result_error(
            out,
            "[INVALID_REGEXP_REPLACE] Could not perform regexp_replace with the replacement = \"%.*s\": %s. "
            "SQLSTATE: 22023",
            (int)(a->len > 60 ? 60 : a->len), a->s, wrong);
    result_text(out);
}

/* ---- URLs ---- */
struct url {
    struct value scheme, authority, userinfo, host, path, query, ref;
};

static struct value part(const char *from, const char *to)
{
    return (struct value){.s = from, .len = (size_t)(to - from)};
}

static const char *find(const char *from, const char *end, const char *any)
{
    while (from < end && !strchr(any, *from))
        from++;
    return from;
}

/* Only what java.net.URI takes: no spaces, and % before two hexadecimal digits. */
static bool url_valid(const struct value *a)
{
    for (size_t i = 0; i < a->len; i++) {
        unsigned char c = (unsigned char)a->s[i];

        if (c <= ' ' || strchr("\"<>\\^`{|}", c))
            return false;
        if (c == '%' && (i + 2 >= a->len || !isxdigit((unsigned char)a->s[i + 1]) ||
                         !isxdigit((unsigned char)a->s[i + 2])))
            return false;
    }
    return true;
}

static bool url_split(const struct value *a, struct url *u)
{
    const char *p = a->s, *end = a->s + a->len, *stop, *at;

    memset(u, 0, sizeof *u);
    if (!url_valid(a))
        return false;
    stop = find(p, end, ":/?#");
    if (stop < end && *stop == ':' && stop > p) {
        u->scheme = part(p, stop);
        p = stop + 1;
    }
    if (end - p >= 2 && p[0] == '/' && p[1] == '/') {
        stop = find(p + 2, end, "/?#");
        u->authority = part(p + 2, stop);
        p = p + 2;
        at = memchr(p, '@', (size_t)(stop - p));
        if (at) {
            u->userinfo = part(p, at);
            p = at + 1;
        }
        u->host = part(p, *p == '[' ? find(p, stop, "]") + 1 : find(p, stop, ":"));
        p = stop;
    }
    stop = find(p, end, "?#");
    u->path = part(p, stop);
    if (stop < end && *stop == '?') {
        p = stop + 1;
        stop = find(p, end, "#");
        u->query = part(p, stop);
    }
    if (stop < end)
        u->ref = part(stop + 1, end);
    return true;
}

static void hand_on(struct result *out, struct value v)
{
    out->null = v.s == NULL;
    out->text = (char *)(uintptr_t)v.s;
    out->len = v.len;
}

static bool named(const struct value *v, const char *name)
{
    return v->len == strlen(name) && memcmp(v->s, name, v->len) == 0;
}

static void query_value(const struct value *query, const struct value *key, struct result *out)
{
    const char *p = query->s, *end = p + query->len;

    out->null = true;
    while (p && p < end) {
        const char *stop = find(p, end, "&"), *equals = find(p, stop, "=");

        if (equals < stop && (size_t)(equals - p) == key->len && memcmp(p, key->s, key->len) == 0) {
            hand_on(out, part(equals + 1, stop));
            return;
        }
        p = stop + 1;
    }
}

/* parse_url(url, part, key, fail): key may be NULL */
static void parse_url(const struct value *a, struct result *out)
{
    struct url u;

    out->null = true;
    if (a[0].null || a[1].null)
        return;
    if (!url_split(a, &u)) {
        if (a[3].i)
            result_error(
                out,
                "[INVALID_URL] The url is invalid: %.*s. Use `try_parse_url` to tolerate invalid URL and "
                "return NULL instead. SQLSTATE: 22P02",
                a->len > 100 ? 100 : (int)a->len, a->s);
        return;
    }
    if (named(&a[1], "HOST"))
        hand_on(out, u.host);
    else if (named(&a[1], "PATH"))
        hand_on(out, u.path);
    else if (named(&a[1], "QUERY") && !a[2].null)
        query_value(&u.query, &a[2], out);
    else if (named(&a[1], "QUERY"))
        hand_on(out, u.query);
    else if (named(&a[1], "REF"))
        hand_on(out, u.ref);
    else if (named(&a[1], "PROTOCOL"))
        hand_on(out, u.scheme);
    else if (named(&a[1], "AUTHORITY"))
        hand_on(out, u.authority);
    else if (named(&a[1], "USERINFO"))
        hand_on(out, u.userinfo);
    else if (named(&a[1], "FILE"))
        hand_on(out, u.query.s ? part(u.path.s, u.query.s + u.query.len) : u.path);
}

static int hex_digit(int c)
{
    return c >= '0' && c <= '9'                     ? c - '0'
           : tolower(c) >= 'a' && tolower(c) <= 'f' ? tolower(c) - 'a' + 10
                                                    : -1;
}

/* url_decode(text, fail) */
static void url_decode(const struct value *a, struct result *out)
{
    bool good = true;

    for (size_t i = 0; i < a->len && good; i++) {
        int high, low;

        if (a->s[i] != '%') {
            buf_putc(out->more, a->s[i] == '+' ? ' ' : a->s[i]);
            continue;
        }
        high = i + 2 < a->len ? hex_digit(a->s[i + 1]) : -1;
        low = i + 2 < a->len ? hex_digit(a->s[i + 2]) : -1;
        good = high >= 0 && low >= 0;
        buf_putc(out->more, (char)(high * 16 + low));
        i += 2;
    }
    good = good && utf8_valid(buf_str(out->more), out->more->len);
    if (!good && a[1].i)
        result_error(
            out,
            "[CANNOT_DECODE_URL] The provided URL cannot be decoded: %.*s. Please ensure that the URL is "
            "properly formatted and try again. SQLSTATE: 22546",
            a->len > 100 ? 100 : (int)a->len, a->s);
    out->null = !good;
    result_text(out);
}

static void url_encode(const struct value *a, struct result *out)
{
    for (size_t i = 0; i < a->len; i++) {
        unsigned char c = (unsigned char)a->s[i];

        if (isalnum(c) || (c && strchr(".-*_", c)))
            buf_putc(out->more, (char)c);
        else if (c == ' ')
            buf_putc(out->more, '+');
        else
            buf_printf(out->more, "%%%02X", c);
    }
    result_text(out);
}

const struct scalar scalars_text[] = {
    {"lacus_java_replacement", "si", 's', false, replacement},
    {"lacus_levenshtein", "ss", 'i', false, levenshtein},
    {"lacus_quote", "s", 's', false, quote},
    {"lacus_luhn_check", "s", 'o', false, luhn_check},
    {"lacus_sentences", "s", 's', false, sentences},
    {"lacus_utf8_valid", "b", 'o', false, utf8_is_valid},
    {"lacus_utf8_make_valid", "b", 's', false, utf8_make_valid},
    {"lacus_parse_url", "sssi", 's', true, parse_url},
    {"lacus_url_decode", "si", 's', false, url_decode},
    {"lacus_url_encode", "s", 's', false, url_encode},
    {NULL, NULL, 0, false, NULL},
};
