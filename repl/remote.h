/* remote.h: the prompt's backend that talks to a kernel that runs elsewhere, any Jupyter kernel (--existing).
 *
 * What      a ZeroMQ client: cells, completion, inspection and history go over the shell channel, what the kernel
 *           shows comes from iopub, its questions over stdin, Ctrl-C as an interrupt_request over control.
 * Ownership remote_open gives it, remote_close ends it; the front end is borrowed.
 * Units     none.
 * Errors    LC_NOTFOUND (no kernel, no such file), LC_TIMEOUT (a kernel that does not answer), what connection.h
 *           says.
 * Threads   main thread.
 *
 * Example:
 *     struct remote *r;
 *     struct err err;
 *     if (remote_open(NULL, &frontend, &r, &err) == LC_OK) {
 *         struct backend b = remote_backend(r);
 *         prompt_loop(&b, remote_banner(r));
 *         remote_close(r);
 *     }
 */
#ifndef LACUS_REPL_REMOTE_H
#define LACUS_REPL_REMOTE_H
#include "repl/backend.h"
#include "runtime/base/err.h"

struct remote;
struct terminal_frontend;

/* name: a connection file, or a part of the name of one in Jupyter's runtime folder; NULL: the newest that answers. */
enum lc remote_open(const char *name, struct terminal_frontend *t, struct remote **out,
                    struct err *err) MUST_CHECK;
void remote_close(struct remote *r);
struct backend remote_backend(struct remote *r);
const char *remote_banner(const struct remote *r); /* borrowed */
bool remote_lost(const struct remote *r);          /* the kernel stopped answering: the person was told */
/* The running kernels, newest first: [{"file", "key"?}]; new reference. Those that do not answer are left out. */
json_t *remote_list(void);
#endif
