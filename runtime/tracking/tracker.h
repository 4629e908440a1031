/* tracker.h: the seam to experiment tracking: experiments, runs, params, metrics, tags, artifacts.
 *
 * What      struct tracker is a tracking store behind tracker_ops: the local workspace now. Experiments, runs
 *           and search results are JSON in the shapes of MLflow's REST API (Run: {info, data: {metrics, params,
 *           tags}, inputs}), so that a cell, the command line and a server show the same thing.
 * Ownership tracker_open gives a handle, tracker_close ends it. Strings are borrowed for the call. Documents
 *           are new references of the caller.
 * Units     times are milliseconds since 1970, steps integers from the user. A metric's value is any double: NaN and
 *           infinities are kept; in JSON they are the strings "NaN", "Infinity", "-Infinity".
 * Errors    NOTFOUND (no such run or experiment; nearest names), EXISTS (experiment name), ARG (key, value, filter
 *           text, changed param), DATA, NOSPACE, IO. When a log call returns LC_OK, what was logged survives a kill
 *           of this process.
 * Threads   a handle: one thread at a time. Any number of processes may log to one run.
 *
 * Example:
 *     struct tracker *t;
 *     struct tracker_metric m = {.key = "loss", .value = 0.5, .step = 1};
 *     struct tracker_new_run new_run = {.experiment_id = "0", .name = "first"};
 *     json_t *run;
 *     if (tracker_open(NULL, &t, &err) == LC_OK && tracker_create_run(&ctx, t, &new_run, &run, &err) == LC_OK) {
 *         if (tracker_log_metrics(&ctx, t, tracker_run_id(run), &m, 1, &err) != LC_OK)
 *             puts(err.message);
 *         json_decref(run);
 *         tracker_close(t);
 *     }
 */
#ifndef LACUS_TRACKING_TRACKER_H
#define LACUS_TRACKING_TRACKER_H
#include "runtime/base/ctx.h"
#include <jansson.h>
#include <stddef.h>

struct tracker;

enum { TRACKER_ID_TEXT = 33 }; /* 32 hex digits and a NUL */

struct tracker_metric {
    const char *key;
    double value;
    int64_t timestamp; /* 0: now */
    int64_t step;
};

struct tracker_pair {
    const char *key, *value;
};

struct tracker_new_run {
    const char *experiment_id;
    const char *name;   /* NULL: one is made up */
    const char *user;   /* NULL: ctx's principal, else the login name */
    int64_t start_time; /* 0: now */
    const struct tracker_pair *tags;
    size_t n_tags;
};

struct tracker_search {
    const char *const *experiment_ids; /* runs only; none: all */
    size_t n_experiments;
    const char *filter;          /* "metrics.loss < 1 and params.x = 'a'"; NULL or "": all */
    const char *view;            /* "ACTIVE_ONLY" (also NULL), "DELETED_ONLY", "ALL" */
    const char *const *order_by; /* "metrics.loss ASC" */
    size_t n_order_by;
    int64_t max_results;    /* 0: 1000 */
    const char *page_token; /* of the page before; NULL: the first */
};

struct tracker_input {       /* a table or other data that a run has read */
    const char *name;        /* "ml_catalog.llm_data.train" */
    const char *digest;      /* version or content hash, as text */
    const char *source_type; /* "delta_table" */
    const char *source;      /* JSON text */
    const char *context;     /* "training"; may be NULL */
};

/* Return false to stop. */
typedef bool tracker_metric_fn(void *arg, const struct tracker_metric *metric);

struct tracker_ops {
    const char *scheme; /* what a URI starts with: "lacus" */
    enum lc (*open)(const char *uri, void **self, struct err *err);
    void (*close)(void *self);
    enum lc (*create_experiment)(const struct ctx *ctx, void *self, const char *name, const char *location,
                                 json_t **experiment, struct err *err);
    /* by id, or by name when id is NULL */
    enum lc (*get_experiment)(const struct ctx *ctx, void *self, const char *id, const char *name,
                              json_t **experiment, struct err *err);
    enum lc (*update_experiment)(const struct ctx *ctx, void *self, const char *id, const char *new_name,
                                 const char *stage, struct err *err);
    enum lc (*tag_experiment)(const struct ctx *ctx, void *self, const char *id, const char *key,
                              const char *value, struct err *err);
    enum lc (*search_experiments)(const struct ctx *ctx, void *self, const struct tracker_search *search,
                                  json_t **page, struct err *err);
    enum lc (*create_run)(const struct ctx *ctx, void *self, const struct tracker_new_run *run, json_t **out,
                          struct err *err);
    enum lc (*get_run)(const struct ctx *ctx, void *self, const char *run, json_t **out, struct err *err);
    enum lc (*update_run)(const struct ctx *ctx, void *self, const char *run, const char *status,
                          int64_t end_time, const char *name, struct err *err);
    enum lc (*set_stage)(const struct ctx *ctx, void *self, const char *run, const char *stage,
                         struct err *err);
    enum lc (*log_metrics)(const struct ctx *ctx, void *self, const char *run,
                           const struct tracker_metric *metrics, size_t n, struct err *err);
    enum lc (*log_params)(const struct ctx *ctx, void *self, const char *run,
                          const struct tracker_pair *params, size_t n, struct err *err);
    enum lc (*set_tags)(const struct ctx *ctx, void *self, const char *run, const struct tracker_pair *tags,
                        size_t n, struct err *err);
    enum lc (*delete_tag)(const struct ctx *ctx, void *self, const char *run, const char *key,
                          struct err *err);
    enum lc (*log_input)(const struct ctx *ctx, void *self, const char *run,
                         const struct tracker_input *input, struct err *err);
    enum lc (*search_runs)(const struct ctx *ctx, void *self, const struct tracker_search *search,
                           json_t **page, struct err *err);
    enum lc (*metric_history)(const struct ctx *ctx, void *self, const char *run, const char *key,
                              tracker_metric_fn *fn, void *arg, struct err *err);
    enum lc (*put_artifact)(const struct ctx *ctx, void *self, const char *run, const char *local,
                            const char *path, struct err *err);
    enum lc (*put_text)(const struct ctx *ctx, void *self, const char *run, const char *path,
                        const void *data, size_t len, struct err *err);
    enum lc (*list_artifacts)(const struct ctx *ctx, void *self, const char *run, const char *path,
                              json_t **files, struct err *err);
    enum lc (*artifact_path)(const struct ctx *ctx, void *self, const char *run, const char *path,
                             char **local, struct err *err);
};

