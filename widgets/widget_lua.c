/* widget_lua.c: the class of widgets and the global `widgets`. */
#include "widgets/widget_lua.h"
#include "runtime/base/nearest.h"
#include "runtime/base/plural.h"
#include "widgets/trait.h"
#include <stdlib.h>
#include <string.h>

enum { NAMES_MOST = 128, BORDER_SIDES = 4 };

static const char class_name[] = "lacus.Widget";
static const char *const border_sides[BORDER_SIDES] = {"border_top", "border_right", "border_bottom",
                                                       "border_left"};

struct model *widget_check(lua_State *L, int index)
{
    return luaL_checkudata(L, index, class_name);
}

struct model *widget_test(lua_State *L, int index)
{
    return luaL_testudata(L, index, class_name);
}

void widget_own(lua_State *L, int index, const char *name)
{
    lua_getiuservalue(L, index, 1);
    lua_getfield(L, -1, name);
    lua_remove(L, -2);
}

void widget_set_own(lua_State *L, int index, const char *name)
{
    index = lua_absindex(L, index);
    lua_getiuservalue(L, index, 1);
    lua_insert(L, -2);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
}

struct model *widget_push(lua_State *L, const struct widget_row *row)
{
    struct model *m = lua_newuserdatauv(L, sizeof *m, 1);
    struct err err;

    *m = (struct model){.row = row};
    luaL_setmetatable(L, class_name);
    lua_newtable(L);
    lua_setiuservalue(L, -2, 1);
    if (model_init(m, row, &err) != LC_OK)
        session_raise(L, &err);
    return m;
}

static int l_gc(lua_State *L)
{
    model_release(widget_check(L, 1));
    return 0;
}

/* ---- layout and style ------------------------------------------------------------------------------------ */

static const struct widget_row *part_row(const struct model *m, const char *key)
{
    if (m->row->traits & WIDGET_PART)
        return NULL;
    if (strcmp(key, "layout") == 0)
        return widget_row_find("Layout");
    return strcmp(key, "style") == 0 && m->row->style ? widget_row_find(m->row->style) : NULL;
}

static void refer(struct model *m, const char *key, const struct model *part)
{
    json_object_set_new(m->state, key, json_sprintf(MODEL_REFERENCE "%s", part->id));
}

/* Pushes the part, made when it is first wanted. */
static void push_part(lua_State *L, int index, const char *key, const struct widget_row *row)
{
    struct model *m = widget_check(L, index);

    widget_own(L, index, key);
    if (!lua_isnil(L, -1))
        return;
    lua_pop(L, 1);
    refer(m, key, widget_push(L, row));
    lua_pushvalue(L, -1);
    widget_set_own(L, index, key);
}

/* w.layout = {width = "50%"} changes those fields; w.layout = another.layout shares it. */
static void set_part(lua_State *L, int index, const char *key, const struct widget_row *row, int value)
{
    struct model *m = widget_check(L, index), *part = widget_test(L, value);

    if (part) {
        if (part->row != row)
            luaL_error(L, "%s.%s takes a %s, not a %s", m->row->name, key, row->name, part->row->name);
        lua_pushvalue(L, value);
        widget_set_own(L, index, key);
        refer(m, key, part);
        if (m->open)
            front_open(L, value);
        front_changed(L, m, key);
        return;
    }
    luaL_checktype(L, value, LUA_TTABLE);
    push_part(L, index, key, row);
    for (lua_pushnil(L); lua_next(L, value);) {
        luaL_checktype(L, -2, LUA_TSTRING);
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_settable(L, -4); /* through __newindex; takes key and value, the key's copy stays */
    }
    lua_pop(L, 1);
}

/* ---- children ---------------------------------------------------------------------------------------------- */

