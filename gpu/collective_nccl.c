#include "gpu/collective_nccl.h"
#include "runtime/base/mem.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { SCRATCH = 1 << 16, POLL_US = 50 };

struct member {
    struct nccl nccl;
    struct backend *backend;       /* borrowed */
    const struct collective *wire; /* borrowed; NULL: none */
    struct backend_stream *stream; /* owned; NULL: the device has no queues */
    void *comm;
    void *scratch; /* owned device memory */
    double *host;  /* borrowed: where the sums of scratch go at the next wait; NULL: none */
    size_t host_bytes;
    pthread_mutex_t lock; /* of what follows: an abort may come from any thread */
    bool aborted;         /* the communicator is gone */
    enum lc failed;
    struct err err;
};

static enum lc check(struct member *m, int result, const char *what, struct err *err)
{
    enum lc code;

    pthread_mutex_lock(&m->lock);
    if (result != 0 && m->failed == LC_OK)
        m->failed = err_set(&m->err, LC_WORKER, "NCCL's %s failed: %s", what, m->nccl.error_text(result));
    code = m->failed;
    if (code != LC_OK && err)
        *err = m->err;
    pthread_mutex_unlock(&m->lock);
    return code;
}

/* ---- sums ---- */
static void *queue_of(const struct member *m)
{
    const struct backend_ops *ops = m->backend->ops;

    return ops->queue ? ops->queue(m->backend->state, m->stream) : NULL;
}

/* NCCL's stream comes after the backend's; or back: the other way round. */
static void in_order(const struct member *m, bool back)
{
    const struct backend_ops *ops = m->backend->ops;

    if (ops->after)
        ops->after(m->backend->state, back ? NULL : m->stream, back ? m->stream : NULL);
}

static enum lc reduce(struct member *m, void *data, size_t n, int type, struct err *err)
{
    in_order(m, false);
    return check(m, m->nccl.all_reduce(data, data, n, type, NCCL_SUM, m->comm, queue_of(m)), "all-reduce",
                 err);
}

static enum lc start(void *state, void *data, int64_t n, enum collective_type type, struct err *err)
{
    struct member *m = state;
    const struct backend_ops *ops = m->backend->ops;

    TRY(check(m, 0, "", err));
    if (type == COLLECTIVE_F32)
        return reduce(m, data, (size_t)n, NCCL_FLOAT32, err);
    if (m->wire)
        return collective_start(m->wire, data, n, type, err);
    if (m->host || (size_t)n * sizeof(double) > SCRATCH)
        return err_set(err, LC_LIMIT, "cannot sum %lld numbers of the host at once", (long long)n);
    m->host = data;
    m->host_bytes = (size_t)n * sizeof(double);
    TRY(ops->upload(m->backend->state, NULL, m->scratch, data, m->host_bytes, err));
    return reduce(m, m->scratch, (size_t)n, NCCL_FLOAT64, err);
}

/* The device's work ends, or something does that it waits for. */
static enum lc poll_device(struct member *m, const struct ctx *ctx, struct err *err)
{
    const struct backend_ops *ops = m->backend->ops;
    const struct timespec tick = {.tv_nsec = POLL_US * 1000};

    while (ops->idle && !ops->idle(m->backend->state, m->stream)) {
        TRY(check(m, 0, "", err));
        TRY(ctx_check(ctx, err));
        if (m->wire)
            TRY(collective_check(m->wire, err));
        nanosleep(&tick, NULL);
    }
    TRY(check(m, 0, "", err));
    return ops->sync(m->backend->state, m->stream, err);
}

static void stop(void *state, enum lc code, const char *why);

static enum lc wait_for_all(void *state, const struct ctx *ctx, struct err *err)
{
    struct member *m = state;
    const struct backend_ops *ops = m->backend->ops;
    double *host = m->host;
    struct err own = {0};
    enum lc code;

