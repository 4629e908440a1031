#include "runtime/base/clock.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/base/nearest.h"
#include "runtime/catalog/catalog_int.h"
#include "runtime/catalog/local.h"
#include "runtime/dataframe/plan.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- what is handed out ---- */
void catalog_table_release(struct catalog_table *t)
{
    mem_free(t->format);
    mem_free(t->location);
    mem_free(t->comment);
    mem_free(t->owner);
    mem_free(t->schema_json);
    json_decref(t->properties);
    json_decref(t->options);
    *t = (struct catalog_table){0};
}

void catalog_schema_release(struct catalog_schema *s)
{
    mem_free(s->comment);
    mem_free(s->location);
    mem_free(s->owner);
    json_decref(s->properties);
    *s = (struct catalog_schema){0};
}

void catalog_volume_release(struct catalog_volume *v)
{
    mem_free(v->location);
    mem_free(v->comment);
    mem_free(v->owner);
    *v = (struct catalog_volume){0};
}

void catalog_list_release(struct catalog_list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        mem_free(l->items[i].name);
        mem_free(l->items[i].comment);
    }
    mem_free(l->items);
    *l = (struct catalog_list){0};
}

void catalog_lineage_list_release(struct catalog_lineage_list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        struct catalog_lineage *r = &l->rows[i];
        char *texts[] = {r->operation, r->table, r->principal, r->notebook, r->cell,
                         r->run,       r->job,   r->session,   r->call};
        for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
            mem_free(texts[k]);
    }
    mem_free(l->rows);
    *l = (struct catalog_lineage_list){0};
}

/* ---- the handle ---- */
static void catalog_copy_name(char to[CATALOG_NAME_MAX], const char *from)
{
    if (to != from)
        snprintf(to, CATALOG_NAME_MAX, "%s", from);
}

/* takes self, also on failure */
static enum lc catalog_new(const struct catalog_ops *ops, void *self, struct catalog **out, struct err *err)
{
    struct catalog *c = mem_zalloc(sizeof *c);

    if (!c) {
        ops->close(self);
        return err_nomem(err);
    }
    c->ops = ops;
    c->self = self;
    catalog_copy_name(c->catalog, "spark_catalog");
    catalog_copy_name(c->schema, "default");
    *out = c;
    return LC_OK;
}

enum lc catalog_open(struct catalog **out, struct err *err)
{
    void *self;

    *out = NULL;
    TRY(catalog_local_open(&self, err));
    return catalog_new(&catalog_local, self, out, err);
}

void catalog_close(struct catalog *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->n_views; i++) {
        mem_free(c->views[i].name);
        plan_unref(c->views[i].plan);
    }
    mem_free(c->views);
    for (size_t i = 0; i < c->n_functions; i++) {
        mem_free(c->functions[i].name);
        expr_unref(c->functions[i].head);
    }
    mem_free(c->functions);
    c->ops->close(c->self);
    mem_free(c);
}

const char *catalog_current(const struct catalog *c)
{
    return c->catalog;
}

const char *catalog_current_schema(const struct catalog *c)
{
    return c->schema;
}

/* ---- names ---- */
enum lc catalog_take_name(const char *kind, const char *text, char out[CATALOG_NAME_MAX], struct err *err)
{
    size_t n = strlen(text);

    if (n == 0)
        return err_set(err, LC_ARG, "the name of a %s cannot be empty", kind);
    if (n >= CATALOG_NAME_MAX)
        return err_set(err, LC_ARG, "the %s name '%.40s…' is longer than %d bytes", kind, text,
                       CATALOG_NAME_MAX - 1);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == 0x7f || c == '/' || c == '.' || c == ' ') {
            err_set(err, LC_ARG, "'%s' cannot be the name of a %s", text, kind);
            return err_hint(
                err, "use letters, digits and underscores; dots, slashes, spaces and control characters "
                     "cannot be in it");
        }
        out[i] = (char)tolower(c);
    }
    out[n] = '\0';
    return LC_OK;
}

enum lc catalog_complete_parts(const struct catalog *c, const char *const *parts, size_t n,
                               struct catalog_name *out, struct err *err)
{
    if (n == 0 || n > 3)
        return err_set(err, LC_ARG,
                       "a table has a name of one to three parts (catalog.schema.table), not %zu", n);
    catalog_copy_name(out->catalog, c->catalog);
    catalog_copy_name(out->schema, c->schema);
    TRY(catalog_take_name("table", parts[n - 1], out->table, err));
    if (n > 1)
        TRY(catalog_take_name("schema", parts[n - 2], out->schema, err));
    return n > 2 ? catalog_take_name("catalog", parts[0], out->catalog, err) : LC_OK;
}

