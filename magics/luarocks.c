/* %luarocks: Lua packages, in a folder of this session, which require finds. */
#include "magics/line.h"
#include "magics/magics.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/session/shell.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* package.NAME = what .. ";" .. package.NAME, once */
static void put_first(lua_State *L, const char *field, const char *what)
{
    lua_getglobal(L, "package");
    lua_getfield(L, -1, field);
    if (!strstr(lua_tostring(L, -1), what)) {
        lua_pushfstring(L, "%s;%s", what, lua_tostring(L, -1));
        lua_setfield(L, -3, field);
    }
    lua_pop(L, 2);
}

/* $LACUS_HOME/rocks/SESSION, left on the stack */
static const char *tree_of(lua_State *L)
{
    struct err err;
    char *rocks = fs_home("rocks", &err);
    char path[4096];

    if (!rocks)
        session_raise(L, &err);
    snprintf(path, sizeof path, "%.3900s/%s", rocks, session_id(session_of(L)));
    mem_free(rocks);
    return lua_pushstring(L, path);
}

int magic_luarocks(lua_State *L, const char *line, const char *body)
{
    struct line_words *w = line_words(L, line);
    const char *argv[LINE_WORDS + 8] = {"luarocks", "--lua-version=5.4", "--tree"};
    size_t n = 3;
    struct err err;
    const char *tree;

    (void)body;
    if (w->n == 0)
        return line_error(L, "luarocks", "nothing to do", NULL);
    if (!shell_has("luarocks")) {
        err_set(&err, LC_MISSING, "cannot run luarocks: it is not installed");
        err_hint(&err, "install it (Debian: apt-get install luarocks) and run the cell again");
        return session_raise(L, &err);
    }
    tree = tree_of(L);
    argv[n++] = tree;
    for (size_t i = 0; i < w->n; i++)
        argv[n++] = w->words[i];
    argv[n] = NULL;
    shell_run(L, &(struct shell_job){.argv = argv});
    lua_pushfstring(L, "%s/share/lua/5.4/?.lua;%s/share/lua/5.4/?/init.lua", tree, tree);
    put_first(L, "path", lua_tostring(L, -1));
    lua_pushfstring(L, "%s/lib/lua/5.4/?.so", tree);
    put_first(L, "cpath", lua_tostring(L, -1));
    return 0;
}
