#include "widgets/model.h"
#include "runtime/base/clock.h"
#include "runtime/base/nearest.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* What every widget has, and what only those with a place on the page have. */
static const char common[] = "{\"_view_count\":null}";
static const char placed[] = "{\"_dom_classes\":[],\"tabbable\":null,\"tooltip\":null}";

static void add_names(json_t *state, const struct widget_row *row)
{
    const char *module = widget_module_name(row->module), *version = widget_module_version(row->module);
    bool style = (row->traits & WIDGET_PART) && row->module == WIDGET_CONTROLS;
    char name[64];

    snprintf(name, sizeof name, "%sModel", row->name);
    json_object_set_new(state, "_model_name", json_string(name));
    json_object_set_new(state, "_model_module", json_string(module));
    json_object_set_new(state, "_model_module_version", json_string(version));
    snprintf(name, sizeof name, "%sView", row->name);
    json_object_set_new(state, "_view_name", json_string(style ? "StyleView" : row->view ? row->view : name));
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

static const char *type_name(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "a table with names";
    case JSON_ARRAY:
        return "a list";
    case JSON_STRING:
        return "a text";
    case JSON_INTEGER:
        return "a whole number";
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "true or false";
    default:
        return "null";
    }
}

/* The value as the type that `like` has; NULL: it has no such form. Takes value. */
static json_t *as_type(json_t *value, const json_t *like)
{
    double number = json_number_value(value);
    json_t *other = NULL;

    if (json_is_null(like) || json_typeof(value) == json_typeof(like) ||
        (json_is_boolean(value) && json_is_boolean(like)))
        return value;
    if (json_is_real(like) && json_is_integer(value))
        other = json_real(number);
    else if (json_is_integer(like) && json_is_real(value) && number == floor(number) && fabs(number) < 1e15)
        other = json_integer((json_int_t)number);
    else if (json_is_array(like) && json_is_object(value) && json_object_size(value) == 0)
        other = json_array(); /* an empty Lua table is either */
    json_decref(value);
    return other;
}

static json_t *bounded(json_t *value, const json_t *min, const json_t *max)
{
    const json_t *bound = NULL;

    if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value); i++)
            json_array_set_new(value, i, bounded(json_incref(json_array_get(value, i)), min, max));
        return value;
    }
    if (json_is_number(max) && json_number_value(value) > json_number_value(max))
        bound = max;
    if (json_is_number(min) && json_number_value(value) < json_number_value(min))
        bound = min;
    if (!bound)
        return value;
    json_decref(value);
    return json_copy((json_t *)(uintptr_t)bound);
}

/* Keeps min ≤ value ≤ max when one of the three is set. */
static enum lc keep_bounds(struct model *m, const char *key, json_t **value, struct err *err)
{
    bool is_min = strcmp(key, "min") == 0, is_max = strcmp(key, "max") == 0;
    const json_t *min = is_min ? *value : model_get(m, "min"), *max = is_max ? *value : model_get(m, "max");

    if ((is_min || is_max) && json_number_value(min) > json_number_value(max))
        return err_set(err, LC_ARG, "%s: min %g is above max %g", m->row->name, json_number_value(min),
                       json_number_value(max));
    if (is_min || is_max)
        json_object_set_new(m->state, "value", bounded(json_deep_copy(model_get(m, "value")), min, max));
    else if (strcmp(key, "value") == 0)
        *value = bounded(*value, min, max);
    return LC_OK;
}

enum lc model_set(struct model *m, const char *key, json_t *value, bool *changed, struct err *err)
{
    const json_t *like = json_object_get(m->defaults, key);
    const char *got = value ? type_name(value) : "nothing";
    enum lc rc = LC_OK;

    *changed = false;
    if (!like) {
        json_decref(value);
        return unknown_key(m, key, err);
    }
    value = value ? as_type(value, like) : NULL;
    if (!value)
        return err_set(err, LC_TYPE, "%s.%s takes %s, not %s", m->row->name, key, type_name(like), got);
    if (m->row->traits & WIDGET_BOUNDED)
        rc = keep_bounds(m, key, &value, err);
    if (rc == LC_OK) {
        *changed = !json_equal(value, model_get(m, key));
        json_object_set(m->state, key, value);
    }
    json_decref(value);
    return rc;
}

/* ---- messages --------------------------------------------------------------------------------------------- */

json_t *model_opening(const struct model *m)
{
    return json_pack("{s:O, s:[]}", "state", m->state, "buffer_paths");
}

json_t *model_metadata(void)
{
    return json_pack("{s:s}", "version", "2.1.0");
}

json_t *model_update(const char *method, json_t *state)
{
    return json_pack("{s:s, s:o, s:[]}", "method", method, "state", state, "buffer_paths");
}