enum lc catalog_complete(const struct catalog *c, const char *text, struct catalog_name *out, struct err *err)
{
    char **parts;
    size_t n;
    enum lc rc;

    TRY(name_split(text, &parts, &n, err));
    rc = catalog_complete_parts(c, (const char *const *)parts, n, out, err);
    name_free(parts, n);
    return rc;
}

void catalog_name_text(const struct catalog_name *name, char *out, size_t size)
{
    struct buf b = BUF_INIT(size > 1 ? size - 1 : 1);

    name_quote(&b, name->catalog);
    buf_putc(&b, '.');
    name_quote(&b, name->schema);
    buf_putc(&b, '.');
    name_quote(&b, name->table);
    snprintf(out, size, "%s", buf_str(&b));
    buf_release(&b);
}

/* ---- nearest names ---- */
static bool has_item(const struct catalog_list *l, const char *name)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->items[i].name, name) == 0)
            return true;
    return false;
}

void catalog_hint_names(const struct catalog_list *l, const char *word, const char *otherwise,
                        struct err *err)
{
    const char **names = mem_calloc(l->n + 1, sizeof *names);
    struct buf near = BUF_INIT(300);

    for (size_t i = 0; names && i < l->n; i++)
        names[i] = l->items[i].name;
    if (names)
        nearest_list(&near, word, names, l->n, 3);
    if (near.len)
        err_hint(err, "did you mean %s?", buf_str(&near));
    else
        err_hint(err, "%s", otherwise);
    buf_release(&near);
    mem_free(names);
}

static enum lc need_catalog(const struct ctx *ctx, struct catalog *c, const char *name, struct err *err)
{
    struct catalog_list all;
    enum lc rc;

    TRY(c->ops->list_catalogs(ctx, c->self, &all, err));
    rc = has_item(&all, name)
             ? LC_OK
             : err_set(err, LC_NOTFOUND, "[CATALOG_NOT_FOUND] cannot find the catalog '%s'", name);
    if (rc != LC_OK)
        catalog_hint_names(&all, name, "SHOW CATALOGS lists them, CREATE CATALOG makes one", err);
    catalog_list_release(&all);
    return rc;
}

enum lc catalog_need_schema(const struct ctx *ctx, struct catalog *c, const char *catalog, const char *name,
                            struct err *err)
{
    struct catalog_list all;
    enum lc rc;

    TRY(need_catalog(ctx, c, catalog, err));
    TRY(c->ops->list_schemas(ctx, c->self, catalog, &all, err));
    rc = has_item(&all, name)
             ? LC_OK
             : err_set(err, LC_NOTFOUND, "[SCHEMA_NOT_FOUND] cannot find the schema '%s.%s'", catalog, name);
    if (rc != LC_OK)
        catalog_hint_names(&all, name, "SHOW SCHEMAS lists them, CREATE SCHEMA makes one", err);
    catalog_list_release(&all);
    return rc;
}

/* Adds the tables of one schema as full names. */
static void add_tables(const struct ctx *ctx, struct catalog *c, const char *catalog, const char *schema,
                       struct catalog_list *out)
{
    struct catalog_list tables;
    struct err ignored;
    struct catalog_item *more;

    if (c->ops->list_tables(ctx, c->self, catalog, schema, &tables, &ignored) != LC_OK)
        return;
    more = mem_reallocn(out->items, out->n + tables.n + 1, sizeof *more);
    if (more)
        out->items = more;
    for (size_t i = 0; more && i < tables.n; i++)
        if ((out->items[out->n].name = mem_printf("%s.%s.%s", catalog, schema, tables.items[i].name)) != NULL)
            out->items[out->n++].comment = NULL;
    catalog_list_release(&tables);
}

/* Temporary views near the name, in front of the tables that are: a name without a schema finds them first. */
static void hint_views(const struct catalog *c, const char *name, struct err *err)
{
    static const char asks[] = "did you mean ";
    const char **names = mem_calloc(c->n_views + 1, sizeof *names);
    struct buf near = BUF_INIT(300);
    char tables[sizeof err->hint] = "?";
    size_t n = 0;

    for (size_t i = 0; names && i < c->n_views; i++)
        if (!c->views[i].global)
            names[n++] = c->views[i].name;
    if (names)
        nearest_list(&near, name, names, n, 3);
    if (near.len && strncmp(err->hint, asks, sizeof asks - 1) == 0)
        snprintf(tables, sizeof tables, ", or the table %s", err->hint + sizeof asks - 1);
    if (near.len)
        err_hint(err, "did you mean the temporary view %s%.300s", buf_str(&near), tables);
    buf_release(&near);
    mem_free(names);
}

