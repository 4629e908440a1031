/* records.c: lacus_records(path, separator): a file's records as texts, a buffer at a time. An empty separator means lines, which end
 * with \n, \r\n or \r; bytes that are not UTF-8 become U+FFFD, as in Spark. */
#include "runtime/base/buf.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"
#include "runtime/dataframe/engines/duckdb/duck.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { FIRST_SIZE = 1 << 20, RECORD_MAX = 1 << 27 };

struct source { /* what was asked for */
    const struct duck_api *api;
    char *path, *separator; /* owned */
};

struct reader {
    const struct source *source; /* borrowed */
    int fd;
    char *data; /* owned; bytes start … end are unread */
    size_t start, end, cap;
    bool at_end;
};

/* Addresses in a library that is opened once per process and never closed: each is written with one value only. */
static __typeof__(&duckdb_bind_get_extra_info) bind_get_extra_info;
static __typeof__(&duckdb_init_get_bind_data) init_get_bind_data;
static __typeof__(&duckdb_function_get_init_data) function_get_init_data;

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

    if (r->fd >= 0)
        close(r->fd);
    mem_free(r->data);
    mem_free(r);
}

static char *text_parameter(const struct duck_api *api, duckdb_bind_info info, idx_t i)
{
    duckdb_value v = api->duckdb_bind_get_parameter(info, i);
    char *theirs = api->duckdb_get_varchar(v), *text = theirs ? mem_strdup(theirs) : NULL;

    api->duckdb_free(theirs);
    api->duckdb_destroy_value(&v);
    return text;
}

