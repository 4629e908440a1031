#include "runtime/spark/dataframe_lua.h"
#include "runtime/base/clock.h"
#include "runtime/base/nearest.h"
#include "runtime/spark/args_lua.h"
#include "runtime/spark/column_lua.h"
#include "runtime/spark/row_reader_lua.h"
#include "runtime/spark/show.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static const char class_name[] = "lacus.DataFrame";

struct dataframe {
    const struct plan *plan;    /* owned */
    const struct dtype *schema; /* owned; NULL: not analysed yet */
};

static void open_class(lua_State *L);

int dataframe_push(lua_State *L, const struct plan *p)
{
    struct dataframe *d;

    if (!p)
        return luaL_error(L, "out of memory");
    d = lua_newuserdatauv(L, sizeof *d, 0);
    *d = (struct dataframe){.plan = p};
    if (luaL_newmetatable(L, class_name))
        open_class(L);
    lua_setmetatable(L, -2);
    return 1;
}

const struct plan *dataframe_at(lua_State *L, int index)
{
    struct dataframe *d = luaL_testudata(L, index, class_name);

    return d ? d->plan : NULL;
}

const struct plan *dataframe_check(lua_State *L, int index)
{
    return ((struct dataframe *)luaL_checkudata(L, index, class_name))->plan;
}

static const struct ctx *ctx_of(lua_State *L)
{
    return session_ctx(session_of(L));
}

const struct dtype *dataframe_schema(lua_State *L, int index)
{
    struct dataframe *d = luaL_checkudata(L, index, class_name);
    struct err err;

    err_clear(&err);
    if (!d->schema && spark_schema(ctx_of(L), spark_of(L), d->plan, &d->schema, &err) != LC_OK)
        session_raise(L, &err);
    return d->schema;
}

static int l_gc(lua_State *L)
{
    struct dataframe *d = luaL_checkudata(L, 1, class_name);

    plan_unref(d->plan);
    dtype_unref(d->schema);
    *d = (struct dataframe){0};
    return 0;
}

/* ---- names ---- */
/* The texts from index first on, n of them, as an array in a userdata; Columns that are plain names count too. */
static const char **name_list(lua_State *L, int first, int n)
{
    const char **names = lua_newuserdatauv(L, sizeof *names * (size_t)(n + 1), 0);

    for (int i = 0; i < n; i++) {
        const struct expr *e = column_at(L, first + i);
        if (e && e->kind == EXPR_ATTRIBUTE)
            names[i] = e->u.name.parts[e->u.name.n_parts - 1];
        else
            names[i] = luaL_checkstring(L, first + i);
    }
    return names;
}

static int no_column(lua_State *L, const struct dtype *schema, const char *name)
{
    const char *names[512];
    size_t n = 0;
    struct buf near = BUF_INIT(1024);
    struct err err;

    for (; n < schema->n_fields && n < 512; n++)
        names[n] = schema->fields[n].name;
    nearest_list(&near, name, names, n, 3);
    err_clear(&err);
    err_set(&err, LC_ENGINE, "[UNRESOLVED_COLUMN.WITH_SUGGESTION] this DataFrame has no column '%s'", name);
    if (near.len > 0)
        err_hint(&err, "did you mean %s?", buf_str(&near));
    buf_release(&near);
    return session_raise(L, &err);
}

/* df"name", df"a.b": a column of this DataFrame, whatever it is joined with later. */
static int push_member(lua_State *L, int index, const char *name)
{
    const struct plan *p = dataframe_check(L, index);
    const struct dtype *schema = dataframe_schema(L, index);
    struct err err;
    char **parts;
    size_t n;
    struct expr *e;

    err_clear(&err);
    if (strcmp(name, "*") == 0)
        return column_push(L, expr_star(NULL, 0, p->id));
    if (dtype_field_index(schema, name) != -1) {
        return column_push(L, expr_attribute(&name, 1, p->id));
    }
    if (name_split(name, &parts, &n, &err) != LC_OK)
        return session_raise(L, &err);
    bool known = dtype_field_index(schema, parts[0]) != -1 || p->kind == PLAN_ALIAS;
    e = known ? expr_attribute((const char *const *)parts, n, p->id) : NULL;
    name_free(parts, n);
    return known ? column_push(L, e) : no_column(L, schema, name);
}

static int l_call(lua_State *L)
{
    return push_member(L, 1, luaL_checkstring(L, 2));
}

/* ---- relations ---- */
static int l_select(lua_State *L)
{
    const struct plan *p = dataframe_check(L, 1);
    int n = spark_list(L, 2);
    struct expr **exprs = column_list(L, 2, n, COLUMN_NAME);

    return dataframe_push(L, plan_project(plan_ref(p), exprs, (size_t)n));
}

static int l_select_expr(lua_State *L)
{
    const struct plan *p = dataframe_check(L, 1);
    int n = spark_list(L, 2);
    struct expr **exprs = column_list(L, 2, n, COLUMN_SQL);

    return dataframe_push(L, plan_project(plan_ref(p), exprs, (size_t)n));
}

static int l_filter(lua_State *L)
{
    const struct plan *p = dataframe_check(L, 1);
    struct expr *condition = column_condition(L, 2);

    return dataframe_push(L, plan_filter(plan_ref(p), expr_ref(condition)));
}

/* What a new column holds. Borrowed from the stack. */
static struct expr *new_column(lua_State *L, int index)
{
    if (lua_type(L, index) == LUA_TSTRING)
        luaL_error(L,
                   "[NOT_COLUMN] a Column expected, got the text '%s': write F.col(\"%s\") for a column, "
                   "F.lit(\"%s\") for the text",
                   lua_tostring(L, index), lua_tostring(L, index), lua_tostring(L, index));
    return column_arg(L, index, COLUMN_VALUE);
}

