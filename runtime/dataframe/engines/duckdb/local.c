/* local.c: Arrow batches in memory become tables of the database, once, for as long as a plan holds them. */
#include "runtime/base/mem.h"
#include "runtime/dataframe/engines/duckdb/duck.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { SLICE = 2048 }; /* DuckDB's vector size */

static void no_release(struct ArrowArray *a)
{
    a->release = NULL;
}

static void free_view(struct ArrowArray *a)
{
    mem_free(a->children ? (void *)a->children[0] : NULL);
    mem_free(a->children);
    a->release = NULL;
}

/* A view of n rows from `first`; the columns stay with the batch. */
static bool slice(const struct ArrowArray *batch, int64_t first, int64_t n, struct ArrowArray *out)
{
    size_t columns = (size_t)batch->n_children;
    struct ArrowArray *copies = mem_calloc(columns, sizeof *copies),
                      **children = mem_calloc(columns, sizeof *children);

    if (!copies || !children)
        return mem_free(copies), mem_free(children), false;
    for (size_t i = 0; i < columns; i++) {
        copies[i] = *batch->children[i];
        copies[i].offset += batch->offset + first;
        copies[i].length = n;
        copies[i].null_count = copies[i].null_count == 0 ? 0 : -1;
        copies[i].release = no_release;
        children[i] = &copies[i];
    }
    *out = *batch;
    out->children = children;
    out->length = n;
    out->offset = 0;
    out->null_count = 0;
    out->release = free_view;
    out->private_data = NULL;
    if (!columns)
        mem_free(copies);
    return true;
}

static enum lc append_error(struct engine *e, duckdb_error_data data, struct err *err)
{
    enum lc code =
        err_set(err, LC_DATA, "cannot take over rows: %.500s", e->api.duckdb_error_data_message(data));

    e->api.duckdb_destroy_error_data(&data);
    return code;
}

static enum lc append_batch(struct engine *e, const struct ctx *ctx, const struct ArrowArray *batch,
                            duckdb_arrow_converted_schema schema, duckdb_appender to, struct err *err)
{
    for (int64_t first = 0; first < batch->length; first += SLICE) {
        int64_t n = batch->length - first < SLICE ? batch->length - first : SLICE;
        struct ArrowArray view;
        duckdb_data_chunk chunk = NULL;
        duckdb_error_data bad;
        duckdb_state state;

        TRY(ctx_check(ctx, err));
        if (!slice(batch, first, n, &view))
            return err_nomem(err);
        bad = e->api.duckdb_data_chunk_from_arrow(e->admin, &view, schema, &chunk);
        if (view.release)
            view.release(&view);
        if (bad)
            return append_error(e, bad, err);
        state = e->api.duckdb_append_data_chunk(to, chunk);
        e->api.duckdb_destroy_data_chunk(&chunk);
        if (state != DuckDBSuccess)
            return err_set(err, LC_DATA, "cannot take over rows: %.500s", e->api.duckdb_appender_error(to));
    }
    return LC_OK;
}

static enum lc append_all(struct engine *e, const struct ctx *ctx, const struct local_data *data,
                          const char *table, struct err *err)
{
    duckdb_appender to = NULL;
    duckdb_arrow_converted_schema schema = NULL;
    struct ArrowSchema types = *local_schema(data); /* only read; stays the data's */
    duckdb_error_data bad = e->api.duckdb_schema_from_arrow(e->admin, &types, &schema);
    enum lc code = LC_OK;

    if (bad)
        return append_error(e, bad, err);
    if (e->api.duckdb_appender_create(e->admin, NULL, table, &to) != DuckDBSuccess)
        code = err_set(err, LC_RUNTIME, "cannot take over rows: %.500s",
                       to ? e->api.duckdb_appender_error(to) : "no appender");
    for (size_t i = 0; i < local_batches(data) && code == LC_OK; i++)
        code = append_batch(e, ctx, local_batch(data, i), schema, to, err);
    if (to && e->api.duckdb_appender_destroy(&to) != DuckDBSuccess && code == LC_OK)
        code = err_set(err, LC_DATA, "cannot take over rows: DuckDB refused them");
    e->api.duckdb_destroy_arrow_converted_schema(&schema);
    return code;
}

