#include "runtime/python/python_lua.h"
#include "runtime/base/clock.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/dataframe/ipc.h"
#include "runtime/python/python.h"
#include "runtime/session/cell.h"
#include "runtime/session/hook.h"
#include "runtime/session/session_lua.h"
#include "runtime/session/shell.h"
#include "runtime/spark/dataframe_lua.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STEP_MS = 50, PATIENCE_MS = 4000 }; /* less than the grace that a run gives a cell */
static const char state_key = 0;

struct state {
    struct python *python; /* owned or NULL */
    char folder[64];       /* "" until it is made */
    unsigned tables;       /* handed over so far */
};

static void close_state(void *arg)
{
    struct state *state = arg;
    struct err err;

    python_stop(state->python);
    state->python = NULL;
    if (state->folder[0] && fs_remove_tree(state->folder, &err) != LC_OK)
        state->folder[0] = '\0';
}

static struct state *state_of(lua_State *L)
{
    return session_state(L, &state_key, sizeof(struct state), close_state);
}

void python_stop_kept(lua_State *L)
{
    struct state *state = state_of(L);

    python_stop(state->python);
    state->python = NULL;
}

bool python_is_kept(lua_State *L)
{
    struct state *state = state_of(L);

    return state->python && python_alive(state->python);
}

const char *python_program(void)
{
    const char *named = getenv("LACUS_PYTHON");

    if (named && *named)
        return shell_has(named) ? named : NULL;
    return shell_has("python3") ? "python3" : NULL;
}

/* ---- starting ---- */
static void missing(lua_State *L)
{
    const char *named = getenv("LACUS_PYTHON");
    struct err err;

    if (named && *named)
        err_set(&err, LC_MISSING, "cannot run Python: LACUS_PYTHON is '%s', and there is no such program",
                named);
    else
        err_set(&err, LC_MISSING, "cannot run Python: there is no python3 on the PATH");
    err_hint(
        &err,
        "install it (Debian: apt-get install python3), or name one: %%env LACUS_PYTHON=/path/to/python3");
    session_raise(L, &err);
}

static void make_folder(lua_State *L, struct state *state)
{
    const char *tmp = getenv("TMPDIR");
    struct err err;

    if (state->folder[0])
        return;
    snprintf(state->folder, sizeof state->folder, "%.30s/lacus-python-XXXXXX",
             tmp && *tmp && strlen(tmp) < 30 ? tmp : "/tmp");
    if (!mkdtemp(state->folder)) {
        state->folder[0] = '\0';
        err_set(&err, LC_IO, "cannot make a folder for what Python is given");
        session_raise(L, &err);
    }
}

static struct python *need_python(lua_State *L, struct state *state)
{
    const char *program = python_program();
    struct err err;

    if (state->python && python_alive(state->python))
        return state->python;
    python_stop_kept(L);
    if (!program)
        missing(L);
    make_folder(L, state);
    session_require(L, "lacus.python_side");
    if (python_start(program, lua_tostring(L, -1), state->folder, &state->python, &err) != LC_OK)
        session_raise(L, &err);
    lua_pop(L, 1);
    return state->python;
}

/* ---- what goes there ---- */
/* The rows of the dataframe on the top, batch by batch, into a file in Arrow's stream format. */
static void write_table(lua_State *L, const char *name, const char *path)
{
    const struct ctx *ctx = session_ctx(session_of(L));
    struct ArrowArrayStream rows = {0};
    struct err err;
    enum lc rc;

    err_clear(&err);
    rc = spark_execute(ctx, spark_of(L), dataframe_at(L, -1), &rows, &err);
    if (rc == LC_OK) {
        rc = ipc_save(ctx, &rows, path, &err);
        rows.release(&rows);
    }
    if (rc == LC_OK)
        return;
    if (rc == LC_MISSING)
        err_wrap(&err, "cannot hand '%s' to Python", name);
    session_raise(L, &err);
}

