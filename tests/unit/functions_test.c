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

/* Arguments for functions that want more than a letter says. */
static const struct {
    const char *name, *args; /* SQL-like shorthand, one letter each; see value() */
} special_args[] = {
    {"add_months", "Di"},
    {"aggregate", "A0"},
    {"array_contains", "Ai"},
    {"array_append", "Ai"},
    {"array_prepend", "Ai"},
    {"array_position", "Ai"},
    {"array_remove", "Ai"},
    {"bit_count", "i"},
    {"format_number", "d1"},
    {"arrays_zip", "AA"},
    {"concat_ws", "ss"},
    {"conv", "siI"},
    {"date_format", "TP"},
    {"date_trunc", "UT"},
    {"div", "ii"},
    {"element_at", "A1"},
    {"elt", "1ss"},
    {"explode", "A"},
    {"explode_outer", "A"},
    {"flatten", "B"},
    {"format_string", "Fs"},
    {"printf", "Fs"},
    {"from_json", "JS"},
    {"from_unixtime", "lP"},
    {"from_utc_timestamp", "TZ"},
    {"get_json_object", "JK"},
    {"inline", "C"},
    {"json_array_length", "s"},
    {"make_date", "yii"},
    {"make_timestamp", "yiiiid"},
    {"map_from_entries", "C"},
    {"named_struct", "Gi"},
    {"next_day", "DW"},
    {"posexplode", "A"},
    {"posexplode_outer", "A"},
    {"sequence", "ii"},
    {"sha2", "s2"},
    {"size", "A"},
    {"cardinality", "A"},
    {"to_utc_timestamp", "TZ"},
    {"to_date", "D"},
    {"to_timestamp", "T"},
    {"trunc", "DU"},
    {"try_element_at", "A1"},
    {"try_to_date", "D"},
    {"try_to_timestamp", "T"},
    {"unix_timestamp", "T"},
    {"to_unix_timestamp", "T"},
    {"width_bucket", "dddi"},
    {"percentile", "dh"},
    {"percentile_approx", "dh"},
    {"approx_percentile", "dh"},
    {"unhex", "X"},
    {"unbase64", "Q"},
    {"map_contains_key", "Ms"},
    {"decode", "xs"},
    {"encode", "ss"},
    {"array_join", "As"},
    {"when", "bs"},
    {"if", "bss"},
    {"in", "ii"},
    {"reverse", "s"},
    {"factorial", "i"},
    {"shiftright", "ii"},
    {"raise_error", NULL},
    {"assert_true", "b"},
    {"create_map", "si"},
    {"map", "si"},
    {"array_union", "AA"},
    {"array_intersect", "AA"},
    {"array_except", "AA"},
    {"arrays_overlap", "AA"},
    {"map_concat", "M"},
    {"hex", "i"},
    {"split_part", "ss1"},
    {"overlay", "ss1"},
    {"grouping", NULL},
    {"exists", "Ab"},
    {"forall", "Ab"},
    {"filter", "Ab"},
    {"transform", "Ab"},
    {"reduce", "A0"},
    {"&", "ii"},
    {"|", "ii"},
    {"^", "ii"},
    {"+", "ii"},
    {"-", "ii"},
    {"*", "ii"},
    {"/", "ii"},
    {"%", "ii"},
    {"mod", "ii"},
    {"pmod", "ii"},
    {"try_add", "ii"},
    {"try_subtract", "ii"},
    {"try_multiply", "ii"},
    {"try_mod", "ii"},
    {"array_repeat", "si"},
    {"regexp_extract", "sR1"},
    {"regexp_extract_all", "sR1"},
    {"lag", "i1"},
    {"lead", "i1"},
    {"nth_value", "i1"},
    {"sort_array", "Ab"},
    {"months_between", "TTb"},
    {"map_from_arrays", "HA"},
    {"try_divide", "dd"},
    {"bin", "l"},
    {"ntile", "1"},
    {"bucket", NULL}, /* only in partitionedBy */
    {"days", NULL},
    {"hours", NULL},
    {"months", NULL},
    {"years", NULL},
    {"inline_outer", "C"},
    {"json_tuple", "Js"},
    {"with_field", NULL},
    {"drop_fields", NULL},
    {"lua_udf", NULL},
    {"lua_expression", NULL},
    {"hll_union_agg", NULL},
    {"theta_union_agg", NULL},
    {"theta_intersection_agg", NULL},
    {"tuple_union_agg_double", NULL},
    {"tuple_union_agg_integer", NULL},
    {"tuple_intersection_agg_double", NULL},
    {"tuple_intersection_agg_integer", NULL},
    {"kll_merge_agg_bigint", NULL},
    {"kll_merge_agg_double", NULL},
    {"kll_merge_agg_float", NULL},
    {"stack", "1ii"},
    {"window", NULL}, /* in the tests of Spark's examples */
    {"session_window", NULL},
    {"window_time", NULL},
    {"timestampadd", NULL},
    {"localtime", NULL},
    {"timestampdiff", NULL},
    {"time_bucket", NULL},
    {"schema_of_variant", NULL},
    {"format_string", "Fs"},
    {"grouping_id", NULL},
    {"collect_union", "A"},
    {"uniform", "i1"},
    {"counter_diff", "i"},
    {"vector_avg", NULL},
    {"vector_sum", NULL},
    {"randstr", "1"},
    {"shuffle", "A"},
    {"find_in_set", "ss"},
};

