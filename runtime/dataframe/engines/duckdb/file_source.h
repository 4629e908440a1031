/* file_source.h: what a table function over files is told, in JSON: the files, and what its kind of file needs besides.
 *
 * What      the bind of such a function: reads the JSON, lets the kind take its options and columns, names the columns c0, c1, ….
 * Ownership a source is a struct of the kind that begins with a struct file_source; DuckDB frees it with the kind's `release`.
 * Errors    of the kind's `take`, or out of memory: the query fails with their message.
 * Threads   bind: any; a bound source is only read.
 *
 * Example:
 *     static enum lc take(struct file_source *s, struct err *err)
 *     {
 *         (void)err;
 *         s->n_out = 1;
 *         return LC_OK;
 *     }
 *     static duckdb_logical_type text(const struct file_source *s, size_t i)
 *     {
 *         (void)i;
 *         return s->api->duckdb_create_logical_type(DUCKDB_TYPE_VARCHAR);
 *     }
 *     static void release(void *source)
 *     {
 *         file_source_free(source);
 *     }
 *     static void bind(duckdb_bind_info info)
 *     {
 *         static const struct file_source_kind lines = {sizeof(struct file_source), take, text, release};
 *
 *         file_source_bind(info, &lines);
 *     }
 */
#ifndef LACUS_DATAFRAME_ENGINES_DUCKDB_FILE_SOURCE_H
#define LACUS_DATAFRAME_ENGINES_DUCKDB_FILE_SOURCE_H
#include "runtime/dataframe/engines/duckdb/table_function.h"
#include <jansson.h>

struct file_source {
    const struct duck_api *api;
    json_t *json;       /* owned; files point into it */
    const char **files; /* owned array */
    size_t n_files;
    size_t n_out; /* columns that come out; set by `take` */
};

struct file_source_kind {
    size_t size; /* of the struct that begins with a file_source */
    enum lc (*take)(struct file_source *s, struct err *err); /* what the kind needs of s->json */
    duckdb_logical_type (*type)(const struct file_source *s,
                                size_t i); /* of a column that comes out; the caller's */
    void (*release)(void *source);         /* also of one that is zero-filled or half taken */
};

void file_source_bind(duckdb_bind_info info, const struct file_source_kind *kind);
void file_source_free(
    struct file_source *s); /* the whole struct with what file_source owns: the end of a kind's release */
#endif
