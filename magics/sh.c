/* %sh, %%sh, %%bash and %ls. */
#include "magics/line.h"
#include "magics/magics.h"
#include "magics/shell.h"
#include "runtime/base/process.h"
#include <string.h>

static void show(void *arg, int stream, const char *data, size_t len)
{
    session_print(arg, stream == 2 ? STREAM_STDERR : STREAM_STDOUT, data, len);
}

int shell_run(lua_State *L, const char *const *argv, const char *input, bool must_succeed)
{
    struct session *s = session_of(L);
    struct err err;
    int status = 0;

    if (process_run(session_ctx(s), argv, input, show, s, &status, &err) != LC_OK)
        session_raise(L, &err);
    if (status != 0 && must_succeed) {
        err_set(&err, LC_RUNTIME, "'%s' ended with exit status %d", argv[0], status);
        session_raise(L, &err);
    }
    return status;
}

static int run(lua_State *L, const char *shell, const char *line, const char *body)
{
    const char *text = body && *body ? body : line;
    const char *argv[] = {shell, "-c", text, NULL};

    if (*text)
        shell_run(L, argv, NULL, true);
    return 0;
}

int magic_sh(lua_State *L, const char *line, const char *body)
{
    return run(L, "sh", line, body);
}

int magic_bash(lua_State *L, const char *line, const char *body)
{
    return run(L, "bash", line, body);
}

int magic_ls(lua_State *L, const char *line, const char *body)
{
    const char *command = lua_pushfstring(L, "ls -F %s", line);
    const char *argv[] = {"sh", "-c", command, NULL};

    (void)body;
    shell_run(L, argv, NULL, true);
    return 0;
}