static enum lc admin_query(struct engine *e, const char *sql, struct err *err)
{
    duckdb_result r;
    enum lc code = LC_OK;

    if (e->api.duckdb_query(e->admin, sql, &r) != DuckDBSuccess)
        code = duck_fail(NULL, false, e->api.duckdb_result_error(&r), err);
    e->api.duckdb_destroy_result(&r);
    return code;
}

static enum lc create(struct engine *e, const struct ctx *ctx, const struct plan *local, int64_t number,
                      struct err *err)
{
    struct buf sql = BUF_INIT((size_t)16 << 20);
    char table[40];
    const struct dtype *schema = local->u.local.schema;
    enum lc code;

    snprintf(table, sizeof table, "lacus_local_%" PRId64, number);
    buf_printf(&sql, "CREATE TABLE %s(", table);
    for (size_t i = 0; i < schema->n_fields; i++) {
        buf_printf(&sql, "%sc%zu ", i ? ", " : "", i);
        sql_type(schema->fields[i].type, &sql);
    }
    buf_putc(&sql, ')');
    code = buf_check(&sql, err);
    if (code == LC_OK)
        code = admin_query(e, buf_str(&sql), err);
    if (code == LC_OK && (code = append_all(e, ctx, local->u.local.data, table, err)) != LC_OK) {
        buf_clear(&sql);
        buf_printf(&sql, "DROP TABLE %s", table);
        (void)!admin_query(e, buf_str(&sql), NULL);
    }
    buf_release(&sql);
    return code;
}

/* Drops the tables of data that no plan holds any more. */
static void forget_unused(struct engine *e)
{
    for (size_t i = 0; i < e->n_locals;) {
        char sql[64];

        if (!local_alone(e->locals[i].data)) {
            i++;
            continue;
        }
        snprintf(sql, sizeof sql, "DROP TABLE IF EXISTS lacus_local_%" PRId64, e->locals[i].number);
        (void)!admin_query(e, sql, NULL);
        local_unref(e->locals[i].data);
        e->locals[i] = e->locals[--e->n_locals];
    }
}

static enum lc find_or_create(struct engine *e, const struct ctx *ctx, const struct plan *local,
                              int64_t *number, struct err *err)
{
    struct local_table *grown;

    for (size_t i = 0; i < e->n_locals; i++)
        if (e->locals[i].data == local->u.local.data) {
            *number = e->locals[i].number;
            return LC_OK;
        }
    forget_unused(e);
    grown = mem_reallocn(e->locals, e->n_locals + 1, sizeof *grown);
    if (!grown)
        return err_nomem(err);
    e->locals = grown;
    *number = e->next_local++;
    TRY(create(e, ctx, local, *number, err));
    e->locals[e->n_locals++] = (struct local_table){local_ref(local->u.local.data), *number};
    return LC_OK;
}

enum lc duck_local_table(void *self, const struct ctx *ctx, const struct plan *local, struct buf *from,
                         struct err *err)
{
    struct engine *e = self;
    int64_t number = 0;
    enum lc code;

    pthread_mutex_lock(&e->tables);
    code = find_or_create(e, ctx, local, &number, err);
    pthread_mutex_unlock(&e->tables);
    if (code != LC_OK)
        return code;
    buf_printf(from, "lacus_local_%" PRId64, number);
    return buf_check(from, err);
}

void duck_locals_release(struct engine *e)
{
    for (size_t i = 0; i < e->n_locals; i++)
        local_unref(e->locals[i].data);
    mem_free(e->locals);
}
