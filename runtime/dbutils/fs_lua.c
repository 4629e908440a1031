/* fs_lua.c: files and folders for dbutils.fs and %fs. */
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/catalog/catalog.h"
#include "runtime/dbutils/dbutils_lua.h"
#include "runtime/session/session_lua.h"
#include "runtime/storage/tree.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEAD = 65536 };

/* Schemes that are no files of this machine, and what to use instead. */
static const struct {
    const char *scheme, *instead;
} elsewhere[] = {{"s3:", "spark.read"},
                 {"s3a:", "spark.read"},
                 {"abfss:", "a local copy"},
                 {"wasbs:", "a local copy"},
                 {"gs:", "a local copy"},
                 {"hdfs:", "a local copy"},
                 {"http:", "http.get(url)"},
                 {"https:", "http.get(url)"},
                 {"/mnt/", "the path itself: mounts do not exist here"}};

static void check(lua_State *L, enum lc rc, const struct err *err)
{
    if (rc != LC_OK)
        session_raise(L, err);
}

/* /Volumes/catalog/schema/volume/path: the argument becomes the place where that lies. */
static const char *volume_path(lua_State *L, int index)
{
    struct catalog *catalog = NULL;
    char *place = NULL;
    struct err err;
    enum lc rc;

    err_clear(&err);
    rc = catalog_open(&catalog, &err);
    if (rc == LC_OK)
        rc = catalog_path(session_ctx(session_of(L)), catalog, lua_tostring(L, index), &place, &err);
    catalog_close(catalog);
    check(L, rc, &err);
    lua_pushstring(L, place); /* short of memory it is lost: Lua raises */
    mem_free(place);
    lua_replace(L, index);
    return lua_tostring(L, index);
}

/* The path of an argument on this machine: file: and dbfs: are dropped, with the slashes of a URL. */
static const char *path_at(lua_State *L, int index)
{
    const char *path = luaL_checkstring(L, index);
    struct err err;

    if (catalog_is_volume_path(path) && !fs_exists("/Volumes"))
        return volume_path(L, index);
    if (strncmp(path, "file:", 5) == 0 || strncmp(path, "dbfs:", 5) == 0) {
        path += 5;
        while (path[0] == '/' && path[1] == '/')
            path++;
    }
    for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++)
        if (strncmp(path, elsewhere[i].scheme, strlen(elsewhere[i].scheme)) == 0 && !fs_exists(path)) {
            err_set(&err, LC_UNSUPPORTED,
                    "cannot use '%s': only files of this machine are known to dbutils.fs", path);
            err_hint(&err, "use %s", elsewhere[i].instead);
            session_raise(L, &err);
        }
    if (!*path)
        luaL_argerror(L, index, "a path is expected");
    return path;
}

static void need(lua_State *L, const char *path, const char *what)
{
    struct err err;

    if (fs_exists(path))
        return;
    err_set(&err, LC_NOTFOUND, "cannot %s '%s': no such file or folder", what, path);
    session_raise(L, &err);
}

/* ---- ls ---- */
/* shown: the path as it was asked for. */
static void push_info(lua_State *L, const char *path, const char *shown)
{
    struct stat st = {0};
    bool folder;

    if (stat(path, &st) != 0)
        lstat(path, &st);
    folder = S_ISDIR(st.st_mode);
    lua_createtable(L, 0, 5);
    lua_pushfstring(L, "%s%s%s", catalog_is_volume_path(shown) ? "dbfs:" : "file:",
                    strncmp(shown, "dbfs:", 5) == 0 ? shown + 5 : shown, folder ? "/" : "");
    lua_setfield(L, -2, "path");
    lua_pushfstring(L, "%s%s", fs_basename(path), folder ? "/" : "");
    lua_setfield(L, -2, "name");
    lua_pushinteger(L, folder ? 0 : (lua_Integer)st.st_size);
    lua_setfield(L, -2, "size");
    lua_pushinteger(L, (lua_Integer)st.st_mtim.tv_sec * 1000 + (lua_Integer)(st.st_mtim.tv_nsec / 1000000));
    lua_setfield(L, -2, "modificationTime");
    lua_pushboolean(L, folder);
    lua_setfield(L, -2, "isDir");
}

static const char *push_absolute(lua_State *L, const char *path)
{
    char *absolute = fs_absolute(path);

    lua_pushstring(L, absolute ? absolute : path);
    mem_free(absolute);
    return lua_tostring(L, -1);
}

int files_ls(lua_State *L)
{
    const char *asked = lua_pushstring(L, luaL_optstring(L, 1, "."));
    const char *path = push_absolute(L, lua_isnoneornil(L, 1) ? "." : path_at(L, 1));
    struct session_texts *names = session_texts(L);
    struct err err;

    if (!catalog_is_volume_path(asked))
        asked = path;

    need(L, path, "list");
    lua_newtable(L);
    if (!fs_is_dir(path)) {
        push_info(L, path, asked);
        lua_rawseti(L, -2, 1);
        return 1;
    }
    check(L, fs_list(path, &names->list, &names->n, &err), &err);
    for (size_t i = 0; i < names->n; i++) {
        bool slash = path[strlen(path) - 1] == '/', asked_slash = asked[strlen(asked) - 1] == '/';
        const char *inner = lua_pushfstring(L, "%s%s%s", path, slash ? "" : "/", names->list[i]);
        const char *shown = lua_pushfstring(L, "%s%s%s", asked, asked_slash ? "" : "/", names->list[i]);
        push_info(L, inner, shown);
        lua_rawseti(L, -4, (lua_Integer)i + 1);
        lua_pop(L, 2);
    }
    return 1;
}

