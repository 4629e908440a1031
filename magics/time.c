/* %time and %%time: once, with processor and wall time. */
#include "magics/line.h"
#include "magics/magics.h"
#include "magics/options.h"
#include "magics/timing.h"
#include "runtime/base/clock.h"
#include <string.h>
#include <sys/resource.h>

static double seconds_of(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void report(lua_State *L, const struct rusage *before, const struct rusage *after, double wall)
{
    double user = seconds_of(after->ru_utime) - seconds_of(before->ru_utime);
    double sys = seconds_of(after->ru_stime) - seconds_of(before->ru_stime);
    char user_text[TIMING_TEXT], sys_text[TIMING_TEXT], total[TIMING_TEXT], wall_text[TIMING_TEXT];

    timing_text(user, user_text);
    timing_text(sys, sys_text);
    timing_text(user + sys, total);
    timing_text(wall, wall_text);
    line_print(L, "CPU times: user %s, sys: %s, total: %s\nWall time: %s\n", user_text, sys_text, total,
               wall_text);
}

int magic_time(lua_State *L, const char *line, const char *body)
{
    const struct options *o = options_read(L, "time", line, OPTIONS_REST);
    const char *text = body && *body ? body : o->rest;
    struct rusage before, after;
    int64_t start;
    int n;

    if (!*text)
        return line_error(L, "time", "nothing to run", NULL);
    getrusage(RUSAGE_SELF, &before);
    start = clock_mono_ns();
    n = session_run_text(L, text, strlen(text), "%time");
    start = clock_mono_ns() - start;
    getrusage(RUSAGE_SELF, &after);
    report(L, &before, &after, (double)start / 1e9);
    return n;
}
