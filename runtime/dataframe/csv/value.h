/* value.h: what the text of a CSV field is: Spark's conversions, and the types its inferSchema sees.
 *
 * What      csv_to_* read a field as one type; csv_guess_* find the narrowest type that all fields of a column have.
 * Ownership none.
 * Units     none.
 * Errors    false: the text is not of that type.
 * Threads   any.
 * Source    Spark's UnivocityParser and CSVInferSchema, as tests/interop/test_csv.py asks them.
 *
 * Example:
 *     struct csv_options o;
 *     struct csv_guess g = {0};
 *     csv_defaults(&o);
 *     csv_guess_add(&g, &o, "12", 2);
 *     csv_guess_add(&g, &o, "1.5", 3);
 *     puts(g.type == CSV_DOUBLE ? "double" : "something else");
 */
#ifndef LACUS_DATAFRAME_CSV_VALUE_H
#define LACUS_DATAFRAME_CSV_VALUE_H
#include "runtime/dataframe/csv/csv.h"
#include "runtime/dataframe/types.h"
#include <stdint.h>

bool csv_to_long(const char *s, size_t len, int64_t most, int64_t *out);
bool csv_to_double(const struct csv_options *o, const char *s, size_t len, double *out);
bool csv_to_boolean(const char *s, size_t len, bool *out);
size_t csv_plain_number(const char *s, size_t len, char *out, size_t size); /* without the commas of groups */
/* Digits before and after the point of a decimal number, an exponent counted in. */
bool csv_to_decimal(const char *s, size_t len, int *whole, int *fraction);

enum csv_type {
    CSV_NOTHING,
    CSV_INT,
    CSV_LONG,
    CSV_DECIMAL,
    CSV_DOUBLE,
    CSV_DATE,
    CSV_TIMESTAMP,
    CSV_BOOLEAN,
    CSV_STRING
};

struct csv_guess {
    enum csv_type type;
    int precision; /* of CSV_DECIMAL */
};
/* One more field that is not null. */
void csv_guess_add(struct csv_guess *g, const struct csv_options *o, const char *s, size_t len);
struct csv_guess csv_guess_merge(struct csv_guess a, struct csv_guess b);
const struct dtype *csv_guess_dtype(struct csv_guess g); /* a new reference; nothing seen: a string */
#endif
