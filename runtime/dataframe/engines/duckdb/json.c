/* json.c: lacus_json(what): records of JSON files as columns, with Spark's rules (runtime/dataframe/json), by all threads.
 *
 * `what` is the JSON that sqlgen's source_json.c writes: files, options, the schema and which columns are no fields. Times with
 * zones, decimals and variants go out as texts, which SQL casts. */
#include "runtime/base/civil.h"
#include "runtime/base/mem.h"
#include "runtime/dataframe/csv/value.h"
#include "runtime/dataframe/engines/duckdb/blocks.h"
#include "runtime/dataframe/engines/duckdb/file_source.h"
#include "runtime/dataframe/engines/duckdb/lines.h"
#include "runtime/dataframe/json/record.h"
#include "runtime/dataframe/moment.h"
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum column_kind { COLUMN_FIELD, COLUMN_RECORD, COLUMN_PART };

struct source {
    struct file_source from;
    struct json_options options;
    const struct dtype *schema; /* owned */
    enum column_kind *kinds;    /* owned; per column */
};

struct json_scan { /* shared by the threads */
    const struct source *source;
    struct blocks blocks;
    size_t *wanted, *place; /* columns of the output, and where each is (0: nowhere); owned */
    size_t n_wanted;
};

struct reader { /* a thread's */
    struct json_scan *scan;
    struct lines lines;
    struct record record;
    const char *path, *text;  /* text: the record that is read */
    size_t text_len, element; /* of a list of objects: the next one; 0: none is left */
    bool open, whole;
    struct buf scratch;
};

/* ---- values ---- */
enum fit { FIT_GOOD, FIT_PARTLY, FIT_BAD }; /* FIT_BAD: the value is NULL */

struct put {
    const struct source *source;
    struct record *record;
    struct buf *scratch;
};

static void set_null(const struct duck_api *api, duckdb_vector v, idx_t row)
{
    api->duckdb_vector_ensure_validity_writable(v);
    api->duckdb_validity_set_row_invalid(api->duckdb_vector_get_validity(v), row);
}

static void put_null(const struct put *p, duckdb_vector v, idx_t row, const struct dtype *t)
{
    const struct duck_api *api = p->source->from.api;

    set_null(api, v, row);
    if (t->id == DTYPE_STRUCT)
        for (size_t i = 0; i < t->n_fields; i++)
            put_null(p, api->duckdb_struct_vector_get_child(v, i), row, t->fields[i].type);
    else if (t->id == DTYPE_ARRAY || t->id == DTYPE_MAP)
        ((duckdb_list_entry *)api->duckdb_vector_get_data(v))[row] =
            (duckdb_list_entry){api->duckdb_list_vector_get_size(v), 0};
}

/* A row that a malformed record had may be given out again. */
static void *valid_data(const struct duck_api *api, duckdb_vector v, idx_t row)
{
    uint64_t *valid = api->duckdb_vector_get_validity(v);

    if (valid)
        valid[row / 64] |= UINT64_C(1) << (row % 64);
    return api->duckdb_vector_get_data(v);
}

static enum fit put_text(const struct put *p, duckdb_vector v, idx_t row, const char *s, size_t len)
{
    valid_data(p->source->from.api, v, row);
    table_put_text(p->source->from.api, v, row, s, len);
    return FIT_GOOD;
}

static enum fit put_integer(const struct put *p, duckdb_vector v, idx_t row, const struct dtype *t,
                            const struct record_node *n)
{
    static const int64_t most[] = {[DTYPE_BYTE] = INT8_MAX,
                                   [DTYPE_SHORT] = INT16_MAX,
                                   [DTYPE_INT] = INT32_MAX,
                                   [DTYPE_LONG] = INT64_MAX};
    void *data = valid_data(p->source->from.api, v, row);
    int64_t x;

    if (n->kind != RECORD_INTEGER || !csv_to_long(n->raw, n->raw_len, most[t->id], &x))
        return FIT_BAD;
    if (t->id == DTYPE_BYTE)
        ((int8_t *)data)[row] = (int8_t)x;
    else if (t->id == DTYPE_SHORT)
        ((int16_t *)data)[row] = (int16_t)x;
    else if (t->id == DTYPE_INT)
        ((int32_t *)data)[row] = (int32_t)x;
    else
        ((int64_t *)data)[row] = x;
    return FIT_GOOD;
}

