/* format_test.c: fmt against Python's own format(). */
#include "runtime/base/mem.h"
#include "runtime/base/process.h"
#include "runtime/session/format.h"
#include "tests/support/unit.h"
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reads {"specs": […], "values": [[kind, text]…]}; prints a list with format()'s answer, or null where it raises,
 * for each spec and value. */
static const char script[] = "import json,sys\n"
                             "d=json.load(sys.stdin)\n"
                             "make={'i':int,'f':float,'s':str}\n"
                             "out=[]\n"
                             "for spec in d['specs']:\n"
                             "  for kind,text in d['values']:\n"
                             "    try: out.append(format(make[kind](text),spec))\n"
                             "    except (ValueError,OverflowError,TypeError): out.append(None)\n"
                             "json.dump(out,sys.stdout)\n";

static const char *const integers[] = {"0",
                                       "1",
                                       "-1",
                                       "7",
                                       "42",
                                       "-42",
                                       "255",
                                       "1000",
                                       "-1234",
                                       "99999",
                                       "1234567",
                                       "-9223372036854775808",
                                       "9223372036854775807",
                                       "65",
                                       "8364",
                                       "1114112"};
static const char *const floats[] = {"0.0",
                                     "-0.0",
                                     "1.0",
                                     "-1.5",
                                     "0.1",
                                     "0.30000000000000004",
                                     "3.14159265358979",
                                     "100.0",
                                     "1e16",
                                     "1e15",
                                     "123456789.123",
                                     "1e-05",
                                     "0.0001",
                                     "1.5e300",
                                     "-2.5e-300",
                                     "5e-324",
                                     "inf",
                                     "-inf",
                                     "nan",
                                     "0.5",
                                     "2.5",
                                     "1234567.5",
                                     "999999.9999999",
                                     "12345.678",
                                     "1e22",
                                     "0.00012345",
                                     "-0.0004"};
static const char *const texts[] = {
    "", "a", "abc", "h\xc3\xa9llo w\xc3\xb6rld", "\xf0\x9f\x8c\x99", "long text with many characters"};

static const char *const stems[] = {"", "<", ">", "^", "=", "*<", "_>", "\xc3\xa9^", "0=", "x="};
static const char *const signs[] = {"", "+", "-", " "};
static const char *const flags[] = {"", "#", "0", "#0"};
static const char *const widths[] = {"", "1", "7", "12", "30"};
static const char *const groups[] = {"", ",", "_"};
static const char *const precisions[] = {"", ".0", ".1", ".3", ".17", ".30"};
static const char *const types[] = {"",  "b", "c", "d", "e", "E", "f", "F",
                                    "g", "G", "o", "s", "x", "X", "%", "q"};

static uint32_t next(uint32_t *state) /* the same specs each time */
{
    return *state = *state * 1664525u + 1013904223u, *state >> 8;
}

#define PICK(list) list[next(&state) % (sizeof list / sizeof *list)]

static json_t *make_specs(void)
{
    static const char *const others[] = {",,", "_,",  ".",    "5.", "10q", "{",
                                         "d5", "..2", "007d", "+s", "=5s", "<<<"};
    json_t *specs = json_array();
    uint32_t state = 1;
    char spec[64];

    for (size_t t = 0; t < sizeof types / sizeof *types; t++)
        json_array_append_new(specs, json_string(types[t]));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        json_array_append_new(specs, json_string(others[i]));
    for (int i = 0; i < 1500; i++) {
        snprintf(spec, sizeof spec, "%s%s%s%s%s%s%s", PICK(stems), PICK(signs), PICK(flags), PICK(widths),
                 PICK(groups), PICK(precisions), PICK(types));
        json_array_append_new(specs, json_string(spec));
    }
    return specs;
}

static void add_values(json_t *values, const char *kind, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        json_array_append_new(values, json_pack("[ss]", kind, list[i]));
}

static void collect(void *arg, int stream, const char *data, size_t len)
{
    if (stream == 1)
        buf_add(arg, data, len);
}

