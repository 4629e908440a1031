/* native_lua.c: what the Lua part of widgets (runtime/lib/lacus/widgets.lua) asks of the C part. */
#include "widgets/widget_lua.h"
#include <string.h>

static int l_extend(lua_State *L) /* (widget, table): fields of this one widget */
{
    widget_check(L, 1);
    lua_settop(L, 2);
    widget_set_own(L, 1, "extra");
    return 0;
}

static int l_own(lua_State *L) /* (widget) → its table */
{
    widget_check(L, 1);
    lua_getiuservalue(L, 1, 1);
    return 1;
}

static int l_is_widget(lua_State *L)
{
    struct model *m = widget_test(L, 1);

    if (m)
        lua_pushstring(L, m->row->name);
    else
        lua_pushnil(L);
    return 1;
}

static int l_hold(lua_State *L) /* (widget, held): messages wait, until as many calls end it */
{
    struct model *m = widget_check(L, 1);

    m->held += lua_toboolean(L, 2) ? 1 : -1;
    if (m->held == 0)
        front_late(L, m);
    return 0;
}

static int l_notify(lua_State *L) /* (widget, name, old, new) */
{
    front_notify(L, 1, luaL_checkstring(L, 2), 3, 4);
    return 0;
}

static int l_link(lua_State *L) /* ("Link" or "DirectionalLink", source, key, target, key) → the model */
{
    struct model *source = widget_check(L, 2), *target = widget_check(L, 4), *m;
    const char *names[2] = {luaL_checkstring(L, 3), luaL_checkstring(L, 5)};
    const struct widget_row *row = widget_row_find(luaL_checkstring(L, 1));

    luaL_argcheck(L, row && row->traits & WIDGET_LINK, 1, "a link expected");
    luaL_argcheck(L, model_get(source, names[0]), 3, "no such field that a front end has");
    luaL_argcheck(L, model_get(target, names[1]), 5, "no such field that a front end has");
    m = widget_push(L, row);
    json_object_set_new(m->state, "source",
                        json_pack("[o, s]", json_sprintf(MODEL_REFERENCE "%s", source->id), names[0]));
    json_object_set_new(m->state, "target",
                        json_pack("[o, s]", json_sprintf(MODEL_REFERENCE "%s", target->id), names[1]));
    front_open(L, 2);
    front_open(L, 4);
    front_open(L, lua_gettop(L));
    return 1;
}

static int l_classes(lua_State *L) /* (widget, list): CSS classes */
{
    struct err err;
    json_t *list = session_to_json(L, 2, &err);

    if (!list)
        return session_raise(L, &err);
    widget_assign(L, 1, "_dom_classes", list);
    return 0;
}

static int l_class_list(lua_State *L) /* (widget) → list */
{
    session_push_json(L, model_get(widget_check(L, 1), "_dom_classes"));
    return 1;
}

static int l_custom(lua_State *L) /* (widget, content): a custom message to the front end */
{
    struct model *m = widget_check(L, 1);
    json_t **slot = session_json_slot(L), *data;
    struct err err;

    *slot = session_to_json(L, 2, &err);
    if (!*slot)
        return session_raise(L, &err);
    if (!m->open)
        return 0;
    data = json_pack("{s:s, s:O}", "method", "custom", "content", *slot);
    if (session_comm_send(session_of(L), COMM_MSG, m->id, data, NULL, NULL, &err) != LC_OK)
        err_clear(&err);
    json_decref(data);
    return 0;
}

static int l_fields(lua_State *L) /* (widget) → {name, …}, as they are in a state */
{
    struct model *m = widget_check(L, 1);
    const char *key;
    json_t *value;
    lua_Integer n = 0;

    lua_newtable(L);
    json_object_foreach (m->state, key, value) {
        if (!model_is_private(key)) {
            lua_pushstring(L, key);
            lua_rawseti(L, -2, ++n);
        }
    }
    return 1;
}

struct attempt {
    int ref; /* of the function in the registry */
    bool ok;
};

static int run_attempt(lua_State *L)
{
    struct attempt *a = lua_touserdata(L, 1);

    lua_rawgeti(L, LUA_REGISTRYINDEX, a->ref);
    lua_call(L, 0, 0);
    a->ok = true;
    return 0;
}

static int l_attempt(lua_State *L) /* (fn) → true; or its error was shown, as a cell's is */
{
    struct attempt a = {0};

    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    a.ref = luaL_ref(L, LUA_REGISTRYINDEX);
    session_callback(session_of(L), run_attempt, &a);
    luaL_unref(L, LUA_REGISTRYINDEX, a.ref);
    lua_pushboolean(L, a.ok);
    return 1;
}

static int l_all(lua_State *L) /* → {id = widget} */
{
    front_all(L);
    return 1;
}

static int l_rich(lua_State *L)
{
    lua_pushboolean(L, front_rich(L));
    return 1;
}

void widgets_native(lua_State *L)
{
    static const luaL_Reg native[] = {
        {"extend", l_extend},
        {"own", l_own},
        {"is_widget", l_is_widget},
        {"hold", l_hold},
        {"notify", l_notify},
        {"link", l_link},
        {"classes", l_classes},
        {"class_list", l_class_list},
        {"custom", l_custom},
        {"fields", l_fields},
        {"attempt", l_attempt},
        {"raise", session_raise_text},
        {"rich", l_rich},
        {"all", l_all},
        {NULL, NULL},
    };

    luaL_newlib(L, native);
}
