#include "runtime/tracking/tracker.h"
#include "runtime/base/mem.h"
#include "runtime/tracking/local.h"
#include "runtime/tracking/names.h"
#include <stdlib.h>
#include <string.h>

struct tracker {
    const struct tracker_ops *ops;
    void *self; /* owned, ended by ops->close */
};

static const struct tracker_ops *const trackers[] = {&tracker_local};

/* A URI without a scheme, or with file: or sqlite:, is no other store: there is one workspace. */
static const struct tracker_ops *ops_for(const char *uri)
{
    size_t n = strcspn(uri, ":");

    if (uri[0] == '\0')
        return trackers[0];
    for (size_t i = 0; i < sizeof trackers / sizeof *trackers; i++)
        if (strlen(trackers[i]->scheme) == n && strncmp(trackers[i]->scheme, uri, n) == 0)
            return trackers[i];
    return NULL;
}

enum lc tracker_open(const char *uri, struct tracker **out, struct err *err)
{
    const char *set = uri && *uri ? uri : getenv("MLFLOW_TRACKING_URI");
    const struct tracker_ops *ops = ops_for(set ? set : "");
    struct tracker *t;
    enum lc rc;

    *out = NULL;
    if (!ops) {
        err_set(err, LC_UNSUPPORTED, "cannot track to '%s': this lacus tracks to its own workspace only",
                set);
        return err_hint(err, "unset MLFLOW_TRACKING_URI, or set it to 'lacus'");
    }
    t = mem_zalloc(sizeof *t);
    if (!t)
        return err_nomem(err);
    t->ops = ops;
    rc = ops->open(set ? set : "", &t->self, err);
    if (rc != LC_OK)
        mem_free(t);
    else
        *out = t;
    return rc;
}

void tracker_close(struct tracker *t)
{
    if (!t)
        return;
    t->ops->close(t->self);
    mem_free(t);
}

const char *tracker_run_id(const json_t *run)
{
    return json_string_value(json_object_get(json_object_get(run, "info"), "run_id"));
}

enum lc tracker_create_experiment(const struct ctx *ctx, struct tracker *t, const char *name,
                                  const char *location, json_t **experiment, struct err *err)
{
    if (!name || !*name)
        return err_set(err, LC_ARG, "cannot create the experiment: its name is empty");
    return t->ops->create_experiment(ctx, t->self, name, location, experiment, err);
}

enum lc tracker_get_experiment(const struct ctx *ctx, struct tracker *t, const char *id, const char *name,
                               json_t **experiment, struct err *err)
{
    return t->ops->get_experiment(ctx, t->self, id, name, experiment, err);
}

enum lc tracker_update_experiment(const struct ctx *ctx, struct tracker *t, const char *id,
                                  const char *new_name, const char *stage, struct err *err)
{
    return t->ops->update_experiment(ctx, t->self, id, new_name, stage, err);
}

enum lc tracker_tag_experiment(const struct ctx *ctx, struct tracker *t, const char *id, const char *key,
                               const char *value, struct err *err)
{
    TRY(name_check("tag", key, err));
    return t->ops->tag_experiment(ctx, t->self, id, key, value, err);
}

enum lc tracker_search_experiments(const struct ctx *ctx, struct tracker *t,
                                   const struct tracker_search *search, json_t **page, struct err *err)
{
    return t->ops->search_experiments(ctx, t->self, search, page, err);
}

enum lc tracker_search_runs(const struct ctx *ctx, struct tracker *t, const struct tracker_search *search,
                            json_t **page, struct err *err)
{
    return t->ops->search_runs(ctx, t->self, search, page, err);
}

enum lc tracker_create_run(const struct ctx *ctx, struct tracker *t, const struct tracker_new_run *run,
                           json_t **out, struct err *err)
{
    for (size_t i = 0; i < run->n_tags; i++)
        TRY(name_check("tag", run->tags[i].key, err));
    return t->ops->create_run(ctx, t->self, run, out, err);
}

