/* post.c: requests that nobody waits for: a queue and one thread, started with the first. */
#include "runtime/base/mem.h"
#include "runtime/base/thread.h"
#include "runtime/dataframe/engines/spark/client_int.h"
#include <errno.h>
#include <time.h>

enum { LINGER_MS = 500 };

static struct post *take(struct client *c) /* with the lock; NULL: the end */
{
    struct post *p;

    while (!c->first && !c->closing)
        pthread_cond_wait(&c->work, &c->lock);
    p = c->first;
    if (p) {
        c->first = p->next;
        c->n_posts--;
        if (!c->first)
            c->last = NULL;
    }
    return p;
}

static void send_post(struct client *c, struct post *p)
{
    struct ctx ctx = ctx_background();
    struct buf reply = BUF_INIT(1 << 20);
    struct err err;
    enum lc rc;

    ctx.cancel = &c->stop;
    ctx.deadline_ns = clock_mono_ns() + (int64_t)10e9;
    err_clear(&err);
    rc = client_ask(c, &ctx, p->rpc, &p->request, &reply, &err);
    (void)rc; /* the server forgets by itself what it was not told */
    buf_release(&reply);
    buf_release(&p->request);
    mem_free(p);
}

static void *poster_main(void *arg)
{
    struct client *c = arg;
    struct post *p;

    pthread_mutex_lock(&c->lock);
    while ((p = take(c)) != NULL) {
        c->busy = true;
        pthread_mutex_unlock(&c->lock);
        send_post(c, p);
        pthread_mutex_lock(&c->lock);
        c->busy = false;
        pthread_cond_broadcast(&c->done);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

void client_post(struct client *c, enum rpc rpc, const struct buf *request)
{
    struct post *p = buf_ok(request) ? mem_zalloc(sizeof *p) : NULL;

    if (!p)
        return;
    p->rpc = rpc;
    buf_init(&p->request, 1 << 20);
    buf_add(&p->request, buf_str(request), request->len);
    pthread_mutex_lock(&c->lock);
    if (c->n_posts < POSTS_MAX &&
        (c->posting || (c->posting = thread_start(&c->poster, poster_main, c) == 0))) {
        if (c->last)
            c->last->next = p;
        else
            c->first = p;
        c->last = p;
        c->n_posts++;
        p = NULL;
        pthread_cond_signal(&c->work);
    }
    pthread_mutex_unlock(&c->lock);
    if (p) {
        buf_release(&p->request);
        mem_free(p);
    }
}

void posts_stop(struct client *c)
{
    struct timespec until;

    if (!c->posting)
        return;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += (long)LINGER_MS * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&c->lock);
    while ((c->first || c->busy) && pthread_cond_timedwait(&c->done, &c->lock, &until) == 0) {
    }
    c->closing = true;
    atomic_store(&c->stop, true);
    while (c->first) {
        struct post *p = c->first;
        c->first = p->next;
        buf_release(&p->request);
        mem_free(p);
    }
    c->last = NULL;
    pthread_cond_signal(&c->work);
    pthread_mutex_unlock(&c->lock);
    pthread_join(c->poster, NULL);
}
