#include "runtime/spark/args_lua.h"
#include "runtime/base/nearest.h"
#include "runtime/base/plural.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

bool spark_is_plain_table(lua_State *L, int index)
{
    return session_is_plain(L, index);
}

const char *spark_text(lua_State *L, int index)
{
    if (lua_type(L, index) != LUA_TSTRING)
        luaL_typeerror(L, index, "string");
    return lua_tostring(L, index);
}

const char *spark_caller(lua_State *L)
{
    lua_Debug ar;

    if (!lua_getstack(L, 0, &ar) || !lua_getinfo(L, "n", &ar) || !ar.name)
        return lua_pushliteral(L, "");
    return lua_pushfstring(L, "%s: ", ar.name);
}

/* Raises "WHAT 'name': did you mean …" */
static int wrong_name(lua_State *L, const char *what, const char *name, const char *const *names)
{
    struct buf near = BUF_INIT(512);
    size_t n = 0;

    while (names[n])
        n++;
    nearest_list(&near, name, names, n, 3);
    lua_pushfstring(L, "%s%s '%s'%s%s", *what == '[' ? "" : spark_caller(L), what, name,
                    near.len ? ": did you mean " : "", buf_str(&near));
    buf_release(&near);
    return luaL_error(L, "%s", lua_tostring(L, -1));
}

/* Only the names in `names`, and positions up to `positions`, may be keys. */
static void check_names(lua_State *L, int table, const char *const *names, lua_Integer positions)
{
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        if (lua_isinteger(L, -2) && (lua_tointeger(L, -2) < 1 || lua_tointeger(L, -2) > positions))
            luaL_error(L, "%sat most %I argument%s expected", spark_caller(L), positions, PLURAL(positions));
        if (lua_type(L, -2) != LUA_TSTRING)
            continue;
        const char *name = lua_tostring(L, -2);
        size_t i = 0;
        while (names[i] && strcmp(names[i], name) != 0)
            i++;
        if (!names[i])
            wrong_name(L, "no argument is named", name, names);
    }
}

static void null_is_nil(lua_State *L, int first, int n)
{
    for (int i = first; i < first + n; i++)
        if (lua_islightuserdata(L, i)) {
            lua_pushnil(L);
            lua_replace(L, i);
        }
}

/* f("a", {how = "left"}): the names of the last argument go to their places. */
static void take_last(lua_State *L, int first, const char *const *names)
{
    int top = lua_gettop(L), n = 0;

    if (top <= first || !spark_is_plain_table(L, top) || lua_rawlen(L, top) > 0)
        return;
    lua_pushnil(L);
    if (!lua_next(L, top))
        return;
    lua_settop(L, top);
    check_names(L, top, names, 0);
    while (names[n])
        n++;
    luaL_checkstack(L, n + 4, NULL);
    for (int i = 0; i < n; i++) {
        int given = lua_getfield(L, top, names[i]);
        if (first + i >= top)
            continue;
        if (given != LUA_TNIL)
            luaL_error(L, "%sargument '%s' is given twice", spark_caller(L), names[i]);
        lua_pop(L, 1);
    }
    lua_remove(L, top);
}

void spark_args(lua_State *L, int first, const char *const *names)
{
    int n = 0, table = 0;

    while (names[n])
        n++;
    if (lua_gettop(L) == first && spark_is_plain_table(L, first)) {
        check_names(L, first, names, n);
        table = first;
    }
    if (!table) {
        take_last(L, first, names);
        if (lua_gettop(L) > first + n - 1)
            luaL_error(L, "at most %d argument%s expected", n, PLURAL(n));
        lua_settop(L, first + n - 1);
        null_is_nil(L, first, n);
        return;
    }
    luaL_checkstack(L, n + 4, NULL);
    for (int i = 0; i < n; i++)
        if (lua_rawgeti(L, table, i + 1) == LUA_TNIL) {
            lua_pop(L, 1);
            lua_getfield(L, table, names[i]);
        }
    lua_remove(L, table);
    null_is_nil(L, first, n);
}

void spark_names(lua_State *L, int table, const char *const *names)
{
    check_names(L, table, names, LUA_MAXINTEGER);
}

bool spark_bool(lua_State *L, int index)
{
    if (!lua_isnoneornil(L, index) && !lua_isboolean(L, index))
        luaL_typeerror(L, index, "boolean");
    return lua_toboolean(L, index);
}

int spark_list(lua_State *L, int first)
{
    static const char *const none[] = {NULL};
    int n = lua_gettop(L) - first + 1;

    if (n != 1 || !spark_is_plain_table(L, first))
        return n < 0 ? 0 : n;
    check_names(L, first, none, LUA_MAXINTEGER);
    n = (int)lua_rawlen(L, first);
    luaL_checkstack(L, n + 8, "too many columns");
    for (int i = 1; i <= n; i++)
        lua_rawgeti(L, first, i);
    lua_remove(L, first);
    return n;
}

int spark_choice(lua_State *L, int index, const char *fallback, const char *what, const char *const *names)
{
    const char *given = fallback && lua_isnoneornil(L, index) ? fallback : spark_text(L, index);
    char plain[32];
    size_t n = 0;

    for (const char *p = given; *p && n < sizeof plain - 1; p++)
        if (*p != '_')
            plain[n++] = (char)tolower((unsigned char)*p);
    plain[n] = '\0';
    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], plain) == 0)
            return i;
    return wrong_name(L, what, given, names);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char **spark_keys(lua_State *L, int index, int *n)
{
    const char **keys;
    int count = 0;

    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1), count++)
        luaL_argcheck(L, lua_type(L, -2) == LUA_TSTRING, index, "a table with names as keys expected");
    keys = lua_newuserdatauv(L, sizeof *keys * (size_t)(count + 1), 0);
    *n = 0;
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1))
        keys[(*n)++] = lua_tostring(L, -2);
    qsort(keys, (size_t)count, sizeof *keys, by_text);
    return keys;
}

void spark_options(lua_State *L, const char *format, enum source_use use, const struct plan_options *options)
{
    for (size_t i = 0; i < options->n; i++) {
        const char *meant = source_option_meant(format, use, options->items[i].key);

        if (meant)
            luaL_error(L, "no option is named '%s': did you mean '%s'", options->items[i].key, meant);
    }
}

void spark_functions(lua_State *L, const struct manual_row *functions)
{
    lua_newtable(L);
    for (; functions->name; functions++) {
        lua_pushcfunction(L, functions->function);
        lua_setfield(L, -2, functions->name);
    }
}

void spark_methods(lua_State *L, const struct manual_row *methods, const char *class)
{
    lua_newtable(L);
    manual_set_methods(L, methods, class);
}
