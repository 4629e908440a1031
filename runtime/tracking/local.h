/* local.h: the tracker of this machine's workspace: SQLite for everything but metrics, which go through
 * append logs.
 *
 * What      workspace.db (tables tracking_*), $LACUS_HOME/runs/RUN.log until its lines are folded into the
 *           database (at the end of a run, and whenever metrics are read),
 *           $LACUS_HOME/artifacts/EXPERIMENT/RUN/artifacts/.
 * Ownership, Units, Errors, Threads: as tracker.h.
 *
 * Example:
 *     void *self;
 *     if (tracker_local.open("", &self, &err) == LC_OK)
 *         tracker_local.close(self);
 */
#ifndef LACUS_TRACKING_LOCAL_H
#define LACUS_TRACKING_LOCAL_H
#include "runtime/tracking/tracker.h"

extern const struct tracker_ops tracker_local;
#endif
