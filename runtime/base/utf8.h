/* utf8.h: UTF-8 as RFC 3629 defines it: no surrogates, no overlong forms, at most U+10FFFF.
 *
 * Ownership none.
 * Units     bytes and code points; *16: UTF-16 code units, by which editors count.
 * Errors    0 from utf8_decode.
 * Threads   any.
 *
 * Example:
 *     uint32_t code;
 *     size_t n = utf8_decode("é", 2, &code);
 */
#ifndef LACUS_BASE_UTF8_H
#define LACUS_BASE_UTF8_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

size_t utf8_decode(const char *s, size_t len,
                   uint32_t *code);             /* bytes taken, 0 if s does not start a valid character */
size_t utf8_encode(uint32_t code, char out[4]); /* bytes written, 0 if code is no scalar value */
bool utf8_valid(const char *s, size_t len);
size_t utf8_unfinished(const char *s, size_t len); /* bytes at the end (0 to 3) that begin a character */
size_t utf8_count(const char *s, size_t len);      /* code points; an invalid byte counts as one */
size_t utf8_offset(const char *s, size_t len,
                   size_t characters); /* byte offset of the n-th code point, at most len */
size_t utf8_count16(const char *s, size_t len);
size_t utf8_offset16(const char *s, size_t len,
                     size_t units);             /* of the character that the n-th unit belongs to */
int utf8_width(uint32_t code);                  /* terminal columns: 0, 1 or 2 */
size_t utf8_columns(const char *s, size_t len); /* terminal columns of a text */
#endif
