/* local.c: Arrow batches held in memory, shared by plans. */
#include "runtime/base/mem.h"
#include "runtime/dataframe/arrow_type.h"
#include "runtime/dataframe/plan.h"
#include <errno.h>
#include <string.h>

struct local_data {
    int refs; /* atomic */
    int64_t rows;
    size_t n, capacity;
    struct ArrowArray *batches; /* owned */
    struct ArrowSchema schema;  /* owned */
};

struct local_data *local_ref(struct local_data *d)
{
    if (d)
        __atomic_add_fetch(&d->refs, 1, __ATOMIC_RELAXED);
    return d;
}

void local_unref(struct local_data *d)
{
    if (!d || __atomic_sub_fetch(&d->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (size_t i = 0; i < d->n; i++)
        if (d->batches[i].release)
            d->batches[i].release(&d->batches[i]);
    if (d->schema.release)
        d->schema.release(&d->schema);
    mem_free(d->batches);
    mem_free(d);
}

static enum lc add_batch(struct local_data *d, struct ArrowArray *batch, struct err *err)
{
    if (d->n == d->capacity) {
        size_t more = d->capacity ? d->capacity * 2 : 8;
        struct ArrowArray *grown = mem_reallocn(d->batches, more, sizeof *grown);

        if (!grown) {
            batch->release(batch);
            return err_nomem(err);
        }
        d->batches = grown;
        d->capacity = more;
    }
    d->batches[d->n++] = *batch; /* moved */
    d->rows += batch->length;
    return LC_OK;
}

static enum lc stream_failed(struct ArrowArrayStream *stream, int code, struct err *err)
{
    const char *text = stream->get_last_error(stream);

    return err_set(err, code == ECANCELED ? LC_CANCELLED : LC_RUNTIME, "%s",
                   text ? text : "reading a stream failed");
}

static enum lc read_all(const struct ctx *ctx, struct ArrowArrayStream *stream, struct local_data *d,
                        struct err *err)
{
    int code = stream->get_schema(stream, &d->schema);

    while (code == 0) {
        struct ArrowArray batch = {0};

        TRY(ctx_check(ctx, err));
        code = stream->get_next(stream, &batch);
        if (code == 0 && !batch.release)
            return LC_OK;
        if (code == 0)
            TRY(add_batch(d, &batch, err));
    }
    return stream_failed(stream, code, err);
}

enum lc local_from_stream(const struct ctx *ctx, struct ArrowArrayStream *stream, struct local_data **out,
                          struct err *err)
{
    struct local_data *d = mem_zalloc(sizeof *d);
    enum lc code;

    if (d)
        d->refs = 1;
    code = d ? read_all(ctx, stream, d, err) : err_nomem(err);
    stream->release(stream);
    if (code != LC_OK)
        local_unref(d);
    else
        *out = d;
    return code;
}

enum lc plan_local_stream(const struct ctx *ctx, struct ArrowArrayStream *stream, const struct plan **out,
                          struct err *err)
{
    struct local_data *data;
    const struct dtype *type;
    enum lc rc;

    TRY(local_from_stream(ctx, stream, &data, err));
    rc = strcmp(data->schema.format, "+s") == 0 && data->schema.n_children > 0
             ? dtype_from_arrow(&data->schema, &type, err)
             : err_set(err, LC_DATA, "it has no columns");
    if (rc != LC_OK)
        return local_unref(data), rc;
    *out = plan_local(data, type);
    return *out ? LC_OK : err_nomem(err);
}

bool local_alone(const struct local_data *d)
{
    return __atomic_load_n(&d->refs, __ATOMIC_ACQUIRE) == 1;
}

int64_t local_rows(const struct local_data *d)
{
    return d->rows;
}

size_t local_batches(const struct local_data *d)
{
    return d->n;
}

const struct ArrowSchema *local_schema(const struct local_data *d)
{
    return &d->schema;
}

const struct ArrowArray *local_batch(const struct local_data *d, size_t i)
{
    return &d->batches[i];
}
