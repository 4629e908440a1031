/* write.c: rows to files. They are written in a folder of their own beside their place and moved when all are complete. */
#include "runtime/base/clock.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/dataframe/engines/duckdb/duck.h"
#include "runtime/dataframe/folder.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

struct writing {
    struct engine *e;
    const struct ctx *ctx;
    const struct write_spec *spec;
    char *staging; /* owned */
    char id[UUID_TEXT];
    struct written_files *out;
    struct err *err;
};

static const char *option(const struct writing *w, const char *key, const char *otherwise)
{
    const char *v = plan_option(w->spec->options, key);

    return v ? v : otherwise;
}

static bool truth(const struct writing *w, const char *key)
{
    return strcasecmp(option(w, key, "false"), "true") == 0;
}

static void put_text(struct buf *b, const char *name, const char *value)
{
    buf_printf(b, ", %s ", name);
    sql_quote_text(b, value, strlen(value));
}

/* ---- the statement ---- */
static enum lc put_parquet(struct writing *w, struct buf *b)
{
    static const char *const known[] = {"snappy", "zstd", "gzip", "uncompressed", "lz4", "brotli"};
    const char *codec = option(w, "compression", "snappy");

    if (strcasecmp(codec, "none") == 0)
        codec = "uncompressed";
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcasecmp(known[i], codec) == 0) {
            buf_printf(b, "FORMAT parquet, COMPRESSION %s, RETURN_STATS true", known[i]);
            return LC_OK;
        }
    return err_set(
        w->err, LC_ARG,
        "the Parquet compression '%.60s' is not known; there are snappy, zstd, gzip, lz4, brotli, none",
        codec);
}

static void put_compression(struct writing *w, struct buf *b)
{
    const char *codec = option(w, "compression", "none");

    if (strcasecmp(codec, "gzip") == 0 || strcasecmp(codec, "zstd") == 0)
        put_text(b, "COMPRESSION", codec);
}

static bool is_lines(const struct writing *w)
{
    return strcmp(w->spec->format, "csv") == 0 || strcmp(w->spec->format, "json") == 0;
}

static enum lc put_format(struct writing *w, struct buf *b)
{
    const char *encoding = option(w, "encoding", option(w, "charset", "UTF-8"));

    if (strcmp(w->spec->format, "parquet") == 0)
        return put_parquet(w, b);
    if (strcasecmp(encoding, "UTF-8") != 0 && strcasecmp(encoding, "UTF8") != 0)
        return err_set(w->err, LC_UNSUPPORTED,
                       "cannot write with the encoding '%.60s': files are written in UTF-8", encoding);
    if (is_lines(w) || strcmp(w->spec->format, "text") == 0) {
        buf_printf(b, "FORMAT csv, HEADER %s, QUOTE '', ESCAPE '', DELIMITER '\x1f', NULLSTR ''",
                   strcmp(w->spec->format, "csv") == 0 && truth(w, "header") ? "true" : "false");
        put_compression(w, b);
        if (plan_option(w->spec->options, "lineSep"))
            put_text(b, "NEW_LINE", plan_option(w->spec->options, "lineSep"));
    } else {
        err_set(w->err, LC_UNSUPPORTED,
                "[DATA_SOURCE_NOT_FOUND] Failed to find the data source: %.60s. SQLSTATE: 42K02",
                w->spec->format);
        return err_hint(w->err, "formats are parquet, csv, json, text and delta");
    }
    return LC_OK;
}

static const char *suffix(const struct writing *w)
{
    const char *codec = option(w, "compression", "");
    bool gzip = strcasecmp(codec, "gzip") == 0, zstd = strcasecmp(codec, "zstd") == 0;

    if (strcmp(w->spec->format, "parquet") == 0)
        return "parquet";
    if (strcmp(w->spec->format, "csv") == 0)
        return gzip ? "csv.gz" : (zstd ? "csv.zst" : "csv");
    if (strcmp(w->spec->format, "json") == 0)
        return gzip ? "json.gz" : (zstd ? "json.zst" : "json");
    return gzip ? "txt.gz" : (zstd ? "txt.zst" : "txt");
}

static bool has_struct(const struct dtype *t)
{
    return t->id == DTYPE_STRUCT || ((t->id == DTYPE_ARRAY || t->id == DTYPE_MAP) && has_struct(t->element));
}

