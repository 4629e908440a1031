/* encode_leaf.c: where rows come from. */
#include "runtime/dataframe/sqlgen/sqlgen_int.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { MOST_PARTITION_GROUPS = 64 };
#define FILE_NAME "__lacus_filename"

enum lc leaf_table(struct gen *g, const struct plan *p, struct rel *out)
{
    (void)out;
    return gen_fail(g, NULL, LC_INTERNAL, "the plan still names the table '%s': it was not resolved",
                    p->n_names ? p->names[p->n_names - 1] : "");
}

/* Fields that the source gives in another type than DuckDB has for them are marked by the engine. */
static void cast_marked(struct gen *g, const struct dtype *schema, struct rel *out)
{
    for (size_t i = 0; i < out->n; i++)
        if (schema->fields[i].metadata && strcmp(schema->fields[i].metadata, "cast") == 0) {
            out->cols[i].sql =
                gen_printf(g, "CAST(%s AS %s)", out->cols[i].sql, gen_sql_type(g, out->cols[i].type));
            out->cols[i].simple = false;
        }
}

static enum lc check_files(struct gen *g, const struct plan *p)
{
    bool partitioned;
    char **files;
    size_t n;

    TRY(sql_source_files(p, &files, &n, &partitioned, g->err));
    name_free(files, n);
    return LC_OK;
}

enum lc leaf_source(struct gen *g, const struct plan *p, struct rel *out)
{
    const struct dtype *known = known_source(p);
    const struct dtype *schema = gen_type(g, dtype_ref(known ? known : p->u.source.schema));
    struct buf b = BUF_INIT((size_t)64 << 20);
    enum lc code;

    if (!schema) {
        if (!g->env || !g->env->source_schema)
            return gen_fail(g, NULL, LC_UNSUPPORTED,
                            "the schema of files is needed, and there is no engine to ask");
        TRY(g->env->source_schema(g->env->self, g->ctx, p, &schema, g->err));
        schema = gen_type(g, schema);
        if (!schema)
            return err_nomem(g->err);
        if (g->depth == 1)
            g->source = schema;
    }
    if (g->analysing && p->u.source.schema) /* else they were looked at for their schema */
        TRY(check_files(g, p));
    if (schema->n_fields == 0) { /* files without a record: no columns, and no rows */
        *out = (struct rel){.cols = cols_copy(g, NULL, 0, 1), .from = "(SELECT 1 WHERE FALSE)"};
        return out->cols ? LC_OK : err_nomem(g->err);
    }
    if (g->analysing)
        return rel_from(g, schema, "x", out);
    code = sql_source(p, schema, &b, g->err);
    if (code != LC_OK)
        return buf_release(&b), code;
    TRY(rel_from(g, schema, gen_take(g, &b), out));
    cast_marked(g, schema, out);
    return LC_OK;
}

/* ---- tables: Parquet files with partition values ---- */
static bool is_partition(const struct scan *s, const char *name, size_t *index)
{
    for (size_t i = 0; i < s->n_partition; i++)
        if (strcasecmp(s->partition_columns[i], name) == 0) {
            *index = i;
            return true;
        }
    return false;
}

static bool same_partition(const struct scan *s, size_t a, size_t b)
{
    for (size_t i = 0; i < s->n_partition; i++) {
        const char *x = s->files[a].partition[i], *y = s->files[b].partition[i];

        if ((x == NULL) != (y == NULL) || (x && strcmp(x, y) != 0))
            return false;
    }
    return true;
}

/* Delta's instants are in UTC where they name no zone; the engine would take them for the session's. */
static void put_partition_text(struct buf *b, const struct dtype *t, const char *v)
{
    size_t n = strlen(v);
    bool zone = n > 10 && strpbrk(v + 10, "+-Zz") != NULL;
    char instant[64];

    if (t->id == DTYPE_TIMESTAMP && !zone && n > 10 && n + 4 < sizeof instant) {
        snprintf(instant, sizeof instant, "%s+00", v);
        sql_quote_text(b, instant, n + 3);
    } else {
        sql_quote_text(b, v, n);
    }
}

static void put_value(struct buf *b, const struct dtype *t, const char *v)
{
    buf_puts(b, "CAST(");
    if (v)
        put_partition_text(b, t, v);
    else
        buf_puts(b, "NULL");
    buf_puts(b, " AS ");
    sql_type(t, b);
    buf_putc(b, ')');
}

/* An empty relation with the table's columns: what files lack becomes NULL, narrower types are widened. */
static void put_shape(struct buf *b, const struct scan *s)
{
    buf_puts(b, "SELECT ");
    for (size_t i = 0; i < s->schema->n_fields; i++) {
        buf_puts(b, i ? ", " : "");
        put_value(b, s->schema->fields[i].type, NULL);
        buf_puts(b, " AS ");
        sql_quote_name(b, s->physical ? s->physical[i] : s->schema->fields[i].name);
    }
    buf_puts(b, " WHERE FALSE");
}

