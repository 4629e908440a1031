/* ipc.c: the plugin `arrow_ipc`: nanoarrow reads and writes Arrow's stream format. */
#include "runtime/dataframe/ipc.h"
#include "runtime/base/mem.h"
#include "runtime/dataframe/ipc/messages.h"
#include "runtime/dataframe/ipc/slice.h"
#include <errno.h>
#include <nanoarrow/nanoarrow.h>
#include <nanoarrow/nanoarrow_ipc.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BATCHES_MAX = 1 << 16, NANOS_PER_MICRO = 1000 };
enum { BATCH_BYTES = 512 << 10 }; /* larger batches are split: readers hold one at a time */

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

/* Into memory of its own: other columns of a batch may lie in the same bytes, and have been checked. */
static int convert_clock(struct ArrowArray *a)
{
    struct ArrowBuffer *values = ArrowArrayBuffer(a, 1), micros;
    int64_t n = a->length + a->offset;

    ArrowBufferInit(&micros);
    if (ArrowBufferResize(&micros, n * (int64_t)sizeof n, 0) != NANOARROW_OK)
        return ENOMEM;
    for (int64_t i = 0, v; i < n; i++) {
        memcpy(&v, values->data + i * 8, 8);
        v /= NANOS_PER_MICRO;
        memcpy(micros.data + i * 8, &v, 8);
    }
    ArrowBufferReset(values);
    ArrowBufferMove(&micros, values);
    a->buffers[1] = values->data;
    return 0;
}

static int convert_array(const struct ArrowSchema *s, struct ArrowArray *a)
{
    int code = 0;

    if (is_interval(s->format))
        return convert(s->format, a);
    if (is_clock(s->format))
        return convert_clock(a);
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
    intervals = has_other(schema);
    TRY(read_batches(stream, schema, intervals, out, err));
    return intervals && convert_schema(schema) != 0 ? err_nomem(err) : LC_OK;
}

static enum lc read_bytes(const void *data, size_t len, struct ArrowSchema *schema, struct ipc_batches *out,
                          struct err *err)
{
    struct ArrowArrayStream stream;
    enum lc rc;

