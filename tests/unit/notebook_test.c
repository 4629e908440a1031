/* notebook_test.c: parameters as papermill reads them, and their Lua form. */
#include "runtime/base/buf.h"
#include "runtime/notebook/parameters.h"
#include "tests/support/unit.h"
#include <string.h>

static void command_line_values_have_types(void **state)
{
    static const struct {
        const char *text;
        json_type type;
    } rows[] = {{"5", JSON_INTEGER},         {"-3", JSON_INTEGER},     {"2e-4", JSON_REAL},
                {"0.5", JSON_REAL},          {"true", JSON_TRUE},      {"False", JSON_FALSE},
                {"None", JSON_NULL},         {"null", JSON_NULL},      {"[1, 2]", JSON_ARRAY},
                {"{\"a\": 1}", JSON_OBJECT}, {"nan", JSON_OBJECT},     {"-Infinity", JSON_OBJECT},
                {"nancy", JSON_STRING},      {"0x10", JSON_STRING},    {"", JSON_STRING},
                {"1.2.3", JSON_STRING},      {"[broken", JSON_STRING}, {"path/to", JSON_STRING},
                {"1_000", JSON_INTEGER},     {" 5 ", JSON_INTEGER},    {"-1_0.5e1_0", JSON_REAL},
                {"1e400", JSON_OBJECT},      {"1__0", JSON_STRING},    {"_1", JSON_STRING},
                {"1_", JSON_STRING},         {"1_.5", JSON_STRING},    {" ", JSON_STRING},
                {"1 000", JSON_STRING}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *value = parameter_value(rows[i].text);
        if (json_typeof(value) != rows[i].type)
            fail_msg("'%s' has type %d", rows[i].text, (int)json_typeof(value));
        json_decref(value);
    }
}

static void injected_cell_is_lua(void **state)
{
    static const char text[] =
        "{\"nbformat\": 4, \"cells\": [{\"cell_type\": \"code\", \"source\": \"n = 1\","
        " \"metadata\": {\"tags\": [\"parameters\"]}}]}";
    json_t *params = json_pack("{s:i, s:s, s:[i,b], s:n, s:f}", "n", 7, "my name", "a\"\n\xc3\xa9", "list", 1,
                               0, "none", "real", 0.5);
    struct buf source = BUF_INIT(10000);
    struct notebook *nb;
    struct err err;

    (void)state;
    assert_int_equal(notebook_parse(text, strlen(text), "test", &nb, &err), LC_OK);
    assert_int_equal(parameters_inject(params, nb, &err), LC_OK);
    assert_int_equal(notebook_cell_count(nb), 2);
    cell_source(notebook_cell(nb, 1), &source);
    assert_string_equal(buf_str(&source),
                        "-- Parameters\nn = 7\n_G[\"my name\"] = \"a\\\"\\010\xc3\xa9\"\nlist = {1, false}\n"
                        "none = nil\nreal = 0.5");
    assert_true(cell_has_tag(notebook_cell(nb, 1), "injected-parameters"));
    buf_release(&source);
    notebook_free(nb);
    json_decref(params);
}

static void says_unknown(const char *text, const char *name, const char *expected)
{
    struct buf out = BUF_INIT(1 << 16);
    json_t *params = json_pack("{s:i}", name, 1);
    struct notebook *nb;
    struct err err;

    assert_int_equal(notebook_parse(text, strlen(text), "test", &nb, &err), LC_OK);
    parameters_unknown(params, nb, &out);
    assert_string_equal(buf_str(&out), expected);
    notebook_free(nb);
    json_decref(params);
    buf_release(&out);
}

#define CELL(source) "{\"cell_type\": \"code\", \"source\": \"" source "\"}"
#define PARAMETERS(source)                                                                                   \
    "{\"cell_type\": \"code\", \"metadata\": {\"tags\": [\"parameters\"]}, \"source\": \"" source "\"}"
#define NOTEBOOK(cells) "{\"nbformat\": 4, \"cells\": [" cells "]}"

static void unknown_parameters_are_told(void **state)
{
    static const char with_cell[] = NOTEBOOK(PARAMETERS(
        "local epochs, rate <const> = 1, {inner = 2}\\nseed = f(other)") "," CELL("epoch = epochs"));
    static const char without[] =
        NOTEBOOK(CELL("print(type(epochs), 0)") "," CELL("dbutils.widgets.text('day', '1')"));

    (void)state;
    says_unknown(with_cell, "epochs", "");
    says_unknown(with_cell, "rate", "");
    says_unknown(with_cell, "seed", "");
    says_unknown(with_cell, "epoch", "the notebook knows no parameter 'epoch'; did you mean 'epochs'?\n");
    says_unknown(with_cell, "inner", "the notebook knows no parameter 'inner'\n");
    says_unknown(with_cell, "other", "the notebook knows no parameter 'other'\n");
    says_unknown(without, "epochs", "");
    says_unknown(without, "day", "");
    says_unknown(without, "days", "the notebook knows no parameter 'days'; did you mean 'day'?\n");
    says_unknown(without, "types", "the notebook knows no parameter 'types'\n"); /* type is no parameter */
    says_unknown(without, "O", "the notebook knows no parameter 'O'\n");
}

static void paths_take_values_of_parameters(void **state)
{
    static const struct {
        const char *template, *path; /* NULL: refused */
    } rows[] = {{"out.ipynb", "out.ipynb"}, {"o/{lr}-{name}.ipynb", "o/0.001-a_b.ipynb"},
                {"{{lr}}", "{lr}"},         {"{n}{n}", "77"},
                {"{nn}.ipynb", NULL},       {"a{", "a{"}};
    json_t *params = json_pack("{s:f, s:s, s:i}", "lr", 0.001, "name", "a/b", "n", 7);

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out = BUF_INIT(1000);
        struct err err;
        enum lc rc = parameters_path(rows[i].template, params, &out, &err);
        assert_int_equal(rc, rows[i].path ? LC_OK : LC_ARG);
        if (rows[i].path)
            assert_string_equal(buf_str(&out), rows[i].path);
        else
            assert_non_null(strstr(err.hint, "{n}"));
        buf_release(&out);
    }
    json_decref(params);
}

static void widgets_need_no_injected_cell(void **state)
{
    static const char text[] = "{\"nbformat\": 4, \"cells\": [{\"cell_type\": \"code\", \"source\": "
                               "\"dbutils.widgets.text( 'n', '1')\\ndbutils.widgets.text{name = 'm'}\"}]}";
    static const char *const names[] = {"n", "m", "other"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        json_t *params = json_pack("{s:i}", names[i], 2);
        struct notebook *nb;
        struct err err;
        assert_int_equal(notebook_parse(text, strlen(text), "test", &nb, &err), LC_OK);
        assert_int_equal(parameters_inject(params, nb, &err), LC_OK);
        assert_int_equal(notebook_cell_count(nb), i == 2 ? 2 : 1);
        notebook_free(nb);
        json_decref(params);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(command_line_values_have_types), cmocka_unit_test(injected_cell_is_lua),
        cmocka_unit_test(unknown_parameters_are_told), cmocka_unit_test(paths_take_values_of_parameters),
        cmocka_unit_test(widgets_need_no_injected_cell)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
