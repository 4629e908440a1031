/* train_job_test.c: the job store, its event log, rows, manifests, the curve and the keys of workers. */
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/base/process.h"
#include "runtime/train/curve.h"
#include "runtime/train/examples.h"
#include "runtime/train/job.h"
#include "runtime/train/manifest.h"
#include "runtime/train/permutation.h"
#include "runtime/train/process_id.h"
#include "runtime/train/rows.h"
#include "runtime/train/run.h"
#include "tests/support/unit.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct fixture {
    char dir[32];
    struct workspace *ws;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct err err;

    strcpy(f->dir, "/tmp/lacus-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    setenv("LACUS_HOME", f->dir, 1);
    assert_int_equal(jobs_open(NULL, &f->ws, &err), LC_OK);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    struct err err;

    workspace_close(f->ws);
    assert_int_equal(fs_remove_tree(f->dir, &err), LC_OK);
    free(f);
    return 0;
}

static json_t *a_spec(void)
{
    return json_pack("{s:s, s:{s:s, s:s, s:[]}, s:{s:[]}}", "kind", "finetune", "model", "uri", "tiny",
                     "folder", "/tmp", "files", "data", "files");
}

static void new_job(struct fixture *f, char id[JOB_ID], int64_t owner)
{
    json_t *spec = a_spec();
    struct err err;

    job_new_id(id);
    assert_int_equal(job_create(f->ws, id, spec, owner, &err), LC_OK);
    json_decref(spec);
}

static void a_job_goes_through_its_life(void **state)
{
    struct fixture *f = *state;
    char id[JOB_ID];
    struct job_info info;
    json_t *ids, *result = json_pack("{s:i}", "steps", 3);
    struct err err;

    new_job(f, id, getpid());
    assert_int_equal(job_ids(f->ws, JOB_QUEUED, &ids, &err), LC_OK);
    assert_int_equal(json_array_size(ids), 1);
    json_decref(ids);
    assert_int_equal(job_start(f->ws, id, "w", &err), LC_OK);
    assert_int_equal(job_start(f->ws, id, "w", &err), LC_CONFLICT); /* only one gets it */
    assert_int_equal(job_get(f->ws, id, &info, &err), LC_OK);
    assert_int_equal(info.status, JOB_RUNNING);
    assert_int_equal(info.attempts, 1);
    assert_true(process_is_alive(info.owner_pid, info.owner_start));
    job_info_release(&info);
    assert_int_equal(job_end(f->ws, id, JOB_FINISHED, result, NULL, &err), LC_OK);
    assert_int_equal(job_get(f->ws, id, &info, &err), LC_OK);
    assert_int_equal(json_integer_value(json_object_get(info.result, "steps")), 3);
    job_info_release(&info);
    assert_int_equal(job_requeue(f->ws, id, "", 0, &err), LC_CONFLICT); /* finished is finished */
    json_decref(result);
}

static void the_spec_never_changes(void **state)
{
    struct fixture *f = *state;
    char id[JOB_ID];
    struct err err;

    new_job(f, id, 0);
    assert_int_not_equal(workspace_exec(f->ws, &err, "UPDATE train_jobs SET spec = '{}'", ""), LC_OK);
}

static void unknown_jobs_are_answered_with_the_nearest(void **state)
{
    struct fixture *f = *state;
    char id[JOB_ID];
    struct job_info info;
    struct err err;

    new_job(f, id, 0);
    id[5] = id[5] == 'a' ? 'b' : 'a';
    assert_int_equal(job_get(f->ws, id, &info, &err), LC_NOTFOUND);
    assert_non_null(strstr(err.hint, "did you mean 'job-"));
}

static void cancel_ends_what_waits_and_flags_what_runs(void **state)
{
    struct fixture *f = *state;
    char a[JOB_ID], b[JOB_ID];
    struct job_info info;
    bool cancelled;
    int64_t saves;
    struct err err;

    new_job(f, a, 0);
    new_job(f, b, 0);
    assert_int_equal(job_start(f->ws, b, "w", &err), LC_OK);
    assert_int_equal(job_cancel(f->ws, a, &err), LC_OK);
    assert_int_equal(job_cancel(f->ws, b, &err), LC_OK);
    assert_int_equal(job_get(f->ws, a, &info, &err), LC_OK);
    assert_int_equal(info.status, JOB_CANCELLED);
    job_info_release(&info);
    assert_int_equal(job_asked(f->ws, b, &cancelled, &saves, &err), LC_OK);
    assert_true(cancelled);
    assert_int_equal(job_requeue(f->ws, b, "checkpoint-5", 0, &err), LC_OK);
    assert_int_equal(job_get(f->ws, b, &info, &err), LC_OK);
    assert_string_equal(info.resume, "checkpoint-5");
    assert_false(info.cancel);
    job_info_release(&info);
}

