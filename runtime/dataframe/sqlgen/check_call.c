/* check_call.c: what a function refuses before its arguments are converted: types that its row cannot say, and the literals of sketches. */
#include "runtime/dataframe/sqlgen/sqlgen_int.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BIT(id) (UINT32_C(1) << (id))
enum {
    MOMENTS = BIT(DTYPE_STRING) | BIT(DTYPE_DATE) | BIT(DTYPE_TIMESTAMP) | BIT(DTYPE_TIMESTAMP_NTZ) |
              BIT(DTYPE_TIME),
    INTEGERS = BIT(DTYPE_BYTE) | BIT(DTYPE_SHORT) | BIT(DTYPE_INT) | BIT(DTYPE_LONG),
    DAY_COUNTS = BIT(DTYPE_BYTE) | BIT(DTYPE_SHORT) | BIT(DTYPE_INT) | BIT(DTYPE_STRING) | BIT(DTYPE_NULL),
    PERCENTAGES = INTEGERS | BIT(DTYPE_FLOAT) | BIT(DTYPE_DOUBLE) | BIT(DTYPE_DECIMAL) | BIT(DTYPE_STRING) |
                  BIT(DTYPE_ARRAY),
    RANKED = INTEGERS | BIT(DTYPE_FLOAT) | BIT(DTYPE_DOUBLE) | BIT(DTYPE_DECIMAL) | BIT(DTYPE_STRING) |
             BIT(DTYPE_DATE) | BIT(DTYPE_TIMESTAMP) | BIT(DTYPE_TIMESTAMP_NTZ) | BIT(DTYPE_TIME) |
             BIT(DTYPE_INTERVAL)
};
#define A_RANKED                                                                                             \
    "(NUMERIC OR DATE OR TIMESTAMP OR TIMESTAMP_NTZ OR INTERVAL YEAR TO MONTH OR INTERVAL DAY TO SECOND OR " \
    "TIME)"
#define A_DAY_COUNT "(\"INT\" or \"SMALLINT\" or \"TINYINT\")"
#define A_MOMENT    "(TIMESTAMP OR TIMESTAMP WITHOUT TIME ZONE OR TIME)"

/* The first argument's types; NULL is always among them. */
static const struct {
    const char *name;
    uint32_t types;
    const char *required;
} first_types[] = {
    {"hour", MOMENTS, A_MOMENT},
    {"minute", MOMENTS, A_MOMENT},
    {"second", MOMENTS, A_MOMENT},
    {"base64", BIT(DTYPE_STRING) | BIT(DTYPE_BINARY), "BINARY"},
    {"percentile_approx", RANKED, A_RANKED},
    {"approx_percentile", RANKED, A_RANKED},
    {"is_valid_variant", BIT(DTYPE_VARIANT), "VARIANT"},
    {"is_variant_null", BIT(DTYPE_VARIANT), "VARIANT"},
    {"schema_of_variant", BIT(DTYPE_VARIANT), "VARIANT"},
    {"variant_get", BIT(DTYPE_VARIANT), "VARIANT"},
    {"try_variant_get", BIT(DTYPE_VARIANT), "VARIANT"},
    {"kll_sketch_agg_bigint", INTEGERS, "(TINYINT OR SMALLINT OR INT OR BIGINT)"},
    {"kll_sketch_agg_float", INTEGERS | BIT(DTYPE_FLOAT), "FLOAT"},
};

static enum lc check_first(struct call *c)
{
    for (size_t i = 0; i < sizeof first_types / sizeof *first_types; i++) {
        const struct sx *x = &c->args[0];

        if (strcmp(first_types[i].name, c->f->name) != 0 || x->type->id == DTYPE_NULL ||
            first_types[i].types & BIT(x->type->id))
            continue;
        return gen_fail(
            c->g, x->from ? x->from : c->e, LC_ENGINE,
            "[DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE] Cannot resolve \"%s(%s)\" due to data type "
            "mismatch: The first parameter requires the \"%s\" type, however \"%s\" has the type "
            "\"%s\". SQLSTATE: 42K09",
            c->f->name, x->name, first_types[i].required, x->name, gen_type_words(c->g, x->type));
    }
    return LC_OK;
}

