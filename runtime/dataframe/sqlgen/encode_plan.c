/* encode_plan.c: walks the tree, and the relations that only rename or choose columns. */
#include "runtime/base/nearest.h"
#include "runtime/dataframe/sqlgen/sqlgen_int.h"
#include <string.h>
#include <strings.h>

enum { MAX_PLAN_DEPTH = 600 };

/* ---- what df.col refers to ---- */
static enum lc remember(struct gen *g, const struct plan *p, const struct rel *r)
{
    if (g->n_seen + r->n > g->cap_seen) {
        size_t cap = (g->n_seen + r->n) * 2;
        struct seen *grown = mem_reallocn(g->seen, cap, sizeof *grown);

        if (!grown)
            return err_nomem(g->err);
        g->seen = grown;
        g->cap_seen = cap;
    }
    for (size_t i = 0; i < r->n; i++)
        if (!r->cols[i].hidden) /* that one is known by the frame it came from only */
            g->seen[g->n_seen++] = (struct seen){
                .plan_id = p->id, .uid = r->cols[i].uid, .depth = g->depth, .name = r->cols[i].name};
    return LC_OK;
}

enum lc rel_encode(struct gen *g, const struct plan *p, struct rel *out)
{
    static rel_fn *const encoders[PLAN_KIND_COUNT] = {
        [PLAN_READ_TABLE] = leaf_table,
        [PLAN_READ_SOURCE] = leaf_source,
        [PLAN_SCAN] = leaf_scan,
        [PLAN_LOCAL] = leaf_local,
        [PLAN_VALUES] = leaf_values,
        [PLAN_RANGE] = leaf_range,
        [PLAN_PROJECT] = rel_project,
        [PLAN_FILTER] = rel_filter,
        [PLAN_JOIN] = rel_join,
        [PLAN_SET_OP] = rel_set_op,
        [PLAN_SORT] = rel_sort,
        [PLAN_LIMIT] = rel_limit,
        [PLAN_OFFSET] = rel_offset,
        [PLAN_TAIL] = rel_tail,
        [PLAN_AGGREGATE] = rel_aggregate,
        [PLAN_DEDUPLICATE] = rel_deduplicate,
        [PLAN_SAMPLE] = rel_sample,
        [PLAN_ALIAS] = rel_alias,
        [PLAN_REPARTITION] = rel_pass,
        [PLAN_TO_DF] = rel_to_df,
        [PLAN_WITH_COLUMNS] = rel_with_columns,
        [PLAN_RENAME] = rel_rename,
        [PLAN_DROP] = rel_drop,
        [PLAN_NA_FILL] = rel_na_fill,
        [PLAN_NA_DROP] = rel_na_drop,
        [PLAN_WITH] = leaf_table,
        [PLAN_RECURSION] = rel_recursion,
        [PLAN_LOOP] = leaf_loop,
    };

    size_t first = g->n_explained;

    TRY(ctx_check(g->ctx, g->err));
    if (g->depth >= MAX_PLAN_DEPTH)
        return gen_fail(g, NULL, LC_LIMIT,
                        "the DataFrame was built in more than %d steps; write it to a table in between",
                        MAX_PLAN_DEPTH);
    *out = (struct rel){0};
    if (g->analysing && !g->explaining && known_rel(g, p, out))
        return LC_OK;
    g->depth++;
    if (!encoders[p->kind])
        return err_set(g->err, LC_UNSUPPORTED,
                       "a DataFrame of a Spark Connect session cannot be run by the embedded engine");
    TRY(encoders[p->kind](g, p, out));
    g->depth--;
    if (g->explaining)
        TRY(explain_relation(g, p, out, first));
    return remember(g, p, out);
}

enum lc rel_pass(struct gen *g, const struct plan *p, struct rel *out)
{
    return rel_encode(g, p->left, out);
}

/* ---- names ---- */
enum lc rel_alias(struct gen *g, const struct plan *p, struct rel *out)
{
    const char **parts = arena_alloc(g->arena, (p->n_names + 1) * sizeof *parts);

    TRY(rel_encode(g, p->left, out));
    out->cols = cols_copy(g, out->cols, out->n, 0);
    if (!parts || !out->cols)
        return err_nomem(g->err);
    for (size_t i = 0; i < p->n_names; i++)
        parts[i] = arena_strdup(g->arena, p->names[i]);
    for (size_t i = 0; i < out->n; i++) {
        out->cols[i].qualifier = parts;
        out->cols[i].n_qualifier = p->n_names;
    }
    if (out->inner) { /* what is not selected below a name cannot be asked for above it */
        out->inner = out->cols;
        out->n_inner = out->n;
    }
    return LC_OK;
}

