/* INSERT and TRUNCATE. */
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/catalog/files.h"
#include "runtime/catalog/resolve.h"
#include "runtime/dataframe/engines/engine.h"
#include "runtime/spark/command_int.h"
#include "runtime/spark/describe.h"
#include "runtime/spark/spark.h"
#include "runtime/spark/table.h"
#include "runtime/spark/target.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

const struct plan *command_table(struct command *c)
{
    static const struct plan_options none;

    return plan_read_table(c->s->name.items, c->s->name.n, &none);
}

/* Is the statement about a table of files? Then *t is filled. */
static enum lc find_files(struct command *c, bool *yes, struct catalog_table *t)
{
    const struct sql_names *n = &c->s->name;
    struct catalog_name name;
    bool found;

    *yes = false;
    *t = (struct catalog_table){0};
    if (command_is_path(n) || catalog_view_parts(c->env->catalog, n->items, n->n))
        return LC_OK;
    TRY(catalog_complete_parts(c->env->catalog, n->items, n->n, &name, c->err));
    TRY(catalog_table_exists(c->ctx, c->env->catalog, &name, &found, c->err));
    if (found)
        TRY(catalog_get_table(c->ctx, c->env->catalog, &name, t, c->err));
    *yes = found && t->kind != CATALOG_VIEW && t->schema_json && files_is_format(t->format);
    if (!*yes)
        catalog_table_release(t);
    return LC_OK;
}

/* The statement's PARTITION (…), as catalog_save takes it; mem_free. */
static struct delta_property *partition_of(const struct command *c)
{
    struct delta_property *out = mem_calloc(c->s->n_partition + 1, sizeof *out);

    for (size_t i = 0; out && i < c->s->n_partition; i++)
        out[i] = (struct delta_property){c->s->partition[i].name, c->s->partition[i].value};
    return out;
}

/* No rows in place of those of the table, or of one of its partitions. */
static enum lc truncate_files(struct command *c, const struct catalog_table *t)
{
    struct delta_property *partition = partition_of(c);
    struct catalog_save save = {.insert = true,
                                .write.mode = DELTA_OVERWRITE,
                                .partition = partition,
                                .n_partition = c->s->n_partition};
    const struct dtype *schema = NULL;
    const struct plan *none = NULL;
    struct delta_written done;
    enum lc rc = partition ? LC_OK : err_nomem(c->err);

    if (rc == LC_OK)
        rc = dtype_from_json_text(t->schema_json, strlen(t->schema_json), &schema, c->err);
    if (rc == LC_OK && (none = command_no_rows(schema)) == NULL)
        rc = err_nomem(c->err);
    if (rc == LC_OK)
        rc = command_save(c, none, &save, &done);
    plan_unref(none);
    dtype_unref(schema);
    mem_free(partition);
    return rc;
}

enum lc run_truncate(struct command *c)
{
    struct catalog_save save = {.insert = true, .write.mode = DELTA_OVERWRITE};
    const struct plan *none;
    struct delta_written done;
    struct catalog_table t;
    bool files;
    enum lc rc;

    TRY(find_files(c, &files, &t));
    if (files) {
        rc = truncate_files(c, &t);
        catalog_table_release(&t);
        return rc;
    }
    if (c->s->n_partition)
        return change_truncate_partition(c);
    none = plan_limit(command_table(c), 0);
    rc = none ? command_save(c, none, &save, &done) : err_nomem(c->err);
    plan_unref(none);
    return rc;
}

/* num_affected_rows, num_inserted_rows */
static enum lc command_affected(struct command *c, int64_t rows)
{
    struct table t = TABLE_INIT;

    table_column(&t, "num_affected_rows", DTYPE_LONG);
    table_column(&t, "num_inserted_rows", DTYPE_LONG);
    table_long(&t, rows);
    table_long(&t, rows);
    return table_plan(&t, c->result, c->err);
}

static const struct sql_property *fixed_value(const struct command *c, const char *column)
{
    for (size_t i = 0; i < c->s->n_partition; i++)
        if (c->s->partition[i].value && strcasecmp(c->s->partition[i].name, column) == 0)
            return &c->s->partition[i];
    return NULL;
}

/* INSERT INTO t PARTITION (p = 1) SELECT …: the rows' columns are those of the table but p, in their order; p is one more. */
static enum lc partition_rows(struct command *c, const struct catalog_table *files, const struct plan **plan)
{
    const struct dtype *schema = NULL;
    const char **names;
    struct expr **fixed;
    size_t n = 0, n_fixed = 0;

