/* engine_collective_test.c: each collective does what collective.h says. NCCL is a stand-in of this program's own: the
 * functions below have its names and pass between threads what the library would pass between GPUs. */
#include "gpu/collective_device.h"
#include "gpu/collective_nccl.h"
#include "tests/support/golden.h"
#include "tests/support/threads_collective.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { RANKS = 3, N = 1000 };

/* ---- the stand-in ---- */
int ncclGetVersion(int *version);
int ncclGetUniqueId(struct nccl_id *id);
int ncclCommInitRank(void **comm, int size, struct nccl_id id, int rank);
int ncclAllReduce(const void *from, void *to, size_t n, int type, int op, void *comm, void *stream);
int ncclBroadcast(const void *from, void *to, size_t n, int type, int root, void *comm, void *stream);
int ncclCommAbort(void *comm);
int ncclCommDestroy(void *comm);
const char *ncclGetErrorString(int result);

int ncclGetVersion(int *version)
{
    *version = 22703;
    return 0;
}

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

    struct nccl_options o = {
        .library = "", .id = r->id, .backend = r->backend, .rank = r->index, .size = RANKS};

    r->code = r->nccl ? nccl_join(&o, &r->c, &r->err) : LC_OK;
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

/* ---- chosen for a device: on the emulated one where LACUS_TEST_DEVICE=cuda ---- */
struct chooser {
    struct collective wire;
    int index, device;
    const char *library;
    char said[COLLECTIVE_SAID];
    float sums[N], copies[N];
    double numbers[2];
    int aborts;
    enum lc code;
    struct err err;
    pthread_t thread;
};

/* All memory is the backend's; what is summed was made on the backend's stream just before. */
static enum lc use_device(struct chooser *w, struct backend *b, const struct collective *c, float *x,
                          float *y)
{
    const struct backend_ops *ops = b->ops;
    float from[N];

    for (int i = 0; i < N; i++)
        from[i] = (float)(i + w->index);
    TRY(ops->upload(b->state, NULL, x, from, sizeof from, &w->err));
    ops->copy(b->state, NULL, y, x, sizeof from);
    ops->add(b->state, NULL, x, x, 1, N); /* twice as much */
    if (w->aborts == w->index) {
        collective_abort(c, LC_NOSPACE, "the disk is full");
        return collective_sum(c, NULL, x, N, COLLECTIVE_F32, &w->err);
    }
    w->numbers[0] = w->index;
    w->numbers[1] = 1;
    TRY(collective_start(c, x + N / 2, N - N / 2, COLLECTIVE_F32, &w->err));
    TRY(collective_start(c, x, N / 2, COLLECTIVE_F32, &w->err));
    TRY(collective_start(c, w->numbers, 2, COLLECTIVE_F64, &w->err));
    TRY(collective_wait(c, NULL, &w->err));
    TRY(collective_broadcast(c, NULL, y, N * sizeof *y, RANKS - 1, &w->err));
    ops->add(b->state, NULL, x, x, 1, N); /* the backend's stream sees the sums */
    TRY(ops->download(b->state, NULL, w->sums, x, N * sizeof *x, &w->err));
    return ops->download(b->state, NULL, w->copies, y, N * sizeof *y, &w->err);
}

static void *chooser_main(void *arg)
{
    struct chooser *w = arg;
    struct backend_options o = {.threads = 1, .device = w->device};
    struct backend *b;
    struct collective c = {0};
    void *x = NULL, *y = NULL;

    ok(backend_open(strcmp(test_device(), "cuda") == 0 ? "cuda" : "ref", &o, &b, &w->err), &w->err);
    ok(b->ops->alloc(b->state, N * sizeof(float), &x, &w->err), &w->err);
    ok(b->ops->alloc(b->state, N * sizeof(float), &y, &w->err), &w->err);
    w->code = collective_for_device(NULL, &w->wire, b, w->library, &c, w->said, &w->err);
    if (w->code == LC_OK)
        w->code = use_device(w, b, &c, x, y);
    if (w->code != LC_OK)
        collective_abort(&c, w->code, w->err.message);
    collective_close(&c);
    b->ops->release(b->state, x, N * sizeof(float));
    b->ops->release(b->state, y, N * sizeof(float));
    backend_close(b);
    return NULL;
}

static void choose(struct chooser *ranks, const char *library, bool own_device, int aborts)
{
    struct gathering *g = gathering_new(RANKS);

    for (int i = 0; i < RANKS; i++) {
        ranks[i] =
            (struct chooser){.index = i, .device = own_device ? i : 0, .library = library, .aborts = aborts};
        gathering_join(g, i, &ranks[i].wire);
        assert_int_equal(pthread_create(&ranks[i].thread, NULL, chooser_main, &ranks[i]), 0);
    }
    for (int i = 0; i < RANKS; i++)
        pthread_join(ranks[i].thread, NULL);
    for (int i = 0; i < RANKS; i++)
        collective_close(&ranks[i].wire);
    gathering_free(g);
}