static json_t *ask_python(json_t *specs, json_t *values)
{
    const char *argv[] = {"python3", "-c", script, NULL};
    json_t *question = json_pack("{sOsO}", "specs", specs, "values", values);
    char *input = json_dumps(question, 0);
    struct buf out = BUF_INIT((size_t)1 << 28);
    struct err err;
    int status;

    if (process_run(NULL, argv, input, collect, &out, &status, &err) != LC_OK || status != 0)
        fail_msg("python3 did not answer: %s", err.message);
    json_error_t at;
    json_t *answers = json_loadb(buf_str(&out), out.len, JSON_ALLOW_NUL, &at);
    if (!answers)
        fail_msg("%s at %d: %zu bytes", at.text, at.position, out.len);
    buf_release(&out);
    free(input);
    json_decref(question);
    return answers;
}

static struct format_value value_of(json_t *pair)
{
    const char *kind = json_string_value(json_array_get(pair, 0)),
               *text = json_string_value(json_array_get(pair, 1));
    struct format_value v = {.kind = *kind == 'i'   ? FORMAT_INTEGER
                                     : *kind == 'f' ? FORMAT_FLOAT
                                                    : FORMAT_TEXT};

    v.integer = strtoll(text, NULL, 10);
    v.number = strtod(text, NULL);
    v.text = text;
    v.len = strlen(text);
    return v;
}

/* What differs on purpose: a float with an integral value is taken where an integer is wanted; integers print as the
 * doubles that they are when they are formatted as floats. */
static bool excused(const struct format_value *v, const char *spec, const char *got, const char *want)
{
    char type = *spec ? spec[strlen(spec) - 1] : 0;

    return v->kind == FORMAT_FLOAT && strchr("bcdoxX", type) && got && !want && v->number == floor(v->number);
}

static void agrees_with_python(void **state)
{
    json_t *specs = make_specs(), *values = json_array();
    size_t wrong = 0, at = 0, refused = 0;

    (void)state;
    add_values(values, "i", integers, sizeof integers / sizeof *integers);
    add_values(values, "f", floats, sizeof floats / sizeof *floats);
    add_values(values, "s", texts, sizeof texts / sizeof *texts);
    json_t *answers = ask_python(specs, values);
    assert_int_equal(json_array_size(answers), json_array_size(specs) * json_array_size(values));
    for (size_t s = 0; s < json_array_size(specs); s++)
        for (size_t i = 0; i < json_array_size(values); i++, at++) {
            const char *spec = json_string_value(json_array_get(specs, s));
            struct format_value v = value_of(json_array_get(values, i));
            const char *want = json_string_value(json_array_get(answers, at));
            struct buf out = BUF_INIT(1 << 16);
            struct err err = {0};
            const char *got =
                format_value(&out, &v, spec, strlen(spec), &err) == LC_OK ? buf_str(&out) : NULL;
            refused += !want;
            if ((got == NULL) != (want == NULL) ||
                (got && (out.len != json_string_length(json_array_get(answers, at)) ||
                         memcmp(got, want, out.len) != 0)))
                if (!excused(&v, spec, got, want) && wrong++ < 20)
                    print_error("format(%s, '%s')\n  want %s\n  got  %s\n", v.text, spec,
                                want ? want : "an error", got ? got : err.message);
            buf_release(&out);
        }
    assert_true(refused > 1000 && refused < at / 2 * 2); /* both kinds are in the test */
    assert_int_equal(wrong, 0);
    json_decref(answers);
    json_decref(specs);
    json_decref(values);
}

static void shortest_reads_back(void **state)
{
    uint32_t seed = 7;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = (uint64_t)next(&seed) << 40 ^ (uint64_t)next(&seed) << 20 ^ next(&seed);
        struct buf out = BUF_INIT(100);
        struct format_value v = {.kind = FORMAT_FLOAT};
        memcpy(&v.number, &bits, sizeof bits);
        if (!isfinite(v.number))
            continue;
        assert_int_equal(format_value(&out, &v, "", 0, NULL), LC_OK);
        assert_true(strtod(buf_str(&out), NULL) == v.number);
        buf_release(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(agrees_with_python),
                                       cmocka_unit_test(shortest_reads_back)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
