/* task_test.c: cells that take turns: none is lost, none sees another's state, and one interrupt ends them all. */
#include "runtime/base/clock.h"
#include "runtime/session/sanitize.h"
#include "tests/support/recorder.h"
#include "tests/support/unit.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TASKS_MAX = 4 };

struct fixture {
    struct recorder r;
    struct frontend_ops ops; /* the recorder's, with a serve of ours */
    struct frontend inner;
    struct session *session;
    struct cell_request cell[TASKS_MAX];
    struct cell_reply reply[TASKS_MAX];
    struct session_task *task[TASKS_MAX];
    bool stepping[TASKS_MAX], ended[TASKS_MAX];
    int n, turns, served;
    atomic_bool quiet;
    pthread_t asker;
};

static void step(struct fixture *f, int i)
{
    if (f->stepping[i] || f->ended[i])
        return;
    f->stepping[i] = true;
    f->turns++;
    f->ended[i] = session_task_step(f->task[i]);
    f->stepping[i] = false;
}

static struct fixture *fixture; /* a test program has one */

static void serve(void *self, const struct ctx *ctx, int timeout_ms)
{
    (void)self, (void)ctx, (void)timeout_ms;
    fixture->served++;
    for (int i = 0; i < fixture->n; i++)
        step(fixture, i);
}

static void *ask(void *arg) /* somebody always waits */
{
    struct fixture *f = arg;

    while (!atomic_load(&f->quiet)) {
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
        session_serve(f->session);
    }
    return NULL;
}

static int open_fixture(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct session_options options = {0};
    struct err err;

    *state = fixture = f;
    f->inner = recorder_frontend(&f->r);
    f->ops = *f->inner.ops;
    f->ops.serve = serve;
    options.frontend = (struct frontend){&f->ops, f->inner.self};
    assert_int_equal(session_open(&options, &f->session, &err), LC_OK);
    f->r.session = f->session;
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *f = *state;

    session_close(f->session);
    recorder_release(&f->r);
    free(f);
    return 0;
}

static void add(struct fixture *f, const char *text)
{
    struct err err;
    int i = f->n++;

    f->cell[i] = (struct cell_request){.code = text, .len = strlen(text), .store_history = true};
    assert_int_equal(session_task_new(f->session, &f->cell[i], &f->reply[i], &f->task[i], &err), LC_OK);
}

static bool all_ended(const struct fixture *f)
{
    for (int i = 0; i < f->n; i++)
        if (!f->ended[i])
            return false;
    return true;
}

static void run_all(struct fixture *f)
{
    struct err err;

    alarm(120); /* a test that hangs ends */
    pthread_create(&f->asker, NULL, ask, f);
    while (!all_ended(f))
        for (int i = 0; i < f->n; i++)
            step(f, i);
    atomic_store(&f->quiet, true);
    pthread_join(f->asker, NULL);
    alarm(0);
    for (int i = 0; i < f->n; i++)
        assert_int_equal(session_task_free(f->task[i], &err), LC_OK);
}

static void release_replies(struct fixture *f)
{
    for (int i = 0; i < f->n; i++)
        cell_reply_release(&f->reply[i]);
}

static void assert_result(struct fixture *f, const char *text, const char *want)
{
    struct cell_reply reply;

    recorder_clear(&f->r);
    recorder_run(&f->r, f->session, text, &reply);
    if (reply.evalue)
        print_error("%s: %s\n", text, reply.evalue);
    assert_string_equal(recorder_result(&f->r), want);
    cell_reply_release(&reply);
}

static void cells_take_turns(void **state)
{
    struct fixture *f = *state;

    add(f, "local n = 0 for i = 1, 2000000 do n = n + i end a = n");
    add(f, "local g = coroutine.wrap(function() for i = 1, 200000 do coroutine.yield(i) end end) b = 0 for i "
           "= 1, 200000 "
           "do b = b + g() end");
    add(f, "local t = {} for i = 1, 40000 do t[i] = (i * 7919) % 40009 end "
           "table.sort(t, function(x, y) return x > y end) c = t[1] .. ' ' .. t[40000] .. ' ' .. #t");
    add(f, "d = 0 for i = 1, 300 do pcall(function() for j = 1, 1000 do d = d + 1 end error('x') end) end "
           "error('wanted')");
    run_all(f);
    assert_true(f->turns > 8);
    assert_int_equal(f->reply[0].status, CELL_OK);
    assert_int_equal(f->reply[1].status, CELL_OK);
    assert_int_equal(f->reply[2].status, CELL_OK);
    assert_int_equal(f->reply[3].status, CELL_ERROR);
    assert_non_null(strstr(f->reply[3].evalue, "wanted"));
    for (int i = 0; i < f->n; i++)
        assert_int_equal(f->reply[i].execution_count, i + 1);
    release_replies(f);
    assert_result(f, "a, b, c, d", "2000001000000\t20000100000\t40008 1 40000\t300000");
    assert_result(f, "debug.gethook() == nil", SANITIZE_THREADS ? "false" : "true");
}

