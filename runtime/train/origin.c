#include "runtime/train/origin.h"
#include "runtime/base/mem.h"
#include "runtime/catalog/catalog.h"
#include <stdio.h>
#include <string.h>

enum { ROWS_MOST = 1000 }; /* of lineage, from the newest on */

static enum lc newest(const struct ctx *ctx, size_t most, struct catalog_lineage_list *out, struct err *err)
{
    struct catalog *c = NULL;
    enum lc rc;

    *out = (struct catalog_lineage_list){0};
    TRY(catalog_open(&c, err));
    rc = catalog_list_lineage(ctx, c, NULL, NULL, most, out, err);
    catalog_close(c);
    return rc;
}

enum lc origin_mark(const struct ctx *ctx, int64_t *mark, struct err *err)
{
    struct catalog_lineage_list list;

    TRY(newest(ctx, 1, &list, err));
    *mark = list.n ? list.rows[0].id : 0;
    catalog_lineage_list_release(&list);
    return LC_OK;
}

static bool is_there(const json_t *names, const char *name)
{
    size_t i;
    json_t *v;

    json_array_foreach (names, i, v)
        if (strcmp(json_string_value(v), name) == 0)
            return true;
    return false;
}

static enum lc add(json_t *names, const struct catalog_lineage *row, struct err *err)
{
    char *name = row->version >= 0 ? mem_printf("%s@%lld", row->table, (long long)row->version)
                                   : mem_strdup(row->table);
    bool ok = name && (is_there(names, name) || json_array_append_new(names, json_string(name)) == 0);

    mem_free(name);
    return ok ? LC_OK : err_nomem(err);
}

enum lc origin_tables(const struct ctx *ctx, int64_t mark, json_t **out, struct err *err)
{
    struct catalog_lineage_list list;
    json_t *names;
    enum lc rc;

    TRY(newest(ctx, ROWS_MOST, &list, err));
    names = json_array();
    rc = names ? LC_OK : err_nomem(err);
    for (size_t i = list.n; rc == LC_OK && i > 0; i--) {
        const struct catalog_lineage *row = &list.rows[i - 1];
        if (row->id > mark && strcmp(row->operation, "READ") == 0 &&
            strcmp(row->session, ctx->session ? ctx->session : "") == 0)
            rc = add(names, row, err);
    }
    catalog_lineage_list_release(&list);
    if (rc != LC_OK)
        return json_decref(names), rc;
    *out = names;
    return LC_OK;
}