static size_t visible(const struct rel *r)
{
    size_t n = 0;

    for (size_t i = 0; i < r->n; i++)
        n += !r->cols[i].hidden;
    return n;
}

enum lc rel_to_df(struct gen *g, const struct plan *p, struct rel *out)
{
    size_t k = 0;

    TRY(rel_encode(g, p->left, out));
    if (visible(out) != p->n_names)
        return gen_fail(g, NULL, LC_ENGINE,
                        "[ASSIGNMENT_ARITY_MISMATCH] The number of columns or variables assigned or aliased: "
                        "%zu does not match "
                        "the number of source expressions: %zu. SQLSTATE: 42802",
                        p->n_names, visible(out));
    out->cols = cols_copy(g, out->cols, out->n, 0);
    for (size_t i = 0; out->cols && i < out->n; i++)
        if (!out->cols[i].hidden)
            out->cols[i].name = arena_strdup(g->arena, p->names[k++]);
    return out->cols ? LC_OK : err_nomem(g->err);
}

enum lc rel_rename(struct gen *g, const struct plan *p, struct rel *out)
{
    TRY(rel_encode(g, p->left, out));
    out->cols = cols_copy(g, out->cols, out->n, 0);
    for (size_t i = 0; out->cols && i < out->n; i++)
        for (size_t k = 0; k + 1 < p->n_names; k += 2)
            if (!out->cols[i].hidden && strcasecmp(out->cols[i].name, p->names[k]) == 0) {
                out->cols[i].name = arena_strdup(g->arena, p->names[k + 1]);
                break;
            }
    return out->cols ? LC_OK : err_nomem(g->err);
}

/* A column that is not there is no error; a name that fits several drops them all. */
enum lc rel_drop(struct gen *g, const struct plan *p, struct rel *out)
{
    struct col *kept;
    size_t n = 0;

    TRY(rel_encode(g, p->left, out));
    kept = arena_alloc(g->arena, (out->n + 1) * sizeof *kept);
    if (!kept)
        return err_nomem(g->err);
    for (size_t i = 0; i < out->n; i++) {
        bool gone = false;

        for (size_t k = 0; k < p->n_exprs && !gone; k++) {
            const struct expr *e = p->exprs[k];
            struct scope s = {.cols = out->cols, .n = out->n};
            struct sx x;
            struct err ignored, *err = g->err;

            if (e->kind != EXPR_ATTRIBUTE)
                return gen_fail(g, e, LC_ENGINE, "drop takes names of columns, or columns");
            if (!e->u.name.plan_id && e->u.name.n_parts == 1) {
                gone = strcasecmp(out->cols[i].name, e->u.name.parts[0]) == 0;
                continue;
            }
            g->err = &ignored;
            gone = sx_resolve(g, &s, e, &x) == LC_OK && x.col == &out->cols[i];
            g->err = err;
        }
        if (!gone)
            kept[n++] = out->cols[i];
    }
    if (!rel_is_item(out) &&
        !rel_open(out)) { /* the SELECT below still needs its other columns, e.g. for DISTINCT */
        struct rel all = *out;
        size_t m = 0;

        TRY(rel_seal(g, &all));
        for (size_t i = 0; i < n; i++)
            for (size_t k = 0; k < all.n; k++)
                if (all.cols[k].uid == kept[i].uid && !kept[i].hidden)
                    kept[m++] = all.cols[k];
        *out = all;
        n = m;
    }
    rel_set_cols(out, kept, n);
    return LC_OK;
}

/* ---- missing values ---- */
/* The column that a text means: `a.b` in backticks is a.b. NULL: out of memory. */
static const char *meant(struct gen *g, const char *given)
{
    struct err ignored = {0};
    const char *name = given;
    char **parts;
    size_t n;

    if (*given != '`' || name_split(given, &parts, &n, &ignored) != LC_OK)
        return given;
    if (n == 1)
        name = gen_printf(g, "%s", parts[0]);
    name_free(parts, n);
    return name;
}

