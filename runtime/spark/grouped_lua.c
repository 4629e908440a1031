/* grouped_lua.c: df:groupBy(…): agg, count, sum, avg, min, max, pivot-free. */
#include "runtime/spark/args_lua.h"
#include "runtime/spark/column_lua.h"
#include "runtime/spark/dataframe_lua.h"
#include <string.h>
#include <strings.h>

static const char class_name[] = "lacus.GroupedData";

/* A userdata with user values: 1 the DataFrame, 2 the list of group columns. */
struct grouped {
    enum group_kind kind;
};

static int l_agg(lua_State *L);

/* The group columns laid out on the stack; their number. */
static int push_groups(lua_State *L, int self)
{
    int n;

    lua_getiuservalue(L, self, 2);
    n = (int)lua_rawlen(L, -1);
    luaL_checkstack(L, n + 8, NULL);
    for (int i = 1; i <= n; i++)
        lua_rawgeti(L, -i, i);
    lua_remove(L, -n - 1);
    return n;
}

/* stack: aggregates from `first`, n of them. The result has the groups first, as Spark keeps them. */
static int aggregate(lua_State *L, int self, int first, int n)
{
    struct grouped *g = luaL_checkudata(L, self, class_name);
    const struct plan *input;
    struct expr **groups, **exprs;
    int at, n_groups;

    for (int i = 0; i < n; i++)
        column_one(L, first + i, "an aggregate expected");
    lua_getiuservalue(L, self, 1);
    input = dataframe_check(L, -1);
    at = lua_gettop(L) + 1;
    n_groups = push_groups(L, self);
    luaL_checkstack(L, n + n_groups + 8, NULL);
    int all = lua_gettop(L) + 1;
    for (int i = 0; i < n_groups; i++)
        lua_pushvalue(L, at + i);
    for (int i = 0; i < n; i++)
        lua_pushvalue(L, first + i);
    exprs = column_list(L, all, n_groups + n, COLUMN_NAME);
    groups = column_list(L, at, n_groups, COLUMN_NAME);
    return dataframe_push(
        L, plan_aggregate(plan_ref(input), g->kind, groups, (size_t)n_groups, exprs, (size_t)(n_groups + n)));
}

static void push_call(lua_State *L, const char *name, const char *column)
{
    if (strcmp(column, "*") == 0) {
        struct expr *one = expr_int(1);
        column_push(L, expr_alias(expr_unary(name, one), lua_pushfstring(L, "%s(1)", name)));
        lua_remove(L, -2);
        return;
    }
    column_push(L, expr_unary(name, expr_column(column)));
}

/* agg{amount = "sum"}: in the order of the names. */
static int agg_by_name(lua_State *L)
{
    const char **names;
    int n, first;

    names = spark_keys(L, 2, &n);
    luaL_argcheck(L, n > 0, 2, "an aggregate expected, e.g. F.count(\"*\")");
    first = lua_gettop(L) + 1;
    luaL_checkstack(L, n + 12, NULL);
    for (int i = 0; i < n; i++) {
        lua_getfield(L, 2, names[i]);
        if (lua_type(L, -1) != LUA_TSTRING)
            return luaL_error(L, "agg: the name of a function expected for '%s', got %s", names[i],
                              luaL_typename(L, -1));
        push_call(L, lua_tostring(L, -1), names[i]);
        lua_remove(L, -2);
    }
    return aggregate(L, 1, first, n);
}

static int l_agg(lua_State *L)
{
    luaL_checkudata(L, 1, class_name);
    if (lua_gettop(L) == 2 && spark_is_plain_table(L, 2) && lua_rawlen(L, 2) == 0)
        return agg_by_name(L);
    int n = spark_list(L, 2);
    luaL_argcheck(L, n > 0, 2, "an aggregate expected, e.g. F.count(\"*\")");
    return aggregate(L, 1, 2, n);
}

/* The parts, for pivot: the DataFrame, the list of groups. */
static int l_parts(lua_State *L)
{
    luaL_checkudata(L, 1, class_name);
    lua_getiuservalue(L, 1, 1);
    lua_getiuservalue(L, 1, 2);
    return 2;
}

static int l_count(lua_State *L)
{
    luaL_checkudata(L, 1, class_name);
    lua_settop(L, 1);
    column_push(L, expr_alias(expr_unary("count", expr_int(1)), "count"));
    return aggregate(L, 1, 2, 1);
}