/* "cannot find table 'a.b.c'": a missing catalog or schema is the better reason; then tables anywhere near. */
static enum lc no_table(const struct ctx *ctx, struct catalog *c, const struct catalog_name *name,
                        struct err *err)
{
    enum { LOOKED_AT = 200 };
    char full[3 * CATALOG_NAME_MAX];
    struct catalog_list near = {0}, schemas;
    struct err ignored;

    catalog_name_text(name, full, sizeof full);
    if (catalog_need_schema(ctx, c, name->catalog, name->schema, err) != LC_OK) {
        static const char prefix[] = "cannot find the ";
        char why[512];
        const char *at = err ? strstr(err->message, prefix) : NULL;
        if (!at)
            return LC_NOTFOUND;
        snprintf(why, sizeof why, "%.500s", at + sizeof prefix - 1);
        err_wrap(err, "[TABLE_OR_VIEW_NOT_FOUND] cannot find table '%s': there is no %s", full, why);
        err->cause[0] = '\0';
        return LC_NOTFOUND;
    }
    err_set(err, LC_NOTFOUND, "[TABLE_OR_VIEW_NOT_FOUND] cannot find table '%s'", full);
    add_tables(ctx, c, name->catalog, name->schema, &near);
    if (c->ops->list_schemas(ctx, c->self, name->catalog, &schemas, &ignored) == LC_OK) {
        for (size_t i = 0; i < schemas.n && i < LOOKED_AT; i++)
            if (strcmp(schemas.items[i].name, name->schema) != 0)
                add_tables(ctx, c, name->catalog, schemas.items[i].name, &near);
        catalog_list_release(&schemas);
    }
    catalog_hint_names(&near, full, "SHOW TABLES lists the tables of a schema", err);
    catalog_list_release(&near);
    if (err && strcmp(name->catalog, c->catalog) == 0 && strcmp(name->schema, c->schema) == 0)
        hint_views(c, name->table, err);
    return LC_NOTFOUND;
}

/* ---- catalogs and schemas ---- */
enum lc catalog_use(const struct ctx *ctx, struct catalog *c, const char *catalog, const char *schema,
                    struct err *err)
{
    char new_catalog[CATALOG_NAME_MAX], new_schema[CATALOG_NAME_MAX] = "default";

    catalog_copy_name(new_catalog, c->catalog);
    if (catalog)
        TRY(catalog_take_name("catalog", catalog, new_catalog, err));
    if (schema)
        TRY(catalog_take_name("schema", schema, new_schema, err));
    if (schema)
        TRY(catalog_need_schema(ctx, c, new_catalog, new_schema, err));
    else
        TRY(need_catalog(ctx, c, new_catalog, err));
    catalog_copy_name(c->catalog, new_catalog);
    catalog_copy_name(c->schema, new_schema);
    return LC_OK;
}

enum lc catalog_forgive(enum lc rc, enum lc code, bool wanted, const struct err *local, struct err *err)
{
    if (rc == LC_OK || (rc == code && wanted))
        return LC_OK;
    if (err)
        *err = *local;
    return rc;
}

enum lc catalog_create_catalog(const struct ctx *ctx, struct catalog *c, const char *name,
                               const char *comment, bool if_not_exists, struct err *err)
{
    char lower[CATALOG_NAME_MAX];
    struct err local;
    enum lc rc;

    TRY(catalog_take_name("catalog", name, lower, err));
    rc = c->ops->create_catalog(ctx, c->self, lower, comment, &local);
    if (rc == LC_EXISTS) {
        err_set(&local, LC_EXISTS, "cannot make the catalog '%s': it is there already", lower);
        err_hint(&local, "CREATE CATALOG IF NOT EXISTS %s", lower);
    }
    return catalog_forgive(rc, LC_EXISTS, if_not_exists, &local, err);
}