static int l_with_column(lua_State *L)
{
    const struct plan *p = dataframe_check(L, 1);
    static const char *const names[] = {"colName", "col", NULL};
    struct expr *e;

    spark_args(L, 2, names);
    const char *name = luaL_checkstring(L, 2);
    e = expr_alias(expr_ref(new_column(L, 3)), name);
    return dataframe_push(L, plan_with_columns(plan_ref(p), &e, 1));
}

static int l_with_columns(lua_State *L)
{
    const struct plan *p = dataframe_check(L, 1);
    const char **names;
    struct expr **list;
    int n, first;

    luaL_checktype(L, 2, LUA_TTABLE);
    names = spark_keys(L, 2, &n);
    first = lua_gettop(L) + 1;
    luaL_checkstack(L, n + 8, NULL);
    for (int i = 0; i < n; i++) {
        lua_getfield(L, 2, names[i]);
        struct expr *e = new_column(L, first + i);
        column_push(L, expr_alias(expr_ref(e), names[i]));
        lua_replace(L, first + i);
    }
    list = column_list(L, first, n, COLUMN_VALUE);
    return dataframe_push(L, plan_with_columns(plan_ref(p), list, (size_t)n));
}

static int l_with_column_renamed(lua_State *L)
{
    static const char *const names[] = {"existing", "new", NULL};
    const struct plan *p = dataframe_check(L, 1);

    spark_args(L, 2, names);
    const char *pair[2] = {luaL_checkstring(L, 2), luaL_checkstring(L, 3)};
    return dataframe_push(L, plan_rename(plan_ref(p), pair, 1));
}

static int l_with_columns_renamed(lua_State *L)
{
    const struct plan *p = dataframe_check(L, 1);
    const char **names, **pairs;
    int n;

    luaL_checktype(L, 2, LUA_TTABLE);
    names = spark_keys(L, 2, &n);
    luaL_checkstack(L, n + 8, NULL);
    pairs = lua_newuserdatauv(L, sizeof *pairs * (size_t)(2 * n + 1), 0);
    for (int i = 0; i < n; i++) {
        pairs[2 * i] = names[i];
        lua_getfield(L, 2, names[i]);
        if (lua_type(L, -1) != LUA_TSTRING)
            return luaL_error(L, "the new name of '%s' must be a text, got %s", names[i],
                              luaL_typename(L, -1));
        pairs[2 * i + 1] = lua_tostring(L, -1);
    }
    return dataframe_push(L, plan_rename(plan_ref(p), pairs, (size_t)n));
}

/* As Spark: a text is a whole name here, dots and all. */
static int l_drop(lua_State *L)
{
    const struct plan *p = dataframe_check(L, 1);
    int n = spark_list(L, 2);

    for (int i = 2; i < n + 2; i++) {
        const char *name = lua_type(L, i) == LUA_TSTRING ? lua_tostring(L, i) : NULL;
        if (!name)
            continue;
        column_push(L, expr_attribute(&name, 1, 0));
        lua_replace(L, i);
    }
    struct expr **exprs = column_list(L, 2, n, COLUMN_NAME);
    return dataframe_push(L, plan_drop(plan_ref(p), exprs, (size_t)n));
}

/* dropDuplicates("a", "b"), {"a", "b"} or {subset = {"a", "b"}} */
static int l_drop_duplicates(lua_State *L)
{
    const struct plan *p = dataframe_check(L, 1);
    int n = 0;

    if (spark_is_plain_table(L, 2) && lua_getfield(L, 2, "subset") != LUA_TNIL) {
        static const char *const arguments[] = {"subset", NULL};
        lua_pop(L, 1);
        spark_args(L, 2, arguments);
    } else if (spark_is_plain_table(L, 2)) {
        lua_pop(L, 1);
    }
    n = lua_isnoneornil(L, 2) ? 0 : spark_list(L, 2);
    const char **names = name_list(L, 2, n);

    return dataframe_push(L, plan_deduplicate(plan_ref(p), names, (size_t)n));
}

/* names in a string or list at index; nil: none. Pushes the array. */
static const char **names_arg(lua_State *L, int index, int *n)
{
    const char **names;
    int first = lua_gettop(L) + 1;

    *n = 0;
    if (!lua_isnoneornil(L, index)) {
        lua_pushvalue(L, index);
        *n = spark_list(L, first);
    }
    names = name_list(L, first, *n);
    return names;
}

static int l_distinct(lua_State *L)
{
    return dataframe_push(L, plan_deduplicate(plan_ref(dataframe_check(L, 1)), NULL, 0));
}

static int l_dropna(lua_State *L)
{
    static const char *const names[] = {"how", "thresh", "subset", NULL};
    static const char *const hows[] = {"any", "all", NULL};
    const struct plan *p = dataframe_check(L, 1);
    int n;

    spark_args(L, 2, names);
    bool all = spark_choice(L, 2, "any", "'any' or 'all' expected, got", hows) == 1;
    int64_t thresh = luaL_optinteger(L, 3, all ? 1 : 0);
    const char **columns = names_arg(L, 4, &n);
    if (!lua_isnil(L, 3) && thresh <= 0) { /* every row has at least no values */
        lua_settop(L, 1);
        return 1;
    }
    return dataframe_push(L, plan_na_drop(plan_ref(p), columns, (size_t)n, thresh));
}