/* Patterns are for columns: inside of arrays, maps and structs times keep their form, which is not what was asked for. */
static const char *lost_pattern(const struct writing *w, const struct dtype *t, bool inside)
{
    const char *found = NULL, *name = t->id == DTYPE_DATE            ? "dateFormat"
                                      : t->id == DTYPE_TIMESTAMP     ? "timestampFormat"
                                      : t->id == DTYPE_TIMESTAMP_NTZ ? "timestampNTZFormat"
                                                                     : NULL;

    if (name)
        return inside && plan_option(w->spec->options, name) ? name : NULL;
    if (t->id == DTYPE_ARRAY || t->id == DTYPE_MAP)
        return lost_pattern(w, t->element, true);
    for (size_t i = 0; t->id == DTYPE_STRUCT && i < t->n_fields && !found; i++)
        found = lost_pattern(w, t->fields[i].type, true);
    return found;
}

static enum lc check_columns(struct writing *w, const struct dtype *schema)
{
    bool text = strcmp(w->spec->format, "text") == 0;

    for (size_t i = 0; i < schema->n_fields; i++) {
        if (!*schema->fields[i].name) {
            err_set(w->err, LC_ENGINE, "column %zu has no name: it cannot be written as %s", i + 1,
                    w->spec->format);
            return err_hint(w->err, "name it: df:withColumnRenamed(\"\", \"name\")");
        }
        if (dtype_field_index(schema, schema->fields[i].name) == -2)
            return err_set(w->err, LC_ENGINE,
                           "[COLUMN_ALREADY_EXISTS] The column `%s` already exists. Choose another name or "
                           "rename the existing "
                           "column. SQLSTATE: 42711",
                           schema->fields[i].name);
        if (strcmp(w->spec->format, "csv") == 0 && !dtype_is_atomic(schema->fields[i].type))
            return err_set(w->err, LC_ENGINE,
                           "[UNSUPPORTED_DATA_TYPE_FOR_DATASOURCE] The CSV datasource doesn't support the "
                           "column `%s` of a nested "
                           "type. SQLSTATE: 0A000",
                           schema->fields[i].name);
        const char *lost = lost_pattern(w, schema->fields[i].type, false);

        if (lost && strcmp(w->spec->format, "json") == 0)
            return err_set(
                w->err, LC_UNSUPPORTED,
                "cannot write the column '%.200s' with %s: it is for columns, not for times inside of them",
                schema->fields[i].name, lost);
        if (strcmp(w->spec->format, "json") == 0 && has_struct(schema->fields[i].type) &&
            strcasecmp(option(w, "ignoreNullFields", "true"), "false") == 0)
            return err_set(w->err, LC_UNSUPPORTED,
                           "cannot write the column '%.200s' with ignoreNullFields = false: fields inside of "
                           "it that are "
                           "NULL would be left out",
                           schema->fields[i].name);
        if (schema->fields[i].type->id == DTYPE_NULL && strcmp(w->spec->format, "parquet") == 0)
            return err_set(w->err, LC_ENGINE,
                           "[UNSUPPORTED_DATA_TYPE_FOR_DATASOURCE] The Parquet datasource doesn't support "
                           "the column `%s` of the type "
                           "\"VOID\": cast it. SQLSTATE: 0A000",
                           schema->fields[i].name);
    }
    for (size_t i = 0; i < w->spec->n_partition; i++)
        if (dtype_field_index(schema, w->spec->partition_by[i]) < 0)
            return err_set(w->err, LC_ENGINE,
                           "[COLUMN_NOT_DEFINED_IN_TABLE] the partition column `%s` is not among the "
                           "columns. SQLSTATE: 42703",
                           w->spec->partition_by[i]);
    if (w->spec->n_partition && w->spec->n_partition >= schema->n_fields)
        return err_set(w->err, LC_ENGINE,
                       "[ALL_PARTITION_COLUMNS_NOT_ALLOWED] Cannot use all columns for partition columns. "
                       "SQLSTATE: KD005");
    if (text && (schema->n_fields != 1 + w->spec->n_partition || schema->fields[0].type->id != DTYPE_STRING))
        return err_set(w->err, LC_ENGINE, "the text format writes one column of type string; this has %zu",
                       schema->n_fields);
    return LC_OK;
}

