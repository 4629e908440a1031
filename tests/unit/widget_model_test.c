/* widget_model_test.c: the rows of widgets, what a key takes, and bounds. That states are those of ipywidgets is compared in
 * tests/protocol/test_widgets.py. */
#include "tests/support/unit.h"
#include "widgets/model.h"
#include <string.h>

static struct model made(const char *name)
{
    struct model m;
    struct err err;

    assert_int_equal(model_init(&m, widget_row_find(name), &err), LC_OK);
    return m;
}

static enum lc set(struct model *m, const char *key, json_t *value, bool *changed, struct err *err)
{
    return model_set(m, key, value, changed, err);
}

static void every_row_makes_a_model(void **state)
{
    (void)state;
    for (const struct widget_row *row = widget_rows; row->name; row++) {
        struct model m = made(row->name);

        assert_non_null(model_get(&m, "_model_name"));
        assert_true(strlen(m.id) == MODEL_ID - 1);
        assert_true(row->doc && *row->doc);
        if (row->style)
            assert_true(widget_row_find(row->style)->traits & WIDGET_PART);
        if (row->first && !(row->traits & (WIDGET_CHOICE | WIDGET_CHOICES)))
            assert_non_null(model_get(&m, row->first));
        if (row->traits & WIDGET_BOUNDED)
            assert_true(model_get(&m, "min") && model_get(&m, "max") && model_get(&m, "value"));
        model_release(&m);
    }
    assert_null(widget_row_find("Nothing"));
}

static void types_are_checked(void **state)
{
    static const struct {
        const char *widget, *key, *json;
        enum lc want;
    } cases[] = {
        {"IntSlider", "value", "3", LC_OK},
        {"IntSlider", "value", "3.0", LC_OK},
        {"IntSlider", "value", "3.5", LC_OK}, /* cut, as ipywidgets does */
        {"IntSlider", "value", "\"3\"", LC_OK},
        {"IntSlider", "value", "\"3x\"", LC_TRAIT},
        {"DatePicker", "value", "\"2024-02-29\"", LC_OK},
        {"DatePicker", "value", "\"2023-02-29\"", LC_TRAIT},
        {"TimePicker", "value", "\"24:00\"", LC_TRAIT},
        {"ColorPicker", "value", "\"rgb(1,2,3)\"", LC_OK},
        {"ColorPicker", "value", "\"rgb(1,2,x)\"", LC_TRAIT},
        {"IntSlider", "value", "1e300", LC_TRAIT},
        {"FloatSlider", "value", "3", LC_OK},
        {"Text", "value", "\"a\"", LC_OK},
        {"Text", "value", "null", LC_TRAIT},
        {"Text", "disabled", "true", LC_OK},
        {"Text", "disabled", "1", LC_TRAIT},
        {"Textarea", "rows", "5", LC_OK},
        {"Textarea", "rows", "null", LC_OK},
        {"Combobox", "options", "[\"a\"]", LC_OK},
        {"Combobox", "options", "{}", LC_OK},
        {"Combobox", "options", "{\"a\":1}", LC_TRAIT},
        {"Text", "nothing", "1", LC_NOTFOUND},
        {"Text", "value", "[]", LC_TRAIT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct model m = made(cases[i].widget);
        bool changed;
        struct err err;

        assert_int_equal(
            set(&m, cases[i].key, json_loads(cases[i].json, JSON_DECODE_ANY, NULL), &changed, &err),
            cases[i].want);
        model_release(&m);
    }
}

static void values_stay_in_bounds(void **state)
{
    struct model m = made("IntSlider");
    bool changed;
    struct err err;

    (void)state;
    assert_int_equal(set(&m, "value", json_integer(1000), &changed, &err), LC_OK);
    assert_true(changed);
    assert_int_equal(json_integer_value(model_get(&m, "value")), 100);
    assert_int_equal(set(&m, "value", json_integer(2000), &changed, &err), LC_OK);
    assert_false(changed);
    assert_int_equal(set(&m, "max", json_integer(50), &changed, &err), LC_OK);
    assert_int_equal(json_integer_value(model_get(&m, "value")), 50);
    assert_int_equal(set(&m, "min", json_integer(51), &changed, &err), LC_TRAIT);
    assert_int_equal(json_integer_value(model_get(&m, "min")), 0);
    model_release(&m);
    m = made("IntRangeSlider");
    assert_int_equal(set(&m, "value", json_pack("[ii]", -5, 500), &changed, &err), LC_OK);
    assert_int_equal(json_integer_value(json_array_get(model_get(&m, "value"), 0)), 0);
    assert_int_equal(json_integer_value(json_array_get(model_get(&m, "value"), 1)), 100);
    model_release(&m);
}

static void near_names_are_offered(void **state)
{
    struct model m = made("IntSlider");
    bool changed;
    struct err err;

    (void)state;
    assert_int_equal(set(&m, "vlaue", json_integer(1), &changed, &err), LC_NOTFOUND);
    assert_non_null(strstr(err.hint, "'value'"));
    model_release(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_makes_a_model),
        cmocka_unit_test(types_are_checked),
        cmocka_unit_test(values_stay_in_bounds),
        cmocka_unit_test(near_names_are_offered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
