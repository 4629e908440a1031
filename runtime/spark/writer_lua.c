/* writer_lua.c: df.write: format, mode, option, partitionBy, save, saveAsTable, insertInto, and one method per file format. */
#include "runtime/catalog/files.h"
#include "runtime/spark/args_lua.h"
#include "runtime/spark/commands.h"
#include "runtime/spark/dataframe_lua.h"
#include "runtime/spark/remote_lua.h"
#include <string.h>
#include <strings.h>

static const char class_name[] = "lacus.DataFrameWriter";

/* User values: 1 the DataFrame, 2 the list of partition columns (or nil). */
struct writer {
    struct plan_options options; /* owned */
    char format[32];
    enum delta_mode mode;
};

static struct writer *check(lua_State *L)
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
    plan_options_release(&check(L)->options);
    return 0;
}

static void set_format(lua_State *L, struct writer *w, int index)
{
    const char *format = spark_text(L, index);

    luaL_argcheck(L, strlen(format) < sizeof w->format, index, "no such format");
    strncpy(w->format, format, sizeof w->format - 1);
}

static int l_format(lua_State *L)
{
    set_format(L, check(L), 2);
    return self(L);
}

static void set_mode(lua_State *L, struct writer *w, int index)
{
    static const char *const names[] = {"append",  "overwrite", "error", "errorifexists",
                                        "default", "ignore",    NULL};
    static const enum delta_mode modes[] = {DELTA_APPEND, DELTA_OVERWRITE, DELTA_ERROR,
                                            DELTA_ERROR,  DELTA_ERROR,     DELTA_IGNORE};

    w->mode = modes[spark_choice(L, index, NULL, "[INVALID_SAVE_MODE] no save mode is named", names)];
}

static int l_mode(lua_State *L)
{
    set_mode(L, check(L), 2);
    return self(L);
}

static void set_option(lua_State *L, struct writer *w, int key, int value)
{
    const char *name = spark_text(L, key);

    luaL_checkany(L, value);
    if (lua_isnil(L, value) || lua_islightuserdata(L, value)) /* as Python's None: not set */
        return;
    if (!plan_options_set(&w->options, name, luaL_tolstring(L, value, NULL)))
        luaL_error(L, "out of memory");
    lua_pop(L, 1);
}

static int l_option(lua_State *L)
{
    set_option(L, check(L), 2, 3);
    return self(L);
}

static int l_options(lua_State *L)
{
    struct writer *w = check(L);

    luaL_checktype(L, 2, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1))
        if (lua_type(L, -2) == LUA_TSTRING)
            set_option(L, w, lua_gettop(L) - 1, lua_gettop(L));
    return self(L);
}

