/* %run: a notebook or a Lua file, in this session: what it defines stays. */
#include "magics/cd.h"
#include "magics/line.h"
#include "magics/magics.h"
#include "magics/run_text.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/notebook/notebook.h"
#include "runtime/notebook/parameters.h"
#include "runtime/session/beside.h"
#include "runtime/session/cell.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_MAX_BYTES = 64 << 20 };

/* What must be given back however the run ends; closed by Lua. */
struct running {
    struct notebook *notebook;
    struct buf text;
    json_t *params_before, *given; /* given: those of the line */
    bool params_set, arg_set;      /* the global arg of before is the userdata's value */
    bool entered;                  /* what runs is the file; before: what did */
    char *before;
};

static int l_close(lua_State *L)
{
    struct running *r = lua_touserdata(L, 1);

    notebook_free(r->notebook);
    r->notebook = NULL;
    buf_release(&r->text);
    if (r->params_set)
        session_set_params(session_of(L), r->params_before);
    json_decref(r->params_before);
    json_decref(r->given);
    r->params_before = r->given = NULL;
    r->params_set = false;
    if (r->arg_set) {
        lua_getiuservalue(L, 1, 1);
        lua_setglobal(L, "arg");
    }
    r->arg_set = false;
    if (r->entered)
        beside_leave(session_of(L), r->before);
    r->entered = false;
    return 0;
}

static struct running *begin(lua_State *L)
{
    struct running *r = session_slot(L, sizeof *r, "lacus.magics.run", l_close);

    buf_init(&r->text, TEXT_MAX_BYTES);
    lua_toclose(L, -1);
    return r;
}

/* A notebook has a cell of its own for them; a script finds them as variables. */
static void set_global(lua_State *L, json_t *params, const char *name)
{
    session_push_parameter(L, json_object_get(params, name));
    cell_set_variable(L, name);
}

/* "$name=value" or "-p name value" at words[*i]; false: something else. */
static bool take_param(lua_State *L, json_t *params, const struct line_words *w, size_t *i)
{
    const char *word = w->words[*i], *equals = strchr(word, '=');
    struct err err;
    char name[128];

    if (word[0] == '$' && equals && (size_t)(equals - word) < sizeof name) {
        snprintf(name, sizeof name, "%.*s", (int)(equals - word - 1), word + 1);
        if (parameter_set(params, name, parameter_value(equals + 1), &err) != LC_OK)
            session_raise(L, &err);
        set_global(L, params, name);
        return true;
    }
    if (strcmp(word, "-p") != 0 || *i + 2 >= w->n)
        return false;
    if (parameter_set(params, w->words[*i + 1], parameter_value(w->words[*i + 2]), &err) != LC_OK)
        session_raise(L, &err);
    set_global(L, params, w->words[*i + 1]);
    *i += 2;
    return true;
}

/* Pushes what a script finds in "..."; returns their number. */
static int push_arguments(lua_State *L)
{
    int n;

    lua_getglobal(L, "arg");
    n = (int)lua_rawlen(L, -1);
    luaL_checkstack(L, n, "too many arguments");
    for (int i = 1; i <= n; i++)
        lua_rawgeti(L, -i, i);
    lua_remove(L, -n - 1);
    return n;
}

/* The words behind the file: parameters, and for a script what it finds in `arg`. */
static void take_words(lua_State *L, int slot, const struct line_words *w, bool notebook)
{
    struct running *r = lua_touserdata(L, slot);
    struct session *s = session_of(L);
    lua_Integer n = 0;
    json_t *params;

    r->params_before = json_incref(session_params(s));
    params = r->params_before ? json_copy(r->params_before) : json_object();
    r->params_set = true;
    session_set_params(s, params);
    json_decref(params); /* the session has it now */
    lua_newtable(L);
    lua_pushstring(L, w->words[0]);
    lua_rawseti(L, -2, 0);
    r->given = json_object();
    for (size_t i = 1; i < w->n; i++) {
        if (take_param(L, r->given, w, &i))
            continue;
        if (notebook)
            line_error(L, "run", "cannot read the parameter", w->words[i]);
        lua_pushstring(L, w->words[i]);
        lua_rawseti(L, -2, ++n);
    }
    json_object_update(session_params(s), r->given);
    if (notebook) {
        lua_pop(L, 1);
        return;
    }
    lua_getglobal(L, "arg");
    lua_setiuservalue(L, slot, 1);
    r->arg_set = true;
    lua_setglobal(L, "arg");
}

