/* encode_call.c: a function call: its row, the coercion of its arguments, its template, its type. */
#include "runtime/base/nearest.h"
#include "runtime/dataframe/sqlgen/sqlgen_int.h"
#include <ctype.h>
#include <string.h>

static enum lc unknown_function(struct gen *g, const struct expr *e)
{
    const struct function *f = function_named(e->u.call.name);
    const struct missing_function *missing = function_missing(e->u.call.name);
    struct buf near = BUF_INIT(400);
    const char *names[1024];
    size_t n = 0;
    int low = f ? f->min : 0, high = f ? f->max : 0;
    enum lc code;

    if (f) {
        for (; f->name && strcmp(f->name, e->u.call.name) == 0; f++) {
            low = f->min < low ? f->min : low;
            high = f->max < 0 || high < 0 ? -1 : (f->max > high ? f->max : high);
        }
        code = gen_fail(g, e, LC_ENGINE,
                        "[WRONG_NUM_ARGS.WITHOUT_SUGGESTION] The `%s` requires %d%s parameters but the "
                        "actual number is %zu. "
                        "SQLSTATE: 42605",
                        e->u.call.name, low, high < 0 ? " or more" : (high > low ? " or more" : ""),
                        e->n - e->u.call.n_orders);
        err_hint(g->err, "usage: %s", function_named(e->u.call.name)->usage);
        return code;
    }
    if (missing) {
        code = gen_fail(g, e, LC_UNSUPPORTED, "the function '%s' of Spark is not there: %s", missing->name,
                        missing->why);
        if (missing->instead)
            err_hint(g->err, "nearest is %s", missing->instead);
        return code;
    }
    for (f = function_rows(); f->name && n < 1024; f++)
        if (isalpha((unsigned char)f->name[0]) && (!n || strcmp(names[n - 1], f->name) != 0))
            names[n++] = f->name;
    code = gen_fail(g, e, LC_ENGINE,
                    "[UNRESOLVED_ROUTINE] Cannot resolve routine `%s` on search path [`system`.`builtin`, "
                    "`system`.`session`]. SQLSTATE: 42883",
                    e->u.call.name);
    if (nearest_list(&near, e->u.call.name, names, n, 3) && near.len > 0)
        err_hint(g->err, "did you mean %s?", buf_str(&near));
    buf_release(&near);
    return code;
}

static const struct dtype *wanted(char letter)
{
    static const struct {
        char letter;
        enum dtype_id id;
    } rows[] = {{'s', DTYPE_STRING}, {'i', DTYPE_INT},     {'l', DTYPE_LONG},
                {'d', DTYPE_DOUBLE}, {'b', DTYPE_BOOLEAN}, {'D', DTYPE_DATE},
                {'x', DTYPE_BINARY}, {'t', DTYPE_TIME},    {'N', DTYPE_TIMESTAMP_NTZ}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].letter == letter)
            return dtype_of(rows[i].id);
    return NULL;
}

static enum lc mismatch(struct call *c, size_t i, const char *required)
{
    static const char *const places[] = {"first", "second", "third", "fourth", "fifth"};

    return gen_fail(c->g, c->args[i].from ? c->args[i].from : c->e, LC_ENGINE,
                    "[DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE] Cannot resolve \"%s(%s)\" due to data type "
                    "mismatch: The %s "
                    "parameter requires the %s type, however \"%s\" has the type \"%s\". SQLSTATE: 42K09",
                    c->f->name, c->args[i].name, i < 5 ? places[i] : "next", required, c->args[i].name,
                    gen_type_words(c->g, c->args[i].type));
}

static enum lc coerce_one(struct call *c, size_t i, char letter)
{
    struct sx *x = &c->args[i];
    const struct dtype *to = wanted(letter);
    enum dtype_id id = x->type->id;

