#include "runtime/train/link.h"
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/zmq_api.h"
#include "runtime/train/socket.h"
#include "runtime/train/zap.h"
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum { PEERS_MOST = 1024, ID_MOST = 31, QUEUE = 64 };

struct peer {
    char id[LINK_PEER];
    char user[KEY_NAME];
    int fd; /* of its connection: the monitor's events name that */
};

struct link_server {
    void *context, *router, *monitor; /* owned */
    struct zap *zap;                  /* owned */
    struct allow *allow;              /* borrowed */
    char endpoint[256];
    struct peer peers[PEERS_MOST];
    size_t n_peers;
};

struct link {
    void *context, *dealer, *monitor; /* owned */
    char endpoint[256];
};

static bool set_options(void *socket)
{
    return socket_common(socket, WIRE_HEAD_MAX > WIRE_PAYLOAD_MAX ? WIRE_HEAD_MAX : WIRE_PAYLOAD_MAX) &&
           socket_int(socket, ZMQ_SNDHWM, QUEUE) && socket_int(socket, ZMQ_RCVHWM, QUEUE);
}

/* ---- receiving -------------------------------------------------------------------------------------------
 */

static bool more_frames(void *socket)
{
    int more = 0;
    size_t len = sizeof more;

    return zmq()->getsockopt(socket, ZMQ_RCVMORE, &more, &len) == 0 && more;
}

static void skip_rest(void *socket)
{
    while (more_frames(socket) && zmq()->recv(socket, NULL, 0, 0) >= 0)
        ;
}

static void read_identity(zmq_msg_t *m, struct link_event *e, int *fd)
{
    const char *user = zmq()->msg_gets(m, "User-Id"), *address = zmq()->msg_gets(m, "Peer-Address");

    (void)snprintf(e->user, sizeof e->user, "%s", user ? user : "");
    *fd = zmq()->msg_get(m, ZMQ_SRCFD);
    (void)snprintf(e->address, sizeof e->address, "%s", address ? address : "");
}

/* The head and, if there is one, the payload. False: dropped, because it is none of ours. */
static bool receive_body(void *socket, enum wire_side from, struct link_event *e, int *fd)
{
    zmq_msg_t head, body;
    struct err err;
    bool ok = false;
    size_t len = 0;

    (void)zmq()->msg_init(&head);
    (void)zmq()->msg_init(&body);
    if (zmq()->msg_recv(&head, socket, ZMQ_DONTWAIT) >= 0) {
        read_identity(&head, e, fd);
        if (more_frames(socket) && zmq()->msg_recv(&body, socket, 0) >= 0)
            len = zmq()->msg_size(&body);
        skip_rest(socket);
        if (len && len <= WIRE_PAYLOAD_MAX && (e->frame = mem_alloc(len)))
            memcpy(e->frame, zmq()->msg_data(&body), len);
        ok = wire_parse(zmq()->msg_data(&head), zmq()->msg_size(&head), e->frame, len, from, &e->msg, &err) ==
                 LC_OK &&
             (len == 0 || e->frame);
        if (!ok)
            (void)snprintf(e->text, sizeof e->text, "%.200s", err.message);
    }
    (void)zmq()->msg_close(&head);
    (void)zmq()->msg_close(&body);
    return ok;
}

void link_event_release(struct link_event *e)
{
    wire_msg_release(&e->msg);
    mem_free(e->frame);
    e->frame = NULL;
}

static enum lc send_message(void *socket, json_t *head, const void *payload, size_t len, struct err *err)
{
    char *text = json_dumps(head, JSON_COMPACT);
    enum lc rc = LC_OK;

    json_decref(head);
    if (!text)
        return err_nomem(err);
    if (zmq()->send(socket, text, strlen(text), payload ? ZMQ_SNDMORE : 0) < 0 ||
        (payload && zmq()->send(socket, payload, len, 0) < 0))
        rc = err_set(err, LC_NET, "cannot send to a peer: %s", zmq()->strerror(errno));
    free(text);
    return rc;
}

/* ---- the server ------------------------------------------------------------------------------------------
 */

