#include "runtime/tracking/local.h"
#include "runtime/base/clock.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/base/nearest.h"
#include "runtime/tracking/local_int.h"
#include "runtime/tracking/names.h"
#include "runtime/tracking/source.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const steps[] = {
    "CREATE TABLE tracking_experiments(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, "
    "location "
    "TEXT NOT NULL DEFAULT '', stage TEXT NOT NULL DEFAULT 'active', created INTEGER NOT NULL, updated "
    "INTEGER NOT "
    "NULL);"
    "INSERT INTO tracking_experiments(id, name, created, updated) VALUES(0, 'Default', unixepoch() * 1000, "
    "unixepoch() * 1000);"
    "CREATE TABLE tracking_experiment_tags(experiment INTEGER NOT NULL REFERENCES tracking_experiments(id), "
    "key TEXT "
    "NOT NULL, value TEXT NOT NULL, PRIMARY KEY(experiment, key)) WITHOUT ROWID;"
    "CREATE TABLE tracking_runs(id TEXT PRIMARY KEY, experiment INTEGER NOT NULL REFERENCES "
    "tracking_experiments(id), "
    "name TEXT NOT NULL, user TEXT NOT NULL, status TEXT NOT NULL, start_time INTEGER NOT NULL, end_time "
    "INTEGER, "
    "stage TEXT NOT NULL DEFAULT 'active') WITHOUT ROWID;"
    "CREATE INDEX tracking_runs_of ON tracking_runs(experiment, start_time);"
    "CREATE TABLE tracking_params(run TEXT NOT NULL REFERENCES tracking_runs(id), key TEXT NOT NULL, value "
    "TEXT NOT "
    "NULL, PRIMARY KEY(run, key)) WITHOUT ROWID;"
    "CREATE TABLE tracking_tags(run TEXT NOT NULL REFERENCES tracking_runs(id), key TEXT NOT NULL, value "
    "TEXT NOT "
    "NULL, PRIMARY KEY(run, key)) WITHOUT ROWID;"
    /* value is the latest one; NULL is NaN */
    "CREATE TABLE tracking_series(id INTEGER PRIMARY KEY, run TEXT NOT NULL REFERENCES tracking_runs(id), "
    "key TEXT NOT "
    "NULL, count INTEGER NOT NULL, value REAL, step INTEGER, timestamp INTEGER, UNIQUE(run, key));"
    "CREATE TABLE tracking_metrics(series INTEGER NOT NULL, n INTEGER NOT NULL, timestamp INTEGER NOT NULL, "
    "step "
    "INTEGER NOT NULL, value REAL, PRIMARY KEY(series, n)) WITHOUT ROWID;"
    /* how far the append log of a run is in tracking_metrics already, in bytes */
    "CREATE TABLE tracking_logs(run TEXT PRIMARY KEY, log TEXT NOT NULL, folded INTEGER NOT NULL) WITHOUT "
    "ROWID;"
    "CREATE TABLE tracking_inputs(run TEXT NOT NULL REFERENCES tracking_runs(id), name TEXT NOT NULL, digest "
    "TEXT NOT "
    "NULL, source_type TEXT NOT NULL, source TEXT NOT NULL, context TEXT, PRIMARY KEY(run, name, digest)) "
    "WITHOUT "
    "ROWID",
};

/* ---- opening ----------------------------------------------------------------------------------------- */

/* closes it; NULL: all of them */
static void local_forget_writer(struct local *l, const char *run)
{
    for (size_t i = 0; i < WRITERS; i++)
        if (l->writers[i].log && (!run || strcmp(l->writers[i].run, run) == 0)) {
            metric_log_close(l->writers[i].log);
            l->writers[i] = (struct writer){.log = NULL};
        }
}

static void close_local(void *self)
{
    struct local *l = self;

    local_forget_writer(l, NULL);
    workspace_close(l->ws);
    mem_free(l->logs);
    mem_free(l->artifacts);
    mem_free(l);
}

