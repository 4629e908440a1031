/* ALTER and COMMENT ON. What belongs to a Delta table is in its log; names and comments are in the catalog, too. */
#include "runtime/spark/alter.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/catalog/files.h"
#include "runtime/catalog/resolve.h"
#include "runtime/dataframe/engines/engine.h"
#include "runtime/spark/command_int.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- Delta tables ---- */
struct target {
    struct catalog_table table; /* owned; empty for delta.`/a/path` */
    bool named;
    char *location;             /* owned */
    struct delta_snapshot *t;   /* owned */
    const struct dtype *schema; /* owned */
};

static void target_release(struct target *g)
{
    catalog_table_release(&g->table);
    mem_free(g->location);
    delta_close(g->t);
    dtype_unref(g->schema);
}

static enum lc open_table(struct command *c, struct target *g)
{
    struct catalog_name name;

    if (command_is_path(&c->s->name)) {
        if ((g->location = fs_absolute(c->s->name.items[1])) == NULL)
            return err_nomem(c->err);
    } else {
        TRY(catalog_complete_parts(c->env->catalog, c->s->name.items, c->s->name.n, &name, c->err));
        TRY(catalog_get_table(c->ctx, c->env->catalog, &name, &g->table, c->err));
        g->named = true;
        if ((g->location = mem_strdup(g->table.location)) == NULL)
            return err_nomem(c->err);
    }
    if (g->named && g->table.kind == CATALOG_VIEW)
        return err_set(
            c->err, LC_ENGINE,
            "[EXPECT_TABLE_NOT_VIEW.USE_ALTER_VIEW] '%s' is a view: use ALTER VIEW. SQLSTATE: 42809",
            g->table.name.table);
    if (g->named && strcmp(g->table.format, "delta") != 0)
        return LC_OK;
    TRY(delta_open(c->ctx, &c->env->engine, g->location, DELTA_LATEST, &g->t, c->err));
    return dtype_from_json_text(g->t->schema_json, strlen(g->t->schema_json), &g->schema, c->err);
}

/* What the catalog repeats of the log. */
static enum lc update_row(struct command *c, struct target *g, const struct delta_change *change)
{
    json_t *properties = g->table.properties;

    if (!g->named || (!change->n_set && !change->n_unset && !change->set_description))
        return LC_OK;
    if (!properties)
        properties = g->table.properties = json_object();
    for (size_t i = 0; properties && i < change->n_set; i++)
        json_object_set_new(properties, change->set[i].name, json_string(change->set[i].value));
    for (size_t i = 0; properties && i < change->n_unset; i++)
        json_object_del(properties, change->unset[i]);
    if (change->set_description) {
        mem_free(g->table.comment);
        g->table.comment = change->description ? mem_strdup(change->description) : NULL;
    }
    return catalog_alter_table(c->ctx, c->env->catalog, &g->table, c->err);
}

static enum lc put_change(struct command *c, struct target *g, const struct delta_change *change)
{
    char full[3 * CATALOG_NAME_MAX];
    int64_t version;

    TRY(delta_change(c->ctx, g->t, change, &version, c->err));
    if (g->named)
        catalog_name_text(&g->table.name, full, sizeof full);
    TRY(catalog_add_lineage(c->ctx, c->env->catalog, change->operation, g->named ? full : g->location,
                            version, c->err));
    return update_row(c, g, change);
}

/* ---- columns ---- */
/* SET NOT NULL holds only when no row has NULL there. */
static enum lc check_no_nulls(struct command *c, const struct sql_change *change)
{
    const struct plan *table = command_table(c), *resolved = NULL;
    struct expr *is_null = expr_unary("isnull", expr_attribute(change->path.items, change->path.n, 0));
    const struct plan *nulls = plan_limit(plan_filter(table, is_null), 1);
    struct ArrowArrayStream stream = {0};
    struct local_data *rows = NULL;
    enum lc rc =
        nulls ? catalog_resolve_quietly(c->ctx, c->env->catalog, &c->env->engine, nulls, &resolved, c->err)
              : err_nomem(c->err);

