/* nccl_host.c: as much of NCCL as gpu/collective_nccl.c calls, for ranks on emulated devices: threads or processes of one
 * machine that share a file of memory. The emulated plugin itself is the library (LACUS_NCCL names it). What is asked is put
 * into the stream, as NCCL does, and waits there for the other ranks. LACUS_NCCL_HOST_VERSION says which it claims to be. */
#include "runtime/base/mem.h"
#include "tests/cuda_host/stream.h"
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { RANKS_MOST = 8, ROOM = 1 << 20, CHAR = 0, FLOAT32 = 7, FLOAT64 = 8, SUM = 0 };
enum { SUCCESS = 0, SYSTEM_ERROR = 2, INVALID_ARGUMENT = 4, REMOTE_ERROR = 6 };

struct shared {
    _Atomic int joined, left, aborted;
    _Atomic uint64_t given[RANKS_MOST], taken[RANKS_MOST]; /* rounds */
    unsigned char data[RANKS_MOST][ROOM];
};

struct comm {
    struct shared *shared;
    int rank, size;
    uint64_t round;
    struct comm *next;
};

static _Atomic(struct comm *) aborted; /* work in a stream may still look at them */

struct id {
    char bytes[128];
};

int ncclGetVersion(int *version);
int ncclGetUniqueId(struct id *id);
int ncclCommInitRank(void **out, int size, struct id id, int rank);
int ncclAllReduce(const void *from, void *to, size_t n, int type, int op, void *comm,
                  struct CUstream_st *stream);
int ncclBroadcast(const void *from, void *to, size_t n, int type, int root, void *comm,
                  struct CUstream_st *stream);
int ncclCommAbort(void *comm);
int ncclCommDestroy(void *comm);
const char *ncclGetErrorString(int result);

int ncclGetVersion(int *version)
{
    const char *wanted = getenv("LACUS_NCCL_HOST_VERSION");

    *version = wanted ? atoi(wanted) : 22703;
    return SUCCESS;
}

int ncclGetUniqueId(struct id *id)
{
    int fd;

    memset(id, 0, sizeof *id);
    snprintf(id->bytes, sizeof id->bytes, "/dev/shm/lacus-nccl-XXXXXX");
    fd = mkstemp(id->bytes);
    if (fd < 0 || ftruncate(fd, sizeof(struct shared)) != 0)
        return SYSTEM_ERROR;
    close(fd);
    return SUCCESS;
}

int ncclCommInitRank(void **out, int size, struct id id, int rank)
{
    struct comm *c = mem_zalloc(sizeof *c);
    int fd = open(id.bytes, O_RDWR | O_CLOEXEC);

    if (!c || fd < 0 || size > RANKS_MOST || rank >= size) {
        mem_free(c);
        return INVALID_ARGUMENT;
    }
    *c = (struct comm){.rank = rank, .size = size};
    c->shared = mmap(NULL, sizeof *c->shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (c->shared == MAP_FAILED)
        return SYSTEM_ERROR;
    atomic_fetch_add(&c->shared->joined, 1);
    while (atomic_load(&c->shared->joined) < size)
        usleep(100);
    if (rank == 0)
        unlink(id.bytes);
    *out = c;
    return SUCCESS;
}

/* One round: `bytes` of each rank meet in the shared memory. */
struct round {
    struct comm *comm;
    void *to;
    size_t bytes;
    int type, root; /* root -1: a sum */
    uint64_t number;
};

static bool all_at(const _Atomic uint64_t *rounds, int size, uint64_t n)
{
    for (int i = 0; i < size; i++)
        if (atomic_load(&rounds[i]) < n)
            return false;
    return true;
}

static void combine(const struct round *r)
{
    const struct shared *s = r->comm->shared;

    if (r->root >= 0)
        memcpy(r->to, s->data[r->root], r->bytes);
    for (size_t i = 0; r->root < 0 && r->type == FLOAT32 && i < r->bytes / sizeof(float); i++) {
        float sum = 0;

        for (int k = 0; k < r->comm->size; k++)
            sum += ((const float *)s->data[k])[i];
        ((float *)r->to)[i] = sum;
    }
    for (size_t i = 0; r->root < 0 && r->type == FLOAT64 && i < r->bytes / sizeof(double); i++) {
        double sum = 0;

        for (int k = 0; k < r->comm->size; k++)
            sum += ((const double *)s->data[k])[i];
        ((double *)r->to)[i] = sum;
    }
}

static bool run_round(void *arg)
{
    struct round r;
    struct shared *s;
    int me;

    memcpy(&r, arg, sizeof r);
    s = r.comm->shared;
    me = r.comm->rank;
    if (atomic_load(&s->aborted))
        return true;
    if (atomic_load(&s->given[me]) < r.number) {
        if (!all_at(s->taken, r.comm->size, r.number - 1))
            return false; /* somebody still reads the round before */
        cuda_host_begin();
        memcpy(s->data[me], r.to, r.bytes);
        cuda_host_end();
        atomic_store(&s->given[me], r.number);
    }
    if (!all_at(s->given, r.comm->size, r.number))
        return false;
    cuda_host_begin();
    combine(&r);
    cuda_host_end();
    atomic_store(&s->taken[me], r.number);
    return true;
}

static int put_rounds(const void *from, void *to, size_t n, int type, int root, struct comm *c,
                      struct CUstream_st *stream)
{
    size_t bytes = n * (type == FLOAT64 ? 8 : type == FLOAT32 ? 4 : 1);

    if (from != to || !stream || (type != CHAR && type != FLOAT32 && type != FLOAT64))
        return INVALID_ARGUMENT;
    for (size_t at = 0; at < bytes; at += ROOM) {
        struct round r = {c, (char *)to + at, bytes - at < ROOM ? bytes - at : ROOM, type, root, ++c->round};

        cuda_host_put(stream, "a sum of NCCL", run_round, &r, sizeof r);
    }
    return SUCCESS;
}

int ncclAllReduce(const void *from, void *to, size_t n, int type, int op, void *comm,
                  struct CUstream_st *stream)
{
    return op == SUM ? put_rounds(from, to, n, type, -1, comm, stream) : INVALID_ARGUMENT;
}

int ncclBroadcast(const void *from, void *to, size_t n, int type, int root, void *comm,
                  struct CUstream_st *stream)
{
    return put_rounds(from, to, n, type, root, comm, stream);
}

/* What is in the streams ends; the memory stays mapped, for it is looked at there. */
int ncclCommAbort(void *comm)
{
    struct comm *c = comm;

    atomic_store(&c->shared->aborted, 1);
    c->next = atomic_load(&aborted);
    while (!atomic_compare_exchange_weak(&aborted, &c->next, c))
        ;
    return SUCCESS;
}

int ncclCommDestroy(void *comm)
{
    struct comm *c = comm;

    munmap(c->shared, sizeof *c->shared);
    mem_free(c);
    return SUCCESS;
}

const char *ncclGetErrorString(int result)
{
    return result == INVALID_ARGUMENT ? "invalid argument"
           : result == REMOTE_ERROR   ? "remote process exited or there was a network error"
                                      : "unhandled system error";
}
