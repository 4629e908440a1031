/* java_regex_test.c: what is known of a pattern before RE2 runs it, and replacements in RE2's words. tests/interop/sql_edges.txt asks a real Spark
 * what regexp_replace makes of them. */
#include "runtime/dataframe/java_regex.h"
#include "tests/support/unit.h"
#include <string.h>

static void groups_are_counted(void **state)
{
    static const struct {
        const char *pattern;
        int groups;
    } rows[] = {{"a", 0},          {"(a)", 1},       {"(?:a)(b)", 1},
                {"(?<n>a)(b)", 2}, {"\\(a\\)", 0},   {"[(](a)", 1},
                {"[]()](a)", 1},   {"((a)|(b))", 3}, {"\\Q(a)\\E(b)", 1},
                {"(?i)(a)", 1},    {"(?P<n>a)", 1},  {"[^](]", 0},
                {"(", 1},          {"[", 0}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct java_regex r;

        java_regex_read(rows[i].pattern, &r);
        if (r.groups != rows[i].groups)
            fail_msg("%s: %d groups, not %d", rows[i].pattern, r.groups, rows[i].groups);
    }
}

static void what_finds_the_empty_text_is_known(void **state)
{
    static const struct {
        const char *pattern;
        enum regex_empty empty;
        bool consumes;
    } rows[] = {
        {"a*", REGEX_ALWAYS, true},     {"a+", REGEX_NEVER, true},        {"a?b", REGEX_NEVER, true},
        {"(a|b)*", REGEX_ALWAYS, true}, {"a*|b", REGEX_ALWAYS, true},     {"a{0,3}", REGEX_ALWAYS, true},
        {"a{2}", REGEX_NEVER, true},    {"^a*", REGEX_NEVER, true},       {"^(.*)$", REGEX_NEVER, true},
        {"\\s*$", REGEX_ALWAYS, true},  {"a*$|b", REGEX_SOMETIMES, true}, {"\\b", REGEX_SOMETIMES, false},
        {"$", REGEX_ALWAYS, false},     {"", REGEX_ALWAYS, false},        {"(?m)^a*", REGEX_SOMETIMES, true},
        {"[0-9]*", REGEX_ALWAYS, true}, {"(a*)(b?)", REGEX_ALWAYS, true}, {"\\bx*", REGEX_SOMETIMES, true},
        {"^a*|b*", REGEX_ALWAYS, true}, {"\\p{L}*?", REGEX_ALWAYS, true}, {"(^|,)", REGEX_NEVER, true},
        {"^\\s*|x", REGEX_NEVER, true}, {"(?i)^a*", REGEX_NEVER, true},   {"\\Aa*", REGEX_NEVER, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct java_regex r;

        java_regex_read(rows[i].pattern, &r);
        if (r.empty != rows[i].empty || r.consumes != rows[i].consumes)
            fail_msg("'%s': empty %d, consumes %d", rows[i].pattern, (int)r.empty, r.consumes);
    }
}

static const char *replaced(const char *s, int groups, struct buf *out, struct buf *empty)
{
    buf_clear(out);
    buf_clear(empty);
    buf_puts(out, "");
    buf_puts(empty, "");
    return java_replacement(s, strlen(s), groups, out, empty);
}

static void replacements_are_those_of_re2(void **state)
{
    struct buf out = BUF_INIT(100), empty = BUF_INIT(100);

    (void)state;
    assert_null(replaced("a$1b", 1, &out, &empty));
    assert_string_equal(buf_str(&out), "a\\1b");
    assert_string_equal(buf_str(&empty), "ab");
    assert_null(replaced("$10", 1, &out, &empty)); /* the first group, and a 0 */
    assert_string_equal(buf_str(&out), "\\10");
    assert_null(replaced("\\$1\\\\", 0, &out, &empty));
    assert_string_equal(buf_str(&out), "$1\\\\");
    assert_string_equal(buf_str(&empty), "$1\\");
    assert_non_null(replaced("$1", 0, &out, &empty));
    assert_non_null(replaced("$", 1, &out, &empty));
    assert_non_null(replaced("$x", 1, &out, &empty));
    assert_non_null(replaced("a\\", 1, &out, &empty));
    assert_non_null(replaced("$12", 12, &out, &empty));
    buf_release(&out);
    buf_release(&empty);
}

static void ends_are_found_where_java_has_them(void **state)
{
    static const struct {
        const char *pattern, *out;
        bool any, nested, last;
    } rows[] = {{"ab$", "ab<>", true, false, true},
                {"a\\Z", "a<>", true, false, true},
                {"a|b$", "a|b<>", true, false, false},
                {"(a$)", "(a<>)", true, true, false},
                {"(a|b)$", "(a|b)<>", true, false, true},
                {"a$|b$", "a<>|b<>", true, false, false},
                {"a\\$", "a\\$", false, false, false},
                {"[$]", "[$]", false, false, false},
                {"\\Qa$\\E", "\\Qa$\\E", false, false, false},
                {"$a", "<>a", true, false, false},
                {"(?i)a$", "(?i)a<>", true, false, true},
                {"a\\\\$", "a\\\\<>", true, false, true},
                {"[]$]$", "[]$]<>", true, false, true},
                {"(?<m>a)$", "(?<m>a)<>", true, false, true}};
    struct buf out = BUF_INIT(100);
    struct java_ends e;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        buf_clear(&out);
        java_ends_read(rows[i].pattern, "<>", &e, &out);
        assert_string_equal(buf_str(&out), rows[i].out);
        if (e.any != rows[i].any || e.nested != rows[i].nested || e.last != rows[i].last)
            fail_msg("%s: %d %d %d", rows[i].pattern, e.any, e.nested, e.last);
    }
    java_ends_read("(?im)a$", "<>", &e, &out);
    assert_false(e.any);
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_are_counted),
        cmocka_unit_test(what_finds_the_empty_text_is_known),
        cmocka_unit_test(replacements_are_those_of_re2),
        cmocka_unit_test(ends_are_found_where_java_has_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
