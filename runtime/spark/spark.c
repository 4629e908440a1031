#include "runtime/spark/spark.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/catalog/files.h"
#include "runtime/spark/stream_int.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

struct spark {
    struct catalog *catalog;      /* owned; NULL: not needed yet */
    const struct engine_ops *ops; /* NULL: not needed yet */
    struct engine *engine;        /* owned */
    struct streams *streams;      /* owned: those that were given out */
    struct plan_options conf;
    char *remote; /* owned: sc://…; NULL: the embedded engine */
};

struct spark *spark_new(void)
{
    struct spark *s = mem_zalloc(sizeof *s);
    const char *remote = getenv("SPARK_REMOTE");

    if (s && remote && *remote)
        s->remote = mem_strdup(remote);
    if (s)
        s->streams = streams_new();
    if (s && (!s->streams || (remote && *remote && !s->remote))) {
        spark_free(s);
        return NULL;
    }
    return s;
}

/* Its streams end before it: their readers are told. */
static void close_engine(struct spark *s)
{
    if (!s->engine)
        return;
    s->ops->interrupt(s->engine); /* a batch that another thread waits for */
    streams_end(s->streams);
    s->ops->close(s->engine);
    s->engine = NULL;
}

void spark_free(struct spark *s)
{
    if (!s)
        return;
    close_engine(s);
    streams_unref(s->streams);
    catalog_close(s->catalog);
    plan_options_release(&s->conf);
    mem_free(s->remote);
    mem_free(s);
}

enum lc spark_catalog(struct spark *s, struct catalog **out, struct err *err)
{
    if (!s->catalog)
        TRY(catalog_open(&s->catalog, err));
    *out = s->catalog;
    return LC_OK;
}

static enum lc apply_conf(struct spark *s, struct err *err)
{
    for (size_t i = 0; i < s->conf.n; i++) {
        enum lc rc = s->ops->set_conf(s->engine, s->conf.items[i].key, s->conf.items[i].value, err);
        if (rc != LC_OK && rc != LC_NOTFOUND)
            return rc;
    }
    return LC_OK;
}

static enum lc open_engine(struct spark *s, struct err *err)
{
    struct engine_options options = {.remote = s->remote, .conf = &s->conf};

    s->ops = engine_ops_open(s->remote ? "spark" : "duckdb", err);
    if (!s->ops)
        return err ? err->code : LC_MISSING;
    TRY(s->ops->open(&options, &s->engine, err));
    return s->remote ? LC_OK : apply_conf(s, err);
}

enum lc spark_engine(struct spark *s, struct delta_engine *out, struct err *err)
{
    if (!s->engine)
        TRY(open_engine(s, err));
    *out = (struct delta_engine){s->ops, s->engine};
    return LC_OK;
}

/* ---- Spark Connect ---- */
bool spark_is_remote(const struct spark *s)
{
    return s->remote != NULL;
}

void spark_end_session(struct spark *s)
{
    if (s->remote)
        close_engine(s);
}

enum lc spark_connect(struct spark *s, const char *url, struct err *err)
{
    struct spark next = {.conf = s->conf};

    if (s->engine &&
        (url ? s->remote && strcmp(url, s->remote) == 0 && !s->ops->remote->lost(s->engine) : !s->remote))
        return LC_OK;
    if (url && (next.remote = mem_strdup(url)) == NULL)
        return err_nomem(err);
    if (url) {
        enum lc rc = open_engine(&next, err);
        if (rc != LC_OK) {
            mem_free(next.remote);
            return rc;
        }
    }
    close_engine(s);
    mem_free(s->remote);
    s->ops = next.ops;
    s->engine = next.engine;
    s->remote = next.remote;
    return LC_OK;
}

enum lc spark_remote(struct spark *s, const char *what, const struct engine_remote **remote,
                     struct engine **e, struct err *err)
{
    struct delta_engine engine;

    if (!s->remote) {
        err_set(err, LC_UNSUPPORTED, "%s is a matter of Spark Connect; this session is the embedded engine",
                what);
        return err_hint(err, "connect with SparkSession.builder:remote(\"sc://host:port\"):getOrCreate()");
    }
    TRY(spark_engine(s, &engine, err));
    *remote = engine.ops->remote;
    *e = engine.engine;
    return LC_OK;
}

