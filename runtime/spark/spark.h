/* spark.h: what a SparkSession is below its Lua face: one catalog view, one engine, and plans run against both.
 *
 * What      opens the engine and the catalog when they are first needed; resolves, analyses, runs, explains and saves plans.
 * Ownership spark_new gives, spark_free ends. Plans are borrowed; schemas, streams and results are the caller's.
 * Units     rows.
 * Errors    those of catalog.h, delta.h and engine.h.
 * Threads   session thread; of streams see stream.h.
 *
 * Example:
 *     struct spark *s = spark_new();
 *     const struct dtype *schema;
 *     if (s && spark_schema(&ctx, s, plan, &schema, &err) == LC_OK)
 *         dtype_unref(schema);
 *     spark_free(s);
 */
#ifndef LACUS_SPARK_SPARK_H
#define LACUS_SPARK_SPARK_H
#include "runtime/catalog/resolve.h"
#include "runtime/dataframe/engines/engine.h"
#include "runtime/dataframe/plan.h"
#include "runtime/spark/stream.h" /* spark_execute */

struct spark;

struct spark *spark_new(void); /* NULL without memory */
void spark_free(struct spark *s);
enum lc spark_catalog(struct spark *s, struct catalog **out, struct err *err) MUST_CHECK; /* borrowed */
enum lc spark_engine(struct spark *s, struct delta_engine *out, struct err *err) MUST_CHECK;
/* Errors of names and types, at once; what is found is kept with the plan. On a server: nothing, it analyses when it runs. */
enum lc spark_analyze(const struct ctx *ctx, struct spark *s, const struct plan *p,
                      struct err *err) MUST_CHECK;
enum lc spark_schema(const struct ctx *ctx, struct spark *s, const struct plan *p,
                     const struct dtype **schema, struct err *err) MUST_CHECK;
enum lc spark_explain(const struct ctx *ctx, struct spark *s, const struct plan *p, enum explain_mode mode,
                      struct buf *out, struct err *err) MUST_CHECK;
enum lc spark_save(const struct ctx *ctx, struct spark *s, const struct plan *p,
                   const struct catalog_save *save, struct delta_written *out, struct err *err) MUST_CHECK;

/* A path of a user's on this machine: catalog_path, but nothing on a server, where paths are the server's. mem_free. */
enum lc spark_path(const struct ctx *ctx, struct spark *s, const char *path, char **out,
                   struct err *err) MUST_CHECK;

struct spark_files { /* df.write.format("csv").save(path) */
    const char *path, *format;
    enum delta_mode mode;
    const char *const *partition_by;
    size_t n_partition_by;
    const struct plan_options *options;
};
/* Writes files into a folder. With DELTA_OVERWRITE the old ones go after the new ones are all there. */
enum lc spark_write_files(const struct ctx *ctx, struct spark *s, const struct plan *p,
                          const struct spark_files *files, struct err *err) MUST_CHECK;

/* createTempView: in the session's catalog, or the server's. global: only there. */
enum lc spark_put_view(const struct ctx *ctx, struct spark *s, const char *name, const struct plan *p,
                       bool global, bool replace, struct err *err) MUST_CHECK;

/* ---- Spark Connect ---- */
/* Another session, elsewhere (sc://host:port/;…), or with NULL the embedded one. The one before is closed once the new one is
 * there. Without this call the environment's SPARK_REMOTE decides. */
enum lc spark_connect(struct spark *s, const char *url, struct err *err) MUST_CHECK;
void spark_end_session(struct spark *s);     /* on a server; the next use begins a new one */
bool spark_is_remote(const struct spark *s); /* names, statements and writes are the server's */
/* The functions that only a server's engine has. LC_UNSUPPORTED, naming `what`, on the embedded one. */
enum lc spark_remote(struct spark *s, const char *what, const struct engine_remote **remote,
                     struct engine **e, struct err *err) MUST_CHECK;

/* spark.conf: what was set, then the engine's settings. NULL: not set. Borrowed. */
enum lc spark_conf_set(struct spark *s, const char *key, const char *value, struct err *err) MUST_CHECK;
const char *spark_conf_get(struct spark *s, const char *key);
const char *spark_conf_known(size_t i); /* names that mean something here; NULL: past the end */
/* The i-th setting that was made; false: there are no more. */
bool spark_conf_at(struct spark *s, size_t i, const char **key, const char **value);
/* RESET: key NULL: all of them. One that was not set is fine. */
enum lc spark_conf_unset(struct spark *s, const char *key, struct err *err) MUST_CHECK;
#endif
