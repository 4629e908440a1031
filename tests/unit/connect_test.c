/* connect_test.c: Spark Connect's bytes and addresses: what is written is read again, and wrong bytes are refused. */
#include "runtime/dataframe/connect/encode.h"
#include "runtime/dataframe/connect/url.h"
#include "tests/support/unit.h"
#include <stdlib.h>
#include <string.h>

static void numbers_and_texts_come_back(void **state)
{
    static const int64_t values[] = {0, 1, 127, 128, 300, INT64_MAX, -1, INT64_MIN};
    struct buf b = BUF_INIT(1 << 20);
    struct pb_reader r;
    struct pb_field f;
    char text[4];

    (void)state;
    for (unsigned i = 0; i < 8; i++)
        pb_int(&b, i + 1, values[i]);
    pb_text(&b, 20, "zü€");
    pb_double(&b, 21, 1.5);
    r = pb_open(b.data, b.len);
    for (unsigned i = 0; i < 8; i++) {
        assert_true(pb_next(&r, &f));
        assert_int_equal(f.number, i + 1);
        assert_true((int64_t)f.value == values[i]);
    }
    assert_true(pb_next(&r, &f));
    pb_copy(&f, text, sizeof text);
    assert_string_equal(text, "zü"); /* cut between characters */
    assert_true(pb_next(&r, &f));
    assert_true(f.value == 0x3ff8000000000000u);
    assert_false(pb_next(&r, &f));
    assert_false(r.failed);
    buf_release(&b);
}

static void known_bytes(void **state) /* the examples of protobuf's own documentation */
{
    struct buf b = BUF_INIT(1000);
    size_t mark;

    (void)state;
    pb_int(&b, 1, 150);
    assert_memory_equal(b.data, "\x08\x96\x01", 3);
    pb_text(&b, 2, "testing");
    assert_memory_equal(b.data + 3, "\x12\x07testing", 9);
    buf_clear(&b);
    mark = pb_begin(&b, 3);
    pb_int(&b, 1, 150);
    pb_end(&b, mark);
    assert_int_equal(b.len, 5);
    assert_memory_equal(b.data, "\x1a\x03\x08\x96\x01", 5);
    buf_release(&b);
}

static void long_messages_inside(void **state)
{
    struct buf b = BUF_INIT(1 << 20);
    struct pb_field outer, inner;
    char text[20001];
    size_t marks[2];

    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    marks[0] = pb_begin(&b, 1);
    marks[1] = pb_begin(&b, 2);
    pb_text(&b, 3, text);
    pb_end(&b, marks[1]);
    pb_text(&b, 4, "after");
    pb_end(&b, marks[0]);
    assert_true(pb_find(pb_open(b.data, b.len), 1, &outer));
    assert_true(pb_find(pb_inside(&outer), 2, &inner));
    assert_true(pb_find(pb_inside(&inner), 3, &inner));
    assert_int_equal(inner.len, 20000);
    assert_true(pb_find(pb_inside(&outer), 4, &inner));
    assert_memory_equal(inner.data, "after", 5);
    buf_release(&b);
}

static void wrong_bytes_are_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
    } wrong[] = {{"\x0a", 1},
                 {"\x0a\x05zz", 4},
                 {"\x08", 1},
                 {"\x00\x01", 2},
                 {"\x0b", 1},
                 {"\x09\x01\x02", 3},
                 {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12},
                 {"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11}};

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct pb_reader r = pb_open(wrong[i].bytes, wrong[i].n);
        struct pb_field f;
        while (pb_next(&r, &f)) {
        }
        assert_true(r.failed);
    }
}

static void types_come_back(void **state)
{
    static const char *const schemas[] = {
        "a INT NOT NULL, b DECIMAL(10,2), c STRING, d ARRAY<STRUCT<x: DOUBLE, y: MAP<STRING, DATE>>>",
        "t TIMESTAMP, n TIMESTAMP_NTZ, b BINARY, f FLOAT, s SMALLINT, y TINYINT, l BIGINT, o BOOLEAN, v "
        "VOID"};

    (void)state;
    for (size_t i = 0; i < sizeof schemas / sizeof *schemas; i++) {
        struct buf b = BUF_INIT(1 << 20);
        const struct dtype *t, *back;
        struct pb_field f;
        struct err err;
        assert_int_equal(dtype_parse_schema(schemas[i], &t, &err), LC_OK);
        connect_type(&b, 1, t);
        assert_true(pb_find(pb_open(b.data, b.len), 1, &f));
        assert_int_equal(connect_type_read(pb_inside(&f), &back, &err), LC_OK);
        assert_true(dtype_equal(t, back));
        dtype_unref(t);
        dtype_unref(back);
        buf_release(&b);
    }
}

static void plans_of_any_depth_end(void **state)
{
    struct connect_env env = {0};
    struct buf b = BUF_INIT(1 << 26);
    const struct plan *p = plan_range(0, 10, 1);
    struct err err;

    (void)state;
    for (int i = 0; i < 500; i++)
        p = plan_limit(p, 5);
    err_clear(&err);
    assert_int_equal(connect_relation(&env, p, &b, &err), LC_OK);
    for (int i = 0; i < 2000; i++)
        p = plan_limit(p, 5);
    assert_int_equal(connect_relation(&env, p, &b, &err), LC_LIMIT);
    assert_true(err.hint[0]);
    plan_unref(p);
    buf_release(&b);
}

static void addresses(void **state)
{
    static const struct {
        const char *text, *host;
        int port;
        bool tls;
    } good[] = {
        {"sc://h", "h", 15002, false},         {"sc://h:7/", "h", 7, false},
        {"sc://[::1]:8", "::1", 8, false},     {"sc://h/;use_ssl=true", "h", 15002, true},
        {"sc://h/;token=t", "h", 15002, true}, {"sc://localhost/;token=t", "localhost", 15002, false}};
    static const char *const bad[] = {"",
                                      "sc://",
                                      "http://h",
                                      "sc://h:",
                                      "sc://h:0",
                                      "sc://h:x",
                                      "sc://h:70000",
                                      "sc://h/p",
                                      "sc://h;a=b",
                                      "sc://h/;a",
                                      "sc://h/;=b",
                                      "sc://h/;a=",
                                      "sc://h/;use_ssl=yes",
                                      "sc://[::1",
                                      "sc://h/;a b=c",
                                      "sc://h/;grpc-timeout=1",
                                      "sc://h/;a=%0a",
                                      "sc://h/;token=t;use_ssl=false"};
    struct connect_url u;
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(connect_url_parse(good[i].text, &u, &err), LC_OK);
        assert_string_equal(u.host, good[i].host);
        assert_int_equal(u.port, good[i].port);
        assert_int_equal(u.tls, good[i].tls);
        connect_url_release(&u);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(connect_url_parse(bad[i], &u, &err), LC_ARG);
    assert_int_equal(connect_url_parse("sc://h/;token=a%20b;X-One=%C3%BC;user_id=me;user_agent=nb", &u, &err),
                     LC_OK);
    assert_string_equal(u.token, "a b");
    assert_string_equal(u.headers[0].name, "x-one");
    assert_string_equal(u.headers[0].value, "ü");
    assert_string_equal(u.user_id, "me");
    connect_url_release(&u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(numbers_and_texts_come_back),
                                       cmocka_unit_test(known_bytes),
                                       cmocka_unit_test(long_messages_inside),
                                       cmocka_unit_test(wrong_bytes_are_refused),
                                       cmocka_unit_test(types_come_back),
                                       cmocka_unit_test(plans_of_any_depth_end),
                                       cmocka_unit_test(addresses)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
