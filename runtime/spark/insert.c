/* INSERT and TRUNCATE. */
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
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

enum lc run_truncate(struct command *c)
{
    struct catalog_save save = {.insert = true, .write.mode = DELTA_OVERWRITE};
    const struct plan *none;
    struct delta_written done;
    enum lc rc;

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
static enum lc partition_rows(struct command *c, const struct plan **plan)
{
    const struct dtype *schema = NULL;
    const char **names;
    struct expr **fixed;
    size_t n = 0, n_fixed = 0;

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

static enum lc insert_rows(struct command *c, const struct plan *plan, bool by_name, int64_t *rows)
{
    struct catalog_save save = {
        .insert = true, .by_name = by_name, .write.mode = c->s->overwrite ? DELTA_OVERWRITE : DELTA_APPEND};
    struct delta_written done;
    enum lc rc = command_save(c, plan, &save, &done);

    *rows = rc == LC_OK ? done.rows : 0;
    return rc;
}

/* spark.sql.sources.partitionOverwriteMode */
static bool dynamic(struct command *c)
{
    const char *mode = spark_conf_get(c->env->spark, "spark.sql.sources.partitionOverwriteMode");

    return mode && strcasecmp(mode, "dynamic") == 0;
}

enum lc run_insert(struct command *c)
{
    const struct sql_statement *s = c->s;
    const struct plan *plan = plan_ref(s->plan);
    bool by_name = s->by_name || s->columns.n > 0 || s->n_partition > 0, fixed = false;
    int64_t rows = 0;
    enum lc rc = LC_OK;

    for (size_t i = 0; i < s->n_partition; i++)
        fixed |= s->partition[i].value != NULL;
    if (s->columns.n)
        plan = plan_to_df(plan, s->columns.items, s->columns.n);
    if (plan && s->n_partition)
        rc = partition_rows(c, &plan);
    if (rc == LC_OK && !plan)
        rc = err_nomem(c->err);
    if (rc == LC_OK)
        rc = s->overwrite && (s->condition || fixed || dynamic(c)) ? change_replace(c, plan, by_name, &rows)
                                                                   : insert_rows(c, plan, by_name, &rows);
    plan_unref(plan);
    return rc == LC_OK ? command_affected(c, rows) : rc;
}
