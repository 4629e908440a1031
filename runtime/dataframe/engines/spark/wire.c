#include "runtime/dataframe/engines/spark/wire.h"
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK = 64 << 10, OUT_MAX = 8 << 20 };

struct wire {
    int fd;
    SSL *
        ssl; /* owned; NULL: in the clear. Its bytes go through memory, so that we do the reading and writing */
    SSL_CTX *ssl_ctx; /* owned */
    struct buf out;   /* bytes for the socket */
    size_t out_sent;  /* of them, already sent */
    struct buf plain; /* what TLS has not taken yet */
    size_t plain_sent;
};

/* ---- connecting ---- */
static enum lc check_stop(const struct ctx *ctx, const atomic_bool *stop, struct err *err)
{
    if (stop && atomic_load(stop))
        return err_set(err, LC_CANCELLED, "interrupted");
    return ctx_check(ctx, err);
}

static enum lc wait_connected(const struct ctx *ctx, const atomic_bool *stop, int fd, int64_t until, int *why,
                              struct err *err)
{
    socklen_t size = sizeof *why;

    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        int n = poll(&p, 1, WIRE_LOOK_MS);

        TRY(check_stop(ctx, stop, err));
        if (n > 0)
            break;
        if (clock_mono_ns() > until) {
            *why = ETIMEDOUT;
            return LC_OK;
        }
    }
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, why, &size) != 0)
        *why = errno;
    return LC_OK;
}

/* One address. *why 0: connected. */
static enum lc try_address(const struct ctx *ctx, const atomic_bool *stop, const struct addrinfo *a, int *fd,
                           int *why, struct err *err)
{
    int64_t until = clock_mono_ns() + (int64_t)WIRE_CONNECT_MS * 1000000;
    enum lc rc = LC_OK;

    *fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, a->ai_protocol);
    if (*fd < 0) {
        *why = errno;
        return LC_OK;
    }
    *why = connect(*fd, a->ai_addr, a->ai_addrlen) == 0 ? 0 : errno;
    if (*why == EINPROGRESS)
        rc = wait_connected(ctx, stop, *fd, until, why, err);
    if (rc != LC_OK || *why) {
        close(*fd);
        *fd = -1;
    }
    return rc;
}

static void set_options(int fd)
{
    int on = 1, idle = 30, interval = 10, count = 3, user = 60000;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user, sizeof user);
}

static enum lc refused(const struct wire_target *t, int why, struct err *err)
{
    err_set(err, LC_NET, "cannot connect to the Spark server at '%s:%d': %s", t->host, t->port,
            strerror(why));
    if (why == ECONNREFUSED)
        return err_hint(err, "is it running, and is this its Spark Connect port (%d unless told otherwise)?",
                        15002);
    return err_hint(err, "check host, port and the network in between");
}

static enum lc connect_any(const struct ctx *ctx, const atomic_bool *stop, const struct wire_target *t,
                           int *fd, struct err *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *list = NULL;
    char port[8];
    int found, why = EHOSTUNREACH;
    enum lc rc = LC_OK;

    snprintf(port, sizeof port, "%d", t->port);
    found = getaddrinfo(t->host, port, &hints, &list);
    if (found == EAI_NONAME || found == EAI_FAMILY ||
        found == EAI_ADDRFAMILY) { /* "::1" where only IPv4 is up */
        hints.ai_flags = 0;
        found = getaddrinfo(t->host, port, &hints, &list);
    }
    if (found != 0) {
        err_set(err, LC_NET, "cannot find the host '%s' of the Spark server: %s", t->host,
                gai_strerror(found));
        return err_hint(err, "check its name in sc://host:port");
    }
    *fd = -1;
    for (struct addrinfo *a = list; a && *fd < 0 && rc == LC_OK; a = a->ai_next)
        rc = try_address(ctx, stop, a, fd, &why, err);
    freeaddrinfo(list);
    if (rc == LC_OK && *fd < 0)
        rc = refused(t, why, err);
    if (rc == LC_OK)
        set_options(*fd);
    return rc;
}

/* ---- TLS ---- */
static enum lc tls_failed(struct wire *w, const struct wire_target *t, struct err *err)
{
    long bad = SSL_get_verify_result(w->ssl);
    unsigned long code = ERR_get_error();
    char text[160];

