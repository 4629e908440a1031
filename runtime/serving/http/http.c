/* The plugin `http`: libmicrohttpd behind runtime/serving/http.h. */
#include "runtime/serving/http.h"
#include "runtime/base/mem.h"
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 128, STREAM_BLOCK = 16 << 10, CONNECTION_MEMORY = 64 << 10 };

struct http_server {
    struct MHD_Daemon *daemon;
    struct http_options options;
    bool quiet; /* quiesced: the listening socket is closed */
};

struct request { /* one request from its first line to its end */
    struct buf body;
    bool started, too_large;
};

/* ---- answering ---- */
struct stream {
    ssize_t (*read)(void *stream, char *out, size_t max);
    void (*close)(void *stream);
    void *stream;
};

static ssize_t stream_read(void *cls, uint64_t pos, char *out, size_t max)
{
    struct stream *s = cls;
    ssize_t n = s->read(s->stream, out, max);

    (void)pos;
    return n > 0 ? n : n == 0 ? MHD_CONTENT_READER_END_OF_STREAM : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void stream_free(void *cls)
{
    struct stream *s = cls;

    s->close(s->stream);
    mem_free(s);
}

static struct MHD_Response *streaming(struct http_response *a)
{
    struct stream *s = mem_alloc(sizeof *s);
    struct MHD_Response *r;

    if (!s) {
        a->close(a->stream);
        return NULL;
    }
    *s = (struct stream){a->read, a->close, a->stream};
    r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, stream_read, s, stream_free);
    if (!r)
        stream_free(s);
    return r;
}

static enum MHD_Result answer(struct MHD_Connection *connection, struct http_response *a)
{
    struct MHD_Response *r;
    enum MHD_Result ok;
    char seconds[16];

    if (a->read)
        r = streaming(a);
    else
        r = MHD_create_response_from_buffer(a->body.len, a->body.data ? a->body.data : (void *)(uintptr_t) "",
                                            MHD_RESPMEM_MUST_COPY);
    buf_release(&a->body);
    if (!r)
        return MHD_NO;
    MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE,
                            a->content_type ? a->content_type : "application/json");
    if (a->read)
        MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
    if (a->retry_after > 0) {
        snprintf(seconds, sizeof seconds, "%d", a->retry_after);
        MHD_add_response_header(r, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
    }
    for (size_t i = 0; i < a->n_headers; i++)
        MHD_add_response_header(r, a->headers[i].name, a->headers[i].value);
    ok = MHD_queue_response(connection, (unsigned)a->status, r);
    MHD_destroy_response(r);
    return ok;
}

static enum MHD_Result too_large(const struct http_server *s, struct MHD_Connection *connection)
{
    struct http_response a = {.status = 413, .body = BUF_INIT(4096)};

    buf_printf(&a.body,
               "{\"error\":{\"message\":\"the request is larger than the limit of %zu bytes\",\"type\":"
               "\"invalid_request_error\",\"param\":null,\"code\":\"request_too_large\"}}",
               s->options.body_max);
    return answer(connection, &a);
}

static const char *header(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static enum MHD_Result dispatch(struct http_server *s, struct MHD_Connection *connection, const char *url,
                                const char *method, struct request *q)
{
    struct http_response a = {.status = 500, .body = BUF_INIT(BUF_TEXT_MAX)};
    struct http_request request = {
        .method = method,
        .path = url,
        .authorization = header(connection, MHD_HTTP_HEADER_AUTHORIZATION),
        .origin = header(connection, "Origin"),
        .asks_method = header(connection, "Access-Control-Request-Method"),
        .asks_headers = header(connection, "Access-Control-Request-Headers"),
        .body = buf_str(&q->body),
        .body_len = q->body.len,
        .connection = connection,
    };

    /* while an answer is made the client is silent: that is not idleness */
    MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, 0u);
    s->options.handle(s->options.arg, &request, &a);
    return answer(connection, &a);
}

/* ---- reading ---- */
static bool declares_too_much(const struct http_server *s, struct MHD_Connection *connection)
{
    const char *length =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);

    return length && strtoull(length, NULL, 10) > s->options.body_max;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data, size_t *size,
                                  void **state)
{
    struct http_server *s = cls;
    struct request *q = *state;

    (void)version;
    if (!q) {
        if ((q = mem_zalloc(sizeof *q)) == NULL)
            return MHD_NO;
        buf_init(&q->body, s->options.body_max);
        *state = q;
        return declares_too_much(s, connection) ? too_large(s, connection) : MHD_YES;
    }
    if (*size > 0) {
        q->too_large = q->too_large || !buf_add(&q->body, data, *size);
        *size = 0;
        return MHD_YES;
    }
    return q->too_large ? too_large(s, connection) : dispatch(s, connection, url, method, q);
}

