/* %sh, %sx, %ls, %%script, and the languages that are scripts: %%bash, %%sh, %%perl, %%ruby, %%R, %%node. */
#include "magics/background.h"
#include "magics/line.h"
#include "magics/magics.h"
#include "magics/options.h"
#include "runtime/base/fs.h"
#include "runtime/session/cell.h"
#include "runtime/session/shell.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ARGUMENT_MAX = 100000 }; /* a longer script does not fit into an argument of the system */

/* Text as an argument of -c, so that the script's own programs do not read it; a long one as input. */
static void run_shell(lua_State *L, const char *shell, const char *text)
{
    const char *argv[] = {shell, "-c", text, NULL}, *reading[] = {shell, NULL};

    if (strlen(text) < ARGUMENT_MAX)
        shell_run(L, &(struct shell_job){.argv = argv});
    else
        shell_run(L, &(struct shell_job){.argv = reading, .input = text});
}

int magic_sx(lua_State *L, const char *line, const char *body)
{
    return shell_line(L, body && *body ? body : line, true);
}

int magic_ls(lua_State *L, const char *line, const char *body)
{
    (void)body;
    run_shell(L, "sh", lua_pushfstring(L, "ls -F %s", shell_expand(L, line)));
    return 0;
}

/* ---- scripts ---- */
static const struct {
    const char *program, *get; /* how a machine gets it */
} sources[] = {
    {"R", "install it (Debian: apt-get install r-base-core)"},
    {"bash", "install it (Debian: apt-get install bash), or use %%sh"},
    {"julia", "install it from julialang.org"},
    {"node", "install it (Debian: apt-get install nodejs)"},
    {"perl", "install it (Debian: apt-get install perl)"},
    {"python3", "install it (Debian: apt-get install python3)"},
    {"ruby", "install it (Debian: apt-get install ruby)"},
};

static int missing(lua_State *L, const char *program)
{
    struct err err;

    err_set(&err, LC_MISSING, "cannot run '%s': there is no such program on the PATH", program);
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
        if (strcmp(sources[i].program, program) == 0)
            err_hint(&err, "%s and run the cell again", sources[i].get);
    if (!err.hint[0])
        err_hint(&err, "install it, or name the program with its folder");
    return session_raise(L, &err);
}

static void keep(lua_State *L, const char *name, const struct buf *text)
{
    if (!name)
        return;
    lua_pushlstring(L, buf_str(text), text->len);
    cell_set_variable(L, name);
}

/* A program that reads lines gets the last one whole, as IPython's cells end with one. */
static const char *whole_lines(lua_State *L, const char *body)
{
    size_t n = body ? strlen(body) : 0;

    return n && body[n - 1] != '\n' ? lua_pushfstring(L, "%s\n", body) : body;
}

static int run_script(lua_State *L, const struct options *o, const char *const *argv, const char *body)
{
    const char *out = options_value(o, "--out"), *err = options_value(o, "--err");
    struct shell_job job = {.argv = argv, .input = body, .may_fail = true};
    static const char *const named[] = {"--out", "--err", "--proc"};
    int status;

    for (size_t i = 0; i < sizeof named / sizeof *named; i++)
        if (options_value(o, named[i]))
            line_check_name(L, o->magic, options_value(o, named[i]));
    if (!shell_has(argv[0]))
        return missing(L, argv[0]);
    job.input = body = whole_lines(L, body);
    if (options_has(o, "--bg")) {
        background_run(L, argv, body, &(struct background){out, err, options_value(o, "--proc")});
        return 0;
    }
    if (out)
        job.out = session_buf(L, BUF_TEXT_MAX);
    if (err)
        job.err = session_buf(L, BUF_TEXT_MAX);
    status = shell_run(L, &job);
    keep(L, out, job.out);
    keep(L, err, job.err);
    lua_pushinteger(L, status);
    lua_setglobal(L, "_exit_code");
    if (status != 0 && !options_has(o, "--no-raise-error")) {
        struct err failure;
        err_set(&failure, LC_RUNTIME, "'%s' ended with exit status %d", argv[0], status);
        return session_raise(L, &failure);
    }
    return 0;
}

/* A script of this program, with the arguments that make it read its standard input. */
static int named_script(lua_State *L, const char *magic, const char *const *argv, const char *line,
                        const char *body)
{
    return run_script(L, options_read(L, magic, shell_expand(L, line), OPTIONS_ALL), argv, body);
}

