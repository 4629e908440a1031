/* image.h: what kind of image some bytes are, and whether they are a whole one.
 *
 * What      image_type looks at the first bytes; image_check whether the end is there, too: PNG's chunks are walked to
 *           IEND, of the others the mark that ends them is looked for. Pixels are not decoded, and bytes behind the end
 *           are let be, as browsers do.
 * Ownership nothing is kept: arguments are borrowed, results are static.
 * Errors    LC_DATA: the error names the image and what is wrong, as "it is cut off before its end (marker FF D9)".
 * Threads   any.
 *
 * Example:
 *     struct err err;
 *     if (image_check("image/svg+xml", "drawing.svg", "<svg>", 5, &err) != LC_OK)
 *         puts(err.message);
 */
#ifndef LACUS_SESSION_IMAGE_H
#define LACUS_SESSION_IMAGE_H
#include "runtime/base/err.h"
#include <stddef.h>

/* The MIME type, or NULL. */
const char *image_type(const char *bytes, size_t len);
/* name: for the message. A type that image_type does not know has no structure to look at: LC_OK. */
enum lc image_check(const char *mime, const char *name, const char *bytes, size_t len, struct err *err);
#endif
