/* encode_expr.c: names, literals, subqueries; calls are in encode_call.c, windows in encode_window.c. */
#include "runtime/base/civil.h"
#include "runtime/base/nearest.h"
#include "runtime/base/utf8.h"
#include "runtime/dataframe/interval.h"
#include "runtime/dataframe/moment.h"
#include "runtime/dataframe/sqlgen/sqlgen_int.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    MAX_EXPR_DEPTH = 400
}; /* DuckDB's own limit is 1,000 levels, and one of ours becomes up to two of its */

/* ---- names ---- */
static bool qualified(const struct col *c, char *const *parts, size_t n)
{
    if (n > c->n_qualifier)
        return false;
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(c->qualifier[c->n_qualifier - n + i], parts[i]) != 0)
            return false;
    return true;
}

int seen_depth(const struct gen *g, int64_t plan_id, const struct col *c)
{
    int depth = -1;

    for (size_t i = 0; i < g->n_seen; i++)
        if (g->seen[i].plan_id == plan_id && g->seen[i].uid == c->uid &&
            (depth < 0 || g->seen[i].depth < depth))
            depth = g->seen[i].depth;
    if (depth < 0 && g->n_known)
        depth = known_depth(g, plan_id, c->uid);
    return depth;
}

struct found {
    const struct col *col;
    size_t n;    /* how many match */
    size_t used; /* parts of the name that were used up */
};

/* By plan id: of several matches the one nearest to the query wins (a frame joined with what was made of it). */
static struct found find_by_plan(const struct gen *g, const struct col *cols, size_t n, const struct expr *e)
{
    struct found f = {.used = 1};
    int best = -1;

    for (size_t i = 0; i < n; i++) {
        int depth = strcasecmp(cols[i].name, e->u.name.parts[0]) == 0
                        ? seen_depth(g, e->u.name.plan_id, &cols[i])
                        : -1;

        if (depth < 0 || (best >= 0 && depth > best))
            continue;
        f.n = depth == best && (!f.col || f.col->uid != cols[i].uid) ? f.n + 1 : 1;
        f.col = &cols[i];
        best = depth;
    }
    return f;
}

static struct found find_with(const struct col *cols, size_t n, const struct expr *e, size_t n_qualifier)
{
    struct found f = {.used = n_qualifier + 1};

    for (size_t i = 0; i < n; i++) {
        const struct col *c = &cols[i];

        if ((c->hidden && !n_qualifier) || strcasecmp(c->name, e->u.name.parts[n_qualifier]) != 0 ||
            !qualified(c, e->u.name.parts, n_qualifier))
            continue;
        if (f.col && f.col->uid == c->uid)
            continue;
        f.col = c;
        f.n++;
    }
    return f;
}

/* The longest qualifier that matches wins, as in Spark: a.b is column b of a before it is field b of column a. */
static struct found find(const struct gen *g, const struct col *cols, size_t n, const struct expr *e)
{
    struct found f = {0};

    if (e->u.name.plan_id)
        return find_by_plan(g, cols, n, e);
    for (size_t q = e->u.name.n_parts; q-- > 0;) {
        f = find_with(cols, n, e, q);
        if (f.n)
            return f;
    }
    return f;
}

static void put_quoted(struct buf *b, const char *name)
{
    buf_putc(b, '`');
    for (const char *p = name; *p; p++) {
        if (*p == '`')
            buf_putc(b, '`');
        buf_putc(b, *p);
    }
    buf_putc(b, '`');
}

static const char *dotted(struct gen *g, char *const *parts, size_t n)
{
    struct buf b = BUF_INIT(8192);

    for (size_t i = 0; i < n; i++) {
        buf_puts(&b, i ? "." : "");
        put_quoted(&b, parts[i]);
    }
    return gen_take(g, &b);
}

/* Columns that a statement adds for itself are no names of the user's. */
static bool is_own(const char *name)
{
    return strncmp(name, "__lacus_", 8) == 0;
}

/* qualified: a name that was written with what it is of gets such names. */
static void put_suggestion(struct buf *b, const struct scope *s, const char *name, bool qualified)
{
    const struct col *cols[256];
    const char *names[256];
    size_t n = 0;
    bool chosen[256] = {false};

    for (size_t i = 0; i < s->n && n < 256; i++)
        if (!s->cols[i].hidden && !is_own(s->cols[i].name)) {
            cols[n] = &s->cols[i];
            names[n++] = s->cols[i].name;
        }
    for (size_t k = 0; k < n && k < 5; k++) { /* the five nearest, nearest first */
        size_t best = n;

        for (size_t i = 0; i < n; i++)
            if (!chosen[i] &&
                (best == n || nearest_distance(name, names[i]) < nearest_distance(name, names[best])))
                best = i;
        if (best == n)
            break;
        chosen[best] = true;
        buf_puts(b, k ? ", " : "");
        for (size_t q = 0; qualified && q < cols[best]->n_qualifier; q++) {
            put_quoted(b, cols[best]->qualifier[q]);
            buf_putc(b, '.');
        }
        put_quoted(b, names[best]);
    }
}

static enum lc unresolved(struct gen *g, const struct scope *s, const struct expr *e)
{
    struct buf near = BUF_INIT(700);
    const char *name = dotted(g, e->u.name.parts, e->u.name.n_parts);
    enum lc code;

