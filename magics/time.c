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

struct timed {
    struct rusage before;
    int64_t start;
    bool running, ended; /* ended: well */
};

/* However the text has ended, if it began: IPython says how long an error took, too. */
static int l_close(lua_State *L)
{
    struct timed *t = lua_touserdata(L, 1);
    struct rusage after;

    if (!t->running)
        return 0;
    t->running = false;
    if (!t->ended && !session_has_run(session_of(L)))
        return 0;
    getrusage(RUSAGE_SELF, &after);
    report(L, &t->before, &after, (double)(clock_mono_ns() - t->start) / 1e9);
    return 0;
}

int magic_time(lua_State *L, const char *line, const char *body)
{
    const struct options *o = options_read(L, "time", line, OPTIONS_REST);
    const char *text = body && *body ? body : o->rest;
    struct timed *t;
    int slot, n;

    if (!*text)
        return line_error(L, "time", "nothing to run", NULL);
    t = session_slot(L, sizeof *t, "lacus.magics.time", l_close);
    slot = lua_gettop(L);
    lua_toclose(L, slot);
    getrusage(RUSAGE_SELF, &t->before);
    t->running = true;
    t->start = clock_mono_ns();
    n = session_run_text(L, text, strlen(text), "%time");
    t->ended = true;
    lua_closeslot(L, slot);
    return n;
}
