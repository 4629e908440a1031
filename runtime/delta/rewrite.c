/* Which files a statement changes, and the commit that puts others in their place. */
#include "runtime/base/mem.h"
#include "runtime/dataframe/engines/engine.h"
#include "runtime/dataframe/plan.h"
#include "runtime/delta/delta_int.h"
#include <string.h>

enum lc delta_each_row(const struct ctx *ctx, const struct delta_engine *engine, const struct plan *plan,
                       delta_row_fn *fn, void *arg, struct err *err)
{
    struct ArrowArrayStream stream = {0};
    struct local_data *rows = NULL;
    enum lc rc;

    TRY(engine->ops->execute(engine->engine, ctx, plan, &stream, err));
    TRY(local_from_stream(ctx, &stream, &rows, err));
    rc = LC_OK;
    for (size_t i = 0; rc == LC_OK && i < local_batches(rows); i++) {
        const struct ArrowArray *batch = local_batch(rows, i);
        for (int64_t k = 0; rc == LC_OK && k < batch->length; k++) {
            json_t *row = delta_arrow_json(local_schema(rows), batch, k);
            rc = row ? fn(arg, row, err) : err_nomem(err);
            json_decref(row);
        }
    }
    local_unref(rows);
    return rc;
}

struct marking {
    json_t *places; /* local path → index of the file */
    bool *files;
};

static enum lc mark(void *arg, const json_t *row, struct err *err)
{
    struct marking *m = arg;
    const char *path = json_string_value(json_object_get(row, DELTA_FILE_COLUMN));
    const json_t *at = path ? json_object_get(m->places, path) : NULL;

    if (!at)
        return err_set(err, LC_INTERNAL, "a row comes from the file '%s', which is none of the table's",
                       path ? path : "");
    m->files[json_integer_value(at)] = true;
    return LC_OK;
}

/* The paths that a scan of the snapshot has. */
static json_t *places_of(const struct delta_snapshot *t, struct err *err)
{
    json_t *places = json_object();
    struct scan *s = NULL;

    if (!places || delta_scan(t, t->location, &s, err) != LC_OK) {
        json_decref(places);
        return NULL;
    }
    for (size_t i = 0; i < s->n_files; i++)
        json_object_set_new(places, s->files[i].path, json_integer((json_int_t)i));
    scan_unref(s);
    return places;
}

enum lc delta_mark_files(const struct ctx *ctx, const struct delta_engine *engine,
                         const struct delta_snapshot *t, const struct plan *plan, bool *files,
                         struct err *err)
{
    struct marking m = {places_of(t, err), files};
    enum lc rc;

    if (!m.places)
        return err && err->code != LC_OK ? err->code : LC_NOMEM;
    rc = delta_each_row(ctx, engine, plan, mark, &m, err);
    json_decref(m.places);
    return rc;
}