static int fill_by_name(lua_State *L, const struct plan *p) /* the table is at 2, and the top */
{
    const char **columns;
    int n, first;

    columns = spark_keys(L, 2, &n);
    if (n == 0) {
        lua_settop(L, 1);
        return 1;
    }
    first = lua_gettop(L) + 1;
    luaL_checkstack(L, n + 8, NULL);
    for (int i = 0; i < n; i++)
        lua_getfield(L, 2, columns[i]);
    struct expr **values = column_list(L, first, n, COLUMN_VALUE);
    return dataframe_push(L, plan_na_fill(plan_ref(p), columns, (size_t)n, values, (size_t)n));
}

/* fillna(0), fillna("", {"a", "b"}), fillna{value = 0, subset = …}, fillna{column = value, …} */
static bool is_fill_by_name(lua_State *L)
{
    bool by_name = spark_is_plain_table(L, 2) && lua_rawlen(L, 2) == 0;

    if (by_name) {
        lua_getfield(L, 2, "value");
        by_name = lua_isnil(L, -1) || lua_istable(L, -1);
        lua_pop(L, 1);
    }
    return by_name;
}

static int l_fillna(lua_State *L)
{
    static const char *const names[] = {"value", "subset", NULL};
    const struct plan *p = dataframe_check(L, 1);
    struct expr *value;
    int n;

    if (is_fill_by_name(L)) {
        lua_settop(L, 2);
        if (lua_getfield(L, 2, "value") != LUA_TNIL)
            lua_replace(L, 2);
        lua_settop(L, 2);
        return fill_by_name(L, p);
    }
    if (spark_is_plain_table(L, 2))
        lua_settop(L, 2);
    spark_args(L, 2, names);
    column_arg(L, 2, COLUMN_VALUE);
    const char **columns = names_arg(L, 3, &n);
    value = expr_ref(column_at(L, 2));
    return dataframe_push(L, plan_na_fill(plan_ref(p), columns, (size_t)n, &value, 1));
}

static int group(lua_State *L, enum group_kind kind)
{
    dataframe_check(L, 1);
    int n = spark_list(L, 2);

    return grouped_push(L, 1, 2, n, kind);
}

static int l_group_by(lua_State *L)
{
    return group(L, GROUP_BY);
}

static int l_rollup(lua_State *L)
{
    return group(L, GROUP_ROLLUP);
}

static int l_cube(lua_State *L)
{
    return group(L, GROUP_CUBE);
}

static int l_agg(lua_State *L) /* df:agg(…) is df:groupBy():agg(…) */
{
    int n = lua_gettop(L);

    grouped_push(L, 1, 2, 0, GROUP_BY);
    lua_getfield(L, -1, "agg");
    lua_insert(L, 1);
    lua_replace(L, 2);
    lua_settop(L, n + 1);
    lua_call(L, n, 1);
    return 1;
}

static enum join_kind join_kind_arg(lua_State *L, int index)
{
    static const char *const names[] = {"inner", "cross",     "outer", "full",       "fullouter",
                                        "left",  "leftouter", "right", "rightouter", "leftsemi",
                                        "semi",  "leftanti",  "anti",  NULL};
    static const enum join_kind kinds[] = {JOIN_INNER, JOIN_CROSS, JOIN_FULL,  JOIN_FULL,  JOIN_FULL,
                                           JOIN_LEFT,  JOIN_LEFT,  JOIN_RIGHT, JOIN_RIGHT, JOIN_SEMI,
                                           JOIN_SEMI,  JOIN_ANTI,  JOIN_ANTI};

    return kinds[spark_choice(L, index, "inner", "[UNSUPPORTED_JOIN_TYPE] no join type is named", names)];
}

/* on as a condition: a Column, or a list of Columns that all must hold. NULL: names, or nothing. */
static struct expr *join_condition(lua_State *L, int index)
{
    struct expr *all = NULL;

    if (column_at(L, index))
        return expr_ref(column_at(L, index));
    if (!spark_is_plain_table(L, index) || lua_rawlen(L, index) == 0)
        return NULL;
    for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, index); i++, lua_pop(L, 1)) {
        lua_rawgeti(L, index, i);
        struct expr *one = column_at(L, -1);
        if (!one)
            return expr_unref(all), lua_pop(L, 1), NULL;
        all = all ? expr_binary("and", all, expr_ref(one)) : expr_ref(one);
    }
    return all;
}

static int l_join(lua_State *L)
{
    static const char *const names[] = {"other", "on", "how", NULL};
    const struct plan *left = dataframe_check(L, 1), *right;
    enum join_kind kind;
    struct expr *condition;
    const char **using_columns = NULL;
    int n = 0;

    spark_args(L, 2, names);
    right = dataframe_check(L, 2);
    kind = join_kind_arg(L, 4);
    if (lua_isboolean(L, 3))
        column_condition(L, 3);
    condition = join_condition(L, 3);
    if (!condition)
        using_columns = names_arg(L, 3, &n);
    return dataframe_push(
        L, plan_join(plan_ref(left), plan_ref(right), kind, condition, using_columns, (size_t)n));
}

static int l_cross_join(lua_State *L)
{
    return dataframe_push(L, plan_join(plan_ref(dataframe_check(L, 1)), plan_ref(dataframe_check(L, 2)),
                                       JOIN_CROSS, NULL, NULL, 0));
}

static int set_op(lua_State *L, enum set_op op, bool all, bool by_name, bool missing)
{
    return dataframe_push(L, plan_set_op(plan_ref(dataframe_check(L, 1)), plan_ref(dataframe_check(L, 2)), op,
                                         all, by_name, missing));
}

static int l_union(lua_State *L)
{
    return set_op(L, SET_UNION, true, false, false);
}

static int l_union_by_name(lua_State *L)
{
    static const char *const names[] = {"other", "allowMissingColumns", NULL};

    spark_args(L, 2, names);
    return set_op(L, SET_UNION, true, true, lua_toboolean(L, 3));
}

