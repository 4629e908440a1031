/* arrow_lua.h: Arrow streams as values of Lua: how the rows of a DataFrame come into a module written in C, and out of one.
 *
 * What      the value is a userdata whose block is a struct ArrowArrayStream and whose metatable is the registry's
 *           "arrow_array_stream". df:toArrow() gives one, spark:createDataFrame(stream) takes one. A module needs nothing of
 *           lacus for that, only the structs of Arrow's C interfaces, which each of its libraries has:
 *               struct ArrowArrayStream mine, *theirs = luaL_checkudata(L, 1, "arrow_array_stream");
 *               luaL_argcheck(L, theirs->release, 1, "this stream was read before");
 *               mine = *theirs;
 *               theirs->release = NULL; // moved
 *           One that gives rows makes the userdata itself, with luaL_newmetatable and the same name: if the name is new, it
 *           adds a __gc that calls release unless it is NULL.
 * Ownership what lies in the userdata is released when it is collected or, as a variable <close>, goes out of scope; a module
 *           that moves it away owns it: see stream.h.
 * Errors    raise; those of the stream are its own.
 * Threads   session thread; the stream: any, one at a time.
 *
 * Example:
 *     struct ArrowArrayStream *rows = arrow_stream_at(L, 1);
 *     if (rows && rows->release)
 *         puts("not read yet");
 */
#ifndef LACUS_SPARK_ARROW_LUA_H
#define LACUS_SPARK_ARROW_LUA_H
#include "runtime/base/arrow.h"
#include "runtime/session/session_lua.h"

struct plan;

struct ArrowArrayStream *arrow_stream_at(lua_State *L, int index); /* NULL: another value */
int dataframe_to_arrow(lua_State *L);
/* Reads the stream at index to its end; a new reference. */
const struct plan *arrow_stream_plan(lua_State *L, int index);
#endif
