/* functions.h: the functions of Spark SQL: one row each (functions.def), for the SQL encoder, for F, help and
 * completion.
 *
 * What      name, kind, arity, coercions of arguments, result type, DuckDB form, how F's arguments are meant,
 *           documentation. A name may have several rows with different numbers of arguments. Under Spark Connect a
 *           function goes by the same name. The functions of PySpark that are not here are missing_functions.
 * Ownership static.
 * Errors    NULL when there is none.
 * Threads   any; constant.
 *
 * Example:
 *     const struct function *f = function_find("upper", 1);
 */
#ifndef LACUS_DATAFRAME_SQLGEN_FUNCTIONS_H
#define LACUS_DATAFRAME_SQLGEN_FUNCTIONS_H
#include <stdbool.h>
#include <stddef.h>

enum function_kind { FUNCTION_SCALAR, FUNCTION_AGGREGATE, FUNCTION_WINDOW, FUNCTION_GENERATOR };

struct function {
    const char *name; /* lower case */
    enum function_kind kind;
    int min, max;      /* arguments; max -1: any number */
    const char *in;    /* one letter per argument, the last repeats; see functions.def */
    const char *out;   /* result type; see functions.def */
    const char *sql;   /* template, or "@name" of a C function */
    const char *label; /* Spark's column name, NULL: name(arguments) */
    const char *lua; /* per argument of F.name: c: a text is a column, v: a text is a value; NULL: not in F */
    const char *usage; /* "lpad(col, len, pad)": PySpark's names; "name=value": it may be left out */
    const char *doc;
    const char *example; /* an expression of SQL; NULL: none */
    const char *note;    /* how the answer differs from Spark's; NULL: it does not */
};

const struct function *function_rows(void); /* sorted by name; ends with a NULL name */
const struct function *function_find(const char *name, size_t n_args); /* NULL: no such name or arity */
const struct function *function_named(const char *name);               /* the first row of a name */
bool function_is_aggregate(const char *name);
const char *function_unit(size_t i); /* of date_trunc and trunc; NULL past the end */

struct missing_function {             /* of PySpark, and not here */
    const char *name, *why, *instead; /* instead: the nearest that is here, NULL: nothing */
};
extern const struct missing_function missing_functions[];          /* sorted by name; ends with a NULL name */
const struct missing_function *function_missing(const char *name); /* NULL: it is not one of them */
#endif