    if (letter == 'b' && id == DTYPE_STRING && strcmp(c->f->name, "if") == 0)
        return mismatch(c, i, "\"BOOLEAN\"");
    if (to) {
        if (letter == 's' && id == DTYPE_BINARY)
            return LC_OK;
        if (!sx_may_coerce(x->type, to))
            return mismatch(c, i, gen_printf(c->g, "\"%s\"", gen_type_words(c->g, to)));
        return sx_coerce(c->g, x, to, c->e);
    }
    if (id == DTYPE_NULL && letter != '*' && letter != '=')
        return letter == 'n' || letter == 'v' ? sx_coerce(c->g, x, dtype_of(DTYPE_DOUBLE), c->e) : LC_OK;
    switch (letter) {
    case 'v':
        if (id == DTYPE_INTERVAL)
            return LC_OK;
        /* fallthrough */
    case 'n':
        if (id == DTYPE_STRING)
            return sx_coerce(c->g, x, dtype_of(DTYPE_DOUBLE), c->e);
        return dtype_is_numeric(x->type) ? LC_OK : mismatch(c, i, "\"NUMERIC\"");
    case 'I':
        return dtype_is_integral(x->type) || id == DTYPE_BOOLEAN ? LC_OK : mismatch(c, i, "\"INTEGRAL\"");
    case 'T':
        if (id == DTYPE_STRING || id == DTYPE_DATE)
            return sx_coerce(c->g, x, dtype_of(DTYPE_TIMESTAMP), c->e);
        return id == DTYPE_TIMESTAMP || id == DTYPE_TIMESTAMP_NTZ ? LC_OK : mismatch(c, i, "\"TIMESTAMP\"");
    case 'F':
        to = gen_type(c->g, dtype_array(dtype_of(DTYPE_FLOAT), true));
        return to && sx_may_coerce(x->type, to) ? sx_coerce(c->g, x, to, c->e)
                                                : mismatch(c, i, "\"ARRAY<FLOAT>\"");
    case 'A':
        return id == DTYPE_ARRAY ? LC_OK : mismatch(c, i, "\"ARRAY\"");
    case 'M':
        return id == DTYPE_MAP ? LC_OK : mismatch(c, i, "\"MAP\"");
    case 'S':
        return id == DTYPE_STRUCT ? LC_OK : mismatch(c, i, "\"STRUCT\"");
    case 'e':
        if (c->args[0].type->id != DTYPE_ARRAY)
            return mismatch(c, 0, "\"ARRAY\"");
        return sx_may_coerce(x->type, c->args[0].type->element)
                   ? sx_coerce(c->g, x, c->args[0].type->element, c->e)
                   : mismatch(c, i,
                              gen_printf(c->g, "\"%s\"", gen_type_words(c->g, c->args[0].type->element)));
    default:
        return LC_OK;
    }
}

char call_letter(const char *in, size_t i)
{
    size_t n = strlen(in);

    return n == 0 ? '*' : in[i < n ? i : n - 1];
}

/* Arguments marked '=' get one type. */
static enum lc unify(struct call *c)
{
    const struct dtype *common = NULL;

    for (size_t i = 0; i < c->n; i++) {
        const struct dtype *both;

        if (call_letter(c->f->in, i) != '=')
            continue;
        if (strcmp(c->f->name, "in") == 0 && i > 0)
            TRY(sx_fields_as(c->g, &c->args[i], c->args[0].type));
        both = common ? gen_type(c->g, dtype_common(common, c->args[i].type)) : c->args[i].type;
        if (!both)
            return gen_fail(
                c->g, c->e, LC_ENGINE,
                "[DATATYPE_MISMATCH.DATA_DIFF_TYPES] Cannot resolve \"%s\" due to data type mismatch: the "
                "arguments must have one type, but there are \"%s\" and \"%s\". SQLSTATE: 42K09",
                c->f->name, gen_type_words(c->g, common), gen_type_words(c->g, c->args[i].type));
        common = both;
    }
    for (size_t i = 0; i < c->n && common; i++)
        if (call_letter(c->f->in, i) == '=')
            TRY(sx_coerce(c->g, &c->args[i], common, c->e));
    return LC_OK;
}

