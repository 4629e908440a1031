/* Schemas of tables and of rows that are written to them. */
#include "runtime/base/mem.h"
#include "runtime/dataframe/plan.h"
#include "runtime/delta/delta_int.h"
#include <string.h>
#include <strings.h>

/* ---- everything may be NULL ---- */
static const struct dtype *nullable_struct(const struct dtype *t)
{
    const struct dtype *out = dtype_struct_new(t->n_fields);

    for (size_t i = 0; i < t->n_fields; i++)
        out = dtype_struct_add(out, t->fields[i].name, delta_schema_nullable(t->fields[i].type), true,
                               t->fields[i].metadata);
    return out;
}

const struct dtype *delta_schema_nullable(const struct dtype *t)
{
    switch (t->id) {
    case DTYPE_STRUCT:
        return nullable_struct(t);
    case DTYPE_ARRAY:
        return dtype_array(delta_schema_nullable(t->element), true);
    case DTYPE_MAP:
        return dtype_map(delta_schema_nullable(t->key), delta_schema_nullable(t->element), true);
    default:
        return dtype_ref(t);
    }
}

/* ---- can a table have it ---- */
static enum lc check_type(const char *column, const struct dtype *t, bool mapped, struct err *err)
{
    if (t->id == DTYPE_NULL) {
        err_set(err, LC_ENGINE, "[DELTA_NULL_SCHEMA] column '%s' has no type: all it holds is NULL", column);
        return err_hint(err, "give it one, for instance CAST(NULL AS STRING)");
    }
    if (t->id == DTYPE_INTERVAL)
        return err_set(err, LC_UNSUPPORTED, "column '%s' is an interval, which Delta tables cannot hold",
                       column);
    if (t->key)
        TRY(check_type(column, t->key, mapped, err));
    if (t->element)
        TRY(check_type(column, t->element, mapped, err));
    return t->id == DTYPE_STRUCT ? delta_schema_check(t, mapped, err) : LC_OK;
}

enum lc delta_schema_check(const struct dtype *schema, bool mapped, struct err *err)
{
    for (size_t i = 0; i < schema->n_fields; i++) {
        const struct dfield *f = &schema->fields[i];
        if (f->name[0] == '\0' || (!mapped && strpbrk(f->name, " ,;{}()\n\t="))) {
            err_set(err, LC_ENGINE,
                    "[DELTA_INVALID_CHARACTERS_IN_COLUMN_NAMES] the column name '%s' cannot be in a Delta "
                    "table: none of \" ,;{}()\\n\\t=\" may be in it",
                    f->name);
            return err_hint(err, "rename it, for instance with alias, or give the table the property "
                                 "'delta.columnMapping.mode' = 'name'");
        }
        if (dtype_field_index(schema, f->name) == -2)
            return err_set(err, LC_ENGINE, "[COLUMN_ALREADY_EXISTS] the column '%s' is there twice", f->name);
        TRY(check_type(f->name, f->type, mapped, err));
    }
    return LC_OK;
}

/* ---- rows into a table ---- */
static void type_text(const struct dtype *t, char *out, size_t size)
{
    struct buf b = BUF_INIT(1 << 16);

    dtype_simple(t, &b);
    snprintf(out, size, "%s", buf_str(&b));
    buf_release(&b);
}

static bool is_time(const struct dtype *t)
{
    return t->id == DTYPE_DATE || t->id == DTYPE_TIMESTAMP || t->id == DTYPE_TIMESTAMP_NTZ;
}

bool delta_may_store(const struct dtype *from, const struct dtype *to)
{
    if (dtype_same(from, to) || from->id == DTYPE_NULL)
        return true;
    if (dtype_is_numeric(from) && dtype_is_numeric(to))
        return true;
    if (dtype_is_atomic(from) && from->id != DTYPE_BINARY && to->id == DTYPE_STRING)
        return true;
    if (is_time(from) && is_time(to))
        return true;
    if (from->id != to->id)
        return false;
    if (from->id == DTYPE_ARRAY)
        return delta_may_store(from->element, to->element);
    if (from->id == DTYPE_MAP)
        return delta_may_store(from->key, to->key) && delta_may_store(from->element, to->element);
    if (from->id != DTYPE_STRUCT || from->n_fields != to->n_fields)
        return false;
    for (size_t i = 0; i < from->n_fields; i++)
        if (strcasecmp(from->fields[i].name, to->fields[i].name) != 0 ||
            !delta_may_store(from->fields[i].type, to->fields[i].type))
            return false;
    return true;
}

static enum lc check_store(const struct dfield *column, const struct dtype *from, struct err *err)
{
    char a[200], b[200];

    if (delta_may_store(from, column->type))
        return LC_OK;
    type_text(from, a, sizeof a);
    type_text(column->type, b, sizeof b);
    err_set(
        err, LC_ENGINE,
        "[DELTA_FAILED_TO_MERGE_FIELDS] cannot write column '%s': the table has type %s, the rows have %s",
        column->name, b, a);
    return err_hint(err,
                    "cast it: col('%s'):cast('%s'), or overwrite the schema with "
                    "option('overwriteSchema', true)",
                    column->name, b);
}

static enum lc check_count(const struct dtype *table, const struct dtype *rows, struct err *err)
{
    if (rows->n_fields == table->n_fields)
        return LC_OK;
    return err_set(
        err, LC_ENGINE,
        "[INSERT_COLUMN_ARITY_MISMATCH.%s] cannot write to the table: it has %zu columns, the rows "
        "have %zu",
        rows->n_fields < table->n_fields ? "NOT_ENOUGH_DATA_COLUMNS" : "TOO_MANY_DATA_COLUMNS",
        table->n_fields, rows->n_fields);
}

