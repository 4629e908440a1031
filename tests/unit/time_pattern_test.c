/* time_pattern_test.c: texts of times by patterns of Java. tests/interop/sql_edges.txt asks a real Spark; here are widths, brackets and quotes one by
 * one, and that what is written is read again as what it was. */
#include "runtime/dataframe/time_pattern.h"
#include "tests/support/unit.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const int64_t moment = INT64_C(1709647567123456); /* 2024-03-05 14:06:07.123456 */

static enum time_result read_as(const char *text, const char *pattern, struct time_read *out)
{
    struct time_pattern p;

    assert_true(time_pattern_make(&p, pattern, strlen(pattern), true));
    return time_pattern_read(&p, text, strlen(text), out);
}

static void reads(const char *text, const char *pattern, int64_t micros)
{
    struct time_read r;

    assert_int_equal(read_as(text, pattern, &r), TIME_READ);
    if (r.micros != micros)
        fail_msg("'%s' by '%s': %" PRId64 ", not %" PRId64, text, pattern, r.micros, micros);
}

static void is_none(const char *text, const char *pattern)
{
    struct time_read r;

    assert_int_equal(read_as(text, pattern, &r), TIME_NONE);
}

static void writes(const char *pattern, const char *expected)
{
    const struct time_written t = {.micros = moment, .offset = 19800, .zone = "Asia/Kolkata", .zone_len = 12};
    struct buf out = BUF_INIT(400);
    struct time_pattern p;

    assert_true(time_pattern_make(&p, pattern, strlen(pattern), false));
    assert_true(time_pattern_write(&p, &t, &out));
    assert_string_equal(buf_str(&out), expected);
    buf_release(&out);
}

static bool is_pattern(const char *pattern, bool reading)
{
    struct time_pattern p;

    return time_pattern_make(&p, pattern, strlen(pattern), reading);
}

static void numbers_are_as_wide_as_their_letters(void **state)
{
    const int64_t day = INT64_C(86400000000), first = 19756 * day; /* 2024-02-03 */

    (void)state;
    reads("2024-02-03", "yyyy-MM-dd", first);
    is_none("2024-2-3", "yyyy-MM-dd");
    is_none("12024-02-03", "yyyy-MM-dd");
    reads("+12024-02-03", "yyyy-MM-dd", first + INT64_C(3652425) * day);
    is_none("+2024-02-03", "yyyy-MM-dd");
    reads("2024-2-3", "yyyy-M-d", first);
    reads("20240203", "yyyyMMdd", first);
    reads("3 FEBRUARY 24", "d MMMM yy", first);
    reads("2024-034", "yyyy-DDD", first);
    is_none("2023-366", "yyyy-DDD");
    is_none("2024-02-30", "yyyy-MM-dd");
    is_none("2024-02-03 ", "yyyy-MM-dd");
}

static void hours_are_of_a_day_or_of_a_half(void **state)
{
    const int64_t hour = INT64_C(3600000000);

    (void)state;
    reads("24", "kk", 0);
    is_none("24", "HH");
    reads("12 am", "hh a", 0);
    reads("12", "hh", 0);
    reads("11 PM", "hh a", 23 * hour);
    reads("PM", "a", 12 * hour);
    is_none("14 AM", "HH a");
    reads("00:00:00.5", "HH:mm:ss.SSS", 500000);
    is_none("00:00:00.", "HH:mm:ss.SSS");
    is_none("00:00:00.1234", "HH:mm:ss.SSS");
}

static void zones_are_kept(void **state)
{
    struct time_read r;

    (void)state;
    assert_int_equal(read_as("10:11+05:30", "HH:mmXXX", &r), TIME_READ);
    assert_true(r.has_offset);
    assert_int_equal(r.offset, 19800);
    assert_int_equal(read_as("10:11z", "HH:mmX", &r), TIME_READ);
    assert_int_equal(r.offset, 0);
    assert_int_equal(read_as("10:11GMT-8", "HH:mmO", &r), TIME_READ);
    assert_int_equal(r.offset, -28800);
    assert_int_equal(read_as("10:11 PST", "HH:mm z", &r), TIME_UNKNOWN);
    is_none("10:11+24:00", "HH:mmXXX");
    is_none("10:11 UTC+1", "HH:mm VV");
}

static void brackets_may_be_left_out(void **state)
{
    (void)state;
    reads("10", "HH[:mm[:ss]]", INT64_C(36000000000));
    reads("10:01", "HH[:mm[:ss]]", INT64_C(36060000000));
    reads("10:01:02", "HH[:mm[:ss]]", INT64_C(36062000000));
    is_none("10:01:", "HH[:mm[:ss]]");
    writes("HH[:mm]", "14:06");
    assert_false(is_pattern("HH]", true));
    assert_true(is_pattern("[HH", true));
    assert_false(is_pattern("[[[[[[[[[HH", true)); /* deeper than there is room for */
}

static void quotes_are_text(void **state)
{
    (void)state;
    writes("'it''s' ''yy''", "it's '24'");
    writes("h 'o''clock' a", "2 o'clock PM");
    reads("10 o'clock", "HH 'O''Clock'", INT64_C(36000000000));
    assert_false(is_pattern("HH 'open", true));
}

static void letters_are_written(void **state)
{
    (void)state;
    writes("yyyy y yy yyyyyy M MMM MMMM", "2024 2024 24 002024 3 Mar March");
    writes("E EEEE D DDD Q QQQ qqqq G GGGG", "Tue Tuesday 65 065 1 Q1 1st quarter AD Anno Domini");
    writes("H k K h a m s SSS SSSSSSSSS", "14 14 2 2 PM 6 7 123 123456000");
    writes("X XX XXX XXXXX x xx xxx Z ZZZZ ZZZZZ O OOOO VV",
           "+0530 +0530 +05:30 +05:30 +0530 +0530 +05:30 +0530 GMT+05:30 +05:30 GMT+5:30 GMT+05:30 "
           "Asia/Kolkata");
}

static void others_are_refused(void **state)
{
    static const char *const bad[] = {"YYYY", "w", "nn", "A", "B", "MMMMM", "yyyyyyy",
                                      "ddd",  "V", "OO", "{", "}", "#"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(is_pattern(bad[i], false));
    assert_true(is_pattern("E", false));
    assert_false(is_pattern("E", true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_as_wide_as_their_letters),
        cmocka_unit_test(hours_are_of_a_day_or_of_a_half),
        cmocka_unit_test(zones_are_kept),
        cmocka_unit_test(brackets_may_be_left_out),
        cmocka_unit_test(quotes_are_text),
        cmocka_unit_test(letters_are_written),
        cmocka_unit_test(others_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
