#include "runtime/mlflow/lineage.h"
#include "runtime/base/mem.h"
#include "runtime/catalog/catalog.h"
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

void lineage_close(struct lineage *l)
{
    if (!l)
        return;
    catalog_close(l->catalog);
    mem_free(l);
}
