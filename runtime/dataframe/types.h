/* types.h: Spark SQL's data types.
 *
 * What      an immutable, shared description of a column's type; a schema is a DTYPE_STRUCT. Reads and writes
 *           Spark's JSON form (Delta's schemaString) and its simpleString ("decimal(10,2)", "array<int>"),
 *           and parses DDL ("a INT NOT NULL, b ARRAY<STRING>").
 * Ownership reference-counted, read-only once made. Constructors take over the references they are given,
 *           also when they fail (NULL: no memory, or one of the arguments was NULL), so calls nest without
 *           checks. The atomic types are static: ref and unref do nothing to them.
 * Units     precision and scale in decimal digits (at most 38).
 * Errors    constructors: NULL without memory; parsers: LC_PARSE with the offset.
 * Threads   any.
 *
 * Example:
 *     const struct dtype *s = dtype_struct_new(1);
 *     s = dtype_struct_add(s, "id", dtype_of(DTYPE_LONG), false, NULL);
 *     dtype_unref(s);
 */
#ifndef LACUS_DATAFRAME_TYPES_H
#define LACUS_DATAFRAME_TYPES_H
#include "runtime/base/buf.h"
#include <jansson.h>

enum dtype_id {
    DTYPE_NULL, /* "void": the type of a bare NULL */
    DTYPE_BOOLEAN,
    DTYPE_BYTE,
    DTYPE_SHORT,
    DTYPE_INT,
    DTYPE_LONG,
    DTYPE_FLOAT,
    DTYPE_DOUBLE,
    DTYPE_DECIMAL,
    DTYPE_STRING,
    DTYPE_BINARY,
    DTYPE_DATE,
    DTYPE_TIMESTAMP,     /* an instant, µs since 1970 UTC */
    DTYPE_TIMESTAMP_NTZ, /* a wall-clock time, µs */
    DTYPE_INTERVAL,      /* months, days and µs together, as DuckDB has them; see dtype_interval */
    DTYPE_TIME,          /* of the day, µs */
    DTYPE_VARIANT,       /* any JSON-like value; its text is JSON */
    DTYPE_ARRAY,
    DTYPE_MAP,
    DTYPE_STRUCT,
    DTYPE_COUNT
};

struct dtype;

struct dfield {
    char *name;               /* owned */
    const struct dtype *type; /* owned reference */
    bool nullable;
    char *metadata; /* owned JSON object text, or NULL */
};

struct dtype {
    int refs; /* atomic; 0: static */
    enum dtype_id id;
    int precision, scale;        /* DTYPE_DECIMAL; of DTYPE_INTERVAL its kind and its fields */
    bool contains_null;          /* DTYPE_ARRAY elements, DTYPE_MAP values */
    const struct dtype *element; /* array element, map value */
    const struct dtype *key;     /* map key */
    size_t n_fields;             /* DTYPE_STRUCT */
    struct dfield *fields;
};

const struct dtype *dtype_of(enum dtype_id id); /* the atomic types; decimal gives decimal(10,0) */
const struct dtype *dtype_decimal(int precision, int scale);
enum interval_kind { INTERVAL_CALENDAR, INTERVAL_YEAR_MONTH, INTERVAL_DAY_TIME };
/* "interval year to month", "interval hour to second"; fields: 0 year, 1 month; 0 day … 3 second */
const struct dtype *dtype_interval(enum interval_kind kind, int from, int to);
enum interval_kind dtype_interval_kind(const struct dtype *t); /* of a DTYPE_INTERVAL */
const struct dtype *dtype_array(const struct dtype *element, bool contains_null);
const struct dtype *dtype_map(const struct dtype *key, const struct dtype *value, bool contains_null);
/* An empty struct; add fields only while nobody else has a reference. dtype_struct_add returns its argument,
 * or NULL (and the struct is gone) without memory. name and metadata are copied. */
const struct dtype *dtype_struct_new(size_t capacity_hint);
const struct dtype *dtype_struct_add(const struct dtype *s, const char *name, const struct dtype *type,
                                     bool nullable, const char *metadata);
const struct dtype *dtype_ref(const struct dtype *t); /* NULL gives NULL */
void dtype_unref(const struct dtype *t);              /* NULL is fine */

bool dtype_equal(const struct dtype *a, const struct dtype *b); /* names and nullability too */
bool dtype_same(const struct dtype *a, const struct dtype *b);  /* ignoring nullability and metadata */
bool dtype_is_integral(const struct dtype *t);
bool dtype_has_map(const struct dtype *t); /* it is one, or has one inside */
bool dtype_is_numeric(const struct dtype *t);
bool dtype_is_atomic(const struct dtype *t);
/* The type both can be widened to (Spark's findWiderTypeForTwo, ANSI); new reference, NULL: there is none. */
const struct dtype *dtype_common(const struct dtype *a, const struct dtype *b);
/* Index of a field, ignoring case; -1: none, -2: more than one. */
long dtype_field_index(const struct dtype *schema, const char *name);

bool dtype_simple(const struct dtype *t, struct buf *out);    /* "struct<a:int,b:array<string>>" */
bool dtype_sql(const struct dtype *t, struct buf *out);       /* "STRUCT<a: INT, b: ARRAY<STRING>>" */
bool dtype_ddl(const struct dtype *schema, struct buf *out);  /* "a INT NOT NULL,b STRING" */
bool dtype_tree(const struct dtype *schema, struct buf *out); /* what printSchema prints */
json_t *dtype_to_json(const struct dtype *t);                 /* new reference; a string for atomic types */
char *dtype_json_text(const struct dtype *t);                 /* Delta's schemaString; mem_free */
enum lc dtype_from_json(json_t *json, const struct dtype **out, struct err *err) MUST_CHECK;
enum lc dtype_from_json_text(const char *text, size_t len, const struct dtype **out,
                             struct err *err) MUST_CHECK;
/* One type ("decimal(10,2)", "array<int>", "struct<a:int>", also BIGINT, INTEGER, …). */
enum lc dtype_parse(const char *text, const struct dtype **out, struct err *err) MUST_CHECK;
/* Names that dtype_parse knows, the simpleString's first; NULL past the end. */
const char *dtype_name_at(size_t i);
/* A schema: DDL ("a INT, b STRING") or JSON. */
enum lc dtype_parse_schema(const char *text, const struct dtype **out, struct err *err) MUST_CHECK;
#endif
