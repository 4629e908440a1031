/* scalars.c: registers the C functions and calls them for the rows of DuckDB's vectors. */
#include "runtime/dataframe/engines/duckdb/scalars.h"
#include "runtime/base/mem.h"
#include "runtime/dataframe/engines/duckdb/duck.h"
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MAX_ARGS = 8, TEXT_SIZE = 512, ERROR_SIZE = 300 };

void result_text(struct result *out)
{
    out->text = out->more->data ? out->more->data : (char *)(uintptr_t) "";
    out->len = out->more->len;
    if (!buf_ok(out->more))
        result_error(out, "the result is too long");
}

void result_null(struct result *out)
{
    out->null = true;
}

void result_error(struct result *out, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(out->error, ERROR_SIZE, fmt, args);
    va_end(args);
}

void result_made(struct result *out, size_t from)
{
    result_item(out, (struct value){.i = (int64_t)from, .len = out->more->len - from});
}

void result_item(struct result *out, struct value item)
{
    if (out->n_items == out->cap_items) {
        size_t cap = out->cap_items ? 2 * out->cap_items : 16;
        struct value *items = mem_reallocn(out->items, cap, sizeof *items);

        if (!items) {
            result_error(out, "out of memory");
            return;
        }
        out->items = items;
        out->cap_items = cap;
    }
    out->items[out->n_items++] = item;
}

struct bound { /* what a registered function needs; lives as long as the database */
    const struct duck_api *api;
    const struct scalar *scalar;
};

struct column { /* an argument's rows, found once for all of them */
    const void *data;
    const uint64_t *valid; /* NULL: all are */
    const struct column *child;
};

static struct column column_of(const struct duck_api *api, duckdb_vector v)
{
    return (struct column){.data = api->duckdb_vector_get_data(v),
                           .valid = api->duckdb_vector_get_validity(v)};
}

static bool is_null(const struct column *c, idx_t row)
{
    return c->valid && !(c->valid[row / 64] >> (row % 64) & 1);
}

static void load_flat(char type, const struct column *c, idx_t row, struct value *out)
{
    enum { INLINED = 12 };
    const void *data = c->data;

    *out = (struct value){.null = is_null(c, row)};
    if (out->null)
        return;
    if (type == 'i') {
        out->i = ((const int32_t *)data)[row];
    } else if (type == 'l') {
        out->i = ((const int64_t *)data)[row];
    } else if (type == 'd') {
        out->f = ((const double *)data)[row];
    } else if (type == 'f') {
        out->f = (double)((const float *)data)[row];
    } else if (type == 'o') {
        out->i = ((const bool *)data)[row];
    } else if (type == 'v') {
        const duckdb_interval *i = (const duckdb_interval *)data + row;

        out->i = i->micros;
        out->months = i->months;
        out->days = i->days;
    } else {
        const duckdb_string_t *s = (const duckdb_string_t *)data + row;

        out->len = s->value.inlined.length;
        out->s = out->len <= INLINED ? s->value.inlined.inlined : s->value.pointer.ptr;
    }
}

static bool is_list(char type)
{
    return type == 'S' || type == 'L' || type == 'D' || type == 'B';
}

/* The elements of a list go to the end of pool. */
static void load_list(char type, const struct column *c, idx_t row, struct value *out, struct result *pool)
{
    duckdb_list_entry entry;

    *out = (struct value){.null = is_null(c, row)};
    if (out->null)
        return;
    entry = ((const duckdb_list_entry *)c->data)[row];
    for (idx_t k = 0; k < entry.length; k++) {
        struct value item;

        load_flat((char)tolower((unsigned char)type), c->child, entry.offset + k, &item);
        result_item(pool, item);
    }
    out->n = entry.length;
}

static void invalid(const struct duck_api *api, duckdb_vector v, idx_t row)
{
    api->duckdb_vector_ensure_validity_writable(v);
    api->duckdb_validity_set_row_invalid(api->duckdb_vector_get_validity(v), row);
}

