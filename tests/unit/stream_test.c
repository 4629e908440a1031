/* stream_test.c: the streams of a session: what their readers may rely on, with an engine of the test's own. */
#include "runtime/dataframe/engines/engine.h"
#include "runtime/spark/stream_int.h"
#include "tests/support/unit.h"
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct engine { /* gives batches of one row, then an end or an error */
    int batches, fail;
    atomic_int given, batches_alive, streams_alive;
    bool tells;
};

struct fake {
    struct engine *e;
    const struct ctx *ctx;
    int left;
};

static void release_batch(struct ArrowArray *a)
{
    atomic_fetch_sub(&((struct engine *)a->private_data)->batches_alive, 1);
    a->release = NULL;
}

static void release_schema(struct ArrowSchema *s)
{
    s->release = NULL;
}

static int get_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out)
{
    (void)stream;
    *out = (struct ArrowSchema){.format = "+s", .release = release_schema};
    return 0;
}

static int get_next(struct ArrowArrayStream *stream, struct ArrowArray *out)
{
    struct fake *f = stream->private_data;

    memset(out, 0, sizeof *out);
    if (f->e->tells)
        f->ctx->progress->told(f->ctx->progress->self, 0.5);
    if (ctx_check(f->ctx, NULL) != LC_OK)
        return ECANCELED;
    if (f->left == 0 && f->e->fail)
        return f->left--, f->e->fail;
    if (f->left <= 0)
        return 0; /* after an error, too: an engine may forget it */
    f->left--;
    usleep(100);
    atomic_fetch_add(&f->e->given, 1);
    atomic_fetch_add(&f->e->batches_alive, 1);
    *out = (struct ArrowArray){.length = 1, .release = release_batch, .private_data = f->e};
    return 0;
}

static const char *get_last_error(struct ArrowArrayStream *stream)
{
    (void)stream;
    return "[DIVIDE_BY_ZERO] of the test";
}

static void release_stream(struct ArrowArrayStream *stream)
{
    struct fake *f = stream->private_data;

    atomic_fetch_sub(&f->e->streams_alive, 1);
    free(f);
    stream->release = NULL;
}

static enum lc execute(struct engine *e, const struct ctx *ctx, const struct plan *p,
                       struct ArrowArrayStream *out, struct err *err)
{
    struct fake *f = malloc(sizeof *f);

    (void)p;
    (void)err;
    *f = (struct fake){e, ctx, e->batches};
    atomic_fetch_add(&e->streams_alive, 1);
    *out = (struct ArrowArrayStream){get_schema, get_next, get_last_error, release_stream, f};
    return LC_OK;
}

static const struct engine_ops ops = {.version = ENGINE_VERSION, .name = "test", .execute = execute};

static void open_stream(struct streams *list, struct engine *e, const struct ctx *ctx,
                        struct ArrowArrayStream *out)
{
    const struct delta_engine engine = {&ops, e};
    struct err err;

    assert_int_equal(streams_execute(list, ctx, &engine, NULL, out, &err), LC_OK);
}

static int read_on(struct ArrowArrayStream *s, int *rows) /* to the end, or an error */
{
    struct ArrowArray batch;
    int code;

    while ((code = s->get_next(s, &batch)) == 0 && batch.release) {
        *rows += (int)batch.length;
        batch.release(&batch);
    }
    return code;
}

static void an_error_stays(void **state)
{
    struct streams *list = streams_new();
    struct engine e = {.batches = 3, .fail = EIO};
    struct ctx ctx = ctx_background();
    struct ArrowArrayStream s;
    int rows = 0;

    (void)state;
    open_stream(list, &e, &ctx, &s);
    assert_null(s.get_last_error(&s));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(read_on(&s, &rows), EIO);
        assert_string_equal(s.get_last_error(&s), "[DIVIDE_BY_ZERO] of the test");
    }
    assert_int_equal(rows, 3);
    s.release(&s);
    assert_null(s.release);
    assert_int_equal(atomic_load(&e.streams_alive), 0);
    streams_unref(list);
}