static void events_are_followed_line_by_line(void **state)
{
    struct fixture *f = *state;
    int64_t offset = 0;
    char path[80];
    json_t *list;
    struct err err;
    FILE *file;

    assert_int_equal(job_log(f->dir, json_pack("{s:s}", "event", "one"), &err), LC_OK);
    snprintf(path, sizeof path, "%s/events.jsonl", f->dir);
    file = fopen(path, "a");
    fputs("{\"event\": \"two\"}\nnot JSON\n{\"event\": \"half",
          file); /* a writer was killed in the middle of a line */
    fclose(file);
    assert_int_equal(job_events(f->dir, &offset, &list, &err), LC_OK);
    assert_int_equal(json_array_size(list), 2);
    json_decref(list);
    file = fopen(path, "a");
    fputs("\"}\n", file);
    fclose(file);
    assert_int_equal(job_events(f->dir, &offset, &list, &err), LC_OK);
    assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "event")), "half");
    json_decref(list);
}

static void the_last_checkpoint_is_the_highest(void **state)
{
    static const char *const names[] = {"checkpoint-9", "checkpoint-10", "checkpoint-x",
                                        ".incoming-checkpoint-50"};
    struct fixture *f = *state;
    char found[64], path[100];
    struct err err;

    job_last_checkpoint(f->dir, found);
    assert_string_equal(found, "");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", f->dir, names[i]);
        assert_int_equal(fs_mkdirs(path, &err), LC_OK);
    }
    job_last_checkpoint(f->dir, found);
    assert_string_equal(found, "checkpoint-10");
}

static void workers_are_invited_once_and_revoked_once(void **state)
{
    struct fixture *f = *state;
    unsigned char key[KEY_BYTES] = {1};
    json_t *rows;
    struct err err;

    assert_int_equal(worker_add(f->ws, "box", key, &err), LC_OK);
    assert_int_equal(worker_add(f->ws, "box", key, &err), LC_EXISTS);
    assert_int_equal(worker_add(f->ws, "local-1", key, &err), LC_ARG);
    assert_int_equal(worker_add(f->ws, "a b", key, &err), LC_ARG);
    assert_int_equal(worker_revoke(f->ws, "box", &err), LC_OK);
    assert_int_equal(worker_revoke(f->ws, "box", &err), LC_NOTFOUND);
    assert_int_equal(worker_rows(f->ws, &rows, &err), LC_OK);
    assert_int_equal(json_array_size(rows), 1);
    json_decref(rows);
}

static void rows_come_back_and_broken_files_are_named(void **state)
{
    struct fixture *f = *state;
    char path[80];
    struct rows *r;
    struct row row;
    enum lc rc = LC_OK;
    struct err err;

    snprintf(path, sizeof path, "%s/rows", f->dir);
    assert_int_equal(rows_create(path, &r, &err), LC_OK);
    assert_int_equal(rows_add(r, "a\0b", 3, "", 0, &err), LC_OK);
    assert_int_equal(rows_add(r, "", 0, "text", 4, &err), LC_OK);
    assert_int_equal(rows_finish(r, &err), LC_OK);
    rows_close(r);
    assert_int_equal(rows_open(path, &r, &err), LC_OK);
    assert_true(rows_next(r, &row, &rc, &err));
    assert_int_equal(row.prompt_len, 3);
    assert_memory_equal(row.prompt, "a\0b", 3);
    assert_true(rows_next(r, &row, &rc, &err));
    assert_int_equal(row.completion_len, 4);
    assert_false(rows_next(r, &row, &rc, &err));
    assert_int_equal(rc, LC_OK);
    rows_close(r);
    assert_int_equal(truncate(path, fs_size(path) - 1), 0);
    assert_int_equal(rows_open(path, &r, &err), LC_OK);
    assert_true(rows_next(r, &row, &rc, &err));
    assert_false(rows_next(r, &row, &rc, &err));
    assert_int_equal(rc, LC_DATA);
    assert_non_null(strstr(err.message, "row 2"));
    rows_close(r);
}

