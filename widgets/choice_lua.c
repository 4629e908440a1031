/* choice_lua.c: Dropdown, RadioButtons, SelectMultiple, … : in Lua the values of options (of any type), in the front end
 * labels and positions. Positions are 1-based in Lua (options[w.index] is w.value) and 0-based in the protocol. */
#include "widgets/widget_lua.h"
#include <string.h>

static bool is_choice(const struct model *m)
{
    return m->row->traits & (WIDGET_CHOICE | WIDGET_CHOICES);
}

static bool several(const struct model *m)
{
    return m->row->traits & WIDGET_CHOICES;
}

/* ---- reading ------------------------------------------------------------------------------------------------- */

static void push_chosen(lua_State *L, int index, const json_t *at, const char *key)
{
    struct model *m = widget_check(L, index);
    json_int_t i = json_integer_value(at);

    if (!json_is_integer(at))
        lua_pushnil(L);
    else if (strcmp(key, "index") == 0)
        lua_pushinteger(L, (lua_Integer)i + 1);
    else if (strcmp(key, "label") == 0)
        lua_pushstring(L, json_string_value(json_array_get(model_get(m, "_options_labels"), (size_t)i)));
    else {
        widget_own(L, index, "options");
        if (lua_istable(L, -1)) /* before there are any, there is still a position */
            lua_rawgeti(L, -1, (lua_Integer)i + 1);
        else
            lua_pushnil(L);
        lua_remove(L, -2);
    }
}

