#include "runtime/dataframe/sqlgen/sqlgen_int.h"
#include <stdio.h>
#include <string.h>

enum { ARENA_LIMIT = 256 << 20 };

/* ---- texts in the arena ---- */
const char *gen_take(struct gen *g, struct buf *b)
{
    const char *text = buf_ok(b) ? arena_strndup(g->arena, buf_str(b), b->len) : NULL;

    buf_release(b);
    return text;
}

static void unref_type(void *type)
{
    dtype_unref(type);
}

const struct dtype *gen_type(struct gen *g, const struct dtype *owned)
{
    if (owned && owned->refs && !arena_on_free(g->arena, unref_type, (void *)(uintptr_t)owned)) {
        dtype_unref(owned);
        return NULL;
    }
    return owned;
}

enum lc gen_fail(struct gen *g, const struct expr *at, enum lc code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    err_vset(g->err, code, fmt, ap);
    va_end(ap);
    if (at && at->position >= 0)
        err_at(g->err, at->position);
    return code;
}

/* ---- DuckDB's spellings ---- */
bool sql_quote_text(struct buf *out, const char *s, size_t len)
{
    buf_putc(out, '\'');
    for (size_t i = 0; i < len; i++) {
        if (s[i] == '\'')
            buf_putc(out, '\'');
        buf_putc(out, s[i]);
    }
    return buf_putc(out, '\'');
}

bool sql_quote_name(struct buf *out, const char *name)
{
    buf_putc(out, '"');
    for (; *name; name++) {
        if (*name == '"')
            buf_putc(out, '"');
        buf_putc(out, *name);
    }
    return buf_putc(out, '"');
}

const char *gen_text(struct gen *g, const char *s, size_t len)
{
    struct buf b = BUF_INIT(ARENA_LIMIT);

    sql_quote_text(&b, s, len);
    return gen_take(g, &b);
}

bool sql_type(const struct dtype *t, struct buf *out)
{
    static const char *const names[DTYPE_COUNT] = {
        [DTYPE_NULL] = "INTEGER",      [DTYPE_BOOLEAN] = "BOOLEAN",
        [DTYPE_BYTE] = "TINYINT",      [DTYPE_SHORT] = "SMALLINT",
        [DTYPE_INT] = "INTEGER",       [DTYPE_LONG] = "BIGINT",
        [DTYPE_FLOAT] = "FLOAT",       [DTYPE_DOUBLE] = "DOUBLE",
        [DTYPE_STRING] = "VARCHAR",    [DTYPE_BINARY] = "BLOB",
        [DTYPE_DATE] = "DATE",         [DTYPE_TIMESTAMP] = "TIMESTAMPTZ",
        [DTYPE_INTERVAL] = "INTERVAL", [DTYPE_TIMESTAMP_NTZ] = "TIMESTAMP",
        [DTYPE_TIME] = "TIME",         [DTYPE_VARIANT] = "JSON",
    };

    switch (t->id) {
    case DTYPE_DECIMAL:
        return buf_printf(out, "DECIMAL(%d,%d)", t->precision, t->scale);
    case DTYPE_ARRAY:
        return sql_type(t->element, out) && buf_puts(out, "[]");
    case DTYPE_MAP:
        return buf_puts(out, "MAP(") && sql_type(t->key, out) && buf_puts(out, ", ") &&
               sql_type(t->element, out) && buf_putc(out, ')');
    case DTYPE_STRUCT:
        buf_puts(out, "STRUCT(");
        for (size_t i = 0; i < t->n_fields; i++) {
            buf_puts(out, i ? ", " : "");
            sql_quote_name(out, t->fields[i].name);
            buf_putc(out, ' ');
            sql_type(t->fields[i].type, out);
        }
        return buf_putc(out, ')');
    default:
        return buf_puts(out, names[t->id]);
    }
}

const char *gen_sql_type(struct gen *g, const struct dtype *t)
{
    struct buf b = BUF_INIT(1 << 20);

    sql_type(t, &b);
    return gen_take(g, &b);
}

const char *gen_type_words(struct gen *g, const struct dtype *t)
{
    struct buf b = BUF_INIT(1 << 20);

    dtype_sql(t, &b);
    return gen_take(g, &b);
}

/* ---- the whole ---- */
void sql_query_release(struct sql_query *q)
{
    mem_free(q->sql);
    dtype_unref(q->schema);
    *q = (struct sql_query){0};
}

const struct dtype *rel_schema(const struct rel *r)
{
    const struct dtype *s = dtype_struct_new(r->n);

    for (size_t i = 0; s && i < r->n; i++)
        if (!r->cols[i].hidden)
            s = dtype_struct_add(s, r->cols[i].name, dtype_ref(r->cols[i].type), r->cols[i].nullable, NULL);
    return s;
}

static enum lc encode(struct gen *g, const struct plan *p, struct sql_query *out)
{
    struct rel r;
    const char *sql;

    TRY(rel_encode(g, p, &r));
    sql = rel_select(g, &r, true);
    out->schema = rel_schema(&r);
    out->sql = sql ? mem_strdup(sql) : NULL;
    return out->sql && out->schema ? LC_OK : err_nomem(g->err);
}

enum lc sql_encode(const struct ctx *ctx, const struct plan *p, const struct sql_env *env,
                   struct sql_query *out, struct err *err)
{
    struct err local;
    struct gen g = {.ctx = ctx,
                    .env = env,
                    .err = err ? err : &local,
                    .arena = arena_new(ARENA_LIMIT),
                    .narrow = env->narrow};
    enum lc code;

    *out = (struct sql_query){0};
    code = g.arena ? encode(&g, p, out) : err_nomem(err);
    out->narrow = g.narrowed;
    arena_free(g.arena);
    mem_free(g.seen);
    if (code != LC_OK)
        sql_query_release(out);
    return code;
}
