/* Tables of files: how they are made, and rows into them. */
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/catalog/catalog_int.h"
#include "runtime/catalog/files.h"
#include "runtime/dataframe/engines/engine.h"
#include "runtime/dataframe/folder.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- columns ---- */
static bool is_in(const char *name, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(list[i], name) == 0)
            return true;
    return false;
}

static enum lc check_partitions(const char *table, const struct dtype *columns,
                                const char *const *partition_by, size_t n, struct err *err)
{
    struct buf known = BUF_INIT(400);

    for (size_t i = 0; i < columns->n_fields; i++)
        buf_printf(&known, "%s`%s`", i ? ", " : "", columns->fields[i].name);
    for (size_t i = 0; i < n; i++)
        if (dtype_field_index(columns, partition_by[i]) < 0) {
            err_set(err, LC_ENGINE,
                    "[COLUMN_NOT_DEFINED_IN_TABLE] partition column `%s` is not defined in table %s, defined "
                    "table columns are: %s. SQLSTATE: 42703",
                    partition_by[i], table, buf_str(&known));
            return buf_release(&known), LC_ENGINE;
        }
    buf_release(&known);
    if (n > 0 && n >= columns->n_fields)
        return err_set(err, LC_ENGINE,
                       "[ALL_PARTITION_COLUMNS_NOT_ALLOWED] Cannot use all columns for partition columns. "
                       "SQLSTATE: KD005");
    return LC_OK;
}

static enum lc check_types(const char *format, const struct dtype *columns, const char *const *partition_by,
                           size_t n, struct err *err)
{
    bool csv = strcasecmp(format, "csv") == 0, text = strcasecmp(format, "text") == 0;

    for (size_t i = 0; i < columns->n_fields; i++) {
        const struct dfield *f = &columns->fields[i];
        struct buf type = BUF_INIT(1 << 16);
        bool partition = is_in(f->name, partition_by, n);
        bool fine = dtype_is_atomic(f->type) || !(csv || text || partition);

        if (text && !partition)
            fine = f->type->id == DTYPE_STRING;
        dtype_sql(f->type, &type);
        if (!fine)
            err_set(
                err, LC_ENGINE,
                "[UNSUPPORTED_DATA_TYPE_FOR_DATASOURCE] The %s datasource doesn't support the column `%s` "
                "of the type \"%s\". SQLSTATE: 0A000",
                format, f->name, buf_str(&type));
        buf_release(&type);
        if (!fine)
            return LC_ENGINE;
    }
    if (text && columns->n_fields != n + 1)
        return err_set(err, LC_ENGINE,
                       "the text format has one column of type string beside those it is partitioned by, and "
                       "this has %zu",
                       columns->n_fields - n);
    return LC_OK;
}

enum lc files_schema(const char *table, const char *format, const struct dtype *columns,
                     const char *const *partition_by, size_t n, const struct dtype **out, struct err *err)
{
    const struct dtype *schema;

    for (size_t i = 0; i < columns->n_fields; i++)
        if (dtype_field_index(columns, columns->fields[i].name) == -2)
            return err_set(err, LC_ENGINE,
                           "[COLUMN_ALREADY_EXISTS] The column `%s` already exists. Choose another name or "
                           "rename the existing column. SQLSTATE: 42711",
                           columns->fields[i].name);
    TRY(check_partitions(table, columns, partition_by, n, err));
    TRY(check_types(format, columns, partition_by, n, err));
    schema = dtype_struct_new(columns->n_fields);
    for (size_t i = 0; i < columns->n_fields; i++) {
        const struct dfield *f = &columns->fields[i];
        if (!is_in(f->name, partition_by, n))
            schema = dtype_struct_add(schema, f->name, dtype_ref(f->type), true, f->metadata);
    }
    for (size_t i = 0; i < n; i++) {
        const struct dfield *f = &columns->fields[dtype_field_index(columns, partition_by[i])];
        schema = dtype_struct_add(schema, f->name, dtype_ref(f->type), true, f->metadata);
    }
    *out = schema;
    return schema ? LC_OK : err_nomem(err);
}

enum lc files_describe(struct catalog_table *t, const struct dtype *schema, const char *const *partition_by,
                       size_t n, struct err *err)
{
    json_t *list = json_array();

    for (size_t i = 0; list && i < n; i++)
        json_array_append_new(list,
                              json_string(schema->fields[dtype_field_index(schema, partition_by[i])].name));
    mem_free(t->schema_json);
    t->schema_json = dtype_json_text(schema);
    if (!t->options)
        t->options = json_object();
    if (!list || !t->options || !t->schema_json)
        return json_decref(list), err_nomem(err);
    if (n == 0) {
        json_decref(list);
        json_object_del(t->options, FILES_PARTITIONS);
        return LC_OK;
    }
    return json_object_set_new(t->options, FILES_PARTITIONS, list) == 0 ? LC_OK : err_nomem(err);
}

