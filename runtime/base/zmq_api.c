#include "runtime/base/zmq_api.h"
#include "runtime/base/plugin.h"
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stddef.h>

/* written once, by find_all */
static struct zmq_api functions;
static struct err why_not;
static enum lc found;
static pthread_once_t looked = PTHREAD_ONCE_INIT;

/* RTLD_LAZY: of its references and those of its eight libraries few are ever followed. */
static void find_all(void)
{
    void *library = dlopen("libzmq.so.5", RTLD_LAZY | RTLD_LOCAL);
    const char *missing = NULL;

    if (!library) {
        err_set(&why_not, LC_MISSING, "cannot load ZeroMQ's library 'libzmq.so.5': %s", dlerror());
        found = err_hint(&why_not, "install it: apt-get install libzmq5");
        return;
    }
#define X(name)                                                                                              \
    if (!plugin_function(library, "zmq_" #name, &functions.name) && !missing)                                \
        missing = "zmq_" #name;
    ZMQ_FUNCTIONS(X)
#undef X
    if (!missing)
        return;
    err_set(&why_not, LC_UNSUPPORTED, "ZeroMQ's library is too old: it has no '%s'", missing);
    found = err_hint(&why_not, "install a newer one: apt-get install libzmq5");
}

enum lc zmq_context(void **out, struct err *err)
{
    *out = NULL;
    pthread_once(&looked, find_all);
    if (found != LC_OK) {
        if (err)
            *err = why_not;
        return found;
    }
    *out = functions.ctx_new();
    return *out ? LC_OK : err_set(err, LC_IO, "cannot start ZeroMQ: %s", functions.strerror(errno));
}

const struct zmq_api *zmq(void)
{
    return &functions;
}
