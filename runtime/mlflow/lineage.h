/* lineage.h: from the catalog's lineage to a run's inputs: every table that was read while a run was active,
 * with its Delta version.
 *
 * Ownership the slot keeps one catalog, opened on first use; lineage_close ends it.
 * Units     none.
 * Errors    as tracker.h and catalog.h.
 * Threads   session thread.
 *
 * Example:
 *     struct lineage *lineage = NULL;
 *     rc = lineage_note_inputs(ctx, &lineage, tracker, run_id, &err);
 *     lineage_close(lineage);
 */
#ifndef LACUS_MLFLOW_LINEAGE_H
#define LACUS_MLFLOW_LINEAGE_H
#include "runtime/tracking/tracker.h"

struct lineage;

enum lc lineage_note_inputs(const struct ctx *ctx, struct lineage **slot, struct tracker *tracker,
                            const char *run, struct err *err) MUST_CHECK;
/* A model 'catalog.schema.name' needs its schema, as on Unity Catalog: LC_NOTFOUND. A plain name needs nothing. */
enum lc lineage_need_schema(const struct ctx *ctx, struct lineage **slot, const char *model,
                            struct err *err) MUST_CHECK;
void lineage_close(struct lineage *l); /* NULL is fine */
#endif
