/* notebook_lua.c: dbutils.notebook: another notebook as a run of its own, and the end of this one. */
#include "runtime/base/clock.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/base/plural.h"
#include "runtime/base/process.h"
#include "runtime/dbutils/dbutils_lua.h"
#include "runtime/notebook/notebook.h"
#include "runtime/session/beside.h"
#include "runtime/session/session_lua.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SAID_MAX = 1 << 20, PATH_LENGTH = 4096 };

struct child {                /* closed by Lua, however the run ends */
    char params[PATH_LENGTH]; /* "" or a file that is removed */
    struct buf said;          /* what it wrote to standard error */
    json_t *arguments;
    struct notebook *notebook;
};

static int child_gc(lua_State *L)
{
    struct child *c = lua_touserdata(L, 1);

    if (c->params[0])
        unlink(c->params);
    c->params[0] = '\0';
    buf_release(&c->said);
    json_decref(c->arguments);
    c->arguments = NULL;
    notebook_free(c->notebook);
    c->notebook = NULL;
    return 0;
}

static struct child *push_child(lua_State *L)
{
    struct child *c = session_slot(L, sizeof *c, "lacus.dbutils.child", child_gc);

    buf_init(&c->said, SAID_MAX);
    lua_toclose(L, -1);
    return c;
}

static void check(lua_State *L, enum lc rc, const struct err *err)
{
    if (rc != LC_OK)
        session_raise(L, err);
}

/* Pushes the path: as given, or with .ipynb. */
static const char *find(lua_State *L, const char *path)
{
    static const char *const endings[] = {"", ".ipynb", NULL};
    const char *found = beside_find(L, path, endings, false);
    struct err err;

    if (found)
        return found;
    err_set(&err, LC_NOTFOUND, "cannot run the notebook '%s': no such file", path);
    session_raise(L, &err);
    return NULL;
}

/* Pushes $LACUS_HOME/notebooks/NAME-TIME-ID, without an ending. */
static const char *place_of(lua_State *L, const char *path)
{
    struct err err;
    char *home = fs_home("notebooks", &err), id[9], now[ISO_TEXT];
    const char *name = fs_basename(path), *dot = strrchr(name, '.');
    int n = dot ? (int)(dot - name) : (int)strlen(name);

    if (!home)
        session_raise(L, &err);
    hex_make(id, 8);
    clock_iso(clock_wall_ms(), now);
    lua_pushfstring(L, "%s/", home);
    mem_free(home);
    check(L, fs_mkdirs(lua_tostring(L, -1), &err), &err);
    lua_pushlstring(L, name, (size_t)(n < 100 ? n : 100));
    lua_pushfstring(L, "-%s-%s", lua_pushlstring(L, now, 10), id);
    lua_remove(L, -2);
    lua_concat(L, 3);
    return lua_tostring(L, -1);
}

/* Parameters are texts, as a widget gives them. */
static void write_params(lua_State *L, struct child *c, const char *place)
{
    struct err err;
    char *text;
    enum lc rc;
    size_t len;

    c->arguments = json_object();
    for (lua_pushnil(L); lua_next(L, 3); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            luaL_argerror(L, 3, "names must be texts");
        const char *value = luaL_tolstring(L, -1, &len);
        if (session_masked(session_of(L), value, len)) {
            err_set(&err, LC_PERM, "the argument '%s' is a secret: it would stand in the notebook's outputs",
                    lua_tostring(L, -3));
            err_hint(&err, "read it there: dbutils.secrets.get(scope, key)");
            session_raise(L, &err);
        }
        json_object_set_new(c->arguments, lua_tostring(L, -3), json_string(value));
        lua_pop(L, 1);
    }
    snprintf(c->params, sizeof c->params, "%.4000s.params.json", place);
    text = json_dumps(c->arguments, 0);
    rc = text ? fs_write_private(c->params, text, strlen(text), &err) : err_nomem(&err);
    free(text);
    check(L, rc, &err);
}

static void on_output(void *arg, int stream, const char *data, size_t len)
{
    struct child *c = arg;

    if (stream == 2)
        buf_add(&c->said, data, len);
}

static int failed(lua_State *L, const struct child *c, const char *path, const char *output, int status)
{
    const char *said = buf_str(&c->said), *mark = "lacus run: ";
    struct err err;

    if (strncmp(said, mark, strlen(mark)) == 0)
        said += strlen(mark);
    err_set(&err, LC_RUNTIME, "the notebook '%s' failed (exit status %d): %.*s", path, status,
            (int)strcspn(said, "\n"), said);
    if (fs_exists(output))
        err_hint(&err, "its outputs so far are in '%s'", output);
    return session_raise(L, &err);
}

/* Pushes the value it ended with, or nil. */
static int push_value(lua_State *L, struct child *c, const char *output)
{
    struct err err;
    json_t *value;

    check(L, notebook_load(output, &c->notebook, &err), &err);
    value = json_object_get(json_object_get(notebook_metadata(c->notebook), "lacus"), "exit_value");
    if (json_is_string(value))
        lua_pushlstring(L, json_string_value(value), json_string_length(value));
    else
        lua_pushnil(L);
    return 1;
}

int notebook_lua_run(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1), *place, *output;
    lua_Number timeout = luaL_optnumber(L, 2, 0);
    struct ctx ctx = *session_ctx(session_of(L));
    struct child *c;
    struct err err;
    int status = 0;
    enum lc rc;

    luaL_argcheck(L, timeout >= 0 && timeout < 1e9, 2, "seconds are expected, 0 for no limit");
    lua_settop(L, 3);
    path = find(L, path);
    place = place_of(L, path);
    output = lua_pushfstring(L, "%s.ipynb", place);
    c = push_child(L);
    const char *argv[] = {"/proc/self/exe", "run", path, "-o", output, "-q", "-f", c->params, NULL};
    if (!lua_isnoneornil(L, 3)) {
        luaL_checktype(L, 3, LUA_TTABLE);
        write_params(L, c, place);
    } else {
        argv[6] = NULL;
    }
    if (timeout > 0)
        ctx.deadline_ns = clock_mono_ns() + (int64_t)(timeout * 1e9);
    rc = process_run(&ctx, argv, NULL, on_output, c, &status, &err);
    if (rc == LC_TIMEOUT) {
        err_set(&err, LC_TIMEOUT, "the notebook '%s' did not end within %g second%s and was stopped", path,
                timeout, PLURAL(timeout));
        err_hint(&err, "its outputs so far are in '%.400s'", output);
    }
    check(L, rc, &err);
    if (status != 0)
        return failed(L, c, path, output, status);
    return push_value(L, c, output);
}

int notebook_lua_exit(lua_State *L)
{
    const char *value = luaL_optstring(L, 1, "");
    json_t **slot = session_json_slot(L);
    struct display d = {0};

    *slot = json_object();
    json_object_set_new(*slot, "text/plain", json_sprintf("Notebook exited%s%s", *value ? ": " : "", value));
    d.data = *slot;
    session_display(session_of(L), &d);
    return session_end_notebook(L, value);
}
