/* window_lua.c: Window.partitionBy(…):orderBy(…):rowsBetween(a, b), and column:over(spec). */
#include "runtime/spark/args_lua.h"
#include "runtime/spark/column_lua.h"

static const char class_name[] = "lacus.WindowSpec";

/* A spec is a table: partitions in [1], orders in [2] (lists of Columns), frame fields. It is never changed: each call copies. */
static int new_spec(lua_State *L, int from) /* from 0: an empty one */
{
    static const char *const keys[] = {"kind", "lower", "upper"};

    lua_createtable(L, 2, 3);
    for (int i = 1; i <= 2; i++) {
        if (from)
            lua_rawgeti(L, from, i);
        else
            lua_newtable(L);
        lua_rawseti(L, -2, i);
    }
    for (size_t i = 0; from && i < sizeof keys / sizeof *keys; i++) {
        lua_getfield(L, from, keys[i]);
        lua_setfield(L, -2, keys[i]);
    }
    luaL_setmetatable(L, class_name);
    return lua_gettop(L);
}

static int is_spec(lua_State *L, int index)
{
    int same = 0;

    if (lua_getmetatable(L, index)) {
        luaL_getmetatable(L, class_name);
        same = lua_rawequal(L, -1, -2);
        lua_pop(L, 2);
    }
    return same;
}

/* 1 when the first argument is a spec to go on from; Window itself, as in Window:partitionBy(…), is taken off. */
static int self_spec(lua_State *L)
{
    bool module = lua_istable(L, 1) && lua_getfield(L, 1, "unboundedPreceding") != LUA_TNIL;

    if (lua_istable(L, 1))
        lua_pop(L, 1);
    if (module && !is_spec(L, 1))
        lua_remove(L, 1);
    return lua_istable(L, 1) && is_spec(L, 1);
}

static int with_columns(lua_State *L, int slot)
{
    int self = self_spec(L), first = self + 1, n = spark_list(L, first), spec;

    for (int i = 0; i < n; i++)
        slot == 2 ? column_order(L, first + i) : column_one(L, first + i, "a Column or its name expected");
    spec = new_spec(L, self);
    lua_createtable(L, n, 0);
    for (int i = 0; i < n; i++) {
        lua_pushvalue(L, first + i);
        lua_rawseti(L, -2, i + 1);
    }
    lua_rawseti(L, spec, slot);
    return 1;
}

static int l_partition_by(lua_State *L)
{
    return with_columns(L, 1);
}

static int l_order_by(lua_State *L)
{
    return with_columns(L, 2);
}

static enum frame_bound bound_of(lua_Number n)
{
    return n <= -9e18 || n >= 9e18 ? BOUND_UNBOUNDED : n < 0 || n > 0 ? BOUND_VALUE : BOUND_CURRENT;
}

/* A number, whole for rows; for a range also a Column of an interval. */
static void check_bound(lua_State *L, int index, enum frame_kind kind)
{
    lua_Number n;

    if (kind == FRAME_RANGE && lua_type(L, index) != LUA_TNUMBER) {
        luaL_argcheck(L, column_at(L, index), index,
                      "a number or a Column such as F.expr(\"INTERVAL 1 DAY\") expected");
        return;
    }
    n = luaL_checknumber(L, index);
    luaL_argcheck(L, kind == FRAME_RANGE || bound_of(n) == BOUND_UNBOUNDED || (double)(int64_t)n == n, index,
                  "a whole number of rows expected");
}

static int frame(lua_State *L, enum frame_kind kind)
{
    int self = self_spec(L), spec;

    check_bound(L, self + 1, kind);
    check_bound(L, self + 2, kind);
    luaL_argcheck(L,
                  lua_type(L, self + 1) != LUA_TNUMBER || lua_type(L, self + 2) != LUA_TNUMBER ||
                      lua_tonumber(L, self + 1) <= lua_tonumber(L, self + 2),
                  self + 1, "the frame ends before it begins");
    spec = new_spec(L, self);
    lua_pushinteger(L, kind);
    lua_setfield(L, spec, "kind");
    lua_pushvalue(L, self + 1);
    lua_setfield(L, spec, "lower");
    lua_pushvalue(L, self + 2);
    lua_setfield(L, spec, "upper");
    return 1;
}

static int l_rows_between(lua_State *L)
{
    return frame(L, FRAME_ROWS);
}

static int l_range_between(lua_State *L)
{
    return frame(L, FRAME_RANGE);
}

static struct expr **spec_columns(lua_State *L, int spec, int slot, int *n)
{
    int first = lua_gettop(L) + 2;

    lua_rawgeti(L, spec, slot);
    *n = (int)lua_rawlen(L, -1);
    luaL_checkstack(L, *n + 8, NULL);
    for (int i = 1; i <= *n; i++)
        lua_rawgeti(L, first - 1, i);
    return column_list(L, first, *n, COLUMN_NAME);
}