static enum lc open_local(const char *uri, void **self, struct err *err)
{
    struct local *l = mem_zalloc(sizeof *l);
    enum lc rc;

    (void)uri;
    if (!l)
        return err_nomem(err);
    rc = workspace_open(NULL, &l->ws, err);
    if (rc == LC_OK)
        rc = workspace_migrate(l->ws, "tracking", steps, sizeof steps / sizeof *steps, err);
    if (rc == LC_OK && (!(l->logs = fs_home("runs", err)) || !(l->artifacts = fs_home("artifacts", err))))
        rc = err_nomem(err);
    if (rc == LC_OK)
        rc = fs_mkdirs(l->logs, err);
    if (rc != LC_OK)
        close_local(l);
    else
        *self = l;
    return rc;
}

/* ---- the open logs ----------------------------------------------------------------------------------- */

char *local_log_path(const struct local *l, const char *run)
{
    return mem_printf("%s/%s.log", l->logs, run);
}

static enum lc open_writer(struct local *l, const char *run, struct metric_log **out, struct err *err)
{
    char *path = local_log_path(l, run);
    enum lc rc;

    if (!path)
        return err_nomem(err);
    rc = metric_log_open(path, out, err);
    mem_free(path);
    return rc;
}

static enum lc writer_for(struct local *l, const char *run, struct metric_log **out, struct err *err)
{
    for (size_t i = 0; i < WRITERS; i++)
        if (l->writers[i].log && strcmp(l->writers[i].run, run) == 0) {
            struct writer found = l->writers[i];
            memmove(l->writers + 1, l->writers, i * sizeof found);
            l->writers[0] = found;
            *out = found.log;
            return LC_OK;
        }
    TRY(local_need_run(l, run, err));
    TRY(open_writer(l, run, out, err));
    metric_log_close(l->writers[WRITERS - 1].log);
    memmove(l->writers + 1, l->writers, (WRITERS - 1) * sizeof *l->writers);
    l->writers[0].log = *out;
    snprintf(l->writers[0].run, sizeof l->writers[0].run, "%s", run);
    return LC_OK;
}

/* ---- names that are not there ------------------------------------------------------------------------ */

/* Puts "did you mean" from the first column of rows as the hint. */
static void hint_nearest(struct workspace_rows *rows, const char *word, struct err *err)
{
    char *names[256];
    size_t n = 0;
    struct buf near = BUF_INIT(400);
    struct err ignored;
    enum lc rc = LC_OK;

    while (n < sizeof names / sizeof *names && workspace_next(rows, &rc, &ignored))
        if ((names[n] = mem_strdup(workspace_text(rows, 0))) != NULL)
            n++;
    nearest_list(&near, word, (const char *const *)names, n, 3);
    if (near.len)
        err_hint(err, "did you mean %s?", buf_str(&near));
    for (size_t i = 0; i < n; i++)
        mem_free(names[i]);
    buf_release(&near);
}

enum lc local_need_run(struct local *l, const char *run, struct err *err)
{
    struct workspace_rows rows;
    enum lc rc = workspace_query(l->ws, &rows, err, "SELECT 1 FROM tracking_runs WHERE id = ?", "t", run);
    bool there = rc == LC_OK && workspace_next(&rows, &rc, err);
    struct err ignored;

    workspace_rows_close(&rows);
    if (rc != LC_OK || there)
        return rc;
    err_set(err, LC_NOTFOUND, "no run '%s' in the workspace", run);
    err_hint(err, "'lacus runs' or mlflow.search_runs() list them");
    if (workspace_query(l->ws, &rows, &ignored,
                        "SELECT id FROM tracking_runs ORDER BY start_time DESC LIMIT 256", NULL) == LC_OK)
        hint_nearest(&rows, run, err);
    workspace_rows_close(&rows);
    return LC_NOTFOUND;
}

/* ---- JSON -------------------------------------------------------------------------------------------- */

