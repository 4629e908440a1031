/* cmd_tables.c: lacus tables: catalogs, schemas and tables, and who read or wrote them. */
#include "repl/command.h"
#include "repl/listing.h"
#include "runtime/base/fs.h"
#include "runtime/catalog/catalog.h"
#include "runtime/delta/delta.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct job {
    struct ctx ctx;
    struct catalog *catalog;
    struct arguments a;
    const char *only_catalog, *only_schema; /* NULL: all */
    json_t *rows;
};

/* ---- list -------------------------------------------------------------------------------------------- */

static enum lc add_table(struct job *j, const char *catalog, const char *schema,
                         const struct catalog_item *item, struct err *err)
{
    struct catalog_name name = {{0}, {0}, {0}};
    struct catalog_table t;
    char text[3 * CATALOG_NAME_MAX];
    const char *parts[] = {catalog, schema, item->name};
    json_t *row;

    TRY(catalog_complete_parts(j->catalog, parts, 3, &name, err));
    TRY(catalog_get_table(&j->ctx, j->catalog, &name, &t, err));
    catalog_name_text(&name, text, sizeof text);
    row = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I}", "name", text, "format", t.format ? t.format : "",
                    "kind", t.kind == CATALOG_MANAGED ? "managed" : "external", "location",
                    t.location ? t.location : "", "owner", t.owner ? t.owner : "", "comment",
                    t.comment ? t.comment : "", "created_ms", (json_int_t)t.created_ms);
    catalog_table_release(&t);
    return json_array_append_new(j->rows, row) == 0 ? LC_OK : err_nomem(err);
}

static enum lc add_schema(struct job *j, const char *catalog, const char *schema, struct err *err)
{
    struct catalog_list tables;
    enum lc rc = catalog_list_tables(&j->ctx, j->catalog, catalog, schema, &tables, err);

    if (rc != LC_OK)
        return rc;
    for (size_t i = 0; rc == LC_OK && i < tables.n; i++)
        if (!tables.items[i].temporary)
            rc = add_table(j, catalog, schema, &tables.items[i], err);
    catalog_list_release(&tables);
    return rc;
}

static enum lc add_catalog(struct job *j, const char *catalog, struct err *err)
{
    struct catalog_list schemas;
    enum lc rc;

    if (j->only_schema)
        return add_schema(j, catalog, j->only_schema, err);
    TRY(catalog_list_schemas(&j->ctx, j->catalog, catalog, &schemas, err));
    rc = LC_OK;
    for (size_t i = 0; rc == LC_OK && i < schemas.n; i++)
        rc = add_schema(j, catalog, schemas.items[i].name, err);
    catalog_list_release(&schemas);
    return rc;
}

static enum lc add_all(struct job *j, struct err *err)
{
    struct catalog_list catalogs;
    enum lc rc;

    if (j->only_catalog)
        return add_catalog(j, j->only_catalog, err);
    TRY(catalog_list_catalogs(&j->ctx, j->catalog, &catalogs, err));
    rc = LC_OK;
    for (size_t i = 0; rc == LC_OK && i < catalogs.n; i++)
        rc = add_catalog(j, catalogs.items[i].name, err);
    catalog_list_release(&catalogs);
    return rc;
}

static enum lc list_in(struct job *j, const char *below, struct err *err)
{
    static const struct listing_column columns[] = {
        {"name", "TABLE", LISTING_TEXT},      {"format", "FORMAT", LISTING_TEXT},
        {"kind", "KIND", LISTING_TEXT},       {"created_ms", "CREATED (UTC)", LISTING_TIME},
        {"comment", "COMMENT", LISTING_TEXT}, {0}};
    char catalog[CATALOG_NAME_MAX];

    if (below) {
        size_t n = strcspn(below, ".");
        snprintf(catalog, sizeof catalog, "%.*s", (int)n, below);
        j->only_catalog = catalog;
        j->only_schema = below[n] ? below + n + 1 : NULL;
    }
    j->rows = json_array();
    TRY(add_all(j, err));
    listing_print(j->rows, columns, j->a.json);
    return LC_OK;
}

static enum lc list(void *self, struct err *err)
{
    struct job *j = self;
    return list_in(j, j->a.n_words ? j->a.words[1] : NULL, err);
}

/* lacus tables CATALOG[.SCHEMA] */
static enum lc list_below(void *self, struct err *err)
{
    struct job *j = self;
    return list_in(j, j->a.words[0], err);
}

/* ---- show, history, lineage -------------------------------------------------------------------------- */

static const char *operation_of(const struct delta_history_entry *e)
{
    const char *text = json_string_value(json_object_get(e->info, "operation"));

    return text ? text : "";
}