struct bound {
    enum frame_bound kind;
    int64_t value;
    struct expr *of; /* a new reference, or NULL */
};

static void get_bound(lua_State *L, int index, struct bound *to)
{
    lua_Number n = lua_tonumber(L, index);

    if (lua_type(L, index) != LUA_TNUMBER)
        *to = (struct bound){.kind = BOUND_VALUE, .value = 1, .of = expr_ref(column_at(L, index))};
    else if (bound_of(n) == BOUND_VALUE && (double)(int64_t)n != n)
        *to = (struct bound){.kind = BOUND_VALUE, .value = 1, .of = expr_double(n)};
    else
        *to = (struct bound){.kind = bound_of(n), .value = bound_of(n) == BOUND_VALUE ? (int64_t)n : 0};
}

int window_over(lua_State *L)
{
    struct expr **partition, **order, *e = column_arg(L, 1, COLUMN_NAME), *window;
    int n_partition, n_order;

    lua_settop(L, 2);
    if (!lua_istable(L, 2) || !is_spec(L, 2))
        return luaL_argerror(L, 2, "a window expected, as Window.partitionBy(…):orderBy(…) makes it");
    partition = spec_columns(L, 2, 1, &n_partition);
    order = spec_columns(L, 2, 2, &n_order);
    window = expr_window(expr_ref(e), partition, (size_t)n_partition, order, (size_t)n_order);
    if (window && lua_getfield(L, 2, "kind") != LUA_TNIL) {
        struct bound lower = {.kind = BOUND_CURRENT}, upper = lower;
        lua_getfield(L, 2, "lower");
        lua_getfield(L, 2, "upper");
        get_bound(L, -2, &lower);
        get_bound(L, -1, &upper);
        window = expr_frame(window, (enum frame_kind)lua_tointeger(L, -3), lower.kind, lower.value,
                            upper.kind, upper.value);
        window = expr_frame_of(window, lower.of, upper.of);
    }
    return column_push(L, window);
}

static const struct manual_row functions[] = {
    {"partitionBy", l_partition_by,
     "partitionBy(column, …) -> WindowSpec\nrows with equal values go "
     "together\n\tF.sum(\"n\"):over(Window.partitionBy(\"k\"))"},
    {"orderBy", l_order_by,
     "orderBy(column, …) -> WindowSpec\ntheir "
     "order\n\tF.lag(\"n\"):over(Window.partitionBy(\"k\"):orderBy(\"day\"))"},
    {"rowsBetween", l_rows_between,
     "rowsBetween(first, last) -> WindowSpec\nrows relative to the current one: Window.unboundedPreceding, "
     "-1, "
     "Window.currentRow\n\tF.sum(\"n\"):over(Window.orderBy(\"day\"):rowsBetween(Window.unboundedPreceding, "
     "Window.currentRow))"},
    {"rangeBetween", l_range_between,
     "rangeBetween(first, last) -> WindowSpec\nvalues relative to the current one: numbers, or intervals as "
     "F.expr(\"INTERVAL -7 DAYS\") of dates and "
     "timestamps\n\tF.sum(\"n\"):over(Window.orderBy(\"day\"):rangeBetween(-7, 0))"},
    {NULL, NULL, NULL}};

static const struct manual_row window_fields[] = {
    {"unboundedPreceding", NULL, "unboundedPreceding: integer\nthe first row of the partition"},
    {"unboundedFollowing", NULL, "unboundedFollowing: integer\nthe last row of the partition"},
    {"currentRow", NULL, "currentRow: integer\nthe current row"},
    {0}};

static const struct manual_topic spec_topic = {.name = "WindowSpec",
                                               .doc = "a window: Window.partitionBy(…):orderBy(…)",
                                               .kind = MANUAL_CLASS,
                                               .rows = functions};
static const struct manual_topic window_topic = {.name = "Window",
                                                 .doc = "windows for column:over(…)",
                                                 .kind = MANUAL_MODULE,
                                                 .rows = functions,
                                                 .fields = window_fields};

const struct manual_topic *const window_topics[] = {&window_topic, &spec_topic, NULL};

int window_lua_open(lua_State *L)
{
    if (luaL_newmetatable(L, class_name)) {
        spark_methods(L, functions, "WindowSpec");
        lua_setfield(L, -2, "__index");
        lua_pushliteral(L, "WindowSpec");
        lua_setfield(L, -2, "__name");
    }
    spark_functions(L, functions);
    lua_pushinteger(L, LUA_MININTEGER);
    lua_setfield(L, -2, "unboundedPreceding");
    lua_pushinteger(L, LUA_MAXINTEGER);
    lua_setfield(L, -2, "unboundedFollowing");
    lua_pushinteger(L, 0);
    lua_setfield(L, -2, "currentRow");
    return 1;
}