bool choice_get(lua_State *L, int index, const char *key)
{
    struct model *m = widget_check(L, index);
    json_t *chosen;

    if (!is_choice(m))
        return false;
    if (strcmp(key, "options") == 0) {
        widget_own(L, index, "options");
        return true;
    }
    if (strcmp(key, "value") != 0 && strcmp(key, "index") != 0 && strcmp(key, "label") != 0)
        return false;
    chosen = model_get(m, "index");
    if (!several(m)) {
        push_chosen(L, index, chosen, key);
        return true;
    }
    lua_newtable(L);
    session_mark_list(L);
    for (size_t i = 0; i < json_array_size(chosen); i++) {
        push_chosen(L, index, json_array_get(chosen, i), key);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return true;
}

/* ---- choosing -------------------------------------------------------------------------------------------------- */

static bool in_range(const struct model *m, const json_t *at)
{
    return json_is_integer(at) && json_integer_value(at) >= 0 &&
           (size_t)json_integer_value(at) < json_array_size(model_get(m, "_options_labels"));
}

static bool valid(const struct model *m, const json_t *chosen)
{
    size_t n = json_array_size(chosen);

    if (!several(m))
        return json_is_null(chosen) ? !(m->row->traits & WIDGET_NONEMPTY) : in_range(m, chosen);
    for (size_t i = 0; i < n; i++)
        if (!in_range(m, json_array_get(chosen, i)))
            return false;
    if (m->row->traits & WIDGET_RANGE)
        return n == 2 &&
               json_integer_value(json_array_get(chosen, 0)) <= json_integer_value(json_array_get(chosen, 1));
    return json_is_array(chosen);
}

static int refuse(lua_State *L, const struct model *m, const char *what)
{
    struct err err;

    err_set(&err, LC_TRAIT, "Invalid selection: %s", what);
    err_hint(&err, "the %s has %zu options", m->row->name, json_array_size(model_get(m, "_options_labels")));
    return session_raise(L, &err);
}

/* Tells the observers of value, label and index; what they were is at old, old + 1 and old + 2. */
static void tell(lua_State *L, int index, int old)
{
    static const char *const keys[] = {"value", "label", "index"};

    for (int i = 0; i < 3; i++) {
        choice_get(L, index, keys[i]);
        front_notify(L, index, keys[i], old + i, lua_gettop(L));
        lua_pop(L, 1);
    }
}

static int push_all(lua_State *L, int index)
{
    int first = lua_gettop(L) + 1;

    luaL_checkstack(L, 10, "too many handlers call each other");
    choice_get(L, index, "value");
    choice_get(L, index, "label");
    choice_get(L, index, "index");
    return first;
}

static void choose(lua_State *L, int index, json_t *chosen) /* takes chosen, which is valid */
{
    struct model *m = widget_check(L, index);
    json_t **slot = session_json_slot(L);
    int old;

    *slot = chosen;
    if (json_equal(chosen, model_get(m, "index"))) {
        lua_pop(L, 1);
        return;
    }
    old = push_all(L, index);
    json_object_set(m->state, "index", chosen);
    front_changed(L, m, "index");
    tell(L, index, old);
    lua_settop(L, old - 2);
}

bool choice_chosen(lua_State *L, int index, const json_t *chosen)
{
    if (!valid(widget_check(L, index), chosen))
        return false;
    choose(L, index, json_deep_copy(chosen));
    return true;
}

/* ---- from Lua ----------------------------------------------------------------------------------------------------- */

/* The item on the top, "a", 7 or {"label", value}, becomes its value; its label goes to labels. */
static void push_option(lua_State *L, json_t *labels, bool pairs)
{
    size_t len;
    const char *label;

    if (pairs) {
        lua_geti(L, -1, 1);
        lua_geti(L, -2, 2);
        lua_remove(L, -3);
        lua_insert(L, -2); /* value, label */
    } else {
        lua_pushvalue(L, -1);
    }
    label = luaL_tolstring(L, -1, &len);
    json_array_append_new(labels, json_stringn(label, len));
    lua_pop(L, 2);
}

static bool all_pairs(lua_State *L, int list, lua_Integer n)
{
    bool pairs = n > 0;

    for (lua_Integer i = 1; i <= n && pairs; i++) {
        lua_geti(L, list, i);
        pairs = lua_istable(L, -1) && lua_rawlen(L, -1) == 2;
        lua_pop(L, 1);
    }
    return pairs;
}

/* {label = value, …} has no order of its own: pushes {{label, value}…}, in the order of the labels. */
static void push_sorted(lua_State *L, int table)
{
    lua_Integer n = 0;
    int names;

    lua_newtable(L);
    names = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1))
        if (lua_type(L, -2) == LUA_TSTRING) {
            lua_pushvalue(L, -2);
            lua_rawseti(L, names, ++n);
        }
    lua_getglobal(L, "table");
    lua_getfield(L, -1, "sort");
    lua_pushvalue(L, names);
    lua_call(L, 1, 0);
    lua_pop(L, 1);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_createtable(L, 2, 0);
        lua_rawgeti(L, names, i);
        lua_pushvalue(L, -1);
        lua_gettable(L, table);
        lua_rawseti(L, -3, 2);
        lua_rawseti(L, -2, 1);
        lua_rawseti(L, names, i);
    }
}

/* Pushes the values of the options at `list`; their labels go into labels. */
static lua_Integer push_options(lua_State *L, int list, json_t *labels)
{
    lua_Integer n = luaL_len(L, list);
    bool pairs = all_pairs(L, list, n);

    lua_createtable(L, (int)n, 0);
    session_mark_list(L);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_geti(L, list, i);
        push_option(L, labels, pairs);
        lua_rawseti(L, -2, i);
    }
    return n;
}

static json_t *first_choice(const struct model *m, lua_Integer n)
{
    if (m->row->traits & WIDGET_RANGE)
        return json_pack("[i, i]", 0, 0);
    return several(m) ? json_array() : n > 0 ? json_integer(0) : json_null();
}

