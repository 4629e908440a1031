/* train_ring_test.c: sums over a ring of ZeroMQ sockets; who is named when a rank leaves, is silent, or lies. */
#include "runtime/base/clock.h"
#include "runtime/train/frame.h"
#include "runtime/train/ring.h"
#include "runtime/train/socket.h"
#include "tests/support/unit.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

enum { RANKS = 4, SHORT_MS = 1500 };

struct rank {
    struct ring *ring;
    struct collective c;
    int size;
    const struct rank *all;
    int64_t n;
    int leaves; /* this rank leaves in place of the sum; -1: none */
    int silent; /* this one sleeps */
    enum lc code;
    struct err err;
    double sums[3];
    pthread_t thread;
    int index, port; /* port and key: for its neighbours, who may be there when the ring is gone */
    unsigned char key[KEY_BYTES];
};

static void open_ring(struct rank *r, int rank, int size, int timeout_ms)
{
    char token[] = "of this test";
    struct ring_options o = {rank, size, token, true, timeout_ms};
    struct err err;

    *r = (struct rank){.size = size, .index = rank, .leaves = -1, .silent = -1};
    if (ring_open(&o, &r->ring, &err) != LC_OK)
        fail_msg("%s", err.message);
    r->port = ring_port(r->ring);
    memcpy(r->key, ring_key(r->ring), sizeof r->key);
}

static enum lc join(struct rank *r)
{
    const struct rank *next = &r->all[(r->index + 1) % r->size],
                      *previous = &r->all[(r->index + r->size - 1) % r->size];
    char endpoint[64];

    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", next->port);
    return ring_join(NULL, r->ring, endpoint, next->key, previous->key, 10000, &r->c, &r->err);
}

static void *join_main(void *arg)
{
    struct rank *r = arg;

    r->code = join(r);
    return NULL;
}

static float value(int rank, int64_t i)
{
    return (float)((i * 7 + rank * 13) % 1000);
}

static enum lc work(struct rank *r)
{
    float *x = malloc((size_t)r->n * sizeof *x), *y = malloc((size_t)r->n * sizeof *y);
    double d[5] = {1, 2, 3, r->index, 0.5};
    enum lc code = LC_OK;

    for (int64_t i = 0; i < r->n; i++) {
        x[i] = value(r->index, i);
        y[i] = r->index == 1 ? (float)i : -1;
    }
    if (r->index == r->silent)
        sleep(3);
    if (code == LC_OK) /* several at once, of several types */
        code = collective_start(&r->c, x, r->n, COLLECTIVE_F32, &r->err);
    if (code == LC_OK)
        code = collective_start(&r->c, d, 5, COLLECTIVE_F64, &r->err);
    if (code == LC_OK)
        code = collective_wait(&r->c, NULL, &r->err);
    if (code == LC_OK)
        code = collective_broadcast(&r->c, NULL, y, (size_t)r->n * sizeof *y, 1, &r->err);
    if (code == LC_OK)
        code = collective_barrier(&r->c, NULL, &r->err);
    for (int64_t i = 0; i < r->n && code == LC_OK; i++) {
        float sum = 0;
        for (int k = 0; k < r->size; k++)
            sum += value(k, i);
        if (x[i] < sum || x[i] > sum || y[i] < (float)i || y[i] > (float)i)
            code = err_set(&r->err, LC_INTERNAL, "element %lld of %lld: %g, %g", (long long)i,
                           (long long)r->n, (double)x[i], (double)y[i]);
    }
    memcpy(r->sums, d + 2, sizeof r->sums);
    free(x);
    free(y);
    return code;
}

static void *rank_main(void *arg)
{
    struct rank *r = arg;

    r->code = join(r);
    if (r->code == LC_OK && r->index != r->leaves)
        r->code = work(r);
    if (r->c.ops)
        collective_close(&r->c);
    else
        ring_free(r->ring);
    return NULL;
}

/* Joins and sums on threads; each rank's code and error are left in ranks. */
static void together(struct rank *ranks, int size, int64_t n, int leaves, int silent, int timeout_ms)
{
    for (int i = 0; i < size; i++) {
        open_ring(&ranks[i], i, size, timeout_ms);
        ranks[i].all = ranks;
        ranks[i].n = n;
        ranks[i].leaves = leaves;
        ranks[i].silent = silent;
    }
    for (int i = 0; i < size; i++)
        assert_int_equal(pthread_create(&ranks[i].thread, NULL, rank_main, &ranks[i]), 0);
    for (int i = 0; i < size; i++)
        pthread_join(ranks[i].thread, NULL);
}