/* FIELD_IDS {a: 1, b: {__duckdb_field_id: 2}}: nested columns have one for themselves, not for their parts. */
static void put_field_ids(const struct writing *w, const struct dtype *schema, struct buf *b)
{
    bool any = false;

    for (size_t i = 0; w->spec->field_ids && i < schema->n_fields; i++) {
        bool partition = false;

        for (size_t k = 0; k < w->spec->n_partition; k++)
            partition |= strcasecmp(w->spec->partition_by[k], schema->fields[i].name) == 0;
        if (partition || w->spec->field_ids[i] <= 0)
            continue;
        buf_puts(b, any ? ", " : ", FIELD_IDS {");
        any = true;
        sql_quote_name(b, schema->fields[i].name);
        buf_printf(b, ": {__duckdb_field_id: %" PRId64 "}", w->spec->field_ids[i]);
    }
    buf_puts(b, any ? "}" : "");
}

/* A value as Spark has it in a folder's name, where DuckDB's text is another: an empty text is NULL, an instant has no zone. */
static bool put_folder_value(const struct writing *w, const struct dfield *f, bool first, struct buf *b)
{
    static const struct {
        enum dtype_id id;
        const char *before, *after;
    } forms[] = {{DTYPE_STRING, "nullif(", ", '')"},
                 {DTYPE_TIMESTAMP, "CAST(", " AS TIMESTAMP)"},
                 {DTYPE_DOUBLE, "lacus_java_number(CAST(", " AS VARCHAR))"},
                 {DTYPE_FLOAT, "lacus_java_number(CAST(", " AS VARCHAR))"}};
    size_t i = 0;

    while (i < sizeof forms / sizeof *forms && forms[i].id != f->type->id)
        i++;
    if (i == sizeof forms / sizeof *forms || (w->spec->zones && f->type->id == DTYPE_TIMESTAMP))
        return false;
    buf_puts(b, first ? "SELECT * REPLACE (" : ", ");
    buf_puts(b, forms[i].before);
    sql_quote_name(b, f->name);
    buf_puts(b, forms[i].after);
    buf_puts(b, " AS ");
    sql_quote_name(b, f->name);
    return true;
}

static void put_query(const struct writing *w, const struct sql_query *q, struct buf *b)
{
    size_t changed = 0;

    for (size_t i = 0; i < w->spec->n_partition; i++) {
        const struct dfield *f = &q->schema->fields[dtype_field_index(q->schema, w->spec->partition_by[i])];

        changed += put_folder_value(w, f, changed == 0, b);
    }
    buf_puts(b, changed ? ") FROM (" : "");
    if (strcmp(w->spec->format, "csv") == 0)
        duck_put_lines(b, q, w->spec);
    else
        buf_puts(b, q->sql);
    buf_puts(b, changed ? ")" : "");
}

static enum lc put_statement(struct writing *w, const struct sql_query *q, struct buf *b)
{
    buf_puts(b, "COPY (");
    put_query(w, q, b);
    buf_puts(b, ") TO ");
    if (w->spec->n_partition) {
        sql_quote_text(b, w->staging, strlen(w->staging));
    } else {
        char *name = mem_printf("part-00000-%s-c000.%s", w->id, suffix(w)),
             *path = name ? fs_join(w->staging, name) : NULL;

        if (path)
            sql_quote_text(b, path, strlen(path));
        mem_free(name);
        mem_free(path);
        if (!path)
            return err_nomem(w->err);
    }
    buf_puts(b, " (");
    TRY(put_format(w, b));
    put_field_ids(w, q->schema, b);
    if (w->spec->n_partition) {
        buf_puts(b, ", PARTITION_BY (");
        for (size_t i = 0; i < w->spec->n_partition; i++) {
            buf_puts(b, i ? ", " : "");
            sql_quote_name(b, q->schema->fields[dtype_field_index(q->schema, w->spec->partition_by[i])].name);
        }
        buf_printf(b, "), OVERWRITE_OR_IGNORE true, FILENAME_PATTERN 'part-{i}-%s-c000', FILE_EXTENSION '%s'",
                   w->id, suffix(w));
    }
    buf_putc(b, ')');
    return buf_check(b, w->err);
}

