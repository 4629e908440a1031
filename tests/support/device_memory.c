#include "tests/support/device_memory.h"
#include "runtime/base/mem.h"
#include <dlfcn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

typedef int managed_alloc(unsigned long long *p, size_t bytes, unsigned flags);
typedef int managed_free(unsigned long long p);

enum { ATTACH_GLOBAL = 1, HEAD = 256 }; /* before what is handed out: whether it is managed */

static void *driver(const char *name)
{
    const char *wanted = getenv("LACUS_TEST_MANAGED");
    void *library = wanted && *wanted ? dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL) : NULL;

    return library ? dlsym(library, name) : NULL;
}

/* Fails before a backend has made a context: then plain memory will do. */
static char *managed(size_t bytes)
{
    managed_alloc *alloc = (managed_alloc *)driver("cuMemAllocManaged");
    unsigned long long p = 0;

    return alloc && alloc(&p, bytes, ATTACH_GLOBAL) == 0 ? (char *)(size_t)p : NULL;
}

void *device_alloc(size_t bytes)
{
    char *p = managed(bytes + HEAD);
    bool is_managed = p != NULL;

    if (!p)
        p = mem_alloc(bytes + HEAD);
    if (!p)
        return NULL;
    memcpy(p, &is_managed, sizeof is_managed);
    return p + HEAD;
}

void *device_calloc(size_t n, size_t size)
{
    void *p = device_alloc(n * size);

    if (p)
        memset(p, 0, n * size);
    return p;
}

void device_free(void *p)
{
    char *raw = p ? (char *)p - HEAD : NULL;
    bool is_managed;

    if (!p)
        return;
    memcpy(&is_managed, raw, sizeof is_managed);
    if (is_managed)
        ((managed_free *)driver("cuMemFree_v2"))((unsigned long long)(size_t)raw);
    else
        mem_free(raw);
}
