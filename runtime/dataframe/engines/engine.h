/* engine.h: the seam to what executes plans: embedded DuckDB, or a Spark cluster through Spark Connect.
 *
 * What      a versioned struct of functions. Plans come in resolved (plan_resolve): no table names, no CTEs;
 *           an engine with ENGINE_OWN_CATALOG takes them as they are.
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

enum { ENGINE_VERSION = 2 };
enum engine_capability { ENGINE_LOCAL_FILES = 1, ENGINE_WRITE_FILES = 2, ENGINE_OWN_CATALOG = 4 };
enum explain_mode { EXPLAIN_SIMPLE, EXPLAIN_EXTENDED, EXPLAIN_CODEGEN, EXPLAIN_COST, EXPLAIN_FORMATTED };

struct engine; /* each engine's own */

struct engine_options {
    int threads;                     /* 0: as many as this process may use */
    int64_t memory_bytes;            /* 0: 60 % of the machine */
    const char *temp_dir;            /* for spilling; NULL: LACUS_HOME/tmp */
    const char *timezone;            /* NULL: UTC */
    const char *remote;              /* sc://host:port/;… for an engine elsewhere */
    const struct plan_options *conf; /* what the session was built with; may be NULL */
};

/* ---- for engines that have a catalog of their own (ENGINE_OWN_CATALOG) ---- */
struct engine_parameter {
    const char *name; /* NULL: by position */
    const struct expr *value;
};

struct engine_relation { /* what a name stands for in one text */
    const char *name;
    const struct plan *plan;
};

struct engine_text { /* a statement in the engine's language; all borrowed */
    const char *text;
    size_t len;
    const struct engine_parameter *parameters;
    size_t n_parameters;
    const struct engine_relation *relations;
    size_t n_relations;
};

struct engine_save {
    const char *table, *path; /* one of them; with both: a table at this place */
    bool insert;              /* the table must be there; columns by position */
    const char *format;       /* NULL or "": what the server is set to */
    const char *mode;         /* "append", "overwrite", "error", "ignore" */
    const char *const *partition_by;
    size_t n_partition;
    const struct plan_options *options; /* may be NULL */
};

/* df.writeTo(table): Spark's WriteOperationV2. */
enum engine_save_v2_mode {
    SAVE_CREATE = 1,
    SAVE_OVERWRITE,
    SAVE_OVERWRITE_PARTITIONS,
    SAVE_APPEND,
    SAVE_REPLACE,
    SAVE_CREATE_OR_REPLACE
};

struct engine_save_v2 {
    const char *table, *format; /* format may be NULL */
    enum engine_save_v2_mode mode;
    const struct expr *condition; /* of SAVE_OVERWRITE; else NULL */
    struct expr *const *partition_by;
    size_t n_partition;
    const struct plan_options *options, *properties; /* may be NULL */
};

/* A call of spark.catalog by its Spark name; arguments as texts, NULL: not given. */
struct engine_catalog_call {
    const char *name; /* "listTables" */
    const char *const *args;
    size_t n_args;
};

struct engine_show {
    int64_t rows, truncate; /* truncate 0: whole values */
    bool vertical;
};

enum engine_stop { STOP_ALL, STOP_TAG, STOP_OPERATION };

struct engine_remote { /* the rest of such an engine's functions */
    /* Runs a statement; what it gives is a plan for this engine. */
    enum lc (*sql)(struct engine *e, const struct ctx *ctx, const struct engine_text *text,
                   const struct plan **out, struct err *err);
    enum lc (*save)(struct engine *e, const struct ctx *ctx, const struct plan *p,
                    const struct engine_save *save, struct err *err);
    enum lc (*save_v2)(struct engine *e, const struct ctx *ctx, const struct plan *p,
                       const struct engine_save_v2 *save, struct err *err);
    enum lc (*view)(struct engine *e, const struct ctx *ctx, const struct plan *p, const char *name,
                    bool global, bool replace, struct err *err);
    /* A plan of the rows that the call gives; LC_NOTFOUND: no such call. */
    enum lc (*catalog)(struct engine *e, const struct engine_catalog_call *call, const struct plan **out,
                       struct err *err);
    /* value: appended; *found false: not set. key NULL: every setting as "key=value\n". */
    enum lc (*get_conf)(struct engine *e, const struct ctx *ctx, const char *key, struct buf *value,
                        bool *found, struct err *err);
    enum lc (*unset_conf)(struct engine *e, const struct ctx *ctx, const char *key, struct err *err);
    /* What show prints, as the server prints it. */
    enum lc (*show)(struct engine *e, const struct ctx *ctx, const struct plan *p,
                    const struct engine_show *how, struct buf *out, struct err *err);
    enum lc (*tree)(struct engine *e, const struct ctx *ctx, const struct plan *p, int64_t level,
                    struct buf *out, struct err *err);
    enum lc (*input_files)(struct engine *e, const struct ctx *ctx, const struct plan *p, struct buf *lines,
                           struct err *err);
    enum lc (*persist)(struct engine *e, const struct ctx *ctx, const struct plan *p, bool on,
                       struct err *err);
    enum lc (*same_semantics)(struct engine *e, const struct ctx *ctx, const struct plan *a,
                              const struct plan *b, bool *same, struct err *err);
    enum lc (*semantic_hash)(struct engine *e, const struct ctx *ctx, const struct plan *p, int64_t *hash,
                             struct err *err);
    enum lc (*stop)(struct engine *e, const struct ctx *ctx, enum engine_stop what, const char *id,
                    struct buf *stopped, struct err *err); /* ids, one per line */
    enum lc (*tag)(struct engine *e, const char *tag, bool add,
                   struct err *err);           /* tag NULL: take all away */
    const char *(*tags)(struct engine *e);     /* one per line; borrowed */
    const char *(*describe)(struct engine *e); /* "sc://host:port, Spark 4.3.0" */
    bool (*lost)(struct engine *e);            /* the session has ended there: calls fail */
};

struct write_spec {
    const char *dir;                 /* must exist; files get unique names in it */
    const char *format;              /* "parquet", "csv", "json", "text" */
    const char *const *partition_by; /* names of the plan's columns; Hive-style folders below dir */
    size_t n_partition;
    const struct plan_options *options; /* compression, header, sep, …; may be NULL */
    bool single_file;                   /* one file even for large results (coalesce(1)) */
    bool
        zones; /* instants among the values of partitions keep their zone, else they are the session's times */
    const int64_t *field_ids; /* Parquet's, one per column of the plan; NULL: none. */
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
    const struct engine_remote *remote; /* NULL: an engine without a catalog of its own */
};

/* The engine's vtable, its plugin opened on first use; NULL and LC_MISSING when it is not installed. */
const struct engine_ops *engine_ops_open(const char *name, struct err *err);
#endif
