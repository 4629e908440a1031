/* base_test.c: errors, buffers, memory, files, names. */
#include "runtime/base/arrow.h"
#include "runtime/base/buf.h"
#include "runtime/base/clock.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/base/nearest.h"
#include "runtime/base/process.h"
#include "runtime/base/thread.h"
#include "runtime/base/utf8.h"
#include "tests/support/unit.h"
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void arrow_values_are_found(void **state)
{
    static const uint8_t valid[] = {0x0d}; /* rows 0, 2, 3 of the buffers */
    static const int32_t offsets[] = {0, 1, 1, 4, 9};
    static const int64_t large[] = {0, 1, 1, 4, 9};
    static const char data[] = "abcdefghi", far_away[] = "--a long text of 26 letters";
    struct {
        int32_t len;
        char rest[12];
    } views[2] = {{3, "cat"}, {25, "a lo"}};
    const void *small_buffers[] = {valid, offsets, data}, *large_buffers[] = {valid, large, data},
               *view_buffers[] = {NULL, views, far_away};
    struct ArrowArray a = {
        .length = 3, .null_count = 1, .offset = 1, .n_buffers = 3, .buffers = small_buffers};
    size_t len;
    int64_t from, to;

    (void)state;
    assert_true(arrow_is_null(&a, 0));
    assert_false(arrow_is_null(&a, 1));
    assert_memory_equal(arrow_text("u", &a, 1, &len), "bcd", 3);
    assert_int_equal(len, 3);
    arrow_items("+l", &a, 2, &from, &to);
    assert_true(from == 4 && to == 9);
    a.buffers = large_buffers;
    assert_memory_equal(arrow_text("Z", &a, 2, &len), "efghi", 5);
    assert_int_equal(len, 5);
    assert_null(arrow_text("i", &a, 1, &len));
    assert_null(arrow_text("tdD", &a, 1, &len));
    memcpy(views[1].rest + 8, &(int32_t){2}, 4); /* the first data buffer, byte 2 */
    a = (struct ArrowArray){.length = 2, .n_buffers = 3, .buffers = view_buffers};
    assert_memory_equal(arrow_text("vu", &a, 0, &len), "cat", 3);
    assert_int_equal(len, 3);
    assert_memory_equal(arrow_text("vu", &a, 1, &len), "a long text of 26 letters", 25);
    assert_int_equal(len, 25);
}

static void buf_stops_at_its_maximum(void **state)
{
    struct buf b = BUF_INIT(8);
    struct err err;

    (void)state;
    assert_true(buf_puts(&b, "12345678"));
    assert_false(buf_putc(&b, '9'));
    assert_int_equal(buf_check(&b, &err), LC_LIMIT);
    assert_string_equal(buf_str(&b), "12345678");
    buf_release(&b);
}

static void dates_are_those_of_strftime(void **state)
{
    static const int64_t seconds[] = {0, 951782400, 1709164800, 1798761599, 4102444800, -86401, -1};
    char ours[ISO_TEXT], theirs[64];

    (void)state;
    for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++) {
        time_t t = (time_t)seconds[i];
        struct tm tm;

        strftime(theirs, sizeof theirs, "%Y-%m-%dT%H:%M:%S.007Z", gmtime_r(&t, &tm));
        clock_iso(seconds[i] * 1000 + 7, ours);
        assert_string_equal(ours, theirs);
    }
}

static void buf_json_escapes_and_repairs(void **state)
{
    struct buf b = BUF_INIT(1000);

    (void)state;
    buf_json(&b, "a\"\\\n\x01\xff\xc3\xa9", 8);
    assert_string_equal(buf_str(&b), "\"a\\\"\\\\\\n\\u0001\xEF\xBF\xBD\xc3\xa9\"");
    buf_release(&b);
}