static void rows_of_tokens_stand_beside_rows_of_text(void **state)
{
    static const int32_t ids[] = {0, 7, 128255}, labels[] = {-100, 7, INT32_MAX};
    static const unsigned char bad[4] = {8, 0, 0, 0}; /* the labels of row 1 are shorter than its ids */
    struct fixture *f = *state;
    struct example_options o = {.max_length = 2};
    struct examples *e = NULL;
    char path[80];
    struct rows *r;
    struct row row;
    enum lc rc = LC_OK;
    struct err err;
    int fd;

    snprintf(path, sizeof path, "%s/rows", f->dir);
    assert_int_equal(rows_create(path, &r, &err), LC_OK);
    assert_int_equal(rows_add_tokens(r, ids, labels, 3, &err), LC_OK);
    assert_int_equal(rows_add_tokens(r, ids, labels, 0, &err), LC_OK);
    assert_int_equal(rows_finish(r, &err), LC_OK);
    rows_close(r);
    assert_int_equal(examples_load(NULL, NULL, path, &o, &e, &err), LC_OK);
    assert_int_equal(examples_dataset(e)->n, 2);
    assert_int_equal(examples_dataset(e)->examples[0].n, 2);
    assert_int_equal(examples_dataset(e)->examples[0].input_ids[1], 7);
    assert_int_equal(examples_dataset(e)->examples[0].labels[0], -100);
    assert_int_equal(examples_cut(e), 1);
    examples_free(e);
    assert_int_equal(rows_open(path, &r, &err), LC_OK);
    assert_true(rows_next(r, &row, &rc, &err));
    assert_true(row.tokens && row.prompt_len == 12 && row.completion_len == 12);
    rows_close(r);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, bad, 4, 13 + 4), 4);
    close(fd);
    assert_int_equal(rows_open(path, &r, &err), LC_OK);
    assert_false(rows_next(r, &row, &rc, &err));
    assert_int_equal(rc, LC_DATA);
    rows_close(r);
}

/* What numpy.random.default_rng(seed).permutation(10) gives. */
static void permutations_are_numpys(void **state)
{
    static const struct {
        uint64_t seed;
        int64_t order[10];
    } rows[] = {
        {0ULL, {4, 6, 2, 7, 3, 5, 9, 0, 8, 1}},
        {42ULL, {5, 6, 0, 7, 3, 2, 4, 9, 1, 8}},
        {1099511627776ULL, {3, 8, 9, 0, 7, 4, 6, 2, 5, 1}},
        {9223372036854775807ULL, {8, 3, 7, 2, 6, 0, 5, 9, 1, 4}},
    };
    int64_t order[10];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        permutation_make(rows[i].seed, 10, order);
        assert_memory_equal(order, rows[i].order, sizeof order);
    }
    permutation_make(1, 0, order);
}

/* SHA-256 of "abc", from FIPS 180-2 */
#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void digests_are_sha256(void **state)
{
    struct fixture *f = *state;
    char path[80], hex[DIGEST_HEX];
    int64_t size;
    struct err err;

    snprintf(path, sizeof path, "%s/abc", f->dir);
    assert_int_equal(fs_write(path, "abc", 3, &err), LC_OK);
    assert_int_equal(manifest_hash(NULL, path, hex, &size, &err), LC_OK);
    assert_string_equal(hex, ABC);
    assert_int_equal(manifest_verify(NULL, path, ABC, 3, &err), LC_OK);
    assert_int_equal(manifest_verify(NULL, path, ABC, 4, &err), LC_DATA);
    assert_int_equal(manifest_verify(NULL, f->dir, ABC, 4, &err), LC_DATA);
}

static enum lc send_part(struct run *r, const char *folder, const char *path, int64_t offset,
                         const char *bytes, struct err *err)
{
    struct wire_msg m = {
        WIRE_FILE, json_pack("{s:s, s:s, s:I}", "folder", folder, "path", path, "offset", (json_int_t)offset),
        bytes, strlen(bytes)};
    enum lc rc = run_receive(r, &m, err);

    wire_msg_release(&m);
    return rc;
}

