/* tracking_test.c: the tracker seam on the local workspace: nothing acknowledged is lost, searches, params, artifacts. */
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/tracking/filter.h"
#include "runtime/tracking/metric_log.h"
#include "runtime/tracking/source.h"
#include "runtime/tracking/tracker.h"
#include "tests/support/unit.h"
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct place {
    char home[64];
    struct tracker *t;
    struct ctx ctx;
    char run[TRACKER_ID_TEXT];
};

#define OK(expr)                                                                                             \
    do {                                                                                                     \
        struct err bad = {0};                                                                                \
        enum lc ok_rc = (expr);                                                                              \
        if (ok_rc != LC_OK)                                                                                  \
            fail_msg("%s:%d: %s: %s", __FILE__, __LINE__, lc_name(ok_rc), bad.message);                      \
    } while (0)

static void new_run(struct place *p, const char *name, char out[TRACKER_ID_TEXT])
{
    struct tracker_new_run new_run = {.experiment_id = "0", .name = name};
    json_t *run = NULL;

    OK(tracker_create_run(&p->ctx, p->t, &new_run, &run, &bad));
    snprintf(out, TRACKER_ID_TEXT, "%s", tracker_run_id(run));
    json_decref(run);
}

static int make_place(void **state)
{
    struct place *p = mem_zalloc(sizeof *p);

    strcpy(p->home, "/tmp/lacus-test-XXXXXX");
    assert_non_null(mkdtemp(p->home));
    setenv("LACUS_HOME", p->home, 1);
    unsetenv("MLFLOW_TRACKING_URI");
    p->ctx = ctx_background();
    OK(tracker_open(NULL, &p->t, &bad));
    new_run(p, "first", p->run);
    *state = p;
    return 0;
}

static int remove_place(void **state)
{
    struct place *p = *state;

    tracker_close(p->t);
    OK(fs_remove_tree(p->home, &bad));
    mem_free(p);
    return 0;
}

static char *log_path(const struct place *p)
{
    return mem_printf("%s/runs/%s.log", p->home, p->run);
}

struct seen {
    size_t n;
    struct tracker_metric last;
    double sum;
    int64_t next_step;
    bool in_order;
};

static bool see(void *arg, const struct tracker_metric *m)
{
    struct seen *s = arg;

    s->in_order = (s->n == 0 || s->in_order) && m->step == s->next_step;
    s->next_step = m->step + 1;
    s->n++;
    s->sum += m->value;
    s->last = *m;
    return true;
}

static struct seen history(struct place *p, const char *run, const char *key)
{
    struct seen s = {.n = 0};

    OK(tracker_metric_history(&p->ctx, p->t, run, key, see, &s, &bad));
    return s;
}

static const json_t *item(const json_t *list, const char *key)
{
    size_t i;
    json_t *v;

    json_array_foreach (list, i, v)
        if (strcmp(json_string_value(json_object_get(v, "key")), key) == 0)
            return json_object_get(v, "value");
    return NULL;
}

static json_t *get_run(struct place *p, const char *run)
{
    json_t *out = NULL;

    OK(tracker_get_run(&p->ctx, p->t, run, &out, &bad));
    return out;
}

static void metrics_keep_every_double(void **state)
{
    static const double values[] = {
        0.1, -0.0, 1e308, 5e-324, (double)NAN, (double)INFINITY, -(double)INFINITY};
    struct place *p = *state;
    json_t *run, *metrics;

    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char key[8];
        struct tracker_metric m = {.key = key, .value = values[i], .step = -3, .timestamp = 1234567890123};
        struct seen s;
        snprintf(key, sizeof key, "v%zu", i);
        OK(tracker_log_metrics(&p->ctx, p->t, p->run, &m, 1, &bad));
        s = history(p, p->run, key);
        assert_int_equal(s.n, 1);
        assert_true(isnan(values[i]) ? isnan(s.last.value)
                                     : memcmp(&s.last.value, &values[i], sizeof(double)) == 0 ||
                                           s.last.value == values[i]);
        assert_true(s.last.step == -3 && s.last.timestamp == 1234567890123);
    }
    run = get_run(p, p->run);
    metrics = json_object_get(json_object_get(run, "data"), "metrics");
    assert_string_equal(json_string_value(item(metrics, "v4")), "NaN");
    assert_string_equal(json_string_value(item(metrics, "v6")), "-Infinity");
    assert_true(json_real_value(item(metrics, "v0")) == 0.1);
    json_decref(run);
}

