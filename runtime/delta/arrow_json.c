/* Rows of a checkpoint as the actions they are: Arrow values → JSON. */
#include "runtime/base/mem.h"
#include "runtime/delta/delta_int.h"
#include <string.h>

static bool is_valid(const struct ArrowArray *a, int64_t row)
{
    const uint8_t *bits = a->n_buffers > 0 ? a->buffers[0] : NULL;
    int64_t i = row + a->offset;

    return a->null_count == 0 || !bits || (bits[i >> 3] >> (i & 7) & 1) != 0;
}

static json_t *text(const char *s, int64_t len)
{
    return len >= 0 ? json_stringn_nocheck(s ? s : "", (size_t)len) : NULL;
}

static json_t *utf8_value(const struct ArrowArray *a, int64_t i)
{
    const int32_t *offsets = a->buffers[1];

    return text((const char *)a->buffers[2] + offsets[i], offsets[i + 1] - offsets[i]);
}

static json_t *large_utf8_value(const struct ArrowArray *a, int64_t i)
{
    const int64_t *offsets = a->buffers[1];

    return text((const char *)a->buffers[2] + offsets[i], offsets[i + 1] - offsets[i]);
}

struct view { /* Arrow's string view: short texts inline, long ones in a numbered buffer */
    int32_t len;
    union {
        char inlined[12];
        struct {
            char prefix[4];
            int32_t buffer, offset;
        } at;
    } u;
};

static json_t *view_value(const struct ArrowArray *a, int64_t i)
{
    const struct view *v = (const struct view *)a->buffers[1] + i;

    if (v->len <= (int32_t)sizeof v->u.inlined)
        return text(v->u.inlined, v->len);
    return text((const char *)a->buffers[2 + v->u.at.buffer] + v->u.at.offset, v->len);
}

static json_t *bool_value(const struct ArrowArray *a, int64_t i)
{
    const uint8_t *bits = a->buffers[1];

    return json_boolean(bits[i >> 3] >> (i & 7) & 1);
}

static json_t *int32_value(const struct ArrowArray *a, int64_t i)
{
    return json_integer(((const int32_t *)a->buffers[1])[i]);
}

static json_t *int64_value(const struct ArrowArray *a, int64_t i)
{
    return json_integer(((const int64_t *)a->buffers[1])[i]);
}

static json_t *struct_value(const struct ArrowSchema *s, const struct ArrowArray *a, int64_t i)
{
    json_t *out = json_object();

    for (int64_t c = 0; out && c < s->n_children; c++) {
        json_t *v;
        if (!is_valid(a->children[c], i))
            continue;
        v = delta_arrow_json(s->children[c], a->children[c], i);
        if (!v || json_object_set_new_nocheck(out, s->children[c]->name, v) != 0) {
            json_decref(out);
            out = NULL;
        }
    }
    return out;
}

static json_t *array_value(const struct ArrowSchema *item, const struct ArrowArray *items, int64_t from,
                           int64_t to)
{
    json_t *out = json_array();

    for (int64_t i = from; out && i < to; i++) {
        json_t *v = delta_arrow_json(item, items, i);
        if (!v || json_array_append_new(out, v) != 0) {
            json_decref(out);
            out = NULL;
        }
    }
    return out;
}

static json_t *map_value(const struct ArrowSchema *entry, const struct ArrowArray *entries, int64_t from,
                         int64_t to)
{
    json_t *out = json_object();

    for (int64_t i = from; out && i < to; i++) {
        json_t *key = delta_arrow_json(entry->children[0], entries->children[0], i + entries->offset);
        json_t *v = delta_arrow_json(entry->children[1], entries->children[1], i + entries->offset);
        bool ok = key && v &&
                  (!json_is_string(key) || json_object_set_nocheck(out, json_string_value(key), v) == 0);
        json_decref(key);
        json_decref(v);
        if (!ok) {
            json_decref(out);
            out = NULL;
        }
    }
    return out;
}

static json_t *list_value(const struct ArrowSchema *s, const struct ArrowArray *a, int64_t i)
{
    bool large = s->format[1] == 'L', map = s->format[1] == 'm';
    int64_t from = large ? ((const int64_t *)a->buffers[1])[i] : ((const int32_t *)a->buffers[1])[i];
    int64_t to = large ? ((const int64_t *)a->buffers[1])[i + 1] : ((const int32_t *)a->buffers[1])[i + 1];

    return map ? map_value(s->children[0], a->children[0], from, to)
               : array_value(s->children[0], a->children[0], from, to);
}

json_t *delta_arrow_json(const struct ArrowSchema *s, const struct ArrowArray *a, int64_t row)
{
    static const struct {
        const char *format;
        json_t *(*fn)(const struct ArrowArray *a, int64_t i);
    } atoms[] = {
        {"u", utf8_value}, {"U", large_utf8_value}, {"vu", view_value},
        {"b", bool_value}, {"i", int32_value},      {"l", int64_value},
    };
    int64_t i = row + a->offset;

    if (s->dictionary || !is_valid(a, row))
        return json_null();
    if (strcmp(s->format, "+s") == 0)
        return struct_value(s, a, i);
    if (strcmp(s->format, "+l") == 0 || strcmp(s->format, "+L") == 0 || strcmp(s->format, "+m") == 0)
        return list_value(s, a, i);
    for (size_t k = 0; k < sizeof atoms / sizeof *atoms; k++)
        if (strcmp(s->format, atoms[k].format) == 0)
            return atoms[k].fn(a, i);
    return json_null();
}