/* The tables that a plan names and that the local catalog has: whoever asks the server for them is told. */
struct search {
    const struct ctx *ctx;
    struct catalog *catalog;
    char found[300];
};

static enum lc search_table(void *arg, const struct plan *p, struct err *err)
{
    struct search *s = arg;
    struct buf dotted = BUF_INIT(4096);
    struct catalog_name name;
    bool yes = false;

    if (p->kind != PLAN_READ_TABLE || s->found[0])
        return LC_OK;
    for (size_t i = 0; i < p->n_names; i++) {
        if (i)
            buf_putc(&dotted, '.');
        name_quote(&dotted, p->names[i]);
    }
    if (catalog_complete(s->catalog, buf_str(&dotted), &name, err) == LC_OK &&
        catalog_table_exists(s->ctx, s->catalog, &name, &yes, err) == LC_OK && yes)
        snprintf(s->found, sizeof s->found, "%.280s", buf_str(&dotted));
    buf_release(&dotted);
    return LC_OK;
}

static enum lc explain_missing(const struct ctx *ctx, struct spark *s, const struct plan *p, enum lc rc,
                               struct err *err)
{
    struct search search = {.ctx = ctx};
    struct err ignored;

    if ((rc != LC_NOTFOUND && rc != LC_ENGINE) || !s->remote || !err)
        return rc;
    err_clear(&ignored);
    if (spark_catalog(s, &search.catalog, &ignored) == LC_OK &&
        plan_walk(p, search_table, &search, &ignored) == LC_OK && search.found[0])
        err_hint(err,
                 "'%s' is a table of the local catalog; under Spark Connect names belong to the server's "
                 "catalog: read it "
                 "with the embedded session (no SPARK_REMOTE) and pass its rows to spark:createDataFrame",
                 search.found);
    return rc;
}

enum lc spark_put_view(const struct ctx *ctx, struct spark *s, const char *name, const struct plan *p,
                       bool global, bool replace, struct err *err)
{
    struct catalog *catalog;
    struct delta_engine e;

    if (s->remote) {
        TRY(spark_engine(s, &e, err));
        return e.ops->remote->view(e.engine, ctx, p, name, global, replace, err);
    }
    TRY(spark_catalog(s, &catalog, err));
    return catalog_put_view(catalog, name, p, global, replace, err);
}

typedef enum lc resolve_fn(const struct ctx *ctx, struct catalog *c, const struct delta_engine *engine,
                           const struct plan *plan, const struct plan **out, struct err *err);

static enum lc resolve(const struct ctx *ctx, struct spark *s, resolve_fn *how, const struct plan *p,
                       struct delta_engine *engine, const struct plan **out, struct err *err)
{
    struct catalog *catalog;

    TRY(spark_engine(s, engine, err));
    if (s->remote) { /* the server resolves names */
        *out = plan_ref(p);
        return LC_OK;
    }
    TRY(spark_catalog(s, &catalog, err));
    return how(ctx, catalog, engine, p, out, err);
}

/* What is found out stays with the plan as the user made it, too. */
static enum lc analyze_here(const struct ctx *ctx, struct spark *s, const struct plan *p, struct err *err)
{
    const struct dtype *schema = NULL;
    const struct plan *resolved;
    struct delta_engine e;
    enum lc rc;

    TRY(resolve(ctx, s, catalog_resolve_step, p, &e, &resolved, err));
    rc = e.ops->analyze(e.engine, ctx, resolved, &schema, err);
    if (rc == LC_OK && resolved != p)
        plan_keep(p, plan_memo_ref(plan_memo(resolved)));
    dtype_unref(schema);
    plan_unref(resolved);
    return rc;
}

enum lc spark_analyze(const struct ctx *ctx, struct spark *s, const struct plan *p, struct err *err)
{
    return s->remote || plan_memo(p) ? LC_OK : analyze_here(ctx, s, p, err);
}