/* ---- rows as the table has them ---- */
struct aligning {
    const struct files_saving *s;
    const struct dtype *table, *rows;
    struct err *err;
};

static void put_names(struct buf *b, const struct dtype *t)
{
    for (size_t i = 0; i < t->n_fields; i++)
        buf_printf(b, "%s`%s`", i ? ", " : "", t->fields[i].name);
}

static enum lc wrong_count(const struct aligning *a)
{
    bool few = a->rows->n_fields < a->table->n_fields;
    struct buf table = BUF_INIT(300), rows = BUF_INIT(300);

    put_names(&table, a->table);
    put_names(&rows, a->rows);
    if (a->s->save->insert)
        err_set(a->err, LC_ENGINE,
                "[INSERT_COLUMN_ARITY_MISMATCH.%s] Cannot write to %s, the reason is %s data columns:\nTable "
                "columns: %s.\nData columns: %s. SQLSTATE: 21S01",
                few ? "NOT_ENOUGH_DATA_COLUMNS" : "TOO_MANY_DATA_COLUMNS", a->s->full,
                few ? "not enough" : "too many", buf_str(&table), buf_str(&rows));
    else
        err_set(a->err, LC_ENGINE,
                "The column number of the existing table %s (%s) doesn't match the data schema (%s).",
                a->s->full, buf_str(&table), buf_str(&rows));
    buf_release(&table);
    buf_release(&rows);
    return LC_ENGINE;
}

static enum lc check_column(const struct aligning *a, const struct dfield *column, const struct dtype *from)
{
    struct buf x = BUF_INIT(1 << 16), y = BUF_INIT(1 << 16);

    if (delta_may_store(from, column->type))
        return LC_OK;
    dtype_sql(from, &x);
    dtype_sql(column->type, &y);
    err_set(a->err, LC_ENGINE,
            "[INCOMPATIBLE_DATA_FOR_TABLE.CANNOT_SAFELY_CAST] Cannot write incompatible data for the table "
            "%s: Cannot safely cast `%s` \"%s\" to \"%s\". SQLSTATE: KD000",
            a->s->full, column->name, buf_str(&x), buf_str(&y));
    buf_release(&x);
    buf_release(&y);
    return err_hint(a->err, "cast it where the rows are made: CAST(%s AS …)", column->name);
}

static enum lc check_names(const struct aligning *a)
{
    for (size_t i = 0; i < a->rows->n_fields; i++) {
        const char *name = a->rows->fields[i].name;
        if (dtype_field_index(a->rows, name) == -2)
            return err_set(a->err, LC_ENGINE,
                           "[COLUMN_ALREADY_EXISTS] The column `%s` already exists. Choose another name or "
                           "rename the existing column. SQLSTATE: 42711",
                           name);
        if (dtype_field_index(a->table, name) < 0)
            return err_set(a->err, LC_ENGINE,
                           "[INCOMPATIBLE_DATA_FOR_TABLE.EXTRA_COLUMNS] Cannot write incompatible data for "
                           "the table %s: Cannot write extra columns `%s`. SQLSTATE: KD000",
                           a->s->full, name);
    }
    return LC_OK;
}

static const struct plan *numbered(const struct plan *p, size_t n)
{
    struct arena *a = arena_new(0);
    const char **names = a ? arena_zalloc(a, (n + 1) * sizeof *names) : NULL;
    const struct plan *out = NULL;

    for (size_t i = 0; names && i < n; i++)
        names[i] = arena_printf(a, "_%zu", i + 1);
    if (names)
        out = plan_to_df(plan_ref(p), names, n);
    arena_free(a);
    return out;
}

static enum lc column_of(const struct aligning *a, size_t i, bool by_position, struct expr **out)
{
    const struct dfield *f = &a->table->fields[i];
    long at = by_position ? (long)i : dtype_field_index(a->rows, f->name);
    char number[32];
    const char *name = number;
    struct expr *e = NULL;

    snprintf(number, sizeof number, "_%zu", i + 1);
    if (at >= 0) {
        TRY(check_column(a, f, a->rows->fields[at].type));
        if (!by_position)
            name = a->rows->fields[at].name;
        e = expr_attribute(&name, 1, 0);
    } else {
        e = expr_null();
    }
    *out = expr_alias(expr_cast(e, dtype_ref(f->type), false), f->name);
    return *out ? LC_OK : err_nomem(a->err);
}

