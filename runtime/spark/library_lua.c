/* library_lua.c: the methods that are written in Lua (runtime/lib/lacus/dataframe.lua), found when a class has no such method of its
 * own, and what they need of the plan. */
#include "runtime/base/mem.h"
#include "runtime/catalog/catalog.h"
#include "runtime/dataframe/sqlgen/filtered.h"
#include "runtime/dataframe/sqlgen/functions.h"
#include "runtime/session/closure.h"
#include "runtime/session/manual.h"
#include "runtime/spark/args_lua.h"
#include "runtime/spark/column_lua.h"
#include "runtime/spark/dataframe_int.h"
#include <string.h>
#include <strings.h>

/* ---- what the library is given ---- */
static int l_subquery(lua_State *L) /* subquery(df, "exists" or "scalar") -> Column */
{
    const struct plan *p = dataframe_check(L, 1);
    bool exists = strcmp(luaL_checkstring(L, 2), "exists") == 0;

    return column_push(
        L, expr_subquery(plan_ref(p), exists ? SUBQUERY_EXISTS : SUBQUERY_SCALAR, NULL, 0, false));
}

static int l_filtered(lua_State *L) /* filtered(aggregate, condition) -> Column */
{
    struct expr *e = column_arg(L, 1, COLUMN_NAME), *condition = column_condition(L, 2);

    return column_push(L, expr_filter_aggregates(e, condition));
}

static int l_guarded(lua_State *L) /* guarded(aggregate, condition) -> Column */
{
    struct expr *e = column_arg(L, 1, COLUMN_NAME), *condition = column_condition(L, 2);

    return column_push(L, expr_guard_aggregates(e, condition));
}

static int l_name_of(lua_State *L) /* name_of(column): its alias, or nil */
{
    const struct expr *e = column_at(L, 1);

    if (!e || e->kind != EXPR_ALIAS)
        return 0;
    lua_pushstring(L, e->u.alias.names[0]);
    return 1;
}

static int l_unaliased(lua_State *L) /* unaliased(column) -> Column */
{
    const struct expr *e = column_arg(L, 1, COLUMN_NAME);

    return column_push(L, expr_ref(e->kind == EXPR_ALIAS ? e->args[0] : e));
}

static int l_materialize(lua_State *L) /* materialize(df) -> DataFrame of its rows in memory */
{
    const struct plan *p = dataframe_check(L, 1);
    const struct dtype *schema = dataframe_schema(L, 1);
    const struct ctx *ctx = session_ctx(session_of(L));
    struct ArrowArrayStream stream = {0};
    struct local_data *data = NULL;
    struct err err;
    enum lc rc;

    err_clear(&err);
    rc = spark_execute(ctx, spark_of(L), p, &stream, &err);
    if (rc == LC_OK)
        rc = local_from_stream(ctx, &stream, &data, &err);
    return rc == LC_OK ? dataframe_push(L, plan_local(data, dtype_ref(schema))) : session_raise(L, &err);
}

struct paths {
    struct buf text; /* one per line */
};

static enum lc add_paths(void *arg, const struct plan *p, struct err *err)
{
    struct paths *out = arg;

    for (size_t i = 0; p->kind == PLAN_READ_SOURCE && i < p->n_names; i++)
        buf_printf(&out->text, "%s\n", p->names[i]);
    for (size_t i = 0; p->kind == PLAN_SCAN && i < p->u.scan->n_files; i++)
        buf_printf(&out->text, "%s\n", p->u.scan->files[i].path);
    return buf_check(&out->text, err);
}

static int l_input_files(lua_State *L) /* input_files(df): paths, one per line */
{
    const struct plan *p = dataframe_check(L, 1), *resolved = NULL;
    struct spark *s = spark_of(L);
    struct paths paths = {.text = BUF_INIT(BUF_TEXT_MAX)};
    struct delta_engine engine;
    struct catalog *catalog;
    struct err err;
    enum lc rc;

    err_clear(&err);
    rc = spark_catalog(s, &catalog, &err);
    if (rc == LC_OK)
        rc = spark_engine(s, &engine, &err);
    if (rc == LC_OK)
        rc = catalog_resolve_quietly(session_ctx(session_of(L)), catalog, &engine, p, &resolved, &err);
    if (rc == LC_OK)
        rc = plan_walk(resolved, add_paths, &paths, &err);
    plan_unref(resolved);
    if (rc == LC_OK)
        lua_pushlstring(L, buf_str(&paths.text), paths.text.len);
    buf_release(&paths.text);
    return rc == LC_OK ? 1 : session_raise(L, &err);
}

