/* debug_adapter.h: the debugger as Jupyter has it: debug_request on the control channel, debug_event on iopub.
 *
 * What      requests of the Debug Adapter Protocol are taken by the control thread. Those that only change breakpoints or
 *           say how to go on are answered there at once; those that look into the session are jobs for its thread
 *           (debug.h), and are answered when they are done. A session that is inside a C function for DEBUG_PATIENCE_MS
 *           cannot be looked into: that is answered with success false. Cells are known to both sides by the hash of
 *           their text.
 * Ownership the adapter has its folder of cells, which goes when it does.
 * Units     ms.
 * Errors    are answers with success false and a message.
 * Threads   _open, _bind, _serve, _unbind and _close: session thread; the others: control thread.
 *
 * Example:
 *     struct debug_adapter *a;
 *     struct kernel k = {0};
 *     if (debug_adapter_open(&k, &a, NULL) == LC_OK)
 *         debug_adapter_close(a);
 */
#ifndef LACUS_KERNEL_DEBUG_ADAPTER_H
#define LACUS_KERNEL_DEBUG_ADAPTER_H
#include "kernel/kernel_int.h"

enum { DEBUG_PATIENCE_MS = 3000, DEBUG_CODE_MAX = 16 << 20 };

struct debug_adapter;

enum lc debug_adapter_open(struct kernel *k, struct debug_adapter **out, struct err *err) MUST_CHECK;
void debug_adapter_bind(struct debug_adapter *a, struct session *s);
void debug_adapter_unbind(struct debug_adapter *a); /* before the session is closed */
void debug_adapter_close(struct debug_adapter *a);  /* after the control thread has ended; NULL is fine */
/* Between cells: does what waits. */
void debug_adapter_serve(struct debug_adapter *a);

void debug_adapter_take(struct debug_adapter *a, struct request *r); /* takes r */
int debug_adapter_fd(const struct debug_adapter *a); /* readable: debug_adapter_reply has work */
void debug_adapter_reply(struct debug_adapter *a);
int debug_adapter_due(
    struct debug_adapter *a); /* until debug_adapter_reply must be called anyway, -1: never */

/* One request's content in, the reply's content out, for what needs no session; for the fuzzer. */
void debug_adapter_try(struct debug_adapter *a, json_t *content, struct buf *out);
#endif
