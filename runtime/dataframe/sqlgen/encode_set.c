/* encode_set.c: join, union and its kin, distinct rows, samples. */
#include "runtime/dataframe/sqlgen/sqlgen_int.h"
#include <inttypes.h>
#include <string.h>
#include <strings.h>

/* ---- join ---- */
static const char *const join_words[] = {
    [JOIN_INNER] = "JOIN",       [JOIN_FULL] = "FULL JOIN", [JOIN_LEFT] = "LEFT JOIN",
    [JOIN_RIGHT] = "RIGHT JOIN", [JOIN_SEMI] = "SEMI JOIN", [JOIN_ANTI] = "ANTI JOIN",
    [JOIN_CROSS] = "CROSS JOIN",
};

static enum lc side(struct gen *g, const struct plan *p, struct rel *r, bool left)
{
    bool joined;

    TRY(rel_encode(g, p, r));
    joined = r->joined;
    if (!left && joined) /* a JOIN (b JOIN c) would need parentheses, and hidden columns have to go anyway */
        r->where = r->where ? r->where : "TRUE";
    TRY(rel_seal(g, r));
    return LC_OK;
}

static void make_nullable(struct col *cols, size_t n)
{
    for (size_t i = 0; i < n; i++)
        cols[i].nullable = true;
}

static enum lc using_condition(struct gen *g, const struct plan *p, const struct rel *l, const struct rel *r,
                               const char **condition)
{
    for (size_t i = 0; i < p->n_names; i++) {
        size_t a, b;
        const struct dtype *common;
        struct sx x, y;

        TRY(sx_column_of(g, l, p->names[i], &a));
        TRY(sx_column_of(g, r, p->names[i], &b));
        x = (struct sx){.sql = l->cols[a].sql, .name = l->cols[a].name, .type = l->cols[a].type};
        y = (struct sx){.sql = r->cols[b].sql, .name = r->cols[b].name, .type = r->cols[b].type};
        common = gen_type(g, dtype_common(x.type, y.type));
        if (!common)
            return gen_fail(g, NULL, LC_ENGINE,
                            "[DATATYPE_MISMATCH.BINARY_OP_DIFF_TYPES] the column `%s` is \"%s\" on the left "
                            "and \"%s\" on the right "
                            "of the join. SQLSTATE: 42K09",
                            p->names[i], gen_type_words(g, x.type), gen_type_words(g, y.type));
        if (!dtype_is_numeric(x.type) || !dtype_is_numeric(y.type)) {
            TRY(sx_coerce(g, &x, common, NULL));
            TRY(sx_coerce(g, &y, common, NULL));
        }
        *condition = gen_printf(g, "%s%s%s = %s", *condition ? *condition : "", *condition ? " AND " : "",
                                x.sql, y.sql);
        if (!*condition)
            return err_nomem(g->err);
    }
    return LC_OK;
}

/* USING: each key once, then what else the left has, then the right; the keys' own columns stay for a.key and df.key. */
static enum lc using_columns(struct gen *g, const struct plan *p, struct rel *out, size_t n_left)
{
    struct col *from = out->cols, *cols = cols_copy(g, NULL, 0, out->n * 2);
    size_t n = 0, n_all = out->n;
    bool keys_only = p->u.join.kind == JOIN_SEMI || p->u.join.kind == JOIN_ANTI;

    if (!cols)
        return err_nomem(g->err);
    for (size_t i = 0; i < p->n_names; i++) {
        struct rel l = {.cols = from, .n = n_left}, r = {.cols = from + n_left, .n = n_all - n_left};
        size_t a, b = 0;

        TRY(sx_column_of(g, &l, p->names[i], &a));
        if (!keys_only)
            TRY(sx_column_of(g, &r, p->names[i], &b));
        cols[n] = from[a];
        if (p->u.join.kind == JOIN_RIGHT) {
            cols[n] = r.cols[b];
        } else if (p->u.join.kind == JOIN_FULL) {
            const struct dtype *t = gen_type(g, dtype_common(from[a].type, r.cols[b].type));

            cols[n].uid = g->next_uid++;
            cols[n].type = t ? t : from[a].type;
            cols[n].sql = gen_printf(g, "coalesce(%s, %s)", from[a].sql, r.cols[b].sql);
            if (g->explaining)
                cols[n].made = gen_printf(g, "coalesce(%s, %s)", explain_name(g, from[a].name, &from[a]),
                                          explain_name(g, r.cols[b].name, &r.cols[b]));
            cols[n].simple =
                true; /* of two references: it may be written twice, and a.key and b.key stay there */
            cols[n].nullable = from[a].nullable && r.cols[b].nullable;
            cols[n].qualifier = NULL;
            cols[n].n_qualifier = 0;
        }
        n++;
    }
    for (size_t i = 0; i < n_all; i++) {
        bool key = false, first = false;

        for (size_t k = 0; k < p->n_names; k++)
            key = key || strcasecmp(from[i].name, p->names[k]) == 0;
        for (size_t k = 0; k < p->n_names; k++)
            first = first || cols[k].uid == from[i].uid;
        if (first)
            continue;
        cols[n] = from[i];
        cols[n++].hidden = key;
    }
    rel_set_cols(out, cols, n);
    return LC_OK;
}

