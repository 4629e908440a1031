/* ipc_copy.c: batches of a stranger in memory of our own: written as a stream, and read again. */
#include "runtime/base/mem.h"
#include "runtime/dataframe/ipc.h"
#include <errno.h>
#include <string.h>

enum { COPY_MAX = 2000 << 20 }; /* bytes of one batch */

struct copying {
    struct ArrowArrayStream rows; /* owned */
    struct ArrowSchema schema;    /* owned: as rows has it */
    struct buf bytes;             /* of the stream in between */
    struct ipc_batches batches;
    struct err err;
};

static enum lc put(void *self, const void *data, size_t len, struct err *err)
{
    struct buf *bytes = self;

    buf_add(bytes, data, len);
    return buf_check(bytes, err);
}

/* The batch, or none, as a stream that is read again; schema is the caller's. */
static enum lc copy(struct copying *c, const struct ArrowArray *batch, struct ArrowSchema *schema,
                    struct ipc_batches *out)
{
    const struct ipc_parts to = {INT64_MAX, put, &c->bytes};

    buf_clear(&c->bytes);
    TRY(ipc_write(&c->schema, &batch, batch ? 1 : 0, &to, &c->err));
    return ipc_read(c->bytes.data, c->bytes.len, schema, out, &c->err);
}

static int errno_of(enum lc rc)
{
    return rc == LC_OK ? 0 : rc == LC_NOMEM ? ENOMEM : EIO;
}

static int get_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out)
{
    struct copying *c = stream->private_data;
    struct ipc_batches none;
    enum lc rc = copy(c, NULL, out, &none);

    if (rc == LC_OK)
        ipc_batches_release(&none);
    return errno_of(rc);
}

static int failed(struct copying *c, int code)
{
    const char *text = c->rows.get_last_error(&c->rows);

    err_set(&c->err, LC_RUNTIME, "%s", text ? text : "reading a stream failed");
    return code;
}

static int next_theirs(struct copying *c, bool *more)
{
    struct ArrowArray batch = {0};
    struct ArrowSchema schema;
    int code = c->rows.get_next(&c->rows, &batch);
    enum lc rc;

    if (code)
        return failed(c, code);
    *more = batch.release != NULL;
    if (!*more)
        return 0;
    ipc_batches_release(&c->batches);
    rc = copy(c, &batch, &schema, &c->batches);
    batch.release(&batch);
    if (rc == LC_OK)
        schema.release(&schema);
    return errno_of(rc);
}

static int get_next(struct ArrowArrayStream *stream, struct ArrowArray *out)
{
    struct copying *c = stream->private_data;
    bool more = true;
    int code = 0;

    memset(out, 0, sizeof *out);
    while (code == 0 && more && c->batches.next == c->batches.n)
        code = next_theirs(c, &more);
    if (code == 0 && c->batches.next < c->batches.n) {
        *out = c->batches.items[c->batches.next]; /* moved */
        c->batches.items[c->batches.next++].release = NULL;
    }
    return code;
}

static const char *get_last_error(struct ArrowArrayStream *stream)
{
    return ((struct copying *)stream->private_data)->err.message;
}

static void release(struct ArrowArrayStream *stream)
{
    struct copying *c = stream->private_data;

    ipc_batches_release(&c->batches);
    if (c->schema.release)
        c->schema.release(&c->schema);
    if (c->rows.release)
        c->rows.release(&c->rows);
    buf_release(&c->bytes);
    mem_free(c);
    stream->release = NULL;
}

enum lc ipc_copy(struct ArrowArrayStream *rows, struct ArrowArrayStream *out, struct err *err)
{
    struct copying *c = mem_zalloc(sizeof *c);
    enum lc rc = LC_OK;
    int code;

    if (!c) {
        rows->release(rows);
        return err_nomem(err);
    }
    c->rows = *rows; /* moved */
    rows->release = NULL;
    buf_init(&c->bytes, COPY_MAX);
    *out = (struct ArrowArrayStream){.get_schema = get_schema,
                                     .get_next = get_next,
                                     .get_last_error = get_last_error,
                                     .release = release,
                                     .private_data = c};
    code = c->rows.get_schema(&c->rows, &c->schema);
    if (code) {
        failed(c, code);
        rc = err_set(err, code == ECANCELED ? LC_CANCELLED : LC_RUNTIME, "%s", c->err.message);
        out->release(out);
    }
    return rc;
}
