/* plural.h: "1 second", "2 seconds": the s of a counted word.
 *
 * What      a macro, since counts are of every number type.
 * Ownership texts that are constants.
 * Units     none.
 * Errors    none.
 * Threads   any.
 *
 * Example:
 *     double limit = 1;
 *     printf("it did not end within %g second%s\n", limit, PLURAL(limit));
 */
#ifndef LACUS_BASE_PLURAL_H
#define LACUS_BASE_PLURAL_H

#define PLURAL(n) ((n) == 1 ? "" : "s")
#endif
