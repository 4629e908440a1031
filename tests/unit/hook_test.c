/* hook_test.c: hostile cells are interrupted, within time, and the session is whole afterwards. */
#include "runtime/base/clock.h"
#include "runtime/session/sanitize.h"
#include "runtime/session/session_int.h"
#include "tests/support/recorder.h"
#include "tests/support/unit.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const hostile[] = {
    "while true do end",
    "while true do pcall(function() while true do end end) end",
    "local function f() while true do pcall(f) end end f()",
    "while true do xpcall(function() while true do end end, function(e) while true do end end) end",
    "xpcall(error, function() while true do end end)",
    "local co = coroutine.wrap(function() while true do pcall(function() while true do end end) end end) "
    "while "
    "true do pcall(co) end",
    "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
    "local function deep(n) if n == 0 then while true do end end coroutine.wrap(deep)(n - 1) end pcall(deep, "
    "50)",
    "old()", /* a coroutine made before the request */
    "while true do pcall(table.sort, {3, 2, 1}, function() while true do end end) end",
    "while true do pcall(string.gsub, 'abc', '.', function() while true do end end) end",
    "while true do pcall(tostring, setmetatable({}, {__tostring = function() while true do end end})) end",
    "while true do xpcall(table.sort, function() while true do end end, {3, 2, 1}, function() while true do "
    "end "
    "end) end",
    "local x <close> = setmetatable({}, {__close = function() while true do pcall(function() while true do "
    "end "
    "end) end end}) while true do end",
    "local x <close> = setmetatable({}, {__close = function() while true do end end}) table.sort({2, 1}, "
    "function() while true do end end)",
    "coroutine.wrap(function() local x <close> = setmetatable({}, {__close = function() while true do end "
    "end}) "
    "while true do end end)()",
    "setmetatable({}, {__gc = function() while true do end end}) collectgarbage() while true do end",
    "setmetatable({}, {__gc = function() while true do pcall(function() while true do end end) end end}) "
    "collectgarbage()",
    "local t = setmetatable({}, {__index = function(t, k) while true do end end}) while true do "
    "pcall(function() "
    "return t.x end) end",
    "for k in function() while true do end end do end",
    "load(function() while true do end end)",
    "goto a ::a:: goto a",
    /* in our own code: results, displays, errors, magics */
    "setmetatable({}, {__tostring = function() while true do end end})",
    "display(setmetatable({}, {__mimebundle = function() while true do end end}))",
    "error(setmetatable({}, {__tostring = function() while true do end end}))",
    "sleep(100)",
    "while true do pcall(sleep, 100) end",
    "!sleep 100",
    "x = !sleep 100",
    /* C functions that run or block for long */
    "while true do pcall(os.execute, 'sleep 10') end",
    "os.execute('trap : INT; while :; do sleep 10; done')", /* ignores SIGINT: killed after half a second */
    "io.popen('sleep 100'):read('a')",
    "for l in io.popen('sleep 100'):lines() do end",
    "io.popen('sleep 100'):close()",
    "return (('a'):rep(3000)):find('.-.-.-.-b')",
    "return (('a'):rep(3000)):match('(a*)(a*)(a*)b')",
    "return (('a'):rep(3000)):gsub('a*a*a*b', function() end)",
    "for w in (('a'):rep(3000)):gmatch('a*a*a*b') do end",
    "return (('a'):rep(40)):find(('a?'):rep(40) .. 'b')",
    "while true do pcall(string.find, ('a'):rep(3000), '.-.-.-.-b') end",
    "table.sort({1, 2}, function() return ('a'):rep(3000):find('.-.-.-.-b') end)",
    "while true do pcall(string.rep, 'x', 1 << 28) end",
};

/* Inside a C function ThreadSanitizer lets no signal in. */
static bool withheld(const char *text)
{
    return SANITIZE_THREADS && strstr(text, "rep(");
}

struct interrupter {
    pthread_t id;
    struct session *session;
    long delay_ns;
    int64_t sent;
};