static void the_latest_metric_is_the_one_with_the_greatest_step(void **state)
{
    struct place *p = *state;
    const struct tracker_metric m[] = {{"loss", 3, 10, 1}, {"loss", 1, 12, 7}, {"loss", 2, 99, 4}};
    json_t *run;

    OK(tracker_log_metrics(&p->ctx, p->t, p->run, m, 2, &bad));
    json_decref(get_run(p, p->run)); /* folds the first part */
    OK(tracker_log_metrics(&p->ctx, p->t, p->run, m + 2, 1, &bad));
    run = get_run(p, p->run);
    assert_true(json_real_value(item(json_object_get(json_object_get(run, "data"), "metrics"), "loss")) == 1);
    json_decref(run);
    assert_int_equal(history(p, p->run, "loss").n, 3);
}

static void the_log_goes_when_the_run_ends(void **state)
{
    struct place *p = *state;
    struct tracker_metric m = {.key = "a b/c", .value = 1};
    char *path = log_path(p);

    OK(tracker_log_metrics(&p->ctx, p->t, p->run, &m, 1, &bad));
    assert_true(fs_exists(path));
    OK(tracker_update_run(&p->ctx, p->t, p->run, "FINISHED", 1, NULL, &bad));
    assert_false(fs_exists(path));
    m.step = 1;
    OK(tracker_log_metrics(&p->ctx, p->t, p->run, &m, 1, &bad)); /* a late one makes a new log */
    assert_int_equal(history(p, p->run, "a b/c").n, 2);
    mem_free(path);
}

/* A child logs and says so after each acknowledged metric; it is killed at a random moment. */
static void kill_9_loses_nothing_acknowledged(void **state)
{
    struct place *p = *state;

    for (int round = 0; round < 15; round++) {
        int acks[2], got = 1, status;
        char run[TRACKER_ID_TEXT], byte[4096];
        ssize_t n;
        struct seen s;
        pid_t pid;

        new_run(p, "killed", run);
        assert_int_equal(pipe(acks), 0);
        pid = fork();
        if (pid == 0) {
            struct tracker *t;
            if (tracker_open(NULL, &t, NULL) != LC_OK)
                _exit(1);
            for (int64_t i = 0;; i++) {
                struct tracker_metric m = {.key = "loss", .value = 1, .step = i};
                json_t *doc = NULL;
                if (tracker_log_metrics(&p->ctx, t, run, &m, 1, NULL) != LC_OK || write(acks[1], "x", 1) != 1)
                    _exit(1);
                if (i % 50 == 49 && tracker_get_run(&p->ctx, t, run, &doc, NULL) == LC_OK)
                    json_decref(doc); /* killed in the middle of a fold, too */
            }
        }
        close(acks[1]);
        assert_int_equal(read(acks[0], byte, 1), 1); /* a loaded machine needs its time to begin */
        usleep((useconds_t)(20000 + round * 7000));
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        assert_true(WIFSIGNALED(status));
        while ((n = read(acks[0], byte, sizeof byte)) > 0)
            got += (int)n;
        close(acks[0]);
        s = history(p, run, "loss");
        assert_true((int)s.n >= got && (int)s.n <= got + 1);
        assert_true(s.in_order); /* none lost, none twice */
    }
}

