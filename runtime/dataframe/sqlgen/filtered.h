/* filtered.h: aggregates over a part of the rows, as PIVOT has them.
 *
 * What      a copy of an expression in which each aggregate function sees only the rows for which a condition holds.
 * Ownership the result is a new reference; the arguments are borrowed.
 * Units     none.
 * Errors    NULL without memory.
 * Threads   any.
 *
 * Example:
 *     struct expr *sum = expr_unary("sum", expr_column("x")), *is = expr_binary("==", expr_column("k"), expr_int(1));
 *     expr_unref(expr_filter_aggregates(sum, is));
 */
#ifndef LACUS_DATAFRAME_SQLGEN_FILTERED_H
#define LACUS_DATAFRAME_SQLGEN_FILTERED_H
#include "runtime/dataframe/expr.h"

struct expr *expr_filter_aggregates(const struct expr *e, const struct expr *condition);
/* The same by the arguments: NULL in the other rows, which first and last pass over. Unlike there, what counts or collects has a
 * result where no row is left. */
struct expr *expr_guard_aggregates(const struct expr *e, const struct expr *condition);
/* One column of a pivot that has those aggregates, `aggregate` among them: which of the two ways Spark goes is known with
 * their types. */
struct expr *expr_pivoted(const struct expr *aggregate, const struct expr *condition,
                          struct expr *const *aggregates, size_t n);
#endif
