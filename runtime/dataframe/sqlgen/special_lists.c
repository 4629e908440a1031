/* special_lists.c: arrays, maps, structs, functions with lambdas, and what makes rows of them. */
#include "runtime/dataframe/sqlgen/sqlgen_int.h"
#include <inttypes.h>
#include <string.h>

static const char *list(struct call *c, size_t from, size_t step)
{
    struct buf b = BUF_INIT((size_t)64 << 20);

    for (size_t i = from; i < c->n; i += step)
        buf_printf(&b, "%s%s", i > from ? ", " : "", c->args[i].sql);
    return gen_take(c->g, &b);
}

static enum lc wrong_type(struct call *c, size_t i, const char *required)
{
    return gen_fail(
        c->g, c->e, LC_ENGINE,
        "[DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE] Cannot resolve \"%s(%s)\" due to data type mismatch: the "
        "parameter requires the %s type, however \"%s\" has the type \"%s\". SQLSTATE: 42K09",
        c->f->name, c->args[0].name, required, c->args[i].name, gen_type_words(c->g, c->args[i].type));
}

/* Gives args from, from + step, … their common type. */
static enum lc unify(struct call *c, size_t from, size_t step, const struct dtype **out)
{
    const struct dtype *common = NULL;

    for (size_t i = from; i < c->n; i += step) {
        common = common ? gen_type(c->g, dtype_common(common, c->args[i].type)) : c->args[i].type;
        if (!common)
            return wrong_type(c, i, "type of the others, but the same");
    }
    for (size_t i = from; i < c->n; i += step)
        TRY(sx_coerce(c->g, &c->args[i], common, c->e));
    *out = common ? common : dtype_of(DTYPE_NULL);
    return LC_OK;
}

/* ---- making ---- */
static enum lc array(struct call *c, struct sx *out)
{
    const struct dtype *element;
    bool nulls = false;

    TRY(unify(c, 0, 1, &element));
    for (size_t i = 0; i < c->n; i++)
        nulls = nulls || c->args[i].nullable;
    TRY(special_done(c, out, gen_type(c->g, dtype_array(dtype_ref(element), nulls)),
                     c->n ? gen_printf(c->g, "[%s]", list(c, 0, 1)) : "CAST([] AS INTEGER[])"));
    out->nullable = false;
    return LC_OK;
}

static enum lc map(struct call *c, struct sx *out)
{
    const struct dtype *key, *value;
    bool any_null = false;

    if (c->n % 2)
        return gen_fail(c->g, c->e, LC_ENGINE,
                        "[WRONG_NUM_ARGS] map needs keys and values in turn, but there are %zu arguments",
                        c->n);
    TRY(unify(c, 0, 2, &key));
    TRY(unify(c, 1, 2, &value));
    for (size_t i = 1; i < c->n; i += 2)
        any_null = any_null || c->args[i].nullable;
    TRY(special_done(c, out, gen_type(c->g, dtype_map(dtype_ref(key), dtype_ref(value), any_null)),
                     gen_printf(c->g, "map([%s], [%s])", list(c, 0, 2), list(c, 1, 2))));
    out->nullable = false;
    return LC_OK;
}

/* The engine's structs have different names. */
static enum lc check_names(struct call *c, const struct dtype *t)
{
    for (size_t i = 0; t && i < t->n_fields; i++)
        for (size_t k = 0; k < i; k++)
            if (strcasecmp(t->fields[i].name, t->fields[k].name) == 0) {
                gen_fail(c->g, c->e, LC_UNSUPPORTED,
                         "%s: a struct with two fields named '%s' is not supported by this engine",
                         c->f->name, t->fields[i].name);
                return err_hint(c->g->err, "give one of them another name: F.col(\"%s\"):alias(\"…\")",
                                t->fields[i].name);
            }
    return LC_OK;
}