static struct expr *text(const char *s)
{
    return expr_string(s, strlen(s));
}

static struct expr *column(const char *name)
{
    return expr_column(name);
}

static struct expr *pair(void)
{
    return expr_call("named_struct", false, (struct expr *[]){text("a"), expr_int(1), text("b"), text("x")},
                     4);
}

static struct expr *lambda(const char *name)
{
    static const char *const one[] = {"x"}, *const two[] = {"a", "x"};

    if (strcmp(name, "aggregate") == 0 || strcmp(name, "reduce") == 0)
        return expr_lambda(two, 2, expr_binary("+", expr_variable("a"), expr_variable("x")));
    if (strcmp(name, "transform") == 0)
        return expr_lambda(one, 1, expr_binary("+", expr_variable("x"), expr_int(1)));
    return expr_lambda(one, 1, expr_binary(">", expr_variable("x"), expr_int(1)));
}

static struct expr *value(const char *name, char letter)
{
    switch (letter) {
    case 'i':
        return column("i");
    case 'I':
        return expr_int(16);
    case '0':
        return expr_int(0);
    case '1':
        return expr_int(1);
    case '2':
        return expr_int(256);
    case 'y':
        return expr_int(2024);
    case 'l':
        return expr_cast(column("i"), dtype_of(DTYPE_LONG), false);
    case 'd':
    case 'n':
        return expr_cast(column("i"), dtype_of(DTYPE_DOUBLE), false);
    case 'h':
        return expr_double(0.5);
    case 'b':
        return expr_binary(">", column("i"), expr_int(0));
    case 'D':
        return column("d");
    case 'T':
        return column("t");
    case 'A':
    case 'e':
        return expr_call("array", false, (struct expr *[]){column("i"), expr_int(2)}, 2);
    case 'B':
        return expr_unary("array", value(name, 'A'));
    case 'C':
        return expr_unary("array", pair());
    case 'S':
        return text("a INT");
    case 'M':
        return expr_call("map", false, (struct expr *[]){text("k"), expr_int(1)}, 2);
    case 'J':
        return text("{\"a\":1}");
    case 'K':
        return text("$.a");
    case 'P':
        return text("yyyy-MM-dd");
    case 'U':
        return text("month");
    case 'W':
        return text("Mon");
    case 'Z':
        return text("Asia/Tokyo");
    case 'X':
        return text("4142");
    case 'Q':
        return text("YWJj");
    case 'F':
        return text("%s");
    case 'G':
        return text("name");
    case 'H':
        return expr_call("array", false, (struct expr *[]){expr_int(7), expr_int(8)}, 2);
    case 'R':
        return text("(a)");
    case 'x':
        return expr_cast(column("s"), dtype_of(DTYPE_BINARY), false);
    case '=':
        return column("i");
    default:
        return column("s");
    }
}

