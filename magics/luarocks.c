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

enum { LOCK_MAX = 1 << 20, ROCKS_MOST = 1000 };

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

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Pushes "name version", and files it under its name in the table below; a name that is there stays. */
static void note_rock(lua_State *L, int rocks, const char *name, size_t len, const char *rest,
                      size_t rest_len)
{
    lua_pushlstring(L, name, len);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, rocks) == LUA_TNIL) {
        lua_pushvalue(L, -2);
        lua_pushliteral(L, " ");
        lua_pushlstring(L, rest, rest_len);
        lua_concat(L, 3);
        lua_pushvalue(L, -3);
        lua_insert(L, -2);
        lua_rawset(L, rocks);
    }
    lua_pop(L, 2);
}

/* Each line of a text, "name", a character, "version", maybe more behind a tab. */
static void note_rocks(lua_State *L, int rocks, const char *text, char between)
{
    const char ends[] = {between, '\n', '\0'};

    for (const char *line = text; *line;) {
        size_t len = strcspn(line, "\n"), name = strcspn(line, ends);
        size_t version = name < len ? strcspn(line + name + 1, "\t\n") : 0;
        if (*line != '#' && version)
            note_rock(L, rocks, line, name, line + name + 1, version);
        line += len + (line[len] == '\n');
    }
}

/* The lock becomes what the tree has now ("name\tversion\tinstalled\ttree" of luarocks list --porcelain) and what it had beside
 * that, which is still to be installed here, but for what was removed. */
static void write_lock(lua_State *L, const struct place *p, const char *const *removed)
{
    const char *argv[] = {"luarocks", "--lua-version=5.4", "list", "--porcelain", "--tree", p->tree, NULL};
    struct buf *list = session_buf(L, LOCK_MAX), *old = session_buf(L, LOCK_MAX),
               *lock = session_buf(L, LOCK_MAX);
    const char *lines[ROCKS_MOST];
    size_t n = 0;
    int rocks;
    struct err err;

    shell_run(L, &(struct shell_job){.argv = argv, .out = list});
    if (fs_exists(p->lock) && fs_read(p->lock, old, &err) != LC_OK)
        session_raise(L, &err);
    lua_newtable(L);
    rocks = lua_gettop(L);
    note_rocks(L, rocks, buf_str(old), ' ');
    for (; *removed; removed++) {
        lua_pushnil(L);
        lua_setfield(L, rocks, *removed);
    }
    lua_newtable(L);
    note_rocks(L, rocks + 1, buf_str(list), '\t'); /* these go first */
    for (lua_pushnil(L); lua_next(L, rocks + 1); lua_pop(L, 1)) {
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, rocks);
    }
    for (lua_pushnil(L); lua_next(L, rocks); lua_pop(L, 1))
        if (n < ROCKS_MOST)
            lines[n++] = lua_tostring(L, -1);
    qsort(lines, n, sizeof *lines, by_text);
    buf_puts(lock, "# rocks of this notebook, as %luarocks installed them\n");
    for (size_t i = 0; i < n; i++)
        buf_printf(lock, "%s\n", lines[i]);
    if (fs_write(p->lock, buf_str(lock), lock->len, &err) != LC_OK)
        session_raise(L, &err);
    lua_settop(L, rocks - 1);
}

/* ---- commands ---- */
static void run(lua_State *L, const struct place *p, const char *const *words, size_t n, struct buf *out)
{
    const char *argv[LINE_WORDS + 8] = {"luarocks", "--lua-version=5.4"};
    size_t to = 2;

    argv[to++] = words[0];
    argv[to++] = "--tree";
    argv[to++] = p->tree;
    for (size_t i = 1; i < n; i++)
        argv[to++] = words[i];
    argv[to] = NULL;
    shell_run(L, &(struct shell_job){.argv = argv, .out = out});
}

static bool is_installed(lua_State *L, const struct place *p, const char *name, const char *version)
{
    return fs_is_dir(lua_pushfstring(L, "%s/lib/luarocks/rocks-5.4/%s/%s", p->tree, name, version));
}

/* The words of a line, sorted: what install takes as options, and what it installs. */
struct wanted {
    const char *options[LINE_WORDS];
    size_t n_options, n_names;
    const char *name, *version; /* NULL: not said */
};

