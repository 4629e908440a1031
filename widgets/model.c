#include "widgets/model.h"
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/nearest.h"
#include "widgets/trait.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* What every widget has, and what only those with a place on the page have. */
static const char common[] = "{\"_view_count\":null}";
static const char placed[] = "{\"_dom_classes\":[],\"tabbable\":null,\"tooltip\":null}";

static void add_names(json_t *state, const struct widget_row *row)
{
    const char *module = widget_module_name(row->module), *version = widget_module_version(row->module);
    bool style = (row->traits & (WIDGET_PART | WIDGET_LINK)) == WIDGET_PART && row->module == WIDGET_CONTROLS;
    char name[64];

    snprintf(name, sizeof name, "%sModel", widget_wire_name(row));
    json_object_set_new(state, "_model_name", json_string(name));
    json_object_set_new(state, "_model_module", json_string(module));
    json_object_set_new(state, "_model_module_version", json_string(version));
    snprintf(name, sizeof name, "%sView", widget_wire_name(row));
    json_object_set_new(state, "_view_name",
                        row->traits & WIDGET_LINK ? json_null()
                                                  : json_string(style       ? "StyleView"
                                                                : row->view ? row->view
                                                                            : name));
    json_object_set_new(state, "_view_module", json_string(style ? widget_module_name(WIDGET_BASE) : module));
    json_object_set_new(state, "_view_module_version",
                        json_string(style ? widget_module_version(WIDGET_BASE) : version));
}

static void add_keys(json_t *state, const char *text)
{
    json_t *keys = json_loads(text, 0, NULL);

    json_object_update(state, keys);
    json_decref(keys);
}

enum lc model_init(struct model *m, const struct widget_row *row, struct err *err)
{
    *m = (struct model){.row = row, .state = json_object()};
    add_keys(m->state, common);
    if (!(row->traits & WIDGET_PART))
        add_keys(m->state, placed);
    add_names(m->state, row);
    add_keys(m->state, row->keys);
    m->defaults = json_deep_copy(m->state);
    hex_make(m->id, MODEL_ID - 1);
    if (m->defaults && json_object_get(m->state, "_model_name"))
        return LC_OK;
    model_release(m);
    return err_nomem(err);
}

void model_release(struct model *m)
{
    json_decref(m->state);
    json_decref(m->defaults);
    json_decref(m->late);
    m->late = NULL;
    m->state = m->defaults = NULL;
}

json_t *model_get(const struct model *m, const char *key)
{
    return json_object_get(m->state, key);
}

bool model_is_private(const char *key)
{
    return key[0] == '_';
}

/* ---- setting ---------------------------------------------------------------------------------------------- */

static enum lc unknown_key(const struct model *m, const char *key, struct err *err)
{
    struct buf near = BUF_INIT(400);
    const char *names[64], *name;
    size_t n = 0;
    json_t *value;

    json_object_foreach (m->state, name, value) {
        if (!model_is_private(name) && n < sizeof names / sizeof *names)
            names[n++] = name;
    }
    err_set(err, LC_NOTFOUND, "%s has no field '%s'", m->row->name, key);
    if (nearest_list(&near, key, names, n, 3) && near.len)
        err_hint(err, "did you mean %s?", buf_str(&near));
    buf_release(&near);
    return LC_NOTFOUND;
}

/* value, put between the bounds (numbers, or moments; null: there is none) that hold for it. Takes value. */
static json_t *bounded(const struct model *m, json_t *value, const json_t *min, const json_t *max)
{
    double base = json_number_value(model_get(m, "base")), low = trait_number(min), high = trait_number(max);
    double at = trait_number(value);
    const json_t *bound = NULL;

    if (json_is_array(value)) {
        json_t *pair = json_array();
        for (size_t i = 0; i < json_array_size(value); i++)
            json_array_append_new(pair, bounded(m, json_incref(json_array_get(value, i)), min, max));
        json_decref(value);
        return pair;
    }
    if (m->row->traits & WIDGET_LOG)
        low = pow(base, low), high = pow(base, high);
    if (at > high)
        at = high, bound = max;
    if (at < low)
        at = low, bound = min;
    if (!bound || isnan(at))
        return value;
    json_decref(value);
    return m->row->traits & WIDGET_LOG ? json_real(at) : json_copy((json_t *)(uintptr_t)bound);
}