static enum lc join_condition(struct gen *g, const struct plan *p, const struct rel *l, const struct rel *r,
                              const struct col *both, const char **condition)
{
    struct scope s = {.cols = both, .n = l->n + r->n, .clause = "JOIN", .outer = g->outer};
    struct sx x;

    explain_join(g, p, &s, l->n);
    if (p->n_names)
        return using_condition(g, p, l, r, condition);
    if (!p->n_exprs)
        return LC_OK;
    TRY(sx_condition(g, &s, p->exprs[0], &x));
    explain_note(g, x.name, NULL);
    *condition = x.sql;
    return LC_OK;
}

/* NATURAL: the columns that both sides have, as if they stood in USING. */
static enum lc natural_names(struct gen *g, const struct rel *l, const struct rel *r, struct plan *p)
{
    p->names = arena_zalloc(g->arena, (l->n + 1) * sizeof *p->names);
    p->n_names = 0;
    if (!p->names)
        return err_nomem(g->err);
    for (size_t i = 0; i < l->n; i++) {
        bool common = false;

        for (size_t k = 0; k < r->n; k++)
            common |= !r->cols[k].hidden && strcasecmp(l->cols[i].name, r->cols[k].name) == 0;
        if (common && !l->cols[i].hidden)
            p->names[p->n_names++] = (char *)(uintptr_t)l->cols[i].name;
    }
    return LC_OK;
}

/* The right side of a LATERAL join is a subquery that sees the left one. */
static enum lc right_side(struct gen *g, const struct plan *p, const struct rel *l, struct rel *r)
{
    const struct scope seen = {.cols = l->cols, .n = l->n, .clause = "LATERAL", .outer = g->outer};
    const struct scope *outer = g->outer;
    enum lc code;

    if (!p->u.join.lateral)
        return side(g, p->right, r, false);
    g->outer = &seen;
    code = rel_encode(g, p->right, r);
    if (code == LC_OK && rel_is_item(r)) /* a bare item would not be a subquery */
        r->where = "TRUE";
    if (code == LC_OK)
        code = rel_seal(g, r);
    g->outer = outer;
    TRY(code);
    r->from = gen_printf(g, "LATERAL %s", r->from);
    return r->from ? LC_OK : err_nomem(g->err);
}

enum lc rel_join(struct gen *g, const struct plan *p, struct rel *out)
{
    enum join_kind kind = p->u.join.kind;
    struct plan natural;
    struct rel l, r;
    struct col *both;
    const char *condition = NULL;
    bool left_only = kind == JOIN_SEMI || kind == JOIN_ANTI;
    size_t n;

    TRY(side(g, p->left, &l, true));
    TRY(right_side(g, p, &l, &r));
    if (p->u.join.natural) {
        natural = *p;
        p = &natural;
        TRY(natural_names(g, &l, &r, &natural));
    }
    both = cols_copy(g, l.cols, l.n, r.n);
    if (!both)
        return err_nomem(g->err);
    memcpy(both + l.n, r.cols, r.n * sizeof *both);
    TRY(join_condition(g, p, &l, &r, both, &condition));
    if (kind == JOIN_CROSS && condition)
        kind = JOIN_INNER;
    if (kind == JOIN_INNER && !condition)
        kind = JOIN_CROSS;
    if (kind == JOIN_RIGHT || kind == JOIN_FULL)
        make_nullable(both, l.n);
    if (kind == JOIN_LEFT || kind == JOIN_FULL)
        make_nullable(both + l.n, r.n);
    n = left_only ? l.n : l.n + r.n;
    *out = (struct rel){.cols = both, .n = n, .joined = true};
    out->from = kind == JOIN_CROSS ? gen_printf(g, "%s CROSS JOIN %s", l.from, r.from)
                                   : gen_printf(g, "%s %s %s ON %s", l.from, join_words[kind], r.from,
                                                condition ? condition : "TRUE");
    if (!out->from)
        return err_nomem(g->err);
    return p->n_names ? using_columns(g, p, out, l.n) : LC_OK;
}

