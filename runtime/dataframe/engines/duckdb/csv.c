/* csv.c: lacus_csv(what): records of CSV files as columns, with Spark's rules (runtime/dataframe/csv), by all threads.
 *
 * `what` is the JSON that sqlgen's source.c writes: files, options, columns, whether types are to be inferred. A column's
 * "as" is one of the rows of `kinds`. Texts of timestamps, decimals and dates with a pattern are checked here and given to
 * SQL's casts, which know time zones and rounding. */
#include "runtime/base/buf.h"
#include "runtime/base/mem.h"
#include "runtime/dataframe/csv/value.h"
#include "runtime/dataframe/engines/duckdb/blocks.h"
#include "runtime/dataframe/engines/duckdb/csv_records.h"
#include "runtime/dataframe/engines/duckdb/file_source.h"
#include "runtime/dataframe/moment.h"
#include <string.h>
#include <strings.h>

struct cell { /* where a value goes, and what it was read from */
    const struct duck_api *api;
    const struct csv_options *options;
    const struct column *column;
    duckdb_vector vector;
    void *data;
    idx_t row;
};

struct column {
    const struct kind *kind;
    const char *name; /* borrowed from the JSON */
    long field;       /* of the record; -1: the whole record, -2: a part of the path */
    int precision, scale;
};

struct kind {
    const char *as;
    duckdb_type type;
    bool (*put)(const struct cell *c, const char *s, size_t len); /* false: the text is not of this type */
};

struct source {
    struct file_source from; /* names point into its JSON */
    struct csv_options options;
    struct column *columns; /* owned */
    size_t n_columns, n_fields;
    bool infer;
};

struct csv_scan { /* shared by the threads */
    const struct source *source;
    struct blocks blocks;
    size_t *wanted; /* columns of the output; owned */
    size_t n_wanted;
    bool all; /* records are checked for their number of fields */
};

struct reader { /* a thread's */
    struct csv_scan *scan;
    struct csv_records records;
    const char *path;
    bool open, first; /* first: the file's header comes next */
    char **parts;     /* of the path: values of the columns with field -2; owned, and so is the array */
    size_t n_parts;
};

/* ---- values ---- */
#define PUT_INTEGER(name, type, most)                                                                        \
    static bool name(const struct cell *c, const char *s, size_t len)                                        \
    {                                                                                                        \
        int64_t v;                                                                                           \
                                                                                                             \
        if (!csv_to_long(s, len, most, &v))                                                                  \
            return false;                                                                                    \
        ((type *)c->data)[c->row] = (type)v;                                                                 \
        return true;                                                                                         \
    }
PUT_INTEGER(put_byte, int8_t, INT8_MAX)
PUT_INTEGER(put_short, int16_t, INT16_MAX)
PUT_INTEGER(put_int, int32_t, INT32_MAX)
PUT_INTEGER(put_long, int64_t, INT64_MAX)

static bool put_double(const struct cell *c, const char *s, size_t len)
{
    return csv_to_double(c->options, s, len, &((double *)c->data)[c->row]);
}

static bool put_float(const struct cell *c, const char *s, size_t len)
{
    double v;

    if (!csv_to_double(c->options, s, len, &v))
        return false;
    ((float *)c->data)[c->row] = (float)v;
    return true;
}

static bool put_boolean(const struct cell *c, const char *s, size_t len)
{
    return csv_to_boolean(s, len, &((bool *)c->data)[c->row]);
}

static bool put_date(const struct cell *c, const char *s, size_t len)
{
    int64_t days;

    if (!moment_date(s, len, &days) || days > INT32_MAX || days < INT32_MIN)
        return false;
    ((int32_t *)c->data)[c->row] = (int32_t)days;
    return true;
}

static bool put_wall_time(const struct cell *c, const char *s, size_t len)
{
    struct moment m;

    if (!moment_parse(s, len, &m) || m.zone_len || !m.dated)
        return false;
    ((int64_t *)c->data)[c->row] = m.micros;
    return true;
}

static bool put_text(const struct cell *c, const char *s, size_t len)
{
    table_put_text(c->api, c->vector, c->row, s, len);
    return true;
}

static bool put_instant(const struct cell *c, const char *s, size_t len)
{
    struct moment m;

    return moment_parse(s, len, &m) && put_text(c, s, len);
}

static bool put_decimal(const struct cell *c, const char *s, size_t len)
{
    int whole, fraction;
    char text[512];
    size_t n = csv_plain_number(s, len, text, sizeof text);

    return csv_to_decimal(text, n, &whole, &fraction) && whole <= c->column->precision - c->column->scale &&
           put_text(c, text, n);
}

