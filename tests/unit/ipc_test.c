/* ipc_test.c: Arrow's stream format: what messages say of their length is measured before memory is asked for. */
#include "runtime/base/fs.h"
#include "runtime/dataframe/ipc.h"
#include "tests/support/unit.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROWS = 500, PREFIX = 8 };

/* ---- a stream: one column of numbers, two batches ---- */
static enum lc keep(void *self, const void *data, size_t len, struct err *err)
{
    return buf_add(self, data, len) ? LC_OK : err_nomem(err);
}

static void write_stream(struct buf *out)
{
    static int64_t numbers[ROWS];
    const void *values[] = {NULL, numbers}, *none[] = {NULL};
    struct ArrowSchema number = {.format = "l", .name = "n", .flags = ARROW_FLAG_NULLABLE},
                       *columns[] = {&number};
    struct ArrowSchema schema = {.format = "+s", .name = "", .n_children = 1, .children = columns};
    struct ArrowArray column = {.length = ROWS, .n_buffers = 2, .buffers = values}, *children[] = {&column};
    struct ArrowArray batch = {
        .length = ROWS, .n_buffers = 1, .buffers = none, .n_children = 1, .children = children};
    const struct ArrowArray *const batches[] = {&batch, &batch};
    struct ipc_parts to = {1 << 30, keep, out};
    struct err err = {0};

    for (int64_t i = 0; i < ROWS; i++)
        numbers[i] = i;
    number.release = schema.release =
        (void (*)(struct ArrowSchema *))(uintptr_t)1; /* borrowed: nobody calls it */
    column.release = batch.release = (void (*)(struct ArrowArray *))(uintptr_t)1;
    assert_int_equal(ipc_write(&schema, batches, 2, &to, &err), LC_OK);
}

static uint32_t number_at(const struct buf *b, size_t at)
{
    uint32_t n;

    memcpy(&n, b->data + at, sizeof n);
    return n;
}

/* Where the messages begin: the schema, two batches, the end. */
static void find_messages(const struct buf *b, size_t at[4])
{
    at[0] = 0;
    at[1] = PREFIX + number_at(b, 4);
    at[3] = b->len - PREFIX;
    at[2] = at[1] + (at[3] - at[1]) / 2;
    for (int i = 0; i < 4; i++)
        assert_int_equal(number_at(b, at[i]), 0xffffffff);
}

/* ---- reading it ---- */
static long peak_kib(void)
{
    char line[200];
    long kib = -1;
    FILE *f = fopen("/proc/self/status", "r");

    assert_non_null(f);
    while (kib < 0 && fgets(line, sizeof line, f))
        if (strncmp(line, "VmPeak:", 7) == 0)
            kib = atol(line + 7);
    fclose(f);
    return kib;
}

static enum lc read_memory(const struct buf *b, int64_t *rows, struct err *err)
{
    struct ArrowSchema schema;
    struct ipc_batches batches;
    enum lc rc = ipc_read(b->data, b->len, &schema, &batches, err);

    *rows = 0;
    if (rc != LC_OK)
        return rc;
    for (size_t i = 0; i < batches.n; i++)
        *rows += batches.items[i].length;
    ipc_batches_release(&batches);
    schema.release(&schema);
    return LC_OK;
}

static enum lc read_file(const struct buf *b, int64_t *rows, struct err *err)
{
    char path[] = "/tmp/lacus-ipc-XXXXXX";
    int fd = mkstemp(path), code = 0;
    struct ArrowArrayStream stream;
    enum lc rc;

    *rows = 0;
    assert_true(fd >= 0 && write(fd, b->data, b->len) == (ssize_t)b->len);
    close(fd);
    rc = ipc_open(path, &stream, err);
    unlink(path);
    if (rc != LC_OK)
        return rc;
    for (;;) {
        struct ArrowArray batch;
        code = stream.get_next(&stream, &batch);
        if (code || !batch.release)
            break;
        *rows += batch.length;
        batch.release(&batch);
    }
    if (code) {
        rc = err_set(err, LC_DATA, "%s", stream.get_last_error(&stream));
        assert_int_equal(stream.get_next(&stream, &(struct ArrowArray){0}), code); /* it stays so */
    }
    stream.release(&stream);
    return rc;
}

static void is_refused(const struct buf *b, const char *what)
{
    long before = peak_kib();
    struct err err = {0};
    int64_t rows;

    if (read_memory(b, &rows, &err) != LC_DATA || !strstr(err.message, what))
        fail_msg("in memory: %s", err.message);
    if (read_file(b, &rows, &err) != LC_DATA || !strstr(err.message, what))
        fail_msg("in a file: %s", err.message);
    assert_true(peak_kib() - before < 256 << 10);
}

static void a_stream_is_read(void **state)
{
    struct buf b = BUF_INIT(1 << 20);
    struct err err = {0};
    int64_t rows;

    (void)state;
    write_stream(&b);
    assert_int_equal(read_memory(&b, &rows, &err), LC_OK);
    assert_int_equal(rows, 2 * ROWS);
    assert_int_equal(read_file(&b, &rows, &err), LC_OK);
    assert_int_equal(rows, 2 * ROWS);
    buf_release(&b);
}

