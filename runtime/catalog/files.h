/* files.h: tables of Parquet, CSV, JSON and text files (private to runtime/catalog and runtime/spark).
 *
 * What      such a table is a row of the catalog and a folder without a log: its columns are in schema_json (partition columns
 *           last), the names of these in the options under FILES_PARTITIONS, the values in folders name=value. files_write puts
 *           rows into any folder; files_save makes and fills tables; files_read gives a table's rows as a plan.
 * Ownership plans and texts that are given out are the caller's.
 * Errors    those of catalog.h and the engine; Spark's error classes.
 * Threads   one at a time per catalog and engine. Two writers of one folder both get their files in; who overwrites, wins.
 *
 * Example:
 *     struct files_write w = {.dir = "/data/t", .format = "csv", .overwrite = true};
 *     int64_t rows;
 *     enum lc rc = files_write(&ctx, engine, plan, &w, &rows, &err);
 */
#ifndef LACUS_CATALOG_FILES_H
#define LACUS_CATALOG_FILES_H
#include "runtime/catalog/resolve.h"
#include "runtime/dataframe/plan.h"

#define FILES_PARTITIONS "partitionColumns" /* in catalog_table.options: a list of names */

/* parquet, csv, json, text; any case */
bool files_is_format(const char *format);
/* The options that readers and writers of its files take, added to o. */
enum lc files_options(const struct catalog_table *t, struct plan_options *o, struct err *err) MUST_CHECK;
const json_t *files_partitions(const struct catalog_table *t); /* a list of names, or NULL; borrowed */

struct files_write { /* all borrowed */
    const char *dir, *format;
    bool overwrite;    /* what was there before goes once the new files are all there */
    bool dynamic;      /* but only in folders that have new files */
    const char *below; /* but only in this folder of dir; NULL: all */
    const char *const *partition_by;
    size_t n_partition_by;
    const struct plan_options *options;
};
/* Runs a resolved plan into a folder, and marks it with _SUCCESS. */
enum lc files_write(const struct ctx *ctx, const struct delta_engine *engine, const struct plan *plan,
                    const struct files_write *w, int64_t *rows, struct err *err) MUST_CHECK;

/* The columns of a new table: partition columns last, any of them may be NULL. New reference. */
enum lc files_schema(const char *table, const char *format, const struct dtype *columns,
                     const char *const *partition_by, size_t n, const struct dtype **out,
                     struct err *err) MUST_CHECK;
/* Puts schema and partition columns into the table. */
enum lc files_describe(struct catalog_table *t, const struct dtype *schema, const char *const *partition_by,
                       size_t n, struct err *err) MUST_CHECK;
/* The names of the partition folders below a folder of files, outermost first; mem_free each and the list. */
enum lc files_guess_partitions(const char *dir, char ***names, size_t *n, struct err *err) MUST_CHECK;

/* The rows of a table whose columns are known. */
enum lc files_read(const struct catalog_table *t, const char *full, const struct plan **out,
                   struct err *err) MUST_CHECK;

/* Each file of a table: its partition values beside files_partitions, NULL is SQL's NULL. */
typedef enum lc files_fn(void *arg, const char *path, const char *const *values, struct err *err);
enum lc files_each(const struct catalog_table *t, files_fn *fn, void *arg, struct err *err) MUST_CHECK;

struct files_saving { /* all borrowed */
    const struct ctx *ctx;
    struct catalog *catalog;
    const struct delta_engine *engine;
    const struct catalog_save *save;
    const struct plan *plan; /* resolved */
    const struct catalog_name *name;
    const char *full;
    bool reads_itself;
};
/* there NULL: the table is made. LC_EXISTS and the modes as in catalog_save. */
enum lc files_save(const struct files_saving *s, const struct catalog_table *there, struct delta_written *out,
                   struct err *err) MUST_CHECK;
#endif
