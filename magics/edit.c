/* %edit: a text in the user's editor, which then runs. Where there is no terminal it becomes the next cell. */
#include "magics/line.h"
#include "magics/magics.h"
#include "magics/options.h"
#include "magics/ranges.h"
#include "magics/run_text.h"
#include "runtime/base/fs.h"
#include "runtime/session/shell.h"
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
enum { FILE_MAX = 8 << 20 };

static bool has_terminal(lua_State *L)
{
    const struct frontend *f = session_frontend(session_of(L));

    return f->ops && f->ops->name && strcmp(f->ops->name, "repl") == 0 &&
           access("/dev/tty", R_OK | W_OK) == 0;
}

/* The editor on the terminal itself: our own outputs may be captured. */
static void run_editor(lua_State *L, const char *file)
{
    const char *visual = getenv("VISUAL"), *editor = visual && *visual ? visual : getenv("EDITOR");
    const char *command = lua_pushfstring(L, "%s \"$1\"", editor && *editor ? editor : "vi");
    const char *argv[] = {"/bin/sh", "-c", command, "sh", file, NULL};
    posix_spawn_file_actions_t actions;
    struct err err;
    pid_t pid;
    int rc, status = 0;

    posix_spawn_file_actions_init(&actions);
    for (int fd = 0; fd < 3; fd++)
        posix_spawn_file_actions_addopen(&actions, fd, "/dev/tty", O_RDWR, 0);
    rc = posix_spawn(&pid, argv[0], &actions, NULL, (char *const *)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    while (rc == 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (rc == 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return;
    err_set(&err, LC_RUNTIME, "the editor '%s' failed", editor && *editor ? editor : "vi");
    err_hint(&err, "name another one: %%env EDITOR=nano");
    session_raise(L, &err);
}

/* Pushes a file with the text in it, which is the user's own to keep. */
static const char *push_temporary(lua_State *L, const char *text)
{
    char path[] = "/tmp/lacus-edit-XXXXXX.lua";
    int fd = mkostemps(path, 4, O_CLOEXEC);
    struct err err;

    if (fd < 0 || fs_write(path, text, strlen(text), &err) != LC_OK) {
        err_set(&err, LC_IO, "cannot write a file to edit");
        session_raise(L, &err);
    }
    close(fd);
    return lua_pushstring(L, path);
}

int magic_edit(lua_State *L, const char *line, const char *body)
{
    struct options *o = options_read(L, "edit", shell_expand(L, line), OPTIONS_ALL);
    bool cells = o->n == 0 || (ranges_is(o->words[0]) && !fs_exists(o->words[0]));
    const char *text = "", *file = line_path(L, o->words[0]);
    struct buf *now = session_buf(L, FILE_MAX);
    struct err err;

    (void)body;
    if (cells && o->n)
        text = ranges_push_text(L, ranges_read(L, "edit", o->words), false);
    else if (!cells && fs_exists(file) && fs_read(file, now, &err) != LC_OK)
        return session_raise(L, &err);
    if (!has_terminal(L)) {
        session_set_next_input(session_of(L), cells ? text : buf_str(now), true);
        return 0;
    }
    if (cells)
        file = push_temporary(L, text);
    run_editor(L, file);
    buf_clear(now);
    if (fs_exists(file) && fs_read(file, now, &err) != LC_OK)
        return session_raise(L, &err);
    if (options_has(o, "-x") || now->len == 0)
        return 0;
    line_print(L, "Editing... done. Executing edited code...\n");
    run_text(L, 0, buf_str(now), now->len, fs_basename(file));
    return 0;
}