enum lc tracker_get_run(const struct ctx *ctx, struct tracker *t, const char *run, json_t **out,
                        struct err *err)
{
    return t->ops->get_run(ctx, t->self, run, out, err);
}

enum lc tracker_update_run(const struct ctx *ctx, struct tracker *t, const char *run, const char *status,
                           int64_t end_time, const char *name, struct err *err)
{
    static const char *const known[] = {"RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"};
    bool ok = !status;

    for (size_t i = 0; !ok && i < sizeof known / sizeof *known; i++)
        ok = strcmp(known[i], status) == 0;
    if (!ok)
        return err_set(
            err, LC_ARG,
            "cannot set the status '%s': it is none of RUNNING, SCHEDULED, FINISHED, FAILED, KILLED", status);
    return t->ops->update_run(ctx, t->self, run, status, end_time, name, err);
}

enum lc tracker_set_stage(const struct ctx *ctx, struct tracker *t, const char *run, const char *stage,
                          struct err *err)
{
    return t->ops->set_stage(ctx, t->self, run, stage, err);
}

enum lc tracker_log_metrics(const struct ctx *ctx, struct tracker *t, const char *run,
                            const struct tracker_metric *metrics, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++)
        TRY(name_check("metric", metrics[i].key, err));
    return t->ops->log_metrics(ctx, t->self, run, metrics, n, err);
}

enum lc tracker_log_params(const struct ctx *ctx, struct tracker *t, const char *run,
                           const struct tracker_pair *params, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        TRY(name_check("param", params[i].key, err));
        TRY(value_check("param", params[i].key, params[i].value, NAME_PARAM_MAX, err));
    }
    return t->ops->log_params(ctx, t->self, run, params, n, err);
}

enum lc tracker_set_tags(const struct ctx *ctx, struct tracker *t, const char *run,
                         const struct tracker_pair *tags, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        TRY(name_check("tag", tags[i].key, err));
        TRY(value_check("tag", tags[i].key, tags[i].value, NAME_TAG_MAX, err));
    }
    return t->ops->set_tags(ctx, t->self, run, tags, n, err);
}

enum lc tracker_delete_tag(const struct ctx *ctx, struct tracker *t, const char *run, const char *key,
                           struct err *err)
{
    return t->ops->delete_tag(ctx, t->self, run, key, err);
}

enum lc tracker_log_input(const struct ctx *ctx, struct tracker *t, const char *run,
                          const struct tracker_input *input, struct err *err)
{
    return t->ops->log_input(ctx, t->self, run, input, err);
}

enum lc tracker_metric_history(const struct ctx *ctx, struct tracker *t, const char *run, const char *key,
                               tracker_metric_fn *fn, void *arg, struct err *err)
{
    return t->ops->metric_history(ctx, t->self, run, key, fn, arg, err);
}

enum lc tracker_put_artifact(const struct ctx *ctx, struct tracker *t, const char *run, const char *local,
                             const char *path, struct err *err)
{
    TRY(path_check(path ? path : "", err));
    return t->ops->put_artifact(ctx, t->self, run, local, path ? path : "", err);
}

enum lc tracker_put_text(const struct ctx *ctx, struct tracker *t, const char *run, const char *path,
                         const void *data, size_t len, struct err *err)
{
    TRY(path_check(path, err));
    if (!*path || path[strlen(path) - 1] == '/')
        return err_set(err, LC_ARG, "cannot write the artifact '%s': the path names no file", path);
    return t->ops->put_text(ctx, t->self, run, path, data, len, err);
}

enum lc tracker_list_artifacts(const struct ctx *ctx, struct tracker *t, const char *run, const char *path,
                               json_t **files, struct err *err)
{
    TRY(path_check(path ? path : "", err));
    return t->ops->list_artifacts(ctx, t->self, run, path ? path : "", files, err);
}

enum lc tracker_artifact_path(const struct ctx *ctx, struct tracker *t, const char *run, const char *path,
                              char **local, struct err *err)
{
    TRY(path_check(path ? path : "", err));
    return t->ops->artifact_path(ctx, t->self, run, path ? path : "", local, err);
}