/* A title for each child, and a selection that there is: of a Tab, the first to begin with. */
static void keep_tabs(lua_State *L, struct model *m)
{
    json_t *titles = json_copy(model_get(m, "titles")), *selected = model_get(m, "selected_index");
    size_t n = json_array_size(model_get(m, "children"));
    bool gone = json_is_integer(selected) && (size_t)json_integer_value(selected) >= n;

    while (json_array_size(titles) < n)
        json_array_append_new(titles, json_string(""));
    while (json_array_size(titles) > n)
        json_array_remove(titles, json_array_size(titles) - 1);
    if (!json_equal(titles, model_get(m, "titles"))) {
        json_object_set(m->state, "titles", titles);
        front_changed(L, m, "titles");
    }
    json_decref(titles);
    if (!gone && (json_is_integer(selected) || n == 0 || strcmp(m->row->name, "Tab") != 0))
        return;
    if (strcmp(m->row->name, "Tab") != 0 || n == 0)
        json_object_set_new(m->state, "selected_index", json_null());
    else
        json_object_set_new(m->state, "selected_index", json_integer(gone ? (json_int_t)n - 1 : 0));
    front_changed(L, m, "selected_index");
}

static void set_children(lua_State *L, int index, int value)
{
    struct model *m = widget_check(L, index);
    lua_Integer n = (luaL_checktype(L, value, LUA_TTABLE), luaL_len(L, value));

    lua_createtable(L, (int)n, 0);
    for (lua_Integer i = 1; i <= n; i++) {
        struct model *child;

        lua_geti(L, value, i);
        child = widget_test(L, -1);
        if (!child || (child->row->traits & WIDGET_PART))
            luaL_error(L, "%s.children takes a list of widgets, and item %d is a %s", m->row->name, (int)i,
                       luaL_typename(L, -1));
        if (m->open)
            front_open(L, lua_gettop(L));
        lua_rawseti(L, -2, i);
    }
    session_mark_list(L);
    json_object_set_new(m->state, "children", json_array());
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, -1, i);
        json_array_append_new(model_get(m, "children"),
                              json_sprintf(MODEL_REFERENCE "%s", widget_check(L, -1)->id));
        lua_pop(L, 1);
    }
    widget_set_own(L, index, "children");
    front_changed(L, m, "children");
    if (m->row->traits & WIDGET_TABS)
        keep_tabs(L, m);
}

/* ---- fields ------------------------------------------------------------------------------------------------- */

/* Positions are counted from 1 here, from 0 in the protocol. */
static bool is_position(const char *key)
{
    return strcmp(key, "selected_index") == 0;
}

void widget_push_field(lua_State *L, const struct model *m, const char *key, json_t *value)
{
    struct trait t = trait_of(m->row, key, json_object_get(m->defaults, key));
    bool moment = t.kind == TRAIT_DATE || t.kind == TRAIT_TIME || t.kind == TRAIT_DATETIME;
    json_t **slot;

    if (!value || json_is_null(value)) {
        lua_pushnil(L);
    } else if (is_position(key) && json_is_integer(value)) {
        lua_pushinteger(L, (lua_Integer)json_integer_value(value) + 1);
    } else if (t.kind == TRAIT_BYTES) {
        lua_pushlstring(L, json_string_value(value), json_string_length(value));
    } else if (moment) {
        slot = session_json_slot(L);
        *slot = moment_text(t.kind, value);
        session_push_json(L, *slot ? *slot : value);
        lua_remove(L, -2);
    } else {
        session_push_json(L, value);
        if (json_is_array(value)) /* so that print(slider.value) shows it */
            session_mark_list(L);
    }
}

/* The value at index for a key, as the state has it; raises. */
static json_t *field_of(lua_State *L, const struct model *m, const char *key, int index)
{
    struct trait t = trait_of(m->row, key, json_object_get(m->defaults, key));
    struct err err;
    json_t *json;

    if (t.kind == TRAIT_BYTES && lua_type(L, index) == LUA_TSTRING)
        return json_stringn_nocheck(lua_tostring(L, index), lua_rawlen(L, index));
    if (is_position(key) && lua_isinteger(L, index))
        return json_integer((json_int_t)lua_tointeger(L, index) - 1);
    json = session_to_json(L, index, &err);
    if (!json)
        session_raise(L, &err);
    return json;
}

