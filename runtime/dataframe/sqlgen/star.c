/* star.c: the columns that * and t.* stand for, in select lists and among the arguments of functions. */
#include "runtime/dataframe/sqlgen/sqlgen_int.h"
#include <string.h>
#include <strings.h>

struct chosen { /* what a star stands for, in order */
    struct sx *items;
    struct col *cols; /* the same as columns, for EXCEPT to find by their names */
    size_t n;
};

static bool under(const struct col *c, const struct expr *star)
{
    size_t n = star->u.name.n_parts;

    if (n > c->n_qualifier)
        return false;
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(c->qualifier[c->n_qualifier - n + i], star->u.name.parts[i]) != 0)
            return false;
    return n > 0 || !c->hidden;
}

static bool from_plan(const struct gen *g, const struct col *c, int64_t plan_id)
{
    return !plan_id || seen_depth(g, plan_id, c) >= 0;
}

/* s.*: the fields of a struct column */
static enum lc choose_fields(struct gen *g, const struct scope *s, const struct expr *star,
                             struct chosen *out)
{
    struct expr attribute = {.kind = EXPR_ATTRIBUTE, .position = star->position, .u.name = star->u.name};
    struct sx x;

    TRY(sx_resolve(g, s, &attribute, &x));
    if (x.type->id != DTYPE_STRUCT)
        return gen_fail(g, star, LC_ENGINE,
                        "[CANNOT_RESOLVE_STAR_EXPAND] Cannot resolve %s.* given input columns. Please "
                        "check that the specified table or struct exists. SQLSTATE: 42704",
                        x.name);
    out->n = x.type->n_fields;
    out->items = arena_zalloc(g->arena, (out->n + 1) * sizeof *out->items);
    out->cols = arena_zalloc(g->arena, (out->n + 1) * sizeof *out->cols);
    if (!out->items || !out->cols)
        return err_nomem(g->err);
    for (size_t i = 0; i < out->n; i++) {
        TRY(sx_field(g, &x, x.type->fields[i].name, star, &out->items[i]));
        out->cols[i] = (struct col){.uid = -1 - (int)i,
                                    .name = out->items[i].name,
                                    .sql = out->items[i].sql,
                                    .type = out->items[i].type};
    }
    return LC_OK;
}

static enum lc choose_columns(struct gen *g, const struct scope *s, const struct expr *star,
                              struct chosen *out)
{
    out->items = arena_zalloc(g->arena, (s->n + 1) * sizeof *out->items);
    out->cols = arena_zalloc(g->arena, (s->n + 1) * sizeof *out->cols);
    if (!out->items || !out->cols)
        return err_nomem(g->err);
    for (size_t i = 0; i < s->n; i++) {
        const struct col *c = &s->cols[i];

        if (!under(c, star) || !from_plan(g, c, star->u.name.plan_id))
            continue;
        out->cols[out->n] = *c;
        out->items[out->n++] = (struct sx){.sql = c->sql,
                                           .name = c->name,
                                           .type = c->type,
                                           .nullable = c->nullable,
                                           .simple = c->simple,
                                           .col = c};
    }
    return out->n == 0 && star->u.name.n_parts ? choose_fields(g, s, star, out) : LC_OK;
}

/* * EXCEPT (a, t.b): each must be among what the star stands for */
static enum lc leave_out(struct gen *g, const struct expr *star, struct chosen *c)
{
    struct scope s = {.cols = c->cols, .n = c->n};
    bool *gone = arena_zalloc(g->arena, c->n + 1);
    size_t n = 0;

    if (!gone)
        return err_nomem(g->err);
    for (size_t i = 0; i < star->n; i++) {
        struct sx x;

        if (star->args[i]->kind != EXPR_ATTRIBUTE)
            continue;
        TRY(sx_resolve(g, &s, star->args[i], &x));
        if (!x.col && star->position < 0) /* of a PIVOT or UNPIVOT, which say it themselves */
            continue;
        if (!x.col)
            return gen_fail(
                g, star->args[i], LC_UNSUPPORTED,
                "[UNSUPPORTED_FEATURE] EXCEPT of a field of a struct is not supported: make the column anew "
                "with dropFields. SQLSTATE: 0A000");
        for (size_t k = 0; k < c->n; k++)
            gone[k] |= x.col == &c->cols[k] || (x.col->uid == c->cols[k].uid && x.col->uid >= 0);
    }
    for (size_t i = 0; i < c->n; i++)
        if (!gone[i])
            c->items[n++] = c->items[i];
    c->n = n;
    return LC_OK;
}

