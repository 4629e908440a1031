#include "runtime/session/session.h"
#include "runtime/base/fs.h"
#include "runtime/session/capture.h"
#include "runtime/session/comm.h"
#include "runtime/session/debug_int.h"
#include "runtime/session/display.h"
#include "runtime/session/history.h"
#include "runtime/session/masks.h"
#include "runtime/session/names.h"
#include "runtime/session/results.h"
#include "runtime/session/session_int.h"
#include "runtime/session/traceback.h"
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- opening ---- */
static const char table_keys[TABLE_COUNT];

void session_table(lua_State *L, enum session_table which)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &table_keys[which]);
}

static void make_tables(lua_State *L)
{
    for (int i = 0; i < TABLE_COUNT; i++) {
        lua_newtable(L);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &table_keys[i]);
    }
    session_table(L, TABLE_BETWEEN);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "k");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
}

static int l_pointer_text(lua_State *L)
{
    const void *p = lua_touserdata(L, 1);

    if (p)
        lua_pushfstring(L, "userdata: %p", p);
    else
        lua_pushliteral(L, "null");
    return 1;
}

/* The light userdata NULL is SQL's and JSON's null: print and tostring say so. */
static void name_null(lua_State *L)
{
    lua_pushlightuserdata(L, NULL);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, l_pointer_text);
    lua_setfield(L, -2, "__tostring");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
}

static int open_protected(lua_State *L)
{
    struct session *s = session_of(L);

    make_tables(L);
    luaL_openlibs(L);
    name_null(L);
    hook_open(s);
    debug_open(s);
    output_open(s);
    long_open(s);
    names_open(s);
    results_arguments(L, s->args);
    return 0;
}

static enum lc open_lua(struct session *s, struct err *err)
{
    heap_open(s);
    s->L = lua_newstate(heap_alloc, s);
    if (!s->L)
        return err_nomem(err);
    *(struct session **)lua_getextraspace(s->L) = s;
    lua_pushcfunction(s->L, open_protected);
    if (lua_pcall(s->L, 0, 0, 0) == LUA_OK)
        return LC_OK;
    return err_set(err, LC_NOMEM, "cannot open a session: %s",
                   lua_tostring(s->L, -1) ? lua_tostring(s->L, -1) : "out of memory");
}

static void fill_ctx(struct session *s)
{
    s->ctx = (struct ctx){
        .principal = s->principal ? s->principal : "",
        .session = s->id,
        .operation = s->operation,
        .cancel = &s->cancel,
        .progress = s->progress,
        .lineage = {.notebook = s->notebook ? s->notebook : "",
                    .cell = s->cell_id,
                    .run = s->run,
                    .job = s->job ? s->job : ""},
    };
}

static bool copy(char **out, const char *text)
{
    return !text || (*out = mem_strdup(text)) != NULL;
}

enum lc session_open(const struct session_options *options, struct session **out, struct err *err)
{
    struct session *s = mem_zalloc(sizeof *s);
    enum lc rc;

    if (!s)
        return err_nomem(err);
    s->frontend = s->home = options->frontend;
    s->globals = options->globals;
    s->magics = options->magics;
    s->params = json_incref(options->params);
    s->close_seconds = options->close_seconds ? options->close_seconds : SESSION_CLOSE_SECONDS;
    s->real_stdin = options->real_stdin;
    s->args = options->args;
    uuid_make(s->id);
    rc = copy(&s->principal, options->principal) && copy(&s->notebook, options->notebook) &&
                 copy(&s->job, options->job)
             ? LC_OK
             : err_nomem(err);
    if (s->notebook && *s->notebook != '/') /* %cd may come */
        s->here = fs_absolute(s->notebook);
    fill_ctx(s);
    if (rc == LC_OK)
        rc = masks_open(s, err);
    if (rc == LC_OK)
        rc = open_lua(s, err);
    if (rc == LC_OK && options->history)
        history_open(s, options->history);
    if (rc == LC_OK && options->capture)
        rc = capture_open(s, err);
    if (rc != LC_OK) {
        session_close(s);
        return rc;
    }
    *out = s;
    return LC_OK;
}

/* ---- module state ---- */
struct state {
    struct state *next;
    const void *key;
    void (*free_fn)(void *);
    _Alignas(16) char data[];
};

/* ---- idling ---- */
enum { IDLE_GROWTH = 1 << 20 };

