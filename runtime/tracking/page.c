#include "runtime/tracking/page.h"
#include <stdlib.h>

enum lc page_of(const struct tracker_search *s, int64_t most, int64_t usual, struct page *p, struct err *err)
{
    char *end;

    p->max = s->max_results > 0 ? s->max_results : usual;
    if (p->max > most)
        p->max = most;
    p->offset = 0;
    if (!s->page_token || !*s->page_token)
        return LC_OK;
    p->offset = strtoll(s->page_token, &end, 10);
    if (*end || p->offset < 0 || p->offset > INT64_C(1000000000000))
        return err_set(err, LC_ARG, "'%.60s' is no page token", s->page_token);
    return LC_OK;
}

void page_limit(const struct page *p, struct buf *sql)
{
    buf_printf(sql, " LIMIT %lld OFFSET %lld", (long long)p->max + 1, (long long)p->offset);
}

static enum lc read_rows(const struct ctx *ctx, struct workspace_rows *rows, const struct page *p,
                         page_row_fn *row, void *self, json_t *list, bool *more, struct err *err)
{
    enum lc rc = LC_OK;

    *more = false;
    while (rc == LC_OK && workspace_next(rows, &rc, err)) {
        json_t *item = NULL;
        *more = (int64_t)json_array_size(list) == p->max;
        if (*more)
            break;
        rc = row(self, rows, &item, err);
        if (rc == LC_OK && json_array_append_new(list, item) != 0)
            rc = err_nomem(err);
        if (rc == LC_OK)
            rc = ctx_check(ctx, err);
    }
    return rc;
}

enum lc page_read(const struct ctx *ctx, struct workspace *ws, const struct filter *f, const struct page *p,
                  const char *name, page_row_fn *row, void *self, json_t **out, struct err *err)
{
    struct workspace_rows rows;
    json_t *list = json_array();
    bool more = false;
    enum lc rc = workspace_query_values(ws, &rows, err, buf_str(&f->sql), f->values, f->n_values);

    if (rc == LC_OK)
        rc = read_rows(ctx, &rows, p, row, self, list, &more, err);
    workspace_rows_close(&rows);
    *out = rc == LC_OK ? json_pack("{s:O}", name, list) : NULL;
    json_decref(list);
    if (*out && more)
        json_object_set_new(*out, "next_page_token", json_sprintf("%lld", (long long)(p->offset + p->max)));
    return rc != LC_OK ? rc : *out ? LC_OK : err_nomem(err);
}
