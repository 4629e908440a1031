/* sqlgen.h: a resolved plan as SQL for DuckDB, and the schema of its rows.
 *
 * What      resolves column names (ignoring case, by qualifier, by plan id), gives every expression its Spark type, and writes
 *           one SELECT whose internal names are unique, with casts wherever DuckDB's type is not Spark's. Texts of
 *           users go in as quoted literals and identifiers only.
 * Ownership sql_query_release ends what sql_encode made. Plans are borrowed.
 * Errors    LC_ENGINE with Spark's error classes ("[UNRESOLVED_COLUMN.WITH_SUGGESTION] …"); position when the
 *           expression came from SQL text; LC_UNSUPPORTED names what is not there yet.
 * Threads   any; no state.
 *
 * Example:
 *     struct sql_query q;
 *     struct err err;
 *     if (sql_encode(NULL, plan, &env, &q, &err) == LC_OK)
 *         sql_query_release(&q);
 */
#ifndef LACUS_DATAFRAME_SQLGEN_SQLGEN_H
#define LACUS_DATAFRAME_SQLGEN_SQLGEN_H
#include "runtime/dataframe/csv/csv.h"
#include "runtime/dataframe/json/record.h"
#include "runtime/dataframe/plan.h"

struct sql_env { /* what only the engine knows */
    /* The schema of files; a new reference. */
    enum lc (*source_schema)(void *self, const struct ctx *ctx, const struct plan *read,
                             const struct dtype **schema, struct err *err);
    /* Appends a FROM item whose columns are named 0, 1, 2 … for a PLAN_LOCAL. */
    enum lc (*local_table)(void *self, const struct ctx *ctx, const struct plan *local, struct buf *from,
                           struct err *err);
    /* Appends the value of an SQL expression without columns, as text. */
    enum lc (*constant)(void *self, const struct ctx *ctx, const char *sql, struct buf *value, bool *null,
                        struct err *err);
    void *self;
    bool
        narrow; /* sums of decimal products may fail with "Overflow in multiplication of DECIMAL(18)", before the first row; then the
                    plan is encoded without this */
};

struct sql_query {
    char *sql;                  /* owned: SELECT … with the user's column names */
    const struct dtype *schema; /* owned */
    bool narrow;                /* some sums are */
};

/* The columns of a plan, found from those of its inputs where these have a memo; the plan gets one, too (plan_memo: its
 * schema). */
enum lc sql_analyze(const struct ctx *ctx, const struct plan *p, const struct sql_env *env,
                    struct err *err) MUST_CHECK;

enum lc sql_encode(const struct ctx *ctx, const struct plan *p, const struct sql_env *env,
                   struct sql_query *out, struct err *err) MUST_CHECK;
enum explain_style {
    EXPLAIN_STYLE_SIMPLE,
    EXPLAIN_STYLE_EXTENDED,
    EXPLAIN_STYLE_COST,
    EXPLAIN_STYLE_FORMATTED
};
/* The plan as Spark prints it: operators and expressions, columns with their numbers. Appended. */
enum lc sql_explain(const struct ctx *ctx, const struct plan *p, const struct sql_env *env,
                    enum explain_style style, struct buf *out, struct err *err) MUST_CHECK;
void sql_query_release(struct sql_query *q);

/* DuckDB's spelling of a type. */
bool sql_type(const struct dtype *t, struct buf *out);
bool sql_quote_text(struct buf *out, const char *s, size_t len); /* 'it''s' */
bool sql_quote_name(struct buf *out, const char *name);          /* "a ""b""" */
/* The text of read_parquet(…), lacus_csv(…), lacus_json(…) for a PLAN_READ_SOURCE; schema NULL: for inferring it. */
enum lc sql_source(const struct plan *read, const struct dtype *schema, struct buf *out,
                   struct err *err) MUST_CHECK;
/* The files behind the paths of a PLAN_READ_SOURCE: folders expanded, hidden files left out; [PATH_NOT_FOUND]. */
enum lc sql_source_files(const struct plan *read, char ***files, size_t *n, bool *partitioned,
                         struct err *err) MUST_CHECK;
/* CSV (source_csv.c): lacus_csv(…) with the columns of a schema; with infer, one column that describes types. */
enum lc sql_source_csv(const struct plan *read, const struct dtype *schema, char **files, size_t n,
                       struct buf *out, struct err *err) MUST_CHECK;
bool sql_csv_infer(const struct plan *read, char **files, size_t n, size_t fields, struct buf *out);
enum lc sql_csv_options(const struct plan *read, struct csv_options *o, struct err *err) MUST_CHECK;
/* The value in ".../name=value/...", unescaped; NULL: none, or Hive's NULL. mem_free. */
char *sql_path_value(const char *path, const char *name);
bool sql_path_has(const char *path, const char *name);
/* JSON (source_json.c): lacus_json(…) with the columns of a schema. */
enum lc sql_source_json(const struct plan *read, const struct dtype *schema, char **files, size_t n,
                        struct buf *out, struct err *err) MUST_CHECK;
enum lc sql_json_options(const struct plan *read, struct json_options *o, struct err *err) MUST_CHECK;
#endif