static void sort_words(const struct line_words *w, struct wanted *out)
{
    static const char *const with_value[] = {"--server", "--only-server", "--only-sources", "--namespace",
                                             "--timeout"};

    *out = (struct wanted){0};
    for (size_t i = 1; i < w->n; i++) {
        if (w->words[i][0] != '-') {
            *(out->n_names == 0 ? &out->name : &out->version) = w->words[i];
            out->n_names++;
            continue;
        }
        out->options[out->n_options++] = w->words[i];
        for (size_t k = 0; k < sizeof with_value / sizeof *with_value; k++)
            if (strcmp(w->words[i], with_value[k]) == 0 && i + 1 < w->n)
                out->options[out->n_options++] = w->words[++i];
    }
}

static void run_install(lua_State *L, const struct place *p, const struct wanted *o, const char *mode,
                        const char *name, const char *version)
{
    const char *words[LINE_WORDS + 4] = {"install", mode};
    size_t n = 2;

    for (size_t i = 0; i < o->n_options && n < LINE_WORDS; i++)
        words[n++] = o->options[i];
    words[n++] = name;
    words[n++] = version;
    run(L, p, words, n, NULL);
}

/* One that the lock names, and what it depends on: that too as the lock has it, not the newest. */
static void install_pinned(lua_State *L, const struct place *p, const struct wanted *o, const char *name,
                           const char *version)
{
    const char *show[] = {"show", "--deps", name, version};
    int top = lua_gettop(L);
    struct buf *list;
    bool others = false;

    luaL_checkstack(L, 20, "rocks that depend on each other");
    if (is_installed(L, p, name, version)) {
        lua_settop(L, top);
        return;
    }
    run_install(L, p, o, "--deps-mode=none", name, version);
    list = session_buf(L, LOCK_MAX);
    run(L, p, show, 4, list);
    for (const char *line = buf_str(list); *line;) {
        size_t len = strcspn(line, "\n"), n = strcspn(line, " \t\n");
        const char *needed = lua_pushlstring(L, line, n);
        const char *has = n > 0 && strcmp(needed, "lua") != 0 ? pinned(L, p, needed) : NULL;
        if (has)
            install_pinned(L, p, o, needed, has);
        others = others || (!has && n > 0 && strcmp(needed, "lua") != 0);
        line += len + (line[len] == '\n');
        lua_settop(L, top + 2); /* a path, the list */
    }
    if (others)
        run_install(L, p, o, "--only-deps", name, version);
    lua_settop(L, top);
}

/* "1.0" is "1.0-1" */
static bool is_version(const char *given, const char *locked)
{
    size_t n = strlen(given);

    return strncmp(given, locked, n) == 0 && (locked[n] == '\0' || locked[n] == '-');
}

static int install(lua_State *L, const struct place *p, const struct line_words *w)
{
    static const char *const none[] = {NULL};
    struct wanted o;
    const char *version = NULL;

    sort_words(w, &o);
    if (!o.name)
        return line_error(L, "luarocks", "no rock named", NULL);
    if (o.n_names <= 2)
        version = pinned(L, p, o.name);
    if (version && o.version && !is_version(o.version, version))
        version = NULL;
    if (version)
        line_print(L, "%s %s (pinned in %s)\n", o.name, version, p->lock);
    if (version && is_installed(L, p, o.name, version)) {
        use_tree(L, p->tree);
        return 0;
    }
    if (version)
        install_pinned(L, p, &o, o.name, version);
    else
        run(L, p, w->words, w->n, NULL);
    write_lock(L, p, none);
    use_tree(L, p->tree);
    return 0;
}

/* Everything that the lock names. */
static int restore(lua_State *L, const struct place *p, const struct line_words *w)
{
    struct buf *text = session_buf(L, LOCK_MAX);
    struct wanted o;
    struct err err;

    sort_words(w, &o);
    if (fs_read(p->lock, text, &err) != LC_OK) {
        err_hint(&err, "%%luarocks install NAME writes it");
        return session_raise(L, &err);
    }
    for (const char *line = buf_str(text); *line;) {
        size_t len = strcspn(line, "\n"), name = strcspn(line, " \n");
        if (*line != '#' && name < len) {
            const char *rock = lua_pushlstring(L, line, name);
            install_pinned(L, p, &o, rock, lua_pushlstring(L, line + name + 1, len - name - 1));
            lua_pop(L, 2);
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
    if (strcmp(w->words[0], "remove") == 0)
        write_lock(L, p, w->words + 1);
    else if (strcmp(w->words[0], "make") == 0 || strcmp(w->words[0], "build") == 0)
        write_lock(L, p, w->words + w->n);
    use_tree(L, p->tree);
    return 0;
}
