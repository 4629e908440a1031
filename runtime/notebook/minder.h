/* minder.h: the thread beside a notebook run: interrupts what takes too long or is to stop, and saves meanwhile.
 *
 * What      an interrupt that arrives while no cell runs is nobody's, so a stop that was asked for is repeated
 *           until the cell that began nevertheless has ended. A cell that none of them ends is told as stuck, once.
 * Ownership minder_open gives it, minder_close ends the thread. The session is borrowed until minder_session(w, NULL).
 * Units     nanoseconds of clock_mono_ns; 0: no limit.
 * Errors    LC_NOMEM.
 * Threads   the functions are called by the thread that runs the cells; `tick` by the watching thread.
 *
 * Example:
 *     struct minder *w;
 *     struct err err;
 *     if (minder_open(&(struct minder_options){.stop_asked = asked}, &w, &err) == LC_OK)
 *         minder_close(w);
 */
#ifndef LACUS_NOTEBOOK_MINDER_H
#define LACUS_NOTEBOOK_MINDER_H
#include "runtime/base/err.h"
#include <stdint.h>

struct session;
struct minder;

struct minder_options {
    bool (*stop_asked)(void *arg); /* may be NULL */
    bool (*hurried)(void *arg);    /* asked again: what is stuck is given up sooner; may be NULL */
    void (*tick)(void *arg);       /* about ten times a second while a cell runs; may be NULL */
    void (*stuck)(void *arg);      /* the cell has not ended grace_ns after it was interrupted; may be NULL */
    int64_t grace_ns;
    void *arg, *tick_arg; /* tick_arg is also stuck's */
};

enum lc minder_open(const struct minder_options *options, struct minder **out, struct err *err) MUST_CHECK;
void minder_close(struct minder *w);
void minder_session(struct minder *w, struct session *s);
void minder_cell(struct minder *w, int64_t deadline_ns); /* a cell begins; ends at the next minder_end */
bool minder_late(struct minder *w);                      /* the running cell's deadline has passed */
/* Waits for a tick that is under way: between two cells there is none. */
bool minder_end(struct minder *w); /* true: its deadline had passed */
#endif