    if (rc == LC_OK)
        rc = c->env->engine.ops->execute(c->env->engine.engine, c->ctx, resolved, &stream, c->err);
    if (rc == LC_OK)
        rc = local_from_stream(c->ctx, &stream, &rows, c->err);
    if (rc == LC_OK && local_rows(rows) > 0)
        rc = err_set(
            c->err, LC_ENGINE,
            "[DELTA_NOT_NULL_CONSTRAINT_VIOLATED] cannot set '%s' NOT NULL: it is NULL in rows of the table. "
            "SQLSTATE: 23502",
            change->path.items[change->path.n - 1]);
    local_unref(rows);
    plan_unref(nulls);
    plan_unref(resolved);
    return rc;
}

static const char *operation_of(enum sql_action action)
{
    return action == ACTION_ADD_COLUMNS     ? "ADD COLUMNS"
           : action == ACTION_DROP_COLUMNS  ? "DROP COLUMNS"
           : action == ACTION_RENAME_COLUMN ? "RENAME COLUMN"
                                            : "CHANGE COLUMN";
}

/* {"columns": "[\"a\",\"b\"]"}, as Delta's history has it */
static json_t *column_parameters(const struct sql_statement *s)
{
    json_t *names = json_array(), *out;
    char *text;

    for (size_t i = 0; names && i < s->n_changes; i++)
        json_array_append_new(names, json_string(s->changes[i].path.items[s->changes[i].path.n - 1]));
    text = names ? json_dumps(names, JSON_COMPACT) : NULL;
    json_decref(names);
    out = text && s->action == ACTION_RENAME_COLUMN
              ? json_pack("{s:s,s:s}", "oldColumnPath", s->changes->path.items[s->changes->path.n - 1],
                          "newColumnPath", s->changes->rename)
              : json_pack("{s:s}", "columns", text ? text : "[]");
    free(text);
    return out;
}

static enum lc alter_columns(struct command *c, struct target *g)
{
    const struct sql_statement *s = c->s;
    struct arena *arena = arena_new(0);
    struct delta_change change = {.operation = operation_of(s->action)};
    json_t *parameters = column_parameters(s);
    const struct dtype *schema = NULL;
    enum lc rc = arena
                     ? alter_schema_columns(arena, s, g->t, g->schema, &schema, &change.partition_by, c->err)
                     : err_nomem(c->err);

    for (size_t i = 0; rc == LC_OK && i < s->n_changes; i++)
        if (s->action == ACTION_ALTER_COLUMNS && s->changes[i].nulls == NULLS_REFUSED) {
            change.read_rows = true;
            rc = check_no_nulls(c, &s->changes[i]);
        }
    change.parameters = parameters;
    change.schema = schema;
    if (rc == LC_OK && !alter_same_schema(schema, g->schema))
        rc = put_change(c, g, &change);
    dtype_unref(schema);
    json_decref(parameters);
    arena_free(arena);
    return rc;
}

/* ---- properties and the comment ---- */
static enum lc set_properties(struct command *c, struct target *g)
{
    const struct sql_statement *s = c->s;
    struct delta_property *set = mem_calloc(s->n_properties + 1, sizeof *set);
    json_t *pairs = command_pairs(s->properties, s->n_properties);
    char *text = pairs ? json_dumps(pairs, JSON_COMPACT) : NULL;
    json_t *parameters = text ? json_pack("{s:s}", "properties", text) : NULL;
    struct delta_change change = {
        .operation = "SET TBLPROPERTIES", .parameters = parameters, .set = set, .n_set = s->n_properties};
    enum lc rc = set && parameters ? LC_OK : err_nomem(c->err);

    for (size_t i = 0; rc == LC_OK && i < s->n_properties; i++)
        set[i] = (struct delta_property){s->properties[i].name, s->properties[i].value};
    if (rc == LC_OK)
        rc = put_change(c, g, &change);
    json_decref(parameters);
    json_decref(pairs);
    free(text);
    mem_free(set);
    return rc;
}

static enum lc unset_properties(struct command *c, struct target *g)
{
    const struct sql_names keys = c->s->columns;
    struct delta_change change = {.operation = "UNSET TBLPROPERTIES", .unset = keys.items, .n_unset = keys.n};
    bool any = false;

    for (size_t i = 0; i < keys.n; i++) {
        bool there = delta_property(g->t, keys.items[i]) != NULL;
        if (!there && !c->s->if_exists)
            return err_set(c->err, LC_NOTFOUND,
                           "[DELTA_UNSET_NON_EXISTENT_PROPERTY] the table has no property '%s' to unset. "
                           "SQLSTATE: 42616",
                           keys.items[i]);
        any |= there;
    }
    return any ? put_change(c, g, &change) : LC_OK;
}

