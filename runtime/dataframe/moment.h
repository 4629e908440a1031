/* moment.h: texts as Spark reads them as dates and times.
 *
 * What      [+-]yyyy[-m[-d[( |T)h[:m[:s[.fraction]][zone]]]]], or the time of day alone; a date reads what follows the day as
 *           nothing. The zone is cut off, and is an offset, the name of a region, or not there.
 * Ownership a zone points into the text.
 * Units     days since 1970-01-01; microseconds; an offset in seconds.
 * Errors    false: the text is none.
 * Threads   any.
 * Source    Spark's SparkDateTimeUtils (stringToDate, stringToTimestamp, getZoneId).
 *
 * Example:
 *     struct moment m;
 *     if (moment_parse("2024-01-05 10:00:00+02:00", 25, &m))
 *         printf("%lld, in a zone of %zu letters\n", (long long)m.micros, m.zone_len);
 */
#ifndef LACUS_DATAFRAME_MOMENT_H
#define LACUS_DATAFRAME_MOMENT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct moment {
    int64_t micros; /* on the clock of its zone; without a date, since midnight */
    bool dated;
    const char *zone; /* what is named; zone_len 0: nothing is */
    size_t zone_len;
};

bool moment_parse(const char *s, size_t len,
                  struct moment *m); /* a region that is not known is no text of a time */
bool moment_date(const char *s, size_t len, int64_t *days);
bool moment_offset(const char *zone, size_t len, int64_t *seconds); /* false: the name of a region */
bool moment_region(const char *zone, size_t len);                   /* whether there is one of that name */
#endif
