/* relations_lua.c: the methods of a DataFrame that give another one: select, filter, join, group, sort. */
#include "runtime/spark/args_lua.h"
#include "runtime/spark/column_lua.h"
#include "runtime/spark/dataframe_int.h"
#include <string.h>

int dataframe_select(lua_State *L)
{
    const struct plan *p = dataframe_check(L, 1);
    int n = spark_list(L, 2);
    struct expr **exprs;

    for (int i = 0; i < n; i++)
        column_one(L, 2 + i, "a Column or its name expected");
    exprs = column_list(L, 2, n, COLUMN_NAME);
    return dataframe_push(L, plan_project(plan_ref(p), exprs, (size_t)n));
}

int dataframe_select_expr(lua_State *L)
{
    const struct plan *p = dataframe_check(L, 1);
    int n = spark_list(L, 2);
    struct expr **exprs = column_list(L, 2, n, COLUMN_SQL);

    return dataframe_push(L, plan_project(plan_ref(p), exprs, (size_t)n));
}

int dataframe_filter(lua_State *L)
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
    column_refuse_boolean(L, index, "[NOT_COLUMN] a Column expected (F.lit(true) is a constant)");
    return column_arg(L, index, COLUMN_VALUE);
}

int dataframe_with_column(lua_State *L)
{
    const struct plan *p = dataframe_check(L, 1);
    static const char *const names[] = {"colName", "col", NULL};
    struct expr *e;

    spark_args(L, 2, names);
    const char *name = spark_text(L, 2);
    e = expr_alias(expr_ref(new_column(L, 3)), name);
    return dataframe_push(L, plan_with_columns(plan_ref(p), &e, 1));
}

int dataframe_with_columns(lua_State *L)
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

int dataframe_with_column_renamed(lua_State *L)
{
    static const char *const names[] = {"existing", "new", NULL};
    const struct plan *p = dataframe_check(L, 1);

    spark_args(L, 2, names);
    const char *pair[2] = {spark_text(L, 2), spark_text(L, 3)};
    return dataframe_push(L, plan_rename(plan_ref(p), pair, 1));
}

int dataframe_with_columns_renamed(lua_State *L)
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
            return luaL_error(L, "withColumnsRenamed: the new name of '%s' must be a text, got %s", names[i],
                              luaL_typename(L, -1));
        pairs[2 * i + 1] = lua_tostring(L, -1);
    }
    return dataframe_push(L, plan_rename(plan_ref(p), pairs, (size_t)n));
}

/* As Spark: a text is a whole name here, dots and all. */
int dataframe_drop(lua_State *L)
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
int dataframe_drop_duplicates(lua_State *L)
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
    const char **names = dataframe_names(L, 2, n);

    return dataframe_push(L, plan_deduplicate(plan_ref(p), names, (size_t)n));
}

int dataframe_distinct(lua_State *L)
{
    return dataframe_push(L, plan_deduplicate(plan_ref(dataframe_check(L, 1)), NULL, 0));
}

static int group(lua_State *L, enum group_kind kind)
{
    dataframe_check(L, 1);
    int n = spark_list(L, 2);

    return grouped_push(L, 1, 2, n, kind);
}

int dataframe_group_by(lua_State *L)
{
    return group(L, GROUP_BY);
}

int dataframe_rollup(lua_State *L)
{
    return group(L, GROUP_ROLLUP);
}

int dataframe_cube(lua_State *L)
{
    return group(L, GROUP_CUBE);
}

int dataframe_agg(lua_State *L) /* df:agg(…) is df:groupBy():agg(…) */
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

int dataframe_join(lua_State *L)
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
        using_columns = dataframe_names_arg(L, 3, &n);
    return dataframe_push(
        L, plan_join(plan_ref(left), plan_ref(right), kind, condition, using_columns, (size_t)n));
}

int dataframe_lateral_join(lua_State *L)
{
    static const char *const names[] = {"other", "on", "how", NULL};
    const struct plan *left = dataframe_check(L, 1), *right;
    enum join_kind kind;
    struct expr *condition;

    spark_args(L, 2, names);
    right = dataframe_check(L, 2);
    kind = join_kind_arg(L, 4);
    luaL_argcheck(L, kind == JOIN_INNER || kind == JOIN_LEFT || kind == JOIN_CROSS, 4,
                  "a lateral join is inner, left or cross");
    condition = lua_isnil(L, 3) ? NULL : expr_ref(column_condition(L, 3));
    if (!condition && kind == JOIN_INNER)
        kind = JOIN_CROSS;
    return dataframe_push(L, plan_join_lateral(plan_ref(left), plan_ref(right), kind, condition));
}

