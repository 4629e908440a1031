/* delta_test.c: the Delta log: replay, commits that meet others, features, statistics. What needs rows is in
 * tests/interop/test_delta.py, beside delta-rs. */
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/dataframe/engines/engine.h"
#include "runtime/delta/delta_int.h"
#include "tests/support/unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utime.h>

#define SCHEMA                                                                                               \
    "{\"type\":\"struct\",\"fields\":[{\"name\":\"a\",\"type\":\"long\",\"nullable\":true,\"metadata\":{}}," \
    "{"                                                                                                      \
    "\"name\":\"p\",\"type\":\"string\",\"nullable\":true,\"metadata\":{}}]}"

struct place {
    char folder[64];
    struct ctx ctx;
    struct err err;
};

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    const char *partition = "p";
    struct delta_write w = {.create = true, .partition_by = &partition, .n_partition_by = 1};

    strcpy(p->folder, "/tmp/lacus-delta-XXXXXX");
    assert_non_null(mkdtemp(p->folder));
    p->ctx = ctx_background();
    assert_int_equal(delta_create(&p->ctx, p->folder, SCHEMA, &w, &p->err), LC_OK);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;

    assert_int_equal(fs_remove_tree(p->folder, &p->err), LC_OK);
    free(p);
    return 0;
}

static json_t *add(const char *path, const char *partition)
{
    return json_pack("{s:s,s:{s:s?},s:i,s:i,s:b,s:s}", "path", path, "partitionValues", "p", partition,
                     "size", 10, "modificationTime", 0, "dataChange", 1, "stats", "{\"numRecords\":3}");
}

/* A commit whose writer read version 0. */
static struct delta_commit commit(const struct place *p, bool blind)
{
    struct delta_commit c = {.location = p->folder, .read_version = 0, .blind_append = blind};
    json_t *info = json_pack("{s:s,s:b}", "operation", "WRITE", "isBlindAppend", blind);

    buf_init(&c.text, 1 << 20);
    assert_true(delta_commit_line(&c, "commitInfo", info));
    return c;
}

static enum lc put(struct place *p, struct delta_commit *c, int64_t *version)
{
    enum lc rc = delta_commit_put(&p->ctx, c, version, &p->err);

    buf_release(&c->text);
    json_decref(c->removed);
    return rc;
}

static int64_t append(struct place *p, const char *path)
{
    struct delta_commit c = commit(p, true);
    int64_t version = -1;

    assert_true(delta_commit_line(&c, "add", add(path, "x")));
    assert_int_equal(put(p, &c, &version), LC_OK);
    return version;
}

/* Removes `old` and adds `new`, having read version 0 (or the given one). */
static enum lc replace(struct place *p, int64_t read, const char *old, const char *new, int64_t *version)
{
    struct delta_commit c = commit(p, false);

    c.read_version = read;
    if (old)
        assert_true(delta_commit_line(
            &c, "remove",
            json_pack("{s:s,s:I}", "path", old, "deletionTimestamp", (json_int_t)INT64_C(4000000000000))));
    assert_true(delta_commit_line(&c, "add", add(new, "x")));
    return put(p, &c, version);
}

static struct delta_snapshot *open_at(struct place *p, int64_t version)
{
    struct delta_snapshot *t;

    if (delta_open(&p->ctx, NULL, p->folder, version, &t, &p->err) != LC_OK)
        fail_msg("%s", p->err.message);
    return t;
}

static void a_new_table_reads_as_it_was_made(void **state)
{
    struct place *p = *state;
    struct delta_snapshot *t = open_at(p, DELTA_LATEST);
    struct delta_write w = {.create = true};

    assert_int_equal(t->version, 0);
    assert_int_equal(t->n_files, 0);
    assert_string_equal(t->schema_json, SCHEMA);
    assert_string_equal(t->partition_columns[0], "p");
    assert_int_equal(t->reader_version, 1);
    assert_int_equal(t->writer_version, 2);
    delta_close(t);
    assert_int_equal(delta_create(&p->ctx, p->folder, SCHEMA, &w, &p->err), LC_EXISTS);
}

