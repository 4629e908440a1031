/* DELETE and UPDATE, and what INSERT has of them: the files with rows that change are written anew without, or with other, values. */
#include "runtime/base/mem.h"
#include "runtime/spark/spark.h"
#include "runtime/spark/table.h"
#include "runtime/spark/target.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---- what the parts share ---- */
/* Files with rows for which the condition holds are marked; *n: how many such rows there are. */
static enum lc mark_matching(struct command *c, struct target *t, const struct expr *condition, int64_t *n)
{
    struct expr *group = target_column(DELTA_FILE_COLUMN), *one = expr_int(1);
    struct expr *total;
    const struct plan *rows = plan_filter(target_rows(c, t, true), expr_ref(condition));
    const struct plan *counted;
    json_t *numbers;
    enum lc rc;

    expr_unref(group);
    if (!rows)
        return expr_unref(one), c->err->code != LC_OK ? c->err->code : LC_NOMEM;
    total = expr_alias(expr_call("count", false, &one, 1), "n");
    counted = plan_aggregate(plan_ref(rows), GROUP_BY, NULL, 0, &total, 1);
    rc = target_numbers(c, counted, &numbers);
    if (rc != LC_OK)
        return plan_unref(rows), rc;
    *n = json_integer_value(json_object_get(numbers, "n"));
    json_decref(numbers);
    if (*n == 0)
        return plan_unref(rows), LC_OK;
    return target_mark(c, t, rows);
}

/* The marked files' rows, each column by its name, those that are kept. */
static const struct plan *kept_rows(struct command *c, const struct target *t, const struct expr *condition)
{
    struct expr **columns = mem_calloc(t->schema->n_fields + 1, sizeof *columns);
    const struct plan *rows = target_rows(c, t, false), *out = NULL;

    if (rows && condition)
        rows = plan_filter(rows, expr_unary("not", target_is_true(expr_ref(condition))));
    for (size_t i = 0; columns && i < t->schema->n_fields; i++)
        columns[i] = target_column(t->schema->fields[i].name);
    if (columns)
        out = plan_project(rows, columns, t->schema->n_fields);
    mem_free(columns);
    return out;
}

static size_t marked(const struct target *t)
{
    size_t n = 0;

    for (size_t i = 0; i < t->t->n_files; i++)
        n += t->files[i];
    return n;
}

static enum lc answer(struct command *c, const char *const *names, const int64_t *numbers, size_t n)
{
    struct table t = TABLE_INIT;

    for (size_t i = 0; i < n; i++)
        table_column(&t, names[i], DTYPE_LONG);
    for (size_t i = 0; i < n; i++)
        table_long(&t, numbers[i]);
    return table_plan(&t, c->result, c->err);
}

static enum lc affected(struct command *c, int64_t n)
{
    static const char *const names[] = {"num_affected_rows"};

    return answer(c, names, &n, 1);
}

/* ---- DELETE ---- */
static enum lc delete_matching(struct command *c, struct target *t, const struct expr *condition, int64_t *n)
{
    TRY(mark_matching(c, t, condition, n));
    if (*n == 0)
        return LC_OK;
    return target_commit(
        c, t, kept_rows(c, t, condition), "DELETE",
        json_pack("{s:I,s:I}", "numDeletedRows", (json_int_t)*n, "numRemovedFiles", (json_int_t)marked(t)));
}

/* Without a condition: every file goes, and no row has to be read. */
static enum lc delete_all(struct command *c, struct target *t, int64_t *n)
{
    bool known = true;

    *n = 0;
    for (size_t i = 0; i < t->t->n_files; i++) {
        t->files[i] = true;
        known &= t->t->files[i].rows >= 0;
        *n += t->t->files[i].rows;
    }
    if (!known) {
        struct expr *yes = expr_bool(true);
        enum lc rc = yes ? mark_matching(c, t, yes, n) : err_nomem(c->err);
        expr_unref(yes);
        TRY(rc);
    }
    return target_commit(
        c, t, NULL, "DELETE",
        json_pack("{s:I,s:I}", "numDeletedRows", (json_int_t)*n, "numRemovedFiles", (json_int_t)marked(t)));
}

enum lc run_delete(struct command *c)
{
    struct target t;
    int64_t n = 0;
    enum lc rc;

    TRY(target_open(c, &t));
    rc = c->s->condition ? delete_matching(c, &t, c->s->condition, &n) : delete_all(c, &t, &n);
    target_close(&t);
    return rc == LC_OK ? affected(c, n) : rc;
}

/* ---- UPDATE ---- */
static enum lc check_assignments(struct command *c, const struct target *t)
{
    const struct sql_assignment *a = c->s->assignments;