/* ---- what was written ---- */
static char *text_at(struct writing *w, duckdb_vector v, idx_t row)
{
    duckdb_string_t *s = (duckdb_string_t *)w->e->api.duckdb_vector_get_data(v) + row;
    uint64_t *valid = w->e->api.duckdb_vector_get_validity(v);

    if (valid && !w->e->api.duckdb_validity_row_is_valid(valid, row))
        return NULL;
    return mem_strndup(w->e->api.duckdb_string_t_data(s), w->e->api.duckdb_string_t_length(*s));
}

/* "a"."b ""c" → a.b "c */
static char *unquoted(const char *s)
{
    struct buf b = BUF_INIT(1 << 16);

    for (; *s; s++) {
        if (*s == '"' && s[1] == '"')
            buf_putc(&b, *s++);
        else if (*s != '"')
            buf_putc(&b, *s);
    }
    return buf_take(&b);
}

struct entries { /* one row of a MAP column */
    duckdb_vector keys, values;
    idx_t first, n;
};

static struct entries entries_at(struct writing *w, duckdb_vector map, idx_t row)
{
    struct duck_api *api = &w->e->api;
    duckdb_list_entry *list = (duckdb_list_entry *)api->duckdb_vector_get_data(map) + row;
    uint64_t *valid = api->duckdb_vector_get_validity(map);
    duckdb_vector pairs = api->duckdb_list_vector_get_child(map);
    struct entries e = {api->duckdb_struct_vector_get_child(pairs, 0),
                        api->duckdb_struct_vector_get_child(pairs, 1), 0, 0};

    if (!valid || api->duckdb_validity_row_is_valid(valid, row)) {
        e.first = list->offset;
        e.n = list->length;
    }
    return e;
}

/* DuckDB leaves NaN out of the bounds, and to Spark it is greater than any number: with one there are none. */
static void read_stats(struct writing *w, struct entries facts, struct column_stats *c)
{
    bool has_nan = false;

    c->null_count = -1;
    for (idx_t i = facts.first; i < facts.first + facts.n; i++) {
        char *key = text_at(w, facts.keys, i), *value = text_at(w, facts.values, i);

        if (key && value && strcmp(key, "min") == 0) {
            c->min = value;
            value = NULL;
        } else if (key && value && strcmp(key, "max") == 0) {
            c->max = value;
            value = NULL;
        } else if (key && value && strcmp(key, "null_count") == 0) {
            c->null_count = strtoll(value, NULL, 10);
        } else if (key && value && strcmp(key, "has_nan") == 0) {
            has_nan = strcmp(value, "true") == 0;
        }
        mem_free(key);
        mem_free(value);
    }
    if (has_nan) {
        mem_free(c->min);
        mem_free(c->max);
        c->min = c->max = NULL;
    }
}

static enum lc read_columns(struct writing *w, duckdb_vector map, idx_t row, struct written_file *f)
{
    struct entries columns = entries_at(w, map, row);

    f->columns = mem_calloc(columns.n, sizeof *f->columns);
    if (!f->columns)
        return err_nomem(w->err);
    for (idx_t i = 0; i < columns.n; i++) {
        char *quoted = text_at(w, columns.keys, columns.first + i);
        struct column_stats *c = &f->columns[f->n_columns];

        c->name = quoted ? unquoted(quoted) : NULL;
        mem_free(quoted);
        if (!c->name)
            return err_nomem(w->err);
        f->n_columns++;
        read_stats(w, entries_at(w, columns.values, columns.first + i), c);
    }
    return LC_OK;
}

static enum lc read_partition(struct writing *w, duckdb_vector map, idx_t row, struct written_file *f)
{
    struct entries keys = entries_at(w, map, row);

    f->partition = mem_calloc(w->spec->n_partition, sizeof *f->partition);
    if (!f->partition)
        return err_nomem(w->err);
    f->n_partition = w->spec->n_partition;
    for (idx_t i = keys.first; i < keys.first + keys.n; i++) {
        char *name = text_at(w, keys.keys, i), *plain = name ? unquoted(name) : NULL;

        for (size_t k = 0; plain && k < w->spec->n_partition; k++)
            if (!f->partition[k] && strcasecmp(plain, w->spec->partition_by[k]) == 0)
                f->partition[k] = text_at(w, keys.values, i);
        mem_free(name);
        mem_free(plain);
    }
    return LC_OK;
}

