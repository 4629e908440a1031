/* adopt_lua.c: widgets that the front end makes: it opens the comm, and says what the widget is. */
#include "widgets/widget_lua.h"
#include <string.h>

static int refuse(lua_State *L, const char *what, const char *name)
{
    struct err err;

    err_set(&err, LC_NOTFOUND, "cannot take the front end's widget: %s '%s'", what, name);
    err_hint(&err, "the widgets of @jupyter-widgets/base, controls and output are known: lacus help widgets");
    return session_raise(L, &err);
}

/* Pushes the widget that "IPY_MODEL_id" names. */
static bool push_referred(lua_State *L, const json_t *value)
{
    const char *text = json_string_value(value);
    size_t n = strlen(MODEL_REFERENCE);

    if (!text || strncmp(text, MODEL_REFERENCE, n) != 0)
        return false;
    if (!front_held(L, text + n))
        refuse(L, "it refers to one that is not there:", text + n);
    return true;
}

static void take_children(lua_State *L, int index, const json_t *list)
{
    const json_t *one;
    size_t i;

    lua_newtable(L);
    json_array_foreach (list, i, one) {
        if (push_referred(L, one))
            lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, index, "children");
}

/* What a cell would set through other keys: parts, children, options. */
static bool take_special(lua_State *L, int index, const char *key, json_t *value)
{
    unsigned traits = widget_check(L, index)->row->traits;

    if (strcmp(key, "layout") == 0 || strcmp(key, "style") == 0) {
        if (!(traits & WIDGET_PART) && push_referred(L, value))
            lua_setfield(L, index, key);
        return true;
    }
    if (strcmp(key, "children") == 0 && traits & WIDGET_BOX) {
        take_children(L, index, value);
        return true;
    }
    if (strcmp(key, "_options_labels") == 0 && traits & (WIDGET_CHOICE | WIDGET_CHOICES)) {
        session_push_json(L, value);
        lua_setfield(L, index, "options");
        return true;
    }
    if (strcmp(key, "index") == 0 && traits & (WIDGET_CHOICE | WIDGET_CHOICES))
        return choice_chosen(L, index, value) || true;
    return model_is_private(key) && strcmp(key, "_dom_classes") != 0;
}

/* What depends on another key (a bound, a value between two) is right the second time. */
static void take_state(lua_State *L, int index, json_t *state)
{
    static const char *const first[] = {"children", "_options_labels"};
    struct model *m = widget_check(L, index);
    const char *key;
    json_t *value;
    struct err err;
    bool changed;

    for (size_t i = 0; i < 2; i++)
        if (json_object_get(state, first[i]))
            take_special(L, index, first[i], json_object_get(state, first[i]));
    for (int pass = 0; pass < 2; pass++)
        json_object_foreach (state, key, value) {
            if (strcmp(key, first[0]) == 0 || strcmp(key, first[1]) == 0 ||
                take_special(L, index, key, value) || !model_get(m, key))
                continue;
            if (model_set(m, key, json_deep_copy(value), &changed, &err) != LC_OK && pass == 1)
                session_raise(L, &err);
        }
}

void widget_adopt(lua_State *L, const char *id, json_t *data, const struct comm_buffers *buffers)
{
    json_t *state = json_object_get(data, "state");
    const char *name = json_string_value(json_object_get(state, "_model_name"));
    const char *module = json_string_value(json_object_get(state, "_model_module"));
    const struct widget_row *row = name && module ? widget_row_of_model(name, module) : NULL;
    struct model *m;
    int index;

    if (!row)
        refuse(L, "there is no model", name ? name : "");
    if (strlen(id) >= MODEL_ID_MAX || front_held(L, id))
        refuse(L, "this cannot be its id:", id);
    m = widget_push(L, row);
    index = lua_gettop(L);
    if (row->traits & (WIDGET_CHOICE | WIDGET_CHOICES)) {
        lua_newtable(L);
        widget_set_own(L, index, "options");
    }
    memcpy(m->id, id, strlen(id) + 1);
    if (buffers)
        model_join(m, state, json_object_get(data, "buffer_paths"), buffers->data, buffers->len, buffers->n);
    take_state(L, index, state);
    front_adopted(L, index, state);
}
