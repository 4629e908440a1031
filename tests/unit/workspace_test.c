/* workspace_test.c: the shared database: migrations, refusal of what is newer or damaged, full disk, several
 * processes. */
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/storage/workspace.h"
#include "tests/support/unit.h"
#include <math.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const steps[] = {
    "CREATE TABLE t_items(id INTEGER PRIMARY KEY, name TEXT UNIQUE, size REAL); CREATE TABLE t_notes(item "
    "INTEGER NOT NULL REFERENCES t_items(id) ON DELETE CASCADE, note TEXT)",
    "ALTER TABLE t_items ADD COLUMN colour TEXT DEFAULT 'red'",
};

struct place {
    char dir[64];
    char *path;
};

static int make_place(void **state)
{
    struct place *p = mem_zalloc(sizeof *p);

    strcpy(p->dir, "/tmp/lacus-test-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    p->path = fs_join(p->dir, "workspace.db");
    *state = p;
    return 0;
}

static int remove_place(void **state)
{
    struct place *p = *state;
    struct err err;

    assert_int_equal(fs_remove_tree(p->dir, &err), LC_OK);
    mem_free(p->path);
    mem_free(p);
    return 0;
}

static struct workspace *open_at(const char *path, size_t n)
{
    struct workspace *ws = NULL;
    struct err err = {0};

    if (workspace_open(path, &ws, &err) != LC_OK || workspace_migrate(ws, "t", steps, n, &err) != LC_OK)
        fail_msg("%s", err.message);
    return ws;
}

static int64_t count(struct workspace *ws, const char *sql)
{
    struct workspace_rows rows;
    struct err err;
    int64_t n = -1;
    enum lc rc = workspace_query(ws, &rows, &err, sql, NULL);

    if (rc == LC_OK && workspace_next(&rows, &rc, &err))
        n = workspace_int(&rows, 0);
    workspace_rows_close(&rows);
    return n;
}

static void migrations_run_once_and_in_order(void **state)
{
    struct place *p = *state;
    struct workspace *ws = open_at(p->path, 1);
    struct err err;

    assert_int_equal(workspace_exec(ws, &err, "INSERT INTO t_items(name, size) VALUES(?, ?)", "td", "a", 1.5),
                     LC_OK);
    workspace_close(ws);
    ws = open_at(p->path, 2);
    assert_int_equal(count(ws, "SELECT count(*) FROM t_items WHERE colour = 'red'"), 1);
    assert_int_equal(workspace_migrate(ws, "t", steps, 2, &err), LC_OK);
    workspace_close(ws);
}

static void a_newer_component_is_refused(void **state)
{
    struct place *p = *state;
    struct workspace *ws = open_at(p->path, 2);
    struct err err;

    assert_int_equal(workspace_migrate(ws, "t", steps, 1, &err), LC_UNSUPPORTED);
    assert_non_null(strstr(err.message, "its t has schema version 2, and this lacus knows 1"));
    assert_non_null(strstr(err.hint, "LACUS_HOME"));
    workspace_close(ws);
}

static void raw(const char *path, const char *sql)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void a_newer_or_foreign_file_is_refused(void **state)
{
    struct place *p = *state;
    struct workspace *ws = open_at(p->path, 1);
    char *other = fs_join(p->dir, "other.db");
    struct err err;

    workspace_close(ws);
    raw(p->path, "PRAGMA user_version = 9");
    assert_int_equal(workspace_open(p->path, &ws, &err), LC_UNSUPPORTED);
    assert_non_null(strstr(err.message, "version 9"));
    raw(other, "CREATE TABLE theirs(x)");
    assert_int_equal(workspace_open(other, &ws, &err), LC_DATA);
    assert_non_null(strstr(err.message, "another program"));
    mem_free(other);
}

static void a_damaged_file_is_one_clear_error(void **state)
{
    static const char junk[8192] = "this is not a database, whatever its name says";
    struct place *p = *state;
    struct workspace *ws;
    struct err err;

    assert_int_equal(fs_write(p->path, junk, sizeof junk, &err), LC_OK);
    assert_int_equal(workspace_open(p->path, &ws, &err), LC_DATA);
    assert_non_null(strstr(err.message, p->path));
    assert_true(err.hint[0] != '\0');
    assert_null(ws);
}

static void a_failed_step_leaves_nothing(void **state)
{
    static const char *const bad[] = {"CREATE TABLE b_one(x); CREATE TABLE oops("};
    struct place *p = *state;
    struct workspace *ws = open_at(p->path, 1);
    struct err err;

    assert_int_not_equal(workspace_migrate(ws, "b", bad, 1, &err), LC_OK);
    assert_non_null(strstr(err.message, "cannot bring 'b'"));
    assert_int_equal(count(ws, "SELECT count(*) FROM sqlite_schema WHERE name = 'b_one'"), 0);
    workspace_close(ws);
}

static void constraints_have_codes(void **state)
{
    struct place *p = *state;
    struct workspace *ws = open_at(p->path, 1);
    struct err err;

    assert_int_equal(workspace_exec(ws, &err, "INSERT INTO t_items(name) VALUES(?)", "t", "a"), LC_OK);
    assert_int_equal(workspace_exec(ws, &err, "INSERT INTO t_items(name) VALUES(?)", "t", "a"), LC_EXISTS);
    assert_int_equal(workspace_exec(ws, &err, "INSERT INTO t_notes VALUES(77, ?)", "t", "x"), LC_CONFLICT);
    workspace_close(ws);
}

static void values_of_every_type_come_back(void **state)
{
    struct place *p = *state;
    struct workspace *ws = open_at(p->path, 1);
    struct workspace_rows rows;
    struct err err;
    size_t len = 0;
    enum lc rc = workspace_query(ws, &rows, &err, "SELECT ?, ?, ?, ?, ?, ?", "tidbtn", "h\xc3\xa9", INT64_MIN,
                                 0.1, "a\0b", (size_t)3, (char *)NULL);

    assert_int_equal(rc, LC_OK);
    assert_true(workspace_next(&rows, &rc, &err));
    assert_string_equal(workspace_text(&rows, 0), "h\xc3\xa9");
    assert_true(workspace_int(&rows, 1) == INT64_MIN);
    assert_true(fabs(workspace_real(&rows, 2) - 0.1) == 0);
    assert_memory_equal(workspace_blob(&rows, 3, &len), "a\0b", 3);
    assert_int_equal(len, 3);
    assert_true(workspace_is_null(&rows, 4) && workspace_is_null(&rows, 5));
    workspace_rows_close(&rows);
    workspace_rows_close(&rows);
    workspace_close(ws);
}

static void inner_transactions_roll_back_alone(void **state)
{
    struct place *p = *state;
    struct workspace *ws = open_at(p->path, 1);
    struct err err;

    assert_int_equal(workspace_begin(ws, &err), LC_OK);
    assert_int_equal(workspace_exec(ws, &err, "INSERT INTO t_items(name) VALUES('kept')", NULL), LC_OK);
    assert_int_equal(workspace_begin(ws, &err), LC_OK);
    assert_int_equal(workspace_exec(ws, &err, "INSERT INTO t_items(name) VALUES('gone')", NULL), LC_OK);
    assert_int_equal(workspace_end(ws, LC_ARG, &err), LC_ARG);
    assert_int_equal(workspace_end(ws, LC_OK, &err), LC_OK);
    assert_int_equal(count(ws, "SELECT count(*) FROM t_items"), 1);
    assert_int_equal(count(ws, "SELECT count(*) FROM t_items WHERE name = 'kept'"), 1);
    workspace_close(ws);
}

static void the_same_statement_can_be_open_twice(void **state)
{
    static const char sql[] = "SELECT value FROM json_each('[1,2,3]')";
    struct place *p = *state;
    struct workspace *ws = open_at(p->path, 1);
    struct workspace_rows a, b;
    struct err err;
    enum lc rc = LC_OK;
    int pairs = 0;

    assert_int_equal(workspace_query(ws, &a, &err, sql, NULL), LC_OK);
    while (workspace_next(&a, &rc, &err)) {
        assert_int_equal(workspace_query(ws, &b, &err, sql, NULL), LC_OK);
        while (workspace_next(&b, &rc, &err))
            pairs++;
        workspace_rows_close(&b);
    }
    workspace_rows_close(&a);
    assert_int_equal(pairs, 9);
    workspace_close(ws);
}

/* Several processes open, migrate and write at once; nothing is lost and each step runs once. */
static void processes_share_one_file(void **state)
{
    enum { PROCESSES = 4, ROWS = 50 };
    struct place *p = *state;
    struct workspace *ws;

    for (int i = 0; i < PROCESSES; i++)
        if (fork() == 0) {
            struct err err;
            if (workspace_open(p->path, &ws, &err) != LC_OK ||
                workspace_migrate(ws, "t", steps, 2, &err) != LC_OK)
                fprintf(stderr, "%s\n", err.message), _exit(1);
            for (int j = 0; j < ROWS; j++)
                if (workspace_exec(ws, &err, "INSERT INTO t_items(size) VALUES(?)", "d", j * 1.0) != LC_OK)
                    _exit(1);
            workspace_close(ws);
            _exit(0);
        }
    for (int i = 0, status; i < PROCESSES; i++) {
        assert_true(wait(&status) > 0);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    ws = open_at(p->path, 2);
    assert_int_equal(count(ws, "SELECT count(*) FROM t_items"), PROCESSES * ROWS);
    workspace_close(ws);
}

/* Waits for the signal to start: the end of the pipe. */
static int prepare_when_told(int start, const char *path)
{
    struct workspace *ws;
    struct err err;
    char c;

    if (read(start, &c, 1) != 0)
        return 1;
    if (workspace_open(path, &ws, &err) != LC_OK || workspace_migrate(ws, "t", steps, 2, &err) != LC_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    workspace_close(ws);
    return 0;
}

/* A new file that several processes find at the same instant is prepared once, and is nobody else's. */
static void a_new_file_is_prepared_once(void **state)
{
    enum { PROCESSES = 12, ROUNDS = 150 };
    struct place *p = *state;
    char path[512];

    for (int round = 0; round < ROUNDS; round++) {
        int start[2], status;

        snprintf(path, sizeof path, "%s.%d", p->path, round);
        assert_int_equal(pipe(start), 0);
        for (int i = 0; i < PROCESSES; i++)
            if (fork() == 0) {
                close(start[1]);
                _exit(prepare_when_told(start[0], path));
            }
        close(start[0]);
        close(start[1]);
        for (int i = 0; i < PROCESSES; i++) {
            assert_true(wait(&status) > 0);
            assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        }
    }
}

/* In a child, with files limited to 256 KiB: the write fails with NOSPACE, what was there stays. */
static int fill_up(const char *path)
{
    struct rlimit limit = {256 << 10, 256 << 10};
    struct workspace *ws = open_at(path, 2);
    struct err err = {0};
    enum lc rc = LC_OK;
    char *big = mem_alloc(32769);

    memset(big, 'x', 32768);
    big[32768] = '\0';
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    for (int i = 0; rc == LC_OK && i < 100; i++)
        rc = workspace_exec(ws, &err, "INSERT INTO t_items(name) VALUES(? || ?)", "it", (int64_t)i, big);
    mem_free(big);
    if (rc != LC_NOSPACE || !strstr(err.message, "no space left") || count(ws, "SELECT 1") != 1)
        return 1;
    workspace_close(ws);
    return 0;
}

static void a_full_disk_loses_nothing(void **state)
{
    struct place *p = *state;
    struct workspace *ws = open_at(p->path, 2);
    struct err err;
    int status;
    pid_t pid;

    assert_int_equal(workspace_exec(ws, &err, "INSERT INTO t_items(name) VALUES('before')", NULL), LC_OK);
    workspace_close(ws);
    pid = fork();
    if (pid == 0)
        _exit(fill_up(p->path));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    ws = open_at(p->path, 2);
    assert_int_equal(count(ws, "SELECT count(*) FROM t_items WHERE name = 'before'"), 1);
    assert_int_equal(count(ws, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"),
                     1);
    workspace_close(ws);
}

#define T(f) cmocka_unit_test_setup_teardown(f, make_place, remove_place)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(migrations_run_once_and_in_order),     T(a_newer_component_is_refused),
        T(a_newer_or_foreign_file_is_refused),   T(a_damaged_file_is_one_clear_error),
        T(a_failed_step_leaves_nothing),         T(constraints_have_codes),
        T(values_of_every_type_come_back),       T(inner_transactions_roll_back_alone),
        T(the_same_statement_can_be_open_twice), T(processes_share_one_file),
        T(a_new_file_is_prepared_once),          T(a_full_disk_loses_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