static void store_flat(const struct duck_api *api, char type, duckdb_vector v, void *data, idx_t row,
                       const struct result *r)
{
    if (r->null)
        invalid(api, v, row);
    else if (type == 's' || type == 'b')
        api->duckdb_vector_assign_string_element_len(v, row, r->text, r->len);
    else if (type == 'i')
        ((int32_t *)data)[row] = (int32_t)r->i;
    else if (type == 'd')
        ((double *)data)[row] = r->f;
    else if (type == 'o')
        ((bool *)data)[row] = r->i != 0;
    else
        ((int64_t *)data)[row] = r->i;
}

static void store_list(const struct duck_api *api, char type, duckdb_vector v, idx_t row,
                       const struct result *r)
{
    idx_t at = api->duckdb_list_vector_get_size(v);
    duckdb_vector child;
    void *data;

    ((duckdb_list_entry *)api->duckdb_vector_get_data(v))[row] =
        (duckdb_list_entry){.offset = at, .length = r->null ? 0 : r->n_items};
    if (r->null) {
        invalid(api, v, row);
        return;
    }
    api->duckdb_list_vector_reserve(v, at + r->n_items);
    api->duckdb_list_vector_set_size(v, at + r->n_items);
    child = api->duckdb_list_vector_get_child(v);
    data = api->duckdb_vector_get_data(child);
    for (size_t k = 0; k < r->n_items; k++) {
        const struct value *x = &r->items[k];
        struct result one = {.null = x->null,
                             .i = x->i,
                             .f = x->f,
                             .text = x->s ? (char *)(uintptr_t)x->s
                                          : r->more->data + x->i, /* made here: its place in more */
                             .len = x->len};

        store_flat(api, (char)tolower((unsigned char)type), child, data, at + k, &one);
    }
}

/* DuckDB hands a function its data only through a function of its own. The library is opened once per process and never closed, so
 * this is written with one value only: an address, not state. */
static __typeof__(&duckdb_scalar_function_get_extra_info) get_extra_info;

struct row {            /* what one call of a function works with, over all rows of a chunk */
    struct result pool; /* elements of list arguments */
    struct result out;
    struct buf more;
};

static void call_row(const struct bound *b, const struct column *columns, size_t n_args, idx_t row,
                     struct row *w)
{
    struct value args[MAX_ARGS];
    size_t first[MAX_ARGS];
    bool null = false;

    w->pool.n_items = 0;
    for (size_t a = 0; a < n_args; a++) {
        char type = b->scalar->args[a];

        first[a] = w->pool.n_items;
        if (is_list(type))
            load_list(type, &columns[a], row, &args[a], &w->pool);
        else
            load_flat(type, &columns[a], row, &args[a]);
        null = null || args[a].null;
    }
    for (size_t a = 0; a < n_args; a++)
        if (is_list(b->scalar->args[a]))
            args[a].items = w->pool.items + first[a];
    if (null && !b->scalar->nulls)
        w->out.null = true;
    else
        b->scalar->fn(args, &w->out);
}

