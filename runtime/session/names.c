#include "runtime/session/names.h"
#include "runtime/base/lua_library.h"
#include "runtime/session/cell.h"
#include "runtime/session/results.h"
#include "runtime/session/session_int.h"
#include <string.h>

/* ---- lazy globals ---- */
static const struct session_global *find(const struct session_global *rows, const char *name)
{
    for (; rows && rows->name; rows++)
        if (strcmp(rows->name, name) == 0)
            return rows;
    return NULL;
}

const struct session_global *names_lazy(const struct session *s, const char *name)
{
    const struct session_global *row = find(s->globals, name);

    return row ? row : find(names_builtin, name);
}

/* Pushes the value of a lazy global, opened now or before. */
static void push_global(lua_State *L, const struct session_global *row)
{
    int top = lua_gettop(L);

    session_table(L, TABLE_BASE);
    if (lua_getfield(L, top + 1, row->name) == LUA_TNIL) {
        row->open(L);
        lua_pushvalue(L, -1);
        lua_setfield(L, top + 1, row->name);
    }
    lua_replace(L, top + 1);
    lua_settop(L, top + 1);
}

static int l_index(lua_State *L) /* __index of _G */
{
    const struct session_global *row;

    if (lua_type(L, 2) != LUA_TSTRING)
        return 0;
    if (results_push(L, lua_tostring(L, 2)))
        return 1;
    row = names_lazy(session_of(L), lua_tostring(L, 2));
    if (!row)
        return 0;
    push_global(L, row);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, -2);
    lua_rawset(L, 1);
    return 1;
}

/* ---- require ---- */
static int l_loader(lua_State *L) /* require's loader: (name) */
{
    push_global(L, names_lazy(session_of(L), luaL_checkstring(L, 1)));
    return 1;
}

static int l_searcher(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);

    for (const struct lua_library_file *f = lua_library; f->name; f++)
        if (strcmp(f->name, name) == 0) {
            lua_pushfstring(L, "=%s", name);
            if (luaL_loadbufferx(L, f->text, f->len, lua_tostring(L, -1), "t") != LUA_OK)
                return lua_error(L);
            return 1;
        }
    if (names_lazy(session_of(L), name)) {
        lua_pushcfunction(L, l_loader);
        return 1;
    }
    lua_pushfstring(L, "no part of lacus is named '%s'", name);
    return 1;
}

static void add_searcher(lua_State *L)
{
    lua_Integer n;

    lua_getglobal(L, "package");
    lua_getfield(L, -1, "searchers");
    n = (lua_Integer)lua_rawlen(L, -1);
    for (; n > 1; n--) { /* second: after preload, before files */
        lua_rawgeti(L, -1, n);
        lua_rawseti(L, -2, n + 1);
    }
    lua_pushcfunction(L, l_searcher);
    lua_rawseti(L, -2, 2);
    lua_pop(L, 2);
}

void names_open(struct session *s)
{
    lua_State *L = s->L;

    add_searcher(L);
    lua_pushglobaltable(L);
    session_table(L, TABLE_BASE);
    for (lua_pushnil(L); lua_next(L, -3);) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, -4);
    }
    lua_pop(L, 1);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, l_index);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
}

/* ---- lists ---- */
struct list {
    const char **names;
    size_t n, cap;
    bool failed;
};

static void add(struct list *l, const char *name)
{
    if (l->n == l->cap && !l->failed) {
        size_t cap = l->cap ? l->cap * 2 : 64;
        const char **names = mem_reallocn(l->names, cap, sizeof *names);

        if (!names) {
            l->failed = true;
            return;
        }
        l->names = names;
        l->cap = cap;
    }
    if (!l->failed && (l->names[l->n] = mem_strdup(name)) != NULL)
        l->n++;
}

static void add_rows(struct list *l, const struct session_global *rows)
{
    for (; rows && rows->name; rows++)
        add(l, rows->name);
}

static void add_keys(struct list *l, lua_State *L) /* of the table on the top */
{
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
        if (lua_type(L, -2) == LUA_TSTRING)
            add(l, lua_tostring(L, -2));
}

const char **names_known(struct session *s, size_t *n)
{
    lua_State *L = s->hook.running ? s->hook.running : s->L;
    struct list l = {0};

    *n = 0;
    if (!lua_checkstack(L, 6))
        return NULL;
    lua_pushglobaltable(L);
    add_keys(&l, L);
    lua_pop(L, 1);
    session_table(L, TABLE_CARRIED);
    add_keys(&l, L);
    lua_pop(L, 1);
    add_rows(&l, s->globals);
    add_rows(&l, names_builtin);
    *n = l.n;
    return l.names;
}

void names_free(const char **names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        mem_free((void *)(uintptr_t)names[i]);
    mem_free(names);
}

/* ---- the user's own ---- */
static bool is_base(lua_State *L, int base) /* name at -2, value at -1 */
{
    bool same;

    lua_pushvalue(L, -2);
    lua_rawget(L, base);
    same = lua_rawequal(L, -1, -2);
    lua_pop(L, 1);
    return same;
}

int session_user_names(lua_State *L)
{
    int result, base;

    luaL_checkstack(L, 10, NULL);
    lua_newtable(L);
    result = lua_gettop(L);
    session_table(L, TABLE_BASE);
    base = result + 1;
    lua_pushglobaltable(L);
    for (lua_pushnil(L); lua_next(L, base + 1); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || is_base(L, base))
            continue;
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, result);
    }
    session_table(L, TABLE_CARRIED);
    for (lua_pushnil(L); lua_next(L, base + 2); lua_pop(L, 1)) {
        lua_pushvalue(L, -2);
        lua_getupvalue(L, -2, 1);
        lua_rawset(L, result);
    }
    lua_settop(L, result);
    return 1;
}

bool session_forget(lua_State *L, const char *name)
{
    bool known = cell_forget(L, name);

    lua_pushglobaltable(L);
    lua_pushstring(L, name);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, -3) != LUA_TNIL) {
        known = true;
        lua_pop(L, 1);
        session_table(L, TABLE_BASE);
        lua_pushvalue(L, -2);
        lua_rawget(L, -2); /* a shadowed name is what it was */
        lua_remove(L, -2);
        lua_rawset(L, -3);
        lua_pop(L, 1);
    } else {
        lua_pop(L, 3);
    }
    return known;
}