/* ---- two arrays of one type; a map and its key ---- */
static enum lc check_arrays(struct call *c)
{
    static const char *const names[] = {"array_except", "array_intersect", "array_union", "arrays_overlap"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], c->f->name) == 0 && c->n == 2 &&
            (c->args[0].type->id != DTYPE_ARRAY || c->args[1].type->id != DTYPE_ARRAY) &&
            !(c->args[0].type->id == DTYPE_NULL && c->args[1].type->id == DTYPE_NULL))
            return gen_fail(
                c->g, c->e, LC_ENGINE,
                "[DATATYPE_MISMATCH.BINARY_ARRAY_DIFF_TYPES] Cannot resolve \"%s(%s, %s)\" due to "
                "data type mismatch: Input to function `%s` should have been two \"ARRAY\" with "
                "same element type, but it's [\"%s\", \"%s\"]. SQLSTATE: 42K09",
                c->f->name, c->args[0].name, c->args[1].name, c->f->name,
                gen_type_words(c->g, c->args[0].type), gen_type_words(c->g, c->args[1].type));
    return LC_OK;
}

static enum lc check_key(struct call *c)
{
    const struct dtype *key;

    if (strcmp(c->f->name, "map_contains_key") != 0 || c->args[0].type->id != DTYPE_MAP)
        return LC_OK;
    key = gen_type(c->g, dtype_common(c->args[0].type->key, c->args[1].type));
    if (c->args[1].type->id == DTYPE_NULL)
        return gen_fail(
            c->g, c->e, LC_ENGINE,
            "[DATATYPE_MISMATCH.NULL_TYPE] Cannot resolve \"%s(%s, %s)\" due to data type mismatch: "
            "Null typed values cannot be used as arguments of `%s`. SQLSTATE: 42K09",
            c->f->name, c->args[0].name, c->args[1].name, c->f->name);
    if (!key || dtype_is_numeric(key) != dtype_is_numeric(c->args[0].type->key))
        return gen_fail(
            c->g, c->e, LC_ENGINE,
            "[DATATYPE_MISMATCH.MAP_FUNCTION_DIFF_TYPES] Cannot resolve \"%s(%s, %s)\" due to data "
            "type mismatch: Input to `%s` should have been \"MAP\" followed by a value with same "
            "key type, but it's [\"%s\", \"%s\"]. SQLSTATE: 42K09",
            c->f->name, c->args[0].name, c->args[1].name, c->f->name, gen_type_words(c->g, c->args[0].type),
            gen_type_words(c->g, c->args[1].type));
    return LC_OK;
}

/* ---- sketches: how large they may be, how their numbers are combined ---- */
static const struct sketch_rule {
    const char *family;
    int64_t least, most;
    const char *class, *what, *state; /* of the error when it is beyond */
} sketch_rules[] = {
    {"hll_", 4, 21, "HLL_INVALID_LG_K", "lgConfigK", "22546"},
    {"theta_", 4, 26, "SKETCH_INVALID_LG_NOM_ENTRIES", "lgNomEntries", "22003"},
    {"tuple_", 4, 26, "DATATYPE_MISMATCH.TYPE_CHECK_FAILURE_WITH_HINT", "lgNomEntries", "42K09"},
    {"kll_", 8, 65535, "DATATYPE_MISMATCH.TYPE_CHECK_FAILURE_WITH_HINT", "k", "42K09"},
};

static enum lc check_size(struct call *c, const struct sketch_rule *rule)
{
    bool sized = strstr(c->f->name, "_agg") || strstr(c->f->name, "_union");
    int64_t size;

    for (size_t i = 1; sized && i < c->n; i++)
        if (call_letter(c->f->in, i) == 'i' && special_int(&c->args[i], &size) &&
            (size < rule->least || size > rule->most))
            return gen_fail(
                c->g, c->e, LC_ENGINE,
                "[%s] Invalid call to `%s`; the `%s` value must be between %lld and %lld, inclusive: "
                "%lld. SQLSTATE: %s",
                rule->class, c->f->name, rule->what, (long long)rule->least, (long long)rule->most,
                (long long)size, rule->state);
    return LC_OK;
}

