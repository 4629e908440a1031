/* plan.h: relations, shaped like Spark Connect's Relation: what a DataFrame is, before and after its names
 * are resolved.
 *
 * What      an immutable tree. Every node has a plan id (unique in the process) to which df.col expressions
 *           refer; a copy of a node with other inputs keeps the id. PLAN_READ_TABLE and PLAN_WITH are what
 *           users and the SQL parser make; plan_resolve replaces them, and engines never see them.
 * Ownership reference-counted, read-only once made. Constructors take over the references they are given,
 *           also when they fail (NULL: no memory, or a required argument was NULL), so calls nest without
 *           checks; texts are copied; arrays of references are read during the call.
 * Errors    NULL without memory; plan_resolve: what the resolver says.
 * Threads   any.
 *
 * Example:
 *     const struct plan *p = plan_limit(plan_range(0, 100, 1), 5);
 *     plan_unref(p);
 */
#ifndef LACUS_DATAFRAME_PLAN_H
#define LACUS_DATAFRAME_PLAN_H
#include "runtime/base/arrow.h"
#include "runtime/base/ctx.h"
#include "runtime/dataframe/expr.h"

enum plan_kind {
    PLAN_READ_TABLE,  /* a name of the catalog, a temporary view or a CTE */
    PLAN_READ_SOURCE, /* files with a format */
    PLAN_SCAN,        /* a resolved table: Parquet files with schema and partition values */
    PLAN_LOCAL,       /* Arrow batches in memory */
    PLAN_VALUES,      /* rows of expressions */
    PLAN_RANGE,
    PLAN_PROJECT, /* without input: one row */
    PLAN_FILTER,
    PLAN_JOIN,
    PLAN_SET_OP,
    PLAN_SORT,
    PLAN_LIMIT,
    PLAN_OFFSET,
    PLAN_TAIL,
    PLAN_AGGREGATE,
    PLAN_DEDUPLICATE,
    PLAN_SAMPLE,
    PLAN_ALIAS,
    PLAN_REPARTITION,
    PLAN_TO_DF,
    PLAN_WITH_COLUMNS,
    PLAN_RENAME,
    PLAN_DROP,
    PLAN_NA_FILL,
    PLAN_NA_DROP,
    PLAN_WITH, /* common table expressions and the query that uses them */
    PLAN_RECURSION, /* WITH RECURSIVE: the first rows, and what they and each round give: there it is a PLAN_LOOP */
    PLAN_LOOP,    /* the rows of the round before, of the PLAN_RECURSION with that id */
    PLAN_ENCODED, /* a relation in the words of the engine it came from (Spark Connect's bytes) */
    PLAN_KIND_COUNT
};

enum join_kind { JOIN_INNER, JOIN_FULL, JOIN_LEFT, JOIN_RIGHT, JOIN_SEMI, JOIN_ANTI, JOIN_CROSS };
enum set_op { SET_UNION, SET_INTERSECT, SET_EXCEPT };
enum group_kind { GROUP_BY, GROUP_ROLLUP, GROUP_CUBE, GROUP_SETS };
enum { GROUP_SETS_COLUMNS = 31 };

struct plan_option {
    char *key, *value; /* owned; keys in lower case */
};

struct plan_options {
    struct plan_option *items; /* owned */
    size_t n;
};

struct scan_file {
    char *path;   /* absolute path or URI; owned */
    int64_t size; /* bytes, -1: unknown */
    char *
        *partition; /* owned: one text (Delta's partitionValues) or NULL for SQL NULL, per partition column */
};

struct scan {                   /* shared by reference between copies of a node */
    int refs;                   /* atomic */
    char *table;                /* name for errors and lineage */
    const struct dtype *schema; /* of the table, partition columns included */
    char **physical;          /* column names inside the files, per field; NULL: the same as in the schema */
    char **partition_columns; /* names of the schema's fields */
    size_t n_partition;
    struct scan_file *files;
    size_t n_files;
    int64_t version; /* of the table, -1: none */
    bool
        places; /* the last two fields are no columns of the files: the file's path, and the row's number in it */
};

/* Arrow batches in memory: all with the same struct schema. */
struct local_data;

/* What was found out about a plan, kept with it so that a plan above need not ask again (sqlgen/analyze.c). */
struct plan_memo {
    int refs;                   /* atomic */
    const struct dtype *schema; /* owned */
    bool whole;                 /* a plan above needs nothing of this one but its memo */
    void (*free)(struct plan_memo *m);
};