/* Another row of that name has one. */
static bool has_example(const char *name)
{
    for (const struct function *f = function_named(name); f && f->name && strcmp(f->name, name) == 0; f++)
        if (f->example)
            return true;
    return false;
}

static size_t arguments(const struct function *f, struct expr **out)
{
    const char *given = NULL;
    bool listed = false;
    size_t n = (size_t)f->min;

    for (size_t i = 0; i < sizeof special_args / sizeof *special_args; i++)
        if (strcmp(special_args[i].name, f->name) == 0) {
            given = special_args[i].args;
            listed = true;
        }
    if ((listed && !given) || (!listed && has_example(f->name)))
        return SIZE_MAX;
    if (given && strlen(given) < n && strcmp(f->in, "A*") != 0 && f->max != (int)n)
        n = (size_t)f->min;
    if (given && (f->max < 0 || strlen(given) <= (size_t)f->max) && strlen(given) >= n)
        n = strlen(given);
    for (size_t i = 0; i < n; i++) {
        size_t last = strlen(f->in);
        char letter = given && i < strlen(given) ? given[i] : (last ? f->in[i < last ? i : last - 1] : '*');

        out[i] = value(f->name, letter);
    }
    if (f->in[0] == 'A' && f->in[1] == '*') { /* lambdas */
        size_t at = strcmp(f->name, "aggregate") == 0 || strcmp(f->name, "reduce") == 0 ? 2 : 1;

        if (at < n)
            expr_unref(out[at]);
        out[at] = lambda(f->name);
        n = at + 1;
    }
    return n;
}

/* One row with an integer, a text, a date and a timestamp. */
static const struct plan *one_row(void)
{
    static const char *const names[] = {"i", "s", "d", "t"};
    struct expr *cells[] = {expr_int(2), text("a1"), expr_temporal(DTYPE_DATE, 19000),
                            expr_temporal(DTYPE_TIMESTAMP, 1700000000000000)};

    return plan_values(cells, 1, 4, names);
}

/* Runs one function and compares DuckDB's type of its result with the type that the encoder said it has. */
static bool runs(const struct engine_ops *ops, struct engine *e, const struct function *f)
{
    struct expr *args[16], *x;
    size_t n = arguments(f, args);
    const struct plan *p;
    struct ArrowArrayStream rows = {0};
    struct ArrowArray batch = {0};
    struct err err = {0};
    enum lc code;

    x = NULL;
    if (f->example) {
        while (n != SIZE_MAX && n > 0)
            expr_unref(args[--n]);
        if (sql_parse_expression(f->example, strlen(f->example), &x, &err) != LC_OK) {
            print_message("%s: %s\n", f->example, err.message);
            return false;
        }
    } else if (n == SIZE_MAX) {
        return true;
    } else {
        x = expr_call(f->name, false, args, n);
    }
    if (f->kind == FUNCTION_WINDOW)
        x = expr_window(x, NULL, 0, (struct expr *[]){expr_sort_default(column("i"))}, 1);
    p = plan_project(one_row(), &x, 1);
    assert_non_null(p);
    code = ops->execute(e, NULL, p, &rows, &err);
    if (code == LC_OK && rows.get_next(&rows, &batch) != 0)
        code = err_set(&err, LC_RUNTIME, "%s", rows.get_last_error(&rows));
    if (batch.release)
        batch.release(&batch);
    if (rows.release)
        rows.release(&rows);
    plan_unref(p);
    if (code != LC_OK)
        print_message("%s (%zu arguments): %s\n    %s\n", f->name, n, err.message, err.cause);
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
        wrong += !runs(ops, e, f);
    ops->close(e);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_sorted_and_whole),
        cmocka_unit_test(every_row_runs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
