/* debug_test.c: the debugger without Jupyter: executable lines against what Lua says, hooks that come and go, the prompt of
 * %debug, %prun and %memit. */
#include "magics/magics.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/session/debug.h"
#include "runtime/session/lines.h"
#include "runtime/session/profile.h"
#include "runtime/session/sanitize.h"
#include "runtime/session/session_lua.h"
#include "tests/support/recorder.h"
#include "tests/support/unit.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What `debug.gethook() == nil` says while nobody asks for a hook. */
#define UNHOOKED (SANITIZE_THREADS ? "false" : "true")

struct place {
    struct recorder recorder;
    struct session *session;
    char *out; /* owned: what the last cell printed */
};

static int make_place(void **state)
{
    struct place *p = mem_zalloc(sizeof *p);
    struct session_options options = {.magics = lacus_magics};
    struct err err;

    options.frontend = recorder_frontend(&p->recorder);
    assert_int_equal(session_open(&options, &p->session, &err), LC_OK);
    *state = p;
    return 0;
}

static int remove_place(void **state)
{
    struct place *p = *state;

    session_close(p->session);
    recorder_release(&p->recorder);
    free(p->out);
    mem_free(p);
    return 0;
}

/* Runs a cell; answers are what is typed at its prompts. Returns what was printed. */
static const char *run(struct place *p, const char *cell, const char *const *answers, enum cell_status want)
{
    struct cell_request request = {
        .code = cell, .len = strlen(cell), .store_history = true, .allow_stdin = true};
    struct cell_reply reply;
    struct err err;

    recorder_clear(&p->recorder);
    p->recorder.answers = answers;
    p->recorder.answered = 0;
    assert_int_equal(session_execute(p->session, &request, &reply, &err), LC_OK);
    if (reply.status != want)
        fail_msg("%s: %s: %s", cell, reply.ename ? reply.ename : "no error",
                 reply.evalue ? reply.evalue : "");
    cell_reply_release(&reply);
    free(p->out);
    p->out = recorder_text(&p->recorder, STREAM_STDOUT);
    return p->out;
}

static void has(const char *text, const char *part)
{
    if (!text || !strstr(text, part))
        fail_msg("'%s' is not in:\n%s", part, text ? text : "nothing");
}

/* ---- lines ---- */

/* The lines that Lua itself gives, of a function and of those it returns in a list. */
static void check_against_lua(const char *text)
{
    lua_State *L = luaL_newstate();
    struct lines lines;
    struct err err;

    luaL_openlibs(L);
    assert_int_equal(lines_of(text, strlen(text), &lines, &err), LC_OK);
    assert_int_equal(luaL_loadstring(L, text), LUA_OK);
    lua_Debug ar;
    lua_getinfo(L, ">L", &ar);
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        int line = (int)lua_tointeger(L, -2), last = 1;
        for (const char *p = text; (p = strchr(p, '\n')) != NULL; p++)
            last += p[1] != '\0';
        if (line != last && lines_next(&lines, line) != line)
            fail_msg("line %d of:\n%s", line, text);
    }
    lines_release(&lines);
    lua_close(L);
}

