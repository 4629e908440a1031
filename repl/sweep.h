/* sweep.h: `lacus run --sweep`: one process per combination of values, a table and a comparison at the end.
 *
 * What      the runs are processes of their own, -j of them at a time; lines on standard error say how they
 *           stand. The values that they give back (dbutils.notebook.exit, and the metrics of the tracking runs
 *           they made) are shown as a table on standard output, and written with a plot to NAME-sweep.ipynb
 *           beside the outputs.
 * Ownership options are borrowed.
 * Units     none.
 * Errors    LC_ARG before anything runs (a name twice, two runs with the same output); LC_RUNTIME when a run
 *           failed; LC_CANCELLED after a signal, which the runs get too.
 * Threads   main thread, before there is any other.
 *
 * Example:
 *     struct err err;
 *     if (sweep_run(&options, run_notebook, &err) != LC_OK)
 *         puts(err.message);
 */
#ifndef LACUS_REPL_SWEEP_H
#define LACUS_REPL_SWEEP_H
#include "repl/run_options.h"

/* What runs one of them, in the process of its own. */
typedef enum lc sweep_fn(const struct run_options *o, struct err *err);
enum lc sweep_run(const struct run_options *o, sweep_fn *run, struct err *err) MUST_CHECK;
#endif