/* What the line gives and the notebook does not know: told, and set, as papermill does. */
static void warn_unknown(lua_State *L, const struct running *r)
{
    struct buf *names = session_buf(L, BUF_TEXT_MAX), *said = session_buf(L, BUF_TEXT_MAX);

    parameters_unknown(r->given, r->notebook, names);
    for (const char *line = buf_str(names); *line; line += strcspn(line, "\n") + 1)
        buf_printf(said, "warning: %.*s\n", (int)strcspn(line, "\n"), line);
    if (said->len)
        session_print(session_of(L), STREAM_STDERR, buf_str(said), said->len);
    lua_pop(L, 2);
}

static void run_notebook(lua_State *L, struct running *r, const char *path)
{
    struct err err;

    if (notebook_load(path, &r->notebook, &err) != LC_OK)
        session_raise(L, &err);
    warn_unknown(L, r);
    if (parameters_inject(session_params(session_of(L)), r->notebook, &err) != LC_OK)
        session_raise(L, &err);
    for (size_t i = 0; i < notebook_cell_count(r->notebook); i++) {
        json_t *cell = notebook_cell(r->notebook, i);
        char name[128];
        if (!cell_is_code(cell))
            continue;
        if (ctx_check(session_ctx(session_of(L)), &err) != LC_OK)
            session_raise(L, &err);
        buf_clear(&r->text);
        if (!cell_source(cell, &r->text))
            luaL_error(L, "cell %d of '%s' is too long", (int)i + 1, path);
        snprintf(name, sizeof name, "%.80s[%zu]", fs_basename(path), i + 1);
        if (r->text.len)
            run_text(L, 0, buf_str(&r->text), r->text.len, name);
    }
}

static void run_script(lua_State *L, struct running *r, const char *path)
{
    const char *dot = strrchr(fs_basename(path), '.');
    struct err err;

    if (dot && strcmp(dot, ".py") == 0) {
        err_set(&err, LC_ARG, "%%run: '%s' is a script of Python", path);
        err_hint(&err, "!python3 %s runs it, and so does a %%%%python cell: exec(open('%s').read())", path,
                 path);
        session_raise(L, &err);
    }
    if (fs_read(path, &r->text, &err) != LC_OK)
        session_raise(L, &err);
    run_text_hide_marks(&r->text);
    run_text(L, push_arguments(L), buf_str(&r->text), r->text.len, fs_basename(path));
}

/* The file itself, or with .ipynb or .lua behind it; leaves the path on the stack. Who has gone to another folder means
 * that one first. */
static const char *find(lua_State *L, const char *name)
{
    static const char *const endings[] = {"", ".ipynb", ".lua", NULL};
    const char *path = beside_find(L, name, endings, cd_has_moved(L));
    struct err err;

    if (path)
        return path;
    err_set(&err, LC_NOTFOUND, "%%run: no notebook or Lua file '%s'", name);
    session_raise(L, &err);
    return NULL;
}

/* What follows the options. -i and -n say what is so here anyway: the file has the session's names. */
static const char *skip_options(lua_State *L, const char *line, bool *timed)
{
    while (isspace((unsigned char)*line))
        line++;
    while (*line == '-') {
        size_t n = strcspn(line, " \t");
        if (n < 2 || strspn(line + 1, "itn") != n - 1) {
            lua_pushlstring(L, line, n);
            line_error(L, "run", "in front of the file there is no option", lua_tostring(L, -1));
        }
        *timed = *timed || memchr(line, 't', n);
        line += n;
        line += strspn(line, " \t");
    }
    return line;
}

int magic_run_file(lua_State *L, const char *line, const char *body)
{
    bool timed = false;
    struct line_words *w = line_words(L, line = skip_options(L, line, &timed));
    const char *path, *dot;
    struct running *r;
    bool notebook;
    int slot;

    (void)body;
    if (w->n == 0)
        return line_error(L, "run", "no file named", NULL);
    if (timed)
        return magic_time(L, "", lua_pushfstring(L, "%%run %s", line));
    path = find(L, line_path(L, w->words[0]));
    dot = strrchr(path, '.');
    r = begin(L);
    slot = lua_gettop(L);
    notebook = dot && strcmp(dot, ".ipynb") == 0;
    r->before = beside_enter(session_of(L), path);
    r->entered = true;
    take_words(L, slot, w, notebook);
    if (notebook)
        run_notebook(L, r, path);
    else
        run_script(L, r, path);
    lua_closeslot(L, slot);
    return 0;
}
