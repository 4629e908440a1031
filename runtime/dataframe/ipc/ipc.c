/* ipc.c: the plugin `arrow_ipc`: nanoarrow reads and writes Arrow's stream format. */
#include "runtime/dataframe/ipc.h"
#include "runtime/base/mem.h"
#include <errno.h>
#include <nanoarrow/nanoarrow.h>
#include <nanoarrow/nanoarrow_ipc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BATCHES_MAX = 1 << 16, NANOS_PER_MICRO = 1000 };

static enum lc bad(struct err *err, const char *text)
{
    return err_set(err, LC_DATA, "there is an Arrow stream that cannot be read: %.400s",
                   text && *text ? text : "it is cut off");
}

/* ---- intervals ---- */
struct interval { /* Arrow's month_day_nano */
    int32_t months, days;
    int64_t nanos;
};

static bool is_interval(const char *format)
{
    return strcmp(format, "tiM") == 0 || strncmp(format, "tD", 2) == 0;
}

static struct interval interval_of(const char *format, const void *data, int64_t i)
{
    enum { SECONDS = 86400 };
    int64_t v, per_second = format[2] == 's'   ? 1
                            : format[2] == 'm' ? 1000
                            : format[2] == 'u' ? 1000000
                                               : 1000000000;
    int32_t months;

    if (format[1] == 'i') {
        memcpy(&months, (const char *)data + i * 4, 4);
        return (struct interval){.months = months};
    }
    memcpy(&v, (const char *)data + i * 8, 8);
    return (struct interval){.days = (int32_t)(v / per_second / SECONDS),
                             .nanos = v % (per_second * SECONDS) * (1000000000 / per_second)};
}

static int convert(const char *format, struct ArrowArray *a)
{
    struct ArrowBuffer *values = ArrowArrayBuffer(a, 1), wide;
    int64_t n = a->length + a->offset;

    ArrowBufferInit(&wide);
    if (ArrowBufferResize(&wide, n * (int64_t)sizeof(struct interval), 0) != NANOARROW_OK)
        return ENOMEM;
    for (int64_t i = 0; i < n; i++) {
        struct interval v = interval_of(format, values->data, i);
        memcpy(wide.data + (size_t)i * sizeof v, &v, sizeof v);
    }
    ArrowBufferReset(values);
    ArrowBufferMove(&wide, values);
    a->buffers[1] = values->data;
    return 0;
}

/* Times of the day come in nanoseconds; here they are microseconds, as the type says. */
static bool is_clock(const char *format)
{
    return strcmp(format, "ttn") == 0;
}

static void convert_clock(struct ArrowArray *a)
{
    struct ArrowBuffer *values = ArrowArrayBuffer(a, 1);

    for (int64_t i = 0, v; i < a->length + a->offset; i++) {
        memcpy(&v, values->data + i * 8, 8);
        v /= NANOS_PER_MICRO;
        memcpy(values->data + i * 8, &v, 8);
    }
}

static int convert_array(const struct ArrowSchema *s, struct ArrowArray *a)
{
    int code = 0;

    if (is_interval(s->format))
        return convert(s->format, a);
    if (is_clock(s->format))
        convert_clock(a);
    for (int64_t i = 0; i < s->n_children && code == 0; i++)
        code = convert_array(s->children[i], a->children[i]);
    return code;
}

static int convert_schema(struct ArrowSchema *s)
{
    const char *format = is_interval(s->format) ? "tin" : is_clock(s->format) ? "ttu" : NULL;
    int code = format ? ArrowSchemaSetFormat(s, format) : 0;

    for (int64_t i = 0; i < s->n_children && code == 0; i++)
        code = convert_schema(s->children[i]);
    return code;
}

static bool has_other(const struct ArrowSchema *s)
{
    bool found = is_interval(s->format) || is_clock(s->format);

    for (int64_t i = 0; i < s->n_children && !found; i++)
        found = has_other(s->children[i]);
    return found;
}

/* Neither Spark nor Python's side sends one, and nanoarrow 0.9 trusts what a batch of one says about itself. */
static bool has_dictionary(const struct ArrowSchema *s)
{
    bool found = s->dictionary != NULL;

    for (int64_t i = 0; i < s->n_children && !found; i++)
        found = has_dictionary(s->children[i]);
    return found;
}

/* ---- reading ---- */
static enum lc add_batch(struct ipc_batches *b, struct ArrowArray *batch, struct err *err)
{
    struct ArrowArray *more = b->n < BATCHES_MAX ? mem_reallocn(b->items, b->n + 1, sizeof *more) : NULL;

    if (!more) {
        ArrowArrayRelease(batch);
        return err_nomem(err);
    }
    b->items = more;
    b->items[b->n++] = *batch;
    return LC_OK;
}

