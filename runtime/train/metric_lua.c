/* metric_lua.c: compute_metrics in a worker. The state's stack: 1 the function, 2 the predictions, 3 the labels. */
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/session/closure.h"
#include "runtime/train/metric.h"
#include <lauxlib.h>
#include <math.h>
#include <string.h>

enum { FUNCTION = 1, PREDICTIONS, LABELS, HOOK_STEPS = 100000, PACKED_MAX = 64 << 20 };

struct metric {
    lua_State *L;      /* owned */
    struct buf packed; /* owned */
};

struct example { /* what add_example gets */
    const int32_t *labels, *likeliest;
    int64_t n;
};

struct answer { /* what call_function gets and gives */
    json_t *numbers;
    char wrong[200]; /* why the answer is none; "" */
};

static int open_function(lua_State *L) /* light userdata: the metric */
{
    const struct metric *m = lua_touserdata(L, 1);
    closure_open(L, buf_str(&m->packed), m->packed.len);
    return 1;
}

static enum lc failed(lua_State *L, struct err *err)
{
    const char *text = luaL_tolstring(L, -1, NULL);
    enum lc rc = err_set(err, LC_RUNTIME, "compute_metrics failed: %.800s", text);

    lua_pop(L, 2);
    return rc;
}

static int new_lists(lua_State *L) /* → two */
{
    lua_newtable(L);
    lua_newtable(L);
    return 2;
}

void metric_forget(struct metric *m)
{
    lua_settop(m->L, FUNCTION);
}

enum lc metric_open(const char *path, struct metric **out, struct err *err)
{
    struct metric *m = mem_zalloc(sizeof *m);
    enum lc rc;

    if (!m)
        return err_nomem(err);
    buf_init(&m->packed, PACKED_MAX);
    rc = fs_read(path, &m->packed, err);
    if (rc == LC_OK && !(m->L = luaL_newstate()))
        rc = err_nomem(err);
    if (rc == LC_OK) {
        lua_pushcfunction(m->L, open_function);
        lua_pushlightuserdata(m->L, m);
        if (lua_pcall(m->L, 1, 1, 0) != LUA_OK)
            rc = failed(m->L, err);
    }
    if (rc != LC_OK)
        return metric_close(m), rc;
    *out = m;
    return LC_OK;
}

void metric_close(struct metric *m)
{
    if (!m)
        return;
    if (m->L)
        lua_close(m->L);
    buf_release(&m->packed);
    mem_free(m);
}

/* ---- examples ---- */
static void add_list(lua_State *L, int to, const int32_t *ids, int64_t n)
{
    lua_createtable(L, (int)n, 0);
    for (int64_t i = 0; i < n; i++) {
        lua_pushinteger(L, ids[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_rawseti(L, to, luaL_len(L, to) + 1);
}

static int add_example(lua_State *L) /* predictions, labels, light userdata: the example */
{
    const struct example *e = lua_touserdata(L, 3);

    add_list(L, 1, e->likeliest, e->n);
    add_list(L, 2, e->labels, e->n);
    return 0;
}

static enum lc begin(struct metric *m, struct err *err)
{
    if (lua_gettop(m->L) == LABELS)
        return LC_OK;
    lua_settop(m->L, FUNCTION);
    lua_pushcfunction(m->L, new_lists);
    return lua_pcall(m->L, 0, 2, 0) == LUA_OK ? LC_OK : failed(m->L, err);
}

enum lc metric_add(struct metric *m, const int32_t *labels, const int32_t *likeliest, int64_t n,
                   struct err *err)
{
    struct example e = {labels, likeliest, n};

    TRY(begin(m, err));
    lua_pushcfunction(m->L, add_example);
    lua_pushvalue(m->L, PREDICTIONS);
    lua_pushvalue(m->L, LABELS);
    lua_pushlightuserdata(m->L, &e);
    return lua_pcall(m->L, 3, 0, 0) == LUA_OK ? LC_OK : failed(m->L, err);
}

/* ---- the call ---- */
static void stop_when_cancelled(lua_State *L, lua_Debug *d)
{
    const struct ctx *ctx = *(const struct ctx **)lua_getextraspace(L);

    (void)d;
    if (ctx_check(ctx, NULL) != LC_OK)
        luaL_error(L, "interrupted");
}

static bool take_number(lua_State *L, struct answer *a)
{
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
    char key[100];

    if (!name || lua_type(L, -1) != LUA_TNUMBER || !isfinite(lua_tonumber(L, -1))) {
        if (!name)
            (void)snprintf(a->wrong, sizeof a->wrong, "it returned a list");
        else
            (void)snprintf(a->wrong, sizeof a->wrong, "'%.80s' is a %s", name,
                           lua_type(L, -1) == LUA_TNUMBER ? "number that is not finite"
                                                          : luaL_typename(L, -1));
        return false;
    }
    (void)snprintf(key, sizeof key, "%s%.80s", strncmp(name, "eval_", 5) == 0 ? "" : "eval_", name);
    return json_object_set_new(a->numbers, key, json_real(lua_tonumber(L, -1))) == 0;
}

static int call_function(lua_State *L) /* function, predictions, labels, light userdata: the answer */
{
    struct answer *a = lua_touserdata(L, 4);

    lua_pushvalue(L, 1);
    lua_createtable(L, 0, 2);
    lua_pushvalue(L, 2);
    lua_setfield(L, -2, "predictions");
    lua_pushvalue(L, 3);
    lua_setfield(L, -2, "label_ids");
    lua_call(L, 1, 1);
    if (!lua_istable(L, -1)) {
        (void)snprintf(a->wrong, sizeof a->wrong, "it returned a %s", luaL_typename(L, -1));
        return 0;
    }
    lua_pushnil(L);
    while (lua_next(L, -2) && take_number(L, a))
        lua_pop(L, 1);
    return 0;
}

enum lc metric_result(const struct ctx *ctx, struct metric *m, json_t **out, struct err *err)
{
    struct answer a = {.numbers = json_object()};
    lua_State *L = m->L;
    enum lc rc = a.numbers ? begin(m, err) : err_nomem(err);

    if (rc == LC_OK) {
        *(const struct ctx **)lua_getextraspace(L) = ctx;
        lua_sethook(L, stop_when_cancelled, LUA_MASKCOUNT, HOOK_STEPS);
        lua_pushcfunction(L, call_function);
        for (int i = FUNCTION; i <= LABELS; i++)
            lua_pushvalue(L, i);
        lua_pushlightuserdata(L, &a);
        if (lua_pcall(L, 4, 0, 0) != LUA_OK)
            rc = failed(L, err);
        lua_sethook(L, NULL, 0, 0);
    }
    if (rc != LC_OK && ctx_check(ctx, NULL) != LC_OK)
        rc = ctx_check(ctx, err);
    if (rc == LC_OK && a.wrong[0]) {
        rc = err_set(err, LC_ARG, "compute_metrics gives no metrics: %s", a.wrong);
        (void)err_hint(err, "it returns a table of numbers by name: return {accuracy = right / all}");
    }
    metric_forget(m);
    if (rc != LC_OK)
        return json_decref(a.numbers), rc;
    *out = a.numbers;
    return LC_OK;
}