static void a_cancel_stays_when_it_is_taken_back(void **state)
{
    struct streams *list = streams_new();
    struct engine e = {.batches = 3};
    atomic_bool cancel = false;
    struct ctx ctx = ctx_background();
    struct ArrowArrayStream s;
    int rows = 0;

    (void)state;
    ctx.cancel = &cancel;
    open_stream(list, &e, &ctx, &s);
    memset(&ctx, 0xff, sizeof ctx); /* the stream has its own */
    atomic_store(&cancel, true);
    assert_int_equal(read_on(&s, &rows), ECANCELED);
    atomic_store(&cancel, false);
    assert_int_equal(read_on(&s, &rows), ECANCELED);
    assert_int_equal(rows, 0);
    s.release(&s);
    streams_unref(list);
}

static void streams_may_outlive_their_session(void **state)
{
    struct streams *list = streams_new();
    struct engine e = {.batches = 1000};
    struct ctx ctx = ctx_background();
    struct ArrowArrayStream s[3], whole;
    struct ArrowArray batch;
    struct ArrowSchema schema;
    int rows = 0;

    (void)state;
    for (int i = 0; i < 3; i++)
        open_stream(list, &e, &ctx, &s[i]);
    open_stream(list, &e, &ctx, &whole);
    assert_int_equal(read_on(&whole, &rows), 0);
    assert_int_equal(s[0].get_next(&s[0], &batch), 0);
    s[1].release(&s[1]); /* out of the middle of the list */
    streams_end(list);
    assert_int_equal(atomic_load(&e.streams_alive), 0);
    streams_end(list);
    streams_unref(list);
    assert_int_equal(s[0].get_next(&s[0], &(struct ArrowArray){0}), EIO);
    assert_int_equal(s[2].get_schema(&s[2], &schema), EIO);
    assert_string_equal(s[2].get_last_error(&s[2]), "the session that these rows come from has ended");
    assert_int_equal(batch.length, 1); /* it lives on its own */
    batch.release(&batch);
    s[2].release(&s[2]);
    s[0].release(&s[0]);
    whole.release(&whole);
    assert_int_equal(atomic_load(&e.batches_alive), 0);
}

/* ---- threads ---- */
static void *read_all(void *arg)
{
    struct ArrowArrayStream *s = arg;
    int rows = 0;
    intptr_t code = read_on(s, &rows);

    s->release(s);
    return (void *)code;
}

static void a_session_ends_while_others_read(void **state)
{
    enum { READERS = 4 };
    struct streams *list = streams_new();
    struct engine e = {.batches = 1000000};
    struct ctx ctx = ctx_background();
    struct ArrowArrayStream s[READERS];
    pthread_t threads[READERS];

    (void)state;
    for (int i = 0; i < READERS; i++) {
        open_stream(list, &e, &ctx, &s[i]);
        pthread_create(&threads[i], NULL, read_all, &s[i]);
    }
    while (atomic_load(&e.given) < 40)
        usleep(1000);
    streams_end(list);
    streams_unref(list);
    for (int i = 0; i < READERS; i++) {
        void *code;
        pthread_join(threads[i], &code);
        assert_int_equal((intptr_t)code, EIO);
    }
    assert_int_equal(atomic_load(&e.streams_alive), 0);
    assert_int_equal(atomic_load(&e.batches_alive), 0);
}

static void count(void *self, double done)
{
    (void)done;
    ++*(int *)self;
}

static void progress_is_told_on_the_thread_of_the_call_only(void **state)
{
    struct streams *list = streams_new();
    struct engine e = {.batches = 5, .tells = true};
    int told = 0, rows = 0;
    struct ctx_progress progress = {count, &told};
    struct ctx ctx = ctx_background();
    struct ArrowArrayStream s;
    pthread_t thread;

    (void)state;
    ctx.progress = &progress;
    open_stream(list, &e, &ctx, &s);
    assert_int_equal(read_on(&s, &rows), 0);
    assert_int_equal(told, 6);
    s.release(&s);
    open_stream(list, &e, &ctx, &s);
    pthread_create(&thread, NULL, read_all, &s);
    pthread_join(thread, NULL);
    assert_int_equal(told, 6);
    streams_unref(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(an_error_stays),
                                       cmocka_unit_test(a_cancel_stays_when_it_is_taken_back),
                                       cmocka_unit_test(streams_may_outlive_their_session),
                                       cmocka_unit_test(a_session_ends_while_others_read),
                                       cmocka_unit_test(progress_is_told_on_the_thread_of_the_call_only)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
