#include "runtime/dataframe/ipc/slice.h"
#include <errno.h>
#include <nanoarrow/nanoarrow.h>
#include <string.h>

int64_t slice_bytes(const struct ArrowArrayView *v)
{
    int64_t sum = 0;

    for (int i = 0; i < NANOARROW_MAX_FIXED_BUFFERS; i++)
        sum += v->buffer_views[i].size_bytes;
    for (int64_t i = 0; i < v->n_children; i++)
        sum += slice_bytes(v->children[i]);
    return sum;
}

static int put_bits(struct ArrowBuffer *out, const uint8_t *bits, int64_t at, int64_t n)
{
    int code = ArrowBufferResize(out, (n + 7) / 8, 0);

    if (code != NANOARROW_OK || n == 0)
        return code;
    memset(out->data, 0, (size_t)out->size_bytes);
    for (int64_t i = 0; i < n; i++)
        out->data[i / 8] |= (uint8_t)(ArrowBitGet(bits, at + i) << (i % 8));
    return 0;
}

/* Where element i of a list or text begins. */
static int64_t offset_at(const struct ArrowArrayView *v, int64_t i)
{
    const struct ArrowBufferView *b = &v->buffer_views[1];

    if (b->size_bytes == 0) /* of no rows at all */
        return 0;
    return v->layout.element_size_bits[1] == 64 ? b->data.as_int64[i] : b->data.as_int32[i];
}

/* Offsets that begin at 0. */
static int put_offsets(struct ArrowBuffer *out, const struct ArrowArrayView *v, int64_t at, int64_t n)
{
    int64_t wide = v->layout.element_size_bits[1] / 8, first = offset_at(v, at);
    int code = ArrowBufferResize(out, (n + 1) * wide, 0);

    for (int64_t i = 0; i <= n && code == NANOARROW_OK; i++) {
        int64_t value = offset_at(v, at + i) - first;
        int32_t narrow = (int32_t)value;
        memcpy(out->data + i * wide, wide == 8 ? (void *)&value : (void *)&narrow, (size_t)wide);
    }
    return code;
}

static int put_data(struct ArrowBuffer *out, const struct ArrowArrayView *v, int i, int64_t at, int64_t n)
{
    int64_t bits = v->layout.element_size_bits[i], first, end;
    const uint8_t *data = v->buffer_views[i].data.as_uint8;

    if (bits == 1)
        return put_bits(out, data, at, n);
    first = bits ? at * bits / 8 : offset_at(v, at);
    end = bits ? (at + n) * bits / 8 : offset_at(v, at + n);
    return end > first ? ArrowBufferAppend(out, data + first, end - first) : 0;
}

static int put_buffer(struct ArrowArray *out, const struct ArrowArrayView *v, int i, int64_t at, int64_t n)
{
    struct ArrowBuffer *to = ArrowArrayBuffer(out, i);
    const struct ArrowBufferView *from = &v->buffer_views[i];

    switch (v->layout.buffer_type[i]) {
    case NANOARROW_BUFFER_TYPE_NONE:
        return 0;
    case NANOARROW_BUFFER_TYPE_VALIDITY:
        return from->size_bytes ? put_bits(to, from->data.as_uint8, at, n) : 0;
    case NANOARROW_BUFFER_TYPE_DATA_OFFSET:
        return put_offsets(to, v, at, n);
    case NANOARROW_BUFFER_TYPE_DATA:
        return put_data(to, v, i, at, n);
    default:
        return ENOTSUP;
    }
}

static int fill(const struct ArrowArrayView *v, int64_t from, int64_t n, struct ArrowArray *out)
{
    int64_t at = v->offset + from, first = at, rows = n;
    int code = 0;

    for (int i = 0; i < NANOARROW_MAX_FIXED_BUFFERS && code == 0; i++)
        code = put_buffer(out, v, i, at, n);
    if (v->storage_type == NANOARROW_TYPE_FIXED_SIZE_LIST) {
        first = at * v->layout.child_size_elements;
        rows = n * v->layout.child_size_elements;
    } else if (v->layout.buffer_type[1] == NANOARROW_BUFFER_TYPE_DATA_OFFSET) {
        first = offset_at(v, at);
        rows = offset_at(v, at + n) - first;
    }
    for (int64_t i = 0; i < v->n_children && code == 0; i++)
        code = fill(v->children[i], first, rows, out->children[i]);
    out->length = n;
    out->null_count =
        v->buffer_views[0].size_bytes && v->layout.buffer_type[0] == NANOARROW_BUFFER_TYPE_VALIDITY
            ? n - ArrowBitCountSet(v->buffer_views[0].data.as_uint8, at, n)
            : 0;
    return code;
}

int slice_rows(const struct ArrowArrayView *batch, int64_t from, int64_t n, struct ArrowArray *out)
{
    int code = ArrowArrayInitFromArrayView(out, batch, NULL);

    if (code != NANOARROW_OK)
        return code;
    code = fill(batch, from, n, out);
    if (code == NANOARROW_OK)
        code = ArrowArrayFinishBuilding(out, NANOARROW_VALIDATION_LEVEL_NONE, NULL);
    if (code != NANOARROW_OK)
        ArrowArrayRelease(out);
    return code;
}