static void sums_and_copies_are_right(void **state)
{
    static const int64_t lengths[] = {1, 3, 1000, 300001};
    struct rank ranks[RANKS];

    (void)state;
    for (int size = 2; size <= RANKS; size++)
        for (int l = 0; l < 4; l++) {
            together(ranks, size, lengths[l], -1, -1, 0);
            for (int i = 0; i < size; i++) {
                if (ranks[i].code != LC_OK)
                    fail_msg("rank %d of %d: %s", i, size, ranks[i].err.message);
                assert_true(ranks[i].sums[0] == 3.0 * size && ranks[i].sums[2] == 0.5 * size);
                assert_true(ranks[i].sums[1] == size * (size - 1) / 2);
            }
        }
}

/* Connects and leaves, again and again: with a key that nobody knows, and without a handshake. */
static void *knock(void *arg)
{
    struct rank *r = arg;
    struct key_pair stranger;
    char endpoint[64];

    key_make(&stranger);
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", ring_port(r->ring));
    for (int i = 0; i < 20; i++) {
        void *context = zmq_ctx_new(), *push = zmq_socket(context, ZMQ_PUSH);

        socket_int(push, ZMQ_LINGER, 0);
        zmq_setsockopt(push, ZMQ_CURVE_PUBLICKEY, stranger.pub, KEY_BYTES);
        zmq_setsockopt(push, ZMQ_CURVE_SECRETKEY, stranger.sec, KEY_BYTES);
        zmq_setsockopt(push, ZMQ_CURVE_SERVERKEY, i % 2 ? stranger.pub : ring_key(r->ring), KEY_BYTES);
        zmq_connect(push, endpoint);
        usleep(50000);
        zmq_close(push);
        zmq_ctx_term(context);
    }
    return NULL;
}

static void strangers_who_knock_disturb_nobody(void **state)
{
    struct rank ranks[2];
    pthread_t threads[2], knocking;
    float x[2][8];
    struct err err;

    (void)state;
    for (int i = 0; i < 2; i++) {
        open_ring(&ranks[i], i, 2, 0);
        ranks[i].all = ranks;
    }
    assert_int_equal(pthread_create(&threads[1], NULL, join_main, &ranks[1]), 0);
    assert_int_equal(join(&ranks[0]), LC_OK);
    pthread_join(threads[1], NULL);
    for (int k = 0; k < 4; k++) { /* the first sum before they come, the others meanwhile */
        for (int i = 0; i < 2; i++) {
            memset(x[i], 0, sizeof x[i]);
            assert_int_equal(collective_start(&ranks[i].c, x[i], 8, COLLECTIVE_F32, &err), LC_OK);
        }
        for (int i = 0; i < 2; i++)
            if (collective_wait(&ranks[i].c, NULL, &err) != LC_OK)
                fail_msg("%s", err.message);
        if (k == 0)
            assert_int_equal(pthread_create(&knocking, NULL, knock, &ranks[0]), 0);
        usleep(300000);
    }
    pthread_join(knocking, NULL);
    sleep(1); /* longer than the grace of a lost connection */
    for (int i = 0; i < 2; i++)
        assert_int_equal(collective_start(&ranks[i].c, x[i], 8, COLLECTIVE_F32, &err), LC_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(collective_wait(&ranks[i].c, NULL, &err), LC_OK);
        collective_close(&ranks[i].c);
    }
}

static void one_that_leaves_is_named(void **state)
{
    struct rank ranks[3];
    int64_t begin = clock_mono_ns();

    (void)state;
    together(ranks, 3, 1000, 1, -1, 0);
    assert_int_equal(ranks[0].code, LC_WORKER);
    assert_int_equal(ranks[2].code, LC_WORKER);
    for (int i = 0; i < 3; i += 2)
        assert_non_null(strstr(ranks[i].err.message, "the connection to rank 1 is gone"));
    assert_true(clock_mono_ns() - begin < INT64_C(5000) * 1000000);
}

static void one_that_is_silent_is_named_in_time(void **state)
{
    struct rank ranks[3];

    (void)state;
    together(ranks, 3, 1000, -1, 1, 1000);
    assert_int_equal(ranks[2].code, LC_TIMEOUT); /* it waits for rank 1; the others hear of it */
    assert_non_null(strstr(ranks[2].err.message, "rank 1 has sent nothing for 1 s"));
    assert_true(ranks[0].code == LC_TIMEOUT);
    assert_true(ranks[1].code != LC_OK); /* it hears of it, too */
}

/* ---- a liar ---- */
struct liar { /* rank 1 of 2, made by hand: it has the right keys */
    void *context, *push, *pull;
    struct key_pair key;
    int port;
    char next[64];
};

/* When rank 0 knows its key: a refused client does not try again. */
static void *connect_late(void *arg)
{
    struct liar *l = arg;

    usleep(200000);
    zmq_connect(l->push, l->next);
    return NULL;
}