/* Keeps min ≤ value ≤ max when one of the three is set. */
static enum lc keep_bounds(struct model *m, const char *key, json_t **value, struct err *err)
{
    bool is_min = strcmp(key, "min") == 0, is_max = strcmp(key, "max") == 0;
    const json_t *min = is_min ? *value : model_get(m, "min"), *max = is_max ? *value : model_get(m, "max");

    if ((is_min || is_max) && trait_number(min) > trait_number(max)) {
        err_set(err, LC_TRAIT, "setting %s", is_min ? "min > max" : "max < min");
        if (json_is_number(min) && json_is_number(max))
            err_hint(err, "%s: min %g is above max %g", m->row->name, json_number_value(min),
                     json_number_value(max));
        return LC_TRAIT;
    }
    if (is_min || is_max)
        json_object_set_new(m->state, "value", bounded(m, json_incref(model_get(m, "value")), min, max));
    else if (strcmp(key, "value") == 0)
        *value = bounded(m, *value, min, max);
    return LC_OK;
}

static bool is_among(const json_t *list, const json_t *value)
{
    const json_t *one;
    size_t i;

    json_array_foreach (list, i, one)
        if (json_equal(one, value))
            return true;
    return false;
}

/* What depends on another field of the widget. */
static enum lc keep_rules(struct model *m, const char *key, json_t *value, struct err *err)
{
    const json_t *allowed = model_get(m, "allowed_tags"), *tag;
    size_t i;

    if ((m->row->traits & WIDGET_TABS) && strcmp(key, "selected_index") == 0 && json_is_integer(value) &&
        (json_integer_value(value) < 0 ||
         (size_t)json_integer_value(value) >= json_array_size(model_get(m, "children")))) {
        (void)err_set(err, LC_TRAIT, "Invalid selection: index out of bounds");
        return err_hint(err, "the first is 1, nil is none");
    }
    if ((m->row->traits & WIDGET_TABS) && strcmp(key, "titles") == 0)
        while (json_array_size(value) < json_array_size(model_get(m, "children")))
            json_array_append_new(value, json_string(""));
    if (json_is_true(model_get(m, "ensure_option")) && strcmp(key, "value") == 0 &&
        !is_among(model_get(m, "options"), value))
        return err_set(err, LC_TRAIT, "Invalid selection: value not found");
    if (strcmp(key, "value") == 0 && json_array_size(allowed) > 0)
        json_array_foreach (value, i, tag)
            if (!is_among(allowed, tag))
                return err_set(err, LC_TRAIT, "Tag value %s is not allowed", json_string_value(tag));
    return LC_OK;
}

enum lc model_set(struct model *m, const char *key, json_t *value, bool *changed, struct err *err)
{
    const json_t *like = json_object_get(m->defaults, key);
    enum lc rc;

    *changed = false;
    if (!like) {
        json_decref(value);
        return unknown_key(m, key, err);
    }
    if (!value)
        return err_nomem(err);
    TRY(trait_take(m->row, key, like, &value, err));
    rc = keep_rules(m, key, value, err);
    if (rc == LC_OK && m->row->traits & WIDGET_BOUNDED)
        rc = keep_bounds(m, key, &value, err);
    if (rc == LC_OK) {
        *changed = !json_equal(value, model_get(m, key));
        json_object_set(m->state, key, value);
    }
    json_decref(value);
    return rc;
}

/* ---- binary parts ------------------------------------------------------------------------------------------ */

enum { BUFFERS_MAX = 4096 };

static void add_buffer(struct model_buffers *b, json_t *path, json_t *text) /* takes path */
{
    const void **data = mem_realloc(b->data, (b->n + 1) * sizeof *data);
    size_t *len = data ? mem_realloc(b->len, (b->n + 1) * sizeof *len) : NULL;

    b->data = data ? data : b->data;
    b->len = len ? len : b->len;
    if (!len || b->n >= BUFFERS_MAX) {
        json_decref(path);
        return;
    }
    if (!b->paths)
        b->paths = json_array(), b->texts = json_array();
    json_array_append_new(b->paths, path);
    json_array_append(b->texts, text);
    data[b->n] = json_string_value(text);
    len[b->n++] = json_string_length(text);
}

