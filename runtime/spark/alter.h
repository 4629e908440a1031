/* alter.h: what ALTER TABLE makes of a table's columns (private to runtime/spark).
 *
 * What      applies the changes of a statement to a Delta table's schema: paths of names, positions, comments, NOT NULL, wider
 *           types. Column mapping is what a rename or a drop needs; the ids are given when the change is committed.
 * Ownership *out is the caller's reference; *partition_by lies in the arena, NULL: as it was.
 * Errors    LC_ENGINE with Spark's or Delta's class: no such column, a column that is there already, a type
 *           that cannot be widened to, a table without column mapping.
 * Threads   any.
 *
 * Example:
 *     const struct dtype *after;
 *     const char *const *partitions;
 *     if (alter_schema_columns(arena, statement, snapshot, schema, &after, &partitions, &err) == LC_OK)
 *         dtype_unref(after);
 */
#ifndef LACUS_SPARK_ALTER_H
#define LACUS_SPARK_ALTER_H
#include "runtime/delta/delta.h"
#include "runtime/sql/sql.h"

enum lc alter_schema_columns(struct arena *arena, const struct sql_statement *s,
                             const struct delta_snapshot *t, const struct dtype *schema,
                             const struct dtype **out, const char *const **partition_by,
                             struct err *err) MUST_CHECK;
/* The same fields with the same metadata in the same order? */
bool alter_same_schema(const struct dtype *a, const struct dtype *b);
#endif
