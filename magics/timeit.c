/* %timeit and %%timeit: how long one execution takes: the statement is compiled into a loop. */
#include "magics/line.h"
#include "magics/magics.h"
#include "magics/options.h"
#include "magics/timing.h"
#include "runtime/base/clock.h"
#include "runtime/base/plural.h"
#include "runtime/session/magic.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { RUNS_MAX = 1000, DIGITS_MAX = 17 };

struct timeit {
    long long loops; /* 0: as many as take 0.2 s */
    long runs;
    int digits; /* of the times that are shown */
    const char *text;
};

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

/* Pushes what makes a statement of the text: nothing, or "local _ =" in front of an expression. What is neither is told in
 * the user's text. */
static const char *push_front(lua_State *L, const char *text, bool *magics)
{
    struct buf *lines = session_buf(L, BUF_TEXT_MAX);
    int top = lua_gettop(L);
    bool expression;

    lua_pushfstring(L, "return %s", text);
    expression = *text && luaL_loadstring(L, lua_tostring(L, -1)) == LUA_OK;
    *magics = magic_rewrite(session_of(L), "_m", text, strlen(text), lines);
    if (!expression && luaL_loadstring(L, *magics ? buf_str(lines) : text) != LUA_OK)
        session_run_text(L, text, strlen(text), "%timeit");
    lua_settop(L, top);
    return lua_pushstring(L, expression ? "local _ =" : "");
}

/* Leaves on the stack: function() that runs the set-up and gives function(n), which runs the text n times. The set-up's locals
 * are those of the text, and no variables of the session. Where there is no body the user sees the line, else the lines as
 * they are in the cell: the set-up is the first one. */
static void compile(lua_State *L, const char *before, const char *text, bool is_cell)
{
    bool magics, ignored;
    const char *front = push_front(L, before, &magics), *value = push_front(L, text, &ignored),
               *end = magics || strstr(before, "--") ? "\n" : " ", *whole, *name;

    name = is_cell && *end == ' ' ? "%timeit" : "lacus.timeit";
    whole = lua_pushfstring(
        L, "return function()%s%s %s%sreturn function(n_) for _ = 1, n_ do %s\n%s\nend end end", end, front,
        before, end, value, text);
    if (session_run_text(L, whole, strlen(whole), name) < 1)
        luaL_error(L, "nothing to time");
    lua_pushfstring(L, "%%%%timeit %s\n%s", before, text);
    session_set_source(L, name, lua_tostring(L, -1), lua_rawlen(L, -1));
    lua_pop(L, 1);
}

static double run(lua_State *L, long long loops)
{
    int64_t start;

    lua_pushvalue(L, -1);
    lua_call(L, 0, 1); /* the set-up, as IPython does before each run */
    lua_pushinteger(L, loops);
    start = clock_mono_ns();
    lua_call(L, 1, 0);
    return (double)(clock_mono_ns() - start) / 1e9;
}

struct figures {
    double mean, spread, best, worst;
};

static struct figures figures_of(const struct timeit *t, const double *each)
{
    struct figures f = {.best = each[0], .worst = each[0]};

    for (long i = 0; i < t->runs; i++) {
        f.mean += each[i] / (double)t->runs;
        f.best = fmin(f.best, each[i]);
        f.worst = fmax(f.worst, each[i]);
    }
    for (long i = 0; i < t->runs; i++)
        f.spread += (each[i] - f.mean) * (each[i] - f.mean) / (double)t->runs;
    f.spread = sqrt(f.spread);
    return f;
}

/* Pushes the line that sums it up. */
static const char *push_line(lua_State *L, const struct timeit *t, const struct figures *f)
{
    char mean[TIMING_TEXT], spread[TIMING_TEXT], loops[32];

    timing_text_digits(f->mean, t->digits, mean);
    timing_text_digits(f->spread, t->digits, spread);
    with_commas(t->loops, loops);
    return lua_pushfstring(L, "%s ± %s per loop (mean ± std. dev. of %d run%s, %s loop%s each)", mean, spread,
                           (int)t->runs, PLURAL(t->runs), loops, PLURAL(t->loops));
}

static void report(lua_State *L, const struct timeit *t, const struct figures *f)
{
    if (f->worst > 4 * f->best && f->best > 0 && f->worst > 1e-6)
        line_print(
            L,
            "The slowest run took %.2f times longer than the fastest. This could mean that an intermediate "
            "result is being cached.\n",
            f->worst / f->best);
    line_print(L, "%s\n", push_line(L, t, f));
}

static int l_text(lua_State *L) /* __tostring */
{
    lua_getfield(L, 1, "text");
    lua_pushfstring(L, "<TimeitResult : %s>", lua_tostring(L, -1));
    return 1;
}

static void set_number(lua_State *L, const char *name, double value)
{
    lua_pushnumber(L, value);
    lua_setfield(L, -2, name);
}

/* -o: IPython's TimeitResult as a table. */
static void push_result(lua_State *L, const struct timeit *t, const struct figures *f, const double *each)
{
    lua_createtable(L, 0, 9);
    set_number(L, "average", f->mean);
    set_number(L, "stdev", f->spread);
    set_number(L, "best", f->best);
    set_number(L, "worst", f->worst);
    lua_pushinteger(L, (lua_Integer)t->loops);
    lua_setfield(L, -2, "loops");
    lua_pushinteger(L, (lua_Integer)t->runs);
    lua_setfield(L, -2, "repeat");
    lua_createtable(L, (int)t->runs, 0);
    lua_createtable(L, (int)t->runs, 0);
    for (long i = 0; i < t->runs; i++) {
        lua_pushnumber(L, each[i]);
        lua_rawseti(L, -3, i + 1);
        lua_pushnumber(L, each[i] * (double)t->loops);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -3, "all_runs");
    lua_setfield(L, -2, "timings");
    push_line(L, t, f);
    lua_setfield(L, -2, "text");
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, l_text);
    lua_setfield(L, -2, "__tostring");
    lua_setmetatable(L, -2);
}

int magic_timeit(lua_State *L, const char *line, const char *body)
{
    struct options *o = options_read(L, "timeit", line, OPTIONS_REST);
    struct timeit t = {.loops = options_count(L, o, "-n", 0),
                       .runs = options_count(L, o, "-r", 7),
                       .text = o->rest,
                       .digits = (int)fmin((double)options_count(L, o, "-p", 3), DIGITS_MAX)};
    double each[RUNS_MAX] = {0};
    struct figures f;

    if (t.runs > RUNS_MAX)
        return line_error(L, "timeit", "too many runs", NULL);
    if (body && *body) /* the line of %%timeit is what comes before */
        compile(L, t.text, body, true);
    else if (*t.text)
        compile(L, "", t.text, false);
    else
        return line_error(L, "timeit", "nothing to run", NULL);
    for (long long n = 1; t.loops == 0; n *= 10)
        if (run(L, n) >= 0.2 || n >= INT64_C(1000000000))
            t.loops = n;
    for (long i = 0; i < t.runs; i++)
        each[i] = run(L, t.loops) / (double)t.loops;
    f = figures_of(&t, each);
    if (!options_has(o, "-q"))
        report(L, &t, &f);
    if (!options_has(o, "-o"))
        return 0;
    push_result(L, &t, &f, each);
    return 1;
}
