/* runner.h: runs a notebook in this process and writes its outputs back as they come.
 *
 * What      opens a session, runs the code cells in order, stops at the first error (unless the cell is
 *           tagged raises-exception), and keeps the output file a valid notebook at every moment: each save
 *           replaces the file as a whole.
 * Ownership options are borrowed during the call.
 * Params    each must occur in the notebook's code (else LC_ARG with the nearest name, before anything runs).
 *           dbutils.widgets see them; a cell tagged `parameters` gets a cell `injected-parameters` behind it,
 *           as papermill does.
 * Errors    notebook_run returns LC_OK when every cell ran; LC_RUNTIME when a cell failed, LC_CANCELLED when
 *           it was interrupted in a cell or stopped between two (the notebook is saved with what it had);
 *           others when the notebook could not be read, run or written.
 * Threads   the calling thread becomes the session thread.
 *
 * Example:
 *     struct runner_options options = {.input = "report.ipynb", .output = "out.ipynb", .terminal_fd = -1};
 *     struct err err;
 *     if (notebook_run(&options, &err) != LC_OK)
 *         puts(err.message);
 */
#ifndef LACUS_NOTEBOOK_RUNNER_H
#define LACUS_NOTEBOOK_RUNNER_H
#include "runtime/session/session.h"

struct runner_options {
    const char *input, *output;     /* the same path: in place */
    json_t *params;                 /* object, may be NULL */
    int terminal_fd;                /* cells and their text are shown here; -1: nowhere */
    struct session_options session; /* globals, magics, principal; the rest is set by the runner */
    void (*started)(void *arg, struct session *s); /* e.g. to install a signal handler; may be NULL */
    void (*ended)(void *arg);                      /* before the session closes; may be NULL */
    bool (*stop_asked)(void *arg); /* looked at before each cell: true ends the run there; may be NULL */
    void *arg;
};

enum lc notebook_run(const struct runner_options *options, struct err *err) MUST_CHECK;
#endif
