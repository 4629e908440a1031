/* Running a cell: compile, run as a coroutine, show, tell errors; and text that runs as part of a cell. */
#include "runtime/session/capture.h"
#include "runtime/session/cell.h"
#include "runtime/session/display.h"
#include "runtime/session/habits.h"
#include "runtime/session/history.h"
#include "runtime/session/magic.h"
#include "runtime/session/masks.h"
#include "runtime/session/results.h"
#include "runtime/session/session_int.h"
#include <stdlib.h>
#include <string.h>

enum { SOURCES_KEPT = 200, FUNCTIONS_KEPT = 4000 }; /* cells */

struct run { /* one text that is run and whose value is wanted */
    struct session *s;
    const char *text;
    size_t len;
    char chunk[64]; /* with '=' or '@' in front */
    bool show;      /* the value goes to the front end as the cell's result */
    json_t *value;  /* otherwise here: {"data", "metadata"}, owned */
    json_t *output; /* the text of what was shown, owned */
    struct cell_shape shape;
};

/* ---- in the coroutine ---- */
static void keep_source(lua_State *L, const struct run *r)
{
    session_table(L, TABLE_SOURCES);
    lua_pushlstring(L, r->text, r->len);
    lua_setfield(L, -2, r->chunk + 1);
    lua_pop(L, 1);
}

/* A script's "..."; returns their number. */
static int push_arguments(lua_State *L, const struct session *s)
{
    int n = 0;

    while (s->args && s->args[0] && s->args[n + 1]) {
        luaL_checkstack(L, 1, "too many arguments");
        lua_pushstring(L, s->args[++n]);
    }
    return n;
}

/* The text of a cell is wanted as long as its functions may be called: for tracebacks and name??. One that has none is
 * kept for a while, for %tb and the debugger. */
static int forget_source(lua_State *L) /* (number of the cell, whatever it has) */
{
    const char *text;
    size_t len;

    session_table(L, TABLE_SOURCES);
    lua_pushfstring(L, "Cell In[%d]", (int)lua_tointeger(L, 1));
    lua_pushvalue(L, -1);
    lua_rawget(L, 3);
    text = lua_tolstring(L, -1, &len);
    if (!text || (memmem(text, len, "function", 8) && !lua_toboolean(L, 2)))
        return 0;
    lua_pop(L, 1);
    lua_pushnil(L);
    lua_rawset(L, 3);
    return 0;
}

static void forget_old_source(struct session *s, int count, bool always)
{
    lua_State *L = session_lua(s);

    if (count <= 0 || !lua_checkstack(L, 4))
        return;
    lua_pushcfunction(L, forget_source);
    lua_pushinteger(L, count);
    lua_pushboolean(L, always);
    if (lua_pcall(L, 2, 0, 0) != LUA_OK)
        lua_pop(L, 1); /* no memory: it is kept */
}

static int push_code(lua_State *L, struct run *r) /* returns the number of its arguments */
{
    struct magic_cell m;

    if (magic_split(r->text, r->len, &m)) {
        lua_pushcfunction(L, magic_run_cell);
        lua_pushlstring(L, m.name, m.name_len);
        lua_pushlstring(L, m.line, m.line_len);
        lua_pushlstring(L, m.body, m.body_len);
        r->shape.call = true;
        return 3;
    }
    if (cell_load(L, r->text, r->len, r->chunk, &r->shape) != LUA_OK) {
        habits_syntax(L, r->text, r->len);
        return lua_error(L);
    }
    if (r->show)
        habits_notice(L, r->text, r->len);
    return r->show ? push_arguments(L, r->s) : 0;
}

static int number_of(const struct session *s)
{
    return s->reply ? s->reply->execution_count : s->execution_count;
}

static void send_result(struct session *s, const struct display *d)
{
    capture_flush(s);
    if (s->frontend.ops && s->frontend.ops->result)
        s->frontend.ops->result(s->frontend.self, &s->ctx, number_of(s), d);
}

