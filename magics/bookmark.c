/* %bookmark: names for folders. */
#include "magics/bookmarks.h"
#include "magics/line.h"
#include "magics/magics.h"
#include "magics/options.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_MAX = 1 << 20 };

static const char *push_path(lua_State *L)
{
    struct err err;
    char *path = fs_home("bookmarks.json", &err);

    if (!path)
        session_raise(L, &err);
    lua_pushstring(L, path);
    mem_free(path);
    return lua_tostring(L, -1);
}

/* All of them, in a slot on the stack. What is no object of texts is as none. */
static json_t *all(lua_State *L)
{
    const char *path = push_path(L);
    struct buf *text = session_buf(L, FILE_MAX);
    json_t **slot = session_json_slot(L);
    struct err err;

    if (fs_exists(path) && fs_read(path, text, &err) != LC_OK)
        session_raise(L, &err);
    *slot = json_loadb(text->data, text->len, 0, NULL);
    if (!json_is_object(*slot)) {
        json_decref(*slot);
        *slot = json_object();
    }
    return *slot;
}

static void write_all(lua_State *L, const json_t *bookmarks)
{
    const char *path = push_path(L);
    char *text = json_dumps(bookmarks, JSON_INDENT(1) | JSON_SORT_KEYS);
    struct err err;
    enum lc rc = text ? fs_write(path, text, strlen(text), &err) : err_nomem(&err);

    free(text);
    if (rc != LC_OK)
        session_raise(L, &err);
}

const char *bookmarks_push(lua_State *L, const char *name)
{
    const char *folder = json_string_value(json_object_get(all(L), name));

    return folder ? lua_pushstring(L, folder) : NULL;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void list(lua_State *L, json_t *bookmarks)
{
    size_t n = 0, width = 0;
    const char **names = lua_newuserdatauv(L, (json_object_size(bookmarks) + 1) * sizeof *names, 0), *name;
    json_t *folder;

    json_object_foreach (bookmarks, name, folder) {
        width = strlen(name) > width ? strlen(name) : width;
        names[n++] = name;
    }
    qsort(names, n, sizeof *names, compare);
    line_print(L, "Current bookmarks:\n");
    for (size_t i = 0; i < n; i++) {
        const char *to = json_string_value(json_object_get(bookmarks, names[i]));
        line_print(L, "%-*s -> %s\n", (int)width, names[i], to ? to : "?");
    }
}

static void add(lua_State *L, json_t *bookmarks, const struct options *o)
{
    char here[PATH_MAX];
    struct err err;

    if (o->n == 1 && !getcwd(here, sizeof here)) {
        err_errno(&err, errno, "cannot tell the working folder");
        session_raise(L, &err);
    }
    json_object_set_new(bookmarks, o->words[0], json_string(o->n == 1 ? here : o->words[1]));
}

int magic_bookmark(lua_State *L, const char *line, const char *body)
{
    struct options *o = options_read(L, "bookmark", line, OPTIONS_ALL);
    json_t *bookmarks = all(L);

    (void)body;
    if (o->n > 2)
        return line_error(L, "bookmark", "too many arguments", NULL);
    if (options_has(o, "-l")) {
        list(L, bookmarks);
        return 0;
    }
    if (options_has(o, "-d") && o->n == 0)
        return line_error(L, "bookmark", "-d must be given the name of a bookmark", NULL);
    if (options_has(o, "-d")) {
        if (json_object_del(bookmarks, o->words[0]) != 0)
            return line_error(L, "bookmark", "there is no bookmark", o->words[0]);
    } else if (options_has(o, "-r")) {
        json_object_clear(bookmarks);
    } else if (o->n == 0) {
        return line_error(L, "bookmark", "a name must be given", NULL);
    } else {
        add(L, bookmarks, o);
    }
    write_all(L, bookmarks);
    return 0;
}

int magic_bookmark_words(lua_State *L) /* (nil, word, "", line) */
{
    const char *line = luaL_checkstring(L, 4), *name;
    json_t *bookmarks, *folder;
    lua_Integer n = 0;

    if (strncmp(line, "-b ", 3) != 0 && strncmp(line, "-d ", 3) != 0)
        return 0;
    bookmarks = all(L);
    lua_newtable(L);
    json_object_foreach (bookmarks, name, folder) {
        lua_pushstring(L, name);
        lua_rawseti(L, -2, ++n);
    }
    return 1;
}
