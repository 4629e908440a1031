#include "kernel/death.h"
#include "runtime/base/buf.h"
#include "runtime/base/clock.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <ucontext.h>
#include <unistd.h>

/* DEATH_FD: a handler gets no argument that could say where the log is. */
enum { LOG_BYTES_MAX = 1 << 20, PATH_BYTES = 4096, STACK_BYTES = 64 << 10, DEATH_FD = 200 };

/* Only open and write are used from here on: this may run in a signal handler. The path is put together anew
 * each time, since a handler gets no argument in which it could be kept. */
static bool log_path(char path[PATH_BYTES], const char *below)
{
    const char *home = getenv("LACUS_HOME"), *inside = "";

    if (!home || !*home) {
        home = getenv("HOME");
        inside = "/.lacus";
    }
    if (!home || strlen(home) + strlen(inside) + strlen(below) >= PATH_BYTES)
        return false;
    stpcpy(stpcpy(stpcpy(path, home), inside), below);
    return true;
}

static void write_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, text, len);
        if (n <= 0)
            return;
        text += n;
        len -= (size_t)n;
    }
}

static void append(const char *line, size_t len)
{
    char path[PATH_BYTES];
    int fd;

    if (!log_path(path, "/log/kernel.log"))
        return;
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    if (lseek(fd, 0, SEEK_END) > LOG_BYTES_MAX && ftruncate(fd, 0) != 0)
        len = 0;
    write_all(fd, line, len);
    close(fd);
}

static void make_folder(void)
{
    char *folder = fs_home("log", NULL);

    if (folder && !fs_is_dir(folder) && fs_mkdirs(folder, NULL) != LC_OK)
        fprintf(stderr, "lacus kernel: cannot make '%s' for its log\n", folder);
    mem_free(folder);
}

void death_note(int fd, const char *fmt, ...)
{
    struct buf line = BUF_INIT(4096);
    char date[ISO_TEXT], text[3072];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    clock_iso(clock_wall_ms(), date);
    buf_printf(&line, "%s lacus kernel %d: %s\n", date, (int)getpid(), text);
    write_all(fd, buf_str(&line), line.len);
    make_folder();
    append(buf_str(&line), line.len);
    buf_release(&line);
}

/* Decimal without stdio, which a signal handler may not use. */
static char *put_number(char *at, long value)
{
    char digits[24];
    int n = 0;

    do
        digits[n++] = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    while (n > 0)
        *at++ = digits[--n];
    return at;
}

/* ---- the file that the code which crashed is from ---- */
struct maps { /* /proc/self/maps, read bit by bit: a handler may not allocate */
    int fd;
    ssize_t n, at;
    char text[1024];
};

static int next_char(struct maps *m)
{
    if (m->at == m->n) {
        m->n = read(m->fd, m->text, sizeof m->text);
        m->at = 0;
    }
    return m->n > 0 ? (unsigned char)m->text[m->at++] : -1;
}

static uintptr_t next_hex(struct maps *m)
{
    static const char digits[] = "0123456789abcdef";
    uintptr_t value = 0;
    const char *digit;

    for (int c; (c = next_char(m)) > 0 && (digit = strchr(digits, c)) != NULL;)
        value = value * 16 + (uintptr_t)(digit - digits);
    return value;
}

/* The rest of a line, from its first '/' or '['; as much as there is room for. */
static void next_path(struct maps *m, char path[PATH_BYTES])
{
    size_t n = 0;

    for (int c; (c = next_char(m)) > 0 && c != '\n';)
        if ((n > 0 || c == '/' || c == '[') && n + 1 < PATH_BYTES)
            path[n++] = (char)c;
    path[n] = '\0';
}

static bool mapped_file(uintptr_t address, char path[PATH_BYTES])
{
    struct maps m = {.fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC)};
    bool found = false;

    while (m.fd >= 0 && !found && m.n >= 0) {
        uintptr_t from = next_hex(&m), to = next_hex(&m);

        next_path(&m, path);
        found = from <= address && address < to;
        if (m.n == 0)
            break;
    }
    if (m.fd >= 0)
        close(m.fd);
    return found && path[0] == '/';
}

static uintptr_t crashed_at(const void *context)
{
    const ucontext_t *u = context;
#if defined(__x86_64__)
    return (uintptr_t)u->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (uintptr_t)u->uc_mcontext.pc;
#else
    return (void)u, 0;
#endif
}

/* ", in /usr/lib/libx.so", or who sent the signal. */
static char *put_origin(char *at, const siginfo_t *info, const void *context)
{
    char path[PATH_BYTES];

    if (info->si_code > 0) {
        if (mapped_file(crashed_at(context), path))
            at = stpcpy(stpcpy(at, " in "), path);
    } else if (info->si_pid != getpid()) {
        at = put_number(stpcpy(at, ", sent by process "), (long)info->si_pid);
    }
    return at;
}

static void on_crash(int signal_number, siginfo_t *info, void *context)
{
    const bool faulted = info->si_code > 0 && (signal_number == SIGSEGV || signal_number == SIGBUS);
    char line[PATH_BYTES + 256], *at = line;

    clock_iso(clock_wall_ms(), line);
    at = stpcpy(line + strlen(line), " lacus kernel ");
    at = put_number(at, (long)getpid());
    at = stpcpy(at, ": crashed with signal ");
    at = put_number(at, signal_number);
    if (faulted)
        at = stpcpy(at, info->si_addr ? " (bad address)" : " (null pointer)");
    at = stpcpy(put_origin(at, info, context), "\n");
    write_all(fcntl(DEATH_FD, F_GETFD) >= 0 ? DEATH_FD : STDERR_FILENO, line, (size_t)(at - line));
    append(line, (size_t)(at - line));
    raise(signal_number); /* SA_RESETHAND: the default action now */
}

/* A cell's output is taken from the descriptors 1 and 2: what the front end's own log is to have goes here. */
int death_log(void)
{
    int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, DEATH_FD);

    return fd >= 0 ? fd : fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
}

/* Of the session thread: where its own has overflowed, a handler has no room. */
static void make_stack(void)
{
    stack_t stack = {.ss_size = STACK_BYTES};

    stack.ss_sp = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack.ss_sp != MAP_FAILED)
        sigaltstack(&stack, NULL);
}

void death_watch(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    struct sigaction action = {.sa_sigaction = on_crash,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK | (int)SA_RESETHAND};

    make_folder(); /* a signal handler could not */
    make_stack();
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &action, NULL);
}
