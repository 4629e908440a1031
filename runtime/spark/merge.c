/* MERGE INTO: one join of the target's files that match with the source; each row of it goes where its first clause says. */
#include "runtime/base/mem.h"
#include "runtime/catalog/resolve.h"
#include "runtime/dataframe/engines/engine.h"
#include "runtime/spark/spark.h"
#include "runtime/spark/table.h"
#include "runtime/spark/target.h"
#include <string.h>
#include <strings.h>

#define SOURCE_MARK "__lacus_source"
#define KEEP        "__lacus_keep"

struct merging {
    struct command *c;
    struct target t;
    const struct plan *source; /* owned: with SOURCE_MARK, and a copy of each column under a name of ours */
    const struct dtype *source_schema; /* owned */
    bool has[3];                       /* clauses of each enum sql_merge_when */
};

static char *copy_name(const char *column)
{
    return mem_printf("__lacus_s_%s", column);
}

/* ---- the source ---- */
static enum lc source_schema(struct merging *m)
{
    const struct plan *resolved = NULL;
    struct command *c = m->c;
    enum lc rc;

    if (m->source_schema)
        return LC_OK;
    rc = catalog_resolve_quietly(c->ctx, c->env->catalog, &c->env->engine, c->s->plan, &resolved, c->err);
    if (rc == LC_OK)
        rc = c->env->engine.ops->analyze(c->env->engine.engine, c->ctx, resolved, &m->source_schema, c->err);
    plan_unref(resolved);
    return rc;
}

/* Under the source's own name: the marks must not hide it. */
static enum lc open_source(struct merging *m)
{
    const struct plan *p = m->c->s->plan, *inner = p->kind == PLAN_ALIAS ? p->left : p;
    const struct plan *body = p->kind == PLAN_WITH ? p->left : p; /* a {df} of the call */
    bool named = body->kind == PLAN_ALIAS || body->kind == PLAN_READ_TABLE;
    struct expr **columns;
    size_t n = 0;

    TRY(source_schema(m));
    columns = mem_calloc(m->source_schema->n_fields + 1, sizeof *columns);
    if (!columns)
        return err_nomem(m->c->err);
    columns[n++] = expr_alias(expr_bool(true), SOURCE_MARK);
    for (size_t i = 0; i < m->source_schema->n_fields; i++) {
        char *copy = copy_name(m->source_schema->fields[i].name);
        if (dtype_field_index(m->source_schema, m->source_schema->fields[i].name) >= 0)
            columns[n++] = copy ? expr_alias(target_column(m->source_schema->fields[i].name), copy) : NULL;
        mem_free(copy);
    }
    m->source = plan_with_columns(plan_ref(inner), columns, n);
    mem_free(columns);
    if (m->source && p->kind == PLAN_ALIAS) /* with its id: df"column" means it */
        m->source = plan_with_inputs(p, m->source, NULL);
    else if (m->source && named)
        m->source = plan_alias(m->source, (const char *const *)body->names, body->n_names);
    return m->source ? LC_OK : err_nomem(m->c->err);
}

/* ---- conditions ---- */
static struct expr *present(const char *mark)
{
    return expr_unary("isnotnull", target_column(mark));
}

static struct expr *absent(const char *mark)
{
    return expr_unary("isnull", target_column(mark));
}

/* Does a row of the join belong to the clause? */
static struct expr *belongs(const struct sql_merge_clause *k)
{
    struct expr *e = k->when == WHEN_NOT_MATCHED ? absent(DELTA_ROW_COLUMN)
                     : k->when == WHEN_MATCHED
                         ? expr_binary("and", present(DELTA_ROW_COLUMN), present(SOURCE_MARK))
                         : absent(SOURCE_MARK);

    return k->condition ? expr_binary("and", e, expr_ref(k->condition)) : e;
}

/* ---- values ---- */
static enum lc star_value(struct merging *m, const struct dfield *f, const struct sql_merge_clause *k,
                          struct expr **out)
{
    char *copy;

    if (dtype_field_index(m->source_schema, f->name) < 0) {
        if (k->then == THEN_UPDATE && m->c->s->by_name) { /* WITH SCHEMA EVOLUTION: it stays as it is */
            *out = target_column(f->name);
            return LC_OK;
        }
        if (m->c->s->by_name) {
            *out = expr_null();
            return LC_OK;
        }
        return err_set(
            m->c->err, LC_ENGINE,
            "[DELTA_MERGE_UNRESOLVED_EXPRESSION] cannot take '%s' from the source: it has no such column. "
            "SQLSTATE: 42601",
            f->name);
    }
    copy = copy_name(f->name);
    *out = copy ? target_column(copy) : NULL;
    mem_free(copy);
    return *out ? LC_OK : err_nomem(m->c->err);
}

