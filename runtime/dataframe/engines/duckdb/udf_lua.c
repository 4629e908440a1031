/* udf_lua.c: user-defined functions of Lua, called for the rows of DuckDB's vectors in Lua states of their own: as many as threads call
 * one at the same time. lacus_udf_T(packed function, name, may run long, kinds, arguments…), T the type of the result. kinds has a letter for
 * the result, then one for each argument: v a value, j a value that travels as JSON; of results a an array, o a struct or map, which do so. */
#include "runtime/base/mem.h"
#include "runtime/dataframe/engines/duckdb/duck.h"
#include "runtime/session/closure.h"
#include <jansson.h>
#include <lauxlib.h>
#include <string.h>

enum { FIRST = 4, MOST = 64, DEEPEST = 64, HOOK_STEPS = 100000, ROWS_BETWEEN_CHECKS = 256, MOST_IDLE = 32 };
enum { MOST_MEMORY = 512 << 20 };

struct udf_state { /* a Lua state with one function in it, at index 1 */
    struct udf_state *next;
    char *packed; /* owned */
    size_t len;
    size_t memory; /* that L has now, at most MOST_MEMORY */
    lua_State *L;  /* owned */
};

struct udf_pool {
    pthread_mutex_t lock;
    struct udf_state *idle; /* owned */
    size_t n_idle;
};

struct udf_type { /* one of the registered functions */
    struct engine *e;
    char result;
};

/* ---- states ---- */
static void state_free(struct udf_state *s)
{
    if (!s)
        return;
    if (s->L)
        lua_close(s->L);
    mem_free(s->packed);
    mem_free(s);
}

/* A function that piles up values ends with an error, not with the machine's memory. */
static void *limited_alloc(void *state, void *old, size_t old_size, size_t size)
{
    struct udf_state *s = state;
    void *p;

    old_size = old ? old_size : 0; /* else it says what kind of value is made */
    if (size == 0) {
        s->memory -= old_size;
        mem_free(old);
        return NULL;
    }
    if (size > old_size && s->memory + (size - old_size) > MOST_MEMORY)
        return NULL;
    p = mem_realloc(old, size);
    if (p)
        s->memory += size - old_size;
    return p;
}

static int null_text(lua_State *L)
{
    lua_pushliteral(L, "null");
    return 1;
}

static int open_function(lua_State *L) /* light userdata: the state */
{
    const struct udf_state *s = lua_touserdata(L, 1);

    closure_open(L, s->packed, s->len);
    lua_pushlightuserdata(L, NULL); /* null, as it prints elsewhere */
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, null_text);
    lua_setfield(L, -2, "__tostring");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
    return 1;
}

static struct udf_state *state_open(const char *packed, size_t len, char *error, size_t size)
{
    struct udf_state *s = mem_zalloc(sizeof *s);

    if (s && (s->packed = mem_alloc(len + 1)) != NULL) {
        memcpy(s->packed, packed, len);
        s->len = len;
        s->L = lua_newstate(limited_alloc, s);
    }
    if (!s || !s->L) {
        snprintf(error, size, "out of memory");
        state_free(s);
        return NULL;
    }
    lua_pushcfunction(s->L, open_function);
    lua_pushlightuserdata(s->L, s);
    if (lua_pcall(s->L, 1, 1, 0) == LUA_OK)
        return s;
    snprintf(error, size, "%s",
             lua_tostring(s->L, -1) ? lua_tostring(s->L, -1) : "the function cannot be loaded");
    state_free(s);
    return NULL;
}

static struct udf_state *take_idle(struct udf_pool *pool, const char *packed, size_t len)
{
    struct udf_state *found = NULL;

    pthread_mutex_lock(&pool->lock);
    for (struct udf_state **p = &pool->idle; *p; p = &(*p)->next)
        if ((*p)->len == len && memcmp((*p)->packed, packed, len) == 0) {
            found = *p;
            *p = found->next;
            pool->n_idle--;
            break;
        }
    pthread_mutex_unlock(&pool->lock);
    return found;
}

