#include "runtime/base/fs.h"
#include "runtime/session/closure.h"
#include "runtime/train/metric.h"
#include <lauxlib.h>
#include <lualib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const int32_t labels[] = {-100, 5, 6}, likeliest[] = {5, 5, 6};

/* The function that `text` gives, as a worker opens it. */
static enum lc opened(const char *text, struct metric **m, struct err *err)
{
    char path[] = "/tmp/lacus-metric-XXXXXX";
    int fd = mkstemp(path);
    lua_State *L = luaL_newstate();
    size_t len;
    const char *bytes;
    enum lc rc;

    assert_true(fd >= 0);
    close(fd);
    luaL_openlibs(L);
    assert_int_equal(luaL_dostring(L, text), LUA_OK);
    closure_pack(L, -1, NULL);
    bytes = lua_tolstring(L, -1, &len);
    assert_int_equal(fs_write(path, bytes, len, NULL), LC_OK);
    lua_close(L);
    rc = metric_open(path, m, err);
    unlink(path);
    return rc;
}

static enum lc answer(const char *text, json_t **out, struct err *err)
{
    struct ctx ctx = ctx_background();
    struct metric *m = NULL;
    enum lc rc;

    assert_int_equal(opened(text, &m, err), LC_OK);
    assert_int_equal(metric_add(m, labels, likeliest, 3, err), LC_OK);
    assert_int_equal(metric_add(m, labels, likeliest, 2, err), LC_OK);
    rc = metric_result(&ctx, m, out, err);
    metric_close(m);
    return rc;
}

static void examples_become_numbers(void **state)
{
    json_t *out = NULL;
    struct err err;

    (void)state;
    assert_int_equal(
        answer("local k = 2 return function(e) return {n = k * #e.predictions, eval_last = e.label_ids[1][3],"
               " first = e.predictions[2][1]} end",
               &out, &err),
        LC_OK);
    assert_true(json_number_value(json_object_get(out, "eval_n")) == 4);
    assert_true(json_number_value(json_object_get(out, "eval_last")) == 6);
    assert_true(json_number_value(json_object_get(out, "eval_first")) == 5);
    json_decref(out);
}

static void examples_are_forgotten(void **state)
{
    struct ctx ctx = ctx_background();
    struct metric *m = NULL;
    json_t *out = NULL;
    struct err err;

    (void)state;
    assert_int_equal(opened("return function(e) return {n = #e.predictions} end", &m, &err), LC_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(metric_add(m, labels, likeliest, 3, &err), LC_OK);
        assert_int_equal(metric_result(&ctx, m, &out, &err), LC_OK);
        assert_true(json_number_value(json_object_get(out, "eval_n")) == 1);
        json_decref(out);
    }
    assert_int_equal(metric_result(&ctx, m, &out, &err), LC_OK);
    assert_true(json_number_value(json_object_get(out, "eval_n")) == 0);
    json_decref(out);
    metric_close(m);
}

static void what_is_no_metric_is_said(void **state)
{
    static const struct {
        const char *text, *says;
        enum lc code;
    } rows[] = {
        {"return function() error('oh') end",
         "compute_metrics failed: [string \"return function() error('oh') end\"]:1: oh", LC_RUNTIME},
        {"return function() error({}) end", "compute_metrics failed: table", LC_RUNTIME},
        {"return function() end", "it returned a nil", LC_ARG},
        {"return function() return {x = '1'} end", "'x' is a string", LC_ARG},
        {"return function() return {1} end", "it returned a list", LC_ARG},
        {"return function() return {x = 1 / 0} end", "'x' is a number that is not finite", LC_ARG},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *out = NULL;
        struct err err;

        assert_int_equal(answer(rows[i].text, &out, &err), rows[i].code);
        if (!strstr(err.message, rows[i].says))
            fail_msg("'%s' instead of '%s'", err.message, rows[i].says);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples_become_numbers),
        cmocka_unit_test(examples_are_forgotten),
        cmocka_unit_test(what_is_no_metric_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