    for (size_t i = 0; i < c->s->n_assignments; i++) {
        const char *name = a[i].path.items[a[i].path.n - 1];
        if (dtype_field_index(t->schema, name) < 0) {
            if (a[i].path.n > 1 && dtype_field_index(t->schema, a[i].path.items[a[i].path.n - 2]) >= 0)
                return err_set(c->err, LC_UNSUPPORTED, "cannot set '%s': assign the whole struct '%s'", name,
                               a[i].path.items[a[i].path.n - 2]);
            return err_set(
                c->err, LC_ENGINE,
                "[UNRESOLVED_COLUMN.WITH_SUGGESTION] the table has no column '%s'. SQLSTATE: 42703", name);
        }
        for (size_t k = 0; k < i; k++)
            if (strcasecmp(a[k].path.items[a[k].path.n - 1], name) == 0)
                return err_set(c->err, LC_ENGINE,
                               "[DELTA_CONFLICT_SET_COLUMN] the column '%s' is set twice. SQLSTATE: 42701",
                               name);
    }
    return LC_OK;
}

static const struct expr *assigned(const struct sql_assignment *a, size_t n, const char *column)
{
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(a[i].path.items[a[i].path.n - 1], column) == 0)
            return a[i].value;
    return NULL;
}

/* CASE WHEN condition THEN CAST(value AS type) ELSE column END AS column */
static struct expr *updated_column(struct command *c, const struct dfield *f)
{
    const struct expr *value = assigned(c->s->assignments, c->s->n_assignments, f->name);
    struct expr *args[3];

    if (!value)
        return target_column(f->name);
    args[1] = expr_cast(expr_ref(value), dtype_ref(f->type), false);
    if (!c->s->condition)
        return expr_alias(args[1], f->name);
    args[0] = expr_ref(c->s->condition);
    args[2] = target_column(f->name);
    return expr_alias(expr_call("when", false, args, 3), f->name);
}

/* The rows as they are to be: of the marked files, or of all. */
static const struct plan *updated_rows(struct command *c, const struct target *t, bool all)
{
    struct expr **columns = mem_calloc(t->schema->n_fields + 1, sizeof *columns);
    const struct plan *rows = NULL;

    for (size_t i = 0; columns && i < t->schema->n_fields; i++)
        columns[i] = updated_column(c, &t->schema->fields[i]);
    if (columns)
        rows = plan_project(target_rows(c, t, all), columns, t->schema->n_fields);
    mem_free(columns);
    if (!rows)
        err_nomem(c->err);
    return rows;
}

/* A statement that is wrong is so where no row matches, too. */
static enum lc check_values(struct command *c, const struct target *t)
{
    const struct plan *rows = updated_rows(c, t, true);
    enum lc rc = rows ? spark_analyze(c->ctx, c->env->spark, rows, c->err) : LC_NOMEM;

    plan_unref(rows);
    return rc;
}

static enum lc update_matching(struct command *c, struct target *t, int64_t *n)
{
    struct expr *yes = c->s->condition ? expr_ref(c->s->condition) : expr_bool(true);
    const struct plan *rows;
    enum lc rc = yes ? mark_matching(c, t, yes, n) : err_nomem(c->err);

    expr_unref(yes);
    if (rc == LC_OK && *n == 0)
        rc = check_values(c, t);
    if (rc != LC_OK || *n == 0)
        return rc;
    rows = updated_rows(c, t, false);
    if (!rows)
        return LC_NOMEM;
    return target_commit(
        c, t, rows, "UPDATE",
        json_pack("{s:I,s:I}", "numUpdatedRows", (json_int_t)*n, "numRemovedFiles", (json_int_t)marked(t)));
}

enum lc run_update(struct command *c)
{
    struct target t;
    int64_t n = 0;
    enum lc rc;

    TRY(target_open(c, &t));
    rc = check_assignments(c, &t);
    if (rc == LC_OK)
        rc = update_matching(c, &t, &n);
    target_close(&t);
    return rc == LC_OK ? affected(c, n) : rc;
}

/* ---- for INSERT and TRUNCATE ---- */
enum lc change_table_schema(struct command *c, const struct dtype **out)
{
    struct target t;

    TRY(target_open(c, &t));
    *out = dtype_ref(t.schema);
    target_close(&t);
    return LC_OK;
}

/* a = 1 AND b = 'x', of a PARTITION (…) */
static enum lc partition_condition(struct command *c, const struct target *t, struct expr **out)
{
    struct expr *all = NULL;

