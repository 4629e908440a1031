#include "runtime/dataframe/ipc/messages.h"
#include "runtime/base/mem.h"
#include "runtime/dataframe/ipc/tables.h"
#include <errno.h>
#include <nanoarrow/nanoarrow.h>
#include <nanoarrow/nanoarrow_ipc.h>
#include <string.h>

enum { PREFIX = 8 }; /* of a header: a mark, its length */
static const uint32_t mark = 0xffffffff;

struct messages {
    struct message_bytes from;
    struct ArrowIpcDecoder decoder;
    struct ArrowBuffer header; /* with its prefix: of the message that came last */
    struct ArrowSchema schema; /* release NULL: it has not come yet */
    int failed;                /* what the first error was; 0: none */
    struct ArrowError why;
};

static int refuse(struct messages *m, const char *text)
{
    ArrowErrorSet(&m->why, "%s", text);
    return EINVAL;
}

static int cut_off(struct messages *m)
{
    return refuse(m, "it is cut off");
}

static int take(struct messages *m, void *to, int64_t n)
{
    if (n > m->from.left)
        return cut_off(m);
    m->from.left -= n;
    if (n == 0)
        return 0;
    if (m->from.data) {
        memcpy(to, m->from.data, (size_t)n);
        m->from.data += n;
    } else if (fread(to, 1, (size_t)n, m->from.f) != (size_t)n) {
        if (!ferror(m->from.f))
            return cut_off(m);
        ArrowErrorSet(&m->why, "the file cannot be read");
        return EIO;
    }
    return 0;
}

static int take_number(struct messages *m, uint32_t *out)
{
    unsigned char b[4];
    int code = take(m, b, sizeof b);

    *out = code ? 0 : b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
    return code;
}

/* How long the next header is; 0: the stream is over. Before Arrow 0.15 no mark stood in front of it. */
static int take_length(struct messages *m, uint32_t *length, bool *marked)
{
    int code = 0;

    *length = 0;
    if (m->from.left > 0)
        code = take_number(m, length);
    *marked = *length == mark;
    if (code == 0 && *marked)
        code = take_number(m, length);
    return code == 0 && *length > m->from.left ? cut_off(m) : code;
}

/* The bytes of the next header, aligned and with their prefix, as the decoder wants them. */
static int take_header(struct messages *m, bool *marked, bool *more)
{
    uint32_t length;
    int32_t written;
    int code = take_length(m, &length, marked);

    *more = length > 0;
    if (code || !length)
        return code;
    if (length > INT32_MAX - PREFIX)
        return refuse(m, "a message of it is too long");
    code = ArrowBufferResize(&m->header, PREFIX + (int64_t)length, 0);
    if (code)
        return code;
    written = (int32_t)length; /* a decoder for this machine's order of bytes swaps nothing */
    memcpy(m->header.data, &mark, sizeof mark);
    memcpy(m->header.data + sizeof mark, &written, sizeof written);
    return take(m, m->header.data + PREFIX, length);
}

/* The next message's header; *more false: there is none. What it says of its body has been measured. */
static int next_message(struct messages *m, enum ArrowIpcMessageType expected, bool *more)
{
    struct ArrowBufferView view;
    bool marked = true;
    const char *wrong;
    int code = take_header(m, &marked, more);

    if (code || !*more)
        return code;
    view = (struct ArrowBufferView){.data.as_uint8 = m->header.data, .size_bytes = m->header.size_bytes};
    code = ArrowIpcDecoderVerifyHeader(&m->decoder, view, &m->why);
    if (code)
        return code;
    if (m->decoder.message_type != expected ||
        (!marked && m->decoder.metadata_version != NANOARROW_IPC_METADATA_VERSION_V4))
        return refuse(m, "a message of it is of an unexpected kind");
    if (m->decoder.body_size_bytes < 0 || m->decoder.body_size_bytes > m->from.left)
        return cut_off(m);
    wrong = tables_wrong(m->header.data + PREFIX);
    return wrong ? refuse(m, wrong) : ArrowIpcDecoderDecodeHeader(&m->decoder, view, &m->why);
}

