/* civil.h: dates of the proleptic Gregorian calendar, as SQL has them.
 *
 * Units     days since 1970-01-01.
 * Ownership none.
 * Errors    civil_valid.
 * Threads   any.
 *
 * Example:
 *     if (civil_valid(2024, 2, 29))
 *         printf("%lld\n", (long long)civil_days(2024, 2, 29));
 */
#ifndef LACUS_BASE_CIVIL_H
#define LACUS_BASE_CIVIL_H
#include <stdbool.h>
#include <stdint.h>

bool civil_valid(int64_t year, int month, int day);
int64_t civil_days(int64_t year, int month, int day); /* of a valid date */
void civil_date(int64_t days, int64_t *year, int *month, int *day);
#endif
