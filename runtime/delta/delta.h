/* delta.h: the Delta Lake log: snapshots, commits, history (PROTOCOL.md of delta-io/delta; what was tried of
 * it is in the tests).
 *
 * What      a table is a folder with Parquet files and _delta_log/. A snapshot is what the log says at one
 *           version; a commit adds the next version, or reports who was faster. Rows are read and written by
 *           an engine (runtime/dataframe); this part knows files, schemas as Delta's JSON text, and the log.
 * Ownership a snapshot is immutable plain data in one arena: delta_close ends it and everything in it.
 *           Builders and lists have their own release function.
 * Units     versions count from 0, DELTA_LATEST is the newest; times are milliseconds since 1970.
 * Errors    LC_NOTFOUND (no table there, no such version: the range is in the hint), LC_DATA (a broken log:
 *           file and line are named), LC_UNSUPPORTED (a table feature, by name), LC_CONFLICT (another writer
 *           changed what this one read), LC_LIMIT.
 * Threads   any; one builder at a time per thread.
 *
 * Example:
 *     struct delta_snapshot *t;
 *     struct err err;
 *     if (delta_open(&ctx, NULL, "/data/t", DELTA_LATEST, &t, &err) == LC_OK) {
 *         printf("version %lld: %zu files\n", (long long)t->version, t->n_files);
 *         delta_close(t);
 *     }
 */
#ifndef LACUS_DELTA_DELTA_H
#define LACUS_DELTA_DELTA_H
#include "runtime/base/ctx.h"
#include <jansson.h>
#include <stddef.h>

struct dtype;
struct engine;
struct engine_ops;
struct plan;
struct scan;

struct delta_engine { /* what runs plans: both borrowed */
    const struct engine_ops *ops;
    struct engine *engine;
};

#define DELTA_LATEST ((int64_t)-1)

struct delta_file {
    const char *path; /* decoded; relative to the table, or absolute */
    int64_t size, modified_ms;
    int64_t rows;                   /* -1: the log does not say */
    const char *const *partitions;  /* values beside delta_snapshot.partition_columns; NULL is SQL's NULL */
    const char *stats;              /* JSON text, or NULL */
    const char *deletion_vector_id; /* NULL: none */
};

struct delta_property {
    const char *name, *value;
};

struct delta_snapshot {
    const char *location; /* as it was given to delta_open */
    int64_t version;
    int64_t timestamp_ms;           /* of the commit that made this version */
    const char *id;                 /* the table's UUID */
    const char *name, *description; /* may be NULL */
    const char *schema_json;        /* {"type":"struct","fields":[…]}, as Spark's StructType.json */
    const char *const *partition_columns;
    const char *const *partition_names; /* the same as files and the log have them (column mapping) */
    size_t n_partition_columns;
    const struct delta_property *properties;
    size_t n_properties;
    int reader_version, writer_version;
    const char *const *reader_features, *const *writer_features;
    size_t n_reader_features, n_writer_features;
    int64_t created_ms; /* 0: the log does not say */
    const struct delta_file *files;
    size_t n_files;
    struct arena *arena; /* owns all of it */
};

/* Is there a log? Any failure but absence is an error. */
enum lc delta_exists(const struct ctx *ctx, const char *location, bool *yes, struct err *err) MUST_CHECK;
/* The engine reads checkpoints; NULL is fine for a table that has none. Tables that ask a reader for a
 * feature that is not there are refused. */
enum lc delta_open(const struct ctx *ctx, const struct delta_engine *engine, const char *location,
                   int64_t version, struct delta_snapshot **out, struct err *err) MUST_CHECK;
void delta_close(struct delta_snapshot *t);                                   /* NULL is fine */
const char *delta_property(const struct delta_snapshot *t, const char *name); /* NULL: not set */
/* The newest version whose commit is not younger than the time. */
enum lc delta_version_at(const struct ctx *ctx, const char *location, int64_t time_ms, int64_t *version,
                         struct err *err) MUST_CHECK;
/* The place of a file of the table, absolute; caller frees with mem_free. */
char *delta_file_location(const struct delta_snapshot *t, const struct delta_file *f);

/* The snapshot's files as a plan's scan; table is the name for messages. Caller's reference (scan_unref). */
enum lc delta_scan(const struct delta_snapshot *t, const char *table, struct scan **out,
                   struct err *err) MUST_CHECK;

struct delta_history_entry {
    int64_t version, timestamp_ms;
    json_t *info; /* owned; commitInfo as it stands, or an empty object */
};
struct delta_history {
    struct delta_history_entry *entries; /* owned, newest first */
    size_t n;
};
/* At most `limit` entries (0: all that the log still has). */
enum lc delta_history(const struct ctx *ctx, const char *location, size_t limit, struct delta_history *out,
                      struct err *err) MUST_CHECK;
