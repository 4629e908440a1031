/* target.h: the Delta table whose rows a statement changes (private to runtime/spark).
 *
 * What      opens one snapshot, finds the files that have rows to change, and commits what comes in their place: DELETE, UPDATE,
 *           MERGE, INSERT … REPLACE WHERE, TRUNCATE of a partition.
 * Ownership a target is ended with target_close; plans are the caller's references.
 * Errors    those of catalog.h, delta.h and the engine; LC_CONFLICT when somebody else changed what was read.
 * Threads   one.
 *
 * Example:
 *     struct target t;
 *     if (target_open(c, &t) == LC_OK)
 *         target_close(&t);
 */
#ifndef LACUS_SPARK_TARGET_H
#define LACUS_SPARK_TARGET_H
#include "runtime/spark/command_int.h"

struct target {
    struct delta_snapshot *t;   /* owned */
    const struct dtype *schema; /* owned */
    bool *files;                /* owned: which of them are rewritten */
    char name[3 * CATALOG_NAME_MAX];
};
enum lc target_open(struct command *c, struct target *t) MUST_CHECK;
void target_close(struct target *t);
/* The target's rows and where they lie, under its alias or its name. all: of all files, else of the marked ones. */
const struct plan *target_rows(struct command *c, const struct target *t, bool all);
/* Marks the files that a plan gives in its column DELTA_FILE_COLUMN. */
enum lc target_mark(struct command *c, struct target *t, const struct plan *plan) MUST_CHECK;
/* Commits: the marked files go, rows (NULL: none) come. Takes the references of rows and metrics. */
enum lc target_commit(struct command *c, const struct target *t, const struct plan *rows,
                      const char *operation, json_t *metrics) MUST_CHECK;
/* The first row of a plan, numbers by column names. Takes the reference of the plan. */
enum lc target_numbers(struct command *c, const struct plan *plan, json_t **out) MUST_CHECK;
struct expr *target_column(const char *name);
struct expr *target_is_true(struct expr *e); /* e <=> true */

/* ---- for INSERT and TRUNCATE ---- */
enum lc change_table_schema(struct command *c, const struct dtype **out) MUST_CHECK;
enum lc change_replace(struct command *c, const struct plan *rows, bool by_name, int64_t *n) MUST_CHECK;
enum lc change_truncate_partition(struct command *c) MUST_CHECK;
#endif