static enum lc open_server(struct link_server *s, const char *bind, const struct key_pair *key,
                           struct err *err)
{
    size_t n = sizeof s->endpoint;

    TRY(socket_context(&s->context, err));
    TRY(zap_start(s->context, s->allow, &s->zap, err));
    s->router = zmq()->socket(s->context, ZMQ_ROUTER);
    if (!s->router || !set_options(s->router) || !socket_int(s->router, ZMQ_ROUTER_MANDATORY, 1) ||
        !socket_int(s->router, ZMQ_SNDTIMEO, 1000) || !socket_int(s->router, ZMQ_CURVE_SERVER, 1) ||
        zmq()->setsockopt(s->router, ZMQ_ZAP_DOMAIN, "workers", 7) != 0 ||
        zmq()->setsockopt(s->router, ZMQ_CURVE_SECRETKEY, key->sec, KEY_BYTES) != 0)
        return err_set(err, LC_NET, "cannot set up the workers' socket: %s", zmq()->strerror(errno));
    s->monitor = socket_watch(s->context, s->router, "monitor");
    if (!s->monitor)
        return err_set(err, LC_NET, "cannot watch the workers' socket: %s", zmq()->strerror(errno));
    if (zmq()->bind(s->router, bind) != 0)
        return err_set(err, LC_NET, "cannot listen for workers at '%s': %s", bind, zmq()->strerror(errno));
    if (zmq()->getsockopt(s->router, ZMQ_LAST_ENDPOINT, s->endpoint, &n) != 0)
        return err_set(err, LC_NET, "cannot listen for workers at '%s'", bind);
    return LC_OK;
}

enum lc link_serve(const char *bind, const struct key_pair *key, struct allow *list, struct link_server **out,
                   struct err *err)
{
    struct link_server *s = mem_zalloc(sizeof *s);
    enum lc rc;

    if (!s)
        return err_nomem(err);
    s->allow = list;
    rc = open_server(s, bind, key, err);
    if (rc != LC_OK)
        return link_server_free(s), rc;
    *out = s;
    return LC_OK;
}

void link_server_free(struct link_server *s)
{
    if (!s)
        return;
    if (s->router)
        (void)zmq()->socket_monitor(s->router, NULL, 0);
    socket_close(&s->monitor);
    socket_close(&s->router);
    if (s->context) {
        (void)zmq()->ctx_shutdown(s->context);
        zap_join(s->zap);
        (void)zmq()->ctx_term(s->context);
    }
    mem_free(s);
}

const char *link_server_endpoint(const struct link_server *s)
{
    return s->endpoint;
}

static bool lost_peer(struct link_server *s, size_t i, const char *how, struct link_event *e)
{
    (void)snprintf(e->peer, sizeof e->peer, "%s", s->peers[i].id);
    (void)snprintf(e->user, sizeof e->user, "%s", s->peers[i].user);
    (void)snprintf(e->text, sizeof e->text, "%s", how);
    s->peers[i] = s->peers[--s->n_peers];
    return true;
}

static enum link_what server_event(struct link_server *s, struct link_event *e)
{
    uint32_t value = 0;
    char where[SOCKET_WHERE];
    int what;

    while ((what = socket_event(s->monitor, &value, where))) {
        if (what == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) {
            (void)snprintf(e->text, sizeof e->text,
                           "refused a worker's key at %s (status %u): unknown or revoked", where, value);
            return LINK_REFUSED;
        }
        if (what == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL || what == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL) {
            (void)snprintf(e->text, sizeof e->text, "refused a peer at %s that does not speak CURVE", where);
            return LINK_REFUSED;
        }
        for (size_t i = 0; what == ZMQ_EVENT_DISCONNECTED && i < s->n_peers; i++)
            if (s->peers[i].fd == (int)value)
                return lost_peer(s, i, "its connection is gone", e), LINK_LOST;
    }
    return LINK_NOTHING;
}

