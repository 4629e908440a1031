/* grpc.h: one gRPC call over one HTTP/2 connection.
 *
 * What      a connection carries one call at a time; who wants several calls at once opens several connections. Messages
 *           are read when they are asked for, so a slow reader slows the sender down (HTTP/2's windows) instead of
 *           filling memory. Pings are answered, and sent when a call is silent for minutes.
 * Ownership grpc_open gives, grpc_close ends. Headers and request are borrowed until the call has begun.
 * Units     bytes; a message is at most GRPC_MESSAGE_MAX.
 * Errors    those of wire.h; LC_NET when the other side does not speak HTTP/2, LC_LIMIT for a longer message. What the
 *           server answered is in grpc_status once grpc_next has said that there is no more.
 * Threads   one at a time per connection.
 *
 * Example:
 *     struct grpc *g;
 *     if (grpc_open(&ctx, NULL, &target, &g, &err) == LC_OK)
 *         grpc_close(g);
 */
#ifndef LACUS_DATAFRAME_ENGINES_SPARK_GRPC_H
#define LACUS_DATAFRAME_ENGINES_SPARK_GRPC_H
#include "runtime/dataframe/engines/spark/wire.h"

enum { GRPC_MESSAGE_MAX = 128 << 20, GRPC_DETAILS_MAX = 64 << 10 };

enum grpc_code {
    GRPC_OK = 0,
    GRPC_CANCELLED = 1,
    GRPC_DEADLINE = 4,
    GRPC_NOT_FOUND = 5,
    GRPC_PERMISSION = 7,
    GRPC_EXHAUSTED = 8,
    GRPC_UNIMPLEMENTED = 12,
    GRPC_INTERNAL = 13,
    GRPC_UNAVAILABLE = 14,
    GRPC_UNAUTHENTICATED = 16
};

struct grpc;

struct grpc_header {
    const char *name, *value;
};

struct grpc_call {
    const char *path, *authority;
    bool tls;
    const struct grpc_header *headers;
    size_t n_headers;
    const atomic_bool *stop; /* may be NULL */
    /* The next message to send; *more false: none are left. NULL: one message, `request`. */
    enum lc (*next)(void *self, const char **data, size_t *len, bool *more, struct err *err);
    void *self;
    const char *request;
    size_t request_len;
};

struct grpc_status {
    int code; /* -1: the server closed the call without one */
    char message[4096];
    char details[GRPC_DETAILS_MAX]; /* google.rpc.Status */
    size_t details_len;
};

enum lc grpc_open(const struct ctx *ctx, const atomic_bool *stop, const struct wire_target *t,
                  struct grpc **out, struct err *err) MUST_CHECK;
void grpc_close(struct grpc *g);
bool grpc_usable(struct grpc *g); /* for one more call */
enum lc grpc_begin(struct grpc *g, const struct ctx *ctx, const struct grpc_call *call,
                   struct err *err) MUST_CHECK;
/* The next message replaces *message. *more false: the call has ended. */
enum lc grpc_next(struct grpc *g, const struct ctx *ctx, struct buf *message, bool *more,
                  struct err *err) MUST_CHECK;
const struct grpc_status *grpc_status(const struct grpc *g);
void grpc_cancel(struct grpc *g); /* the call that runs; the connection can be used again */
#endif
