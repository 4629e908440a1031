/* Rows of a checkpoint as the actions they are: Arrow values → JSON. */
#include "runtime/base/mem.h"
#include "runtime/delta/delta_int.h"
#include <string.h>

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
        if (arrow_is_null(a->children[c], i))
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

static json_t *list_value(const struct ArrowSchema *s, const struct ArrowArray *a, int64_t row)
{
    int64_t from, to;

    arrow_items(s->format, a, row, &from, &to);
    return s->format[1] == 'm' ? map_value(s->children[0], a->children[0], from, to)
                               : array_value(s->children[0], a->children[0], from, to);
}

json_t *delta_arrow_json(const struct ArrowSchema *s, const struct ArrowArray *a, int64_t row)
{
    static const struct {
        const char *format;
        json_t *(*fn)(const struct ArrowArray *a, int64_t i);
    } atoms[] = {
        {"b", bool_value},
        {"i", int32_value},
        {"l", int64_value},
    };
    int64_t i = row + a->offset;
    const char *text;
    size_t len;

    if (s->dictionary || arrow_is_null(a, row))
        return json_null();
    text = s->format[0] == 'z' || s->format[0] == 'Z' ? NULL : arrow_text(s->format, a, row, &len);
    if (text)
        return json_stringn_nocheck(text, len);
    if (strcmp(s->format, "+s") == 0)
        return struct_value(s, a, i);
    if (strcmp(s->format, "+l") == 0 || strcmp(s->format, "+L") == 0 || strcmp(s->format, "+m") == 0)
        return list_value(s, a, row);
    for (size_t k = 0; k < sizeof atoms / sizeof *atoms; k++)
        if (strcmp(s->format, atoms[k].format) == 0)
            return atoms[k].fn(a, i);
    return json_null();
}
