/* fetch.c: the chunks of a stream that calls functions of Lua, fetched by a thread of its own.
 *
 * Such a function may be inside one call of the string library for hours, and nothing can stop that: whoever waits for the chunk has
 * to be able to walk away from it. */
#include "runtime/base/mem.h"
#include "runtime/base/thread.h"
#include "runtime/dataframe/engines/duckdb/duck.h"
#include <time.h>

enum {
    AHEAD = 8,
    LOOK_MS = 2,
    GRACE_MS = 20 /* that a stream which nobody reads to its end has, before its functions are told to stop */
};

struct fetcher {
    struct statement s; /* what DuckDB holds; from the first chunk on it is the thread's */
    struct watched w;   /* so that its functions stop when nobody waits for them */
    pthread_t thread;
    pthread_cond_t asked, answered; /* with engine.watch, which guards the rest */
    duckdb_data_chunk ahead[AHEAD]; /* a ring: fetched, and not read yet */
    size_t first, n;
    bool ended;         /* after those no more come */
    bool closing, over; /* no more is wanted; the statement is closed */
    bool left;          /* nobody waits for the thread: it frees all of this */
};

static void wait_for(pthread_cond_t *cond, pthread_mutex_t *lock, int ms)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += ms * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(cond, lock, &until);
}

static void fetcher_free(struct fetcher *f)
{
    pthread_cond_destroy(&f->asked);
    pthread_cond_destroy(&f->answered);
    mem_free(f);
}

static void fetch_one(struct fetcher *f) /* under the lock */
{
    struct engine *e = f->s.e;
    duckdb_data_chunk chunk;

    pthread_mutex_unlock(&e->watch);
    chunk = e->api.duckdb_fetch_chunk(f->s.result);
    pthread_mutex_lock(&e->watch);
    if (chunk)
        f->ahead[(f->first + f->n++) % AHEAD] = chunk;
    else
        f->ended = true;
    pthread_cond_signal(&f->answered);
}

static duckdb_data_chunk take_one(struct fetcher *f) /* under the lock; NULL: none is there */
{
    duckdb_data_chunk chunk = f->n ? f->ahead[f->first] : NULL;

    if (chunk) {
        f->first = (f->first + 1) % AHEAD;
        f->n--;
    }
    if (f->n == AHEAD / 2) /* not for each: threads change hands slowly */
        pthread_cond_signal(&f->asked);
    return chunk;
}

static void fetch_all(struct fetcher *f)
{
    struct engine *e = f->s.e;

    pthread_mutex_lock(&e->watch);
    while (!f->closing)
        if (f->ended || f->n == AHEAD)
            pthread_cond_wait(&f->asked, &e->watch);
        else
            fetch_one(f);
    pthread_mutex_unlock(&e->watch);
}

static void *fetch_main(void *arg)
{
    struct fetcher *f = arg;
    struct engine *e = f->s.e;
    bool left;

    fetch_all(f);
    for (duckdb_data_chunk chunk; (chunk = take_one(f)) != NULL;) /* nobody else does any more */
        e->api.duckdb_destroy_data_chunk(&chunk);
    statement_close(&f->s); /* waits for functions that run in DuckDB's threads */
    pthread_mutex_lock(&e->watch);
    f->over = true;
    left = f->left;
    pthread_cond_signal(&f->answered);
    pthread_mutex_unlock(&e->watch);
    if (!left)
        return NULL;
    watch_end(e, &f->w);
    pthread_mutex_lock(&e->watch);
    e->orphans--;
    pthread_cond_broadcast(&e->cleared);
    pthread_mutex_unlock(&e->watch);
    fetcher_free(f);
    return NULL;
}

bool fetcher_open(struct statement *s)
{
    struct fetcher *f = mem_zalloc(sizeof *f);

    if (!f)
        return false;
    f->s = *s;
    pthread_cond_init(&f->asked, NULL);
    pthread_cond_init(&f->answered, NULL);
    if (thread_start(&f->thread, fetch_main, f) != 0) {
        fetcher_free(f);
        return false;
    }
    *s = (struct statement){.e = s->e, .ctx = s->ctx, .fetcher = f};
    return true;
}

/* Its functions are told to stop, and it closes the statement when they have. Under the lock. */
static void leave(struct fetcher *f)
{
    struct engine *e = f->s.e;

    if (!f->closing) /* else the connection may be gone, and it was told so */
        e->api.duckdb_interrupt(f->s.connection);
    f->left = f->closing = true;
    e->orphans++;
    watch_stop_functions(&f->w, &f->s);
    pthread_detach(f->thread);
    pthread_cond_signal(&f->asked);
}

enum lc fetcher_next(struct statement *s, duckdb_data_chunk *out, struct err *err)
{
    struct fetcher *f = s->fetcher;
    struct engine *e = s->e;
    struct watched w;
    const char *text;
    enum lc code = LC_OK;

    watch_begin(&w, s->ctx, &f->s);
    pthread_mutex_lock(&e->watch);
    while (!f->n && !f->ended && code == LC_OK) {
        wait_for(&f->answered, &e->watch, LOOK_MS);
        code = w.stopped ? err_set(err, LC_CANCELLED, "the query was interrupted") : ctx_check(s->ctx, err);
    }
    *out = code == LC_OK ? take_one(f) : NULL;
    if (code != LC_OK) {
        s->fetcher = NULL;
        leave(f);
    }
    pthread_mutex_unlock(&e->watch);
    watch_end(e, &w);
    if (code != LC_OK || *out)
        return code;
    text = e->api.duckdb_result_error(&f->s.result);
    return text && *text ? duck_fail(s->ctx, w.stopped, text, err) : ctx_check(s->ctx, err);
}

void fetcher_close(struct statement *s)
{
    struct fetcher *f = s->fetcher;
    struct engine *e = s->e;
    bool over;

    s->fetcher = NULL;
    e->api.duckdb_interrupt(f->s.connection);
    pthread_mutex_lock(&e->watch);
    f->closing = true;
    pthread_cond_signal(&f->asked);
    for (int ms = 0; ms < GRACE_MS && !f->over; ms += LOOK_MS)
        wait_for(&f->answered, &e->watch, LOOK_MS);
    over = f->over;
    if (!over)
        leave(f);
    pthread_mutex_unlock(&e->watch);
    if (over) {
        pthread_join(f->thread, NULL);
        fetcher_free(f);
    }
}
