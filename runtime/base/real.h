/* real.h: numbers that JSON has no word for, as JSON values; and finite ones as texts.
 *
 * What      infinities and nan as MongoDB's Extended JSON writes them, {"$numberDouble": "Infinity"}: a file with them stays
 *           JSON that every reader takes; other numbers are JSON's. real_text is Python's repr: the shortest text that is
 *           read as the same number.
 * Ownership a new reference.
 * Units     none.
 * Errors    NULL without memory.
 * Threads   any.
 * Source    mongodb.com/docs/manual/reference/mongodb-extended-json, "Double", Canonical.
 *
 * Example:
 *     double value = 0;
 *     json_t *json = real_json(1 / value);
 *     if (real_read(json, &value))
 *         printf("%g\n", value);
 *     json_decref(json);
 */
#ifndef LACUS_BASE_REAL_H
#define LACUS_BASE_REAL_H
#include <jansson.h>
#include <stdbool.h>

json_t *real_json(double value);
/* Is it an infinity or nan of real_json? */
bool real_read(const json_t *json, double *value);
enum { REAL_TEXT = 40 };
/* Of a finite value; how long it is. */
int real_text(double value, char out[REAL_TEXT]);
#endif