    if (e->u.name.plan_id) {
        code = gen_fail(
            g, e, LC_ENGINE,
            "[CANNOT_RESOLVE_DATAFRAME_COLUMN] Cannot resolve dataframe column %s. It's probably because of "
            "illegal references like `df1.select(df2.col(\"a\"))`. SQLSTATE: 42704",
            name);
        err_hint(g->err, "use F.col(%s) to mean the column of this DataFrame by its name",
                 e->u.name.parts[0]);
        return code;
    }
    put_suggestion(&near, s, e->u.name.parts[e->u.name.n_parts - 1], e->u.name.n_parts > 1);
    if (near.len)
        code = gen_fail(
            g, e, LC_ENGINE,
            "[UNRESOLVED_COLUMN.WITH_SUGGESTION] A column, variable, or function parameter with name %s "
            "cannot be resolved. Did you mean one of the following? [%s]. SQLSTATE: 42703",
            name, buf_str(&near));
    else
        code = gen_fail(
            g, e, LC_ENGINE,
            "[UNRESOLVED_COLUMN.WITHOUT_SUGGESTION] A column, variable, or function parameter with name %s "
            "cannot be resolved. SQLSTATE: 42703",
            name);
    buf_release(&near);
    return code;
}

static enum lc ambiguous(struct gen *g, const struct scope *s, const struct expr *e, size_t used)
{
    struct buf b = BUF_INIT(700);
    const char *name = dotted(g, e->u.name.parts, e->u.name.n_parts);
    size_t n = 0;
    enum lc code;

    for (size_t i = 0; i < s->n; i++) {
        const struct col *c = &s->cols[i];

        if (c->hidden || strcasecmp(c->name, e->u.name.parts[used - 1]) != 0)
            continue;
        buf_puts(&b, n++ ? ", " : "");
        for (size_t q = 0; q < c->n_qualifier; q++)
            buf_printf(&b, "`%s`.", c->qualifier[q]);
        buf_printf(&b, "`%s`", c->name);
    }
    code = gen_fail(g, e, LC_ENGINE,
                    "[AMBIGUOUS_REFERENCE] Reference %s is ambiguous, could be: [%s]. SQLSTATE: 42704", name,
                    buf_str(&b));
    err_hint(g->err,
             "give the DataFrames names with df:alias(\"a\") and write F.col(\"a.%s\"), or drop one of the "
             "columns",
             e->u.name.parts[used - 1]);
    buf_release(&b);
    return code;
}

static void from_col(const struct col *c, struct sx *out)
{
    *out = (struct sx){.sql = c->sql,
                       .name = c->name,
                       .type = c->type,
                       .nullable = c->nullable,
                       .simple = c->simple,
                       .narrow = c->narrow,
                       .col = c};
}

static enum lc sx_extract(struct gen *g, const struct sx *in, const struct sx *key, const struct expr *at,
                          struct sx *out);

enum lc sx_field(struct gen *g, const struct sx *in, const char *field, const struct expr *at, struct sx *out)
{
    const struct dtype *s = in->type->id == DTYPE_ARRAY ? in->type->element : in->type;
    long i = s->id == DTYPE_STRUCT ? dtype_field_index(s, field) : -1;
    const char *quoted;

    if (in->type->id == DTYPE_MAP) {
        struct sx key = {
            .sql = gen_text(g, field, strlen(field)), .name = field, .type = dtype_of(DTYPE_STRING)};

        return sx_extract(g, in, &key, at, out);
    }
    if (s->id != DTYPE_STRUCT)
        return gen_fail(g, at, LC_ENGINE,
                        "[INVALID_EXTRACT_BASE_FIELD_TYPE] Can't extract a value from \"%s\". Need a complex "
                        "type [STRUCT, "
                        "ARRAY, MAP] but got \"%s\". SQLSTATE: 42000",
                        in->name, gen_type_words(g, in->type));
    if (i < 0)
        return gen_fail(g, at, LC_ENGINE, "[%s] %s `%s` in \"%s\". SQLSTATE: 42704",
                        i == -1 ? "FIELD_NOT_FOUND" : "AMBIGUOUS_REFERENCE_TO_FIELDS",
                        i == -1 ? "No such struct field" : "Ambiguous reference to the field", field,
                        gen_type_words(g, in->type));
    quoted = gen_text(g, s->fields[i].name, strlen(s->fields[i].name));
    *out = *in;
    out->col = NULL;
    out->simple = false;
    out->name = field;
    out->nullable = in->nullable || s->fields[i].nullable;
    out->type = s->fields[i].type;
    if (in->type->id == DTYPE_ARRAY) {
        out->sql = gen_printf(g, "list_transform(%s, lambda lx: struct_extract(lx, %s))", in->sql, quoted);
        out->type = gen_type(g, dtype_array(dtype_ref(s->fields[i].type), true));
    } else {
        out->sql = gen_printf(g, "struct_extract(%s, %s)", in->sql, quoted);
    }
    return out->sql && out->type ? LC_OK : err_nomem(g->err);
}

static enum lc found_to_sx(struct gen *g, const struct found *f, const struct expr *e, struct sx *out)
{
    from_col(f->col, out);
    /* as it is written, as in Spark: ID of a column id */
    out->name = explain_name(
        g, f->used && f->used <= e->u.name.n_parts ? e->u.name.parts[f->used - 1] : out->name, f->col);
    for (size_t i = f->used; i < e->u.name.n_parts; i++) {
        struct sx in = *out;

        TRY(sx_field(g, &in, e->u.name.parts[i], e, out));
        if (in.type->id == DTYPE_STRUCT)
            out->name = gen_printf(g, "%s.%s", in.name, out->name);
    }
    return out->name ? LC_OK : err_nomem(g->err);
}

