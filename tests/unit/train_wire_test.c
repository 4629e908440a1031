/* train_wire_test.c: what a worker and a coordinator may say to each other, and what is refused. */
#include "runtime/train/wire.h"
#include "tests/support/unit.h"
#include <stdlib.h>
#include <string.h>

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static enum lc parse(const char *head, size_t payload, enum wire_side from, struct err *err)
{
    struct wire_msg m;
    char *bytes = calloc(1, payload + 1);
    enum lc rc = wire_parse(head, strlen(head), bytes, payload, from, &m, err);

    wire_msg_release(&m);
    free(bytes);
    return rc;
}

static void good_messages_pass(void **state)
{
    struct err err;
    struct wire_msg m;
    static const char want[] =
        "{\"type\":\"want\",\"job\":\"job-1\",\"sha256\":\"" SHA "\",\"offset\":5,\"length\":100}";

    (void)state;
    assert_int_equal(wire_parse(want, sizeof want - 1, NULL, 0, WIRE_WORKER, &m, &err), LC_OK);
    assert_int_equal(m.kind, WIRE_WANT);
    assert_int_equal(wire_int(&m, "offset"), 5);
    assert_string_equal(wire_text(&m, "job"), "job-1");
    wire_msg_release(&m);
    assert_int_equal(
        parse("{\"type\":\"file\",\"job\":\"j\",\"folder\":\"output\",\"path\":\"a.bin\",\"offset\":0}", 10,
              WIRE_WORKER, &err),
        LC_OK);
    assert_int_equal(
        parse(
            "{\"type\":\"commit\",\"job\":\"j\",\"folder\":\"output\",\"files\":[{\"path\":\"a\",\"size\":1,"
            "\"sha256\":\"" SHA "\"}]}",
            0, WIRE_WORKER, &err),
        LC_OK);
}

static void bad_messages_are_refused(void **state)
{
    static const struct {
        const char *text;
        size_t payload;
        enum lc code;
    } bad[] = {
        {"", 0, LC_PARSE},
        {"[]", 0, LC_DATA},
        {"{", 0, LC_PARSE},
        {"{\"type\":\"nothing\"}", 0, LC_DATA},
        {"{\"type\":\"welcome\",\"protocol\":1,\"name\":\"x\"}", 0,
         LC_DATA}, /* only a coordinator says that */
        {"{\"type\":\"bye\",\"type\":\"done\"}", 0, LC_PARSE},
        {"{\"type\":\"bye\"}", 5, LC_DATA}, /* has no payload */
        {"{\"type\":\"want\",\"job\":\"j\",\"sha256\":\"ABC\",\"offset\":0,\"length\":1}", 0, LC_DATA},
        {"{\"type\":\"want\",\"job\":\"j\",\"sha256\":\"" SHA "\",\"offset\":-1,\"length\":1}", 0, LC_DATA},
        {"{\"type\":\"want\",\"job\":\"j\",\"sha256\":\"" SHA "\",\"offset\":0,\"length\":999999999}", 0,
         LC_DATA},
        {"{\"type\":\"want\",\"job\":\"j\",\"sha256\":\"" SHA "\",\"offset\":0}", 0, LC_DATA},
        {"{\"type\":\"file\",\"job\":\"j\",\"folder\":\"o\",\"path\":\"../x\",\"offset\":0}", 1, LC_DATA},
        {"{\"type\":\"file\",\"job\":\"j\",\"folder\":\"o/p\",\"path\":\"x\",\"offset\":0}", 1, LC_DATA},
        {"{\"type\":\"file\",\"job\":\"j\",\"folder\":\"o\",\"path\":\"/etc/passwd\",\"offset\":0}", 1,
         LC_DATA},
        {"{\"type\":\"file\",\"job\":\"j\",\"folder\":\"o\",\"path\":\"a\\u0000b\",\"offset\":0}", 1,
         LC_PARSE},
        {"{\"type\":\"commit\",\"job\":\"j\",\"folder\":\"o\",\"files\":[{\"path\":\"a\",\"size\":1,"
         "\"sha256\":\"" SHA "\"},{\"path\":\"a\",\"size\":1,\"sha256\":\"" SHA "\"}]}",
         0, LC_DATA},
    };
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(parse(bad[i].text, bad[i].payload, WIRE_WORKER, &err), bad[i].code);
}

static void depth_and_size_are_bounded(void **state)
{
    struct err err;
    struct wire_msg m;
    char *deep = malloc(100001), *big = malloc(WIRE_HEAD_MAX + 10);

    (void)state;
    memset(deep, '[', 100000);
    deep[100000] = '\0';
    assert_int_equal(parse(deep, 0, WIRE_WORKER, &err), LC_PARSE);
    memset(big, ' ', WIRE_HEAD_MAX + 10);
    assert_int_equal(wire_parse(big, WIRE_HEAD_MAX + 10, NULL, 0, WIRE_WORKER, &m, &err), LC_LIMIT);
    assert_int_equal(wire_parse("{}", 2, big, WIRE_PAYLOAD_MAX + 1, WIRE_WORKER, &m, &err), LC_LIMIT);
    free(deep);
    free(big);
}

static void names_and_paths(void **state)
{
    (void)state;
    assert_true(wire_is_path("a/b.json"));
    assert_false(wire_is_path("a//b"));
    assert_false(wire_is_path("a/../b"));
    assert_false(wire_is_path("a/"));
    assert_false(wire_is_path(".hidden"));
    assert_false(wire_is_path(""));
    assert_false(wire_is_name("a/b"));
    assert_false(wire_is_name("a\nb"));
    assert_true(wire_is_digest(SHA));
    assert_false(wire_is_digest("0123"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_messages_pass), cmocka_unit_test(bad_messages_are_refused),
        cmocka_unit_test(depth_and_size_are_bounded), cmocka_unit_test(names_and_paths)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
