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
#include <sys/stat.h>
#include <unistd.h>

enum { LOG_BYTES_MAX = 1 << 20, PATH_BYTES = 4096 };

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

static void on_crash(int signal_number, siginfo_t *info, void *context)
{
    char line[256], *at = line;

    (void)context;
    at = stpcpy(at, "lacus kernel ");
    at = put_number(at, (long)getpid());
    at = stpcpy(at, ": crashed with signal ");
    at = put_number(at, signal_number);
    if (signal_number == SIGSEGV || signal_number == SIGBUS)
        at = stpcpy(at, info->si_addr ? " (bad address)" : " (null pointer)");
    at = stpcpy(at, "\n");
    write_all(STDERR_FILENO, line, (size_t)(at - line));
    append(line, (size_t)(at - line));
    raise(signal_number); /* SA_RESETHAND: the default action now */
}

void death_watch(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    struct sigaction action = {.sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | (int)SA_RESETHAND};

    make_folder(); /* a signal handler could not */
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &action, NULL);
}