struct plan {
    int refs;               /* atomic */
    struct plan_memo *memo; /* atomic; owned; NULL: nothing was found out yet */
    enum plan_kind kind;
    int64_t id;
    const struct plan *left, *right; /* inputs; owned, may be NULL */
    struct expr **exprs;             /* owned: project, filter (1), join condition (0 or 1), sort, aggregates,
                                        with_columns (aliases), drop (attributes), na_fill values, values (row by row) */
    size_t n_exprs;
    char **names; /* owned: read_table parts, using columns, deduplicate/na columns, alias parts, toDF names,
                     rename pairs (old, new, …), source paths, values' column names, CTE names */
    size_t n_names;
    union {
        struct {
            char *format;               /* owned: "parquet", "csv", "json", "text" */
            const struct dtype *schema; /* owned, may be NULL: inferred */
            struct plan_options options;
        } source;
        struct {
            struct plan_options options; /* versionAsOf, timestampAsOf */
            int64_t position;            /* byte offset of the name in the SQL text it came from, or -1 */
        } table;
        struct scan *scan;
        struct {
            struct local_data *data;    /* owned reference */
            const struct dtype *schema; /* owned */
        } local;
        struct {
            int64_t start, end, step;
            int32_t partitions; /* on a server; 0: as many as it likes */
        } range;
        struct {
            enum join_kind kind;
            bool lateral; /* the right side sees the left one's columns */
            bool natural; /* by all columns that both have; names is empty */
        } join;
        struct {
            int64_t id;
            bool all; /* UNION ALL */
        } recursion;  /* of PLAN_LOOP, too */
        struct {
            enum set_op op;
            bool all, by_name, allow_missing;
        } set_op;
        struct {
            bool having;
        } filter;
        struct {
            bool global;
        } sort;
        int64_t count; /* limit, offset, tail; repartition: partitions */
        struct {
            struct expr **groups; /* owned */
            size_t n_groups;
            enum group_kind kind;
            uint32_t *sets; /* owned; of GROUP_SETS: a bit per group that is in the set */
            size_t n_sets;
        } aggregate; /* its columns are exprs: the parser lists the groups among them where the user did */
        struct {
            double lower, upper;
            bool replacement;
            int64_t seed;
        } sample;
        struct {
            int64_t min_non_nulls; /* 0: all columns must be non-null */
        } na;
        struct {
            const struct plan **plans; /* owned, n_names of them */
        } with;
        struct {
            char *data; /* owned */
            size_t len;
        } encoded;
    } u;
};

const struct plan *plan_ref(const struct plan *p); /* NULL gives NULL */
void plan_unref(const struct plan *p);             /* NULL is fine */

const struct plan *plan_read_table(const char *const *parts, size_t n, const struct plan_options *options);
/* Sets the position of a read just made; returns it. */
const struct plan *plan_at(const struct plan *read, int64_t position);
const struct plan *plan_read_source(const char *format, const char *const *paths, size_t n_paths,
                                    const struct plan_options *options, const struct dtype *schema);
const struct plan *plan_scan(struct scan *scan); /* takes over the reference */
const struct plan *plan_local(struct local_data *data, const struct dtype *schema);
/* n_rows * n_columns expressions; names may be NULL (col1, col2, …) */
const struct plan *plan_values(struct expr *const *cells, size_t n_rows, size_t n_columns,
                               const char *const *names);
const struct plan *plan_range(int64_t start, int64_t end, int64_t step);
const struct plan *plan_range_in(int64_t start, int64_t end, int64_t step, int32_t partitions);
const struct plan *plan_project(const struct plan *input, struct expr *const *exprs,
                                size_t n); /* input may be NULL */
const struct plan *plan_filter(const struct plan *input, struct expr *condition);
/* SQL's: names mean groups and columns of the aggregate's input before they mean its results. */
const struct plan *plan_having(const struct plan *aggregate, struct expr *condition);
/* condition may be NULL; using columns may be 0 */
const struct plan *plan_join(const struct plan *left, const struct plan *right, enum join_kind kind,
                             struct expr *condition, const char *const *using_columns, size_t n_using);
const struct plan *plan_join_lateral(const struct plan *left, const struct plan *right, enum join_kind kind,
                                     struct expr *condition);
const struct plan *plan_join_natural(const struct plan *left, const struct plan *right, enum join_kind kind);
/* name is what the rows are called in `step`, a PLAN_READ_TABLE there. */
const struct plan *plan_recursion(const char *name, const struct plan *first, const struct plan *step,
                                  bool all);
const struct plan *plan_loop(const struct plan *recursion);
const struct plan *plan_set_op(const struct plan *left, const struct plan *right, enum set_op op, bool all,
                               bool by_name, bool allow_missing);
const struct plan *plan_sort(const struct plan *input, struct expr *const *orders, size_t n, bool global);
const struct plan *plan_limit(const struct plan *input, int64_t n);
const struct plan *plan_offset(const struct plan *input, int64_t n);
const struct plan *plan_tail(const struct plan *input, int64_t n);
/* Columns of the result are exactly exprs. HAVING is a plan_filter above it, ORDER BY a plan_sort above that:
 * both may use aggregate functions and columns of the input. A literal integer among groups or sort orders is
 * a column's position. */
const struct plan *plan_aggregate(const struct plan *input, enum group_kind kind, struct expr *const *groups,
                                  size_t n_groups, struct expr *const *exprs, size_t n);
