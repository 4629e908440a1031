#include "runtime/mlflow/lineage.h"
#include "runtime/base/mem.h"
#include "runtime/catalog/catalog.h"
#include "runtime/dataframe/expr.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_MAX = 10000 };

struct lineage {
    struct catalog *catalog; /* owned */
};

static enum lc need(struct lineage **slot, struct err *err)
{
    enum lc rc;

    if (*slot)
        return LC_OK;
    *slot = mem_zalloc(sizeof **slot);
    if (!*slot)
        return err_nomem(err);
    rc = catalog_open(&(*slot)->catalog, err);
    if (rc != LC_OK) {
        mem_free(*slot);
        *slot = NULL;
    }
    return rc;
}

static enum lc note(const struct ctx *ctx, struct tracker *tracker, const char *run,
                    const struct catalog_lineage *row, struct err *err)
{
    char version[24] = "";
    struct tracker_input in = {.name = row->table, .digest = version};
    json_t *source;
    char *text;
    enum lc rc;

    if (row->version >= 0)
        snprintf(version, sizeof version, "%lld", (long long)row->version);
    in.source_type = row->version >= 0 ? "delta_table" : "table";
    source = json_pack("{s:s, s:I}", "table", row->table, "version", (json_int_t)row->version);
    text = source ? json_dumps(source, JSON_COMPACT) : NULL;
    in.source = text;
    rc = text ? tracker_log_input(ctx, tracker, run, &in, err) : err_nomem(err);
    free(text);
    json_decref(source);
    return rc;
}

enum lc lineage_note_inputs(const struct ctx *ctx, struct lineage **slot, struct tracker *tracker,
                            const char *run, struct err *err)
{
    struct catalog_lineage_list list = {.rows = NULL};
    enum lc rc;

    TRY(need(slot, err));
    TRY(catalog_list_lineage(ctx, (*slot)->catalog, NULL, run, ROWS_MAX, &list, err));
    rc = LC_OK;
    for (size_t i = 0; rc == LC_OK && i < list.n; i++)
        if (strcmp(list.rows[i].operation, "READ") == 0)
            rc = note(ctx, tracker, run, &list.rows[i], err);
    catalog_lineage_list_release(&list);
    return rc;
}

enum lc lineage_need_schema(const struct ctx *ctx, struct lineage **slot, const char *model, struct err *err)
{
    struct catalog_schema found = {.comment = NULL};
    char **parts = NULL;
    size_t n = 0;
    enum lc rc;

    TRY(name_split(model, &parts, &n, err));
    rc = n == 3 ? need(slot, err) : LC_OK;
    if (rc == LC_OK && n == 3)
        rc = catalog_get_schema(ctx, (*slot)->catalog, parts[0], parts[1], &found, err);
    catalog_schema_release(&found);
    if (rc == LC_NOTFOUND) {
        err_wrap(err, "[SCHEMA_NOT_FOUND] cannot register the model '%s': there is no schema '%s.%s'", model,
                 parts[0], parts[1]);
        err_hint(err,
                 "make it, or look for a slip in the name: spark:sql(\"CREATE CATALOG IF NOT EXISTS %s\"); "
                 "spark:sql(\"CREATE SCHEMA IF NOT EXISTS %s.%s\")",
                 parts[0], parts[0], parts[1]);
    }
    name_free(parts, n);
    return rc;
}

void lineage_close(struct lineage *l)
{
    if (!l)
        return;
    catalog_close(l->catalog);
    mem_free(l);
}
