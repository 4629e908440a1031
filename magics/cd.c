/* %cd, %dhist and %pwd: the working folder of the process, and those before it. */
#include "magics/cd.h"
#include "magics/bookmarks.h"
#include "magics/line.h"
#include "magics/magics.h"
#include "magics/options.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/session/shell.h"
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char state_key = 0;

struct state {
    char before[PATH_MAX];
    char **visited; /* owned, with its paths: the folder of the start, then where each %cd led */
    size_t n, cap;
};

static void release(void *arg)
{
    struct state *s = arg;

    for (size_t i = 0; i < s->n; i++)
        mem_free(s->visited[i]);
    mem_free(s->visited);
}

static void visit(struct state *s, const char *path)
{
    char *copy;

    if (s->n == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 16;
        char **list = mem_reallocn(s->visited, cap, sizeof *list);
        if (!list)
            return;
        s->visited = list;
        s->cap = cap;
    }
    copy = mem_strdup(path);
    if (copy)
        s->visited[s->n++] = copy;
}

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

static int not_visited(lua_State *L, const char *what)
{
    struct err err;

    err_set(&err, LC_NOTFOUND, "%%cd: no folder '%s' in the history", what);
    err_hint(&err, "%%dhist lists them");
    return session_raise(L, &err);
}

/* -N: the folder with that number, NULL: it is something else. */
static const char *numbered(lua_State *L, const struct state *s, const char *word)
{
    const char *number = word + 1;

    if (*word != '-' || !isdigit((unsigned char)*number) || number[strspn(number, "0123456789")])
        return NULL;
    errno = 0;
    unsigned long at = strtoul(number, NULL, 10);
    if (errno || at >= s->n)
        not_visited(L, number);
    return s->visited[at];
}

/* --PART: the last folder that was visited with it in its name, else in its path. */
static const char *with_part(lua_State *L, const struct state *s, const char *word)
{
    const char *part = word + 2, *other = NULL;

    if (strncmp(word, "--", 2) != 0 || !*part || isspace((unsigned char)*part))
        return NULL;
    for (size_t i = s->n; i-- > 0;) {
        const char *path = s->visited[i];
        if (!strstr(path, part) || !fs_is_dir(path))
            continue;
        if (strstr(fs_basename(path), part))
            return path;
        other = other ? other : path;
    }
    if (!other)
        not_visited(L, part);
    return other;
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

/* What the line names, and whether the new folder is told. */
static const char *push_goal(lua_State *L, const struct state *s, const char *line, const char *from,
                             bool *quiet)
{
    const char *to = numbered(L, s, line);
    struct options *o;

    *quiet = false;
    to = to ? to : with_part(L, s, line);
    if (to)
        return to;
    o = options_read(L, "cd", line, OPTIONS_ALL);
    *quiet = options_has(o, "-q");
    to = push_folder(L, o);
    if (strcmp(to, "-") == 0)
        return s->before[0] ? s->before : from;
    return push_target(L, o, to);
}

static struct state *state(lua_State *L)
{
    struct state *s = session_state(L, &state_key, sizeof *s, release);
    char path[PATH_MAX];

    if (s->n == 0 && getcwd(path, sizeof path))
        visit(s, path);
    return s;
}

bool cd_has_moved(lua_State *L)
{
    return state(L)->n > 1;
}

int magic_cd(lua_State *L, const char *line, const char *body)
{
    struct state *s = state(L);
    const char *to;
    char from[PATH_MAX], path[PATH_MAX];
    struct err err;
    bool quiet;

    (void)body;
    if (!getcwd(from, sizeof from))
        from[0] = '\0'; /* it was removed: all the more reason to leave */
    to = push_goal(L, s, shell_expand(L, line), from, &quiet);
    snprintf(path, sizeof path, "%s", line_path(L, to));
    if (chdir(path) != 0) {
        err_errno(&err, errno, "cannot go to '%s'", path);
        return session_raise(L, &err);
    }
    memcpy(s->before, from, sizeof from);
    here(L, path);
    if (strcmp(path, from) != 0)
        visit(s, path);
    if (!quiet)
        line_print(L, "%s\n", path);
    return 0;
}

static size_t number_at(lua_State *L, const struct options *o, size_t i)
{
    char *end;
    unsigned long value = strtoul(o->words[i], &end, 10);

    if (!isdigit((unsigned char)*o->words[i]) || *end)
        line_error(L, "dhist", "a number is expected instead of", o->words[i]);
    return (size_t)value;
}

/* All, the last n, or those from one to before another. */
int magic_dhist(lua_State *L, const char *line, const char *body)
{
    struct state *s = state(L);
    struct options *o = options_read(L, "dhist", line, OPTIONS_ALL);
    size_t first = 0, last = s->n, n;

    (void)body;
    if (o->n == 1) {
        n = number_at(L, o, 0);
        first = n < s->n ? s->n - n : 0;
    } else if (o->n == 2) {
        first = number_at(L, o, 0);
        last = number_at(L, o, 1);
    } else if (o->n > 2) {
        line_error(L, "dhist", "too many numbers", NULL);
    }
    line_print(L, "Directory history\n");
    for (size_t i = first; i < last && i < s->n; i++)
        line_print(L, "%zu: %s\n", i, s->visited[i]);
    return 0;
}