/* The same by sets of the groups, at most GROUP_SETS_COLUMNS of them. */
const struct plan *plan_grouping_sets(const struct plan *input, const uint32_t *sets, size_t n_sets,
                                      struct expr *const *groups, size_t n_groups, struct expr *const *exprs,
                                      size_t n);
const struct plan *plan_deduplicate(const struct plan *input, const char *const *columns,
                                    size_t n); /* 0: all */
const struct plan *plan_sample(const struct plan *input, double lower, double upper, bool replacement,
                               int64_t seed);
const struct plan *plan_alias(const struct plan *input, const char *const *parts, size_t n);
const struct plan *plan_repartition(const struct plan *input, int64_t partitions);
const struct plan *plan_to_df(const struct plan *input, const char *const *names, size_t n);
const struct plan *plan_with_columns(const struct plan *input, struct expr *const *aliases, size_t n);
const struct plan *plan_rename(const struct plan *input, const char *const *pairs, size_t n_pairs);
const struct plan *plan_drop(const struct plan *input, struct expr *const *columns, size_t n);
/* values: one literal for all columns, or one per column; no columns: all of a fitting type */
const struct plan *plan_na_fill(const struct plan *input, const char *const *columns, size_t n_columns,
                                struct expr *const *values, size_t n_values);
const struct plan *plan_na_drop(const struct plan *input, const char *const *columns, size_t n,
                                int64_t min_non_nulls);
const struct plan *plan_with(const char *const *names, const struct plan *const *plans, size_t n,
                             const struct plan *body);
const struct plan *plan_encoded(const void *data, size_t len);

/* memos: borrowed from the plan, NULL: none. plan_keep takes over a reference; what is there already stays. */
struct plan_memo *plan_memo(const struct plan *p);
void plan_keep(const struct plan *p, struct plan_memo *m);
struct plan_memo *plan_memo_ref(struct plan_memo *m);
void plan_memo_unref(struct plan_memo *m); /* NULL is fine */

/* scans */
struct scan *scan_new(const char *table, const struct dtype *schema, const char *const *partition_columns,
                      size_t n_partition,
                      size_t n_files); /* files zeroed: set path and partition with scan_set_file */
bool scan_set_file(struct scan *s, size_t i, const char *path, int64_t size, const char *const *partition);
bool scan_set_physical(struct scan *s, const char *const *names); /* one per field */
void scan_unref(struct scan *s);

/* options */
const char *plan_option(const struct plan_options *o, const char *key); /* ignoring case; NULL: not set */
bool plan_options_set(struct plan_options *o, const char *key, const char *value);
void plan_options_release(struct plan_options *o);

/* local data: takes over the stream and reads it to its end */
enum lc local_from_stream(const struct ctx *ctx, struct ArrowArrayStream *stream, struct local_data **out,
                          struct err *err) MUST_CHECK;
/* The same as a plan, its types those that Arrow's have in Spark. */
enum lc plan_local_stream(const struct ctx *ctx, struct ArrowArrayStream *stream, const struct plan **out,
                          struct err *err) MUST_CHECK;
struct local_data *local_ref(struct local_data *d);
void local_unref(struct local_data *d);
int64_t local_rows(const struct local_data *d);
bool local_alone(const struct local_data *d); /* nobody but the caller holds a reference */
size_t local_batches(const struct local_data *d);
const struct ArrowSchema *local_schema(const struct local_data *d);
const struct ArrowArray *local_batch(const struct local_data *d, size_t i); /* borrowed */

/* A copy of a node with other inputs (references taken over) and the same id. */
/* Does it have columns of a query around that is not there yet? It cannot be analysed by itself then. */
bool plan_has_outer(const struct plan *p);
const struct plan *plan_with_inputs(const struct plan *p, const struct plan *left, const struct plan *right);

/* Who knows tables. `table` gets a PLAN_READ_TABLE and gives a plan (a scan, or a view's plan) with a new
 * reference; it is where grants, views, time travel and lineage happen. LC_NOTFOUND with nearest names when
 * there is none. */
struct plan_resolver {
    enum lc (*table)(void *self, const struct ctx *ctx, const struct plan *read, const struct plan **out,
                     struct err *err);
    void *self;
    /* What a call of a name that the session gave stands for: a new reference, or NULL: it is another function. May be
     * NULL. */
    struct expr *(*function)(void *self, const struct expr *call);
    /* Plans that have a whole memo are left as they are, with their tables: for analysing what is above. */
    bool step;
};
/* Replaces every PLAN_READ_TABLE and PLAN_WITH, in subqueries too; the result is a new reference. */
enum lc plan_resolve(const struct ctx *ctx, const struct plan *p, const struct plan_resolver *resolver,
                     const struct plan **out, struct err *err) MUST_CHECK;
/* Calls fn for every node, inputs first, subqueries included; stops at the first failure. */
enum lc plan_walk(const struct plan *p, enum lc (*fn)(void *arg, const struct plan *p, struct err *err),
                  void *arg, struct err *err) MUST_CHECK;
#endif