static enum lc align(const struct aligning *a, const struct plan **out)
{
    bool insert = a->s->save->insert, by_position = insert && !a->s->save->by_name;
    size_t n = a->table->n_fields;
    struct expr **columns;
    const struct plan *input;
    enum lc rc = LC_OK;

    if (a->rows->n_fields != n && (by_position || !insert || a->rows->n_fields > n))
        return wrong_count(a);
    if (!by_position)
        TRY(check_names(a));
    input = by_position ? numbered(a->s->plan, n) : plan_ref(a->s->plan);
    columns = mem_calloc(n + 1, sizeof *columns);
    if (!input || !columns)
        rc = err_nomem(a->err);
    for (size_t i = 0; rc == LC_OK && i < n; i++)
        rc = column_of(a, i, by_position, &columns[i]);
    if (rc == LC_OK) {
        *out = plan_project(input, columns, n);
        rc = *out ? LC_OK : err_nomem(a->err);
    } else {
        for (size_t i = 0; columns && i < n; i++)
            expr_unref(columns[i]);
        plan_unref(input);
    }
    mem_free(columns);
    return rc;
}

/* ---- writing ---- */
/* A value of PARTITION (…) as the name of its folder has it: 07 of an INT is 7. */
static enum lc folder_value(const struct files_saving *s, const struct dfield *f, const char *value,
                            struct buf *out, struct err *err)
{
    char number[32], *end;

    buf_putc(out, '=');
    if (!*value)
        return buf_puts(out, FOLDER_NULL) ? LC_OK : err_nomem(err);
    if (f->type->id == DTYPE_STRING)
        return folder_escape(out, value, strlen(value)) ? LC_OK : err_nomem(err);
    snprintf(number, sizeof number, "%lld", strtoll(value, &end, 10));
    if (dtype_is_integral(f->type) && *end == '\0')
        return buf_puts(out, number) ? LC_OK : err_nomem(err);
    if (f->type->id == DTYPE_DATE && strlen(value) == 10)
        return buf_puts(out, value) ? LC_OK : err_nomem(err);
    err_set(
        err, LC_UNSUPPORTED,
        "cannot overwrite the partition %s = '%s' of '%s': its value has another form in the folders' names",
        f->name, value, s->full);
    return err_hint(err, "set spark.sql.sources.partitionOverwriteMode to dynamic, and leave the value out");
}

/* p=a/q=1 of PARTITION (p = 'a', q = 1, r); "" when nothing is fixed. */
static enum lc fixed_folder(const struct files_saving *s, const struct catalog_table *t,
                            const struct dtype *schema, struct buf *out, struct err *err)
{
    const json_t *list = files_partitions(t);
    size_t fixed = 0, used = 0;

    for (size_t k = 0; k < s->save->n_partition; k++)
        fixed += s->save->partition[k].value != NULL;
    for (size_t i = 0; i < json_array_size(list) && used < fixed; i++) {
        const char *name = json_string_value(json_array_get(list, i)), *value = NULL;

        for (size_t k = 0; k < s->save->n_partition; k++)
            if (strcasecmp(s->save->partition[k].name, name) == 0)
                value = s->save->partition[k].value;
        if (!value)
            return err_set(err, LC_ENGINE,
                           "cannot write to '%s': in PARTITION (…) columns with a value come before those "
                           "without one, and '%s' has none",
                           s->full, name);
        buf_puts(out, used++ ? "/" : "");
        if (!folder_escape(out, name, strlen(name)))
            return err_nomem(err);
        TRY(folder_value(s, &schema->fields[dtype_field_index(schema, name)], value, out, err));
    }
    return buf_check(out, err);
}

static enum lc write_rows(const struct files_saving *s, const struct catalog_table *t,
                          const struct plan *rows, const char *below, bool overwrite, int64_t *n,
                          struct err *err)
{
    const json_t *list = files_partitions(t);
    size_t count = json_array_size(list);
    const char **names = mem_calloc(count + 1, sizeof *names);
    struct plan_options options = {0};
    struct files_write w = {.dir = t->location,
                            .format = t->format,
                            .overwrite = overwrite,
                            .dynamic = s->save->dynamic && count > 0,
                            .below = below && *below ? below : NULL,
                            .partition_by = names,
                            .n_partition_by = count,
                            .options = &options};
    enum lc rc = names ? files_options(t, &options, err) : err_nomem(err);

