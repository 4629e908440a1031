/* stream.c: a statement's rows as an Arrow C stream. */
#include "runtime/dataframe/engines/duckdb/stream.h"
#include "runtime/base/mem.h"
#include "runtime/dataframe/engines/duckdb/duck.h"
#include <errno.h>
#include <string.h>

struct rows {
    struct statement statement;
    const struct dtype *schema; /* owned: the user's names */
    duckdb_arrow_options options;
    duckdb_logical_type *types; /* owned, n of them */
    char **names;               /* owned */
    idx_t n;
    struct err err;
    bool ended;
};

static int errno_of(enum lc code)
{
    return code == LC_CANCELLED || code == LC_TIMEOUT ? ECANCELED : (code == LC_NOMEM ? ENOMEM : EIO);
}

static int take_error(struct rows *r, duckdb_error_data bad)
{
    struct duck_api *api = &r->statement.e->api;

    duck_fail(r->statement.ctx, false, api->duckdb_error_data_message(bad), &r->err);
    api->duckdb_destroy_error_data(&bad);
    return EIO;
}

/* The types are asked for at the start: later the result may be with a thread that fetches, or gone. */
static bool take_columns(struct rows *r)
{
    struct duck_api *api = &r->statement.e->api;

    r->n = api->duckdb_column_count(&r->statement.result);
    r->types = mem_calloc(r->n, sizeof *r->types);
    r->names = mem_calloc(r->n, sizeof *r->names);
    for (idx_t i = 0; r->types && r->names && i < r->n; i++) {
        r->types[i] = api->duckdb_column_logical_type(&r->statement.result, i);
        r->names[i] = mem_strdup(i < r->schema->n_fields ? r->schema->fields[i].name
                                                         : api->duckdb_column_name(&r->statement.result, i));
        if (!r->names[i])
            return false;
    }
    return r->types && r->names;
}

static void free_columns(struct rows *r)
{
    for (idx_t i = 0; r->types && i < r->n; i++)
        if (r->types[i])
            r->statement.e->api.duckdb_destroy_logical_type(&r->types[i]);
    for (idx_t i = 0; r->names && i < r->n; i++)
        mem_free(r->names[i]);
    mem_free(r->types);
    mem_free(r->names);
}

static int get_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out)
{
    struct rows *r = stream->private_data;
    duckdb_error_data bad = r->statement.e->api.duckdb_to_arrow_schema(
        r->options, r->types, (const char **)(uintptr_t)r->names, r->n, out);

    return bad ? take_error(r, bad) : 0;
}

static int get_next(struct ArrowArrayStream *stream, struct ArrowArray *out)
{
    struct rows *r = stream->private_data;
    struct duck_api *api = &r->statement.e->api;
    duckdb_data_chunk chunk = NULL;
    duckdb_error_data bad;
    enum lc code;

    memset(out, 0, sizeof *out);
    if (r->ended)
        return 0;
    code = statement_fetch(&r->statement, &chunk, &r->err);
    if (code != LC_OK)
        return errno_of(code);
    if (!chunk) {
        r->ended = true;
        return 0;
    }
    bad = api->duckdb_data_chunk_to_arrow(r->options, chunk, out);
    api->duckdb_destroy_data_chunk(&chunk);
    return bad ? take_error(r, bad) : 0;
}

static const char *get_last_error(struct ArrowArrayStream *stream)
{
    struct rows *r = stream->private_data;

    return r->err.message;
}

static void free_rows(struct rows *r)
{
    if (r->options)
        r->statement.e->api.duckdb_destroy_arrow_options(&r->options);
    free_columns(r);
    statement_close(&r->statement);
    dtype_unref(r->schema);
    mem_free(r);
}

static void release(struct ArrowArrayStream *stream)
{
    free_rows(stream->private_data);
    stream->release = NULL;
}

enum lc duck_stream(struct engine *e, const struct ctx *ctx, const char *sql, const struct dtype *schema,
                    struct ArrowArrayStream *out, struct err *err)
{
    struct rows *r = mem_zalloc(sizeof *r);
    enum lc code = r ? statement_run(e, ctx, sql, STATEMENT_STREAM, &r->statement, err) : err_nomem(err);

    if (code != LC_OK) {
        mem_free(r);
        return code;
    }
    r->schema = dtype_ref(schema);
    r->options = e->api.duckdb_result_get_arrow_options(&r->statement.result);
    if (!take_columns(r)) {
        free_rows(r);
        return err_nomem(err);
    }
    *out = (struct ArrowArrayStream){.get_schema = get_schema,
                                     .get_next = get_next,
                                     .get_last_error = get_last_error,
                                     .release = release,
                                     .private_data = r};
    return LC_OK;
}