static enum lc check_mode(struct call *c)
{
    static const char *const modes[] = {"sum", "min", "max", "alwaysone"};
    const char *mode = call_letter(c->f->in, c->n - 1) == 's' ? special_text(&c->args[c->n - 1]) : NULL;

    for (size_t i = 0; mode && i < sizeof modes / sizeof *modes; i++)
        if (strcasecmp(mode, modes[i]) == 0)
            return LC_OK;
    return !mode ? LC_OK
                 : gen_fail(
                       c->g, c->e, LC_ENGINE,
                       "[DATATYPE_MISMATCH.TYPE_CHECK_FAILURE_WITH_HINT] Cannot resolve \"%s\" due to data "
                       "type mismatch: the mode '%s' is none of sum, min, max, alwaysone. SQLSTATE: 42K09",
                       c->f->name, mode);
}

static enum lc check_sketch(struct call *c)
{
    for (size_t i = 0; i < sizeof sketch_rules / sizeof *sketch_rules; i++) {
        if (strncmp(c->f->name, sketch_rules[i].family, strlen(sketch_rules[i].family)) != 0)
            continue;
        TRY(check_size(c, &sketch_rules[i]));
        return strcmp(sketch_rules[i].family, "tuple_") == 0 ? check_mode(c) : LC_OK;
    }
    return LC_OK;
}

/* ---- others ---- */
static bool is_window(const struct dtype *t)
{
    return t->id == DTYPE_STRUCT && t->n_fields == 2 && strcmp(t->fields[0].name, "start") == 0 &&
           strcmp(t->fields[1].name, "end") == 0;
}

/* ---- a value and the elements of an array ---- */
static enum lc check_element(struct call *c)
{
    static const struct {
        const char *name;
        size_t value;
    } rows[] = {{"array_contains", 1}, {"array_position", 1}, {"array_remove", 1},
                {"array_append", 1},   {"array_prepend", 1},  {"array_insert", 2}};
    const struct dtype *element, *value;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(rows[i].name, c->f->name) != 0 || c->n <= rows[i].value ||
            c->args[0].type->id != DTYPE_ARRAY)
            continue;
        element = c->args[0].type->element;
        value = c->args[rows[i].value].type;
        if ((element->id == DTYPE_STRING) == (value->id == DTYPE_STRING) || element->id == DTYPE_NULL ||
            value->id == DTYPE_NULL)
            return LC_OK;
        return gen_fail(
            c->g, c->e, LC_ENGINE,
            "[DATATYPE_MISMATCH.ARRAY_FUNCTION_DIFF_TYPES] Cannot resolve \"%s(%s, %s)\" due to data "
            "type mismatch: Input to `%s` should have been \"ARRAY\" followed by a value with same "
            "element type, but it's [\"%s\", \"%s\"]. SQLSTATE: 42K09",
            c->f->name, c->args[0].name, c->args[rows[i].value].name, c->f->name,
            gen_type_words(c->g, c->args[0].type), gen_type_words(c->g, value));
    }
    return LC_OK;
}

/* ---- arguments of a type and a range that a conversion would hide ---- */
static const char *const ordinals[] = {"first", "second", "third"};

