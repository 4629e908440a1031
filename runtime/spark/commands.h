/* commands.h: what SQL statements do: spark.sql("…") below its front ends.
 *
 * What      runs a parsed statement against the catalog, Delta tables and the engine. A query is not run: its
 *           plan is handed back, tables still by name, to be resolved (catalog_resolve) when rows are wanted.
 *           Commands run at once, and what they have to show is a plan of values, with the columns that Spark
 *           gives.
 * Ownership *result is the caller's reference, or NULL when there is nothing to show.
 * Errors    those of sql.h, catalog.h, delta.h and the engine.
 * Threads   one at a time per environment.
 *
 * Example:
 *     struct spark_env env = {.catalog = catalog, .engine = {ops, engine}, .spark = s};
 *     const struct plan *result;
 *     if (spark_sql(&ctx, &env, "SHOW TABLES", 11, &(struct spark_sql_args){0}, &result, &err) == LC_OK)
 *         plan_unref(result);
 */
#ifndef LACUS_SPARK_COMMANDS_H
#define LACUS_SPARK_COMMANDS_H
#include "runtime/catalog/catalog.h"
#include "runtime/delta/delta.h"
#include "runtime/sql/sql.h"

struct spark;

struct spark_env { /* what a session's statements act on: all borrowed */
    struct catalog *catalog;
    struct delta_engine engine;
    struct spark *spark; /* whose settings SET and RESET are for */
};

enum lc spark_command(const struct ctx *ctx, const struct spark_env *env, const struct sql_statement *s,
                      const struct plan **result, struct err *err) MUST_CHECK;
struct spark_relation { /* what a name stands for in one statement; borrowed */
    const char *name;
    const struct plan *plan;
};

struct spark_sql_args { /* what goes into the text; all borrowed */
    const struct sql_parameter *parameters;
    size_t n_parameters;
    const struct spark_relation *relations;
    size_t n_relations;
};
/* Parses and runs one statement. */
enum lc spark_sql(const struct ctx *ctx, const struct spark_env *env, const char *text, size_t len,
                  const struct spark_sql_args *args, const struct plan **result, struct err *err) MUST_CHECK;

struct spark_replace { /* df.write with replaceWhere, or of partitions (partitionOverwriteMode = dynamic) */
    const char *table, *path;  /* one of them */
    const char *condition;     /* SQL; NULL, and no filter: the rows of the partitions that have new ones */
    const struct expr *filter; /* the condition as an expression, or NULL */
    bool by_position;          /* insertInto */
};
/* The rows that the condition is true of go, those of the plan come: one commit. *there false: there is no such Delta table yet, and
 * nothing was done. */
enum lc spark_replace_rows(const struct ctx *ctx, const struct spark_env *env, const struct spark_replace *r,
                           const struct plan *rows, bool *there, struct err *err) MUST_CHECK;
#endif
