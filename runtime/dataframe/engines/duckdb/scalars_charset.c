/* scalars_charset.c: texts as bytes of the character sets that Spark's encode and decode know, and back. */
#include "runtime/base/utf8.h"
#include "runtime/dataframe/engines/duckdb/scalars.h"
#include <string.h>
#include <strings.h>

static const struct charset {
    const char *name;
    unsigned unit; /* bytes; 0: UTF-8 */
    bool little, marked;
    uint32_t most; /* what one unit holds */
} charsets[] = {
    {"UTF-8", 0, false, false, 0x10FFFF},    {"US-ASCII", 1, false, false, 0x7F},
    {"ISO-8859-1", 1, false, false, 0xFF},   {"UTF-16", 2, false, true, 0x10FFFF},
    {"UTF-16BE", 2, false, false, 0x10FFFF}, {"UTF-16LE", 2, true, false, 0x10FFFF},
    {"UTF-32", 4, false, false, 0x10FFFF},
};

static const struct charset *charset_of(const struct value *name, const char *function, struct result *out)
{
    for (size_t i = 0; i < sizeof charsets / sizeof *charsets; i++)
        if (strlen(charsets[i].name) == name->len && strncasecmp(charsets[i].name, name->s, name->len) == 0)
            return &charsets[i];
    result_error(
        out,
        "[INVALID_PARAMETER_VALUE.CHARSET] The value of parameter(s) `charset` in `%s` is invalid: "
        "expects one of the iso-8859-1, us-ascii, utf-16, utf-16be, utf-16le, utf-32, utf-8, but got "
        "%.*s. SQLSTATE: 22023",
        function, (int)(name->len > 40 ? 40 : name->len), name->s);
    return NULL;
}

static void malformed(const struct charset *set, const char *function, struct result *out)
{
    result_error(
        out, "[MALFORMED_CHARACTER_CODING] Invalid value found when performing `%s` with %s SQLSTATE: 22000",
        function, set->name);
}

static void put_unit(const struct charset *set, uint32_t unit, struct buf *out)
{
    for (unsigned i = 0; i < set->unit; i++)
        buf_putc(out, (char)(unsigned char)(unit >> (8 * (set->little ? i : set->unit - 1 - i))));
}

/* (text, charset) */
static void charset_bytes(const struct value *a, struct result *out)
{
    const struct charset *set = charset_of(&a[1], "encode", out);
    uint32_t code;

    if (!set)
        return;
    if (set->unit == 0)
        buf_add(out->more, a->s, a->len);
    else if (set->marked && a->len) /* Java marks no empty text */
        put_unit(set, 0xFEFF, out->more);
    for (size_t i = 0, n; set->unit && i < a->len; i += n) {
        n = utf8_decode(a->s + i, a->len - i, &code);
        if (n == 0 || code > set->most) {
            malformed(set, "encode", out);
            return;
        }
        if (set->unit == 2 && code > 0xFFFF) {
            put_unit(set, 0xD800 + ((code - 0x10000) >> 10), out->more);
            code = 0xDC00 + (code & 0x3FF);
        }
        put_unit(set, code, out->more);
    }
    result_text(out);
}

static uint32_t unit_at(const struct value *a, size_t i, unsigned unit, bool little)
{
    uint32_t v = 0;

    for (unsigned k = 0; k < unit; k++)
        v = v << 8 | (unsigned char)a->s[i + (little ? unit - 1 - k : k)];
    return v;
}

/* A mark at the front says which byte comes first, where the name does not. */
static size_t skip_mark(const struct value *a, const struct charset *set, bool *little)
{
    *little = set->little;
    if ((!set->marked && set->unit != 4) || a->len < set->unit)
        return 0;
    if (unit_at(a, 0, set->unit, false) == 0xFEFF)
        return set->unit;
    *little = unit_at(a, 0, set->unit, true) == 0xFEFF;
    return *little ? set->unit : 0;
}

/* The code point at i, and how many bytes it took; 0: there is none. */
static size_t code_at(const struct value *a, size_t i, const struct charset *set, bool little, uint32_t *code)
{
    uint32_t low;

    if (i + set->unit > a->len)
        return 0;
    *code = unit_at(a, i, set->unit, little);
    if (set->unit != 2 || *code < 0xD800 || *code > 0xDBFF)
        return set->unit;
    low = i + 4 <= a->len ? unit_at(a, i + 2, 2, little) : 0;
    if (low < 0xDC00 || low > 0xDFFF)
        return 0;
    *code = 0x10000 + ((*code - 0xD800) << 10) + (low - 0xDC00);
    return 4;
}

/* (bytes, charset) */
static void charset_text(const struct value *a, struct result *out)
{
    const struct charset *set = charset_of(&a[1], "decode", out);
    char text[4];
    uint32_t code = 0;
    bool little;

    if (!set)
        return;
    if (set->unit == 0 && !utf8_valid(a->s, a->len)) {
        malformed(set, "decode", out);
        return;
    }
    if (set->unit == 0)
        buf_add(out->more, a->s, a->len);
    for (size_t i = set->unit ? skip_mark(a, set, &little) : a->len, n; i < a->len; i += n) {
        size_t length;

        n = code_at(a, i, set, little, &code);
        length = n && code <= set->most ? utf8_encode(code, text) : 0;
        if (length == 0) {
            malformed(set, "decode", out);
            return;
        }
        buf_add(out->more, text, length);
    }
    result_text(out);
}

const struct scalar scalars_charset[] = {
    {"lacus_charset_bytes", "ss", 'b', false, charset_bytes},
    {"lacus_charset_text", "bs", 's', false, charset_text},
    {NULL, NULL, 0, false, NULL},
};
