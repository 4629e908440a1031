/* spark_lua.c: the global spark (a SparkSession), SparkSession.builder, schemas, spark.catalog and spark.conf. */
#include "runtime/base/mem.h"
#include "runtime/spark/args_lua.h"
#include "runtime/spark/arrow_lua.h"
#include "runtime/spark/column_lua.h"
#include "runtime/spark/commands.h"
#include "runtime/spark/dataframe_lua.h"
#include "runtime/spark/describe.h"
#include "runtime/spark/local_lua.h"
#include "runtime/spark/placeholders_lua.h"
#include "runtime/spark/progress_lua.h"
#include "runtime/spark/remote_lua.h"
#include "runtime/spark/values_lua.h"
#include <string.h>
#include <strings.h>

static const char state_key;

static void free_state(void *state)
{
    spark_free(*(struct spark **)state);
}

struct spark *spark_of(lua_State *L)
{
    struct spark **s = session_state(L, &state_key, sizeof *s, free_state);

    if (*s)
        return *s;
    if ((*s = spark_new()) == NULL)
        luaL_error(L, "out of memory");
    query_progress_open(L);
    return *s;
}

/* ---- schemas ---- */
static int l_schema_tostring(lua_State *L)
{
    lua_getfield(L, 1, "simpleString");
    return 1;
}

static void set_text(lua_State *L, const char *key, bool (*write)(const struct dtype *, struct buf *),
                     const struct dtype *t)
{
    struct buf text = BUF_INIT(1 << 22);

    write(t, &text);
    lua_pushstring(L, buf_str(&text));
    lua_setfield(L, -2, key);
    buf_release(&text);
}