static void test_lines(void **state)
{
    static const char *const texts[] = {
        "local a = 1\n\nlocal b = a\nprint(a,\n b)\n",
        "for i = 1, 3 do\n local x = i\n if x > 1 then\n  x = 2\n else\n  x = 3\n end\nend\n",
        "local function f(a)\n  return a\nend\nlocal t = {\n 1,\n f(2),\n}\nwhile false do end\n",
        "repeat\n local x <close> = nil\nuntil true\ngoto e\n::e::\nreturn 1\n",
    };
    struct buf many = BUF_INIT(1 << 20);
    struct lines lines;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        check_against_lua(texts[i]);
    for (int i = 0; i < 3000; i++) /* instructions whose line is in Lua's list of absolute ones */
        buf_printf(&many, "x%d = %d%s", i % 7, i, i % 50 == 0 ? "\n\n\n\n" : i % 3 ? " " : "\n");
    check_against_lua(buf_str(&many));
    buf_release(&many);
    /* in nested functions; a last expression; magics */
    assert_int_equal(lines_of("local function f()\n\n  return function()\n    return 1\n  end\nend\n\nf()",
                              67, &lines, NULL),
                     LC_OK);
    assert_int_equal(lines_next(&lines, 1), 4); /* a closure is made at its end */
    assert_int_equal(lines_next(&lines, 5), 5);
    assert_int_equal(lines_next(&lines, 7), 8);
    assert_int_equal(lines_next(&lines, 9), 0);
    lines_release(&lines);
    assert_int_equal(lines_of("%%time\n\nlocal a = 1\na + 1", 25, &lines, NULL), LC_OK);
    assert_int_equal(lines_next(&lines, 1), 3);
    assert_int_equal(lines.shift, 1);
    lines_release(&lines);
    assert_int_equal(lines_of("%pwd\nlocal a = 1", 16, &lines, NULL), LC_OK);
    assert_int_equal(lines_next(&lines, 2), 2);
    lines_release(&lines);
    assert_int_equal(lines_of("%%sql\nselect 1", 14, &lines, NULL), LC_SYNTAX);
    assert_int_equal(lines_of("local = 1", 9, &lines, NULL), LC_SYNTAX);
}

static void test_hash(void **state)
{
    (void)state; /* of ipykernel's own implementation */
    assert_int_equal(lines_murmur2("", 0, 0), 0);
    assert_int_equal(lines_murmur2("print(1)", 8, 0xC70F6907u), lines_murmur2("print(1)xyz", 8, 0xC70F6907u));
    assert_int_not_equal(lines_murmur2("print(1)", 8, 0xC70F6907u),
                         lines_murmur2("print(2)", 8, 0xC70F6907u));
}

/* ---- nothing is hooked ---- */
static void test_hooks_come_and_go(void **state)
{
    struct place *p = *state;
    struct debug_front front = {.prefix = "cell:", .suffix = ""};
    struct debug *d;
    json_t *list = json_pack("[{s:i}]", "line", 1), *none = json_array();

    assert_int_equal(debug_new(&front, &d, NULL), LC_OK);
    debug_bind(d, p->session);
    debug_attach(d, true);
    has(run(p, "print(debug.gethook() == nil)", NULL, CELL_OK), UNHOOKED);
    json_decref(debug_set_breakpoints(d, "elsewhere.lua", NULL, list, NULL));
    has(run(p, "print(debug.gethook() == nil)", NULL, CELL_OK), "false");
    json_decref(debug_set_breakpoints(d, "elsewhere.lua", NULL, none, NULL));
    has(run(p,
            "print(debug.gethook() == nil, coroutine.wrap(function() return debug.gethook() == nil end)())",
            NULL, CELL_OK),
        SANITIZE_THREADS ? "false\tfalse" : "true\ttrue");
    debug_unbind(d);
    json_decref(
        debug_set_breakpoints(d, "elsewhere.lua", NULL, list, NULL)); /* before the session is there */
    debug_bind(d, p->session);
    has(run(p, "print(debug.gethook() == nil)", NULL, CELL_OK), "false");
    debug_unbind(d);
    debug_free(d);
    json_decref(list);
    json_decref(none);
}

static void test_pcall_is_luas(void **state)
{
    struct place *p = *state;

    has(run(p,
            "print(pcall(error, 'x')) print(pcall(function(...) return ... end, 1, nil, 3)) "
            "print(select('#', pcall(error)))",
            NULL, CELL_OK),
        "false\tx\ntrue\t1\tnil\t3\n2");
    has(run(p,
            "print(xpcall(function(...) return ... end, print, 1, nil)) print(xpcall(error, function(e) "
            "return e .. '!' end, 'x'))",
            NULL, CELL_OK),
        "true\t1\tnil\nfalse\tx!");
    has(run(p,
            "local co = coroutine.wrap(function() return pcall(function() coroutine.yield(1) error('y', 0) "
            "end) end) print(co()) print(co())",
            NULL, CELL_OK),
        "1\nfalse\ty");
    has(run(p, "print(pcall(pcall)) print(pcall(xpcall, print))", NULL, CELL_OK),
        "false\tbad argument #1 to 'pcall' (value expected)");
}