/* A name or a list of names at index becomes the writer's list of partition columns. */
static void set_partitions(lua_State *L, int index)
{
    int first = lua_gettop(L) + 1, n;

    lua_pushvalue(L, index);
    n = spark_list(L, first);
    lua_createtable(L, n, 0);
    for (int i = 0; i < n; i++) {
        spark_text(L, first + i);
        lua_pushvalue(L, first + i);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setiuservalue(L, 1, 2);
    lua_settop(L, first - 1);
}

static int l_partition_by(lua_State *L)
{
    check(L);
    if (!spark_is_plain_table(L, 2)) { /* names one by one; none: not partitioned */
        int n = lua_gettop(L) - 1;
        lua_createtable(L, n, 0);
        lua_insert(L, 2);
        for (int i = n; i >= 1; i--)
            lua_rawseti(L, 2, i);
    }
    set_partitions(L, 2);
    return self(L);
}

/* ---- what is written ---- */
static const struct plan *plan_of(lua_State *L)
{
    lua_getiuservalue(L, 1, 1);
    return dataframe_check(L, -1); /* the user value keeps it alive */
}

static const char **partition_columns(lua_State *L, size_t *n)
{
    const char **names;

    *n = 0;
    if (lua_getiuservalue(L, 1, 2) == LUA_TTABLE)
        *n = (size_t)lua_rawlen(L, -1);
    names = lua_newuserdatauv(L, sizeof *names * (*n + 1), 0);
    for (size_t i = 0; i < *n; i++) {
        lua_rawgeti(L, -2, (lua_Integer)i + 1);
        names[i] = lua_tostring(L, -1); /* held by the list */
        lua_pop(L, 1);
    }
    return names;
}

static bool is_true(const struct writer *w, const char *option)
{
    const char *value = plan_option(&w->options, option);

    return value && strcasecmp(value, "true") == 0;
}

/* On a server: it knows formats and tables. */
static int save_there(lua_State *L, const char *format, const char *table, const char *path, bool insert)
{
    static const char *const modes[] = {[DELTA_APPEND] = "append",
                                        [DELTA_OVERWRITE] = "overwrite",
                                        [DELTA_ERROR] = "error",
                                        [DELTA_IGNORE] = "ignore"};
    struct writer *w = check(L);
    const struct plan *p = plan_of(L);
    struct engine_save s = {.table = table,
                            .path = path,
                            .insert = insert,
                            .format = format,
                            .mode = modes[w->mode],
                            .options = &w->options};

    s.partition_by = partition_columns(L, &s.n_partition);
    return remote_save(L, p, &s);
}

static const char *setting_of(lua_State *L, struct writer *w, const char *option, const char *conf)
{
    const char *value = plan_option(&w->options, option);

    return value ? value : spark_conf_get(spark_of(L), conf);
}

static bool is_dynamic(lua_State *L, struct writer *w)
{
    const char *mode = setting_of(L, w, "partitionOverwriteMode", "spark.sql.sources.partitionOverwriteMode");

    return mode && strcasecmp(mode, "dynamic") == 0;
}

/* mode("overwrite") with replaceWhere, or of the partitions that have new rows. false: there is nothing to replace yet. */
static bool replace(lua_State *L, const char *table, const char *path, bool insert)
{
    struct writer *w = check(L);
    struct spark_replace r = {.table = table,
                              .path = table ? NULL : path,
                              .condition = plan_option(&w->options, "replaceWhere"),
                              .by_position = insert};
    struct spark_env env = {.spark = spark_of(L)};
    bool there = false;
    struct err err;

    if (w->mode != DELTA_OVERWRITE || is_true(w, "overwriteSchema"))
        return false;
    if (!r.condition && !is_dynamic(L, w))
        return false;
    err_clear(&err);
    if (spark_catalog(env.spark, &env.catalog, &err) != LC_OK ||
        spark_engine(env.spark, &env.engine, &err) != LC_OK ||
        spark_replace_rows(session_ctx(session_of(L)), &env, &r, plan_of(L), &there, &err) != LC_OK)
        session_raise(L, &err);
    return there;
}

static int save(lua_State *L, const char *table, const char *path, bool insert)
{
    struct writer *w = check(L);
    const struct plan *p = plan_of(L);
    struct catalog_save s = {.table = table,
                             .path = path,
                             .insert = insert,
                             .format = w->format,
                             .options = &w->options,
                             .dynamic = is_dynamic(L, w)};
    struct delta_written done;
    struct err err;

    spark_options(L, w->format[0] && files_is_format(w->format) ? w->format : "delta", SOURCE_WRITE,
                  &w->options);
    if (replace(L, table, path, insert))
        return 0;

    s.write.mode = w->mode;
    s.write.partition_by = partition_columns(L, &s.write.n_partition_by);
    s.write.merge_schema = is_true(w, "mergeSchema");
    s.write.overwrite_schema = is_true(w, "overwriteSchema");
    err_clear(&err);
    if (spark_save(session_ctx(session_of(L)), spark_of(L), p, &s, &done, &err) != LC_OK)
        return session_raise(L, &err);
    return 0;
}

static int files(lua_State *L, const char *format, const char *path)
{
    struct writer *w = check(L);
    const struct plan *p = plan_of(L);
    struct spark_files f = {.path = path, .format = format, .mode = w->mode, .options = &w->options};
    struct err err;

    spark_options(L, format, SOURCE_WRITE, &w->options);
    f.partition_by = partition_columns(L, &f.n_partition_by);
    err_clear(&err);
    if (spark_write_files(session_ctx(session_of(L)), spark_of(L), p, &f, &err) != LC_OK)
        return session_raise(L, &err);
    return 0;
}

static void set_format_at(lua_State *L, struct writer *w, int index)
{
    set_format(L, w, index);
}

static void set_partitions_at(lua_State *L, struct writer *w, int index)
{
    (void)w;
    set_partitions(L, index);
}

static const struct setting { /* what save and its kin take behind the path, in PySpark's order */
    const char *name;
    void (*set)(lua_State *L, struct writer *w, int index);
} settings[] = {{"format", set_format_at}, {"mode", set_mode}, {"partitionBy", set_partitions_at}};
enum { SETTINGS = sizeof settings / sizeof *settings };

static void apply_named(lua_State *L, struct writer *w, int table)
{
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
        size_t i = 0;

        if (!name || strcmp(name, "path") == 0 || strcmp(name, "name") == 0)
            continue;
        while (i < SETTINGS && strcmp(settings[i].name, name) != 0)
            i++;
        if (i < SETTINGS)
            settings[i].set(L, w, lua_gettop(L));
        else
            set_option(L, w, lua_gettop(L) - 1, lua_gettop(L));
    }
}

