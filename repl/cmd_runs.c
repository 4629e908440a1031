/* cmd_runs.c: lacus runs: the runs of the workspace. */
#include "repl/command.h"
#include "repl/listing.h"
#include "runtime/base/clock.h"
#include "runtime/mlflow/lineage.h"
#include "runtime/tracking/tracker.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct job {
    struct ctx ctx;
    struct tracker *tracker;
    struct arguments a;
};

static enum lc experiment_of(struct job *j, json_t **e, struct err *err)
{
    const char *name = arguments_option(&j->a, "--experiment");

    *e = NULL;
    return name ? tracker_get_experiment(&j->ctx, j->tracker, NULL, name, e, err) : LC_OK;
}

/* What a column shows lies deep in a run's document: the members are brought up. */
static json_t *flat(const json_t *run)
{
    json_t *row = json_copy(json_object_get(run, "info")), *item;
    char text[128] = "";
    size_t i;

    json_array_foreach (json_object_get(json_object_get(run, "data"), "metrics"), i, item) {
        const json_t *v = json_object_get(item, "value");
        size_t used = strlen(text);
        if (json_is_number(v))
            snprintf(text + used, sizeof text - used, "%s%s=%.4g", i ? " " : "",
                     json_string_value(json_object_get(item, "key")), json_number_value(v));
    }
    json_object_set_new(row, "metrics", json_string(text));
    return row;
}

static enum lc list(void *self, struct err *err)
{
    struct job *j = self;
    static const struct listing_column columns[] = {{"run_id", "RUN", LISTING_TEXT},
                                                    {"run_name", "NAME", LISTING_TEXT},
                                                    {"experiment_id", "EXPERIMENT", LISTING_TEXT},
                                                    {"status", "STATUS", LISTING_TEXT},
                                                    {"start_time", "STARTED (UTC)", LISTING_TIME},
                                                    {"metrics", "METRICS", LISTING_TEXT},
                                                    {0}};
    const char *order = arguments_option(&j->a, "--order"), *max = arguments_option(&j->a, "--max"), *id;
    struct tracker_search s = {.filter = arguments_option(&j->a, "--filter"), .order_by = &order};
    json_t *e, *page, *rows, *run;
    size_t i;

    TRY(experiment_of(j, &e, err));
    id = json_string_value(json_object_get(e, "experiment_id"));
    s.experiment_ids = &id;
    s.n_experiments = id != NULL;
    s.n_order_by = order != NULL;
    s.max_results = max ? atoll(max) : 50;
    enum lc rc = tracker_search_runs(&j->ctx, j->tracker, &s, &page, err);
    json_decref(e);
    TRY(rc);
    if (j->a.json) {
        listing_print_json(json_object_get(page, "runs"));
        json_decref(page);
        return LC_OK;
    }
    rows = json_array();
    json_array_foreach (json_object_get(page, "runs"), i, run)
        json_array_append_new(rows, flat(run));
    listing_print(rows, columns, false);
    if (json_object_get(page, "next_page_token"))
        fprintf(stderr, "there are more: --max N\n");
    json_decref(rows);
    json_decref(page);
    return LC_OK;
}

static void print_pairs(const char *title, const json_t *list)
{
    json_t *item;
    size_t i;

    if (json_array_size(list))
        printf("%s\n", title);
    json_array_foreach (list, i, item) {
        const json_t *v = json_object_get(item, "value");
        if (json_is_string(v))
            printf("  %s = %s\n", json_string_value(json_object_get(item, "key")), json_string_value(v));
        else
            printf("  %s = %.10g (step %lld)\n", json_string_value(json_object_get(item, "key")),
                   json_number_value(v), (long long)json_integer_value(json_object_get(item, "step")));
    }
}

static void print_inputs(const json_t *run)
{
    json_t *item;
    size_t i;

    json_array_foreach (json_object_get(json_object_get(run, "inputs"), "dataset_inputs"), i, item) {
        const json_t *d = json_object_get(item, "dataset");
        printf("%s  %s version %s\n", i == 0 ? "inputs\n" : "", json_string_value(json_object_get(d, "name")),
               json_string_value(json_object_get(d, "digest")));
    }
}