enum lc spark_schema(const struct ctx *ctx, struct spark *s, const struct plan *p,
                     const struct dtype **schema, struct err *err)
{
    const struct plan *resolved;
    struct delta_engine e;
    enum lc rc;

    if (!s->remote) {
        TRY(spark_analyze(ctx, s, p, err));
        *schema = dtype_ref(plan_memo(p)->schema);
        return LC_OK;
    }
    TRY(resolve(ctx, s, catalog_resolve_quietly, p, &e, &resolved, err));
    rc = e.ops->analyze(e.engine, ctx, resolved, schema, err);
    plan_unref(resolved);
    return explain_missing(ctx, s, p, rc, err);
}

enum lc spark_execute(const struct ctx *ctx, struct spark *s, const struct plan *p,
                      struct ArrowArrayStream *out, struct err *err)
{
    const struct plan *resolved;
    struct delta_engine e;
    enum lc rc;

    TRY(resolve(ctx, s, catalog_resolve, p, &e, &resolved, err));
    rc = streams_execute(s->streams, ctx, &e, resolved, out, err);
    plan_unref(resolved);
    return explain_missing(ctx, s, p, rc, err);
}

enum lc spark_explain(const struct ctx *ctx, struct spark *s, const struct plan *p, enum explain_mode mode,
                      struct buf *out, struct err *err)
{
    const struct plan *resolved;
    struct delta_engine e;
    enum lc rc;

    TRY(resolve(ctx, s, catalog_resolve_quietly, p, &e, &resolved, err));
    rc = e.ops->explain(e.engine, ctx, resolved, mode, out, err);
    plan_unref(resolved);
    return explain_missing(ctx, s, p, rc, err);
}

enum lc spark_save(const struct ctx *ctx, struct spark *s, const struct plan *p,
                   const struct catalog_save *save, struct delta_written *out, struct err *err)
{
    static const char *const modes[] = {[DELTA_APPEND] = "append",
                                        [DELTA_OVERWRITE] = "overwrite",
                                        [DELTA_ERROR] = "error",
                                        [DELTA_IGNORE] = "ignore"};
    struct delta_engine e;
    struct catalog *catalog;

    TRY(spark_engine(s, &e, err));
    if (s->remote) {
        struct engine_save there = {.table = save->table,
                                    .path = save->path,
                                    .insert = save->insert,
                                    .mode = modes[save->write.mode],
                                    .partition_by = save->write.partition_by,
                                    .n_partition = save->write.n_partition_by,
                                    .format = save->insert ? NULL : "delta"};
        return e.ops->remote->save(e.engine, ctx, p, &there, err);
    }
    TRY(spark_catalog(s, &catalog, err));
    return catalog_save(ctx, catalog, &e, p, save, out, err);
}

/* ---- files ---- */
static bool is_dynamic(struct spark *s, const struct spark_files *f)
{
    const char *mode = plan_option(f->options, "partitionOverwriteMode");

    mode = mode ? mode : spark_conf_get(s, "spark.sql.sources.partitionOverwriteMode");
    return f->n_partition_by && mode && strcasecmp(mode, "dynamic") == 0;
}

enum lc spark_path(const struct ctx *ctx, struct spark *s, const char *path, char **out, struct err *err)
{
    struct catalog *catalog;

    if (s->remote || !catalog_is_volume_path(path))
        return (*out = mem_strdup(path)) ? LC_OK : err_nomem(err);
    TRY(spark_catalog(s, &catalog, err));
    return catalog_path(ctx, catalog, path, out, err);
}

static enum lc write_here(const struct ctx *ctx, struct spark *s, const struct plan *p,
                          const struct spark_files *files, struct err *err)
{
    struct files_write write = {.dir = files->path,
                                .format = files->format,
                                .overwrite = files->mode == DELTA_OVERWRITE,
                                .partition_by = files->partition_by,
                                .n_partition_by = files->n_partition_by,
                                .options = files->options};
    const struct plan *resolved;
    struct delta_engine e;
    int64_t rows;
    enum lc rc;

    if (fs_exists(files->path) && files->mode == DELTA_IGNORE)
        return LC_OK;
    if (fs_exists(files->path) && files->mode == DELTA_ERROR) {
        err_set(err, LC_EXISTS, "[PATH_ALREADY_EXISTS] path '%s' already exists", files->path);
        return err_hint(err, "use :mode(\"overwrite\") or :mode(\"append\")");
    }
    TRY(resolve(ctx, s, catalog_resolve, p, &e, &resolved, err));
    write.dynamic = is_dynamic(s, files);
    rc = files_write(ctx, &e, resolved, &write, &rows, err);
    plan_unref(resolved);
    return rc;
}