bool session_says_nothing(lua_State *L, int index)
{
    return lua_isnil(L, index) || luaL_testudata(L, index, LUA_FILEHANDLE) || display_is_handle(L, index);
}

static void around(lua_State *L, const struct run *r, bool before)
{
    if (!r->show || !r->s->around)
        return;
    lua_pushcfunction(L, r->s->around);
    lua_pushboolean(L, before);
    lua_call(L, 1, 0);
}

/* A cell of a conversation, which later ones may speak of. */
static bool is_numbered(const struct session *s)
{
    return s->cell && s->cell->store_history;
}

static int shown(lua_State *L, int status, lua_KContext ctx) /* stack: run, results… */
{
    struct run *r = (struct run *)ctx;
    struct display d;

    (void)status;
    around(L, r, false);
    if (r->shape.implicit)
        lua_remove(L, 2);
    int last = lua_gettop(L);
    if (r->show && last == 2 && lua_tocfunction(L, 2) == builtin_exit) { /* the bare word, as in Python */
        lua_settop(L, 0);
        return builtin_exit(L);
    }
    if (r->shape.silent || last < 2 || (last == 2 && r->shape.call && session_says_nothing(L, 2)))
        return 0;
    if (r->show && r->s->cell && r->s->cell->silent)
        return 0;
    if (r->show && is_numbered(r->s))
        results_keep(L, number_of(r->s), 2);
    display_joined(L, 2, last, &d);
    if (r->show) {
        send_result(r->s, &d);
        r->output = json_incref(json_object_get(d.data, "text/plain"));
    } else
        r->value = json_pack("{sOsO}", "data", d.data, "metadata", d.metadata);
    return 0;
}

static int body(lua_State *L) /* (run) */
{
    struct run *r = lua_touserdata(L, 1);
    int nargs;

    keep_source(L, r);
    if (r->show && is_numbered(r->s))
        results_input(L, number_of(r->s), r->text, r->len);
    around(L, r, true);
    nargs = push_code(L, r);
    lua_callk(L, nargs, LUA_MULTRET, (lua_KContext)r, shown);
    return shown(L, LUA_OK, (lua_KContext)r);
}

static int ended(lua_State *L, int status, lua_KContext ctx)
{
    (void)ctx;
    return status == LUA_OK || status == LUA_YIELD ? 0 : lua_error(L);
}

static int run_main(lua_State *L) /* (run) */
{
    lua_pushcfunction(L, error_handler);
    lua_pushcfunction(L, body);
    lua_pushvalue(L, 1);
    return ended(L, lua_pcallk(L, 1, 0, 2, 0, ended), 0);
}

/* ---- around it ---- */
struct describe {
    struct cell_reply *reply;
};

static int describe_main(lua_State *L) /* (lightuserdata reply, error value) */
{
    error_describe(L, 2, lua_touserdata(L, 1));
    return 0;
}

static int push_failure(lua_State *L) /* (lightuserdata why) → {message = why} */
{
    lua_createtable(L, 0, 1);
    lua_pushstring(L, lua_touserdata(L, 1));
    lua_setfield(L, -2, "message");
    return 1;
}

static int describe_failure(lua_State *L) /* (lightuserdata reply, lightuserdata why) */
{
    lua_pushcfunction(L, push_failure);
    lua_insert(L, 2);
    lua_call(L, 1, 1);
    return describe_main(L);
}

/* Why an error value has no text. */
static void say_why(lua_State *co, enum hook_end how, char out[256])
{
    const char *inner = how == HOOK_ERROR && lua_type(co, -1) == LUA_TSTRING ? lua_tostring(co, -1) : NULL;

    snprintf(out, 256, "the error value could not be shown: %s%s",
             how == HOOK_INTERRUPTED ? "interrupted in its __tostring" : "its __tostring failed",
             inner ? ": " : "");
    if (inner)
        strncat(out, inner, 255 - strlen(out));
}