static void on_end(void *cls, struct MHD_Connection *connection, void **state,
                   enum MHD_RequestTerminationCode why)
{
    const struct http_server *s = cls;
    struct request *q = *state;

    if (why == MHD_REQUEST_TERMINATED_COMPLETED_OK)
        MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT,
                                  (unsigned)s->options.idle_seconds);
    if (q)
        buf_release(&q->body);
    mem_free(q);
    *state = NULL;
}

static bool gone(const void *connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(
        (struct MHD_Connection *)(uintptr_t)connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct pollfd fd = {.fd = info ? info->connect_fd : -1, .events = POLLRDHUP};

    return fd.fd < 0 || (poll(&fd, 1, 0) > 0 && (fd.revents & (POLLRDHUP | POLLHUP | POLLERR)));
}

/* ---- starting ---- */
static enum lc listen_on(const struct addrinfo *at, const struct http_options *o, int *out, struct err *err)
{
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;

    if (fd < 0)
        return err_errno(err, errno, "cannot open a socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, at->ai_addr, at->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0) {
        *out = fd;
        return LC_OK;
    }
    if (errno == EADDRINUSE) {
        err_set(err, LC_NET, "cannot listen on %s port %d: another program uses it", o->host, o->port);
        err_hint(err, "choose another with --port, or --port 0 for a free one");
    } else {
        err_set(err, LC_NET, "cannot listen on %s port %d: %s", o->host, o->port, strerror(errno));
    }
    close(fd);
    return LC_NET;
}

static int port_of(int fd)
{
    struct sockaddr_storage at;
    socklen_t len = sizeof at;
    char port[16];

    if (getsockname(fd, (struct sockaddr *)&at, &len) != 0 ||
        getnameinfo((struct sockaddr *)&at, len, NULL, 0, port, sizeof port, NI_NUMERICSERV) != 0)
        return 0;
    return (int)strtol(port, NULL, 10);
}

static enum lc open_socket(const struct http_options *o, int *fd, struct err *err)
{
    struct addrinfo want = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found = NULL;
    char port[16];
    int bad;
    enum lc rc;

    snprintf(port, sizeof port, "%d", o->port);
    if ((bad = getaddrinfo(o->host, port, &want, &found)) != 0)
        return err_set(err, LC_NET, "cannot listen on '%s': %s", o->host, gai_strerror(bad));
    rc = listen_on(found, o, fd, err);
    freeaddrinfo(found);
    return rc;
}

static enum lc start(const struct http_options *options, struct http_server **out, int *port, struct err *err)
{
    struct http_server *s = mem_zalloc(sizeof *s);
    int fd = -1;
    enum lc rc;

    if (!s)
        return err_nomem(err);
    s->options = *options;
    if ((rc = open_socket(options, &fd, err)) != LC_OK) {
        mem_free(s);
        return rc;
    }
    *port = port_of(fd);
    s->daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL | MHD_USE_ITC, 0, NULL,
        NULL, on_request, s, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_NOTIFY_COMPLETED, on_end, s,
        MHD_OPTION_CONNECTION_LIMIT, options->connections_max, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)options->idle_seconds, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        MHD_OPTION_END);
    if (!s->daemon) {
        close(fd);
        mem_free(s);
        return err_set(err, LC_NET, "cannot start the HTTP server on %s port %d", options->host,
                       options->port);
    }
    *out = s;
    return LC_OK;
}

static void quiesce(struct http_server *s)
{
    int fd = s->quiet ? -1 : MHD_quiesce_daemon(s->daemon);

    s->quiet = true;
    if (fd >= 0)
        close(fd);
}

static void stop(struct http_server *s)
{
    if (!s)
        return;
    MHD_stop_daemon(s->daemon);
    mem_free(s);
}

extern const struct http_vtable lacus_http;
const struct http_vtable lacus_http = {
    .version = HTTP_VERSION,
    .start = start,
    .quiesce = quiesce,
    .stop = stop,
    .gone = gone,
};
