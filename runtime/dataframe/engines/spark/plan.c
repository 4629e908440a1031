/* plan.c: Plans, and running those whose rows nobody wants. */
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/dataframe/engines/spark/connect.h"

enum lc connect_input(struct engine *e, const struct ctx *ctx, unsigned field, const struct plan *p,
                      struct buf *out, struct err *err)
{
    struct row_sender sender = {e, ctx};
    struct connect_env env = {connect_rows, &sender};
    size_t mark = pb_begin(out, field);
    enum lc rc = connect_relation(&env, p, out, err);

    pb_end(out, mark);
    return rc;
}

enum lc connect_value(struct engine *e, const struct ctx *ctx, unsigned field, const struct expr *x,
                      struct buf *out, struct err *err)
{
    struct row_sender sender = {e, ctx};
    struct connect_env env = {connect_rows, &sender};
    size_t mark = pb_begin(out, field);
    enum lc rc = connect_expression(&env, x, out, err);

    pb_end(out, mark);
    return rc;
}

enum lc connect_plan(struct engine *e, const struct ctx *ctx, const struct plan *p, struct buf *out,
                     struct err *err)
{
    TRY(connect_input(e, ctx, 1, p, out, err));
    return buf_check(out, err);
}

enum { TELL_AFTER_MS = 2000 };

/* The session's tags, and the operation's own. */
char *connect_tags(struct engine *e, const struct ctx *ctx)
{
    struct buf text = BUF_INIT(1 << 20);

    pthread_mutex_lock(&e->lock);
    buf_puts(&text, buf_str(&e->tags));
    pthread_mutex_unlock(&e->lock);
    if (ctx->operation && *ctx->operation)
        buf_printf(&text, "lacus-%s\n", ctx->operation);
    return buf_take(&text);
}

struct told told_begin(const struct ctx *ctx)
{
    return (struct told){.ctx = ctx, .from = clock_mono_ns() + TELL_AFTER_MS * 1000000LL};
}

void told_end(struct told *t)
{
    if (t->any)
        t->ctx->progress->told(t->ctx->progress->self, CTX_PROGRESS_OVER);
    t->any = false;
}

static void tell(struct told *t, double done)
{
    const struct ctx_progress *p = t->ctx ? t->ctx->progress : NULL;

    if (!p || clock_mono_ns() < t->from)
        return;
    t->any = true;
    p->told(p->self, done);
}

void connect_progress(struct engine *e, struct told *told, const struct pb_field *progress)
{
    struct pb_reader r = pb_inside(progress), stage;
    struct pb_field f, v;
    uint64_t tasks = 0, done = 0;

    while (pb_next(&r, &f)) {
        if (f.number != 1)
            continue;
        stage = pb_inside(&f);
        while (pb_next(&stage, &v)) {
            tasks += v.number == 2 ? v.value % (1 << 30) : 0;
            done += v.number == 3 ? v.value % (1 << 30) : 0;
        }
    }
    if (tasks)
        atomic_store(&e->progress, (int)(done * 1000 / tasks));
    tell(told, tasks ? (double)done / (double)tasks : -1);
}

static enum lc drain(struct engine *e, struct execution *x, struct told *told,
                     enum lc (*on_answer)(void *, struct pb_reader, struct err *), void *arg, struct err *err)
{
    struct pb_reader answer;
    struct pb_field f;
    bool more = true;

    for (;;) {
        TRY(execution_next(x, &answer, &more, err));
        if (!more)
            return LC_OK;
        if (pb_find(answer, 18, &f))
            connect_progress(e, told, &f);
        if (on_answer)
            TRY(on_answer(arg, answer, err));
    }
}

enum lc connect_run(struct engine *e, const struct ctx *ctx, const struct buf *plan,
                    enum lc (*on_answer)(void *arg, struct pb_reader answer, struct err *err), void *arg,
                    struct err *err)
{
    char *tags = connect_tags(e, ctx);
    struct told told = told_begin(ctx);
    struct execution *x;
    enum lc rc = tags ? buf_check(plan, err) : err_nomem(err);

    atomic_store(&e->stop, false);
    atomic_store(&e->progress, -1);
    if (rc == LC_OK)
        rc = execution_open(e->client, ctx, &e->stop, plan, tags, &x, err);
    mem_free(tags);
    if (rc != LC_OK)
        return rc;
    rc = drain(e, x, &told, on_answer, arg, err);
    told_end(&told);
    execution_close(x);
    return rc;
}