/* The error value on the top of L is described in a coroutine: its __tostring may never end. */
static void tell_error(struct session *s, lua_State *L, struct cell_reply *reply)
{
    lua_State *co = lua_newthread(L);
    enum hook_end how;
    char why[256];
    int n;

    lua_insert(L, -2);
    lua_pushcfunction(co, describe_main);
    lua_pushlightuserdata(co, reply);
    lua_xmove(L, co, 1);
    how = hook_run(s, co, 2, &n);
    if (how == HOOK_DONE)
        return;
    say_why(co, how, why);
    lua_pushcfunction(L, describe_failure); /* describing it failed too: the place is known */
    lua_pushlightuserdata(L, reply);
    lua_pushlightuserdata(L, why);
    if (lua_pcall(L, 2, 0, 0) == LUA_OK)
        return;
    lua_pop(L, 1);
    reply->status = CELL_ERROR;
    if (!reply->ename)
        reply->ename = mem_strdup("Error");
    if (!reply->evalue)
        reply->evalue = mem_strdup(why);
    if (!reply->traceback)
        reply->traceback = json_pack("[s+]", "Error: ", why);
}

static void forget_errors(struct session *s)
{
    s->problem = (struct error_context){.column = -1};
    heap_forget(&s->heap);
    frames_clear(&s->frames);
    frames_clear(&s->inner);
}

static lua_State *new_coroutine(lua_State *L, lua_CFunction main, void *arg) /* on the top of L */
{
    lua_State *co = lua_newthread(L);

    lua_sethook(co, NULL, 0, 0);
    lua_pushcfunction(co, main);
    lua_pushlightuserdata(co, arg);
    return co;
}

/* What went wrong is told in reply. */
static void conclude(lua_State *L, struct session *s, lua_State *co, enum hook_end how,
                     struct cell_reply *reply)
{
    if (how == HOOK_DONE)
        return;
    s->heap.relaxed = true;
    if (how == HOOK_ERROR) {
        lua_xmove(co, L, 1);
        tell_error(s, L, reply);
    } else if (!s->exit_asked && !reply->notebook_exit) {
        reply->interrupted = !s->heap.ended;
        error_interrupted(s, reply);
    }
    s->heap.relaxed = false;
}

/* Runs main(arg) in a coroutine of its own; what went wrong is in reply. Protected by the caller. */
static void run_coroutine(lua_State *L, struct session *s, lua_CFunction main, void *arg,
                          struct cell_reply *reply)
{
    lua_State *co = new_coroutine(L, main, arg);
    int n;

    forget_errors(s);
    conclude(L, s, co, hook_run(s, co, 1, &n), reply);
}

static int run_protected(lua_State *L) /* (run, reply) */
{
    struct run *r = lua_touserdata(L, 1);

    run_coroutine(L, r->s, run_main, r, lua_touserdata(L, 2));
    return 0;
}

/* LC_OK: it ran; what came of it is in reply. */
static enum lc run_text(struct run *r, struct cell_reply *reply, struct err *err)
{
    lua_State *L = r->s->hook.running ? r->s->hook.running : r->s->L;
    int rc;

    if (!lua_checkstack(L, 10))
        return err_nomem(err);
    lua_pushcfunction(L, run_protected); /* a light C function: needs no memory */
    lua_pushlightuserdata(L, r);
    lua_pushlightuserdata(L, reply);
    rc = lua_pcall(L, 2, 0, 0);
    if (rc == LUA_OK)
        return LC_OK;
    err_set(err, LC_NOMEM, "cannot run the cell: %s",
            lua_tostring(L, -1) ? lua_tostring(L, -1) : "no memory");
    lua_pop(L, 1);
    return err ? err->code : LC_NOMEM;
}

