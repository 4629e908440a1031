/* clock.h: time and identifiers.
 *
 * Units     nanoseconds (monotonic), milliseconds since 1970 (wall clock).
 * Ownership none.
 * Errors    none.
 * Threads   any.
 *
 * Example:
 *     char id[UUID_TEXT];
 *     uuid_make(id);
 */
#ifndef LACUS_BASE_CLOCK_H
#define LACUS_BASE_CLOCK_H
#include <stddef.h>
#include <stdint.h>

enum { UUID_TEXT = 37, ISO_TEXT = 32 };

int64_t clock_mono_ns(void);
int64_t clock_wall_ms(void);
int clock_ms_until(int64_t mono_ns); /* for poll: rounded up, at most an hour, 0 when that time is past */
void clock_iso(int64_t wall_ms, char out[ISO_TEXT]); /* 2026-01-31T12:00:00.000Z */
void random_bytes(void *out, size_t n);              /* from the kernel; fit for keys */
void uuid_make(char out[UUID_TEXT]);                 /* version 4, with dashes */
void hex_make(char *out, size_t digits);             /* digits random hex characters and a NUL */
#endif
