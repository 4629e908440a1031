/* link.h: the encrypted connection between a coordinator (server) and its workers (clients).
 *
 * What      ZeroMQ ROUTER and DEALER with CURVE. The server admits the keys of an allow-list (zap.h), checks
 *           the User-Id of each message again (a revoked key's open connection goes silent), and reports
 *           peers that are lost: closed connections at once, frozen machines after LINK_DEAD_MS. The client
 *           learns at once when it is refused, when the server is another one, and within its deadline when
 *           nobody answers.
 * Ownership link_serve/link_connect give, link_server_free/link_free end. An event's message is the caller's:
 *           link_event_release.
 * Units     milliseconds.
 * Errors    LC_AUTH, LC_NET, LC_TIMEOUT, LC_CANCELLED, LC_ARG (endpoint). Messages that break wire.h's rules
 *           are dropped by the server and counted.
 * Threads   one thread per object.
 *
 * Example:
 *     struct link_server *s;
 *     struct err err;
 *     if (link_serve("tcp://127.0.0.1:*", &key, list, &s, &err) == LC_OK) {
 *         struct link_event e;
 *         if (link_server_next(s, 100, &e) == LINK_MESSAGE)
 *             puts(e.user);
 *         link_event_release(&e);
 *         link_server_free(s);
 *     }
 */
#ifndef LACUS_TRAIN_LINK_H
#define LACUS_TRAIN_LINK_H
#include "runtime/base/ctx.h"
#include "runtime/train/keys.h"
#include "runtime/train/wire.h"

enum { LINK_PEER = 64, LINK_DEAD_MS = 10000, LINK_TEXT = 256 };

enum link_what {
    LINK_NOTHING, /* time is up */
    LINK_MESSAGE,
    LINK_LOST,    /* a peer's connection is gone; text says how */
    LINK_REFUSED, /* a stranger was turned away; text says who and why */
};

struct link_event {
    char peer[LINK_PEER]; /* hexadecimal routing id: names the connection */
    char user[KEY_NAME];  /* the name behind its key */
    char address[64];     /* where it connects from: an IP address */
    struct wire_msg msg;  /* with LINK_MESSAGE */
    void *frame;          /* owned bytes that msg.payload points into */
    char text[LINK_TEXT];
};

struct link_server;
enum lc link_serve(const char *bind, const struct key_pair *key, struct allow *list, struct link_server **out,
                   struct err *err) MUST_CHECK;
void link_server_free(struct link_server *s);
const char *link_server_endpoint(const struct link_server *s); /* with the port that was chosen */
/* Always fills e, also with nothing. */
enum link_what link_server_next(struct link_server *s, int timeout_ms, struct link_event *e);
/* Takes the reference to head. */
enum lc link_server_send(struct link_server *s, const char *peer, json_t *head, const void *payload,
                         size_t len, struct err *err) MUST_CHECK;
void link_event_release(struct link_event *e);

struct link;
enum lc link_connect(const struct ctx *ctx, const char *endpoint, const struct worker_key *key,
                     int timeout_ms, struct link **out, struct err *err) MUST_CHECK;
void link_free(struct link *l);
/* A descriptor `wake` (or -1) that becomes readable ends the wait early. */
enum link_what link_next(struct link *l, int timeout_ms, int wake, struct link_event *e);
enum lc link_send(struct link *l, json_t *head, const void *payload, size_t len, struct err *err) MUST_CHECK;
#endif
