/* storage_test.c: the suite of the storage seam, on each of its implementations (local files). */
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/storage/storage.h"
#include "tests/support/unit.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct place {
    char folder[64];
    struct storage storage;
    struct ctx ctx;
    struct err err;
};

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof *p);

    strcpy(p->folder, "/tmp/lacus-storage-XXXXXX");
    assert_non_null(mkdtemp(p->folder));
    p->ctx = ctx_background();
    assert_int_equal(storage_open(p->folder, &p->storage, &p->err), LC_OK);
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

static char *below(const struct place *p, const char *name)
{
    return fs_join(p->folder, name);
}

static void what_is_put_can_be_read(void **state)
{
    struct place *p = *state;
    char *path = below(p, "a/b/c.bin");
    struct buf out = BUF_INIT(100);

    assert_int_equal(storage_put(&p->ctx, &p->storage, path, "0123456789", 10, &p->err), LC_OK);
    assert_int_equal(storage_read(&p->ctx, &p->storage, path, &out, &p->err), LC_OK);
    assert_string_equal(buf_str(&out), "0123456789");
    buf_clear(&out);
    assert_int_equal(storage_read_range(&p->ctx, &p->storage, path, 3, 4, &out, &p->err), LC_OK);
    assert_string_equal(buf_str(&out), "3456");
    buf_clear(&out);
    assert_int_equal(storage_read_range(&p->ctx, &p->storage, path, 8, 100, &out, &p->err), LC_OK);
    assert_string_equal(buf_str(&out), "89");
    assert_int_equal(storage_put(&p->ctx, &p->storage, path, "new", 3, &p->err), LC_OK);
    buf_clear(&out);
    assert_int_equal(storage_read(&p->ctx, &p->storage, path, &out, &p->err), LC_OK);
    assert_string_equal(buf_str(&out), "new");
    buf_release(&out);
    mem_free(path);
}

static void limits_and_absence_are_errors(void **state)
{
    struct place *p = *state;
    char *path = below(p, "x"), *nowhere = below(p, "nowhere");
    struct buf out = BUF_INIT(4);
    struct storage_list list;

    assert_int_equal(storage_put(&p->ctx, &p->storage, path, "12345", 5, &p->err), LC_OK);
    assert_int_equal(storage_read(&p->ctx, &p->storage, path, &out, &p->err), LC_LIMIT);
    assert_non_null(strstr(p->err.message, path));
    assert_int_equal(storage_read(&p->ctx, &p->storage, nowhere, &out, &p->err), LC_NOTFOUND);
    assert_int_equal(storage_list(&p->ctx, &p->storage, nowhere, &list, &p->err), LC_NOTFOUND);
    assert_int_equal(storage_remove(&p->ctx, &p->storage, nowhere, &p->err), LC_NOTFOUND);
    assert_int_equal(storage_remove_tree(&p->ctx, &p->storage, nowhere, &p->err), LC_OK);
    buf_release(&out);
    mem_free(path);
    mem_free(nowhere);
}

static void lists_are_sorted_and_tell_folders(void **state)
{
    struct place *p = *state;
    static const char *const names[] = {"t/b", "t/a", "t/c/d"};
    char *folder = below(p, "t");
    struct storage_list list;

    for (size_t i = 0; i < 3; i++) {
        char *path = below(p, names[i]);
        assert_int_equal(storage_put(&p->ctx, &p->storage, path, "x", 1, &p->err), LC_OK);
        mem_free(path);
    }
    assert_int_equal(storage_list(&p->ctx, &p->storage, folder, &list, &p->err), LC_OK);
    assert_int_equal(list.n, 3);
    assert_string_equal(list.entries[0].name, "a");
    assert_string_equal(list.entries[2].name, "c");
    assert_true(list.entries[2].folder && !list.entries[0].folder);
    assert_int_equal(list.entries[0].size, 1);
    storage_list_release(&list);
    mem_free(folder);
}

/* 8 processes want the same 20 names: each name has one winner, and the contents are the winner's. */
static void one_of_many_puts_if_absent(void **state)
{
    enum { WRITERS = 8, NAMES = 20 };
    struct place *p = *state;
    int won = 0;

    for (int w = 0; w < WRITERS; w++)
        if (fork() == 0) {
            int mine = 0;
            for (int i = 0; i < NAMES; i++) {
                char name[32], text[16];
                char *path;
                snprintf(name, sizeof name, "race/%d", i);
                snprintf(text, sizeof text, "%d", w);
                path = below(p, name);
                mine +=
                    storage_put_if_absent(&p->ctx, &p->storage, path, text, strlen(text), &p->err) == LC_OK;
                mem_free(path);
            }
            _exit(mine);
        }
    for (int w = 0, status; w < WRITERS; w++) {
        assert_true(wait(&status) > 0);
        won += WEXITSTATUS(status);
    }
    assert_int_equal(won, NAMES);
    char *folder = below(p, "race");
    struct storage_list list;
    assert_int_equal(storage_list(&p->ctx, &p->storage, folder, &list, &p->err), LC_OK);
    assert_int_equal(list.n, NAMES); /* and no temporary file is left */
    for (size_t i = 0; i < list.n; i++)
        assert_int_equal(list.entries[i].size, 1);
    storage_list_release(&list);
    mem_free(folder);
}

static void uris_and_schemes(void **state)
{
    struct place *p = *state;
    struct storage s;
    char uri[128];
    char *path;

    snprintf(uri, sizeof uri, "file://%s/a%%20b", p->folder);
    assert_int_equal(storage_open(uri, &s, &p->err), LC_OK);
    assert_int_equal(storage_put(&p->ctx, &s, uri, "x", 1, &p->err), LC_OK);
    path = below(p, "a b");
    assert_true(fs_exists(path));
    mem_free(path);
    assert_int_equal(storage_open("s3://bucket/t", &s, &p->err), LC_UNSUPPORTED);
    assert_non_null(strstr(p->err.message, "'s3'"));
}

static void a_cancelled_call_does_nothing(void **state)
{
    struct place *p = *state;
    atomic_bool cancel = true;
    struct ctx ctx = p->ctx;
    char *path = below(p, "never");

    ctx.cancel = &cancel;
    assert_int_equal(storage_put(&ctx, &p->storage, path, "x", 1, &p->err), LC_CANCELLED);
    assert_false(fs_exists(path));
    mem_free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_put_can_be_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(limits_and_absence_are_errors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lists_are_sorted_and_tell_folders, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_of_many_puts_if_absent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(uris_and_schemes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_cancelled_call_does_nothing, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