static void liar_open(struct liar *l)
{
    char endpoint[64];
    size_t n = sizeof endpoint;

    key_make(&l->key);
    l->context = zmq_ctx_new();
    l->pull = zmq_socket(l->context, ZMQ_PULL);
    l->push = zmq_socket(l->context, ZMQ_PUSH);
    socket_int(l->pull, ZMQ_LINGER, 0);
    socket_int(l->push, ZMQ_LINGER, 0);
    socket_int(l->pull, ZMQ_CURVE_SERVER, 1);
    zmq_setsockopt(l->pull, ZMQ_CURVE_SECRETKEY, l->key.sec, KEY_BYTES);
    assert_int_equal(zmq_bind(l->pull, "tcp://127.0.0.1:*"), 0);
    zmq_getsockopt(l->pull, ZMQ_LAST_ENDPOINT, endpoint, &n);
    l->port = atoi(strrchr(endpoint, ':') + 1);
}

static void liar_close(struct liar *l)
{
    zmq_close(l->push);
    zmq_close(l->pull);
    zmq_ctx_term(l->context);
}

/* What rank 0 says when rank 1 sends these bytes in place of a part of its sum. */
static enum lc told_by(void (*lie)(struct frame_key *key, struct frame *f, unsigned char *bytes, size_t *len),
                       struct err *err)
{
    struct rank r;
    struct liar l;
    struct frame_key key;
    float part[2] = {1, 2}, mine[4] = {0};
    struct frame f = {.kind = FRAME_SUM, .from = 1, .len = sizeof part, .part = part};
    unsigned char *bytes = calloc(1, 2 * FRAME_PART);
    size_t len = FRAME_HEAD + sizeof part;
    char endpoint[64];
    pthread_t connecting;
    enum lc code;

    open_ring(&r, 0, 2, 3000);
    liar_open(&l);
    zmq_setsockopt(l.push, ZMQ_CURVE_PUBLICKEY, l.key.pub, KEY_BYTES);
    zmq_setsockopt(l.push, ZMQ_CURVE_SECRETKEY, l.key.sec, KEY_BYTES);
    zmq_setsockopt(l.push, ZMQ_CURVE_SERVERKEY, ring_key(r.ring), KEY_BYTES);
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", ring_port(r.ring));
    snprintf(l.next, sizeof l.next, "%s", endpoint);
    assert_int_equal(pthread_create(&connecting, NULL, connect_late, &l), 0);
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", l.port);
    if (ring_join(NULL, r.ring, endpoint, l.key.pub, l.key.pub, 5000, &r.c, err) != LC_OK)
        fail_msg("%s", err->message);
    pthread_join(connecting, NULL);
    frame_key_from("of this test", &key);
    frame_write(&key, &f, bytes);
    if (lie)
        lie(&key, &f, bytes, &len);
    zmq_send(l.push, bytes, len, 0);
    if (!lie) /* the same once more */
        zmq_send(l.push, bytes, len, 0);
    code = collective_sum(&r.c, NULL, mine, 4, COLLECTIVE_F32, err);
    collective_close(&r.c);
    liar_close(&l);
    free(bytes);
    return code;
}

static void wrong_content(struct frame_key *key, struct frame *f, unsigned char *bytes, size_t *len)
{
    (void)key, (void)f, (void)len;
    bytes[FRAME_HEAD] ^= 1;
}

static void wrong_version(struct frame_key *key, struct frame *f, unsigned char *bytes, size_t *len)
{
    (void)key, (void)f, (void)len;
    bytes[4] = 9;
}

static void another_run(struct frame_key *key, struct frame *f, unsigned char *bytes, size_t *len)
{
    (void)len;
    frame_key_from("of the attempt before", key);
    frame_write(key, f, bytes);
}

static void too_long(struct frame_key *key, struct frame *f, unsigned char *bytes, size_t *len)
{
    (void)key, (void)f, (void)bytes;
    *len += 100;
}

static void no_frame(struct frame_key *key, struct frame *f, unsigned char *bytes, size_t *len)
{
    (void)key, (void)f;
    memcpy(bytes, "hello", 5);
    *len = 5;
}

static void another_place(struct frame_key *key, struct frame *f, unsigned char *bytes, size_t *len)
{
    (void)len;
    f->offset = 1 << 20;
    frame_write(key, f, bytes);
}

static void far_too_long(struct frame_key *key, struct frame *f, unsigned char *bytes, size_t *len)
{
    (void)key, (void)f, (void)bytes;
    *len = 2 * FRAME_PART; /* ZeroMQ itself ends the connection */
}

