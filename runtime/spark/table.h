/* table.h: small results as plans: rows of texts, numbers and maps (private to runtime/spark).
 *
 * What      a builder: columns first, then cells row by row; the end gives a plan of values, also for no
 *           rows.
 * Ownership table_plan ends the builder; table_release does so when it is not wanted.
 * Errors    remembered; table_plan reports LC_NOMEM once.
 * Threads   one.
 *
 * Example:
 *     struct table t = TABLE_INIT;
 *     table_column(&t, "catalog", DTYPE_STRING);
 *     table_text(&t, "spark_catalog");
 *     enum lc rc = table_plan(&t, &plan, &err);
 */
#ifndef LACUS_SPARK_TABLE_H
#define LACUS_SPARK_TABLE_H
#include "runtime/dataframe/plan.h"

enum { TABLE_COLUMNS = 32 };

struct table {
    const char *names[TABLE_COLUMNS];         /* borrowed */
    const struct dtype *types[TABLE_COLUMNS]; /* owned references */
    size_t n_columns;
    struct expr **cells; /* owned */
    size_t n, cap;
    bool failed;
};
#define TABLE_INIT                                                                                           \
    {                                                                                                        \
        .n_columns = 0                                                                                       \
    }

void table_column(struct table *t, const char *name, enum dtype_id id);
void table_column_type(struct table *t, const char *name, const struct dtype *type); /* takes the reference */
void table_null(struct table *t);
void table_text(struct table *t, const char *text); /* NULL is SQL's NULL */
void table_long(struct table *t, int64_t v);
void table_int(struct table *t, int64_t v);
void table_bool(struct table *t, bool v);
void table_time(struct table *t, int64_t ms);     /* of a DTYPE_TIMESTAMP column */
void table_expr(struct table *t, struct expr *e); /* takes the reference */
enum lc table_plan(struct table *t, const struct plan **out, struct err *err) MUST_CHECK;
void table_release(struct table *t);
#endif
