/* Errors that stop: where they are raised, whether somebody catches them. pcall and xpcall are ours for that, and otherwise
 * as Lua's own. */
#include "runtime/session/debug_int.h"
#include "runtime/session/session_int.h"
#include <string.h>

enum { LOOK_MAX = 500 }; /* frames of a coroutine: asking for the n-th walks n */

static int l_pcall(lua_State *L);
static int l_xpcall(lua_State *L);

static bool catches(lua_CFunction f)
{
    return f == l_pcall || f == l_xpcall;
}

/* Is a pcall, or a resume, on the way out of what L has called? */
static bool is_caught(struct session *s, lua_State *L)
{
    lua_Debug ar;
    bool caught = false;

    if (!lua_checkstack(L, 2))
        return false;
    for (struct hook_link *link = s->hook.links; link && !caught; link = link->outer)
        for (int i = 0;
             !caught && i < LOOK_MAX && lua_getstack(link->L, i, &ar) && lua_checkstack(link->L, 2); i++) {
            lua_CFunction f;
            lua_getinfo(link->L, "f", &ar);
            f = lua_tocfunction(link->L, -1);
            lua_pop(link->L, 1);
            caught = f && (catches(f) || hook_is_resume(f));
        }
    return caught;
}

enum lc debug_exception(struct debug_call *c)
{
    if (!*c->d->error)
        return err_set(c->err, LC_CONFLICT, "it did not stop for an error");
    *c->body = json_pack("{sssoss}", "exceptionId", "error", "description",
                         session_json_text(c->d->error, strlen(c->d->error)), "breakMode", "always");
    return LC_OK;
}

/* The error value is on top of `value`; L is where it was raised. */
static void stop_for(struct debug *d, struct session *s, lua_State *L, lua_State *value)
{
    struct buf *text;
    const char *message;
    size_t len;

    if (!lua_checkstack(value, 12))
        return;
    message = lua_type(value, -1) == LUA_TSTRING ? lua_tolstring(value, -1, &len) : NULL;
    text = session_buf(value, sizeof d->error - 1);
    if (message)
        buf_utf8(text, message, len < sizeof d->error / 3 ? len : sizeof d->error / 3);
    else
        debug_value_text(value, -2, text);
    snprintf(d->error, sizeof d->error, "%s", buf_str(text));
    lua_pop(value, 1);
    d->told = true;
    debug_stop(d, s, L, "exception", json_pack("{ssss}", "description", "error", "text", d->error));
    *d->error = '\0';
}

static bool watches(struct session *s, unsigned which)
{
    struct debug *d = s->debug;
    return d && !d->inside && !d->told && (atomic_load(&d->filters) & which) && s->hook.running;
}

void debug_raised(lua_State *L)
{
    struct session *s = session_of(L);

    if (watches(s, DEBUG_RAISED | DEBUG_UNCAUGHT))
        stop_for(s->debug, s, L, L);
}

void debug_died(struct session *s, lua_State *L, lua_State *co, bool caught)
{
    struct debug *d = s->debug;

    if (lua_status(co) != LUA_ERRRUN)
        return;
    if (!caught && !is_caught(s, L))
        debug_keep(L, co);
    if (watches(s, DEBUG_RAISED) || (watches(s, DEBUG_UNCAUGHT) && !caught && !is_caught(s, L))) {
        struct hook_link link = {co, s->hook.links,
                                 s->hook.links->depth + 1}; /* it is dead, and stands there still */
        s->hook.links = &link;
        stop_for(d, s, co, co);
        s->hook.links = link.outer;
    }
    if (d && caught)
        d->told = false;
}

/* (error, handler as upvalue or nil): a pcall that tells the debugger first. */
static int tell(lua_State *L)
{
    struct session *s = session_of(L);

    if (watches(s, DEBUG_RAISED))
        stop_for(s->debug, s, L, L);
    if (lua_isnil(L, lua_upvalueindex(1)))
        return 1;
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

static int finish(lua_State *L, int status, lua_KContext extra)
{
    if (status != LUA_OK && status != LUA_YIELD) {
        if (session_of(L)->debug)
            session_of(L)->debug->told = false;
        lua_pushboolean(L, 0);
        lua_pushvalue(L, -2);
        return 2;
    }
    return lua_gettop(L) - (int)extra;
}

static bool tells(lua_State *L)
{
    struct session *s = session_of(L);
    return s->debug && (atomic_load(&s->debug->filters) & DEBUG_RAISED);
}

/* As Lua's own; with the debugger's handler while errors that are caught shall stop. */
static int l_pcall(lua_State *L)
{
    int handler = 0;

    luaL_checkany(L, 1);
    if (tells(L)) {
        lua_pushnil(L);
        lua_pushcclosure(L, tell, 1);
        lua_insert(L, 1);
        handler = 1;
    }
    lua_pushboolean(L, 1);
    lua_insert(L, 1 + handler);
    return finish(L, lua_pcallk(L, lua_gettop(L) - 2 - handler, LUA_MULTRET, handler, handler, finish),
                  handler);
}

static int l_xpcall(lua_State *L)
{
    int n = lua_gettop(L);

    luaL_checktype(L, 2, LUA_TFUNCTION);
    if (tells(L)) {
        lua_pushvalue(L, 2);
        lua_pushcclosure(L, tell, 1);
        lua_replace(L, 2);
    }
    lua_pushboolean(L, 1);
    lua_pushvalue(L, 1);
    lua_rotate(L, 3, 2);
    return finish(L, lua_pcallk(L, n - 2, LUA_MULTRET, 2, 2, finish), 2);
}

void debug_open(struct session *s)
{
    lua_pushcfunction(s->L, l_pcall);
    lua_setglobal(s->L, "pcall");
    lua_pushcfunction(s->L, l_xpcall);
    lua_setglobal(s->L, "xpcall");
}
