#include "runtime/base/thread.h"
#include "runtime/dataframe/engines/duckdb/duck.h"
#include <time.h>

enum { PERIOD_NS = 3000000, GRACE = 6 /* periods that a thread has to see it itself */ };

static void check_calls(struct engine *e)
{
    for (struct watched *w = e->calls; w; w = w->next)
        if (w->connection && (w->stopped || ctx_check(w->ctx, NULL) != LC_OK) &&
            (!w->polled || ++w->seen > GRACE))
            e->api.duckdb_interrupt(w->connection);
}

static void *watch(void *arg)
{
    struct engine *e = arg;

    pthread_mutex_lock(&e->watch);
    while (!e->closing) {
        struct timespec until;

        if (!e->calls) {
            pthread_cond_wait(&e->wake, &e->watch);
            continue;
        }
        check_calls(e);
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += PERIOD_NS;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&e->wake, &e->watch, &until);
    }
    pthread_mutex_unlock(&e->watch);
    return NULL;
}

void watch_begin(struct watched *w, const struct ctx *ctx, const struct statement *s)
{
    struct engine *e = s->e;

    *w = (struct watched){.ctx = ctx, .connection = s->connection, .query = s->query};
    pthread_mutex_lock(&e->watch);
    if (!e->watching) /* without a thread, only the front of each call sees a cancel */
        e->watching = thread_start(&e->watcher, watch, e) == 0;
    w->next = e->calls;
    e->calls = w;
    if (!w->next)
        pthread_cond_signal(&e->wake);
    pthread_mutex_unlock(&e->watch);
}

void watch_stop_functions(struct watched *w, const struct statement *s)
{
    *w = (struct watched){.stopped = true, .query = s->query, .next = s->e->calls};
    s->e->calls = w;
}

void watch_forget_connection(struct engine *e, struct watched *w)
{
    pthread_mutex_lock(&e->watch);
    w->connection = NULL;
    pthread_mutex_unlock(&e->watch);
}

void watch_end(struct engine *e, struct watched *w)
{
    pthread_mutex_lock(&e->watch);
    for (struct watched **p = &e->calls; *p; p = &(*p)->next)
        if (*p == w) {
            *p = w->next;
            break;
        }
    pthread_mutex_unlock(&e->watch);
}

void watch_stop(struct engine *e)
{
    pthread_mutex_lock(&e->watch);
    e->closing = true;
    pthread_cond_signal(&e->wake);
    pthread_mutex_unlock(&e->watch);
    if (e->watching)
        pthread_join(e->watcher, NULL);
}

bool watch_stopped(struct engine *e, idx_t query)
{
    bool stopped = false;

    pthread_mutex_lock(&e->watch);
    for (struct watched *w = e->calls; w && !stopped; w = w->next)
        stopped = w->query == query && (w->stopped || ctx_check(w->ctx, NULL) != LC_OK);
    pthread_mutex_unlock(&e->watch);
    return stopped;
}
