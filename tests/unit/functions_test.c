/* functions_test.c: the table of functions: sorted, complete, and every row's DuckDB form runs. */
#include "runtime/base/mem.h"
#include "runtime/dataframe/engines/engine.h"
#include "runtime/dataframe/sqlgen/functions.h"
#include "runtime/dataframe/sqlgen/sqlgen_int.h"
#include "runtime/sql/sql.h"
#include "tests/support/unit.h"
#include <stdlib.h>
#include <string.h>

static void rows_are_sorted_and_whole(void **state)
{
    (void)state;
    for (const struct function *f = function_rows(); f->name; f++) {
        if (f > function_rows()) {
            int order = strcmp(f[-1].name, f->name);

            assert_true(order < 0 || (order == 0 && f[-1].min <= f->min));
        }
        assert_non_null(function_named(f->name));
        assert_true(f->max < 0 || f->max >= f->min);
        assert_non_null(f->doc);
        assert_true(*f->doc && *f->usage && *f->out && *f->sql);
        if (f->sql[0] == '@')
            assert_non_null(special_find(f->sql + 1));
        if (f->kind == FUNCTION_AGGREGATE && f->sql[0] != '@' && strcmp(f->name, "grouping") != 0)
            assert_true(strstr(f->sql, "$f") || strstr(f->sql, "$n"));
    }
    assert_null(function_find("nosuch", 1));
    assert_null(function_find("upper", 2));
}

/* Names that nobody writes, so they have no example: what PIVOT, UNPIVOT, Column:withField, :dropFields and Lua functions become. */
static bool is_internal(const char *name)
{
    static const char *const names[] = {"__pivoted",      "__unpivot", "drop_fields",
                                        "lua_expression", "lua_udf",   "with_field"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static void every_row_has_an_example(void **state)
{
    int without = 0;

    (void)state;
    for (const struct function *f = function_rows(); f->name; f++)
        if (!f->example && !is_internal(f->name)) {
            print_message("%s with %d arguments has no example\n", f->name, f->min);
            without++;
        }
    assert_int_equal(without, 0);
}

/* Runs the example of one function; what it raises on purpose is an answer too. */
static bool runs(const struct engine_ops *ops, struct engine *e, const struct function *f)
{
    struct buf text = BUF_INIT(4096);
    struct sql_statement *s = NULL;
    struct ArrowArrayStream rows = {0};
    struct ArrowArray batch = {0};
    struct err err = {0};
    enum lc code;

    buf_printf(&text, "SELECT %s", f->example);
    code = sql_parse(buf_str(&text), text.len, NULL, 0, &s, &err);
    if (code == LC_OK)
        code = ops->execute(e, NULL, s->plan, &rows, &err);
    if (code == LC_OK && rows.get_next(&rows, &batch) != 0)
        code = err_set(&err, LC_RUNTIME, "%s", rows.get_last_error(&rows));
    if (batch.release)
        batch.release(&batch);
    if (rows.release)
        rows.release(&rows);
    sql_release(s);
    buf_release(&text);
    if (strcmp(f->name, "raise_error") == 0)
        return code != LC_OK;
    if (code != LC_OK)
        print_message("SELECT %s: %s\n    %s\n", f->example, err.message, err.cause);
    return code == LC_OK;
}

static void every_row_runs(void **state)
{
    const struct engine_ops *ops;
    struct engine *e;
    struct err err;
    int wrong = 0;

    (void)state;
    ops = engine_ops_open("duckdb", &err);
    assert_non_null(ops);
    assert_int_equal(ops->open(&(struct engine_options){.threads = 1, .temp_dir = "/tmp"}, &e, &err), LC_OK);
    for (const struct function *f = function_rows(); f->name; f++)
        if (f->example && !strstr(f->example, "F.")) /* those of Lua are run by the tests of F */
            wrong += !runs(ops, e, f);
    ops->close(e);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_sorted_and_whole),
        cmocka_unit_test(every_row_has_an_example),
        cmocka_unit_test(every_row_runs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