/* NaN and infinities as strings */
static json_t *local_number(double v)
{
    if (isnan(v))
        return json_string("NaN");
    if (isinf(v))
        return json_string(v > 0 ? "Infinity" : "-Infinity");
    return json_real(v);
}

static json_t *pair_json(const struct workspace_rows *rows)
{
    return json_pack("{s:s, s:s}", "key", workspace_text(rows, 0), "value", workspace_text(rows, 1));
}

static json_t *metric_json(const struct workspace_rows *rows)
{
    double v = workspace_is_null(rows, 1) ? (double)NAN : workspace_real(rows, 1);

    return json_pack("{s:s, s:o, s:I, s:I}", "key", workspace_text(rows, 0), "value", local_number(v),
                     "timestamp", (json_int_t)workspace_int(rows, 3), "step",
                     (json_int_t)workspace_int(rows, 2));
}

static json_t *input_json(const struct workspace_rows *rows)
{
    json_t *tags = json_array();

    if (!workspace_is_null(rows, 4))
        json_array_append_new(
            tags, json_pack("{s:s, s:s}", "key", "mlflow.data.context", "value", workspace_text(rows, 4)));
    return json_pack("{s:{s:s, s:s, s:s, s:s}, s:o}", "dataset", "name", workspace_text(rows, 0), "digest",
                     workspace_text(rows, 1), "source_type", workspace_text(rows, 2), "source",
                     workspace_text(rows, 3), "tags", tags);
}

static enum lc add_array(struct local *l, json_t *to, const char *name, const char *sql, const char *run,
                         json_t *(*make)(const struct workspace_rows *), struct err *err)
{
    struct workspace_rows rows;
    json_t *list = json_array();
    enum lc rc = workspace_query(l->ws, &rows, err, sql, "t", run);

    while (rc == LC_OK && workspace_next(&rows, &rc, err))
        if (json_array_append_new(list, make(&rows)) != 0)
            rc = err_nomem(err);
    workspace_rows_close(&rows);
    if (json_object_set_new(to, name, list) != 0 && rc == LC_OK)
        rc = err_nomem(err);
    return rc;
}

static enum lc run_info(struct local *l, const char *run, json_t **out, struct err *err)
{
    struct workspace_rows rows;
    enum lc rc = workspace_query(l->ws, &rows, err,
                                 "SELECT experiment, name, user, status, start_time, end_time, stage FROM "
                                 "tracking_runs WHERE id = ?",
                                 "t", run);
    char *folder = rc == LC_OK ? local_artifact_folder(l, run, err) : NULL;
    char *uri = folder ? mem_printf("file://%s", folder) : NULL;

    *out = NULL;
    if (rc == LC_OK && !uri)
        rc = err_nomem(err);
    if (rc == LC_OK && workspace_next(&rows, &rc, err)) {
        *out = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:s}", "run_id", run, "run_uuid", run,
                         "experiment_id", workspace_text(&rows, 0), "run_name", workspace_text(&rows, 1),
                         "user_id", workspace_text(&rows, 2), "status", workspace_text(&rows, 3),
                         "start_time", (json_int_t)workspace_int(&rows, 4), "artifact_uri", uri,
                         "lifecycle_stage", workspace_text(&rows, 6));
        if (*out && !workspace_is_null(&rows, 5))
            json_object_set_new(*out, "end_time", json_integer(workspace_int(&rows, 5)));
    }
    workspace_rows_close(&rows);
    mem_free(folder);
    mem_free(uri);
    return rc != LC_OK ? rc : *out ? LC_OK : err_nomem(err);
}

enum lc local_run_json(struct local *l, const char *run, json_t **out, struct err *err)
{
    json_t *data = json_object(), *inputs = json_object(), *info = NULL;
    enum lc rc;