static void leave(struct catalog *c, const char *catalog, const char *schema)
{
    if (strcmp(c->catalog, catalog) != 0 || (schema && strcmp(c->schema, schema) != 0))
        return;
    if (!schema)
        catalog_copy_name(c->catalog, "spark_catalog");
    catalog_copy_name(c->schema, "default");
}

enum lc catalog_drop_catalog(const struct ctx *ctx, struct catalog *c, const char *name, bool cascade,
                             bool if_exists, struct err *err)
{
    char lower[CATALOG_NAME_MAX];
    struct err local;
    enum lc rc;

    TRY(catalog_take_name("catalog", name, lower, err));
    if (strcmp(lower, "spark_catalog") == 0)
        return err_set(err, LC_PERM, "cannot drop the catalog 'spark_catalog': it is always there");
    rc = need_catalog(ctx, c, lower, &local);
    if (rc == LC_OK)
        rc = c->ops->drop_catalog(ctx, c->self, lower, cascade, &local);
    if (rc == LC_OK)
        leave(c, lower, NULL);
    return catalog_forgive(rc, LC_NOTFOUND, if_exists, &local, err);
}

enum lc catalog_list_catalogs(const struct ctx *ctx, struct catalog *c, struct catalog_list *out,
                              struct err *err)
{
    return c->ops->list_catalogs(ctx, c->self, out, err);
}

static enum lc schema_name(const struct catalog *c, const char *catalog, const char *schema,
                           struct catalog_name *out, struct err *err)
{
    TRY(catalog_take_name("catalog", catalog ? catalog : c->catalog, out->catalog, err));
    return catalog_take_name("schema", schema ? schema : c->schema, out->schema, err);
}

enum lc catalog_create_schema(const struct ctx *ctx, struct catalog *c, const char *catalog,
                              const char *schema, const char *comment, const char *location,
                              bool if_not_exists, struct err *err)
{
    struct catalog_name n;
    struct err local;
    enum lc rc;

    TRY(schema_name(c, catalog, schema, &n, err));
    TRY(need_catalog(ctx, c, n.catalog, err));
    rc = c->ops->create_schema(ctx, c->self, n.catalog, n.schema, comment, location, &local);
    if (rc == LC_EXISTS) {
        err_set(&local, LC_EXISTS,
                "[SCHEMA_ALREADY_EXISTS] cannot make the schema '%s.%s': it is there already", n.catalog,
                n.schema);
        err_hint(&local, "CREATE SCHEMA IF NOT EXISTS %s.%s", n.catalog, n.schema);
    }
    return catalog_forgive(rc, LC_EXISTS, if_not_exists, &local, err);
}

enum lc catalog_drop_schema(const struct ctx *ctx, struct catalog *c, const char *catalog, const char *schema,
                            bool cascade, bool if_exists, struct err *err)
{
    struct catalog_name n;
    struct err local;
    enum lc rc;

    TRY(schema_name(c, catalog, schema, &n, err));
    if (strcmp(n.catalog, "spark_catalog") == 0 && strcmp(n.schema, "default") == 0)
        return err_set(err, LC_PERM, "cannot drop the schema 'spark_catalog.default': it is always there");
    rc = catalog_need_schema(ctx, c, n.catalog, n.schema, &local);
    if (rc == LC_OK)
        rc = c->ops->drop_schema(ctx, c->self, n.catalog, n.schema, cascade, &local);
    if (rc == LC_OK)
        leave(c, n.catalog, n.schema);
    return catalog_forgive(rc, LC_NOTFOUND, if_exists, &local, err);
}

enum lc catalog_list_schemas(const struct ctx *ctx, struct catalog *c, const char *catalog,
                             struct catalog_list *out, struct err *err)
{
    struct catalog_name n;

    TRY(schema_name(c, catalog, NULL, &n, err));
    TRY(need_catalog(ctx, c, n.catalog, err));
    return c->ops->list_schemas(ctx, c->self, n.catalog, out, err);
}

/* ---- tables ---- */
enum lc catalog_list_tables(const struct ctx *ctx, struct catalog *c, const char *catalog, const char *schema,
                            struct catalog_list *out, struct err *err)
{
    struct catalog_name n;
    struct catalog_item *more;

    bool wants_global = schema && strcasecmp(schema, CATALOG_GLOBAL) == 0;

