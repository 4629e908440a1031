#include "runtime/dataframe/sqlgen/functions.h"
#include <pthread.h>
#include <string.h>

#define SCALAR    FUNCTION_SCALAR
#define AGGREGATE FUNCTION_AGGREGATE
#define WINDOW    FUNCTION_WINDOW
#define GENERATOR FUNCTION_GENERATOR

/* 650 rows of ten pointers would be relocated, and 60 KB written, at the start of every process. So the table is kept as
 * its texts, one after the other, and becomes rows when one is asked for. In the texts a NULL is NONE. */
#define NONE "\1"
#undef NULL
#define NULL                                      NONE
#define NUMBERS(name, kind, least, most, in, ...) {kind, least, most},
#define TEXTS(name, kind, least, most, in, out, sql, label, lua, usage, doc, example, note, ...)             \
    name "\0" in "\0" out "\0" sql "\0" label "\0" lua "\0" usage "\0" doc "\0" example "\0" note "\0"

static const struct {
    unsigned char kind;
    signed char min, max;
} numbers[] = {
#define FN(...) NUMBERS(__VA_ARGS__, NONE)
#include "runtime/dataframe/sqlgen/functions.def"
#undef FN
};

static const char texts[] =
#define FN(...) TEXTS(__VA_ARGS__, NONE, NONE, NONE)
#include "runtime/dataframe/sqlgen/functions.def"
#undef FN
    ;
#undef NULL
#define NULL ((void *)0)

enum { ROWS = sizeof numbers / sizeof *numbers };
static struct function rows[ROWS + 1]; /* written once, by fill */
static pthread_once_t filled = PTHREAD_ONCE_INIT;

static void fill(void)
{
    const char *text = texts;

    for (size_t i = 0; i < ROWS; i++) {
        struct function *f = &rows[i];
        const char **const fields[] = {&f->name, &f->in,    &f->out, &f->sql,     &f->label,
                                       &f->lua,  &f->usage, &f->doc, &f->example, &f->note};

        f->kind = (enum function_kind)numbers[i].kind;
        f->min = numbers[i].min;
        f->max = numbers[i].max;
        for (size_t k = 0; k < sizeof fields / sizeof *fields; k++) {
            *fields[k] = *text == *NONE ? NULL : text;
            text += strlen(text) + 1;
        }
    }
}

const struct function *function_rows(void)
{
    pthread_once(&filled, fill);
    return rows;
}

/* functions.def is sorted (a test checks it), so a name is found by halving. */
const struct function *function_named(const char *name)
{
    const struct function *functions = function_rows();
    size_t low = 0, high = ROWS;

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
