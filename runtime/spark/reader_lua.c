/* reader_lua.c: spark.read: format, option, schema, and one method per format. Calls chain; a reader is used up by its load. */
#include "runtime/base/mem.h"
#include "runtime/spark/args_lua.h"
#include "runtime/spark/dataframe_lua.h"
#include <string.h>

static const char class_name[] = "lacus.DataFrameReader";

struct reader {
    struct plan_options options; /* owned */
    const struct dtype *schema;  /* owned, may be NULL */
    char format[32];
};

static struct reader *check(lua_State *L)
{
    return luaL_checkudata(L, 1, class_name);
}

static int self(lua_State *L)
{
    lua_settop(L, 1);
    return 1;
}

static int l_gc(lua_State *L)
{
    struct reader *r = check(L);

    plan_options_release(&r->options);
    dtype_unref(r->schema);
    r->schema = NULL;
    return 0;
}

static void set_format(lua_State *L, struct reader *r, int index)
{
    const char *format = spark_text(L, index);

    luaL_argcheck(L, strlen(format) < sizeof r->format, index, "no such format");
    strncpy(r->format, format, sizeof r->format - 1);
}

static int l_format(lua_State *L)
{
    set_format(L, check(L), 2);
    return self(L);
}

static void set_option(lua_State *L, struct reader *r, int key, int value)
{
    const char *name = spark_text(L, key);

    luaL_checkany(L, value);
    if (lua_isnil(L, value) || lua_islightuserdata(L, value)) /* as Python's None: not set */
        return;
    if (!plan_options_set(&r->options, name, luaL_tolstring(L, value, NULL)))
        luaL_error(L, "out of memory");
    lua_pop(L, 1);
}

static int l_option(lua_State *L)
{
    set_option(L, check(L), 2, 3);
    return self(L);
}

static void set_options(lua_State *L, struct reader *r, int table)
{
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            continue;
        if (strcmp(lua_tostring(L, -2), "schema") == 0) {
            const struct dtype *schema = schema_arg(L, lua_gettop(L), false);
            dtype_unref(r->schema);
            r->schema = schema;
        } else if (strcmp(lua_tostring(L, -2), "path") != 0 && strcmp(lua_tostring(L, -2), "format") != 0) {
            set_option(L, r, lua_gettop(L) - 1, lua_gettop(L));
        }
    }
}

static int l_options(lua_State *L)
{
    struct reader *r = check(L);

    luaL_checktype(L, 2, LUA_TTABLE);
    set_options(L, r, 2);
    return self(L);
}

static int l_schema(lua_State *L)
{
    struct reader *r = check(L);
    const struct dtype *schema = schema_arg(L, 2, false);

    dtype_unref(r->schema);
    r->schema = schema;
    return self(L);
}

/* The options have been read: a copy of the table without its names. */
static void keep_list(lua_State *L, int index)
{
    lua_Integer n = (lua_Integer)lua_rawlen(L, index);

    lua_createtable(L, (int)n, 0);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, index, i);
        lua_rawseti(L, -2, i);
    }
    lua_replace(L, index);
}

/* A path of a volume becomes the place where it lies. */
static const char *path_here(lua_State *L, int index)
{
    const char *path = spark_text(L, index);
    char *place = NULL;
    struct err err;

    if (!catalog_is_volume_path(path))
        return path;
    err_clear(&err);
    if (spark_path(session_ctx(session_of(L)), spark_of(L), path, &place, &err) != LC_OK)
        session_raise(L, &err);
    lua_pushstring(L, place);
    mem_free(place);
    lua_replace(L, index);
    return lua_tostring(L, index);
}

/* The paths: a text, a list of texts, or a table with the path first and options by name: csv{"a.csv", header = true}. */
static const char **paths_arg(lua_State *L, struct reader *r, int *n)
{
    const char **paths;

    if (lua_gettop(L) == 2 && spark_is_plain_table(L, 2)) {
        set_options(L, r, 2);
        if (lua_rawlen(L, 2) == 0) {
            lua_getfield(L, 2, "path");
            lua_replace(L, 2);
        } else if (lua_rawlen(L, 2) == 1) {
            lua_rawgeti(L, 2, 1);
            lua_replace(L, 2);
        } else {
            keep_list(L, 2);
        }
        lua_settop(L, 2);
    }
    if (lua_gettop(L) > 2 && spark_is_plain_table(L, -1) &&
        lua_rawlen(L, -1) == 0) { /* csv("a.csv", {header = true}) */
        set_options(L, r, lua_gettop(L));
        lua_pop(L, 1);
    }
    *n = spark_list(L, 2);
    luaL_argcheck(L, *n > 0 && !lua_isnil(L, 2), 2, "a path expected");
    paths = lua_newuserdatauv(L, sizeof *paths * (size_t)*n, 0);
    for (int i = 0; i < *n; i++)
        paths[i] = path_here(L, 2 + i);
    return paths;
}

static int push_checked(lua_State *L, const struct plan *p)
{
    dataframe_push(L, p);
    dataframe_schema(L, -1); /* a missing or broken file is an error here, where the user named it */
    return 1;
}

static int load(lua_State *L, const char *format)
{
    struct reader *r = check(L);
    int n;
    const char **paths = paths_arg(L, r, &n);

    if (!spark_is_remote(spark_of(L)))
        spark_options(L, format, SOURCE_READ, &r->options);

    if (strcmp(format, "delta") == 0) {
        const char *parts[2] = {"delta", paths[0]};
        luaL_argcheck(L, n == 1, 2, "a Delta table is one path");
        return push_checked(L, plan_read_table(parts, 2, &r->options));
    }
    return push_checked(L, plan_read_source(format, paths, (size_t)n, &r->options, dtype_ref(r->schema)));
}