const char *sx_field_name(const struct sx *x)
{
    const struct expr *e = x->from;

    return e && !x->col && e->kind == EXPR_ATTRIBUTE && e->u.name.n_parts > 1 && x->type->id != DTYPE_MAP
               ? e->u.name.parts[e->u.name.n_parts - 1]
               : x->name;
}

static void mention(struct gen *g, const struct scope *of, const struct col *c)
{
    struct outer_names *m = g->mentioned;

    for (size_t i = 0; m && i < m->n; i++)
        if (m->cols[i] == c)
            return;
    if (m && m->of == of && m->n < OUTER_NAMES)
        m->cols[m->n++] = c;
}

/* scalarsubquery(a, b): what the query around gives to it */
static const char *subquery_name(struct gen *g, const char *what, const struct outer_names *m)
{
    struct buf b = BUF_INIT(1 << 16);

    buf_printf(&b, "%s(", what);
    for (size_t i = 0; i < m->n; i++)
        buf_printf(&b, "%s%s", i ? ", " : "", explain_name(g, m->cols[i]->name, m->cols[i]));
    buf_putc(&b, ')');
    return gen_take(g, &b);
}

static bool is_among(const struct col *c, const struct col *cols, size_t n)
{
    return c >= cols && c < cols + n;
}

static bool is_group(const struct scope *s, const struct sx *x)
{
    for (size_t i = 0; i < s->n_groups; i++)
        if (strcmp(s->groups[i].sql, x->sql) == 0)
            return true;
    return false;
}

enum lc sx_resolve(struct gen *g, const struct scope *s, const struct expr *e, struct sx *out)
{
    struct found f;

    for (const struct variable *v = s->variables; v && !e->u.name.plan_id; v = v->outer)
        if (strcasecmp(v->name, e->u.name.parts[0]) == 0) {
            *out = v->value;
            for (size_t i = 1; i < e->u.name.n_parts; i++) {
                struct sx in = *out;

                TRY(sx_field(g, &in, e->u.name.parts[i], e, out));
            }
            return LC_OK;
        }
    f = find(g, s->cols, s->n, e);
    if (!f.n && s->fallback)
        f = find(g, s->fallback, s->n_fallback, e);
    if (f.n > 1)
        return ambiguous(g, s, e, f.used);
    if (f.n == 1 && s->summed && is_among(f.col, s->cols, s->n) && !f.col->simple)
        return gen_fail(
            g, e, LC_ENGINE,
            "[UNSUPPORTED_EXPR_FOR_OPERATOR] ORDER BY sums up \"%s\", which here is a result of the "
            "query: give the result another name. SQLSTATE: 42K0E",
            f.col->name);
    if (f.n == 1 && s->aliases && is_among(f.col, s->fallback, s->n_fallback)) {
        TRY(found_to_sx(g, &f, e, out));
        out->name = g->explaining ? out->name : gen_printf(g, "lateralAliasReference(%s)", out->name);
        return out->name ? LC_OK : err_nomem(g->err);
    }
    if (f.n == 1)
        return found_to_sx(g, &f, e, out);
    for (const struct scope *o = s->outer; o; o = o->outer) {
        f = find(g, o->cols, o->n, e);
        if (!f.n && o->fallback && o->aggregating) /* HAVING around: a group that was not selected */
            f = find(g, o->fallback, o->n_fallback, e);
        if (f.n != 1)
            continue;
        TRY(found_to_sx(g, &f, e, out));
        if (o->fallback && o->aggregating && !is_among(f.col, o->cols, o->n) && !is_group(o, out))
            continue;
        mention(g, o, f.col);
        return LC_OK;
    }
    return unresolved(g, s, e);
}

enum lc sx_column_of(struct gen *g, const struct rel *r, const char *name, size_t *index)
{
    struct scope s = {.cols = r->cols, .n = r->n};
    char *parts[] = {(char *)(uintptr_t)name};
    struct expr e = {.kind = EXPR_ATTRIBUTE, .position = -1, .u.name = {.parts = parts, .n_parts = 1}};
    struct sx x;

    TRY(sx_resolve(g, &s, &e, &x));
    *index = (size_t)(x.col - r->cols);
    return LC_OK;
}

/* ---- literals ---- */
static const char *double_literal(struct gen *g, double v, bool is_float)
{
    const char *type = is_float ? "FLOAT" : "DOUBLE";

    if (isnan(v))
        return gen_printf(g, "CAST('nan' AS %s)", type);
    if (isinf(v))
        return gen_printf(g, "CAST('%sinf' AS %s)", v < 0 ? "-" : "", type);
    return gen_printf(g, "CAST('%.17g' AS %s)", v, type);
}

static const char *binary_literal(struct gen *g, const char *s, size_t len)
{
    struct buf b = BUF_INIT((size_t)1 << 26);

    buf_puts(&b, "CAST('");
    for (size_t i = 0; i < len; i++)
        buf_printf(&b, "\\x%02X", (unsigned char)s[i]);
    buf_puts(&b, "' AS BLOB)");
    return gen_take(g, &b);
}

