/* widget_lua.c: the class of widgets and the global `widgets`. */
#include "widgets/widget_lua.h"
#include "runtime/base/nearest.h"
#include <stdlib.h>
#include <string.h>

static const char class_name[] = "lacus.widget";

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

static void set_own(lua_State *L, int index, const char *name) /* takes the top */
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
    set_own(L, index, key);
}

/* w.layout = {width = "50%"} changes those fields; w.layout = another.layout shares it. */
static void set_part(lua_State *L, int index, const char *key, const struct widget_row *row, int value)
{
    struct model *m = widget_check(L, index), *part = widget_test(L, value);

    if (part) {
        if (part->row != row)
            luaL_error(L, "%s.%s takes a %s, not a %s", m->row->name, key, row->name, part->row->name);
        lua_pushvalue(L, value);
        set_own(L, index, key);
        refer(m, key, part);
        if (m->open) {
            front_open(L, value);
            front_send(L, m, "update", json_pack("{s:O}", key, model_get(m, key)));
        }
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
    json_object_set_new(m->state, "children", json_array());
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, -1, i);
        json_array_append_new(model_get(m, "children"),
                              json_sprintf(MODEL_REFERENCE "%s", widget_check(L, -1)->id));
        lua_pop(L, 1);
    }
    set_own(L, index, "children");
    if (m->open)
        front_send(L, m, "update", json_pack("{s:O}", "children", model_get(m, "children")));
}

/* ---- fields ------------------------------------------------------------------------------------------------- */

static void push_value(lua_State *L, json_t *value)
{
    if (value && !json_is_null(value))
        session_push_json(L, value);
    else
        lua_pushnil(L);
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
    else if (!choice_get(L, 1, key))
        push_value(L, model_is_private(key) ? NULL : model_get(m, key));
    return 1;
}

/* Tells what became of a key: the front end, then the observers. The value before is at old. */
static void tell(lua_State *L, int index, const char *key, int old)
{
    struct model *m = widget_check(L, index);

    if (m->open)
        front_send(L, m, "update", json_pack("{s:O}", key, model_get(m, key)));
    push_value(L, model_get(m, key));
    front_notify(L, index, key, old, lua_gettop(L));
    lua_pop(L, 1);
}

void widget_assign(lua_State *L, int index, const char *key, json_t *value)
{
    struct model *m = widget_check(L, index);
    bool bound = (m->row->traits & WIDGET_BOUNDED) && (strcmp(key, "min") == 0 || strcmp(key, "max") == 0);
    json_t *before = model_get(m, "value"); /* borrowed: compared by address, a bound replaces it */
    bool changed;
    struct err err;

    index = lua_absindex(L, index);
    push_value(L, bound ? before : NULL);
    push_value(L, model_get(m, key));
    if (model_set(m, key, value, &changed, &err) != LC_OK)
        session_raise(L, &err);
    if (changed)
        tell(L, index, key, lua_gettop(L));
    if (bound) {
        push_value(L, model_get(m, "value"));
        if (!lua_compare(L, -1, -3, LUA_OPEQ) && !lua_istable(L, -1))
            tell(L, index, "value", lua_gettop(L) - 2);
        lua_pop(L, 1);
    }
    lua_pop(L, 2);
}

static void set_field(lua_State *L, int index, const char *key, int value)
{
    struct model *m = widget_check(L, index);
    const struct widget_row *part = part_row(m, key);
    struct err err;
    json_t *json;

    if (part) {
        set_part(L, index, key, part, value);
    } else if ((m->row->traits & WIDGET_BOX) && strcmp(key, "children") == 0) {
        set_children(L, index, value);
    } else if (!choice_set(L, index, key, value)) {
        if (model_is_private(key))
            luaL_error(L, "%s.%s is not for cells to set", m->row->name, key);
        json = session_to_json(L, value, &err);
        if (!json)
            session_raise(L, &err);
        widget_assign(L, index, key, json);
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

static void add_field(struct buf *out, const char *name, json_t *value, bool *first)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(12));

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
            add_field(out, "value", chosen, &first);
        json_decref(chosen);
        lua_pop(L, 1);
    } else if (model_get(m, "value")) {
        add_field(out, "value", model_get(m, "value"), &first);
    }
    json_object_foreach (m->state, name, value) {
        json_t *usual = json_object_get(m->defaults, name);
        if (usual && !model_is_private(name) && strcmp(name, "value") != 0 && strcmp(name, "index") != 0 &&
            !json_equal(value, usual))
            add_field(out, name, value, &first);
    }
    buf_putc(out, ')');
}

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

