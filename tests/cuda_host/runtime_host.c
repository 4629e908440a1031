/* runtime_host.c: gpu/cuda/runtime.h over plain memory: the device of the host emulation. Under AddressSanitizer what
 * was allocated here can be touched by kernels and copies only, as on a real device. */
#include "gpu/cuda/runtime.h"
#include "runtime/base/mem.h"
#include "tests/cuda_host/stream.h"
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define __asan_poison_memory_region(p, n)   ((void)(p), (void)(n))
#define __asan_unpoison_memory_region(p, n) ((void)(p), (void)(n))
#endif

struct block {
    struct block *next;
    void *p;
    size_t bytes;
};

static struct {
    pthread_mutex_t mutex;
    struct block *blocks;
    int open; /* how deep in kernels and copies */
} device = {PTHREAD_MUTEX_INITIALIZER, NULL, 0};

void cuda_host_begin(void)
{
    pthread_mutex_lock(&device.mutex);
    if (device.open++ == 0)
        for (struct block *b = device.blocks; b; b = b->next)
            __asan_unpoison_memory_region(b->p, b->bytes);
    pthread_mutex_unlock(&device.mutex);
}

void cuda_host_end(void)
{
    pthread_mutex_lock(&device.mutex);
    if (--device.open == 0)
        for (struct block *b = device.blocks; b; b = b->next)
            __asan_poison_memory_region(b->p, b->bytes);
    pthread_mutex_unlock(&device.mutex);
}

enum lc cuda_open_device(int index, struct cuda_device *out, struct err *err)
{
    if (index < 0 || index >= cuda_device_count())
        return err_set(err, LC_MISSING, "there is no GPU %d: the host emulation has %d", index,
                       cuda_device_count());
    *out = (struct cuda_device){.name = "host emulation",
                                .major = 9,
                                .memory = (size_t)4 << 30,
                                .shared = 163 << 10,
                                .multiprocessors = 1};
    snprintf(out->identity, sizeof out->identity, "emulated %d", index);
    return LC_OK;
}

int cuda_device_count(void)
{
    const char *wanted = getenv("LACUS_CUDA_HOST_GPUS");

    return wanted && atoi(wanted) > 0 ? atoi(wanted) : 1;
}

enum lc cuda_malloc(size_t bytes, void **out, struct err *err)
{
    struct block *b;
    void *p = NULL;

    if (!cuda_host_settle())
        return err_set(err, LC_RUNTIME,
                       "cannot allocate memory on the GPU: operation not permitted when stream is capturing");
    cuda_host_counts.allocated++;
    b = mem_alloc(sizeof *b);
    if (!b || posix_memalign(&p, 256, bytes) != 0) {
        mem_free(b);
        return err_nomem(err);
    }
    memset(p, 0xff, bytes); /* NaN: a GPU's memory is not zero either */
    *b = (struct block){.p = p, .bytes = bytes};
    pthread_mutex_lock(&device.mutex);
    b->next = device.blocks;
    device.blocks = b;
    if (device.open == 0)
        __asan_poison_memory_region(p, bytes);
    pthread_mutex_unlock(&device.mutex);
    *out = p;
    return LC_OK;
}

void cuda_free(void *p)
{
    struct block **at = &device.blocks, *b;

    if (!p)
        return;
    (void)cuda_host_settle();
    pthread_mutex_lock(&device.mutex);
    while ((*at)->p != p)
        at = &(*at)->next;
    b = *at;
    *at = b->next;
    pthread_mutex_unlock(&device.mutex);
    __asan_unpoison_memory_region(p, b->bytes);
    free(p);
    mem_free(b);
}

enum lc cuda_malloc_host(size_t bytes, void **out, struct err *err)
{
    *out = mem_alloc(bytes);
    return *out ? LC_OK : err_nomem(err);
}

void cuda_free_host(void *p)
{
    mem_free(p);
}

size_t cuda_memory_free(void)
{
    return (size_t)2 << 30;
}

/* ---- copies, in their turn ---- */
struct copy {
    void *to;
    const void *from; /* NULL: zeros */
    size_t bytes;
};

static bool run_copy(void *arg)
{
    struct copy c;

    memcpy(&c, arg, sizeof c);
    cuda_host_begin();
    if (c.from)
        memmove(c.to, c.from, c.bytes);
    else
        memset(c.to, 0, c.bytes);
    cuda_host_end();
    return true;
}

void cuda_copy(struct CUstream_st *s, void *to, const void *from, size_t bytes)
{
    struct copy c = {to, from, bytes};

    cuda_host_put(s, "a copy", run_copy, &c, sizeof c);
}

void cuda_upload(struct CUstream_st *s, void *to, const void *from, size_t bytes)
{
    cuda_copy(s, to, from, bytes);
}

void cuda_download(struct CUstream_st *s, void *host, const void *from, size_t bytes)
{
    cuda_copy(s, host, from, bytes);
}

void cuda_zero(struct CUstream_st *s, void *p, size_t bytes)
{
    struct copy c = {p, NULL, bytes};

    cuda_host_put(s, "zeros", run_copy, &c, sizeof c);
}
