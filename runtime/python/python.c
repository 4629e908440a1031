#include "runtime/python/python.h"
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/process.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MESSAGE_MAX = 512 << 20, FIRST_FD = 16, END_MS = 1500, GROUP_MS = 100, FDS = 5 };

struct python {
    pid_t pid;
    int to, from, out, error; /* our ends; -1 once closed */
    bool ended;
    int status;
    struct buf line; /* of messages: what has come of the next ones */
    size_t looked;   /* bytes of it without a line end */
};

/* ---- starting ---- */
static void close_end(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Our end and the child's, both out of the way of the descriptors that the child will have. */
static bool make_pipe(int *ours, int *theirs, bool we_read)
{
    int fds[2];

    *ours = *theirs = -1;
    if (pipe2(fds, O_CLOEXEC) != 0)
        return false;
    *ours = fcntl(fds[we_read ? 0 : 1], F_DUPFD_CLOEXEC, FIRST_FD);
    *theirs = fcntl(fds[we_read ? 1 : 0], F_DUPFD_CLOEXEC, FIRST_FD);
    close(fds[0]);
    close(fds[1]);
    return *ours >= 0 && *theirs >= 0;
}

enum lc python_start(const char *program, const char *side, const char *folder, struct python **out,
                     struct err *err)
{
    const char *argv[] = {program, "-c", side, folder, NULL};
    int theirs[FDS] = {-1, -1, -1, -1, -1};
    struct python *p = mem_zalloc(sizeof *p);
    int null;
    enum lc rc;

    if (!p)
        return err_nomem(err);
    *p = (struct python){.to = -1, .from = -1, .out = -1, .error = -1, .line = BUF_INIT(MESSAGE_MAX)};
    null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    theirs[0] = null >= 0 ? fcntl(null, F_DUPFD_CLOEXEC, FIRST_FD) : -1;
    close_end(&null);
    if (theirs[0] < 0 || !make_pipe(&p->out, &theirs[1], true) || !make_pipe(&p->error, &theirs[2], true) ||
        !make_pipe(&p->to, &theirs[3], false) || !make_pipe(&p->from, &theirs[4], true))
        rc = err_errno(err, errno, "cannot start '%s'", program);
    else
        rc = process_spawn(argv, theirs, FDS, POSIX_SPAWN_SETPGROUP, &p->pid, err);
    for (int i = 0; i < FDS; i++)
        close_end(&theirs[i]);
    if (rc != LC_OK) {
        p->ended = true;
        python_stop(p);
        if (rc == LC_NOTFOUND && err)
            err->code = LC_MISSING;
        return rc == LC_NOTFOUND ? LC_MISSING : rc;
    }
    fcntl(p->to, F_SETFL, O_NONBLOCK);
    fcntl(p->from, F_SETFL, O_NONBLOCK);
    fcntl(p->out, F_SETFL, O_NONBLOCK);
    fcntl(p->error, F_SETFL, O_NONBLOCK);
    *out = p;
    return LC_OK;
}

/* ---- ending ---- */
bool python_alive(struct python *p)
{
    if (!p->ended)
        p->ended = waitpid(p->pid, &p->status, WNOHANG) == p->pid;
    return !p->ended;
}

void python_interrupt(struct python *p)
{
    if (python_alive(p))
        kill(-p->pid, SIGINT);
}

/* What it has started and not waited for is in its group still. */
static void stop_group(pid_t pid)
{
    int64_t until = clock_mono_ns() + GROUP_MS * INT64_C(1000000);

    if (pid <= 0 || kill(-pid, SIGTERM) != 0)
        return;
    while (kill(-pid, 0) == 0 && clock_mono_ns() < until)
        poll(NULL, 0, 2);
    kill(-pid, SIGKILL);
}

void python_stop(struct python *p)
{
    static const int signals[] = {0, SIGTERM, SIGKILL}; /* it ends by itself when its messages end */

    if (!p)
        return;
    close_end(&p->to);
    for (size_t i = 0; i < sizeof signals / sizeof *signals && python_alive(p); i++) {
        int64_t until = clock_mono_ns() + END_MS / 3 * INT64_C(1000000);
        if (signals[i])
            kill(-p->pid, signals[i]);
        while (python_alive(p) && clock_mono_ns() < until)
            poll(NULL, 0, 2);
    }
    stop_group(p->pid);
    close_end(&p->from);
    close_end(&p->out);
    close_end(&p->error);
    buf_release(&p->line);
    mem_free(p);
}

static enum lc has_ended(struct python *p, struct err *err)
{
    for (int i = 0; i < 100 && python_alive(p); i++) /* its pipes are closed: it is about to end */
        poll(NULL, 0, 5);
    if (WIFSIGNALED(p->status))
        return err_set(err, LC_CLOSED, "Python was ended by signal %d (%s)", WTERMSIG(p->status),
                       strsignal(WTERMSIG(p->status)));
    return err_set(err, LC_CLOSED, "Python has ended (exit status %d)", WEXITSTATUS(p->status));
}

/* ---- talking ---- */
enum lc python_send(struct python *p, const json_t *message, struct err *err)
{
    char *text = json_dumps(message, JSON_COMPACT);
    size_t len = text ? strlen(text) : 0, sent = 0;
    enum lc rc = text ? LC_OK : err_nomem(err);

    if (text)
        text[len] = '\n'; /* in place of the NUL */
    while (rc == LC_OK && sent < len + 1) {
        struct pollfd fd = {.fd = p->to, .events = POLLOUT};
        ssize_t n = write(p->to, text + sent, len + 1 - sent);
        if (n > 0)
            sent += (size_t)n;
        else if (errno == EAGAIN && python_alive(p))
            poll(&fd, 1, 100);
        else if (errno != EINTR)
            rc = has_ended(p, err);
    }
    free(text);
    return rc;
}

/* Reads what is there now. */
static void drain(int *fd, int stream, python_output_fn *output, void *arg)
{
    char chunk[16384];
    ssize_t n;

    while (*fd >= 0 && (n = read(*fd, chunk, sizeof chunk)) != -1)
        if (n == 0)
            close_end(fd);
        else
            output(arg, stream, chunk, (size_t)n);
}

static enum lc take_message(struct python *p, python_output_fn *output, void *arg, json_t **message,
                            struct err *err)
{
    char *end =
        p->line.len > p->looked ? memchr(p->line.data + p->looked, '\n', p->line.len - p->looked) : NULL;
    json_error_t why;
    size_t len;

    p->looked = p->line.len;
    if (!end)
        return p->line.failed ? err_set(err, LC_LIMIT, "a message of Python is too long") : LC_OK;
    len = (size_t)(end - p->line.data);
    drain(&p->out, 1, output, arg); /* was printed before */
    drain(&p->error, 2, output, arg);
    *message = json_loadb(p->line.data, len, JSON_ALLOW_NUL, &why);
    p->line.len -= len + 1;
    memmove(p->line.data, end + 1, p->line.len);
    p->looked = 0;
    return *message ? LC_OK : err_set(err, LC_DATA, "a message of Python cannot be read: %s", why.text);
}

static void read_messages(struct python *p)
{
    char chunk[65536];
    ssize_t n;

    while (p->from >= 0 && (n = read(p->from, chunk, sizeof chunk)) != -1)
        if (n == 0)
            close_end(&p->from);
        else
            buf_add(&p->line, chunk, (size_t)n);
}

enum lc python_step(struct python *p, int timeout_ms, python_output_fn *output, void *arg, json_t **message,
                    struct err *err)
{
    struct pollfd fds[3] = {{.fd = p->out, .events = POLLIN},
                            {.fd = p->error, .events = POLLIN},
                            {.fd = p->from, .events = POLLIN}};

    *message = NULL;
    TRY(take_message(p, output, arg, message, err));
    if (*message)
        return LC_OK;
    poll(fds, 3, timeout_ms);
    drain(&p->out, 1, output, arg);
    drain(&p->error, 2, output, arg);
    read_messages(p);
    TRY(take_message(p, output, arg, message, err));
    if (*message || p->from >= 0)
        return LC_OK;
    return has_ended(p, err);
}