static enum lc coerce_all(struct call *c)
{
    if (strchr(c->f->in, '='))
        TRY(unify(c));
    for (size_t i = 0; i < c->n; i++)
        if (c->args[i].type && call_letter(c->f->in, i) != '=')
            TRY(coerce_one(c, i, call_letter(c->f->in, i)));
    return LC_OK;
}

/* ---- templates: $1…$9 arguments, $* all, $2* from the second, $d DISTINCT, $f the tail, $n the tail without NULLs of $1 ---- */
static const char *part_of(const struct call *c, size_t i, bool names)
{
    return i < c->n ? (names ? c->args[i].name : c->args[i].sql) : "NULL";
}

static void put_tail(struct call *c, char kind, struct buf *b)
{
    if (kind == 'f') {
        buf_puts(b, c->tail);
        return;
    }
    buf_printf(b, " FILTER (WHERE %s IS NOT NULL", c->args[0].sql);
    if (c->filter)
        buf_printf(b, " AND %s", c->filter);
    buf_printf(b, ")%s", c->over);
}

static const char *fill(struct call *c, const char *t, bool names)
{
    struct buf b = BUF_INIT((size_t)64 << 20);

    for (; *t; t++) {
        size_t from = 0;

        if (*t != '$') {
            buf_putc(&b, *t);
            continue;
        }
        t++;
        if (*t == 'd') {
            buf_puts(&b, c->distinct ? "DISTINCT " : "");
        } else if (*t == 'f' || *t == 'n') {
            put_tail(c, *t, &b);
        } else if (isdigit((unsigned char)*t) && t[1] != '*') {
            buf_puts(&b, part_of(c, (size_t)(*t - '1'), names));
        } else {
            if (isdigit((unsigned char)*t))
                from = (size_t)(*t++ - '1');
            for (size_t i = from; i < c->n; i++) {
                buf_puts(&b, i > from ? ", " : "");
                buf_puts(&b, part_of(c, i, names));
            }
        }
    }
    return gen_take(c->g, &b);
}

/* ---- result types ---- */
static const struct dtype *argument_type(const struct call *c, char digit)
{
    size_t i = (size_t)(digit - '1');

    return i < c->n ? c->args[i].type : dtype_of(DTYPE_NULL);
}

static const struct dtype *common_type(const struct call *c)
{
    for (size_t i = 0; i < c->n; i++)
        if (call_letter(c->f->in, i) == '=')
            return c->args[i].type;
    return dtype_of(DTYPE_NULL);
}

/* The rule's last letter: ! elements are never NULL, ? they may be, ~ they are where the first argument is. */
static const struct dtype *with_elements(struct call *c, const struct dtype *t, char mark)
{
    bool nulls = mark == '?' || (mark == '~' && c->args[0].nullable);

    if (t->id != DTYPE_ARRAY || t->contains_null == nulls)
        return t;
    return gen_type(c->g, dtype_array(dtype_ref(t->element), nulls));
}

static enum lc out_type(struct call *c, const char *rule, const struct dtype **out)
{
    size_t len = strlen(rule);
    const struct dtype *t;