static enum lc unknown_column(const struct dtype *table, const char *name, struct err *err)
{
    struct buf columns = BUF_INIT(400);

    for (size_t i = 0; i < table->n_fields; i++)
        buf_printf(&columns, "%s%s", i ? ", " : "", table->fields[i].name);
    err_set(
        err, LC_ENGINE,
        "[DELTA_SCHEMA_MISMATCH] cannot write column '%s': the table does not have it; its columns are %s",
        name, buf_str(&columns));
    buf_release(&columns);
    return err_hint(err, "add new columns with option('mergeSchema', true)");
}

enum lc delta_schema_merge(const struct dtype *table, const struct dtype *rows, const struct delta_write *w,
                           const struct dtype **out, struct err *err)
{
    const struct dtype *merged;
    size_t added = 0;

    if (w->by_position) {
        TRY(check_count(table, rows, err));
        *out = dtype_ref(table);
        return LC_OK;
    }
    for (size_t i = 0; i < rows->n_fields; i++)
        if (dtype_field_index(table, rows->fields[i].name) == -1 && ++added && !w->merge_schema)
            return unknown_column(table, rows->fields[i].name, err);
    if (added == 0) {
        *out = dtype_ref(table);
        return LC_OK;
    }
    merged = dtype_struct_new(table->n_fields + added);
    for (size_t i = 0; i < table->n_fields; i++)
        merged = dtype_struct_add(merged, table->fields[i].name, dtype_ref(table->fields[i].type),
                                  table->fields[i].nullable, table->fields[i].metadata);
    for (size_t i = 0; i < rows->n_fields; i++)
        if (dtype_field_index(table, rows->fields[i].name) == -1)
            merged = dtype_struct_add(merged, rows->fields[i].name,
                                      delta_schema_nullable(rows->fields[i].type), true, NULL);
    *out = merged;
    return merged ? LC_OK : err_nomem(err);
}

static bool is_aligned(const struct dtype *rows, const struct dtype *table)
{
    if (rows->n_fields != table->n_fields)
        return false;
    for (size_t i = 0; i < rows->n_fields; i++)
        if (strcmp(rows->fields[i].name, table->fields[i].name) != 0 ||
            !dtype_same(rows->fields[i].type, table->fields[i].type))
            return false;
    return true;
}

static enum lc column_for(const struct dtype *rows, const struct dfield *column, long at, struct expr **out,
                          struct err *err)
{
    const char *name;
    struct expr *e;

    if (at == -2)
        return err_set(err, LC_ENGINE, "[COLUMN_ALREADY_EXISTS] the rows have the column '%s' twice",
                       column->name);
    if (at < 0 && !column->nullable)
        return err_set(err, LC_ENGINE,
                       "[DELTA_NOT_NULL_COLUMN_NOT_FOUND_IN_DATA] the column '%s' may not be NULL, and the "
                       "rows do not have it",
                       column->name);
    if (at < 0) {
        e = expr_cast(expr_null(), dtype_ref(column->type), false);
    } else {
        TRY(check_store(column, rows->fields[at].type, err));
        name = rows->fields[at].name;
        e = expr_attribute(&name, 1, 0);
        if (!dtype_same(rows->fields[at].type, column->type))
            e = expr_cast(e, dtype_ref(column->type), false);
    }
    *out = expr_alias(e, column->name);
    return *out ? LC_OK : err_nomem(err);
}

/* Gives the rows unique names by position, so that duplicates among them do not matter. */
static const struct plan *numbered(const struct plan *plan, const struct dtype *rows,
                                   const struct dtype **schema)
{
    struct arena *a = arena_new(0);
    const char **names = a ? arena_zalloc(a, (rows->n_fields + 1) * sizeof *names) : NULL;
    const struct dtype *s = dtype_struct_new(rows->n_fields);
    const struct plan *out;

    for (size_t i = 0; names && i < rows->n_fields; i++) {
        names[i] = arena_printf(a, "_%zu", i + 1);
        s = dtype_struct_add(s, names[i] ? names[i] : "", dtype_ref(rows->fields[i].type), true, NULL);
    }
    out = names ? plan_to_df(plan_ref(plan), names, rows->n_fields) : NULL;
    arena_free(a);
    *schema = s;
    return out;
}

enum lc delta_schema_align(const struct plan *plan, const struct dtype *rows, const struct dtype *table,
                           bool by_position, const struct plan **out, struct err *err)
{
    struct expr **columns;
    const struct plan *input;
    const struct dtype *schema;
    enum lc rc = LC_OK;

    if (is_aligned(rows, table)) {
        *out = plan_ref(plan);
        return LC_OK;
    }
    input = by_position ? numbered(plan, rows, &schema) : plan_ref(plan);
    if (!by_position)
        schema = dtype_ref(rows);
    columns = mem_calloc(table->n_fields + 1, sizeof(struct expr *));
    if (!columns || !input || !schema)
        rc = err_nomem(err);
    for (size_t i = 0; rc == LC_OK && i < table->n_fields; i++)
        rc = column_for(schema, &table->fields[i],
                        by_position ? (long)i : dtype_field_index(rows, table->fields[i].name), &columns[i],
                        err);
    if (rc == LC_OK) { /* the references move into the plan */
        *out = plan_project(input, columns, table->n_fields);
        rc = *out ? LC_OK : err_nomem(err);
    } else {
        for (size_t i = 0; columns && i < table->n_fields; i++)
            expr_unref(columns[i]);
        plan_unref(input);
    }
    mem_free(columns);
    dtype_unref(schema);
    return rc;
}
