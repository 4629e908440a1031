/* bookmarks.h: names for folders, that %bookmark keeps and %cd knows.
 *
 * What      one JSON object, name → folder, in a file of the state folder.
 * Ownership the texts live in a slot or a string on the Lua stack.
 * Units     none.
 * Errors    raised.
 * Threads   session thread.
 *
 * Example:
 *     const char *folder = bookmarks_push(L, "data"); // NULL: no such name
 */
#ifndef LACUS_MAGICS_BOOKMARKS_H
#define LACUS_MAGICS_BOOKMARKS_H
#include "runtime/session/session_lua.h"

/* Pushes the folder that a name stands for; NULL (and nothing pushed that counts): there is no such name. */
const char *bookmarks_push(lua_State *L, const char *name);
#endif
