/* Texts that run in a frame: its locals and upvalues, then the cells' carried locals, then its globals are what the names
 * mean; an assignment goes where the name was found. */
#include "runtime/session/cell.h"
#include "runtime/session/debug_int.h"
#include "runtime/session/session_int.h"
#include <string.h>

/* ---- names ---- */
struct place {
    enum { NOWHERE, LOCAL, UPVALUE } kind;
    int n;
};

/* Where a frame has the name, with its value pushed; the innermost local counts. */
static struct place find_name(lua_State *L, struct debug_frame *f, const char *name)
{
    struct place place = {NOWHERE, 0};
    const char *here;

    for (int i = 1; (here = debug_local(L, f, i)) != NULL; i++) {
        if (strcmp(here, name) == 0)
            place = (struct place){LOCAL, i};
        lua_pop(L, 1);
    }
    if (place.kind) {
        debug_local(L, f, place.n);
        return place;
    }
    for (int i = 1; (here = debug_upvalue(L, f, i)) != NULL; i++) {
        if (strcmp(here, name) == 0)
            return (struct place){UPVALUE, i};
        lua_pop(L, 1);
    }
    return place;
}

/* The globals that the code of a frame uses. */
static void push_globals(lua_State *L, struct debug_frame *f)
{
    if (!f || !find_name(L, f, "_ENV").kind)
        lua_pushglobaltable(L);
}

static struct debug_frame *
frame_here(lua_State *L) /* of the functions below; NULL: among the globals, or gone */
{
    struct debug *d = session_of(L)->debug;
    return d ? debug_frame_by_id(d, lua_tointeger(L, lua_upvalueindex(1))) : NULL;
}

static int l_index(lua_State *L) /* (t, name); upvalues: frame id, globals */
{
    struct debug_frame *f = frame_here(L);
    size_t len;
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tolstring(L, 2, &len) : NULL;

    luaL_checkstack(L, 10, NULL);
    if (name && f && find_name(L, f, name).kind)
        return 1;
    if (name && cell_local(L, name, len))
        return 1;
    lua_settop(L, 2);
    lua_gettable(L, lua_upvalueindex(2));
    return 1;
}

/* The value on top becomes that of a cell's local; false (and nothing popped): there is none of that name. */
static bool set_carried(lua_State *L, const char *name)
{
    session_table(L, TABLE_CARRIED);
    if (lua_getfield(L, -1, name) != LUA_TFUNCTION) {
        lua_pop(L, 2);
        return false;
    }
    lua_pushvalue(L, -3);
    lua_setupvalue(L, -2, 1);
    lua_pop(L, 3);
    return true;
}

void debug_assign(lua_State *L, struct debug *d, struct debug_frame *f, const char *name)
{
    struct place place = {NOWHERE, 0};

    (void)d;
    if (f) {
        place = find_name(L, f, name);
        lua_pop(L, place.kind != NOWHERE);
    }
    if (place.kind == LOCAL) {
        debug_put_local(L, f, place.n);
    } else if (place.kind == UPVALUE) {
        debug_put_upvalue(L, f, place.n);
    } else if (!set_carried(L, name)) {
        push_globals(L, f);
        lua_pushvalue(L, -2);
        lua_setfield(L, -2, name);
        lua_pop(L, 2);
    }
}

bool debug_has(lua_State *L, struct debug_frame *f, const char *name)
{
    int top = lua_gettop(L);
    bool has = (f && find_name(L, f, name).kind) || cell_local(L, name, strlen(name));

    if (!has) {
        push_globals(L, f);
        has = lua_getfield(L, -1, name) != LUA_TNIL;
    }
    lua_settop(L, top);
    return has;
}

static int l_newindex(lua_State *L) /* (t, name, value) */
{
    luaL_checkstack(L, 10, NULL);
    if (lua_type(L, 2) == LUA_TSTRING) {
        debug_assign(L, session_of(L)->debug, frame_here(L), lua_tostring(L, 2));
        return 0;
    }
    lua_settable(L, lua_upvalueindex(2));
    return 0;
}

