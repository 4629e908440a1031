/* safetensors_test.c: what is written is read back, and every way to break a file has its own message.
 * tests/interop/test_safetensors.py compares with the Python library. */
#include "gpu/safetensors.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void write_then_read(void **state)
{
    char dir[] = "/tmp/lacus-test-XXXXXX", *path;
    const float weight[6] = {1, 2, 3, 4, 5, 6};
    const int64_t step = 7, shape[2] = {2, 3};
    const struct safetensor tensors[] = {
        {"layer.weight", ST_F32, 2, shape, weight, sizeof weight},
        {"step", ST_I64, 0, NULL, &step, sizeof step},
    };
    struct safetensors *st;
    const struct safetensor *t;
    struct err err;

    (void)state;
    assert_non_null(mkdtemp(dir));
    path = fs_join(dir, "model.safetensors");
    assert_int_equal(safetensors_write(path, tensors, 2, NULL, &err), LC_OK);
    assert_int_equal(safetensors_open(dir, &st, &err), LC_OK);
    assert_int_equal(safetensors_count(st), 2);
    assert_string_equal(safetensors_metadata(st, "format"), "pt");
    assert_int_equal(safetensors_get(st, "layer.weight", &t, &err), LC_OK);
    assert_int_equal(t->dtype, ST_F32);
    assert_int_equal(t->shape[1], 3);
    assert_memory_equal(t->data, weight, sizeof weight);
    t = safetensors_find(st, "step");
    assert_int_equal(t->ndim, 0);
    assert_memory_equal(t->data, &step, sizeof step);
    assert_int_equal(safetensors_get(st, "layer.wieght", &t, &err), LC_NOTFOUND);
    assert_string_equal(err.hint, "it has 'layer.weight'");
    safetensors_close(st);
    mem_free(path);
    assert_int_equal(fs_remove_tree(dir, &err), LC_OK);
}

static enum lc parse(const char *header, size_t data_len, struct err *err)
{
    size_t n = strlen(header), len = 8 + n + data_len;
    unsigned char *bytes = calloc(1, len + 1);
    struct safetensors *st;
    enum lc rc;

    assert_non_null(bytes);
    bytes[0] = (unsigned char)(n & 255);
    bytes[1] = (unsigned char)(n >> 8);
    memcpy(bytes + 8, header, n);
    rc = safetensors_from_memory(bytes, len, "x", &st, err);
    if (rc == LC_OK)
        safetensors_close(st);
    free(bytes);
    return rc;
}

static void broken_files_are_refused(void **state)
{
    static const struct {
        const char *header, *message;
        size_t data;
        enum lc code;
    } cases[] = {
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", NULL, 8, LC_OK},
        {"{}", NULL, 0, LC_OK},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}   ", NULL, 0, LC_OK},
        {"[]", "does not start with '{'", 0, LC_DATA},
        {"{\"a\":1", "not valid JSON", 0, LC_DATA},
        {"{\"a\":1}", "has no dtype", 0, LC_DATA},
        {"{\"a\":{\"dtype\":\"Q4\",\"shape\":[2],\"data_offsets\":[0,8]}}", "unknown dtype 'Q4'", 8,
         LC_UNSUPPORTED},
        {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", "has no shape", 8, LC_DATA},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", "not a list of sizes", 8,
         LC_DATA},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,0]}}",
         "not a list of sizes", 0, LC_DATA},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,12]}}", "do not fit", 12, LC_DATA},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", "no valid data_offsets", 8,
         LC_DATA},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", "truncated", 4, LC_DATA},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", "belong to nothing", 9, LC_DATA},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[2,6]}}",
         "overlaps", 6, LC_DATA},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[1,5]}}", "leaves a hole", 5, LC_DATA},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},\"a\":1}", "duplicate", 0, LC_DATA},
        {"{\"__metadata__\":{\"k\":1}}", "is not a string", 0, LC_DATA},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}",
         "17 dimensions", 1, LC_LIMIT},
    };
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err_clear(&err);
        assert_int_equal(parse(cases[i].header, cases[i].data, &err), cases[i].code);
        if (cases[i].message && !strstr(err.message, cases[i].message))
            fail_msg("case %zu: '%s' lacks '%s'", i, err.message, cases[i].message);
    }
}

