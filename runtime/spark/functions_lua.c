/* functions_lua.c: F: one Lua function per row of the table of functions, made when it is first asked for. */
#include "runtime/base/nearest.h"
#include "runtime/base/plural.h"
#include "runtime/dataframe/sqlgen/functions.h"
#include "runtime/spark/args_lua.h"
#include "runtime/spark/column_lua.h"
#include "runtime/spark/dataframe_lua.h"
#include <string.h>

static enum column_text text_of(const struct function *f, int argument)
{
    const char *letters = f->lua;
    size_t i = 0;

    for (int k = 0; k < argument && letters[i]; k++)
        if (letters[i + 1] && letters[i + 1] != '*')
            i++;
    return letters[i] == 'c' ? COLUMN_NAME : COLUMN_VALUE;
}

/* A Lua function as argument becomes a lambda over fresh variables: F.transform("a", function(x) return x + 1 end). */
int column_lambda(lua_State *L, int index)
{
    static const char *const names[] = {"x", "y", "z"};
    lua_Debug ar;
    int n, top;
    struct expr *body;

    index = lua_absindex(L, index);
    top = lua_gettop(L);
    lua_pushvalue(L, index);
    lua_getinfo(L, ">u", &ar);
    n = ar.nparams < 1 ? 1 : ar.nparams > 3 ? 3 : ar.nparams;
    lua_pushvalue(L, index);
    for (int i = 0; i < n; i++)
        column_push(L, expr_variable(names[i]));
    lua_call(L, n, 1);
    column_refuse_boolean(L, -1, "the function must give a Column");
    body = column_arg(L, -1, COLUMN_VALUE);
    column_push(L, expr_lambda(names, (size_t)n, expr_ref(body)));
    lua_replace(L, top + 1);
    lua_settop(L, top + 1);
    return 1;
}

static void lambda_arg(lua_State *L, int index)
{
    column_lambda(L, index);
    lua_replace(L, index);
}

/* The i-th argument's name in a usage, "lpad(col, len=1)": its length, 0: there are not so many. */
static size_t argument_name(const char *usage, int i, const char **name)
{
    const char *p = strchr(usage, '(');
    size_t n = 0;

    for (p = p ? p + 1 : ""; *p && *p != ')' && i > 0; p++)
        i -= *p == ',';
    p += strspn(p, " ");
    while ((p[n] >= 'a' && p[n] <= 'z') || (p[n] >= 'A' && p[n] <= 'Z') || (p[n] >= '0' && p[n] <= '9') ||
           p[n] == '_')
        n++;
    *name = p;
    return i == 0 ? n : 0;
}

static bool has_names(lua_State *L, int table)
{
    bool found = false;

    lua_pushnil(L);
    while (!found && lua_next(L, table)) {
        found = lua_type(L, -2) == LUA_TSTRING;
        lua_pop(L, 1);
    }
    if (found)
        lua_pop(L, 1);
    return found;
}

/* F.lpad{"name", len = 5, pad = "*"}: the arguments in their places; their number. */
static int named_arguments(lua_State *L, const struct function *f)
{
    const char *name;
    size_t length;
    int n = 0, used = 0, there = 0;

    for (int i = 0; i < 32 && (length = argument_name(f->usage, i, &name)) > 0; i++) {
        lua_pushlstring(L, name, length);
        if (lua_rawget(L, 1) == LUA_TNIL) {
            lua_pop(L, 1);
            if (lua_rawgeti(L, 1, i + 1) == LUA_TNIL) {
                lua_pop(L, 1);
                break;
            }
        }
        n++;
    }
    lua_pushnil(L);
    while (lua_next(L, 1)) {
        there++;
        lua_pop(L, 1);
    }
    used = n;
    if (there != used)
        luaL_error(L, "F.%s: an argument has another name or place, expected F.%s", f->name, f->usage);
    lua_remove(L, 1);
    return n;
}

/* {mode = "FAILFAST"} in the place of the options: map('mode', 'FAILFAST'); of none: as if they were left out. */
static void options_arg(lua_State *L, int index)
{
    int n, top = lua_gettop(L), first;
    const char **keys = spark_keys(L, index, &n);
    struct expr **items;

    luaL_checkstack(L, 2 * n + 8, "too many options");
    first = lua_gettop(L) + 1;
    for (int i = 0; i < n; i++) {
        size_t len;
        const char *text;

        column_push(L, expr_string(keys[i], strlen(keys[i])));
        lua_getfield(L, index, keys[i]);
        text = luaL_tolstring(L, -1, &len);
        column_push(L, expr_string(text, len));
        lua_replace(L, -3);
        lua_pop(L, 1);
    }
    items = column_list(L, first, 2 * n, COLUMN_VALUE);
    if (n > 0)
        column_push(L, expr_call("map", false, items, (size_t)(2 * n)));
    else
        lua_pushnil(L);
    lua_replace(L, index);
    lua_settop(L, top);
}

