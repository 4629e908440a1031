#include "runtime/base/redact.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { FORM_MAX = 1 << 20, HELD_MAX = 8192, LINE_MIN = 8, BASE64_MIN = 5, CUT_MIN = 6, JSON_DEPTH = 100 };
static const char mark[] = "[REDACTED]";

struct form {
    char *text; /* owned */
    size_t len;
};

struct redact {
    struct form *forms; /* owned; by first byte, then the longer first */
    size_t n, cap, longest;
    size_t first[257]; /* forms[first[c]] … forms[first[c + 1] - 1] begin with the byte c */
};

struct redact *redact_new(void)
{
    return mem_zalloc(sizeof(struct redact));
}

static void wipe(char *text, size_t len)
{
    volatile char *p = text;

    while (len-- > 0)
        *p++ = 0;
}

void redact_free(struct redact *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n; i++) {
        wipe(r->forms[i].text, r->forms[i].len);
        mem_free(r->forms[i].text);
    }
    mem_free(r->forms);
    mem_free(r);
}

bool redact_empty(const struct redact *r)
{
    return !r || r->n == 0;
}

/* ---- forms ---- */
static bool add_form(struct redact *r, const char *text, size_t len)
{
    char *copy;

    if (len < REDACT_MIN)
        return true;
    for (size_t i = 0; i < r->n; i++)
        if (r->forms[i].len == len && memcmp(r->forms[i].text, text, len) == 0)
            return true;
    if (r->n == r->cap) {
        size_t cap = r->cap ? 2 * r->cap : 32;
        struct form *forms = mem_reallocn(r->forms, cap, sizeof *forms);
        if (!forms)
            return false;
        r->forms = forms;
        r->cap = cap;
    }
    copy = mem_alloc(len + 1);
    if (!copy)
        return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    r->forms[r->n++] = (struct form){copy, len};
    if (len > r->longest)
        r->longest = len;
    return true;
}

static bool add_buf(struct redact *r, struct buf *b) /* releases it */
{
    bool ok = buf_ok(b) && add_form(r, buf_str(b), b->len);

    if (b->data)
        wipe(b->data, b->len);
    buf_release(b);
    return ok;
}

/* The digits of base64 that the value alone decides when `before` bytes stand in front of it; all of it with the
 * padding when it stands alone. */
static bool add_base64(struct redact *r, const unsigned char *value, size_t len, size_t before,
                       const char *alphabet, bool alone)
{
    struct buf b = BUF_INIT(FORM_MAX);
    size_t bits = (before + len) * 8, skip = (before * 8 + 5) / 6, end = alone ? (bits + 5) / 6 : bits / 6;

    for (size_t digit = skip; digit < end; digit++) {
        unsigned n = 0;
        for (size_t bit = digit * 6; bit < digit * 6 + 6; bit++) {
            size_t byte = bit / 8 - before;
            n = n << 1 | (bit < bits ? value[byte] >> (7 - bit % 8) & 1u : 0u);
        }
        buf_putc(&b, alphabet[n]);
    }
    if (alone) {
        while (b.len % 4 != 0 && buf_ok(&b))
            buf_putc(&b, '=');
    }
    if (b.len < BASE64_MIN)
        buf_clear(&b);
    return add_buf(r, &b);
}

static bool add_all_base64(struct redact *r, const char *value, size_t len)
{
    static const char *const alphabets[] = {
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"};
    const unsigned char *bytes = (const unsigned char *)value;
    bool ok = true;

    for (size_t a = 0; a < 2; a++) {
        ok = add_base64(r, bytes, len, 0, alphabets[a], true) && ok;
        for (size_t before = 0; before < 3; before++)
            ok = add_base64(r, bytes, len, before, alphabets[a], false) && ok;
    }
    return ok;
}

/* also: what stays as it is beside letters, digits and -_.~ */
static bool add_url(struct redact *r, const char *value, size_t len, const char *also, const char *digits,
                    bool plus)
{
    struct buf b = BUF_INIT(FORM_MAX);

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)value[i];
        if ((c < 128 && isalnum(c)) || (c && (strchr("-_.~", c) || strchr(also, c))))
            buf_putc(&b, (char)c);
        else if (c == ' ' && plus)
            buf_putc(&b, '+');
        else {
            buf_putc(&b, '%');
            buf_putc(&b, digits[c >> 4]);
            buf_putc(&b, digits[c & 15]);
        }
    }
    return add_buf(r, &b);
}