static void are_summed(const struct chooser *ranks)
{
    for (int r = 0; r < RANKS; r++) {
        ok(ranks[r].code, &ranks[r].err);
        assert_float_equal(ranks[r].numbers[0], RANKS * (RANKS - 1) / 2, 0);
        assert_float_equal(ranks[r].numbers[1], RANKS, 0);
        for (int i = 0; i < N; i++) {
            assert_float_equal(ranks[r].sums[i], (float)(4 * (RANKS * i + RANKS * (RANKS - 1) / 2)), 0);
            assert_float_equal(ranks[r].copies[i], (float)(i + RANKS - 1), 0);
        }
    }
}

static const char *emulated_library(char path[400])
{
    const char *folder = getenv("LACUS_LIB");

    (void)snprintf(path, 400, "%s/plugins/gpu_cuda.so", folder ? folder : "");
    return path;
}

static void ranks_choose_together_how_they_sum(void **state)
{
    bool cuda = strcmp(test_device(), "cuda") == 0, emulated;
    struct chooser *ranks = calloc(RANKS, sizeof *ranks);
    char library[400];

    (void)state;
    (void)emulated_library(library);
    emulated = cuda && getenv("LACUS_LIB");
    choose(ranks, "libno-such-nccl.so.2", false, -1);
    are_summed(ranks);
    for (int i = 0; i < RANKS; i++)
        assert_string_equal(
            ranks[i].said,
            cuda ? "gradients are summed over the network, through the host's memory: rank 0 has no NCCL"
                 : "");
    if (emulated) {
        assert_int_equal(setenv("LACUS_CUDA_HOST_GPUS", "3", 1), 0);
        choose(ranks, library, false, -1);
        are_summed(ranks);
        assert_non_null(strstr(ranks[1].said, "ranks 0 and 1 share a GPU"));
        choose(ranks, library, true, -1);
        are_summed(ranks);
        for (int i = 0; i < RANKS; i++)
            assert_string_equal(ranks[i].said, "gradients are summed by NCCL 2.27.3 between 3 GPUs");
    }
    free(ranks);
}

static void a_rank_that_fails_is_heard_of_whatever_was_chosen(void **state)
{
    bool emulated = strcmp(test_device(), "cuda") == 0 && getenv("LACUS_LIB");
    struct chooser *ranks = calloc(RANKS, sizeof *ranks);
    char library[400];

    (void)state;
    (void)emulated_library(library);
    assert_int_equal(setenv("LACUS_CUDA_HOST_GPUS", "3", 1), 0);
    for (int nccl = 0; nccl < (emulated ? 2 : 1); nccl++) {
        choose(ranks, nccl ? library : "libno-such-nccl.so.2", true, 1);
        for (int i = 0; i < RANKS; i++) {
            assert_int_equal(ranks[i].code, LC_NOSPACE);
            assert_string_equal(ranks[i].err.message, "the disk is full");
        }
    }
    free(ranks);
}

static void versions_are_told_and_old_ones_refused(void **state)
{
    char text[24], library[400];
    struct err err;
    int version;

    (void)state;
    nccl_version_text(2708, text);
    assert_string_equal(text, "2.7.8");
    nccl_version_text(22703, text);
    assert_string_equal(text, "2.27.3");
    ok(nccl_version("", &version, &err), &err);
    assert_int_equal(version, 22703);
    if (strcmp(test_device(), "cuda") != 0 || !getenv("LACUS_LIB"))
        return;
    assert_int_equal(setenv("LACUS_NCCL_HOST_VERSION", "2304", 1), 0);
    assert_int_equal(nccl_version(emulated_library(library), &version, &err), LC_MISSING);
    assert_non_null(strstr(err.message, "NCCL 2.3.4 is older than 2.4"));
    assert_int_equal(unsetenv("LACUS_NCCL_HOST_VERSION"), 0);
}

static void a_library_that_is_not_there_is_named(void **state)
{
    struct nccl_id id;
    struct err err;

    (void)state;
    assert_int_equal(nccl_make_id("libno-such-nccl.so.2", &id, &err), LC_MISSING);
    assert_non_null(strstr(err.message, "libno-such-nccl.so.2"));
    assert_int_equal(nccl_make_id("libm.so.6", &id, &err), LC_MISSING);
    assert_non_null(strstr(err.message, "ncclGetVersion"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_and_copies),
        cmocka_unit_test(an_abort_is_for_all_and_for_good),
        cmocka_unit_test(a_library_that_is_not_there_is_named),
        cmocka_unit_test(versions_are_told_and_old_ones_refused),
        cmocka_unit_test(ranks_choose_together_how_they_sum),
        cmocka_unit_test(a_rank_that_fails_is_heard_of_whatever_was_chosen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