/* ---- user expressions ---- */
static json_t *expression_value(struct session *s, const char *text)
{
    struct run r = {.s = s, .text = text, .len = strlen(text), .chunk = "=expression"};
    struct cell_reply reply = {0};
    json_t *answer = NULL;

    if (run_text(&r, &reply, NULL) != LC_OK)
        answer = json_pack("{sssssss[]}", "status", "error", "ename", "MemoryError", "evalue",
                           "out of memory", "traceback");
    else if (reply.status == CELL_ERROR)
        answer = json_pack("{sssssssO}", "status", "error", "ename", reply.ename, "evalue", reply.evalue,
                           "traceback", reply.traceback);
    else if (r.value)
        answer = json_pack("{sssOsO}", "status", "ok", "data", json_object_get(r.value, "data"), "metadata",
                           json_object_get(r.value, "metadata"));
    else
        answer = json_pack("{sss{ss}s{}}", "status", "ok", "data", "text/plain", "nil", "metadata");
    json_decref(r.value);
    cell_reply_release(&reply);
    return answer;
}

static void user_expressions(struct session *s, const struct cell_request *cell, struct cell_reply *reply)
{
    const char *name;
    json_t *text;

    reply->user_expressions = json_object();
    if (reply->status != CELL_OK || !json_is_object(cell->user_expressions))
        return;
    json_object_foreach (cell->user_expressions, name, text) {
        if (json_is_string(text))
            json_object_set_new(reply->user_expressions, name, expression_value(s, json_string_value(text)));
    }
}

/* ---- cells ---- */
struct session_task {
    struct run run;
    struct cell_request cell; /* its texts are borrowed, as the reply */
    struct cell_reply *reply;
    unsigned since; /* interrupts that were before it */
    int64_t due;    /* as the hook's, when it left */
    bool begun, ended;
    bool inside; /* part of what runs: shows where that shows */
    enum lc rc;
    struct err err;
    struct set_aside aside; /* while others have their turn */
};

static void set_aside(struct session *s, struct set_aside *a)
{
    *a = (struct set_aside){s->frontend,   s->cell,        s->reply, s->frames, s->inner,          s->problem,
                            s->exit_asked, s->exit_status, "",       "",        {{"", 0}, {"", 0}}};
    memcpy(a->cut, s->cut, sizeof a->cut);
    memcpy(a->operation, s->operation, sizeof a->operation);
    memcpy(a->cell_id, s->cell_id, sizeof a->cell_id);
}

static void take_up(struct session *s, const struct set_aside *a)
{
    s->frontend = a->frontend;
    s->cell = a->cell;
    s->reply = a->reply;
    s->frames = a->frames;
    s->inner = a->inner;
    s->problem = a->problem;
    s->exit_asked = a->exit_asked;
    s->exit_status = a->exit_status;
    memcpy(s->cut, a->cut, sizeof s->cut);
    memcpy(s->operation, a->operation, sizeof s->operation);
    memcpy(s->cell_id, a->cell_id, sizeof s->cell_id);
}

enum { CELL_ROOM = 1 << 20 };

/* At the ceiling a cell has room enough still to say `t = nil`. */
static void make_room(struct heap *h)
{
    h->room = h->limit && h->limit < SIZE_MAX && h->used + CELL_ROOM > h->limit
                  ? h->used + CELL_ROOM - h->limit
                  : 0;
}

static void name_chunk(struct run *r, const struct session *s, const struct cell_request *cell)
{
    size_t n = cell->name ? strlen(cell->name) : 0, most = LUA_IDSIZE - 1;

    if (n > most) /* as Lua shortens it, so that the text is found again */
        snprintf(r->chunk, sizeof r->chunk, "=...%s", cell->name + n - (most - 3));
    else if (n)
        snprintf(r->chunk, sizeof r->chunk, "@%s", cell->name);
    else if (cell->store_history)
        snprintf(r->chunk, sizeof r->chunk, "=Cell In[%d]", s->execution_count);
    else
        snprintf(r->chunk, sizeof r->chunk, "=Cell");
}