static enum lc make_struct(struct call *c, struct sx *out, const char *const *names, size_t first,
                           size_t step)
{
    const struct dtype *type = dtype_struct_new(c->n);
    struct buf b = BUF_INIT((size_t)64 << 20);
    const char *fields;
    size_t k = 0;

    for (size_t i = first; type && i < c->n; i += step, k++) {
        buf_printf(&b, "%s", k ? ", " : "");
        sql_quote_name(&b, names[k]);
        buf_printf(&b, " := %s", c->args[i].sql);
        type = dtype_struct_add(type, names[k], dtype_ref(c->args[i].type), c->args[i].nullable, NULL);
    }
    fields = gen_take(c->g, &b);
    type = gen_type(c->g, type);
    TRY(check_names(c, type));
    TRY(special_done(c, out, type, gen_printf(c->g, "struct_pack(%s)", fields)));
    out->nullable = false;
    return LC_OK;
}

/* What x.a takes out of x; NULL: an element. */
static const char *field_of(const struct expr *e)
{
    const struct expr *key = e->args[1];

    return key->kind == EXPR_LITERAL && key->u.literal.type->id == DTYPE_STRING ? key->u.literal.s : NULL;
}

static enum lc struct_fn(struct call *c, struct sx *out)
{
    const char **names = arena_alloc(c->g->arena, c->n * sizeof *names);
    struct buf words = BUF_INIT((size_t)16 << 20);

    if (!names)
        return err_nomem(c->g->err);
    buf_puts(&words, "struct(");
    for (size_t i = 0; i < c->n; i++) {
        const struct expr *e = c->e->args[i];
        const char *field = e->kind == EXPR_EXTRACT ? field_of(e) : NULL;
        bool named = e->kind == EXPR_ALIAS || e->kind == EXPR_ATTRIBUTE;
        struct sx plain = c->args[i];

        names[i] = e->kind == EXPR_VARIABLE ? e->u.name.parts[0]
                   : named                  ? explain_plain(c->g, sx_field_name(&c->args[i]))
                   : field                  ? field
                                            : gen_printf(c->g, "col%zu", i + 1);
        if (e->kind == EXPR_ALIAS && sx_expr(c->g, c->scope, e->args[0], &plain) == LC_OK)
            buf_printf(&words, "%s%s AS %s", i ? ", " : "", plain.name, c->args[i].name);
        else
            buf_printf(&words, "%s%s", i ? ", " : "", c->args[i].name);
    }
    buf_putc(&words, ')');
    out->name = gen_take(c->g, &words);
    return make_struct(c, out, names, 0, 1);
}

static enum lc named_struct(struct call *c, struct sx *out)
{
    const char **names = arena_alloc(c->g->arena, c->n * sizeof *names);

    if (!names)
        return err_nomem(c->g->err);
    for (size_t i = 0; i < c->n; i += 2)
        if (c->n % 2 || !(names[i / 2] = special_text(&c->args[i])))
            return gen_fail(c->g, c->e, LC_ENGINE,
                            "named_struct needs names, as literals, and values in turn");
    return make_struct(c, out, names, 1, 2);
}

/* ---- taking apart ---- */
static enum lc size(struct call *c, struct sx *out)
{
    enum dtype_id id = c->args[0].type->id;

    if (id != DTYPE_ARRAY && id != DTYPE_MAP)
        return wrong_type(c, 0, "(\"ARRAY\" or \"MAP\")");
    return special_done(
        c, out, dtype_of(DTYPE_INT),
        gen_printf(c->g, "CAST(%s(%s) AS INTEGER)", id == DTYPE_MAP ? "cardinality" : "len", c->args[0].sql));
}

static enum lc element(struct call *c, struct sx *out, bool strict)
{
    const struct dtype *t = c->args[0].type;
    const char *a = c->args[0].sql, *k;