static void print_run(const json_t *run)
{
    static const char *const members[] = {"run_id", "run_name", "experiment_id",
                                          "status", "user_id",  "artifact_uri"};
    const json_t *info = json_object_get(run, "info"), *data = json_object_get(run, "data");

    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        printf("%-14s %s\n", members[i], json_string_value(json_object_get(info, members[i])));
    print_pairs("params", json_object_get(data, "params"));
    print_pairs("metrics", json_object_get(data, "metrics"));
    print_pairs("tags", json_object_get(data, "tags"));
    print_inputs(run);
}

static enum lc show(void *self, struct err *err)
{
    struct job *j = self;
    struct lineage *lineage = NULL;
    json_t *run;
    enum lc rc = lineage_note_inputs(&j->ctx, &lineage, j->tracker, j->a.words[1], err);

    lineage_close(lineage);
    if (rc == LC_OK || rc == LC_NOTFOUND)
        rc = tracker_get_run(&j->ctx, j->tracker, j->a.words[1], &run, err);
    TRY(rc);
    if (j->a.json)
        listing_print_json(run);
    else
        print_run(run);
    json_decref(run);
    return LC_OK;
}

struct points {
    json_t *list; /* when JSON is wanted */
};

static bool print_point(void *arg, const struct tracker_metric *m)
{
    struct points *p = arg;
    char time[ISO_TEXT];

    clock_iso(m->timestamp, time);
    if (p->list)
        json_array_append_new(p->list, json_pack("{s:I, s:I, s:f}", "step", (json_int_t)m->step, "timestamp",
                                                 (json_int_t)m->timestamp, "value", m->value));
    else
        printf("%10lld  %s  %.17g\n", (long long)m->step, time, m->value);
    return true;
}

static enum lc metrics(void *self, struct err *err)
{
    struct job *j = self;
    struct points p = {.list = j->a.json ? json_array() : NULL};
    enum lc rc;

    if (j->a.n_words < 3)
        return err_set(err, LC_ARG, "which metric? lacus runs metrics RUN KEY");
    rc = tracker_metric_history(&j->ctx, j->tracker, j->a.words[1], j->a.words[2], print_point, &p, err);
    if (p.list && rc == LC_OK)
        listing_print_json(p.list);
    json_decref(p.list);
    return rc;
}

static enum lc artifacts(void *self, struct err *err)
{
    struct job *j = self;
    static const struct listing_column columns[] = {{"path", "PATH", LISTING_TEXT},
                                                    {"is_dir", "FOLDER", LISTING_TEXT},
                                                    {"file_size", "SIZE", LISTING_BYTES},
                                                    {0}};
    json_t *files;

    TRY(tracker_list_artifacts(&j->ctx, j->tracker, j->a.words[1], j->a.words[2], &files, err));
    listing_print(files, columns, j->a.json);
    json_decref(files);
    return LC_OK;
}

static enum lc delete_run(void *self, struct err *err)
{
    struct job *j = self;
    TRY(tracker_set_stage(&j->ctx, j->tracker, j->a.words[1], "deleted", err));
    printf("deleted the run %s\n", j->a.words[1]);
    return LC_OK;
}

static enum lc restore(void *self, struct err *err)
{
    struct job *j = self;
    TRY(tracker_set_stage(&j->ctx, j->tracker, j->a.words[1], "active", err));
    printf("restored the run %s\n", j->a.words[1]);
    return LC_OK;
}

static const struct listing_verb verbs[] = {{"list", "", list},
                                            {"artifacts", "RUN [PATH]", artifacts},
                                            {"delete", "RUN", delete_run},
                                            {"metrics", "RUN KEY", metrics},
                                            {"restore", "RUN", restore},
                                            {"show", "RUN", show},
                                            {0}};

static enum lc open_job(void *self, struct err *err)
{
    struct job *j = self;
    return tracker_open(NULL, &j->tracker, err);
}

static void close_job(void *self)
{
    struct job *j = self;
    tracker_close(j->tracker);
}

int cmd_runs(int argc, char **argv)
{
    static const char *const options[] = {"--experiment", "--filter", "--order", "--max", NULL};
    static const struct listing_command command = {"runs", options, verbs, open_job, close_job};
    struct job j = {.ctx = ctx_background()};

    return listing_run(&command, argc, argv, &j.a, &j);
}
