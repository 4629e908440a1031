/* track.h: a job in the experiment tracker: its parameters, metrics, files and curve in a run.
 *
 * What      logs what a job does into the run that was active when it was made. The coordinator calls it, so
 *           it goes on when the cell or kernel is gone. A tracker that fails is reported once and never stops
 *           a job.
 * Ownership track_open gives, track_close ends. Events are borrowed.
 * Units     steps; milliseconds since 1970 ("time" of an event).
 * Errors    the tracker's.
 * Threads   one at a time.
 *
 * Example:
 *     struct track *t;
 *     if (track_open("9f2c…", NULL, &t, &err) == LC_OK)
 *         code = track_event(t, event, &err);
 *     track_close(t);
 */
#ifndef LACUS_TRAIN_TRACK_H
#define LACUS_TRAIN_TRACK_H
#include "runtime/base/err.h"
#include <jansson.h>

struct track;
/* run (NULL: none): of the tracker; board (NULL: none): a folder for TensorBoard. */
enum lc track_open(const char *run, const char *board, struct track **out, struct err *err) MUST_CHECK;
void track_close(struct track *t); /* NULL is fine */
enum lc track_params(struct track *t, const json_t *spec, struct err *err) MUST_CHECK;
enum lc track_event(struct track *t, const json_t *event, struct err *err) MUST_CHECK;
/* The job's end: result (its numbers as metrics), the output folder and the curve as artifacts. */
enum lc track_result(struct track *t, const json_t *result, const char *output, struct err *err) MUST_CHECK;
#endif
