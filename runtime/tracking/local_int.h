/* local_int.h: the inside of the local tracker; for runtime/tracking/local*.c and fold.c only.
 *
 * Ownership struct local owns its parts.
 * Errors, Threads: as tracker.h.
 *
 * Example:
 *     TRY(fold_run(local, run, err));
 */
#ifndef LACUS_TRACKING_LOCAL_INT_H
#define LACUS_TRACKING_LOCAL_INT_H
#include "runtime/base/buf.h"
#include "runtime/storage/workspace.h"
#include "runtime/tracking/local.h"
#include "runtime/tracking/metric_log.h"

enum { WRITERS = 8 };

struct writer { /* an open log; the latest used first */
    char run[TRACKER_ID_TEXT];
    struct metric_log *log; /* owned; NULL: free slot */
};

struct local {
    struct workspace *ws;
    char *logs, *artifacts; /* owned folders */
    struct writer writers[WRITERS];
};

char *local_log_path(const struct local *l, const char *run); /* caller frees */

/* Moves what the log of a run holds into the database; removes the log when nobody writes to it. */
enum lc fold_run(struct local *l, const char *run, struct err *err) MUST_CHECK;
enum lc fold_all(const struct ctx *ctx, struct local *l, struct err *err) MUST_CHECK;

/* LC_NOTFOUND with the nearest ids. */
enum lc local_need_run(struct local *l, const char *run, struct err *err) MUST_CHECK;
enum lc local_run_json(struct local *l, const char *run, json_t **out, struct err *err) MUST_CHECK;
char *local_artifact_folder(struct local *l, const char *run, struct err *err); /* caller frees */

enum lc local_search_runs(const struct ctx *ctx, void *self, const struct tracker_search *search,
                          json_t **page, struct err *err);
enum lc local_search_experiments(const struct ctx *ctx, void *self, const struct tracker_search *search,
                                 json_t **page, struct err *err);
enum lc local_put_artifact(const struct ctx *ctx, void *self, const char *run, const char *local,
                           const char *path, struct err *err);
enum lc local_put_text(const struct ctx *ctx, void *self, const char *run, const char *path, const void *data,
                       size_t len, struct err *err);
enum lc local_list_artifacts(const struct ctx *ctx, void *self, const char *run, const char *path,
                             json_t **files, struct err *err);
enum lc local_artifact_path(const struct ctx *ctx, void *self, const char *run, const char *path,
                            char **local, struct err *err);
/* The experiment that the rows stand on, as JSON. */
json_t *local_experiment_json(struct local *l, const struct workspace_rows *rows, struct err *err);
#define LOCAL_EXPERIMENT_COLUMNS "e.id, e.name, e.location, e.stage, e.created, e.updated"
#endif
