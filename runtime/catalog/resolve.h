/* resolve.h: between names and rows: what a plan's tables are, and where a plan's rows go.
 *
 * What      catalog_resolve replaces each named table in a plan by a scan of the files of one snapshot
 *           (temporary views by their plan) and leaves everything else as it is. delta.`/a/folder`,
 *           parquet.`/a/file` and so on are tables without a name: spark.read.format("delta").load(path) is
 *           plan_read_table({"delta", path}). Options of a read: versionAsOf, timestampAsOf. catalog_save
 *           writes a plan's rows to a table: it makes the table if the mode allows it, commits to Delta and
 *           records the lineage.
 * Ownership a resolved plan is the caller's reference.
 * Errors    those of catalog.h and delta.h.
 * Threads   one at a time per catalog and engine.
 *
 * Example:
 *     struct catalog_save s = {.table = "sales.orders", .write = {.mode = DELTA_APPEND}};
 *     struct delta_written done;
 *     if (catalog_save(&ctx, catalog, engine, plan, &s, &done, &err) == LC_OK)
 *         printf("version %lld\n", (long long)done.version);
 */
#ifndef LACUS_CATALOG_RESOLVE_H
#define LACUS_CATALOG_RESOLVE_H
#include "runtime/catalog/catalog.h"
#include "runtime/delta/delta.h"

struct plan_options;

/* For running the plan: each table that is read gets its lineage row. */
enum lc catalog_resolve(const struct ctx *ctx, struct catalog *c, const struct delta_engine *engine,
                        const struct plan *plan, const struct plan **out, struct err *err) MUST_CHECK;
/* For its schema or explain only: the same, and no lineage. */
enum lc catalog_resolve_quietly(const struct ctx *ctx, struct catalog *c, const struct delta_engine *engine,
                                const struct plan *plan, const struct plan **out, struct err *err) MUST_CHECK;

/* The same, one step: inputs whose columns are known already (plan_memo) stay as they are. For sql_analyze. */
enum lc catalog_resolve_step(const struct ctx *ctx, struct catalog *c, const struct delta_engine *engine,
                             const struct plan *plan, const struct plan **out, struct err *err) MUST_CHECK;

struct catalog_save {
    const char *table; /* a name; or NULL, and */
    const char *path;  /* a location: a Delta table without a name. With a table: LOCATION of a new one */
    bool insert;       /* insertInto, INSERT: the table must be there; columns by position */
    bool by_name;      /* with insert: columns by name */
    struct delta_write write;
    /* Tables of files. format: of a table that is made; NULL or "": Delta, or what the table is. */
    const char *format;
    const struct plan_options *options;     /* of a table that is made; may be NULL */
    bool dynamic;                           /* overwrites only partitions that have new rows */
    const struct delta_property *partition; /* PARTITION (…): value NULL: no value, "": NULL */
    size_t n_partition;
};
/* The plan need not be resolved. */
enum lc catalog_save(const struct ctx *ctx, struct catalog *c, const struct delta_engine *engine,
                     const struct plan *plan, const struct catalog_save *save, struct delta_written *out,
                     struct err *err) MUST_CHECK;
#endif