/* The names of p as columns have them: all are there. */
static enum lc missing_names(struct gen *g, const struct plan *p, const struct rel *r, const char ***names)
{
    *names = arena_alloc(g->arena, (p->n_names + 1) * sizeof **names);
    if (!*names)
        return err_nomem(g->err);
    for (size_t i = 0; i < p->n_names; i++) {
        size_t index;

        (*names)[i] = meant(g, p->names[i]);
        if (!(*names)[i])
            return err_nomem(g->err);
        TRY(sx_column_of(g, r, (*names)[i], &index));
    }
    return LC_OK;
}

/* Where a column stands among n names; -1: it is not meant. Without names all columns are. */
static long place_among(const char *const *names, size_t n, const char *column)
{
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(names[i], column) == 0)
            return (long)i;
    return n == 0 ? 0 : -1;
}

static bool fits(const struct dtype *column, const struct dtype *value)
{
    if (dtype_is_numeric(column))
        return dtype_is_numeric(value);
    return column->id == value->id;
}

/* Whether Spark takes a cast between numbers for one that may give NULL; whole numbers come to its fillna as BIGINT. */
static bool may_not_fit(const struct dtype *value, const struct dtype *column)
{
    if (column->id == DTYPE_DECIMAL && dtype_is_integral(value))
        return column->precision - column->scale < 20;
    return !dtype_is_integral(value) && (column->id == DTYPE_DECIMAL || dtype_is_integral(column)) &&
           !dtype_equal(value, column);
}

enum lc rel_na_fill(struct gen *g, const struct plan *p, struct rel *out)
{
    struct scope none = {0};
    struct col *cols;
    const char **names;

    TRY(rel_encode(g, p->left, out));
    TRY(missing_names(g, p, out, &names));
    if (!rel_open(out))
        TRY(rel_seal(g, out));
    cols = cols_copy(g, out->cols, out->n, 0);
    if (!cols)
        return err_nomem(g->err);
    for (size_t i = 0; i < out->n; i++) {
        struct col *c = &cols[i];
        bool is_float = c->type->id == DTYPE_FLOAT || c->type->id == DTYPE_DOUBLE;
        long at = place_among(names, p->n_names, c->name);
        struct sx v;

        if (at < 0 || c->hidden)
            continue;
        TRY(sx_expr(g, &none, p->exprs[p->n_exprs > 1 ? at : 0], &v));
        if (!fits(c->type, v.type))
            continue;
        bool lossy = may_not_fit(v.type, c->type);

        TRY(sx_coerce(g, &v, c->type, NULL));
        c->sql = gen_printf(
            g, is_float ? "(CASE WHEN isnan(%s) THEN %s ELSE coalesce(%s, %s) END)" : "coalesce(%s, %s)",
            is_float ? c->sql : c->sql, v.sql, c->sql, v.sql);
        if (g->explaining)
            c->made = gen_printf(g, "coalesce(%s, %s)", explain_name(g, c->name, c), v.name);
        c->simple = false;
        c->nullable = c->nullable && lossy;
        c->uid = g->next_uid++;
        if (!c->sql)
            return err_nomem(g->err);
    }
    rel_set_cols(out, cols, out->n);
    return LC_OK;
}

enum lc rel_na_drop(struct gen *g, const struct plan *p, struct rel *out)
{
    struct buf b = BUF_INIT((size_t)16 << 20);
    size_t n = 0;
    const char *sum, **names;

    TRY(rel_encode(g, p->left, out));
    TRY(missing_names(g, p, out, &names));
    if (!rel_open(out))
        TRY(rel_seal(g, out));
    for (size_t i = 0; i < out->n; i++) {
        const struct col *c = &out->cols[i];
        bool is_float = c->type->id == DTYPE_FLOAT || c->type->id == DTYPE_DOUBLE;

        if (place_among(names, p->n_names, c->name) < 0 || c->hidden)
            continue;
        buf_puts(&b, n++ ? " + " : "");
        buf_printf(&b,
                   is_float ? "CAST(%s IS NOT NULL AND NOT isnan(%s) AS INTEGER)"
                            : "CAST(%s IS NOT NULL AS INTEGER)",
                   c->sql, c->sql);
    }
    sum = gen_take(g, &b);
    if (!n)
        return LC_OK;
    sum = sum ? gen_printf(g, "(%s >= %lld)", sum,
                           p->u.na.min_non_nulls ? (long long)p->u.na.min_non_nulls : (long long)n)
              : NULL;
    out->where = out->where && sum ? gen_printf(g, "%s AND %s", out->where, sum) : sum;
    return out->where ? LC_OK : err_nomem(g->err);
}