static const struct limited {
    const char *name;
    size_t argument;
    uint32_t types; /* others are refused, NULL too where it is not among them */
    const char *required;
    double least, most; /* of a literal; none where both are 0 */
    const char *what, *range;
} limits[] = {
    {"rand", 0, BIT(DTYPE_INT) | BIT(DTYPE_LONG) | BIT(DTYPE_NULL), "(\"INT\" or \"BIGINT\")", 0, 0, NULL,
     NULL},
    {"randn", 0, BIT(DTYPE_INT) | BIT(DTYPE_LONG) | BIT(DTYPE_NULL), "(\"INT\" or \"BIGINT\")", 0, 0, NULL,
     NULL},
    {"ntile", 0, BIT(DTYPE_INT), "\"INT\"", 1, INT32_MAX, "buckets", "(0, 2147483647]"},
    {"nth_value", 1, BIT(DTYPE_INT) | BIT(DTYPE_STRING), "\"INT\"", 1, INT32_MAX, "offset",
     "(0, 9223372036854775807]"},
    {"stack", 0, BIT(DTYPE_INT), "\"INT\"", 1, INT32_MAX, "`n`", "(0, 2147483647]"},
    {"lag", 1, BIT(DTYPE_INT), "\"INT\"", 0, 0, NULL, NULL},
    {"lead", 1, BIT(DTYPE_INT), "\"INT\"", 0, 0, NULL, NULL},
    {"date_add", 1, DAY_COUNTS, A_DAY_COUNT, 0, 0, NULL, NULL},
    {"date_sub", 1, DAY_COUNTS, A_DAY_COUNT, 0, 0, NULL, NULL},
    {"array_repeat", 1, BIT(DTYPE_BYTE) | BIT(DTYPE_SHORT) | BIT(DTYPE_INT) | BIT(DTYPE_NULL), "\"INT\"", 0,
     0, NULL, NULL},
    {"percentile", 1, PERCENTAGES, "\"DOUBLE\"", 0, 1, "percentage", "[0.0, 1.0]"},
    {"percentile_approx", 1, PERCENTAGES, "\"DOUBLE\"", 0, 1, "percentage", "[0.0, 1.0]"},
    {"approx_percentile", 1, PERCENTAGES, "\"DOUBLE\"", 0, 1, "percentage", "[0.0, 1.0]"},
    {"percentile_approx", 2, INTEGERS, "\"INTEGRAL\"", 1, INT32_MAX, "accuracy", "(0, 2147483647]"},
    {"approx_percentile", 2, INTEGERS, "\"INTEGRAL\"", 1, INT32_MAX, "accuracy", "(0, 2147483647]"},
    {"percentile_cont", 0, PERCENTAGES, "\"DOUBLE\"", 0, 1, "percentage", "[0.0, 1.0]"},
    {"percentile_disc", 0, PERCENTAGES, "\"DOUBLE\"", 0, 1, "percentage", "[0.0, 1.0]"},
};

/* The literal number of an expression, with or without a sign. */
static bool literal_number(const struct expr *e, double *v)
{
    double sign = 1;

    if (e && e->kind == EXPR_CALL && e->n == 1 &&
        (strcmp(e->u.call.name, "negative") == 0 || strcmp(e->u.call.name, "-") == 0)) {
        sign = -1;
        e = e->args[0];
    }
    if (!e || e->kind != EXPR_LITERAL || e->u.literal.is_null)
        return false;
    if (dtype_is_integral(e->u.literal.type))
        *v = sign * (double)e->u.literal.i;
    else if (e->u.literal.type->id == DTYPE_DECIMAL && e->u.literal.s)
        *v = sign * strtod(e->u.literal.s, NULL);
    else if (e->u.literal.type->id == DTYPE_DOUBLE || e->u.literal.type->id == DTYPE_FLOAT)
        *v = sign * e->u.literal.f;
    else
        return false;
    return true;
}

static enum lc check_range(struct call *c, const struct limited *rule, const struct sx *x)
{
    const struct expr *e = x->from, *const *items = &e;
    size_t n = 1;
    double v;

    if (rule->most == 0 || !e)
        return LC_OK;
    if (e->kind == EXPR_CALL && strcmp(e->u.call.name, "array") == 0) {
        items = (const struct expr *const *)e->args;
        n = e->n;
    }
    for (size_t i = 0; i < n; i++)
        if (literal_number(items[i], &v) && !(v >= rule->least && v <= rule->most))
            return gen_fail(
                c->g, c->e, LC_ENGINE,
                "[DATATYPE_MISMATCH.VALUE_OUT_OF_RANGE] Cannot resolve \"%s(%s)\" due to data type "
                "mismatch: The %s must be between %s (current value = %g). SQLSTATE: 42K09",
                c->f->name, x->name, rule->what, rule->range, v);
    return LC_OK;
}

static enum lc check_limits(struct call *c)
{
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        const struct limited *rule = &limits[i];
        const struct sx *x = &c->args[rule->argument];