static struct written_file *new_file(struct writing *w)
{
    struct written_file *grown = mem_reallocn(w->out->files, w->out->n + 1, sizeof *grown);

    if (!grown)
        return NULL;
    w->out->files = grown;
    grown[w->out->n] = (struct written_file){.rows = -1};
    return &grown[w->out->n++];
}

static enum lc read_chunk(struct writing *w, duckdb_data_chunk chunk)
{
    struct duck_api *api = &w->e->api;
    duckdb_vector columns[6];

    for (idx_t i = 0; i < 6; i++)
        columns[i] = api->duckdb_data_chunk_get_vector(chunk, i);
    for (idx_t row = 0; row < api->duckdb_data_chunk_get_size(chunk); row++) {
        struct written_file *f = new_file(w);
        char *path = text_at(w, columns[0], row);
        size_t prefix = strlen(w->staging);

        if (!f || !path)
            return mem_free(path), err_nomem(w->err);
        f->path = strncmp(path, w->staging, prefix) == 0 ? mem_strdup(path + prefix + 1) : NULL;
        mem_free(path);
        if (!f->path)
            return err_set(w->err, LC_INTERNAL, "DuckDB wrote a file where it was not told to");
        f->rows = (int64_t)((uint64_t *)api->duckdb_vector_get_data(columns[1]))[row];
        f->size = (int64_t)((uint64_t *)api->duckdb_vector_get_data(columns[2]))[row];
        TRY(read_columns(w, columns[4], row, f));
        if (w->spec->n_partition)
            TRY(read_partition(w, columns[5], row, f));
    }
    return LC_OK;
}

static enum lc read_result(struct writing *w, struct statement *s)
{
    for (;;) {
        duckdb_data_chunk chunk = NULL;
        enum lc code;

        TRY(statement_fetch(s, &chunk, w->err));
        if (!chunk)
            return LC_OK;
        if (strcmp(w->spec->format, "parquet") == 0)
            code = read_chunk(w, chunk);
        else
            code = (w->out->rows = ((int64_t *)w->e->api.duckdb_vector_get_data(
                        w->e->api.duckdb_data_chunk_get_vector(chunk, 0)))[0],
                    LC_OK);
        w->e->api.duckdb_destroy_data_chunk(&chunk);
        TRY(code);
    }
}

/* CSV and JSON: what lies in the folder. */
static enum lc list_folder(struct writing *w, const char *below)
{
    char *folder = *below ? fs_join(w->staging, below) : mem_strdup(w->staging);
    char **names;
    size_t n;
    enum lc code = folder ? fs_list(folder, &names, &n, w->err) : err_nomem(w->err);

    if (code != LC_OK)
        return mem_free(folder), code;
    for (size_t i = 0; i < n && code == LC_OK; i++) {
        char *path = fs_join(folder, names[i]),
             *relative = *below ? fs_join(below, names[i]) : mem_strdup(names[i]);

        if (!path || !relative) {
            code = err_nomem(w->err);
        } else if (fs_is_dir(path)) {
            code = list_folder(w, relative);
        } else {
            struct written_file *f = new_file(w);

            if (!f) {
                code = err_nomem(w->err);
            } else {
                f->size = fs_size(path);
                f->path = relative;
                relative = NULL;
            }
        }
        mem_free(path);
        mem_free(relative);
    }
    fs_free_list(names, n);
    mem_free(folder);
    return code;
}

/* ---- moving ---- */
static enum lc make_parent(struct writing *w, const char *path)
{
    char *parent = mem_strdup(path), *slash;
    enum lc code = parent ? LC_OK : err_nomem(w->err);

    if (code == LC_OK && (slash = strrchr(parent, '/'))) {
        *slash = '\0';
        code = fs_mkdirs(parent, w->err);
    }
    mem_free(parent);
    return code;
}

