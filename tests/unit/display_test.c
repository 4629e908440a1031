/* display_test.c: MIME bundles, how tables look, JSON, plots. */
#include "runtime/base/mem.h"
#include "runtime/session/session_lua.h"
#include "tests/support/recorder.h"
#include "tests/support/unit.h"
#include <stdlib.h>
#include <string.h>

static void fails(struct recorder *r, const char *text, const char *part)
{
    struct cell_reply reply;

    recorder_run(r, r->session, text, &reply);
    assert_int_equal(reply.status, CELL_ERROR);
    if (!strstr(reply.evalue, part))
        fail_msg("%s: %s", text, reply.evalue);
    cell_reply_release(&reply);
}

static void looks(struct recorder *r, const char *text, const char *want)
{
    recorder_do(r, text);
    const char *got = recorder_result(r);
    if (!got || strcmp(got, want) != 0)
        fail_msg("%s\n  want %s\n  got  %s", text, want, got ? got : "nothing");
}

static const char *shown(struct recorder *r, const char *type, size_t n, const char *mime)
{
    json_t *event = recorder_event(r, type, n);

    return event ? json_string_value(json_object_get(json_object_get(event, "data"), mime)) : NULL;
}

static void tables_are_readable_and_bounded(void **state)
{
    struct recorder *r = *state;

    looks(r, "{}", "{}");
    looks(r, "{1, 'two', {3, x = false}, b = 2, a = 1, [10] = 10, ['a b'] = nil}",
          "{1, \"two\", {3, x = false}, [10] = 10, a = 1, b = 2}");
    looks(r, "{['end'] = 1, ends = 2}", "{[\"end\"] = 1, ends = 2}");
    looks(r, "{['a b'] = 1, [true] = 2, [1.5] = 3}", "{[1.5] = 3, [\"a b\"] = 1, [true] = 2}");
    looks(r, "local t = {1}; t.self = t; t", "{1, self = {… itself}}");
    looks(r, "{'line\\n\\tquote\"', '\\xff'}", "{\"line\\n\\tquote\\\"\", \"\\xFF\"}");
    looks(r, "'plain\\ntext'", "plain\ntext");
    looks(r, "{null, setmetatable({}, {__tostring = function() return 'T' end})}", "{null, T}");
    looks(r, "{{{{{{{{{}}}}}}}}}", "{{{{{{{…}}}}}}}");
    looks(r, "{first = ('x'):rep(40), second = ('y'):rep(40), third = {1, 2}}",
          "{\n  first = \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\",\n  second = "
          "\"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\",\n  third = {1, 2}\n}");
    recorder_do(r, "local t = {} for i = 1, 100000 do t[i] = i end t");
    assert_true(strlen(recorder_result(r)) < 3000);
    assert_non_null(strstr(recorder_result(r), "… 99900 more"));
    recorder_do(r, "local t = {} for i = 1, 1000 do t[i] = {} for j = 1, 100 do t[i][j] = {i, j} end end t");
    assert_true(strlen(recorder_result(r)) < 60000);
    looks(r, "1, nil, 'x'", "1\tnil\tx");
    recorder_do(r, "'\\xff'");
    assert_string_equal(recorder_result(r), "\xEF\xBF\xBD");
}

static void records_are_tables_too(void **state)
{
    struct recorder *r = *state;
    static const char *const plain[] = {
        "{}",
        "{1, 2}",
        "{{1, 2}, {3, 4}}",
        "{{a = 1}, 2}",
        "{{a = 1}, {}}",
        "{{a = 1}, n = 1}",
        "{a = {b = 1}}",
        "setmetatable({{a = 1}}, {})",
        "{{a = 1}, setmetatable({a = 2}, {__tostring = function() return 'T' end})}",
        "'text'"};
    const char *html;

    looks(r, "{{name = 'moon <b>', n = 1}, {name = 'lake', ok = {true}}}",
          "{{n = 1, name = \"moon <b>\"}, {name = \"lake\", ok = {true}}}");
    assert_string_equal(
        shown(r, "execute_result", 0, "text/html"),
        "<table class=\"dataframe\"><thead><tr><th></th><th style=\"text-align:right\">n</th>"
        "<th style=\"text-align:left\">name</th><th style=\"text-align:left\">ok</th></tr></thead><tbody>"
        "<tr><th>1</th><td style=\"text-align:right\">1</td><td style=\"text-align:left\">moon &lt;b&gt;</td>"
        "<td style=\"text-align:left\"></td></tr><tr><th>2</th><td style=\"text-align:left\"></td>"
        "<td style=\"text-align:left\">lake</td><td "
        "style=\"text-align:left\">{true}</td></tr></tbody></table>"
        "<small>2 rows × 3 columns</small>");
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        recorder_do(r, plain[i]);
        if (shown(r, "execute_result", 0, "text/html"))
            fail_msg("%s has a table", plain[i]);
    }
    recorder_do(
        r, "local t = {} for i = 1, 5000 do t[i] = {text = ('é'):rep(1000)} for j = 1, 99 do t[i]['c' .. j] "
           "= j end end "
           "display(t)");
    html = shown(r, "display_data", 0, "text/html");
    assert_non_null(html);
    assert_true(strlen(html) < 200000);
    assert_non_null(strstr(html, "5000 rows × 100 columns, the first 50 rows shown, 40 columns shown"));
}

