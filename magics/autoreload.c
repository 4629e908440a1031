/* %autoreload: Lua modules that have changed are loaded again before a cell runs. */
#include "magics/line.h"
#include "magics/magics.h"
#include "magics/options.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int l_stat(lua_State *L)
{
    struct stat st;

    if (stat(luaL_checkstring(L, 1), &st) != 0)
        return 0;
    lua_pushfstring(L, "%I.%I %I %I", (lua_Integer)st.st_mtim.tv_sec, (lua_Integer)st.st_mtim.tv_nsec,
                    (lua_Integer)st.st_size, (lua_Integer)st.st_ino);
    return 1;
}

static int l_say(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);

    session_print(session_of(L), STREAM_STDERR, text, len);
    return 0;
}

static void push_core(lua_State *L)
{
    static const luaL_Reg native[] = {{"stat", l_stat}, {"say", l_say}, {NULL, NULL}};

    luaL_newlib(L, native);
}

static void push_module(lua_State *L)
{
    session_push_module(L, "lacus.autoreload", push_core);
}

/* Before each cell: looks at the files; after it, modules that it has required are noted. */
static int l_around(lua_State *L) /* (before) */
{
    bool before = lua_toboolean(L, 1);

    push_module(L);
    lua_getfield(L, -1, before ? "before_cell" : "note");
    lua_call(L, 0, 0);
    return 0;
}

int magic_autoreload(lua_State *L, const char *line, const char *body)
{
    struct options *o = options_read(L, "autoreload", line, OPTIONS_ALL);
    const char *word = o->n ? options_one(L, o, "") : "";

    (void)body;
    session_around_cells(session_of(L), l_around);
    push_module(L);
    lua_getfield(L, -1, "set");
    lua_pushstring(L, word);
    lua_call(L, 1, 1);
    if (!lua_toboolean(L, -1))
        return line_error(L, "autoreload",
                          "modes are 0 (off), 1 (those of %aimport), 2 (all modules) and now, not", word);
    return 0;
}

int magic_aimport(lua_State *L, const char *line, const char *body)
{
    size_t len = strlen(line);

    (void)body;
    while (len && (line[len - 1] == ' ' || line[len - 1] == '\t'))
        len--;
    push_module(L);
    lua_getfield(L, -1, "aimport");
    lua_pushlstring(L, line, len);
    lua_call(L, 1, 2);
    if (len == 0)
        line_print(L, "Modules to reload:\n%s\n\nModules to skip:\n%s\n", lua_tostring(L, -2),
                   lua_tostring(L, -1));
    return 0;
}