    if (strchr("!?~", rule[len - 1])) {
        TRY(out_type(c, gen_printf(c->g, "%.*s", (int)len - 1, rule), out));
        *out = with_elements(c, *out, rule[len - 1]);
        return *out ? LC_OK : err_nomem(c->g->err);
    }
    if (isdigit((unsigned char)rule[0])) {
        *out = argument_type(c, rule[0]);
    } else if (strcmp(rule, "=") == 0) {
        *out = common_type(c);
    } else if (strcmp(rule, "a=") == 0) {
        *out = gen_type(c->g, dtype_array(dtype_ref(common_type(c)), true));
    } else if (rule[0] == 'a' && isdigit((unsigned char)rule[1])) {
        *out = gen_type(c->g, dtype_array(dtype_ref(argument_type(c, rule[1])), false));
    } else if ((rule[0] == 'e' || rule[0] == 'v') && isdigit((unsigned char)rule[1])) {
        t = argument_type(c, rule[1]);
        *out = t->element ? t->element : dtype_of(DTYPE_NULL);
    } else if (rule[0] == 'k' && isdigit((unsigned char)rule[1])) {
        *out = argument_type(c, rule[1])->key;
    } else if (strncmp(rule, "ak", 2) == 0 || strncmp(rule, "av", 2) == 0) {
        t = argument_type(c, rule[2]);
        t = rule[1] == 'k' ? t->key : t->element;
        *out = gen_type(c->g, dtype_array(dtype_ref(t ? t : dtype_of(DTYPE_NULL)), true));
    } else {
        TRY(dtype_parse(rule, out, c->g->err));
        *out = gen_type(c->g, *out);
    }
    return *out ? LC_OK : err_nomem(c->g->err);
}

static bool any_nullable(const struct call *c, bool all)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->args[i].type && c->args[i].nullable != all)
            return !all;
    return all;
}

static enum lc from_template(struct call *c, struct sx *out)
{
    const char *rule = c->f->out;
    char null_rule = strchr("!?~^", *rule) ? *rule++ : ' ';

    out->nullable = null_rule == '?' ||
                    (null_rule == '^' && (any_nullable(c, false) || c->args[0].type->contains_null)) ||
                    (null_rule == '~' && any_nullable(c, true)) ||
                    (null_rule == ' ' && (c->f->kind == FUNCTION_AGGREGATE || any_nullable(c, false)));
    TRY(out_type(c, rule, &out->type));
    out->sql = fill(c, c->f->sql, false);
    return out->sql ? LC_OK : err_nomem(c->g->err);
}

/* Where the arguments of an aggregate function, and its FILTER, find their names. */
static struct scope inside_aggregate(const struct scope *s)
{
    struct scope inner = *s;

    inner.aggregating = inner.aggregates = false;
    if (s->aliases) { /* an aggregate is of the input, not of other results */
        inner.aliases = false;
        inner.fallback = NULL;
    }
    inner.summed = inner.fallback && !s->having;
    if (s->having && s->fallback) {
        inner.cols = s->fallback;
        inner.n = s->n_fallback;
        inner.fallback = NULL;
    }
    inner.having = false;
    return inner;
}

/* AND and OR of what may be false for NULL may be so themselves; NOT has its NULL, and so has = FALSE (or a cast's = 0), which Spark makes NOT of. */
static bool is_condition(const struct call *c)
{
    static const char *const opposites[] = {"=", "==", "!=", "<>"};

    if (strcmp(c->f->name, "not") == 0)
        return true;
    for (size_t i = 0; i < sizeof opposites / sizeof *opposites; i++)
        if (strcmp(c->f->name, opposites[i]) == 0)
            return c->e->args[0]->kind == EXPR_LITERAL || c->e->args[1]->kind == EXPR_LITERAL;
    return c->scope->condition && (strcmp(c->f->name, "and") == 0 || strcmp(c->f->name, "or") == 0);
}

static enum lc encode_args(struct call *c)
{
    struct scope inner = *c->scope;

    if (c->f->kind == FUNCTION_AGGREGATE && !c->over)
        inner = inside_aggregate(c->scope);
    inner.generators = false;
    inner.condition = is_condition(c);
    for (size_t i = 0; i < c->n; i++) {
        const struct expr *a = c->e->args[i];

        if (a->kind == EXPR_STAR && strcmp(c->f->name, "count") == 0) {
            c->args[i] =
                (struct sx){.sql = "1", .name = "1", .type = dtype_of(DTYPE_INT), .literal = true, .from = a};
        } else if (a->kind == EXPR_LAMBDA) {
            c->args[i] = (struct sx){.name = "lambdafunction(…)", .from = a};
        } else {
            TRY(sx_expr(c->g, &inner, a, &c->args[i]));
        }
    }
    return LC_OK;
}

