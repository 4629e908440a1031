#include "runtime/notebook/widget_state.h"
#include "runtime/base/mem.h"
#include <sodium.h>
#include <string.h>

static const size_t bytes_max = (size_t)256 << 20;

void widget_states_init(struct widget_states *w)
{
    *w = (struct widget_states){.models = json_object(), .capturing = json_array()};
}

void widget_states_release(struct widget_states *w)
{
    json_decref(w->models);
    json_decref(w->capturing);
    *w = (struct widget_states){0};
}

/* ---- binary values ----------------------------------------------------------------------------------------- */

static json_t *base64(const void *data, size_t len)
{
    size_t size = sodium_base64_encoded_len(len, sodium_base64_VARIANT_ORIGINAL);
    char *text = mem_alloc(size);
    json_t *out = NULL;

    if (text)
        out = json_string(sodium_bin2base64(text, size, data, len, sodium_base64_VARIANT_ORIGINAL));
    mem_free(text);
    return out;
}

/* A value at the same path takes the place of the one before. */
static void put_buffer(json_t *list, json_t *buffer)
{
    json_t *path = json_object_get(buffer, "path"), *old;
    size_t i;

    json_array_foreach (list, i, old) {
        if (json_equal(json_object_get(old, "path"), path)) {
            json_array_set_new(list, i, buffer);
            return;
        }
    }
    json_array_append_new(list, buffer);
}

static void take_buffers(struct widget_states *w, json_t *model, const json_t *paths,
                         const struct comm_buffers *buffers)
{
    json_t *list = json_object_get(model, "buffers");

    for (size_t i = 0; buffers && i < buffers->n && i < json_array_size(paths); i++) {
        if (buffers->len[i] > bytes_max - w->bytes)
            return;
        w->bytes += buffers->len[i];
        put_buffer(list, json_pack("{s:s, s:O, s:o}", "encoding", "base64", "path", json_array_get(paths, i),
                                   "data", base64(buffers->data[i], buffers->len[i])));
    }
}

/* ---- messages ------------------------------------------------------------------------------------------------ */

static void opened(struct widget_states *w, const char *id, const json_t *data,
                   const struct comm_buffers *buffers)
{
    json_t *state = json_object_get(data, "state");
    json_t *model =
        json_pack("{s:O?, s:O?, s:O?, s:o, s:[]}", "model_name", json_object_get(state, "_model_name"),
                  "model_module", json_object_get(state, "_model_module"), "model_module_version",
                  json_object_get(state, "_model_module_version"), "state", json_copy(state), "buffers");

    if (!model || !json_is_object(json_object_get(model, "state"))) {
        json_decref(model);
        return;
    }
    json_object_set_new(w->models, id, model);
    take_buffers(w, model, json_object_get(data, "buffer_paths"), buffers);
}

/* An Output gathers from the moment its msg_id is set until it is emptied. */
static void note_capture(struct widget_states *w, const char *id, const json_t *msg_id)
{
    size_t n = json_array_size(w->capturing);

    if (json_string_length(msg_id) > 0) {
        json_array_append_new(w->capturing, json_string(id));
        return;
    }
    while (n-- > 0)
        if (strcmp(json_string_value(json_array_get(w->capturing, n)), id) == 0) {
            json_array_remove(w->capturing, n);
            return;
        }
}

static void updated(struct widget_states *w, const char *id, const json_t *data,
                    const struct comm_buffers *buffers)
{
    const char *method = json_string_value(json_object_get(data, "method"));
    json_t *model = json_object_get(w->models, id), *state = json_object_get(data, "state"), *value;
    const char *key;

    if (!model || !method || strcmp(method, "update") != 0)
        return;
    json_object_foreach (state, key, value) {
        json_object_set_new(json_object_get(model, "state"), key, json_deep_copy(value));
        if (strcmp(key, "msg_id") == 0)
            note_capture(w, id, value);
    }
    take_buffers(w, model, json_object_get(data, "buffer_paths"), buffers);
}

