/* %cd and %pwd: the working folder of the process. */
#include "magics/bookmarks.h"
#include "magics/line.h"
#include "magics/magics.h"
#include "magics/options.h"
#include "runtime/base/fs.h"
#include "runtime/session/shell.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char state_key = 0;

struct state {
    char before[PATH_MAX];
};

static void here(lua_State *L, char out[PATH_MAX])
{
    struct err err;

    if (!getcwd(out, PATH_MAX)) {
        err_errno(&err, errno, "cannot tell the working folder");
        session_raise(L, &err);
    }
}

int magic_pwd(lua_State *L, const char *line, const char *body)
{
    char path[PATH_MAX];

    (void)line, (void)body;
    here(L, path);
    lua_pushstring(L, path);
    return 1;
}

/* A folder's name may have blanks, as IPython takes it: all words are one. */
static const char *push_folder(lua_State *L, const struct options *o)
{
    const char *folder = o->n ? o->words[0] : "~";

    for (size_t i = 1; i < o->n; i++)
        folder = lua_pushfstring(L, "%s %s", folder, o->words[i]);
    return folder;
}

/* The folder that the word names: a bookmark when -b says so, or when there is no folder of this name. */
static const char *push_target(lua_State *L, const struct options *o, const char *word)
{
    bool asked = options_has(o, "-b");
    const char *folder = asked || (*word != '~' && !fs_is_dir(word)) ? bookmarks_push(L, word) : NULL;
    struct err err;

    if (asked && !folder) {
        err_set(&err, LC_NOTFOUND, "there is no bookmark '%s'", word);
        err_hint(&err, "%%bookmark -l lists them");
        session_raise(L, &err);
    }
    if (folder) /* with -q too, as IPython */
        line_print(L, "(bookmark:%s) -> %s\n", word, folder);
    return folder ? folder : word;
}

int magic_cd(lua_State *L, const char *line, const char *body)
{
    struct state *s = session_state(L, &state_key, sizeof *s, NULL);
    struct options *o = options_read(L, "cd", shell_expand(L, line), OPTIONS_ALL);
    const char *home = getenv("HOME"), *to = push_folder(L, o);
    char from[PATH_MAX], path[PATH_MAX];
    struct err err;

    (void)body;
    if (!getcwd(from, sizeof from))
        from[0] = '\0'; /* it was removed: all the more reason to leave */
    if (strcmp(to, "-") == 0)
        to = s->before[0] ? s->before : from;
    else
        to = push_target(L, o, to);
    if (to[0] == '~' && (to[1] == '/' || !to[1]))
        snprintf(path, sizeof path, "%s%s", home ? home : "/", to + 1);
    else
        snprintf(path, sizeof path, "%s", to);
    if (chdir(path) != 0) {
        err_errno(&err, errno, "cannot go to '%s'", path);
        return session_raise(L, &err);
    }
    memcpy(s->before, from, sizeof from);
    here(L, path);
    if (!options_has(o, "-q"))
        line_print(L, "%s\n", path);
    return 0;
}
