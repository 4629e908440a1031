/* origin.h: the tables that a job's rows came from, as the catalog saw them being read.
 *
 * What      the catalog notes a lineage row for each table that a DataFrame reads when it is run. A mark before the
 * rows of a job are written and a look after it give the tables: "catalog.schema.table@version", or the name alone for
 * what has no version. Rows that were not read from a table (lists, collected rows) give none.
 * Ownership *out is a new reference.
 * Units     the mark is an id of the catalog's lineage.
 * Errors    the catalog's.
 * Threads   one at a time.
 *
 * Example:
 *     int64_t mark;
 *     json_t *tables;
 *     if (origin_mark(&ctx, &mark, &err) == LC_OK && origin_tables(&ctx, mark, &tables, &err) == LC_OK)
 *         json_decref(tables);
 */
#ifndef LACUS_TRAIN_ORIGIN_H
#define LACUS_TRAIN_ORIGIN_H
#include "runtime/base/ctx.h"
#include <jansson.h>

enum lc origin_mark(const struct ctx *ctx, int64_t *mark, struct err *err) MUST_CHECK;
/* Read by this session since the mark, each once, oldest first. */
enum lc origin_tables(const struct ctx *ctx, int64_t mark, json_t **out, struct err *err) MUST_CHECK;
#endif