static struct expr *target_own(struct merging *m, const char *column)
{
    const char *parts[4];
    size_t n = 0;

    if (m->c->s->alias) {
        parts[n++] = m->c->s->alias;
    } else if (!command_is_path(&m->c->s->name)) {
        for (; n < m->c->s->name.n && n < 3; n++)
            parts[n] = m->c->s->name.items[n];
    }
    parts[n++] = column;
    return expr_attribute(parts, n, 0);
}

/* What the clause puts into a column. */
static enum lc clause_value(struct merging *m, const struct sql_merge_clause *k, const struct dfield *f,
                            struct expr **out)
{
    if (k->then == THEN_DELETE) {
        *out = expr_null();
        return *out ? LC_OK : err_nomem(m->c->err);
    }
    if (k->star)
        return star_value(m, f, k, out);
    *out = NULL;
    for (size_t i = 0; i < k->n; i++)
        if (strcasecmp(k->assignments[i].path.items[k->assignments[i].path.n - 1], f->name) == 0)
            *out = expr_ref(k->assignments[i].value);
    if (!*out)
        *out = k->then == THEN_INSERT ? expr_null() : target_own(m, f->name);
    return *out ? LC_OK : err_nomem(m->c->err);
}

/* CASE WHEN clause 1 THEN its value … ELSE what the target has END AS column */
static enum lc merged_column(struct merging *m, const struct dfield *f, struct expr **out)
{
    const struct sql_statement *s = m->c->s;
    struct expr **args = mem_calloc(2 * s->n_clauses + 2, sizeof *args);
    size_t n = 0;
    enum lc rc = args ? LC_OK : err_nomem(m->c->err);

    for (size_t i = 0; rc == LC_OK && i < s->n_clauses; i++) {
        struct expr *value = NULL;
        rc = clause_value(m, &s->clauses[i], f, &value);
        if (rc != LC_OK)
            break;
        args[n++] = belongs(&s->clauses[i]);
        args[n++] = expr_cast(value, dtype_ref(f->type), false);
    }
    if (rc == LC_OK) {
        args[n++] = target_own(m, f->name);
        *out = expr_alias(expr_call("when", false, args, n), f->name);
        rc = *out ? LC_OK : err_nomem(m->c->err);
    } else {
        while (n > 0)
            expr_unref(args[--n]);
    }
    mem_free(args);
    return rc;
}

/* A row stays unless its clause deletes it, or it is the source's and no clause takes it. */
static struct expr *keep_column(struct merging *m)
{
    const struct sql_statement *s = m->c->s;
    struct expr **args = mem_calloc(2 * s->n_clauses + 2, sizeof *args), *out = NULL;
    size_t n = 0;

    for (size_t i = 0; args && i < s->n_clauses; i++) {
        args[n++] = belongs(&s->clauses[i]);
        args[n++] = expr_bool(s->clauses[i].then != THEN_DELETE);
    }
    if (args) {
        args[n++] = present(DELTA_ROW_COLUMN);
        out = expr_alias(expr_call("when", false, args, n), KEEP);
    }
    mem_free(args);
    return out;
}

/* ---- plans ---- */
static const struct plan *join(struct merging *m, bool all, enum join_kind kind)
{
    return plan_join(target_rows(m->c, &m->t, all), plan_ref(m->source), kind, expr_ref(m->c->s->condition),
                     NULL, 0);
}

static const struct plan *joined(struct merging *m)
{
    return join(m, false, m->has[WHEN_NOT_MATCHED] ? JOIN_FULL : JOIN_LEFT);
}

static enum lc merged_rows(struct merging *m, const struct plan **out)
{
    size_t n = m->t.schema->n_fields, i = 0;
    struct expr **columns = mem_calloc(n + 1, sizeof *columns), *keep;
    const struct plan *p;
    enum lc rc = columns ? LC_OK : err_nomem(m->c->err);

    for (; rc == LC_OK && i < n; i++)
        rc = merged_column(m, &m->t.schema->fields[i], &columns[i]);
    if (rc != LC_OK) {
        for (size_t k = 0; columns && k < n; k++)
            expr_unref(columns[k]);
        mem_free(columns);
        return rc;
    }
    columns[n] = keep_column(m);
    p = plan_filter(plan_project(joined(m), columns, n + 1), target_column(KEEP));
    mem_free(columns);
    keep = target_column(KEEP);
    *out = plan_drop(p, &keep, 1);
    return *out ? LC_OK : err_nomem(m->c->err);
}