static bool not_a_number(const char *s, size_t len, double *out)
{
    static const struct {
        const char *word;
        double value;
    } words[] = {{"NaN", NAN},      {"Infinity", INFINITY}, {"+Infinity", INFINITY}, {"-Infinity", -INFINITY},
                 {"INF", INFINITY}, {"+INF", INFINITY},     {"-INF", -INFINITY}};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i].word) == len && memcmp(words[i].word, s, len) == 0) {
            *out = words[i].value;
            return true;
        }
    return false;
}

static enum fit put_double(const struct put *p, duckdb_vector v, idx_t row, const struct dtype *t,
                           const struct record_node *n)
{
    void *data = valid_data(p->source->from.api, v, row);
    struct csv_options numbers;
    bool good;
    double x;

    csv_defaults(&numbers);
    if (n->kind == RECORD_INTEGER || n->kind == RECORD_FRACTION)
        good = csv_to_double(&numbers, n->raw, n->raw_len, &x);
    else if (n->kind == RECORD_NOT_A_NUMBER)
        good = not_a_number(n->raw, n->raw_len, &x);
    else
        good = n->kind == RECORD_TEXT && p->source->options.not_numbers &&
               not_a_number(n->text, n->text_len, &x);
    if (!good)
        return FIT_BAD;
    if (t->id == DTYPE_FLOAT)
        ((float *)data)[row] = (float)x;
    else
        ((double *)data)[row] = x;
    return FIT_GOOD;
}

static enum fit put_boolean(const struct put *p, duckdb_vector v, idx_t row, const struct dtype *t,
                            const struct record_node *n)
{
    (void)t;
    if (n->kind != RECORD_TRUE && n->kind != RECORD_FALSE)
        return FIT_BAD;
    ((bool *)valid_data(p->source->from.api, v, row))[row] = n->kind == RECORD_TRUE;
    return FIT_GOOD;
}

static enum fit put_string(const struct put *p, duckdb_vector v, idx_t row, const struct dtype *t,
                           const struct record_node *n)
{
    bool text = n->kind == RECORD_TEXT && t->id != DTYPE_VARIANT;

    return put_text(p, v, row, text ? n->text : n->raw, text ? n->text_len : n->raw_len);
}

static enum fit put_decimal(const struct put *p, duckdb_vector v, idx_t row, const struct dtype *t,
                            const struct record_node *n)
{
    const char *s = n->kind == RECORD_TEXT ? n->text : n->raw;
    size_t len = n->kind == RECORD_TEXT ? n->text_len : n->raw_len;
    int whole, fraction;
    char text[512];

    if (n->kind != RECORD_INTEGER && n->kind != RECORD_FRACTION && n->kind != RECORD_TEXT)
        return FIT_BAD;
    len = csv_plain_number(s, len, text, sizeof text);
    if (!csv_to_decimal(text, len, &whole, &fraction) || whole > t->precision - t->scale)
        return FIT_BAD;
    return put_text(p, v, row, text, len);
}

static enum fit put_date(const struct put *p, duckdb_vector v, idx_t row, const struct dtype *t,
                         const struct record_node *n)
{
    int64_t days;

    (void)t;
    if (n->kind != RECORD_TEXT ||
        (!moment_date(n->text, n->text_len, &days) &&
         !csv_to_long(n->text, n->text_len, INT32_MAX, &days))) /* days since 1970 */
        return FIT_BAD;
    if (days > INT32_MAX || days < INT32_MIN)
        return FIT_BAD;
    ((int32_t *)valid_data(p->source->from.api, v, row))[row] = (int32_t)days;
    return FIT_GOOD;
}

/* A whole number is seconds since 1970. */
static bool moment_of(const struct record_node *n, struct moment *m)
{
    int64_t seconds;

    *m = (struct moment){.dated = true, .zone = "UTC"};
    if (n->kind == RECORD_INTEGER && csv_to_long(n->raw, n->raw_len, INT64_MAX / 1000000, &seconds)) {
        m->micros = seconds * 1000000;
        m->zone_len = 3;
        return true;
    }
    return n->kind == RECORD_TEXT && moment_parse(n->text, n->text_len, m) && m->dated;
}