    if (t->id != DTYPE_ARRAY && t->id != DTYPE_MAP)
        return wrong_type(c, 0, "(\"ARRAY\" or \"MAP\")");
    TRY(sx_coerce(c->g, &c->args[1], t->id == DTYPE_MAP ? t->key : dtype_of(DTYPE_INT), c->e));
    k = c->args[1].sql;
    if (t->id == DTYPE_MAP || !strict)
        TRY(special_done(c, out, t->element, gen_printf(c->g, "(%s)[%s]", a, k)));
    else
        TRY(special_done(
            c, out, t->element,
            gen_printf(
                c->g,
                "(CASE WHEN %s = 0 THEN error('[INVALID_INDEX_OF_ZERO] The index 0 is invalid. An index "
                "shall be either < 0 "
                "or > 0 (the first element has index 1). SQLSTATE: 22003') WHEN abs(%s) > len(%s) THEN "
                "error('[INVALID_ARRAY_INDEX_IN_ELEMENT_AT] The "
                "index ' || %s || ' is out of bounds. The array has ' || len(%s) || ' elements. Use "
                "`try_element_at` to tolerate accessing element at invalid index and return NULL instead. "
                "SQLSTATE: 22003') ELSE (%s)[%s] END)",
                k, k, a, k, a, a, k)));
    out->nullable = true;
    return LC_OK;
}

static enum lc element_at(struct call *c, struct sx *out)
{
    return element(c, out, true);
}

static enum lc try_element_at(struct call *c, struct sx *out)
{
    return element(c, out, false);
}

static const char *months_of(struct call *c, const char *interval)
{
    return gen_printf(c->g, "(12 * datepart('year', %s) + datepart('month', %s))", interval, interval);
}

/* Instants a step of days and times apart: a clock that is put forward does not move those after it. */
static const char *moments_by(struct call *c, const char *a, const char *b, const char *step)
{
    const char *length = gen_printf(c->g, "CAST(epoch_us(%s) AS BIGINT)", step);

    return gen_printf(
        c->g,
        "(CASE WHEN %s = 0 OR (%s > 0 AND %s > %s) OR (%s < 0 AND %s < %s) THEN error('requirement failed: "
        "Illegal sequence boundaries: ' || epoch_us(%s) || ' to ' || epoch_us(%s) || ' by ' || %s) ELSE "
        "list_filter(list_transform(range((epoch_us(%s) - epoch_us(%s)) // %s + 2), lambda li: %s + "
        "to_microseconds(CAST(%s %% 86400000000 * li AS BIGINT)) + to_days(CAST(%s // 86400000000 * li AS "
        "INTEGER))), lambda lv: CASE WHEN %s > 0 THEN lv <= %s ELSE lv >= %s END) END)",
        length, length, a, b, length, a, b, a, b, length, b, a, length, a, length, length, length, b, b);
}

static enum lc sequence(struct call *c, struct sx *out)
{
    const struct dtype *t = gen_type(c->g, dtype_common(c->args[0].type, c->args[1].type));
    const char *a, *b, *step;

    if (!t || (!dtype_is_integral(t) && t->id != DTYPE_DATE && t->id != DTYPE_TIMESTAMP))
        return wrong_type(c, 0, "integer, date or timestamp");
    TRY(sx_coerce(c->g, &c->args[0], t, c->e));
    TRY(sx_coerce(c->g, &c->args[1], t, c->e));
    a = c->args[0].sql;
    b = c->args[1].sql;
    if (dtype_is_integral(t))
        step = c->n > 2 ? c->args[2].sql : gen_printf(c->g, "CASE WHEN %s > %s THEN -1 ELSE 1 END", a, b);
    else
        step = c->n > 2 ? c->args[2].sql
                        : gen_printf(c->g, "to_days(CASE WHEN %s > %s THEN -1 ELSE 1 END)", a, b);
    if (!dtype_is_integral(t) && c->n > 2 && c->args[2].type->id == DTYPE_INTERVAL &&
        dtype_interval_kind(c->args[2].type) ==
            INTERVAL_YEAR_MONTH) /* each from the start: the 31st comes back */
        return special_done(c, out, gen_type(c->g, dtype_array(dtype_ref(t), false)),
                            gen_printf(c->g,
                                       "list_filter(list_transform(range(abs(date_diff('month', %s, %s)) // "
                                       "abs(%s) + 2), lambda li: "
                                       "CAST(%s + to_months(CAST(li * %s AS INTEGER)) AS %s)), lambda lv: "
                                       "CASE WHEN %s > 0 THEN lv <= %s "
                                       "ELSE lv >= %s END)",
                                       a, b, months_of(c, step), a, months_of(c, step), gen_sql_type(c->g, t),
                                       months_of(c, step), b, b));
    if (t->id == DTYPE_TIMESTAMP) /* each from the start, in days of the session's time zone */
        return special_done(c, out, gen_type(c->g, dtype_array(dtype_ref(t), false)),
                            moments_by(c, a, b, step));
    if (dtype_is_integral(t) && c->n > 2)
        a = gen_printf(
            c->g,
            "(CASE WHEN (%s > 0 AND %s > %s) OR (%s < 0 AND %s < %s) OR (%s = 0 AND %s <> %s) THEN "
            "error('requirement failed: Illegal sequence boundaries: ' || %s || ' to ' || %s || ' by ' || "
            "%s) "
            "ELSE %s END)",
            step, a, b, step, a, b, step, a, b, a, b, step, a);
    return special_done(
        c, out, gen_type(c->g, dtype_array(dtype_ref(t), false)),
        gen_printf(c->g, "CAST(generate_series(%s, %s, %s) AS %s[])", a, b, step, gen_sql_type(c->g, t)));
}