static enum lc set_comment(struct command *c, struct target *g)
{
    const struct delta_change change = {
        .operation = "SET TBLPROPERTIES", .set_description = true, .description = c->s->comment};

    return put_change(c, g, &change);
}

/* ---- names ---- */
/* RENAME TO b keeps catalog and schema of what is renamed. */
static enum lc new_name(struct command *c, const struct catalog_name *from, struct catalog_name *to)
{
    const char *parts[3] = {from->catalog, from->schema, c->s->source.items[c->s->source.n - 1]};
    size_t n = c->s->source.n;

    if (n > 3)
        return err_set(c->err, LC_ARG, "a name has one to three parts, not %zu", n);
    if (n > 1)
        parts[1] = c->s->source.items[n - 2];
    if (n > 2)
        parts[0] = c->s->source.items[0];
    return catalog_complete_parts(c->env->catalog, parts, 3, to, c->err);
}

static enum lc rename_table(struct command *c)
{
    struct catalog_name from, to;
    struct catalog_table t = {0};
    bool view;

    if (command_is_path(&c->s->name))
        return err_set(c->err, LC_UNSUPPORTED, "a table without a name cannot be renamed");
    TRY(catalog_complete_parts(c->env->catalog, c->s->name.items, c->s->name.n, &from, c->err));
    TRY(catalog_get_table(c->ctx, c->env->catalog, &from, &t, c->err));
    view = t.kind == CATALOG_VIEW;
    catalog_table_release(&t);
    if (view != (c->s->object == OBJECT_VIEW))
        return err_set(c->err, LC_ENGINE, "[%s] '%s' is a %s: use ALTER %s. SQLSTATE: 42809",
                       view ? "EXPECT_TABLE_NOT_VIEW.USE_ALTER_VIEW"
                            : "EXPECT_VIEW_NOT_TABLE.USE_ALTER_TABLE",
                       from.table, view ? "view" : "table", view ? "VIEW" : "TABLE");
    TRY(new_name(c, &from, &to));
    return catalog_rename_table(c->ctx, c->env->catalog, &from, &to, c->err);
}

/* ---- tables of files: all there is of them is the catalog's row ---- */
static void change_pairs(json_t **pairs, const struct sql_statement *s);

static enum lc no_such_change(struct command *c, const struct catalog_table *t, const char *what)
{
    char full[3 * CATALOG_NAME_MAX];

    catalog_name_text(&t->name, full, sizeof full);
    err_set(
        c->err, LC_UNSUPPORTED,
        "[UNSUPPORTED_FEATURE.TABLE_OPERATION] The feature is not supported: Table %s does not support %s: "
        "it is a table of '%s' files. SQLSTATE: 0A000",
        full, what, t->format);
    return err_hint(c->err, "make it a Delta table: CREATE TABLE other AS SELECT * FROM %s", full);
}

/* New columns stand before those that the table is partitioned by; the files that are there have NULL in them. */
static enum lc add_file_columns(struct command *c, struct catalog_table *t)
{
    const json_t *list = files_partitions(t);
    size_t n = json_array_size(list);
    struct arena *arena = arena_new(0);
    const char **partitions = arena ? arena_zalloc(arena, (n + 1) * sizeof *partitions) : NULL;
    const char *const *renamed = NULL;
    const struct delta_snapshot none = {.version = 0};
    const struct dtype *old = NULL, *with = NULL, *schema = NULL;
    char full[3 * CATALOG_NAME_MAX];
    enum lc rc = partitions ? LC_OK : err_nomem(c->err);

    for (size_t i = 0; rc == LC_OK && i < n; i++)
        partitions[i] = arena_strdup(arena, json_string_value(json_array_get(list, i)));
    catalog_name_text(&t->name, full, sizeof full);
    if (rc == LC_OK)
        rc = dtype_from_json_text(t->schema_json, strlen(t->schema_json), &old, c->err);
    if (rc == LC_OK)
        rc = alter_schema_columns(arena, c->s, &none, old, &with, &renamed, c->err);
    if (rc == LC_OK)
        rc = files_schema(full, t->format, with, partitions, n, &schema, c->err);
    if (rc == LC_OK)
        rc = files_describe(t, schema, partitions, n, c->err);
    if (rc == LC_OK)
        rc = catalog_alter_table(c->ctx, c->env->catalog, t, c->err);
    dtype_unref(old);
    dtype_unref(with);
    dtype_unref(schema);
    arena_free(arena);
    return rc;
}

