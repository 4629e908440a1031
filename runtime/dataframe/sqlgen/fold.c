/* fold.c: arguments that must be known before there are rows and are no literals (1 + 1, 'a ' || 'INT'): the engine says what they are. */
#include "runtime/dataframe/sqlgen/sqlgen_int.h"
#include <stdlib.h>
#include <string.h>

static bool is_random(const char *name)
{
    static const char *const names[] = {"rand",    "randn",   "random", "uniform",
                                        "randstr", "shuffle", "uuid",   "udf"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

bool sx_is_foldable(const struct expr *e)
{
    if (!e || e->kind == EXPR_LITERAL)
        return e != NULL;
    if (e->kind != EXPR_CAST && e->kind != EXPR_EXTRACT &&
        (e->kind != EXPR_CALL || e->n == 0 || function_is_aggregate(e->u.call.name) ||
         is_random(e->u.call.name)))
        return false;
    for (size_t i = 0; i < e->n; i++)
        if (!sx_is_foldable(e->args[i]))
            return false;
    return true;
}

/* Where functions want what special_int, special_text and special_bool give, or DuckDB a constant. */
static bool is_wanted(const char *name, size_t argument)
{
    static const struct {
        const char *name;
        size_t argument;
    } rows[] = {
        {"bround", 1},
        {"ceil", 1},
        {"ceiling", 1},
        {"collate", 1},
        {"current_time", 0},
        {"date_part", 0},
        {"date_trunc", 0},
        {"datepart", 0},
        {"floor", 1},
        {"format_number", 1},
        {"from_csv", 1},
        {"from_json", 1},
        {"histogram_numeric", 1},
        {"months_between", 2},
        {"next_day", 1},
        {"percentile", 1},
        {"percentile_approx", 1},
        {"approx_percentile", 1},
        {"rand", 0},
        {"randn", 0},
        {"randstr", 1},
        {"regexp_extract", 2},
        {"regexp_extract_all", 2},
        {"regexp_replace", 3},
        {"round", 1},
        {"schema_of_csv", 0},
        {"schema_of_json", 0},
        {"sort_array", 1},
        {"split", 2},
        {"stack", 0},
        {"to_binary", 1},
        {"to_char", 1},
        {"to_number", 1},
        {"to_varchar", 1},
        {"trunc", 1},
        {"try_to_binary", 1},
        {"try_to_number", 1},
        {"try_variant_get", 1},
        {"try_variant_get", 2},
        {"uniform", 2},
        {"variant_get", 1},
        {"variant_get", 2},
    };

    if (strcmp(name, "named_struct") == 0)
        return argument % 2 == 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].argument == argument && strcmp(rows[i].name, name) == 0)
            return true;
    return false;
}

/* The literal of that type whose value has that text; NULL: there are none of the type. */
static struct expr *literal_of(struct gen *g, const struct sx *x, const char *text)
{
    struct expr *e = arena_zalloc(g->arena, sizeof *e);
    enum dtype_id id = x->type->id;

    if (!e)
        return NULL;
    *e = (struct expr){.kind = EXPR_LITERAL, .position = x->from->position, .u.literal.type = x->type};
    if (id == DTYPE_BOOLEAN)
        e->u.literal.i = strcmp(text, "true") == 0;
    else if (dtype_is_integral(x->type))
        e->u.literal.i = strtoll(text, NULL, 10);
    else if (id == DTYPE_DOUBLE || id == DTYPE_FLOAT)
        e->u.literal.f = strtod(text, NULL);
    else if (id == DTYPE_STRING || id == DTYPE_DECIMAL)
        e->u.literal.s = (char *)(uintptr_t)text, e->u.literal.len = strlen(text);
    else
        return NULL;
    return e;
}

static enum lc fold(struct call *c, struct sx *x)
{
    const struct sql_env *env = c->g->env;
    struct buf value = BUF_INIT((size_t)16 << 20);
    const char *text;
    struct expr *literal;
    struct sx known;
    bool null = false;
    enum lc code;

    code = env->constant(env->self, c->g->ctx, x->sql, &value, &null, c->g->err);
    text = null || code != LC_OK ? (buf_release(&value), "") : gen_take(c->g, &value);
    if (code != LC_OK || null)
        return code;
    literal = text ? literal_of(c->g, x, text) : NULL;
    if (!text || !literal)
        return text ? LC_OK : err_nomem(c->g->err);
    TRY(sx_expr(c->g, c->scope, literal, &known));
    known.name = x->name;
    known.nullable = x->nullable;
    known.from = literal;
    *x = known;
    return LC_OK;
}

enum lc sx_fold_arguments(struct call *c)
{
    int64_t number;

    for (size_t i = 0; i < c->n; i++) {
        struct sx *x = &c->args[i];

        if (is_wanted(c->f->name, i) && c->g->env->constant && x->type && x->sql && x->from &&
            x->from->kind != EXPR_LITERAL && sx_is_foldable(x->from) && !special_int(x, &number))
            TRY(fold(c, x));
    }
    return LC_OK;
}