static const struct kind kinds[] = {
    {"string", DUCKDB_TYPE_VARCHAR, put_text},
    {"boolean", DUCKDB_TYPE_BOOLEAN, put_boolean},
    {"tinyint", DUCKDB_TYPE_TINYINT, put_byte},
    {"smallint", DUCKDB_TYPE_SMALLINT, put_short},
    {"int", DUCKDB_TYPE_INTEGER, put_int},
    {"bigint", DUCKDB_TYPE_BIGINT, put_long},
    {"float", DUCKDB_TYPE_FLOAT, put_float},
    {"double", DUCKDB_TYPE_DOUBLE, put_double},
    {"date", DUCKDB_TYPE_DATE, put_date},
    {"timestamp_ntz", DUCKDB_TYPE_TIMESTAMP, put_wall_time},
    {"timestamp", DUCKDB_TYPE_VARCHAR, put_instant},
    {"decimal", DUCKDB_TYPE_VARCHAR, put_decimal},
};

/* ---- bind: what is to be read ---- */
static void free_source(void *p)
{
    struct source *s = p;

    mem_free(s->columns);
    file_source_free(&s->from);
}

static const struct kind *kind_of(const char *as)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (as && strcmp(kinds[i].as, as) == 0)
            return &kinds[i];
    return NULL;
}

static enum lc take_options(struct source *s, struct err *err)
{
    const char *key;
    json_t *value;

    csv_defaults(&s->options);
    json_object_foreach (json_object_get(s->from.json, "options"), key, value)
        TRY(csv_option(&s->options, key, json_string_value(value), err));
    return csv_check(&s->options, err);
}

static enum lc take_columns(struct source *s, struct err *err)
{
    json_t *columns = json_object_get(s->from.json, "columns");

    s->n_columns = json_array_size(columns);
    s->columns = mem_calloc(s->n_columns + 1, sizeof *s->columns);
    if (!s->columns)
        return err_nomem(err);
    for (size_t i = 0; i < s->n_columns; i++) {
        json_t *c = json_array_get(columns, i);
        const char *as = json_string_value(json_object_get(c, "as"));

        s->columns[i] = (struct column){.kind = kind_of(as),
                                        .name = json_string_value(json_object_get(c, "name")),
                                        .field = (long)json_integer_value(json_object_get(c, "field")),
                                        .precision = (int)json_integer_value(json_object_get(c, "precision")),
                                        .scale = (int)json_integer_value(json_object_get(c, "scale"))};
        if (!s->columns[i].kind)
            return err_set(err, LC_INTERNAL, "a column of a CSV file is read as '%s'", as ? as : "");
    }
    return LC_OK;
}

static enum lc take_what(struct file_source *from, struct err *err)
{
    struct source *s = (struct source *)from;

    s->n_fields = (size_t)json_integer_value(json_object_get(from->json, "fields"));
    s->infer = json_is_true(json_object_get(from->json, "infer"));
    TRY(take_options(s, err));
    TRY(take_columns(s, err));
    from->n_out = s->infer ? 1 : s->n_columns;
    return LC_OK;
}

static duckdb_logical_type type_of(const struct file_source *from, size_t i)
{
    const struct source *s = (const struct source *)from;

    return from->api->duckdb_create_logical_type(s->infer ? DUCKDB_TYPE_VARCHAR : s->columns[i].kind->type);
}

static void bind(duckdb_bind_info info)
{
    static const struct file_source_kind csv = {sizeof(struct source), take_what, type_of, free_source};

    file_source_bind(info, &csv);
}

/* ---- the files, block by block ---- */
static void free_scan(void *p)
{
    struct csv_scan *scan = p;

    blocks_release(&scan->blocks);
    mem_free(scan->wanted);
    mem_free(scan);
}

/* Spark counts a record's fields where it reads all of them, or is asked for what is wrong. */
static bool counts_fields(const struct csv_scan *scan)
{
    size_t fields = 0;
    bool corrupt = false;

    for (size_t i = 0; i < scan->n_wanted; i++) {
        const struct column *c = &scan->source->columns[scan->wanted[i]];

        fields += c->field >= 0;
        corrupt = corrupt || c->field == -1;
    }
    return corrupt || fields == scan->source->n_fields;
}

static void init(duckdb_init_info info)
{
    const struct source *s = table_bound(info);
    struct csv_scan *scan = mem_zalloc(sizeof *scan);

    if (scan) {
        scan->source = s;
        scan->n_wanted = s->infer ? 0 : s->from.api->duckdb_init_get_column_count(info);
        scan->wanted = mem_calloc(scan->n_wanted + 1, sizeof *scan->wanted);
    }
    if (!scan || !scan->wanted) {
        mem_free(scan);
        s->from.api->duckdb_init_set_error(info, "out of memory");
        return;
    }
    blocks_init(&scan->blocks, s->from.files, s->from.n_files, s->options.encoding);
    for (size_t i = 0; i < scan->n_wanted; i++)
        scan->wanted[i] = s->from.api->duckdb_init_get_column_index(info, i);
    scan->all = counts_fields(scan);
    s->from.api->duckdb_init_set_max_threads(info, 64);
    s->from.api->duckdb_init_set_init_data(info, scan, free_scan);
}

