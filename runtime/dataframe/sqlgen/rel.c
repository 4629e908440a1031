/* rel.c: one SELECT under construction. */
#include "runtime/dataframe/sqlgen/sqlgen_int.h"
#include <string.h>
#include <strings.h>

const char *col_alias(struct gen *g, const struct col *c)
{
    return gen_printf(g, "lx_%d", c->uid);
}

struct col *cols_copy(struct gen *g, const struct col *cols, size_t n, size_t extra)
{
    struct col *copy = arena_alloc(g->arena, (n + extra + 1) * sizeof *copy);

    if (copy && n)
        memcpy(copy, cols, n * sizeof *copy);
    return copy;
}

bool rel_open(const struct rel *r)
{
    if (r->grouped || r->distinct || r->limit || r->offset)
        return false;
    for (size_t i = 0; i < r->n; i++)
        if (!r->cols[i].simple)
            return false;
    return true;
}

bool rel_is_item(const struct rel *r)
{
    return r->from && !r->inner && !r->where && !r->group && !r->having && !r->order && !r->limit &&
           !r->offset && !r->distinct && !r->grouped;
}

static void put_column(struct gen *g, struct buf *b, const struct col *c, bool user_names)
{
    const char *alias = col_alias(g, c);

    buf_puts(b, c->sql);
    if (user_names) {
        buf_puts(b, " AS ");
        sql_quote_name(b, *c->name ? c->name : " "); /* DuckDB has no empty names; the schema keeps it */
    } else if (alias && strcmp(alias, c->sql) != 0) {
        buf_printf(b, " AS %s", alias);
    }
}

static void put_clause(struct buf *b, const char *word, const char *text)
{
    if (text)
        buf_printf(b, " %s %s", word, text);
}

/* A user's column called like one of ours would be taken for it in ORDER BY and WHERE; and where these name a computed result by
 * our name for it, the SELECT must still call it so. (DuckDB keeps the order of a subquery's rows.) */
static bool confusing(const struct rel *r)
{
    for (size_t i = 0; i < r->n; i++)
        if (strncasecmp(r->cols[i].name, "lx_", 3) == 0 || ((r->order || r->having) && !r->cols[i].simple))
            return !rel_is_item(r);
    return false;
}

const char *rel_select(struct gen *g, const struct rel *r, bool user_names)
{
    struct buf b = BUF_INIT((size_t)200 << 20);
    struct rel sealed = *r;
    size_t n = 0;

    if (user_names && confusing(r)) {
        if (rel_seal(g, &sealed) != LC_OK)
            return NULL;
        r = &sealed;
    }
    buf_printf(&b, "SELECT %s", r->distinct ? r->distinct : "");
    for (size_t i = 0; i < r->n; i++)
        if (!r->cols[i].hidden) {
            buf_puts(&b, n++ ? ", " : "");
            put_column(g, &b, &r->cols[i], user_names);
        }
    if (!n) /* DuckDB has no SELECT of nothing; the caller takes no column of it */
        buf_puts(&b, "0 AS lx_none");
    put_clause(&b, "FROM", r->from);
    put_clause(&b, "WHERE", r->where);
    put_clause(&b, "GROUP BY", r->group);
    put_clause(&b, "HAVING", r->having);
    put_clause(&b, "ORDER BY", r->order);
    put_clause(&b, "LIMIT", r->limit);
    put_clause(&b, "OFFSET", r->offset);
    return gen_take(g, &b);
}

/* DuckDB 1.5 takes what a join above looks for into account below an ORDER BY … LIMIT, and other rows come first then. It does
 * not look through a window. */
static const char *kept_apart(struct gen *g, const char *select)
{
    int n = g->next_uid;

    g->next_uid += 3;
    return gen_printf(
        g,
        "SELECT * EXCLUDE (lx_%d) FROM (SELECT *, row_number() OVER () AS lx_%d FROM (%s) AS t%d) AS t%d "
        "WHERE lx_%d > 0",
        n, n, select, n + 1, n + 2, n);
}

enum lc rel_seal(struct gen *g, struct rel *r)
{
    const char *select;
    struct col *cols;
    size_t n = 0;

    if (rel_is_item(r))
        return LC_OK;
    select = rel_select(g, r, false);
    if (select && (r->limit || r->offset))
        select = kept_apart(g, select);
    cols = cols_copy(g, r->cols, r->n, 0);
    if (!select || !cols)
        return err_nomem(g->err);
    for (size_t i = 0; i < r->n; i++) {
        if (cols[i].hidden)
            continue;
        cols[n] = cols[i];
        cols[n].sql = col_alias(g, &cols[n]);
        cols[n].simple = true;
        if (!cols[n++].sql)
            return err_nomem(g->err);
    }
    *r = (struct rel){.cols = cols, .n = n, .from = gen_printf(g, "(%s) AS t%d", select, g->next_uid++)};
    return r->from ? LC_OK : err_nomem(g->err);
}

void rel_set_cols(struct rel *r, struct col *cols, size_t n)
{
    if (!r->inner) {
        r->inner = r->cols;
        r->n_inner = r->n;
    }
    r->cols = cols;
    r->n = n;
}

enum lc rel_from(struct gen *g, const struct dtype *schema, const char *item, struct rel *out)
{
    struct buf names = BUF_INIT((size_t)16 << 20);
    const char *list;

    *out = (struct rel){.n = schema->n_fields,
                        .cols = arena_zalloc(g->arena, (schema->n_fields + 1) * sizeof *out->cols)};
    if (!out->cols)
        return err_nomem(g->err);
    for (size_t i = 0; i < schema->n_fields; i++) {
        struct col *c = &out->cols[i];

        *c = (struct col){.uid = g->next_uid++,
                          .name = arena_strdup(g->arena, schema->fields[i].name),
                          .type = gen_type(g, dtype_ref(schema->fields[i].type)),
                          .nullable = schema->fields[i].nullable,
                          .simple = true};
        c->sql = col_alias(g, c);
        if (!c->sql || !c->name || !c->type)
            return buf_release(&names), err_nomem(g->err);
        buf_printf(&names, "%s%s", i ? ", " : "", c->sql);
    }
    list = gen_take(g, &names);
    out->from = list && item ? gen_printf(g, "%s AS t%d(%s)", item, g->next_uid++, list) : NULL;
    return out->from ? LC_OK : err_nomem(g->err);
}

struct col col_from(struct gen *g, const struct sx *x)
{
    struct col c = {.name = explain_plain(g, sx_field_name(x)),
                    .sql = x->sql,
                    .type = x->type,
                    .nullable = x->nullable,
                    .simple = x->simple,
                    .narrow = x->narrow};

    if (g->explaining)
        c.made = x->made ? x->made : x->name;
    if (x->col) {
        c.uid = x->col->uid;
        c.qualifier = x->col->qualifier;
        c.n_qualifier = x->col->n_qualifier;
    } else {
        c.uid = g->next_uid++;
    }
    return c;
}
