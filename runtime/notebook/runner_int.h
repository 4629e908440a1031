/* runner_int.h: the inside of a notebook run: shared by the loop over the cells (runner.c) and the front end
 * that stores their outputs (runner_output.c).
 *
 * Ownership, Units, Errors: as runner.h.
 * Threads   the notebook is changed and saved under `lock`: by the session thread, and by the one that watches.
 *
 * Example:
 *     runner_changed(r);
 */
#ifndef LACUS_NOTEBOOK_RUNNER_INT_H
#define LACUS_NOTEBOOK_RUNNER_INT_H
#include "runtime/base/terminal.h"
#include "runtime/notebook/minder.h"
#include "runtime/notebook/notebook.h"
#include "runtime/notebook/runner.h"
#include "runtime/notebook/widget_state.h"
#include <pthread.h>

struct runner {
    const struct runner_options *options;
    struct runner_result *result;
    json_t *params;   /* owned: never NULL */
    struct buf given; /* with retries: the input's text, as a pipe has it only once */
    struct notebook *nb;
    struct terminal terminal;
    struct widget_states widgets; /* under lock */
    struct minder *minder;
    struct session *session; /* borrowed; while cells run */
    bool again;              /* it failed, and is begun once more */
    bool complete;           /* the run that is resumed has nothing left to run */
    size_t replay;           /* so many of the first code cells run again for their state only */
    int64_t deadline;        /* of the whole run; 0: none */
    pthread_mutex_t lock;
    bool dirty; /* changed since the last save */
    int64_t saved_ns, save_took;
    struct err save_error; /* code LC_OK while saving works */

    /* the cell that runs */
    json_t *cell;    /* borrowed */
    bool clear_next; /* clear_output(wait = true) */
    bool replaying;  /* what it shows is dropped */
    double limit;    /* seconds that it had; told when it has timed out */
};

extern const struct frontend_ops runner_ops;

bool runner_shows(const struct runner *r); /* texts of cells go to the terminal */
void runner_changed(struct runner *r);     /* the notebook was changed: saved soon. Under lock. */
/* os.exit(3) is a failure of the cell, as sys.exit(3) is for papermill. */
void runner_exit_failed(struct runner *r, struct cell_reply *reply);
void runner_forget_displays(struct runner *r); /* ids are for the time of the run only */
#endif