/* What WITHIN GROUP says, behind the arguments. */
static enum lc encode_orders(struct call *c)
{
    struct scope inner = inside_aggregate(c->scope);

    inner.generators = false;
    c->orders = arena_zalloc(c->g->arena, (c->n_orders + 1) * sizeof *c->orders);
    if (!c->orders)
        return err_nomem(c->g->err);
    for (size_t i = 0; i < c->n_orders; i++) {
        const struct expr *e = c->e->args[c->n + i];

        TRY(sx_expr(c->g, &inner, e->kind == EXPR_SORT ? e->args[0] : e, &c->orders[i]));
        c->orders[i].from = e;
    }
    return LC_OK;
}

/* percentile_cont(0.5) has no meaning without WITHIN GROUP (ORDER BY …), sum(x) none with it. */
static enum lc check_orders(struct call *c)
{
    static const struct {
        const char *name;
        size_t least, most;
    } rows[] = {{"listagg", 0, SIZE_MAX},
                {"string_agg", 0, SIZE_MAX},
                {"percentile_cont", 1, 1},
                {"percentile_disc", 1, 1},
                {"mode", 0, 1}};
    const char *name = c->e->u.call.name;
    size_t least = 0, most = 0;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].name, name) == 0) {
            least = rows[i].least;
            most = rows[i].most;
        }
    if (strcmp(name, "mode") == 0 && c->n == 0)
        least = 1;
    if (c->n_orders > 0 && most == 0)
        return gen_fail(
            c->g, c->e, LC_ENGINE,
            "[INVALID_SQL_SYNTAX.FUNCTION_WITH_UNSUPPORTED_SYNTAX] Invalid SQL syntax: The function `%s` "
            "does not support WITHIN GROUP (ORDER BY ...). SQLSTATE: 42000",
            name);
    if (c->n_orders < least)
        return gen_fail(
            c->g, c->e, LC_ENGINE,
            "[INVALID_WITHIN_GROUP_EXPRESSION.WITHIN_GROUP_MISSING] Invalid function `%s` with WITHIN "
            "GROUP. WITHIN GROUP is required for the function. SQLSTATE: 42K0K",
            name);
    if (c->n_orders > most)
        return gen_fail(
            c->g, c->e, LC_ENGINE,
            "[INVALID_WITHIN_GROUP_EXPRESSION.WRONG_NUM_ORDERINGS] Invalid function `%s` with WITHIN GROUP. "
            "The function requires %zu orderings in WITHIN GROUP but got %zu. SQLSTATE: 42K0K",
            name, most, c->n_orders);
    return LC_OK;
}

static enum lc check_orderable(struct call *c)
{
    static const char *const names[] = {"max",       "min",       "greatest",   "least",
                                        "array_max", "array_min", "array_sort", "sort_array"};

    for (size_t i = 0; c->n > 0 && i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], c->f->name) == 0 && c->args[0].type && dtype_has_map(c->args[0].type))
            return sx_not_orderable(c->g, c->e, c->f->name,
                                    gen_printf(c->g, "%s(%s)", c->f->name, c->args[0].name), c->args[0].type);
    return LC_OK;
}