static int l_plan_text(lua_State *L) /* plan_text(df): what the engine would run */
{
    struct buf text = BUF_INIT(BUF_TEXT_MAX);
    struct err err;
    enum lc rc;

    err_clear(&err);
    rc = spark_explain(session_ctx(session_of(L)), spark_of(L), dataframe_check(L, 1), EXPLAIN_CODEGEN, &text,
                       &err);
    if (rc == LC_OK)
        lua_pushlstring(L, buf_str(&text), text.len);
    buf_release(&text);
    return rc == LC_OK ? 1 : session_raise(L, &err);
}

static int l_is_local(lua_State *L)
{
    enum plan_kind kind = dataframe_check(L, 1)->kind;

    lua_pushboolean(L, kind == PLAN_LOCAL || kind == PLAN_VALUES || kind == PLAN_RANGE);
    return 1;
}

static int l_is_remote(lua_State *L) /* is_remote(): is the session on a server? */
{
    lua_pushboolean(L, spark_is_remote(spark_of(L)));
    return 1;
}

static int l_condition(lua_State *L) /* condition(Column or SQL text) -> Column */
{
    luaL_checkany(L, 1);
    lua_settop(L, 1);
    column_condition(L, 1);
    return 1;
}

/* The list at index laid out on the stack; its length. */
static int lay_out(lua_State *L, int index)
{
    int n;

    luaL_checktype(L, index, LUA_TTABLE);
    n = (int)lua_rawlen(L, index);
    luaL_checkstack(L, n + 8, NULL);
    for (int i = 1; i <= n; i++)
        lua_rawgeti(L, index, i);
    return n;
}

static int
l_grouping_sets(lua_State *L) /* grouping_sets(df, {mask, …}, {group, …}, {column, …}) -> DataFrame */
{
    const struct plan *p = dataframe_check(L, 1);
    int n_sets, n_groups, n, first;
    uint32_t sets[256];
    struct expr **groups, **exprs;

    luaL_checktype(L, 2, LUA_TTABLE);
    n_sets = (int)lua_rawlen(L, 2);
    luaL_argcheck(L, n_sets <= 256, 2, "at most 256 sets");
    for (int i = 0; i < n_sets; i++) {
        lua_rawgeti(L, 2, i + 1);
        sets[i] = (uint32_t)luaL_checkinteger(L, -1);
        lua_pop(L, 1);
    }
    first = lua_gettop(L) + 1;
    n_groups = lay_out(L, 3);
    luaL_argcheck(L, n_groups <= GROUP_SETS_COLUMNS, 3, "too many columns");
    n = lay_out(L, 4);
    for (int i = 0; i < n_groups + n; i++)
        column_arg(L, first + i, COLUMN_NAME);
    exprs = column_list(L, first + n_groups, n, COLUMN_NAME);
    groups = column_list(L, first, n_groups, COLUMN_NAME);
    return dataframe_push(
        L, plan_grouping_sets(plan_ref(p), sets, (size_t)n_sets, groups, (size_t)n_groups, exprs, (size_t)n));
}

static int
l_call(lua_State *L) /* call(name, distinct, column, …) -> Column: a function that F does not show */
{
    int n = lua_gettop(L) - 2;
    struct expr **args = column_list(L, 3, n, COLUMN_VALUE);

    return column_push(L, expr_call(luaL_checkstring(L, 1), lua_toboolean(L, 2), args, (size_t)n));
}

static int l_raise(lua_State *L) /* raise(text, hint) */
{
    struct err err;

    err_clear(&err);
    err_set(&err, LC_UNSUPPORTED, "%s", luaL_checkstring(L, 1));
    if (lua_isstring(L, 2))
        err_hint(&err, "%s", lua_tostring(L, 2));
    return session_raise(L, &err);
}

static int l_functions(lua_State *L) /* functions(): {{name, usage, doc, kind}, …}, each name once */
{
    static const char *const kinds[] = {"scalar", "aggregate", "window", "generator"};
    lua_Integer n = 0;

    lua_newtable(L);
    for (const struct function *f = function_rows(); f->name; f++) {
        if (f > function_rows() && strcmp(f[-1].name, f->name) == 0)
            continue;
        lua_createtable(L, 4, 0);
        lua_pushstring(L, f->name);
        lua_rawseti(L, -2, 1);
        lua_pushstring(L, f->usage);
        lua_rawseti(L, -2, 2);
        lua_pushstring(L, f->doc);
        lua_rawseti(L, -2, 3);
        lua_pushstring(L, kinds[f->kind]);
        lua_rawseti(L, -2, 4);
        lua_rawseti(L, -2, ++n);
    }
    return 1;
}

/* ---- user-defined functions ---- */
static int l_pack(lua_State *L) /* pack(function) -> bytes as a Column, straight, loops */
{
    struct closure_shape shape;
    const char *bytes;
    size_t len;

    closure_pack(L, 1, &shape);
    bytes = lua_tolstring(L, -1, &len);
    column_push(L, expr_binary_literal(bytes, len));
    lua_pushboolean(L, shape.straight);
    lua_pushboolean(L, shape.loops);
    return 3;
}