/* ---- schema ---- */
static int decode_schema(struct messages *m)
{
    struct ArrowSchema schema;
    int code;

    if (m->decoder.feature_flags & NANOARROW_IPC_FEATURE_COMPRESSED_BODY)
        return refuse(m, "its columns are packed");
    code = ArrowIpcDecoderSetEndianness(&m->decoder, m->decoder.endianness);
    if (code == 0)
        code = ArrowIpcDecoderDecodeSchema(&m->decoder, &schema, &m->why);
    if (code)
        return code;
    code = ArrowIpcDecoderSetSchema(&m->decoder, &schema, &m->why);
    if (code == 0)
        m->schema = schema; /* moved */
    else
        ArrowSchemaRelease(&schema);
    return code;
}

static int need_schema(struct messages *m)
{
    bool more;
    int code;

    if (m->schema.release)
        return 0;
    code = next_message(m, NANOARROW_IPC_MESSAGE_TYPE_SCHEMA, &more);
    if (code == 0)
        code = more ? decode_schema(m) : cut_off(m);
    return code;
}

static int get_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out)
{
    struct messages *m = stream->private_data;

    if (!m->failed)
        m->failed = need_schema(m);
    return m->failed ? m->failed : ArrowSchemaDeepCopy(&m->schema, out);
}

/* ---- batches ---- */
static int take_body(struct messages *m, struct ArrowBuffer *shared)
{
    struct ArrowBuffer body;
    int code;

    ArrowBufferInit(&body);
    code = ArrowBufferResize(&body, m->decoder.body_size_bytes, 0);
    if (code == 0)
        code = take(m, body.data, body.size_bytes);
    if (code == 0)
        code = ArrowSharedBufferInit(shared, &body);
    if (code)
        ArrowBufferReset(&body);
    return code;
}

static int take_batch(struct messages *m, struct ArrowArray *out)
{
    struct ArrowBuffer shared;
    int code;

    if (m->decoder.codec != NANOARROW_IPC_COMPRESSION_TYPE_NONE)
        return refuse(m, "its columns are packed");
    code = take_body(m, &shared);
    if (code)
        return code;
    code = ArrowIpcDecoderDecodeArrayFromShared(&m->decoder, &shared, -1, out,
                                                NANOARROW_VALIDATION_LEVEL_FULL, &m->why);
    ArrowBufferReset(&shared);
    return code;
}

static int next_batch(struct messages *m, struct ArrowArray *out)
{
    bool more = false;
    int code = need_schema(m);

    if (code == 0)
        code = next_message(m, NANOARROW_IPC_MESSAGE_TYPE_RECORD_BATCH, &more);
    return code || !more ? code : take_batch(m, out);
}

static int get_next(struct ArrowArrayStream *stream, struct ArrowArray *out)
{
    struct messages *m = stream->private_data;

    out->release = NULL;
    if (!m->failed)
        m->failed = next_batch(m, out);
    return m->failed;
}

static const char *get_last_error(struct ArrowArrayStream *stream)
{
    return ((struct messages *)stream->private_data)->why.message;
}

static void release(struct ArrowArrayStream *stream)
{
    struct messages *m = stream->private_data;

    ArrowIpcDecoderReset(&m->decoder);
    ArrowBufferReset(&m->header);
    if (m->schema.release)
        ArrowSchemaRelease(&m->schema);
    if (m->from.f)
        fclose(m->from.f);
    mem_free(m);
    stream->release = NULL;
}

int messages_stream(const struct message_bytes *from, struct ArrowArrayStream *out)
{
    struct messages *m = mem_zalloc(sizeof *m);

    if (!m || ArrowIpcDecoderInit(&m->decoder) != NANOARROW_OK) {
        mem_free(m);
        return ENOMEM;
    }
    m->from = *from;
    ArrowBufferInit(&m->header);
    *out = (struct ArrowArrayStream){.get_schema = get_schema,
                                     .get_next = get_next,
                                     .get_last_error = get_last_error,
                                     .release = release,
                                     .private_data = m};
    return 0;
}
