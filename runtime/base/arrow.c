#include "runtime/base/arrow.h"
#include <string.h>

struct view { /* a text of the formats vu and vz: short ones inline, long ones in a numbered buffer */
    int32_t len;
    union {
        char inlined[12];
        struct {
            char prefix[4];
            int32_t buffer, offset;
        } at;
    } u;
};

bool arrow_is_null(const struct ArrowArray *a, int64_t row)
{
    const uint8_t *valid = a->n_buffers > 0 ? a->buffers[0] : NULL;
    int64_t i = row + a->offset;

    return a->null_count != 0 && valid && !(valid[i >> 3] >> (i & 7) & 1);
}

static void offsets(bool large, const struct ArrowArray *a, int64_t row, int64_t *from, int64_t *to)
{
    int64_t i = row + a->offset;

    if (large) {
        *from = ((const int64_t *)a->buffers[1])[i];
        *to = ((const int64_t *)a->buffers[1])[i + 1];
    } else {
        *from = ((const int32_t *)a->buffers[1])[i];
        *to = ((const int32_t *)a->buffers[1])[i + 1];
    }
}

static const char *viewed(const struct ArrowArray *a, int64_t row, size_t *len)
{
    const struct view *v = (const struct view *)a->buffers[1] + row + a->offset;

    *len = (size_t)v->len;
    if (v->len <= (int32_t)sizeof v->u.inlined)
        return v->u.inlined;
    return (const char *)a->buffers[2 + v->u.at.buffer] + v->u.at.offset;
}

const char *arrow_text(const char *format, const struct ArrowArray *a, int64_t row, size_t *len)
{
    int64_t from, to;

    if (strcmp(format, "vu") == 0 || strcmp(format, "vz") == 0)
        return viewed(a, row, len);
    if (!strchr("uUzZ", format[0]) || format[0] == '\0' || format[1] != '\0')
        return NULL;
    offsets(format[0] == 'U' || format[0] == 'Z', a, row, &from, &to);
    *len = (size_t)(to - from);
    return a->buffers[2] ? (const char *)a->buffers[2] + from : "";
}

void arrow_items(const char *format, const struct ArrowArray *a, int64_t row, int64_t *from, int64_t *to)
{
    offsets(format[0] == '+' && format[1] == 'L', a, row, from, to);
}