static void free_reader(void *p)
{
    struct reader *r = p;

    for (size_t i = 0; i < r->n_parts; i++)
        mem_free(r->parts[i]);
    mem_free(r->parts);
    csv_records_close(&r->records);
    mem_free(r);
}

static void init_thread(duckdb_init_info info)
{
    const struct source *s = table_bound(info);
    struct reader *r = mem_zalloc(sizeof *r);

    if (r)
        r->parts = mem_calloc(s->n_columns + 1, sizeof *r->parts);
    if (!r || !r->parts) {
        mem_free(r);
        s->from.api->duckdb_init_set_error(info, "out of memory");
        return;
    }
    r->n_parts = s->n_columns;
    s->from.api->duckdb_init_set_init_data(info, r, free_reader);
}

static bool in_blocks(const struct source *s)
{
    return !s->options.multiline && (!*s->options.line_sep || strcmp(s->options.line_sep, "\n") == 0);
}

/* Values in the path: …/day=2024-01-05/part-0.csv */
static void take_parts(struct reader *r)
{
    const struct source *s = r->scan->source;

    for (size_t i = 0; i < s->n_columns; i++) {
        mem_free(r->parts[i]);
        r->parts[i] = s->columns[i].field == -2 ? sql_path_value(r->path, s->columns[i].name) : NULL;
    }
}

static const char *open_unit(struct reader *r, const struct unit *u)
{
    const struct csv_options *o = &r->scan->source->options;
    const char *failed = u->whole ? csv_records_open(&r->records, o, u->path)
                                  : csv_records_block(&r->records, o, u->path, u->from, u->to);

    if (failed)
        return failed;
    r->path = u->path;
    r->first = u->from == 0;
    r->open = true;
    take_parts(r);
    return NULL;
}

/* ---- records ---- */
/* With enforceSchema off, the header must name the schema's columns. */
static const char *check_header(struct reader *r)
{
    const struct source *s = r->scan->source;

    for (size_t i = 0, k = 0; !s->options.enforce_schema && i < s->n_columns; i++) {
        const struct csv_field *f = k < r->records.row.n ? &r->records.row.fields[k] : NULL;

        if (s->columns[i].field < 0)
            continue;
        if (!f || strlen(s->columns[i].name) != f->len ||
            strncasecmp(s->columns[i].name, f->s, f->len) != 0) {
            snprintf(r->records.lines.in.message, sizeof r->records.lines.in.message,
                     "CSV header does not conform to the schema: column %zu is '%.*s', expected is '%.100s'. "
                     "CSV file: '%.200s'",
                     k + 1, f ? (int)(f->len < 100 ? f->len : 100) : 0, f ? f->s : "", s->columns[i].name,
                     r->path);
            return r->records.lines.in.message;
        }
        k++;
    }
    return NULL;
}

/* The next record of any piece, headers left out. */
static bool next_record(struct reader *r, const char **record, size_t *len, const char **failed)
{
    struct unit u;

    for (;;) {
        if (!r->open) {
            if (!blocks_claim(&r->scan->blocks, in_blocks(r->scan->source), &u))
                return false;
            *failed = open_unit(r, &u);
            if (*failed)
                return false;
        }
        if (csv_records_next(&r->records, false, record, len, failed)) {
            bool header = r->first && r->scan->source->options.header;

            r->first = false;
            if (!header)
                return true;
            *failed = check_header(r);
        } else {
            r->open = false;
        }
        if (*failed)
            return false;
    }
}

/* ---- rows ---- */
static void put_null(const struct cell *c)
{
    c->api->duckdb_vector_ensure_validity_writable(c->vector);
    c->api->duckdb_validity_set_row_invalid(c->api->duckdb_vector_get_validity(c->vector), c->row);
}

/* One value; false: the text is not of the column's type. */
static bool put_value(struct reader *r, const struct cell *c)
{
    const struct source *s = r->scan->source;
    const struct column *column = c->column;
    const char *part = column->field == -2 ? r->parts[column - s->columns] : NULL;
    const struct csv_field *f = column->field >= 0 && (size_t)column->field < r->records.row.n
                                    ? &r->records.row.fields[column->field]
                                    : NULL;
    bool good = true;

    if (f && !csv_is_null(&s->options, f)) {
        good = column->kind->put(c, f->s, f->len);
        if (good)
            return true;
    } else if (part) {
        if (column->kind->put(c, part, strlen(part)))
            return true;
    }
    put_null(c);
    return good;
}

