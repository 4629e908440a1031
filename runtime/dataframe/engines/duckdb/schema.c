/* schema.c: what columns files have, in Spark's types. */
#include "runtime/base/mem.h"
#include "runtime/dataframe/engines/duckdb/duck.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What a DuckDB type is in Spark; *exact: DuckDB's own type for that is the same, so no cast is needed. */
static const struct {
    duckdb_type duck;
    enum dtype_id id;
    bool exact;
} rows[] = {
    {DUCKDB_TYPE_BOOLEAN, DTYPE_BOOLEAN, true},
    {DUCKDB_TYPE_TINYINT, DTYPE_BYTE, true},
    {DUCKDB_TYPE_SMALLINT, DTYPE_SHORT, true},
    {DUCKDB_TYPE_INTEGER, DTYPE_INT, true},
    {DUCKDB_TYPE_BIGINT, DTYPE_LONG, true},
    {DUCKDB_TYPE_UTINYINT, DTYPE_SHORT, false},
    {DUCKDB_TYPE_USMALLINT, DTYPE_INT, false},
    {DUCKDB_TYPE_UINTEGER, DTYPE_LONG, false},
    {DUCKDB_TYPE_FLOAT, DTYPE_FLOAT, true},
    {DUCKDB_TYPE_DOUBLE, DTYPE_DOUBLE, true},
    {DUCKDB_TYPE_VARCHAR, DTYPE_STRING, true},
    {DUCKDB_TYPE_BLOB, DTYPE_BINARY, true},
    {DUCKDB_TYPE_DATE, DTYPE_DATE, true},
    {DUCKDB_TYPE_TIMESTAMP, DTYPE_TIMESTAMP_NTZ, true},
    {DUCKDB_TYPE_TIMESTAMP_TZ, DTYPE_TIMESTAMP, true},
    {DUCKDB_TYPE_TIMESTAMP_S, DTYPE_TIMESTAMP_NTZ, false},
    {DUCKDB_TYPE_TIMESTAMP_MS, DTYPE_TIMESTAMP_NTZ, false},
    {DUCKDB_TYPE_TIMESTAMP_NS, DTYPE_TIMESTAMP_NTZ, false},
    {DUCKDB_TYPE_INTERVAL, DTYPE_INTERVAL, true},
};

static const struct dtype *from_duck(struct duck_api *api, duckdb_logical_type t, bool *exact);

static const struct dtype *struct_from(struct duck_api *api, duckdb_logical_type t, bool *exact)
{
    idx_t n = api->duckdb_struct_type_child_count(t);
    const struct dtype *s = dtype_struct_new(n);

    for (idx_t i = 0; s && i < n; i++) {
        duckdb_logical_type child = api->duckdb_struct_type_child_type(t, i);
        char *name = api->duckdb_struct_type_child_name(t, i);

        s = dtype_struct_add(s, name, from_duck(api, child, exact), true, NULL);
        api->duckdb_free(name);
        api->duckdb_destroy_logical_type(&child);
    }
    return s;
}

static const struct dtype *from_duck(struct duck_api *api, duckdb_logical_type t, bool *exact)
{
    duckdb_type id = api->duckdb_get_type_id(t);
    duckdb_logical_type a, b;
    const struct dtype *key, *value;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].duck == id) {
            *exact = *exact && rows[i].exact;
            return dtype_of(rows[i].id);
        }
    switch (id) {
    case DUCKDB_TYPE_DECIMAL:
        return dtype_decimal(api->duckdb_decimal_width(t), api->duckdb_decimal_scale(t));
    case DUCKDB_TYPE_HUGEINT:
    case DUCKDB_TYPE_UBIGINT:
        *exact = false;
        return dtype_decimal(id == DUCKDB_TYPE_UBIGINT ? 20 : 38, 0);
    case DUCKDB_TYPE_LIST:
        a = api->duckdb_list_type_child_type(t);
        value = from_duck(api, a, exact);
        api->duckdb_destroy_logical_type(&a);
        return dtype_array(value, true);
    case DUCKDB_TYPE_MAP:
        a = api->duckdb_map_type_key_type(t);
        b = api->duckdb_map_type_value_type(t);
        key = from_duck(api, a, exact);
        value = from_duck(api, b, exact);
        api->duckdb_destroy_logical_type(&a);
        api->duckdb_destroy_logical_type(&b);
        return dtype_map(key, value, true);
    case DUCKDB_TYPE_STRUCT:
        return struct_from(api, t, exact);
    default: /* UUID, TIME, ENUM, … are texts to Spark */
        *exact = false;
        return dtype_of(DTYPE_STRING);
    }
}

static const struct dtype *named_schema(struct duck_api *api, duckdb_result *r, bool parquet)
{
    idx_t n = api->duckdb_column_count(r);
    const struct dtype *s = dtype_struct_new(n);

    for (idx_t i = 0; s && i < n; i++) {
        duckdb_logical_type t = api->duckdb_column_logical_type(r, i);
        bool exact = true;
        const struct dtype *type = from_duck(api, t, &exact);
        const char *name = api->duckdb_column_name(r, i);

        api->duckdb_destroy_logical_type(&t);
        s = dtype_struct_add(s, name, type, true, exact || !parquet ? NULL : "cast");
    }
    return s;
}

enum lc duck_source_schema(void *self, const struct ctx *ctx, const struct plan *read,
                           const struct dtype **schema, struct err *err)
{
    struct engine *e = self;
    struct buf sql = BUF_INIT((size_t)64 << 20);
    const char *format = read->u.source.format;
    struct statement s;
    enum lc code;

    if (strcmp(format, "text") == 0) {
        *schema = dtype_struct_add(dtype_struct_new(1), "value", dtype_of(DTYPE_STRING), true, NULL);
        return *schema ? LC_OK : err_nomem(err);
    }
    if (strcasecmp(format, "binaryfile") == 0) {
        const struct dtype *b =
            dtype_struct_add(dtype_struct_new(4), "path", dtype_of(DTYPE_STRING), true, NULL);

        b = dtype_struct_add(b, "modificationTime", dtype_of(DTYPE_TIMESTAMP), true, NULL);
        b = dtype_struct_add(b, "length", dtype_of(DTYPE_LONG), true, NULL);
        *schema = dtype_struct_add(b, "content", dtype_of(DTYPE_BINARY), true, NULL);
        return *schema ? LC_OK : err_nomem(err);
    }
    if (strcmp(format, "csv") == 0)
        return duck_csv_schema(e, ctx, read, schema, err);
    if (strcmp(format, "json") == 0)
        return duck_json_schema(ctx, read, schema, err);
    buf_puts(&sql, "SELECT * FROM ");
    code = sql_source(read, NULL, &sql, err);
    buf_puts(&sql, " LIMIT 0");
    if (code == LC_OK)
        code = buf_check(&sql, err);
    if (code == LC_OK)
        code = statement_run(e, ctx, buf_str(&sql), STATEMENT_READ, &s, err);
    buf_release(&sql);
    if (code != LC_OK)
        return code;
    *schema = named_schema(&e->api, &s.result, strcmp(format, "parquet") == 0);
    statement_close(&s);
    return *schema ? LC_OK : err_nomem(err);
}