        if (strcmp(rule->name, c->f->name) != 0 || rule->argument >= c->n || !x->type)
            continue;
        if (x->type->id == DTYPE_NULL && !(rule->types & BIT(DTYPE_NULL)) && rule->most == 1)
            return gen_fail(c->g, c->e, LC_ENGINE,
                            "[DATATYPE_MISMATCH.UNEXPECTED_NULL] Cannot resolve \"%s(%s)\" due to data type "
                            "mismatch: The %s must not be null. SQLSTATE: 42K09",
                            c->f->name, x->name, rule->what);
        if (!(rule->types & BIT(x->type->id)))
            return gen_fail(
                c->g, c->e, LC_ENGINE,
                "[DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE] Cannot resolve \"%s(%s)\" due to data type "
                "mismatch: The %s parameter requires the %s type, however \"%s\" has the type "
                "\"%s\". SQLSTATE: 42K09",
                c->f->name, c->args[0].name, ordinals[rule->argument], rule->required, x->name,
                gen_type_words(c->g, x->type));
        TRY(check_range(c, rule, x));
    }
    return LC_OK;
}

/* ---- arguments that are known before there are rows ---- */
/* The name that Spark has for the call of a window function, whose row says it only when it is made. */
static const char *window_name(struct call *c)
{
    bool shifted = strcmp(c->f->name, "lag") == 0 || strcmp(c->f->name, "lead") == 0;

    if (c->n < 2)
        return gen_printf(c->g, "%s(%s)", c->f->name, c->args[0].name);
    return gen_printf(c->g, "%s(%s, %s%s%s)", c->f->name, c->args[0].name, c->args[1].name,
                      shifted ? ", " : "", shifted ? c->n > 2 ? c->args[2].name : "NULL" : "");
}

static enum lc refuse_window(struct call *c, const char *what, const char *type, const struct sx *x)
{
    bool back = strcmp(c->f->name, "lag") == 0; /* lag looks forward by its negative */

    (void)type;
    return gen_fail(
        c->g, c->e, LC_ENGINE,
        "[DATATYPE_MISMATCH.NON_FOLDABLE_INPUT] Cannot resolve \"%s\" due to data type mismatch: the "
        "input `%s` should be a foldable \"INT\" expression; however, got \"%s\". SQLSTATE: 42K09",
        window_name(c), what, back ? gen_printf(c->g, "(- %s)", x->name) : x->name);
}

static enum lc refuse_input(struct call *c, const char *what, const char *type, const struct sx *x)
{
    return gen_fail(
        c->g, c->e, LC_ENGINE,
        "[DATATYPE_MISMATCH.NON_FOLDABLE_INPUT] Cannot resolve \"%s\" due to data type mismatch: the "
        "input `%s` should be a foldable %s expression; however, got \"%s\". SQLSTATE: 42K09",
        c->f->name, what, type, x->name);
}

static enum lc refuse_argument(struct call *c, const char *what, const char *type, const struct sx *x)
{
    (void)x;
    return gen_fail(
        c->g, c->e, LC_ENGINE,
        "[NON_FOLDABLE_ARGUMENT] The function `%s` requires the parameter `%s` to be a foldable expression "
        "of the type %s, but the actual argument is a non-foldable. SQLSTATE: 42K08",
        c->f->name, what, type);
}

static enum lc refuse_seed(struct call *c, const char *what, const char *type, const struct sx *x)
{
    (void)what, (void)type;
    return gen_fail(
        c->g, c->e, LC_ENGINE,
        "[SEED_EXPRESSION_IS_UNFOLDABLE] The seed expression \"%s\" of the expression \"%s(%s)\" must be "
        "foldable. SQLSTATE: 42K08",
        x->name, c->f->name, x->name);
}

static enum lc refuse_error(struct call *c, const char *what, const char *type, const struct sx *x)
{
    (void)what, (void)type, (void)x;
    return gen_fail(c->g, c->e, LC_ENGINE,
                    "[_LEGACY_ERROR_TEMP_1104] The second argument should be a double literal.");
}

static enum lc refuse_schema(struct call *c, const char *what, const char *type, const struct sx *x)
{
    (void)what, (void)type;
    return gen_fail(
        c->g, c->e, LC_ENGINE,
        "[INVALID_SCHEMA.NON_STRING_LITERAL] The input schema \"%s\" is not a valid schema string. The input "
        "expression must be string literal and not null. SQLSTATE: 42K07",
        x->name);
}

