/* json_path_test.c: paths into JSON, and the members of one name. */
#include "runtime/dataframe/json/path.h"
#include "runtime/dataframe/json/wildcard.h"
#include "tests/support/unit.h"
#include <string.h>

struct row {
    const char *in, *out; /* out NULL: there is none */
};

static void check(const struct row *rows, size_t n, bool (*fn)(const char *, size_t, struct buf *))
{
    struct buf b = BUF_INIT(1000);

    for (size_t i = 0; i < n; i++) {
        bool ok;

        buf_clear(&b);
        ok = fn(rows[i].in, strlen(rows[i].in), &b);
        if (ok != (rows[i].out != NULL) || (ok && strcmp(buf_str(&b), rows[i].out) != 0))
            fail_msg("%s: %s", rows[i].in, ok ? buf_str(&b) : "nothing");
    }
    buf_release(&b);
}

static void paths_are_those_of_duckdb(void **state)
{
    static const struct row rows[] = {{"$", "$"},
                                      {"$.a.b", "$.\"a\".\"b\""},
                                      {"$['a b'][0][*]", "$.\"a b\"[0][*]"},
                                      {"$.a\"b[1].c", "/a\"b/1/c"},
                                      {"$['a\"b'].c/d~e", "/a\"b/c~1d~0e"},
                                      {"$.a\"b[*]", NULL},
                                      {"a", NULL},
                                      {"$.*", NULL},
                                      {"$['a", NULL},
                                      {"", NULL}};

    (void)state;
    check(rows, sizeof rows / sizeof *rows, json_path);
}

static void of_members_with_one_name_the_last_is_kept(void **state)
{
    static const struct row rows[] = {{"{\"a\":1,\"b\":2,\"a\":3}", "{\"b\":2,\"a\":3}"},
                                      {" [ {\"a\" : {\"b\": 1}, \"a\": {\"b\": 1, \"b\": [2, 3]}} , null ] ",
                                       "[{\"a\":{\"b\":[2,3]}},null]"},
                                      {"{\"a\":\"}\\\"\",\"ab\":[],\"a\":{}}", "{\"ab\":[],\"a\":{}}"},
                                      {"{}", "{}"},
                                      {"[]", "[]"},
                                      {"5", "5"},
                                      {"{\"a\":1", NULL},
                                      {"{\"a\"}", NULL},
                                      {"{\"a\":}", NULL},
                                      {"{\"a\":1}}", NULL},
                                      {"[1", NULL},
                                      {"\"a", NULL},
                                      {"", NULL}};
    char deep[5000];
    struct buf b = BUF_INIT(10000);

    (void)state;
    check(rows, sizeof rows / sizeof *rows, json_last);
    memset(deep, '[', sizeof deep);
    assert_false(json_last(deep, sizeof deep, &b));
    assert_false(json_repeats(deep, sizeof deep));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (json_repeats(rows[i].in, strlen(rows[i].in)) != (i < 3))
            fail_msg("%s", rows[i].in);
    buf_clear(&b);
    buf_puts(&b, "{\"k0\":0");
    for (int i = 1; i < 40; i++)
        buf_printf(&b, ",\"k%d\":[]", i);
    buf_puts(&b, "}");
    assert_true(json_repeats(b.data, b.len)); /* of many it is not known */
    buf_release(&b);
}

static void wildcards_find_what_spark_finds(void **state)
{
    static const struct {
        const char *text, *path, *out;
    } rows[] = {{"[{\"b\":1},{\"b\":2}]", "$[*].b", "[1,2]"},
                {"{\"a\":[{\"b\":null},{\"b\":2}]}", "$.a[*].b", "2"},
                {"{\"a\":[{\"b\":null}]}", "$.a[*].b", NULL},
                {"{\"a\":[null,\"x\"]}", "$['a'][*]", "[null,\"x\"]"},
                {"{\"a\":[{\"b\":[1,2]},{\"b\":[3]}]}", "$.a[*].b[*]", "[[1,2],[3]]"},
                {"[[[1],[2]],[[3]]]", "$[*][*][0]", "[1,3]"},
                {"[[1]]", "$[*][*]", "[1]"},
                {"[[[1,[2]]],3]", "$[*][*]", "[1,2,3]"},
                {"[[]]", "$[*][*]", NULL},
                {"[[1],[3]]", "$[0][*]", "[1]"},
                {"[{\"a\":\"]\\\"\"}]", "$[*].a", "\"]\\\"\""},
                {"{\"b\":1}", "$[*]", NULL},
                {"[1", "$[*]", "1"},
                {"[}", "$[*]", NULL},
                {"[\"", "$[*].a", NULL},
                {"", "$[*]", NULL},
                {"[1]", "$[*", NULL},
                {"[1]", "[*]", NULL}};
    struct buf b = BUF_INIT(1000);
    char deep[5000];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool ok;

        buf_clear(&b);
        buf_puts(&b, "[");
        ok = json_wildcard(rows[i].text, strlen(rows[i].text), rows[i].path, strlen(rows[i].path), &b);
        if (ok != (rows[i].out != NULL) || strcmp(buf_str(&b) + 1, ok ? rows[i].out : "") != 0)
            fail_msg("%s %s: %s", rows[i].text, rows[i].path, buf_str(&b));
    }
    memset(deep, '[', sizeof deep);
    json_wildcard(deep, sizeof deep, "$[*][*]", 7, &b);
    buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(paths_are_those_of_duckdb),
                                       cmocka_unit_test(wildcards_find_what_spark_finds),
                                       cmocka_unit_test(of_members_with_one_name_the_last_is_kept)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