static bool put_row(struct reader *r, struct cell *cells, idx_t row, const char *record, size_t len)
{
    const struct csv_scan *scan = r->scan;
    bool good = !scan->all || r->records.row.n == scan->source->n_fields;

    for (size_t i = 0; i < scan->n_wanted; i++) {
        cells[i].row = row;
        if (cells[i].column->field != -1)
            good = put_value(r, &cells[i]) && good;
    }
    for (size_t i = 0; i < scan->n_wanted; i++)
        if (cells[i].column->field == -1) {
            if (good)
                put_null(&cells[i]);
            else
                put_text(&cells[i], record, len);
        }
    return good;
}

static void say_malformed(struct reader *r, const char *record, size_t len)
{
    snprintf(r->records.lines.in.message, sizeof r->records.lines.in.message,
             "[MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION] Malformed records are detected in record "
             "parsing of %.150s: %.*s. "
             "Parse Mode: FAILFAST. To process malformed records as null result, try setting the option "
             "'mode' as 'PERMISSIVE'. "
             "SQLSTATE: 22023",
             r->path, (int)(len < 100 ? len : 100), record);
}

static idx_t produce_rows(struct reader *r, duckdb_data_chunk output, struct cell *cells, const char **failed)
{
    const struct source *s = r->scan->source;
    idx_t row = 0, most = s->from.api->duckdb_vector_size();
    const char *record;
    size_t len;

    for (size_t i = 0; i < r->scan->n_wanted; i++) {
        duckdb_vector v = s->from.api->duckdb_data_chunk_get_vector(output, i);

        cells[i] = (struct cell){.api = s->from.api,
                                 .options = &s->options,
                                 .column = &s->columns[r->scan->wanted[i]],
                                 .vector = v,
                                 .data = s->from.api->duckdb_vector_get_data(v)};
    }
    while (row < most && next_record(r, &record, &len, failed)) {
        if (put_row(r, cells, row, record, len) || s->options.mode == CSV_PERMISSIVE) {
            row++;
        } else if (s->options.mode == CSV_FAILFAST) {
            say_malformed(r, record, len);
            *failed = r->records.lines.in.message;
        } else { /* the next record takes the row: nothing of this one may stay */
            for (size_t i = 0; i < r->scan->n_wanted; i++) {
                uint64_t *valid = s->from.api->duckdb_vector_get_validity(cells[i].vector);

                if (valid)
                    valid[row / 64] |= UINT64_C(1) << (row % 64);
            }
        }
        if (*failed)
            break;
    }
    return row;
}

/* A row for a piece: the types of its columns, "4,0;3,20;". */
static idx_t produce_guess(struct reader *r, duckdb_data_chunk output, const char **failed)
{
    const struct source *s = r->scan->source;
    struct csv_guess *guesses = mem_calloc(s->n_fields + 1, sizeof *guesses);
    struct buf b = BUF_INIT(1 << 20);
    const char *record;
    size_t len, n = 0;
    bool more = true;

    while (guesses && more && n < 20000) { /* few enough to be stopped soon */
        more = next_record(r, &record, &len, failed);
        for (size_t i = 0; more && i < s->n_fields && i < r->records.row.n; i++)
            if (!csv_is_null(&s->options, &r->records.row.fields[i]))
                csv_guess_add(&guesses[i], &s->options, r->records.row.fields[i].s,
                              r->records.row.fields[i].len);
        n += more;
    }
    for (size_t i = 0; guesses && i < s->n_fields; i++)
        buf_printf(&b, "%d,%d;", (int)guesses[i].type, guesses[i].precision);
    if (!guesses || !buf_ok(&b))
        *failed = "out of memory";
    else if (n)
        s->from.api->duckdb_vector_assign_string_element_len(
            s->from.api->duckdb_data_chunk_get_vector(output, 0), 0, buf_str(&b), b.len);
    mem_free(guesses);
    buf_release(&b);
    return n != 0;
}

static void produce(duckdb_function_info info, duckdb_data_chunk output)
{
    struct reader *r = table_local(info);
    const char *failed = NULL;
    struct cell *cells;
    idx_t rows = 0;

    r->scan = table_global(info);
    cells = mem_calloc(r->scan->n_wanted + 1, sizeof *cells);
    if (!cells)
        failed = "out of memory";
    else
        rows = r->scan->source->infer ? produce_guess(r, output, &failed)
                                      : produce_rows(r, output, cells, &failed);
    if (failed)
        r->scan->source->from.api->duckdb_function_set_error(info, failed);
    r->scan->source->from.api->duckdb_data_chunk_set_size(output, failed ? 0 : rows);
    mem_free(cells);
}

enum lc duck_register_csv(struct engine *e, struct err *err)
{
    static const struct table_function csv = {"lacus_csv", 1, bind, init, init_thread, produce, true};

    return duck_register_table(e, &csv, err);
}
