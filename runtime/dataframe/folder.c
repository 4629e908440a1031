/* folder.c: names of partition folders. */
#include "runtime/dataframe/folder.h"
#include "runtime/base/mem.h"
#include <string.h>

bool folder_escape(struct buf *out, const char *text, size_t len)
{
    bool ok = true;

    for (size_t i = 0; i < len && ok; i++) {
        unsigned char c = (unsigned char)text[i];

        ok = c < 0x20 || c == 0x7f || strchr("\"#%'*/:=?\\{[]^", c) ? buf_printf(out, "%%%02X", c)
                                                                    : buf_putc(out, (char)c);
    }
    return ok;
}

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : ((c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1);
}

char *folder_unescape(const char *text, size_t len)
{
    char *out = mem_alloc(len + 1);
    size_t n = 0;

    for (size_t i = 0; out && i < len; i++) {
        bool escaped = text[i] == '%' && i + 2 < len && hex(text[i + 1]) >= 0 && hex(text[i + 2]) >= 0;

        out[n++] = escaped ? (char)(hex(text[i + 1]) * 16 + hex(text[i + 2])) : text[i];
        i += escaped ? 2 : 0;
    }
    if (out)
        out[n] = '\0';
    return out;
}
