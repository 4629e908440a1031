/* zmq_api.h: the functions of libzmq that lacus calls, found on first use: with the libraries that it needs, it is half of the
 * start of a program that only runs a notebook or shows a prompt.
 *
 * What      zmq_context makes a context, and loads the library for the first; from then on zmq()->send(socket, ...), named as
 *           ZeroMQ names them without "zmq_". Before, no function is there.
 * Ownership the caller ends the context: zmq()->ctx_term; the library is never closed.
 * Units     those of ZeroMQ; what failed is in errno.
 * Errors    LC_MISSING, naming the package; LC_UNSUPPORTED: a library that is too old;
 *           LC_IO: no context.
 * Threads   any.
 * Source    https://libzmq.readthedocs.io
 *
 * Example:
 *     void *context;
 *     if (zmq_context(&context, &err) == LC_OK)
 *         zmq()->ctx_term(context);
 */
#ifndef LACUS_BASE_ZMQ_API_H
#define LACUS_BASE_ZMQ_API_H
#include "runtime/base/err.h"
#include <zmq.h>

#define ZMQ_FUNCTIONS(X)                                                                                     \
    X(bind)                                                                                                  \
    X(close)                                                                                                 \
    X(connect)                                                                                               \
    X(ctx_new)                                                                                               \
    X(ctx_set)                                                                                               \
    X(ctx_shutdown)                                                                                          \
    X(ctx_term)                                                                                              \
    X(disconnect)                                                                                            \
    X(getsockopt)                                                                                            \
    X(msg_close)                                                                                             \
    X(msg_data)                                                                                              \
    X(msg_get)                                                                                               \
    X(msg_gets)                                                                                              \
    X(msg_init)                                                                                              \
    X(msg_init_data)                                                                                         \
    X(msg_more)                                                                                              \
    X(msg_move)                                                                                              \
    X(msg_recv)                                                                                              \
    X(msg_send)                                                                                              \
    X(msg_size)                                                                                              \
    X(poll)                                                                                                  \
    X(recv)                                                                                                  \
    X(send)                                                                                                  \
    X(setsockopt)                                                                                            \
    X(socket)                                                                                                \
    X(socket_monitor)                                                                                        \
    X(strerror)                                                                                              \
    X(version)

struct zmq_api {
#define X(name) __typeof__(&zmq_##name) name;
    ZMQ_FUNCTIONS(X)
#undef X
};

enum lc zmq_context(void **out, struct err *err) MUST_CHECK; /* on failure *out is NULL */
const struct zmq_api *zmq(void);
#endif
