/* buf.h: growing bytes with a maximum, always followed by a NUL.
 *
 * What      a string builder. `data` is never NULL after a successful append; before the first it may be: use
 *           buf_str.
 * Ownership the struct is the caller's; buf_release frees the contents, buf_take hands them over (free with
 *           mem_free).
 * Units     bytes. max is set at birth: nothing in lacus grows without a bound.
 * Errors    append returns false when the maximum or the memory is exceeded, and the buffer remembers
 *           (`failed`): a series of appends may be checked once, at the end, with buf_ok or buf_check.
 * Threads   one at a time.
 *
 * Example:
 *     struct buf b = BUF_INIT(1 << 20);
 *     buf_printf(&b, "%d rows", 3);
 *     if (!buf_ok(&b))
 *         puts("too long");
 *     buf_release(&b);
 */
#ifndef LACUS_BASE_BUF_H
#define LACUS_BASE_BUF_H
#include "runtime/base/err.h"
#include <stddef.h>

struct buf {
    char *data; /* owned, NUL-terminated; NULL while empty */
    size_t len, cap, max;
    bool failed;
};

#define BUF_INIT(maximum)                                                                                    \
    {                                                                                                        \
        .max = (maximum)                                                                                     \
    }
#define BUF_TEXT_MAX ((size_t)64 << 20) /* the usual bound for texts that people see */

void buf_init(struct buf *b, size_t max);
void buf_release(struct buf *b);
void buf_clear(struct buf *b); /* keeps the memory, forgets contents and failure */
bool buf_reserve(struct buf *b, size_t extra);
bool buf_add(struct buf *b, const void *data, size_t len);
bool buf_puts(struct buf *b, const char *s);
bool buf_putc(struct buf *b, char c);
bool buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
bool buf_ok(const struct buf *b);
const char *buf_str(const struct buf *b);                /* "" while empty; borrowed until the next change */
char *buf_take(struct buf *b);                           /* caller frees with mem_free; NULL if it failed */
enum lc buf_check(const struct buf *b, struct err *err); /* LC_OK, LC_LIMIT or LC_NOMEM */
/* A JSON string literal with quotes; bytes that are not UTF-8 become U+FFFD. */
bool buf_json(struct buf *b, const char *s, size_t len);
bool buf_json_text(struct buf *b, const char *s, size_t len); /* the same without the quotes */
/* Text; bytes that are not UTF-8 become U+FFFD. */
bool buf_utf8(struct buf *b, const char *s, size_t len);
/* Text for HTML element content and attributes. */
bool buf_html(struct buf *b, const char *s, size_t len);
#endif
