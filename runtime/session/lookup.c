#include "runtime/session/lookup.h"
#include "runtime/session/cell.h"
#include "runtime/session/scan.h"
#include "runtime/session/session_int.h"
#include <string.h>

enum { INHERITANCE = 10 };

/* ---- the text ---- */
static void add_part(struct chain *c, const char *name, size_t len, char separator)
{
    if (c->n == CHAIN_PARTS) {
        c->unknown = true;
        return;
    }
    c->parts[c->n++] = (struct chain_part){.name = name, .len = len, .separator = separator};
}

static void begin_chain(struct chain *c)
{
    c->n = 0;
    c->literal = c->unknown = false;
}

static bool ends_operand(const struct scan *x)
{
    return x->kind == SCAN_STRING || scan_is(x, ")") || scan_is(x, "]") || scan_is(x, "}");
}

/* One token more; *before is the one before it. */
static void follow(struct chain *c, const struct scan *x, const struct scan *before)
{
    bool selected = before->kind == SCAN_OPERATOR && (before->traits & SCAN_SELECTS);

    if (x->kind == SCAN_NAME && selected) {
        add_part(c, x->at, x->len, *before->at);
    } else if (x->kind == SCAN_NAME) {
        begin_chain(c);
        add_part(c, x->at, x->len, 0);
    } else if (x->kind == SCAN_STRING && before->kind != SCAN_NAME && !ends_operand(before)) {
        begin_chain(c);
        c->literal = true;
        add_part(c, x->at, 0, 0);
    } else if (!(x->traits & SCAN_SELECTS)) {
        c->unknown = ends_operand(x);
        c->n = 0;
        c->literal = false;
    }
}

/* Between the last token and the end of the text there are only blanks and comments: does one reach the end? */
static bool ends_in_comment(const char *gap, const char *end)
{
    const char *line = end;

    while (line > gap && line[-1] != '\n')
        line--;
    return memmem(line, (size_t)(end - line), "--", 2) != NULL;
}

bool lookup_chain(const char *text, size_t len, struct chain *c)
{
    struct scan before = {.at = text}, x;

    *c = (struct chain){0};
    for (x = scan_begin(text, len); x.kind; scan_next(&x)) {
        if (x.open && x.kind == SCAN_STRING) {
            c->in_string = true;
            c->string_start = x.at + 1;
            return false;
        }
        follow(c, &x, &before);
        before = x;
    }
    if (x.open || ends_in_comment(before.kind ? before.next : text, text + len))
        return false;
    bool touches = before.kind && before.next == text + len;
    bool selects = before.kind == SCAN_OPERATOR && (before.traits & SCAN_SELECTS);
    if (selects) {
        add_part(c, text + len, 0, *before.at);
        return c->n > 1 && !c->unknown;
    }
    if (before.kind == SCAN_NAME && touches)
        return !c->unknown && (c->n > 1 || !before.field);
    if (touches && (before.kind == SCAN_NUMBER || before.kind == SCAN_STRING))
        return false;
    begin_chain(c);
    if (touches && before.kind == SCAN_KEYWORD)
        add_part(c, before.at, before.len, 0);
    else
        add_part(c, text + len, 0, 0);
    return true;
}

/* ---- values ---- */
static bool found_or_pop(lua_State *L)
{
    if (!lua_isnil(L, -1))
        return true;
    lua_pop(L, 1);
    return false;
}

static bool push_global(lua_State *L, const char *name, size_t len)
{
    if (cell_local(L, name, len))
        return true;
    lua_pushglobaltable(L);
    lua_pushlstring(L, name, len);
    lua_gettable(L, -2); /* opens lazy ones */
    lua_remove(L, -2);
    return found_or_pop(L);
}

static bool call_index(lua_State *L, int index, const char *name, size_t len) /* __index is on the top */
{
    lua_pushvalue(L, index);
    lua_pushlstring(L, name, len);
    if (lua_pcall(L, 2, 1, 0) != LUA_OK) {
        lua_pop(L, 1);
        return false;
    }
    return found_or_pop(L);
}

static bool field_at(lua_State *L, int index, const char *name, size_t len, int depth)
{
    index = lua_absindex(L, index);
    luaL_checkstack(L, 6, NULL);
    if (lua_istable(L, index)) {
        lua_pushlstring(L, name, len);
        lua_rawget(L, index);
        if (found_or_pop(L))
            return true;
    }
    if (depth == 0 || luaL_getmetafield(L, index, "__index") == LUA_TNIL)
        return false;
    if (lua_iscfunction(L, -1))
        return call_index(L, index, name, len);
    bool found = (lua_istable(L, -1) || lua_isuserdata(L, -1)) && field_at(L, -1, name, len, depth - 1);
    lua_remove(L, found ? -2 : -1);
    return found;
}

bool lookup_field(lua_State *L, int index, const char *name, size_t len)
{
    return field_at(L, index, name, len, INHERITANCE);
}

bool lookup_push(lua_State *L, const struct chain *c, int n)
{
    bool found;

    luaL_checkstack(L, 10, NULL);
    if (n < 1 || c->unknown)
        return false;
    if (c->literal)
        lua_pushliteral(L, "");
    else if (!push_global(L, c->parts[0].name, c->parts[0].len))
        return false;
    for (int i = 1; i < n; i++) {
        found = lookup_field(L, -1, c->parts[i].name, c->parts[i].len);
        lua_remove(L, found ? -2 : -1);
        if (!found)
            return false;
    }
    return true;
}

/* ---- members ---- */
static void table_members(lua_State *L, int index, lookup_fn *fn, void *arg)
{
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1))
        if (lua_type(L, -2) == LUA_TSTRING)
            fn(L, arg, lua_tostring(L, -2));
}

/* __dir is on the top: it gives names (of methods, mostly), or {name = value}. */
static void listed_members(lua_State *L, int index, lookup_fn *fn, void *arg)
{
    int list = lua_gettop(L);

    lua_pushvalue(L, index);
    if (lua_pcall(L, 1, 1, 0) == LUA_OK && lua_istable(L, list)) {
        table_members(L, list, fn, arg);
        for (lua_Integer i = 1; lua_rawgeti(L, list, i) != LUA_TNIL; i++, lua_pop(L, 1))
            if (lua_type(L, -1) == LUA_TSTRING) {
                lua_pushnil(L);
                fn(L, arg, lua_tostring(L, -2));
                lua_pop(L, 1);
            }
    }
    lua_settop(L, list - 1);
}

static void members_at(lua_State *L, int index, lookup_fn *fn, void *arg, int depth)
{
    int top = lua_gettop(L);

    index = lua_absindex(L, index);
    luaL_checkstack(L, 10, NULL);
    if (lua_istable(L, index))
        table_members(L, index, fn, arg);
    if (depth && luaL_getmetafield(L, index, "__dir") != LUA_TNIL)
        listed_members(L, index, fn, arg);
    if (depth && luaL_getmetafield(L, index, "__index") != LUA_TNIL &&
        (lua_istable(L, -1) || lua_isuserdata(L, -1)))
        members_at(L, -1, fn, arg, depth - 1);
    lua_settop(L, top);
}

void lookup_members(lua_State *L, int index, lookup_fn *fn, void *arg)
{
    members_at(L, index, fn, arg, INHERITANCE);
}
