#include "runtime/train/device.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include <stdlib.h>
#include <string.h>

/* The GPU of this rank's number; where a worker is shown one GPU only, that one. */
static enum lc open_gpu(struct backend_options o, struct backend **out, struct err *err)
{
    enum lc rc = backend_open("cuda", &o, out, err);

    if (rc != LC_MISSING || o.device == 0)
        return rc;
    o.device = 0;
    return backend_open("cuda", &o, out, err);
}

enum lc train_device_open(int threads, int beside, struct backend **out, struct err *err)
{
    struct backend_options o = {.threads = threads};
    const char *named = getenv("LACUS_DEVICE");
    char *plugin = fs_installed("plugins/gpu_cuda.so");
    bool there = plugin != NULL;

    mem_free(plugin);
    if (named && *named && strcmp(named, "cuda") != 0)
        return backend_open(named, &o, out, err);
    o.device = beside;
    if (named && *named)
        return open_gpu(o, out, err);
    if (there && open_gpu(o, out, err) == LC_OK)
        return LC_OK;
    o.device = 0;
    return backend_open("cpu", &o, out, err);
}