static void call(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output)
{
    const struct bound *b = __atomic_load_n(&get_extra_info, __ATOMIC_ACQUIRE)(info);
    const struct scalar *f = b->scalar;
    idx_t n = b->api->duckdb_data_chunk_get_size(input);
    size_t n_args = strlen(f->args), cap = 0;
    struct column columns[MAX_ARGS], children[MAX_ARGS];
    char text[TEXT_SIZE], error[ERROR_SIZE] = "";
    struct row w = {.pool = {.error = error}, .more = BUF_INIT((size_t)1 << 30)};
    struct value *items = NULL;
    struct scalar_memo memo;
    void *data = b->api->duckdb_vector_get_data(output);

    memo.known = false;
    for (size_t a = 0; a < n_args; a++) {
        duckdb_vector v = b->api->duckdb_data_chunk_get_vector(input, a);

        columns[a] = column_of(b->api, v);
        if (is_list(f->args[a])) {
            children[a] = column_of(b->api, b->api->duckdb_list_vector_get_child(v));
            columns[a].child = &children[a];
        }
    }
    for (idx_t row = 0; row < n && !*error; row++) {
        buf_clear(&w.more);
        w.out = (struct result){.text = text,
                                .size = sizeof text,
                                .more = &w.more,
                                .memo = &memo,
                                .error = error,
                                .items = items,
                                .cap_items = cap};
        call_row(b, columns, n_args, row, &w);
        items = w.out.items;
        cap = w.out.cap_items;
        if (is_list(f->result))
            store_list(b->api, f->result, output, row, &w.out);
        else
            store_flat(b->api, f->result, output, data, row, &w.out);
    }
    if (*error)
        b->api->duckdb_scalar_function_set_error(info, error);
    buf_release(&w.more);
    mem_free(items);
    mem_free(w.pool.items);
}

static duckdb_type type_of(char letter)
{
    static const struct {
        char letter;
        duckdb_type type;
    } types[] = {{'i', DUCKDB_TYPE_INTEGER}, {'l', DUCKDB_TYPE_BIGINT},  {'d', DUCKDB_TYPE_DOUBLE},
                 {'f', DUCKDB_TYPE_FLOAT},   {'s', DUCKDB_TYPE_VARCHAR}, {'b', DUCKDB_TYPE_BLOB},
                 {'o', DUCKDB_TYPE_BOOLEAN}, {'v', DUCKDB_TYPE_INTERVAL}};

    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].letter == letter)
            return types[i].type;
    return DUCKDB_TYPE_INVALID;
}

static duckdb_logical_type logical(struct duck_api *api, char letter)
{
    duckdb_logical_type element =
                            api->duckdb_create_logical_type(type_of((char)tolower((unsigned char)letter))),
                        list;

    if (!is_list(letter))
        return element;
    list = api->duckdb_create_list_type(element);
    api->duckdb_destroy_logical_type(&element);
    return list;
}

static enum lc register_one(struct engine *e, const struct scalar *s, struct err *err)
{
    struct duck_api *api = &e->api;
    duckdb_scalar_function f = api->duckdb_create_scalar_function();
    duckdb_logical_type t;
    struct bound *b = mem_zalloc(sizeof *b);
    enum lc code = LC_OK;

    if (!b)
        return api->duckdb_destroy_scalar_function(&f), err_nomem(err);
    *b = (struct bound){.api = api, .scalar = s};
    api->duckdb_scalar_function_set_name(f, s->name);
    for (const char *a = s->args; *a; a++) {
        t = logical(api, *a);
        api->duckdb_scalar_function_add_parameter(f, t);
        api->duckdb_destroy_logical_type(&t);
    }
    t = logical(api, s->result);
    api->duckdb_scalar_function_set_return_type(f, t);
    api->duckdb_destroy_logical_type(&t);
    api->duckdb_scalar_function_set_function(f, call);
    api->duckdb_scalar_function_set_extra_info(f, b, mem_free);
    if (s->nulls)
        api->duckdb_scalar_function_set_special_handling(f);
    if (api->duckdb_register_scalar_function(e->admin, f) != DuckDBSuccess)
        code = err_set(err, LC_INTERNAL, "DuckDB does not take the function '%s'", s->name);
    api->duckdb_destroy_scalar_function(&f);
    return code;
}

enum lc duck_register_scalars(struct engine *e, struct err *err)
{
    static const struct scalar *const tables[] = {scalars_hash,   scalars_text,   scalars_codec,
                                                  scalars_format, scalars_data,   scalars_sketch,
                                                  scalars_time,   scalars_charset};

    __atomic_store_n(&get_extra_info, e->api.duckdb_scalar_function_get_extra_info, __ATOMIC_RELEASE);
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
        for (const struct scalar *s = tables[t]; s->name; s++)
            TRY(register_one(e, s, err));
    return LC_OK;
}