static int collect(lua_State *L)
{
    lua_gc(L, LUA_GCCOLLECT);
    return 0;
}

void session_idle(struct session *s)
{
    if (s->heap.used > s->heap.swept + IDLE_GROWTH) /* as a cell: finalizers may take long, or fail */
        session_callback(s, collect, NULL);
    s->heap.swept = s->heap.used;
    malloc_trim(0);
}

void *session_state(lua_State *L, const void *key, size_t size, void (*free_fn)(void *state))
{
    struct session *s = session_of(L);
    struct state *state;

    for (state = s->states; state; state = state->next)
        if (state->key == key)
            return state->data;
    state = mem_zalloc(sizeof *state + size);
    if (!state) {
        luaL_error(L, "not enough memory");
        return NULL;
    }
    state->next = s->states;
    state->key = key;
    state->free_fn = free_fn;
    s->states = state;
    return state->data;
}

static void free_states(struct session *s)
{
    for (struct state *state = s->states, *next; state; state = next) {
        next = state->next;
        if (state->free_fn)
            state->free_fn(state->data);
        mem_free(state);
    }
}

/* To the real standard error: cells have none any more. */
static void tell_cut(const struct session *s)
{
    if (s->hook.cut[0])
        fprintf(stderr,
                "lacus: a finalizer (__gc, %s) was still running %d seconds after the session began to "
                "close: it was "
                "interrupted\n",
                s->hook.cut, s->close_seconds);
}

void session_close(struct session *s)
{
    if (!s)
        return;
    if (s->L)
        hook_close(s, s->close_seconds); /* objects are collected while the states they use are there */
    free_states(s);
    long_close(s);
    capture_close(s);
    tell_cut(s);
    history_close(s);
    traceback_close(s);
    comms_close(s);
    masks_close(s);
    mem_free(s->spare);
    json_decref(s->params);
    mem_free(s->principal);
    mem_free(s->notebook);
    mem_free(s->here);
    mem_free(s->job);
    mem_free(s);
}

/* ---- small answers ---- */
struct session *session_of(lua_State *L)
{
    return *(struct session **)lua_getextraspace(L);
}

const struct ctx *session_ctx(struct session *s)
{
    return &s->ctx;
}

void session_set_progress(struct session *s, const struct ctx_progress *progress)
{
    s->progress = s->ctx.progress = progress;
}

const struct frontend *session_frontend(struct session *s)
{
    return &s->frontend;
}

json_t *session_params(struct session *s)
{
    return s->params;
}

void session_set_params(struct session *s, json_t *params)
{
    json_incref(params);
    json_decref(s->params);
    s->params = params;
}

bool session_has_run(const struct session *s)
{
    return !s->problem.syntax;
}

bool session_failed(const struct session *s)
{
    return s->failed;
}

struct frontend session_set_frontend(struct session *s, struct frontend frontend)
{
    struct frontend before = s->frontend;

    capture_flush(s);
    s->frontend = frontend;
    return before;
}

lua_State *session_lua(struct session *s)
{
    return s->hook.running ? s->hook.running : s->L;
}

void session_set_run(struct session *s, const char *run_id)
{
    snprintf(s->run, sizeof s->run, "%s", run_id ? run_id : "");
}

int session_execution_count(const struct session *s)
{
    return s->execution_count;
}

const char *session_id(const struct session *s)
{
    return s->id;
}

void session_interrupt(struct session *s)
{
    atomic_fetch_add(&s->hook.interrupts, 1);
    if (atomic_load(&s->busy)) {
        int_least64_t grace = atomic_load(&s->hook.grace);

        if (grace) /* asked again: no more time for cleaning up */
            atomic_compare_exchange_strong(&s->hook.grace, &grace, 1);
        atomic_store(&s->cancel, true);
    }
    hook_request(s, HOOK_INTERRUPT);
}

void session_strike(struct session *s)
{
    if (!atomic_load(&s->busy))
        return;
    atomic_store(&s->cancel, true);
    hook_request(s, HOOK_INTERRUPT);
}

void session_expect(struct session *s)
{
    s->expected = atomic_load(&s->hook.interrupts);
    s->expects = true;
}

void session_serve(struct session *s)
{
    hook_request(s, HOOK_SERVE);
}

void session_around_cells(struct session *s, lua_CFunction fn)
{
    s->around = fn;
}

