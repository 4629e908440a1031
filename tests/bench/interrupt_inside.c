/* interrupt_inside.c: from session_interrupt until the cell has ended, its traceback included, within one process. Prints a line for
 * each kind of cell: its name, and milliseconds of every try. kernel_bench.py makes a table of them. */
#include "runtime/base/clock.h"
#include "runtime/session/session_int.h"
#include "tests/support/recorder.h"
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <time.h>

enum { TRIES = 50, DELAY_NS = 5000000 };

static const struct {
    const char *name, *text;
} cells[] = {
    {"loop", "while true do end"},
    {"pcall", "while true do pcall(function() while true do end end) end"},
    {"coroutine",
     "while true do coroutine.wrap(function() pcall(function() while true do end end) end)() end"},
};

struct interrupter {
    struct session *session;
    int64_t sent;
};

static void *interrupt_soon(void *arg)
{
    struct interrupter *i = arg;

    while (!atomic_load(&i->session->busy))
        sched_yield();
    nanosleep(&(struct timespec){.tv_nsec = DELAY_NS}, NULL);
    i->sent = clock_mono_ns();
    session_interrupt(i->session);
    return NULL;
}

static double interrupted_after(struct recorder *r, const char *text)
{
    struct interrupter i = {.session = r->session};
    struct cell_reply reply;
    pthread_t thread;
    int64_t end;

    session_expect(r->session);
    if (pthread_create(&thread, NULL, interrupt_soon, &i) != 0)
        return -1;
    recorder_run(r, r->session, text, &reply);
    end = clock_mono_ns();
    pthread_join(thread, NULL);
    cell_reply_release(&reply);
    recorder_clear(r);
    return (double)(end - i.sent) / 1e6;
}

int main(void)
{
    void *state;

    if (recorder_set_up(&state) != 0)
        return 1;
    for (size_t c = 0; c < sizeof cells / sizeof *cells; c++) {
        (void)printf("%s", cells[c].name);
        for (int i = 0; i < TRIES; i++)
            (void)printf(" %.4f", interrupted_after(state, cells[c].text));
        (void)printf("\n");
    }
    return recorder_tear_down(&state);
}