static void no_message_is_longer_than_what_comes(void **state)
{
    static const uint32_t lengths[] = {0x7ffffff0, 0x80000000, 0xfffffff0, 1 << 20};
    struct buf b = BUF_INIT(1 << 20);
    size_t at[4];

    (void)state;
    write_stream(&b);
    find_messages(&b, at);
    for (int m = 0; m < 3; m++)
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
            uint32_t right = number_at(&b, at[m] + 4);
            memcpy(b.data + at[m] + 4, &lengths[i], 4);
            is_refused(&b, "it is cut off");
            memcpy(b.data + at[m] + 4, &right, 4);
        }
    buf_release(&b);
}

/* Its length stands in the header, a number of eight bytes. */
static void no_body_is_longer_than_what_comes(void **state)
{
    static const int64_t lengths[] = {INT64_MAX,        INT64_MIN,        -1,     -4000,
                                      (int64_t)1 << 31, (int64_t)1 << 40, 1 << 16};
    struct buf b = BUF_INIT(1 << 20);
    size_t at[4];
    int64_t body;

    (void)state;
    write_stream(&b);
    find_messages(&b, at);
    for (int m = 1; m < 3; m++) {
        char *header = b.data + at[m] + PREFIX, *place;
        uint32_t length = number_at(&b, at[m] + 4);

        body = (int64_t)(at[m + 1] - at[m] - PREFIX - length);
        place = memmem(header, length, &body, sizeof body);
        assert_non_null(place);
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
            memcpy(place, &lengths[i], sizeof body);
            is_refused(&b, "it is cut off");
        }
        memcpy(place, &body, sizeof body);
    }
    buf_release(&b);
}

static void a_stream_may_end_anywhere(void **state)
{
    struct buf b = BUF_INIT(1 << 20), part = BUF_INIT(1 << 20);
    size_t at[4];
    struct err err;
    int64_t rows;

    (void)state;
    write_stream(&b);
    find_messages(&b, at);
    for (size_t n = 0; n < b.len; n += n < 600 ? 1 : 37) {
        bool whole =
            n == at[1] || n == at[2] || n == at[3]; /* between messages; the mark of the end may lack */
        buf_clear(&part);
        assert_true(buf_add(&part, b.data, n));
        assert_int_equal(read_memory(&part, &rows, &err), whole ? LC_OK : LC_DATA);
        if (!whole)
            assert_non_null(strstr(err.message, "it is cut off"));
    }
    buf_release(&part);
    buf_release(&b);
}

/* ---- what fuzzing and other writers gave ---- */
static void read_corpus(const char *name, struct buf *b)
{
    char path[200];
    struct err err;

    snprintf(path, sizeof path, "tests/fuzz/corpus/arrow_ipc/%s", name);
    buf_clear(b);
    assert_int_equal(fs_read(path, b, &err), LC_OK);
}

static void streams_of_others_are_read(void **state)
{
    static const struct {
        const char *name;
        int64_t rows;
    } good[] = {{"small", 3}, {"nested", 3}, {"from_before_0.15", 6}, {"clocks_and_durations", 6}};
    static const struct {
        const char *name, *what;
    } wrong[] = {
        {"packed", "its columns are packed"},
        {"dictionary", "a column of it is encoded by a dictionary"},
        {"no_header", "a message of it lacks a part"},
        {"column_of_2_to_the_60", "a column of it is longer than can be"},
    };
    struct buf b = BUF_INIT(1 << 20);
    struct err err = {0};
    int64_t rows;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        read_corpus(good[i].name, &b);
        if (read_memory(&b, &rows, &err) != LC_OK || rows != good[i].rows)
            fail_msg("%s: %d rows, %s", good[i].name, (int)rows, err.message);
        assert_int_equal(read_file(&b, &rows, &err), LC_OK);
        assert_int_equal(rows, good[i].rows);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        read_corpus(wrong[i].name, &b);
        is_refused(&b, wrong[i].what);
    }
    buf_release(&b);
}

/* Not for each of a server's batches. */
static void the_plugin_is_looked_for_once(void **state)
{
    const char *place = getenv("LACUS_LIB");
    char *before = place ? strdup(place) : NULL;
    struct buf b = BUF_INIT(1 << 20);
    struct err err = {0};
    int64_t rows;

    (void)state;
    write_stream(&b);
    assert_int_equal(setenv("LACUS_LIB", "/nowhere", 1), 0);
    assert_int_equal(read_memory(&b, &rows, &err), LC_OK);
    assert_int_equal(before ? setenv("LACUS_LIB", before, 1) : unsetenv("LACUS_LIB"), 0);
    assert_int_equal(rows, 2 * ROWS);
    free(before);
    buf_release(&b);
}

static void a_folder_is_no_stream(void **state)
{
    struct ArrowArrayStream stream;
    struct err err = {0};

    (void)state;
    assert_int_equal(ipc_open("/tmp", &stream, &err), LC_IO);
    assert_string_equal(err.message, "cannot read '/tmp': it is no plain file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_is_read),
        cmocka_unit_test(no_message_is_longer_than_what_comes),
        cmocka_unit_test(no_body_is_longer_than_what_comes),
        cmocka_unit_test(a_stream_may_end_anywhere),
        cmocka_unit_test(streams_of_others_are_read),
        cmocka_unit_test(the_plugin_is_looked_for_once),
        cmocka_unit_test(a_folder_is_no_stream),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
