#include "runtime/dataframe/engines/duckdb/table_function.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"

/* Addresses in a library that is opened once per process and never closed: each is written with one value only. A
 * callback is given nothing to find them by. */
static __typeof__(&duckdb_bind_get_extra_info) bind_get_extra_info;
static __typeof__(&duckdb_init_get_bind_data) init_get_bind_data;
static __typeof__(&duckdb_function_get_init_data) function_get_init_data;
static __typeof__(&duckdb_function_get_local_init_data) function_get_local_init_data;

#define KEEP(member, api)  __atomic_store_n(&member, (api)->duckdb_##member, __ATOMIC_RELEASE)
#define CALL(member, info) __atomic_load_n(&member, __ATOMIC_ACQUIRE)(info)

const struct duck_api *table_api(duckdb_bind_info info)
{
    return CALL(bind_get_extra_info, info);
}

char *table_text(duckdb_bind_info info, idx_t i)
{
    const struct duck_api *api = table_api(info);
    duckdb_value v = api->duckdb_bind_get_parameter(info, i);
    char *theirs = api->duckdb_get_varchar(v), *text = theirs ? mem_strdup(theirs) : NULL;

    api->duckdb_free(theirs);
    api->duckdb_destroy_value(&v);
    return text;
}

void *table_bound(duckdb_init_info info)
{
    return CALL(init_get_bind_data, info);
}

void *table_global(duckdb_function_info info)
{
    return CALL(function_get_init_data, info);
}

void *table_local(duckdb_function_info info)
{
    return CALL(function_get_local_init_data, info);
}

void table_put_text(const struct duck_api *api, duckdb_vector v, idx_t row, const char *s, size_t len)
{
    struct buf b = BUF_INIT((size_t)1 << 30);

    if (utf8_valid(s, len)) {
        api->duckdb_vector_assign_string_element_len(v, row, s, len);
        return;
    }
    buf_utf8(&b, s, len);
    if (buf_ok(&b))
        api->duckdb_vector_assign_string_element_len(v, row, buf_str(&b), b.len);
    buf_release(&b);
}

enum lc duck_register_table(struct engine *e, const struct table_function *f, struct err *err)
{
    struct duck_api *api = &e->api;
    duckdb_table_function made = api->duckdb_create_table_function();
    duckdb_logical_type text = api->duckdb_create_logical_type(DUCKDB_TYPE_VARCHAR);
    duckdb_state state;

    KEEP(bind_get_extra_info, api);
    KEEP(init_get_bind_data, api);
    KEEP(function_get_init_data, api);
    KEEP(function_get_local_init_data, api);
    api->duckdb_table_function_set_name(made, f->name);
    for (int i = 0; i < f->texts; i++)
        api->duckdb_table_function_add_parameter(made, text);
    api->duckdb_table_function_set_bind(made, f->bind);
    api->duckdb_table_function_set_init(made, f->init);
    if (f->init_thread)
        api->duckdb_table_function_set_local_init(made, f->init_thread);
    api->duckdb_table_function_set_function(made, f->produce);
    api->duckdb_table_function_supports_projection_pushdown(made, f->projects);
    api->duckdb_table_function_set_extra_info(made, api, NULL);
    state = api->duckdb_register_table_function(e->admin, made);
    api->duckdb_destroy_logical_type(&text);
    api->duckdb_destroy_table_function(&made);
    return state == DuckDBSuccess
               ? LC_OK
               : err_set(err, LC_INTERNAL, "DuckDB does not take the function '%s'", f->name);
}