static void appends_go_behind_each_other(void **state)
{
    struct place *p = *state;
    struct delta_snapshot *t;

    assert_int_equal(append(p, "1.parquet"), 1);
    assert_int_equal(append(p, "2%20x.parquet"), 2); /* it read version 0, too */
    t = open_at(p, DELTA_LATEST);
    assert_int_equal(t->n_files, 2);
    assert_string_equal(t->files[1].path, "2 x.parquet");
    assert_string_equal(t->files[1].partitions[0], "x");
    assert_int_equal(t->files[1].rows, 3);
    delta_close(t);
    t = open_at(p, 1);
    assert_int_equal(t->n_files, 1);
    delta_close(t);
    assert_int_equal(delta_open(&p->ctx, NULL, p->folder, 3, &t, &p->err), LC_NOTFOUND);
    assert_non_null(strstr(p->err.hint, "versions 0 to 2"));
}

/* WriteSerializable: an overwrite goes behind a blind append and leaves its rows. */
static void an_overwrite_meets_an_append(void **state)
{
    struct place *p = *state;
    struct delta_snapshot *t;
    int64_t version;

    append(p, "1.parquet");
    append(p, "2.parquet");
    assert_int_equal(replace(p, 1, "1.parquet", "3.parquet", &version), LC_OK);
    assert_int_equal(version, 3);
    t = open_at(p, DELTA_LATEST);
    assert_int_equal(t->n_files, 2);
    delta_close(t);
}

static void two_overwrites_conflict(void **state)
{
    struct place *p = *state;
    int64_t version;

    append(p, "1.parquet");
    assert_int_equal(replace(p, 1, "1.parquet", "2.parquet", &version), LC_OK);
    assert_int_equal(replace(p, 1, "1.parquet", "3.parquet", &version), LC_CONFLICT);
    assert_non_null(strstr(p->err.message, "[DELTA_CONCURRENT_DELETE_DELETE]"));
    assert_non_null(strstr(p->err.message, "version 2"));
    /* of an empty table: what was added was not seen */
    assert_int_equal(replace(p, 0, NULL, "4.parquet", &version), LC_CONFLICT);
}

static void a_change_of_the_schema_conflicts_with_all(void **state)
{
    static const struct {
        const char *kind, *what, *part;
    } changes[] = {
        {"metaData", "{\"id\":\"x\",\"schemaString\":\"{}\",\"partitionColumns\":[]}", "METADATA_CHANGED"},
        {"protocol", "{\"minReaderVersion\":1,\"minWriterVersion\":2}", "PROTOCOL_CHANGED"}};
    struct place *p = *state;

    for (int64_t i = 0; i < 2; i++) {
        struct delta_commit winner = commit(p, false), loser = commit(p, true);
        int64_t version;
        winner.read_version = loser.read_version = i;
        assert_true(delta_commit_line(&winner, changes[i].kind, json_loads(changes[i].what, 0, NULL)));
        assert_int_equal(put(p, &winner, &version), LC_OK);
        assert_true(delta_commit_line(&loser, "add", add("1.parquet", "x")));
        assert_int_equal(put(p, &loser, &version), LC_CONFLICT);
        assert_non_null(strstr(p->err.message, changes[i].part));
    }
}

static void files_come_go_and_come_back(void **state)
{
    static const char log[] = "{\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":2}}\n"
                              "{\"metaData\":{\"id\":\"x\",\"schemaString\":\"{}\",\"partitionColumns\":["
                              "\"p\"],\"configuration\":{\"k\":\"v\"}}}\n"
                              "{\"add\":{\"path\":\"a\",\"partitionValues\":{\"p\":\"\"},\"size\":1}}\n"
                              "{\"add\":{\"path\":\"b\",\"partitionValues\":{\"p\":null},\"size\":1}}\n"
                              "{\"remove\":{\"path\":\"a\",\"deletionTimestamp\":5}}\n"
                              "{\"unknown\":{\"x\":1}}\r\n\n"
                              "{\"add\":{\"path\":\"a\",\"partitionValues\":{\"p\":\"v\"},\"size\":2}}\n"
                              "{\"remove\":{\"path\":\"b\",\"deletionTimestamp\":5}}";
    struct delta_replay *r = delta_replay_new();
    struct delta_snapshot *t;
    struct err err;

    (void)state;
    assert_int_equal(delta_commit_parse(log, sizeof log - 1, "x", delta_replay_action, r, &err), LC_OK);
    assert_int_equal(delta_replay_snapshot(r, "/x", 0, 0, &t, &err), LC_OK);
    assert_int_equal(t->n_files, 1);
    assert_string_equal(t->files[0].path, "a");
    assert_int_equal(t->files[0].size, 2);
    assert_string_equal(t->files[0].partitions[0], "v");
    assert_string_equal(delta_property(t, "k"), "v");
    assert_null(delta_property(t, "other"));
    delta_close(t);
    delta_replay_free(r);
}

