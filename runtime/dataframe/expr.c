#include "runtime/dataframe/expr.h"
#include "runtime/base/mem.h"
#include "runtime/dataframe/plan.h"
#include <ctype.h>
#include <limits.h>
#include <string.h>

static struct expr *writable(const struct expr *e)
{
    union {
        const struct expr *c;
        struct expr *m;
    } u = {.c = e};

    return u.m;
}

void name_free(char **parts, size_t n)
{
    for (size_t i = 0; parts && i < n; i++)
        mem_free(parts[i]);
    mem_free(parts);
}

static bool copy_names(const char *const *from, size_t n, char ***to, size_t *n_to)
{
    char **copy = n ? mem_calloc(n, sizeof *copy) : NULL;

    if (n && !copy)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!(copy[i] = mem_strdup(from[i])))
            return name_free(copy, i), false;
    *to = copy;
    *n_to = n;
    return true;
}

struct expr *expr_ref(const struct expr *e)
{
    if (e)
        __atomic_add_fetch(&writable(e)->refs, 1, __ATOMIC_RELAXED);
    return writable(e);
}

static void release_details(struct expr *e)
{
    switch (e->kind) {
    case EXPR_LITERAL:
        dtype_unref(e->u.literal.type);
        mem_free(e->u.literal.s);
        break;
    case EXPR_ATTRIBUTE:
    case EXPR_STAR:
    case EXPR_VARIABLE:
        name_free(e->u.name.parts, e->u.name.n_parts);
        break;
    case EXPR_CALL:
        mem_free(e->u.call.name);
        expr_unref(e->u.call.filter);
        break;
    case EXPR_ALIAS:
        name_free(e->u.alias.names, e->u.alias.n_names);
        mem_free(e->u.alias.metadata);
        break;
    case EXPR_CAST:
        dtype_unref(e->u.cast.type);
        break;
    case EXPR_LAMBDA:
        name_free(e->u.lambda.params, e->u.lambda.n_params);
        break;
    case EXPR_SUBQUERY:
        plan_unref(e->u.subquery.plan);
        break;
    case EXPR_WINDOW:
        expr_unref(e->u.window.lower_of);
        expr_unref(e->u.window.upper_of);
        break;
    default:
        break;
    }
}

