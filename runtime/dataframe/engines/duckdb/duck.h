/* duck.h: what the files of the DuckDB engine share: the open database, watched statements, errors in Spark's words.
 *
 * What      one in-memory database per engine, one connection per statement. A watcher thread interrupts a statement whose ctx
 *           was cancelled or has run out of time while the statement's own thread is inside DuckDB.
 * Ownership the engine owns the database; a statement owns its connection and result.
 * Errors    duck_fail turns DuckDB's text into ours.
 * Threads   engine: any; a statement: one at a time. An interrupted query may own gigabytes: a thread of its own frees them,
 *           so that the interrupt is answered at once.
 *
 * Example:
 *     struct statement s;
 *     if (statement_run(e, ctx, "SELECT 1", false, &s, &err) == LC_OK)
 *         statement_close(&s);
 */
#ifndef LACUS_DATAFRAME_ENGINES_DUCKDB_DUCK_H
#define LACUS_DATAFRAME_ENGINES_DUCKDB_DUCK_H
#include "runtime/dataframe/engines/duckdb/api.h"
#include "runtime/dataframe/engines/engine.h"
#include "runtime/dataframe/sqlgen/sqlgen.h"
#include <pthread.h>

struct watched { /* a call into DuckDB that may last; on the stack of the calling thread */
    struct watched *next;
    const struct ctx *ctx;
    duckdb_connection connection; /* NULL: there is none to interrupt */
    idx_t query;                  /* its statement's */
    bool stopped;                 /* by engine.interrupt */
    bool polled;                  /* the calling thread looks at ctx itself between tasks: it goes first */
    int seen;                     /* how often the watcher saw ctx cancelled */
};

struct local_table {
    struct local_data *data; /* owned reference */
    int64_t number;          /* lacus_local_<number> */
};

struct engine {
    struct duck_api api;
    duckdb_database database;
    duckdb_connection admin; /* for settings and memory tables; under `tables` */
    pthread_mutex_t watch;   /* guards calls, watching, closing */
    pthread_cond_t wake;
    pthread_t watcher;
    struct watched *calls;
    bool watching, closing;
    int orphans; /* interrupted statements that are still being cleared away; under `watch` */
    pthread_cond_t cleared;
    pthread_mutex_t tables;
    struct local_table *locals; /* owned */
    size_t n_locals;
    int64_t next_local;
    struct udf_pool *udfs; /* owned; states of Lua for user-defined functions */
};

struct statement {
    struct engine *e;
    const struct ctx *ctx;
    duckdb_connection connection;
    idx_t query; /* the connection's number: what functions of Lua are told it by */
    duckdb_prepared_statement prepared;
    duckdb_pending_result pending;
    duckdb_result result;
    bool has_result;
    bool functions;          /* it calls some of Lua */
    struct fetcher *fetcher; /* fetch.c: it has taken the rest over; NULL: none has */
};

/* statement.c */
enum statement_kind {
    STATEMENT_READ,   /* all rows; when it is interrupted it is left to a thread that clears it away */
    STATEMENT_STREAM, /* the same, rows as they come */
    STATEMENT_WRITE   /* an interrupt waits until nothing of it runs any more */
};
enum lc statement_run(struct engine *e, const struct ctx *ctx, const char *sql, enum statement_kind kind,
                      struct statement *out, struct err *err) MUST_CHECK;
/* A STATEMENT_WRITE that writes into one folder only: when it is interrupted the folder goes at once, and the threads that still write
 * are left to another one. */
enum lc statement_run_into(struct engine *e, const struct ctx *ctx, const char *sql, const char *folder,
                           struct statement *out, struct err *err) MUST_CHECK;
/* Until interrupted statements are cleared away, some seconds at most; false: one still runs. */
bool statement_await_orphans(struct engine *e);
enum lc statement_fetch(struct statement *s, duckdb_data_chunk *out,
                        struct err *err) MUST_CHECK; /* NULL: the end */
void statement_close(struct statement *s);
enum lc duck_execute(struct engine *e, const struct ctx *ctx, const char *sql, struct err *err) MUST_CHECK;

/* fetch.c: a statement's chunks by a thread that an interrupt does not wait for */
bool fetcher_open(struct statement *s); /* false: there is none, the caller fetches */
enum lc fetcher_next(struct statement *s, duckdb_data_chunk *out, struct err *err) MUST_CHECK;
void fetcher_close(struct statement *s);

/* watch.c */
void watch_begin(struct watched *w, const struct ctx *ctx, const struct statement *s);
void watch_end(struct engine *e, struct watched *w);
/* The connection will be closed: from here on only the query's functions of Lua are stopped. */
void watch_forget_connection(struct engine *e, struct watched *w);
/* Under the lock: the functions of Lua that run for the statement stop, until watch_end. */
void watch_stop_functions(struct watched *w, const struct statement *s);
void watch_stop(struct engine *e); /* ends the thread */

/* errors.c */
enum lc duck_fail(const struct ctx *ctx, bool stopped, const char *text, struct err *err);

/* schema.c */
enum lc duck_source_schema(void *self, const struct ctx *ctx, const struct plan *read,
                           const struct dtype **schema, struct err *err);
/* local.c */
enum lc duck_local_table(void *self, const struct ctx *ctx, const struct plan *local, struct buf *from,
                         struct err *err);
void duck_locals_release(struct engine *e);
/* write.c */
enum lc duck_write_files(struct engine *e, const struct ctx *ctx, const struct plan *p,
                         const struct write_spec *spec, struct written_files *out, struct err *err);
/* scalars.c */
enum lc duck_register_scalars(struct engine *e, struct err *err);
/* udf_lua.c: lacus_udf_b, _l, _d, _s (function, name, may run long, arguments…): a packed Lua function, row by row */
enum lc duck_register_udfs(struct engine *e, struct err *err);
void duck_udfs_free(struct engine *e);
bool watch_stopped(struct engine *e, idx_t query); /* its statement was interrupted */
/* records.c: the table function lacus_records(path, separator) */
enum lc duck_register_records(struct engine *e, struct err *err);
/* csv.c: the table function lacus_csv(what) */
enum lc duck_register_csv(struct engine *e, struct err *err);
/* csv_schema.c: names from the first record, types from all of them where they are to be inferred */
enum lc duck_csv_schema(struct engine *e, const struct ctx *ctx, const struct plan *read,
                        const struct dtype **schema, struct err *err);
/* parts.c: columns that the names of folders hold are added; takes the reference of s over */
const struct dtype *duck_add_parts(const struct dtype *s, char *const *files, size_t n);
/* json.c: the table function lacus_json(what) */
enum lc duck_register_json(struct engine *e, struct err *err);
/* json_schema.c: from all records */
enum lc duck_json_schema(const struct ctx *ctx, const struct plan *read, const struct dtype **schema,
                         struct err *err);
/* write_lines.c: rows as lines of csv or json: the plan of the values' texts (NULL: no memory), and for csv the SELECT of lines */
const struct plan *duck_lines_plan(const struct plan *p, const struct dtype *schema,
                                   const struct write_spec *spec);
void duck_put_lines(struct buf *b, const struct sql_query *q, const struct write_spec *spec);
/* engine_duckdb.c */
struct sql_env duck_env(struct engine *e);
enum lc duck_constant(void *self, const struct ctx *ctx, const char *sql, struct buf *value, bool *null,
                      struct err *err);
#endif