static void push_fields(lua_State *L, const struct dtype *schema)
{
    lua_createtable(L, (int)schema->n_fields, 0);
    for (size_t i = 0; i < schema->n_fields; i++) {
        lua_createtable(L, 0, 3);
        lua_pushstring(L, schema->fields[i].name);
        lua_setfield(L, -2, "name");
        set_text(L, "dataType", dtype_simple, schema->fields[i].type);
        lua_pushboolean(L, schema->fields[i].nullable);
        lua_setfield(L, -2, "nullable");
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    session_mark_list(L);
}

int schema_push(lua_State *L, const struct dtype *schema)
{
    char *json = dtype_json_text(schema);

    lua_createtable(L, 0, 5);
    push_fields(L, schema);
    lua_setfield(L, -2, "fields");
    lua_createtable(L, (int)schema->n_fields, 0);
    for (size_t i = 0; i < schema->n_fields; i++) {
        lua_pushstring(L, schema->fields[i].name);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    session_mark_list(L);
    lua_setfield(L, -2, "names");
    set_text(L, "simpleString", dtype_simple, schema);
    set_text(L, "ddl", dtype_ddl, schema);
    lua_pushstring(L, json ? json : "");
    lua_setfield(L, -2, "json");
    mem_free(json);
    if (luaL_newmetatable(L, "lacus.StructType")) {
        lua_pushcfunction(L, l_schema_tostring);
        lua_setfield(L, -2, "__tostring");
    }
    lua_setmetatable(L, -2);
    return 1;
}

const struct dtype *schema_arg(lua_State *L, int index, bool names)
{
    const struct dtype *schema;
    struct err err;

    if (lua_isnoneornil(L, index))
        return NULL;
    if (lua_istable(L, index)) {
        if (lua_getfield(L, index, "json") == LUA_TSTRING) {
            lua_replace(L, index);
        } else {
            lua_pop(L, 1);
            if (names && lua_rawlen(L, index) > 0)
                return NULL;
            luaL_argerror(L, index,
                          "a schema expected: DDL like \"id INT, name STRING\", JSON, or df.schema");
        }
    }
    err_clear(&err);
    if (dtype_parse_schema(spark_text(L, index), &schema, &err) != LC_OK)
        session_raise(L, &err);
    return schema;
}

/* ---- spark ---- */
static int l_range(lua_State *L) /* range(n), range(start, end, step, numPartitions) */
{
    static const char *const names[] = {"start", "end", "step", "numPartitions", NULL};
    int64_t first, step, parts;

    spark_args(L, 2, names);
    if (lua_isnil(L, 2) && !lua_isnil(L, 3)) /* range{["end"] = n} */
        lua_pushinteger(L, 0), lua_replace(L, 2);
    first = luaL_checkinteger(L, 2);
    step = luaL_optinteger(L, 4, 1);
    luaL_argcheck(L, step != 0, 4, "the step cannot be 0");
    parts = luaL_optinteger(L, 5, 0);
    luaL_argcheck(L, parts >= 0 && parts <= INT32_MAX && (parts || lua_isnoneornil(L, 5)), 5,
                  "a number of partitions is 1 or more");
    if (lua_isnil(L, 3))
        return dataframe_push(L, plan_range_in(0, first, step, (int32_t)parts));
    return dataframe_push(L, plan_range_in(first, luaL_checkinteger(L, 3), step, (int32_t)parts));
}

static int l_table(lua_State *L)
{
    char **parts;
    size_t n;
    const struct plan *p;
    struct err err;

    err_clear(&err);
    if (name_split(spark_text(L, 2), &parts, &n, &err) != LC_OK)
        return session_raise(L, &err);
    p = plan_read_table((const char *const *)parts, n, NULL);
    name_free(parts, n);
    dataframe_push(L, p);
    dataframe_schema(L, -1); /* a table that does not exist is an error here */
    return 1;
}

static bool has_field(lua_State *L, int table, const char *name)
{
    bool has = lua_istable(L, table) && lua_getfield(L, table, name) != LUA_TNIL;

    lua_settop(L, table);
    return has;
}

/* The type of a schema like "int": rows are values then, and their column is `value`. NULL: it is a schema of rows. */
static const struct dtype *value_schema(lua_State *L, int index)
{
    const char *text = lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index) : NULL;
    const struct dtype *type = NULL, *schema = NULL;
    struct err ignored;

    err_clear(&ignored);
    if (!text || dtype_parse_schema(text, &schema, &ignored) == LC_OK)
        return dtype_unref(schema), NULL;
    err_clear(&ignored);
    if (dtype_parse(text, &type, &ignored) != LC_OK)
        return NULL;
    return dtype_struct_add(dtype_struct_new(1), "value", type, true, NULL);
}

/* {1, 2} as {{1}, {2}} */
static void wrap_rows(lua_State *L, int index)
{
    lua_Integer n = (lua_Integer)lua_rawlen(L, index);

    lua_createtable(L, (int)n, 0);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_createtable(L, 1, 0);
        lua_rawgeti(L, index, i);
        lua_rawseti(L, -2, 1);
        lua_rawseti(L, -2, i);
    }
    lua_replace(L, index);
}

static int l_create_dataframe(lua_State *L)
{
    static const char *const arguments[] = {"data", "schema", NULL};
    const struct dtype *schema;
    const char **names = NULL;
    size_t n = 0;

    if (lua_gettop(L) == 2 && !has_field(L, 2, "data"))
        lua_settop(L, 3); /* a lone table is the rows, unless it says data = … */
    spark_args(L, 2, arguments);
    if (arrow_stream_at(L, 2)) {
        luaL_argcheck(L, lua_isnil(L, 3), 3, "an Arrow stream has a schema: rename with toDF, cast with to");
        return dataframe_push(L, arrow_stream_plan(L, 2));
    }
    luaL_checktype(L, 2, LUA_TTABLE);
    schema = value_schema(L, 3);
    if (schema)
        wrap_rows(L, 2);
    else
        schema = schema_arg(L, 3, true);
    if (!schema && lua_istable(L, 3)) {
        n = (size_t)lua_rawlen(L, 3);
        names = lua_newuserdatauv(L, sizeof *names * (n + 1), 0);
        for (size_t i = 0; i < n; i++) {
            lua_rawgeti(L, 3, (lua_Integer)i + 1);
            names[i] = spark_text(L, -1);
            lua_pop(L, 1);
        }
    }
    return dataframe_push(L, local_plan(L, 2, schema, names, n));
}