/* save("path", format, mode, partitionBy), save{"path", mode = "overwrite", header = true}: `from` is the first setting that has a
 * position (save: format; csv: mode). The path stays at index 2. */
static const char *path_arg(lua_State *L, struct writer *w, size_t from)
{
    int top = lua_gettop(L);

    if (top > 2 && spark_is_plain_table(L, top) &&
        lua_rawlen(L, top) == 0) { /* save("path", {mode = "append"}) */
        apply_named(L, w, top);
        lua_settop(L, --top);
    }
    if (spark_is_plain_table(L, 2)) {
        apply_named(L, w, 2);
        if (lua_rawgeti(L, 2, 1) == LUA_TNIL) {
            lua_pop(L, 1);
            lua_getfield(L, 2, lua_getfield(L, 2, "name") == LUA_TNIL ? "path" : "name");
        }
        lua_replace(L, 2);
    } else {
        luaL_argcheck(L, top <= 2 + (int)(SETTINGS - from), 2 + (int)(SETTINGS - from) + 1,
                      "too many arguments; options go by name: save{\"path\", header = true}");
        for (int i = 3; i <= top; i++)
            if (!lua_isnil(L, i))
                settings[from + (size_t)(i - 3)].set(L, w, i);
    }
    lua_settop(L, 2);
    return spark_text(L, 2);
}

static int l_save_as_table(lua_State *L)
{
    struct writer *w = check(L);
    const char *name = path_arg(L, w, 0);

    if (spark_is_remote(spark_of(L)))
        return save_there(L, w->format, name, plan_option(&w->options, "path"), false);
    return save(L, name, plan_option(&w->options, "path"), false);
}

static int l_insert_into(lua_State *L) /* insertInto(name, overwrite) */
{
    static const char *const names[] = {"tableName", "overwrite", NULL};
    struct writer *w = check(L);

    spark_args(L, 2, names);
    const char *name = spark_text(L, 2);
    if (lua_getiuservalue(L, 1, 2) == LUA_TTABLE)
        luaL_error(
            L,
            "[PARTITION_BY_NOT_ALLOWED_WITH_INSERT_INTO] partitionBy() cannot be used with insertInto(). "
            "Partition columns for table %s are determined by the table definition. SQLSTATE: 42601",
            name);
    lua_pop(L, 1);
    if (spark_bool(L, 3))
        w->mode = DELTA_OVERWRITE;
    else if (w->mode == DELTA_ERROR)
        w->mode = DELTA_APPEND;
    if (spark_is_remote(spark_of(L)))
        return save_there(L, NULL, name, NULL, true);
    return save(L, name, NULL, true);
}

static int l_save(lua_State *L)
{
    struct writer *w = check(L);
    const char *path;
    if (lua_isnoneornil(L, 2) && plan_option(&w->options, "path")) {
        lua_settop(L, 1);
        lua_pushstring(L, plan_option(&w->options, "path"));
    }
    path = path_arg(L, w, 0);
    const char *format = w->format[0] ? w->format : "parquet";

    if (spark_is_remote(spark_of(L)))
        return save_there(L, w->format, NULL, path, false);

    return strcmp(format, "delta") == 0 ? save(L, NULL, path, false) : files(L, format, path);
}

#define FORMAT(function, name)                                                                               \
    static int function(lua_State *L)                                                                        \
    {                                                                                                        \
        struct writer *w = check(L);                                                                         \
        const char *path = path_arg(L, w, 1);                                                                \
        if (spark_is_remote(spark_of(L)))                                                                    \
            return save_there(L, name, NULL, path, false);                                                   \
        return files(L, name, path);                                                                         \
    }
FORMAT(l_csv, "csv")
FORMAT(l_json, "json")
FORMAT(l_parquet, "parquet")
FORMAT(l_text, "text")