static void one_waits_for_the_other(void **state)
{
    struct fixture *f = *state;

    add(f, "while not stop do end");
    add(f, "local co = coroutine.wrap(function() while not stop do end end) co()");
    add(f, "(' '):rep(3):gsub('.', function() while not stop do end end)"); /* a C frame forbids the yield */
    add(f, "for i = 1, 100000 do end stop = true");
    run_all(f);
    for (int i = 0; i < f->n; i++)
        assert_int_equal(f->reply[i].status, CELL_OK);
    assert_true(f->served > 0);
    release_replies(f);
}

static void a_coroutine_of_another_cell_is_not_resumed(void **state)
{
    struct fixture *f = *state;

    add(f, "co = coroutine.create(function() while not seen do end return 'mine' end) r = select(2, "
           "coroutine.resume(co))");
    add(f, "while not co do end ok, why = coroutine.resume(co) seen = true");
    run_all(f);
    release_replies(f);
    assert_result(f, "r, ok, why", "mine\tfalse\tcannot resume non-suspended coroutine");
}

static void *interrupt_soon(void *arg)
{
    nanosleep(&(struct timespec){.tv_nsec = 30000000}, NULL);
    session_interrupt(arg);
    return NULL;
}

static void one_interrupt_ends_all(void **state)
{
    struct fixture *f = *state;
    pthread_t id;

    add(f, "while true do end");
    add(f, "local co = coroutine.wrap(function() while true do end end) co()");
    add(f, "table.sort({2, 1}, function() while true do pcall(function() while true do end end) end end)");
    add(f, "while true do pcall(error) end");
    pthread_create(&id, NULL, interrupt_soon, f->session);
    run_all(f);
    pthread_join(id, NULL);
    for (int i = 0; i < f->n; i++)
        assert_true(f->reply[i].interrupted);
    release_replies(f);
    assert_result(f, "1 + 1", "2");
}

static void an_interrupt_before_the_cell_begins_is_for_it(void **state)
{
    struct fixture *f = *state;
    struct cell_reply reply;

    session_expect(f->session);
    session_interrupt(f->session);
    alarm(120);
    recorder_run(&f->r, f->session, "while true do end", &reply);
    alarm(0);
    assert_true(reply.interrupted);
    cell_reply_release(&reply);
    assert_result(f, "1 + 1", "2");
}

static void nobody_asks_nothing_is_armed(void **state)
{
    struct fixture *f = *state;

    add(f, "for i = 1, 1000000 do end h = debug.gethook() == nil");
    step(f, 0);
    assert_true(f->ended[0]);
    assert_int_equal(session_task_free(f->task[0], NULL), LC_OK);
    release_replies(f);
    assert_result(f, "h", SANITIZE_THREADS ? "false" : "true");
}

static void who_sleeps_is_left_until_it_is_due(void **state)
{
    struct fixture *f = *state;
    int64_t began = clock_mono_ns(), due;

    add(f, "local co = coroutine.wrap(function() sleep(0.2) return 'slept' end) woke = co()");
    add(f, "sleep(1000)");
    add(f, "table.sort({2, 1}, function() sleep(0.01) stayed = true return false end)");
    step(f, 0);
    step(f, 1);
    assert_false(f->ended[0] || f->ended[1]);
    due = session_task_due(f->task[0]);
    assert_true(due > began + 100000000 && due <= clock_mono_ns() + 200000000);
    assert_true(session_task_due(f->task[1]) > clock_mono_ns() + INT64_C(900000000000));
    step(f, 2); /* in the middle of C nobody is left: the others have steps meanwhile */
    assert_true(f->ended[2] && f->served > 0);
    while (clock_mono_ns() < due)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    step(f, 0);
    assert_true(f->ended[0]);
    session_interrupt(f->session); /* now it need not wait */
    assert_int_equal(session_task_due(f->task[1]), 0);
    step(f, 1);
    assert_true(f->ended[1] && f->reply[1].interrupted);
    for (int i = 0; i < f->n; i++)
        assert_int_equal(session_task_free(f->task[i], NULL), LC_OK);
    release_replies(f);
    assert_result(f, "woke, stayed", "slept\ttrue");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(cells_take_turns, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(one_waits_for_the_other, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(a_coroutine_of_another_cell_is_not_resumed, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(one_interrupt_ends_all, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(an_interrupt_before_the_cell_begins_is_for_it, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(nobody_asks_nothing_is_armed, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(who_sleeps_is_left_until_it_is_due, open_fixture, close_fixture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