/* lower and upper of a range */
static bool pair_get(lua_State *L, const struct model *m, const char *key)
{
    const json_t *pair = model_get(m, "value");
    bool upper = strcmp(key, "upper") == 0;

    if ((!upper && strcmp(key, "lower") != 0) || !(m->row->traits & WIDGET_BOUNDED) || !json_is_array(pair))
        return false;
    session_push_json(L, json_array_get(pair, upper));
    return true;
}

/* What Lua has added to this one widget (interactive: result, update, …). */
static bool push_extra(lua_State *L, int index, const char *key)
{
    widget_own(L, index, "extra");
    if (!lua_istable(L, -1)) {
        lua_pop(L, 1);
        return false;
    }
    lua_getfield(L, -1, key);
    lua_remove(L, -2);
    if (!lua_isnil(L, -1))
        return true;
    lua_pop(L, 1);
    return false;
}

/* layout.border: what all four sides have, nil when they differ. */
static bool border_get(lua_State *L, const struct model *m, const char *key)
{
    json_t *top = model_get(m, border_sides[0]);
    bool same = true;

    if (strcmp(key, "border") != 0 || !top)
        return false;
    for (size_t i = 1; i < BORDER_SIDES; i++)
        same = same && json_equal(top, model_get(m, border_sides[i]));
    widget_push_field(L, m, border_sides[0], same ? top : NULL);
    return true;
}

/* Has Lua added fields to this one? They may be nil for a time: interactive's result. */
static bool has_extra(lua_State *L, int index)
{
    bool has;

    widget_own(L, index, "extra");
    has = lua_istable(L, -1);
    lua_pop(L, 1);
    return has;
}

/* As ipywidgets' AttributeError: a misspelt field is not taken for one that has no value. */
static void no_field(lua_State *L, const struct model *m, const char *key) /* methods: upvalue 1 */
{
    struct buf near = BUF_INIT(400);
    const char *names[NAMES_MOST], *name;
    struct err err;
    size_t n = 0;
    json_t *value;

    json_object_foreach (m->state, name, value)
        if (!model_is_private(name) && n < NAMES_MOST)
            names[n++] = name;
    for (lua_pushnil(L); lua_next(L, lua_upvalueindex(1)); lua_pop(L, 1))
        if (n < NAMES_MOST)
            names[n++] = lua_tostring(L, -2); /* the table keeps it */
    err_set(&err, LC_NOTFOUND, "%s has no field '%s'", m->row->name, key);
    if (nearest_list(&near, key, names, n, 3) && near.len)
        err_hint(&err, "did you mean %s?", buf_str(&near));
    buf_release(&near);
    session_raise(L, &err);
}

/* A field of the model; nil for those that are not for cells, and for what is added when there is something. */
static void push_model_field(lua_State *L, const struct model *m, const char *key)
{
    json_t *value = model_is_private(key) ? NULL : model_get(m, key);

    if (!value && !model_is_private(key) && !has_extra(L, 1))
        no_field(L, m, key);
    widget_push_field(L, m, key, value);
}

static int l_index(lua_State *L) /* (widget, key); upvalue 1: methods */
{
    struct model *m = widget_check(L, 1);
    const char *key = luaL_checkstring(L, 2);
    const struct widget_row *part = part_row(m, key);

    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
        return 1;
    if (part)
        push_part(L, 1, key, part);
    else if ((m->row->traits & WIDGET_BOX) && strcmp(key, "children") == 0)
        widget_own(L, 1, key);
    else if (!choice_get(L, 1, key) && !pair_get(L, m, key) && !border_get(L, m, key) &&
             !push_extra(L, 1, key))
        push_model_field(L, m, key);
    return 1;
}

static void put_kind(lua_State *L, const char *key, const json_t *value) /* into the table on the top */
{
    if (json_is_number(value))
        lua_pushinteger(L, 0);
    else if (json_is_string(value))
        lua_pushliteral(L, "");
    else if (json_is_array(value))
        lua_newtable(L);
    else
        lua_pushboolean(L, 0);
    lua_setfield(L, -2, key);
}

