/* engine_udf_test.c: functions of Lua on the embedded engine: a stop is the query's own. */
#include "runtime/base/clock.h"
#include "runtime/dataframe/engines/engine.h"
#include "runtime/session/closure.h"
#include "tests/support/unit.h"
#include <errno.h>
#include <inttypes.h>
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROWS = 600000, STOPS = 15, SOON_US = 15000 };

struct fixture {
    const struct engine_ops *ops;
    struct engine *engine;
    lua_State *L; /* the packed function on its stack */
};

static int pack(lua_State *L)
{
    closure_pack(L, 1, NULL);
    return 1;
}

static int open_all(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct err err;

    f->ops = engine_ops_open("duckdb", &err);
    if (!f->ops ||
        f->ops->open(&(struct engine_options){.threads = 2, .temp_dir = "/tmp"}, &f->engine, &err) != LC_OK) {
        print_message("%s; %s\n", err.message, err.hint);
        return -1;
    }
    f->L = luaL_newstate();
    luaL_openlibs(f->L);
    lua_pushcfunction(f->L, pack);
    if (luaL_dostring(f->L,
                      "return function(x) local s = 0 for i = 1, 9 do s = s + i end return x + s end") !=
            LUA_OK ||
        lua_pcall(f->L, 1, 1, 0) != LUA_OK) {
        print_message("%s\n", lua_tostring(f->L, -1));
        return -1;
    }
    *state = f;
    return 0;
}

static int close_all(void **state)
{
    struct fixture *f = *state;

    f->ops->close(f->engine);
    lua_close(f->L);
    free(f);
    return 0;
}

/* SELECT sum(function(id)) FROM range(n) */
static const struct plan *sum_of(struct fixture *f, int64_t n)
{
    size_t len;
    const char *packed = lua_tolstring(f->L, -1, &len);
    struct expr *head[] = {expr_string("f", 1), expr_string("bigint", 6), expr_binary_literal(packed, len),
                           expr_bool(true), expr_column("id")};
    struct expr *call = expr_call("lua_udf", false, head, 5),
                *sum = expr_alias(expr_call("sum", false, &call, 1), "s");

    return plan_aggregate(plan_range(0, n, 1), GROUP_BY, NULL, 0, &sum, 1);
}

static enum lc run(struct fixture *f, const struct ctx *ctx, int64_t n, int64_t *sum, struct err *err)
{
    const struct plan *p = sum_of(f, n), *resolved;
    struct ArrowArrayStream rows = {0};
    struct ArrowArray batch = {0};
    enum lc rc;
    int code = 0;

    assert_non_null(p);
    assert_int_equal(plan_resolve(NULL, p, NULL, &resolved, err), LC_OK);
    rc = f->ops->execute(f->engine, ctx, resolved, &rows, err);
    if (rc == LC_OK) {
        code = rows.get_next(&rows, &batch);
        if (code)
            rc =
                err_set(err, code == ECANCELED ? LC_CANCELLED : LC_RUNTIME, "%s", rows.get_last_error(&rows));
        else
            *sum = ((const int64_t *)batch.children[0]->buffers[1])[0];
        if (batch.release)
            batch.release(&batch);
        rows.release(&rows);
    }
    plan_unref(resolved);
    plan_unref(p);
    return rc;
}

/* ---- others, that are stopped again and again ---- */
struct others {
    struct fixture *f;
    int stopped;
    atomic_bool cancel, done;
    enum lc rc[STOPS];
};

static void *stop_soon(void *arg)
{
    struct others *o = arg;

    usleep(SOON_US);
    atomic_store(&o->cancel, true);
    return NULL;
}

static void *stop_others(void *arg)
{
    struct others *o = arg;
    struct ctx ctx = ctx_background();
    struct err err;

    ctx.cancel = &o->cancel;
    for (int i = 0; i < STOPS; i++) {
        pthread_t soon;
        int64_t sum;

        atomic_store(&o->cancel, false);
        pthread_create(&soon, NULL, stop_soon, o);
        o->rc[i] = run(o->f, &ctx, INT64_C(1000000000), &sum, &err);
        pthread_join(soon, NULL);
    }
    atomic_store(&o->done, true);
    return NULL;
}

static void a_stop_is_the_querys_own(void **state)
{
    struct fixture *f = *state;
    struct others others = {.f = f};
    struct err err = {0};
    pthread_t thread;
    int runs = 0;

    pthread_create(&thread, NULL, stop_others, &others);
    do {
        int64_t sum = 0;
        if (run(f, NULL, ROWS, &sum, &err) != LC_OK)
            fail_msg("after %d: %s", runs, err.message);
        assert_true(sum == (int64_t)ROWS * (ROWS - 1) / 2 + INT64_C(45) * ROWS);
        runs++;
    } while (!atomic_load(&others.done));
    pthread_join(thread, NULL);
    for (int i = 0; i < STOPS; i++)
        assert_int_equal(others.rc[i], LC_CANCELLED);
}

/* Two calls of a function with the same arguments are one for the engine: what is bound to them is the same. */
static void equal_calls_are_one(void **state)
{
    struct fixture *f = *state;
    size_t len;
    const char *packed = lua_tolstring(f->L, -1, &len);
    struct expr *both[2], *sums[2];
    const struct plan *p, *resolved;
    struct buf text = BUF_INIT(1 << 22);
    struct err err = {0};
    int calls = 0;

    for (int i = 0; i < 2; i++) {
        struct expr *head[] = {expr_string("f", 1), expr_string("bigint", 6),
                               expr_binary_literal(packed, len), expr_bool(true), expr_column("id")};
        both[i] = expr_call("lua_udf", false, head, 5);
        sums[i] = expr_alias(expr_call(i ? "max" : "min", false, &both[i], 1), i ? "a" : "b");
    }
    p = plan_aggregate(plan_range(0, 10, 1), GROUP_BY, NULL, 0, sums, 2);
    assert_int_equal(plan_resolve(NULL, p, NULL, &resolved, &err), LC_OK);
    if (f->ops->explain(f->engine, NULL, resolved, EXPLAIN_CODEGEN, &text, &err) != LC_OK)
        fail_msg("%s", err.message);
    for (const char *at = strstr(buf_str(&text), "== Plan"); (at = strstr(at, "lacus_udf_")) != NULL; at++)
        calls++;
    assert_int_equal(calls, 1);
    buf_release(&text);
    plan_unref(resolved);
    plan_unref(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_stop_is_the_querys_own),
                                       cmocka_unit_test(equal_calls_are_one)};

    return cmocka_run_group_tests(tests, open_all, close_all);
}
