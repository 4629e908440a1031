#include "repl/interrupt.h"
#include "runtime/session/session.h"
#include <signal.h>
#include <time.h>
#include <unistd.h>

/* A signal handler gets no argument: the process's one front end keeps what it needs here. */
static struct session *volatile target;
static volatile sig_atomic_t asked, again, terminated; /* terminated: by which signal */
static volatile time_t last_interrupt;

static void on_signal(int sig)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    again = asked;
    asked = 1;
    if (sig != SIGINT) {
        terminated = sig;
    } else if (last_interrupt && now.tv_sec - last_interrupt <= 1) {
        signal(SIGINT, SIG_DFL); /* asked twice: the third one ends the process */
    }
    last_interrupt = now.tv_sec;
    if (target)
        session_interrupt(target);
}

void interrupt_begin(struct session *s, bool terminate)
{
    struct sigaction action = {.sa_handler = on_signal}, hangup;

    target = s;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    if (!terminate)
        return;
    sigaction(SIGTERM, &action, NULL);
    if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN) /* nohup */
        sigaction(SIGHUP, &action, NULL);
}

void interrupt_cell(void)
{
    if (target)
        session_interrupt(target);
}

void interrupt_end(void)
{
    target = NULL;
}

bool interrupt_asked(void)
{
    return asked != 0;
}

bool interrupt_asked_again(void)
{
    return again != 0;
}

int interrupt_exit_code(int otherwise)
{
    return terminated ? 128 + terminated : otherwise;
}