static enum lc check_place(struct call *c, const char *over)
{
    if (c->f->kind != FUNCTION_AGGREGATE && (c->distinct || c->e->u.call.filter))
        return gen_fail(c->g, c->e, LC_ENGINE,
                        "[INVALID_SQL_SYNTAX.FUNCTION_WITH_UNSUPPORTED_SYNTAX] Invalid SQL syntax: The "
                        "function `%s` does not "
                        "support %s. SQLSTATE: 42000",
                        c->f->name, c->distinct ? "DISTINCT" : "FILTER CLAUSE");
    if (c->f->kind == FUNCTION_WINDOW && !over)
        return gen_fail(
            c->g, c->e, LC_ENGINE,
            "[WINDOW_FUNCTION_WITHOUT_OVER_CLAUSE] The window function %s() needs a window: write "
            "F.%s():over(Window.partitionBy(…):orderBy(…))",
            c->f->name, c->f->name);
    if (c->f->kind == FUNCTION_GENERATOR && !c->scope->generators)
        return gen_fail(c->g, c->e, LC_ENGINE,
                        "[UNSUPPORTED_GENERATOR.NESTED_IN_EXPRESSIONS] The generator is not supported: %s() "
                        "must stand alone in "
                        "select or withColumn. SQLSTATE: 42K0E",
                        c->f->name);
    if (c->f->kind == FUNCTION_AGGREGATE && !over && !c->scope->aggregates)
        return gen_fail(
            c->g, c->e, LC_ENGINE, "[%s] Aggregate function %s() is not allowed in %s. SQLSTATE: 42903",
            strcmp(c->scope->clause ? c->scope->clause : "", "WHERE") == 0 ? "INVALID_WHERE_CONDITION"
                                                                           : "NESTED_AGGREGATE_FUNCTION",
            c->f->name, c->scope->clause ? c->scope->clause : "another aggregate function");
    return LC_OK;
}

static enum lc make_tail(struct call *c, const char *over)
{
    struct scope plain = inside_aggregate(c->scope);
    struct sx condition;

    c->over = over ? over : "";
    c->tail = c->over;
    if (!c->e->u.call.filter)
        return LC_OK;
    TRY(sx_condition(c->g, &plain, c->e->u.call.filter, &condition));
    c->filter = condition.sql;
    c->filter_name = condition.name;
    c->tail = gen_printf(c->g, " FILTER (WHERE %s)%s", condition.sql, c->over);
    return c->tail ? LC_OK : err_nomem(c->g->err);
}

static enum lc make_name(struct call *c, struct sx *out)
{
    const char *label = c->f->label;

    if (!out->name && label)
        out->name = fill(c, label, true);
    else if (!out->name)
        out->name =
            gen_printf(c->g, "%s(%s%s)", c->f->name, c->distinct ? "DISTINCT " : "", fill(c, "$*", true));
    if (c->filter_name && out->name)
        out->name = gen_printf(c->g, "%s FILTER (WHERE %s)", out->name, c->filter_name);
    return out->name ? LC_OK : err_nomem(c->g->err);
}

/* column:outer(): looked for in the query around only. */
static enum lc outer_column(struct gen *g, const struct scope *s, const struct expr *e, struct sx *out)
{
    if (s->outer)
        return sx_expr(g, s->outer, e->args[0], out);
    gen_fail(
        g, e, LC_ENGINE,
        "[UNRESOLVED_COLUMN.WITHOUT_SUGGESTION] column:outer() is a column of a query around, and there is "
        "none. SQLSTATE: 42703");
    return err_hint(g->err,
                    "use the DataFrame in df:lateralJoin(…), or as :exists() or :scalar() in a condition");
}

/* try_add and its kin of two numbers: what their arguments fail with is an error all the same. */
static bool is_try_of_numbers(const struct call *c)
{
    static const char *const names[] = {"try_add", "try_subtract", "try_multiply", "try_divide", "try_mod"};

    for (size_t i = 0; c->n == 2 && i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], c->f->name) == 0)
            return dtype_is_numeric(c->args[0].type) && dtype_is_numeric(c->args[1].type);
    return false;
}

static bool is_real(const struct dtype *t)
{
    return t->id == DTYPE_DOUBLE || t->id == DTYPE_FLOAT;
}

bool call_never_fails(const struct call *c)
{
    const struct dtype *a = c->args[0].type, *b = c->args[1].type;

    return is_try_of_numbers(c) &&
           (is_real(a) || is_real(b) ||
            (strcmp(c->f->name, "try_divide") == 0 && a->id != DTYPE_DECIMAL && b->id != DTYPE_DECIMAL));
}