    *schema = (struct ArrowSchema){0};
    *out = (struct ipc_batches){0};
    if (len == 0)
        return bad(err, NULL);
    if (messages_stream(&(struct message_bytes){.data = data, .left = (int64_t)len}, &stream) != 0)
        return err_nomem(err);
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

struct parts { /* several streams, one after the other */
    const struct ArrowSchema *schema;
    const struct ipc_parts *to;
    struct ArrowBuffer bytes; /* of the stream that is being written */
    struct ArrowIpcWriter writer;
    bool open;
    int64_t filled; /* of its batches */
    struct ArrowError why;
    enum lc rc; /* what the caller said */
    struct err *err;
};

static int part_begin(struct parts *p)
{
    struct ArrowIpcOutputStream output;
    int code = ArrowIpcOutputStreamInitBuffer(&output, &p->bytes);

    if (code != NANOARROW_OK)
        return code;
    code = ArrowIpcWriterInit(&p->writer, &output);
    if (code != NANOARROW_OK) {
        output.release(&output);
        return code;
    }
    p->open = true;
    p->filled = 0;
    return ArrowIpcWriterWriteSchema(&p->writer, p->schema, &p->why);
}

static int part_end(struct parts *p)
{
    int code = ArrowIpcWriterWriteArrayView(&p->writer, NULL, &p->why);

    ArrowIpcWriterReset(&p->writer);
    p->open = false;
    if (code == NANOARROW_OK) {
        p->rc = p->to->put(p->to->self, p->bytes.data, (size_t)p->bytes.size_bytes, p->err);
        code = p->rc == LC_OK ? NANOARROW_OK : ECANCELED;
    }
    p->bytes.size_bytes = 0; /* its memory serves the next one */
    return code;
}

static int part_add(struct parts *p, const struct ArrowArrayView *view, int64_t bytes)
{
    int code = p->open && p->filled && p->filled + bytes > p->to->most ? part_end(p) : NANOARROW_OK;

    if (code == NANOARROW_OK && !p->open)
        code = part_begin(p);
    p->filled += bytes;
    return code == NANOARROW_OK ? ArrowIpcWriterWriteArrayView(&p->writer, view, &p->why) : code;
}

static int add_rows(struct parts *p, const struct ArrowArrayView *view, int64_t from, int64_t n,
                    int64_t bytes)
{
    struct ArrowArrayView part_view;
    struct ArrowArray part;
    int code = slice_rows(view, from, n, &part);

    if (code != NANOARROW_OK)
        return code;
    code = ArrowArrayViewInitFromSchema(&part_view, p->schema, &p->why);
    if (code == NANOARROW_OK)
        code = ArrowArrayViewSetArray(&part_view, &part, &p->why);
    if (code == NANOARROW_OK)
        code = part_add(p, &part_view, bytes);
    ArrowArrayViewReset(&part_view);
    ArrowArrayRelease(&part);
    return code;
}

static int split_batch(struct parts *p, const struct ArrowArray *batch)
{
    struct ArrowArrayView view;
    int code = ArrowArrayViewInitFromSchema(&view, p->schema, &p->why);

    if (code == NANOARROW_OK)
        code = ArrowArrayViewSetArray(&view, batch, &p->why);
    if (code == NANOARROW_OK) {
        int64_t bytes = slice_bytes(&view), pieces = bytes / BATCH_BYTES + 1;
        int64_t rows = (batch->length + pieces - 1) / pieces;

        if (pieces == 1 || batch->length < 2)
            code = part_add(p, &view, bytes);
        for (int64_t at = 0; pieces > 1 && batch->length > 1 && at < batch->length && code == NANOARROW_OK;
             at += rows)
            code =
                add_rows(p, &view, at, batch->length - at < rows ? batch->length - at : rows, bytes / pieces);
    }
    ArrowArrayViewReset(&view);
    return code;
}

static enum lc write_parts(const struct ArrowSchema *schema, const struct ArrowArray *const *batches,
                           size_t n, const struct ipc_parts *to, struct err *err)
{
    struct parts p = {.schema = schema, .to = to, .err = err};
    int code;

    ArrowBufferInit(&p.bytes);
    code = part_begin(&p);
    for (size_t i = 0; i < n && code == NANOARROW_OK; i++)
        code = split_batch(&p, batches[i]);
    if (code == NANOARROW_OK)
        code = part_end(&p);
    if (p.open)
        ArrowIpcWriterReset(&p.writer);
    ArrowBufferReset(&p.bytes);
    if (code == NANOARROW_OK || p.rc != LC_OK)
        return p.rc;
    return code == ENOMEM ? err_nomem(err)
                          : err_set(err, LC_DATA, "the rows cannot be written as an Arrow stream: %.400s",
                                    p.why.message);
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
    rc = strcmp(schema.format, "+s") != 0 ? bad(err, "it has no columns") : LC_OK;
    ArrowSchemaRelease(&schema);
    return rc;
}

static enum lc open_file(const char *path, struct ArrowArrayStream *out, struct err *err)
{
    FILE *f = fopen(path, "rbe");
    struct stat st;
    enum lc rc;

    if (!f)
        return err_errno(err, errno, "cannot read '%s'", path);
    if (fstat(fileno(f), &st) != 0 || !S_ISREG(st.st_mode)) {
        fclose(f);
        return err_set(err, LC_IO, "cannot read '%s': it is no plain file", path);
    }
    if (messages_stream(&(struct message_bytes){.f = f, .left = st.st_size}, out) != 0) {
        fclose(f);
        return err_nomem(err);
    }
    rc = check_schema(out, err);
    if (rc != LC_OK)
        out->release(out);
    return rc;
}

const struct ipc_ops lacus_arrow_ipc = {IPC_VERSION, read_bytes, write_parts, save_file, open_file};
