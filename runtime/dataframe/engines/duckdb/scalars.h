/* scalars.h: functions of Spark that DuckDB has not, as C functions over its rows.
 *
 * What      a table of functions per file; each is called for one row. Arguments are never NULL, unless the row of
 *           the table asks for them.
 * Ownership arguments are borrowed for the call; what a result points to must live until the function returns
 *           to its caller: text (a buffer of `size` bytes), more (grown by result_room), or an argument.
 * Units     bytes; letters for types: i INTEGER, l BIGINT, d DOUBLE, f FLOAT, o BOOLEAN, s VARCHAR, b BLOB,
 *           v INTERVAL; S, L, D, B: lists of VARCHAR, BIGINT, DOUBLE, BLOB.
 * Errors    result.error, with Spark's class in front, ends the query.
 * Threads   any, several at once.
 *
 * Example:
 *     for (const struct scalar *s = scalars_hash; s->name; s++)
 *         puts(s->name);
 */
#ifndef LACUS_DATAFRAME_ENGINES_DUCKDB_SCALARS_H
#define LACUS_DATAFRAME_ENGINES_DUCKDB_SCALARS_H
#include "runtime/base/buf.h"
#include "runtime/dataframe/time_pattern.h"
#include <stdio.h>

struct value {
    bool null;
    int64_t i; /* i l o; µs of v */
    double f;
    const char *s;
    size_t len;
    int64_t months, days;      /* of v */
    const struct value *items; /* of lists */
    size_t n;
};

/* What a function keeps from row to row of a chunk: a pattern that most rows have in common. Not known before the first of them. */
struct scalar_memo {
    bool known;
    char text[64];
    size_t len;
    struct time_pattern pattern;
};

struct result {
    bool null;
    int64_t i;
    double f;
    char *text; /* a buffer of `size` bytes */
    size_t size, len;
    struct scalar_memo *memo;
    struct buf *more;    /* for longer texts, empty; result_text hands it over */
    struct value *items; /* of lists; grown by result_item; texts point into arguments or into more */
    size_t n_items, cap_items;
    char *error; /* a buffer of 300 bytes; not empty: the query fails */
};

typedef void scalar_fn(const struct value *args, struct result *out);

struct scalar {
    const char *name, *args;
    char result;
    bool nulls; /* it wants NULLs too */
    scalar_fn *fn;
};
extern const struct scalar scalars_hash[], scalars_text[], scalars_codec[], scalars_format[], scalars_data[],
    scalars_sketch[], scalars_time[], scalars_charset[]; /* each ends with a NULL name */

enum { DUCK_ZONE = 16 };
/* scalars_time.c: an offset of whole hours as DuckDB takes it: Etc/GMT-5 is +05:00. false: it is none. */
bool duck_zone(const char *zone, size_t len, char text[DUCK_ZONE]);

void result_text(struct result *out); /* what was written to more is the result */
void result_item(struct result *out, struct value item);
void result_made(struct result *out, size_t from); /* an element: what was written to more since `from` */
void result_null(struct result *out);
void result_error(struct result *out, const char *fmt, ...) PRINTF_LIKE(2, 3);
#endif
