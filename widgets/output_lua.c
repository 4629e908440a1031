/* output_lua.c: the Output widget: what runs in out:capture(fn) prints into it. */
#include "widgets/widget_lua.h"
#include <string.h>

static const char closer_name[] = "lacus.widget_capture";

static struct model *check_output(lua_State *L)
{
    struct model *m = widget_check(L, 1);

    luaL_argcheck(L, m->row->traits & WIDGET_GATHERS, 1, "an Output expected");
    return m;
}

/* The front end routes what carries this request's id into the widget; "" ends it. */
static void route(lua_State *L, struct model *m, const char *id)
{
    bool changed;
    struct err err;

    if (model_set(m, "msg_id", json_string(id), &changed, &err) == LC_OK && m->open)
        front_send(L, m, "update", json_pack("{s:s}", "msg_id", id));
}

/* Ends the capture however the function ends: it is a to-be-closed value, which an interrupt closes too. The
 * capture that it was in goes on. */
static int closer_close(lua_State *L)
{
    lua_getiuservalue(L, 1, 1);
    lua_getiuservalue(L, 1, 2);
    if (widget_test(L, -2))
        route(L, widget_check(L, -2), lua_tostring(L, -1));
    lua_pushnil(L);
    lua_setiuservalue(L, 1, 1);
    return 0;
}

static void push_closer(lua_State *L, const struct model *m)
{
    lua_newuserdatauv(L, 0, 2);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    lua_pushstring(L, json_string_value(model_get(m, "msg_id")));
    lua_setiuservalue(L, -2, 2);
    if (luaL_newmetatable(L, closer_name)) {
        lua_pushcfunction(L, closer_close);
        lua_setfield(L, -2, "__close");
    }
    lua_setmetatable(L, -2);
}

static int captured(lua_State *L, int status, lua_KContext closer)
{
    (void)status;
    lua_closeslot(L, (int)closer);
    return lua_gettop(L) - (int)closer;
}

static void begin(lua_State *L, struct model *m)
{
    const struct frontend *f = session_frontend(session_of(L));

    if (!front_rich(L) || !f->ops->request_id)
        return;
    front_open(L, 1);
    route(L, m, f->ops->request_id(f->self));
}

/* out:capture(fn, …) → what fn returns; local _ <close> = out:capture(): until the end of the block */
static int l_capture(lua_State *L)
{
    struct model *m = check_output(L);
    int nargs = lua_gettop(L) - 2, closer = 2;

    if (nargs < 0) {
        push_closer(L, m);
        begin(L, m);
        return 1;
    }
    luaL_checktype(L, 2, LUA_TFUNCTION);
    push_closer(L, m);
    lua_insert(L, 2);
    lua_toclose(L, closer);
    begin(L, m);
    lua_callk(L, nargs, LUA_MULTRET, closer, captured);
    return captured(L, LUA_OK, closer);
}

static int l_clear(lua_State *L) /* out:clear_output() */
{
    check_output(L);
    widget_assign(L, 1, "outputs", json_array());
    return 0;
}

static int append(lua_State *L, json_t *item) /* takes item */
{
    struct model *m = check_output(L);
    json_t *outputs = json_copy(model_get(m, "outputs"));

    json_array_append_new(outputs, item);
    widget_assign(L, 1, "outputs", outputs);
    return 0;
}

static int append_stream(lua_State *L, const char *name)
{
    struct err err;
    json_t *text;

    check_output(L);
    luaL_checkstring(L, 2);
    text = session_to_json(L, 2, &err);
    if (!text)
        return session_raise(L, &err);
    return append(L, json_pack("{s:s, s:s, s:o}", "output_type", "stream", "name", name, "text", text));
}

static int l_append_stdout(lua_State *L)
{
    return append_stream(L, "stdout");
}

static int l_append_stderr(lua_State *L)
{
    return append_stream(L, "stderr");
}

static int l_append_display(lua_State *L) /* out:append_display_data(x) */
{
    check_output(L);
    luaL_checkany(L, 2);
    return append(L, json_pack("{s:s, s:o, s:{}}", "output_type", "display_data", "data",
                               session_mimebundle(L, 2), "metadata"));
}

const luaL_Reg output_methods[] = {
    {"capture", l_capture},
    {"clear_output", l_clear},
    {"append_stdout", l_append_stdout},
    {"append_stderr", l_append_stderr},
    {"append_display_data", l_append_display},
    {NULL, NULL},
};
