#include "runtime/dataframe/engines/duckdb/duck.h"
#include <string.h>

static enum lc failed(struct statement *s, const struct watched *w, const char *text, struct err *err)
{
    return duck_fail(s->ctx, w->stopped, text, err);
}

static enum lc prepare(struct statement *s, const char *sql, struct watched *w, struct err *err)
{
    struct duck_api *api = &s->e->api;

    if (api->duckdb_prepare(s->connection, sql, &s->prepared) != DuckDBSuccess)
        return failed(s, w, api->duckdb_prepare_error(s->prepared), err);
    return LC_OK;
}

static enum lc execute(struct statement *s, bool stream, struct watched *w, struct err *err)
{
    struct duck_api *api = &s->e->api;
    duckdb_state state = stream && api->pending_streaming
                             ? api->pending_streaming(s->prepared, &s->pending)
                             : api->duckdb_pending_prepared(s->prepared, &s->pending);

    if (state != DuckDBSuccess)
        return failed(s, w, api->duckdb_pending_error(s->pending), err);
    state = api->duckdb_execute_pending(s->pending, &s->result);
    s->has_result = true;
    return state == DuckDBSuccess ? LC_OK : failed(s, w, api->duckdb_result_error(&s->result), err);
}

enum lc statement_run(struct engine *e, const struct ctx *ctx, const char *sql, bool stream,
                      struct statement *out, struct err *err)
{
    struct watched w;
    enum lc code;

    *out = (struct statement){.e = e, .ctx = ctx};
    TRY(ctx_check(ctx, err));
    if (e->api.duckdb_connect(e->database, &out->connection) != DuckDBSuccess)
        return err_set(err, LC_RUNTIME, "cannot open a connection to DuckDB");
    watch_begin(e, &w, ctx, out->connection);
    code = prepare(out, sql, &w, err);
    if (code == LC_OK)
        code = execute(out, stream, &w, err);
    watch_end(e, &w);
    if (code != LC_OK)
        statement_close(out);
    return code;
}

enum lc statement_fetch(struct statement *s, duckdb_data_chunk *out, struct err *err)
{
    struct duck_api *api = &s->e->api;
    struct watched w;
    const char *text;

    TRY(ctx_check(s->ctx, err));
    watch_begin(s->e, &w, s->ctx, s->connection);
    *out = api->duckdb_fetch_chunk(s->result);
    watch_end(s->e, &w);
    if (*out)
        return LC_OK;
    text = api->duckdb_result_error(&s->result);
    return text && *text ? failed(s, &w, text, err) : ctx_check(s->ctx, err);
}

void statement_close(struct statement *s)
{
    struct duck_api *api = &s->e->api;

    if (s->has_result)
        api->duckdb_destroy_result(&s->result);
    if (s->pending)
        api->duckdb_destroy_pending(&s->pending);
    if (s->prepared)
        api->duckdb_destroy_prepare(&s->prepared);
    if (s->connection)
        api->duckdb_disconnect(&s->connection);
    s->has_result = false;
}

enum lc duck_execute(struct engine *e, const struct ctx *ctx, const char *sql, struct err *err)
{
    struct statement s;

    TRY(statement_run(e, ctx, sql, false, &s, err));
    statement_close(&s);
    return LC_OK;
}
