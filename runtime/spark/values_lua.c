/* values_lua.c: for completion: columns of a DataFrame, tables, functions of SQL. Quick, and without side effects. */
#include "runtime/spark/values_lua.h"
#include "runtime/dataframe/options.h"
#include "runtime/dataframe/sqlgen/functions.h"
#include "runtime/dataframe/types.h"
#include "runtime/spark/args_lua.h"
#include "runtime/spark/dataframe_lua.h"
#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { OBJECTS = 20 };

static void add(lua_State *L, const char *text) /* to the list on the top */
{
    lua_pushstring(L, text);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}

static void add_columns(lua_State *L, int dataframe) /* the list is on the top */
{
    const struct dtype *schema = dataframe_schema(L, dataframe);

    for (size_t i = 0; i < schema->n_fields; i++)
        add(L, schema->fields[i].name);
}

static int l_table_columns(lua_State *L) /* (list, name): the columns of a table are added */
{
    lua_getglobal(L, "spark");
    lua_getfield(L, 3, "table");
    lua_insert(L, 3);
    lua_pushvalue(L, 2);
    lua_call(L, 2, 1);
    lua_pushvalue(L, 1);
    add_columns(L, 3);
    return 0;
}

/* Of the tables that a text of SQL reads: FROM sales, JOIN main.default.people. The list is on the top. */
static void add_read(lua_State *L, const char *sql)
{
    static const char *const before[] = {"from ", "join ", "into ", "update "};
    int list = lua_gettop(L), n = 0;

    for (const char *p = sql; *p && n < OBJECTS; p++)
        for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
            size_t len = strlen(before[i]);
            if ((p > sql && !isspace((unsigned char)p[-1])) || strncasecmp(p, before[i], len) != 0)
                continue;
            const char *name = p + len + strspn(p + len, " \t\n");
            lua_pushcfunction(L, l_table_columns);
            lua_pushvalue(L, list);
            lua_pushlstring(L, name, strcspn(name, " \t\n,;()'\"]"));
            n++;
            (void)lua_pcall(L, 2, 0, 0); /* what is no table has no columns */
            lua_settop(L, list);
        }
}

/* ---- df:join(other, "|: names that both sides have ---- */
struct join {
    const char *other; /* into the text: the name of the other side */
    size_t len;
    bool both; /* any column of either side: F.col("| in a condition, df:join(other, "k"):select("| */
};