static void processes_may_log_to_one_run(void **state)
{
    enum { PROCESSES = 4, METRICS = 2000 };
    struct place *p = *state;

    for (int i = 0; i < PROCESSES; i++)
        if (fork() == 0) {
            struct tracker *t;
            char key[16];
            if (tracker_open(NULL, &t, NULL) != LC_OK)
                _exit(1);
            snprintf(key, sizeof key, "loss%d", i);
            for (int64_t j = 0; j < METRICS; j++) {
                struct tracker_metric m = {.key = key, .value = 1, .step = j};
                json_t *doc = NULL;
                if (tracker_log_metrics(&p->ctx, t, p->run, &m, 1, NULL) != LC_OK)
                    _exit(1);
                if (j % 500 == i && tracker_get_run(&p->ctx, t, p->run, &doc, NULL) == LC_OK)
                    json_decref(doc);
            }
            tracker_close(t);
            _exit(0);
        }
    for (int i = 0, status; i < PROCESSES; i++) {
        assert_true(wait(&status) > 0);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    for (int i = 0; i < PROCESSES; i++) {
        char key[16];
        struct seen s;
        snprintf(key, sizeof key, "loss%d", i);
        s = history(p, p->run, key);
        assert_int_equal(s.n, METRICS);
        assert_true(s.in_order);
    }
}

static void append_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_APPEND);

    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

static void a_torn_tail_is_no_damage(void **state)
{
    struct place *p = *state;
    struct tracker_metric m = {.key = "loss", .value = 1};
    struct tracker *other;
    char *path = log_path(p);
    json_t *run;

    OK(tracker_log_metrics(&p->ctx, p->t, p->run, &m, 1, &bad));
    append_text(path, "12345678 170000");
    assert_int_equal(history(p, p->run, "loss").n, 1);
    OK(tracker_open(NULL, &other, &bad)); /* a new writer sees the torn end and steps over it */
    m.step = 1;
    OK(tracker_log_metrics(&p->ctx, other, p->run, &m, 1, &bad));
    tracker_close(other);
    run = get_run(p, p->run);
    assert_null(item(json_object_get(json_object_get(run, "data"), "tags"), "lacus.damaged_metric_lines"));
    json_decref(run);
    assert_int_equal(history(p, p->run, "loss").n, 2);
    mem_free(path);
}

static void a_damaged_line_is_kept_aside_and_said(void **state)
{
    struct place *p = *state;
    struct tracker_metric m = {.key = "loss", .value = 1};
    char *path = log_path(p), *aside = mem_printf("%s.damaged", path);
    struct buf text = BUF_INIT(4096);
    json_t *run;

    OK(tracker_log_metrics(&p->ctx, p->t, p->run, &m, 1, &bad));
    append_text(path, "00000000 1 2 3ff0000000000000 loss\n");
    m.step = 1;
    OK(tracker_log_metrics(&p->ctx, p->t, p->run, &m, 1, &bad));
    run = get_run(p, p->run);
    assert_string_equal(json_string_value(item(json_object_get(json_object_get(run, "data"), "tags"),
                                               "lacus.damaged_metric_lines")),
                        "1");
    json_decref(run);
    assert_int_equal(history(p, p->run, "loss").n, 2);
    OK(fs_read(aside, &text, &bad));
    assert_string_equal(buf_str(&text), "00000000 1 2 3ff0000000000000 loss\n");
    buf_release(&text);
    mem_free(aside);
    mem_free(path);
}