static enum lc send_commit(struct run *r, const char *folder, const char *path, int64_t size, const char *sha,
                           struct err *err)
{
    struct wire_msg m = {.kind = WIRE_COMMIT,
                         .head = json_pack("{s:s, s:[{s:s, s:I, s:s}]}", "folder", folder, "files", "path",
                                           path, "size", (json_int_t)size, "sha256", sha)};
    enum lc rc = run_commit(r, &m, err);

    wire_msg_release(&m);
    return rc;
}

static void folders_arrive_whole_or_not_at_all(void **state)
{
    struct fixture *f = *state;
    struct job_info info;
    struct run *r;
    char id[JOB_ID], *path;
    struct err err;

    new_job(f, id, 0);
    assert_int_equal(job_get(f->ws, id, &info, &err), LC_OK);
    assert_int_equal(run_open(&info, &r, &err), LC_OK);
    assert_int_equal(send_part(r, "checkpoint-1", "w", 0, "ab", &err), LC_OK);
    assert_int_equal(send_part(r, "checkpoint-1", "w", 3, "c", &err), LC_DATA); /* a part is missing */
    assert_int_equal(send_part(r, "checkpoint-1", "w", 2, "c", &err), LC_OK);
    path = fs_join(r->folder, "checkpoint-1");
    assert_int_equal(send_commit(r, "checkpoint-1", "other", 3, ABC, &err), LC_DATA);
    assert_false(fs_exists(path));
    assert_int_equal(send_part(r, "checkpoint-1", "w", 0, "abc", &err), LC_OK);
    assert_int_equal(send_commit(r, "checkpoint-1", "w", 3, ABC, &err), LC_OK);
    assert_true(fs_exists(path));
    assert_int_equal(send_part(r, "events.jsonl", "w", 0, "x", &err), LC_DATA); /* not a folder of a job */
    assert_int_equal(send_part(r, "data", "train.rows", 0, "x", &err), LC_DATA);
    mem_free(path);
    run_free(r);
    job_info_release(&info);
}

static void the_curve_forgets_what_a_resume_repeats(void **state)
{
    static const int steps[] = {1, 2, 3, 2, 3, 4};
    struct curve *c = curve_new();
    struct buf text = BUF_INIT(10000);
    json_t *vega;

    (void)state;
    assert_false(curve_text(c, 40, 5, &text));
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        json_t *e = json_pack("{s:s, s:i, s:f}", "event", "metric", "step", steps[i], "loss", 1.0 / steps[i]);
        assert_true(curve_add(c, e));
        json_decref(e);
    }
    vega = curve_vega(c, "t");
    assert_int_equal(json_array_size(json_object_get(json_object_get(vega, "data"), "values")), 4);
    assert_true(curve_text(c, 40, 5, &text));
    assert_non_null(strstr(buf_str(&text), "1.0000 |."));
    json_decref(vega);
    buf_release(&text);
    curve_free(c);
}

static void a_dead_process_is_not_mistaken_for_another(void **state)
{
    const char *argv[] = {"sleep", "30", NULL};
    pid_t pid;
    int64_t start;
    struct err err;

    (void)state;
    assert_int_equal(process_start(argv, "/dev/null", &pid, &err), LC_OK);
    start = process_start_time(pid);
    assert_true(process_is_alive(pid, start));
    assert_false(process_is_alive(pid, start + 1));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_false(process_is_alive(pid, start));
    assert_false(process_is_alive(0, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_job_goes_through_its_life, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_spec_never_changes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unknown_jobs_are_answered_with_the_nearest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cancel_ends_what_waits_and_flags_what_runs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(events_are_followed_line_by_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_last_checkpoint_is_the_highest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(workers_are_invited_once_and_revoked_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rows_come_back_and_broken_files_are_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(digests_are_sha256, set_up, tear_down),
        cmocka_unit_test_setup_teardown(folders_arrive_whole_or_not_at_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rows_of_tokens_stand_beside_rows_of_text, set_up, tear_down),
        cmocka_unit_test(permutations_are_numpys),
        cmocka_unit_test(the_curve_forgets_what_a_resume_repeats),
        cmocka_unit_test(a_dead_process_is_not_mistaken_for_another),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
