#include "runtime/spark/spark.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include <string.h>
#include <unistd.h>

struct spark {
    struct catalog *catalog;      /* owned; NULL: not needed yet */
    const struct engine_ops *ops; /* NULL: not needed yet */
    struct engine *engine;        /* owned */
    struct plan_options conf;
};

struct spark *spark_new(void)
{
    return mem_zalloc(sizeof(struct spark));
}

void spark_free(struct spark *s)
{
    if (!s)
        return;
    if (s->engine)
        s->ops->close(s->engine);
    catalog_close(s->catalog);
    plan_options_release(&s->conf);
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

enum lc spark_engine(struct spark *s, struct delta_engine *out, struct err *err)
{
    if (!s->engine) {
        s->ops = engine_ops_open("duckdb", err);
        if (!s->ops)
            return err ? err->code : LC_MISSING;
        TRY(s->ops->open(&(struct engine_options){0}, &s->engine, err));
        TRY(apply_conf(s, err));
    }
    *out = (struct delta_engine){s->ops, s->engine};
    return LC_OK;
}

typedef enum lc resolve_fn(const struct ctx *ctx, struct catalog *c, const struct delta_engine *engine,
                           const struct plan *plan, const struct plan **out, struct err *err);

static enum lc resolve(const struct ctx *ctx, struct spark *s, resolve_fn *how, const struct plan *p,
                       struct delta_engine *engine, const struct plan **out, struct err *err)
{
    struct catalog *catalog;

    TRY(spark_engine(s, engine, err));
    TRY(spark_catalog(s, &catalog, err));
    return how(ctx, catalog, engine, p, out, err);
}

enum lc spark_schema(const struct ctx *ctx, struct spark *s, const struct plan *p,
                     const struct dtype **schema, struct err *err)
{
    const struct plan *resolved;
    struct delta_engine e;
    enum lc rc;

    TRY(resolve(ctx, s, catalog_resolve_quietly, p, &e, &resolved, err));
    rc = e.ops->analyze(e.engine, ctx, resolved, schema, err);
    plan_unref(resolved);
    return rc;
}

enum lc spark_execute(const struct ctx *ctx, struct spark *s, const struct plan *p,
                      struct ArrowArrayStream *out, struct err *err)
{
    const struct plan *resolved;
    struct delta_engine e;
    enum lc rc;

    TRY(resolve(ctx, s, catalog_resolve, p, &e, &resolved, err));
    rc = e.ops->execute(e.engine, ctx, resolved, out, err);
    plan_unref(resolved);
    return rc;
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
    return rc;
}

enum lc spark_save(const struct ctx *ctx, struct spark *s, const struct plan *p,
                   const struct catalog_save *save, struct delta_written *out, struct err *err)
{
    struct delta_engine e;
    struct catalog *catalog;

    TRY(spark_engine(s, &e, err));
    TRY(spark_catalog(s, &catalog, err));
    return catalog_save(ctx, catalog, &e, p, save, out, err);
}

/* ---- files ---- */
static enum lc list_old(const char *path, char ***names, size_t *n, struct err *err)
{
    *names = NULL;
    *n = 0;
    return fs_is_dir(path) ? fs_list(path, names, n, err) : LC_OK;
}

static bool is_new(const struct written_files *w, const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < w->n; i++)
        if (strncmp(w->files[i].path, name, len) == 0 &&
            (w->files[i].path[len] == '\0' || w->files[i].path[len] == '/'))
            return true;
    return false;
}

static enum lc remove_old(const char *path, char **names, size_t n, const struct written_files *w,
                          struct err *err)
{
    enum lc rc = LC_OK;

    for (size_t i = 0; i < n && rc == LC_OK; i++) {
        char *old = is_new(w, names[i]) ? NULL : fs_join(path, names[i]);
        if (old)
            rc = fs_remove_tree(old, err);
        mem_free(old);
    }
    return rc;
}

static enum lc mark_success(const char *path, struct err *err)
{
    char *mark = fs_join(path, "_SUCCESS");
    enum lc rc = mark ? fs_write(mark, "", 0, err) : err_nomem(err);

    mem_free(mark);
    return rc;
}

static enum lc write_into(const struct ctx *ctx, const struct delta_engine *e, const struct plan *p,
                          const struct spark_files *f, struct err *err)
{
    struct write_spec spec = {.dir = f->path,
                              .format = f->format,
                              .partition_by = f->partition_by,
                              .n_partition = f->n_partition_by,
                              .options = f->options};
    struct written_files w = {0};
    bool made = !fs_exists(f->path);
    char **old;
    size_t n_old;
    enum lc rc;

    TRY(list_old(f->path, &old, &n_old, err));
    rc = fs_mkdirs(f->path, err);
    if (rc == LC_OK)
        rc = e->ops->write_files(e->engine, ctx, p, &spec, &w, err);
    if (rc == LC_OK && f->mode == DELTA_OVERWRITE)
        rc = remove_old(f->path, old, n_old, &w, err);
    if (rc == LC_OK)
        rc = mark_success(f->path, err);
    if (rc != LC_OK && made) /* so that the corrected write does not find the folder of the failed one */
        (void)!fs_remove_tree(f->path, NULL);
    written_files_release(&w);
    fs_free_list(old, n_old);
    return rc;
}

enum lc spark_write_files(const struct ctx *ctx, struct spark *s, const struct plan *p,
                          const struct spark_files *files, struct err *err)
{
    const struct plan *resolved;
    struct delta_engine e;
    enum lc rc;

    if (fs_exists(files->path) && files->mode == DELTA_IGNORE)
        return LC_OK;
    if (fs_exists(files->path) && files->mode == DELTA_ERROR) {
        err_set(err, LC_EXISTS, "[PATH_ALREADY_EXISTS] path '%s' already exists", files->path);
        return err_hint(err, "use :mode(\"overwrite\") or :mode(\"append\")");
    }
    TRY(resolve(ctx, s, catalog_resolve, p, &e, &resolved, err));
    rc = write_into(ctx, &e, resolved, files, err);
    plan_unref(resolved);
    return rc;
}

/* ---- conf ---- */
enum lc spark_conf_set(struct spark *s, const char *key, const char *value, struct err *err)
{
    if (!plan_options_set(&s->conf, key, value))
        return err_nomem(err);
    if (!s->engine)
        return LC_OK;
    enum lc rc = s->ops->set_conf(s->engine, key, value, err);
    return rc == LC_NOTFOUND ? LC_OK : rc; /* Spark keeps settings that it does not know, too */
}

const char *spark_conf_get(struct spark *s, const char *key)
{
    return plan_option(&s->conf, key);
}
