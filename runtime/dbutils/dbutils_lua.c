/* dbutils_lua.c: puts the parts together; what they say and check is in runtime/lib/lacus/dbutils_parts.lua. */
#include "runtime/dbutils/dbutils_lua.h"
#include "runtime/base/lua_library.h"
#include "runtime/python/python_lua.h"
#include "runtime/secrets/secrets_lua.h"
#include "runtime/session/manual.h"
#include "runtime/session/session_lua.h"
#include <string.h>

static int l_restart_python(lua_State *L)
{
    python_stop_kept(L);
    return 0;
}

static const struct manual_topic *find_topic(const char *name)
{
    for (const struct lua_library_file *f = lua_library; f->name; f++)
        for (const struct manual_topic *t = f->topics; t && t->name; t++)
            if (strcmp(t->name, name) == 0)
                return t;
    return NULL;
}

/* (topic) → what it is, {{name, text}, …}; nothing when there is no such topic. */
static int l_topic(lua_State *L)
{
    const struct manual_topic *t = find_topic(luaL_checkstring(L, 1));
    lua_Integer n = 0;

    if (!t)
        return 0;
    lua_pushstring(L, t->doc);
    lua_newtable(L);
    for (const struct manual_row *row = t->rows; row && row->name; row++) {
        lua_createtable(L, 2, 0);
        lua_pushstring(L, row->name);
        lua_rawseti(L, -2, 1);
        lua_pushstring(L, row->doc ? row->doc : "");
        lua_rawseti(L, -2, 2);
        lua_rawseti(L, -2, ++n);
    }
    return 2;
}

void dbutils_add(lua_State *L)
{
    static const luaL_Reg fs[] = {
        {"ls", files_ls},         {"cp", files_cp},   {"mv", files_mv},     {"rm", files_rm},
        {"mkdirs", files_mkdirs}, {"put", files_put}, {"head", files_head}, {NULL, NULL}};
    static const luaL_Reg others[] = {{"raise", session_raise_text},
                                      {"topic", l_topic},
                                      {"run", notebook_lua_run},
                                      {"exit", notebook_lua_exit},
                                      {"restart", restart_session},
                                      {"restart_python", l_restart_python},
                                      {NULL, NULL}};

    session_require(L, "lacus.dbutils_parts");
    lua_pushvalue(L, -2);
    luaL_newlib(L, others);
    luaL_newlib(L, fs);
    lua_setfield(L, -2, "fs");
    secrets_push(L);
    lua_setfield(L, -2, "secrets");
    lua_call(L, 2, 0);
}