static void features_are_refused_by_name(void **state)
{
    static const struct {
        const char *protocol, *extra;  /* extra: properties */
        const char *reading, *writing; /* the feature that stops it; NULL: it may */
    } cases[] = {
        {"{\"minReaderVersion\":1,\"minWriterVersion\":7,\"writerFeatures\":[\"appendOnly\","
         "\"changeDataFeed\"]}",
         "{}", NULL, NULL},
        {"{\"minReaderVersion\":1,\"minWriterVersion\":3}", "{}", NULL, NULL},
        {"{\"minReaderVersion\":1,\"minWriterVersion\":3}", "{\"delta.constraints.c\":\"a > 1\"}", NULL,
         "checkConstraints"},
        {"{\"minReaderVersion\":2,\"minWriterVersion\":5}", "{\"delta.columnMapping.mode\":\"name\"}", NULL,
         NULL},
        {"{\"minReaderVersion\":2,\"minWriterVersion\":5}", "{\"delta.columnMapping.mode\":\"id\"}",
         "columnMapping", "columnMapping"},
        {"{\"minReaderVersion\":3,\"minWriterVersion\":7,\"readerFeatures\":[\"deletionVectors\"],"
         "\"writerFeatures\":[\"deletionVectors\"]}",
         "{}", NULL, NULL},
        {"{\"minReaderVersion\":3,\"minWriterVersion\":7,\"readerFeatures\":[\"typeWidening\"],"
         "\"writerFeatures\":[\"typeWidening\"]}",
         "{}", NULL, NULL},
        {"{\"minReaderVersion\":3,\"minWriterVersion\":7,\"readerFeatures\":[\"someday\"],\"writerFeatures\":"
         "[\"someday\"]}",
         "{}", "someday", "someday"},
        {"{\"minReaderVersion\":1,\"minWriterVersion\":7,\"writerFeatures\":[\"inCommitTimestamp\"]}", "{}",
         NULL, "inCommitTimestamp"},
        {"{\"minReaderVersion\":1,\"minWriterVersion\":8}", "{}", NULL, "writer version 8"},
        {"{\"minReaderVersion\":4,\"minWriterVersion\":8}", "{}", "reader version 4", "writer version 8"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct delta_replay *r = delta_replay_new();
        struct delta_snapshot *t;
        struct buf log = BUF_INIT(1 << 16);
        struct err err;
        buf_printf(
            &log,
            "{\"protocol\":%s}\n{\"metaData\":{\"id\":\"x\",\"schemaString\":\"{}\",\"configuration\":%s}}",
            cases[i].protocol, cases[i].extra);
        assert_int_equal(delta_commit_parse(buf_str(&log), log.len, "x", delta_replay_action, r, &err),
                         LC_OK);
        assert_int_equal(delta_replay_snapshot(r, "/x", 0, 0, &t, &err), LC_OK);
        err_clear(&err);
        assert_int_equal(delta_check_reader(t, &err), cases[i].reading ? LC_UNSUPPORTED : LC_OK);
        assert_true(!cases[i].reading || strstr(err.message, cases[i].reading));
        err_clear(&err);
        assert_int_equal(delta_check_writer(t, &err), cases[i].writing ? LC_UNSUPPORTED : LC_OK);
        assert_true(!cases[i].writing || strstr(err.message, cases[i].writing));
        delta_close(t);
        delta_replay_free(r);
        buf_release(&log);
    }
}

static void paths_are_uris(void **state)
{
    static const char *const paths[] = {"a b%c#d?e", "p=x%2Fy/z.parquet", "h\xc3\xa9.parquet",
                                        "plain-1_2.parquet"};

    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct arena *a = arena_new(0);
        struct buf encoded = BUF_INIT(1000);
        assert_true(delta_path_encode(&encoded, paths[i]));
        assert_null(strpbrk(buf_str(&encoded), " #?"));
        assert_string_equal(delta_path_decode(a, buf_str(&encoded)), paths[i]);
        buf_release(&encoded);
        arena_free(a);
    }
}