static int l_intersect(lua_State *L)
{
    return set_op(L, SET_INTERSECT, false, false, false);
}

static int l_intersect_all(lua_State *L)
{
    return set_op(L, SET_INTERSECT, true, false, false);
}

static int l_subtract(lua_State *L)
{
    return set_op(L, SET_EXCEPT, false, false, false);
}

static int l_except_all(lua_State *L)
{
    return set_op(L, SET_EXCEPT, true, false, false);
}

/* Takes {…, ascending = x} apart: x (or nil) goes to index 2, the columns begin at 3. The table is the only argument, or the last one
 * behind columns. The user's table is left as it is. */
static void split_ascending(lua_State *L)
{
    int top = lua_gettop(L), n;

    if (top >= 2 && spark_is_plain_table(L, top) && lua_getfield(L, top, "ascending") != LUA_TNIL) {
        lua_insert(L, 2);
        n = (int)lua_rawlen(L, top + 1);
        luaL_checkstack(L, n + 8, "too many columns");
        for (int i = 1; i <= n; i++)
            lua_rawgeti(L, top + 1, i);
        lua_remove(L, top + 1);
    } else {
        lua_settop(L, top);
        lua_pushnil(L);
        lua_insert(L, 2);
    }
}

static bool is_up(lua_State *L, int index) /* 0 and 1 count as Python's do */
{
    return lua_type(L, index) == LUA_TNUMBER ? lua_tonumber(L, index) != 0 : lua_toboolean(L, index);
}

static void set_direction(lua_State *L, int index, bool up)
{
    struct expr *e = column_arg(L, index, COLUMN_NAME);

    if (e->kind == EXPR_SORT)
        e = e->args[0];
    column_push(L, expr_sort(expr_ref(e), !up, !up));
    lua_replace(L, index);
}

/* orderBy("a", F.desc("b")), orderBy{"a", "b", ascending = false} or ascending = {true, false} */
static int l_order_by(lua_State *L)
{
    const struct plan *p = dataframe_check(L, 1);
    bool each;
    int n;

    split_ascending(L);
    each = lua_istable(L, 2);
    n = spark_list(L, 3);
    luaL_argcheck(L, n > 0, 2, "a column expected");
    if (each && (int)lua_rawlen(L, 2) != n)
        return luaL_error(L, "ascending has %d values for %d columns", (int)lua_rawlen(L, 2), n);
    for (int i = 0; !lua_isnil(L, 2) && i < n; i++) {
        if (each)
            lua_rawgeti(L, 2, i + 1);
        set_direction(L, 3 + i, is_up(L, each ? -1 : 2));
        if (each)
            lua_pop(L, 1);
    }
    struct expr **orders = column_orders(L, 3, n);
    return dataframe_push(L, plan_sort(plan_ref(p), orders, (size_t)n, true));
}

static int64_t row_count_arg(lua_State *L, int index)
{
    int64_t n = luaL_checkinteger(L, index);

    luaL_argcheck(L, n >= 0, index, "a number of rows cannot be negative");
    return n;
}

static int l_limit(lua_State *L)
{
    return dataframe_push(L, plan_limit(plan_ref(dataframe_check(L, 1)), row_count_arg(L, 2)));
}

static int l_offset(lua_State *L)
{
    return dataframe_push(L, plan_offset(plan_ref(dataframe_check(L, 1)), row_count_arg(L, 2)));
}

static int l_alias(lua_State *L)
{
    const char *name = luaL_checkstring(L, 2);

    return dataframe_push(L, plan_alias(plan_ref(dataframe_check(L, 1)), &name, 1));
}

static int l_to_df(lua_State *L)
{
    const struct plan *p = dataframe_check(L, 1);
    int n = spark_list(L, 2);
    const char **names = name_list(L, 2, n);

    if ((size_t)n != dataframe_schema(L, 1)->n_fields)
        return luaL_error(L, "toDF: %d names given for %d columns", n, (int)dataframe_schema(L, 1)->n_fields);
    return dataframe_push(L, plan_to_df(plan_ref(p), names, (size_t)n));
}

static int l_repartition(
    lua_State *L) /* repartition(n, columns…), repartition(columns…): where rows lie does not matter here */
{
    const struct plan *p = dataframe_check(L, 1);
    int64_t n = lua_type(L, 2) == LUA_TNUMBER ? luaL_checkinteger(L, 2) : 1;

    luaL_argcheck(L, lua_gettop(L) > 1, 2, "a number of partitions, or columns, expected");
    luaL_argcheck(L, n > 0, 2, "a number of partitions must be positive");
    for (int i = lua_type(L, 2) == LUA_TNUMBER ? 3 : 2; i <= lua_gettop(L); i++)
        column_arg(L, i, COLUMN_NAME);
    return dataframe_push(L, plan_repartition(plan_ref(p), n));
}

static int l_same(lua_State *L) /* cache, persist, unpersist, hint: results do not depend on them */
{
    dataframe_check(L, 1);
    lua_settop(L, 1);
    return 1;
}

static int l_transform(lua_State *L) /* df:transform(fn, …) is fn(df, …) */
{
    int n = lua_gettop(L);

    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_pushvalue(L, 1);
    lua_remove(L, 1);
    lua_insert(L, 2);
    lua_call(L, n - 1, LUA_MULTRET);
    return lua_gettop(L);
}

