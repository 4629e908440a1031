/* special_orders.c: the largest, the smallest, and in order. DuckDB puts a NULL inside of an array or a struct behind all
 * values and Spark before them, so such values are compared by a key (sx_order_key) that says so. */
#include "runtime/dataframe/sqlgen/sqlgen_int.h"
#include <string.h>

static bool is_nested(const struct dtype *t)
{
    return t && (t->id == DTYPE_ARRAY || t->id == DTYPE_STRUCT);
}

/* The end of a list whose elements are nested; elements that are NULL are left out. */
static const char *nested_end(struct call *c, const char *list, const struct dtype *element, bool most)
{
    const char *a = sx_order_key(c->g, "la", element), *b = sx_order_key(c->g, "lb", element);

    list = gen_printf(c->g, "list_filter(%s, lambda le: le IS NOT NULL)", list);
    return gen_printf(
        c->g,
        "(CASE WHEN len(%s) > 0 THEN list_reduce(%s, lambda la, lb: CASE WHEN %s %s %s THEN la ELSE lb "
        "END) END)",
        list, list, a, most ? ">=" : "<=", b);
}

static enum lc of_array(struct call *c, struct sx *out, bool most)
{
    const struct dtype *element = c->args[0].type->element;
    const char *list = c->args[0].sql;

    return special_done(c, out, element ? element : dtype_of(DTYPE_NULL),
                        is_nested(element) ? nested_end(c, list, element, most)
                                           : gen_printf(c->g, "list_%s(%s)", most ? "max" : "min", list));
}

static enum lc array_max(struct call *c, struct sx *out)
{
    return of_array(c, out, true);
}

static enum lc array_min(struct call *c, struct sx *out)
{
    return of_array(c, out, false);
}

static enum lc of_arguments(struct call *c, struct sx *out, bool most)
{
    const struct dtype *t = c->args[0].type;
    struct buf b = BUF_INIT((size_t)64 << 20);
    bool nullable = true;
    const char *all;

    for (size_t i = 0; i < c->n; i++) {
        nullable = nullable && c->args[i].nullable;
        buf_printf(&b, "%s%s", i ? ", " : "", c->args[i].sql);
    }
    all = gen_take(c->g, &b);
    TRY(special_done(c, out, t,
                     is_nested(t) ? nested_end(c, gen_printf(c->g, "[%s]", all), t, most)
                                  : gen_printf(c->g, "%s(%s)", most ? "greatest" : "least", all)));
    out->nullable = nullable;
    return LC_OK;
}

static enum lc greatest(struct call *c, struct sx *out)
{
    return of_arguments(c, out, true);
}

static enum lc least(struct call *c, struct sx *out)
{
    return of_arguments(c, out, false);
}

static enum lc of_rows(struct call *c, struct sx *out, bool most)
{
    const struct sx *x = &c->args[0];
    const char *name = most ? "max" : "min";

    if (is_nested(x->type))
        return special_done(
            c, out, x->type,
            gen_printf(c->g, "arg_%s(%s, %s)%s", name, x->sql, sx_order_key(c->g, x->sql, x->type), c->tail));
    return special_done(c, out, x->type, gen_printf(c->g, "%s(%s)%s", name, x->sql, c->tail));
}

static enum lc max(struct call *c, struct sx *out)
{
    return of_rows(c, out, true);
}

static enum lc min(struct call *c, struct sx *out)
{
    return of_rows(c, out, false);
}

static const char *sorted(struct call *c, bool down, bool nulls_last)
{
    const struct dtype *element = c->args[0].type->element;
    const char *list = c->args[0].sql, *keyed, *nulls;

    if (!is_nested(element))
        return gen_printf(c->g, "list_sort(%s, '%s', 'NULLS %s')", list, down ? "DESC" : "ASC",
                          nulls_last ? "LAST" : "FIRST");
    keyed = gen_printf(
        c->g,
        "list_transform(list_sort(list_transform(list_filter(%s, lambda le: le IS NOT NULL), lambda "
        "lv: struct_pack(k := %s, v := lv)), '%s'), lambda ls: struct_extract(ls, 'v'))",
        list, sx_order_key(c->g, "lv", element), down ? "DESC" : "ASC");
    nulls = gen_printf(c->g, "list_filter(%s, lambda le: le IS NULL)", list);
    return gen_printf(c->g, "(CASE WHEN %s IS NOT NULL THEN list_concat(%s, %s) END)", list,
                      nulls_last ? keyed : nulls, nulls_last ? nulls : keyed);
}

static enum lc sort_array(struct call *c, struct sx *out)
{
    bool up = c->n < 2 || special_bool(&c->args[1], true);

    out->name = gen_printf(c->g, "sort_array(%s, %s)", c->args[0].name, c->n > 1 ? c->args[1].name : "true");
    return special_done(c, out, c->args[0].type, sorted(c, !up, !up));
}

static enum lc array_sort_plain(struct call *c, struct sx *out)
{
    return special_done(c, out, c->args[0].type, sorted(c, false, true));
}

const struct special special_orders[] = {
    {"array_max", array_max},
    {"array_min", array_min},
    {"greatest", greatest},
    {"least", least},
    {"max", max},
    {"min", min},
    {"sort_array", sort_array},
    {"array_sort_plain", array_sort_plain},
    {0},
};
