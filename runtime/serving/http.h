/* http.h: an HTTP server: what the plugin `http` (libmicrohttpd) gives.
 *
 * What      one handler answers every request: with a whole body, or with a stream that is read piece by
 *           piece as the client takes it.
 * Ownership start → stop. A request is borrowed for the call of the handler; a response's body and stream go
 *           to the server, which calls close once, also when the client has gone.
 * Units     bytes; host and port as the user gave them, port 0: a free one.
 * Errors    start: LC_NET when the port is taken or the host unknown (both named).
 * Threads   the handler and the streams run on a thread per connection, several at once; a handler may block.
 *
 * Example:
 *     static void hello(void *arg, const struct http_request *q, struct http_response *a)
 *     {
 *         a->status = 200;
 *         buf_puts(&a->body, q->path);
 *     }
 */
#ifndef LACUS_SERVING_HTTP_H
#define LACUS_SERVING_HTTP_H
#include "runtime/base/buf.h"
#include <sys/types.h>

struct http_request {
    const char *method, *path;
    const char *authorization;                       /* the header; NULL: none. So are */
    const char *origin, *asks_method, *asks_headers; /* Origin and Access-Control-Request-… */
    const char *body;                                /* "" when empty; NUL-terminated */
    size_t body_len;
    const void *connection; /* for gone(); valid until the response is closed */
};

struct http_header {
    const char *name, *value; /* static, or of the request */
};

enum { HTTP_HEADERS = 8 };

struct http_response {
    int status;
    struct http_header headers[HTTP_HEADERS]; /* beside those of the other fields */
    size_t n_headers;
    const char *content_type; /* static text; default application/json */
    int retry_after;          /* seconds; 0: no such header */
    struct buf body;
    ssize_t (*read)(void *stream, char *out, size_t max); /* 0: the end, -1: failed; NULL: body is all */
    void (*close)(void *stream);
    void *stream;
};

typedef void http_handler(void *arg, const struct http_request *request, struct http_response *response);

struct http_options {
    const char *host;
    int port;
    size_t body_max; /* larger bodies are 413, and not read */
    unsigned connections_max;
    int idle_seconds; /* a connection that sends nothing for so long is closed */
    http_handler *handle;
    void *arg;
};

struct http_server;
enum { HTTP_VERSION = 2 };

struct http_vtable {
    int version; /* HTTP_VERSION */
    enum lc (*start)(const struct http_options *options, struct http_server **out, int *port,
                     struct err *err);
    void (*quiesce)(struct http_server *server); /* no new connections; those that are there go on */
    void (*stop)(struct http_server *server);    /* waits for handlers and streams: end them first */
    bool (*gone)(const void *connection);        /* the client has closed it */
};

const struct http_vtable *http_load(struct err *err); /* NULL on failure */
#endif