/* uri NULL or "": MLFLOW_TRACKING_URI, else the workspace. LC_UNSUPPORTED names a scheme that nothing here
 * speaks. */
enum lc tracker_open(const char *uri, struct tracker **out, struct err *err) MUST_CHECK;
void tracker_close(struct tracker *t);         /* NULL is fine */
const char *tracker_run_id(const json_t *run); /* borrowed from the document */

/* LC_EXISTS when the name is taken. location NULL: below the workspace. */
enum lc tracker_create_experiment(const struct ctx *ctx, struct tracker *t, const char *name,
                                  const char *location, json_t **experiment, struct err *err) MUST_CHECK;
enum lc tracker_get_experiment(const struct ctx *ctx, struct tracker *t, const char *id, const char *name,
                               json_t **experiment, struct err *err) MUST_CHECK;
/* new_name and stage ("active", "deleted") may be NULL: unchanged. */
enum lc tracker_update_experiment(const struct ctx *ctx, struct tracker *t, const char *id,
                                  const char *new_name, const char *stage, struct err *err) MUST_CHECK;
enum lc tracker_tag_experiment(const struct ctx *ctx, struct tracker *t, const char *id, const char *key,
                               const char *value, struct err *err) MUST_CHECK;
/* {experiments: […], next_page_token} and {runs: […], next_page_token} */
enum lc tracker_search_experiments(const struct ctx *ctx, struct tracker *t,
                                   const struct tracker_search *search, json_t **page,
                                   struct err *err) MUST_CHECK;
enum lc tracker_search_runs(const struct ctx *ctx, struct tracker *t, const struct tracker_search *search,
                            json_t **page, struct err *err) MUST_CHECK;

enum lc tracker_create_run(const struct ctx *ctx, struct tracker *t, const struct tracker_new_run *run,
                           json_t **out, struct err *err) MUST_CHECK;
enum lc tracker_get_run(const struct ctx *ctx, struct tracker *t, const char *run, json_t **out,
                        struct err *err) MUST_CHECK;
/* status: RUNNING, SCHEDULED, FINISHED, FAILED, KILLED. NULL and 0 leave things as they are. */
enum lc tracker_update_run(const struct ctx *ctx, struct tracker *t, const char *run, const char *status,
                           int64_t end_time, const char *name, struct err *err) MUST_CHECK;
enum lc tracker_set_stage(const struct ctx *ctx, struct tracker *t, const char *run, const char *stage,
                          struct err *err) MUST_CHECK; /* "active", "deleted" */

enum lc tracker_log_metrics(const struct ctx *ctx, struct tracker *t, const char *run,
                            const struct tracker_metric *metrics, size_t n, struct err *err) MUST_CHECK;
/* All or none. A param that has another value already is LC_ARG; the same value again is fine. */
enum lc tracker_log_params(const struct ctx *ctx, struct tracker *t, const char *run,
                           const struct tracker_pair *params, size_t n, struct err *err) MUST_CHECK;
enum lc tracker_set_tags(const struct ctx *ctx, struct tracker *t, const char *run,
                         const struct tracker_pair *tags, size_t n, struct err *err) MUST_CHECK;
enum lc tracker_delete_tag(const struct ctx *ctx, struct tracker *t, const char *run, const char *key,
                           struct err *err) MUST_CHECK;
enum lc tracker_log_input(const struct ctx *ctx, struct tracker *t, const char *run,
                          const struct tracker_input *input, struct err *err) MUST_CHECK;
/* In the order of logging. LC_NOTFOUND when the run has no such metric. */
enum lc tracker_metric_history(const struct ctx *ctx, struct tracker *t, const char *run, const char *key,
                               tracker_metric_fn *fn, void *arg, struct err *err) MUST_CHECK;

/* A file, or a folder with all that is in it, goes below path (NULL: the top). */
enum lc tracker_put_artifact(const struct ctx *ctx, struct tracker *t, const char *run, const char *local,
                             const char *path, struct err *err) MUST_CHECK;
/* path names the file itself. */
enum lc tracker_put_text(const struct ctx *ctx, struct tracker *t, const char *run, const char *path,
                         const void *data, size_t len, struct err *err) MUST_CHECK;
/* [{path, is_dir, file_size}], sorted */
enum lc tracker_list_artifacts(const struct ctx *ctx, struct tracker *t, const char *run, const char *path,
                               json_t **files, struct err *err) MUST_CHECK;
/* A readable path on this machine; caller frees. */
enum lc tracker_artifact_path(const struct ctx *ctx, struct tracker *t, const char *run, const char *path,
                              char **local, struct err *err) MUST_CHECK;
#endif