static const struct dtype *pair_type(struct call *c, const struct dtype *map)
{
    const struct dtype *s = dtype_struct_new(2);

    s = dtype_struct_add(s, "key", dtype_ref(map->key), false, NULL);
    s = s ? dtype_struct_add(s, "value", dtype_ref(map->element), map->contains_null, NULL) : NULL;
    return gen_type(c->g, dtype_array(s, false));
}

/* "a IS NULL OR b IS NULL", of the arguments that may be; "FALSE": none may */
static const char *any_null_condition(struct call *c)
{
    struct buf b = BUF_INIT((size_t)64 << 20);

    for (size_t i = 0; i < c->n; i++)
        if (c->args[i].nullable)
            buf_printf(&b, "%s%s IS NULL", b.len ? " OR " : "", c->args[i].sql);
    if (b.len == 0)
        buf_puts(&b, "FALSE");
    return gen_take(c->g, &b);
}

/* Structs of the elements at the same place; shorter arrays are filled up with NULL. */
static enum lc arrays_zip(struct call *c, struct sx *out)
{
    const struct dtype *s = dtype_struct_new(c->n), *t;

    for (size_t i = 0; i < c->n; i++) {
        bool named = c->args[i].col && c->e->args[i]->kind == EXPR_ATTRIBUTE;
        const char *name = named ? explain_plain(c->g, c->args[i].name) : gen_printf(c->g, "%zu", i);

        if (c->args[i].type->id != DTYPE_ARRAY)
            return dtype_unref(s), wrong_type(c, i, "\"ARRAY\"");
        s = s && name ? dtype_struct_add(s, name, dtype_ref(c->args[i].type->element), true, NULL) : NULL;
    }
    t = gen_type(c->g, dtype_array(s, false));
    TRY(check_names(c, t ? t->element : NULL));
    return special_done(
        c, out, t,
        gen_printf(c->g,
                   c->n == 1
                       ? "CASE WHEN %s THEN NULL ELSE CAST(list_transform(%s, lambda lx: row(lx)) AS %s) END"
                       : "CASE WHEN %s THEN NULL ELSE CAST(list_zip(%s) AS %s) END",
                   any_null_condition(c), list(c, 0, 1), t ? gen_sql_type(c->g, t) : ""));
}

static enum lc map_entries(struct call *c, struct sx *out)
{
    const struct dtype *m = c->args[0].type;

    if (m->id != DTYPE_MAP)
        return wrong_type(c, 0, "\"MAP\"");
    return special_done(c, out, pair_type(c, m), gen_printf(c->g, "map_entries(%s)", c->args[0].sql));
}

static enum lc map_from_arrays(struct call *c, struct sx *out)
{
    const struct dtype *k = c->args[0].type->element, *v = c->args[1].type->element;

    return special_done(c, out,
                        gen_type(c->g, dtype_map(dtype_ref(k), dtype_ref(v), c->args[1].type->contains_null)),
                        gen_printf(c->g, "map(%s, %s)", c->args[0].sql, c->args[1].sql));
}