static bool is_group(lua_State *L, int self, const char *name)
{
    int top = lua_gettop(L), n = push_groups(L, self);
    bool found = false;

    for (int i = 0; i < n; i++) {
        const struct expr *e = column_at(L, top + 1 + i);
        if (e && e->kind == EXPR_ATTRIBUTE && strcasecmp(e->u.name.parts[e->u.name.n_parts - 1], name) == 0)
            found = true;
    }
    lua_settop(L, top);
    return found;
}

/* sum("a", "b"), or of all numeric columns. */
static int each(lua_State *L, const char *function)
{
    int n, first;

    luaL_checkudata(L, 1, class_name);
    n = spark_list(L, 2);
    first = lua_gettop(L) + 1;
    if (n == 0) {
        lua_getiuservalue(L, 1, 1);
        const struct dtype *schema = dataframe_schema(L, -1);
        first = lua_gettop(L) + 1;
        luaL_checkstack(L, (int)schema->n_fields + 8, NULL);
        for (size_t i = 0; i < schema->n_fields; i++) {
            if (!dtype_is_numeric(schema->fields[i].type) || is_group(L, 1, schema->fields[i].name))
                continue;
            const char *name = schema->fields[i].name;
            column_push(L, expr_unary(function, expr_attribute(&name, 1, 0)));
            n++;
        }
    } else {
        luaL_checkstack(L, n + 8, NULL);
        for (int i = 0; i < n; i++)
            push_call(L, function, spark_text(L, 2 + i));
    }
    return aggregate(L, 1, first, n);
}

#define EACH(function, name)                                                                                 \
    static int function(lua_State *L)                                                                        \
    {                                                                                                        \
        return each(L, name);                                                                                \
    }
EACH(l_sum, "sum")
EACH(l_avg, "avg")
EACH(l_min, "min")
EACH(l_max, "max")

static const struct manual_row methods[] = {
    {"agg", l_agg,
     "agg(aggregate: Column|{…: ColumnName = AggregateName}, …) -> DataFrame\none row per group: "
     "agg(F.sum(\"a\"), F.max(\"b\")) or agg{a = "
     "\"sum\"}\n\tdf:groupBy(\"k\"):agg(F.sum(\"n\"):alias(\"sum\"), F.max(\"n\"))"},
    {"count", l_count, "count() -> DataFrame\nthe number of rows of each group\n\tdf:groupBy(\"k\"):count()"},
    {"sum", l_sum,
     "sum(column, …) -> DataFrame\nsums; without columns: of all numbers\n\tdf:groupBy(\"k\"):sum(\"n\")"},
    {"avg", l_avg,
     "avg(column, …) -> DataFrame\naverages; without columns: of all "
     "numbers\n\tdf:groupBy(\"k\"):avg(\"n\")"},
    {"mean", l_avg, NULL},
    {"min", l_min,
     "min(column, …) -> DataFrame\nsmallest values; without columns: of all "
     "numbers\n\tdf:groupBy(\"k\"):min(\"n\")"},
    {"max", l_max,
     "max(column, …) -> DataFrame\nlargest values; without columns: of all "
     "numbers\n\tdf:groupBy(\"k\"):max(\"n\")"},

    {NULL, NULL, NULL}};

const struct manual_topic grouped_topic = {
    .name = "GroupedData", .doc = "df:groupBy(…): groups of rows", .kind = MANUAL_CLASS, .rows = methods};

int grouped_push(lua_State *L, int dataframe, int first, int n, enum group_kind kind)
{
    struct grouped *g;

    dataframe = lua_absindex(L, dataframe);
    for (int i = 0; i < n; i++)
        column_one(L, first + i, "a Column or its name expected");
    g = lua_newuserdatauv(L, sizeof *g, 2);
    g->kind = kind;
    lua_pushvalue(L, dataframe);
    lua_setiuservalue(L, -2, 1);
    lua_createtable(L, n, 0);
    for (int i = 0; i < n; i++) {
        lua_pushvalue(L, first + i);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setiuservalue(L, -2, 2);
    if (luaL_newmetatable(L, class_name)) {
        spark_methods(L, methods, "GroupedData");
        lua_pushcfunction(L, l_parts);
        lua_setfield(L, -2, "_parts");
        spark_extend(L, "GroupedData");
        lua_setfield(L, -2, "__index");
        lua_pushliteral(L, "GroupedData");
        lua_setfield(L, -2, "__name");
    }
    lua_setmetatable(L, -2);
    return 1;
}
