/* %connect_info: how another client finds this kernel. */
#include "magics/line.h"
#include "magics/magics.h"
#include "runtime/base/fs.h"
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { COMMAND_LINE = 8192, FILE_MAX = 1 << 20 };

/* The file that the kernel was started with, from the command line of this process; pushed, or NULL. */
static const char *connection_file(lua_State *L)
{
    char text[COMMAND_LINE + 1] = "";
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, COMMAND_LINE) : 0;
    bool kernel = false;

    if (fd >= 0)
        close(fd);
    for (const char *p = text; n > 0 && p < text + n; p += strlen(p) + 1) {
        kernel |= strcmp(p, "kernel") == 0;
        if (kernel && strcmp(p, "-f") == 0 && p + 3 < text + n)
            return lua_pushstring(L, p + 3);
    }
    return NULL;
}

int magic_connect_info(lua_State *L, const char *line, const char *body)
{
    const char *file = connection_file(L);
    struct buf *text = session_buf(L, FILE_MAX);
    struct err err;

    (void)line, (void)body;
    if (!file) {
        err_set(&err, LC_UNSUPPORTED, "%%connect_info: this session is no kernel: nobody can connect to it");
        err_hint(&err, "lacus kernel -f FILE is one; Jupyter starts it");
        return session_raise(L, &err);
    }
    if (fs_read(file, text, &err) != LC_OK)
        return session_raise(L, &err);
    line_print(L, "%s\n", buf_str(text));
    line_print(L,
               "Paste the above JSON into a file, and connect with:\n    $> jupyter <app> --existing <file>\n"
               "or, if you are local, with this file:\n    $> jupyter <app> --existing %s\n",
               fs_basename(file));
    return 0;
}