    *out = NULL;
    rc = local_need_run(l, run, err);
    if (rc == LC_OK)
        rc = run_info(l, run, &info, err);
    if (rc == LC_OK)
        rc = add_array(l, data, "metrics",
                       "SELECT key, value, step, timestamp FROM tracking_series WHERE run = ? ORDER BY key",
                       run, metric_json, err);
    if (rc == LC_OK)
        rc = add_array(l, data, "params", "SELECT key, value FROM tracking_params WHERE run = ? ORDER BY key",
                       run, pair_json, err);
    if (rc == LC_OK)
        rc = add_array(l, data, "tags", "SELECT key, value FROM tracking_tags WHERE run = ? ORDER BY key",
                       run, pair_json, err);
    if (rc == LC_OK)
        rc = add_array(
            l, inputs, "dataset_inputs",
            "SELECT name, digest, source_type, source, context FROM tracking_inputs WHERE run = ? ORDER BY "
            "name, digest",
            run, input_json, err);
    if (rc == LC_OK && !(*out = json_pack("{s:O, s:O, s:O}", "info", info, "data", data, "inputs", inputs)))
        rc = err_nomem(err);
    json_decref(info);
    json_decref(data);
    json_decref(inputs);
    return rc;
}

/* ---- experiments ------------------------------------------------------------------------------------- */

json_t *local_experiment_json(struct local *l, const struct workspace_rows *rows, struct err *err)
{
    const char *location = workspace_text(rows, 2);
    char *path =
        *location ? mem_strdup(location) : mem_printf("%s/%s", l->artifacts, workspace_text(rows, 0));
    struct workspace_rows tags;
    json_t *e =
        path ? json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:[]}", "experiment_id", workspace_text(rows, 0),
                         "name", workspace_text(rows, 1), "artifact_location", path, "lifecycle_stage",
                         workspace_text(rows, 3), "creation_time", (json_int_t)workspace_int(rows, 4),
                         "last_update_time", (json_int_t)workspace_int(rows, 5), "tags")
             : NULL;
    enum lc rc =
        workspace_query(l->ws, &tags, err,
                        "SELECT key, value FROM tracking_experiment_tags WHERE experiment = ? ORDER BY key",
                        "t", workspace_text(rows, 0));

    while (rc == LC_OK && workspace_next(&tags, &rc, err))
        json_array_append_new(json_object_get(e, "tags"), pair_json(&tags));
    workspace_rows_close(&tags);
    mem_free(path);
    if (!e && rc == LC_OK)
        err_nomem(err);
    if (rc != LC_OK) {
        json_decref(e);
        return NULL;
    }
    return e;
}

static enum lc no_experiment(struct local *l, const char *id, const char *name, struct err *err)
{
    struct workspace_rows rows;
    struct err ignored;

    err_set(err, LC_NOTFOUND, "no experiment %s'%s' in the workspace", id ? "with id " : "", id ? id : name);
    if (workspace_query(l->ws, &rows, &ignored,
                        id ? "SELECT id FROM tracking_experiments LIMIT 256"
                           : "SELECT name FROM tracking_experiments ORDER BY updated DESC LIMIT 256",
                        NULL) == LC_OK)
        hint_nearest(&rows, id ? id : name, err);
    workspace_rows_close(&rows);
    return LC_NOTFOUND;
}

static enum lc get_experiment(const struct ctx *ctx, void *self, const char *id, const char *name,
                              json_t **out, struct err *err)
{
    struct local *l = self;
    struct workspace_rows rows;
    enum lc rc;

    (void)ctx;
    *out = NULL;
    rc = workspace_query(
        l->ws, &rows, err,
        id ? "SELECT " LOCAL_EXPERIMENT_COLUMNS " FROM tracking_experiments e WHERE CAST(e.id AS TEXT) = ?"
           : "SELECT " LOCAL_EXPERIMENT_COLUMNS " FROM tracking_experiments e WHERE e.name = ?",
        "t", id ? id : name);
    if (rc == LC_OK && workspace_next(&rows, &rc, err)) {
        *out = local_experiment_json(l, &rows, err);
        if (!*out)
            rc = err ? err->code : LC_NOMEM;
    }
    workspace_rows_close(&rows);
    return rc != LC_OK ? rc : *out ? LC_OK : no_experiment(l, id, name, err);
}