/* {name = a value of its type}: the fields, those of choices and ranges, and what was added to this widget. */
static int l_dir(lua_State *L)
{
    static const char *const choices[] = {"options", "value", "label", "index"};
    struct model *m = widget_check(L, 1);
    const char *key;
    json_t *value;

    lua_settop(L, 1);
    lua_newtable(L);
    json_object_foreach (m->state, key, value)
        if (!model_is_private(key))
            put_kind(L, key, value);
    for (size_t i = 0; (m->row->traits & (WIDGET_CHOICE | WIDGET_CHOICES)) && i < 4; i++)
        put_kind(L, choices[i], NULL);
    if ((m->row->traits & WIDGET_BOUNDED) && json_is_array(value = model_get(m, "value"))) {
        put_kind(L, "lower", json_array_get(value, 0));
        put_kind(L, "upper", json_array_get(value, 1));
    }
    widget_own(L, 1, "extra");
    for (lua_pushnil(L); lua_istable(L, 3) && lua_next(L, 3);) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, 2);
    }
    lua_settop(L, 2);
    return 1;
}

/* Tells what became of a key: the front end, then the observers. The value before is at old. */
static void tell(lua_State *L, int index, const char *key, int old)
{
    struct model *m = widget_check(L, index);

    front_changed(L, m, key);
    widget_push_field(L, m, key, model_get(m, key));
    front_notify(L, index, key, old, lua_gettop(L));
    lua_pop(L, 1);
}

void widget_assign(lua_State *L, int index, const char *key, json_t *value)
{
    struct model *m = widget_check(L, index);
    bool bound = (m->row->traits & WIDGET_BOUNDED) && (strcmp(key, "min") == 0 || strcmp(key, "max") == 0);
    json_t **before;
    bool changed;
    struct err err;
    int top;

    index = lua_absindex(L, index);
    top = lua_gettop(L);
    luaL_checkstack(L, 10, "too many handlers call each other");
    before = session_json_slot(L);
    *before = bound ? json_incref(model_get(m, "value")) : NULL;
    widget_push_field(L, m, "value", *before);
    widget_push_field(L, m, key, model_get(m, key));
    if (model_set(m, key, value, &changed, &err) != LC_OK)
        session_raise(L, &err);
    if (changed)
        tell(L, index, key, top + 3);
    if (bound && !json_equal(model_get(m, "value"), *before))
        tell(L, index, "value", top + 2);
    lua_settop(L, top);
}

static bool pair_set(lua_State *L, int index, const char *key, int value)
{
    struct model *m = widget_check(L, index);

    if (!pair_get(L, m, key))
        return false;
    lua_pop(L, 1);
    json_t *pair = json_copy(model_get(m, "value"));
    json_array_set_new(pair, strcmp(key, "upper") == 0, json_real(lua_tonumber(L, value)));
    widget_assign(L, index, "value", pair);
    return true;
}

/* layout.border = "solid": all four sides at once */
static bool border_set(lua_State *L, int index, const char *key, int value)
{
    struct model *m = widget_check(L, index);

    if (strcmp(key, "border") != 0 || !model_get(m, border_sides[0]))
        return false;
    for (size_t i = 0; i < BORDER_SIDES; i++)
        widget_assign(L, index, border_sides[i], field_of(L, m, border_sides[i], value));
    return true;
}

static void set_field(lua_State *L, int index, const char *key, int value)
{
    struct model *m = widget_check(L, index);
    const struct widget_row *part = part_row(m, key);

    if (part) {
        set_part(L, index, key, part, value);
    } else if ((m->row->traits & WIDGET_BOX) && strcmp(key, "children") == 0) {
        set_children(L, index, value);
    } else if (!choice_set(L, index, key, value)) {
        if (model_is_private(key))
            luaL_error(L, "%s.%s is not for cells to set", m->row->name, key);
        if (!pair_set(L, index, key, value) && !border_set(L, index, key, value))
            widget_assign(L, index, key, field_of(L, m, key, value));
    }
}

static int l_newindex(lua_State *L) /* (widget, key, value) */
{
    set_field(L, 1, luaL_checkstring(L, 2), 3);
    return 0;
}

/* ---- text ---------------------------------------------------------------------------------------------------- */

enum { BAR = 20 };

