/* Views of the catalog: a text with the schema in which its names are looked up; and temporary ones. */
#include "runtime/base/mem.h"
#include "runtime/catalog/resolve.h"
#include "runtime/dataframe/engines/engine.h"
#include "runtime/spark/command_int.h"
#include <string.h>
#include <strings.h>

/* What is wrong with the query is said now, not when the view is read. */
static enum lc schema_of(struct command *c, const struct plan *plan, const struct dtype **schema)
{
    const struct plan *resolved = NULL;
    enum lc rc = catalog_resolve_quietly(c->ctx, c->env->catalog, &c->env->engine, plan, &resolved, c->err);

    if (rc == LC_OK)
        rc = c->env->engine.ops->analyze(c->env->engine.engine, c->ctx, resolved, schema, c->err);
    plan_unref(resolved);
    return rc;
}

static enum lc check_columns(struct command *c, const struct dtype *schema)
{
    const struct sql_names *columns = &c->s->columns;

    if (columns->n && columns->n != schema->n_fields)
        return err_set(
            c->err, LC_ENGINE,
            "[CREATE_VIEW_COLUMN_ARITY_MISMATCH.%s] the view '%s' names %zu columns, its query gives %zu. "
            "SQLSTATE: 21S01",
            columns->n > schema->n_fields ? "NOT_ENOUGH_DATA_COLUMNS" : "TOO_MANY_DATA_COLUMNS",
            c->s->name.items[c->s->name.n - 1], columns->n, schema->n_fields);
    for (size_t i = 0; i < schema->n_fields; i++) {
        const char *name = columns->n ? columns->items[i] : schema->fields[i].name;
        bool twice = !columns->n && dtype_field_index(schema, name) == -2;

        for (size_t k = 0; k < i && columns->n; k++)
            twice |= strcasecmp(columns->items[k], name) == 0;
        if (twice)
            return err_set(c->err, LC_ENGINE,
                           "[COLUMN_ALREADY_EXISTS] the view has the column '%s' twice. SQLSTATE: 42711",
                           name);
    }
    return LC_OK;
}

/* ---- temporary ones ---- */
static enum lc create_temporary(struct command *c)
{
    const struct sql_statement *s = c->s;
    const struct plan *plan = plan_ref(s->plan);
    const struct dtype *schema = NULL;
    const char *parts[2] = {"global_temp", s->name.items[0]};
    enum lc rc;

    if (s->if_not_exists &&
        catalog_view_parts(c->env->catalog, s->global ? parts : parts + 1, s->global ? 2 : 1)) {
        plan_unref(plan);
        return LC_OK;
    }
    rc = schema_of(c, plan, &schema);
    if (rc == LC_OK)
        rc = check_columns(c, schema);
    if (rc == LC_OK && s->columns.n) {
        plan = plan_to_df(plan, s->columns.items, s->columns.n);
        rc = plan ? LC_OK : err_nomem(c->err);
    }
    if (rc == LC_OK)
        rc = catalog_put_view(c->env->catalog, s->name.items[0], plan, s->global, s->replace, c->err);
    dtype_unref(schema);
    plan_unref(plan);
    return rc;
}

/* ---- those of the catalog ---- */
/* The columns under the view's names, with its comments. */
static const struct dtype *named_columns(struct command *c, const struct dtype *schema)
{
    const struct dtype *out = dtype_struct_new(schema->n_fields);

    for (size_t i = 0; i < schema->n_fields; i++) {
        const char *comment = c->s->comments ? c->s->comments[i] : NULL;
        struct buf metadata = BUF_INIT(1 << 16);

        if (comment) {
            buf_puts(&metadata, "{\"comment\":");
            buf_json(&metadata, comment, strlen(comment));
            buf_putc(&metadata, '}');
        }
        out = dtype_struct_add(out, c->s->columns.n ? c->s->columns.items[i] : schema->fields[i].name,
                               dtype_ref(schema->fields[i].type), true,
                               comment           ? buf_str(&metadata)
                               : c->s->columns.n ? NULL
                                                 : schema->fields[i].metadata);
        buf_release(&metadata);
    }
    return out;
}

/* The text alone must do: what the session gave it (a {df}, a parameter, a temporary view) is not there later. */
static enum lc parse_alone(struct command *c, struct sql_statement **out)
{
    struct err local;
    enum lc rc = sql_parse(c->s->text, strlen(c->s->text), NULL, 0, out, &local);

    if (rc == LC_OK)
        return LC_OK;
    err_set(c->err, rc,
            "[INVALID_TEMP_OBJ_REFERENCE] the view '%s' cannot be made: its text depends on the call",
            c->s->name.items[c->s->name.n - 1]);
    snprintf(c->err->cause, sizeof c->err->cause, "%.500s", local.message);
    return err_hint(c->err, "write the values into the text, or make a temporary view: CREATE TEMP VIEW");
}

struct names_temporary {
    struct catalog *catalog;
    const char *found;
};

static enum lc find_temporary(void *arg, const struct plan *p, struct err *err)
{
    struct names_temporary *n = arg;

    (void)err;
    if (p->kind == PLAN_READ_TABLE && !n->found &&
        catalog_view_parts(n->catalog, (const char *const *)p->names, p->n_names))
        n->found = p->names[p->n_names - 1];
    return LC_OK;
}