static void put_idle(struct udf_pool *pool, struct udf_state *s)
{
    pthread_mutex_lock(&pool->lock);
    if (pool->n_idle < MOST_IDLE) {
        s->next = pool->idle;
        pool->idle = s;
        pool->n_idle++;
        s = NULL;
    }
    pthread_mutex_unlock(&pool->lock);
    state_free(s);
}

/* ---- rows ---- */
struct column {
    duckdb_vector vector;
    duckdb_type type;
    const void *data;
    uint64_t *valid;
};

struct job { /* one vector of rows */
    struct engine *e;
    idx_t query; /* whose rows they are: the functions of a query stop with it, and with no other */
    const struct duck_api *api;
    struct column columns[MOST];
    size_t n;
    idx_t rows, row;
    duckdb_vector output;
    void *out;
    char result;
    const char *name, *kinds;
    int name_len;
    struct buf json; /* owned */
};

static bool is_null(const struct job *j, const struct column *c, idx_t row)
{
    return c->valid && !j->api->duckdb_validity_row_is_valid(c->valid, row);
}

/* ---- values with parts, as JSON ---- */
static void push_json(lua_State *L, const json_t *v)
{
    const char *key;
    json_t *member;
    size_t i;

    luaL_checkstack(L, 4, "a value is nested too deeply");
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        lua_createtable(L, 0, (int)json_object_size(v));
        json_object_foreach ((json_t *)(uintptr_t)v, key, member) {
            push_json(L, member);
            lua_setfield(L, -2, key);
        }
        return;
    case JSON_ARRAY:
        lua_createtable(L, (int)json_array_size(v), 0);
        json_array_foreach (v, i, member) {
            push_json(L, member);
            lua_rawseti(L, -2, (lua_Integer)i + 1);
        }
        return;
    case JSON_STRING:
        lua_pushlstring(L, json_string_value(v), json_string_length(v));
        return;
    case JSON_INTEGER:
        lua_pushinteger(L, json_integer_value(v));
        return;
    case JSON_REAL:
        lua_pushnumber(L, json_real_value(v));
        return;
    case JSON_NULL:
        lua_pushlightuserdata(L, NULL);
        return;
    default:
        lua_pushboolean(L, json_is_true(v));
    }
}

static int json_gc(lua_State *L)
{
    json_t **v = lua_touserdata(L, 1);

    json_decref(*v);
    *v = NULL;
    return 0;
}