/* ---- spark:sql ---- */
struct query { /* the arguments of a text; the values stay on the stack */
    struct sql_parameter *parameters;
    struct spark_relation *relations;
    size_t n_parameters, n_relations;
};

/* One argument, at the top of the stack: a DataFrame, or a value or Column as a parameter. name NULL: by position. */
static void add_argument(lua_State *L, struct query *q, const char *name)
{
    const struct plan *p = dataframe_at(L, -1);

    if (p && !name)
        luaL_error(L, "a DataFrame goes into the text by name: spark:sql(\"… FROM {df}\", {df = df})");
    if (p)
        q->relations[q->n_relations++] = (struct spark_relation){name, p};
    else
        q->parameters[q->n_parameters++] = (struct sql_parameter){name, column_arg(L, -1, COLUMN_VALUE)};
}

static void query_arguments(lua_State *L, int index, struct query *q)
{
    size_t n = 0;

    *q = (struct query){0};
    if (lua_isnil(L, index))
        return;
    luaL_checktype(L, index, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1))
        n++;
    luaL_checkstack(L, (int)n + 8, NULL);
    q->parameters = lua_newuserdatauv(L, sizeof *q->parameters * (n + 1), 0);
    q->relations = lua_newuserdatauv(L, sizeof *q->relations * (n + 1), 0);
    for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, index); i++) {
        lua_rawgeti(L, index, i);
        add_argument(L, q, NULL);
    }
    lua_pushnil(L);
    while (lua_next(L, index)) {
        if (lua_type(L, -2) == LUA_TSTRING) {
            add_argument(L, q, lua_tostring(L, -2));
            lua_insert(L, -2); /* the value stays below the key */
        } else {
            lua_pop(L, 1);
        }
    }
}

/* The same on a server: its text is Spark's own. */
static int remote_query(lua_State *L, const char *text, size_t len, const struct query *q, lua_Integer number)
{
    struct engine_parameter *parameters = lua_newuserdatauv(L, sizeof *parameters * (q->n_parameters + 1), 0);
    struct engine_relation *relations = lua_newuserdatauv(L, sizeof *relations * (q->n_relations + 1), 0);
    struct engine_text t = {text, len, parameters, q->n_parameters, relations, q->n_relations};
    const struct plan *result = NULL;
    struct err err;

    for (size_t i = 0; i < q->n_parameters; i++)
        parameters[i] = (struct engine_parameter){q->parameters[i].name, q->parameters[i].value};
    luaL_checkstack(L, (int)q->n_relations + 8, NULL);
    for (size_t i = 0; i < q->n_relations; i++)
        relations[i] =
            (struct engine_relation){placeholder_view(L, q->relations[i].name, number), q->relations[i].plan};
    err_clear(&err);
    if (remote_sql(session_ctx(session_of(L)), spark_of(L), &t, &result, &err) != LC_OK)
        return session_raise(L, &err);
    return dataframe_push(L, result ? result : plan_project(NULL, NULL, 0));
}

