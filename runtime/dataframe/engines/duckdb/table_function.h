/* table_function.h: table functions of our own in DuckDB, and what their callbacks are told.
 *
 * What      registers a function whose parameters are texts; gives the callbacks their API, their bound data and
 *           their state by one call each.
 * Ownership data handed to table_bound, table_global and table_local is DuckDB's to free with the function given.
 * Errors    LC_INTERNAL when DuckDB refuses; the callbacks report with table_*_fail.
 * Threads   any.
 *
 * Example:
 *     char *path = table_text(info, 0);
 *     if (!path)
 *         table_api(info)->duckdb_bind_set_error(info, "out of memory");
 */
#ifndef LACUS_DATAFRAME_ENGINES_DUCKDB_TABLE_FUNCTION_H
#define LACUS_DATAFRAME_ENGINES_DUCKDB_TABLE_FUNCTION_H
#include "runtime/dataframe/engines/duckdb/duck.h"

struct table_function {
    const char *name;
    int texts; /* parameters */
    duckdb_table_function_bind_t bind;
    duckdb_table_function_init_t init, init_thread; /* init_thread: NULL where one thread produces all */
    duckdb_table_function_t produce;
    bool projects; /* makes only the columns that are asked for */
};

enum lc duck_register_table(struct engine *e, const struct table_function *f, struct err *err) MUST_CHECK;

const struct duck_api *table_api(duckdb_bind_info info); /* in bind */
char *table_text(duckdb_bind_info info, idx_t i);        /* in bind: a parameter; mem_free. NULL: no memory */
void *table_bound(duckdb_init_info info);                /* in init and init_thread */
void *table_global(duckdb_function_info info);           /* in produce */
void *table_local(duckdb_function_info info);            /* in produce */
/* A text in a column of texts; bytes that are not UTF-8 become U+FFFD. */
void table_put_text(const struct duck_api *api, duckdb_vector v, idx_t row, const char *s, size_t len);
#endif