    ERR_error_string_n(code, text, sizeof text);
    ERR_clear_error();
    if (bad != X509_V_OK) {
        err_set(err, LC_NET, "the certificate of '%s:%d' is not trusted: %s", t->host, t->port,
                X509_verify_cert_error_string(bad));
        return err_hint(err, "SSL_CERT_FILE names the file with the certificates to trust");
    }
    err_set(err, LC_NET, "TLS with '%s:%d' failed: %s", t->host, t->port,
            code ? text : "the connection was closed");
    return err_hint(err, "does this port speak TLS? Without it: use_ssl=false");
}

static enum lc tls_new(struct wire *w, const struct wire_target *t, struct err *err)
{
    static const unsigned char protocols[] = "\x02h2";
    const char *more = getenv("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH");
    unsigned char address[16];
    bool numeric = inet_pton(AF_INET, t->host, address) == 1 || inet_pton(AF_INET6, t->host, address) == 1;
    BIO *in, *out;

    w->ssl_ctx = SSL_CTX_new(TLS_client_method());
    if (!w->ssl_ctx)
        return err_nomem(err);
    SSL_CTX_set_min_proto_version(w->ssl_ctx, TLS1_2_VERSION);
    SSL_CTX_set_verify(w->ssl_ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_default_verify_paths(w->ssl_ctx);
    if (more && *more)
        SSL_CTX_load_verify_locations(w->ssl_ctx, more, NULL);
    SSL_CTX_set_alpn_protos(w->ssl_ctx, protocols, sizeof protocols - 1);
    w->ssl = SSL_new(w->ssl_ctx);
    in = BIO_new(BIO_s_mem());
    out = BIO_new(BIO_s_mem());
    if (!w->ssl || !in || !out) {
        BIO_free(in);
        BIO_free(out);
        return err_nomem(err);
    }
    BIO_set_mem_eof_return(in, -1);
    SSL_set_bio(w->ssl, in, out);
    SSL_set_connect_state(w->ssl);
    if (numeric)
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(w->ssl), t->host);
    else if (!SSL_set1_host(w->ssl, t->host) || !SSL_set_tlsext_host_name(w->ssl, t->host))
        return err_nomem(err);
    return LC_OK;
}

/* What TLS wants to send goes to the socket's queue. */
static bool tls_flush(struct wire *w)
{
    char chunk[CHUNK / 4];
    int n;

    while ((n = BIO_read(SSL_get_wbio(w->ssl), chunk, sizeof chunk)) > 0)
        if (!buf_add(&w->out, chunk, (size_t)n))
            return false;
    return true;
}

static bool tls_push(struct wire *w)
{
    while (w->plain_sent < w->plain.len) {
        size_t rest = w->plain.len - w->plain_sent;
        int n = SSL_write(w->ssl, w->plain.data + w->plain_sent, (int)(rest > CHUNK ? CHUNK : rest));

        if (n <= 0)
            break;
        w->plain_sent += (size_t)n;
    }
    if (w->plain_sent == w->plain.len) {
        buf_clear(&w->plain);
        w->plain_sent = 0;
    }
    return tls_flush(w);
}

static bool tls_pull(struct wire *w, struct buf *in)
{
    char chunk[CHUNK / 4];
    int n;

    while ((n = SSL_read(w->ssl, chunk, sizeof chunk)) > 0)
        if (!buf_add(in, chunk, (size_t)n))
            return false;
    return tls_flush(w);
}

/* ---- bytes ---- */
static enum lc broken(struct err *err, int why)
{
    return err_set(err, LC_NET, "the connection to the Spark server broke: %s", strerror(why));
}

static enum lc send_some(struct wire *w, struct err *err)
{
    while (w->out_sent < w->out.len) {
        ssize_t n = send(w->fd, w->out.data + w->out_sent, w->out.len - w->out_sent, MSG_NOSIGNAL);

        if (n < 0)
            return errno == EAGAIN || errno == EINTR ? LC_OK : broken(err, errno);
        w->out_sent += (size_t)n;
    }
    buf_clear(&w->out);
    w->out_sent = 0;
    return LC_OK;
}