static void put_options(lua_State *L, const struct function *f, int n)
{
    const char *name;

    for (int i = 0; i < n; i++)
        if (argument_name(f->usage, i, &name) == strlen("options") &&
            strncmp(name, "options", strlen("options")) == 0 && spark_is_plain_table(L, i + 1))
            options_arg(L, i + 1);
}

static int l_function(lua_State *L) /* upvalue: name */
{
    const char *name = lua_tostring(L, lua_upvalueindex(1));
    const struct function *f = function_named(name);
    struct expr **args;
    int n = lua_gettop(L);

    if (n == 1 && spark_is_plain_table(L, 1) && has_names(L, 1))
        n = named_arguments(L, f);
    else if (n == 1 && spark_is_plain_table(L, 1) && f->max < 0)
        n = spark_list(L, 1);
    put_options(L, f, n);
    while (n > 0 && lua_isnil(L, n)) /* Python's None: left out */
        lua_settop(L, --n);
    f = function_find(name, (size_t)n);
    if (!f) {
        f = function_named(name);
        return luaL_error(L, "F.%s: %d argument%s given, expected F.%s", name, n, PLURAL(n), f->usage);
    }
    luaL_checkstack(L, n + 8, "too many arguments");
    for (int i = 0; i < n; i++)
        if (lua_isfunction(L, i + 1))
            lambda_arg(L, i + 1);
        else
            column_arg(L, i + 1, f->lua ? text_of(f, i) : COLUMN_NAME);
    args = column_list(L, 1, n, COLUMN_NAME);
    return column_push(L, expr_call(f->name, false, args, (size_t)n));
}

/* ---- those that are more than a row ---- */
static int l_col(lua_State *L)
{
    spark_text(L, 1);
    column_arg(L, 1, COLUMN_NAME);
    lua_settop(L, 1);
    return 1;
}

static int l_lit(lua_State *L)
{
    luaL_checkany(L, 1);
    if (lua_isnil(L, 1)) /* Python's None */
        lua_pushlightuserdata(L, NULL), lua_replace(L, 1);
    column_arg(L, 1, COLUMN_VALUE);
    lua_settop(L, 1);
    return 1;
}

static int l_expr(lua_State *L)
{
    spark_text(L, 1);
    column_arg(L, 1, COLUMN_SQL);
    lua_settop(L, 1);
    return 1;
}

static int l_when(lua_State *L)
{
    struct expr *args[2];

    lua_settop(L, 2);
    args[0] = column_condition(L, 1);
    args[1] = column_arg(L, 2, COLUMN_VALUE);
    expr_ref(args[0]);
    expr_ref(args[1]);
    return column_push(L, expr_call("when", false, args, 2));
}

static int distinct_call(lua_State *L, const char *name)
{
    int n = spark_list(L, 1);
    struct expr **args = column_list(L, 1, n, COLUMN_NAME);

    luaL_argcheck(L, n > 0, 1, "a column expected");
    return column_push(L, expr_call(name, true, args, (size_t)n));
}

static int l_count_distinct(lua_State *L)
{
    return distinct_call(L, "count");
}

static int l_sum_distinct(lua_State *L)
{
    return distinct_call(L, "sum");
}

static int l_asc(lua_State *L)
{
    return column_push(L, expr_sort(expr_ref(column_arg(L, 1, COLUMN_NAME)), false, false));
}

static int l_asc_nulls_last(lua_State *L)
{
    return column_push(L, expr_sort(expr_ref(column_arg(L, 1, COLUMN_NAME)), false, true));
}

static int l_desc(lua_State *L)
{
    return column_push(L, expr_sort(expr_ref(column_arg(L, 1, COLUMN_NAME)), true, true));
}

static int l_desc_nulls_first(lua_State *L)
{
    return column_push(L, expr_sort(expr_ref(column_arg(L, 1, COLUMN_NAME)), true, false));
}

static int l_call_function(lua_State *L) /* F.call_function(name, …) */
{
    const char *name = spark_text(L, 1);
    int n = lua_gettop(L) - 1;
    struct expr **args = column_list(L, 2, n, COLUMN_NAME);

    return column_push(L, expr_call(name, false, args, (size_t)n));
}