/* The first of new options is chosen, unless none was chosen of the old ones. */
static void set_options(lua_State *L, int index, int value)
{
    struct model *m = widget_check(L, index);
    json_t *labels = json_array();
    int old, none;
    lua_Integer n;

    *session_json_slot(L) = labels;
    old = push_all(L, index);
    if (!lua_istable(L, value))
        refuse(L, m, "options is a list, or a table of values by name");
    if (luaL_len(L, value) == 0)
        push_sorted(L, value);
    else
        lua_pushvalue(L, value);
    n = push_options(L, lua_gettop(L), labels);
    if (n == 0 && m->row->traits & WIDGET_NONEMPTY) {
        struct err err;
        err_set(&err, LC_TRAIT, "options must be nonempty");
        session_raise(L, &err);
    }
    widget_own(L, index, "options");
    none = !lua_isnil(L, -1) && json_is_null(model_get(m, "index"));
    lua_pop(L, 1);
    widget_set_own(L, index, "options");
    json_object_set(m->state, "_options_labels", labels);
    if (!none)
        json_object_set_new(m->state, "index", first_choice(m, n));
    front_changed(L, m, "_options_labels");
    front_changed(L, m, "index");
    tell(L, index, old);
    lua_settop(L, old - 2);
}

/* The position of the value at index `value` among the options, 0-based; raises when it is not there. */
static json_int_t position(lua_State *L, int index, int value)
{
    struct model *m = widget_check(L, index);
    size_t n = json_array_size(model_get(m, "_options_labels"));

    widget_own(L, index, "options");
    for (size_t i = 0; i < n; i++) {
        bool same;
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        same = lua_compare(L, -1, value, LUA_OPEQ);
        lua_pop(L, 1);
        if (same) {
            lua_pop(L, 1);
            return (json_int_t)i;
        }
    }
    refuse(L, m, "value not found");
    return 0;
}

static json_int_t label_index(lua_State *L, int index, int value)
{
    struct model *m = widget_check(L, index);
    const char *label = luaL_checkstring(L, value);
    json_t *labels = model_get(m, "_options_labels"), *one;
    size_t i;

    json_array_foreach (labels, i, one) {
        if (strcmp(json_string_value(one), label) == 0)
            return (json_int_t)i;
    }
    refuse(L, m, "label not found");
    return 0;
}

static json_int_t checked_index(lua_State *L, int index, int value)
{
    struct model *m = widget_check(L, index);
    lua_Integer at = luaL_checkinteger(L, value);

    if (at < 1 || (size_t)at > json_array_size(model_get(m, "_options_labels")))
        refuse(L, m, "index out of bounds");
    return (json_int_t)at - 1;
}

static void set_chosen(lua_State *L, int index, int value, json_int_t (*find)(lua_State *, int, int))
{
    struct model *m = widget_check(L, index);
    json_int_t *at;
    lua_Integer n;
    json_t *chosen;

    if (!several(m)) {
        bool none = lua_isnil(L, value);
        json_int_t one = none ? 0 : find(L, index, value);
        if (none && m->row->traits & WIDGET_NONEMPTY)
            refuse(L, m, "value not found");
        choose(L, index, none ? json_null() : json_integer(one));
        return;
    }
    if (!lua_istable(L, value))
        refuse(L, m, "value is a list of options");
    n = luaL_len(L, value);
    at = lua_newuserdatauv(L, (size_t)(n + 1) * sizeof *at, 0);
    for (lua_Integer i = 0; i < n; i++) {
        lua_geti(L, value, i + 1);
        at[i] = find(L, index, lua_gettop(L));
        lua_pop(L, 1);
    }
    chosen = json_array();
    for (lua_Integer i = 0; i < n; i++)
        json_array_append_new(chosen, json_integer(at[i]));
    if (!valid(m, chosen)) {
        json_decref(chosen);
        refuse(L, m, "two of the options expected, in their order");
    }
    choose(L, index, chosen);
    lua_pop(L, 1);
}

bool choice_set(lua_State *L, int index, const char *key, int value)
{
    if (!is_choice(widget_check(L, index)))
        return false;
    if (strcmp(key, "options") == 0)
        set_options(L, index, value);
    else if (strcmp(key, "value") == 0)
        set_chosen(L, index, value, position);
    else if (strcmp(key, "index") == 0)
        set_chosen(L, index, value, checked_index);
    else if (strcmp(key, "label") == 0)
        set_chosen(L, index, value, label_index);
    else
        return false;
    return true;
}