/* sql(text), sql(text, {a, b}) for ?, sql(text, {name = value}) for :name and {name}, where a value may be a DataFrame */
static int l_sql(lua_State *L)
{
    static const char *const names[] = {"sqlQuery", "args", NULL};
    const struct plan *result = NULL;
    struct spark_env env = {.spark = spark_of(L)};
    struct query q;
    struct err err;
    size_t len;

    if (lua_gettop(L) == 3) /* names in the table are the text's own */
        lua_islightuserdata(L, 3) ? lua_settop(L, 2) : (void)0;
    else
        spark_args(L, 2, names);
    lua_settop(L, 3);
    lua_Integer number = spark_is_remote(spark_of(L)) ? placeholder_number(L) : 0;
    placeholders_fill(L, number);
    const char *text = luaL_checklstring(L, 2, &len);
    query_arguments(L, 3, &q);
    if (spark_is_remote(spark_of(L)))
        return remote_query(L, text, len, &q, number);
    struct spark_sql_args args = {q.parameters, q.n_parameters, q.relations, q.n_relations};
    err_clear(&err);
    if (spark_catalog(spark_of(L), &env.catalog, &err) != LC_OK ||
        spark_engine(spark_of(L), &env.engine, &err) != LC_OK ||
        spark_sql(session_ctx(session_of(L)), &env, text, len, &args, &result, &err) != LC_OK)
        return session_raise(L, &err);
    if (!result) /* as Spark: a DataFrame without columns */
        result = plan_limit(plan_project(NULL, NULL, 0), 0);
    return dataframe_push(L, result);
}

static void conf_text(lua_State *L, int index, char *out, size_t size)
{
    const char *text = luaL_tolstring(L, index, NULL);

    luaL_argcheck(L, strlen(text) < size, index, "too long");
    memcpy(out, text, strlen(text) + 1);
    lua_pop(L, 1);
}

static int l_conf_set(lua_State *L)
{
    char value[1024];
    struct err err;

    luaL_checkany(L, 3);
    conf_text(L, 3, value, sizeof value);
    err_clear(&err);
    if (spark_conf_set(spark_of(L), spark_text(L, 2), value, &err) != LC_OK)
        return session_raise(L, &err);
    return 0;
}

static int l_conf_get(lua_State *L)
{
    const char *value = spark_conf_get(spark_of(L), spark_text(L, 2));

    if (!value && lua_gettop(L) < 3)
        return luaL_error(L, "[SQL_CONF_NOT_FOUND] the setting '%s' is not set", lua_tostring(L, 2));
    if (value)
        lua_pushstring(L, value);
    else
        lua_settop(L, 3);
    return 1;
}

/* ---- spark.catalog ---- */
static struct catalog *catalog_of(lua_State *L)
{
    struct catalog *c = NULL;
    struct err err;

    err_clear(&err);
    if (spark_catalog(spark_of(L), &c, &err) != LC_OK)
        session_raise(L, &err);
    return c;
}

