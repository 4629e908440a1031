#include "runtime/base/plugin.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Plugins of another build may have other structs. */
static bool program_was_replaced(void)
{
    struct stat running, there;
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);

    if (n <= 0 || stat("/proc/self/exe", &running) != 0)
        return false;
    path[n] = '\0';
    return stat(path, &there) != 0 || there.st_dev != running.st_dev || there.st_ino != running.st_ino;
}

void *plugin_symbol(const char *name, const char *symbol, struct err *err)
{
    char below[96];
    char *path;
    void *library, *found;

    snprintf(below, sizeof below, "plugins/%s.so", name);
    path = fs_installed(below);
    if (!path) {
        err_set(err, LC_MISSING, "cannot find the plugin '%s'", name);
        err_hint(err, "run 'make' (it names what is missing), or 'lacus doctor'");
        return NULL;
    }
    library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
    if (!library && program_was_replaced()) {
        err_set(err, LC_CONFLICT,
                "cannot load the plugin '%s': this program's file was replaced while it ran", path);
        err_hint(err, "start lacus again: restart the kernel, or leave the prompt");
        mem_free(path);
        return NULL;
    }
    if (!library)
        library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    found = library ? dlsym(library, symbol) : NULL;
    if (!found) {
        err_set(err, LC_MISSING, "cannot load the plugin '%s': %s", path, dlerror());
        err_hint(err, "run 'lacus doctor' to see what is missing");
    }
    mem_free(path);
    return found;
}

bool plugin_function(void *library, const char *name, void *slot)
{
    void *symbol = dlsym(library, name);

    memcpy(slot, &symbol, sizeof symbol); /* ISO C has no cast from object to function pointers */
    return symbol != NULL;
}