/* DuckDB escapes the names of folders as in URLs (a%20b=%C3%A9); Spark only what a name cannot hold. */
static char *spark_folders(const char *path)
{
    struct buf out = BUF_INIT(1 << 16);

    for (const char *at = path; *at;) {
        size_t len = strcspn(at, "=/");
        bool file = at[len] == '\0';
        char *name = file ? mem_strndup(at, len) : folder_unescape(at, len);

        if (!name || !(file ? buf_puts(&out, name) : folder_escape(&out, name, strlen(name)))) {
            mem_free(name);
            buf_release(&out);
            return NULL;
        }
        mem_free(name);
        at += len;
        if (*at)
            buf_putc(&out, *at++);
    }
    return buf_take(&out);
}

/* The file's path becomes that of its new place. */
static enum lc move_file(struct writing *w, struct written_file *f)
{
    char *path = w->spec->n_partition ? spark_folders(f->path) : mem_strdup(f->path),
         *from = fs_join(w->staging, f->path), *to = path ? fs_join(w->spec->dir, path) : NULL;
    enum lc code = from && to ? LC_OK : err_nomem(w->err);

    if (code == LC_OK && w->spec->n_partition)
        code = make_parent(w, to);
    if (code == LC_OK && rename(from, to) != 0)
        code = err_errno(w->err, errno, "cannot move a written file to '%s'", to);
    if (code == LC_OK) {
        mem_free(f->path);
        f->path = path;
        path = NULL;
    }
    mem_free(path);
    mem_free(from);
    mem_free(to);
    return code;
}

static enum lc move_all(struct writing *w)
{
    size_t i = 0;
    enum lc code = LC_OK;

    for (; i < w->out->n && code == LC_OK; i++) {
        code = move_file(w, &w->out->files[i]);
        w->out->bytes += w->out->files[i].size;
        w->out->rows += w->out->files[i].rows > 0 ? w->out->files[i].rows : 0;
    }
    for (size_t k = 0; code != LC_OK && k + 1 < i; k++) { /* what was moved already goes away again */
        char *path = fs_join(w->spec->dir, w->out->files[k].path);

        if (path)
            unlink(path);
        mem_free(path);
    }
    return code;
}

/* The query becomes that of the rows' lines. */
static enum lc as_lines(struct writing *w, const struct plan *p, struct sql_query *q)
{
    struct sql_env env = duck_env(w->e);
    const struct plan *lines = duck_lines_plan(p, q->schema, w->spec);
    struct sql_query made;
    enum lc code = lines ? sql_encode(w->ctx, lines, &env, &made, w->err) : err_nomem(w->err);

    plan_unref(lines);
    if (code != LC_OK)
        return code;
    sql_query_release(q);
    *q = made;
    return LC_OK;
}

static enum lc write_all(struct writing *w, const struct plan *p)
{
    struct sql_env env = duck_env(w->e);
    struct buf sql = BUF_INIT((size_t)256 << 20);
    struct sql_query q;
    struct statement s;
    enum lc code;

    TRY(sql_encode(w->ctx, p, &env, &q, w->err));
    code = check_columns(w, q.schema);
    if (code == LC_OK && is_lines(w))
        code = as_lines(w, p, &q);
    if (code == LC_OK)
        code = put_statement(w, &q, &sql);
    sql_query_release(&q);
    if (code == LC_OK)
        code = statement_run_into(w->e, w->ctx, buf_str(&sql), w->staging, &s, w->err);
    buf_release(&sql);
    if (code != LC_OK)
        return code;
    code = read_result(w, &s);
    statement_close(&s);
    if (code == LC_OK && strcmp(w->spec->format, "parquet") != 0)
        code = list_folder(w, "");
    return code == LC_OK ? move_all(w) : code;
}

enum lc duck_write_files(struct engine *e, const struct ctx *ctx, const struct plan *p,
                         const struct write_spec *spec, struct written_files *out, struct err *err)
{
    struct writing w = {.e = e, .ctx = ctx, .spec = spec, .out = out, .err = err};
    char name[UUID_TEXT + 16];
    enum lc code;

    *out = (struct written_files){0};
    uuid_make(w.id);
    snprintf(name, sizeof name, "_staging-%s", w.id);
    w.staging = fs_join(spec->dir, name);
    code = w.staging ? fs_mkdirs(w.staging, err) : err_nomem(err);
    if (code == LC_OK)
        code = write_all(&w, p);
    if (w.staging)
        (void)!fs_remove_tree(w.staging, NULL);
    mem_free(w.staging);
    if (code != LC_OK)
        written_files_release(out);
    return code;
}