static enum lc create_experiment(const struct ctx *ctx, void *self, const char *name, const char *location,
                                 json_t **out, struct err *err)
{
    struct local *l = self;
    int64_t now = clock_wall_ms();
    enum lc rc = workspace_exec(
        l->ws, err, "INSERT INTO tracking_experiments(name, location, created, updated) VALUES(?, ?, ?, ?)",
        "ttii", name, location ? location : "", now, now);

    if (rc == LC_EXISTS)
        return err_set(err, LC_EXISTS,
                       "cannot create the experiment '%s': there is one with this name (it may be deleted)",
                       name);
    TRY(rc);
    return get_experiment(ctx, self, NULL, name, out, err);
}

static enum lc need_experiment(struct local *l, const char *id, struct err *err)
{
    json_t *e;

    TRY(get_experiment(NULL, l, id, NULL, &e, err));
    json_decref(e);
    return LC_OK;
}

static enum lc update_experiment(const struct ctx *ctx, void *self, const char *id, const char *new_name,
                                 const char *stage, struct err *err)
{
    struct local *l = self;
    enum lc rc;

    (void)ctx;
    TRY(need_experiment(l, id, err));
    if (stage && strcmp(stage, "deleted") == 0 && strcmp(id, "0") == 0)
        return err_set(err, LC_ARG, "cannot delete the experiment 'Default'");
    rc = workspace_exec(
        l->ws, err,
        "UPDATE tracking_experiments SET name = coalesce(?, name), stage = coalesce(?, stage), updated = "
        "? WHERE id = ?",
        "ttit", new_name, stage, clock_wall_ms(), id);
    if (rc == LC_EXISTS)
        return err_set(err, LC_EXISTS, "cannot rename the experiment to '%s': there is one with this name",
                       new_name);
    return rc;
}

static enum lc tag_experiment(const struct ctx *ctx, void *self, const char *id, const char *key,
                              const char *value, struct err *err)
{
    struct local *l = self;

    (void)ctx;
    TRY(need_experiment(l, id, err));
    if (!value)
        return workspace_exec(l->ws, err,
                              "DELETE FROM tracking_experiment_tags WHERE experiment = ? AND key = ?", "tt",
                              id, key);
    return workspace_exec(l->ws, err, "INSERT OR REPLACE INTO tracking_experiment_tags VALUES(?, ?, ?)",
                          "ttt", id, key, value);
}

/* ---- runs -------------------------------------------------------------------------------------------- */

static enum lc put_tags(struct local *l, const char *run, const struct tracker_pair *tags, size_t n,
                        struct err *err)
{
    for (size_t i = 0; i < n; i++)
        TRY(workspace_exec(l->ws, err, "INSERT OR REPLACE INTO tracking_tags VALUES(?, ?, ?)", "ttt", run,
                           tags[i].key, tags[i].value));
    return LC_OK;
}

static enum lc set_tags(const struct ctx *ctx, void *self, const char *run, const struct tracker_pair *tags,
                        size_t n, struct err *err)
{
    struct local *l = self;
    enum lc rc;

    (void)ctx;
    TRY(workspace_begin(l->ws, err));
    rc = local_need_run(l, run, err);
    if (rc == LC_OK)
        rc = put_tags(l, run, tags, n, err);
    for (size_t i = 0; rc == LC_OK && i < n; i++)
        if (strcmp(tags[i].key, "mlflow.runName") == 0)
            rc = workspace_exec(l->ws, err, "UPDATE tracking_runs SET name = ? WHERE id = ?", "tt",
                                tags[i].value, run);
    return workspace_end(l->ws, rc, err);
}