static enum lc map_from_entries(struct call *c, struct sx *out)
{
    const struct dtype *s = c->args[0].type->element;

    if (!s || s->id != DTYPE_STRUCT || s->n_fields != 2)
        return wrong_type(c, 0, "array of structs with two fields");
    return special_done(c, out,
                        gen_type(c->g, dtype_map(dtype_ref(s->fields[0].type), dtype_ref(s->fields[1].type),
                                                 s->fields[1].nullable)),
                        gen_printf(c->g, "map_from_entries(%s)", c->args[0].sql));
}

/* DuckDB joins with a constant separator only; any other one goes through a fold. */
static enum lc array_join(struct call *c, struct sx *out)
{
    const char *list_sql = gen_printf(c->g, "CAST(%s AS VARCHAR[])", c->args[0].sql), *sep = c->args[1].sql;

    if (c->n > 2)
        list_sql =
            gen_printf(c->g, "list_transform(%s, lambda lx: coalesce(lx, %s))", list_sql, c->args[2].sql);
    if (c->args[1].literal)
        return special_done(c, out, dtype_of(DTYPE_STRING),
                            gen_printf(c->g,
                                       "(CASE WHEN %s IS NOT NULL AND %s IS NOT NULL THEN "
                                       "coalesce(array_to_string(%s, %s), '') END)",
                                       list_sql, sep, list_sql,
                                       sep)); /* DuckDB's is NULL where all elements are */
    list_sql = gen_printf(c->g, "list_filter(%s, lambda lx: lx IS NOT NULL)", list_sql);
    return special_done(c, out, dtype_of(DTYPE_STRING),
                        gen_printf(c->g,
                                   "(CASE WHEN %s IS NULL THEN NULL WHEN len(%s) = 0 THEN '' ELSE "
                                   "list_reduce(%s, lambda la, lb: la || %s "
                                   "|| lb) END)",
                                   sep, list_sql, list_sql, sep));
}

/* ---- lambdas ---- */
/* The body, with the parameters standing for `values`; params are given names of their own. */
/* An element may be NULL where its array or map says so; its place and a key never are. */
static bool variable_nullable(const struct call *c, size_t arg, size_t i)
{
    const struct dtype *of = arg == 1 ? c->args[0].type : NULL;

    if (of && of->id == DTYPE_ARRAY)
        return i == 0 && of->contains_null;
    if (of && of->id == DTYPE_MAP)
        return i == 1 && of->contains_null;
    return true;
}

enum lc special_lambda(struct call *c, size_t arg, const struct dtype *const *types, size_t n,
                       const char *const *values, const char **head, struct sx *body)
{
    const struct expr *l = c->e->args[arg];
    struct variable vars[3];
    struct scope s = *c->scope;
    struct buf names = BUF_INIT(400), words = BUF_INIT(1 << 20);
    enum lc code;

    if (l->kind != EXPR_LAMBDA || l->u.lambda.n_params > n || n > 3)
        return gen_fail(c->g, c->e, LC_ENGINE, "%s needs a function of at most %zu parameters", c->f->name,
                        n);
    for (size_t i = 0; i < l->u.lambda.n_params; i++) {
        const char *name = gen_printf(c->g, "lp%d", c->g->next_uid++);

        vars[i] = (struct variable){.outer = s.variables,
                                    .name = l->u.lambda.params[i],
                                    .value = {.sql = values && values[i] ? values[i] : name,
                                              .name = values && c->g->explaining && arg + 1 + i < c->n
                                                          ? c->args[arg + 1 + i].name
                                                          : "namedlambdavariable()",
                                              .type = types[i],
                                              .nullable = variable_nullable(c, arg, i)}};
        if (i == 1 && (strcmp(c->f->name, "transform") == 0 || strcmp(c->f->name, "filter") == 0))
            vars[i].value.sql = gen_printf(c->g, "CAST(%s - 1 AS INTEGER)", name); /* DuckDB counts from 1 */
        s.variables = &vars[i];
        buf_printf(&names, "%s%s", i ? ", " : "", name);
    }
    s.aggregating = s.aggregates = s.generators = false;
    *head = gen_take(c->g, &names);
    code = sx_expr(c->g, &s, l->args[0], body);
    if (code != LC_OK)
        return buf_release(&words), code;
    buf_printf(&words, "lambdafunction(%s", body->name);
    for (size_t i = 0; i < l->u.lambda.n_params; i++)
        buf_puts(&words, ", namedlambdavariable()");
    buf_putc(&words, ')');
    c->args[arg].name = gen_take(c->g, &words);
    return c->args[arg].name ? LC_OK : err_nomem(c->g->err);
}