void widget_states_comm(struct widget_states *w, enum comm_kind kind, const char *id, const char *target,
                        const json_t *data, const struct comm_buffers *buffers)
{
    if (kind == COMM_OPEN && target && strcmp(target, "jupyter.widget") == 0)
        opened(w, id, data, buffers);
    else if (kind == COMM_MSG)
        updated(w, id, data, buffers);
    else if (kind == COMM_CLOSE)
        json_object_del(w->models, id);
}

/* ---- what there is ------------------------------------------------------------------------------------------- */

json_t *widget_states_outputs(const struct widget_states *w)
{
    size_t n = json_array_size(w->capturing);
    const char *id = json_string_value(json_array_get(w->capturing, n - 1));
    json_t *state = n ? json_object_get(json_object_get(w->models, id), "state") : NULL;
    json_t *outputs = json_object_get(state, "outputs");

    if (state && !json_is_array(outputs)) {
        json_object_set_new(state, "outputs", json_array());
        outputs = json_object_get(state, "outputs");
    }
    return outputs;
}

void *widget_states_next(const struct widget_states *w, void *at)
{
    return at ? json_object_iter_next(w->models, at) : json_object_iter(w->models);
}

json_t *widget_states_gathered(void *at)
{
    json_t *outputs = json_object_get(json_object_get(json_object_iter_value(at), "state"), "outputs");

    return json_is_array(outputs) ? outputs : NULL;
}

static bool is_closed(const json_t *models, const json_t *reference)
{
    static const char prefix[] = "IPY_MODEL_";
    const char *text = json_string_value(reference);

    return text && strncmp(text, prefix, sizeof prefix - 1) == 0 &&
           !json_object_get(models, text + sizeof prefix - 1);
}

static void remove_at(json_t *state, const char *name, size_t index)
{
    json_t *list = json_object_get(state, name);

    if (index >= json_array_size(list))
        return;
    list = json_copy(list); /* the widget's own stays */
    json_array_remove(list, index);
    json_object_set_new(state, name, list);
}

/* In a live page the view of a child that is closed goes; of a saved one a box that names it is not drawn at all. */
static void without_closed(json_t *state, const json_t *models)
{
    for (size_t i = json_array_size(json_object_get(state, "children")); i-- > 0;) {
        json_t *selected = json_object_get(state, "selected_index");
        json_int_t at = json_integer_value(selected);
        if (!is_closed(models, json_array_get(json_object_get(state, "children"), i)))
            continue;
        remove_at(state, "children", i);
        remove_at(state, "titles", i);
        if (json_is_integer(selected) &&
            (at > (json_int_t)i || at == (json_int_t)json_array_size(json_object_get(state, "children"))))
            json_object_set_new(state, "selected_index", at > 0 ? json_integer(at - 1) : json_null());
    }
}

/* A link of what is closed links nothing, and a page cannot make it. */
static bool links_closed(const json_t *state, const json_t *models)
{
    return is_closed(models, json_array_get(json_object_get(state, "source"), 0)) ||
           is_closed(models, json_array_get(json_object_get(state, "target"), 0));
}

static json_t *saved_model(const json_t *model, const json_t *models)
{
    json_t *out = json_copy((json_t *)(uintptr_t)model), *state = json_copy(json_object_get(model, "state"));

    if (json_object_get(state, "msg_id"))
        json_object_set_new(state, "msg_id", json_string(""));
    without_closed(state, models);
    json_object_set_new(out, "state", state);
    if (json_array_size(json_object_get(model, "buffers")) == 0)
        json_object_del(out, "buffers");
    return out;
}

json_t *widget_states_metadata(const struct widget_states *w)
{
    json_t *models = json_object(), *model;
    const char *id;

    if (json_object_size(w->models) == 0) {
        json_decref(models);
        return NULL;
    }
    json_object_foreach (w->models, id, model)
        if (!links_closed(json_object_get(model, "state"), w->models))
            json_object_set_new(models, id, saved_model(model, w->models));
    return json_pack("{s:{s:i, s:i, s:o}}", "application/vnd.jupyter.widget-state+json", "version_major", 2,
                     "version_minor", 0, "state", models);
}
