/* csv_schema.c: the columns of CSV files: named by the first record, typed by all of them if that is asked for. */
#include "runtime/base/mem.h"
#include "runtime/dataframe/csv/value.h"
#include "runtime/dataframe/engines/duckdb/csv_records.h"
#include "runtime/dataframe/engines/duckdb/duck.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct finder {
    struct engine *e;
    const struct ctx *ctx;
    const struct plan *read;
    struct csv_options options;
    char **files; /* owned */
    size_t n_files;
    struct csv_guess *guesses;  /* owned; a column's type so far */
    struct csv_records records; /* at the first record of all files */
    struct err *err;
};

static enum lc find_first(struct finder *f)
{
    bool found = false;

    for (size_t i = 0; i < f->n_files && !found; i++) {
        const char *record, *failed = csv_records_open(&f->records, &f->options, f->files[i]);
        size_t len;

        if (!failed)
            found = csv_records_next(&f->records, true, &record, &len, &failed);
        if (failed)
            return err_set(f->err, LC_IO, "%s", failed);
    }
    if (!found)
        f->records.row.n = 0;
    return LC_OK;
}

/* ---- types ---- */
static void take_guesses(struct csv_guess *guesses, size_t n, const char *text)
{
    for (size_t i = 0; i < n && *text; i++) {
        char *end;
        struct csv_guess g = {.type = (enum csv_type)strtol(text, &end, 10)};

        g.precision = *end == ',' ? (int)strtol(end + 1, &end, 10) : 0;
        guesses[i] = csv_guess_merge(guesses[i], g);
        text = *end == ';' ? end + 1 : end;
    }
}

static void take_chunk(struct finder *f, duckdb_data_chunk chunk)
{
    struct duck_api *api = &f->e->api;
    duckdb_string_t *texts = api->duckdb_vector_get_data(api->duckdb_data_chunk_get_vector(chunk, 0));

    for (idx_t i = 0; i < api->duckdb_data_chunk_get_size(chunk); i++) {
        char *text = mem_strndup(api->duckdb_string_t_data(&texts[i]), api->duckdb_string_t_length(texts[i]));

        if (text)
            take_guesses(f->guesses, f->records.row.n, text);
        mem_free(text);
    }
}

static enum lc infer(struct finder *f)
{
    struct buf sql = BUF_INIT((size_t)64 << 20);
    duckdb_data_chunk chunk = NULL;
    struct statement s;
    enum lc code;

    if (!sql_csv_infer(f->read, f->files, f->n_files, f->records.row.n, &sql))
        return buf_release(&sql), err_nomem(f->err);
    code = buf_check(&sql, f->err);
    if (code == LC_OK)
        code = statement_run(f->e, f->ctx, buf_str(&sql), true, &s, f->err);
    buf_release(&sql);
    if (code != LC_OK)
        return code;
    while ((code = statement_fetch(&s, &chunk, f->err)) == LC_OK && chunk) {
        take_chunk(f, chunk);
        f->e->api.duckdb_destroy_data_chunk(&chunk);
    }
    statement_close(&s);
    return code;
}

/* ---- names ---- */
static bool same_text(const struct csv_field *a, const struct csv_field *b)
{
    return a->len == b->len && strncasecmp(a->s, b->s, a->len) == 0;
}

/* Spark: what has no name is called after its place, and so are names that stand more than once. */
static char *name_of(const struct finder *f, size_t i)
{
    const struct csv_field *own = &f->records.row.fields[i];
    bool twice = false;

    if (!f->options.header || csv_is_null(&f->options, own) || own->len == 0)
        return mem_printf("_c%zu", i);
    for (size_t k = 0; k < f->records.row.n && !twice; k++)
        twice = k != i && !csv_is_null(&f->options, &f->records.row.fields[k]) &&
                same_text(own, &f->records.row.fields[k]);
    return twice ? mem_printf("%.*s%zu", (int)own->len, own->s, i) : mem_strndup(own->s, own->len);
}

/* Bytes of another encoding in a header are U+FFFD, as they are in its records. */
static const struct dtype *add_named(const struct dtype *s, char *name, const struct dtype *t)
{
    struct buf text = BUF_INIT((size_t)1 << 20);

    if (name)
        buf_utf8(&text, name, strlen(name));
    s = dtype_struct_add(s, buf_str(&text), t, true, NULL);
    buf_release(&text);
    mem_free(name);
    return s;
}

static enum lc find_schema(struct finder *f, bool partitioned, const struct dtype **schema)
{
    const struct dtype *s;

    TRY(find_first(f));
    f->guesses = mem_calloc(f->records.row.n + 1, sizeof *f->guesses);
    if (!f->guesses)
        return err_nomem(f->err);
    if (f->options.infer && f->records.row.n)
        TRY(infer(f));
    s = dtype_struct_new(f->records.row.n);
    for (size_t i = 0; s && i < f->records.row.n; i++)
        s = add_named(s, name_of(f, i), csv_guess_dtype(f->guesses[i]));
    if (partitioned)
        s = duck_add_parts(s, f->files, f->n_files);
    *schema = s;
    return s ? LC_OK : err_nomem(f->err);
}

enum lc duck_csv_schema(struct engine *e, const struct ctx *ctx, const struct plan *read,
                        const struct dtype **schema, struct err *err)
{
    struct finder f = {.e = e, .ctx = ctx, .read = read, .err = err};
    bool partitioned;
    enum lc code;

    TRY(sql_csv_options(read, &f.options, err));
    TRY(sql_source_files(read, &f.files, &f.n_files, &partitioned, err));
    code = find_schema(&f, partitioned, schema);
    name_free(f.files, f.n_files);
    mem_free(f.guesses);
    csv_records_close(&f.records);
    return code;
}