static int fill_up(struct place *p)
{
    struct rlimit limit = {4096, 4096}, none = {RLIM_INFINITY, RLIM_INFINITY};
    struct err err = {0};
    enum lc rc = LC_OK;
    int64_t i = 0;

    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &none);
    limit.rlim_max = none.rlim_max;
    setrlimit(RLIMIT_FSIZE, &limit);
    for (; rc == LC_OK && i < 1000; i++) {
        struct tracker_metric m = {.key = "loss", .value = 1, .step = i};
        rc = tracker_log_metrics(&p->ctx, p->t, p->run, &m, 1, &err);
    }
    setrlimit(RLIMIT_FSIZE, &none);
    if (rc != LC_NOSPACE || !strstr(err.message, "No space left"))
        return -1;
    for (int64_t j = i - 1; j < 200; j++) { /* room again: goes on where it stopped */
        struct tracker_metric m = {.key = "loss", .value = 1, .step = j};
        if (tracker_log_metrics(&p->ctx, p->t, p->run, &m, 1, &err) != LC_OK)
            return -1;
    }
    return 0;
}

static void a_full_disk_is_said_and_nothing_before_is_lost(void **state)
{
    struct place *p = *state;
    struct seen s;
    json_t *run;

    assert_int_equal(fill_up(p), 0);
    s = history(p, p->run, "loss");
    assert_int_equal(s.n, 200);
    assert_true(s.in_order);
    run = get_run(p, p->run);
    assert_null(item(json_object_get(json_object_get(run, "data"), "tags"), "lacus.damaged_metric_lines"));
    json_decref(run);
}

static void a_param_does_not_change(void **state)
{
    struct place *p = *state;
    const struct tracker_pair first = {"lr", "0.1"}, pair[] = {{"new", "x"}, {"lr", "0.2"}};
    struct err err;
    json_t *run;

    OK(tracker_log_params(&p->ctx, p->t, p->run, &first, 1, &bad));
    OK(tracker_log_params(&p->ctx, p->t, p->run, &first, 1, &bad));
    assert_int_equal(tracker_log_params(&p->ctx, p->t, p->run, pair, 2, &err), LC_ARG);
    assert_non_null(strstr(err.message, "key='lr' was already logged with value='0.1'"));
    run = get_run(p, p->run);
    assert_null(item(json_object_get(json_object_get(run, "data"), "params"), "new")); /* all or none */
    json_decref(run);
}

static void keys_are_checked(void **state)
{
    static const char *const wrong[] = {"", "a\nb", "../x", "a//b", "/a", "a?b", "\xff"};
    static const char *const good[] = {"loss", "train/loss", "a b", "a.b:c_d-e", "\xc3\xa9"};
    struct place *p = *state;
    struct err err;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct tracker_metric m = {.key = wrong[i], .value = 1};
        assert_int_equal(tracker_log_metrics(&p->ctx, p->t, p->run, &m, 1, &err), LC_ARG);
        assert_true(err.hint[0] != '\0');
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct tracker_metric m = {.key = good[i], .value = (double)i};
        OK(tracker_log_metrics(&p->ctx, p->t, p->run, &m, 1, &bad));
        assert_int_equal(history(p, p->run, good[i]).n, 1);
    }
}

static void unknown_runs_and_metrics_are_named(void **state)
{
    struct place *p = *state;
    struct tracker_metric m = {.key = "loss", .value = 1};
    struct seen s = {.n = 0};
    struct err err;
    char typo[TRACKER_ID_TEXT];

    strcpy(typo, p->run);
    typo[3] = typo[3] == 'a' ? 'b' : 'a';
    assert_int_equal(tracker_log_metrics(&p->ctx, p->t, typo, &m, 1, &err), LC_NOTFOUND);
    assert_non_null(strstr(err.hint, p->run));
    OK(tracker_log_metrics(&p->ctx, p->t, p->run, &m, 1, &bad));
    assert_int_equal(tracker_metric_history(&p->ctx, p->t, p->run, "lsos", see, &s, &err), LC_NOTFOUND);
    assert_non_null(strstr(err.hint, "'loss'"));
}

/* ---- searching ---- */