static void displays_are_rich(void **state)
{
    struct recorder *r = *state;

    recorder_do(r, "display({1}, 'two')");
    assert_string_equal(shown(r, "display_data", 0, "text/plain"), "{1}");
    assert_string_equal(shown(r, "display_data", 1, "text/plain"), "two");
    recorder_do(
        r, "display.html('<b>x</b>') display.markdown('*x*') display.latex('$x$') display.svg('<svg/>')");
    assert_string_equal(shown(r, "display_data", 0, "text/html"), "<b>x</b>");
    assert_string_equal(shown(r, "display_data", 1, "text/markdown"), "*x*");
    assert_string_equal(shown(r, "display_data", 2, "text/latex"), "$x$");
    assert_string_equal(shown(r, "display_data", 3, "image/svg+xml"), "<svg/>");
    recorder_do(r, "display.json{a = {1, 2}}");
    json_t *data =
        json_object_get(json_object_get(recorder_event(r, "display_data", 0), "data"), "application/json");
    assert_int_equal(json_array_size(json_object_get(data, "a")), 2);
    recorder_do(r, "display.image('GIF89a\\1\\0\\1\\0\\0\\0\\0,\\0\\0\\0\\0\\1\\0\\1\\0\\0\\2\\1D\\0;')");
    assert_non_null(shown(r, "display_data", 0, "image/gif"));
    fails(r, "display.image('/etc/passwd')", "no PNG");
    fails(r, "display.image('/nowhere/x.png')", "'/nowhere/x.png'");
    recorder_do(
        r, "display.mime({['text/html'] = 'h', ['application/x+json'] = {1}}, {['text/html'] = {isolated = "
           "true}})");
    assert_string_equal(shown(r, "display_data", 0, "text/html"), "h");
    fails(r, "display.mime{['text/html'] = 5}", "must be a string");
    fails(r, "display.mime{5}", "MIME type");
    looks(r,
          "setmetatable({}, {__mimebundle = function() return {['text/plain'] = 'P', ['text/html'] = 'H'} "
          "end})",
          "P");
    assert_string_equal(shown(r, "execute_result", 0, "text/html"), "H");
    fails(r, "display(setmetatable({}, {__mimebundle = function() error('broken') end}))", "broken");
    recorder_do(r, "clear_output(true)");
    assert_true(json_is_true(json_object_get(recorder_event(r, "clear_output", 0), "wait")));
}

static const char *display_id(struct recorder *r, const char *type)
{
    return json_string_value(
        json_object_get(json_object_get(recorder_event(r, type, 0), "transient"), "display_id"));
}

static void displays_are_updated_by_id(void **state)
{
    struct recorder *r = *state;

    recorder_do(r, "local h = display('a', {display_id = true}); h:update('b')");
    assert_non_null(display_id(r, "display_data"));
    assert_string_equal(display_id(r, "display_data"), display_id(r, "update_display_data"));
    assert_string_equal(shown(r, "update_display_data", 0, "text/plain"), "b");
    recorder_do(r, "display('x', {display_id = 'mine'}); update_display('y', {display_id = 'mine'})");
    assert_string_equal(display_id(r, "update_display_data"), "mine");
    fails(r, "update_display('y', {})", "display_id");
    recorder_do(r, "display({a = 1}, {b = 2})"); /* a second table is no option */
    assert_string_equal(shown(r, "display_data", 1, "text/plain"), "{b = 2}");
}

static void json_goes_both_ways(void **state)
{
    struct recorder *r = *state;

    looks(r, "json.encode{1, 2.5, 'x', true, null, {a = {}}, json.array{}}",
          "[1,2.5,\"x\",true,null,{\"a\":{}},[]]");
    looks(r, "json.encode({b = 1, a = 2}, {sort_keys = true})", "{\"a\":2,\"b\":1}");
    looks(r, "json.encode({1, 2}, {indent = true})", "[\n  1,\n  2\n]");
    looks(r,
          "local t = json.decode('{\"a\": [1, 2.5, null, {\"b\": \"\\\\u00e9\"}], \"e\": []}'); "
          "math.type(t.a[1]), t.a[2], t.a[3] == null, t.a[4].b, json.encode(t.e)",
          "integer\t2.5\ttrue\t\xc3\xa9\t[]");
    looks(r, "json.encode('\\xff')", "\"\xEF\xBF\xBD\"");
    looks(r,
          "json.encode{[1] = 'a', [3] = 'c'} == '{\"1\":\"a\",\"3\":\"c\"}' or json.encode{[1] = 'a', [3] = "
          "'c'} == "
          "'{\"3\":\"c\",\"1\":\"a\"}'",
          "true");
    looks(r, "json.encode(1/0)", "null");
    fails(r, "json.encode(print)", "cannot make JSON of a function");
    fails(r, "local t = {} t.t = t json.encode(t)", "contains itself");
    fails(r, "json.encode{[true] = 1}", "neither texts nor integers");
    fails(r, "json.decode('[1,')", "line 1");
    fails(r, "json.decode(('['):rep(100000))", "cannot decode JSON");
}