/* Commits' file times, made monotonic, say which version a time has. */
static void times_find_versions(void **state)
{
    static const time_t times[] = {1000000, 2000000, 1500000}; /* the last file was copied */
    struct place *p = *state;
    int64_t version;

    append(p, "1.parquet");
    append(p, "2.parquet");
    for (int64_t v = 0; v < 3; v++) {
        char path[256];
        snprintf(path, sizeof path, "%s/_delta_log/%020lld.json", p->folder, (long long)v);
        assert_int_equal(utime(path, &(struct utimbuf){times[v], times[v]}), 0);
    }
    assert_int_equal(delta_version_at(&p->ctx, p->folder, 1000000000, &version, &p->err), LC_OK);
    assert_int_equal(version, 0);
    assert_int_equal(delta_version_at(&p->ctx, p->folder, 1999999999, &version, &p->err), LC_OK);
    assert_int_equal(version, 0);
    assert_int_equal(delta_version_at(&p->ctx, p->folder, 2000000000, &version, &p->err), LC_OK);
    assert_int_equal(version, 1);
    assert_int_equal(delta_version_at(&p->ctx, p->folder, 3000000000, &version, &p->err), LC_OK);
    assert_int_equal(version, 2);
    assert_int_equal(delta_version_at(&p->ctx, p->folder, 10, &version, &p->err), LC_NOTFOUND);
}

static void only_complete_checkpoints_count(void **state)
{
    static const char *const files[] = {
        "00000000000000000003.checkpoint.0000000001.0000000002.parquet",
        "00000000000000000005.checkpoint.0000000001.0000000002.parquet",
        "00000000000000000005.checkpoint.0000000002.0000000002.parquet",
        "00000000000000000007.checkpoint.parquet",
        "00000000000000000009.checkpoint.parquet.tmp",
        "00000000000000000011.json.0123456789abcdef.tmp",
        "x0000000000000000012.json",
        "99999999999999999999.json",
    };
    struct place *p = *state;
    struct delta_log log;

    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char *path = mem_printf("%s/_delta_log/%s", p->folder, files[i]);
        assert_int_equal(fs_write(path, "x", 1, &p->err), LC_OK);
        mem_free(path);
    }
    assert_int_equal(delta_log_list(&p->ctx, p->folder, &log, &p->err), LC_OK);
    assert_int_equal(log.n_checkpoints, 2);
    assert_int_equal(log.checkpoints[0].version, 5);
    assert_int_equal(log.checkpoints[0].parts, 2);
    assert_int_equal(log.checkpoints[1].version, 7);
    assert_int_equal(log.n_commits, 1);
    assert_int_equal(delta_log_latest(&log), 7);
    delta_log_release(&log);
    struct delta_snapshot *t;
    assert_int_equal(delta_open(&p->ctx, NULL, p->folder, DELTA_LATEST, &t, &p->err), LC_MISSING);
}

static void history_is_newest_first(void **state)
{
    struct place *p = *state;
    struct delta_history h;

    append(p, "1.parquet");
    assert_int_equal(delta_history(&p->ctx, p->folder, 0, &h, &p->err), LC_OK);
    assert_int_equal(h.n, 2);
    assert_int_equal(h.entries[0].version, 1);
    assert_string_equal(json_string_value(json_object_get(h.entries[1].info, "operation")), "CREATE TABLE");
    delta_history_release(&h);
    assert_int_equal(delta_history(&p->ctx, p->folder, 1, &h, &p->err), LC_OK);
    assert_int_equal(h.n, 1);
    delta_history_release(&h);
}