/* The value of a text that DuckDB wrote, at the top of the stack. */
static void push_parsed(lua_State *L, const char *text, size_t len)
{
    json_t **v = lua_newuserdatauv(L, sizeof *v, 0);

    *v = NULL;
    if (luaL_newmetatable(L, "lacus.udf.json")) {
        lua_pushcfunction(L, json_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    *v = json_loadb(text, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    if (!*v)
        luaL_error(L, "an argument is too large to be handed over");
    push_json(L, *v);
    lua_remove(L, -2);
}

static void put_json(lua_State *L, struct buf *b, bool object, int depth);

static void put_number(lua_State *L, struct buf *b)
{
    lua_Number n = lua_tonumber(L, -1);

    if (lua_isinteger(L, -1))
        buf_printf(b, "%lld", (long long)lua_tointeger(L, -1));
    else if (n - n != 0)
        buf_puts(b, n != n ? "\"NaN\"" : n > 0 ? "\"Infinity\"" : "\"-Infinity\"");
    else
        buf_printf(b, "%.17g", n);
}

static void put_table(lua_State *L, struct buf *b, bool object, int depth)
{
    lua_Integer n = (lua_Integer)lua_rawlen(L, -1);
    bool first = true;

    if (depth == DEEPEST)
        luaL_error(L, "it gave a value that is nested more than %d deep, or holds itself", DEEPEST);
    luaL_checkstack(L, 6, NULL);
    for (lua_Integer i = 1; i <= n && !object; i++, lua_pop(L, 1)) {
        buf_putc(b, i > 1 ? ',' : '[');
        lua_rawgeti(L, -1, i);
        put_json(L, b, false, depth + 1);
    }
    for (lua_pushnil(L); (n == 0 || object) && lua_next(L, -2); lua_pop(L, 1), first = false) {
        size_t len;
        buf_putc(b, first ? '{' : ',');
        lua_pushvalue(L, -2);
        const char *key = luaL_tolstring(L, -1, &len);
        buf_json(b, key, len);
        lua_pop(L, 2);
        buf_putc(b, ':');
        put_json(L, b, false, depth + 1);
    }
    if (n > 0 && !object) {
        buf_putc(b, ']');
    } else if (first) {
        buf_puts(b, object ? "{}" : "[]");
    } else {
        buf_putc(b, '}');
    }
}

/* The value on top as JSON; object: a table is one, also without fields or with numbers as keys. */
static void put_json(lua_State *L, struct buf *b, bool object, int depth)
{
    size_t len;
    const char *s;

    switch (lua_type(L, -1)) {
    case LUA_TTABLE:
        put_table(L, b, object, depth);
        break;
    case LUA_TNUMBER:
        put_number(L, b);
        break;
    case LUA_TBOOLEAN:
        buf_puts(b, lua_toboolean(L, -1) ? "true" : "false");
        break;
    case LUA_TSTRING:
        s = lua_tolstring(L, -1, &len);
        buf_json(b, s, len);
        break;
    case LUA_TNIL:
    case LUA_TLIGHTUSERDATA:
        buf_puts(b, "null");
        break;
    default:
        luaL_error(L, "it gave a %s inside of a table", luaL_typename(L, -1));
    }
}

static void push_cell(lua_State *L, const struct job *j, const struct column *c, idx_t row)
{
    const duckdb_string_t *s;

    if (is_null(j, c, row)) {
        lua_pushlightuserdata(L, NULL);
        return;
    }
    switch (c->type) {
    case DUCKDB_TYPE_BOOLEAN:
        lua_pushboolean(L, ((const bool *)c->data)[row]);
        break;
    case DUCKDB_TYPE_BIGINT:
        lua_pushinteger(L, ((const int64_t *)c->data)[row]);
        break;
    case DUCKDB_TYPE_DOUBLE:
        lua_pushnumber(L, ((const double *)c->data)[row]);
        break;
    default:
        s = (const duckdb_string_t *)c->data + row;
        if (j->kinds[1 + (c - j->columns)] == 'j') {
            push_parsed(L, j->api->duckdb_string_t_data((duckdb_string_t *)(uintptr_t)s),
                        j->api->duckdb_string_t_length(*s));
            return;
        }
        lua_pushlstring(L, j->api->duckdb_string_t_data((duckdb_string_t *)(uintptr_t)s),
                        j->api->duckdb_string_t_length(*s));
    }
}

static int wrong_result(lua_State *L, const char *expected)
{
    const char *type = luaL_typename(L, -1);

    if (lua_istable(L, -1) || lua_isfunction(L, -1))
        return luaL_error(L, "it gave a %s, and %s was declared", type, expected);
    return luaL_error(L, "it gave a %s (%s), and %s was declared", type, luaL_tolstring(L, -1, NULL),
                      expected);
}

static void store_json(lua_State *L, struct job *j)
{
    if (!lua_istable(L, -1))
        wrong_result(L, *j->kinds == 'a' ? "a list" : "a table");
    buf_clear(&j->json);
    put_json(L, &j->json, *j->kinds == 'o', 0);
    if (!buf_ok(&j->json))
        luaL_error(L, "it gave a value that is too large");
    j->api->duckdb_vector_assign_string_element_len(j->output, j->row, buf_str(&j->json), j->json.len);
}

/* The value on top goes to the output. */
static void store(lua_State *L, struct job *j)
{
    int is_number;

    if (lua_isnil(L, -1) || lua_islightuserdata(L, -1)) {
        j->api->duckdb_vector_ensure_validity_writable(j->output);
        j->api->duckdb_validity_set_row_invalid(j->api->duckdb_vector_get_validity(j->output), j->row);
        return;
    }
    switch (j->result) {
    case 'b':
        if (!lua_isboolean(L, -1))
            wrong_result(L, "a boolean");
        ((bool *)j->out)[j->row] = lua_toboolean(L, -1);
        break;
    case 'l':
        if (lua_type(L, -1) != LUA_TNUMBER)
            wrong_result(L, "an integer");
        ((int64_t *)j->out)[j->row] = lua_tointegerx(L, -1, &is_number);
        if (!is_number)
            wrong_result(L, "an integer");
        break;
    case 'd':
        if (lua_type(L, -1) != LUA_TNUMBER)
            wrong_result(L, "a number");
        ((double *)j->out)[j->row] = lua_tonumber(L, -1);
        break;
    case 'j':
        store_json(L, j);
        break;
    default:
        if (lua_type(L, -1) != LUA_TSTRING && lua_type(L, -1) != LUA_TNUMBER &&
            lua_type(L, -1) != LUA_TBOOLEAN)
            wrong_result(L, "a text");
        size_t len;
        const char *s = luaL_tolstring(L, -1, &len);
        j->api->duckdb_vector_assign_string_element_len(j->output, j->row, s, len);
        lua_pop(L, 1);
    }
}

static int run_rows(lua_State *L) /* function, light userdata: the job */
{
    struct job *j = lua_touserdata(L, 2);

    luaL_checkstack(L, MOST + 10, NULL);
    for (; j->row < j->rows; j->row++) {
        if (j->row % ROWS_BETWEEN_CHECKS == 0 && watch_stopped(j->e, j->query))
            return luaL_error(L, "INTERRUPT");
        lua_pushvalue(L, 1);
        for (size_t i = 0; i < j->n; i++)
            push_cell(L, j, &j->columns[i], j->row);
        lua_call(L, (int)j->n, 1);
        store(L, j);
        lua_settop(L, 2);
    }
    return 0;
}

static void stop_hook(lua_State *L, lua_Debug *ar)
{
    const struct job *j = *(const struct job **)lua_getextraspace(L);

    (void)ar;
    if (watch_stopped(j->e, j->query))
        luaL_error(L, "INTERRUPT");
}

/* A text, or an object's message; calls nothing, it could raise again. */
static const char *raised(lua_State *L, int index)
{
    if (lua_type(L, index) == LUA_TSTRING)
        return lua_tostring(L, index);
    if (lua_type(L, index) == LUA_TTABLE) {
        lua_pushliteral(L, "message");
        if (lua_rawget(L, index) == LUA_TSTRING)
            return lua_tostring(L, -1);
    }
    return lua_pushfstring(L, "it raised a %s", luaL_typename(L, index));
}

static const char *value_text(lua_State *L)
{
    return lua_istable(L, -1) ? "{…}" : luaL_tolstring(L, -1, NULL);
}

struct describing { /* what the query says: the function, the row's values, the text */
    const struct job *j;
    char *out;
    size_t size;
};

static int
describe(lua_State *L) /* light userdata; what was raised. Called protected: there may be no memory */
{
    const struct describing *d = lua_touserdata(L, 1);
    const struct job *j = d->j;
    size_t n = (size_t)snprintf(d->out, d->size, "[LUA_UDF_ERROR] the function '%.*s' failed for the row (",
                                j->name_len, j->name);

    for (size_t i = 0; i < j->n && n < d->size; i++) {
        const char *open = "";

        push_cell(L, j, &j->columns[i], j->row);
        open = lua_type(L, -1) == LUA_TSTRING ? "\"" : "";
        n += (size_t)snprintf(d->out + n, d->size - n, "%s%s%.100s%s", i ? ", " : "", open, value_text(L),
                              open);
        lua_settop(L, 2);
    }
    if (n < d->size)
        snprintf(d->out + n, d->size - n, "): %s", raised(L, 2));
    return 0;
}

static void tell_error(lua_State *L, const struct job *j, char *error, size_t size)
{
    struct describing d = {j, error, size};

    lua_gc(L, LUA_GCCOLLECT); /* a function that ran out of memory leaves none for its error */
    lua_pushcfunction(L, describe);
    lua_insert(L, -2);
    lua_pushlightuserdata(L, &d);
    lua_insert(L, -2);
    if (lua_pcall(L, 2, 0, 0) != LUA_OK)
        snprintf(error, size, "[LUA_UDF_ERROR] the function '%.*s' failed, and has no memory left",
                 j->name_len, j->name);
}

static void run(struct udf_state *s, struct job *j, bool loops, char *error, size_t size)
{
    lua_State *L = s->L;

    *(const struct job **)lua_getextraspace(L) = j;
    lua_sethook(L, loops ? stop_hook : NULL, loops ? LUA_MASKCOUNT : 0, HOOK_STEPS);
    lua_pushcfunction(L, run_rows);
    lua_pushvalue(L, 1);
    lua_pushlightuserdata(L, j);
    if (lua_pcall(L, 2, 0, 0) != LUA_OK)
        tell_error(L, j, error, size);
    lua_sethook(L, NULL, 0, 0);
    lua_settop(L, 1);
}

/* DuckDB hands a function its data only through functions of its own: addresses, written once with one value. */
static __typeof__(&duckdb_scalar_function_get_extra_info) get_extra_info;
static __typeof__(&duckdb_scalar_function_bind_get_extra_info) bind_get_extra_info;

/* ---- which query ---- */
static void *same(void *bound)
{
    return bound;
}

/* What is bound to a call is its connection's number and one: nothing that has to be freed, or differs between equal calls. */
static void bind(duckdb_bind_info info)
{
    const struct udf_type *t = __atomic_load_n(&bind_get_extra_info, __ATOMIC_ACQUIRE)(info);
    const struct duck_api *api = &t->e->api;
    duckdb_client_context context = NULL;

    api->duckdb_scalar_function_get_client_context(info, &context);
    api->duckdb_scalar_function_set_bind_data(
        info, (void *)(uintptr_t)(api->duckdb_client_context_get_connection_id(context) + 1), NULL);
    api->duckdb_scalar_function_set_bind_data_copy(info, same);
    api->duckdb_destroy_client_context(&context);
}

static idx_t query_of(const struct duck_api *api, duckdb_function_info info)
{
    return (idx_t)(uintptr_t)api->duckdb_scalar_function_get_bind_data(info) - 1;
}

/* ---- calls ---- */

static void column_open(const struct duck_api *api, duckdb_data_chunk input, size_t i, struct column *c)
{
    duckdb_logical_type t;

    c->vector = api->duckdb_data_chunk_get_vector(input, i);
    t = api->duckdb_vector_get_column_type(c->vector);
    c->type = api->duckdb_get_type_id(t);
    api->duckdb_destroy_logical_type(&t);
    c->data = api->duckdb_vector_get_data(c->vector);
    c->valid = api->duckdb_vector_get_validity(c->vector);
}

static void call(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output)
{
    const struct udf_type *t = __atomic_load_n(&get_extra_info, __ATOMIC_ACQUIRE)(info);
    const struct duck_api *api = &t->e->api;
    struct job j = {.e = t->e,
                    .query = query_of(api, info),
                    .api = api,
                    .rows = api->duckdb_data_chunk_get_size(input),
                    .output = output,
                    .out = api->duckdb_vector_get_data(output),
                    .result = t->result,
                    .json = BUF_INIT(64 << 20)};
    size_t n = api->duckdb_data_chunk_get_column_count(input);
    struct column head[FIRST];
    struct udf_state *s;
    char error[1000] = "";
    duckdb_string_t *packed, *name, *kinds;

    if (j.rows == 0)
        return;
    if (n < FIRST || n - FIRST > MOST) {
        api->duckdb_scalar_function_set_error(info, "a user-defined function takes at most 64 arguments");
        return;
    }
    for (size_t i = 0; i < n; i++)
        column_open(api, input, i, i < FIRST ? &head[i] : &j.columns[i - FIRST]);
    j.n = n - FIRST;
    packed = (duckdb_string_t *)(uintptr_t)head[0].data;
    name = (duckdb_string_t *)(uintptr_t)head[1].data;
    j.name = api->duckdb_string_t_data(name);
    j.name_len = (int)api->duckdb_string_t_length(*name);
    kinds = (duckdb_string_t *)(uintptr_t)head[3].data;
    j.kinds = api->duckdb_string_t_data(kinds); /* as many letters as there are arguments, and one */
    s = take_idle(t->e->udfs, api->duckdb_string_t_data(packed), api->duckdb_string_t_length(*packed));
    if (!s)
        s = state_open(api->duckdb_string_t_data(packed), api->duckdb_string_t_length(*packed), error,
                       sizeof error);
    if (s) {
        run(s, &j, ((const bool *)head[2].data)[0], error, sizeof error);
        put_idle(t->e->udfs, s);
    }
    buf_release(&j.json);
    if (*error)
        api->duckdb_scalar_function_set_error(info, error);
}

/* ---- registering ---- */
static enum lc register_one(struct engine *e, char result, duckdb_type type, struct err *err)
{
    struct duck_api *api = &e->api;
    duckdb_scalar_function f = api->duckdb_create_scalar_function();
    struct udf_type *t = mem_zalloc(sizeof *t);
    duckdb_logical_type any = api->duckdb_create_logical_type(DUCKDB_TYPE_ANY),
                        out = api->duckdb_create_logical_type(type);
    char name[] = "lacus_udf_?";
    enum lc code = t ? LC_OK : err_nomem(err);

    if (t) {
        *t = (struct udf_type){.e = e, .result = result};
        name[sizeof name - 2] = result;
        api->duckdb_scalar_function_set_name(f, name);
        api->duckdb_scalar_function_set_varargs(f, any);
        api->duckdb_scalar_function_set_return_type(f, out);
        api->duckdb_scalar_function_set_bind(f, bind);
        api->duckdb_scalar_function_set_function(f, call);
        api->duckdb_scalar_function_set_extra_info(f, t, mem_free);
        api->duckdb_scalar_function_set_special_handling(f);
        if (api->duckdb_register_scalar_function(e->admin, f) != DuckDBSuccess)
            code = err_set(err, LC_INTERNAL, "DuckDB does not take the function '%s'", name);
    }
    api->duckdb_destroy_logical_type(&any);
    api->duckdb_destroy_logical_type(&out);
    api->duckdb_destroy_scalar_function(&f);
    return code;
}

enum lc duck_register_udfs(struct engine *e, struct err *err)
{
    __atomic_store_n(&get_extra_info, e->api.duckdb_scalar_function_get_extra_info, __ATOMIC_RELEASE);
    __atomic_store_n(&bind_get_extra_info, e->api.duckdb_scalar_function_bind_get_extra_info,
                     __ATOMIC_RELEASE);
    e->udfs = mem_zalloc(sizeof *e->udfs);
    if (!e->udfs)
        return err_nomem(err);
    pthread_mutex_init(&e->udfs->lock, NULL);
    TRY(register_one(e, 'b', DUCKDB_TYPE_BOOLEAN, err));
    TRY(register_one(e, 'l', DUCKDB_TYPE_BIGINT, err));
    TRY(register_one(e, 'd', DUCKDB_TYPE_DOUBLE, err));
    TRY(register_one(e, 'j', DUCKDB_TYPE_VARCHAR, err));
    return register_one(e, 's', DUCKDB_TYPE_VARCHAR, err);
}

void duck_udfs_free(struct engine *e)
{
    if (!e->udfs)
        return;
    for (struct udf_state *s = e->udfs->idle, *next; s; s = next) {
        next = s->next;
        state_free(s);
    }
    pthread_mutex_destroy(&e->udfs->lock);
    mem_free(e->udfs);
}