static const char *interval_literal(struct gen *g, const char *text)
{
    long long months = 0, days = 0, micros = 0;

    if (sscanf(text, "%lld %lld %lld", &months, &days, &micros) != 3)
        return NULL;
    return gen_printf(g, "(to_months(%lld) + to_days(%lld) + to_microseconds(%lld))", months, days, micros);
}

static const char *integer_literal(struct gen *g, enum dtype_id id, int64_t v)
{
    static const char *const types[DTYPE_COUNT] = {[DTYPE_BYTE] = "TINYINT",
                                                   [DTYPE_SHORT] = "SMALLINT",
                                                   [DTYPE_INT] = "INTEGER",
                                                   [DTYPE_LONG] = "BIGINT"};

    if (id == DTYPE_BOOLEAN)
        return v ? "TRUE" : "FALSE";
    if (id == DTYPE_INT && v > INT32_MIN) /* DuckDB takes -2147483648 for the negative of a BIGINT */
        return gen_printf(g, v < 0 ? "(%" PRId64 ")" : "%" PRId64, v);
    return gen_printf(g, "CAST('%" PRId64 "' AS %s)", v, types[id]);
}

static const char *long_literal_name(struct gen *g, const struct expr *e)
{
    long long months = 0, days = 0, micros = 0;
    const struct dtype *t = e->u.literal.type;
    struct buf b = BUF_INIT((size_t)1 << 26);
    int64_t y;
    int m, d;

    if (t->id == DTYPE_BINARY) {
        buf_puts(&b, "X'");
        for (size_t i = 0; i < e->u.literal.len; i++)
            buf_printf(&b, "%02X", (unsigned char)e->u.literal.s[i]);
        buf_putc(&b, '\'');
    } else if (t->id == DTYPE_DATE) {
        civil_date(e->u.literal.i, &y, &m, &d);
        buf_printf(&b, "DATE '%04d-%02d-%02d'", (int)y, m, d);
    } else if (sscanf(e->u.literal.s, "%lld %lld %lld", &months, &days, &micros) == 3) {
        interval_text(&b, dtype_interval_kind(t), t->scale, months, days, micros);
    }
    return gen_take(g, &b);
}

