#include "runtime/base/process.h"
#include "runtime/base/clock.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

extern char **environ;

enum { STOP_MS = 1500 }; /* from the interrupt of a program to its end by force */

struct child {
    pid_t pid;
    int in, out, error; /* our ends; -1 once closed */
    bool ended;
    int status; /* as waitpid gives it */
};

static void close_end(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* The program takes the terminal before it is there; where the C library cannot, we hand it over afterwards. */
static void own_terminal(posix_spawn_file_actions_t *actions, sigset_t *defaults)
{
    static const int stops[] = {SIGTSTP, SIGTTIN, SIGTTOU, SIGQUIT};

    for (size_t i = 0; i < sizeof stops / sizeof *stops; i++)
        sigaddset(defaults, stops[i]);
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 35)
    posix_spawn_file_actions_addtcsetpgrp_np(actions, STDIN_FILENO);
#else
    (void)actions;
#endif
}

static enum lc spawn(const char *const *argv, const int *fds, int n, short flags, bool terminal, pid_t *pid,
                     struct err *err)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, defaults;
    int rc;

    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    sigaddset(&defaults, SIGXFSZ);
    sigaddset(&defaults, SIGINT);
    posix_spawn_file_actions_init(&actions);
    for (int i = 0; i < n; i++)
        posix_spawn_file_actions_adddup2(&actions, fds[i], i);
    if (terminal)
        own_terminal(&actions, &defaults);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setflags(&attr, (short)(flags | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF));
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &defaults);
    posix_spawnattr_setpgroup(&attr, 0);
    rc = posix_spawnp(pid, argv[0], &actions, &attr, (char *const *)argv, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    return rc == 0 ? LC_OK : err_errno(err, rc, "cannot run '%s'", argv[0]);
}

enum lc process_spawn(const char *const *argv, const int *fds, int n, short flags, pid_t *pid,
                      struct err *err)
{
    return spawn(argv, fds, n, flags, false, pid, err);
}

int process_status(int status)
{
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static enum lc open_pipes(const char *const *argv, struct child *c, struct err *err)
{
    int in[2] = {-1, -1}, out[2] = {-1, -1}, error[2] = {-1, -1};
    enum lc rc;

    *c = (struct child){.in = -1, .out = -1, .error = -1};
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0 || pipe2(error, O_CLOEXEC) != 0)
        rc = err_errno(err, errno, "cannot run '%s'", argv[0]);
    else
        rc = process_spawn(argv, (int[3]){in[0], out[1], error[1]}, 3, POSIX_SPAWN_SETPGROUP, &c->pid, err);
    close_end(&in[0]);
    close_end(&out[1]);
    close_end(&error[1]);
    c->in = in[1];
    c->out = out[0];
    c->error = error[0];
    return rc;
}

/* Reads what is there; closes at the end of the stream. */
static void drain(int *fd, int stream, process_output_fn *output, void *arg)
{
    char chunk[16384];
    ssize_t n = read(*fd, chunk, sizeof chunk);

    if (n > 0 && output)
        output(arg, stream, chunk, (size_t)n);
    else if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
        close_end(fd);
}

static void feed(int *fd, const char **input)
{
    ssize_t n = write(*fd, *input, strlen(*input));

    if (n > 0)
        *input += n;
    if (**input == '\0' || (n < 0 && errno != EINTR && errno != EAGAIN))
        close_end(fd);
}

static bool has_ended(struct child *c)
{
    if (!c->ended)
        c->ended = waitpid(c->pid, &c->status, WNOHANG) == c->pid;
    return c->ended;
}

/* One look at the pipes; false: nothing came, and the program has ended (what it left behind may hold them). */
static bool talk_once(struct child *c, const char **input, process_output_fn *output, void *arg)
{
    struct pollfd fds[3] = {{.fd = c->out, .events = POLLIN},
                            {.fd = c->error, .events = POLLIN},
                            {.fd = c->in, .events = POLLOUT}};

    if (poll(fds, 3, 50) <= 0)
        return !has_ended(c);
    if (fds[0].revents)
        drain(&c->out, 1, output, arg);
    if (fds[1].revents)
        drain(&c->error, 2, output, arg);
    if (fds[2].revents)
        feed(&c->in, input);
    return true;
}

