/* client.h: a Spark Connect session: who we are, connections, calls with retries, and what can wait.
 *
 * What      every request carries the session's ids; every answer is checked to be of the same server session. A call that
 *           the server or the network could not take is repeated with growing pauses, until the time for that is over. A
 *           refused token is asked for once more (environment, file, command) before it is an error. Requests whose answers
 *           nobody waits for (release, interrupt) go out from a thread of their own.
 * Ownership client_open gives, client_close ends: it waits shortly for what is still to be sent, and releases the session.
 * Errors    LC_NET, LC_AUTH, LC_PERM, LC_UNSUPPORTED (another version), LC_ENGINE, LC_SYNTAX, LC_NOTFOUND, LC_EXISTS,
 *           LC_RUNTIME with Spark's error class in brackets and the server's stack trace, folded, as the cause;
 *           LC_CANCELLED, LC_TIMEOUT.
 * Threads   any; a call belongs to one.
 *
 * Example:
 *     struct client *c;
 *     if (client_open("sc://localhost", NULL, &c, &err) == LC_OK)
 *         client_close(c);
 */
#ifndef LACUS_DATAFRAME_ENGINES_SPARK_CLIENT_H
#define LACUS_DATAFRAME_ENGINES_SPARK_CLIENT_H
#include "runtime/dataframe/connect/proto.h"
#include "runtime/dataframe/engines/engine.h"
#include "runtime/dataframe/engines/spark/grpc.h"

enum rpc {
    RPC_EXECUTE,
    RPC_ANALYZE,
    RPC_CONFIG,
    RPC_ADD_ARTIFACTS,
    RPC_ARTIFACT_STATUS,
    RPC_INTERRUPT,
    RPC_REATTACH,
    RPC_RELEASE,
    RPC_RELEASE_SESSION,
    RPC_ERROR_DETAILS,
    RPC_COUNT
};

struct client;

enum lc client_open(const char *url, const struct plan_options *conf, struct client **out,
                    struct err *err) MUST_CHECK;
void client_close(struct client *c);
const char *client_host(const struct client *c); /* "host:port" */
bool client_is_lost(const struct client *c);     /* the server ended the session: calls fail */

/* The fields that every request of this kind begins with. */
void client_request(struct client *c, enum rpc rpc, struct buf *out);
/* Sends a request and reads the one answer. */
enum lc client_ask(struct client *c, const struct ctx *ctx, enum rpc rpc, const struct buf *request,
                   struct buf *reply, struct err *err) MUST_CHECK;
/* Sends several messages and reads the one answer. `next` begins again when the call is repeated: rewind is called first. */
struct client_messages {
    void (*rewind)(void *self);
    enum lc (*next)(void *self, const char **data, size_t *len, bool *more, struct err *err);
    void *self;
};
enum lc client_send_all(struct client *c, const struct ctx *ctx, enum rpc rpc,
                        const struct client_messages *m, struct buf *reply, struct err *err) MUST_CHECK;
/* Nobody waits for the answer. */
void client_post(struct client *c, enum rpc rpc, const struct buf *request);

/* One call with many answers, tried once: no retries. The connection goes back with client_done. */
enum lc client_begin(struct client *c, const struct ctx *ctx, const atomic_bool *stop, enum rpc rpc,
                     const struct buf *request, struct grpc **out, struct err *err) MUST_CHECK;
void client_done(struct client *c, struct grpc *g);
/* Takes the server's session id from an answer; LC_CONFLICT when it is another server's. */
enum lc client_check_session(struct client *c, enum rpc rpc, const struct buf *reply,
                             struct err *err) MUST_CHECK;
/* What a call's status is in our words; asks the server for the details. */
enum lc client_failed(struct client *c, const struct ctx *ctx, const struct grpc_status *s,
                      struct err *err) MUST_CHECK;
/* The error class in a status' details ("" when there is none): "INVALID_HANDLE.OPERATION_NOT_FOUND". */
void client_error_class(const struct grpc_status *s, char *out, size_t size);

/* What google.rpc.RetryInfo in a status asks to wait before the call is tried again, in milliseconds; -1: it asks nothing. */
int64_t client_asked_delay(const struct grpc_status *s);

struct retry {
    int attempts;
    int64_t since; /* 0: not yet */
    bool refreshed;
};
/* Whether what failed (rc of the transport, or the status when rc is LC_OK) may be tried again; waits the pause. LC_OK: try again. */
enum lc client_retry(struct client *c, const struct ctx *ctx, const atomic_bool *stop, struct retry *r,
                     enum lc rc, const struct grpc_status *s, struct err *err) MUST_CHECK;
#endif
