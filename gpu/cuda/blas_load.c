/* blas_load.c: finds libcublasLt: what LACUS_CUBLASLT names, then where the loader looks, then the toolkit's folders. */
#include "gpu/cuda/blas_api.h"
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    size_t at;
} FUNCTIONS[] = {
    {"cublasLtCreate", offsetof(struct blas_api, create)},
    {"cublasLtDestroy", offsetof(struct blas_api, destroy)},
    {"cublasLtGetVersion", offsetof(struct blas_api, version)},
    {"cublasLtMatmulDescCreate", offsetof(struct blas_api, desc_create)},
    {"cublasLtMatmulDescDestroy", offsetof(struct blas_api, desc_destroy)},
    {"cublasLtMatmulDescSetAttribute", offsetof(struct blas_api, desc_set)},
    {"cublasLtMatrixLayoutCreate", offsetof(struct blas_api, layout_create)},
    {"cublasLtMatrixLayoutDestroy", offsetof(struct blas_api, layout_destroy)},
    {"cublasLtMatmulPreferenceCreate", offsetof(struct blas_api, prefer_create)},
    {"cublasLtMatmulPreferenceDestroy", offsetof(struct blas_api, prefer_destroy)},
    {"cublasLtMatmulPreferenceSetAttribute", offsetof(struct blas_api, prefer_set)},
    {"cublasLtMatmulAlgoGetHeuristic", offsetof(struct blas_api, heuristic)},
    {"cublasLtMatmul", offsetof(struct blas_api, matmul)},
};

static void *open_in(const char *folder, const char *below, const char *soname)
{
    char path[PATH_MAX];

    if (folder)
        snprintf(path, sizeof path, "%s%s%s", folder, below, soname);
    return folder ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
}

static void *open_library(void)
{
    static const char *const SONAMES[] = {"libcublasLt.so.13", "libcublasLt.so.12"};
    const char *named = getenv("LACUS_CUBLASLT"), *home = getenv("CUDA_HOME");
    void *library = NULL;

    if (named && *named)
        return dlopen(named, RTLD_NOW | RTLD_LOCAL);
    for (size_t i = 0; i < sizeof SONAMES / sizeof *SONAMES && !library; i++) {
        library = dlopen(SONAMES[i], RTLD_NOW | RTLD_LOCAL);
        if (!library)
            library = open_in(home, "/lib64/", SONAMES[i]);
        if (!library)
            library = open_in("/usr/local/cuda", "/lib64/", SONAMES[i]);
    }
    return library;
}

int blas_load(struct blas_api *out, char *why, size_t size)
{
    void *library = open_library();

    if (!library) {
        const char *text = dlerror();

        snprintf(why, size, "no cuBLASLt (%s)", text ? text : "LACUS_CUBLASLT");
        return -1;
    }
    for (size_t i = 0; i < sizeof FUNCTIONS / sizeof *FUNCTIONS; i++) {
        void *found = dlsym(library, FUNCTIONS[i].name);

        if (!found) {
            snprintf(why, size, "cuBLASLt has no %s", FUNCTIONS[i].name);
            return -1;
        }
        memcpy((char *)out + FUNCTIONS[i].at, &found, sizeof found);
    }
    return 0;
}