static void log_one(struct place *p, const char *name, double loss, const char *optimizer, const char *tag)
{
    char run[TRACKER_ID_TEXT];
    struct tracker_metric m = {.key = "val loss", .value = loss};
    struct tracker_pair param = {"optimizer", optimizer}, t = {"team", tag};

    new_run(p, name, run);
    OK(tracker_log_metrics(&p->ctx, p->t, run, &m, 1, &bad));
    OK(tracker_log_params(&p->ctx, p->t, run, &param, 1, &bad));
    OK(tracker_set_tags(&p->ctx, p->t, run, &t, 1, &bad));
}

/* Names of the runs found, in order, as "a b c". */
static void found(struct place *p, const char *filter, const char *order, char out[128])
{
    struct tracker_search s = {.filter = filter, .order_by = &order, .n_order_by = order != NULL};
    json_t *page = NULL, *run;
    size_t i;

    out[0] = '\0';
    OK(tracker_search_runs(&p->ctx, p->t, &s, &page, &bad));
    json_array_foreach (json_object_get(page, "runs"), i, run) {
        strcat(out, i ? " " : "");
        strcat(out, json_string_value(json_object_get(json_object_get(run, "info"), "run_name")));
    }
    json_decref(page);
}

static void searches_find_what_mlflow_would(void **state)
{
    static const struct {
        const char *filter, *order, *names;
    } cases[] = {
        {"metrics.`val loss` < 1", "metrics.\"val loss\" ASC", "a b"},
        {"metrics.`val loss` < 1 and params.optimizer = 'adamw'", NULL, "a"},
        {"METRICS.`val loss` >= 0.5 AND params.optimizer != 'sgd'", NULL, "c"},
        {"params.optimizer LIKE 'ad%'", "attributes.run_name DESC", "c a"},
        {"params.optimizer LIKE 'AD%'", NULL, ""},
        {"params.optimizer ILIKE 'AD%'", "run_name", "a c"},
        {"tags.team IN ('x', 'y')", "run_name", "a b"},
        {"tags.team NOT IN ('x')", "run_name", "b c"},
        {"attributes.run_name = 'b'", NULL, "b"},
        {"run_name LIKE '_'", "metrics.`val loss` DESC", "c b a"},
        {"params.optimizer IS NULL", NULL, "first"},
        {"params.optimizer IS NOT NULL and status = 'RUNNING'", "run_name ASC", "a b c"},
        {"params.optimizer = 'x'' OR ''1''=''1'", NULL, ""},
        {"tags.team = \"it's\"", NULL, "c"},
        {"tags.team = 'it''s'", NULL, "c"},
        {"metrics.`val loss` = 1e0", NULL, ""},
    };
    struct place *p = *state;
    char names[128];

    log_one(p, "a", 0.25, "adamw", "x");
    log_one(p, "b", 0.5, "sgd", "y");
    log_one(p, "c", 2, "adam", "it's");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        found(p, cases[i].filter, cases[i].order, names);
        if (strcmp(names, cases[i].names) != 0)
            fail_msg("%s: '%s', expected '%s'", cases[i].filter, names, cases[i].names);
    }
}

static void bad_searches_are_explained(void **state)
{
    static const struct {
        const char *filter, *part;
    } cases[] = {
        {"metrics.loss <", "at its end"},
        {"metrics.loss < 'a'", "a number is expected"},
        {"params.x = 3", "a text in quotes is expected"},
        {"params.x = 'a", "a quote is not closed"},
        {"params.x = 'a' or params.y = 'b'", "joined with AND only"},
        {"metrcs.loss < 1", "no such field"},
        {"statsu = 'FINISHED'", "no such field"},
        {"params.x > 'a'", "texts compare with"},
        {"metrics.loss LIKE 'a'", "numbers have no LIKE"},
        {"status IN 'a'", "( is expected"},
        {"; DROP TABLE tracking_runs", "a field is expected"},
        {"status = 'a' and", "a field is expected"},
    };
    struct place *p = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tracker_search s = {.filter = cases[i].filter};
        struct err err = {0};
        json_t *page;
        assert_int_equal(tracker_search_runs(&p->ctx, p->t, &s, &page, &err), LC_ARG);
        if (!strstr(err.message, cases[i].part) || err.position < 0)
            fail_msg("%s: %s (%lld)", cases[i].filter, err.message, (long long)err.position);
    }
}

