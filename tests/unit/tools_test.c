/* tools_test.c: calls in answers that come byte by byte are those of the whole answer, and nothing that is no call is lost. */
#include "runtime/base/mem.h"
#include "runtime/serving/tools.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* Text, and calls as «name arguments». */
static void drain(struct tool_reader *r, bool last, struct buf *out)
{
    struct tool_piece piece;

    while (tool_reader_next(r, last, &piece)) {
        if (piece.name)
            buf_printf(out, "«%s %.*s»", piece.name, (int)piece.len, piece.text);
        else
            buf_add(out, piece.text, piece.len);
        mem_free(piece.name);
    }
}

static void read_in_steps(enum tool_format format, const char *answer, size_t step, const char *want)
{
    struct tool_reader r = {.format = format, .text = BUF_INIT(BUF_TEXT_MAX)};
    struct buf out = BUF_INIT(BUF_TEXT_MAX);
    size_t n = strlen(answer);

    for (size_t at = 0; at < n; at += step) {
        buf_add(&r.text, answer + at, n - at < step ? n - at : step);
        drain(&r, false, &out);
    }
    drain(&r, true, &out);
    assert_string_equal(buf_str(&out), want);
    buf_release(&out);
    tool_reader_release(&r);
}

static const struct {
    enum tool_format format;
    const char *answer, *want;
} cases[] = {
    {TOOLS_TAGGED, "a < b <tool_cal> \n", "a < b <tool_cal> \n"},
    {TOOLS_TAGGED,
     "x \n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": [1, {\"b\": \"}\\\"\"}], \"n\": "
     "1e400000}}</tool_call>\n",
     "x \n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": [1, {\"b\": \"}\\\"\"}], \"n\": "
     "1e400000}}</tool_call>\n"},
    {TOOLS_TAGGED,
     "x \n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": [1, {\"b\": \"}\\\"\"}], \"n\": "
     "1.50}}\n</tool_call>\n",
     "x«f {\"a\": [1, {\"b\": \"}\\\"\"}], \"n\": 1.50}»"},
    {TOOLS_TAGGED,
     "<tool_call>{\"name\": \"f\"}</tool_call>\n<tool_call>{\"arguments\":{},\"name\":\"g\"}</tool_call> so "
     "it is \n",
     "«f {}»«g {}»so it is"},
    {TOOLS_TAGGED, "<tool_call>{\"name\": \"\", \"arguments\": {}}</tool_call>",
     "<tool_call>{\"name\": \"\", \"arguments\": {}}</tool_call>"},
    {TOOLS_TAGGED, "<tool_call>{\"name\": \"f\", \"arguments\": \"no\"}</tool_call>",
     "<tool_call>{\"name\": \"f\", \"arguments\": \"no\"}</tool_call>"},
    {TOOLS_TAGGED, "<tool_call><tool_call>{\"name\":\"f\"}</tool_call>", "<tool_call>«f {}»"},
    {TOOLS_TAGGED, "<tool_call>", "<tool_call>"},
    {TOOLS_LIST,
     "[TOOL_CALLS] [{\"name\": \"f\", \"arguments\": {\"a\": 1}}, {\"name\": \"g\", \"arguments\": {}}]",
     "«f {\"a\": 1}»«g {}»"},
    {TOOLS_LIST, "t [TOOL_CALLS]f[CALL_ID]1[ARGS]{\"a\": 1}[TOOL_CALLS]g{}", "t«f {\"a\": 1}»«g {}»"},
    {TOOLS_LIST, "[TOOL_CALLS][{\"name\": \"f\"}] and more", "«f {}»and more"},
    {TOOLS_LIST, "[TOOL_CALLS]", "[TOOL_CALLS]"},
    {TOOLS_LIST, "[TOOL_CALLS][", "[TOOL_CALLS]["},
    {TOOLS_LIST, "a [TOOL", "a [TOOL"},
    {TOOLS_OBJECT, " {\"name\": \"f\", \"parameters\": {\"a\": 1}}; {\"name\": \"g\", \"parameters\": {}}\n",
     "«f {\"a\": 1}»«g {}»"},
    {TOOLS_OBJECT, "<|python_tag|>{\"name\": \"f\", \"parameters\": {}}", "«f {}»"},
    {TOOLS_OBJECT, "<|python_tag|>search.call()", "<|python_tag|>search.call()"},
    {TOOLS_OBJECT, "{\"name\": \"f\"}", "{\"name\": \"f\"}"},
    {TOOLS_OBJECT, "{", "{"},
    {TOOLS_OBJECT, "", ""},
    {TOOLS_NONE, "<tool_call>{}", "<tool_call>{}"},
};

static void test_steps(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t step = 1; step < 60; step++)
            read_in_steps(cases[i].format, cases[i].answer, step, cases[i].want);
}

static void test_one_call(void **state)
{
    struct tool_reader r = {.format = TOOLS_LIST, .one = true, .text = BUF_INIT(BUF_TEXT_MAX)};
    struct buf out = BUF_INIT(BUF_TEXT_MAX);

    (void)state;
    buf_puts(&r.text, "[TOOL_CALLS][{\"name\": \"f\"}, {\"name\": \"g\"}, {\"name\": \"h\"}]");
    drain(&r, true, &out);
    assert_string_equal(buf_str(&out), "«f {}»");
    buf_release(&out);
    tool_reader_release(&r);
}

static void test_formats(void **state)
{
    (void)state;
    assert_int_equal(tool_format_of("{{ messages }}"), TOOLS_NONE);
    assert_int_equal(tool_format_of("{{ tools }}"), TOOLS_UNKNOWN);
    assert_int_equal(tool_format_of("{{ tools }}<tool_call>"), TOOLS_TAGGED);
    assert_int_equal(tool_format_of("{{ tools }}<tool_call><function=f>"), TOOLS_UNKNOWN);
    assert_int_equal(tool_format_of("{{ tools }}[TOOL_CALLS]"), TOOLS_LIST);
    assert_int_equal(tool_format_of("{{ tools }}Environment: ipython"), TOOLS_OBJECT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_one_call),
        cmocka_unit_test(test_formats),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
