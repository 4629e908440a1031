#include "gpu/cpu/pool.h"
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/thread.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum {
    THREADS_MAX = 256,
    LINE = 64,
    LINGER_NS = 50000, /* about what it takes to sleep and to be woken */
    PAUSES = 16        /* between looks at the clock */
};

struct worker {
    struct pool *pool; /* borrowed */
    pthread_t thread;
    void *raw;      /* owned */
    float *scratch; /* inside raw, aligned */
};

struct pool {
    struct worker *workers; /* owned; [0] is the caller */
    int n, started;         /* threads in all, and those of them that run */
    size_t scratch;
    pthread_mutex_t lock;
    pthread_cond_t begin, end;
    atomic_uint_fast64_t round; /* counts pool_runs; changed under lock */
    atomic_int busy;            /* workers inside the current round; changed under lock */
    bool stop;
    /* the current round */
    pool_fn *fn;
    const void *arg;
    int64_t total, grain;
    atomic_int_fast64_t next;
};

static void work(struct pool *p, float *scratch)
{
    for (;;) {
        int64_t from = atomic_fetch_add(&p->next, p->grain);

        if (from >= p->total)
            return;
        p->fn(p->arg, from, from + p->grain < p->total ? from + p->grain : p->total, scratch);
    }
}

/* A short while; false: it is `end`. Rounds follow each other within microseconds while a token is made, and who slept
 * in between would be woken too late for half of them. */
static bool lingered(int64_t end)
{
#if defined(__x86_64__)
    for (int i = 0; i < PAUSES; i++)
        __builtin_ia32_pause();
#endif
    return clock_mono_ns() < end;
}

static void await_round(struct pool *p, uint64_t seen)
{
    int64_t end = clock_mono_ns() + LINGER_NS;

    while (atomic_load(&p->round) == seen && lingered(end))
        ;
}

static void await_workers(struct pool *p)
{
    int64_t end = clock_mono_ns() + LINGER_NS;

    while (atomic_load(&p->busy) > 0 && lingered(end))
        ;
    pthread_mutex_lock(&p->lock);
    while (atomic_load(&p->busy) > 0)
        pthread_cond_wait(&p->end, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct pool *p = w->pool;
    uint64_t seen = 0;

    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (atomic_load(&p->round) == seen && !p->stop)
            pthread_cond_wait(&p->begin, &p->lock);
        if (p->stop)
            break;
        seen = atomic_load(&p->round);
        if (atomic_load(&p->next) >= p->total)
            continue; /* woken too late: all is taken */
        atomic_fetch_add(&p->busy, 1);
        pthread_mutex_unlock(&p->lock);
        work(p, w->scratch);
        pthread_mutex_lock(&p->lock);
        if (atomic_fetch_sub(&p->busy, 1) == 1)
            pthread_cond_signal(&p->end);
        pthread_mutex_unlock(&p->lock);
        await_round(p, seen);
        pthread_mutex_lock(&p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

static int usable_cores(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    return CPU_COUNT(&set) > 0 ? CPU_COUNT(&set) : 1;
}

static void start_workers(struct pool *p)
{
    for (int i = 1; i < p->n; i++) {
        if (thread_start(&p->workers[i].thread, worker_main, &p->workers[i]) != 0)
            break; /* fewer threads do the same work */
        p->started = i + 1;
    }
}

enum lc pool_new(int threads, struct pool **out, struct err *err)
{
    struct pool *p = mem_zalloc(sizeof *p);

    if (!p)
        return err_nomem(err);
    p->n = threads > 0 ? threads : usable_cores();
    p->n = p->n > THREADS_MAX ? THREADS_MAX : p->n;
    p->workers = mem_calloc((size_t)p->n, sizeof *p->workers);
    if (!p->workers) {
        mem_free(p);
        return err_nomem(err);
    }
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->begin, NULL);
    pthread_cond_init(&p->end, NULL);
    p->started = 1;
    for (int i = 0; i < p->n; i++)
        p->workers[i].pool = p;
    start_workers(p);
    *out = p;
    return LC_OK;
}

void pool_free(struct pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_broadcast(&p->begin);
    pthread_mutex_unlock(&p->lock);
    for (int i = 1; i < p->started; i++)
        pthread_join(p->workers[i].thread, NULL);
    for (int i = 0; i < p->n; i++)
        mem_free(p->workers[i].raw);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->begin);
    pthread_cond_destroy(&p->end);
    mem_free(p->workers);
    mem_free(p);
}

int pool_threads(const struct pool *p)
{
    return p->started;
}

enum lc pool_scratch(struct pool *p, size_t floats, struct err *err)
{
    if (floats <= p->scratch)
        return LC_OK;
    floats += floats / 4; /* so that a slightly larger need does not come back */
    for (int i = 0; i < p->n; i++) {
        struct worker *w = &p->workers[i];

        mem_free(w->raw);
        w->raw = mem_alloc(floats * sizeof(float) + LINE);
        w->scratch = w->raw ? (float *)(((uintptr_t)w->raw + LINE - 1) & ~(uintptr_t)(LINE - 1)) : NULL;
        if (!w->raw) {
            p->scratch = 0;
            return err_nomem(err);
        }
    }
    p->scratch = floats;
    return LC_OK;
}

void pool_run(struct pool *p, int64_t n, int64_t grain, pool_fn *fn, const void *arg)
{
    if (n <= grain || p->started == 1) {
        for (int64_t from = 0; from < n; from += grain)
            fn(arg, from, from + grain < n ? from + grain : n, p->workers[0].scratch);
        return;
    }
    pthread_mutex_lock(&p->lock);
    p->fn = fn;
    p->arg = arg;
    p->total = n;
    p->grain = grain;
    atomic_store(&p->next, 0);
    atomic_fetch_add(&p->round, 1);
    pthread_cond_broadcast(&p->begin);
    pthread_mutex_unlock(&p->lock);
    work(p, p->workers[0].scratch);
    await_workers(p);
}