static enum fit put_wall_time(const struct put *p, duckdb_vector v, idx_t row, const struct dtype *t,
                              const struct record_node *n)
{
    struct moment m;

    (void)t;
    if (n->kind != RECORD_TEXT || !moment_of(n, &m) || m.zone_len)
        return FIT_BAD;
    ((int64_t *)valid_data(p->source->from.api, v, row))[row] = m.micros;
    return FIT_GOOD;
}

/* "2024-01-05 10:00:00.000000+00", or with the name of a region, or of the session's zone: a text that SQL reads. */
static enum fit put_instant(const struct put *p, duckdb_vector v, idx_t row, const struct dtype *t,
                            const struct record_node *n)
{
    struct moment m;
    int64_t offset = 0;
    bool fixed;
    char text[200];
    int64_t day, rest, year;
    int month, mday;

    (void)t;
    if (!moment_of(n, &m))
        return FIT_BAD;
    fixed = m.zone_len && moment_offset(m.zone, m.zone_len, &offset);
    m.micros -= offset * 1000000;
    day = m.micros / 86400000000LL - (m.micros % 86400000000LL < 0);
    rest = m.micros - day * 86400000000LL;
    civil_date(day, &year, &month, &mday);
    if (year < 1 || year > 9999)
        return FIT_BAD;
    snprintf(text, sizeof text, "%04lld-%02d-%02d %02d:%02d:%02d.%06d%s%.*s", (long long)year, month, mday,
             (int)(rest / 3600000000LL), (int)(rest / 60000000LL % 60), (int)(rest / 1000000 % 60),
             (int)(rest % 1000000), fixed ? "+00" : (m.zone_len ? " " : ""),
             fixed ? 0 : (int)(m.zone_len < 100 ? m.zone_len : 100), m.zone_len ? m.zone : "");
    return put_text(p, v, row, text, strlen(text));
}

static int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;

    return at ? (int)(at - digits) : -1;
}

static enum fit put_binary(const struct put *p, duckdb_vector v, idx_t row, const struct dtype *t,
                           const struct record_node *n)
{
    unsigned bits = 0;
    int have = 0;

    (void)t;
    if (n->kind != RECORD_TEXT)
        return FIT_BAD;
    buf_clear(p->scratch);
    for (size_t i = 0; i < n->text_len && n->text[i] != '='; i++) {
        int digit = base64_digit(n->text[i]);

        if (digit < 0)
            return FIT_BAD;
        bits = bits << 6 | (unsigned)digit;
        have += 6;
        if (have >= 8)
            buf_putc(p->scratch, (char)(bits >> (have -= 8) & 0xff));
    }
    valid_data(p->source->from.api, v, row);
    p->source->from.api->duckdb_vector_assign_string_element_len(v, row, buf_str(p->scratch),
                                                                 p->scratch->len);
    return FIT_GOOD;
}

static enum fit put_value(const struct put *p, duckdb_vector v, idx_t row, const struct dtype *t, size_t at);

/* Elements of a list, or values of a map, from `base` on. */
static enum fit put_parts(const struct put *p, duckdb_vector values, duckdb_vector keys, idx_t base,
                          const struct dtype *t, size_t first)
{
    enum fit fit = FIT_GOOD;

    for (size_t i = first; i; i = p->record->nodes[i].next, base++) {
        enum fit one = put_value(p, values, base, t, i);

        if (keys)
            put_text(p, keys, base, p->record->nodes[i].name, p->record->nodes[i].name_len);
        fit = one > fit ? one : fit;
    }
    return fit;
}

static enum fit put_list(const struct put *p, duckdb_vector v, idx_t row, const struct dtype *t, size_t at)
{
    const struct duck_api *api = p->source->from.api;
    bool map = t->id == DTYPE_MAP;
    const struct record_node *n = &p->record->nodes[at];
    idx_t base = api->duckdb_list_vector_get_size(v), count = 0;
    duckdb_vector child;
    enum fit fit;