static void text_of_progress(const struct model *m, struct buf *out)
{
    double min = json_number_value(model_get(m, "min")), max = json_number_value(model_get(m, "max"));
    double part = max > min ? (json_number_value(model_get(m, "value")) - min) / (max - min) : 1;
    const char *description = json_string_value(model_get(m, "description"));

    if (description && *description)
        buf_printf(out, "%s ", description);
    buf_putc(out, '[');
    for (int i = 0; i < BAR; i++)
        buf_putc(out, i < (int)(part * BAR + 0.5) ? '#' : '-');
    buf_printf(out, "] %d%%", (int)(part * 100));
}

static void add_field(struct buf *out, const struct model *m, const char *name, json_t *value, bool *first)
{
    struct trait t = trait_of(m->row, name, json_object_get(m->defaults, name));
    json_t *moment = t.kind >= TRAIT_DATE && t.kind <= TRAIT_DATETIME ? moment_text(t.kind, value) : NULL;
    json_t *size = t.kind == TRAIT_BYTES ? json_sprintf("%zu byte%s", json_string_length(value),
                                                        PLURAL(json_string_length(value)))
                   : t.kind == TRAIT_FILES
                       ? json_sprintf("%zu file%s", json_array_size(value), PLURAL(json_array_size(value)))
                       : NULL;
    char *text = json_dumps(moment ? moment
                            : size ? size
                                   : value,
                            JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(12));

    json_decref(moment);
    json_decref(size);

    buf_printf(out, "%s%s=%s", *first ? "" : ", ", name, text ? text : "?");
    *first = false;
    free(text);
}

/* IntSlider(value=7, max=10): the value, and what is not as usual. */
static void text_of_fields(lua_State *L, int index, struct buf *out)
{
    struct model *m = widget_check(L, index);
    bool first = true;
    const char *name;
    json_t *value, *chosen;
    struct err err;

    buf_printf(out, "%s(", m->row->name);
    if (choice_get(L, index, "value")) {
        chosen = session_to_json(L, -1, &err);
        if (chosen)
            add_field(out, m, "value", chosen, &first);
        json_decref(chosen);
        lua_pop(L, 1);
    } else if (model_get(m, "value")) {
        add_field(out, m, "value", model_get(m, "value"), &first);
    }
    json_object_foreach (m->state, name, value) {
        json_t *usual = json_object_get(m->defaults, name);
        if (usual && !model_is_private(name) && strcmp(name, "value") != 0 && strcmp(name, "index") != 0 &&
            !json_equal(value, usual))
            add_field(out, m, name, value, &first);
    }
    buf_putc(out, ')');
}

static void widget_text(lua_State *L, int index, struct buf *out);