enum lc spark_write_files(const struct ctx *ctx, struct spark *s, const struct plan *p,
                          const struct spark_files *files, struct err *err)
{
    struct spark_files there = *files;
    char *path;
    enum lc rc;

    TRY(spark_path(ctx, s, files->path, &path, err));
    there.path = path;
    rc = write_here(ctx, s, p, &there, err);
    mem_free(path);
    return rc;
}

/* ---- conf ---- */
enum lc spark_conf_set(struct spark *s, const char *key, const char *value, struct err *err)
{
    if (s->remote && s->engine && strncmp(key, "lacus.", 6) != 0)
        return s->ops->set_conf(s->engine, key, value, err);
    enum lc rc = s->engine ? s->ops->set_conf(s->engine, key, value, err) : LC_OK;
    if (rc != LC_OK && rc != LC_NOTFOUND) /* Spark keeps settings that it does not know, too */
        return rc;
    return plan_options_set(&s->conf, key, value) ? LC_OK : err_nomem(err);
}

/* Spark's defaults of what is often asked for. */
static const struct {
    const char *key, *value;
} defaults[] = {
    {"spark.sql.session.timeZone", "UTC"},  {"spark.sql.ansi.enabled", "true"},
    {"spark.sql.caseSensitive", "false"},   {"spark.sql.shuffle.partitions", "200"},
    {"spark.sql.sources.default", "delta"}, {"spark.sql.defaultCatalog", "spark_catalog"},
    {"spark.sql.adaptive.enabled", "true"}, {"spark.sql.sources.partitionOverwriteMode", "STATIC"},
};

const char *spark_conf_get(struct spark *s, const char *key)
{
    const char *value = plan_option(&s->conf, key);

    for (size_t i = 0; !value && !s->remote && i < sizeof defaults / sizeof *defaults; i++)
        if (strcasecmp(defaults[i].key, key) == 0)
            value = defaults[i].value;
    return value;
}

const char *spark_conf_known(size_t i)
{
    static const char *const others[] = {"spark.driver.memory", "spark.local.dir"};
    enum { DEFAULTS = sizeof defaults / sizeof *defaults };

    return i < DEFAULTS                                    ? defaults[i].key
           : i - DEFAULTS < sizeof others / sizeof *others ? others[i - DEFAULTS]
                                                           : NULL;
}

bool spark_conf_at(struct spark *s, size_t i, const char **key, const char **value)
{
    if (i >= s->conf.n)
        return false;
    *key = s->conf.items[i].key;
    *value = s->conf.items[i].value;
    return true;
}

/* What the engine follows goes back to its default. */
static enum lc reset_engine(struct spark *s, const char *key, struct err *err)
{
    for (size_t i = 0; s->engine && i < sizeof defaults / sizeof *defaults; i++)
        if (strcasecmp(defaults[i].key, key) == 0) {
            enum lc rc = s->ops->set_conf(s->engine, key, defaults[i].value, err);
            return rc == LC_NOTFOUND ? LC_OK : rc;
        }
    return LC_OK;
}

enum lc spark_conf_unset(struct spark *s, const char *key, struct err *err)
{
    size_t kept = 0;
    enum lc rc = LC_OK;

    for (size_t i = 0; i < s->conf.n; i++) {
        if (rc != LC_OK || (key && strcasecmp(s->conf.items[i].key, key) != 0)) {
            s->conf.items[kept++] = s->conf.items[i];
            continue;
        }
        rc = reset_engine(s, s->conf.items[i].key, err);
        mem_free(s->conf.items[i].key);
        mem_free(s->conf.items[i].value);
    }
    s->conf.n = kept;
    return rc;
}
