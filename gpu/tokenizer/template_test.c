/* template_test.c: what stands behind `is` in templates; the table is at the end. */
#include "gpu/tokenizer/template_int.h"
#include <math.h>
#include <string.h>

#define TEST(name, expression)                                                                               \
    static bool name(struct render *r, const struct value *in, const struct args *a, struct value *out)      \
    {                                                                                                        \
        (void)r, (void)a;                                                                                    \
        *out = v_bool(expression);                                                                           \
        return true;                                                                                         \
    }

TEST(t_defined, in->kind != V_UNDEFINED)
TEST(t_undefined, in->kind == V_UNDEFINED)
TEST(t_none, in->kind == V_NONE)
TEST(t_boolean, in->kind == V_BOOL)
TEST(t_true, in->kind == V_BOOL && in->as.b)
TEST(t_false, in->kind == V_BOOL && !in->as.b)
TEST(t_integer, in->kind == V_INT)
TEST(t_float, in->kind == V_FLOAT)
TEST(t_number, is_number(in))
TEST(t_string, in->kind == V_STRING)
TEST(t_mapping, in->kind == V_DICT)
TEST(t_sequence, in->kind == V_STRING || in->kind == V_LIST || in->kind == V_DICT || in->kind == V_UNDEFINED)
TEST(t_callable,
     in->kind == V_MACRO || in->kind == V_FUNCTION || in->kind == V_METHOD || in->kind == V_UNDEFINED)
/* What is left when a number is divided, without its sign; NAN: it is none. */
static double left_of(const struct value *v, int64_t by)
{
    if (!is_number(v) || by == 0)
        return NAN;
    if (v->kind == V_FLOAT)
        return fabs(fmod(v->as.f, (double)by));
    return by == -1 ? 0 : fabs((double)((v->kind == V_INT ? v->as.i : v->as.b) % by));
}

TEST(t_odd, left_of(in, 2) == 1)
TEST(t_even, left_of(in, 2) == 0)
TEST(t_equal, a->n > 0 && v_equal(in, &a->items[0]))
TEST(t_unequal, a->n > 0 && !v_equal(in, &a->items[0]))
TEST(t_divisible, a->n > 0 && a->items[0].kind == V_INT && left_of(in, a->items[0].as.i) == 0)

static bool t_in(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    bool yes = false;

    if (a->n == 0 || !v_contains(r, &a->items[0], in, &yes))
        return a->n ? false : render_fail(r, LC_DATA, r->at, "the test 'in' needs a value");
    *out = v_bool(yes);
    return true;
}

static bool ordered(struct render *r, const struct value *in, const struct args *a, int *c)
{
    return a->n ? v_compare(r, in, &a->items[0], c)
                : render_fail(r, LC_DATA, r->at, "the test needs a value");
}

#define ORDER_TEST(name, expression)                                                                         \
    static bool name(struct render *r, const struct value *in, const struct args *a, struct value *out)      \
    {                                                                                                        \
        int c = 0;                                                                                           \
        if (!ordered(r, in, a, &c))                                                                          \
            return false;                                                                                    \
        *out = v_bool(expression);                                                                           \
        return true;                                                                                         \
    }

ORDER_TEST(t_less, c < 0)
ORDER_TEST(t_less_equal, c <= 0)
ORDER_TEST(t_greater, c > 0)
ORDER_TEST(t_greater_equal, c >= 0)

const struct filter_row template_tests[] = {
    {"boolean", t_boolean},
    {"callable", t_callable},
    {"defined", t_defined},
    {"divisibleby", t_divisible},
    {"eq", t_equal},
    {"equalto", t_equal},
    {"even", t_even},
    {"false", t_false},
    {"float", t_float},
    {"ge", t_greater_equal},
    {"greaterthan", t_greater},
    {"gt", t_greater},
    {"in", t_in},
    {"integer", t_integer},
    {"iterable", t_sequence},
    {"le", t_less_equal},
    {"lessthan", t_less},
    {"lt", t_less},
    {"mapping", t_mapping},
    {"ne", t_unequal},
    {"none", t_none},
    {"number", t_number},
    {"odd", t_odd},
    {"sameas", t_equal},
    {"sequence", t_sequence},
    {"string", t_string},
    {"true", t_true},
    {"undefined", t_undefined},
    {NULL, NULL},
};
