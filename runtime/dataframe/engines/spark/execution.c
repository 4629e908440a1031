#include "runtime/dataframe/engines/spark/execution.h"
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include <string.h>

enum { IDLE_CALLS = 1000, RELEASE_EVERY = 8, RESULT_COMPLETE = 14, RESPONSE_ID = 13 };

struct execution {
    struct client *client;
    const struct ctx *ctx;
    const atomic_bool *stop;
    struct grpc *call; /* owned; NULL: no connection carries it now */
    struct buf request, message;
    char id[UUID_TEXT], last[80]; /* the operation's; of the last answer, "" before the first */
    int unreleased, idle;         /* answers since the last release; calls that ended without one, in a row */
    bool complete, ended;         /* the server said so; nothing more is to come */
    struct retry retry;
};

static void put_options(struct buf *out)
{
    size_t option = pb_begin(out, 5), reattach = pb_begin(out, 1);

    pb_int(out, 1, 1);
    pb_end(out, reattach);
    pb_end(out, option);
}

static void put_tags(struct buf *out, const char *tags)
{
    for (size_t n; *tags; tags += n + (tags[n] == '\n')) {
        n = strcspn(tags, "\n");
        pb_bytes(out, 7, tags, n);
    }
}

static enum lc start(struct execution *x, struct err *err)
{
    return client_begin(x->client, x->ctx, x->stop, RPC_EXECUTE, &x->request, &x->call, err);
}

static enum lc reattach(struct execution *x, struct err *err)
{
    struct buf request = BUF_INIT(1 << 16);
    enum lc rc;

    client_request(x->client, RPC_REATTACH, &request);
    pb_text(&request, 3, x->id);
    if (x->last[0])
        pb_text(&request, 5, x->last);
    rc = client_begin(x->client, x->ctx, x->stop, RPC_REATTACH, &request, &x->call, err);
    buf_release(&request);
    return rc;
}

enum lc execution_open(struct client *c, const struct ctx *ctx, const atomic_bool *stop,
                       const struct buf *plan, const char *tags, struct execution **out, struct err *err)
{
    struct execution *x = mem_zalloc(sizeof *x);
    enum lc rc;

    if (!x)
        return err_nomem(err);
    *x = (struct execution){.client = c, .ctx = ctx, .stop = stop};
    buf_init(&x->request, plan->len + (1 << 20));
    buf_init(&x->message, GRPC_MESSAGE_MAX);
    uuid_make(x->id);
    client_request(c, RPC_EXECUTE, &x->request);
    pb_bytes(&x->request, 3, buf_str(plan), plan->len);
    put_options(&x->request);
    pb_text(&x->request, 6, x->id);
    put_tags(&x->request, tags);
    rc = buf_check(&x->request, err);
    while (rc == LC_OK) {
        struct err failure;
        err_clear(&failure);
        rc = start(x, &failure);
        if (rc == LC_OK)
            break;
        if (err)
            *err = failure;
        rc = client_retry(c, ctx, stop, &x->retry, rc, NULL, err);
    }
    if (rc != LC_OK) {
        x->ended = true;
        execution_close(x);
        return rc;
    }
    *out = x;
    return LC_OK;
}

static void release(struct execution *x, bool all)
{
    struct buf request = BUF_INIT(4096);

    client_request(x->client, RPC_RELEASE, &request);
    pb_text(&request, 3, x->id);
    if (all) {
        pb_empty(&request, 5);
    } else {
        size_t mark = pb_begin(&request, 6);
        pb_text(&request, 1, x->last);
        pb_end(&request, mark);
    }
    client_post(x->client, RPC_RELEASE, &request);
    buf_release(&request);
}

static enum lc take_answer(struct execution *x, struct err *err)
{
    struct pb_reader r = pb_open(x->message.data, x->message.len);
    struct pb_field f;
    bool first = x->last[0] == '\0', named = false;