static void put_variable(lua_State *L, struct state *state, json_t *into, const char *name)
{
    struct err err;
    json_t *value;

    cell_push_variable(L, name, "hand over to Python");
    if (dataframe_at(L, -1)) {
        const char *path = lua_pushfstring(L, "%s/in-%d.arrow", state->folder, (int)++state->tables);
        lua_insert(L, -2);
        write_table(L, name, path);
        json_object_set_new(into, name, json_pack("{s:s}", "table", path));
        lua_pop(L, 2);
        return;
    }
    value = session_to_json_exact(L, -1, &err);
    if (!value) {
        err_wrap(&err, "cannot hand '%s' to Python", name);
        session_raise(L, &err);
    }
    json_object_set_new(into, name, json_pack("{s:o}", "value", value));
    lua_pop(L, 1);
}

/* ---- what comes back ---- */
static enum lc read_rows(const struct ctx *ctx, const char *path, const struct plan **out, struct err *err)
{
    struct ArrowArrayStream rows;

    TRY(ipc_open(path, &rows, err));
    return plan_local_stream(ctx, &rows, out, err);
}

/* Pushes the file's rows as a dataframe; they are in memory then, and the file goes. */
static void read_table(lua_State *L, const char *name, const char *path)
{
    const struct plan *p = NULL;
    struct err err;
    enum lc rc;

    err_clear(&err);
    rc = read_rows(session_ctx(session_of(L)), path, &p, &err);
    unlink(path);
    if (rc == LC_OK) {
        dataframe_push(L, p);
        return;
    }
    if (rc != LC_CANCELLED && rc != LC_TIMEOUT)
        err_wrap(&err, "cannot take '%s' from Python", name);
    session_raise(L, &err);
}

static void take_variables(lua_State *L, json_t *out)
{
    const char *name;
    json_t *given;

    json_object_foreach (out, name, given) {
        const char *path = json_string_value(json_object_get(given, "table"));
        if (path)
            read_table(L, name, path);
        else if (json_is_null(json_object_get(given, "value")))
            lua_pushnil(L);
        else
            session_push_json_exact(L, json_object_get(given, "value"));
        cell_set_variable(L, name);
    }
}

static void raise_pythons(lua_State *L, json_t *reply)
{
    const char *name = json_string_value(json_object_get(reply, "ename"));
    json_t *text = json_object_get(reply, "evalue");

    lua_createtable(L, 0, 3);
    lua_pushstring(L, name ? name : "Error");
    lua_setfield(L, -2, "ename");
    lua_pushlstring(L, json_is_string(text) ? json_string_value(text) : "", json_string_length(text));
    lua_setfield(L, -2, "message");
    session_push_json(L, json_object_get(reply, "traceback"));
    lua_setfield(L, -2, "traceback");
    lua_error(L);
}

/* ---- the conversation ---- */
struct talk {
    lua_State *L;
    struct session *s;
    struct python *python;
    int64_t asked_ns; /* when the cell was to end; 0: it was not */
    bool began, told; /* before it has begun, Python ignores an interrupt */
    json_t **message; /* on the stack */
};

static void on_output(void *arg, int stream, const char *data, size_t len)
{
    const struct talk *t = arg;

    session_print(t->s, stream == 2 ? STREAM_STDERR : STREAM_STDOUT, data, len);
}

static void send(struct talk *t, json_t *message) /* takes it */
{
    struct err err;
    enum lc rc = message ? python_send(t->python, message, &err) : err_nomem(&err);

    json_decref(message);
    if (rc != LC_OK)
        session_raise(t->L, &err);
}

static void answer_input(struct talk *t)
{
    const struct frontend *f = session_frontend(t->s);
    const char *prompt = json_string_value(json_object_get(*t->message, "prompt"));
    bool password = json_is_true(json_object_get(*t->message, "password"));
    struct buf *answer = session_buf(t->L, BUF_TEXT_MAX);
    struct err err;
    enum lc rc = LC_UNSUPPORTED;

    err_set(&err, LC_UNSUPPORTED, "this front end does not answer");
    if (f->ops && f->ops->input)
        rc = f->ops->input(f->self, session_ctx(t->s), prompt ? prompt : "", password, answer, &err);
    if (rc == LC_OK)
        send(t, json_pack("{s:s, s:s%}", "op", "answer", "text", buf_str(answer), answer->len));
    else
        send(t, json_pack("{s:s, s:s}", "op", "nobody", "message", err.message));
    lua_pop(t->L, 1);
}