    if (n->kind != (map ? RECORD_OBJECT : RECORD_LIST))
        return FIT_BAD;
    for (size_t i = n->first; i; i = p->record->nodes[i].next)
        count++;
    if (api->duckdb_list_vector_reserve(v, base + count) != DuckDBSuccess ||
        api->duckdb_list_vector_set_size(v, base + count) != DuckDBSuccess)
        return FIT_BAD;
    ((duckdb_list_entry *)valid_data(api, v, row))[row] = (duckdb_list_entry){base, count};
    child = api->duckdb_list_vector_get_child(v);
    for (idx_t i = 0; map && i < count; i++)
        valid_data(api, child, base + i);
    fit = map ? put_parts(p, api->duckdb_struct_vector_get_child(child, 1),
                          api->duckdb_struct_vector_get_child(child, 0), base, t->element, n->first)
              : put_parts(p, child, NULL, base, t->element, n->first);
    return fit;
}

static enum fit put_struct(const struct put *p, duckdb_vector v, idx_t row, const struct dtype *t, size_t at)
{
    const struct duck_api *api = p->source->from.api;
    enum fit fit = FIT_GOOD;
    size_t hint = 0;

    if (p->record->nodes[at].kind != RECORD_OBJECT)
        return FIT_BAD;
    valid_data(api, v, row);
    for (size_t i = 0; i < t->n_fields; i++)
        put_null(p, api->duckdb_struct_vector_get_child(v, i), row, t->fields[i].type);
    for (size_t i = p->record->nodes[at].first; i; i = p->record->nodes[i].next) {
        const struct record_node *n = &p->record->nodes[i];

        for (size_t k = 0; k < t->n_fields; k++) {
            const struct dfield *f = &t->fields[(hint + k) % t->n_fields];

            if (strlen(f->name) != n->name_len || memcmp(f->name, n->name, n->name_len) != 0)
                continue;
            hint = (hint + k) % t->n_fields;
            if (put_value(p, api->duckdb_struct_vector_get_child(v, hint), row, f->type, i) != FIT_GOOD)
                fit = FIT_PARTLY;
            hint++;
            break;
        }
    }
    return fit;
}

static const struct kind {
    duckdb_type type;
    enum fit (*put)(const struct put *p, duckdb_vector v, idx_t row, const struct dtype *t,
                    const struct record_node *n);
} kinds[DTYPE_COUNT] = {
    [DTYPE_BOOLEAN] = {DUCKDB_TYPE_BOOLEAN, put_boolean},
    [DTYPE_BYTE] = {DUCKDB_TYPE_TINYINT, put_integer},
    [DTYPE_SHORT] = {DUCKDB_TYPE_SMALLINT, put_integer},
    [DTYPE_INT] = {DUCKDB_TYPE_INTEGER, put_integer},
    [DTYPE_LONG] = {DUCKDB_TYPE_BIGINT, put_integer},
    [DTYPE_FLOAT] = {DUCKDB_TYPE_FLOAT, put_double},
    [DTYPE_DOUBLE] = {DUCKDB_TYPE_DOUBLE, put_double},
    [DTYPE_DECIMAL] = {DUCKDB_TYPE_VARCHAR, put_decimal},
    [DTYPE_STRING] = {DUCKDB_TYPE_VARCHAR, put_string},
    [DTYPE_VARIANT] = {DUCKDB_TYPE_VARCHAR, put_string},
    [DTYPE_TIME] = {DUCKDB_TYPE_VARCHAR, put_string},
    [DTYPE_BINARY] = {DUCKDB_TYPE_BLOB, put_binary},
    [DTYPE_DATE] = {DUCKDB_TYPE_DATE, put_date},
    [DTYPE_TIMESTAMP] = {DUCKDB_TYPE_VARCHAR, put_instant},
    [DTYPE_TIMESTAMP_NTZ] = {DUCKDB_TYPE_TIMESTAMP, put_wall_time},
};

static enum fit put_value(const struct put *p, duckdb_vector v, idx_t row, const struct dtype *t, size_t at)
{
    const struct record_node *n = &p->record->nodes[at];
    enum fit fit = FIT_GOOD;

