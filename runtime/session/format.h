/* format.h: Python's format specification mini-language.
 *
 * What      one value and a spec ([[fill]align][sign][z][#][0][width][,|_][.precision][type]) become text, as
 *           Python's format(value, spec) makes it (docs.python.org/3/library/string.html#formatspec).
 *           Differences: nil and booleans format as the texts nil, true and false; a float with an integral
 *           value is taken where an integer is wanted, as string.format does.
 * Ownership appends to the caller's buffer.
 * Units     width and precision of texts in code points.
 * Errors    LC_ARG with Python's words.
 * Threads   any.
 *
 * Example:
 *     struct format_value v = {.kind = FORMAT_INTEGER, .integer = 1234567};
 *     struct buf out = BUF_INIT(100);
 *     if (format_value(&out, &v, ",", 1, NULL) == LC_OK)
 *         puts(buf_str(&out));
 *     buf_release(&out);
 */
#ifndef LACUS_SESSION_FORMAT_H
#define LACUS_SESSION_FORMAT_H
#include "runtime/base/buf.h"

enum format_kind { FORMAT_INTEGER, FORMAT_FLOAT, FORMAT_TEXT };

struct format_value {
    enum format_kind kind;
    int64_t integer;
    double number;
    const char *text; /* borrowed, UTF-8 */
    size_t len;
};

enum lc format_value(struct buf *out, const struct format_value *v, const char *spec, size_t len,
                     struct err *err) MUST_CHECK;
#endif
