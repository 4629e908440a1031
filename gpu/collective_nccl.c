#include "gpu/collective_nccl.h"
#include "runtime/base/mem.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define LIBRARY "libnccl.so.2"
enum { NCCL_CHAR = 0, NCCL_FLOAT32 = 7, NCCL_FLOAT64 = 8, NCCL_SUM = 0, SCRATCH = 1 << 16 };

/* The functions of nccl.h that are used; its results are 0 for success. */
struct nccl {
    int (*get_unique_id)(struct nccl_id *);
    int (*comm_init_rank)(void **comm, int size, struct nccl_id id, int rank);
    int (*all_reduce)(const void *from, void *to, size_t n, int type, int op, void *comm, void *stream);
    int (*broadcast)(const void *from, void *to, size_t n, int type, int root, void *comm, void *stream);
    int (*comm_abort)(void *comm);
    int (*comm_destroy)(void *comm);
    const char *(*error_text)(int);
};

static const struct {
    const char *name;
    size_t offset;
} FUNCTIONS[] = {{"ncclGetUniqueId", offsetof(struct nccl, get_unique_id)},
                 {"ncclCommInitRank", offsetof(struct nccl, comm_init_rank)},
                 {"ncclAllReduce", offsetof(struct nccl, all_reduce)},
                 {"ncclBroadcast", offsetof(struct nccl, broadcast)},
                 {"ncclCommAbort", offsetof(struct nccl, comm_abort)},
                 {"ncclCommDestroy", offsetof(struct nccl, comm_destroy)},
                 {"ncclGetErrorString", offsetof(struct nccl, error_text)}};

struct member {
    struct nccl nccl;
    struct backend *backend; /* borrowed */
    void *comm;
    void *scratch; /* owned device memory */
    double *host;  /* borrowed: where the sums of scratch go at the next wait; NULL: none */
    size_t host_bytes;
    pthread_mutex_t lock; /* of what follows: an abort may come from any thread */
    bool aborted;         /* the communicator is gone */
    enum lc failed;
    struct err err;
};

static enum lc load(const char *library, struct nccl *out, struct err *err)
{
    const char *name = library ? library : LIBRARY;
    void *lib = dlopen(*name ? name : NULL, RTLD_NOW | RTLD_LOCAL);

    if (!lib) {
        (void)err_set(err, LC_MISSING, "cannot train on several GPUs: %s", dlerror());
        return err_hint(err, "NCCL 2 is in NVIDIA's packages: libnccl2, or the wheel nvidia-nccl-cu13");
    }
    for (size_t i = 0; i < sizeof FUNCTIONS / sizeof *FUNCTIONS; i++) {
        void *f = dlsym(lib, FUNCTIONS[i].name);

        if (!f)
            return err_set(err, LC_MISSING, "cannot train on several GPUs: '%s' has no %s", name,
                           FUNCTIONS[i].name);
        memcpy((char *)out + FUNCTIONS[i].offset, &f, sizeof f);
    }
    return LC_OK;
}

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

static enum lc start(void *state, void *data, int64_t n, enum collective_type type, struct err *err)
{
    struct member *m = state;
    const struct backend_ops *ops = m->backend->ops;

    TRY(check(m, 0, "", err));
    if (type == COLLECTIVE_F32)
        return check(m, m->nccl.all_reduce(data, data, (size_t)n, NCCL_FLOAT32, NCCL_SUM, m->comm, NULL),
                     "all-reduce", err);
    if (m->host || (size_t)n * sizeof(double) > SCRATCH)
        return err_set(err, LC_LIMIT, "cannot sum %lld numbers of the host at once", (long long)n);
    m->host = data;
    m->host_bytes = (size_t)n * sizeof(double);
    TRY(ops->upload(m->backend->state, NULL, m->scratch, data, m->host_bytes, err));
    return check(m,
                 m->nccl.all_reduce(m->scratch, m->scratch, (size_t)n, NCCL_FLOAT64, NCCL_SUM, m->comm, NULL),
                 "all-reduce", err);
}

static enum lc wait_for_all(void *state, const struct ctx *ctx, struct err *err)
{
    struct member *m = state;
    const struct backend_ops *ops = m->backend->ops;
    double *host = m->host;

    m->host = NULL;
    TRY(ctx_check(ctx, err));
    TRY(check(m, 0, "", err));
    TRY(ops->sync(m->backend->state, NULL, err));
    TRY(check(m, 0, "", err)); /* an abort ends the wait, too */
    return host ? ops->download(m->backend->state, NULL, host, m->scratch, m->host_bytes, err) : LC_OK;
}

static enum lc broadcast(void *state, const struct ctx *ctx, void *data, size_t bytes, int root,
                         struct err *err)
{
    struct member *m = state;

    TRY(check(m, 0, "", err));
    TRY(check(m, m->nccl.broadcast(data, data, bytes, NCCL_CHAR, root, m->comm, NULL), "broadcast", err));
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

static void member_free(void *state)
{
    struct member *m = state;

    if (m->comm && m->failed == LC_OK)
        (void)m->nccl.comm_destroy(m->comm);
    else if (m->comm && !m->aborted) /* one that failed must not be waited for */
        (void)m->nccl.comm_abort(m->comm);
    m->backend->ops->release(m->backend->state, m->scratch, SCRATCH);
    pthread_mutex_destroy(&m->lock);
    mem_free(m);
}

enum lc nccl_make_id(const char *library, struct nccl_id *out, struct err *err)
{
    struct nccl nccl;
    int result;

    TRY(load(library, &nccl, err));
    result = nccl.get_unique_id(out);
    return result == 0 ? LC_OK : err_set(err, LC_WORKER, "NCCL cannot begin: %s", nccl.error_text(result));
}

enum lc nccl_join(const char *library, const struct nccl_id *id, struct backend *backend, int rank, int size,
                  struct collective *out, struct err *err)
{
    static const struct collective_ops ops = {"nccl", start, wait_for_all, broadcast, stop, member_free};
    struct member *m = mem_zalloc(sizeof *m);
    enum lc code;

    if (!m)
        return err_nomem(err);
    m->backend = backend;
    pthread_mutex_init(&m->lock, NULL);
    code = load(library, &m->nccl, err);
    if (code == LC_OK)
        code = backend->ops->alloc(backend->state, SCRATCH, &m->scratch, err);
    if (code == LC_OK)
        code = check(m, m->nccl.comm_init_rank(&m->comm, size, *id, rank), "start", err);
    if (code != LC_OK)
        return member_free(m), code;
    *out = (struct collective){&ops, m, rank, size};
    return LC_OK;
}