/* What is blank does not count, as in IPython; a comment does. */
static bool is_blank(const char *text, size_t len)
{
    while (len > 0 && strchr(" \t\r\n\f\v", text[len - 1]) && text[len - 1])
        len--;
    return len == 0;
}

enum lc session_task_new(struct session *s, const struct cell_request *cell, struct cell_reply *reply,
                         struct session_task **out, struct err *err)
{
    struct session_task *t = s->spare ? s->spare : mem_alloc(sizeof *t);

    s->spare = NULL;
    if (!t)
        return err_nomem(err);
    t->run = (struct run){.s = s, .text = cell->code, .len = cell->len, .show = true};
    make_room(&s->heap);
    t->cell = *cell;
    t->cell.store_history = cell->store_history && !cell->silent && !is_blank(cell->code, cell->len);
    t->reply = reply;
    t->begun = t->ended = t->inside = false;
    t->due = 0;
    t->rc = LC_OK;
    t->since = s->expects ? s->expected : atomic_load(&s->hook.interrupts);
    s->expects = false;
    if (t->cell.store_history)
        s->execution_count++;
    *reply = (struct cell_reply){.execution_count = s->execution_count, .payload = json_array()};
    name_chunk(&t->run, s, &t->cell);
    *out = t;
    return LC_OK;
}

/* One turn. The coroutine is kept in the registry under the task's address. */
static int step_protected(lua_State *L) /* (task) */
{
    struct session_task *t = lua_touserdata(L, 1);
    struct session *s = t->run.s;
    bool begins = !t->begun;
    enum hook_end how;
    lua_State *co;
    int n;

    if (begins) {
        t->begun = true;
        forget_errors(s);
        co = new_coroutine(L, run_main, &t->run);
    } else {
        lua_rawgetp(L, LUA_REGISTRYINDEX, t);
        co = lua_tothread(L, -1);
    }
    how = hook_step(s, co, begins, t->since, &n);
    t->due = s->hook.due;
    if (how == HOOK_LEFT && begins) {
        lua_pushvalue(L, -1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, t);
    }
    if (how == HOOK_LEFT)
        return 0;
    t->ended = true;
    if (!begins) {
        lua_pushnil(L);
        lua_rawsetp(L, LUA_REGISTRYINDEX, t);
    }
    conclude(L, s, co, how, t->reply);
    return 0;
}

static void step(struct session_task *t)
{
    struct session *s = t->run.s;
    lua_State *L = session_lua(s);

    t->rc = lua_checkstack(L, 10) ? LC_OK : err_nomem(&t->err);
    if (t->rc == LC_OK) {
        lua_pushcfunction(L, step_protected); /* a light C function: needs no memory */
        lua_pushlightuserdata(L, t);
        if (lua_pcall(L, 1, 0, 0) == LUA_OK)
            return;
        t->rc = err_set(&t->err, LC_NOMEM, "cannot run the cell: %s",
                        lua_tostring(L, -1) ? lua_tostring(L, -1) : "no memory");
        lua_pop(L, 1);
    }
    t->ended = true;
}

static void begin_cell(struct session *s, const struct session_task *t)
{
    if (!t->inside)
        s->frontend = s->home;
    s->cell = &t->cell;
    s->reply = t->reply;
    s->exit_asked = false;
    hex_make(s->operation, 16);
    if (t->cell.cell_id)
        snprintf(s->cell_id, sizeof s->cell_id, "%s", t->cell.cell_id);
    else
        snprintf(s->cell_id, sizeof s->cell_id, "%d", t->reply->execution_count);
}

static void send_error(struct session *s, const struct cell_reply *reply)
{
    struct cell_error e = {.ename = reply->ename, .evalue = reply->evalue, .traceback = reply->traceback};

    capture_flush(s);
    if (s->frontend.ops && s->frontend.ops->error && !(s->cell && s->cell->silent))
        s->frontend.ops->error(s->frontend.self, &s->ctx, &e);
}