static void bounds_are_what_readers_expect(void **state)
{
    static const struct {
        const char *ddl, *min, *max, *expected;
    } cases[] = {
        {"a INT", "1", "22",
         "{\"numRecords\":2,\"minValues\":{\"a\":1},\"maxValues\":{\"a\":22},\"nullCount\":{\"a\":0}}"},
        {"a DECIMAL(38,2)", "-0.50", "123456789012345678901234567890.25",
         "{\"numRecords\":2,\"minValues\":{\"a\":-0.50},\"maxValues\":{\"a\":123456789012345678901234567890."
         "25},\"nullCount\":{\"a\":0}}"},
        {"a TIMESTAMP", "2024-01-01 00:00:00+00", "2024-01-01 00:00:00.5+00",
         "{\"numRecords\":2,\"minValues\":{\"a\":\"2024-01-01T00:00:00Z\"},\"maxValues\":{\"a\":\"2024-01-"
         "01T00:00:00.5Z\"},\"nullCount\":{\"a\":0}}"},
        {"a TIMESTAMP", "2024-01-01 00:00:00+02", "2024-01-01 00:00:00+02",
         "{\"numRecords\":2,\"minValues\":{},\"maxValues\":{},\"nullCount\":{\"a\":0}}"},
        {"a DATE", "2024-01-01", "2024-01-02",
         "{\"numRecords\":2,\"minValues\":{\"a\":\"2024-01-01\"},\"maxValues\":{\"a\":\"2024-01-02\"},"
         "\"nullCount\":{\"a\":0}}"},
        {"a BOOLEAN", "false", "true",
         "{\"numRecords\":2,\"minValues\":{},\"maxValues\":{},\"nullCount\":{\"a\":0}}"},
        {"a DOUBLE", "nan", "inf",
         "{\"numRecords\":2,\"minValues\":{},\"maxValues\":{},\"nullCount\":{\"a\":0}}"},
        {"b INT, a STRING", "\"q\"", "0123456789012345678901234567890123456789",
         "{\"numRecords\":2,\"minValues\":{\"a\":\"\\\"q\\\"\"},\"maxValues\":{\"a\":"
         "\"01234567890123456789012345678901\xF4\x8F\xBF\xBF\"},\"nullCount\":{\"a\":0}}"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[] = "a", *min = mem_strdup(cases[i].min), *max = mem_strdup(cases[i].max);
        struct column_stats c = {name, min, max, 0};
        struct written_file f = {.rows = 2, .columns = &c, .n_columns = 1};
        const struct dtype *schema;
        struct buf out = BUF_INIT(10000);
        struct err err;
        assert_int_equal(dtype_parse_schema(cases[i].ddl, &schema, &err), LC_OK);
        assert_true(delta_stats(schema, &f, &out));
        assert_string_equal(buf_str(&out), cases[i].expected);
        json_t *o = json_loads(buf_str(&out), 0, NULL);
        assert_non_null(o);
        json_decref(o);
        buf_release(&out);
        dtype_unref(schema);
        mem_free(min);
        mem_free(max);
    }
}

static void memory_may_run_out_anywhere(void **state)
{
    struct place *p = *state;

    append(p, "1.parquet");
    append(p, "2.parquet");
    for (long n = 0;; n++) {
        struct delta_snapshot *t = NULL;
        struct err err;
        mem_fail_after(n);
        enum lc rc = delta_open(&p->ctx, NULL, p->folder, DELTA_LATEST, &t, &err);
        mem_fail_never();
        if (rc == LC_OK) {
            assert_int_equal(t->n_files, 2);
            delta_close(t);
            assert_true(n > 20);
            return;
        }
        if (rc != LC_NOMEM)
            fail_msg("after %ld: %s: %s", n, lc_name(rc), err.message);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_table_reads_as_it_was_made),
        TEST(appends_go_behind_each_other),
        TEST(an_overwrite_meets_an_append),
        TEST(two_overwrites_conflict),
        TEST(a_change_of_the_schema_conflicts_with_all),
        TEST(files_come_go_and_come_back),
        TEST(features_are_refused_by_name),
        TEST(paths_are_uris),
        TEST(times_find_versions),
        TEST(only_complete_checkpoints_count),
        TEST(history_is_newest_first),
        TEST(bounds_are_what_readers_expect),
        TEST(memory_may_run_out_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