/* ---- union, intersect, except ---- */
struct pair { /* which column of each side makes one of the result; missing: SIZE_MAX */
    size_t left, right;
    const struct dtype *type;
};

static enum lc arity(struct gen *g, const struct plan *p, size_t left, size_t right)
{
    static const char *const words[] = {
        [SET_UNION] = "UNION", [SET_INTERSECT] = "INTERSECT", [SET_EXCEPT] = "EXCEPT"};

    return gen_fail(g, NULL, LC_ENGINE,
                    "[NUM_COLUMNS_MISMATCH] %s can only be performed on inputs with the same number of "
                    "columns, but the first input "
                    "has %zu columns and the second input has %zu columns. SQLSTATE: 42826",
                    words[p->u.set_op.op], left, right);
}

static size_t index_of(const struct rel *r, const char *name)
{
    for (size_t i = 0; i < r->n; i++)
        if (strcasecmp(r->cols[i].name, name) == 0)
            return i;
    return SIZE_MAX;
}

static enum lc match_columns(struct gen *g, const struct plan *p, const struct rel *l, const struct rel *r,
                             struct pair *pairs, size_t *n)
{
    bool by_name = p->u.set_op.by_name, missing = p->u.set_op.allow_missing;

    if (l->n != r->n && !(by_name && missing))
        return arity(g, p, l->n, r->n);
    *n = 0;
    for (size_t i = 0; i < l->n; i++) {
        size_t k = by_name ? index_of(r, l->cols[i].name) : i;

        if (k == SIZE_MAX && !missing) {
            struct scope s = {.cols = r->cols, .n = r->n};
            char *parts[] = {(char *)(uintptr_t)l->cols[i].name};
            struct expr e = {
                .kind = EXPR_ATTRIBUTE, .position = -1, .u.name = {.parts = parts, .n_parts = 1}};
            struct sx x;

            return sx_resolve(g, &s, &e, &x); /* its error */
        }
        pairs[(*n)++] = (struct pair){i, k, NULL};
    }
    for (size_t k = 0; by_name && missing && k < r->n; k++)
        if (index_of(l, r->cols[k].name) == SIZE_MAX)
            pairs[(*n)++] = (struct pair){SIZE_MAX, k, NULL};
    return LC_OK;
}

static enum lc pair_types(struct gen *g, const struct rel *l, const struct rel *r, struct pair *pairs,
                          size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct dtype *a = pairs[i].left == SIZE_MAX ? NULL : l->cols[pairs[i].left].type;
        const struct dtype *b = pairs[i].right == SIZE_MAX ? NULL : r->cols[pairs[i].right].type;

        pairs[i].type = a && b ? gen_type(g, dtype_common(a, b)) : (a ? a : b);
        if (!pairs[i].type)
            return gen_fail(g, NULL, LC_ENGINE,
                            "[INCOMPATIBLE_COLUMN_TYPE] UNION can only be performed on tables with "
                            "compatible column types. The "
                            "column %zu of the second table is \"%s\" type which is not compatible with "
                            "\"%s\" at the same column of "
                            "the first table. SQLSTATE: 42825",
                            i + 1, b ? gen_type_words(g, b) : "", a ? gen_type_words(g, a) : "");
    }
    return LC_OK;
}