bool session_wait(struct session *s, int timeout_ms)
{
    int64_t until = clock_mono_ns() + (int64_t)timeout_ms * 1000000;
    bool serves = s->frontend.ops && s->frontend.ops->serve;

    session_drain(s);
    if (serves)
        s->frontend.ops->serve(s->frontend.self, &s->ctx, timeout_ms);
    int64_t left = (until - clock_mono_ns()) / 1000000;
    if (!serves && left > 0)
        hook_wait_fd(s, -1, (int)left);
    return !hook_stopping(s);
}

/* ---- errors ---- */
static const char error_name[] = "lacus.error";

static int l_error_tostring(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_getfield(L, 1, "message");
    luaL_tolstring(L, 2, NULL);
    if (lua_getfield(L, 1, "hint") == LUA_TSTRING) { /* on a line of its own below a caret */
        const char *message = lua_tostring(L, 3);
        lua_pushfstring(L, strchr(message, '\n') ? "%s\n%s" : "%s; %s", message, lua_tostring(L, 4));
    } else {
        lua_settop(L, 3);
    }
    return 1;
}

static void set_text(lua_State *L, const char *name, const char *text)
{
    if (!*text)
        return;
    lua_pushstring(L, text);
    lua_setfield(L, -2, name);
}

/* Pushes that error value, without raising it. */
static void session_push_error(lua_State *L, const struct err *err)
{
    lua_createtable(L, 0, 5);
    set_text(L, "code", lc_name(err->code));
    set_text(L, "message", err->message);
    set_text(L, "hint", err->hint);
    set_text(L, "cause", err->cause);
    if (err->position >= 0) {
        lua_pushinteger(L, err->position);
        lua_setfield(L, -2, "position");
    }
    if (luaL_newmetatable(L, error_name)) {
        lua_pushcfunction(L, l_error_tostring);
        lua_setfield(L, -2, "__tostring");
        lua_pushliteral(L, "error");
        lua_setfield(L, -2, "__name");
    }
    lua_setmetatable(L, -2);
}

int session_raise(lua_State *L, const struct err *err)
{
    if (err->code == LC_CANCELLED && hook_stopping(session_of(L)))
        return hook_strike(L);
    session_push_error(L, err);
    return lua_error(L);
}

int session_raise_text(lua_State *L)
{
    struct err err;

    err_set(&err, lc_from_name(luaL_checkstring(L, 1)), "%s", luaL_checkstring(L, 2));
    if (*luaL_optstring(L, 3, ""))
        err_hint(&err, "%s", lua_tostring(L, 3));
    return session_raise(L, &err);
}

/* ---- parts that are written in Lua ---- */
void session_require(lua_State *L, const char *module)
{
    lua_getglobal(L, "require");
    lua_pushstring(L, module);
    lua_call(L, 1, 1);
}

void session_push_module(lua_State *L, const char *module, void (*push_core)(lua_State *L))
{
    if (lua_getfield(L, LUA_REGISTRYINDEX, module) != LUA_TNIL)
        return;
    lua_pop(L, 1);
    session_require(L, module);
    push_core(L);
    lua_call(L, 1, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, module);
}

/* ---- what the stack owns ---- */
void *session_slot(lua_State *L, size_t size, const char *type, lua_CFunction release)
{
    void *slot = lua_newuserdatauv(L, size, 1);

    memset(slot, 0, size);
    if (luaL_newmetatable(L, type)) {
        lua_pushcfunction(L, release);
        lua_setfield(L, -2, "__gc");
        lua_pushcfunction(L, release);
        lua_setfield(L, -2, "__close");
    }
    lua_setmetatable(L, -2);
    return slot;
}

static int buffer_gc(lua_State *L)
{
    buf_release(lua_touserdata(L, 1));
    return 0;
}

struct buf *session_buf(lua_State *L, size_t max)
{
    struct buf *b = session_slot(L, sizeof *b, "lacus.buf", buffer_gc);

    buf_init(b, max);
    return b;
}

static int texts_gc(lua_State *L)
{
    struct session_texts *t = lua_touserdata(L, 1);

    fs_free_list(t->list, t->n);
    *t = (struct session_texts){0};
    return 0;
}

struct session_texts *session_texts(lua_State *L)
{
    return session_slot(L, sizeof(struct session_texts), "lacus.texts", texts_gc);
}
