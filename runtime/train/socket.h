/* socket.h: what the coordinator's link and the ring ask of ZeroMQ alike.
 *
 * What      a context, options that both ends have (heartbeats, limits, handshake), a monitor that turns refused
 *           handshakes and lost connections into events.
 * Ownership the caller closes what it gets: socket_close.
 * Units     bytes, milliseconds.
 * Errors    NULL or false: errno says why; socket_context as zmq_context.
 * Threads   a socket: one at a time.
 *
 * Example:
 *     void *context;
 *     if (socket_context(&context, &err) == LC_OK) {
 *         void *s = zmq()->socket(context, ZMQ_PULL);
 *         if (s && socket_common(s, 1 << 20))
 *             socket_close(&s);
 *         zmq()->ctx_term(context);
 *     }
 */
#ifndef LACUS_TRAIN_SOCKET_H
#define LACUS_TRAIN_SOCKET_H
#include "runtime/base/err.h"
#include <stdbool.h>
#include <stdint.h>

enum { SOCKET_PING_MS = 2000, SOCKET_DEAD_MS = 10000, SOCKET_WHERE = 128 };

enum lc socket_context(void **out, struct err *err) MUST_CHECK;
void socket_close(void **socket); /* and NULL; NULL is fine */
bool socket_int(void *socket, int option, int value);
bool socket_common(void *socket, int64_t message_most);
/* name: unique in the context. */
void *socket_watch(void *context, void *socket, const char *name);
/* The next event without waiting; 0: none. value: a descriptor or a status. */
int socket_event(void *monitor, uint32_t *value, char where[SOCKET_WHERE]);
#endif