void session_after_cell(struct session *s, lua_CFunction fn)
{
    size_t i = 0;

    while (i < sizeof s->after / sizeof *s->after && s->after[i] && s->after[i] != fn)
        i++;
    if (i < sizeof s->after / sizeof *s->after)
        s->after[i] = fn;
}

static int call_after(lua_State *L) /* (lightuserdata lua_CFunction) */
{
    lua_pushcfunction(L, *(lua_CFunction *)lua_touserdata(L, 1));
    lua_call(L, 0, 0);
    return 0;
}

static void after_cell(struct session *s, bool well)
{
    for (size_t i = 0; i < sizeof s->after / sizeof *s->after && s->after[i]; i++) {
        lua_CFunction fn = s->after[i];
        s->after[i] = NULL;
        if (well)
            session_callback(s, call_after, &fn);
    }
}

/* What is kept of a cell has no secrets in it either. */
static void remember(struct session *s, const struct session_task *t)
{
    const struct cell_request *cell = &t->cell;
    json_t *output = masks_json(s, json_incref(t->run.output)), *text = NULL;

    if (session_masked(s, cell->code, cell->len))
        text = masks_json(s, session_json_text(cell->code, cell->len));
    history_add(s, t->reply->execution_count, text ? json_string_value(text) : cell->code,
                text ? json_string_length(text) : cell->len, json_string_value(output));
    json_decref(text);
    json_decref(output);
}

static void finish(struct session *s, struct session_task *t)
{
    const struct cell_request *cell = &t->cell;
    struct cell_reply *reply = t->reply;

    if (t->rc == LC_OK && reply->status == CELL_ERROR)
        send_error(s, reply);
    if (t->rc == LC_OK)
        user_expressions(s, cell, reply);
    after_cell(s, t->rc == LC_OK && reply->status == CELL_OK);
    capture_flush(s);
    masks_flush(s);
    masks_reply(s, reply);
    s->failed = t->rc != LC_OK || reply->status != CELL_OK;
    reply->exit_asked = s->exit_asked;
    reply->exit_status = s->exit_status;
    if (cell->store_history) {
        forget_old_source(s, reply->execution_count - SOURCES_KEPT, false);
        forget_old_source(s, reply->execution_count - FUNCTIONS_KEPT, true);
        remember(s, t);
    }
    json_decref(t->run.output);
    t->run.output = NULL;
}

bool session_task_step(struct session_task *t)
{
    struct session *s = t->run.s;
    bool nested = s->hook.running != NULL;
    const struct cell_request *cell = s->cell;
    struct cell_reply *reply = s->reply;
    struct frontend frontend = s->frontend;
    struct set_aside *outer = nested ? mem_alloc(sizeof *outer) : NULL;

    if (nested && !outer)
        return false; /* without memory it waits for its turn at the bottom */
    if (nested)
        set_aside(s, outer);
    if (t->begun)
        take_up(s, &t->aside);
    else {
        memset(s->cut, 0, sizeof s->cut);
        begin_cell(s, t);
    }
    step(t);
    if (t->ended) {
        finish(s, t);
    } else {
        session_drain(s);
        masks_flush(s);
        set_aside(s, &t->aside);
    }
    if (outer)
        take_up(s, outer);
    s->cell = cell;
    s->reply = reply;
    s->frontend = frontend;
    mem_free(outer);
    return t->ended;
}

int64_t session_task_due(const struct session_task *t)
{
    return atomic_load(&t->run.s->hook.interrupts) == t->since ? t->due : 0;
}

enum lc session_task_free(struct session_task *t, struct err *err)
{
    enum lc rc = t->rc;

    if (rc != LC_OK) {
        if (err)
            *err = t->err;
        cell_reply_release(t->reply);
    }
    if (t->run.s->spare)
        mem_free(t);
    else
        t->run.s->spare = t; /* the next cell needs one */
    return rc;
}

