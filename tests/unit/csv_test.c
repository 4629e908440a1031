/* csv_test.c: records cut into fields, and texts as values. tests/interop/test_csv.py asks a real Spark; here are doubles against the C
 * library, records that are not whole, and memory that runs out. */
#include "runtime/base/mem.h"
#include "runtime/dataframe/csv/value.h"
#include "tests/support/unit.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fields_are(const struct csv_options *o, const char *line, const char *expected)
{
    struct csv_row row = {0};
    char got[400] = "";

    assert_true(csv_line(o, line, strlen(line), &row));
    for (size_t i = 0; i < row.n; i++)
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s%.*s%s", i ? "|" : "",
                 (int)row.fields[i].len, row.fields[i].s, row.fields[i].null ? "(null)" : "");
    assert_string_equal(got, expected);
    csv_row_release(&row);
}

static void quotes_and_escapes(void **state)
{
    struct csv_options o;
    struct err err;

    (void)state;
    csv_defaults(&o);
    fields_are(&o, "a,\"b,c\",,d", "a|b,c|(null)|d");
    fields_are(&o, "\"say \\\"hi\\\"\",x", "say \"hi\"|x");
    fields_are(&o, "\"say \"\"hi\"\"\",x", "\"say \"\"hi\"\"\"|x");
    fields_are(&o, "a,", "a|(null)");
    assert_int_equal(csv_option(&o, "ESCAPE", "\"", &err), LC_OK);
    fields_are(&o, "\"say \"\"hi\"\"\",x", "say \"hi\"|x");
    assert_int_equal(csv_option(&o, "sep", "||", &err), LC_OK);
    fields_are(&o, "a||\"b||c\"||d|e", "a|b||c|d|e");
    assert_int_equal(csv_option(&o, "sep", "\\", &err), LC_ARG);
    assert_int_equal(csv_option(&o, "quote", "ab", &err), LC_ARG);
    assert_int_equal(csv_option(&o, "unescapedQuoteHandling", "BACK", &err), LC_ARG);
    assert_int_equal(csv_option(&o, "notOurs", "x", &err), LC_OK);
}

/* However a stream is cut into pieces, the records are the same. */
static void records_may_come_in_pieces(void **state)
{
    static const char text[] = "a,\"b\nc\"\r\nd,\"e \"\"f\"\"\"\r\n\r\nlast,";
    struct csv_options o;
    struct csv_row row = {0};
    struct err err;
    size_t used, records = 0;

    (void)state;
    csv_defaults(&o);
    assert_int_equal(csv_option(&o, "multiLine", "true", &err), LC_OK);
    assert_int_equal(csv_option(&o, "escape", "\"", &err), LC_OK);
    for (size_t at = 0, end = 1; at < sizeof text - 1;) {
        enum csv_got got = csv_record(&o, true, text + at, end - at, end == sizeof text - 1, &row, &used);

        if (got == CSV_MORE) {
            assert_true(++end <= sizeof text - 1);
            continue;
        }
        assert_int_equal(got, CSV_RECORD);
        assert_true(used > 0);
        if (row.n) {
            static const char *const second[] = {"b\nc", "e \"f\"", ""};

            assert_int_equal(row.n, 2);
            assert_int_equal(row.fields[1].len, strlen(second[records]));
            assert_memory_equal(row.fields[1].s, second[records], row.fields[1].len);
            records++;
        }
        at += used;
        end = end > at ? end : at + 1;
    }
    assert_int_equal(records, 3);
    csv_row_release(&row);
}

static void doubles_are_the_c_librarys(void **state)
{
    struct csv_options o;
    uint64_t seed = 88172645463325252u;
    char text[64];
    double got;

    (void)state;
    csv_defaults(&o);
    for (int i = 0; i < 200000; i++) {
        seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
        snprintf(text, sizeof text, i & 1 ? "%.*g" : "%.*e", (int)(seed % 19) + 1,
                 (double)(int64_t)seed * pow(10, (double)(seed >> 58) - 40));
        assert_true(csv_to_double(&o, text, strlen(text), &got));
        if (got != strtod(text, NULL))
            fail_msg("%s", text);
    }
    assert_false(csv_to_double(&o, "0x10", 4, &got));
    assert_false(csv_to_double(&o, "1e", 2, &got));
    assert_true(csv_to_double(&o, " NaN ", 5, &got) && isnan(got));
}

static void whole_numbers_stop_at_their_limits(void **state)
{
    static const int64_t limits[] = {INT8_MAX, INT16_MAX, INT32_MAX, INT64_MAX};
    char text[32];
    int64_t got;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        uint64_t over = (uint64_t)limits[i] + 1;

        snprintf(text, sizeof text, "%" PRId64, limits[i]);
        assert_true(csv_to_long(text, strlen(text), limits[i], &got) && got == limits[i]);
        snprintf(text, sizeof text, "%" PRIu64, over);
        assert_false(csv_to_long(text, strlen(text), limits[i], &got));
        snprintf(text, sizeof text, "-%" PRIu64, over);
        assert_true(csv_to_long(text, strlen(text), limits[i], &got) && got == -limits[i] - 1);
        snprintf(text, sizeof text, "-%" PRIu64, over + 1);
        assert_false(csv_to_long(text, strlen(text), limits[i], &got));
    }
    assert_false(csv_to_long("", 0, INT64_MAX, &got));
    assert_false(csv_to_long("-", 1, INT64_MAX, &got));
}

static void no_memory_is_said(void **state)
{
    struct csv_options o;
    struct csv_row row = {0};

    (void)state;
    csv_defaults(&o);
    for (long n = 0; n < 2; n++) {
        mem_fail_after(n);
        assert_false(csv_line(&o, "a,b", 3, &row));
        mem_fail_never();
    }
    assert_true(csv_line(&o, "a,b", 3, &row));
    csv_row_release(&row);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quotes_and_escapes),         cmocka_unit_test(records_may_come_in_pieces),
        cmocka_unit_test(doubles_are_the_c_librarys), cmocka_unit_test(whole_numbers_stop_at_their_limits),
        cmocka_unit_test(no_memory_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