static enum lc insert_run(struct local *l, const struct tracker_new_run *run, const char *id,
                          const char *name, const char *user, struct err *err)
{
    struct tracker_pair tag = {"mlflow.runName", name};

    TRY(need_experiment(l, run->experiment_id, err));
    TRY(workspace_exec(
        l->ws, err,
        "INSERT INTO tracking_runs(id, experiment, name, user, status, start_time) VALUES(?, ?, ?, ?, "
        "'RUNNING', ?)",
        "tttti", id, run->experiment_id, name, user, run->start_time ? run->start_time : clock_wall_ms()));
    TRY(put_tags(l, id, run->tags, run->n_tags, err));
    return put_tags(l, id, &tag, 1, err);
}

static enum lc create_run(const struct ctx *ctx, void *self, const struct tracker_new_run *run, json_t **out,
                          struct err *err)
{
    struct local *l = self;
    char id[TRACKER_ID_TEXT], made_up[NAME_RUN_TEXT], user[SOURCE_USER];
    const char *name = run->name && *run->name ? run->name : made_up;
    enum lc rc;

    hex_make(id, TRACKER_ID_TEXT - 1);
    name_run(made_up);
    source_user(ctx, user);
    TRY(workspace_begin(l->ws, err));
    rc = insert_run(l, run, id, name, run->user ? run->user : user, err);
    TRY(workspace_end(l->ws, rc, err));
    return local_run_json(l, id, out, err);
}

static enum lc get_run(const struct ctx *ctx, void *self, const char *run, json_t **out, struct err *err)
{
    (void)ctx;
    TRY(fold_run(self, run, err));
    return local_run_json(self, run, out, err);
}

static enum lc update_run(const struct ctx *ctx, void *self, const char *run, const char *status,
                          int64_t end_time, const char *name, struct err *err)
{
    struct local *l = self;
    struct tracker_pair tag = {"mlflow.runName", name};

    TRY(local_need_run(l, run, err));
    TRY(workspace_exec(
        l->ws, err,
        "UPDATE tracking_runs SET status = coalesce(?, status), end_time = CASE WHEN ?2 THEN ?2 ELSE "
        "end_time END WHERE id = ?3",
        "tit", status, end_time, run));
    if (name)
        TRY(set_tags(ctx, self, run, &tag, 1, err));
    if (!end_time)
        return LC_OK;
    local_forget_writer(l, run);
    return fold_run(l, run, err);
}

static enum lc set_stage(const struct ctx *ctx, void *self, const char *run, const char *stage,
                         struct err *err)
{
    struct local *l = self;

    (void)ctx;
    TRY(local_need_run(l, run, err));
    return workspace_exec(l->ws, err, "UPDATE tracking_runs SET stage = ? WHERE id = ?", "tt", stage, run);
}

/* ---- what is logged ---------------------------------------------------------------------------------- */

static enum lc log_metrics(const struct ctx *ctx, void *self, const char *run,
                           const struct tracker_metric *metrics, size_t n, struct err *err)
{
    struct metric_log *log;

    (void)ctx;
    TRY(writer_for(self, run, &log, err));
    return metric_log_append(log, metrics, n, err);
}

static enum lc check_param(struct local *l, const char *run, const struct tracker_pair *p, struct err *err)
{
    struct workspace_rows rows;
    enum lc rc = workspace_query(
        l->ws, &rows, err, "SELECT value FROM tracking_params WHERE run = ? AND key = ?", "tt", run, p->key);

    if (rc == LC_OK && workspace_next(&rows, &rc, err) && strcmp(workspace_text(&rows, 0), p->value) != 0) {
        rc = err_set(err, LC_ARG,
                     "changing param values is not allowed: param with key='%s' was already logged with "
                     "value='%.200s' "
                     "for run ID='%s'; attempted logging new value '%.200s'",
                     p->key, workspace_text(&rows, 0), run, p->value);
        err_hint(err, "log it under another name, or start another run");
    }
    workspace_rows_close(&rows);
    return rc;
}