    for (size_t i = 0; names && i < count; i++)
        names[i] = json_string_value(json_array_get(list, i));
    if (rc == LC_OK)
        rc = files_write(s->ctx, s->engine, rows, &w, n, err);
    if (rc == LC_OK)
        rc = catalog_add_lineage(s->ctx, s->catalog, "WRITE", s->full, -1, err);
    plan_options_release(&options);
    mem_free(names);
    return rc;
}

static enum lc check_format(const struct files_saving *s, const struct catalog_table *t, struct err *err)
{
    const char *wanted = s->save->format;

    if (!wanted || !*wanted || strcasecmp(wanted, t->format) == 0)
        return LC_OK;
    err_set(err, LC_ENGINE,
            "The format of the existing table %s is `%s`. It doesn't match the specified format `%s`.",
            s->full, t->format, wanted);
    return err_hint(err, "leave the format out, or DROP TABLE %s", s->full);
}

static enum lc check_same_partitions(const struct files_saving *s, const struct catalog_table *t,
                                     struct err *err)
{
    const json_t *list = files_partitions(t);
    const char *const *names = s->save->write.partition_by;
    size_t n = s->save->write.n_partition_by;
    struct buf said = BUF_INIT(1000), there = BUF_INIT(1000);
    bool same = n == json_array_size(list) || (s->save->insert && n == 0);

    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));

        buf_printf(&there, "%s%s", i ? ", " : "", name);
        same = same && (i >= n || strcasecmp(name, names[i]) == 0);
    }
    for (size_t i = 0; i < n; i++)
        buf_printf(&said, "%s%s", i ? ", " : "", names[i]);
    if (!same) {
        err_set(err, LC_ENGINE,
                "Specified partitioning does not match that of the existing table %s.\nSpecified partition "
                "columns: "
                "[%s]\nExisting partition columns: [%s]",
                s->full, buf_str(&said), buf_str(&there));
        err_hint(err, "say partitionBy as the table has it, or use insertInto");
    }
    buf_release(&said);
    buf_release(&there);
    return same ? LC_OK : LC_ENGINE;
}

/* INSERT, and saveAsTable with mode append: the table stays what it is. */
static enum lc fill(const struct files_saving *s, const struct catalog_table *t, const struct dtype *rows,
                    int64_t *n, struct err *err)
{
    bool overwrite = s->save->write.mode == DELTA_OVERWRITE;
    struct aligning a = {.s = s, .rows = rows, .err = err};
    struct buf below = BUF_INIT(1 << 16);
    const struct plan *aligned = NULL;
    enum lc rc;

    TRY(check_format(s, t, err));
    TRY(check_same_partitions(s, t, err));
    if (!t->schema_json)
        return err_set(err, LC_DATA,
                       "the catalog does not know the columns of '%s': DROP TABLE, and make it anew",
                       s->full);
    if (!fs_is_dir(t->location)) {
        err_set(err, LC_NOTFOUND, "cannot write to table '%s': its files at '%s' are gone", s->full,
                t->location);
        return err_hint(err, "DROP TABLE %s, and make it anew", s->full);
    }
    TRY(dtype_from_json_text(t->schema_json, strlen(t->schema_json), &a.table, err));
    rc = align(&a, &aligned);
    if (rc == LC_OK)
        rc = fixed_folder(s, t, a.table, &below, err);
    if (rc == LC_OK)
        rc = write_rows(s, t, aligned, buf_str(&below), overwrite, n, err);
    plan_unref(aligned);
    dtype_unref(a.table);
    buf_release(&below);
    return rc;
}

/* ---- making ---- */
static char *lower(const char *text)
{
    char *out = mem_strdup(text);

    for (char *p = out; p && *p; p++)
        *p = (char)tolower((unsigned char)*p);
    return out;
}

static enum lc set_pairs(const struct files_saving *s, struct catalog_table *t, struct err *err)
{
    const struct catalog_save *save = s->save;

    t->properties = json_object();
    t->options = json_object();
    for (size_t i = 0; t->properties && i < save->write.n_properties; i++)
        json_object_set_new(t->properties, save->write.properties[i].name,
                            json_string(save->write.properties[i].value));
    for (size_t i = 0; t->options && save->options && i < save->options->n; i++)
        if (strcasecmp(save->options->items[i].key, "path") != 0)
            json_object_set_new(t->options, save->options->items[i].key,
                                json_string(save->options->items[i].value));
    return t->properties && t->options ? LC_OK : err_nomem(err);
}

/* A path of the user's: absolute. */
static enum lc place_of(const struct files_saving *s, char **out, struct err *err)
{
    char *place;