static void a_liar_is_named(void **state)
{
    static const struct {
        void (*lie)(struct frame_key *key, struct frame *f, unsigned char *bytes, size_t *len);
        const char *says;
    } lies[] = {{wrong_content, "not what its checksum says"},
                {wrong_version, "version 9"},
                {another_run, "of another run"},
                {too_long, "that says it has"},
                {no_frame, "no message of a ring"},
                {another_place, "out of step"},
                {NULL, "repeats itself"},
                {far_too_long, "connection to rank 1 is gone"}};
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        assert_int_equal(told_by(lies[i].lie, &err), LC_WORKER);
        assert_non_null(strstr(err.message, "rank 1"));
        if (!strstr(err.message, lies[i].says))
            fail_msg("'%s' is not in '%s'", lies[i].says, err.message);
    }
}

static void strangers_do_not_get_in(void **state)
{
    struct rank r;
    struct key_pair stranger, other;
    struct err err;
    void *context = zmq_ctx_new(), *push = zmq_socket(context, ZMQ_PUSH);
    char endpoint[64];
    struct liar l;

    (void)state;
    open_ring(&r, 0, 2, 0);
    liar_open(&l);
    key_make(&stranger);
    key_make(&other);
    socket_int(push, ZMQ_LINGER, 0);
    zmq_setsockopt(push, ZMQ_CURVE_PUBLICKEY, stranger.pub, KEY_BYTES);
    zmq_setsockopt(push, ZMQ_CURVE_SECRETKEY, stranger.sec, KEY_BYTES);
    zmq_setsockopt(push, ZMQ_CURVE_SERVERKEY, ring_key(r.ring), KEY_BYTES);
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", ring_port(r.ring));
    zmq_connect(push, endpoint);
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", l.port);
    assert_int_equal(ring_join(NULL, r.ring, endpoint, l.key.pub, other.pub, SHORT_MS, &r.c, &err),
                     LC_TIMEOUT);
    assert_non_null(strstr(err.message, "rank 1 did not reach rank 0"));
    ring_free(r.ring);
    liar_close(&l);
    zmq_close(push);
    zmq_ctx_term(context);
}

/* Ranks 0 and 1 wait for 2, which does not come. */
static void without_the_last(struct rank ranks[3], pthread_t threads[2])
{
    for (int i = 0; i < 3; i++) {
        open_ring(&ranks[i], i, 3, 0);
        ranks[i].all = ranks;
        ranks[i].n = 1000;
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, rank_main, &ranks[i]), 0);
    assert_int_equal(join(&ranks[2]), LC_OK);
}

static void an_abort_reaches_all(void **state)
{
    struct rank ranks[3];
    pthread_t threads[2];

    (void)state;
    without_the_last(ranks, threads);
    collective_abort(&ranks[2].c, LC_NOSPACE, "the disk is full");
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(ranks[i].code, LC_NOSPACE);
        assert_string_equal(ranks[i].err.message, "rank 2: the disk is full");
    }
    collective_close(&ranks[2].c);
}

static void *wait_and_cancel(void *arg)
{
    usleep(300000);
    atomic_store((atomic_bool *)arg, true);
    return NULL;
}

static void a_cancelled_wait_ends_the_ring(void **state)
{
    struct rank ranks[2];
    struct ctx ctx = ctx_background();
    atomic_bool cancel = false;
    float x[1000] = {0};
    pthread_t other, canceller;
    struct err err;

    (void)state;
    for (int i = 0; i < 2; i++) {
        open_ring(&ranks[i], i, 2, 0);
        ranks[i].all = ranks;
        ranks[i].n = 1000;
        ranks[i].silent = 1;
    }
    ctx.cancel = &cancel;
    assert_int_equal(pthread_create(&other, NULL, rank_main, &ranks[1]), 0);
    assert_int_equal(join(&ranks[0]), LC_OK);
    assert_int_equal(pthread_create(&canceller, NULL, wait_and_cancel, &cancel), 0);
    assert_int_equal(collective_sum(&ranks[0].c, &ctx, x, 1000, COLLECTIVE_F32, &err), LC_CANCELLED);
    assert_int_equal(collective_sum(&ranks[0].c, NULL, x, 1000, COLLECTIVE_F32, &err),
                     LC_CANCELLED); /* for good */
    pthread_join(other, NULL);
    pthread_join(canceller, NULL);
    assert_int_equal(ranks[1].code, LC_CANCELLED);
    assert_non_null(strstr(ranks[1].err.message, "rank 0: "));
    collective_close(&ranks[0].c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_and_copies_are_right), cmocka_unit_test(strangers_who_knock_disturb_nobody),
        cmocka_unit_test(one_that_leaves_is_named),  cmocka_unit_test(one_that_is_silent_is_named_in_time),
        cmocka_unit_test(a_liar_is_named),           cmocka_unit_test(strangers_do_not_get_in),
        cmocka_unit_test(an_abort_reaches_all),      cmocka_unit_test(a_cancelled_wait_ends_the_ring),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
