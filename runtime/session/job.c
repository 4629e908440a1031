#include "runtime/session/job.h"
#include "runtime/session/session_int.h"

struct job {
    lua_CFunction fn;
    void *arg;
    struct buf *error;
    enum hook_end end;
};

static int ended(lua_State *L, int status, lua_KContext ctx)
{
    (void)ctx;
    return status == LUA_OK || status == LUA_YIELD ? 0 : lua_error(L);
}

static int job_main(lua_State *L) /* (fn, arg): under pcallk, or <close> handlers could not be interrupted */
{
    return ended(L, lua_pcallk(L, 1, 0, 0, 0, ended), 0);
}

static int error_text(lua_State *L) /* (lightuserdata buf, error value) */
{
    error_line(L, 2, lua_touserdata(L, 1));
    return 0;
}

static int job_protected(lua_State *L) /* (lightuserdata job) */
{
    struct job *j = lua_touserdata(L, 1);
    lua_State *co = lua_newthread(L);
    int n;

    lua_sethook(co, NULL, 0, 0);
    lua_pushcfunction(co, job_main);
    lua_pushcfunction(co, j->fn);
    lua_pushlightuserdata(co, j->arg);
    j->end = hook_run(session_of(L), co, 2, &n);
    if (j->end != HOOK_ERROR || !j->error)
        return 0;
    lua_State *teller = lua_newthread(L);
    lua_pushcfunction(teller, error_text);
    lua_pushlightuserdata(teller, j->error);
    lua_xmove(co, teller, 1);
    (void)hook_run(session_of(L), teller, 2, &n);
    return 0;
}

enum hook_end job_run(struct session *s, lua_CFunction fn, void *arg, struct buf *error)
{
    struct job j = {.fn = fn, .arg = arg, .error = error, .end = HOOK_ERROR};
    lua_State *L = session_lua(s);

    if (!lua_checkstack(L, 4))
        return HOOK_ERROR;
    lua_pushcfunction(L, job_protected);
    lua_pushlightuserdata(L, &j);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
        lua_pop(L, 1);
        return HOOK_ERROR;
    }
    return j.end;
}