enum lc session_execute(struct session *s, const struct cell_request *cell, struct cell_reply *reply,
                        struct err *err)
{
    struct session_task *t;

    TRY(session_task_new(s, cell, reply, &t, err));
    t->inside = true;
    while (!session_task_step(t))
        if (s->frontend.ops && s->frontend.ops->serve)
            s->frontend.ops->serve(s->frontend.self, &s->ctx, clock_ms_until(session_task_due(t)));
    return session_task_free(t, err);
}

void cell_reply_release(struct cell_reply *r)
{
    json_decref(r->user_expressions);
    json_decref(r->payload);
    json_decref(r->traceback);
    mem_free(r->notebook_exit);
    mem_free(r->ename);
    mem_free(r->evalue);
    *r = (struct cell_reply){0};
}

/* ---- callbacks ---- */
struct callback {
    struct session *s;
    lua_CFunction fn;
    void *arg;
};

static int callback_main(lua_State *L) /* (callback) */
{
    struct callback *c = lua_touserdata(L, 1);

    lua_pushcfunction(L, error_handler);
    lua_pushcfunction(L, c->fn);
    lua_pushlightuserdata(L, c->arg);
    return ended(L, lua_pcallk(L, 1, 0, 2, 0, ended), 0);
}

static int callback_protected(lua_State *L) /* (callback, reply) */
{
    struct callback *c = lua_touserdata(L, 1);

    run_coroutine(L, c->s, callback_main, c, lua_touserdata(L, 2));
    return 0;
}

void session_callback(struct session *s, lua_CFunction fn, void *arg)
{
    struct callback c = {s, fn, arg};
    struct cell_reply reply = {0};
    lua_State *L = session_lua(s);

    if (!lua_checkstack(L, 10))
        return;
    lua_pushcfunction(L, callback_protected);
    lua_pushlightuserdata(L, &c);
    lua_pushlightuserdata(L, &reply);
    if (lua_pcall(L, 2, 0, 0) != LUA_OK)
        lua_pop(L, 1);
    else if (reply.status == CELL_ERROR)
        send_error(s, &reply);
    session_drain(s);
    masks_flush(s);
    cell_reply_release(&reply);
}

/* ---- text inside a cell ---- */
static void run_magic_cell(lua_State *L, const struct magic_cell *m)
{
    lua_pushcfunction(L, magic_run_cell);
    lua_pushlstring(L, m->name, m->name_len);
    lua_pushlstring(L, m->line, m->line_len);
    lua_pushlstring(L, m->body, m->body_len);
    lua_call(L, 3, LUA_MULTRET);
}

int session_run_text(lua_State *L, const char *text, size_t len, const char *chunkname)
{
    return session_run_script(L, 0, text, len, chunkname);
}

void session_set_source(lua_State *L, const char *chunkname, const char *text, size_t len)
{
    session_table(L, TABLE_SOURCES);
    lua_pushlstring(L, text, len);
    lua_setfield(L, -2, chunkname);
    lua_pop(L, 1);
}

int session_run_script(lua_State *L, int nargs, const char *text, size_t len, const char *chunkname)
{
    struct cell_shape shape;
    struct magic_cell magic; /* %%time over %%sql */
    int top = lua_gettop(L) - nargs;
    char chunk[64];

    if (magic_split(text, len, &magic)) {
        lua_settop(L, top);
        run_magic_cell(L, &magic);
        return lua_gettop(L) - top;
    }

    snprintf(chunk, sizeof chunk, "=%.60s", chunkname + (*chunkname == '='));
    session_set_source(L, chunk + 1, text, len);
    if (cell_load(L, text, len, chunk, &shape) != LUA_OK) {
        habits_syntax(L, text, len);
        return lua_error(L);
    }
    lua_insert(L, top + 1);
    lua_call(L, nargs, LUA_MULTRET);
    if (shape.implicit)
        lua_remove(L, top + 1);
    if (shape.silent)
        lua_settop(L, top);
    return lua_gettop(L) - top;
}
