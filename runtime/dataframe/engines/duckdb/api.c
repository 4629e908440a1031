#include "runtime/dataframe/engines/duckdb/api.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/base/plugin.h"
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

static void *open_in(const char *folder, const char *name)
{
    char *path = fs_join(folder, name);
    void *library = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;

    mem_free(path);
    return library;
}

static void *open_library(void)
{
    const char *home = getenv("DUCKDB_HOME");
    void *library = NULL;
    char *installed;

    if (home && *home) {
        library = open_in(home, "libduckdb.so");
        return library ? library : open_in(home, "lib/libduckdb.so");
    }
    installed = fs_installed("lib/libduckdb.so");
    if (installed)
        library = dlopen(installed, RTLD_NOW | RTLD_LOCAL);
    mem_free(installed);
    return library ? library : dlopen("libduckdb.so", RTLD_NOW | RTLD_LOCAL);
}

enum lc duck_api_open(struct duck_api *api, struct err *err)
{
    void *library = open_library();
    const char *missing = NULL;

    if (!library) {
        const char *home = getenv("DUCKDB_HOME");

        err_set(err, LC_MISSING,
                "cannot find DuckDB's library 'libduckdb.so'%s%s: DataFrames and SQL need it",
                home && *home ? " in DUCKDB_HOME=" : "", home && *home ? home : "");
        return err_hint(err, "run 'make duckdb' in the folder that lacus was built in, or set DUCKDB_HOME to "
                             "the folder that has it");
    }
#define X(name)                                                                                              \
    if (!plugin_function(library, #name, &api->name) && !missing)                                            \
        missing = #name;
    DUCK_FUNCTIONS(X)
#undef X
    (void)plugin_function(library, "duckdb_pending_prepared_streaming", &api->pending_streaming);
    if (missing) {
        err_set(err, LC_MISSING, "DuckDB's library is too old: it has no '%s'", missing);
        return err_hint(err, "run 'make duckdb' to fetch the version that lacus is made for");
    }
    return LC_OK;
}