static void set_schema(lua_State *L, struct reader *r, int index)
{
    const struct dtype *schema = schema_arg(L, index, false);

    if (!schema)
        return;
    dtype_unref(r->schema);
    r->schema = schema;
}

/* csv(path, schema): takes what stands behind the path, in PySpark's order. */
static void take_schema(lua_State *L, struct reader *r, int index)
{
    if (lua_gettop(L) < index || spark_is_plain_table(L, index))
        return;
    set_schema(L, r, index);
    lua_remove(L, index);
    if (lua_gettop(L) >= index && !spark_is_plain_table(L, index))
        luaL_argerror(L, index, "more options go by name: csv{path, schema = …, sep = \";\"}");
}

/* load(path, format, schema), load{path, format = …} */
static void take_format(lua_State *L, struct reader *r)
{
    int top = lua_gettop(L);

    if (top >= 2 && spark_is_plain_table(L, top)) {
        if (lua_getfield(L, top, "format") != LUA_TNIL)
            set_format(L, r, top + 1);
        lua_settop(L, top);
    }
    if (top < 3 || spark_is_plain_table(L, 3))
        return;
    if (!lua_isnil(L, 3))
        set_format(L, r, 3);
    lua_remove(L, 3);
    take_schema(L, r, 3);
}

static int l_load(lua_State *L)
{
    struct reader *r = check(L);

    take_format(L, r);

    if (lua_isnoneornil(L, 2)) {
        lua_settop(L, 1);
        lua_pushstring(L, plan_option(&r->options, "path"));
    }
    return load(L, r->format[0] ? r->format : "parquet");
}

#define FORMAT(function, name, with_schema)                                                                  \
    static int function(lua_State *L)                                                                        \
    {                                                                                                        \
        if (with_schema)                                                                                     \
            take_schema(L, check(L), 3);                                                                     \
        return load(L, name);                                                                                \
    }
FORMAT(l_csv, "csv", true)
FORMAT(l_json, "json", true)
FORMAT(l_parquet, "parquet", false)
FORMAT(l_text, "text", false)

static int l_table(lua_State *L)
{
    struct reader *r = check(L);
    char **parts;
    size_t n;
    struct err err;

    err_clear(&err);
    if (name_split(spark_text(L, 2), &parts, &n, &err) != LC_OK)
        return session_raise(L, &err);
    if (!spark_is_remote(spark_of(L)))
        spark_options(L, "delta", SOURCE_READ, &r->options);
    const struct plan *p = plan_read_table((const char *const *)parts, n, &r->options);
    name_free(parts, n);
    return push_checked(L, p);
}

static const struct manual_row methods[] = {
    {"format", l_format,
     "format(name: \"csv\"|\"json\"|\"parquet\"|\"text\"|\"delta\") -> DataFrameReader\n\"csv\", \"json\", "
     "\"parquet\", \"text\" or \"delta\"\n\tspark.read:format(\"csv\"):load(\"data.csv\")"},
    {"option", l_option,
     "option(key: ReadOption, value) -> DataFrameReader\ne.g. \"header\", "
     "true\n\tspark.read:option(\"header\", "
     "true):csv(\"data.csv\")"},
    {"options", l_options,
     "options{…: ReadOption} -> DataFrameReader\nseveral settings of the "
     "format\n\tspark.read:options{header = true, sep = "
     "\";\"}:csv(\"data.csv\")"},
    {"schema", l_schema,
     "schema(schema) -> DataFrameReader\nDDL like \"id INT, s STRING\", df.schema, or a "
     "StructType\n\tspark.read:schema(\"id INT, s STRING\"):csv(\"data.csv\")"},
    {"load", l_load,
     "load{path: Path, …: ReadOption} -> DataFrame\nwith the format of format(), else "
     "Parquet\n\tspark.read:load(\"data.parquet\")"},
    {"csv", l_csv,
     "csv{path: Path, header = true, sep = \",\", inferSchema = true, schema?: string|StructType, …: "
     "ReadOption} -> "
     "DataFrame\nthe rows of CSV files\n\tspark.read:csv{\"data.csv\", header = true, inferSchema = true}"},
    {"json", l_json,
     "json{path: Path, schema?: string|StructType, …: ReadOption} -> DataFrame\none object per "
     "line\n\tspark.read:json(\"data.json\")"},
    {"parquet", l_parquet,
     "parquet{path: Path, …: ReadOption} -> DataFrame\nthe rows of Parquet "
     "files\n\tspark.read:parquet(\"data.parquet\")"},
    {"text", l_text,
     "text{path: Path, …: ReadOption} -> DataFrame\none column, value: a row per "
     "line\n\tspark.read:text(\"data.txt\")"},
    {"table", l_table,
     "table(name: TableName) -> DataFrame\na table of the "
     "catalog\n\tspark.read:table(\"main.default.sales\")"},
    {NULL, NULL, NULL}};

const struct manual_topic reader_topic = {.name = "DataFrameReader",
                                          .doc = "spark.read: rows out of files and tables",
                                          .kind = MANUAL_CLASS,
                                          .rows = methods};

int reader_push(lua_State *L)
{
    struct reader *r = lua_newuserdatauv(L, sizeof *r, 0);

    memset(r, 0, sizeof *r);
    if (luaL_newmetatable(L, class_name)) {
        lua_pushcfunction(L, l_gc);
        lua_setfield(L, -2, "__gc");
        spark_methods(L, methods, "DataFrameReader");
        spark_extend(L, "DataFrameReader");
        lua_setfield(L, -2, "__index");
        lua_pushliteral(L, "DataFrameReader");
        lua_setfield(L, -2, "__name");
    }
    lua_setmetatable(L, -2);
    return 1;
}
