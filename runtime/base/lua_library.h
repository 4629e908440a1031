/* lua_library.h: the Lua sources that are part of the program (runtime/lib/lacus), as made by
 * runtime/gen/embed.lua.
 *
 * Ownership static.
 * Units     bytes.
 * Errors    none.
 * Threads   any; constant.
 *
 * Example:
 *     for (const struct lua_library_file *f = lua_library; f->name; f++)
 *         puts(f->name);
 */
#ifndef LACUS_BASE_LUA_LIBRARY_H
#define LACUS_BASE_LUA_LIBRARY_H
#include <stddef.h>

struct manual_topic;

struct lua_library_file {
    const char *name; /* module name for require: "lacus.fmt" */
    const char *text;
    size_t len;
    const struct manual_topic *topics; /* its documentation (session/manual.h); ends with a NULL name */
};

extern const struct lua_library_file lua_library[]; /* ends with a NULL name */
#endif
