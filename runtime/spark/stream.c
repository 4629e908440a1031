/* stream.c: an engine's streams with what their readers may rely on: an error stays, and a session may end before them. */
#include "runtime/spark/stream.h"
#include "runtime/base/mem.h"
#include "runtime/dataframe/engines/engine.h"
#include "runtime/spark/stream_int.h"
#include <errno.h>
#include <pthread.h>
#include <string.h>

struct guard {
    struct guard *next, **link;       /* of its list, under the list's lock */
    struct streams *list;             /* owned reference */
    pthread_mutex_t lock;             /* of rows: whoever reads them, and the end of the session */
    struct ArrowArrayStream rows;     /* owned; release NULL: the session has ended */
    struct ctx ctx;                   /* the engine keeps its address */
    const struct ctx_progress *shown; /* borrowed: who wants to hear of progress, on that thread */
    struct ctx_progress progress;
    pthread_t opened_by;
    int failed;
    struct err err;
};

struct streams {
    atomic_int refs;
    pthread_mutex_t lock; /* taken before a guard's */
    struct guard *first;
};

struct streams *streams_new(void)
{
    struct streams *list = mem_zalloc(sizeof *list);

    if (!list)
        return NULL;
    atomic_init(&list->refs, 1);
    pthread_mutex_init(&list->lock, NULL);
    return list;
}

void streams_unref(struct streams *list)
{
    if (!list || atomic_fetch_sub(&list->refs, 1) > 1)
        return;
    pthread_mutex_destroy(&list->lock);
    mem_free(list);
}

static void let_go(struct guard *g)
{
    pthread_mutex_lock(&g->lock);
    if (g->rows.release)
        g->rows.release(&g->rows);
    g->rows.release = NULL;
    pthread_mutex_unlock(&g->lock);
}

void streams_end(struct streams *list)
{
    pthread_mutex_lock(&list->lock);
    for (struct guard *g = list->first; g; g = g->next)
        let_go(g);
    pthread_mutex_unlock(&list->lock);
}

static void add(struct streams *list, struct guard *g)
{
    g->list = list;
    atomic_fetch_add(&list->refs, 1);
    pthread_mutex_lock(&list->lock);
    g->next = list->first;
    g->link = &list->first;
    if (g->next)
        g->next->link = &g->next;
    list->first = g;
    pthread_mutex_unlock(&list->lock);
}

static void take_out(struct guard *g)
{
    pthread_mutex_lock(&g->list->lock);
    *g->link = g->next;
    if (g->next)
        g->next->link = g->link;
    pthread_mutex_unlock(&g->list->lock);
    streams_unref(g->list);
}

static void guard_free(struct guard *g)
{
    pthread_mutex_destroy(&g->lock);
    mem_free(g);
}

/* ---- what readers call ---- */
static int failed(struct guard *g, int code, const char *text)
{
    err_set(&g->err, code == ECANCELED ? LC_CANCELLED : LC_RUNTIME, "%s", text ? text : "the query failed");
    return code;
}

static int over(struct guard *g)
{
    return failed(g, EIO, "the session that these rows come from has ended");
}

static int get_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out)
{
    struct guard *g = stream->private_data;
    int code;

    out->release = NULL;
    pthread_mutex_lock(&g->lock);
    if (!g->rows.release) {
        code = over(g);
    } else {
        code = g->rows.get_schema(&g->rows, out);
        if (code)
            failed(g, code, g->rows.get_last_error(&g->rows));
    }
    pthread_mutex_unlock(&g->lock);
    return code;
}

static int get_next(struct ArrowArrayStream *stream, struct ArrowArray *out)
{
    struct guard *g = stream->private_data;

    memset(out, 0, sizeof *out);
    pthread_mutex_lock(&g->lock);
    if (!g->failed && !g->rows.release) {
        g->failed = over(g);
    } else if (!g->failed) {
        g->failed = g->rows.get_next(&g->rows, out);
        if (g->failed)
            failed(g, g->failed, g->rows.get_last_error(&g->rows));
    }
    pthread_mutex_unlock(&g->lock);
    return g->failed;
}

static const char *get_last_error(struct ArrowArrayStream *stream)
{
    const struct guard *g = stream->private_data;

    return g->err.message[0] ? g->err.message : NULL;
}

static void release(struct ArrowArrayStream *stream)
{
    struct guard *g = stream->private_data;

    stream->release = NULL;
    take_out(g);
    let_go(g);
    guard_free(g);
}

/* ---- opening ---- */
static void told(void *self, double done)
{
    const struct guard *g = self;

    if (pthread_equal(pthread_self(), g->opened_by))
        g->shown->told(g->shown->self, done);
}

static struct guard *guard_new(const struct ctx *ctx)
{
    struct guard *g = mem_zalloc(sizeof *g);

    if (!g)
        return NULL;
    pthread_mutex_init(&g->lock, NULL);
    g->ctx = *ctx;
    g->ctx.arena = NULL; /* of the call */
    g->shown = ctx->progress;
    g->opened_by = pthread_self();
    g->progress = (struct ctx_progress){told, g};
    if (ctx->progress)
        g->ctx.progress = &g->progress;
    return g;
}

enum lc streams_execute(struct streams *list, const struct ctx *ctx, const struct delta_engine *engine,
                        const struct plan *resolved, struct ArrowArrayStream *out, struct err *err)
{
    struct guard *g = guard_new(ctx);
    enum lc rc;

    if (!g)
        return err_nomem(err);
    rc = engine->ops->execute(engine->engine, &g->ctx, resolved, &g->rows, err);
    if (rc != LC_OK) {
        guard_free(g);
        return rc;
    }
    add(list, g);
    *out = (struct ArrowArrayStream){.get_schema = get_schema,
                                     .get_next = get_next,
                                     .get_last_error = get_last_error,
                                     .release = release,
                                     .private_data = g};
    return LC_OK;
}