static int push_names(lua_State *L, struct catalog_list *list)
{
    lua_createtable(L, (int)list->n, 0);
    for (size_t i = 0; i < list->n; i++) {
        lua_createtable(L, 0, 2);
        lua_pushstring(L, list->items[i].name);
        lua_setfield(L, -2, "name");
        lua_pushboolean(L, list->items[i].temporary);
        lua_setfield(L, -2, "isTemporary");
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    session_mark_list(L);
    catalog_list_release(list);
    return 1;
}

static int l_current_catalog(lua_State *L)
{
    lua_pushstring(L, catalog_current(catalog_of(L)));
    return 1;
}

static int l_current_database(lua_State *L)
{
    lua_pushstring(L, catalog_current_schema(catalog_of(L)));
    return 1;
}

static int use(lua_State *L, bool catalog)
{
    const char *name = spark_text(L, 2);
    struct err err;

    err_clear(&err);
    if (catalog_use(session_ctx(session_of(L)), catalog_of(L), catalog ? name : NULL, catalog ? NULL : name,
                    &err) != LC_OK)
        return session_raise(L, &err);
    return 0;
}

static int l_set_current_catalog(lua_State *L)
{
    return use(L, true);
}

static int l_set_current_database(lua_State *L)
{
    return use(L, false);
}

static int l_list_catalogs(lua_State *L)
{
    struct catalog_list list = {0};
    struct err err;

    err_clear(&err);
    if (catalog_list_catalogs(session_ctx(session_of(L)), catalog_of(L), &list, &err) != LC_OK)
        return session_raise(L, &err);
    return push_names(L, &list);
}

static int l_list_databases(lua_State *L)
{
    struct catalog_list list = {0};
    struct err err;

    err_clear(&err);
    if (catalog_list_schemas(session_ctx(session_of(L)), catalog_of(L), NULL, &list, &err) != LC_OK)
        return session_raise(L, &err);
    return push_names(L, &list);
}

static int l_list_tables(lua_State *L)
{
    struct catalog_list list = {0};
    struct err err;
    char **parts = NULL;
    size_t n = 0;
    enum lc rc = LC_OK;

    err_clear(&err);
    if (!lua_isnoneornil(L, 2))
        rc = name_split(spark_text(L, 2), &parts, &n, &err);
    if (rc == LC_OK)
        rc = catalog_list_tables(session_ctx(session_of(L)), catalog_of(L), n == 2 ? parts[0] : NULL,
                                 n > 0 ? parts[n - 1] : NULL, &list, &err);
    if (parts)
        name_free(parts, n);
    return rc == LC_OK ? push_names(L, &list) : session_raise(L, &err);
}

static int l_database_exists(lua_State *L)
{
    struct catalog_list list = {0};
    const char *name = spark_text(L, 2);
    struct err err;
    bool found = false;

    err_clear(&err);
    if (catalog_list_schemas(session_ctx(session_of(L)), catalog_of(L), NULL, &list, &err) != LC_OK)
        return session_raise(L, &err);
    for (size_t i = 0; i < list.n; i++)
        found = found || strcasecmp(list.items[i].name, name) == 0;
    catalog_list_release(&list);
    lua_pushboolean(L, found);
    return 1;
}

static int l_list_columns(lua_State *L)
{
    struct spark_env env = {.spark = spark_of(L)};
    struct sql_names name;
    const struct dtype *schema;
    bool *partition;
    char **parts;
    struct err err;
    enum lc rc;

    lua_settop(L, 2);
    l_table(L);
    schema = dataframe_schema(L, -1);
    partition = lua_newuserdatauv(L, schema->n_fields + 1, 0);
    err_clear(&err);
    if (name_split(lua_tostring(L, 2), &parts, &name.n, &err) != LC_OK)
        return session_raise(L, &err);
    name.items = (const char **)parts;
    rc = spark_catalog(env.spark, &env.catalog, &err);
    if (rc == LC_OK)
        rc = spark_engine(env.spark, &env.engine, &err);
    if (rc == LC_OK)
        rc = describe_partitioned(session_ctx(session_of(L)), &env, &name, schema, partition, &err);
    name_free(parts, name.n);
    if (rc != LC_OK)
        return session_raise(L, &err);
    schema_push(L, schema);
    lua_getfield(L, -1, "fields");
    for (size_t i = 0; i < schema->n_fields; i++) {
        lua_geti(L, -1, (lua_Integer)i + 1);
        lua_pushboolean(L, partition[i]);
        lua_setfield(L, -2, "isPartition");
        lua_pushboolean(L, false); /* there are no buckets here, and no clusters */
        lua_setfield(L, -2, "isBucket");
        lua_pushboolean(L, false);
        lua_setfield(L, -2, "isCluster");
        lua_pop(L, 1);
    }
    return 1;
}

static int l_table_exists(lua_State *L)
{
    struct catalog_name name;
    struct err err;
    bool yes = false;

    err_clear(&err);
    if (catalog_view(catalog_of(L), spark_text(L, 2))) {
        yes = true;
    } else if (catalog_complete(catalog_of(L), lua_tostring(L, 2), &name, &err) != LC_OK ||
               catalog_table_exists(session_ctx(session_of(L)), catalog_of(L), &name, &yes, &err) != LC_OK) {
        return session_raise(L, &err);
    }
    lua_pushboolean(L, yes);
    return 1;
}

static int l_drop_temp_view(lua_State *L)
{
    lua_pushboolean(L, catalog_drop_view(catalog_of(L), spark_text(L, 2)));
    return 1;
}

static int l_stop(lua_State *L)
{
    spark_end_session(spark_of(L));
    return 0;
}

static int l_tostring(lua_State *L)
{
    struct spark *s = spark_of(L);
    const struct engine_remote *remote;
    struct engine *e;
    struct err err;

    err_clear(&err);
    if (!spark_is_remote(s))
        lua_pushliteral(L, "SparkSession (embedded DuckDB; lacus " LACUS_VERSION ")");
    else if (spark_remote(s, "", &remote, &e, &err) == LC_OK)
        lua_pushfstring(L, "SparkSession (%s; lacus " LACUS_VERSION ")", remote->describe(e));
    else
        lua_pushfstring(L, "SparkSession (not connected: %s)", err.message);
    return 1;
}

static int l_index(lua_State *L) /* upvalue: methods, and what is not a function */
{
    if (lua_type(L, 2) == LUA_TSTRING && remote_member(L, lua_tostring(L, 2)))
        return 1;
    lua_pushvalue(L, 2);
    if (lua_gettable(L, lua_upvalueindex(1)) != LUA_TNIL) {
        if (lua_istable(L, -1) && lua_getfield(L, -1, "property") != LUA_TNIL) { /* {property = function} */
            lua_pushvalue(L, 1);
            lua_call(L, 1, 1);
        } else if (lua_isnil(L, -1)) {
            lua_pop(L, 1);
        }
        return 1;
    }
    if (lua_type(L, 2) == LUA_TSTRING && strcmp(lua_tostring(L, 2), "read") == 0)
        return reader_push(L);
    return 0;
}

static const struct manual_row session_methods[] = {
    {"range", l_range,
     "range(start: integer, end?: integer, step?: integer, numPartitions?: integer) -> DataFrame\none "
     "column, id; range(n) starts at "
     "0\n\tspark:range(10)"},
    {"table", l_table,
     "table(name: TableName) -> DataFrame\na table of the catalog, a temporary view, or "
     "delta.`path`\n\tspark:table(\"main.default.sales\")"},
    {"sql", l_sql,
     "sql(text: Sql, args?: table) -> DataFrame\nSpark SQL; args: {v, …} for ?, {name = v} for :name and "
     "{name}, also "
     "DataFrames\n\tspark:sql(\"SELECT * FROM sales WHERE n > :least\", {least = 3})"},
    {"createDataFrame", l_create_dataframe,
     "createDataFrame(rows: table|userdata, schema?: string|table) -> DataFrame\nrows: lists or tables with "
     "names, "
     "or an Arrow stream (df:toArrow()); schema: names, or DDL "
     "like \"id INT, s STRING\"\n\tspark:createDataFrame({{1, \"a\"}, {2, \"b\"}}, {\"n\", \"s\"})"},
    {"stop", l_stop, "stop()\nends the session on a Spark server; the next use begins a new one"},
    {NULL, NULL, NULL}};

static const struct manual_row session_fields[] = {
    {"catalog", NULL, "catalog: spark.catalog\ncatalogs, schemas, tables"},
    {"conf", NULL, "conf: spark.conf\nsettings"},
    {"read", NULL, "read: DataFrameReader\nspark.read:csv(path), :parquet(path), :table(name), …"},
    {"version", NULL, "version: string\nthe version of Spark whose behaviour is meant"},
    {0}};

static const struct manual_topic session_topic = {.name = "SparkSession",
                                                  .doc = "the global spark: where DataFrames come from",
                                                  .kind = MANUAL_CLASS,
                                                  .rows = session_methods,
                                                  .fields = session_fields,
                                                  .values = spark_values};

static const struct manual_row catalog_methods[] = {
    {"currentCatalog", l_current_catalog,
     "currentCatalog() -> string"
     "\nthe catalog that names without one belong to\n\tspark.catalog:currentCatalog()"},
    {"setCurrentCatalog", l_set_current_catalog,
     "setCurrentCatalog(name)"
     "\nmakes it the one that names without a catalog belong "
     "to\n\tspark.catalog:setCurrentCatalog(\"spark_catalog\")"},
    {"currentDatabase", l_current_database,
     "currentDatabase() -> string"
     "\nthe schema that names without one belong to\n\tspark.catalog:currentDatabase()"},
    {"setCurrentDatabase", l_set_current_database,
     "setCurrentDatabase(name)\nmakes it the one that names without a schema belong "
     "to\n\tspark.catalog:setCurrentDatabase(\"default\")"},
    {"listCatalogs", l_list_catalogs,
     "listCatalogs() -> {{name, isTemporary}, …}"
     "\nall catalogs\n\tspark.catalog:listCatalogs()"},
    {"listDatabases", l_list_databases,
     "listDatabases() -> {{name, isTemporary}, …}"
     "\nthe schemas of the current catalog\n\tspark.catalog:listDatabases()"},
    {"listTables", l_list_tables,
     "listTables(schema) -> {{name, isTemporary}, …}\nalso of "
     "catalog.schema\n\tspark.catalog:listTables(\"default\")"},
    {"listColumns", l_list_columns,
     "listColumns(table: TableName) -> {{name, dataType, nullable, isPartition}, …}"
     "\nthe columns of a table\n\tspark.catalog:listColumns(\"people\")"},
    {"databaseExists", l_database_exists,
     "databaseExists(name) -> boolean"
     "\nis there a schema of this name?\n\tspark.catalog:databaseExists(\"default\")"},
    {"tableExists", l_table_exists,
     "tableExists(name: TableName) -> boolean\nis there a table or view of this "
     "name?\n\tspark.catalog:tableExists(\"sales\")"},
    {"dropTempView", l_drop_temp_view,
     "dropTempView(name) -> boolean\nwhether there was one\n\tspark.catalog:dropTempView(\"my_view\")"},
    {NULL, NULL, NULL}};

static const struct manual_topic catalog_topic = {.name = "spark.catalog",
                                                  .doc = "catalogs, schemas, tables",
                                                  .kind = MANUAL_CLASS,
                                                  .rows = catalog_methods};

static const struct manual_row conf_methods[] = {
    {"set", l_conf_set,
     "set(key: ConfName, value)\nchanges a setting\n\tspark.conf:set(\"spark.sql.shuffle.partitions\", 8)"},
    {"get", l_conf_get,
     "get(key: ConfName, default) -> string\nan error when it is not set and there is no "
     "default\n\tspark.conf:get(\"spark.sql.session.timeZone\", \"UTC\")"},
    {NULL, NULL, NULL}};

static const struct manual_topic conf_topic = {
    .name = "spark.conf", .doc = "settings", .kind = MANUAL_CLASS, .rows = conf_methods};

const struct manual_topic *const spark_topics[] = {&session_topic,   &catalog_topic, &conf_topic,
                                                   &dataframe_topic, &column_topic,  &grouped_topic,
                                                   &reader_topic,    &writer_topic,  NULL};

static int l_dir(lua_State *L)
{
    lua_Integer n = 0;

    lua_newtable(L);
    for (const struct manual_row *m = session_methods; m->name; m++) {
        lua_pushstring(L, m->name);
        lua_rawseti(L, -2, ++n);
    }
    lua_pushliteral(L, "read");
    lua_rawseti(L, -2, ++n);
    return 1;
}

static void name_class(lua_State *L, const char *class) /* of the table on top */
{
    if (!lua_getmetatable(L, -1))
        lua_createtable(L, 0, 1);
    lua_pushstring(L, class);
    lua_setfield(L, -2, "__name");
    lua_setmetatable(L, -2);
}

int spark_lua_open(lua_State *L)
{
    lua_newtable(L);
    lua_createtable(L, 0, 4);
    spark_methods(L, session_methods, "SparkSession");
    manual_set_methods(L, remote_methods, "SparkSession");
    spark_methods(L, catalog_methods, "spark.catalog");
    spark_extend(L, "Catalog");
    name_class(L, "spark.catalog");
    lua_setfield(L, -2, "catalog");
    spark_methods(L, conf_methods, "spark.conf");
    name_class(L, "spark.conf");
    lua_setfield(L, -2, "conf");
    lua_pushliteral(L, "4.0.0");
    lua_setfield(L, -2, "version");
    spark_extend(L, "SparkSession");
    lua_pushcclosure(L, l_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, l_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushcfunction(L, l_dir);
    lua_setfield(L, -2, "__dir");
    lua_pushliteral(L, "SparkSession");
    lua_setfield(L, -2, "__name");
    lua_setmetatable(L, -2);
    return 1;
}

/* ---- SparkSession.builder ---- */
static int l_builder_same(lua_State *L)
{
    lua_settop(L, 1);
    return 1;
}

static int l_builder_config(lua_State *L)
{
    l_conf_set(L);
    return l_builder_same(L);
}

/* The builder remembers where: a text; false: here; nil: wherever the session is. */
static int l_builder_remote(lua_State *L)
{
    luaL_checkstring(L, 2);
    lua_pushvalue(L, 2);
    lua_setfield(L, 1, "where");
    return l_builder_same(L);
}

static int l_builder_master(lua_State *L)
{
    lua_pushboolean(L, 0);
    lua_setfield(L, 1, "where");
    return l_builder_same(L);
}

static int l_get_or_create(lua_State *L)
{
    struct err err;

    err_clear(&err);
    lua_settop(L, 1);
    if (lua_istable(L, 1) && lua_getfield(L, 1, "where") != LUA_TNIL &&
        spark_connect(spark_of(L), lua_tostring(L, -1), &err) != LC_OK)
        return session_raise(L, &err);
    lua_getglobal(L, "spark");
    return 1;
}

static const struct manual_row builder[] = {
    {"appName", l_builder_same,
     "appName(name: string) -> SparkSession.builder\nspoken for those who know it; a session needs no name"
     "\n\tSparkSession.builder:appName(\"nightly\"):getOrCreate()"},
    {"master", l_builder_master,
     "master(url: string) -> SparkSession.builder\n\"local[*]\": the embedded engine"
     "\n\tSparkSession.builder:master(\"local[*]\"):getOrCreate()"},
    {"config", l_builder_config,
     "config(key: string, value: any) -> SparkSession.builder\na setting, as spark.conf:set"
     "\n\tSparkSession.builder:config(\"spark.sql.session.timeZone\", \"UTC\"):getOrCreate()"},
    {"remote", l_builder_remote,
     "remote(url: string) -> SparkSession.builder\na Spark Connect server: sc://host:port/;token=…"
     "\n\tSparkSession.builder:remote(\"sc://host:15002\"):getOrCreate()"},
    {"getOrCreate", l_get_or_create,
     "getOrCreate() -> SparkSession\nthe global "
     "spark\n\tSparkSession.builder:appName(\"etl\"):getOrCreate()"},
    {0}};
static const struct manual_topic builder_topic = {.name = "SparkSession.builder",
                                                  .doc = "how a SparkSession is asked for",
                                                  .kind = MANUAL_CLASS,
                                                  .rows = builder};
const struct manual_topic *const builder_topics[] = {&builder_topic, NULL};

int spark_session_lua_open(lua_State *L)
{
    lua_newtable(L);
    spark_methods(L, builder, "SparkSession.builder");
    name_class(L, "SparkSession.builder");
    lua_setfield(L, -2, "builder");
    return 1;
}

/* ---- types ---- */
static int l_native_schema(lua_State *L) /* schema(DDL) */
{
    bool empty = *luaL_checkstring(L, 1) == '\0';
    const struct dtype *schema = empty ? dtype_struct_new(0) : schema_arg(L, 1, false);

    schema_push(L, schema);
    dtype_unref(schema);
    return 1;
}

int types_lua_open(lua_State *L)
{
    session_require(L, "lacus.types");
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, l_native_schema);
    lua_setfield(L, -2, "schema");
    lua_call(L, 1, 1);
    return 1;
}
