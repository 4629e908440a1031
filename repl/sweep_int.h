/* sweep_int.h: what sweep.c (the processes) and sweep_report.c (table, plot, notebook) share.
 *
 * Ownership a struct sweep and its points are sweep_run's.
 * Units, Errors, Threads: as sweep.h.
 *
 * Example:
 *     sweep_print(&s);
 */
#ifndef LACUS_REPL_SWEEP_INT_H
#define LACUS_REPL_SWEEP_INT_H
#include "repl/sweep.h"
#include "runtime/base/buf.h"
#include <sys/types.h>

enum { SWEEP_POINTS = 10000, SWEEP_JOB = 48 };

struct sweep_axis {
    char *name;    /* owned */
    json_t *texts; /* owned: the values as they were written */
};

struct sweep_point {
    json_t *texts;       /* owned: name → value as written */
    char *label;         /* owned: "lr=1e-5 r=8" */
    char *output;        /* owned */
    char job[SWEEP_JOB]; /* tag of the tracking runs it makes */
    pid_t pid;           /* 0: not started, -1: ended */
    int fd, log;         /* what it tells; its standard error. -1: closed */
    struct buf told;     /* not a whole line yet */
    json_t *end;         /* owned: its last word {"status", "result", "error"}; NULL: none */
    json_t *metrics;     /* owned: name → number */
    int64_t started_ns, ended_ns;
    json_int_t cell, total;
};

struct sweep {
    const struct run_options *o;
    struct sweep_axis axes[RUN_SWEEPS];
    size_t n_axes;
    struct sweep_point *points; /* owned */
    size_t n;
};

const char *sweep_status(const struct sweep_point *p); /* "ok", "failed", "running", … */
double sweep_seconds(const struct sweep_point *p);
void sweep_collect(struct sweep_point *p); /* p->metrics, of what it gave back and tracked */
void sweep_print(const struct sweep *s);   /* the table */
/* NAME-sweep.ipynb; *path is the caller's (mem_free). */
enum lc sweep_write(const struct sweep *s, char **path, struct err *err) MUST_CHECK;
#endif
