/* timestamp.h: the times that TIMESTAMP AS OF takes (private to runtime/catalog).
 *
 * Units     milliseconds since 1970; a text without a zone is UTC.
 * Errors    LC_ARG.
 * Ownership none.
 * Threads   any.
 *
 * Example:
 *     int64_t ms;
 *     if (timestamp_parse("2026-01-31 12:00:00", &ms, &err) == LC_OK)
 *         printf("%lld\n", (long long)ms);
 */
#ifndef LACUS_CATALOG_TIMESTAMP_H
#define LACUS_CATALOG_TIMESTAMP_H
#include "runtime/base/err.h"

/* "2026-01-31", "2026-01-31 12:00", "2026-01-31T12:00:00.5Z", "… +01:00" */
enum lc timestamp_parse(const char *text, int64_t *ms, struct err *err) MUST_CHECK;
#endif