static enum lc alter_files(struct command *c, struct catalog_table *t)
{
    switch (c->s->action) {
    case ACTION_ADD_COLUMNS:
        for (size_t i = 0; i < c->s->n_changes; i++)
            if (c->s->changes[i].first || c->s->changes[i].after || c->s->changes[i].path.n > 1)
                return no_such_change(c, t, "ADD COLUMN with FIRST, AFTER or in a struct");
        return t->schema_json ? add_file_columns(c, t) : no_such_change(c, t, "ADD COLUMNS");
    case ACTION_DROP_COLUMNS:
        return no_such_change(c, t, "DROP COLUMN");
    case ACTION_RENAME_COLUMN:
        return no_such_change(c, t, "RENAME COLUMN");
    case ACTION_ALTER_COLUMNS:
        return no_such_change(c, t, "ALTER COLUMN");
    case ACTION_SET_COMMENT:
        mem_free(t->comment);
        t->comment = c->s->comment ? mem_strdup(c->s->comment) : NULL;
        break;
    default:
        change_pairs(&t->properties, c->s);
    }
    return catalog_alter_table(c->ctx, c->env->catalog, t, c->err);
}

static enum lc alter_table(struct command *c)
{
    static enum lc (*const actions[])(struct command * c, struct target * g) = {
        [ACTION_ADD_COLUMNS] = alter_columns,     [ACTION_DROP_COLUMNS] = alter_columns,
        [ACTION_RENAME_COLUMN] = alter_columns,   [ACTION_ALTER_COLUMNS] = alter_columns,
        [ACTION_SET_PROPERTIES] = set_properties, [ACTION_UNSET_PROPERTIES] = unset_properties,
        [ACTION_SET_COMMENT] = set_comment,
    };
    struct target g = {0};
    enum lc rc;

    if (c->s->action == ACTION_RENAME)
        return rename_table(c);
    rc = open_table(c, &g);
    if (rc == LC_OK)
        rc = g.t ? actions[c->s->action](c, &g) : alter_files(c, &g.table);
    target_release(&g);
    return rc;
}

/* ---- views ---- */
static void change_pairs(json_t **pairs, const struct sql_statement *s)
{
    if (!*pairs)
        *pairs = json_object();
    for (size_t i = 0; *pairs && i < s->n_properties; i++)
        json_object_set_new(*pairs, s->properties[i].name, json_string(s->properties[i].value));
    for (size_t i = 0; *pairs && s->action == ACTION_UNSET_PROPERTIES && i < s->columns.n; i++)
        json_object_del(*pairs, s->columns.items[i]);
}

static enum lc change_view(struct command *c, struct catalog_table *t)
{
    if (t->kind != CATALOG_VIEW)
        return err_set(
            c->err, LC_ENGINE,
            "[EXPECT_VIEW_NOT_TABLE.USE_ALTER_TABLE] '%s' is a table: use ALTER TABLE. SQLSTATE: 42809",
            t->name.table);
    if (c->s->action == ACTION_SET_QUERY)
        TRY(view_define(c, t));
    else if (c->s->action == ACTION_SET_COMMENT) {
        mem_free(t->comment);
        t->comment = c->s->comment ? mem_strdup(c->s->comment) : NULL;
    } else {
        change_pairs(&t->properties, c->s);
    }
    return catalog_alter_table(c->ctx, c->env->catalog, t, c->err);
}

/* ALTER VIEW of a temporary one: only what it stands for. */
static enum lc alter_temporary(struct command *c)
{
    const struct sql_names *n = &c->s->name;

    if (c->s->action != ACTION_SET_QUERY)
        return err_set(c->err, LC_UNSUPPORTED,
                       "a temporary view has no properties and cannot be renamed: "
                       "CREATE OR REPLACE TEMP VIEW");
    return catalog_put_view(c->env->catalog, n->items[n->n - 1], c->s->plan, n->n == 2, true, c->err);
}

static enum lc alter_view(struct command *c)
{
    struct catalog_name name;
    struct catalog_table t = {0};
    enum lc rc;