static enum lc branch(struct gen *g, const struct rel *r, const struct pair *pairs, size_t n, bool right,
                      const struct col *names, const char **out)
{
    struct buf b = BUF_INIT((size_t)64 << 20);

    buf_puts(&b, n == 0 ? "SELECT 1" : "SELECT "); /* rows of no columns are rows, too */
    for (size_t i = 0; i < n; i++) {
        size_t k = right ? pairs[i].right : pairs[i].left;
        struct sx x = {.sql = "NULL", .type = dtype_of(DTYPE_NULL)};
        enum lc code;

        if (k != SIZE_MAX)
            x = (struct sx){.sql = r->cols[k].sql, .name = r->cols[k].name, .type = r->cols[k].type};
        code = sx_coerce(g, &x, pairs[i].type, NULL);
        if (code != LC_OK)
            return buf_release(&b), code;
        buf_printf(&b, "%s%s AS %s", i ? ", " : "", x.sql, col_alias(g, &names[i]));
    }
    buf_printf(&b, " FROM %s", r->from);
    *out = gen_take(g, &b);
    return *out ? LC_OK : err_nomem(g->err);
}

/* Rows with maps in them cannot be told apart. */
static enum lc no_maps(struct gen *g, const struct col *cols, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!cols[i].hidden && dtype_has_map(cols[i].type))
            return gen_fail(
                g, NULL, LC_ENGINE,
                "[UNSUPPORTED_FEATURE.SET_OPERATION_ON_MAP_TYPE] The feature is not supported: Cannot have "
                "MAP type columns in a set operation (INTERSECT, EXCEPT, etc.), but the type of column `%s` "
                "is \"%s\". SQLSTATE: 0A000",
                cols[i].name, gen_type_words(g, cols[i].type));
    return LC_OK;
}

/* A text that becomes a number may be NULL, as Spark sees it. */
static bool was_text(const struct col *from, const struct col *to)
{
    return from->type->id == DTYPE_STRING && to->type->id != DTYPE_STRING;
}

enum lc rel_set_op(struct gen *g, const struct plan *p, struct rel *out)
{
    static const char *const words[] = {
        [SET_UNION] = "UNION", [SET_INTERSECT] = "INTERSECT", [SET_EXCEPT] = "EXCEPT"};
    struct rel l, r;
    struct pair *pairs;
    struct col *cols;
    const char *first, *second;
    bool narrow = g->narrow;
    size_t n = 0;

    g->narrow = false; /* rows of one side leave before the other side begins */
    TRY(rel_encode(g, p->left, &l));
    TRY(rel_seal(g, &l));
    TRY(rel_encode(g, p->right, &r));
    TRY(rel_seal(g, &r));
    g->narrow = narrow;
    pairs = arena_zalloc(g->arena, (l.n + r.n + 1) * sizeof *pairs);
    cols = cols_copy(g, NULL, 0, l.n + r.n);
    if (!pairs || !cols)
        return err_nomem(g->err);
    TRY(match_columns(g, p, &l, &r, pairs, &n));
    TRY(pair_types(g, &l, &r, pairs, n));
    for (size_t i = 0; i < n; i++) {
        bool both = pairs[i].left != SIZE_MAX && pairs[i].right != SIZE_MAX;

        cols[i] = pairs[i].left != SIZE_MAX ? l.cols[pairs[i].left] : r.cols[pairs[i].right];
        cols[i].uid = both && pairs[i].left != SIZE_MAX ? cols[i].uid : g->next_uid++;
        cols[i].sql = col_alias(g, &cols[i]);
        cols[i].type = pairs[i].type;
        cols[i].nullable = !both || l.cols[pairs[i].left].nullable ||
                           was_text(&l.cols[pairs[i].left], &cols[i]) ||
                           (p->u.set_op.op == SET_UNION &&
                            (r.cols[pairs[i].right].nullable || was_text(&r.cols[pairs[i].right], &cols[i])));
    }
    if (p->u.set_op.op != SET_UNION || !p->u.set_op.all)
        TRY(no_maps(g, cols, n));
    TRY(branch(g, &l, pairs, n, false, cols, &first));
    TRY(branch(g, &r, pairs, n, true, cols, &second));
    *out = (struct rel){.cols = cols, .n = n};
    out->from = gen_printf(g, "((%s) %s%s (%s)) AS t%d", first, words[p->u.set_op.op],
                           p->u.set_op.all ? " ALL" : "", second, g->next_uid++);
    return out->from ? LC_OK : err_nomem(g->err);
}

/* ---- distinct ---- */
static bool all_keys(const struct rel *r, const bool *key)
{
    for (size_t i = 0; i < r->n; i++)
        if (!key[i])
            return false;
    return true;
}

/* Of rows with equal keys the first one stays, so that a result can be had again. */
static enum lc first_rows(struct gen *g, struct rel *r, const bool *key)
{
    int rn = g->next_uid++, inner = g->next_uid++, outer = g->next_uid++;
    struct buf b = BUF_INIT((size_t)16 << 20);
    const char *keys;

