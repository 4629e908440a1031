/* %tensorboard: the installed TensorBoard, on a port of this machine, shown in the notebook. */
#include "magics/line.h"
#include "magics/magics.h"
#include "magics/options.h"
#include "runtime/base/clock.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/base/process.h"
#include "runtime/python/python_lua.h"
#include "runtime/session/shell.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { START_MS = 60000, HEIGHT = 800 };
/* Runs its arguments, and ends them when descriptor 3 has its end: a session that is killed stops nothing itself. A shell that is
 * terminated with them waits for them. */
#define WITH_US                                                                                              \
    "\"$@\" 3<&- & child=$!; trap : TERM; (read -r _ <&3; kill $child) & watch=$!; exec 3<&-; "              \
    "while kill -0 $child 2>/dev/null; do wait $child; status=$?; done; kill $watch 2>/dev/null; exit "      \
    "$status"
static const char state_key = 0;

struct state {
    pid_t pid; /* 0: none */
    int ours;  /* the end of a pipe that closes when we are gone; 0: none */
    long port;
    char folder[2048], log[4096];
};

static bool alive(struct state *s)
{
    if (s->pid && waitpid(s->pid, NULL, WNOHANG) == s->pid)
        s->pid = 0;
    if (!s->pid && s->ours) {
        close(s->ours);
        s->ours = 0;
    }
    return s->pid != 0;
}

static void stop(void *arg)
{
    struct state *s = arg;

    if (!alive(s))
        return;
    kill(-s->pid, SIGTERM);
    for (int i = 0; i < 40 && alive(s); i++)
        usleep(50000);
    if (s->pid) {
        kill(-s->pid, SIGKILL);
        waitpid(s->pid, NULL, 0);
        s->pid = 0;
        alive(s);
    }
}