static void text_of_children(lua_State *L, int index, struct buf *out)
{
    const char *between = strcmp(widget_check(L, index)->row->name, "HBox") == 0 ? "  " : "\n";
    lua_Integer n;

    widget_own(L, index, "children");
    n = lua_istable(L, -1) ? luaL_len(L, -1) : 0;
    luaL_checkstack(L, 10, "boxes are nested too deeply");
    for (lua_Integer i = 1; i <= n; i++) {
        if (i > 1)
            buf_puts(out, between);
        lua_rawgeti(L, -1, i);
        widget_text(L, lua_gettop(L), out);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

static void widget_text(lua_State *L, int index, struct buf *out)
{
    struct model *m = widget_check(L, index);
    json_t *value = model_get(m, "value");

    if (out->len > 1 << 20)
        out->failed = true; /* a box within itself */
    if (!buf_ok(out))
        return;
    if (m->row->traits & WIDGET_BOX)
        text_of_children(L, index, out);
    else if (strstr(m->row->name, "Progress") && !(m->row->traits & WIDGET_PART))
        text_of_progress(m, out);
    else if (strncmp(m->row->name, "HTML", 4) == 0 || strcmp(m->row->name, "Label") == 0)
        buf_add(out, json_string_value(value), json_string_length(value));
    else
        text_of_fields(L, index, out);
}

static int l_tostring(lua_State *L)
{
    struct buf *out = session_buf(L, 2 << 20);

    widget_text(L, 1, out);
    lua_pushlstring(L, buf_str(out), out->len);
    return 1;
}

static int l_mimebundle(lua_State *L) /* (widget) */
{
    struct model *m = widget_check(L, 1);

    lua_newtable(L);
    lua_pushcfunction(L, l_tostring);
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    lua_setfield(L, 2, "text/plain");
    if (!front_rich(L))
        return 1;
    front_open(L, 1);
    lua_createtable(L, 0, 3);
    lua_pushinteger(L, 2);
    lua_setfield(L, -2, "version_major");
    lua_pushinteger(L, 0);
    lua_setfield(L, -2, "version_minor");
    lua_pushstring(L, m->id);
    lua_setfield(L, -2, "model_id");
    lua_setfield(L, 2, "application/vnd.jupyter.widget-view+json");
    return 1;
}

/* ---- methods -------------------------------------------------------------------------------------------------- */

/* Adds {fn = …, names = …} to a list of the user value. */
static int add_handler(lua_State *L, const char *list)
{
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_settop(L, 3);
    widget_own(L, 1, list);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        widget_set_own(L, 1, list);
    }
    lua_newtable(L);
    lua_pushvalue(L, 2);
    lua_setfield(L, -2, "fn");
    lua_pushvalue(L, 3);
    lua_setfield(L, -2, "names");
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    return 0; /* nothing: as a cell's last line it would show the widget once more */
}

static int l_observe(lua_State *L) /* w:observe(fn, names): a name, a list of names, or nil for all */
{
    struct model *m = widget_check(L, 1);

    if (lua_type(L, 3) == LUA_TSTRING && strcmp(lua_tostring(L, 3), "value") != 0 &&
        !model_get(m, lua_tostring(L, 3)))
        return luaL_error(L, "%s has no field '%s' to observe", m->row->name, lua_tostring(L, 3));
    return add_handler(L, "observers");
}

/* Takes a function out of a list of the user value; nil: all of them. */
static int drop_handler(lua_State *L, const char *list)
{
    lua_settop(L, 2);
    widget_own(L, 1, list);
    lua_newtable(L);
    for (lua_Integer i = 1, kept = 0; lua_istable(L, 3) && !lua_isnil(L, 2); i++) {
        if (lua_rawgeti(L, 3, i) == LUA_TNIL)
            break;
        lua_getfield(L, -1, "fn");
        if (!lua_rawequal(L, -1, 2)) {
            lua_pop(L, 1);
            lua_rawseti(L, 4, ++kept);
        } else {
            lua_pop(L, 2);
        }
    }
    lua_settop(L, 4);
    widget_set_own(L, 1, list);
    return 0;
}

static int l_unobserve(lua_State *L) /* w:unobserve(fn): nil forgets all */
{
    widget_check(L, 1);
    return drop_handler(L, "observers");
}

static int l_unobserve_all(lua_State *L)
{
    widget_check(L, 1);
    lua_settop(L, 1);
    lua_pushnil(L);
    return drop_handler(L, "observers");
}

/* on_click(fn) adds, on_click(fn, true) or on_click(fn, {remove = true}) takes away. */
static int handle_event(lua_State *L, const char *list)
{
    bool remove = lua_toboolean(L, 3);

    if (lua_istable(L, 3)) {
        lua_getfield(L, 3, "remove");
        remove = lua_toboolean(L, -1);
    }
    lua_settop(L, 2);
    return remove ? drop_handler(L, list) : add_handler(L, list);
}

static int l_on_click(lua_State *L)
{
    struct model *m = widget_check(L, 1);

    luaL_argcheck(L, m->row->traits & WIDGET_BUTTON, 1, "only a Button has on_click");
    return handle_event(L, "click");
}

static int l_on_submit(lua_State *L)
{
    struct model *m = widget_check(L, 1);

    luaL_argcheck(L, m->row->traits & WIDGET_ENTRY, 1, "only Text, Password and Combobox have on_submit");
    return handle_event(L, "submit");
}

static int l_on_msg(lua_State *L) /* w:on_msg(function(widget, content) … end): custom messages */
{
    widget_check(L, 1);
    return handle_event(L, "messages");
}

static int l_click(lua_State *L) /* as if it was pressed */
{
    widget_check(L, 1);
    front_event(L, 1, "click");
    return 0;
}

static int l_close(lua_State *L)
{
    widget_check(L, 1);
    front_close(L, 1);
    return 0;
}

static const luaL_Reg methods[] = {
    {"observe", l_observe}, {"unobserve", l_unobserve}, {"unobserve_all", l_unobserve_all},
    {"on_msg", l_on_msg},   {"on_click", l_on_click},   {"on_submit", l_on_submit},
    {"click", l_click},     {"close", l_close},         {NULL, NULL},
};

/* ---- making them ----------------------------------------------------------------------------------------------- */

/* A range that is not given is the middle half of what there is. */
static void set_middle(lua_State *L, int index)
{
    struct model *m = widget_check(L, index);
    double min = json_number_value(model_get(m, "min")), max = json_number_value(model_get(m, "max"));
    json_t *pair = json_array();

    for (int i = 1; i <= 3; i += 2) {
        double at = (min * (4 - i) + max * i) / 4;
        json_array_append_new(pair, json_is_integer(model_get(m, "min")) ? json_integer((json_int_t)at)
                                                                         : json_real(at));
    }
    widget_assign(L, index, "value", pair);
}

/* Fields whose order matters are set first: bounds that leave room for each other, children before what is selected of
 * them, options before what is chosen. */
static void set_first(lua_State *L, int index, int fields)
{
    static const char *const up[] = {"base", "max", "min", "options", "children", "allowed_tags"};
    static const char *const down[] = {"base", "min", "max", "options", "children", "allowed_tags"};
    struct model *m = widget_check(L, index);
    const char *const *order = up;

    if (lua_getfield(L, fields, "max") == LUA_TNUMBER && json_is_number(model_get(m, "min")) &&
        lua_tonumber(L, -1) < json_number_value(model_get(m, "min")))
        order = down;
    lua_pop(L, 1);
    for (size_t i = 0; i < sizeof up / sizeof *up; i++) {
        if (lua_getfield(L, fields, order[i]) != LUA_TNIL)
            set_field(L, index, order[i], lua_gettop(L));
        lua_pop(L, 1);
    }
    if ((m->row->traits & WIDGET_BOUNDED) && json_is_array(model_get(m, "value")))
        set_middle(L, index);
}

static bool was_first(const char *key)
{
    static const char *const names[] = {"base", "max", "min", "options", "children", "allowed_tags"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(key, names[i]) == 0)
            return true;
    return false;
}

static bool is_event(const char *key)
{
    return strcmp(key, "on_click") == 0 || strcmp(key, "on_submit") == 0 || strcmp(key, "on_msg") == 0;
}

static void set_rest(lua_State *L, int index, int fields)
{
    for (lua_pushnil(L); lua_next(L, fields); lua_pop(L, 1)) {
        const char *key;

        if (lua_type(L, -2) != LUA_TSTRING)
            continue; /* the list part */
        key = lua_tostring(L, -2);
        if (is_event(key)) {
            lua_getfield(L, index, key);
            lua_pushvalue(L, index);
            lua_pushvalue(L, -3);
            lua_call(L, 2, 0);
        } else if (!was_first(key)) {
            set_field(L, index, key, lua_gettop(L));
        }
    }
}

/* The list part of the table at index 1 alone, or the plain argument itself; nil when there is none. */
static void push_first(lua_State *L)
{
    lua_Integer n = lua_istable(L, 1) ? (lua_Integer)lua_rawlen(L, 1) : 0;

    if (!lua_istable(L, 1)) {
        lua_pushvalue(L, 1);
        return;
    }
    if (n == 0) {
        lua_pushnil(L);
        return;
    }
    lua_createtable(L, (int)n, 0);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, 1, i);
        lua_rawseti(L, -2, i);
    }
}