static enum lc lambda(struct call *c, size_t arg, const struct dtype *const *types, size_t n,
                      const char **head, struct sx *body)
{
    return special_lambda(c, arg, types, n, NULL, head, body);
}

static enum lc over_elements(struct call *c, size_t n_params, const char **head, struct sx *body)
{
    const struct dtype *types[2];

    if (c->args[0].type->id != DTYPE_ARRAY)
        return wrong_type(c, 0, "\"ARRAY\"");
    types[0] = c->args[0].type->element;
    types[1] = dtype_of(DTYPE_INT);
    return lambda(c, 1, types, n_params, head, body);
}

static enum lc transform(struct call *c, struct sx *out)
{
    const char *head;
    struct sx body;

    TRY(over_elements(c, 2, &head, &body));
    return special_done(
        c, out, gen_type(c->g, dtype_array(dtype_ref(body.type), body.nullable)),
        gen_printf(c->g, "list_transform(%s, lambda %s: %s)", c->args[0].sql, head, body.sql));
}

static enum lc filter(struct call *c, struct sx *out)
{
    const char *head;
    struct sx body;

    TRY(over_elements(c, 2, &head, &body));
    return special_done(c, out, c->args[0].type,
                        gen_printf(c->g, "list_filter(%s, lambda %s: %s)", c->args[0].sql, head, body.sql));
}

static enum lc any_or_all(struct call *c, struct sx *out, const char *deciding, const char *otherwise)
{
    const char *head, *bools;
    struct sx body;

    TRY(over_elements(c, 1, &head, &body));
    /* an element that decides, else an unknown one, else what it is of none */
    bools = gen_printf(c->g, "list_transform(%s, lambda %s: %s)", c->args[0].sql, head, body.sql);
    TRY(special_done(c, out, dtype_of(DTYPE_BOOLEAN),
                     gen_printf(c->g,
                                "(CASE WHEN %s IS NULL THEN NULL WHEN list_contains(%s, %s) THEN %s WHEN "
                                "len(list_filter(%s, lambda lb: lb IS NULL)) > 0 THEN NULL ELSE %s END)",
                                c->args[0].sql, bools, deciding, deciding, bools, otherwise)));
    out->nullable = out->nullable || body.nullable;
    return LC_OK;
}

static enum lc exists(struct call *c, struct sx *out)
{
    return any_or_all(c, out, "TRUE", "FALSE");
}

static enum lc forall(struct call *c, struct sx *out)
{
    return any_or_all(c, out, "FALSE", "TRUE");
}

/* A fold whose accumulator has another type than the elements: both travel in a struct, as DuckDB folds within one type. */
static enum lc fold_pairs(struct call *c, const struct dtype *const *types, const char **sql)
{
    const char *values[2] = {"struct_extract(lp, 'a')", "struct_extract(lq, 'e')"}, *head,
               *list = c->args[0].sql, *start = gen_sql_type(c->g, types[0]),
               *element = gen_sql_type(c->g, types[1]);
    struct sx body;

    TRY(special_lambda(c, 2, types, 2, values, &head, &body));
    TRY(sx_coerce(c->g, &body, types[0], c->e));
    *sql = gen_printf(c->g,
                      "(CASE WHEN %s IS NOT NULL THEN struct_extract(list_reduce(list_concat([struct_pack(a "
                      ":= CAST(%s AS %s), e := "
                      "CAST(NULL AS %s))], list_transform(%s, lambda le: struct_pack(a := CAST(NULL AS %s), "
                      "e := le))), lambda lp, lq: "
                      "struct_pack(a := %s, e := struct_extract(lq, 'e'))), 'a') END)",
                      list, c->args[1].sql, start, element, list, start, body.sql);
    return *sql ? LC_OK : err_nomem(c->g->err);
}

