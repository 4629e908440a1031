/* cmd_job.c: lacus job: the training jobs of the workspace. */
#include "repl/command.h"
#include "repl/listing.h"
#include "runtime/base/clock.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/base/plural.h"
#include "runtime/train/job.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_MOST = 100, LOG_LINES = 200 };

struct call {
    struct workspace *ws;
    struct arguments a;
};

static enum lc list(struct call *c, struct err *err)
{
    static const struct listing_column columns[] = {{"id", "JOB", LISTING_TEXT},
                                                    {"status", "STATUS", LISTING_TEXT},
                                                    {"worker", "WORKER", LISTING_TEXT},
                                                    {"waits", "WAITS", LISTING_TEXT},
                                                    {"created", "CREATED (UTC)", LISTING_TIME},
                                                    {"ended", "ENDED", LISTING_TIME},
                                                    {"model", "MODEL", LISTING_TEXT},
                                                    {0}};
    const char *max = arguments_option(&c->a, "--max");
    int64_t most = max ? atoll(max) : LIST_MOST;
    json_t *rows;

    TRY(job_list(c->ws, most > 0 ? (size_t)most : 1, &rows, err));
    listing_print(rows, columns, c->a.json);
    json_decref(rows);
    return LC_OK;
}

static void print_time(const char *name, int64_t ms)
{
    char text[ISO_TEXT];

    if (!ms)
        return;
    clock_iso(ms, text);
    printf("%-14s %s\n", name, text);
}

/* One level of an object; what is in it is shown as JSON. */
static void print_members(const char *title, const json_t *object)
{
    const char *key;
    json_t *v;

    if (json_object_size(object))
        printf("%s\n", title);
    json_object_foreach ((json_t *)object, key, v) {
        char *text = json_is_string(v) ? NULL : json_dumps(v, JSON_ENCODE_ANY | JSON_REAL_PRECISION(10));
        printf("  %s = %s\n", key, text ? text : json_string_value(v));
        free(text);
    }
}

static void print_job(const struct job_info *j)
{
    const json_t *model = json_object_get(j->spec, "model"), *data = json_object_get(j->spec, "data");
    const char *output = json_string_value(json_object_get(j->spec, "output_uri"));
    const char *run = json_string_value(json_object_get(j->spec, "run_id"));
    json_t *table;
    size_t i;

    printf("%-14s %s\n%-14s %s\n%-14s %s\n", "id", j->id, "status", job_status_name(j->status), "model",
           json_string_value(json_object_get(model, "uri")));
    printf("%-14s %s\n", "model digest", json_string_value(json_object_get(model, "digest")));
    printf("%-14s %s\n", "data digest", json_string_value(json_object_get(data, "digest")));
    json_array_foreach (json_object_get(data, "tables"), i, table)
        printf("%-14s %s\n", "table", json_string_value(table));
    if (output)
        printf("%-14s %s\n", "output", output);
    if (run)
        printf("%-14s %s\n", "run", run);
    if (j->worker[0])
        printf("%-14s %s\n", "worker", j->worker);
    if (j->waits[0])
        printf("%-14s %s\n", "waits", j->waits);
    printf("%-14s %lld\n", "attempts", (long long)j->attempts);
    print_time("created", j->created);
    print_time("started", j->started);
    print_time("ended", j->ended);
    print_members("args", json_object_get(j->spec, "args"));
    print_members("peft", json_object_get(j->spec, "peft"));
    print_members("result", j->result);
    print_members("error", j->error);
}

static enum lc show(struct call *c, struct err *err)
{
    struct job_info j;
    json_t *whole;

    TRY(job_get(c->ws, c->a.words[1], &j, err));
    if (c->a.json) {
        whole = job_info_json(&j);
        listing_print_json(whole);
        json_decref(whole);
    } else {
        print_job(&j);
    }
    job_info_release(&j);
    return LC_OK;
}

static enum lc checkpoint(struct call *c, struct err *err)
{
    TRY(job_save(c->ws, c->a.words[1], err));
    printf("the job '%s' is told to keep a checkpoint of its next step\n", c->a.words[1]);
    return LC_OK;
}

static enum lc cancel(struct call *c, struct err *err)
{
    TRY(job_cancel(c->ws, c->a.words[1], err));
    printf("the job '%s' is told to end; what it has learned is kept as a checkpoint\n", c->a.words[1]);
    return LC_OK;
}

