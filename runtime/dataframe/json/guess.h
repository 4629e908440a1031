/* guess.h: the columns that JSON records have, in the types that Spark sees in them.
 *
 * What      guess_add takes one record after the other; guess_schema gives fields by name: texts, bigint, double,
 *           longer decimals, boolean, arrays and structs; what differs from record to record is a text.
 * Ownership guess_new gives, guess_free ends; the schema is a new reference.
 * Units     none.
 * Errors    LC_NOMEM.
 * Threads   one.
 * Source    Spark's JsonInferSchema, as tests/interop/test_json_files.py asks it.
 *
 * Example:
 *     struct json_options options;
 *     struct record record = {0};
 *     struct guess *g = guess_new(&options);
 *     const struct dtype *schema;
 *     json_defaults(&options);
 *     if (record_parse(&options, "{\"a\": 1}", 8, &record) == RECORD_GOOD && !guess_add(g, &record))
 *         guess_malformed(g);
 *     if (guess_schema(g, &schema, &err) == LC_OK)
 *         dtype_unref(schema);
 *     record_release(&record);
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
