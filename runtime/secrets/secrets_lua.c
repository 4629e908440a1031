#include "runtime/secrets/secrets_lua.h"
#include "runtime/base/mem.h"
#include "runtime/secrets/secrets.h"
#include "runtime/session/session_lua.h"
#include <string.h>

static const char state_key = 0;

struct state {
    struct secrets *secrets; /* owned; NULL until first used */
    json_t *hidden;          /* owned; scopes that were used: no value of theirs gets out */
};

static void close_state(void *arg)
{
    struct state *state = arg;

    secrets_close(state->secrets);
    json_decref(state->hidden);
}

static struct secrets *opened(lua_State *L)
{
    struct state *state = session_state(L, &state_key, sizeof *state, close_state);
    struct err err;

    if (!state->secrets && secrets_open(&state->secrets, &err) != LC_OK)
        session_raise(L, &err);
    return state->secrets;
}

/* A value may come by other ways than get: from a file, a variable of the shell, another notebook. Whoever uses a scope
 * sees no value of it. What cannot be read (expired, another key file) cannot be hidden. */
static void hide_scope(lua_State *L, const char *scope)
{
    struct state *state = session_state(L, &state_key, sizeof *state, close_state);
    const struct ctx *ctx = session_ctx(session_of(L));
    json_t *keys = NULL, *row;
    size_t i;

    if (!state->hidden)
        state->hidden = json_object();
    if (json_object_get(state->hidden, scope) ||
        secrets_list(ctx, state->secrets, scope, &keys, NULL) != LC_OK)
        return;
    json_array_foreach (keys, i, row) {
        struct buf value = BUF_INIT(2 * SECRET_MAX);
        const char *key = json_string_value(json_object_get(row, "key"));
        if (key && secrets_get(ctx, state->secrets, scope, key, &value, NULL) == LC_OK)
            session_mask(session_of(L), buf_str(&value), value.len);
        secrets_wipe(&value);
    }
    json_object_set_new(state->hidden, scope, json_true());
    json_decref(keys);
}

static int checked(lua_State *L, enum lc rc, const struct err *err)
{
    return rc == LC_OK ? 0 : session_raise(L, err);
}

static int l_create_scope(lua_State *L)
{
    const char *scope = luaL_checkstring(L, 1);
    struct err err;

    return checked(L, secrets_create_scope(session_ctx(session_of(L)), opened(L), scope, &err), &err);
}

static int l_delete_scope(lua_State *L)
{
    const char *scope = luaL_checkstring(L, 1);
    struct err err;

    return checked(L, secrets_delete_scope(session_ctx(session_of(L)), opened(L), scope, &err), &err);
}

static int l_put(lua_State *L) /* (scope, key, value, expires_ms) */
{
    const char *scope = luaL_checkstring(L, 1), *key = luaL_checkstring(L, 2);
    size_t len;
    const char *value = luaL_checklstring(L, 3, &len);
    int64_t expires = luaL_optinteger(L, 4, 0);
    struct err err;

    session_mask(session_of(L), value, len);
    opened(L);
    hide_scope(L, scope);
    return checked(
        L, secrets_put(session_ctx(session_of(L)), opened(L), scope, key, value, len, expires, &err), &err);
}

static int l_get(lua_State *L)
{
    const char *scope = luaL_checkstring(L, 1), *key = luaL_checkstring(L, 2);
    struct buf *value = session_buf(L, 2 * SECRET_MAX);
    struct err err;

    if (secrets_get(session_ctx(session_of(L)), opened(L), scope, key, value, &err) != LC_OK)
        return session_raise(L, &err);
    if (!session_mask(session_of(L), buf_str(value), value->len)) {
        secrets_wipe(value);
        err_nomem(&err);
        return session_raise(L, &err);
    }
    lua_pushlstring(L, buf_str(value), value->len);
    secrets_wipe(value);
    hide_scope(L, scope);
    return 1;
}

static int l_delete(lua_State *L)
{
    const char *scope = luaL_checkstring(L, 1), *key = luaL_checkstring(L, 2);
    struct err err;

    return checked(L, secrets_delete(session_ctx(session_of(L)), opened(L), scope, key, &err), &err);
}

static int l_list(lua_State *L) /* (scope or nil) */
{
    const char *scope = luaL_optstring(L, 1, NULL);
    json_t **slot = session_json_slot(L);
    const struct ctx *ctx = session_ctx(session_of(L));
    struct err err;
    enum lc rc = scope ? secrets_list(ctx, opened(L), scope, slot, &err)
                       : secrets_list_scopes(ctx, opened(L), slot, &err);

    if (rc != LC_OK)
        return session_raise(L, &err);
    if (scope)
        hide_scope(L, scope);
    session_push_json(L, *slot);
    return 1;
}

void secrets_push(lua_State *L)
{
    static const luaL_Reg functions[] = {{"create_scope", l_create_scope},
                                         {"delete_scope", l_delete_scope},
                                         {"put", l_put},
                                         {"get", l_get},
                                         {"delete", l_delete},
                                         {"list", l_list},
                                         {NULL, NULL}};

    luaL_newlib(L, functions);
}