static json_t *path_of(const char *const *prefix, size_t n, const char *key)
{
    json_t *path = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(path, json_string(prefix[i]));
    json_array_append_new(path, json_string(key));
    return path;
}

/* [{name, content, …}…] without the contents */
static json_t *split_files(json_t *files, const char *const *prefix, size_t n, const char *key,
                           struct model_buffers *buffers)
{
    json_t *out = json_array(), *file;
    size_t i;

    json_array_foreach (files, i, file) {
        json_t *bare = json_copy(file), *content = json_object_get(file, "content"), *path;
        if (content) {
            path = path_of(prefix, n, key);
            json_array_append_new(path, json_integer((json_int_t)i));
            json_array_append_new(path, json_string("content"));
            add_buffer(buffers, path, content);
            json_object_del(bare, "content");
        }
        json_array_append_new(out, bare);
    }
    return out;
}

json_t *model_split(const struct model *m, json_t *state, const char *const *prefix, size_t n,
                    struct model_buffers *buffers)
{
    json_t *out = json_copy(state), *value;
    const char *key;

    json_object_foreach (state, key, value) {
        enum trait_kind kind = trait_of(m->row, key, json_object_get(m->defaults, key)).kind;
        if (kind == TRAIT_BYTES) {
            add_buffer(buffers, path_of(prefix, n, key), value);
            json_object_del(out, key);
        } else if (kind == TRAIT_FILES && json_array_size(value) > 0) {
            json_object_set_new(out, key, split_files(value, prefix, n, key, buffers));
        }
    }
    json_decref(state);
    return out;
}

void model_buffers_release(struct model_buffers *b)
{
    json_decref(b->paths);
    json_decref(b->texts);
    mem_free((void *)(uintptr_t)b->data);
    mem_free(b->len);
    *b = (struct model_buffers){0};
}

/* Bytes stand at {"value"} of a picture and at {"value", i, "content"} of an upload, and nowhere else: in other places they
 * would be text that is none. */
static json_t *place_of(const struct model *m, json_t *state, const json_t *path, const char **name)
{
    const char *key = json_string_value(json_array_get(path, 0)),
               *last = json_string_value(json_array_get(path, 2));
    size_t steps = json_array_size(path);
    enum trait_kind kind = key ? trait_of(m->row, key, json_object_get(m->defaults, key)).kind : TRAIT_ANY;

    *name = steps == 1 ? key : last;
    if (kind == TRAIT_BYTES && steps == 1)
        return state;
    if (kind == TRAIT_FILES && steps == 3 && last && strcmp(last, "content") == 0)
        return json_array_get(json_object_get(state, key),
                              (size_t)json_integer_value(json_array_get(path, 1)));
    return NULL;
}

void model_join(const struct model *m, json_t *state, const json_t *paths, const void *const *data,
                const size_t *len, size_t n)
{
    for (size_t i = 0; i < n && i < json_array_size(paths); i++) {
        const char *name;
        json_t *at = place_of(m, state, json_array_get(paths, i), &name);

        if (json_is_object(at) && name)
            json_object_set_new(at, name, json_stringn_nocheck(data[i], len[i]));
    }
}

/* ---- messages --------------------------------------------------------------------------------------------- */

static json_t *paths_of(const struct model_buffers *b)
{
    return b->paths ? json_incref(b->paths) : json_array();
}

json_t *model_opening(const struct model *m, struct model_buffers *buffers)
{
    json_t *state = model_split(m, json_incref(m->state), NULL, 0, buffers);

    return json_pack("{s:o, s:o}", "state", state, "buffer_paths", paths_of(buffers));
}

json_t *model_metadata(void)
{
    return json_pack("{s:s}", "version", "2.1.0");
}

json_t *model_update(const struct model *m, const char *method, json_t *state, struct model_buffers *buffers)
{
    state = model_split(m, state, NULL, 0, buffers);
    return json_pack("{s:s, s:o, s:o}", "method", method, "state", state, "buffer_paths", paths_of(buffers));
}
