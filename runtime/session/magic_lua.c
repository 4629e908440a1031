#include "runtime/session/magic_lua.h"
#include "runtime/session/magic.h"
#include <ctype.h>
#include <string.h>

static const char table_key = 0;
enum { PART_FUNCTION = 1, PART_KINDS, PART_USAGE, PART_DOC };

/* Pushes the table, or nil. */
static bool push_table(lua_State *L, bool make)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &table_key) == LUA_TTABLE || !make)
        return lua_istable(L, -1);
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &table_key);
    return true;
}

int magic_lua_register(lua_State *L)
{
    size_t len;
    const char *name = luaL_checklstring(L, 1, &len);

    for (size_t i = 0; i < len; i++)
        luaL_argcheck(L, isalnum((unsigned char)name[i]) || name[i] == '_', 1,
                      "letters, digits and _ make a name");
    luaL_argcheck(L, len > 0 && !magic_find(session_of(L), name, len, MAGIC_LINE | MAGIC_CELL), 1,
                  "this name is taken by lacus");
    push_table(L, true);
    lua_pushvalue(L, 1);
    if (lua_isnil(L, 2)) {
        lua_pushnil(L);
    } else {
        luaL_checktype(L, 2, LUA_TFUNCTION);
        lua_createtable(L, 4, 0);
        for (int part = PART_FUNCTION; part <= PART_DOC; part++) {
            lua_pushvalue(L, 1 + part);
            lua_rawseti(L, -2, part);
        }
    }
    lua_rawset(L, -3);
    return 0;
}

/* Pushes the entry. */
static bool push_entry(lua_State *L, const char *name, size_t len)
{
    int top = lua_gettop(L);

    if (push_table(L, false)) {
        lua_pushlstring(L, name, len);
        if (lua_rawget(L, -2) == LUA_TTABLE) {
            lua_replace(L, top + 1);
            return true;
        }
    }
    lua_settop(L, top);
    return false;
}

static bool is_kind(lua_State *L, unsigned kind) /* of the entry on the top */
{
    bool is;

    lua_rawgeti(L, -1, PART_KINDS);
    is = (lua_tointeger(L, -1) & (lua_Integer)kind) != 0;
    lua_pop(L, 1);
    return is;
}

bool magic_lua_push(lua_State *L, const char *name, size_t len, unsigned kind)
{
    if (!push_entry(L, name, len))
        return false;
    if (!is_kind(L, kind)) {
        lua_pop(L, 1);
        return false;
    }
    lua_rawgeti(L, -1, PART_FUNCTION);
    lua_remove(L, -2);
    return true;
}

bool magic_lua_describe(lua_State *L, const char *name, size_t len)
{
    if (!push_entry(L, name, len))
        return false;
    lua_rawgeti(L, -1, PART_USAGE);
    lua_rawgeti(L, -2, PART_DOC);
    lua_remove(L, -3);
    return true;
}

void magic_lua_names(lua_State *L, unsigned kind)
{
    lua_Integer n = 0;

    lua_newtable(L);
    if (!push_table(L, false)) {
        lua_pop(L, 1);
        return;
    }
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
        if (is_kind(L, kind)) {
            lua_pushvalue(L, -2);
            lua_rawseti(L, -5, ++n);
        }
    lua_pop(L, 1);
    lua_getglobal(L, "table");
    lua_getfield(L, -1, "sort");
    lua_pushvalue(L, -3);
    lua_call(L, 1, 0);
    lua_pop(L, 1);
}
