#include "runtime/dataframe/sqlgen/functions.h"
#include <string.h>

#define SCALAR    FUNCTION_SCALAR
#define AGGREGATE FUNCTION_AGGREGATE
#define WINDOW    FUNCTION_WINDOW
#define GENERATOR FUNCTION_GENERATOR

const struct function functions[] = {
#define FN(...) {__VA_ARGS__},
#include "runtime/dataframe/sqlgen/functions.def"
#undef FN
    {0},
};

/* functions.def is sorted (a test checks it), so a name is found by halving. */
const struct function *function_named(const char *name)
{
    size_t low = 0, high = sizeof functions / sizeof *functions - 1;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (strcmp(functions[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return functions[low].name && strcmp(functions[low].name, name) == 0 ? &functions[low] : NULL;
}

const struct function *function_find(const char *name, size_t n_args)
{
    for (const struct function *f = function_named(name); f && f->name && strcmp(f->name, name) == 0; f++)
        if (n_args >= (size_t)f->min && (f->max < 0 || n_args <= (size_t)f->max))
            return f;
    return NULL;
}

bool function_is_aggregate(const char *name)
{
    const struct function *f = function_named(name);

    return f && f->kind == FUNCTION_AGGREGATE;
}

const struct missing_function missing_functions[] = {
#define MISSING(...) {__VA_ARGS__},
#include "runtime/dataframe/sqlgen/functions_missing.def"
#undef MISSING
    {0},
};

const struct missing_function *function_missing(const char *name)
{
    for (const struct missing_function *m = missing_functions; m->name; m++)
        if (strcmp(m->name, name) == 0)
            return m;
    return NULL;
}
