/* command_int.h: what the files of the SQL commands share (private to runtime/spark).
 *
 * What      one function per kind of statement, and what several of them need.
 * Ownership what a command shows is the caller's reference in *c->result.
 * Errors    those of commands.h, in c->err.
 * Threads   one.
 *
 * Example:
 *     if (command_matches("a*|b", "abc"))
 *         puts("it does");
 */
#ifndef LACUS_SPARK_COMMAND_INT_H
#define LACUS_SPARK_COMMAND_INT_H
#include "runtime/spark/commands.h"

struct catalog_save;
struct delta_written;

struct command { /* what every command gets */
    const struct ctx *ctx;
    const struct spark_env *env;
    const struct sql_statement *s;
    const struct plan **result;
    struct err *err;
};

bool command_is_path(const struct sql_names *name); /* delta.`/a/path` */
/* Writes the plan's rows to the table or folder that the statement names. */
enum lc command_save(struct command *c, const struct plan *plan, struct catalog_save *save,
                     struct delta_written *out) MUST_CHECK;
/* Spark's patterns: * is anything, | is or, case does not matter. NULL matches all. */
bool command_matches(const char *pattern, const char *name);
/* A schema's name of one or two parts. */
enum lc command_schema(const struct sql_names *name, const char **catalog, const char **schema,
                       struct err *err) MUST_CHECK;
enum lc command_one_part(const struct sql_names *name, const char *what, struct err *err) MUST_CHECK;
const struct plan *command_table(struct command *c);            /* the table that the statement names */
const struct plan *command_no_rows(const struct dtype *schema); /* a relation that has these columns */
json_t *command_pairs(const struct sql_property *p, size_t n);
/* Sets the statement's properties of a schema. */
enum lc command_schema_properties(struct command *c, const char *catalog, const char *schema) MUST_CHECK;

enum lc run_create_table(struct command *c);
enum lc run_create_like(struct command *c);
enum lc run_create_view(struct command *c);
enum lc run_create_catalog(struct command *c);
enum lc run_create_schema(struct command *c);
enum lc run_create_volume(struct command *c);
enum lc run_drop_table(struct command *c);
enum lc run_drop_view(struct command *c);
enum lc run_drop_catalog(struct command *c);
enum lc run_drop_schema(struct command *c);
enum lc run_drop_volume(struct command *c);
enum lc run_show_volumes(struct command *c);
enum lc run_describe_volume(struct command *c);
enum lc run_list(struct command *c);
enum lc run_alter(struct command *c);
/* ALTER VIEW v AS SELECT …, and CREATE VIEW: the view's row, from the statement's text and plan. */
enum lc view_define(struct command *c, struct catalog_table *t) MUST_CHECK;
enum lc run_insert(struct command *c);
enum lc run_truncate(struct command *c);
enum lc run_delete(struct command *c);
enum lc run_update(struct command *c);
enum lc run_merge(struct command *c);
#endif