static enum lc history_rows(struct job *j, const struct catalog_table *t, json_t *rows, struct err *err)
{
    struct delta_history h;

    if (!t->format || strcmp(t->format, "delta") != 0)
        return LC_OK;
    TRY(delta_history(&j->ctx, t->location, 20, &h, err));
    for (size_t i = 0; i < h.n; i++)
        json_array_append_new(rows, json_pack("{s:I, s:I, s:s}", "version", (json_int_t)h.entries[i].version,
                                              "time_ms", (json_int_t)h.entries[i].timestamp_ms, "operation",
                                              operation_of(&h.entries[i])));
    delta_history_release(&h);
    return LC_OK;
}

static void print_table(const struct catalog_table *t, const char *name, const json_t *history)
{
    static const struct listing_column columns[] = {{"version", "VERSION", LISTING_TEXT},
                                                    {"time_ms", "WRITTEN (UTC)", LISTING_TIME},
                                                    {"operation", "OPERATION", LISTING_TEXT},
                                                    {0}};

    printf("%-10s %s\n%-10s %s\n%-10s %s\n%-10s %s\n", "name", name, "format", t->format ? t->format : "",
           "location", t->location ? t->location : "", "owner", t->owner ? t->owner : "");
    if (t->comment)
        printf("%-10s %s\n", "comment", t->comment);
    if (json_array_size(history)) {
        putchar('\n');
        listing_print(history, columns, false);
    }
}

static enum lc show(void *self, struct err *err)
{
    struct job *j = self;
    struct catalog_table t;
    char text[3 * CATALOG_NAME_MAX];
    enum lc rc;

    TRY(catalog_lookup(&j->ctx, j->catalog, j->a.words[1], &t, err));
    catalog_name_text(&t.name, text, sizeof text);
    j->rows = json_array();
    rc = history_rows(j, &t, j->rows, err);
    if (rc == LC_OK && j->a.json) {
        json_t *all = json_pack("{s:s, s:s, s:s, s:s, s:O?, s:O}", "name", text, "format",
                                t.format ? t.format : "", "location", t.location ? t.location : "", "owner",
                                t.owner ? t.owner : "", "properties", t.properties, "history", j->rows);
        listing_print_json(all);
        json_decref(all);
    } else if (rc == LC_OK) {
        print_table(&t, text, j->rows);
    }
    catalog_table_release(&t);
    return rc;
}

static enum lc lineage(void *self, struct err *err)
{
    struct job *j = self;
    static const struct listing_column columns[] = {{"time_ms", "WHEN (UTC)", LISTING_TIME},
                                                    {"operation", "OPERATION", LISTING_TEXT},
                                                    {"table", "TABLE", LISTING_TEXT},
                                                    {"version", "VERSION", LISTING_TEXT},
                                                    {"principal", "BY", LISTING_TEXT},
                                                    {"notebook", "NOTEBOOK", LISTING_TEXT},
                                                    {"run", "RUN", LISTING_TEXT},
                                                    {0}};
    const char *max = arguments_option(&j->a, "--max");
    struct catalog_lineage_list l;

    TRY(catalog_list_lineage(&j->ctx, j->catalog, j->a.words[1], arguments_option(&j->a, "--run"),
                             max ? (size_t)strtoul(max, NULL, 10) : 50, &l, err));
    j->rows = json_array();
    for (size_t i = 0; i < l.n; i++) {
        const struct catalog_lineage *r = &l.rows[i];
        json_array_append_new(j->rows, json_pack("{s:I, s:s, s:s, s:I, s:s, s:s, s:s, s:s, s:s}", "time_ms",
                                                 (json_int_t)r->time_ms, "operation", r->operation, "table",
                                                 r->table, "version", (json_int_t)r->version, "principal",
                                                 r->principal, "notebook", r->notebook, "cell", r->cell,
                                                 "run", r->run, "job", r->job));
    }
    catalog_lineage_list_release(&l);
    listing_print(j->rows, columns, j->a.json);
    return LC_OK;
}

static const struct listing_verb verbs[] = {{"list", "[CATALOG[.SCHEMA]]", list},
                                            {"lineage", "[NAME]", lineage},
                                            {"show", "NAME", show},
                                            {NULL, "", list_below}};

static enum lc open_job(void *self, struct err *err)
{
    struct job *j = self;
    return catalog_open(&j->catalog, err);
}

static void close_job(void *self)
{
    struct job *j = self;

    json_decref(j->rows);
    catalog_close(j->catalog);
}

int cmd_tables(int argc, char **argv)
{
    static const char *const options[] = {"--max", "--run", NULL};
    static const struct listing_command command = {"tables", options, verbs, open_job, close_job};
    struct job j = {.ctx = ctx_background()};

    return listing_run(&command, argc, argv, &j.a, &j);
}