void widget_text(lua_State *L, int index, struct buf *out)
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
    else if (strcmp(m->row->name, "HTML") == 0 || strcmp(m->row->name, "Label") == 0)
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
        set_own(L, 1, list);
    }
    lua_newtable(L);
    lua_pushvalue(L, 2);
    lua_setfield(L, -2, "fn");
    lua_pushvalue(L, 3);
    lua_setfield(L, -2, "names");
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    lua_settop(L, 1);
    return 1;
}

static int l_observe(lua_State *L) /* w:observe(fn, names): a name, a list of names, or nil for all */
{
    struct model *m = widget_check(L, 1);

    if (lua_type(L, 3) == LUA_TSTRING && strcmp(lua_tostring(L, 3), "value") != 0 &&
        !model_get(m, lua_tostring(L, 3)))
        return luaL_error(L, "%s has no field '%s' to observe", m->row->name, lua_tostring(L, 3));
    return add_handler(L, "observers");
}

static int l_unobserve(lua_State *L) /* w:unobserve(fn): nil forgets all */
{
    widget_check(L, 1);
    lua_settop(L, 2);
    widget_own(L, 1, "observers");
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
    set_own(L, 1, "observers");
    lua_settop(L, 1);
    return 1;
}

static int l_on_click(lua_State *L)
{
    struct model *m = widget_check(L, 1);

    luaL_argcheck(L, m->row->traits & WIDGET_BUTTON, 1, "only a Button has on_click");
    return add_handler(L, "click");
}

static int l_on_submit(lua_State *L)
{
    struct model *m = widget_check(L, 1);

    luaL_argcheck(L, m->row->traits & WIDGET_ENTRY, 1, "only Text, Password and Combobox have on_submit");
    return add_handler(L, "submit");
}

static int l_click(lua_State *L) /* as if it was pressed */
{
    widget_check(L, 1);
    front_notify(L, 1, NULL, 0, 0);
    return 0;
}

static int l_close(lua_State *L)
{
    widget_check(L, 1);
    front_close(L, 1);
    return 0;
}

static const luaL_Reg methods[] = {
    {"observe", l_observe},
    {"unobserve", l_unobserve},
    {"on_click", l_on_click},
    {"on_submit", l_on_submit},
    {"click", l_click},
    {"close", l_close},
    {NULL, NULL},
};

/* ---- making them ----------------------------------------------------------------------------------------------- */

/* Fields whose order matters are set first: bounds that leave room for each other, then options. */
static void set_first(lua_State *L, int index, int fields)
{
    static const char *const up[] = {"max", "min", "options"}, *const down[] = {"min", "max", "options"};
    struct model *m = widget_check(L, index);
    const char *const *order = up;

    if (lua_getfield(L, fields, "max") == LUA_TNUMBER && model_get(m, "min") &&
        lua_tonumber(L, -1) < json_number_value(model_get(m, "min")))
        order = down;
    lua_pop(L, 1);
    for (size_t i = 0; i < sizeof up / sizeof *up; i++) {
        if (lua_getfield(L, fields, order[i]) != LUA_TNIL)
            set_field(L, index, order[i], lua_gettop(L));
        lua_pop(L, 1);
    }
}

static bool is_event(const char *key)
{
    return strcmp(key, "on_click") == 0 || strcmp(key, "on_submit") == 0;
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
        } else if (strcmp(key, "max") != 0 && strcmp(key, "min") != 0 && strcmp(key, "options") != 0) {
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

static int l_new(lua_State *L) /* IntSlider{…}; upvalue 1: the row */
{
    const struct widget_row *row = lua_touserdata(L, lua_upvalueindex(1));

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
    lua_pushcclosure(L, l_index, 1);
    lua_setfield(L, -2, "__index");
    luaL_setfuncs(L,
                  (const luaL_Reg[]){{"__newindex", l_newindex},
                                     {"__gc", l_gc},
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
        if (row->traits & WIDGET_PART && strcmp(row->name, "Layout") != 0)
            continue;
        lua_pushlightuserdata(L, (void *)(uintptr_t)row);
        lua_pushcclosure(L, l_new, 1);
        lua_setfield(L, -2, row->name);
    }
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, l_missing);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    return 1;
}