int magic_script(lua_State *L, const char *line, const char *body)
{
    struct options *o = options_read(L, "script", shell_expand(L, line), OPTIONS_KNOWN);

    if (!o->n)
        return line_error(L, "script", "no program named", NULL);
    return run_script(L, o, o->words, body);
}

/* %%bash -s one two: the words are $1 and $2. The text is an argument, so that its programs do not read it. */
static int shell_script(lua_State *L, const char *shell, const char *line, const char *body)
{
    struct options *o = options_read(L, shell, shell_expand(L, line), OPTIONS_ALL);
    const char *argv[OPTIONS_WORDS + 5] = {shell, "-c", body, shell};
    bool fits = strlen(body) < ARGUMENT_MAX;
    size_t n = 4;

    if (!fits) {
        argv[1] = "-s";
        n = 2;
    }
    memcpy(argv + n, o->words, (o->n + 1) * sizeof *argv);
    return run_script(L, o, argv, fits ? NULL : body);
}

int magic_bash(lua_State *L, const char *line, const char *body)
{
    return shell_script(L, "bash", line, body);
}

int magic_sh(lua_State *L, const char *line, const char *body)
{
    if (body)
        return shell_script(L, "sh", line, body);
    line = shell_expand(L, line);
    if (*line)
        run_shell(L, "sh", line);
    return 0;
}

int magic_perl(lua_State *L, const char *line, const char *body)
{
    static const char *const argv[] = {"perl", NULL};

    return named_script(L, "perl", argv, line, body);
}

int magic_ruby(lua_State *L, const char *line, const char *body)
{
    static const char *const argv[] = {"ruby", NULL};

    return named_script(L, "ruby", argv, line, body);
}

int magic_r(lua_State *L, const char *line, const char *body)
{
    static const char *const argv[] = {"R", "--no-echo", "--no-save", "--no-restore", NULL};

    return named_script(L, "R", argv, line, body);
}

int magic_node(lua_State *L, const char *line, const char *body)
{
    static const char *const argv[] = {"node", "-", NULL};

    return named_script(L, "node", argv, line, body);
}

/* ---- completion ---- */
static bool can_run(const char *folder, const char *name)
{
    char path[PATH_MAX];

    return snprintf(path, sizeof path, "%s/%s", folder, name) < (int)sizeof path && access(path, X_OK) == 0;
}

/* Those on PATH that begin with `prefix`, or are called `name`; the list is on the top. */
static void add_programs(lua_State *L, const char *prefix, const char *name)
{
    const char *path = getenv("PATH");
    lua_Integer listed = (lua_Integer)lua_rawlen(L, -1);
    char folder[PATH_MAX], **names;

    for (const char *p = path ? path : ""; *p; p += strspn(p, ":")) {
        size_t len = strcspn(p, ":"), n;
        snprintf(folder, sizeof folder, "%.*s", (int)len, p);
        p += len;
        if (name && can_run(folder, name)) {
            lua_pushstring(L, name);
            lua_rawseti(L, -2, ++listed);
            return;
        }
        if (name || fs_list(folder, &names, &n, NULL) != LC_OK)
            continue;
        for (size_t i = 0; i < n; i++)
            if (strncmp(names[i], prefix, strlen(prefix)) == 0 && can_run(folder, names[i])) {
                lua_pushstring(L, names[i]);
                lua_rawseti(L, -2, ++listed);
            }
        fs_free_list(names, n);
    }
}

int magic_script_words(lua_State *L) /* (nil, word, "", line) */
{
    static const char *const common[] = {"awk",  "bash", "jq",      "lua",  "node", "perl", "php",
                                         "psql", "R",    "python3", "ruby", "sed",  "sh",   "sqlite3"};
    const char *word = luaL_checkstring(L, 2), *line = luaL_checkstring(L, 4);

    if (*line != '\0' && *line != '-' && strlen(line) != strlen(word))
        return 0; /* an argument of the program */
    if (strchr(word, '/'))
        return 0;
    lua_newtable(L);
    for (size_t i = 0; !*word && i < sizeof common / sizeof *common; i++)
        add_programs(L, "", common[i]);
    if (*word)
        add_programs(L, word, NULL);
    return 1;
}
