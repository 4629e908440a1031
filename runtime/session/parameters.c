/* The parameters of a Lua function that a call is written with, for completion: interact(f, {|. */
#include "runtime/session/lookup.h"
#include "runtime/session/manual_int.h"
#include "runtime/session/scan.h"
#include "runtime/session/session_int.h"
#include <string.h>

static bool is_word(const struct scan *x, const char *s, size_t len)
{
    return x->kind == SCAN_NAME && x->len == len && memcmp(x->at, s, len) == 0;
}

/* x is at the opening bracket; the list on the top becomes the names up to the closing one. */
static void take_names(lua_State *L, struct scan x)
{
    lua_Integer n = 0;

    lua_pop(L, 1);
    lua_newtable(L);
    for (scan_next(&x); x.kind && !scan_is(&x, ")"); scan_next(&x))
        if (x.kind == SCAN_NAME) {
            lua_pushlstring(L, x.at, x.len);
            lua_rawseti(L, -2, ++n);
        }
}

/* function NAME(a, b) or NAME = function(a, b), the last of that name; without a name the first function( there is. */
static bool in_text(lua_State *L, const char *text, const char *name, size_t len)
{
    struct scan before[3] = {{0}, {0}, {0}};
    bool found = false;

    for (struct scan x = scan_begin(text, strlen(text)); x.kind; scan_next(&x)) {
        bool function = scan_is(&before[0], "function"),
             assigned = len && function && scan_is(&before[1], "=") && is_word(&before[2], name, len),
             declared = len && is_word(&before[0], name, len) && scan_is(&before[1], "function");

        if (scan_is(&x, "(") && (assigned || declared || (!len && function))) {
            take_names(L, x);
            found = true;
            if (!len)
                break;
        }
        before[2] = before[1];
        before[1] = before[0];
        before[0] = x;
    }
    return found;
}

static void of_value(lua_State *L, const char *text, size_t len) /* the list is on the top */
{
    struct chain c;
    lua_Debug ar;
    const char *name;

    if (!lookup_chain(text, len, &c) || !lookup_push(L, &c, c.n))
        return;
    if (!lua_isfunction(L, -1) || lua_iscfunction(L, -1)) {
        lua_pop(L, 1);
        return;
    }
    lua_pushvalue(L, -1);
    lua_getinfo(L, ">u", &ar);
    for (int i = 1; i <= ar.nparams && (name = lua_getlocal(L, NULL, i)) != NULL; i++) {
        lua_pushstring(L, name);
        lua_rawseti(L, -3, i);
    }
    lua_pop(L, 1);
}

int manual_parameters(lua_State *L) /* (object, prefix, first, call, before) */
{
    const char *call = luaL_checkstring(L, 4), *before = luaL_checkstring(L, 5), *end;
    struct scan x = scan_begin(call, strlen(call));

    lua_newtable(L);
    while (x.kind && !scan_is(&x, "(") && !scan_is(&x, "{"))
        scan_next(&x);
    if (!x.kind)
        return 1;
    scan_next(&x);
    if (scan_is(&x, "function")) {
        in_text(L, x.at, "", 0);
    } else if (x.kind == SCAN_NAME) {
        struct scan name = x;
        for (end = x.at + x.len; x.kind && !scan_is(&x, ","); scan_next(&x))
            end = x.at + x.len;
        if (end != name.at + name.len || !in_text(L, before, name.at, name.len))
            of_value(L, name.at, (size_t)(end - name.at));
    }
    return 1;
}