    if (n->kind == RECORD_NULL) {
        put_null(p, v, row, t);
        return FIT_GOOD;
    }
    if (t->id == DTYPE_STRUCT)
        fit = put_struct(p, v, row, t, at);
    else if (t->id == DTYPE_ARRAY || t->id == DTYPE_MAP)
        fit = put_list(p, v, row, t, at);
    else
        fit = kinds[t->id].put ? kinds[t->id].put(p, v, row, t, n) : FIT_BAD;
    if (fit == FIT_BAD)
        put_null(p, v, row, t);
    return fit;
}

/* ---- bind: what is to be read ---- */
static void free_source(void *p)
{
    struct source *s = p;

    dtype_unref(s->schema);
    mem_free(s->kinds);
    file_source_free(&s->from);
}

static enum lc take_what(struct file_source *from, struct err *err)
{
    struct source *s = (struct source *)from;
    json_t *kinds_ = json_object_get(from->json, "kinds");
    const char *key;
    json_t *value;

    json_defaults(&s->options);
    json_object_foreach (json_object_get(from->json, "options"), key, value)
        TRY(json_option(&s->options, key, json_string_value(value), err));
    TRY(dtype_from_json(json_object_get(from->json, "schema"), &s->schema, err));
    from->n_out = s->schema->n_fields;
    s->kinds = mem_calloc(from->n_out + 1, sizeof *s->kinds);
    if (!s->kinds)
        return err_nomem(err);
    for (size_t i = 0; i < from->n_out; i++)
        s->kinds[i] = (enum column_kind)json_integer_value(json_array_get(kinds_, i));
    return LC_OK;
}

static duckdb_logical_type duck_type(const struct duck_api *api, const struct dtype *t)
{
    duckdb_logical_type made, inner[2], *members;
    const char **names;

    if (t->id == DTYPE_ARRAY) {
        inner[0] = duck_type(api, t->element);
        made = api->duckdb_create_list_type(inner[0]);
        api->duckdb_destroy_logical_type(&inner[0]);
        return made;
    }
    if (t->id == DTYPE_MAP) {
        inner[0] = duck_type(api, t->key);
        inner[1] = duck_type(api, t->element);
        made = api->duckdb_create_map_type(inner[0], inner[1]);
        api->duckdb_destroy_logical_type(&inner[0]);
        api->duckdb_destroy_logical_type(&inner[1]);
        return made;
    }
    if (t->id != DTYPE_STRUCT)
        return api->duckdb_create_logical_type(kinds[t->id].put ? kinds[t->id].type : DUCKDB_TYPE_VARCHAR);
    members = mem_calloc(t->n_fields + 1, sizeof(duckdb_logical_type));
    names = mem_calloc(t->n_fields + 1, sizeof *names);
    for (size_t i = 0; members && names && i < t->n_fields; i++) {
        members[i] = duck_type(api, t->fields[i].type);
        names[i] = t->fields[i].name;
    }
    made = members && names ? api->duckdb_create_struct_type(members, names, t->n_fields) : NULL;
    for (size_t i = 0; made && i < t->n_fields; i++)
        api->duckdb_destroy_logical_type(&members[i]);
    mem_free(members);
    mem_free(names);
    return made;
}

static duckdb_logical_type type_of(const struct file_source *from, size_t i)
{
    const struct source *s = (const struct source *)from;

    return s->kinds[i] == COLUMN_FIELD ? duck_type(from->api, s->schema->fields[i].type)
                                       : from->api->duckdb_create_logical_type(DUCKDB_TYPE_VARCHAR);
}

static void bind(duckdb_bind_info info)
{
    static const struct file_source_kind json = {sizeof(struct source), take_what, type_of, free_source};

    file_source_bind(info, &json);
}

/* ---- init ---- */
static void free_scan(void *p)
{
    struct json_scan *scan = p;

    blocks_release(&scan->blocks);
    mem_free(scan->wanted);
    mem_free(scan->place);
    mem_free(scan);
}

