/* blas_load.c: finds libcublasLt: what LACUS_CUBLASLT names, else where library.h looks. */
#include "gpu/cuda/blas_api.h"
#include "gpu/library.h"
#include <dlfcn.h>
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

static void *open_library(void)
{
    const char *named = getenv("LACUS_CUBLASLT");
    void *library;

    if (named && *named)
        return dlopen(named, RTLD_NOW | RTLD_LOCAL);
    library = library_open("libcublasLt.so.13");
    return library ? library : library_open("libcublasLt.so.12");
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
