/* %luarocks: Lua packages in a folder of this notebook, which require finds; their versions are pinned in a lock file. */
#include "magics/line.h"
#include "magics/magics.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/session/shell.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LOCK_MAX = 1 << 20 };

struct place {
    char tree[PATH_MAX], lock[PATH_MAX];
};

/* ---- where ---- */
static const char *notebook_of(lua_State *L)
{
    const char *path = session_ctx(session_of(L))->lineage.notebook;

    if (path && *path && strcmp(path, "-") != 0) /* - is a script from a pipe */
        return path;
    path = getenv("JPY_SESSION_NAME"); /* Jupyter's name for the notebook of a kernel */
    return path ? path : "";
}

/* FNV-1a: two notebooks of one name in two folders have two trees. */
static unsigned hash(const char *text)
{
    unsigned h = 2166136261u;

    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 16777619u;
    return h;
}

/* The tree is in $LACUS_HOME/rocks; the lock lies beside the notebook where it can, so that it travels with it. */
static void find_place(lua_State *L, struct place *p)
{
    const char *notebook = notebook_of(L), *dot = strrchr(fs_basename(notebook), '.');
    struct err err;
    char *rocks = fs_home("rocks", &err), *path = *notebook ? fs_absolute(notebook) : NULL;
    size_t stem = dot ? (size_t)(dot - notebook) : strlen(notebook);

    if (!rocks)
        session_raise(L, &err);
    if (path)
        snprintf(p->tree, sizeof p->tree, "%.2000s/%.100s-%08x", rocks, fs_basename(path), hash(path));
    else
        snprintf(p->tree, sizeof p->tree, "%.2000s/%s", rocks, session_id(session_of(L)));
    snprintf(p->lock, sizeof p->lock, "%.3000s/rocks.lock", p->tree);
    mem_free(rocks);
    mem_free(path);
    if (*notebook && fs_exists(notebook)) {
        char folder[PATH_MAX], *slash;
        snprintf(folder, sizeof folder, "./%.3000s", notebook);
        slash = strrchr(folder, '/');
        *slash = '\0';
        if (access(notebook[0] == '/' ? folder + 2 : folder, W_OK) == 0)
            snprintf(p->lock, sizeof p->lock, "%.*s.rocks.lock", (int)stem, notebook);
    }
}

/* package.NAME = what .. ";" .. package.NAME, once */
static void put_first(lua_State *L, const char *field, const char *what)
{
    lua_getglobal(L, "package");
    lua_getfield(L, -1, field);
    if (!strstr(lua_tostring(L, -1), what)) {
        lua_pushfstring(L, "%s;%s", what, lua_tostring(L, -1));
        lua_setfield(L, -3, field);
    }
    lua_pop(L, 2);
}

static void use_tree(lua_State *L, const char *tree)
{
    put_first(L, "path",
              lua_pushfstring(L, "%s/share/lua/5.4/?.lua;%s/share/lua/5.4/?/init.lua", tree, tree));
    put_first(L, "cpath", lua_pushfstring(L, "%s/lib/lua/5.4/?.so", tree));
    lua_pop(L, 2);
}

/* ---- the lock: lines of name and version ---- */

/* Pushes the version that the lock has for a name; NULL: none. */
static const char *pinned(lua_State *L, const struct place *p, const char *name)
{
    struct buf *text = session_buf(L, LOCK_MAX);
    size_t n = strlen(name);
    struct err err;

    if (!fs_exists(p->lock))
        return NULL;
    if (fs_read(p->lock, text, &err) != LC_OK)
        session_raise(L, &err);
    for (const char *line = buf_str(text); *line;) {
        size_t len = strcspn(line, "\n");
        if (len > n + 1 && strncmp(line, name, n) == 0 && line[n] == ' ')
            return lua_pushlstring(L, line + n + 1, len - n - 1);
        line += len + (line[len] == '\n');
    }
    return NULL;
}

/* What the tree has now: "name\tversion\tinstalled\ttree" of luarocks list --porcelain. */
static void write_lock(lua_State *L, const struct place *p)
{
    const char *argv[] = {"luarocks", "--lua-version=5.4", "list", "--porcelain", "--tree", p->tree, NULL};
    struct buf *list = session_buf(L, LOCK_MAX), *lock = session_buf(L, LOCK_MAX);
    struct err err;

    shell_run(L, &(struct shell_job){.argv = argv, .out = list});
    buf_puts(lock, "# rocks of this notebook, as %luarocks installed them\n");
    for (const char *line = buf_str(list); *line;) {
        size_t len = strcspn(line, "\n"), name = strcspn(line, "\t\n");
        size_t version = name < len ? strcspn(line + name + 1, "\t\n") : 0;
        if (version)
            buf_printf(lock, "%.*s %.*s\n", (int)name, line, (int)version, line + name + 1);
        line += len + (line[len] == '\n');
    }
    if (fs_write(p->lock, buf_str(lock), lock->len, &err) != LC_OK)
        session_raise(L, &err);
}

