/* json_records_test.c: one JSON value cut into its parts, and the columns of several. tests/interop/test_json_files.py asks a real Spark; here are
 * texts, levels that are too many, and memory that runs out. */
#include "runtime/base/mem.h"
#include "runtime/dataframe/json/guess.h"
#include "tests/support/unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void texts_are_decoded(void **state)
{
    static const char text[] = "{\"a\": \"x\\u00e9\\n\\ud83d\\ude00\\\"\", 'b': [1, -2.5e3, null]} tail";
    struct json_options o;
    struct record r = {0};
    const struct record_node *a, *b;

    (void)state;
    json_defaults(&o);
    assert_int_equal(record_parse(&o, text, strlen(text), &r), RECORD_GOOD);
    a = &r.nodes[r.nodes[0].first];
    b = &r.nodes[a->next];
    assert_int_equal(a->text_len, 9);
    assert_memory_equal(a->text, "x\xc3\xa9\n\xf0\x9f\x98\x80\"", 9);
    assert_memory_equal(b->name, "b", 1);
    assert_memory_equal(b->raw, "[1, -2.5e3, null]", b->raw_len);
    assert_int_equal(r.nodes[r.nodes[b->first].next].kind, RECORD_FRACTION);
    assert_int_equal(b->next, 0);
    assert_int_equal(record_parse(&o, "{\"a\": \"\\x\"}", 11, &r), RECORD_BAD);
    assert_int_equal(record_parse(&o, " \t\n", 3, &r), RECORD_EMPTY);
    assert_int_equal(record_parse(&o, "{\"a\"", 4, &r), RECORD_BAD);
    record_release(&r);
}

static void levels_have_an_end(void **state)
{
    char text[4000];
    struct json_options o;
    struct record r = {0};

    (void)state;
    json_defaults(&o);
    memset(text, '[', 2000);
    memset(text + 2000, ']', 2000);
    assert_int_equal(record_parse(&o, text, 4000, &r), RECORD_BAD);
    assert_int_equal(record_parse(&o, text + 1100, 1800, &r), RECORD_GOOD);
    record_release(&r);
}

static enum lc schema_of(const char *first, const char *second, struct buf *out)
{
    struct json_options o;
    struct record r = {0};
    struct guess *g;
    const struct dtype *schema = NULL;
    const char *texts[] = {first, second};
    enum lc rc = LC_OK;

    json_defaults(&o);
    g = guess_new(&o);
    for (int i = 0; g && rc == LC_OK && i < 2; i++) {
        enum record_got got = record_parse(&o, texts[i], strlen(texts[i]), &r);
        if (got == RECORD_NOMEM)
            rc = LC_NOMEM;
        else if (got != RECORD_GOOD || !guess_add(g, &r))
            guess_malformed(g);
    }
    rc = g ? rc : LC_NOMEM;
    if (rc == LC_OK)
        rc = guess_schema(g, &schema, NULL);
    if (rc == LC_OK && !dtype_simple(schema, out))
        rc = LC_NOMEM;
    dtype_unref(schema);
    guess_free(g);
    record_release(&r);
    return rc;
}

static void columns_of_several(void **state)
{
    struct buf out = BUF_INIT(4096);

    (void)state;
    assert_int_equal(
        schema_of("{\"b\": [1], \"a\": {\"y\": null}}", "[{\"a\": {\"x\": true}}, {\"b\": [2.5]}]", &out),
        LC_OK);
    assert_string_equal(buf_str(&out), "struct<a:struct<x:boolean,y:string>,b:array<double>>");
    buf_clear(&out);
    assert_int_equal(schema_of("{\"a\": 99999999999999999999}", "nothing", &out), LC_OK);
    assert_string_equal(buf_str(&out), "struct<_corrupt_record:string,a:decimal(20,0)>");
    assert_int_equal(schema_of("{\"a\": 1}", "{\"A\": 1}", &out), LC_ENGINE);
    buf_release(&out);
}

static void memory_may_run_out(void **state)
{
    (void)state;
    for (long n = 0; n < 200; n++) {
        struct buf out = BUF_INIT(4096);
        enum lc rc;
        mem_fail_after(n);
        rc = schema_of("{\"b\": [1], \"a\": {\"y\": \"\\n\"}}", "[{\"a\": {\"x\": true}}, 5]", &out);
        mem_fail_never();
        buf_release(&out);
        if (rc == LC_OK)
            return;
        assert_int_equal(rc, LC_NOMEM);
    }
    fail();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_decoded), cmocka_unit_test(levels_have_an_end),
        cmocka_unit_test(columns_of_several), cmocka_unit_test(memory_may_run_out)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
