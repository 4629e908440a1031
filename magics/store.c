/* %store: variables that outlive the session: one file each in $LACUS_HOME/store. */
#include "magics/line.h"
#include "magics/magics.h"
#include "magics/options.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/session/cell.h"
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { VALUE_MAX = 256 << 20 };

static void check(lua_State *L, enum lc rc, const struct err *err)
{
    if (rc != LC_OK)
        session_raise(L, err);
}

/* Pushes the folder, which is made. */
static const char *push_folder(lua_State *L)
{
    struct err err;
    char *path = fs_home("store", &err);

    if (!path)
        session_raise(L, &err);
    lua_pushstring(L, path);
    mem_free(path);
    check(L, fs_mkdirs(lua_tostring(L, -1), &err), &err);
    return lua_tostring(L, -1);
}

static const char *push_path(lua_State *L, const char *name)
{
    for (const char *p = name; *p; p++)
        if (!isalnum((unsigned char)*p) && *p != '_')
            line_error(L, "store", "this is no name of a variable:", name);
    return lua_pushfstring(L, "%s/%s.lua", push_folder(L), name);
}

/* lacus.store's function of this name, with the arguments that are on the stack. */
static void call(lua_State *L, const char *function, int nargs)
{
    session_require(L, "lacus.store");
    lua_getfield(L, -1, function);
    lua_remove(L, -2);
    lua_insert(L, -nargs - 1);
    lua_call(L, nargs, 1);
}

/* ---- keeping ---- */
static void keep(lua_State *L, const char *name)
{
    const char *path = push_path(L, name), *text;
    struct err err;
    size_t len;

    lua_pushstring(L, name);
    cell_push_variable(L, name, "store");
    call(L, "serialize", 2);
    text = lua_tolstring(L, -1, &len);
    if (session_masked(session_of(L), text, len)) {
        err_set(&err, LC_PERM, "cannot store '%s': there is a secret in it", name);
        err_hint(&err, "secrets stay in dbutils.secrets, where they are sealed");
        session_raise(L, &err);
    }
    check(L, fs_write_private(path, text, len, &err), &err);
    lua_getglobal(L, "type");
    cell_push_variable(L, name, "store");
    lua_call(L, 1, 1);
    line_print(L, "Stored '%s' (%s)\n", name, lua_tostring(L, -1));
}

/* x > file, x >> file: a text as it is, other values as they are shown. */
static int to_file(lua_State *L, const struct options *o)
{
    const char *file = o->words[2];
    struct buf *text = session_buf(L, VALUE_MAX);
    struct err err;
    const char *value;
    size_t len;
    bool adds = strcmp(o->words[1], ">>") == 0 && fs_exists(file);

    cell_push_variable(L, o->words[0], "store");
    if (adds)
        check(L, fs_read(file, text, &err), &err);
    value = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &len) : NULL;
    if (value)
        buf_add(text, value, len);
    else
        session_repr(L, lua_gettop(L), text);
    if (text->len == 0 || text->data[text->len - 1] != '\n')
        buf_putc(text, '\n');
    check(L, fs_write(file, buf_str(text), text->len, &err), &err);
    line_print(L, "%s '%s' (%s) to file '%s'.\n", adds ? "Appended" : "Writing", o->words[0],
               luaL_typename(L, -1), file);
    return 0;
}

/* ---- bringing back ---- */

static void not_stored(lua_State *L, const char *name)
{
    struct err err;

    err_set(&err, LC_NOTFOUND, "no variable is stored as '%s'", name);
    err_hint(&err, "%%store lists those that are");
    session_raise(L, &err);
}

/* Pushes the value. */
static void push_stored(lua_State *L, const char *name)
{
    const char *path = push_path(L, name);
    struct buf *text = session_buf(L, VALUE_MAX);
    struct err err;

    if (!fs_exists(path))
        not_stored(L, name);
    check(L, fs_read(path, text, &err), &err);
    lua_pushstring(L, name);
    lua_pushlstring(L, buf_str(text), text->len);
    call(L, "restore", 2);
}

static void push_names(lua_State *L) /* of all that are stored */
{
    struct err err;
    char **names;
    size_t n;

    check(L, fs_list(push_folder(L), &names, &n, &err), &err);
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) { /* onto the Lua side: fn may raise */
        lua_pushlstring(L, names[i], strcspn(names[i], "."));
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    fs_free_list(names, n);
}

typedef void each_fn(lua_State *L, const char *name);

/* All that are stored, or those that are named. */
static void each(lua_State *L, const struct options *o, each_fn *fn)
{
    for (size_t i = 0; i < o->n; i++)
        fn(L, o->words[i]);
    if (o->n)
        return;
    push_names(L);
    for (lua_Integer i = 1; lua_rawgeti(L, -1, i) == LUA_TSTRING; i++, lua_pop(L, 1)) {
        int top = lua_gettop(L);
        fn(L, lua_tostring(L, -1));
        lua_settop(L, top);
    }
}

static void restore_one(lua_State *L, const char *name)
{
    push_stored(L, name);
    cell_set_variable(L, name);
}

static void show_one(lua_State *L, const char *name)
{
    push_stored(L, name);
    call(L, "shown", 1);
    line_print(L, "%-16s -> %s\n", name, lua_tostring(L, -1));
}

static void drop_one(lua_State *L, const char *name)
{
    const char *path = push_path(L, name);
    struct err err;

    if (unlink(path) == 0)
        return;
    if (errno == ENOENT)
        not_stored(L, name);
    err_errno(&err, errno, "cannot remove the stored '%s'", name);
    session_raise(L, &err);
}

int magic_store_words(lua_State *L) /* (nil, word, "", line) */
{
    const char *line = luaL_checkstring(L, 4);

    if (strncmp(line, "-r ", 3) != 0 && strncmp(line, "-d ", 3) != 0)
        return 0;
    push_names(L);
    return 1;
}

int magic_store(lua_State *L, const char *line, const char *body)
{
    struct options *o = options_read(L, "store", line, OPTIONS_ALL);

    (void)body;
    if (o->n == 3 && o->words[1][0] == '>')
        return to_file(L, o);
    if (options_has(o, "-d") && o->n == 0)
        return line_error(L, "store", "which variable is to be removed? -z removes all", NULL);
    if (options_has(o, "-z") && o->n > 0)
        return line_error(L, "store", "-z removes all; -d removes", o->words[0]);
    if (options_has(o, "-d") || options_has(o, "-z")) {
        each(L, o, drop_one);
    } else if (options_has(o, "-r")) {
        each(L, o, restore_one);
    } else if (o->n == 0) {
        line_print(L, "Stored variables and their values:\n");
        each(L, o, show_one);
    } else {
        each(L, o, keep);
    }
    return 0;
}