/* ---- which files ---- */
static bool only_deletes(const struct sql_statement *s)
{
    return s->n_clauses == 1 && s->clauses[0].when == WHEN_MATCHED && s->clauses[0].then == THEN_DELETE &&
           !s->clauses[0].condition;
}

/* A row of the target that several of the source change has no one value. */
static enum lc check_once(struct merging *m)
{
    struct expr *groups[2] = {target_column(DELTA_FILE_COLUMN), target_column(DELTA_ROW_COLUMN)};
    struct expr *one = expr_int(1), *n = expr_alias(expr_call("count", false, &one, 1), "n"), *most;
    const struct plan *counts = plan_aggregate(join(m, true, JOIN_INNER), GROUP_BY, groups, 2, &n, 1);
    json_t *numbers;
    bool twice;

    most = target_column("n");
    most = expr_alias(expr_call("max", false, &most, 1), "n");
    TRY(target_numbers(m->c, plan_aggregate(counts, GROUP_BY, NULL, 0, &most, 1), &numbers));
    twice = json_integer_value(json_object_get(numbers, "n")) > 1;
    json_decref(numbers);
    if (!twice || only_deletes(m->c->s))
        return LC_OK;
    err_set(m->c->err, LC_ENGINE,
            "[DELTA_MULTIPLE_SOURCE_ROW_MATCHING_TARGET_ROW_IN_MERGE] cannot merge into '%s': several rows "
            "of the source "
            "match one row of the target. SQLSTATE: 21506",
            m->t.name);
    return err_hint(m->c->err,
                    "make the source unique in what ON compares, for instance with dropDuplicates");
}

static enum lc mark_files(struct merging *m)
{
    if (m->has[WHEN_MATCHED])
        TRY(check_once(m));
    if (m->has[WHEN_NOT_MATCHED_BY_SOURCE]) {
        for (size_t i = 0; i < m->t.t->n_files; i++)
            m->t.files[i] = true;
        return LC_OK;
    }
    return m->has[WHEN_MATCHED] ? target_mark(m->c, &m->t, join(m, true, JOIN_INNER)) : LC_OK;
}

/* ---- counting ---- */
/* count(1) FILTER (WHERE a clause of this kind takes the row) */
static struct expr *counted(struct merging *m, enum sql_merge_then then, const char *name)
{
    const struct sql_statement *s = m->c->s;
    struct expr **args = mem_calloc(2 * s->n_clauses + 2, sizeof *args), *one = expr_int(1), *out = NULL;
    size_t n = 0;

    for (size_t i = 0; args && i < s->n_clauses; i++) {
        args[n++] = belongs(&s->clauses[i]);
        args[n++] = expr_bool(s->clauses[i].then == then);
    }
    if (args) {
        args[n++] = expr_bool(false);
        out = expr_alias(expr_filtered(expr_call("count", false, &one, 1), expr_call("when", false, args, n)),
                         name);
    } else {
        expr_unref(one);
    }
    mem_free(args);
    return out;
}

static enum lc count_changes(struct merging *m, json_t **numbers)
{
    struct expr *columns[] = {counted(m, THEN_UPDATE, "numTargetRowsUpdated"),
                              counted(m, THEN_DELETE, "numTargetRowsDeleted"),
                              counted(m, THEN_INSERT, "numTargetRowsInserted")};

    return target_numbers(m->c, plan_aggregate(joined(m), GROUP_BY, NULL, 0, columns, 3), numbers);
}

static enum lc show_counts(struct command *c, const json_t *numbers)
{
    static const char *const names[] = {"num_affected_rows", "num_updated_rows", "num_deleted_rows",
                                        "num_inserted_rows"};
    int64_t n[4] = {0, json_integer_value(json_object_get(numbers, "numTargetRowsUpdated")),
                    json_integer_value(json_object_get(numbers, "numTargetRowsDeleted")),
                    json_integer_value(json_object_get(numbers, "numTargetRowsInserted"))};
    struct table t = TABLE_INIT;

    n[0] = n[1] + n[2] + n[3];
    for (size_t i = 0; i < 4; i++)
        table_column(&t, names[i], DTYPE_LONG);
    for (size_t i = 0; i < 4; i++)
        table_long(&t, n[i]);
    return table_plan(&t, c->result, c->err);
}

static enum lc check_clauses(struct merging *m)
{
    const struct sql_statement *s = m->c->s;