static void init(duckdb_init_info info)
{
    const struct source *s = table_bound(info);
    struct json_scan *scan = mem_zalloc(sizeof *scan);

    if (scan) {
        scan->source = s;
        scan->n_wanted = s->from.api->duckdb_init_get_column_count(info);
        scan->wanted = mem_calloc(scan->n_wanted + 1, sizeof *scan->wanted);
        scan->place = mem_calloc(s->schema->n_fields + 1, sizeof *scan->place);
    }
    if (!scan || !scan->wanted || !scan->place) {
        if (scan) {
            mem_free(scan->wanted);
            mem_free(scan->place);
        }
        mem_free(scan);
        s->from.api->duckdb_init_set_error(info, "out of memory");
        return;
    }
    blocks_init(&scan->blocks, s->from.files, s->from.n_files, s->options.encoding);
    for (size_t i = 0; i < scan->n_wanted; i++)
        if ((scan->wanted[i] = s->from.api->duckdb_init_get_column_index(info, i)) < s->schema->n_fields)
            scan->place[scan->wanted[i]] = i + 1;
    s->from.api->duckdb_init_set_max_threads(info, 64);
    s->from.api->duckdb_init_set_init_data(info, scan, free_scan);
}

static void free_reader(void *p)
{
    struct reader *r = p;

    record_release(&r->record);
    lines_close(&r->lines);
    buf_release(&r->scratch);
    mem_free(r);
}

static void init_thread(duckdb_init_info info)
{
    const struct source *s = table_bound(info);
    struct reader *r = mem_zalloc(sizeof *r);

    if (!r) {
        s->from.api->duckdb_init_set_error(info, "out of memory");
        return;
    }
    buf_init(&r->scratch, (size_t)1 << 30);
    s->from.api->duckdb_init_set_init_data(info, r, free_reader);
}

