/* actions_lua.c: what makes a DataFrame run: collect, count, show, and what it says of itself. */
#include "runtime/spark/args_lua.h"
#include "runtime/spark/column_lua.h"
#include "runtime/spark/dataframe_int.h"
#include "runtime/spark/row_reader_lua.h"
#include "runtime/spark/show.h"
#include <string.h>

static int push_rows(lua_State *L, const struct plan *p) /* takes the reference */
{
    struct ArrowArrayStream stream;
    struct err err;
    enum lc rc;

    err_clear(&err);
    rc = p ? spark_execute(session_ctx(session_of(L)), spark_of(L), p, &stream, &err) : err_nomem(&err);
    plan_unref(p);
    return rc == LC_OK ? row_reader_push(L, &stream) : session_raise(L, &err);
}

static int collect(lua_State *L, const struct plan *p)
{
    push_rows(L, p);
    lua_newtable(L);
    lua_insert(L, -2);
    for (lua_Integer i = 1; row_reader_next(L, -1); i++)
        lua_rawseti(L, -3, i);
    lua_pop(L, 1);
    session_mark_list(L);
    return 1;
}

int dataframe_collect(lua_State *L)
{
    return collect(L, plan_ref(dataframe_check(L, 1)));
}

int dataframe_take(lua_State *L)
{
    return collect(L, plan_limit(plan_ref(dataframe_check(L, 1)), dataframe_rows_arg(L, 2)));
}

int dataframe_tail(lua_State *L)
{
    return collect(L, plan_tail(plan_ref(dataframe_check(L, 1)), dataframe_rows_arg(L, 2)));
}

int dataframe_first(lua_State *L)
{
    push_rows(L, plan_limit(plan_ref(dataframe_check(L, 1)), 1));
    if (!row_reader_next(L, -1))
        lua_pushnil(L);
    return 1;
}

int dataframe_head(lua_State *L) /* head() is a row, head(n) a list */
{
    return lua_isnoneornil(L, 2) ? dataframe_first(L) : dataframe_take(L);
}

int dataframe_count(lua_State *L)
{
    struct expr *one = expr_alias(expr_unary("count", expr_int(1)), "count");

    push_rows(L, plan_aggregate(plan_ref(dataframe_check(L, 1)), GROUP_BY, NULL, 0, &one, 1));
    if (!row_reader_next(L, -1))
        return luaL_error(L, "the engine did not count");
    lua_rawgeti(L, -1, 1);
    return 1;
}

int dataframe_is_empty(lua_State *L)
{
    push_rows(L, plan_limit(plan_ref(dataframe_check(L, 1)), 1));
    lua_pushboolean(L, !row_reader_next(L, -1));
    return 1;
}

static int next_row(lua_State *L) /* upvalue: the reader */
{
    return row_reader_next(L, lua_upvalueindex(1)) ? 1 : 0;
}

int dataframe_to_local_iterator(lua_State *L)
{
    push_rows(L, plan_ref(dataframe_check(L, 1)));
    lua_pushcclosure(L, next_row, 1);
    return 1;
}

int dataframe_to_table(lua_State *L) /* {column = {values…}} */
{
    const struct ArrowArray *batch;
    const struct ArrowSchema *schema;
    lua_Integer rows = 0;
    int out, reader;

    push_rows(L, plan_ref(dataframe_check(L, 1)));
    reader = lua_gettop(L);
    schema = row_reader_schema(L, reader);
    lua_createtable(L, 0, (int)schema->n_children);
    out = reader + 1;
    for (int64_t c = 0; c < schema->n_children; c++) {
        lua_newtable(L);
        lua_setfield(L, out, schema->children[c]->name);
    }
    while ((batch = row_reader_batch(L, reader)) != NULL) {
        for (int64_t c = 0; c < schema->n_children; c++, lua_pop(L, 1)) {
            lua_getfield(L, out, schema->children[c]->name);
            for (int64_t r = 0; r < batch->length; r++) {
                row_push_cell(L, schema->children[c], batch->children[c], r + batch->offset);
                lua_rawseti(L, -2, rows + r + 1);
            }
        }
        rows += batch->length;
    }
    return 1;
}

