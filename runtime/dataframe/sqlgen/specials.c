/* specials.c: finds the C functions that functions.def names with @, and what they share. */
#include "runtime/dataframe/sqlgen/sqlgen_int.h"
#include <string.h>

special_fn *special_find(const char *name)
{
    static const struct special *const tables[] = {special_numbers, special_texts,      special_times,
                                                   special_lists,   special_aggregates, special_maps,
                                                   special_data,    special_moments,    special_udf,
                                                   special_orders,  special_json,       special_intervals};

    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
        for (const struct special *s = tables[t]; s->name; s++)
            if (strcmp(s->name, name) == 0)
                return s->fn;
    return NULL;
}

enum lc special_done(struct call *c, struct sx *out, const struct dtype *type, const char *sql)
{
    if (!type || !sql)
        return err_nomem(c->g->err);
    out->sql = sql;
    out->type = type;
    for (size_t i = 0; i < c->n; i++)
        out->nullable = out->nullable || c->args[i].nullable;
    return LC_OK;
}

bool special_int(const struct sx *x, int64_t *v)
{
    const struct expr *e = x->from;
    int64_t sign = 1;

    if (e && e->kind == EXPR_CALL && e->n == 1 &&
        (strcmp(e->u.call.name, "negative") == 0 || strcmp(e->u.call.name, "-") == 0)) {
        sign = -1;
        e = e->args[0];
    }
    if (!e || e->kind != EXPR_LITERAL || !dtype_is_integral(e->u.literal.type) || e->u.literal.is_null)
        return false;
    *v = sign * e->u.literal.i;
    return true;
}

const char *special_text(const struct sx *x)
{
    const struct expr *e = x->from;

    return e && e->kind == EXPR_LITERAL && e->u.literal.type->id == DTYPE_STRING && !e->u.literal.is_null
               ? e->u.literal.s
               : NULL;
}

bool special_bool(const struct sx *x, bool otherwise)
{
    const struct expr *e = x->from;

    return e && e->kind == EXPR_LITERAL && e->u.literal.type->id == DTYPE_BOOLEAN ? e->u.literal.i != 0
                                                                                  : otherwise;
}

enum lc special_unsupported(struct call *c, const char *what)
{
    return gen_fail(c->g, c->e, LC_UNSUPPORTED, "%s: %s is not supported by this engine", c->f->name, what);
}