/* IntSlider(3, 0, 10): what ipywidgets takes by place. More than one argument of others is refused. */
static void read_places(lua_State *L, const struct widget_row *row)
{
    static const char *const names[] = {"value", "min", "max", "step"};
    int n = lua_gettop(L);
    bool places = (row->traits & WIDGET_BOUNDED) && !(row->traits & WIDGET_LOG) && n <= 4;

    if (n <= 1)
        return;
    if (!places || lua_istable(L, 1))
        luaL_argerror(L, 2,
                      lua_pushfstring(L, "one table of fields expected: %s{%s = …}", row->name,
                                      row->first ? row->first : "name"));
    lua_createtable(L, 0, 4);
    for (int i = 1; i <= n; i++) {
        lua_pushvalue(L, i);
        lua_setfield(L, -2, names[i - 1]);
    }
    lua_replace(L, 1);
}

static int l_new(lua_State *L) /* IntSlider{…}; upvalue 1: the row */
{
    const struct widget_row *row = lua_touserdata(L, lua_upvalueindex(1));

    read_places(L, row);
    lua_settop(L, 1);
    widget_push(L, row);
    push_first(L);
    if (!lua_isnil(L, 3) && !row->first)
        return luaL_argerror(L, 1, "a table of fields expected");
    if (lua_istable(L, 1))
        set_first(L, 2, 1);
    if (!lua_isnil(L, 3)) /* the list may be what others choose from */
        set_field(L, 2, row->first, 3);
    if (lua_istable(L, 1))
        set_rest(L, 2, 1);
    if (row->traits & (WIDGET_CHOICE | WIDGET_CHOICES)) {
        widget_own(L, 2, "options");
        if (lua_isnil(L, -1)) {
            lua_newtable(L);
            widget_set_own(L, 2, "options");
        }
    }
    if (row->traits & WIDGET_NONEMPTY &&
        json_array_size(model_get(widget_check(L, 2), "_options_labels")) == 0) {
        struct err err;
        err_set(&err, LC_TRAIT, "options must be nonempty");
        return session_raise(L, &err);
    }
    lua_settop(L, 2);
    return 1;
}

