/* local_search.c: search_runs and search_experiments in the workspace database. */
#include "runtime/base/mem.h"
#include "runtime/tracking/filter.h"
#include "runtime/tracking/local_int.h"
#include "runtime/tracking/page.h"
#include <string.h>

enum { PAGE_MAX = 50000 };

#define ATTRIBUTES            "?attributes|attribute|attr|run"
#define OF_RUN(table, column) "(SELECT " column " FROM " table " WHERE run = r.id AND key = ?) {}"
#define OF_INPUT(column)      "EXISTS (SELECT 1 FROM tracking_inputs i WHERE i.run = r.id AND i." column " {})"

static const struct filter_field run_fields[] = {
    {NULL, "metrics|metric", FILTER_NUMBER, OF_RUN("tracking_series", "value")},
    {NULL, "params|param|parameters|parameter", FILTER_TEXT, OF_RUN("tracking_params", "value")},
    {NULL, "tags|tag", FILTER_TEXT, OF_RUN("tracking_tags", "value")},
    {"run_id", ATTRIBUTES, FILTER_TEXT, "r.id {}"},
    {"run_name|run name", ATTRIBUTES, FILTER_TEXT, "r.name {}"},
    {"status", ATTRIBUTES, FILTER_TEXT, "r.status {}"},
    {"user_id|user", ATTRIBUTES, FILTER_TEXT, "r.user {}"},
    {"start_time|created", ATTRIBUTES, FILTER_NUMBER, "r.start_time {}"},
    {"end_time", ATTRIBUTES, FILTER_NUMBER, "r.end_time {}"},
    {"experiment_id", ATTRIBUTES, FILTER_TEXT, "CAST(r.experiment AS TEXT) {}"},
    {"name", "datasets|dataset", FILTER_TEXT, OF_INPUT("name")},
    {"digest", "datasets|dataset", FILTER_TEXT, OF_INPUT("digest")},
    {"context", "datasets|dataset", FILTER_TEXT, OF_INPUT("context")},
    {0},
};

static const struct filter_field experiment_fields[] = {
    {NULL, "tags|tag", FILTER_TEXT,
     "(SELECT value FROM tracking_experiment_tags WHERE experiment = e.id AND key = ?) {}"},
    {"name", "?attributes|attribute|attr", FILTER_TEXT, "e.name {}"},
    {"experiment_id", "?attributes|attribute|attr", FILTER_TEXT, "CAST(e.id AS TEXT) {}"},
    {"creation_time", "?attributes|attribute|attr", FILTER_NUMBER, "e.created {}"},
    {"last_update_time", "?attributes|attribute|attr", FILTER_NUMBER, "e.updated {}"},
    {0},
};

struct question {
    const char *from;  /* "SELECT r.id FROM tracking_runs r WHERE " */
    const char *alias; /* "r" */
    const struct filter_field *fields;
    const char *order; /* the last resort, and the default */
};

static enum lc add_view(struct filter *f, const char *alias, const char *view, struct err *err)
{
    if (!view || strcmp(view, "ACTIVE_ONLY") == 0)
        buf_printf(&f->sql, " AND %s.stage = 'active'", alias);
    else if (strcmp(view, "DELETED_ONLY") == 0)
        buf_printf(&f->sql, " AND %s.stage = 'deleted'", alias);
    else if (strcmp(view, "ALL") != 0)
        return err_set(err, LC_ARG, "no view '%s': there are ACTIVE_ONLY, DELETED_ONLY and ALL", view);
    return LC_OK;
}

static enum lc add_experiments(struct filter *f, const struct tracker_search *s, struct err *err)
{
    struct buf *sql = &f->sql;

    if (s->n_experiments == 0)
        return LC_OK;
    buf_puts(sql, " AND r.experiment IN (");
    for (size_t i = 0; i < s->n_experiments; i++) {
        const char *id = s->experiment_ids[i];
        if (!*id || strlen(id) > 18 || id[strspn(id, "0123456789")])
            return err_set(err, LC_ARG, "'%.60s' is no experiment id", id);
        buf_printf(sql, "%s%s", i ? ", " : "", id);
    }
    buf_puts(sql, ")");
    return LC_OK;
}

static enum lc build(const struct question *q, const struct tracker_search *s, struct filter *f,
                     const struct page *p, struct err *err)
{
    struct buf where = BUF_INIT(FILTER_TEXT_MAX * 4);
    enum lc rc = filter_parse(s->filter, q->fields, f, err);

    if (rc == LC_OK) {
        buf_printf(&where, "%s%s", q->from, buf_str(&f->sql));
        buf_clear(&f->sql);
        buf_puts(&f->sql, buf_str(&where));
        rc = add_view(f, q->alias, s->view, err);
    }
    buf_release(&where);
    TRY(rc);
    TRY(add_experiments(f, s, err));
    buf_puts(&f->sql, " ORDER BY ");
    for (size_t i = 0; i < s->n_order_by; i++) {
        TRY(filter_order(s->order_by[i], q->fields, f, err));
        buf_puts(&f->sql, ", ");
    }
    buf_puts(&f->sql, q->order);
    page_limit(p, &f->sql);
    return buf_check(&f->sql, err);
}

static enum lc search(const struct ctx *ctx, struct local *l, const struct question *q,
                      const struct tracker_search *s, const char *name, page_row_fn *row, json_t **out,
                      struct err *err)
{
    struct filter f;
    struct page p;
    enum lc rc;

    TRY(page_of(s, PAGE_MAX, 1000, &p, err));
    filter_init(&f);
    rc = build(q, s, &f, &p, err);
    if (rc == LC_OK)
        rc = page_read(ctx, l->ws, &f, &p, name, row, l, out, err);
    filter_release(&f);
    return rc;
}

static enum lc run_row(void *self, const struct workspace_rows *rows, json_t **out, struct err *err)
{
    char id[TRACKER_ID_TEXT];

    strncpy(id, workspace_text(rows, 0), sizeof id - 1);
    id[sizeof id - 1] = '\0';
    return local_run_json(self, id, out, err);
}

static enum lc experiment_row(void *self, const struct workspace_rows *rows, json_t **out, struct err *err)
{
    *out = local_experiment_json(self, rows, err);
    return *out ? LC_OK : err ? err->code : LC_NOMEM;
}

enum lc local_search_runs(const struct ctx *ctx, void *self, const struct tracker_search *s, json_t **page,
                          struct err *err)
{
    static const struct question q = {"SELECT r.id FROM tracking_runs r WHERE ", "r", run_fields,
                                      "r.start_time DESC, r.id"};

    *page = NULL;
    TRY(fold_all(ctx, self, err));
    return search(ctx, self, &q, s, "runs", run_row, page, err);
}

enum lc local_search_experiments(const struct ctx *ctx, void *self, const struct tracker_search *s,
                                 json_t **page, struct err *err)
{
    static const struct question q = {"SELECT " LOCAL_EXPERIMENT_COLUMNS
                                      " FROM tracking_experiments e WHERE ",
                                      "e", experiment_fields, "e.updated DESC, e.id DESC"};

    *page = NULL;
    return search(ctx, self, &q, s, "experiments", experiment_row, page, err);
}
