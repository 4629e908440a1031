/* engine_collective_test.c: each collective does what collective.h says. NCCL is a stand-in of this program's own: the
 * functions below have its names and pass between threads what the library would pass between GPUs. */
#include "gpu/collective_nccl.h"
#include "tests/support/golden.h"
#include "tests/support/threads_collective.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { RANKS = 3, N = 1000 };

/* ---- the stand-in ---- */
int ncclGetUniqueId(struct nccl_id *id);
int ncclCommInitRank(void **comm, int size, struct nccl_id id, int rank);
int ncclAllReduce(const void *from, void *to, size_t n, int type, int op, void *comm, void *stream);
int ncclBroadcast(const void *from, void *to, size_t n, int type, int root, void *comm, void *stream);
int ncclCommAbort(void *comm);
int ncclCommDestroy(void *comm);
const char *ncclGetErrorString(int result);

int ncclGetUniqueId(struct nccl_id *id)
{
    struct gathering *g = gathering_new(RANKS);

    memset(id, 0, sizeof *id);
    memcpy(id->bytes, &g, sizeof g);
    return 0;
}

int ncclCommInitRank(void **comm, int size, struct nccl_id id, int rank)
{
    struct collective *c = calloc(1, sizeof *c);
    struct gathering *g;

    if (size != RANKS)
        return free(c), 4;
    memcpy(&g, id.bytes, sizeof g);
    gathering_join(g, rank, c);
    *comm = c;
    return 0;
}

int ncclAllReduce(const void *from, void *to, size_t n, int type, int op, void *comm, void *stream)
{
    assert_true(from == to && op == 0 && !stream && (type == 7 || type == 8));
    return collective_start(comm, to, (int64_t)n, type == 7 ? COLLECTIVE_F32 : COLLECTIVE_F64, NULL) ? 3 : 0;
}

int ncclBroadcast(const void *from, void *to, size_t n, int type, int root, void *comm, void *stream)
{
    assert_true(from == to && type == 0 && !stream);
    return collective_broadcast(comm, NULL, to, n, root, NULL) ? 3 : 0;
}

int ncclCommAbort(void *comm)
{
    collective_abort(comm, LC_WORKER, "aborted");
    return ncclCommDestroy(comm);
}

int ncclCommDestroy(void *comm)
{
    collective_close(comm);
    free(comm);
    return 0;
}

const char *ncclGetErrorString(int result)
{
    return result == 4 ? "invalid argument" : "internal error";
}

/* ---- the suite ---- */
struct rank {
    struct collective c;
    struct backend *backend;
    struct nccl_id id;
    bool nccl;
    int index, aborts; /* aborts: the rank that does, or -1 */
    enum lc code;
    struct err err;
    pthread_t thread;
};

static enum lc work(struct rank *r, struct err *err)
{
    float x[N], y[N];
    double d[4] = {1, r->index, 0.25, -1};

    for (int i = 0; i < N; i++) {
        x[i] = (float)(i + r->index);
        y[i] = r->index == 2 ? (float)i : 0;
    }
    if (r->aborts == r->index) {
        usleep(50000);
        collective_abort(&r->c, LC_NOSPACE, "the disk is full");
        return collective_sum(&r->c, NULL, x, N, COLLECTIVE_F32, err);
    }
    TRY(collective_start(&r->c, x, N / 2, COLLECTIVE_F32, err));
    TRY(collective_start(&r->c, x + N / 2, N - N / 2, COLLECTIVE_F32, err));
    TRY(collective_start(&r->c, d, 4, COLLECTIVE_F64, err));
    TRY(collective_wait(&r->c, NULL, err));
    TRY(collective_broadcast(&r->c, NULL, y, sizeof y, r->c.size - 1, err));
    TRY(collective_barrier(&r->c, NULL, err));
    for (int i = 0; i < N; i++) {
        float sum = (float)(r->c.size * i + r->c.size * (r->c.size - 1) / 2);

        if (x[i] < sum || x[i] > sum || (r->c.size > 1 && (y[i] < (float)i || y[i] > (float)i)))
            return err_set(err, LC_INTERNAL, "element %d: %g and %g", i, (double)x[i], (double)y[i]);
    }
    return d[0] < r->c.size || d[2] > 0.25 * r->c.size
               ? err_set(err, LC_INTERNAL, "doubles: %g %g", d[0], d[2])
               : LC_OK;
}

static void *rank_main(void *arg)
{
    struct rank *r = arg;

    r->code = r->nccl ? nccl_join("", &r->id, r->backend, r->index, RANKS, &r->c, &r->err) : LC_OK;
    if (r->code == LC_OK)
        r->code = work(r, &r->err);
    return NULL;
}

static void on_threads(bool nccl, int aborts, struct rank *ranks)
{
    struct gathering *g = NULL;
    struct nccl_id id = {{0}};
    struct err err;

    if (nccl) {
        ok(nccl_make_id("", &id, &err), &err);
        memcpy(&g, id.bytes, sizeof g);
    } else {
        g = gathering_new(RANKS);
    }
    for (int i = 0; i < RANKS; i++) {
        ranks[i] = (struct rank){.id = id, .nccl = nccl, .index = i, .aborts = aborts};
        ranks[i].backend = open_backend("ref", 1);
        if (!nccl)
            gathering_join(g, i, &ranks[i].c);
        assert_int_equal(pthread_create(&ranks[i].thread, NULL, rank_main, &ranks[i]), 0);
    }
    for (int i = 0; i < RANKS; i++)
        pthread_join(ranks[i].thread, NULL);
    for (int i = 0; i < RANKS; i++) {
        collective_close(&ranks[i].c);
        backend_close(ranks[i].backend);
    }
    gathering_free(g);
}

static void sums_and_copies(void **state)
{
    struct rank ranks[RANKS];

    (void)state;
    for (int nccl = 0; nccl < 2; nccl++) {
        on_threads(nccl == 1, -1, ranks);
        for (int i = 0; i < RANKS; i++)
            ok(ranks[i].code, &ranks[i].err);
    }
}

static void an_abort_is_for_all_and_for_good(void **state)
{
    struct rank ranks[RANKS];

    (void)state;
    for (int nccl = 0; nccl < 2; nccl++) {
        on_threads(nccl == 1, 1, ranks);
        assert_int_equal(ranks[1].code, LC_NOSPACE);
        assert_string_equal(ranks[1].err.message, "the disk is full");
        for (int i = 0; i < RANKS; i += 2) /* NCCL says less */
            assert_int_equal(ranks[i].code, nccl ? LC_WORKER : LC_NOSPACE);
    }
}

static void a_library_that_is_not_there_is_named(void **state)
{
    struct nccl_id id;
    struct err err;

    (void)state;
    assert_int_equal(nccl_make_id("libno-such-nccl.so.2", &id, &err), LC_MISSING);
    assert_non_null(strstr(err.message, "libno-such-nccl.so.2"));
    assert_int_equal(nccl_make_id("libm.so.6", &id, &err), LC_MISSING);
    assert_non_null(strstr(err.message, "ncclGetUniqueId"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_and_copies),
        cmocka_unit_test(an_abort_is_for_all_and_for_good),
        cmocka_unit_test(a_library_that_is_not_there_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