static bool remember(struct link_server *s, const struct link_event *e, int fd)
{
    struct peer *p = NULL;

    for (size_t i = 0; i < s->n_peers && !p; i++)
        if (strcmp(s->peers[i].id, e->peer) == 0)
            p = &s->peers[i];
    if (!p) {
        if (s->n_peers == PEERS_MOST)
            return false;
        p = &s->peers[s->n_peers++];
    }
    memcpy(p->id, e->peer, sizeof p->id);
    memcpy(p->user, e->user, sizeof p->user);
    p->fd = fd;
    return true;
}

static enum link_what server_message(struct link_server *s, struct link_event *e)
{
    unsigned char id[ID_MOST];
    int fd = -1, n = zmq()->recv(s->router, id, sizeof id, ZMQ_DONTWAIT);
    bool ok;

    if (n < 0)
        return LINK_NOTHING;
    if (n == 0 || n > ID_MOST)
        return skip_rest(s->router), LINK_NOTHING;
    sodium_bin2hex(e->peer, sizeof e->peer, id, (size_t)n);
    ok = more_frames(s->router) && receive_body(s->router, WIRE_WORKER, e, &fd);
    if (!allow_user(s->allow, e->user))
        ok = false; /* no User-Id (the handler is not there), or a revoked one */
    if (ok && remember(s, e, fd))
        return LINK_MESSAGE;
    link_event_release(e);
    return LINK_NOTHING;
}

enum link_what link_server_next(struct link_server *s, int timeout_ms, struct link_event *e)
{
    zmq_pollitem_t items[] = {{s->monitor, 0, ZMQ_POLLIN, 0}, {s->router, 0, ZMQ_POLLIN, 0}};
    enum link_what what;

    *e = (struct link_event){0};
    if (zmq()->poll(items, 2, timeout_ms) <= 0)
        return LINK_NOTHING;
    what = server_event(s, e);
    return what == LINK_NOTHING ? server_message(s, e) : what;
}

enum lc link_server_send(struct link_server *s, const char *peer, json_t *head, const void *payload,
                         size_t len, struct err *err)
{
    unsigned char id[ID_MOST];
    size_t n = 0;

    if (sodium_hex2bin(id, sizeof id, peer, strlen(peer), NULL, &n, NULL) != 0 || n == 0) {
        json_decref(head);
        return err_set(err, LC_NET, "cannot send to a peer: no such peer");
    }
    if (zmq()->send(s->router, id, n, ZMQ_SNDMORE) < 0) {
        json_decref(head);
        return err_set(err, LC_NET, "cannot send to a worker: %s", zmq()->strerror(errno));
    }
    return send_message(s->router, head, payload, len, err);
}

/* ---- the client ------------------------------------------------------------------------------------------
 */

static enum lc open_client(struct link *l, const char *endpoint, const struct worker_key *key,
                           struct err *err)
{
    TRY(socket_context(&l->context, err));
    l->dealer = zmq()->socket(l->context, ZMQ_DEALER);
    if (!l->dealer || !set_options(l->dealer) || !socket_int(l->dealer, ZMQ_SNDTIMEO, LINK_DEAD_MS * 3) ||
        zmq()->setsockopt(l->dealer, ZMQ_CURVE_PUBLICKEY, key->mine.pub, KEY_BYTES) != 0 ||
        zmq()->setsockopt(l->dealer, ZMQ_CURVE_SECRETKEY, key->mine.sec, KEY_BYTES) != 0 ||
        zmq()->setsockopt(l->dealer, ZMQ_CURVE_SERVERKEY, key->server, KEY_BYTES) != 0)
        return err_set(err, LC_NET, "cannot set up a worker's socket: %s", zmq()->strerror(errno));
    l->monitor = socket_watch(l->context, l->dealer, "monitor");
    if (!l->monitor)
        return err_set(err, LC_NET, "cannot watch a worker's socket: %s", zmq()->strerror(errno));
    if (zmq()->connect(l->dealer, endpoint) != 0) {
        enum lc rc = err_set(err, LC_ARG, "cannot connect to '%s': %s", endpoint, zmq()->strerror(errno));
        return err_hint(err, "an endpoint looks like tcp://HOST:PORT"), rc;
    }
    return LC_OK;
}

