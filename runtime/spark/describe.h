/* describe.h: what tables and schemas are, as plans of values (private to runtime/spark).
 *
 * Ownership *out is the caller's reference.
 * Errors    those of catalog.h, delta.h, the engine.
 * Threads   one.
 *
 * Example:
 *     const struct plan *shown;
 *     if (describe_table(&ctx, env, &name, false, &shown, &err) == LC_OK)
 *         plan_unref(shown);
 */
#ifndef LACUS_SPARK_DESCRIBE_H
#define LACUS_SPARK_DESCRIBE_H
#include "runtime/spark/commands.h"

enum lc describe_table(const struct ctx *ctx, const struct spark_env *env, const struct sql_names *name,
                       bool extended, const struct plan **out, struct err *err) MUST_CHECK;
enum lc describe_columns(const struct ctx *ctx, const struct spark_env *env, const struct sql_names *name,
                         const struct plan **out, struct err *err) MUST_CHECK;
/* Which of the schema's columns the table is partitioned by; none of a view. */
enum lc describe_partitioned(const struct ctx *ctx, const struct spark_env *env, const struct sql_names *name,
                             const struct dtype *schema, bool *partition, struct err *err) MUST_CHECK;
/* key NULL: all of them */
enum lc describe_properties(const struct ctx *ctx, const struct spark_env *env, const struct sql_names *name,
                            const char *key, const struct plan **out, struct err *err) MUST_CHECK;
/* SHOW PARTITIONS, maybe of a PARTITION */
enum lc describe_partitions(const struct ctx *ctx, const struct spark_env *env, const struct sql_statement *s,
                            const struct plan **out, struct err *err) MUST_CHECK;
/* DESCRIBE t column */
enum lc describe_column(const struct ctx *ctx, const struct spark_env *env, const struct sql_statement *s,
                        const struct plan **out, struct err *err) MUST_CHECK;
struct table;
/* The cell "information" of SHOW TABLE EXTENDED. catalog NULL: the current one. */
enum lc describe_information(const struct ctx *ctx, const struct spark_env *env,
                             const struct catalog_item *item, const char *catalog, const char *schema,
                             struct table *t, struct err *err) MUST_CHECK;
enum lc describe_catalog(const struct ctx *ctx, const struct spark_env *env, const char *catalog,
                         const struct plan **out, struct err *err) MUST_CHECK;
/* SHOW CREATE TABLE */
enum lc describe_create(const struct ctx *ctx, const struct spark_env *env, const struct sql_names *name,
                        const struct plan **out, struct err *err) MUST_CHECK;
enum lc describe_schema(const struct ctx *ctx, const struct spark_env *env, const char *catalog,
                        const char *schema, bool extended, const struct plan **out,
                        struct err *err) MUST_CHECK;
enum lc describe_history(const struct ctx *ctx, const struct spark_env *env, const struct sql_names *name,
                         const struct plan **out, struct err *err) MUST_CHECK;
enum lc describe_detail(const struct ctx *ctx, const struct spark_env *env, const struct sql_names *name,
                        const struct plan **out, struct err *err) MUST_CHECK;
enum lc describe_query(const struct ctx *ctx, const struct spark_env *env, const struct plan *plan,
                       const struct plan **out, struct err *err) MUST_CHECK;
#endif