static void *interrupt_soon(void *arg)
{
    struct interrupter *i = arg;

    while (!atomic_load(&i->session->busy)) /* one that comes before the cell has begun is for no cell */
        sched_yield();
    nanosleep(&(struct timespec){.tv_nsec = i->delay_ns}, NULL);
    i->sent = clock_mono_ns();
    session_interrupt(i->session);
    return NULL;
}

/* Milliseconds from the interrupt to the end of the cell. */
static double interrupted_after(struct recorder *r, const char *text, struct cell_reply *reply)
{
    struct interrupter i = {.session = r->session, .delay_ns = 20000000};
    int64_t end;

    if (getenv("SHOW"))
        print_message("%s\n", text);
    alarm(8); /* ends the program: an interrupt did not arrive */
    session_expect(r->session);
    pthread_create(&i.id, NULL, interrupt_soon, &i);
    recorder_clear(r);
    recorder_run(r, r->session, text, reply);
    end = clock_mono_ns();
    pthread_join(i.id, NULL);
    alarm(0);
    return (double)(end - i.sent) / 1e6;
}

static const char *result_of(struct recorder *r, const char *text)
{
    struct cell_reply reply;

    recorder_clear(r);
    recorder_run(r, r->session, text, &reply);
    cell_reply_release(&reply);
    return recorder_result(r);
}

/* How late an interrupt may be; ThreadSanitizer lets it come when it likes, ten times later. */
enum { LATEST_MS = SANITIZE_THREADS ? 9000 : 900 };

static void hostile_cells_end(void **state)
{
    struct recorder *r = *state;

    assert_string_equal(
        result_of(r, "old = coroutine.wrap(function() while true do pcall(function() while true do "
                     "end end) end end); 'made'"),
        "made");
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        struct cell_reply reply;

        if (withheld(hostile[i]))
            continue;
        double ms = interrupted_after(r, hostile[i], &reply);
        bool fine = ms < LATEST_MS && reply.status == CELL_ERROR &&
                    (reply.interrupted || strstr(hostile[i], "error(set"));
        if (!fine)
            print_error("%s\n  %s %s after %.0f ms\n", hostile[i], reply.ename, reply.evalue, ms);
        assert_true(fine);
        cell_reply_release(&reply);
        assert_string_equal(result_of(r, "local n = 0 for i = 1, 1000 do n = n + i end n"), "500500");
    }
}

static void an_interrupt_says_where(void **state)
{
    struct recorder *r = *state;
    struct cell_reply reply;

    interrupted_after(r, "local n = 0\nwhile true do\n  n = n + 1\nend", &reply);
    assert_string_equal(reply.ename, "KeyboardInterrupt");
    assert_non_null(strstr(json_string_value(json_array_get(reply.traceback, 0)), "n = n + 1"));
    cell_reply_release(&reply);
}

static void cleanup_runs_undisturbed(void **state)
{
    struct recorder *r = *state;
    struct cell_reply reply;

    interrupted_after(
        r,
        "local x <close> = setmetatable({}, {__close = function() for i = 1, 100000 do cleaned = i end "
        "late = coroutine.create(function() return hooked() end) end}) while true do end",
        &reply);
    assert_true(reply.interrupted);
    cell_reply_release(&reply);
    assert_string_equal(result_of(r, "cleaned"), "100000");
    /* a coroutine made while the hook was armed has none when it next runs */
    assert_string_equal(result_of(r, "hooked = debug.gethook return (select(2, coroutine.resume(late)))"),
                        SANITIZE_THREADS ? "external hook" : "nil");
}

static void an_idle_interrupt_breaks_nothing(void **state)
{
    struct recorder *r = *state;

    session_interrupt(r->session);
    assert_string_equal(result_of(r, "1 + 1"), "2");
    assert_string_equal(result_of(r, "debug.gethook() == nil"), SANITIZE_THREADS ? "false" : "true");
}