/* ---- cp, mv, rm ---- */

/* Where `from` goes: below `to` when that is a folder. Pushes it. */
static const char *target(lua_State *L, const char *from, const char *to)
{
    size_t n = strlen(from);

    if (!fs_is_dir(to))
        return lua_pushstring(L, to);
    while (n > 1 && from[n - 1] == '/')
        n--;
    from = lua_pushlstring(L, from, n);
    return lua_pushfstring(L, "%s/%s", to, fs_basename(from));
}

static void refuse_folder(lua_State *L, const char *path, bool recurse, const char *what)
{
    struct err err;

    if (recurse || !fs_is_dir(path))
        return;
    err_set(&err, LC_ARG, "cannot %s the folder '%s' without recurse", what, path);
    err_hint(&err, "dbutils.fs.%s(…, true), or %%fs %s -r …", what, what);
    session_raise(L, &err);
}

/* cp -r folder/ into/: a folder with this name is filled, as Databricks does, not nested. */
int files_cp(lua_State *L)
{
    const char *from = path_at(L, 1), *to = path_at(L, 2);
    bool recurse = lua_toboolean(L, 3);
    struct err err;

    need(L, from, "copy");
    refuse_folder(L, from, recurse, "cp");
    if (!fs_is_dir(from))
        to = target(L, from, to);
    check(L, tree_copy(session_ctx(session_of(L)), from, to, TREE_REPLACE, &err), &err);
    lua_pushboolean(L, 1);
    return 1;
}

int files_mv(lua_State *L)
{
    const char *from = path_at(L, 1), *to = path_at(L, 2);
    struct err err;

    need(L, from, "move");
    refuse_folder(L, from, lua_toboolean(L, 3), "mv");
    to = target(L, from, to);
    if (rename(from, to) != 0) {
        if (errno != EXDEV) {
            err_errno(&err, errno, "cannot move '%s' to '%s'", from, to);
            return session_raise(L, &err);
        }
        check(L, tree_copy(session_ctx(session_of(L)), from, to, TREE_REPLACE, &err), &err);
        check(L, fs_remove_tree(from, &err), &err);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static bool is_root(const char *path)
{
    struct stat st, root;

    return stat(path, &st) == 0 && stat("/", &root) == 0 && st.st_ino == root.st_ino &&
           st.st_dev == root.st_dev;
}

int files_rm(lua_State *L)
{
    const char *path = path_at(L, 1);
    struct err err;

    need(L, path, "remove");
    refuse_folder(L, path, lua_toboolean(L, 2), "rm");
    if (is_root(path)) {
        err_set(&err, LC_ARG, "'%s' is the root of the file system: it is not removed", path);
        return session_raise(L, &err);
    }
    check(L, fs_remove_tree(path, &err), &err);
    lua_pushboolean(L, 1);
    return 1;
}

int files_mkdirs(lua_State *L)
{
    struct err err;

    check(L, fs_mkdirs(path_at(L, 1), &err), &err);
    lua_pushboolean(L, 1);
    return 1;
}

/* ---- put, head ---- */
/* The folders above a file that is written are made, as on Databricks. */
static void make_parent(lua_State *L, const char *path)
{
    const char *slash = strrchr(path, '/');
    struct err err;

    if (slash && slash > path)
        check(L, fs_mkdirs(lua_pushlstring(L, path, (size_t)(slash - path)), &err), &err);
}

int files_put(lua_State *L)
{
    const char *path = path_at(L, 1);
    size_t len;
    const char *text = luaL_checklstring(L, 2, &len);
    struct err err;

    if (fs_exists(path) && !lua_toboolean(L, 3)) {
        err_set(&err, LC_EXISTS, "cannot write '%s': it is there already", path);
        err_hint(&err, "dbutils.fs.put(path, contents, true) overwrites");
        return session_raise(L, &err);
    }
    make_parent(L, path);
    check(L, fs_write(path, text, len, &err), &err);
    lua_pushboolean(L, 1);
    return 1;
}

/* Whole characters only: a cut one at the end is left out. */
static size_t whole(const char *text, size_t len)
{
    size_t back = 0;

    while (back < 4 && back < len && ((unsigned char)text[len - 1 - back] & 0xC0) == 0x80)
        back++;
    if (back < len && (unsigned char)text[len - 1 - back] >= 0xC0)
        return len - 1 - back;
    return len;
}

int files_head(lua_State *L)
{
    const char *path = path_at(L, 1);
    lua_Integer most = luaL_optinteger(L, 2, HEAD);
    struct buf *text;
    struct err err;
    ssize_t n;
    int fd;

    luaL_argcheck(L, most > 0 && most <= (lua_Integer)BUF_TEXT_MAX, 2, "a number of bytes is expected");
    text = session_buf(L, (size_t)most + 64);
    need(L, path, "read");
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || !buf_reserve(text, (size_t)most)) {
        err_errno(&err, errno, "cannot read '%s'", path);
        if (fd >= 0)
            close(fd);
        return session_raise(L, &err);
    }
    while (text->len < (size_t)most && (n = read(fd, text->data + text->len, (size_t)most - text->len)) > 0)
        text->len += (size_t)n;
    close(fd);
    if (text->len == (size_t)most)
        text->len = whole(text->data, text->len);
    lua_pushlstring(L, text->data, text->len);
    return 1;
}