static enum lc read_batches(struct ArrowArrayStream *stream, struct ArrowSchema *schema, bool intervals,
                            struct ipc_batches *out, struct err *err)
{
    struct ArrowError why = {{0}};

    for (;;) {
        struct ArrowArray batch = {0};

        if (ArrowArrayStreamGetNext(stream, &batch, &why) != NANOARROW_OK)
            return bad(err, why.message);
        if (!batch.release)
            return LC_OK;
        if (intervals && convert_array(schema, &batch) != 0) {
            ArrowArrayRelease(&batch);
            return err_nomem(err);
        }
        TRY(add_batch(out, &batch, err));
    }
}

static enum lc read_stream(struct ArrowArrayStream *stream, struct ArrowSchema *schema,
                           struct ipc_batches *out, struct err *err)
{
    struct ArrowError why = {{0}};
    bool intervals;

    if (ArrowArrayStreamGetSchema(stream, schema, &why) != NANOARROW_OK)
        return bad(err, why.message);
    if (strcmp(schema->format, "+s") != 0)
        return bad(err, "it has no columns");
    if (has_dictionary(schema))
        return bad(err, "a column is encoded by a dictionary");
    intervals = has_other(schema);
    TRY(read_batches(stream, schema, intervals, out, err));
    return intervals && convert_schema(schema) != 0 ? err_nomem(err) : LC_OK;
}

static enum lc read_bytes(const void *data, size_t len, struct ArrowSchema *schema, struct ipc_batches *out,
                          struct err *err)
{
    struct ArrowIpcInputStream input;
    struct ArrowArrayStream stream;
    struct ArrowBuffer bytes;
    enum lc rc;

    *schema = (struct ArrowSchema){0};
    *out = (struct ipc_batches){0};
    ArrowBufferInit(&bytes);
    if (ArrowBufferAppend(&bytes, data, (int64_t)len) != NANOARROW_OK ||
        ArrowIpcInputStreamInitBuffer(&input, &bytes) != NANOARROW_OK) {
        ArrowBufferReset(&bytes);
        return err_nomem(err);
    }
    if (ArrowIpcArrayStreamReaderInit(&stream, &input, NULL) != NANOARROW_OK) {
        input.release(&input);
        return err_nomem(err);
    }
    rc = read_stream(&stream, schema, out, err);
    ArrowArrayStreamRelease(&stream);
    if (rc != LC_OK) {
        ipc_batches_release(out);
        if (schema->release)
            ArrowSchemaRelease(schema);
        *schema = (struct ArrowSchema){0};
    }
    return rc;
}

/* ---- writing ---- */
static int write_batch(struct ArrowIpcWriter *writer, const struct ArrowSchema *schema,
                       const struct ArrowArray *batch, struct ArrowError *why)
{
    struct ArrowArrayView view;
    int code = ArrowArrayViewInitFromSchema(&view, schema, why);

    if (code == NANOARROW_OK)
        code = ArrowArrayViewSetArray(&view, batch, why);
    if (code == NANOARROW_OK)
        code = ArrowIpcWriterWriteArrayView(writer, &view, why);
    ArrowArrayViewReset(&view);
    return code;
}

static int write_all(struct ArrowIpcWriter *writer, const struct ArrowSchema *schema,
                     const struct ArrowArray *const *batches, size_t n, struct ArrowError *why)
{
    int code = ArrowIpcWriterWriteSchema(writer, schema, why);

    for (size_t i = 0; i < n && code == NANOARROW_OK; i++)
        code = write_batch(writer, schema, batches[i], why);
    return code == NANOARROW_OK ? ArrowIpcWriterWriteArrayView(writer, NULL, why) : code; /* the end */
}

static enum lc write_bytes(const struct ArrowSchema *schema, const struct ArrowArray *const *batches,
                           size_t n, struct buf *out, struct err *err)
{
    struct ArrowIpcOutputStream output;
    struct ArrowIpcWriter writer;
    struct ArrowError why = {{0}};
    struct ArrowBuffer bytes;
    int code;

    ArrowBufferInit(&bytes);
    code = ArrowIpcOutputStreamInitBuffer(&output, &bytes);
    if (code == NANOARROW_OK && (code = ArrowIpcWriterInit(&writer, &output)) != NANOARROW_OK)
        output.release(&output);
    else if (code == NANOARROW_OK) {
        code = write_all(&writer, schema, batches, n, &why);
        ArrowIpcWriterReset(&writer);
    }
    if (code == NANOARROW_OK)
        buf_add(out, bytes.data, (size_t)bytes.size_bytes);
    ArrowBufferReset(&bytes);
    if (code == NANOARROW_OK)
        return buf_check(out, err);
    return code == ENOMEM
               ? err_nomem(err)
               : err_set(err, LC_DATA, "the rows cannot be written as an Arrow stream: %.400s", why.message);
}

