#include "runtime/base/buf.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"
#include <stdio.h>
#include <string.h>

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf)BUF_INIT(max);
}

void buf_release(struct buf *b)
{
    mem_free(b->data);
    *b = (struct buf)BUF_INIT(b->max);
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->failed = false;
    if (b->data)
        b->data[0] = '\0';
}

bool buf_ok(const struct buf *b)
{
    return !b->failed;
}

const char *buf_str(const struct buf *b)
{
    return b->data ? b->data : "";
}

bool buf_reserve(struct buf *b, size_t extra)
{
    size_t cap = b->cap ? b->cap : 64;
    char *data;

    if (b->failed || extra > b->max || b->len > b->max - extra)
        return b->failed = true, false;
    if (b->data && b->cap - b->len > extra)
        return true;
    while (cap - b->len <= extra)
        cap = cap > SIZE_MAX / 2 ? SIZE_MAX : cap * 2;
    data = mem_realloc(b->data, cap);
    if (!data)
        return b->failed = true, false;
    b->data = data;
    b->cap = cap;
    return true;
}

bool buf_add(struct buf *b, const void *data, size_t len)
{
    if (!buf_reserve(b, len))
        return false;
    if (len)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = '\0';
    return true;
}

bool buf_puts(struct buf *b, const char *s)
{
    return buf_add(b, s, strlen(s));
}

bool buf_putc(struct buf *b, char c)
{
    return buf_add(b, &c, 1);
}

bool buf_printf(struct buf *b, const char *fmt, ...)
{
    size_t room = b->data && !b->failed ? b->cap - b->len : 0;
    va_list ap, again;
    int n;
    bool ok;

    va_start(ap, fmt);
    va_copy(again, ap);
    /* mostly there is room: then it is written at once */
    n = vsnprintf(room ? b->data + b->len : NULL, room, fmt, ap);
    va_end(ap);
    ok = n >= 0 && buf_reserve(b, (size_t)n);
    if (ok && (size_t)n >= room)
        vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
    if (ok)
        b->len += (size_t)n;
    else if (b->data)
        b->data[b->len] = '\0';
    va_end(again);
    return ok;
}

char *buf_take(struct buf *b)
{
    char *data;

    if (!b->failed && !b->data)
        buf_add(b, "", 0);
    if (b->failed) {
        buf_release(b);
        return NULL;
    }
    data = b->data;
    *b = (struct buf)BUF_INIT(b->max);
    return data;
}

enum lc buf_check(const struct buf *b, struct err *err)
{
    if (!b->failed)
        return LC_OK;
    if (b->len >= b->max / 2)
        return err_set(err, LC_LIMIT, "text is longer than its limit of %zu bytes", b->max);
    return err_nomem(err);
}

/* The length of the run of bytes that stand for themselves in JSON. */
static size_t plain_run(const char *s, size_t len)
{
    size_t n = 0;

    while (n < len && (unsigned char)s[n] >= 32 && (unsigned char)s[n] < 127 && s[n] != '"' && s[n] != '\\')
        n++;
    return n;
}

static void json_character(struct buf *b, const char *s, size_t n)
{
    static const char names[] = "btnvfr"; /* for 8..13; \v has no short form in JSON */
    unsigned char c = (unsigned char)s[0];

    if (c == '"' || c == '\\')
        buf_add(b, (const char[]){'\\', s[0]}, 2);
    else if (c >= 8 && c <= 13 && c != 11)
        buf_add(b, (const char[]){'\\', names[c - 8]}, 2);
    else if (c < 32 || c == 127)
        buf_printf(b, "\\u%04x", c);
    else if (n == 0)
        buf_puts(b, "\xEF\xBF\xBD");
    else
        buf_add(b, s, n);
}

bool buf_json_text(struct buf *b, const char *s, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t n = plain_run(s + i, len - i);
        uint32_t code;

        buf_add(b, s + i, n);
        i += n;
        if (i == len)
            break;
        n = utf8_decode(s + i, len - i, &code);
        json_character(b, s + i, n);
        i += n ? n : 1;
    }
    return buf_ok(b);
}

bool buf_json(struct buf *b, const char *s, size_t len)
{
    buf_putc(b, '"');
    buf_json_text(b, s, len);
    return buf_putc(b, '"');
}

bool buf_utf8(struct buf *b, const char *s, size_t len)
{
    size_t good = 0;

    for (size_t i = 0, n; i < len; i += n) {
        uint32_t code;

        n = utf8_decode(s + i, len - i, &code);
        if (n)
            continue;
        buf_add(b, s + good, i - good);
        buf_puts(b, "\xEF\xBF\xBD");
        n = 1;
        good = i + 1;
    }
    return buf_add(b, s + good, len - good);
}

bool buf_html(struct buf *b, const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        const char *entity = s[i] == '&'    ? "&amp;"
                             : s[i] == '<'  ? "&lt;"
                             : s[i] == '>'  ? "&gt;"
                             : s[i] == '"'  ? "&quot;"
                             : s[i] == '\'' ? "&#39;"
                                            : NULL;
        if (entity)
            buf_puts(b, entity);
        else
            buf_putc(b, s[i]);
    }
    return buf_ok(b);
}