static void pages_do_not_overlap(void **state)
{
    struct place *p = *state;
    struct tracker_search s = {.max_results = 3};
    size_t total = 0, pages = 0;
    char token[32] = "", name[16];

    for (int i = 0; i < 7; i++) {
        char run[TRACKER_ID_TEXT];
        snprintf(name, sizeof name, "r%d", i);
        new_run(p, name, run);
    }
    do {
        json_t *page = NULL;
        const char *next;
        s.page_token = token;
        OK(tracker_search_runs(&p->ctx, p->t, &s, &page, &bad));
        total += json_array_size(json_object_get(page, "runs"));
        next = json_string_value(json_object_get(page, "next_page_token"));
        snprintf(token, sizeof token, "%s", next ? next : "");
        json_decref(page);
        pages++;
    } while (*token);
    assert_int_equal(total, 8);
    assert_int_equal(pages, 3);
}

static void experiments_have_names_and_stages(void **state)
{
    struct place *p = *state;
    json_t *e = NULL;
    struct err err;
    char id[24];

    OK(tracker_create_experiment(&p->ctx, p->t, "/Users/me/one", NULL, &e, &bad));
    snprintf(id, sizeof id, "%s", json_string_value(json_object_get(e, "experiment_id")));
    assert_string_equal(id, "1");
    json_decref(e);
    assert_int_equal(tracker_create_experiment(&p->ctx, p->t, "/Users/me/one", NULL, &e, &err), LC_EXISTS);
    assert_int_equal(tracker_get_experiment(&p->ctx, p->t, NULL, "/Users/me/noe", &e, &err), LC_NOTFOUND);
    assert_non_null(strstr(err.hint, "'/Users/me/one'"));
    OK(tracker_update_experiment(&p->ctx, p->t, id, "/Users/me/two", "deleted", &bad));
    OK(tracker_get_experiment(&p->ctx, p->t, id, NULL, &e, &bad));
    assert_string_equal(json_string_value(json_object_get(e, "name")), "/Users/me/two");
    assert_string_equal(json_string_value(json_object_get(e, "lifecycle_stage")), "deleted");
    json_decref(e);
    assert_int_equal(tracker_update_experiment(&p->ctx, p->t, "0", NULL, "deleted", &err), LC_ARG);
}

static void artifacts_are_plain_files(void **state)
{
    struct place *p = *state;
    char *folder = mem_printf("%s/model", p->home), *deep = mem_printf("%s/model/sub", p->home);
    char *file = mem_printf("%s/model/sub/w.bin", p->home), *local = NULL;
    json_t *files = NULL;
    struct err err;
    struct buf text = BUF_INIT(100);

    OK(fs_mkdirs(deep, &bad));
    OK(fs_write(file, "abc", 3, &bad));
    OK(tracker_put_artifact(&p->ctx, p->t, p->run, folder, "m", &bad));
    OK(tracker_put_artifact(&p->ctx, p->t, p->run, file, NULL, &bad));
    OK(tracker_put_text(&p->ctx, p->t, p->run, "notes/a.txt", "hello", 5, &bad));
    OK(tracker_list_artifacts(&p->ctx, p->t, p->run, NULL, &files, &bad));
    assert_int_equal(json_array_size(files), 3);
    assert_string_equal(json_string_value(json_object_get(json_array_get(files, 2), "path")), "w.bin");
    assert_int_equal(json_integer_value(json_object_get(json_array_get(files, 2), "file_size")), 3);
    json_decref(files);
    OK(tracker_artifact_path(&p->ctx, p->t, p->run, "m/sub/w.bin", &local, &bad));
    OK(fs_read(local, &text, &bad));
    assert_string_equal(buf_str(&text), "abc");
    mem_free(local);
    assert_int_equal(tracker_put_text(&p->ctx, p->t, p->run, "../../x", "", 0, &err), LC_ARG);
    assert_int_equal(tracker_artifact_path(&p->ctx, p->t, p->run, "m/none", &local, &err), LC_NOTFOUND);
    assert_int_equal(tracker_put_artifact(&p->ctx, p->t, p->run, "/no/such", NULL, &err), LC_NOTFOUND);
    buf_release(&text);
    mem_free(folder);
    mem_free(deep);
    mem_free(file);
}