static int print_text(lua_State *L, struct buf *text, enum lc rc, const struct err *err)
{
    if (rc == LC_OK)
        session_print(session_of(L), STREAM_STDOUT, buf_str(text), text->len);
    buf_release(text);
    return rc == LC_OK ? 0 : session_raise(L, err);
}

int dataframe_show(lua_State *L)
{
    static const char *const names[] = {"n", "truncate", "vertical", NULL};
    const struct plan *p = dataframe_check(L, 1);
    struct show_options o = {.secrets = session_secrets(session_of(L))};
    struct buf text = BUF_INIT(BUF_TEXT_MAX);
    struct err err;
    enum lc rc;

    spark_args(L, 2, names);
    o.rows = lua_isnil(L, 2) ? 20 : dataframe_rows_arg(L, 2);
    o.truncate = lua_isnil(L, 3)       ? 20
                 : lua_isboolean(L, 3) ? (lua_toboolean(L, 3) ? 20 : 0)
                                       : luaL_checkinteger(L, 3);
    o.vertical = spark_bool(L, 4);
    err_clear(&err);
    rc = spark_show(session_ctx(session_of(L)), spark_of(L), p, &o, &text, &err);
    if (rc == LC_OK)
        buf_putc(&text, '\n');
    return print_text(L, &text, rc, &err);
}

int dataframe_print_schema(lua_State *L)
{
    const struct dtype *schema = dataframe_schema(L, 1);
    struct buf text = BUF_INIT(BUF_TEXT_MAX);
    struct err err;

    err_clear(&err);
    dtype_tree(schema, &text);
    buf_putc(&text, '\n');
    return print_text(L, &text, buf_check(&text, &err), &err);
}

/* explain(), explain(true), explain("extended"), explain{mode = "cost"} */
static enum explain_mode explain_mode_arg(lua_State *L)
{
    static const char *const names[] = {"extended", "mode", NULL}, *const modes[] = {"simple",    "extended",
                                                                                     "codegen",   "cost",
                                                                                     "formatted", NULL};
    static const enum explain_mode kinds[] = {EXPLAIN_SIMPLE, EXPLAIN_EXTENDED, EXPLAIN_CODEGEN, EXPLAIN_COST,
                                              EXPLAIN_FORMATTED};

    spark_args(L, 2, names);
    if (!lua_isnil(L, 3))
        lua_copy(L, 3, 2);
    if (lua_type(L, 2) != LUA_TSTRING)
        return spark_bool(L, 2) ? EXPLAIN_EXTENDED : EXPLAIN_SIMPLE;
    return kinds[spark_choice(L, 2, "simple", "[UNSUPPORTED_EXPLAIN_MODE] explain has no mode named", modes)];
}

int dataframe_explain(lua_State *L)
{
    const struct plan *p = dataframe_check(L, 1);
    enum explain_mode mode = explain_mode_arg(L);
    struct buf text = BUF_INIT(BUF_TEXT_MAX);
    struct err err;
    enum lc rc;

    err_clear(&err);
    rc = spark_explain(session_ctx(session_of(L)), spark_of(L), p, mode, &text, &err);
    return print_text(L, &text, rc, &err);
}

static int temp_view(lua_State *L, bool replace)
{
    const struct plan *p = dataframe_check(L, 1);
    struct err err;

    err_clear(&err);
    dataframe_schema(L, 1); /* a view that cannot be analysed is an error now, not at its first use */
    if (spark_put_view(session_ctx(session_of(L)), spark_of(L), spark_text(L, 2), p, false, replace, &err) !=
        LC_OK)
        return session_raise(L, &err);
    return 0;
}

int dataframe_create_temp_view(lua_State *L)
{
    return temp_view(L, false);
}

int dataframe_replace_temp_view(lua_State *L)
{
    return temp_view(L, true);
}