/* As Java prints it: 100000.0, 1.0E20. */
static const char *double_name(struct gen *g, double v)
{
    bool plain = v == 0 || (fabs(v) >= 1e-3 && fabs(v) < 1e7);
    char text[64], *e;

    if (!isfinite(v))
        return isnan(v) ? "NaN" : v < 0 ? "-Infinity" : "Infinity";
    for (int digits = plain ? 0 : 1; digits <= 20; digits++) {
        snprintf(text, sizeof text, plain ? "%.*f" : "%.*e", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    if (plain)
        return gen_printf(g, "%s%s", text, strchr(text, '.') ? "" : ".0");
    e = strchr(text, 'e');
    return gen_printf(g, "%.*sE%d", (int)(e - text), text, atoi(e + 1));
}

/* How Spark prints a literal in a column's name. */
static const char *literal_name(struct gen *g, const struct expr *e)
{
    enum dtype_id id = e->u.literal.type->id;

    if (e->u.literal.is_null)
        return "NULL";
    if (id == DTYPE_BOOLEAN)
        return e->u.literal.i ? "true" : "false";
    if (id == DTYPE_STRING || id == DTYPE_DECIMAL)
        return arena_strndup(g->arena, e->u.literal.s, e->u.literal.len);
    if (id == DTYPE_DOUBLE || id == DTYPE_FLOAT)
        return double_name(g, e->u.literal.f);
    if (id == DTYPE_BINARY || id == DTYPE_INTERVAL || id == DTYPE_DATE)
        return long_literal_name(g, e);
    return gen_printf(g, "%" PRId64, e->u.literal.i);
}

static enum lc encode_literal(struct gen *g, const struct expr *e, struct sx *out)
{
    enum dtype_id id = e->u.literal.type->id;

    *out = (struct sx){.type = e->u.literal.type, .nullable = e->u.literal.is_null, .literal = true};
    out->name = literal_name(g, e);
    if (e->u.literal.is_null)
        out->sql = id == DTYPE_NULL ? "NULL" : gen_printf(g, "CAST(NULL AS %s)", gen_sql_type(g, out->type));
    else if (id == DTYPE_STRING &&
             (!utf8_valid(e->u.literal.s, e->u.literal.len) || memchr(e->u.literal.s, 0, e->u.literal.len)))
        return gen_fail(g, e, LC_DATA, "a text literal holds bytes that are not UTF-8, or NUL");
    else if (id == DTYPE_STRING)
        out->sql = gen_text(g, e->u.literal.s, e->u.literal.len);
    else if (id == DTYPE_BINARY)
        out->sql = binary_literal(g, e->u.literal.s, e->u.literal.len);
    else if (id == DTYPE_INTERVAL)
        out->sql = interval_literal(g, e->u.literal.s);
    else if (id == DTYPE_DECIMAL)
        out->sql = gen_printf(g, "CAST('%s' AS %s)", e->u.literal.s, gen_sql_type(g, out->type));
    else if (id == DTYPE_DOUBLE || id == DTYPE_FLOAT)
        out->sql = double_literal(g, e->u.literal.f, id == DTYPE_FLOAT);
    else if (id == DTYPE_DATE)
        out->sql = gen_printf(g, "(DATE '1970-01-01' + CAST('%" PRId64 "' AS INTEGER))", e->u.literal.i);
    else if (id == DTYPE_TIMESTAMP)
        out->sql = gen_printf(g, "make_timestamptz(CAST('%" PRId64 "' AS BIGINT))", e->u.literal.i);
    else if (id == DTYPE_TIMESTAMP_NTZ)
        out->sql = gen_printf(g, "make_timestamp(CAST('%" PRId64 "' AS BIGINT))", e->u.literal.i);
    else
        out->sql = integer_literal(g, id, e->u.literal.i);
    return out->sql && out->name ? LC_OK : err_nomem(g->err);
}

/* ---- extraction ---- */
static enum lc sx_extract(struct gen *g, const struct sx *in, const struct sx *key, const struct expr *at,
                          struct sx *out)
{
    struct sx k = *key;

    *out = *in;
    out->col = NULL;
    out->simple = false;
    out->literal = false;
    out->nullable = true;
    out->name = gen_printf(g, "%s[%s]", in->name, key->name);
    if (in->type->id == DTYPE_MAP) {
        TRY(sx_coerce(g, &k, in->type->key, at));
        out->type = in->type->element;
        out->sql = gen_printf(g, "(%s)[%s]", in->sql, k.sql);
    } else if (in->type->id == DTYPE_ARRAY) {
        if (!dtype_is_integral(k.type))
            return gen_fail(
                g, at, LC_ENGINE,
                "[UNEXPECTED_INPUT_TYPE] an array index must be an integer, not \"%s\". SQLSTATE: 42K09",
                gen_type_words(g, k.type));
        out->type = in->type->element;
        out->sql = gen_printf(
            g,
            "(CASE WHEN %s < 0 OR %s >= len(%s) THEN error('[INVALID_ARRAY_INDEX] The index ' || %s || "
            "' is out of bounds. The array has ' || len(%s) || ' elements. Use the SQL function `get()` to "
            "tolerate accessing element at invalid index and return NULL instead. SQLSTATE: 22003') ELSE "
            "(%s)[%s + 1] END)",
            k.sql, k.sql, in->sql, k.sql, in->sql, in->sql, k.sql);
    } else {
        return gen_fail(g, at, LC_ENGINE,
                        "[INVALID_EXTRACT_BASE_FIELD_TYPE] Can't extract a value from \"%s\". Need a complex "
                        "type [STRUCT, "
                        "ARRAY, MAP] but got \"%s\". SQLSTATE: 42000",
                        in->name, gen_type_words(g, in->type));
    }
    return out->sql && out->name ? LC_OK : err_nomem(g->err);
}

static enum lc encode_extract(struct gen *g, const struct scope *s, const struct expr *e, struct sx *out)
{
    const struct expr *key = e->args[1];
    struct sx in, k;

    TRY(sx_expr(g, s, e->args[0], &in));
    if (in.type->id != DTYPE_MAP && key->kind == EXPR_LITERAL && key->u.literal.type->id == DTYPE_STRING) {
        TRY(sx_field(g, &in, key->u.literal.s, e, out));
        out->name = gen_printf(g, "%s.%s", in.name, key->u.literal.s);
        return out->name ? LC_OK : err_nomem(g->err);
    }
    TRY(sx_expr(g, s, key, &k));
    return sx_extract(g, &in, &k, e, out);
}

/* ---- subqueries ---- */
/* The values of (a, b) IN (SELECT …): the parts of a row, or one value. */
static struct expr *const *in_values(const struct expr *left, size_t *n, size_t *step)
{
    const char *name = left->kind == EXPR_CALL ? left->u.call.name : "";

    *step = strcmp(name, "named_struct") == 0 ? 2 : 1;
    if (*step == 1 && strcmp(name, "struct") != 0)
        return NULL;
    *n = left->n / *step;
    return left->args + *step - 1;
}

/* x = y as a condition; may: where it is not known, too */
static enum lc in_pair(struct gen *g, const struct expr *e, struct sx x, const struct col *c, bool may,
                       struct buf *b)
{
    struct sx y = {.sql = col_alias(g, c), .name = c->name, .type = c->type};
    const struct dtype *common = gen_type(g, dtype_common(x.type, y.type));

    if (!common)
        return gen_fail(
            g, e, LC_ENGINE,
            "[DATATYPE_MISMATCH.IN_SUBQUERY_DATA_TYPE_MISMATCH] Cannot resolve \"%s\" due to data type "
            "mismatch: it is \"%s\", and the column of the subquery \"%s\". SQLSTATE: 42K09",
            x.name, gen_type_words(g, x.type), gen_type_words(g, y.type));
    TRY(sx_coerce(g, &x, common, e));
    TRY(sx_coerce(g, &y, common, e));
    buf_printf(b, may ? "%scoalesce(%s = %s, TRUE)" : "%s(%s = %s)", b->len ? " AND " : "", x.sql, y.sql);
    return LC_OK;
}

/* Of several columns: a row that is equal in all of them; NOT IN: none that is or may be, for all that is known. */
static enum lc row_in(struct gen *g, const struct scope *s, const struct expr *e, struct rel *r,
                      struct expr *const *values, size_t step, struct sx *out)
{
    bool negated = e->u.subquery.negated;
    struct buf b = BUF_INIT((size_t)64 << 20);
    const char *condition, *select = rel_select(g, r, false);

    for (size_t i = 0; i < r->n; i++) {
        struct sx x;
        enum lc code = sx_expr(g, s, values[i * step], &x);

        out->nullable |= code == LC_OK && (x.nullable || r->cols[i].nullable);
        if (code == LC_OK)
            code = in_pair(g, e, x, &r->cols[i], negated, &b);
        if (code != LC_OK)
            return buf_release(&b), code;
    }
    condition = gen_take(g, &b);
    out->sql = gen_printf(g, "(%sEXISTS (SELECT 1 FROM (%s) AS t%d WHERE %s))", negated ? "NOT " : "", select,
                          g->next_uid++, condition);
    return LC_OK;
}

static enum lc subquery_in(struct gen *g, const struct scope *s, const struct expr *e, struct rel *r,
                           const char *name, struct sx *out)
{
    size_t n = 1, step = 1;
    struct expr *const *values = e->n == 1 ? in_values(e->args[0], &n, &step) : NULL;
    struct sx x;

    TRY(sx_expr(g, s, e->args[0], &x));
    if (e->n != 1 || r->n != n)
        return gen_fail(
            g, e, LC_ENGINE,
            "[DATATYPE_MISMATCH.IN_SUBQUERY_LENGTH_MISMATCH] Cannot resolve \"(%s IN (listquery()))\" due to "
            "data type mismatch: on the left of IN there are %zu values, and the subquery has %zu columns. "
            "SQLSTATE: 42K09",
            x.name, n, r->n);
    out->type = dtype_of(DTYPE_BOOLEAN);
    out->name = gen_printf(g, e->u.subquery.negated ? "(NOT (%s IN (%s)))" : "(%s IN (%s))", x.name, name);
    out->nullable = false;
    if (values)
        return row_in(g, s, e, r, values, step, out);
    out->nullable = x.nullable || r->cols[0].nullable;
    out->sql =
        gen_printf(g, "(%s %sIN (%s))", x.sql, e->u.subquery.negated ? "NOT " : "", rel_select(g, r, false));
    if (!s->condition &&
        x.type->id != DTYPE_NULL) /* as a value it is never NULL to Spark, whatever it says */
        out->sql = gen_printf(g, "coalesce(%s, FALSE)", out->sql);
    return LC_OK;
}

static enum lc encode_subquery(struct gen *g, const struct scope *s, const struct expr *e, struct sx *out)
{
    const struct scope *outer = g->outer;
    struct outer_names mentioned = {.of = s}, *before = g->mentioned;
    struct rel r;
    enum lc code;

    g->outer = s;
    g->mentioned = &mentioned;
    code = rel_encode(g, e->u.subquery.plan, &r);
    g->outer = outer;
    g->mentioned = before;
    if (code != LC_OK)
        return code;
    *out = (struct sx){.nullable = true};
    if (e->u.subquery.kind == SUBQUERY_IN) {
        TRY(subquery_in(g, s, e, &r, subquery_name(g, "listquery", &mentioned), out));
    } else if (e->u.subquery.kind == SUBQUERY_EXISTS) {
        out->type = dtype_of(DTYPE_BOOLEAN);
        out->nullable = false;
        out->sql =
            gen_printf(g, "(%sEXISTS (%s))", e->u.subquery.negated ? "NOT " : "", rel_select(g, &r, false));
        out->name = subquery_name(g, "exists", &mentioned);
        if (e->u.subquery.negated && out->name)
            out->name = gen_printf(g, "(NOT %s)", out->name);
    } else {
        if (r.n != 1)
            return gen_fail(g, e, LC_ENGINE,
                            "[INVALID_SUBQUERY_EXPRESSION.SCALAR_SUBQUERY_RETURN_MORE_THAN_ONE_OUTPUT_COLUMN]"
                            " Scalar subquery "
                            "must return only one column, but returned %zu. SQLSTATE: 42823",
                            r.n);
        out->type = r.cols[0].type;
        out->sql = gen_printf(g, "(%s)", rel_select(g, &r, false));
        out->name = subquery_name(g, "scalarsubquery", &mentioned);
    }
    return out->sql && out->name ? LC_OK : err_nomem(g->err);
}

/* ---- the rest ---- */
bool expr_has_aggregate(const struct expr *e)
{
    if (e->kind == EXPR_CALL && function_is_aggregate(e->u.call.name))
        return true;
    if (e->kind ==
        EXPR_WINDOW) { /* its function is no aggregate of the query, but its arguments may hold some */
        const struct expr *f = e->args[0];

        for (size_t i = 0; i < f->n; i++)
            if (expr_has_aggregate(f->args[i]))
                return true;
    }
    for (size_t i = e->kind == EXPR_WINDOW; i < e->n; i++)
        if (expr_has_aggregate(e->args[i]))
            return true;
    return false;
}

/* A time without a zone as Spark prints it: 2024-07-05T1:2 is 2024-07-05 01:02:00. NULL: it is another text. */
static const char *usual_time(struct gen *g, const char *s, size_t n)
{
    const int64_t day = INT64_C(86400000000);
    struct moment m;
    int64_t days, micros, year;
    int month, dom, digits = 6;

    if (!moment_parse(s, n, &m) || !m.dated || m.zone_len)
        return NULL;
    days = m.micros / day - (m.micros % day < 0);
    micros = m.micros - days * day;
    civil_date(days, &year, &month, &dom);
    if (year < 0 || year > 9999)
        return NULL;
    for (int64_t f = micros % 1000000; digits > 0 && f % 10 == 0; f /= 10)
        digits--;
    return gen_printf(g, "%04d-%02d-%02d %02d:%02d:%02d%s%.*s", (int)year, month, dom,
                      (int)(micros / 3600000000), (int)(micros / 60000000 % 60), (int)(micros / 1000000 % 60),
                      digits ? "." : "", digits, gen_printf(g, "%06d", (int)(micros % 1000000)));
}

/* TIMESTAMP '2024-01-01 00:00:00': with a time, without zeros behind the seconds. */
static const char *typed_name(struct gen *g, const struct expr *e)
{
    const char *s = e->args[0]->u.literal.s;
    size_t n = strlen(s);
    enum dtype_id id = e->u.cast.type->id;
    const char *usual = id == DTYPE_TIMESTAMP || id == DTYPE_TIMESTAMP_NTZ ? usual_time(g, s, n) : NULL;

    if (usual)
        return gen_printf(g, "%s '%s'", gen_type_words(g, e->u.cast.type), usual);

    if (memchr(s, '.', n))
        while (n && (s[n - 1] == '0' || s[n - 1] == '.') && n > 1 && s[n] != '.')
            n--;
    return gen_printf(g, "%s '%.*s%s'",
                      e->u.cast.type->id == DTYPE_TIME ? "TIME" : gen_type_words(g, e->u.cast.type), (int)n,
                      s, n == 10 && s[4] == '-' ? " 00:00:00" : "");
}

static enum lc encode_cast(struct gen *g, const struct scope *s, const struct expr *e, struct sx *out)
{
    const struct expr *child = e->args[0];
    struct sx in;

    TRY(sx_expr(g, s, child, &in));
    TRY(sx_cast(g, &in, e->u.cast.type, e->u.cast.try, true, e, out));
    if (e->u.cast.quiet)
        out->name = in.name;
    else if (e->u.cast.typed)
        out->name = typed_name(g, e), out->nullable = false;
    else
        out->name = gen_printf(g, "%s(%s AS %s)", e->u.cast.try ? "TRY_CAST" : "CAST", in.name,
                               gen_type_words(g, e->u.cast.type));
    return out->name ? LC_OK : err_nomem(g->err);
}

static enum lc not_here(struct gen *g, const struct expr *e, const char *what, const char *where)
{
    return gen_fail(g, e, LC_ENGINE, "%s is not allowed %s", what, where);
}

static enum lc encode_kind(struct gen *g, const struct scope *s, const struct expr *e, struct sx *out)
{
    switch (e->kind) {
    case EXPR_LITERAL:
        return encode_literal(g, e, out);
    case EXPR_ATTRIBUTE:
    case EXPR_VARIABLE:
        return sx_resolve(g, s, e, out);
    case EXPR_CALL:
        return sx_call(g, s, e, NULL, out);
    case EXPR_ALIAS:
        TRY(sx_expr(g, s, e->args[0], out));
        if (e->u.alias.n_names > 1 && out->n_many == 0)
            return gen_fail(g, e, LC_ENGINE,
                            "[MULTI_ALIAS_WITHOUT_GENERATOR] Multi part aliasing (%s, %s, …) is not "
                            "supported: it is not a "
                            "generator function. SQLSTATE: 42K0E",
                            e->u.alias.names[0], e->u.alias.names[1]);
        out->made = g->explaining ? out->name : NULL;
        out->name = e->u.alias.names[0];
        out->col = out->col && strcmp(out->col->name, out->name) == 0 ? out->col : NULL;
        return LC_OK;
    case EXPR_CAST:
        return encode_cast(g, s, e, out);
    case EXPR_WINDOW:
        return sx_window(g, s, e, out);
    case EXPR_EXTRACT:
        return encode_extract(g, s, e, out);
    case EXPR_SUBQUERY:
        return encode_subquery(g, s, e, out);
    case EXPR_SORT:
        return not_here(g, e, "a sort order (asc, desc)", "here: only in orderBy, sort and windows");
    case EXPR_STAR:
        return not_here(g, e, "*", "here: only in select and count");
    case EXPR_LAMBDA:
        return not_here(g, e, "a lambda function",
                        "here: only as argument of transform, filter and the like");
    default:
        return gen_fail(g, e, LC_INTERNAL, "an expression of unknown kind %d", (int)e->kind);
    }
}

/* window.start, where window is a group */
static bool field_of_group(struct gen *g, const struct scope *s, const struct expr *e)
{
    struct expr shorter = *e;
    struct err ignored, *err = g->err;
    struct scope plain = *s;
    struct sx x;
    bool found = false;

    plain.aggregating = false;
    g->err = &ignored;
    while (!found && --shorter.u.name.n_parts > 0)
        found = sx_resolve(g, &plain, &shorter, &x) == LC_OK && is_group(s, &x);
    g->err = err;
    return found;
}

/* HAVING: a group, by its name or text below the results. */
static bool is_group_below(struct gen *g, const struct scope *s, const struct expr *e, struct sx *out)
{
    struct scope below = *s;
    struct err ignored, *err = g->err;
    bool found;

    if (e->kind == EXPR_LITERAL || e->kind == EXPR_SUBQUERY || expr_has_aggregate(e))
        return false;
    below.cols = s->fallback;
    below.n = s->n_fallback;
    below.fallback = NULL;
    below.having = below.aggregating = false;
    g->err = &ignored;
    found = sx_expr(g, &below, e, out) == LC_OK && is_group(s, out);
    g->err = err;
    return found;
}

/* A column of the query around: one value for all rows of a group. */
static bool is_from_outside(const struct scope *s, const struct sx *x)
{
    return s->outer && x->col && !is_among(x->col, s->cols, s->n) &&
           !(s->fallback && is_among(x->col, s->fallback, s->n_fallback));
}

/* Outside of aggregate functions, an aggregating query may only use its groups. */
static enum lc encode_grouped(struct gen *g, const struct scope *s, const struct expr *e, struct sx *out,
                              bool *done)
{
    struct scope plain = *s;
    struct sx x;

    *done = true;
    if (s->having && is_group_below(g, s, e, out))
        return LC_OK;
    if (e->kind == EXPR_LITERAL || e->kind == EXPR_ALIAS || e->kind == EXPR_SUBQUERY ||
        expr_has_aggregate(e) || e->kind == EXPR_WINDOW)
        return *done = false, LC_OK;
    plain.aggregating = false;
    TRY(sx_expr(g, &plain, e, &x));
    if (s->aliases && e->kind == EXPR_ATTRIBUTE && x.col && is_among(x.col, s->fallback, s->n_fallback)) {
        *out = x;
        return LC_OK;
    }
    if (s->fallback && !s->aliases && x.col >= s->cols &&
        x.col < s->cols + s->n) { /* HAVING, ORDER BY: a result, by its name */
        *out = x;
        return LC_OK;
    }
    if (is_group(s, &x)) {
        *out = x;
        return LC_OK;
    }
    if (e->kind == EXPR_ATTRIBUTE && (is_from_outside(s, &x) || field_of_group(g, s, e))) {
        *out = x;
        return LC_OK;
    }
    if (e->kind == EXPR_ATTRIBUTE && s->n_groups == 0)
        return gen_fail(g, e, LC_ENGINE,
                        "[MISSING_GROUP_BY] The query does not include a GROUP BY clause. Add GROUP BY or "
                        "turn it into the "
                        "window functions using OVER clauses: \"%s\" is no aggregate. SQLSTATE: 42803",
                        x.name);
    if (e->kind == EXPR_ATTRIBUTE)
        return gen_fail(
            g, e, LC_ENGINE,
            "[MISSING_AGGREGATION] The non-aggregating expression \"%s\" is based on columns which are not "
            "participating in the GROUP BY clause. Add the columns or the expression to the GROUP BY, "
            "aggregate "
            "the expression, or use \"any_value(%s)\" if you do not care which of the values within a group "
            "is "
            "returned. SQLSTATE: 42803",
            x.name, x.name);
    *done = false;
    return LC_OK;
}

/* grouping__id, Hive's word for grouping_id(): only where no column has that name. */
static bool is_grouping_id(struct gen *g, const struct scope *s, const struct expr *e)
{
    return e->kind == EXPR_ATTRIBUTE && s->aggregates && e->u.name.n_parts == 1 && !e->u.name.plan_id &&
           strcasecmp(e->u.name.parts[0], "grouping__id") == 0 && find(g, s->cols, s->n, e).n == 0;
}

static enum lc grouping_id(struct gen *g, const struct scope *s, const struct expr *e, struct sx *out)
{
    static char name[] = "grouping_id";
    struct expr *call = arena_zalloc(g->arena, sizeof *call);

    if (!call)
        return err_nomem(g->err);
    *call = (struct expr){.kind = EXPR_CALL, .position = e->position, .u.call.name = name};
    TRY(sx_call(g, s, call, NULL, out));
    out->name = e->u.name.parts[0];
    return LC_OK;
}

enum lc sx_expr(struct gen *g, const struct scope *s, const struct expr *e, struct sx *out)
{
    bool done = false;
    enum lc code = LC_OK;

    if (is_grouping_id(g, s, e))
        return grouping_id(g, s, e, out);

    if (++g->expr_depth > MAX_EXPR_DEPTH) {
        g->expr_depth--;
        return gen_fail(g, e, LC_LIMIT, "an expression is nested more than %d deep", MAX_EXPR_DEPTH);
    }
    if (s->aggregating)
        code = encode_grouped(g, s, e, out, &done);
    if (code == LC_OK && !done)
        code = encode_kind(g, s, e, out);
    if (code == LC_OK)
        out->from = e;
    g->expr_depth--;
    return code;
}

enum lc sx_condition(struct gen *g, const struct scope *s, const struct expr *e, struct sx *out)
{
    struct scope condition = *s;

    condition.condition = true;
    TRY(sx_expr(g, &condition, e, out));
    if (out->type->id == DTYPE_BOOLEAN || out->type->id == DTYPE_NULL)
        return LC_OK;
    if (s->clause && strcmp(s->clause, "JOIN") == 0)
        return gen_fail(
            g, e, LC_ENGINE,
            "[JOIN_CONDITION_IS_NOT_BOOLEAN_TYPE] The join condition \"%s\" has the invalid type \"%s\", "
            "expected \"BOOLEAN\". SQLSTATE: 42K0E",
            out->name, gen_type_words(g, out->type));
    return gen_fail(
        g, e, LC_ENGINE,
        "[DATATYPE_MISMATCH.FILTER_NOT_BOOLEAN] Cannot resolve \"%s\" due to data type mismatch: Filter "
        "expression \"%s\" of type \"%s\" is not a boolean. SQLSTATE: 42K09",
        out->name, out->name, gen_type_words(g, out->type));
}
