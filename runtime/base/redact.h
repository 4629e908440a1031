/* redact.h: keeps secret values out of texts.
 *
 * What      knows values and the forms in which they get into outputs: as they are, line by line, in base64
 *           (also inside something longer), URL-encoded, as hexadecimal digits, and escaped for JSON and HTML;
 *           each occurrence becomes [REDACTED], and so does the beginning of one that was cut ("hunter22hun...").
 * Ownership redact_free ends it and wipes the values.
 * Units     bytes. Values shorter than REDACT_MIN are not taken.
 * Errors    redact_add: false without memory, or when the value is too short.
 * Threads   one at a time.
 *
 * Example:
 *     struct redact *r = redact_new();
 *     struct buf out = BUF_INIT(1000);
 *     if (r && redact_add(r, "hunter22", 8) && redact_text(r, "pw=hunter22", 11, &out))
 *         puts(buf_str(&out)); // pw=[REDACTED]
 *     buf_release(&out);
 *     redact_free(r);
 */
#ifndef LACUS_BASE_REDACT_H
#define LACUS_BASE_REDACT_H
#include "runtime/base/buf.h"
#include <jansson.h>

enum { REDACT_MIN = 4 };

struct redact;
struct redact *redact_new(void); /* NULL without memory */
void redact_free(struct redact *r);
bool redact_add(struct redact *r, const char *value, size_t len);
bool redact_empty(const struct redact *r); /* NULL is empty */
/* Appends the text; returns how many values were in it. */
size_t redact_text(const struct redact *r, const char *text, size_t len, struct buf *out);
/* How many bytes at the end may be the beginning of a value: a stream holds them back. */
size_t redact_held(const struct redact *r, const char *text, size_t len);
/* All strings in value, keys too. A new reference: value itself when nothing was in it. */
json_t *redact_json(const struct redact *r, json_t *value);
#endif