static void put_partition_columns(struct buf *b, const struct scan *s, size_t file)
{
    for (size_t i = 0; i < s->schema->n_fields; i++) {
        size_t k;

        if (!is_partition(s, s->schema->fields[i].name, &k))
            continue;
        buf_puts(b, ", ");
        put_value(b, s->schema->fields[i].type, s->files[file].partition[k]);
        buf_puts(b, " AS ");
        sql_quote_name(b, s->physical ? s->physical[i] : s->schema->fields[i].name);
    }
}

static void put_paths(struct buf *b, const struct scan *s, size_t first, bool *taken, bool all)
{
    bool any = false;

    buf_puts(b, "read_parquet([");
    for (size_t i = first; i < s->n_files; i++) {
        if (!all && (taken[i] || !same_partition(s, first, i)))
            continue;
        taken[i] = true;
        buf_puts(b, any ? ", " : "");
        sql_quote_text(b, s->files[i].path, strlen(s->files[i].path));
        any = true;
    }
    buf_puts(b, "], union_by_name = true, hive_partitioning = false");
    if (s->places)
        buf_puts(b, ", filename = '" FILE_NAME "', file_row_number = true");
}

/* The fields of a scan with places, by the names that the reader gives them. */
static void put_places(struct buf *b, const struct scan *s)
{
    if (!s->places)
        return;
    buf_puts(b, ", \"" FILE_NAME "\" AS ");
    sql_quote_name(b, s->schema->fields[s->schema->n_fields - 2].name);
    buf_puts(b, ", file_row_number AS ");
    sql_quote_name(b, s->schema->fields[s->schema->n_fields - 1].name);
}

static size_t count_groups(const struct scan *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n_files && n <= MOST_PARTITION_GROUPS; i++) {
        bool first = true;

        for (size_t k = 0; k < i && first; k++)
            first = !same_partition(s, k, i);
        n += first;
    }
    return n;
}

/* Many different partitions: the values are joined by file name instead of one branch for each. */
static void put_joined(struct buf *b, const struct scan *s, bool *taken)
{
    buf_puts(b, " UNION ALL BY NAME SELECT f.* EXCLUDE (" FILE_NAME ")");
    put_places(b, s);
    for (size_t i = 0; i < s->schema->n_fields; i++) {
        size_t k;

        if (!is_partition(s, s->schema->fields[i].name, &k))
            continue;
        buf_printf(b, ", CAST(v.p%zu AS ", k);
        sql_type(s->schema->fields[i].type, b);
        buf_puts(b, ") AS ");
        sql_quote_name(b, s->physical ? s->physical[i] : s->schema->fields[i].name);
    }
    buf_puts(b, " FROM ");
    put_paths(b, s, 0, taken, true);
    buf_puts(b, s->places ? "" : ", filename = '" FILE_NAME "'");
    buf_puts(b, ") AS f JOIN (VALUES ");
    for (size_t i = 0; i < s->n_files; i++) {
        buf_puts(b, i ? ", (" : "(");
        sql_quote_text(b, s->files[i].path, strlen(s->files[i].path));
        for (size_t k = 0; k < s->n_partition; k++) {
            const struct dtype *t =
                s->schema->fields[dtype_field_index(s->schema, s->partition_columns[k])].type;

            buf_puts(b, ", CAST(");
            if (s->files[i].partition[k])
                put_partition_text(b, t, s->files[i].partition[k]);
            else
                buf_puts(b, "NULL");
            buf_puts(b, " AS VARCHAR)");
        }
        buf_putc(b, ')');
    }
    buf_puts(b, ") AS v(filename");
    for (size_t k = 0; k < s->n_partition; k++)
        buf_printf(b, ", p%zu", k);
    buf_puts(b, ") ON f." FILE_NAME " = v.filename");
}

static const char *scan_item(struct gen *g, const struct scan *s)
{
    struct buf b = BUF_INIT((size_t)128 << 20);
    bool *taken = arena_zalloc(g->arena, s->n_files + 1);

    if (!taken)
        return NULL;
    buf_puts(&b, "(SELECT ");
    for (size_t i = 0; i < s->schema->n_fields; i++) {
        buf_puts(&b, i ? ", " : "");
        sql_quote_name(&b, s->physical ? s->physical[i] : s->schema->fields[i].name);
    }
    buf_puts(&b, " FROM (");
    put_shape(&b, s);
    if (s->n_partition && count_groups(s) > MOST_PARTITION_GROUPS) {
        put_joined(&b, s, taken);
    } else {
        for (size_t i = 0; i < s->n_files; i++) {
            if (taken[i])
                continue;
            buf_puts(&b, " UNION ALL BY NAME SELECT *");
            put_places(&b, s);
            put_partition_columns(&b, s, i);
            buf_puts(&b, " FROM ");
            put_paths(&b, s, i, taken, false);
            buf_putc(&b, ')');
        }
    }
    buf_puts(&b, "))");
    return gen_take(g, &b);
}

