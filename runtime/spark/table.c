#include "runtime/spark/table.h"
#include "runtime/base/mem.h"
#include <string.h>

void table_column_type(struct table *t, const char *name, const struct dtype *type)
{
    if (t->n_columns == TABLE_COLUMNS || !type) {
        dtype_unref(type);
        t->failed = true;
        return;
    }
    t->names[t->n_columns] = name;
    t->types[t->n_columns++] = type;
}

void table_column(struct table *t, const char *name, enum dtype_id id)
{
    table_column_type(t, name, dtype_of(id));
}

void table_expr(struct table *t, struct expr *e)
{
    if (t->n == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 64;
        struct expr **more = mem_reallocn(t->cells, cap, sizeof *more);
        if (!more) {
            t->failed = true;
            expr_unref(e);
            return;
        }
        t->cells = more;
        t->cap = cap;
    }
    t->failed |= !e;
    t->cells[t->n++] = e;
}

void table_null(struct table *t)
{
    const struct dtype *type = t->n_columns ? t->types[t->n % t->n_columns] : NULL;

    table_expr(t, expr_cast(expr_null(), dtype_ref(type), false));
}

void table_text(struct table *t, const char *text)
{
    if (text)
        table_expr(t, expr_string(text, strlen(text)));
    else
        table_null(t);
}

void table_long(struct table *t, int64_t v)
{
    table_expr(t, expr_long(v));
}

void table_int(struct table *t, int64_t v)
{
    table_expr(t, expr_typed_int(DTYPE_INT, v));
}

void table_bool(struct table *t, bool v)
{
    table_expr(t, expr_bool(v));
}

void table_time(struct table *t, int64_t ms)
{
    table_expr(t, expr_temporal(DTYPE_TIMESTAMP, ms * 1000));
}

void table_release(struct table *t)
{
    for (size_t i = 0; i < t->n; i++)
        expr_unref(t->cells[i]);
    for (size_t i = 0; i < t->n_columns; i++)
        dtype_unref(t->types[i]);
    mem_free(t->cells);
    *t = (struct table){0};
}

/* No rows are one row of typed NULLs, and none of it. */
enum lc table_plan(struct table *t, const struct plan **out, struct err *err)
{
    bool empty = t->n == 0;

    *out = NULL;
    for (size_t i = 0; empty && i < t->n_columns; i++)
        table_null(t);
    if (!t->failed && t->n_columns) {
        *out = plan_values(t->cells, t->n / t->n_columns, t->n_columns, t->names);
        t->n = 0; /* the references moved into the plan */
        if (empty)
            *out = plan_limit(*out, 0);
    }
    table_release(t);
    return *out ? LC_OK : err_nomem(err);
}
