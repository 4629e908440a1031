/* runner.h: runs a notebook in this process and writes its outputs back as they come.
 *
 * What      opens a session, runs the code cells in order, stops at the first error (unless the cell is
 *           tagged raises-exception), and keeps the output file a valid notebook at every moment: each save
 *           replaces the file as a whole. metadata.papermill is what papermill writes; metadata.lacus says how
 *           the run ended, with what value (dbutils.notebook.exit), and how often it was tried.
 * Resume    the cells that an earlier run's output shows as completed (or failed, as they may), with the same source,
 *           from the first one on, are run again only for what they leave in memory: what they print or show is dropped and their
 *           stored outputs stay. So what they do outside happens twice; cells tagged `no-replay` are not run
 *           again. Running and storing goes on at the first cell that failed, is new or has changed. With other parameters
 *           nothing is taken over; of a run that is complete nothing is run and nothing written.
 * Ownership options are borrowed during the call; a result is released with runner_result_release.
 * Params    one that the notebook does not know is set all the same, after a warning on standard error (not when `quiet`).
 *           dbutils.widgets see them; a cell `injected-parameters` assigns them, as papermill does.
 * Units     seconds; 0 is no limit.
 * Errors    notebook_run returns LC_OK when every cell ran; LC_RUNTIME when a cell failed, LC_TIMEOUT when one
 *           took too long, LC_CANCELLED when it was interrupted in a cell or stopped between two (the notebook
 *           is saved with what it had); others when the notebook could not be read, run or written.
 * Threads   the calling thread becomes the session thread; one more watches the time and saves meanwhile.
 *
 * Example:
 *     struct runner_options options = {.input = "report.ipynb", .output = "out.ipynb", .terminal_fd = -1};
 *     struct err err;
 *     if (notebook_run(&options, NULL, &err) != LC_OK)
 *         puts(err.message);
 */
#ifndef LACUS_NOTEBOOK_RUNNER_H
#define LACUS_NOTEBOOK_RUNNER_H
#include "runtime/session/session.h"

struct runner_progress {
    size_t number, total; /* of the cells that run */
    const char *source;   /* of the cell that begins; NULL: the cell has ended */
    bool failed;
};

struct runner_options {
    const char *input, *output; /* the same path: in place; "-": standard input and output */
    json_t *params;             /* object, may be NULL */
    json_t *texts;              /* object: name to a parameter as it was typed, for widgets; may be NULL */
    int terminal_fd;            /* cells and their text are shown here; -1: nowhere */
    int errors_fd;              /* standard error, which the session captures; 0: it does not */
    int notebook_fd;            /* where the notebook goes when output is "-" */
    bool bar;                   /* there: a progress bar */
    bool quiet_cells;           /* there: no cells and texts */
    bool quiet;                 /* no warnings about parameters */
    double cell_timeout, timeout;
    int retries; /* how often a run that failed is begun again, from the first cell */
    double retry_delay;
    bool resume, allow_errors, report_mode, prepare_only;
    const char *const *skip_tags;   /* cells with one of them are not run; ends with NULL; may be NULL */
    const char *const *error_tags;  /* cells with one of them may fail; likewise */
    const char *kernel;             /* run as this kernel, whatever the notebook says; may be NULL */
    struct session_options session; /* globals, magics, principal; the rest is set by the runner */
    void (*started)(void *arg, struct session *s); /* e.g. to install a signal handler; may be NULL */
    void (*ended)(void *arg);                      /* before the session closes; may be NULL */
    bool (*stop_asked)(void *arg); /* true ends the run; called from any thread; may be NULL */
    bool (*hurried)(void *arg);    /* it was asked for again; likewise */
    /* A cell is in a call into C that no interrupt ends, `grace` seconds (or, hurried, one) after the first. The notebook is saved,
     * with that error; what is left is to end the process. Called by the watching thread; may be NULL: such a cell is waited for. */
    void (*stuck)(void *arg, enum lc rc, const struct err *err);
    double grace;
    void (*progress)(void *arg, const struct runner_progress *p); /* may be NULL */
    void *arg;
};

struct runner_result {
    char *exit_value; /* owned: what the notebook handed to dbutils.notebook.exit; NULL: nothing */
    char
        *job; /* owned: of a resumed run that was complete: what its tracking runs are tagged with; or NULL */
    size_t ran, failed, skipped, replayed;
    int attempts;
};

/* result may be NULL. */
enum lc notebook_run(const struct runner_options *options, struct runner_result *result,
                     struct err *err) MUST_CHECK;
void runner_result_release(struct runner_result *r);
#endif