void expr_unref(const struct expr *e)
{
    struct expr *m = writable(e);

    if (!e || __atomic_sub_fetch(&m->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (size_t i = 0; i < m->n; i++)
        expr_unref(m->args[i]);
    mem_free(m->args);
    release_details(m);
    mem_free(m);
}

static void unref_all(struct expr *const *args, size_t n)
{
    for (size_t i = 0; i < n; i++)
        expr_unref(args[i]);
}

/* A node that takes over args; NULL (and they are released) when one of them is NULL or there is no memory.
 */
static struct expr *node(enum expr_kind kind, struct expr *const *args, size_t n)
{
    struct expr *e;

    for (size_t i = 0; i < n; i++)
        if (!args[i])
            return unref_all(args, n), NULL;
    e = mem_zalloc(sizeof *e);
    if (e && n && !(e->args = mem_calloc(n, sizeof *e->args))) {
        mem_free(e);
        e = NULL;
    }
    if (!e)
        return unref_all(args, n), NULL;
    e->refs = 1;
    e->kind = kind;
    e->position = -1;
    e->n = n;
    if (n)
        memcpy(e->args, args, n * sizeof *args);
    return e;
}

/* For a node whose details could not be copied. */
static struct expr *failed(struct expr *e)
{
    expr_unref(e);
    return NULL;
}

struct expr *expr_at(struct expr *e, int64_t position)
{
    if (e)
        e->position = position;
    return e;
}

/* ---- literals ---- */
static struct expr *literal(const struct dtype *type)
{
    struct expr *e = type ? node(EXPR_LITERAL, NULL, 0) : NULL;

    if (!e)
        return dtype_unref(type), NULL;
    e->u.literal.type = type;
    return e;
}

struct expr *expr_null(void)
{
    struct expr *e = literal(dtype_of(DTYPE_NULL));

    if (e)
        e->u.literal.is_null = true;
    return e;
}

struct expr *expr_typed_int(enum dtype_id id, int64_t v)
{
    struct expr *e = literal(dtype_of(id));

    if (e)
        e->u.literal.i = v;
    return e;
}

struct expr *expr_bool(bool v)
{
    return expr_typed_int(DTYPE_BOOLEAN, v);
}

struct expr *expr_int(int64_t v)
{
    return expr_typed_int(v >= INT_MIN && v <= INT_MAX ? DTYPE_INT : DTYPE_LONG, v);
}

struct expr *expr_long(int64_t v)
{
    return expr_typed_int(DTYPE_LONG, v);
}

struct expr *expr_temporal(enum dtype_id id, int64_t v)
{
    return expr_typed_int(id, v);
}

struct expr *expr_double(double v)
{
    struct expr *e = literal(dtype_of(DTYPE_DOUBLE));

    if (e)
        e->u.literal.f = v;
    return e;
}

static struct expr *literal_bytes(const struct dtype *type, const void *s, size_t len)
{
    struct expr *e = literal(type);

    if (!e)
        return NULL;
    e->u.literal.s = mem_alloc(len + 1);
    if (!e->u.literal.s)
        return failed(e);
    if (len)
        memcpy(e->u.literal.s, s, len);
    e->u.literal.s[len] = '\0';
    e->u.literal.len = len;
    return e;
}

struct expr *expr_string(const char *s, size_t len)
{
    return literal_bytes(dtype_of(DTYPE_STRING), s, len);
}

struct expr *expr_binary_literal(const void *s, size_t len)
{
    return literal_bytes(dtype_of(DTYPE_BINARY), s, len);
}

struct expr *expr_decimal(const char *digits)
{
    int integral = 0, scale = 0;
    bool point = false, leading = true;
    const char *p = digits + (*digits == '-' || *digits == '+');

    if (!*p)
        return NULL;
    for (; *p; p++) {
        if (*p == '.' && !point) {
            point = true;
        } else if (!isdigit((unsigned char)*p)) {
            return NULL;
        } else if (point) {
            scale++;
        } else if (!leading || *p != '0') {
            integral++;
            leading = false;
        }
    }
    if (integral + scale == 0)
        integral = 1;
    if (integral + scale > 38)
        return NULL;
    return literal_bytes(dtype_decimal(integral + scale, scale), digits, strlen(digits));
}

struct expr *expr_interval_of(const struct dtype *type, int64_t months, int64_t days, int64_t micros)
{
    char text[80];
    int n =
        snprintf(text, sizeof text, "%lld %lld %lld", (long long)months, (long long)days, (long long)micros);

    return literal_bytes(type, text, (size_t)n);
}

/* ---- names ---- */
static struct expr *named(enum expr_kind kind, const char *const *parts, size_t n, int64_t plan_id)
{
    struct expr *e = node(kind, NULL, 0);

    if (!e)
        return NULL;
    if (!copy_names(parts, n, &e->u.name.parts, &e->u.name.n_parts))
        return failed(e);
    e->u.name.plan_id = plan_id;
    return e;
}

struct expr *expr_attribute(const char *const *parts, size_t n, int64_t plan_id)
{
    return named(EXPR_ATTRIBUTE, parts, n, plan_id);
}

struct expr *expr_star(const char *const *parts, size_t n, int64_t plan_id)
{
    return named(EXPR_STAR, parts, n, plan_id);
}

struct expr *expr_variable(const char *name)
{
    return named(EXPR_VARIABLE, &name, 1, 0);
}

static bool add_part(char ***parts, size_t *n, struct buf *part)
{
    char **grown = mem_reallocn(*parts, *n + 1, sizeof **parts);

    if (!grown)
        return false;
    *parts = grown;
    grown[*n] = mem_strdup(buf_str(part));
    if (!grown[*n])
        return false;
    ++*n;
    buf_clear(part);
    return true;
}

static enum lc bad_name(const char *dotted, char **parts, size_t n, struct buf *part, struct err *err)
{
    name_free(parts, n);
    buf_release(part);
    err_set(err, LC_PARSE, "[INVALID_ATTRIBUTE_NAME_SYNTAX] Syntax error in the attribute name: %s.", dotted);
    return err_hint(err, "check that backticks appear in pairs and that a quoted name is complete");
}

enum lc name_split(const char *dotted, char ***parts, size_t *n, struct err *err)
{
    struct buf part = BUF_INIT(4096);
    bool quoted = false, closed = false;

    *parts = NULL;
    *n = 0;
    for (const char *p = dotted;; p++) {
        if (quoted && *p == '`' && p[1] == '`') {
            buf_putc(&part, *p++);
        } else if (quoted && *p == '`') {
            quoted = false;
            closed = true;
        } else if (quoted ? *p != '\0' : *p && *p != '.' && *p != '`' && !closed) {
            buf_putc(&part, *p);
        } else if (*p == '`' && !part.len && !closed) {
            quoted = true;
        } else if ((*p == '.' || *p == '\0') && !quoted && part.len) {
            if (!add_part(parts, n, &part))
                return name_free(*parts, *n), buf_release(&part), err_nomem(err);
            closed = false;
            if (!*p)
                break;
        } else {
            return bad_name(dotted, *parts, *n, &part, err);
        }
    }
    buf_release(&part);
    return LC_OK;
}

bool name_quote(struct buf *out, const char *name)
{
    bool plain = *name != '\0' && !isdigit((unsigned char)*name);

    for (const char *p = name; *p && plain; p++)
        plain = isalnum((unsigned char)*p) || *p == '_';
    if (plain)
        return buf_puts(out, name);
    buf_putc(out, '`');
    for (; *name; name++) {
        if (*name == '`')
            buf_putc(out, '`');
        buf_putc(out, *name);
    }
    return buf_putc(out, '`');
}

struct expr *expr_column(const char *dotted)
{
    char **parts;
    size_t n;
    struct expr *e;

    if (strcmp(dotted, "*") == 0)
        return expr_star(NULL, 0, 0);
    if (name_split(dotted, &parts, &n, NULL) != LC_OK)
        return NULL;
    e = n > 1 && strcmp(parts[n - 1], "*") == 0 ? expr_star((const char *const *)parts, n - 1, 0)
                                                : expr_attribute((const char *const *)parts, n, 0);
    name_free(parts, n);
    return e;
}

/* ---- the rest ---- */
struct expr *expr_call(const char *name, bool distinct, struct expr *const *args, size_t n)
{
    struct expr *e = node(EXPR_CALL, args, n);

    if (!e)
        return NULL;
    e->u.call.distinct = distinct;
    e->u.call.name = mem_strdup(name);
    if (!e->u.call.name)
        return failed(e);
    for (char *p = e->u.call.name; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    return e;
}

struct expr *expr_filtered(struct expr *call, struct expr *condition)
{
    if (!call || !condition)
        return expr_unref(call), expr_unref(condition), NULL;
    call->u.call.filter = condition;
    return call;
}

struct expr *expr_within(struct expr *call, struct expr *const *orders, size_t n)
{
    struct expr **all = call ? mem_calloc(call->n + n + 1, sizeof *all) : NULL, *e = NULL;

    if (!all) {
        unref_all(orders, n);
        return expr_unref(call), NULL;
    }
    for (size_t i = 0; i < call->n; i++)
        all[i] = expr_ref(call->args[i]);
    memcpy(all + call->n, orders, n * sizeof *all);
    e = expr_call(call->u.call.name, call->u.call.distinct, all, call->n + n);
    mem_free(all);
    expr_unref(call);
    if (e)
        e->u.call.n_orders = n;
    return e;
}

struct expr *expr_unary(const char *name, struct expr *a)
{
    return expr_call(name, false, &a, 1);
}

struct expr *expr_binary(const char *name, struct expr *a, struct expr *b)
{
    struct expr *args[] = {a, b};

    return expr_call(name, false, args, 2);
}

struct expr *expr_alias_many(struct expr *child, const char *const *names, size_t n, const char *metadata)
{
    struct expr *e = node(EXPR_ALIAS, &child, 1);

    if (!e)
        return NULL;
    if (!copy_names(names, n, &e->u.alias.names, &e->u.alias.n_names))
        return failed(e);
    if (metadata && !(e->u.alias.metadata = mem_strdup(metadata)))
        return failed(e);
    return e;
}

struct expr *expr_alias(struct expr *e, const char *name)
{
    return expr_alias_many(e, &name, 1, NULL);
}

struct expr *expr_typed_string(const char *s, size_t len, const struct dtype *type)
{
    struct expr *e = expr_cast(expr_string(s, len), type, false);

    if (e)
        e->u.cast.typed = true;
    return e;
}

struct expr *expr_cast(struct expr *child, const struct dtype *type, bool try_cast)
{
    struct expr *e = type ? node(EXPR_CAST, &child, 1) : (expr_unref(child), NULL);

    if (!e)
        return dtype_unref(type), NULL;
    e->u.cast.type = type;
    e->u.cast.try = try_cast;
    return e;
}

struct expr *expr_quiet_cast(struct expr *child, const struct dtype *type)
{
    struct expr *e = expr_cast(child, type, false);

    if (e)
        e->u.cast.quiet = true;
    return e;
}

struct expr *expr_sort(struct expr *child, bool descending, bool nulls_last)
{
    struct expr *e = node(EXPR_SORT, &child, 1);

    if (!e)
        return NULL;
    e->u.sort.descending = descending;
    e->u.sort.nulls_last = nulls_last;
    return e;
}

struct expr *expr_sort_default(struct expr *e)
{
    return !e || e->kind == EXPR_SORT ? e : expr_sort(e, false, false);
}

struct expr *expr_window(struct expr *function, struct expr *const *partition, size_t n_partition,
                         struct expr *const *order, size_t n_order)
{
    size_t n = 1 + n_partition + n_order;
    struct expr **args = mem_calloc(n, sizeof *args), *e;

    if (!args) {
        expr_unref(function);
        unref_all(partition, n_partition);
        unref_all(order, n_order);
        return NULL;
    }
    args[0] = function;
    for (size_t i = 0; i < n_partition; i++)
        args[1 + i] = partition[i];
    for (size_t i = 0; i < n_order; i++)
        args[1 + n_partition + i] = order[i];
    e = node(EXPR_WINDOW, args, n);
    mem_free(args);
    if (e)
        e->u.window.partition_count = n_partition;
    return e;
}

struct expr *expr_frame(struct expr *window, enum frame_kind kind, enum frame_bound lower,
                        int64_t lower_value, enum frame_bound upper, int64_t upper_value)
{
    if (!window)
        return NULL;
    window->u.window.frame = kind;
    window->u.window.lower = lower;
    window->u.window.lower_value = lower_value;
    window->u.window.upper = upper;
    window->u.window.upper_value = upper_value;
    return window;
}

struct expr *expr_frame_of(struct expr *window, struct expr *lower_of, struct expr *upper_of)
{
    if (!window) {
        expr_unref(lower_of);
        expr_unref(upper_of);
        return NULL;
    }
    window->u.window.lower_of = lower_of;
    window->u.window.upper_of = upper_of;
    return window;
}

struct expr *expr_lambda(const char *const *params, size_t n, struct expr *body)
{
    struct expr *e = node(EXPR_LAMBDA, &body, 1);

    if (!e)
        return NULL;
    return copy_names(params, n, &e->u.lambda.params, &e->u.lambda.n_params) ? e : failed(e);
}

struct expr *expr_extract(struct expr *child, struct expr *key)
{
    struct expr *args[] = {child, key};

    return node(EXPR_EXTRACT, args, 2);
}

struct expr *expr_subquery(const struct plan *plan, enum expr_subquery kind, struct expr *const *values,
                           size_t n, bool negated)
{
    struct expr *e = plan ? node(EXPR_SUBQUERY, values, n) : (unref_all(values, n), NULL);

    if (!e)
        return plan_unref(plan), NULL;
    e->u.subquery.plan = plan;
    e->u.subquery.kind = kind;
    e->u.subquery.negated = negated;
    return e;
}

/* ---- copies ---- */
static bool copy_details(struct expr *to, const struct expr *e)
{
    switch (e->kind) {
    case EXPR_CALL:
        to->u.call = e->u.call;
        to->u.call.filter = expr_ref(e->u.call.filter);
        return (to->u.call.name = mem_strdup(e->u.call.name)) != NULL;
    case EXPR_ALIAS:
        to->u.alias.metadata = e->u.alias.metadata ? mem_strdup(e->u.alias.metadata) : NULL;
        return copy_names((const char *const *)e->u.alias.names, e->u.alias.n_names, &to->u.alias.names,
                          &to->u.alias.n_names);
    case EXPR_CAST:
        to->u.cast = e->u.cast;
        dtype_ref(to->u.cast.type);
        return true;
    case EXPR_LAMBDA:
        return copy_names((const char *const *)e->u.lambda.params, e->u.lambda.n_params, &to->u.lambda.params,
                          &to->u.lambda.n_params);
    case EXPR_SUBQUERY:
        to->u.subquery = e->u.subquery;
        plan_ref(to->u.subquery.plan);
        return true;
    case EXPR_SORT:
        to->u.sort = e->u.sort;
        return true;
    case EXPR_WINDOW:
        to->u.window = e->u.window;
        expr_ref(e->u.window.lower_of);
        expr_ref(e->u.window.upper_of);
        return true;
    case EXPR_STAR:
        to->u.name.plan_id = e->u.name.plan_id;
        return copy_names((const char *const *)e->u.name.parts, e->u.name.n_parts, &to->u.name.parts,
                          &to->u.name.n_parts);
    default:
        return true;
    }
}

struct expr *expr_star_except(struct expr *star, struct expr *const *columns, size_t n)
{
    struct expr *e = star && n ? node(EXPR_STAR, columns, n) : NULL;

    if (n == 0)
        return star;
    if (!star)
        unref_all(columns, n);
    if (e && star && !copy_details(e, star))
        e = failed(e);
    expr_unref(star);
    return e;
}

struct expr *expr_with_args(const struct expr *e, struct expr *const *args)
{
    struct expr *copy;

    if (e->n == 0)
        return expr_ref(e);
    copy = node(e->kind, args, e->n);
    if (!copy)
        return NULL;
    copy->position = e->position;
    return copy_details(copy, e) ? copy : failed(copy);
}
