#include "runtime/spark/target.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/catalog/resolve.h"
#include "runtime/dataframe/engines/engine.h"
#include "runtime/spark/table.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void target_close(struct target *t)
{
    delta_close(t->t);
    dtype_unref(t->schema);
    mem_free(t->files);
    *t = (struct target){0};
}

/* As Spark says it. */
static enum lc not_delta(struct command *c, const char *name, const struct catalog_table *table)
{
    const char *what = c->s->kind == SQL_DELETE   ? "DELETE"
                       : c->s->kind == SQL_UPDATE ? "UPDATE TABLE"
                       : c->s->kind == SQL_MERGE  ? "MERGE INTO TABLE"
                                                  : "REPLACE WHERE";

    if (table->kind == CATALOG_VIEW)
        return err_set(
            c->err, LC_UNSUPPORTED,
            "[UNSUPPORTED_FEATURE.TABLE_OPERATION] '%s' is a view: only rows of a Delta table can be "
            "changed. SQLSTATE: 0A000",
            name);
    err_set(
        c->err, LC_UNSUPPORTED,
        "[UNSUPPORTED_FEATURE.TABLE_OPERATION] The feature is not supported: Table %s does not support %s: "
        "it is a table of '%s' files. SQLSTATE: 0A000",
        name, what, table->format);
    return err_hint(c->err, "make it a Delta table: CREATE TABLE other AS SELECT * FROM %s", name);
}

static enum lc find_location(struct command *c, struct target *t, char **location)
{
    struct catalog_name name;
    struct catalog_table table;
    enum lc rc = LC_OK;

    *location = NULL;
    if (command_is_path(&c->s->name)) {
        char *place;
        TRY(catalog_path(c->ctx, c->env->catalog, c->s->name.items[1], &place, c->err));
        *location = fs_absolute(place);
        mem_free(place);
        snprintf(t->name, sizeof t->name, "%s", *location ? *location : "");
        return *location ? LC_OK : err_nomem(c->err);
    }
    TRY(catalog_complete_parts(c->env->catalog, c->s->name.items, c->s->name.n, &name, c->err));
    TRY(catalog_get_table(c->ctx, c->env->catalog, &name, &table, c->err));
    catalog_name_text(&name, t->name, sizeof t->name);
    if (strcmp(table.format, "delta") != 0)
        rc = not_delta(c, t->name, &table);
    else if ((*location = mem_strdup(table.location)) == NULL)
        rc = err_nomem(c->err);
    catalog_table_release(&table);
    return rc;
}

enum lc target_open(struct command *c, struct target *t)
{
    char *location;
    enum lc rc;

    *t = (struct target){0};
    TRY(find_location(c, t, &location));
    rc = delta_open(c->ctx, &c->env->engine, location, DELTA_LATEST, &t->t, c->err);
    mem_free(location);
    if (rc == LC_OK)
        rc = dtype_from_json_text(t->t->schema_json, strlen(t->t->schema_json), &t->schema, c->err);
    if (rc == LC_OK && (t->files = mem_calloc(t->t->n_files + 1, sizeof *t->files)) == NULL)
        rc = err_nomem(c->err);
    if (rc != LC_OK)
        target_close(t);
    return rc;
}

const struct plan *target_rows(struct command *c, const struct target *t, bool all)
{
    struct scan *scan = NULL;
    const struct plan *plan;

    if (delta_scan_places(t->t, t->name, all ? NULL : t->files, &scan, c->err) != LC_OK)
        return NULL;
    plan = plan_scan(scan);
    if (c->s->alias)
        return plan_alias(plan, &c->s->alias, 1);
    return command_is_path(&c->s->name) ? plan : plan_alias(plan, c->s->name.items, c->s->name.n);
}

struct expr *target_column(const char *name)
{
    return expr_attribute(&name, 1, 0);
}

struct expr *target_is_true(struct expr *e)
{
    return expr_binary("<=>", e, expr_bool(true));
}

/* Subqueries and functions of the session are looked up; a reference is taken over. */
static enum lc resolved(struct command *c, const struct plan *plan, const struct plan **out)
{
    enum lc rc = plan ? catalog_resolve(c->ctx, c->env->catalog, &c->env->engine, plan, out, c->err)
                      : err_nomem(c->err);

    plan_unref(plan);
    return rc;
}

enum lc target_mark(struct command *c, struct target *t, const struct plan *plan)
{
    struct expr *file = target_column(DELTA_FILE_COLUMN);
    const struct plan *files = NULL;
    enum lc rc = resolved(c, plan_deduplicate(plan_project(plan, &file, 1), NULL, 0), &files);

    if (rc == LC_OK)
        rc = delta_mark_files(c->ctx, &c->env->engine, t->t, files, t->files, c->err);
    plan_unref(files);
    return rc;
}

static enum lc keep_row(void *arg, const json_t *row, struct err *err)
{
    json_t **out = arg;

    (void)err;
    json_decref(*out);
    *out = json_incref((json_t *)row);
    return LC_OK;
}

enum lc target_numbers(struct command *c, const struct plan *plan, json_t **out)
{
    const struct plan *ready = NULL;
    enum lc rc = resolved(c, plan, &ready);

    *out = NULL;
    if (rc == LC_OK)
        rc = delta_each_row(c->ctx, &c->env->engine, ready, keep_row, out, c->err);
    plan_unref(ready);
    if (rc == LC_OK && !*out)
        rc = (*out = json_object()) ? LC_OK : err_nomem(c->err);
    return rc;
}

/* The history's metrics are texts. */
static json_t *as_texts(const json_t *numbers)
{
    json_t *out = json_object();
    const char *key;
    json_t *value;

    json_object_foreach ((json_t *)numbers, key, value) {
        char text[32];
        snprintf(text, sizeof text, "%lld", (long long)json_integer_value(value));
        json_object_set_new(out, key, json_string(text));
    }
    return out;
}

/* {"predicate": "[\"id = 2\"]"}, as Delta's history has it */
static json_t *history_parameters(const struct command *c)
{
    const char *text = c->s->kind == SQL_INSERT ? NULL : c->s->text;
    json_t *list = json_array(), *out;
    char *predicate;

    if (list && text)
        json_array_append_new(list, json_string(text));
    predicate = list ? json_dumps(list, JSON_COMPACT) : NULL;
    out = predicate ? json_pack("{s:s}", "predicate", predicate) : NULL;
    free(predicate);
    json_decref(list);
    return out;
}

enum lc target_commit(struct command *c, const struct target *t, const struct plan *rows,
                      const char *operation, json_t *metrics)
{
    struct delta_rewrite r = {.t = t->t, .files = t->files, .operation = operation};
    const struct plan *ready = NULL;
    json_t *texts = as_texts(metrics), *parameters = history_parameters(c);
    struct delta_written done;
    enum lc rc = rows ? resolved(c, rows, &ready) : LC_OK;

    r.plan = ready;
    r.metrics = texts;
    r.parameters = parameters;
    if (rc == LC_OK)
        rc = delta_rewrite(c->ctx, &c->env->engine, &r, &done, c->err);
    if (rc == LC_OK && done.version >= 0)
        rc = catalog_add_lineage(c->ctx, c->env->catalog, operation, t->name, done.version, c->err);
    plan_unref(ready);
    json_decref(texts);
    json_decref(parameters);
    json_decref(metrics);
    return rc;
}