static enum lc talk(const struct ctx *ctx, struct child *c, const char *input, process_output_fn *output,
                    void *arg, struct err *err)
{
    while (c->out >= 0 || c->error >= 0) {
        TRY(ctx_check(ctx, err));
        if (!talk_once(c, &input, output, arg))
            break;
    }
    for (int ms = 1; !has_ended(c); ms = ms < 32 ? 2 * ms : ms) { /* it has closed its outputs */
        TRY(ctx_check(ctx, err));
        poll(NULL, 0, ms);
    }
    return LC_OK;
}

/* As Ctrl-C would: it may clean up, and say so; then by force. */
static void stop(struct child *c, process_output_fn *output, void *arg)
{
    int64_t until = clock_mono_ns() + STOP_MS * INT64_C(1000000);
    const char *nothing = "";

    close_end(&c->in);
    kill(-c->pid, SIGINT);
    while (clock_mono_ns() < until && (c->out >= 0 || c->error >= 0) && talk_once(c, &nothing, output, arg))
        ; /* what it said last is read although it has ended */
    kill(-c->pid, SIGKILL);
}

enum lc process_run(const struct ctx *ctx, const char *const *argv, const char *input,
                    process_output_fn *output, void *arg, int *status, struct err *err)
{
    struct child c;
    enum lc rc = open_pipes(argv, &c, err);

    if (rc == LC_OK) {
        if (input && *input)
            fcntl(c.in, F_SETFL, O_NONBLOCK);
        else
            close_end(&c.in);
        rc = talk(ctx, &c, input ? input : "", output, arg, err);
        if (rc != LC_OK)
            stop(&c, output, arg);
        while (!c.ended && waitpid(c.pid, &c.status, 0) < 0 && errno == EINTR)
            ;
        *status = process_status(c.status);
    }
    close_end(&c.in);
    close_end(&c.out);
    close_end(&c.error);
    return rc;
}

/* ---- with the terminal ---- */
struct foreground {
    pid_t pid, us; /* us: our group; 0: we have no terminal to hand over, the program shares our group */
    struct termios modes; /* ours */
};

/* To another group, or back from it, when it is not we who have it. */
static bool hand_terminal(pid_t group)
{
    sigset_t stop, before;
    bool ok;

    sigemptyset(&stop);
    sigaddset(&stop, SIGTTOU);
    pthread_sigmask(SIG_BLOCK, &stop, &before);
    ok = tcsetpgrp(STDIN_FILENO, group) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return ok;
}

static void take_terminal(const struct foreground *f)
{
    if (f->us)
        hand_terminal(f->us);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &f->modes);
}

static void signal_program(const struct foreground *f, int sig)
{
    kill(f->us ? -f->pid : f->pid, sig);
}

/* Ctrl-Z: we stop with it, as a job of the shell that started us. Where no shell waits for us the system ignores that. */
static void stop_with(const struct ctx *ctx, struct foreground *f)
{
    struct termios its;
    bool known = tcgetattr(STDIN_FILENO, &its) == 0;
    pid_t owner;

    take_terminal(f);
    kill(0, SIGTSTP);
    while (ctx_check(ctx, NULL) == LC_OK && (owner = tcgetpgrp(STDIN_FILENO)) >= 0 && owner != f->us) {
        kill(0, SIGTTIN); /* continued in the background */
        poll(NULL, 0, 50);
    }
    tcgetattr(STDIN_FILENO, &f->modes);
    if (known)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &its);
}

/* Until it ends; *status as waitpid gives it. */
static enum lc wait_foreground(const struct ctx *ctx, struct foreground *f, int *status, struct err *err)
{
    struct pollfd end = {.fd = (int)syscall(SYS_pidfd_open, f->pid, 0), .events = POLLIN};
    enum lc rc = LC_OK;
    pid_t changed = 0;

    while ((changed = waitpid(f->pid, status, WNOHANG | WUNTRACED)) >= 0 &&
           (!changed || WIFSTOPPED(*status))) {
        if (changed > 0 && f->us) {
            if (WSTOPSIG(*status) != SIGTTIN && WSTOPSIG(*status) != SIGTTOU) /* those: before it had it */
                stop_with(ctx, f);
            if (hand_terminal(f->pid))
                signal_program(f, SIGCONT);
        }
        rc = ctx_check(ctx, err);
        if (rc != LC_OK)
            break;
        poll(&end, 1, 50);
    }
    close_end(&end.fd);
    return rc;
}