static enum lc refuse_temporary(struct command *c, const struct plan *plan)
{
    struct names_temporary n = {c->env->catalog, NULL};

    TRY(plan_walk(plan, find_temporary, &n, c->err));
    if (!n.found)
        return LC_OK;
    err_set(c->err, LC_ENGINE,
            "[INVALID_TEMP_OBJ_REFERENCE] the view '%s' cannot be made: it reads the temporary view '%s'. "
            "SQLSTATE: "
            "42K0F",
            c->s->name.items[c->s->name.n - 1], n.found);
    return err_hint(c->err, "make it temporary, too: CREATE TEMP VIEW");
}

static json_t *view_options(struct command *c, const struct dtype *schema)
{
    json_t *columns = json_array();

    for (size_t i = 0; columns && i < schema->n_fields; i++)
        json_array_append_new(columns, json_string(schema->fields[i].name));
    return json_pack("{s:s,s:s,s:s,s:o?}", "text", c->s->text, "catalog", catalog_current(c->env->catalog),
                     "schema", catalog_current_schema(c->env->catalog), "columns", columns);
}

enum lc view_define(struct command *c, struct catalog_table *t)
{
    struct sql_statement *alone = NULL;
    const struct dtype *schema = NULL, *named = NULL;
    enum lc rc;

    TRY(parse_alone(c, &alone));
    rc = refuse_temporary(c, alone->plan);
    if (rc == LC_OK)
        rc = schema_of(c, alone->plan, &schema);
    if (rc == LC_OK)
        rc = check_columns(c, schema);
    if (rc == LC_OK && (named = named_columns(c, schema)) == NULL)
        rc = err_nomem(c->err);
    if (rc == LC_OK) {
        json_decref(t->options);
        mem_free(t->schema_json);
        t->options = view_options(c, schema);
        t->schema_json = dtype_json_text(named);
        rc = t->options && t->schema_json ? LC_OK : err_nomem(c->err);
    }
    dtype_unref(schema);
    dtype_unref(named);
    sql_release(alone);
    return rc;
}

/* A view that is defined by itself would never end. */
static enum lc check_cycle(struct command *c, const struct catalog_table *t, const struct catalog_table *old)
{
    const struct plan *plan = NULL, *resolved = NULL;
    const char *parts[3] = {t->name.catalog, t->name.schema, t->name.table};
    struct plan_options none = {0};
    struct err ignored;
    enum lc rc;

    TRY(catalog_alter_table(c->ctx, c->env->catalog, t, c->err));
    plan = plan_read_table(parts, 3, &none);
    rc = plan ? catalog_resolve_quietly(c->ctx, c->env->catalog, &c->env->engine, plan, &resolved, c->err)
              : err_nomem(c->err);
    plan_unref(plan);
    plan_unref(resolved);
    if (rc != LC_OK && catalog_alter_table(c->ctx, c->env->catalog, old, &ignored) != LC_OK)
        err_hint(c->err, "the view is left as it is now: %.200s", ignored.message);
    return rc;
}

static enum lc replace_view(struct command *c, struct catalog_table *t)
{
    struct catalog_table old = {0};
    enum lc rc;

    TRY(catalog_get_table(c->ctx, c->env->catalog, &t->name, &old, c->err));
    rc = old.kind == CATALOG_VIEW
             ? check_cycle(c, t, &old)
             : err_set(
                   c->err, LC_ENGINE,
                   "[EXPECT_VIEW_NOT_TABLE.NO_ALTERNATIVE] cannot replace '%s': it is a table, not a view. "
                   "SQLSTATE: 42809",
                   t->name.table);
    catalog_table_release(&old);
    return rc;
}

static enum lc create_stored(struct command *c, struct catalog_table *t, bool exists)
{
    t->kind = CATALOG_VIEW;
    t->format = mem_strdup("view");
    t->location = mem_strdup("");
    t->comment = c->s->comment ? mem_strdup(c->s->comment) : NULL;
    t->properties = command_pairs(c->s->properties, c->s->n_properties);
    if (!t->format || !t->location || !t->properties)
        return err_nomem(c->err);
    TRY(view_define(c, t));
    return exists ? replace_view(c, t) : catalog_create_table(c->ctx, c->env->catalog, t, c->err);
}

enum lc run_create_view(struct command *c)
{
    struct catalog_table t = {0};
    char full[3 * CATALOG_NAME_MAX];
    bool exists;
    enum lc rc;

    if (c->s->temporary)
        return create_temporary(c);
    TRY(catalog_complete_parts(c->env->catalog, c->s->name.items, c->s->name.n, &t.name, c->err));
    TRY(catalog_table_exists(c->ctx, c->env->catalog, &t.name, &exists, c->err));
    if (exists && c->s->if_not_exists)
        return LC_OK;
    if (exists && !c->s->replace) {
        catalog_name_text(&t.name, full, sizeof full);
        err_set(
            c->err, LC_EXISTS,
            "[TABLE_OR_VIEW_ALREADY_EXISTS] cannot make the view '%s': it is there already. SQLSTATE: 42P07",
            full);
        return err_hint(c->err, "CREATE OR REPLACE VIEW, or CREATE VIEW IF NOT EXISTS");
    }
    rc = create_stored(c, &t, exists);
    catalog_table_release(&t);
    return rc;
}
