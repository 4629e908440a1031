#include "runtime/spark/arrow_lua.h"
#include "runtime/dataframe/ipc.h"
#include "runtime/spark/dataframe_lua.h"

static const char type_name[] = "arrow_array_stream"; /* as Arrow's PyCapsules are named */

static int l_gc(lua_State *L)
{
    struct ArrowArrayStream *s = lua_touserdata(L, 1);

    if (s->release)
        s->release(s);
    s->release = NULL;
    return 0;
}

/* A module in C may have made the metatable first. */
static void complete_class(lua_State *L)
{
    static const char *const ends[] = {"__gc", "__close"};

    lua_getmetatable(L, -1);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        if (lua_getfield(L, -1, ends[i]) == LUA_TNIL) {
            lua_pushcfunction(L, l_gc);
            lua_setfield(L, -3, ends[i]);
        }
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

struct ArrowArrayStream *arrow_stream_at(lua_State *L, int index)
{
    return luaL_testudata(L, index, type_name);
}

int dataframe_to_arrow(lua_State *L)
{
    const struct plan *p = dataframe_check(L, 1);
    struct ArrowArrayStream *rows = session_slot(L, sizeof *rows, type_name, l_gc);
    struct err err;

    complete_class(L);
    err_clear(&err);
    if (spark_execute(session_ctx(session_of(L)), spark_of(L), p, rows, &err) != LC_OK)
        return session_raise(L, &err);
    return 1;
}

/* A module's batches are copied: the session holds rows for longer than Lua holds the module. */
const struct plan *arrow_stream_plan(lua_State *L, int index)
{
    struct ArrowArrayStream *rows = arrow_stream_at(L, index), copy;
    const struct plan *p;
    struct err err;
    enum lc rc;

    luaL_argcheck(L, rows && rows->release, index, "this Arrow stream was read before");
    err_clear(&err);
    rc = ipc_copy(rows, &copy, &err);
    if (rc == LC_OK)
        rc = plan_local_stream(session_ctx(session_of(L)), &copy, &p, &err);
    if (rc != LC_OK)
        session_raise(L, &err);
    return p;
}