/* As Ctrl-C would, then by force. */
static void stop_foreground(const struct foreground *f, int *status)
{
    int64_t until = clock_mono_ns() + STOP_MS * INT64_C(1000000);

    signal_program(f, SIGINT);
    signal_program(f, SIGCONT);
    while (clock_mono_ns() < until) {
        if (waitpid(f->pid, status, WNOHANG) != 0)
            return;
        poll(NULL, 0, 20);
    }
    signal_program(f, SIGKILL);
    while (waitpid(f->pid, status, 0) < 0 && errno == EINTR)
        ;
}

enum lc process_foreground(const struct ctx *ctx, const char *const *argv, int *status, struct err *err)
{
    struct foreground f = {.us = getpgrp()};
    int ended = 0;
    enum lc rc;

    if (tcgetattr(STDIN_FILENO, &f.modes) != 0)
        return err_errno(err, errno, "cannot run '%s' on the terminal", argv[0]);
    if (tcgetpgrp(STDIN_FILENO) != f.us) /* not the terminal of our session */
        f.us = 0;
    rc = spawn(argv, NULL, 0, f.us ? POSIX_SPAWN_SETPGROUP : 0, f.us != 0, &f.pid, err);
    if (rc != LC_OK)
        return rc;
    if (f.us)
        hand_terminal(f.pid);
    rc = wait_foreground(ctx, &f, &ended, err);
    if (rc != LC_OK)
        stop_foreground(&f, &ended);
    take_terminal(&f);
    *status = process_status(ended);
    if (rc == LC_OK && WIFSIGNALED(ended) && WTERMSIG(ended) == SIGINT)
        rc = err_set(err, LC_CANCELLED, "'%s' was interrupted", argv[0]);
    return rc;
}

enum lc process_start(const char *const *argv, const char *log, pid_t *pid, struct err *err)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    enum lc rc;

    if (null < 0 || out < 0)
        rc = err_errno(err, errno, "cannot open '%s'", null < 0 ? "/dev/null" : log);
    else
        rc = process_spawn(argv, (int[3]){null, out, out}, 3, POSIX_SPAWN_SETSID, pid, err);
    close_end(&null);
    close_end(&out);
    return rc;
}

/* A descriptor from which a program reads this text, however long. */
static int text_file(const char *text)
{
    int fd = text ? memfd_create("input", MFD_CLOEXEC) : open("/dev/null", O_RDONLY | O_CLOEXEC);

    for (size_t left = text ? strlen(text) : 0; fd >= 0 && left > 0;) {
        ssize_t n = write(fd, text, left);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            close_end(&fd);
            break;
        }
        text += n;
        left -= (size_t)n;
    }
    if (fd >= 0 && text)
        lseek(fd, 0, SEEK_SET);
    return fd;
}

static int sink(int end[2], bool wanted)
{
    if (wanted)
        return pipe2(end, O_CLOEXEC);
    end[1] = open("/dev/null", O_WRONLY | O_CLOEXEC);
    return end[1] < 0 ? -1 : 0;
}

enum lc process_beside(const char *const *argv, const char *input, int *out, int *error, pid_t *pid,
                       struct err *err)
{
    int in = text_file(input), outs[2] = {-1, -1}, errors[2] = {-1, -1};
    enum lc rc;

    if (in < 0 || sink(outs, out) != 0 || sink(errors, error) != 0)
        rc = err_errno(err, errno, "cannot run '%s'", argv[0]);
    else
        rc = process_spawn(argv, (int[3]){in, outs[1], errors[1]}, 3, POSIX_SPAWN_SETPGROUP, pid, err);
    close_end(&in);
    close_end(&outs[1]);
    close_end(&errors[1]);
    if (rc != LC_OK) {
        close_end(&outs[0]);
        close_end(&errors[0]);
        return rc;
    }
    if (out)
        *out = outs[0];
    if (error)
        *error = errors[0];
    return LC_OK;
}
