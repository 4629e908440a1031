/* check_call.c: what a function refuses before its arguments are converted: types that its row cannot say, and the literals of sketches. */
#include "runtime/dataframe/sqlgen/sqlgen_int.h"
#include <stdint.h>
#include <string.h>
#include <strings.h>

#define BIT(id) (UINT32_C(1) << (id))
enum {
    MOMENTS = BIT(DTYPE_STRING) | BIT(DTYPE_DATE) | BIT(DTYPE_TIMESTAMP) | BIT(DTYPE_TIMESTAMP_NTZ) |
              BIT(DTYPE_TIME),
    INTEGERS = BIT(DTYPE_BYTE) | BIT(DTYPE_SHORT) | BIT(DTYPE_INT) | BIT(DTYPE_LONG)
};
#define A_MOMENT "(TIMESTAMP OR TIMESTAMP WITHOUT TIME ZONE OR TIME)"

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

static enum lc check_one(struct call *c)
{
    int64_t bins;

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
    TRY(check_one(c));
    return check_sketch(c);
}
