/* stream.c: a plan's rows as an Arrow C stream: one message of the server at a time, so memory holds one batch. */
#include "runtime/base/mem.h"
#include "runtime/dataframe/engines/spark/connect.h"
#include "runtime/dataframe/ipc.h"
#include <errno.h>
#include <nanoarrow/nanoarrow.h>
#include <string.h>

enum { ARROW_BATCH = 2, EXECUTION_PROGRESS = 18 };

struct rows {
    struct engine *e;
    struct execution *execution;
    struct ArrowSchema schema; /* of the first batch; release NULL: none came yet */
    struct ipc_batches batches;
    struct err err;
    bool ended;
    struct told told;
};

static int errno_of(enum lc code)
{
    return code == LC_CANCELLED || code == LC_TIMEOUT ? ECANCELED : (code == LC_NOMEM ? ENOMEM : EIO);
}

static enum lc take_batch(struct rows *r, const struct pb_field *batch, struct err *err)
{
    struct ArrowSchema schema;
    struct pb_field data;

    if (!pb_find(pb_inside(batch), 2, &data))
        return err_set(err, LC_DATA, "the Spark server sent a batch without data");
    ipc_batches_release(&r->batches);
    if (ipc_read(data.data, data.len, &schema, &r->batches, err) != LC_OK)
        return err_wrap(err, "cannot read what the Spark server sent");
    if (r->schema.release)
        schema.release(&schema);
    else
        r->schema = schema; /* moved */
    return LC_OK;
}

/* Reads on until there is a batch, or the end. */
static enum lc await(struct rows *r, struct err *err)
{
    struct pb_reader answer;
    struct pb_field f;
    bool more;

    while (!r->ended && r->batches.next == r->batches.n) {
        TRY(execution_next(r->execution, &answer, &more, err));
        if (!more)
            r->ended = true;
        else if (pb_find(answer, ARROW_BATCH, &f))
            TRY(take_batch(r, &f, err));
        else if (pb_find(answer, EXECUTION_PROGRESS, &f))
            connect_progress(r->e, &r->told, &f);
    }
    return LC_OK;
}

static enum lc fetch(struct rows *r, struct err *err)
{
    enum lc rc = await(r, err);

    told_end(&r->told);
    return rc;
}

static int get_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out)
{
    struct rows *r = stream->private_data;

    return ArrowSchemaDeepCopy(&r->schema, out) == NANOARROW_OK ? 0 : ENOMEM;
}

static int get_next(struct ArrowArrayStream *stream, struct ArrowArray *out)
{
    struct rows *r = stream->private_data;
    enum lc rc;

    memset(out, 0, sizeof *out);
    err_clear(&r->err);
    rc = fetch(r, &r->err);
    if (rc != LC_OK)
        return errno_of(rc);
    if (r->batches.next < r->batches.n) {
        *out = r->batches.items[r->batches.next]; /* moved */
        r->batches.items[r->batches.next++].release = NULL;
    }
    return 0;
}

static const char *get_last_error(struct ArrowArrayStream *stream)
{
    return ((struct rows *)stream->private_data)->err.message;
}

static void free_rows(struct rows *r)
{
    ipc_batches_release(&r->batches);
    if (r->schema.release)
        r->schema.release(&r->schema);
    execution_close(r->execution);
    connect_unref(r->e);
    mem_free(r);
}

static void release(struct ArrowArrayStream *stream)
{
    free_rows(stream->private_data);
    stream->release = NULL;
}

static enum lc open_execution(struct rows *r, const struct ctx *ctx, const struct buf *plan, struct err *err)
{
    char *tags = connect_tags(r->e, ctx);
    enum lc rc = tags ? LC_OK : err_nomem(err);

    if (rc == LC_OK)
        rc = execution_open(r->e->client, ctx, &r->e->stop, plan, tags, &r->execution, err);
    mem_free(tags);
    return rc;
}

static enum lc stream_of(struct engine *e, const struct ctx *ctx, const struct buf *plan,
                         struct ArrowArrayStream *out, struct err *err)
{
    struct rows *r = mem_zalloc(sizeof *r);
    enum lc rc;

    if (!r)
        return err_nomem(err);
    r->e = e;
    r->told = told_begin(ctx);
    atomic_fetch_add(&e->refs, 1);
    atomic_store(&e->stop, false);
    atomic_store(&e->progress, -1);
    rc = open_execution(r, ctx, plan, err);
    if (rc == LC_OK)
        rc = fetch(r, err); /* what is wrong with the plan is said now */
    if (rc == LC_OK && !r->schema.release)
        rc = err_set(err, LC_DATA, "the Spark server sent no columns");
    if (rc != LC_OK) {
        free_rows(r);
        return rc;
    }
    *out = (struct ArrowArrayStream){.get_schema = get_schema,
                                     .get_next = get_next,
                                     .get_last_error = get_last_error,
                                     .release = release,
                                     .private_data = r};
    return LC_OK;
}

enum lc connect_stream(struct engine *e, const struct ctx *ctx, const struct plan *p,
                       struct ArrowArrayStream *out, struct err *err)
{
    struct buf plan = BUF_INIT(CONNECT_MESSAGE_MAX);
    enum lc rc = connect_plan(e, ctx, p, &plan, err);

    if (rc == LC_OK)
        rc = stream_of(e, ctx, &plan, out, err);
    buf_release(&plan);
    return rc;
}

/* ---- show: one row of one text ---- */
static enum lc put_show(struct engine *e, const struct ctx *ctx, const struct plan *p,
                        const struct engine_show *how, struct buf *out, struct err *err)
{
    size_t root = pb_begin(out, 1), show = pb_begin(out, 20);
    enum lc rc = connect_input(e, ctx, 1, p, out, err);

    pb_int(out, 2, how->rows > INT32_MAX ? INT32_MAX : how->rows);
    pb_int(out, 3, how->truncate > INT32_MAX ? INT32_MAX : how->truncate);
    pb_int(out, 4, how->vertical);
    pb_end(out, show);
    pb_end(out, root);
    return rc == LC_OK ? buf_check(out, err) : rc;
}

static enum lc take_text(struct ArrowArrayStream *stream, struct buf *out, struct err *err)
{
    struct ArrowArray batch = {0};
    const char *text = NULL;
    size_t len = 0;
    int code = stream->get_next(stream, &batch);

    if (code != 0)
        return err_set(err, code == ECANCELED ? LC_CANCELLED : LC_RUNTIME, "%s",
                       stream->get_last_error(stream));
    if (batch.release && batch.n_children == 1 && batch.length > 0)
        text = arrow_text("u", batch.children[0], 0, &len);
    if (text)
        buf_add(out, text, len);
    if (batch.release)
        batch.release(&batch);
    return text ? buf_check(out, err)
                : err_set(err, LC_DATA, "the Spark server did not send what show prints");
}

enum lc connect_show(struct engine *e, const struct ctx *ctx, const struct plan *p,
                     const struct engine_show *how, struct buf *out, struct err *err)
{
    struct buf plan = BUF_INIT(CONNECT_MESSAGE_MAX);
    struct ArrowArrayStream stream;
    enum lc rc = put_show(e, ctx, p, how, &plan, err);

    if (rc == LC_OK)
        rc = stream_of(e, ctx, &plan, &stream, err);
    buf_release(&plan);
    if (rc != LC_OK)
        return rc;
    rc = take_text(&stream, out, err);
    stream.release(&stream);
    return rc;
}
