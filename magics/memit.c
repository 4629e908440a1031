/* %memit and %%memit: how much memory a statement takes while it runs, and how much it keeps. */
#include "magics/line.h"
#include "magics/magics.h"
#include "magics/options.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* KiB of a field of /proc/self/status; -1 unknown. */
static long status_field(const char *name)
{
    char text[4096];
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    const char *at;

    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return -1;
    text[n] = '\0';
    at = strstr(text, name);
    return at ? strtol(at + strlen(name), NULL, 10) : -1;
}

/* From now on the peak counts anew. False: this kernel does not do that. */
static bool reset_peak(void)
{
    int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && write(fd, "5", 1) == 1;

    if (fd >= 0)
        close(fd);
    return ok;
}

static double lua_kilobytes(lua_State *L)
{
    return (double)lua_gc(L, LUA_GCCOUNT) + (double)lua_gc(L, LUA_GCCOUNTB) / 1024;
}

struct measure {
    double peak, increment, kept; /* MiB */
};

static struct measure measure(lua_State *L, const char *text)
{
    struct measure m = {0};
    int top = lua_gettop(L);
    double lua_before;
    long before, peak;

    lua_gc(L, LUA_GCCOLLECT);
    lua_before = lua_kilobytes(L);
    reset_peak();
    before = status_field("VmRSS:");
    session_run_text(L, text, strlen(text), "%memit");
    peak = status_field("VmHWM:");
    lua_settop(L, top);
    lua_gc(L, LUA_GCCOLLECT);
    m.peak = (double)peak / 1024;
    m.increment = peak > before ? (double)(peak - before) / 1024 : 0;
    m.kept = (lua_kilobytes(L) - lua_before) / 1024;
    return m;
}

int magic_memit(lua_State *L, const char *line, const char *body)
{
    struct options *o = options_read(L, "memit", line, OPTIONS_REST);
    const char *text = body && *body ? body : o->rest;
    long runs = options_count(L, o, "-r", 1);
    struct measure best = {0};

    if (!*text)
        return line_error(L, "memit", "nothing to run", NULL);
    for (long i = 0; i < runs && i < 1000; i++) {
        struct measure m = measure(L, text);
        if (m.peak > best.peak)
            best = m;
    }
    line_print(L, "peak memory: %.2f MiB, increment: %.2f MiB (Lua values kept: %.2f MiB)\n", best.peak,
               best.increment, best.kept > 0.005 ? best.kept : 0.0);
    return 0;
}
