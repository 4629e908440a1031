/* %fs: files and folders, in the words of Databricks: paths may begin with file: or dbfs:. */
#include "runtime/base/fs.h"
#include "magics/line.h"
#include "magics/magics.h"
#include "runtime/base/mem.h"
#include "runtime/storage/tree.h"
#include <string.h>
#include <sys/stat.h>

enum { HEAD = 65536 };

struct arguments {
    const char *path, *other;
    bool recursive;
};

static const char *local(const char *path)
{
    if (strncmp(path, "file://", 7) == 0)
        return path + 7;
    return strncmp(path, "file:", 5) == 0 || strncmp(path, "dbfs:", 5) == 0 ? path + 5 : path;
}

static void check(lua_State *L, enum lc rc, const struct err *err)
{
    if (rc != LC_OK)
        session_raise(L, err);
}

static void print_item(lua_State *L, const char *folder, const char *name)
{
    char *path = fs_join(folder, name);
    struct stat st = {0};

    if (path && stat(path, &st) == 0)
        line_print(L, "%12lld  %s%s\n", S_ISDIR(st.st_mode) ? 0LL : (long long)st.st_size, name,
                   S_ISDIR(st.st_mode) ? "/" : "");
    mem_free(path);
}

static void list(lua_State *L, const struct arguments *a)
{
    struct err err;
    char **names;
    size_t n;

    check(L, fs_list(a->path, &names, &n, &err), &err);
    for (size_t i = 0; i < n; i++)
        print_item(L, a->path, names[i]);
    fs_free_list(names, n);
}

static void head(lua_State *L, const struct arguments *a)
{
    struct buf b = BUF_INIT(HEAD);
    struct err err;
    enum lc rc = fs_read(a->path, &b, &err);

    if (rc == LC_OK || rc == LC_LIMIT)
        session_print(session_of(L), STREAM_STDOUT, buf_str(&b), b.len);
    buf_release(&b);
    if (rc != LC_LIMIT)
        check(L, rc, &err);
}

static void make(lua_State *L, const struct arguments *a)
{
    struct err err;

    check(L, fs_mkdirs(a->path, &err), &err);
}

static void copy(lua_State *L, const struct arguments *a)
{
    struct err err;

    if (!a->other)
        line_error(L, "fs", "cp needs two paths", NULL);
    check(L, tree_copy(session_ctx(session_of(L)), a->path, a->other, TREE_REPLACE, &err), &err);
}

static void delete (lua_State *L, const struct arguments *a)
{
    struct err err;

    if (!fs_exists(a->path)) {
        err_set(&err, LC_NOTFOUND, "cannot remove '%s': no such file or folder", a->path);
        session_raise(L, &err);
    }
    if (fs_is_dir(a->path) && !a->recursive) {
        err_set(&err, LC_ARG, "cannot remove the folder '%s' without -r", a->path);
        err_hint(&err, "%%fs rm -r %s", a->path);
        session_raise(L, &err);
    }
    check(L, fs_remove_tree(a->path, &err), &err);
}

static const struct {
    const char *name;
    void (*run)(lua_State *L, const struct arguments *a);
} commands[] = {{"cp", copy}, {"head", head}, {"ls", list}, {"mkdirs", make}, {"rm", delete}};

int magic_fs(lua_State *L, const char *line, const char *body)
{
    struct line_words *w = line_words(L, body && *body ? body : line);
    struct arguments a = {.path = NULL};

    for (size_t i = 1; i < w->n; i++) {
        if (strcmp(w->words[i], "-r") == 0 || strcmp(w->words[i], "--recurse=true") == 0)
            a.recursive = true;
        else if (!a.path)
            a.path = local(w->words[i]);
        else
            a.other = local(w->words[i]);
    }
    if (!a.path)
        a.path = ".";
    for (size_t i = 0; w->n && i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i].name, w->words[0]) == 0) {
            commands[i].run(L, &a);
            return 0;
        }
    return line_error(L, "fs", "cannot do", w->n ? w->words[0] : "nothing");
}