/* ---- records ---- */
static const char *open_unit(struct reader *r, const struct unit *u)
{
    const struct json_options *o = &r->scan->source->options;
    const char *failed;

    r->path = u->path;
    r->open = true;
    r->whole = o->multiline;
    if (u->whole) {
        failed = lines_open(&r->lines, u->path, o->encoding, o->line_sep);
        return failed ? failed : lines_begin(&r->lines, o->multiline);
    }
    int fd = open(u->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return lines_open(&r->lines, u->path, "", ""); /* says why */
    failed = u->to > u->from ? lines_block(&r->lines, fd, u->path, u->from, u->to) : NULL;
    if (u->to <= u->from)
        r->lines.start = r->lines.end = 0, r->lines.at_end = true;
    close(fd);
    return failed ? failed : (u->from == 0 ? lines_begin(&r->lines, false) : NULL);
}

static bool next_text(struct reader *r, const char **failed)
{
    if (!r->whole)
        return lines_next(&r->lines, &r->text, &r->text_len, failed);
    r->text = r->lines.data + r->lines.start;
    r->text_len = r->lines.end - r->lines.start;
    r->lines.start = r->lines.end;
    return r->text_len > 0;
}

static bool list_of_objects(const struct record *r)
{
    for (size_t i = r->nodes[0].first; i; i = r->nodes[i].next)
        if (r->nodes[i].kind != RECORD_OBJECT && r->nodes[i].kind != RECORD_NULL)
            return false;
    return true;
}

/* The next object; *at its node, or *good false: a record that is none. */
static bool next_object(struct reader *r, size_t *at, bool *good, const char **failed)
{
    const struct json_options *o = &r->scan->source->options;
    bool cut = !o->multiline && (!*o->line_sep || strcmp(o->line_sep, "\n") == 0);
    enum record_got got;
    struct unit u;

    for (;;) {
        if (r->element) {
            *at = r->element;
            r->element = r->record.nodes[*at].next;
            return *good = true;
        }
        if (!r->open && !blocks_claim(&r->scan->blocks, cut, &u))
            return false;
        if (!r->open && (*failed = open_unit(r, &u)) != NULL)
            return false;
        if (!next_text(r, failed)) {
            if (*failed)
                return false;
            r->open = false;
            continue;
        }
        got = record_parse(o, r->text, r->text_len, &r->record);
        if (got == RECORD_NOMEM)
            return *failed = "out of memory", false;
        if (got == RECORD_EMPTY)
            continue;
        *at = 0;
        *good =
            got == RECORD_GOOD && (r->record.nodes[0].kind == RECORD_OBJECT ||
                                   (r->record.nodes[0].kind == RECORD_LIST && list_of_objects(&r->record)));
        if (!*good || r->record.nodes[0].kind == RECORD_OBJECT)
            return true;
        r->element = r->record.nodes[0].first;
    }
}

/* ---- rows ---- */
/* The fields that are wanted; of one that is there twice the last counts. */
static bool put_fields(struct reader *r, const struct put *p, duckdb_data_chunk output, idx_t row,
                       size_t object)
{
    const struct source *s = r->scan->source;
    const struct dtype *t = s->schema;
    bool good = true;
    size_t hint = 0;

    for (size_t i = r->record.nodes[object].first; i; i = r->record.nodes[i].next) {
        const struct record_node *n = &r->record.nodes[i];

        for (size_t k = 0; k < t->n_fields; k++) {
            size_t at = (hint + k) % t->n_fields, to = r->scan->place[at];

            if (strlen(t->fields[at].name) != n->name_len ||
                memcmp(t->fields[at].name, n->name, n->name_len) != 0)
                continue;
            if (to && s->kinds[at] == COLUMN_FIELD)
                good = put_value(p, s->from.api->duckdb_data_chunk_get_vector(output, to - 1), row,
                                 t->fields[at].type, i) == FIT_GOOD &&
                       good;
            hint = at + 1;
            break;
        }
    }
    return good;
}

static void put_part(const struct put *p, duckdb_vector v, idx_t row, const char *path, const char *name)
{
    char *value = sql_path_value(path, name);

    if (value)
        put_text(p, v, row, value, strlen(value));
    else
        set_null(p->source->from.api, v, row);
    mem_free(value);
}

static bool put_row(struct reader *r, duckdb_data_chunk output, idx_t row, size_t at, bool good)
{
    const struct json_scan *scan = r->scan;
    const struct source *s = scan->source;
    struct put p = {s, &r->record, &r->scratch};
    bool object = good && r->record.nodes[at].kind == RECORD_OBJECT;

    for (int records = 0; records < 2; records++) { /* the whole record last: is anything wrong with it? */
        for (size_t i = 0; i < scan->n_wanted; i++) {
            duckdb_vector v = s->from.api->duckdb_data_chunk_get_vector(output, i);
            size_t which =
                scan->wanted[i] < s->schema->n_fields ? scan->wanted[i] : 0; /* a row number: any */
            const struct dfield *f = &s->schema->fields[which];
            enum column_kind kind = s->kinds[which];

            if ((kind == COLUMN_RECORD) != (records == 1))
                continue;
            if (kind == COLUMN_PART) {
                put_part(&p, v, row, r->path, f->name);
            } else if (kind == COLUMN_RECORD) {
                if (good)
                    set_null(s->from.api, v, row);
                else
                    put_text(&p, v, row, r->text, r->text_len);
            } else {
                put_null(&p, v, row, f->type);
            }
        }
        if (records == 0 && object)
            good = put_fields(r, &p, output, row, at);
    }
    return good;
}

static void say_malformed(struct reader *r)
{
    snprintf(r->lines.in.message, sizeof r->lines.in.message,
             "[MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION] Malformed records are detected in record "
             "parsing of "
             "%.150s: %.*s. Parse Mode: FAILFAST. To process malformed records as null result, try setting "
             "the option "
             "'mode' as 'PERMISSIVE'. SQLSTATE: 22023",
             r->path, (int)(r->text_len < 100 ? r->text_len : 100), r->text);
}

static void produce(duckdb_function_info info, duckdb_data_chunk output)
{
    struct reader *r = table_local(info);
    const struct source *s;
    const char *failed = NULL;
    idx_t row = 0, most;
    size_t at;
    bool good;

    r->scan = table_global(info);
    s = r->scan->source;
    most = s->from.api->duckdb_vector_size();
    while (row < most && next_object(r, &at, &good, &failed)) {
        good = put_row(r, output, row, at, good);
        if (good || s->options.mode == JSON_PERMISSIVE) {
            row++;
        } else if (s->options.mode == JSON_FAILFAST) {
            say_malformed(r);
            failed = r->lines.in.message;
            break;
        }
    }
    if (failed)
        s->from.api->duckdb_function_set_error(info, failed);
    s->from.api->duckdb_data_chunk_set_size(output, failed ? 0 : row);
}

enum lc duck_register_json(struct engine *e, struct err *err)
{
    static const struct table_function json = {"lacus_json", 1, bind, init, init_thread, produce, true};

    return duck_register_table(e, &json, err);
}