static bool in_name(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* How many brackets of the join are open at the end of the text, and how many calls in it; 0: it was closed, and *p is behind it. */
static int depth_in(const char **p, int *calls)
{
    char quote = 0;
    int depth = 1;

    *calls = 0;
    for (; **p && depth > 0; ++*p)
        if (quote)
            quote = **p == quote ? 0 : quote;
        else if (**p == '"' || **p == '\'')
            quote = **p;
        else if (strchr("(){}", **p)) {
            depth += **p == '(' || **p == '{' ? 1 : -1;
            *calls += (**p == '(') - (**p == ')');
        }
    return depth;
}

/* Where the name of the other side is in the brackets of a join: (other, …, {other, …, {other = … */
static const char *other_side(const char *p)
{
    p += strspn(p, " \t\n{");
    if (strncmp(p, "other", 5) == 0 && p[5 + strspn(p + 5, " ")] == '=')
        p += strcspn(p, "=") + 1;
    return p + strspn(p, " ");
}

/* The last join that the end of the text is an argument of, or goes on from. */
static bool find_join(const char *text, struct join *out)
{
    bool found = false;

    for (const char *p = text; (p = strstr(p, ":join")) != NULL; p++) {
        const char *open = p + strlen(":join") + strspn(p + strlen(":join"), " "), *end = open + 1;
        struct join join = {0};
        int depth, calls;
        if (*open != '(' && *open != '{')
            continue;
        depth = depth_in(&end, &calls);
        join.other = other_side(open + 1);
        while (in_name(join.other[join.len]))
            join.len++;
        join.both = depth == 0 || calls > 0;
        if (join.len > 0 && (depth > 0 || (*end == ':' && !strchr(end, '\n')))) {
            *out = join;
            found = true;
        }
    }
    return found;
}

/* df"|, df["|: a column of that one. */
static bool is_element(const char *text, size_t prefix)
{
    const char *p = text + strlen(text);

    if ((size_t)(p - text) < prefix + 2)
        return false;
    p -= prefix + 2; /* before the quote */
    return in_name(*p) || *p == '[' || *p == ')';
}

static bool has_column(lua_State *L, int dataframe, const char *name)
{
    const struct dtype *schema = dataframe_schema(L, dataframe);

    for (size_t i = 0; i < schema->n_fields; i++)
        if (strcmp(schema->fields[i].name, name) == 0)
            return true;
    return false;
}

/* The list is on the top. What both have; of a condition, and where they have nothing in common: what either has. */
static void add_joined(lua_State *L, int left, int right, bool both)
{
    const struct dtype *schema = dataframe_schema(L, left);

    for (size_t i = 0; !both && i < schema->n_fields; i++)
        if (has_column(L, right, schema->fields[i].name))
            add(L, schema->fields[i].name);
    if (lua_rawlen(L, -1) > 0)
        return;
    add_columns(L, left);
    add_columns(L, right);
}

/* Pushes the list of a join's; false: there is none, or its other side has no name. */
static bool push_joined(lua_State *L)
{
    struct join join;
    size_t prefix = lua_rawlen(L, 2);

    lua_pushfstring(L, "%s%s", luaL_optstring(L, 5, ""), luaL_optstring(L, 4, ""));
    if (!is_element(lua_tostring(L, -1), prefix) && find_join(lua_tostring(L, -1), &join)) {
        session_user_names(L);
        lua_pushlstring(L, join.other, join.len);
        lua_rawget(L, -2);
        if (dataframe_at(L, -1)) {
            lua_newtable(L);
            add_joined(L, 1, lua_gettop(L) - 1, join.both);
            return true;
        }
    }
    lua_settop(L, 5);
    return false;
}

/* (DataFrame or nil, prefix, first, call, before); nil: of all DataFrames that have a name */
static int l_columns(lua_State *L)
{
    const char *call = luaL_optstring(L, 4, "");
    int n = 0;

    lua_settop(L, 5);
    if (dataframe_at(L, 1) && push_joined(L))
        return 1;
    lua_newtable(L);
    if (dataframe_at(L, 1)) {
        add_columns(L, 1);
        return 1;
    }
    if (!spark_is_remote(spark_of(L)))
        add_read(L, call);
    session_user_names(L);
    for (lua_pushnil(L); lua_next(L, 7) && n < OBJECTS; lua_settop(L, 8))
        if (dataframe_at(L, 9)) {
            lua_pushvalue(L, 6);
            add_columns(L, 9);
            n++;
        }
    lua_settop(L, 6);
    return 1;
}

static void add_list(lua_State *L, enum lc rc, struct catalog_list *list, const char *before,
                     const char *after)
{
    for (size_t i = 0; rc == LC_OK && i < list->n; i++) {
        lua_pushfstring(L, "%s%s%s", before, list->items[i].name, after);
        lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    }
    if (rc == LC_OK)
        catalog_list_release(list);
}

/* a → views, tables, schemas and catalogs; a.b → tables of the schema a, schemas of the catalog a; a.b.c → tables of a.b */
static int l_tables(lua_State *L) /* (object, prefix) */
{
    const struct ctx *ctx = session_ctx(session_of(L));
    const char *prefix = spark_text(L, 2), *dot = strchr(prefix, '.'),
               *second = dot ? strchr(dot + 1, '.') : NULL;
    struct catalog_list list = {0};
    struct catalog *catalog;
    struct err err;

    lua_settop(L, 2);
    lua_newtable(L);
    if (spark_catalog(spark_of(L), &catalog, &err) != LC_OK)
        return 1;
    if (!dot) {
        add_list(L, catalog_list_tables(ctx, catalog, NULL, NULL, &list, &err), &list, "", "");
        add_list(L, catalog_list_schemas(ctx, catalog, NULL, &list, &err), &list, "", ".");
        add_list(L, catalog_list_catalogs(ctx, catalog, &list, &err), &list, "", ".");
        return 1;
    }
    lua_pushlstring(L, prefix, (size_t)(dot - prefix));
    const char *first = lua_tostring(L, -1);
    if (second) {
        lua_pushlstring(L, dot + 1, (size_t)(second - dot - 1));
        const char *schema = lua_tostring(L, -1);
        const char *before = lua_pushfstring(L, "%s.%s.", first, schema);
        lua_pushvalue(L, 3);
        add_list(L, catalog_list_tables(ctx, catalog, first, schema, &list, &err), &list, before, "");
    } else {
        const char *before = lua_pushfstring(L, "%s.", first);
        lua_pushvalue(L, 3);
        add_list(L, catalog_list_tables(ctx, catalog, NULL, first, &list, &err), &list, before, "");
        add_list(L, catalog_list_schemas(ctx, catalog, first, &list, &err), &list, before, ".");
    }
    return 1;
}

static int l_functions(lua_State *L)
{
    lua_settop(L, 0);
    lua_newtable(L);
    for (const struct function *f = function_rows(); f->name; f++)
        if (f == function_rows() || strcmp(f->name, f[-1].name) != 0)
            add(L, f->name);
    return 1;
}

static int l_aggregates(lua_State *L) /* those of one argument */
{
    lua_settop(L, 0);
    lua_newtable(L);
    for (const struct function *f = function_rows(); f->name; f++)
        if (f->kind == FUNCTION_AGGREGATE && f->min <= 1 && f->max != 0)
            add(L, f->name);
    return 1;
}

static int named(lua_State *L, const char *(*name_at)(size_t i))
{
    const char *name;

    lua_newtable(L);
    for (size_t i = 0; (name = name_at(i)) != NULL; i++)
        add(L, name);
    return 1;
}

static int l_types(lua_State *L)
{
    return named(L, dtype_name_at);
}

static int l_units(lua_State *L)
{
    return named(L, function_unit);
}

static int l_confs(lua_State *L) /* those that are known, and those that were set */
{
    struct spark *s = spark_of(L);
    const char *key, *value;

    lua_settop(L, 0);
    lua_newtable(L);
    for (size_t i = 0; (key = spark_conf_known(i)) != NULL; i++)
        add(L, key);
    for (size_t i = 0; spark_conf_at(s, i, &key, &value); i++)
        add(L, key);
    return 1;
}

/* The format that a chain of calls names: format("csv"), or the csv of …:csv{. NULL: none. */
static const char *format_written(const char *call)
{
    const char *at = strstr(call, "format"), *name = at, *last = call, *p;
    size_t n, i = 0;

    for (p = call; at == NULL && *p; p++)
        if (*p == ':' || *p == '.')
            last = p + 1;
    name = at ? at + strlen("format") : last;
    name += at ? strspn(name, " ({\"'") : 0;
    n = strcspn(name, " ({\"'");
    while ((p = source_format_name(i++)) != NULL)
        if (strlen(p) == n && strncasecmp(p, name, n) == 0)
            return p;
    return NULL;
}

static int options(lua_State *L, enum source_use use) /* (object, prefix, first, call) */
{
    const char *format = format_written(spark_text(L, 4)), *name;

    lua_newtable(L);
    for (size_t i = 0; (name = source_option_name(format, use, i)) != NULL; i++)
        add(L, name);
    return 1;
}

static int l_read_options(lua_State *L)
{
    return options(L, SOURCE_READ);
}

static int l_write_options(lua_State *L)
{
    return options(L, SOURCE_WRITE);
}

const struct manual_values spark_values[] = {{"ColumnName", l_columns},
                                             {"TableName", l_tables},
                                             {"FunctionName", l_functions},
                                             {"AggregateName", l_aggregates},
                                             {"TypeName", l_types},
                                             {"TimeUnit", l_units},
                                             {"ConfName", l_confs},
                                             {"ReadOption", l_read_options},
                                             {"WriteOption", l_write_options},
                                             {0}};
