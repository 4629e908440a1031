/* What changes rows: INSERT, TRUNCATE, DELETE, UPDATE, MERGE. */
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/catalog/resolve.h"
#include "runtime/dataframe/engines/engine.h"
#include "runtime/spark/command_int.h"
#include "runtime/spark/describe.h"
#include "runtime/spark/table.h"
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
    const struct plan *none = plan_limit(command_table(c), 0);
    struct delta_written done;
    char *name = command_dotted(&c->s->name);
    enum lc rc = none && name ? LC_OK : err_nomem(c->err);

    if (command_is_path(&c->s->name))
        save.path = c->s->name.items[1];
    else
        save.table = name;
    if (rc == LC_OK)
        rc = catalog_save(c->ctx, c->env->catalog, &c->env->engine, none, &save, &done, c->err);
    plan_unref(none);
    mem_free(name);
    return rc;
}

enum lc command_affected(struct command *c, int64_t rows)
{
    struct table t = TABLE_INIT;

    table_column(&t, "num_affected_rows", DTYPE_LONG);
    table_column(&t, "num_inserted_rows", DTYPE_LONG);
    table_long(&t, rows);
    table_long(&t, rows);
    return table_plan(&t, c->result, c->err);
}

enum lc run_insert(struct command *c)
{
    const struct sql_statement *s = c->s;
    struct catalog_save save = {.insert = true, .by_name = s->by_name || s->columns.n > 0};
    const struct plan *plan = plan_ref(s->plan);
    struct delta_written done;
    char *name = NULL;
    enum lc rc = LC_OK;

    save.write.mode = s->overwrite ? DELTA_OVERWRITE : DELTA_APPEND;
    if (s->columns.n)
        plan = plan_to_df(plan, s->columns.items, s->columns.n);
    if (command_is_path(&s->name))
        save.path = s->name.items[1];
    else
        save.table = name = command_dotted(&s->name);
    if (!plan || (!save.table && !save.path))
        rc = err_nomem(c->err);
    if (rc == LC_OK)
        rc = catalog_save(c->ctx, c->env->catalog, &c->env->engine, plan, &save, &done, c->err);
    plan_unref(plan);
    mem_free(name);
    return rc == LC_OK ? command_affected(c, done.rows) : rc;
}

static enum lc run_later(struct command *c, const char *what)
{
    return err_set(c->err, LC_UNSUPPORTED, "[UNSUPPORTED_FEATURE] %s is not supported", what);
}

enum lc run_delete(struct command *c)
{
    return run_later(c, "DELETE");
}

enum lc run_update(struct command *c)
{
    return run_later(c, "UPDATE");
}

enum lc run_merge(struct command *c)
{
    return run_later(c, "MERGE");
}
