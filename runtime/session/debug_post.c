/* What is kept of an error that ended a cell, so that it can be looked into afterwards: the frames and what their
 * variables held, until the next such error. */
#include "runtime/session/debug_int.h"
#include "runtime/session/session_int.h"
#include <string.h>

enum { KEPT_FRAMES = 24, KEPT_NAMES = 60 };

static const char kept_key, inner_key;

static void set_field(lua_State *L, const char *name, const char *text)
{
    lua_pushstring(L, text);
    lua_setfield(L, -2, name);
}

/* (…, list, value) on L: the list gets them. */
static void append(lua_State *L, const char *name)
{
    lua_Integer n = (lua_Integer)lua_rawlen(L, -2) + 1;

    lua_rawgeti(L, -2, 0);
    lua_insert(L, -2);
    lua_rawseti(L, -2, n);
    lua_pop(L, 1);
    lua_pushstring(L, name);
    lua_rawseti(L, -2, n);
}

static void new_list(lua_State *L) /* {[0] = values by number, names…} */
{
    lua_newtable(L);
    lua_newtable(L);
    lua_rawseti(L, -2, 0);
}

static void keep_variables(lua_State *L, lua_State *co, lua_Debug *ar)
{
    const char *name;
    int n = 0;

    new_list(L);
    for (int i = 1; n < KEPT_NAMES && lua_checkstack(co, 4) && (name = lua_getlocal(co, ar, i)) != NULL;
         i++, n++) {
        if (co != L)
            lua_xmove(co, L, 1);
        append(L, name);
    }
    lua_setfield(L, -2, "locals");
    new_list(L);
    lua_getinfo(co, "f", ar);
    if (co != L)
        lua_xmove(co, L, 1);
    for (int i = 1; i <= KEPT_NAMES && (name = lua_getupvalue(L, -1, i)) != NULL; i++) {
        lua_pushvalue(L, -3);
        lua_insert(L, -2);
        append(L, name);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    lua_setfield(L, -2, "upvalues");
}

/* Appends the frames of co to the list on top of L. */
static void keep_frames(lua_State *L, lua_State *co)
{
    lua_Debug ar;

    for (int i = 0; lua_rawlen(L, -1) < KEPT_FRAMES && lua_getstack(co, i, &ar); i++) {
        lua_getinfo(co, "Slnt", &ar);
        if (strcmp(ar.what, "C") == 0 || strncmp(ar.source, "=lacus.", 7) == 0)
            continue;
        lua_createtable(L, 0, 6);
        set_field(L, "chunk", ar.source);
        set_field(L, "short", ar.short_src);
        set_field(L, "name", ar.name ? ar.name : "");
        lua_pushinteger(L, ar.currentline);
        lua_setfield(L, -2, "line");
        keep_variables(L, co, &ar);
        lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    }
}

static int
keep_main(lua_State *L) /* (coroutine or nil): those of a coroutine are kept for the error that comes of it */
{
    lua_State *co = lua_tothread(L, 1);

    luaL_checkstack(L, 20, NULL);
    if (co) {
        lua_newtable(L);
        keep_frames(L, co);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &inner_key);
        return 0;
    }
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &inner_key) != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_newtable(L);
    }
    keep_frames(L, L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &kept_key);
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &inner_key);
    return 0;
}

void debug_keep(lua_State *L, lua_State *co)
{
    if (!lua_checkstack(L, 6) || (co && !lua_checkstack(co, 2)))
        return;
    lua_pushcfunction(L, keep_main);
    if (co) {
        lua_pushthread(co);
        lua_xmove(co, L, 1);
    } else {
        lua_pushnil(L);
    }
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) /* no memory: there is less to look into */
        lua_pop(L, 1);
}

/* ---- looking into it ---- */
int debug_kept(lua_State *L)
{
    int n = lua_rawgetp(L, LUA_REGISTRYINDEX, &kept_key) == LUA_TTABLE ? (int)lua_rawlen(L, -1) : 0;

    lua_pop(L, 1);
    return n;
}

void debug_kept_chunk(lua_State *L, int frame, lua_Debug *ar)
{
    memset(ar, 0, sizeof *ar);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &kept_key);
    lua_rawgeti(L, -1, frame);
    lua_getfield(L, -1, "chunk"); /* these texts live as long as the table */
    ar->source = lua_tostring(L, -1);
    lua_getfield(L, -2, "name");
    ar->name = *lua_tostring(L, -1) ? lua_tostring(L, -1) : NULL;
    lua_getfield(L, -3, "line");
    ar->currentline = (int)lua_tointeger(L, -1);
    lua_getfield(L, -4, "short");
    snprintf(ar->short_src, sizeof ar->short_src, "%s", lua_tostring(L, -1));
    ar->what = ar->name ? "Lua" : "main";
    lua_pop(L, 6);
}

static bool push_list(lua_State *L, int frame, bool up)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &kept_key) != LUA_TTABLE) {
        lua_pop(L, 1);
        return false;
    }
    lua_rawgeti(L, -1, frame);
    lua_getfield(L, -1, up ? "upvalues" : "locals");
    lua_replace(L, -3);
    lua_pop(L, 1);
    return true;
}

const char *debug_kept_variable(lua_State *L, int frame, bool up, int n)
{
    const char *name;

    if (n < 1 || !lua_checkstack(L, 6) || !push_list(L, frame, up))
        return NULL;
    lua_rawgeti(L, -1, n);
    name = lua_tostring(L, -1);
    lua_rawgeti(L, -2, 0);
    lua_rawgeti(L, -1, n);
    lua_insert(L, -4); /* value below list, name, values */
    lua_pop(L, name ? 3 : 4);
    return name;
}

void debug_kept_put(lua_State *L, int frame, bool up, int n)
{
    if (push_list(L, frame, up)) {
        lua_rawgeti(L, -1, 0);
        lua_pushvalue(L, -3);
        lua_rawseti(L, -2, n);
        lua_pop(L, 2);
    }
    lua_pop(L, 1);
}