    if (first)
        TRY(client_check_session(x->client, RPC_EXECUTE, &x->message, err));
    while (pb_next(&r, &f))
        if (f.number == RESPONSE_ID && (named = f.len > 0))
            pb_copy(&f, x->last, sizeof x->last);
        else if (f.number == RESULT_COMPLETE)
            x->complete = true;
    if (r.failed || !named)
        return err_set(err, LC_DATA, "the Spark server sent an answer that is not a message");
    x->retry = (struct retry){0};
    x->idle = 0;
    if (++x->unreleased >= RELEASE_EVERY && !x->complete) {
        release(x, false);
        x->unreleased = 0;
    }
    return LC_OK;
}

/* The operation is not known there: what was sent has not arrived. */
static bool not_arrived(const struct execution *x, const struct grpc_status *s)
{
    char class[128];

    client_error_class(s, class, sizeof class);
    return !x->last[0] && (strcmp(class, "INVALID_HANDLE.OPERATION_NOT_FOUND") == 0 ||
                           strcmp(class, "INVALID_HANDLE.SESSION_NOT_FOUND") == 0);
}

/* The call ended (rc LC_OK: with this status) before the operation did. */
static enum lc resume(struct execution *x, enum lc rc, const struct grpc_status *s, struct err *err)
{
    bool again = rc == LC_OK && not_arrived(x, s) && x->retry.attempts < 5;

    if (rc == LC_OK && s->code == GRPC_OK && ++x->idle > IDLE_CALLS)
        return err_set(err, LC_DATA, "the Spark server ends calls without an answer");
    if (rc == LC_OK && s->code == GRPC_OK) { /* the server's time for one call is over */
        rc = reattach(x, err);
        s = NULL;
    } else if (again) {
        x->retry.attempts++;
        rc = start(x, err);
        s = NULL;
    }
    while (!x->call) {
        struct err failure = {0};
        if (err)
            failure = *err;
        rc = client_retry(x->client, x->ctx, x->stop, &x->retry, rc, s, &failure);
        if (rc != LC_OK) {
            if (err)
                *err = failure;
            return rc;
        }
        rc = reattach(x, err);
        if (rc == LC_OK)
            break;
        s = NULL;
    }
    return LC_OK;
}

enum lc execution_next(struct execution *x, struct pb_reader *answer, bool *more, struct err *err)
{
    *more = false;
    while (!x->ended) {
        bool got = false;
        struct grpc_status *status;
        enum lc rc = grpc_next(x->call, x->ctx, &x->message, &got, err);

        if (rc == LC_OK && got) {
            rc = take_answer(x, err);
            *answer = pb_open(x->message.data, x->message.len);
            *more = true;
            return rc;
        }
        if (rc == LC_OK && x->complete && grpc_status(x->call)->code == GRPC_OK) {
            x->ended = true;
            break;
        }
        status = mem_alloc(sizeof *status);
        if (!status)
            return err_nomem(err);
        *status = *grpc_status(x->call);
        client_done(x->client, x->call);
        x->call = NULL;
        if (x->complete)
            x->ended = true;
        else
            rc = resume(x, rc, status, err);
        mem_free(status);
        if (rc != LC_OK && !x->ended) {
            x->ended = rc != LC_CANCELLED && rc != LC_TIMEOUT &&
                       rc != LC_NET; /* failed there: nothing runs any more */
            return rc;
        }
    }
    return LC_OK;
}

static void interrupt(struct execution *x)
{
    struct buf request = BUF_INIT(4096);

    client_request(x->client, RPC_INTERRUPT, &request);
    pb_int(&request, 4, 3);
    pb_text(&request, 6, x->id);
    client_post(x->client, RPC_INTERRUPT, &request);
    buf_release(&request);
}

void execution_close(struct execution *x)
{
    if (!x)
        return;
    if (x->call) {
        if (!x->ended)
            grpc_cancel(x->call);
        client_done(x->client, x->call);
    }
    if (!x->ended && !x->complete)
        interrupt(x);
    if (buf_ok(&x->request) && x->id[0] && (x->last[0] || !x->ended))
        release(x, true);
    buf_release(&x->request);
    buf_release(&x->message);
    mem_free(x);
}
