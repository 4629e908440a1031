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

static int get_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out)
{
    struct rows *r = stream->private_data;
    struct duck_api *api = &r->statement.e->api;
    idx_t n = api->duckdb_column_count(&r->statement.result);
    duckdb_logical_type *types = mem_calloc(n, sizeof *types);
    const char **names = mem_calloc(n, sizeof *names);
    duckdb_error_data bad = NULL;
    int code = 0;

    if (types && names) {
        for (idx_t i = 0; i < n; i++) {
            types[i] = api->duckdb_column_logical_type(&r->statement.result, i);
            names[i] = i < r->schema->n_fields ? r->schema->fields[i].name
                                               : api->duckdb_column_name(&r->statement.result, i);
        }
        bad = api->duckdb_to_arrow_schema(r->options, types, names, n, out);
        for (idx_t i = 0; i < n; i++)
            api->duckdb_destroy_logical_type(&types[i]);
        if (bad)
            code = take_error(r, bad);
    } else {
        err_nomem(&r->err);
        code = ENOMEM;
    }
    mem_free(types);
    mem_free(names);
    return code;
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

static void release(struct ArrowArrayStream *stream)
{
    struct rows *r = stream->private_data;

    if (r->options)
        r->statement.e->api.duckdb_destroy_arrow_options(&r->options);
    statement_close(&r->statement);
    dtype_unref(r->schema);
    mem_free(r);
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
    *out = (struct ArrowArrayStream){.get_schema = get_schema,
                                     .get_next = get_next,
                                     .get_last_error = get_last_error,
                                     .release = release,
                                     .private_data = r};
    return LC_OK;
}