    TRY(catalog_path(s->ctx, s->catalog, s->save->path, &place, err));
    *out = fs_absolute(place);
    mem_free(place);
    return *out ? LC_OK : err_nomem(err);
}

static bool is_empty(const char *dir)
{
    char **names;
    size_t n;
    struct err ignored;

    if (!fs_is_dir(dir) || fs_list(dir, &names, &n, &ignored) != LC_OK)
        return !fs_exists(dir);
    fs_free_list(names, n);
    return n == 0;
}

static enum lc choose_place(const struct files_saving *s, const struct catalog_table *there,
                            struct catalog_table *t, struct err *err)
{
    t->kind =
        s->save->path || (there && there->kind == CATALOG_EXTERNAL) ? CATALOG_EXTERNAL : CATALOG_MANAGED;
    if (s->save->path)
        TRY(place_of(s, &t->location, err));
    else if (t->kind == CATALOG_EXTERNAL)
        t->location = mem_strdup(there->location);
    else
        return catalog_new_location(s->ctx, s->catalog, s->name, &t->location, err);
    if (!t->location)
        return err_nomem(err);
    if (there || s->save->write.mode == DELTA_OVERWRITE || s->save->write.mode == DELTA_APPEND ||
        is_empty(t->location))
        return LC_OK;
    err_set(err, LC_EXISTS, "cannot make the table '%s' at '%s': the folder is not empty", s->full,
            t->location);
    return err_hint(err, "write with mode('overwrite') or mode('append'), or name another LOCATION");
}

/* The rows first, then the name: who sees the name sees the rows. What was there under it goes last. */
static enum lc make(const struct files_saving *s, const struct catalog_table *there, const struct dtype *rows,
                    int64_t *n, struct err *err)
{
    const struct delta_write *w = &s->save->write;
    struct catalog_table t = {
        .name = *s->name,
        .format = lower(s->save->format && *s->save->format ? s->save->format : there->format),
        .comment = w->description ? mem_strdup(w->description) : NULL};
    const struct dtype *schema = NULL;
    enum lc rc = t.format ? set_pairs(s, &t, err) : err_nomem(err);

    if (rc == LC_OK)
        rc = files_schema(s->full, t.format, rows, w->partition_by, w->n_partition_by, &schema, err);
    if (rc == LC_OK)
        rc = files_describe(&t, schema, w->partition_by, w->n_partition_by, err);
    if (rc == LC_OK)
        rc = choose_place(s, there, &t, err);
    if (rc == LC_OK)
        rc = write_rows(s, &t, s->plan, NULL, w->mode == DELTA_OVERWRITE, n, err);
    if (rc == LC_OK && there)
        rc = catalog_drop_table(s->ctx, s->catalog, s->name, true, err);
    if (rc == LC_OK)
        rc = catalog_create_table(s->ctx, s->catalog, &t, err);
    if (rc != LC_OK && t.kind == CATALOG_MANAGED && t.location && fs_remove_tree(t.location, NULL) != LC_OK)
        err_hint(err, "files are left in '%s'", t.location);
    dtype_unref(schema);
    catalog_table_release(&t);
    return rc;
}

static enum lc check_overwrite(const struct files_saving *s, const struct catalog_table *there,
                               struct err *err)
{
    if (s->save->write.mode != DELTA_OVERWRITE || !there)
        return LC_OK;
    if (s->reads_itself) {
        err_set(err, LC_ENGINE,
                "[UNSUPPORTED_OVERWRITE.TABLE] Can't overwrite the target that is also being read from. The "
                "target table is %s. SQLSTATE: 42902",
                s->full);
        return err_hint(err, "write to another table first, or make it a Delta table");
    }
    if (strcmp(there->format, "delta") != 0)
        return LC_OK;
    err_set(err, LC_UNSUPPORTED,
            "cannot write to table '%s': it is a Delta table, and the rows are to be '%s' files", s->full,
            s->save->format);
    return err_hint(err, "leave the format out, or DROP TABLE %s first", s->full);
}

enum lc files_save(const struct files_saving *s, const struct catalog_table *there, struct delta_written *out,
                   struct err *err)
{
    const struct dtype *rows = NULL;
    enum lc rc;

    TRY(check_overwrite(s, there, err));
    TRY(s->engine->ops->analyze(s->engine->engine, s->ctx, s->plan, &rows, err));
    if (there && (s->save->insert || s->save->write.mode == DELTA_APPEND))
        rc = fill(s, there, rows, &out->rows, err);
    else
        rc = make(s, there, rows, &out->rows, err);
    dtype_unref(rows);
    return rc;
}