static enum lc receive_some(struct wire *w, struct buf *in, bool *closed, struct err *err)
{
    char chunk[CHUNK];
    ssize_t n = recv(w->fd, chunk, sizeof chunk, 0);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? LC_OK : broken(err, errno);
    if (n == 0) {
        *closed = true;
        return LC_OK;
    }
    if (!w->ssl)
        return buf_add(in, chunk, (size_t)n) ? LC_OK : err_nomem(err);
    if (BIO_write(SSL_get_rbio(w->ssl), chunk, (int)n) != n)
        return err_nomem(err);
    return tls_pull(w, in) ? LC_OK : err_nomem(err);
}

enum lc wire_turn(struct wire *w, int wait_ms, struct buf *in, bool *closed, struct err *err)
{
    struct pollfd p = {.fd = w->fd, .events = POLLIN};
    int n;

    *closed = false;
    if (w->ssl && !tls_push(w))
        return err_nomem(err);
    TRY(send_some(w, err));
    if (w->out.len > w->out_sent)
        p.events |= POLLOUT;
    n = poll(&p, 1, wait_ms);
    if (n <= 0)
        return n == 0 || errno == EINTR ? LC_OK : broken(err, errno);
    if (p.revents & (POLLIN | POLLHUP | POLLERR))
        TRY(receive_some(w, in, closed, err));
    return send_some(w, err);
}

bool wire_put(struct wire *w, const void *data, size_t len)
{
    return buf_add(w->ssl ? &w->plain : &w->out, data, len);
}

size_t wire_queued(const struct wire *w)
{
    return w->out.len - w->out_sent + w->plain.len - w->plain_sent;
}

bool wire_quiet(struct wire *w)
{
    struct pollfd p = {.fd = w->fd, .events = POLLIN};

    return poll(&p, 1, 0) == 0;
}

/* ---- opening ---- */
static enum lc shake_hands(const struct ctx *ctx, const atomic_bool *stop, struct wire *w,
                           const struct wire_target *t, struct err *err)
{
    int64_t until = clock_mono_ns() + (int64_t)WIRE_CONNECT_MS * 1000000;
    struct buf none = BUF_INIT(1 << 20);
    bool closed = false;
    enum lc rc = LC_OK;

    while (rc == LC_OK) {
        int done = SSL_do_handshake(w->ssl), why = SSL_get_error(w->ssl, done);

        if (!tls_flush(w))
            rc = err_nomem(err);
        else if (done == 1)
            break;
        else if ((why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) || closed)
            rc = tls_failed(w, t, err);
        else if (clock_mono_ns() > until)
            rc = err_set(err, LC_NET, "TLS with '%s:%d' failed: no answer", t->host, t->port);
        if (rc == LC_OK)
            rc = wire_turn(w, WIRE_LOOK_MS, &none, &closed, err);
        if (rc == LC_OK)
            rc = check_stop(ctx, stop, err);
    }
    buf_release(&none);
    return rc;
}

static enum lc check_protocol(struct wire *w, const struct wire_target *t, struct err *err)
{
    const unsigned char *protocol = NULL;
    unsigned len = 0;

    SSL_get0_alpn_selected(w->ssl, &protocol, &len);
    if (len == 2 && memcmp(protocol, "h2", 2) == 0)
        return LC_OK;
    err_set(err, LC_NET, "the server at '%s:%d' does not speak HTTP/2, so it is not a Spark Connect server",
            t->host, t->port);
    return err_hint(err, "check the port");
}

enum lc wire_open(const struct ctx *ctx, const atomic_bool *stop, const struct wire_target *t,
                  struct wire **out, struct err *err)
{
    struct wire *w = mem_zalloc(sizeof *w);
    enum lc rc;

    if (!w)
        return err_nomem(err);
    w->fd = -1;
    buf_init(&w->out, OUT_MAX);
    buf_init(&w->plain, OUT_MAX);
    rc = connect_any(ctx, stop, t, &w->fd, err);
    if (rc == LC_OK && t->tls)
        rc = tls_new(w, t, err);
    if (rc == LC_OK && t->tls)
        rc = shake_hands(ctx, stop, w, t, err);
    if (rc == LC_OK && t->tls)
        rc = check_protocol(w, t, err);
    if (rc != LC_OK)
        wire_close(w);
    else
        *out = w;
    return rc;
}

void wire_close(struct wire *w)
{
    if (!w)
        return;
    if (w->fd >= 0)
        close(w->fd);
    SSL_free(w->ssl);
    SSL_CTX_free(w->ssl_ctx);
    buf_release(&w->out);
    buf_release(&w->plain);
    mem_free(w);
}
