#include "runtime/notebook/minder.h"
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/thread.h"
#include "runtime/session/session.h"
#include <pthread.h>
#include <time.h>

static const int64_t tick_ns = 100000000, again_ns = 1000000000;

struct minder {
    struct minder_options options;
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    struct session *session; /* borrowed */
    int64_t deadline, struck,
        first; /* struck: when it was interrupted last; first: when it was for the first time */
    bool running, late, closing, ticking, told;
};

static bool stop_asked(const struct minder *w)
{
    return w->options.stop_asked && w->options.stop_asked(w->options.arg);
}

static void look(struct minder *w)
{
    int64_t now = clock_mono_ns();

    if (w->deadline && now >= w->deadline)
        w->late = true;
    if (!w->session || (!w->late && !stop_asked(w)) || now - w->struck < again_ns)
        return;
    w->struck = now;
    if (!w->first)
        w->first = now;
    session_interrupt(w->session);
}

static bool is_stuck(const struct minder *w)
{
    bool hurried = w->options.hurried && w->options.hurried(w->options.arg);
    int64_t grace = hurried && w->options.grace_ns > again_ns ? again_ns : w->options.grace_ns;

    return w->options.stuck && w->session && w->first && !w->told && clock_mono_ns() - w->first >= grace;
}

/* Until the next look; what is due earlier is waited for exactly. */
static void nap(struct minder *w)
{
    struct timespec until;
    int64_t left = w->deadline && !w->late ? w->deadline - clock_mono_ns() : tick_ns;

    left = left < 0 ? 0 : left > tick_ns ? tick_ns : left;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += (long)left;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&w->changed, &w->lock, &until);
}

static void *watching(void *arg)
{
    struct minder *w = arg;

    pthread_mutex_lock(&w->lock);
    while (!w->closing) {
        if (!w->running) {
            pthread_cond_wait(&w->changed, &w->lock);
            continue;
        }
        nap(w);
        if (!w->running)
            continue;
        look(w);
        bool stuck = is_stuck(w);
        w->told = w->told || stuck;
        w->ticking = true;
        pthread_mutex_unlock(&w->lock);
        if (stuck)
            w->options.stuck(w->options.tick_arg);
        else if (w->options.tick)
            w->options.tick(w->options.tick_arg);
        pthread_mutex_lock(&w->lock);
        w->ticking = false;
        pthread_cond_broadcast(&w->changed);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

enum lc minder_open(const struct minder_options *options, struct minder **out, struct err *err)
{
    struct minder *w = mem_zalloc(sizeof *w);
    int rc;

    if (!w)
        return err_nomem(err);
    w->options = *options;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
    rc = thread_start(&w->thread, watching, w);
    if (rc != 0) {
        mem_free(w);
        return err_errno(err, rc, "cannot start a thread");
    }
    *out = w;
    return LC_OK;
}

void minder_close(struct minder *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->closing = true;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->changed);
    mem_free(w);
}

void minder_session(struct minder *w, struct session *s)
{
    pthread_mutex_lock(&w->lock);
    w->session = s;
    pthread_mutex_unlock(&w->lock);
}

void minder_cell(struct minder *w, int64_t deadline_ns)
{
    pthread_mutex_lock(&w->lock);
    w->deadline = deadline_ns;
    w->struck = w->first = 0;
    w->late = w->told = false;
    w->running = true;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

bool minder_late(struct minder *w)
{
    bool late;

    pthread_mutex_lock(&w->lock);
    late = w->late;
    pthread_mutex_unlock(&w->lock);
    return late;
}

bool minder_end(struct minder *w)
{
    bool late;

    pthread_mutex_lock(&w->lock);
    w->running = false;
    while (w->ticking)
        pthread_cond_wait(&w->changed, &w->lock);
    late = w->late;
    pthread_mutex_unlock(&w->lock);
    return late;
}