static bool is_outside_try(const struct call *c, const struct sx *x)
{
    return (is_try_of_numbers(c) && !x->col && !x->literal) || x->aggregate || x->window ||
           (c->scope->aggregating && !x->literal) ||
           (x->sql && (strstr(x->sql, "(SELECT ") || strstr(x->sql, "error(")));
}

/* DuckDB's TRY has neither aggregates, groups, windows nor subqueries in it: where there are, the arguments become variables of a lambda around
 * it. Gives its head, or NULL where there are none. */
static const char *named_outside_try(struct call *c)
{
    const char *row = "", *variable = NULL;

    if (c->f->kind != FUNCTION_SCALAR || strncmp(c->f->name, "try_", 4) != 0 ||
        (c->n == 2 && call_never_fails(c)))
        return NULL;
    for (size_t i = 0; i < c->n && !variable; i++)
        if (is_outside_try(c, &c->args[i]))
            variable = gen_printf(c->g, "lt%d", c->g->next_uid++);
    for (size_t i = 0, n = 0; i < c->n && variable; i++) {
        struct sx *x = &c->args[i];

        if (!x->sql || (x->literal && !strstr(x->sql, "error(")))
            continue;
        row = gen_printf(c->g, "%s%s%s", row, n ? ", " : "", x->sql);
        x->sql = gen_printf(c->g, "struct_extract_at(%s, %zu)", variable, ++n);
    }
    return variable ? gen_printf(c->g, "list_transform([row(%s)], lambda %s: ", row, variable) : NULL;
}

/* Stars among the arguments: of an aggregate function's they stand for the columns of its input. */
static enum lc sx_starred(struct gen *g, struct scope *s, const struct expr **e)
{
    struct scope inside = function_is_aggregate((*e)->u.call.name) ? inside_aggregate(s) : *s;

    TRY(star_arguments(g, &inside, e));
    s->variables = inside.variables;
    return LC_OK;
}

enum lc sx_call(struct gen *g, const struct scope *s, const struct expr *e, const char *over, struct sx *out)
{
    struct scope starred = *s;
    struct call c;
    const char *head;
    special_fn *special;

    if (expr_is_outer(e))
        return outer_column(g, s, e, out);
    TRY(sx_starred(g, &starred, &e));
    c = (struct call){.g = g,
                      .scope = &starred,
                      .e = e,
                      .n = e->n - e->u.call.n_orders,
                      .n_orders = e->u.call.n_orders,
                      .distinct = e->u.call.distinct};
    c.f = function_find(e->u.call.name, c.n);
    if (!c.f)
        return unknown_function(g, e);
    c.args = arena_zalloc(g->arena, (e->n + 1) * sizeof *c.args);
    if (!c.args)
        return err_nomem(g->err);
    TRY(check_place(&c, over));
    c.over = over;
    TRY(check_orders(&c));
    TRY(encode_args(&c));
    TRY(encode_orders(&c));
    TRY(check_orderable(&c));
    TRY(sx_fold_arguments(&c));
    TRY(sx_check_call(&c));
    TRY(coerce_all(&c));
    TRY(make_tail(&c, over));
    head = named_outside_try(&c);
    *out = (struct sx){.aggregate = c.f->kind == FUNCTION_AGGREGATE && !over,
                       .generator = c.f->kind == FUNCTION_GENERATOR};
    special = c.f->sql[0] == '@' ? special_find(c.f->sql + 1) : NULL;
    if (c.f->sql[0] == '@' && !special)
        return gen_fail(g, e, LC_INTERNAL, "the function table names '%s', which is not there", c.f->sql);
    TRY(special ? special(&c, out) : from_template(&c, out));
    if (head)
        out->sql = gen_printf(g, "%s%s)[1]", head, out->sql);
    if (c.f->out[0] == '?')
        out->nullable = true;
    for (size_t i = 0; i < c.n; i++) {
        out->aggregate = out->aggregate || c.args[i].aggregate;
        out->window = out->window || c.args[i].window;
    }
    return make_name(&c, out);
}
