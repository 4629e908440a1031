/* encode_recursion.c: WITH RECURSIVE: DuckDB has the loop itself; types are those of the first rows. */
#include "runtime/dataframe/sqlgen/sqlgen_int.h"

enum lc leaf_loop(struct gen *g, const struct plan *p, struct rel *out)
{
    for (const struct loop *l = g->loops; l; l = l->outer)
        if (l->id == p->u.recursion.id)
            return rel_from(g, l->schema, l->table, out);
    return gen_fail(g, NULL, LC_INTERNAL, "the rows of '%s' are read outside of its recursion", p->names[0]);
}

/* SELECT of the columns as the first rows have them, in order. */
static enum lc branch(struct gen *g, const struct rel *r, const struct rel *first, const char **out)
{
    struct buf b = BUF_INIT((size_t)64 << 20);

    buf_puts(&b, "SELECT ");
    for (size_t i = 0; i < r->n; i++) {
        struct sx x = {.sql = r->cols[i].sql, .name = r->cols[i].name, .type = r->cols[i].type};
        enum lc code = LC_OK;

        if (!dtype_same(x.type, first->cols[i].type))
            code = sx_cast(g, &x, first->cols[i].type, false, false, NULL, &x);
        if (code != LC_OK)
            return buf_release(&b), code;
        buf_printf(&b, "%s%s AS %s", i ? ", " : "", x.sql, col_alias(g, &first->cols[i]));
    }
    buf_printf(&b, " FROM %s", r->from);
    *out = gen_take(g, &b);
    return *out ? LC_OK : err_nomem(g->err);
}

static bool fits(const struct dtype *from, const struct dtype *to)
{
    return dtype_same(from, to) || from->id == DTYPE_NULL || (dtype_is_numeric(from) && dtype_is_numeric(to));
}

static enum lc check_step(struct gen *g, const struct plan *p, const struct rel *first,
                          const struct rel *step)
{
    if (first->n != step->n)
        return gen_fail(g, NULL, LC_ENGINE,
                        "[NUM_COLUMNS_MISMATCH] UNION can only be performed on inputs with the same number "
                        "of columns, but the "
                        "first rows of '%s' have %zu columns and those of a round %zu. SQLSTATE: 42826",
                        p->names[0], first->n, step->n);
    for (size_t i = 0; i < first->n; i++)
        if (!fits(step->cols[i].type, first->cols[i].type))
            return gen_fail(g, NULL, LC_ENGINE,
                            "[CANNOT_MERGE_INCOMPATIBLE_DATA_TYPE] column %zu of '%s' is \"%s\" in its first "
                            "rows and \"%s\" in those of "
                            "a round. SQLSTATE: 42825",
                            i + 1, p->names[0], gen_type_words(g, first->cols[i].type),
                            gen_type_words(g, step->cols[i].type));
    return LC_OK;
}

enum lc rel_recursion(struct gen *g, const struct plan *p, struct rel *out)
{
    struct loop loop = {.outer = g->loops, .id = p->u.recursion.id};
    struct rel first, step;
    const char *a, *b;
    bool narrow = g->narrow;
    enum lc code;

    g->narrow = false;
    TRY(rel_encode(g, p->left, &first));
    TRY(rel_seal(g, &first));
    loop.table = gen_printf(g, "lx_loop_%d", g->next_uid++);
    loop.schema = gen_type(g, rel_schema(&first));
    if (!loop.table || !loop.schema)
        return err_nomem(g->err);
    g->loops = &loop;
    code = rel_encode(g, p->right, &step);
    if (code == LC_OK)
        code = rel_seal(g, &step);
    g->loops = loop.outer;
    g->narrow = narrow;
    TRY(code);
    TRY(check_step(g, p, &first, &step));
    TRY(branch(g, &first, &first, &a));
    TRY(branch(g, &step, &first, &b));
    *out = (struct rel){0};
    TRY(rel_from(g, loop.schema,
                 gen_printf(g, "(WITH RECURSIVE %s AS (%s UNION%s %s) SELECT * FROM %s)", loop.table, a,
                            p->u.recursion.all ? " ALL" : "", b, loop.table),
                 out));
    for (size_t i = 0; i < out->n; i++) /* as Spark has it */
        out->cols[i].nullable = true;
    return LC_OK;
}
