#include "runtime/session/results.h"
#include "runtime/session/session_int.h"
#include <string.h>

/* Sets a global to the value on the top of the stack and pops it, unless the user has given it another one. */
static void offer(lua_State *L, const char *name)
{
    int value = lua_gettop(L);

    session_table(L, TABLE_BASE);
    lua_getfield(L, -1, name);
    lua_pushglobaltable(L);
    lua_pushstring(L, name);
    lua_rawget(L, -2);
    if (lua_rawequal(L, -1, value + 2)) { /* still what was put there last, or nothing */
        lua_pushvalue(L, value);
        lua_setfield(L, value + 1, name);
        lua_pushstring(L, name);
        lua_pushvalue(L, value);
        lua_rawset(L, value + 3);
    }
    lua_settop(L, value - 1);
}

/* The table that is kept under a name of its own in TABLE_BASE: In is ours even when the user has his own. */
static void push_list(lua_State *L, const char *name, const char *key)
{
    session_table(L, TABLE_BASE);
    if (lua_getfield(L, -1, key) != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_setfield(L, -3, key);
        lua_pushvalue(L, -1);
        offer(L, name);
    }
    lua_remove(L, -2);
}

static void forget_old(lua_State *L, int number)
{
    if (number <= RESULTS_KEPT)
        return;
    lua_pushnil(L);
    lua_rawseti(L, -2, number - RESULTS_KEPT);
}

void results_input(lua_State *L, int number, const char *text, size_t len)
{
    push_list(L, "In", "\1In");
    lua_pushlstring(L, text, len);
    lua_rawseti(L, -2, number);
    forget_old(L, number);
    lua_pop(L, 1);
    session_table(L, TABLE_BASE);
    lua_pushinteger(L, number);
    lua_setfield(L, -2, "\1now");
    lua_pop(L, 1);
}

void results_keep(lua_State *L, int number, int index)
{
    index = lua_absindex(L, index);
    push_list(L, "Out", "\1Out");
    lua_pushvalue(L, index);
    lua_rawseti(L, -2, number);
    forget_old(L, number);
    lua_pop(L, 1);
    session_table(L, TABLE_BASE);
    lua_getfield(L, -1, "_");
    offer(L, "__");
    lua_pop(L, 1);
    lua_pushvalue(L, index);
    offer(L, "_");
}

/* The number of the cell that _i, _ii or _iii means, or 0. */
static lua_Integer inputs_ago(lua_State *L, const char *name)
{
    size_t n = *name == '_' ? strspn(name + 1, "i") : 0;
    lua_Integer now;

    if (n < 1 || n > 3 || name[n + 1])
        return 0;
    session_table(L, TABLE_BASE);
    lua_getfield(L, -1, "\1now");
    now = lua_tointeger(L, -1);
    lua_pop(L, 2);
    return now > (lua_Integer)n ? now - (lua_Integer)n : 0;
}

bool results_push(lua_State *L, const char *name)
{
    const bool input = name[0] == '_' && name[1] == 'i';
    const char *number = name + 1 + input;
    int top = lua_gettop(L);
    lua_Integer n = inputs_ago(L, name);

    if (n)
        number = "";
    else if (*name != '_' || *number < '1' || *number > '9') /* _01 is no name of a result */
        return false;
    for (; *number >= '0' && *number <= '9' && n < 100000000; number++)
        n = n * 10 + (*number - '0');
    if (*number)
        return false;
    session_table(L, TABLE_BASE);
    if (lua_getfield(L, -1, input ? "\1In" : "\1Out") == LUA_TTABLE)
        lua_rawgeti(L, -1, n);
    lua_replace(L, top + 1);
    lua_settop(L, top + 1);
    return true;
}

void results_arguments(lua_State *L, const char *const *args)
{
    if (!args)
        return;
    lua_newtable(L);
    for (int i = 0; args[i]; i++) {
        lua_pushstring(L, args[i]);
        lua_rawseti(L, -2, i);
    }
    offer(L, "arg");
}
