#include "runtime/base/utf8.h"

size_t utf8_decode(const char *s, size_t len, uint32_t *code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char c;
    size_t n;
    uint32_t v;

    if (len == 0)
        return 0;
    c = (unsigned char)s[0];
    if (c < 0x80)
        return *code = c, 1;
    n = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
    if (c < 0xC2 || c > 0xF4 || n > len)
        return 0;
    v = c & (0x7Fu >> n);
    for (size_t i = 1; i < n; i++) {
        if (((unsigned char)s[i] & 0xC0) != 0x80)
            return 0;
        v = v << 6 | ((unsigned char)s[i] & 0x3Fu);
    }
    if (v < least[n] || v > 0x10FFFF || (v >= 0xD800 && v < 0xE000))
        return 0;
    *code = v;
    return n;
}

size_t utf8_encode(uint32_t code, char out[4])
{
    if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
        return 0;
    if (code < 0x80)
        return out[0] = (char)code, 1;
    if (code < 0x800) {
        out[0] = (char)(0xC0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xE0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3F));
        out[2] = (char)(0x80 | (code & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3F));
    out[2] = (char)(0x80 | (code >> 6 & 0x3F));
    out[3] = (char)(0x80 | (code & 0x3F));
    return 4;
}

bool utf8_valid(const char *s, size_t len)
{
    uint32_t code;

    for (size_t i = 0, n; i < len; i += n)
        if ((n = utf8_decode(s + i, len - i, &code)) == 0)
            return false;
    return true;
}

size_t utf8_count(const char *s, size_t len)
{
    size_t count = 0;
    uint32_t code;

    for (size_t i = 0, n; i < len; i += n ? n : 1, count++)
        n = utf8_decode(s + i, len - i, &code);
    return count;
}

size_t utf8_offset(const char *s, size_t len, size_t characters)
{
    size_t i = 0;
    uint32_t code;

    for (size_t n; i < len && characters > 0; i += n ? n : 1, characters--)
        n = utf8_decode(s + i, len - i, &code);
    return i < len ? i : len;
}

size_t utf8_count16(const char *s, size_t len)
{
    size_t count = 0;
    uint32_t code = 0;

    for (size_t i = 0, n; i < len; i += n ? n : 1) {
        n = utf8_decode(s + i, len - i, &code);
        count += n && code > 0xFFFF ? 2 : 1;
    }
    return count;
}

size_t utf8_offset16(const char *s, size_t len, size_t units)
{
    size_t i = 0;
    uint32_t code = 0;

    for (size_t n, taken; i < len && units > 0; i += n ? n : 1, units -= taken) {
        n = utf8_decode(s + i, len - i, &code);
        taken = n && code > 0xFFFF ? 2 : 1;
        if (taken > units)
            break;
    }
    return i < len ? i : len;
}

int utf8_width(uint32_t code)
{
    static const struct {
        uint32_t first, last;
        int width;
    } ranges[] = {/* the blocks that matter in tables; everything else is one column */
                  {0x0000, 0x001F, 0},   {0x007F, 0x009F, 0},   {0x0300, 0x036F, 0},   {0x1100, 0x115F, 2},
                  {0x200B, 0x200F, 0},   {0x2E80, 0x303E, 2},   {0x3041, 0xA4CF, 2},   {0xAC00, 0xD7A3, 2},
                  {0xF900, 0xFAFF, 2},   {0xFE00, 0xFE0F, 0},   {0xFE30, 0xFE6F, 2},   {0xFF00, 0xFF60, 2},
                  {0xFFE0, 0xFFE6, 2},   {0x1F300, 0x1F64F, 2}, {0x1F680, 0x1F6FF, 2}, {0x1F900, 0x1F9FF, 2},
                  {0x20000, 0x3FFFD, 2}, {0xE0100, 0xE01EF, 0}};

    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (code >= ranges[i].first && code <= ranges[i].last)
            return ranges[i].width;
    return 1;
}

size_t utf8_unfinished(const char *s, size_t len)
{
    for (size_t back = 1; back <= 3 && back <= len; back++) {
        unsigned char c = (unsigned char)s[len - back];
        if (c >= 0xC0)
            return back < (c >= 0xF0 ? 4u : c >= 0xE0 ? 3u : 2u) ? back : 0;
        if (c < 0x80)
            return 0;
    }
    return 0;
}

size_t utf8_columns(const char *s, size_t len)
{
    size_t columns = 0;
    uint32_t code;

    for (size_t i = 0, n; i < len; i += n ? n : 1) {
        n = utf8_decode(s + i, len - i, &code);
        columns += n ? (size_t)utf8_width(code) : 1;
    }
    return columns;
}
