/* zap.h: ZeroMQ's authentication handler (RFC 27) over an allow-list of CURVE keys.
 *
 * What      a thread that answers each handshake of the context's server sockets: 200 and the worker's name
 *           as User-Id when the key is on the list, else 400. It must be started before the first server
 *           socket binds: without it libzmq lets every key in.
 * Ownership zap_start gives; the list is borrowed and outlives it. The thread ends when its context is shut
 *           down (zmq_ctx_shutdown); then zap_join.
 * Errors    LC_NET, LC_NOMEM.
 * Threads   any.
 *
 * Example:
 *     struct zap *z;
 *     struct err err;
 *     void *ctx = zmq_ctx_new();
 *     struct allow *list = allow_new();
 *     if (zap_start(ctx, list, &z, &err) == LC_OK) {
 *         zmq_ctx_shutdown(ctx);
 *         zap_join(z);
 *     }
 */
#ifndef LACUS_TRAIN_ZAP_H
#define LACUS_TRAIN_ZAP_H
#include "runtime/train/keys.h"

struct zap;
enum lc zap_start(void *zmq_context, struct allow *list, struct zap **out, struct err *err) MUST_CHECK;
void zap_join(struct zap *z); /* waits for the thread and frees; NULL is fine */
#endif