static int loopback(long port, bool listening)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), rc;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    rc = listening ? bind(fd, (struct sockaddr *)&address, sizeof address)
                   : connect(fd, (struct sockaddr *)&address, sizeof address);
    if (fd >= 0 && rc != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static long free_port(void)
{
    struct sockaddr_in address = {0};
    socklen_t len = sizeof address;
    int fd = loopback(0, true);

    if (fd < 0 || getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        address.sin_port = htons(6006);
    if (fd >= 0)
        close(fd);
    return ntohs(address.sin_port);
}

static int failed(lua_State *L, struct state *s, const char *what)
{
    struct buf *log = session_buf(L, 1 << 20);
    const char *last, *end;
    struct err err;

    stop(s);
    err_set(&err, LC_RUNTIME, "TensorBoard %s", what);
    if (fs_read(s->log, log, NULL) == LC_OK && log->len) {
        for (end = log->data + log->len; end > log->data && end[-1] == '\n'; end--)
            ;
        for (last = end; last > log->data && last[-1] != '\n'; last--)
            ;
        err_hint(&err, "its last words: %.*s", (int)(end - last < 300 ? end - last : 300), last);
    }
    return session_raise(L, &err);
}

/* Is it in the Python of %%python cells, where %pip install puts it? */
static bool python_has_it(lua_State *L)
{
    const char *python = python_program(), *argv[] = {python, "-c", "import tensorboard.main", NULL};
    struct err err;
    int status = 1;

    return python &&
           process_run(session_ctx(session_of(L)), argv, NULL, NULL, NULL, &status, &err) == LC_OK &&
           status == 0;
}

/* "tensorboard", or "PYTHON -m tensorboard.main" */
static void find_program(lua_State *L, const char **program)
{
    struct err err;

    if (shell_has("tensorboard")) {
        program[2] = "tensorboard";
    } else if (python_has_it(L)) {
        program[0] = python_program();
        program[1] = "-m";
        program[2] = "tensorboard.main";
    } else {
        err_set(&err, LC_MISSING,
                "cannot start TensorBoard: there is no program 'tensorboard' on the PATH, nor is it in the "
                "Python of %%%%python cells");
        err_hint(&err, "install it: %%pip install tensorboard");
        session_raise(L, &err);
    }
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* argv with its outputs in the log, in a session of its own, for as long as we live. */
static enum lc launch(struct state *s, const char *const *argv, struct err *err)
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC), ends[2] = {-1, -1};
    int log = open(s->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    enum lc rc;

    if (null < 0 || log < 0 || pipe2(ends, O_CLOEXEC) != 0)
        rc = err_errno(err, errno, "cannot start TensorBoard with the log '%s'", s->log);
    else
        rc = process_spawn(argv, (int[4]){null, log, log, ends[0]}, 4, POSIX_SPAWN_SETSID, &s->pid, err);
    close_fd(&null);
    close_fd(&log);
    close_fd(&ends[0]);
    if (rc == LC_OK)
        s->ours = ends[1];
    else
        close_fd(&ends[1]);
    return rc;
}

static void check_port(lua_State *L, long port)
{
    int fd = loopback(port, false);
    struct err err;

    if (fd < 0)
        return;
    close(fd);
    err_set(&err, LC_CONFLICT, "cannot start TensorBoard: something else answers on port %ld", port);
    err_hint(&err, "name another one, or none: a free one is taken then");
    session_raise(L, &err);
}

static void start(lua_State *L, struct state *s, const char *folder, long port)
{
    const char *program[3] = {NULL, NULL, NULL};
    char port_text[24];
    int64_t until = clock_mono_ns() + START_MS * INT64_C(1000000);
    struct err err;
    char *log;
    int fd;

    find_program(L, program);
    if (port)
        check_port(L, port);
    log = fs_home("log", &err);
    if (!log || fs_mkdirs(log, &err) != LC_OK) {
        mem_free(log);
        session_raise(L, &err);
        return;
    }
    s->port = port ? port : free_port();
    snprintf(port_text, sizeof port_text, "%ld", s->port);
    snprintf(s->folder, sizeof s->folder, "%s", folder);
    snprintf(s->log, sizeof s->log, "%.3900s/tensorboard-%ld.log", log, s->port);
    mem_free(log);
    const char *argv[] = {"sh",       "-c",   WITH_US,  "sh",      program[0], program[1],  program[2],
                          "--logdir", folder, "--port", port_text, "--host",   "127.0.0.1", NULL};
    if (!program[0])
        memmove(argv + 4, argv + 6, sizeof argv - 6 * sizeof *argv);
    if (launch(s, argv, &err) != LC_OK)
        session_raise(L, &err);
    while ((fd = loopback(s->port, false)) < 0) {
        if (!alive(s))
            failed(L, s, "ended at its start");
        if (clock_mono_ns() > until)
            failed(L, s, "did not answer within a minute");
        session_wait(session_of(L), 100);
        if (ctx_check(session_ctx(session_of(L)), &err) != LC_OK) {
            stop(s);
            session_raise(L, &err);
        }
    }
    close(fd);
}

static void show(lua_State *L, const struct state *s)
{
    json_t **slot = session_json_slot(L);
    const char *text =
        lua_pushfstring(L, "TensorBoard of '%s': http://localhost:%d/", s->folder, (int)s->port);
    const char *html = lua_pushfstring(
        L, "<iframe src=\"http://localhost:%d/\" width=\"100%%\" height=\"%d\" frameborder=\"0\"></iframe>",
        (int)s->port, (int)HEIGHT);
    struct display d = {.data = json_pack("{s:s, s:s}", "text/plain", text, "text/html", html)};

    *slot = d.data;
    session_display(session_of(L), &d);
}

int magic_tensorboard(lua_State *L, const char *line, const char *body)
{
    struct options *o = options_read(L, "tensorboard", shell_expand(L, line), OPTIONS_ALL);
    struct state *s = session_state(L, &state_key, sizeof *s, stop);
    const char *folder = options_value(o, "--logdir");

    (void)body;
    if (o->n)
        return line_error(L, "tensorboard", "cannot read the argument", o->words[0]);
    if (options_has(o, "--stop")) {
        stop(s);
        return 0;
    }
    if (!folder)
        return line_error(L, "tensorboard", "which folder? --logdir", NULL);
    if (alive(s) && strcmp(s->folder, folder) != 0)
        stop(s);
    if (!alive(s))
        start(L, s, folder, options_count(L, o, "--port", 0));
    show(L, s);
    return 0;
}
