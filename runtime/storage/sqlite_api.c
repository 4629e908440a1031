#include "runtime/storage/sqlite_api.h"
#include "runtime/base/plugin.h"
#include <dlfcn.h>
#include <stddef.h>

/* RTLD_LAZY: of its 1,600 references few are ever followed. */
enum lc sqlite_api_open(struct sqlite_api *api, struct err *err)
{
    void *library = dlopen("libsqlite3.so.0", RTLD_LAZY | RTLD_LOCAL);
    const char *missing = NULL;

    if (!library)
        library = dlopen("libsqlite3.so", RTLD_LAZY | RTLD_LOCAL);
    if (!library) {
        err_set(err, LC_MISSING, "cannot load SQLite's library 'libsqlite3.so.0': %s", dlerror());
        return err_hint(err, "install it: apt-get install libsqlite3-0");
    }
#define X(name)                                                                                              \
    if (!plugin_function(library, "sqlite3_" #name, &api->name) && !missing)                                 \
        missing = "sqlite3_" #name;
    SQLITE_FUNCTIONS(X)
#undef X
    if (!missing)
        return LC_OK;
    err_set(err, LC_UNSUPPORTED, "SQLite's library is too old: it has no '%s'", missing);
    return err_hint(err, "install a newer one: apt-get install libsqlite3-0");
}
