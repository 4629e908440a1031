/* records.c: lacus_records(path, separator): a file's records as texts, a buffer at a time. An empty separator means lines, which end
 * with \n, \r\n or \r; bytes that are not UTF-8 become U+FFFD, as in Spark. */
#include "runtime/base/mem.h"
#include "runtime/dataframe/engines/duckdb/lines.h"
#include "runtime/dataframe/engines/duckdb/table_function.h"
#include <stdio.h>

struct source { /* what was asked for */
    const struct duck_api *api;
    char *path, *separator; /* owned */
};

struct reader {
    const struct source *source; /* borrowed */
    struct lines lines;
};

static void free_source(void *p)
{
    struct source *s = p;

    mem_free(s->path);
    mem_free(s->separator);
    mem_free(s);
}

static void free_reader(void *p)
{
    struct reader *r = p;

    lines_close(&r->lines);
    mem_free(r);
}

static void bind(duckdb_bind_info info)
{
    const struct duck_api *api = table_api(info);
    struct source *s = mem_zalloc(sizeof *s);
    duckdb_logical_type text = api->duckdb_create_logical_type(DUCKDB_TYPE_VARCHAR);

    api->duckdb_bind_add_result_column(info, "value", text);
    api->duckdb_destroy_logical_type(&text);
    if (s) {
        s->api = api;
        s->path = table_text(info, 0);
        s->separator = table_text(info, 1);
    }
    if (!s || !s->path || !s->separator) {
        api->duckdb_bind_set_error(info, "out of memory");
        if (s)
            free_source(s);
        return;
    }
    api->duckdb_bind_set_bind_data(info, s, free_source);
}

static void init(duckdb_init_info info)
{
    const struct source *s = table_bound(info);
    struct reader *r = mem_zalloc(sizeof *r);
    const char *failed;

    if (!r) {
        s->api->duckdb_init_set_error(info, "out of memory");
        return;
    }
    r->source = s;
    failed = lines_open(&r->lines, s->path, "UTF-8", s->separator);
    if (failed) {
        s->api->duckdb_init_set_error(info, failed);
        free_reader(r);
        return;
    }
    s->api->duckdb_init_set_max_threads(info, 1);
    s->api->duckdb_init_set_init_data(info, r, free_reader);
}

static void produce(duckdb_function_info info, duckdb_data_chunk output)
{
    struct reader *r = table_global(info);
    const struct duck_api *api = r->source->api;
    duckdb_vector v = api->duckdb_data_chunk_get_vector(output, 0);
    idx_t row = 0, most = api->duckdb_vector_size();
    const char *record, *error = NULL;
    char message[600];
    size_t len;

    while (row < most && lines_next(&r->lines, &record, &len, &error))
        table_put_text(api, v, row++, record, len);
    if (error) {
        snprintf(message, sizeof message, "%s: '%.400s'", error, r->source->path);
        api->duckdb_function_set_error(info, message);
        row = 0;
    }
    api->duckdb_data_chunk_set_size(output, row);
}

enum lc duck_register_records(struct engine *e, struct err *err)
{
    static const struct table_function records = {"lacus_records", 2, bind, init, NULL, produce, false};

    return duck_register_table(e, &records, err);
}