/* ---- a client on another thread ---- */
struct client {
    pthread_t id;
    struct debug *d;
    atomic_bool over;
    atomic_int stops, answered;
    char path[64];
};

static void count_stop(void *self, const char *event, json_t *body)
{
    struct client *c = self;

    (void)body;
    if (strcmp(event, "stopped") == 0)
        atomic_fetch_add(&c->stops, 1);
}

static void count_answer(struct debug_job *job)
{
    struct client *c = job->self;

    json_decref(job->body);
    mem_free(job);
    atomic_fetch_add(&c->answered, 1);
}

/* Sets and takes away breakpoints, pauses, looks around and goes on, in no order that makes sense. */
static void *meddle(void *arg)
{
    static const char *const commands[] = {"threads", "stackTrace", "inspectVariables", "scopes",
                                           "variables"};
    struct client *c = arg;
    unsigned seed = 7;

    for (int i = 0; !atomic_load(&c->over); i++) {
        json_t *list = rand_r(&seed) % 2 ? json_pack("[{s:i}, {s:i, s:s}]", "line", 3, "line", 4, "condition",
                                                     "i % 1000 == 0")
                                         : json_array();
        struct debug_job *job = mem_zalloc(sizeof *job);
        switch (rand_r(&seed) % 4) {
        case 0:
            json_decref(debug_set_breakpoints(c->d, c->path, NULL, list, NULL));
            break;
        case 1:
            debug_pause(c->d);
            break;
        default:
            *job =
                (struct debug_job){.command = commands[rand_r(&seed) % 5], .done = count_answer, .self = c};
            debug_post(c->d, job);
            job = NULL;
        }
        usleep((useconds_t)(rand_r(&seed) % 300));
        debug_resume(c->d, DEBUG_CONTINUE + (unsigned)rand_r(&seed) % 4);
        mem_free(job);
        json_decref(list);
    }
    debug_attach(c->d, false);
    return NULL;
}

static void test_another_thread_meddles(void **state)
{
    static const char cell[] =
        "local sum = 0\nfor i = 1, 30000 do\n  sum = sum + i\n  x = pcall(string.rep, 'x', 2)\nend\n"
        "co = coroutine.wrap(function() for i = 1, 300 do coroutine.yield(i) end end)\nfor i = 1, 300 do\n  "
        "co()\nend\nprint(sum)";
    struct place *p = *state;
    struct client c = {.over = false};
    struct debug_front front = {.prefix = "cell:", .suffix = "", .self = &c, .event = count_stop};

    assert_int_equal(debug_new(&front, &c.d, NULL), LC_OK);
    debug_cell_path(c.d, cell, sizeof cell - 1, c.path, sizeof c.path);
    debug_bind(c.d, p->session);
    debug_attach(c.d, true);
    alarm(60);
    pthread_create(&c.id, NULL, meddle, &c);
    for (int i = 0; i < 8; i++)
        has(run(p, cell, NULL, CELL_OK), "450015000");
    atomic_store(&c.over, true);
    pthread_join(c.id, NULL);
    has(run(p, "print(debug.gethook() == nil)", NULL, CELL_OK), UNHOOKED);
    alarm(0);
    assert_true(atomic_load(&c.stops) > 5 && atomic_load(&c.answered) > 5);
    debug_unbind(c.d);
    debug_free(c.d);
}

/* ---- a cell in the middle of another one that lets others have their turn ---- */
static int l_leave(lua_State *L) /* as soon as this returns: at the first instruction of the next line */
{
    session_serve(session_of(L));
    return 0;
}

static int l_nest(lua_State *L) /* (text) → how often the cell let others have a turn, did it end well */
{
    struct cell_request cell = {
        .code = luaL_checkstring(L, 1), .len = lua_rawlen(L, 1), .store_history = true};
    struct cell_reply reply;
    struct session_task *task;
    int left = 0;

    assert_int_equal(session_task_new(session_of(L), &cell, &reply, &task, NULL), LC_OK);
    while (!session_task_step(task))
        left++;
    assert_int_equal(session_task_free(task, NULL), LC_OK);
    lua_pushinteger(L, left);
    lua_pushboolean(L, reply.status == CELL_OK);
    cell_reply_release(&reply);
    return 2;
}