static const char upper[] = "0123456789ABCDEF", lower[] = "0123456789abcdef";

static bool add_all_urls(struct redact *r, const char *value, size_t len)
{
    bool ok = add_url(r, value, len, "", upper, false) && add_url(r, value, len, "", lower, false);

    return add_url(r, value, len, "/", upper, false) && add_url(r, value, len, "", upper, true) &&
           add_url(r, value, len, "!'()*", upper, false) && ok;
}

static bool add_hex(struct redact *r, const char *value, size_t len, const char *digits)
{
    struct buf b = BUF_INIT(FORM_MAX);

    for (size_t i = 0; i < len; i++) {
        buf_putc(&b, digits[(unsigned char)value[i] >> 4]);
        buf_putc(&b, digits[value[i] & 15]);
    }
    return add_buf(r, &b);
}

/* JSON with \uXXXX for what is not ASCII, as many encoders write it. */
static bool add_ascii(struct redact *r, const char *value, size_t len)
{
    json_t *string = json_stringn(value, len);
    char *text = string ? json_dumps(string, JSON_ENCODE_ANY | JSON_ENSURE_ASCII) : NULL;
    size_t n = text ? strlen(text) : 0;
    bool ok = n < 3 || add_form(r, text + 1, n - 2); /* without the quotes */

    for (size_t i = 0; i + 5 < n; i++)
        if (text[i] == '\\' && text[i + 1] == 'u')
            for (size_t k = i + 2; k < i + 6; k++)
                text[k] = (char)tolower((unsigned char)text[k]);
    ok = (n < 3 || add_form(r, text + 1, n - 2)) && ok;
    if (text)
        wipe(text, n);
    free(text);
    json_decref(string);
    return ok;
}

static bool add_escaped(struct redact *r, const char *value, size_t len)
{
    struct buf json = BUF_INIT(FORM_MAX), html = BUF_INIT(FORM_MAX), fixed = BUF_INIT(FORM_MAX);
    bool ok;

    buf_json_text(&json, value, len);
    buf_html(&html, value, len);
    buf_utf8(&fixed, value, len);
    ok = add_buf(r, &json);
    ok = add_buf(r, &html) && ok;
    ok = add_ascii(r, value, len) && ok;
    return add_buf(r, &fixed) && ok;
}

/* A key of several lines may come out line by line. */
static bool add_lines(struct redact *r, const char *value, size_t len)
{
    const char *p = value, *end = value + len;
    bool ok = true;

    while (p < end) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        size_t n = (size_t)((stop ? stop : end) - p);
        if (n > 0 && p[n - 1] == '\r')
            n--;
        if (n < len && n >= LINE_MIN && memcmp(p, "-----", 5) != 0)
            ok = add_form(r, p, n) && ok;
        p = stop ? stop + 1 : end;
    }
    return ok;
}

static int by_first(const void *a, const void *b)
{
    const struct form *x = a, *y = b;
    int order = (int)(unsigned char)x->text[0] - (int)(unsigned char)y->text[0];

    if (order)
        return order;
    return x->len > y->len ? -1 : x->len < y->len;
}

static void index_forms(struct redact *r)
{
    size_t i = 0;

    qsort(r->forms, r->n, sizeof *r->forms, by_first);
    for (size_t c = 0; c < 256; c++) {
        r->first[c] = i;
        while (i < r->n && (unsigned char)r->forms[i].text[0] == c)
            i++;
    }
    r->first[256] = r->n;
}

bool redact_add(struct redact *r, const char *value, size_t len)
{
    bool ok;

    while (len > 0 && (value[len - 1] == '\n' || value[len - 1] == '\r')) { /* "$(cat key)" has no line end */
        if (len > REDACT_MIN && !add_all_base64(r, value, len))
            return false;
        len--;
    }
    if (len < REDACT_MIN)
        return false;
    ok = add_form(r, value, len) && add_all_base64(r, value, len) && add_all_urls(r, value, len) &&
         add_hex(r, value, len, lower) && add_hex(r, value, len, upper) && add_escaped(r, value, len) &&
         add_lines(r, value, len);
    index_forms(r);
    return ok;
}

/* ---- looking ---- */

static bool is_cut(const char *text, size_t len)
{
    return len >= 3 && (memcmp(text, "...", 3) == 0 || memcmp(text, "…", 3) == 0);
}