static void utf8_refuses_what_is_not_text(void **state)
{
    static const char *const bad[] = {"\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x80"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(utf8_valid(bad[i], strlen(bad[i])));
    assert_true(utf8_valid("h\xc3\xa9 \xf0\x9f\x8c\x99", 8));
    assert_int_equal(utf8_count("h\xc3\xa9 \xf0\x9f\x8c\x99", 8), 4);
    assert_int_equal(utf8_count16("h\xc3\xa9 \xf0\x9f\x8c\x99", 8), 5);
    assert_int_equal(utf8_offset16("h\xc3\xa9 \xf0\x9f\x8c\x99!", 9, 3), 4);
    assert_int_equal(utf8_offset16("h\xc3\xa9 \xf0\x9f\x8c\x99!", 9, 4),
                     4); /* between the halves of a pair */
    assert_int_equal(utf8_offset16("h\xc3\xa9 \xf0\x9f\x8c\x99!", 9, 5), 8);
    assert_int_equal(utf8_offset16("h\xc3\xa9 \xf0\x9f\x8c\x99!", 9, 99), 9);
}

static void files_are_whole_or_absent(void **state)
{
    char dir[] = "/tmp/lacus-test-XXXXXX";
    struct buf text = BUF_INIT(100);
    struct err err;
    char **names;
    size_t n;

    (void)state;
    assert_non_null(mkdtemp(dir));
    char *path = fs_join(dir, "a");
    assert_int_equal(fs_write(path, "one", 3, &err), LC_OK);
    assert_int_equal(fs_put_if_absent(path, "two", 3, &err), LC_EXISTS);
    assert_int_equal(fs_read(path, &text, &err), LC_OK);
    assert_string_equal(buf_str(&text), "one");
    assert_int_equal(fs_list(dir, &names, &n, &err), LC_OK);
    assert_int_equal(n, 1); /* nothing is left beside it */
    fs_free_list(names, n);
    assert_int_equal(fs_read("/tmp/none/such", &text, &err), LC_NOTFOUND);
    assert_non_null(strstr(err.message, "'/tmp/none/such'"));
    assert_int_equal(fs_remove_tree(dir, &err), LC_OK);
    assert_false(fs_exists(dir));
    buf_release(&text);
    mem_free(path);
}

/* In a process of its own: its limit ends it in the middle of the write, as kill -9 would. */
static int end_of_a_writer(const char *path, const char *text, size_t len)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        struct rlimit limit = {4096, 4096};
        struct err err;
        signal(SIGXFSZ, SIG_DFL);
        _exit(setrlimit(RLIMIT_FSIZE, &limit) == 0 && fs_write(path, text, len, &err) == LC_OK ? 0 : 1);
    }
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static bool has_nameless_files(const char *dir)
{
    int fd = open(dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static void a_writer_that_is_killed_leaves_nothing(void **state)
{
    char dir[] = "/tmp/lacus-test-XXXXXX";
    static char large[1 << 16];
    struct buf text = BUF_INIT(100);
    struct err err;
    char **names;
    size_t n;

    (void)state;
    assert_non_null(mkdtemp(dir));
    if (!has_nameless_files(dir)) {
        assert_int_equal(fs_remove_tree(dir, &err), LC_OK);
        skip();
    }
    char *path = fs_join(dir, "a");
    assert_int_equal(fs_write(path, "one", 3, &err), LC_OK);
    assert_int_equal(end_of_a_writer(path, large, sizeof large), SIGXFSZ);
    assert_int_equal(fs_read(path, &text, &err), LC_OK);
    assert_string_equal(buf_str(&text), "one");
    assert_int_equal(fs_list(dir, &names, &n, &err), LC_OK);
    assert_int_equal(n, 1);
    fs_free_list(names, n);
    assert_int_equal(fs_remove_tree(dir, &err), LC_OK);
    buf_release(&text);
    mem_free(path);
}

static void nearest_offers_what_was_meant(void **state)
{
    static const char *const names[] = {"select", "filter", "groupBy"};

    (void)state;
    assert_string_equal(nearest_one("fliter", names, 3), "filter");
    assert_string_equal(nearest_one("groupby", names, 3), "groupBy");
    assert_null(nearest_one("xyzzy", names, 3));
}

static void nearest_lists_the_best_first(void **state)
{
    static const char *const names[] = {"tables", "table", "cable", "cable", "stable", "unlike", "tabel"};
    struct buf out = BUF_INIT(100);

    (void)state;
    assert_true(nearest_list(&out, "table", names, 7, 3));
    assert_string_equal(
        buf_str(&out),
        "'table', 'tables' or 'cable'"); /* a continuation counts 1, as an edit does; the shortest first */
    buf_clear(&out);
    assert_true(nearest_list(&out, "cabel", names, 7, 2));
    assert_string_equal(buf_str(&out), "'cable' or 'tabel'");
    buf_release(&out);
}

static void collect(void *arg, int stream, const char *data, size_t len)
{
    if (stream == 1)
        buf_add(arg, data, len);
}

static void processes_answer_and_stop(void **state)
{
    const char *cat[] = {"cat", NULL}, *none[] = {"no-such-program", NULL}, *slow[] = {"sleep", "10", NULL};
    struct buf out = BUF_INIT(100);
    struct ctx ctx = ctx_background();
    struct err err;
    int status;

    (void)state;
    assert_int_equal(process_run(&ctx, cat, "hello", collect, &out, &status, &err), LC_OK);
    assert_string_equal(buf_str(&out), "hello");
    assert_int_equal(process_run(&ctx, none, NULL, NULL, NULL, &status, &err), LC_NOTFOUND);
    ctx.deadline_ns = clock_mono_ns() + 100000000;
    assert_int_equal(process_run(&ctx, slow, NULL, NULL, NULL, &status, &err), LC_TIMEOUT);
    buf_release(&out);
}

static void memory_fails_when_told(void **state)
{
    (void)state;
    mem_fail_after(1);
    void *first = mem_alloc(1), *second = mem_alloc(1);
    mem_fail_never();
    assert_non_null(first);
    assert_null(second);
    mem_free(first);
}

static void *read_mask(void *mask)
{
    pthread_sigmask(SIG_BLOCK, NULL, mask);
    return NULL;
}

static void *fault(void *unused)
{
    (void)unused;
    raise(SIGSEGV);
    return NULL;
}

static void leave_seven(int number)
{
    (void)number;
    _exit(7);
}

static void threads_leave_signals_but_not_their_faults(void **state)
{
    static const int left[] = {SIGINT, SIGTERM, SIGURG, SIGCHLD},
                     own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    pthread_t thread;
    sigset_t mask;
    pid_t child;
    int status;

    (void)state;
    assert_int_equal(thread_start(&thread, read_mask, &mask), 0);
    pthread_join(thread, NULL);
    for (size_t i = 0; i < sizeof left / sizeof *left; i++)
        assert_true(sigismember(&mask, left[i]));
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        assert_false(sigismember(&mask, own[i]));
    child = fork();
    if (child == 0) {
        signal(SIGSEGV, leave_seven);
        if (thread_start(&thread, fault, NULL) == 0)
            pthread_join(thread, NULL);
        _exit(1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(arrow_values_are_found),
                                       cmocka_unit_test(buf_stops_at_its_maximum),
                                       cmocka_unit_test(dates_are_those_of_strftime),
                                       cmocka_unit_test(buf_json_escapes_and_repairs),
                                       cmocka_unit_test(utf8_refuses_what_is_not_text),
                                       cmocka_unit_test(files_are_whole_or_absent),
                                       cmocka_unit_test(a_writer_that_is_killed_leaves_nothing),
                                       cmocka_unit_test(nearest_offers_what_was_meant),
                                       cmocka_unit_test(nearest_lists_the_best_first),
                                       cmocka_unit_test(processes_answer_and_stop),
                                       cmocka_unit_test(memory_fails_when_told),
                                       cmocka_unit_test(threads_leave_signals_but_not_their_faults)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
