/* choice_lua.c: Dropdown, RadioButtons, SelectMultiple: in Lua the values of options (of any type), in the front end
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
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
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
    if (!several(m))
        return json_is_null(chosen) || in_range(m, chosen);
    for (size_t i = 0; i < json_array_size(chosen); i++)
        if (!in_range(m, json_array_get(chosen, i)))
            return false;
    return json_is_array(chosen);
}

static void choose(lua_State *L, int index, json_t *chosen) /* takes chosen, which is valid */
{
    struct model *m = widget_check(L, index);
    int old = lua_gettop(L) + 1;

    if (json_equal(chosen, model_get(m, "index"))) {
        json_decref(chosen);
        return;
    }
    /* what was chosen goes into the state before anything that may raise */
    json_t *before = json_incref(model_get(m, "index"));
    json_object_set_new(m->state, "index", chosen);
    json_object_set_new(m->state, "_before", before);
    if (m->open)
        front_send(L, m, "update", json_pack("{s:O}", "index", chosen));
    push_chosen(L, index, several(m) ? NULL : before, "value");
    choice_get(L, index, "value");
    json_object_del(m->state, "_before");
    front_notify(L, index, "value", old, old + 1);
    front_notify(L, index, "index", old, old + 1);
    lua_settop(L, old - 1);
}

bool choice_chosen(lua_State *L, int index, const json_t *chosen)
{
    if (!valid(widget_check(L, index), chosen))
        return false;
    choose(L, index, json_deep_copy(chosen));
    return true;
}

/* ---- from Lua ----------------------------------------------------------------------------------------------------- */

static void push_option(lua_State *L,
                        json_t *labels) /* item on top: "a", 7 or {"label", value}; leaves the value */
{
    size_t len;
    const char *label;

    if (lua_istable(L, -1)) {
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

static void set_options(lua_State *L, int index, int value)
{
    struct model *m = widget_check(L, index);
    json_t *labels = json_array();
    lua_Integer n = (luaL_checktype(L, value, LUA_TTABLE), luaL_len(L, value));

    json_object_set_new(m->state, "_options_labels", labels);
    lua_getiuservalue(L, index, 1);
    lua_createtable(L, (int)n, 0);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_geti(L, value, i);
        push_option(L, labels);
        lua_rawseti(L, -2, i);
    }
    lua_setfield(L, -2, "options");
    lua_pop(L, 1);
    json_object_set_new(m->state, "index", several(m) ? json_array() : n > 0 ? json_integer(0) : json_null());
    if (m->open)
        front_send(L, m, "update",
                   json_pack("{s:O, s:O}", "_options_labels", labels, "index", model_get(m, "index")));
}

/* The position of the value at index `value` among the options, 0-based; raises when it is not there. */
static json_int_t position(lua_State *L, int index, int value)
{
    struct model *m = widget_check(L, index);
    size_t n = json_array_size(model_get(m, "_options_labels"));
    struct err err;

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
    err_set(&err, LC_ARG, "'%s' is not among the options of the %s", luaL_tolstring(L, value, NULL),
            m->row->name);
    session_raise(L, &err);
    return 0;
}

static json_int_t checked_index(lua_State *L, int index, int value)
{
    struct model *m = widget_check(L, index);
    lua_Integer at = luaL_checkinteger(L, value);

    if (at < 1 || (size_t)at > json_array_size(model_get(m, "_options_labels")))
        luaL_error(L, "%s has no option %d", m->row->name, (int)at);
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
        choose(L, index, none ? json_null() : json_integer(one));
        return;
    }
    luaL_checktype(L, value, LUA_TTABLE);
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
    else
        return false;
    return true;
}
