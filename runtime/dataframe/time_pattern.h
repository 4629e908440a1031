/* time_pattern.h: texts of times by a pattern of Java, as Spark reads and writes them: yyyy-MM-dd HH:mm:ss.SSS XXX.
 *
 * What      a pattern becomes items; they write a time or read a text. Letters: G y M L d D Q q E F a H k K h m s S V z O X x Z,
 *           texts in 'quotes', what may be left out in [brackets].
 * Ownership items point into the pattern, a zone that was read into the text.
 * Units     microseconds; offsets in seconds, to the east.
 * Errors    false, or TIME_NONE: the text is none. TIME_UNKNOWN: a zone by a name that only Java has.
 * Threads   any.
 * Source    java.time.format.DateTimeFormatterBuilder.appendPattern, with Spark's DateTimeFormatterHelper: strict, in English,
 *           letters of either case; a fraction that is read has as many digits as there are.
 *
 * Example:
 *     struct time_pattern p;
 *     struct time_read r;
 *     if (time_pattern_make(&p, "yyyy-MM-dd", 10, true) && time_pattern_read(&p, "2024-02-29", 10, &r) == TIME_READ)
 *         printf("%lld\n", (long long)r.micros);
 */
#ifndef LACUS_DATAFRAME_TIME_PATTERN_H
#define LACUS_DATAFRAME_TIME_PATTERN_H
#include "runtime/base/buf.h"
#include <stdint.h>

enum { TIME_PATTERN_ITEMS = 64, TIME_PATTERN_DEPTH = 8 };

struct time_item {
    char letter;        /* of the pattern; '\'': a text; '[' and ']' */
    int n;              /* how many letters */
    int least, most;    /* digits of a number; most 0: it is none */
    int behind;         /* digits of the numbers of fixed width right behind */
    const char *s;      /* a text */
    size_t len, closes; /* closes: of '[', the item that is its ']' */
};

struct time_pattern {
    struct time_item items[TIME_PATTERN_ITEMS];
    size_t n;
    bool zoned; /* there is an offset or a zone in it */
    bool era;
};

struct time_written {
    int64_t micros, offset; /* on the clock of its zone */
    const char *zone;       /* the session's */
    size_t zone_len;
};

struct time_read {
    int64_t micros; /* on the clock */
    bool has_offset;
    int64_t offset;
    const char *zone; /* the name of a region; zone_len 0: none */
    size_t zone_len;
};
enum time_result { TIME_READ, TIME_NONE, TIME_UNKNOWN };

bool time_pattern_make(struct time_pattern *p, const char *s, size_t len, bool reading);
/* Spark's error for a pattern that is none: whether its old formatter would have taken it decides the class. */
void time_pattern_refused(struct buf *out, const char *s, size_t len);
bool time_pattern_write(const struct time_pattern *p, const struct time_written *t, struct buf *out);
enum time_result time_pattern_read(const struct time_pattern *p, const char *s, size_t len,
                                   struct time_read *out);
#endif