static int l_missing(lua_State *L) /* widgets.Sliderr */
{
    const char *names[64];
    size_t n = 0;
    struct buf near = BUF_INIT(400);
    struct err err;

    if (lua_type(L, 2) != LUA_TSTRING)
        return 0;
    for (const struct widget_row *row = widget_rows; row->name && n < 64; row++)
        names[n++] = row->name;
    err_set(&err, LC_NOTFOUND, "no widget is named '%s'", lua_tostring(L, 2));
    if (nearest_list(&near, lua_tostring(L, 2), names, n, 3) && near.len)
        err_hint(&err, "did you mean %s?", buf_str(&near));
    buf_release(&near);
    return session_raise(L, &err);
}

static void make_class(lua_State *L)
{
    if (!luaL_newmetatable(L, class_name)) {
        lua_pop(L, 1);
        return;
    }
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    luaL_setfuncs(L, output_methods, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "methods");
    lua_pushcclosure(L, l_index, 1);
    lua_setfield(L, -2, "__index");
    luaL_setfuncs(L,
                  (const luaL_Reg[]){{"__newindex", l_newindex},
                                     {"__gc", l_gc},
                                     {"__dir", l_dir},
                                     {"__values", widget_values},
                                     {"__tostring", l_tostring},
                                     {"__mimebundle", l_mimebundle},
                                     {NULL, NULL}},
                  0);
    lua_pop(L, 1);
}

int widgets_open(lua_State *L)
{
    make_class(L);
    front_register(L);
    lua_newtable(L);
    for (const struct widget_row *row = widget_rows; row->name; row++) {
        if (row->traits & WIDGET_LINK)
            continue;
        lua_pushlightuserdata(L, (void *)(uintptr_t)row);
        lua_pushcclosure(L, l_new, 1);
        lua_setfield(L, -2, row->name);
    }
    session_require(L, "lacus.widgets");
    widgets_native(L);
    lua_pushvalue(L, -3);
    luaL_getmetatable(L, class_name);
    lua_getfield(L, -1, "methods");
    lua_remove(L, -2);
    lua_call(L, 3, 0); /* (native, widgets, methods): adds to both */
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, l_missing);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    return 1;
}