static void header_length_is_bounded(void **state)
{
    static const unsigned char huge[16] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, '{', '}'};
    static const unsigned char beyond[16] = {100, 0, 0, 0, 0, 0, 0, 0, '{', '}'};
    struct safetensors *st;
    struct err err;

    (void)state;
    assert_int_equal(safetensors_from_memory(huge, 16, "x", &st, &err), LC_DATA);
    assert_int_equal(safetensors_from_memory(beyond, 16, "x", &st, &err), LC_DATA);
    assert_int_equal(safetensors_from_memory(huge, 3, "x", &st, &err), LC_DATA);
    assert_non_null(strstr(err.message, "too few"));
}

static void put(const char *dir, const char *name, const char *text)
{
    char *path = fs_join(dir, name);
    struct err err;

    assert_int_equal(fs_write(path, text, strlen(text), &err), LC_OK);
    mem_free(path);
}

static void shards_are_one_checkpoint(void **state)
{
    char dir[] = "/tmp/lacus-test-XXXXXX", *one, *two;
    const int64_t n = 1;
    const float x = 1, y = 2;
    const struct safetensor a = {"a", ST_F32, 1, &n, &x, 4}, b = {"b", ST_F32, 1, &n, &y, 4};
    struct safetensors *st;
    struct err err;

    (void)state;
    assert_non_null(mkdtemp(dir));
    one = fs_join(dir, "model-00001-of-00002.safetensors");
    two = fs_join(dir, "model-00002-of-00002.safetensors");
    assert_int_equal(safetensors_write(one, &a, 1, NULL, &err), LC_OK);
    assert_int_equal(safetensors_write(two, &b, 1, NULL, &err), LC_OK);
    put(dir, "model.safetensors.index.json",
        "{\"weight_map\":{\"a\":\"model-00001-of-00002.safetensors\",\"b\":\"model-00002-of-00002."
        "safetensors\"}}");
    assert_int_equal(safetensors_open(dir, &st, &err), LC_OK);
    assert_int_equal(safetensors_count(st), 2);
    assert_memory_equal(safetensors_find(st, "b")->data, &y, 4);
    safetensors_close(st);

    put(dir, "model.safetensors.index.json",
        "{\"weight_map\":{\"a\":\"../model-00001-of-00002.safetensors\"}}");
    assert_int_equal(safetensors_open(dir, &st, &err), LC_DATA);
    put(dir, "model.safetensors.index.json", "{\"weight_map\":{\"c\":\"model-00001-of-00002.safetensors\"}}");
    assert_int_equal(safetensors_open(dir, &st, &err), LC_DATA);
    put(dir, "model.safetensors.index.json", "{\"weight_map\":{\"c\":\"model-00009.safetensors\"}}");
    assert_int_equal(safetensors_open(dir, &st, &err), LC_NOTFOUND);
    assert_int_equal(fs_remove_tree(dir, &err), LC_OK);
    assert_int_equal(safetensors_open(dir, &st, &err), LC_NOTFOUND);
    mem_free(one);
    mem_free(two);
}

static void writer_refuses_nonsense(void **state)
{
    const int64_t n = 3;
    const float x[3] = {0};
    const struct safetensor wrong = {"a", ST_F32, 1, &n, x, 8};
    const struct safetensor twice[] = {{"a", ST_F32, 1, &n, x, 12}, {"a", ST_U8, 1, &n, x, 3}};
    struct err err;

    (void)state;
    assert_int_equal(safetensors_write("/nonexistent/x", &wrong, 1, NULL, &err), LC_ARG);
    assert_int_equal(safetensors_write("/nonexistent/x", twice, 2, NULL, &err), LC_ARG);
    assert_int_equal(safetensors_write("/nonexistent/x", twice, 1, NULL, &err), LC_NOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(write_then_read),          cmocka_unit_test(broken_files_are_refused),
        cmocka_unit_test(header_length_is_bounded), cmocka_unit_test(shards_are_one_checkpoint),
        cmocka_unit_test(writer_refuses_nonsense),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
