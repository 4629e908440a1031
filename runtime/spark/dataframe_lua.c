/* dataframe_lua.c: the class DataFrame: its userdata, its members by name, and the table of its methods. */
#include "runtime/base/nearest.h"
#include "runtime/spark/args_lua.h"
#include "runtime/spark/arrow_lua.h"
#include "runtime/spark/column_lua.h"
#include "runtime/spark/dataframe_int.h"
#include "runtime/spark/show.h"
#include <string.h>

static const char class_name[] = "lacus.DataFrame";

struct dataframe {
    const struct plan *plan;    /* owned */
    const struct dtype *schema; /* owned; NULL: not analysed yet */
};

static void open_class(lua_State *L);

static const struct ctx *ctx_of(lua_State *L)
{
    return session_ctx(session_of(L));
}

int dataframe_push(lua_State *L, const struct plan *p)
{
    struct dataframe *d;
    struct err err;

    if (!p)
        return luaL_error(L, "out of memory");
    d = lua_newuserdatauv(L, sizeof *d, 0);
    *d = (struct dataframe){.plan = p};
    if (luaL_newmetatable(L, class_name))
        open_class(L);
    lua_setmetatable(L, -2);
    err_clear(&err);
    if (!plan_has_outer(p) && spark_analyze(ctx_of(L), spark_of(L), p, &err) != LC_OK)
        return session_raise(L, &err);
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
static const struct manual_row methods[] = {
    {"select", dataframe_select,
     "select(column, …) -> DataFrame\nthe columns: names, Columns, or a list of them; \"*\" is "
     "all\n\tdf:select(\"n\", F.upper(\"s\"):alias(\"upper\"))"},
    {"selectExpr", dataframe_select_expr,
     "selectExpr(text: ColumnName, …) -> DataFrame\ncolumns written as SQL: \"a + 1 AS "
     "b\"\n\tdf:selectExpr(\"n + 1 AS "
     "next\", \"upper(s)\")"},
    {"filter", dataframe_filter,
     "filter(condition) -> DataFrame\nthe rows for which a Column or SQL text is true\n\tdf:filter(\"n > 0 "
     "AND s IS NOT NULL\")"},
    {"where", dataframe_filter, NULL},
    {"withColumn", dataframe_with_column,
     "withColumn(name, column) -> DataFrame\nadds a column, or replaces the one of that "
     "name\n\tdf:withColumn(\"double\", F.col(\"n\") * 2)"},
    {"withColumns", dataframe_with_columns,
     "withColumns{name = column, …} -> DataFrame\nadds or replaces several columns, in the order of their "
     "names\n\tdf:withColumns{double = F.col(\"n\") * 2, upper = F.upper(\"s\")}"},
    {"withColumnRenamed", dataframe_with_column_renamed,
     "withColumnRenamed(existing: ColumnName, new) -> DataFrame\nanother name for a "
     "column\n\tdf:withColumnRenamed(\"n\", \"number\")"},
    {"withColumnsRenamed", dataframe_with_columns_renamed,
     "withColumnsRenamed{existing = new, …} -> DataFrame\nother names for several columns"
     "\n\tdf:withColumnsRenamed{n = \"number\", s = \"sign\"}"},
    {"drop", dataframe_drop,
     "drop(column, …) -> DataFrame\nwithout these columns; names that do not exist are "
     "ignored\n\tdf:drop(\"n\")"},
    {"dropDuplicates", dataframe_drop_duplicates,
     "dropDuplicates{column, …} -> DataFrame\none row for each combination of the columns; without columns: "
     "of all\n\tdf:dropDuplicates{\"k\"}"},
    {"drop_duplicates", dataframe_drop_duplicates, NULL},
    {"distinct", dataframe_distinct,
     "distinct() -> DataFrame\nwithout rows that are there already\n\tdf:select(\"k\"):distinct()"},
    {"dropna", dataframe_dropna,
     "dropna{how = \"any\", thresh = n, subset = {column, …}} -> DataFrame\nwithout rows that have a NULL "
     "(any) or nothing but NULLs (all)\n\tdf:dropna{subset = {\"b\"}}"},
    {"fillna", dataframe_fillna,
     "fillna(value, subset?) -> DataFrame\nNULLs become the value, in columns of its type; fillna{column = "
     "value} for single columns\n\tdf:fillna(0)"},
    {"replace", dataframe_replace,
     "replace(from, to?, subset?) -> DataFrame\nvalues that become others: replace(1, 2), replace({\"a\", "
     "\"b\"}, {\"x\", \"y\"}), replace{a = \"x\"}\n\tdf:replace({\"moon\", \"sun\"}, {\"luna\", \"sol\"})"},
    {"groupBy", dataframe_group_by,
     "groupBy(column, …) -> GroupedData\ngroups, for agg, count, sum, avg, min, "
     "max\n\tdf:groupBy(\"k\"):agg(F.sum(\"n\"))"},
    {"groupby", dataframe_group_by, NULL},
    {"rollup", dataframe_rollup,
     "rollup(column, …) -> GroupedData\ngroups with subtotals from right to left\n\tdf:rollup(\"k\", "
     "\"s\"):count()"},
    {"cube", dataframe_cube,
     "cube(column, …) -> GroupedData\ngroups with all subtotals\n\tdf:cube(\"k\", \"s\"):count()"},
    {"agg", dataframe_agg,
     "agg(aggregate: Column|{…: ColumnName = AggregateName}, …) -> DataFrame\naggregates of all rows: "
     "agg(F.max(\"a\")) or agg{a = "
     "\"max\"}\n\tdf:agg(F.max(\"n\"), F.min(\"n\"))"},
    {"join", dataframe_join,
     "join{other, on?, how?} -> DataFrame\non: names, or a condition as a Column; how: inner (without one), "
     "left, right, full, semi, anti, cross\n\tdf:join(small, \"k\", \"left\")"},
    {"lateralJoin", dataframe_lateral_join,
     "lateralJoin{other, on?, how?: \"inner\"|\"left\"|\"cross\"} -> DataFrame\neach row with the rows that "
     "the other "
     "DataFrame gives for it: column:outer() in it is a column of this one; how: inner, left, "
     "cross\n\tdf:lateralJoin(small:filter(F.col(\"k\"):eq(F.col(\"k\"):outer())):select(F.col(\"k\"):alias("
     "\"k2\")))"},
    {"crossJoin", dataframe_cross_join,
     "crossJoin(other) -> DataFrame\neach row with each row\n\tdf:crossJoin(small)"},
    {"union", dataframe_union,
     "union(other) -> DataFrame\nrows of both, by position, with duplicates\n\tdf:union(df)"},
    {"unionAll", dataframe_union, NULL},
    {"unionByName", dataframe_union_by_name,
     "unionByName{other, allowMissingColumns = false} -> DataFrame\nrows of both, columns matched by "
     "name\n\tdf:unionByName(df)"},
    {"intersect", dataframe_intersect,
     "intersect(other) -> DataFrame\nthe different rows that are in both\n\tdf:intersect(df)"},
    {"intersectAll", dataframe_intersect_all,
     "intersectAll(other) -> DataFrame\nthe rows that are in both, with duplicates"
     "\n\tdf:select(\"k\"):intersectAll(small)"},
    {"subtract", dataframe_subtract,
     "subtract(other) -> DataFrame\nthe different rows that are not in the other\n\tdf:subtract(df)"},
    {"exceptAll", dataframe_except_all,
     "exceptAll(other) -> DataFrame\nthe rows that are not in the other, with "
     "duplicates\n\tdf:exceptAll(df)"},
    {"orderBy", dataframe_order_by,
     "orderBy{column, …, ascending = true} -> DataFrame\nsorted; F.desc(\"a\") or ascending = {true, false} "
     "for directions\n\tdf:orderBy(F.desc(\"n\"), \"s\")"},
    {"sort", dataframe_order_by, NULL},
    {"limit", dataframe_limit, "limit(n) -> DataFrame\nthe first n rows\n\tdf:limit(10)"},
    {"offset", dataframe_offset, "offset(n) -> DataFrame\nwithout the first n rows\n\tdf:offset(1)"},
    {"sample", dataframe_sample,
     "sample{withReplacement = false, fraction = x, seed = n} -> DataFrame\nsome of the "
     "rows\n\tdf:sample{fraction = 0.5, seed = 42}"},
    {"randomSplit", dataframe_random_split,
     "randomSplit(weights, seed) -> DataFrame, …\nparts without common rows; the same seed gives the same "
     "parts\n\tdf:randomSplit({0.8, 0.2}, 42)"},
    {"alias", dataframe_alias,
     "alias(name) -> DataFrame\na name for its columns: "
     "F.col(\"name.column\")\n\tdf:alias(\"t\"):select(\"t.n\")"},
    {"toDF", dataframe_to_df,
     "toDF(name, …) -> DataFrame\nother names for all columns\n\tdf:select(\"n\", \"s\"):toDF(\"number\", "
     "\"text\")"},
    {"repartition", dataframe_repartition,
     "repartition(n, column, …) -> DataFrame\nthe same rows"
     "\n\tdf:repartition(4, \"k\")"},
    {"coalesce", dataframe_coalesce, "coalesce(n) -> DataFrame\nthe same rows\n\tdf:coalesce(1)"},
    {"cache", dataframe_same,
     "cache() -> DataFrame\nthe same DataFrame"
     "\n\tdf:cache()"},
    {"persist", dataframe_same,
     "persist(storageLevel?: any) -> DataFrame\nthe same DataFrame\n\tdf:persist()"},
    {"unpersist", dataframe_same,
     "unpersist(blocking?: boolean) -> DataFrame\nthe same DataFrame\n\tdf:unpersist()"},
    {"hint", dataframe_same,
     "hint(name: string, …) -> DataFrame\nthe same DataFrame: results do not depend on "
     "hints\n\tdf:hint(\"broadcast\")"},
    {"transform", dataframe_transform,
     "transform(fn, …) -> fn(df, …)\nfor chains of functions\n\tdf:transform(function(d) return d:limit(1) "
     "end)"},
    {"collect", dataframe_collect,
     "collect() -> {Row, …}\nall rows; each is indexed by name or by position\n\tdf:collect()[1].name"},
    {"take", dataframe_take, "take(n) -> {Row, …}\nthe first n rows\n\tdf:take(5)"},
    {"tail", dataframe_tail,
     "tail(n) -> {Row, …}\nthe last n rows"
     "\n\tdf:tail(1)"},
    {"first", dataframe_first, "first() -> Row\nthe first row, nil when there is none\n\tdf:first().n"},
    {"head", dataframe_head, "head(n?) -> Row|{Row, …}\nthe first row, or the first n\n\tdf:head(3)"},
    {"count", dataframe_count, "count() -> integer\nthe number of rows\n\tdf:count()"},
    {"isEmpty", dataframe_is_empty, "isEmpty() -> boolean\nwhether there are no rows\n\tdf:isEmpty()"},
    {"toLocalIterator", dataframe_to_local_iterator,
     "toLocalIterator() -> function\nfor row in df:toLocalIterator() do … end, without keeping all "
     "rows\n\tfor row in df:toLocalIterator() do print(row.n) end"},
    {"toTable", dataframe_to_table, "toTable() -> table\nthe columns as Lua tables\n\tdf:toTable().n"},
    {"toArrow", dataframe_to_arrow,
     "toArrow() -> userdata\nthe rows as an Arrow C stream, batch by batch, for a module written in C: a "
     "userdata "
     "\"arrow_array_stream\" that is a struct ArrowArrayStream; createDataFrame takes one, too. Columns for "
     "Lua: "
     "toTable; for Python: %%python -i df"
     "\n\tspark:createDataFrame(df:toArrow())"},
    {"toJSON", dataframe_to_json,
     "toJSON() -> DataFrame\none column, value: each row as a JSON text\n\tdf:select(\"n\", \"s\"):toJSON()"},
    {"show", dataframe_show,
     "show{n = 20, truncate = 20, vertical = false}\nprints the first rows; truncate = false prints whole "
     "values\n\tdf:show{5, truncate = 80}"},
    {"printSchema", dataframe_print_schema,
     "printSchema()\nprints names and types as a tree\n\tdf:printSchema()"},
    {"explain", dataframe_explain,
     "explain{mode: \"simple\"|\"extended\"|\"cost\"|\"formatted\"|\"codegen\" = \"simple\"}\nprints the "
     "plan as Spark does: simple, extended, cost or formatted; "
     "codegen: the engine's own query and plan\n\tdf:explain()"},
    {"describe", dataframe_describe,
     "describe(column, …) -> DataFrame\ncount, mean, stddev, min and max of numbers and "
     "texts\n\tdf:describe(\"n\")"},
    {"summary", dataframe_summary,
     "summary(statistic, …) -> DataFrame\ncount, mean, stddev, min, 25%, 50%, 75%, max, or those asked "
     "for\n\tdf:summary()"},
    {"createTempView", dataframe_create_temp_view,
     "createTempView(name)\na name for spark:sql; an error when it is "
     "taken\n\tdf:createTempView(\"my_view\")"},
    {"createOrReplaceTempView", dataframe_replace_temp_view,
     "createOrReplaceTempView(name)\na name for spark:sql\n\tdf:createOrReplaceTempView(\"my_view\")"},
    {NULL, NULL, NULL}};

static const struct manual_row property_rows[] = {
    {"columns", NULL,
     "columns: {string, …}\nthe names of the columns; print, tostring and .. give lists that functions of "
     "lacus return as they "
     "are shown: {\"a\", \"b\"}\n\t\"columns: \" .. df.columns"},
    {"dtypes", NULL,
     "dtypes: {{name: string, type: string}, …}\nnames and types"
     "\n\tdf.dtypes[1]"},
    {"schema", NULL,
     "schema: StructType\nnames, types, NULLs: schema.fields, schema:simpleString()"
     "\n\tdf.schema.simpleString"},
    {"write", NULL,
     "write: DataFrameWriter\ndf.write:mode(\"append\"):saveAsTable(name)"
     "\n\tdf.write:mode(\"overwrite\"):parquet(\"out/people\")"},
    {"na", NULL,
     "na: table\ndf.na.drop(), df.na.fill(value), df.na.replace(from, to)"
     "\n\tdf.na:fill(0)"},
    {MANUAL_ELEMENT, NULL,
     MANUAL_ELEMENT ": Column\nany other name: the column that is called so"
                    "\n\tdf:select(df.n, df[\"s\"])"},
    {0}};

const struct manual_topic dataframe_topic = {
    .name = "DataFrame",
    .doc = "rows with named, typed columns; nothing is computed before it is shown, collected or written",
    .kind = MANUAL_CLASS,
    .rows = methods,
    .fields = property_rows,
    .element = "Column"};

static const luaL_Reg properties[] = {{"columns", get_columns}, {"dtypes", get_dtypes},
                                      {"schema", get_schema},   {"write", get_write},
                                      {"na", dataframe_na},     {NULL, NULL}};

/* What pandas and R call it. */
static const struct {
    const char *name, *hint;
} foreign_members[] = {
    {"shape", "df:count() counts the rows, #df.columns the columns"},
    {"size", "df:count() counts the rows, #df.columns the columns"},
    {"len", "df:count() counts the rows"},
    {"loc", "rows are chosen with df:filter(\"n > 1\"), columns with df:select(\"n\")"},
    {"iloc", "rows have no numbers: df:limit(5), df:orderBy(\"n\"):first(), df:collect()[1]"},
    {"index", "rows have no numbers; F.monotonically_increasing_id() makes some"},
    {"reset_index", "rows have no numbers; F.monotonically_increasing_id() makes some"},
    {"set_index", "rows have no numbers: a column is what rows are found by"},
    {"values", "df:collect() gives the rows, df:toTable() the columns as lists"},
    {"sort_values", "df:orderBy(\"n\"), df:orderBy(F.desc(\"n\"))"},
    {"apply", "a column is computed with df:withColumn(\"m\", F.col(\"n\") + 1), by a function of Lua with "
              "F.udf(f, \"int\")"},
    {"map", "a column is computed with df:withColumn(\"m\", F.col(\"n\") + 1), by a function of Lua with "
            "F.udf(f, \"int\")"},
    {"assign", "df:withColumn(\"m\", F.col(\"n\") + 1)"},
    {"mutate", "df:withColumn(\"m\", F.col(\"n\") + 1)"},
    {"value_counts", "df:groupBy(\"n\"):count():orderBy(F.desc(\"count\"))"},
    {"nunique", "df:agg(F.countDistinct(\"n\"))"},
    {"merge", "df:join(other, \"id\")"},
    {"append", "df:union(other), df:unionByName(other)"},
    {"concat", "df:union(other), df:unionByName(other)"},
    {"query", "df:filter(\"n > 1\")"},
    {"rename", "df:withColumnRenamed(\"old\", \"new\")"},
    {"astype", "df:withColumn(\"n\", F.col(\"n\"):cast(\"int\"))"},
    {"isnull", "df:filter(F.col(\"n\"):isNull())"},
    {"isna", "df:filter(F.col(\"n\"):isNull())"},
    {"info", "df:printSchema(), df:describe():show()"},
    {"to_csv", "df.write:csv(\"folder\")"},
    {"to_parquet", "df.write:parquet(\"folder\")"},
    {"to_dict", "df:toTable(), df:collect()"},
    {"iterrows", "for row in df:toLocalIterator() do … end"},
    {"itertuples", "for row in df:toLocalIterator() do … end"},
    {"plot", "plot.line(df, {x = \"day\", y = \"n\"}), plot.bar, plot.hist …"},
    {"mean", "df:agg(F.mean(\"n\"))"},
    {"sum", "df:agg(F.sum(\"n\"))"},
    {"max", "df:agg(F.max(\"n\"))"},
    {"min", "df:agg(F.min(\"n\"))"},
};

static const char *foreign_hint(const char *name)
{
    for (size_t i = 0; i < sizeof foreign_members / sizeof *foreign_members; i++)
        if (strcmp(foreign_members[i].name, name) == 0)
            return foreign_members[i].hint;
    return NULL;
}

static int no_member(lua_State *L, const char *name)
{
    const char *hint = foreign_hint(name);
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
    if (hint)
        err_hint(&err, "%s", hint);
    else if (near.len > 0)
        err_hint(&err, "did you mean %s?", buf_str(&near));
    buf_release(&near);
    return session_raise(L, &err);
}

/* df[1], ipairs(df), pairs(df): a DataFrame holds no rows. */
static int no_rows(lua_State *L)
{
    const struct dtype *schema = dataframe_schema(L, 1);
    struct err err;

    err_clear(&err);
    err_set(&err, LC_ARG,
            "a DataFrame has no elements: it is what rows are made of, and its columns have names");
    err_hint(&err,
             "for _, row in ipairs(df:collect()) do … end; the first row is df:first(), a column df[\"%s\"]",
             schema->n_fields ? schema->fields[0].name : "name");
    return session_raise(L, &err);
}

/* df.n = …, df["n"] = …: as in pandas */
static int l_newindex(lua_State *L)
{
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "name";
    struct err err;

    err_clear(&err);
    err_set(&err, LC_ARG, "a DataFrame does not change: a column is added to another one");
    err_hint(&err, "df = df:withColumn(\"%s\", column); a plain value is F.lit(value)", name);
    return session_raise(L, &err);
}

static int l_index(lua_State *L) /* upvalues: methods, properties */
{
    const char *name;

    if (lua_type(L, 2) == LUA_TNUMBER)
        return no_rows(L);
    name = luaL_checkstring(L, 2);
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
    struct show_options o = {.rows = 50,
                             .truncate = 40,
                             .width = f->ops && f->ops->columns ? f->ops->columns(f->self) : 0,
                             .secrets = session_secrets(session_of(L))};
    struct buf text = BUF_INIT(BUF_TEXT_MAX), html = BUF_INIT(BUF_TEXT_MAX);
    struct err err;
    enum lc rc;

    err_clear(&err);
    rc = spark_show_rich(ctx_of(L), spark_of(L), p, &o, &text, &html, &err);
    if (rc == LC_OK) {
        lua_createtable(L, 0, 2);
        lua_pushlstring(L, buf_str(&text), text.len);
        lua_setfield(L, -2, "text/plain");
        if (html.len)
            lua_pushlstring(L, buf_str(&html), html.len);
        else
            lua_pushnil(L);
        lua_setfield(L, -2, "text/html");
    }
    buf_release(&text);
    buf_release(&html);
    return rc == LC_OK ? 1 : session_raise(L, &err);
}

static int l_len(lua_State *L)
{
    return dataframe_count(L);
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
    static const luaL_Reg metamethods[] = {
        {"__gc", l_gc},   {"__call", l_call},   {"__tostring", l_tostring}, {"__mimebundle", l_mimebundle},
        {"__len", l_len}, {"__pairs", no_rows}, {"__dir", l_dir},           {"__newindex", l_newindex},
        {NULL, NULL}};

    luaL_setfuncs(L, metamethods, 0);
    spark_methods(L, methods, "DataFrame");
    spark_extend(L, "DataFrame");
    luaL_newlib(L, properties);
    lua_pushcclosure(L, l_index, 2);
    lua_setfield(L, -2, "__index");
    lua_pushliteral(L, "DataFrame");
    lua_setfield(L, -2, "__name");
}
