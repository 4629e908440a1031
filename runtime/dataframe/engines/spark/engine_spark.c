/* engine_spark.c: the plugin: engine.h over Spark Connect. */
#include "runtime/base/mem.h"
#include "runtime/dataframe/engines/spark/connect.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const struct engine_ops lacus_engine_spark;

void connect_unref(struct engine *e)
{
    if (atomic_fetch_sub(&e->refs, 1) > 1)
        return;
    connect_rows_release(e);
    if (e->client)
        client_close(e->client);
    pthread_mutex_destroy(&e->lock);
    buf_release(&e->tags);
    mem_free(e->tags_text);
    mem_free(e);
}

static enum lc greet(struct engine *e, const struct engine_options *o, struct err *err)
{
    struct ctx ctx = ctx_background();
    const char *dot;

    TRY(connect_version(e, &ctx, e->version, sizeof e->version, err));
    dot = strchr(e->version, '.');
    if (atoi(e->version) * 1000 + (dot ? atoi(dot + 1) : 0) < 3005) {
        err_set(err, LC_UNSUPPORTED, "the Spark server at '%s' has version %s", client_host(e->client),
                e->version);
        return err_hint(err, "lacus speaks Spark Connect 3.5 and newer");
    }
    snprintf(e->about, sizeof e->about, "sc://%s, Spark %s", client_host(e->client), e->version);
    return connect_first_conf(e, &ctx, o, err);
}

static enum lc engine_open(const struct engine_options *options, struct engine **out, struct err *err)
{
    struct engine *e = mem_zalloc(sizeof *e);
    enum lc rc;

    if (!e)
        return err_nomem(err);
    pthread_mutex_init(&e->lock, NULL);
    buf_init(&e->tags, 1 << 16);
    atomic_init(&e->refs, 1);
    atomic_init(&e->progress, -1);
    rc = options->remote ? client_open(options->remote, options->conf, &e->client, err)
                         : err_set(err, LC_ARG, "no address of a Spark server was given");
    if (rc == LC_OK)
        rc = greet(e, options, err);
    if (rc != LC_OK)
        connect_unref(e);
    else
        *out = e;
    return rc;
}

static const char *library_version(struct engine *e)
{
    return e->version;
}

static bool lost(struct engine *e)
{
    return client_is_lost(e->client);
}

static const char *describe(struct engine *e)
{
    return e->about;
}

static enum lc write_files(struct engine *e, const struct ctx *ctx, const struct plan *p,
                           const struct write_spec *spec, struct written_files *out, struct err *err)
{
    (void)e;
    (void)ctx;
    (void)p;
    (void)out;
    err_set(err, LC_UNSUPPORTED, "a Spark server cannot write into the local folder '%s'", spec->dir);
    return err_hint(
        err, "df.write:save(path) writes where the server can; for a local table: collect the rows first");
}

static double progress(struct engine *e)
{
    int thousandths = atomic_load(&e->progress);

    return thousandths < 0 ? -1 : thousandths / 1000.0;
}

static void interrupt(struct engine *e)
{
    atomic_store(&e->stop, true);
}

/* ---- tags ---- */
static void remove_line(struct buf *lines, const char *line)
{
    size_t n = strlen(line);
    char *at = lines->len ? lines->data : NULL;

    while (at && *at) {
        size_t len = strcspn(at, "\n") + 1;
        if (len == n + 1 && strncmp(at, line, n) == 0) {
            memmove(at, at + len, (size_t)(lines->data + lines->len - at - (ptrdiff_t)len) + 1);
            lines->len -= len;
            return;
        }
        at += len;
    }
}

static enum lc tag(struct engine *e, const char *text, bool add, struct err *err)
{
    enum lc rc = LC_OK;

    if (text && (!*text || strpbrk(text, ",\n")))
        return err_set(err, LC_ARG, "a tag is a text that is not empty and has no comma in it");
    pthread_mutex_lock(&e->lock);
    if (!text) {
        buf_clear(&e->tags);
    } else {
        remove_line(&e->tags, text);
        if (add && !buf_printf(&e->tags, "%s\n", text))
            rc = err_set(err, LC_LIMIT, "too many tags");
    }
    pthread_mutex_unlock(&e->lock);
    return rc;
}

static const char *tags(struct engine *e)
{
    pthread_mutex_lock(&e->lock);
    mem_free(e->tags_text);
    e->tags_text = mem_strdup(buf_str(&e->tags));
    pthread_mutex_unlock(&e->lock);
    return e->tags_text ? e->tags_text : "";
}

static const struct engine_remote remote = {.sql = connect_sql,
                                            .save = connect_save,
                                            .save_v2 = connect_save_v2,
                                            .view = connect_view,
                                            .catalog = connect_catalog,
                                            .get_conf = connect_get_conf,
                                            .unset_conf = connect_unset_conf,
                                            .show = connect_show,
                                            .tree = connect_tree,
                                            .input_files = connect_input_files,
                                            .persist = connect_persist,
                                            .same_semantics = connect_same_semantics,
                                            .semantic_hash = connect_semantic_hash,
                                            .stop = connect_stop,
                                            .tag = tag,
                                            .tags = tags,
                                            .describe = describe,
                                            .lost = lost};

const struct engine_ops lacus_engine_spark = {.version = ENGINE_VERSION,
                                              .name = "spark",
                                              .capabilities = ENGINE_OWN_CATALOG,
                                              .open = engine_open,
                                              .close = connect_unref,
                                              .library_version = library_version,
                                              .analyze = connect_analyze,
                                              .explain = connect_explain,
                                              .execute = connect_stream,
                                              .write_files = write_files,
                                              .progress = progress,
                                              .interrupt = interrupt,
                                              .set_conf = connect_set_conf,
                                              .remote = &remote};