/* ---- commands ---- */
static void run(lua_State *L, const struct place *p, const char *const *words, size_t n, const char *version)
{
    const char *argv[LINE_WORDS + 8] = {"luarocks", "--lua-version=5.4"};
    size_t to = 2;

    argv[to++] = words[0];
    argv[to++] = "--tree";
    argv[to++] = p->tree;
    for (size_t i = 1; i < n; i++)
        argv[to++] = words[i];
    if (version)
        argv[to++] = version;
    argv[to] = NULL;
    shell_run(L, &(struct shell_job){.argv = argv});
}

static bool is_installed(lua_State *L, const struct place *p, const char *name, const char *version)
{
    return fs_is_dir(lua_pushfstring(L, "%s/lib/luarocks/rocks-5.4/%s/%s", p->tree, name, version));
}

/* The name of the rock when no version is named; *n_names counts the words that are no options. */
static const char *rock_named(const struct line_words *w, size_t *n_names)
{
    static const char *const with_value[] = {"--server", "--only-server", "--only-sources", "--namespace",
                                             "--timeout"};
    const char *name = NULL;

    *n_names = 0;
    for (size_t i = 1; i < w->n; i++) {
        if (w->words[i][0] != '-') {
            name = *n_names == 0 ? w->words[i] : name;
            ++*n_names;
            continue;
        }
        for (size_t k = 0; k < sizeof with_value / sizeof *with_value; k++)
            if (strcmp(w->words[i], with_value[k]) == 0)
                i++;
    }
    return name;
}

static int install(lua_State *L, const struct place *p, const struct line_words *w)
{
    size_t names;
    const char *name = rock_named(w, &names), *version = names == 1 ? pinned(L, p, name) : NULL;

    if (!name)
        return line_error(L, "luarocks", "no rock named", NULL);
    if (version)
        line_print(L, "%s %s (pinned in %s)\n", name, version, p->lock);
    if (!version || !is_installed(L, p, name, version)) {
        run(L, p, w->words, w->n, version);
        write_lock(L, p);
    }
    use_tree(L, p->tree);
    return 0;
}

/* Everything that the lock names. */
static int restore(lua_State *L, const struct place *p, const struct line_words *w)
{
    struct buf *text = session_buf(L, LOCK_MAX);
    struct err err;

    if (fs_read(p->lock, text, &err) != LC_OK) {
        err_hint(&err, "%%luarocks install NAME writes it");
        return session_raise(L, &err);
    }
    for (const char *line = buf_str(text); *line;) {
        size_t len = strcspn(line, "\n"), name = strcspn(line, " \n");
        if (*line != '#' && name < len) {
            const char *rock = lua_pushlstring(L, line, name);
            const char *version = lua_pushlstring(L, line + name + 1, len - name - 1);
            const char *words[LINE_WORDS + 2] = {"install", rock};
            for (size_t i = 1; i < w->n; i++) /* --server … */
                words[1 + i] = w->words[i];
            if (!is_installed(L, p, rock, version))
                run(L, p, words, w->n + 1, version);
            lua_pop(L, 3);
        }
        line += len + (line[len] == '\n');
    }
    use_tree(L, p->tree);
    return 0;
}

static void need_luarocks(lua_State *L)
{
    struct err err;

    if (shell_has("luarocks"))
        return;
    err_set(&err, LC_MISSING, "cannot run luarocks: it is not installed");
    err_hint(&err, "install it (Debian: apt-get install luarocks) and run the cell again");
    session_raise(L, &err);
}

int magic_luarocks(lua_State *L, const char *line, const char *body)
{
    struct line_words *w = line_words(L, shell_expand(L, line));
    struct place *p = lua_newuserdatauv(L, sizeof *p, 0);

    (void)body;
    if (w->n == 0)
        return line_error(L, "luarocks", "nothing to do", NULL);
    need_luarocks(L);
    find_place(L, p);
    if (strcmp(w->words[0], "install") == 0)
        return install(L, p, w);
    if (strcmp(w->words[0], "restore") == 0)
        return restore(L, p, w);
    run(L, p, w->words, w->n, NULL);
    if (strcmp(w->words[0], "remove") == 0 || strcmp(w->words[0], "make") == 0 ||
        strcmp(w->words[0], "build") == 0)
        write_lock(L, p);
    use_tree(L, p->tree);
    return 0;
}