    if (catalog_view_parts(c->env->catalog, c->s->name.items, c->s->name.n))
        return alter_temporary(c);
    if (c->s->action == ACTION_RENAME)
        return rename_table(c);
    TRY(catalog_complete_parts(c->env->catalog, c->s->name.items, c->s->name.n, &name, c->err));
    TRY(catalog_get_table(c->ctx, c->env->catalog, &name, &t, c->err));
    rc = change_view(c, &t);
    catalog_table_release(&t);
    return rc;
}

/* COMMENT ON TABLE takes a view, too. */
static enum lc alter_table_or_view(struct command *c)
{
    struct catalog_name name;
    struct catalog_table t = {0};
    bool view;

    if (c->s->action != ACTION_SET_COMMENT || command_is_path(&c->s->name))
        return alter_table(c);
    TRY(catalog_complete_parts(c->env->catalog, c->s->name.items, c->s->name.n, &name, c->err));
    TRY(catalog_get_table(c->ctx, c->env->catalog, &name, &t, c->err));
    view = t.kind == CATALOG_VIEW;
    catalog_table_release(&t);
    return view ? alter_view(c) : alter_table(c);
}

/* ---- schemas, catalogs, volumes ---- */
static enum lc change_schema(struct command *c, struct catalog_schema *s)
{
    switch (c->s->action) {
    case ACTION_SET_COMMENT:
        mem_free(s->comment);
        s->comment = c->s->comment ? mem_strdup(c->s->comment) : NULL;
        break;
    case ACTION_SET_LOCATION:
        mem_free(s->location);
        if ((s->location = fs_absolute(c->s->location)) == NULL)
            return err_nomem(c->err);
        break;
    case ACTION_RENAME:
        err_set(c->err, LC_UNSUPPORTED, "a schema cannot be renamed");
        return err_hint(c->err, "CREATE SCHEMA, and ALTER TABLE … RENAME TO new_schema.name");
    default:
        change_pairs(&s->properties, c->s);
    }
    return catalog_alter_schema(c->ctx, c->env->catalog, s, c->err);
}

static enum lc alter_named_schema(struct command *c, const char *catalog, const char *schema)
{
    struct catalog_schema s;
    enum lc rc;

    TRY(catalog_get_schema(c->ctx, c->env->catalog, catalog, schema, &s, c->err));
    rc = change_schema(c, &s);
    catalog_schema_release(&s);
    return rc;
}

enum lc command_schema_properties(struct command *c, const char *catalog, const char *schema)
{
    struct sql_statement s = *c->s;
    struct command set = *c;

    s.action = ACTION_SET_PROPERTIES;
    set.s = &s;
    return alter_named_schema(&set, catalog, schema);
}

static enum lc alter_schema(struct command *c)
{
    const char *catalog, *schema;

    TRY(command_schema(&c->s->name, &catalog, &schema, c->err));
    return alter_named_schema(c, catalog, schema);
}

static enum lc alter_catalog(struct command *c)
{
    TRY(command_one_part(&c->s->name, "catalog", c->err));
    if (c->s->action != ACTION_SET_COMMENT)
        return err_set(c->err, LC_UNSUPPORTED,
                       "of a catalog only its comment can be changed: COMMENT ON CATALOG");
    return catalog_alter_catalog(c->ctx, c->env->catalog, c->s->name.items[0], c->s->comment, c->err);
}

static enum lc alter_volume(struct command *c)
{
    struct catalog_name name, to;

    TRY(catalog_complete_parts(c->env->catalog, c->s->name.items, c->s->name.n, &name, c->err));
    if (c->s->action == ACTION_SET_COMMENT)
        return catalog_comment_volume(c->ctx, c->env->catalog, &name, c->s->comment, c->err);
    if (c->s->action != ACTION_RENAME)
        return err_set(c->err, LC_UNSUPPORTED, "a volume can be renamed and commented on, nothing else");
    TRY(new_name(c, &name, &to));
    return catalog_rename_volume(c->ctx, c->env->catalog, &name, &to, c->err);
}

enum lc run_alter(struct command *c)
{
    static enum lc (*const objects[])(struct command * c) = {[OBJECT_TABLE] = alter_table_or_view,
                                                             [OBJECT_VIEW] = alter_view,
                                                             [OBJECT_SCHEMA] = alter_schema,
                                                             [OBJECT_CATALOG] = alter_catalog,
                                                             [OBJECT_VOLUME] = alter_volume};

    return objects[c->s->object](c);
}
