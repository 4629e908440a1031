/* record.h: one JSON value as Spark's reader sees it: its parts, each with the bytes it was written with.
 *
 * What      record_parse cuts a text into nodes: kinds, names, decoded texts, and the raw bytes of each. Texts in single
 *           quotes and NaN, Infinity are taken unless the options say otherwise; what follows the first value is not looked at.
 * Ownership a record owns its nodes and is used again for the next text; nodes point into the text and into the record.
 * Units     bytes; at most 1,000 levels.
 * Errors    record_parse says RECORD_BAD, RECORD_EMPTY (nothing but white space) or RECORD_NOMEM.
 * Threads   options: read by any; a record: one at a time.
 * Source    Spark's JSONOptions and the parser below it (Jackson), as tests/interop/test_json_files.py asks them.
 *
 * Example:
 *     struct json_options o;
 *     struct record r = {0};
 *     json_defaults(&o);
 *     if (record_parse(&o, "{\"a\": [1, 2]}", 13, &r) == RECORD_GOOD)
 *         printf("%.*s\n", (int)r.nodes[r.nodes[0].first].raw_len, r.nodes[r.nodes[0].first].raw);
 *     record_release(&r);
 */
#ifndef LACUS_DATAFRAME_JSON_RECORD_H
#define LACUS_DATAFRAME_JSON_RECORD_H
#include "runtime/base/err.h"
#include <stddef.h>

enum json_mode { JSON_PERMISSIVE, JSON_DROPMALFORMED, JSON_FAILFAST };
enum { JSON_OPTION_TEXT = 256 };

struct json_options {
    bool multiline, single_quotes, unquoted_names, comments, leading_zeros, any_escape, control_characters,
        not_numbers, primitives_as_string, prefers_decimal, drop_null_fields;
    int mode; /* enum json_mode */
    char line_sep[64], encoding[64], corrupt_name[JSON_OPTION_TEXT];
};

void json_defaults(struct json_options *o);
/* One option by Spark's name, in any case of letters; others than the reader's are left alone. */
enum lc json_option(struct json_options *o, const char *name, const char *value, struct err *err) MUST_CHECK;
const char *json_option_name(size_t i); /* NULL past the last */

enum record_kind {
    RECORD_NULL,
    RECORD_FALSE,
    RECORD_TRUE,
    RECORD_INTEGER,
    RECORD_FRACTION,
    RECORD_NOT_A_NUMBER, /* NaN, Infinity */
    RECORD_TEXT,
    RECORD_LIST,
    RECORD_OBJECT
};

struct record_node {
    enum record_kind kind;
    const char *raw, *text, *name; /* as it was written; of RECORD_TEXT what it says; of an object's part */
    size_t raw_len, text_len, name_len;
    size_t first, next; /* of a list or an object; the next in the one around it; 0: none */
};

struct record {
    struct record_node *nodes; /* owned; the first is the value */
    size_t n, cap;
    char *room; /* owned: texts that are not in the record as they are */
    size_t room_cap, room_len;
};

enum record_got { RECORD_GOOD, RECORD_EMPTY, RECORD_BAD, RECORD_NOMEM };

enum record_got record_parse(const struct json_options *o, const char *s, size_t len, struct record *r);
void record_release(struct record *r);
#endif
