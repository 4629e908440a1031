/* %%capture: runs the cell with a front end that keeps what it is given. */
#include "magics/line.h"
#include "magics/magics.h"
#include "magics/options.h"
#include "runtime/session/cell.h"
#include <stdio.h>
#include <string.h>

enum { CAPTURE_NAME = 128 };

struct kept {
    struct frontend before; /* the session's own */
    bool active;
    bool pass_out, pass_err, pass_display;
    json_t *out, *err, *displays; /* owned: arrays of texts, of bundles */
    char name[CAPTURE_NAME];      /* of the variable; "": none */
};

static void on_stream(void *self, const struct ctx *ctx, enum stream stream, const char *text, size_t len)
{
    struct kept *k = self;
    bool passes = stream == STREAM_STDERR ? k->pass_err : k->pass_out;

    if (!passes)
        json_array_append_new(stream == STREAM_STDERR ? k->err : k->out, json_stringn(text, len));
    else if (k->before.ops && k->before.ops->stream)
        k->before.ops->stream(k->before.self, ctx, stream, text, len);
}

static void on_display(void *self, const struct ctx *ctx, const struct display *d)
{
    struct kept *k = self;

    if (!k->pass_display)
        json_array_append(k->displays, d->data);
    else if (k->before.ops && k->before.ops->display)
        k->before.ops->display(k->before.self, ctx, d);
}

static enum lc on_input(void *self, const struct ctx *ctx, const char *prompt, bool password,
                        struct buf *answer, struct err *err)
{
    struct kept *k = self;

    if (k->before.ops && k->before.ops->input)
        return k->before.ops->input(k->before.self, ctx, prompt, password, answer, err);
    return err_set(err, LC_UNSUPPORTED, "there is nobody to ask");
}

static void on_serve(void *self, const struct ctx *ctx, int timeout_ms)
{
    struct kept *k = self;

    if (k->before.ops && k->before.ops->serve)
        k->before.ops->serve(k->before.self, ctx, timeout_ms);
}

static const struct frontend_ops keeping = {.name = "capture",
                                            .rich = true,
                                            .stream = on_stream,
                                            .display = on_display,
                                            .input = on_input,
                                            .serve = on_serve};

static int l_gc(lua_State *L)
{
    struct kept *k = lua_touserdata(L, 1);

    json_decref(k->out);
    json_decref(k->err);
    json_decref(k->displays);
    k->out = k->err = k->displays = NULL;
    return 0;
}

/* captured.show(): what was kept goes to the front end after all. Upvalue 1: the captured table. */
static int l_show(lua_State *L)
{
    static const struct {
        const char *field;
        enum stream stream;
    } texts[] = {{"stdout", STREAM_STDOUT}, {"stderr", STREAM_STDERR}};
    struct session *s = session_of(L);

    for (size_t i = 0; i < 2; i++) {
        size_t len;
        lua_getfield(L, lua_upvalueindex(1), texts[i].field);
        const char *text = lua_tolstring(L, -1, &len);
        if (text)
            session_print(s, texts[i].stream, text, len);
    }
    lua_getfield(L, lua_upvalueindex(1), "outputs");
    for (lua_Integer i = 1; lua_istable(L, -1) && lua_rawgeti(L, -1, i) != LUA_TNIL; i++, lua_pop(L, 1)) {
        struct err err;
        struct display d = {.data = session_to_json(L, -1, &err)};
        if (d.data)
            session_display(s, &d);
        json_decref(d.data);
    }
    return 0;
}

static void push_joined(lua_State *L, json_t *texts)
{
    luaL_Buffer b;
    json_t *text;
    size_t i;

    luaL_buffinit(L, &b);
    json_array_foreach (texts, i, text)
        luaL_addlstring(&b, json_string_value(text), json_string_length(text));
    luaL_pushresult(&b);
}

static void push_captured(lua_State *L, const struct kept *k)
{
    lua_createtable(L, 0, 4);
    push_joined(L, k->out);
    lua_setfield(L, -2, "stdout");
    push_joined(L, k->err);
    lua_setfield(L, -2, "stderr");
    session_push_json(L, k->displays);
    lua_setfield(L, -2, "outputs");
    lua_pushvalue(L, -1);
    lua_pushcclosure(L, l_show, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "show");
    lua_createtable(L, 0, 2); /* captured() shows it too */
    lua_insert(L, -2);
    lua_setfield(L, -2, "__call");
    lua_pushliteral(L, "captured");
    lua_setfield(L, -2, "__name");
    lua_setmetatable(L, -2);
}

/* However the cell ended, what it had shown is kept. */
static int l_close(lua_State *L)
{
    struct kept *k = lua_touserdata(L, 1);

    if (!k->active)
        return 0;
    session_flush(session_of(L));
    session_set_frontend(session_of(L), k->before);
    k->active = false;
    if (k->name[0]) {
        push_captured(L, k);
        cell_set_variable(L, k->name);
    }
    return 0;
}

/* Leaves it on the stack twice: the upper one is closed in the end, the lower one keeps it alive. */
static struct kept *begin(lua_State *L)
{
    struct kept *k = lua_newuserdatauv(L, sizeof *k, 0);

    *k = (struct kept){.out = json_array(), .err = json_array(), .displays = json_array()};
    if (luaL_newmetatable(L, "lacus.magics.capture")) {
        lua_pushcfunction(L, l_close);
        lua_setfield(L, -2, "__close");
        lua_pushcfunction(L, l_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_toclose(L, -1);
    return k;
}

/* The cell's result is one of its outputs. */
static void keep_results(lua_State *L, struct kept *k, int top)
{
    for (int i = top + 1; i <= lua_gettop(L); i++)
        if (!session_says_nothing(L, i))
            json_array_append_new(k->displays, session_mimebundle(L, i));
    lua_settop(L, top);
}

static const char *parse(lua_State *L, struct kept *k, const struct options *o)
{
    k->pass_out = options_has(o, "--no-stdout");
    k->pass_err = options_has(o, "--no-stderr");
    k->pass_display = options_has(o, "--no-display");
    return o->n ? options_one(L, o, "") : NULL;
}

int magic_capture(lua_State *L, const char *line, const char *body)
{
    struct options *o = options_read(L, "capture", line, OPTIONS_ALL);
    struct kept *k = begin(L);
    int slot = lua_gettop(L);
    const char *name = parse(L, k, o);

    if (name)
        line_check_name(L, "capture", name);
    snprintf(k->name, sizeof k->name, "%s", name ? name : "");
    k->before = session_set_frontend(session_of(L), (struct frontend){&keeping, k});
    k->active = true;
    session_run_text(L, body, strlen(body), "%%capture");
    keep_results(L, k, slot);
    lua_closeslot(L, slot);
    return 0;
}
