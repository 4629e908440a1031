/* train_link_test.c: who may attach to a coordinator, what the refused are told, and how a lost peer is noticed. */
#include "runtime/base/clock.h"
#include "runtime/train/link.h"
#include "tests/support/unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
    struct key_pair key;
    struct allow *allow;
    struct link_server *server;
    struct worker_key a, stranger;
};

static void make_worker(const struct fixture *f, struct worker_key *k, const char *name)
{
    key_make(&k->mine);
    memcpy(k->server, f->key.pub, KEY_BYTES);
    snprintf(k->name, sizeof k->name, "%s", name);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct err err;

    key_make(&f->key);
    f->allow = allow_new();
    assert_int_equal(link_serve("tcp://127.0.0.1:*", &f->key, f->allow, &f->server, &err), LC_OK);
    make_worker(f, &f->a, "a");
    make_worker(f, &f->stranger, "stranger");
    assert_true(allow_add(f->allow, "a", f->a.mine.pub));
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    link_server_free(f->server);
    allow_free(f->allow);
    free(f);
    return 0;
}

static enum link_what await(struct link_server *s, struct link_event *e, int timeout_ms)
{
    int64_t end = clock_mono_ns() + (int64_t)timeout_ms * 1000000;
    enum link_what what = LINK_NOTHING;

    memset(e, 0, sizeof *e);
    while (what == LINK_NOTHING && clock_mono_ns() < end) {
        link_event_release(e);
        what = link_server_next(s, 50, e);
    }
    return what;
}

static void an_allowed_worker_talks(void **state)
{
    struct fixture *f = *state;
    struct link *l;
    struct link_event e;
    struct err err;

    assert_int_equal(link_connect(NULL, link_server_endpoint(f->server), &f->a, 3000, &l, &err), LC_OK);
    assert_int_equal(link_send(l, json_pack("{s:s, s:s}", "type", "bye", "reason", "done"), NULL, 0, &err),
                     LC_OK);
    assert_int_equal(await(f->server, &e, 3000), LINK_MESSAGE);
    assert_string_equal(e.user, "a"); /* from the key, not from what the peer says */
    assert_string_equal(wire_text(&e.msg, "reason"), "done");
    assert_int_equal(link_server_send(f->server, e.peer,
                                      json_pack("{s:s, s:s, s:i}", "type", "chunk", "sha256",
                                                "00000000000000000000000000000000"
                                                "00000000000000000000000000000000",
                                                "offset", 0),
                                      "bytes", 5, &err),
                     LC_OK);
    link_event_release(&e);
    for (int i = 0; i < 30 && link_next(l, 100, -1, &e) != LINK_MESSAGE; i++)
        ;
    assert_int_equal(e.msg.kind, WIRE_CHUNK);
    assert_memory_equal(e.msg.payload, "bytes", 5);
    link_event_release(&e);
    link_free(l);
    assert_int_equal(await(f->server, &e, 3000), LINK_LOST);
    assert_string_equal(e.user, "a");
}

static void the_largest_part_fits(void **state)
{
    struct fixture *f = *state;
    char *bytes = calloc(1, WIRE_PAYLOAD_MAX);
    struct link *l;
    struct link_event e;
    struct err err;

    bytes[WIRE_PAYLOAD_MAX - 1] = 'x';
    assert_int_equal(link_connect(NULL, link_server_endpoint(f->server), &f->a, 3000, &l, &err), LC_OK);
    assert_int_equal(link_send(l,
                               json_pack("{s:s, s:s, s:s, s:s, s:i}", "type", "file", "job", "j", "folder",
                                         "output", "path", "w", "offset", 0),
                               bytes, WIRE_PAYLOAD_MAX, &err),
                     LC_OK);
    assert_int_equal(await(f->server, &e, 3000), LINK_MESSAGE);
    assert_int_equal(e.msg.len, WIRE_PAYLOAD_MAX);
    assert_memory_equal(e.msg.payload, bytes, WIRE_PAYLOAD_MAX);
    link_event_release(&e);
    link_free(l);
    free(bytes);
}

