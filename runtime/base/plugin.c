#include "runtime/base/plugin.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include <dlfcn.h>
#include <stdio.h>

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
    library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    found = library ? dlsym(library, symbol) : NULL;
    if (!found) {
        err_set(err, LC_MISSING, "cannot load the plugin '%s': %s", path, dlerror());
        err_hint(err, "run 'lacus doctor' to see what is missing");
    }
    mem_free(path);
    return found;
}