static void print_event(const json_t *e)
{
    const char *kind = json_string_value(json_object_get(e, "event"));
    const char *worker = json_string_value(json_object_get(e, "worker"));
    char when[ISO_TEXT];

    clock_iso(json_integer_value(json_object_get(e, "time")), when);
    if (strcmp(kind, "log") == 0)
        printf("%s %s\n", when, json_string_value(json_object_get(e, "text")));
    else if (strcmp(kind, "status") == 0)
        printf("%s %s%s%s\n", when, json_string_value(json_object_get(e, "status")), worker ? " on " : "",
               worker ? worker : "");
    else if (strcmp(kind, "checkpoint") == 0)
        printf("%s kept %s\n", when, json_string_value(json_object_get(e, "folder")));
    else if (strcmp(kind, "eval") == 0)
        printf("%s step %lld eval_loss %.6g\n", when,
               (long long)json_integer_value(json_object_get(e, "step")),
               json_number_value(json_object_get(e, "eval_loss")));
}

static enum lc print_events(const char *folder, bool json, struct err *err)
{
    json_t *events, *e, *all = json ? json_array() : NULL;
    int64_t offset = 0;
    size_t i, n = 1;
    enum lc rc = LC_OK;

    while (rc == LC_OK && n > 0 && (rc = job_events(folder, &offset, &events, err)) == LC_OK) {
        n = json_array_size(events);
        json_array_foreach (events, i, e)
            if (!json && json_is_string(json_object_get(e, "event")))
                print_event(e);
        if (json)
            json_array_extend(all, events);
        json_decref(events);
    }
    if (json && rc == LC_OK)
        listing_print_json(all);
    json_decref(all);
    return rc;
}

static enum lc logs(struct call *c, struct err *err)
{
    struct job_info j;
    struct buf tail = BUF_INIT(4001);
    char *folder, *path;
    enum lc rc;

    TRY(job_get(c->ws, c->a.words[1], &j, err)); /* an unknown one gets no folder */
    job_info_release(&j);
    folder = job_folder(c->a.words[1], err);
    path = folder ? fs_join(folder, "worker.log") : NULL;
    rc = path ? print_events(folder, c->a.json, err) : LC_IO;
    if (rc == LC_OK && !c->a.json) {
        job_tail(path, LOG_LINES, &tail);
        if (tail.len)
            printf("--- worker ---\n%s\n", buf_str(&tail));
    }
    buf_release(&tail);
    mem_free(path);
    mem_free(folder);
    return rc;
}

static enum lc clean_one(struct call *c, const char *id, int64_t *freed, struct err *err)
{
    int64_t bytes = 0;

    TRY(job_clean(c->ws, id, &bytes, err));
    *freed += bytes;
    return LC_OK;
}

/* Those named, or all that have finished: what can no longer be needed. */
static enum lc clean(struct call *c, struct err *err)
{
    json_t *ids = NULL, *id;
    int64_t freed = 0;
    size_t i, n = c->a.n_words - 1;
    enum lc rc = LC_OK;

    for (i = 1; rc == LC_OK && i < c->a.n_words; i++)
        rc = clean_one(c, c->a.words[i], &freed, err);
    if (c->a.n_words == 1 && (rc = job_ids(c->ws, JOB_FINISHED, &ids, err)) == LC_OK) {
        n = json_array_size(ids);
        json_array_foreach (ids, i, id)
            if (rc == LC_OK)
                rc = clean_one(c, json_string_value(id), &freed, err);
    }
    json_decref(ids);
    if (rc == LC_OK)
        printf("%zu job%s cleaned, %.1f MB freed\n", n, PLURAL(n), (double)freed / 1e6);
    return rc;
}

static enum lc dispatch(struct call *c, struct err *err)
{
    static const struct {
        const char *name;
        enum lc (*run)(struct call *c, struct err *err);
        bool id; /* needs one */
    } verbs[] = {{"cancel", cancel, true}, {"checkpoint", checkpoint, true},
                 {"clean", clean, false},  {"list", list, false},
                 {"logs", logs, true},     {"show", show, true}};

    if (c->a.n_words == 0)
        return list(c, err);
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(verbs[i].name, c->a.words[0]) == 0)
            return c->a.n_words > 1 || !verbs[i].id
                       ? verbs[i].run(c, err)
                       : err_set(err, LC_ARG, "which job? lacus job %s ID", verbs[i].name);
    return err_set(err, LC_ARG, "job cannot '%s'", c->a.words[0]);
}

int cmd_job(int argc, char **argv)
{
    static const char *const options[] = {"--max", NULL};
    struct call c = {0};
    struct err err;
    enum lc rc;

    err_clear(&err);
    rc = arguments_parse(argc, argv, options, &c.a, &err);
    if (rc == LC_OK)
        rc = jobs_open(NULL, &c.ws, &err);
    if (rc == LC_OK)
        rc = dispatch(&c, &err);
    workspace_close(c.ws);
    return rc == LC_OK ? 0 : command_error("job", &err);
}