static void a_cell_is_the_main_program(void **state)
{
    struct recorder *r = *state;
    struct cell_reply reply;

    recorder_run(r, r->session, "coroutine.yield()", &reply);
    assert_non_null(strstr(reply.evalue, "outside a coroutine"));
    cell_reply_release(&reply);
    assert_string_equal(result_of(r, "select(2, coroutine.running()), coroutine.isyieldable()"),
                        "true\tfalse");
    assert_string_equal(
        result_of(r, "local co = coroutine.create(function(a) local b = coroutine.yield(a + 1) error('x' .. "
                     "b, 0) end)\n"
                     "local _, one = coroutine.resume(co, 1)\nlocal ok, e = coroutine.resume(co, 'y')\n"
                     "one, ok, e, coroutine.status(co), coroutine.close(co)"),
        "2\tfalse\txy\tdead\tfalse\txy");
    assert_string_equal(
        result_of(r, "local g = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end) "
                     "g() + g() + g()"),
        "6");
}

static void guarded_functions_are_lua_s(void **state)
{
    static const char *const cells[] = {
        "local ok, how, code = os.execute('exit 3') assert(ok == nil and how == 'exit' and code == 3)",
        "assert(os.execute('true') == true) assert(os.execute())",
        "local f = io.popen('printf \"a\\nb\"; exit 2') assert(f:read('l') == 'a' and f:read('a') == 'b')\n"
        "local ok, how, code = f:close() assert(not ok and how == 'exit' and code == 2)",
        "local f = io.popen('cat >/dev/null', 'w') f:write('x') assert(f:close())",
        "local n = 0 for l in io.popen('seq 5'):lines() do n = n + tonumber(l) end assert(n == 15)",
        "assert(not pcall(io.popen, 'x', 'rw'))",
        "local s = ('key = value, '):rep(2000) local n = 0 for k, v in s:gmatch('(%w+)%s*=%s*(%w+)') do n = "
        "n + 1 end "
        "assert(n == 2000)\nassert(select(2, s:gsub('%w+%s*=', function(x) return x:upper() end)) == 2000)\n"
        "assert(s:find('value', 1, true) == 7)\nlocal ok, e = pcall(string.find, s, '(a+') assert(not ok and "
        "e:find('unfinished capture'))\nassert(s:find('%s*=%s*', 20) == 30)",
        "assert(('ab'):rep(3, '-') == 'ab-ab-ab' and ('x'):rep(5) == 'xxxxx' and ('x'):rep(0) == '' and "
        "(''):rep(9) == "
        "'' and (''):rep(2, ',') == ',')",
        "assert(not pcall(string.rep, 'xx', math.maxinteger))",
    };
    struct recorder *r = *state;

    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++) {
        struct cell_reply reply;
        recorder_run(r, r->session, cells[i], &reply);
        if (reply.status != CELL_OK)
            print_error("%s\n  %s\n", cells[i], reply.evalue);
        assert_int_equal(reply.status, CELL_OK);
        cell_reply_release(&reply);
    }
}

static void interrupts_come_at_any_moment(void **state)
{
    struct recorder *r = *state;

    for (int i = 0; i < 100; i++) {
        struct interrupter m = {.session = r->session, .delay_ns = 100000 + i * 7000};
        struct cell_reply reply;

        alarm(10);
        session_expect(r->session); /* on a busy machine it may come before the cell begins */
        pthread_create(&m.id, NULL, interrupt_soon, &m);
        recorder_run(r, r->session, hostile[i % 2 ? 1 : 5], &reply);
        pthread_join(m.id, NULL);
        assert_true(reply.interrupted);
        cell_reply_release(&reply);
        recorder_clear(r);
    }
    alarm(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(hostile_cells_end, recorder_set_up, recorder_tear_down),
        cmocka_unit_test_setup_teardown(an_interrupt_says_where, recorder_set_up, recorder_tear_down),
        cmocka_unit_test_setup_teardown(cleanup_runs_undisturbed, recorder_set_up, recorder_tear_down),
        cmocka_unit_test_setup_teardown(an_idle_interrupt_breaks_nothing, recorder_set_up,
                                        recorder_tear_down),
        cmocka_unit_test_setup_teardown(a_cell_is_the_main_program, recorder_set_up, recorder_tear_down),
        cmocka_unit_test_setup_teardown(guarded_functions_are_lua_s, recorder_set_up, recorder_tear_down),
        cmocka_unit_test_setup_teardown(interrupts_come_at_any_moment, recorder_set_up, recorder_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