static enum lc handshake_error(const char *endpoint, int what, uint32_t value, struct err *err)
{
    if (what == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) {
        (void)err_set(err, LC_AUTH, "'%s' refused this worker's key (status %u): unknown or revoked",
                      endpoint, value);
        return err_hint(err, "'lacus worker invite NAME' on the machine with the workspace makes a new key");
    }
    (void)err_set(err, LC_AUTH,
                  "'%s' closed the handshake: it is not the server whose public key is in the key file",
                  endpoint);
    return err_hint(err, "compare the endpoint with the one that 'lacus worker invite' printed");
}

static enum lc await_handshake(const struct ctx *ctx, struct link *l, int timeout_ms, struct err *err)
{
    int64_t deadline = clock_mono_ns() + (int64_t)timeout_ms * 1000000;
    char where[SOCKET_WHERE];
    uint32_t value = 0;

    while (clock_mono_ns() < deadline) {
        zmq_pollitem_t item = {l->monitor, 0, ZMQ_POLLIN, 0};
        int what = 0;
        TRY(ctx_check(ctx, err));
        if (zmq()->poll(&item, 1, 50) > 0)
            what = socket_event(l->monitor, &value, where);
        if (what == ZMQ_EVENT_HANDSHAKE_SUCCEEDED)
            return LC_OK;
        if (what)
            return handshake_error(l->endpoint, what, value, err);
    }
    (void)err_set(err, LC_TIMEOUT, "nobody answered at '%s' within %d s", l->endpoint,
                  (timeout_ms + 999) / 1000);
    return err_hint(
        err,
        "is the workspace's coordinator running there ('lacus worker list'), and may this machine reach it?");
}

enum lc link_connect(const struct ctx *ctx, const char *endpoint, const struct worker_key *key,
                     int timeout_ms, struct link **out, struct err *err)
{
    struct link *l = mem_zalloc(sizeof *l);
    enum lc rc;

    if (!l)
        return err_nomem(err);
    (void)snprintf(l->endpoint, sizeof l->endpoint, "%s", endpoint);
    rc = open_client(l, endpoint, key, err);
    if (rc == LC_OK)
        rc = await_handshake(ctx, l, timeout_ms, err);
    if (rc != LC_OK)
        return link_free(l), rc; /* or libzmq would try for ever */
    *out = l;
    return LC_OK;
}

void link_free(struct link *l)
{
    if (!l)
        return;
    if (l->dealer) {
        (void)zmq()->socket_monitor(l->dealer, NULL, 0);
        (void)socket_int(l->dealer, ZMQ_LINGER, 500); /* a last word goes out */
    }
    socket_close(&l->monitor);
    socket_close(&l->dealer);
    if (l->context)
        (void)zmq()->ctx_term(l->context);
    mem_free(l);
}

enum link_what link_next(struct link *l, int timeout_ms, int wake, struct link_event *e)
{
    zmq_pollitem_t items[] = {
        {l->monitor, 0, ZMQ_POLLIN, 0}, {l->dealer, 0, ZMQ_POLLIN, 0}, {NULL, wake, ZMQ_POLLIN, 0}};
    char where[SOCKET_WHERE];
    uint32_t value;
    int what, fd;

    *e = (struct link_event){0};
    if (zmq()->poll(items, wake >= 0 ? 3 : 2, timeout_ms) <= 0)
        return LINK_NOTHING;
    if (items[1].revents && receive_body(l->dealer, WIRE_COORDINATOR, e, &fd))
        return LINK_MESSAGE;
    link_event_release(e);
    while ((what = socket_event(l->monitor, &value, where)))
        if (what != ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
            (void)snprintf(e->text, sizeof e->text, "the connection to %.200s is gone", l->endpoint);
            return LINK_LOST;
        }
    return LINK_NOTHING;
}

enum lc link_send(struct link *l, json_t *head, const void *payload, size_t len, struct err *err)
{
    return send_message(l->dealer, head, payload, len, err);
}