void delta_history_release(struct delta_history *h);

/* ---- writing rows ---- */
enum delta_mode { DELTA_APPEND, DELTA_OVERWRITE, DELTA_ERROR, DELTA_IGNORE }; /* Spark's save modes */

struct delta_write {
    enum delta_mode mode;
    const char *const *partition_by; /* for a new table; on an existing one it must agree */
    size_t n_partition_by;
    bool merge_schema;     /* new columns are added */
    bool overwrite_schema; /* with DELTA_OVERWRITE: schema and partitioning are replaced */
    bool by_position;      /* columns are matched by position (INSERT), not by name */
    bool reads;            /* the plan reads this table, at read_version: others may not have changed it */
    int64_t read_version;
    bool replace;     /* the history says CREATE OR REPLACE; implies overwrite_schema */
    bool create;      /* the history says CREATE TABLE AS SELECT */
    const char *name; /* for metaData; may be NULL */
    const char *description;
    const struct dtype
        *schema; /* of a table that is made or replaced, with comments and NOT NULL; NULL: the rows' */
    const struct delta_property *properties; /* for a new table */
    size_t n_properties;
};

struct delta_written {
    int64_t version; /* -1: nothing was written (DELTA_IGNORE) */
    int64_t rows, files, bytes;
};

/* Spark's store assignment, policy ANSI: may rows of one type go into a column of another? */
bool delta_may_store(const struct dtype *from, const struct dtype *to);
/* Runs the plan, writes its rows as Parquet files below location and commits them. Files of a write that
 * failed are removed; a killed writer leaves unreferenced files and a table that reads as before. */
enum lc delta_write(const struct ctx *ctx, const struct delta_engine *engine, const struct plan *plan,
                    const char *location, const struct delta_write *w, struct delta_written *out,
                    struct err *err) MUST_CHECK;
/* A table without rows. LC_EXISTS when there is one. */
enum lc delta_create(const struct ctx *ctx, const char *location, const char *schema_json,
                     const struct delta_write *w, struct err *err) MUST_CHECK;

/* ---- changing what a table is ---- */
struct delta_change {                 /* all borrowed */
    const char *operation;            /* "ADD COLUMNS": for the history */
    const json_t *parameters;         /* of the operation; may be NULL */
    const struct dtype *schema;       /* NULL: as it is */
    const char *const *partition_by;  /* with schema, after a rename; NULL: as it is */
    const struct delta_property *set; /* properties */
    size_t n_set;
    const char *const *unset;
    size_t n_unset;
    bool set_description;
    const char *description; /* NULL: none */
    bool read_rows;          /* the change depends on the rows (SET NOT NULL): nobody may have added any */
};
/* One commit of a metaData action (and of a protocol, if it needs a newer one) on top of this snapshot. LC_CONFLICT when somebody
 * else changed the table's metadata meanwhile. */
enum lc delta_change(const struct ctx *ctx, const struct delta_snapshot *t, const struct delta_change *change,
                     int64_t *version, struct err *err) MUST_CHECK;

/* ---- rewriting files: DELETE, UPDATE, MERGE ---- */
#define DELTA_FILE_COLUMN "__lacus_file"
#define DELTA_ROW_COLUMN  "__lacus_row"
/* delta_scan of some of the snapshot's files (NULL: all), with two more columns: where each row lies. */
enum lc delta_scan_places(const struct delta_snapshot *t, const char *table, const bool *files,
                          struct scan **out, struct err *err) MUST_CHECK;
/* Marks the snapshot's files that a resolved plan gives in its first column. */
enum lc delta_mark_files(const struct ctx *ctx, const struct delta_engine *engine,
                         const struct delta_snapshot *t, const struct plan *plan, bool *files,
                         struct err *err) MUST_CHECK;
/* Calls fn with each row of a resolved plan, as a JSON object by column names: small results only. */
typedef enum lc delta_row_fn(void *arg, const json_t *row, struct err *err);
enum lc delta_each_row(const struct ctx *ctx, const struct delta_engine *engine, const struct plan *plan,
                       delta_row_fn *fn, void *arg, struct err *err) MUST_CHECK;

struct delta_rewrite {              /* all borrowed */
    const struct delta_snapshot *t; /* what was read */
    const bool *files;              /* which of its files go */
    const struct plan *plan;        /* resolved: the rows that come, with the table's columns; NULL: none */
    const char *operation;          /* "DELETE" */
    const json_t *parameters, *metrics; /* for the history; may be NULL */
};
/* One commit: the files go, those of the plan's rows come. LC_CONFLICT when somebody else changed what was read. No commit (version
 * -1) when nothing goes and nothing comes. */
enum lc delta_rewrite(const struct ctx *ctx, const struct delta_engine *engine, const struct delta_rewrite *r,
                      struct delta_written *out, struct err *err) MUST_CHECK;
#endif
