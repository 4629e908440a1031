#include "runtime/train/socket.h"
#include "runtime/base/zmq_api.h"
#include <stdio.h>
#include <string.h>

enum { HANDSHAKE_MS = 5000 };

bool socket_int(void *socket, int option, int value)
{
    return zmq()->setsockopt(socket, option, &value, sizeof value) == 0;
}

bool socket_common(void *socket, int64_t message_most)
{
    int64_t most = message_most + 4096; /* of a frame on the wire: CURVE adds to what is sent */

    return socket_int(socket, ZMQ_LINGER, 0) && socket_int(socket, ZMQ_HEARTBEAT_IVL, SOCKET_PING_MS) &&
           socket_int(socket, ZMQ_HEARTBEAT_TIMEOUT, SOCKET_DEAD_MS) && socket_int(socket, ZMQ_IPV6, 1) &&
           socket_int(socket, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS) &&
           zmq()->setsockopt(socket, ZMQ_MAXMSGSIZE, &most, sizeof most) == 0;
}

void *socket_watch(void *context, void *socket, const char *name)
{
    void *m = zmq()->socket(context, ZMQ_PAIR);
    char address[64];

    (void)snprintf(address, sizeof address, "inproc://%s", name);
    if (m && socket_int(m, ZMQ_LINGER, 0) &&
        zmq()->socket_monitor(socket, address,
                              ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                                  ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                                  ZMQ_EVENT_DISCONNECTED) == 0 &&
        zmq()->connect(m, address) == 0)
        return m;
    if (m)
        (void)zmq()->close(m);
    return NULL;
}

int socket_event(void *monitor, uint32_t *value, char where[SOCKET_WHERE])
{
    unsigned char head[6];
    uint16_t what;
    int n = zmq()->recv(monitor, head, sizeof head, ZMQ_DONTWAIT);

    where[0] = '\0';
    if (n != sizeof head)
        return 0;
    memcpy(&what, head, sizeof what);
    memcpy(value, head + 2, sizeof *value);
    n = zmq()->recv(monitor, where, SOCKET_WHERE - 1, 0);
    where[n < 0 ? 0 : n < SOCKET_WHERE - 1 ? n : SOCKET_WHERE - 1] = '\0';
    return what;
}

void socket_close(void **socket)
{
    if (*socket)
        (void)zmq()->close(*socket);
    *socket = NULL;
}

enum lc socket_context(void **out, struct err *err)
{
    TRY(zmq_context(out, err));
    (void)zmq()->ctx_set(*out, ZMQ_IO_THREADS, 1);
    return LC_OK;
}