    for (size_t i = 0; i < c->s->n_partition; i++) {
        const struct sql_property *p = &c->s->partition[i];
        long at = dtype_field_index(t->schema, p->name);
        bool partitioned = false;
        struct expr *one;

        for (size_t k = 0; k < t->t->n_partition_columns; k++)
            partitioned |= strcasecmp(t->t->partition_columns[k], p->name) == 0;
        if (at < 0 || !partitioned) {
            expr_unref(all);
            return err_set(
                c->err, LC_ENGINE,
                "[PARTITIONS_NOT_FOUND] the table '%s' is not partitioned by '%s'. SQLSTATE: 428FT", t->name,
                p->name);
        }
        if (!p->value)
            continue;
        one = expr_binary("<=>", target_column(p->name),
                          expr_cast(*p->value ? expr_string(p->value, strlen(p->value)) : expr_null(),
                                    dtype_ref(t->schema->fields[at].type), false));
        all = all ? expr_binary("and", all, one) : one;
    }
    *out = all ? all : expr_bool(true);
    return *out ? LC_OK : err_nomem(c->err);
}

enum lc change_truncate_partition(struct command *c)
{
    struct target t;
    struct expr *condition = NULL;
    int64_t n = 0;
    enum lc rc;

    TRY(target_open(c, &t));
    rc = partition_condition(c, &t, &condition);
    if (rc == LC_OK)
        rc = delete_matching(c, &t, condition, &n);
    expr_unref(condition);
    target_close(&t);
    return rc;
}

/* The rows that come must be of those that go. */
static enum lc check_replaced(struct command *c, const struct plan *rows, const struct expr *condition,
                              int64_t *n)
{
    struct expr *one = expr_int(1), *bad = expr_int(1), *total, *wrong, *columns[2];
    struct expr *not_true = expr_unary("not", target_is_true(expr_ref(condition)));
    json_t *numbers;
    enum lc rc;

    total = expr_alias(expr_call("count", false, &one, 1), "n");
    wrong = expr_alias(expr_filtered(expr_call("count", false, &bad, 1), not_true), "wrong");
    columns[0] = total;
    columns[1] = wrong;
    rc = target_numbers(c, plan_aggregate(plan_ref(rows), GROUP_BY, NULL, 0, columns, 2), &numbers);
    TRY(rc);
    *n = json_integer_value(json_object_get(numbers, "n"));
    if (json_integer_value(json_object_get(numbers, "wrong")) > 0)
        rc = err_set(c->err, LC_ENGINE,
                     "[DELTA_REPLACE_WHERE_MISMATCH] %lld of the rows do not match the condition of what "
                     "they replace. "
                     "SQLSTATE: 44000",
                     (long long)json_integer_value(json_object_get(numbers, "wrong")));
    json_decref(numbers);
    return rc;
}

/* The rows under the table's names, if they come by position. */
static enum lc named_rows(struct command *c, const struct target *t, const struct plan *rows, bool by_name,
                          const struct plan **out)
{
    const char **names;

    if (by_name) {
        *out = plan_ref(rows);
        return LC_OK;
    }
    names = mem_calloc(t->schema->n_fields + 1, sizeof *names);
    for (size_t i = 0; names && i < t->schema->n_fields; i++)
        names[i] = t->schema->fields[i].name;
    *out = names ? plan_to_df(plan_ref(rows), names, t->schema->n_fields) : NULL;
    mem_free(names);
    return *out ? LC_OK : err_nomem(c->err);
}

static enum lc replace_matching(struct command *c, struct target *t, const struct plan *rows, bool by_name,
                                const struct expr *condition, int64_t *n)
{
    const struct plan *named = NULL, *all;
    int64_t gone;

    TRY(named_rows(c, t, rows, by_name, &named));
    all = named;
    enum lc rc = check_replaced(c, named, condition, n);
    if (rc == LC_OK)
        rc = mark_matching(c, t, condition, &gone);
    if (rc == LC_OK && marked(t) > 0)
        all = plan_set_op(kept_rows(c, t, condition), named, SET_UNION, true, true, true);
    if (rc != LC_OK)
        return plan_unref(named), rc;
    if (!all)
        return err_nomem(c->err);
    return target_commit(
        c, t, all, "WRITE",
        json_pack("{s:I,s:I}", "numOutputRows", (json_int_t)*n, "numRemovedFiles", (json_int_t)marked(t)));
}

/* A partition value as a text that NULL has, too. */
static struct expr *partition_key(const char *column)
{
    struct expr *args[2] = {expr_cast(target_column(column), dtype_ref(dtype_of(DTYPE_STRING)), false),
                            expr_string("__HIVE_DEFAULT_PARTITION__", 26)};