/* ---- files ---- */
static enum lc stream_failed(struct ArrowArrayStream *rows, int code, struct err *err)
{
    const char *text = rows->get_last_error(rows);

    return err_set(err, code == ECANCELED ? LC_CANCELLED : LC_RUNTIME, "%s",
                   text ? text : "reading a stream failed");
}

static enum lc not_written(int code, const struct ArrowError *why, const char *path, FILE *f, struct err *err)
{
    if (code == ENOMEM)
        return err_nomem(err);
    if (ferror(f))
        return err_errno(err, errno, "cannot write '%s'", path);
    return err_set(err, LC_DATA, "the rows cannot be written as an Arrow stream: %.400s", why->message);
}

struct saving {
    const struct ctx *ctx;
    struct ArrowArrayStream *rows;
    const char *path;
    FILE *f;
    struct ArrowIpcWriter writer;
    struct ArrowSchema schema;
};

/* *more false: that was the end */
static enum lc save_batch(struct saving *s, bool *more, struct err *err)
{
    struct ArrowArray batch = {0};
    struct ArrowError why = {{0}};
    int code;

    TRY(ctx_check(s->ctx, err));
    code = s->rows->get_next(s->rows, &batch);
    if (code != 0)
        return stream_failed(s->rows, code, err);
    *more = batch.release != NULL;
    errno = 0;
    code = *more ? write_batch(&s->writer, &s->schema, &batch, &why)
                 : ArrowIpcWriterWriteArrayView(&s->writer, NULL, &why);
    if (*more)
        ArrowArrayRelease(&batch);
    return code == NANOARROW_OK ? LC_OK : not_written(code, &why, s->path, s->f, err);
}

static enum lc save_all(struct saving *s, struct err *err)
{
    struct ArrowError why = {{0}};
    bool more = true;
    int code = s->rows->get_schema(s->rows, &s->schema);

    if (code != 0)
        return stream_failed(s->rows, code, err);
    code = ArrowIpcWriterWriteSchema(&s->writer, &s->schema, &why);
    if (code != NANOARROW_OK)
        return not_written(code, &why, s->path, s->f, err);
    while (more)
        TRY(save_batch(s, &more, err));
    return fflush(s->f) == 0 ? LC_OK : err_errno(err, errno, "cannot write '%s'", s->path);
}

static enum lc save_file(const struct ctx *ctx, struct ArrowArrayStream *rows, const char *path,
                         struct err *err)
{
    struct saving s = {.ctx = ctx, .rows = rows, .path = path, .f = fopen(path, "wbe")};
    struct ArrowIpcOutputStream output;
    enum lc rc;
    int code;

    if (!s.f)
        return err_errno(err, errno, "cannot write '%s'", path);
    code = ArrowIpcOutputStreamInitFile(&output, s.f, 0);
    if (code == NANOARROW_OK && (code = ArrowIpcWriterInit(&s.writer, &output)) != NANOARROW_OK)
        output.release(&output);
    rc = code == NANOARROW_OK ? save_all(&s, err) : err_nomem(err);
    if (code == NANOARROW_OK)
        ArrowIpcWriterReset(&s.writer);
    if (s.schema.release)
        ArrowSchemaRelease(&s.schema);
    fclose(s.f);
    if (rc != LC_OK)
        unlink(path);
    return rc;
}

static enum lc check_schema(struct ArrowArrayStream *stream, struct err *err)
{
    struct ArrowError why = {{0}};
    struct ArrowSchema schema = {0};
    enum lc rc;

    if (ArrowArrayStreamGetSchema(stream, &schema, &why) != NANOARROW_OK)
        return bad(err, why.message);
    rc = strcmp(schema.format, "+s") != 0 ? bad(err, "it has no columns")
         : has_dictionary(&schema)        ? bad(err, "a column is encoded by a dictionary")
                                          : LC_OK;
    ArrowSchemaRelease(&schema);
    return rc;
}

static enum lc open_file(const char *path, struct ArrowArrayStream *out, struct err *err)
{
    FILE *f = fopen(path, "rbe");
    struct ArrowIpcInputStream input;
    enum lc rc;

    if (!f)
        return err_errno(err, errno, "cannot read '%s'", path);
    if (ArrowIpcInputStreamInitFile(&input, f, 1) != NANOARROW_OK) {
        fclose(f);
        return err_nomem(err);
    }
    if (ArrowIpcArrayStreamReaderInit(out, &input, NULL) != NANOARROW_OK) {
        input.release(&input);
        return err_nomem(err);
    }
    rc = check_schema(out, err);
    if (rc != LC_OK)
        ArrowArrayStreamRelease(out);
    return rc;
}

const struct ipc_ops lacus_arrow_ipc = {IPC_VERSION, read_bytes, write_bytes, save_file, open_file};