static enum lc log_params(const struct ctx *ctx, void *self, const char *run,
                          const struct tracker_pair *params, size_t n, struct err *err)
{
    struct local *l = self;
    enum lc rc;

    (void)ctx;
    TRY(workspace_begin(l->ws, err));
    rc = local_need_run(l, run, err);
    for (size_t i = 0; rc == LC_OK && i < n; i++) {
        rc = check_param(l, run, &params[i], err);
        if (rc == LC_OK)
            rc = workspace_exec(l->ws, err, "INSERT OR IGNORE INTO tracking_params VALUES(?, ?, ?)", "ttt",
                                run, params[i].key, params[i].value);
    }
    return workspace_end(l->ws, rc, err);
}

static enum lc delete_tag(const struct ctx *ctx, void *self, const char *run, const char *key,
                          struct err *err)
{
    struct local *l = self;

    (void)ctx;
    TRY(local_need_run(l, run, err));
    TRY(workspace_exec(l->ws, err, "DELETE FROM tracking_tags WHERE run = ? AND key = ?", "tt", run, key));
    if (workspace_changes(l->ws) == 0)
        return err_set(err, LC_NOTFOUND, "no tag '%s' on the run '%s'", key, run);
    return LC_OK;
}

static enum lc log_input(const struct ctx *ctx, void *self, const char *run,
                         const struct tracker_input *input, struct err *err)
{
    struct local *l = self;

    (void)ctx;
    TRY(local_need_run(l, run, err));
    return workspace_exec(
        l->ws, err,
        "INSERT INTO tracking_inputs VALUES(?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET context = "
        "coalesce(excluded.context, context)",
        "tttttt", run, input->name, input->digest, input->source_type, input->source, input->context);
}

static enum lc no_metric(struct local *l, const char *run, const char *key, struct err *err)
{
    struct workspace_rows rows;
    struct err ignored;

    err_set(err, LC_NOTFOUND, "no metric '%s' in the run '%s'", key, run);
    if (workspace_query(l->ws, &rows, &ignored, "SELECT key FROM tracking_series WHERE run = ?", "t", run) ==
        LC_OK)
        hint_nearest(&rows, key, err);
    workspace_rows_close(&rows);
    return LC_NOTFOUND;
}

static enum lc metric_history(const struct ctx *ctx, void *self, const char *run, const char *key,
                              tracker_metric_fn *fn, void *arg, struct err *err)
{
    struct local *l = self;
    struct workspace_rows rows;
    bool any = false, go_on = true;
    enum lc rc;

    TRY(local_need_run(l, run, err));
    TRY(fold_run(l, run, err));
    rc = workspace_query(
        l->ws, &rows, err,
        "SELECT m.value, m.step, m.timestamp FROM tracking_series s JOIN tracking_metrics m ON m.series "
        "= s.id WHERE s.run = ? AND s.key = ? ORDER BY m.n",
        "tt", run, key);
    while (rc == LC_OK && go_on && workspace_next(&rows, &rc, err)) {
        struct tracker_metric m = {
            .key = key, .step = workspace_int(&rows, 1), .timestamp = workspace_int(&rows, 2)};
        m.value = workspace_is_null(&rows, 0) ? (double)NAN : workspace_real(&rows, 0);
        any = true;
        go_on = fn(arg, &m);
        rc = ctx_check(ctx, err);
    }
    workspace_rows_close(&rows);
    return rc != LC_OK || any ? rc : no_metric(l, run, key, err);
}

const struct tracker_ops tracker_local = {
    .scheme = "lacus",
    .open = open_local,
    .close = close_local,
    .create_experiment = create_experiment,
    .get_experiment = get_experiment,
    .update_experiment = update_experiment,
    .tag_experiment = tag_experiment,
    .search_experiments = local_search_experiments,
    .create_run = create_run,
    .get_run = get_run,
    .update_run = update_run,
    .set_stage = set_stage,
    .log_metrics = log_metrics,
    .log_params = log_params,
    .set_tags = set_tags,
    .delete_tag = delete_tag,
    .log_input = log_input,
    .search_runs = local_search_runs,
    .metric_history = metric_history,
    .put_artifact = local_put_artifact,
    .put_text = local_put_text,
    .list_artifacts = local_list_artifacts,
    .artifact_path = local_artifact_path,
};