static enum lc aggregate(struct call *c, struct sx *out)
{
    const struct dtype *types[2], *start = c->args[1].type;
    const char *head, *sql;
    struct sx body;

    if (c->args[0].type->id != DTYPE_ARRAY)
        return wrong_type(c, 0, "\"ARRAY\"");
    types[0] = start;
    types[1] = c->args[0].type->element;
    TRY(lambda(c, 2, types, 2, &head, &body));
    if (!dtype_same(body.type, start)) { /* the accumulator takes the wider type */
        types[0] = start = gen_type(c->g, dtype_common(start, body.type));
        if (!start)
            return wrong_type(c, 1, "type of what the function gives");
        TRY(sx_coerce(c->g, &c->args[1], start, c->e));
        TRY(lambda(c, 2, types, 2, &head, &body));
        TRY(sx_coerce(c->g, &body, start, c->e));
    }
    /* DuckDB folds within one type: elements other than the accumulator's travel in a struct */
    if (dtype_same(start, c->args[0].type->element))
        sql = gen_printf(c->g, "list_reduce(%s, lambda %s: %s, %s)", c->args[0].sql, head, body.sql,
                         c->args[1].sql);
    else if (sx_may_coerce(c->args[0].type->element, start))
        sql = gen_printf(c->g, "list_reduce(CAST(%s AS %s[]), lambda %s: %s, %s)", c->args[0].sql,
                         gen_sql_type(c->g, start), head, body.sql, c->args[1].sql);
    else
        TRY(fold_pairs(c, types, &sql));
    if (c->n > 3) {
        struct sx finished;

        types[0] = start;
        TRY(lambda(c, 3, types, 1, &head, &finished));
        sql = gen_printf(c->g, "list_transform([%s], lambda %s: %s)[1]", sql, head, finished.sql);
        start = finished.type;
    } else {
        out->name =
            gen_printf(c->g, "%s(%s, %s, %s, lambdafunction(namedlambdavariable(), namedlambdavariable()))",
                       c->f->name, c->args[0].name, c->args[1].name, c->args[2].name);
    }
    return special_done(c, out, start, sql);
}

/* ---- generators ---- */
static const char *or_null(struct call *c, const char *sql, bool outer)
{
    return outer ? gen_printf(c->g, "(CASE WHEN %s IS NULL OR len(%s) = 0 THEN [NULL] ELSE %s END)", sql, sql,
                              sql)
                 : sql;
}

enum lc special_generated(struct call *c, struct sx *out, const char *const *names,
                          const struct dtype *const *types, const char *const *sqls, size_t n, bool outer)
{
    out->many = arena_zalloc(c->g->arena, n * sizeof *out->many);
    if (!out->many)
        return err_nomem(c->g->err);
    out->n_many = n;
    for (size_t i = 0; i < n; i++) {
        if (!sqls[i])
            return err_nomem(c->g->err);
        out->many[i] = (struct sx){.sql = sqls[i],
                                   .name = names[i],
                                   .type = types[i],
                                   .nullable = outer || strcmp(names[i], "pos") != 0,
                                   .generator = true};
    }
    *out = (struct sx){.sql = sqls[0],
                       .name = names[0],
                       .type = types[0],
                       .nullable = true,
                       .generator = true,
                       .many = out->many,
                       .n_many = n};
    return LC_OK;
}

static enum lc explode_with(struct call *c, struct sx *out, bool position, bool outer)
{
    const struct dtype *t = c->args[0].type, *types[3];
    const char *names[3], *sqls[3], *x = c->args[0].sql;
    size_t n = 0;