/* ---- actions ---- */
static int push_rows(lua_State *L, const struct plan *p) /* takes the reference */
{
    struct ArrowArrayStream stream;
    struct err err;
    enum lc rc;

    err_clear(&err);
    rc = p ? spark_execute(ctx_of(L), spark_of(L), p, &stream, &err) : err_nomem(&err);
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

static int l_collect(lua_State *L)
{
    return collect(L, plan_ref(dataframe_check(L, 1)));
}

static int l_take(lua_State *L)
{
    return collect(L, plan_limit(plan_ref(dataframe_check(L, 1)), row_count_arg(L, 2)));
}

static int l_tail(lua_State *L)
{
    return collect(L, plan_tail(plan_ref(dataframe_check(L, 1)), row_count_arg(L, 2)));
}

static int l_first(lua_State *L)
{
    push_rows(L, plan_limit(plan_ref(dataframe_check(L, 1)), 1));
    if (!row_reader_next(L, -1))
        lua_pushnil(L);
    return 1;
}

static int l_head(lua_State *L) /* head() is a row, head(n) a list */
{
    return lua_isnoneornil(L, 2) ? l_first(L) : l_take(L);
}

static int l_count(lua_State *L)
{
    struct expr *one = expr_alias(expr_unary("count", expr_int(1)), "count");

    push_rows(L, plan_aggregate(plan_ref(dataframe_check(L, 1)), GROUP_BY, NULL, 0, &one, 1));
    if (!row_reader_next(L, -1))
        return luaL_error(L, "the engine did not count");
    lua_rawgeti(L, -1, 1);
    return 1;
}

static int l_is_empty(lua_State *L)
{
    push_rows(L, plan_limit(plan_ref(dataframe_check(L, 1)), 1));
    lua_pushboolean(L, !row_reader_next(L, -1));
    return 1;
}

static int next_row(lua_State *L) /* upvalue: the reader */
{
    return row_reader_next(L, lua_upvalueindex(1)) ? 1 : 0;
}

static int l_to_local_iterator(lua_State *L)
{
    push_rows(L, plan_ref(dataframe_check(L, 1)));
    lua_pushcclosure(L, next_row, 1);
    return 1;
}

static int l_to_table(lua_State *L) /* {column = {values…}} */
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

static int l_show(lua_State *L)
{
    static const char *const names[] = {"n", "truncate", "vertical", NULL};
    const struct plan *p = dataframe_check(L, 1);
    struct show_options o = {0};
    struct buf text = BUF_INIT(BUF_TEXT_MAX);
    struct err err;
    enum lc rc;

    spark_args(L, 2, names);
    o.rows = lua_isnil(L, 2) ? 20 : row_count_arg(L, 2);
    o.truncate = lua_isnil(L, 3)       ? 20
                 : lua_isboolean(L, 3) ? (lua_toboolean(L, 3) ? 20 : 0)
                                       : luaL_checkinteger(L, 3);
    o.vertical = lua_toboolean(L, 4);
    err_clear(&err);
    rc = spark_show(ctx_of(L), spark_of(L), p, &o, &text, &err);
    if (rc == LC_OK)
        buf_putc(&text, '\n');
    return print_text(L, &text, rc, &err);
}

static int l_print_schema(lua_State *L)
{
    const struct dtype *schema = dataframe_schema(L, 1);
    struct buf text = BUF_INIT(BUF_TEXT_MAX);
    struct err err;

    err_clear(&err);
    dtype_tree(schema, &text);
    buf_putc(&text, '\n');
    return print_text(L, &text, buf_check(&text, &err), &err);
}

static int
l_explain(lua_State *L) /* explain(), explain(true), explain("extended"), explain{mode = "extended"} */
{
    static const char *const names[] = {"extended", "mode", NULL};
    const struct plan *p = dataframe_check(L, 1);

    spark_args(L, 2, names);
    if (!lua_isnil(L, 3))
        lua_copy(L, 3, 2);
    bool extended =
        lua_toboolean(L, 2) && (lua_type(L, 2) != LUA_TSTRING || strcmp(lua_tostring(L, 2), "extended") == 0);
    struct buf text = BUF_INIT(BUF_TEXT_MAX);
    struct err err;
    enum lc rc;

    err_clear(&err);
    rc = spark_explain(ctx_of(L), spark_of(L), p, extended ? EXPLAIN_EXTENDED : EXPLAIN_SIMPLE, &text, &err);
    return print_text(L, &text, rc, &err);
}

static int temp_view(lua_State *L, bool replace)
{
    const struct plan *p = dataframe_check(L, 1);
    struct err err;

    err_clear(&err);
    dataframe_schema(L, 1); /* a view that cannot be analysed is an error now, not at its first use */
    if (spark_put_view(ctx_of(L), spark_of(L), luaL_checkstring(L, 2), p, false, replace, &err) != LC_OK)
        return session_raise(L, &err);
    return 0;
}

static int l_create_temp_view(lua_State *L)
{
    return temp_view(L, false);
}

static int l_replace_temp_view(lua_State *L)
{
    return temp_view(L, true);
}

/* ---- properties ---- */
static int get_columns(lua_State *L)
{
    const struct dtype *schema = dataframe_schema(L, 1);

    lua_createtable(L, (int)schema->n_fields, 0);
    for (size_t i = 0; i < schema->n_fields; i++) {
        lua_pushstring(L, schema->fields[i].name);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    session_mark_list(L);
    return 1;
}

static void push_simple(lua_State *L, const struct dtype *type)
{
    struct buf text = BUF_INIT(1 << 20);

    dtype_simple(type, &text);
    lua_pushstring(L, buf_str(&text));
    buf_release(&text);
}

static int get_dtypes(lua_State *L)
{
    const struct dtype *schema = dataframe_schema(L, 1);

    lua_createtable(L, (int)schema->n_fields, 0);
    for (size_t i = 0; i < schema->n_fields; i++) {
        lua_createtable(L, 2, 0);
        lua_pushstring(L, schema->fields[i].name);
        lua_rawseti(L, -2, 1);
        push_simple(L, schema->fields[i].type);
        lua_rawseti(L, -2, 2);
        session_mark_list(L);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    session_mark_list(L);
    return 1;
}

static int get_schema(lua_State *L)
{
    return schema_push(L, dataframe_schema(L, 1));
}

static int get_write(lua_State *L)
{
    return writer_push(L, 1);
}

static int na_fill(lua_State *L) /* df.na:fill(…): the DataFrame stands in for na */
{
    lua_getfield(L, 1, "df");
    lua_replace(L, 1);
    return l_fillna(L);
}

static int na_drop(lua_State *L)
{
    lua_getfield(L, 1, "df");
    lua_replace(L, 1);
    return l_dropna(L);
}

static int na_replace(lua_State *L)
{
    lua_getfield(L, 1, "df");
    lua_replace(L, 1);
    return dataframe_replace(L);
}

static int get_na(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"fill", na_fill}, {"drop", na_drop}, {"replace", na_replace}, {NULL, NULL}};

    luaL_newlib(L, functions);
    lua_pushvalue(L, 1);
    lua_setfield(L, -2, "df");
    return 1;
}

static const struct manual_row methods[] = {
    {"select", l_select,
     "select(column, …) -> DataFrame\nthe columns: names, Columns, or a list of them; \"*\" is "
     "all\n\tdf:select(\"n\", F.upper(\"s\"):alias(\"upper\"))"},
    {"selectExpr", l_select_expr,
     "selectExpr(text, …) -> DataFrame\ncolumns written as SQL: \"a + 1 AS b\"\n\tdf:selectExpr(\"n + 1 AS "
     "next\", \"upper(s)\")"},
    {"filter", l_filter,
     "filter(condition) -> DataFrame\nthe rows for which a Column or SQL text is true\n\tdf:filter(\"n > 0 "
     "AND s IS NOT NULL\")"},
    {"where", l_filter, NULL},
    {"withColumn", l_with_column,
     "withColumn(name, column) -> DataFrame\nadds a column, or replaces the one of that "
     "name\n\tdf:withColumn(\"double\", F.col(\"n\") * 2)"},
    {"withColumns", l_with_columns,
     "withColumns{name = column, …} -> DataFrame\nadds or replaces several columns, in the order of their "
     "names\n\tdf:withColumns{double = F.col(\"n\") * 2, upper = F.upper(\"s\")}"},
    {"withColumnRenamed", l_with_column_renamed,
     "withColumnRenamed(existing, new) -> DataFrame\nanother name for a "
     "column\n\tdf:withColumnRenamed(\"n\", \"number\")"},
    {"withColumnsRenamed", l_with_columns_renamed,
     "withColumnsRenamed{existing = new, …} -> DataFrame\nother names for several columns"},
    {"drop", l_drop,
     "drop(column, …) -> DataFrame\nwithout these columns; names that do not exist are "
     "ignored\n\tdf:drop(\"n\")"},
    {"dropDuplicates", l_drop_duplicates,
     "dropDuplicates{column, …} -> DataFrame\none row for each combination of the columns; without columns: "
     "of all\n\tdf:dropDuplicates{\"k\"}"},
    {"drop_duplicates", l_drop_duplicates, NULL},
    {"distinct", l_distinct,
     "distinct() -> DataFrame\nwithout rows that are there already\n\tdf:select(\"k\"):distinct()"},
    {"dropna", l_dropna,
     "dropna{how = \"any\", thresh = n, subset = {column, …}} -> DataFrame\nwithout rows that have a NULL "
     "(any) or nothing but NULLs (all)\n\tdf:dropna{subset = {\"b\"}}"},
    {"fillna", l_fillna,
     "fillna(value, subset) -> DataFrame\nNULLs become the value, in columns of its type; fillna{column = "
     "value} for single columns\n\tdf:fillna(0)"},
    {"replace", dataframe_replace,
     "replace(from, to, subset) -> DataFrame\nvalues that become others: replace(1, 2), replace({\"a\", "
     "\"b\"}, {\"x\", \"y\"}), replace{a = \"x\"}\n\tdf:replace({\"moon\", \"sun\"}, {\"luna\", \"sol\"})"},
    {"groupBy", l_group_by,
     "groupBy(column, …) -> GroupedData\ngroups, for agg, count, sum, avg, min, "
     "max\n\tdf:groupBy(\"k\"):agg(F.sum(\"n\"))"},
    {"groupby", l_group_by, NULL},
    {"rollup", l_rollup,
     "rollup(column, …) -> GroupedData\ngroups with subtotals from right to left\n\tdf:rollup(\"k\", "
     "\"s\"):count()"},
    {"cube", l_cube,
     "cube(column, …) -> GroupedData\ngroups with all subtotals\n\tdf:cube(\"k\", \"s\"):count()"},
    {"agg", l_agg,
     "agg(aggregate, …) -> DataFrame\naggregates of all rows: agg(F.max(\"a\")) or agg{a = "
     "\"max\"}\n\tdf:agg(F.max(\"n\"), F.min(\"n\"))"},
    {"join", l_join,
     "join(other, on, how) -> DataFrame\non: names, or a condition as a Column; how: inner, left, right, "
     "full, semi, anti, cross\n\tdf:join(small, \"k\", \"left\")"},
    {"crossJoin", l_cross_join,
     "crossJoin(other) -> DataFrame\neach row with each row\n\tdf:crossJoin(small)"},
    {"union", l_union,
     "union(other) -> DataFrame\nrows of both, by position, with duplicates\n\tdf:union(df)"},
    {"unionAll", l_union, NULL},
    {"unionByName", l_union_by_name,
     "unionByName{other, allowMissingColumns = false} -> DataFrame\nrows of both, columns matched by "
     "name\n\tdf:unionByName(df)"},
    {"intersect", l_intersect,
     "intersect(other) -> DataFrame\nthe different rows that are in both\n\tdf:intersect(df)"},
    {"intersectAll", l_intersect_all,
     "intersectAll(other) -> DataFrame\nthe rows that are in both, with duplicates"},
    {"subtract", l_subtract,
     "subtract(other) -> DataFrame\nthe different rows that are not in the other\n\tdf:subtract(df)"},
    {"exceptAll", l_except_all,
     "exceptAll(other) -> DataFrame\nthe rows that are not in the other, with "
     "duplicates\n\tdf:exceptAll(df)"},
    {"orderBy", l_order_by,
     "orderBy{column, …, ascending = true} -> DataFrame\nsorted; F.desc(\"a\") or ascending = {true, false} "
     "for directions\n\tdf:orderBy(F.desc(\"n\"), \"s\")"},
    {"sort", l_order_by, NULL},
    {"limit", l_limit, "limit(n) -> DataFrame\nthe first n rows\n\tdf:limit(10)"},
    {"offset", l_offset, "offset(n) -> DataFrame\nwithout the first n rows\n\tdf:offset(1)"},
    {"sample", dataframe_sample,
     "sample{withReplacement = false, fraction = x, seed = n} -> DataFrame\nsome of the "
     "rows\n\tdf:sample{fraction = 0.5, seed = 42}"},
    {"randomSplit", dataframe_random_split,
     "randomSplit(weights, seed) -> DataFrame, …\nparts without common rows; the same seed gives the same "
     "parts\n\tdf:randomSplit({0.8, 0.2}, 42)"},
    {"alias", l_alias,
     "alias(name) -> DataFrame\na name for its columns: "
     "F.col(\"name.column\")\n\tdf:alias(\"t\"):select(\"t.n\")"},
    {"toDF", l_to_df,
     "toDF(name, …) -> DataFrame\nother names for all columns\n\tdf:select(\"n\", \"s\"):toDF(\"number\", "
     "\"text\")"},
    {"repartition", l_repartition, "repartition(n, column, …) -> DataFrame\nthe same rows"},
    {"coalesce", l_repartition, NULL},
    {"cache", l_same, "cache() -> DataFrame\nthe same DataFrame"},
    {"persist", l_same, NULL},
    {"unpersist", l_same, NULL},
    {"hint", l_same, NULL},
    {"transform", l_transform,
     "transform(fn, …) -> fn(df, …)\nfor chains of functions\n\tdf:transform(function(d) return d:limit(1) "
     "end)"},
    {"collect", l_collect,
     "collect() -> {Row, …}\nall rows; each is indexed by name or by position\n\tdf:collect()[1].name"},
    {"take", l_take, "take(n) -> {Row, …}\nthe first n rows\n\tdf:take(5)"},
    {"tail", l_tail, "tail(n) -> {Row, …}\nthe last n rows"},
    {"first", l_first, "first() -> Row\nthe first row, nil when there is none\n\tdf:first().n"},
    {"head", l_head, "head() -> Row, head(n) -> {Row, …}\nthe first row, or the first n\n\tdf:head(3)"},
    {"count", l_count, "count() -> integer\nthe number of rows\n\tdf:count()"},
    {"isEmpty", l_is_empty, "isEmpty() -> boolean\nwhether there are no rows\n\tdf:isEmpty()"},
    {"toLocalIterator", l_to_local_iterator,
     "toLocalIterator() -> iterator\nfor row in df:toLocalIterator() do … end, without keeping all "
     "rows\n\tfor row in df:toLocalIterator() do print(row.n) end"},
    {"toTable", l_to_table,
     "toTable() -> {column = {value, …}}\nthe columns as Lua tables\n\tdf:toTable().n"},
    {"toJSON", dataframe_to_json,
     "toJSON() -> DataFrame\none column, value: each row as a JSON text\n\tdf:select(\"n\", \"s\"):toJSON()"},
    {"show", l_show,
     "show{n = 20, truncate = 20, vertical = false}\nprints the first rows; truncate = false prints whole "
     "values\n\tdf:show{5, truncate = 80}"},
    {"printSchema", l_print_schema, "printSchema()\nprints names and types as a tree\n\tdf:printSchema()"},
    {"explain", l_explain, "explain{extended = false}\nprints what the engine will do\n\tdf:explain()"},
    {"describe", dataframe_describe,
     "describe(column, …) -> DataFrame\ncount, mean, stddev, min and max of numbers and "
     "texts\n\tdf:describe(\"n\")"},
    {"summary", dataframe_summary,
     "summary(statistic, …) -> DataFrame\ncount, mean, stddev, min, 25%, 50%, 75%, max, or those asked "
     "for\n\tdf:summary()"},
    {"createTempView", l_create_temp_view,
     "createTempView(name)\na name for spark:sql; an error when it is "
     "taken\n\tdf:createTempView(\"my_view\")"},
    {"createOrReplaceTempView", l_replace_temp_view,
     "createOrReplaceTempView(name)\na name for spark:sql\n\tdf:createOrReplaceTempView(\"my_view\")"},
    {NULL, NULL, NULL}};

static const struct manual_row property_rows[] = {
    {"columns", NULL,
     "columns: {string, …}\nthe names of the columns; print, tostring and .. give lists that functions of "
     "lacus return as they "
     "are shown: {\"a\", \"b\"}\n\t\"columns: \" .. df.columns"},
    {"dtypes", NULL, "dtypes: {{name: string, type: string}, …}\nnames and types"},
    {"schema", NULL, "schema: StructType\nnames, types, NULLs: schema.fields, schema:simpleString()"},
    {"write", NULL, "write: DataFrameWriter\ndf.write:mode(\"append\"):saveAsTable(name)"},
    {"na", NULL, "na: table\ndf.na.drop(), df.na.fill(value), df.na.replace(from, to)"},
    {0}};

const struct manual_topic dataframe_topic = {
    .name = "DataFrame",
    .doc = "rows with named, typed columns; nothing is computed before it is shown, collected or written",
    .kind = MANUAL_CLASS,
    .rows = methods,
    .fields = property_rows};

static const luaL_Reg properties[] = {{"columns", get_columns}, {"dtypes", get_dtypes},
                                      {"schema", get_schema},   {"write", get_write},
                                      {"na", get_na},           {NULL, NULL}};

static int no_member(lua_State *L, const char *name)
{
    const char *names[640];
    size_t n = 0;
    const struct dtype *schema = dataframe_schema(L, 1);
    struct buf near = BUF_INIT(1024);
    struct err err;

    for (const struct manual_row *m = methods; m->name; m++)
        names[n++] = m->name;
    for (size_t i = 0; i < schema->n_fields && n < 640; i++)
        names[n++] = schema->fields[i].name;
    nearest_list(&near, name, names, n, 3);
    err_clear(&err);
    err_set(&err, LC_ENGINE,
            "[ATTRIBUTE_NOT_SUPPORTED] a DataFrame has no method, and this one no column, named '%s'", name);
    if (near.len > 0)
        err_hint(&err, "did you mean %s?", buf_str(&near));
    buf_release(&near);
    return session_raise(L, &err);
}

static int l_index(lua_State *L) /* upvalues: methods, properties */
{
    const char *name = luaL_checkstring(L, 2);

    lua_pushvalue(L, 2);
    if (lua_gettable(L, lua_upvalueindex(1)) != LUA_TNIL) {
        if (!lua_istable(L, -1))
            return 1;
        lua_getfield(L, -1, "property"); /* {property = function}: a field that is written in Lua */
        lua_pushvalue(L, 1);
        lua_call(L, 1, 1);
        return 1;
    }
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(2)) != LUA_TNIL) {
        lua_pushvalue(L, 1);
        lua_call(L, 1, 1);
        return 1;
    }
    if (strncmp(name, "__", 2) == 0)
        return 0;
    if (dtype_field_index(dataframe_schema(L, 1), name) == -1)
        return no_member(L, name);
    return push_member(L, 1, name);
}

