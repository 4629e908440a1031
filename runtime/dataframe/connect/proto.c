#include "runtime/dataframe/connect/proto.h"
#include <string.h>

/* ---- writing ---- */
static size_t varint(unsigned char out[10], uint64_t v)
{
    size_t n = 0;

    do {
        out[n++] = (unsigned char)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
        v >>= 7;
    } while (v);
    return n;
}

static void put_varint(struct buf *b, uint64_t v)
{
    unsigned char bytes[10];

    buf_add(b, bytes, varint(bytes, v));
}

static void put_tag(struct buf *b, unsigned field, unsigned wire)
{
    put_varint(b, (uint64_t)field << 3 | wire);
}

void pb_int(struct buf *b, unsigned field, int64_t value)
{
    put_tag(b, field, PB_VARINT);
    put_varint(b, (uint64_t)value);
}

static void put_little(struct buf *b, uint64_t v, size_t n)
{
    unsigned char bytes[8];

    for (size_t i = 0; i < n; i++)
        bytes[i] = (unsigned char)(v >> 8 * i);
    buf_add(b, bytes, n);
}

void pb_double(struct buf *b, unsigned field, double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    put_tag(b, field, PB_FIXED64);
    put_little(b, bits, 8);
}

void pb_float(struct buf *b, unsigned field, float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof bits);
    put_tag(b, field, PB_FIXED32);
    put_little(b, bits, 4);
}

void pb_bytes(struct buf *b, unsigned field, const void *data, size_t len)
{
    put_tag(b, field, PB_BYTES);
    put_varint(b, len);
    if (len)
        buf_add(b, data, len);
}

void pb_text(struct buf *b, unsigned field, const char *text)
{
    if (text)
        pb_bytes(b, field, text, strlen(text));
}

void pb_pair(struct buf *b, unsigned field, const char *key, const char *value)
{
    size_t mark = pb_begin(b, field);

    pb_text(b, 1, key);
    pb_text(b, 2, value);
    pb_end(b, mark);
}

size_t pb_begin(struct buf *b, unsigned field)
{
    put_tag(b, field, PB_BYTES);
    buf_putc(b, 0); /* the length, which is one byte for most messages */
    return b->len;
}

void pb_end(struct buf *b, size_t mark)
{
    unsigned char bytes[10];
    size_t len, n;

    if (!buf_ok(b) || b->len < mark)
        return;
    len = b->len - mark;
    n = varint(bytes, len);
    if (n > 1) {
        if (!buf_add(b, bytes, n - 1)) /* room; its place is taken in the next line */
            return;
        memmove(b->data + mark + n - 1, b->data + mark, len);
    }
    memcpy(b->data + mark - 1, bytes, n);
}

void pb_empty(struct buf *b, unsigned field)
{
    pb_bytes(b, field, NULL, 0);
}

/* ---- reading ---- */
struct pb_reader pb_open(const void *data, size_t len)
{
    static const unsigned char nothing[1];
    const unsigned char *p = len ? data : nothing;

    return (struct pb_reader){p, p + len, false};
}

struct pb_reader pb_inside(const struct pb_field *f)
{
    return f->wire == PB_BYTES ? pb_open(f->data, f->len) : pb_open(NULL, 0);
}

static bool fail(struct pb_reader *r)
{
    r->failed = true;
    r->p = r->end;
    return false;
}

static bool get_varint(struct pb_reader *r, uint64_t *out)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 70 && r->p < r->end; shift += 7) {
        unsigned char c = *r->p++;
        if (shift == 63 && c > 1)
            return fail(r);
        v |= (uint64_t)(c & 0x7f) << shift;
        if (c < 0x80) {
            *out = v;
            return true;
        }
    }
    return fail(r);
}

static bool get_little(struct pb_reader *r, uint64_t *out, size_t n)
{
    if ((size_t)(r->end - r->p) < n)
        return fail(r);
    *out = 0;
    for (size_t i = 0; i < n; i++)
        *out |= (uint64_t)r->p[i] << 8 * i;
    r->p += n;
    return true;
}

static bool get_bytes(struct pb_reader *r, struct pb_field *f)
{
    uint64_t len;

    if (!get_varint(r, &len))
        return false;
    if (len > (uint64_t)(r->end - r->p))
        return fail(r);
    f->data = (const char *)r->p;
    f->len = (size_t)len;
    r->p += len;
    return true;
}

bool pb_next(struct pb_reader *r, struct pb_field *f)
{
    uint64_t tag;

    *f = (struct pb_field){.data = ""};
    if (r->failed || r->p >= r->end || !get_varint(r, &tag))
        return false;
    if (tag >> 3 == 0 || tag >> 3 > 0x1fffffff)
        return fail(r);
    f->number = (unsigned)(tag >> 3);
    switch (tag & 7) {
    case PB_VARINT:
        f->wire = PB_VARINT;
        return get_varint(r, &f->value);
    case PB_FIXED64:
        f->wire = PB_FIXED64;
        return get_little(r, &f->value, 8);
    case PB_FIXED32:
        f->wire = PB_FIXED32;
        return get_little(r, &f->value, 4);
    case PB_BYTES:
        f->wire = PB_BYTES;
        return get_bytes(r, f);
    default:
        return fail(r);
    }
}

void pb_copy(const struct pb_field *f, char *out, size_t size)
{
    size_t n = f->wire == PB_BYTES ? f->len : 0;

    if (n >= size) {
        n = size - 1;
        while (n > 0 && ((unsigned char)f->data[n] & 0xc0) == 0x80)
            n--;
    }
    memcpy(out, f->data, n);
    out[n] = '\0';
}

bool pb_find(struct pb_reader r, unsigned number, struct pb_field *out)
{
    struct pb_field f;
    bool found = false;

    while (pb_next(&r, &f))
        if (f.number == number && f.wire == PB_BYTES) {
            *out = f;
            found = true;
        }
    return found;
}