    for (size_t i = 0; i < r->n; i++)
        if (key[i])
            buf_printf(&b, "%s%s", b.len ? ", " : "", r->cols[i].sql);
    keys = gen_take(g, &b);
    if (!keys)
        return err_nomem(g->err);
    r->from = gen_printf(g,
                         "(SELECT * FROM (SELECT *, row_number() OVER () AS lx_%d FROM %s) AS t%d QUALIFY "
                         "row_number() OVER (PARTITION "
                         "BY %s ORDER BY lx_%d) = 1) AS t%d",
                         rn, r->from, inner, keys, rn, outer);
    return r->from ? LC_OK : err_nomem(g->err);
}

enum lc rel_deduplicate(struct gen *g, const struct plan *p, struct rel *out)
{
    bool *key;

    TRY(rel_encode(g, p->left, out));
    if (p->n_names == 0)
        TRY(no_maps(g, out->cols, out->n));
    if (p->n_names == 0 && !out->distinct && !out->limit && !out->offset && !out->grouped) {
        out->order = NULL; /* distinct rows have no order */
        out->distinct = "DISTINCT ";
        return LC_OK;
    }
    TRY(rel_seal(g, out));
    key = arena_zalloc(g->arena, out->n + 1);
    if (!key)
        return err_nomem(g->err);
    for (size_t i = 0; i < p->n_names; i++) {
        size_t k;

        TRY(sx_column_of(g, out, p->names[i], &k));
        if (g->explaining)
            explain_note(g,
                         gen_printf(g, "%s%s%s", g->note ? g->note : "", g->note ? ", " : "",
                                    explain_name(g, out->cols[k].name, &out->cols[k])),
                         NULL);
        key[k] = true;
    }
    if (p->n_names && !all_keys(out, key))
        return first_rows(g, out, key);
    out->distinct = "DISTINCT ";
    return LC_OK;
}

/* ---- samples ---- */
/* A number in [0, 1) per row, from its contents, how often it has occurred before, and the seed: the same in every run and however
 * the rows are ordered; two samples with adjoining bounds share no row and lose none. They come in an order of their own, also
 * the same in every run (the window below loses the input's): what trains on them sees the same batches each time. */
enum lc rel_sample(struct gen *g, const struct plan *p, struct rel *out)
{
    int h = g->next_uid++, rn = g->next_uid++, inner = g->next_uid++;
    struct buf b = BUF_INIT((size_t)16 << 20);
    const char *columns;

    if (p->u.sample.replacement)
        return gen_fail(g, NULL, LC_UNSUPPORTED, "a sample with replacement is not supported by this engine");
    if (p->u.sample.lower < 0 || p->u.sample.upper > 1.000001 || p->u.sample.lower > p->u.sample.upper)
        return gen_fail(g, NULL, LC_ENGINE, "a sample's fraction must be between 0 and 1, but it is %g",
                        p->u.sample.upper);
    TRY(rel_encode(g, p->left, out));
    TRY(rel_seal(g, out));
    for (size_t i = 0; i < out->n; i++)
        buf_printf(&b, "%s%s", i ? ", " : "", out->cols[i].sql);
    columns = gen_take(g, &b);
    if (!columns)
        return err_nomem(g->err);
    out->from = gen_printf(g,
                           "(SELECT *, row_number() OVER (PARTITION BY lx_%d) AS lx_%d FROM (SELECT *, "
                           "hash(%s) AS lx_%d FROM %s) AS "
                           "t%d) AS t%d",
                           h, rn, out->n ? columns : "0", h, out->from, inner, g->next_uid++);
    columns = gen_printf(
        g, "(CAST(hash(lx_%d, lx_%d, CAST('%" PRId64 "' AS BIGINT)) >> 11 AS DOUBLE) / 9007199254740992)", h,
        rn, p->u.sample.seed);
    out->where = columns ? gen_printf(g, "%s >= CAST('%.17g' AS DOUBLE) AND %s < CAST('%.17g' AS DOUBLE)",
                                      columns, p->u.sample.lower, columns, p->u.sample.upper)
                         : NULL;
    out->order = gen_printf(g, "lx_%d, lx_%d", h, rn);
    return out->from && out->where && out->order ? LC_OK : err_nomem(g->err);
}