static int l_set(lua_State *L) /* a breakpoint while the cell runs */
{
    struct client *c = lua_touserdata(L, lua_upvalueindex(1));
    json_t *list = json_pack("[{s:i, s:s}]", "line", 4, "logMessage", "here");

    json_decref(debug_set_breakpoints(c->d, c->path, NULL, list, NULL));
    json_decref(list);
    return 0;
}

/* The cell was left long before, when nobody looked at lines; line 4 has one instruction. */
static void test_no_line_is_lost_after_a_cell_was_left(void **state)
{
    static const char inner[] = "local n = 0\nleave()\nset()\nn = 1\nprint(n)";
    struct place *p = *state;
    struct client c = {.over = false};
    struct debug_front front = {.prefix = "cell:", .suffix = "", .self = &c, .event = count_stop};
    char outer[200];

    lua_register(session_lua(p->session), "leave", l_leave);
    lua_register(session_lua(p->session), "nest", l_nest);
    lua_pushlightuserdata(session_lua(p->session), &c);
    lua_pushcclosure(session_lua(p->session), l_set, 1);
    lua_setglobal(session_lua(p->session), "set");
    assert_int_equal(debug_new(&front, &c.d, NULL), LC_OK);
    debug_cell_path(c.d, inner, sizeof inner - 1, c.path, sizeof c.path);
    debug_bind(c.d, p->session);
    debug_attach(c.d, true);
    snprintf(outer, sizeof outer, "print(nest[[%s]])", inner);
    assert_string_equal(run(p, outer, NULL, CELL_OK), "here\n1\n1\ttrue\n");
    debug_unbind(c.d);
    debug_free(c.d);
}

static void test_no_line_is_lost_where_a_cell_is_left(void **state)
{
    static const char inner[] =
        "local n = 0\nfor i = 1, 300 do\n  leave()\n  n = i\n  leave()\n  n = n + 1\nend\nprint(n)";
    struct place *p = *state;
    struct client c = {.over = false};
    struct debug_front front = {.prefix = "cell:", .suffix = "", .self = &c, .event = count_stop};
    json_t *list = json_pack("[{s:i, s:s}]", "line", 4, "logMessage", "at {i}");
    const char *out;
    char outer[200];
    int n = 0;

    lua_register(session_lua(p->session), "leave", l_leave);
    lua_register(session_lua(p->session), "nest", l_nest);
    assert_int_equal(debug_new(&front, &c.d, NULL), LC_OK);
    debug_cell_path(c.d, inner, sizeof inner - 1, c.path, sizeof c.path);
    debug_bind(c.d, p->session);
    debug_attach(c.d, true);
    json_decref(debug_set_breakpoints(c.d, c.path, NULL, list, NULL));
    json_decref(list);
    snprintf(outer, sizeof outer, "print(nest[[%s]])", inner);
    alarm(60);
    out = run(p, outer, NULL, CELL_OK);
    alarm(0);
    for (const char *at = out; (at = strstr(at, "at ")) != NULL; at++)
        n++;
    assert_int_equal(n, 300);
    has(out, "at 300\n301\n");
    has(out,
        "\n300\ttrue\n"); /* left where no message was to be made; that goes on, too, and serves others */
    debug_unbind(c.d);
    debug_free(c.d);
}

