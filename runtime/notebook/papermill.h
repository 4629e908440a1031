/* papermill.h: what papermill notes in the notebooks it runs, noted the same way.
 *
 * What      metadata.papermill of the notebook and of each cell; tools that read papermill's outputs read ours.
 * Ownership the notebook's JSON is changed; nothing is kept.
 * Units     times are UTC with microseconds, durations in seconds.
 * Errors    none.
 * Threads   as the notebook.
 * Source    papermill 2.7, engines.py and execute.py.
 *
 * Example:
 *     papermill_begin(nb, "in.ipynb", "out.ipynb", params);
 *     papermill_end(nb, PAPERMILL_COMPLETED);
 */
#ifndef LACUS_NOTEBOOK_PAPERMILL_H
#define LACUS_NOTEBOOK_PAPERMILL_H
#include "runtime/notebook/notebook.h"

enum papermill_status { PAPERMILL_PENDING, PAPERMILL_RUNNING, PAPERMILL_COMPLETED, PAPERMILL_FAILED };

/* The run and every cell: not run yet. */
void papermill_begin(struct notebook *nb, const char *input, const char *output, const json_t *params);
void papermill_cell(json_t *cell,
                    enum papermill_status status); /* RUNNING starts its clock, the last two stop it */
bool papermill_completed(const json_t *cell);
/* Cells that were not reached stay pending after a failure; the notebook's clock stops. */
void papermill_end(struct notebook *nb, enum papermill_status status);
/* The two Markdown cells that point at a failed cell; remove takes those of an earlier run away. */
enum lc papermill_mark_error(struct notebook *nb, size_t index, struct err *err) MUST_CHECK;
void papermill_remove_marks(struct notebook *nb);
void papermill_hide_sources(struct notebook *nb); /* report mode */
#endif
