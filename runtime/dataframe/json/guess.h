/* guess.h: the columns that JSON records have, in the types that Spark sees in them.
 *
 * What      guess_add takes one record after the other; guess_schema gives fields by name: texts, bigint, double, decimals that are
 *           longer, boolean, arrays and structs; what differs from record to record is a text.
 * Ownership guess_new gives, guess_free ends; the schema is a new reference.
 * Units     none.
 * Errors    LC_NOMEM.
 * Threads   one.
 * Source    Spark's JsonInferSchema, as tests/interop/test_json_files.py asks it.
 *
 * Example:
 *     struct guess *g = guess_new(&options);
 *     const struct dtype *schema;
 *     guess_add(g, &record);
 *     if (guess_schema(g, &schema, &err) == LC_OK)
 *         dtype_unref(schema);
 *     guess_free(g);
 */
#ifndef LACUS_DATAFRAME_JSON_GUESS_H
#define LACUS_DATAFRAME_JSON_GUESS_H
#include "runtime/dataframe/json/record.h"
#include "runtime/dataframe/types.h"

struct guess;

struct guess *guess_new(const struct json_options *o); /* NULL without memory; o is borrowed */
bool guess_add(struct guess *g,
               const struct record *r); /* false: its value is no object, nor a list of them */
void guess_malformed(struct guess *g);  /* there is a record that is none */
enum lc guess_schema(struct guess *g, const struct dtype **out, struct err *err) MUST_CHECK;
void guess_free(struct guess *g);
#endif