const struct expr *star_bind(struct gen *g, struct scope *s, const struct sx *x)
{
    struct variable *v = arena_zalloc(g->arena, sizeof *v);
    struct expr *e = arena_zalloc(g->arena, sizeof *e);
    char **parts = arena_zalloc(g->arena, sizeof *parts);

    if (!v || !e || !parts)
        return NULL;
    parts[0] = arena_printf(g->arena, "*%d", g->next_uid++); /* as nobody can write it */
    *v = (struct variable){.outer = s->variables, .name = parts[0], .value = *x};
    *e = (struct expr){.kind = EXPR_ATTRIBUTE, .position = -1, .u.name = {.parts = parts, .n_parts = 1}};
    s->variables = v;
    return parts[0] ? e : NULL;
}

enum lc star_columns(struct gen *g, const struct scope *s, const struct expr *star, struct sx **out,
                     size_t *n)
{
    struct chosen c = {0};

    TRY(choose_columns(g, s, star, &c));
    TRY(leave_out(g, star, &c));
    *out = c.items;
    *n = c.n;
    return LC_OK;
}

/* count(*) counts rows; count(t.*) is no SQL. */
static enum lc check_count(struct gen *g, const struct expr *e, bool *rows)
{
    const struct expr *star = e->args[0];

    *rows = false;
    if (strcmp(e->u.call.name, "count") != 0 || star->kind != EXPR_STAR)
        return LC_OK;
    *rows = e->n == 1 && !e->u.call.distinct && !star->u.name.n_parts && !star->n;
    if (star->u.name.n_parts)
        return gen_fail(
            g, e, LC_ENGINE,
            "[INVALID_USAGE_OF_STAR_WITH_TABLE_IDENTIFIER_IN_COUNT] count(`%s`.*) is not allowed. Use "
            "count(*) or expand the columns manually, e.g. count(col1, col2). SQLSTATE: 42000",
            star->u.name.parts[0]);
    return LC_OK;
}

enum lc star_arguments(struct gen *g, struct scope *s, const struct expr **call)
{
    const struct expr *e = *call;
    struct expr *out, **args;
    size_t stars = 0, n = 0;
    bool rows = false;

    for (size_t i = 0; i < e->n; i++)
        stars += e->args[i]->kind == EXPR_STAR;
    if (!stars)
        return LC_OK;
    TRY(check_count(g, e, &rows));
    if (rows)
        return LC_OK;
    args = arena_zalloc(g->arena, (e->n + stars * s->n) * sizeof *args + 1);
    out = arena_zalloc(g->arena, sizeof *out);
    if (!args || !out)
        return err_nomem(g->err);
    for (size_t i = 0; i < e->n; i++) {
        struct sx *columns;
        size_t k;

        if (e->args[i]->kind != EXPR_STAR) {
            args[n++] = e->args[i];
            continue;
        }
        TRY(star_columns(g, s, e->args[i], &columns, &k));
        if (k > s->n) { /* fields of a struct: there may be more of them than columns */
            struct expr **more = arena_zalloc(g->arena, (n + e->n + k + stars * s->n) * sizeof *args);

            if (!more)
                return err_nomem(g->err);
            memcpy(more, args, n * sizeof *args);
            args = more;
        }
        for (size_t c = 0; c < k; c++) {
            const struct expr *a = star_bind(g, s, &columns[c]);

            if (!a)
                return err_nomem(g->err);
            args[n++] = (struct expr *)(uintptr_t)a;
        }
    }
    *out = *e;
    out->args = args;
    out->n = n;
    *call = out;
    return LC_OK;
}