    *out = (struct catalog_list){0};
    TRY(schema_name(c, catalog, catalog && !schema ? "default" : schema, &n, err));
    if (!wants_global) {
        TRY(catalog_need_schema(ctx, c, n.catalog, n.schema, err));
        TRY(c->ops->list_tables(ctx, c->self, n.catalog, n.schema, out, err));
    }
    more = mem_reallocn(out->items, out->n + c->n_views + 1, sizeof *more);
    if (!more) {
        catalog_list_release(out);
        return err_nomem(err);
    }
    out->items = more;
    for (size_t i = 0; i < c->n_views; i++) {
        struct catalog_item item = {.temporary = true, .view = true, .global = c->views[i].global};
        bool here = c->views[i].global ? wants_global : true;
        if (here && (item.name = mem_strdup(c->views[i].name)) != NULL)
            out->items[out->n++] = item;
    }
    return LC_OK;
}

enum lc catalog_get_table(const struct ctx *ctx, struct catalog *c, const struct catalog_name *name,
                          struct catalog_table *out, struct err *err)
{
    struct err local;
    enum lc rc = c->ops->get_table(ctx, c->self, name, out, &local);

    if (rc == LC_NOTFOUND)
        return no_table(ctx, c, name, err);
    return catalog_forgive(rc, LC_OK, false, &local, err);
}

enum lc catalog_lookup(const struct ctx *ctx, struct catalog *c, const char *text, struct catalog_table *out,
                       struct err *err)
{
    struct catalog_name name;

    TRY(catalog_complete(c, text, &name, err));
    return catalog_get_table(ctx, c, &name, out, err);
}

enum lc catalog_table_exists(const struct ctx *ctx, struct catalog *c, const struct catalog_name *name,
                             bool *yes, struct err *err)
{
    struct catalog_table t = {0};
    struct err local;
    enum lc rc = c->ops->get_table(ctx, c->self, name, &t, &local);

    *yes = rc == LC_OK;
    catalog_table_release(&t);
    return catalog_forgive(rc, LC_NOTFOUND, true, &local, err);
}

enum lc catalog_new_location(const struct ctx *ctx, struct catalog *c, const struct catalog_name *name,
                             char **location, struct err *err)
{
    TRY(catalog_need_schema(ctx, c, name->catalog, name->schema, err));
    return c->ops->new_location(ctx, c->self, name, location, err);
}

enum lc catalog_create_table(const struct ctx *ctx, struct catalog *c, struct catalog_table *table,
                             struct err *err)
{
    char full[3 * CATALOG_NAME_MAX];
    enum lc rc;

    TRY(catalog_need_schema(ctx, c, table->name.catalog, table->name.schema, err));
    if (!table->location)
        TRY(c->ops->new_location(ctx, c->self, &table->name, &table->location, err));
    rc = c->ops->create_table(ctx, c->self, table, err);
    if (rc != LC_EXISTS)
        return rc;
    catalog_name_text(&table->name, full, sizeof full);
    err_set(err, LC_EXISTS, "[TABLE_OR_VIEW_ALREADY_EXISTS] cannot make the table '%s': it is there already",
            full);
    return err_hint(err, "CREATE TABLE IF NOT EXISTS, CREATE OR REPLACE TABLE, or mode('append') and "
                         "mode('overwrite') of a DataFrame's writer");
}

enum lc catalog_drop_table(const struct ctx *ctx, struct catalog *c, const struct catalog_name *name,
                           bool if_exists, struct err *err)
{
    struct err local;
    enum lc rc = c->ops->drop_table(ctx, c->self, name, &local);

    if (rc == LC_NOTFOUND)
        rc = no_table(ctx, c, name, &local);
    return catalog_forgive(rc, LC_NOTFOUND, if_exists, &local, err);
}

/* ---- altering ---- */
enum lc catalog_rename_table(const struct ctx *ctx, struct catalog *c, const struct catalog_name *from,
                             const struct catalog_name *to, struct err *err)
{
    char full[3 * CATALOG_NAME_MAX];
    struct err local;
    enum lc rc;

    TRY(catalog_need_schema(ctx, c, to->catalog, to->schema, err));
    rc = c->ops->rename_table(ctx, c->self, from, to, &local);
    if (rc == LC_NOTFOUND)
        return no_table(ctx, c, from, err);
    if (rc != LC_EXISTS)
        return catalog_forgive(rc, LC_OK, false, &local, err);
    catalog_name_text(to, full, sizeof full);
    return err_set(err, LC_EXISTS,
                   "[TABLE_OR_VIEW_ALREADY_EXISTS] cannot rename to '%s': it is there already", full);
}

