#include "repl/pager.h"
#include "runtime/base/utf8.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROWS_KEPT = 2 }; /* for the prompt that follows */

static size_t rows_of(const char *text, size_t len, size_t columns)
{
    size_t rows = 0;

    for (size_t at = 0; at < len; rows++) {
        const char *end = memchr(text + at, '\n', len - at);
        size_t n = end ? (size_t)(end - text) - at : len - at, wide = utf8_columns(text + at, n);
        rows += wide > columns ? (wide - 1) / columns : 0;
        at += n + 1;
    }
    return rows;
}

static const char *program(void)
{
    const char *set = getenv("PAGER"), *term = getenv("TERM");

    if (!term || strcmp(term, "dumb") == 0 || !isatty(STDIN_FILENO))
        return NULL;
    if (set)
        return *set && strcmp(set, "cat") != 0 ? set : NULL;
    return "less -FRX";
}

bool pager_show(int fd, const char *text, size_t len)
{
    const char *pager = program();
    struct winsize size;
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    FILE *out;
    int status;

    if (!pager || ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 ||
        rows_of(text, len, size.ws_col) + ROWS_KEPT <= size.ws_row)
        return false;
    sigaction(SIGINT, &ignore, &before); /* Ctrl-C is the pager's now */
    out = popen(pager, "w");
    if (out) {
        fwrite(text, 1, len, out);
        if (len && text[len - 1] != '\n')
            putc('\n', out);
        status = pclose(out);
    }
    sigaction(SIGINT, &before, NULL);
    return out && !(status != -1 && WIFEXITED(status) && WEXITSTATUS(status) == 127);
}