static int l_lambda(lua_State *L) /* lambda(function) -> Column; raises when the function is no expression */
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    return column_lambda(L, 1);
}

static int l_applied(lua_State *L) /* applied(call with the first arguments, column, …) -> Column */
{
    const struct expr *head = column_at(L, 1);
    int n = lua_gettop(L) - 1;
    struct expr **args, **all;

    luaL_argcheck(L, head && head->kind == EXPR_CALL, 1, "a call expected");
    args = column_list(L, 2, n, COLUMN_NAME);
    all = lua_newuserdatauv(L, sizeof *all * (head->n + (size_t)n + 1), 0);
    for (size_t i = 0; i < head->n; i++)
        all[i] = expr_ref(head->args[i]);
    memcpy(all + head->n, args, sizeof *all * (size_t)n);
    return column_push(L, expr_call(head->u.call.name, false, all, head->n + (size_t)n));
}

static int l_name_function(lua_State *L) /* name_function(name, call with the first arguments) */
{
    const char *name = luaL_checkstring(L, 1);
    const struct expr *head = column_at(L, 2);
    struct catalog *catalog;
    struct err err;

    luaL_argcheck(L, head && head->kind == EXPR_CALL, 2, "a call expected");
    err_clear(&err);
    if (spark_catalog(spark_of(L), &catalog, &err) != LC_OK ||
        catalog_put_function(catalog, name, head, &err) != LC_OK)
        return session_raise(L, &err);
    return 0;
}

/* ---- finding the library's methods ---- */
static void push_core(lua_State *L)
{
    static const luaL_Reg natives[] = {{"subquery", l_subquery},
                                       {"filtered", l_filtered},
                                       {"guarded", l_guarded},
                                       {"name_of", l_name_of},
                                       {"unaliased", l_unaliased},
                                       {"materialize", l_materialize},
                                       {"input_files", l_input_files},
                                       {"plan_text", l_plan_text},
                                       {"is_local", l_is_local},
                                       {"is_remote", l_is_remote},
                                       {"condition", l_condition},
                                       {"grouping_sets", l_grouping_sets},
                                       {"call", l_call},
                                       {"raise", l_raise},
                                       {"merge", dataframe_merge_into},
                                       {"change", dataframe_change_rows},
                                       {"alias_of", dataframe_alias_of},
                                       {"fail", session_raise_text},
                                       {"overwrite", dataframe_overwrite},
                                       {"v1_table", dataframe_v1_table},
                                       {"save_v2", dataframe_save_v2},
                                       {"functions", l_functions},
                                       {"pack", l_pack},
                                       {"applied", l_applied},
                                       {"lambda", l_lambda},
                                       {"name_function", l_name_function},
                                       {NULL, NULL}};

    luaL_newlib(L, natives);
}

void spark_library(lua_State *L)
{
    session_push_module(L, "lacus.dataframe", push_core);
}

int observation_lua_open(lua_State *L)
{
    spark_library(L);
    lua_getfield(L, -1, "Observation");
    return 1;
}

int delta_table_lua_open(lua_State *L)
{
    session_push_module(L, "lacus.delta_table", push_core);
    return 1;
}

static int l_lookup(lua_State *L) /* upvalue: the class; (methods, name) */
{
    if (lua_type(L, 2) != LUA_TSTRING)
        return 0;
    spark_library(L);
    lua_pushvalue(L, lua_upvalueindex(1));
    if (lua_rawget(L, -2) != LUA_TTABLE)
        return 0;
    lua_pushvalue(L, 2);
    lua_rawget(L, -2);
    return 1;
}

struct named {
    lua_State *L;
    const char *class;
    lua_Integer n;
};

static bool add_row(void *arg, const struct manual_entry *e)
{
    struct named *x = arg;

    if (strcmp(e->topic->name, x->class) == 0) {
        lua_pushstring(x->L, e->name);
        lua_rawseti(x->L, 2, ++x->n);
    }
    return true;
}

/* What has a row in the manual: not the names that are there only to say that they are absent. */
static int l_names(lua_State *L) /* upvalue: the class */
{
    struct named x = {.L = L, .class = lua_tostring(L, lua_upvalueindex(1))};

    lua_settop(L, 1);
    lua_newtable(L);
    manual_each(NULL, add_row, &x);
    return 1;
}

void spark_extend(lua_State *L, const char *class)
{
    lua_createtable(L, 0, 2);
    lua_pushstring(L, class);
    lua_pushcclosure(L, l_names, 1);
    lua_setfield(L, -2, "__dir");
    lua_pushstring(L, class);
    lua_pushcclosure(L, l_lookup, 1);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
}