enum lc leaf_scan(struct gen *g, const struct plan *p, struct rel *out)
{
    return rel_from(g, p->u.scan->schema, g->analysing ? "x" : scan_item(g, p->u.scan), out);
}

enum lc leaf_local(struct gen *g, const struct plan *p, struct rel *out)
{
    struct buf b = BUF_INIT(1 << 20);
    enum lc code;

    if (g->analysing)
        return rel_from(g, p->u.local.schema, "x", out);
    if (!g->env || !g->env->local_table)
        return gen_fail(g, NULL, LC_UNSUPPORTED, "there is no engine to hold rows in memory");
    code = g->env->local_table(g->env->self, g->ctx, p, &b, g->err);
    if (code != LC_OK)
        return buf_release(&b), code;
    return rel_from(g, p->u.local.schema, gen_take(g, &b), out);
}

/* ---- rows that are written down ---- */
static enum lc column_of_values(struct gen *g, const struct plan *p, struct sx *cells, size_t column,
                                struct sx *shape)
{
    size_t n = p->n_names;
    const struct dtype *type = cells[column].type;
    bool nullable = false;

    for (size_t i = column; i < p->n_exprs && type; i += n) {
        type = gen_type(g, dtype_common(type, cells[i].type));
        nullable = nullable || cells[i].nullable;
    }
    if (!type)
        return gen_fail(g, p->exprs[column], LC_ENGINE,
                        "[INVALID_INLINE_TABLE.INCOMPATIBLE_TYPES_IN_INLINE_TABLE] Invalid inline table. "
                        "Found incompatible types in "
                        "the column `%s` for inline table. SQLSTATE: 42000",
                        p->names[column]);
    for (size_t i = column; i < p->n_exprs; i += n)
        TRY(sx_coerce(g, &cells[i], type, p->exprs[i]));
    *shape = (struct sx){.type = type, .nullable = nullable};
    return LC_OK;
}

enum lc leaf_values(struct gen *g, const struct plan *p, struct rel *out)
{
    struct scope none = {.clause = "VALUES", .outer = g->outer};
    struct sx *cells = arena_zalloc(g->arena, (p->n_exprs + 1) * sizeof *cells), shape = {0};
    const struct dtype *schema = dtype_struct_new(p->n_names);
    struct buf b = BUF_INIT((size_t)128 << 20);
    enum lc code = cells && schema ? LC_OK : err_nomem(g->err);

    for (size_t i = 0; i < p->n_exprs && code == LC_OK; i++)
        code = sx_expr(g, &none, p->exprs[i], &cells[i]);
    for (size_t c = 0; c < p->n_names && code == LC_OK; c++) {
        code = column_of_values(g, p, cells, c, &shape);
        if (code == LC_OK &&
            !(schema = dtype_struct_add(schema, p->names[c], dtype_ref(shape.type), shape.nullable, NULL)))
            code = err_nomem(g->err);
    }
    if (code != LC_OK)
        return dtype_unref(schema), code;
    buf_puts(&b, "(VALUES ");
    for (size_t i = 0; i < p->n_exprs; i++)
        buf_printf(&b, "%s%s%s", i % p->n_names ? ", " : (i ? "), (" : "("), cells[i].sql, "");
    buf_puts(&b, "))");
    return rel_from(g, gen_type(g, schema), gen_take(g, &b), out);
}

enum lc leaf_range(struct gen *g, const struct plan *p, struct rel *out)
{
    const struct dtype *schema = dtype_struct_new(1);

    schema = dtype_struct_add(schema, "id", dtype_of(DTYPE_LONG), false, NULL);
    schema = gen_type(g, schema);
    if (!schema)
        return err_nomem(g->err);
    if (p->u.range.step == 0)
        return gen_fail(g, NULL, LC_ENGINE, "the step of a range must not be 0");
    return rel_from(g, schema,
                    gen_printf(g,
                               "range(CAST('%" PRId64 "' AS BIGINT), CAST('%" PRId64
                               "' AS BIGINT), CAST('%" PRId64 "' AS BIGINT))",
                               p->u.range.start, p->u.range.end, p->u.range.step),
                    out);
}
