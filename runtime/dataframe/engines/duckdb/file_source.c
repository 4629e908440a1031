#include "runtime/dataframe/engines/duckdb/file_source.h"
#include "runtime/base/mem.h"
#include <stdio.h>

static enum lc take_files(struct file_source *s, struct err *err)
{
    json_t *files = json_object_get(s->json, "files");

    s->n_files = json_array_size(files);
    s->files = mem_calloc(s->n_files + 1, sizeof *s->files);
    if (!s->files)
        return err_nomem(err);
    for (size_t i = 0; i < s->n_files; i++)
        s->files[i] = json_string_value(json_array_get(files, i));
    return LC_OK;
}

static void add_columns(duckdb_bind_info info, const struct file_source *s,
                        const struct file_source_kind *kind)
{
    for (size_t i = 0; i < s->n_out; i++) {
        duckdb_logical_type t = kind->type(s, i);
        char name[24];

        snprintf(name, sizeof name, "c%zu", i);
        s->api->duckdb_bind_add_result_column(info, name, t);
        s->api->duckdb_destroy_logical_type(&t);
    }
}

void file_source_bind(duckdb_bind_info info, const struct file_source_kind *kind)
{
    const struct duck_api *api = table_api(info);
    struct file_source *s = mem_zalloc(kind->size);
    char *text = table_text(info, 0);
    struct err err = {.message = "out of memory"};

    if (s)
        s->api = api;
    if (!s || !text || !(s->json = json_loads(text, 0, NULL)) || take_files(s, &err) != LC_OK ||
        kind->take(s, &err) != LC_OK) {
        api->duckdb_bind_set_error(info, err.message);
        if (s)
            kind->release(s);
    } else {
        add_columns(info, s, kind);
        api->duckdb_bind_set_bind_data(info, s, kind->release);
    }
    mem_free(text);
}

void file_source_free(struct file_source *s)
{
    json_decref(s->json);
    mem_free(s->files);
    mem_free(s);
}