static void show(struct talk *t)
{
    struct display d = {.data = json_object_get(*t->message, "data")};

    if (json_is_object(d.data))
        session_display(t->s, &d);
}

/* The cell is to end: Python is told once, and ended when it does not listen. */
static void pass_on_interrupt(struct talk *t)
{
    if (!ctx_cancelled(session_ctx(t->s)))
        return;
    if (!t->asked_ns)
        t->asked_ns = clock_mono_ns();
    if (t->began && !t->told) {
        python_interrupt(t->python);
        t->told = true;
    } else if (clock_mono_ns() - t->asked_ns > PATIENCE_MS * INT64_C(1000000)) {
        static const char text[] = "Python did not stop and was ended; its variables are gone\n";
        session_print(t->s, STREAM_STDERR, text, sizeof text - 1);
        python_stop_kept(t->L);
        hook_strike(t->L);
    }
}

/* Until the cell is done; its reply stays in *t->message. */
static void converse(struct talk *t)
{
    for (;;) {
        struct err err;
        const char *op;
        json_decref(*t->message);
        *t->message = NULL;
        pass_on_interrupt(t);
        if (python_step(t->python, STEP_MS, on_output, t, t->message, &err) != LC_OK) {
            python_stop_kept(t->L);
            err_hint(&err, "its variables are gone; the next %%%%python cell starts another one");
            session_raise(t->L, &err);
        }
        op = json_string_value(json_object_get(*t->message, "op"));
        if (!op) {
            session_wait(t->s, 0); /* widgets and subshells have their turn */
            continue;
        }
        if (strcmp(op, "done") == 0)
            return;
        if (strcmp(op, "began") == 0)
            t->began = true;
        else if (strcmp(op, "input") == 0)
            answer_input(t);
        else if (strcmp(op, "display") == 0)
            show(t);
    }
}

static void print_traceback(struct session *s, json_t *lines)
{
    json_t *line;
    size_t i;

    json_array_foreach (lines, i, line) {
        session_print(s, STREAM_STDERR, json_string_value(line), json_string_length(line));
        session_print(s, STREAM_STDERR, "\n", 1);
    }
}

/* sys.exit(): the cell has failed when a script would have. */
static void after_exit(struct talk *t)
{
    static const char text[] = "Python ended itself; its variables are gone\n";
    int code = (int)json_integer_value(json_object_get(*t->message, "code"));
    struct err err;

    python_stop_kept(t->L);
    if (code != 0) {
        err_set(&err, LC_RUNTIME, "Python ended itself with exit status %d", code);
        err_hint(&err, "its variables are gone; the next %%%%python cell starts another one");
        session_raise(t->L, &err);
    }
    session_print(t->s, STREAM_STDERR, text, sizeof text - 1);
}

static void conclude(struct talk *t)
{
    const char *status = json_string_value(json_object_get(*t->message, "status"));
    struct err err;

    if (ctx_cancelled(session_ctx(t->s)) || (status && strcmp(status, "interrupted") == 0)) {
        print_traceback(t->s, json_object_get(*t->message, "traceback"));
        err_set(&err, LC_CANCELLED, "interrupted");
        session_raise(t->L, &err);
    }
    if (status && strcmp(status, "error") == 0)
        raise_pythons(t->L, *t->message);
    if (status && strcmp(status, "exit") == 0)
        after_exit(t);
    take_variables(t->L, json_object_get(*t->message, "out"));
}

void python_run(lua_State *L, const char *code, const char *const *in, const char *const *out)
{
    struct state *state = state_of(L);
    struct talk t = {.L = L, .s = session_of(L)};
    json_t **request = session_json_slot(L), *given = json_object(), *wanted = json_array();

    *request = json_pack("{s:s, s:s, s:o, s:o}", "op", "run", "code", code, "in", given, "out", wanted);
    t.message = session_json_slot(L);
    if (!*request)
        luaL_error(L, "the cell is no text that Python could read");
    t.python = need_python(L, state);
    for (; in && *in; in++)
        put_variable(L, state, given, *in);
    for (; out && *out; out++)
        json_array_append_new(wanted, json_string(*out));
    session_flush(t.s);
    send(&t, json_incref(*request));
    converse(&t);
    conclude(&t);
}