    if (files)
        TRY(dtype_from_json_text(files->schema_json, strlen(files->schema_json), &schema, c->err));
    else
        TRY(change_table_schema(c, &schema));
    names = mem_calloc(schema->n_fields + 1, sizeof *names);
    fixed = mem_calloc(schema->n_fields + 1, sizeof *fixed);
    for (size_t i = 0; names && fixed && i < schema->n_fields; i++) {
        const struct dfield *f = &schema->fields[i];
        const struct sql_property *p = fixed_value(c, f->name);
        struct expr *value;

        if (!p) {
            names[n++] = f->name;
            continue;
        }
        value = *p->value ? expr_string(p->value, strlen(p->value)) : expr_null();
        fixed[n_fixed++] = expr_alias(expr_cast(value, dtype_ref(f->type), false), f->name);
    }
    if (names && fixed && !c->s->by_name && !c->s->columns.n)
        *plan = plan_to_df(*plan, names, n);
    if (n_fixed)
        *plan = plan_with_columns(*plan, fixed, n_fixed);
    mem_free(names);
    mem_free(fixed);
    dtype_unref(schema);
    return *plan ? LC_OK : err_nomem(c->err);
}

/* spark.sql.sources.partitionOverwriteMode */
static bool dynamic(struct command *c)
{
    const char *mode = spark_conf_get(c->env->spark, "spark.sql.sources.partitionOverwriteMode");

    return mode && strcasecmp(mode, "dynamic") == 0;
}

static enum lc insert_rows(struct command *c, const struct plan *plan, bool by_name, int64_t *rows)
{
    struct delta_property *partition = partition_of(c);
    struct catalog_save save = {.insert = true,
                                .by_name = by_name,
                                .write.mode = c->s->overwrite ? DELTA_OVERWRITE : DELTA_APPEND,
                                .dynamic = dynamic(c),
                                .partition = partition,
                                .n_partition = c->s->n_partition};
    struct delta_written done;
    enum lc rc = partition ? command_save(c, plan, &save, &done) : err_nomem(c->err);

    mem_free(partition);

    *rows = rc == LC_OK ? done.rows : 0;
    return rc;
}

/* PARTITION (…) of a table of files names columns that are partition columns. */
static enum lc check_partition(struct command *c, const struct catalog_table *t)
{
    const json_t *list = files_partitions(t);

    for (size_t i = 0; i < c->s->n_partition; i++) {
        bool known = false;
        for (size_t k = 0; k < json_array_size(list); k++)
            known |= strcasecmp(json_string_value(json_array_get(list, k)), c->s->partition[i].name) == 0;
        if (!known)
            return err_set(
                c->err, LC_ENGINE,
                "[PARTITIONS_NOT_FOUND] the table '%s' is not partitioned by '%s'. SQLSTATE: 428FT",
                t->name.table, c->s->partition[i].name);
    }
    return LC_OK;
}

/* files NULL: the table is one of Delta. */
static enum lc insert_into(struct command *c, const struct catalog_table *files)
{
    const struct sql_statement *s = c->s;
    const struct plan *plan = plan_ref(s->plan);
    bool by_name = s->by_name || s->columns.n > 0 || s->n_partition > 0, fixed = false, replace;
    int64_t rows = 0;
    enum lc rc = files ? check_partition(c, files) : LC_OK;

    for (size_t i = 0; i < s->n_partition; i++)
        fixed |= s->partition[i].value != NULL;
    replace = s->overwrite && (s->condition || (!files && (fixed || dynamic(c))));
    if (s->columns.n)
        plan = plan_to_df(plan, s->columns.items, s->columns.n);
    if (rc == LC_OK && plan && s->n_partition)
        rc = partition_rows(c, files, &plan);
    if (rc == LC_OK && !plan)
        rc = err_nomem(c->err);
    if (rc == LC_OK)
        rc = replace ? change_replace(c, plan, by_name, &rows) : insert_rows(c, plan, by_name, &rows);
    plan_unref(plan);
    return rc == LC_OK && !files ? command_affected(c, rows) : rc; /* of files Spark says nothing */
}

enum lc run_insert(struct command *c)
{
    struct catalog_table t;
    bool files;
    enum lc rc;

    TRY(find_files(c, &files, &t));
    rc = insert_into(c, files ? &t : NULL);
    catalog_table_release(&t);
    return rc;
}