    return expr_call("coalesce", false, args, 2);
}

/* Of the partitions that the rows are of. */
static enum lc dynamic_condition(struct command *c, const struct target *t, const struct plan *named,
                                 struct expr **out)
{
    size_t n = t->t->n_partition_columns;
    struct expr **values = mem_calloc(n + 1, sizeof *values), **columns = mem_calloc(n + 1, sizeof *columns);
    const struct plan *keys = NULL;

    *out = NULL;
    for (size_t i = 0; values && columns && i < n; i++) {
        char name[32];
        snprintf(name, sizeof name, "__lacus_p%zu", i);
        values[i] = partition_key(t->t->partition_columns[i]);
        columns[i] = expr_alias(partition_key(t->t->partition_columns[i]), name);
    }
    if (values && columns && n > 0) {
        keys = plan_deduplicate(plan_project(plan_ref(named), columns, n), NULL, 0);
        *out = keys ? expr_subquery(keys, SUBQUERY_IN, values, n, false) : NULL;
    } else if (values && columns) {
        *out = expr_bool(true); /* a table without partitions is one */
    }
    mem_free(values);
    mem_free(columns);
    return *out ? LC_OK : err_nomem(c->err);
}

static enum lc replace_in(struct command *c, struct target *t, const struct plan *rows,
                          const struct spark_replace *r)
{
    const struct plan *named = NULL;
    struct expr *condition = NULL;
    int64_t n;
    enum lc rc = named_rows(c, t, rows, !r->by_position, &named);

    if (rc == LC_OK && r->filter)
        condition = expr_ref(r->filter);
    else if (rc == LC_OK && r->condition)
        rc = sql_parse_expression(r->condition, strlen(r->condition), &condition, c->err);
    else if (rc == LC_OK)
        rc = dynamic_condition(c, t, named, &condition);
    if (rc == LC_OK)
        rc = replace_matching(c, t, named, true, condition, &n);
    expr_unref(condition);
    plan_unref(named);
    return rc;
}

/* Of tables of files whole partitions are replaced where they are written (catalog_save). */
static enum lc is_delta(struct command *c, bool *yes)
{
    struct catalog_name name;
    struct catalog_table t = {0};
    bool found;

    *yes = true;
    if (command_is_path(&c->s->name))
        return LC_OK;
    TRY(catalog_complete_parts(c->env->catalog, c->s->name.items, c->s->name.n, &name, c->err));
    TRY(catalog_table_exists(c->ctx, c->env->catalog, &name, &found, c->err));
    if (!found)
        return LC_OK;
    TRY(catalog_get_table(c->ctx, c->env->catalog, &name, &t, c->err));
    *yes = t.kind == CATALOG_VIEW || strcmp(t.format, "delta") == 0;
    catalog_table_release(&t);
    return LC_OK;
}

enum lc spark_replace_rows(const struct ctx *ctx, const struct spark_env *env, const struct spark_replace *r,
                           const struct plan *rows, bool *there, struct err *err)
{
    const char *at[] = {"delta", r->path};
    struct sql_statement s = {.kind = SQL_INSERT, .overwrite = true};
    struct command c = {ctx, env, &s, NULL, err};
    char **parts = NULL;
    size_t n = 0;
    struct target t;
    bool delta = true;
    enum lc rc;

    *there = false;
    if (r->table)
        TRY(name_split(r->table, &parts, &n, err));
    s.name = r->table ? (struct sql_names){(const char *const *)parts, n} : (struct sql_names){at, 2};
    rc = r->condition || r->filter ? LC_OK : is_delta(&c, &delta);
    rc = rc != LC_OK ? rc : delta ? target_open(&c, &t) : LC_NOTFOUND;
    if (rc == LC_OK) {
        *there = true;
        rc = replace_in(&c, &t, rows, r);
        target_close(&t);
    } else if (rc == LC_NOTFOUND) {
        rc = LC_OK;
    }
    name_free(parts, n);
    return rc;
}

enum lc change_replace(struct command *c, const struct plan *rows, bool by_name, int64_t *n)
{
    struct target t;
    struct expr *condition = expr_ref(c->s->condition);
    enum lc rc;

    TRY(target_open(c, &t));
    if (!condition && c->s->n_partition == 0)
        rc = replace_in(c, &t, rows, &(struct spark_replace){.by_position = !by_name});
    else
        rc = condition ? LC_OK : partition_condition(c, &t, &condition);
    if (rc == LC_OK && condition)
        rc = replace_matching(c, &t, rows, by_name, condition, n);
    expr_unref(condition);
    target_close(&t);
    return rc;
}