    if (t->id != DTYPE_ARRAY && t->id != DTYPE_MAP)
        return wrong_type(c, 0, "(\"ARRAY\" or \"MAP\")");
    if (position) {
        const char *keys = t->id == DTYPE_MAP ? gen_printf(c->g, "map_keys(%s)", x) : x;

        names[n] = "pos";
        types[n] = dtype_of(DTYPE_INT);
        sqls[n++] = gen_printf(c->g, "CAST(unnest(%s) AS INTEGER)",
                               or_null(c, gen_printf(c->g, "range(coalesce(len(%s), 0))", keys), outer));
    }
    if (t->id == DTYPE_MAP) {
        names[n] = "key";
        types[n] = t->key;
        sqls[n++] = gen_printf(c->g, "unnest(%s)", or_null(c, gen_printf(c->g, "map_keys(%s)", x), outer));
    }
    names[n] = t->id == DTYPE_MAP ? "value" : "col";
    types[n] = t->element;
    sqls[n++] = gen_printf(c->g, "unnest(%s)",
                           or_null(c, t->id == DTYPE_MAP ? gen_printf(c->g, "map_values(%s)", x) : x, outer));
    TRY(special_generated(c, out, names, types, sqls, n, outer));
    for (size_t i = 0; i < n; i++) /* a key is never NULL, a place neither */
        out->many[i].nullable = outer || (i + 1 == n && t->contains_null);
    out->nullable = out->many[0].nullable;
    return LC_OK;
}

static enum lc explode(struct call *c, struct sx *out)
{
    return explode_with(c, out, false, false);
}

static enum lc explode_outer(struct call *c, struct sx *out)
{
    return explode_with(c, out, false, true);
}

static enum lc posexplode(struct call *c, struct sx *out)
{
    return explode_with(c, out, true, false);
}

static enum lc posexplode_outer(struct call *c, struct sx *out)
{
    return explode_with(c, out, true, true);
}

static enum lc inline_with(struct call *c, struct sx *out, bool outer)
{
    const struct dtype *s = c->args[0].type->element;
    const char **names, **sqls;
    const struct dtype **types;

    if (!s || s->id != DTYPE_STRUCT)
        return wrong_type(c, 0, "array of structs");
    names = arena_alloc(c->g->arena, s->n_fields * sizeof *names);
    sqls = arena_alloc(c->g->arena, s->n_fields * sizeof *sqls);
    types = arena_alloc(c->g->arena, s->n_fields * sizeof *types);
    if (!names || !sqls || !types)
        return err_nomem(c->g->err);
    for (size_t i = 0; i < s->n_fields; i++) {
        names[i] = s->fields[i].name;
        types[i] = s->fields[i].type;
        sqls[i] = gen_printf(c->g, "list_transform(%s, lambda lx: struct_extract(lx, %s))", c->args[0].sql,
                             gen_text(c->g, names[i], strlen(names[i])));
        sqls[i] = gen_printf(c->g, "unnest(%s)", or_null(c, sqls[i], outer));
    }
    TRY(special_generated(c, out, names, types, sqls, s->n_fields, true));
    for (size_t i = 0; i < s->n_fields; i++)
        out->many[i].nullable = outer || s->fields[i].nullable || c->args[0].type->contains_null;
    return LC_OK;
}

static enum lc inline_fn(struct call *c, struct sx *out)
{
    return inline_with(c, out, false);
}

static enum lc inline_outer(struct call *c, struct sx *out)
{
    return inline_with(c, out, true);
}

const struct special special_lists[] = {
    {"array", array},
    {"map", map},
    {"struct", struct_fn},
    {"named_struct", named_struct},
    {"size", size},
    {"element_at", element_at},
    {"try_element_at", try_element_at},
    {"sequence", sequence},
    {"arrays_zip", arrays_zip},
    {"map_entries", map_entries},
    {"map_from_arrays", map_from_arrays},
    {"map_from_entries", map_from_entries},
    {"array_join", array_join},
    {"transform", transform},
    {"filter", filter},
    {"exists", exists},
    {"forall", forall},
    {"aggregate", aggregate},
    {"explode", explode},
    {"explode_outer", explode_outer},
    {"posexplode", posexplode},
    {"posexplode_outer", posexplode_outer},
    {"inline", inline_fn},
    {"inline_outer", inline_outer},
    {0},
};
