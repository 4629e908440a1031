#include "gpu/nccl.h"
#include "gpu/library.h"
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIBRARY "libnccl.so.2"
enum { VERSION_LEAST = 2400 }; /* 2.4.0 brought ncclCommAbort */

static const struct {
    const char *name;
    size_t offset;
} FUNCTIONS[] = {{"ncclGetVersion", offsetof(struct nccl, get_version)},
                 {"ncclGetUniqueId", offsetof(struct nccl, get_unique_id)},
                 {"ncclCommInitRank", offsetof(struct nccl, comm_init_rank)},
                 {"ncclAllReduce", offsetof(struct nccl, all_reduce)},
                 {"ncclBroadcast", offsetof(struct nccl, broadcast)},
                 {"ncclCommAbort", offsetof(struct nccl, comm_abort)},
                 {"ncclCommDestroy", offsetof(struct nccl, comm_destroy)},
                 {"ncclGetErrorString", offsetof(struct nccl, error_text)}};

enum lc nccl_load(const char *library, struct nccl *out, struct err *err)
{
    const char *named = getenv("LACUS_NCCL"), *name = library ? library : named && *named ? named : LIBRARY;
    void *lib =
        strcmp(name, LIBRARY) == 0 ? library_open(name) : dlopen(*name ? name : NULL, RTLD_NOW | RTLD_LOCAL);

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

enum lc nccl_version(const char *library, int *version, struct err *err)
{
    struct nccl nccl;
    char text[24];

    TRY(nccl_load(library, &nccl, err));
    if (nccl.get_version(version) != 0)
        return err_set(err, LC_MISSING, "NCCL does not say which version it is");
    nccl_version_text(*version, text);
    return *version >= VERSION_LEAST
               ? LC_OK
               : err_set(err, LC_MISSING, "cannot train on several GPUs: NCCL %s is older than 2.4", text);
}

/* Until 2.8 a version was 1000 major + 100 minor + patch, since then 10000 major. */
void nccl_version_text(int version, char out[24])
{
    int major = version < 10000 ? 1000 : 10000;

    (void)snprintf(out, 24, "%d.%d.%d", version / major, version % major / 100, version % 100);
}