#define AN_INT    "\"INT\""
#define A_STRING  "\"STRING\""
#define A_DOUBLE  "\"DOUBLE\""
#define A_BOOLEAN "\"BOOLEAN\""
#define A_NUMBER  "integer or floating-point"

static enum lc check_foldable(struct call *c)
{
    static const struct {
        const char *name;
        size_t argument;
        const char *what, *type;
        enum lc (*refuse)(struct call *c, const char *what, const char *type, const struct sx *x);
    } rows[] = {
        {"lag", 1, "offset", AN_INT, refuse_window},
        {"lead", 1, "offset", AN_INT, refuse_window},
        {"nth_value", 1, "offset", AN_INT, refuse_window},
        {"ntile", 0, "buckets", AN_INT, refuse_window},
        {"stack", 0, "n", AN_INT, refuse_window},
        {"rand", 0, "seed", AN_INT, refuse_seed},
        {"randn", 0, "seed", AN_INT, refuse_seed},
        {"uniform", 0, "min", A_NUMBER, refuse_input},
        {"uniform", 1, "max", A_NUMBER, refuse_input},
        {"uniform", 2, "seed", A_NUMBER, refuse_input},
        {"randstr", 0, "length", "integer", refuse_input},
        {"randstr", 1, "seed", "integer", refuse_input},
        {"mode", 1, "deterministic", A_BOOLEAN, refuse_argument},
        {"time_bucket", 0, "bucketSize", "\"INTERVAL DAY\"", refuse_input},
        {"time_bucket", 2, "origin", "\"TIMESTAMP\"", refuse_input},
        {"to_number", 1, "format", A_STRING, refuse_input},
        {"try_to_number", 1, "format", A_STRING, refuse_input},
        {"to_binary", 1, "fmt", A_STRING, refuse_input},
        {"try_to_binary", 1, "fmt", A_STRING, refuse_input},
        {"count_min_sketch", 1, "eps", A_DOUBLE, refuse_input},
        {"count_min_sketch", 2, "confidence", A_DOUBLE, refuse_input},
        {"count_min_sketch", 3, "seed", AN_INT, refuse_input},
        {"percentile", 1, "percentage", A_DOUBLE, refuse_input},
        {"percentile_approx", 1, "percentage", A_DOUBLE, refuse_input},
        {"percentile_approx", 2, "accuracy", AN_INT, refuse_input},
        {"approx_percentile", 1, "percentage", A_DOUBLE, refuse_input},
        {"approx_percentile", 2, "accuracy", AN_INT, refuse_input},
        {"histogram_numeric", 1, "nb", AN_INT, refuse_input},
        {"listagg", 1, "delimiter", A_STRING, refuse_input},
        {"string_agg", 1, "delimiter", A_STRING, refuse_input},
        {"schema_of_json", 0, "json", A_STRING, refuse_input},
        {"schema_of_csv", 0, "csv", A_STRING, refuse_input},
        {"regexp_replace", 3, "position", AN_INT, refuse_input},
        {"round", 1, "scale", AN_INT, refuse_input},
        {"bround", 1, "scale", AN_INT, refuse_input},
        {"ceil", 1, "scale", AN_INT, refuse_argument},
        {"floor", 1, "scale", AN_INT, refuse_argument},
        {"date_part", 0, "field", A_STRING, refuse_argument},
        {"sort_array", 1, "ascendingOrder", A_BOOLEAN, refuse_input},
        {"kll_sketch_agg_bigint", 1, "k", AN_INT, refuse_input},
        {"kll_sketch_agg_float", 1, "k", AN_INT, refuse_input},
        {"kll_sketch_agg_double", 1, "k", AN_INT, refuse_input},
        {"approx_count_distinct", 1, "relativeSD", A_DOUBLE, refuse_error},
        {"from_json", 1, "schema", A_STRING, refuse_schema},
        {"from_csv", 1, "schema", A_STRING, refuse_schema},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct sx *x = &c->args[rows[i].argument];

        if (strcmp(rows[i].name, c->f->name) == 0 && rows[i].argument < c->n && !sx_is_foldable(x->from))
            return rows[i].refuse(c, rows[i].what, rows[i].type, x);
    }
    return LC_OK;
}