static int l_struct(lua_State *L) /* F.struct(columns…): fields are named as the columns */
{
    int n = spark_list(L, 1);
    struct expr **args = column_list(L, 1, n, COLUMN_NAME);

    luaL_argcheck(L, n > 0, 1, "a column expected");
    return column_push(L, expr_call("struct", false, args, (size_t)n));
}

static int l_broadcast(lua_State *L) /* F.broadcast(df): the engine chooses how it joins */
{
    dataframe_check(L, 1);
    lua_settop(L, 1);
    return 1;
}

static int l_udf(lua_State *L) /* F.udf(function, type): written in Lua */
{
    spark_library(L);
    lua_getfield(L, -1, "udf");
    lua_insert(L, 1);
    lua_pop(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
}

static const struct manual_row special[] = {
    {"col", l_col,
     "col(name: ColumnName)\na column: \"a\", \"t.a\", \"a.field\", \"`a.b`\", "
     "\"*\"\n\tdf:select(F.col(\"n\") + 1)"},
    {"column", l_col, NULL},
    {"lit", l_lit, "lit(value)\na value as a Column; null for NULL\n\tdf:withColumn(\"one\", F.lit(1))"},
    {"expr", l_expr, "expr(text: Sql)\na Column written as SQL\n\tdf:select(F.expr(\"n + 1 AS next\"))"},
    {"when", l_when,
     "when(condition, value)\nCASE: go on with :when(condition, value) and "
     ":otherwise(value)\n\tF.when(F.col(\"n\"):gt(0), \"plus\"):otherwise(\"rest\")"},
    {"countDistinct", l_count_distinct,
     "countDistinct(column, …)\nhow many different values, NULLs left out\n\tdf:agg(F.countDistinct(\"k\"))"},
    {"count_distinct", l_count_distinct, NULL},
    {"sumDistinct", l_sum_distinct,
     "sumDistinct(column)\nthe sum of the different values\n\tdf:agg(F.sumDistinct(\"n\"))"},
    {"sum_distinct", l_sum_distinct, NULL},
    {"asc", l_asc, "asc(column)\nascending, NULLs first\n\tdf:orderBy(F.asc(\"n\"))"},
    {"asc_nulls_first", l_asc, NULL},
    {"asc_nulls_last", l_asc_nulls_last, "asc_nulls_last(column)\nascending, NULLs last"},
    {"desc", l_desc, "desc(column)\ndescending, NULLs last\n\tdf:orderBy(F.desc(\"n\"))"},
    {"desc_nulls_last", l_desc, NULL},
    {"desc_nulls_first", l_desc_nulls_first, "desc_nulls_first(column)\ndescending, NULLs first"},
    {"call_udf", l_call_function, "call_udf(name, column, …)\na function that spark.udf:register made"},
    {"udf", l_udf,
     "udf(f: function, returnType: TypeName = \"string\") -> function\na Lua function as function on "
     "columns; "
     "it is copied now, with "
     "what it uses. A NULL arrives as null (test x == null), null or nil is returned for one\n\tlocal twice "
     "= F.udf(function(x) return 2 * x end, "
     "\"bigint\")\n\tdf:select(twice(\"id\"))"},
    {"call_function", l_call_function,
     "call_function(name, column, …)\na function of Spark SQL by its "
     "name\n\tdf:select(F.call_function(\"upper\", \"s\"))"},
    {"struct", l_struct,
     "struct(column, …)\na struct with the columns as fields\n\tdf:select(F.struct(\"n\", "
     "\"s\"):alias(\"both\"))"},
    {"broadcast", l_broadcast,
     "broadcast(df) -> DataFrame\nthe DataFrame itself: the engine chooses how it "
     "joins\n\tdf:join(F.broadcast(small), "
     "\"k\")"},
    {NULL, NULL, NULL}};

/* PySpark's camel-case names of functions that Spark SQL writes in one word or with underscores. */
static const struct {
    const char *name, *sql;
} renamed[] = {{"collectList", "collect_list"},
               {"collectSet", "collect_set"},
               {"monotonicallyIncreasingId", "monotonically_increasing_id"},
               {"toDegrees", "degrees"},
               {"toRadians", "radians"},
               {"shiftLeft", "shiftleft"},
               {"shiftRight", "shiftright"},
               {"approxCountDistinct", "approx_count_distinct"},
               {"mean", "avg"}, /* as PySpark sends them */
               {"pow", "power"},
               {"timestamp_add", "timestampadd"},
               {"timestamp_diff", "timestampdiff"}};

static const char *sql_name(const char *name)
{
    for (size_t i = 0; i < sizeof renamed / sizeof *renamed; i++)
        if (strcmp(renamed[i].name, name) == 0)
            return renamed[i].sql;
    return name;
}

/* ---- the manual ---- */
static bool is_special(const char *name)
{
    for (const struct manual_row *row = special; row->name; row++)
        if (*row->name == *name && strcmp(row->name, name) == 0)
            return true;
    return false;
}

static bool function_entry(size_t i, struct manual_entry *e)
{
    const struct function *f = &function_rows()[i];

    if (!f->name)
        return false;
    if (!f->lua || (i > 0 && strcmp(f->name, f[-1].name) == 0) || is_special(f->name))
        return true;
    e->name = f->name;
    e->doc = (struct manual_text){f->doc, strlen(f->doc)};
    e->sql = f->example != NULL;
    if (f->example)
        e->example = (struct manual_text){f->example, strlen(f->example)};
    e->signature = (struct manual_text){f->usage, strlen(f->usage)};
    return true;
}

/* Of those that come from the table: columns, and units of time. */
static bool parameter_type(const struct manual_entry *e, struct manual_text param, struct buf *out)
{
    static const char *const truncating[] = {"date_trunc", "trunc"};
    const struct function *f = is_special(e->name) ? NULL : function_named(e->name);
    const char *name;
    size_t n;

    for (size_t i = 0; i < sizeof truncating / sizeof *truncating; i++)
        if (strcmp(e->name, truncating[i]) == 0 && param.len == 6 && memcmp(param.s, "format", 6) == 0)
            buf_puts(out, "TimeUnit");
    for (int i = 0; f && f->lua && !out->len && (n = argument_name(f->usage, i, &name)) > 0; i++)
        if (n == param.len && memcmp(name, param.s, n) == 0 && text_of(f, i) == COLUMN_NAME)
            buf_puts(out, "Column|ColumnName");
    return out->len > 0;
}

static const struct manual_topic functions_topic = {
    .name = "F",
    .doc = "the functions of Spark SQL on columns; a text is the name of a column",
    .rows = special,
    .returns = "Column",
    .more = function_entry,
    .type_of = parameter_type};
const struct manual_topic *const functions_topics[] = {&functions_topic, NULL};

static int no_such(lua_State *L, const char *name)
{
    const char *names[1024];
    size_t n = 0;
    struct buf near = BUF_INIT(512);
    const struct missing_function *missing = function_missing(name);

    if (missing)
        return luaL_error(L, "F.%s is not there: %s%s%s", name, missing->why,
                          missing->instead ? "; nearest is F." : "",
                          missing->instead ? missing->instead : "");
    for (const struct function *f = function_rows(); f->name && n < 1024; f++)
        if (f->lua)
            names[n++] = f->name;
    nearest_list(&near, name, names, n, 3);
    lua_pushfstring(L, "F has no function '%s'%s%s", name, near.len ? ": did you mean " : "", buf_str(&near));
    buf_release(&near);
    return lua_error(L);
}

static int l_index(lua_State *L) /* F.name: made once */
{
    const char *name = luaL_checkstring(L, 2);
    const struct function *f = function_named(sql_name(name));

    if (!f || !f->lua)
        return no_such(L, name);
    lua_pushstring(L, f->name);
    lua_pushcclosure(L, l_function, 1);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, -2);
    lua_rawset(L, 1);
    return 1;
}

/* For completion: every name, without making the functions. */
static int l_pairs_next(lua_State *L)
{
    const struct function *functions = function_rows();
    lua_Integer i = lua_tointeger(L, lua_upvalueindex(1));

    while (functions[i].name &&
           (!functions[i].lua || (i > 0 && strcmp(functions[i].name, functions[i - 1].name) == 0)))
        i++;
    if (!functions[i].name)
        return 0;
    lua_pushinteger(L, i + 1);
    lua_replace(L, lua_upvalueindex(1));
    lua_pushstring(L, functions[i].name);
    lua_getfield(L, 1, functions[i].name);
    return 2;
}

static int l_pairs(lua_State *L)
{
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, l_pairs_next, 1);
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    return 3;
}

int functions_lua_open(lua_State *L)
{
    lua_newtable(L);
    manual_set_methods(L, special, NULL);
    lua_createtable(L, 0, 2);
    lua_pushcfunction(L, l_index);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, l_pairs);
    lua_setfield(L, -2, "__pairs");
    lua_pushliteral(L, "F");
    lua_setfield(L, -2, "__name");
    lua_setmetatable(L, -2);
    return 1;
}
