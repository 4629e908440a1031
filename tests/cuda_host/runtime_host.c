/* runtime_host.c: gpu/cuda/runtime.h over plain memory: the device of the host emulation. Under AddressSanitizer what
 * was allocated here can be touched by kernels and copies only, as on a real device. */
#include "gpu/cuda/runtime.h"
#include "runtime/base/mem.h"
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

void cuda_host_begin(void);
void cuda_host_end(void);

/* Around whatever the device does. */
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
    if (index != 0)
        return err_set(err, LC_MISSING, "there is no GPU %d: the host emulation has one", index);
    *out = (struct cuda_device){.name = "host emulation",
                                .major = 8,
                                .memory = (size_t)4 << 30,
                                .shared = 163 << 10,
                                .multiprocessors = 1};
    return LC_OK;
}

int cuda_device_count(void)
{
    return 1;
}

enum lc cuda_malloc(size_t bytes, void **out, struct err *err)
{
    struct block *b = mem_alloc(sizeof *b);
    void *p = NULL;

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

enum lc cuda_stream_new(struct CUstream_st **out, struct err *err)
{
    *out = mem_alloc(1); /* something to free */
    return *out ? LC_OK : err_nomem(err);
}

void cuda_stream_free(struct CUstream_st *s)
{
    mem_free(s);
}

enum lc cuda_stream_sync(struct CUstream_st *s, struct err *err)
{
    (void)s;
    (void)err;
    return LC_OK;
}

enum lc cuda_event_new(struct CUevent_st **out, struct err *err)
{
    *out = mem_alloc(1);
    return *out ? LC_OK : err_nomem(err);
}

void cuda_event_free(struct CUevent_st *e)
{
    mem_free(e);
}

void cuda_event_record(struct CUevent_st *e, struct CUstream_st *s)
{
    (void)e;
    (void)s;
}

enum lc cuda_event_wait(struct CUevent_st *e, struct err *err)
{
    (void)e;
    (void)err;
    return LC_OK;
}

void cuda_copy(struct CUstream_st *s, void *to, const void *from, size_t bytes)
{
    (void)s;
    cuda_host_begin();
    memmove(to, from, bytes);
    cuda_host_end();
}

void cuda_upload(struct CUstream_st *s, void *to, const void *from, size_t bytes)
{
    cuda_copy(s, to, from, bytes);
}

void cuda_download(struct CUstream_st *s, void *to, const void *from, size_t bytes)
{
    cuda_copy(s, to, from, bytes);
}

void cuda_zero(struct CUstream_st *s, void *p, size_t bytes)
{
    (void)s;
    cuda_host_begin();
    memset(p, 0, bytes);
    cuda_host_end();
}
