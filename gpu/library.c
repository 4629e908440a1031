#include "gpu/library.h"
#include <dlfcn.h>
#include <glob.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

static const struct place {
    const char *variable; /* names the folder that the pattern begins in; NULL: it is whole */
    const char *pattern;
} PLACES[] = {
    {"CUDA_HOME", "/lib64/"},
    {NULL, "/usr/local/cuda/lib64/"},
    {"VIRTUAL_ENV", "/lib/python3*/site-packages/nvidia/*/lib/"},
    {"CONDA_PREFIX", "/lib/python3*/site-packages/nvidia/*/lib/"},
    {"HOME", "/.local/lib/python3*/site-packages/nvidia/*/lib/"},
    {NULL, "/usr/local/lib/python3*/*-packages/nvidia/*/lib/"},
    {NULL, "/usr/lib/python3*/*-packages/nvidia/*/lib/"},
};

/* The last that matches and opens: of two Pythons the later. */
static void *open_matching(const char *pattern)
{
    glob_t found = {0};
    void *library = NULL;

    if (glob(pattern, 0, NULL, &found) == 0)
        for (size_t i = found.gl_pathc; i > 0 && !library; i--)
            library = dlopen(found.gl_pathv[i - 1], RTLD_NOW | RTLD_LOCAL);
    globfree(&found);
    return library;
}

void *library_open(const char *soname)
{
    void *library = dlopen(soname, RTLD_NOW | RTLD_LOCAL);

    for (size_t i = 0; i < sizeof PLACES / sizeof *PLACES && !library; i++) {
        const struct place *p = &PLACES[i];
        const char *folder = p->variable ? getenv(p->variable) : "";
        char pattern[PATH_MAX];

        if (!folder || (p->variable && !*folder))
            continue;
        (void)snprintf(pattern, sizeof pattern, "%s%s%s", folder, p->pattern, soname);
        library = open_matching(pattern);
    }
    if (!library) /* for dlerror: what the loader says, not of the last place */
        library = dlopen(soname, RTLD_NOW | RTLD_LOCAL);
    return library;
}
