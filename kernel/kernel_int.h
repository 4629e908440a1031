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
#include "kernel/shells.h"
#include "kernel/usage.h"
#include "runtime/session/session.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

/* A request that is being answered; for execute requests until the cell has ended. */
struct exchange {
    struct request *request; /* owned when it is a cell's */
    bool silent, may_ask;
    json_t *payload; /* owned array or NULL */

    struct shell *shell; /* of a cell, NULL: of no cell; so are the rest */
    struct cell_request cell;
    struct cell_reply reply;
    struct session_task *task;
    bool stepping; /* it is on the C stack */
    int64_t began;
};
struct debug_adapter;

struct kernel {
    struct connection connection;
    struct kwire *wire;
    struct channels *channels;
    struct publisher *publisher;
    struct inbox *inbox;
    struct debug_adapter *debug;
    struct buf info;    /* content of kernel_info_reply */
    int log_fd;         /* the real standard error */
    int done_fd;        /* the session thread has ended */
    struct usage usage; /* control thread */
    pthread_t control, heartbeat;
    bool has_control, has_heartbeat;
    atomic_bool stopping, output_waits; /* output_waits: captured output has come while no cell runs */

    struct session *session; /* session thread */
    struct shells *shells;
    struct exchange *now; /* session thread: what is being answered, NULL between requests */
    int nested;           /* session thread: cells and handlers of comm messages that are on the C stack */

    pthread_mutex_t run_lock; /* of what is below: an interrupt reaches a request that runs, or nothing */
    int running;              /* nesting depth */
    unsigned ended;           /* how many have ended */
    unsigned interrupted;     /* `ended` at the last interrupt that reached one, */
    int64_t interrupted_ns;   /* and when that was; 0: nothing to say about it */
    struct session *interruptible;
};

/* requests.c */
/* Answers a request, or starts its cell; frees it. */
void requests_answer(struct kernel *k, struct request *r);
/* Becomes what is answered now, or goes on being; NULL: nothing is. Returns what was before. */
struct exchange *requests_enter(struct kernel *k, struct exchange *e);
void requests_leave(struct kernel *k, struct exchange *before);
void requests_announce(struct kernel *k);                                            /* busy */
void requests_reply(struct kernel *k, const struct request *r, struct buf *content); /* reply and idle */
/* An interrupt reaches what runs between these two. */
void requests_begin(struct kernel *k);
void requests_end(struct kernel *k);
void requests_put_error(struct buf *out, const struct err *err);
void requests_put_ports(const struct kernel *k, struct buf *out); /* content of connect_reply */
void requests_put_unknown(struct buf *out, const char *type, const char *channel);
bool requests_flag(const struct request *r, const char *name, bool missing);
/* The session could not run something at all: the front end would see nothing but a reply. */
void requests_publish_failure(struct kernel *k, const struct err *err);
void requests_idle(struct kernel *k); /* nothing was asked for a while */
/* The kernel ends: other clients that ask for it, too, are answered; what else waits is dropped. */
void requests_end_all(struct kernel *k);
/* kernel_info before there is a session, or while it is at a cell, also in C: the two calls of an inbox. */
bool requests_is_early(void *kernel, const struct request *r);
void requests_early(void *kernel, const struct request *r);
bool requests_info(struct buf *out);
bool requests_is_comm(const struct request *r);
bool requests_is_question(const struct request *r); /* changes nothing: answered while a cell runs */
enum comm_kind requests_comm_kind(const struct request *r);
/* {"status":"error",…} */
bool requests_error(struct buf *out, const char *ename, const char *evalue);
/* What every reply to a type that nobody knows is called; false: the type is no request. */
bool requests_reply_type(const char *type, char out[WIRE_TYPE_MAX + 1]);

/* kernel_frontend.c */
extern const struct frontend_ops kernel_frontend_ops;
bool kernel_dump(struct buf *out, const json_t *value, const char *missing);

/* control.c */
void control_signals(sigset_t *set); /* those that it reads */
enum lc control_start(struct kernel *k, struct err *err) MUST_CHECK;
void control_join(struct kernel *k);
void control_stop(struct kernel *k); /* any thread: no request is begun any more */
#endif