/* ---- %debug ---- */
static void test_after_an_error(void **state)
{
    struct place *p = *state;
    static const char *const look[] = {"where", "p a, k",   "up",   "locals",       "down 1", "x = 7", "p x",
                                       "next",  "upvalues", "list", "nosuch.field", "q",      NULL};
    const char *out;

    has(run(p, "%debug", NULL, CELL_OK), "no cell has ended with an error");
    run(p,
        "local k = 5\nlocal function bad(a)\n  local x = a + k\n  return x.y.z\nend\nlocal function mid(t)\n "
        " bad(t[1])\n  return 1\nend\nmid{37}",
        NULL, CELL_ERROR);
    out = run(p, "%debug", look, CELL_OK);
    has(out, ">  0  bad  (Cell In[2]:4)");
    has(out, "   1  mid  (Cell In[2]:7)");
    has(out, "   2  Cell In[2]  (Cell In[2]:10)");
    has(out, "->    4    return x.y.z");
    has(out, "37, 5");
    has(out, "t = {37}");
    has(out, "\n7\n");
    has(out, "the error is over");
    has(out, "k = 5");
    has(out, "      2  local function bad(a)");
    has(out, "attempt to index");
    run(p, "co = coroutine.wrap(function() local inside = 11 error('from within') end)\nco()", NULL,
        CELL_ERROR);
    out = run(p, "%debug", (const char *const[]){"p inside", "w", "q", NULL}, CELL_OK);
    has(out, "\n11\n");
    has(out, "(Cell In[4]:2)");
}

static void test_step_by_step(void **state)
{
    struct place *p = *state;
    static const char *const steps[] = {"b 4", "s", "n", "", "p y", "y = y * 100", "w", "r", "c", NULL};
    static const char *const leave[] = {"s", "q", NULL};
    const char *out;

    run(p, "function twice(x)\n  local y = x + x\n  y = y + 1\n  return y\nend", NULL, CELL_OK);
    out = run(p, "%%debug\nlocal r = twice(4)\nprint('r is', r)", steps, CELL_OK);
    has(out, "->    2  local r = twice(4)");
    has(out, "twice  (Cell In[1]:2)");
    has(out, "->    3    y = y + 1");
    has(out, "->    4    return y");
    has(out, "\n9\n");
    has(out, "r is\t900");
    run(p, "%debug twice(1)", leave, CELL_ERROR); /* ended by q */
    has(run(p, "print(debug.gethook() == nil, debug.sethook)", NULL, CELL_OK), UNHOOKED);
    out = run(p, "%%debug\nfor i = 1, 9 do\n  seen = i\nend",
              (const char *const[]){"b 4, i == 6", "b 3, i == 5", "c", "p i", "b", "clear 3", "c", NULL},
              CELL_OK);
    has(out, "\n5\n");
    has(out, "if i == 5");
    run(p, "breakpoint() print('went on')", NULL, CELL_OK); /* nobody debugs */
    out = run(p, "%%debug\nlocal a = 3\nlocal function f(x)\n  breakpoint()\n  return x\nend\nf(8)",
              (const char *const[]){"c", "p x, a", "c", NULL}, CELL_OK);
    has(out, "f  (%debug:5)");
    has(out, "\n8, 3\n");
    out = run(p, "%debug (function(t) return t.x.y end){x = false}",
              (const char *const[]){"c", "p t", "c", NULL}, CELL_ERROR);
    has(out, "error: %debug:1: attempt to index a boolean value (field 'x')");
    has(out, "\n{x = false}\n");
}

/* Asking for frames of a deep stack one by one would take minutes. */
static void test_deep_stacks(void **state)
{
    struct place *p = *state;

    alarm(20);
    run(p,
        "local function deep(n) if n == 0 then error('deep') end return 1 + deep(n - 1) "
        "end\ncoroutine.wrap(deep)(150000)",
        NULL, CELL_ERROR);
    has(run(p, "%debug", (const char *const[]){"p n", "up 3", "p n", "q", NULL}, CELL_OK), "\n3\n");
    alarm(0);
}

static void test_a_prompt_without_anybody(void **state)
{
    struct place *p = *state;

    run(p, "error('x')", NULL, CELL_ERROR);
    run(p, "%debug", (const char *const[]){NULL}, CELL_OK);
    has(run(p, "print(1)", NULL, CELL_OK), "1");
}

/* ---- %prun and %memit ---- */
#define BUSY                                                                                                 \
    "local function spin(n) local x = 0 for i = 1, n do x = x + i % 7 end return x end\n"                    \
    "local function often() for i = 1, 30 do spin(1e6) end end\nlocal function once() spin(1e6) "            \
    "end\noften() once()"