static void the_refused_are_told_at_once(void **state)
{
    struct fixture *f = *state;
    struct worker_key wrong = f->a;
    struct link *l;
    struct link_event e;
    struct err err;
    int64_t begin = clock_mono_ns();

    assert_int_equal(link_connect(NULL, link_server_endpoint(f->server), &f->stranger, 3000, &l, &err),
                     LC_AUTH);
    assert_non_null(strstr(err.message, "unknown or revoked"));
    assert_int_equal(await(f->server, &e, 2000), LINK_REFUSED);
    assert_non_null(strstr(e.text, "refused"));
    key_make(&f->stranger.mine);
    memcpy(wrong.server, f->stranger.mine.pub, KEY_BYTES);
    assert_int_equal(link_connect(NULL, link_server_endpoint(f->server), &wrong, 3000, &l, &err), LC_AUTH);
    assert_non_null(strstr(err.message, "public key"));
    assert_true(clock_mono_ns() - begin < INT64_C(2500) * 1000000);
}

static void nobody_there_ends_in_time(void **state)
{
    struct fixture *f = *state;
    struct link *l;
    struct err err;
    int64_t begin = clock_mono_ns();

    assert_int_equal(link_connect(NULL, "tcp://127.0.0.1:1", &f->a, 500, &l, &err), LC_TIMEOUT);
    assert_true(clock_mono_ns() - begin < INT64_C(2000) * 1000000);
    assert_int_equal(link_connect(NULL, "nonsense", &f->a, 500, &l, &err), LC_ARG);
}

static void a_revoked_worker_is_silent(void **state)
{
    struct fixture *f = *state;
    struct link *l, *again;
    struct link_event e;
    struct err err;

    assert_int_equal(link_connect(NULL, link_server_endpoint(f->server), &f->a, 3000, &l, &err), LC_OK);
    allow_revoke(f->allow, "a");
    assert_int_equal(link_send(l, json_pack("{s:s}", "type", "bye"), NULL, 0, &err), LC_OK);
    assert_int_equal(await(f->server, &e, 500), LINK_NOTHING);
    assert_int_equal(link_connect(NULL, link_server_endpoint(f->server), &f->a, 3000, &again, &err), LC_AUTH);
    link_free(l);
}

static void garbage_is_dropped(void **state)
{
    struct fixture *f = *state;
    struct link *l;
    struct link_event e;
    struct err err;

    assert_int_equal(link_connect(NULL, link_server_endpoint(f->server), &f->a, 3000, &l, &err), LC_OK);
    assert_int_equal(link_send(l, json_pack("{s:s}", "type", "run"), NULL, 0, &err), LC_OK);
    assert_int_equal(link_send(l, json_pack("[i]", 1), "payload", 7, &err), LC_OK);
    assert_int_equal(link_send(l, json_pack("{s:s}", "type", "bye"), NULL, 0, &err), LC_OK);
    assert_int_equal(await(f->server, &e, 3000), LINK_MESSAGE); /* only the last */
    assert_int_equal(e.msg.kind, WIRE_BYE);
    link_event_release(&e);
    link_free(l);
}

static void key_files_are_private_and_checked(void **state)
{
    struct fixture *f = *state;
    char dir[] = "/tmp/lacus-test-XXXXXX", path[64];
    struct worker_key k;
    struct err err;

    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/key", dir);
    assert_int_equal(worker_key_save(path, &f->a, &err), LC_OK);
    assert_int_equal(worker_key_load(path, &k, &err), LC_OK);
    assert_memory_equal(&k.mine, &f->a.mine, sizeof k.mine);
    assert_string_equal(k.name, "a");
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(worker_key_load(path, &k, &err), LC_PERM);
    assert_int_equal(worker_key_parse("lacus-worker-key-1 a 00 00 00", &k, &err), LC_PARSE);
    unlink(path);
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_allowed_worker_talks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_largest_part_fits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_refused_are_told_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody_there_ends_in_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_revoked_worker_is_silent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(garbage_is_dropped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(key_files_are_private_and_checked, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