    for (size_t i = 0; i < s->n_clauses; i++) {
        const struct sql_merge_clause *k = &s->clauses[i];
        m->has[k->when] = true;
        if (!k->condition && i + 1 < s->n_clauses)
            for (size_t later = i + 1; later < s->n_clauses; later++)
                if (s->clauses[later].when == k->when)
                    return err_set(m->c->err, LC_ENGINE,
                                   "[NON_LAST_MATCHED_CLAUSE_OMIT_CONDITION] only the last clause of its "
                                   "kind may have no "
                                   "condition. SQLSTATE: 42613");
        for (size_t a = 0; a < k->n; a++) {
            const char *name = k->assignments[a].path.items[k->assignments[a].path.n - 1];
            if (dtype_field_index(m->t.schema, name) < 0)
                return err_set(
                    m->c->err, LC_ENGINE,
                    "[UNRESOLVED_COLUMN.WITH_SUGGESTION] the table has no column '%s'. SQLSTATE: 42703",
                    name);
        }
    }
    return LC_OK;
}

static enum lc merge(struct merging *m)
{
    const struct plan *rows = NULL;
    json_t *numbers = NULL;
    int64_t changed = 0;
    const char *key;
    json_t *value;
    enum lc rc;

    TRY(check_clauses(m));
    TRY(open_source(m));
    TRY(mark_files(m));
    if (m->has[WHEN_NOT_MATCHED] &&
        !m->has[WHEN_NOT_MATCHED_BY_SOURCE]) /* what is matched decides what is new */
        TRY(target_mark(m->c, &m->t, join(m, true, JOIN_INNER)));
    TRY(count_changes(m, &numbers));
    json_object_foreach (numbers, key, value)
        changed += json_integer_value(value);
    rc = merged_rows(m, &rows);
    if (rc == LC_OK && changed) {
        rc = target_commit(m->c, &m->t, rows, "MERGE", json_incref(numbers));
    } else if (rc == LC_OK) { /* a clause that is wrong is so where it takes no row, too */
        rc = spark_analyze(m->c->ctx, m->c->env->spark, rows, m->c->err);
        plan_unref(rows);
    }
    if (rc == LC_OK)
        rc = show_counts(m->c, numbers);
    json_decref(numbers);
    return rc;
}

/* ---- WITH SCHEMA EVOLUTION ---- */
/* Does a clause put something into a column of this name? */
static bool is_written(const struct sql_statement *s, const char *column)
{
    for (size_t i = 0; i < s->n_clauses; i++) {
        const struct sql_merge_clause *k = &s->clauses[i];
        if (k->star && k->then != THEN_DELETE)
            return true;
        for (size_t a = 0; a < k->n; a++)
            if (strcasecmp(k->assignments[a].path.items[k->assignments[a].path.n - 1], column) == 0)
                return true;
    }
    return false;
}

/* Columns that only the source has are added to the table, in a commit before: the target is opened again. */
static enum lc evolve(struct merging *m)
{
    const struct sql_statement *s = m->c->s;
    struct sql_statement add = {
        .kind = SQL_ALTER, .object = OBJECT_TABLE, .action = ACTION_ADD_COLUMNS, .name = s->name};
    const struct plan *nothing = NULL;
    struct command alter = *m->c;
    const char **names;
    enum lc rc;

    TRY(source_schema(m));
    add.changes = mem_calloc(m->source_schema->n_fields + 1, sizeof *add.changes);
    names = mem_calloc(m->source_schema->n_fields + 1, sizeof *names);
    rc = add.changes && names ? LC_OK : err_nomem(m->c->err);
    for (size_t i = 0; rc == LC_OK && i < m->source_schema->n_fields; i++) {
        const struct dfield *f = &m->source_schema->fields[i];
        if (dtype_field_index(m->t.schema, f->name) >= 0 || !is_written(s, f->name))
            continue;
        names[i] = f->name;
        add.changes[add.n_changes++] = (struct sql_change){.path = {&names[i], 1}, .type = f->type};
    }
    alter.s = &add;
    alter.result = &nothing;
    if (rc == LC_OK && add.n_changes) {
        target_close(&m->t);
        rc = run_alter(&alter);
        plan_unref(nothing);
        if (rc == LC_OK)
            rc = target_open(m->c, &m->t);
    }
    mem_free(names);
    mem_free(add.changes);
    return rc;
}

enum lc run_merge(struct command *c)
{
    struct merging m = {.c = c};
    enum lc rc;

    TRY(target_open(c, &m.t));
    rc = c->s->by_name ? evolve(&m) : LC_OK;
    if (rc == LC_OK)
        rc = merge(&m);
    plan_unref(m.source);
    dtype_unref(m.source_schema);
    target_close(&m.t);
    return rc;
}
