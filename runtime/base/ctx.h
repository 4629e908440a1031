/* ctx.h: who asks, for whom, until when: what every call through a seam takes.
 *
 * What      principal, session, operation, cancel token, deadline and lineage parent of one call. Nothing
 *           below a front end reads the user, a cell's clock or a cancel flag from anywhere else.
 * Ownership all pointers are borrowed and live at least as long as the call. A worker thread that outlives
 *           the call copies.
 * Units     deadline: CLOCK_MONOTONIC nanoseconds, 0 for none.
 * Errors    ctx_check: LC_CANCELLED or LC_TIMEOUT.
 * Threads   immutable but for the cancel token, which any thread may set.
 *
 * Example:
 *     struct ctx ctx = ctx_background();
 *     struct err err;
 *     if (ctx_check(&ctx, &err) != LC_OK)
 *         puts(err.message);
 */
#ifndef LACUS_BASE_CTX_H
#define LACUS_BASE_CTX_H
#include "runtime/base/err.h"
#include <stdatomic.h>

struct arena;

struct ctx_lineage {      /* what caused this call; "" or NULL: unknown */
    const char *notebook; /* path of the notebook or script */
    const char *cell;     /* its cell id or number */
    const char *run;      /* the active tracking run */
    const char *job;      /* the job that runs the notebook */
};

/* Who is told how far a call is that lasts: done is 0 … 1, -1 when it is not known, CTX_PROGRESS_OVER in the end (after others
 * only). Called by the calling thread, some times in a second. */
#define CTX_PROGRESS_OVER 2.0
struct ctx_progress {
    void (*told)(void *self, double done);
    void *self;
};

struct ctx {
    const char *principal;     /* user name; "" is the local user */
    const char *session;       /* unique id of the session */
    const char *operation;     /* unique id of this call, for tags and logs; may be NULL */
    const atomic_bool *cancel; /* set by an interrupt; NULL: cannot be cancelled */
    int64_t deadline_ns;       /* CLOCK_MONOTONIC; 0: none */
    struct ctx_lineage lineage;
    const struct ctx_progress *progress; /* may be NULL */
    struct arena *arena; /* scratch that lives until the call returns to the front end; may be NULL */
};

struct ctx ctx_background(void);           /* local user, no cancel, no deadline: for tools and tests */
bool ctx_cancelled(const struct ctx *ctx); /* NULL is never cancelled */
enum lc ctx_check(const struct ctx *ctx, struct err *err) MUST_CHECK;
#endif
