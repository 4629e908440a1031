/* protobuf_fuzz.c: no bytes of a server may crash the readers of messages, and a type that was read and written again is the same type. */
#include "runtime/dataframe/connect/encode.h"
#include <string.h>

#include "tests/fuzz/replay.h"

static void walk(struct pb_reader r, int depth)
{
    struct pb_field f;
    char text[64];

    while (pb_next(&r, &f)) {
        pb_copy(&f, text, sizeof text);
        if (strlen(text) >= sizeof text)
            abort();
        if (f.wire == PB_BYTES && depth < 20)
            walk(pb_inside(&f), depth + 1);
    }
}

static void again(const struct dtype *t)
{
    struct buf bytes = BUF_INIT(1 << 24);
    const struct dtype *copy = NULL;
    struct pb_field f;
    struct err err;

    connect_type(&bytes, 1, t);
    if (!buf_ok(&bytes) || !pb_find(pb_open(bytes.data, bytes.len), 1, &f) ||
        connect_type_read(pb_inside(&f), &copy, &err) != LC_OK || !dtype_equal(t, copy))
        abort();
    dtype_unref(copy);
    buf_release(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct dtype *t;
    struct err err;

    walk(pb_open(data, size), 0);
    if (connect_type_read(pb_open(data, size), &t, &err) == LC_OK) {
        again(t);
        dtype_unref(t);
    }
    return 0;
}
