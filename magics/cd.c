/* %cd and %pwd: the working folder of the process. */
#include "magics/line.h"
#include "magics/magics.h"
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

int magic_cd(lua_State *L, const char *line, const char *body)
{
    struct state *s = session_state(L, &state_key, sizeof *s, NULL);
    struct line_words *w = line_words(L, shell_expand(L, line));
    const char *home = getenv("HOME"), *to = w->n ? w->words[0] : "~";
    char from[PATH_MAX], path[PATH_MAX];
    struct err err;

    (void)body;
    here(L, from);
    if (strcmp(to, "-") == 0)
        to = s->before[0] ? s->before : from;
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
    line_print(L, "%s\n", path);
    return 0;
}
