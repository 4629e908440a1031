#include "tests/support/threads_collective.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RANKS_MOST = 8 };

struct gathering {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int size, arrived, sums;
    int64_t round;
    void *data[RANKS_MOST];
    int64_t n;
    enum lc failed;
    char why[200];
};

struct member {
    struct gathering *g;
    int rank;
};

struct gathering *gathering_new(int size)
{
    struct gathering *g = calloc(1, sizeof *g);

    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->changed, NULL);
    g->size = size;
    return g;
}

void gathering_free(struct gathering *g)
{
    pthread_mutex_destroy(&g->lock);
    pthread_cond_destroy(&g->changed);
    free(g);
}

int gathering_sums(const struct gathering *g)
{
    return g->sums;
}

static double at(const void *data, int64_t i, enum collective_type type)
{
    return type == COLLECTIVE_F64 ? ((const double *)data)[i] : (double)((const float *)data)[i];
}

static void sum(struct gathering *g, enum collective_type type)
{
    for (int64_t i = 0; i < g->n; i++) {
        double x = 0;

        for (int r = 0; r < g->size; r++)
            x += at(g->data[r], i, type);
        for (int r = 0; r < g->size; r++)
            if (type == COLLECTIVE_F64)
                ((double *)g->data[r])[i] = x;
            else
                ((float *)g->data[r])[i] = (float)x;
    }
    g->sums++;
}

/* The last to come does the work; everyone leaves together. root -1: a sum. */
static enum lc meet(struct member *m, void *data, int64_t n, enum collective_type type, int root,
                    struct err *err)
{
    struct gathering *g = m->g;
    int64_t round;
    enum lc code;

    pthread_mutex_lock(&g->lock);
    if (g->failed != LC_OK) {
        code = err_set(err, g->failed, "%s", g->why);
        pthread_mutex_unlock(&g->lock);
        return code;
    }
    round = g->round;
    g->data[m->rank] = data;
    if (g->arrived++ == 0)
        g->n = n;
    else if (g->n != n)
        abort(); /* the ranks do not make the same calls */
    if (g->arrived == g->size && root < 0)
        sum(g, type);
    for (int r = 0; g->arrived == g->size && root >= 0 && r < g->size; r++)
        memmove(g->data[r], g->data[root], (size_t)n);
    if (g->arrived == g->size) {
        g->arrived = 0;
        g->round++;
        pthread_cond_broadcast(&g->changed);
    }
    while (g->round == round && g->failed == LC_OK)
        pthread_cond_wait(&g->changed, &g->lock);
    code = g->round == round ? err_set(err, g->failed, "%s", g->why) : LC_OK;
    pthread_mutex_unlock(&g->lock);
    return code;
}

static enum lc start(void *state, void *data, int64_t n, enum collective_type type, struct err *err)
{
    return meet(state, data, n, type, -1, err);
}

static enum lc wait_for_all(void *state, const struct ctx *ctx, struct err *err)
{
    (void)state;
    return ctx_check(ctx, err);
}

static enum lc broadcast(void *state, const struct ctx *ctx, void *data, size_t bytes, int root,
                         struct err *err)
{
    TRY(ctx_check(ctx, err));
    return meet(state, data, (int64_t)bytes, COLLECTIVE_F32, root, err);
}

static void stop(void *state, enum lc code, const char *why)
{
    struct gathering *g = ((struct member *)state)->g;

    pthread_mutex_lock(&g->lock);
    if (g->failed == LC_OK) {
        g->failed = code;
        (void)snprintf(g->why, sizeof g->why, "%s", why);
    }
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

static enum lc check(void *state, struct err *err)
{
    struct gathering *g = ((struct member *)state)->g;
    enum lc code;

    pthread_mutex_lock(&g->lock);
    code = g->failed == LC_OK ? LC_OK : err_set(err, g->failed, "%s", g->why);
    pthread_mutex_unlock(&g->lock);
    return code;
}

void gathering_join(struct gathering *g, int rank, struct collective *out)
{
    static const struct collective_ops ops = {"threads", start, wait_for_all, broadcast, stop, free, check};
    struct member *m = malloc(sizeof *m);

    *m = (struct member){g, rank};
    *out = (struct collective){&ops, m, rank, g->size};
}