/* to_char of a number: its format is known before there are rows; of a date or of bytes it need not be. */
static enum lc check_format(struct call *c)
{
    bool named = strcmp(c->f->name, "to_char") == 0 || strcmp(c->f->name, "to_varchar") == 0;

    return named && c->n > 1 && dtype_is_numeric(c->args[0].type) && !sx_is_foldable(c->args[1].from)
               ? refuse_input(c, "format", A_STRING, &c->args[1])
               : LC_OK;
}

/* Whether NULLs are left out is known before there are rows. */
static enum lc check_flag(struct call *c)
{
    static const char *const names[] = {"first", "first_value", "last", "last_value", "any_value"};
    const struct expr *e = c->n > 1 ? c->args[1].from : NULL;

    for (size_t i = 0; e && i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], c->f->name) == 0 &&
            (e->kind != EXPR_LITERAL || e->u.literal.type->id != DTYPE_BOOLEAN))
            return gen_fail(
                c->g, c->e, LC_ENGINE,
                "[_LEGACY_ERROR_TEMP_1210] The second argument in %s should be a boolean literal.",
                c->f->name);
    return LC_OK;
}

/* Maps whose keys are no texts are no variants, either. */
static bool is_object(const struct dtype *t)
{
    return t->id == DTYPE_NULL || t->id == DTYPE_STRUCT || t->id == DTYPE_ARRAY ||
           (t->id == DTYPE_MAP && t->key->id == DTYPE_STRING);
}

static enum lc check_one(struct call *c)
{
    int64_t bins;

    if (strcmp(c->f->name, "to_variant_object") == 0 && !is_object(c->args[0].type))
        return gen_fail(
            c->g, c->e, LC_ENGINE,
            "[DATATYPE_MISMATCH.CAST_WITHOUT_SUGGESTION] Cannot resolve \"%s(%s)\" due to data type "
            "mismatch: cannot cast \"%s\" to \"VARIANT\". SQLSTATE: 42K09",
            c->f->name, c->args[0].name, gen_type_words(c->g, c->args[0].type));

    if (strcmp(c->f->name, "window_time") == 0 && !is_window(c->args[0].type))
        return gen_fail(c->g, c->e, LC_ENGINE,
                        "[_LEGACY_ERROR_TEMP_3101] The input is not a correct window column: window_time(%s)",
                        c->args[0].name);
    if (strcmp(c->f->name, "collate") == 0 && c->args[1].type->id != DTYPE_STRING)
        return gen_fail(
            c->g, c->e, LC_ENGINE,
            "[UNEXPECTED_INPUT_TYPE] Parameter first of function `collate` requires the \"STRING\" "
            "type, however \"%s\" has the type \"%s\". SQLSTATE: 42K09",
            c->args[1].name, gen_type_words(c->g, c->args[1].type));
    if (strcmp(c->f->name, "histogram_numeric") == 0 && special_int(&c->args[1], &bins) && bins < 2)
        return gen_fail(
            c->g, c->e, LC_ENGINE,
            "[DATATYPE_MISMATCH.VALUE_OUT_OF_RANGE] Cannot resolve \"%s(%s, %s)\" due to data type "
            "mismatch: The nb must be between [2, 2147483647] (current value = %lld). SQLSTATE: "
            "42K09",
            c->f->name, c->args[0].name, c->args[1].name, (long long)bins);
    return LC_OK;
}

enum lc sx_check_call(struct call *c)
{
    if (c->n == 0 || !c->args[0].type || (c->n > 1 && !c->args[1].type))
        return LC_OK; /* nothing, or lambdas */
    TRY(check_first(c));
    TRY(check_arrays(c));
    TRY(check_key(c));
    TRY(check_element(c));
    TRY(check_limits(c));
    TRY(check_foldable(c));
    TRY(check_format(c));
    TRY(check_flag(c));
    TRY(check_one(c));
    return check_sketch(c);
}