static void bind(duckdb_bind_info info)
{
    const struct duck_api *api = __atomic_load_n(&bind_get_extra_info, __ATOMIC_ACQUIRE)(info);
    struct source *s = mem_zalloc(sizeof *s);
    duckdb_logical_type text = api->duckdb_create_logical_type(DUCKDB_TYPE_VARCHAR);

    api->duckdb_bind_add_result_column(info, "value", text);
    api->duckdb_destroy_logical_type(&text);
    if (s) {
        s->api = api;
        s->path = text_parameter(api, info, 0);
        s->separator = text_parameter(api, info, 1);
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
    const struct source *s = __atomic_load_n(&init_get_bind_data, __ATOMIC_ACQUIRE)(info);
    struct reader *r = mem_zalloc(sizeof *r);
    char message[600];

    if (!r || !(r->data = mem_alloc(FIRST_SIZE))) {
        s->api->duckdb_init_set_error(info, "out of memory");
        mem_free(r);
        return;
    }
    r->source = s;
    r->cap = FIRST_SIZE;
    r->fd = open(s->path, O_RDONLY | O_CLOEXEC);
    if (r->fd < 0) {
        snprintf(message, sizeof message, "[FAILED_READ_FILE] cannot open '%.400s': %s", s->path,
                 strerror(errno));
        s->api->duckdb_init_set_error(info, message);
        free_reader(r);
        return;
    }
    s->api->duckdb_init_set_max_threads(info, 1);
    s->api->duckdb_init_set_init_data(info, r, free_reader);
}

/* Reads on, behind what is unread; an error's text, or NULL. */
static const char *fill(struct reader *r)
{
    ssize_t n;

    if (r->start) {
        memmove(r->data, r->data + r->start, r->end - r->start);
        r->end -= r->start;
        r->start = 0;
    }
    if (r->end == r->cap) {
        char *grown = r->cap < RECORD_MAX ? mem_realloc(r->data, r->cap * 2) : NULL;

        if (!grown)
            return r->cap < RECORD_MAX ? "out of memory"
                                       : "[FAILED_READ_FILE] a record is longer than 128 MiB";
        r->data = grown;
        r->cap *= 2;
    }
    do
        n = read(r->fd, r->data + r->end, r->cap - r->end);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return "[FAILED_READ_FILE] reading failed";
    r->at_end = n == 0;
    r->end += (size_t)n;
    return NULL;
}

/* The end of the line in data; *skip: bytes of its ending. NULL: not there (yet). */
static char *line_end(const struct reader *r, char *data, size_t len, size_t *skip)
{
    char *newline = memchr(data, '\n', len), *back;

    *skip = 1;
    back = memchr(data, '\r', newline ? (size_t)(newline - data) : len);
    if (!back)
        return newline;
    if (back + 1 == data + len && !r->at_end)
        return NULL; /* the \n may follow */
    *skip = back + 1 < data + len && back[1] == '\n' ? 2 : 1;
    return back;
}

/* The next record, in place; false at the end. */
static bool next(struct reader *r, const char **record, size_t *len, const char **error)
{
    const char *separator = r->source->separator;
    size_t n = strlen(separator), from = 0; /* from: what was searched in vain already */

    for (;;) {
        char *data = r->data + r->start, *end;
        size_t unread = r->end - r->start, skip = n;

        end = n ? memmem(data + from, unread - from, separator, n)
                : line_end(r, data + from, unread - from, &skip);
        if (end || (r->at_end && unread)) {
            *record = data;
            *len = end ? (size_t)(end - data) : unread;
            r->start += *len + (end ? skip : 0);
            return true;
        }
        if (r->at_end)
            return false;
        from = n ? (unread >= n ? unread - n + 1 : 0) : (unread ? unread - 1 : 0);
        *error = fill(r);
        if (*error)
            return false;
    }
}

static void store_repaired(const struct duck_api *api, duckdb_vector v, idx_t row, const char *s, size_t len)
{
    struct buf b = BUF_INIT((size_t)RECORD_MAX * 3);

    for (size_t i = 0; i < len;) {
        uint32_t code;
        size_t n = utf8_decode(s + i, len - i, &code);

        if (n)
            buf_add(&b, s + i, n);
        else
            buf_puts(&b, "\xEF\xBF\xBD");
        i += n ? n : 1;
    }
    if (buf_ok(&b))
        api->duckdb_vector_assign_string_element_len(v, row, buf_str(&b), b.len);
    buf_release(&b);
}

static void produce(duckdb_function_info info, duckdb_data_chunk output)
{
    struct reader *r = __atomic_load_n(&function_get_init_data, __ATOMIC_ACQUIRE)(info);
    const struct duck_api *api = r->source->api;
    duckdb_vector v = api->duckdb_data_chunk_get_vector(output, 0);
    idx_t row = 0, most = api->duckdb_vector_size();
    const char *record, *error = NULL;
    char message[600];
    size_t len;

    while (row < most && next(r, &record, &len, &error)) {
        if (utf8_valid(record, len))
            api->duckdb_vector_assign_string_element_len(v, row, record, len);
        else
            store_repaired(api, v, row, record, len);
        row++;
    }
    if (error) {
        snprintf(message, sizeof message, "%s: '%.400s'", error, r->source->path);
        api->duckdb_function_set_error(info, message);
        row = 0;
    }
    api->duckdb_data_chunk_set_size(output, row);
}

enum lc duck_register_records(struct engine *e, struct err *err)
{
    struct duck_api *api = &e->api;
    duckdb_table_function f = api->duckdb_create_table_function();
    duckdb_logical_type text = api->duckdb_create_logical_type(DUCKDB_TYPE_VARCHAR);
    duckdb_state state;

    __atomic_store_n(&bind_get_extra_info, api->duckdb_bind_get_extra_info, __ATOMIC_RELEASE);
    __atomic_store_n(&init_get_bind_data, api->duckdb_init_get_bind_data, __ATOMIC_RELEASE);
    __atomic_store_n(&function_get_init_data, api->duckdb_function_get_init_data, __ATOMIC_RELEASE);
    api->duckdb_table_function_set_name(f, "lacus_records");
    api->duckdb_table_function_add_parameter(f, text);
    api->duckdb_table_function_add_parameter(f, text);
    api->duckdb_table_function_set_bind(f, bind);
    api->duckdb_table_function_set_init(f, init);
    api->duckdb_table_function_set_function(f, produce);
    api->duckdb_table_function_set_extra_info(f, api, NULL);
    state = api->duckdb_register_table_function(e->admin, f);
    api->duckdb_destroy_logical_type(&text);
    api->duckdb_destroy_table_function(&f);
    return state == DuckDBSuccess
               ? LC_OK
               : err_set(err, LC_INTERNAL, "DuckDB does not take the function 'lacus_records'");
}