static int l_tostring(lua_State *L)
{
    const struct dtype *schema = dataframe_schema(L, 1);
    struct buf text = BUF_INIT(1 << 20);

    buf_puts(&text, "DataFrame[");
    for (size_t i = 0; i < schema->n_fields; i++) {
        buf_printf(&text, "%s%s: ", i ? ", " : "", schema->fields[i].name);
        dtype_simple(schema->fields[i].type, &text);
    }
    buf_putc(&text, ']');
    lua_pushstring(L, buf_str(&text));
    buf_release(&text);
    return 1;
}

static int l_mimebundle(lua_State *L)
{
    const struct plan *p = dataframe_check(L, 1);
    const struct frontend *f = session_frontend(session_of(L));
    struct buf text = BUF_INIT(BUF_TEXT_MAX), html = BUF_INIT(BUF_TEXT_MAX);
    struct err err;
    enum lc rc;

    err_clear(&err);
    rc = spark_show_rich(ctx_of(L), spark_of(L), p, 50,
                         f->ops && f->ops->columns ? f->ops->columns(f->self) : 0, &text, &html, &err);
    if (rc == LC_OK) {
        lua_createtable(L, 0, 2);
        lua_pushlstring(L, buf_str(&text), text.len);
        lua_setfield(L, -2, "text/plain");
        lua_pushlstring(L, buf_str(&html), html.len);
        lua_setfield(L, -2, "text/html");
    }
    buf_release(&text);
    buf_release(&html);
    return rc == LC_OK ? 1 : session_raise(L, &err);
}