static void push_environment(lua_State *L, struct debug_frame *f)
{
    static const luaL_Reg functions[] = {{"__index", l_index}, {"__newindex", l_newindex}};

    lua_newtable(L);
    lua_createtable(L, 0, 2);
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        lua_pushinteger(L, f ? f->id : 0);
        push_globals(L, f);
        lua_pushcclosure(L, functions[i].func, 2);
        lua_setfield(L, -2, functions[i].name);
    }
    lua_setmetatable(L, -2);
}

/* ---- running ---- */
static enum lc load(lua_State *L, const char *text, size_t len, struct err *err)
{
    struct buf *expression = session_buf(L, len + 64);
    int rc;

    buf_puts(expression, "return ");
    buf_add(expression, text, len);
    rc = luaL_loadbufferx(L, buf_str(expression), expression->len, "=debug", "t");
    if (rc != LUA_OK) {
        lua_pop(L, 1);
        rc = luaL_loadbufferx(L, text, len, "=debug", "t");
    }
    lua_remove(L, -2);
    if (rc == LUA_OK)
        return LC_OK;
    err_set(err, LC_SYNTAX, "%s", lua_tostring(L, -1));
    lua_pop(L, 1);
    return err->code;
}

static int push_arguments(lua_State *L, struct debug_frame *f) /* what ... is in the frame */
{
    int n = 0;

    while (f && n < 200 && lua_checkstack(L, 4) && debug_local(L, f, -n - 1))
        n++;
    return n;
}

static int tell_message(lua_State *L) /* (error) → text */
{
    struct buf *text = session_buf(L, 4096);

    if (lua_type(L, 1) == LUA_TTABLE) {
        lua_pushliteral(L, "message");
        if (lua_rawget(L, 1) == LUA_TSTRING)
            lua_replace(L, 1);
        else
            lua_pop(L, 1);
    }
    if (lua_type(L, 1) == LUA_TSTRING)
        buf_utf8(text, lua_tostring(L, 1), lua_rawlen(L, 1) < 1000 ? lua_rawlen(L, 1) : 1000);
    else
        debug_value_text(L, 1, text);
    lua_pushlstring(L, buf_str(text), text->len);
    return 1;
}

enum lc debug_run_c(struct debug *d, lua_State *L, int nargs, int *n, struct err *err)
{
    struct session *s = session_of(L);
    lua_State *co = lua_newthread(L);
    int at = lua_gettop(L) - nargs - 1;
    enum hook_end end;

    lua_insert(L, at);
    luaL_checkstack(co, nargs + 1, NULL);
    lua_xmove(L, co, nargs + 1);
    d->inside++;
    end = hook_run(s, co, nargs, n);
    d->inside--;
    if (end == HOOK_INTERRUPTED)
        err_set(err, LC_CANCELLED, "interrupted");
    if (end == HOOK_ERROR) {
        lua_pushcfunction(L, tell_message);
        lua_xmove(co, L, 1);
        lua_call(L, 1, 1);
        err_set(err, LC_RUNTIME, "%s", lua_tostring(L, -1));
    }
    if (end != HOOK_DONE) {
        lua_settop(L, at - 1);
        return err->code;
    }
    luaL_checkstack(L, *n + 10, "too many results");
    lua_xmove(co, L, *n);
    lua_remove(L, at);
    return LC_OK;
}

enum lc debug_run(struct debug *d, lua_State *L, struct debug_frame *f, const char *text, size_t len, int *n,
                  struct err *err)
{
    TRY(load(L, text, len, err));
    push_environment(L, f);
    if (!lua_setupvalue(L, -2, 1)) /* a text that uses no global has none */
        lua_pop(L, 1);
    return debug_run_c(d, L, push_arguments(L, f), n, err);
}
