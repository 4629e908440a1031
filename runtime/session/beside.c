#include "runtime/session/beside.h"
#include "runtime/base/fs.h"
#include "runtime/session/session_int.h"
#include <limits.h>
#include <string.h>
#include <unistd.h>

/* Pushes the file in a folder ("": as the name says). */
static const char *find_in(lua_State *L, const char *folder, const char *name, const char *const *endings)
{
    for (; *endings; endings++) {
        const char *path = lua_pushfstring(L, "%s%s%s", folder, name, *endings);
        if (fs_exists(path) && !fs_is_dir(path))
            return path;
        lua_pop(L, 1);
    }
    return NULL;
}

/* Pushes the notebook's folder with a slash; NULL, and "" is pushed: it is not known, or the working folder. */
static const char *push_folder(lua_State *L)
{
    const struct session *s = session_of(L);
    const char *path = s->here ? s->here : s->notebook, *slash = path ? strrchr(path, '/') : NULL;
    char cwd[PATH_MAX];
    size_t len = slash ? (size_t)(slash - path) : 0;

    if (!len || *path != '/' ||
        (getcwd(cwd, sizeof cwd) && strlen(cwd) == len && memcmp(cwd, path, len) == 0)) {
        lua_pushliteral(L, "");
        return NULL;
    }
    return lua_pushlstring(L, path, len + 1);
}

const char *beside_find(lua_State *L, const char *name, const char *const *endings, bool working_first)
{
    const char *folder = push_folder(L), *path = NULL;

    if (*name == '/')
        folder = NULL;
    working_first = working_first && session_of(L)->entered == 0;
    if (folder && !working_first)
        path = find_in(L, folder, name, endings);
    if (!path)
        path = find_in(L, "", name, endings);
    if (!path && folder && working_first)
        path = find_in(L, folder, name, endings);
    lua_remove(L, path ? -2 : -1);
    return path;
}

char *beside_enter(struct session *s, const char *path)
{
    char *before = s->here;

    s->here = fs_absolute(path);
    s->entered++;
    return before;
}

void beside_leave(struct session *s, char *before)
{
    mem_free(s->here);
    s->here = before;
    s->entered--;
}