static int l_len(lua_State *L)
{
    return l_count(L);
}

static int l_dir(lua_State *L) /* for completion: methods, then columns */
{
    lua_Integer n = 0;

    lua_newtable(L);
    for (const struct manual_row *m = methods; m->name; m++) {
        lua_pushstring(L, m->name);
        lua_rawseti(L, -2, ++n);
    }
    for (const luaL_Reg *p = properties; p->name; p++) {
        lua_pushstring(L, p->name);
        lua_rawseti(L, -2, ++n);
    }
    const struct dtype *schema = dataframe_schema(L, 1);
    for (size_t i = 0; i < schema->n_fields; i++) {
        lua_pushstring(L, schema->fields[i].name);
        lua_rawseti(L, -2, ++n);
    }
    return 1;
}

static void open_class(lua_State *L)
{
    static const luaL_Reg metamethods[] = {{"__gc", l_gc},
                                           {"__call", l_call},
                                           {"__tostring", l_tostring},
                                           {"__mimebundle", l_mimebundle},
                                           {"__len", l_len},
                                           {"__dir", l_dir},
                                           {NULL, NULL}};

    luaL_setfuncs(L, metamethods, 0);
    spark_methods(L, methods);
    spark_extend(L, "DataFrame");
    luaL_newlib(L, properties);
    lua_pushcclosure(L, l_index, 2);
    lua_setfield(L, -2, "__index");
    lua_pushliteral(L, "DataFrame");
    lua_setfield(L, -2, "__name");
}