    m->host = NULL;
    TRY(ctx_check(ctx, err));
    code = poll_device(m, ctx, &own);
    if (code == LC_OK)
        code = check(m, 0, "", &own); /* an abort ends the wait, too */
    if (code != LC_OK) {
        stop(m, code, own.message); /* or NCCL's kernels would hold the device */
        if (err)
            *err = own;
        return code;
    }
    in_order(m, true);
    if (m->wire)
        return collective_wait(m->wire, ctx, err);
    return host ? ops->download(m->backend->state, NULL, host, m->scratch, m->host_bytes, err) : LC_OK;
}

static enum lc broadcast(void *state, const struct ctx *ctx, void *data, size_t bytes, int root,
                         struct err *err)
{
    struct member *m = state;

    TRY(check(m, 0, "", err));
    in_order(m, false);
    TRY(check(m, m->nccl.broadcast(data, data, bytes, NCCL_CHAR, root, m->comm, queue_of(m)), "broadcast",
              err));
    return wait_for_all(state, ctx, err);
}

static void stop(void *state, enum lc code, const char *why)
{
    struct member *m = state;
    bool first;

    pthread_mutex_lock(&m->lock);
    first = m->failed == LC_OK;
    if (first)
        m->failed = err_set(&m->err, code, "%s", why);
    m->aborted = m->aborted || first;
    pthread_mutex_unlock(&m->lock);
    if (first)
        (void)m->nccl.comm_abort(m->comm); /* its kernels end, here; the coordinator tells the others */
}

static void stop_all(void *state, enum lc code, const char *why)
{
    struct member *m = state;

    if (m->wire) /* the others hear of it there, with the reason */
        collective_abort(m->wire, code, why);
    stop(m, code, why);
}

static enum lc failed_so_far(void *state, struct err *err)
{
    struct member *m = state;

    TRY(check(m, 0, "", err));
    return m->wire ? collective_check(m->wire, err) : LC_OK;
}

static void member_free(void *state)
{
    struct member *m = state;

    if (m->comm && m->failed == LC_OK)
        (void)m->nccl.comm_destroy(m->comm);
    else if (m->comm && !m->aborted) /* one that failed must not be waited for */
        (void)m->nccl.comm_abort(m->comm);
    if (m->stream)
        m->backend->ops->stream_free(m->backend->state, m->stream);
    m->backend->ops->release(m->backend->state, m->scratch, SCRATCH);
    pthread_mutex_destroy(&m->lock);
    mem_free(m);
}

enum lc nccl_make_id(const char *library, struct nccl_id *out, struct err *err)
{
    struct nccl nccl;
    int result;

    TRY(nccl_load(library, &nccl, err));
    result = nccl.get_unique_id(out);
    return result == 0 ? LC_OK : err_set(err, LC_WORKER, "NCCL cannot begin: %s", nccl.error_text(result));
}

static enum lc open_member(struct member *m, const struct nccl_options *o, struct err *err)
{
    const struct backend_ops *ops = o->backend->ops;
    void *comm = NULL;

    TRY(nccl_load(o->library, &m->nccl, err));
    TRY(ops->alloc(o->backend->state, SCRATCH, &m->scratch, err));
    if (ops->queue)
        TRY(ops->stream_new(o->backend->state, &m->stream, err));
    TRY(check(m, m->nccl.comm_init_rank(&comm, o->size, o->id, o->rank), "start", err));
    m->comm = comm;
    return LC_OK;
}

enum lc nccl_join(const struct nccl_options *o, struct collective *out, struct err *err)
{
    static const struct collective_ops ops = {"nccl",   start,       wait_for_all, broadcast,
                                              stop_all, member_free, failed_so_far};
    struct member *m = mem_zalloc(sizeof *m);
    enum lc code;

    if (!m)
        return err_nomem(err);
    m->backend = o->backend;
    m->wire = o->wire;
    pthread_mutex_init(&m->lock, NULL);
    code = open_member(m, o, err);
    if (code != LC_OK)
        return member_free(m), code;
    *out = (struct collective){&ops, m, o->rank, o->size};
    return LC_OK;
}