int dataframe_cross_join(lua_State *L)
{
    return dataframe_push(L, plan_join(plan_ref(dataframe_check(L, 1)), plan_ref(dataframe_check(L, 2)),
                                       JOIN_CROSS, NULL, NULL, 0));
}

static int set_op(lua_State *L, enum set_op op, bool all, bool by_name, bool missing)
{
    return dataframe_push(L, plan_set_op(plan_ref(dataframe_check(L, 1)), plan_ref(dataframe_check(L, 2)), op,
                                         all, by_name, missing));
}

int dataframe_union(lua_State *L)
{
    return set_op(L, SET_UNION, true, false, false);
}

int dataframe_union_by_name(lua_State *L)
{
    static const char *const names[] = {"other", "allowMissingColumns", NULL};

    spark_args(L, 2, names);
    return set_op(L, SET_UNION, true, true, spark_bool(L, 3));
}

int dataframe_intersect(lua_State *L)
{
    return set_op(L, SET_INTERSECT, false, false, false);
}

int dataframe_intersect_all(lua_State *L)
{
    return set_op(L, SET_INTERSECT, true, false, false);
}

int dataframe_subtract(lua_State *L)
{
    return set_op(L, SET_EXCEPT, false, false, false);
}

int dataframe_except_all(lua_State *L)
{
    return set_op(L, SET_EXCEPT, true, false, false);
}

/* Takes {…, ascending = x} apart: x (or nil) goes to index 2, the columns begin at 3. The table is the only argument, or the last one
 * behind columns. The user's table is left as it is. */
static void split_ascending(lua_State *L)
{
    static const char *const names[] = {"ascending", NULL};
    int top = lua_gettop(L), n;

    if (top >= 2 && spark_is_plain_table(L, top))
        spark_names(L, top, names);
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
    if (lua_type(L, index) != LUA_TNUMBER && !lua_isboolean(L, index))
        luaL_error(L, "orderBy: ascending is true, false or a list of them, got %s '%s'",
                   luaL_typename(L, index), luaL_tolstring(L, index, NULL));
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
int dataframe_order_by(lua_State *L)
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

int64_t dataframe_rows_arg(lua_State *L, int index)
{
    int64_t n = luaL_checkinteger(L, index);

    luaL_argcheck(L, n >= 0, index, "a number of rows cannot be negative");
    return n;
}

int dataframe_limit(lua_State *L)
{
    return dataframe_push(L, plan_limit(plan_ref(dataframe_check(L, 1)), dataframe_rows_arg(L, 2)));
}

int dataframe_offset(lua_State *L)
{
    return dataframe_push(L, plan_offset(plan_ref(dataframe_check(L, 1)), dataframe_rows_arg(L, 2)));
}

int dataframe_alias(lua_State *L)
{
    const char *name = spark_text(L, 2);

    return dataframe_push(L, plan_alias(plan_ref(dataframe_check(L, 1)), &name, 1));
}

int dataframe_to_df(lua_State *L)
{
    const struct plan *p = dataframe_check(L, 1);
    int n = spark_list(L, 2);
    const char **names = dataframe_names(L, 2, n);

    if ((size_t)n != dataframe_schema(L, 1)->n_fields)
        return luaL_error(L, "toDF: %d names given for %d columns", n, (int)dataframe_schema(L, 1)->n_fields);
    return dataframe_push(L, plan_to_df(plan_ref(p), names, (size_t)n));
}

int dataframe_repartition(
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

int dataframe_coalesce(lua_State *L)
{
    lua_pushinteger(L, luaL_checkinteger(L, 2));
    lua_replace(L, 2);
    return dataframe_repartition(L);
}

int dataframe_same(lua_State *L) /* cache, persist, unpersist, hint: results do not depend on them */
{
    dataframe_check(L, 1);
    lua_settop(L, 1);
    return 1;
}

int dataframe_transform(lua_State *L) /* df:transform(fn, …) is fn(df, …) */
{
    int n = lua_gettop(L);

    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_pushvalue(L, 1);
    lua_remove(L, 1);
    lua_insert(L, 2);
    lua_call(L, n - 1, 1);
    if (!dataframe_at(L, -1))
        return luaL_error(L, "transform: the function must give a DataFrame, got %s", luaL_typename(L, -1));
    return 1;
}
