/* %fs: dbutils.fs in a shell's words. */
#include "magics/line.h"
#include "magics/magics.h"
#include "magics/options.h"
#include "runtime/base/nearest.h"
#include "runtime/dbutils/dbutils_lua.h"
#include "runtime/session/shell.h"
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    lua_CFunction run;
    int least, most; /* words behind the name */
    int recurse;     /* the argument that -r sets; 0: none */
} commands[] = {{"cp", files_cp, 2, 2, 3},         {"head", files_head, 1, 2, 0}, {"ls", files_ls, 0, 1, 0},
                {"mkdirs", files_mkdirs, 1, 1, 0}, {"mv", files_mv, 2, 2, 3},     {"put", files_put, 2, 2, 3},
                {"rm", files_rm, 1, 1, 2}};

static int unknown(lua_State *L, const char *name)
{
    const char *names[sizeof commands / sizeof *commands];
    struct buf near = BUF_INIT(256);
    struct err err;

    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        names[i] = commands[i].name;
    err_set(&err, LC_ARG, "%%fs cannot do '%s'", name);
    if (nearest_list(&near, name, names, sizeof names / sizeof *names, 3) && near.len)
        err_hint(&err, "did you mean %s?", buf_str(&near));
    else
        err_hint(&err, "%%fs ls|head|mkdirs|put|cp|mv|rm; %%fs? tells more");
    buf_release(&near);
    return session_raise(L, &err);
}

static void print_list(lua_State *L)
{
    for (lua_Integer i = 1; lua_rawgeti(L, -1, i) == LUA_TTABLE; i++, lua_pop(L, 1)) {
        lua_getfield(L, -1, "size");
        lua_getfield(L, -2, "name");
        line_print(L, "%12lld  %s\n", (long long)lua_tointeger(L, -2), lua_tostring(L, -1));
        lua_pop(L, 2);
    }
}

static bool is_flag(const char *word)
{
    return strcmp(word, "--recurse=true") == 0 || strcmp(word, "--overwrite=true") == 0;
}

/* The results of the command are printed, and none is left. */
static int run(lua_State *L, size_t which, const struct options *o, bool flag)
{
    int n = 0;

    lua_pushcfunction(L, commands[which].run);
    for (size_t i = 1; i < o->n; i++)
        if (!is_flag(o->words[i])) {
            lua_pushstring(L, o->words[i]);
            n++;
        }
    if (n < commands[which].least || n > commands[which].most)
        return line_error(
            L, "fs", commands[which].least > 1 ? "two paths are expected after" : "a path is expected after",
            commands[which].name);
    while (flag && n < commands[which].recurse - 1)
        n += (lua_pushnil(L), 1);
    if (flag && commands[which].recurse)
        n += (lua_pushboolean(L, 1), 1);
    lua_call(L, n, 1);
    if (lua_istable(L, -1)) {
        print_list(L);
    } else if (lua_type(L, -1) == LUA_TSTRING) {
        size_t len;
        const char *text = lua_tolstring(L, -1, &len);
        session_print(session_of(L), STREAM_STDOUT, text, len);
    }
    return 0;
}

int magic_fs(lua_State *L, const char *line, const char *body)
{
    struct options *o = options_read(L, "fs", shell_expand(L, body && *body ? body : line), OPTIONS_ALL);
    bool flag = options_has(o, "-r") || options_has(o, "--overwrite");

    if (o->n == 0)
        return line_error(L, "fs", "nothing to do", NULL);
    for (size_t i = 1; i < o->n; i++)
        flag |= is_flag(o->words[i]);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i].name, o->words[0]) == 0)
            return run(L, i, o, flag);
    return unknown(L, o->words[0]);
}
