/* wire.h: bytes to and from a server, in the clear or through TLS, interruptible.
 *
 * What      connects (every address of the host), shakes hands, sends and receives without ever blocking longer than
 *           a look at ctx and at `stop` allows. Certificates are checked against the system's (SSL_CERT_FILE, SSL_CERT_DIR,
 *           GRPC_DEFAULT_SSL_ROOTS_FILE_PATH add to it), names against the host's.
 * Ownership wire_open gives, wire_close ends. target and stop are borrowed.
 * Units     bytes; milliseconds.
 * Errors    LC_NET: nobody listens, the name is not known, TLS failed (with the reason); LC_CANCELLED, LC_TIMEOUT.
 * Threads   one at a time per wire; any.
 *
 * Example:
 *     struct wire *w;
 *     if (wire_open(&ctx, NULL, &(struct wire_target){"localhost", 15002, false}, &w, &err) == LC_OK)
 *         wire_close(w);
 */
#ifndef LACUS_DATAFRAME_ENGINES_SPARK_WIRE_H
#define LACUS_DATAFRAME_ENGINES_SPARK_WIRE_H
#include "runtime/base/buf.h"
#include "runtime/base/ctx.h"

struct wire;

struct wire_target {
    const char *host;
    int port;
    bool tls;
};

enum { WIRE_LOOK_MS = 20, WIRE_CONNECT_MS = 20000 };

enum lc wire_open(const struct ctx *ctx, const atomic_bool *stop, const struct wire_target *t,
                  struct wire **out, struct err *err) MUST_CHECK;
void wire_close(struct wire *w);
bool wire_put(struct wire *w, const void *data, size_t len); /* into the queue; false: no memory */
size_t wire_queued(const struct wire *w);
/* Sends what can be sent and waits up to wait_ms for something to read, which is appended to `in` (nothing: time is up).
 * *closed: the other side has ended the connection. */
enum lc wire_turn(struct wire *w, int wait_ms, struct buf *in, bool *closed, struct err *err) MUST_CHECK;
bool wire_quiet(struct wire *w); /* still there, and with nothing to say */
#endif