static void names_are_formatted(void **state)
{
    struct recorder *r = *state;

    looks(r, "local lr = 0.001; fmt('{lr:.1e} {}', 'a')", "1.0e-03 a");
    looks(r, "fmt('{lr}')", "0.001");
    looks(r, "(function(x) local y = 2 return fmt('{x} {y} {lr}') end)(1)", "1 2 0.001");
    looks(r, "fmt('{a.b[1]} {n:,}', {a = {b = {7}}, n = 1234})", "7 1,234");
    looks(r, "fmt('{:.2f} {x}', 3.14159, {x = 1})", "3.14 1");
    looks(r, "fmt('{0} {1} {0}', 1, 2)", "1 2 1");
    looks(r, "fmt('{:>{}}|{:{w}}|', 'ab', 5, 'c', {w = 3})", "   ab|c  |");
    looks(r, "fmt('{{}} {!r} {!s:>4}', 'q', 5)", "{} \"q\"    5");
    looks(r, "fmt('{} {}', {'a', 'b'}, {x = 1})", "{\"a\", \"b\"} {x = 1}");
    looks(r, "select(2, pcall(fmt, '{:.1f}', nil)).message",
          "fmt: unsupported format string passed to a value of type nil in \"{:.1f}\"");
    looks(r, "fmt('{} {} {}', nil, true, {1} == nil)", "nil true false");
    looks(r, "fmt('{}', setmetatable({}, {__format = function(self, spec) return 'F' .. spec end}))", "F");
    looks(r, "fmt('{:x1}', setmetatable({}, {__format = function(self, spec) return 'F' .. spec end}))",
          "Fx1");
    fails(r, "fmt('{:q}', 1)", "Unknown format code 'q'");
    fails(r, "fmt('{')", "Single '{'");
    fails(r, "fmt('}')", "Single '}'");
    fails(r, "fmt('{')", "\"{\"");
    fails(r, "fmt('{} {}', 1)", "no argument for field 1");
    fails(r, "fmt('{} {0}', 1)", "cannot switch");
    fails(r, "fmt('{x!z}', {x = 1})", "unknown conversion");
    fails(r, "fmt('{:d}', 1.5)", "Unknown format code 'd'");
}

static void plots_are_vega_and_text(void **state)
{
    struct recorder *r = *state;
    json_t *vega, *values;

    recorder_do(r, "plot.line{x = {1, 2, 3}, y = {loss = {3, 2, 1}, acc = {1, 2, 3}}, title = 'T'}");
    vega = json_object_get(json_object_get(recorder_event(r, "execute_result", 0), "data"),
                           "application/vnd.vegalite.v5+json");
    values = json_object_get(json_object_get(vega, "data"), "values");
    assert_int_equal(json_array_size(values), 6);
    assert_string_equal(json_string_value(json_object_get(json_object_get(vega, "mark"), "type")), "line");
    assert_non_null(strstr(recorder_result(r), "loss"));
    assert_non_null(strstr(recorder_result(r), "\u2500"));
    recorder_do(r, "plot.bar{apples = 3, pears = 6}");
    assert_non_null(strstr(recorder_result(r), "apples \u2502"));
    recorder_do(r, "plot.hist{1, 1, 1, 2, 5, bins = 4}");
    vega = json_object_get(json_object_get(recorder_event(r, "execute_result", 0), "data"),
                           "application/vnd.vegalite.v5+json");
    values = json_object_get(json_object_get(vega, "data"), "values");
    assert_int_equal(json_array_size(values), 4);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(values, 0), "y")), 3);
    recorder_do(r, "plot.scatter({1, 4, 9}, {title = 'squares'})");
    recorder_do(r, "plot.line{0/0, 1/0, 5}");
    fails(r, "plot.line{}", "no values to draw");
    fails(r, "plot.line{x = {1}, y = {1, 2}}", "x has 1 values and y has 2");
    fails(r, "plot.hist{}", "finite numbers");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tables_are_readable_and_bounded, recorder_set_up, recorder_tear_down),
        cmocka_unit_test_setup_teardown(records_are_tables_too, recorder_set_up, recorder_tear_down),
        cmocka_unit_test_setup_teardown(displays_are_rich, recorder_set_up, recorder_tear_down),
        cmocka_unit_test_setup_teardown(displays_are_updated_by_id, recorder_set_up, recorder_tear_down),
        cmocka_unit_test_setup_teardown(json_goes_both_ways, recorder_set_up, recorder_tear_down),
        cmocka_unit_test_setup_teardown(names_are_formatted, recorder_set_up, recorder_tear_down),
        cmocka_unit_test_setup_teardown(plots_are_vega_and_text, recorder_set_up, recorder_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
