/* engine.h: the seam to what executes plans: embedded DuckDB, or a Spark cluster through Spark Connect.
 *
 * What      a versioned struct of functions. Plans come in resolved (plan_resolve): no table names, no CTEs.
 *           Results leave as Arrow C streams whose columns have the user's names and Spark's types.
 * Ownership open gives an engine, close ends it. analyze's schema is a new reference. A stream must be
 *           released before close; it holds its own connection, so several may be open at once.
 * Units     bytes, rows. Progress is 0…1, or -1 when not known.
 * Errors    LC_ENGINE with Spark's error class in brackets for what the user must change
 *           ("[UNRESOLVED_COLUMN.…] …"), LC_RUNTIME for failures of data while running ("[DIVIDE_BY_ZERO]
 *           …"), LC_NOTFOUND for missing files, LC_DATA for broken ones, LC_CANCELLED and LC_TIMEOUT from
 *           ctx, LC_MISSING when the engine's library is not installed. A stream's get_next returns ECANCELED
 *           when ctx was cancelled, EIO otherwise; get_last_error has the text.
 * Threads   analyze, execute, write_files: one at a time per engine is enough, any thread. interrupt: any
 *           thread. ctx must live until the stream is released.
 *
 * Example:
 *     const struct engine_ops *ops = engine_ops_open("duckdb", &err);
 *     struct engine *e;
 *     if (ops && ops->open(&(struct engine_options){0}, &e, &err) == LC_OK)
 *         ops->close(e);
 */
#ifndef LACUS_DATAFRAME_ENGINES_ENGINE_H
#define LACUS_DATAFRAME_ENGINES_ENGINE_H
#include "runtime/dataframe/plan.h"

enum { ENGINE_VERSION = 1 };
enum engine_capability { ENGINE_LOCAL_FILES = 1, ENGINE_WRITE_FILES = 2, ENGINE_OWN_CATALOG = 4 };
enum explain_mode { EXPLAIN_SIMPLE, EXPLAIN_EXTENDED };

struct engine; /* each engine's own */

struct engine_options {
    int threads;          /* 0: as many as this process may use */
    int64_t memory_bytes; /* 0: 60 % of the machine */
    const char *temp_dir; /* for spilling; NULL: LACUS_HOME/tmp */
    const char *timezone; /* NULL: UTC */
};

struct write_spec {
    const char *dir;                 /* must exist; files get unique names in it */
    const char *format;              /* "parquet", "csv", "json", "text" */
    const char *const *partition_by; /* names of the plan's columns; Hive-style folders below dir */
    size_t n_partition;
    const struct plan_options *options; /* compression, header, sep, …; may be NULL */
    bool single_file;                   /* one file even for large results (coalesce(1)) */
};

struct column_stats {
    char *name;         /* a top-level column, or "a.b" for a nested leaf */
    char *min, *max;    /* as text; NULL: not known */
    int64_t null_count; /* -1: not known */
};

struct written_file {
    char *path; /* relative to dir, '/'-separated, not URL-encoded */
    int64_t size, rows;
    struct column_stats *columns; /* Parquet only */
    size_t n_columns;
    char **partition; /* per partition_by column: text, or NULL for SQL NULL */
    size_t n_partition;
};

struct written_files {
    struct written_file *files;
    size_t n;
    int64_t rows, bytes;
};
void written_files_release(struct written_files *w);

struct engine_ops {
    int version; /* ENGINE_VERSION */
    const char *name;
    unsigned capabilities;
    enum lc (*open)(const struct engine_options *options, struct engine **out, struct err *err);
    void (*close)(struct engine *e);
    const char *(*library_version)(struct engine *e);
    enum lc (*analyze)(struct engine *e, const struct ctx *ctx, const struct plan *p,
                       const struct dtype **schema, struct err *err);
    enum lc (*explain)(struct engine *e, const struct ctx *ctx, const struct plan *p, enum explain_mode mode,
                       struct buf *out, struct err *err);
    enum lc (*execute)(struct engine *e, const struct ctx *ctx, const struct plan *p,
                       struct ArrowArrayStream *out, struct err *err);
    /* Writes the plan's rows as files and says what was written, with what Delta's add.stats needs. On
     * failure or cancel nothing it wrote is left behind. */
    enum lc (*write_files)(struct engine *e, const struct ctx *ctx, const struct plan *p,
                           const struct write_spec *spec, struct written_files *out, struct err *err);
    double (*progress)(struct engine *e);
    void (*interrupt)(struct engine *e); /* ends what runs now, with LC_CANCELLED */
    /* "spark.sql.session.timeZone", "threads", "memory_limit"; LC_NOTFOUND with the nearest names */
    enum lc (*set_conf)(struct engine *e, const char *key, const char *value, struct err *err);
};

/* The engine's vtable, its plugin opened on first use; NULL and LC_MISSING when it is not installed. */
const struct engine_ops *engine_ops_open(const char *name, struct err *err);
#endif
