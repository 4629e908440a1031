/* %timeit and %%timeit: how long one execution takes: the statement is compiled into a loop. */
#include "magics/line.h"
#include "magics/magics.h"
#include "magics/timing.h"
#include "runtime/base/clock.h"
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RUNS_MAX = 1000 };

struct timeit {
    long long loops; /* 0: as many as take 0.2 s */
    long runs;
    bool quiet;
    const char *text;
};

static long long take_count(lua_State *L, const char **at, const char *option)
{
    char *end;
    long long n = strtoll(*at, &end, 10);

    if (end == *at || n < 1 || n > INT64_C(1000000000000))
        line_error(L, "timeit", "a positive number must follow", option);
    *at = end;
    return n;
}

static void parse(lua_State *L, struct timeit *t)
{
    for (;;) {
        while (isspace((unsigned char)*t->text))
            t->text++;
        if (t->text[0] != '-' || !t->text[1] || !strchr("nrq", t->text[1]))
            return;
        char option[3] = {'-', t->text[1], '\0'};
        t->text += 2;
        while (*t->text == ' ')
            t->text++;
        if (option[1] == 'q')
            t->quiet = true;
        else if (option[1] == 'n')
            t->loops = take_count(L, &t->text, option);
        else
            t->runs = (long)take_count(L, &t->text, option);
    }
}

/* "1, 234,567": thousands with commas */
static void with_commas(long long n, char out[32])
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%lld", n), to = 0;

    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            out[to++] = ',';
        out[to++] = digits[i];
    }
    out[to] = '\0';
}

/* Leaves on the stack: function(n) that runs the text n times. An expression is a statement here. */
static void compile(lua_State *L, const char *text)
{
    bool expression;
    const char *whole;
    size_t len;

    lua_pushfstring(L, "return %s", text);
    expression = luaL_loadstring(L, lua_tostring(L, -1)) == LUA_OK;
    lua_pop(L, 2);
    whole = lua_pushfstring(L, "return function(n_) for _ = 1, n_ do %s %s\nend end",
                            expression ? "local _ =" : "", text);
    len = strlen(whole);
    if (session_run_text(L, whole, len, "%timeit") < 1)
        luaL_error(L, "nothing to time");
    lua_remove(L, -2);
}

static double run(lua_State *L, long long loops)
{
    int64_t start;

    lua_pushvalue(L, -1);
    lua_pushinteger(L, loops);
    start = clock_mono_ns();
    lua_call(L, 1, 0);
    return (double)(clock_mono_ns() - start) / 1e9;
}

static void report(lua_State *L, const struct timeit *t, const double *each)
{
    double mean = 0, spread = 0, best = each[0], worst = each[0];
    char mean_text[TIMING_TEXT], spread_text[TIMING_TEXT], loops[32];

    for (long i = 0; i < t->runs; i++) {
        mean += each[i] / (double)t->runs;
        best = fmin(best, each[i]);
        worst = fmax(worst, each[i]);
    }
    for (long i = 0; i < t->runs; i++)
        spread += (each[i] - mean) * (each[i] - mean) / (double)t->runs;
    timing_text(mean, mean_text);
    timing_text(sqrt(spread), spread_text);
    with_commas(t->loops, loops);
    if (worst > 4 * best && best > 0 && worst > 1e-6)
        line_print(
            L,
            "The slowest run took %.2f times longer than the fastest. This could mean that an intermediate "
            "result is being cached.\n",
            worst / best);
    line_print(L, "%s ± %s per loop (mean ± std. dev. of %ld run%s, %s loop%s each)\n", mean_text,
               spread_text, t->runs, t->runs == 1 ? "" : "s", loops, t->loops == 1 ? "" : "s");
}

int magic_timeit(lua_State *L, const char *line, const char *body)
{
    struct timeit t = {.runs = 7, .text = line};
    double each[RUNS_MAX] = {0};

    parse(L, &t);
    if (t.runs > RUNS_MAX)
        return line_error(L, "timeit", "too many runs", NULL);
    if (body && *body) /* the line of %%timeit is what comes before, once */
        session_run_text(L, t.text, strlen(t.text), "%timeit");
    else if (!*t.text)
        return line_error(L, "timeit", "nothing to run", NULL);
    compile(L, body && *body ? body : t.text);
    for (long long n = 1; t.loops == 0; n *= 10)
        if (run(L, n) >= 0.2 || n >= INT64_C(1000000000))
            t.loops = n;
    for (long i = 0; i < t.runs; i++)
        each[i] = run(L, t.loops) / (double)t.loops;
    if (!t.quiet)
        report(L, &t, each);
    return 0;
}