static const struct manual_row methods[] = {
    {"format", l_format,
     "format(name: \"delta\"|\"parquet\"|\"csv\"|\"json\"|\"text\") -> DataFrameWriter\n\"delta\", "
     "\"parquet\", \"csv\", \"json\" or \"text\"\n\tdf.write:format(\"parquet\"):save(\"out\")"},
    {"mode", l_mode,
     "mode(name: \"append\"|\"overwrite\"|\"error\"|\"ignore\") -> DataFrameWriter\n\"append\", "
     "\"overwrite\", \"error\" (what is not said) or "
     "\"ignore\"\n\tdf.write:mode(\"append\"):saveAsTable(\"sales\")"},
    {"option", l_option,
     "option(key: WriteOption, value) -> DataFrameWriter\ne.g. \"mergeSchema\", "
     "true\n\tdf.write:option(\"mergeSchema\", "
     "true):mode(\"append\"):saveAsTable(\"sales\")"},
    {"options", l_options,
     "options{…: WriteOption} -> DataFrameWriter\nseveral settings of the format"
     "\n\tdf:select(\"n\", \"k\").write:options{header = true, sep = \";\"}:csv(\"out/people\")"},
    {"partitionBy", l_partition_by,
     "partitionBy(column, …) -> DataFrameWriter\na folder per "
     "value\n\tdf.write:partitionBy(\"day\"):saveAsTable(\"sales\")"},
    {"save", l_save,
     "save{path: Path, format?: \"delta\"|\"parquet\"|\"csv\"|\"json\"|\"text\", mode?: "
     "\"append\"|\"overwrite\"|\"error\"|\"ignore\", partitionBy?: ColumnName, …: WriteOption}\nwrites files "
     "or a Delta "
     "table to a path\n\tdf.write:mode(\"overwrite\"):save(\"out/sales\")"},
    {"saveAsTable", l_save_as_table,
     "saveAsTable{name: TableName, format?: \"delta\"|\"parquet\"|\"csv\"|\"json\"|\"text\", mode?: "
     "\"append\"|\"overwrite\"|\"error\"|\"ignore\", partitionBy?: ColumnName, …: WriteOption}\nwrites a "
     "Delta "
     "table of the catalog\n\tdf.write:mode(\"overwrite\"):saveAsTable(\"sales\")"},
    {"insertInto", l_insert_into,
     "insertInto(name: TableName, overwrite?: boolean)\nrows into a table, by "
     "position\n\tdf.write:insertInto(\"sales\")"},
    {"csv", l_csv,
     "csv{path: Path, mode?: \"append\"|\"overwrite\"|\"error\"|\"ignore\", …: WriteOption}\noptions by "
     "name: csv{path, header = true}\n\tdf.write:csv(\"out\")"},
    {"json", l_json,
     "json{path: Path, mode?: \"append\"|\"overwrite\"|\"error\"|\"ignore\", …: WriteOption}\none object per "
     "line\n\tdf.write:json(\"out\")"},
    {"parquet", l_parquet,
     "parquet{path: Path, mode?: \"append\"|\"overwrite\"|\"error\"|\"ignore\", …: WriteOption}\nwrites "
     "Parquet files into a folder\n\tdf.write:parquet(\"out\")"},
    {"text", l_text,
     "text{path: Path, mode?: \"append\"|\"overwrite\"|\"error\"|\"ignore\", …: WriteOption}\none column of "
     "texts, a line "
     "each\n\tdf:select(\"s\").write:text(\"out\")"},
    {NULL, NULL, NULL}};

const struct manual_topic writer_topic = {.name = "DataFrameWriter",
                                          .doc = "df.write: rows into files and tables",
                                          .kind = MANUAL_CLASS,
                                          .rows = methods};

int writer_push(lua_State *L, int dataframe)
{
    struct writer *w;

    dataframe = lua_absindex(L, dataframe);
    w = lua_newuserdatauv(L, sizeof *w, 2);
    memset(w, 0, sizeof *w);
    w->mode = DELTA_ERROR;
    lua_pushvalue(L, dataframe);
    lua_setiuservalue(L, -2, 1);
    if (luaL_newmetatable(L, class_name)) {
        lua_pushcfunction(L, l_gc);
        lua_setfield(L, -2, "__gc");
        spark_methods(L, methods, "DataFrameWriter");
        spark_extend(L, "DataFrameWriter");
        lua_setfield(L, -2, "__index");
        lua_pushliteral(L, "DataFrameWriter");
        lua_setfield(L, -2, "__name");
    }
    lua_setmetatable(L, -2);
    return 1;
}