/* The beginning of a form that was cut to fit a column: "hunter22hun...". */
static size_t cut_at(const struct form *f, const char *text, size_t len)
{
    size_t same = 0;

    while (same < f->len && same < len && f->text[same] == text[same])
        same++;
    for (size_t dots = 0; dots < 3 && same >= CUT_MIN; dots++, same--) /* it may have dots of its own */
        if (is_cut(text + same, len - same))
            return same;
    return 0;
}

/* The length of the form that begins here, or 0. */
static size_t at(const struct redact *r, const char *text, size_t len)
{
    unsigned c = (unsigned char)*text;
    size_t n = 0;

    for (size_t i = r->first[c]; i < r->first[c + 1]; i++)
        if (r->forms[i].len <= len && memcmp(r->forms[i].text, text, r->forms[i].len) == 0)
            return r->forms[i].len;
    for (size_t i = r->first[c]; i < r->first[c + 1] && n == 0; i++)
        n = cut_at(&r->forms[i], text, len);
    return n;
}

size_t redact_text(const struct redact *r, const char *text, size_t len, struct buf *out)
{
    size_t done = 0, found = 0;

    for (size_t i = 0; !redact_empty(r) && i < len;) {
        size_t n = at(r, text + i, len - i);
        if (n == 0) {
            i++;
            continue;
        }
        buf_add(out, text + done, i - done);
        buf_puts(out, mark);
        done = i += n;
        found++;
    }
    buf_add(out, text + done, len - done);
    return found;
}

static bool begins(const struct redact *r, const char *text, size_t len)
{
    unsigned c = (unsigned char)*text;

    for (size_t i = r->first[c]; i < r->first[c + 1]; i++)
        if (r->forms[i].len > len && memcmp(r->forms[i].text, text, len) == 0)
            return true;
    return false;
}

/* The first place from which on all may belong to a value that is not complete yet; complete ones are stepped over. */
size_t redact_held(const struct redact *r, const char *text, size_t len)
{
    for (size_t i = 0; !redact_empty(r) && i < len;) {
        size_t left = len - i, n;
        if (left < r->longest && left <= HELD_MAX && begins(r, text + i, left))
            return left;
        n = at(r, text + i, left);
        i += n ? n : 1;
    }
    return 0;
}

/* ---- JSON ---- */
static json_t *clean(const struct redact *r, json_t *value, int depth);

static json_t *clean_string(const struct redact *r, json_t *value)
{
    const char *text = json_string_value(value);
    size_t len = json_string_length(value);
    struct buf out = BUF_INIT(SIZE_MAX / 2);
    json_t *new = NULL;

    if (redact_text(r, text, len, &out) > 0)
        new = buf_ok(&out) ? json_stringn(buf_str(&out), out.len) : json_string(mark);
    buf_release(&out);
    return new;
}

static json_t *clean_array(const struct redact *r, json_t *value, int depth)
{
    json_t *new = NULL, *item;
    size_t i;

    json_array_foreach (value, i, item) {
        json_t *other = clean(r, item, depth);
        if (other && !new)
            new = json_copy(value);
        if (other)
            json_array_set_new(new, i, other);
    }
    return new;
}

static json_t *clean_object(const struct redact *r, json_t *value, int depth)
{
    json_t *new = NULL, *item;
    const char *key;

    json_object_foreach (value, key, item) {
        struct buf name = BUF_INIT(SIZE_MAX / 2);
        json_t *other = clean(r, item, depth);
        bool renamed = redact_text(r, key, strlen(key), &name) > 0;
        if ((other || renamed) && !new)
            new = json_copy(value);
        if (renamed)
            json_object_del(new, key);
        if (renamed)
            json_object_set(new, buf_str(&name), other ? other : item);
        else if (other)
            json_object_set(new, key, other);
        json_decref(other);
        buf_release(&name);
    }
    return new;
}

/* NULL: nothing was in it. */
static json_t *clean(const struct redact *r, json_t *value, int depth)
{
    if (depth > JSON_DEPTH)
        return json_string(mark);
    if (json_is_string(value))
        return clean_string(r, value);
    if (json_is_array(value))
        return clean_array(r, value, depth + 1);
    return json_is_object(value) ? clean_object(r, value, depth + 1) : NULL;
}

json_t *redact_json(const struct redact *r, json_t *value)
{
    json_t *new = redact_empty(r) || !value ? NULL : clean(r, value, 0);

    return new ? new : json_incref(value);
}
