/* kernel_int.h: the parts of one running kernel; private to this folder.
 *
 * Ownership struct kernel lives on kernel_main's stack.
 * Errors    see kernel.h.
 * Threads   fields without a word about threads are set before the threads start and constant after.
 */
#ifndef LACUS_KERNEL_KERNEL_INT_H
#define LACUS_KERNEL_KERNEL_INT_H
#include "kernel/channels.h"
#include "kernel/inbox.h"
#include "kernel/publisher.h"
#include "runtime/session/session.h"
#include <pthread.h>
#include <stdatomic.h>

struct kernel {
    struct connection connection;
    struct kwire *wire;
    struct channels *channels;
    struct publisher *publisher;
    struct inbox *inbox;
    struct buf info; /* content of kernel_info_reply */
    int log_fd;      /* the real standard error */
    int done_fd;     /* the session thread has ended */
    pthread_t control, heartbeat;
    bool has_control, has_heartbeat;
    atomic_bool stopping, output_waits; /* output_waits: captured output has come while no cell runs */

    struct session *session;       /* session thread */
    const struct request *current; /* session thread: what is being answered */
    bool silent, may_ask;          /* session thread: of the cell that runs */
    json_t *payload;               /* session thread: owned array, of the cell that runs; may be NULL */

    pthread_mutex_t run_lock; /* of the two below: an interrupt reaches a request that runs, or nothing */
    int running;              /* nesting depth */
    struct session *interruptible;
};

/* requests.c */
void requests_answer(struct kernel *k, struct request *r);
void requests_idle(struct kernel *k);                 /* nothing was asked for a while */
bool requests_early(void *kernel, struct request *r); /* kernel_info before there is a session */
bool requests_info(struct buf *out);
bool requests_is_comm(const struct request *r);
/* {"status":"error",…} */
bool requests_error(struct buf *out, const char *ename, const char *evalue);
/* What every reply to a type that nobody knows is called; false: the type is no request. */
bool requests_reply_type(const char *type, char out[WIRE_TYPE_MAX + 1]);

/* kernel_frontend.c */
extern const struct frontend_ops kernel_frontend_ops;
bool kernel_dump(struct buf *out, const json_t *value, const char *missing);

/* control.c */
enum lc control_start(struct kernel *k, struct err *err) MUST_CHECK;
void control_join(struct kernel *k);
void control_interrupt(struct kernel *k);
void control_stop(struct kernel *k); /* any thread: no request is begun any more */
#endif