enum lc catalog_alter_table(const struct ctx *ctx, struct catalog *c, const struct catalog_table *table,
                            struct err *err)
{
    return c->ops->alter_table(ctx, c->self, table, err);
}

enum lc catalog_alter_catalog(const struct ctx *ctx, struct catalog *c, const char *name, const char *comment,
                              struct err *err)
{
    char lower[CATALOG_NAME_MAX];

    TRY(catalog_take_name("catalog", name, lower, err));
    TRY(need_catalog(ctx, c, lower, err));
    return c->ops->alter_catalog(ctx, c->self, lower, comment, err);
}

enum lc catalog_get_schema(const struct ctx *ctx, struct catalog *c, const char *catalog, const char *schema,
                           struct catalog_schema *out, struct err *err)
{
    struct catalog_name n;

    *out = (struct catalog_schema){0};
    TRY(schema_name(c, catalog, schema, &n, err));
    TRY(catalog_need_schema(ctx, c, n.catalog, n.schema, err));
    return c->ops->get_schema(ctx, c->self, n.catalog, n.schema, out, err);
}

enum lc catalog_alter_schema(const struct ctx *ctx, struct catalog *c, const struct catalog_schema *schema,
                             struct err *err)
{
    return c->ops->alter_schema(ctx, c->self, schema, err);
}

/* ---- functions of the session ---- */
enum lc catalog_put_function(struct catalog *c, const char *name, const struct expr *head, struct err *err)
{
    struct function_head *more;
    size_t i = 0;

    while (i < c->n_functions && strcasecmp(c->functions[i].name, name) != 0)
        i++;
    if (i < c->n_functions) {
        expr_unref(c->functions[i].head);
        c->functions[i].head = expr_ref(head);
        return LC_OK;
    }
    more = mem_reallocn(c->functions, c->n_functions + 1, sizeof *more);
    if (!more)
        return err_nomem(err);
    c->functions = more;
    more[i].name = mem_strdup(name);
    if (!more[i].name)
        return err_nomem(err);
    more[i].head = expr_ref(head);
    c->n_functions++;
    return LC_OK;
}

static struct expr *with_head(const struct expr *head, const struct expr *call)
{
    struct expr **args = mem_calloc(head->n + call->n + 1, sizeof *args), *out;

    if (!args)
        return NULL;
    for (size_t i = 0; i < head->n + call->n; i++)
        args[i] = expr_ref(i < head->n ? head->args[i] : call->args[i - head->n]);
    out = expr_call(head->u.call.name, false, args, head->n + call->n);
    mem_free(args);
    return out ? expr_at(out, call->position) : NULL;
}

static struct expr *session_value(const struct catalog *c, const char *name)
{
    const char *value = NULL;
    char path[2 * CATALOG_NAME_MAX + 64];

    if (strcmp(name, "current_catalog") == 0)
        value = catalog_current(c);
    else if (strcmp(name, "current_schema") == 0 || strcmp(name, "current_database") == 0)
        value = catalog_current_schema(c);
    else if (strcmp(name, "current_path") == 0)
        snprintf(path, sizeof path, "system.builtin,system.session,%s.%s", catalog_current(c),
                 catalog_current_schema(c));
    if (!value && strcmp(name, "current_path") != 0)
        return NULL;
    value = value ? value : path;
    return expr_alias(expr_string(value, strlen(value)),
                      strcmp(name, "current_catalog") == 0 ? "current_catalog()"
                      : strcmp(name, "current_path") == 0  ? "current_path()"
                                                           : "current_schema()");
}

struct expr *catalog_function(struct catalog *c, const struct expr *call)
{
    if (call->n == 0 && strncmp(call->u.call.name, "current_", 8) == 0)
        return session_value(c, call->u.call.name);
    for (size_t i = 0; i < c->n_functions; i++)
        if (strcasecmp(c->functions[i].name, call->u.call.name) == 0)
            return with_head(c->functions[i].head, call);
    return NULL;
}

/* ---- lineage ---- */
enum lc catalog_add_lineage(const struct ctx *ctx, struct catalog *c, const char *operation,
                            const char *table, int64_t version, struct err *err)
{
    return c->ops->add_lineage(ctx, c->self, operation, table, version, err);
}

enum lc catalog_list_lineage(const struct ctx *ctx, struct catalog *c, const char *table, const char *run,
                             size_t limit, struct catalog_lineage_list *out, struct err *err)
{
    return c->ops->list_lineage(ctx, c->self, table, run, limit, out, err);
}