static void inputs_are_recorded_once(void **state)
{
    struct place *p = *state;
    struct tracker_input in = {"ml.data.train", "3", "delta_table", "{\"table\": \"ml.data.train\"}", NULL};
    json_t *run, *inputs;

    OK(tracker_log_input(&p->ctx, p->t, p->run, &in, &bad));
    in.context = "training";
    OK(tracker_log_input(&p->ctx, p->t, p->run, &in, &bad));
    run = get_run(p, p->run);
    inputs = json_object_get(json_object_get(run, "inputs"), "dataset_inputs");
    assert_int_equal(json_array_size(inputs), 1);
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(json_array_get(inputs, 0), "dataset"), "digest")),
        "3");
    json_decref(run);
}

static void git(const char *dir, const char *args)
{
    char *line = mem_printf("cd '%s' && git -c user.name=t -c user.email=t@t %s >/dev/null 2>&1", dir, args);

    assert_int_equal(system(line), 0);
    mem_free(line);
}

/* Read from the files, compared with what git says. */
static void the_commit_is_gits(void **state)
{
    struct place *p = *state;
    char commit[72], branch[256], url[512], said[80] = "";
    char *deep = mem_printf("%s/repo/a/b", p->home), *repo = mem_printf("%s/repo", p->home);
    char *ask = mem_printf("git -C '%s' rev-parse HEAD", repo);
    FILE *out;

    OK(fs_mkdirs(deep, &bad));
    assert_false(source_git("/", commit, sizeof commit, branch, sizeof branch, url, sizeof url));
    git(repo, "init -q -b trunk");
    assert_false(
        source_git(deep, commit, sizeof commit, branch, sizeof branch, url, sizeof url)); /* no commit yet */
    git(repo, "commit -q --allow-empty -m one");
    git(repo, "remote add origin https://example.org/r.git");
    for (int packed = 0; packed < 2; packed++) {
        assert_true(source_git(deep, commit, sizeof commit, branch, sizeof branch, url, sizeof url));
        out = popen(ask, "r");
        assert_non_null(out);
        assert_non_null(fgets(said, sizeof said, out));
        pclose(out);
        said[strcspn(said, "\n")] = '\0';
        assert_string_equal(commit, said);
        assert_string_equal(branch, "trunk");
        assert_string_equal(url, "https://example.org/r.git");
        git(repo, "pack-refs --all");
    }
    mem_free(deep);
    mem_free(repo);
    mem_free(ask);
}

#define T(f) cmocka_unit_test_setup_teardown(f, make_place, remove_place)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(metrics_keep_every_double),
        T(the_latest_metric_is_the_one_with_the_greatest_step),
        T(the_log_goes_when_the_run_ends),
        T(kill_9_loses_nothing_acknowledged),
        T(processes_may_log_to_one_run),
        T(a_torn_tail_is_no_damage),
        T(a_damaged_line_is_kept_aside_and_said),
        T(a_full_disk_is_said_and_nothing_before_is_lost),
        T(a_param_does_not_change),
        T(keys_are_checked),
        T(unknown_runs_and_metrics_are_named),
        T(searches_find_what_mlflow_would),
        T(bad_searches_are_explained),
        T(pages_do_not_overlap),
        T(experiments_have_names_and_stages),
        T(artifacts_are_plain_files),
        T(inputs_are_recorded_once),
        T(the_commit_is_gits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