static void test_profile(void **state)
{
    struct place *p = *state;
    char dir[] = "/tmp/lacus-test-XXXXXX", cell[512];
    struct buf svg = BUF_INIT(1 << 20);
    struct err err;
    const char *out;
    double share = 0;

    assert_non_null(mkdtemp(dir));
    snprintf(cell, sizeof cell, "%%%%prun -o %s/p.svg\n%s", dir, BUSY);
    out = run(p, cell, NULL, CELL_OK);
    has(out, "samples in");
    has(out, "spin (%prun:1)");
    out = strstr(out, "function\n");
    assert_non_null(out);
    assert_int_equal(sscanf(out, "function\n%lf%%", &share), 1); /* the first line is spin's */
    has(out + strlen("function"), "spin");
    assert_true(share > 80);
    snprintf(cell, sizeof cell, "%s/p.svg", dir);
    assert_int_equal(fs_read(cell, &svg, &err), LC_OK);
    has(buf_str(&svg), "<svg xmlns");
    has(buf_str(&svg), "often (%prun:2)");
    buf_release(&svg);
    assert_int_equal(fs_remove_tree(dir, &err), LC_OK);
    /* C functions that take long have their time */
    out = run(p,
              "%%prun\nlocal t = {} for i = 1, 3e5 do t[i] = (i * 7919) % 100003 end\nfor i = 1, 3 do "
              "table.sort(t) end table.concat(t, ' ')",
              NULL, CELL_OK);
    has(out, "sort [C]");
    has(run(p,
            "%prun (function(f) return f(f, 100000) end)(function(f, n) if n == 0 then for i = 1, 3e6 do end "
            "return 0 end return 1 + f(f, n - 1) end)",
            NULL, CELL_OK),
        "samples");
    run(p, "%prun error('x')", NULL, CELL_ERROR);
    has(run(p, "print(debug.gethook() == nil)", NULL, CELL_OK), UNHOOKED);
    has(run(p, "%prun -q 1 + 1", NULL, CELL_OK), "");
    has(run(p, "%prun -s cumtime -l 1 (function() for i = 1, 3e6 do end end)()", NULL, CELL_OK), "%prun");
    run(p, "%prun -s calls 1 + 1", NULL, CELL_ERROR);
}

static void test_memory(void **state)
{
    struct place *p = *state;
    double peak = 0, increment = 0, kept = 0;
    const char *out = run(p, "%memit local t = {} for i = 1, 4e5 do t[i] = {i} end", NULL, CELL_OK);

    assert_int_equal(sscanf(out, "peak memory: %lf MiB, increment: %lf MiB (Lua values kept: %lf MiB)", &peak,
                            &increment, &kept),
                     3);
    assert_true(peak > 20 && increment > 15 && increment <= peak);
    out = run(p, "%memit held = ('x'):rep(8 << 20)", NULL, CELL_OK);
    assert_int_equal(sscanf(out, "peak memory: %lf MiB, increment: %lf MiB (Lua values kept: %lf MiB)", &peak,
                            &increment, &kept),
                     3);
    assert_true(kept > 7.9 && kept < 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_hash),
        cmocka_unit_test_setup_teardown(test_hooks_come_and_go, make_place, remove_place),
        cmocka_unit_test_setup_teardown(test_another_thread_meddles, make_place, remove_place),
        cmocka_unit_test_setup_teardown(test_no_line_is_lost_after_a_cell_was_left, make_place, remove_place),
        cmocka_unit_test_setup_teardown(test_no_line_is_lost_where_a_cell_is_left, make_place, remove_place),
        cmocka_unit_test_setup_teardown(test_pcall_is_luas, make_place, remove_place),
        cmocka_unit_test_setup_teardown(test_after_an_error, make_place, remove_place),
        cmocka_unit_test_setup_teardown(test_step_by_step, make_place, remove_place),
        cmocka_unit_test_setup_teardown(test_deep_stacks, make_place, remove_place),
        cmocka_unit_test_setup_teardown(test_a_prompt_without_anybody, make_place, remove_place),
        cmocka_unit_test_setup_teardown(test_profile, make_place, remove_place),
        cmocka_unit_test_setup_teardown(test_memory, make_place, remove_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
